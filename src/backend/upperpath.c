/*
 * upperpath.c
 *	  Paths and plans of aggregates that storage computes.
 *
 * A path is that of a scan of the table, of which the conditions are all enforced
 * by its range or by storage, with groups in place of rows, and a Finalize
 * Aggregate above it, as for a parallel query.  The scan may be a parallel one.
 */
#include "postgres.h"

#include <math.h>

#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "src/backend/keymatch.h"
#include "src/backend/planner.h"
#include "src/backend/ship.h"
#include "src/backend/sidebyside.h"
#include "src/backend/table.h"
#include "src/backend/upper.h"

/* Costs of a value that storage adds, and of a group that comes of it. */
#define ITEM_FACTOR		0.5 /* of cpu_operator_cost */
#define GROUP_FACTOR	2.0 /* of cpu_tuple_cost */

/* The only member of the private list of an upper path. */
typedef struct UpperPath
{
	RelOptInfo *rel;
	Oid			relid;
	ForeignPath *scan;
	List	   *exprs;			/* columns of the result */
	KalamUpper	upper;
} UpperPath;

/* ---- paths ---- */

/* Group columns and partial aggregates that the target and HAVING need. */
static PathTarget *
partial_target(PlannerInfo *root, PathTarget *target, Node *having)
{
	PathTarget *result = create_empty_pathtarget();
	List	   *others = list_make1(having);
	ListCell   *lc;

	foreach(lc, target->exprs)
	{
		Index		ref = get_pathtarget_sortgroupref(target, foreach_current_index(lc));

		if (ref != 0 && get_sortgroupref_clause_noerr(ref, root->parse->groupClause) != NULL)
			add_column_to_pathtarget(result, lfirst(lc), ref);
		else
			others = lappend(others, lfirst(lc));
	}
	add_new_columns_to_pathtarget(result,
								  pull_var_clause((Node *) others,
												  PVC_INCLUDE_AGGREGATES |
												  PVC_RECURSE_WINDOWFUNCS |
												  PVC_INCLUDE_PLACEHOLDERS));
	foreach(lc, result->exprs)
	{
		if (IsA(lfirst(lc), Aggref))
		{
			Aggref	   *partial = makeNode(Aggref);

			*partial = *lfirst_node(Aggref, lc);
			mark_partial_aggref(partial, AGGSPLIT_INITIAL_SERIAL);
			lfirst(lc) = partial;
		}
	}
	return set_pathtarget_cost_width(root, result);
}

/* Is all that is not a group column an aggregate? */
static bool
is_grouped(PathTarget *target)
{
	ListCell   *lc;

	foreach(lc, target->exprs)
		if (!IsA(lfirst(lc), Aggref) &&
			get_pathtarget_sortgroupref(target, foreach_current_index(lc)) == 0)
			return false;
	return true;
}

/* Does it take no more than the keys of an index? */
static bool
only_counts_rows(const KalamUpper *upper)
{
	ListCell   *lc;

	foreach(lc, upper->items)
		if (lsecond_int(lfirst(lc)) != 0)
			return false;
	return upper->group == NIL;
}

static bool
can_aggregate(const KalamPath *path, const KalamUpper *upper)
{
	return path->filters_all &&
		(!path->only || path->key == KALAM_PRIMARY_KEY || only_counts_rows(upper));
}

/* All scans of the relation that were made, of which at least one is among its paths. */
static const KalamScans *
scans_of(const RelOptInfo *rel)
{
	ListCell   *lc;

	foreach(lc, rel->pathlist)
	{
		Path	   *path = lfirst(lc);

		while (IsA(path, ProjectionPath))
			path = ((ProjectionPath *) path)->subpath;
		if (IsA(path, ForeignPath) && path->parent == rel)
			return ((KalamPath *) linitial(((ForeignPath *) path)->fdw_private))->scans;
	}
	return NULL;
}

/*
 * The cheapest scan of the table that gives the rows, and no others, without help.
 * One that reads only entries of an index has no values of columns for storage.
 */
static ForeignPath *
cheapest_scan(List *scans, const KalamUpper *upper)
{
	ForeignPath *best = NULL;
	ListCell   *lc;

	foreach(lc, scans)
	{
		ForeignPath *scan = lfirst(lc);

		if ((best == NULL || scan->path.total_cost < best->path.total_cost) &&
			can_aggregate(linitial(scan->fdw_private), upper))
			best = scan;
	}
	return best;
}

/*
 * How many groups come from storage.  It holds so many at once, and begins anew when
 * a row of another one comes: with rows in random order, after n ln(n / (n - held))
 * of them, of n groups.
 */
static double
estimate_parts(const UpperPath *upper, double ngroups, double rows)
{
	Size		bytes = 0;
	double		held;
	ListCell   *lc;

	foreach(lc, upper->upper.items)
	{
		AttrNumber	attnum = lsecond_int(lfirst(lc));
		KalamFieldKind kind = attnum == 0 ? KALAM_FIELD_OPAQUE :
			kalam_field_kind(get_atttype(upper->relid, attnum));

		bytes += kalam_aggregate_state_bytes(linitial_int(lfirst(lc)),
											 kalam_measured_kind(lthird_int(lfirst(lc)), kind));
	}
	foreach(lc, upper->upper.group)
		bytes += sizeof(uint32) + upper->rel->attr_widths[lfirst_int(lc) - upper->rel->min_attr];
	held = kalam_aggregator_capacity(bytes);
	if (ngroups <= held)
		return ngroups;
	return Max(ngroups, rows * held / (ngroups * log(ngroups / (ngroups - held))));
}

static void
add_paths(PlannerInfo *root, RelOptInfo *grouped_rel, UpperPath *upper, PathTarget *target,
		  double ngroups, GroupPathExtraData *extra)
{
	Query	   *parse = root->parse;
	Path	   *scan = &upper->scan->path;
	double		rows = scan->rows;
	double		nparts;
	Cost		total;
	AggClauseCosts costs = {0};
	Path	   *path;

	nparts = estimate_parts(upper, ngroups, rows);
	total = Max(scan->startup_cost, scan->total_cost - kalam_cost_of_sending(rows)) +
		rows * list_length(upper->exprs) * cpu_operator_cost * ITEM_FACTOR +
		nparts * cpu_tuple_cost * GROUP_FACTOR;
	if (!upper->upper.in_order && !scan->parallel_aware)
		total = scan->startup_cost + kalam_sides_cost(total - scan->startup_cost);
	path = (Path *) create_foreign_upper_path(root, grouped_rel, target, nparts,
											  total, total, NIL, NULL, list_make1(upper));
	if (scan->parallel_aware)
	{
		path->parallel_aware = true;
		path->parallel_workers = scan->parallel_workers;
		nparts *= scan->parallel_workers + 1;
		path = (Path *) create_gather_path(root, grouped_rel, path, target, NULL, &nparts);
	}

	get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &costs);
	if (parse->groupClause == NIL)
		add_path(grouped_rel, (Path *)
				 create_agg_path(root, grouped_rel, path, grouped_rel->reltarget, AGG_PLAIN,
								 AGGSPLIT_FINAL_DESERIAL, NIL, (List *) extra->havingQual,
								 &costs, ngroups));
	if (parse->groupClause != NIL && (extra->flags & GROUPING_CAN_USE_HASH))
		add_path(grouped_rel, (Path *)
				 create_agg_path(root, grouped_rel, path, grouped_rel->reltarget, AGG_HASHED,
								 AGGSPLIT_FINAL_DESERIAL, parse->groupClause,
								 (List *) extra->havingQual, &costs, ngroups));
	if (parse->groupClause != NIL && (extra->flags & GROUPING_CAN_USE_SORT))
	{
		path = (Path *) create_sort_path(root, grouped_rel, path, root->group_pathkeys, -1.0);
		add_path(grouped_rel, (Path *)
				 create_agg_path(root, grouped_rel, path, grouped_rel->reltarget, AGG_SORTED,
								 AGGSPLIT_FINAL_DESERIAL, parse->groupClause,
								 (List *) extra->havingQual, &costs, ngroups));
	}
}

void
kalam_get_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
					  RelOptInfo *output_rel, void *extra)
{
	GroupPathExtraData *group = extra;
	PathTarget *target;
	UpperPath  *upper;
	UpperPath  *parallel;
	KalamTable *table;
	const KalamScans *scans;
	double		ngroups = 1;

	if (!kalam_enable_aggregate || stage != UPPERREL_GROUP_AGG ||
		input_rel->reloptkind != RELOPT_BASEREL || input_rel->fdw_private == NULL ||
		IS_DUMMY_REL(input_rel) ||
		bms_membership(root->all_baserels) != BMS_SINGLETON ||
		root->parse->groupingSets != NIL || !(group->flags & GROUPING_CAN_PARTIAL_AGG))
		return;
	table = input_rel->fdw_private;
	target = partial_target(root, output_rel->reltarget, group->havingQual);
	if (!is_grouped(target))
		return;
	upper = palloc0(sizeof(UpperPath));
	upper->rel = input_rel;
	upper->relid = table->relid;
	upper->exprs = target->exprs;
	if (!kalam_upper_match(&upper->upper, input_rel, table->relid, target->exprs))
		return;
	if (root->parse->groupClause != NIL)
		ngroups = estimate_num_groups(root, get_sortgrouplist_exprs(root->parse->groupClause,
																	group->targetList),
									  input_rel->rows, NULL, NULL);
	scans = scans_of(input_rel);
	if (scans == NULL)
		return;
	upper->scan = cheapest_scan(scans->whole, &upper->upper);
	if (upper->scan != NULL)
		add_paths(root, output_rel, upper, target, ngroups, group);
	if (!output_rel->consider_parallel || upper->upper.in_order)
		return;
	parallel = palloc(sizeof(UpperPath));
	*parallel = *upper;
	parallel->scan = cheapest_scan(scans->partial, &upper->upper);
	if (parallel->scan != NULL)
		add_paths(root, output_rel, parallel, target, ngroups, group);
}

/* ---- plans ---- */

ForeignScan *
kalam_get_upper_plan(PlannerInfo *root, ForeignPath *path, List *tlist, Plan *outer_plan)
{
	UpperPath  *upper = linitial(path->fdw_private);
	ForeignScan *scan = kalam_get_base_plan(root, upper->rel, upper->relid, upper->scan, NIL,
											upper->rel->baserestrictinfo, NULL);
	List	   *private = scan->fdw_private;
	List	   *columns = NIL;
	ListCell   *lc;

	if (scan->scan.plan.qual != NIL)
		elog(ERROR, "kalam: conditions are left over below an aggregate");
	foreach(lc, upper->exprs)
		columns = lappend(columns, makeTargetEntry(copyObject(lfirst(lc)),
												   foreach_current_index(lc) + 1, NULL, false));
	lfirst(list_nth_cell(private, KALAM_PRIVATE_NO_COLUMNS)) = makeBoolean(false);
	lfirst(list_nth_cell(private, KALAM_PRIVATE_ONLY)) = NIL;
	lfirst(list_nth_cell(private, KALAM_PRIVATE_LIMIT)) = makeInteger(0);
	lfirst(list_nth_cell(private, KALAM_PRIVATE_UPPER)) = kalam_upper_to_list(&upper->upper);
	lfirst(list_nth_cell(private, KALAM_PRIVATE_VARNO)) = makeInteger(upper->rel->relid);
	lfirst(list_nth_cell(private, KALAM_PRIVATE_CONDITIONS)) = scan->fdw_recheck_quals;
	return make_foreignscan(tlist, NIL, 0, scan->fdw_exprs, private, columns, NIL, outer_plan);
}
