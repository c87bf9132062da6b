/*
 * protocol.h
 *	  Bytes that travel and bytes that are stored: keys, values, change streams.
 *
 * C11 only.  Every number on disk is little-endian unless said; numbers inside
 * keys are big-endian, so that memcmp orders them.  STORE_FORMAT names all of
 * this together; a store of another format is refused at open.
 */
#ifndef KALAM_PROTOCOL_H
#define KALAM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Version of everything on disk: the FORMAT file, keys, values, the catalog.
 *	 1	the first
 */
#define KALAM_STORE_FORMAT		1

/*
 * A stored key:
 *
 *	 offset size
 *	 0		4	 object id, big-endian
 *	 4		1	 kind, below
 *	 5		...	 kind ROW: key columns (keycodec.h), or 8 bytes big-endian row id
 *				 kind INDEX: index id (2, big-endian), the index's columns
 *				 (keycodec.h), then, unless the index is unique and none of its
 *				 columns is null, the row suffix: what the key of the row has
 *				 behind its prefix
 *
 * Object ids are never used twice.  A table has one at a time; TRUNCATE gives
 * it a new one.  Example: row 7 of the keyless table 300:
 *	 00 00 01 2c  02  00 00 00 00 00 00 00 07
 */
#define KALAM_MAX_KEY_BYTES		2704	/* longest stored key, prefix included */
#define KALAM_KEY_PREFIX_BYTES	5
#define KALAM_KEY_KIND_META		1
#define KALAM_KEY_KIND_ROW		2
#define KALAM_KEY_KIND_INDEX	3
#define KALAM_KEY_KIND_PACKED	4	/* reserved */

#define KALAM_OBJECT_NONE		0
#define KALAM_OBJECT_CATALOG	1	/* column family "catalog" */
#define KALAM_OBJECT_PENDING	2	/* column family "pending": key = prefix (META)
									 * + 8 bytes big-endian full xid; value = the
									 * change stream of the transaction */
#define KALAM_OBJECT_FIRST_USER 256

/*
 * A stored value:
 *
 *	 offset size
 *	 0		8	 version id << 8 | value format (1)
 *	 8		...	 the row as Postgres lays out a tuple, from t_infomask2 on:
 *				 t_infomask2 (2), t_infomask (2), t_hoff (1), null bitmap, padding, data
 *
 * The version id is the serial of the transaction that wrote the row: two
 * versions of a row never have the same.  With 10 bytes put in front (length,
 * padding) the rest is a MinimalTuple.  Values of the catalog and of pending
 * have the same first 8 bytes and bytes of their own behind them.
 */
#define KALAM_VALUE_HEADER_BYTES 8
#define KALAM_VALUE_FORMAT		1

/*
 * The value of an index entry: version id and format as above, then
 *
 *	 8		2	 n: bytes of row suffix at the end of the entry's key; 0: it
 *				 stands here, behind
 *	 10		...	 the row suffix, if n is 0
 *
 * So a unique entry is one key, which a look-up of that key finds, and any
 * entry leads to the key of its row: object id, kind ROW, row suffix.
 */
#define KALAM_INDEX_KEY_PREFIX_BYTES	(KALAM_KEY_PREFIX_BYTES + 2)
#define KALAM_INDEX_VALUE_BYTES			(KALAM_VALUE_HEADER_BYTES + 2)	/* at least */

/* ---- change streams: COMMIT and PREPARE requests, entries of pending ---- */

typedef enum KalamChangeOp
{
	KALAM_CHANGE_PUT = 1,
	KALAM_CHANGE_DELETE,
	KALAM_CHANGE_CREATE_OBJECT, /* key: 4 bytes object id; value: KalamObjectOptions */
	KALAM_CHANGE_DROP_OBJECT,	/* key: 4 bytes object id */
	KALAM_CHANGE_INGEST,		/* storage's own, in pending: key: 4 bytes object id;
								 * value: name of a sorted file in folder bulk */
	KALAM_CHANGE_LOCKS,			/* PREPARE: first, if at all; no key; value: the row
								 * locks of a prepared transaction, KalamLockRecord
								 * each.  Nothing to apply: kept for a restart */
	KALAM_CHANGE_DROP_INDEX,	/* key: 4 bytes object id; value: 2 bytes index id,
								 * big-endian: all entries of the index go */
	KALAM_CHANGE_LOAD			/* no key; value: 8 bytes number of a load of this
								 * backend, whose keys come into the store.  Before
								 * any PUT, with KALAM_COMMIT_BULK only */
} KalamChangeOp;

/*
 * A stream is changes one behind the other, without padding; later ones
 * override earlier ones.  One may lie across blocks.
 */
typedef struct KalamChange
{
	uint8_t		op;				/* KalamChangeOp */
	uint8_t		flags;			/* 0 */
	uint16_t	key_len;
	uint32_t	value_len;		/* value header included */
	/* key_len bytes of key, value_len bytes of value */
} KalamChange;

#define KALAM_CHANGE_HEADER_BYTES 8

/* A row lock; kept across restarts, so that kalam_hash must stay what it is. */
typedef struct KalamLockRecord
{
	uint64_t	hash[2];		/* of the key: kalam_hash with two seeds */
	uint32_t	object_id;
	uint8_t		mode;			/* 0 KEY SHARE, 1 SHARE, 2 NO KEY UPDATE, 3 UPDATE */
	uint8_t		whole_object;	/* 1: all rows of the object; hash is 0 */
	uint8_t		unused[2];		/* 0 */
} KalamLockRecord;

typedef enum KalamCompression
{
	KALAM_COMPRESSION_NONE = 0,
	KALAM_COMPRESSION_LZ4 = 1,
	KALAM_COMPRESSION_ZSTD = 2
} KalamCompression;

typedef struct KalamObjectOptions
{
	uint32_t	compression;	/* KalamCompression */
	uint32_t	bloom_fpr_ppm;	/* false positives per million look-ups, 0: no filter */
} KalamObjectOptions;

/* ---- load streams: LOAD and LOAD_READ requests ---- */

/*
 * What a statement inserts, sent while it runs.  Blocks hold whole records, each
 * 8-aligned, one behind the other.  A record that fits in no block comes in
 * blocks of its own with KALAM_BLOCK_BIG: pieces of `used` bytes, big_total in
 * all, each block saying so.  Records may come in any order of keys, of many targets; each
 * target is declared by a record of its own (KALAM_LOAD_TARGET) before the first
 * record that names it.  Targets are numbered from 0 in the order in which they
 * are declared.
 */
typedef struct KalamLoadRecord
{
	uint32_t	size;			/* of the record, a multiple of 8 */
	uint16_t	key_len;
	uint16_t	target;			/* number of its target */
	uint32_t	value_len;		/* value header included */
	uint16_t	value_offset;	/* from the record's beginning; what lies between key and
								 * value is nobody's, so that a row can be formed in place */
	uint16_t	flags;			/* KALAM_LOAD_TARGET */
	uint64_t	tag;			/* comes back with a duplicate: line or row number */
	/* key_len bytes of key at offset 24 */
} KalamLoadRecord;

#define KALAM_LOAD_KEY_OFFSET	24

/* KalamLoadRecord.flags */
#define KALAM_LOAD_TARGET		0x0001	/* declares `target`: no key, the value is a
										 * KalamLoadTarget */

typedef struct KalamLoadTarget
{
	uint32_t	object_id;
	uint16_t	index_id;		/* 0: the rows */
	uint16_t	flags;			/* KALAM_TARGET_* */
	KalamObjectOptions options; /* of an object that is NEW, else what the store says */
} KalamLoadTarget;

/* KalamLoadTarget.flags */
#define KALAM_TARGET_UNIQUE		0x0001	/* no key twice, and none that is stored */
#define KALAM_TARGET_NEW		0x0002	/* made by this transaction: nothing is stored */

#define KALAM_MAX_LOAD_TARGETS	65535

/* An EXISTS stream: entries of uint16 key_len and the key, without padding. */

/* ---- the input of a SCAN (KALAM_SCAN_INPUT) ---- */

/*
 * What does not fit in a request lies in the channel's blocks when it is posted:
 * raw bytes from the address of block 0 on, over all blocks, input_len of them.
 * Storage copies them before it fills the first block.  They are sections one
 * behind the other, each 8-aligned: KalamScanSection and its bytes.
 */
typedef struct KalamScanSection
{
	uint32_t	kind;			/* KalamScanSectionKind */
	uint32_t	len;			/* of what follows, without padding to 8 */
} KalamScanSection;

typedef enum KalamScanSectionKind
{
	KALAM_SECTION_RANGES = 1,	/* instead of lower and upper, which are empty: entries
								 * of uint16 lower_len, uint16 upper_len, lower, upper,
								 * without padding; upper_len 0: the one key `lower`.
								 * They are read in this order, each in the scan's
								 * direction, and may overlap; rows carry the number
								 * of theirs, from 0 */
	KALAM_SECTION_FILTER,		/* rowprog.h: rows that do not pass are not sent */
	KALAM_SECTION_AGGREGATE		/* rowagg.h: groups are sent instead of rows */
} KalamScanSectionKind;

/* ---- the catalog: rows of object 1, kind META, then a letter ---- */

/*
 *	 'O' object id (4)				written by storage: KalamObjectRecord
 *	 'T' database oid (4) relid (4)	written by backends: a table (catalog.h)
 *	 'K' table id (8)				written by backends: a kept table (catalog.h)
 *	 'E' table id (8)				written by storage: a table of another server, with
 *									which the store came (catalog.h)
 *	 'F' slot (2)					written by backends: where a row went whose key
 *									was changed (moved.c)
 *	 'S' letter						written by storage: state; 's' next serial,
 *									'r' next row id, 'o' next object id, 'c' last
 *									commit stamp, each uint64 behind the value header
 */
#define KALAM_CATALOG_OBJECT	'O'
#define KALAM_CATALOG_TABLE		'T'
#define KALAM_CATALOG_KEPT		'K'
#define KALAM_CATALOG_ELSEWHERE	'E'
#define KALAM_CATALOG_MOVED		'F'
#define KALAM_CATALOG_STATE		'S'

typedef struct KalamObjectRecord
{
	uint32_t	family_kind;	/* 0: a family of its own, named "t" and its id in
								 * decimal; 1: the shared family of its options */
	KalamObjectOptions options;
} KalamObjectRecord;

static inline void
kalam_put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t) (v >> 24);
	p[1] = (uint8_t) (v >> 16);
	p[2] = (uint8_t) (v >> 8);
	p[3] = (uint8_t) v;
}

static inline uint32_t
kalam_get_be32(const uint8_t *p)
{
	return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static inline void
kalam_put_be64(uint8_t *p, uint64_t v)
{
	kalam_put_be32(p, (uint32_t) (v >> 32));
	kalam_put_be32(p + 4, (uint32_t) v);
}

static inline uint64_t
kalam_get_be64(const uint8_t *p)
{
	return (uint64_t) kalam_get_be32(p) << 32 | kalam_get_be32(p + 4);
}

/* Writes the first 8 bytes of a value. */
static inline void
kalam_put_value_header(uint8_t *value, uint64_t serial)
{
	uint64_t	header = serial << 8 | KALAM_VALUE_FORMAT;

	memcpy(value, &header, sizeof(header));
}

/* Writes the 5 byte prefix of a key. */
static inline void
kalam_put_key_prefix(uint8_t *key, uint32_t object_id, uint8_t kind)
{
	kalam_put_be32(key, object_id);
	key[4] = kind;
}

/*
 * The key of the row that an index entry leads to; row_key has room for
 * KALAM_MAX_KEY_BYTES.  Returns its length, or 0 if the entry is malformed.
 */
static inline size_t
kalam_index_entry_row_key(const uint8_t *key, size_t key_len, const uint8_t *value,
						  size_t value_len, uint8_t *row_key)
{
	const uint8_t *suffix;
	size_t		len;

	if (key_len <= KALAM_INDEX_KEY_PREFIX_BYTES || key[4] != KALAM_KEY_KIND_INDEX ||
		value_len < KALAM_INDEX_VALUE_BYTES || value[0] != KALAM_VALUE_FORMAT)
		return 0;
	len = value[KALAM_VALUE_HEADER_BYTES] | (size_t) value[KALAM_VALUE_HEADER_BYTES + 1] << 8;
	if (len > 0)
	{
		if (len > key_len - KALAM_INDEX_KEY_PREFIX_BYTES || value_len != KALAM_INDEX_VALUE_BYTES)
			return 0;
		suffix = key + key_len - len;
	}
	else
	{
		suffix = value + KALAM_INDEX_VALUE_BYTES;
		len = value_len - KALAM_INDEX_VALUE_BYTES;
	}
	if (len == 0 || len > KALAM_MAX_KEY_BYTES - KALAM_KEY_PREFIX_BYTES)
		return 0;
	kalam_put_key_prefix(row_key, kalam_get_be32(key), KALAM_KEY_KIND_ROW);
	memcpy(row_key + KALAM_KEY_PREFIX_BYTES, suffix, len);
	return KALAM_KEY_PREFIX_BYTES + len;
}

#endif							/* KALAM_PROTOCOL_H */
