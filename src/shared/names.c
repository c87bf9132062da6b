/*
 * names.c
 *	  Identifiers of the whole server: see names.h.
 *
 * Names lie one behind the other in an arena, whose end only grows; a name's number
 * is where it lies, in units.  An open hash table has the numbers.  A name is
 * written first and then put into the first empty place of its row of places, with
 * one atomic operation, and no place is ever emptied.  So two that enter the same
 * name meet at the same place, and who comes second finds the first one's.  More
 * names than places do not fit into the arena: each search ends at an empty one.
 */
#include "src/shared/names.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "src/shared/atomics.h"
#include "src/shared/segment.h"

#define UNIT_BYTES	16			/* of the arena; the known names take one each */
#define LEAST_BYTES 4096

typedef struct Name
{
	uint16_t	len;
	uint16_t	hash;			/* its low bits: other names are mostly told by these */
	char		text[];			/* and a NUL */
} Name;

/* The table is behind it, the arena behind the table. */
struct KalamNames
{
	uint64_t	bytes;			/* these three never change */
	uint32_t	nplaces;
	uint32_t	nunits;
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t end;		/* of the arena that is taken, in units; acquire and release,
								 * for room that is given back is written by another */
	_Atomic uint64_t refused;	/* relaxed */
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t places[];	/* 0: empty; set once, with release */
};

static Name *
name_at(const KalamNames *names, uint32_t number)
{
	return (Name *) ((char *) &names->places[names->nplaces] + (uint64_t) number * UNIT_BYTES);
}

static uint32_t
units_of(uint32_t len)
{
	return (uint32_t) ((offsetof(Name, text) + len + 1 + UNIT_BYTES - 1) / UNIT_BYTES);
}

uint64_t
kalam_names_least_bytes(void)
{
	return LEAST_BYTES;
}

void
kalam_names_init(KalamNames *names, uint64_t bytes)
{
	/* as KalamKnownName has them */
	static const char *const known[] = {"", "_row_id", "_updated", "_deleted", "_user_id"};
	uint64_t	most = (uint64_t) UINT32_MAX * UNIT_BYTES;

	assert(bytes >= LEAST_BYTES);
	if (bytes > most)
		bytes = most;
	names->bytes = bytes;
	/* a quarter for the table: at most three of four places are taken */
	names->nplaces = (uint32_t) (bytes / 4 / UNIT_BYTES * (UNIT_BYTES / sizeof(uint32_t)));
	names->nunits = (uint32_t) ((bytes - sizeof(KalamNames)) / UNIT_BYTES -
								names->nplaces / (UNIT_BYTES / sizeof(uint32_t)));
	atomic_init(&names->end, 1);	/* no name has number 0 */
	atomic_init(&names->refused, 0);
	for (uint32_t i = 0; i < names->nplaces; i++)
		atomic_init(&names->places[i], KALAM_NAME_NONE);
	for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		uint32_t	number = kalam_name_enter(names, known[i], (uint32_t) strlen(known[i]));

		assert(number == KALAM_NAME_EMPTY + i);
		(void) number;
	}
}

/* Takes room; NONE if there is none. */
static uint32_t
take_room(KalamNames *names, uint32_t units)
{
	uint32_t	end = kalam_load(&names->end, relaxed);

	do
		if (units > names->nunits - end)
		{
			kalam_fetch_add(&names->refused, 1, relaxed);
			return KALAM_NAME_NONE;
		}
	while (!kalam_cas(&names->end, &end, end + units));
	return end;
}

/* Gives it back, unless somebody has taken some behind it. */
static void
return_room(KalamNames *names, uint32_t number, uint32_t units)
{
	uint32_t	end = number + units;

	kalam_cas(&names->end, &end, number);
}

static bool
is_name(const KalamNames *names, uint32_t number, uint64_t hash, const char *data, uint32_t len)
{
	const Name *name = name_at(names, number);

	kalam_reads(name, UNIT_BYTES);
	if (name->hash != (uint16_t) hash || name->len != len)
		return false;
	kalam_reads(name->text, len);
	return memcmp(name->text, data, len) == 0;
}

/*
 * The number of the name, or NONE; then *place is the empty one that it was searched
 * up to.  Begins at *place.
 */
static uint32_t
search(const KalamNames *names, uint32_t *place, uint64_t hash, const char *data, uint32_t len)
{
	uint32_t	number;

	while ((number = kalam_load(&names->places[*place], acquire)) != KALAM_NAME_NONE &&
		   !is_name(names, number, hash, data, len))
		*place = *place + 1 < names->nplaces ? *place + 1 : 0;
	return number;
}

static uint32_t
first_place(const KalamNames *names, uint64_t hash)
{
	return (uint32_t) ((hash >> 32) * names->nplaces >> 32);
}

uint32_t
kalam_name_find(KalamNames *names, const char *data, uint32_t len)
{
	uint64_t	hash = kalam_hash(data, len, 0);
	uint32_t	place = first_place(names, hash);

	return search(names, &place, hash, data, len);
}

uint32_t
kalam_name_enter(KalamNames *names, const char *data, uint32_t len)
{
	uint64_t	hash = kalam_hash(data, len, 0);
	uint32_t	place = first_place(names, hash);
	uint32_t	units = units_of(len);
	uint32_t	number;
	uint32_t	other;
	Name	   *name;

	if ((number = search(names, &place, hash, data, len)) != KALAM_NAME_NONE)
		return number;
	if (len > KALAM_MAX_NAME_BYTES || (number = take_room(names, units)) == KALAM_NAME_NONE)
		return KALAM_NAME_NONE;
	name = name_at(names, number);
	kalam_writes(name, units * UNIT_BYTES);
	name->len = (uint16_t) len;
	name->hash = (uint16_t) hash;
	memcpy(name->text, data, len);
	name->text[len] = '\0';

	do
	{
		other = KALAM_NAME_NONE;
		if (kalam_cas(&names->places[place], &other, number))
			return number;
		/* somebody was faster: with this name, or with another one */
		other = search(names, &place, hash, data, len);
	} while (other == KALAM_NAME_NONE);
	return_room(names, number, units);
	return other;
}

const char *
kalam_name_text(const KalamNames *names, uint32_t name)
{
	return name_at(names, name)->text;
}

uint32_t
kalam_name_len(const KalamNames *names, uint32_t name)
{
	return name_at(names, name)->len;
}

void
kalam_names_stats(KalamNames *names, KalamNamesStats *stats)
{
	stats->names = 0;
	for (uint32_t i = 0; i < names->nplaces; i++)
		stats->names += kalam_load(&names->places[i], relaxed) != KALAM_NAME_NONE;
	stats->bytes = (uint64_t) kalam_load(&names->end, relaxed) * UNIT_BYTES;
	stats->bytes_allowed = names->bytes;
	stats->refused = kalam_load(&names->refused, relaxed);
}
