/*
 * sidebyside.c
 *	  Parts of a scan at the same time: see sidebyside.h.
 *
 * The cursors of all pieces are open together; each takes a channel.  One that gets
 * none is read when its turn comes, as by a single thread.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "src/backend/shmem.h"
#include "src/backend/sidebyside.h"
#include "src/backend/split.h"

/* A plan that costs less is over before the pieces are known. */
#define MIN_COST		300.0
#define PIECE_BYTES		(256 * 1024)

/* Of the gain of further threads, the part that is left by what they share. */
#define SPEEDUP			0.7

struct KalamSides
{
	int			n;
	int			at;				/* the current one */
	KalamMerge *merges;
};

Cost
kalam_sides_cost(Cost by_one)
{
	return by_one < MIN_COST ? by_one : by_one / (1 + SPEEDUP * (kalam_read_threads - 1));
}

/* Does storage look at many more rows than it sends before its first block is full? */
static bool
sends_little(const KalamScan *scan)
{
	if (scan->groups != NULL)
		return !kalam_groups_in_order(scan->groups);
	return scan->merge.filter != NULL && scan->limit == 0 && !kalam_scan_locks(scan) &&
		scan->marked == NULL && scan->sent_bytes < KALAM_BLOCK_DATA_BYTES;
}

/* The pieces of all between the first key and the last one; NULL: it is not worth it. */
static KalamPieces *
find_pieces(const KalamScan *scan)
{
	const KalamKeyRange *first = &scan->ranges.ranges[0];
	const KalamKeyRange *last = &scan->ranges.ranges[scan->ranges.n - 1];
	KalamPieces *pieces;

	if (kalam_read_threads < 2 || scan->cost < MIN_COST || scan->reverse || !sends_little(scan) ||
		last->upper_len == 0)
		return NULL;
	pieces = kalam_split(scan->table->object_id, first->lower, first->lower_len,
						 last->upper, last->upper_len, (uint32) kalam_read_threads, PIECE_BYTES);
	return pieces->npieces > 1 ? pieces : NULL;
}

bool
kalam_sides_open(KalamScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->range_context);
	KalamPieces *pieces = find_pieces(scan);
	KalamKeyRanges all = scan->ranges;
	KalamSides *sides = NULL;

	if (pieces != NULL)
	{
		sides = palloc0(sizeof(KalamSides));
		sides->merges = palloc0(pieces->npieces * sizeof(KalamMerge));
		scan->piece_flags = kalam_piece_flags(pieces);
		scan->sides = sides;
	}
	for (uint32 i = 0; sides != NULL && i < pieces->npieces; i++)
	{
		const KalamRangePiece *p = &pieces->pieces[i];
		KalamMerge *merge = &sides->merges[sides->n];

		/* the first and the last reach to the ends */
		scan->ranges = kalam_ranges_between(&all, i > 0 ? p->lower : NULL, p->lower_len,
											i + 1 < pieces->npieces ? p->upper : NULL,
											p->upper_len);
		if (scan->ranges.n == 0)
			continue;
		merge->context = scan->merge.context;
		merge->filter = scan->merge.filter;
		merge->aggregates = scan->merge.aggregates;
		merge->aggregates_len = scan->merge.aggregates_len;
		merge->result = scan->merge.result;
		kalam_scan_open_ranges(scan, merge);
		sides->n++;
	}
	scan->ranges = all;
	if (sides != NULL && scan->merge.result != NULL)
		kalam_scan_result_in_pieces(scan->merge.result, sides->n);
	MemoryContextSwitchTo(old);
	if (sides != NULL)
		scan->current = &sides->merges[0];
	return sides != NULL;
}

bool
kalam_sides_advance(KalamScan *scan)
{
	KalamSides *sides = scan->sides;

	if (sides == NULL || sides->at + 1 >= sides->n)
		return false;
	scan->count_left = 0;
	scan->current = &sides->merges[++sides->at];
	return true;
}

void
kalam_sides_add_cost(const KalamScan *scan, KalamScanCost *cost)
{
	for (int i = 0; scan->sides != NULL && i < scan->sides->n; i++)
	{
		KalamScanCost one = kalam_merge_cost(&scan->sides->merges[i]);

		kalam_scan_cost_add(cost, &one);
	}
}

void
kalam_sides_close(KalamScan *scan)
{
	if (scan->sides == NULL)
		return;
	kalam_sides_add_cost(scan, &scan->merge.cost);
	for (int i = 0; i < scan->sides->n; i++)
		kalam_merge_close(&scan->sides->merges[i]);
	scan->sides = NULL;
	scan->current = &scan->merge;
}
