/*
 * catalog.h
 *	  The record that the catalog keeps of every stored table.
 *
 * C11 only.  Backends write and read it; storage passes it through.  The bytes
 * behind the value header are a sequence of fields, in this order, each number
 * as a LEB128 varint (signed ones zigzag), each string as varint length and
 * bytes:
 *
 *	 record format (2), table id, object id, schema version, database oid,
 *	 relid, owner oid, owner name, database name, namespace, name, kind,
 *	 primary key (text, as in the option; empty: none), options (text, for
 *	 show), encoding, number of columns, then per column: attnum, name, type
 *	 name (as format_type prints it, schema-qualified), type oid, typmod, flags
 *	 (1 not null, 2 dropped, 4 key), collation (quoted and schema-qualified;
 *	 empty: that of the type); of a dropped column name and type are empty, and
 *	 typmod says how long its values are in rows of before; then, unless there
 *	 never was an index: number of indexes, id of the next one, then per index:
 *	 id, flags (1 unique), stamp since which snapshots can use it, name, columns
 *	 (text, as in the option, with the names that the columns above have)
 *
 * The table id is that of the first object that held the rows.  It stays when
 * they are stored anew, under another object; a table that is truncated gets
 * a new one.
 *
 * Bytes behind the last index are a newer minor format and are ignored; a
 * record format above 2 is an error.  Format 1 is still read: it has neither
 * encoding nor collations.
 */
#ifndef KALAM_CATALOG_H
#define KALAM_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KALAM_TABLE_RECORD_FORMAT 2

/* in a record of format 1 */
#define KALAM_ENCODING_UNKNOWN	UINT32_MAX

#define KALAM_COLUMN_NOT_NULL	1
#define KALAM_COLUMN_DROPPED	2
#define KALAM_COLUMN_KEY		4

/* typmod of a dropped column: pg_attribute's attlen (-2 at least) and attalign */
#define KALAM_DROPPED_TYPMOD(len, align)	(((len) + 3) << 8 | (unsigned char) (align))
#define KALAM_DROPPED_LEN(typmod)			(((typmod) >> 8) - 3)
#define KALAM_DROPPED_ALIGN(typmod)			((char) ((typmod) & 0xFF))

#define KALAM_INDEX_UNIQUE		1

/* Strings are pointer and length, not terminated; they point into the bytes. */
typedef struct KalamString
{
	const char *data;
	uint32_t	len;
} KalamString;

typedef struct KalamTableColumn
{
	int32_t		attnum;
	int32_t		typmod;
	uint32_t	type_oid;
	uint32_t	flags;
	KalamString name;
	KalamString type_name;
	KalamString collation;		/* empty: that of the type */
} KalamTableColumn;

typedef struct KalamTableIndex
{
	uint32_t	id;				/* in the keys of its entries */
	uint32_t	flags;
	uint64_t	since;			/* stamp */
	KalamString name;
	KalamString columns;
} KalamTableIndex;

typedef struct KalamTableRecord
{
	uint64_t	table_id;
	uint32_t	object_id;
	uint32_t	schema_version;
	uint32_t	database_oid;
	uint32_t	relid;
	uint32_t	owner_oid;
	uint32_t	ncolumns;
	uint32_t	encoding;		/* of text, as PostgreSQL numbers them */
	uint32_t	nindexes;
	uint32_t	next_index;		/* 1: there never was one */
	KalamString owner;
	KalamString database;
	KalamString nspname;
	KalamString name;
	KalamString kind;
	KalamString primary_key;
	KalamString options;
} KalamTableRecord;

/* Bytes that the record takes when encoded. */
extern size_t kalam_table_record_size(const KalamTableRecord *r, const KalamTableColumn *columns,
									  const KalamTableIndex *indexes);

/* Writes exactly that many bytes. */
extern void kalam_table_record_encode(const KalamTableRecord *r, const KalamTableColumn *columns,
									  const KalamTableIndex *indexes, uint8_t *out);

/*
 * Reads the fixed part, without what it says of indexes; r's strings point into data.  *columns_offset is where
 * kalam_table_record_column goes on.  False on anything that is not a record of
 * a known format; never reads outside data.
 */
extern bool kalam_table_record_decode(const uint8_t *data, size_t len, KalamTableRecord *r,
									  size_t *columns_offset);

/* The next column; *offset moves on.  False on malformed bytes. */
extern bool kalam_table_record_column(const uint8_t *data, size_t len, size_t *offset,
									  KalamTableColumn *column);

/*
 * Behind the last column: r's nindexes and next_index.  Then index by index.
 * False on malformed bytes.
 */
extern bool kalam_table_record_indexes(const uint8_t *data, size_t len, size_t *offset,
									   KalamTableRecord *r);
extern bool kalam_table_record_index(const uint8_t *data, size_t len, size_t *offset,
									 KalamTableIndex *index);

#endif							/* KALAM_CATALOG_H */
