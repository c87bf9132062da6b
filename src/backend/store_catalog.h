/*
 * store_catalog.h
 *	  The store's catalog as a backend reads and writes it: newest committed
 *	  state, overlaid by what the own transaction has staged.
 */
#ifndef KALAM_STORE_CATALOG_H
#define KALAM_STORE_CATALOG_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "src/shared/catalog.h"
#include "src/shared/protocol.h"

/* A record with its columns and indexes, palloc'd together; strings point into bytes. */
typedef struct KalamCatalogTable
{
	KalamTableRecord record;
	KalamTableColumn *columns;
	KalamTableIndex *indexes;
	uint8	   *bytes;
	bool		kept;			/* of a dropped table with on_drop 'keep' */
	bool		elsewhere;		/* of a table of another server: database and owner are none of
								 * this one's */
} KalamCatalogTable;

/* kalam_hash of the key of a record: names its word among those of stamps. */
extern uint64 kalam_catalog_hash(Oid database, Oid relid);

/* The record of an attached table of a database, or NULL. */
extern KalamCatalogTable *kalam_catalog_get(Oid database, Oid relid);

/* The same as it was committed at a stamp that is pinned; 0: as it is now. */
extern KalamCatalogTable *kalam_catalog_get_at(Oid database, Oid relid, uint64 stamp);

/* All records of a database, or of all (InvalidOid), kept ones included. */
extern List *kalam_catalog_list(Oid database);

/* The record again, as it is now, or NULL. */
extern KalamCatalogTable *kalam_catalog_again(const KalamCatalogTable *table);

/* Has this transaction written any of the records that kalam_catalog_list gives? */
extern bool kalam_catalog_any_staged(void);

/* Has this transaction written the record of the table? */
extern bool kalam_catalog_is_staged(Oid database, Oid relid);

extern void kalam_catalog_put(const KalamCatalogTable *table);
extern void kalam_catalog_delete(Oid database, Oid relid);
extern void kalam_catalog_keep(const KalamCatalogTable *table);
extern void kalam_catalog_forget_kept(const KalamCatalogTable *table);

/* The ids of all committed objects that this transaction has not dropped. */
extern List *kalam_catalog_objects(void);
extern bool kalam_catalog_has_object(uint32 object_id);

/* What an object was created with. */
extern KalamObjectOptions kalam_catalog_object_options(uint32 object_id);

/* NUL-terminated copy of a string of a record. */
extern char *kalam_string_dup(KalamString s);
extern KalamString kalam_string(const char *cstring);

#endif							/* KALAM_STORE_CATALOG_H */
