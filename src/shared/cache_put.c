/*
 * cache_put.c
 *	  Putting into the shared cache: what is wanted, and how an entry comes to live.
 *	  (Why it is right: cache_internal.h.)
 *
 * The record is written first, to room that is the caller's alone; then an entry of the
 * key's set is taken, the one that the key has already if nobody has it pinned.
 */
#include "src/shared/cache_internal.h"

#include <string.h>

#define MARKS_A_WORD	8		/* of the doorkeeper, on the average, before it is wiped */
#define TRIES			4		/* to take an entry from others */

/* ---- the doorkeeper: keys asked about lately, a few bits each in one word ---- */

static bool
mark(KalamCache *cache, uint32_t process, uint64_t hash)
{
	KalamCacheCounters *counters = kalam_cache_counters(cache, process);
	_Atomic uint64_t *doors = kalam_cache_doors(cache);
	uint64_t	mixed = kalam_cache_mix(~hash);
	uint64_t	at = kalam_cache_scale(mixed, cache->shape.ndoors);
	uint64_t	bits = UINT64_C(1) << (mixed & 63) | UINT64_C(1) << (mixed >> 6 & 63) |
		UINT64_C(1) << (mixed >> 12 & 63);

	if ((kalam_load(doors + at, relaxed) & bits) == bits)
		return true;

	/* wipes words in turn, so that what is marked once is forgotten */
	if (atomic_load_explicit(&counters->marks, memory_order_relaxed) % MARKS_A_WORD == 0)
		kalam_store(doors + kalam_fetch_add(&cache->door_hand, 1, relaxed) % cache->shape.ndoors,
					0, relaxed);
	kalam_count(&counters->marks, 1);
	kalam_fetch_or(doors + at, bits, relaxed);
	return false;
}

void
kalam_cache_mark(KalamCache *cache, uint32_t process, uint64_t hash)
{
	mark(cache, process, hash);
}

bool
kalam_cache_wants(KalamCache *cache, uint32_t process, uint64_t hash, uint64_t bytes)
{
	KalamCacheCounters *counters = kalam_cache_counters(cache, process);

	if (bytes > kalam_cache_max_value_bytes(cache))
	{
		kalam_count(&counters->too_large, 1);
		return false;
	}
	if (bytes <= cache->arena_words * 8 / 64 &&
		kalam_load(&cache->hand, relaxed) < kalam_load(&cache->free_until, relaxed))
		return true;
	if (mark(cache, process, hash))
		return true;
	kalam_count(&counters->refused, 1);
	return false;
}

/* ---- the bytes ---- */

typedef struct Writer
{
	_Atomic uint64_t *at;
	uint64_t	word;			/* the next one, of which `have` bytes are there */
	uint32_t	have;
} Writer;

static void
write_bytes(Writer *w, const char *data, uint64_t len)
{
	while (len > 0)
	{
		uint64_t	n = 8 - w->have;

		if (n == 8)
		{
			_Atomic uint64_t *at = w->at;

			/* (four at a time: the compiler does not unroll this by itself) */
			for (; len >= 32; len -= 32, data += 32, at += 4)
			{
				uint64_t	words[4];

				memcpy(words, data, 32);
				kalam_store(at, words[0], release);
				kalam_store(at + 1, words[1], release);
				kalam_store(at + 2, words[2], release);
				kalam_store(at + 3, words[3], release);
			}
			for (; len >= 8; len -= 8, data += 8)
			{
				uint64_t	word;

				memcpy(&word, data, 8);
				kalam_store(at++, word, release);
			}
			w->at = at;
		}
		if (n > len)
			n = len;
		memcpy((char *) &w->word + w->have, data, n);
		w->have += n;
		data += n;
		len -= n;
		if (w->have == 8)
		{
			kalam_store(w->at++, w->word, release);
			w->word = 0;
			w->have = 0;
		}
	}
}

static void
write_end(Writer *w)
{
	if (w->have > 0)
		kalam_store(w->at++, w->word, release);
	w->word = 0;
	w->have = 0;
}

static void
write_record(KalamCache *cache, const KalamCacheRoom *room, const KalamCacheKey *key,
			 const KalamCachePart *parts, uint32_t nparts)
{
	Writer		w = {.at = kalam_cache_arena(cache) + room->at + 1};

	write_bytes(&w, key->data, key->len);
	write_end(&w);
	for (uint32_t i = 0; i < nparts; i++)
		write_bytes(&w, parts[i].data, parts[i].len);
	write_end(&w);
}

/* ---- the entry ---- */

/* Is that a LIVE entry of the key?  *word is its word then. */
static bool
is_of_key(KalamCache *cache, uint32_t index, const KalamCacheKey *key, uint64_t *word)
{
	KalamCacheEntry *entry = kalam_cache_entry(cache, index);
	uint64_t	place;

	*word = kalam_load(&entry->word, acquire);
	if ((*word & ENTRY_STATE) != ENTRY_LIVE || kalam_load(&entry->hash, acquire) != key->hash ||
		(uint32_t) kalam_load(&entry->whose, acquire) != key->group)
		return false;
	place = kalam_load(&entry->place, acquire);
	return PLACE_KEY_LEN(place) == key->len &&
		kalam_cache_within(cache, place, 0) &&
		kalam_cache_key_is(cache, place, key) &&
		kalam_entry_same_life(kalam_load(&entry->word, acquire), *word);
}

/* Is that entry, LIVE with that word, newer, and not invalidated? */
static bool
is_newer(KalamCache *cache, uint32_t index, uint64_t word, uint64_t ticket, uint64_t stamp)
{
	KalamCacheEntry *entry = kalam_cache_entry(cache, index);

	return kalam_load(&entry->stamp, acquire) > stamp &&
		kalam_load(&entry->ticket, acquire) == ticket &&
		kalam_entry_same_life(kalam_load(&entry->word, acquire), word);
}

/* Has the key such a one? */
static bool
newer_is_there(KalamCache *cache, KalamCacheSet set, const KalamCacheKey *key, uint64_t ticket,
			   uint64_t stamp)
{
	for (uint32_t i = 0; i < KALAM_CACHE_WAYS; i++)
	{
		uint32_t	index = kalam_cache_way(set, i);
		uint64_t	word;

		if (is_of_key(cache, index, key, &word) &&
			is_newer(cache, index, word, ticket, stamp))
			return true;
	}
	return false;
}

/* FREE, or DOOMED and pinned by nobody: the caller's. */
static bool
take_free(KalamCacheEntry *entry)
{
	uint64_t	word = kalam_load(&entry->word, acquire);

	return ((word & ENTRY_STATE) == ENTRY_FREE ||
			(word & (ENTRY_STATE | ENTRY_PINS)) == ENTRY_DOOMED) &&
		kalam_cas(&entry->word, &word,
				  kalam_entry_next(word, ENTRY_BUSY) | (word & ENTRY_PINS));
}

/*
 * The entry of the set whose record the hand will reach first, of those that were not asked
 * for (or no matter) and that nobody has pinned: evicted, and the caller's.  -1: none.
 */
static int64_t
take_victim(KalamCache *cache, uint32_t process, KalamCacheSet set, bool referenced)
{
	uint64_t	hand = kalam_load(&cache->hand, relaxed) % cache->shape.nsegments;
	uint64_t	least = UINT64_MAX;
	uint64_t	life = 0;
	int64_t		victim = -1;

	for (uint32_t i = 0; i < KALAM_CACHE_WAYS; i++)
	{
		uint32_t	index = kalam_cache_way(set, i);
		KalamCacheEntry *entry = kalam_cache_entry(cache, index);
		uint64_t	word = kalam_load(&entry->word, acquire);
		uint64_t	ahead;

		if ((word & ENTRY_STATE) != ENTRY_LIVE || (word & ENTRY_PINS) ||
			((word & ENTRY_REFERENCED) && !referenced))
			continue;
		ahead = PLACE_AT(kalam_load(&entry->place, acquire)) + cache->arena_words -
			hand * cache->shape.segment_words;
		if (ahead >= cache->arena_words)
			ahead -= cache->arena_words;
		if (ahead < least)
		{
			least = ahead;
			life = word;
			victim = index;
		}
	}
	if (victim < 0 || !kalam_cache_take(cache, process, victim, life, ENTRY_BUSY))
		return -1;
	kalam_count(&kalam_cache_counters(cache, process)->evictions, 1);
	return victim;
}

/*
 * STORED: *taken is an entry of the set, BUSY and the caller's; what the key had is gone;
 * *referenced: it was asked for.  NEWER: the key has a newer one.  FULL: all are in use.
 */
static KalamCachePut
take_entry(KalamCache *cache, uint32_t process, KalamCacheSet set, const KalamCacheKey *key,
		   uint64_t ticket, uint64_t stamp, int64_t *taken, uint64_t *referenced)
{
	*taken = -1;
	*referenced = 0;
	for (uint32_t i = 0; i < KALAM_CACHE_WAYS; i++)
	{
		uint32_t	index = kalam_cache_way(set, i);
		uint64_t	word;

		if (!is_of_key(cache, index, key, &word))
			continue;
		if (is_newer(cache, index, word, ticket, stamp))
		{
			if (*taken >= 0)
				kalam_cache_settle(kalam_cache_entry(cache, *taken), ENTRY_FREE, 0);
			return KALAM_CACHE_NEWER;
		}
		*referenced |= word & ENTRY_REFERENCED;
		if (*taken < 0 && kalam_cache_take(cache, process, index, word, ENTRY_BUSY))
			*taken = index;
		else if (!kalam_cache_drop(cache, process, index, word))
			continue;
		kalam_count(&kalam_cache_counters(cache, process)->invalidations, 1);
	}
	for (uint32_t try = 0; try < TRIES && *taken < 0; try++)
	{
		for (uint32_t i = 0; i < KALAM_CACHE_WAYS && *taken < 0; i++)
			if (take_free(kalam_cache_entry(cache, kalam_cache_way(set, i))))
				*taken = kalam_cache_way(set, i);
		if (*taken < 0)
			*taken = take_victim(cache, process, set, false);
		if (*taken < 0)
		{
			/* all were asked for: each has a second chance, but the first one */
			for (uint32_t i = 0; i < KALAM_CACHE_WAYS; i++)
				kalam_fetch_and(&kalam_cache_entry(cache, kalam_cache_way(set, i))->word,
								~ENTRY_REFERENCED, relaxed);
			*taken = take_victim(cache, process, set, true);
		}
	}
	return *taken < 0 ? KALAM_CACHE_FULL : KALAM_CACHE_STORED;
}

/* Of two puts of the key at a time, neither of which saw the other, one goes. */
static void
drop_others(KalamCache *cache, uint32_t process, KalamCacheSet set, const KalamCacheKey *key,
			uint32_t mine, uint64_t stamp)
{
	for (uint32_t i = 0; i < KALAM_CACHE_WAYS; i++)
	{
		uint32_t	index = kalam_cache_way(set, i);
		uint64_t	other;
		uint64_t	word;

		if (index == mine || !is_of_key(cache, index, key, &word))
			continue;
		other = kalam_load(&kalam_cache_entry(cache, index)->stamp, acquire);
		if ((other < stamp || (other == stamp && index > mine)) &&
			kalam_cache_drop(cache, process, index, word))
			kalam_count(&kalam_cache_counters(cache, process)->invalidations, 1);
	}
}

static KalamCachePut
put_record(KalamCache *cache, uint32_t process, const KalamCacheKey *key, uint64_t ticket,
		   uint64_t stamp, uint32_t tag, uint64_t expires_ms, uint32_t value_len,
		   const KalamCacheRoom *room)
{
	KalamCacheSet set = kalam_cache_set(cache, key->hash);
	KalamCacheCounters *counters = kalam_cache_counters(cache, process);
	const char *record = (const char *) (kalam_cache_arena(cache) + room->at + 1);
	uint64_t	checksum;
	uint64_t	referenced;
	KalamCachePut result;
	KalamCacheEntry *entry;
	int64_t		index;

	checksum = kalam_cache_checksum(record, key->len,
									record + 8 * kalam_words_of(key->len), value_len);
	result = take_entry(cache, process, set, key, ticket, stamp, &index, &referenced);
	if (result != KALAM_CACHE_STORED)
		return result;
	entry = kalam_cache_entry(cache, index);
	kalam_store(&entry->hash, key->hash, release);
	kalam_store(&entry->stamp, stamp, release);
	kalam_store(&entry->ticket, ticket, release);
	kalam_store(&entry->expires_ms, expires_ms, release);
	kalam_store(&entry->whose, (uint64_t) tag << 32 | key->group, release);
	kalam_store(&entry->place, PLACE(room->at, key->len), release);
	kalam_store(&entry->size, checksum << 32 | value_len, release);
	kalam_count(&counters->entries, 1);
	kalam_count(&counters->bytes, 8 * room->nwords);
	kalam_cache_settle(entry, ENTRY_LIVE, referenced);
	kalam_cache_give_room(cache, room, (uint32_t) index + 1);
	drop_others(cache, process, set, key, (uint32_t) index, stamp);
	return KALAM_CACHE_STORED;
}

KalamCachePut
kalam_cache_put(KalamCache *cache, uint32_t process, const KalamCacheKey *key, uint64_t ticket,
				uint64_t stamp, uint32_t tag, uint64_t expires_ms, const KalamCachePart *parts,
				uint32_t nparts)
{
	KalamCacheCounters *counters = kalam_cache_counters(cache, process);
	uint64_t	len = 0;
	KalamCacheRoom room;
	KalamCachePut result;

	for (uint32_t i = 0; i < nparts; i++)
		len += parts[i].len;
	if (key->len > KALAM_CACHE_MAX_KEY_BYTES || len > kalam_cache_max_value_bytes(cache))
	{
		kalam_count(&counters->too_large, 1);
		return KALAM_CACHE_TOO_LARGE;
	}
	if (ticket != kalam_cache_ticket(cache, key->group))
		return KALAM_CACHE_RACED;
	if (newer_is_there(cache, kalam_cache_set(cache, key->hash), key, ticket, stamp))
		return KALAM_CACHE_NEWER;
	if (!kalam_cache_take_room(cache, process, kalam_record_words(key->len, len), &room))
	{
		kalam_count(&counters->full, 1);
		return KALAM_CACHE_FULL;
	}
	write_record(cache, &room, key, parts, nparts);
	result = put_record(cache, process, key, ticket, stamp, tag, expires_ms, (uint32_t) len,
						&room);
	if (result == KALAM_CACHE_STORED)
		kalam_count(&counters->inserts, 1);
	else
		kalam_cache_give_room(cache, &room, 0);
	if (result == KALAM_CACHE_FULL)
		kalam_count(&counters->full, 1);
	return result;
}
