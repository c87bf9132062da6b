/*
 * storage_bench.c
 *	  What the channels to the storage process carry: loads, scans, point reads,
 *	  commits.  Usage: storage_bench PROGRAM DIRECTORY [rows] [client spin in us]
 *
 * Rows have 130 bytes.  Latencies are of round trips, in microseconds.
 */
#include <pthread.h>

#include "test/unit/load_fixture.h"

#define OBJECT 300
#define MAX_CLIENTS 32
#define SAMPLES 1000000

static uint64_t nrows;
static _Atomic bool stop;

typedef struct Client
{
	pthread_t	thread;
	uint32_t	slot;
	uint32_t	flags;
	uint64_t	done;
	float	   *samples;
} Client;

static void
load(void)
{
	TestChannel c = test_channel(&store, KALAM_RPC_CHANNEL(0));
	double		start = test_now();

	for (uint64_t from = 0; from < nrows; from += 50000)
	{
		test_begin(&c, KALAM_OP_COMMIT);
		if (from == 0)
			test_create(&c, OBJECT, KALAM_COMPRESSION_LZ4, 10000);
		for (uint64_t i = from; i < from + 50000 && i < nrows; i++)
			test_put(&c, OBJECT, i, 1, i, 130);
		test_end(&c);
		REQUIRE(test_finish(&c) == KALAM_OK);
	}
	printf("load by commits of 50000 rows      %8.2f M rows/s\n",
		   (double) nrows / (test_now() - start) / 1e6);
	test_begin(&c, KALAM_OP_COMPACT)->object_id = OBJECT;
	test_post(&c, KALAM_LANE_READ);
	REQUIRE(test_finish(&c) == KALAM_OK);
}

/*
 * One load of all rows, each with an entry of an index if there is one, into a new
 * object.  The step says in which order: row i * step modulo their number.
 */
static void
bulk_load(uint64_t step, bool index, const char *name)
{
	static uint32_t object = OBJECT;
	uint64_t	number = new_number();
	TestChannel c = rpc(0);
	double		start,
				sent,
				sorted;

	test_begin(&c, KALAM_OP_COMMIT);
	test_create(&c, ++object, KALAM_COMPRESSION_LZ4, 10000);
	REQUIRE(commit(&c) == KALAM_OK);
	start = test_now();
	c = load_begin(0, 0, number, 128 * MB);
	load_declare(&c, 0, object, 0, KALAM_TARGET_UNIQUE);
	if (index)
		load_declare(&c, 1, object, 1, 0);
	for (uint64_t i = 0; i < nrows; i++)
	{
		uint64_t	row = i * step % nrows;

		load_put(&c, 0, object, row, i + 1, row, 130);
		if (index)
			load_entry(&c, 1, object, 1, row * 7919 % nrows, row, i + 1, false);
	}
	sent = test_now();
	REQUIRE(load_end(&c) == KALAM_OK);
	sorted = test_now();
	REQUIRE(commit_load(0, number) == KALAM_OK);
	printf("%-34s %8.2f M rows/s (sent after %.2f s, sorted %.2f, committed %.2f)\n", name,
		   (double) nrows / (test_now() - start) / 1e6, sent - start, sorted - start,
		   test_now() - start);
	c = rpc(0);
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, object);
	REQUIRE(commit(&c) == KALAM_OK);
}

static void
scan(uint32_t flags, const char *name)
{
	TestChannel c = test_channel(&store, KALAM_SCAN_CHANNEL(0));
	double		best = 0;

	for (int again = 0; again < 3; again++)
	{
		double		start = test_now();
		uint64_t	n = 0;
		KalamBlock *b;

		test_scan_begin(&c, OBJECT, 0, KALAM_SCAN_NEWEST | flags);
		test_post(&c, KALAM_LANE_READ);
		while ((b = test_next_block(&c)) != NULL)
			n += b->nrows;
		REQUIRE(n == nrows && c.code == KALAM_OK);
		if ((double) n / (test_now() - start) > best)
			best = (double) n / (test_now() - start);
	}
	printf("%-34s %8.2f M rows/s\n", name, best / 1e6);
}

static void *
read_points(void *arg)
{
	Client	   *cl = arg;
	TestChannel c = test_channel(&store, KALAM_RPC_CHANNEL(cl->slot));
	unsigned	seed = cl->slot;

	while (!atomic_load(&stop))
	{
		double		start = test_now();
		KalamRequest *r = test_scan_begin(&c, OBJECT, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_POINT);

		test_range(r, (uint64_t) rand_r(&seed) % nrows, 0);
		r->upper_len = 0;
		test_post(&c, KALAM_LANE_READ);
		REQUIRE(test_finish(&c) == KALAM_OK);
		if (cl->done < SAMPLES)
			cl->samples[cl->done] = (float) ((test_now() - start) * 1e6);
		cl->done++;
	}
	return NULL;
}

static void *
write_rows(void *arg)
{
	Client	   *cl = arg;
	TestChannel c = test_channel(&store, KALAM_RPC_CHANNEL(cl->slot));
	unsigned	seed = cl->slot;

	while (!atomic_load(&stop))
	{
		double		start = test_now();

		test_begin(&c, KALAM_OP_COMMIT)->flags = cl->flags;
		test_put(&c, OBJECT, (uint64_t) rand_r(&seed) % nrows, 2, cl->done, 130);
		test_end(&c);
		REQUIRE(test_finish(&c) == KALAM_OK);
		if (cl->done < SAMPLES)
			cl->samples[cl->done] = (float) ((test_now() - start) * 1e6);
		cl->done++;
	}
	return NULL;
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a,
				y = *(const float *) b;

	return (x > y) - (x < y);
}

static void
clients(uint32_t n, void *(*work) (void *), uint32_t flags, const char *name)
{
	static Client cl[MAX_CLIENTS];
	double		start = test_now();
	uint64_t	done = 0,
				n_all = 0;
	float	   *all;

	atomic_store(&stop, false);
	for (uint32_t i = 0; i < n; i++)
	{
		if (cl[i].samples == NULL)
			cl[i].samples = malloc(SAMPLES * sizeof(float));
		cl[i].slot = i;
		cl[i].flags = flags;
		cl[i].done = 0;
		pthread_create(&cl[i].thread, NULL, work, &cl[i]);
	}
	test_sleep_ms(3000);
	atomic_store(&stop, true);
	for (uint32_t i = 0; i < n; i++)
	{
		pthread_join(cl[i].thread, NULL);
		done += cl[i].done;
	}
	all = malloc(done * sizeof(float));
	for (uint32_t i = 0; i < n; i++)
		for (uint64_t k = 0; k < cl[i].done && k < SAMPLES; k++)
			all[n_all++] = cl[i].samples[k];
	qsort(all, n_all, sizeof(float), compare_floats);
	printf("%-24s %2u clients %8.0f /s   median %6.0f  99 %% %6.0f  max %6.0f us\n", name, n,
		   (double) done / (test_now() - start), all[n_all / 2], all[n_all * 99 / 100],
		   all[n_all - 1]);
	fflush(stdout);
	free(all);
}

int
main(int argc, char **argv)
{
	KalamConfig config;
	static const uint32_t counts[] = {1, 2, 8};

	if (argc < 3)
	{
		fprintf(stderr, "usage: storage_bench PROGRAM DIRECTORY [rows] [client spin in us]\n");
		return 2;
	}
	nrows = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
	config = test_config(argv[2]);
	config.nslots = MAX_CLIENTS + 1;
	config.block_cache_bytes = 1 << 30;
	test_store_init(&store, argv[1], &config);
	store.spin_us = argc > 4 ? (uint32_t) atoi(argv[4]) : 20;
	REQUIRE(test_store_start(&store) && test_serve(&store) == KALAM_OK);
	bulk_load(1, false, "load, in order");
	bulk_load(7919, false, "load, in no order");
	bulk_load(1, true, "load, in order, with an index");
	load();
	scan(0, "scan");
	scan(KALAM_SCAN_COUNT, "count");
	scan(KALAM_SCAN_REVERSE, "scan backwards");
	for (int i = 0; i < 3; i++)
		clients(counts[i], read_points, 0, "point reads");
	for (int i = 0; i < 3; i++)
		clients(counts[i], write_rows, KALAM_COMMIT_SYNC, "synced commits");
	for (int i = 0; i < 3; i++)
		clients(counts[i], write_rows, 0, "commits, not synced");
	test_store_kill(&store, SIGTERM);
	return 0;
}
