/*
 * cache_fixture.h
 *	  A shared cache in one process, and the least words that ask it something.
 */
#ifndef KALAM_TEST_CACHE_FIXTURE_H
#define KALAM_TEST_CACHE_FIXTURE_H

#include "test/unit/unit.h"

#include "src/shared/cache.h"
#include "src/shared/cache_internal.h"
#include "src/shared/segment.h"

#include <stdlib.h>
#include <string.h>

#define PROCESSES	3

/* One process has no races: under ThreadSanitizer a part of the long runs will do. */
#ifdef __SANITIZE_THREAD__
#define LONG_RUN(n)	((n) / 20)
#else
#define LONG_RUN(n)	(n)
#endif

/* ---- a cache, and the least words that ask it something ---- */

static KalamCache *cache;
static _Atomic uint64_t changed;	/* the one word that readers name */
static uint64_t now_ms;
static uint64_t buffer[1024];		/* small values are copied here */

static void
new_cache(uint64_t bytes)
{
	free(cache);
	cache = aligned_alloc(64, (bytes + 63) / 64 * 64);
	memset(cache, 0xA5, bytes);
	kalam_cache_init(cache, bytes, PROCESSES);
	atomic_store(&changed, 0);
	now_ms = 1000;
}

static inline void
new_shape(uint32_t nsets, uint32_t nsegments, uint32_t segment_words)
{
	KalamCacheShape shape = {nsets, nsegments, segment_words, 4};
	uint64_t	bytes = kalam_cache_shape_bytes(&shape, PROCESSES);

	free(cache);
	cache = aligned_alloc(64, bytes);
	memset(cache, 0xA5, bytes);
	kalam_cache_init_shape(cache, &shape, PROCESSES);
	atomic_store(&changed, 0);
	now_ms = 1000;
}

static inline KalamCacheStats
stats(void)
{
	KalamCacheStats s;

	kalam_cache_stats(cache, &s);
	return s;
}

static KalamCacheKey
key_of(const char *text)
{
	return (KalamCacheKey)
	{
		.data = text, .len = (uint32_t) strlen(text), .group = 1,
		.hash = kalam_hash(text, strlen(text), 0)
	};
}

static KalamCachePut
put_at(const KalamCacheKey *key, const void *data, uint64_t len, uint64_t stamp)
{
	KalamCachePart part = {data, (uint32_t) len};

	return kalam_cache_put(cache, 0, key, kalam_cache_ticket(cache, key->group), stamp, 7,
						   UINT64_MAX, &part, 1);
}

static inline KalamCachePut
put(const char *key, const char *value)
{
	KalamCacheKey k = key_of(key);

	return put_at(&k, value, strlen(value), 10);
}

static KalamCacheFind
find_key(const KalamCacheKey *key, uint64_t stamp, uint32_t buffer_size, KalamCacheValue *value)
{
	KalamCacheAt at = {.stamp = stamp, .now_ms = now_ms, .nwords = 1, .words = {&changed}};

	memset(value, 0, sizeof(*value));
	return kalam_cache_find(cache, 1, key, &at, buffer, buffer_size, value);
}

/* Is it there, with that value?  NULL: is it not? */
static inline bool
has(const char *key, const char *value)
{
	KalamCacheKey k = key_of(key);
	KalamCacheValue v;
	KalamCacheFind found = find_key(&k, UINT64_MAX, sizeof(buffer), &v);

	if (value == NULL)
		return found == KALAM_CACHE_MISS;
	return found == KALAM_CACHE_COPIED && v.len == strlen(value) &&
		memcmp(v.data, value, v.len) == 0;
}

static inline uint32_t
pin(const char *key)
{
	KalamCacheKey k = key_of(key);
	KalamCacheValue v;

	if (!CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED))
		return UINT32_MAX;
	return v.pin;
}

#define SMALL	(1024 * 1024)

#endif							/* KALAM_TEST_CACHE_FIXTURE_H */
