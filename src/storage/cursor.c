/*
 * cursor.c
 *	  One SCAN: positions in the store, rows put together in blocks.
 *
 * A cursor holds its object, its stamp and at most one iterator, whose bounds
 * lie in the cursor.  The iterator can be thrown away at any time between two
 * rows and made anew behind the last key: that is done when it rests (an idle
 * iterator keeps deleted files) and when it met so many deleted entries that
 * RocksDB gave up, each time with more patience.  Nothing is read from a block.
 * One thread at a time uses a cursor; it takes no lock.
 */
#include "src/storage/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/lanes.h"
#include "src/storage/objects.h"
#include "src/storage/stamps.h"
#include "src/storage/storage.h"

#define FIRST_BLOCK_BYTES 4096
#define BLOCK_GROWTH 4

/* deleted entries in a row before RocksDB lets us look up; then four times that */
#define FIRST_PATIENCE 50000

/* rows counted per turn, and per block */
#define COUNT_TURN 8192
#define COUNT_BLOCK 65536

/* a scan that has read so much is a long one */
#define LONG_BYTES (8 << 20)

#define MAX_ENTRY_BYTES (UINT64_C(1) << 31)

typedef struct Key
{
	uint16_t	len;
	uint8_t		bytes[KALAM_MAX_KEY_BYTES + 1];
} Key;

/* An entry before it is laid out. */
typedef struct Entry
{
	KalamRow	head;
	uint64_t	size;			/* of all of it */
	const uint8_t *body;		/* of the tuple */
	size_t		body_len;
	const uint8_t *key;
	size_t		key_len;
} Entry;

struct Cursor
{
	Object	   *object;
	Stamp	   *stamp;			/* to read at */
	Stamp	   *compare;		/* RECHECK: to compare with */
	uint32_t	flags;
	uint64_t	max_rows;
	uint64_t	rows;			/* sent, or in the block under way */
	uint32_t	target;			/* bytes after which a block goes out */
	EngineIter *iter;
	uint64_t	patience;
	uint64_t	bytes;			/* read so far, about */
	bool		is_long;		/* reads past the block cache */
	bool		long_decided;
	EngineValue *value;			/* POINT: what was found */

	/* the block under way */
	uint32_t	used;
	uint32_t	nrows;

	/* the entry that goes out in pieces */
	bool		big;
	uint64_t	big_sent;
	Entry		entry;

	Key			lower;			/* of what is still to be sent */
	Key			upper;
	Key			last;			/* of the last row in a block; len 0: none */
};

static bool
reverse(const Cursor *c)
{
	return (c->flags & KALAM_SCAN_REVERSE) != 0;
}

/* ---- opening and closing ---- */

static bool
copy_key(Key *to, const uint8_t *from, uint16_t len, uint32_t object_id, const char *name,
		 EngineError *err)
{
	uint32_t	first;

	if (len < 4 || len > KALAM_MAX_KEY_BYTES)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "%s bound of a scan has %u bytes", name, len);
		return false;
	}
	to->len = len;
	memcpy(to->bytes, from, len);
	first = kalam_get_be32(to->bytes);
	/* an upper bound may be the first key behind the object */
	if (first != object_id && !(name[0] == 'u' && first == object_id + 1 && len == 4))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "%s bound of a scan of object %u lies outside it",
					 name, object_id);
		return false;
	}
	return true;
}

static bool
open_range(Cursor *c, const KalamRequest *req, EngineError *err)
{
	uint32_t	id = req->object_id;

	if (!copy_key(&c->lower, req->lower, req->lower_len, id, "lower", err))
		return false;
	if (c->flags & KALAM_SCAN_POINT)
		return true;
	if (!copy_key(&c->upper, req->upper, req->upper_len, id, "upper", err))
		return false;
	if (c->flags & KALAM_SCAN_AFTER_LOWER)
		c->lower.bytes[c->lower.len++] = 0;
	return true;
}

static bool
open_stamps(Cursor *c, const KalamRequest *req, EngineError *err)
{
	bool		recheck = (c->flags & KALAM_SCAN_RECHECK) != 0;
	uint64_t	stamp = req->stamp;

	if (recheck && (c->flags & (KALAM_SCAN_POINT | KALAM_SCAN_NEWEST | KALAM_SCAN_COUNT)) !=
		(KALAM_SCAN_POINT | KALAM_SCAN_NEWEST))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "recheck of something other than the newest row");
		return false;
	}
	c->stamp = c->flags & KALAM_SCAN_NEWEST ? stamps_newest() : stamps_get(stamp);
	if (recheck)
		c->compare = stamps_get(stamp);
	if (c->stamp == NULL || (recheck && c->compare == NULL))
	{
		engine_error(err, KALAM_ERR_STAMP_GONE, "stamp %llu cannot be read any more",
					 (unsigned long long) stamp);
		return false;
	}
	return true;
}

Cursor *
cursor_open(const KalamRequest *req, EngineError *err)
{
	Cursor	   *c = malloc(sizeof(Cursor));

	memset(c, 0, offsetof(Cursor, lower));
	c->lower.len = c->upper.len = c->last.len = 0;
	c->flags = req->flags;
	c->max_rows = req->max_rows != 0 ? req->max_rows : UINT64_MAX;
	c->target = req->first_bytes != 0 ? req->first_bytes : FIRST_BLOCK_BYTES;
	c->patience = FIRST_PATIENCE;
	c->object = objects_get(req->object_id);
	if (c->object == NULL)
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", req->object_id);
	if (c->object == NULL || !open_range(c, req, err) || !open_stamps(c, req, err))
	{
		cursor_close(c);
		return NULL;
	}
	return c;
}

void
cursor_close(Cursor *c)
{
	if (c->iter != NULL)
		engine_iter_close(c->iter);
	if (c->value != NULL)
		engine_value_release(c->value);
	if (c->stamp != NULL)
		stamp_put(c->stamp);
	if (c->compare != NULL)
		stamp_put(c->compare);
	if (c->object != NULL)
		object_put(c->object);
	free(c);
}

/* Throws the iterator away; the range becomes what was not sent yet. */
static void
drop_iterator(Cursor *c)
{
	engine_iter_close(c->iter);
	c->iter = NULL;
	if (c->last.len == 0)
		return;
	if (reverse(c))
	{
		c->upper.len = c->last.len;
		memcpy(c->upper.bytes, c->last.bytes, c->last.len);
	}
	else
	{
		c->lower.len = c->last.len + 1;
		memcpy(c->lower.bytes, c->last.bytes, c->last.len);
		c->lower.bytes[c->last.len] = 0;
	}
}

void
cursor_rest(Cursor *c)
{
	/* in mid-row the iterator holds the row's bytes */
	if (c->iter != NULL && !c->big)
		drop_iterator(c);
}

/* ---- rows into blocks ---- */

static bool
make_entry(Cursor *c, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len,
		   uint16_t flags, Entry *e, EngineError *err)
{
	uint64_t	tuple_len;

	if (value_len < KALAM_VALUE_HEADER_BYTES || value[0] != KALAM_VALUE_FORMAT ||
		value_len > MAX_ENTRY_BYTES / 2)
	{
		engine_error(err, KALAM_ERR_CORRUPT, "a value of object %u has an unknown format",
					 object_id(c->object));
		return false;
	}
	e->body = value + KALAM_VALUE_HEADER_BYTES;
	e->body_len = c->flags & KALAM_SCAN_KEYS_ONLY ? 0 : value_len - KALAM_VALUE_HEADER_BYTES;
	e->key = key;
	e->key_len = c->flags & (KALAM_SCAN_KEYS | KALAM_SCAN_KEYS_ONLY) ? key_len : 0;
	tuple_len = KALAM_TUPLE_BODY_OFFSET + e->body_len;
	e->size = KALAM_ROW_TUPLE_OFFSET + KALAM_ALIGN8(tuple_len) + KALAM_ALIGN8(e->key_len);
	e->head.size = (uint32_t) e->size;
	e->head.key_len = (uint16_t) e->key_len;
	e->head.flags = flags;
	memcpy(&e->head.version, value, sizeof(e->head.version));
	e->head.tuple_len = (uint32_t) tuple_len;
	return true;
}

/* All of an entry; to is 8-aligned and has room for e->size bytes. */
static void
write_entry(const Entry *e, uint8_t *to)
{
	uint64_t	tuple = KALAM_ALIGN8((uint64_t) KALAM_TUPLE_BODY_OFFSET + e->body_len);
	uint8_t    *body = to + KALAM_ROW_TUPLE_OFFSET + KALAM_TUPLE_BODY_OFFSET;
	static const uint8_t zero[8];

	/* the last word first: what it has too much is padding */
	memcpy(to + KALAM_ROW_TUPLE_OFFSET + tuple - 8, zero, 8);
	memcpy(to, &e->head, 16);
	memcpy(to + KALAM_ROW_TUPLE_OFFSET, &e->head.tuple_len, 4);
	memcpy(to + KALAM_ROW_TUPLE_OFFSET + 4, zero, 6);
	memcpy(body, e->body, e->body_len);
	if (e->key_len > 0)
	{
		memcpy(to + e->size - 8, zero, 8);
		memcpy(to + KALAM_ROW_TUPLE_OFFSET + tuple, e->key, e->key_len);
	}
}

/* Copies what of the part at [at, at + len) lies within the piece. */
static void
copy_part(uint8_t *to, uint64_t piece, uint64_t piece_len, uint64_t at, const void *part,
		  uint64_t len)
{
	uint64_t	from = at > piece ? at : piece;
	uint64_t	end = at + len < piece + piece_len ? at + len : piece + piece_len;

	if (from < end)
		memcpy(to + (from - piece), (const uint8_t *) part + (from - at), end - from);
}

/* The bytes [piece, piece + len) of an entry. */
static void
write_piece(const Entry *e, uint64_t piece, uint64_t len, uint8_t *to)
{
	uint64_t	tuple = KALAM_ALIGN8((uint64_t) KALAM_TUPLE_BODY_OFFSET + e->body_len);
	uint64_t	body = KALAM_ROW_TUPLE_OFFSET + KALAM_TUPLE_BODY_OFFSET;
	static const uint8_t zero[8];

	copy_part(to, piece, len, 0, &e->head, 16);
	copy_part(to, piece, len, KALAM_ROW_TUPLE_OFFSET, &e->head.tuple_len, 4);
	copy_part(to, piece, len, KALAM_ROW_TUPLE_OFFSET + 4, zero, 6);
	copy_part(to, piece, len, KALAM_ROW_TUPLE_OFFSET + tuple - 8, zero, 8);
	copy_part(to, piece, len, e->size - 8, zero, 8);
	copy_part(to, piece, len, body, e->body, e->body_len);
	copy_part(to, piece, len, KALAM_ROW_TUPLE_OFFSET + tuple, e->key, e->key_len);
}

static void
note_last(Cursor *c, const uint8_t *key, size_t len)
{
	c->last.len = (uint16_t) len;
	memcpy(c->last.bytes, key, len);
}

static CursorStep
finish_block(Cursor *c, KalamBlock *b, CursorStep step)
{
	b->used = c->used;
	b->nrows = c->nrows;
	b->flags = step == CURSOR_LAST ? KALAM_BLOCK_LAST : 0;
	b->resume_offset = 0;
	b->resume_len = 0;
	b->big_total = 0;
	b->resume_range = 0;
	b->reserved = 0;
	if (c->nrows > 0)
	{
		b->resume_offset = c->used;
		b->resume_len = c->last.len;
		memcpy(b->data + c->used, c->last.bytes, c->last.len);
	}
	c->used = 0;
	c->nrows = 0;
	if (c->target < KALAM_BLOCK_DATA_BYTES)
		c->target *= BLOCK_GROWTH;
	return step;
}

/* The next piece of the big entry.  True if it was the last one. */
static bool
fill_big(Cursor *c, KalamBlock *b)
{
	uint64_t	left = c->entry.size - c->big_sent;
	uint64_t	room = KALAM_BLOCK_DATA_BYTES;
	bool		last = left + c->last.len <= room;
	uint64_t	len = last ? left : left < room ? left - 8 : room;

	len = last ? len : len & ~(uint64_t) 7;
	write_piece(&c->entry, c->big_sent, len, b->data);
	c->big_sent += len;
	c->used = (uint32_t) len;
	c->nrows = last ? 1 : 0;
	finish_block(c, b, CURSOR_BLOCK);
	b->flags = KALAM_BLOCK_BIG;
	b->big_total = (uint32_t) c->entry.size;
	return last;
}

static bool
fits(const Cursor *c, const Entry *e, size_t key_len)
{
	return c->used + e->size + key_len <= KALAM_BLOCK_DATA_BYTES;
}

/* ---- one row by its key ---- */

static bool
point_get(Cursor *c, Stamp *at, EngineValue **value, EngineError *err)
{
	EngineFamily *f = object_family(c->object);
	bool		known;

	if (!engine_get_cached(storage.engine, f, stamp_snapshot(at), c->lower.bytes, c->lower.len,
						   value, &known, err))
		return false;
	if (known)
		return true;
	lane_slow();
	return engine_get(storage.engine, f, stamp_snapshot(at), c->lower.bytes, c->lower.len, value,
					  err);
}

/* RECHECK: how the newest version compares with the one at `compare`. */
static bool
compare_versions(Cursor *c, uint16_t *flags, EngineError *err)
{
	EngineValue *old = NULL;
	size_t		len = 0,
				old_len = 0;
	const uint8_t *bytes = c->value != NULL ? engine_value_bytes(c->value, &len) : NULL;
	const uint8_t *old_bytes;

	if (!point_get(c, c->compare, &old, err))
		return false;
	old_bytes = old != NULL ? engine_value_bytes(old, &old_len) : NULL;
	*flags = bytes == NULL ? KALAM_ROW_ABSENT : 0;
	if (old_bytes != NULL)
		*flags |= KALAM_ROW_EXISTED;
	if ((bytes == NULL) != (old_bytes == NULL) ||
		(bytes != NULL && (len < 8 || old_len < 8 || memcmp(bytes, old_bytes, 8) != 0)))
		*flags |= KALAM_ROW_CHANGED;
	if (old != NULL)
		engine_value_release(old);
	return true;
}

static CursorStep
step_point(Cursor *c, KalamBlock *b, EngineError *err)
{
	bool		recheck = (c->flags & KALAM_SCAN_RECHECK) != 0;
	uint16_t	flags = 0;
	size_t		len;
	const uint8_t *bytes;

	if (!point_get(c, c->stamp, &c->value, err))
		return CURSOR_ERROR;
	if (recheck && !compare_versions(c, &flags, err))
		return CURSOR_ERROR;
	note_last(c, c->lower.bytes, c->lower.len);
	if (c->value == NULL)
	{
		if (recheck)
		{
			KalamRow	absent = {.size = 24, .flags = flags};

			memcpy(b->data, &absent, 24);
			c->used = 24;
			c->nrows = 1;
		}
		return finish_block(c, b, CURSOR_LAST);
	}
	if (c->flags & KALAM_SCAN_COUNT)
	{
		c->nrows = 1;
		return finish_block(c, b, CURSOR_LAST);
	}
	bytes = engine_value_bytes(c->value, &len);
	if (!make_entry(c, c->lower.bytes, c->lower.len, bytes, len, flags, &c->entry, err))
		return CURSOR_ERROR;
	if (fits(c, &c->entry, c->last.len))
	{
		write_entry(&c->entry, b->data);
		c->used = (uint32_t) c->entry.size;
		c->nrows = 1;
		return finish_block(c, b, CURSOR_LAST);
	}
	c->big = true;
	c->big_sent = 0;
	return CURSOR_AGAIN;
}

/* ---- ranges ---- */

static bool
check_key(const Cursor *c, size_t len, EngineError *err)
{
	if (len <= KALAM_MAX_KEY_BYTES)
		return true;
	engine_error(err, KALAM_ERR_CORRUPT, "a key of object %u is too long", object_id(c->object));
	return false;
}

/* The iterator stands nowhere: is it the end, or has it lost patience? */
static CursorStep
out_of_rows(Cursor *c, KalamBlock *b, EngineError *err)
{
	switch (engine_iter_end(c->iter, err))
	{
		case ENGINE_ITER_END:
			return finish_block(c, b, CURSOR_LAST);
		case ENGINE_ITER_SKIPPED:
			drop_iterator(c);
			c->patience *= 4;
			if (c->nrows > 0 && !(c->flags & KALAM_SCAN_COUNT))
				return finish_block(c, b, CURSOR_BLOCK);
			return CURSOR_AGAIN;
		case ENGINE_ITER_ERROR:
			break;
	}
	return CURSOR_ERROR;
}

/*
 * Counts a turn.  Only its last key is looked at: from there the scan goes on if
 * the iterator has to be made anew.
 */
static CursorStep
step_count(Cursor *c, KalamBlock *b, EngineError *err)
{
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	uint32_t	n;

	for (n = 0; n < COUNT_TURN && c->rows + n < c->max_rows; n++)
	{
		if (n > 0)
			engine_iter_move(c->iter, reverse(c));
		if (!engine_iter_valid(c->iter))
		{
			CursorStep	step;

			c->nrows += n;
			step = out_of_rows(c, b, err);
			if (step == CURSOR_AGAIN)
				c->nrows -= n;	/* they are behind the last key: once more */
			return step;
		}
	}
	if (!engine_iter_entry(c->iter, &key, &key_len, &value, &value_len) ||
		!check_key(c, key_len, err))
		return CURSOR_ERROR;
	note_last(c, key, key_len);
	c->nrows += n;
	c->rows += n;
	c->bytes += n * (key_len + value_len);
	if (c->rows == c->max_rows)
		return finish_block(c, b, CURSOR_LAST);
	engine_iter_move(c->iter, reverse(c));
	return c->nrows >= COUNT_BLOCK ? finish_block(c, b, CURSOR_BLOCK) : CURSOR_AGAIN;
}

static CursorStep
step_rows(Cursor *c, KalamBlock *b, EngineError *err)
{
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;

	while (engine_iter_entry(c->iter, &key, &key_len, &value, &value_len))
	{
		if (c->used >= c->target)
			return finish_block(c, b, CURSOR_BLOCK);
		if (!check_key(c, key_len, err) || !make_entry(c, key, key_len, value, value_len, 0, &c->entry, err))
			return CURSOR_ERROR;
		if (!fits(c, &c->entry, key_len))
		{
			if (c->nrows > 0)
				return finish_block(c, b, CURSOR_BLOCK);
			note_last(c, key, key_len);
			c->rows++;
			c->big = true;
			c->big_sent = 0;
			return CURSOR_AGAIN;
		}
		write_entry(&c->entry, b->data + c->used);
		note_last(c, key, key_len);
		c->used += (uint32_t) c->entry.size;
		c->bytes += c->entry.size;
		c->nrows++;
		c->patience = FIRST_PATIENCE;
		if (++c->rows == c->max_rows)
			return finish_block(c, b, CURSOR_LAST);
		engine_iter_move(c->iter, reverse(c));
	}
	return out_of_rows(c, b, err);
}

/* A piece of a big row; behind its last piece the scan goes on. */
static CursorStep
step_big(Cursor *c, KalamBlock *b)
{
	if (!fill_big(c, b))
		return CURSOR_BLOCK;
	c->big = false;
	if (c->flags & KALAM_SCAN_POINT || c->rows == c->max_rows)
	{
		b->flags |= KALAM_BLOCK_LAST;
		return CURSOR_LAST;
	}
	engine_iter_move(c->iter, reverse(c));
	return CURSOR_BLOCK;
}

/*
 * A scan that has read this much will probably read all.  If the block cache
 * cannot hold it, it would only drive out what others read again.
 */
static void
decide_long(Cursor *c)
{
	EngineSize	size;

	c->long_decided = true;
	engine_family_size(storage.engine, object_family(c->object), &size);
	/* compressed to about a half */
	c->is_long = 2 * (size.file_bytes + size.memory_bytes) >
		storage.seg->config.block_cache_bytes;
	if (c->is_long && c->iter != NULL)
		drop_iterator(c);
}

CursorStep
cursor_step(Cursor *c, KalamBlock *block, EngineError *err)
{
	if (c->big)
		return step_big(c, block);
	if (c->flags & KALAM_SCAN_POINT)
		return step_point(c, block, err);
	lane_slow();
	if (!c->long_decided && c->bytes > LONG_BYTES)
		decide_long(c);
	if (c->iter == NULL)
	{
		EngineIter *(*open) (Engine *, EngineFamily *, EngineSnapshot *, const uint8_t *, size_t,
							 const uint8_t *, size_t, uint64_t) =
			c->is_long ? engine_iter_open_long : engine_iter_open;

		if (key_compare(c->lower.bytes, c->lower.len, c->upper.bytes, c->upper.len) >= 0)
			return finish_block(c, block, CURSOR_LAST);
		c->iter = open(storage.engine, object_family(c->object),
								   stamp_snapshot(c->stamp), c->lower.bytes, c->lower.len,
								   c->upper.bytes, c->upper.len, c->patience);
		engine_iter_start(c->iter, reverse(c));
	}
	return c->flags & KALAM_SCAN_COUNT ? step_count(c, block, err) : step_rows(c, block, err);
}
