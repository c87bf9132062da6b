/*
 * key_stream.c
 *	  EXISTS: keys that come in blocks are looked up at the newest stamp.
 *
 * Keys that ascend within a block, as a bulk load's do, are answered by one
 * seek if nothing lies in their range; else each is looked up, through the
 * Bloom filter, in batches.  A key cut by the end of a block is carried over.
 * One thread at a time uses a stream; no lock.
 */
#include "src/storage/key_stream.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/objects.h"
#include "src/storage/stamps.h"
#include "src/storage/storage.h"

/* deleted entries that the one seek may meet before keys are looked up instead */
#define SEEK_PATIENCE 1000

struct KeyStream
{
	uint64_t	position;		/* of keys[0] */
	uint32_t	nkeys;
	uint32_t	capacity;
	const uint8_t **keys;
	size_t	   *lens;
	size_t		carry_len;
	uint8_t		carry[2 + KALAM_MAX_KEY_BYTES];
	uint8_t		whole[KALAM_MAX_KEY_BYTES]; /* the carried key, completed */
	uint8_t		lower[KALAM_MAX_KEY_BYTES];
	uint8_t		upper[KALAM_MAX_KEY_BYTES + 1];
};

KeyStream *
key_stream_open(void)
{
	return calloc(1, sizeof(KeyStream));
}

void
key_stream_close(KeyStream *s)
{
	free(s->keys);
	free(s->lens);
	free(s);
}

static bool
check_length(uint16_t len, EngineError *err)
{
	if (len >= KALAM_KEY_PREFIX_BYTES && len <= KALAM_MAX_KEY_BYTES)
		return true;
	engine_error(err, KALAM_ERR_PROTOCOL, "malformed key of %u bytes in a stream of keys", len);
	return false;
}

static void
add_key(KeyStream *s, const uint8_t *key, size_t len)
{
	if (s->nkeys == s->capacity)
	{
		s->capacity = s->capacity == 0 ? 64 : 2 * s->capacity;
		s->keys = realloc(s->keys, s->capacity * sizeof(*s->keys));
		s->lens = realloc(s->lens, s->capacity * sizeof(*s->lens));
		if (s->keys == NULL || s->lens == NULL)
			abort();
	}
	s->keys[s->nkeys] = key;
	s->lens[s->nkeys++] = len;
}

/* Takes bytes into the carry until it holds `want`; false if data ends before. */
static bool
carry_upto(KeyStream *s, size_t want, const uint8_t **data, size_t *len)
{
	size_t		n = want - s->carry_len < *len ? want - s->carry_len : *len;

	memcpy(s->carry + s->carry_len, *data, n);
	s->carry_len += n;
	*data += n;
	*len -= n;
	return s->carry_len == want;
}

static bool
split(KeyStream *s, const uint8_t *data, size_t len, EngineError *err)
{
	uint16_t	n;

	s->nkeys = 0;
	if (s->carry_len > 0)
	{
		if (s->carry_len < 2 && !carry_upto(s, 2, &data, &len))
			return true;
		memcpy(&n, s->carry, 2);
		if (!check_length(n, err))
			return false;
		if (!carry_upto(s, 2 + (size_t) n, &data, &len))
			return true;
		memcpy(s->whole, s->carry + 2, n);
		s->carry_len = 0;
		add_key(s, s->whole, n);
	}
	while (len >= 2)
	{
		memcpy(&n, data, 2);
		if (!check_length(n, err))
			return false;
		if (len < 2 + (size_t) n)
			break;
		add_key(s, data + 2, n);
		data += 2 + n;
		len -= 2 + (size_t) n;
	}
	memcpy(s->carry, data, len);
	s->carry_len = len;
	return true;
}

/*
 * Keys ascend within one object: one seek tells how many of them, from the
 * beginning, cannot exist.  Errors are left to the look-ups.
 */
static uint32_t
skip_by_seek(KeyStream *s, Object *object, Stamp *stamp)
{
	EngineError err;
	EngineIter *it;
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len,
				lower_len = s->lens[0],
				upper_len = s->lens[s->nkeys - 1] + 1;
	uint32_t	skip = 0;

	memcpy(s->lower, s->keys[0], lower_len);
	memcpy(s->upper, s->keys[s->nkeys - 1], upper_len - 1);
	s->upper[upper_len - 1] = 0;
	if (key_compare(s->lower, lower_len, s->upper, upper_len) >= 0)
		return 0;
	it = engine_iter_open(storage.engine, object_family(object), stamp_snapshot(stamp), s->lower,
						  lower_len, s->upper, upper_len, SEEK_PATIENCE);
	engine_iter_start(it, false);
	if (engine_iter_entry(it, &key, &key_len, &value, &value_len))
		while (skip < s->nkeys && key_compare(s->keys[skip], s->lens[skip], key, key_len) < 0)
			skip++;
	else if (engine_iter_end(it, &err) == ENGINE_ITER_END)
		skip = s->nkeys;
	engine_iter_close(it);
	return skip;
}

/* Keys [from, to) lie in one object. */
static bool
look_up(KeyStream *s, uint32_t from, uint32_t to, Object *object, Stamp *stamp, bool ascending,
		uint64_t *found, EngineError *err)
{
	while (from < to)
	{
		uint32_t	n = to - from < ENGINE_MULTI_MAX ? to - from : ENGINE_MULTI_MAX;
		uint32_t	first;

		if (!engine_first_existing(storage.engine, object_family(object), stamp_snapshot(stamp), n,
								   s->keys + from, s->lens + from, ascending, &first, err))
			return false;
		if (first < n)
		{
			*found = s->position + from + first;
			return true;
		}
		from += n;
	}
	return true;
}

/* A run of keys of one object, at [from, to). */
static bool
look_up_run(KeyStream *s, uint32_t from, uint32_t to, uint32_t id, Stamp *stamp, uint64_t *found,
			EngineError *err)
{
	Object	   *object = objects_get(id);
	bool		ascending = true;
	bool		good;

	if (object == NULL)
	{
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", id);
		return false;
	}
	for (uint32_t i = from + 1; ascending && i < to; i++)
		ascending = key_compare(s->keys[i - 1], s->lens[i - 1], s->keys[i], s->lens[i]) < 0;
	if (ascending && from == 0 && to == s->nkeys && to > 1)
		from = skip_by_seek(s, object, stamp);
	good = look_up(s, from, to, object, stamp, ascending, found, err);
	object_put(object);
	return good;
}

bool
key_stream_feed(KeyStream *s, const uint8_t *data, size_t len, uint64_t *found, EngineError *err)
{
	Stamp	   *stamp;
	bool		good = true;
	uint32_t	from = 0;

	*found = UINT64_MAX;
	if (!split(s, data, len, err))
		return false;
	stamp = stamps_newest();
	while (good && *found == UINT64_MAX && from < s->nkeys)
	{
		uint32_t	id = kalam_get_be32(s->keys[from]);
		uint32_t	to = from + 1;

		while (to < s->nkeys && kalam_get_be32(s->keys[to]) == id)
			to++;
		good = look_up_run(s, from, to, id, stamp, found, err);
		from = to;
	}
	stamp_put(stamp);
	s->position += s->nkeys;
	return good;
}

bool
key_stream_end(const KeyStream *s, EngineError *err)
{
	if (s->carry_len == 0)
		return true;
	engine_error(err, KALAM_ERR_PROTOCOL, "a stream of keys ends inside a key");
	return false;
}
