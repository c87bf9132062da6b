/*
 * stop_point.h - places at which a test can make the process die.
 *
 * Nothing unless KALAM_STOP_POINTS is defined.  Then a process that is started
 * with KALAM_STOP_AT=name in its environment kills itself where it says so.
 */
#ifndef KALAM_STORAGE_STOP_POINT_H
#define KALAM_STORAGE_STOP_POINT_H

#ifdef KALAM_STOP_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static inline void
stop_point(const char *name)
{
	const char *at = getenv("KALAM_STOP_AT");

	if (at != NULL && strcmp(at, name) == 0)
		raise(SIGKILL);
}

#define STOP_POINT(name) stop_point(name)
#else
#define STOP_POINT(name) ((void) 0)
#endif

#endif
