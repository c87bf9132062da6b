/*
 * snapshot.h
 *	  Which stamp a statement reads at.
 *
 * Read committed: one stamp for each snapshot that the executor runs under,
 * taken when its query starts, shared by the STABLE functions that it calls.  Repeatable read and above: one
 * for the transaction, taken when its first statement starts.  Stamps are
 * pinned in the session's slot, which costs no request.
 */
#ifndef KALAM_SNAPSHOT_H
#define KALAM_SNAPSHOT_H

#include "postgres.h"
#include "utils/snapshot.h"

extern void kalam_snapshot_install(void);	/* from _PG_init: executor hooks */

/* The stamp for reads under this snapshot of the executor, pinned. */
extern uint64 kalam_snapshot_stamp(Snapshot snapshot);

/* At which stamp a query that is planned now will read, as far as is known. */
extern uint64 kalam_snapshot_expected(void);

/*
 * Parallel workers read at the stamp of their leader's query, and functions that
 * they call at that or, where they take snapshots of their own, at newer ones.  Not
 * if the leader's transaction has changes, which they would not see.
 */
extern bool kalam_snapshots_reach_workers(void);

/*
 * SET TRANSACTION SNAPSHOT: reads at the stamp of the transaction that exported
 * the snapshot, if that one is a repeatable read and has a stamp.
 */
extern void kalam_snapshot_import(const char *snapshot_id);

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_snapshot_shmem_size(void);
extern void kalam_snapshot_shmem_init(void);

/* Callbacks; never raise. */
extern void kalam_snapshots_at_xact_end(void);
extern void kalam_snapshots_at_subabort(SubTransactionId sub);
extern void kalam_snapshots_at_subcommit(SubTransactionId sub, SubTransactionId parent);

#endif							/* KALAM_SNAPSHOT_H */
