/*
 * sorter_merge.c
 *	  Merges files that overlap: some runs into one while records still come, if
 *	  there are many; all that overlap at the end.
 *
 * At the end, files form groups within which they overlap.  A group is cut at
 * keys that its files remember into parts of some size, one job and mostly one
 * file each; a file goes when the last part that reads it is done.
 */
#include <stdlib.h>

#include "src/storage/sorter_internal.h"
#include "src/storage/stop_point.h"

#define MIN_FAN_IN		16		/* runs of one level, over one key, that are merged: */
#define MAX_FAN_IN		128		/* as many as there are megabytes of memory */
#define LOOK_ROWS		1024
#define SMALL_BYTES		(UINT64_C(4) << 20) /* not worth to be divided */
#define MIN_READAHEAD	((size_t) 32 << 10)
#define MAX_READAHEAD	((size_t) 512 << 10)

typedef struct MergeJob
{
	SorterJob	job;			/* first */
	SortedFile **inputs;
	uint32_t	ninputs;
	bool		to_run;			/* while records come; else into files that last */
	uint64_t	rows;			/* of its inputs */
	SorterKey	lower;
	SorterKey	upper;
} MergeJob;

/* What a job has written: whole files, and the one being written. */
typedef struct Output
{
	SortedFile **files;
	uint32_t	nfiles;
	SortedWriter writer;
	bool		writing;
	uint8_t    *value;			/* with a tag */
	size_t		value_size;
} Output;

/* ---- writing ---- */

static bool
end_file(Output *o, EngineError *err)
{
	SortedFile *f;

	o->writing = false;
	f = sorted_writer_finish(&o->writer, err);
	if (f == NULL)
		return false;
	o->files = realloc(o->files, (o->nfiles + 1) * sizeof(SortedFile *));
	o->files[o->nfiles++] = f;
	return true;
}

static void
give_up(Output *o)
{
	if (o->writing)
		sorted_writer_abandon(&o->writer);
	o->writing = false;
	while (o->nfiles > 0)
		sorted_file_remove(o->files[--o->nfiles]);
}

/* A value that has no tag gets the smallest one. */
static void
put_tag(Output *o, RunEntry *e)
{
	if (o->value_size < e->value_len + CHUNK_TAG_BYTES)
	{
		o->value_size = 2 * (e->value_len + CHUNK_TAG_BYTES);
		free(o->value);
		o->value = malloc(o->value_size);
		if (o->value == NULL)
			abort();
	}
	memcpy(o->value, e->value, e->value_len);
	memset(o->value + e->value_len, 0, CHUNK_TAG_BYTES);
	e->value = o->value;
}

static bool
write_entry(MergeJob *j, Output *o, RunEntry *e, EngineError *err)
{
	if (o->writing && !j->to_run && o->writer.file->raw_bytes > SORTER_FILE_BYTES &&
		!end_file(o, err))
		return false;
	if (!o->writing)
	{
		if (!sorted_writer_open(&o->writer, j->job.sorter,
								j->to_run ? ENGINE_FILE_TEMPORARY : ENGINE_FILE_LASTING, err))
			return false;
		o->writing = true;
	}
	if (j->to_run && !e->tagged)
		put_tag(o, e);
	return sorted_writer_put(&o->writer, e->key, e->key_len, e->value,
							 e->value_len + (j->to_run ? CHUNK_TAG_BYTES : 0), err);
}

/*
 * With all records there, what would become a run is better merged with the rest:
 * unless most of it is done.
 */
static bool
is_too_late(const MergeJob *j, uint64_t done)
{
	return j->to_run && done < j->rows / 2 && atomic_load(&j->job.sorter->goal) == GOAL_FINISH;
}

/*
 * Merges to the end.  Once there is a duplicate, nothing is written any more, but
 * there may be another one with a smaller tag.
 */
static bool
merge(MergeJob *j, RunMerge *m, Output *o, EngineError *err)
{
	Sorter	   *s = j->job.sorter;
	bool		repeated = false;	/* the key is that of the one before */
	RunEntry	e;

	for (uint64_t i = 0; run_merge_next(m, &e); i++)
	{
		if (repeated && s->unique)
			sorter_fail_duplicate(s, UINT64_MAX - 1, run_entry_tag(&e), e.key, e.key_len, e.value,
								  e.value_len);
		if (i % LOOK_ROWS == 0 && (atomic_load(&s->state) == SORTER_FAILED || is_too_late(j, i)))
		{
			engine_error(err, KALAM_ERR_CANCELED, "canceled");
			return false;
		}
		if ((s->unique ? !repeated : !e.overridden) &&
			(j->to_run || !sorter_failed(s)) && !write_entry(j, o, &e, err))
			return false;
		repeated = e.overridden;
	}
	return run_merge_good(m, err) && (!o->writing || end_file(o, err));
}

/* ---- jobs ---- */

static size_t
readahead(const Sorter *s, uint32_t nfiles)
{
	uint64_t	size = s->config.memory / (4 * (uint64_t) nfiles);

	return size < MIN_READAHEAD ? MIN_READAHEAD : size > MAX_READAHEAD ? MAX_READAHEAD : size;
}

/* Inputs that nobody will read again go.  The mutex is held. */
static void
let_go(MergeJob *j)
{
	for (uint32_t i = 0; i < j->ninputs; i++)
		if (--j->inputs[i]->parts == 0)
			sorter_remove_file(j->job.sorter, j->inputs[i]);
	j->ninputs = 0;
}

/* They stay as they are. */
static void
give_back(MergeJob *j)
{
	pthread_mutex_lock(&j->job.sorter->mutex);
	for (uint32_t i = 0; i < j->ninputs; i++)
		j->inputs[i]->parts--;
	pthread_mutex_unlock(&j->job.sorter->mutex);
}

static void
work(SorterJob *job)
{
	MergeJob   *j = (MergeJob *) job;
	Sorter	   *s = job->sorter;
	Output		o = {0};
	EngineError err;
	RunMerge   *m;
	bool		good;

	if (atomic_load(&s->state) == SORTER_FAILED)
		return;
	m = run_merge_open(j->inputs, j->ninputs, j->lower, j->upper, readahead(s, j->ninputs));
	good = merge(j, m, &o, &err);
	run_merge_close(m);
	if (!good)
	{
		give_up(&o);
		if (err.code == KALAM_ERR_CANCELED)
			give_back(j);
		else
			sorter_fail(s, &err);
	}
	else if (sorter_failed(s) && !j->to_run)
		give_up(&o);
	else
	{
		STOP_POINT("load_merge");
		pthread_mutex_lock(&s->mutex);
		for (uint32_t i = 0; i < o.nfiles; i++)
		{
			o.files[i]->level = j->inputs[0]->level + 1;
			o.files[i]->order = j->inputs[0]->order;
			sorter_add_file(s, o.files[i]);
		}
		let_go(j);
		if (j->to_run && o.nfiles == 1)
			sorter_thin_out(s, o.files[0]);
		pthread_mutex_unlock(&s->mutex);
	}
	free(o.files);
	free(o.value);
}

static void
free_job(SorterJob *job)
{
	MergeJob   *j = (MergeJob *) job;

	free(j->inputs);
	free(j->lower.bytes);
	free(j->upper.bytes);
	free(j);
}

/* Takes over the keys. */
static MergeJob *
make_job(uint32_t max_inputs, SorterKey lower, SorterKey upper, bool to_run)
{
	MergeJob   *j = calloc(1, sizeof(MergeJob));

	j->job.work = work;
	j->job.free = free_job;
	j->inputs = malloc(max_inputs * sizeof(SortedFile *));
	j->lower = lower;
	j->upper = upper;
	j->to_run = to_run;
	return j;
}

static void
add_input(MergeJob *j, SortedFile *f)
{
	j->inputs[j->ninputs++] = f;
	f->parts++;
}

/* ---- while records come ---- */

static uint32_t
fan_in(const Sorter *s)
{
	uint64_t	megabytes = s->config.memory >> 20;

	return megabytes < MIN_FAN_IN ? MIN_FAN_IN : megabytes > MAX_FAN_IN ? MAX_FAN_IN :
		(uint32_t) megabytes;
}

void
sorter_thin_out(Sorter *s, const SortedFile *f)
{
	const SorterKey *middle = f->nsamples > 0 ? &f->samples[f->nsamples / 2] : &f->min;
	MergeJob   *j;

	if (atomic_load(&s->goal) == GOAL_FINISH || s->nfiles < fan_in(s))
		return;
	j = make_job(s->nfiles, sorter_key(NULL, 0), sorter_key(NULL, 0), true);
	for (uint32_t i = 0; i < s->nfiles; i++)
	{
		SortedFile *other = s->files[i];

		if (other->tagged && other->parts == 0 && other->level == f->level &&
			sorter_key_compare(&other->min, middle) <= 0 && sorter_key_compare(&other->max, middle) >= 0)
			j->inputs[j->ninputs++] = other;
	}
	if (j->ninputs < fan_in(s))
	{
		free_job(&j->job);
		return;
	}
	for (uint32_t i = 0; i < j->ninputs; i++)
	{
		j->inputs[i]->parts = 1;
		j->rows += j->inputs[i]->rows;
	}
	sorter_start_job(s, &j->job);
}

/* ---- at the end ---- */

static int
by_min(const void *a, const void *b)
{
	SortedFile *const *x = a;
	SortedFile *const *y = b;

	return sorter_key_compare(&(*x)->min, &(*y)->min);
}

static int
by_key(const void *a, const void *b)
{
	SorterKey *const *x = a;
	SorterKey *const *y = b;

	return sorter_key_compare(*x, *y);
}

void
sorter_order_files(Sorter *s)
{
	if (s->nfiles > 1)
		qsort(s->files, s->nfiles, sizeof(SortedFile *), by_min);
}

/* Keys that cut the files into parts of about the same size; returns how many. */
static uint32_t
choose_cuts(SortedFile *const *files, uint32_t n, SorterKey ***cuts)
{
	uint64_t	bytes = 0;
	uint32_t	nsamples = 0,
				nparts,
				ncuts = 0;
	SorterKey **samples;

	for (uint32_t i = 0; i < n; i++)
	{
		bytes += files[i]->raw_bytes;
		nsamples += files[i]->nsamples;
	}
	nparts = (uint32_t) (bytes / SORTER_PART_BYTES) + 1;
	if (bytes > SMALL_BYTES && nparts < load_pool_threads())
		nparts = load_pool_threads();
	*cuts = samples = malloc((nsamples + 1) * sizeof(SorterKey *));
	nsamples = 0;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < files[i]->nsamples; k++)
			samples[nsamples++] = &files[i]->samples[k];
	qsort(samples, nsamples, sizeof(SorterKey *), by_key);
	for (uint32_t p = 1; p < nparts; p++)
	{
		uint64_t	at = (uint64_t) nsamples * p / nparts;

		/* samples before it are not needed any more */
		if (at < nsamples && (ncuts == 0 || sorter_key_compare(samples[at], samples[ncuts - 1]) > 0))
			samples[ncuts++] = samples[at];
	}
	return ncuts;
}

/* The files, by their smallest keys, overlap one with the next. */
static void
merge_group(Sorter *s, SortedFile **files, uint32_t n)
{
	SorterKey **cuts;
	uint32_t	ncuts = choose_cuts(files, n, &cuts);
	MergeJob  **jobs = malloc((ncuts + 1) * sizeof(MergeJob *));

	for (uint32_t c = 0; c <= ncuts; c++)
	{
		SorterKey	lower = c == 0 ? sorter_key(NULL, 0) : sorter_key(cuts[c - 1]->bytes, cuts[c - 1]->len);
		SorterKey	upper = c == ncuts ? sorter_key(NULL, 0) : sorter_key(cuts[c]->bytes, cuts[c]->len);

		jobs[c] = make_job(n, lower, upper, false);
		for (uint32_t i = 0; i < n; i++)
			if (sorted_file_overlaps(files[i], &lower, &upper))
				add_input(jobs[c], files[i]);
	}
	for (uint32_t c = 0; c <= ncuts; c++)
		sorter_start_job(s, &jobs[c]->job);
	free(jobs);
	free(cuts);
}

void
sorter_start_merge(Sorter *s)
{
	SortedFile **files;
	uint32_t	n = s->nfiles;

	if (n == 0)
		return;
	sorter_order_files(s);
	files = malloc(n * sizeof(SortedFile *));
	memcpy(files, s->files, n * sizeof(SortedFile *));
	for (uint32_t from = 0, to; from < n; from = to)
	{
		const SorterKey *max = &files[from]->max;

		for (to = from + 1; to < n && sorter_key_compare(&files[to]->min, max) <= 0; to++)
			if (sorter_key_compare(&files[to]->max, max) > 0)
				max = &files[to]->max;
		if (to - from > 1 || files[from]->tagged)
			merge_group(s, files + from, to - from);
	}
	free(files);
}
