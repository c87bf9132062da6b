/*
 * paths.c
 *	  Paths of scans over stored tables.
 *
 * A path follows a key: conditions on a prefix of the key bound it, by constants
 * or by columns of an outer relation, to one range or several, and rows come in
 * key order.
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "src/backend/compat.h"
#include "src/backend/index.h"
#include "src/backend/keymatch.h"
#include "src/backend/parallel.h"
#include "src/backend/paths_internal.h"
#include "src/backend/planner.h"
#include "src/backend/ship.h"
#include "src/backend/snapshot.h"
#include "src/backend/table.h"

/* ---- order ---- */

/* The existing pathkey of a key column in that direction, or NULL. */
static PathKey *
column_pathkey(PlannerInfo *root, RelOptInfo *rel, TupleDesc desc, const KalamKeyColumn *column,
			   bool descending)
{
	Form_pg_attribute att = TupleDescAttr(desc, column->attnum - 1);
	Oid			opclass = GetDefaultOpClass(column->type.base_type, BTREE_AM_OID);
	Oid			input;
	Oid			opno;
	List	   *one;

	if (!OidIsValid(opclass))
		return NULL;
	input = get_opclass_input_type(opclass);
	opno = get_opfamily_member(column->type.btree_opfamily, input, input,
							   descending ? BTGreaterStrategyNumber : BTLessStrategyNumber);
	if (!OidIsValid(opno))
		return NULL;
	one = kalam_expression_pathkey(root,
								   (Expr *) makeVar(rel->relid, column->attnum, att->atttypid,
													att->atttypmod, att->attcollation, 0),
								   opno, rel->relids);
	return one != NIL ? linitial(one) : NULL;
}

/*
 * The pathkeys of a scan in key order, or against it.  Columns that a constant
 * fixes do not count.  Nor do others that have one value in this scan, unless
 * the query names them; the first column without an order ends it.
 */
static List *
key_order(PlannerInfo *root, RelOptInfo *rel, TupleDesc desc, const KalamScanKey *key,
		  const KalamKeyMatch *match, bool reverse)
{
	List	   *pathkeys = NIL;

	for (int i = 0; i < key->nordered; i++)
	{
		const KalamKeyColumn *column = &key->columns[i];
		PathKey    *pathkey = column_pathkey(root, rel, desc, column, column->desc != reverse);
		bool		fixed = i < match->nfixed;

		if (pathkey != NULL && EC_MUST_BE_REDUNDANT(pathkey->pk_eclass))
			continue;
		if (fixed && (pathkey == NULL || !list_member_ptr(root->query_pathkeys, pathkey)))
			continue;
		if (pathkey == NULL || (!column->type.ordered && !fixed))
			break;
		if (!list_member_ptr(pathkeys, pathkey))
			pathkeys = lappend(pathkeys, pathkey);
	}
	return truncate_useless_pathkeys(root, rel, pathkeys);
}

/* ---- paths ---- */

Cost
kalam_cost_of_sending(double rows)
{
	return rows * cpu_tuple_cost * (ROW_SEND_FACTOR + 1);
}

/* Does the key tell the value of the column? */
static bool
tells_column(const KalamKeyColumn *columns, int n, TupleDesc desc, AttrNumber attnum)
{
	for (int i = 0; i < n; i++)
		if (columns[i].attnum == attnum)
		{
			Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
			int32		typmod = att->atttypmod;

			(void) getBaseTypeAndTypmod(att->atttypid, &typmod);
			return kalam_key_type_decodes(&columns[i].type, typmod);
		}
	return false;
}

/* Can a scan do without rows, because the keys that it reads tell all that is needed? */
static bool
can_be_only(const PathMaking *p, const KalamScanKey *key, const KalamKeyMatch *match)
{
	List	   *filters = list_difference_ptr(p->clauses, match->exact);
	Bitmapset  *needed = kalam_needed_columns(p->rel, filters);
	int			i = -1;

	if (!kalam_enable_indexonlyscan || p->rel->relid == p->root->parse->resultRelation ||
		bms_is_member(p->rel->relid, p->root->all_result_relids) ||
		kalam_scan_is_marked(p->root, p->rel))
		return false;
	while ((i = bms_next_member(needed, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;

		if (attnum != TableOidAttributeNumber &&
			(attnum <= 0 ||
			 (!tells_column(key->columns, key->ncolumns, p->desc, attnum) &&
			  !tells_column(p->table->keys, p->table->nkeys, p->desc, attnum))))
			return false;
	}
	return true;
}

/* How the order of the key goes with that of the rows, from 0 to 1. */
static double
correlation_of(const PathMaking *p, const KalamScanKey *key)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(p->table->relid),
										Int16GetDatum(key->columns[0].attnum),
										BoolGetDatum(false));
	AttStatsSlot slot;
	double		correlation = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		correlation = fabs(slot.numbers[0]);
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	/* as btcostestimate has it for several columns */
	return key->index->ncolumns > 1 ? correlation * 0.75 : correlation;
}

Cost
kalam_read_cost(const PathMaking *p, const KalamScanKey *key, double fetched, bool only)
{
	double		correlation;
	Cost		look_up = 0;

	if (key->index == NULL)
		return fetched * cpu_tuple_cost * ROW_READ_FACTOR;
	if (!only)
	{
		/* neighbours are half as expensive */
		correlation = correlation_of(p, key);
		look_up = ROW_LOOK_UP_COST * (1 - 0.5 * correlation * correlation);
	}
	return fetched * (cpu_index_tuple_cost + look_up);
}

Cost
kalam_disk_cost(const RelOptInfo *rel, const KalamScanKey *key, double fetched)
{
	if (key->index == NULL)
		return rel->pages * (fetched / Max(rel->tuples, 1)) * seq_page_cost;
	return ceil(fetched * INDEX_ENTRY_BYTES / BLCKSZ) * seq_page_cost;
}

KalamPath *
kalam_make_private(const PathMaking *p)
{
	KalamPath  *path = palloc0(sizeof(KalamPath));

	path->scans = p->scans;
	return path;
}

void
kalam_keep_scan(const ForeignPath *path)
{
	KalamScans *scans = ((const KalamPath *) linitial(path->fdw_private))->scans;
	List	  **list = path->path.parallel_aware ? &scans->partial : &scans->whole;
	ForeignPath *copy = makeNode(ForeignPath);

	*copy = *path;
	*list = lappend(*list, copy);
}

static void
add_matched_paths(const PathMaking *p, int n, const KalamScanKey *key,
				  const KalamKeyMatch *match, bool multiple)
{
	PlannerInfo *root = p->root;
	RelOptInfo *rel = p->rel;
	double		fetched;
	double		rows = p->param ? p->param->ppi_rows : rel->rows;
	double		sent;
	bool		only = can_be_only(p, key, match);
	List	   *shipped = NIL;
	List	   *local;
	Cost		startup;
	Cost		run;
	Cost		disk;
	QualCost	qual;
	QualCost	filter;

	/* conditions are tried on rows: storage can, but not on an index alone */
	if (!only || key->index == NULL)
		shipped = kalam_ship_which(rel, p->table->relid, p->clauses, match->exact);
	if (shipped != NIL)
		only = false;
	local = list_difference_ptr(p->clauses, shipped);

	fetched = kalam_match_rows(root, rel, match);
	rows = Min(rows, fetched);
	sent = fetched * clauselist_selectivity(root, shipped, rel->relid, JOIN_INNER, NULL);
	sent = Max(sent, rows);

	cost_qual_eval(&filter, shipped, root);
	cost_qual_eval(&qual, local, root);
	startup = REQUEST_COST + filter.startup + qual.startup + rel->reltarget->cost.startup;
	run = (match->nranges - 1) * SEEK_COST +
		kalam_read_cost(p, key, fetched, only) +
		fetched * filter.per_tuple * FILTER_FACTOR +
		kalam_cost_of_sending(sent) + sent * qual.per_tuple +
		rows * rel->reltarget->cost.per_tuple;
	disk = kalam_disk_cost(rel, key, fetched);

	if (p->param == NULL && (key->index == NULL || match->used != NIL || only))
	{
		KalamPath  *path = kalam_make_private(p);

		path->key = n;
		path->multiple = multiple;
		path->only = only;
		path->filters_all = list_difference_ptr(local, match->exact) == NIL;
		kalam_add_partial_path(root, rel, fetched, rows, startup, run, disk, list_make1(path));
	}
	for (int reverse = 0; reverse <= 1; reverse++)
	{
		List	   *pathkeys = has_useful_pathkeys(root, rel) ?
			key_order(root, rel, p->desc, key, match, reverse == 1) : NIL;
		ForeignPath *scan;
		KalamPath  *path;

		if (pathkeys == NIL && (reverse || (key->index != NULL && match->used == NIL && !only)))
			break;
		path = kalam_make_private(p);
		path->key = n;
		path->multiple = multiple;
		path->only = only;
		path->reverse = reverse == 1;
		path->filters_all = list_difference_ptr(local, match->exact) == NIL;
		scan = create_foreignscan_path(root, rel, NULL, rows, startup, startup + run + disk,
									   pathkeys,
									   p->param ? p->param->ppi_req_outer : rel->lateral_relids,
									   NULL, list_make1(path));
		if (p->param == NULL && !reverse)
			kalam_keep_scan(scan);
		add_path(rel, (Path *) scan);
	}
}

/* Paths that follow a key, with one range and, if conditions ask for them, several. */
static void
add_key_paths(const PathMaking *p, int n)
{
	KalamScanKey key = kalam_scan_key(p->table, n);
	KalamKeyMatch *match = kalam_match_key(p->root, p->rel, &key, p->clauses, false);
	KalamKeyMatch *several;

	if (p->param == NULL || match->param)
		add_matched_paths(p, n, &key, match, false);
	if (!kalam_enable_multirange)
		return;
	several = kalam_match_key(p->root, p->rel, &key, p->clauses, true);
	if (several->multiple && (p->param == NULL || several->param))
		add_matched_paths(p, n, &key, several, true);
}

/* ---- parameterised paths ---- */

typedef struct KeyMemberArg
{
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

/* The sets of outer relations that could bound the key. */
static List *
outers_of_key(const PathMaking *p, const KalamScanKey *key)
{
	RelOptInfo *rel = p->rel;
	List	   *outers = NIL;
	ListCell   *lc;

	foreach(lc, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (join_clause_is_movable_to(rinfo, rel) && kalam_bounds_key(p->root, rel, key, rinfo))
			outers = add_outer(rel, outers, rinfo);
	}
	for (int i = 0; i < key->ncolumns && rel->has_eclass_joins; i++)
	{
		KeyMemberArg arg = {key->columns[i].attnum};
		List	   *clauses = generate_implied_equalities_for_column(p->root, rel, is_key_member,
																	 &arg, rel->lateral_referencers);

		foreach(lc, clauses)
		{
			RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

			if (join_clause_is_movable_to(rinfo, rel) &&
				kalam_bounds_key(p->root, rel, key, rinfo))
				outers = add_outer(rel, outers, rinfo);
		}
	}
	if (list_length(outers) > 1)
	{
		Relids		all = NULL;
		bool		known = false;

		foreach(lc, outers)
			all = bms_add_members(all, lfirst(lc));
		foreach(lc, outers)
			known |= bms_equal(lfirst(lc), all);
		if (!known)
			outers = lappend(outers, all);
	}
	return outers;
}

static void
add_parameterised_paths(PathMaking *p, int n)
{
	KalamScanKey key = kalam_scan_key(p->table, n);
	List	   *outers = outers_of_key(p, &key);
	ListCell   *lc;

	foreach(lc, outers)
	{
		p->param = get_baserel_parampathinfo(p->root, p->rel, lfirst(lc));
		p->clauses = list_concat_copy(p->rel->baserestrictinfo, p->param->ppi_clauses);
		add_key_paths(p, n);
	}
}

/*
 * May the query use the index?  If not because its snapshot is older, a plan made
 * without it is not kept for long.
 */
static bool
is_usable(const PathMaking *p, int n)
{
	if (n == KALAM_PRIMARY_KEY)
		return true;
	if (!kalam_enable_indexscan)
		return false;
	if (kalam_index_usable(p->table, &p->table->indexes[n], kalam_snapshot_expected()))
		return true;
	p->root->glob->transientPlan = true;
	return false;
}

void
kalam_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	KalamTable *table = rel->fdw_private;
	Relation	relation = table_open(relid, NoLock);
	PathMaking	p = {root, rel, table, RelationGetDescr(relation), NIL, NIL, NULL, NULL};
	ListCell   *lc;

	p.scans = palloc0(sizeof(KalamScans));
	for (int n = KALAM_PRIMARY_KEY; n < table->nindexes; n++)
		if (is_usable(&p, n))
			p.keys = lappend_int(p.keys, n);
	foreach(lc, p.keys)
	{
		p.param = NULL;
		p.clauses = rel->baserestrictinfo;
		add_key_paths(&p, lfirst_int(lc));
		if (kalam_scan_key(table, lfirst_int(lc)).ncolumns > 0)
			add_parameterised_paths(&p, lfirst_int(lc));
	}
	p.param = NULL;
	p.clauses = rel->baserestrictinfo;
	kalam_add_union_paths(&p);
	table_close(relation, NoLock);
}
