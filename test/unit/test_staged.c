/*
 * test_staged.c
 *	  A transaction's changes: what was staged is found, in both orders, until it
 *	  is popped; compared with a naive model.
 */
#include "src/shared/protocol.h"
#include "src/shared/staged.h"
#include "test/unit/staged_model.h"
#include "test/unit/unit.h"

#include <setjmp.h>

static ModelMemory counted;
static const KalamStagedMemory memory = {model_alloc, model_free, &counted};

static KalamStagedVersion *
put(KalamStaged *s, const char *key, uint32_t command_id, const char *value)
{
	size_t		len = strlen(value);
	KalamStagedVersion *v = kalam_staged_add(s, key, strlen(key), KALAM_CHANGE_PUT, command_id, len);

	memcpy(v->value, value, len);
	return v;
}

static void
nothing_staged_is_an_empty_list_and_an_empty_log(void)
{
	KalamStaged *s = kalam_staged_create(&memory);
	KalamStagedWalk walk;
	KalamStagedMark mark = kalam_staged_mark(s);

	CHECK(kalam_staged_count(s) == 0);
	CHECK(kalam_staged_bytes(s) == counted.bytes);
	CHECK(kalam_staged_find(s, "a", 1) == NULL);
	CHECK(kalam_staged_seek(s, "", 0) == NULL);
	CHECK(kalam_staged_seek_before(s, "a", 1) == NULL);
	kalam_staged_pop_to(s, mark);
	kalam_staged_walk(&walk, s, 0);
	CHECK(kalam_staged_walk_next(&walk) == NULL);

	/* the walk goes on with what is added later */
	put(s, "a", 1, "x");
	CHECK(kalam_staged_walk_next(&walk) != NULL);
	CHECK(kalam_staged_walk_next(&walk) == NULL);
	kalam_staged_destroy(s);
	CHECK(counted.bytes == 0 && counted.blocks == 0);
}

static void
a_command_sees_what_commands_before_it_wrote(void)
{
	KalamStaged *s = kalam_staged_create(&memory);
	KalamStagedVersion *first = put(s, "k", 3, "one");
	KalamStagedVersion *second = put(s, "k", 5, "two");
	KalamStagedKey *k = kalam_staged_find(s, "k", 1);

	CHECK(k != NULL && second->key == k && first->key == k);
	CHECK(kalam_staged_newest(k) == second && second->older == first && first->older == NULL);
	CHECK(kalam_staged_visible(k, 3) == NULL);
	CHECK(kalam_staged_visible(k, 4) == first);
	CHECK(kalam_staged_visible(k, 5) == first);
	CHECK(kalam_staged_visible(k, 6) == second);
	CHECK(memcmp(first->value, "one", 3) == 0 && first->value_len == 3);
	kalam_staged_destroy(s);
}

static void
popping_uncovers_the_version_below_and_leaves_an_empty_entry(void)
{
	KalamStaged *s = kalam_staged_create(&memory);
	KalamStagedVersion *outer = put(s, "a", 1, "outer");
	KalamStagedMark mark = kalam_staged_mark(s);
	KalamStagedKey *k;

	put(s, "a", 2, "inner");
	put(s, "b", 2, "inner");
	put(s, "a", 3, "inner again");
	k = kalam_staged_find(s, "b", 1);
	kalam_staged_pop_to(s, mark);
	CHECK(kalam_staged_count(s) == 1);
	CHECK(kalam_staged_newest(kalam_staged_find(s, "a", 1)) == outer);

	/* a cursor that stands on b can go on */
	CHECK(kalam_staged_newest(k) == NULL);
	CHECK(kalam_staged_visible(k, 100) == NULL);
	CHECK(kalam_staged_next(k) == NULL);
	put(s, "c", 4, "");
	CHECK(kalam_staged_next(k) == kalam_staged_find(s, "c", 1));
	CHECK(put(s, "b", 4, "back")->key == k);
	kalam_staged_destroy(s);
}

static void
seek_finds_neighbours_of_keys_that_are_not_there(void)
{
	KalamStaged *s = kalam_staged_create(&memory);
	KalamStagedKey *b = put(s, "b", 1, "")->key;
	KalamStagedKey *bb = put(s, "bb", 1, "")->key;
	KalamStagedKey *d = put(s, "d", 1, "")->key;
	size_t		len;

	CHECK(kalam_staged_seek(s, "", 0) == b);
	CHECK(kalam_staged_seek(s, "b", 1) == b);
	CHECK(kalam_staged_seek(s, "b\0", 2) == bb);
	CHECK(kalam_staged_seek(s, "c", 1) == d);
	CHECK(kalam_staged_seek(s, "d", 1) == d);
	CHECK(kalam_staged_seek(s, "da", 2) == NULL);
	CHECK(kalam_staged_seek_before(s, "b", 1) == NULL);
	CHECK(kalam_staged_seek_before(s, "bb", 2) == b);
	CHECK(kalam_staged_seek_before(s, "d", 1) == bb);
	CHECK(kalam_staged_seek_before(s, "zz", 2) == d);
	CHECK(memcmp(kalam_staged_key_bytes(bb, &len), "bb", 2) == 0 && len == 2);
	CHECK(kalam_staged_next(b) == bb && kalam_staged_next(bb) == d && kalam_staged_next(d) == NULL);
	kalam_staged_destroy(s);
}

static void
values_are_aligned_and_may_be_larger_than_a_chunk(void)
{
	static const size_t sizes[] = {0, 1, 7, 8, 9, 100, 8191, 8192, 300000, 5000000, 3, 1048576, 1};
	KalamStaged *s = kalam_staged_create(&memory);
	KalamStagedMark mark = kalam_staged_mark(s);

	for (int round = 0; round < 3; round++)
	{
		KalamStagedWalk walk;

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		{
			KalamStagedVersion *v = kalam_staged_add(s, &i, sizeof(i) - (i % 5), KALAM_CHANGE_PUT, 1, sizes[i]);

			CHECK(((uintptr_t) v->value & 7) == 0);
			memset(v->value, (int) i, sizes[i]);
		}
		kalam_staged_walk(&walk, s, 0);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		{
			KalamStagedVersion *v = kalam_staged_walk_next(&walk);

			CHECK(v->value_len == sizes[i]);
			CHECK(sizes[i] == 0 || (v->value[0] == i && v->value[sizes[i] - 1] == i));
		}
		CHECK(kalam_staged_walk_next(&walk) == NULL);
		CHECK(kalam_staged_bytes(s) == counted.bytes);
		kalam_staged_pop_to(s, mark);
	}

	/* what was popped is given back but for a chunk and the entries */
	CHECK(counted.bytes < 2500000);
	kalam_staged_destroy(s);
	CHECK(counted.bytes == 0);
}

static void
a_loop_of_savepoints_does_not_grow(void)
{
	KalamStaged *s = kalam_staged_create(&memory);
	size_t		bytes = 0;

	for (int i = 0; i < 20000; i++)
	{
		KalamStagedMark mark = kalam_staged_mark(s);

		kalam_staged_add(s, "same key", 8, KALAM_CHANGE_PUT, 1, 3000);
		kalam_staged_add(s, "same key", 8, KALAM_CHANGE_PUT, 1, 3000);
		kalam_staged_pop_to(s, mark);
		if (i == 100)
			bytes = counted.bytes;
	}
	CHECK(counted.bytes == bytes);
	kalam_staged_destroy(s);
}

/* ---- an allocation that raises ---- */

static jmp_buf raised;
static int	allocations_left;

static void *
failing_alloc(void *arg, size_t size)
{
	if (allocations_left-- == 0)
		longjmp(raised, 1);
	return model_alloc(arg, size);
}

/* Adds until an allocation raises. */
static void
add_until_raised(KalamStaged *s, volatile uint64_t *done)
{
	if (setjmp(raised) != 0)
		return;
	for (;;)
	{
		uint64_t	key = *done * UINT64_C(0x9E3779B97F4A7C15);

		kalam_staged_add(s, &key, sizeof(key), KALAM_CHANGE_PUT, 1, *done % 1500);
		++*done;
	}
}

static void
a_failed_allocation_changes_nothing(void)
{
	static const KalamStagedMemory failing = {failing_alloc, model_free, &counted};

	for (int n = 1; n < 40; n++)
	{
		KalamStaged *s;
		volatile uint64_t done = 0;
		KalamStagedWalk walk;
		uint64_t	seen = 0;
		uint64_t	listed = 0;

		allocations_left = n;
		s = kalam_staged_create(&failing);
		add_until_raised(s, &done);
		CHECK(kalam_staged_count(s) == done);
		CHECK(kalam_staged_bytes(s) == counted.bytes);

		allocations_left = 10;
		kalam_staged_add(s, "after", 5, KALAM_CHANGE_DELETE, 1, 0);
		kalam_staged_walk(&walk, s, 0);
		while (kalam_staged_walk_next(&walk) != NULL)
			seen++;
		for (KalamStagedKey *k = kalam_staged_seek(s, "", 0); k != NULL; k = kalam_staged_next(k))
			listed++;
		CHECK(seen == done + 1 && listed == done + 1);
		kalam_staged_destroy(s);
		CHECK(counted.bytes == 0);
	}
}

/* ---- random work against the model ---- */

typedef enum Shape
{
	FEW_KEYS, MANY_KEYS, ASCENDING, DESCENDING, TWO_ASCENDING, NSHAPES
} Shape;

static size_t
random_key(Shape shape, uint64_t n, uint8_t *key)
{
	switch (shape)
	{
		case FEW_KEYS:
			{
				size_t		len = unit_random_below(4);

				for (size_t i = 0; i < len; i++)
					key[i] = (uint8_t) (unit_random_below(3) * 127);
				return len;
			}
		case MANY_KEYS:
			kalam_put_key_prefix(key, 300 + (uint32_t) unit_random_below(2), KALAM_KEY_KIND_ROW);
			kalam_put_be64(key + 5, unit_random() >> unit_random_below(60));
			return 13;
		case ASCENDING:
			kalam_put_be64(key, n - unit_random_below(2) * unit_random_below(3));
			return 8;
		case DESCENDING:
			kalam_put_be64(key, ~n);
			return 8;
		default:
			kalam_put_key_prefix(key, 300 + (n & 1), KALAM_KEY_KIND_ROW);
			kalam_put_be64(key + 5, n / 2);
			return 13;
	}
}

static void
random_work_agrees_with_the_model(void)
{
	for (int round = 0; round < 300; round++)
	{
		KalamStaged *s = kalam_staged_create(&memory);
		Model		m = {0};
		KalamStagedMark marks[64];
		int			nmarks = 0;
		uint32_t	command_id = 0;
		Shape		shape = (Shape) (round % NSHAPES);

		for (int step = 0; step < 400; step++)
		{
			uint8_t		key[MODEL_MAX_KEY];
			size_t		len = random_key(shape, 1000 + (uint64_t) step, key);
			uint64_t	what = unit_random_below(20);

			if (what < 12)
				model_add(&m, s, key, len, (uint8_t) (KALAM_CHANGE_PUT + unit_random_below(2)), command_id,
						  (uint32_t) (unit_random_below(30) == 0 ? unit_random_below(20000) : unit_random_below(40)),
						  (uint8_t) unit_random());
			else if (what == 12)
				command_id++;
			else if (what == 13 && nmarks < 64)
				marks[nmarks++] = kalam_staged_mark(s);
			else if (what == 14 && nmarks > 0)
			{
				KalamStagedMark mark = marks[unit_random_below((uint64_t) nmarks)];

				kalam_staged_pop_to(s, mark);
				m.count = mark.nversions;
				while (nmarks > 0 && marks[nmarks - 1].nversions > mark.nversions)
					nmarks--;
			}
			else
				CHECK(model_agrees_at(&m, s, key, len, (uint32_t) unit_random_below(command_id + 2)));
			if (step % 50 == 0)
				CHECK(model_agrees(&m, s, unit_random_below(m.count + 1)));
		}
		CHECK(model_agrees(&m, s, 0));
		CHECK(kalam_staged_bytes(s) == counted.bytes);
		kalam_staged_destroy(s);
		CHECK(counted.bytes == 0 && counted.blocks == 0);
		free(m.versions);
	}
}

int
main(void)
{
	unit_run(nothing_staged_is_an_empty_list_and_an_empty_log);
	unit_run(a_command_sees_what_commands_before_it_wrote);
	unit_run(popping_uncovers_the_version_below_and_leaves_an_empty_entry);
	unit_run(seek_finds_neighbours_of_keys_that_are_not_there);
	unit_run(values_are_aligned_and_may_be_larger_than_a_chunk);
	unit_run(a_loop_of_savepoints_does_not_grow);
	unit_run(a_failed_allocation_changes_nothing);
	unit_run(random_work_agrees_with_the_model);
	return unit_finish("staged");
}
