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
#include "src/backend/shmem.h"
#include "src/backend/spill.h"
#include "src/backend/stop_point.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

#define RESTART_TIMEOUT_MS	30000

static enum
{
	COMMIT_NONE,
	COMMIT_DONE,				/* one-phase: it is in the store */
	COMMIT_PENDING				/* two-phase: it may be pending under full_xid */
}			state = COMMIT_NONE;

static uint64 full_xid = 0;

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
	return v->op == KALAM_CHANGE_CREATE_OBJECT || v->op == KALAM_CHANGE_DROP_OBJECT;
}

/*
 * Sends the log in the order of writing; a large one, and one that was spilled,
 * in the order of keys, each key once, so that storage can make sorted files of
 * it.  Objects, all of which are in memory, go first then.
 */
static void
send_changes(KalamStream *stream, KalamChanges *changes, bool bulk)
{
	KalamStagedMemory memory = kalam_spill_memory(CurrentMemoryContext);
	KalamStagedWalk walk;
	KalamStagedVersion *staged;
	KalamChangesScan *scan;
	KalamVersion v;

	kalam_staged_walk(&walk, kalam_changes_in_memory(changes), 0);
	while ((staged = kalam_staged_walk_next(&walk)) != NULL && !stream->ended)
	{
		kalam_version_of_staged(staged, &v);
		if (!bulk || is_object_change(&v))
			send_change(stream, &v);
	}
	if (!bulk)
		return;

	scan = kalam_changes_scan_open(changes, &memory, (uint8 *) "", 0, NULL, 0,
								   KALAM_ANY_COMMAND, KALAM_CHANGES_IN_PLACE);
	while (!stream->ended && kalam_changes_scan_next(scan, &v))
		if (!is_object_change(&v))
			send_change(stream, &v);
	kalam_changes_scan_close(scan);
}

/* Sleeps until storage serves again, without raising.  Its epoch, or 0. */
static uint32
wait_for_restart(void)
{
	for (int waited_ms = 0; waited_ms < RESTART_TIMEOUT_MS; waited_ms += 10)
	{
		uint32		epoch = atomic_load(&kalam_segment->epoch);

		if (atomic_load(&kalam_segment->state) == KALAM_STORAGE_READY &&
			atomic_load(&kalam_segment->epoch) == epoch)
			return epoch;
		if (!PostmasterIsAlive())
			return 0;
		pg_usleep(10000);
	}
	return 0;
}

/*
 * The storage process died with our changes on their way.  Are they in the
 * store?  It learned their stamp before it wrote; its successor knows the last
 * stamp that was written, and marks the stamps of requests that were lost.
 */
static bool
survived(KalamChannel *ch)
{
	uint32		old_epoch = ch->req.epoch;
	uint64		stamp;

	/* while it may be alive (only the postmaster is gone) it can still write */
	if (atomic_load(&ch->result.commit_stamp) == 0 &&
		atomic_load(&kalam_segment->epoch) != old_epoch)
		return false;
	if (wait_for_restart() == 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("the kalam storage process ended during COMMIT, and whether the transaction was committed is not known"),
				 errhint("Look at the rows that it wrote before running it again.")));
	stamp = atomic_load(&ch->result.commit_stamp);
	return stamp != 0 && stamp <= atomic_load(&kalam_segment->recovered);
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

void
kalam_commit_begin(KalamChanges *changes, uint64 serial, uint64 max_row_id,
				   bool two_phase, List *sequences)
{
	KalamStream stream;
	bool		has_xid;
	bool		sync = synchronous_commit > SYNCHRONOUS_COMMIT_OFF;
	bool		bulk = kalam_changes_spilled(changes) ||
		kalam_changes_bytes(changes) > (uint64) kalam_bulk_load_threshold * 1024;
	KalamChannel *ch;

	if (two_phase || IsolationIsSerializable())
		(void) GetTopTransactionId();
	has_xid = TransactionIdIsValid(GetTopTransactionIdIfAny());
	if (!has_xid && sync)
		flush_sequences(sequences);

	kalam_stream_begin(&stream, has_xid ? KALAM_OP_PREPARE : KALAM_OP_COMMIT);
	ch = stream.ch;
	ch->req.serial = serial;
	ch->req.max_row_id = max_row_id;
	if (has_xid || sync)
		ch->req.flags |= KALAM_COMMIT_SYNC;
	if (bulk)
		ch->req.flags |= KALAM_COMMIT_BULK;
	if (has_xid)
	{
		full_xid = U64FromFullTransactionId(GetTopFullTransactionId());
		ch->req.full_xid = full_xid;
	}

	PG_TRY();
	{
		KALAM_STOP_POINT("commit_begin");
		send_changes(&stream, changes, bulk);
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
	if (has_xid)
		state = COMMIT_PENDING;
	kalam_stream_finish(&stream, KALAM_LANE_COMMIT);
	KALAM_STOP_POINT("commit_finished");
	if (!kalam_channel_wait(ch, KALAM_WAIT_DONE, false))
	{
		if (!survived(ch))
		{
			RESUME_INTERRUPTS();
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("the kalam storage process ended during COMMIT; the transaction was not committed"),
					 errhint("It is started again by itself. Run the transaction again.")));
		}
	}
	else if (ch->result.code != KALAM_OK)
	{
		RESUME_INTERRUPTS();
		kalam_channel_raise(ch);
	}

	KALAM_STOP_POINT("commit_stored");
	if (has_xid)
		ForceSyncCommit();		/* recovery asks the commit log */
	else
		state = COMMIT_DONE;
}

/* Tells storage how the transaction of full_xid ended.  Never raises. */
static bool
resolve(bool committed)
{
	for (int attempt = 0; attempt < 3; attempt++)
	{
		KalamChannel *ch = kalam_rpc_begin_noerror(KALAM_OP_RESOLVE);

		if (ch != NULL)
		{
			ch->req.full_xid = full_xid;
			ch->req.flags = committed ? KALAM_RESOLVE_APPLY : 0;
			if (kalam_rpc_finish_noerror(ch) == KALAM_OK)
				return true;
		}
		if (!committed || wait_for_restart() == 0)
			return false;
	}
	return false;
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

		case COMMIT_PENDING:
			KALAM_STOP_POINT(committed ? "before_apply" : "before_drop");
			/* if this fails, the supervisor does it as soon as it can */
			if (!resolve(committed) && committed)
				ereport(WARNING,
						(errmsg("the transaction is committed, but the kalam storage process could not apply it yet"),
						 errhint("It does so when it runs again.")));
			break;
	}
	KALAM_STOP_POINT("commit_ended");
	state = COMMIT_NONE;
	if (committed)
		RESUME_INTERRUPTS();
}
