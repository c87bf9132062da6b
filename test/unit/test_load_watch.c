/*
 * test_load_watch.c
 *	  Notes of what is written: each key once, or that there are more; and that who
 *	  looks behind the opening of a watch misses nothing that was told.
 */
#include "src/storage/load_watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/shared/protocol.h"
#include "src/shared/segment.h"
#include "test/unit/unit.h"

#define KEY_BYTES 13

static void
make_key(uint8_t *key, uint32_t object, uint64_t n)
{
	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_ROW);
	kalam_put_be64(key + KALAM_KEY_PREFIX_BYTES, n);
}

static void
add(KeyNotes *n, uint32_t object, uint64_t number)
{
	uint8_t		key[KEY_BYTES];

	make_key(key, object, number);
	key_notes_add(n, key, sizeof(key));
}

/* Tells of keys from .. to - 1 as one group. */
static void
write_keys(uint32_t object, uint64_t from, uint64_t to)
{
	KeyNotes	n = {0};

	while (from < to)
		add(&n, object, from++);
	load_watch_tell(&n);
	key_notes_free(&n);
}

/* Takes the notes: how often each of the first keys of the object is in; -1: all. */
static int
taken(LoadWatch *w, uint32_t object, uint8_t *counts, uint64_t nkeys)
{
	LoadWatchNotes notes;
	const uint8_t *key;
	size_t		len;
	size_t		at = 0;
	int			n = 0;

	memset(counts, 0, nkeys);
	load_watch_take(w, &notes);
	while (load_watch_next(&notes, &at, &key, &len))
	{
		uint64_t	number = len == KEY_BYTES ? kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES) : nkeys;

		if (CHECK(number < nkeys && kalam_get_be32(key) == object))
			counts[number]++;
		n++;
	}
	if (notes.all)
		n = CHECK(n == 0) ? -1 : -2;
	load_watch_free(&notes);
	return n;
}

static bool
all_are(const uint8_t *counts, uint64_t from, uint64_t to, uint8_t count)
{
	while (from < to && counts[from] == count)
		from++;
	return from == to;
}

static void
test_notes(void)
{
	LoadWatch  *w = load_watch_open(300);
	LoadWatch  *other = load_watch_open(301);
	LoadWatch  *late;
	uint8_t		counts[3000];
	KeyNotes	n = {0};
	uint8_t		key[KEY_BYTES];

	CHECK(taken(w, 300, counts, 3000) == 0);
	write_keys(300, 0, 1000);
	late = load_watch_open(300);
	write_keys(300, 500, 1500);
	write_keys(301, 7, 9);
	CHECK(taken(w, 300, counts, 3000) == 1500);
	CHECK(all_are(counts, 0, 1500, 1));
	CHECK(taken(late, 300, counts, 3000) == 1000);
	CHECK(all_are(counts, 0, 500, 0) && all_are(counts, 500, 1500, 1));
	CHECK(taken(other, 301, counts, 3000) == 2);
	CHECK(counts[7] == 1 && counts[8] == 1);
	CHECK(taken(w, 300, counts, 3000) == 0);
	load_watch_close(late);

	/* a group of several objects, and keys that are beginnings of others */
	make_key(key, 300, 1);
	key_notes_add(&n, key, KEY_BYTES - 1);
	key_notes_add(&n, key, KEY_BYTES);
	add(&n, 301, 2);
	load_watch_tell(&n);
	load_watch_tell(&n);
	key_notes_clear(&n);
	add(&n, 301, 3);
	load_watch_tell(&n);
	key_notes_free(&n);
	CHECK(taken(other, 301, counts, 3000) == 2);
	CHECK(counts[2] == 1 && counts[3] == 1);
	{
		LoadWatchNotes notes;
		const uint8_t *found;
		size_t		at = 0;
		size_t		len;
		size_t		lens = 0;

		load_watch_take(w, &notes);
		while (load_watch_next(&notes, &at, &found, &len))
			lens += CHECK(memcmp(found, key, len) == 0) ? len : 0;
		CHECK(lens == 2 * KEY_BYTES - 1);
		load_watch_free(&notes);
	}
	load_watch_close(w);
	load_watch_close(other);
}

static void
test_more_than_can_be_noted(void)
{
	LoadWatch  *w = load_watch_open(300);
	LoadWatch  *other = load_watch_open(301);
	uint8_t		counts[100];
	uint8_t		long_key[KALAM_MAX_KEY_BYTES];
	KeyNotes	n = {0};
	int			groups;

	/* of a group */
	write_keys(300, 0, KEY_NOTES_KEYS + 1);
	CHECK(taken(w, 300, counts, 100) == -1);
	CHECK(taken(w, 300, counts, 100) == 0);
	CHECK(taken(other, 301, counts, 100) == 0);

	/* a file: any key of its object, and of no other */
	add(&n, 301, 5);
	key_notes_add_object(&n, 300);
	add(&n, 301, 6);
	load_watch_tell(&n);
	CHECK(taken(w, 300, counts, 100) == -1);
	CHECK(taken(other, 301, counts, 100) == 2);
	key_notes_clear(&n);

	/* a change of no key */
	key_notes_touch(&n, 300);
	load_watch_tell(&n);
	CHECK(taken(w, 300, counts, 100) == 0);
	key_notes_clear(&n);

	/* objects */
	for (uint32_t id = 1000; id < 1000 + KEY_NOTES_OBJECTS; id++)
		add(&n, id, 1);
	add(&n, 300, 1);
	load_watch_tell(&n);
	CHECK(taken(w, 300, counts, 100) == 1);
	CHECK(taken(other, 301, counts, 100) == 0);
	for (uint32_t id = 2000; id < 2000 + KEY_NOTES_OBJECTS; id++)
		key_notes_add_object(&n, id);
	load_watch_tell(&n);
	CHECK(taken(w, 300, counts, 100) == 1);
	CHECK(taken(other, 301, counts, 100) == 0);
	key_notes_add_object(&n, 302);
	load_watch_tell(&n);
	CHECK(taken(w, 300, counts, 100) == -1);
	CHECK(taken(other, 301, counts, 100) == -1);
	key_notes_clear(&n);

	/* of a watch: memory ends, all is said, and it begins anew */
	memset(long_key, 'x', sizeof(long_key));
	for (groups = 0; groups < 100; groups++)
	{
		LoadWatchNotes notes;
		bool		all;
		size_t		len;

		for (int i = 0; i < 100; i++)
		{
			make_key(long_key, 300, (uint64_t) (groups * 100 + i));
			key_notes_add(&n, long_key, sizeof(long_key));
		}
		load_watch_tell(&n);
		key_notes_clear(&n);
		if (groups % 25 != 24)
			continue;
		load_watch_take(w, &notes);
		all = notes.all;
		len = notes.len;
		load_watch_free(&notes);
		if (!CHECK(all && len == 0))
			break;
		write_keys(300, 3, 4);
		CHECK(taken(w, 300, counts, 100) == 1);
	}

	/* what was taken is put back */
	load_watch_note_all(other);
	write_keys(301, 3, 4);
	CHECK(taken(other, 301, counts, 100) == -1);
	CHECK(taken(other, 301, counts, 100) == 0);
	load_watch_close(w);
	load_watch_close(other);
	key_notes_free(&n);
}

/* A transaction of a group is undone, whatever it had added. */
static void
test_undo(void)
{
	KeyNotes	n = {0};
	KeyNotesMark mark;
	LoadWatch  *w = load_watch_open(300);
	uint8_t		counts[100];

	for (int round = 0; round < 5; round++)
	{
		add(&n, 300, 1);
		mark = key_notes_mark(&n);
		for (uint64_t i = 2; i < (round == 1 ? KEY_NOTES_KEYS + 10 : 50); i++)
			add(&n, round == 2 ? 1000 + (uint32_t) i * 7 : 300, i);
		if (round == 3)
			key_notes_add_object(&n, 300);
		if (round == 4)
			for (uint32_t id = 0; id < 2 * KEY_NOTES_OBJECTS; id++)
				key_notes_add_object(&n, 2000 + id);
		key_notes_undo(&n, &mark);
		add(&n, 300, 60);
		load_watch_tell(&n);
		CHECK(n.nkeys == 2 && n.objects.n == 1 && n.whole.n == 0);
		CHECK(!n.full && !n.objects.more && !n.whole.more);
		CHECK(taken(w, 300, counts, 100) == 2);
		CHECK(counts[1] == 1 && counts[60] == 1);
		key_notes_clear(&n);
	}
	key_notes_free(&n);
	load_watch_close(w);
}

/* ---- a store in small: commits and loads at the same time ---- */

#define MODEL_KEYS	2000
#define MODEL_SECONDS 0.4

static struct
{
	_Atomic bool stored[MODEL_KEYS];	/* published */
	_Atomic uint64_t acknowledged;	/* keys below are */
	_Atomic bool end;
}			model;

/* Commits keys in an order, a few at a time, again and again. */
static void *
model_commits(void *arg)
{
	(void) arg;
	while (!atomic_load(&model.end))
	{
		for (uint64_t i = 0; i < MODEL_KEYS; i++)
			atomic_store_explicit(&model.stored[i], false, memory_order_relaxed);
		atomic_store(&model.acknowledged, 0);
		for (uint64_t from = 0; from < MODEL_KEYS; from += 3)
		{
			uint64_t	to = from + 3 < MODEL_KEYS ? from + 3 : MODEL_KEYS;

			for (uint64_t i = from; i < to; i++)
				atomic_store_explicit(&model.stored[i], true, memory_order_relaxed);
			write_keys(300, from, to);
			atomic_store(&model.acknowledged, to);
		}
		/* who has begun ends before the store is emptied */
		atomic_store(&model.acknowledged, UINT64_MAX);
		while (atomic_load(&model.acknowledged) == UINT64_MAX && !atomic_load(&model.end))
			;
	}
	return NULL;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
test_commits_at_the_same_time(void)
{
	pthread_t	thread;
	static bool seen[MODEL_KEYS];
	static uint8_t counts[MODEL_KEYS];
	long		noted = 0,
				found = 0,
				missed = 0;
	double		end = seconds() + MODEL_SECONDS;

	pthread_create(&thread, NULL, model_commits, NULL);
	while (seconds() < end)
	{
		LoadWatch  *w = load_watch_open(300);
		uint64_t	acknowledged;
		uint64_t	start = unit_random_below(MODEL_KEYS);

		for (uint64_t k = 0; k < MODEL_KEYS; k++)
			seen[(start + k) % MODEL_KEYS] =
				atomic_load_explicit(&model.stored[(start + k) % MODEL_KEYS], memory_order_relaxed);
		acknowledged = atomic_load(&model.acknowledged);
		CHECK(taken(w, 300, counts, MODEL_KEYS) >= 0);
		for (uint64_t k = 0; k < MODEL_KEYS && k < acknowledged; k++)
		{
			noted += counts[k] > 0;
			found += seen[k];
			missed += counts[k] == 0 && !seen[k];
		}
		load_watch_close(w);
		if (acknowledged == UINT64_MAX)
			atomic_store(&model.acknowledged, 0);
	}
	atomic_store(&model.end, true);
	pthread_join(thread, NULL);
	CHECK(missed == 0);
	CHECK(noted > 0 && found > 0);
}

int
main(void)
{
	unit_run(test_notes);
	unit_run(test_more_than_can_be_noted);
	unit_run(test_undo);
	unit_run(test_commits_at_the_same_time);
	return unit_finish("load_watch");
}
