/*
 * scan_input.h
 *	  Puts together the input of a scan: sections as protocol.h has them.
 *
 *		kalam_input_begin(&in, KALAM_SECTION_RANGES);
 *		while (...)
 *			if (!kalam_input_add_range(&in, ...))
 *				... what is in it is a scan of its own ...
 *		kalam_input_end(&in);
 *		range.input = in.bytes;
 *		range.input_len = in.len;
 */
#ifndef KALAM_SCAN_INPUT_H
#define KALAM_SCAN_INPUT_H

#include "postgres.h"
#include "src/shared/protocol.h"
#include "src/shared/segment.h"

/* To be zeroed; bytes are palloc'd in context, and grow. */
typedef struct KalamInput
{
	MemoryContext context;		/* set by the owner */
	uint8	   *bytes;
	uint32		len;
	uint32		capacity;
	uint32		section;		/* where the open one begins */
	uint32		nranges;		/* added to it */
} KalamInput;

/* Empties it; the memory is used again. */
extern void kalam_input_reset(KalamInput *in);

/* A section is opened, gets its bytes, and is ended before the next. */
extern void kalam_input_begin(KalamInput *in, KalamScanSectionKind kind);
extern void kalam_input_end(KalamInput *in);

/* False, and nothing happened, if a scan could not carry so much. */
extern bool kalam_input_add(KalamInput *in, const void *data, size_t len);

/* The same for a range in a section of ranges; upper_len 0: the one key `lower`. */
extern bool kalam_input_add_range(KalamInput *in, const uint8 *lower, size_t lower_len,
								  const uint8 *upper, size_t upper_len);

#endif							/* KALAM_SCAN_INPUT_H */
