/*
 * load_pool.h - the threads that sort, write and merge what is loaded.
 *
 * One pool for all loads, in turns: of those that have jobs the one whose last
 * turn is longest ago comes next, so that a small load does not wait for the end of a
 * large one.  The jobs of one are begun in the order in which they come.
 */
#ifndef KALAM_STORAGE_LOAD_POOL_H
#define KALAM_STORAGE_LOAD_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* Who has turns.  All zero at first; it must last as long as its jobs do. */
typedef struct PoolOwner
{
	uint64_t	turn;			/* the pool's: number of its last one */
} PoolOwner;

/* A part of what its owner allocates; run may free it. */
typedef struct PoolJob
{
	void		(*run) (struct PoolJob *job);
	PoolOwner  *owner;
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
