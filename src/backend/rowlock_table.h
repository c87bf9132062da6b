/*
 * rowlock_table.h
 *	  The table of row locks in Postgres' shared memory.
 *
 * A row entry says that one transaction holds one key of one object in one
 * mode; several holders of a key are several entries of one bucket.  An object
 * entry says that one transaction holds all rows of an object.  The table is
 * bounded.  It knows who holds what, but nothing of waiting, and nothing of
 * what else a transaction holds: see rowlock.c.
 *
 * The locking protocol is below.  No function here raises, and none returns
 * with an LWLock held.
 */
#ifndef KALAM_ROWLOCK_TABLE_H
#define KALAM_ROWLOCK_TABLE_H

#include "postgres.h"
#include "src/backend/rowlock.h"
#include "src/shared/protocol.h"
#include "storage/backendid.h"

/*
 * Locking protocol.
 *
 * A partition's LWLock protects its buckets, the row entries in them and the
 * partition's list of free entries.  The object lock, an LWLock, protects all
 * object entries.  A spinlock protects the list of free row entries that no
 * partition keeps.  Order: a partition, then the object lock or the spinlock;
 * never two partitions.
 *
 * An entry is changed and removed by its holder alone.  It outlives its
 * transaction only by accident; then whoever has waited for the holder's end
 * removes it.  Entries of transactions without a backend are removed by whoever
 * sees to the transaction's end.
 *
 * Escalation, from rows to the whole object.  The holder publishes its object
 * entry, and then passes once through every partition's lock.  A locker of a
 * row looks for object entries while it holds its partition's lock: if it came
 * before the holder passed there, its row entry is in the table and the holder,
 * who keeps looking at others' row entries, will find it; if it came after, it
 * sees the object entry.  Later row entries of others can therefore never
 * conflict with what the object entry covers, and when the count of others'
 * row entries is zero there is nothing to look at.
 */

/* What is locked: a key as 128 bits of hash. */
typedef struct KalamRowLockKey
{
	uint64		hash[2];
	uint32		object_id;
} KalamRowLockKey;

/*
 * Whose an entry is: a virtual transaction id; or of a transaction that lives
 * on without its backend (prepared, say) InvalidBackendId and its transaction
 * id, which is how Postgres itself writes those.
 */
typedef struct KalamRowLockHolder
{
	BackendId	backend;
	LocalTransactionId lxid;

	/* subtransaction whose lock is held as long as the entry's mode, or 0 */
	SubTransactionId sub;
} KalamRowLockHolder;

static inline bool
kalam_same_holder(const KalamRowLockHolder *a, const KalamRowLockHolder *b)
{
	return a->backend == b->backend && a->lxid == b->lxid;
}

#define KALAM_NO_ENTRY	PG_UINT32_MAX

/* One change of the table, with what it takes to undo it. */
typedef struct KalamRowLockStep
{
	uint32		entry;
	bool		whole_object;	/* an object entry, else a row entry */
	int8		mode_before;	/* KalamRowLockMode; -1: there was no entry */
	SubTransactionId sub_before;	/* holder.sub of the entry before */
} KalamRowLockStep;

typedef enum KalamEntryResult
{
	KALAM_ENTRY_HELD,			/* no step was needed */
	KALAM_ENTRY_CHANGED,		/* *step was made */
	KALAM_ENTRY_CONFLICT,		/* *blocker holds it against us */
	KALAM_ENTRY_FULL			/* the table is */
} KalamEntryResult;

/*
 * Adds an entry of self for the row, or makes the one that is there stronger.
 * covered: an object entry of self has this mode already; then only others'
 * row entries matter.  step->entry is set in any case: to self's entry for the
 * row, or KALAM_NO_ENTRY.
 */
extern KalamEntryResult kalam_row_entry_acquire(const KalamRowLockKey *key,
												KalamRowLockMode mode, bool covered,
												const KalamRowLockHolder *self,
												KalamRowLockStep *step,
												KalamRowLockHolder *blocker);

/* Has self an entry for the row, of this mode or a stronger one? */
extern bool kalam_row_entry_is_held(const KalamRowLockKey *key, KalamRowLockMode mode,
									const KalamRowLockHolder *self);

/*
 * The same for an object; own is self's entry for it, or KALAM_NO_ENTRY.  Never
 * KALAM_ENTRY_HELD.  Row entries of others may stand against it: see above.
 */
extern KalamEntryResult kalam_object_entry_acquire(uint32 object_id, KalamRowLockMode mode,
												   uint32 own,
												   const KalamRowLockHolder *self,
												   KalamRowLockStep *step,
												   KalamRowLockHolder *blocker);

/* Takes a step of self back, the newest first.  Returns the object's id. */
extern uint32 kalam_entry_undo(const KalamRowLockStep *step, const KalamRowLockHolder *self);

/* Removes what a transaction that has ended left at the key and the object. */
extern void kalam_entries_forget(const KalamRowLockKey *key, const KalamRowLockHolder *holder);

/* Describes the entry that a step of self made. */
extern void kalam_entry_describe(const KalamRowLockStep *step, KalamLockRecord *record);

/*
 * Makes the entry that a step of self made one of a transaction without a
 * backend.  Self forgets the step.
 */
extern void kalam_entry_hand_over(const KalamRowLockStep *step, TransactionId xid);

/* Adds an entry of a transaction without a backend.  False: the table is full. */
extern bool kalam_entry_restore(const KalamLockRecord *record, TransactionId xid);

/* Removes all entries of a transaction without a backend.  Goes through the table. */
extern void kalam_entries_forget_xid(TransactionId xid);

/* Can there be row entries of others for the object?  Exact if false. */
extern bool kalam_object_has_other_rows(uint32 object_id);

/*
 * Calls the function for the row entries of other transactions for the object,
 * with a lock held: it must not raise, nor wait.  Who holds an object entry of the
 * strongest mode meets all there are, for there come no more.
 */
typedef void (*KalamRowEntryFunction) (void *arg, const uint64 *hash,
									   const KalamRowLockHolder *holder);
extern void kalam_row_entries_of_others(uint32 object_id, const KalamRowLockHolder *self,
										KalamRowEntryFunction function, void *arg);

/* Who holds the row, against any mode, or false. */
extern bool kalam_row_entry_other(const KalamRowLockKey *key, const KalamRowLockHolder *self,
								  KalamRowLockHolder *holder);

#endif							/* KALAM_ROWLOCK_TABLE_H */
