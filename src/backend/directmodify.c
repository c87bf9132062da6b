/*
 * directmodify.c
 *	  UPDATE and DELETE of one table, done by the scan that finds the rows.
 *
 * The executor otherwise makes a composite value of each row, carries it up to
 * ModifyTable, and takes it apart again for its key.  Here the scan has the key
 * at hand: it tries its conditions, locks, looks whether the row has changed,
 * tries them again if so, and stages.  A DELETE that needs nothing but keys reads
 * nothing but keys.
 *
 * Core does not ask for this where there are row triggers, generated columns or
 * views with a check option.  What would be evaluated above the scan, its own
 * conditions and the expressions of SET, is moved to the end of fdw_exprs, for the
 * executor would evaluate it on the rows that the scan returns for RETURNING.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "src/backend/directmodify.h"
#include "src/backend/index.h"
#include "src/backend/modify_internal.h"
#include "src/backend/planner.h"
#include "src/backend/querycache.h"
#include "src/backend/scan.h"
#include "src/backend/scan_parts.h"
#include "src/backend/scan_state.h"

bool		kalam_enable_directmodify = true;

/* The list KALAM_PRIVATE_DIRECT. */
enum Direct
{
	DIRECT_QUALS,				/* Integer: how many of fdw_exprs are conditions, before ... */
	DIRECT_COLUMNS,				/* list of the columns that SET sets; NIL in DELETE */
	DIRECT_SETS_TAG,			/* Boolean: rows count for the command's tag */
	DIRECT_KEYS_ONLY			/* Boolean: columns are not looked at */
};

typedef struct KalamDirectModify
{
	KalamScan  *scan;
	KalamModify *modify;		/* NULL: nothing was asked for yet */
	CmdType		operation;
	ExprState  *qual;			/* conditions beyond the range and the filter */
	List	   *sets;			/* ExprStates of what SET sets */
	List	   *columns;
	bool		sets_tag;
	TupleTableSlot *newest_slot;
	TupleTableSlot *new_slot;
} KalamDirectModify;

/* ---- planning ---- */

/*
 * The expressions of SET; of the junk behind them, only what identifies rows can
 * be left out.
 */
static bool
split_targets(List *tlist, int ncolumns, List **exprs)
{
	ListCell   *lc;

	*exprs = NIL;
	foreach(lc, tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (list_length(*exprs) < ncolumns)
		{
			if (tle->resjunk)
				return false;
			*exprs = lappend(*exprs, tle->expr);
		}
		else if (!tle->resjunk || !IsA(tle->expr, Var))
			return false;		/* a subquery that gives several columns */
	}
	return list_length(*exprs) == ncolumns;
}

/* Is the plan below a scan whose rows nobody but ModifyTable looks at? */
static bool
is_plain_scan(const ForeignScan *scan, Index result_relation)
{
	return IsA(scan, ForeignScan) && scan->scan.scanrelid == result_relation &&
		intVal(list_nth(scan->fdw_private, KALAM_PRIVATE_LOCK)) == KALAM_SCAN_LOCKS_NOTHING &&
		!boolVal(list_nth(scan->fdw_private, KALAM_PRIVATE_MARK)) &&
		list_nth(scan->fdw_private, KALAM_PRIVATE_ONLY) == NIL;
}

bool
kalam_plan_direct(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index)
{
	ForeignScan *scan = (ForeignScan *) outerPlan(plan);
	List	   *columns;
	List	   *quals;
	List	   *exprs;
	bool		keys_only;

	if (!kalam_enable_directmodify || list_length(plan->resultRelations) != 1 ||
		(plan->operation != CMD_UPDATE && plan->operation != CMD_DELETE) ||
		!is_plain_scan(scan, result_relation))
		return false;
	columns = plan->operation == CMD_UPDATE ?
		list_nth(plan->updateColnosLists, subplan_index) : NIL;
	if (!split_targets(scan->scan.plan.targetlist, list_length(columns), &exprs))
		return false;

	quals = scan->scan.plan.qual;
	keys_only = plan->operation == CMD_DELETE && quals == NIL && plan->returningLists == NIL;
	lfirst(list_nth_cell(scan->fdw_private, KALAM_PRIVATE_DIRECT)) =
		list_make4(makeInteger(list_length(quals)), list_copy(columns),
				   makeBoolean(plan->canSetTag), makeBoolean(keys_only));
	scan->fdw_exprs = list_concat(list_concat_copy(scan->fdw_exprs, quals), exprs);
	scan->scan.plan.qual = NIL;
	/* ModifyTable looks for it in an UPDATE */
	scan->scan.plan.targetlist =
		list_make1(makeTargetEntry((Expr *) makeNullConst(RECORDOID, -1, InvalidOid), 1,
								   pstrdup("wholerow"), true));
	scan->operation = plan->operation;
	scan->resultRelation = result_relation;
	return true;
}

/* ---- fdw_exprs: values of any scan, conditions, SET ---- */

static List *
part_of(List *list, int from, int to)
{
	return list_copy_tail(list_truncate(list_copy(list), to), from);
}

static List *
direct_sets(const ForeignScan *plan)
{
	List	   *direct = list_nth(plan->fdw_private, KALAM_PRIVATE_DIRECT);
	int			all = list_length(plan->fdw_exprs);

	return direct == NIL ? NIL :
		part_of(plan->fdw_exprs, all - list_length(list_nth(direct, DIRECT_COLUMNS)), all);
}

List *
kalam_direct_quals(const ForeignScan *plan)
{
	List	   *direct = list_nth(plan->fdw_private, KALAM_PRIVATE_DIRECT);
	int			end = list_length(plan->fdw_exprs) - list_length(direct_sets(plan));

	return direct == NIL ? NIL :
		part_of(plan->fdw_exprs, end - intVal(list_nth(direct, DIRECT_QUALS)), end);
}

/* ---- begin and end ---- */

static TupleTableSlot *
make_slot(ForeignScanState *node, const TupleTableSlotOps *ops)
{
	return ExecInitExtraTupleSlot(node->ss.ps.state,
								  RelationGetDescr(node->ss.ss_currentRelation), ops);
}

void
kalam_begin_direct(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *direct = list_nth(plan->fdw_private, KALAM_PRIVATE_DIRECT);
	KalamDirectModify *d;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	kalam_begin_scan(node, eflags);
	d = palloc0(sizeof(KalamDirectModify));
	d->scan = node->fdw_state;
	d->operation = plan->operation;
	d->columns = list_nth(direct, DIRECT_COLUMNS);
	d->sets_tag = boolVal(list_nth(direct, DIRECT_SETS_TAG));
	d->qual = ExecInitQual(kalam_direct_quals(plan), (PlanState *) node);
	d->sets = ExecInitExprList(direct_sets(plan), (PlanState *) node);
	d->newest_slot = make_slot(node, &TTSOpsMinimalTuple);
	d->new_slot = make_slot(node, &TTSOpsVirtual);
	d->scan->want_keys = true;
	/* after the lock, stamps or storage tell whether what was found is the newest */
	d->scan->merge.point.ttl = kalam_query_cache_ttl_of(d->scan->table);
	d->scan->merge.point.finds_only = true;
	d->scan->keys_only = boolVal(list_nth(direct, DIRECT_KEYS_ONLY)) &&
		d->scan->table->nindexes == 0 && d->scan->merge.filter == NULL;
	d->scan->direct = d;
}

void
kalam_end_direct(ForeignScanState *node)
{
	KalamScan  *scan = node->fdw_state;

	if (scan != NULL && scan->direct->modify != NULL)
		kalam_modify_end(node->ss.ps.state, node->resultRelInfo);
	kalam_end_scan(node);
}

/* ---- rows ---- */

static bool
passes(KalamDirectModify *d, ExprContext *econtext, TupleTableSlot *slot)
{
	econtext->ecxt_scantuple = slot;
	return ExecQual(d->qual, econtext);
}

static void
identify(KalamDirectModify *d, TupleTableSlot *slot, const uint8 *key)
{
	slot->tts_tableOid = RelationGetRelid(d->scan->rel);
	if (d->scan->table->nkeys == 0)
		kalam_row_id_to_tid(kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES), &slot->tts_tid);
}

/* A row that has changed since the scan saw it: do all conditions hold? */
static bool
still_passes(KalamDirectModify *d, ForeignScanState *node, const uint8 *key, KalamRow *newest)
{
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	ExecStoreMinimalTuple(kalam_row_tuple(newest), d->newest_slot, false);
	identify(d, d->newest_slot, key);
	econtext->ecxt_scantuple = d->newest_slot;
	return ExecQual(node->fdw_recheck_quals, econtext) && passes(d, econtext, d->newest_slot);
}

/* Makes what old becomes in new_slot. */
static void
compute_new(KalamDirectModify *d, ExprContext *econtext, TupleTableSlot *old)
{
	TupleTableSlot *slot = ExecClearTuple(d->new_slot);
	TupleDesc	desc = slot->tts_tupleDescriptor;
	ListCell   *column;
	ListCell   *set;

	slot_getallattrs(old);
	for (int i = 0; i < desc->natts; i++)
	{
		slot->tts_values[i] = old->tts_values[i];
		slot->tts_isnull[i] = old->tts_isnull[i] || TupleDescAttr(desc, i)->attisdropped;
	}
	econtext->ecxt_scantuple = old;
	forboth(column, d->columns, set, d->sets)
	{
		int			i = lfirst_int(column) - 1;

		slot->tts_values[i] = ExecEvalExpr((ExprState *) lfirst(set), econtext,
										   &slot->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(d->scan->rel);
	slot->tts_tid = old->tts_tid;
}

/* The row for RETURNING, or NULL if none was deleted. */
static TupleTableSlot *
delete_one(KalamDirectModify *d, ForeignScanState *node, TupleTableSlot *old, uint8 *key, size_t key_len)
{
	KalamRow   *newest;

	switch (kalam_modify_lock_row(node->ss.ps.state, d->modify, key, &key_len, KALAM_LOCK_UPDATE,
								  "deleted", &newest))
	{
		case KALAM_SKIP:
			return NULL;
		case KALAM_GO_ON:
			break;
		case KALAM_GO_ON_CHANGED:
			if (!still_passes(d, node, key, newest))
				return NULL;
			old = d->newest_slot;
			break;
	}
	kalam_modify_remove(d->modify, old, key, key_len);
	return old;
}

static TupleTableSlot *
update_one(KalamDirectModify *d, ForeignScanState *node, TupleTableSlot *old, uint8 *key, size_t key_len)
{
	EState	   *estate = node->ss.ps.state;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	uint8		new_key[KALAM_MAX_KEY_BYTES];
	size_t		new_len;
	KalamRowLockMode mode;
	KalamIndexChanges *changes;
	KalamRow   *newest;

	compute_new(d, econtext, old);
	changes = kalam_modify_plan_change(estate, node->resultRelInfo, old, key, key_len, d->new_slot,
									   new_key, &new_len, &mode);
	switch (kalam_modify_lock_row(estate, d->modify, key, &key_len, mode, "updated", &newest))
	{
		case KALAM_SKIP:
			return NULL;
		case KALAM_GO_ON:
			break;
		case KALAM_GO_ON_CHANGED:
			if (!still_passes(d, node, key, newest))
				return NULL;
			compute_new(d, econtext, d->newest_slot);
			changes = kalam_modify_plan_change(estate, node->resultRelInfo, d->newest_slot,
											   key, key_len, d->new_slot, new_key, &new_len, &mode);
			kalam_modify_lock_key(d->modify, key, key_len, mode);
			break;
	}
	kalam_modify_change(estate, d->modify, changes, key, key_len, d->new_slot, new_key, new_len);
	return d->new_slot;
}

/* The next row that is modified, for RETURNING; NULL at the end. */
static TupleTableSlot *
modify_next(KalamDirectModify *d, ForeignScanState *node)
{
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	TupleTableSlot *slot = d->scan->slot;

	for (;;)
	{
		TupleTableSlot *result;
		KalamMergedRow row;
		uint8		key[KALAM_MAX_KEY_BYTES];

		CHECK_FOR_INTERRUPTS();
		/* slots point into memory that goes with the row */
		ExecClearTuple(d->newest_slot);
		ExecClearTuple(d->new_slot);
		ResetExprContext(econtext);
		if (!kalam_scan_next_merged(d->scan, &row))
			return NULL;
		memcpy(key, row.key, row.key_len);
		if (!d->scan->keys_only)
		{
			ExecStoreMinimalTuple(row.tuple, slot, false);
			identify(d, slot, key);
			if (d->scan->nparts > 0 && !kalam_parts_give(d->scan, slot))
				continue;
			if (!passes(d, econtext, slot))
			{
				InstrCountFiltered1(node, 1);
				continue;
			}
		}
		kalam_modify_make_ready(d->modify);
		result = d->operation == CMD_UPDATE ? update_one(d, node, slot, key, row.key_len) :
			delete_one(d, node, slot, key, row.key_len);
		if (result != NULL)
			return result;
	}
}

/* Called in memory of the row, which goes with the scan's expression context. */
TupleTableSlot *
kalam_iterate_direct(ForeignScanState *node)
{
	KalamDirectModify *d = ((KalamScan *) node->fdw_state)->direct;
	EState	   *estate = node->ss.ps.state;
	ProjectionInfo *returning = node->resultRelInfo->ri_projectReturning;
	uint64		done = 0;
	TupleTableSlot *slot;

	if (d->modify == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);

		d->modify = kalam_modify_begin(node->resultRelInfo);
		MemoryContextSwitchTo(old);
	}
	while ((slot = modify_next(d, node)) != NULL)
	{
		if (d->sets_tag)
			estate->es_processed++;
		if (returning != NULL)
		{
			returning->pi_exprContext->ecxt_scantuple = slot;
			return slot;
		}
		done++;
	}
	if (node->ss.ps.instrument)
		node->ss.ps.instrument->tuplecount += done;
	kalam_unique_checks_flush();
	return ExecClearTuple(node->ss.ss_ScanTupleSlot);
}

/* ---- EXPLAIN ---- */

void
kalam_explain_direct(ForeignScanState *node, ExplainState *es)
{
	kalam_explain_scan(node, es);
	if (es->analyze && node->ss.ps.instrument && node->ss.ps.instrument->nfiltered1 > 0)
		ExplainPropertyFloat("Rows Removed by Filter", NULL, node->ss.ps.instrument->nfiltered1,
							 0, es);
}
