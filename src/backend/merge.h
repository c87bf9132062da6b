/*
 * merge.h
 *	  Stored rows merged with the transaction's own changes, in the order of a key.
 */
#ifndef KALAM_MERGE_H
#define KALAM_MERGE_H

#include "postgres.h"
#include "src/backend/client.h"
#include "src/backend/pointlist.h"
#include "src/backend/querycache.h"
#include "src/backend/scan_input.h"
#include "src/backend/scancache.h"
#include "src/backend/ship.h"
#include "src/backend/transaction.h"

/* A row of the merge, valid until the next one. */
typedef struct KalamMergedRow
{
	MinimalTuple tuple;			/* KALAM_SCAN_KEYS_ONLY: without a body, or NULL */
	const uint8 *key;			/* NULL unless KALAM_SCAN_KEYS was asked for */
	size_t		key_len;
	const uint8 *entry;			/* NULL unless KALAM_SCAN_INDEX_KEYS was: the index
								 * entry's key */
	size_t		entry_len;
	int			range;			/* number of the range that it was found in */
	bool		passed;			/* storage tried the filter on it */
	bool		group;			/* its bytes are those of a partial group: rowagg.h */
	bool		own;			/* staged by this transaction */
	uint32		own_command;	/* by which command, plus one; 0: not own */
	size_t		own_len;		/* own, not by an index: bytes of its value */
} KalamMergedRow;

/* A copy of an own value; its memory is used again. */
typedef struct KalamKeptValue
{
	char	   *bytes;
	size_t		size;
} KalamKeptValue;

/* To be embedded and zeroed; open and close as often as needed. */
typedef struct KalamMerge
{
	MemoryContext context;		/* set by the owner: lives as long as this */
	KalamFilter *filter;		/* set by the owner before it opens: only rows that
								 * pass are wanted.  It is in the range's input too,
								 * unless it is too large.  NULL: none.  Not with
								 * KALAM_SCAN_KEYS_ONLY */
	const uint8 *aggregates;	/* likewise, or NULL: a section of input that makes
								 * storage send groups, where it may */
	uint32		aggregates_len;
	bool		aggregates_once;	/* if one request can bring all ranges */
	KalamPointReader point;		/* the owner sets its ttl: whether stored rows may come
								 * from the query cache */
	KalamScanResult *result;	/* set by the owner before it opens: stored rows come from
								 * it, if it was found, or go to it.  NULL: neither.  Not
								 * with own changes */
	bool		open;
	bool		counting;		/* KALAM_SCAN_COUNT was asked for, and can be had */

	/* the rest is merge.c's */
	KalamScanCost cost;			/* of cursors that are closed */
	KalamRange	range;			/* what all requests have in common */
	CommandId	command_id;		/* own changes of earlier commands are seen */
	const KalamKeyRange *ranges;
	int			nranges;
	KalamKeyRange single;

	bool		kept;			/* stored rows come from the result */
	KalamCursor *cursor;		/* NULL: the store has nothing for these ranges, or is
								 * not asked */
	KalamInput	input;
	int			cursor_first;	/* the cursor's range 0 */
	int			cursor_end;		/* ranges from here on are not asked for yet */
	bool		filter_sent;
	bool		aggregating;	/* storage sends groups */
	const KalamRow *stored;		/* next stored row, if have_stored */
	bool		have_stored;
	bool		cached;			/* it came from the query cache, or a list: this is it */
	KalamPoint	found;
	bool		missed;			/* what storage sends is for the cache */
	bool		listed;			/* stored rows come from this list, */
	KalamPointList *list;
	int			listed_at;		/* the range of the last one */

	bool		merging;		/* own changes of keys in the ranges count */
	bool		replacing;		/* stored rows may have own versions, whose index
								 * entries are as they were */
	int			own_range;		/* that the own changes are in */
	KalamChangesScan *own_scan; /* NULL: not open */
	KalamVersion own;			/* next own version, if have_own */
	bool		have_own;
	bool		own_point_given;	/* it was that of the point own_range */
	KalamKeptValue own_point;
	KalamKeptValue own_row;		/* that an index entry leads to */
	KalamRow   *fetched;		/* stored row that an own entry leads to */
	uint8	   *row_key;		/* of an own entry; room for the longest key, if it is */
	uint8	   *lower;			/* needed.  These are copies of a range's */
	uint8	   *upper;
} KalamMerge;

/*
 * Opens over range (flags and stamp set; copied).  Sections in its input go to
 * storage as they are, and stay where they are until the merge is closed.
 */
extern void kalam_merge_open(KalamMerge *m, const KalamRange *range, CommandId command_id);

/*
 * The same over ranges instead of lower and upper, in this order, each in the
 * direction of the scan.  They may overlap, and stay where they are until the
 * merge is closed.  There may be more than a request can carry.
 */
extern void kalam_merge_open_list(KalamMerge *m, const KalamRange *range,
								  const KalamKeyRange *ranges, int nranges,
								  CommandId command_id);

extern bool kalam_merge_next(KalamMerge *m, KalamMergedRow *row);

/* If it is counting: a number of rows more; 0 at the end. */
extern uint64 kalam_merge_next_count(KalamMerge *m);

extern void kalam_merge_close(KalamMerge *m);

/* What all that was opened has cost so far. */
extern KalamScanCost kalam_merge_cost(const KalamMerge *m);

#endif							/* KALAM_MERGE_H */
