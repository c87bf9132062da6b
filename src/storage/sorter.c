/*
 * sorter.c
 *	  A sorter's records as they come, its jobs, its state and its end: see sorter.h.
 *
 * The owner fills a chunk and hands it over.  All else is done by jobs of the
 * pool; when the last one has ended, what comes next is begun by whoever sees
 * it, under the mutex.
 */
#include "src/storage/sorter.h"

#include <stdlib.h>

#include "src/storage/sorter_internal.h"
#include "src/storage/storage.h"

#define FIRST_CHUNK_BYTES	((size_t) 1 << 20)
#define MAX_CHUNK_BYTES		((size_t) 64 << 20)
#define MAX_PAUSE			64		/* chunks */
#define FEW_BYTES			((size_t) 64 << 10)	/* of records, if there are no others */
#define CHUNKS_OF_MEMORY	8	/* so many fit in the load's memory */

Sorter *
sorter_open(const SorterConfig *config)
{
	Sorter	   *s = calloc(1, sizeof(Sorter));

	s->config = *config;
	s->unique = (config->target.flags & KALAM_TARGET_UNIQUE) != 0;
	s->looks = (config->target.flags & KALAM_TARGET_NEW) == 0;
	s->max_chunk = config->memory / CHUNKS_OF_MEMORY;
	if (s->max_chunk > MAX_CHUNK_BYTES)
		s->max_chunk = MAX_CHUNK_BYTES;
	s->next_chunk = s->max_chunk < FIRST_CHUNK_BYTES ? s->max_chunk : FIRST_CHUNK_BYTES;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->ended, NULL);
	atomic_store(&s->idle, true);
	return s;
}

void
sorter_duplicate_free(SorterDuplicate *d)
{
	free(d->key);
	free(d->value);
	memset(d, 0, sizeof(*d));
}

/* ---- jobs ---- */

static void
end_job(SorterJob *job)
{
	*job->link = job->next;
	if (job->next != NULL)
		job->next->link = job->link;
}

/* Nothing is under way: what next?  The mutex is held. */
static void
advance(Sorter *s)
{
	/* of duplicates across chunks there may be one with a smaller tag */
	if (s->goal == GOAL_FINISH && !s->merged && atomic_load(&s->state) != SORTER_FAILED)
	{
		s->merged = true;
		atomic_store(&s->merging, true);
		sorter_start_merge(s);
		if (s->jobs != NULL)
			return;
	}
	sorter_order_files(s);
	atomic_store(&s->merging, false);
	atomic_store(&s->idle, true);
	if (s->goal != GOAL_NONE && !sorter_failed(s))
		atomic_store(&s->state, SORTER_DONE);
}

static void
tell_owner(Sorter *s)
{
	s->config.changed(s->config.arg);
	pthread_mutex_lock(&s->mutex);
	s->calls--;
	pthread_cond_broadcast(&s->ended);
	pthread_mutex_unlock(&s->mutex);
}

static void
run_job(PoolJob *pool)
{
	SorterJob  *job = (SorterJob *) pool;
	Sorter	   *s = job->sorter;

	job->work(job);
	pthread_mutex_lock(&s->mutex);
	end_job(job);
	s->calls++;
	if (s->jobs == NULL)
		advance(s);
	pthread_mutex_unlock(&s->mutex);
	job->free(job);
	tell_owner(s);
}

void
sorter_start_job(Sorter *s, SorterJob *job)
{
	job->pool.run = run_job;
	job->pool.owner = s->config.owner != NULL ? s->config.owner : &s->owner;
	job->sorter = s;
	job->next = s->jobs;
	job->link = &s->jobs;
	if (job->next != NULL)
		job->next->link = &job->next;
	s->jobs = job;
	atomic_store(&s->idle, false);
	load_pool_add(&job->pool);
}

/* Jobs that nobody has begun are not done any more.  The mutex is held. */
static void
withdraw_jobs(Sorter *s)
{
	SorterJob  *next;

	for (SorterJob *job = s->jobs; job != NULL; job = next)
	{
		next = job->next;
		if (!load_pool_withdraw(&job->pool))
			continue;
		end_job(job);
		job->free(job);
	}
}

void
sorter_close(Sorter *s, bool keep_files)
{
	EngineError err;

	engine_error(&err, KALAM_ERR_CANCELED, "the load is dropped");
	if (atomic_load(&s->state) != SORTER_DONE)
		sorter_fail(s, &err);
	pthread_mutex_lock(&s->mutex);
	withdraw_jobs(s);
	while (s->jobs != NULL || s->calls > 0)
		pthread_cond_wait(&s->ended, &s->mutex);
	pthread_mutex_unlock(&s->mutex);
	while (s->nfiles > 0)
		if (keep_files)
			sorted_file_free(s->files[--s->nfiles]);
		else
			sorter_remove_file(s, s->files[s->nfiles - 1]);
	if (s->chunk != NULL)
		chunk_close(s->chunk);
	for (uint32_t i = 0; i < 2 * s->nranges; i++)
		free(s->ranges[i].bytes);
	for (uint32_t i = 0; i < s->nfilters; i++)
		free(s->filters[i].lines);
	free(s->ranges);
	free(s->filters);
	free(s->files);
	sorter_duplicate_free(&s->duplicate);
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->ended);
	free(s);
}

/* ---- failures ---- */

void
sorter_fail(Sorter *s, const EngineError *err)
{
	pthread_mutex_lock(&s->mutex);
	if (atomic_load(&s->state) != SORTER_FAILED)
	{
		s->error = *err;
		atomic_store(&s->state, SORTER_FAILED);
	}
	pthread_mutex_unlock(&s->mutex);
}

void
sorter_fail_duplicate(Sorter *s, uint64_t order, uint64_t tag, const uint8_t *key, size_t key_len,
					  const uint8_t *value, size_t value_len)
{
	SorterDuplicate *d = &s->duplicate;

	pthread_mutex_lock(&s->mutex);
	if (atomic_load(&s->state) != SORTER_FAILED && (d->key == NULL || tag < d->tag))
	{
		SorterKey	k = sorter_key(key, key_len);
		SorterKey	v = sorter_key(value, value_len);

		sorter_duplicate_free(d);
		*d = (SorterDuplicate) {tag, k.bytes, v.bytes, k.len, v.len};
		atomic_store(&s->failed_order, order);
		atomic_store(&s->state, SORTER_DUPLICATE);
	}
	pthread_mutex_unlock(&s->mutex);
}

void
sorter_cancel(Sorter *s)
{
	EngineError err;

	engine_error(&err, KALAM_ERR_CANCELED, "canceled");
	sorter_fail(s, &err);
}

const SorterDuplicate *
sorter_duplicate(const Sorter *s)
{
	return &s->duplicate;
}

const EngineError *
sorter_error(const Sorter *s)
{
	return &s->error;
}

SorterState
sorter_state(const Sorter *s)
{
	return atomic_load(&s->state);
}

bool
sorter_is_idle(const Sorter *s)
{
	return atomic_load(&s->idle);
}

/* ---- files ---- */

void
sorter_add_file(Sorter *s, SortedFile *f)
{
	if ((s->nfiles & (s->nfiles - 1)) == 0)
		s->files = realloc(s->files, 2 * (s->nfiles + 1) * sizeof(SortedFile *));
	if (s->files == NULL)
		abort();
	s->files[s->nfiles++] = f;
	atomic_store(&s->file_count, s->nfiles);
	atomic_fetch_add(&s->file_bytes, f->bytes);
}

void
sorter_remove_file(Sorter *s, SortedFile *f)
{
	uint32_t	i = 0;

	while (s->files[i] != f)
		i++;
	s->files[i] = s->files[--s->nfiles];
	atomic_store(&s->file_count, s->nfiles);
	atomic_fetch_sub(&s->file_bytes, f->bytes);
	sorted_file_remove(f);
}

uint32_t
sorter_nfiles(const Sorter *s)
{
	return s->nfiles;
}

SorterFile
sorter_file(const Sorter *s, uint32_t i)
{
	const SortedFile *f = s->files[i];
	SorterFile	file = {
		.rows = f->rows, .bytes = f->bytes, .raw_bytes = f->raw_bytes, .synced = f->synced,
		.min_key = f->min.bytes, .min_len = f->min.len,
		.max_key = f->max.bytes, .max_len = f->max.len
	};

	memcpy(file.name, f->name, sizeof(file.name));
	return file;
}

void
sorter_progress(const Sorter *s, SorterProgress *p)
{
	p->rows = atomic_load_explicit(&s->rows, memory_order_relaxed);
	p->bytes = atomic_load_explicit(&s->file_bytes, memory_order_relaxed);
	p->files = atomic_load_explicit(&s->file_count, memory_order_relaxed);
	p->merges = atomic_load_explicit(&s->merging, memory_order_relaxed);
}

/* ---- records ---- */

static SorterKey
record_key(const Chunk *c, size_t offset)
{
	const ChunkRecord *r = chunk_record(c, offset);

	return sorter_key(chunk_key(r), r->key_len);
}

/*
 * Notes the range of a chunk's keys.  True if it overlaps an earlier one's: the
 * two ranges, and what lies between further ones, become one.
 */
static bool
note_range(Sorter *s, SorterKey min, SorterKey max)
{
	SorterKey  *r = s->ranges;
	uint32_t	at = s->nranges;	/* the first whose end is not below min */
	uint32_t	end;

	while (at > 0 && sorter_key_compare(&r[2 * at - 1], &min) >= 0)
		at--;
	for (end = at; end < s->nranges && sorter_key_compare(&r[2 * end], &max) <= 0; end++)
		;
	if (end > at)
	{
		SorterKey	from = sorter_key_compare(&r[2 * at], &min) <= 0 ? r[2 * at] : min;
		SorterKey	to = sorter_key_compare(&r[2 * end - 1], &max) >= 0 ? r[2 * end - 1] : max;

		for (uint32_t i = 2 * at; i < 2 * end; i++)
			if (r[i].bytes != from.bytes && r[i].bytes != to.bytes)
				free(r[i].bytes);
		if (min.bytes != from.bytes)
			free(min.bytes);
		if (max.bytes != to.bytes)
			free(max.bytes);
		r[2 * at] = from;
		r[2 * at + 1] = to;
		memmove(r + 2 * at + 2, r + 2 * end, 2 * (s->nranges - end) * sizeof(SorterKey));
		s->nranges -= end - at - 1;
		return true;
	}
	if ((s->nranges & (s->nranges - 1)) == 0)
		s->ranges = r = realloc(r, 4 * (s->nranges + 1) * sizeof(SorterKey));
	if (r == NULL)
		abort();
	memmove(r + 2 * at + 2, r + 2 * at, 2 * (s->nranges - at) * sizeof(SorterKey));
	r[2 * at] = min;
	r[2 * at + 1] = max;
	s->nranges++;
	return false;
}

/* last: no more records come. */
static void
flush(Sorter *s, bool last)
{
	Chunk	   *c = s->chunk;
	bool		overlaps;
	bool		few;

	if (c == NULL)
		return;
	s->chunk = NULL;
	atomic_store_explicit(&s->buffered, 0, memory_order_relaxed);
	if (!sorter_wants(s, s->nchunks))
	{
		chunk_close(c);
		return;
	}
	overlaps = note_range(s, record_key(c, c->min), record_key(c, c->max));
	s->disorder |= !c->ascending;
	if (s->kept_back)
	{
		s->pause = !overlaps ? 0 : s->pause < MAX_PAUSE ? 2 * s->pause + 1 : MAX_PAUSE;
		s->wait = s->pause;
	}
	s->kept_back = false;
	few = last && s->nchunks == 0 && c->used <= FEW_BYTES;
	pthread_mutex_lock(&s->mutex);
	sorter_start_chunk(s, c, overlaps ? ENGINE_FILE_TEMPORARY :
					   few ? ENGINE_FILE_UNSYNCED : ENGINE_FILE_LASTING, s->nchunks++);
	pthread_mutex_unlock(&s->mutex);
}

void
sorter_flush(Sorter *s)
{
	flush(s, false);
}

/*
 * Hands over the chunk, which is full, and begins another with room for a record
 * of that size; NULL if nobody wants it.  Where records come in a rough order,
 * the last ones of a chunk are kept back, so that chunks do not overlap.
 */
static Chunk *
next_chunk(Sorter *s, size_t size)
{
	Chunk	   *full = s->chunk;
	bool		keeps_back = full != NULL && s->wait == 0 && (s->disorder || !full->ascending);
	size_t		room = size + (keeps_back ? chunk_late_bytes(full) : 0);
	Chunk	   *next;

	if (s->wait > 0)
		s->wait--;
	if (sorter_failed(s))
	{
		sorter_flush(s);
		return NULL;
	}
	next = chunk_open(room > s->next_chunk ? room : s->next_chunk);
	s->next_chunk = 2 * s->next_chunk < s->max_chunk ? 2 * s->next_chunk : s->max_chunk;
	if (keeps_back && full->late != 0)
		chunk_move_late(full, next);
	sorter_flush(s);
	s->kept_back = keeps_back;
	return s->chunk = next;
}

void
sorter_add(Sorter *s, uint64_t tag, const uint8_t *key, size_t key_len, const uint8_t *value,
		   size_t value_len)
{
	size_t		size = chunk_record_bytes(key_len, value_len);
	Chunk	   *c = s->chunk;

	if (c == NULL || c->used + size > c->capacity)
	{
		c = next_chunk(s, size);
		if (c == NULL)
			return;
	}
	chunk_add(c, tag, key, key_len, value, value_len);
	atomic_store_explicit(&s->buffered, c->used, memory_order_relaxed);
	atomic_store_explicit(&s->rows, atomic_load_explicit(&s->rows, memory_order_relaxed) + 1,
						  memory_order_relaxed);
}

size_t
sorter_buffered(const Sorter *s)
{
	return atomic_load_explicit(&s->buffered, memory_order_relaxed);
}

size_t
sorter_in_jobs(const Sorter *s)
{
	return atomic_load_explicit(&s->in_jobs, memory_order_relaxed);
}

/* ---- the end ---- */

static void
aim(Sorter *s, SorterGoal goal)
{
	bool		ended = false;

	flush(s, true);
	pthread_mutex_lock(&s->mutex);
	s->goal = goal;
	if (atomic_load(&s->state) == SORTER_DONE)
		atomic_store(&s->state, SORTER_RUNNING);
	if (s->jobs == NULL)
	{
		atomic_store(&s->idle, false);
		advance(s);
		ended = atomic_load(&s->idle);
	}
	if (ended)
		s->calls++;
	pthread_mutex_unlock(&s->mutex);
	if (ended)
		tell_owner(s);
}

void
sorter_settle(Sorter *s)
{
	aim(s, GOAL_SETTLE);
}

void
sorter_finish(Sorter *s)
{
	aim(s, GOAL_FINISH);
}
