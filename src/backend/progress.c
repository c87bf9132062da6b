/*
 * progress.c
 *	  Progress of index builds and rewrites: see progress.h.
 *
 * It is kept where PostgreSQL keeps that of CREATE INDEX and CLUSTER, in the
 * forms that these have there, so that pg_stat_progress_create_index and
 * pg_stat_progress_cluster show it too.  The transaction's end and errors clear it.
 */
#include "postgres.h"

#include "commands/progress.h"
#include "pgstat.h"
#include "utils/backend_progress.h"

#include "src/backend/progress.h"
#include "src/backend/table.h"
#include "src/backend/transaction.h"

/* Parameters that core leaves alone; the view kalam.progress reads them. */
#define PARAM_TOTAL		18
#define PARAM_BYTES		19

#define ROWS_PER_REPORT	64

static KalamProgressKind running;
static int64 rows;

static void
report(void)
{
	KalamChanges *changes = kalam_changes_here();

	pgstat_progress_update_param(running == KALAM_PROGRESS_BUILD ? PROGRESS_CREATEIDX_TUPLES_DONE :
								 PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED, rows);
	if (running == KALAM_PROGRESS_REWRITE)
		pgstat_progress_update_param(PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN, rows);
	if (changes != NULL)
		pgstat_progress_update_param(PARAM_BYTES, (int64) kalam_changes_bytes(changes));
}

void
kalam_progress_begin(KalamProgressKind kind, Relation rel, const KalamCatalogTable *old)
{
	KalamObjectSize size;

	(void) kalam_object_stat(old->record.object_id, (int) old->record.nindexes, &size);
	running = kind;
	rows = 0;
	if (kind == KALAM_PROGRESS_BUILD)
	{
		pgstat_progress_start_command(PROGRESS_COMMAND_CREATE_INDEX, RelationGetRelid(rel));
		pgstat_progress_update_param(PROGRESS_CREATEIDX_COMMAND, PROGRESS_CREATEIDX_COMMAND_CREATE);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_PHASE, PROGRESS_CREATEIDX_PHASE_BUILD);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) size.rows);
	}
	else
	{
		pgstat_progress_start_command(PROGRESS_COMMAND_CLUSTER, RelationGetRelid(rel));
		pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP);
	}
	pgstat_progress_update_param(PARAM_TOTAL, (int64) size.rows);
}

void
kalam_progress_row(void)
{
	if (++rows % ROWS_PER_REPORT == 0)
		report();
}

void
kalam_progress_end(void)
{
	pgstat_progress_end_command();
}
