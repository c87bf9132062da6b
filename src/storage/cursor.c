/*
 * cursor.c
 *	  One SCAN: what its request asks for, the rows of its ranges put into blocks.
 *
 * Rows come from a source (scan_source.c), or, if it is a single one, from a
 * look-up that tries to do without waiting for a disk.  Nothing is read from a
 * block.  One thread at a time uses a cursor; it takes no lock.
 */
#include "src/storage/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/lanes.h"
#include "src/storage/scan_source.h"
#include "src/storage/storage.h"

#define FIRST_BLOCK_BYTES 4096

/* rows counted per block */
#define COUNT_BLOCK 65536

/* what a scan that sends groups cannot be asked for */
#define NOT_OF_GROUPS (KALAM_SCAN_POINT | KALAM_SCAN_COUNT | KALAM_SCAN_KEYS | \
					   KALAM_SCAN_KEYS_ONLY | KALAM_SCAN_INDEX_KEYS)

/* of a block of groups: rows that fit into none */
#define ROOM_FOR_ROWS (24 * 1024)
_Static_assert(ROOM_FOR_ROWS + KALAM_AGGREGATOR_BYTES + KALAM_MAX_KEY_BYTES <=
			   KALAM_BLOCK_DATA_BYTES, "rows and groups go into one block");

#define MAX_VALUE_BYTES (UINT64_C(1) << 30)

struct Cursor
{
	Object	   *object;
	Stamp	   *stamp;			/* to read at */
	Stamp	   *compare;		/* RECHECK: to compare with */
	uint32_t	flags;
	uint64_t	max_rows;
	uint64_t	rows;			/* sent, or in the block under way */
	ScanInput  *input;			/* or NULL */
	ScanRange	range;			/* that of the request, if it has no list */
	ScanSource *source;			/* not for POINT */
	BlockWriter out;

	/* POINT */
	EngineValue *value;			/* what was found */
	uint64_t	read;
	uint64_t	seeks;
	EngineReads reads;			/* MEASURE */
	BlockPlace	place;			/* its key and what follows are not zero at first */
	uint8_t		row_key[KALAM_MAX_KEY_BYTES];

	uint8_t		lower[KALAM_MAX_KEY_BYTES + 1];
	uint8_t		upper[KALAM_MAX_KEY_BYTES];
};

static bool
counts(const Cursor *c)
{
	return (c->flags & KALAM_SCAN_COUNT) != 0;
}

static bool
filters(const Cursor *c)
{
	return c->input != NULL && c->input->has_filter;
}

static KalamAggregator *
aggregator(const Cursor *c)
{
	return c->input != NULL ? c->input->aggregator : NULL;
}

/* Is it enough to know how many rows there are, for what is done with them? */
static bool
only_counts(const Cursor *c)
{
	return !filters(c) && aggregator(c) != NULL && kalam_aggregator_only_counts(aggregator(c));
}

/* Are the rows wanted, or looked at, that index entries lead to? */
static bool
follows_index(const Cursor *c)
{
	return (c->flags & KALAM_SCAN_INDEX) &&
		(filters(c) ||
		 !(c->flags & (KALAM_SCAN_KEYS_ONLY | KALAM_SCAN_COUNT) || only_counts(c)));
}

/* ---- opening and closing ---- */

/* The range of the request itself. */
static bool
open_range(Cursor *c, const KalamRequest *req, EngineError *err)
{
	ScanRange  *r = &c->range;
	bool		point = (c->flags & KALAM_SCAN_POINT) != 0;

	r->lower_len = req->lower_len;
	r->upper_len = point ? 0 : req->upper_len;
	if (r->lower_len > KALAM_MAX_KEY_BYTES || r->upper_len > KALAM_MAX_KEY_BYTES ||
		(r->upper_len == 0 && !point))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "bounds of a scan have %u and %u bytes",
					 r->lower_len, r->upper_len);
		return false;
	}
	memcpy(c->lower, req->lower, r->lower_len);
	memcpy(c->upper, req->upper, r->upper_len);
	r->lower = c->lower;
	r->upper = c->upper;
	if (!scan_range_check(r, req->object_id, (c->flags & KALAM_SCAN_INDEX) != 0, err))
		return false;
	if (c->flags & KALAM_SCAN_AFTER_LOWER && !point)
		c->lower[r->lower_len++] = 0;
	return true;
}

/* Where in its list the scan begins. */
static bool
check_beginning(const Cursor *c, uint16_t lower_len, uint16_t upper_len, EngineError *err)
{
	bool		reverse = (c->flags & KALAM_SCAN_REVERSE) != 0;
	uint16_t	len = reverse ? upper_len : lower_len;

	if ((reverse ? lower_len : upper_len) == 0 && len <= KALAM_MAX_KEY_BYTES &&
		(len == 0 || reverse || c->flags & KALAM_SCAN_AFTER_LOWER) &&
		!(c->flags & KALAM_SCAN_POINT))
		return true;
	engine_error(err, KALAM_ERR_PROTOCOL, "a scan of a list begins nowhere in it");
	return false;
}

static bool
open_source(Cursor *c, const KalamRequest *req, EngineError *err)
{
	bool		list = c->input != NULL && c->input->has_ranges;
	bool		reverse = (c->flags & KALAM_SCAN_REVERSE) != 0;
	uint16_t	len = reverse ? req->upper_len : req->lower_len;
	SourceSpec	spec = {
		.object = c->object, .stamp = c->stamp, .reverse = reverse,
		.ranges = list ? c->input->ranges : &c->range,
		.nranges = list ? c->input->nranges : 1,
		.index = (c->flags & KALAM_SCAN_INDEX) != 0, .follow = follows_index(c),
		.part = (req->flags & KALAM_SCAN_PART) != 0
	};

	if (!list && !open_range(c, req, err))
		return false;
	if (c->flags & KALAM_SCAN_POINT && !list)
		return true;
	if (list && !check_beginning(c, reverse ? req->lower_len : len, reverse ? len : req->upper_len,
								 err))
		return false;
	c->source = source_open(&spec);
	if (list)
		source_begin_behind(c->source, req->first_range, reverse ? req->upper : req->lower, len);
	return true;
}

static bool
open_input(Cursor *c, const KalamRequest *req, const uint8_t *input, EngineError *err)
{
	if (!(c->flags & KALAM_SCAN_INPUT))
		return true;
	c->input = scan_input_open(input, req->input_len, req->object_id,
							   (c->flags & KALAM_SCAN_INDEX) != 0, err);
	if (c->input == NULL)
		return false;
	if (c->input->aggregator == NULL || (!(c->flags & NOT_OF_GROUPS) && req->max_rows == 0))
		return true;
	engine_error(err, KALAM_ERR_PROTOCOL, "a scan of groups cannot give what rows have");
	return false;
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

	memset(c, 0, offsetof(Cursor, place.key));
	c->flags = req->flags;
	c->max_rows = req->max_rows != 0 ? req->max_rows : UINT64_MAX;
	c->out.target = req->first_bytes != 0 ? req->first_bytes : FIRST_BLOCK_BYTES;
	c->object = objects_get(req->object_id);
	if (c->object == NULL)
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", req->object_id);
	if (c->object == NULL || !open_stamps(c, req, err) || !open_input(c, req, input, err) ||
		!open_source(c, req, err))
	{
		cursor_close(c);
		return NULL;
	}
	return c;
}

void
cursor_close(Cursor *c)
{
	if (c->source != NULL)
		source_close(c->source);
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

void
cursor_rest(Cursor *c)
{
	/* in mid-row its bytes are the source's */
	if (c->source != NULL && !c->out.big)
		source_rest(c->source);
}

/* ---- rows into blocks ---- */

static void
put_counters(const Cursor *c, KalamBlock *b)
{
	b->read = c->source != NULL ? source_read(c->source) : c->read;
	b->seeks = c->source != NULL ? source_seeks(c->source) : c->seeks;
}

static CursorStep
finish_block(Cursor *c, KalamBlock *b, CursorStep step)
{
	block_finish(&c->out, b, step == CURSOR_LAST ? KALAM_BLOCK_LAST : 0,
				 c->source != NULL ? source_place(c->source) : &c->place);
	put_counters(c, b);
	return step;
}

static bool
check_value(const Cursor *c, const Found *f, EngineError *err)
{
	if (f->value_len >= KALAM_VALUE_HEADER_BYTES && f->value[0] == KALAM_VALUE_FORMAT &&
		f->value_len <= MAX_VALUE_BYTES)
		return true;
	engine_error(err, KALAM_ERR_CORRUPT, "a value of object %u has an unknown format",
				 object_id(c->object));
	return false;
}

static void
damaged_row(const Cursor *c, EngineError *err)
{
	engine_error(err, KALAM_ERR_CORRUPT, "a row of object %u is damaged", object_id(c->object));
}

/* Does the row pass the filter, if there is one?  DAMAGED: err says so. */
static KalamVerdict
filter_row(Cursor *c, const Found *f, EngineError *err)
{
	KalamVerdict verdict;

	if (!filters(c))
		return KALAM_ROW_PASSES;
	if (!check_value(c, f, err))
		return KALAM_ROW_DAMAGED;
	verdict = kalam_program_run(&c->input->filter, f->value + KALAM_VALUE_HEADER_BYTES,
								f->value_len - KALAM_VALUE_HEADER_BYTES);
	if (verdict == KALAM_ROW_DAMAGED)
		damaged_row(c, err);
	return verdict;
}

static bool
make_row(const Cursor *c, const Found *f, BlockRow *row, EngineError *err)
{
	if (!check_value(c, f, err))
		return false;
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

typedef enum TakeRow
{
	TAKEN,
	TAKEN_IN_PIECES,			/* it goes out before anything else */
	BLOCK_FULL					/* it comes again with the next one */
} TakeRow;

/* Writes a row that was found to the block. */
static bool
take_row(Cursor *c, KalamBlock *b, const Found *f, TakeRow *taken, EngineError *err)
{
	BlockRow	row;

	*taken = BLOCK_FULL;
	if (c->out.used >= c->out.target)
		return true;
	if (!make_row(c, f, &row, err))
		return false;
	*taken = TAKEN;
	if (!block_put(&c->out, b, &row, f->place_len))
	{
		*taken = c->out.nrows > 0 ? BLOCK_FULL : TAKEN_IN_PIECES;
		if (*taken == TAKEN_IN_PIECES)
			block_begin_big(&c->out, &row);
	}
	return true;
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

	if (!point_get(c, c->compare, c->lower, c->range.lower_len, &old, err))
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
	Found		f = {.place = c->lower, .place_len = c->range.lower_len};
	TakeRow		taken;

	f.key = f.place;
	f.key_len = f.place_len;
	if (!point_get(c, c->stamp, f.key, f.key_len, &c->value, err))
		return CURSOR_ERROR;
	c->place.len = (uint16_t) f.place_len;
	memcpy(c->place.key, f.place, f.place_len);
	if (c->value != NULL)
		f.value = engine_value_bytes(c->value, &f.value_len);
	if (c->flags & KALAM_SCAN_RECHECK)
		return step_recheck(c, b, &f, err);
	if (c->value == NULL)
		return finish_block(c, b, CURSOR_LAST);
	if (c->flags & KALAM_SCAN_INDEX)
	{
		f.key = c->row_key;
		f.key_len = source_row_key(c->object, &f, c->row_key, err);
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
		{
			source_lost_row(c->object, err);
			return CURSOR_ERROR;
		}
		f.value = engine_value_bytes(c->value, &f.value_len);
	}
	switch (filter_row(c, &f, err))
	{
		case KALAM_ROW_PASSES:
			break;
		case KALAM_ROW_FAILS:
			return finish_block(c, b, CURSOR_LAST);
		case KALAM_ROW_DAMAGED:
			return CURSOR_ERROR;
	}
	if (counts(c))
	{
		c->out.nrows = 1;
		return finish_block(c, b, CURSOR_LAST);
	}
	if (!take_row(c, b, &f, &taken, err))
		return CURSOR_ERROR;
	return taken == TAKEN_IN_PIECES ? CURSOR_AGAIN : finish_block(c, b, CURSOR_LAST);
}

/* ---- steps ---- */

/* A piece of a big row; behind its last piece the scan goes on. */
static CursorStep
step_big(Cursor *c, KalamBlock *b)
{
	bool		whole = block_put_piece(&c->out, b,
										c->source != NULL ? source_place(c->source) : &c->place);

	put_counters(c, b);
	if (!whole || (c->source != NULL && c->rows < c->max_rows))
		return CURSOR_BLOCK;
	b->flags |= KALAM_BLOCK_LAST;
	return CURSOR_LAST;
}

/* The source gave no row: what becomes of the block? */
static CursorStep
without_row(Cursor *c, KalamBlock *b, SourceStep step)
{
	switch (step)
	{
		case SOURCE_END:
			return finish_block(c, b, CURSOR_LAST);
		case SOURCE_GAP:
			/* what there is goes out: it may be all that is wanted for now */
			if (c->out.nrows > 0 && !counts(c))
				return finish_block(c, b, CURSOR_BLOCK);
			return CURSOR_AGAIN;
		case SOURCE_ERROR:
			return CURSOR_ERROR;
		default:
			/* likewise: the next row that passes the filter may be far away */
			if (filters(c) && c->out.nrows > 0 && !counts(c))
				return finish_block(c, b, CURSOR_BLOCK);
			return CURSOR_AGAIN;
	}
}

/* The next row that passes the filter; *full: the block has no room for more. */
static SourceStep
next_passing(Cursor *c, Found *f, bool *full, EngineError *err)
{
	SourceStep	step;

	*full = false;
	while ((step = source_next(c->source, f, err)) == SOURCE_FOUND)
	{
		switch (filter_row(c, f, err))
		{
			case KALAM_ROW_PASSES:
				return SOURCE_FOUND;
			case KALAM_ROW_DAMAGED:
				return SOURCE_ERROR;
			case KALAM_ROW_FAILS:
				break;
		}
		/* the key that was passed last goes into the block */
		*full = c->out.used + f->place_len > KALAM_BLOCK_DATA_BYTES;
		if (*full)
			return SOURCE_FOUND;
		source_skip(c->source, f);
	}
	return step;
}

static SourceStep
count_passing(Cursor *c, uint32_t *n, EngineError *err)
{
	Found		f;
	bool		full;
	SourceStep	step = next_passing(c, &f, &full, err);

	*n = step == SOURCE_FOUND;
	if (step == SOURCE_FOUND)
		source_pass(c->source, &f);
	return step;
}

static CursorStep
step_count(Cursor *c, KalamBlock *b, EngineError *err)
{
	while (c->rows < c->max_rows)
	{
		uint32_t	n;
		SourceStep	step = filters(c) ? count_passing(c, &n, err) :
			source_count(c->source, c->max_rows - c->rows, &n, err);

		c->rows += n;
		c->out.nrows += n;
		if (step != SOURCE_FOUND)
			return without_row(c, b, step);
		if (c->out.nrows >= COUNT_BLOCK && c->rows < c->max_rows)
			return finish_block(c, b, CURSOR_BLOCK);
	}
	return finish_block(c, b, CURSOR_LAST);
}

static CursorStep
step_rows(Cursor *c, KalamBlock *b, EngineError *err)
{
	while (c->rows < c->max_rows)
	{
		Found		f;
		bool		full;
		TakeRow		taken;
		SourceStep	step = next_passing(c, &f, &full, err);

		if (step != SOURCE_FOUND)
			return without_row(c, b, step);
		if (full)
			return finish_block(c, b, CURSOR_BLOCK);
		if (!take_row(c, b, &f, &taken, err))
			return CURSOR_ERROR;
		if (taken == BLOCK_FULL)
			return finish_block(c, b, CURSOR_BLOCK);
		c->rows++;
		source_pass(c->source, &f);
		if (taken == TAKEN_IN_PIECES)
			return CURSOR_AGAIN;
	}
	return finish_block(c, b, CURSOR_LAST);
}

/* Ends a block with the groups of all rows that were passed. */
static CursorStep
finish_groups(Cursor *c, KalamBlock *b, CursorStep step, EngineError *err)
{
	KalamAggregator *a = aggregator(c);

	for (uint32_t i = 0; i < kalam_aggregator_groups(a); i++)
	{
		BlockRow	row = {.flags = KALAM_ROW_GROUP};

		row.body = kalam_aggregator_group(a, i, &row.body_len);
		if (!block_put(&c->out, b, &row, source_place(c->source)->len))
		{
			engine_error(err, KALAM_ERR_PROTOCOL, "groups do not fit in a block");
			return CURSOR_ERROR;
		}
	}
	kalam_aggregator_clear(a);
	return finish_block(c, b, step);
}

/*
 * A row that fits into no group goes out as it is: beside the groups that will end
 * the block, or, if it is large, in a block of its own.
 */
static CursorStep
send_unfit(Cursor *c, KalamBlock *b, const Found *f, bool *sent, EngineError *err)
{
	bool		large = f->value_len + f->place_len + 64 > ROOM_FOR_ROWS;
	BlockRow	row;

	*sent = false;
	if (!make_row(c, f, &row, err))
		return CURSOR_ERROR;
	if ((c->out.nrows > 0 || kalam_aggregator_groups(aggregator(c)) > 0) &&
		(large || c->out.used + f->value_len + f->place_len + 64 > ROOM_FOR_ROWS))
		return finish_groups(c, b, CURSOR_BLOCK, err);
	if (!block_put(&c->out, b, &row, f->place_len))
		block_begin_big(&c->out, &row);
	source_pass(c->source, f);
	if (c->out.big)
		return CURSOR_AGAIN;
	*sent = !large;
	return large ? finish_block(c, b, CURSOR_BLOCK) : CURSOR_AGAIN;
}

/* Rows into groups.  A block ends with all groups there are, for it may be the last that is read. */
static CursorStep
step_groups(Cursor *c, KalamBlock *b, EngineError *err)
{
	KalamAggregator *a = aggregator(c);

	for (;;)
	{
		Found		f;
		bool		full = false;
		bool		sent = true;
		uint32_t	n;
		CursorStep	after;
		SourceStep	step = only_counts(c) ? source_count(c->source, UINT64_MAX, &n, err) :
			next_passing(c, &f, &full, err);

		if (only_counts(c))
			kalam_aggregator_count(a, n);
		if (step == SOURCE_END)
			return finish_groups(c, b, CURSOR_LAST, err);
		if (step != SOURCE_FOUND)
			return step == SOURCE_ERROR ? CURSOR_ERROR : CURSOR_AGAIN;
		if (full)
			return finish_groups(c, b, CURSOR_BLOCK, err);
		if (only_counts(c))
			continue;
		if (!check_value(c, &f, err))
			return CURSOR_ERROR;
		switch (kalam_aggregator_take(a, f.value + KALAM_VALUE_HEADER_BYTES,
									  f.value_len - KALAM_VALUE_HEADER_BYTES))
		{
			case KALAM_TAKEN:
				source_pass(c->source, &f);
				break;
			case KALAM_TAKE_FULL:
				return finish_groups(c, b, CURSOR_BLOCK, err);
			case KALAM_TAKE_UNFIT:
				after = send_unfit(c, b, &f, &sent, err);
				if (!sent)
					return after;
				break;
			case KALAM_TAKE_DAMAGED:
				damaged_row(c, err);
				return CURSOR_ERROR;
		}
	}
}

static CursorStep
take_step(Cursor *c, KalamBlock *block, EngineError *err)
{
	if (c->out.big)
		return step_big(c, block);
	if (c->source == NULL)
		return step_point(c, block, err);
	lane_slow();
	/* (of rows that are looked up ahead, a filter may leave few) */
	source_turn(c->source, filters(c) ? UINT64_MAX : c->max_rows - c->rows);
	if (aggregator(c) != NULL)
		return step_groups(c, block, err);
	return counts(c) ? step_count(c, block, err) : step_rows(c, block, err);
}

CursorStep
cursor_step(Cursor *c, KalamBlock *block, EngineError *err)
{
	CursorStep	result;

	if (c->flags & KALAM_SCAN_MEASURE)
		engine_measure_begin();
	result = take_step(c, block, err);
	if (c->flags & KALAM_SCAN_MEASURE)
		engine_measure_end(&c->reads);
	block->cache_hits = c->reads.cache_hits;
	block->file_reads = c->reads.file_reads;
	return result;
}
