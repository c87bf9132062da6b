/*
 * autoanalyze.h
 *	  ANALYZE of stored tables by itself, as autovacuum does it for heap tables,
 *	  under its settings.
 */
#ifndef KALAM_AUTOANALYZE_H
#define KALAM_AUTOANALYZE_H

#include "postgres.h"

/*
 * For the supervisor, about once in a second while storage serves: starts a
 * worker for a database in which something is to do, one at a time.
 */
extern void kalam_autoanalyze_tick(void);

extern PGDLLEXPORT void kalam_autoanalyze_main(Datum database);

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_autoanalyze_shmem_size(void);
extern void kalam_autoanalyze_shmem_init(void);

#endif							/* KALAM_AUTOANALYZE_H */
