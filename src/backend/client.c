/*
 * client.c
 *	  A backend's side of the channels: claims, requests, waits, change streams.
 *
 * Nothing here holds a lock, and nothing but the owner's fields of its own slot
 * and channels is written.  Waits end with the answer, with an interrupt, or
 * with the end of the storage process (the segment's epoch moves).  Cursors are
 * in cursor.c.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/postmaster.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "utils/timestamp.h"

#include "src/backend/client.h"
#include "src/backend/client_internal.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"

#define READY_TIMEOUT_MS	10000
#define READY_POLL_MS		5
#define WAIT_TICK_US		200000
#define SPIN_US				25

static bool slot_claimed = false;
static bool supervisor_mode = false;
static int	cpu_count = 0;
static const KalamChannel *served_here = NULL;	/* by a thread that wants our processor */

void
kalam_client_use_supervisor_mode(void)
{
	supervisor_mode = true;
}

static void
release_slot(int code, Datum arg)
{
	KalamSlot  *slot = kalam_slot(kalam_segment, kalam_my_slot_index());

	kalam_cursors_forget_all();
	for (uint32 i = 0; i < KALAM_PINS_PER_SLOT; i++)
		atomic_store(&slot->pins[i], 0);
	atomic_store(&slot->npins, 0);
	atomic_store(&slot->pid, 0);
	slot_claimed = false;
}

/*
 * Marks this process's slot as used.  A predecessor that exited has given its
 * pins back; a request of it that is still being stopped is waited for when
 * the channel is used (see kalam_channel_prepare).
 */
void
kalam_client_claim(void)
{
	KalamSlot  *slot;

	if (kalam_segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("kalam_fdw is not loaded by the server"),
				 errhint("Add kalam_fdw to shared_preload_libraries in postgresql.conf and restart the server.")));

	if (slot_claimed)
		return;

	slot = kalam_slot(kalam_segment, kalam_my_slot_index());
	on_shmem_exit(release_slot, (Datum) 0);
	atomic_store(&slot->pid, MyProcPid);
	cpu_count = (int) sysconf(_SC_NPROCESSORS_ONLN);
	slot_claimed = true;
}

uint32
kalam_client_ready(void)
{
	TimestampTz deadline = 0;

	kalam_client_claim();
	for (;;)
	{
		uint32		epoch = atomic_load(&kalam_segment->epoch);
		uint32		state = atomic_load(&kalam_segment->state);

		if (state == KALAM_STORAGE_READY ||
			(supervisor_mode && state == KALAM_STORAGE_RECOVERING))
			return epoch;

		if (state == KALAM_STORAGE_FAILED)
		{
			char		reason[KALAM_MESSAGE_BYTES];

			strlcpy(reason, kalam_segment->failure_message, sizeof(reason));
			ereport(ERROR,
					(errcode(ERRCODE_CANNOT_CONNECT_NOW),
					 errmsg("the kalam store could not be opened: %s", reason),
					 errhint("See the server's log; the store is tried again every few seconds.")));
		}

		if (!kalam_supervisor_has_slot && !IsBinaryUpgrade)
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("the kalam supervisor cannot be started: there is no slot for a background worker"),
					 errhint("Raise max_worker_processes and restart the server.")));

		if (RecoveryInProgress())
			ereport(ERROR,
					(errcode(ERRCODE_CANNOT_CONNECT_NOW),
					 errmsg("kalam tables cannot be used while the server is in recovery"),
					 errdetail("Their rows are not replicated; the store is opened when recovery ends.")));

		if (deadline == 0)
			deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), READY_TIMEOUT_MS);
		else if (GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_CANNOT_CONNECT_NOW),
					 errmsg("the kalam storage process is not running"),
					 errhint("It is started again by itself; see the server's log if it is not.")));

		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 READY_POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/* ---- waits ---- */

static inline bool
wait_is_over(const KalamChannel *ch, KalamWaitFor what)
{
	uint32		filled;

	if (atomic_load_explicit(&ch->done, memory_order_acquire) ==
		atomic_load_explicit(&ch->generation, memory_order_relaxed))
		return true;
	switch (what)
	{
		case KALAM_WAIT_DONE:
			return false;
		case KALAM_WAIT_BLOCK:
			filled = atomic_load_explicit(&ch->filled, memory_order_acquire);
			return filled != atomic_load_explicit(&ch->consumed, memory_order_relaxed);
		case KALAM_WAIT_ROOM:
			filled = atomic_load_explicit(&ch->filled, memory_order_relaxed);
			return filled - atomic_load_explicit(&ch->consumed, memory_order_acquire)
				< KALAM_CHANNEL_BLOCKS;
	}
	return true;
}

/* Spins for a moment while another core is likely to be working for us. */
static bool
spin_for(const KalamChannel *ch, KalamWaitFor what)
{
	instr_time	start;

	if (ch == served_here ||
		(int) atomic_load_explicit(&kalam_segment->waiting, memory_order_relaxed) >= cpu_count ||
		(int) atomic_load_explicit(&kalam_segment->clients, memory_order_relaxed) >= cpu_count)
		return false;

	INSTR_TIME_SET_CURRENT(start);
	for (;;)
	{
		instr_time	now;

		for (int i = 0; i < 32; i++)
		{
			if (wait_is_over(ch, what))
				return true;
#if defined(__x86_64__) || defined(__i386__)
			__builtin_ia32_pause();
#endif
		}
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		if (INSTR_TIME_GET_MICROSEC(now) >= SPIN_US)
			return false;
	}
}

/*
 * Waits until the channel has what is asked for or its request has ended.
 * False if the storage process that served it is gone.
 */
bool
kalam_channel_wait(KalamChannel *ch, KalamWaitFor what, bool interruptible)
{
	KalamSegment *seg = kalam_segment;
	uint32		epoch = ch->req.epoch;
	bool		alive = true;

	if (wait_is_over(ch, what))
		return true;

	atomic_fetch_add(&seg->waiting, 1);
	if (!spin_for(ch, what))
	{
		pgstat_report_wait_start(PG_WAIT_EXTENSION);
		for (;;)
		{
			uint32		seen = atomic_load(&ch->reply_seq);

			if (wait_is_over(ch, what))
				break;
			if (atomic_load(&seg->epoch) != epoch)
			{
				/* it may have finished just before it died */
				alive = wait_is_over(ch, what);
				break;
			}
			if (interruptible && INTERRUPTS_PENDING_CONDITION())
			{
				pgstat_report_wait_end();
				atomic_fetch_sub(&seg->waiting, 1);
				CHECK_FOR_INTERRUPTS();
				atomic_fetch_add(&seg->waiting, 1);
				pgstat_report_wait_start(PG_WAIT_EXTENSION);
			}
			if (!PostmasterIsAlive())
			{
				/* a transaction that is being committed cannot be aborted */
				if (!interruptible)
					_exit(2);
				atomic_fetch_sub(&seg->waiting, 1);
				proc_exit(1);
			}
			kalam_channel_sleep(ch, seen, WAIT_TICK_US);
		}
		pgstat_report_wait_end();
	}
	atomic_fetch_sub(&seg->waiting, 1);
	return alive;
}

bool
kalam_channel_is_idle(const KalamChannel *ch)
{
	return atomic_load_explicit(&ch->done, memory_order_acquire) ==
		atomic_load_explicit(&ch->generation, memory_order_relaxed) ||
		ch->req.epoch != atomic_load(&kalam_segment->epoch);
}

static inline bool
is_of_load(uint32 op)
{
	return op == KALAM_OP_LOAD || op == KALAM_OP_LOAD_READ || op == KALAM_OP_LOAD_MEMBERS ||
		op == KALAM_OP_LOAD_DROP;
}

/* Tells the storage process to stop the channel's request, without waiting. */
void
kalam_channel_cancel(KalamChannel *ch)
{
	if (kalam_channel_is_idle(ch))
		return;
	atomic_store(&ch->cancel, atomic_load(&ch->generation));
	kalam_lane_post(kalam_segment, is_of_load(ch->req.op) ? KALAM_LANE_LOAD : KALAM_LANE_READ,
					kalam_channel_index(kalam_segment, ch));
}

/*
 * Readies an owned channel for a request.  If an earlier one was broken off,
 * its end is waited for first.
 */
void
kalam_channel_prepare(KalamChannel *ch, KalamOp op, uint32 epoch)
{
	if (!kalam_channel_is_idle(ch))
	{
		kalam_channel_cancel(ch);
		(void) kalam_channel_wait(ch, KALAM_WAIT_DONE, true);
	}
	/* whoever served the last request is done with it, or dead and reaped */
	atomic_store_explicit(&ch->done, atomic_load(&ch->generation), memory_order_relaxed);
	atomic_store_explicit(&ch->filled, 0, memory_order_relaxed);
	atomic_store_explicit(&ch->consumed, 0, memory_order_relaxed);
	atomic_store_explicit(&ch->result.commit_stamp, 0, memory_order_relaxed);
	ch->result.code = KALAM_OK;
	ch->slot = kalam_my_slot_index();
	memset(&ch->req, 0, offsetof(KalamRequest, lower));
	ch->req.op = op;
	ch->req.epoch = epoch;
}

void
kalam_channel_start(KalamChannel *ch, KalamLaneKind lane)
{
	if (served_here == ch)
		served_here = NULL;
	atomic_fetch_add(&ch->generation, 1);
	kalam_lane_post(kalam_segment, lane, kalam_channel_index(kalam_segment, ch));
}

void
kalam_channel_start_near(KalamChannel *ch)
{
	atomic_fetch_add(&ch->generation, 1);
	served_here = kalam_near_post(kalam_segment, kalam_channel_index(kalam_segment, ch)) ? ch : NULL;
}

/* ---- errors ---- */

static int
code_sqlstate(KalamCode code)
{
	switch (code)
	{
		case KALAM_OK:
			break;
		case KALAM_ERR_NO_OBJECT:
			return ERRCODE_UNDEFINED_TABLE;
		case KALAM_ERR_STAMP_GONE:
			return ERRCODE_T_R_SERIALIZATION_FAILURE;
		case KALAM_ERR_IO:
			return ERRCODE_IO_ERROR;
		case KALAM_ERR_CORRUPT:
			return ERRCODE_DATA_CORRUPTED;
		case KALAM_ERR_DISK_FULL:
			return ERRCODE_DISK_FULL;
		case KALAM_ERR_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case KALAM_ERR_CANCELED:
			return ERRCODE_QUERY_CANCELED;
		case KALAM_ERR_NOT_READY:
			return ERRCODE_CANNOT_CONNECT_NOW;
		case KALAM_ERR_PROTOCOL:
			return ERRCODE_INTERNAL_ERROR;
		case KALAM_ERR_DUPLICATE:
			return ERRCODE_UNIQUE_VIOLATION;
		case KALAM_ERR_NO_LOAD:
			return ERRCODE_CONNECTION_FAILURE;
	}
	return ERRCODE_INTERNAL_ERROR;
}

/* Raises what a finished request reports. */
void
kalam_channel_raise(const KalamChannel *ch)
{
	KalamCode	code = ch->result.code;
	char		message[KALAM_MESSAGE_BYTES];

	strlcpy(message, ch->result.message, sizeof(message));
	switch (code)
	{
		case KALAM_ERR_NO_OBJECT:
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("the stored table does not exist any more"),
					 errdetail_internal("Object %u.", ch->req.object_id)));
			break;
		case KALAM_ERR_STAMP_GONE:
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not read with a snapshot from before the restart of the kalam storage process"),
					 errhint("Run the transaction again.")));
			break;
		default:
			ereport(ERROR,
					(errcode(code_sqlstate(code)),
					 errmsg("kalam storage: %s", message[0] ? message : "unknown error"),
					 code == KALAM_ERR_CORRUPT ?
					 errhint("A file of the store is damaged. Rows that lie elsewhere can still be read.") :
					 code == KALAM_ERR_DISK_FULL ?
					 errhint("Free some space; no restart is needed.") : 0));
	}
}

void
kalam_raise_storage_lost(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("the kalam storage process ended while it served this statement"),
			 errhint("It is started again by itself. Run the transaction again.")));
}

/* ---- single requests ---- */

KalamChannel *
kalam_rpc_begin(KalamOp op)
{
	uint32		epoch = kalam_client_ready();
	KalamChannel *ch = kalam_channel(kalam_segment,
									 KALAM_RPC_CHANNEL(kalam_my_slot_index()));

	kalam_channel_prepare(ch, op, epoch);
	return ch;
}

static KalamLaneKind
lane_of(KalamOp op)
{
	if (is_of_load(op))
		return KALAM_LANE_LOAD;
	return op == KALAM_OP_RESOLVE || op == KALAM_OP_SERVE ? KALAM_LANE_COMMIT : KALAM_LANE_READ;
}

KalamCode
kalam_rpc_wait(KalamChannel *ch)
{
	kalam_channel_start(ch, lane_of(ch->req.op));
	PG_TRY();
	{
		if (!kalam_channel_wait(ch, KALAM_WAIT_DONE, true))
			kalam_raise_storage_lost();
	}
	PG_CATCH();
	{
		kalam_channel_cancel(ch);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return ch->result.code;
}

void
kalam_rpc_finish(KalamChannel *ch)
{
	if (kalam_rpc_wait(ch) != KALAM_OK)
		kalam_channel_raise(ch);
}

/*
 * Begins a request without raising or waiting for a storage process that is
 * not there: NULL then.  For callbacks at the end of a transaction.
 */
KalamChannel *
kalam_rpc_begin_noerror(KalamOp op)
{
	uint32		epoch = atomic_load(&kalam_segment->epoch);
	KalamChannel *ch;

	if (!slot_claimed || atomic_load(&kalam_segment->state) != KALAM_STORAGE_READY)
		return NULL;
	ch = kalam_channel(kalam_segment, KALAM_RPC_CHANNEL(kalam_my_slot_index()));
	if (!kalam_channel_is_idle(ch))
	{
		kalam_channel_cancel(ch);
		(void) kalam_channel_wait(ch, KALAM_WAIT_DONE, false);
	}
	kalam_channel_prepare(ch, op, epoch);
	return ch;
}

KalamCode
kalam_rpc_finish_noerror(KalamChannel *ch)
{
	kalam_channel_start(ch, lane_of(ch->req.op));
	if (!kalam_channel_wait(ch, KALAM_WAIT_DONE, false))
		return KALAM_ERR_NOT_READY;
	return ch->result.code;
}

/* ---- streams to storage ---- */

void
kalam_stream_begin(KalamStream *st, KalamOp op)
{
	st->ch = kalam_rpc_begin(op);
	st->nblocks = 0;
	st->block = kalam_block(kalam_segment, st->ch, 0);
	st->block->used = 0;
	st->block->flags = 0;
	st->posted = false;
	st->ended = false;
}

/* Hands the current block over and waits for room for the next. */
static void
stream_next_block(KalamStream *st)
{
	KalamChannel *ch = st->ch;

	st->nblocks++;
	atomic_store_explicit(&ch->filled, st->nblocks, memory_order_release);
	if (!st->posted)
	{
		kalam_channel_start(ch, KALAM_LANE_READ);
		st->posted = true;
	}
	else
		kalam_lane_post(kalam_segment, KALAM_LANE_READ,
						kalam_channel_index(kalam_segment, ch));

	KALAM_STOP_POINT("stream_block");
	if (!kalam_channel_wait(ch, KALAM_WAIT_ROOM, true))
		kalam_raise_storage_lost();
	if (kalam_channel_is_idle(ch))
	{
		/* it has given its verdict before it saw the end */
		st->ended = true;
		return;
	}
	st->block = kalam_block(kalam_segment, ch, st->nblocks);
	st->block->used = 0;
	st->block->flags = 0;
}

void
kalam_stream_put(KalamStream *st, const void *data, size_t len)
{
	const char *from = data;

	while (len > 0 && !st->ended)
	{
		size_t		room = KALAM_BLOCK_DATA_BYTES - st->block->used;
		size_t		n = Min(room, len);

		memcpy(st->block->data + st->block->used, from, n);
		st->block->used += n;
		from += n;
		len -= n;
		if (len > 0)
			stream_next_block(st);
	}
}

/*
 * Sends the end of the stream.  lane is where a stream of one block goes; the
 * caller waits for the verdict.
 */
void
kalam_stream_finish(KalamStream *st, KalamLaneKind lane)
{
	KalamChannel *ch = st->ch;

	if (st->ended)
		return;
	st->block->flags = KALAM_BLOCK_LAST;
	st->nblocks++;
	atomic_store_explicit(&ch->filled, st->nblocks, memory_order_release);
	if (!st->posted && lane == KALAM_LANE_READ && st->block->used <= KALAM_NEAR_STREAM_BYTES)
		kalam_channel_start_near(ch);
	else if (!st->posted)
		kalam_channel_start(ch, lane);
	else
		kalam_lane_post(kalam_segment, KALAM_LANE_READ,
						kalam_channel_index(kalam_segment, ch));
	st->posted = true;
}
