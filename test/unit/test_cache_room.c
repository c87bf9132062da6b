/*
 * test_cache_room.c
 *	  The room of the shared cache: pins, tiny caches, values of all sizes, what stays and
 *	  what goes, and what processes that died in the middle leave.
 */
#include "test/unit/cache_fixture.h"

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
		for (uint64_t len = 0; len <= most; len += 1 + len / (s == 0 ? LONG_RUN(400) : LONG_RUN(40)))
		{
			KalamCacheKey k = {.data = data + len % 100, .len = (uint32_t) (len % 300),
			.group = 1, .hash = len};
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

/* ---- what is kept of more than there is room for ---- */

#define SKEWED_IDS	40000

/* Ids from 0; the smaller, the more often. */
static uint32_t
skewed_id(void)
{
	uint64_t	u = unit_random_below(1 << 16);

	return (uint32_t) (((u * u >> 16) * u >> 16) * SKEWED_IDS >> 16);
}

/* Least recently used goes: `room` ids, a list from the last used on.  Was it there? */
typedef struct UsedList
{
	uint32_t	next[SKEWED_IDS + 1];	/* of SKEWED_IDS: the first */
	uint32_t	previous[SKEWED_IDS + 1];
	bool		there[SKEWED_IDS];
	uint32_t	n;
} UsedList;

static void
unlink_id(UsedList *list, uint32_t id)
{
	list->next[list->previous[id]] = list->next[id];
	list->previous[list->next[id]] = list->previous[id];
	list->there[id] = false;
	list->n--;
}

static bool
use_id(UsedList *list, uint32_t id, uint32_t room)
{
	bool		was_there = list->there[id];

	if (was_there)
		unlink_id(list, id);
	else if (list->n >= room)
		unlink_id(list, list->previous[SKEWED_IDS]);
	list->next[id] = list->next[SKEWED_IDS];
	list->previous[id] = SKEWED_IDS;
	list->previous[list->next[id]] = id;
	list->next[SKEWED_IDS] = id;
	list->there[id] = true;
	list->n++;
	return was_there;
}

/* It keeps what is asked for at least as well as a list of the same length by last use. */
static void
what_is_asked_for_more_often_is_kept(void)
{
	static UsedList used;
	static char value[120];
	uint64_t	hits = 0;
	uint64_t	hits_of_list = 0;
	uint32_t	n = LONG_RUN(600000) > 150000 ? LONG_RUN(600000) : 150000;
	uint32_t	room;

	new_cache(SMALL);
	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t	id = skewed_id();
		KalamCacheKey k = {.data = &id, .len = 8, .group = 1, .hash = kalam_hash(&id, 8, 0)};
		KalamCacheValue v;
		bool		found = find_key(&k, UINT64_MAX, sizeof(buffer), &v) != KALAM_CACHE_MISS;

		hits += found && i > n / 2;
		if (!found && kalam_cache_wants(cache, 0, k.hash, sizeof(value)))
			CHECK(put_at(&k, value, sizeof(value), 10) == KALAM_CACHE_STORED);
	}
	room = (uint32_t) stats().entries;
	CHECK(room > SMALL / 300 && room < SKEWED_IDS / 4);

	used.next[SKEWED_IDS] = used.previous[SKEWED_IDS] = SKEWED_IDS;
	for (uint32_t i = 0; i < n; i++)
		hits_of_list += use_id(&used, skewed_id(), room) && i > n / 2;
	CHECK(hits > hits_of_list && hits_of_list > n / 8);
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

/* ---- pins among what comes and goes ---- */

/* A pinned record takes its own room from its segment, no more. */
static void
segments_with_pins_are_used_around_them(void)
{
	enum
	{
		NPINS = 12
	};
	uint32_t	pins[NPINS];
	KalamCacheValue kept[NPINS];
	char		name[20];

	new_shape(64, 4, 256);
	for (int i = 0; i < 400; i++)
	{
		snprintf(name, sizeof(name), "%d", i);
		CHECK(put(name, "a value of about forty bytes or not far") == KALAM_CACHE_STORED);
		if (i % 9 == 0 && i / 9 < NPINS)
		{
			KalamCacheKey k = key_of(name);

			CHECK(find_key(&k, UINT64_MAX, 0, &kept[i / 9]) == KALAM_CACHE_PINNED);
			pins[i / 9] = kept[i / 9].pin;
		}
	}
	CHECK(stats().full == 0 && stats().evictions > 200);
	for (int i = 0; i < NPINS; i++)
	{
		snprintf(name, sizeof(name), "%d", 9 * i);
		CHECK(memcmp(kept[i].data, "a value of about forty bytes or not far", kept[i].len) == 0);
		CHECK(has(name, "a value of about forty bytes or not far"));
		kalam_cache_unpin(cache, 0, pins[i]);
	}
	CHECK(stats().pins == 0);
}

/* A large value takes a whole segment; what was asked for there goes on in the open one. */
static void
a_large_value_spares_what_was_asked_for(void)
{
	static char big[1024];
	KalamCacheKey k = key_of("big");
	char		name[20];

	/* segment 0 is open; the hand is at 1 after a round */
	new_shape(64, 4, 256);
	for (int i = 0; i < 32 * 4; i++)
	{
		snprintf(name, sizeof(name), "%d", i);
		CHECK(put(name, "a value that takes eight words with its key") == KALAM_CACHE_STORED);
	}
	CHECK(stats().entries == 32 * 4);
	CHECK(put("next", "x") == KALAM_CACHE_STORED);
	CHECK(stats().entries == 32 * 3 + 1);	/* it turned over segment 0 */
	for (int i = 32; i < 64; i += 4)
	{
		snprintf(name, sizeof(name), "%d", i);
		CHECK(has(name, "a value that takes eight words with its key"));
	}
	CHECK(put_at(&k, big, sizeof(big), 10) == KALAM_CACHE_STORED);
	for (int i = 32; i < 64; i++)
	{
		snprintf(name, sizeof(name), "%d", i);
		CHECK(has(name, i % 4 == 0 ? "a value that takes eight words with its key" : NULL));
	}
	CHECK(stats().entries == 32 * 2 + 1 + 8 + 1);
}

/* ---- processes that died ---- */

static void
many_puts_go_well(void)
{
	char		name[20];

	for (int i = 0; i < 1000; i++)
	{
		snprintf(name, sizeof(name), "go%d", i);
		CHECK(put(name, "some value or other") == KALAM_CACHE_STORED);
		CHECK(has(name, "some value or other"));
	}
}

static void
one_that_died_while_it_wrote_costs_a_segment(void)
{
	KalamCacheRoom room;

	new_shape(64, 4, 256);
	CHECK(kalam_cache_take_room(cache, 0, 100, &room) && room.nsegments == 0);
	many_puts_go_well();
	CHECK(kalam_cache_take_room(cache, 0, 200, &room) && room.nsegments == 1);
	many_puts_go_well();
}

static void
one_that_died_with_an_entry_costs_the_entry(void)
{
	new_shape(1, 4, 256);
	for (uint32_t i = 1; i < KALAM_CACHE_WAYS; i++)
		kalam_cache_entry(cache, i)->word |= ENTRY_BUSY;
	many_puts_go_well();
	kalam_cache_clear(cache, 0);
	kalam_cache_entry(cache, 0)->word |= ENTRY_BUSY;
	CHECK(put("a", "b") == KALAM_CACHE_FULL);
}

/* between its last unpin and what that entails */
static void
one_that_died_after_its_last_unpin_costs_nothing(void)
{
	uint32_t	pins[KALAM_CACHE_WAYS];
	char		name[2] = "a";

	new_shape(1, 4, 256);
	for (int i = 0; i < KALAM_CACHE_WAYS; i++, name[0]++)
	{
		CHECK(put(name, "v") == KALAM_CACHE_STORED);
		pins[i] = pin(name);
	}
	CHECK(kalam_cache_clear(cache, 0) == KALAM_CACHE_WAYS);
	CHECK(put("z", "v") == KALAM_CACHE_FULL);
	for (int i = 0; i < KALAM_CACHE_WAYS; i++)
		kalam_cache_entry(cache, pins[i])->word -= ENTRY_PIN;
	many_puts_go_well();
}

static void
one_that_died_while_it_turned_over_costs_some_puts(void)
{
	char		name[20];
	int			refused = 0;

	new_shape(64, 4, 256);
	many_puts_go_well();
	cache->open |= UINT64_C(1) << 32;
	kalam_cache_segment(cache, (cache->open + 2) % 4)->word |= SEGMENT_OWNED;
	for (int i = 0; i < 1000; i++)
	{
		snprintf(name, sizeof(name), "%d", i);
		refused += put(name, "some value or other") == KALAM_CACHE_FULL;
	}
	CHECK(refused > 0 && refused < 100);
	many_puts_go_well();
}

/* ---- bytes that are not those that were put ---- */

static void
wrong_bytes_are_noticed(void)
{
#ifdef KALAM_CHECKED
	for (uint32_t size = 0; size <= 8; size += 8)
	{
		KalamCacheKey k = key_of("key");
		KalamCacheValue v;

		new_cache(SMALL);
		CHECK(put("key", "value") == KALAM_CACHE_STORED);
		CHECK(find_key(&k, UINT64_MAX, 0, &v) == KALAM_CACHE_PINNED);
		kalam_cache_unpin(cache, 1, v.pin);
		*(char *) v.data ^= 1;
		CHECK(find_key(&k, UINT64_MAX, size, &v) == KALAM_CACHE_MISS);
		CHECK(stats().corrupt == 1 && stats().entries == 0 && stats().pins == 0);
	}
#else
	CHECK(kalam_cache_checksum("a", 1, "b", 1) == 0);
#endif
}

int
main(void)
{
	unit_run(what_is_pinned_stays_until_the_last_unpin);
	unit_run(a_cache_full_of_pins_refuses_and_recovers);
	unit_run(a_set_full_of_pins_refuses);
	unit_run(too_large_is_refused);
	unit_run(values_of_all_sizes);
	unit_run(what_is_asked_for_stays);
	unit_run(a_large_value_that_is_asked_for_stays);
	unit_run(the_doorkeeper_wants_what_was_asked_about);
	unit_run(what_is_asked_for_more_often_is_kept);
	unit_run(the_arena_does_not_decay);
	unit_run(segments_with_pins_are_used_around_them);
	unit_run(a_large_value_spares_what_was_asked_for);
	unit_run(one_that_died_while_it_wrote_costs_a_segment);
	unit_run(one_that_died_with_an_entry_costs_the_entry);
	unit_run(one_that_died_after_its_last_unpin_costs_nothing);
	unit_run(one_that_died_while_it_turned_over_costs_some_puts);
	unit_run(wrong_bytes_are_noticed);
	return unit_finish("test_cache_room");
}
