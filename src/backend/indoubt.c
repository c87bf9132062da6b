/*
 * indoubt.c
 *	  The list of transactions in doubt: see indoubt.h.
 *
 * An array of transaction ids in Postgres' shared memory, without a lock: an id
 * is put in and taken out by compare-and-swap, so that whoever has seen to a
 * transaction can take it out, and a second one does no harm.
 *
 * Why a reader misses nothing: an id is entered before its commit record is
 * written, which precedes its removal from the array of running transactions,
 * which precedes any snapshot that sees its rows, which precedes the look at
 * this list.  It is taken out after its changes were published, which then
 * precedes the reader's choice of a stamp.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/snapmgr.h"

#include "src/backend/client.h"
#include "src/backend/indoubt.h"
#include "src/backend/resolve.h"
#include "src/backend/rowlock.h"
#include "src/backend/stop_point.h"

typedef struct InDoubt
{
	pg_atomic_uint32 count;		/* ids that are in */
	pg_atomic_uint64 ids[FLEXIBLE_ARRAY_MEMBER];	/* full xid, | KEEPS_LOCKS; 0: free */
} InDoubt;

/* Row locks have been handed over to the transaction id. */
#define KEEPS_LOCKS		(UINT64CONST(1) << 63)

static InDoubt *shared = NULL;

/*
 * A backend commits one transaction at a time, and may leave behind some that
 * storage could not apply.
 */
static uint32
capacity(void)
{
	return 2 * (uint32) MaxBackends + (uint32) max_prepared_xacts;
}

Size
kalam_indoubt_shmem_size(void)
{
	return add_size(offsetof(InDoubt, ids), mul_size(capacity(), sizeof(pg_atomic_uint64)));
}

void
kalam_indoubt_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("kalam in doubt", kalam_indoubt_shmem_size(), &found);
	if (found)
		return;
	pg_atomic_init_u32(&shared->count, 0);
	for (uint32 i = 0; i < capacity(); i++)
		pg_atomic_init_u64(&shared->ids[i], 0);
}

/* The transaction at a place, or 0. */
static inline uint64
id_at(uint32 place)
{
	return pg_atomic_read_u64(&shared->ids[place]) & ~KEEPS_LOCKS;
}

/* ---- in and out ---- */

void
kalam_indoubt_enter(uint64 full_xid)
{
	uint32		n = capacity();
	uint32		first = MyBackendId > 0 ? MyBackendId - 1 : 0;

	for (uint32 i = 0; i < n; i++)
	{
		uint64		free = 0;

		if (pg_atomic_compare_exchange_u64(&shared->ids[(first + i) % n], &free, full_xid))
		{
			pg_atomic_fetch_add_u32(&shared->count, 1);
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many transactions wait for the kalam storage process to apply them"),
			 errhint("See the server's log for why it does not.")));
}

/* Its place, and what stands there; false if it is not in. */
static bool
find(uint64 full_xid, uint32 *place, uint64 *id)
{
	for (uint32 i = 0; i < capacity(); i++)
	{
		*id = pg_atomic_read_u64(&shared->ids[i]);
		if ((*id & ~KEEPS_LOCKS) == full_xid)
		{
			*place = i;
			return true;
		}
	}
	return false;
}

bool
kalam_indoubt_has(uint64 full_xid)
{
	uint32		place;
	uint64		id;

	return find(full_xid, &place, &id);
}

bool
kalam_indoubt_keep_locks(uint64 full_xid)
{
	uint32		place;
	uint64		id;

	return find(full_xid, &place, &id) &&
		pg_atomic_compare_exchange_u64(&shared->ids[place], &id, id | KEEPS_LOCKS);
}

void
kalam_indoubt_leave(uint64 full_xid)
{
	uint32		place;
	uint64		id;

	while (find(full_xid, &place, &id))
	{
		if (!pg_atomic_compare_exchange_u64(&shared->ids[place], &id, 0))
			continue;			/* its backend keeps its locks just now */
		pg_atomic_fetch_sub_u32(&shared->count, 1);
		if (id & KEEPS_LOCKS)
			kalam_row_locks_forget(kalam_xid_of(full_xid));
	}
}

bool
kalam_indoubt_any(void)
{
	return pg_atomic_read_u32(&shared->count) > 0;
}

/* ---- settling ---- */

/* A transaction that has committed. */
static void
settle(uint64 full_xid)
{
	KALAM_STOP_POINT("settle");

	/* a storage process that has just started has applied all of them */
	(void) kalam_client_ready();
	if (!kalam_indoubt_has(full_xid))
		return;

	/* held by its backend until it has applied the changes, or could not */
	XactLockTableWait(kalam_xid_of(full_xid), NULL, NULL, XLTW_None);
	if (!kalam_indoubt_has(full_xid))
		return;
	kalam_resolve(full_xid, true);
	kalam_indoubt_leave(full_xid);
}

/* Does the snapshot see its heap rows?  NULL: has it committed? */
static inline bool
is_seen(uint64 full_xid, Snapshot snapshot)
{
	return full_xid != 0 &&
		!(snapshot != NULL && XidInMVCCSnapshot(kalam_xid_of(full_xid), snapshot)) &&
		TransactionIdDidCommit(kalam_xid_of(full_xid));
}

void
kalam_indoubt_settle(Snapshot snapshot)
{
	if (shared == NULL || !kalam_indoubt_any())
		return;
	for (uint32 i = 0; i < capacity(); i++)
	{
		uint64		id = id_at(i);

		if (is_seen(id, snapshot))
			settle(id);
	}
}

bool
kalam_indoubt_is_settled(Snapshot snapshot)
{
	if (shared == NULL || !kalam_indoubt_any())
		return true;
	for (uint32 i = 0; i < capacity(); i++)
		if (is_seen(id_at(i), snapshot))
			return false;
	return true;
}

void
kalam_indoubt_finish_prepared(void)
{
	if (shared == NULL || !kalam_indoubt_any())
		return;
	KALAM_STOP_POINT("finish_prepared");
	kalam_client_claim();
	for (uint32 i = 0; i < capacity(); i++)
	{
		uint64		id = id_at(i);

		if (id == 0 || TransactionIdIsInProgress(kalam_xid_of(id)))
			continue;
		if (kalam_resolve_noerror(id, TransactionIdDidCommit(kalam_xid_of(id))))
			kalam_indoubt_leave(id);
		else
			ereport(WARNING,
					(errmsg("the transaction has ended, but the kalam storage process could not follow yet"),
					 errhint("It does so when it runs again.")));
	}
}

void
kalam_indoubt_sweep(void)
{
	for (uint32 i = 0; i < capacity(); i++)
	{
		uint64		id = id_at(i);

		if (id == 0 || kalam_transaction_holds_id(kalam_xid_of(id)))
			continue;
		kalam_resolve(id, TransactionIdDidCommit(kalam_xid_of(id)));
		kalam_indoubt_leave(id);
	}
}
