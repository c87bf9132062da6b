/*
 * modify.c
 *	  INSERT, UPDATE, DELETE and COPY FROM on stored tables.
 *
 * The executor's side: which row, under which key, and again if it has changed.
 * What is then done to a row is in modify_row.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/ahead.h"
#include "src/backend/ddl.h"
#include "src/backend/directmodify.h"
#include "src/backend/index.h"
#include "src/backend/load.h"
#include "src/backend/modify.h"
#include "src/backend/modify_internal.h"
#include "src/backend/onconflict.h"
#include "src/backend/row.h"

/* Rows that are looked up at once: a block of keys or so. */
#define CONFLICT_BATCH		200

/* ---- planning ---- */

static void
add_update_targets(PlannerInfo *root, Index rtindex, RangeTblEntry *rte, Relation rel)
{
	KalamTable *table = kalam_table_open(rel);

	if (table->nkeys == 0)
		add_row_identity_var(root,
							 makeVar(rtindex, SelfItemPointerAttributeNumber, TIDOID, -1,
									 InvalidOid, 0),
							 rtindex, "ctid");
	/* exactly as core adds it for UPDATE, or the two would conflict */
	add_row_identity_var(root,
						 makeVar(rtindex, InvalidAttrNumber, RECORDOID, -1, InvalidOid, 0),
						 rtindex, "wholerow");
	kalam_table_close(table);
}

/* ---- begin and end ---- */

/* A plain INSERT or COPY? */
static bool
inserts_plainly(const KalamModify *m)
{
	const ModifyTableState *mtstate = m->mtstate;

	if (mtstate == NULL || mtstate->operation != CMD_INSERT || m->check_each ||
		m->on_conflict != KALAM_CONFLICT_ERROR || m->updates_conflicts || m->arbiters != NULL)
		return false;
	return mtstate->ps.plan == NULL ||
		((ModifyTable *) mtstate->ps.plan)->onConflictAction == ONCONFLICT_NONE;
}

static void
find_constraints(KalamModify *m)
{
	TupleDesc	desc = RelationGetDescr(m->rel);

	if (desc->constr == NULL)
		return;
	m->has_checks = desc->constr->num_check > 0;
	m->not_null = palloc(desc->natts * sizeof(int));
	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attnotnull)
			m->not_null[m->nnot_null++] = i;
}

static KalamModify *
begin_modify_state(ResultRelInfo *info, ModifyTableState *mtstate)
{
	KalamModify *m = info->ri_FdwState;
	TriggerDesc *triggers = info->ri_TrigDesc;

	if (m != NULL)
	{
		m->users++;
		return m;
	}
	m = palloc0(sizeof(KalamModify));
	m->users = 1;
	m->context = CurrentMemoryContext;
	m->rel = info->ri_RelationDesc;
	m->table = kalam_table_open(m->rel);
	m->mtstate = mtstate;
	m->on_conflict = m->table->schema->options.on_conflict;
	find_constraints(m);
	kalam_on_conflict_begin(m, info);
	info->ri_FdwState = m;
	if (triggers != NULL)
	{
		m->scan_locked = triggers->trig_update_before_row || triggers->trig_update_after_row ||
			triggers->trig_delete_before_row || triggers->trig_delete_after_row;
		/* COPY fires them while its rows are not checked otherwise */
		m->check_each = (mtstate == NULL || mtstate->ps.plan == NULL) &&
			(triggers->trig_insert_after_row || triggers->trig_insert_after_statement);
	}
	if (inserts_plainly(m))
		m->loader = kalam_loader_begin(mtstate->ps.state);
	return m;
}

static void
end_modify(EState *estate, ResultRelInfo *info)
{
	KalamModify *m = info->ri_FdwState;

	if (m == NULL || --m->users > 0)
		return;
	if (m->loader != NULL)
		kalam_loader_end(m->loader);
	kalam_unique_checks_flush();
	if (m->old_slot != NULL)
		ExecDropSingleTupleTableSlot(m->old_slot);
	if (m->replaced_slot != NULL)
		ExecDropSingleTupleTableSlot(m->replaced_slot);
	if (m->newest_slot != NULL)
		ExecDropSingleTupleTableSlot(m->newest_slot);
	kalam_table_close(m->table);
	info->ri_FdwState = NULL;
}

void
kalam_modify_make_ready(KalamModify *m)
{
	ListCell   *lc;

	if (m->ready)
		return;
	kalam_table_require_object(m->table, m->rel);
	m->object_is_new = kalam_object_is_new(m->table->object_id);
	foreach(lc, kalam_table_sequences(m->table, m->rel))
		kalam_transaction_uses_sequence(lfirst_oid(lc));
	m->ready = true;
}

KalamModify *
kalam_modify_begin(ResultRelInfo *info)
{
	KalamModify *m = begin_modify_state(info, NULL);

	m->check_each = false;		/* no INSERT, no such triggers */
	return m;
}

void
kalam_modify_end(EState *estate, ResultRelInfo *info)
{
	end_modify(estate, info);
}

static void
begin_modify(ModifyTableState *mtstate, ResultRelInfo *info, List *private,
			 int subplan_index, int eflags)
{
	KalamModify *m;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	m = begin_modify_state(info, mtstate);
	if (mtstate->operation == CMD_UPDATE || mtstate->operation == CMD_DELETE)
	{
		List	   *tlist = outerPlanState(mtstate)->plan->targetlist;

		m->wholerow_attno = ExecFindJunkAttributeInTlist(tlist, "wholerow");
		m->ctid_attno = ExecFindJunkAttributeInTlist(tlist, "ctid");
		m->old_slot = MakeSingleTupleTableSlot(RelationGetDescr(m->rel), &TTSOpsHeapTuple);
		m->newest_slot = MakeSingleTupleTableSlot(RelationGetDescr(m->rel), &TTSOpsMinimalTuple);
	}
}

static void
begin_insert(ModifyTableState *mtstate, ResultRelInfo *info)
{
	(void) begin_modify_state(info, mtstate);
}

/* ---- INSERT ---- */

/* Have the row's values led here?  Then they fit, unless a trigger has changed them. */
static inline bool
is_routed(const ResultRelInfo *info)
{
	return info->ri_RootResultRelInfo != NULL &&
		(info->ri_TrigDesc == NULL || !info->ri_TrigDesc->trig_insert_before_row);
}

/*
 * The executor copies each row of a query into a slot of the table's kind, which for
 * a foreign table forms a tuple, to be taken apart again here.  With a slot of values
 * in that place it hands us the rows as the query computes them, as it does where
 * they go through a partitioned table.  Not where somebody else looks at the slot.
 */
static void
take_computed_rows(EState *estate, KalamModify *m, ResultRelInfo *info, TupleTableSlot *slot,
				   TupleTableSlot *plan_slot)
{
	TupleConstr *constr = RelationGetDescr(m->rel)->constr;
	MemoryContext old;

	if (m->mtstate == NULL || m->mtstate->operation != CMD_INSERT || plan_slot == NULL ||
		!TTS_IS_VIRTUAL(plan_slot) || slot != info->ri_newTupleSlot ||
		info->ri_projectNew != NULL || info->ri_projectReturning != NULL ||
		info->ri_WithCheckOptions != NIL || info->ri_TrigDesc != NULL ||
		m->on_conflict == KALAM_CONFLICT_IGNORE || (constr != NULL && constr->has_generated_stored))
		return;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	info->ri_newTupleSlot = ExecAllocTableSlot(&estate->es_tupleTable, RelationGetDescr(m->rel),
											   &TTSOpsVirtual);
	MemoryContextSwitchTo(old);
}

static TupleTableSlot *
insert_row(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	KalamModify *m = info->ri_FdwState;
	uint8		key[KALAM_MAX_KEY_BYTES];
	size_t		key_len;

	if (!m->ready)
	{
		kalam_modify_make_ready(m);
		take_computed_rows(estate, m, info, slot, plan_slot);
	}
	slot->tts_tableOid = RelationGetRelid(m->rel);
	kalam_modify_check_constraints(estate, info, slot,
								   m->mtstate != NULL && m->mtstate->operation == CMD_UPDATE ?
								   WCO_RLS_UPDATE_CHECK : WCO_RLS_INSERT_CHECK,
								   is_routed(info));
	if (m->table->nkeys == 0)
	{
		uint64		row_id = kalam_next_row_id();

		key_len = kalam_table_row_id_key(m->table, row_id, key);
		kalam_row_id_to_tid(row_id, &slot->tts_tid);
	}
	else
		key_len = kalam_table_row_key(m->table, m->rel, slot, key);
	if (m->loader != NULL && kalam_load_row(m, slot, key, key_len))
		return slot;
	if (m->updates_conflicts)
		return kalam_insert_or_update(estate, info, slot, key, key_len);
	if (m->on_conflict == KALAM_CONFLICT_IGNORE && kalam_arbiters_have_values(m->arbiters))
	{
		if (!kalam_values_are_taken(estate, info, slot, key, key_len))
		{
			kalam_modify_put_new(estate, m, slot, key, key_len, true);
			return slot;
		}
	}
	else if (kalam_modify_insert(estate, m, slot, key, key_len))
	{
		if (m->loader != NULL)
			kalam_load_row_is_staged(m);
		return slot;
	}
	if (m->mtstate != NULL)
		InstrCountTuples2(&m->mtstate->ps, 1);
	return NULL;
}

/* ---- UPDATE and DELETE ---- */

/* Makes the plan's old row current in old_slot and gives its key. */
static size_t
old_row_key(KalamModify *m, TupleTableSlot *plan_slot, uint8 *key)
{
	bool		isnull;
	Datum		datum = ExecGetJunkAttribute(plan_slot, m->wholerow_attno, &isnull);
	HeapTupleHeader header;

	if (isnull)
		elog(ERROR, "wholerow is NULL");
	header = DatumGetHeapTupleHeader(datum);
	m->old_tuple.t_data = header;
	m->old_tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&m->old_tuple.t_self);
	ExecForceStoreHeapTuple(&m->old_tuple, m->old_slot, false);
	m->old_slot->tts_tableOid = RelationGetRelid(m->rel);

	if (m->table->nkeys == 0)
	{
		datum = ExecGetJunkAttribute(plan_slot, m->ctid_attno, &isnull);
		if (isnull)
			elog(ERROR, "ctid is NULL");
		return kalam_table_row_id_key(m->table,
									  kalam_tid_to_row_id((ItemPointer) DatumGetPointer(datum)),
									  key);
	}
	return kalam_table_row_key(m->table, m->rel, m->old_slot, key);
}

/*
 * Locks the row of key and finds out whether the change still applies to it.
 * In read committed a row that has changed meanwhile is put through the plan
 * again, which may drop it or compute other values, in *plan_slot; key is then
 * its key now.
 */
static KalamChangeVerdict
lock_and_recheck(EState *estate, ResultRelInfo *info, uint8 *key, size_t *key_len,
				 KalamRowLockMode mode, TupleTableSlot **plan_slot)
{
	KalamModify *m = info->ri_FdwState;
	KalamRow   *newest;
	KalamChangeVerdict verdict = kalam_modify_lock_row(estate, m, key, key_len, mode,
												 m->mtstate->operation == CMD_UPDATE ?
												 "updated" : "deleted", &newest);
	TupleTableSlot *again;
	MemoryContext old;

	if (verdict != KALAM_GO_ON_CHANGED)
		return verdict;
	ExecStoreMinimalTuple(kalam_row_tuple(newest), m->newest_slot, false);
	if (m->table->nkeys == 0)
		kalam_row_id_to_tid(kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES),
							&m->newest_slot->tts_tid);
	m->newest_slot->tts_tableOid = RelationGetRelid(m->rel);
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	again = EvalPlanQual(&m->mtstate->mt_epqstate, m->rel, info->ri_RangeTableIndex,
						 m->newest_slot);
	MemoryContextSwitchTo(old);
	if (TupIsNull(again))
	{
		ExecClearTuple(m->newest_slot);
		pfree(newest);
		return KALAM_SKIP;
	}
	*plan_slot = again;
	return KALAM_GO_ON_CHANGED;
}

/*
 * As in heap, those who only want the key to stay wait for changes of the key, and
 * of unique values.
 */
static TupleTableSlot *
update_row(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	KalamModify *m = info->ri_FdwState;
	uint8		old_key[KALAM_MAX_KEY_BYTES];
	uint8		new_key[KALAM_MAX_KEY_BYTES];
	size_t		old_len;
	size_t		new_len;
	KalamRowLockMode mode;
	KalamIndexChanges *changes;

	kalam_modify_make_ready(m);
	old_len = old_row_key(m, plan_slot, old_key);
	changes = kalam_modify_plan_change(estate, info, m->old_slot, old_key, old_len, slot, new_key,
									   &new_len, &mode);
	switch (lock_and_recheck(estate, info, old_key, &old_len, mode, &plan_slot))
	{
		case KALAM_SKIP:
			return NULL;
		case KALAM_GO_ON:
			break;
		case KALAM_GO_ON_CHANGED:
			/* compute the new row from the newest one */
			ExecCopySlot(info->ri_oldTupleSlot, m->newest_slot);
			slot = ExecGetUpdateNewTuple(info, plan_slot, info->ri_oldTupleSlot);
			ExecMaterializeSlot(slot);
			slot->tts_tableOid = RelationGetRelid(m->rel);
			if (m->rel->rd_att->constr && m->rel->rd_att->constr->has_generated_stored)
				ExecComputeStoredGenerated(info, estate, slot, CMD_UPDATE);
			changes = kalam_modify_plan_change(estate, info, m->newest_slot, old_key, old_len, slot,
											   new_key, &new_len, &mode);
			kalam_modify_lock_key(m, old_key, old_len, mode);
			break;
	}

	slot->tts_tableOid = RelationGetRelid(m->rel);
	kalam_modify_change(estate, m, changes, old_key, old_len, slot, new_key, new_len);
	return slot;
}

static TupleTableSlot *
delete_row(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	KalamModify *m = info->ri_FdwState;
	uint8		key[KALAM_MAX_KEY_BYTES];
	size_t		key_len;
	KalamChangeVerdict verdict;
	TupleTableSlot *old;

	kalam_modify_make_ready(m);
	key_len = old_row_key(m, plan_slot, key);
	verdict = lock_and_recheck(estate, info, key, &key_len, KALAM_LOCK_UPDATE, &plan_slot);
	if (verdict == KALAM_SKIP)
		return NULL;
	old = verdict == KALAM_GO_ON_CHANGED ? m->newest_slot : m->old_slot;
	kalam_modify_remove(m, old, key, key_len);

	/* RETURNING shows the row that was deleted */
	if (slot != NULL)
	{
		ExecCopySlot(slot, old);
		slot->tts_tableOid = RelationGetRelid(m->rel);
	}
	return slot;
}

/*
 * The executor calls us in memory that lives as long as the query; what a row
 * needs goes with the row.
 */
typedef TupleTableSlot *(*RowFunction) (EState *, ResultRelInfo *, TupleTableSlot *,
										TupleTableSlot *);

static TupleTableSlot *
in_row_memory(RowFunction function, EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
			  TupleTableSlot *plan_slot)
{
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));

	slot = function(estate, info, slot, plan_slot);
	MemoryContextSwitchTo(old);
	return slot;
}

static TupleTableSlot *
exec_insert(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	return in_row_memory(insert_row, estate, info, slot, plan_slot);
}

/*
 * With ON CONFLICT each row is looked up: rows of a batch at once.  What is returned
 * counts as inserted, so this is not for statements that ask what was done to a row.
 * Other rows come one by one: the executor would copy each of a batch, twice, for more
 * than a call costs (800 instructions a row and more, beside 2200 for INSERT itself).
 */
static int
batch_size(ResultRelInfo *info)
{
	KalamModify *m = info->ri_FdwState;
	TriggerDesc *triggers = info->ri_TrigDesc;

	if (m == NULL || m->on_conflict != KALAM_CONFLICT_IGNORE || m->table->nkeys == 0 ||
		kalam_arbiters_have_values(m->arbiters) ||
		info->ri_projectReturning != NULL || info->ri_WithCheckOptions != NIL ||
		(triggers != NULL && (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
							  triggers->trig_update_before_row || triggers->trig_update_after_row)))
		return 1;
	return CONFLICT_BATCH;
}

static TupleTableSlot **
exec_batch_insert(EState *estate, ResultRelInfo *info, TupleTableSlot **slots,
				  TupleTableSlot **plan_slots, int *n)
{
	KalamModify *m = info->ri_FdwState;
	TupleTableSlot **done = palloc(*n * sizeof(TupleTableSlot *));
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kalam insert batch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	int			ndone = 0;

	kalam_modify_make_ready(m);
	m->ahead = m->object_is_new ? NULL :
		kalam_ahead_read(m->table, m->rel, slots, *n, !m->updates_conflicts);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < *n; i++)
	{
		kalam_ahead_turn(m->ahead, i);
		if (exec_insert(estate, info, slots[i], plan_slots[i]) != NULL)
			done[ndone++] = slots[i];
		/* as ModifyTable does between the rows that it sees */
		ResetPerTupleExprContext(estate);
		if (m->mtstate->ps.ps_ExprContext != NULL)
			ResetExprContext(m->mtstate->ps.ps_ExprContext);
	}
	m->ahead = NULL;
	MemoryContextDelete(context);
	*n = ndone;
	return done;
}

static TupleTableSlot *
exec_update(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	return in_row_memory(update_row, estate, info, slot, plan_slot);
}

static TupleTableSlot *
exec_delete(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	return in_row_memory(delete_row, estate, info, slot, plan_slot);
}

static int
is_updatable(Relation rel)
{
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}

void
kalam_fill_modify_routine(FdwRoutine *routine)
{
	routine->AddForeignUpdateTargets = add_update_targets;
	routine->BeginForeignModify = begin_modify;
	routine->ExecForeignInsert = exec_insert;
	routine->GetForeignModifyBatchSize = batch_size;
	routine->ExecForeignBatchInsert = exec_batch_insert;
	routine->ExecForeignUpdate = exec_update;
	routine->ExecForeignDelete = exec_delete;
	routine->EndForeignModify = end_modify;
	routine->ExplainForeignModify = kalam_on_conflict_explain;
	routine->BeginForeignInsert = begin_insert;
	routine->EndForeignInsert = end_modify;
	routine->IsForeignRelUpdatable = is_updatable;
	routine->PlanDirectModify = kalam_plan_direct;
	routine->BeginDirectModify = kalam_begin_direct;
	routine->IterateDirectModify = kalam_iterate_direct;
	routine->EndDirectModify = kalam_end_direct;
	routine->ExplainDirectModify = kalam_explain_direct;
	routine->ExecForeignTruncate = kalam_exec_truncate;
}
