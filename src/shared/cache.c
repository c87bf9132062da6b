/*
 * cache.c
 *	  Finding in the shared cache, and pins.  (Why it is right: cache_internal.h.)
 *
 * A hit writes nothing that others read but, for a pinned value, the entry's word,
 * and once after a turn of the hand the bit that says that it was asked for.
 */
#include "src/shared/cache_internal.h"

#include <string.h>

#ifdef KALAM_CHECKED
#include <stdlib.h>

#include "src/shared/segment.h"
#endif

/* ---- tickets ---- */

static _Atomic uint64_t *
group_ticket(KalamCache *cache, uint32_t group)
{
	return &cache->tickets[kalam_cache_scale(kalam_cache_mix(group), KALAM_CACHE_TICKETS)];
}

uint64_t
kalam_cache_ticket(KalamCache *cache, uint32_t group)
{
	return kalam_load(group_ticket(cache, group), acquire) +
		kalam_load(&cache->all_ticket, acquire);
}

void
kalam_cache_raise_ticket(KalamCache *cache, uint32_t group)
{
	kalam_fetch_add(group_ticket(cache, group), 1, acq_rel);
}

/* ---- the bytes of a record ---- */

bool
kalam_cache_within(const KalamCache *cache, uint64_t place, uint64_t size)
{
	return PLACE_AT(place) < cache->arena_words &&
		kalam_record_words(PLACE_KEY_LEN(place), (uint32_t) size) <=
		cache->arena_words - PLACE_AT(place);
}

/* The last bytes, fewer than 8, as the arena has them: padded with zeros. */
static uint64_t
last_word(const char *data, uint32_t len)
{
	uint64_t	word = 0;

	memcpy(&word, data, len);
	return word;
}

bool
kalam_cache_key_is(KalamCache *cache, uint64_t place, const KalamCacheKey *key)
{
	const _Atomic uint64_t *at = kalam_cache_arena(cache) + PLACE_AT(place) + 1;
	const char *data = key->data;
	uint32_t	left = key->len;

	for (; left >= 8; left -= 8, data += 8)
	{
		uint64_t	word;

		memcpy(&word, data, 8);
		if (kalam_load(at++, acquire) != word)
			return false;
	}
	return left == 0 || kalam_load(at, acquire) == last_word(data, left);
}

static void
copy_out(void *buffer, const _Atomic uint64_t *at, uint32_t len)
{
	uint64_t   *to = buffer;
	uint64_t	word;

	/* (four at a time: the compiler does not unroll this by itself) */
	for (; len >= 32; len -= 32, at += 4, to += 4)
	{
		to[0] = kalam_load(at, acquire);
		to[1] = kalam_load(at + 1, acquire);
		to[2] = kalam_load(at + 2, acquire);
		to[3] = kalam_load(at + 3, acquire);
	}
	for (; len >= 8; len -= 8)
		*to++ = kalam_load(at++, acquire);
	if (len > 0)
	{
		word = kalam_load(at, acquire);
		memcpy(to, &word, len);
	}
}

uint32_t
kalam_cache_checksum(const void *key, uint32_t key_len, const void *value, uint32_t value_len)
{
#ifdef KALAM_CHECKED
	return (uint32_t) kalam_hash(value, value_len, kalam_hash(key, key_len, 0));
#else
	(void) key, (void) key_len, (void) value, (void) value_len;
	return 0;
#endif
}

/* ---- states of an entry ---- */

/*
 * The end of a life that was seen LIVE with that word.  state: BUSY or FREE, if nobody has it
 * pinned; DOOMED: FREE or, if somebody has, DOOMED.  False: it is over already, or pinned.
 */
static bool
end_life(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word, uint64_t state)
{
	KalamCacheEntry *entry = kalam_cache_entry(cache, index);
	KalamCacheCounters *counters = kalam_cache_counters(cache, process);
	uint64_t	life = word;
	uint64_t	place = kalam_load(&entry->place, acquire);
	uint64_t	size = kalam_load(&entry->size, acquire);
	uint64_t	next;

	do
	{
		if (!kalam_entry_same_life(word, life))
			return false;
		if ((word & ENTRY_PINS) == 0)
			next = kalam_entry_next(word, state == ENTRY_BUSY ? ENTRY_BUSY : ENTRY_FREE);
		else if (state == ENTRY_DOOMED)
			next = word | ENTRY_DOOMED;
		else
			return false;
	} while (!kalam_cas(&entry->word, &word, next));

	kalam_count(&counters->entries, -UINT64_C(1));
	kalam_count(&counters->bytes,
				-8 * kalam_record_words(PLACE_KEY_LEN(place), (uint32_t) size));
	return true;
}

bool
kalam_cache_drop(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word)
{
	return end_life(cache, process, index, word, ENTRY_DOOMED);
}

bool
kalam_cache_take(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word,
				 uint64_t state)
{
	return end_life(cache, process, index, word, state);
}

void
kalam_cache_settle(KalamCacheEntry *entry, uint64_t state, uint64_t referenced)
{
	uint64_t	word = kalam_load(&entry->word, relaxed);

	/* the word may change by pins that were not meant for it */
	while (!kalam_cas(&entry->word, &word,
					  (word & ~(ENTRY_STATE | ENTRY_REFERENCED)) | state | referenced))
		;
}

/* Takes one pin off, and frees the entry if it was only kept for that. */
static void
unpin(KalamCacheEntry *entry)
{
	uint64_t	word = kalam_fetch_sub(&entry->word, ENTRY_PIN, release) - ENTRY_PIN;

	if ((word & (ENTRY_STATE | ENTRY_PINS)) == ENTRY_DOOMED)
		kalam_cas(&entry->word, &word, kalam_entry_next(word, ENTRY_FREE));
}

void
kalam_cache_unpin(KalamCache *cache, uint32_t process, uint32_t pin)
{
#ifdef KALAM_CHECKED
	if (pin >= cache->nentries ||
		(kalam_load(&kalam_cache_entry(cache, pin)->word, relaxed) & ENTRY_PINS) == 0)
		abort();				/* it was given back before, or never taken */
#endif
	unpin(kalam_cache_entry(cache, pin));
	kalam_count(&kalam_cache_counters(cache, process)->pins, -UINT64_C(1));
}

/* ---- finding ---- */

/* An entry of this key, or of its hash at least, answers nobody any more. */
static void
drop_dead(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word, uint64_t hash,
		  _Atomic uint64_t *counter)
{
	/* what was asked for before is wanted again */
	if (word & ENTRY_REFERENCED)
		kalam_cache_mark(cache, process, hash);
	if (kalam_cache_drop(cache, process, index, word))
		kalam_count(counter, 1);
}

/* Bytes that are not those that were put. */
static void
drop_corrupt(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word)
{
	kalam_cache_drop(cache, process, index, word);
	kalam_count(&kalam_cache_counters(cache, process)->corrupt, 1);
}

/* An entry that was LIVE, with that word and the key's hash. */
static KalamCacheFind
use_entry(KalamCache *cache, uint32_t process, uint32_t index, uint64_t word,
		  const KalamCacheKey *key, const KalamCacheAt *at, void *buffer, uint32_t buffer_size,
		  KalamCacheValue *value)
{
	KalamCacheEntry *entry = kalam_cache_entry(cache, index);
	KalamCacheCounters *counters = kalam_cache_counters(cache, process);
	uint64_t	whose = kalam_load(&entry->whose, acquire);
	uint64_t	place = kalam_load(&entry->place, acquire);
	uint64_t	size = kalam_load(&entry->size, acquire);
	uint64_t	stamp = kalam_load(&entry->stamp, acquire);
	uint64_t	ticket = kalam_load(&entry->ticket, acquire);
	uint64_t	expires_ms = kalam_load(&entry->expires_ms, acquire);
	uint64_t	changed = 0;
	const _Atomic uint64_t *bytes;

	if ((uint32_t) whose != key->group || PLACE_KEY_LEN(place) != key->len ||
		!kalam_cache_within(cache, place, size))
		return KALAM_CACHE_MISS;

	/* for good? then room is made of it */
	for (uint32_t i = 0; i < at->nwords; i++)
	{
		uint64_t	last = kalam_load(at->words[i], acquire);

		if (last > changed)
			changed = last;
	}
	if (changed > stamp || ticket != kalam_cache_ticket(cache, key->group))
	{
		drop_dead(cache, process, index, word, key->hash, &counters->invalidations);
		return KALAM_CACHE_MISS;
	}
	if (expires_ms <= at->now_ms)
	{
		drop_dead(cache, process, index, word, key->hash, &counters->expired);
		return KALAM_CACHE_MISS;
	}
	if (changed > at->stamp)
		return KALAM_CACHE_MISS;	/* true, but for newer readers */

	bytes = kalam_cache_arena(cache) + PLACE_AT(place) + 1 + kalam_words_of(key->len);
	value->len = (uint32_t) size;
	value->tag = (uint32_t) (whose >> 32);
	value->stamp = stamp;
	if (value->len <= buffer_size)
	{
		if (!kalam_cache_key_is(cache, place, key))
			return KALAM_CACHE_MISS;
		copy_out(buffer, bytes, value->len);
		if (!kalam_entry_same_life(kalam_load(&entry->word, acquire), word))
			return KALAM_CACHE_MISS;
		if (kalam_cache_checksum(key->data, key->len, buffer, value->len) != size >> 32)
		{
			drop_corrupt(cache, process, index, word);
			return KALAM_CACHE_MISS;
		}
		value->data = buffer;
		value->pin = UINT32_MAX;
	}
	else
	{
		uint64_t	pinned;

		if ((word & ENTRY_PINS) >= ENTRY_MANY_PINS)
			return KALAM_CACHE_MISS;
		pinned = kalam_fetch_add(&entry->word, ENTRY_PIN, acquire);
		if (!kalam_entry_same_life(pinned, word) || !kalam_cache_key_is(cache, place, key))
		{
			unpin(entry);
			return KALAM_CACHE_MISS;
		}
		if (kalam_cache_checksum(key->data, key->len, (const void *) bytes, value->len) !=
			size >> 32)
		{
			unpin(entry);
			drop_corrupt(cache, process, index, word);
			return KALAM_CACHE_MISS;
		}
		kalam_count(&counters->pins, 1);
		value->data = (const void *) bytes;
		value->pin = index;
	}

	if (!(word & ENTRY_REFERENCED))
		kalam_fetch_or(&entry->word, ENTRY_REFERENCED, relaxed);
	return value->pin == UINT32_MAX ? KALAM_CACHE_COPIED : KALAM_CACHE_PINNED;
}

KalamCacheFind
kalam_cache_find(KalamCache *cache, uint32_t process, const KalamCacheKey *key,
				 const KalamCacheAt *at, void *buffer, uint32_t buffer_size,
				 KalamCacheValue *value)
{
	KalamCacheSet set = kalam_cache_set(cache, key->hash);
	KalamCacheCounters *counters = kalam_cache_counters(cache, process);

	for (uint32_t i = 0; i < KALAM_CACHE_WAYS; i++)
	{
		uint32_t	index = kalam_cache_way(set, i);
		KalamCacheEntry *entry = kalam_cache_entry(cache, index);
		uint64_t	word = kalam_load(&entry->word, acquire);
		KalamCacheFind found;

		if ((word & ENTRY_STATE) != ENTRY_LIVE ||
			kalam_load(&entry->hash, acquire) != key->hash)
			continue;
		found = use_entry(cache, process, index, word, key, at, buffer, buffer_size, value);
		if (found != KALAM_CACHE_MISS)
		{
			kalam_count(&counters->hits, 1);
			return found;
		}
	}
	kalam_count(&counters->misses, 1);
	return KALAM_CACHE_MISS;
}
