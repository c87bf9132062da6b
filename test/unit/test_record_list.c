/*
 * test_record_list.c
 *	  Records by number: what was added is found, wherever it went, also behind
 *	  failures.
 */
#include "src/shared/record_list.h"
#include "test/unit/changes_model.h"
#include "test/unit/unit.h"

/* Length and contents follow from the number. */
static size_t
length_of(uint64_t n)
{
	return n % 1000 == 7 ? 20000 + n : n % 97;
}

static void
fill(uint8_t *record, uint64_t n)
{
	for (size_t i = 0; i < length_of(n); i++)
		record[i] = (uint8_t) (n * 31 + i);
}

static bool
is_right(const uint8_t *record, uint64_t n)
{
	for (size_t i = 0; i < length_of(n); i++)
		if (record[i] != (uint8_t) (n * 31 + i))
			return false;
	return ((uintptr_t) record & 7) == 0;
}

static int
open_files(const World *w)
{
	int			n = 0;

	for (int i = 0; i < WORLD_FILES; i++)
		n += w->files[i].open;
	return n;
}

static void
work(size_t bound, uint64_t count, bool failing)
{
	World	   *w = calloc(1, sizeof(World));
	KalamStagedMemory memory = {world_alloc, world_free, w};
	KalamRunFiles files = {world_create, world_write, world_read, world_close, world_broken, w};
	KalamRecordList *l = kalam_records_create(&memory, &files, bound);
	volatile uint64_t n = 0;
	volatile bool good = true;
	size_t		most = 0;

	while (n < count && good)
	{
		w->fail_in = failing && unit_random() % 16 == 0 ? 1 + (uint32_t) (unit_random() % 4) : 0;
		if (setjmp(w->raised) != 0)
		{
			/* it was not added, and can be added now */
			good = good && kalam_records_count(l) == n;
			continue;
		}
		fill(kalam_records_add(l, length_of(n)), n);
		n++;
		for (int i = 0; i < 2; i++)
		{
			uint64_t	which = i == 0 ? n - 1 : unit_random() % n;

			good = good && is_right(kalam_records_get(l, which), which);
		}
		if (w->counted.bytes > most)
			most = w->counted.bytes;
	}
	w->fail_in = 0;
	CHECK(good && kalam_records_count(l) == count);
	for (uint64_t i = 0; i < count; i++)
		CHECK(is_right(kalam_records_get(l, i), i));
	CHECK(open_files(w) == (w->files[0].bytes != NULL));
	CHECK(most < bound + 6 * (20000 + count));
	if (count > 20000)
		CHECK(open_files(w) == 1);
	if (bound > 10000000)
		CHECK(open_files(w) == 0);
	kalam_records_close_file(l);
	CHECK(open_files(w) == 0);
	kalam_records_destroy(l);
	CHECK(w->counted.bytes == 0 && w->counted.blocks == 0);
	free(w->files[0].bytes);
	free(w);
}

static void
few_records_make_no_file(void)
{
	work(20 * 1024 * 1024, 20000, false);
}

static void
many_records_go_to_a_file_and_are_found(void)
{
	work(64 * 1024, 50000, false);
}

static void
failures_lose_nothing(void)
{
	work(16 * 1024, 30000, true);
}

int
main(void)
{
	unit_run(few_records_make_no_file);
	unit_run(many_records_go_to_a_file_and_are_found);
	unit_run(failures_lose_nothing);
	return unit_finish("record_list");
}
