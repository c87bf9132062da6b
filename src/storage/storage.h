/*
 * storage.h - what all parts of the storage process share.
 */
#ifndef KALAM_STORAGE_H
#define KALAM_STORAGE_H

#include "src/storage/engine.h"

typedef struct Storage
{
	KalamSegment *seg;
	uint32_t	epoch;			/* of this process; requests of others are not ours */
	uint32_t	nslots;			/* copies: what the segment says is checked once */
	uint32_t	nchannels;
	uint32_t	ncores;
	Engine	   *engine;
	_Atomic bool stopping;		/* threads return soon */
} Storage;

extern Storage storage;			/* set by main before any thread starts */

extern uint64_t now_ns(void);	/* monotonic */

/* The store takes no more writes: ends the process, so that a successor opens it anew. */
extern void storage_die(const EngineError *err) __attribute__((noreturn));

/* Bytes of a key range that holds a whole object. */
typedef struct ObjectRange
{
	uint8_t		lower[4];
	uint8_t		upper[4];
} ObjectRange;

static inline ObjectRange
object_range(uint32_t object_id)
{
	ObjectRange r;

	kalam_put_be32(r.lower, object_id);
	kalam_put_be32(r.upper, object_id + 1);
	return r;
}

/* All entries of one index of an object. */
typedef struct IndexRange
{
	uint8_t		lower[KALAM_INDEX_KEY_PREFIX_BYTES];
	uint8_t		upper[KALAM_INDEX_KEY_PREFIX_BYTES];
} IndexRange;

static inline IndexRange
index_range(uint32_t object_id, uint16_t index)
{
	IndexRange	r;
	uint32_t	next = (uint32_t) index + 1;

	kalam_put_key_prefix(r.lower, object_id, KALAM_KEY_KIND_INDEX);
	r.lower[KALAM_KEY_PREFIX_BYTES] = (uint8_t) (index >> 8);
	r.lower[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) index;
	kalam_put_key_prefix(r.upper, object_id, (uint8_t) (KALAM_KEY_KIND_INDEX + (next >> 16)));
	r.upper[KALAM_KEY_PREFIX_BYTES] = (uint8_t) (next >> 8);
	r.upper[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) next;
	return r;
}

/* Three-way comparison of keys. */
static inline int
key_compare(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	int			c = __builtin_memcmp(a, b, alen < blen ? alen : blen);

	return c != 0 ? c : (alen > blen) - (alen < blen);
}

#endif
