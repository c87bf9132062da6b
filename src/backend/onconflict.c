/*
 * onconflict.c
 *	  INSERT ... ON CONFLICT, the executor's part.
 *
 * DO UPDATE locks the key of the row that is proposed, as UPDATE would; then nobody
 * else can insert it.  Where a unique index decides, its entry leads to the key.  If there is a row it is updated in its newest version,
 * which in read committed may be newer than the statement's snapshot; else the
 * proposed one becomes the row.  The executor has made all that SET and WHERE need
 * (it does so for any table), but would call what we return a row inserted.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/compat.h"
#include "src/backend/modify_internal.h"
#include "src/backend/onconflict.h"
#include "src/backend/row.h"
#include "src/backend/snapshot.h"

/* ---- begin ---- */

void
kalam_on_conflict_begin(KalamModify *m, ResultRelInfo *info)
{
	/* COPY has no plan, and UPDATE that routes rows no such clause */
	ModifyTable *plan = m->mtstate ? (ModifyTable *) m->mtstate->ps.plan : NULL;
	MemoryContext old;

	if (plan == NULL || plan->onConflictAction == ONCONFLICT_NONE)
		return;
	old = MemoryContextSwitchTo(m->context);
	m->arbiters = kalam_find_arbiters(m->table, m->rel, plan,
									  m->mtstate->rootResultRelInfo->ri_RelationDesc);
	MemoryContextSwitchTo(old);
	/* the clause counts, not the table's option */
	m->on_conflict = KALAM_CONFLICT_IGNORE;
	m->updates_conflicts = plan->onConflictAction == ONCONFLICT_UPDATE;
	m->fires_after_insert = info->ri_TrigDesc != NULL && info->ri_TrigDesc->trig_insert_after_row;
}

/* As core does it for indexes. */
void
kalam_on_conflict_explain(ModifyTableState *mtstate, ResultRelInfo *info, List *private,
						  int subplan_index, ExplainState *es)
{
	Relation	rel = info->ri_RelationDesc;
	KalamTable *table = kalam_table_open(rel);
	KalamArbiters *arbiters = kalam_find_arbiters(table, rel, (ModifyTable *) mtstate->ps.plan,
												  mtstate->rootResultRelInfo->ri_RelationDesc);

	if (arbiters != NULL)
		ExplainPropertyList("Conflict Arbiter Indexes", kalam_arbiter_names(arbiters, rel), es);
	kalam_table_close(table);
}

/* ---- the row that is there ---- */

/* Also that of a unique index: as in heap, those who share the row keep it from changing. */
static bool
sets_key(EState *estate, ResultRelInfo *info, KalamTable *table)
{
	Bitmapset  *set = ExecGetAllUpdatedCols(info, estate);

	for (int i = 0; i < table->nkeys; i++)
		if (bms_is_member(table->keys[i].attnum - FirstLowInvalidHeapAttributeNumber, set))
			return true;
	for (int i = 0; i < table->nindexes; i++)
		for (int k = 0; k < table->indexes[i].ncolumns && table->indexes[i].unique; k++)
			if (bms_is_member(kalam_index_columns(&table->indexes[i])[k].attnum - FirstLowInvalidHeapAttributeNumber,
							  set))
				return true;
	return false;
}

static void pg_attribute_noreturn()
raise_second_time(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("%s command cannot affect row a second time", "ON CONFLICT DO UPDATE"),
			 errhint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")));
}

static KalamRowLockMode
update_mode(EState *estate, ResultRelInfo *info, KalamTable *table)
{
	return sets_key(estate, info, table) ? KALAM_LOCK_UPDATE : KALAM_LOCK_NO_KEY_UPDATE;
}

/* One that the transaction's snapshot does not see so is 40001. */
static void
check_visible(EState *estate, const uint8 *key, size_t key_len, KalamRowLockMode mode)
{
	uint8		same_key[KALAM_MAX_KEY_BYTES];
	KalamRow   *newest;

	if (!IsolationUsesXactSnapshot())
		return;
	memcpy(same_key, key, key_len);
	(void) kalam_row_fate(same_key, &key_len, kalam_snapshot_stamp(estate->es_snapshot), mode,
						  &newest);
}

/* Copies a locked row.  False if there is none. */
static bool
read_existing(EState *estate, KalamModify *m, const uint8 *key, size_t key_len,
			  KalamRowLockMode mode, TupleTableSlot *existing)
{
	KalamVersion own;

	if (kalam_own_version(key, key_len, &own))
	{
		if (own.op != KALAM_CHANGE_PUT)
			return false;
		if (own.command_id >= estate->es_snapshot->curcid)
			raise_second_time();
		ExecForceStoreMinimalTuple(kalam_version_tuple(&own), existing, false);
	}
	else
	{
		const KalamRow *row = m->object_is_new ? NULL : kalam_modify_newest(m, key, key_len);

		if (row == NULL)
			return false;
		check_visible(estate, key, key_len, mode);
		ExecForceStoreMinimalTuple(kalam_row_tuple(row), existing, false);
	}
	/* SET may call functions that write, and so move what is staged */
	ExecMaterializeSlot(existing);
	existing->tts_tableOid = RelationGetRelid(m->rel);
	if (m->table->nkeys == 0)
		kalam_row_id_to_tid(kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES), &existing->tts_tid);
	return true;
}

/* ---- whether there is one ---- */

/*
 * The primary key decides: locked, nobody else can insert it.  True, and *existing
 * holds a copy, if it is taken; else it is ours, and stays free.
 */
static bool
lock_by_key(EState *estate, ResultRelInfo *info, KalamModify *m, const uint8 *key,
			size_t key_len, TupleTableSlot *existing)
{
	KalamRowLockMode mode = update_mode(estate, info, m->table);

	kalam_modify_lock_key(m, key, key_len, mode);
	if (read_existing(estate, m, key, key_len, mode, existing))
		return true;
	/* for those who share a row that is gone */
	kalam_modify_lock_key(m, key, key_len, KALAM_LOCK_UPDATE);
	return false;
}

/*
 * Unique values decide.  They lead to a row; locked, it keeps them.  If they lead to none they are locked
 * themselves, behind the primary key, as by any INSERT.
 *
 * existing NULL: DO NOTHING, and no row is left locked.  key becomes the row's.
 */
static bool
lock_by_values(EState *estate, ResultRelInfo *info, KalamModify *m, TupleTableSlot *slot,
			   uint8 *key, size_t *key_len, TupleTableSlot *existing)
{
	KalamRowLockMode mode = existing ? update_mode(estate, info, m->table) : KALAM_LOCK_SHARE;
	KalamArbiterValues *values = kalam_arbiter_values(m->arbiters, m->table, m->rel, slot, key,
													  *key_len);

	for (;;)
	{
		uint32		mark = kalam_row_locks_mark();
		uint8		found[KALAM_MAX_KEY_BYTES];
		uint8		again[KALAM_MAX_KEY_BYTES];
		size_t		found_len = kalam_arbiter_row(values, found);
		size_t		again_len;

		CHECK_FOR_INTERRUPTS();
		if (found_len == 0)
		{
			/* (a row that stays under the key is for who inserts to complain about) */
			if (m->table->nkeys > 0 && !m->object_is_new)
				(void) kalam_modify_lock_new_key(m, key, *key_len);
			kalam_arbiter_lock_values(m, values);
			if (m->object_is_new || kalam_arbiter_row(values, found) == 0)
				return false;
			/* who was waited for has inserted one */
			kalam_row_locks_undo(mark);
			continue;
		}
		kalam_modify_lock_key(m, found, found_len, mode);
		again_len = kalam_arbiter_row(values, again);
		if (again_len == found_len && memcmp(found, again, found_len) == 0)
		{
			if (existing == NULL)
			{
				KalamVersion own;

				if (!kalam_own_version(found, found_len, &own))
					check_visible(estate, found, found_len, mode);
				kalam_row_locks_undo(mark);
				return true;
			}
			if (read_existing(estate, m, found, found_len, mode, existing))
			{
				memcpy(key, found, found_len);
				*key_len = found_len;
				return true;
			}
		}
		kalam_row_locks_undo(mark);
	}
}

/* ---- its update ---- */

static void
check_new_version(EState *estate, ResultRelInfo *info, TupleTableSlot *slot)
{
	Relation	rel = info->ri_RelationDesc;

	if (rel->rd_rel->relispartition && !ExecPartitionCheck(info, slot, estate, false))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("invalid ON UPDATE specification"),
				 errdetail("The result tuple would appear in a different partition than the original tuple.")));
	if (info->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_RLS_UPDATE_CHECK, info, slot, estate);
	if (rel->rd_att->constr != NULL)
		ExecConstraints(info, slot, estate);
}

/* Writes the row that SET has made; NULL if a trigger does not want it. */
static TupleTableSlot *
update_existing(EState *estate, ResultRelInfo *info, KalamModify *m, TupleTableSlot *existing,
				TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	TriggerDesc *triggers = info->ri_TrigDesc;
	HeapTuple	old_tuple = NULL;
	uint8		new_key[KALAM_MAX_KEY_BYTES];
	size_t		new_len;
	KalamVersion own;

	slot->tts_tableOid = RelationGetRelid(m->rel);
	ExecMaterializeSlot(slot);
	if (triggers != NULL && (triggers->trig_update_before_row || triggers->trig_update_after_row))
		old_tuple = ExecFetchSlotHeapTuple(existing, true, NULL);
	if (triggers != NULL && triggers->trig_update_before_row &&
		!ExecBRUpdateTriggers(estate, &m->mtstate->mt_epqstate, info, NULL, old_tuple, slot, NULL))
		return NULL;
	if (kalam_own_version(key, key_len, &own))
		kalam_modify_check_triggered(estate, &own, "updated");

	slot->tts_tableOid = RelationGetRelid(m->rel);
	if (m->rel->rd_att->constr && m->rel->rd_att->constr->has_generated_stored)
		ExecComputeStoredGenerated(info, estate, slot, CMD_UPDATE);
	check_new_version(estate, info, slot);
	if (m->table->nkeys > 0)
		new_len = kalam_table_row_key(m->table, m->rel, slot, new_key);
	else
	{
		new_len = key_len;
		memcpy(new_key, key, key_len);
		slot->tts_tid = existing->tts_tid;
	}
	if (new_len != key_len || memcmp(key, new_key, key_len) != 0)
		kalam_modify_lock_key(m, key, key_len, KALAM_LOCK_UPDATE);
	kalam_modify_put_changed(estate, m, existing, key, key_len, slot, new_key, new_len);

	ExecARUpdateTriggers(estate, info, NULL, NULL, NULL, old_tuple, slot, NIL,
						 m->mtstate->mt_oc_transition_capture, false);
	return slot;
}

bool
kalam_values_are_taken(EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
					   const uint8 *key, size_t key_len)
{
	KalamModify *m = info->ri_FdwState;
	uint8		found[KALAM_MAX_KEY_BYTES];

	memcpy(found, key, key_len);
	return lock_by_values(estate, info, m, slot, found, &key_len, NULL);
}

TupleTableSlot *
kalam_insert_or_update(EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
					   uint8 *key, size_t key_len)
{
	KalamModify *m = info->ri_FdwState;
	OnConflictSetState *on_conflict = info->ri_onConflict;
	TupleTableSlot *existing = on_conflict->oc_Existing;
	ExprContext *econtext = m->mtstate->ps.ps_ExprContext;
	bool		by_values = kalam_arbiters_have_values(m->arbiters);
	bool		conflict = by_values ?
		lock_by_values(estate, info, m, slot, key, &key_len, existing) :
		lock_by_key(estate, info, m, key, key_len, existing);

	/*
	 * The executor fires AFTER INSERT triggers for what is returned, which is
	 * wrong for a row that was updated.  The flag is this result relation's own,
	 * and asked for that only.
	 */
	if (m->fires_after_insert)
		info->ri_TrigDesc->trig_insert_after_row = !conflict;
	if (!conflict)
	{
		kalam_modify_put_new(estate, m, slot, key, key_len, by_values);
		return slot;
	}

	InstrCountTuples2(&m->mtstate->ps, 1);
	econtext->ecxt_scantuple = existing;
	econtext->ecxt_innertuple = slot;
	econtext->ecxt_outertuple = NULL;
	/* before WHERE can tell of a row that a view hides */
	if (info->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(KALAM_WCO_VIEW_CONFLICT_CHECK, info, existing, estate);
	if (!ExecQual(on_conflict->oc_WhereClause, econtext))
	{
		InstrCountFiltered1(&m->mtstate->ps, 1);
		return NULL;
	}
	if (info->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(WCO_RLS_CONFLICT_CHECK, info, existing, estate);
	return update_existing(estate, info, m, existing, ExecProject(on_conflict->oc_ProjInfo),
						   key, key_len);
}
