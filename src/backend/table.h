/*
 * table.h
 *	  What a backend knows about a stored table: options, keys, object id.
 */
#ifndef KALAM_TABLE_H
#define KALAM_TABLE_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "src/backend/keyencode.h"
#include "src/backend/store_catalog.h"
#include "src/shared/protocol.h"

typedef enum KalamOnConflict
{
	KALAM_CONFLICT_ERROR,
	KALAM_CONFLICT_REPLACE,
	KALAM_CONFLICT_IGNORE
} KalamOnConflict;

typedef struct KalamKeyColumn
{
	AttrNumber	attnum;
	bool		desc;
	KalamKeyType type;
} KalamKeyColumn;

/* A secondary index: option index_NAME or unique_NAME. */
typedef struct KalamIndex
{
	char	   *name;			/* NAME */
	bool		unique;			/* nulls are distinct */
	uint16		id;				/* in the keys of its entries; of this object, never
								 * used twice; 0: not built */
	int			ncolumns;
	KalamKeyColumn *columns;
	uint64		since;			/* no snapshot of an older stamp can use it */
	uint64		usable_at;		/* that of this stamp can: see kalam_index_usable */
} KalamIndex;

#define KALAM_OPTION_INDEX	"index_"
#define KALAM_OPTION_UNIQUE	"unique_"

/*
 * Built from the relation's options and columns, cached per relation until its
 * relcache entry changes.  A pointer from kalam_table_open stays good until
 * kalam_table_close; relation locks keep what it says true.
 */
typedef struct KalamTable
{
	Oid			relid;
	dlist_node	node;			/* in the list of all */
	bool		valid;			/* else to be freed with its last user */
	int			users;			/* of this transaction; none are left at its end */
	int			planners;		/* memory of planners, which may live longer */
	MemoryContext context;

	uint32		object_id;		/* NONE: nothing was ever stored */
	bool		object_known;	/* object_id was looked up */
	uint64		object_seen_at; /* snapshots of this stamp or newer see the object */
	uint64		readable_at;	/* so does this older one */
	int			nkeys;			/* 0: hidden row id */
	KalamKeyColumn *keys;
	int			nindexes;
	KalamIndex *indexes;		/* ids: after kalam_table_object only */
	KalamOnConflict on_conflict;
	bool		keep_on_drop;
	bool		cache;			/* results may be kept in the query cache, */
	int64		cache_ttl;		/* so many ms; -1: as the setting says */
	KalamObjectOptions object_options;
	List	   *sequences;		/* that defaults draw from */

	/* estimates of the store, refreshed now and then */
	TimestampTz stat_time;
	double		stat_rows;
	double		stat_bytes;
} KalamTable;

extern KalamTable *kalam_table_open(Relation rel);
extern void kalam_table_close(KalamTable *table);

/* The same until the current memory context is reset, also behind an error. */
extern KalamTable *kalam_table_open_for_context(Relation rel);

extern void kalam_tables_at_xact_end(void);
extern void kalam_tables_install(void); /* invalidation callback */
extern void kalam_tables_forget(void);	/* object ids may have been rolled back */
extern bool kalam_is_table(Oid relid);	/* a foreign table of this wrapper? */

/* The table among those in use whose object it is, or InvalidOid. */
extern Oid	kalam_table_of_object(uint32 object_id);

/* The object that holds the rows; NONE if nothing was stored. */
extern uint32 kalam_table_object(KalamTable *table);

/* The same from its record, which was found or is being made. */
extern void kalam_table_know(KalamTable *table, const KalamCatalogTable *record);

/*
 * Row count and size of the rows, not compressed, as the store and this
 * transaction's own changes let estimate them, at most a second old.
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

/* Fills the parts of *table that options determine. */
extern void kalam_table_read_options(KalamTable *table, Relation rel, List *options);

#endif							/* KALAM_TABLE_H */
