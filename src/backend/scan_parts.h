/*
 * scan_parts.h
 *	  Scans in parts: an OR whose arms are found by different keys.
 *
 * A plan has of each part list_make2(name of the index or NULL, alternatives as a
 * list).  In its fdw_exprs stand first the values of all parts, then the arms.
 */
#ifndef KALAM_SCAN_PARTS_H
#define KALAM_SCAN_PARTS_H

#include "postgres.h"
#include "nodes/pathnodes.h"

#include "src/backend/planner.h"
#include "src/backend/scan_state.h"

/* For the plan: the parts; what they need is added to exprs. */
extern List *kalam_parts_to_list(PlannerInfo *root, RelOptInfo *rel, KalamTable *table,
								 List *parts, List **exprs);

extern void kalam_parts_begin(KalamScan *scan, List *parts);

/* Makes part number n the one that scan->conditions and scan->index tell of. */
extern void kalam_parts_use(KalamScan *scan, int n);

/* Does the row in the slot belong to this part, and to none before it? */
extern bool kalam_parts_give(const KalamScan *scan, TupleTableSlot *slot);

#endif							/* KALAM_SCAN_PARTS_H */
