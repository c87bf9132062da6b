/*
 * cache.h
 *	  A bounded cache in memory that processes share: from key bytes to value bytes.
 *
 * C11 only: no Postgres, no RocksDB.  A cache lies in memory that its owner gives
 * it, at any address in each process; it holds offsets, never pointers.  No
 * function waits, and there is no lock: a process that dies at any instruction
 * leaves at most an entry, a piece of the arena or a pin that are not used again
 * until the memory is laid out anew.
 *
 * What is found is used in one of two ways.  Small values are copied into the
 * caller's buffer, which writes nothing that others read: an entry that changes
 * meanwhile is seen to have changed.  Larger ones are pinned: one atomic increment,
 * the bytes in place for as long as the caller likes, one atomic decrement.  What is
 * pinned is neither moved nor overwritten; it may be evicted or invalidated, and is
 * not found again then.  Who holds a pin gives it back at every way out.
 *
 * Is an entry true?  It was put with the stamp at which its value was read.  A
 * reader names words of shared memory that hold the stamps of the last changes, and
 * the stamp that it reads at; the entry answers it if no word is above the older one
 * of the two stamps.  The words are read after the entry, and the entry is looked at
 * again.  (Whoever changes something raises a word before it publishes the stamp of
 * the change, and never lowers it.)  So entries are not hunted down: a late, lost or
 * racing put does no harm.  Invalidation by hand works likewise, by a ticket that is
 * taken before the value is read.
 */
#ifndef KALAM_CACHE_H
#define KALAM_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct KalamCache KalamCache;

#define KALAM_CACHE_MAX_KEY_BYTES	8192
#define KALAM_CACHE_WORDS			4

/* Bytes below which there is no cache. */
extern uint64_t kalam_cache_least_bytes(uint32_t nprocesses);

/*
 * Lays out memory of that size, 64-aligned, whose content does not matter.  The
 * caller is the only one to see it.  bytes bounds all: headers, arena, counters.
 */
extern void kalam_cache_init(KalamCache *cache, uint64_t bytes, uint32_t nprocesses);

/* Values beyond are not kept: an eighth of the arena. */
extern uint64_t kalam_cache_max_value_bytes(const KalamCache *cache);

/* ---- finding ---- */

/* The group is a part of the key; what is invalidated by hand goes by it. */
typedef struct KalamCacheKey
{
	const void *data;
	uint32_t	len;			/* at most KALAM_CACHE_MAX_KEY_BYTES */
	uint32_t	group;
	uint64_t	hash;			/* of the bytes, any good one, always the same one */
} KalamCacheKey;

/* What a reader asks for: the value at a stamp, at a time. */
typedef struct KalamCacheAt
{
	uint64_t	stamp;			/* UINT64_MAX: the newest */
	uint64_t	now_ms;			/* of a clock that never goes back; see expires_ms */
	uint32_t	nwords;
	const _Atomic uint64_t *words[KALAM_CACHE_WORDS];
} KalamCacheAt;

typedef struct KalamCacheValue
{
	const void *data;			/* 8-aligned: the caller's buffer, or in place until */
	uint32_t	len;			/* kalam_cache_unpin */
	uint32_t	tag;			/* as it was put */
	uint64_t	stamp;			/* likewise */
	uint32_t	pin;			/* what kalam_cache_unpin wants */
} KalamCacheValue;

typedef enum KalamCacheFind
{
	KALAM_CACHE_MISS = 0,		/* not there, expired, or not true any more */
	KALAM_CACHE_COPIED,			/* into the buffer; there is no pin */
	KALAM_CACHE_PINNED
} KalamCacheFind;

/*
 * process is the number of the calling one, below nprocesses: its counters count.
 * A value of at most buffer_size bytes (the buffer is 8-aligned) is copied.
 */
extern KalamCacheFind kalam_cache_find(KalamCache *cache, uint32_t process,
									   const KalamCacheKey *key, const KalamCacheAt *at,
									   void *buffer, uint32_t buffer_size,
									   KalamCacheValue *value);

/* Once for each PINNED. */
extern void kalam_cache_unpin(KalamCache *cache, uint32_t process, uint32_t pin);

/* ---- putting ---- */

/* To be taken before the value is read; see kalam_cache_invalidate_group. */
extern uint64_t kalam_cache_ticket(KalamCache *cache, uint32_t group);

/*
 * Is it worth its while to put so many bytes of a key of this hash?  Always while
 * there is room that was never used; then of keys that were asked about lately, so
 * that what is read once does not drive out what is read again and again.
 */
extern bool kalam_cache_wants(KalamCache *cache, uint32_t process, uint64_t hash, uint64_t bytes);

typedef struct KalamCachePart
{
	const void *data;
	uint32_t	len;
} KalamCachePart;

typedef enum KalamCachePut
{
	KALAM_CACHE_STORED = 0,
	KALAM_CACHE_NEWER,			/* there is one of a newer stamp */
	KALAM_CACHE_RACED,			/* its group was invalidated since the ticket */
	KALAM_CACHE_TOO_LARGE,
	KALAM_CACHE_FULL			/* of what is pinned or is being written now */
} KalamCachePut;

/*
 * Keeps the value, its parts one behind the other, read at `stamp`, until
 * expires_ms.  One of the same key and an older or equal stamp is replaced.
 */
extern KalamCachePut kalam_cache_put(KalamCache *cache, uint32_t process,
									 const KalamCacheKey *key, uint64_t ticket, uint64_t stamp,
									 uint32_t tag, uint64_t expires_ms,
									 const KalamCachePart *parts, uint32_t nparts);

/* ---- by hand: these look at all entries ---- */

/*
 * What was put into the group, and what will be with a ticket from before, is not
 * found any more when this returns.  Returns the number of entries that went.
 */
extern uint64_t kalam_cache_invalidate_group(KalamCache *cache, uint32_t process, uint32_t group);

/* The same of all groups. */
extern uint64_t kalam_cache_clear(KalamCache *cache, uint32_t process);

/* Those of the group that were put with the tag; a put that is under way may come behind. */
extern uint64_t kalam_cache_invalidate_tag(KalamCache *cache, uint32_t process, uint32_t group,
										   uint32_t tag);

/* Those that have expired.  Returns their number. */
extern uint64_t kalam_cache_expire(KalamCache *cache, uint32_t process, uint64_t now_ms);

/* ---- counters ---- */

typedef struct KalamCacheStats
{
	uint64_t	entries;		/* that are there now, true or not */
	uint64_t	bytes;			/* that they take in the arena */
	uint64_t	bytes_allowed;	/* as kalam_cache_init was told */
	uint64_t	pins;			/* held now */
	uint64_t	hits;
	uint64_t	misses;			/* all that were no hits: stale and expired ones too */
	uint64_t	inserts;
	uint64_t	evictions;
	uint64_t	expired;
	uint64_t	invalidations;	/* entries found untrue, replaced by newer, or by hand */
	uint64_t	refused;		/* not admitted */
	uint64_t	too_large;
	uint64_t	full;
	uint64_t	corrupt;		/* KALAM_CHECKED builds: checksums that were wrong */
} KalamCacheStats;

extern void kalam_cache_stats(KalamCache *cache, KalamCacheStats *stats);

#endif							/* KALAM_CACHE_H */
