/*
 * cache_layout.c
 *	  How the memory of a shared cache is divided, and laid out anew.
 *
 * The caller is the only one to see the memory: plain stores.
 */
#include "src/shared/cache_internal.h"

#include <string.h>

#define ENTRY_PER_BYTES			160 /* of the arena */
#define MOST_SETS				(UINT32_MAX / KALAM_CACHE_WAYS)
#define LEAST_SEGMENTS			16
#define LEAST_SEGMENT_BYTES		4096
#define MOST_SEGMENT_BYTES		(256 * 1024)
#define SEGMENTS				64	/* as many at least, where they need not be smaller */

_Static_assert(MOST_SEGMENT_BYTES / 8 <= SEGMENT_MOST_WORDS, "a segment's word counts so far");

static uint64_t
lines(uint64_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

/* Where the parts begin; returns where they end. */
static uint64_t
place_parts(const KalamCacheShape *shape, uint32_t nprocesses, KalamCache *cache)
{
	uint64_t	at = lines(sizeof(KalamCache));

	cache->counters_offset = at;
	at += lines((uint64_t) nprocesses * sizeof(KalamCacheCounters));
	cache->doors_offset = at;
	at += lines((uint64_t) shape->ndoors * sizeof(uint64_t));
	cache->segments_offset = at;
	at += (uint64_t) shape->nsegments * sizeof(KalamCacheSegment);
	cache->entries_offset = at;
	at += (uint64_t) shape->nsets * KALAM_CACHE_WAYS * sizeof(KalamCacheEntry);
	cache->arena_offset = at;
	return at + (uint64_t) shape->nsegments * shape->segment_words * sizeof(uint64_t);
}

uint64_t
kalam_cache_shape_bytes(const KalamCacheShape *shape, uint32_t nprocesses)
{
	KalamCache	ignored;

	return lines(place_parts(shape, nprocesses, &ignored));
}

static KalamCacheShape
shape_of(uint32_t nsegments, uint64_t segment_bytes)
{
	uint64_t	nsets = nsegments * segment_bytes / ENTRY_PER_BYTES / KALAM_CACHE_WAYS + 1;

	/* (entries are counted with 32 bits, which is enough for half a terabyte) */
	if (nsets > MOST_SETS)
		nsets = MOST_SETS;
	return (KalamCacheShape)
	{
		.nsets = (uint32_t) nsets,
		.nsegments = nsegments,
		.segment_words = (uint32_t) (segment_bytes / 8),
		.ndoors = (uint32_t) (nsets * KALAM_CACHE_WAYS / 4 + 1)
	};
}

uint64_t
kalam_cache_least_bytes(uint32_t nprocesses)
{
	KalamCacheShape least = shape_of(LEAST_SEGMENTS, LEAST_SEGMENT_BYTES);

	return kalam_cache_shape_bytes(&least, nprocesses);
}

void
kalam_cache_init_shape(KalamCache *cache, const KalamCacheShape *shape, uint32_t nprocesses)
{
	memset(cache, 0, sizeof(KalamCache));
	place_parts(shape, nprocesses, cache);
	memset((char *) cache + cache->counters_offset, 0,
		   cache->arena_offset - cache->counters_offset);
	cache->shape = *shape;
	cache->nentries = shape->nsets * KALAM_CACHE_WAYS;
	cache->nprocesses = nprocesses;
	cache->bytes = kalam_cache_shape_bytes(shape, nprocesses);
	cache->arena_words = (uint64_t) shape->nsegments * shape->segment_words;

	/* segment 0 is open; the others were never used */
	for (uint32_t i = 0; i < shape->nsegments; i++)
		atomic_init(&kalam_cache_segment(cache, i)->word, SEGMENT(0, shape->segment_words));
	atomic_init(&cache->hand, 1);
	atomic_init(&cache->free_until, shape->nsegments);
}

void
kalam_cache_init(KalamCache *cache, uint64_t bytes, uint32_t nprocesses)
{
	uint64_t	segment_bytes = MOST_SEGMENT_BYTES;
	uint64_t	nsegments;
	KalamCacheShape shape;

	while (segment_bytes > LEAST_SEGMENT_BYTES && bytes / segment_bytes < SEGMENTS * 3 / 2)
		segment_bytes /= 2;

	/* about three quarters are arena: from a few more segments down to what fits */
	nsegments = bytes / 4 * 3 / segment_bytes + 2;
	if (nsegments < LEAST_SEGMENTS)
		nsegments = LEAST_SEGMENTS;
	shape = shape_of((uint32_t) nsegments, segment_bytes);
	while (nsegments > LEAST_SEGMENTS && kalam_cache_shape_bytes(&shape, nprocesses) > bytes)
		shape = shape_of((uint32_t) --nsegments, segment_bytes);
	kalam_cache_init_shape(cache, &shape, nprocesses);
	cache->bytes = bytes;
}

uint64_t
kalam_cache_max_value_bytes(const KalamCache *cache)
{
	uint64_t	most = cache->arena_words / 8 * sizeof(uint64_t);

	return most < UINT32_MAX / 2 ? most : UINT32_MAX / 2;
}
