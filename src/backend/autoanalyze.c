/*
 * autoanalyze.c
 *	  ANALYZE of stored tables by itself.
 *
 * Autovacuum leaves foreign tables out.  So the supervisor looks at the counts of
 * changes (tablestats.h) and starts a background worker for a database in which
 * some table has enough of them, not more often than autovacuum_naptime; the worker
 * analyses what autovacuum would.  When the server has started, counts begin anew:
 * one worker without a database enters all tables that the store knows, and each
 * of them is looked at once, whether it is about as large as when it was analysed.
 *
 * A worker passes for one of autovacuum where Postgres asks: it is sent away by who
 * waits for its lock, and by DROP DATABASE.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "src/backend/autoanalyze.h"
#include "src/backend/store_catalog.h"
#include "src/backend/table.h"
#include "src/backend/tablestats.h"

typedef struct AutoAnalyzeShared
{
	pg_atomic_uint32 entered;	/* 1: all tables of the store have been */
	pg_atomic_uint32 reached;	/* database that the last worker got into */
} AutoAnalyzeShared;

static AutoAnalyzeShared *shared = NULL;

Size
kalam_autoanalyze_shmem_size(void)
{
	return MAXALIGN(sizeof(AutoAnalyzeShared));
}

void
kalam_autoanalyze_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("kalam autoanalyze", sizeof(AutoAnalyzeShared), &found);
	if (!found)
	{
		pg_atomic_init_u32(&shared->entered, 0);
		pg_atomic_init_u32(&shared->reached, InvalidOid);
	}
}

/* ---- the supervisor's part ---- */

typedef struct Visit
{
	Oid			database;
	TimestampTz at;
} Visit;

static BackgroundWorkerHandle *worker = NULL;
static Oid	worker_database;
static List *visits = NIL;		/* Visit, when databases were last looked at */
static TimestampTz next_start = 0;

/* Has the worker ended?  What it could not get into is gone, and its tables with it. */
static bool
worker_ended(void)
{
	pid_t		pid;

	if (worker == NULL)
		return true;
	if (GetBackgroundWorkerPid(worker, &pid) != BGWH_STOPPED)
		return false;
	pfree(worker);
	worker = NULL;
	if (OidIsValid(worker_database) && pg_atomic_read_u32(&shared->reached) != worker_database)
		kalam_table_stats_forget(worker_database, InvalidOid);
	return true;
}

static TimestampTz
last_visit(Oid database)
{
	ListCell   *lc;

	foreach(lc, visits)
	{
		Visit	   *v = lfirst(lc);

		if (v->database == database)
			return v->at;
	}
	return 0;
}

static void
note_visit(Oid database, TimestampTz now)
{
	ListCell   *lc;
	Visit	   *v;

	/* those of long ago do not count any more */
	foreach(lc, visits)
	{
		v = lfirst(lc);
		if (v->database == database ||
			TimestampDifferenceExceeds(v->at, now, autovacuum_naptime * 1000))
		{
			pfree(v);
			visits = foreach_delete_current(visits, lc);
		}
	}
	v = palloc(sizeof(Visit));
	v->database = database;
	v->at = now;
	visits = lappend(visits, v);
}

/* A database that has not been visited for long and has a table to look at. */
static Oid
database_to_visit(TimestampTz now)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kalam autoanalyze",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Oid			database = InvalidOid;
	TimestampTz oldest = now;
	ListCell   *lc;

	foreach(lc, kalam_table_stats(InvalidOid))
	{
		KalamTableStats *t = lfirst(lc);
		TimestampTz at = last_visit(t->database);

		if ((t->unknown || t->changes > (uint64) autovacuum_anl_thresh) && at < oldest &&
			TimestampDifferenceExceeds(at, now, autovacuum_naptime * 1000))
		{
			database = t->database;
			oldest = at;
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return database;
}

static void
start_worker(Oid database)
{
	BackgroundWorker w = {0};

	strlcpy(w.bgw_name, "kalam autoanalyze", BGW_MAXLEN);
	strlcpy(w.bgw_type, "kalam autoanalyze", BGW_MAXLEN);
	strlcpy(w.bgw_library_name, "kalam_fdw", BGW_MAXLEN);
	strlcpy(w.bgw_function_name, "kalam_autoanalyze_main", BGW_MAXLEN);
	w.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	w.bgw_start_time = BgWorkerStart_RecoveryFinished;
	w.bgw_restart_time = BGW_NEVER_RESTART;
	w.bgw_main_arg = ObjectIdGetDatum(database);
	w.bgw_notify_pid = MyProcPid;
	pg_atomic_write_u32(&shared->reached, InvalidOid);
	worker_database = database;
	if (!RegisterDynamicBackgroundWorker(&w, &worker))
		worker = NULL;			/* all slots are in use: later */
}

void
kalam_autoanalyze_tick(void)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid			database = InvalidOid;

	if (now < next_start || !AutoVacuumingActive() || !worker_ended())
		return;
	next_start = TimestampTzPlusMilliseconds(now, 1000);
	if (pg_atomic_read_u32(&shared->entered) != 0)
	{
		database = database_to_visit(now);
		if (!OidIsValid(database))
			return;
	}
	else if (!TimestampDifferenceExceeds(last_visit(InvalidOid), now, autovacuum_naptime * 1000))
		return;
	start_worker(database);
	note_visit(database, now);
}

/* ---- the worker ---- */

/* Without a database: enters what the store knows. */
static void
enter_tables(void)
{
	ListCell   *lc;

	StartTransactionCommand();
	foreach(lc, kalam_catalog_list(InvalidOid))
	{
		KalamCatalogTable *t = lfirst(lc);

		if (!t->kept && !t->elsewhere)
			kalam_table_stats_add(&t->record);
	}
	CommitTransactionCommand();
	pg_atomic_write_u32(&shared->entered, 1);
}

static bool
is_due(const KalamTableStats *t, float4 reltuples)
{
	double		limit = autovacuum_anl_thresh + autovacuum_anl_scale * Max(reltuples, 0);
	Relation	rel;
	KalamTable *table;
	double		rows;
	double		bytes;

	if (t->changes > limit)
		return true;
	if (!t->unknown || !ConditionalLockRelationOid(t->relid, AccessShareLock))
		return false;
	/* changes from before the start: has it become larger, or smaller? */
	rel = try_relation_open(t->relid, NoLock);
	if (rel == NULL)
		return false;
	table = kalam_table_open(rel);
	kalam_table_stat(table, &rows, &bytes);
	kalam_table_close(table);
	relation_close(rel, AccessShareLock);
	return fabs(rows - Max(reltuples, 0)) > limit;
}

/* Analyses the table if it is time to.  In a transaction. */
static void
look_at(const KalamTableStats *t)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(t->relid));
	TimestampTz start = GetCurrentTimestamp();
	float4		reltuples;
	char	   *name;
	long		secs;
	int			usecs;

	if (!HeapTupleIsValid(tuple) || !kalam_is_table(t->relid))
	{
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		kalam_table_stats_forget(MyDatabaseId, t->relid);
		return;
	}
	reltuples = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	name = quote_qualified_identifier(get_namespace_name(((Form_pg_class) GETSTRUCT(tuple))->relnamespace),
									  NameStr(((Form_pg_class) GETSTRUCT(tuple))->relname));
	ReleaseSysCache(tuple);
	if (is_due(t, reltuples))
	{
		char	   *command = psprintf("ANALYZE (SKIP_LOCKED) %s", name);

		pgstat_report_activity(STATE_RUNNING, command);
		if (SPI_connect() != SPI_OK_CONNECT || SPI_execute(command, false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not run \"%s\"", command);
		SPI_finish();
		pgstat_report_activity(STATE_IDLE, NULL);
		TimestampDifference(start, GetCurrentTimestamp(), &secs, &usecs);
		if (Log_autovacuum_min_duration == 0 ||
			(Log_autovacuum_min_duration > 0 &&
			 TimestampDifferenceExceeds(start, GetCurrentTimestamp(), Log_autovacuum_min_duration)))
			ereport(LOG,
					(errmsg("automatic analyze of table \"%s.%s\", %ld.%03d s",
							get_database_name(MyDatabaseId), name, secs, usecs / 1000)));
	}
	else
		kalam_table_stats_looked_at(t->relid);
}

/* Each table in a transaction of its own; what fails is reported, and tried again later. */
static void
look_at_all(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "kalam autoanalyze",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *tables;
	ListCell   *lc;

	MemoryContextSwitchTo(context);
	tables = kalam_table_stats(MyDatabaseId);
	foreach(lc, tables)
	{
		const KalamTableStats *t = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (!t->unknown && t->changes <= (uint64) autovacuum_anl_thresh)
			continue;
		PG_TRY();
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			look_at(t);
			PopActiveSnapshot();
			CommitTransactionCommand();
		}
		PG_CATCH();
		{
			HOLD_INTERRUPTS();
			errcontext("automatic analyze of the kalam table with OID %u", t->relid);
			EmitErrorReport();
			AbortCurrentTransaction();
			FlushErrorState();
			QueryCancelPending = false;
			RESUME_INTERRUPTS();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(context);
	}
}

/* Who waits for a lock of ours, or drops the database, is to send us away. */
static void
pass_for_autovacuum(void)
{
	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
	ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
	LWLockRelease(ProcArrayLock);
}

void
kalam_autoanalyze_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);
	static const char *const settings[][2] = {
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_isolation", "read committed"},
		{"search_path", ""},
	};

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	pg_atomic_write_u32(&shared->reached, database);
	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	if (autovacuum_vac_cost_delay >= 0)
		SetConfigOption("vacuum_cost_delay", psprintf("%g", autovacuum_vac_cost_delay),
						PGC_SUSET, PGC_S_OVERRIDE);
	if (autovacuum_vac_cost_limit > 0)
		SetConfigOption("vacuum_cost_limit", psprintf("%d", autovacuum_vac_cost_limit),
						PGC_SUSET, PGC_S_OVERRIDE);
	kalam_am_autoanalyze = true;
	if (!OidIsValid(database))
		enter_tables();
	else
	{
		pass_for_autovacuum();
		look_at_all();
	}
	proc_exit(0);
}
