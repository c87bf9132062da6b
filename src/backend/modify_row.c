/*
 * modify_row.c
 *	  One row of an INSERT, UPDATE or DELETE: constraints, locks, staging.
 *
 * Every change locks its key first, then learns whether the row is still what
 * its scan saw, then stages, with what it does to the entries of indexes.  Core
 * checks no constraint on rows of foreign tables, so this file does.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/ahead.h"
#include "src/backend/index.h"
#include "src/backend/modify_internal.h"
#include "src/backend/moved.h"
#include "src/backend/onconflict.h"
#include "src/backend/row.h"
#include "src/backend/rowlock.h"
#include "src/backend/snapshot.h"

/* ---- constraints and keys ---- */

/* Is there a constraint that the row may violate? */
static bool
may_violate(const KalamModify *m, const TupleTableSlot *slot)
{
	if (m->has_checks)
		return true;
	for (int i = 0; i < m->nnot_null; i++)
		if (slot->tts_isnull[m->not_null[i]])
			return true;
	return false;
}

void
kalam_modify_check_constraints(EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
							   WCOKind security, bool routed)
{
	const KalamModify *m = info->ri_FdwState;

	slot_getallattrs(slot);		/* which is stored next */
	if (info->ri_WithCheckOptions != NIL)
		ExecWithCheckOptions(security, info, slot, estate);
	if (may_violate(m, slot))
		ExecConstraints(info, slot, estate);
	if (m->rel->rd_rel->relispartition && !routed)
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
	const KalamIndex *conflict = kalam_index_claim(changes, m->object_is_new, ignore,
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

bool
kalam_modify_insert(EState *estate, KalamModify *m, TupleTableSlot *slot, const uint8 *key, size_t key_len)
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

/* ---- rows that are there ---- */

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

/* Checks the new version of a row and gives its key.  True if that is another. */
static bool
new_row_key(EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
			const uint8 *old_key, size_t old_len, uint8 *new_key, size_t *new_len)
{
	KalamModify *m = info->ri_FdwState;

	kalam_modify_check_constraints(estate, info, slot, WCO_RLS_UPDATE_CHECK, false);
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

void
kalam_modify_remove(KalamModify *m, TupleTableSlot *old, const uint8 *key, size_t key_len)
{
	KalamIndexChanges *changes = kalam_index_changes(m->table, m->rel, old, key, key_len,
													 NULL, NULL, 0);

	(void) kalam_index_claim(changes, m->object_is_new, false, NULL);
	kalam_stage_delete(key, key_len);
	kalam_index_stage(changes, NULL);
}
