/*
 * test_cache_threads.c
 *	  A cache under threads, and under processes that are killed: each hit is the
 *	  state of the database at the reader's stamp.  Usage: test_cache_threads [seconds]
 *
 * Threads are for ThreadSanitizer: it sees what is not ordered.  Values describe
 * themselves, so that one which is torn, mixed or another key's is found.
 *
 * What commit C writes is a function of C, so everybody knows what each key holds at
 * each stamp without asking.  A thread commits as storage does: it raises the words
 * of what it wrote, then publishes the stamp.
 */
#include "src/shared/cache.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/shared/atomics.h"
#include "src/shared/segment.h"
#include "test/unit/unit.h"

#define NKEYS			48
#define NBUCKETS		16		/* fewer than keys: some share one */
#define MAX_THREADS		8
#define MAX_HELD		4		/* pins of one thread */
#define MAX_PROCESSES	64
#define ROWS_GROUP		1		/* what stamps keep true */
#define HAND_GROUP		2		/* what only invalidation by hand keeps true */

typedef struct Shared
{
	_Atomic uint64_t pub;
	_Atomic uint64_t buckets[NBUCKETS];
	_Atomic uint64_t object;	/* of commits that wrote all keys */
	_Atomic uint64_t all;
	_Atomic uint64_t begun;		/* generation of HAND_GROUP */
	_Atomic uint64_t finished;	/* that was invalidated up to here */
	_Atomic bool stop;
	_Atomic uint64_t hits;
	_Atomic uint64_t failures;
	_Atomic uint64_t steps[MAX_PROCESSES];	/* of each process */
	_Alignas(64) char cache[];
} Shared;

static Shared *shared;
static double seconds = 3;

#define the_cache ((KalamCache *) shared->cache)

static uint64_t
mix(uint64_t a, uint64_t b)
{
	uint64_t	z = a * UINT64_C(0x9E3779B97F4A7C15) + b;

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
fails(const char *what, uint64_t key, uint64_t a, uint64_t b)
{
	if (atomic_fetch_add(&shared->failures, 1) < 10)
		fprintf(stderr, "test_cache_threads: %s: key %llu: %llu, %llu\n", what,
				(unsigned long long) key, (unsigned long long) a, (unsigned long long) b);
}

/* ---- the database ---- */

/* Every 64th commit is a load, which writes all keys and stamps no buckets. */
static bool
is_load(uint64_t commit)
{
	return commit % 64 == 0;
}

static bool
writes(uint64_t commit, uint64_t key)
{
	return is_load(commit) || mix(commit, key) % 16 == 0;
}

/* The last commit up to a stamp that wrote the key. */
static uint64_t
version_at(uint64_t key, uint64_t stamp)
{
	while (stamp > 0 && !writes(stamp, key))
		stamp--;
	return stamp;
}

static void
commit(uint64_t stamp)
{
	if (is_load(stamp))
		kalam_store(stamp % 128 == 0 ? &shared->all : &shared->object, stamp, release);
	else
		for (uint64_t key = 0; key < NKEYS; key++)
			if (writes(stamp, key))
				kalam_store(&shared->buckets[key % NBUCKETS], stamp, release);
	kalam_store(&shared->pub, stamp, release);
}

/* ---- values ---- */

typedef struct Value
{
	uint64_t	key;
	uint64_t	version;
	uint64_t	words[];
} Value;

/* Mostly small, up to what the cache takes. */
static uint32_t
value_len(uint64_t key, uint64_t version)
{
	uint64_t	r = mix(key + 7, version);
	uint64_t	most = kalam_cache_max_value_bytes(the_cache) - sizeof(Value);
	uint64_t	bytes = r % 64 == 0 ? (r >> 8) % most : r % 4 == 0 ? (r >> 8) % 5000 : (r >> 8) % 200;

	if (bytes > most)
		bytes = most;
	return (uint32_t) (sizeof(Value) + bytes / 8 * 8);
}

static void
make_value(Value *value, uint64_t key, uint64_t version)
{
	uint32_t	n = (value_len(key, version) - (uint32_t) sizeof(Value)) / 8;

	value->key = key;
	value->version = version;
	for (uint32_t i = 0; i < n; i++)
		value->words[i] = mix(key ^ version << 8, i);
}

static void
check_value(const char *what, const KalamCacheValue *found, uint64_t key)
{
	const Value *value = found->data;
	uint32_t	n;

	if (found->len < sizeof(Value) || value->key != key)
	{
		fails(what, key, found->len, found->len < 8 ? 0 : value->key);
		return;
	}
	if (found->len != value_len(key, value->version) || found->tag != (uint32_t) value->version)
		fails("length or tag", key, found->len, found->tag);
	n = (found->len - (uint32_t) sizeof(Value)) / 8;
	for (uint32_t i = 0; i < n; i++)
		if (value->words[i] != mix(key ^ value->version << 8, i))
		{
			fails("a word of the value", key, value->version, i);
			return;
		}
}

/* ---- a reader that fills ---- */

typedef struct Worker
{
	uint32_t	process;
	uint64_t	random;
	uint32_t	nheld;
	struct
	{
		uint64_t	key;
		KalamCacheValue value;
	}			held[MAX_HELD];
	uint64_t	hits;
	Value	   *value;			/* what it puts */
	uint64_t	buffer[64];
} Worker;

static uint64_t
random_below(Worker *w, uint64_t n)
{
	w->random = mix(w->random, 1);
	return w->random % n;
}

static void
unpin(Worker *w, uint32_t i)
{
	check_value("what was pinned", &w->held[i].value, w->held[i].key);
	kalam_cache_unpin(the_cache, w->process, w->held[i].value.pin);
	w->held[i] = w->held[--w->nheld];
}

/* A pinned value is looked at now and again when it is given back. */
static void
hit(Worker *w, uint64_t key, const KalamCacheValue *value, KalamCacheFind how)
{
	w->hits++;
	check_value("hit", value, key);
	if (how != KALAM_CACHE_PINNED)
		return;
	if (w->nheld == MAX_HELD)
		unpin(w, (uint32_t) random_below(w, MAX_HELD));
	w->held[w->nheld].key = key;
	w->held[w->nheld++].value = *value;
}

static void
put(Worker *w, const KalamCacheKey *key, uint64_t number, uint64_t ticket, uint64_t stamp,
	uint64_t version)
{
	uint32_t	len = value_len(number, version);
	uint32_t	split = (uint32_t) random_below(w, len + 1);
	KalamCachePart parts[2];

	make_value(w->value, number, version);
	parts[0] = (KalamCachePart) {w->value, split};
	parts[1] = (KalamCachePart) {(char *) w->value + split, len - split};
	kalam_cache_put(the_cache, w->process, key, ticket, stamp, (uint32_t) version, UINT64_MAX,
					parts, 2);
}

static void
read_row(Worker *w)
{
	uint64_t	number = random_below(w, 4) > 0 ? random_below(w, 8) : random_below(w, NKEYS);
	uint64_t	pub = kalam_load(&shared->pub, acquire);
	uint64_t	old = random_below(w, 8) == 0 ? random_below(w, 100) : 0;
	uint64_t	stamp = old < pub ? pub - old : pub;
	KalamCacheKey key = {&number, sizeof(number), ROWS_GROUP, kalam_hash(&number, sizeof(number), 0)};
	KalamCacheAt at = {.stamp = stamp, .now_ms = 1, .nwords = 3,
	.words = {&shared->buckets[number % NBUCKETS], &shared->object, &shared->all}};
	uint64_t	ticket = kalam_cache_ticket(the_cache, ROWS_GROUP);
	KalamCacheValue value;
	KalamCacheFind how;

	how = kalam_cache_find(the_cache, w->process, &key, &at, w->buffer,
						   (uint32_t) random_below(w, sizeof(w->buffer)), &value);
	if (how == KALAM_CACHE_MISS)
	{
		put(w, &key, number, ticket, stamp, version_at(number, stamp));
		return;
	}
	hit(w, number, &value, how);
	if (((const Value *) value.data)->version != version_at(number, stamp))
		fails("not the version of the stamp", number, ((const Value *) value.data)->version,
			  version_at(number, stamp));
}

/* A value's version is the generation that its reader saw. */
static void
read_by_hand(Worker *w)
{
	uint64_t	number = 1000 + random_below(w, 4);
	uint64_t	finished = kalam_load(&shared->finished, acquire);
	KalamCacheKey key = {&number, sizeof(number), HAND_GROUP, kalam_hash(&number, sizeof(number), 0)};
	KalamCacheAt at = {.stamp = UINT64_MAX, .now_ms = 1};
	uint64_t	ticket = kalam_cache_ticket(the_cache, HAND_GROUP);
	KalamCacheValue value;
	KalamCacheFind how;

	how = kalam_cache_find(the_cache, w->process, &key, &at, w->buffer,
						   (uint32_t) random_below(w, sizeof(w->buffer)), &value);
	if (how == KALAM_CACHE_MISS)
	{
		put(w, &key, number, ticket, 1, kalam_load(&shared->begun, acquire));
		return;
	}
	hit(w, number, &value, how);
	if (((const Value *) value.data)->version < finished)
		fails("found after it was invalidated", number, ((const Value *) value.data)->version,
			  finished);
}

static void
step(Worker *w)
{
	if (random_below(w, 4) == 0)
		read_by_hand(w);
	else
		read_row(w);
	if (w->nheld > 0 && random_below(w, 4) == 0)
		unpin(w, (uint32_t) random_below(w, w->nheld));
}

static Worker *
make_worker(uint32_t process)
{
	Worker	   *w = calloc(1, sizeof(Worker));

	w->process = process;
	w->random = mix(process + 1, (uint64_t) getpid());
	w->value = malloc(kalam_cache_max_value_bytes(the_cache));
	return w;
}

static void
end_worker(Worker *w)
{
	while (w->nheld > 0)
		unpin(w, w->nheld - 1);
	atomic_fetch_add(&shared->hits, w->hits);
	free(w->value);
	free(w);
}

/* ---- those who commit and invalidate ---- */

static void
commits_one(void)
{
	commit(kalam_load(&shared->pub, relaxed) + 1);
}

/* One at a time; its generation is begun before and finished after. */
static void
invalidates(uint32_t process, uint64_t how)
{
	uint64_t	generation = kalam_load(&shared->begun, relaxed) + 1;

	kalam_store(&shared->begun, generation, release);
	if (how % 8 == 0)
		kalam_cache_clear(the_cache, process);
	else
		kalam_cache_invalidate_group(the_cache, process, HAND_GROUP);
	kalam_store(&shared->finished, generation, release);
}

/* These hide entries, which does no harm ever. */
static void
sweeps(uint32_t process, uint64_t how)
{
	KalamCacheStats stats;

	if (how % 3 == 0)
		kalam_cache_expire(the_cache, process, 2);
	else if (how % 3 == 1)
		kalam_cache_invalidate_tag(the_cache, process, ROWS_GROUP,
								   (uint32_t) kalam_load(&shared->pub, relaxed));
	else
		kalam_cache_stats(the_cache, &stats);
}

/* ---- the cache of a test ---- */

static uint64_t shared_bytes;

static void
begin(uint64_t cache_bytes)
{
	shared_bytes = sizeof(Shared) + cache_bytes;
	shared = mmap(NULL, shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	kalam_cache_init(the_cache, cache_bytes, MAX_PROCESSES);
	kalam_store(&shared->pub, 1, release);
}

static void
finish(void)
{
	munmap(shared, shared_bytes);
}

/* ---- threads ---- */

static void *
reads(void *arg)
{
	Worker	   *w = arg;

	while (!kalam_load(&shared->stop, relaxed))
		step(w);
	end_worker(w);
	return NULL;
}

static void *
commits(void *arg)
{
	(void) arg;
	while (!kalam_load(&shared->stop, relaxed))
	{
		commits_one();
		usleep(20);
	}
	return NULL;
}

static void *
invalidates_and_sweeps(void *arg)
{
	(void) arg;
	for (uint64_t i = 0; !kalam_load(&shared->stop, relaxed); i++)
	{
		invalidates(MAX_THREADS, i);
		usleep(100);
		sweeps(MAX_THREADS, i);
		usleep(100);
	}
	return NULL;
}

/* All room can be used again: what is put now is found. */
static void
check_usable(void)
{
	Worker	   *w = make_worker(0);
	KalamCacheAt at = {.stamp = UINT64_MAX, .now_ms = 1};
	uint32_t	stored = 0;

	for (uint64_t number = 5000; number < 5200; number++)
	{
		KalamCacheKey key = {&number, sizeof(number), 3, kalam_hash(&number, sizeof(number), 0)};
		KalamCacheValue value;
		KalamCacheFind how;

		put(w, &key, number, kalam_cache_ticket(the_cache, 3), 1, number);
		how = kalam_cache_find(the_cache, 0, &key, &at, w->buffer, sizeof(w->buffer), &value);
		if (how == KALAM_CACHE_MISS)
			continue;
		stored++;
		hit(w, number, &value, how);
		while (w->nheld > 0)
			unpin(w, 0);
	}
	CHECK(stored == 200);
	end_worker(w);
}

static void
run_threads(uint64_t cache_bytes, uint32_t nreaders)
{
	pthread_t	committer,
				invalidator;
	pthread_t	readers[MAX_THREADS];
	KalamCacheStats stats;

	begin(cache_bytes);
	pthread_create(&committer, NULL, commits, NULL);
	pthread_create(&invalidator, NULL, invalidates_and_sweeps, NULL);
	for (uint32_t i = 0; i < nreaders; i++)
		pthread_create(&readers[i], NULL, reads, make_worker(i));
	usleep((useconds_t) (seconds / 3 * 1e6));
	kalam_store(&shared->stop, true, relaxed);
	for (uint32_t i = 0; i < nreaders; i++)
		pthread_join(readers[i], NULL);
	pthread_join(committer, NULL);
	pthread_join(invalidator, NULL);

	kalam_cache_stats(the_cache, &stats);
	CHECK(atomic_load(&shared->failures) == 0);
	CHECK(atomic_load(&shared->hits) > 0);
	CHECK(stats.hits == atomic_load(&shared->hits));
	CHECK(stats.pins == 0);
	CHECK(stats.corrupt == 0);
	CHECK(stats.bytes <= stats.bytes_allowed);
	check_usable();
	finish();
}

static void
threads_in_least_cache(void)
{
	run_threads(kalam_cache_least_bytes(MAX_PROCESSES), 4);
}

static void
threads_in_small_cache(void)
{
	run_threads(UINT64_C(4) << 20, 4);
}

/* ---- processes ---- */

static void __attribute__((noreturn))
run_process(uint32_t number)
{
	Worker	   *w = make_worker(number);
	uint32_t	failed;

	while (!atomic_load(&shared->stop))
	{
		step(w);
		if (number == 0)
			commits_one();
		if (number == 1 && random_below(w, 50) == 0)
			invalidates(number, random_below(w, 1000));
		atomic_fetch_add_explicit(&shared->steps[number], 1, memory_order_relaxed);
	}
	end_worker(w);
	failed = atomic_load(&shared->failures) > 0;
	_exit(failed ? 1 : 0);
}

static pid_t
start_process(uint32_t number)
{
	pid_t		pid = fork();

	if (pid == 0)
		run_process(number);
	return pid;
}

/* Waits for so long at most. */
static bool
process_ends(pid_t pid, int *status)
{
	double		start = now();

	while (waitpid(pid, status, WNOHANG) == 0)
	{
		if (now() - start > 20)
		{
			kill(pid, SIGKILL);
			waitpid(pid, status, 0);
			return false;
		}
		usleep(1000);
	}
	return true;
}

/*
 * 0 commits and 1 invalidates: they stay.  Of the others one after the other is killed,
 * wherever it is, and another one takes its place.  Those that stay go on.
 */
static void
killed_processes(void)
{
	enum {LIVING = 6};
	pid_t		pids[LIVING];
	double		start;
	uint64_t	random = 1;
	uint32_t	nkilled = 0;
	int			status;

	begin(UINT64_C(2) << 20);
	fflush(NULL);
	for (uint32_t i = 0; i < LIVING; i++)
		pids[i] = start_process(i);
	start = now();
	while (now() - start < seconds / 3)
	{
		uint32_t	victim = 2 + (uint32_t) ((random = mix(random, 1)) % (LIVING - 2));

		usleep((useconds_t) (random >> 20) % 5000);
		kill(pids[victim], SIGKILL);
		waitpid(pids[victim], &status, 0);
		CHECK(WIFSIGNALED(status));
		nkilled++;
		pids[victim] = start_process(victim);
	}
	/* Those that are left go on. */
	for (uint32_t i = 0; i < 2; i++)
	{
		uint64_t	before = atomic_load(&shared->steps[i]);

		start = now();
		while (atomic_load(&shared->steps[i]) < before + 100 && now() - start < 20)
			usleep(1000);
		CHECK(atomic_load(&shared->steps[i]) >= before + 100);
	}
	atomic_store(&shared->stop, true);
	for (uint32_t i = 0; i < LIVING; i++)
	{
		CHECK(process_ends(pids[i], &status));
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	CHECK(atomic_load(&shared->failures) == 0);
	CHECK(atomic_load(&shared->hits) > 0);
	CHECK(nkilled > 0);
	finish();
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		seconds = atof(argv[1]);
	unit_run(threads_in_least_cache);
	unit_run(threads_in_small_cache);
	unit_run(killed_processes);
	return unit_finish("test_cache_threads");
}
