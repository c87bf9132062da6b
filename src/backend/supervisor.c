/*
 * supervisor.c
 *	  The background worker that keeps a storage process running.
 *
 * It starts the program kalam_storage, watches it, and starts the next one when
 * it dies.  It never opens the store itself: whatever happens in there must not
 * become a crash of a process of Postgres, which would restart the whole server.
 * What becomes of transactions that storage holds as pending is decided in
 * resolve.c; this file says when.
 *
 * The child is reaped in the SIGCHLD handler, which also publishes its end in
 * the segment.  So a wait for an answer, ours included, ends at once when the
 * storage process dies.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/xlog.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/bgworker_internals.h"
#include "postmaster/interrupt.h"
#include "src/backend/autoanalyze.h"
#include "src/backend/client.h"
#include "src/backend/indoubt.h"
#include "src/backend/resolve.h"
#include "src/backend/shmem.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/pidfile.h"
#include "utils/timestamp.h"

#define STORAGE_PROGRAM			"kalam_storage"
#define WITNESS_FILE			"kalam_store"	/* in the data directory: which store is ours */
#define POSTMASTER_PID_FILE		"postmaster.pid"	/* in the working directory */

#define START_TICK_MS			5	/* while storage opens its files */
#define START_SLOW_TICK_MS		100 /* when that takes long */
#define START_SLOW_AFTER_MS		2000
#define PENDING_TICK_MS			1000	/* while transactions are pending */
#define IDLE_TICK_MS			1000
#define RETRY_RESOLVE_MS		1000
#define SHORT_LIFE_MS			1000	/* a process that lived less failed */
#define MISSING_RETRY_MS		5000
#define DRAIN_TICK_MS			50
#define STOP_TICK_MS			50
#define STOP_REPORT_MS			10000
#define STOP_KILL_MS			60000
#define ORPHAN_WAIT_MS			5000

bool		kalam_am_supervisor = false;
bool		kalam_supervisor_has_slot = false;

static volatile sig_atomic_t shutdown_requested = false;
static volatile sig_atomic_t child_ended = false;	/* child_status is set */
static volatile sig_atomic_t in_request = false;	/* storage is to answer us */
static volatile pid_t child_pid = 0;	/* 0: none runs */
static volatile int child_status;

static MemoryContext request_context;
static TimestampTz child_started;
static pid_t last_child_pid;
static bool child_served;		/* it got as far as READY */
static int	short_lives = 0;

/* ---- what storage and backends are told ---- */

/*
 * Publishes that no storage process is running.  Async-signal-safe.  The epoch
 * rises only now that the process is known to be gone, for after that backends
 * use its channels and blocks again.
 */
static void
publish_end(void)
{
	KalamSegment *seg = kalam_segment;

	if (atomic_load(&seg->state) != KALAM_STORAGE_FAILED)
		atomic_store(&seg->state, KALAM_STORAGE_DOWN);
	atomic_store(&seg->storage_pid, 0);
	atomic_fetch_add(&seg->epoch, 1);
	for (uint32 i = 0; i < seg->nchannels; i++)
		kalam_channel_notify(kalam_channel(seg, i));
}

/* No storage process is running, and here is why. */
static void
publish_failure(const char *message)
{
	KalamSegment *seg = kalam_segment;

	strlcpy(seg->failure_message, message, sizeof(seg->failure_message));
	seg->failure_code = KALAM_ERR_IO;
	atomic_store(&seg->state, KALAM_STORAGE_FAILED);
}

/* ---- signals ---- */

/* Collects the child if it has ended.  SIGCHLD is blocked or being handled. */
static void
reap(void)
{
	int			status;

	if (child_pid != 0 && waitpid(child_pid, &status, WNOHANG) == child_pid)
	{
		child_status = status;
		child_pid = 0;
		child_ended = true;
		publish_end();
		if (in_request)
		{
			QueryCancelPending = true;
			InterruptPending = true;
		}
	}
}

static void
handle_sigchld(SIGNAL_ARGS)
{
	int			save_errno = errno;

	reap();
	SetLatch(MyLatch);
	errno = save_errno;
}

static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	shutdown_requested = true;
	if (in_request)
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

static void
nap(long timeout_ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 timeout_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

static long
ms_since(TimestampTz then)
{
	return TimestampDifferenceMilliseconds(then, GetCurrentTimestamp());
}

/* ---- starting a storage process ---- */

/* Closes all descriptors from 3 on but one.  For the child of a fork. */
static void
close_all_but(int fd)
{
#ifdef SYS_close_range
	if ((fd == 3 || syscall(SYS_close_range, 3U, (unsigned) fd - 1, 0U) == 0) &&
		syscall(SYS_close_range, (unsigned) fd + 1, ~0U, 0U) == 0)
		return;
#endif
	for (int i = 3; i < 4096; i++)
	{
		if (i != fd)
			close(i);
	}
}

/* The child of the fork: becomes the program, or exits with 127. */
static void
become_storage(const char *path, char *const argv[], pid_t parent)
{
	static const int handled[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGPIPE, SIGUSR1, SIGUSR2,
		SIGCHLD, SIGFPE, SIGURG, SIGTTIN, SIGTTOU
	};
	sigset_t	none;

	for (int i = 0; i < lengthof(handled); i++)
		signal(handled[i], SIG_DFL);

	/* An orphan must not keep the store open. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);

	/* A ^C in the terminal that started the server is not for us. */
	setpgid(0, 0);

	close_all_but(kalam_segment_fd);
	fcntl(kalam_segment_fd, F_SETFD, 0);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	execv(path, argv);
	_exit(127);
}

/* True if a process was started. */
static bool
start_storage(void)
{
	char		path[MAXPGPATH];
	char		fd_arg[16];
	char		epoch_arg[16];
	char		parent_arg[16];
	char		timeline_arg[16];
	char		witness_arg[MAXPGPATH];
	char	   *argv[] = {
		STORAGE_PROGRAM, "--segment-fd", fd_arg, "--epoch", epoch_arg,
		"--parent-pid", parent_arg, "--timeline", timeline_arg,
		"--witness", witness_arg, NULL
	};
	sigset_t	chld;
	sigset_t	before;
	pid_t		pid;
	int			save_errno;

	snprintf(path, sizeof(path), "%s/%s", pkglib_path, STORAGE_PROGRAM);
	snprintf(fd_arg, sizeof(fd_arg), "%d", kalam_segment_fd);
	snprintf(epoch_arg, sizeof(epoch_arg), "%u", atomic_load(&kalam_segment->epoch));
	snprintf(parent_arg, sizeof(parent_arg), "%d", MyProcPid);
	snprintf(timeline_arg, sizeof(timeline_arg), "%u", GetWALInsertionTimeLine());
	snprintf(witness_arg, sizeof(witness_arg), "%s/%s", DataDir, WITNESS_FILE);

	if (access(path, X_OK) != 0)
	{
		char		message[KALAM_MESSAGE_BYTES];

		save_errno = errno;
		snprintf(message, sizeof(message), "could not run the program \"%s\": %s",
				 path, strerror(save_errno));
		publish_failure(message);
		errno = save_errno;
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not run the program \"%s\": %m", path),
				 errhint("Install all of kalam_fdw: the program belongs next to the library.")));
		return false;
	}

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigaddset(&chld, SIGTERM);
	sigprocmask(SIG_BLOCK, &chld, &before);

	if (atomic_load(&kalam_segment->state) != KALAM_STORAGE_FAILED)
		atomic_store(&kalam_segment->state, KALAM_STORAGE_STARTING);
	child_started = GetCurrentTimestamp();
	child_served = false;
	fflush(NULL);

	pid = fork();
	if (pid == 0)
		become_storage(path, argv, MyProcPid);
	save_errno = errno;
	if (pid > 0)
	{
		last_child_pid = pid;
		child_pid = pid;
		atomic_store(&kalam_segment->storage_pid, pid);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);

	if (pid < 0)
	{
		char		message[KALAM_MESSAGE_BYTES];

		snprintf(message, sizeof(message), "could not fork the kalam storage process: %s",
				 strerror(save_errno));
		publish_failure(message);
		errno = save_errno;
		ereport(LOG,
				(errmsg("could not fork the kalam storage process: %m")));
		return false;
	}

	ereport(DEBUG1,
			(errmsg_internal("started the kalam storage process (PID %d)", (int) pid)));
	return true;
}

/* Reports the end of the child; returns how long to wait before the next. */
static long
after_end(void)
{
	static const long delays_ms[] = {0, 200, 1000, 5000};
	int			status = child_status;

	child_ended = false;

	if (WIFSIGNALED(status))
		ereport(WARNING,
				(errmsg("kalam storage process (PID %d) was terminated by signal %d: %s",
						(int) last_child_pid, WTERMSIG(status),
						pg_strsignal(WTERMSIG(status)))));
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		ereport(WARNING,
				(errmsg("the program \"%s/%s\" could not be executed", pkglib_path, STORAGE_PROGRAM),
				 errhint("It may lack a library; try to run it by hand.")));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		ereport(WARNING,
				(errmsg("kalam storage process (PID %d) exited with exit code %d",
						(int) last_child_pid, WEXITSTATUS(status))));
	else
		ereport(LOG,
				(errmsg("kalam storage process (PID %d) has ended", (int) last_child_pid)));

	/* one that never served has failed, however long it tried */
	if (child_served && ms_since(child_started) >= SHORT_LIFE_MS)
		short_lives = 0;
	else
		short_lives = Min(short_lives + 1, child_served ? 1 : lengthof(delays_ms) - 1);
	return delays_ms[short_lives];
}

/* ---- when to end ---- */

/* Is the whole server going down, or did somebody just terminate us? */
static bool
server_is_stopping(void)
{
	FILE	   *file = fopen(POSTMASTER_PID_FILE, "r");
	char		line[MAXPGPATH];
	bool		stopping = false;

	if (file == NULL)
		return true;
	for (int i = 1; fgets(line, sizeof(line), file) != NULL; i++)
	{
		if (i == LOCK_FILE_LINE_PM_STATUS)
			stopping = strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
	}
	fclose(file);
	return stopping;
}

/* Does any session still use the store? */
static bool
sessions_left(void)
{
	for (uint32 i = 0; i < kalam_segment->config.nslots - 1; i++)
	{
		pid_t		pid = atomic_load(&kalam_slot(kalam_segment, i)->pid);

		if (pid != 0 && !(kill(pid, 0) != 0 && errno == ESRCH))
			return true;
	}
	return false;
}

/*
 * Are we to end, but not before sessions have?  They may yet have to roll back
 * or commit, and wait for the next storage process if this one dies meanwhile.
 */
static bool
draining(void)
{
	static bool stopping = false;

	if (!shutdown_requested)
		return false;
	stopping = stopping || server_is_stopping();
	return stopping && sessions_left();
}

/* ---- requests to storage ---- */

/*
 * Resolves pending transactions, and opens the store for everybody if serve.
 * An error is logged; false then.
 */
static bool
run_requests(bool serve)
{
	sigjmp_buf	local_sigjmp_buf;
	sigjmp_buf *outer = PG_exception_stack;
	bool		ok = false;

	if (sigsetjmp(local_sigjmp_buf, 1) != 0)
	{
		error_context_stack = NULL;
		HOLD_INTERRUPTS();
		in_request = false;
		QueryCancelPending = false;

		/* an end of storage or of the server is reported elsewhere */
		if (!(shutdown_requested || child_pid == 0))
			EmitErrorReport();

		LWLockReleaseAll();
		pgstat_report_wait_end();
		kalam_cursors_at_abort(InvalidSubTransactionId);
		MemoryContextSwitchTo(TopMemoryContext);
		FlushErrorState();
		MemoryContextReset(request_context);
		RESUME_INTERRUPTS();
	}
	else
	{
		PG_exception_stack = &local_sigjmp_buf;
		MemoryContextSwitchTo(request_context);
		in_request = true;
		if (child_pid == 0 || (shutdown_requested && !draining()))
			elog(ERROR, "no storage process to ask");

		kalam_resolve_pending(serve);
		if (serve)
		{
			kalam_rpc_finish(kalam_rpc_begin(KALAM_OP_SERVE));
			child_served = true;
		}

		in_request = false;
		QueryCancelPending = false;
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextReset(request_context);
		ok = true;
	}
	PG_exception_stack = outer;
	return ok;
}

/* ---- stopping ---- */

/* Has storage close its files, and ends this process. */
static void
stop_and_exit(void)
{
	TimestampTz start = GetCurrentTimestamp();
	long		reported_ms = 0;
	bool		killed = false;

	if (child_pid != 0)
		kill(child_pid, SIGTERM);
	while (child_pid != 0)
	{
		long		waited_ms;

		nap(STOP_TICK_MS);
		waited_ms = ms_since(start);
		if (child_pid != 0 && waited_ms - reported_ms >= STOP_REPORT_MS)
		{
			reported_ms = waited_ms;
			ereport(LOG,
					(errmsg("still waiting for the kalam storage process to close its files after %ld s",
							waited_ms / 1000)));
		}
		if (child_pid != 0 && waited_ms >= STOP_KILL_MS && !killed)
		{
			killed = true;
			ereport(WARNING,
					(errmsg("the kalam storage process did not close its files within %d s and is killed",
							STOP_KILL_MS / 1000),
					 errdetail("Nothing that was committed is lost.")));
			kill(child_pid, SIGKILL);
		}
	}
	if (child_ended)
		(void) after_end();

	/* The postmaster never starts a worker again that exits with 0. */
	proc_exit(1);
}

/* ---- the worker ---- */

/* Has a process that is not our child ended, reaped or not? */
static bool
process_is_gone(pid_t pid)
{
	char		path[64];
	char		line[256];
	char	   *state;
	FILE	   *file;
	bool		gone = false;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	file = fopen(path, "r");
	if (file == NULL)
		return kill(pid, 0) != 0 && errno == ESRCH;
	if (fgets(line, sizeof(line), file) != NULL && (state = strrchr(line, ')')) != NULL)
		gone = state[1] == ' ' && (state[2] == 'Z' || state[2] == 'X');
	fclose(file);
	return gone;
}

/*
 * Cleans up after an earlier supervisor of the same segment, one that was
 * terminated.  Its storage process dies with it, but may take a moment.
 */
static void
take_over(void)
{
	KalamSegment *seg = kalam_segment;
	KalamSlot  *slot = kalam_slot(seg, kalam_my_slot_index());
	TimestampTz start = GetCurrentTimestamp();
	pid_t		pid;

	while ((pid = atomic_load(&seg->storage_pid)) != 0)
	{
		if (process_is_gone(pid) || ms_since(start) >= ORPHAN_WAIT_MS)
			publish_end();
		else
			nap(START_TICK_MS);
	}

	atomic_store(&slot->pid, 0);
	for (int i = 0; i < KALAM_PINS_PER_SLOT; i++)
		atomic_store(&slot->pins[i], 0);
	atomic_store(&slot->npins, 0);
}

void
kalam_supervisor_main(Datum arg)
{
	TimestampTz next_start = 0;
	TimestampTz next_resolve = 0;

	kalam_am_supervisor = true;

	pqsignal(SIGTERM, handle_sigterm);
	pqsignal(SIGCHLD, handle_sigchld);
	pqsignal(SIGHUP, SignalHandlerForConfigReload); /* settings of autovacuum */
	BackgroundWorkerUnblockSignals();

	request_context = AllocSetContextCreate(TopMemoryContext, "kalam supervisor",
											ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(TopMemoryContext);

	take_over();
	kalam_resolve_keep_bound();
	kalam_client_use_supervisor_mode();

	for (;;)
	{
		KalamSegment *seg = kalam_segment;
		TimestampTz now;
		long		timeout_ms = IDLE_TICK_MS;
		long		tick_ms = IDLE_TICK_MS;

		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (shutdown_requested)
		{
			if (!draining())
				stop_and_exit();
			tick_ms = DRAIN_TICK_MS;
		}
		if (child_ended)
			next_start = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), after_end());

		now = GetCurrentTimestamp();
		if (child_pid == 0)
		{
			if (now < next_start)
				timeout_ms = TimestampDifferenceMilliseconds(now, next_start);
			else if (start_storage())
			{
				next_resolve = 0;
				timeout_ms = START_TICK_MS;
			}
			else
			{
				next_start = TimestampTzPlusMilliseconds(now, MISSING_RETRY_MS);
				timeout_ms = MISSING_RETRY_MS;
			}
		}
		else
		{
			uint32		state = atomic_load(&seg->state);
			bool		serve = state == KALAM_STORAGE_RECOVERING;

			if (serve ||
				(state == KALAM_STORAGE_READY &&
				 (atomic_load(&seg->pending) > 0 || kalam_indoubt_any())))
			{
				if (now >= next_resolve)
				{
					bool		ok = run_requests(serve);

					next_resolve =
						TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													Min(tick_ms, ok ? PENDING_TICK_MS : RETRY_RESOLVE_MS));
					continue;
				}
				timeout_ms = TimestampDifferenceMilliseconds(now, next_resolve);
			}
			else if (state != KALAM_STORAGE_READY)
				timeout_ms = ms_since(child_started) < START_SLOW_AFTER_MS ?
					START_TICK_MS : START_SLOW_TICK_MS;
			else if (!shutdown_requested)
				kalam_autoanalyze_tick();
		}

		nap(Max(Min(timeout_ms, tick_ms), 1));
	}
}

void
kalam_supervisor_register(void)
{
	BackgroundWorker worker = {0};
	slist_iter	iter;

	kalam_resolve_install();

	/* pg_upgrade wants a server that does nothing by itself */
	if (IsBinaryUpgrade)
		return;

	snprintf(worker.bgw_name, BGW_MAXLEN, "kalam supervisor");
	snprintf(worker.bgw_type, BGW_MAXLEN, "kalam supervisor");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "kalam_fdw");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "kalam_supervisor_main");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);

	/* without a free slot Postgres logs that, and goes on */
	slist_foreach(iter, &BackgroundWorkerList)
	{
		RegisteredBgWorker *rw = slist_container(RegisteredBgWorker, rw_lnode, iter.cur);

		if (strcmp(rw->rw_worker.bgw_function_name, worker.bgw_function_name) == 0)
			kalam_supervisor_has_slot = true;
	}
}
