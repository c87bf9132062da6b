/*
 * cachepin.h
 *	  Values of the shared caches that running scans use in place.
 *
 * A pin is the scan's, which gives it back when it ends; else the end of the
 * (sub)transaction that began it does, at the latest that of the process.
 */
#ifndef KALAM_CACHEPIN_H
#define KALAM_CACHEPIN_H

#include "postgres.h"
#include "src/shared/cache.h"

/* The number of a pin that is held; 0: none, so that zeroed memory holds none. */
typedef uint32 KalamCachePin;

/*
 * kalam_cache_find by this process.  If the value is pinned, *pin says by what to give
 * it back, and value->pin is not to be used; else *pin is 0.  owner: the
 * subtransaction whose abort gives it back, as in KalamRange.
 */
extern KalamCacheFind kalam_cache_find_held(KalamCache *cache, const KalamCacheKey *key,
											const KalamCacheAt *at, void *buffer,
											uint32 buffer_size, SubTransactionId owner,
											KalamCacheValue *value, KalamCachePin *pin);

/* Gives the pin back, if it is one, and makes it 0.  Never raises. */
extern void kalam_cache_give_back(KalamCachePin *pin);

/* Callbacks; never raise. */
extern void kalam_cache_pins_at_abort(SubTransactionId sub);	/* Invalid: all */
extern void kalam_cache_pins_at_subcommit(SubTransactionId sub, SubTransactionId parent);

#endif							/* KALAM_CACHEPIN_H */
