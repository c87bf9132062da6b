/*
 * schemacache.h
 *	  Schemas of stored tables, shared by all sessions.
 *
 * A schema is what the relation's definition and the store's record of it say
 * together (schema.h).  Every change of the definition writes the record in the
 * same transaction, so the stamps of the record's key tell whether a shared schema
 * is true: a change is in force when it commits, and not before.  Names are no
 * part of a table's identity, (database, relation) is.
 *
 * A backend holds what it uses by a pin.  It has a private schema where a shared
 * one will not do: its transaction has changed stored tables, nothing was ever
 * stored in this one, there is no room.
 */
#ifndef KALAM_SCHEMACACHE_H
#define KALAM_SCHEMACACHE_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "utils/rel.h"

#include "src/backend/schema.h"
#include "src/shared/cache.h"

typedef struct KalamSchemaHold
{
	const KalamSchema *schema;	/* NULL: nothing is held */
	uint64		seen_at;		/* snapshots of this stamp or newer see it so */
	uint32		pin;
	bool		shared;			/* else it is private, and may be written */
	bool		look_again;		/* next time it may be there, or can be shared */
	TimestampTz held_since;		/* of a shared one */
} KalamSchemaHold;

/*
 * The schema of a relation.  to_change: a private one.  A private one need not be
 * completed by the table's record (table_id is 0).  Where many sessions want one
 * that is not there, one loads it, and the others wait for that a little.
 */
extern void kalam_schema_get(Relation rel, bool to_change, KalamSchemaHold *hold);

/*
 * At the end of a transaction, and of a use: is it time to give it back and to get it
 * anew?  A session does not hold shared memory longer than entries live, if it does
 * anything.
 */
extern bool kalam_schema_is_old(const KalamSchemaHold *hold);

/* Gives it back, if anything is held. */
extern void kalam_schema_release(KalamSchemaHold *hold);

/* The group of the cache that the schema of a relation is in; its tag is the version. */
extern uint32 kalam_schema_group(Oid database, Oid relid);

/* How often any session has loaded one from the store. */
extern uint64 kalam_schema_loads(void);

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_schema_cache_shmem_size(void);
extern void kalam_schema_cache_shmem_init(void);

#endif							/* KALAM_SCHEMACACHE_H */
