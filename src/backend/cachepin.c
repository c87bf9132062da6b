/*
 * cachepin.c
 *	  Pins of this process: see cachepin.h.
 *
 * They are kept here, not in the scans that hold them: the memory of these is gone
 * already when the callbacks of an abort run.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "src/backend/cachepin.h"
#include "src/backend/caches.h"
#include "src/backend/client.h"
#include "src/backend/shmem.h"

typedef struct HeldPin
{
	KalamCache *cache;			/* NULL: free */
	uint32		pin;
	SubTransactionId owner;
} HeldPin;

static HeldPin *held = NULL;
static uint32 nheld = 0;		/* held[nheld ..] are free */
static uint32 held_size = 0;

/* Room for one more, before there is a pin that could be lost for want of it. */
static uint32
free_place(void)
{
	uint32		i;

	for (i = 0; i < nheld && held[i].cache != NULL; i++)
		;
	if (i == held_size)
	{
		uint32		size = Max(8, 2 * held_size);

		held = held == NULL ? MemoryContextAlloc(TopMemoryContext, size * sizeof(HeldPin)) :
			repalloc(held, size * sizeof(HeldPin));
		held_size = size;
	}
	return i;
}

static void
release(uint32 i)
{
	kalam_cache_unpin(held[i].cache, kalam_cache_process(), held[i].pin);
	held[i].cache = NULL;
	while (nheld > 0 && held[nheld - 1].cache == NULL)
		nheld--;
}

KalamCacheFind
kalam_cache_find_held(KalamCache *cache, const KalamCacheKey *key, const KalamCacheAt *at,
					  void *buffer, uint32 buffer_size, SubTransactionId owner,
					  KalamCacheValue *value, KalamCachePin *pin)
{
	uint32		place = free_place();
	KalamCacheFind found = kalam_cache_find(cache, kalam_cache_process(), key, at,
											buffer, buffer_size, value);

	*pin = 0;
	if (found == KALAM_CACHE_PINNED)
	{
		held[place].cache = cache;
		held[place].pin = value->pin;
		held[place].owner = kalam_owner_now(owner);
		nheld = Max(nheld, place + 1);
		*pin = place + 1;
	}
	return found;
}

void
kalam_cache_give_back(KalamCachePin *pin)
{
	if (*pin > 0)
		release(*pin - 1);
	*pin = 0;
}

void
kalam_cache_pins_at_abort(SubTransactionId sub)
{
	for (uint32 i = nheld; i-- > 0;)
		if (held[i].cache != NULL &&
			(sub == InvalidSubTransactionId || held[i].owner == sub))
			release(i);
}

void
kalam_cache_pins_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	for (uint32 i = 0; i < nheld; i++)
		if (held[i].owner == sub)
			held[i].owner = parent;
}
