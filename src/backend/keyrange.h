/*
 * keyrange.h
 *	  Key conditions to ranges of key bytes, when a scan starts.
 */
#ifndef KALAM_KEYRANGE_H
#define KALAM_KEYRANGE_H

#include "postgres.h"
#include "executor/executor.h"

#include "src/backend/client.h"
#include "src/backend/keymatch.h"
#include "src/backend/planvalue.h"
#include "src/backend/table.h"

/* Ascending, and apart from each other: in their order all rows are in key order. */
typedef struct KalamKeyRanges
{
	int			n;
	KalamKeyRange *ranges;
} KalamKeyRanges;

/* Conditions of a plan, ready to be evaluated. */
typedef struct KalamConditions
{
	KalamTable *table;
	KalamScanKey key;
	int			nalternatives;
	KalamAlternative *alternatives;
	int			nvalues;
	KalamValue *values;			/* of the bounds, one behind the other, and others */
	ExprContext *econtext;
} KalamConditions;

/*
 * The ranges for the values of now, in the current memory context.  The object
 * of the table must be known.
 */
extern KalamKeyRanges kalam_compute_ranges(const KalamConditions *conditions);

/* All keys of that kind. */
extern KalamKeyRange kalam_whole_range(const KalamTable *table, const KalamScanKey *key);

/*
 * What lies of ranges in [lower, upper); NULL: an end of the key space.  In the
 * current memory context.
 */
extern KalamKeyRanges kalam_ranges_between(const KalamKeyRanges *all, const uint8 *lower,
										   uint16 lower_len, const uint8 *upper,
										   uint16 upper_len);

/* Begins a key of that kind. */
extern void kalam_scan_key_begin(const KalamTable *table, const KalamScanKey *key,
								 KalamKeyWriter *w, uint8 *buf);

#endif							/* KALAM_KEYRANGE_H */
