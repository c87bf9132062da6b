/*
 * directmodify.h
 *	  UPDATE and DELETE of one table, done by the scan that finds the rows.
 */
#ifndef KALAM_DIRECTMODIFY_H
#define KALAM_DIRECTMODIFY_H

#include "postgres.h"
#include "commands/explain.h"
#include "foreign/fdwapi.h"

extern bool kalam_plan_direct(PlannerInfo *root, ModifyTable *plan, Index result_relation,
							  int subplan_index);
extern void kalam_begin_direct(ForeignScanState *node, int eflags);
extern TupleTableSlot *kalam_iterate_direct(ForeignScanState *node);
extern void kalam_end_direct(ForeignScanState *node);
extern void kalam_explain_direct(ForeignScanState *node, ExplainState *es);

/* Conditions that such a scan tries itself; NIL for others. */
extern List *kalam_direct_quals(const ForeignScan *plan);

#endif							/* KALAM_DIRECTMODIFY_H */
