/*
 * stored_keys.c
 *	  Which of many keys does the store have: see stored_keys.h.
 *
 * Often none: new keys lie behind, or between, those that are stored.  One seek
 * then tells how wide the gap is.  Where keys lie close to stored ones, as those of
 * two loads of one range do, an iterator walks along; else keys are looked up in
 * batches, by filters mostly, and gaps and neighbours are looked for less and less
 * often.
 */
#include "src/storage/stored_keys.h"

#include <stdlib.h>

#include "src/storage/storage.h"

#define MAX_PAUSE 256			/* batches */
#define MAX_SKIP 1000			/* deleted entries; with more of them there is no gap */
#define WALK_STEPS 8			/* a key, on the average; more take as long as a look-up */

bool
stored_keys_open(StoredKeys *k, uint32_t object_id, const uint8_t *upper, size_t upper_len,
				 EngineError *err)
{
	memset(k, 0, sizeof(*k));
	k->object = objects_get(object_id);
	if (k->object == NULL)
	{
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", object_id);
		return false;
	}
	k->upper = calloc(upper_len + 1, 1);	/* the next key: one zero more */
	memcpy(k->upper, upper, upper_len);
	/* without the lower bound, which moves; seeks keep to it */
	k->it = engine_iter_open(storage.engine, object_family(k->object), NULL, NULL, 0, k->upper,
							 upper_len + 1, MAX_SKIP);
	return true;
}

void
stored_keys_close(StoredKeys *k)
{
	if (k->object == NULL)
		return;
	engine_iter_close(k->it);
	free(k->upper);
	object_put(k->object);
	k->object = NULL;
}

/*
 * Is no stored key between the first and the last one?  While the iterator stands
 * behind a gap in which the keys before these lay, it need not be moved.
 */
static bool
in_a_gap(StoredKeys *k, const uint8_t *first, size_t first_len, const uint8_t *last,
		 size_t last_len, bool *gap, EngineError *err)
{
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	EngineIterEnd end;

	for (bool again = k->behind_gap;; again = false)
	{
		if (!again)
			engine_iter_seek(k->it, first, first_len, false);
		if (!engine_iter_entry(k->it, &key, &key_len, &value, &value_len))
			break;
		*gap = key_compare(key, key_len, last, last_len) > 0;
		if (*gap || !again)
			return true;
	}
	end = engine_iter_end(k->it, err);
	*gap = end == ENGINE_ITER_END;
	return end != ENGINE_ITER_ERROR;
}

/*
 * Walks from the first key, where the iterator stands, to the last one.  *done is
 * false if that is too far.
 */
static bool
walk(StoredKeys *k, uint32_t n, const uint8_t *const *keys, const size_t *lens, uint64_t *found,
	 bool *done, EngineError *err)
{
	uint32_t	steps = n * WALK_STEPS;
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	EngineIterEnd end;

	*done = false;
	for (uint32_t i = 0; i < n;)
	{
		int			order;

		if (!engine_iter_entry(k->it, &key, &key_len, &value, &value_len))
		{
			end = engine_iter_end(k->it, err);
			*done = end == ENGINE_ITER_END;
			return end != ENGINE_ITER_ERROR;
		}
		order = key_compare(key, key_len, keys[i], lens[i]);
		if (order == 0)
			*found |= UINT64_C(1) << i;
		if (order >= 0)
			i++;
		else if (steps-- > 0)
			engine_iter_move(k->it, false);
		else
			return true;
	}
	*done = true;
	return true;
}

bool
stored_keys_look(StoredKeys *k, uint32_t n, const uint8_t *const *keys, const size_t *lens,
				 uint64_t *found, EngineError *err)
{
	EngineValue *values[STORED_KEYS_MAX];
	bool		gap;
	bool		near = false;

	*found = 0;
	if (k->wait > 0)
		k->wait--;
	else
	{
		if (!in_a_gap(k, keys[0], lens[0], keys[n - 1], lens[n - 1], &gap, err))
			return false;
		k->behind_gap = gap;
		if (!gap && !walk(k, n, keys, lens, found, &near, err))
			return false;
		k->pause = gap || near ? 0 :
			k->pause == 0 ? 1 : k->pause < MAX_PAUSE ? 2 * k->pause : MAX_PAUSE;
		k->wait = k->pause;
		if (gap || near)
			return true;
		*found = 0;
	}
	if (!engine_multi_get(storage.engine, object_family(k->object), NULL, n, keys, lens, true,
						  values, err))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (values[i] != NULL)
		{
			*found |= UINT64_C(1) << i;
			engine_value_release(values[i]);
		}
	return true;
}
