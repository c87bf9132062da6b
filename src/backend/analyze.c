/*
 * analyze.c
 *	  ANALYZE: a random sample of a stored table's rows.
 *
 * As for heap tables in two stages: pieces of the table in which random bytes lie,
 * and rows of them by Vitter's algorithm Z.  A piece is chosen as often as it has
 * bytes, so rows per byte, averaged over the pieces, tell how many rows there are.
 * Small tables are read whole.
 *
 * Rows are stored flat, so a sample of wide ones could fill any memory: past a
 * limit every other row of it is given up, and it goes on with half the target.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/rel.h"
#include "utils/sampling.h"

#include "src/backend/keyrange.h"
#include "src/backend/merge.h"
#include "src/backend/planner.h"
#include "src/backend/row.h"
#include "src/backend/split.h"
#include "src/backend/table.h"
#include "src/backend/tablestats.h"

/* the piece of a place; sampled rows that share one, as they may be alike */
#define PIECE_BYTES		(16 * 1024)
#define ROWS_PER_PIECE	5

/* storage answers so many places at a time, less if keys are long */
#define PLACES_AT_ONCE	1000

#define MIN_TARGET		100

typedef struct Sample
{
	Relation	rel;
	TupleTableSlot *slot;
	HeapTuple  *rows;			/* t_self counts rows in the order of reading */
	int			nrows;
	int			target;
	Size		bytes;			/* of rows */
	Size		max_bytes;
	ReservoirStateData reservoir;
	double		seen;			/* rows so far */
	double		skip;			/* rows until one is taken; < 0: not known */
} Sample;

/* ---- rows into the sample ---- */

static void
remove_row(Sample *s, int at)
{
	s->bytes -= s->rows[at]->t_len;
	heap_freetuple(s->rows[at]);
}

/* Goes on with a random half of the rows. */
static void
halve(Sample *s)
{
	int			keep = s->nrows / 2;

	while (s->nrows > keep)
	{
		int			at = (int) (s->nrows * sampler_random_fract(&s->reservoir.randstate));

		remove_row(s, at);
		s->rows[at] = s->rows[--s->nrows];
	}
	s->target = keep;
	s->skip = -1;
	reservoir_init_selection_state(&s->reservoir, s->target);
}

static void
set_position(HeapTuple row, double number)
{
	uint64		n = (uint64) number;

	ItemPointerSet(&row->t_self, (BlockNumber) (n >> 8), (OffsetNumber) ((n & 0xff) + 1));
}

static void
offer_row(Sample *s, MinimalTuple tuple)
{
	int			at = -1;

	if (s->nrows < s->target)
		at = s->nrows++;
	else
	{
		if (s->skip < 0)
			s->skip = reservoir_get_next_S(&s->reservoir, s->seen, s->target);
		if (s->skip <= 0)
		{
			at = (int) (s->target * sampler_random_fract(&s->reservoir.randstate));
			remove_row(s, at);
		}
		s->skip -= 1;
	}
	if (at >= 0)
	{
		/* through a slot, so that columns added later are there */
		ExecStoreMinimalTuple(tuple, s->slot, false);
		slot_getallattrs(s->slot);
		s->rows[at] = heap_form_tuple(RelationGetDescr(s->rel), s->slot->tts_values,
									  s->slot->tts_isnull);
		ExecClearTuple(s->slot);
		set_position(s->rows[at], s->seen);
		s->bytes += s->rows[at]->t_len;
	}
	s->seen += 1;
	if (s->bytes > s->max_bytes && s->nrows >= 2 * MIN_TARGET)
		halve(s);
}

static int
compare_positions(const void *a, const void *b)
{
	return ItemPointerCompare(&(*(HeapTuple const *) a)->t_self, &(*(HeapTuple const *) b)->t_self);
}

/* ---- where they come from ---- */

/* All rows of a range, newest committed and own; returns how many. */
static double
read_range(Sample *s, KalamMerge *merge, KalamRange *range)
{
	KalamMergedRow row;
	double		before = s->seen;
	Size		bytes = 0;

	kalam_merge_open(merge, range, GetCurrentCommandId(false));
	while (kalam_merge_next(merge, &row))
	{
		/* as much as so many pages of a heap table */
		bytes += row.tuple->t_len;
		if (VacuumCostActive && bytes > BLCKSZ)
		{
			VacuumCostBalance += VacuumCostPageMiss * (int) Min(bytes / BLCKSZ, 1000);
			bytes = 0;
		}
		vacuum_delay_point();
		offer_row(s, row.tuple);
	}
	kalam_merge_close(merge);
	return s->seen - before;
}

static int
compare_pieces(const ListCell *a, const ListCell *b)
{
	const KalamRangePiece *x = lfirst(a);
	const KalamRangePiece *y = lfirst(b);

	return kalam_key_compare(x->lower, x->lower_len, y->lower, y->lower_len);
}

/*
 * Pieces in which so many random places lie, in the order of keys.  The same one
 * may come more than once.  *bytes: of the range, on average over the answers.
 */
static List *
choose_pieces(const KalamRange *range, int places, int *chosen, double *bytes)
{
	List	   *list = NIL;

	*chosen = 0;
	*bytes = 0;
	while (*chosen < places)
	{
		KalamPieces *pieces = kalam_sample_pieces(range->object_id, range->lower, range->lower_len,
												  range->upper, range->upper_len,
												  Min(places - *chosen, PLACES_AT_ONCE), PIECE_BYTES,
												  pg_prng_uint64(&pg_global_prng_state));

		if (pieces->npieces == 0)
			break;				/* emptied meanwhile */
		for (uint32 i = 0; i < pieces->npieces; i++)
		{
			list = lappend(list, &pieces->pieces[i]);
			*chosen += pieces->pieces[i].places;
			*bytes += (double) pieces->bytes * pieces->pieces[i].places;
		}
	}
	*bytes /= Max(*chosen, 1);
	list_sort(list, compare_pieces);
	return list;
}

/*
 * Reads pieces at random places, each once.  Returns the number of rows that the
 * whole range is likely to have.
 */
static double
read_pieces(Sample *s, KalamMerge *merge, const KalamRange *range, int places)
{
	int			chosen;
	double		bytes;
	List	   *pieces = choose_pieces(range, places, &chosen, &bytes);
	const KalamRangePiece *last = NULL;
	double		last_density = 0;
	double		density = 0;	/* rows per byte, summed over the places */
	int			done = 0;
	ListCell   *lc;

	pgstat_progress_update_param(PROGRESS_ANALYZE_BLOCKS_TOTAL, chosen);
	foreach(lc, pieces)
	{
		const KalamRangePiece *p = lfirst(lc);

		/* one that overlaps others, since rows were written meanwhile, is as dense */
		if (last == NULL || kalam_key_compare(last->upper, last->upper_len,
											  p->lower, p->lower_len) <= 0)
		{
			KalamRange	piece = *range;

			piece.lower = p->lower;
			piece.lower_len = p->lower_len;
			piece.upper = p->upper;
			piece.upper_len = p->upper_len;
			piece.first_bytes = KALAM_BLOCK_DATA_BYTES;
			last = p;
			last_density = read_range(s, merge, &piece) / (double) Max(p->bytes, 1);
		}
		density += last_density * p->places;
		done += p->places;
		pgstat_progress_update_param(PROGRESS_ANALYZE_BLOCKS_DONE, done);
	}
	return chosen > 0 ? floor(density / chosen * bytes + 0.5) : 0;
}

/* Is most of the range committed, and too much to be read whole? */
static bool
is_large(const KalamRange *range, int places)
{
	KalamChanges *changes = kalam_changes_here();
	KalamPieces *whole;
	uint64		bytes;

	if (kalam_object_is_new(range->object_id))
		return false;
	whole = kalam_split(range->object_id, range->lower, range->lower_len,
						range->upper, range->upper_len, 1, 0);
	bytes = whole->bytes;
	pfree(whole);
	return bytes > (uint64) places * PIECE_BYTES * 3 / 2 &&
		(changes == NULL || bytes / 8 > kalam_changes_bytes(changes));
}

/* Is the sample for the statistics of a parent?  Then the table's own stay as they are. */
static bool
is_for_parent(void)
{
	return MyBEEntry != NULL && MyBEEntry->st_progress_command == PROGRESS_COMMAND_ANALYZE &&
		MyBEEntry->st_progress_param[PROGRESS_ANALYZE_PHASE] ==
		PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS_INH;
}

static int
acquire_sample(Relation rel, int elevel, HeapTuple *rows, int targrows,
			   double *totalrows, double *totaldeadrows)
{
	KalamTable *table = kalam_table_open(rel);
	KalamMerge *merge = palloc0(sizeof(KalamMerge));
	KalamRange	range = {0};
	int			places = Max(targrows / ROWS_PER_PIECE, 30);
	uint64		counted;
	Sample		s = {.rel = rel, .rows = rows, .target = targrows, .skip = -1};

	reservoir_init_selection_state(&s.reservoir, targrows);
	s.slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	s.max_bytes = (Size) maintenance_work_mem * 1024;
	merge->context = CurrentMemoryContext;
	*totalrows = *totaldeadrows = 0;
	counted = kalam_changes_counted(table->relid);
	if (kalam_table_object(table) != KALAM_OBJECT_NONE)
	{
		KalamScanKey key = kalam_scan_key(table, KALAM_PRIMARY_KEY);
		KalamKeyRange whole = kalam_whole_range(table, &key);

		range.flags = KALAM_SCAN_NEWEST;
		range.object_id = table->object_id;
		range.lower = whole.lower;
		range.lower_len = whole.lower_len;
		range.upper = whole.upper;
		range.upper_len = whole.upper_len;
		*totalrows = is_large(&range, places) ? read_pieces(&s, merge, &range, places) :
			read_range(&s, merge, &range);
	}
	/* correlation is computed from the order of the rows */
	qsort(rows, s.nrows, sizeof(HeapTuple), compare_positions);
	ExecDropSingleTupleTableSlot(s.slot);
	pfree(merge);
	if (!is_for_parent())
		kalam_count_analyze(table, counted);
	kalam_table_close(table);
	ereport(elevel,
			(errmsg("\"%s\": %.0f rows read, %d rows in sample, %.0f estimated total rows",
					RelationGetRelationName(rel), s.seen, s.nrows, *totalrows)));
	return s.nrows;
}

bool
kalam_analyze(Relation rel, AcquireSampleRowsFunc *func, BlockNumber *pages)
{
	KalamTable *table = kalam_table_open(rel);
	double		rows;
	double		bytes;

	table->stat_time = 0;
	kalam_table_stat(table, &rows, &bytes);
	kalam_table_close(table);
	*func = acquire_sample;
	*pages = (BlockNumber) Min(Max(ceil(bytes / BLCKSZ), 1), (double) MaxBlockNumber);
	return true;
}
