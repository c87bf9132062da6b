/*
 * cache_hand.c
 *	  The shared cache by hand: invalidation, expiry, counters.
 *	  (Why it is right: cache_internal.h.)
 *
 * These look at all entries.  Tickets are what invalidates; the sweep makes room.
 */
#include "src/shared/cache_internal.h"

typedef struct Sweep
{
	uint32_t	group;
	uint32_t	tag;
	uint64_t	now_ms;
	uint64_t	busy;			/* entries whose fields could not be read */
} Sweep;

typedef bool (*Goes) (KalamCacheEntry *entry, const Sweep *sweep);

/* Drops those LIVE entries that go, to the last one.  Returns how many. */
static uint64_t
sweep_out(KalamCache *cache, uint32_t process, Sweep *sweep, Goes goes)
{
	uint64_t	gone = 0;

	for (uint32_t i = 0; i < cache->nentries; i++)
	{
		KalamCacheEntry *entry = kalam_cache_entry(cache, i);
		uint64_t	word = kalam_load(&entry->word, acquire);

		/* again, if another life has begun meanwhile: its record may only have moved */
		while ((word & ENTRY_STATE) == ENTRY_LIVE && goes(entry, sweep))
		{
			if (kalam_cache_drop(cache, process, i, word))
			{
				gone++;
				break;
			}
			word = kalam_load(&entry->word, acquire);
		}
		if ((word & ENTRY_STATE) == ENTRY_BUSY)
			sweep->busy++;
	}
	return gone;
}

static uint64_t
invalidate(KalamCache *cache, uint32_t process, Sweep *sweep, Goes goes)
{
	uint64_t	gone = sweep_out(cache, process, sweep, goes);

	kalam_count(&kalam_cache_counters(cache, process)->invalidations, gone);
	return gone;
}

static bool
of_group(KalamCacheEntry *entry, const Sweep *sweep)
{
	return (uint32_t) kalam_load(&entry->whose, acquire) == sweep->group;
}

static bool
of_tag(KalamCacheEntry *entry, const Sweep *sweep)
{
	return kalam_load(&entry->whose, acquire) == ((uint64_t) sweep->tag << 32 | sweep->group);
}

static bool
any(KalamCacheEntry *entry, const Sweep *sweep)
{
	(void) entry, (void) sweep;
	return true;
}

static bool
has_expired(KalamCacheEntry *entry, const Sweep *sweep)
{
	return kalam_load(&entry->expires_ms, acquire) <= sweep->now_ms;
}

uint64_t
kalam_cache_invalidate_group(KalamCache *cache, uint32_t process, uint32_t group)
{
	Sweep		sweep = {.group = group};

	kalam_cache_raise_ticket(cache, group);
	return invalidate(cache, process, &sweep, of_group);
}

uint64_t
kalam_cache_clear(KalamCache *cache, uint32_t process)
{
	Sweep		sweep = {0};
	uint64_t	gone;

	kalam_fetch_add(&cache->all_ticket, 1, acq_rel);
	gone = invalidate(cache, process, &sweep, any);

	/* there is room again for a round of the hand */
	kalam_store(&cache->free_until, kalam_load(&cache->hand, relaxed) + cache->shape.nsegments,
				relaxed);
	return gone;
}

uint64_t
kalam_cache_invalidate_tag(KalamCache *cache, uint32_t process, uint32_t group, uint32_t tag)
{
	Sweep		sweep = {.group = group, .tag = tag};
	uint64_t	gone = invalidate(cache, process, &sweep, of_tag);

	/* what was being moved may be of the tag, and comes back: the group goes */
	if (sweep.busy > 0)
		kalam_cache_raise_ticket(cache, group);
	return gone;
}

uint64_t
kalam_cache_expire(KalamCache *cache, uint32_t process, uint64_t now_ms)
{
	Sweep		sweep = {.now_ms = now_ms};
	uint64_t	gone = sweep_out(cache, process, &sweep, has_expired);

	kalam_count(&kalam_cache_counters(cache, process)->expired, gone);
	return gone;
}

void
kalam_cache_stats(KalamCache *cache, KalamCacheStats *stats)
{
	*stats = (KalamCacheStats)
	{
		.bytes_allowed = cache->bytes
	};
	for (uint32_t i = 0; i < cache->nprocesses; i++)
	{
		KalamCacheCounters *c = kalam_cache_counters(cache, i);

#define SUM(what)	(stats->what += atomic_load_explicit(&c->what, memory_order_relaxed))
		SUM(entries);
		SUM(bytes);
		SUM(pins);
		SUM(hits);
		SUM(misses);
		SUM(inserts);
		SUM(evictions);
		SUM(expired);
		SUM(invalidations);
		SUM(refused);
		SUM(too_large);
		SUM(full);
		SUM(corrupt);
#undef SUM
	}
}
