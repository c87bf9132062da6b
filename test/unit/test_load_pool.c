/*
 * test_load_pool.c
 *	  The pool's threads: everything is done once, in turns of the owners, and what
 *	  was taken back is not done.
 */
#include "src/storage/load_pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/unit.h"

#define MAX_JOBS 1000

typedef struct Job
{
	PoolJob		pool;			/* first */
	int			number;
	_Atomic int done;
} Job;

static Job	jobs[MAX_JOBS];
static int	order[MAX_JOBS];	/* numbers, as they were begun */
static _Atomic int ndone;
static sem_t begun;
static sem_t go_on;

static void
run(PoolJob *pool)
{
	Job		   *j = (Job *) pool;

	order[atomic_fetch_add(&ndone, 1)] = j->number;
	atomic_fetch_add(&j->done, 1);
}

/* Keeps a thread until go_on. */
static void
keep(PoolJob *pool)
{
	(void) pool;
	sem_post(&begun);
	sem_wait(&go_on);
}

static void
reset(void)
{
	memset(jobs, 0, sizeof(jobs));
	ndone = 0;
	sem_init(&begun, 0, 0);
	sem_init(&go_on, 0, 0);
}

static void
add(int number, PoolOwner *owner)
{
	jobs[number].pool.run = run;
	jobs[number].pool.owner = owner;
	jobs[number].number = number;
	load_pool_add(&jobs[number].pool);
}

static void
test_turns(void)
{
	static const int expected[] = {0, 30, 40, 1, 31, 41, 2, 42, 3, 4};
	PoolOwner	owners[4] = {{0}};
	PoolJob		keeper = {keep, &owners[3], NULL};

	reset();
	CHECK(load_pool_open(1));
	load_pool_add(&keeper);
	sem_wait(&begun);
	for (int i = 0; i < 5; i++)
		add(i, &owners[0]);
	for (int i = 30; i < 32; i++)
		add(i, &owners[1]);
	for (int i = 40; i < 43; i++)
		add(i, &owners[2]);
	sem_post(&go_on);
	load_pool_close();
	CHECK(ndone == 10);
	CHECK(memcmp(order, expected, sizeof(expected)) == 0);
}

static void
test_taking_back(void)
{
	PoolOwner	owners[2] = {{0}};
	PoolJob		keeper = {keep, &owners[1], NULL};

	reset();
	CHECK(load_pool_open(1));
	load_pool_add(&keeper);
	sem_wait(&begun);
	for (int i = 0; i < 6; i++)
		add(i, &owners[i % 2]);
	CHECK(!load_pool_withdraw(&keeper));
	CHECK(load_pool_withdraw(&jobs[0].pool));
	CHECK(load_pool_withdraw(&jobs[3].pool));
	CHECK(load_pool_withdraw(&jobs[5].pool));
	CHECK(!load_pool_withdraw(&jobs[5].pool));
	add(6, &owners[0]);
	sem_post(&go_on);
	load_pool_close();
	CHECK(ndone == 4);
	for (int i = 0; i < 7; i++)
		CHECK(jobs[i].done == (i != 0 && i != 3 && i != 5));
}

static void *
add_many(void *arg)
{
	static PoolOwner owners[4];
	int			from = (int) (intptr_t) arg;

	for (int i = from; i < from + MAX_JOBS / 4; i++)
	{
		add(i, &owners[from * 4 / MAX_JOBS]);
		if (i % 7 == 0 && load_pool_withdraw(&jobs[i].pool))
			run(&jobs[i].pool);
	}
	return NULL;
}

static void
test_many_threads(void)
{
	pthread_t	threads[4];

	reset();
	CHECK(load_pool_open(3));
	CHECK(load_pool_threads() == 3);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, add_many, (void *) (intptr_t) (i * MAX_JOBS / 4));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	load_pool_close();
	CHECK(ndone == MAX_JOBS);
	for (int i = 0; i < MAX_JOBS; i++)
		CHECK(jobs[i].done == 1);
}

int
main(void)
{
	unit_run(test_turns);
	unit_run(test_taking_back);
	unit_run(test_many_threads);
	return unit_finish("load_pool");
}
