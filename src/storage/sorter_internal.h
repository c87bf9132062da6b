/*
 * sorter_internal.h - what the files sorter*.c share; nobody else includes it.
 *
 * Everything that says "mutex" is under the sorter's; the rest belongs to the
 * owner, to one job, or does not change once it is there.
 */
#ifndef KALAM_STORAGE_SORTER_INTERNAL_H
#define KALAM_STORAGE_SORTER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "src/shared/key_filter.h"
#include "src/storage/chunk.h"
#include "src/storage/load_pool.h"
#include "src/storage/sorter.h"
#include "src/storage/storage.h"

#define SORTER_FILE_BYTES	(UINT64_C(256) << 20)	/* before compression; a file ends then */
#define SORTER_PART_BYTES	(UINT64_C(64) << 20)	/* that one job merges */
#define SORTER_SAMPLE_BYTES	(UINT64_C(64) << 10)	/* between two keys that are remembered */
#define SORTER_ROOM_BYTES	(UINT64_C(8) << 20)	/* between two looks at free space */

typedef struct SorterKey
{
	uint8_t    *bytes;
	size_t		len;
} SorterKey;

/* A sorted file of a sorter. */
typedef struct SortedFile
{
	char		name[SORTER_NAME_BYTES];
	SorterKey	min;
	SorterKey	max;
	uint64_t	rows;
	uint64_t	bytes;
	uint64_t	raw_bytes;		/* of keys and values */
	uint64_t	order;			/* of equal keys without tags */
	bool		tagged;			/* a run: each value ends with its record's tag */
	bool		synced;
	uint32_t	level;			/* so many times merged, as a run */
	SorterKey  *samples;		/* keys, ascending */
	uint32_t	nsamples;
	uint32_t	parts;			/* mutex: jobs that are to merge it, or parts of it */
	pthread_mutex_t open_mutex;
	EngineSorted *reader;		/* open_mutex: while it has users */
	uint32_t	users;			/* open_mutex */
} SortedFile;

typedef struct SorterJob
{
	PoolJob		pool;			/* first: a PoolJob is cast to it */
	struct Sorter *sorter;
	struct SorterJob *next;		/* mutex: of all that are not done */
	struct SorterJob **link;
	void		(*work) (struct SorterJob *job);
	void		(*free) (struct SorterJob *job);	/* of what it holds */
} SorterJob;

typedef enum SorterGoal
{
	GOAL_NONE,
	GOAL_SETTLE,
	GOAL_FINISH
} SorterGoal;

struct Sorter
{
	SorterConfig config;
	PoolOwner	owner;			/* if the configuration names none */
	bool		unique;
	bool		looks;			/* at the store: it may have such keys */
	size_t		max_chunk;
	size_t		next_chunk;		/* size of the next one */
	Chunk	   *chunk;			/* that is being filled, or NULL */
	uint64_t	nchunks;
	bool		disorder;		/* some chunk did not ascend */
	bool		kept_back;		/* the end of the chunk before this one is in it */
	uint32_t	wait;			/* so many chunks until a part of one is kept back again, */
	uint32_t	pause;			/* for it did not help */
	SorterKey  *ranges;			/* from, to, from, to .. of chunks that were handed over: */
	uint32_t	nranges;		/* disjoint, ascending */

	pthread_mutex_t mutex;
	pthread_cond_t ended;		/* a job, or a call of changed */
	SorterJob  *jobs;			/* mutex */
	uint32_t	calls;			/* mutex: of changed */
	_Atomic SorterGoal goal;	/* mutex */
	bool		merged;			/* mutex: the jobs of the end are under way, or done */
	SortedFile **files;			/* mutex */
	uint32_t	nfiles;
	KalamKeyFilter *filters;	/* mutex */
	uint32_t	nfilters;
	uint64_t	filter_bytes;
	bool		unfiltered;		/* mutex: filters have grown too large */
	SorterDuplicate duplicate;	/* mutex */
	EngineError error;			/* mutex */

	_Atomic uint32_t state;		/* SorterState */
	_Atomic uint64_t failed_order;	/* DUPLICATE: what came in later chunks does not matter */
	_Atomic bool idle;
	_Atomic size_t buffered;
	_Atomic size_t in_jobs;
	_Atomic uint64_t rows;
	_Atomic uint64_t file_bytes;
	_Atomic uint32_t file_count;
	_Atomic bool merging;
};

/* ---- sorter.c ---- */

static inline bool
sorter_failed(const Sorter *s)
{
	return atomic_load_explicit(&s->state, memory_order_relaxed) > SORTER_DONE;
}

/*
 * Is a chunk still of use?  One that came before a duplicate is: it may have one
 * with a smaller tag.  So may the next one, which has what was kept back.
 */
static inline bool
sorter_wants(const Sorter *s, uint64_t order)
{
	SorterState state = atomic_load_explicit(&s->state, memory_order_relaxed);

	return state <= SORTER_DONE || (state == SORTER_DUPLICATE && order <= s->failed_order + 1);
}

/* Whatever it was: it ends all.  Of duplicates the one with the smallest tag counts. */
extern void sorter_fail(Sorter *s, const EngineError *err);

/* order: of the chunk; below UINT64_MAX. */
extern void sorter_fail_duplicate(Sorter *s, uint64_t order, uint64_t tag, const uint8_t *key,
								  size_t key_len, const uint8_t *value, size_t value_len);

/* The mutex is held. */
extern void sorter_start_job(Sorter *s, SorterJob *job);
extern void sorter_add_file(Sorter *s, SortedFile *f);
extern void sorter_remove_file(Sorter *s, SortedFile *f);	/* from the disk, too */

/* ---- sorted_file.c ---- */

extern SorterKey sorter_key(const uint8_t *bytes, size_t len);

static inline int
sorter_key_compare(const SorterKey *a, const SorterKey *b)
{
	return key_compare(a->bytes, a->len, b->bytes, b->len);
}

/* May the file have keys with lower <= key < upper (length 0: no bound)? */
static inline bool
sorted_file_overlaps(const SortedFile *f, const SorterKey *lower, const SorterKey *upper)
{
	return sorter_key_compare(&f->max, lower) >= 0 &&
		(upper->len == 0 || sorter_key_compare(&f->min, upper) < 0);
}

/* A file being written: keys in ascending order, one for each row. */
typedef struct SortedWriter
{
	Sorter	   *sorter;
	SortedFile *file;
	EngineFile *out;
	uint64_t	unchecked_bytes;
	uint64_t	unsampled_bytes;
	SorterKey	last;			/* key; a buffer for the longest */
} SortedWriter;

extern bool sorted_writer_open(SortedWriter *w, Sorter *s, EngineFileKind kind, EngineError *err);
extern bool sorted_writer_put(SortedWriter *w, const uint8_t *key, size_t key_len,
							  const uint8_t *value, size_t value_len, EngineError *err);

/* NULL on errors; either way the writer is gone. */
extern SortedFile *sorted_writer_finish(SortedWriter *w, EngineError *err);
extern void sorted_writer_abandon(SortedWriter *w);

extern void sorted_file_free(SortedFile *f);	/* the file stays */
extern void sorted_file_remove(SortedFile *f);
extern EngineSorted *sorted_file_acquire(SortedFile *f, EngineError *err);
extern void sorted_file_release(SortedFile *f);

/* ---- run_merge.c ---- */

typedef struct RunMerge RunMerge;

/* Of what the files have in lower <= key < upper (length 0: no bound), which must stay. */
extern RunMerge *run_merge_open(SortedFile *const *files, uint32_t n, SorterKey lower,
								SorterKey upper, size_t readahead);
extern void run_merge_close(RunMerge *m);

typedef struct RunEntry
{
	const uint8_t *key;
	const uint8_t *value;		/* without the tag */
	size_t		key_len;
	size_t		value_len;
	bool		tagged;			/* the tag stands behind the value */
	bool		overridden;		/* the next one has the same key */
} RunEntry;

/* The next one, valid until the next call; equal keys in the order in which they came. */
extern bool run_merge_next(RunMerge *m, RunEntry *e);
extern bool run_merge_good(RunMerge *m, EngineError *err);

static inline uint64_t
run_entry_tag(const RunEntry *e)
{
	uint64_t	tag = 0;

	if (e->tagged)
		memcpy(&tag, e->value + e->value_len, sizeof(tag));
	return tag;
}

/* ---- sorter_chunk.c, sorter_merge.c ---- */

/* The mutex is held.  TEMPORARY: it becomes a run. */
extern void sorter_start_chunk(Sorter *s, Chunk *c, EngineFileKind kind, uint64_t order);

/* A run has come: merges some if there are too many. */
extern void sorter_thin_out(Sorter *s, const SortedFile *f);

/* By their smallest keys. */
extern void sorter_order_files(Sorter *s);

/* Starts the jobs that merge what overlaps, if anything does.  No other job is under way. */
extern void sorter_start_merge(Sorter *s);

#endif
