/*
 * keymatch.h
 *	  Conditions on key columns, recognised by the planner: what a plan keeps of
 *	  them, so that keyrange.h can make ranges of key bytes of them.
 */
#ifndef KALAM_KEYMATCH_H
#define KALAM_KEYMATCH_H

#include "postgres.h"
#include "nodes/pathnodes.h"

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

#endif							/* KALAM_KEYMATCH_H */
