/*
 * parallel.c
 *	  Scans that several processes share: see parallel.h.
 *
 * Each process computes the ranges of the scan by itself; the pieces are the parts
 * of the key space between the cuts that lie in the query's shared memory, and of
 * each range what lies in them.  The leader writes the cuts while no worker runs;
 * afterwards only the counter changes.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/snapmgr.h"

#include "src/backend/merge.h"
#include "src/backend/parallel.h"
#include "src/backend/scan_state.h"
#include "src/backend/snapshot.h"
#include "src/backend/split.h"
#include "src/backend/transaction.h"

/* room for cuts; if they are long there are fewer pieces */
#define CUTS_BYTES			(24 * 1024)

/* pieces for each process, so that none waits long for the others; large ones are cut */
#define PIECES_PER_PROCESS	8
#define LARGE_PIECE_BYTES	(16.0 * 1024 * 1024)
#define MAX_PIECES			1000
#define SMALL_PIECE_BYTES	(128 * 1024)

typedef struct KalamParallelScan
{
	uint64		stamp;			/* at which everyone reads */
	uint32		flags;			/* KALAM_SCAN_* */
	uint32		ncuts;
	pg_atomic_uint32 next;		/* piece to be taken: 0 .. ncuts */
	uint8		cuts[CUTS_BYTES];	/* uint16 length and key, ascending */
} KalamParallelScan;

/* ---- planner ---- */

bool
kalam_is_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return kalam_snapshots_reach_workers() && kalam_changes_here() == NULL;
}

/* Among how many processes the work is divided, as the planner has it. */
static double
parallel_divisor(int workers)
{
	double		leader = parallel_leader_participation ? 1.0 - 0.3 * workers : 0;

	return workers + Max(leader, 0);
}

void
kalam_add_partial_path(PlannerInfo *root, RelOptInfo *rel, double fetched, double rows,
					   Cost startup, Cost run_cost, Cost disk_cost, List *private)
{
	double		pages = rel->pages * (fetched / Max(rel->tuples, 1));
	int			workers;
	ForeignPath *path;

	if (!rel->consider_parallel || rel->lateral_relids != NULL)
		return;
	workers = compute_parallel_worker(rel, pages, -1, max_parallel_workers_per_gather);
	if (workers <= 0)
		return;
	run_cost = run_cost / parallel_divisor(workers) + disk_cost;
	path = create_foreignscan_path(root, rel, NULL, clamp_row_est(rows / parallel_divisor(workers)),
								   startup, startup + run_cost, NIL, NULL, NULL, private);
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	kalam_keep_scan(path);
	add_partial_path(rel, (Path *) path);
}

/* ---- leader ---- */

Size
kalam_estimate_parallel(ForeignScanState *node, ParallelContext *pcxt)
{
	return sizeof(KalamParallelScan);
}

/* Writes every stride-th cut.  False if there is no room. */
static bool
write_cuts(KalamParallelScan *shared, const KalamPieces *pieces, uint32 stride)
{
	Size		used = 0;

	shared->ncuts = 0;
	for (uint32 i = stride; i < pieces->npieces; i += stride)
	{
		const KalamRangePiece *p = &pieces->pieces[i];

		if (used + sizeof(uint16) + p->lower_len > CUTS_BYTES)
			return false;
		memcpy(shared->cuts + used, &p->lower_len, sizeof(uint16));
		memcpy(shared->cuts + used + sizeof(uint16), p->lower, p->lower_len);
		used += sizeof(uint16) + p->lower_len;
		shared->ncuts++;
	}
	return true;
}

/* Cuts all that lies between the first key and the last one. */
static void
cut(KalamScan *scan, KalamParallelScan *shared, int nworkers)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kalam parallel scan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KalamKeyRanges ranges = {0};

	shared->ncuts = 0;
	shared->flags = 0;
	if (kalam_table_object(scan->table) != KALAM_OBJECT_NONE)
		ranges = kalam_compute_ranges(&scan->conditions);
	if (ranges.n > 0 && ranges.ranges[ranges.n - 1].upper_len > 0)
	{
		const KalamKeyRange *first = &ranges.ranges[0];
		const KalamKeyRange *last = &ranges.ranges[ranges.n - 1];
		double		rows;
		double		bytes;
		double		wanted = PIECES_PER_PROCESS * (nworkers + 1);
		KalamPieces *pieces;

		kalam_table_stat(scan->table, &rows, &bytes);
		wanted = Min(Max(wanted, bytes / LARGE_PIECE_BYTES), MAX_PIECES);
		pieces = kalam_split(scan->table->object_id, first->lower, first->lower_len,
							 last->upper, last->upper_len, (uint32) wanted, SMALL_PIECE_BYTES);
		shared->flags = kalam_piece_flags(pieces);
		for (uint32 stride = 1; !write_cuts(shared, pieces, stride); stride *= 2)
			;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
kalam_initialize_parallel(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	KalamParallelScan *shared = coordinate;
	KalamScan  *scan = node->fdw_state;

	shared->stamp = scan->stamp;
	pg_atomic_init_u32(&shared->next, 0);
	cut(scan, shared, pcxt->nworkers);
	scan->shared = shared;
	scan->started = false;
}

/* For a rescan; parameters may have changed. */
void
kalam_reinitialize_parallel(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	KalamParallelScan *shared = coordinate;
	KalamScan  *scan = node->fdw_state;

	if (scan->conditions.nvalues > 0)
		cut(scan, shared, pcxt->nworkers);
	pg_atomic_write_u32(&shared->next, 0);
	scan->shared = shared;
	scan->started = false;
}

/* ---- everyone ---- */

void
kalam_initialize_worker(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	KalamScan  *scan = node->fdw_state;

	scan->shared = coordinate;
	if (scan->stamp != scan->shared->stamp)
		elog(ERROR, "parallel worker reads kalam table at another stamp than the leader");
}

/* The shared memory goes: nothing more can be taken. */
void
kalam_shutdown_scan(ForeignScanState *node)
{
	KalamScan  *scan = node->fdw_state;

	if (scan != NULL && scan->shared != NULL)
	{
		scan->shared = NULL;
		scan->started = true;
		if (scan->merge.open)
			kalam_merge_close(&scan->merge);
	}
}

/* Cut number i, or NULL at the ends of the key space. */
static const uint8 *
find_cut(const KalamParallelScan *shared, int64 i, uint16 *len)
{
	const uint8 *at = shared->cuts;

	*len = 0;
	if (i < 0 || i >= shared->ncuts)
		return NULL;
	for (;; i--)
	{
		memcpy(len, at, sizeof(uint16));
		if (i == 0)
			return at + sizeof(uint16);
		at += sizeof(uint16) + *len;
	}
}

bool
kalam_take_piece(KalamScan *scan)
{
	KalamParallelScan *shared = scan->shared;

	for (;;)
	{
		uint32		i = pg_atomic_fetch_add_u32(&shared->next, 1);
		uint16		lower_len;
		uint16		upper_len;
		const uint8 *lower = find_cut(shared, (int64) i - 1, &lower_len);
		const uint8 *upper = find_cut(shared, i, &upper_len);
		MemoryContext old;

		if (i > shared->ncuts)
			return false;
		if (scan->ranges.ranges != NULL)
			pfree(scan->ranges.ranges);
		old = MemoryContextSwitchTo(scan->range_context);
		scan->ranges = kalam_ranges_between(&scan->all, lower, lower_len, upper, upper_len);
		MemoryContextSwitchTo(old);
		scan->piece_flags = shared->flags;
		if (scan->ranges.n > 0)
			return true;
	}
}
