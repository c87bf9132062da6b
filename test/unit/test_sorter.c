/*
 * test_sorter.c
 *	  Sorters (src/storage/sorter.h) by themselves, over a store of their own:
 *	  compared with a model of what was added, and timed on request.
 *	  Usage: test_sorter [time ROWS [WHAT]]
 */
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/storage/chunk.h"
#include "src/storage/load_pool.h"
#include "src/storage/objects.h"
#include "src/storage/sorter.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"
#include "test/unit/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#else
#define SLOW 0
#endif

#define OBJECT 300
#define THREADS 3
#define MB (UINT64_C(1) << 20)

Storage		storage;
static char directory[256];
static _Atomic uint64_t last_load;

void
storage_die(const EngineError *err)
{
	fprintf(stderr, "%s\n", err->message);
	abort();
}

/* ---- a store ---- */

static KalamObjectOptions
options_of(const char *name, void *arg)
{
	(void) name;
	(void) arg;
	return (KalamObjectOptions) {KALAM_COMPRESSION_LZ4, 10000};
}

static bool
is_damaged(const char *name, void *arg)
{
	(void) name;
	(void) arg;
	return false;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void) st;
	(void) flag;
	(void) ftw;
	return remove(path);
}


static void
open_store(void)
{
	StoreDirConfig dir = {.path = directory, .lock_wait_ms = 1000};
	EngineConfig config = {
		.block_cache_bytes = 8 << 20, .write_buffer_bytes = 32 << 20, .background_jobs = 2,
		.max_open_files = 500, .options_of = options_of, .is_damaged = is_damaged
	};
	EngineError err;
	Object	   *o;

	storage.seg = calloc(1, sizeof(KalamSegment));
	storage.seg->config.max_families = 10;
	REQUIRE(store_dir_open(&dir, &err));
	config.db_directory = store_dir_db();
	storage.engine = engine_open(&config, &err);
	REQUIRE(storage.engine != NULL);
	REQUIRE(objects_open(&err));
	o = objects_create(OBJECT, options_of(NULL, NULL), &err);
	REQUIRE(o != NULL);
	objects_install(o);
}

static void
close_store(void)
{
	objects_close();
	engine_close(storage.engine);
	store_dir_close();
	free(storage.seg);
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static uint32_t
files_in_bulk(void)
{
	DIR		   *dir = opendir(store_dir_bulk());
	struct dirent *d;
	uint32_t	n = 0;

	while ((d = readdir(dir)) != NULL)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* ---- numbers ---- */

static uint64_t random_state = 4711;

static uint64_t
random_number(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static uint64_t
random_below(uint64_t n)
{
	return random_number() % n;
}

/* The numbers 0 .. n - 1, each moved by at most `distance`. */
static uint64_t *
numbers(uint64_t n, uint64_t distance)
{
	uint64_t   *a = malloc((n + 1) * sizeof(uint64_t));

	for (uint64_t i = 0; i < n; i++)
		a[i] = i;
	for (uint64_t i = 0; i + 1 < n && distance > 0; i++)
	{
		uint64_t	j = i + random_below((n - i < distance ? n - i : distance));
		uint64_t	swap = a[i];

		a[i] = a[j];
		a[j] = swap;
	}
	return a;
}

/* ---- sorters ---- */

typedef struct Owner
{
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	uint64_t	changes;
	Sorter	   *sorter;
	uint64_t	most_in_jobs;
} Owner;

static void
changed(void *arg)
{
	Owner	   *o = arg;

	pthread_mutex_lock(&o->mutex);
	o->changes++;
	pthread_cond_broadcast(&o->cond);
	pthread_mutex_unlock(&o->mutex);
}

static Sorter *
open_sorter(Owner *o, uint32_t object_id, uint16_t flags, uint64_t memory)
{
	SorterConfig config = {
		.target = {object_id, 0, flags, {KALAM_COMPRESSION_LZ4, 10000}},
		.load = ++last_load, .memory = memory, .changed = changed, .arg = o
	};

	memset(o, 0, sizeof(*o));
	pthread_mutex_init(&o->mutex, NULL);
	pthread_cond_init(&o->cond, NULL);
	return o->sorter = sorter_open(&config);
}

/* Waits until what is under way is at most so much memory, or idle. */
static void
wait_for(Owner *o, bool idle, size_t in_jobs)
{
	pthread_mutex_lock(&o->mutex);
	while (idle ? !sorter_is_idle(o->sorter) : sorter_in_jobs(o->sorter) > in_jobs)
	{
		uint64_t	seen = o->changes;

		while (seen == o->changes)
			pthread_cond_wait(&o->cond, &o->mutex);
	}
	pthread_mutex_unlock(&o->mutex);
}

static SorterState
finish(Owner *o)
{
	sorter_finish(o->sorter);
	wait_for(o, true, 0);
	return sorter_state(o->sorter);
}

static void
close_sorter(Owner *o, bool keep)
{
	sorter_close(o->sorter, keep);
	pthread_mutex_destroy(&o->mutex);
	pthread_cond_destroy(&o->cond);
}

#define KEY_BYTES 13

static void
make_key(uint8_t *key, uint64_t number)
{
	kalam_put_key_prefix(key, OBJECT, KALAM_KEY_KIND_ROW);
	kalam_put_be64(key + 5, number);
}

#define VALUE_BYTES 110

/* A value that says what it belongs to, in bytes that are compressed somewhat. */
static void
make_value(uint8_t *value, size_t len, uint64_t number, uint64_t tag)
{
	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t) ((number + i / 8) % 251);
	memcpy(value, &number, 8);
	memcpy(value + 8, &tag, 8);
}

static size_t
value_bytes(uint64_t number)
{
	return 16 + (number * 7919) % (2 * VALUE_BYTES - 32);
}

static void
add(Owner *o, uint64_t number, uint64_t tag, size_t len)
{
	uint8_t		small[2 * VALUE_BYTES];
	uint8_t    *value = len <= sizeof(small) ? small : malloc(len);
	uint8_t		key[KEY_BYTES];

	make_key(key, number);
	make_value(value, len, number, tag);
	sorter_add(o->sorter, tag, key, sizeof(key), value, len);
	if (value != small)
		free(value);
}

/* Numbers in this order, tags from 1 on, within the memory as a loader would. */
static void
add_all(Owner *o, const uint64_t *a, uint64_t n, uint64_t memory)
{
	for (uint64_t i = 0; i < n; i++)
	{
		add(o, a[i], i + 1, value_bytes(a[i]));
		if (sorter_in_jobs(o->sorter) > o->most_in_jobs)
			o->most_in_jobs = sorter_in_jobs(o->sorter);
		if (sorter_in_jobs(o->sorter) > memory / 2)
			wait_for(o, false, memory / 2);
	}
}

/* All numbers 0, step .. below n are there, each once and whole. */
static void
expect_numbers(Owner *o, uint64_t n, uint64_t step)
{
	EngineError err;
	SorterRead *r = sorter_read_open(o->sorter, NULL, 0, &err);
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	uint64_t	i = 0;
	uint8_t		expected[2 * VALUE_BYTES];
	uint8_t		expected_key[KEY_BYTES];

	while (sorter_read_next(r, &key, &key_len, &value, &value_len))
	{
		uint64_t	tag;

		make_key(expected_key, i);
		if (key_len != KEY_BYTES || memcmp(key, expected_key, KEY_BYTES) != 0 ||
			value_len != value_bytes(i))
			break;
		memcpy(&tag, value + 8, 8);
		make_value(expected, value_len, i, tag);
		if (memcmp(value, expected, value_len) != 0)
			break;
		i += step;
	}
	CHECK(sorter_read_good(r, &err));
	CHECK_EQUAL(i, n);
	sorter_read_close(r);
}

/* Files are disjoint, ascending, and have so many rows in all. */
static void
expect_files(const Sorter *s, uint64_t rows)
{
	uint64_t	sum = 0;

	CHECK_EQUAL(sorter_nfiles(s), files_in_bulk());
	for (uint32_t i = 0; i < sorter_nfiles(s); i++)
	{
		SorterFile	f = sorter_file(s, i);
		char		path[KALAM_PATH_BYTES];
		struct stat st;

		sum += f.rows;
		CHECK(key_compare(f.min_key, f.min_len, f.max_key, f.max_len) <= 0);
		if (i > 0)
		{
			SorterFile	before = sorter_file(s, i - 1);

			CHECK(key_compare(before.max_key, before.max_len, f.min_key, f.min_len) < 0);
		}
		snprintf(path, sizeof(path), "%s/%s", store_dir_bulk(), f.name);
		CHECK(stat(path, &st) == 0 && (uint64_t) st.st_size == f.bytes);
	}
	CHECK_EQUAL(sum, rows);
}

/* Takes the files into the store; the sorter is closed. */
static void
take_in(Owner *o)
{
	uint32_t	n = sorter_nfiles(o->sorter);
	uint32_t	all = files_in_bulk();
	char	  **paths = calloc(n, sizeof(char *));
	Object	   *object = objects_get(OBJECT);
	EngineError err;

	for (uint32_t i = 0; i < n; i++)
	{
		paths[i] = malloc(KALAM_PATH_BYTES);
		snprintf(paths[i], KALAM_PATH_BYTES, "%s/%s", store_dir_bulk(), sorter_file(o->sorter, i).name);
	}
	CHECK(engine_ingest(storage.engine, object_family(object), (const char *const *) paths, n, &err));
	object_put(object);
	close_sorter(o, true);
	CHECK_EQUAL(files_in_bulk(), all);
	for (uint32_t i = 0; i < n; i++)
	{
		CHECK(unlink(paths[i]) == 0);
		free(paths[i]);
	}
	free(paths);
}

static void
empty_store(void)
{
	Object	   *object = objects_get(OBJECT);
	ObjectRange r = object_range(OBJECT);
	EngineBatch *b = engine_batch_create();
	EngineError err;

	engine_batch_delete_range(b, object_family(object), r.lower, 4, r.upper, 4);
	CHECK(engine_write(storage.engine, b, false, &err));
	engine_batch_destroy(b);
	CHECK(engine_compact(storage.engine, object_family(object), r.lower, 4, r.upper, 4, &err));
	object_put(object);
}

/* ---- chunks ---- */

typedef struct Record
{
	uint8_t		key[40];
	size_t		key_len;
	uint64_t	tag;
} Record;

static int
by_key_and_tag(const void *a, const void *b)
{
	const Record *x = a,
			   *y = b;
	int			c = key_compare(x->key, x->key_len, y->key, y->key_len);

	return c != 0 ? c : (x->tag > y->tag) - (x->tag < y->tag);
}

/* Keys of few different bytes, zeroes among them, and of all lengths. */
static void
random_key(Record *r, uint64_t kind)
{
	size_t		common = kind % 4 * 5;

	memset(r->key, 'c', sizeof(r->key));
	r->key_len = common + 1 + random_below(kind % 3 == 0 ? 3 : kind % 3 == 1 ? 12 : 20);
	for (size_t i = common; i < r->key_len; i++)
		r->key[i] = kind % 5 == 0 ? (uint8_t) random_number() :
			kind % 5 == 1 ? 0 : (uint8_t) (random_below(3) * random_below(2) * 0x7F);
}

static void
test_order_of_a_chunk(void)
{
	for (uint64_t round = 0; round < (SLOW ? 60 : 300); round++)
	{
		uint64_t	n = 1 + random_below(round % 10 == 0 ? 20000 : 300);
		Record	   *records = calloc(n, sizeof(Record));
		Chunk	   *c = chunk_open(n * 128);
		const ChunkRecord *r = NULL;
		uint64_t	i;

		for (i = 0; i < n; i++)
		{
			random_key(&records[i], round);
			records[i].tag = i;
			chunk_add(c, i, records[i].key, records[i].key_len, (uint8_t *) &i, sizeof(i));
		}
		if (round % 2 == 0)		/* what is in order is not sorted */
			chunk_sort(c);
		else
		{
			chunk_close(c);
			c = chunk_open(n * 128);
			qsort(records, n, sizeof(Record), by_key_and_tag);
			for (i = 0; i < n; i++)
				chunk_add(c, records[i].tag, records[i].key, records[i].key_len, NULL, 0);
			chunk_sort(c);
		}
		qsort(records, n, sizeof(Record), by_key_and_tag);
		CHECK(key_compare(chunk_key(chunk_record(c, c->min)), chunk_record(c, c->min)->key_len,
						  records[0].key, records[0].key_len) == 0);
		CHECK(key_compare(chunk_key(chunk_record(c, c->max)), chunk_record(c, c->max)->key_len,
						  records[n - 1].key, records[n - 1].key_len) == 0);
		for (i = 0; i < n; i++)
		{
			r = chunk_nth(c, i, r);
			if (chunk_tag(r) != records[i].tag || r->key_len != records[i].key_len ||
				memcmp(chunk_key(r), records[i].key, r->key_len) != 0)
				break;
		}
		CHECK_EQUAL(i, n);
		chunk_close(c);
		free(records);
	}
}

/* ---- orders ---- */

static void
one_order(uint64_t n, uint64_t distance, uint64_t memory, bool reverse, uint16_t flags)
{
	uint64_t   *a = numbers(n, distance);
	Owner		o;
	SorterProgress p;

	for (uint64_t i = 0; reverse && i < n / 2; i++)
	{
		uint64_t	swap = a[i];

		a[i] = a[n - 1 - i];
		a[n - 1 - i] = swap;
	}
	open_sorter(&o, OBJECT, flags, memory);
	add_all(&o, a, n, memory);
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	expect_files(o.sorter, n);
	expect_numbers(&o, n, 1);
	sorter_progress(o.sorter, &p);
	CHECK_EQUAL(p.rows, n);
	CHECK_EQUAL(p.files, sorter_nfiles(o.sorter));
	CHECK(!p.merges);
	CHECK(o.most_in_jobs < memory);
	CHECK_EQUAL(sorter_in_jobs(o.sorter), 0);
	close_sorter(&o, false);
	CHECK_EQUAL(files_in_bulk(), 0);
	free(a);
}

static void
test_orders(void)
{
	uint64_t	n = SLOW ? 10000 : 40000;
	static const uint16_t flags[] = {
		0, KALAM_TARGET_UNIQUE, KALAM_TARGET_NEW, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW
	};

	for (uint64_t memory = MB; memory <= 64 * MB; memory *= SLOW ? 64 : 8)
		for (int f = 0; f < 4; f++)
		{
			one_order(n, 0, memory, false, flags[f]);
			one_order(n, 0, memory, true, flags[f]);
			one_order(n, 50, memory, false, flags[f]);
			one_order(n, n, memory, f % 2 == 0, flags[f]);
		}
	one_order(0, 0, MB, false, 0);
	one_order(1, 0, MB, false, KALAM_TARGET_UNIQUE);
	one_order(3, 3, MB, false, KALAM_TARGET_UNIQUE);
}

/* What comes in order, or nearly so, is written once: its files are not merged. */
static void
test_ascending_is_not_merged(void)
{
	for (uint64_t distance = 0; distance <= 20; distance += 10)
	{
		Owner		o;
		uint64_t	n = SLOW ? 20000 : 100000;
		uint64_t   *a = numbers(n, distance);
		uint32_t	nfiles;
		SorterFile *files;

		open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 4 * MB);
		add_all(&o, a, n, 4 * MB);
		sorter_settle(o.sorter);
		wait_for(&o, true, 0);
		CHECK_EQUAL(sorter_state(o.sorter), SORTER_DONE);
		nfiles = sorter_nfiles(o.sorter);
		CHECK(nfiles > 4);
		files = calloc(nfiles, sizeof(SorterFile));
		for (uint32_t i = 0; i < nfiles; i++)
			files[i] = sorter_file(o.sorter, i);
		CHECK_EQUAL(finish(&o), SORTER_DONE);
		CHECK_EQUAL(sorter_nfiles(o.sorter), nfiles);
		for (uint32_t i = 0; i < nfiles; i++)
			CHECK(strcmp(sorter_file(o.sorter, i).name, files[i].name) == 0);
		expect_files(o.sorter, n);
		expect_numbers(&o, n, 1);
		close_sorter(&o, false);
		free(files);
		free(a);
	}
}

/* More runs than are read at a time. */
static void
test_many_runs(void)
{
	uint64_t	n = SLOW ? 60000 : 250000;
	uint64_t   *a = numbers(n, n);
	Owner		o;

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW, MB);
	for (uint64_t i = 0; i < n; i++)
	{
		add(&o, a[i], i + 1, value_bytes(a[i]));
		if (i % 700 == 699)
			sorter_flush(o.sorter);
		if (sorter_in_jobs(o.sorter) > MB)
			wait_for(&o, false, MB);
	}
	sorter_settle(o.sorter);
	wait_for(&o, true, 0);
	CHECK(sorter_nfiles(o.sorter) < n / 700 && sorter_nfiles(o.sorter) < 80);
	CHECK_EQUAL(files_in_bulk(), sorter_nfiles(o.sorter));
	expect_numbers(&o, n, 1);
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	expect_files(o.sorter, n);
	expect_numbers(&o, n, 1);
	close_sorter(&o, false);
	free(a);
}

/* Few chunks reach into others: those that do not are left alone. */
static void
test_few_overlap(void)
{
	Owner		o;
	uint64_t	n = SLOW ? 30000 : 60000;
	char		names[2][SORTER_NAME_BYTES];

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 4 * MB);
	for (uint64_t i = 0; i < n; i++)
		if (i % 1000 != 500)
			add(&o, i, i + 1, value_bytes(i));
	sorter_flush(o.sorter);
	for (uint64_t i = n / 3; i < n / 2; i++)
		if (i % 1000 == 500)
			add(&o, i, n + i, value_bytes(i));
	sorter_settle(o.sorter);
	wait_for(&o, true, 0);
	CHECK_EQUAL(sorter_state(o.sorter), SORTER_DONE);
	CHECK(sorter_nfiles(o.sorter) > 5);
	for (uint64_t i = 0; i < n / 3; i++)
		if (i % 1000 == 500)
			add(&o, i, n + i, value_bytes(i));
	for (uint64_t i = n / 2; i < n; i++)
		if (i % 1000 == 500)
			add(&o, i, n + i, value_bytes(i));
	/* now one chunk reaches over all; the ends of the others do not matter */
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	expect_files(o.sorter, n);
	expect_numbers(&o, n, 1);
	close_sorter(&o, false);

	open_sorter(&o, OBJECT, 0, 4 * MB);
	for (uint64_t i = 0; i < n; i++)
		if (i != n / 2)
			add(&o, i, i + 1, value_bytes(i));
	sorter_flush(o.sorter);
	wait_for(&o, false, 0);
	sorter_settle(o.sorter);
	wait_for(&o, true, 0);
	add(&o, n / 2, n + 1, value_bytes(n / 2));
	for (int end = 0; end < 2; end++)
		for (uint32_t i = 0; i < sorter_nfiles(o.sorter); i++)
		{
			SorterFile	f = sorter_file(o.sorter, i);
			uint8_t		key[KEY_BYTES];

			make_key(key, end == 0 ? 0 : n - 1);
			if (memcmp(key, end == 0 ? f.min_key : f.max_key, KEY_BYTES) == 0)
				memcpy(names[end], f.name, SORTER_NAME_BYTES);
		}
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	CHECK(strcmp(sorter_file(o.sorter, 0).name, names[0]) == 0);
	CHECK(strcmp(sorter_file(o.sorter, sorter_nfiles(o.sorter) - 1).name, names[1]) == 0);
	expect_files(o.sorter, n);
	expect_numbers(&o, n, 1);
	close_sorter(&o, false);
}

static void
test_large_values(void)
{
	static const size_t sizes[] = {100, 3 << 20, 16, 200000, 20 << 20, 50, 1 << 20};
	Owner		o;
	EngineError err;
	SorterRead *r;
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	uint64_t	n = 7 * (SLOW ? 1 : 3);
	uint64_t	i = 0;

	for (int descending = SLOW; descending < 2; descending++)
	{
		open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, MB);
		for (i = 0; i < n; i++)
		{
			uint64_t	number = descending ? n - 1 - i : i / 7 * 7 + (i % 7 * 3) % 7;

			add(&o, number, i + 1, sizes[number % 7]);
			wait_for(&o, false, 40 * MB);
		}
		CHECK_EQUAL(finish(&o), SORTER_DONE);
		expect_files(o.sorter, n);
		r = sorter_read_open(o.sorter, NULL, 0, &err);
		for (i = 0; sorter_read_next(r, &key, &key_len, &value, &value_len); i++)
		{
			uint64_t	tag;
			uint8_t    *expected = malloc(value_len);

			CHECK_EQUAL(value_len, sizes[i % 7]);
			memcpy(&tag, value + 8, 8);
			make_value(expected, value_len, i, tag);
			CHECK(memcmp(value, expected, value_len) == 0);
			free(expected);
		}
		CHECK_EQUAL(i, n);
		CHECK(sorter_read_good(r, &err));
		sorter_read_close(r);
		close_sorter(&o, false);
	}
}

/* ---- duplicates ---- */

static void
expect_duplicate(Owner *o, uint64_t number, uint64_t tag)
{
	const SorterDuplicate *d = sorter_duplicate(o->sorter);
	uint8_t		key[KEY_BYTES];
	uint8_t		value[2 * VALUE_BYTES];

	make_key(key, number);
	make_value(value, value_bytes(number), number, tag);
	if (!CHECK_EQUAL(sorter_state(o->sorter), SORTER_DUPLICATE))
		return;
	CHECK_EQUAL(d->tag, tag);
	CHECK(d->key_len == KEY_BYTES && memcmp(d->key, key, KEY_BYTES) == 0);
	CHECK(d->value_len == value_bytes(number) && memcmp(d->value, value, d->value_len) == 0);
}

/*
 * Numbers in some order with some of them twice: it is the first one that comes
 * again that counts, wherever chunks end.
 */
static void
test_duplicates_within(void)
{
	uint64_t	n = SLOW ? 6000 : 20000;

	for (int round = 0; round < 24; round++)
	{
		uint64_t   *a = numbers(n, round % 3 == 0 ? 0 : round % 3 == 1 ? 40 : n);
		uint64_t	twice = 1 + (uint64_t) round % 4 * 5;
		bool	   *seen = calloc(n, sizeof(bool));
		uint64_t	first = 0;
		Owner		o;

		for (uint64_t i = 0; i < twice; i++)
			a[random_below(n)] = a[random_below(n)];
		for (uint64_t i = 0; i < n && first == 0; i++)
		{
			if (seen[a[i]])
				first = i + 1;
			seen[a[i]] = true;
		}
		open_sorter(&o, OBJECT, round % 2 == 0 ? KALAM_TARGET_UNIQUE :
					KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW, round % 5 < 3 ? 2 * MB : 32 * MB);
		add_all(&o, a, n, 2 * MB);
		if (first != 0)
		{
			CHECK_EQUAL(finish(&o), SORTER_DUPLICATE);
			expect_duplicate(&o, a[first - 1], first);
		}
		else
			CHECK_EQUAL(finish(&o), SORTER_DONE);
		close_sorter(&o, false);
		CHECK_EQUAL(files_in_bulk(), 0);
		free(seen);
		free(a);
	}
}

/*
 * A duplicate among what was kept back for the next chunk came before the one
 * that the chunk had.
 */
static void
test_duplicate_that_was_kept_back(void)
{
	Owner		o;
	uint64_t	number = 1;

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 8 * MB);
	for (uint64_t tag = 1; sorter_in_jobs(o.sorter) == 0 && sorter_state(o.sorter) == SORTER_RUNNING;
		 tag++)
	{
		uint64_t	n = tag == 2 ? 0 : tag == 6001 ? number : tag == 6501 ? 5 : ++number;

		add(&o, n, tag, value_bytes(n));
	}
	CHECK(number > 6501);
	wait_for(&o, true, 0);
	CHECK_EQUAL(sorter_state(o.sorter), SORTER_DUPLICATE);
	CHECK(sorter_buffered(o.sorter) > 0);
	CHECK_EQUAL(finish(&o), SORTER_DUPLICATE);
	expect_duplicate(&o, 6000, 6001);
	close_sorter(&o, false);
}

/* Keys that come again without a need to be unique override. */
static void
test_overriding(void)
{
	uint64_t	n = SLOW ? 3000 : 10000;

	for (int round = 0; round < 8; round++)
	{
		uint64_t   *last = calloc(n, sizeof(uint64_t));
		Owner		o;
		uint64_t	rows = 0;
		uint8_t		key[KEY_BYTES];

		open_sorter(&o, OBJECT, 0, round % 2 == 0 ? MB : 16 * MB);
		for (uint64_t i = 1; i <= 4 * n; i++)
		{
			uint64_t	number = round < 4 ? random_below(n) : i % n;

			last[number] = i;
			add(&o, number, i, value_bytes(number));
			if (round % 4 == 3 && i % 400 == 0)
				sorter_flush(o.sorter);
		}
		for (uint64_t i = 0; i < n; i++)
			rows += last[i] != 0;
		if (round % 2 == 0)
			CHECK_EQUAL(finish(&o), SORTER_DONE);
		else
		{
			sorter_settle(o.sorter);
			wait_for(&o, true, 0);
		}
		for (uint64_t i = 0; i < n; i += 97)
		{
			uint8_t    *value;
			size_t		len;
			uint64_t	tag;
			EngineError err;

			make_key(key, i);
			REQUIRE(sorter_find(o.sorter, key, sizeof(key), &value, &len, &err));
			CHECK_EQUAL(value != NULL, last[i] != 0);
			if (value == NULL)
				continue;
			memcpy(&tag, value + 8, 8);
			CHECK_EQUAL(tag, last[i]);
			free(value);
		}
		if (round % 2 != 0)
			CHECK_EQUAL(finish(&o), SORTER_DONE);
		expect_files(o.sorter, rows);
		if (rows == n)
			expect_numbers(&o, n, 1);
		close_sorter(&o, false);
		free(last);
	}
}

/* Stored: even numbers, in files and in memory. */
static void
store_even_numbers(uint64_t n)
{
	Owner		o;
	Object	   *object = objects_get(OBJECT);
	EngineBatch *b = engine_batch_create();
	EngineError err;

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 8 * MB);
	for (uint64_t i = 0; i < n; i += 2)
		if (i % 50 != 0)
			add(&o, i, i + 1, value_bytes(i));
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	take_in(&o);
	for (uint64_t i = 0; i < n; i += 50)
	{
		uint8_t		key[KEY_BYTES];

		make_key(key, i);
		engine_batch_put(b, object_family(object), key, sizeof(key), key, sizeof(key));
	}
	CHECK(engine_write(storage.engine, b, false, &err));
	engine_batch_destroy(b);
	object_put(object);
}

static void
test_duplicates_in_the_store(void)
{
	uint64_t	n = SLOW ? 8000 : 40000;

	store_even_numbers(n);
	for (int round = 0; round < 24; round++)
	{
		Owner		o;
		uint64_t	first = 0,
					there = 0,
					tag = 0;
		bool		shuffled = round % 2 == 1;
		int			kind = round / 2 % 6;
		uint64_t   *a = numbers(n / 2, shuffled ? n : 0);

		open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, round < 12 ? 4 * MB : 64 * MB);
		for (uint64_t i = 0; i < n / 2; i++)
		{
			/*
			 * between the stored ones; behind them; one of them; all of them; 5 of
			 * them; few, far apart, and one of them
			 */
			uint64_t	number = kind == 1 ? n + a[i] : kind == 3 ? 2 * a[i] : 2 * a[i] + 1;

			if (kind == 5 && a[i] % 16 != 0)
				continue;
			if ((kind == 2 && i == n / 3) || (kind == 4 && i % (n / 10) == n / 20) ||
				(kind == 5 && a[i] == n / 4))
				number = 2 * a[i];
			tag++;
			if (number % 2 == 0 && number < n && there == 0)
			{
				there = tag;
				first = number;
			}
			add(&o, number, tag, value_bytes(number));
		}
		if (there != 0)
		{
			CHECK_EQUAL(finish(&o), SORTER_DUPLICATE);
			expect_duplicate(&o, first, there);
		}
		else
			CHECK_EQUAL(finish(&o), SORTER_DONE);
		close_sorter(&o, false);
		free(a);
	}
	CHECK_EQUAL(files_in_bulk(), 0);
	empty_store();
}

/* What is committed by others while a load waits. */
static void
test_check_again(void)
{
	uint64_t	n = SLOW ? 8000 : 30000;
	uint64_t   *a = numbers(n / 2, n);
	Owner		o;
	bool		found;
	SorterDuplicate d;
	EngineError err;
	uint64_t	misses = 0;

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 4 * MB);
	for (uint64_t i = 0; i < n / 2; i++)
		add(&o, 2 * a[i] + 1, i + 1, value_bytes(2 * a[i] + 1));
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	CHECK(sorter_check_stored(o.sorter, NULL, NULL, &found, &d, &err) && !found);
	for (uint64_t i = 0; i < n; i++)
	{
		uint8_t		key[KEY_BYTES];
		bool		may;

		make_key(key, i);
		may = sorter_may_have(o.sorter, kalam_hash(key, sizeof(key), 0));
		if (i % 2 == 1)
			CHECK(may);
		else
			misses += may;
	}
	CHECK(misses < n / 4);
	store_even_numbers(n);
	CHECK(sorter_check_stored(o.sorter, NULL, NULL, &found, &d, &err) && !found);
	{
		Object	   *object = objects_get(OBJECT);
		EngineBatch *b = engine_batch_create();
		uint8_t		key[KEY_BYTES];

		make_key(key, n / 2 + 1);
		engine_batch_put(b, object_family(object), key, sizeof(key), key, sizeof(key));
		CHECK(engine_write(storage.engine, b, false, &err));
		engine_batch_destroy(b);
		object_put(object);
		CHECK(sorter_check_stored(o.sorter, NULL, NULL, &found, &d, &err) && found);
		CHECK(d.key_len == KEY_BYTES && memcmp(d.key, key, KEY_BYTES) == 0);
		CHECK_EQUAL(d.value_len, value_bytes(n / 2 + 1));
		sorter_duplicate_free(&d);
	}
	close_sorter(&o, false);
	free(a);
	empty_store();

	/* nothing is said of what is new, and nothing is looked up */
	open_sorter(&o, 999, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW, MB);
	add(&o, 1, 1, 50);
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	CHECK(sorter_may_have(o.sorter, 4711));
	CHECK(sorter_check_stored(o.sorter, NULL, NULL, &found, &d, &err) && !found);
	close_sorter(&o, false);
	open_sorter(&o, 999, KALAM_TARGET_UNIQUE, MB);
	add(&o, 1, 1, 50);
	CHECK_EQUAL(finish(&o), SORTER_FAILED);
	CHECK_EQUAL(sorter_error(o.sorter)->code, KALAM_ERR_NO_OBJECT);
	close_sorter(&o, false);
	CHECK_EQUAL(files_in_bulk(), 0);
}

/* ---- reading ---- */

static void
test_reads(void)
{
	uint64_t	n = 20000;
	uint64_t   *a = numbers(n, n);
	Owner		o;
	EngineError err;
	uint8_t		key[KEY_BYTES];
	const uint8_t *k,
			   *v;
	size_t		k_len,
				v_len;

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 2 * MB);
	add_all(&o, a, n, 2 * MB);
	sorter_flush(o.sorter);
	if (!sorter_is_idle(o.sorter))
		CHECK(sorter_read_open(o.sorter, NULL, 0, &err) == NULL || sorter_is_idle(o.sorter));
	for (int end = 0; end < 2; end++)
	{
		uint8_t    *value;
		size_t		len;

		if (end == 0)
		{
			sorter_settle(o.sorter);
			wait_for(&o, true, 0);
		}
		else
			CHECK_EQUAL(finish(&o), SORTER_DONE);
		for (uint64_t from = 0; from <= n; from += n / 4)
		{
			SorterRead *r;

			make_key(key, from);
			r = sorter_read_open(o.sorter, key, sizeof(key), &err);
			if (from == n)
				CHECK(!sorter_read_next(r, &k, &k_len, &v, &v_len));
			else
				CHECK(sorter_read_next(r, &k, &k_len, &v, &v_len) && memcmp(k, key, KEY_BYTES) == 0);
			CHECK(sorter_read_good(r, &err));
			sorter_read_close(r);
			CHECK(sorter_find(o.sorter, key, sizeof(key), &value, &len, &err));
			CHECK_EQUAL(value != NULL, from < n);
			CHECK_EQUAL(len, from < n ? value_bytes(from) : 0);
			free(value);
			CHECK(sorter_find(o.sorter, key, sizeof(key) - 1, &value, &len, &err) && value == NULL);
		}
	}
	close_sorter(&o, false);
	free(a);
}

/* A file that was damaged while it waited. */
static void
test_damaged_file(void)
{
	Owner		o;
	uint64_t	n = 20000;
	uint64_t   *a = numbers(n, n);
	char		path[KALAM_PATH_BYTES];
	FILE	   *f;

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 2 * MB);
	add_all(&o, a, n, 2 * MB);
	sorter_settle(o.sorter);
	wait_for(&o, true, 0);
	CHECK(sorter_nfiles(o.sorter) > 2);
	snprintf(path, sizeof(path), "%s/%s", store_dir_bulk(), sorter_file(o.sorter, 1).name);
	f = fopen(path, "r+");
	fseek(f, 30000, SEEK_SET);
	fputs("damage", f);
	fclose(f);
	CHECK_EQUAL(finish(&o), SORTER_FAILED);
	CHECK_EQUAL(sorter_error(o.sorter)->code, KALAM_ERR_CORRUPT);
	close_sorter(&o, false);
	CHECK_EQUAL(files_in_bulk(), 0);
	free(a);
}

/* ---- ends before the end ---- */

static void
test_cancel_at_any_moment(void)
{
	uint64_t	n = SLOW ? 20000 : 60000;
	uint64_t   *a = numbers(n, n);

	for (int round = 0; round < (SLOW ? 16 : 40); round++)
	{
		Owner		o;
		uint64_t	stop = random_below(n + n / 2);
		int			how = round % 4;

		open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, round % 3 == 0 ? MB : 8 * MB);
		add_all(&o, a, stop < n ? stop : n, 4 * MB);
		if (stop > n || how == 3)
			sorter_finish(o.sorter);
		if (random_below(2) == 0)
			usleep((useconds_t) random_below(20000));
		if (how == 1)
			sorter_cancel(o.sorter);
		else if (how == 2)
		{
			EngineError err;
			SorterState state;

			sorter_cancel(o.sorter);
			state = finish(&o);
			CHECK(state == SORTER_FAILED);
			CHECK_EQUAL(sorter_error(o.sorter)->code, KALAM_ERR_CANCELED);
			CHECK(sorter_find(o.sorter, (uint8_t *) "x", 1, &(uint8_t *) {NULL}, &(size_t) {0}, &err));
			add(&o, 1, 1, 100); /* is forgotten */
			CHECK_EQUAL(sorter_buffered(o.sorter), 0);
		}
		close_sorter(&o, false);
		CHECK_EQUAL(files_in_bulk(), 0);
	}
	free(a);
}

static void
expect_failure(uint64_t memory, uint64_t distance, KalamCode code, void (*fail) (bool on))
{
	uint64_t	n = 30000;
	uint64_t   *a = numbers(n, distance);

	for (int when = 0; when < 3; when++)
	{
		Owner		o;

		open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, memory);
		if (when == 0)
			fail(true);
		add_all(&o, a, n / 2, memory);
		wait_for(&o, true, 0);
		if (when == 1)
			fail(true);
		add_all(&o, a + n / 2, n / 2, memory);
		if (when == 2)
		{
			sorter_settle(o.sorter);
			wait_for(&o, true, 0);
			CHECK_EQUAL(sorter_state(o.sorter), SORTER_DONE);
			fail(true);
		}
		if (CHECK_EQUAL(finish(&o), SORTER_FAILED))
			CHECK_EQUAL(sorter_error(o.sorter)->code, code);
		fail(false);
		close_sorter(&o, false);
		CHECK_EQUAL(files_in_bulk(), 0);
	}
	free(a);
}

static void
no_room(bool on)
{
	store_dir_set_reserve(on ? UINT64_C(1) << 60 : 0);
}

/* Writes of large files fail. */
static void
no_large_files(bool on)
{
	struct rlimit r = {on ? 20000 : RLIM_INFINITY, RLIM_INFINITY};

	signal(SIGXFSZ, on ? SIG_IGN : SIG_DFL);
	CHECK(setrlimit(RLIMIT_FSIZE, &r) == 0);
}

static void
test_full_disk(void)
{
	expect_failure(2 * MB, 30000, KALAM_ERR_DISK_FULL, no_room);
	expect_failure(2 * MB, 30000, KALAM_ERR_IO, no_large_files);
}

/* Several at once over one pool, one of them canceled. */
static void *
sort_something(void *arg)
{
	uint64_t	which = (uint64_t) (uintptr_t) arg;
	uint64_t	n = SLOW ? 10000 : 40000;
	Owner		o;

	open_sorter(&o, OBJECT, KALAM_TARGET_UNIQUE, 4 * MB);
	for (uint64_t i = 0; i < n; i++)
	{
		uint64_t	number = which % 2 == 0 ? i : (i * 7919) % n;	/* a permutation */

		add(&o, number, i + 1, value_bytes(number));
		if (which == 2 && i == n / 2)
			sorter_cancel(o.sorter);
		wait_for(&o, false, 2 * MB);
	}
	CHECK_EQUAL(finish(&o), which == 2 ? SORTER_FAILED : SORTER_DONE);
	if (which != 2)
		expect_numbers(&o, n, 1);
	close_sorter(&o, false);
	return NULL;
}

static void
test_side_by_side(void)
{
	pthread_t	threads[4];

	for (uint64_t i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, sort_something, (void *) (uintptr_t) i) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQUAL(files_in_bulk(), 0);
}

/* ---- time ---- */

static double
seconds(void)
{
	return (double) now_ns() / 1e9;
}

static const char *only = "";	/* what begins so */

/* Of all threads; it tells more than the clock where others work too. */
static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
time_one(uint64_t n, uint64_t distance, uint16_t flags, size_t len, const char *name)
{
	uint64_t   *a;
	uint64_t	memory = 128 * MB;
	double		start,
				cpu,
				added,
				end;
	Owner		o;
	uint8_t		key[KEY_BYTES];
	uint8_t		value[VALUE_BYTES];

	if (strncmp(name, only, strlen(only)) != 0)
		return;
	a = numbers(n, distance);
	make_value(value, sizeof(value), 0, 0);
	for (size_t i = 16; i < 60; i++)
		value[i] = (uint8_t) random_number();
	memset(value, 1, 8);
	start = seconds();
	cpu = cpu_seconds();
	open_sorter(&o, OBJECT, flags, memory);
	for (uint64_t i = 0; i < n; i++)
	{
		make_key(key, a[i]);
		if (len > 16)
			memcpy(value + 16 + a[i] % 40, &a[i], 8);
		sorter_add(o.sorter, i + 1, key, sizeof(key), value, len);
		if (sorter_in_jobs(o.sorter) > memory / 2)
			wait_for(&o, false, memory / 2);
	}
	added = seconds();
	CHECK_EQUAL(finish(&o), SORTER_DONE);
	end = seconds();
	printf("%-20s %6.2f M rows/s, %4.0f ns a row, %u files (last row after %.2f s, end after %.2f s)\n",
		   name, (double) n / (end - start) / 1e6, (cpu_seconds() - cpu) / (double) n * 1e9,
		   sorter_nfiles(o.sorter), added - start, end - start);
	close_sorter(&o, false);
	free(a);
}

int
main(int argc, char **argv)
{
	static const struct
	{
		const char *name;
		void		(*run) (void);
	}			tests[] = {
#define TEST(name) {#name, name}
		TEST(test_order_of_a_chunk), TEST(test_orders), TEST(test_ascending_is_not_merged),
		TEST(test_many_runs), TEST(test_few_overlap), TEST(test_large_values),
		TEST(test_duplicates_within), TEST(test_duplicate_that_was_kept_back), TEST(test_overriding), TEST(test_duplicates_in_the_store),
		TEST(test_check_again), TEST(test_reads), TEST(test_damaged_file),
		TEST(test_cancel_at_any_moment), TEST(test_full_disk), TEST(test_side_by_side),
	};

	snprintf(directory, sizeof(directory), "%s/kalam_sorter_XXXXXX",
			 getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	REQUIRE(mkdtemp(directory) != NULL);
	open_store();
	if (argc >= 3)
	{
		uint64_t	n = strtoull(argv[2], NULL, 10);

		if (argc > 3)
			only = argv[3];
		REQUIRE(load_pool_open(2));
		time_one(n, 0, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW, VALUE_BYTES, "ascending, new");
		time_one(n, 0, KALAM_TARGET_UNIQUE, VALUE_BYTES, "ascending");
		time_one(n, n, KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW, VALUE_BYTES, "shuffled, new");
		time_one(n, 1000, KALAM_TARGET_UNIQUE, VALUE_BYTES, "nearly ascending");
		time_one(n, 0, KALAM_TARGET_NEW, 10, "entries, ascending");
		time_one(n, n, KALAM_TARGET_NEW, 10, "entries, shuffled");
	}
	else
	{
		REQUIRE(load_pool_open(THREADS));
		for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		{
			double		start = seconds();

			tests[i].run();
			printf("%-60s %6.2f s\n", tests[i].name, seconds() - start);
			fflush(stdout);
		}
	}
	load_pool_close();
	close_store();
	return check_report("test_sorter");
}
