/*
 * table.h
 *	  What a backend knows about a stored table: its schema, object id, estimates.
 */
#ifndef KALAM_TABLE_H
#define KALAM_TABLE_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "src/backend/schema.h"
#include "src/backend/schemacache.h"

#define KALAM_OPTION_INDEX	"index_"
#define KALAM_OPTION_UNIQUE	"unique_"

/*
 * A relation that this backend has opened: its schema, shared or its own, and
 * what the backend alone knows of it.  Kept until the relcache entry changes.  A
 * pointer from kalam_table_open stays good until kalam_table_close; relation locks
 * keep what it says true.
 */
typedef struct KalamTable
{
	dlist_node	node;			/* in the list of those in use */
	Oid			relid;
	int			users;			/* of this transaction; none are left at its end */
	int			planners;		/* memory of planners, which may live longer */
	bool		valid;			/* else to be freed with its last user */
	KalamSchemaHold hold;

	/* of the schema, what is asked for often */
	const KalamSchema *schema;
	const KalamKeyColumn *keys;
	const KalamIndex *indexes;	/* ids: after kalam_table_object only */
	int			nkeys;			/* 0: hidden row id */
	int			nindexes;
	bool		cache;			/* its options cache and cache_ttl */
	int64		cache_ttl;

	bool		object_known;	/* object_id was looked up */
	uint32		object_id;		/* NONE: nothing was ever stored */
	uint64		object_seen_at; /* snapshots of this stamp or newer see the object */
	uint64		readable_at;	/* so does this older one, */
	uint64		usable_at;		/* and so this one */
	uint64		usable;			/* the indexes of these bits */

	bool		sequences_known;
	List	   *sequences;		/* see kalam_table_sequences */

	/* estimates of the store, refreshed now and then */
	TimestampTz stat_time;
	double		stat_rows;
	double		stat_bytes;
} KalamTable;

extern KalamTable *kalam_table_open(Relation rel);
extern void kalam_table_close(KalamTable *table);

/* The same until the current memory context is reset, also behind an error. */
extern KalamTable *kalam_table_open_for_context(Relation rel);

/* For a command that changes the table: its schema is this backend's own. */
extern KalamTable *kalam_table_open_to_change(Relation rel);

extern void kalam_tables_at_xact_end(void);
extern void kalam_tables_install(void); /* invalidation callback */
extern void kalam_tables_forget(void);	/* object ids may have been rolled back */
extern bool kalam_is_table(Oid relid);	/* a foreign table of this wrapper? */

/* The table that this backend knows whose object it is, or NULL. */
extern const KalamTable *kalam_table_of_object(uint32 object_id);

/* The object that holds the rows; NONE if nothing was stored. */
extern uint32 kalam_table_object(KalamTable *table);

/* The same from its record, which was found or is being made. */
extern void kalam_table_know(KalamTable *table, const KalamCatalogTable *record);

/* For one that was opened to be changed: its rows, or one of its indexes. */
extern void kalam_table_set_object(KalamTable *table, uint32 object_id);
extern void kalam_table_set_index(KalamTable *table, int n, uint16 id, uint64 since);

/* The sequences that defaults of its columns draw from. */
extern List *kalam_table_sequences(KalamTable *table, Relation rel);

/*
 * Row count and size of the rows, not compressed, as the store and this
 * transaction's own changes let estimate them: what was committed a second ago is
 * in it.
 */
extern void kalam_table_stat(KalamTable *table, double *rows, double *bytes);

/* The table has changed: asks the store again at the next time. */
extern void kalam_table_stat_forget(Oid relid);

typedef struct KalamObjectSize
{
	uint64		rows;
	uint64		bytes;			/* all that it takes: files and memory */
	uint64		row_bytes;		/* rows alone, not compressed */
} KalamObjectSize;

/*
 * What the store estimates for an object whose rows come with so many indexes;
 * false and zeroes: storage does not know it.
 */
extern bool kalam_object_stat(uint32 object_id, int nindexes, KalamObjectSize *size);

/* ---- keys ---- */

/* Begins a key: object id and kind. */
extern void kalam_table_key_begin(const KalamTable *table, KalamKeyWriter *w, uint8 *buf);

/*
 * The key of a row.  values and isnull are by attnum - 1.  Raises 23502 for a
 * null in the primary key and 54000 for a key that is too long.  Returns its
 * length; buf has KALAM_MAX_KEY_BYTES.
 */
extern size_t kalam_table_row_key(KalamTable *table, Relation rel, TupleTableSlot *slot, uint8 *buf);
extern size_t kalam_table_row_id_key(KalamTable *table, uint64 row_id, uint8 *buf);
extern void kalam_row_id_to_tid(uint64 row_id, ItemPointer tid);
extern uint64 kalam_tid_to_row_id(ItemPointer tid);

/* ---- options.c ---- */

/*
 * Reads "a, b DESC".  Names as SQL identifiers.  Raises for anything else;
 * option is for the message.
 */
typedef struct KalamKeyItem
{
	char	   *name;
	bool		desc;
} KalamKeyItem;

/* Is it the option of an index?  Then the name of the index, and is it unique? */
extern bool kalam_is_index_option(const char *option, const char **name, bool *unique);

extern List *kalam_parse_key_list(const char *option, const char *value);
extern char *kalam_format_key_list(List *items);

/* Makes these (DefElems) the options of a foreign table, for the commands that follow. */
extern void kalam_write_table_options(Oid relid, List *options);

#endif							/* KALAM_TABLE_H */
