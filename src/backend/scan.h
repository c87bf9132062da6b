/*
 * scan.h
 *	  The executor's scan of a stored table.
 */
#ifndef KALAM_SCAN_H
#define KALAM_SCAN_H

#include "postgres.h"
#include "commands/explain.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

extern void kalam_begin_scan(ForeignScanState *node, int eflags);
extern TupleTableSlot *kalam_iterate_scan(ForeignScanState *node);
extern void kalam_rescan(ForeignScanState *node);
extern void kalam_end_scan(ForeignScanState *node);
extern bool kalam_recheck_scan(ForeignScanState *node, TupleTableSlot *slot);
extern void kalam_explain_scan(ForeignScanState *node, ExplainState *es);

/*
 * All rows that are visible to the running command, newest committed and own
 * ones, in key order: for DDL that reads or rewrites a table.
 */
typedef struct KalamWholeScan KalamWholeScan;
extern KalamWholeScan *kalam_whole_scan_begin(Relation rel);
extern MinimalTuple kalam_whole_scan_next(KalamWholeScan *scan, const uint8 **key, size_t *key_len);
extern void kalam_whole_scan_end(KalamWholeScan *scan);

#endif							/* KALAM_SCAN_H */
