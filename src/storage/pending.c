/*
 * pending.c
 *	  Prepared transactions by xid, and the state rows of the catalog.
 *
 * The list in memory says what the pending family holds, so that RESOLVE of an
 * xid that is not there costs nothing.  The main thread fills it at start;
 * afterwards it is the commit thread's alone.
 */
#include "src/storage/pending.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/bulk.h"
#include "src/storage/objects.h"

#define STATE_KEY_BYTES (KALAM_KEY_PREFIX_BYTES + 2)

static uint64_t *xids;
static uint32_t nxids;
static uint32_t capacity;

void
pending_key(uint64_t full_xid, uint8_t *key)
{
	kalam_put_key_prefix(key, KALAM_OBJECT_PENDING, KALAM_KEY_KIND_META);
	kalam_put_be64(key + KALAM_KEY_PREFIX_BYTES, full_xid);
}

static uint32_t
position(uint64_t full_xid)
{
	uint32_t	i = 0;

	while (i < nxids && xids[i] != full_xid)
		i++;
	return i;
}

bool
pending_has(uint64_t full_xid)
{
	return position(full_xid) < nxids;
}

void
pending_add(uint64_t full_xid)
{
	if (pending_has(full_xid))
		return;
	if (nxids == capacity)
	{
		capacity = capacity == 0 ? 64 : 2 * capacity;
		xids = realloc(xids, capacity * sizeof(uint64_t));
	}
	xids[nxids++] = full_xid;
	atomic_store(&storage.seg->pending, nxids);
}

void
pending_remove(uint64_t full_xid)
{
	uint32_t	i = position(full_xid);

	if (i == nxids)
		return;
	xids[i] = xids[--nxids];
	atomic_store(&storage.seg->pending, nxids);
}

static uint64_t *loads;
static uint32_t nloads;
static char **files;			/* that entries name */
static uint32_t nfiles;

bool
pending_next_load(uint64_t *full_xid)
{
	if (nloads == 0)
		return false;
	*full_xid = loads[--nloads];
	return true;
}

void
pending_sweep(void)
{
	bulk_remove_others(files, nfiles);
	for (uint32_t i = 0; i < nfiles; i++)
		free(files[i]);
	free(files);
	free(loads);
	files = NULL;
	loads = NULL;
	nfiles = 0;
}

/* ChangeFunction: remembers the largest object id that is created, and files. */
static bool
note_created(void *arg, const Change *c, EngineError *err)
{
	uint32_t   *max = arg;
	char		path[KALAM_PATH_BYTES + 64];

	(void) err;
	if (c->op == KALAM_CHANGE_INGEST && bulk_file_path(c->value, c->value_len, path, sizeof(path)))
	{
		files = realloc(files, (nfiles + 1) * sizeof(char *));
		files[nfiles++] = strdup(path);
	}
	if (c->op == KALAM_CHANGE_CREATE_OBJECT && kalam_get_be32(c->key) > *max)
		*max = kalam_get_be32(c->key);
	return true;
}

bool
pending_open(uint32_t *max_object_id, EngineError *err)
{
	ObjectRange r = object_range(KALAM_OBJECT_PENDING);
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	EngineIter *it;
	bool		good = true;

	*max_object_id = 0;
	atomic_store(&storage.seg->pending, 0);
	it = engine_iter_open(storage.engine, objects_pending(), NULL, r.lower, 4, r.upper, 4, 0);
	for (engine_iter_start(it, false);
		 good && engine_iter_entry(it, &key, &key_len, &value, &value_len);
		 engine_iter_move(it, false))
	{
		ChangeStream stream = {0};

		if (key_len != PENDING_KEY_BYTES || value_len < KALAM_VALUE_HEADER_BYTES ||
			value[0] != KALAM_VALUE_FORMAT)
		{
			engine_error(err, KALAM_ERR_CORRUPT, "a pending transaction has an unknown format");
			good = false;
			break;
		}
		if (kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES) & PENDING_LOAD)
		{
			loads = realloc(loads, (nloads + 1) * sizeof(uint64_t));
			loads[nloads++] = kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES);
		}
		else
			pending_add(kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES));
		good = change_stream_feed(&stream, value + KALAM_VALUE_HEADER_BYTES,
								  value_len - KALAM_VALUE_HEADER_BYTES, note_created,
								  max_object_id, err);
		change_stream_free(&stream);
	}
	if (good && engine_iter_end(it, err) != ENGINE_ITER_END)
		good = false;
	engine_iter_close(it);
	return good;
}

bool
pending_feed(uint64_t full_xid, ChangeFunction fn, void *arg, EngineError *err)
{
	uint8_t		key[PENDING_KEY_BYTES];
	ChangeStream stream = {0};
	EngineValue *v;
	const uint8_t *bytes;
	size_t		len;
	bool		good;

	pending_key(full_xid, key);
	if (!engine_get(storage.engine, objects_pending(), NULL, key, PENDING_KEY_BYTES, &v, err))
		return false;
	if (v == NULL)
		return true;
	bytes = engine_value_bytes(v, &len);
	good = len >= KALAM_VALUE_HEADER_BYTES && bytes[0] == KALAM_VALUE_FORMAT;
	if (!good)
		engine_error(err, KALAM_ERR_CORRUPT, "a pending transaction has an unknown format");
	good = good &&
		change_stream_feed(&stream, bytes + KALAM_VALUE_HEADER_BYTES,
						   len - KALAM_VALUE_HEADER_BYTES, fn, arg, err) &&
		change_stream_end(&stream, err);
	change_stream_free(&stream);
	engine_value_release(v);
	return good;
}

void
pending_close(void)
{
	free(xids);
	xids = NULL;
	nxids = capacity = 0;
}

/* ---- state rows ---- */

static void
state_key(char letter, uint8_t *key)
{
	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_STATE;
	key[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) letter;
}

bool
state_row_read_in(Engine *e, EngineFamily *catalog, char letter, uint64_t *value, EngineError *err)
{
	uint8_t		key[STATE_KEY_BYTES];
	EngineValue *v;
	const uint8_t *bytes;
	size_t		len;

	*value = 0;
	state_key(letter, key);
	if (!engine_get(e, catalog, NULL, key, sizeof(key), &v, err))
		return false;
	if (v == NULL)
		return true;
	bytes = engine_value_bytes(v, &len);
	if (len == KALAM_VALUE_HEADER_BYTES + 8)
		memcpy(value, bytes + KALAM_VALUE_HEADER_BYTES, 8);
	engine_value_release(v);
	if (len == KALAM_VALUE_HEADER_BYTES + 8)
		return true;
	engine_error(err, KALAM_ERR_CORRUPT, "state row \"%c\" of the catalog has %zu bytes", letter, len);
	return false;
}

bool
state_row_read(char letter, uint64_t *value, EngineError *err)
{
	return state_row_read_in(storage.engine, objects_catalog(), letter, value, err);
}

void
state_row_put(EngineBatch *batch, char letter, uint64_t value)
{
	uint8_t		key[STATE_KEY_BYTES];
	uint8_t		row[KALAM_VALUE_HEADER_BYTES + 8] = {KALAM_VALUE_FORMAT};

	state_key(letter, key);
	memcpy(row + KALAM_VALUE_HEADER_BYTES, &value, 8);
	engine_batch_put(batch, objects_catalog(), key, sizeof(key), row, sizeof(row));
}
