/*
 * cursor.c
 *	  One SCAN: positions in the store, the rows found there sent in blocks.
 *
 * A scan reads ranges in turn: one of its request, or those of its input.  The
 * rows of a range come from an iterator; those that points and index entries
 * lead to are looked up in batches.  The iterator and the batch can be thrown
 * away at any time between two rows and made anew behind the last key: that is
 * done when the scan rests (an idle iterator keeps deleted files, a batch pins
 * blocks) and when the iterator met so many deleted entries that RocksDB gave
 * up, each time with more patience.  Nothing is read from a block.
 * One thread at a time uses a cursor; it takes no lock.
 */
#include "src/storage/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/block_writer.h"
#include "src/storage/lanes.h"
#include "src/storage/look_up.h"
#include "src/storage/objects.h"
#include "src/storage/scan_input.h"
#include "src/storage/stamps.h"
#include "src/storage/storage.h"

#define FIRST_BLOCK_BYTES 4096

/* deleted entries in a row before RocksDB lets us look up; then four times that */
#define FIRST_PATIENCE 50000

/* keys read in a turn, and what a range or look-up counts as; rows counted per block */
#define TURN 8192
#define SEEK_TURN 32
#define COUNT_BLOCK 65536

/* a scan that has read so much is a long one */
#define LONG_BYTES (8 << 20)

#define MAX_VALUE_BYTES (UINT64_C(1) << 30)

typedef struct Key
{
	uint16_t	len;
	uint8_t		bytes[KALAM_MAX_KEY_BYTES + 1];
} Key;

struct Cursor
{
	Object	   *object;
	Stamp	   *stamp;			/* to read at */
	Stamp	   *compare;		/* RECHECK: to compare with */
	uint32_t	flags;
	uint64_t	max_rows;
	uint64_t	rows;			/* sent, or in the block under way */
	uint64_t	read;			/* for KalamBlock */
	uint64_t	seeks;
	uint32_t	turn;			/* keys that may still be read in this one */

	ScanInput  *input;			/* or NULL */
	const ScanRange *ranges;
	uint32_t	nranges;
	ScanRange	single;			/* that of the request: ranges, if it has no list */
	ScanRange	hull;			/* of a list: the range that holds all of its ranges */

	uint32_t	at;				/* the range under way */
	bool		entered;		/* lower, upper are what was left of it */
	bool		placed;			/* the iterator stands in it, */
	bool		passed;			/* on a key that is dealt with */
	EngineIter *iter;
	bool		over_hull;		/* it is bounded by the hull only */
	bool		narrow;			/* the next one is bounded by the range */
	uint64_t	patience;
	uint64_t	bytes;			/* read by iterators so far, about */
	bool		is_long;		/* reads past the block cache */
	bool		long_decided;
	LookUp	   *batch;			/* or NULL */
	uint32_t	batch_next;		/* item of the batch */
	EngineValue *value;			/* POINT: what was found */

	BlockWriter out;
	Key			lower;
	Key			upper;
	Key			first;			/* bounds of the request, */
	Key			end;
	Key			iter_lower;		/* and of the iterator */
	Key			iter_upper;
	BlockPlace	last;			/* of what was dealt with last; len 0: nothing */
};

/* What a part of a step came to: it goes on, or that is what the step says. */
#define GO_ON ((CursorStep) -1)

static bool
reverse(const Cursor *c)
{
	return (c->flags & KALAM_SCAN_REVERSE) != 0;
}

static bool
counts(const Cursor *c)
{
	return (c->flags & KALAM_SCAN_COUNT) != 0;
}

static bool
is_point(const ScanRange *range)
{
	return range->upper_len == 0;
}

/* Do index entries lead to rows that are wanted? */
static bool
follows_index(const Cursor *c)
{
	return (c->flags & (KALAM_SCAN_INDEX | KALAM_SCAN_KEYS_ONLY | KALAM_SCAN_COUNT)) ==
		KALAM_SCAN_INDEX;
}

/* ---- opening and closing ---- */

static void
set_key(Key *to, const uint8_t *from, size_t len)
{
	to->len = (uint16_t) len;
	memcpy(to->bytes, from, len);
}

/* The least key above those that are at most this one. */
static void
set_key_behind(Key *to, const uint8_t *from, size_t len)
{
	set_key(to, from, len);
	to->bytes[to->len++] = 0;
}

static void
note_place(Cursor *c, uint32_t range, const uint8_t *key, size_t len)
{
	c->last.range = range;
	c->last.len = (uint16_t) len;
	memcpy(c->last.key, key, len);
}

/* The range of the request itself. */
static bool
open_range(Cursor *c, const KalamRequest *req, EngineError *err)
{
	ScanRange  *r = &c->single;

	r->lower_len = req->lower_len;
	r->upper_len = c->flags & KALAM_SCAN_POINT ? 0 : req->upper_len;
	if (r->lower_len > KALAM_MAX_KEY_BYTES || r->upper_len > KALAM_MAX_KEY_BYTES ||
		(r->upper_len == 0 && !(c->flags & KALAM_SCAN_POINT)))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "bounds of a scan have %u and %u bytes",
					 r->lower_len, r->upper_len);
		return false;
	}
	set_key(&c->first, req->lower, r->lower_len);
	set_key(&c->end, req->upper, r->upper_len);
	r->lower = c->first.bytes;
	r->upper = c->end.bytes;
	if (!scan_range_check(r, req->object_id, (c->flags & KALAM_SCAN_INDEX) != 0, err))
		return false;
	if (c->flags & KALAM_SCAN_AFTER_LOWER && !is_point(r))
	{
		c->first.bytes[c->first.len++] = 0;
		r->lower_len = c->first.len;
	}
	c->ranges = r;
	c->nranges = 1;
	return true;
}

static void
widen_hull(ScanRange *hull, const ScanRange *r)
{
	if (hull->lower == NULL ||
		key_compare(r->lower, r->lower_len, hull->lower, hull->lower_len) < 0)
	{
		hull->lower = r->lower;
		hull->lower_len = r->lower_len;
	}
	if (hull->upper == NULL ||
		key_compare(r->upper, r->upper_len, hull->upper, hull->upper_len) > 0)
	{
		hull->upper = r->upper;
		hull->upper_len = r->upper_len;
	}
}

/* The list of the input, and where to begin in it. */
static bool
open_list(Cursor *c, const KalamRequest *req, EngineError *err)
{
	const uint8_t *key = reverse(c) ? req->upper : req->lower;
	uint16_t	len = reverse(c) ? req->upper_len : req->lower_len;
	bool		behind = reverse(c) || (c->flags & KALAM_SCAN_AFTER_LOWER);

	if ((reverse(c) ? req->lower_len : req->upper_len) != 0 || (len != 0 && !behind) ||
		len > KALAM_MAX_KEY_BYTES || c->flags & KALAM_SCAN_POINT)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a scan of a list begins nowhere in it");
		return false;
	}
	c->ranges = c->input->ranges;
	c->nranges = c->input->nranges;
	for (uint32_t i = 0; i < c->nranges; i++)
		if (!is_point(&c->ranges[i]))
			widen_hull(&c->hull, &c->ranges[i]);
	note_place(c, req->first_range, key, len);
	c->at = req->first_range < c->nranges ? req->first_range : c->nranges;
	return true;
}

static bool
open_ranges(Cursor *c, const KalamRequest *req, const uint8_t *input, EngineError *err)
{
	if (c->flags & KALAM_SCAN_INPUT)
	{
		c->input = scan_input_open(input, req->input_len, req->object_id,
								   (c->flags & KALAM_SCAN_INDEX) != 0, err);
		if (c->input == NULL)
			return false;
	}
	return c->input != NULL && c->input->has_ranges ? open_list(c, req, err) :
		open_range(c, req, err);
}

static bool
open_stamps(Cursor *c, const KalamRequest *req, EngineError *err)
{
	const uint32_t can = KALAM_SCAN_POINT | KALAM_SCAN_NEWEST;
	const uint32_t cannot = KALAM_SCAN_COUNT | KALAM_SCAN_INDEX | KALAM_SCAN_INPUT;
	bool		recheck = (c->flags & KALAM_SCAN_RECHECK) != 0;
	uint64_t	stamp = req->stamp;

	if (recheck && (c->flags & (can | cannot)) != can)
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
cursor_open(const KalamRequest *req, const uint8_t *input, EngineError *err)
{
	Cursor	   *c = malloc(sizeof(Cursor));

	memset(c, 0, offsetof(Cursor, lower));
	c->last.range = 0;
	c->last.len = 0;
	c->flags = req->flags;
	c->max_rows = req->max_rows != 0 ? req->max_rows : UINT64_MAX;
	c->out.target = req->first_bytes != 0 ? req->first_bytes : FIRST_BLOCK_BYTES;
	c->patience = FIRST_PATIENCE;
	c->object = objects_get(req->object_id);
	if (c->object == NULL)
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", req->object_id);
	if (c->object == NULL || !open_ranges(c, req, input, err) || !open_stamps(c, req, err))
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
	if (c->batch != NULL)
		look_up_close(c->batch);
	if (c->value != NULL)
		engine_value_release(c->value);
	if (c->input != NULL)
		scan_input_close(c->input);
	if (c->stamp != NULL)
		stamp_put(c->stamp);
	if (c->compare != NULL)
		stamp_put(c->compare);
	if (c->object != NULL)
		object_put(c->object);
	free(c);
}

/* ---- where the scan stands ---- */

/* What is left of the range under way lies behind this key, if it lies in it. */
static void
go_behind(Cursor *c, const uint8_t *key, size_t len)
{
	if (reverse(c))
	{
		if (key_compare(key, len, c->upper.bytes, c->upper.len) < 0)
			set_key(&c->upper, key, len);
	}
	else if (key_compare(key, len, c->lower.bytes, c->lower.len) >= 0)
		set_key_behind(&c->lower, key, len);
}

static void
enter_range(Cursor *c)
{
	const ScanRange *r = &c->ranges[c->at];

	c->entered = true;
	set_key(&c->lower, r->lower, r->lower_len);
	if (is_point(r))
		set_key_behind(&c->upper, r->lower, r->lower_len);
	else
		set_key(&c->upper, r->upper, r->upper_len);
	if (c->last.len > 0 && c->last.range == c->at)
		go_behind(c, c->last.key, c->last.len);
}

static void
close_iterator(Cursor *c)
{
	if (c->iter != NULL)
		engine_iter_close(c->iter);
	c->iter = NULL;
	c->placed = c->passed = false;
}

static void
leave_range(Cursor *c)
{
	c->at++;
	c->entered = c->placed = c->passed = false;
	/* one that was made for this range is of no use for others */
	if (!c->over_hull)
		close_iterator(c);
	c->narrow = false;
}

/* Throws away what was read ahead: the scan goes on behind what was dealt with last. */
static void
step_back(Cursor *c)
{
	close_iterator(c);
	c->entered = false;
	if (c->batch == NULL)
		return;
	if (c->batch_next < look_up_count(c->batch))
		c->at = look_up_item(c->batch, c->batch_next).range;
	look_up_clear(c->batch);
	c->batch_next = 0;
}

void
cursor_rest(Cursor *c)
{
	/* in mid-row they hold the row's bytes */
	if (!c->out.big)
		step_back(c);
}

static CursorStep
finish_block(Cursor *c, KalamBlock *b, CursorStep step)
{
	block_finish(&c->out, b, step == CURSOR_LAST ? KALAM_BLOCK_LAST : 0, &c->last);
	b->read = c->read;
	b->seeks = c->seeks;
	return step;
}

static void
use_turn(Cursor *c, uint32_t cost)
{
	c->turn = c->turn > cost ? c->turn - cost : 0;
}

/* ---- rows ---- */

/* A row, or an index entry whose row is not wanted, where the scan stands. */
typedef struct Found
{
	uint32_t	range;
	const uint8_t *place;		/* key of the row, or of the entry that led to it */
	size_t		place_len;
	const uint8_t *key;
	size_t		key_len;
	const uint8_t *value;
	size_t		value_len;
} Found;

static bool
make_row(const Cursor *c, const Found *f, BlockRow *row, EngineError *err)
{
	if (f->value_len < KALAM_VALUE_HEADER_BYTES || f->value[0] != KALAM_VALUE_FORMAT ||
		f->value_len > MAX_VALUE_BYTES)
	{
		engine_error(err, KALAM_ERR_CORRUPT, "a value of object %u has an unknown format",
					 object_id(c->object));
		return false;
	}
	memset(row, 0, sizeof(*row));
	memcpy(&row->version, f->value, sizeof(row->version));
	row->range = f->range;
	row->body = f->value + KALAM_VALUE_HEADER_BYTES;
	if (!(c->flags & KALAM_SCAN_KEYS_ONLY))
		row->body_len = f->value_len - KALAM_VALUE_HEADER_BYTES;
	if (c->flags & (KALAM_SCAN_KEYS | KALAM_SCAN_KEYS_ONLY))
	{
		row->key = f->key;
		row->key_len = f->key_len;
	}
	if (c->flags & KALAM_SCAN_INDEX_KEYS)
	{
		row->index_key = f->place;
		row->index_key_len = f->place_len;
	}
	return true;
}

/*
 * What becomes of a row that was found: it is counted, or written to the block.
 * BLOCK: the block was full, and the row comes again with the next one.  AGAIN:
 * it goes out in pieces from now on, and is dealt with.
 */
static CursorStep
take_row(Cursor *c, KalamBlock *b, const Found *f, EngineError *err)
{
	BlockRow	row;

	if (counts(c))
	{
		if (c->out.nrows >= COUNT_BLOCK)
			return finish_block(c, b, CURSOR_BLOCK);
		note_place(c, f->range, f->place, f->place_len);
		c->out.nrows++;
		c->rows++;
		return GO_ON;
	}
	if (c->out.used >= c->out.target)
		return finish_block(c, b, CURSOR_BLOCK);
	if (!make_row(c, f, &row, err))
		return CURSOR_ERROR;
	if (!block_put(&c->out, b, &row, f->place_len))
	{
		if (c->out.nrows > 0)
			return finish_block(c, b, CURSOR_BLOCK);
		block_begin_big(&c->out, &row);
	}
	note_place(c, f->range, f->place, f->place_len);
	c->rows++;
	return c->out.big ? CURSOR_AGAIN : GO_ON;
}

static bool
check_key(const Cursor *c, size_t len, EngineError *err)
{
	if (len <= KALAM_MAX_KEY_BYTES)
		return true;
	engine_error(err, KALAM_ERR_CORRUPT, "a key of object %u is too long", object_id(c->object));
	return false;
}

static size_t
entry_row_key(const Cursor *c, const uint8_t *key, size_t key_len, const uint8_t *value,
			  size_t value_len, uint8_t *row_key, EngineError *err)
{
	size_t		len = kalam_index_entry_row_key(key, key_len, value, value_len, row_key);

	if (len == 0)
		engine_error(err, KALAM_ERR_CORRUPT, "an index entry of object %u is malformed",
					 object_id(c->object));
	return len;
}

static CursorStep
lost_row(const Cursor *c, EngineError *err)
{
	engine_error(err, KALAM_ERR_CORRUPT, "an index entry of object %u leads to no row",
				 object_id(c->object));
	return CURSOR_ERROR;
}

/* ---- one row by its key ---- */

static bool
point_get(Cursor *c, Stamp *at, const uint8_t *key, size_t len, EngineValue **value,
		  EngineError *err)
{
	EngineFamily *f = object_family(c->object);
	bool		known;

	c->seeks++;
	if (!engine_get_cached(storage.engine, f, stamp_snapshot(at), key, len, value, &known, err))
		return false;
	if (!known)
	{
		lane_slow();
		if (!engine_get(storage.engine, f, stamp_snapshot(at), key, len, value, err))
			return false;
	}
	c->read += *value != NULL;
	return true;
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

	if (!point_get(c, c->compare, c->first.bytes, c->first.len, &old, err))
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
step_recheck(Cursor *c, KalamBlock *b, const Found *f, EngineError *err)
{
	uint16_t	flags;
	BlockRow	row;

	if (!compare_versions(c, &flags, err))
		return CURSOR_ERROR;
	if (c->value == NULL)
	{
		block_put_absent(&c->out, b, flags);
		return finish_block(c, b, CURSOR_LAST);
	}
	if (!make_row(c, f, &row, err))
		return CURSOR_ERROR;
	row.flags = flags;
	if (block_put(&c->out, b, &row, f->place_len))
		return finish_block(c, b, CURSOR_LAST);
	block_begin_big(&c->out, &row);
	return CURSOR_AGAIN;
}

static CursorStep
step_point(Cursor *c, KalamBlock *b, EngineError *err)
{
	Found		f = {.place = c->first.bytes, .place_len = c->first.len};
	CursorStep	step;

	f.key = f.place;
	f.key_len = f.place_len;
	if (!point_get(c, c->stamp, f.key, f.key_len, &c->value, err))
		return CURSOR_ERROR;
	note_place(c, 0, f.place, f.place_len);
	if (c->value != NULL)
		f.value = engine_value_bytes(c->value, &f.value_len);
	if (c->flags & KALAM_SCAN_RECHECK)
		return step_recheck(c, b, &f, err);
	if (c->value == NULL)
		return finish_block(c, b, CURSOR_LAST);
	if (c->flags & KALAM_SCAN_INDEX)
	{
		f.key = c->lower.bytes;
		f.key_len = entry_row_key(c, f.place, f.place_len, f.value, f.value_len, c->lower.bytes, err);
		if (f.key_len == 0)
			return CURSOR_ERROR;
	}
	if (follows_index(c))
	{
		engine_value_release(c->value);
		c->value = NULL;
		if (!point_get(c, c->stamp, f.key, f.key_len, &c->value, err))
			return CURSOR_ERROR;
		if (c->value == NULL)
			return lost_row(c, err);
		f.value = engine_value_bytes(c->value, &f.value_len);
	}
	step = take_row(c, b, &f, err);
	return step == GO_ON ? finish_block(c, b, CURSOR_LAST) : step;
}

/* ---- rows of a range, by an iterator ---- */

static void
open_iterator(Cursor *c)
{
	EngineIter *(*open) (Engine *, EngineFamily *, EngineSnapshot *, const uint8_t *, size_t,
						 const uint8_t *, size_t, uint64_t) =
		c->is_long ? engine_iter_open_long : engine_iter_open;

	c->over_hull = c->nranges > 1 && !c->narrow;
	if (c->over_hull)
	{
		set_key(&c->iter_lower, c->hull.lower, c->hull.lower_len);
		set_key(&c->iter_upper, c->hull.upper, c->hull.upper_len);
	}
	else
	{
		set_key(&c->iter_lower, c->lower.bytes, c->lower.len);
		set_key(&c->iter_upper, c->upper.bytes, c->upper.len);
	}
	c->iter = open(storage.engine, object_family(c->object), stamp_snapshot(c->stamp),
				   c->iter_lower.bytes, c->iter_lower.len, c->iter_upper.bytes, c->iter_upper.len,
				   c->patience);
}

typedef enum NextKey
{
	NEXT_KEY,					/* it stands on one */
	NEXT_NONE,					/* the range has no more */
	NEXT_AGAIN,					/* the iterator lost patience: once more */
	NEXT_ERROR
} NextKey;

/* The iterator stands nowhere: is it the end, or has it lost patience? */
static NextKey
out_of_keys(Cursor *c, EngineError *err)
{
	switch (engine_iter_end(c->iter, err))
	{
		case ENGINE_ITER_END:
			return NEXT_NONE;
		case ENGINE_ITER_SKIPPED:
			break;
		case ENGINE_ITER_ERROR:
			return NEXT_ERROR;
	}
	/* what lies between the ranges of a list is not worth patience */
	if (c->over_hull)
		c->narrow = true;
	else
		c->patience *= 4;
	close_iterator(c);
	if (c->batch != NULL && look_up_count(c->batch) > 0)
	{
		LookUpItem	it = look_up_item(c->batch, look_up_count(c->batch) - 1);

		if (it.range == c->at)
			go_behind(c, it.place, it.place_len);
	}
	else if (c->last.len > 0 && c->last.range == c->at)
		go_behind(c, c->last.key, c->last.len);
	return NEXT_AGAIN;
}

static bool
stands_on(EngineIter *it, const Key *key)
{
	const uint8_t *at,
			   *value;
	size_t		len,
				value_len;

	return engine_iter_entry(it, &at, &len, &value, &value_len) &&
		key_compare(at, len, key->bytes, key->len) == 0;
}

/* Puts the iterator into the range under way.  False if nothing can lie there. */
static bool
place_iterator(Cursor *c)
{
	const Key  *from = reverse(c) ? &c->upper : &c->lower;

	if (!c->entered)
		enter_range(c);
	if (key_compare(c->lower.bytes, c->lower.len, c->upper.bytes, c->upper.len) >= 0)
		return false;
	if (c->iter == NULL)
		open_iterator(c);
	if (c->over_hull)
		engine_iter_seek(c->iter, from->bytes, from->len, reverse(c));
	else
		engine_iter_start(c->iter, reverse(c));
	c->placed = true;
	c->passed = reverse(c) && c->over_hull && stands_on(c->iter, from);
	c->seeks++;
	use_turn(c, SEEK_TURN);
	return true;
}

/* The next key of the range under way; the same again, unless it was marked as passed. */
static NextKey
next_key(Cursor *c, Found *f, EngineError *err)
{
	use_turn(c, 1);
	if (!c->placed && !place_iterator(c))
		return NEXT_NONE;
	if (c->passed)
		engine_iter_move(c->iter, reverse(c));
	c->passed = false;
	if (!engine_iter_entry(c->iter, &f->place, &f->place_len, &f->value, &f->value_len))
		return out_of_keys(c, err);
	if (c->over_hull &&
		(reverse(c) ? key_compare(f->place, f->place_len, c->lower.bytes, c->lower.len) < 0 :
		 key_compare(f->place, f->place_len, c->upper.bytes, c->upper.len) >= 0))
		return NEXT_NONE;
	if (!check_key(c, f->place_len, err))
		return NEXT_ERROR;
	f->range = c->at;
	return NEXT_KEY;
}

static void
pass_key(Cursor *c)
{
	c->passed = true;
	c->read++;
	c->patience = FIRST_PATIENCE;
}

/*
 * Counts the key that the iterator stands on and those behind it.  Only the last
 * one is looked at: from there the scan goes on if the iterator is made anew.
 */
static CursorStep
count_run(Cursor *c, EngineError *err)
{
	uint32_t	n = 1;
	bool		at_end = false;
	Found		f;

	while (n < c->turn && c->rows + n < c->max_rows && !at_end)
	{
		engine_iter_move(c->iter, reverse(c));
		at_end = !engine_iter_valid(c->iter);
		n += !at_end;
	}
	if (at_end)
	{
		switch (out_of_keys(c, err))
		{
			case NEXT_NONE:
				break;
			case NEXT_ERROR:
				return CURSOR_ERROR;
			default:
				return CURSOR_AGAIN;	/* they are behind the last key: once more */
		}
		/* nothing is left behind its end */
		if (reverse(c))
			note_place(c, c->at, c->ranges[c->at].lower, c->ranges[c->at].lower_len);
		else
			note_place(c, c->at, c->ranges[c->at].upper, c->ranges[c->at].upper_len);
		leave_range(c);
	}
	else
	{
		if (!engine_iter_entry(c->iter, &f.place, &f.place_len, &f.value, &f.value_len) ||
			!check_key(c, f.place_len, err))
			return CURSOR_ERROR;
		note_place(c, c->at, f.place, f.place_len);
		c->bytes += n * (f.place_len + f.value_len);
		c->passed = true;
	}
	use_turn(c, n);
	c->out.nrows += n;
	c->rows += n;
	c->read += n;
	return GO_ON;
}

/* Rows that stand in the range itself; index entries, if their rows are not wanted. */
static CursorStep
read_range(Cursor *c, KalamBlock *b, EngineError *err)
{
	uint8_t		row_key[KALAM_MAX_KEY_BYTES];
	Found		f;
	CursorStep	step;

	while (c->turn > 0 && c->rows < c->max_rows)
	{
		switch (next_key(c, &f, err))
		{
			case NEXT_KEY:
				break;
			case NEXT_NONE:
				leave_range(c);
				return GO_ON;
			case NEXT_AGAIN:
				/* what there is goes out: it may be all that is wanted for now */
				return c->out.nrows > 0 && !counts(c) ? finish_block(c, b, CURSOR_BLOCK) :
					CURSOR_AGAIN;
			case NEXT_ERROR:
				return CURSOR_ERROR;
		}
		if (counts(c) && !c->over_hull)
		{
			step = c->out.nrows < COUNT_BLOCK ? count_run(c, err) :
				finish_block(c, b, CURSOR_BLOCK);
			return step;
		}
		f.key = f.place;
		f.key_len = f.place_len;
		if (c->flags & KALAM_SCAN_INDEX && !counts(c))
		{
			f.key = row_key;
			f.key_len = entry_row_key(c, f.place, f.place_len, f.value, f.value_len, row_key, err);
			if (f.key_len == 0)
				return CURSOR_ERROR;
		}
		step = take_row(c, b, &f, err);
		if (step == CURSOR_BLOCK || step == CURSOR_ERROR)
			return step;
		c->bytes += f.place_len + f.value_len;
		pass_key(c);
		if (step != GO_ON)
			return step;
	}
	return GO_ON;
}

/* ---- rows looked up in batches ---- */

/* Are the rows of the range under way looked up? */
static bool
is_looked_up(const Cursor *c)
{
	return is_point(&c->ranges[c->at]) || follows_index(c);
}

static bool
has_room(const Cursor *c)
{
	uint64_t	n = look_up_count(c->batch);

	return n < look_up_room(c->batch) && c->rows + n < c->max_rows;
}

static bool
gather_points(Cursor *c, EngineError *err)
{
	uint32_t	n;

	for (; c->at < c->nranges && is_point(&c->ranges[c->at]) && has_room(c); c->at++)
	{
		const ScanRange *r = &c->ranges[c->at];
		int			cmp = reverse(c) ? -1 : 1;

		if (c->last.len > 0 && c->last.range == c->at)
			cmp = key_compare(r->lower, r->lower_len, c->last.key, c->last.len);
		if (reverse(c) ? cmp < 0 : cmp > 0)
			look_up_add(c->batch, c->at, r->lower, r->lower_len, NULL, 0);
	}
	n = look_up_count(c->batch);
	c->seeks += n;
	use_turn(c, n * SEEK_TURN);
	return look_up_run(c->batch, c->object, c->stamp, err);
}

/* Gathers index entries, also over several ranges. */
static bool
gather_entries(Cursor *c, EngineError *err)
{
	uint8_t		row_key[KALAM_MAX_KEY_BYTES];
	size_t		len;
	Found		f;

	while (c->at < c->nranges && !is_point(&c->ranges[c->at]) && has_room(c) && c->turn > 0)
	{
		switch (next_key(c, &f, err))
		{
			case NEXT_KEY:
				len = entry_row_key(c, f.place, f.place_len, f.value, f.value_len, row_key, err);
				if (len == 0)
					return false;
				look_up_add(c->batch, c->at, row_key, len, f.place, f.place_len);
				pass_key(c);
				break;
			case NEXT_NONE:
				leave_range(c);
				break;
			case NEXT_AGAIN:
				return true;
			case NEXT_ERROR:
				return false;
		}
	}
	return true;
}

/* Makes the next batch; it may be empty. */
static CursorStep
gather(Cursor *c, EngineError *err)
{
	bool		good;

	if (c->batch == NULL)
		c->batch = look_up_open();
	look_up_clear(c->batch);
	c->batch_next = 0;
	if (!is_point(&c->ranges[c->at]))
		good = gather_entries(c, err) && look_up_run(c->batch, c->object, c->stamp, err);
	else
	{
		good = gather_points(c, err) &&
			(!follows_index(c) || look_up_follow(c->batch, c->object, c->stamp, err));
		if (good && follows_index(c))
			c->read += look_up_count(c->batch);
	}
	if (!good)
		return CURSOR_ERROR;
	if (follows_index(c))
	{
		c->seeks += look_up_count(c->batch);
		use_turn(c, look_up_count(c->batch) * SEEK_TURN);
	}
	return GO_ON;
}

static CursorStep
send_batch(Cursor *c, KalamBlock *b, EngineError *err)
{
	uint8_t		row_key[KALAM_MAX_KEY_BYTES];
	uint32_t	n = look_up_count(c->batch);

	for (; c->batch_next < n; c->batch_next++)
	{
		LookUpItem	it = look_up_item(c->batch, c->batch_next);
		Found		f = {it.range, it.place, it.place_len, it.key, it.key_len, it.value, it.value_len};
		CursorStep	step;

		if (it.value == NULL)
		{
			if (follows_index(c))
				return lost_row(c, err);
			continue;
		}
		if (c->flags & KALAM_SCAN_INDEX && !follows_index(c))
		{
			f.key = row_key;
			f.key_len = entry_row_key(c, f.place, f.place_len, f.value, f.value_len, row_key, err);
			if (f.key_len == 0)
				return CURSOR_ERROR;
		}
		step = take_row(c, b, &f, err);
		if (step == CURSOR_BLOCK || step == CURSOR_ERROR)
			return step;
		c->read++;
		if (step != GO_ON)
		{
			c->batch_next++;
			return step;
		}
	}
	return GO_ON;
}

/* ---- steps ---- */

/* A piece of a big row; behind its last piece the scan goes on. */
static CursorStep
step_big(Cursor *c, KalamBlock *b)
{
	bool		whole = block_put_piece(&c->out, b, &c->last);

	b->read = c->read;
	b->seeks = c->seeks;
	if (!whole || !(c->flags & KALAM_SCAN_POINT || c->rows == c->max_rows))
		return CURSOR_BLOCK;
	b->flags |= KALAM_BLOCK_LAST;
	return CURSOR_LAST;
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
	if (c->is_long)
		step_back(c);
}

CursorStep
cursor_step(Cursor *c, KalamBlock *block, EngineError *err)
{
	CursorStep	step = GO_ON;

	if (c->out.big)
		return step_big(c, block);
	if (c->flags & KALAM_SCAN_POINT)
		return step_point(c, block, err);
	lane_slow();
	if (!c->long_decided && c->bytes > LONG_BYTES)
		decide_long(c);
	for (c->turn = TURN; step == GO_ON && c->turn > 0;)
	{
		if (c->rows >= c->max_rows)
			return finish_block(c, block, CURSOR_LAST);
		if (c->batch != NULL && c->batch_next < look_up_count(c->batch))
			step = send_batch(c, block, err);
		else if (c->at >= c->nranges)
			return finish_block(c, block, CURSOR_LAST);
		else if (is_looked_up(c))
			step = gather(c, err);
		else
			step = read_range(c, block, err);
	}
	return step == GO_ON ? CURSOR_AGAIN : step;
}
