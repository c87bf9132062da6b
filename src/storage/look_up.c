/*
 * look_up.c
 *	  Keys gathered in batches and looked up together.
 *
 * RocksDB reads the filters and blocks of up to 64 keys side by side.  What it
 * found stays pinned in the store's memory until the batch is cleared, so that
 * batches of large rows are small.  One thread at a time uses a LookUp; no lock.
 */
#include "src/storage/look_up.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/storage.h"

/*
 * The first batch, and by how much the next one is larger: few rows may be all
 * that is wanted, and they may be large.
 */
#define FIRST_KEYS 1
#define GROWTH 4

/* values that may be pinned, about */
#define MAX_VALUE_BYTES (4 << 20)

typedef struct Item
{
	uint32_t	range;
	uint32_t	key;			/* offset in keys */
	uint32_t	entry;
	uint16_t	key_len;
	uint16_t	entry_len;		/* 0: the key is a point */
} Item;

struct LookUp
{
	uint32_t	n;
	uint32_t	room;
	uint8_t    *keys;			/* one behind the other */
	size_t		used;
	size_t		capacity;
	Item		items[ENGINE_MULTI_MAX];
	EngineValue *values[ENGINE_MULTI_MAX];
};

LookUp *
look_up_open(void)
{
	LookUp	   *l = malloc(sizeof(LookUp));

	if (l == NULL)
		abort();
	memset(l, 0, sizeof(*l));
	l->room = FIRST_KEYS;
	return l;
}

void
look_up_clear(LookUp *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->values[i] != NULL)
			engine_value_release(l->values[i]);
	l->n = 0;
	l->used = 0;
}

void
look_up_close(LookUp *l)
{
	look_up_clear(l);
	free(l->keys);
	free(l);
}

uint32_t
look_up_room(const LookUp *l)
{
	return l->room;
}

uint32_t
look_up_count(const LookUp *l)
{
	return l->n;
}

static uint32_t
keep(LookUp *l, const uint8_t *bytes, size_t len)
{
	uint32_t	at = (uint32_t) l->used;

	if (l->used + len > l->capacity)
	{
		l->capacity = 2 * (l->used + len) + 1024;
		l->keys = realloc(l->keys, l->capacity);
		if (l->keys == NULL)
			abort();
	}
	memcpy(l->keys + at, bytes, len);
	l->used += len;
	return at;
}

void
look_up_add(LookUp *l, uint32_t range, const uint8_t *key, size_t key_len, const uint8_t *entry,
			size_t entry_len)
{
	Item	   *it = &l->items[l->n];

	it->range = range;
	it->key = keep(l, key, key_len);
	it->key_len = (uint16_t) key_len;
	it->entry = entry_len > 0 ? keep(l, entry, entry_len) : 0;
	it->entry_len = (uint16_t) entry_len;
	l->values[l->n++] = NULL;
}

/* The next batch is larger, if its values will not be too many bytes. */
static void
choose_room(LookUp *l)
{
	size_t		largest = 0;
	uint64_t	room = (uint64_t) l->room * GROWTH;

	for (uint32_t i = 0; i < l->n; i++)
	{
		size_t		len = 0;

		if (l->values[i] != NULL)
			(void) engine_value_bytes(l->values[i], &len);
		largest = len > largest ? len : largest;
	}
	if (largest > MAX_VALUE_BYTES / ENGINE_MULTI_MAX)
	{
		uint64_t	most = MAX_VALUE_BYTES / largest;

		room = most < 1 ? 1 : most < room ? most : room;
	}
	l->room = room < ENGINE_MULTI_MAX ? (uint32_t) room : ENGINE_MULTI_MAX;
}

bool
look_up_run(LookUp *l, Object *object, Stamp *stamp, EngineError *err)
{
	const uint8_t *keys[ENGINE_MULTI_MAX];
	size_t		lens[ENGINE_MULTI_MAX];
	bool		ascending = true;

	if (l->n == 0)
		return true;
	for (uint32_t i = 0; i < l->n; i++)
	{
		keys[i] = l->keys + l->items[i].key;
		lens[i] = l->items[i].key_len;
		if (i > 0 && key_compare(keys[i - 1], lens[i - 1], keys[i], lens[i]) >= 0)
			ascending = false;
	}
	if (!engine_multi_get(storage.engine, object_family(object), stamp_snapshot(stamp), l->n, keys,
						  lens, ascending, l->values, err))
		return false;
	choose_room(l);
	return true;
}

bool
look_up_follow(LookUp *l, Object *object, Stamp *stamp, EngineError *err)
{
	uint32_t	n = l->n;
	uint32_t	kept = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		Item		it = l->items[i];
		EngineValue *value = l->values[i];
		uint8_t		row_key[KALAM_MAX_KEY_BYTES];
		const uint8_t *bytes;
		size_t		len;

		if (value == NULL)
			continue;
		l->values[i] = NULL;
		bytes = engine_value_bytes(value, &len);
		it.entry = it.key;
		it.entry_len = it.key_len;
		it.key_len = (uint16_t) kalam_index_entry_row_key(l->keys + it.entry, it.entry_len, bytes,
														  len, row_key);
		engine_value_release(value);
		if (it.key_len == 0)
		{
			engine_error(err, KALAM_ERR_CORRUPT, "an index entry of object %u is malformed",
						 object_id(object));
			return false;
		}
		it.key = keep(l, row_key, it.key_len);
		l->items[kept++] = it;
	}
	l->n = kept;
	return look_up_run(l, object, stamp, err);
}

LookUpItem
look_up_item(const LookUp *l, uint32_t i)
{
	const Item *it = &l->items[i];
	LookUpItem	item = {
		.range = it->range, .key = l->keys + it->key, .key_len = it->key_len
	};

	item.place = it->entry_len > 0 ? l->keys + it->entry : item.key;
	item.place_len = it->entry_len > 0 ? it->entry_len : it->key_len;
	if (l->values[i] != NULL)
		item.value = engine_value_bytes(l->values[i], &item.value_len);
	return item;
}
