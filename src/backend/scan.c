/*
 * scan.c
 *	  The executor's scan of a stored table.
 *
 * Stored rows are used where they lie, in a block of the channel; own ones are
 * copied by the merge.  They stay put until the next row is asked for, as the
 * executor expects of a scan's slot.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/ddl.h"
#include "src/backend/directmodify.h"
#include "src/backend/index.h"
#include "src/backend/parallel.h"
#include "src/backend/planner.h"
#include "src/backend/querycache.h"
#include "src/backend/row.h"
#include "src/backend/rowlock.h"
#include "src/backend/scan.h"
#include "src/backend/scan_parts.h"
#include "src/backend/scan_state.h"
#include "src/backend/sidebyside.h"
#include "src/backend/snapshot.h"
#include "src/backend/tablestats.h"

/*
 * Reads that come to locks or changes, now or later, go to storage: these look at newer
 * states of rows too.  (Direct modification has single rows from the cache.)
 */
static uint64
cache_ttl(const KalamScan *scan, const ForeignScanState *node)
{
	const ForeignScan *plan = (const ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;

	if (kalam_scan_locks(scan) || boolVal(list_nth(plan->fdw_private, KALAM_PRIVATE_MARK)) ||
		plan->operation != CMD_SELECT || estate->es_epq_active != NULL ||
		(plan->scan.scanrelid > 0 && ExecRelationIsTargetRelation(estate, plan->scan.scanrelid)))
		return 0;
	return kalam_query_cache_ttl_of(scan->table);
}

void
kalam_begin_scan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	List	   *private = plan->fdw_private;
	List	   *columns;
	KalamScan  *scan;
	int			number;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	scan = palloc0(sizeof(KalamScan));
	node->fdw_state = scan;
	scan->rel = node->ss.ss_currentRelation;
	if (plan->scan.scanrelid == 0)
		scan->rel = ExecGetRangeTableRelation(estate, bms_singleton_member(plan->fs_relids));
	scan->table = kalam_table_open(scan->rel);
	scan->conditions.table = scan->table;
	number = kalam_find_index(scan->table, list_nth(private, KALAM_PRIVATE_INDEX));
	scan->conditions.key = kalam_scan_key(scan->table, number);
	if (number != KALAM_PRIMARY_KEY)
		scan->index = &scan->table->indexes[number];
	scan->conditions.alternatives =
		kalam_alternatives_from_list(list_nth(private, KALAM_PRIVATE_BOUNDS),
									 &scan->conditions.nalternatives);
	scan->conditions.nvalues = intVal(list_nth(private, KALAM_PRIVATE_VALUES));
	scan->conditions.values = kalam_values_begin(plan->fdw_exprs, scan->conditions.nvalues,
												 (PlanState *) node);
	scan->conditions.econtext = node->ss.ps.ps_ExprContext;
	if (list_nth(private, KALAM_PRIVATE_FILTER) != NIL)
		scan->merge.filter =
			kalam_filter_begin(kalam_ship_steps_from_list(list_nth(private, KALAM_PRIVATE_FILTER)),
							   scan->conditions.values, scan->conditions.nvalues, scan->rel);
	scan->cost = plan->scan.plan.total_cost;
	scan->measure = estate->es_instrument & INSTRUMENT_BUFFERS ? KALAM_SCAN_MEASURE : 0;
	scan->sent_bytes = plan->scan.plan.plan_rows * plan->scan.plan.plan_width;
	scan->current = &scan->merge;
	scan->range_context = estate->es_query_cxt;
	scan->reverse = boolVal(list_nth(private, KALAM_PRIVATE_REVERSE));
	scan->no_columns = boolVal(list_nth(private, KALAM_PRIVATE_NO_COLUMNS));
	scan->limit = intVal(list_nth(private, KALAM_PRIVATE_LIMIT));
	scan->lock_mode = intVal(list_nth(private, KALAM_PRIVATE_LOCK));
	scan->want_keys = kalam_scan_locks(scan) || (scan->table->nkeys == 0 && plan->fsSystemCol);
	if (kalam_scan_locks(scan))
	{
		scan->filter = ExecInitQual(list_copy_tail(plan->fdw_recheck_quals,
												   intVal(list_nth(private, KALAM_PRIVATE_KEY_QUALS))),
									(PlanState *) node);
		scan->recheck = ExecInitQual(plan->fdw_recheck_quals, (PlanState *) node);
	}
	if (list_nth(private, KALAM_PRIVATE_PARTS) != NIL)
		kalam_parts_begin(scan, list_nth(private, KALAM_PRIVATE_PARTS));
	columns = list_nth(private, KALAM_PRIVATE_ONLY);
	if (columns != NIL)
		scan->only = kalam_key_reading_begin(scan->table, &scan->conditions.key, columns,
											 RelationGetDescr(scan->rel));
	scan->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(scan->rel),
										scan->only ? &TTSOpsVirtual : &TTSOpsMinimalTuple);
	scan->stamp = kalam_snapshot_stamp(estate->es_snapshot);
	kalam_record_check_snapshot(scan->table, scan->rel, scan->stamp);
	for (int i = 0; i < Max(scan->nparts, 1); i++)
	{
		if (scan->nparts > 0)
			kalam_parts_use(scan, i);
		if (scan->index != NULL)
			kalam_index_check_snapshot(scan->table, scan->index, scan->rel, scan->stamp);
	}
	scan->cache_ttl = cache_ttl(scan, node);
	scan->merge.point.ttl = scan->cache_ttl;
	scan->command_id = estate->es_snapshot->curcid;
	scan->owner = GetCurrentSubTransactionId();
	scan->merge.context = estate->es_query_cxt;
	scan->input.context = estate->es_query_cxt;
	if (plan->scan.scanrelid == 0)
	{
		scan->groups = kalam_groups_begin(list_nth(private, KALAM_PRIVATE_UPPER), scan->rel, node);
		scan->merge.aggregates = kalam_groups_section(scan->groups, &scan->merge.aggregates_len);
		scan->merge.aggregates_once = kalam_groups_in_order(scan->groups);
	}
	if (boolVal(list_nth(private, KALAM_PRIVATE_MARK)))
	{
		scan->want_keys = true;
		scan->marked = kalam_marked_rows_begin(estate, plan->scan.scanrelid, scan->rel,
											   scan->table, scan->stamp);
	}
}

/* Backward, the last range comes first. */
static void
turn_around(KalamKeyRanges *ranges)
{
	for (int i = 0, j = ranges->n - 1; i < j; i++, j--)
	{
		KalamKeyRange r = ranges->ranges[i];

		ranges->ranges[i] = ranges->ranges[j];
		ranges->ranges[j] = r;
	}
}

static void
compute_ranges(KalamScan *scan)
{
	MemoryContext old;

	scan->ranges.ranges = NULL;
	/* most scans compute them once */
	if (!scan->computed)
		scan->computed = true;
	else if (scan->range_context != scan->merge.context)
		MemoryContextReset(scan->range_context);
	else
		scan->range_context = AllocSetContextCreate(scan->merge.context, "kalam key ranges",
													ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(scan->range_context);
	scan->all = kalam_compute_ranges(&scan->conditions);
	MemoryContextSwitchTo(old);
}

/* What requests for the ranges have in common. */
static KalamRange
range_of_requests(const KalamScan *scan)
{
	KalamRange	range = {0};

	range.object_id = scan->table->object_id;
	range.stamp = scan->stamp;
	range.owner = scan->owner;
	range.max_rows = scan->limit;
	range.input = scan->input.len > 0 ? scan->input.bytes : NULL;
	range.input_len = scan->input.len;
	if (scan->shared != NULL || scan->sides != NULL)
		range.first_bytes = KALAM_BLOCK_DATA_BYTES; /* all of it will be read */
	range.flags |= scan->piece_flags | scan->measure;
	if (scan->reverse)
		range.flags |= KALAM_SCAN_REVERSE;
	if (scan->index != NULL)
		range.flags |= KALAM_SCAN_INDEX;
	if (scan->only != NULL)
		range.flags |= kalam_key_reading_flags(scan->only);
	else if (scan->keys_only)
		range.flags |= KALAM_SCAN_KEYS_ONLY;
	else if (scan->want_keys)
		range.flags |= KALAM_SCAN_KEYS;
	else if (scan->no_columns && (scan->ranges.n > 1 || scan->ranges.ranges[0].upper_len > 0))
		range.flags |= KALAM_SCAN_COUNT;
	return range;
}

void
kalam_scan_open_ranges(KalamScan *scan, KalamMerge *merge)
{
	KalamRange	range = range_of_requests(scan);

	if (merge->result == NULL || !kalam_scan_result_is_found(merge->result))
		scan->nranges += scan->ranges.n;
	kalam_merge_open_list(merge, &range, scan->ranges.ranges, scan->ranges.n, scan->command_id);
}

/*
 * Do the ranges' rows depend on nothing but what the requests say?  Not on own changes,
 * nor on a filter that is too large to be sent.  (Rows by their keys are kept by themselves;
 * of a scan that processes share, which is a large one, each piece is if little comes.)
 */
static bool
is_for_cache(const KalamScan *scan)
{
	const KalamKeyRanges *ranges = &scan->ranges;

	return scan->cache_ttl > 0 &&
		(scan->shared == NULL || scan->sent_bytes < KALAM_BLOCK_DATA_BYTES) &&
		!(ranges->n == 1 && ranges->ranges[0].upper_len == 0) &&
		!(scan->groups == NULL && !scan->no_columns &&
		  kalam_point_list_suits(ranges->ranges, ranges->n)) &&
		(scan->merge.filter == NULL || scan->input.len > 0) &&
		!kalam_scan_result_own_changes(scan->table->object_id);
}

/* Looks for the ranges' rows in the query cache. */
static bool
find_result(KalamScan *scan)
{
	KalamRange	range;
	KalamResultRequest request = {
		.range = &range, .ranges = scan->ranges.ranges, .nranges = scan->ranges.n,
		.aggregates = scan->merge.aggregates, .aggregates_len = scan->merge.aggregates_len,
		.bytes = scan->limit > 0 ? 0 : scan->sent_bytes
	};

	scan->merge.result = NULL;
	if (!is_for_cache(scan))
		return false;
	if (scan->result == NULL)
		scan->result = kalam_scan_result_create(scan->cache_ttl, scan->merge.context);
	scan->merge.result = scan->result;
	range = range_of_requests(scan);
	switch (kalam_scan_result_find(scan->result, &request))
	{
		case KALAM_RESULT_NOT_ASKED:
			break;
		case KALAM_RESULT_MISSED:
			scan->merge.cost.query_misses++;
			break;
		case KALAM_RESULT_FOUND:
			scan->merge.cost.query_hits++;
			return true;
	}
	return false;
}

static void
close_merge(KalamScan *scan)
{
	if (scan->merge.open)
		kalam_merge_close(&scan->merge);
	if (scan->result != NULL)
		kalam_scan_result_close(scan->result);
}

/* In a scan that processes share: opens the next piece.  False if there is none. */
static bool
next_piece(KalamScan *scan)
{
	if (scan->shared == NULL)
		return false;
	close_merge(scan);
	scan->count_left = 0;
	if (!kalam_take_piece(scan))
		return false;
	(void) find_result(scan);
	kalam_scan_open_ranges(scan, &scan->merge);
	return true;
}

/* In a scan of parts: opens the next one that has ranges.  False if there is none. */
static bool
next_part(KalamScan *scan)
{
	close_merge(scan);
	while (!scan->merge.open && scan->part + 1 < scan->nparts)
	{
		kalam_parts_use(scan, scan->part + 1);
		compute_ranges(scan);
		scan->ranges = scan->all;
		if (scan->ranges.n == 0)
			continue;
		(void) find_result(scan);
		kalam_scan_open_ranges(scan, &scan->merge);
	}
	return scan->merge.open;
}

/* Computes the ranges from the parameters of now, and opens them. */
static void
start_scan(KalamScan *scan)
{
	scan->started = true;
	scan->count_left = 0;
	scan->ranges.n = 0;
	if (kalam_table_object(scan->table) == KALAM_OBJECT_NONE ||
		!kalam_filter_start(scan->merge.filter, scan->conditions.econtext, &scan->input))
		return;
	if (scan->nparts > 0)
	{
		scan->part = -1;
		(void) next_part(scan);
		return;
	}
	compute_ranges(scan);
	if (scan->shared != NULL)
	{
		(void) next_piece(scan);
		return;
	}
	scan->ranges = scan->all;
	if (scan->reverse)
		turn_around(&scan->ranges);
	scan->piece_flags = 0;
	if (scan->ranges.n > 0 && (find_result(scan) || !kalam_sides_open(scan)))
		kalam_scan_open_ranges(scan, &scan->merge);
}

/* A row without columns for each row that storage counted. */
static TupleTableSlot *
next_counted(KalamScan *scan)
{
	if (scan->count_left == 0)
	{
		scan->count_left = kalam_merge_next_count(scan->current);
		if (scan->count_left == 0)
			return ExecClearTuple(scan->slot);
	}
	scan->count_left--;
	if (TTS_EMPTY(scan->slot))
		ExecStoreAllNullTuple(scan->slot);
	return scan->slot;
}

static bool
passes(ExprState *qual, ForeignScanState *node, TupleTableSlot *slot)
{
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	econtext->ecxt_scantuple = slot;
	return ExecQual(qual, econtext);
}

/*
 * Locks the row in the slot, if the scan's conditions hold for it.  False if
 * it is not to be returned; the slot has the newest version otherwise.
 */
static bool
lock_row(KalamScan *scan, ForeignScanState *node, const KalamMergedRow *row)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	size_t		key_len = row->key_len;
	KalamRowFate fate;
	KalamRow   *newest;

	if (!passes(scan->filter, node, scan->slot))
		return false;
	memcpy(key, row->key, key_len);
	if (kalam_object_is_new(kalam_get_be32(key)))
		return true;
	do
	{
		CHECK_FOR_INTERRUPTS();
		(void) kalam_row_lock(kalam_get_be32(key), key, key_len, scan->lock_mode, LockWaitBlock,
							  scan->table->relid, RelationGetRelationName(scan->rel));
		if (row->own)
			return true;
	} while ((fate = kalam_read_row_fate(scan->table, scan->rel, key, &key_len, scan->stamp,
										 scan->lock_mode, &newest)) ==
			 KALAM_ROW_MOVED);
	if (fate != KALAM_ROW_UPDATED)
		return fate == KALAM_ROW_AS_BEFORE;
	scan->newest = newest;
	ExecStoreMinimalTuple(kalam_row_tuple(newest), scan->slot, false);
	if (scan->table->nkeys == 0)
		kalam_row_id_to_tid(kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES), &scan->slot->tts_tid);
	return passes(scan->recheck, node, scan->slot);
}

static TupleTableSlot *
next_row(KalamScan *scan, ForeignScanState *node)
{
	KalamMergedRow row;

	for (;;)
	{
		if (scan->newest != NULL)
		{
			ExecClearTuple(scan->slot);
			pfree(scan->newest);
			scan->newest = NULL;
		}
		if (!kalam_merge_next(scan->current, &row))
			return ExecClearTuple(scan->slot);
		if (scan->only != NULL)
		{
			kalam_key_reading_store(scan->only, &row, scan->slot);
			return scan->slot;
		}
		ExecStoreMinimalTuple(row.tuple, scan->slot, false);
		if (scan->table->nkeys == 0 && row.key != NULL)
			kalam_row_id_to_tid(kalam_get_be64(row.key + KALAM_KEY_PREFIX_BYTES),
								&scan->slot->tts_tid);
		if (scan->nparts > 0 && !kalam_parts_give(scan, scan->slot))
		{
			CHECK_FOR_INTERRUPTS();
			ResetExprContext(node->ss.ps.ps_ExprContext);
			continue;
		}
		if (scan->marked)
			kalam_marked_rows_add(scan->marked, &row, &scan->slot->tts_tid);
		else if (kalam_scan_locks(scan))
		{
			MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
			bool		keep = lock_row(scan, node, &row);

			MemoryContextSwitchTo(old);
			if (!keep)
			{
				CHECK_FOR_INTERRUPTS();
				/* as ExecScan does between the rows that it sees */
				ResetExprContext(node->ss.ps.ps_ExprContext);
				continue;
			}
		}
		return scan->slot;
	}
}

TupleTableSlot *
kalam_iterate_scan(ForeignScanState *node)
{
	KalamScan  *scan = node->fdw_state;

	if (!scan->started)
		start_scan(scan);
	while (scan->current->open)
	{
		TupleTableSlot *slot = scan->groups != NULL ? kalam_groups_next(scan->groups, scan->current) :
			scan->current->counting ? next_counted(scan) : next_row(scan, node);

		if (!TupIsNull(slot) || !(scan->nparts > 0 ? next_part(scan) :
								  scan->sides != NULL ? kalam_sides_advance(scan) :
								  next_piece(scan)))
			return slot;
	}
	return ExecClearTuple(scan->slot);
}

bool
kalam_scan_next_merged(KalamScan *scan, KalamMergedRow *row)
{
	if (!scan->started)
		start_scan(scan);
	while (scan->current->open)
	{
		if (kalam_merge_next(scan->current, row))
			return true;
		if (!(scan->nparts > 0 ? next_part(scan) : kalam_sides_advance(scan)))
			break;
	}
	return false;
}

static void
stop_scan(KalamScan *scan)
{
	ExecClearTuple(scan->slot);
	if (scan->groups != NULL)
		kalam_groups_reset(scan->groups);
	kalam_sides_close(scan);
	close_merge(scan);
	if (scan->newest != NULL)
	{
		pfree(scan->newest);
		scan->newest = NULL;
	}
	scan->started = false;
}

void
kalam_rescan(ForeignScanState *node)
{
	stop_scan(node->fdw_state);
}

void
kalam_end_scan(ForeignScanState *node)
{
	KalamScan  *scan = node->fdw_state;

	if (scan == NULL)
		return;
	stop_scan(scan);
	if (scan->merge.cost.query_hits + scan->merge.cost.query_misses > 0)
		kalam_count_cache(scan->table, scan->merge.cost.query_hits, scan->merge.cost.query_misses);
	kalam_table_close(scan->table);
}

bool
kalam_recheck_scan(ForeignScanState *node, TupleTableSlot *slot)
{
	TupleTableSlot *group;

	/* the key conditions are fdw_recheck_quals, which the executor evaluates */
	if (((ForeignScan *) node->ss.ps.plan)->scan.scanrelid > 0)
		return true;
	/* groups are no rows that could have changed: they are computed */
	group = kalam_iterate_scan(node);
	if (TupIsNull(group))
		return false;
	ExecCopySlot(slot, group);
	return true;
}
