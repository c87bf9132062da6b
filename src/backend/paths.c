/*
 * paths.c
 *	  Paths of scans over stored tables.
 *
 * A path is a key range: conditions on a prefix of the primary key bound it, by
 * constants or by columns of an outer relation, and rows come in key order.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/compat.h"
#include "src/backend/keymatch.h"
#include "src/backend/planner.h"
#include "src/backend/table.h"

/*
 * Costs, in the planner's unit (about 3 us here).  A request to the storage
 * process is a wake and a look-up; rows of a range come many to a block.
 */
#define REQUEST_COST		4.0
#define ROW_FETCH_FACTOR	0.5 /* of cpu_tuple_cost: out of a block, undecoded */

/* ---- order ---- */

/*
 * The pathkeys of a scan in key order, or against it.  Columns that a constant
 * fixes do not count; the first column without an order ends it.
 */
static List *
key_order(PlannerInfo *root, RelOptInfo *rel, KalamTable *table, bool reverse)
{
	List	   *pathkeys = NIL;
	Relation	relation = table_open(table->relid, NoLock);
	TupleDesc	desc = RelationGetDescr(relation);

	for (int i = 0; i < table->nkeys; i++)
	{
		KalamKeyColumn *key = &table->keys[i];
		Form_pg_attribute att = TupleDescAttr(desc, key->attnum - 1);
		Oid			opclass = GetDefaultOpClass(key->type.base_type, BTREE_AM_OID);
		bool		descending = key->desc != reverse;
		Oid			input;
		Oid			opno;
		List	   *one;

		if (!OidIsValid(opclass))
			break;
		input = get_opclass_input_type(opclass);
		opno = get_opfamily_member(key->type.btree_opfamily, input, input,
								   descending ? BTGreaterStrategyNumber : BTLessStrategyNumber);
		if (!OidIsValid(opno))
			break;
		one = kalam_expression_pathkey(root,
									   (Expr *) makeVar(rel->relid, key->attnum, att->atttypid,
														att->atttypmod, att->attcollation, 0),
									   opno, rel->relids);
		if (one == NIL)
			break;
		if (EC_MUST_BE_REDUNDANT(linitial_node(PathKey, one)->pk_eclass))
			continue;
		if (!key->type.ordered)
			break;
		if (!list_member_ptr(pathkeys, linitial(one)))
			pathkeys = lappend(pathkeys, linitial(one));
	}
	table_close(relation, NoLock);
	return pathkeys;
}

/* ---- paths ---- */

static void
add_range_path(PlannerInfo *root, RelOptInfo *rel, KalamTable *table,
			   List *clauses, ParamPathInfo *param_info)
{
	int			nequal;
	List	   *bounds = kalam_match_bounds(rel, table, clauses, &nequal);
	List	   *bound_clauses = NIL;
	ListCell   *lc;
	double		fetched;
	double		rows = param_info ? param_info->ppi_rows : rel->rows;
	bool		point = table->nkeys > 0 && nequal == table->nkeys;
	Cost		startup;
	Cost		run;
	QualCost	qual;

	if (param_info != NULL && bounds == NIL)
		return;

	foreach(lc, bounds)
		bound_clauses = lappend(bound_clauses, ((KalamBound *) lfirst(lc))->rinfo);
	fetched = rel->tuples *
		clauselist_selectivity(root, bound_clauses, rel->relid, JOIN_INNER, NULL);
	if (point)
		fetched = 1;
	fetched = clamp_row_est(fetched);
	rows = Min(rows, fetched);

	cost_qual_eval(&qual, clauses, root);
	startup = REQUEST_COST + qual.startup + rel->reltarget->cost.startup;
	run = fetched * (cpu_tuple_cost * ROW_FETCH_FACTOR + cpu_tuple_cost + qual.per_tuple) +
		rel->pages * (fetched / Max(rel->tuples, 1)) * seq_page_cost +
		rows * rel->reltarget->cost.per_tuple;

	for (int reverse = 0; reverse <= 1; reverse++)
	{
		List	   *pathkeys = has_useful_pathkeys(root, rel) ?
			key_order(root, rel, table, reverse == 1) : NIL;
		KalamPath  *scan_path;

		if (reverse && (pathkeys == NIL || !pathkeys_contained_in(root->query_pathkeys, pathkeys)))
			break;
		scan_path = palloc0(sizeof(KalamPath));
		scan_path->reverse = reverse == 1;
		add_path(rel, (Path *)
				 create_foreignscan_path(root, rel, NULL, rows, startup, startup + run,
										 pathkeys,
										 param_info ? param_info->ppi_req_outer : rel->lateral_relids,
										 NULL,
										 list_make1(scan_path)));
	}
}

typedef struct KeyMemberArg
{
	KalamTable *table;
	AttrNumber	attnum;
} KeyMemberArg;

static bool
is_key_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			  EquivalenceMember *em, void *arg)
{
	KeyMemberArg *a = arg;
	Node	   *node = (Node *) em->em_expr;

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return IsA(node, Var) && ((Var *) node)->varno == (int) rel->relid &&
		((Var *) node)->varattno == a->attnum;
}

/* Adds the outer relations of a usable join clause as one way to parameterise. */
static List *
add_outer(RelOptInfo *rel, List *outers, RestrictInfo *rinfo)
{
	Relids		outer = bms_union(rinfo->clause_relids, rel->lateral_relids);
	ListCell   *lc;

	outer = bms_del_member(outer, rel->relid);
	if (bms_is_empty(outer))
		return outers;
	foreach(lc, outers)
		if (bms_equal(lfirst(lc), outer))
			return outers;
	return lappend(outers, outer);
}

static void
add_parameterised_paths(PlannerInfo *root, RelOptInfo *rel, KalamTable *table)
{
	List	   *outers = NIL;
	Relids		all = NULL;
	ListCell   *lc;

	foreach(lc, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (join_clause_is_movable_to(rinfo, rel) && kalam_match_bound(rel, table, rinfo))
			outers = add_outer(rel, outers, rinfo);
	}
	for (int i = 0; i < table->nkeys && rel->has_eclass_joins; i++)
	{
		KeyMemberArg arg = {table, table->keys[i].attnum};
		List	   *clauses = generate_implied_equalities_for_column(root, rel, is_key_member,
																	 &arg, rel->lateral_referencers);

		foreach(lc, clauses)
		{
			RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

			if (join_clause_is_movable_to(rinfo, rel) && kalam_match_bound(rel, table, rinfo))
				outers = add_outer(rel, outers, rinfo);
		}
	}

	foreach(lc, outers)
		all = bms_union(all, lfirst(lc));
	if (list_length(outers) > 1)
	{
		bool		known = false;

		foreach(lc, outers)
			known |= bms_equal(lfirst(lc), all);
		if (!known)
			outers = lappend(outers, all);
	}
	foreach(lc, outers)
	{
		ParamPathInfo *info = get_baserel_parampathinfo(root, rel, lfirst(lc));

		add_range_path(root, rel, table,
					   list_concat_copy(rel->baserestrictinfo, info->ppi_clauses), info);
	}
}

void
kalam_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	KalamTable *table = rel->fdw_private;

	add_range_path(root, rel, table, rel->baserestrictinfo, NULL);
	if (table->nkeys > 0)
		add_parameterised_paths(root, rel, table);
}
