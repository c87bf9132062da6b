/*
 * scan.h
 *	  The executor's scan of a stored table.
 */
#ifndef KALAM_SCAN_H
#define KALAM_SCAN_H

#include "postgres.h"
#include "commands/explain.h"
#include "nodes/execnodes.h"

#include "src/backend/client.h"

extern void kalam_begin_scan(ForeignScanState *node, int eflags);
extern TupleTableSlot *kalam_iterate_scan(ForeignScanState *node);
extern void kalam_rescan(ForeignScanState *node);
extern void kalam_end_scan(ForeignScanState *node);
extern bool kalam_recheck_scan(ForeignScanState *node, TupleTableSlot *slot);
extern void kalam_explain_scan(ForeignScanState *node, ExplainState *es);

/* What storage did for a scan, over all loops. */
extern void kalam_explain_cost(uint64 nranges, const KalamScanCost *cost, ExplainState *es);

#endif							/* KALAM_SCAN_H */
