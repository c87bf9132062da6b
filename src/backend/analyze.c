/*
 * analyze.c
 *	  ANALYZE: a random sample of a stored table's rows.
 *
 * Vitter's algorithm Z over a whole scan, with core's reservoir functions.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "utils/rel.h"
#include "utils/sampling.h"

#include "src/backend/planner.h"
#include "src/backend/table.h"
#include "src/backend/wholescan.h"

static int
acquire_sample(Relation rel, int elevel, HeapTuple *rows, int targrows,
			   double *totalrows, double *totaldeadrows)
{
	KalamWholeScan *scan = kalam_whole_scan_begin(rel);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	ReservoirStateData rstate;
	MinimalTuple tuple;
	const uint8 *key;
	size_t		key_len;
	double		seen = 0;
	double		skip = -1;
	int			numrows = 0;

	reservoir_init_selection_state(&rstate, targrows);
	while ((tuple = kalam_whole_scan_next(scan, &key, &key_len)) != NULL)
	{
		int			at = -1;

		vacuum_delay_point();
		if (numrows < targrows)
			at = numrows++;
		else
		{
			if (skip < 0)
				skip = reservoir_get_next_S(&rstate, seen, targrows);
			if (skip <= 0)
			{
				at = (int) (targrows * sampler_random_fract(&rstate.randstate));
				heap_freetuple(rows[at]);
			}
			skip -= 1;
		}
		seen += 1;
		if (at < 0)
			continue;
		/* through a slot, so that columns added later are there */
		ExecStoreMinimalTuple(tuple, slot, false);
		slot_getallattrs(slot);
		rows[at] = heap_form_tuple(RelationGetDescr(rel), slot->tts_values, slot->tts_isnull);
	}
	kalam_whole_scan_end(scan);
	ExecDropSingleTupleTableSlot(slot);
	*totalrows = seen;
	*totaldeadrows = 0;
	ereport(elevel,
			(errmsg("\"%s\": %.0f rows read, %d rows in sample",
					RelationGetRelationName(rel), seen, numrows)));
	return numrows;
}

bool
kalam_analyze(Relation rel, AcquireSampleRowsFunc *func, BlockNumber *pages)
{
	KalamTable *table = kalam_table_open(rel);
	double		rows;
	double		bytes;

	kalam_table_stat(table, &rows, &bytes);
	kalam_table_close(table);
	*func = acquire_sample;
	*pages = (BlockNumber) Max(ceil(bytes / BLCKSZ), 1);
	return true;
}
