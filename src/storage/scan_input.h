/*
 * scan_input.h - what a SCAN brings besides its request: lists of ranges, a filter,
 * aggregates.
 */
#ifndef KALAM_STORAGE_SCAN_INPUT_H
#define KALAM_STORAGE_SCAN_INPUT_H

#include "src/shared/rowagg.h"
#include "src/shared/rowprog.h"
#include "src/storage/engine.h"

/* lower <= key < upper, or, if upper_len is 0, the one key `lower`. */
typedef struct ScanRange
{
	const uint8_t *lower;
	const uint8_t *upper;
	uint16_t	lower_len;
	uint16_t	upper_len;
} ScanRange;

typedef struct ScanInput
{
	bool		has_ranges;
	uint32_t	nranges;
	ScanRange  *ranges;			/* they point into bytes */
	bool		has_filter;
	KalamProgram filter;
	void	   *filter_memory;
	KalamAggregator *aggregator;	/* or NULL */
	void	   *aggregator_memory;
	uint8_t    *bytes;
} ScanInput;

/*
 * Does the range lie in the object?  index: among the entries of its indexes.
 * Its bounds may be empty or crossed: nothing lies in it then.
 */
extern bool scan_range_check(const ScanRange *range, uint32_t object_id, bool index,
							 EngineError *err);

/* Copies the bytes, which are not trusted, and checks all that is in them.  NULL: an error. */
extern ScanInput *scan_input_open(const uint8_t *bytes, uint32_t len, uint32_t object_id,
								  bool index, EngineError *err);
extern void scan_input_close(ScanInput *input);

#endif
