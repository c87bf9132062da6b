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

/* Notes commits: from _PG_init under preload. */
extern void kalam_resolve_install(void);

/* Shared memory, requested and made with the supervisor's. */
extern Size kalam_resolve_shmem_size(void);
extern void kalam_resolve_shmem_init(void);

#endif							/* KALAM_RESOLVE_H */
