/*
 * test_loads.c
 *	  Loads: what is sent while a statement runs, kept, and taken in by COMMIT or
 *	  PREPARE; what ends them before.
 *	  Usage: test_loads PROGRAM
 */
#include <pthread.h>

#include "test/unit/load_fixture.h"

#define ROWS (SLOW ? 4001 : 40009)	/* primes */

/* ---- what a load does ---- */

static void
test_rows_and_indexes(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	n = (uint64_t) ROWS;
	uint64_t	before = test_pin(&store, 1, 0);

	for (int shuffled = 0; shuffled < 2; shuffled++)
	{
		uint64_t	number = new_number();
		uint64_t	from = 100 + (uint64_t) shuffled * n;
		uint64_t	step = shuffled ? 7919 : 1;
		TestChannel c = load_begin(0, 0, number, 4 * MB);

		load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
		load_declare(&c, 1, id, 3, 0);
		load_declare(&c, 2, id, 4, KALAM_TARGET_UNIQUE);
		for (uint64_t i = 0; i < n; i++)
		{
			uint64_t	row = from + i * step % n;

			load_put(&c, 0, id, row, i, 5, 40);
			load_entry(&c, 1, id, 3, row % 100, row, i, false);
			load_entry(&c, 2, id, 4, UINT64_C(1000000000) - row, row, i, true);
		}
		CHECK_EQUAL(load_end(&c), KALAM_OK);
		CHECK_EQUAL(atomic_load(&c.ch->result.load.rows), n);
		CHECK(atomic_load(&c.ch->result.load.bytes) > n * 100);
		CHECK(atomic_load(&c.ch->result.load.files) >= 3);
		CHECK(files_left() >= 3);
		CHECK_EQUAL(load_count(0, number), 3 * n);
		CHECK_EQUAL(count_rows(1, id, 0), 10 + (uint64_t) shuffled * n);
		CHECK_EQUAL(commit_load(0, number), KALAM_OK);
		CHECK(files_become(0));
		expect_rows(id, (long) (10 + (uint64_t) (shuffled + 1) * n),
					45 + 5 * (uint64_t) (shuffled + 1) * n);
		CHECK_EQUAL(count_entries(0, id, 3, 0), (uint64_t) (shuffled + 1) * n);
		CHECK_EQUAL(count_entries(0, id, 4, 0), (uint64_t) (shuffled + 1) * n);
		CHECK_EQUAL(load_count(0, number), -1);
	}
	CHECK_EQUAL(count_rows(1, id, before), 10);
	test_unpin(&store, 1, 0);
	test_store_kill(&store, SIGKILL);
	start_and_serve();
	expect_rows(id, (long) (10 + 2 * n), 45 + 10 * n);
	CHECK_EQUAL(count_entries(0, id, 4, 0), 2 * n);
}

/* The records of a load come back as they were. */
static void
test_reading_back(void)
{
	uint32_t	id = make_object(0, 0);
	uint64_t	number = new_number();
	TestChannel c = load_begin(0, 0, number, MB);
	const KalamLoadRecord *r;
	size_t		large = SLOW ? 300000 : 3000000;
	uint64_t	n = 1009;
	uint64_t	i;

	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	load_declare(&c, 1, id, 2, 0);
	for (i = 0; i < n; i++)
	{
		uint64_t	row = i * 17 % n;

		load_put(&c, 0, id, row, i, row, row % 200 == 0 ? large : 40 + row);
		load_entry(&c, 1, id, 2, row / 10, row, i, false);
	}
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	for (int again = 0; again < 2; again++)
	{
		uint32_t	declared = 0;

		c = load_read_begin(0, number);
		for (i = 0; (r = load_read_next(&c)) != NULL;)
		{
			const uint8_t *value = load_record_value(r);
			uint64_t	tag;

			CHECK(r->size % 8 == 0 && r->value_offset + r->value_len <= r->size);
			if (r->flags & KALAM_LOAD_TARGET)
			{
				KalamLoadTarget t;

				memcpy(&t, value, sizeof(t));
				CHECK_EQUAL(r->target, declared++);
				CHECK_EQUAL(t.object_id, id);
				CHECK_EQUAL(t.index_id, r->target == 0 ? 0 : 2);
				CHECK_EQUAL(i, 0);
				continue;
			}
			CHECK_EQUAL(r->target, i < n ? 0 : 1);
			if (i < n)
			{
				memcpy(&tag, value + 8, 8);
				CHECK_EQUAL(kalam_get_be64(load_record_key(r) + 5), i);
				CHECK_EQUAL(tag, i);
				CHECK_EQUAL(r->value_len, 8 + (i % 200 == 0 ? large : 40 + i));
				CHECK_EQUAL(value[r->value_len - 1], 'a' + i % 26);
			}
			i++;
		}
		CHECK_EQUAL(c.code, KALAM_OK);
		CHECK_EQUAL(declared, 2);
		CHECK_EQUAL(i, 2 * n);
	}

	/* who reads is not troubled by its end */
	c = load_read_begin(0, number);
	CHECK(load_read_next(&c) != NULL);
	CHECK_EQUAL(load_drop(0, number, number), KALAM_OK);
	for (i = 1; load_read_next(&c) != NULL; i++)
		;
	CHECK_EQUAL(c.code, KALAM_OK);
	CHECK_EQUAL(i, 2 * n + 2);
	CHECK(files_become(0));
	CHECK_EQUAL(load_count(0, number), -1);
}

static void
test_empty_ones(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	numbers[2] = {new_number(), new_number()};
	TestChannel c = load_begin(0, 0, numbers[0], MB);

	CHECK_EQUAL(load_end(&c), KALAM_OK);
	c = load_begin(0, 0, numbers[1], 0);
	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(load_count(0, numbers[1]), 0);
	CHECK_EQUAL(commit_loads(0, KALAM_OP_COMMIT, 0, numbers, 2), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 10);
	CHECK_EQUAL(files_left(), 0);
}

/* With a load come objects, a dropped one, rows of others, deletions beside its keys. */
static void
test_what_else_a_transaction_does(void)
{
	uint32_t	old = make_object(100, 40);
	uint32_t	created = next_object++,
				dropped = make_object(10, 40);
	uint64_t	numbers[2] = {new_number(), new_number()};
	TestChannel c = load_begin(0, 0, numbers[0], 4 * MB);

	load_declare(&c, 0, created, 0, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW);
	load_declare(&c, 1, old, 0, KALAM_TARGET_UNIQUE);
	load_declare(&c, 2, dropped, 0, KALAM_TARGET_UNIQUE);
	load_rows(&c, 0, created, 0, 5003, 17, 3);
	load_rows(&c, 1, old, 1000, 6003, 19, 3);
	load_rows(&c, 2, dropped, 1000, 6003, 1, 3);
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(load_object(0, numbers[1], old, 6003, 9006, 17, 4), KALAM_OK);
	c = rpc(0);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	change_load(&c, numbers[0]);
	change_load(&c, numbers[1]);
	test_create(&c, created, KALAM_COMPRESSION_LZ4, 10000);
	test_drop(&c, dropped);
	for (uint64_t i = 0; i < 50; i++)
		test_delete(&c, old, i);
	put_rows(&c, old, 20000, 23000, 7);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	for (int again = 0; again < 2; again++)
	{
		CHECK(files_become(0));
		expect_rows(created, 5003, 3 * 5003);
		expect_rows(old, 50 + 5003 + 3003 + 3000, (50 + 99) * 25 + 3 * 5003 + 4 * 3003 + 7 * 3000);
		CHECK_EQUAL(count_rows(0, dropped, 0), -1);
		if (again == 0)
		{
			test_store_kill(&store, SIGKILL);
			start_and_serve();
		}
	}
}

static void
test_prepare(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	numbers[3] = {new_number(), new_number(), new_number()};

	CHECK_EQUAL(load_object(0, numbers[0], id, 100, 3101, 1, 1), KALAM_OK);
	CHECK_EQUAL(load_object(0, numbers[1], id, 5000, 8001, 7, 1), KALAM_OK);
	CHECK_EQUAL(load_object(0, numbers[2], id, 9000, 9101, 1, 1), KALAM_OK);
	CHECK_EQUAL(commit_loads(0, KALAM_OP_PREPARE, 3000, &numbers[0], 1), KALAM_OK);
	CHECK_EQUAL(commit_loads(0, KALAM_OP_PREPARE, 3001, &numbers[1], 1), KALAM_OK);
	CHECK_EQUAL(atomic_load(&store.seg->pending), 2);
	CHECK_EQUAL(count_rows(0, id, 0), 10);
	for (int i = 0; i < 2; i++)
	{
		/* what is kept for a session does not outlive the process, what is prepared does */
		test_store_kill(&store, i == 0 ? SIGTERM : SIGKILL);
		start_and_serve();
		CHECK_EQUAL(files_left(), 2);
		CHECK_EQUAL(load_count(0, numbers[2]), -1);
	}
	CHECK_EQUAL(resolve(3000, true), KALAM_OK);
	CHECK_EQUAL(resolve(3001, false), KALAM_OK);
	CHECK(files_become(0));
	CHECK_EQUAL(count_rows(0, id, 0), 3011);
}

/* ---- targets with few records ---- */

/* One with two indexes, of which the first is unique. */
static void
load_few(uint64_t number, uint32_t id, uint64_t from, uint64_t n, uint64_t tag)
{
	TestChannel c = load_begin(0, 0, number, 4 * MB);

	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	load_declare(&c, 1, id, 1, KALAM_TARGET_UNIQUE);
	load_declare(&c, 2, id, 2, 0);
	for (uint64_t i = 0; i < n; i++)
	{
		uint64_t	row = from + n - 1 - i;

		load_put(&c, 0, id, row, i, tag, 40);
		load_entry(&c, 1, id, 1, row, row, i, true);
		load_entry(&c, 2, id, 2, row % 10, row, i, false);
	}
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(load_count(0, number), 3 * n);
}

/* What is below 64 KB in memory (80 bytes a record) is not named as a file. */
static void
test_few_records(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	few = (64 << 10) / 80;
	uint64_t	number;
	uint64_t	there = 0;
	TestChannel c;

	for (uint64_t more = 0; more < 2; more++)
		for (uint32_t apply = 0; apply < 2; apply++)
		{
			uint64_t	n = few + more;

			number = new_number();
			load_few(number, id, 10 + there, n, 3);
			CHECK_EQUAL(files_left(), 3);
			CHECK_EQUAL(commit_loads(0, KALAM_OP_PREPARE, 4000, &number, 1), KALAM_OK);
			CHECK(files_become((uint32_t) more));
			test_store_kill(&store, SIGKILL);
			start_and_serve();
			CHECK_EQUAL(files_left(), more);
			CHECK_EQUAL(resolve(4000, apply), KALAM_OK);
			there += apply ? n : 0;
			CHECK(files_become(0));
			expect_rows(id, (long) (10 + there), 45 + 3 * there);
			CHECK_EQUAL(count_entries(0, id, 1, 0), there);
			CHECK_EQUAL(count_entries(0, id, 2, 0), there);
		}

	/* what is dropped by the same transaction: an index, a table */
	for (int table = 0; table < 2; table++)
	{
		number = new_number();
		load_few(number, id, 5000 + 100 * (uint64_t) table, 100, 3);
		c = rpc(0);
		begin_bulk(&c, KALAM_OP_COMMIT, 0);
		change_load(&c, number);
		if (table)
			test_drop(&c, id);
		else
			test_drop_index(&c, id, 2);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		CHECK(files_become(0));
		CHECK_EQUAL(count_rows(0, id, 0), table ? -1 : (long) (10 + there + 100));
		CHECK_EQUAL(count_entries(0, id, 1, 0), table ? -1 : (long) (there + 100));
		CHECK_EQUAL(count_entries(0, id, 2, 0), table ? -1 : 0);
	}
}

/* Another committed a key of it when it was kept. */
static void
test_few_records_too_late(void)
{
	for (KalamOp op = KALAM_OP_COMMIT; op <= KALAM_OP_PREPARE; op++)
	{
		uint32_t	id = make_object(10, 40);
		uint64_t	number = new_number();

		load_few(number, id, 100, 50, 3);
		CHECK_EQUAL(put_one(1, id, 120, 1, 9, 0), KALAM_OK);
		CHECK_EQUAL(commit_loads(0, op, 4100, &number, 1), KALAM_ERR_DUPLICATE);
		CHECK(files_become(0));
		CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
		expect_rows(id, 11, 45 + 9);
		CHECK_EQUAL(count_entries(0, id, 1, 0), 0);
	}
}

/* They are in memory up to 16 MB in all; beyond, their files are named after all. */
static void
test_few_records_of_many_targets(void)
{
	uint64_t	number = new_number();
	uint32_t	first = next_object;
	uint16_t	n = 270;
	uint64_t	rows = 63;		/* of 1019 bytes in the stream: 261 targets fit */
	TestChannel c;

	share_families(true);
	for (int i = 0; i < n; i++)
		(void) make_object(0, 0);
	share_families(false);
	c = load_begin(0, 0, number, 64 * MB);
	for (uint16_t i = 0; i < n; i++)
		load_declare(&c, i, first + i, 0, KALAM_TARGET_UNIQUE);
	for (uint64_t i = 0; i < rows * n; i++)
		CHECK(load_put(&c, (uint16_t) (i % n), first + (uint32_t) (i % n), i / n, i, 2, 990));
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(files_left(), n);
	CHECK_EQUAL(commit_loads(0, KALAM_OP_PREPARE, 4200, &number, 1), KALAM_OK);
	CHECK(files_become(9));
	test_store_kill(&store, SIGKILL);
	start_and_serve();
	CHECK_EQUAL(files_left(), 9);
	CHECK_EQUAL(resolve(4200, true), KALAM_OK);
	CHECK(files_become(0));
	for (uint32_t id = first; id < first + n; id++)
	{
		Summary		s = summary(0, id, 0, 0);

		CHECK_EQUAL(s.rows, rows);
		CHECK_EQUAL(s.tags, 2 * rows);
	}
}

/* ---- uniqueness ---- */

/* How the duplicate is told. */
static void
expect_duplicate(TestChannel *c, uint64_t number, uint32_t target, uint64_t line, int64_t tag)
{
	const KalamResult *r = &c->ch->result;
	const uint8_t *row = (const uint8_t *) kalam_block(store.seg, c->ch, 0);
	uint64_t	found;

	CHECK_EQUAL(test_finish(c), KALAM_ERR_DUPLICATE);
	CHECK_EQUAL(r->load_number, number);
	CHECK_EQUAL(r->target, target);
	CHECK_EQUAL(r->position, line);
	if (tag < 0)
		CHECK_EQUAL(r->bytes, 0);
	else if (CHECK_EQUAL(r->bytes, 48))
	{
		memcpy(&found, row + 8, 8);
		CHECK_EQUAL(row[0], KALAM_VALUE_FORMAT);
		CHECK_EQUAL(found, tag);
	}
	CHECK(files_become(0));
	CHECK_EQUAL(load_count(0, number), -1);
}

static void
test_duplicates(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	n = (uint64_t) ROWS / 4;
	TestChannel c;
	uint64_t	number;

	/* what: 0 in the load, 1 in the store; at: where it lies in the load */
	for (int what = 0; what < 2; what++)
		for (int at = 0; at < 4; at++)
		{
			uint64_t	place = at == 0 ? 1 : at == 1 ? n / 2 : n - 1;

			number = new_number();
			c = load_begin(0, 0, number, MB);
			load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
			for (uint64_t i = 0; i < n; i++)
			{
				uint64_t	row = at == 3 ? 100 + i * 7 % n : 100 + i;

				if (i == place)
					row = what == 0 ? 100 : 3;
				if (!load_put(&c, 0, id, row, 1000 + i, 77 + (i == place), 40))
					break;
			}
			(void) load_end(&c);
			expect_duplicate(&c, number, 0, 1000 + place, 78);
		}
	CHECK_EQUAL(count_rows(0, id, 0), 10);

	/* one that is too large to be told, and one that nearly is */
	for (int i = 0; i < 2; i++)
	{
		size_t		size = KALAM_CHANNEL_BLOCKS * KALAM_BLOCK_BYTES - 8 + (size_t) i;

		number = new_number();
		c = load_begin(0, 0, number, 4 * MB);
		load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
		load_put(&c, 0, id, 100, 1, 1, 40);
		load_put(&c, 0, id, 100, 2, 1, size);
		CHECK_EQUAL(load_end(&c), KALAM_ERR_DUPLICATE);
		CHECK_EQUAL(c.ch->result.bytes, i == 0 ? 8 + size : 0);
		CHECK_EQUAL(c.ch->result.position, 2);
	}

	/* the same keys, but it does not matter */
	number = new_number();
	c = load_begin(0, 0, number, MB);
	load_declare(&c, 0, id, 0, 0);
	load_put(&c, 0, id, 3, 1, 21, 40);
	load_put(&c, 0, id, 200, 2, 22, 40);
	load_put(&c, 0, id, 200, 3, 23, 40);
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(commit_load(0, number), KALAM_OK);
	CHECK_EQUAL(point(0, id, 3, 0), 21);
	CHECK_EQUAL(point(0, id, 200, 0), 23);
}

/* Of a duplicate in an index the row is told that its entry leads to. */
static void
test_duplicate_in_an_index(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	n = (uint64_t) ROWS / 4;

	for (int at = 0; at < 3; at++)
	{
		uint64_t	number = new_number();
		TestChannel c = load_begin(0, 0, number, MB);
		uint64_t	place = at == 0 ? 1 : at == 1 ? n / 2 : n - 1;

		load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
		load_declare(&c, 1, id, 2, 0);
		load_declare(&c, 2, id, 1, KALAM_TARGET_UNIQUE);
		for (uint64_t i = 0; i < n; i++)
			if (!load_put(&c, 0, id, 100 + i, i, i, 40) ||
				!load_entry(&c, 1, id, 2, 1, 100 + i, i, false) ||
				!load_entry(&c, 2, id, 1, i == place ? 5000 : 5000 + i * 7 % n, 100 + i, i, true))
				break;
		(void) load_end(&c);
		expect_duplicate(&c, number, 2, place, (int64_t) place);
	}
}

/* Several: the first one is told. */
static void
test_the_first_of_several(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	number = new_number();
	TestChannel c = load_begin(0, 0, number, 4 * MB);

	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	load_declare(&c, 1, id, 1, KALAM_TARGET_UNIQUE);
	for (uint64_t i = 0; i < 1000; i++)
	{
		load_put(&c, 0, id, i < 900 ? 100 + i : 9, i, i, 40);
		load_entry(&c, 1, id, 1, i < 800 ? i : 7, 100 + i, i, true);
	}
	(void) load_end(&c);
	expect_duplicate(&c, number, 1, 800, 800);
}

/*
 * The owner may be at writing into a block when storage finds the duplicate: the
 * row comes when it wants another block, or has sent all.
 */
static void
test_duplicate_while_the_owner_writes(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	number = new_number();
	TestChannel c = load_begin(0, 0, number, MB);
	uint64_t	i = 0;

	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	load_put(&c, 0, id, 3, 1, 55, 40);
	do
	{
		for (int n = 0; n < 500; n++, i++)
			load_put(&c, 0, id, 100 + i, 2 + i, 1, 40);
		load_publish(&c, 0);
		for (int n = 0; n < 30 && atomic_load(&c.ch->consumed) < c.block; n++)
			test_sleep_ms(10);
	} while (i < 1000000 && atomic_load(&c.ch->consumed) == c.block);
	CHECK_EQUAL(c.block - atomic_load(&c.ch->consumed), 1);
	CHECK(!test_is_done(&c));
	while (i < 1000000 && load_put(&c, 0, id, 100 + i, 2 + i, 1, 40))
		i++;
	expect_duplicate(&c, number, 0, 1, 55);
}

/* Keys of earlier loads of the same transaction; those of other sessions do not count. */
static void
test_loads_side_by_side(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	n = 20011;
	uint64_t	first = new_number();
	uint64_t	other = new_number();
	TestChannel c;
	uint64_t	number;

	CHECK_EQUAL(load_object(1, other, id, 100, 100 + n, 1, 1), KALAM_OK);
	CHECK_EQUAL(load_drop(0, other, other), KALAM_OK);
	CHECK_EQUAL(load_object(0, first, id, 100, 100 + n, 7, 1), KALAM_OK);
	for (int i = 0; i < 4; i++)
	{
		static const uint64_t row[] = {100, 10000, 20110, 7777};

		number = new_number();
		c = load_begin(0, 0, number, 4 * MB);
		load_declare(&c, 0, id, 5, 0);
		load_declare(&c, 1, id, 0, KALAM_TARGET_UNIQUE);
		load_put(&c, 1, id, 50, 1, 1, 40);
		load_put(&c, 1, id, 50000, 2, 1, 40);
		load_put(&c, 1, id, row[i], 3, 66, 40);
		CHECK_EQUAL(load_end(&c), KALAM_ERR_DUPLICATE);
		CHECK_EQUAL(c.ch->result.position, UINT64_MAX);
		CHECK_EQUAL(c.ch->result.target, 1);
		CHECK_EQUAL(c.ch->result.bytes, 48);
		CHECK_EQUAL(load_count(0, number), -1);
	}
	/* around it, through it, and beside it */
	number = new_number();
	c = load_begin(0, 0, number, 4 * MB);
	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	load_put(&c, 0, id, 50, 1, 1, 40);
	load_put(&c, 0, id, 50000, 2, 1, 40);
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(load_drop(0, first, first), KALAM_OK);
	CHECK_EQUAL(load_object(0, first + 1000, id, 100, 200, 1, 1), KALAM_OK);
	CHECK_EQUAL(commit_load(0, number), KALAM_OK);
	CHECK_EQUAL(commit_load(0, first + 1000), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 112);
	/* the other session's would be found by the server's locks before it commits */
	CHECK_EQUAL(load_count(1, other), n);
	CHECK_EQUAL(load_drop(1, 0, UINT64_MAX), KALAM_OK);
	CHECK(files_become(0));
}

/* ---- ends ---- */

static void
test_drops(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	numbers[4];
	TestChannel c;
	int			left;

	for (int i = 0; i < 4; i++)
	{
		numbers[i] = new_number();
		CHECK_EQUAL(load_object(0, numbers[i], id, 1000 * (uint64_t) (i + 1),
								1000 * (uint64_t) (i + 1) + 101, 1, 1), KALAM_OK);
	}
	CHECK_EQUAL(files_left(), 4);
	CHECK_EQUAL(load_drop(1, 0, UINT64_MAX), KALAM_OK);
	CHECK_EQUAL(files_left(), 4);
	CHECK_EQUAL(load_drop(0, numbers[1], numbers[2]), KALAM_OK);
	CHECK(files_become(2));
	CHECK_EQUAL(load_count(0, numbers[0]), 101);
	CHECK_EQUAL(load_count(0, numbers[1]), -1);
	CHECK_EQUAL(load_count(0, numbers[3]), 101);
	CHECK_EQUAL(commit_load(0, numbers[1]), KALAM_ERR_NO_LOAD);
	CHECK_EQUAL(commit_load(1, numbers[0]), KALAM_ERR_NO_LOAD);
	CHECK_EQUAL(files_left(), 2);

	/* one that is named behind what is refused goes with it */
	numbers[1] = numbers[3];
	CHECK_EQUAL(commit_loads(0, KALAM_OP_COMMIT, 0, numbers, 3), KALAM_ERR_NO_LOAD);
	CHECK(files_become(0));

	/* while it is sent */
	numbers[0] = new_number();
	c = load_begin(0, 0, numbers[0], MB);
	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	CHECK(load_rows(&c, 0, id, 1000, 60000, 1, 1));
	CHECK_EQUAL(load_drop(0, numbers[0], numbers[0]), KALAM_OK);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_CANCELED);
	CHECK(files_become(0));

	/* the session ends: another has its slot */
	for (int i = 0; i < 2; i++)
	{
		numbers[i] = new_number();
		c = load_begin(0, 2, numbers[i], MB);
		load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
		CHECK(load_rows(&c, 0, id, 100000 * (uint64_t) (i + 1), 100000 * (uint64_t) (i + 1) + 30011, 7, 1));
		if (i == 0)
			CHECK_EQUAL(load_end(&c), KALAM_OK);
	}
	left = (int) files_left();
	CHECK(left > 0);
	atomic_store(&kalam_slot(store.seg, 2)->pid, 4711);
	CHECK_EQUAL(commit_load(2, numbers[0]), KALAM_ERR_NO_LOAD);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_CANCELED);
	CHECK(files_become(0));
	atomic_store(&kalam_slot(store.seg, 2)->pid, 0);
	CHECK_EQUAL(count_rows(0, id, 0), 10);
}

static void
test_cancel_in_mid_stream(void)
{
	uint32_t	id = make_object(10, 16);

	for (uint64_t blocks = 1; blocks < 40; blocks += 7)
		for (int lane = KALAM_LANE_READ; lane <= KALAM_LANE_LOAD; lane += 2)
		{
			uint64_t	number = new_number();
			TestChannel c = load_begin(0, 0, number, MB);

			load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
			CHECK(load_rows(&c, 0, id, 100, 100 + 1000 * blocks, 1, 1));
			if (blocks % 2)
				load_publish(&c, KALAM_BLOCK_LAST);
			test_cancel(&c, (KalamLaneKind) lane);
			if (test_finish(&c) == KALAM_OK)
				CHECK_EQUAL(load_drop(0, number, number), KALAM_OK);
			else
				CHECK_EQUAL(c.ch->result.code, KALAM_ERR_CANCELED);
			CHECK(files_become(0));
		}
	CHECK_EQUAL(count_rows(0, id, 0), 10);
}

/* A server that is stopped waits for nobody's load, and none is there afterwards. */
static void
test_shutdown_in_mid_stream(void)
{
	uint32_t	id = make_object(10, 16);

	for (int i = 0; i < 3; i++)
	{
		uint64_t	kept = new_number();
		TestChannel loads[2];
		TestChannel r;
		int			status;

		CHECK_EQUAL(load_object(0, kept, id, 100, 20103, 1, 1), KALAM_OK);
		r = load_read_begin(0, kept);
		CHECK(load_read_next(&r) != NULL);
		/* two at once by one backend, in and behind their streams */
		for (uint32_t j = 0; j < 2; j++)
		{
			loads[j] = load_begin(1 + j, 1, new_number(), MB);
			load_declare(&loads[j], 0, id, 0, KALAM_TARGET_UNIQUE);
			CHECK(load_rows(&loads[j], 0, id, 1000000 * (j + 1), 1000000 * (j + 1) + 20011, 7919, 1));
		}
		if (i > 0)
			load_publish(&loads[0], KALAM_BLOCK_LAST);
		if (i > 1)
			load_publish(&loads[1], KALAM_BLOCK_LAST);
		status = test_store_kill(&store, SIGTERM);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		start_and_serve();
		CHECK_EQUAL(files_left(), 0);
		CHECK_EQUAL(load_count(0, kept), -1);
		CHECK_EQUAL(count_rows(0, id, 0), 10);
		free(r.big);
	}
}

/* Reading is canceled, too, and a channel can be used for something else at once. */
static void
test_cancel_of_a_read(void)
{
	uint32_t	id = make_object(10, 16);
	uint64_t	number = new_number();

	CHECK_EQUAL(load_object(0, number, id, 100, 20103, 1, 1), KALAM_OK);
	for (int lane = KALAM_LANE_READ; lane <= KALAM_LANE_LOAD; lane += 2)
	{
		TestChannel c = load_read_begin(0, number);

		CHECK(load_read_next(&c) != NULL);
		test_cancel(&c, (KalamLaneKind) lane);
		CHECK_EQUAL(test_finish(&c), KALAM_ERR_CANCELED);
		CHECK_EQUAL(count_rows(0, id, 0), 10);
	}
	CHECK_EQUAL(load_drop(0, number, number), KALAM_OK);
}

/* ---- what is refused ---- */

/* A load of one record made by hand, behind a target. */
static uint32_t
send_record(uint32_t id, const KalamLoadRecord *h, const uint8_t *rest, size_t rest_len,
			uint32_t flags, uint32_t big_total)
{
	TestChannel c = load_begin(0, 0, new_number(), MB);
	uint8_t    *room;

	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	load_publish(&c, 0);
	room = load_room(&c, sizeof(*h) + rest_len);
	memcpy(room, h, sizeof(*h));
	if (rest_len > 0)
		memcpy(room + sizeof(*h), rest, rest_len);
	kalam_block(store.seg, c.ch, c.block)->big_total = big_total;
	load_publish(&c, flags);
	return load_end(&c);
}

static void
test_malformed_streams(void)
{
	uint32_t	id = make_object(10, 16);
	uint8_t		rest[40] = {0};
	KalamLoadRecord good = {
		.size = 64, .key_len = 13, .value_len = 16, .value_offset = 40, .tag = 1
	};
	KalamLoadRecord h;
	TestChannel c;

	test_key(rest, id, 77);
	rest[16] = KALAM_VALUE_FORMAT;
#define EXPECT(code, change) \
	do { \
		h = good; \
		change; \
		CHECK_EQUAL(send_record(id, &h, rest, sizeof(rest), 0, 0), code); \
		CHECK(files_become(0)); \
	} while (0)
	EXPECT(KALAM_ERR_PROTOCOL, h.size = 63);
	EXPECT(KALAM_ERR_PROTOCOL, h.size = 0);
	EXPECT(KALAM_ERR_PROTOCOL, h.size = 72);
	EXPECT(KALAM_ERR_PROTOCOL, h.size = 16);
	EXPECT(KALAM_ERR_PROTOCOL, h.size = UINT32_MAX - 7);
	EXPECT(KALAM_ERR_PROTOCOL, h.key_len = 17);
	EXPECT(KALAM_ERR_PROTOCOL, h.key_len = 5);
	EXPECT(KALAM_ERR_PROTOCOL, h.key_len = 0);
	EXPECT(KALAM_ERR_PROTOCOL, h.value_offset = 36);
	EXPECT(KALAM_ERR_PROTOCOL, h.value_offset = 56);
	EXPECT(KALAM_ERR_PROTOCOL, h.value_offset = 65535);
	EXPECT(KALAM_ERR_PROTOCOL, h.value_len = 25);
	EXPECT(KALAM_ERR_PROTOCOL, h.value_len = 7);
	EXPECT(KALAM_ERR_PROTOCOL, h.value_len = UINT32_MAX);
	EXPECT(KALAM_ERR_PROTOCOL, h.target = 1);
	EXPECT(KALAM_ERR_PROTOCOL, h.flags = 2);
	EXPECT(KALAM_ERR_PROTOCOL, h.flags = KALAM_LOAD_TARGET);
	EXPECT(KALAM_ERR_PROTOCOL, rest[16] = 9);
	rest[16] = KALAM_VALUE_FORMAT;
	EXPECT(KALAM_ERR_PROTOCOL, rest[4] = KALAM_KEY_KIND_INDEX);
	rest[4] = KALAM_KEY_KIND_ROW;
	EXPECT(KALAM_ERR_PROTOCOL, rest[0] = 1);
	rest[0] = 0;
	CHECK_EQUAL(send_record(id, &good, rest, sizeof(rest), 0, 0), KALAM_OK);
	CHECK_EQUAL(load_drop(0, 0, UINT64_MAX), KALAM_OK);

	/* in pieces */
	CHECK_EQUAL(send_record(id, &good, rest, sizeof(rest), KALAM_BLOCK_BIG, 64), KALAM_OK);
	CHECK_EQUAL(load_drop(0, 0, UINT64_MAX), KALAM_OK);
	CHECK_EQUAL(send_record(id, &good, rest, sizeof(rest), KALAM_BLOCK_BIG, 63), KALAM_ERR_PROTOCOL);
	CHECK_EQUAL(send_record(id, &good, rest, sizeof(rest), KALAM_BLOCK_BIG, 72), KALAM_ERR_PROTOCOL);
	CHECK_EQUAL(send_record(id, &good, rest, sizeof(rest), KALAM_BLOCK_BIG, 0), KALAM_ERR_PROTOCOL);
	CHECK_EQUAL(send_record(id, &good, rest, sizeof(rest), KALAM_BLOCK_BIG, UINT32_MAX),
				KALAM_ERR_PROTOCOL);

	/* targets */
	for (int i = 0; i < 6; i++)
	{
		static const uint32_t codes[] = {
			KALAM_ERR_PROTOCOL, KALAM_ERR_PROTOCOL, KALAM_ERR_NO_OBJECT, KALAM_ERR_PROTOCOL,
			KALAM_ERR_PROTOCOL, KALAM_ERR_PROTOCOL
		};

		c = load_begin(0, 0, i == 5 ? 0 : new_number(), MB);
		load_declare(&c, i == 0, i == 1 ? KALAM_OBJECT_CATALOG : i == 2 ? 4000000 : id, 0,
					 i == 3 ? 8 : 0);
		if (i == 4)
			load_declare(&c, 1, id, 0, KALAM_TARGET_UNIQUE);
		CHECK_EQUAL(load_end(&c), codes[i]);
	}

	/* blocks */
	c = load_begin(0, 0, new_number(), MB);
	load_declare(&c, 0, id, 0, 0);
	kalam_block(store.seg, c.ch, 0)->used = KALAM_BLOCK_DATA_BYTES + 1;
	load_publish(&c, 0);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_PROTOCOL);
	c = load_begin(0, 0, new_number(), MB);
	atomic_store(&c.ch->consumed, 2);
	load_publish(&c, 0);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_PROTOCOL);
	CHECK_EQUAL(count_rows(0, id, 0), 10);
}

static void
test_where_loads_may_stand(void)
{
	uint32_t	id = make_object(10, 16);
	uint32_t	created = next_object++;
	uint64_t	number = new_number();
	TestChannel c;

	/* a number is used once at a time */
	CHECK_EQUAL(load_object(0, number, id, 100, 201, 1, 1), KALAM_OK);
	CHECK_EQUAL(load_object(0, number, id, 300, 401, 1, 1), KALAM_ERR_PROTOCOL);

	/* not in an ordinary commit, short or long */
	for (int lengthy = 0; lengthy < 2; lengthy++)
		for (KalamOp op = KALAM_OP_COMMIT; op <= KALAM_OP_PREPARE; op++)
		{
			c = rpc(0);
			test_begin(&c, op)->full_xid = 5000;
			change_load(&c, number);
			if (lengthy)
				put_rows(&c, id, 1000, 9000, 1);
			CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
		}
	CHECK_EQUAL(load_count(0, number), 101);

	/* twice */
	c = rpc(0);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	change_load(&c, number);
	change_load(&c, number);
	CHECK_EQUAL(commit(&c), KALAM_ERR_NO_LOAD);
	CHECK(files_become(0));

	/* of an object that the transaction says it makes, and does not */
	c = load_begin(0, 0, number, MB);
	load_declare(&c, 0, created, 0, KALAM_TARGET_NEW | KALAM_TARGET_UNIQUE);
	load_put(&c, 0, created, 1, 1, 1, 40);
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(commit_load(0, number), KALAM_ERR_NO_OBJECT);
	CHECK(files_become(0));
	CHECK_EQUAL(count_rows(0, id, 0), 10);
}

/* ---- much, in little memory ---- */

static void
test_large_records(void)
{
	uint32_t	id = make_object(0, 0);
	uint64_t	number = new_number();
	TestChannel c = load_begin(0, 0, number, MB);
	size_t		size = SLOW ? 2 << 20 : 9 << 20;
	uint64_t	n = SLOW ? 5 : 11;

	load_declare(&c, 0, id, 0, KALAM_TARGET_UNIQUE);
	for (uint64_t i = 0; i < n; i++)
	{
		load_put(&c, 0, id, 2 * (i * 3 % n), 1, i, size + i);
		load_put(&c, 0, id, 2 * (i * 3 % n) + 1, 1, i, 16);
	}
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(load_count(0, number), 2 * n);
	CHECK_EQUAL(commit_load(0, number), KALAM_OK);
	expect_rows(id, (long) (2 * n), n * (n - 1));
}

static void
test_many_targets_in_little_memory(void)
{
	uint64_t	number = new_number();
	TestChannel c = load_begin(0, 0, number, MB);
	uint32_t	first;
	uint16_t	n = 40;
	uint64_t	rows = (uint64_t) ROWS * 2;

	first = next_object;
	for (int i = 0; i < n; i++)
		(void) make_object(0, 0);
	for (uint16_t i = 0; i < n; i++)
		load_declare(&c, i, first + i, 0, KALAM_TARGET_UNIQUE);
	for (uint64_t i = 0; i < rows; i++)
		CHECK(load_put(&c, (uint16_t) (i % n), first + (uint32_t) (i % n), i * 7919 % rows, i, 1, 60));
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK_EQUAL(load_count(0, number), rows);
	CHECK_EQUAL(commit_load(0, number), KALAM_OK);
	CHECK(files_become(0));
	CHECK_EQUAL(count_rows(0, first, 0), (rows + n - 1) / n);
	CHECK_EQUAL(count_rows(0, first + n - 1, 0), rows / n);
}

/* ---- kills at random moments ---- */

typedef struct Writer
{
	pthread_t	thread;
	uint32_t	slot;
	uint32_t	object;
	bool		two_phase;
	uint32_t	deaths;			/* of the store, when the round began */
	uint64_t	xid;
	uint64_t	done;			/* the last load that was acknowledged */
	uint64_t	doubtful_stamp;
	bool		asked_to_apply; /* two-phase: PREPARE was acknowledged */
} Writer;

static uint64_t
writer_rows(void)
{
	return SLOW ? 1009 : 3001;
}

/* Load after load, each of keys of its own, until the end. */
static void *
write_until_death(void *arg)
{
	Writer	   *w = arg;
	uint64_t	n = writer_rows();

	for (uint64_t which = w->done + 1;; which++)
	{
		uint64_t	number = new_number();
		TestChannel c = load_begin(w->slot, w->slot, number, MB);
		uint32_t	code = TEST_DIED;

		w->doubtful_stamp = 0;
		w->asked_to_apply = false;
		c.deaths = w->deaths;
		load_declare(&c, 0, w->object, 0, KALAM_TARGET_UNIQUE);
		load_declare(&c, 1, w->object, 1, KALAM_TARGET_UNIQUE);
		for (uint64_t i = 0; i < n; i++)
			if (!load_put(&c, 0, w->object, which * n + i * 17 % n, i, 1, 40) ||
				!load_entry(&c, 1, w->object, 1, which * n + i * 19 % n, which * n + i, i, true))
				break;
		if (!test_died(&c))
			code = load_end(&c);
		if (code == KALAM_OK)
		{
			c = rpc(w->slot);
			begin_bulk(&c, w->two_phase ? KALAM_OP_PREPARE : KALAM_OP_COMMIT, ++w->xid);
			c.deaths = w->deaths;
			change_load(&c, number);
			code = test_died(&c) ? TEST_DIED : commit(&c);
			if (code == TEST_DIED)
				w->doubtful_stamp = atomic_load(&c.ch->result.commit_stamp);
		}
		if (code == KALAM_OK && w->two_phase)
		{
			KalamRequest *r;

			w->asked_to_apply = true;
			r = test_begin(&c, KALAM_OP_RESOLVE);
			c.deaths = w->deaths;
			r->full_xid = w->xid;
			r->flags = KALAM_RESOLVE_APPLY;
			test_post(&c, KALAM_LANE_COMMIT);
			code = test_finish(&c);
		}
		if (code == TEST_DIED)
			return NULL;
		if (!CHECK_EQUAL(code, KALAM_OK))
		{
			fprintf(stderr, "%s\n", c.ch->result.message);
			return NULL;
		}
		w->done = which;
	}
}

static void
test_kills_at_random_moments(void)
{
	Writer		writers[3] = {0};
	double		end = test_now() + (SLOW ? 4 : 3);
	long		rounds = 0;
	unsigned	seed = (unsigned) time(NULL);
	uint64_t	n = writer_rows();

	for (uint32_t i = 0; i < 3; i++)
	{
		writers[i].slot = i;
		writers[i].two_phase = i > 0;
		writers[i].xid = 100000 * (i + 1);
		writers[i].object = make_object(0, 0);
	}
	for (; test_now() < end; rounds++)
	{
		uint64_t	recovered;

		for (int i = 0; i < 3; i++)
		{
			writers[i].deaths = atomic_load(&store.deaths);
			pthread_create(&writers[i].thread, NULL, write_until_death, &writers[i]);
		}
		test_sleep_ms(20 + (int) ((unsigned) rand_r(&seed) % 250));
		test_store_kill(&store, SIGKILL);
		for (int i = 0; i < 3; i++)
			pthread_join(writers[i].thread, NULL);
		REQUIRE(test_store_start(&store));
		recovered = atomic_load(&store.seg->recovered);
		for (int i = 1; i < 3; i++)
			CHECK_EQUAL(supervisor_resolve(writers[i].xid, writers[i].asked_to_apply), KALAM_OK);
		CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
		CHECK(files_become(0));
		REQUIRE(test_serve(&store) == KALAM_OK);
		for (int i = 0; i < 3; i++)
		{
			Writer	   *w = &writers[i];
			uint64_t	stamp = w->doubtful_stamp;

			if (w->two_phase ? w->asked_to_apply : stamp != 0 && stamp <= recovered)
				w->done++;
			CHECK_EQUAL(count_only(w->object), w->done * n);
			CHECK_EQUAL(count_entries(0, w->object, 1, 0), w->done * n);
		}
	}
	printf("%ld kills, %llu loads\n", rounds,
		   (unsigned long long) (writers[0].done + writers[1].done + writers[2].done));
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_rows_and_indexes),
		TEST(test_reading_back),
		TEST(test_empty_ones),
		TEST(test_what_else_a_transaction_does),
		TEST(test_prepare),
		TEST(test_few_records),
		TEST(test_few_records_too_late),
		TEST(test_few_records_of_many_targets),
		TEST(test_duplicates),
		TEST(test_duplicate_in_an_index),
		TEST(test_the_first_of_several),
		TEST(test_duplicate_while_the_owner_writes),
		TEST(test_loads_side_by_side),
		TEST(test_drops),
		TEST(test_cancel_in_mid_stream),
		TEST(test_shutdown_in_mid_stream),
		TEST(test_cancel_of_a_read),
		TEST(test_malformed_streams),
		TEST(test_where_loads_may_stand),
		TEST(test_large_records),
		TEST(test_many_targets_in_little_memory),
		TEST(test_kills_at_random_moments),
	};

	return fixture_main(argc, argv, "test_loads", tests, sizeof(tests) / sizeof(tests[0]));
}
