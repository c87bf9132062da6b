/*
 * changes_scan.c
 *	  Changes in the order of keys: the part in memory and all runs, merged.
 *
 * A heap of sources, the next key on top; of sources with the same key the
 * newest.  A spill, a merge of runs or a rollback may take away what a source
 * reads from: the scan sees that by the generation, and goes on in what there
 * is then, behind its last key.
 */
#include <string.h>

#include "src/shared/changes_internal.h"
#include "src/shared/segment.h"

typedef struct Source
{
	bool		in_memory;
	uint32_t	age;			/* higher is newer */
	KalamStagedKey *k;			/* in memory: the next key */
	KalamRunReader reader;		/* else: at a record of the next key */
	const uint8_t *key;			/* the next key */
	size_t		key_len;
} Source;

struct KalamChangesScan
{
	KalamChanges *changes;		/* may be gone when the scan is closed */
	KalamStagedMemory memory;
	uint32_t	command_id;
	uint32_t	flags;
	bool		reverse;
	bool		started;		/* last_key is that of the last version given */
	uint64_t	generation;
	uint8_t    *lower;
	size_t		lower_len;
	uint8_t    *upper;			/* NULL: no end */
	size_t		upper_len;
	uint8_t    *last_key;		/* KALAM_MAX_KEY_BYTES of room */
	size_t		last_key_len;
	uint8_t    *value;			/* a copy of the value given, or NULL */
	size_t		value_room;
	Source	   *sources;
	uint32_t	nsources;
	Source	  **heap;
	uint32_t	nheap;
	Source	   *held;			/* its record is what was given last: not in the heap */
	size_t		size;			/* of this, with the bytes of the three keys */
	uint8_t		keys[];
};

static void *
scan_alloc(KalamChangesScan *s, size_t size)
{
	return s->memory.alloc(s->memory.arg, size);
}

static void
scan_free(KalamChangesScan *s, void *p, size_t size)
{
	if (p != NULL)
		s->memory.free(s->memory.arg, p, size);
}

static void
free_sources(KalamChangesScan *s)
{
	for (uint32_t i = 0; i < s->nsources; i++)
		kalam_run_reader_end(&s->sources[i].reader);
	scan_free(s, s->sources, s->nsources * sizeof(Source));
	scan_free(s, s->heap, s->nsources * sizeof(Source *));
	s->sources = NULL;
	s->heap = NULL;
	s->nsources = 0;
	s->nheap = 0;
	s->held = NULL;
}

static void
make_sources(KalamChangesScan *s, uint32_t n)
{
	Source	   *sources = scan_alloc(s, n * sizeof(Source));

	memset(sources, 0, n * sizeof(Source));
	s->sources = sources;
	s->nsources = n;
	s->heap = scan_alloc(s, n * sizeof(Source *));
}

/* ---- the heap ---- */

static bool
comes_before(const KalamChangesScan *s, const Source *a, const Source *b)
{
	int			c = kalam_key_compare(a->key, a->key_len, b->key, b->key_len);

	if (c != 0)
		return s->reverse ? c > 0 : c < 0;
	return a->age > b->age;
}

static void
push(KalamChangesScan *s, Source *source)
{
	uint32_t	i = s->nheap++;

	while (i > 0 && comes_before(s, source, s->heap[(i - 1) / 2]))
	{
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = source;
}

/* Puts the source where it belongs, beginning at the top. */
static void
sift_down(KalamChangesScan *s, Source *source)
{
	uint32_t	i = 0;

	for (;;)
	{
		uint32_t	child = 2 * i + 1;

		if (child >= s->nheap)
			break;
		if (child + 1 < s->nheap && comes_before(s, s->heap[child + 1], s->heap[child]))
			child++;
		if (!comes_before(s, s->heap[child], source))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = source;
}

static Source *
pop(KalamChangesScan *s)
{
	Source	   *top = s->heap[0];

	if (--s->nheap > 0)
		sift_down(s, s->heap[s->nheap]);
	return top;
}

/* ---- sources ---- */

static inline bool
has_key(const Source *source, const uint8_t *key, size_t len)
{
	return source->key_len == len && memcmp(source->key, key, len) == 0;
}

static bool
in_range(const KalamChangesScan *s, const Source *source)
{
	if (s->reverse)
		return kalam_key_compare(source->key, source->key_len, s->lower, s->lower_len) >= 0;
	return s->upper == NULL ||
		kalam_key_compare(source->key, source->key_len, s->upper, s->upper_len) < 0;
}

static bool
set_memory_key(const KalamChangesScan *s, Source *source, KalamStagedKey *k)
{
	source->k = k;
	if (k == NULL)
		return false;
	source->key = kalam_staged_key_bytes(k, &source->key_len);
	return in_range(s, source);
}

static bool
set_run_key(const KalamChangesScan *s, Source *source, bool more)
{
	KalamVersion v;

	if (!more)
		return false;
	kalam_run_current(&source->reader, &v);
	source->key = v.key;
	source->key_len = v.key_len;
	return in_range(s, source);
}

/* Goes to the first key that is to be read.  False if there is none. */
static bool
source_start(KalamChangesScan *s, Source *source)
{
	const uint8_t *from = s->started ? s->last_key : s->reverse ? s->upper : s->lower;
	size_t		len = s->started ? s->last_key_len : s->reverse ? s->upper_len : s->lower_len;
	bool		more;

	if (source->in_memory)
	{
		KalamStaged *staged = s->changes->staged;
		KalamStagedKey *k = s->reverse ? kalam_staged_seek_before(staged, from, len) :
			kalam_staged_seek(staged, from, len);

		more = set_memory_key(s, source, k);
		if (more && s->started && !s->reverse && has_key(source, from, len))
			more = set_memory_key(s, source, kalam_staged_next(k));
		return more;
	}
	if (s->reverse)
		return set_run_key(s, source, kalam_run_seek_before(&source->reader, from, len));
	more = set_run_key(s, source, kalam_run_seek(&source->reader, from, len));
	while (more && s->started && has_key(source, from, len))
		more = set_run_key(s, source, kalam_run_next(&source->reader));
	return more;
}

static void
start(KalamChangesScan *s)
{
	KalamChanges *c = s->changes;

	free_sources(s);
	make_sources(s, c->nruns + 1);
	for (uint32_t i = 0; i <= c->nruns; i++)
	{
		Source	   *source = &s->sources[i];

		source->age = i;
		source->in_memory = i == c->nruns;
		if (!source->in_memory)
		{
			if (!kalam_run_overlaps(c->runs[i].run, s->lower, s->lower_len, s->upper, s->upper_len))
				continue;
			kalam_run_reader_begin(&source->reader, c->runs[i].run, &s->memory);
		}
		if (source_start(s, source))
			push(s, source);
	}
	s->generation = c->generation;
}

/* ---- versions of one key ---- */

/* The value goes to the scan's own memory. */
static void
keep_value(KalamChangesScan *s, KalamVersion *v)
{
	if (s->value_room < v->value_len || s->value_room / 16 > (size_t) v->value_len + 4096)
	{
		size_t		room = (size_t) v->value_len + v->value_len / 4 + 64;

		scan_free(s, s->value, s->value_room);
		s->value = NULL;
		s->value_room = 0;
		s->value = scan_alloc(s, room);
		s->value_room = room;
	}
	if (v->value_len > 0)
		memcpy(s->value, v->value, v->value_len);
	v->value = s->value;
}

static inline bool
is_seen(const KalamChangesScan *s, const KalamVersion *v)
{
	return v->command_id < s->command_id && !kalam_changes_is_dead(s->changes, v->sub);
}

/*
 * Takes the source behind the last key, which it is at, and if v is not NULL
 * looks for the newest version of that key that is seen.  True if there is one.
 * *more: has the source other keys in the range?  A forward scan that found the
 * version in a run stays at it, with the source held.
 */
static bool
take_memory(KalamChangesScan *s, Source *source, KalamVersion *v, bool *more)
{
	KalamStagedKey *k = source->k;
	KalamStagedVersion *staged = v == NULL ? NULL : kalam_staged_visible(k, s->command_id);

	if (staged != NULL)
	{
		kalam_version_of_staged(staged, v);
		if (!(s->flags & KALAM_CHANGES_IN_PLACE))
			keep_value(s, v);
	}
	if (s->reverse)
		k = kalam_staged_seek_before(s->changes->staged, s->last_key, s->last_key_len);
	else
		k = kalam_staged_next(k);
	*more = set_memory_key(s, source, k);
	return staged != NULL;
}

static bool
take_run_forward(KalamChangesScan *s, Source *source, KalamVersion *v, bool *more)
{
	do
	{
		if (v != NULL)
		{
			kalam_run_current(&source->reader, v);
			if (is_seen(s, v))
			{
				s->held = source;
				return true;
			}
		}
		*more = set_run_key(s, source, kalam_run_next(&source->reader));
	} while (*more && has_key(source, s->last_key, s->last_key_len));
	return false;
}

/* Comes from the oldest version of the key. */
static bool
take_run_reverse(KalamChangesScan *s, Source *source, KalamVersion *v, bool *more)
{
	bool		found = false;
	bool		kept = false;

	do
	{
		KalamVersion here;

		kalam_run_current(&source->reader, &here);
		if (v != NULL && is_seen(s, &here))
		{
			*v = here;
			found = true;
			kept = false;
		}
		if (found && !kept && kalam_run_at_block_start(&source->reader))
		{
			keep_value(s, v);
			kept = true;
		}
		*more = set_run_key(s, source, kalam_run_previous(&source->reader));
	} while (*more && has_key(source, s->last_key, s->last_key_len));
	return found;
}

static bool
take(KalamChangesScan *s, Source *source, KalamVersion *v, bool *more)
{
	if (source->in_memory)
		return take_memory(s, source, v, more);
	if (s->reverse)
		return take_run_reverse(s, source, v, more);
	return take_run_forward(s, source, v, more);
}

/* ---- the interface ---- */

KalamChangesScan *
kalam_changes_scan_open(KalamChanges *c, const KalamStagedMemory *memory,
						const uint8_t *lower, size_t lower_len,
						const uint8_t *upper, size_t upper_len,
						uint32_t command_id, uint32_t flags)
{
	/* in one piece: if that raises, nothing is left behind */
	size_t		size = sizeof(KalamChangesScan) + KALAM_MAX_KEY_BYTES + lower_len + upper_len;
	KalamChangesScan *s = memory->alloc(memory->arg, size);

	memset(s, 0, sizeof(*s));
	s->size = size;
	s->changes = c;
	s->memory = *memory;
	s->command_id = command_id;
	s->flags = flags;
	s->reverse = (flags & KALAM_CHANGES_REVERSE) != 0;
	s->generation = c->generation - 1;
	s->last_key = s->keys;
	s->lower = s->last_key + KALAM_MAX_KEY_BYTES;
	s->lower_len = lower_len;
	memcpy(s->lower, lower, lower_len);
	if (upper != NULL)
	{
		s->upper = s->lower + lower_len;
		s->upper_len = upper_len;
		memcpy(s->upper, upper, upper_len);
	}
	return s;
}

bool
kalam_changes_scan_next(KalamChangesScan *s, KalamVersion *v)
{
	bool		more;

	if (s->generation != s->changes->generation)
		start(s);
	else if (s->held != NULL)
	{
		Source	   *held = s->held;

		s->held = NULL;
		take(s, held, NULL, &more);
		if (more)
			push(s, held);
	}

	while (s->nheap > 0)
	{
		bool		found = false;

		s->last_key_len = s->heap[0]->key_len;
		memcpy(s->last_key, s->heap[0]->key, s->last_key_len);
		s->started = true;
		while (s->nheap > 0 && has_key(s->heap[0], s->last_key, s->last_key_len))
		{
			Source	   *source = s->heap[0];

			found |= take(s, source, found ? NULL : v, &more);
			if (s->held != source && more)
				sift_down(s, source);
			else
				pop(s);
		}
		if (found)
		{
			v->key = s->last_key;
			v->key_len = s->last_key_len;
			return true;
		}
	}
	return false;
}

void
kalam_changes_scan_close(KalamChangesScan *s)
{
	KalamStagedMemory memory = s->memory;

	free_sources(s);
	scan_free(s, s->value, s->value_room);
	memory.free(memory.arg, s, s->size);
}

/* ---- merging runs ---- */

KalamChangesScan *
kalam_changes_merge_open(KalamChanges *c, uint32_t first)
{
	KalamChangesScan *s = kalam_changes_scan_open(c, &c->memory, (const uint8_t *) "", 0, NULL, 0,
												  KALAM_ANY_COMMAND, 0);

	c->half_merge = s;
	make_sources(s, c->nruns - first);
	for (uint32_t i = 0; i < s->nsources; i++)
	{
		Source	   *source = &s->sources[i];

		source->age = i;
		kalam_run_reader_begin(&source->reader, c->runs[first + i].run, &s->memory);
		if (source_start(s, source))
			push(s, source);
	}
	return s;
}

bool
kalam_changes_merge_next(KalamChangesScan *s, KalamVersion *v)
{
	for (;;)
	{
		Source	   *source = s->held;

		if (source != NULL)
		{
			s->held = NULL;
			if (set_run_key(s, source, kalam_run_next(&source->reader)))
				push(s, source);
		}
		if (s->nheap == 0)
			return false;
		source = pop(s);
		s->held = source;
		kalam_run_current(&source->reader, v);
		if (!kalam_changes_is_dead(s->changes, v->sub))
			return true;
	}
}
