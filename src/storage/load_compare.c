/*
 * load_compare.c
 *	  Looks for keys that a load shares with earlier loads of the same backend.
 *
 * The files of a target are disjoint and ascend, so what two targets may share
 * lies where a file of the one overlaps a file of the other; a load that goes on
 * where the last one ended costs nothing.  What overlaps is read side by side, a
 * slice at a time.
 */
#include "src/storage/load_compare.h"

#include <stdlib.h>

#include "src/storage/storage.h"

#define SLICE 20000				/* records that a step reads */

/* One side: where it reads. */
typedef struct Side
{
	Sorter	   *sorter;
	uint32_t	file;
	SorterRead *read;
	bool		has;			/* a record, below */
	const uint8_t *key;
	size_t		key_len;
	const uint8_t *value;
	size_t		value_len;
} Side;

struct LoadCompare
{
	Load	   *load;
	Load	   *earlier;		/* held; NULL at the end */
	uint32_t	mine;			/* numbers of the two targets */
	uint32_t	theirs;
	bool		paired;			/* they are of the same keys: sides are set */
	bool		reading;		/* where two files overlap, up to: */
	const uint8_t *end;
	size_t		end_len;
	Side		a;				/* mine */
	Side		b;
};

LoadCompare *
load_compare_open(Load *load)
{
	LoadCompare *c = calloc(1, sizeof(LoadCompare));

	c->load = load;
	c->earlier = loads_earlier(load->slot, load->number);
	return c;
}

static void
stop_reading(LoadCompare *c)
{
	if (c->a.read != NULL)
		sorter_read_close(c->a.read);
	if (c->b.read != NULL)
		sorter_read_close(c->b.read);
	c->a.read = c->b.read = NULL;
	c->reading = false;
}

void
load_compare_close(LoadCompare *c)
{
	stop_reading(c);
	if (c->earlier != NULL)
		load_put(c->earlier);
	free(c);
}

/* ---- which targets, and which files ---- */

/* The next two targets of the same keys.  False: there are none. */
static bool
next_pair(LoadCompare *c)
{
	while (c->earlier != NULL)
	{
		Load	   *e = c->earlier;

		for (; c->mine < c->load->ntargets; c->mine++, c->theirs = 0)
			for (; c->theirs < e->ntargets; c->theirs++)
			{
				LoadTarget *m = &c->load->targets[c->mine];
				LoadTarget *t = &e->targets[c->theirs];

				if (!(m->is.flags & KALAM_TARGET_UNIQUE) || m->is.object_id != t->is.object_id ||
					m->is.index_id != t->is.index_id)
					continue;
				c->a = (Side) {.sorter = m->sorter};
				c->b = (Side) {.sorter = t->sorter};
				c->theirs++;
				return true;
			}
		c->earlier = loads_earlier(c->load->slot, e->number);
		c->mine = c->theirs = 0;
		load_put(e);
	}
	return false;
}

static bool
read_on(Side *s, EngineError *err)
{
	s->has = sorter_read_next(s->read, &s->key, &s->key_len, &s->value, &s->value_len);
	return s->has || sorter_read_good(s->read, err);
}

/*
 * Goes on to the next place where two files overlap.  *found false: there is none
 * in this pair.
 */
static bool
next_overlap(LoadCompare *c, bool *found, EngineError *err)
{
	*found = false;
	while (c->a.file < sorter_nfiles(c->a.sorter) && c->b.file < sorter_nfiles(c->b.sorter))
	{
		SorterFile	a = sorter_file(c->a.sorter, c->a.file);
		SorterFile	b = sorter_file(c->b.sorter, c->b.file);
		bool		a_ends_first = key_compare(a.max_key, a.max_len, b.max_key, b.max_len) <= 0;
		bool		a_begins_last = key_compare(a.min_key, a.min_len, b.min_key, b.min_len) >= 0;
		const SorterFile *from = a_begins_last ? &a : &b;
		const SorterFile *to = a_ends_first ? &a : &b;

		/* the one that ends first is done with then */
		if (a_ends_first)
			c->a.file++;
		else
			c->b.file++;
		if (key_compare(from->min_key, from->min_len, to->max_key, to->max_len) > 0)
			continue;
		c->end = to->max_key;
		c->end_len = to->max_len;
		c->a.read = sorter_read_open(c->a.sorter, from->min_key, from->min_len, err);
		if (c->a.read == NULL)
			return false;
		c->b.read = sorter_read_open(c->b.sorter, from->min_key, from->min_len, err);
		if (c->b.read == NULL)
			return false;
		*found = c->reading = true;
		return read_on(&c->a, err) && read_on(&c->b, err);
	}
	return true;
}

/* ---- comparing ---- */

static LoadCompareStep
compare_some(LoadCompare *c, LoadDuplicate *duplicate, EngineError *err)
{
	for (int i = 0; i < SLICE; i++)
	{
		int			order;

		if (!c->a.has || !c->b.has ||
			key_compare(c->a.key, c->a.key_len, c->end, c->end_len) > 0 ||
			key_compare(c->b.key, c->b.key_len, c->end, c->end_len) > 0)
		{
			stop_reading(c);
			break;
		}
		order = key_compare(c->a.key, c->a.key_len, c->b.key, c->b.key_len);
		if (order == 0)
		{
			load_duplicate_note(duplicate, c->load, c->mine, LOAD_NO_TAG, c->a.key, c->a.key_len,
								c->a.value, c->a.value_len);
			return LOAD_COMPARE_DUPLICATE;
		}
		if (!read_on(order < 0 ? &c->a : &c->b, err))
			return LOAD_COMPARE_ERROR;
	}
	return LOAD_COMPARE_AGAIN;
}

LoadCompareStep
load_compare_step(LoadCompare *c, LoadDuplicate *duplicate, EngineError *err)
{
	while (!c->reading)
	{
		if (!c->paired && !(c->paired = next_pair(c)))
			return LOAD_COMPARE_UNIQUE;
		if (!next_overlap(c, &c->paired, err))
			return LOAD_COMPARE_ERROR;
	}
	return compare_some(c, duplicate, err);
}
