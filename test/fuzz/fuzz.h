/*
 * fuzz.h
 *	  Input of a fuzz target, taken piece by piece, and its assertion.
 */
#ifndef KALAM_TEST_FUZZ_H
#define KALAM_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) \
	do { \
		if (!(cond)) \
		{ \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

typedef struct Input
{
	const uint8_t *data;
	size_t		size;
} Input;

/* Zeroes when there is no more. */
static inline uint8_t
take_byte(Input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

static inline uint64_t
take_bytes(Input *in, int n)
{
	uint64_t	v = 0;

	while (n-- > 0)
		v = v << 8 | take_byte(in);
	return v;
}

#endif							/* KALAM_TEST_FUZZ_H */
