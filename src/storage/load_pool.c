/*
 * load_pool.c
 *	  Threads that do what loads have to do: see load_pool.h.
 *
 * One mutex for the queue.  No job is run under it.
 */
#include "src/storage/load_pool.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER;
static PoolJob *first;
static PoolJob **last = &first;
static uint64_t turns;
static pthread_t *threads;
static uint32_t nthreads;
static bool closing;

static void
unlink_job(PoolJob **at)
{
	PoolJob    *job = *at;

	*at = job->next;
	if (last == &job->next)
		last = at;
}

/* The next job, which is nobody else's then, or NULL.  The mutex is held. */
static PoolJob *
take_job(void)
{
	PoolJob   **best = &first;
	PoolJob    *job;

	if (first == NULL)
		return NULL;
	for (PoolJob **at = &first->next; *at != NULL; at = &(*at)->next)
		if ((*at)->owner->turn < (*best)->owner->turn)
			best = at;
	job = *best;
	job->owner->turn = ++turns;
	unlink_job(best);
	return job;
}

static void *
work(void *arg)
{
	(void) arg;
	pthread_mutex_lock(&mutex);
	for (;;)
	{
		PoolJob    *job = take_job();

		if (job != NULL)
		{
			pthread_mutex_unlock(&mutex);
			job->run(job);
			pthread_mutex_lock(&mutex);
		}
		else if (closing)
			break;
		else
			pthread_cond_wait(&wanted, &mutex);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

bool
load_pool_open(uint32_t n)
{
	closing = false;
	threads = calloc(n, sizeof(pthread_t));
	for (nthreads = 0; nthreads < n; nthreads++)
		if (pthread_create(&threads[nthreads], NULL, work, NULL) != 0)
		{
			load_pool_close();
			return false;
		}
	return true;
}

void
load_pool_close(void)
{
	pthread_mutex_lock(&mutex);
	closing = true;
	pthread_cond_broadcast(&wanted);
	pthread_mutex_unlock(&mutex);
	for (uint32_t i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	threads = NULL;
	nthreads = 0;
}

uint32_t
load_pool_threads(void)
{
	return nthreads;
}

void
load_pool_add(PoolJob *job)
{
	job->next = NULL;
	pthread_mutex_lock(&mutex);
	*last = job;
	last = &job->next;
	pthread_cond_signal(&wanted);
	pthread_mutex_unlock(&mutex);
}

bool
load_pool_withdraw(PoolJob *job)
{
	PoolJob   **at = &first;

	pthread_mutex_lock(&mutex);
	while (*at != NULL && *at != job)
		at = &(*at)->next;
	if (*at != NULL)
		unlink_job(at);
	else
		job = NULL;
	pthread_mutex_unlock(&mutex);
	return job != NULL;
}
