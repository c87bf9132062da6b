/*
 * planner.c
 *	  Sizes, paths and plans of scans over stored tables.
 *
 * A path is a key range: conditions on a prefix of the primary key bound it, by
 * constants or by columns of an outer relation, and rows come in key order.  The
 * key is also shown to the planner as a unique index that cannot be scanned, so
 * that it knows that key columns identify a row.
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/compat.h"
#include "src/backend/keyrange.h"
#include "src/backend/planner.h"
#include "src/backend/rowlock.h"
#include "src/backend/table.h"

/*
 * Costs, in the planner's unit (about 3 us here).  A request to the storage
 * process is a wake and a look-up; rows of a range come many to a block.
 */
#define REQUEST_COST		4.0
#define ROW_FETCH_FACTOR	0.5 /* of cpu_tuple_cost: out of a block, undecoded */

static get_relation_info_hook_type prev_get_relation_info = NULL;

/* ---- table of a relation while it is planned ---- */

/* The table, kept open until the planner's memory goes. */
static KalamTable *
planned_table(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	KalamTable *table = kalam_table_open_for_context(rel);

	table_close(rel, NoLock);
	return table;
}

/* ---- sizes ---- */

void
kalam_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	KalamTable *table = planned_table(relid);
	double		rows;
	double		bytes;

	rel->fdw_private = table;
	kalam_table_stat(table, &rows, &bytes);
	if (rel->tuples > 0 && rel->pages > 0)
	{
		/* analysed: its density, today's size, as for heap */
		double		density = rel->tuples / rel->pages;
		double		pages = Max(ceil(bytes / BLCKSZ), 1);

		rel->tuples = bytes > 0 ? Max(rint(density * pages), 1) : rel->tuples;
		rel->pages = (BlockNumber) pages;
	}
	else
	{
		rel->tuples = Max(rows, 1);
		rel->pages = (BlockNumber) Max(ceil(bytes / BLCKSZ), 1);
	}
	set_baserel_size_estimates(root, rel);
}

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

		if (reverse && (pathkeys == NIL || !pathkeys_contained_in(root->query_pathkeys, pathkeys)))
			break;
		add_path(rel, (Path *)
				 create_foreignscan_path(root, rel, NULL, rows, startup, startup + run,
										 pathkeys,
										 param_info ? param_info->ppi_req_outer : rel->lateral_relids,
										 NULL,
										 list_make1(makeBoolean(reverse == 1))));
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

/* ---- plans ---- */

static bool
needs_columns(RelOptInfo *rel, List *quals)
{
	Bitmapset  *attrs = NULL;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &attrs);
	pull_varattnos((Node *) quals, rel->relid, &attrs);
	return !bms_is_empty(attrs);
}

/* Does an UPDATE of the relation set columns of its key? */
static bool
sets_key(PlannerInfo *root, RelOptInfo *rel, KalamTable *table)
{
	Bitmapset  *updated = planner_rt_fetch(rel->relid, root)->updatedCols;

	for (int i = 0; i < table->nkeys; i++)
		if (bms_is_member(table->keys[i].attnum - FirstLowInvalidHeapAttributeNumber, updated))
			return true;
	return false;
}

/*
 * Must the scan lock the rows that it returns, and how?  Row triggers of UPDATE
 * and DELETE get the old row as the scan saw it, so it must be the newest.
 * Without them the modification locks, and SELECT ... FOR UPDATE locks what it
 * returns.
 */
static int
scan_lock_mode(PlannerInfo *root, RelOptInfo *rel, KalamTable *table)
{
	CmdType		command = root->parse->commandType;
	Relation	relation;
	bool		lock;

	if (!bms_is_member(rel->relid, root->all_result_relids) ||
		(command != CMD_UPDATE && command != CMD_DELETE))
		return KALAM_SCAN_LOCKS_NOTHING;
	relation = table_open(table->relid, NoLock);
	lock = relation->trigdesc != NULL &&
		(relation->trigdesc->trig_update_before_row ||
		 relation->trigdesc->trig_update_after_row ||
		 relation->trigdesc->trig_delete_before_row ||
		 relation->trigdesc->trig_delete_after_row);
	table_close(relation, NoLock);
	if (!lock)
		return KALAM_SCAN_LOCKS_NOTHING;
	return command == CMD_UPDATE && !sets_key(root, rel, table) ?
		KALAM_LOCK_NO_KEY_UPDATE : KALAM_LOCK_UPDATE;
}

ForeignScan *
kalam_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
			   List *tlist, List *clauses, Plan *outer_plan)
{
	KalamTable *table = rel->fdw_private;
	int			nequal;
	List	   *bounds = kalam_match_bounds(rel, table, clauses, &nequal);
	List	   *values = NIL;
	List	   *key_quals = NIL;
	List	   *filters = NIL;
	List	   *private;
	ListCell   *lc;
	PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rel->relid);
	bool		marked = mark != NULL && mark->strength != LCS_NONE;
	int			lock_mode = scan_lock_mode(root, rel, table);
	bool		lock = lock_mode != KALAM_SCAN_LOCKS_NOTHING;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		bool		exact = false;
		ListCell   *lb;

		foreach(lb, bounds)
		{
			KalamBound *bound = lfirst(lb);

			if (bound->rinfo == rinfo)
				exact = bound->exact;
		}
		if (!exact)
			filters = lappend(filters, rinfo);
	}
	foreach(lc, bounds)
	{
		KalamBound *bound = lfirst(lc);

		values = lappend(values, bound->value);
		key_quals = lappend(key_quals, bound->rinfo->clause);
	}
	filters = extract_actual_clauses(filters, false);

	private = list_make5(kalam_bounds_to_list(bounds),
						 linitial(path->fdw_private),
						 makeBoolean(!needs_columns(rel, filters) && !lock && !marked),
						 makeInteger(lock_mode),
						 makeBoolean(marked));
	if (lock)
	{
		key_quals = list_concat(key_quals, filters);
		filters = NIL;
	}
	return make_foreignscan(tlist, filters, rel->relid, values, private, NIL,
							key_quals, outer_plan);
}

/* ---- the key as an index that the planner knows of ---- */

static void
show_key_as_index(RelOptInfo *rel, KalamTable *table, Relation relation)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);
	TupleDesc	desc = RelationGetDescr(relation);
	int			n = table->nkeys;

	index->reltablespace = InvalidOid;
	index->rel = rel;
	index->pages = 1;
	index->tuples = Max(rel->tuples, 1);
	index->tree_height = -1;
	index->ncolumns = n;
	index->nkeycolumns = n;
	index->indexkeys = palloc0(n * sizeof(int));
	index->indexcollations = palloc0(n * sizeof(Oid));
	index->opfamily = palloc0(n * sizeof(Oid));
	index->opcintype = palloc0(n * sizeof(Oid));
	index->canreturn = palloc0(n * sizeof(bool));
	index->reverse_sort = NULL;
	index->nulls_first = NULL;
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, table->keys[i].attnum - 1);
		Oid			opclass = GetDefaultOpClass(table->keys[i].type.base_type, BTREE_AM_OID);

		index->indexkeys[i] = table->keys[i].attnum;
		index->indexcollations[i] = att->attcollation;
		index->opfamily[i] = table->keys[i].type.btree_opfamily;
		index->opcintype[i] = OidIsValid(opclass) ? get_opclass_input_type(opclass) : att->atttypid;
		index->indextlist = lappend(index->indextlist,
									makeTargetEntry((Expr *) makeVar(rel->relid, att->attnum,
																	 att->atttypid, att->atttypmod,
																	 att->attcollation, 0),
													i + 1, NULL, false));
	}
	index->relam = BTREE_AM_OID;
	index->unique = true;
	index->immediate = true;
	index->hypothetical = true;
	rel->indexlist = lappend(rel->indexlist, index);
}

static void
kalam_get_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	if (prev_get_relation_info)
		prev_get_relation_info(root, relid, inhparent, rel);

	if (!inhparent && get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE && kalam_is_table(relid))
	{
		KalamTable *table = planned_table(relid);

		if (table->nkeys > 0)
		{
			Relation	relation = table_open(relid, NoLock);

			show_key_as_index(rel, table, relation);
			table_close(relation, NoLock);
		}
	}
}

void
kalam_planner_install(void)
{
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = kalam_get_relation_info;
}
