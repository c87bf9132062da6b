/*
 * store_fixture.h
 *	  What tests of the storage program share: a store in a folder that goes
 *	  away, short forms of requests, and the running of a table of tests.
 *
 * Included once by each test program.
 */
#ifndef KALAM_TEST_STORE_FIXTURE_H
#define KALAM_TEST_STORE_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "test/unit/check.h"
#include "test/unit/store_client.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#else
#define SLOW 0
#endif

static const char *program;
static char directory[256];
static TestStore store;
static uint32_t next_object = 300;

/* ---- helpers ---- */

static inline int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void) st;
	(void) flag;
	(void) ftw;
	return remove(path);
}

static inline void
remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline TestChannel
rpc(uint32_t slot)
{
	return test_channel(&store, KALAM_RPC_CHANNEL(slot));
}

static inline TestChannel
scan_channel(uint32_t slot)
{
	return test_channel(&store, KALAM_SCAN_CHANNEL(slot));
}

static inline uint32_t
commit(TestChannel *c)
{
	test_end(c);
	return test_finish(c);
}

/* A new object with rows 0 .. n, each of size bytes. */
static inline uint32_t
make_object(uint64_t n, size_t size)
{
	TestChannel c = rpc(0);
	uint32_t	id = next_object++;

	test_begin(&c, KALAM_OP_COMMIT)->serial = 1;
	test_create(&c, id, KALAM_COMPRESSION_LZ4, 10000);
	for (uint64_t i = 0; i < n; i++)
		test_put(&c, id, i, 1, i, size);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	return id;
}

/* Do objects that are made from now on have no families of their own?  (A store with many opens slowly.) */
static inline void
share_families(bool yes)
{
	static uint32_t before;

	if (yes)
		before = store.seg->config.max_families;
	store.seg->config.max_families = yes ? 0 : before;
}

static inline uint32_t
put_one(uint32_t slot, uint32_t object, uint64_t row, uint64_t serial, uint64_t tag, uint32_t flags)
{
	TestChannel c = rpc(slot);
	KalamRequest *r = test_begin(&c, KALAM_OP_COMMIT);

	r->serial = serial;
	r->flags = flags;
	test_put(&c, object, row, serial, tag, 16);
	return commit(&c);
}

static inline long
count_rows(uint32_t slot, uint32_t object, uint64_t stamp)
{
	TestChannel c = scan_channel(slot);

	test_scan_begin(&c, object, stamp, stamp == 0 ? KALAM_SCAN_NEWEST : 0);
	test_post(&c, KALAM_LANE_READ);
	return test_drain(&c);
}

/* Entries of an index at the stamp (0: newest). */
static inline long
count_entries(uint32_t slot, uint32_t object, uint16_t index, uint64_t stamp)
{
	TestChannel c = scan_channel(slot);
	KalamRequest *r = test_scan_begin(&c, object, stamp, stamp == 0 ? KALAM_SCAN_NEWEST : 0);

	kalam_put_key_prefix(r->lower, object, KALAM_KEY_KIND_INDEX);
	r->lower[KALAM_KEY_PREFIX_BYTES] = (uint8_t) (index >> 8);
	r->lower[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) index;
	r->lower_len = KALAM_INDEX_KEY_PREFIX_BYTES;
	memcpy(r->upper, r->lower, KALAM_INDEX_KEY_PREFIX_BYTES);
	memset(r->upper + KALAM_INDEX_KEY_PREFIX_BYTES, 0xFF, 20);
	r->upper_len = KALAM_INDEX_KEY_PREFIX_BYTES + 20;
	test_post(&c, KALAM_LANE_READ);
	return test_drain(&c);
}

/* The row's tag at the stamp (0: newest), or -1. */
static inline int64_t
point(uint32_t slot, uint32_t object, uint64_t row, uint64_t stamp)
{
	TestChannel c = rpc(slot);
	KalamRequest *r = test_scan_begin(&c, object, stamp,
									  KALAM_SCAN_POINT | (stamp == 0 ? KALAM_SCAN_NEWEST : 0));
	const KalamRow *found;
	int64_t		tag = -1;

	test_range(r, row, 0);
	r->upper_len = 0;
	test_post(&c, KALAM_LANE_READ);
	found = test_next(&c);
	if (found != NULL)
	{
		tag = (int64_t) test_row_tag(found);
		CHECK(test_next(&c) == NULL);
	}
	CHECK_EQUAL(c.code, KALAM_OK);
	return tag;
}

static inline void
start_and_serve(void)
{
	REQUIRE(test_store_start(&store));
	REQUIRE(test_serve(&store) == KALAM_OK);
	CHECK_EQUAL(atomic_load(&store.seg->state), KALAM_STORAGE_READY);
}

static inline uint32_t
resolve(uint64_t xid, bool apply)
{
	TestChannel c = rpc(0);
	KalamRequest *r = test_begin(&c, KALAM_OP_RESOLVE);

	r->full_xid = xid;
	r->flags = apply ? KALAM_RESOLVE_APPLY : 0;
	test_post(&c, KALAM_LANE_COMMIT);
	return test_finish(&c);
}

/* ---- running ---- */

typedef struct FixtureTest
{
	const char *name;
	void		(*run) (void);
} FixtureTest;

#define TEST(f) {#f, f}

static inline void
fixture_directory(void)
{
	snprintf(directory, sizeof(directory), "%s/kalam_test_XXXXXX",
			 getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	REQUIRE(mkdtemp(directory) != NULL);
}

/* Makes the segment of a store in a folder below the directory. */
static inline void
fixture_store(const char *name)
{
	char		path[300];
	KalamConfig config;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	config = test_config(path);
	test_store_init(&store, program, &config);
}

/* A test that waits for ever is a failure too. */
#define FIXTURE_SECONDS 100

static const char *fixture_current = "";

static inline void
fixture_too_long(int signo)
{
	(void) signo;
	if (write(2, fixture_current, strlen(fixture_current)) < 0 ||
		write(2, ": takes too long\n", 17) < 0)
		_exit(2);
	_exit(1);
}

static inline void
fixture_run(const FixtureTest *tests, size_t n)
{
	signal(SIGALRM, fixture_too_long);
	for (size_t i = 0; i < n; i++)
	{
		double		start = test_now();

		fixture_current = tests[i].name;
		alarm(FIXTURE_SECONDS);
		tests[i].run();
		printf("%-60s %6.2f s\n", tests[i].name, test_now() - start);
		fflush(stdout);
	}
	alarm(0);
}

/* All of a test program whose argument is the storage program: one store, served. */
static inline int
fixture_main(int argc, char **argv, const char *name, const FixtureTest *tests, size_t n)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: %s PROGRAM\n", name);
		return 2;
	}
	program = argv[1];
	fixture_directory();
	fixture_store("main");
	start_and_serve();
	fixture_run(tests, n);
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
	remove_tree(directory);
	return check_report(name);
}

#endif
