/*
 * key_filter.c
 *	  A Bloom filter over keys: see key_filter.h.
 */
#include "src/shared/key_filter.h"

#define BITS_PER_KEY		10	/* one key in a hundred is looked up in vain */
#define MIN_BITS_PER_KEY	2
#define LINE_BITS			(8 * KALAM_FILTER_LINE_BYTES)
#define LINE_WORDS			(KALAM_FILTER_LINE_BYTES / 8)

void
kalam_filter_size(KalamKeyFilter *f, uint64_t nkeys, size_t max_bytes)
{
	uint64_t	bits = BITS_PER_KEY * nkeys;
	uint64_t	per_key;

	if (bits > 8 * (uint64_t) max_bytes)
		bits = 8 * (uint64_t) max_bytes;
	f->lines = NULL;
	f->nlines = 0;
	f->probes = 0;
	per_key = nkeys == 0 ? 0 : bits / nkeys;
	if (per_key < MIN_BITS_PER_KEY)
		return;
	f->nlines = (bits + LINE_BITS - 1) / LINE_BITS;
	/* bits per key * ln 2 is best */
	f->probes = (uint32_t) (per_key * 7 / 10);
}

/* The line of a hash; *rest becomes bits of it that are independent of the line. */
static inline uint64_t *
line_of(const KalamKeyFilter *f, uint64_t hash, uint64_t *rest)
{
	uint64_t	line = ((hash >> 32) * f->nlines) >> 32;

	*rest = (uint32_t) hash * UINT64_C(0x9E3779B97F4A7C15);
	return f->lines + line * LINE_WORDS;
}

/* Each probe takes the next 9 bits, of which there are 7 times. */
static inline uint32_t
next_bit(uint64_t *rest)
{
	uint32_t	bit = (uint32_t) (*rest >> 55);

	*rest <<= 9;
	return bit;
}

void
kalam_filter_add(KalamKeyFilter *f, uint64_t hash)
{
	uint64_t	rest;
	uint64_t   *line;

	if (f->lines == NULL)
		return;
	line = line_of(f, hash, &rest);
	for (uint32_t i = 0; i < f->probes; i++)
	{
		uint32_t	bit = next_bit(&rest);

		line[bit / 64] |= UINT64_C(1) << bit % 64;
	}
}

bool
kalam_filter_may_have(const KalamKeyFilter *f, uint64_t hash)
{
	uint64_t	rest;
	const uint64_t *line;

	if (f->lines == NULL)
		return true;
	line = line_of(f, hash, &rest);
	for (uint32_t i = 0; i < f->probes; i++)
	{
		uint32_t	bit = next_bit(&rest);

		if ((line[bit / 64] & UINT64_C(1) << bit % 64) == 0)
			return false;
	}
	return true;
}
