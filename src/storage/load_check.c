/*
 * load_check.c
 *	  Looks again for keys of a load that others may have committed: see load_watch.c.
 *
 * Notes name keys, so that a look at the filters tells of nearly all that the load
 * has not got them; the rest is looked up in its files, and then in the store.  If
 * there are too many for notes, all keys of the load are looked up.
 */
#include "src/storage/load_check.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/load_stream.h"
#include "src/storage/storage.h"

static bool
must_watch(const KalamLoadTarget *t)
{
	return (t->flags & (KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW)) == KALAM_TARGET_UNIQUE;
}

static bool
is_watched(const LoadTarget *t)
{
	return must_watch(&t->is);
}

LoadWatch *
load_check_watch(const Load *load, const KalamLoadTarget *target)
{
	if (!must_watch(target))
		return NULL;
	for (uint32_t i = 0; i < load->ntargets; i++)
		if (load->targets[i].watch != NULL && load->targets[i].is.object_id == target->object_id)
			return NULL;
	return load_watch_open(target->object_id);
}

/* The unique target of the object that the key belongs to, or NULL. */
static LoadTarget *
target_of(Load *load, const uint8_t *key, size_t len, uint32_t *number)
{
	for (*number = 0; *number < load->ntargets; (*number)++)
	{
		LoadTarget *t = &load->targets[*number];

		if (is_watched(t) && load_target_has_key(&t->is, key, len))
			return t;
	}
	return NULL;
}

/* Is it in the store now? */
static bool
is_stored(uint32_t object_id, const uint8_t *key, size_t len, bool *stored, EngineError *err)
{
	Object	   *object = objects_get(object_id);
	EngineValue *value = NULL;
	bool		good;

	*stored = false;
	if (object == NULL)
		return true;
	good = engine_get(storage.engine, object_family(object), NULL, key, len, &value, err);
	*stored = value != NULL;
	if (value != NULL)
		engine_value_release(value);
	object_put(object);
	return good;
}

static bool
refuse(LoadDuplicate *duplicate, Load *load, uint32_t target, const uint8_t *key, size_t key_len,
	   const uint8_t *value, size_t value_len, EngineError *err)
{
	load_duplicate_note(duplicate, load, target, LOAD_NO_TAG, key, key_len, value, value_len);
	engine_error(err, KALAM_ERR_DUPLICATE, "a key of a load exists already");
	return false;
}

/* A key that somebody committed. */
static bool
check_key(Load *load, const uint8_t *key, size_t len, LoadDuplicate *duplicate, EngineError *err)
{
	uint32_t	number;
	LoadTarget *t = target_of(load, key, len, &number);
	uint8_t    *value;
	size_t		value_len;
	bool		stored;
	bool		good;

	if (t == NULL || !sorter_may_have(t->sorter, kalam_hash(key, len, 0)))
		return true;
	if (!sorter_find(t->sorter, key, len, &value, &value_len, err))
		return false;
	if (value == NULL)
		return true;
	good = is_stored(t->is.object_id, key, len, &stored, err);
	if (good && stored)
		good = refuse(duplicate, load, number, key, len, value, value_len, err);
	free(value);
	return good;
}

/* All keys of an object. */
static bool
check_all(Load *load, uint32_t object_id, SorterStops stops, const void *arg,
		  LoadDuplicate *duplicate, EngineError *err)
{
	for (uint32_t i = 0; i < load->ntargets; i++)
	{
		LoadTarget *t = &load->targets[i];
		SorterDuplicate found;
		bool		any;

		if (!is_watched(t) || t->is.object_id != object_id)
			continue;
		if (!sorter_check_stored(t->sorter, stops, arg, &any, &found, err))
			return false;
		if (any)
		{
			(void) refuse(duplicate, load, i, found.key, found.key_len, found.value,
						  found.value_len, err);
			sorter_duplicate_free(&found);
			return false;
		}
	}
	return true;
}

/* What has been noted of the target's object. */
static bool
check_watch(Load *load, const LoadTarget *t, SorterStops stops, const void *arg,
			LoadDuplicate *duplicate, EngineError *err)
{
	LoadWatchNotes notes;
	const uint8_t *key;
	size_t		len;
	size_t		at = 0;
	bool		good = true;

	load_watch_take(t->watch, &notes);
	if (notes.all)
		good = check_all(load, t->is.object_id, stops, arg, duplicate, err);
	else
		while (good && load_watch_next(&notes, &at, &key, &len))
			good = check_key(load, key, len, duplicate, err);
	load_watch_free(&notes);
	if (!good)
		load_watch_note_all(t->watch);
	return good;
}

bool
load_check(Load *load, SorterStops stops, const void *arg, LoadDuplicate *duplicate,
		   EngineError *err)
{
	for (uint32_t i = 0; i < load->ntargets; i++)
		if (load->targets[i].watch != NULL &&
			!check_watch(load, &load->targets[i], stops, arg, duplicate, err))
			return false;
	return true;
}

/* ---- LOAD_MEMBERS ---- */

/* Marks the hashes that may be of keys of the load. */
static void
mark_members(const Load *load, uint32_t object_id, const uint8_t *hashes, bool *is_member,
			 uint32_t n)
{
	for (uint32_t i = 0; i < load->ntargets; i++)
	{
		const LoadTarget *t = &load->targets[i];

		if (!is_watched(t) || t->is.object_id != object_id)
			continue;
		for (uint32_t j = 0; j < n; j++)
		{
			uint64_t	hash;

			memcpy(&hash, hashes + j * sizeof(hash), sizeof(hash));
			is_member[j] = is_member[j] || sorter_may_have(t->sorter, hash);
		}
	}
}

bool
load_members(uint32_t slot, const KalamRequest *req, SorterStops stops, const void *arg,
			 uint8_t *room, uint64_t *n, LoadDuplicate *duplicate, EngineError *err)
{
	uint32_t	nhashes = req->input_len / sizeof(uint64_t);
	uint64_t	before = req->load_last < UINT64_MAX ? req->load_last + 1 : UINT64_MAX;
	bool	   *is_member = calloc(nhashes + 1, sizeof(bool));
	bool		good = true;
	Load	   *load;

	*n = 0;
	while (good && (load = loads_earlier(slot, before)) != NULL)
	{
		before = load->number;
		if (before >= req->load)
		{
			good = load_check(load, stops, arg, duplicate, err);
			mark_members(load, req->object_id, room, is_member, nhashes);
		}
		load_put(load);
		if (before <= req->load)
			break;
	}
	for (uint32_t i = 0; good && i < nhashes; i++)
		if (is_member[i])
			memcpy(room + (*n)++ * sizeof(uint32_t), &i, sizeof(i));
	free(is_member);
	return good;
}
