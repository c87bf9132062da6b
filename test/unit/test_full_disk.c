/*
 * test_full_disk.c
 *	  The storage program on a file system that is full.  Usage: test_full_disk
 *	  PROGRAM.  Skipped where a small file system cannot be mounted (it is, in a
 *	  mount namespace of this process' own).
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "test/unit/load_fixture.h"

#define DISK_MB 288
#define VALUE_BYTES 8000

/* ---- the disk ---- */

static bool
write_text(const char *path, const char *text)
{
	int			fd = open(path, O_WRONLY);
	bool		good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* A namespace of our own, as root or as root of a user namespace. */
static bool
mount_disk(void)
{
	char		options[64];
	char		map[64];
	uid_t		uid = geteuid();
	gid_t		gid = getegid();

	if (unshare(CLONE_NEWNS) != 0)
	{
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
			return false;
		snprintf(map, sizeof(map), "0 %u 1", (unsigned) uid);
		(void) write_text("/proc/self/setgroups", "deny");
		if (!write_text("/proc/self/uid_map", map))
			return false;
		snprintf(map, sizeof(map), "0 %u 1", (unsigned) gid);
		if (!write_text("/proc/self/gid_map", map))
			return false;
	}
	snprintf(options, sizeof(options), "size=%um", DISK_MB);
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("kalam", directory, "tmpfs", 0, options) == 0;
}

static uint64_t
free_bytes(void)
{
	struct statvfs v;

	REQUIRE(statvfs(directory, &v) == 0);
	return (uint64_t) v.f_bavail * v.f_frsize;
}

static const char *
filler(void)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/filler", directory);
	return path;
}

/* Takes room until so much is left. */
static void
fill_to(uint64_t left)
{
	int			fd = open(filler(), O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct stat st;
	uint64_t	available = free_bytes();

	REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
	if (available > left)
		CHECK(posix_fallocate(fd, st.st_size, (off_t) (available - left)) == 0);
	close(fd);
}

static void
make_room(void)
{
	(void) unlink(filler());
}

/* ---- lives of the storage process ---- */

static pthread_t reaper;
static bool watched;

static void *
reap(void *arg)
{
	(void) arg;
	test_store_reap(&store);
	return NULL;
}

static void
wait_for_end(void)
{
	if (watched)
		pthread_join(reaper, NULL);
	watched = false;
}

static bool
try_to_start(void)
{
	wait_for_end();
	if (!test_store_start(&store))
		return false;
	REQUIRE(pthread_create(&reaper, NULL, reap, NULL) == 0);
	watched = true;
	return test_serve(&store) == KALAM_OK;
}

static void
end_it(int signal)
{
	pid_t		pid = store.pid;

	if (pid != 0)
		kill(pid, signal);
	wait_for_end();
}

/* ---- rows ---- */

static uint32_t object;
static uint64_t deleted;		/* rows below are not there */
static uint64_t acknowledged;	/* rows below are */

static uint32_t
new_object(void)
{
	TestChannel c = rpc(0);

	object = next_object++;
	deleted = acknowledged = 0;
	test_begin(&c, KALAM_OP_COMMIT);
	test_create(&c, object, KALAM_COMPRESSION_NONE, 0);
	return commit(&c);
}

static bool
write_one(TestChannel *c, bool put, uint32_t *code)
{
	test_begin(c, KALAM_OP_COMMIT)->flags = KALAM_COMMIT_SYNC;
	if (put)
		test_put(c, object, acknowledged, 1, acknowledged, VALUE_BYTES);
	else
		test_delete(c, object, deleted);
	*code = commit(c);
	if (*code != KALAM_OK)
		return false;
	if (put)
		acknowledged++;
	else
		deleted++;
	return true;
}

/* All that was acknowledged is there, and nothing else. */
static void
expect_acknowledged(void)
{
	TestChannel c = scan_channel(0);
	const KalamRow *row;
	uint64_t	i = deleted;

	test_scan_begin(&c, object, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS);
	test_post(&c, KALAM_LANE_READ);
	while ((row = test_next(&c)) != NULL && test_row_number(row) == i && test_row_tag(row) == i)
		i++;
	CHECK_EQUAL(c.code, KALAM_OK);
	CHECK_EQUAL(i, acknowledged);
}

/* Goes back to an empty disk. */
static void
drop_object(void)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, object);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	test_begin(&c, KALAM_OP_FLUSH)->object_id = KALAM_OBJECT_CATALOG;
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_OK);
	end_it(SIGTERM);
	CHECK(try_to_start());
	printf("full disk: %llu MB are free again\n", (unsigned long long) (free_bytes() / MB));
}

static void
put_many(int n)
{
	TestChannel c = rpc(0);
	uint32_t	code = KALAM_OK;

	for (int i = 0; i < n && code == KALAM_OK; i++)
		write_one(&c, true, &code);
	CHECK_EQUAL(code, KALAM_OK);
}

/* ---- tests ---- */

static void
test_reserve_is_kept(void)
{
	TestChannel c = rpc(0);
	uint32_t	code;

	CHECK(try_to_start());
	CHECK_EQUAL(new_object(), KALAM_OK);
	put_many(500);
	fill_to(90 * MB);
	while (write_one(&c, true, &code) && acknowledged < 100000)
		;
	CHECK_EQUAL(code, KALAM_ERR_DISK_FULL);
	CHECK(strstr(c.ch->result.message, "free") != NULL);
	CHECK(store.pid != 0 && atomic_load(&store.seg->state) == KALAM_STORAGE_READY);
	expect_acknowledged();

	/* rows can be deleted, loads are refused early and leave nothing */
	CHECK(write_one(&c, false, &code));
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	put_rows(&c, object, 1000000, 1010000, 1);
	CHECK_EQUAL(end_bulk(&c), KALAM_ERR_DISK_FULL);
	CHECK(files_become(0));
	begin_bulk(&c, KALAM_OP_PREPARE, 77);
	put_rows(&c, object, 1000000, 1010000, 1);
	CHECK_EQUAL(end_bulk(&c), KALAM_ERR_DISK_FULL);
	CHECK(files_become(0));
	expect_acknowledged();

	make_room();
	CHECK(write_one(&c, true, &code));
	expect_acknowledged();
	end_it(SIGKILL);
	CHECK(try_to_start());
	expect_acknowledged();
	drop_object();
}

/*
 * Others have taken the last byte.  Deletions are still written, as long as
 * RocksDB finds room; these delete what is not there.
 */
static uint32_t
delete_until_failure(TestChannel *c)
{
	uint32_t	code = KALAM_OK;

	for (int i = 0; i < 1000 && code == KALAM_OK; i++)
	{
		test_begin(c, KALAM_OP_COMMIT)->flags = KALAM_COMMIT_SYNC;
		for (uint64_t k = 0; k < 2500; k++)
			test_delete(c, object, UINT64_C(1) << 40 | k);
		code = commit(c);
	}
	return code;
}

static void
test_small_commits_on_a_full_disk(void)
{
	TestChannel c = rpc(0);
	uint32_t	code;

	CHECK_EQUAL(new_object(), KALAM_OK);
	put_many(1000);
	fill_to(0);
	CHECK(!write_one(&c, true, &code));
	CHECK_EQUAL(code, KALAM_ERR_DISK_FULL);
	for (int i = 0; i < 10; i++)
		CHECK(write_one(&c, false, &code));
	code = delete_until_failure(&c);
	CHECK(code == KALAM_ERR_DISK_FULL || code == TEST_DIED);
	wait_for_end();

	/* where it stays full, the ballast lets it be opened */
	if (CHECK(try_to_start()))
	{
		expect_acknowledged();
		CHECK(!write_one(&c, true, &code));
		CHECK_EQUAL(code, KALAM_ERR_DISK_FULL);
		expect_acknowledged();
		end_it(SIGKILL);
	}
	/* and without it that is said */
	fill_to(0);
	CHECK(!try_to_start());
	CHECK_EQUAL(atomic_load(&store.seg->state), KALAM_STORAGE_FAILED);
	CHECK_EQUAL(store.seg->failure_code, KALAM_ERR_DISK_FULL);
	make_room();
	CHECK(try_to_start());
	expect_acknowledged();
	put_many(10);
	end_it(SIGKILL);
	CHECK(try_to_start());
	expect_acknowledged();
	drop_object();
}

static void
test_flush_on_a_full_disk(void)
{
	TestChannel c = rpc(0);

	CHECK_EQUAL(new_object(), KALAM_OK);
	put_many(1000);
	fill_to(0);
	for (KalamOp op = KALAM_OP_FLUSH; op <= KALAM_OP_COMPACT; op++)
	{
		test_begin(&c, op)->object_id = object;
		test_post(&c, KALAM_LANE_READ);
		CHECK_EQUAL(test_finish(&c), KALAM_ERR_DISK_FULL);
	}
	expect_acknowledged();
	make_room();
	flush(object);
	put_many(10);
	expect_acknowledged();
	drop_object();
}

static void
put_large(TestChannel *c, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (!test_put(c, object, i, 1, i, VALUE_BYTES))
			return;
}

/* The disk fills up while files are written, or later while they are taken in. */
static void
test_loads_on_a_full_disk(void)
{
	TestChannel c = rpc(0);
	uint32_t	code;
	uint64_t	rows = 36 * MB / VALUE_BYTES;

	CHECK_EQUAL(new_object(), KALAM_OK);
	put_many(100);
	fill_to(110 * MB);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	put_large(&c, acknowledged, acknowledged + 3 * rows);
	CHECK_EQUAL(end_bulk(&c), KALAM_ERR_DISK_FULL);
	CHECK(files_become(0));
	expect_acknowledged();

	/* files fit, with the reserve, and need no room once more when they are taken in */
	fill_to(110 * MB);
	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	put_large(&c, acknowledged, acknowledged + rows / 2);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	acknowledged += rows / 2;
	CHECK(files_become(0));
	expect_acknowledged();

	/* somebody else takes the room that was there when it was prepared */
	make_room();
	fill_to(120 * MB);
	begin_bulk(&c, KALAM_OP_PREPARE, 78);
	put_large(&c, acknowledged, acknowledged + rows / 3);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
	fill_to(0);
	code = resolve(78, true);
	CHECK(code == TEST_DIED || code == KALAM_OK);
	if (code == TEST_DIED)
	{
		wait_for_end();
		make_room();
		CHECK(test_store_start(&store));
		CHECK_EQUAL(atomic_load(&store.seg->pending), 1);
		CHECK_EQUAL(supervisor_resolve(78, true), KALAM_OK);
		test_store_kill(&store, SIGKILL);
		CHECK(try_to_start());
	}
	acknowledged += rows / 3;
	CHECK(files_become(0));
	expect_acknowledged();
}

/*
 * The disk fills up while a statement loads: in its chunks, or when they are
 * merged, which takes as much again.
 */
static void
test_load_while_the_disk_fills_up(void)
{
	uint64_t	rows = 30 * MB / VALUE_BYTES;

	make_room();
	for (int merges = 0; merges < 2; merges++)
	{
		uint64_t	number = new_number();
		uint64_t	n = merges ? rows | 1 : 4 * rows;
		TestChannel c = load_begin(0, 0, number, 4 * MB);

		fill_to(110 * MB);
		load_declare(&c, 0, object, 0, KALAM_TARGET_UNIQUE);
		for (uint64_t i = 0; i < n; i++)
			if (!load_put(&c, 0, object, acknowledged + (merges ? i * 2 % n : i), i, i, VALUE_BYTES))
				break;
		CHECK_EQUAL(load_end(&c), KALAM_ERR_DISK_FULL);
		CHECK(files_become(0));
		CHECK_EQUAL(load_count(0, number), -1);
		expect_acknowledged();
		make_room();
	}
	/* with room it goes */
	for (int again = 0; again < 2; again++)
	{
		uint64_t	number = new_number();

		CHECK_EQUAL(load_object(0, number, object, 1000000 + 1000 * (uint64_t) again,
								1000101 + 1000 * (uint64_t) again, 7, 1), KALAM_OK);
		CHECK_EQUAL(load_drop(0, number, number), KALAM_OK);
	}
	expect_acknowledged();
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_reserve_is_kept),
		TEST(test_small_commits_on_a_full_disk),
		TEST(test_flush_on_a_full_disk),
		TEST(test_loads_on_a_full_disk),
		TEST(test_load_while_the_disk_fills_up),
	};
	KalamConfig config;
	char		path[300];

	if (argc != 2)
	{
		fprintf(stderr, "usage: test_full_disk PROGRAM\n");
		return 2;
	}
	program = argv[1];
	fixture_directory();
	if (!mount_disk())
	{
		printf("test_full_disk: skipped, a small file system cannot be mounted here\n");
		remove_tree(directory);
		return 0;
	}
	snprintf(path, sizeof(path), "%s/full", directory);
	config = test_config(path);
	config.write_buffer_bytes = 16 * MB;
	test_store_init(&store, program, &config);
	store.may_end = true;
	fixture_run(tests, sizeof(tests) / sizeof(tests[0]));
	end_it(SIGTERM);
	test_store_free(&store);
	(void) umount(directory);
	remove_tree(directory);
	return check_report("test_full_disk");
}
