/*
 * keyrange.h
 *	  Conditions on key columns to ranges of key bytes: matched by the planner,
 *	  computed by the executor.
 */
#ifndef KALAM_KEYRANGE_H
#define KALAM_KEYRANGE_H

#include "postgres.h"
#include "executor/executor.h"
#include "nodes/pathnodes.h"

#include "src/backend/client.h"
#include "src/backend/table.h"

/* One condition: key column, operator strategy (btree), how to convert. */
typedef struct KalamBound
{
	int			key_index;
	int			strategy;		/* BT*StrategyNumber, column on the left */
	KalamCast	cast;
	Oid			value_type;		/* base type of the other side */
	Expr	   *value;
	RestrictInfo *rinfo;		/* planner only */
	bool		exact;			/* the range alone enforces it */
} KalamBound;

/*
 * The conditions among clauses (RestrictInfos) that bound a scan: equality on a
 * prefix of the key and ranges on the next column.  Returns KalamBounds in key
 * order; *nequal is the length of the prefix.
 */
extern List *kalam_match_bounds(RelOptInfo *rel, KalamTable *table, List *clauses, int *nequal);

/* Is the key column of this index bounded by this operator clause?  NULL if not. */
extern KalamBound *kalam_match_bound(RelOptInfo *rel, KalamTable *table, RestrictInfo *rinfo);

/* To and from lists that plans can carry (the values go by fdw_exprs). */
extern List *kalam_bounds_to_list(List *bounds);
extern List *kalam_bounds_from_list(List *list);

/*
 * Computes the range for values of the bounds, evaluated by states in econtext.
 * False if no row can lie in it.  lower and upper have KALAM_MAX_KEY_BYTES; the
 * range points to them.
 */
extern bool kalam_compute_range(KalamTable *table, List *bounds, List *states,
								ExprContext *econtext, KalamRange *range,
								uint8 *lower, uint8 *upper);

#endif							/* KALAM_KEYRANGE_H */
