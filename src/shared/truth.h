/*
 * truth.h
 *	  Which words of the segment tell whether something that was read is true still.
 *
 * C11 only.  A commit of stamp C raises the words of what it changes to C before it
 * publishes C, and no word is ever lowered.  So what was read at a stamp F is what a
 * reader at E finds, too, iff none of its words is above F or E: of the commits
 * between the two none touched it.  (A word that others share may be above all the
 * same; then it is read once more.)  Who reads at E has loaded pub with acquire.
 */
#ifndef KALAM_TRUTH_H
#define KALAM_TRUTH_H

#include "src/shared/cache.h"
#include "src/shared/segment.h"

/* What the one key holds, or that it is not there; hash: kalam_hash(key, len, 0). */
static inline KalamCacheAt
kalam_at_point(KalamSegment *seg, uint64_t key_hash, uint32_t object_id, uint64_t stamp,
			   uint64_t now_ms)
{
	KalamCacheAt at = {
		.stamp = stamp, .now_ms = now_ms, .nwords = 4,
		.words = {
			kalam_bucket(seg, key_hash), &kalam_object_stamps(seg, object_id)->all,
			&seg->all_stamp, &seg->floor
		}
	};

	return at;
}

/* Whatever is read of an object: ranges, indexes, aggregates, its size. */
static inline KalamCacheAt
kalam_at_object(KalamSegment *seg, uint32_t object_id, uint64_t stamp, uint64_t now_ms)
{
	KalamCacheAt at = {
		.stamp = stamp, .now_ms = now_ms, .nwords = 3,
		.words = {
			&kalam_object_stamps(seg, object_id)->any, &seg->all_stamp, &seg->floor
		}
	};

	return at;
}

/*
 * The newest committed record of the catalog under a key, and the newest list of
 * them.  What is put must have been read behind a load of pub, and is put with that.
 */
static inline KalamCacheAt
kalam_at_newest_record(KalamSegment *seg, uint64_t key_hash, uint64_t now_ms)
{
	return kalam_at_point(seg, key_hash, KALAM_OBJECT_CATALOG, UINT64_MAX, now_ms);
}

static inline KalamCacheAt
kalam_at_newest_list(KalamSegment *seg, uint64_t now_ms)
{
	return kalam_at_object(seg, KALAM_OBJECT_CATALOG, UINT64_MAX, now_ms);
}

/* The stamp of the last change that the words tell of. */
static inline uint64_t
kalam_at_newest_change(const KalamCacheAt *at)
{
	uint64_t	newest = 0;

	for (uint32_t i = 0; i < at->nwords; i++)
	{
		uint64_t	word = atomic_load_explicit(at->words[i], memory_order_acquire);

		if (word > newest)
			newest = word;
	}
	return newest;
}

#endif							/* KALAM_TRUTH_H */
