/*
 * snapshot.c
 *	  Stamps for snapshots: see snapshot.h.
 *
 * The executor's snapshots are copies, so a number written into a field that
 * MVCC snapshots do not use (speculativeToken) names "the same snapshot" as long
 * as any query runs under it.  ExecutorStart gives the number and counts the
 * query, ExecutorEnd counts it off; the pin goes with the last one.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/memutils.h"

#include "src/backend/client.h"
#include "src/backend/shmem.h"
#include "src/backend/snapshot.h"
#include "src/backend/transaction.h"

typedef struct SnapshotEntry
{
	uint32		queries;		/* that run under it; 0: free */
	SubTransactionId sub;		/* that started the first of them */
	uint64		stamp;			/* 0: not needed so far */
	int			pin;			/* index into the slot's pins */
} SnapshotEntry;

/* tokens are index + 1 */
static SnapshotEntry *entries = NULL;
static uint32 nentries = 0;
static uint32 entries_size = 0;

static uint32 pin_users[KALAM_PINS_PER_SLOT];
static uint64 xact_stamp = 0;	/* repeatable read */
static int	xact_pin = -1;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;

/* ---- pins ---- */

static uint64
pin_newest(int *pin)
{
	KalamSlot  *slot = kalam_slot(kalam_segment, kalam_my_slot_index());
	uint32		npins = atomic_load_explicit(&slot->npins, memory_order_relaxed);
	uint64		stamp;
	uint32		i;

	for (i = 0; i < KALAM_PINS_PER_SLOT && pin_users[i] > 0; i++)
		;
	if (i == KALAM_PINS_PER_SLOT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many snapshots of kalam tables are open in this session"),
				 errdetail("At most %d can be.", KALAM_PINS_PER_SLOT),
				 errhint("Close cursors that are not needed.")));
	if (i >= npins)
		atomic_store(&slot->npins, i + 1);
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

	Assert(pin_users[pin] > 0);
	if (--pin_users[pin] == 0)
		atomic_store_explicit(&slot->pins[pin], 0, memory_order_release);
}

/* ---- entries ---- */

static uint32
new_entry(void)
{
	uint32		i;

	for (i = 0; i < nentries; i++)
		if (entries[i].queries == 0)
			break;
	if (i == entries_size)
	{
		uint32		size = Max(16, 2 * entries_size);

		if (entries == NULL)
			entries = MemoryContextAlloc(TopMemoryContext, size * sizeof(SnapshotEntry));
		else
			entries = repalloc(entries, size * sizeof(SnapshotEntry));
		entries_size = size;
	}
	if (i == nentries)
		nentries++;
	entries[i].queries = 0;
	entries[i].sub = GetCurrentSubTransactionId();
	entries[i].stamp = 0;
	entries[i].pin = -1;
	return i;
}

static void
free_entry(uint32 i)
{
	if (entries[i].pin >= 0)
		unpin(entries[i].pin);
	entries[i].queries = 0;
	entries[i].stamp = 0;
	entries[i].pin = -1;
	while (nentries > 0 && entries[nentries - 1].queries == 0)
		nentries--;
}

static SnapshotEntry *
entry_of(Snapshot snapshot)
{
	uint32		token = snapshot->speculativeToken;

	if (snapshot->snapshot_type != SNAPSHOT_MVCC || token == 0 || token > nentries ||
		entries[token - 1].queries == 0)
		return NULL;
	return &entries[token - 1];
}

uint64
kalam_snapshot_stamp(Snapshot snapshot)
{
	SnapshotEntry *entry;

	/* the leader's stamp and its staged changes are not known here */
	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("kalam tables cannot be read in a parallel worker"),
				 errhint("Mark the function that reads it PARALLEL RESTRICTED.")));
	if (IsolationUsesXactSnapshot())
	{
		if (xact_stamp == 0)
		{
			(void) kalam_client_ready();
			xact_stamp = pin_newest(&xact_pin);
		}
		return xact_stamp;
	}

	entry = entry_of(snapshot);
	if (entry == NULL)
		elog(ERROR, "kalam table read under a snapshot that no query runs with");
	if (entry->stamp == 0)
	{
		(void) kalam_client_ready();
		entry->stamp = pin_newest(&entry->pin);
	}
	return entry->stamp;
}

/* ---- executor hooks ---- */

static void
snapshot_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	Snapshot	snapshot = queryDesc->snapshot;

	if (kalam_segment != NULL && !(eflags & EXEC_FLAG_EXPLAIN_ONLY) &&
		snapshot != NULL && snapshot->snapshot_type == SNAPSHOT_MVCC && snapshot->copied &&
		!IsParallelWorker())
	{
		/* the stamp of such a transaction must be as old as its snapshot */
		if (IsolationUsesXactSnapshot() && xact_stamp == 0 &&
			atomic_load(&kalam_segment->state) == KALAM_STORAGE_READY)
			(void) kalam_snapshot_stamp(snapshot);

		if (entry_of(snapshot) == NULL)
			snapshot->speculativeToken = new_entry() + 1;
		entries[snapshot->speculativeToken - 1].queries++;
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
	kalam_unique_checks_flush();

	if (prev_ExecutorFinish)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

static void
snapshot_ExecutorEnd(QueryDesc *queryDesc)
{
	SnapshotEntry *entry = NULL;
	uint32		last = 0;

	if (queryDesc->snapshot != NULL &&
		!(queryDesc->estate->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY))
		entry = entry_of(queryDesc->snapshot);
	if (entry != NULL)
	{
		/* the snapshot may be freed below, the entry goes after the scans */
		if (entry->queries == 1)
		{
			last = queryDesc->snapshot->speculativeToken;
			queryDesc->snapshot->speculativeToken = 0;
		}
		else
			entry->queries--;
	}

	if (prev_ExecutorEnd)
		prev_ExecutorEnd(queryDesc);
	else
		standard_ExecutorEnd(queryDesc);

	if (last != 0)
		free_entry(last - 1);
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
	for (uint32 i = nentries; i-- > 0;)
		if (i < nentries && entries[i].queries > 0)
			free_entry(i);
	nentries = 0;
	if (xact_stamp != 0)
	{
		unpin(xact_pin);
		xact_stamp = 0;
		xact_pin = -1;
	}
}

void
kalam_snapshots_at_subabort(SubTransactionId sub)
{
	for (uint32 i = nentries; i-- > 0;)
		if (i < nentries && entries[i].queries > 0 && entries[i].sub == sub)
			free_entry(i);
}

void
kalam_snapshots_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	for (uint32 i = 0; i < nentries; i++)
		if (entries[i].queries > 0 && entries[i].sub == sub)
			entries[i].sub = parent;
}
