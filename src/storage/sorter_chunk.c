/*
 * sorter_chunk.c
 *	  What the pool does with a chunk: sorts it, looks for its keys in the store,
 *	  writes it as a file.
 *
 * A duplicate does not keep the chunk from being written, without the later one
 * of equal keys: its other keys may be duplicates of those of earlier chunks.
 */
#include <stdlib.h>

#include "src/storage/sorter_internal.h"
#include "src/storage/stop_point.h"
#include "src/storage/stored_keys.h"

#define LOOK_ROWS		1024	/* between two looks at whether to go on */
#define FILTER_BYTES	(UINT64_C(32) << 20)	/* of all filters of a sorter */

/*
 * A load waits for those who lock what passes one of its filters, of which there
 * are dozens: so they are made as for more keys than they have.
 */
#define FILTER_ROOM		3

typedef struct ChunkJob
{
	SorterJob	job;			/* first */
	Chunk	   *chunk;
	EngineFileKind kind;
	uint64_t	order;
	size_t		bytes;			/* of memory */
} ChunkJob;

/* Of the duplicates of the chunk the one with the smallest tag, or NULL. */
typedef struct Offender
{
	const ChunkRecord *record;
	uint64_t	tag;
} Offender;

static void
note_offender(Offender *o, const ChunkRecord *r)
{
	uint64_t	tag = chunk_tag(r);

	if (o->record == NULL || tag < o->tag)
	{
		o->record = r;
		o->tag = tag;
	}
}

static bool
same_key(const ChunkRecord *a, const ChunkRecord *b)
{
	return a->key_len == b->key_len && memcmp(chunk_key(a), chunk_key(b), a->key_len) == 0;
}

/* The record at i is followed, or preceded, by one with its key: what prefixes say first. */
static bool
same_as_next(const Chunk *c, uint64_t i)
{
	return c->items != NULL && i + 1 < c->rows && c->items[i].prefix == c->items[i + 1].prefix &&
		same_key(chunk_nth(c, i, NULL), chunk_nth(c, i + 1, NULL));
}

static bool
same_as_last(const Chunk *c, uint64_t i)
{
	return i > 0 && same_as_next(c, i - 1);
}

static void
find_repeated(const Chunk *c, Offender *o)
{
	for (uint64_t i = 1; c->items != NULL && i < c->rows; i++)
		if (same_as_last(c, i))
			note_offender(o, chunk_nth(c, i, NULL));
}

/* Looks for all keys in the store.  (Of equal ones both are found; the first has the smaller tag.) */
static bool
find_stored(const ChunkJob *j, Offender *o, EngineError *err)
{
	const Sorter *s = j->job.sorter;
	const Chunk *c = j->chunk;
	const ChunkRecord *max = chunk_record(c, c->max);
	const ChunkRecord *r = NULL;
	const ChunkRecord *records[STORED_KEYS_MAX];
	const uint8_t *keys[STORED_KEYS_MAX];
	size_t		lens[STORED_KEYS_MAX];
	StoredKeys	stored;
	bool		good = true;

	if (!stored_keys_open(&stored, s->config.target.object_id, chunk_key(max), max->key_len, err))
		return false;
	for (uint64_t i = 0; good && i < c->rows && sorter_wants(s, j->order);)
	{
		uint64_t	found;
		uint32_t	n = 0;

		for (; n < STORED_KEYS_MAX && i < c->rows; i++, n++)
		{
			records[n] = r = chunk_nth(c, i, r);
			chunk_prefetch(c, i);
			keys[n] = chunk_key(r);
			lens[n] = r->key_len;
		}
		good = stored_keys_look(&stored, n, keys, lens, &found, err);
		for (; good && found != 0; found &= found - 1)
			note_offender(o, records[__builtin_ctzll(found)]);
	}
	stored_keys_close(&stored);
	return good;
}

/* ---- filters ---- */

static KalamKeyFilter
make_filter(const Sorter *s, const Chunk *c)
{
	KalamKeyFilter f = {0};

	if (s->looks)
		kalam_filter_size(&f, FILTER_ROOM * c->rows, FILTER_BYTES);
	if (f.nlines > 0)
		f.lines = calloc(f.nlines, KALAM_FILTER_LINE_BYTES);
	return f;
}

/* The mutex is held. */
static void
keep_filter(Sorter *s, KalamKeyFilter f)
{
	s->filter_bytes += f.nlines * KALAM_FILTER_LINE_BYTES;
	if (f.lines == NULL || s->filter_bytes > FILTER_BYTES)
		s->unfiltered = true;
	if (s->unfiltered)
	{
		free(f.lines);
		while (s->nfilters > 0)
			free(s->filters[--s->nfilters].lines);
		return;
	}
	if ((s->nfilters & (s->nfilters - 1)) == 0)
		s->filters = realloc(s->filters, 2 * (s->nfilters + 1) * sizeof(KalamKeyFilter));
	if (s->filters == NULL)
		abort();
	s->filters[s->nfilters++] = f;
}

bool
sorter_may_have(const Sorter *s, uint64_t hash)
{
	if (!s->looks || s->unfiltered)
		return true;
	for (uint32_t i = 0; i < s->nfilters; i++)
		if (kalam_filter_may_have(&s->filters[i], hash))
			return true;
	return false;
}

/* ---- the file ---- */

/* NULL on errors, or if nobody wants it any more. */
static SortedFile *
write_file(ChunkJob *j, KalamKeyFilter *filter, EngineError *err)
{
	Sorter	   *s = j->job.sorter;
	const Chunk *c = j->chunk;
	const ChunkRecord *r = NULL;
	size_t		tag_bytes = j->kind == ENGINE_FILE_TEMPORARY ? CHUNK_TAG_BYTES : 0;
	SortedWriter w;

	if (!sorted_writer_open(&w, s, j->kind, err))
		return NULL;
	for (uint64_t i = 0; i < c->rows; i++)
	{
		r = chunk_nth(c, i, r);
		chunk_prefetch(c, i);
		if (s->unique ? same_as_last(c, i) : same_as_next(c, i))
			continue;
		if (filter->lines != NULL)
			kalam_filter_add(filter, kalam_hash(chunk_key(r), r->key_len, 0));
		if (!sorted_writer_put(&w, chunk_key(r), r->key_len, chunk_value(r),
							   r->value_len + tag_bytes, err))
		{
			sorted_writer_abandon(&w);
			return NULL;
		}
		if (i % LOOK_ROWS == 0 && !sorter_wants(s, j->order))
		{
			sorted_writer_abandon(&w);
			engine_error(err, KALAM_ERR_CANCELED, "canceled");
			return NULL;
		}
	}
	STOP_POINT("load_chunk");
	return sorted_writer_finish(&w, err);
}

static void
work(SorterJob *job)
{
	ChunkJob   *j = (ChunkJob *) job;
	Sorter	   *s = job->sorter;
	KalamKeyFilter filter;
	Offender	o = {NULL, 0};
	SortedFile *f = NULL;
	EngineError err;
	bool		good = true;

	if (!sorter_wants(s, j->order))
		return;
	chunk_sort(j->chunk);
	if (s->unique)
	{
		find_repeated(j->chunk, &o);
		if (s->looks)
			good = find_stored(j, &o, &err);
		if (o.record != NULL)
			sorter_fail_duplicate(s, j->order, o.tag, chunk_key(o.record), o.record->key_len,
								  chunk_value(o.record), o.record->value_len);
	}
	filter = make_filter(s, j->chunk);
	if (good)
		f = write_file(j, &filter, &err);
	if (f == NULL)
	{
		free(filter.lines);
		if (sorter_wants(s, j->order))
			sorter_fail(s, &err);
		return;
	}
	f->order = j->order;
	pthread_mutex_lock(&s->mutex);
	sorter_add_file(s, f);
	if (s->looks)
		keep_filter(s, filter);
	if (f->tagged)
		sorter_thin_out(s, f);
	pthread_mutex_unlock(&s->mutex);
}

static void
free_job(SorterJob *job)
{
	ChunkJob   *j = (ChunkJob *) job;

	chunk_close(j->chunk);
	atomic_fetch_sub(&job->sorter->in_jobs, j->bytes);
	free(j);
}

void
sorter_start_chunk(Sorter *s, Chunk *c, EngineFileKind kind, uint64_t order)
{
	ChunkJob   *j = calloc(1, sizeof(ChunkJob));

	j->job.work = work;
	j->job.free = free_job;
	j->chunk = c;
	j->kind = kind;
	j->order = order;
	j->bytes = c->capacity + chunk_sort_bytes(c);
	atomic_fetch_add(&s->in_jobs, j->bytes);
	sorter_start_job(s, &j->job);
}
