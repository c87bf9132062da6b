/*
 * schema.h
 *	  What a stored table is like, in one piece of memory: columns, keys, indexes,
 *	  options, the object that holds the rows.
 *
 * The piece has no pointers in it and may lie at any place, so that it can be
 * shared by processes as it is: see schemacache.h.  Shared ones are never
 * written; a private one is completed when the table's record is known.
 */
#ifndef KALAM_SCHEMA_H
#define KALAM_SCHEMA_H

#include "postgres.h"
#include "access/attnum.h"
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

/* What the options of a table say, but for those that name columns. */
typedef struct KalamTableOptions
{
	KalamOnConflict on_conflict;
	KalamObjectOptions object;
	bool		cache;			/* results may be kept in the query cache, */
	int64		cache_ttl;		/* so many ms; -1: as the setting says */
} KalamTableOptions;

/* An identifier: its number among those of the server, else its own bytes. */
typedef struct KalamSchemaName
{
	uint32		number;			/* KALAM_NAME_NONE: see text_at */
	uint32		text_at;		/* of the text, from here */
} KalamSchemaName;

/* What the bytes of a row depend on, and what the column was called. */
typedef struct KalamSchemaColumn
{
	uint32		name;			/* its number; NONE: dropped, or there was no room */
	Oid			type;			/* invalid: dropped */
	Oid			collation;
	int32		typmod;
} KalamSchemaColumn;

typedef struct KalamKeyColumn
{
	AttrNumber	attnum;
	bool		desc;
	KalamKeyType type;
} KalamKeyColumn;

/* A secondary index: option index_NAME or unique_NAME. */
typedef struct KalamIndex
{
	KalamSchemaName name;		/* NAME */
	uint32		columns_at;		/* of its columns, from here */
	uint16		ncolumns;
	uint16		id;				/* in the keys of its entries; of this object, never
								 * used twice; 0: not built */
	bool		unique;			/* nulls are distinct */
	uint64		since;			/* no snapshot of an older stamp can use it */
} KalamIndex;

typedef struct KalamSchema
{
	uint32		size_bytes;		/* of all */
	Oid			relid;
	uint64		table_id;		/* 0: nothing was ever stored, or it is not known; so */
	uint32		object_id;		/* with these, and the ids of indexes */
	uint32		version;
	uint32		nspname;		/* numbers of names, as it was built: a schema can be */
	uint32		name;			/* renamed without its tables; NONE: there was no room */
	KalamTableOptions options;
	uint16		ncolumns;
	uint16		nkeys;			/* 0: hidden row id */
	uint16		nindexes;
	uint32		columns_at;		/* of each array, from the beginning */
	uint32		keys_at;
	uint32		indexes_at;
} KalamSchema;

static inline const KalamSchemaColumn *
kalam_schema_columns(const KalamSchema *s)
{
	return (const KalamSchemaColumn *) ((const char *) s + s->columns_at);
}

static inline const KalamKeyColumn *
kalam_schema_keys(const KalamSchema *s)
{
	return (const KalamKeyColumn *) ((const char *) s + s->keys_at);
}

static inline const KalamIndex *
kalam_schema_indexes(const KalamSchema *s)
{
	return (const KalamIndex *) ((const char *) s + s->indexes_at);
}

static inline const KalamKeyColumn *
kalam_index_columns(const KalamIndex *index)
{
	return (const KalamKeyColumn *) ((const char *) index + index->columns_at);
}

/* NUL-terminated; as long as the schema is there. */
extern const char *kalam_schema_name(const KalamSchemaName *name);

static inline const char *
kalam_index_name(const KalamIndex *index)
{
	return kalam_schema_name(&index->name);
}

/*
 * The schema of a relation as its definition has it, palloc'd.  Raises for options
 * that do not fit the columns.
 */
extern KalamSchema *kalam_schema_build(Relation rel);

/* Completes it by the table's record, which was found or is being made. */
extern void kalam_schema_know(KalamSchema *s, const KalamCatalogTable *record);

/*
 * Are the columns those of the relation as this transaction sees it?  Nothing is
 * concluded from a name that has no number here.
 */
extern bool kalam_schema_fits(const KalamSchema *s, Relation rel);

/* ---- options.c ---- */

/* An index as its option says it; palloc'd. */
typedef struct KalamIndexOption
{
	const char *name;
	bool		unique;
	int			ncolumns;
	KalamKeyColumn *columns;
} KalamIndexOption;

/* What all options of a table say; palloc'd. */
typedef struct KalamOptionsRead
{
	KalamTableOptions options;
	int			nkeys;
	KalamKeyColumn *keys;
	int			nindexes;
	KalamIndexOption *indexes;
} KalamOptionsRead;

extern void kalam_read_table_options(Relation rel, List *options, KalamOptionsRead *read);

#endif							/* KALAM_SCHEMA_H */
