/*
 * querycache.h
 *	  Rows by key out of the shared query cache.
 *
 * What is kept is what storage sends for one key at a stamp: its row, or that there
 * is none; for the whole key of a unique index the key of its row, or that there is
 * none.  Own changes, conditions and locks are matters of those who ask; the cache
 * stands where a request would.  Who locks or changes rows reads newer states than
 * that of a stamp, and does not ask here.
 */
#ifndef KALAM_QUERYCACHE_H
#define KALAM_QUERYCACHE_H

#include "postgres.h"

#include "src/backend/cachepin.h"
#include "src/backend/client.h"
#include "src/backend/table.h"

/* For how many ms this session may keep what it reads of the table; 0: not at all. */
extern uint64 kalam_query_cache_ttl_of(const KalamTable *table);

/* Reads keys one after the other.  To be embedded and zeroed. */
typedef struct KalamPointReader
{
	uint64		ttl;			/* set by the owner, as above; 0: the cache is not asked */
	bool		finds_only;		/* likewise: what is read is about to change */

	/* the rest is querycache.c's */
	char	   *copy;			/* of a small row */
	KalamCachePin pin;			/* of a large one */
	uint8	   *row_key;		/* KALAM_SCAN_INDEX: of the row */
	uint64		ticket;			/* of the last one that was not found */
} KalamPointReader;

/* A row that was found, good until done. */
typedef struct KalamPoint
{
	const KalamRow *row;		/* without keys; NULL: there is none.  Its body may be
								 * missing if flags have KALAM_SCAN_KEYS_ONLY */
	const uint8 *key;			/* its own */
	size_t		key_len;
} KalamPoint;

/*
 * What stood under range->lower at range->stamp, if the cache knows it.  context lives as
 * long as the reader.
 */
extern bool kalam_point_find(KalamPointReader *reader, const KalamRange *range,
							 MemoryContext context, KalamPoint *point);

/*
 * It did not know, and this is what storage, which was asked then, sent for the same
 * range; with the row's key if that is one of an index.
 */
extern void kalam_point_put(const KalamPointReader *reader, const KalamRange *range,
							const KalamRow *row);

/* The row is not needed any more. */
static inline void
kalam_point_done(KalamPointReader *reader)
{
	kalam_cache_give_back(&reader->pin);
}

#endif							/* KALAM_QUERYCACHE_H */
