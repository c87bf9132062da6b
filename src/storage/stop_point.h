/*
 * stop_point.h - places at which a test can make the process die.
 *
 * Nothing unless KALAM_STOP_POINTS is defined.  Then a process that is started
 * with KALAM_STOP_AT=name in its environment kills itself where it says so, and
 * so does every successor.  KALAM_STOP_FILE=path is for one death in a server
 * that runs: when a process comes to the place that the file names for the n-th
 * time ("name n"), it removes the file and kills itself.
 */
#ifndef KALAM_STORAGE_STOP_POINT_H
#define KALAM_STORAGE_STOP_POINT_H

#ifdef KALAM_STOP_POINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Counts one passage of the place in the file. */
static inline void
stop_once(const char *path, const char *name)
{
	char		wanted[64];
	int			n;
	FILE	   *f = fopen(path, "r+");

	if (f == NULL)
		return;
	if (fscanf(f, "%63s %d", wanted, &n) == 2 && strcmp(wanted, name) == 0)
	{
		if (n <= 1)
		{
			(void) unlink(path);
			raise(SIGKILL);
		}
		rewind(f);
		fprintf(f, "%s %d\n", name, n - 1);
	}
	fclose(f);
}

static inline void
stop_point(const char *name)
{
	const char *at = getenv("KALAM_STOP_AT");
	const char *file = getenv("KALAM_STOP_FILE");

	if (at != NULL && strcmp(at, name) == 0)
		raise(SIGKILL);
	if (file != NULL)
		stop_once(file, name);
}

#define STOP_POINT(name) stop_point(name)
#else
#define STOP_POINT(name) ((void) 0)
#endif

#endif
