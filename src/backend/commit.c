/*
 * commit.c
 *	  From staged changes to durable ones, atomically with what Postgres commits.
 *
 * A transaction that has no transaction id of Postgres' is committed by one
 * stream, before Postgres' own (empty) commit.  One that has an id, or must get
 * one, is kept under that id in the store's pending family first; once
 * Postgres' commit record is on disk, storage applies it.  Whoever dies in
 * between: the supervisor asks the commit log and applies or drops it.
 *
 * A prepared transaction has an entry in pending as well, with its row locks; it
 * is applied or dropped when it is finished, by whoever meets it (indoubt.c).
 *
 * From the moment that the store may have the changes until the end of the
 * transaction, interrupts are held: a cancel must not make an ABORT of it.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/pmsignal.h"
#include "access/relation.h"

#include "src/backend/client.h"
#include "src/backend/client_internal.h"
#include "src/backend/indoubt.h"
#include "src/backend/load.h"
#include "src/backend/resolve.h"
#include "src/backend/rowlock.h"
#include "src/backend/shmem.h"
#include "src/backend/spill.h"
#include "src/backend/stop_point.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

#define RESTART_TIMEOUT_MS	30000	/* for an answer that only a successor has */
#define APPLY_TIMEOUT_MS	5000	/* others wait for it where they must */

static enum
{
	COMMIT_NONE,
	COMMIT_DONE,				/* one-phase: it is in the store */
	COMMIT_IN_DOUBT,			/* two-phase: nothing of it is in the store */
	COMMIT_PENDING				/* two-phase: it may be pending under full_xid */
}			state = COMMIT_NONE;

static uint64 full_xid = 0;		/* 0: one-phase */

static void
send_change(KalamStream *stream, const KalamVersion *v)
{
	KalamChange change;
	uint32		skip = (v->flags & KALAM_STAGED_ROW) ? KALAM_TUPLE_BODY_OFFSET : 0;

	change.op = v->op;
	change.flags = 0;
	change.key_len = (uint16) v->key_len;
	change.value_len = v->value_len - skip;
	kalam_stream_put(stream, &change, sizeof(change));
	kalam_stream_put(stream, v->key, v->key_len);
	if (skip)
	{
		kalam_stream_put(stream, v->value, KALAM_VALUE_HEADER_BYTES);
		kalam_stream_put(stream, v->value + KALAM_VALUE_HEADER_BYTES + skip,
						 v->value_len - KALAM_VALUE_HEADER_BYTES - skip);
	}
	else
		kalam_stream_put(stream, v->value, v->value_len);
}

static inline bool
is_object_change(const KalamVersion *v)
{
	return v->op == KALAM_CHANGE_CREATE_OBJECT || v->op == KALAM_CHANGE_DROP_OBJECT ||
		v->op == KALAM_CHANGE_DROP_INDEX;
}

/* What is_of_passing_object found out about the object of the last change. */
typedef struct ObjectFilter
{
	uint32		id;
	bool		passing;
} ObjectFilter;

/* Is it a change to an object that this transaction both created and dropped? */
static bool
is_of_passing_object(ObjectFilter *filter, const KalamVersion *v)
{
	uint32		id = kalam_get_be32(v->key);

	if (id != filter->id)
	{
		/* creation and removal are both under the bare id; a creation is the oldest */
		KalamStagedVersion *own = kalam_own_object_change(id);

		filter->id = id;
		filter->passing = false;
		if (own != NULL && own->op == KALAM_CHANGE_DROP_OBJECT)
		{
			while (own->older != NULL)
				own = own->older;
			filter->passing = own->op == KALAM_CHANGE_CREATE_OBJECT;
		}
	}
	return filter->passing;
}

/*
 * Sends the log in the order of writing; a large one, and one that was spilled,
 * in the order of keys, each key once, so that storage can make sorted files of
 * it.  Objects, all of which are in memory, go first then.  Nothing is sent of an
 * object that nobody else will ever see: storage would make a column family,
 * which takes it milliseconds, only to remove it.
 */
static void
send_changes(KalamStream *stream, KalamChanges *changes, bool bulk)
{
	ObjectFilter filter = {.id = KALAM_OBJECT_NONE};
	KalamStagedMemory memory = kalam_spill_memory(CurrentMemoryContext);
	KalamStagedWalk walk;
	KalamStagedVersion *staged;
	KalamChangesScan *scan;
	KalamVersion v;

	kalam_staged_walk(&walk, kalam_changes_in_memory(changes), 0);
	while ((staged = kalam_staged_walk_next(&walk)) != NULL && !stream->ended)
	{
		kalam_version_of_staged(staged, &v);
		if ((!bulk || is_object_change(&v)) && !is_of_passing_object(&filter, &v))
			send_change(stream, &v);
	}
	if (!bulk)
		return;

	scan = kalam_changes_scan_open(changes, &memory, (uint8 *) "", 0, NULL, 0,
								   KALAM_ANY_COMMAND, KALAM_CHANGES_IN_PLACE);
	while (!stream->ended && kalam_changes_scan_next(scan, &v))
		if (!is_object_change(&v) && !is_of_passing_object(&filter, &v))
			send_change(stream, &v);
	kalam_changes_scan_close(scan);
}

static void
send_locks(KalamStream *stream, const StringInfoData *locks)
{
	KalamChange change = {.op = KALAM_CHANGE_LOCKS, .value_len = locks->len};

	kalam_stream_put(stream, &change, sizeof(change));
	kalam_stream_put(stream, locks->data, locks->len);
}

/*
 * Sleeps until storage serves again, without raising; a cancel ends the wait.
 */
static bool
wait_for_restart(int timeout_ms)
{
	for (int waited_ms = 0; waited_ms < timeout_ms; waited_ms += 10)
	{
		uint32		epoch = atomic_load(&kalam_segment->epoch);

		if (atomic_load(&kalam_segment->state) == KALAM_STORAGE_READY &&
			atomic_load(&kalam_segment->epoch) == epoch)
			return true;
		if (!PostmasterIsAlive() || QueryCancelPending || ProcDiePending)
			return false;
		pg_usleep(10000);
	}
	return false;
}

typedef enum Fate
{
	FATE_LOST,					/* it is not in the store and never will be */
	FATE_STORED,
	FATE_UNKNOWN				/* no storage process runs that could tell */
} Fate;

/*
 * The storage process died with our changes on their way.  Are they in the
 * store?  It learned their stamp before it wrote; its successor knows the last
 * stamp that was written, and marks the stamps of requests that were lost.
 */
static Fate
ask_successor(KalamChannel *ch)
{
	uint32		old_epoch = ch->req.epoch;
	uint64		stamp;

	/* while it may be alive (only the postmaster is gone) it can still write */
	if (atomic_load(&ch->result.commit_stamp) == 0 &&
		atomic_load(&kalam_segment->epoch) != old_epoch)
		return FATE_LOST;
	if (!wait_for_restart(RESTART_TIMEOUT_MS))
		return FATE_UNKNOWN;
	stamp = atomic_load(&ch->result.commit_stamp);
	return stamp != 0 && stamp <= atomic_load(&kalam_segment->recovered) ? FATE_STORED : FATE_LOST;
}

/* Goes on if the changes are in the store all the same. */
static void
storage_died(KalamChannel *ch)
{
	Fate		fate = ask_successor(ch);

	if (fate == FATE_STORED)
		return;
	RESUME_INTERRUPTS();
	if (fate == FATE_LOST || full_xid != 0)
		ereport(ERROR,			/* what is pending will be dropped */
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the kalam storage process ended during COMMIT; the transaction was not committed"),
				 errhint("It is started again by itself. Run the transaction again.")));
	ereport(ERROR,
			(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
			 errmsg("the kalam storage process ended during COMMIT, and whether the transaction was committed is not known"),
			 errhint("Look at the rows that it wrote before running it again.")));
}

/*
 * A row may carry a number from a sequence whose WAL is still in memory.  It
 * must not become durable earlier, or a crash would hand out the number again.
 */
static void
flush_sequences(List *sequences)
{
	ListCell   *lc;

	foreach(lc, sequences)
	{
		Relation	seq = try_relation_open(lfirst_oid(lc), AccessShareLock);
		Buffer		buf;
		XLogRecPtr	lsn;

		if (seq == NULL)
			continue;
		if (seq->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT)
		{
			buf = ReadBuffer(seq, 0);
			LockBuffer(buf, BUFFER_LOCK_SHARE);
			lsn = BufferGetLSNAtomic(buf);
			UnlockReleaseBuffer(buf);
			XLogFlush(lsn);
		}
		relation_close(seq, NoLock);
	}
}

/*
 * Sends the changes; returns with interrupts held.  locks: of a transaction
 * that is being prepared, else NULL.
 */
static void
send_transaction(const KalamCommit *commit, bool sync, const StringInfoData *locks)
{
	KalamStream stream;
	KalamChannel *ch;
	bool		bulk = commit->changes != NULL &&
		(kalam_nloads > 0 || kalam_changes_spilled(commit->changes) ||
		 kalam_changes_bytes(commit->changes) > (uint64) kalam_bulk_load_threshold * 1024);

	kalam_stream_begin(&stream, full_xid != 0 ? KALAM_OP_PREPARE : KALAM_OP_COMMIT);
	ch = stream.ch;
	ch->req.serial = commit->serial;
	ch->req.max_row_id = commit->max_row_id;
	ch->req.full_xid = full_xid;
	if (sync)
		ch->req.flags |= KALAM_COMMIT_SYNC;
	if (bulk)
		ch->req.flags |= KALAM_COMMIT_BULK;

	PG_TRY();
	{
		KALAM_STOP_POINT("commit_begin");
		if (locks != NULL && locks->len > 0)
			send_locks(&stream, locks);
		kalam_loads_send(&stream);
		if (commit->changes != NULL)
			send_changes(&stream, commit->changes, bulk);
		KALAM_STOP_POINT("commit_sent");
		CHECK_FOR_INTERRUPTS();
	}
	PG_CATCH();
	{
		kalam_channel_cancel(ch);
		PG_RE_THROW();
	}
	PG_END_TRY();

	HOLD_INTERRUPTS();
	if (full_xid != 0)
		state = COMMIT_PENDING;
	kalam_stream_finish(&stream, KALAM_LANE_COMMIT);
	KALAM_STOP_POINT("commit_finished");

	/* while storage may yet write, an end of ours would let others overtake it */
	if (!kalam_channel_wait(ch, KALAM_WAIT_DONE, false))
		storage_died(ch);
	else if (ch->result.code != KALAM_OK)
	{
		RESUME_INTERRUPTS();
		if (ch->result.code == KALAM_ERR_DUPLICATE)
			kalam_loads_raise_duplicate(ch);
		kalam_channel_raise(ch);
	}
	KALAM_STOP_POINT("commit_stored");
}

/* From here on the transaction is known by its transaction id. */
static void
enter_doubt(void)
{
	uint64		id = U64FromFullTransactionId(GetTopFullTransactionId());

	kalam_indoubt_enter(id);
	full_xid = id;
	state = COMMIT_IN_DOUBT;
}

void
kalam_commit_begin(const KalamCommit *commit)
{
	bool		sync = synchronous_commit > SYNCHRONOUS_COMMIT_OFF;

	full_xid = 0;
	if (commit->two_phase || IsolationIsSerializable() ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		enter_doubt();
	else if (sync)
		flush_sequences(commit->sequences);

	send_transaction(commit, sync || full_xid != 0, NULL);

	if (full_xid != 0)
		ForceSyncCommit();		/* recovery asks the commit log */
	else
		state = COMMIT_DONE;
}

/*
 * Until Postgres has prepared it, it can be cancelled, and is dropped then.
 * What it wrote to WAL is flushed by Postgres.
 */
void
kalam_commit_prepare(const KalamCommit *commit)
{
	StringInfoData locks;

	initStringInfo(&locks);
	kalam_row_locks_pack(&locks);
	enter_doubt();
	send_transaction(commit, true, &locks);
	RESUME_INTERRUPTS();
	pfree(locks.data);
}

/* Tells storage how the transaction of full_xid ended.  Never raises. */
static bool
resolve(bool committed)
{
	return kalam_resolve_noerror(full_xid, committed) ||
		(committed && wait_for_restart(APPLY_TIMEOUT_MS) &&
		 kalam_resolve_noerror(full_xid, committed));
}

/* The row locks become the transaction id's. */
static void
hand_over_locks(void)
{
	TransactionId xid = kalam_xid_of(full_xid);

	if (!kalam_indoubt_keep_locks(full_xid))
		return;					/* applied by somebody: not needed any more */
	kalam_row_locks_hand_over(xid);
	if (!kalam_indoubt_has(full_xid))
		kalam_row_locks_forget(xid);	/* in between */
}

/*
 * What others may see of it they must not see older than it is: it stays in
 * doubt, and its row locks with it, until storage has applied it.
 */
static void
leave_behind(void)
{
	ereport(WARNING,
			(errmsg("the transaction is committed, but the kalam storage process could not apply it yet"),
			 errhint("It does so when it runs again.")));
	hand_over_locks();
}

void
kalam_commit_prepared(void)
{
	if (state != COMMIT_PENDING)
		return;
	KALAM_STOP_POINT("prepare_ended");
	hand_over_locks();
	state = COMMIT_NONE;
}

void
kalam_commit_end(bool committed)
{
	switch (state)
	{
		case COMMIT_NONE:
			return;

		case COMMIT_DONE:
			if (!committed)
				ereport(WARNING,
						(errmsg("changes to kalam tables were committed before the transaction failed")));
			break;

		case COMMIT_IN_DOUBT:
			kalam_indoubt_leave(full_xid);
			break;

		case COMMIT_PENDING:
			KALAM_STOP_POINT(committed ? "before_apply" : "before_drop");
			/* if this fails, the supervisor does it as soon as it can */
			if (resolve(committed) || !committed)
				kalam_indoubt_leave(full_xid);
			else
				leave_behind();
			break;
	}
	KALAM_STOP_POINT("commit_ended");
	state = COMMIT_NONE;
	if (committed)
		RESUME_INTERRUPTS();
}
