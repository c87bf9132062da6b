/*
 * test_cache.c
 *	  The shared cache (src/shared/cache.h) in one process: what each function says, tiny
 *	  caches, values of all sizes, and a comparison with a plain map.
 */
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

static void
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

static KalamCacheStats
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

static KalamCachePut
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
static bool
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

static uint32_t
pin(const char *key)
{
	KalamCacheKey k = key_of(key);
	KalamCacheValue v;

	if (!CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED))
		return UINT32_MAX;
	return v.pin;
}

#define SMALL	(1024 * 1024)

/* ---- finding what was put ---- */

static void
what_is_put_is_found(void)
{
	KalamCacheKey k = key_of("key");
	KalamCacheValue v;

	new_cache(SMALL);
	CHECK(has("key", NULL));
	CHECK(put("key", "value") == KALAM_CACHE_STORED);
	CHECK(has("key", "value"));
	CHECK(has("key2", NULL));
	CHECK(has("ke", NULL));

	CHECK(find_key(&k, 12, sizeof(buffer), &v) == KALAM_CACHE_COPIED);
	CHECK(v.data == buffer && v.len == 5 && v.tag == 7 && v.stamp == 10);
	CHECK(find_key(&k, 12, 5, &v) == KALAM_CACHE_COPIED);
	CHECK(find_key(&k, 12, 4, &v) == KALAM_CACHE_PINNED);
	CHECK((uintptr_t) v.data % 8 == 0 && v.data != buffer && v.len == 5 && v.tag == 7 && v.stamp == 10);
	CHECK(memcmp(v.data, "value", 5) == 0);
	CHECK(stats().pins == 1);
	kalam_cache_unpin(cache, 2, v.pin);
	CHECK(stats().pins == 0);
	CHECK(stats().hits == 4 && stats().misses == 3 && stats().inserts == 1 && stats().entries == 1);
	CHECK(stats().bytes == 8 + 8 + 8);
	CHECK(stats().bytes_allowed == SMALL);
}

static void
empty_keys_and_values_are_such(void)
{
	KalamCacheKey k = key_of("");
	KalamCacheValue v;

	new_cache(SMALL);
	CHECK(put("", "") == KALAM_CACHE_STORED);
	CHECK(put("a", "") == KALAM_CACHE_STORED);
	CHECK(put("b", "b") == KALAM_CACHE_STORED);
	CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_COPIED && v.len == 0);
	CHECK(has("a", "") && has("b", "b"));
}

static void
the_parts_come_one_behind_the_other(void)
{
	char		all[300];
	KalamCacheKey k = key_of("parts");
	KalamCacheValue v;

	for (int i = 0; i < 300; i++)
		all[i] = (char) unit_random();
	new_cache(SMALL);
	for (int i = 0; i < 2000; i++)
	{
		KalamCachePart parts[4];
		uint32_t	at = 0;

		for (int p = 0; p < 4; p++)
		{
			parts[p].data = all + at;
			parts[p].len = (uint32_t) unit_random_below(i % 2 ? 20 : 75);
			at += parts[p].len;
		}
		CHECK(kalam_cache_put(cache, 0, &k, kalam_cache_ticket(cache, 1), i, 0, UINT64_MAX,
							  parts, 4) == KALAM_CACHE_STORED);
		CHECK(find_key(&k, UINT64_MAX, sizeof(buffer), &v) == KALAM_CACHE_COPIED && v.len == at &&
			  memcmp(v.data, all, at) == 0);
	}
}

/* Neither hash nor length nor group stands for the key. */
static void
keys_of_one_hash_are_told_apart(void)
{
	KalamCacheKey keys[4];
	const char *texts[] = {"aaaaaaaaaaa1", "aaaaaaaaaaa2", "aaaaaaaa", "aaaaaaaaaaa1"};
	KalamCacheValue v;

	new_cache(SMALL);
	for (int i = 0; i < 4; i++)
	{
		keys[i] = key_of(texts[i]);
		keys[i].hash = 42;
	}
	keys[3].group = 2;
	for (int i = 0; i < 4; i++)
	{
		for (uint32_t size = 0; size <= 8; size += 8)
			CHECK(find_key(&keys[i], UINT64_MAX, size, &v) == KALAM_CACHE_MISS);
		CHECK(put_at(&keys[i], &i, sizeof(i), 10) == KALAM_CACHE_STORED);
	}
	for (int i = 0; i < 4; i++)
	{
		CHECK(find_key(&keys[i], UINT64_MAX, 8, &v) == KALAM_CACHE_COPIED &&
			  memcmp(v.data, &i, sizeof(i)) == 0);
		CHECK(find_key(&keys[i], UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED &&
			  memcmp(v.data, &i, sizeof(i)) == 0);
		kalam_cache_unpin(cache, 1, v.pin);
	}
	CHECK(stats().pins == 0 && stats().entries == 4);
}

/* ---- is it true? ---- */

static void
an_entry_answers_between_the_last_change_and_the_next(void)
{
	KalamCacheKey k = key_of("key");
	KalamCacheValue v;

	new_cache(SMALL);
	CHECK(put_at(&k, "v", 1, 10) == KALAM_CACHE_STORED);
	for (uint32_t size = 0; size <= 8; size += 8)
	{
		atomic_store(&changed, 8);
		CHECK(find_key(&k, 7, size, &v) == KALAM_CACHE_MISS);	/* an older state */
		for (uint64_t stamp = 8; stamp < 13; stamp++)
		{
			CHECK(find_key(&k, stamp, size, &v) != KALAM_CACHE_MISS);
			if (size == 0)
				kalam_cache_unpin(cache, 1, v.pin);
		}
		atomic_store(&changed, 10);
		CHECK(find_key(&k, 9, size, &v) == KALAM_CACHE_MISS);
		CHECK(find_key(&k, UINT64_MAX, size, &v) != KALAM_CACHE_MISS);
		if (size == 0)
			kalam_cache_unpin(cache, 1, v.pin);
	}
	CHECK(stats().invalidations == 0 && stats().entries == 1 && stats().pins == 0);

	/* untrue for good: it goes */
	atomic_store(&changed, 11);
	CHECK(find_key(&k, 20, 8, &v) == KALAM_CACHE_MISS);
	CHECK(stats().invalidations == 1 && stats().entries == 0 && stats().bytes == 0);
}

static void
the_newest_of_all_words_counts(void)
{
	KalamCacheKey k = key_of("key");
	_Atomic uint64_t words[KALAM_CACHE_WORDS];
	KalamCacheAt at = {.stamp = UINT64_MAX, .nwords = KALAM_CACHE_WORDS};
	KalamCacheValue v;

	new_cache(SMALL);
	for (int i = 0; i < KALAM_CACHE_WORDS; i++)
	{
		atomic_init(&words[i], i);
		at.words[i] = &words[i];
	}
	for (int i = 0; i < KALAM_CACHE_WORDS; i++)
	{
		CHECK(put_at(&k, "v", 1, 10) == KALAM_CACHE_STORED);
		CHECK(kalam_cache_find(cache, 1, &k, &at, buffer, 8, &v) == KALAM_CACHE_COPIED);
		atomic_store(&words[i], 11);
		CHECK(kalam_cache_find(cache, 1, &k, &at, buffer, 8, &v) == KALAM_CACHE_MISS);
		atomic_store(&words[i], i);
	}
	CHECK(put_at(&k, "v", 1, 10) == KALAM_CACHE_STORED);
	atomic_store(&words[0], 11);
	at.nwords = 0;
	CHECK(kalam_cache_find(cache, 1, &k, &at, buffer, 8, &v) == KALAM_CACHE_COPIED);
}

static void
the_newer_stays(void)
{
	KalamCacheKey k = key_of("key");
	KalamCacheValue v;

	new_cache(SMALL);
	CHECK(put_at(&k, "ten", 3, 10) == KALAM_CACHE_STORED);
	CHECK(put_at(&k, "nine", 4, 9) == KALAM_CACHE_NEWER);
	CHECK(has("key", "ten"));
	CHECK(put_at(&k, "again", 5, 10) == KALAM_CACHE_STORED);
	CHECK(has("key", "again"));
	CHECK(put_at(&k, "eleven", 6, 11) == KALAM_CACHE_STORED);
	CHECK(has("key", "eleven"));
	CHECK(stats().entries == 1 && stats().inserts == 3 && stats().invalidations == 2);

	/* with the old one pinned */
	CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED);
	CHECK(put_at(&k, "eleven!", 7, 11) == KALAM_CACHE_STORED);
	CHECK(memcmp(v.data, "eleven", 6) == 0 && v.len == 6);
	CHECK(has("key", "eleven!"));
	CHECK(stats().entries == 1);
	kalam_cache_unpin(cache, 1, v.pin);
	CHECK(has("key", "eleven!"));

	/* one that nobody finds any more does not count */
	kalam_cache_raise_ticket(cache, 1);
	CHECK(put_at(&k, "old", 3, 1) == KALAM_CACHE_STORED);
	CHECK(has("key", "old"));
}

static void
entries_expire(void)
{
	KalamCacheKey a = key_of("a");
	KalamCacheKey b = key_of("b");
	KalamCachePart part = {"v", 1};

	new_cache(SMALL);
	CHECK(kalam_cache_put(cache, 0, &a, 0, 10, 0, 2000, &part, 1) == KALAM_CACHE_STORED);
	CHECK(kalam_cache_put(cache, 0, &b, 0, 10, 0, 3000, &part, 1) == KALAM_CACHE_STORED);
	now_ms = 1999;
	CHECK(has("a", "v") && has("b", "v"));
	now_ms = 2000;
	CHECK(has("a", NULL) && has("b", "v"));
	CHECK(stats().expired == 1 && stats().entries == 1);

	CHECK(kalam_cache_put(cache, 0, &a, 0, 10, 0, 4000, &part, 1) == KALAM_CACHE_STORED);
	CHECK(kalam_cache_expire(cache, 0, 2999) == 0);
	CHECK(kalam_cache_expire(cache, 0, 3000) == 1);
	CHECK(has("a", "v") && has("b", NULL));
	CHECK(stats().expired == 2 && stats().entries == 1);
}

/* ---- by hand ---- */

static void
a_group_is_invalidated_and_puts_under_way_with_it(void)
{
	KalamCacheKey a = key_of("a");
	KalamCacheKey b = key_of("b");
	KalamCachePart part = {"v", 1};
	KalamCacheValue v;
	uint64_t	before;
	uint64_t	other;

	b.group = 2;
	new_cache(SMALL);
	CHECK(put_at(&a, "v", 1, 10) == KALAM_CACHE_STORED);
	CHECK(put_at(&b, "v", 1, 10) == KALAM_CACHE_STORED);
	before = kalam_cache_ticket(cache, 1);
	other = kalam_cache_ticket(cache, 2);
	CHECK(kalam_cache_invalidate_group(cache, 0, 1) == 1);
	CHECK(kalam_cache_invalidate_group(cache, 0, 1) == 0);
	CHECK(find_key(&a, UINT64_MAX, 8, &v) == KALAM_CACHE_MISS);
	CHECK(find_key(&b, UINT64_MAX, 8, &v) == KALAM_CACHE_COPIED);
	CHECK(kalam_cache_put(cache, 0, &a, before, 10, 0, UINT64_MAX, &part, 1) == KALAM_CACHE_RACED);
	CHECK(find_key(&a, UINT64_MAX, 8, &v) == KALAM_CACHE_MISS);
	CHECK(kalam_cache_put(cache, 0, &b, other, 10, 0, UINT64_MAX, &part, 1) == KALAM_CACHE_STORED);
	CHECK(put_at(&a, "v", 1, 10) == KALAM_CACHE_STORED);
	CHECK(find_key(&a, UINT64_MAX, 8, &v) == KALAM_CACHE_COPIED);

	before = kalam_cache_ticket(cache, 1);
	CHECK(kalam_cache_clear(cache, 0) == 2);
	CHECK(find_key(&a, UINT64_MAX, 8, &v) == KALAM_CACHE_MISS);
	CHECK(find_key(&b, UINT64_MAX, 8, &v) == KALAM_CACHE_MISS);
	CHECK(kalam_cache_put(cache, 0, &a, before, 10, 0, UINT64_MAX, &part, 1) == KALAM_CACHE_RACED);
	CHECK(kalam_cache_put(cache, 0, &b, other, 10, 0, UINT64_MAX, &part, 1) == KALAM_CACHE_RACED);
	CHECK(stats().entries == 0 && stats().bytes == 0);
	CHECK(stats().invalidations == 1 + 1 + 2);	/* b was replaced once */
}

/* The ticket does it, not the sweep: an entry that the sweep missed is not found. */
static void
an_old_ticket_is_never_found(void)
{
	new_cache(SMALL);
	CHECK(put("a", "v") == KALAM_CACHE_STORED);
	kalam_cache_raise_ticket(cache, 1);
	CHECK(has("a", NULL));
	CHECK(stats().invalidations == 1 && stats().entries == 0);
}

static void
a_tag_of_a_group_is_invalidated(void)
{
	KalamCachePart part = {"v", 1};
	KalamCacheKey keys[4] = {key_of("a"), key_of("b"), key_of("c"), key_of("d")};
	KalamCacheValue v;

	keys[3].group = 2;
	new_cache(SMALL);
	for (int i = 0; i < 4; i++)
		CHECK(kalam_cache_put(cache, 0, &keys[i], 0, 10, i == 1 ? 2 : 1, UINT64_MAX, &part, 1) ==
			  KALAM_CACHE_STORED);
	CHECK(kalam_cache_invalidate_tag(cache, 0, 1, 1) == 2);
	CHECK(find_key(&keys[0], UINT64_MAX, 8, &v) == KALAM_CACHE_MISS);
	CHECK(find_key(&keys[1], UINT64_MAX, 8, &v) == KALAM_CACHE_COPIED && v.tag == 2);
	CHECK(find_key(&keys[2], UINT64_MAX, 8, &v) == KALAM_CACHE_MISS);
	CHECK(find_key(&keys[3], UINT64_MAX, 8, &v) == KALAM_CACHE_COPIED && v.tag == 1);
	CHECK(stats().invalidations == 2);

	/* an entry in motion may be of the tag: the group goes, the other does not */
	for (uint32_t i = 0; i < cache->nentries; i++)
	{
		KalamCacheEntry *e = kalam_cache_entry(cache, i);

		if ((e->word & ENTRY_STATE) == ENTRY_FREE)
		{
			e->word |= ENTRY_BUSY;
			break;
		}
	}
	CHECK(kalam_cache_invalidate_tag(cache, 0, 1, 5) == 0);
	CHECK(find_key(&keys[1], UINT64_MAX, 8, &v) == KALAM_CACHE_MISS);
	CHECK(find_key(&keys[3], UINT64_MAX, 8, &v) == KALAM_CACHE_COPIED);
}

/* ---- pins ---- */

static void
what_is_pinned_stays_until_the_last_unpin(void)
{
	uint32_t	first;
	uint32_t	second;
	KalamCacheKey k = key_of("pinned");
	KalamCacheValue v;
	char		text[200];

	new_cache(kalam_cache_least_bytes(PROCESSES));
	memset(text, 'x', sizeof(text));
	CHECK(put_at(&k, text, sizeof(text), 10) == KALAM_CACHE_STORED);
	CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED);
	first = v.pin;
	second = pin("pinned");
	CHECK(stats().pins == 2);
	CHECK(kalam_cache_invalidate_group(cache, 0, 1) == 1);
	CHECK(find_key(&k, UINT64_MAX, 0, &(KalamCacheValue) {0}) == KALAM_CACHE_MISS);

	/* everything else changes several times */
	for (int i = 0; i < 5000; i++)
	{
		char		name[20];

		if (i == 2500)
			kalam_cache_unpin(cache, 1, first);
		snprintf(name, sizeof(name), "%d", i);
		CHECK(put(name, "some value that is not quite as short as others") == KALAM_CACHE_STORED);
		if (i % 100 == 0)
			CHECK(v.len == 200 && memcmp(v.data, text, 200) == 0);
	}
	CHECK(stats().pins == 1);
	kalam_cache_unpin(cache, 1, second);
	CHECK(stats().pins == 0);
}

static void
a_cache_full_of_pins_refuses_and_recovers(void)
{
	static uint32_t pins[4096];
	uint32_t	n = 0;
	char		name[20];
	char		value[500];
	KalamCachePut result = KALAM_CACHE_STORED;

	memset(value, 'v', sizeof(value));
	value[499] = 0;
	new_cache(kalam_cache_least_bytes(PROCESSES));
	while (n < 4096)
	{
		snprintf(name, sizeof(name), "%u", n);
		result = put(name, value);
		if (result != KALAM_CACHE_STORED)
			break;
		pins[n++] = pin(name);
	}
	CHECK(result == KALAM_CACHE_FULL && n > 60);
	CHECK(stats().full == 1 && stats().pins == n && stats().evictions == 0);
	for (uint32_t i = 0; i < n; i++)
	{
		snprintf(name, sizeof(name), "%u", i);
		CHECK(has(name, value));
	}
	for (uint32_t i = 0; i < n; i++)
		kalam_cache_unpin(cache, 1, pins[i]);
	for (uint32_t i = 0; i < 200; i++)
	{
		snprintf(name, sizeof(name), "new%u", i);
		CHECK(put(name, value) == KALAM_CACHE_STORED);
	}
	CHECK(stats().pins == 0 && stats().evictions > 0);
}

/* A set whose entries are all pinned has no place for another key. */
static void
a_set_full_of_pins_refuses(void)
{
	uint32_t	pins[KALAM_CACHE_WAYS];
	char		name[2] = "a";

	new_shape(1, 4, 256);
	for (int i = 0; i < KALAM_CACHE_WAYS; i++, name[0]++)
	{
		CHECK(put(name, "v") == KALAM_CACHE_STORED);
		pins[i] = pin(name);
	}
	CHECK(put("z", "v") == KALAM_CACHE_FULL);
	CHECK(stats().full == 1 && stats().entries == KALAM_CACHE_WAYS);
	kalam_cache_unpin(cache, 1, pins[3]);
	CHECK(put("z", "v") == KALAM_CACHE_STORED);
	CHECK(has("d", NULL) && has("z", "v") && has("c", "v"));
}

/* ---- room ---- */

static void
too_large_is_refused(void)
{
	static char big[SMALL];
	char		long_key[KALAM_CACHE_MAX_KEY_BYTES + 1];
	KalamCacheKey k = {.data = long_key, .len = sizeof(long_key), .group = 1, .hash = 1};
	uint64_t	most;
	KalamCacheValue v;

	memset(long_key, 'k', sizeof(long_key));
	new_cache(SMALL);
	most = kalam_cache_max_value_bytes(cache);
	CHECK(most > SMALL / 16 && most < SMALL / 8);
	CHECK(put_at(&k, "", 0, 10) == KALAM_CACHE_TOO_LARGE);
	k.len--;
	CHECK(put_at(&k, big, most + 1, 10) == KALAM_CACHE_TOO_LARGE);
	CHECK(stats().too_large == 2);
	CHECK(put_at(&k, big, most, 10) == KALAM_CACHE_STORED);
	CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED && v.len == most);
	kalam_cache_unpin(cache, 1, v.pin);
	CHECK(!kalam_cache_wants(cache, 0, 5, most + 1));
	CHECK(!kalam_cache_wants(cache, 0, 5, most + 1));
	CHECK(stats().too_large == 4);
}

/* Of every size: found as it was put, in the smallest cache and in a larger one. */
static void
values_of_all_sizes(void)
{
	static char data[SMALL];
	uint64_t	sizes[] = {kalam_cache_least_bytes(PROCESSES), SMALL, 3 * SMALL + 123};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char) unit_random();
	for (int s = 0; s < 3; s++)
	{
		uint64_t	most;

		new_cache(sizes[s]);
		most = kalam_cache_max_value_bytes(cache);
		CHECK(most >= 8192 && most < sizeof(data));
		for (uint64_t len = 0; len <= most; len += 1 + len / (s == 0 ? 400 : 40))
		{
			KalamCacheKey k = {.data = data + len % 100, .len = (uint32_t) (len % 300), .group = 1, .hash = len};
			KalamCacheValue v;

			CHECK(put_at(&k, data + len % 777, len, 10) == KALAM_CACHE_STORED);
			if (!CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED || len == 0))
				continue;
			CHECK(v.len == len && (len == 0 || memcmp(v.data, data + len % 777, len) == 0));
			if (len > 0)
				kalam_cache_unpin(cache, 1, v.pin);
		}
		CHECK(stats().pins == 0 && stats().full == 0);
	}
}

/* What is asked for stays while what is not comes and goes. */
static void
what_is_asked_for_stays(void)
{
	char		name[20];
	int			there = 0;

	new_cache(SMALL);
	for (int i = 0; i < 20000; i++)
	{
		snprintf(name, sizeof(name), "cold%d", i);
		CHECK(put(name, "a value of some sixty bytes, as short rows in a table may have") ==
			  KALAM_CACHE_STORED);
		if (i < 500)
		{
			snprintf(name, sizeof(name), "hot%d", i);
			CHECK(put(name, "hot") == KALAM_CACHE_STORED);
		}
		for (int j = i % 100; j < 500 && j <= i; j += 100)
		{
			snprintf(name, sizeof(name), "hot%d", j);
			has(name, "hot");
		}
	}
	for (int i = 0; i < 500; i++)
	{
		snprintf(name, sizeof(name), "hot%d", i);
		there += has(name, "hot");
	}
	CHECK(there >= 495);
	CHECK(stats().evictions > 10000);
}

/* A run of segments has a second chance as well. */
static void
a_large_value_that_is_asked_for_stays(void)
{
	static char big[100000];
	KalamCacheKey k = key_of("big");
	KalamCacheValue v;
	char		name[20];

	new_cache(SMALL);
	memset(big, 'b', sizeof(big));
	CHECK(put_at(&k, big, 90000, 10) == KALAM_CACHE_STORED);
	for (int i = 0; i < 20000; i++)
	{
		snprintf(name, sizeof(name), "cold%d", i);
		CHECK(put(name, "a value of some sixty bytes, as short rows in a table may have") ==
			  KALAM_CACHE_STORED);
		if (i % 1000 == 0)
		{
			if (CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED))
			{
				CHECK(memcmp(v.data, big, 90000) == 0);
				kalam_cache_unpin(cache, 1, v.pin);
			}
		}
	}
	/* and goes when it is not */
	for (int i = 0; i < 30000; i++)
	{
		snprintf(name, sizeof(name), "cold%d", i);
		CHECK(put(name, "a value of some sixty bytes, as short rows in a table may have") ==
			  KALAM_CACHE_STORED);
	}
	CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_MISS);
}

static void
the_doorkeeper_wants_what_was_asked_about(void)
{
	char		name[20];
	int			again = 0;
	int			once = 0;

	new_cache(SMALL);
	CHECK(kalam_cache_wants(cache, 0, 1, 100));	/* there is room */
	CHECK(!kalam_cache_wants(cache, 0, 2, SMALL / 32));	/* not for so large a value */
	CHECK(stats().refused == 1);
	CHECK(kalam_cache_wants(cache, 0, 2, SMALL / 32));

	for (int i = 0; i < 20000; i++)
	{
		snprintf(name, sizeof(name), "%d", i);
		CHECK(put(name, "a value of some sixty bytes, as short rows in a table may have") ==
			  KALAM_CACHE_STORED);
	}
	for (uint64_t i = 0; i < 1000; i++)
	{
		once += kalam_cache_wants(cache, 0, kalam_hash(&i, 8, 1), 100);
		again += kalam_cache_wants(cache, 0, kalam_hash(&i, 8, 1), 100);
	}
	CHECK(once < 50);
	CHECK(again > 990);

	/* long ago is forgotten */
	again = once = 0;
	for (uint64_t i = 0; i < 200000; i++)
		once += kalam_cache_wants(cache, 0, kalam_hash(&i, 8, 2), 100);
	for (uint64_t i = 0; i < 1000; i++)
		again += kalam_cache_wants(cache, 0, kalam_hash(&i, 8, 1), 100);
	CHECK(once < 10000 && again < 100);

	/* a key that was in use, and whose value changed, is wanted again at once */
	CHECK(has("19999", "a value of some sixty bytes, as short rows in a table may have"));
	atomic_store(&changed, 100);
	CHECK(has("19999", NULL));
	CHECK(kalam_cache_wants(cache, 0, kalam_hash("19999", 5, 0), 100));

	/* an empty one wants again */
	CHECK(!kalam_cache_wants(cache, 0, 12345, 100));
	kalam_cache_clear(cache, 0);
	CHECK(kalam_cache_wants(cache, 0, 123456, 100));
}

/*
 * A million puts of random sizes, some pinned for a while: what is asked for again is there
 * as often at the end as at the beginning, and as many bytes are in use.
 */
static void
the_arena_does_not_decay(void)
{
	static char data[70000];
	uint32_t	pins[8];
	uint64_t	bytes[2] = {0};
	uint64_t	hits[2] = {0};
	uint64_t	full[2] = {0};

	for (int i = 0; i < 8; i++)
		pins[i] = UINT32_MAX;
	new_cache(SMALL);
	for (uint64_t i = 0; i < LONG_RUN(1000000); i++)
	{
		uint64_t	id = unit_random_below(4000);
		uint64_t	len = unit_random_below(100) == 0 ? unit_random_below(70000) : unit_random_below(300);
		KalamCacheKey k = {.data = &id, .len = 8, .group = 1, .hash = kalam_hash(&id, 8, 0)};
		KalamCacheValue v;
		int			late = i >= LONG_RUN(600000);
		KalamCacheFind found = find_key(&k, UINT64_MAX, 64, &v);

		if (found == KALAM_CACHE_PINNED)
		{
			uint32_t   *slot = &pins[unit_random_below(8)];

			if (*slot != UINT32_MAX)
				kalam_cache_unpin(cache, 1, *slot);
			*slot = v.pin;
		}
		else if (found == KALAM_CACHE_MISS)
		{
			KalamCachePut result = put_at(&k, data, len, i);

			CHECK(result == KALAM_CACHE_STORED || result == KALAM_CACHE_FULL);
			full[late] += result == KALAM_CACHE_FULL;
		}
		if (i >= LONG_RUN(200000))
		{
			bytes[late] += stats().bytes / 1000;
			hits[late] += found != KALAM_CACHE_MISS;
		}
	}
	CHECK(hits[1] > hits[0] * 9 / 10 && hits[0] > LONG_RUN(100000));
	CHECK(bytes[1] > bytes[0] * 19 / 20 && bytes[0] / LONG_RUN(400) > SMALL / 3);
	CHECK(full[1] < 100 + full[0] * 11 / 10);
}

/* ---- against a map ---- */

#define IDS	600

/* Every hit is the last value put, at its stamp; counters agree with what was seen. */
static void
hits_agree_with_a_map(void)
{
	static char data[200000];
	static struct
	{
		uint64_t	stamp;
		uint32_t	len;
		uint32_t	from;
	}			map[IDS];
	static _Atomic uint64_t words[IDS];
	uint64_t	sizes[] = {kalam_cache_least_bytes(PROCESSES), SMALL};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char) unit_random();
	for (int s = 0; s < 2; s++)
	{
		uint64_t	pub = 1;
		uint64_t	hits = 0;
		uint64_t	held = 0;
		uint64_t	most;
		struct
		{
			KalamCacheValue v;
			uint32_t	from;
		}			pins[16];

		new_cache(sizes[s]);
		most = kalam_cache_max_value_bytes(cache);
		memset(map, 0, sizeof(map));
		for (int i = 0; i < IDS; i++)
			atomic_store(&words[i], 0);
		for (int step = 0; step < LONG_RUN(300000); step++)
		{
			uint64_t	id = unit_random_below(IDS);
			KalamCacheKey k = {.data = &id, .len = 8, .group = (uint32_t) (id % 5), .hash = id % 7 == 0 ? 7 : id};
			KalamCacheAt at = {.stamp = pub, .nwords = 1, .words = {&words[id]}};
			KalamCacheValue v;
			KalamCacheFind found;
			KalamCachePut result;

			switch (unit_random_below(20))
			{
				case 0:			/* the value changes */
					map[id].len = (uint32_t) unit_random_below(unit_random_below(20) ? 200 : most);
					map[id].from = (uint32_t) unit_random_below(sizeof(data) - most);
					map[id].stamp = pub + 1;
					atomic_store(&words[id], pub + 1);
					pub++;
					break;
				case 1:
					if (held > 0)
					{
						uint64_t	which = unit_random_below(held);

						CHECK(memcmp(pins[which].v.data, data + pins[which].from, pins[which].v.len) == 0);
						kalam_cache_unpin(cache, 1, pins[which].v.pin);
						pins[which] = pins[--held];
					}
					break;
				case 2:
					if (step % 50 == 0)
						kalam_cache_invalidate_group(cache, 1, k.group);
					break;
				case 3:			/* a late put of a value that is not true any more */
					if (map[id].stamp > 0)
					{
						result = put_at(&k, "wrong", 5, map[id].stamp - 1);
						CHECK(result != KALAM_CACHE_RACED && result != KALAM_CACHE_TOO_LARGE);
					}
					break;
				default:
					found = kalam_cache_find(cache, 1, &k, &at, buffer, 128, &v);
					if (found == KALAM_CACHE_MISS)
					{
						result = put_at(&k, data + map[id].from, map[id].len, pub);
						CHECK(result == KALAM_CACHE_STORED || result == KALAM_CACHE_FULL);
						break;
					}
					hits++;
					CHECK(v.len == map[id].len);
					CHECK(memcmp(v.data, data + map[id].from, v.len) == 0);
					CHECK(v.stamp >= map[id].stamp && v.stamp <= pub);
					if (found == KALAM_CACHE_PINNED)
					{
						if (held < (s == 0 ? 3 : 16))
						{
							pins[held].from = map[id].from;
							pins[held++].v = v;
						}
						else
							kalam_cache_unpin(cache, 1, v.pin);
					}
			}
		}
		CHECK(hits > LONG_RUN(50000) && stats().hits == hits && stats().pins == held);
		CHECK(stats().corrupt == 0);
		CHECK(stats().inserts == stats().entries + stats().evictions + stats().invalidations + stats().expired);
		kalam_cache_clear(cache, 0);
		CHECK(stats().entries == 0 && stats().bytes == 0);
	}
}

int
main(void)
{
	unit_run(what_is_put_is_found);
	unit_run(empty_keys_and_values_are_such);
	unit_run(the_parts_come_one_behind_the_other);
	unit_run(keys_of_one_hash_are_told_apart);
	unit_run(an_entry_answers_between_the_last_change_and_the_next);
	unit_run(the_newest_of_all_words_counts);
	unit_run(the_newer_stays);
	unit_run(entries_expire);
	unit_run(a_group_is_invalidated_and_puts_under_way_with_it);
	unit_run(an_old_ticket_is_never_found);
	unit_run(a_tag_of_a_group_is_invalidated);
	unit_run(what_is_pinned_stays_until_the_last_unpin);
	unit_run(a_cache_full_of_pins_refuses_and_recovers);
	unit_run(a_set_full_of_pins_refuses);
	unit_run(too_large_is_refused);
	unit_run(values_of_all_sizes);
	unit_run(what_is_asked_for_stays);
	unit_run(a_large_value_that_is_asked_for_stays);
	unit_run(the_doorkeeper_wants_what_was_asked_about);
	unit_run(the_arena_does_not_decay);
	unit_run(hits_agree_with_a_map);
	return unit_finish("test_cache");
}
