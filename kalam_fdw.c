/*
 * kalam_fdw.c
 *	  Entry points of the module: a foreign data wrapper whose tables are kept in
 *	  RocksDB.  No logic of its own; see docs/architecture.md for the rooms.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"

#include "src/backend/attach.h"
#include "src/backend/batchjoin.h"
#include "src/backend/ddl.h"
#include "src/backend/modify.h"
#include "src/backend/onconflict.h"
#include "src/backend/parallel.h"
#include "src/backend/planner.h"
#include "src/backend/rowmark.h"
#include "src/backend/scan.h"
#include "src/backend/shmem.h"
#include "src/backend/snapshot.h"
#include "src/backend/table.h"
#include "src/backend/transaction.h"
#include "src/backend/upper.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);
extern PGDLLEXPORT Datum kalam_fdw_handler(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_fdw_handler);

void
_PG_init(void)
{
	/* loaded later, it can only say what is missing */
	if (!process_shared_preload_libraries_in_progress)
		return;

	kalam_settings_define();
	kalam_shmem_install();
	kalam_supervisor_register();
	kalam_tables_install();
	kalam_snapshot_install();
	kalam_transaction_install();
	kalam_planner_install();
	kalam_batch_join_install();
	kalam_on_conflict_install();
	kalam_ddl_install();
}

Datum
kalam_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = kalam_get_rel_size;
	routine->GetForeignPaths = kalam_get_paths;
	routine->GetForeignPlan = kalam_get_plan;
	routine->GetForeignUpperPaths = kalam_get_upper_paths;
	routine->BeginForeignScan = kalam_begin_scan;
	routine->IterateForeignScan = kalam_iterate_scan;
	routine->ReScanForeignScan = kalam_rescan;
	routine->EndForeignScan = kalam_end_scan;
	routine->RecheckForeignScan = kalam_recheck_scan;
	routine->ExplainForeignScan = kalam_explain_scan;
	routine->AnalyzeForeignTable = kalam_analyze;
	routine->IsForeignScanParallelSafe = kalam_is_parallel_safe;
	routine->EstimateDSMForeignScan = kalam_estimate_parallel;
	routine->InitializeDSMForeignScan = kalam_initialize_parallel;
	routine->ReInitializeDSMForeignScan = kalam_reinitialize_parallel;
	routine->InitializeWorkerForeignScan = kalam_initialize_worker;
	routine->ShutdownForeignScan = kalam_shutdown_scan;
	routine->GetForeignRowMarkType = kalam_row_mark_type;
	routine->RefetchForeignRow = kalam_refetch_row;
	routine->ImportForeignSchema = kalam_import_schema;
	kalam_fill_modify_routine(routine);
	PG_RETURN_POINTER(routine);
}
