/*
 * caches.h
 *	  The caches of the server, in Postgres' shared memory: where they lie, their
 *	  settings, the clock of their entries.
 *
 * Only backends touch them.  After the death of a process that did not clean up
 * the postmaster lays all shared memory out anew, so nothing that it left stays.
 */
#ifndef KALAM_CACHES_H
#define KALAM_CACHES_H

#include "postgres.h"
#include "src/shared/cache.h"
#include "src/shared/names.h"

/* settings.c */
extern int	kalam_query_cache_size; /* kB; 0: none */
extern int	kalam_query_cache_ttl;	/* ms */
extern bool kalam_query_cache_on;	/* kalam.query_cache: this session's reads */
extern int	kalam_schema_cache_size;	/* kB; 0: none */
extern int	kalam_schema_cache_ttl; /* ms */
extern int	kalam_names_size;	/* kB */

/* NULL: size 0, or no preload. */
extern KalamCache *kalam_query_cache;
extern KalamCache *kalam_schema_cache;
extern KalamNames *kalam_names;

/* The number of an identifier, entered if it was not; NONE: there is no room. */
extern uint32 kalam_number_name(const char *text);

/*
 * Groups of the schema cache that are of no table.  (Should a table's be the same by
 * chance, its schema goes with them.)
 */
#define KALAM_GROUP_LISTS	1	/* of stored tables: systemcache.h */
#define KALAM_GROUP_SIZES	2	/* of objects */

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_caches_shmem_size(void);
extern void kalam_caches_shmem_init(void);

/* Milliseconds of a clock that only goes forward, coarse and cheap. */
extern uint64 kalam_cache_now(void);

/* The number of this process for the caches' counters. */
#define kalam_cache_process()	kalam_my_slot_index()

#endif							/* KALAM_CACHES_H */
