/*
 * test_changes.c
 *	  A transaction's changes that do not fit in memory: spills, rollbacks,
 *	  scans that stay open, failures; compared with a naive model.
 */
#include "test/unit/changes_model.h"
#include "test/unit/unit.h"
#include "src/shared/key_filter.h"

static uint64_t
random_number(void *arg, uint64_t below)
{
	(void) arg;
	return unit_random() % below;
}

static World *
world_new(size_t bound)
{
	World	   *w = calloc(1, sizeof(World));

	w->number = random_number;
	w->bound = bound;
	world_begin(w);
	return w;
}

static void
world_done(World *w)
{
	CHECK(world_end(w));
	world_free_all(w);
	free(w);
}

static void
put(World *w, const char *key, size_t key_len, uint32_t sub, size_t value_len)
{
	KalamStagedVersion *v;

	if (kalam_changes_full(w->changes, w->bound))
	{
		kalam_changes_spill(w->changes, w->bound);
		w->spills++;
	}
	v = kalam_changes_add(w->changes, key, key_len, KALAM_CHANGE_PUT, 1, sub, value_len);
	memset(v->value, 'v', value_len);
}

static void
put_number(World *w, uint32_t number, uint32_t sub)
{
	uint8_t		key[4];

	kalam_put_be32(key, number);
	put(w, (char *) key, 4, sub, 20);
}

static bool
has_number(World *w, uint32_t number)
{
	uint8_t		key[4];
	KalamVersion v;

	kalam_put_be32(key, number);
	return kalam_changes_find(w->changes, key, 4, KALAM_ANY_COMMAND, &v);
}

static void
memory_stays_bounded_and_runs_stay_few(void)
{
	World	   *w = world_new(64 * 1024);

	for (uint32_t i = 0; i < 400000; i++)
		put_number(w, i * 7919 % 400000, 1);
	CHECK(w->spills > 100);
	CHECK(w->most_files < 40);
	CHECK(kalam_changes_count(w->changes) == 400000);
	CHECK(kalam_changes_memory_bytes(w->changes) == w->counted.bytes);
	CHECK(w->counted.bytes < 6 * w->bound);
	for (uint32_t i = 0; i < 400000; i += 1000)
		CHECK(has_number(w, i));
	CHECK(!has_number(w, 400000));
	world_done(w);
}

static void
all_keys_are_found_in_both_directions(void)
{
	World	   *w = world_new(64 * 1024);
	KalamStagedMemory memory = {world_alloc, world_free, w};
	KalamChangesScan *s;
	KalamVersion v;
	uint32_t	n = 0;

	for (uint32_t i = 0; i < 50000; i++)
		put_number(w, i * 7919 % 50000, 1);
	s = kalam_changes_scan_open(w->changes, &memory, (uint8_t *) "", 0, NULL, 0,
								KALAM_ANY_COMMAND, 0);
	for (; kalam_changes_scan_next(s, &v); n++)
		CHECK(kalam_get_be32(v.key) == n);
	CHECK(n == 50000);
	kalam_changes_scan_close(s);
	s = kalam_changes_scan_open(w->changes, &memory, (uint8_t *) "", 0, (uint8_t *) "\377", 1,
								KALAM_ANY_COMMAND, KALAM_CHANGES_REVERSE);
	for (; kalam_changes_scan_next(s, &v); n--)
		CHECK(kalam_get_be32(v.key) == n - 1);
	CHECK(n == 0);
	kalam_changes_scan_close(s);
	world_done(w);
}

static void
a_run_that_is_rolled_back_goes_at_once(void)
{
	World	   *w = world_new(64 * 1024);
	int			open = 0;

	put_number(w, 1, 1);
	kalam_changes_spill(w->changes, w->bound);
	for (uint32_t i = 2; i < 5000; i++)
	{
		put_number(w, i, 2 + i / 1000);
		if (i % 1000 == 999)
			kalam_changes_sub_committed(w->changes, 2 + i / 1000, 2);
	}
	CHECK(kalam_changes_bytes(w->changes) > 100000);
	kalam_changes_sub_aborted(w->changes, 2);
	for (int i = 0; i < WORLD_FILES; i++)
		open += w->files[i].open;
	CHECK(open == 1);
	CHECK(has_number(w, 1) && !has_number(w, 2) && !has_number(w, 4999));
	world_done(w);
}

static void
a_loop_of_rolled_back_subtransactions_does_not_grow(void)
{
	World	   *w = world_new(64 * 1024);
	size_t		bytes = 0;
	uint32_t	sub = 1;

	for (int i = 0; i < 20000; i++)
	{
		for (uint32_t n = 0; n < 20; n++)
			put_number(w, (uint32_t) unit_random(), sub + 1);
		kalam_changes_sub_aborted(w->changes, ++sub);
		/* every second one stays */
		put_number(w, (uint32_t) i, ++sub);
		kalam_changes_sub_committed(w->changes, sub, 1);
		if (i == 10000)
			bytes = w->counted.bytes;
	}
	CHECK(w->counted.bytes < bytes + w->bound);
	for (uint32_t i = 0; i < 20000; i += 100)
		CHECK(has_number(w, i));
	world_done(w);
}

static void
many_versions_of_a_key_span_blocks(void)
{
	World	   *w = world_new(64 * 1024);
	KalamVersion v;
	KalamStagedVersion *s;

	for (uint32_t i = 1; i <= 5000; i++)
	{
		if (i % 1000 == 0)
			kalam_changes_spill(w->changes, w->bound);
		s = kalam_changes_add(w->changes, "key", 3, KALAM_CHANGE_PUT, i, 1, sizeof(i));
		memcpy(s->value, &i, sizeof(i));
	}
	for (uint32_t i = 2; i <= 5001; i += 7)
		for (int reverse = 0; reverse < 2; reverse++)
		{
			KalamStagedMemory memory = {world_alloc, world_free, w};
			KalamChangesScan *scan =
				kalam_changes_scan_open(w->changes, &memory, (uint8_t *) "a", 1, (uint8_t *) "z",
										1, i, reverse ? KALAM_CHANGES_REVERSE : 0);
			uint32_t	found = 0;

			CHECK(kalam_changes_find(w->changes, (uint8_t *) "key", 3, i, &v));
			memcpy(&found, v.value, sizeof(found));
			CHECK(found == i - 1);
			CHECK(kalam_changes_scan_next(scan, &v));
			memcpy(&found, v.value, sizeof(found));
			CHECK(found == i - 1);
			CHECK(!kalam_changes_scan_next(scan, &v));
			kalam_changes_scan_close(scan);
			i += 7 * (i > 200 && i < 4800);
		}
	world_done(w);
}

static void
a_run_from_elsewhere_is_of_its_subtransaction(void)
{
	World	   *w = world_new(64 * 1024);
	KalamVersion v = {.value = (uint8_t *) "12345678", .value_len = 8, .op = KALAM_CHANGE_PUT,
					  .command_id = 3};
	uint8_t		key[4];

	put_number(w, 1, 1);
	put_number(w, 5000, 7);
	v.key = key;
	v.key_len = sizeof(key);
	for (v.sub = 1; v.sub <= 8; v.sub += 7)
	{
		kalam_changes_run_begin(w->changes, w->bound, 1000);
		for (uint32_t i = 0; i < 1000; i++)
		{
			kalam_put_be32(key, v.sub * 10000 + i);
			kalam_changes_run_put(w->changes, &v);
		}
		kalam_changes_run_end(w->changes);
	}
	kalam_changes_run_begin(w->changes, w->bound, 0);
	kalam_changes_run_end(w->changes);
	CHECK(kalam_changes_count(w->changes) == 2002);
	kalam_put_be32(key, 10999);
	CHECK(kalam_changes_find(w->changes, key, 4, 4, &v) && v.command_id == 3);
	CHECK(!kalam_changes_find(w->changes, key, 4, 3, &v));
	kalam_changes_sub_aborted(w->changes, 7);
	CHECK(has_number(w, 1) && has_number(w, 10000) && has_number(w, 10999));
	CHECK(!has_number(w, 5000) && !has_number(w, 80000));
	CHECK(kalam_changes_count(w->changes) == 1001);
	world_done(w);
}

static void
what_is_taken_off_the_log_leaves_no_keys(void)
{
	World	   *w = world_new(64 << 20);
	KalamStagedMark mark;
	size_t		bytes = 0;

	put_number(w, 2000000, 1);
	put_number(w, 2000000, 1);
	mark = kalam_staged_mark(kalam_changes_in_memory(w->changes));
	for (uint32_t round = 0; round < 20; round++)
	{
		for (uint32_t i = 0; i < 5000; i++)
			put_number(w, round * 5000 + i, 1);
		kalam_changes_pop_to(w->changes, mark);
		if (round == 0)
			bytes = w->counted.bytes;
		CHECK(w->counted.bytes == bytes);
	}
	CHECK(kalam_changes_count(w->changes) == 2 && has_number(w, 2000000));
	CHECK(!kalam_changes_any_in(w->changes, (uint8_t *) "", 0, (uint8_t *) "\0\020", 2));
	world_done(w);
}

static void
a_filter_has_every_key_and_few_others(void)
{
	KalamKeyFilter f;
	uint32_t	wrong = 0;

	kalam_filter_size(&f, 10000, 1 << 20);
	CHECK(f.nlines > 0);
	f.lines = calloc(f.nlines, KALAM_FILTER_LINE_BYTES);
	for (uint32_t i = 0; i < 10000; i++)
		kalam_filter_add(&f, kalam_run_hash((uint8_t *) &i, sizeof(i)));
	for (uint32_t i = 0; i < 10000; i++)
		CHECK(kalam_filter_may_have(&f, kalam_run_hash((uint8_t *) &i, sizeof(i))));
	for (uint32_t i = 10000; i < 110000; i++)
		wrong += kalam_filter_may_have(&f, kalam_run_hash((uint8_t *) &i, sizeof(i)));
	CHECK(wrong < 2500);
	free(f.lines);

	/* one that would be too full is none, and lets everything through */
	kalam_filter_size(&f, 1000000, 4096);
	CHECK(f.nlines == 0 && kalam_filter_may_have(&f, 1));
}

static void
random_work_agrees_with_the_model(void)
{
	static const size_t bounds[] = {1024, 8 * 1024, 64 * 1024};

	for (int round = 0; round < 24; round++)
	{
		World	   *w = world_new(bounds[round % 3]);
		bool		good = true;

		for (int step = 0; good && step < 4000; step++)
		{
			good = world_step(w);
			if (good && step % 200 == 0)
				good = world_agrees(w, (uint32_t) (unit_random() % (w->command_id + 2)));
		}
		CHECK(good);
		CHECK(world_agrees(w, KALAM_ANY_COMMAND));
		CHECK(kalam_changes_memory_bytes(w->changes) <= w->counted.bytes);
		world_done(w);
	}
}

int
main(void)
{
	unit_run(memory_stays_bounded_and_runs_stay_few);
	unit_run(all_keys_are_found_in_both_directions);
	unit_run(a_run_that_is_rolled_back_goes_at_once);
	unit_run(a_loop_of_rolled_back_subtransactions_does_not_grow);
	unit_run(many_versions_of_a_key_span_blocks);
	unit_run(a_run_from_elsewhere_is_of_its_subtransaction);
	unit_run(what_is_taken_off_the_log_leaves_no_keys);
	unit_run(a_filter_has_every_key_and_few_others);
	unit_run(random_work_agrees_with_the_model);
	return unit_finish("changes");
}
