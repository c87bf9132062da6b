/*
 * chunk.c
 *	  Records in memory, and their order: see chunk.h.
 *
 * Sorting goes by 8 bytes of the keys at a time, those behind what all have in
 * common, least significant byte first; where these are equal, by the next 8.
 */
#include "src/storage/chunk.h"

#include <stdlib.h>

#include "src/storage/storage.h"

#define FEW 32					/* so many items are sorted by insertion */

Chunk *
chunk_open(size_t capacity)
{
	Chunk	   *c = calloc(1, sizeof(Chunk));

	c->capacity = CHUNK_ALIGN(capacity);
	c->bytes = malloc(c->capacity);
	if (c->bytes == NULL)
		abort();
	c->ascending = true;
	return c;
}

void
chunk_close(Chunk *c)
{
	free(c->items);
	free(c->bytes);
	free(c);
}

static int
compare_with(const Chunk *c, size_t offset, const uint8_t *key, size_t key_len)
{
	const ChunkRecord *r = chunk_record(c, offset);

	return key_compare(key, key_len, chunk_key(r), r->key_len);
}

/* Where the new record, which is not in the chunk yet, stands. */
static void
note_order(Chunk *c, const uint8_t *key, size_t key_len)
{
	if (c->rows == 0)
		return;
	if (c->ascending && compare_with(c, c->last, key, key_len) > 0)
	{
		c->max = c->used;
		return;
	}
	c->ascending = false;
	if (compare_with(c, c->max, key, key_len) > 0)
		c->max = c->used;
	else if (compare_with(c, c->min, key, key_len) < 0)
		c->min = c->used;
}

void
chunk_add(Chunk *c, uint64_t tag, const uint8_t *key, size_t key_len, const uint8_t *value,
		  size_t value_len)
{
	ChunkRecord *r = (ChunkRecord *) (c->bytes + c->used);
	uint8_t    *p = (uint8_t *) (r + 1);

	if (c->late == 0 && c->used >= c->capacity / 4 * 3 && c->rows > 0)
	{
		c->late = c->used;
		c->early_max = c->max;
	}
	note_order(c, key, key_len);
	r->value_len = (uint32_t) value_len;
	r->key_len = (uint16_t) key_len;
	r->moved = 0;
	memcpy(p, key, key_len);
	if (value_len > 0)
		memcpy(p + key_len, value, value_len);
	memcpy(p + key_len + value_len, &tag, sizeof(tag));
	c->last = c->used;
	c->used += chunk_record_bytes(key_len, value_len);
	c->rows++;
}

void
chunk_move_late(Chunk *c, Chunk *next)
{
	const ChunkRecord *limit = chunk_record(c, c->early_max);
	ChunkRecord *r;

	for (size_t at = c->late; at < c->used;
		 at += chunk_record_bytes(r->key_len, r->value_len))
	{
		r = (ChunkRecord *) (c->bytes + at);
		if (key_compare(chunk_key(r), r->key_len, chunk_key(limit), limit->key_len) <= 0)
			continue;
		chunk_add(next, chunk_tag(r), chunk_key(r), r->key_len, chunk_value(r), r->value_len);
		r->moved = 1;
		c->rows--;
	}
	c->max = c->early_max;
}

/* ---- sorting ---- */

static const uint8_t *
item_key(const Chunk *c, const ChunkItem *i)
{
	return c->bytes + (size_t) i->at * 8 + sizeof(ChunkRecord);
}

/* 8 bytes of the key from depth on, as a number; behind its end there are zeroes. */
static uint64_t
prefix_at(const uint8_t *key, size_t key_len, size_t depth)
{
	uint64_t	prefix = 0;

	if (depth + 8 <= key_len)
		return kalam_get_be64(key + depth);
	for (size_t i = depth; i < key_len; i++)
		prefix |= (uint64_t) key[i] << (56 - 8 * (i - depth));
	return prefix;
}

/* By insertion, of whole keys. */
static void
sort_few(const Chunk *c, ChunkItem *items, uint64_t n)
{
	for (uint64_t i = 1; i < n; i++)
	{
		ChunkItem	item = items[i];
		const uint8_t *key = item_key(c, &item);
		uint64_t	j = i;

		while (j > 0 && key_compare(item_key(c, &items[j - 1]), items[j - 1].key_len, key,
									item.key_len) > 0)
		{
			items[j] = items[j - 1];
			j--;
		}
		items[j] = item;
	}
}

/* Stable, by prefix alone. */
static void
sort_by_prefix(ChunkItem *items, ChunkItem *spare, uint64_t n)
{
	uint64_t	counts[8][256] = {0};
	ChunkItem  *from = items,
			   *to = spare;

	for (uint64_t i = 0; i < n; i++)
		for (int b = 0; b < 8; b++)
			counts[b][(uint8_t) (items[i].prefix >> 8 * b)]++;
	for (int b = 0; b < 8; b++)
	{
		uint64_t   *count = counts[b];
		uint64_t	at = 0;
		ChunkItem  *swap;

		if (count[(uint8_t) (items[0].prefix >> 8 * b)] == n)
			continue;			/* all have the same byte there */
		for (int i = 0; i < 256; i++)
		{
			uint64_t	next = at + count[i];

			count[i] = at;
			at = next;
		}
		for (uint64_t i = 0; i < n; i++)
			to[count[(uint8_t) (from[i].prefix >> 8 * b)]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != items)
		memcpy(items, from, n * sizeof(ChunkItem));
}

/*
 * Filled up with zeroes, the keys of the items are the same up to depth.  Those
 * that differ in nothing but such zeroes are in the order of their lengths.
 */
static void
sort_items(const Chunk *c, ChunkItem *items, ChunkItem *spare, uint64_t n, size_t depth)
{
	for (uint64_t i = 0; i < n; i++)
		items[i].prefix = prefix_at(item_key(c, &items[i]), items[i].key_len, depth);
	sort_by_prefix(items, spare, n);
	for (uint64_t from = 0, to; from < n; from = to)
	{
		uint64_t	prefix = items[from].prefix;
		size_t		longest = 0;

		for (to = from; to < n && items[to].prefix == prefix; to++)
			if (items[to].key_len > longest)
				longest = items[to].key_len;
		if (to - from <= FEW)
			sort_few(c, items + from, to - from);
		else if (longest > depth + 8)
			sort_items(c, items + from, spare, to - from, depth + 8);
		else
		{
			for (uint64_t i = from; i < to; i++)
				items[i].prefix = items[i].key_len;
			sort_by_prefix(items + from, spare, to - from);
		}
	}
}

static size_t
common_prefix(const Chunk *c)
{
	const ChunkRecord *a = chunk_record(c, c->min);
	const ChunkRecord *b = chunk_record(c, c->max);
	size_t		n = 0;

	while (n < a->key_len && n < b->key_len && chunk_key(a)[n] == chunk_key(b)[n])
		n++;
	return n;
}

void
chunk_sort(Chunk *c)
{
	size_t		bytes = c->rows * sizeof(ChunkItem);
	ChunkItem  *spare,
			   *items;
	uint64_t	n = 0;

	if (c->ascending)
		return;
	spare = malloc(bytes);
	items = malloc(bytes);
	if (spare == NULL || items == NULL)
		abort();
	for (size_t at = 0; n < c->rows;)
	{
		const ChunkRecord *r = chunk_record(c, at);

		if (!r->moved)
			items[n++] = (ChunkItem) {.at = (uint32_t) (at / 8), .key_len = r->key_len};
		at += chunk_record_bytes(r->key_len, r->value_len);
	}
	sort_items(c, items, spare, c->rows, common_prefix(c));
	c->items = items;
	free(spare);
}
