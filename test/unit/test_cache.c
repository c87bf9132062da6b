/*
 * test_cache.c
 *	  The shared cache (src/shared/cache.h) in one process: what each function says, and
 *	  a comparison with a plain map.  Room, pins and death: test_cache_room.
 */
#include "test/unit/cache_fixture.h"

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
	CHECK((uintptr_t) v.data % 8 == 0 && v.data != buffer);
	CHECK(v.len == 5 && v.tag == 7 && v.stamp == 10);
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
			KalamCacheKey k = {.data = &id, .len = 8, .group = (uint32_t) (id % 5),
			.hash = id % 7 == 0 ? 7 : id};
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
		CHECK(stats().inserts ==
			  stats().entries + stats().evictions + stats().invalidations + stats().expired);
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
	unit_run(hits_agree_with_a_map);
	return unit_finish("test_cache");
}
