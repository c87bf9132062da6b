/*
 * stamps.c
 *	  Published stamps and their snapshots.
 *
 * The commit thread publishes; any thread looks up.  A snapshot is released
 * when its stamp is not the published one, no slot pins it and no cursor holds
 * it.  Pins are compared exactly, so that one old pin does not keep all newer
 * ones.  A backend pins with "pin = pub; look at pub again", and the scan of
 * the pins comes after the store to pub, both seq_cst: a pin that the scan
 * misses is of a backend that will see the newer pub and pin that instead.
 *
 * lock guards the table, which is sorted by stamp; it is held for a few
 * comparisons only, and never while RocksDB works.
 */
#include "src/storage/stamps.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/storage/storage.h"

struct Stamp
{
	uint64_t	number;
	EngineSnapshot *snapshot;
	int			holders;		/* under lock */
	bool		pinned;			/* found by the scan under way */
};

/* pins are looked through when this many snapshots exist */
#define TRIM_AT 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Stamp **table;
static uint32_t nstamps;
static uint32_t capacity;

void
stamps_open(void)
{
	capacity = 64;
	table = calloc(capacity, sizeof(Stamp *));
	nstamps = 0;
}

void
stamps_close(void)
{
	for (uint32_t i = 0; i < nstamps; i++)
	{
		engine_snapshot_release(storage.engine, table[i]->snapshot);
		free(table[i]);
	}
	free(table);
	table = NULL;
	nstamps = 0;
}

/* Under lock. */
static Stamp *
find(uint64_t number)
{
	uint32_t	low = 0,
				high = nstamps;

	while (low < high)
	{
		uint32_t	mid = (low + high) / 2;

		if (table[mid]->number == number)
			return table[mid];
		if (table[mid]->number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

Stamp *
stamps_get(uint64_t stamp)
{
	Stamp	   *s;

	if (stamp < atomic_load(&storage.seg->floor))
		return NULL;
	pthread_mutex_lock(&lock);
	s = find(stamp);
	if (s != NULL)
		s->holders++;
	pthread_mutex_unlock(&lock);
	return s;
}

Stamp *
stamps_newest(void)
{
	for (;;)
	{
		Stamp	   *s = stamps_get(atomic_load(&storage.seg->pub));

		if (s != NULL)
			return s;			/* else it moved on in between */
	}
}

void
stamp_put(Stamp *s)
{
	pthread_mutex_lock(&lock);
	s->holders--;
	pthread_mutex_unlock(&lock);
}

EngineSnapshot *
stamp_snapshot(Stamp *s)
{
	return s->snapshot;
}

/* Marks what the slots pin.  Under lock. */
static void
mark_pins(void)
{
	for (uint32_t i = 0; i < storage.nslots; i++)
	{
		KalamSlot  *slot = kalam_slot(storage.seg, i);
		uint32_t	n = atomic_load(&slot->npins);

		for (uint32_t p = 0; p < n && p < KALAM_PINS_PER_SLOT; p++)
		{
			uint64_t	number = atomic_load(&slot->pins[p]);
			Stamp	   *s = number != 0 ? find(number) : NULL;

			if (s != NULL)
				s->pinned = true;
		}
	}
}

bool
stamps_trim(void)
{
	uint64_t	pub = atomic_load(&storage.seg->pub);
	Stamp	   *gone[64];
	uint32_t	ngone = 0,
				kept = 0;
	bool		left;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < nstamps; i++)
		table[i]->pinned = false;
	mark_pins();
	for (uint32_t i = 0; i < nstamps; i++)
	{
		Stamp	   *s = table[i];

		if (s->number < pub && s->holders == 0 && !s->pinned && ngone < 64)
			gone[ngone++] = s;
		else
			table[kept++] = s;
	}
	nstamps = kept;
	left = nstamps > 1;
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 0; i < ngone; i++)
	{
		engine_snapshot_release(storage.engine, gone[i]->snapshot);
		free(gone[i]);
	}
	return left;
}

void
stamps_publish(uint64_t stamp)
{
	Stamp	   *s = calloc(1, sizeof(Stamp));
	static uint32_t since_trim;

	s->number = stamp;
	s->snapshot = engine_snapshot_create(storage.engine);
	pthread_mutex_lock(&lock);
	if (nstamps == capacity)
	{
		capacity *= 2;
		table = realloc(table, capacity * sizeof(Stamp *));
	}
	table[nstamps++] = s;
	pthread_mutex_unlock(&lock);
	atomic_store(&storage.seg->pub, stamp);
	if (++since_trim >= TRIM_AT)
	{
		since_trim = 0;
		stamps_trim();
	}
}
