/*
 * cache_internal.h
 *	  The memory of the shared cache (cache.h), and why it needs no lock.
 *
 * Layout.  Entries are found through an array of lines of 64 bytes, in sets of
 * KALAM_CACHE_WAYS; a key's hash names its set.  Keys and values lie in the arena, as
 * records of 8-byte words, in segments:
 *
 *	 entry	-> record: [ size, number of its entry | key | value ], in one segment, or,
 *						if it takes more than half of one, in a run of whole segments
 *
 * Records are appended to the open segment.  When that is full the hand moves on to the next
 * one and turns it over: what was asked for since the last time slides to its beginning (up
 * to half of it), the rest goes, and it is open.  If something is pinned in it, that is done
 * to the longest stretch between what is.
 *
 * Every word that two processes may touch at a time is atomic; the macros of atomics.h
 * are the only access.  What each step rests on:
 *
 * 1. The entry's word: state, referenced, pins, generation.
 *
 *	 FREE -> BUSY -> LIVE -> FREE		nobody has it pinned
 *						  -> DOOMED -> FREE		somebody has: the last to unpin frees it
 *						  -> BUSY		another key takes it, or its record is moved
 *
 *	 Each change is a compare-and-swap of the whole word, so that it fails if somebody
 *	 pinned the entry meanwhile.  Who made it BUSY owns its other fields, and nobody else
 *	 writes them.  A generation names one life in LIVE: LIVE -> FREE and -> BUSY raise it.
 *	 State and generation being what they were before, the fields read between are those
 *	 of that life, and so are the bytes of its record (2).
 *
 * 2. Copied bytes.  Fields and arena are written by release stores and read by acquire
 *	 loads.  Before anybody overwrites a record its entry has left LIVE, by the writer
 *	 itself or by one whose segment the writer acquired (3).  So a reader that sees one
 *	 word of the new bytes has acquired that, and sees it when it looks at the entry's
 *	 word again.  Fields that do not belong together may name any place: they are checked
 *	 against the bounds of the arena before they are followed.
 *
 * 3. The segment's word: state, writers, tail, limit.  READY: who moves the tail on by
 *	 compare-and-swap, not over the limit, has the room behind it, and is a writer until its
 *	 entry is LIVE or its record dead.  OWNED, from READY without writers, again by
 *	 compare-and-swap: the owner alone relies on the chain of records, and changes them.  All
 *	 of these acquire and release, so that what was done to entries and bytes before is seen
 *	 by the next one.  PART belongs to a run, whose first segment speaks for it.  Which segment
 *	 is open is a mere hint: an append to any READY segment is right, and so is owning the
 *	 open one.
 *
 * 4. Pins.  A pin is one fetch-and-add on the entry's word, whatever life that is in; the
 *	 value that it returns says whether the pin took hold of the life that was meant, else
 *	 it is taken back.  A count above zero only ever keeps things: LIVE becomes DOOMED
 *	 rather than FREE, and the last of the pins, meant or not, frees what is DOOMED.  FREE and
 *	 BUSY carry stray pins along.  Whoever would overwrite a record sees that its entry is
 *	 not LIVE or DOOMED with that place, and no entry comes to LIVE with a place that is not
 *	 its putter's or mover's.  A DOOMED entry without pins (its last holder died between two
 *	 instructions) is taken as FREE.
 *
 * 5. Is it true?  Stamp, ticket and time of expiry are read after the entry's word and
 *	 before the words that the reader names and the words of tickets; then the entry's word
 *	 is looked at again (2) or pinned (4).  So the words are at least as new as the entry:
 *	 the process that put it had seen `pub` at its stamp.  Two entries of one key may be
 *	 there for a while; each is right or wrong by itself, and a reader goes on behind a wrong
 *	 one.
 *
 * 6. Tickets.  A group's word (of 1024 by hash) and one of all; a ticket is the sum of the two.
 *	 Both only grow, so equal sums mean that neither moved.  The entry keeps the ticket of its
 *	 put, and a reader wants it to be today's: raising a word is all there is to an
 *	 invalidation; that the entries are swept out behind it only makes room.
 *
 * 7. Death.  There is nothing that a process must finish for others to go on.  BUSY entries,
 *	 OWNED segments, segments with writers, and pins of the dead are not used again.  The
 *	 right to turn over a segment, which spares the others from doing the same work, passes to
 *	 another after so many puts that were refused for it.
 */
#ifndef KALAM_CACHE_INTERNAL_H
#define KALAM_CACHE_INTERNAL_H

#include "src/shared/atomics.h"
#include "src/shared/cache.h"

#if defined(USE_ASSERT_CHECKING) && !defined(KALAM_CHECKED)
#define KALAM_CHECKED
#endif

#ifndef KALAM_CACHE_WAYS			/* test_cache_model has fewer of both */
#define KALAM_CACHE_WAYS		8	/* a power of two */
#define KALAM_CACHE_TICKETS		1024
#endif

/* ---- entries ---- */

typedef struct KalamCacheEntry
{
	_Alignas(64) _Atomic uint64_t word;	/* the rest belongs to who made it BUSY */
	_Atomic uint64_t hash;
	_Atomic uint64_t stamp;
	_Atomic uint64_t ticket;
	_Atomic uint64_t expires_ms;
	_Atomic uint64_t whose;		/* group, tag */
	_Atomic uint64_t place;		/* first word of the record in the arena, bytes of the key */
	_Atomic uint64_t size;		/* bytes of the value, checksum (KALAM_CHECKED) */
} KalamCacheEntry;

_Static_assert(sizeof(KalamCacheEntry) == 64, "an entry is a cache line");

/* word: state 2 bits, referenced 1, pins 20, generation 41 */
#define ENTRY_FREE			UINT64_C(0)
#define ENTRY_BUSY			UINT64_C(1)
#define ENTRY_LIVE			UINT64_C(2)
#define ENTRY_DOOMED		UINT64_C(3)
#define ENTRY_STATE			UINT64_C(3)
#define ENTRY_REFERENCED	UINT64_C(4)
#define ENTRY_PIN			UINT64_C(8)
#define ENTRY_PINS			(UINT64_C(0xFFFFF) * ENTRY_PIN)
#define ENTRY_MANY_PINS		(UINT64_C(0x80000) * ENTRY_PIN)	/* no more than these */
#define ENTRY_GENERATION	(UINT64_C(1) << 23)
#define ENTRY_LIFE			(ENTRY_STATE | ~(ENTRY_GENERATION - 1))	/* what tells lives apart */

static inline bool
kalam_entry_same_life(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ENTRY_LIFE) == 0;
}

/* Of the next life, in that state, without pins. */
static inline uint64_t
kalam_entry_next(uint64_t word, uint64_t state)
{
	return ((word & ~(ENTRY_GENERATION - 1)) + ENTRY_GENERATION) | state;
}

#define PLACE_KEY_BITS		24
#define PLACE_KEY_LEN(p)	((uint32_t) ((p) & ((UINT64_C(1) << PLACE_KEY_BITS) - 1)))
#define PLACE_AT(p)			((p) >> PLACE_KEY_BITS)
#define PLACE(at, key_len)	((uint64_t) (at) << PLACE_KEY_BITS | (key_len))

/* ---- the arena: words of 8 bytes ---- */

/* A record begins with its size in words and the number of its entry + 1, or 0: dead. */
#define RECORD(nwords, owner)	((uint64_t) (nwords) << 32 | (owner))
#define RECORD_WORDS(r)			((r) >> 32)
#define RECORD_OWNER(r)			((uint32_t) (r))

static inline uint64_t
kalam_words_of(uint64_t bytes)
{
	return (bytes + 7) / 8;
}

static inline uint64_t
kalam_record_words(uint64_t key_len, uint64_t value_len)
{
	return 1 + kalam_words_of(key_len) + kalam_words_of(value_len);
}

typedef struct KalamCacheSegment
{
	_Alignas(64) _Atomic uint64_t word;
} KalamCacheSegment;

/*
 * word: state 2 bits, writers 20, tail 20, limit 20, the last two in words of the segment.
 * Records lie before the tail and from the limit on; what is behind the limit was pinned
 * when the segment was turned over, or lay behind such a one.
 */
#define SEGMENT_READY		UINT64_C(0)
#define SEGMENT_OWNED		UINT64_C(1)
#define SEGMENT_PART		UINT64_C(2)	/* of a run, not its first */
#define SEGMENT_STATE		UINT64_C(3)
#define SEGMENT_WRITER		UINT64_C(4)
#define SEGMENT_WRITERS		(UINT64_C(0xFFFFF) * SEGMENT_WRITER)
#define SEGMENT_TAIL_WORD	(UINT64_C(1) << 22)
#define SEGMENT_TAIL(w)		((w) >> 22 & 0xFFFFF)
#define SEGMENT_LIMIT(w)	((w) >> 42 & 0xFFFFF)
#define SEGMENT(tail, limit)	((uint64_t) (limit) << 42 | (uint64_t) (tail) << 22)
#define SEGMENT_MOST_WORDS	0xFFFFF

/* ---- counters: two lines a process, which it alone writes ---- */

typedef struct KalamCacheCounters
{
	_Alignas(64)
	_Atomic uint64_t hits;
	_Atomic uint64_t misses;
	_Atomic uint64_t pins;		/* taken less given back: the sum of all processes counts */
	_Atomic uint64_t entries;	/* likewise put less gone, as are the next */
	_Atomic uint64_t bytes;
	_Atomic uint64_t inserts;
	_Atomic uint64_t evictions;
	_Atomic uint64_t expired;
	_Atomic uint64_t invalidations;
	_Atomic uint64_t refused;
	_Atomic uint64_t too_large;
	_Atomic uint64_t full;
	_Atomic uint64_t corrupt;
	_Atomic uint64_t marks;		/* that it made on the doors */
} KalamCacheCounters;

_Static_assert(sizeof(KalamCacheCounters) == 128, "two cache lines a process");

/* ---- the whole ---- */

/* What kalam_cache_init decides by the bytes that it is given. */
typedef struct KalamCacheShape
{
	uint32_t	nsets;
	uint32_t	nsegments;		/* 2 at least */
	uint32_t	segment_words;
	uint32_t	ndoors;			/* words of the doorkeeper */
} KalamCacheShape;

struct KalamCache
{
	/* constant; offsets from the beginning of the cache */
	KalamCacheShape shape;
	uint32_t	nentries;
	uint32_t	nprocesses;
	uint64_t	bytes;
	uint64_t	counters_offset;
	uint64_t	entries_offset;
	uint64_t	arena_offset;
	uint64_t	arena_words;
	uint64_t	segments_offset;
	uint64_t	doors_offset;

	/* written by hand only */
	_Alignas(64) _Atomic uint64_t all_ticket;
	_Atomic uint64_t free_until;	/* while hand is below, there is room without asking */

	/* written by who puts */
	_Alignas(64) _Atomic uint64_t open; /* the open segment, and who turns over the next */
	_Alignas(64) _Atomic uint64_t hand; /* segments that it passed; modulo nsegments: next */
	_Atomic uint64_t door_hand; /* the same of words of the doorkeeper */

	_Alignas(64) _Atomic uint64_t tickets[KALAM_CACHE_TICKETS];
};

static inline KalamCacheEntry *
kalam_cache_entry(KalamCache *cache, uint64_t index)
{
	return (KalamCacheEntry *) ((char *) cache + cache->entries_offset) + index;
}

static inline _Atomic uint64_t *
kalam_cache_arena(KalamCache *cache)
{
	return (_Atomic uint64_t *) ((char *) cache + cache->arena_offset);
}

static inline KalamCacheSegment *
kalam_cache_segment(KalamCache *cache, uint64_t index)
{
	return (KalamCacheSegment *) ((char *) cache + cache->segments_offset) + index;
}

static inline KalamCacheCounters *
kalam_cache_counters(KalamCache *cache, uint32_t process)
{
	return (KalamCacheCounters *) ((char *) cache + cache->counters_offset) + process;
}

static inline _Atomic uint64_t *
kalam_cache_doors(KalamCache *cache)
{
	return (_Atomic uint64_t *) ((char *) cache + cache->doors_offset);
}

/* Any good hash may be poor in some of its bits. */
static inline uint64_t
kalam_cache_mix(uint64_t hash)
{
	hash *= UINT64_C(0x9E3779B97F4A7C15);
	return hash ^ hash >> 32;
}

/* 0 .. n - 1 by the upper half of a mixed hash */
static inline uint64_t
kalam_cache_scale(uint64_t mixed, uint32_t n)
{
	return (mixed >> 32) * n >> 32;
}

/*
 * The entries of a set in the order in which a key looks at them: i from 0.  Keys begin
 * at different ones, so that most are found at once.
 */
typedef struct KalamCacheSet
{
	uint32_t	first;
	uint32_t	start;
} KalamCacheSet;

static inline KalamCacheSet
kalam_cache_set(const KalamCache *cache, uint64_t hash)
{
	uint64_t	mixed = kalam_cache_mix(hash);

	return (KalamCacheSet)
	{
		(uint32_t) kalam_cache_scale(mixed, cache->shape.nsets) * KALAM_CACHE_WAYS, (uint32_t) mixed
	};
}

static inline uint32_t
kalam_cache_way(KalamCacheSet set, uint32_t i)
{
	return set.first + ((set.start + i) & (KALAM_CACHE_WAYS - 1));
}

/* ---- cache_layout.c ---- */

extern uint64_t kalam_cache_shape_bytes(const KalamCacheShape *shape, uint32_t nprocesses);
extern void kalam_cache_init_shape(KalamCache *cache, const KalamCacheShape *shape,
								   uint32_t nprocesses);

/* ---- cache.c ---- */

/* Are these the key's bytes?  The record may change meanwhile; it is within the arena. */
extern bool kalam_cache_key_is(KalamCache *cache, uint64_t place, const KalamCacheKey *key);

/* What was put into the group up to now is not found any more. */
extern void kalam_cache_raise_ticket(KalamCache *cache, uint32_t group);

/* Does a record of these sizes lie within the arena? */
extern bool kalam_cache_within(const KalamCache *cache, uint64_t place, uint64_t size);

/*
 * Takes an entry that was seen LIVE, with that word, out of sight, unless that life is over
 * already.  True: this call did it.
 */
extern bool kalam_cache_drop(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word);

/*
 * The same, but only if nobody has it pinned; state: FREE, or BUSY: the caller's.
 */
extern bool kalam_cache_take(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word,
							 uint64_t state);

/* The end of what the caller made BUSY: LIVE or FREE, referenced or not. */
extern void kalam_cache_settle(KalamCacheEntry *entry, uint64_t state, uint64_t referenced);

/* Somebody who is about to ask whether the key is wanted did ask about it before. */
extern void kalam_cache_mark(KalamCache *cache, uint32_t process, uint64_t hash);

extern uint32_t kalam_cache_checksum(const void *key, uint32_t key_len, const void *value,
									 uint32_t value_len);

/* ---- cache_arena.c ---- */

/* Room for a record, the caller's alone until kalam_cache_give_room. */
typedef struct KalamCacheRoom
{
	uint64_t	at;				/* word of the arena */
	uint64_t	nwords;
	uint32_t	segment;
	uint32_t	nsegments;		/* of a run; 0: appended */
} KalamCacheRoom;

/* False: there is none that is not pinned, being written, or being made by another. */
extern bool kalam_cache_take_room(KalamCache *cache, uint32_t process, uint64_t nwords,
								  KalamCacheRoom *room);

/* The record is that of LIVE entry owner - 1, or (0) dead. */
extern void kalam_cache_give_room(KalamCache *cache, const KalamCacheRoom *room, uint32_t owner);

#endif							/* KALAM_CACHE_INTERNAL_H */
