/*
 * test_stops.c
 *	  Deaths of the storage process at the stop points of stop_point.h, and again
 *	  while its successor completes what was begun.
 *	  Usage: test_stops PROGRAM, which is built with -DKALAM_STOP_POINTS
 */
#include "test/unit/load_fixture.h"
#include "test/unit/stop_fixture.h"

/* Starts it; if there is a point, one before dies there at the latest. */
static void
restart_through(const char *again)
{
	if (again != NULL)
	{
		stop_at(again);
		if (test_store_start(&store))
			test_store_kill(&store, SIGKILL);	/* it did not come by there */
		stop_at(NULL);
	}
	REQUIRE(test_store_start(&store));
}

static const char *const commit_points[] = {
	"before_entry", "after_entry", "after_link", "after_db_link", "before_db_unlink", "between_families",
	"after_ingest", "after_batch", "before_unlink", "after_unlink"
};
static const char *const resolve_points[] = {
	"after_link", "after_db_link", "before_db_unlink", "between_families", "after_ingest", "after_batch",
	"before_unlink", "after_unlink"
};

/* Of commit_points the first behind the answer; of resolve_points the first behind taking in. */
#define COMMIT_ANSWERED 8
#define RESOLVE_TAKEN_IN 4

#define LENGTH(a) ((int) (sizeof(a) / sizeof((a)[0])))

/* One with 1000 rows, in another family than those that are created, also if it shares it. */
static uint32_t
old_object(void)
{
	TestChannel c = rpc(0);
	uint32_t	id = next_object++;

	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	test_create(&c, id, KALAM_COMPRESSION_NONE, 0);
	for (uint64_t i = 0; i < 1000; i++)
		test_put(&c, id, i, 1, i, 40);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	return id;
}

/* A load of rows and deletions in an old object, of a new object, and of one with few rows, the next. */
static uint32_t
send_load(TestChannel *c, KalamOp op, uint64_t xid, uint32_t old, uint32_t created)
{
	begin_bulk(c, op, xid);
	test_create(c, created, 1, 10000);
	test_create(c, created + 1, 0, 0);
	for (uint64_t i = 0; i < 1000; i++)
		if (i % 2 == 0)
			test_put(c, old, i, 1, 9, 40);
		else
			test_delete(c, old, i);
	put_rows(c, old, 1000, 4000, 9);
	put_rows(c, created, 0, 3000, 9);
	put_rows(c, created + 1, 0, 100, 9);
	return end_bulk(c);
}

/* The first of two ids. */
static uint32_t
two_objects(void)
{
	next_object += 2;
	return next_object - 2;
}

static void
expect_load(bool there, uint32_t old, uint32_t created)
{
	if (there)
	{
		expect_rows(old, 3500, 3500 * 9);
		expect_rows(created, 3000, 3000 * 9);
		expect_rows(created + 1, 100, 100 * 9);
	}
	else
	{
		expect_rows(old, 1000, 1000 * 999 / 2);
		CHECK_EQUAL(count_rows(0, created, 0), -1);
		CHECK_EQUAL(count_rows(0, created + 1, 0), -1);
	}
	CHECK(files_become(0));
	CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
}

static void
test_commit_that_stops(void)
{
	for (int p = 0; p < LENGTH(commit_points); p++)
		for (int again = -1; again < LENGTH(resolve_points); again++)
		{
			pthread_t	reaper;
			uint32_t	old,
						created;
			uint32_t	code;
			TestChannel c = rpc(0);
			bool		survived;

			if (again >= 0 && (p + again) % 2 != 0)
				continue;		/* half of the pairs will do */
			reaper = start_to_die(commit_points[p]);
			old = old_object();
			created = two_objects();
			code = send_load(&c, KALAM_OP_COMMIT, 0, old, created);
			CHECK_EQUAL(code, p >= COMMIT_ANSWERED ? KALAM_OK : TEST_DIED);
			wait_for_death(reaper);
			restart_through(again < 0 ? NULL : resolve_points[again]);
			REQUIRE(test_serve(&store) == KALAM_OK);
			survived = atomic_load(&c.ch->result.commit_stamp) != 0 &&
				atomic_load(&c.ch->result.commit_stamp) <= atomic_load(&store.seg->recovered);
			CHECK_EQUAL(survived, p > 0);
			expect_load(p > 0, old, created);
			test_store_kill(&store, SIGKILL);
		}
}

static void
test_prepare_that_stops(void)
{
	for (int p = 0; p < 2; p++)
	{
		pthread_t	reaper = start_to_die(p == 0 ? "before_entry" : "after_entry");
		uint32_t	old = old_object();
		uint32_t	created = two_objects();
		TestChannel c = rpc(0);
		bool		survived;

		CHECK_EQUAL(send_load(&c, KALAM_OP_PREPARE, 2000, old, created), TEST_DIED);
		wait_for_death(reaper);
		restart_through(NULL);
		survived = atomic_load(&c.ch->result.commit_stamp) <= atomic_load(&store.seg->recovered);
		CHECK_EQUAL(survived, p == 1);
		CHECK_EQUAL(atomic_load(&store.seg->pending), p);
		CHECK_EQUAL(files_left(), 2 * p);
		CHECK_EQUAL(supervisor_resolve(2000, p == 1), KALAM_OK);
		REQUIRE(test_serve(&store) == KALAM_OK);
		expect_load(p == 1, old, created);
		test_store_kill(&store, SIGKILL);
	}
}

/* Without files there is one write, also if a load brought half of the rows. */
static void
commit_of_few_rows_that_stops(bool loaded)
{
	static const char *const points[] = {"before_write", "after_write", "after_publish"};

	for (int p = 0; p < LENGTH(points); p++)
	{
		uint64_t	number = new_number();
		pthread_t	reaper;
		uint32_t	objects[2];
		TestChannel c = rpc(0);

		start_and_serve();
		for (int i = 0; i < 2; i++)
			objects[i] = make_object(10, 40);
		test_store_kill(&store, SIGKILL);
		reaper = start_to_die(points[p]);
		if (loaded)
			CHECK_EQUAL(load_object(0, number, objects[0], 50, 100, 1, 9), KALAM_OK);
		begin_bulk(&c, KALAM_OP_COMMIT, 0);
		if (loaded)
			change_load(&c, number);
		for (int i = 0; i < 2; i++)
		{
			test_delete(&c, objects[i], 0);
			put_rows(&c, objects[i], 1, loaded && i == 0 ? 50 : 100, 9);
		}
		CHECK_EQUAL(end_bulk(&c), TEST_DIED);
		wait_for_death(reaper);
		start_and_serve();
		CHECK_EQUAL(atomic_load(&c.ch->result.commit_stamp) <= atomic_load(&store.seg->recovered), p > 0);
		for (int i = 0; i < 2; i++)
			expect_rows(objects[i], p > 0 ? 99 : 10, p > 0 ? 99 * 9 : 45);
		CHECK(files_become(0));
		CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
		test_store_kill(&store, SIGKILL);
	}
}

static void
test_commit_of_few_rows_that_stops(void)
{
	commit_of_few_rows_that_stops(false);
	commit_of_few_rows_that_stops(true);
}

/* ---- loads that come while a statement runs ---- */

static const char *const load_points[] = {
	"load_target", "load_chunk", "load_received", "load_merge", "load_unique", "load_kept",
	"load_taken", "load_named"
};

/* Rows of an old object, of a new one, and few of the next, in no order, in two loads; the second goes on. */
static uint32_t
send_kept(uint64_t *numbers, uint32_t old, uint32_t created)
{
	TestChannel c;
	uint32_t	code;

	for (int i = 0; i < 2; i++)
		numbers[i] = new_number();
	c = load_begin(0, 0, numbers[0], MB);
	load_declare(&c, 0, old, 0, KALAM_TARGET_UNIQUE);
	load_declare(&c, 1, created, 0, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW);
	load_declare(&c, 2, created, 1, KALAM_TARGET_NEW);
	load_declare(&c, 3, created + 1, 0, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW);
	for (uint64_t i = 0; i < 100; i++)
		load_put(&c, 3, created + 1, 99 - i, i, 3, 100);
	for (uint64_t i = 0; i < 5003; i++)
	{
		uint64_t	row = i * 1009 % 5003;

		load_put(&c, 0, old, 1000 + row, i, 3, 100);
		load_put(&c, 1, created, row, i, 3, 100);
		load_entry(&c, 2, created, 1, row % 10, row, i, false);
	}
	code = load_end(&c);
	return code != KALAM_OK ? code : load_object(0, numbers[1], old, 30000, 33001, 1, 5);
}

static void
expect_kept(bool there, uint32_t old, uint32_t created)
{
	expect_rows(old, there ? 1000 + 5003 + 3001 : 1000,
				1000 * 999 / 2 + (there ? 3 * 5003 + 5 * 3001 : 0));
	CHECK_EQUAL(count_rows(0, created, 0), there ? 5003 : -1);
	CHECK_EQUAL(count_rows(0, created + 1, 0), there ? 100 : -1);
	CHECK_EQUAL(count_entries(0, created, 1, 0), there ? 5003 : -1);
	CHECK(files_become(0));
	CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
}

/* Sends the loads, then what names them. */
static uint32_t
finish_kept(TestChannel *c, KalamOp op, uint64_t xid, uint32_t old, uint32_t created)
{
	uint64_t	numbers[2];
	uint32_t	code = send_kept(numbers, old, created);

	if (code != KALAM_OK)
		return code;
	begin_bulk(c, op, xid);
	change_load(c, numbers[0]);
	change_load(c, numbers[1]);
	test_create(c, created, KALAM_COMPRESSION_LZ4, 10000);
	test_create(c, created + 1, KALAM_COMPRESSION_LZ4, 10000);
	return commit(c);
}

/* Before anything names it a load leaves nothing, wherever the process dies. */
static void
test_load_that_stops(void)
{
	for (int p = 0; p < LENGTH(load_points); p++)
	{
		pthread_t	reaper = start_to_die(load_points[p]);
		uint32_t	old = old_object();
		uint32_t	created = two_objects();
		TestChannel c = rpc(0);

		CHECK_EQUAL(finish_kept(&c, KALAM_OP_COMMIT, 0, old, created), TEST_DIED);
		wait_for_death(reaper);
		restart_through(NULL);
		REQUIRE(test_serve(&store) == KALAM_OK);
		expect_kept(false, old, created);
		CHECK_EQUAL(finish_kept(&c, KALAM_OP_COMMIT, 0, old, created), KALAM_OK);
		expect_kept(true, old, created);
		test_store_kill(&store, SIGKILL);
	}
}

static void
test_commit_of_loads_that_stops(void)
{
	static const char *const twice[] = {NULL, "after_db_link", "after_batch"};

	for (int p = 0; p < LENGTH(commit_points); p++)
		for (int again = 0; again < LENGTH(twice); again++)
		{
			pthread_t	reaper = start_to_die(commit_points[p]);
			uint32_t	old = old_object();
			uint32_t	created = two_objects();
			TestChannel c = rpc(0);

			CHECK_EQUAL(finish_kept(&c, KALAM_OP_COMMIT, 0, old, created),
						p >= COMMIT_ANSWERED ? KALAM_OK : TEST_DIED);
			wait_for_death(reaper);
			restart_through(twice[again]);
			REQUIRE(test_serve(&store) == KALAM_OK);
			expect_kept(p > 0, old, created);
			test_store_kill(&store, SIGKILL);
		}
}

static void
test_prepare_of_loads_that_stops(void)
{
	for (int p = 0; p < 2; p++)
		for (int apply = 0; apply <= p; apply++)
		{
			pthread_t	reaper = start_to_die(p == 0 ? "before_entry" : "after_entry");
			uint32_t	old = old_object();
			uint32_t	created = two_objects();
			TestChannel c = rpc(0);

			CHECK_EQUAL(finish_kept(&c, KALAM_OP_PREPARE, 2300, old, created), TEST_DIED);
			wait_for_death(reaper);
			restart_through(NULL);
			CHECK_EQUAL(atomic_load(&store.seg->pending), p);
			CHECK(p == 0 ? files_left() == 0 : files_left() >= 4);
			CHECK_EQUAL(supervisor_resolve(2300, apply), KALAM_OK);
			REQUIRE(test_serve(&store) == KALAM_OK);
			expect_kept(apply, old, created);
			test_store_kill(&store, SIGKILL);
		}
}

/* The supervisor resolves before it serves, and the process dies in it. */
static void
resolve_to_death(const char *point, uint64_t xid, bool apply)
{
	pthread_t	reaper;
	uint32_t	code;

	stop_at(point);
	REQUIRE(test_store_start(&store));
	stop_at(NULL);
	REQUIRE(pthread_create(&reaper, NULL, reap, NULL) == 0);
	code = supervisor_resolve(xid, apply);
	CHECK(code == KALAM_OK || code == TEST_DIED);
	if (code == KALAM_OK && atomic_load(&store.seg->pending) == 0 && store.pid != 0)
	{
		test_sleep_ms(50);		/* nothing was pending, or it dies behind the answer */
		if (store.pid != 0)
			kill(store.pid, SIGKILL);
	}
	wait_for_death(reaper);
}

static void
test_resolve_that_stops(void)
{
	for (int apply = 0; apply < 2; apply++)
		for (int p = 0; p < LENGTH(resolve_points); p++)
			for (int again = -1; again < LENGTH(resolve_points); again++)
			{
				uint32_t	old,
							created;
				TestChannel c = rpc(0);
				pthread_t	reaper;

				if (again >= 0 && (p + again) % 2 != 0)
					continue;	/* half of the pairs will do */
				/* dropping takes in nothing */
				if (!apply && (p <= RESOLVE_TAKEN_IN || (again >= 0 && again <= RESOLVE_TAKEN_IN)))
					continue;
				reaper = start_to_die(resolve_points[p]);
				old = old_object();
				created = two_objects();
				CHECK_EQUAL(send_load(&c, KALAM_OP_PREPARE, 2100, old, created), KALAM_OK);
				resolve(2100, apply);
				wait_for_death(reaper);
				if (again >= 0)
					resolve_to_death(resolve_points[again], 2100, apply);
				restart_through(NULL);
				CHECK_EQUAL(supervisor_resolve(2100, apply), KALAM_OK);
				REQUIRE(test_serve(&store) == KALAM_OK);
				expect_load(apply, old, created);
				test_store_kill(&store, SIGKILL);
			}
}

/* A stamp that was lost is used again; who asks late is not deceived. */
static void
test_lost_stamp_stays_lost(void)
{
	pthread_t	reaper = start_to_die("before_entry");
	uint32_t	old = old_object();
	TestChannel c = rpc(0);

	CHECK_EQUAL(send_load(&c, KALAM_OP_COMMIT, 0, old, two_objects()), TEST_DIED);
	wait_for_death(reaper);
	for (int i = 0; i < 3; i++)
	{
		restart_through(NULL);
		REQUIRE(test_serve(&store) == KALAM_OK);
		CHECK(atomic_load(&c.ch->result.commit_stamp) > atomic_load(&store.seg->recovered));
		test_store_kill(&store, SIGKILL);
	}
}

/* Files of a load that was never complete go at start; so does what is strange there. */
static void
test_leftovers(void)
{
	TestChannel c = rpc(0);
	uint32_t	old;
	char		path[KALAM_PATH_BYTES + 40];
	FILE	   *f;

	start_and_serve();
	old = make_object(10, 16);
	CHECK_EQUAL(prepare_rows(2200, old, 100, 3000, 1), KALAM_OK);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	put_rows(&c, old, 100, 50000, 1);
	CHECK(files_become(2));
	test_store_kill(&store, SIGKILL);
	snprintf(path, sizeof(path), "%s/bulk/0000000000000001-0.sst", store.seg->config.data_directory);
	f = fopen(path, "w");
	REQUIRE(f != NULL);
	fputs("no sorted file", f);
	fclose(f);
	CHECK_EQUAL(files_left(), 3);
	start_and_serve();
	CHECK_EQUAL(files_left(), 1);
	CHECK_EQUAL(resolve(2200, true), KALAM_OK);
	CHECK_EQUAL(count_rows(0, old, 0), 2910);
	CHECK(files_become(0));
	test_store_kill(&store, SIGKILL);
}

static uint64_t sorted_bytes;

static int
add_sorted(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	size_t		len = strlen(path);

	(void) flag;
	(void) ftw;
	if (len > 4 && strcmp(path + len - 4, ".sst") == 0)
		sorted_bytes += (uint64_t) st->st_size;
	return 0;
}

/* Are there sorted files of an object of 2 MB? */
static bool
is_full(void)
{
	sorted_bytes = 0;
	nftw(store.seg->config.data_directory, add_sorted, 8, FTW_PHYS);
	return sorted_bytes > 500000;
}

static bool
becomes_empty(void)
{
	for (int i = 0; i < 500 && is_full(); i++)
		test_sleep_ms(10);
	return !is_full();
}

/* One transaction that drops an object and creates another, and stops. */
static void
test_drop_and_create_that_stop(void)
{
	static const char *const points[] = {"after_create", "before_drop", "after_drop"};

	for (int p = 0; p < LENGTH(points); p++)
	{
		bool		survives = p > 0;
		uint32_t	old,
					created;
		uint32_t	code;
		pthread_t	reaper;
		TestChannel c = rpc(0);

		start_and_serve();
		old = next_object++;
		created = next_object++;
		test_begin(&c, KALAM_OP_COMMIT);
		test_create(&c, old, KALAM_COMPRESSION_NONE, 0);
		for (uint64_t i = 0; i < 2000; i++)
			test_put(&c, old, i, 1, i, 1000);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		flush(old);
		CHECK(is_full());
		test_store_kill(&store, SIGTERM);

		reaper = start_to_die(points[p]);
		test_begin(&c, KALAM_OP_COMMIT);
		test_create(&c, created, 0, 0);
		test_put(&c, created, 1, 1, 1, 40);
		test_drop(&c, old);
		code = commit(&c);
		CHECK(code == (survives ? KALAM_OK : TEST_DIED));
		wait_for_death(reaper);
		start_and_serve();
		CHECK_EQUAL(count_rows(0, old, 0), survives ? -1 : 2000);
		CHECK_EQUAL(count_rows(0, created, 0), survives ? 1 : -1);
		if (survives)
			CHECK(becomes_empty());
		else
		{
			CHECK(is_full());
			/* nothing is in the way of another try */
			test_begin(&c, KALAM_OP_COMMIT);
			test_create(&c, created, 0, 0);
			test_drop(&c, old);
			CHECK_EQUAL(commit(&c), KALAM_OK);
			CHECK_EQUAL(count_rows(0, created, 0), 0);
			CHECK(becomes_empty());
		}
		test_store_kill(&store, SIGTERM);
	}
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_drop_and_create_that_stop),
		TEST(test_leftovers),
		TEST(test_commit_that_stops),
		TEST(test_prepare_that_stops),
		TEST(test_commit_of_few_rows_that_stops),
		TEST(test_load_that_stops),
		TEST(test_commit_of_loads_that_stops),
		TEST(test_prepare_of_loads_that_stops),
		TEST(test_resolve_that_stops),
		TEST(test_lost_stamp_stays_lost),
	};
	KalamConfig config;
	char		path[300];

	if (argc != 2)
	{
		fprintf(stderr, "usage: test_stops PROGRAM\n");
		return 2;
	}
	program = argv[1];
	fixture_directory();
	snprintf(path, sizeof(path), "%s/stops", directory);
	config = test_config(path);
	config.max_families = 12;	/* later objects share families */
	test_store_init(&store, program, &config);
	fixture_run(tests, sizeof(tests) / sizeof(tests[0]));
	test_store_free(&store);
	remove_tree(directory);
	return check_report("test_stops");
}
