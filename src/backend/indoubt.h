/*
 * indoubt.h
 *	  Transactions that Postgres may have committed and storage not yet applied.
 *
 * A transaction that commits through the store's pending family enters here
 * before its commit record can exist, and leaves when storage has applied it or
 * it is known to have failed.  In between others can see its heap rows; before
 * they read kalam rows they settle what their snapshot sees.  So kalam rows are
 * never older than the heap rows of the same transaction.
 *
 * A prepared transaction stays here until it is finished, and its row locks
 * with it; so does one that storage could not apply when it committed.
 */
#ifndef KALAM_INDOUBT_H
#define KALAM_INDOUBT_H

#include "postgres.h"
#include "access/transam.h"
#include "utils/snapshot.h"

/* As entries of pending, and this list, name transactions. */
static inline TransactionId
kalam_xid_of(uint64 full_xid)
{
	return XidFromFullTransactionId(FullTransactionIdFromU64(full_xid));
}

/* Before anything of the transaction is pending.  Raises if there is no room. */
extern void kalam_indoubt_enter(uint64 full_xid);

/* Is it here? */
extern bool kalam_indoubt_has(uint64 full_xid);

/*
 * From now on its row locks are those of the transaction id, and leaving gives
 * them back.  False if it has left.  For its own backend, and the supervisor.
 */
extern bool kalam_indoubt_keep_locks(uint64 full_xid);

/*
 * It is applied or dropped: gives back its entry here, and the row locks that
 * were handed over to it.  Any process may, more than one too.  Never raises.
 */
extern void kalam_indoubt_leave(uint64 full_xid);

/*
 * Waits until every transaction whose heap rows are visible to the snapshot has
 * been applied; NULL: every one that has committed by now.  Where its own
 * backend is not about to do that, has it done.  Cancellable; raises if storage
 * cannot.  Cheap when there is none.
 */
extern void kalam_indoubt_settle(Snapshot snapshot);

/* Is there nothing to wait for? */
extern bool kalam_indoubt_is_settled(Snapshot snapshot);

/*
 * After COMMIT PREPARED and ROLLBACK PREPARED: applies or drops what has ended.
 * Never raises; what fails is left to the supervisor, with a warning.
 */
extern void kalam_indoubt_finish_prepared(void);

/* The same for the supervisor, which raises. */
extern void kalam_indoubt_sweep(void);
extern bool kalam_indoubt_any(void);

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_indoubt_shmem_size(void);
extern void kalam_indoubt_shmem_init(void);

#endif							/* KALAM_INDOUBT_H */
