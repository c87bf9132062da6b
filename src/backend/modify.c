/*
 * modify.c
 *	  INSERT, UPDATE, DELETE and COPY FROM on stored tables.
 *
 * Every change locks its key first, then learns whether the row is still what
 * its scan saw, then stages.  Core checks no constraint on rows of foreign
 * tables, so this file does, on each path.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/ahead.h"
#include "src/backend/ddl.h"
#include "src/backend/directmodify.h"
#include "src/backend/index.h"
#include "src/backend/modify.h"
#include "src/backend/modify_internal.h"
#include "src/backend/moved.h"
#include "src/backend/onconflict.h"
#include "src/backend/row.h"
#include "src/backend/rowlock.h"
#include "src/backend/snapshot.h"

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
	m->on_conflict = m->table->on_conflict;
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
	return m;
}

static void
end_modify(EState *estate, ResultRelInfo *info)
{
	KalamModify *m = info->ri_FdwState;

	if (m == NULL || --m->users > 0)
		return;
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
	foreach(lc, m->table->sequences)
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

/* ---- constraints and keys ---- */

/* Row security is that of a partitioned table: kalam tables have none of their own. */
static void
check_constraints(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, WCOKind security)
{
	Relation	rel = info->ri_RelationDesc;

	if (info->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(security, info, slot, estate);
	if (rel->rd_att->constr != NULL)
		ExecConstraints(info, slot, estate);
	if (rel->rd_rel->relispartition)
		ExecPartitionCheck(info, slot, estate, true);
}

static KalamRowLockResult
lock_key_as(KalamModify *m, const uint8 *key, size_t key_len, KalamRowLockMode mode,
			LockWaitPolicy wait)
{
	return kalam_row_lock(m->table->object_id, key, key_len, mode, wait, m->table->relid,
						  RelationGetRelationName(m->rel));
}

void
kalam_modify_lock_key(KalamModify *m, const uint8 *key, size_t key_len, KalamRowLockMode mode)
{
	if (!m->object_is_new)
		(void) lock_key_as(m, key, key_len, mode, LockWaitBlock);
}

/* Without waiting.  False if it cannot be had so. */
static bool
try_lock_key(KalamModify *m, const uint8 *key, size_t key_len, KalamRowLockMode mode)
{
	return lock_key_as(m, key, key_len, mode, LockWaitSkip) != KALAM_LOCK_SKIPPED;
}

const KalamRow *
kalam_modify_newest(KalamModify *m, const uint8 *key, size_t key_len)
{
	const KalamRow *row;

	if (kalam_ahead_get(m->ahead, key, key_len, &row))
		return row;
	return kalam_get_newest(key, key_len);
}

bool
kalam_modify_lock_new_key(KalamModify *m, const uint8 *key, size_t key_len)
{
	uint32		mark = kalam_row_locks_mark();

	if (try_lock_key(m, key, key_len, KALAM_LOCK_UPDATE))
		return true;
	if (try_lock_key(m, key, key_len, KALAM_LOCK_SHARE))
	{
		if (kalam_key_exists(key, key_len))
			return false;
		kalam_row_locks_undo(mark);
	}
	kalam_modify_lock_key(m, key, key_len, KALAM_LOCK_UPDATE);
	return true;
}

/* The row that an INSERT replaces under a locked key, or NULL. */
static TupleTableSlot *
replaced_row(KalamModify *m, const uint8 *key, size_t key_len)
{
	KalamVersion own;
	MinimalTuple tuple;

	if (kalam_own_version(key, key_len, &own))
	{
		if (own.op != KALAM_CHANGE_PUT)
			return NULL;
		tuple = heap_copy_minimal_tuple(kalam_version_tuple(&own));
	}
	else
	{
		KalamRow   *newest = m->object_is_new ? NULL : kalam_get_newest(key, key_len);

		if (newest == NULL)
			return NULL;
		tuple = kalam_row_tuple(newest);
	}
	if (m->replaced_slot == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(m->context);

		m->replaced_slot = MakeSingleTupleTableSlot(RelationGetDescr(m->rel), &TTSOpsMinimalTuple);
		MemoryContextSwitchTo(old);
	}
	ExecStoreMinimalTuple(tuple, m->replaced_slot, false);
	return m->replaced_slot;
}

/* The statement's snapshot, where a conflict that is ignored must be one that it sees. */
static Snapshot
ignoring_snapshot(EState *estate)
{
	return IsolationUsesXactSnapshot() ? estate->es_snapshot : NULL;
}

/*
 * Claims a primary key that must not be taken.  False if it is, and the table or
 * the statement says to ignore that.  *look_up: it may be stored, which is for the
 * caller to find out; *at_once: without waiting for others.
 */
static bool
claim_key(EState *estate, KalamModify *m, const uint8 *key, size_t key_len,
		  KalamOnConflict on_conflict, bool *look_up, bool *at_once)
{
	KalamVersion own;
	bool		taken;

	*look_up = false;
	*at_once = m->check_each;
	if (on_conflict == KALAM_CONFLICT_REPLACE)
	{
		kalam_modify_lock_key(m, key, key_len, KALAM_LOCK_UPDATE);
		return true;
	}
	if (kalam_own_version(key, key_len, &own))
	{
		if (own.op != KALAM_CHANGE_PUT)
			return true;
		if (on_conflict == KALAM_CONFLICT_IGNORE)
			return false;
		kalam_raise_duplicate(m->rel, 0, kalam_version_tuple(&own));
	}
	if (m->object_is_new)
		return true;
	taken = !kalam_modify_lock_new_key(m, key, key_len);
	if (on_conflict == KALAM_CONFLICT_IGNORE)
	{
		uint8		stored[KALAM_MAX_KEY_BYTES];
		KalamRow   *newest;

		if (!taken && kalam_modify_newest(m, key, key_len) == NULL)
			return true;
		/* one that the transaction's snapshot does not see is 40001 */
		memcpy(stored, key, key_len);
		if (ignoring_snapshot(estate) != NULL)
			(void) kalam_row_fate(stored, &key_len, kalam_snapshot_stamp(estate->es_snapshot),
								  KALAM_LOCK_UPDATE, &newest);
		return false;
	}
	*look_up = true;
	*at_once |= taken;
	return true;
}

/*
 * Stages the slot's row under a key that is claimed, and what it does to entries,
 * once its unique values are claimed as well.  False if one is taken, and that is
 * to be ignored.
 */
static bool
put_claimed(EState *estate, KalamModify *m, KalamIndexChanges *changes, TupleTableSlot *slot,
			const uint8 *key, size_t key_len, bool ignore, bool look_up, bool at_once)
{
	KalamIndex *conflict = kalam_index_claim(changes, ignore,
											 ignore ? ignoring_snapshot(estate) : NULL);
	KalamStagedVersion *version;

	if (conflict != NULL && ignore)
		return false;
	if (conflict != NULL)
		kalam_raise_duplicate(m->rel, conflict->id, ExecCopySlotMinimalTuple(slot));
	version = kalam_stage_slot(slot, key, key_len);
	if (look_up)
		kalam_unique_check_add(version->key, version, m->table->relid, 0);
	kalam_index_stage(changes, version);
	if (at_once)
		kalam_unique_checks_flush();
	return true;
}

void
kalam_modify_put_new(EState *estate, KalamModify *m, TupleTableSlot *slot, const uint8 *key,
					 size_t key_len, bool check_key)
{
	bool		look_up = false;
	bool		at_once = m->check_each;

	if (check_key && m->table->nkeys > 0)
		(void) claim_key(estate, m, key, key_len, KALAM_CONFLICT_ERROR, &look_up, &at_once);
	(void) put_claimed(estate, m,
					   kalam_index_changes(m->table, m->rel, NULL, NULL, 0, slot, key, key_len),
					   slot, key, key_len, false, look_up, at_once);
}

/*
 * Puts the slot's row under a key that must not be taken, and its unique values
 * where they must not be.  False if one is, and that is to be ignored; then
 * nothing is left locked either.  A table without a key has no conflict there.
 */
static bool
put_new_row(EState *estate, KalamModify *m, TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	uint32		mark = kalam_row_locks_mark();
	bool		ignore = m->on_conflict == KALAM_CONFLICT_IGNORE;
	bool		look_up = false;
	bool		at_once = m->check_each;
	TupleTableSlot *replaced = NULL;

	if (m->table->nkeys > 0)
	{
		if (!claim_key(estate, m, key, key_len, m->on_conflict, &look_up, &at_once))
		{
			kalam_row_locks_undo(mark);
			return false;
		}
		if (m->on_conflict == KALAM_CONFLICT_REPLACE && m->table->nindexes > 0)
			replaced = replaced_row(m, key, key_len);
	}
	if (put_claimed(estate, m,
					kalam_index_changes(m->table, m->rel, replaced, key, key_len, slot, key, key_len),
					slot, key, key_len, ignore && m->arbiters == NULL, look_up, at_once))
		return true;
	kalam_row_locks_undo(mark);
	return false;
}

/* ---- INSERT ---- */

static TupleTableSlot *
insert_row(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	KalamModify *m = info->ri_FdwState;
	uint8		key[KALAM_MAX_KEY_BYTES];
	size_t		key_len;

	kalam_modify_make_ready(m);
	slot->tts_tableOid = RelationGetRelid(m->rel);
	check_constraints(estate, info, slot,
					  m->mtstate != NULL && m->mtstate->operation == CMD_UPDATE ?
					  WCO_RLS_UPDATE_CHECK : WCO_RLS_INSERT_CHECK);
	if (m->table->nkeys == 0)
	{
		uint64		row_id = kalam_next_row_id();

		key_len = kalam_table_row_id_key(m->table, row_id, key);
		kalam_row_id_to_tid(row_id, &slot->tts_tid);
	}
	else
		key_len = kalam_table_row_key(m->table, m->rel, slot, key);
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
	else if (put_new_row(estate, m, slot, key, key_len))
		return slot;
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

void
kalam_modify_check_triggered(EState *estate, const KalamVersion *own, const char *verb)
{
	if (own->command_id > estate->es_output_cid)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("tuple to be %s was already modified by an operation triggered by the current command",
						verb),
				 errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.")));
}

KalamChangeVerdict
kalam_modify_lock_row(EState *estate, KalamModify *m, uint8 *key, size_t *key_len,
					  KalamRowLockMode mode, const char *verb, KalamRow **newest)
{
	KalamVersion own;
	KalamRowFate fate;

	*newest = NULL;
	kalam_modify_lock_key(m, key, *key_len, mode);
	if (kalam_own_version(key, *key_len, &own))
	{
		if (own.command_id < estate->es_snapshot->curcid)
			return own.op == KALAM_CHANGE_PUT ? KALAM_GO_ON : KALAM_SKIP;
		kalam_modify_check_triggered(estate, &own, verb);
		return KALAM_SKIP;		/* this command has changed it already */
	}
	if (m->object_is_new || m->scan_locked)
		return KALAM_GO_ON;

	while ((fate = kalam_row_fate(key, key_len, kalam_snapshot_stamp(estate->es_snapshot), mode,
								  newest)) == KALAM_ROW_MOVED)
	{
		CHECK_FOR_INTERRUPTS();
		kalam_modify_lock_key(m, key, *key_len, mode);
		if (kalam_own_version(key, *key_len, &own))
			return KALAM_SKIP;	/* it is ours by now */
	}
	if (fate == KALAM_ROW_UPDATED)
		return KALAM_GO_ON_CHANGED;
	return fate == KALAM_ROW_AS_BEFORE ? KALAM_GO_ON : KALAM_SKIP;
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

/* Checks the new version of a row and gives its key.  True if that is another. */
static bool
new_row_key(EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
			const uint8 *old_key, size_t old_len, uint8 *new_key, size_t *new_len)
{
	KalamModify *m = info->ri_FdwState;

	check_constraints(estate, info, slot, WCO_RLS_UPDATE_CHECK);
	if (m->table->nkeys == 0)
	{
		memcpy(new_key, old_key, old_len);
		*new_len = old_len;
		return false;
	}
	*new_len = kalam_table_row_key(m->table, m->rel, slot, new_key);
	return *new_len != old_len || memcmp(old_key, new_key, old_len) != 0;
}

KalamIndexChanges *
kalam_modify_plan_change(EState *estate, ResultRelInfo *info, TupleTableSlot *old,
						 const uint8 *old_key, size_t old_len, TupleTableSlot *slot,
						 uint8 *new_key, size_t *new_len, KalamRowLockMode *mode)
{
	KalamModify *m = info->ri_FdwState;
	bool		moves = new_row_key(estate, info, slot, old_key, old_len, new_key, new_len);
	KalamIndexChanges *changes = kalam_index_changes(m->table, m->rel, old, old_key, old_len,
													 slot, new_key, *new_len);

	*mode = moves || kalam_index_changes_unique(changes) ?
		KALAM_LOCK_UPDATE : KALAM_LOCK_NO_KEY_UPDATE;
	return changes;
}

void
kalam_modify_change(EState *estate, KalamModify *m, KalamIndexChanges *changes,
					const uint8 *old_key, size_t old_len, TupleTableSlot *slot,
					const uint8 *new_key, size_t new_len)
{
	bool		moves = new_len != old_len || memcmp(old_key, new_key, old_len) != 0;
	bool		look_up = false;
	bool		at_once = m->check_each;

	if (moves)
		(void) claim_key(estate, m, new_key, new_len, KALAM_CONFLICT_ERROR, &look_up, &at_once);
	(void) put_claimed(estate, m, changes, slot, new_key, new_len, false, look_up, at_once);
	if (!moves)
		return;
	kalam_stage_delete(old_key, old_len);
	if (!m->object_is_new)
		kalam_moved_note(old_key, old_len, new_key, new_len);
}

void
kalam_modify_put_changed(EState *estate, KalamModify *m, TupleTableSlot *old,
						 const uint8 *old_key, size_t old_len, TupleTableSlot *slot,
						 const uint8 *new_key, size_t new_len)
{
	KalamIndexChanges *changes = kalam_index_changes(m->table, m->rel, old, old_key, old_len,
													 slot, new_key, new_len);

	if (kalam_index_changes_unique(changes))
		kalam_modify_lock_key(m, old_key, old_len, KALAM_LOCK_UPDATE);
	kalam_modify_change(estate, m, changes, old_key, old_len, slot, new_key, new_len);
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

void
kalam_modify_remove(KalamModify *m, TupleTableSlot *old, const uint8 *key, size_t key_len)
{
	KalamIndexChanges *changes = kalam_index_changes(m->table, m->rel, old, key, key_len,
													 NULL, NULL, 0);

	(void) kalam_index_claim(changes, false, NULL);
	kalam_stage_delete(key, key_len);
	kalam_index_stage(changes, NULL);
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
