/*
 * cache_arena.c
 *	  Room in the arena of the shared cache: appending, turning segments over, runs.
 *	  (Why it is right: cache_internal.h.)
 *
 * Nobody waits: who finds nothing within a bounded search goes without.
 */
#include "src/shared/cache_internal.h"

#ifndef REFUSALS				/* test_cache_model wants two to turn over at a time */
#define REFUSALS		64		/* puts refused for a turn under way before another takes it over */
#endif
#define MOST_STEPS		256		/* segments looked at for one put, and more for runs */

/* cache->open: number of the segment, being turned over 1 bit, refused meanwhile */
#define OPEN_SEGMENT(o)		((uint32_t) (o))
#define OPEN_TURNING		(UINT64_C(1) << 32)
#define OPEN_REFUSED		(UINT64_C(1) << 33)

static uint64_t
first_word(const KalamCache *cache, uint64_t segment)
{
	return segment * cache->shape.segment_words;
}

/* Segments that a run of so many words takes. */
static uint32_t
run_length(const KalamCache *cache, uint64_t nwords)
{
	return (uint32_t) ((nwords + cache->shape.segment_words - 1) / cache->shape.segment_words);
}

/* ---- what becomes of a record ---- */

/* Does the record at that word belong to an entry that may be used? */
static bool
is_held(KalamCache *cache, uint64_t at, uint32_t owner, uint64_t *word)
{
	KalamCacheEntry *entry;

	if (owner == 0 || owner > cache->nentries)
		return false;
	entry = kalam_cache_entry(cache, owner - 1);
	*word = kalam_load(&entry->word, acquire);
	if ((*word & ENTRY_STATE) != ENTRY_LIVE &&
		((*word & ENTRY_STATE) != ENTRY_DOOMED || (*word & ENTRY_PINS) == 0))
		return false;
	return PLACE_AT(kalam_load(&entry->place, acquire)) == at;
}

/* The record of an entry that the caller has made BUSY, to a place that is the caller's. */
static void
move_record(KalamCache *cache, uint32_t owner, uint64_t from, uint64_t to, uint64_t nwords)
{
	_Atomic uint64_t *arena = kalam_cache_arena(cache);
	KalamCacheEntry *entry = kalam_cache_entry(cache, owner - 1);
	uint64_t	place = kalam_load(&entry->place, relaxed);

	for (uint64_t i = 0; i < nwords; i++)
		kalam_store(arena + to + i, kalam_load(arena + from + i, relaxed), release);
	kalam_store(&entry->place, PLACE(to, PLACE_KEY_LEN(place)), release);
}

/* Room at the tail of that segment. */
static bool
append(KalamCache *cache, uint32_t segment, uint64_t nwords, KalamCacheRoom *room)
{
	KalamCacheSegment *s = kalam_cache_segment(cache, segment);
	uint64_t	word = kalam_load(&s->word, acquire);

	while ((word & SEGMENT_STATE) == SEGMENT_READY &&
		   SEGMENT_TAIL(word) + nwords <= cache->shape.segment_words &&
		   (word & SEGMENT_WRITERS) != SEGMENT_WRITERS)
	{
		if (kalam_cas(&s->word, &word, word + SEGMENT_OF_TAIL(nwords) + SEGMENT_WRITER))
		{
			*room = (KalamCacheRoom)
			{
				.at = first_word(cache, segment) + SEGMENT_TAIL(word),
				.nwords = nwords,
				.segment = segment
			};
			return true;
		}
	}
	return false;
}

/*
 * What was asked for goes on in the open segment, if there is room: true.  `word` is that
 * of its entry.
 */
static bool
move_to_open(KalamCache *cache, uint64_t at, uint64_t record, uint64_t word)
{
	KalamCacheEntry *entry = kalam_cache_entry(cache, RECORD_OWNER(record) - 1);
	KalamCacheRoom room;

	if (!append(cache, OPEN_SEGMENT(kalam_load(&cache->open, acquire)), RECORD_WORDS(record),
				&room))
		return false;
	if (!kalam_cas(&entry->word, &word, kalam_entry_next(word, ENTRY_BUSY)))
	{
		kalam_cache_give_room(cache, &room, 0);
		return false;
	}
	move_record(cache, RECORD_OWNER(record), at, room.at, room.nwords);
	kalam_cache_settle(entry, ENTRY_LIVE, 0);
	kalam_cache_give_room(cache, &room, RECORD_OWNER(record));
	return true;
}

typedef enum Fate
{
	GONE,						/* or never there */
	KEPT,						/* at `to` now */
	PINNED						/* as it was */
} Fate;

/*
 * What becomes of a record of a segment that the caller owns.  What was asked for may stay
 * at `to`, which is not behind it; NOWHERE: but elsewhere.
 */
#define NOWHERE		UINT64_MAX

static Fate
keep_or_evict(KalamCache *cache, uint32_t process, uint64_t at, uint64_t record, uint64_t to)
{
	uint32_t	owner = RECORD_OWNER(record);
	uint64_t	word;

	while (is_held(cache, at, owner, &word))
	{
		KalamCacheEntry *entry = kalam_cache_entry(cache, owner - 1);

		if (word & ENTRY_PINS)
			return PINNED;
		if ((word & ENTRY_REFERENCED) && to == at)
		{
			kalam_fetch_and(&entry->word, ~ENTRY_REFERENCED, relaxed);
			return KEPT;
		}
		if ((word & ENTRY_REFERENCED) && to != NOWHERE)
		{
			if (!kalam_cas(&entry->word, &word, kalam_entry_next(word, ENTRY_BUSY)))
				continue;
			move_record(cache, owner, at, to, RECORD_WORDS(record));
			kalam_cache_settle(entry, ENTRY_LIVE, 0);
			return KEPT;
		}
		if ((word & ENTRY_REFERENCED) && move_to_open(cache, at, record, word))
			return GONE;
		if (kalam_cache_take(cache, process, owner - 1, word, ENTRY_FREE))
		{
			kalam_count(&kalam_cache_counters(cache, process)->evictions, 1);
			return GONE;
		}
	}
	return GONE;
}

/* ---- owning segments ---- */

static bool
own(KalamCache *cache, uint64_t segment, uint64_t *word)
{
	KalamCacheSegment *s = kalam_cache_segment(cache, segment);

	*word = kalam_load(&s->word, acquire);
	return (*word & (SEGMENT_STATE | SEGMENT_WRITERS)) == SEGMENT_READY &&
		segment != OPEN_SEGMENT(kalam_load(&cache->open, relaxed)) &&
		kalam_cas(&s->word, word, *word | SEGMENT_OWNED);
}

/* The end of being owned, or a part of what was. */
static void
disown(KalamCache *cache, uint64_t segment, uint64_t word)
{
	kalam_store(&kalam_cache_segment(cache, segment)->word, word, release);
}

static void
disown_empty(KalamCache *cache, uint64_t segment, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		disown(cache, segment + i, SEGMENT_READY);
}

/*
 * Could the segment be emptied?  The number of segments that it speaks for, or 0: there is
 * a pinned record, or a run that was asked for (it has had its second chance by that).  Who
 * does not own the segment may ask, and must not rely on the answer.
 */
static uint32_t
can_empty(KalamCache *cache, uint64_t segment, uint64_t tail)
{
	uint64_t	at = first_word(cache, segment);
	uint64_t	end = at + tail;
	uint32_t	length = 1;

	while (at < end)
	{
		uint64_t	record = kalam_load(kalam_cache_arena(cache) + at, acquire);
		uint64_t	nwords = RECORD_WORDS(record);
		uint64_t	word;

		if (nwords == 0)
			return 0;			/* not a record: somebody owns the segment, and is at work */
		if (nwords > cache->shape.segment_words)
			length = run_length(cache, nwords);
		if (is_held(cache, at, RECORD_OWNER(record), &word))
		{
			if (word & ENTRY_PINS)
				return 0;
			if (nwords > cache->shape.segment_words / 2 && (word & ENTRY_REFERENCED))
			{
				kalam_fetch_and(&kalam_cache_entry(cache, RECORD_OWNER(record) - 1)->word,
								~ENTRY_REFERENCED, relaxed);
				return 0;
			}
		}
		at += nwords;
	}
	return length;
}

/*
 * Empties a segment that the caller owns.  keep: what was asked for slides to its beginning,
 * *fill words of it.  Returns the number of segments that are the caller's now, or 0 if
 * something is pinned: then the segment is as long as it was.
 */
static uint32_t
empty_segment(KalamCache *cache, uint32_t process, uint64_t segment, uint64_t tail, bool keep,
			  uint64_t *fill)
{
	uint64_t	begin = first_word(cache, segment);
	uint64_t	most = begin + cache->shape.segment_words / 2;
	uint64_t	to = begin;
	uint64_t	nwords;
	uint32_t	length = can_empty(cache, segment, tail);

	if (length == 0)
		return 0;
	for (uint64_t at = begin; at < begin + tail; at += nwords)
	{
		uint64_t	record = kalam_load(kalam_cache_arena(cache) + at, relaxed);

		nwords = RECORD_WORDS(record);
		switch (keep_or_evict(cache, process, at, record,
							  keep && to + nwords <= most ? to : NOWHERE))
		{
			case GONE:
				break;
			case KEPT:
				to += nwords;
				break;
			case PINNED:
				/* since can_empty looked: a dead record bridges what is gone */
				if (to < at)
					kalam_store(kalam_cache_arena(cache) + to, RECORD(at - to, 0), release);
				return 0;
		}
	}
	*fill = to - begin;
	return length;
}

/* ---- room for a small record ---- */

static uint64_t
most_steps(const KalamCache *cache)
{
	uint64_t	round_twice = 2 * (uint64_t) cache->shape.nsegments;

	return round_twice < MOST_STEPS ? round_twice : MOST_STEPS;
}

/* Turns over the next segment that can be, and takes room in it. */
static bool
turn_over(KalamCache *cache, uint32_t process, uint64_t nwords, KalamCacheRoom *room)
{
	for (uint64_t steps = most_steps(cache); steps > 0; steps--)
	{
		uint64_t	segment = kalam_fetch_add(&cache->hand, 1, relaxed) %
			cache->shape.nsegments;
		uint64_t	word;
		uint64_t	fill;
		uint32_t	length;

		if (!own(cache, segment, &word))
			continue;
		length = empty_segment(cache, process, segment, SEGMENT_TAIL(word), true, &fill);
		if (length == 0)
		{
			disown(cache, segment, word);
			continue;
		}
		disown_empty(cache, segment + 1, length - 1);
		disown(cache, segment, SEGMENT_OF_TAIL(fill + nwords) | SEGMENT_WRITER);
		*room = (KalamCacheRoom)
		{
			.at = first_word(cache, segment) + fill,
			.nwords = nwords,
			.segment = (uint32_t) segment
		};
		return true;
	}
	return false;
}

/* Segment `to` is open rather than `from`, unless another came first. */
static void
end_turn(KalamCache *cache, uint32_t from, uint32_t to)
{
	uint64_t	open = kalam_load(&cache->open, relaxed);

	while (OPEN_SEGMENT(open) == from && !kalam_cas(&cache->open, &open, to))
		;
}

static bool
take_appended(KalamCache *cache, uint32_t process, uint64_t nwords, KalamCacheRoom *room)
{
	for (;;)
	{
		uint64_t	open = kalam_load(&cache->open, acquire);
		uint32_t	segment = OPEN_SEGMENT(open);

		if (append(cache, segment, nwords, room))
			return true;
		if ((open & OPEN_TURNING) && open / OPEN_REFUSED < REFUSALS)
		{
			/* another is at it */
			if (kalam_cas(&cache->open, &open, open + OPEN_REFUSED))
				return false;
		}
		else if (kalam_cas(&cache->open, &open, segment | OPEN_TURNING))
		{
			bool		turned = turn_over(cache, process, nwords, room);

			end_turn(cache, segment, turned ? room->segment : segment);
			return turned;
		}
	}
}

/* ---- room for a large one ---- */

/* Owns and empties `wanted` segments from there on, none or all. */
static bool
own_run(KalamCache *cache, uint32_t process, uint64_t begin, uint32_t wanted)
{
	uint64_t	got = 0;

	while (got < wanted)
	{
		uint64_t	word;
		uint64_t	fill;
		uint32_t	length;

		if (!own(cache, begin + got, &word))
			break;
		length = empty_segment(cache, process, begin + got, SEGMENT_TAIL(word), false, &fill);
		if (length == 0)
		{
			disown(cache, begin + got, word);
			break;
		}
		got += length;
	}
	if (got < wanted)
	{
		disown_empty(cache, begin, got);
		return false;
	}
	for (uint32_t i = 1; i < wanted; i++)
		disown(cache, begin + i, SEGMENT_PART);
	disown_empty(cache, begin + wanted, got - wanted);
	return true;
}

static bool
take_run(KalamCache *cache, uint32_t process, uint64_t nwords, KalamCacheRoom *room)
{
	uint32_t	nsegments = cache->shape.nsegments;
	uint32_t	wanted = run_length(cache, nwords);
	uint64_t	hand = kalam_load(&cache->hand, relaxed);
	uint64_t	begin = hand % nsegments;
	uint64_t	at = begin;

	if (wanted > nsegments)
		return false;
	for (uint64_t steps = most_steps(cache) + 4 * wanted; steps > 0; steps--)
	{
		uint64_t	word;
		uint32_t	length;

		if (begin + wanted > nsegments)
			begin = at = 0;
		word = kalam_load(&kalam_cache_segment(cache, at)->word, acquire);
		length = (word & (SEGMENT_STATE | SEGMENT_WRITERS)) == SEGMENT_READY &&
			at != OPEN_SEGMENT(kalam_load(&cache->open, relaxed)) ?
			can_empty(cache, at, SEGMENT_TAIL(word)) : 0;
		if (length == 0)
		{
			begin = ++at;
			continue;
		}
		at += length;
		if (at - begin < wanted)
			continue;
		if (own_run(cache, process, begin, wanted))
		{
			*room = (KalamCacheRoom)
			{
				.at = first_word(cache, begin),
				.nwords = nwords,
				.segment = (uint32_t) begin,
				.nsegments = wanted
			};
			kalam_store(&cache->hand,
						hand + (begin + wanted + nsegments - hand % nsegments) % nsegments, relaxed);
			return true;
		}
		begin = at;
	}
	return false;
}

/* ---- both ---- */

bool
kalam_cache_take_room(KalamCache *cache, uint32_t process, uint64_t nwords, KalamCacheRoom *room)
{
	if (nwords <= cache->shape.segment_words / 2)
		return take_appended(cache, process, nwords, room);
	return take_run(cache, process, nwords, room);
}

void
kalam_cache_give_room(KalamCache *cache, const KalamCacheRoom *room, uint32_t owner)
{
	uint64_t	tail = room->nwords < cache->shape.segment_words ?
		room->nwords : cache->shape.segment_words;

	if (room->nsegments > 0 && owner == 0)
	{
		disown_empty(cache, room->segment, room->nsegments);
		return;
	}
	kalam_store(kalam_cache_arena(cache) + room->at, RECORD(room->nwords, owner), release);
	if (room->nsegments > 0)
		disown(cache, room->segment, SEGMENT_OF_TAIL(tail));
	else
		kalam_fetch_sub(&kalam_cache_segment(cache, room->segment)->word, SEGMENT_WRITER, release);
}
