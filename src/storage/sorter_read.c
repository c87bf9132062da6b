/*
 * sorter_read.c
 *	  What a sorter's files have, once no job is under way: all of it in order, one
 *	  key, or which of the keys the store has too.
 */
#include <stdlib.h>

#include "src/storage/sorter_internal.h"
#include "src/storage/stored_keys.h"

#define READAHEAD_BYTES ((size_t) 256 << 10)

struct SorterRead
{
	SorterKey	lower;
	SorterKey	upper;			/* none */
	RunMerge   *merge;
};

SorterRead *
sorter_read_open(Sorter *s, const uint8_t *lower, size_t lower_len, EngineError *err)
{
	SorterRead *r;

	if (!sorter_is_idle(s))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a load that is not complete cannot be read");
		return NULL;
	}
	r = calloc(1, sizeof(SorterRead));
	r->lower = sorter_key(lower, lower_len);
	r->upper = sorter_key(NULL, 0);
	r->merge = run_merge_open(s->files, s->nfiles, r->lower, r->upper, READAHEAD_BYTES);
	return r;
}

bool
sorter_read_next(SorterRead *r, const uint8_t **key, size_t *key_len, const uint8_t **value,
				 size_t *value_len)
{
	RunEntry	e;

	do
	{
		if (!run_merge_next(r->merge, &e))
			return false;
	} while (e.overridden);
	*key = e.key;
	*key_len = e.key_len;
	*value = e.value;
	*value_len = e.value_len;
	return true;
}

bool
sorter_read_good(SorterRead *r, EngineError *err)
{
	return run_merge_good(r->merge, err);
}

void
sorter_read_close(SorterRead *r)
{
	run_merge_close(r->merge);
	free(r->lower.bytes);
	free(r->upper.bytes);
	free(r);
}

bool
sorter_find(Sorter *s, const uint8_t *key, size_t key_len, uint8_t **value, size_t *value_len,
			EngineError *err)
{
	SorterKey	lower = sorter_key(key, key_len);
	SorterKey	upper = sorter_key(key, key_len);
	RunMerge   *m;
	RunEntry	e;
	bool		good;

	*value = NULL;
	*value_len = 0;
	upper.bytes[upper.len++] = 0;	/* the next key */
	m = run_merge_open(s->files, s->nfiles, lower, upper, 0);
	while (run_merge_next(m, &e))
	{
		free(*value);
		*value = sorter_key(e.value, e.value_len).bytes;
		*value_len = e.value_len;
	}
	good = run_merge_good(m, err);
	run_merge_close(m);
	free(lower.bytes);
	free(upper.bytes);
	if (good)
		return true;
	free(*value);
	*value = NULL;
	return false;
}

/* ---- against the store ---- */

typedef struct Batch
{
	uint8_t    *bytes;			/* of the keys */
	const uint8_t *keys[STORED_KEYS_MAX];
	size_t		lens[STORED_KEYS_MAX];
	uint32_t	n;
} Batch;

/* Copies the next keys, for they last only until the one behind is read. */
static void
next_batch(SorterRead *r, Batch *b)
{
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;

	for (b->n = 0; b->n < STORED_KEYS_MAX && sorter_read_next(r, &key, &key_len, &value, &value_len);
		 b->n++)
	{
		uint8_t    *copy = b->bytes + b->n * KALAM_MAX_KEY_BYTES;

		memcpy(copy, key, key_len);
		b->keys[b->n] = copy;
		b->lens[b->n] = key_len;
	}
}

static bool
check_all(Sorter *s, SorterRead *r, StoredKeys *stored, SorterStops stops, const void *arg,
		  bool *found, SorterDuplicate *d, EngineError *err)
{
	Batch		b;
	bool		good = true;

	b.bytes = malloc((size_t) STORED_KEYS_MAX * KALAM_MAX_KEY_BYTES);
	for (next_batch(r, &b); good && !*found && b.n > 0; next_batch(r, &b))
	{
		uint64_t	mask = 0;

		if (sorter_failed(s) || (stops != NULL && stops(arg)))
		{
			engine_error(err, KALAM_ERR_CANCELED, "canceled");
			good = false;
		}
		else
			good = stored_keys_look(stored, b.n, b.keys, b.lens, &mask, err);
		if (mask != 0)
		{
			uint32_t	i = (uint32_t) __builtin_ctzll(mask);

			*found = true;
			d->key_len = b.lens[i];
			d->key = sorter_key(b.keys[i], b.lens[i]).bytes;
			good = sorter_find(s, b.keys[i], b.lens[i], &d->value, &d->value_len, err);
		}
	}
	free(b.bytes);
	return good && (*found || sorter_read_good(r, err));
}

bool
sorter_check_stored(Sorter *s, SorterStops stops, const void *arg, bool *found,
					SorterDuplicate *duplicate, EngineError *err)
{
	const SorterKey *max = NULL;
	StoredKeys	stored;
	SorterRead *r;
	bool		good;

	*found = false;
	memset(duplicate, 0, sizeof(*duplicate));
	for (uint32_t i = 0; i < s->nfiles; i++)
		if (max == NULL || sorter_key_compare(&s->files[i]->max, max) > 0)
			max = &s->files[i]->max;
	if (max == NULL || !s->looks)
		return true;
	r = sorter_read_open(s, NULL, 0, err);
	if (r == NULL)
		return false;
	if (!stored_keys_open(&stored, s->config.target.object_id, max->bytes, max->len, err))
	{
		sorter_read_close(r);
		return false;
	}
	good = check_all(s, r, &stored, stops, arg, found, duplicate, err);
	stored_keys_close(&stored);
	sorter_read_close(r);
	return good;
}
