/*
 * chunk.h - records in memory, and their order.
 *
 * Records lie one behind the other, as they came.  While they come in ascending
 * order nothing else is kept; else an array of items is sorted when all are
 * there.  A chunk belongs to one thread at a time.
 */
#ifndef KALAM_STORAGE_CHUNK_H
#define KALAM_STORAGE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Behind it: the key, the value, the tag (8 bytes), each without padding. */
typedef struct ChunkRecord
{
	uint32_t	value_len;
	uint16_t	key_len;
	uint16_t	moved;			/* to the next chunk */
} ChunkRecord;

#define CHUNK_TAG_BYTES 8
#define CHUNK_AHEAD 8			/* records */
#define CHUNK_ALIGN(n) (((n) + 7) & ~(size_t) 7)

typedef struct ChunkItem
{
	uint64_t	prefix;			/* of the key: what differs, differs in order */
	uint32_t	at;				/* of the record, in units of 8 bytes */
	uint32_t	key_len;
} ChunkItem;

typedef struct Chunk
{
	uint8_t    *bytes;
	size_t		used;
	size_t		capacity;
	uint64_t	rows;
	size_t		last;			/* offsets of the last record, and of those with the */
	size_t		min;			/* smallest and the largest key */
	size_t		max;
	size_t		late;			/* offset of the first of the last quarter, 0: not there yet */
	size_t		early_max;		/* of the largest key before it */
	bool		ascending;		/* each key is larger than the one before */
	ChunkItem  *items;			/* in order, once sorted; NULL if ascending */
} Chunk;

extern Chunk *chunk_open(size_t capacity);
extern void chunk_close(Chunk *c);

static inline size_t
chunk_record_bytes(size_t key_len, size_t value_len)
{
	return CHUNK_ALIGN(sizeof(ChunkRecord) + key_len + value_len + CHUNK_TAG_BYTES);
}

/* There must be room. */
extern void chunk_add(Chunk *c, uint64_t tag, const uint8_t *key, size_t key_len,
					  const uint8_t *value, size_t value_len);

/*
 * Records of the last quarter to come whose keys are larger than all of those
 * before go to the next chunk, which needs as much room at most as late_bytes
 * says.  Where records are out of order by less than that, what comes next is
 * then larger than all that stays.
 */
static inline size_t
chunk_late_bytes(const Chunk *c)
{
	return c->late == 0 ? 0 : c->used - c->late;
}

extern void chunk_move_late(Chunk *c, Chunk *next);

/* Equal keys stay in the order in which they came. */
extern void chunk_sort(Chunk *c);

/* What sorting needs beside the records. */
static inline size_t
chunk_sort_bytes(const Chunk *c)
{
	return c->ascending ? 0 : 2 * c->rows * sizeof(ChunkItem);
}

/* ---- records in order: for (at = 0, i = 0; i < rows; at = next(at), i++) ---- */

static inline const ChunkRecord *
chunk_record(const Chunk *c, size_t offset)
{
	return (const ChunkRecord *) (c->bytes + offset);
}

static inline const uint8_t *
chunk_key(const ChunkRecord *r)
{
	return (const uint8_t *) (r + 1);
}

/* Behind it stands the tag. */
static inline const uint8_t *
chunk_value(const ChunkRecord *r)
{
	return chunk_key(r) + r->key_len;
}

static inline uint64_t
chunk_tag(const ChunkRecord *r)
{
	uint64_t	tag;

	memcpy(&tag, chunk_value(r) + r->value_len, sizeof(tag));
	return tag;
}

/* The i-th in order; of an ascending chunk `behind` is the one before, or NULL. */
static inline const ChunkRecord *
chunk_nth(const Chunk *c, uint64_t i, const ChunkRecord *behind)
{
	if (c->items != NULL)
		return chunk_record(c, (size_t) c->items[i].at * 8);
	if (behind == NULL)
		return chunk_record(c, 0);
	return (const ChunkRecord *) ((const uint8_t *) behind +
								  chunk_record_bytes(behind->key_len, behind->value_len));
}

/*
 * Who reads the records in order wants the ones behind the i-th soon: they lie
 * anywhere.  (Without always_inline gcc sees no effect in it, and calls it never.)
 */
__attribute__((always_inline)) static inline void
chunk_prefetch(const Chunk *c, uint64_t i)
{
	const uint8_t *p;

	if (c->items == NULL || i + CHUNK_AHEAD >= c->rows)
		return;
	p = c->bytes + (size_t) c->items[i + CHUNK_AHEAD].at * 8;
	__builtin_prefetch(p);
	__builtin_prefetch(p + 64);
	__builtin_prefetch(p + 128);
}

#endif
