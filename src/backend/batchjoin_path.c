/*
 * batchjoin_path.c
 *	  Paths of batched joins, beside those that core makes for the same join.
 *
 * Wherever core could run a nested loop whose inner side is a scan of a stored
 * table by a key, parameterised by the outer side, a batched join can do the
 * same: it is built upon that scan's path, and gives the same rows, in the order
 * of the outer side if somebody wants that.  Not where rows are locked or modified:
 * what is checked again then is checked by nodes that read one row at a time.
 */
#include "postgres.h"

#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"

#include "src/backend/batchjoin.h"
#include "src/backend/planner.h"

/*
 * Costs, in the planner's unit: a key made and sent to storage, many at a time;
 * then it is looked up, or walked to over the keys between.  What a request costs
 * besides, the inner path knows.
 */
#define PROBE_COST		0.06
#define LOOK_UP_COST	0.3
#define STEP_COST		0.02

static set_join_pathlist_hook_type prev_join_pathlist = NULL;

/* One join, in one direction. */
typedef struct Joining
{
	PlannerInfo *root;
	RelOptInfo *joinrel;
	RelOptInfo *outerrel;
	RelOptInfo *innerrel;
	JoinType	jointype;
	JoinPathExtraData *extra;
} Joining;

/* ---- which joins ---- */

/* May rows of this query level be read again, one by one? */
static bool
checks_again(PlannerInfo *root)
{
	return root->rowMarks != NIL || root->parse->rowMarks != NIL ||
		root->parse->commandType == CMD_UPDATE || root->parse->commandType == CMD_DELETE ||
		root->parse->commandType == CMD_MERGE;
}

static bool
is_stored_table(const RelOptInfo *rel)
{
	return IS_SIMPLE_REL(rel) && rel->rtekind == RTE_RELATION && rel->fdwroutine != NULL &&
		rel->fdwroutine->GetForeignPaths == kalam_get_paths;
}

/* Are plain columns all that is wanted of the relation? */
static bool
wants_columns_only(const RelOptInfo *rel)
{
	ListCell   *lc;

	foreach(lc, rel->reltarget->exprs)
	{
		Var		   *var = lfirst(lc);

		if (!IsA(var, Var) || var->varattno <= 0)
			return false;
	}
	return true;
}

/* Not what reads one key after the other. */
static bool
follows_one_key(const ForeignPath *path)
{
	return ((const KalamPath *) linitial(path->fdw_private))->parts == NIL;
}

static bool
has_pseudoconstant(List *clauses)
{
	ListCell   *lc;

	foreach(lc, clauses)
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return true;
	return false;
}

/* ---- costs ---- */

/* How many batches a number of outer rows makes. */
static double
batches_of(double rows)
{
	double		size = KALAM_BATCH_FIRST;
	double		n = 1;

	while (rows > size && size < KALAM_BATCH_MOST)
	{
		rows -= size;
		size *= KALAM_BATCH_GROWTH;
		n++;
	}
	return rows > size ? n + (rows - size) / KALAM_BATCH_MOST : n;
}

/* To find a key, if those of a batch lie anywhere in the table. */
static Cost
find_cost(double outer_rows, const RelOptInfo *innerrel)
{
	double		steps = Max(innerrel->tuples, 1) / Min(outer_rows, KALAM_BATCH_MOST);

	return Min(steps * STEP_COST, LOOK_UP_COST);
}

static void
cost_batch_join(const Joining *j, CustomPath *path, const Path *outer, const Path *inner,
				List *clauses)
{
	double		outer_rows = Max(outer->rows, 1);
	double		pairs = outer_rows * inner->rows;
	Cost		request = inner->startup_cost;
	Cost		run;
	QualCost	qual;

	cost_qual_eval(&qual, clauses, j->root);
	path->path.startup_cost = outer->startup_cost + request + qual.startup +
		path->path.pathtarget->cost.startup;
	run = outer->total_cost - outer->startup_cost +
		(batches_of(outer_rows) - 1) * request +
		outer_rows * (PROBE_COST + find_cost(outer_rows, inner->parent) +
					  inner->total_cost - inner->startup_cost) +
		pairs * (cpu_tuple_cost + qual.per_tuple) +
		path->path.rows * path->path.pathtarget->cost.per_tuple;
	path->path.total_cost = path->path.startup_cost + run;
}

/* ---- paths ---- */

static const CustomPathMethods path_methods = {
	.CustomName = KALAM_BATCH_JOIN_NAME,
	.PlanCustomPath = kalam_plan_batch_join
};

/* Clauses of the join that the inner side's conditions do not enforce. */
static List *
clauses_left(const Joining *j, const Path *inner)
{
	Relids		both = bms_union(inner->parent->relids, PATH_REQ_OUTER(inner));
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, j->extra->restrictlist)
		if (!join_clause_is_movable_into(lfirst_node(RestrictInfo, lc), inner->parent->relids, both))
			left = lappend(left, lfirst(lc));
	return left;
}

/* The relations from above that the join needs; false: such a path is not wanted. */
static bool
find_required_outer(const Joining *j, const Path *outer, const Path *inner, Relids *required)
{
	Relids		inner_params = PATH_REQ_OUTER(inner);

	*required = calc_nestloop_required_outer(j->outerrel->relids, PATH_REQ_OUTER(outer),
											 j->innerrel->relids, inner_params);
	if (*required == NULL)
		return true;
	/* as core decides for nested loops */
	return (bms_overlap(*required, j->extra->param_source_rels) ||
			bms_nonempty_difference(inner_params, j->outerrel->relids)) &&
		!have_dangerous_phv(j->root, j->outerrel->relids, inner_params);
}

static CustomPath *
make_path(const Joining *j, Path *outer, Path *inner, List *pathkeys, Relids required)
{
	CustomPath *path = makeNode(CustomPath);
	List	   *clauses = clauses_left(j, inner);
	List	   *private = NIL;
	Node	   *items[KALAM_BATCH_ITEMS];

	path->path.pathtype = T_CustomScan;
	path->path.parent = j->joinrel;
	path->path.pathtarget = j->joinrel->reltarget;
	path->path.param_info = get_joinrel_parampathinfo(j->root, j->joinrel, outer, inner,
													  j->extra->sjinfo, required, &clauses);
	path->path.rows = path->path.param_info ? path->path.param_info->ppi_rows : j->joinrel->rows;
	/* of a partial path, the share that its outer side has */
	if (outer->parallel_workers > 0)
		path->path.rows = clamp_row_est(path->path.rows *
										Min(outer->rows / Max(outer->parent->rows, 1), 1));
	path->path.parallel_safe = j->joinrel->consider_parallel && outer->parallel_safe &&
		inner->parallel_safe;
	path->path.parallel_workers = outer->parallel_workers;
	path->path.pathkeys = pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(outer);
	path->methods = &path_methods;
	items[KALAM_BATCH_INNER] = (Node *) inner;
	items[KALAM_BATCH_CLAUSES] = (Node *) clauses;
	items[KALAM_BATCH_TYPE] = (Node *) makeInteger(j->jointype);
	items[KALAM_BATCH_UNIQUE] = (Node *) makeBoolean(j->extra->inner_unique);
	items[KALAM_BATCH_KEEPS_ORDER] = (Node *) makeBoolean(pathkeys != NIL);
	for (int i = 0; i < KALAM_BATCH_ITEMS; i++)
		private = lappend(private, items[i]);
	path->custom_private = private;
	cost_batch_join(j, path, outer, inner, clauses);
	return path;
}

static void
try_path(const Joining *j, Path *outer, Path *inner)
{
	List	   *pathkeys;
	Relids		required;

	if (bms_overlap(PATH_REQ_OUTER(outer), j->innerrel->relids) ||
		!find_required_outer(j, outer, inner, &required))
		return;
	pathkeys = build_join_pathkeys(j->root, j->joinrel, j->jointype, outer->pathkeys);
	if (add_path_precheck(j->joinrel, outer->startup_cost + inner->startup_cost,
						  outer->total_cost + inner->startup_cost, pathkeys, required))
		add_path(j->joinrel, (Path *) make_path(j, outer, inner, pathkeys, required));
}

/* The same for an outer side that parallel processes share. */
static void
try_partial_path(const Joining *j, Path *outer, Path *inner)
{
	List	   *pathkeys = build_join_pathkeys(j->root, j->joinrel, j->jointype, outer->pathkeys);

	if (bms_is_subset(PATH_REQ_OUTER(inner), j->outerrel->relids) &&
		add_partial_path_precheck(j->joinrel, outer->total_cost + inner->startup_cost, pathkeys))
		add_partial_path(j->joinrel, (Path *) make_path(j, outer, inner, pathkeys, NULL));
}

static void
try_inner(const Joining *j, Path *inner, Path *unique_outer)
{
	ListCell   *lc;

	if (unique_outer != NULL)
	{
		try_path(j, unique_outer, inner);
		return;
	}
	foreach(lc, j->outerrel->pathlist)
		try_path(j, lfirst(lc), inner);
	if (!j->joinrel->consider_parallel || !inner->parallel_safe ||
		!bms_is_empty(j->joinrel->lateral_relids))
		return;
	foreach(lc, j->outerrel->partial_pathlist)
		try_partial_path(j, lfirst(lc), inner);
}

static void
add_batch_joins(Joining *j)
{
	Path	   *unique_outer = NULL;
	ListCell   *lc;

	switch (j->jointype)
	{
		case JOIN_INNER:
		case JOIN_LEFT:
		case JOIN_SEMI:
		case JOIN_ANTI:
			break;
		case JOIN_UNIQUE_OUTER:
			/* an inner join, once the outer rows are made unique */
			unique_outer = (Path *) create_unique_path(j->root, j->outerrel,
													   j->outerrel->cheapest_total_path,
													   j->extra->sjinfo);
			if (unique_outer == NULL)
				return;
			j->jointype = JOIN_INNER;
			break;
		default:
			return;
	}
	foreach(lc, j->innerrel->pathlist)
	{
		Path	   *inner = lfirst(lc);

		if (!IsA(inner, ForeignPath) || !follows_one_key((ForeignPath *) inner))
			continue;
		/* in a join of partitions, it may depend on the table that the outer one is of */
		if (bms_overlap(PATH_REQ_OUTER(inner), j->outerrel->top_parent_relids))
			inner = reparameterize_path_by_child(j->root, inner, j->outerrel);
		if (inner != NULL && bms_overlap(PATH_REQ_OUTER(inner), j->outerrel->relids) &&
			!has_pseudoconstant(inner->param_info->ppi_clauses))
			try_inner(j, inner, unique_outer);
	}
}

static void
batch_join_pathlist(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
					RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra)
{
	Joining		j = {root, joinrel, outerrel, innerrel, jointype, extra};

	if (prev_join_pathlist)
		prev_join_pathlist(root, joinrel, outerrel, innerrel, jointype, extra);
	if (kalam_enable_batchjoin && is_stored_table(innerrel) && !checks_again(root) &&
		bms_is_empty(innerrel->lateral_relids) && wants_columns_only(innerrel) &&
		!has_pseudoconstant(innerrel->baserestrictinfo))
		add_batch_joins(&j);
}

void
kalam_batch_join_install(void)
{
	prev_join_pathlist = set_join_pathlist_hook;
	set_join_pathlist_hook = batch_join_pathlist;
	RegisterCustomScanMethods(&kalam_batch_join_methods);
}
