/*
 * cache_bench.c
 *	  What an operation on a shared cache costs, with 1 to 8 processes at it at the
 *	  same time, against a hash table under a lock that processes share
 *	  (pthread_rwlock) whose readers copy.  Usage: cache_bench [seconds] [workload]
 *
 * Nanoseconds of processor time per operation, of all processes together.  So a number
 * that stays the same from 1 process to 8 means that they are not in each other's way;
 * what a process sleeps for a lock is not in it.
 * seconds (0.3) is for each number; a workload is named by what its line begins with.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/shared/cache.h"
#include "src/shared/segment.h"

#define KB				1024
#define MB				(1024 * 1024)
#define CACHE_BYTES		(64 * (uint64_t) MB)
#define MAX_PROCESSES	128
#define BUFFER_BYTES	KB		/* what is copied rather than pinned */

typedef enum Kind
{
	HITS,
	MISSES,
	PUTS,						/* each of a key that is not there */
	MIXED						/* 19 hits to 1 put of a key that is there */
} Kind;

typedef struct Workload
{
	const char *name;
	Kind		kind;
	uint32_t	nkeys;			/* that are there */
	uint32_t	bytes;			/* of a value */
} Workload;

static const Workload workloads[] = {
	{"hit, one entry of 100 B", HITS, 1, 100},
	{"hit, one entry of 1 kB", HITS, 1, KB},
	{"hit, one entry of 10 kB", HITS, 1, 10 * KB},
	{"hit, one entry of 100 kB", HITS, 1, 100 * KB},
	{"hit, one entry of 1 MB", HITS, 1, MB},
	{"hit, 10000 entries of 100 B", HITS, 10000, 100},
	{"hit, 1000 entries of 10 kB", HITS, 1000, 10 * KB},
	{"hit, 20 entries of 1 MB", HITS, 20, MB},
	{"miss", MISSES, 10000, 100},
	{"mixed, 10000 entries of 100 B", MIXED, 10000, 100},
	{"mixed, 1000 entries of 10 kB", MIXED, 1000, 10 * KB},
	{"put, 100 B", PUTS, 0, 100},
	{"put, 10 kB", PUTS, 0, 10 * KB},
	{"put, 1 MB", PUTS, 0, MB},
};

/* ---- the rival ---- */

#define PLACES	65536			/* a power of two */

typedef struct Place
{
	uint64_t	key;
	uint64_t	offset;			/* 0: empty */
	uint32_t	len;
} Place;

/* Keys go to fixed places, and memory is used round about: it never looks for room. */
typedef struct Locked
{
	pthread_rwlock_t lock;
	uint64_t	end;
	Place		places[PLACES];
	_Alignas(64) char bytes[];
} Locked;

static void
locked_init(Locked *locked)
{
	pthread_rwlockattr_t attr;

	memset(locked, 0, sizeof(*locked));
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&locked->lock, &attr);
	locked->end = 64;
}

static bool
locked_find(Locked *locked, uint64_t key, uint64_t hash, char *buffer)
{
	Place	   *place = &locked->places[hash % PLACES];
	bool		found;

	pthread_rwlock_rdlock(&locked->lock);
	found = place->offset != 0 && place->key == key;
	if (found)
		memcpy(buffer, locked->bytes + place->offset, place->len);
	pthread_rwlock_unlock(&locked->lock);
	return found;
}

static void
locked_put(Locked *locked, uint64_t key, uint64_t hash, const char *value, uint32_t len)
{
	Place	   *place = &locked->places[hash % PLACES];

	pthread_rwlock_wrlock(&locked->lock);
	if (locked->end + len > CACHE_BYTES)
		locked->end = 64;
	*place = (Place) {key, locked->end, len};
	memcpy(locked->bytes + locked->end, value, len);
	locked->end += len;
	pthread_rwlock_unlock(&locked->lock);
}

/* ---- processes at work ---- */

typedef struct Control
{
	_Atomic uint32_t ready;
	_Atomic bool go;
	_Atomic bool stop;
	_Alignas(64) _Atomic uint64_t word; /* a stamp, as readers look at */
	_Alignas(64) uint64_t operations[MAX_PROCESSES];
	double		seconds[MAX_PROCESSES];
} Control;

static Control *control;
static KalamCache *cache;		/* NULL: the rival's turn */
static Locked *locked;
static char *value;				/* of MB bytes */
static char *copy;
static double seconds = 0.3;

/* That this process had of processors. */
static double
processor_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static bool
do_find(uint32_t process, uint64_t key)
{
	uint64_t	hash = kalam_hash(&key, sizeof(key), 0);
	KalamCacheKey k = {&key, sizeof(key), 1, hash};
	KalamCacheAt at = {.stamp = 1, .nwords = 4,
	.words = {&control->word, &control->word, &control->word, &control->word}};
	KalamCacheValue found;

	if (cache == NULL)
		return locked_find(locked, key, hash, copy);
	switch (kalam_cache_find(cache, process, &k, &at, copy, BUFFER_BYTES, &found))
	{
		case KALAM_CACHE_MISS:
			return false;
		case KALAM_CACHE_COPIED:
			return true;
		case KALAM_CACHE_PINNED:
			__asm__ volatile("" :: "r" (*(const char *) found.data) : "memory");
			kalam_cache_unpin(cache, process, found.pin);
			return true;
	}
	return false;
}

static void
do_put(uint32_t process, uint64_t key, uint32_t len)
{
	uint64_t	hash = kalam_hash(&key, sizeof(key), 0);
	KalamCacheKey k = {&key, sizeof(key), 1, hash};
	KalamCachePart part = {value, len};

	if (cache == NULL)
		locked_put(locked, key, hash, value, len);
	else
		kalam_cache_put(cache, process, &k, kalam_cache_ticket(cache, 1), 1, 0, UINT64_MAX,
						&part, 1);
}

/* Returns how many operations it did. */
static uint64_t
work(const Workload *w, uint32_t process)
{
	uint64_t	random = process * UINT64_C(0x9E3779B97F4A7C15) + 1;
	uint64_t	n = 0;
	uint64_t	fresh = (uint64_t) (process + 1) << 40;
	uint64_t	missed = 0;

	while (!atomic_load_explicit(&control->stop, memory_order_relaxed))
	{
		uint32_t	batch = w->bytes >= 100 * KB ? 4 : 64;

		for (uint32_t i = 0; i < batch; i++)
		{
			uint64_t	key;

			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			key = w->nkeys > 1 ? (random >> 33) % w->nkeys : 0;
			switch (w->kind)
			{
				case HITS:
					missed += !do_find(process, key);
					break;
				case MISSES:
					do_find(process, key + 1000000);
					break;
				case PUTS:
					do_put(process, fresh++, w->bytes);
					break;
				case MIXED:
					if ((random >> 20) % 20 == 0)
						do_put(process, key, w->bytes);
					else
						missed += !do_find(process, key);
					break;
			}
		}
		n += batch;
	}
	/* The rival loses keys that share a place, and what it wrote over. */
	if (cache != NULL && w->kind == HITS && missed * 50 > n)
		printf("  (%.0f %% of the hits of process %u were misses)\n",
			   100.0 * (double) missed / (double) n, process);
	return n;
}

/* So that this process has all pages mapped before its time is taken. */
static void
touch_pages(void)
{
	const volatile char *memory = cache != NULL ? (const char *) cache : locked->bytes;

	for (uint64_t at = 0; at < CACHE_BYTES; at += 4096)
		(void) memory[at];
}

/* Nanoseconds per operation. */
static double
measure(const Workload *w, uint32_t nprocesses)
{
	uint64_t	n = 0;
	double		total = 0;

	for (uint32_t key = 0; key < w->nkeys; key++)
		do_put(0, key, w->bytes);
	memset(control, 0, sizeof(*control));
	fflush(stdout);
	for (uint32_t i = 0; i < nprocesses; i++)
		if (fork() == 0)
		{
			double		start;

			touch_pages();
			atomic_fetch_add(&control->ready, 1);
			while (!atomic_load(&control->go))
				usleep(100);
			start = processor_time();
			control->operations[i] = work(w, i);
			control->seconds[i] = processor_time() - start;
			fflush(stdout);
			_exit(0);
		}
	while (atomic_load(&control->ready) < nprocesses)
		usleep(100);
	atomic_store(&control->go, true);
	usleep((useconds_t) (seconds * 1e6));
	atomic_store(&control->stop, true);
	for (uint32_t i = 0; i < nprocesses; i++)
		wait(NULL);
	for (uint32_t i = 0; i < nprocesses; i++)
	{
		n += control->operations[i];
		total += control->seconds[i];
	}
	return n == 0 ? 0 : total * 1e9 / (double) n;
}

static void *
shared_memory(uint64_t bytes)
{
	void	   *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
							  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
	{
		perror("mmap");
		exit(1);
	}
	return memory;
}

static double
of_cache(KalamCache *memory, const Workload *w, uint32_t nprocesses)
{
	double		ns;

	cache = memory;
	kalam_cache_init(cache, CACHE_BYTES, MAX_PROCESSES);
	ns = measure(w, nprocesses);
	cache = NULL;
	return ns;
}

static double
of_locked(const Workload *w, uint32_t nprocesses)
{
	locked_init(locked);
	return measure(w, nprocesses);
}

int
main(int argc, char **argv)
{
	static const uint32_t counts[] = {1, 2, 4, 8};
	static const Workload many = {"hit, one entry of 1 MB", HITS, 1, MB};
	const char *only = argc > 2 ? argv[2] : "";
	KalamCache *memory = shared_memory(CACHE_BYTES);

	if (argc > 1)
		seconds = atof(argv[1]);
	if (seconds <= 0)
	{
		fprintf(stderr, "usage: cache_bench [seconds] [workload]\n");
		return 1;
	}
	control = shared_memory(sizeof(Control));
	locked = shared_memory(sizeof(Locked) + CACHE_BYTES);
	value = malloc(MB);
	copy = aligned_alloc(64, MB);
	memset(value, 'v', MB);
	memset(copy, 0, MB);

	printf("ns per operation         processes: %8u %8u %8u %8u   rwlock: %6u %8u %8u %8u\n",
		   counts[0], counts[1], counts[2], counts[3], counts[0], counts[1], counts[2], counts[3]);
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
	{
		const Workload *w = &workloads[i];

		if (strncmp(w->name, only, strlen(only)) != 0)
			continue;
		printf("%-35s", w->name);
		for (int j = 0; j < 4; j++)
			printf(" %8.1f", of_cache(memory, w, counts[j]));
		printf("        ");
		for (int j = 0; j < 4; j++)
			printf(" %8.1f", of_locked(w, counts[j]));
		printf("\n");
	}
	if (strncmp(many.name, only, strlen(only)) == 0)
	{
		printf("%-35s %8.1f", "100 processes: one entry of 1 MB", of_cache(memory, &many, 100));
		printf("        %37.1f\n", of_locked(&many, 100));
	}
	return 0;
}
