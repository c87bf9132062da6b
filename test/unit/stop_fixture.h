/*
 * stop_fixture.h
 *	  A storage process that is to die at a stop point.
 */
#ifndef KALAM_TEST_STOP_FIXTURE_H
#define KALAM_TEST_STOP_FIXTURE_H

#include <pthread.h>

#include "test/unit/store_fixture.h"

static inline void
stop_at(const char *point)
{
	if (point != NULL)
		setenv("KALAM_STOP_AT", point, 1);
	else
		unsetenv("KALAM_STOP_AT");
}

static inline void *
reap(void *arg)
{
	(void) arg;
	test_store_reap(&store);
	return NULL;
}

/* Starts it so that it dies at the point; somebody waits for that. */
static inline pthread_t
start_to_die(const char *point)
{
	pthread_t	reaper;

	stop_at(point);
	start_and_serve();
	stop_at(NULL);
	REQUIRE(pthread_create(&reaper, NULL, reap, NULL) == 0);
	return reaper;
}

static inline void
wait_for_death(pthread_t reaper)
{
	uint32_t	epoch = atomic_load(&store.seg->epoch);
	pid_t		pid = store.pid;

	for (int i = 0; i < 1000 && store.pid != 0 && atomic_load(&store.seg->epoch) == epoch; i++)
		test_sleep_ms(10);
	if (!CHECK(store.pid == 0))
		kill(pid, SIGKILL);
	pthread_join(reaper, NULL);
}

#endif
