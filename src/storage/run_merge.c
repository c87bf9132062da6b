/*
 * run_merge.c
 *	  Reads sorted files side by side, in the order of keys.
 *
 * A heap of sources.  A file is opened when the merge comes to its smallest key,
 * so that a row of disjoint files costs one open file at a time.  Equal keys come
 * in the order of their tags, and a file without tags, which is older than any
 * that overlaps it, first.
 */
#include <stdlib.h>

#include "src/storage/sorter_internal.h"

typedef struct Source
{
	SortedFile *file;
	EngineCursor *cursor;
	uint64_t	prefix;			/* of the key, behind what all keys have in common */
	RunEntry	entry;
} Source;

struct RunMerge
{
	SorterKey	lower;
	SorterKey	upper;
	size_t		readahead;
	size_t		common;			/* bytes that all keys begin with */
	SortedFile **waiting;		/* by their smallest keys, from the last to the first */
	uint32_t	nwaiting;
	Source	  **heap;
	uint32_t	nheap;
	bool		on_entry;		/* the top was given out */
	bool		failed;
	EngineError error;
};

static int
by_min_descending(const void *a, const void *b)
{
	SortedFile *const *x = a;
	SortedFile *const *y = b;

	return sorter_key_compare(&(*y)->min, &(*x)->min);
}

RunMerge *
run_merge_open(SortedFile *const *files, uint32_t n, SorterKey lower, SorterKey upper,
			   size_t readahead)
{
	RunMerge   *m = calloc(1, sizeof(RunMerge));
	const SorterKey *min = NULL,
			   *max = NULL;

	m->lower = lower;
	m->upper = upper;
	m->readahead = readahead;
	m->waiting = malloc((n + 1) * sizeof(SortedFile *));
	m->heap = malloc((n + 1) * sizeof(Source *));
	for (uint32_t i = 0; i < n; i++)
	{
		if (!sorted_file_overlaps(files[i], &lower, &upper))
			continue;
		m->waiting[m->nwaiting++] = files[i];
		if (min == NULL || sorter_key_compare(&files[i]->min, min) < 0)
			min = &files[i]->min;
		if (max == NULL || sorter_key_compare(&files[i]->max, max) > 0)
			max = &files[i]->max;
	}
	while (min != NULL && m->common < min->len && m->common < max->len &&
		   min->bytes[m->common] == max->bytes[m->common])
		m->common++;
	qsort(m->waiting, m->nwaiting, sizeof(SortedFile *), by_min_descending);
	return m;
}

/* ---- sources ---- */

static void
close_source(Source *s)
{
	if (s->cursor != NULL)
		engine_cursor_close(s->cursor);
	sorted_file_release(s->file);
	free(s);
}

static uint64_t
prefix_of(const RunMerge *m, const RunEntry *e)
{
	uint64_t	prefix = 0;

	if (m->common + 8 <= e->key_len)
		return kalam_get_be64(e->key + m->common);
	for (size_t i = m->common; i < e->key_len; i++)
		prefix |= (uint64_t) e->key[i] << (56 - 8 * (i - m->common));
	return prefix;
}

/* Reads what the cursor stands on; false at its end. */
static bool
load_source(RunMerge *m, Source *s)
{
	RunEntry   *e = &s->entry;

	if (!engine_cursor_entry(s->cursor, &e->key, &e->key_len, &e->value, &e->value_len))
	{
		if (!m->failed && !engine_cursor_end(s->cursor, &m->error))
			m->failed = true;
		return false;
	}
	e->tagged = s->file->tagged;
	if (e->tagged)
	{
		if (e->value_len < CHUNK_TAG_BYTES)
		{
			engine_error(&m->error, KALAM_ERR_CORRUPT, "a value in file \"%s\" has no tag",
						 s->file->name);
			m->failed = true;
			return false;
		}
		e->value_len -= CHUNK_TAG_BYTES;
	}
	s->prefix = prefix_of(m, e);
	return true;
}

static bool
same_key(const Source *a, const Source *b)
{
	return a->prefix == b->prefix && a->entry.key_len == b->entry.key_len &&
		memcmp(a->entry.key, b->entry.key, a->entry.key_len) == 0;
}

static bool
comes_first(const Source *a, const Source *b)
{
	int			c;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	c = key_compare(a->entry.key, a->entry.key_len, b->entry.key, b->entry.key_len);
	if (c != 0)
		return c < 0;
	if (run_entry_tag(&a->entry) != run_entry_tag(&b->entry))
		return run_entry_tag(&a->entry) < run_entry_tag(&b->entry);
	return a->file->order < b->file->order;
}

/* ---- the heap ---- */

static void
sink(RunMerge *m, uint32_t at)
{
	Source	   *s = m->heap[at];

	for (;;)
	{
		uint32_t	child = 2 * at + 1;

		if (child >= m->nheap)
			break;
		if (child + 1 < m->nheap && comes_first(m->heap[child + 1], m->heap[child]))
			child++;
		if (!comes_first(m->heap[child], s))
			break;
		m->heap[at] = m->heap[child];
		at = child;
	}
	m->heap[at] = s;
}

static void
rise(RunMerge *m, uint32_t at)
{
	Source	   *s = m->heap[at];

	while (at > 0 && comes_first(s, m->heap[(at - 1) / 2]))
	{
		m->heap[at] = m->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	m->heap[at] = s;
}

static void
open_source(RunMerge *m, SortedFile *f)
{
	EngineSorted *reader = sorted_file_acquire(f, &m->error);
	Source	   *s;

	if (reader == NULL)
	{
		m->failed = true;
		return;
	}
	s = calloc(1, sizeof(Source));
	s->file = f;
	s->cursor = engine_cursor_open(reader, m->lower.bytes, m->lower.len, m->upper.bytes,
								   m->upper.len, m->readahead);
	if (!load_source(m, s))
	{
		close_source(s);
		return;
	}
	m->heap[m->nheap++] = s;
	rise(m, m->nheap - 1);
}

/* All files whose keys may come before that of the top are open. */
static void
open_more(RunMerge *m)
{
	while (m->nwaiting > 0 && !m->failed)
	{
		SortedFile *f = m->waiting[m->nwaiting - 1];

		if (m->nheap > 0 &&
			key_compare(f->min.bytes, f->min.len, m->heap[0]->entry.key,
						m->heap[0]->entry.key_len) > 0)
			break;
		m->nwaiting--;
		open_source(m, f);
	}
}

bool
run_merge_next(RunMerge *m, RunEntry *e)
{
	if (m->on_entry)
	{
		Source	   *top = m->heap[0];

		m->on_entry = false;
		engine_cursor_move(top->cursor);
		if (load_source(m, top))
			sink(m, 0);
		else
		{
			close_source(top);
			m->heap[0] = m->heap[--m->nheap];
			if (m->nheap > 0)
				sink(m, 0);
		}
	}
	if (m->nwaiting > 0)
		open_more(m);
	if (m->failed || m->nheap == 0)
		return false;
	*e = m->heap[0]->entry;
	e->overridden = (m->nheap > 1 && same_key(m->heap[0], m->heap[1])) ||
		(m->nheap > 2 && same_key(m->heap[0], m->heap[2]));
	m->on_entry = true;
	return true;
}

bool
run_merge_good(RunMerge *m, EngineError *err)
{
	if (m->failed)
		*err = m->error;
	return !m->failed;
}

void
run_merge_close(RunMerge *m)
{
	while (m->nheap > 0)
		close_source(m->heap[--m->nheap]);
	free(m->heap);
	free(m->waiting);
	free(m);
}
