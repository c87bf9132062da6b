/*
 * onconflict_plan.c
 *	  Which key INSERT ... ON CONFLICT (columns) means.
 *
 * Core looks for an index that has the columns of the conflict target, and
 * foreign tables have none.  A query without a target it plans whatever the
 * table is, DO UPDATE included.  So before it plans, the target is taken out of
 * the query; the columns travel to the executor in a junk entry of the target
 * list of EXCLUDED, which nobody else reads.
 *
 * In a partitioned table each partition has a key of its own, which must fit.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "src/backend/onconflict.h"

static planner_hook_type prev_planner = NULL;

/* ---- which keys have the columns ---- */

/* Is this column of a key what an element of the target asks for? */
static bool
fits_element(Relation rel, const KalamKeyColumn *key, const InferenceElem *elem)
{
	Oid			opclass;

	if (OidIsValid(elem->infercollid) &&
		elem->infercollid != TupleDescAttr(RelationGetDescr(rel), key->attnum - 1)->attcollation)
		return false;
	if (!OidIsValid(elem->inferopclass))
		return true;
	opclass = GetDefaultOpClass(key->type.base_type, BTREE_AM_OID);
	return OidIsValid(opclass) &&
		get_opclass_family(elem->inferopclass) == get_opclass_family(opclass) &&
		get_opclass_input_type(elem->inferopclass) == get_opclass_input_type(opclass);
}

/*
 * Do the elements of a conflict target name all columns of a key of rel, and no
 * others?  The target's columns are those of parent.
 */
static bool
key_fits(Relation rel, const KalamKeyColumn *keys, int nkeys, List *elements, Oid parent)
{
	Bitmapset  *named = NULL;
	ListCell   *lc;

	foreach(lc, elements)
	{
		InferenceElem *elem = lfirst_node(InferenceElem, lc);
		AttrNumber	attnum;
		bool		fits = false;

		if (!IsA(elem->expr, Var))
			return false;
		attnum = ((Var *) elem->expr)->varattno;
		if (attnum > 0 && parent != RelationGetRelid(rel))
			attnum = get_attnum(RelationGetRelid(rel), get_attname(parent, attnum, false));
		for (int i = 0; i < nkeys; i++)
			fits |= keys[i].attnum == attnum && fits_element(rel, &keys[i], elem);
		if (!fits)
			return false;
		named = bms_add_member(named, attnum);
	}
	return nkeys > 0 && bms_num_members(named) == nkeys;
}

static bool
any_key_fits(Relation rel, const KalamTable *table, List *elements, Oid parent)
{
	bool		fits = key_fits(rel, table->keys, table->nkeys, elements, parent);

	for (int i = 0; i < table->nindexes && !fits; i++)
		fits = table->indexes[i].unique &&
			key_fits(rel, kalam_index_columns(&table->indexes[i]), table->indexes[i].ncolumns, elements, parent);
	return fits;
}

static void
check_target(Oid relid, List *elements, Oid parent)
{
	Relation	rel = table_open(relid, AccessShareLock);
	KalamTable *table = kalam_table_open(rel);

	if (!any_key_fits(rel, table, elements, parent))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("there is no unique or exclusion constraint matching the ON CONFLICT specification"),
				 relid != parent ?
				 errdetail("The columns are not those of a unique key of partition \"%s\".",
						   RelationGetRelationName(rel)) : 0));
	kalam_table_close(table);
	table_close(rel, NoLock);
}

/* ---- partitioned tables ---- */

static bool
has_unique_index(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	bool		unique = false;

	foreach(lc, indexes)
	{
		HeapTuple	index = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(index))
			elog(ERROR, "cache lookup failed for index %u", lfirst_oid(lc));
		unique |= ((Form_pg_index) GETSTRUCT(index))->indisunique;
		ReleaseSysCache(index);
	}
	table_close(rel, NoLock);
	return unique;
}

/*
 * Is the target of a partitioned table ours to find?  It is if it has kalam
 * partitions, and then has no others, whose keys would not be looked at.  A plan
 * must be made anew when partitions come and go, also deeper down.
 */
static bool
check_partitions(Oid relid, List *elements, List **depends_on)
{
	List	   *all;
	List	   *parents = NIL;
	ListCell   *lc;
	Oid			other = InvalidOid;
	bool		ours = false;

	if (has_unique_index(relid))
		return false;			/* which foreign partitions would not allow */
	all = find_all_inheritors(relid, AccessShareLock, NULL);
	foreach(lc, all)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			parents = lappend_oid(parents, lfirst_oid(lc));
		else if (kalam_is_table(lfirst_oid(lc)))
			ours = true;
		else
			other = lfirst_oid(lc);
	}
	if (!ours)
		return false;
	if (OidIsValid(other))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ON CONFLICT with a target is not supported on partitioned table \"%s\"",
						get_rel_name(relid)),
				 errdetail("It has kalam partitions, and partition \"%s\" is none.",
						   get_rel_name(other))));
	foreach(lc, all)
		if (!list_member_oid(parents, lfirst_oid(lc)))
			check_target(lfirst_oid(lc), elements, relid);
	*depends_on = list_concat(*depends_on, parents);
	return true;
}

/* ---- the query ---- */

static TargetEntry *
columns_entry(List *elements, int resno)
{
	int			n = 0;
	int16	   *columns = palloc(list_length(elements) * sizeof(int16));
	ListCell   *lc;

	foreach(lc, elements)
		columns[n++] = castNode(Var, lfirst_node(InferenceElem, lc)->expr)->varattno;
	return makeTargetEntry((Expr *) makeConst(INT2VECTOROID, -1, InvalidOid, -1,
											  PointerGetDatum(buildint2vector(columns, n)),
											  false, false),
						   resno, NULL, true);
}

int2vector *
kalam_on_conflict_columns(const ModifyTable *plan)
{
	ListCell   *lc;

	foreach(lc, plan->exclRelTlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (entry->resjunk && IsA(entry->expr, Const))
			return (int2vector *) DatumGetPointer(((Const *) entry->expr)->constvalue);
	}
	return NULL;
}

static void
take_over_targets(Query *query, List **depends_on)
{
	OnConflictExpr *conflict = query->onConflict;
	ListCell   *lc;

	if (query->hasModifyingCTE)
		foreach(lc, query->cteList)
		{
			Node	   *cte = lfirst_node(CommonTableExpr, lc)->ctequery;

			if (IsA(cte, Query))
				take_over_targets((Query *) cte, depends_on);
		}

	if (query->commandType == CMD_INSERT && conflict != NULL && conflict->arbiterElems != NIL)
	{
		Oid			relid = rt_fetch(query->resultRelation, query->rtable)->relid;

		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		{
			if (!check_partitions(relid, conflict->arbiterElems, depends_on))
				return;
		}
		else if (kalam_is_table(relid))
			check_target(relid, conflict->arbiterElems, relid);
		else
			return;

		/* (a condition, for partial indexes, is met by an index that is not) */
		conflict->exclRelTlist =
			lappend(conflict->exclRelTlist,
					columns_entry(conflict->arbiterElems, list_length(conflict->exclRelTlist) + 1));
		conflict->arbiterElems = NIL;
		conflict->arbiterWhere = NULL;
	}
}

static PlannedStmt *
plan_query(Query *query, const char *query_string, int cursor_options, ParamListInfo params)
{
	List	   *depends_on = NIL;
	PlannedStmt *plan;

	take_over_targets(query, &depends_on);
	plan = (prev_planner ? prev_planner : standard_planner) (query, query_string,
															 cursor_options, params);
	plan->relationOids = list_concat_unique_oid(plan->relationOids, depends_on);
	return plan;
}

void
kalam_on_conflict_install(void)
{
	prev_planner = planner_hook;
	planner_hook = plan_query;
}
