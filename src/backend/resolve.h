/*
 * resolve.h
 *	  Pending transactions: applied or dropped as Postgres' commit log says.
 */
#ifndef KALAM_RESOLVE_H
#define KALAM_RESOLVE_H

#include "postgres.h"

/*
 * Applies or drops those pending transactions that have ended.  For the
 * supervisor; raises if storage ends or refuses.  serve: everybody is served
 * right after this, so that none that could be resolved may be left.
 * What it allocates goes with the current memory context.
 */
extern void kalam_resolve_pending(bool serve);

/* Has storage apply or drop one; nothing happens if that has been done.  Raises. */
extern void kalam_resolve(uint64 full_xid, bool apply);

/* The same at the end of a transaction: neither raises nor can be cancelled. */
extern bool kalam_resolve_noerror(uint64 full_xid, bool apply);

/* Is the transaction running or prepared, or its backend still at its end? */
extern bool kalam_transaction_holds_id(TransactionId xid);

/* Once when the supervisor starts, before it starts storage.  Never raises. */
extern void kalam_resolve_keep_bound(void);

/* Notes commits: from _PG_init under preload. */
extern void kalam_resolve_install(void);

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_resolve_shmem_size(void);
extern void kalam_resolve_shmem_init(void);

#endif							/* KALAM_RESOLVE_H */
