/*
 * parallel.h
 *	  Scans that several processes share: the leader of a parallel query and its
 *	  workers.
 *
 * The leader cuts what is to be read into pieces, which whoever is idle takes one
 * by one from a counter in the query's shared memory.  Everyone reads at the
 * leader's stamp (snapshot.h).  A transaction that has changed stored tables does
 * not read them in workers, which would not see its changes.
 */
#ifndef KALAM_PARALLEL_H
#define KALAM_PARALLEL_H

#include "postgres.h"
#include "access/parallel.h"
#include "foreign/fdwapi.h"

/* ---- planner ---- */

/* May scans of stored tables be planned for workers? */
extern bool kalam_is_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);

/*
 * Adds a partial path beside a path without parameters: run_cost is the part of the
 * cost that the processes share.
 */
extern void kalam_add_partial_path(PlannerInfo *root, RelOptInfo *rel, double fetched, double rows,
								   Cost startup, Cost run_cost, Cost disk_cost, List *private);

/* ---- executor ---- */

extern Size kalam_estimate_parallel(ForeignScanState *node, ParallelContext *pcxt);
extern void kalam_initialize_parallel(ForeignScanState *node, ParallelContext *pcxt,
									  void *coordinate);
extern void kalam_reinitialize_parallel(ForeignScanState *node, ParallelContext *pcxt,
										void *coordinate);
extern void kalam_initialize_worker(ForeignScanState *node, shm_toc *toc, void *coordinate);
extern void kalam_shutdown_scan(ForeignScanState *node);

struct KalamScan;

/* Gives the scan the ranges of the next piece.  False: all are taken. */
extern bool kalam_take_piece(struct KalamScan *scan);

#endif							/* KALAM_PARALLEL_H */
