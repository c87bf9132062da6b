/*
 * scan_source.c
 *	  Ranges read in turn: by an iterator, or by look-ups in batches.
 *
 * The rows of a range come from an iterator; those that points and index entries
 * lead to are looked up together.  Both can be thrown away at any time between
 * two rows and made anew behind the place that was passed last: that is done
 * when the scan rests (an idle iterator keeps deleted files, a batch pins
 * blocks), and to the iterator when it met so many deleted entries that RocksDB
 * gave up, each time with more patience.  The ranges of a list share an
 * iterator over all of them: to make one takes as long as to seek.  Where the
 * next range or point is not far, it walks there instead (walk.h).
 * One thread at a time uses a source; it takes no lock.
 */
#include "src/storage/scan_source.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/look_up.h"
#include "src/storage/storage.h"
#include "src/storage/walk.h"

/* deleted entries in a row before RocksDB lets us look up; then four times that */
#define FIRST_PATIENCE 50000

/* the same where an iterator may have left its range: it is then made for that alone */
#define HULL_PATIENCE 1000

/* keys read in a turn, and what a range or a look-up counts as */
#define TURN 8192
#define SEEK_TURN 64

/* of rows that are not wanted, the place of every so manieth is noted */
#define SKIPS 32

/* a scan that has read so much is a long one */
#define LONG_BYTES (8 << 20)

typedef struct Key
{
	uint16_t	len;
	uint8_t		bytes[KALAM_MAX_KEY_BYTES + 1];
} Key;

struct ScanSource
{
	SourceSpec	spec;
	ScanRange	hull;			/* of a list: its least key; its last one, or behind it */
	Walk		walk;
	uint64_t	read;
	uint64_t	seeks;
	uint32_t	turn;			/* keys that may still be read in this one */
	uint64_t	wanted;			/* rows */

	uint32_t	at;				/* the range under way */
	bool		entered;		/* lower, upper are what was left of it */
	bool		placed;			/* the iterator stands in it, */
	bool		passed;			/* on a key that was passed */
	EngineIter *iter;
	uint32_t	iter_at;		/* range that it was placed in last */
	bool		over_hull;		/* it is bounded by the hull only */
	bool		narrow;			/* the next one is bounded by the range */
	uint64_t	patience;
	uint32_t	skipped;		/* behind the place, not wanted */
	uint64_t	bytes;			/* read by iterators so far, about */
	bool		is_long;		/* reads past the block cache */
	bool		long_decided;
	LookUp	   *batch;			/* or NULL */
	uint32_t	batch_next;		/* item of the batch */

	Key			lower;
	Key			upper;
	Key			iter_lower;		/* bounds of the iterator */
	Key			iter_upper;
	BlockPlace	place;			/* what was passed last; len 0: nothing */
	uint8_t		row_key[KALAM_MAX_KEY_BYTES];	/* of an entry that is not followed */
};

static bool
is_point(const ScanRange *range)
{
	return range->upper_len == 0;
}

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
widen_hull(ScanRange *hull, const ScanRange *r)
{
	const uint8_t *upper = is_point(r) ? r->lower : r->upper;
	uint16_t	upper_len = is_point(r) ? r->lower_len : r->upper_len;

	if (hull->lower == NULL ||
		key_compare(r->lower, r->lower_len, hull->lower, hull->lower_len) < 0)
	{
		hull->lower = r->lower;
		hull->lower_len = r->lower_len;
	}
	if (hull->upper == NULL || key_compare(upper, upper_len, hull->upper, hull->upper_len) > 0)
	{
		hull->upper = upper;
		hull->upper_len = upper_len;
	}
}

static void
find_hull(ScanSource *s)
{
	for (uint32_t i = 0; i < s->spec.nranges; i++)
		widen_hull(&s->hull, &s->spec.ranges[i]);
}

ScanSource *
source_open(const SourceSpec *spec)
{
	ScanSource *s = malloc(sizeof(ScanSource));

	if (s == NULL)
		abort();
	memset(s, 0, offsetof(ScanSource, lower));
	s->place.range = 0;
	s->place.len = 0;
	s->spec = *spec;
	s->patience = FIRST_PATIENCE;
	if (spec->part)
		s->bytes = LONG_BYTES + 1;
	walk_init(&s->walk, spec->nranges);
	return s;
}

void
source_close(ScanSource *s)
{
	if (s->iter != NULL)
		engine_iter_close(s->iter);
	if (s->batch != NULL)
		look_up_close(s->batch);
	free(s);
}

static void
note_place(ScanSource *s, uint32_t range, const uint8_t *key, size_t len)
{
	s->place.range = range;
	s->place.len = (uint16_t) len;
	memcpy(s->place.key, key, len);
	s->skipped = 0;
}

void
source_begin_behind(ScanSource *s, uint32_t range, const uint8_t *key, size_t len)
{
	note_place(s, range, key, len);
	s->at = range < s->spec.nranges ? range : s->spec.nranges;
}

const BlockPlace *
source_place(const ScanSource *s)
{
	return &s->place;
}

uint64_t
source_read(const ScanSource *s)
{
	return s->read;
}

uint64_t
source_seeks(const ScanSource *s)
{
	return s->seeks;
}

size_t
source_row_key(Object *object, const Found *entry, uint8_t *row_key, EngineError *err)
{
	size_t		len = kalam_index_entry_row_key(entry->place, entry->place_len, entry->value,
												entry->value_len, row_key);

	if (len == 0)
		engine_error(err, KALAM_ERR_CORRUPT, "an index entry of object %u is malformed",
					 object_id(object));
	return len;
}

void
source_lost_row(Object *object, EngineError *err)
{
	engine_error(err, KALAM_ERR_CORRUPT, "an index entry of object %u leads to no row",
				 object_id(object));
}

/* ---- where it stands ---- */

/* What is left of the range under way lies behind this key, if it lies in it. */
static void
go_behind(ScanSource *s, const uint8_t *key, size_t len)
{
	if (s->spec.reverse)
	{
		if (key_compare(key, len, s->upper.bytes, s->upper.len) < 0)
			set_key(&s->upper, key, len);
	}
	else if (key_compare(key, len, s->lower.bytes, s->lower.len) >= 0)
		set_key_behind(&s->lower, key, len);
}

static void
enter_range(ScanSource *s)
{
	const ScanRange *r = &s->spec.ranges[s->at];

	s->entered = true;
	set_key(&s->lower, r->lower, r->lower_len);
	if (is_point(r))
		set_key_behind(&s->upper, r->lower, r->lower_len);
	else
		set_key(&s->upper, r->upper, r->upper_len);
	if (s->place.len > 0 && s->place.range == s->at)
		go_behind(s, s->place.key, s->place.len);
}

static void
close_iterator(ScanSource *s)
{
	if (s->iter != NULL)
		engine_iter_close(s->iter);
	s->iter = NULL;
	s->placed = s->passed = false;
	/* these come again */
	s->read -= s->skipped;
	s->skipped = 0;
}

static void
leave_range(ScanSource *s)
{
	s->at++;
	s->entered = s->placed = s->passed = false;
	/* one that was made for this range is of no use for others */
	if (!s->over_hull)
		close_iterator(s);
	s->narrow = false;
}

void
source_rest(ScanSource *s)
{
	close_iterator(s);
	s->entered = false;
	if (s->batch == NULL)
		return;
	if (s->batch_next < look_up_count(s->batch))
		s->at = look_up_item(s->batch, s->batch_next).range;
	look_up_clear(s->batch);
	s->batch_next = 0;
}

/*
 * A scan that has read this much will probably read all.  If the block cache
 * cannot hold it, it would only drive out what others read again.
 */
static void
decide_long(ScanSource *s)
{
	EngineSize	size;

	s->long_decided = true;
	engine_family_size(storage.engine, object_family(s->spec.object), &size);
	/* compressed to about a half */
	s->is_long = 2 * (size.file_bytes + size.memory_bytes) >
		storage.seg->config.block_cache_bytes;
	if (s->is_long)
		source_rest(s);
}

void
source_turn(ScanSource *s, uint64_t max_rows)
{
	s->turn = TURN;
	s->wanted = max_rows;
	if (!s->long_decided && s->bytes > LONG_BYTES)
		decide_long(s);
}

static void
use_turn(ScanSource *s, uint32_t cost)
{
	s->turn = s->turn > cost ? s->turn - cost : 0;
}

/* ---- keys of a range, by an iterator ---- */

static void
open_iterator(ScanSource *s)
{
	EngineIter *(*open) (Engine *, EngineFamily *, EngineSnapshot *, const uint8_t *, size_t,
						 const uint8_t *, size_t, uint64_t) =
		s->is_long ? engine_iter_open_long : engine_iter_open;

	s->over_hull = s->spec.nranges > 1 && !s->narrow;
	if (s->over_hull)
	{
		if (s->hull.lower == NULL)
			find_hull(s);
		set_key(&s->iter_lower, s->hull.lower, s->hull.lower_len);
		set_key_behind(&s->iter_upper, s->hull.upper, s->hull.upper_len);
	}
	else
	{
		set_key(&s->iter_lower, s->lower.bytes, s->lower.len);
		set_key(&s->iter_upper, s->upper.bytes, s->upper.len);
	}
	s->iter = open(storage.engine, object_family(s->spec.object), stamp_snapshot(s->spec.stamp),
				   s->iter_lower.bytes, s->iter_lower.len, s->iter_upper.bytes, s->iter_upper.len,
				   s->over_hull ? HULL_PATIENCE : s->patience);
}

typedef enum NextKey
{
	NEXT_KEY,					/* it stands on one */
	NEXT_NONE,					/* the range has no more */
	NEXT_GAP,					/* the iterator lost patience: once more */
	NEXT_ERROR
} NextKey;

/* The iterator stands nowhere: is it the end, or has it lost patience? */
static NextKey
out_of_keys(ScanSource *s, EngineError *err)
{
	switch (engine_iter_end(s->iter, err))
	{
		case ENGINE_ITER_END:
			return NEXT_NONE;
		case ENGINE_ITER_SKIPPED:
			break;
		case ENGINE_ITER_ERROR:
			return NEXT_ERROR;
	}
	close_iterator(s);
	if (is_point(&s->spec.ranges[s->at]))
	{
		/* it is looked up instead */
		walk_stop(&s->walk);
		s->entered = false;
		return NEXT_GAP;
	}
	if (s->over_hull)
		s->narrow = true;
	else
		s->patience *= 4;
	if (s->spec.follow && look_up_count(s->batch) > 0)
	{
		LookUpItem	it = look_up_item(s->batch, look_up_count(s->batch) - 1);

		if (it.range == s->at)
			go_behind(s, it.place, it.place_len);
	}
	else if (s->place.len > 0 && s->place.range == s->at)
		go_behind(s, s->place.key, s->place.len);
	return NEXT_GAP;
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

/* Does the iterator stand on the first key of those from this one on, or before it? */
static bool
is_not_beyond(const ScanSource *s, const Key *from)
{
	const ScanRange *r = &s->spec.ranges[s->iter_at];

	return is_point(r) ? key_compare(from->bytes, from->len, r->lower, r->lower_len) >= 0 :
		key_compare(from->bytes, from->len, r->upper, r->upper_len) >= 0;
}

/* Moves the iterator, which was left in an earlier range, on to the first key from this one on. */
static bool
walk_to(ScanSource *s, const Key *from)
{
	if (!is_not_beyond(s, from))
		return false;
	for (uint32_t i = 0; i <= WALK_STEPS; i++)
	{
		const uint8_t *at,
				   *value;
		size_t		len,
					value_len;

		if (!engine_iter_entry(s->iter, &at, &len, &value, &value_len))
			return false;
		if (key_compare(at, len, from->bytes, from->len) >= 0)
			return true;
		engine_iter_move(s->iter, false);
		use_turn(s, 1);
	}
	return false;
}

static void
seek_iterator(ScanSource *s, const Key *from)
{
	if (s->over_hull)
		engine_iter_seek(s->iter, from->bytes, from->len, s->spec.reverse);
	else
		engine_iter_start(s->iter, s->spec.reverse);
	s->seeks++;
	use_turn(s, SEEK_TURN);
}

static bool
walks(const ScanSource *s)
{
	return !s->spec.reverse && !s->narrow && walk_wanted(&s->walk);
}

/* Puts the iterator into the range under way.  False if nothing can lie there. */
static bool
place_iterator(ScanSource *s)
{
	const Key  *from = s->spec.reverse ? &s->upper : &s->lower;
	bool		reached = false;

	if (!s->entered)
		enter_range(s);
	if (key_compare(s->lower.bytes, s->lower.len, s->upper.bytes, s->upper.len) >= 0)
		return false;
	if (walks(s))
	{
		reached = s->iter != NULL && s->over_hull && walk_to(s, from);
		walk_note(&s->walk, reached);
	}
	else
		walk_skip(&s->walk, 1);
	if (s->iter == NULL)
		open_iterator(s);
	if (!reached)
		seek_iterator(s, from);
	s->iter_at = s->at;
	s->placed = true;
	s->passed = s->over_hull && s->spec.reverse && stands_on(s->iter, from);
	return true;
}

static bool
check_key(const ScanSource *s, size_t len, EngineError *err)
{
	if (len <= KALAM_MAX_KEY_BYTES)
		return true;
	engine_error(err, KALAM_ERR_CORRUPT, "a key of object %u is too long",
				 object_id(s->spec.object));
	return false;
}

/* Has an iterator that is bounded by the hull gone beyond the range? */
static bool
is_beyond(const ScanSource *s, const Found *f)
{
	return s->spec.reverse ?
		key_compare(f->place, f->place_len, s->lower.bytes, s->lower.len) < 0 :
		key_compare(f->place, f->place_len, s->upper.bytes, s->upper.len) >= 0;
}

/* The next key of the range under way; the same again, unless it was passed. */
static NextKey
next_key(ScanSource *s, Found *f, EngineError *err)
{
	use_turn(s, 1);
	if (!s->placed && !place_iterator(s))
		return NEXT_NONE;
	if (s->passed)
		engine_iter_move(s->iter, s->spec.reverse);
	s->passed = false;
	if (!engine_iter_entry(s->iter, &f->place, &f->place_len, &f->value, &f->value_len))
		return out_of_keys(s, err);
	if (s->over_hull && is_beyond(s, f))
		return NEXT_NONE;
	if (!check_key(s, f->place_len, err))
		return NEXT_ERROR;
	f->range = s->at;
	return NEXT_KEY;
}

static void
pass_key(ScanSource *s)
{
	s->passed = true;
	s->read++;
	s->patience = FIRST_PATIENCE;
}

/*
 * Counts the key that the iterator stands on and those behind it.  Only the last
 * one is looked at: from there the scan goes on if the iterator is made anew.
 */
static SourceStep
count_run(ScanSource *s, uint64_t max, uint32_t *count, EngineError *err)
{
	const ScanRange *r = &s->spec.ranges[s->at];
	uint32_t	n = 1;
	bool		at_end = false;
	Found		f;

	while (n < s->turn && n < max && !at_end)
	{
		engine_iter_move(s->iter, s->spec.reverse);
		at_end = !engine_iter_valid(s->iter);
		n += !at_end;
	}
	if (at_end)
	{
		switch (out_of_keys(s, err))
		{
			case NEXT_NONE:
				break;
			case NEXT_ERROR:
				return SOURCE_ERROR;
			default:
				return SOURCE_GAP;	/* they are behind the last place: once more */
		}
		/* nothing is left behind its end */
		note_place(s, s->at, s->spec.reverse ? r->lower : r->upper,
				   s->spec.reverse ? r->lower_len : r->upper_len);
		leave_range(s);
	}
	else
	{
		if (!engine_iter_entry(s->iter, &f.place, &f.place_len, &f.value, &f.value_len) ||
			!check_key(s, f.place_len, err))
			return SOURCE_ERROR;
		note_place(s, s->at, f.place, f.place_len);
		s->bytes += n * (f.place_len + f.value_len);
		s->passed = true;
	}
	use_turn(s, n);
	s->read += n;
	*count = n;
	return SOURCE_FOUND;
}

/* ---- rows looked up in batches ---- */

static bool
has_room(const ScanSource *s)
{
	uint32_t	n = look_up_count(s->batch);

	return n < look_up_room(s->batch) && n < s->wanted;
}

static bool
gather_points(ScanSource *s, EngineError *err)
{
	uint32_t	n;

	for (; s->at < s->spec.nranges && is_point(&s->spec.ranges[s->at]) && has_room(s); s->at++)
	{
		const ScanRange *r = &s->spec.ranges[s->at];
		int			cmp = s->spec.reverse ? -1 : 1;

		if (s->place.len > 0 && s->place.range == s->at)
			cmp = key_compare(r->lower, r->lower_len, s->place.key, s->place.len);
		if (s->spec.reverse ? cmp < 0 : cmp > 0)
			look_up_add(s->batch, s->at, r->lower, r->lower_len, NULL, 0);
	}
	n = look_up_count(s->batch);
	walk_skip(&s->walk, n);
	s->seeks += n;
	use_turn(s, n * SEEK_TURN);
	if (!look_up_run(s->batch, s->spec.object, s->spec.stamp, err))
		return false;
	if (!s->spec.follow)
		return true;
	if (!look_up_follow(s->batch, s->spec.object, s->spec.stamp, err))
		return false;
	s->read += look_up_count(s->batch);
	return true;
}

/* Gathers index entries, also over several ranges. */
static bool
gather_entries(ScanSource *s, EngineError *err)
{
	Found		f;
	size_t		len;

	while (s->at < s->spec.nranges && !is_point(&s->spec.ranges[s->at]) && has_room(s) &&
		   s->turn > 0)
	{
		switch (next_key(s, &f, err))
		{
			case NEXT_KEY:
				len = source_row_key(s->spec.object, &f, s->row_key, err);
				if (len == 0)
					return false;
				look_up_add(s->batch, s->at, s->row_key, len, f.place, f.place_len);
				pass_key(s);
				break;
			case NEXT_NONE:
				leave_range(s);
				break;
			case NEXT_GAP:
				return look_up_run(s->batch, s->spec.object, s->spec.stamp, err);
			case NEXT_ERROR:
				return false;
		}
	}
	return look_up_run(s->batch, s->spec.object, s->spec.stamp, err);
}

/* Makes the next batch; it may be empty. */
static bool
gather(ScanSource *s, EngineError *err)
{
	bool		points = is_point(&s->spec.ranges[s->at]);

	if (s->batch == NULL)
		s->batch = look_up_open();
	look_up_clear(s->batch);
	s->batch_next = 0;
	if (!(points ? gather_points(s, err) : gather_entries(s, err)))
		return false;
	if (s->spec.follow)
	{
		s->seeks += look_up_count(s->batch);
		use_turn(s, look_up_count(s->batch) * SEEK_TURN);
	}
	return true;
}

/* The next row of the batch, which has one. */
static SourceStep
next_of_batch(ScanSource *s, Found *f, EngineError *err)
{
	LookUpItem	it = look_up_item(s->batch, s->batch_next);

	*f = (Found) {it.range, it.place, it.place_len, it.key, it.key_len, it.value, it.value_len};
	if (it.value != NULL)
		return SOURCE_FOUND;
	source_lost_row(s->spec.object, err);
	return SOURCE_ERROR;
}

/* Drops points that are not there from the head of the batch. */
static bool
batch_has_row(ScanSource *s)
{
	while (s->batch_next < look_up_count(s->batch))
	{
		if (s->spec.follow || look_up_item(s->batch, s->batch_next).value != NULL)
			return true;
		s->batch_next++;
	}
	return false;
}

/* ---- rows ---- */

/* Is the next point read by the iterator?  (What it was placed in, it goes on with.) */
static bool
walks_on(const ScanSource *s)
{
	return s->placed || walks(s);
}

static SourceStep
next_place(ScanSource *s, Found *f, EngineError *err)
{
	while (s->turn > 0)
	{
		if (s->batch != NULL && batch_has_row(s))
			return next_of_batch(s, f, err);
		if (s->at >= s->spec.nranges)
			return SOURCE_END;
		if (s->spec.follow || (is_point(&s->spec.ranges[s->at]) && !walks_on(s)))
		{
			if (!gather(s, err))
				return SOURCE_ERROR;
			continue;
		}
		switch (next_key(s, f, err))
		{
			case NEXT_KEY:
				f->key = f->place;
				f->key_len = f->place_len;
				return SOURCE_FOUND;
			case NEXT_NONE:
				leave_range(s);
				break;
			case NEXT_GAP:
				return SOURCE_GAP;
			case NEXT_ERROR:
				return SOURCE_ERROR;
		}
	}
	return SOURCE_TURN;
}

SourceStep
source_next(ScanSource *s, Found *f, EngineError *err)
{
	SourceStep	step = next_place(s, f, err);

	if (step == SOURCE_FOUND && s->spec.index && !s->spec.follow)
	{
		f->key = s->row_key;
		f->key_len = source_row_key(s->spec.object, f, s->row_key, err);
		if (f->key_len == 0)
			return SOURCE_ERROR;
	}
	return step;
}

void
source_pass(ScanSource *s, const Found *f)
{
	note_place(s, f->range, f->place, f->place_len);
	if (s->wanted > 0)
		s->wanted--;
	if (s->batch != NULL && s->batch_next < look_up_count(s->batch))
	{
		s->read++;
		s->batch_next++;
		return;
	}
	s->bytes += f->place_len + f->value_len;
	pass_key(s);
	if (is_point(&s->spec.ranges[f->range]))
		leave_range(s);
}

void
source_skip(ScanSource *s, const Found *f)
{
	if (s->skipped == SKIPS || !s->placed || s->spec.follow ||
		is_point(&s->spec.ranges[f->range]))
	{
		source_pass(s, f);
		return;
	}
	/* (not patient again: it may have to come back for what is behind the place) */
	s->skipped++;
	s->bytes += f->place_len + f->value_len;
	s->passed = true;
	s->read++;
}

SourceStep
source_count(ScanSource *s, uint64_t max, uint32_t *n, EngineError *err)
{
	Found		f;
	SourceStep	step = next_place(s, &f, err);

	*n = 0;
	if (step != SOURCE_FOUND)
		return step;
	if (s->placed && !s->over_hull && !s->spec.follow && !is_point(&s->spec.ranges[f.range]))
		return count_run(s, max, n, err);
	source_pass(s, &f);
	*n = 1;
	return SOURCE_FOUND;
}
