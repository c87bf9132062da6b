/*
 * sidebyside.h
 *	  Aggregates over parts of a scan at the same time, by several threads of
 *	  storage.
 *
 * Storage computes groups of a range before it sends the first of them, one thread
 * for each request.  So a scan of a large range makes several requests, of pieces
 * of about equal bytes, before it waits for the first one.
 */
#ifndef KALAM_SIDEBYSIDE_H
#define KALAM_SIDEBYSIDE_H

#include "src/backend/scan_state.h"

/*
 * Opens merges over the pieces of scan->ranges, which are not open yet.  False: it is
 * one for a single request.
 */
extern bool kalam_sides_open(KalamScan *scan);

/* The next partial group of any of them; an empty slot at the end. */
extern TupleTableSlot *kalam_sides_next(KalamScan *scan);

extern void kalam_sides_add_cost(const KalamScan *scan, KalamScanCost *cost);
extern void kalam_sides_close(KalamScan *scan);

#endif							/* KALAM_SIDEBYSIDE_H */
