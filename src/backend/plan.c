/*
 * plan.c
 *	  Plans of scans over stored tables: which conditions the range enforces,
 *	  which are left, what the executor must know.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/keymatch.h"
#include "src/backend/planner.h"
#include "src/backend/rowlock.h"
#include "src/backend/scan_parts.h"
#include "src/backend/ship.h"
#include "src/backend/table.h"
#include "src/backend/upper.h"

Bitmapset *
kalam_needed_columns(RelOptInfo *rel, List *rinfos)
{
	Bitmapset  *attrs = NULL;
	ListCell   *lc;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &attrs);
	foreach(lc, rinfos)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, lc)->clause, rel->relid, &attrs);
	return attrs;
}

bool
kalam_scan_is_marked(PlannerInfo *root, RelOptInfo *rel)
{
	PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rel->relid);

	return mark != NULL && mark->strength != LCS_NONE;
}

/* Does an UPDATE of the relation set columns of its key, or of a unique index? */
static bool
sets_key(PlannerInfo *root, RelOptInfo *rel, KalamTable *table)
{
	Bitmapset  *updated = planner_rt_fetch(rel->relid, root)->updatedCols;

	for (int n = KALAM_PRIMARY_KEY; n < table->nindexes; n++)
	{
		KalamScanKey key = kalam_scan_key(table, n);

		for (int i = 0; i < key.ncolumns && key.unique; i++)
			if (bms_is_member(key.columns[i].attnum - FirstLowInvalidHeapAttributeNumber, updated))
				return true;
	}
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

/* Those of columns; a plan is copied as a list, not as a set. */
static List *
attribute_numbers(const Bitmapset *attrs)
{
	List	   *numbers = NIL;
	int			i = -1;

	while ((i = bms_next_member(attrs, i)) >= 0)
		if (i + FirstLowInvalidHeapAttributeNumber > 0)
			numbers = lappend_int(numbers, i + FirstLowInvalidHeapAttributeNumber);
	return numbers;
}

/*
 * How many rows a LIMIT will take from the scan, if there is one and nothing but it
 * above; else 0.  (WITH TIES it may take more.)
 */
static int
limit_of_scan(PlannerInfo *root, RelOptInfo *rel, const ForeignPath *path, List *filters)
{
	if (root->limit_tuples <= 0 || root->limit_tuples > INT_MAX || filters != NIL ||
		!bms_equal(root->all_baserels, rel->relids) || path->path.parallel_aware ||
		!pathkeys_contained_in(root->query_pathkeys, path->path.pathkeys))
		return 0;
	return (int) root->limit_tuples;
}

/*
 * For UPDATE and DELETE core asks for the whole row as a record, and takes that one
 * also where the query names the row, whose functions want its own type: so it is
 * made of that type always.
 */
static List *
with_typed_rows(RelOptInfo *rel, Oid relid, List *tlist)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Var		   *var = (Var *) entry->expr;

		if (IsA(var, Var) && var->varno == (int) rel->relid &&
			var->varattno == InvalidAttrNumber && var->vartype == RECORDOID)
		{
			entry = flatCopyTargetEntry(entry);
			entry->expr = copyObject(entry->expr);
			((Var *) entry->expr)->vartype = get_rel_type_id(relid);
		}
		result = lappend(result, entry);
	}
	return result;
}

ForeignScan *
kalam_get_base_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
					List *tlist, List *clauses, Plan *outer_plan)
{
	KalamTable *table = rel->fdw_private;
	KalamPath  *scan_path = linitial(path->fdw_private);
	KalamScanKey key = kalam_scan_key(table, scan_path->key);
	List	   *exact = NIL;
	List	   *exprs = NIL;
	List	   *key_quals;
	int			nkey_quals;
	List	   *filters = NIL;
	KalamShipped shipped = {NIL};
	Node	   *items[KALAM_PRIVATE_ITEMS] = {NULL};
	List	   *private = NIL;
	ListCell   *lc;
	Bitmapset  *needed;
	bool		marked = kalam_scan_is_marked(root, rel);
	int			lock_mode = scan_lock_mode(root, rel, table);
	bool		lock = lock_mode != KALAM_SCAN_LOCKS_NOTHING;

	if (scan_path->parts != NIL)
	{
		items[KALAM_PRIVATE_PARTS] =
			(Node *) kalam_parts_to_list(root, rel, table, scan_path->parts, &exprs);
		key_quals = list_make1(scan_path->parts_of->clause);
	}
	else
	{
		KalamKeyMatch *match = kalam_match_key(root, rel, &key, clauses, scan_path->multiple);
		items[KALAM_PRIVATE_BOUNDS] = (Node *) kalam_alternatives_to_list(match->alternatives);
		exprs = kalam_alternatives_values(match->alternatives);
		exact = match->exact;
		key_quals = extract_actual_clauses(match->used, false);
	}
	nkey_quals = list_length(key_quals);
	foreach(lc, clauses)
		if (!list_member_ptr(exact, lfirst(lc)) &&
			(scan_path->only || !kalam_ship_condition(&shipped, rel, relid, lfirst(lc))))
			filters = lappend(filters, lfirst(lc));
	needed = kalam_needed_columns(rel, filters);
	filters = extract_actual_clauses(filters, false);
	key_quals = list_concat(key_quals, extract_actual_clauses(shipped.rinfos, false));

	exprs = list_concat(exprs, shipped.values);
	items[KALAM_PRIVATE_VALUES] = (Node *) makeInteger(list_length(exprs));
	items[KALAM_PRIVATE_SHOWN] = (Node *) makeBoolean(false);
	items[KALAM_PRIVATE_KEY_QUALS] = (Node *) makeInteger(nkey_quals);
	items[KALAM_PRIVATE_REVERSE] = (Node *) makeBoolean(scan_path->reverse);
	items[KALAM_PRIVATE_NO_COLUMNS] =
		(Node *) makeBoolean(bms_is_empty(needed) && !lock && !marked &&
							 scan_path->parts == NIL);
	if (scan_path->parts == NIL)
		items[KALAM_PRIVATE_INDEX] = (Node *) kalam_key_for_plan(&key);
	if (scan_path->only)
		items[KALAM_PRIVATE_ONLY] = (Node *) attribute_numbers(needed);
	items[KALAM_PRIVATE_LIMIT] =
		(Node *) makeInteger(lock ? 0 : limit_of_scan(root, rel, path, filters));
	items[KALAM_PRIVATE_LOCK] = (Node *) makeInteger(lock_mode);
	items[KALAM_PRIVATE_MARK] = (Node *) makeBoolean(marked);
	items[KALAM_PRIVATE_FILTER] = (Node *) kalam_ship_steps_to_list(shipped.steps);
	items[KALAM_PRIVATE_SHIPPED] = (Node *) makeInteger(list_length(shipped.rinfos));
	for (int i = 0; i < KALAM_PRIVATE_ITEMS; i++)
		private = lappend(private, items[i]);

	if (lock)
	{
		key_quals = list_concat(key_quals, filters);
		filters = NIL;
	}
	return make_foreignscan(with_typed_rows(rel, relid, tlist), filters, rel->relid, exprs, private,
							NIL, key_quals, outer_plan);
}

/* Can a row of the query's tables turn out to have changed, so that it is checked again? */
static bool
rows_are_rechecked(PlannerInfo *root)
{
	return root->parse->commandType != CMD_SELECT || root->rowMarks != NIL;
}

ForeignScan *
kalam_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
			   List *tlist, List *clauses, Plan *outer_plan)
{
	ForeignScan *scan;

	if (IS_UPPER_REL(rel))
		return kalam_get_upper_plan(root, path, tlist, outer_plan);
	scan = kalam_get_base_plan(root, rel, relid, path, tlist, clauses, outer_plan);
	if (!rows_are_rechecked(root))
	{
		scan->fdw_exprs = list_concat(scan->fdw_exprs, scan->fdw_recheck_quals);
		scan->fdw_recheck_quals = NIL;
		lfirst(list_nth_cell(scan->fdw_private, KALAM_PRIVATE_SHOWN)) = makeBoolean(true);
	}
	return scan;
}
