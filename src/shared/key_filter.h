/*
 * key_filter.h
 *	  A Bloom filter over keys: says for sure that a key is not there.
 *
 * C11 only.  The bits lie in lines of 64 bytes and those of a key in one of
 * them, so that a look-up costs one cache miss.
 */
#ifndef KALAM_KEY_FILTER_H
#define KALAM_KEY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KALAM_FILTER_LINE_BYTES 64

typedef struct KalamKeyFilter
{
	uint64_t   *lines;			/* NULL: everything may be there */
	uint64_t	nlines;
	uint32_t	probes;			/* bits per key */
} KalamKeyFilter;

/*
 * Sets nlines and probes for so many keys in max_bytes at most; the caller then
 * sets lines to so many lines of zeroed memory.  nlines is 0 if a filter of that
 * size would be of no use.
 */
extern void kalam_filter_size(KalamKeyFilter *f, uint64_t nkeys, size_t max_bytes);

/* A key goes by its 64 bit hash. */
extern void kalam_filter_add(KalamKeyFilter *f, uint64_t hash);
extern bool kalam_filter_may_have(const KalamKeyFilter *f, uint64_t hash);

#endif							/* KALAM_KEY_FILTER_H */
