/*
 * snapshot.c
 *	  Stamps for snapshots: see snapshot.h.
 *
 * The executor's snapshots are copies, so a number written into a field that
 * MVCC snapshots do not use (speculativeToken) names "the same snapshot" as long
 * as any query runs under it.  ExecutorStart gives the number and counts the
 * query, ExecutorEnd counts it off; the pin goes with the last one.
 *
 * Workers of a parallel query get a copy of its snapshot.  The stamp goes along in
 * whenTaken, which nothing else uses unless the server is told to forget old
 * snapshots (old_snapshot_threshold).  The leader's pin outlives its workers.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "src/backend/client.h"
#include "src/backend/indoubt.h"
#include "src/backend/load.h"
#include "src/backend/shmem.h"
#include "src/backend/snapshot.h"
#include "src/backend/transaction.h"

typedef struct SnapshotEntry
{
	uint32		token;			/* its number, never used twice */
	uint32		queries;		/* that run under it; 0: free */
	uint64		stamp;			/* 0: none so far */
	int			pin;			/* index into the slot's pins */
	bool		read;			/* rows have been read at the stamp */
	bool		leaders;		/* in a worker: the stamp is the leader's, or unknown */
} SnapshotEntry;

/* A query that has started and not ended. */
typedef struct RunningQuery
{
	uint32		token;
	SubTransactionId sub;		/* that started it: it dies with that */
} RunningQuery;

static SnapshotEntry *entries = NULL;
static uint32 nentries = 0;
static uint32 entries_size = 0;
static RunningQuery *running = NULL;
static uint32 nrunning = 0;
static uint32 running_size = 0;
static uint32 last_token = 0;

static uint32 pin_users[KALAM_PINS_PER_SLOT];
static bool tables_likely = false;
static bool worker_begun = false;	/* in a worker: the leader's stamp is known if it is */
static uint64 leader_stamp = 0; /* to be, and 0 if it is not */
static uint64 xact_stamp = 0;	/* repeatable read */
static int	xact_pin = -1;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;

/*
 * Stamps of transactions under repeatable read, in Postgres' shared memory, one
 * per backend: whoever imports such a snapshot needs its stamp too.
 */
typedef struct SharedStamp
{
	/* the transaction's local id; 0: none.  Set after stamp, reset before unpin */
	pg_atomic_uint32 lxid;
	pg_atomic_uint64 stamp;
} SharedStamp;

static SharedStamp *shared_stamps = NULL;

/* ---- pins ---- */

static bool
pins_are_left(uint32 *i)
{
	for (*i = 0; *i < KALAM_PINS_PER_SLOT && pin_users[*i] > 0; (*i)++)
		;
	return *i < KALAM_PINS_PER_SLOT;
}

/* A pin word of this session that is not in use. */
static uint32
free_pin(KalamSlot *slot)
{
	uint32		i;

	if (!pins_are_left(&i))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many snapshots of kalam tables are open in this session"),
				 errdetail("At most %d can be.", KALAM_PINS_PER_SLOT),
				 errhint("Close cursors that are not needed.")));
	if (i >= atomic_load_explicit(&slot->npins, memory_order_relaxed))
		atomic_store(&slot->npins, i + 1);
	return i;
}

static uint64
pin_newest(int *pin)
{
	KalamSlot  *slot = kalam_slot(kalam_segment, kalam_my_slot_index());
	uint32		npins = atomic_load_explicit(&slot->npins, memory_order_relaxed);
	uint32		i = free_pin(slot);
	uint64		stamp;

	stamp = kalam_pin_newest(kalam_segment, &slot->pins[i]);

	/* share a pin of the same stamp */
	for (uint32 j = 0; j < npins; j++)
	{
		if (j != i && pin_users[j] > 0 &&
			atomic_load_explicit(&slot->pins[j], memory_order_relaxed) == stamp)
		{
			atomic_store(&slot->pins[i], 0);
			i = j;
			break;
		}
	}
	pin_users[i]++;
	*pin = (int) i;
	return stamp;
}

static void
unpin(int pin)
{
	KalamSlot  *slot = kalam_slot(kalam_segment, kalam_my_slot_index());

	uint32		npins = atomic_load_explicit(&slot->npins, memory_order_relaxed);

	Assert(pin_users[pin] > 0);
	if (--pin_users[pin] > 0)
		return;
	atomic_store_explicit(&slot->pins[pin], 0, memory_order_release);
	while (npins > 0 && pin_users[npins - 1] == 0)
		npins--;
	atomic_store_explicit(&slot->npins, npins, memory_order_release);
}

/* ---- snapshots of whole transactions ---- */

static void
share_stamp(void)
{
	SharedStamp *mine = &shared_stamps[MyBackendId - 1];

	pg_atomic_write_u64(&mine->stamp, xact_stamp);
	pg_write_barrier();
	pg_atomic_write_u32(&mine->lxid, MyProc->lxid);
}

static void
pin_for_transaction(Snapshot snapshot)
{
	(void) kalam_client_ready();
	kalam_indoubt_settle(snapshot);
	xact_stamp = pin_newest(&xact_pin);
	share_stamp();
}

static void
unpin_transaction(void)
{
	if (xact_stamp == 0)
		return;
	if (xact_pin < 0)
	{
		xact_stamp = 0;			/* the leader has pinned it */
		return;
	}
	pg_atomic_write_u32(&shared_stamps[MyBackendId - 1].lxid, InvalidLocalTransactionId);
	pg_memory_barrier();
	unpin(xact_pin);
	xact_stamp = 0;
	xact_pin = -1;
}

/*
 * Takes over the stamp of the transaction that exported a snapshot, if it has
 * one.  Its pin keeps the stamp until ours does: it is still there when it is
 * looked at again.
 */
void
kalam_snapshot_import(const char *snapshot_id)
{
	KalamSlot  *slot;
	SharedStamp *theirs;
	unsigned int backend;
	unsigned int lxid;
	int			number;
	uint64		stamp;
	uint32		i;

	/* as snapmgr.c writes them */
	if (kalam_segment == NULL || xact_stamp != 0 ||
		sscanf(snapshot_id, "%08X-%08X-%d", &backend, &lxid, &number) != 3 ||
		backend < 1 || backend > (unsigned int) MaxBackends)
		return;
	theirs = &shared_stamps[backend - 1];
	if (pg_atomic_read_u32(&theirs->lxid) != lxid)
		return;
	(void) kalam_client_ready();
	slot = kalam_slot(kalam_segment, kalam_my_slot_index());
	i = free_pin(slot);
	pg_read_barrier();
	stamp = pg_atomic_read_u64(&theirs->stamp);
	atomic_store(&slot->pins[i], stamp);
	pg_memory_barrier();
	if (pg_atomic_read_u32(&theirs->lxid) != lxid)
	{
		atomic_store(&slot->pins[i], 0);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not import the requested snapshot"),
				 errdetail("The source transaction is not running anymore.")));
	}
	pin_users[i]++;
	xact_pin = (int) i;
	xact_stamp = stamp;
	share_stamp();
}

Size
kalam_snapshot_shmem_size(void)
{
	return mul_size(MaxBackends, sizeof(SharedStamp));
}

void
kalam_snapshot_shmem_init(void)
{
	bool		found;

	shared_stamps = ShmemInitStruct("kalam snapshots", kalam_snapshot_shmem_size(), &found);
	if (found)
		return;
	for (int i = 0; i < MaxBackends; i++)
	{
		pg_atomic_init_u32(&shared_stamps[i].lxid, InvalidLocalTransactionId);
		pg_atomic_init_u64(&shared_stamps[i].stamp, 0);
	}
}

/* ---- parallel workers ---- */

bool
kalam_snapshots_reach_workers(void)
{
	return !OldSnapshotThresholdActive();
}

/* Workers that are started under this snapshot will read at the stamp. */
static void
tell_workers(Snapshot snapshot, uint64 stamp)
{
	if (kalam_snapshots_reach_workers() && !IsParallelWorker())
		snapshot->whenTaken = kalam_changes_here() == NULL ? (TimestampTz) stamp : 0;
}

/* The worker's first query runs under the leader's snapshot. */
static void
begin_worker(Snapshot snapshot)
{
	worker_begun = true;
	leader_stamp = kalam_snapshots_reach_workers() ? (uint64) snapshot->whenTaken : 0;
	if (IsolationUsesXactSnapshot())
		xact_stamp = leader_stamp;
}

static void
raise_in_worker(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("kalam tables cannot be read in a parallel worker"),
			 errdetail("The transaction has changed stored tables, or its snapshot is not known to the worker."),
			 errhint("Mark the function that reads it PARALLEL RESTRICTED.")));
}

/*
 * The query as it is to be run: not by workers if it reads stored tables that this
 * transaction may have changed.  (The plan may be older than the changes.)
 */
static PlannedStmt *
without_workers(PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE)
		{
			PlannedStmt *copy = makeNode(PlannedStmt);

			*copy = *plan;
			copy->parallelModeNeeded = false;
			return copy;
		}
	}
	return plan;
}

/* ---- entries and queries ---- */

/* Makes room for one more element at *array. */
static void
make_room(void **array, uint32 n, uint32 *size, size_t element)
{
	if (n < *size)
		return;
	*size = Max(16, 2 * *size);
	if (*array == NULL)
		*array = MemoryContextAlloc(TopMemoryContext, *size * element);
	else
		*array = repalloc(*array, *size * element);
}

static SnapshotEntry *
find_entry(uint32 token)
{
	for (uint32 i = nentries; i-- > 0;)
		if (entries[i].queries > 0 && entries[i].token == token)
			return &entries[i];
	return NULL;
}

static SnapshotEntry *
entry_of(Snapshot snapshot)
{
	if (snapshot->snapshot_type != SNAPSHOT_MVCC || snapshot->speculativeToken == 0)
		return NULL;
	return find_entry(snapshot->speculativeToken);
}

uint64
kalam_snapshot_expected(void)
{
	/* (a function's queries run under the snapshot of their caller, if they are stable) */
	SnapshotEntry *e = ActiveSnapshotSet() ? entry_of(GetActiveSnapshot()) : NULL;

	if (IsolationUsesXactSnapshot() && xact_stamp != 0)
		return xact_stamp;
	if (e != NULL && e->stamp != 0)
		return e->stamp;
	return atomic_load(&kalam_segment->pub);
}

static SnapshotEntry *
new_entry(void)
{
	SnapshotEntry *e;
	uint32		i;

	for (i = 0; i < nentries && entries[i].queries > 0; i++)
		;
	make_room((void **) &entries, i, &entries_size, sizeof(SnapshotEntry));
	if (i == nentries)
		nentries++;
	e = &entries[i];
	if (++last_token == 0)
		last_token = 1;
	e->token = last_token;
	e->queries = 0;
	e->stamp = 0;
	e->pin = -1;
	e->read = false;
	e->leaders = false;
	return e;
}

/* Can a query of this session come to read stored tables?  Looked up once. */
static bool
tables_are_likely(void)
{
	static bool asked = false;

	if (!asked)
	{
		asked = true;
		if (OidIsValid(get_extension_oid("kalam_fdw", true)))
			tables_likely = true;
	}
	return tables_likely;
}

/*
 * The stamp is to be as old as the snapshot: a function that the query calls
 * may come to a stored table late.  Only what costs nothing is done for it, for
 * most queries that are no scans of ours read no stored table at all.
 */
static void
pin_early(SnapshotEntry *entry, Snapshot snapshot)
{
	uint32		i;

	if (entry->stamp == 0 &&
		atomic_load(&kalam_segment->state) == KALAM_STORAGE_READY &&
		tables_are_likely() && pins_are_left(&i) && kalam_indoubt_is_settled(snapshot))
	{
		kalam_client_claim();
		entry->stamp = pin_newest(&entry->pin);
	}
}

static void
begin_query(Snapshot snapshot)
{
	SnapshotEntry *e;

	make_room((void **) &running, nrunning, &running_size, sizeof(RunningQuery));
	e = entry_of(snapshot);
	if (e == NULL)
		e = new_entry();
	if (IsParallelWorker() && !worker_begun)
	{
		begin_worker(snapshot);
		e->leaders = true;
		e->stamp = leader_stamp;
	}
	snapshot->speculativeToken = e->token;
	e->queries++;
	running[nrunning].token = e->token;
	running[nrunning].sub = GetCurrentSubTransactionId();
	nrunning++;
	if (!IsolationUsesXactSnapshot() && !IsParallelWorker())
		pin_early(e, snapshot);
	tell_workers(snapshot, IsolationUsesXactSnapshot() ? xact_stamp : e->stamp);
}

/* Counts off running query i; the last one of a snapshot takes the pin along. */
static void
end_query(uint32 i)
{
	SnapshotEntry *e = find_entry(running[i].token);

	memmove(&running[i], &running[i + 1], (nrunning - i - 1) * sizeof(RunningQuery));
	nrunning--;
	if (e == NULL || --e->queries > 0)
		return;
	if (e->pin >= 0)
		unpin(e->pin);
	e->stamp = 0;
	e->pin = -1;
	while (nentries > 0 && entries[nentries - 1].queries == 0)
		nentries--;
}

uint64
kalam_snapshot_stamp(Snapshot snapshot)
{
	SnapshotEntry *entry;

	if (IsParallelWorker() && leader_stamp == 0)
		raise_in_worker();
	if (IsolationUsesXactSnapshot())
	{
		if (xact_stamp == 0)
			pin_for_transaction(snapshot);
		tell_workers(snapshot, xact_stamp);
		return xact_stamp;
	}

	entry = entry_of(snapshot);
	if (entry == NULL)
		elog(ERROR, "kalam table read under a snapshot that no query runs with");
	if (entry->stamp != 0 && !entry->read && !entry->leaders && entry->stamp < atomic_load(&kalam_segment->floor))
	{
		/* storage has been started anew since, but nothing was read */
		unpin(entry->pin);
		entry->stamp = 0;
	}
	if (entry->stamp == 0)
	{
		(void) kalam_client_ready();
		kalam_indoubt_settle(snapshot);
		entry->stamp = pin_newest(&entry->pin);
	}
	entry->read = true;
	tables_likely = true;
	tell_workers(snapshot, entry->stamp);
	return entry->stamp;
}

/* ---- executor hooks ---- */

static void
snapshot_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	Snapshot	snapshot = queryDesc->snapshot;

	if (kalam_segment != NULL && !(eflags & EXEC_FLAG_EXPLAIN_ONLY) &&
		snapshot != NULL && snapshot->snapshot_type == SNAPSHOT_MVCC && snapshot->copied)
	{
		/* the stamp of such a transaction must be as old as its snapshot */
		if (IsolationUsesXactSnapshot() && xact_stamp == 0 && !IsParallelWorker() &&
			atomic_load(&kalam_segment->state) == KALAM_STORAGE_READY)
			(void) kalam_snapshot_stamp(snapshot);

		begin_query(snapshot);
		if (queryDesc->plannedstmt->parallelModeNeeded && kalam_changes_here() != NULL)
			queryDesc->plannedstmt = without_workers(queryDesc->plannedstmt);
	}

	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

static void
snapshot_ExecutorFinish(QueryDesc *queryDesc)
{
	/* before AFTER triggers see rows that are not known to be unique */
	kalam_loader_finish(queryDesc->estate);
	kalam_unique_checks_flush();

	if (prev_ExecutorFinish)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

static void
snapshot_ExecutorEnd(QueryDesc *queryDesc)
{
	uint32		token = 0;

	/* the snapshot may be freed below; the pin goes after the scans */
	if (queryDesc->snapshot != NULL && entry_of(queryDesc->snapshot) != NULL &&
		!(queryDesc->estate->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY))
		token = queryDesc->snapshot->speculativeToken;

	if (prev_ExecutorEnd)
		prev_ExecutorEnd(queryDesc);
	else
		standard_ExecutorEnd(queryDesc);

	for (uint32 i = nrunning; token != 0 && i-- > 0;)
	{
		if (running[i].token == token)
		{
			end_query(i);
			break;
		}
	}
}

void
kalam_snapshot_install(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = snapshot_ExecutorStart;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = snapshot_ExecutorFinish;
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = snapshot_ExecutorEnd;
}

/* ---- ends of transactions ---- */

void
kalam_snapshots_at_xact_end(void)
{
	while (nrunning > 0)
		end_query(nrunning - 1);
	unpin_transaction();
}

void
kalam_snapshots_at_subabort(SubTransactionId sub)
{
	for (uint32 i = nrunning; i-- > 0;)
		if (running[i].sub == sub)
			end_query(i);
}

void
kalam_snapshots_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	for (uint32 i = 0; i < nrunning; i++)
		if (running[i].sub == sub)
			running[i].sub = parent;
}
