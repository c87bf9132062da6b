/*
 * stop_point.c
 *	  What a test makes a backend do at a named place: see stop_point.h.
 */
#include "postgres.h"

#include "src/backend/stop_point.h"

#ifdef KALAM_STOP_POINTS

#include <signal.h>

#include "miscadmin.h"
#include "src/backend/shmem.h"
#include "storage/lock.h"
#include "utils/guc.h"

static char *kalam_stop_at = NULL;
static int	kalam_pending = 0;
bool		kalam_verify_cache = false;

/* As pg_advisory_lock(1) has it. */
static void
wait_for_release(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 1, 1);
	/* for the session: there may be no transaction left to own it */
	(void) LockAcquire(&tag, ShareLock, true, false);
	LockRelease(&tag, ShareLock, true);
}

static void
act(const char *name, const char *action)
{
	if (strcmp(action, "wait") == 0)
		wait_for_release();
	else if (strcmp(action, "error") == 0)
		elog(ERROR, "stopped at \"%s\"", name);
	else if (strcmp(action, "kill") == 0)
		kill(MyProcPid, SIGKILL);
	else if (strcmp(action, "kill_storage") == 0)
	{
		pid_t		pid = atomic_load(&kalam_segment->storage_pid);

		if (pid != 0)
			kill(pid, SIGKILL);
	}
	else if (strcmp(action, "kill_server") == 0)
	{
		kill(PostmasterPid, SIGKILL);
		kill(MyProcPid, SIGKILL);
	}
	else
		elog(FATAL, "unknown action \"%s\" in kalam.stop_at", action);
}

void
kalam_stop_point(const char *name)
{
	size_t		len = strlen(name);

	for (const char *at = kalam_stop_at; at != NULL && *at != '\0';)
	{
		size_t		item = strcspn(at, ",");

		if (item > len && strncmp(at, name, len) == 0 && at[len] == '=')
		{
			char		action[32];

			strlcpy(action, at + len + 1, Min(sizeof(action), item - len));
			act(name, action);
		}
		at += item;
		if (*at == ',')
			at++;
	}
}

static const char *
show_pending(void)
{
	static char text[16];

	snprintf(text, sizeof(text), "%u", atomic_load(&kalam_segment->pending));
	return text;
}

void
kalam_stop_point_settings(void)
{
	DefineCustomStringVariable("kalam.stop_at",
							   "Names places at which this session stops.",
							   NULL,
							   &kalam_stop_at,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);

	DefineCustomBoolVariable("kalam.verify_cache",
							 "Compares what the query cache gives with what storage says.",
							 NULL,
							 &kalam_verify_cache,
							 false,
							 PGC_USERSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.pending",
							"Shows how many transactions the store keeps pending.",
							NULL,
							&kalam_pending,
							0, 0, 0,
							PGC_INTERNAL,
							GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							NULL, NULL, show_pending);
}

#endif							/* KALAM_STOP_POINTS */
