/*
 * batchjoin_plan.c
 *	  Plans of batched joins: which conditions make the keys, which are tried on
 *	  pairs of rows, which columns there are.
 *
 * Conditions are divided as core divides them between a nested loop and its
 * inner scan.  What the scan would filter by, and what the loop would join by,
 * both decide whether a pair is a match, and become one list.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/batchjoin.h"
#include "src/backend/keymatch.h"
#include "src/backend/planner.h"
#include "src/backend/ship.h"

/* ---- order of conditions ---- */

/* Those of a lower security level first, then the cheaper ones; else as they come. */
static int
compare_clauses(const ListCell *a, const ListCell *b)
{
	const RestrictInfo *x = lfirst_node(RestrictInfo, a);
	const RestrictInfo *y = lfirst_node(RestrictInfo, b);

	if (x->security_level != y->security_level)
		return x->security_level < y->security_level ? -1 : 1;
	return (x->eval_cost.per_tuple > y->eval_cost.per_tuple) -
		(x->eval_cost.per_tuple < y->eval_cost.per_tuple);
}

static List *
in_order(PlannerInfo *root, List *clauses)
{
	ListCell   *lc;
	QualCost	cost;

	foreach(lc, clauses)
		cost_qual_eval_node(&cost, lfirst(lc), root);	/* leaves it in eval_cost */
	list_sort(clauses, compare_clauses);
	return clauses;
}

/* ---- columns ---- */

static Bitmapset *
add_columns(Bitmapset *attnums, Node *node, Index relid)
{
	ListCell   *lc;

	foreach(lc, pull_var_clause(node, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
								PVC_RECURSE_PLACEHOLDERS))
	{
		Var		   *var = lfirst(lc);

		if (var->varno == (int) relid)
			attnums = bms_add_member(attnums, var->varattno);
	}
	return attnums;
}

/* Adds columns to the scan tuple, and their numbers to a list. */
static List *
add_inner_columns(PlannerInfo *root, List *tlist, const RelOptInfo *rel, Bitmapset *attnums,
				  List **numbers)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	int			attnum = -1;

	while ((attnum = bms_next_member(attnums, attnum)) >= 0)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(rte->relid, attnum, &type, &typmod, &collation);
		tlist = lappend(tlist, makeTargetEntry((Expr *) makeVar(rel->relid, attnum, type, typmod,
																collation, 0),
											   list_length(tlist) + 1, NULL, false));
		*numbers = lappend_int(*numbers, attnum);
	}
	return tlist;
}

/* The columns of the outer plan, as they stand there. */
static List *
outer_columns(const Plan *outer)
{
	List	   *tlist = NIL;
	ListCell   *lc;

	foreach(lc, outer->targetlist)
		tlist = lappend(tlist, makeTargetEntry(lfirst_node(TargetEntry, lc)->expr,
											   list_length(tlist) + 1, NULL, false));
	return tlist;
}

/* ---- the plan ---- */

/* Has the condition the same values for all rows of the other side? */
static bool
is_of_inner(const RelOptInfo *rel, const RestrictInfo *rinfo)
{
	return bms_equal(rinfo->clause_relids, rel->relids);
}

Plan *
kalam_plan_batch_join(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					  List *clauses, List *custom_plans)
{
	ForeignPath *inner = list_nth_node(ForeignPath, path->custom_private, KALAM_BATCH_INNER);
	List	   *join_clauses = list_copy(list_nth(path->custom_private, KALAM_BATCH_CLAUSES));
	JoinType	jointype = (JoinType) intVal(list_nth(path->custom_private, KALAM_BATCH_TYPE));
	bool		unique = boolVal(list_nth(path->custom_private, KALAM_BATCH_UNIQUE));
	RelOptInfo *innerrel = inner->path.parent;
	KalamTable *table = innerrel->fdw_private;
	KalamPath  *scan_path = linitial(inner->fdw_private);
	KalamScanKey key = kalam_scan_key(table, scan_path->key);
	List	   *inner_clauses = list_concat_copy(innerrel->baserestrictinfo,
												 inner->path.param_info->ppi_clauses);
	KalamKeyMatch *match = kalam_match_key(root, innerrel, &key, inner_clauses,
										   scan_path->multiple);
	CustomScan *plan = makeNode(CustomScan);
	KalamShipped shipped = {NIL};
	List	   *matching = NIL;
	List	   *quals;
	List	   *filters = NIL;
	Bitmapset  *read = NULL;
	Bitmapset  *shown = NULL;
	List	   *numbers = NIL;
	List	   *unread = NIL;
	Node	   *items[KALAM_JOIN_ITEMS];
	ListCell   *lc;

	/* conditions */
	foreach(lc, inner_clauses)
		if (!list_member_ptr(match->exact, lfirst(lc)) &&
			!(!scan_path->only && is_of_inner(innerrel, lfirst(lc)) &&
			  kalam_ship_condition(&shipped, innerrel, table->relid, lfirst(lc))))
			matching = lappend(matching, lfirst(lc));
	join_clauses = in_order(root, join_clauses);
	if (IS_OUTER_JOIN(jointype))
	{
		extract_actual_join_clauses(join_clauses, rel->relids, &quals, &filters);
		quals = list_concat(extract_actual_clauses(in_order(root, matching), false), quals);
	}
	else
		quals = extract_actual_clauses(in_order(root, list_concat(matching, join_clauses)), false);

	/* the scan tuple */
	read = add_columns(read, (Node *) innerrel->reltarget->exprs, innerrel->relid);
	read = add_columns(read, (Node *) quals, innerrel->relid);
	read = add_columns(read, (Node *) filters, innerrel->relid);
	shown = add_columns(shown, (Node *) extract_actual_clauses(inner_clauses, false),
						innerrel->relid);
	plan->custom_scan_tlist = outer_columns(linitial(custom_plans));
	items[KALAM_JOIN_NOUTER] = (Node *) makeInteger(list_length(plan->custom_scan_tlist));
	plan->custom_scan_tlist = add_inner_columns(root, plan->custom_scan_tlist, innerrel, read,
												&numbers);
	plan->custom_scan_tlist = add_inner_columns(root, plan->custom_scan_tlist, innerrel,
												bms_difference(shown, read), &unread);

	items[KALAM_JOIN_BOUNDS] = (Node *) kalam_alternatives_to_list(match->alternatives);
	items[KALAM_JOIN_FILTER] = (Node *) kalam_ship_steps_to_list(shipped.steps);
	items[KALAM_JOIN_INDEX] = (Node *) kalam_key_for_plan(&key);
	items[KALAM_JOIN_TYPE] = (Node *) makeInteger(jointype);
	items[KALAM_JOIN_SINGLE_MATCH] = (Node *) makeBoolean(unique || jointype == JOIN_SEMI);
	items[KALAM_JOIN_KEEPS_ORDER] = list_nth(path->custom_private, KALAM_BATCH_KEEPS_ORDER);
	items[KALAM_JOIN_ATTNUMS] = (Node *) numbers;
	items[KALAM_JOIN_ONLY] = (Node *) makeBoolean(scan_path->only);
	for (int i = 0; i < KALAM_JOIN_ITEMS; i++)
		plan->custom_private = lappend(plan->custom_private, items[i]);

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = filters;
	plan->scan.scanrelid = 0;
	plan->flags = path->flags;
	plan->custom_plans = custom_plans;
	plan->custom_exprs = list_make4(list_concat(kalam_alternatives_values(match->alternatives),
												shipped.values),
									quals, extract_actual_clauses(match->used, false),
									extract_actual_clauses(shipped.rinfos, false));
	plan->methods = &kalam_batch_join_methods;
	return &plan->scan.plan;
}
