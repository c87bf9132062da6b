/*
 * onconflict.c
 *	  INSERT ... ON CONFLICT, the executor's part.
 *
 * DO UPDATE locks the key of the row that is proposed, as UPDATE would; then nobody
 * else can insert it.  If there is a row it is updated in its newest version,
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

#include "src/backend/modify_internal.h"
#include "src/backend/onconflict.h"
#include "src/backend/row.h"
#include "src/backend/snapshot.h"

/* ---- begin ---- */

/*
 * The planner has found the key.  Partitions are checked again: a plan does not
 * notice that one has got another key.
 */
static void
check_columns(KalamModify *m, ModifyTable *plan)
{
	int2vector *columns = kalam_on_conflict_columns(plan);
	Relation	named = m->mtstate->rootResultRelInfo->ri_RelationDesc;
	Bitmapset  *attnums = NULL;
	bool		fits = true;

	if (columns == NULL)
		return;
	for (int i = 0; i < columns->dim1; i++)
	{
		AttrNumber	attnum = columns->values[i];

		if (named != m->rel)
			attnum = get_attnum(RelationGetRelid(m->rel),
								get_attname(RelationGetRelid(named), attnum, false));
		attnums = bms_add_member(attnums, attnum);
	}
	for (int i = 0; i < m->table->nkeys; i++)
		fits &= bms_is_member(m->table->keys[i].attnum, attnums);
	if (!fits || bms_num_members(attnums) != m->table->nkeys)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("there is no unique or exclusion constraint matching the ON CONFLICT specification"),
				 errdetail("The columns are not the primary key of partition \"%s\".",
						   RelationGetRelationName(m->rel))));
	bms_free(attnums);
}

void
kalam_on_conflict_begin(KalamModify *m, ResultRelInfo *info)
{
	/* COPY has no plan, and UPDATE that routes rows no such clause */
	ModifyTable *plan = m->mtstate ? (ModifyTable *) m->mtstate->ps.plan : NULL;

	if (plan == NULL || plan->onConflictAction == ONCONFLICT_NONE)
		return;
	check_columns(m, plan);
	/* the clause counts, not the table's option */
	m->on_conflict = KALAM_CONFLICT_IGNORE;
	m->key_arbitrates = kalam_on_conflict_columns(plan) != NULL;
	m->updates_conflicts = plan->onConflictAction == ONCONFLICT_UPDATE;
	m->fires_after_insert = info->ri_TrigDesc != NULL && info->ri_TrigDesc->trig_insert_after_row;
}

/* As core does it for indexes. */
void
kalam_on_conflict_explain(ModifyTableState *mtstate, ResultRelInfo *info, List *private,
						  int subplan_index, ExplainState *es)
{
	if (kalam_on_conflict_columns((ModifyTable *) mtstate->ps.plan) != NULL)
		ExplainPropertyList("Conflict Arbiter Indexes",
							list_make1(psprintf("%s_pkey",
												RelationGetRelationName(info->ri_RelationDesc))),
							es);
}

/* ---- the row that is there ---- */

static bool
sets_key(EState *estate, ResultRelInfo *info, KalamTable *table)
{
	Bitmapset  *set = ExecGetAllUpdatedCols(info, estate);

	for (int i = 0; i < table->nkeys; i++)
		if (bms_is_member(table->keys[i].attnum - FirstLowInvalidHeapAttributeNumber, set))
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

/*
 * Locks the key.  True, and *existing holds a copy, if it is taken; else it is
 * ours, and stays free.
 */
static bool
lock_existing(EState *estate, ResultRelInfo *info, KalamModify *m, const uint8 *key,
			  size_t key_len, TupleTableSlot *existing)
{
	KalamRowLockMode mode = sets_key(estate, info, m->table) ?
		KALAM_LOCK_UPDATE : KALAM_LOCK_NO_KEY_UPDATE;
	KalamVersion own;
	KalamRow   *row;

	kalam_modify_lock_key(m, key, key_len, mode);
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
		row = m->object_is_new ? NULL : kalam_get_newest(key, key_len);
		if (row == NULL)
		{
			/* nobody can insert it meanwhile: this waits for those who share a row that is gone */
			kalam_modify_lock_key(m, key, key_len, KALAM_LOCK_UPDATE);
			return false;
		}
		if (IsolationUsesXactSnapshot())
		{
			uint8		same_key[KALAM_MAX_KEY_BYTES];
			size_t		same_len = key_len;
			KalamRow   *newest;

			/* one that the transaction's snapshot does not see so is 40001 */
			memcpy(same_key, key, key_len);
			(void) kalam_row_fate(same_key, &same_len, kalam_snapshot_stamp(estate->es_snapshot),
								  mode, &newest);
		}
		ExecForceStoreMinimalTuple(kalam_row_tuple(row), existing, false);
	}
	/* SET may call functions that write, and so move what is staged */
	ExecMaterializeSlot(existing);
	existing->tts_tableOid = RelationGetRelid(m->rel);
	return true;
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
	new_len = kalam_table_row_key(m->table, m->rel, slot, new_key);
	if (new_len != key_len || memcmp(key, new_key, key_len) != 0)
		kalam_modify_lock_key(m, key, key_len, KALAM_LOCK_UPDATE);
	kalam_modify_put_changed(estate, m, existing, key, key_len, slot, new_key, new_len);

	ExecARUpdateTriggers(estate, info, NULL, NULL, NULL, old_tuple, slot, NIL,
						 m->mtstate->mt_oc_transition_capture, false);
	return slot;
}

TupleTableSlot *
kalam_insert_or_update(EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
					   const uint8 *key, size_t key_len)
{
	KalamModify *m = info->ri_FdwState;
	OnConflictSetState *on_conflict = info->ri_onConflict;
	TupleTableSlot *existing = on_conflict->oc_Existing;
	ExprContext *econtext = m->mtstate->ps.ps_ExprContext;
	bool		conflict = lock_existing(estate, info, m, key, key_len, existing);

	/*
	 * The executor fires AFTER INSERT triggers for what is returned, which is
	 * wrong for a row that was updated.  The flag is this result relation's own,
	 * and asked for that only.
	 */
	if (m->fires_after_insert)
		info->ri_TrigDesc->trig_insert_after_row = !conflict;
	if (!conflict)
	{
		kalam_modify_put_new(estate, m, slot, key, key_len);
		return slot;
	}

	InstrCountTuples2(&m->mtstate->ps, 1);
	econtext->ecxt_scantuple = existing;
	econtext->ecxt_innertuple = slot;
	econtext->ecxt_outertuple = NULL;
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
