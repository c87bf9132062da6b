/*
 * test_damage.c
 *	  Files of the store that are missing, damaged, old, or somebody else's.
 *	  Usage: test_damage PROGRAM
 *
 * What must hold each time: it is said, with the name of the file; nothing that
 * was on disk is given up silently; what lies there is not changed by the
 * attempt; with the right file in place the store opens again.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>

#include "test/unit/bulk_fixture.h"

/* ---- files ---- */

static char db[400];			/* folder of RocksDB's files */
static char root[300];

static void
set_paths(const char *name)
{
	snprintf(root, sizeof(root), "%s/%s", directory, name);
	snprintf(db, sizeof(db), "%s/db", root);
}

static char *
in_root(const char *name)
{
	static char paths[4][500];
	static int	turn;
	char	   *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

/* The largest file in db whose name has this in it. */
static bool
find_file(const char *part, char *path, size_t size)
{
	DIR		   *dir = opendir(db);
	struct dirent *d;
	struct stat st;
	off_t		largest = -1;
	char		one[700];

	REQUIRE(dir != NULL);
	while ((d = readdir(dir)) != NULL)
	{
		snprintf(one, sizeof(one), "%s/%s", db, d->d_name);
		if (strstr(d->d_name, part) == NULL || stat(one, &st) != 0 || st.st_size <= largest)
			continue;
		largest = st.st_size;
		snprintf(path, size, "%s", one);
	}
	closedir(dir);
	return largest >= 0;
}

static void
run_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
run_command(const char *format, ...)
{
	char		command[1500];
	va_list		args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	REQUIRE(system(command) == 0);
}

static void
flip_byte(const char *path, double where)
{
	int			fd = open(path, O_RDWR);
	struct stat st;
	off_t		at;
	uint8_t		byte;

	REQUIRE(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0);
	at = (off_t) ((double) st.st_size * where);
	REQUIRE(pread(fd, &byte, 1, at) == 1);
	byte ^= 0x40;
	REQUIRE(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

/* Names and contents of what RocksDB has, its LOG apart, so that a change shows. */
static uint64_t
db_fingerprint(void)
{
	char		command[600];
	char		line[64] = "";
	FILE	   *p;

	snprintf(command, sizeof(command), "cd '%s' && cat $(ls | grep -v LOG) /dev/null | cksum && ls | grep -v LOG | cksum", db);
	p = popen(command, "r");
	REQUIRE(p != NULL && fread(line, 1, sizeof(line) - 1, p) > 0);
	pclose(p);
	return kalam_hash(line, strlen(line), 1);
}

/* ---- expectations ---- */

static void
expect_refused(const char *text)
{
	if (!CHECK(!test_store_start(&store)))
		test_store_kill(&store, SIGKILL);
	CHECK_EQUAL(atomic_load(&store.seg->state), KALAM_STORAGE_FAILED);
	if (!CHECK(strstr(store.seg->failure_message, text) != NULL))
		fprintf(stderr, "wanted \"%s\", but it said: %s\n", text, store.seg->failure_message);
	atomic_store(&store.seg->state, KALAM_STORAGE_DOWN);
}

static uint32_t
put_range(uint32_t object, uint64_t from, uint64_t to, uint32_t flags)
{
	uint32_t	code = KALAM_OK;

	for (uint64_t i = from; i < to && code == KALAM_OK; i++)
		code = put_one(0, object, i, 1, i, flags);
	return code;
}

/* ---- the log ---- */

static void
test_damaged_log(void)
{
	char		log[700];
	char		kept[720];
	uint32_t	object;
	uint64_t	before;
	long		rows;

	set_paths("log_damage");
	fixture_store("log_damage");
	for (int how = 0; how < 3; how++)
	{
		start_and_serve();
		object = make_object(0, 0);
		CHECK_EQUAL(put_range(object, 0, 400, KALAM_COMMIT_SYNC), KALAM_OK);
		test_store_kill(&store, how == 2 ? SIGTERM : SIGKILL);
		REQUIRE(find_file(".log", log, sizeof(log)));
		snprintf(kept, sizeof(kept), "%s.kept", in_root("log"));
		run_command("cp '%s' '%s'", log, kept);
		if (how == 1)
			run_command("truncate -s -3000 '%s'", log);
		else
			flip_byte(log, 0.6);
		before = db_fingerprint();
		expect_refused("was on disk: a file");
		CHECK(strstr(store.seg->failure_message, "ACCEPT_LOSS") != NULL);
		expect_refused("was on disk: a file");
		CHECK_EQUAL(db_fingerprint(), before);

		/* the right bytes come back: everything is there */
		run_command("cat '%s' > '%s'", kept, log);
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 400);
		CHECK_EQUAL(put_range(object, 400, 800, KALAM_COMMIT_SYNC), KALAM_OK);
		test_store_kill(&store, SIGKILL);

		/* they do not, and the operator says so: a beginning without holes is there */
		REQUIRE(find_file(".log", log, sizeof(log)));
		flip_byte(log, 0.5);
		expect_refused("was on disk: a file");
		run_command("touch '%s'", in_root("ACCEPT_LOSS"));
		start_and_serve();
		CHECK(access(in_root("ACCEPT_LOSS"), F_OK) != 0);
		rows = count_rows(0, object, 0);
		CHECK(rows >= 400 && rows < 800);
		for (long i = 0; i < rows; i++)
			if (!CHECK_EQUAL(point(0, object, (uint64_t) i, 0), i))
				break;
		CHECK_EQUAL(put_range(object, 1000, 1010, KALAM_COMMIT_SYNC), KALAM_OK);
		test_store_kill(&store, SIGKILL);
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), rows + 10);
		test_store_kill(&store, SIGTERM);
	}
	test_store_free(&store);
}

/* What was never synced may be lost without a word: the end of the log is torn. */
static void
test_commits_that_were_not_synced(void)
{
	char		log[700];
	struct stat synced,
				st;
	uint32_t	object;

	set_paths("unsynced");
	fixture_store("unsynced");
	start_and_serve();
	object = make_object(0, 0);
	CHECK_EQUAL(put_range(object, 0, 50, KALAM_COMMIT_SYNC), KALAM_OK);
	REQUIRE(find_file(".log", log, sizeof(log)) && stat(log, &synced) == 0);
	CHECK_EQUAL(put_range(object, 50, 100, 0), KALAM_OK);
	test_store_kill(&store, SIGKILL);
	REQUIRE(stat(log, &st) == 0);
	CHECK(st.st_size > synced.st_size);
	REQUIRE(truncate(log, (st.st_size + synced.st_size) / 2) == 0);
	start_and_serve();
	CHECK(count_rows(0, object, 0) >= 50 && count_rows(0, object, 0) < 100);

	/* and of the death of the process nothing is lost, synced or not */
	for (uint64_t i = 0; i < 10; i++)
	{
		CHECK_EQUAL(put_range(object, 1000 + 10 * i, 1010 + 10 * i, i % 3 == 0 ? KALAM_COMMIT_SYNC : 0),
					KALAM_OK);
		test_store_kill(&store, SIGKILL);
		start_and_serve();
		CHECK_EQUAL(point(0, object, 1009 + 10 * i, 0), 1009 + 10 * i);
	}
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
}

/* ---- single files ---- */

/* Takes a file away, or spoils it; the store is refused; then puts it back. */
static void
without_file(const char *path, bool spoil, const char *text)
{
	run_command("mv '%s' '%s'", path, in_root("aside"));
	if (spoil)
	{
		run_command("cp '%s' '%s'", in_root("aside"), path);
		flip_byte(path, 0.5);
	}
	expect_refused(text);
	run_command("mv -f '%s' '%s'", in_root("aside"), path);
}

static void
test_missing_files(void)
{
	char		path[700];
	uint32_t	object;

	set_paths("missing");
	fixture_store("missing");
	start_and_serve();
	object = make_object(2000, 40);
	flush(object);
	CHECK_EQUAL(put_range(object, 5000, 5100, KALAM_COMMIT_SYNC), KALAM_OK);
	for (int clean = 0; clean < 2; clean++)
	{
		test_store_kill(&store, clean ? SIGTERM : SIGKILL);
		REQUIRE(find_file(".sst", path, sizeof(path)));
		without_file(path, false, strrchr(path, '/') + 1);
		REQUIRE(find_file("MANIFEST", path, sizeof(path)));
		without_file(path, false, strrchr(path, '/') + 1);
		without_file(path, true, "MANIFEST");
		REQUIRE(find_file("CURRENT", path, sizeof(path)));
		without_file(path, false, "file \"CURRENT\" is missing");
		without_file(path, true, "CURRENT");
		REQUIRE(find_file(".log", path, sizeof(path)));
		without_file(path, false, "");
		without_file(in_root("FORMAT"), false, "no file FORMAT");
		without_file(in_root("FORMAT"), true, "FORMAT");
		without_file(in_root("state"), false, "file \"state\" in");
		run_command("cp '%s' '%s'; : > '%s'", in_root("state"), in_root("aside"), in_root("state"));
		expect_refused("file \"state\" in");
		run_command("cat '%s' > '%s'", in_root("aside"), in_root("state"));

		/* these can be done without */
		REQUIRE(find_file("OPTIONS", path, sizeof(path)));
		flip_byte(path, 0.5);
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 2100);
		test_store_kill(&store, SIGKILL);
		REQUIRE(find_file("OPTIONS", path, sizeof(path)));
		run_command("rm '%s'/OPTIONS*", db);
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 2100);
		test_store_kill(&store, SIGTERM);
		run_command("echo nonsense > '%s'", in_root("families"));
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 2100);
		test_store_kill(&store, SIGTERM);
		run_command("rm '%s'", in_root("families"));
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 2100);
	}
	test_store_kill(&store, SIGTERM);

	/* all of it is gone, but the folder */
	run_command("mv '%s' '%s' && mkdir '%s'", db, in_root("db.aside"), db);
	expect_refused("was on disk");
	CHECK(!find_file("CURRENT", path, sizeof(path)));
	run_command("rm -r '%s' && mv '%s' '%s'", db, in_root("db.aside"), db);
	start_and_serve();
	CHECK_EQUAL(count_rows(0, object, 0), 2100);
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
}

/* ---- a block that cannot be read ---- */

static uint32_t
read_all(uint32_t object)
{
	TestChannel c = scan_channel(0);

	test_scan_begin(&c, object, 0, KALAM_SCAN_NEWEST);
	test_post(&c, KALAM_LANE_READ);
	(void) test_drain(&c);
	return c.code;
}

/* As the supervisor does: whoever ends by itself is reaped and gets a successor. */
static pthread_t reaper;
static uint32_t ended;

static void *
reap(void *arg)
{
	(void) arg;
	test_store_reap(&store);
	return NULL;
}

static void
start_watched(void)
{
	start_and_serve();
	REQUIRE(pthread_create(&reaper, NULL, reap, NULL) == 0);
}

static void
stop_watched(int signal)
{
	pid_t		pid = store.pid;

	if (pid != 0)
		kill(pid, signal);
	pthread_join(reaper, NULL);
}

static void
keep_running(int ms)
{
	for (; ms > 0; ms -= 10)
	{
		test_sleep_ms(10);
		if (store.pid != 0)
			continue;
		ended++;
		pthread_join(reaper, NULL);
		start_watched();
	}
}

static void
test_damaged_block(void)
{
	char		path[700];
	uint32_t	sick,
				well;
	uint32_t	code;
	TestChannel c;

	set_paths("block");
	fixture_store("block");
	store.may_end = true;
	start_and_serve();
	sick = make_object(0, 0);
	well = make_object(1000, 40);
	for (uint64_t i = 0; i < 20; i++)
	{
		c = rpc(0);
		test_begin(&c, KALAM_OP_COMMIT);
		for (uint64_t k = 0; k < 500; k++)
			test_put(&c, sick, k * 20 + i, 1, k, 100);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		if (i == 2)
			break;				/* three files: not yet enough for a compaction */
		flush(sick);
	}
	flush(sick);
	test_store_kill(&store, SIGTERM);
	REQUIRE(find_file(".sst", path, sizeof(path)));
	flip_byte(path, 0.3);
	start_watched();

	CHECK_EQUAL(read_all(sick), KALAM_ERR_CORRUPT);
	if (!CHECK(strstr(scan_channel(0).ch->result.message, strrchr(path, '/') + 1) != NULL))
		fprintf(stderr, "it said: %s\n", scan_channel(0).ch->result.message);
	CHECK_EQUAL(read_all(well), KALAM_OK);
	CHECK_EQUAL(point(0, well, 7, 0), 7);
	CHECK_EQUAL(put_range(well, 2000, 2100, KALAM_COMMIT_SYNC), KALAM_OK);

	/* a compaction comes by there */
	for (uint64_t i = 0; i < 8; i++)
	{
		while (put_one(0, sick, 20000 + i, 1, i, KALAM_COMMIT_SYNC) != KALAM_OK && ended < 20)
			keep_running(20);
		c = rpc(0);
		test_begin(&c, KALAM_OP_FLUSH)->object_id = sick;
		test_post(&c, KALAM_LANE_READ);
		(void) test_finish(&c);
		keep_running(150);
	}
	printf("damaged block: the process ended %u times\n", ended);
	CHECK(ended >= 1 && ended <= 2);
	CHECK(access(in_root("damaged"), F_OK) == 0);

	/* from then on it stays, and others are not disturbed */
	ended = 0;
	keep_running(1200);
	CHECK_EQUAL(ended, 0);
	CHECK_EQUAL(put_range(well, 3000, 3100, KALAM_COMMIT_SYNC), KALAM_OK);
	CHECK_EQUAL(count_rows(0, well, 0), 1200);
	CHECK_EQUAL(point(0, sick, 20007, 0), 7);
	CHECK_EQUAL(read_all(sick), KALAM_ERR_CORRUPT);
	CHECK_EQUAL(put_range(well, 4000, 4100, KALAM_COMMIT_SYNC), KALAM_OK);
	stop_watched(SIGKILL);
	start_watched();
	CHECK_EQUAL(count_rows(0, well, 0), 1300);

	/* a compaction that is asked for is refused, or, where nothing is known yet, fails */
	for (int known = 1; known >= 0; known--)
	{
		c = rpc(0);
		test_begin(&c, KALAM_OP_COMPACT)->object_id = sick;
		test_post(&c, KALAM_LANE_READ);
		code = test_finish(&c);
		CHECK(code == KALAM_ERR_CORRUPT || (code == TEST_DIED && !known));
		keep_running(400);
		CHECK_EQUAL(ended, known ? 0 : 1);
		run_command("rm '%s'", in_root("damaged"));
	}
	run_command("touch '%s'", in_root("damaged"));
	CHECK_EQUAL(put_range(well, 5000, 5100, KALAM_COMMIT_SYNC), KALAM_OK);

	/* and with the object the damage is gone */
	c = rpc(0);
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, sick);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(count_rows(0, well, 0), 1400);
	stop_watched(SIGTERM);
	store.may_end = false;
	start_and_serve();
	CHECK_EQUAL(count_rows(0, well, 0), 1400);
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
}

/* ---- files of a large transaction that Postgres has committed ---- */

static void
test_damaged_load(void)
{
	char		path[700];
	char		kept[720];
	uint32_t	object;
	DIR		   *dir;
	struct dirent *d;

	set_paths("load");
	fixture_store("load");
	for (int missing = 0; missing < 2; missing++)
	{
		start_and_serve();
		object = make_object(10, 16);
		CHECK_EQUAL(prepare_rows(500, object, 100, 3000, 1), KALAM_OK);
		test_store_kill(&store, SIGKILL);
		snprintf(kept, sizeof(kept), "%s", in_root("bulk"));
		dir = opendir(kept);
		path[0] = '\0';
		while ((d = readdir(dir)) != NULL)
			if (strstr(d->d_name, ".sst") != NULL)
				snprintf(path, sizeof(path), "%s/%s", in_root("bulk"), d->d_name);
		closedir(dir);
		run_command("cp '%s' '%s'", path, in_root("kept"));
		if (missing)
			run_command("rm '%s'", path);
		else
			flip_byte(path, 0.99999);	/* its footer; a block would be found when it is read */

		/* as the supervisor does, before anybody is served */
		for (int again = 0; again < 2; again++)
		{
			store.may_end = true;
			REQUIRE(test_store_start(&store));
			REQUIRE(pthread_create(&reaper, NULL, reap, NULL) == 0);
			CHECK_EQUAL(supervisor_resolve(500, true), TEST_DIED);
			pthread_join(reaper, NULL);
			store.may_end = false;
			CHECK_EQUAL(atomic_load(&store.seg->state), KALAM_STORAGE_FAILED);
			CHECK(strstr(store.seg->failure_message, "a file of a large transaction") != NULL);
			CHECK(strstr(store.seg->failure_message, strrchr(path, '/') + 1) != NULL);
		}
		if (missing)
		{
			run_command("mv '%s' '%s'", in_root("kept"), path);
			REQUIRE(test_store_start(&store));
			CHECK_EQUAL(supervisor_resolve(500, true), KALAM_OK);
			REQUIRE(test_serve(&store) == KALAM_OK);
			CHECK_EQUAL(count_rows(0, object, 0), 2910);
		}
		else
		{
			run_command("touch '%s'", in_root("ACCEPT_LOSS"));
			REQUIRE(test_store_start(&store));
			CHECK_EQUAL(supervisor_resolve(500, true), KALAM_OK);
			REQUIRE(test_serve(&store) == KALAM_OK);
			CHECK(access(in_root("ACCEPT_LOSS"), F_OK) != 0);
			CHECK_EQUAL(count_rows(0, object, 0), 10);
		}
		CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
		test_store_kill(&store, SIGTERM);
	}
	test_store_free(&store);
}

/* ---- copies ---- */

static void
test_copies(void)
{
	uint32_t	object;
	uint64_t	before;

	set_paths("copy");
	fixture_store("copy");
	start_and_serve();
	object = make_object(100, 16);
	CHECK_EQUAL(put_range(object, 1000, 1100, KALAM_COMMIT_SYNC), KALAM_OK);

	/* made while the store was in use */
	run_command("cp -a '%s' '%s.torn'", root, root);
	test_store_kill(&store, SIGTERM);
	run_command("cp -a '%s' '%s.cold'; mv '%s' '%s.moved'", root, root, root, root);
	run_command("mv '%s.torn' '%s'", root, root);
	before = db_fingerprint();
	expect_refused("is a copy of a store that was in use");
	expect_refused("is a copy of a store that was in use");
	CHECK_EQUAL(db_fingerprint(), before);
	run_command("touch '%s'", in_root("ACCEPT_LOSS"));
	start_and_serve();
	test_store_kill(&store, SIGKILL);
	start_and_serve();			/* it is in use here now */
	test_store_kill(&store, SIGKILL);

	/* made of a closed one, or not a copy at all */
	for (int which = 0; which < 2; which++)
	{
		run_command("rm -r '%s'; mv '%s.%s' '%s'", root, root, which == 0 ? "cold" : "moved", root);
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 200);
		test_store_kill(&store, SIGKILL);
		run_command("mv '%s' '%s.elsewhere'; mv '%s.elsewhere' '%s'", root, root, root, root);
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 200);
		test_store_kill(&store, SIGKILL);
	}
	test_store_free(&store);
}

static void
test_timelines(void)
{
	uint32_t	object;

	set_paths("timeline");
	fixture_store("timeline");
	store.timeline = 1;
	start_and_serve();
	object = make_object(10, 16);
	for (int clean = 0; clean < 2; clean++)
	{
		test_store_kill(&store, clean ? SIGTERM : SIGKILL);
		store.timeline++;
		expect_refused("the server is on timeline");
		store.timeline = 0;		/* not known: not checked, and not forgotten */
		start_and_serve();
		test_store_kill(&store, SIGTERM);
		store.timeline = 2 + (uint32_t) clean;
		expect_refused("the server is on timeline");
		run_command("touch '%s'", in_root("ACCEPT_LOSS"));
		start_and_serve();
		CHECK_EQUAL(count_rows(0, object, 0), 10);
	}
	test_store_kill(&store, SIGTERM);
	start_and_serve();
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
}

/* The server knows its store, and does not take another for it. */
static void
test_witness(void)
{
	char		witness[300];
	uint32_t	object;

	snprintf(witness, sizeof(witness), "%s/witness", directory);
	set_paths("witnessed");
	fixture_store("witnessed");
	store.witness = witness;
	start_and_serve();
	object = make_object(10, 16);
	test_store_kill(&store, SIGTERM);
	CHECK(access(witness, F_OK) == 0);

	run_command("mv '%s' '%s.away'", root, root);
	expect_refused("is missing: there is no directory");
	CHECK(access(root, F_OK) != 0);
	run_command("mkdir '%s'", root);
	expect_refused("the store of this server is not in");
	CHECK(access(in_root("FORMAT"), F_OK) != 0);
	run_command("rm -r '%s'; mv '%s.away' '%s'", root, root, root);
	start_and_serve();
	CHECK_EQUAL(count_rows(0, object, 0), 10);
	test_store_kill(&store, SIGTERM);

	/* the note may get lost */
	run_command("rm '%s'", witness);
	start_and_serve();
	test_store_kill(&store, SIGTERM);
	CHECK(access(witness, F_OK) == 0);

	/* an older one, a newer one: of the same number, but of another time */
	run_command("cp -a '%s' '%s.old'; cp '%s' '%s.old'", root, root, witness, witness);
	for (int i = 0; i < 2; i++)
	{
		start_and_serve();
		CHECK_EQUAL(put_range(object, 100 + (uint64_t) i, 101 + (uint64_t) i, KALAM_COMMIT_SYNC), KALAM_OK);
		test_store_kill(&store, i == 0 ? SIGTERM : SIGKILL);
	}
	run_command("mv '%s' '%s.new'; mv '%s.old' '%s'", root, root, root, root);
	expect_refused("are of different times");
	run_command("mv '%s' '%s.old'; mv '%s.new' '%s'", root, root, root, root);
	run_command("mv '%s' '%s.new'; mv '%s.old' '%s'", witness, witness, witness, witness);
	expect_refused("are of different times");
	run_command("mv '%s' '%s.old'; mv '%s.new' '%s'", witness, witness, witness, witness);
	start_and_serve();
	CHECK_EQUAL(count_rows(0, object, 0), 12);
	test_store_kill(&store, SIGTERM);

	/* a start that failed half-way does not count */
	run_command("mv '%s'/db/CURRENT '%s'", root, in_root("aside"));
	for (int i = 0; i < 3; i++)
		expect_refused("CURRENT");
	run_command("mv '%s' '%s'/db/CURRENT", in_root("aside"), root);
	start_and_serve();
	CHECK_EQUAL(count_rows(0, object, 0), 12);
	test_store_kill(&store, SIGTERM);

	/* both of the same earlier time go together */
	run_command("rm -r '%s'; mv '%s.old' '%s'; mv '%s.old' '%s'", root, root, root, witness, witness);
	start_and_serve();
	CHECK_EQUAL(count_rows(0, object, 0), 10);
	test_store_kill(&store, SIGTERM);

	/* another store */
	run_command("mv '%s' '%s.away'", root, root);
	store.witness = NULL;
	start_and_serve();
	test_store_kill(&store, SIGTERM);
	store.witness = witness;
	expect_refused("is not the store that this server used before");
	run_command("touch '%s'", in_root("ACCEPT_LOSS"));
	start_and_serve();
	CHECK_EQUAL(count_rows(0, object, 0), -1);
	test_store_kill(&store, SIGTERM);
	start_and_serve();
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_damaged_log),
		TEST(test_commits_that_were_not_synced),
		TEST(test_missing_files),
		TEST(test_damaged_block),
		TEST(test_damaged_load),
		TEST(test_copies),
		TEST(test_timelines),
		TEST(test_witness),
	};

	if (argc != 2)
	{
		fprintf(stderr, "usage: test_damage PROGRAM\n");
		return 2;
	}
	program = argv[1];
	fixture_directory();
	fixture_run(tests, sizeof(tests) / sizeof(tests[0]));
	remove_tree(directory);
	return check_report("test_damage");
}
