/*
 * shmem.h
 *	  Settings, the shared segment and the supervisor: what exists before any
 *	  session does.
 */
#ifndef KALAM_SHMEM_H
#define KALAM_SHMEM_H

#include "postgres.h"
#include "src/shared/segment.h"

/* ---- settings.c: all kalam.* settings of interface ---- */
extern void kalam_settings_define(void);	/* from _PG_init */

extern char *kalam_data_directory;
extern int	kalam_block_cache_size; /* kB */
extern int	kalam_write_buffer_size;	/* kB */
extern int	kalam_read_threads;
extern int	kalam_load_threads;
extern int	kalam_background_jobs;
extern int	kalam_max_families;
extern int	kalam_bulk_load_threshold;	/* kB, of a transaction's staged changes */
extern int	kalam_staged_memory;	/* kB, of these in the backend's memory */
extern int	kalam_load_memory;	/* kB, of storage for a load */

/* ---- shmem.c ---- */

/* The segment, mapped in every process of the server; NULL without preload. */
extern KalamSegment *kalam_segment;

/* Its descriptor, for the storage program to inherit. */
extern int	kalam_segment_fd;

extern void kalam_shmem_install(void);	/* from _PG_init under preload: hooks */

/* This process's slot: backends have MyBackendId - 1, the supervisor the last. */
extern uint32 kalam_my_slot_index(void);

/* ---- supervisor.c ---- */
extern void kalam_supervisor_register(void);	/* from _PG_init under preload */
extern PGDLLEXPORT void kalam_supervisor_main(Datum arg);

/* Is this process the supervisor? */
extern bool kalam_am_supervisor;


/* Has the postmaster a slot for it?  Set before it forks. */
extern bool kalam_supervisor_has_slot;
#endif							/* KALAM_SHMEM_H */
