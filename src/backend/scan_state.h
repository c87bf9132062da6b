/*
 * scan_state.h
 *	  What a scan keeps while it runs: fdw_state of its ForeignScanState.  For
 *	  the files that make up the scan.
 */
#ifndef KALAM_SCAN_STATE_H
#define KALAM_SCAN_STATE_H

#include "postgres.h"
#include "executor/executor.h"

#include "src/backend/keyrange.h"
#include "src/backend/keyread.h"
#include "src/backend/merge.h"
#include "src/backend/planner.h"
#include "src/backend/rowmark.h"
#include "src/backend/scan_input.h"
#include "src/backend/ship.h"
#include "src/backend/upper.h"

typedef struct KalamScanPart KalamScanPart; /* scan_parts.h */
typedef struct KalamSides KalamSides;

typedef struct KalamScan
{
	Relation	rel;
	KalamTable *table;
	KalamConditions conditions;
	const KalamIndex *index;			/* that it follows; NULL: the primary key */
	struct KalamScanPart *parts;	/* it reads these one after the other; then the two */
	int			nparts;			/* above are those of part number `part` */
	int			part;
	KalamKeyReading *only;		/* rows are read from keys; or NULL */
	bool		reverse;
	bool		no_columns;
	bool		want_keys;
	bool		keys_only;		/* rows come without their columns */
	int			limit;			/* so many rows will be asked for; 0: unknown */
	uint64		nranges;		/* read so far, for EXPLAIN */
	int			lock_mode;		/* rows are locked before they are returned, or
								 * KALAM_SCAN_LOCKS_NOTHING */
	KalamGroups *groups;		/* aggregates instead of rows; or NULL */
	uint32		measure;		/* KALAM_SCAN_MEASURE if EXPLAIN wants it */
	Cost		cost;			/* of all of it, as planned */
	double		sent_bytes;		/* of rows that it gives, as planned */
	uint64		cache_ttl;		/* ms for which its results may be kept in the query
								 * cache; 0: it neither asks nor fills it */
	KalamMarkedRows *marked;	/* they may be locked later; else NULL */
	KalamInput	input;			/* of requests: the conditions that storage evaluates */
	ExprState  *filter;			/* if it locks: conditions beyond the range */
	ExprState  *recheck;		/* all conditions, for rows read again */

	TupleTableSlot *slot;
	uint64		stamp;
	CommandId	command_id;
	SubTransactionId owner;		/* a portal lives on when a later savepoint is rolled back */
	bool		started;
	MemoryContext range_context;	/* of the ranges: the query's for the first ones, then
								 * one of their own, emptied by each rescan */
	bool		computed;		/* there have been some */
	KalamKeyRanges ranges;		/* in the order in which they are read */
	struct KalamParallelScan *shared;	/* with other processes, or NULL: then */
	KalamKeyRanges all;			/* of these, ranges are those in the piece under way, */
	uint32		piece_flags;	/* which is read with these flags */
	uint64		count_left;
	KalamScanResult *result;	/* in the query cache; NULL: none was looked for yet */
	KalamMerge	merge;
	KalamSides *sides;			/* merges over parts of the ranges instead; or NULL */
	KalamMerge *current;		/* the merge that rows come from */
	KalamRow   *newest;			/* a locked row that had changed */
	struct KalamDirectModify *direct;	/* directmodify.c's */
} KalamScan;

static inline bool
kalam_scan_locks(const KalamScan *scan)
{
	return scan->lock_mode != KALAM_SCAN_LOCKS_NOTHING;
}

/* Opens a merge over scan->ranges, of which there is one at least. */
extern void kalam_scan_open_ranges(KalamScan *scan, KalamMerge *merge);

/* The next row as it is merged; false at the end.  For who set want_keys or keys_only. */
extern bool kalam_scan_next_merged(KalamScan *scan, KalamMergedRow *row);

#endif							/* KALAM_SCAN_STATE_H */
