/*
 * test_truth.c
 *	  The words of truth.h: whatever a commit changes says so before the commit is
 *	  published, what it does not change stays true, and no word is ever lowered.
 *	  Usage: test_truth PROGRAM, which is built with -DKALAM_STOP_POINTS
 *
 * The storage process dies between the write and the publication of a commit.
 * What the words say then is what readers would go by who see its stamp.
 */
#include "src/shared/truth.h"
#include "test/unit/load_fixture.h"
#include "test/unit/stop_fixture.h"

#define MANY_ROWS	5000		/* more keys than are noted */
#define MANY_OBJECTS 100		/* likewise */
#define XID			3000

static uint32_t first;			/* objects of the test: this one is changed, */
static uint64_t pub;			/* which was so before */

/* ---- what is true still ---- */

static bool
row_is_true(uint32_t object, uint64_t row)
{
	uint8_t		key[TEST_KEY_BYTES];
	KalamCacheAt at;

	test_key(key, object, row);
	at = kalam_at_point(store.seg, kalam_hash(key, sizeof(key), 0), object, pub, 0);
	return kalam_at_newest_change(&at) <= pub;
}

static bool
object_is_true(uint32_t object)
{
	KalamCacheAt at = kalam_at_object(store.seg, object, pub, 0);

	return kalam_at_newest_change(&at) <= pub;
}

/* Is the record of the object in the catalog? */
static bool
record_is_true(uint32_t object)
{
	uint8_t		key[10];
	KalamCacheAt at;

	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_OBJECT;
	kalam_put_be32(key + KALAM_KEY_PREFIX_BYTES + 1, object);
	at = kalam_at_newest_record(store.seg, kalam_hash(key, sizeof(key), 0), 0);
	return kalam_at_newest_change(&at) <= pub;
}

static bool
list_is_true(void)
{
	KalamCacheAt at = kalam_at_newest_list(store.seg, 0);

	return kalam_at_newest_change(&at) <= pub;
}

static bool
any_row_is_true(uint32_t object, uint64_t from, uint64_t to)
{
	for (uint64_t row = from; row < to; row++)
		if (row_is_true(object, row))
			return true;
	return false;
}

/* ---- changes ---- */

static uint32_t
change_rows(void)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	test_put(&c, first, 3, 1, 1, 40);
	test_delete(&c, first, 4);
	test_put(&c, first, 50, 1, 1, 40);
	return commit(&c);
}

static void
rows_changed(void)
{
	CHECK(!row_is_true(first, 3) && !row_is_true(first, 4) && !row_is_true(first, 50));
	CHECK(row_is_true(first, 2) && row_is_true(first, 51));
	CHECK(!object_is_true(first));
	CHECK(list_is_true() && record_is_true(first));
}

static uint32_t
change_many_rows(void)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	test_create(&c, first + 10, 0, 0);
	put_rows(&c, first, 0, MANY_ROWS, 1);
	return commit(&c);
}

static void
many_rows_changed(void)
{
	CHECK(!any_row_is_true(first, 0, MANY_ROWS));
	CHECK(record_is_true(first));
	CHECK(!object_is_true(first));
	CHECK(!list_is_true() && !record_is_true(first + 10));
}

/* Rows of an old object and of new ones, as files and as bytes. */
static uint32_t
send_file(KalamOp op, uint64_t xid)
{
	TestChannel c = rpc(0);

	begin_bulk(&c, op, xid);
	test_create(&c, first + 10, 1, 10000);
	test_create(&c, first + 11, 0, 0);
	test_delete(&c, first, 3);
	put_rows(&c, first, 1000, 4000, 9);
	put_rows(&c, first + 10, 0, 3000, 9);
	put_rows(&c, first + 11, 0, 100, 9);
	return end_bulk(&c);
}

static uint32_t
load_files(void)
{
	return send_file(KALAM_OP_COMMIT, 0);
}

static void
files_loaded(void)
{
	CHECK(!any_row_is_true(first, 1000, 4000) && !row_is_true(first, 3));
	CHECK(!any_row_is_true(first + 10, 0, 3000) && !any_row_is_true(first + 11, 0, 100));
	CHECK(!object_is_true(first) && !object_is_true(first + 10) && !object_is_true(first + 11));
	CHECK(!list_is_true() && !record_is_true(first + 10) && !record_is_true(first + 11));
	CHECK(record_is_true(first));
}

/* A load that ran while the statement did. */
static uint32_t
load_kept(void)
{
	uint64_t	number = new_number();
	TestChannel c = rpc(0);
	uint32_t	code = load_object(0, number, first, 1000, 40000, 1, 9);

	if (code != KALAM_OK)
		return code;
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	change_load(&c, number);
	return commit(&c);
}

static void
kept_loaded(void)
{
	CHECK(!any_row_is_true(first, 1000, 40000));
	CHECK(!object_is_true(first));
	CHECK(list_is_true() && record_is_true(first));
}

static uint32_t
drop_and_create(void)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	test_drop(&c, first);
	test_create(&c, first + 10, 0, 0);
	test_put(&c, first + 10, 1, 1, 1, 40);
	return commit(&c);
}

static void
dropped_and_created(void)
{
	CHECK(!any_row_is_true(first, 0, 100) && !object_is_true(first));
	CHECK(!row_is_true(first + 10, 1) && !object_is_true(first + 10));
	CHECK(!list_is_true() && !record_is_true(first) && !record_is_true(first + 10));
}

static uint32_t
drop_index(void)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	test_drop_index(&c, first, 1);
	return commit(&c);
}

static void
index_dropped(void)
{
	CHECK(!object_is_true(first));
	CHECK(row_is_true(first, 3) && list_is_true());
}

static uint32_t
change_many_objects(void)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	for (uint32_t i = 0; i < MANY_OBJECTS; i++)
	{
		test_create(&c, first + 10 + i, 0, 0);
		test_put(&c, first + 10 + i, 1, 1, 1, 40);
	}
	test_delete(&c, first, 3);
	return commit(&c);
}

static void
many_objects_changed(void)
{
	for (uint32_t i = 0; i < MANY_OBJECTS; i++)
		CHECK(!row_is_true(first + 10 + i, 1) && !object_is_true(first + 10 + i) &&
			  !record_is_true(first + 10 + i));
	CHECK(!row_is_true(first, 3) && !object_is_true(first) && !list_is_true());
}

/* Two in one group: what the first changes is not forgotten when the second is undone. */
static uint32_t
change_beside_an_error(void)
{
	TestChannel good = rpc(0);
	TestChannel bad = rpc(1);
	uint32_t	code;

	test_begin(&good, KALAM_OP_COMMIT)->serial = 1;
	test_put(&good, first, 3, 1, 1, 40);
	test_begin(&bad, KALAM_OP_COMMIT)->serial = 2;
	test_put(&bad, first, 5, 1, 1, 40);
	test_put(&bad, 4000000, 5, 1, 1, 40);
	test_end(&bad);
	test_end(&good);
	code = test_finish(&good);
	(void) test_finish(&bad);
	return code;
}

static void
changed_beside_an_error(void)
{
	CHECK(!row_is_true(first, 3) && row_is_true(first, 5));
	CHECK(!object_is_true(first) && record_is_true(first));
}

/* ---- tests ---- */

/* Objects that are there when the words are what they are, with rows, entries. */
static void
make_objects(void)
{
	TestChannel c = rpc(0);

	start_and_serve();
	first = make_object(100, 40);
	next_object = first + 10 + MANY_OBJECTS + 10;
	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	test_create(&c, next_object, 0, 0);
	test_put(&c, next_object, 7, 1, 1, 40);
	test_put_entry(&c, first, 1, 1);
	CHECK_EQUAL(commit(&c), KALAM_OK);
}

/* One that no test changes. */
static void
expect_other_is_true(void)
{
	CHECK(row_is_true(next_object, 7) && object_is_true(next_object) &&
		  record_is_true(next_object));
}

/* The stamps of words that a successor must not lower. */
static uint64_t
sum_of_words(void)
{
	uint64_t	sum = atomic_load(&store.seg->all_stamp) + atomic_load(&store.seg->floor);

	for (uint32_t i = 0; i < KALAM_OBJECT_STAMPS; i++)
		sum += atomic_load(&kalam_object_stamps(store.seg, i)->any) +
			atomic_load(&kalam_object_stamps(store.seg, i)->all);
	for (uint32_t i = 0; i < store.seg->config.nbuckets; i++)
		sum += atomic_load(kalam_bucket(store.seg, i));
	return sum;
}

/* After the death nothing from before is true for the successor's readers. */
static void
expect_nothing_is_true(void)
{
	uint64_t	words = sum_of_words();

	start_and_serve();
	CHECK(sum_of_words() > words);
	CHECK(!row_is_true(next_object, 7) && !object_is_true(next_object) && !list_is_true());
	pub = atomic_load(&store.seg->pub);
	expect_other_is_true();
	CHECK(row_is_true(first, 3) && object_is_true(first) && list_is_true());
	test_store_kill(&store, SIGTERM);
	next_object++;
}

static void
check_commit(uint32_t (*change) (void), void (*changed) (void), bool touches_others)
{
	pthread_t	reaper;

	make_objects();
	test_store_kill(&store, SIGTERM);
	reaper = start_to_die("before_publish");
	pub = atomic_load(&store.seg->pub);
	expect_other_is_true();
	CHECK(row_is_true(first, 3) && object_is_true(first) && list_is_true());
	CHECK_EQUAL(change(), TEST_DIED);
	wait_for_death(reaper);
	CHECK_EQUAL(atomic_load(&store.seg->pub), pub);
	changed();
	if (!touches_others)
		expect_other_is_true();
	expect_nothing_is_true();
}

static void
test_commits_of_rows(void)
{
	check_commit(change_rows, rows_changed, false);
	check_commit(change_many_rows, many_rows_changed, false);
	check_commit(change_beside_an_error, changed_beside_an_error, false);
}

static void
test_loads(void)
{
	check_commit(load_files, files_loaded, false);
	check_commit(load_kept, kept_loaded, false);
}

static void
test_changes_of_objects(void)
{
	check_commit(drop_and_create, dropped_and_created, false);
	check_commit(drop_index, index_dropped, false);
	check_commit(change_many_objects, many_objects_changed, true);
}

/* Prepared: nothing has changed before it is applied, by a successor too. */
static void
test_prepared(void)
{
	for (int apply = 0; apply < 2; apply++)
	{
		pthread_t	reaper;

		make_objects();
		pub = atomic_load(&store.seg->pub);
		CHECK_EQUAL(send_file(KALAM_OP_PREPARE, XID), KALAM_OK);
		CHECK(row_is_true(first, 1000) && object_is_true(first) && list_is_true());
		test_store_kill(&store, SIGTERM);
		stop_at("before_publish");
		REQUIRE(test_store_start(&store));
		stop_at(NULL);
		REQUIRE(pthread_create(&reaper, NULL, reap, NULL) == 0);
		pub = atomic_load(&store.seg->pub);
		CHECK(row_is_true(first, 1000) && object_is_true(first) && list_is_true());
		CHECK_EQUAL(supervisor_resolve(XID, apply), TEST_DIED);
		wait_for_death(reaper);
		expect_other_is_true();
		if (apply)
			files_loaded();
		else
			CHECK(row_is_true(first, 1000) && object_is_true(first) && list_is_true());
		expect_nothing_is_true();
	}
}

/* A commit of files that was interrupted is completed before anybody reads. */
static void
test_load_that_is_completed_later(void)
{
	pthread_t	reaper;

	make_objects();
	test_store_kill(&store, SIGTERM);
	reaper = start_to_die("after_entry");
	pub = atomic_load(&store.seg->pub);
	CHECK_EQUAL(load_files(), TEST_DIED);
	wait_for_death(reaper);
	CHECK(row_is_true(first, 1000) && object_is_true(first) && list_is_true());
	start_and_serve();
	CHECK(!row_is_true(first, 1000) && !object_is_true(first) && !list_is_true());
	CHECK_EQUAL(count_rows(0, first, 0), 3099);
	test_store_kill(&store, SIGTERM);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_commits_of_rows),
		TEST(test_loads),
		TEST(test_changes_of_objects),
		TEST(test_prepared),
		TEST(test_load_that_is_completed_later),
	};

	if (argc != 2)
	{
		fprintf(stderr, "usage: test_truth PROGRAM\n");
		return 2;
	}
	program = argv[1];
	fixture_directory();
	fixture_store("truth");
	share_families(true);
	fixture_run(tests, sizeof(tests) / sizeof(tests[0]));
	test_store_free(&store);
	remove_tree(directory);
	return check_report("test_truth");
}
