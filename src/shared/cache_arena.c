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
#define WORTH_A_TURN	8		/* a stretch of this fraction of a segment */
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
		   SEGMENT_TAIL(word) + nwords <= SEGMENT_LIMIT(word) &&
		   (word & SEGMENT_WRITERS) != SEGMENT_WRITERS)
	{
		if (kalam_cas(&s->word, &word, word + nwords * SEGMENT_TAIL_WORD + SEGMENT_WRITER))
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

/* A dead record over words that no record takes, so that the chain goes on. */
static void
bridge(KalamCache *cache, uint64_t at, uint64_t end)
{
	if (at < end)
		kalam_store(kalam_cache_arena(cache) + at, RECORD(end - at, 0), release);
}

/* Then its records are a chain from its beginning to its end. */
static bool
own(KalamCache *cache, uint64_t segment)
{
	KalamCacheSegment *s = kalam_cache_segment(cache, segment);
	uint64_t	word = kalam_load(&s->word, acquire);

	if ((word & (SEGMENT_STATE | SEGMENT_WRITERS)) != SEGMENT_READY ||
		segment == OPEN_SEGMENT(kalam_load(&cache->open, relaxed)) ||
		!kalam_cas(&s->word, &word, word | SEGMENT_OWNED))
		return false;
	bridge(cache, first_word(cache, segment) + SEGMENT_TAIL(word),
		   first_word(cache, segment) + SEGMENT_LIMIT(word));
	return true;
}

/* The end of being owned, or a part of what was. */
static void
disown(KalamCache *cache, uint64_t segment, uint64_t word)
{
	kalam_store(&kalam_cache_segment(cache, segment)->word, word, release);
}

static void
disown_full(KalamCache *cache, uint64_t segment)
{
	disown(cache, segment, SEGMENT(cache->shape.segment_words, cache->shape.segment_words));
}

static void
disown_empty(KalamCache *cache, uint64_t segment, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		disown(cache, segment + i, SEGMENT(0, cache->shape.segment_words));
}

/* Words of the arena from begin on, without end. */
typedef struct Stretch
{
	uint64_t	begin;
	uint64_t	end;
} Stretch;

static void
longer(Stretch *longest, uint64_t begin, uint64_t end)
{
	if (begin < end && end - begin > longest->end - longest->begin)
		*longest = (Stretch) {begin, end};
}

/*
 * The longest stretch of a chain of records without one that stays: that is pinned, or large
 * and was asked for (it has had its second chance by that).  Returns the number of segments
 * that the chain speaks for: more than 1 is the length of a run.  Who does not own the
 * segment may ask, and must not rely on the answer.
 */
static uint32_t
survey(KalamCache *cache, uint64_t at, uint64_t end, Stretch *free)
{
	uint64_t	begin = at;
	uint32_t	length = 1;

	*free = (Stretch) {at, at};
	while (at < end)
	{
		uint64_t	record = kalam_load(kalam_cache_arena(cache) + at, acquire);
		uint64_t	nwords = RECORD_WORDS(record);
		uint64_t	word;

		if (nwords == 0)
			return 1;			/* no record: somebody owns the segment, and is at work */
		if (nwords > cache->shape.segment_words)
			length = run_length(cache, nwords);
		if (is_held(cache, at, RECORD_OWNER(record), &word))
		{
			bool		chance = nwords > cache->shape.segment_words / 2 &&
				(word & ENTRY_REFERENCED);

			if (chance)
				kalam_fetch_and(&kalam_cache_entry(cache, RECORD_OWNER(record) - 1)->word,
								~ENTRY_REFERENCED, relaxed);
			if (chance || (word & ENTRY_PINS))
			{
				longer(free, begin, at);
				begin = at + nwords;
			}
		}
		at += nwords;
	}
	longer(free, begin, end);
	return length;
}

/*
 * Empties a stretch of a segment that the caller owns, up to a record that was pinned since
 * it was surveyed.  What was asked for slides to its beginning, not further than `most`,
 * or leaves if that is the beginning.  On return *free is without records.
 */
static void
empty(KalamCache *cache, uint32_t process, Stretch *free, uint64_t most)
{
	bool		keep = most > free->begin;
	uint64_t	to = free->begin;
	uint64_t	nwords;

	for (uint64_t at = free->begin; at < free->end; at += nwords)
	{
		uint64_t	record = kalam_load(kalam_cache_arena(cache) + at, relaxed);
		Fate		fate;

		nwords = RECORD_WORDS(record);
		fate = keep_or_evict(cache, process, at, record, keep && to + nwords <= most ? to : NOWHERE);
		if (fate == KEPT)
			to += nwords;
		if (fate == PINNED)
			free->end = at;
	}
	free->begin = to;
}

/* ---- room for a small record ---- */

static uint64_t
most_steps(const KalamCache *cache)
{
	uint64_t	round_twice = 2 * (uint64_t) cache->shape.nsegments;

	return round_twice < MOST_STEPS ? round_twice : MOST_STEPS;
}

/* Turns over a segment that the caller owns, if it has a stretch that is worth it. */
static bool
turn_over(KalamCache *cache, uint32_t process, uint64_t segment, uint64_t nwords,
		  KalamCacheRoom *room)
{
	uint64_t	first = first_word(cache, segment);
	uint64_t	least = cache->shape.segment_words / WORTH_A_TURN;
	uint32_t	length;
	uint64_t	half;
	Stretch		free;

	length = survey(cache, first, first + cache->shape.segment_words, &free);
	if (free.end - free.begin < (nwords > least ? nwords : least))
		return false;
	half = (free.end - free.begin) / 2;
	empty(cache, process, &free,
		  half >= nwords ? free.begin + half : free.end - nwords);
	if (free.end - free.begin < nwords)
	{
		bridge(cache, free.begin, free.end);
		return false;
	}
	disown_empty(cache, segment + 1, length - 1);
	disown(cache, segment,
		   SEGMENT(free.begin - first + nwords, free.end - first) | SEGMENT_WRITER);
	*room = (KalamCacheRoom)
	{
		.at = free.begin,
		.nwords = nwords,
		.segment = (uint32_t) segment
	};
	return true;
}

static bool
turn_next(KalamCache *cache, uint32_t process, uint64_t nwords, KalamCacheRoom *room)
{
	for (uint64_t steps = most_steps(cache); steps > 0; steps--)
	{
		uint64_t	segment = kalam_fetch_add(&cache->hand, 1, relaxed) %
			cache->shape.nsegments;

		if (!own(cache, segment))
			continue;
		if (turn_over(cache, process, segment, nwords, room))
			return true;
		disown_full(cache, segment);
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
			bool		turned = turn_next(cache, process, nwords, room);

			end_turn(cache, segment, turned ? room->segment : segment);
			return turned;
		}
	}
}

/* ---- room for a large one ---- */

/* Could the segment be emptied?  The number of segments that it speaks for, or 0. */
static uint32_t
looks_free(KalamCache *cache, uint64_t segment)
{
	uint64_t	word = kalam_load(&kalam_cache_segment(cache, segment)->word, acquire);
	uint64_t	first = first_word(cache, segment);
	Stretch		before;
	Stretch		behind;
	uint32_t	length;

	if ((word & (SEGMENT_STATE | SEGMENT_WRITERS)) != SEGMENT_READY ||
		segment == OPEN_SEGMENT(kalam_load(&cache->open, relaxed)))
		return 0;
	length = survey(cache, first, first + SEGMENT_TAIL(word), &before);
	survey(cache, first + SEGMENT_LIMIT(word), first + cache->shape.segment_words, &behind);
	return before.end - before.begin == SEGMENT_TAIL(word) &&
		behind.end - behind.begin == cache->shape.segment_words - SEGMENT_LIMIT(word) ? length : 0;
}

/* Owns and empties `wanted` segments from there on, none or all. */
static bool
own_run(KalamCache *cache, uint32_t process, uint64_t begin, uint32_t wanted)
{
	uint64_t	got = 0;

	while (got < wanted && own(cache, begin + got))
	{
		uint64_t	first = first_word(cache, begin + got);
		uint64_t	end = first + cache->shape.segment_words;
		uint32_t	length;
		Stretch		free;

		length = survey(cache, first, end, &free);
		if (free.begin == first && free.end == end)
		{
			empty(cache, process, &free, first);
			if (free.end == end)
			{
				got += length;
				continue;
			}
			bridge(cache, first, free.end);
		}
		disown_full(cache, begin + got);
		break;
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
		uint32_t	length;

		if (begin + wanted > nsegments)
			begin = at = 0;
		length = looks_free(cache, at);
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
	uint64_t	nwords = cache->shape.segment_words;

	if (room->nsegments > 0 && owner == 0)
	{
		disown_empty(cache, room->segment, room->nsegments);
		return;
	}
	kalam_store(kalam_cache_arena(cache) + room->at, RECORD(room->nwords, owner), release);
	if (room->nsegments == 0)
		kalam_fetch_sub(&kalam_cache_segment(cache, room->segment)->word, SEGMENT_WRITER, release);
	else
		disown(cache, room->segment,
			   SEGMENT(room->nwords < nwords ? room->nwords : nwords, nwords));
}
