/*
 * test_bulk.c
 *	  Large transactions that come as sorted files: what they do, and that they
 *	  are whole or nothing when the storage process is killed at random moments.
 *	  Usage: test_bulk PROGRAM
 */
#include <pthread.h>

#include "test/unit/bulk_fixture.h"

#define ROWS (SLOW ? 4000 : 40000)

/* ---- what a load does ---- */

static void
test_load_over_stored_rows(void)
{
	uint32_t	id = make_object(0, 0);
	TestChannel c = rpc(0);
	uint64_t	n = (uint64_t) ROWS;
	uint64_t	before,
				after;

	/* of stored rows half lie in a file and half in memory */
	test_begin(&c, KALAM_OP_COMMIT);
	put_rows(&c, id, 0, n / 2, 1);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	flush(id);
	test_begin(&c, KALAM_OP_COMMIT);
	put_rows(&c, id, n / 2, n, 1);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	before = test_pin(&store, 1, 0);

	/* of each four one is overwritten, one deleted, two stay; as many are new */
	begin_bulk(&c, KALAM_OP_COMMIT, 0)->max_row_id = 3 * n;
	for (uint64_t i = 0; i < n; i++)
		if (i % 4 == 0)
			test_put(&c, id, i, 1, 3, 40);
		else if (i % 4 == 1)
			test_delete(&c, id, i);
	put_rows(&c, id, n, 2 * n, 5);
	CHECK_EQUAL(count_rows(2, id, 0), n);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	after = test_pin(&store, 1, 1);
	CHECK(c.ch->result.commit_stamp > before && c.ch->result.commit_stamp <= after);
	CHECK(atomic_load(&store.seg->all_stamp) <= before);
	CHECK_EQUAL(atomic_load(&kalam_object_stamps(store.seg, id)->all), after);
	CHECK_EQUAL(atomic_load(&kalam_object_stamps(store.seg, id)->any), after);
	CHECK(files_become(0));
	expect_rows(id, n * 3 / 4 + n, n / 4 * 3 + n / 2 + n * 5);
	CHECK_EQUAL(point(0, id, 0, 0), 3);
	CHECK_EQUAL(point(0, id, 1, 0), -1);
	CHECK_EQUAL(point(0, id, 2, 0), 1);

	/* snapshots */
	CHECK_EQUAL(summary(1, id, before, 0).rows, n);
	CHECK_EQUAL(summary(1, id, before, KALAM_SCAN_REVERSE).tags, n);
	CHECK_EQUAL(point(1, id, 1, before), 1);
	CHECK_EQUAL(point(1, id, n, before), -1);
	CHECK_EQUAL(summary(1, id, after, 0).rows, n * 3 / 4 + n);

	/* rows over ingested ones */
	test_begin(&c, KALAM_OP_COMMIT);
	test_put(&c, id, 0, 1, 13, 40);
	test_delete(&c, id, n);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	expect_rows(id, n * 3 / 4 + n - 1, n / 4 * 3 + 10 + n / 2 + n * 5 - 5);
	CHECK_EQUAL(point(1, id, 0, after), 3);
	test_unpin(&store, 1, 0);
	test_unpin(&store, 1, 1);

	test_store_kill(&store, SIGKILL);
	start_and_serve();
	CHECK(atomic_load(&store.seg->next_row_id) > 3 * n);
	expect_rows(id, n * 3 / 4 + n - 1, n / 4 * 3 + 10 + n / 2 + n * 5 - 5);
}

static void
test_objects_of_a_load(void)
{
	TestChannel c = rpc(0);
	uint32_t	old = make_object(10, 40);
	uint32_t	first = next_object++,
				second = next_object++,
				third = next_object++;
	uint8_t		key[9];
	uint8_t		value[16] = {KALAM_VALUE_FORMAT};
	KalamRequest *r;

	/* two new ones, one made and dropped at once, an old one, a row of the catalog */
	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	memcpy(key + 5, "Tbul", 4);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	test_create(&c, first, 1, 10000);
	test_create(&c, third, 0, 0);
	test_create(&c, second, 2, 0);
	test_drop(&c, third);
	test_change(&c, KALAM_CHANGE_PUT, key, sizeof(key), value, sizeof(value));
	put_rows(&c, old, 5, 2000, 2);
	put_rows(&c, first, 0, 2000, 3);
	put_rows(&c, second, 0, 3000, 4);
	put_rows(&c, third, 0, 2000, 5);
	CHECK_EQUAL(count_rows(1, first, 0), -1);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	for (int again = 0; again < 2; again++)
	{
		CHECK_EQUAL(count_rows(0, old, 0), 2000);
		expect_rows(first, 2000, 6000);
		expect_rows(second, 3000, 12000);
		CHECK_EQUAL(count_rows(0, third, 0), -1);
		r = test_scan_begin(&c, KALAM_OBJECT_CATALOG, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_POINT);
		memcpy(r->lower, key, sizeof(key));
		r->lower_len = sizeof(key);
		test_post(&c, KALAM_LANE_READ);
		CHECK_EQUAL(test_drain(&c), 1);
		if (again == 0)
		{
			CHECK(files_become(0));
			test_store_kill(&store, SIGKILL);
			start_and_serve();
			CHECK(atomic_load(&store.seg->next_object_id) > second);
		}
	}

	/* nothing but objects; and nothing at all */
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	test_drop(&c, second);
	test_create(&c, next_object, 1, 0);
	end_block(&c);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	CHECK_EQUAL(count_rows(0, second, 0), -1);
	CHECK_EQUAL(count_rows(0, next_object++, 0), 0);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	test_write(&c, NULL, 0);
	kalam_block(store.seg, c.ch, 0)->used = 0;
	end_block(&c);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
}

/*
 * The entries of a dropped index go, those that come in a file, or with the stream,
 * included; those of another come, and whoever dies in between has nothing to do again.
 */
static void
drop_index_in_a_load(uint64_t n)
{
	TestChannel c = rpc(0);
	uint32_t	id = make_object(10, 40);

	test_begin(&c, KALAM_OP_COMMIT);
	for (uint64_t i = 0; i < 10; i++)
	{
		test_put_entry(&c, id, 1, i);
		test_put_entry(&c, id, 2, i);
	}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	test_drop_index(&c, id, 1);
	put_rows(&c, id, 5, n, 3);
	for (uint64_t i = 10; i < n; i++)
		test_put_entry(&c, id, 1, i);
	for (uint64_t i = 10; i < n; i++)
		test_put_entry(&c, id, 3, i);
	CHECK_EQUAL(count_entries(1, id, 1, 0), 10);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	for (int again = 0; again < 2; again++)
	{
		CHECK_EQUAL(count_rows(0, id, 0), n);
		CHECK_EQUAL(count_entries(0, id, 1, 0), 0);
		CHECK_EQUAL(count_entries(0, id, 2, 0), 10);
		CHECK_EQUAL(count_entries(0, id, 3, 0), n - 10);
		if (again == 0)
		{
			CHECK(files_become(0));
			test_store_kill(&store, SIGKILL);
			start_and_serve();
		}
	}
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	put_rows(&c, id, 0, 10, 3);
	test_drop_index(&c, KALAM_OBJECT_CATALOG, 1);
	CHECK_EQUAL(end_bulk(&c), KALAM_ERR_PROTOCOL);
}

static void
test_indexes_of_a_load(void)
{
	drop_index_in_a_load(3000);
	drop_index_in_a_load(100);
}

/* ---- objects with few rows ---- */

#define FEW_BYTES		((size_t) 64 << 10)		/* that have no file, */
#define ALL_FEW_BYTES	((size_t) 16 << 20)		/* nor have all such together more */
#define ROW_BYTES(size)	(KALAM_CHANGE_HEADER_BYTES + TEST_KEY_BYTES + KALAM_VALUE_HEADER_BYTES + (size))

/* Rows 0 .. 99, of so many bytes in all. */
static void
put_bytes(TestChannel *c, uint32_t id, size_t bytes, uint64_t tag)
{
	put_rows(c, id, 0, 99, tag);
	test_put(c, id, 99, 1, tag, bytes - 99 * ROW_BYTES(40) - ROW_BYTES(0));
}

static void
test_few_rows_have_no_file(void)
{
	TestChannel c = rpc(0);
	uint32_t	id = make_object(200, 40);
	uint32_t	other = make_object(10, 40);

	for (uint32_t more = 0; more < 2; more++)
		for (uint32_t apply = 0; apply < 2; apply++)
		{
			uint64_t	tag = 3 + 2 * more + apply;

			begin_bulk(&c, KALAM_OP_PREPARE, 3000);
			put_bytes(&c, id, FEW_BYTES + more, tag);
			put_rows(&c, other, 0, 10, tag);
			CHECK_EQUAL(end_bulk(&c), KALAM_OK);
			CHECK_EQUAL(files_left(), more);
			test_store_kill(&store, SIGKILL);
			start_and_serve();
			CHECK_EQUAL(files_left(), more);
			CHECK_EQUAL(resolve(3000, apply), KALAM_OK);
			CHECK(files_become(0));
			CHECK_EQUAL(point(0, id, 99, 0), apply ? tag : more ? 4 : 99);
			CHECK_EQUAL(summary(0, other, 0, 0).tags, apply ? 10 * tag : more ? 40 : 45);
			CHECK_EQUAL(count_rows(0, id, 0), 200);
		}

	/* deletions are few for longer; so are those of an object that goes with them */
	begin_bulk(&c, KALAM_OP_PREPARE, 3001);
	test_drop(&c, other);
	for (uint64_t i = 0; i < 1000; i++)
		test_delete(&c, id, i);
	put_bytes(&c, other, 2 * FEW_BYTES, 1);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	CHECK_EQUAL(files_left(), 0);
	CHECK_EQUAL(resolve(3001, true), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 0);
	CHECK_EQUAL(count_rows(0, other, 0), -1);

	/* dropped while it was prepared */
	begin_bulk(&c, KALAM_OP_PREPARE, 3002);
	put_rows(&c, id, 0, 100, 1);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, id);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(resolve(3002, true), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), -1);
	CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
}

/* Many objects with few rows, one with many among them; they are in memory up to a bound. */
static void
test_many_objects_with_few_rows(void)
{
	TestChannel c = rpc(0);
	uint32_t	n = (uint32_t) (ALL_FEW_BYTES / FEW_BYTES) + 4;
	uint32_t	first = next_object;

	next_object += n;
	share_families(true);
	for (uint64_t load = 0; load < 3; load++)
	{
		/* 1: all of them fit but for the one that never does */
		size_t		bytes = load == 1 ? FEW_BYTES / 2 : FEW_BYTES;
		uint32_t	large = first + n / 2;

		begin_bulk(&c, KALAM_OP_PREPARE, 3100 + load);
		for (uint32_t i = 0; load == 0 && i < n; i++)
			test_create(&c, first + i, 0, 0);
		for (uint32_t id = first; id < first + n; id++)
			put_bytes(&c, id, id == large ? 4 * FEW_BYTES : bytes, load);
		CHECK_EQUAL(end_bulk(&c), KALAM_OK);
		CHECK_EQUAL(files_left(), load == 1 ? 1 : 4);
		if (load == 0)
		{
			CHECK_EQUAL(resolve(3100, true), KALAM_OK);
			CHECK(files_become(0));
			continue;
		}
		CHECK_EQUAL(resolve(3100 + load, false), KALAM_OK);
		CHECK(files_become(0));
		begin_bulk(&c, KALAM_OP_COMMIT, 0);
		for (uint32_t id = first; id < first + n; id++)
			put_bytes(&c, id, id == large ? 4 * FEW_BYTES : bytes, load);
		CHECK_EQUAL(end_bulk(&c), KALAM_OK);
		if (load == 1)
		{
			test_store_kill(&store, SIGKILL);
			start_and_serve();
		}
		CHECK(files_become(0));
		for (uint32_t id = first; id < first + n; id++)
		{
			Summary		s = summary(0, id, 0, 0);

			CHECK_EQUAL(s.rows, 100);
			CHECK_EQUAL(s.tags, 100 * load);
		}
	}
	share_families(false);
}

static void
test_large_values(void)
{
	uint32_t	id = make_object(0, 0);
	TestChannel c = rpc(0);
	size_t		size = 5 << 20;
	int			n = SLOW ? 3 : 8;
	const KalamRow *row;
	int			i;

	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	for (i = 0; i < n; i++)
	{
		test_put(&c, id, (uint64_t) (2 * i), 1, (uint64_t) i, size + (size_t) i);
		test_put(&c, id, (uint64_t) (2 * i + 1), 1, (uint64_t) i, 16);
	}
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	c = scan_channel(0);
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST);
	test_post(&c, KALAM_LANE_READ);
	for (i = 0; (row = test_next(&c)) != NULL; i++)
	{
		size_t		len;
		const uint8_t *body = test_row_body(row, &len);

		CHECK_EQUAL(len, i % 2 ? 16 : size + (size_t) i / 2);
		CHECK_EQUAL(test_row_tag(row), i / 2);
		CHECK_EQUAL(body[len - 1], 'a' + i / 2);
	}
	CHECK_EQUAL(i, 2 * n);
}

static void
test_what_is_refused(void)
{
	uint32_t	id = make_object(10, 16);
	TestChannel c = rpc(0);
	uint32_t	created = next_object;
	static const struct
	{
		uint64_t	second;		/* key behind key 5000 */
		uint32_t	code;
	}			orders[] = {{5001, KALAM_OK}, {5000, KALAM_ERR_PROTOCOL}, {4999, KALAM_ERR_PROTOCOL}};

	for (int i = 0; i < 3; i++)
		for (KalamOp op = KALAM_OP_COMMIT; op <= KALAM_OP_PREPARE; op++)
		{
			begin_bulk(&c, op, 900);
			put_rows(&c, id, 10, 5000, 1);
			test_put(&c, id, 5000, 1, 1, 16);
			test_put(&c, id, orders[i].second, 1, 1, 16);
			CHECK_EQUAL(end_bulk(&c), orders[i].code);
			if (op == KALAM_OP_PREPARE && orders[i].code == KALAM_OK)
				CHECK_EQUAL(resolve(900, false), KALAM_OK);
			CHECK(files_become(0));
		}
	CHECK_EQUAL(count_rows(0, id, 0), 5002);

	for (int i = 0; i < 6; i++)
	{
		uint32_t	code = i < 2 ? KALAM_ERR_NO_OBJECT : KALAM_ERR_PROTOCOL;

		begin_bulk(&c, KALAM_OP_COMMIT, 0);
		test_create(&c, created, 1, 0);
		if (i == 2)
			test_create(&c, 5, 1, 0);
		put_rows(&c, id, 6000, 9000, 1);
		if (i == 0)
			put_rows(&c, 4000000, 0, 10, 1);
		else if (i == 1)
			test_delete(&c, 4000000, 1);
		else if (i == 3)
			test_put(&c, KALAM_OBJECT_PENDING, 1, 1, 1, 16);
		else if (i == 4)
			test_change(&c, KALAM_CHANGE_INGEST, "\0\0\1\1", 4, "../x", 4);
		else if (i == 5)
			test_write(&c, "\1\0", 2);
		CHECK_EQUAL(end_bulk(&c), code);
		CHECK(files_become(0));
	}
	CHECK_EQUAL(count_rows(0, id, 0), 5002);
	CHECK_EQUAL(count_rows(0, created, 0), -1);
	CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
	test_store_kill(&store, SIGKILL);
	start_and_serve();
	CHECK_EQUAL(count_rows(0, id, 0), 5002);
}

static void
test_cancel_in_mid_stream(void)
{
	uint32_t	id = make_object(10, 16);
	TestChannel c = rpc(0);
	uint64_t	xid = 950;

	for (uint64_t blocks = 1; blocks < 60; blocks += 7)
		for (KalamOp op = KALAM_OP_COMMIT; op <= KALAM_OP_PREPARE; op++)
		{
			begin_bulk(&c, op, xid++);
			put_rows(&c, id, 100, 100 + 2200 * blocks, 1);
			test_cancel(&c, KALAM_LANE_READ);
			CHECK_EQUAL(test_finish(&c), KALAM_ERR_CANCELED);
			CHECK(files_become(0));
		}
	CHECK_EQUAL(count_rows(0, id, 0), 10);
}

static void
test_resolve(void)
{
	uint32_t	id = make_object(10, 40);
	uint64_t	n = (uint64_t) ROWS / 4;
	uint64_t	before;
	TestChannel c = rpc(0);
	TestChannel d = rpc(1);
	KalamRequest *r;

	for (uint64_t xid = 1000; xid < 1003; xid++)
		CHECK_EQUAL(prepare_rows(xid, id, xid * n, (xid + 1) * n, xid), KALAM_OK);
	CHECK_EQUAL(atomic_load(&store.seg->pending), 3);
	CHECK_EQUAL(files_left(), 3);
	before = test_pin(&store, 1, 0);
	CHECK_EQUAL(count_rows(0, id, 0), 10);
	CHECK_EQUAL(resolve(1000, true), KALAM_OK);
	CHECK(files_become(2));
	CHECK_EQUAL(count_rows(0, id, 0), 10 + n);
	CHECK_EQUAL(count_rows(1, id, before), 10);
	CHECK_EQUAL(resolve(1001, false), KALAM_OK);
	CHECK(files_become(1));
	CHECK_EQUAL(count_rows(0, id, 0), 10 + n);
	CHECK_EQUAL(resolve(1001, true), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 10 + n);
	test_unpin(&store, 1, 0);

	/* it waits over restarts of both kinds */
	for (int i = 0; i < 2; i++)
	{
		test_store_kill(&store, i == 0 ? SIGKILL : SIGTERM);
		start_and_serve();
		CHECK_EQUAL(atomic_load(&store.seg->pending), 1);
		CHECK_EQUAL(files_left(), 1);
		CHECK_EQUAL(count_rows(0, id, 0), 10 + n);
	}
	CHECK_EQUAL(resolve(1002, true), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 10 + 2 * n);
	CHECK(files_become(0));

	/* one is dropped and one applied by the same group */
	CHECK_EQUAL(prepare_rows(1003, id, 0, 2000, 7), KALAM_OK);
	CHECK_EQUAL(prepare_rows(1004, id, 3000, 5000, 8), KALAM_OK);
	kill(store.pid, SIGSTOP);
	r = test_begin(&c, KALAM_OP_RESOLVE);
	r->full_xid = 1003;
	test_post(&c, KALAM_LANE_COMMIT);
	r = test_begin(&d, KALAM_OP_RESOLVE);
	r->full_xid = 1004;
	r->flags = KALAM_RESOLVE_APPLY;
	test_post(&d, KALAM_LANE_COMMIT);
	kill(store.pid, SIGCONT);
	CHECK_EQUAL(test_finish(&c), KALAM_OK);
	CHECK_EQUAL(test_finish(&d), KALAM_OK);
	CHECK_EQUAL(c.ch->result.commit_stamp, d.ch->result.commit_stamp);
	CHECK_EQUAL(count_rows(0, id, 0), 10 + 2 * n + 2000);
	CHECK_EQUAL(point(0, id, 3000, 0), 8);
	CHECK(files_become(0));
	CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
}

static void
test_dropped_before_it_is_resolved(void)
{
	uint32_t	id = make_object(10, 40);
	TestChannel c = rpc(0);

	CHECK_EQUAL(prepare_rows(1100, id, 0, 3000, 1), KALAM_OK);
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, id);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(resolve(1100, true), KALAM_OK);
	CHECK(files_become(0));
	CHECK_EQUAL(count_rows(0, id, 0), -1);
}

static void
test_keys_only(void)
{
	uint32_t	id = make_object(3000, 1000);
	TestChannel c = scan_channel(0);
	const KalamRow *row;
	uint64_t	i;

	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS_ONLY);
	test_post(&c, KALAM_LANE_READ);
	for (i = 0; (row = test_next(&c)) != NULL; i++)
		if (row->tuple_len != KALAM_TUPLE_BODY_OFFSET || row->key_len != TEST_KEY_BYTES ||
			test_row_number(row) != i || row->version != (1 << 8 | 1))
			break;
	CHECK_EQUAL(i, 3000);
	CHECK_EQUAL(c.code, KALAM_OK);
}

/* ---- kills at random moments ---- */

typedef struct Loader
{
	pthread_t	thread;
	uint32_t	slot;
	uint32_t	objects[2];		/* each load writes both */
	bool		two_phase;
	uint32_t	deaths;			/* of the store, when the round began */
	uint64_t	xid;
	uint64_t	done;			/* the last load that was acknowledged */
	uint64_t	doubtful;		/* the one that was not answered */
	uint64_t	doubtful_stamp;
	bool		asked_to_apply; /* two-phase: PREPARE was acknowledged */
} Loader;

static uint64_t
load_rows(void)
{
	return SLOW ? 1500 : 3000;
}

/* Loads again and again, each time over all rows of before, until the end. */
static void *
load_until_death(void *arg)
{
	Loader	   *l = arg;
	TestChannel c = rpc(l->slot);
	uint64_t	n = load_rows();

	for (uint64_t number = l->done + 1;; number++)
	{
		uint32_t	code;

		l->doubtful = number;
		l->doubtful_stamp = 0;
		l->asked_to_apply = false;
		begin_bulk(&c, l->two_phase ? KALAM_OP_PREPARE : KALAM_OP_COMMIT, ++l->xid);
		c.deaths = l->deaths;
		if (!test_died(&c) && put_rows(&c, l->objects[0], 0, n, number) &&
			put_rows(&c, l->objects[1], 0, n, number))
			code = end_bulk(&c);
		else
			code = TEST_DIED;
		if (code == KALAM_OK && l->two_phase)
		{
			KalamRequest *r;

			l->asked_to_apply = true;
			r = test_begin(&c, KALAM_OP_RESOLVE);
			c.deaths = l->deaths;
			r->full_xid = l->xid;
			r->flags = KALAM_RESOLVE_APPLY;
			test_post(&c, KALAM_LANE_COMMIT);
			code = test_finish(&c);
		}
		if (code == TEST_DIED)
		{
			if (!l->asked_to_apply)
				l->doubtful_stamp = atomic_load(&c.ch->result.commit_stamp);
			return NULL;
		}
		if (!CHECK_EQUAL(code, KALAM_OK))
		{
			fprintf(stderr, "%s\n", c.ch->result.message);
			return NULL;
		}
		l->done = number;
	}
}

/* The load of the number is there whole: the number, else 0 for none. */
static uint64_t
loaded(const Loader *l)
{
	uint64_t	n = load_rows();
	Summary		a = summary(0, l->objects[0], 0, 0);
	Summary		b = summary(0, l->objects[1], 0, KALAM_SCAN_REVERSE);

	CHECK_EQUAL(a.rows, b.rows);
	CHECK_EQUAL(a.tags, b.tags);
	if (a.rows == 0)
		return 0;
	CHECK_EQUAL(a.rows, n);
	CHECK_EQUAL(a.tags % n, 0);
	return a.tags / n;
}

static void
test_kills_at_random_moments(void)
{
	Loader		loaders[3] = {0};
	double		end = test_now() + (SLOW ? 8 : 6);
	long		rounds = 0,
				there = 0;
	unsigned	seed = (unsigned) time(NULL);

	for (uint32_t i = 0; i < 3; i++)
	{
		loaders[i].slot = i;
		loaders[i].two_phase = i > 0;
		loaders[i].xid = 100000 * (i + 1);
		loaders[i].objects[0] = make_object(0, 0);
		loaders[i].objects[1] = make_object(0, 0);
	}
	for (; test_now() < end; rounds++)
	{
		uint64_t	recovered;

		for (int i = 0; i < 3; i++)
		{
			loaders[i].deaths = atomic_load(&store.deaths);
			pthread_create(&loaders[i].thread, NULL, load_until_death, &loaders[i]);
		}
		test_sleep_ms(20 + (int) ((unsigned) rand_r(&seed) % 250));
		test_store_kill(&store, SIGKILL);
		for (int i = 0; i < 3; i++)
			pthread_join(loaders[i].thread, NULL);
		REQUIRE(test_store_start(&store));
		recovered = atomic_load(&store.seg->recovered);
		for (int i = 1; i < 3; i++)
			CHECK_EQUAL(supervisor_resolve(loaders[i].xid, loaders[i].asked_to_apply), KALAM_OK);
		CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
		CHECK(files_become(0));
		REQUIRE(test_serve(&store) == KALAM_OK);
		for (int i = 0; i < 3; i++)
		{
			Loader	   *l = &loaders[i];
			uint64_t	stamp = l->doubtful_stamp;
			bool		survived = l->two_phase ? l->asked_to_apply : stamp != 0 && stamp <= recovered;

			CHECK_EQUAL(loaded(l), survived ? l->doubtful : l->done);
			if (survived)
				l->done = l->doubtful;
			there += survived;
		}
	}
	printf("kills: %ld rounds, %ld of %ld loads in doubt had survived\n", rounds, there, 3 * rounds);
	CHECK(rounds > 2);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_load_over_stored_rows),
		TEST(test_objects_of_a_load),
		TEST(test_indexes_of_a_load),
		TEST(test_few_rows_have_no_file),
		TEST(test_many_objects_with_few_rows),
		TEST(test_large_values),
		TEST(test_what_is_refused),
		TEST(test_cancel_in_mid_stream),
		TEST(test_resolve),
		TEST(test_dropped_before_it_is_resolved),
		TEST(test_keys_only),
		TEST(test_kills_at_random_moments),
	};

	return fixture_main(argc, argv, "test_bulk", tests, sizeof(tests) / sizeof(tests[0]));
}
