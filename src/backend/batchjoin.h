/*
 * batchjoin.h
 *	  Joins that look up the keys of many outer rows with one request: a
 *	  CustomScan "Kalam Batch Join".
 *
 * Its outer side is any plan, its child.  Its inner side is a stored table that
 * the node reads itself, by conditions on a key whose values are computed from
 * outer rows.  Its scan tuple has the columns of the outer side, then the inner
 * columns that are needed.
 */
#ifndef KALAM_BATCHJOIN_H
#define KALAM_BATCHJOIN_H

#include "postgres.h"
#include "nodes/extensible.h"
#include "nodes/pathnodes.h"

#define KALAM_BATCH_JOIN_NAME "Kalam Batch Join"

/* Outer rows of a batch: the first, by how much the next is larger, the most. */
#define KALAM_BATCH_FIRST	1
#define KALAM_BATCH_GROWTH	4
#define KALAM_BATCH_MOST	16384

/* While storage reads for so many, the next batch is prepared. */
#define KALAM_BATCH_AHEAD	1024

/* custom_private of the CustomScan */
enum KalamBatchJoinPrivate
{
	KALAM_JOIN_BOUNDS,			/* list: kalam_alternatives_to_list */
	KALAM_JOIN_FILTER,			/* list of lists: kalam_ship_steps_to_list */
	KALAM_JOIN_INDEX,			/* String: kalam_key_for_plan */
	KALAM_JOIN_TYPE,			/* Integer: JoinType */
	KALAM_JOIN_SINGLE_MATCH,	/* Boolean: the first match of an outer row is all */
	KALAM_JOIN_KEEPS_ORDER,		/* Boolean: the order of the outer side is that of pairs */
	KALAM_JOIN_NOUTER,			/* Integer: columns of the outer side */
	KALAM_JOIN_ATTNUMS,			/* integer list: inner columns behind them; others, in
								 * which EXPLAIN shows conditions, are not read */
	KALAM_JOIN_ONLY,			/* Boolean: these are read from the key, not the row */
	KALAM_JOIN_ITEMS
};

/* custom_exprs, lists all; Vars refer to the scan tuple */
enum KalamBatchJoinExprs
{
	KALAM_JOIN_VALUES,			/* of the bounds (kalam_alternatives_values), then of
								 * the filter */
	KALAM_JOIN_QUALS,			/* a pair that passes them is a match */
	KALAM_JOIN_KEY_QUALS,		/* for EXPLAIN: conditions that bounds come from, */
	KALAM_JOIN_SHIPPED,			/* and those that storage evaluates */
	KALAM_JOIN_EXPRS
};

extern bool kalam_enable_batchjoin;

/* ---- batchjoin_path.c ---- */

extern void kalam_batch_join_install(void);

/* ---- batchjoin_plan.c ---- */

/* custom_private of the CustomPath */
enum KalamBatchPathPrivate
{
	KALAM_BATCH_INNER,			/* ForeignPath whose conditions are used */
	KALAM_BATCH_CLAUSES,		/* RestrictInfos of the join that it does not enforce */
	KALAM_BATCH_TYPE,			/* Integer: JoinType */
	KALAM_BATCH_UNIQUE,			/* Boolean: an outer row has one match at most */
	KALAM_BATCH_KEEPS_ORDER,	/* Boolean */
	KALAM_BATCH_ITEMS
};

extern Plan *kalam_plan_batch_join(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
								   List *tlist, List *clauses, List *custom_plans);

/* ---- batchjoin_exec.c ---- */

extern const CustomScanMethods kalam_batch_join_methods;

#endif							/* KALAM_BATCHJOIN_H */
