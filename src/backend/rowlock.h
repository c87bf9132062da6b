/*
 * rowlock.h
 *	  Locks on rows of stored tables, held to the end of the transaction.
 *
 * A lock is an entry in a bounded table in Postgres' shared memory: who holds
 * which key (as 128 bits of hash).  Waiting is done with Postgres' own lock
 * manager on the holder's virtual transaction id, so deadlock detection,
 * lock_timeout, statement_timeout and cancel work as for heap rows.  Past
 * KALAM_ROW_LOCKS_PER_TABLE a transaction's locks on a table become one on the
 * whole table: later lockers of any of its rows wait for that transaction,
 * which itself still honours what others hold.  Values of its unique indexes,
 * which are locked by the keys of their entries, count by themselves.
 */
#ifndef KALAM_ROWLOCK_H
#define KALAM_ROWLOCK_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "nodes/lockoptions.h"

/* Strength, as heap's.  A holder blocks those that heap's matrix says it blocks. */
typedef enum KalamRowLockMode
{
	KALAM_LOCK_KEY_SHARE,
	KALAM_LOCK_SHARE,
	KALAM_LOCK_NO_KEY_UPDATE,
	KALAM_LOCK_UPDATE			/* also INSERT and DELETE */
} KalamRowLockMode;

typedef enum KalamRowLockResult
{
	KALAM_LOCK_GRANTED,			/* without waiting */
	KALAM_LOCK_GRANTED_AFTER_WAIT,
	KALAM_LOCK_SKIPPED			/* LockWaitSkip, and somebody holds it */
} KalamRowLockResult;

/*
 * Locks one key of a table for this transaction.  relid and relname are for
 * lock tags and messages.  Raises 55P03 under LockWaitError, 40P01 on deadlock,
 * and what a cancel raises.  Locking again what one holds is cheap.
 */
extern KalamRowLockResult kalam_row_lock(uint32 object_id, const uint8 *key, size_t key_len,
										 KalamRowLockMode mode, LockWaitPolicy wait,
										 Oid relid, const char *relname);

/* All rows of a table, or all values of its unique indexes. */
typedef struct KalamAllRows
{
	uint32		object_id;
	bool		values;
	Oid			relid;			/* for lock tags and messages */
} KalamAllRows;

/*
 * Locks all of them for this transaction: who wants one from now on waits.  Others
 * may hold some still.  Unlike other locks it stays when the current subtransaction
 * is rolled back.  False: the transaction had some of it already.  Raises what
 * kalam_row_lock does.
 */
extern bool kalam_rows_claim(const KalamAllRows *all);

/* Gives it back. */
extern void kalam_rows_unclaim(const KalamAllRows *all);

/* What another transaction holds. */
typedef struct KalamOthersLock
{
	uint64		hash[2];		/* kalam_hash of the key, with two seeds */
} KalamOthersLock;

/*
 * Collects what others hold of them, in the current memory context; each key once
 * for each holder.  It is all there is, and there comes no more, if this
 * transaction has claimed them.
 */
extern KalamOthersLock *kalam_rows_of_others(const KalamAllRows *all, int *n);

/*
 * Waits until nobody else holds what was collected.  It is not locked then: it may
 * be a key of somebody else's load, who would wait for us.
 */
extern void kalam_rows_wait_for(const KalamAllRows *all, const KalamOthersLock *lock);

/*
 * Gives back what the current subtransaction has locked since a mark.  Who waits
 * for it already waits on, for the end of the transaction.
 */
extern uint32 kalam_row_locks_mark(void);
extern void kalam_row_locks_undo(uint32 mark);

/*
 * Gives back the locks on rows and values that the current subtransaction has taken between two
 * marks, for inserting them, though others have been taken since.  Not those on whole tables.
 */
extern void kalam_row_locks_give_back(uint32 from, uint32 to);

/*
 * Lets go of everything at the end of a transaction.  Called from the
 * transaction callback (COMMIT, ABORT), which precedes the release of the
 * virtual transaction id that waiters sleep on.  Never raises.
 */
extern void kalam_row_locks_release(void);

/* Does this transaction hold any? */
extern bool kalam_row_locks_held(void);

/*
 * PREPARE TRANSACTION.  Pack appends what this transaction holds as
 * KalamLockRecords, and gives up what told its subtransactions apart; hand over makes it the locks of a transaction id, which is
 * what others then wait for.  Pack may raise, hand over does not.
 */
extern void kalam_row_locks_pack(StringInfo to);
extern void kalam_row_locks_hand_over(TransactionId xid);

/* After a restart: takes packed locks for a prepared transaction.  May raise. */
extern void kalam_row_locks_restore(TransactionId xid, const uint8 *records, uint32 n);

/* Releases what was handed over to xid.  Any process; never raises. */
extern void kalam_row_locks_forget(TransactionId xid);

/* Subtransactions: an aborted one gives back what it locked first. */
extern void kalam_row_locks_subcommit(SubTransactionId sub, SubTransactionId parent);
extern void kalam_row_locks_subabort(SubTransactionId sub);

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_row_lock_shmem_size(void);
extern void kalam_row_lock_shmem_request(void); /* LWLock tranches */
extern void kalam_row_lock_shmem_init(void);

#endif							/* KALAM_ROWLOCK_H */
