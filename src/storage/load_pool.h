/*
 * load_pool.h - the threads that sort, write and merge what is loaded.
 *
 * One pool for all loads: jobs are done in the order in which they come.
 */
#ifndef KALAM_STORAGE_LOAD_POOL_H
#define KALAM_STORAGE_LOAD_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* A part of what its owner allocates; run may free it. */
typedef struct PoolJob
{
	void		(*run) (struct PoolJob *job);
	struct PoolJob *next;		/* the pool's */
} PoolJob;

extern bool load_pool_open(uint32_t nthreads);

/* All jobs are done or withdrawn. */
extern void load_pool_close(void);
extern uint32_t load_pool_threads(void);

extern void load_pool_add(PoolJob *job);

/* Takes back a job that nobody has begun; false if it is too late. */
extern bool load_pool_withdraw(PoolJob *job);

#endif
