/*
 * batchjoin_exec.c
 *	  Execution of batched joins.
 *
 * Outer rows are copied until there are enough for a batch, and the ranges of
 * keys that each of them asks for are put in one list.  Rows of the inner table
 * come in the order of that list, so that pairs come in the order of the outer
 * rows, and an outer row is done when a row of a later one comes.  If nobody wants
 * the order of the outer side, the rows of a batch are put in that of their keys:
 * storage finds neighbours faster.  Neighbours that ask for the same one key share
 * the row that is found.  Batches grow, for a LIMIT above may want few rows; once
 * they are large, the next one is prepared while storage reads for the one before.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "src/backend/batchjoin.h"
#include "src/backend/ddl.h"
#include "src/backend/index.h"
#include "src/backend/keyrange.h"
#include "src/backend/keyread.h"
#include "src/backend/merge.h"
#include "src/backend/planner.h"
#include "src/backend/scan.h"
#include "src/backend/snapshot.h"
#include "src/backend/tablestats.h"

/* the first block of a batch of several rows: all of it is wanted */
#define FIRST_BYTES (64 * 1024)

/* memory for the bytes of keys is taken so much at a time */
#define KEYS_BYTES 1024

/* rows and ranges of a batch that there is room for at first */
#define FIRST_ROOM 16

/* An outer row of a batch. */
typedef struct OuterRow
{
	MinimalTuple tuple;
	uint64		begins;			/* how its first range begins: what tells most keys apart */
	int			first;			/* of its ranges, */
	int			n;				/* so many */
	bool		shares;			/* it asks for the same one key as the row before */
} OuterRow;

/* Outer rows, and the list of ranges that they ask for. */
typedef struct Batch
{
	MemoryContext context;		/* of all below */
	int			n;				/* 0: not prepared */
	int			rows_room;
	OuterRow   *rows;
	bool		ascends;		/* rows are in the order of their first ranges */
	int			nranges;
	int			ranges_room;
	KalamKeyRange *ranges;
	uint8	   *keys;			/* where the bytes of the next key go, */
	Size		keys_left;		/* so many */
	int		   *range_row;		/* outer row of each range, the first if they share */
} Batch;

typedef struct BatchJoin
{
	CustomScanState css;
	PlanState  *outer;
	Index		inner_rti;
	Relation	rel;			/* of the inner side */
	KalamTable *table;
	KalamConditions conditions;
	KalamKeyReading *only;		/* reads columns from keys; NULL: rows are read */
	JoinType	jointype;
	bool		single_match;
	bool		sorts;			/* rows of a batch by their keys */
	int			nouter;			/* columns */
	int			ninner;			/* of the inner side, in all */
	int			nread;			/* of them, that are read */
	AttrNumber *attnums;
	AttrNumber	max_attnum;
	ExprState  *joinqual;
	TupleTableSlot *outer_slot;
	TupleTableSlot *inner_slot;
	uint64		stamp;
	CommandId	command_id;
	SubTransactionId owner;

	/* since the last rescan */
	bool		started;
	bool		empty;			/* no inner row can pass the filter */

	/* batches */
	int			size;			/* outer rows that the next one may have */
	bool		outer_done;
	Batch		batches[2];
	Batch	   *now;			/* one of these */
	Batch	   *ahead;			/* the other one */

	/* the one under way */
	KalamInput	input;			/* the conditions that storage evaluates */
	KalamMerge	merge;
	KalamMergedRow inner;		/* the next inner row, if have_inner */
	bool		have_inner;
	bool		inner_done;

	/* the outer row under way */
	int			at;				/* n: none */
	int			head;			/* the row whose ranges it shares, or itself */
	bool		loaded;			/* it is in the scan slot */
	bool		paired;			/* with an inner row */
	bool		matched;
	bool		skips;			/* its other inner rows are not wanted */

	/* for EXPLAIN ANALYZE */
	uint64		nbatches;
	uint64		total_ranges;
} BatchJoin;

static const CustomExecMethods exec_methods;

/* ---- begin ---- */

static Node *
create_batch_join(CustomScan *plan)
{
	BatchJoin  *j = palloc0(sizeof(BatchJoin));

	NodeSetTag(j, T_CustomScanState);
	j->css.methods = &exec_methods;
	return (Node *) j;
}

static void
open_inner(BatchJoin *j, CustomScan *plan, EState *estate, int eflags)
{
	List	   *private = plan->custom_private;
	CustomScanState *css = &j->css;
	List	   *values = list_nth(plan->custom_exprs, KALAM_JOIN_VALUES);
	int			index;

	j->rel = ExecOpenScanRelation(estate, j->inner_rti, eflags);
	j->table = kalam_table_open(j->rel);
	j->conditions.table = j->table;
	index = kalam_find_index(j->table, list_nth(private, KALAM_JOIN_INDEX));
	j->conditions.key = kalam_scan_key(j->table, index);
	j->conditions.alternatives =
		kalam_alternatives_from_list(list_nth(private, KALAM_JOIN_BOUNDS),
									 &j->conditions.nalternatives);
	j->conditions.nvalues = list_length(values);
	j->conditions.values = kalam_values_begin(values, j->conditions.nvalues, (PlanState *) css);
	j->conditions.econtext = css->ss.ps.ps_ExprContext;
	if (list_nth(private, KALAM_JOIN_FILTER) != NIL)
		j->merge.filter =
			kalam_filter_begin(kalam_ship_steps_from_list(list_nth(private, KALAM_JOIN_FILTER)),
							   j->conditions.values, j->conditions.nvalues, j->rel);
	j->joinqual = ExecInitQual(list_nth(plan->custom_exprs, KALAM_JOIN_QUALS), (PlanState *) css);
	j->outer_slot = ExecInitExtraTupleSlot(estate, ExecGetResultType(j->outer),
										   &TTSOpsMinimalTuple);
	if (boolVal(list_nth(private, KALAM_JOIN_ONLY)))
		j->only = kalam_key_reading_begin(j->table, &j->conditions.key,
										  list_nth(private, KALAM_JOIN_ATTNUMS),
										  RelationGetDescr(j->rel));
	j->inner_slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(j->rel),
										   j->only ? &TTSOpsVirtual : &TTSOpsMinimalTuple);
	j->stamp = kalam_snapshot_stamp(estate->es_snapshot);
	kalam_record_check_snapshot(j->table, j->rel, j->stamp);
	if (index != KALAM_PRIMARY_KEY)
		kalam_index_check_snapshot(j->table, &j->table->indexes[index], j->rel, j->stamp);
	j->command_id = estate->es_snapshot->curcid;
	j->owner = GetCurrentSubTransactionId();
	for (int i = 0; i < lengthof(j->batches); i++)
		j->batches[i].context = AllocSetContextCreate(estate->es_query_cxt, "kalam join batch",
													  ALLOCSET_DEFAULT_SIZES);
	j->now = &j->batches[0];
	j->ahead = &j->batches[1];
	j->merge.context = estate->es_query_cxt;
	j->merge.point.ttl = estate->es_epq_active == NULL ? kalam_query_cache_ttl_of(j->table) : 0;
	j->input.context = estate->es_query_cxt;
}

static void
begin_batch_join(CustomScanState *css, EState *estate, int eflags)
{
	BatchJoin  *j = (BatchJoin *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	List	   *private = plan->custom_private;
	List	   *attnums = list_nth(private, KALAM_JOIN_ATTNUMS);
	TargetEntry *inner = llast_node(TargetEntry, plan->custom_scan_tlist);
	ListCell   *lc;

	j->outer = ExecInitNode(linitial(plan->custom_plans), estate, eflags & ~EXEC_FLAG_REWIND);
	css->custom_ps = list_make1(j->outer);
	j->jointype = (JoinType) intVal(list_nth(private, KALAM_JOIN_TYPE));
	j->single_match = boolVal(list_nth(private, KALAM_JOIN_SINGLE_MATCH));
	j->sorts = !boolVal(list_nth(private, KALAM_JOIN_KEEPS_ORDER));
	j->nouter = intVal(list_nth(private, KALAM_JOIN_NOUTER));
	j->ninner = list_length(plan->custom_scan_tlist) - j->nouter;
	j->nread = list_length(attnums);
	j->attnums = palloc(j->nread * sizeof(AttrNumber));
	foreach(lc, attnums)
	{
		j->attnums[foreach_current_index(lc)] = lfirst_int(lc);
		j->max_attnum = Max(j->max_attnum, lfirst_int(lc));
	}
	/* the keys come from inner columns, so there is one */
	j->inner_rti = castNode(Var, inner->expr)->varno;
	j->size = KALAM_BATCH_FIRST;
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		open_inner(j, plan, estate, eflags);
}

/* ---- the scan tuple ---- */

/* Puts an outer row into the scan tuple, with nulls behind it. */
static void
load_outer(BatchJoin *j, MinimalTuple row)
{
	TupleTableSlot *slot = j->css.ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	ExecStoreMinimalTuple(row, j->outer_slot, false);
	slot_getallattrs(j->outer_slot);
	memcpy(slot->tts_values, j->outer_slot->tts_values, j->nouter * sizeof(Datum));
	memcpy(slot->tts_isnull, j->outer_slot->tts_isnull, j->nouter * sizeof(bool));
	memset(slot->tts_isnull + j->nouter, true, j->ninner * sizeof(bool));
	ExecStoreVirtualTuple(slot);
}

static void
load_inner(BatchJoin *j)
{
	TupleTableSlot *slot = j->css.ss.ss_ScanTupleSlot;

	if (j->only != NULL)
		kalam_key_reading_store(j->only, &j->inner, j->inner_slot);
	else
	{
		ExecStoreMinimalTuple(j->inner.tuple, j->inner_slot, false);
		slot_getsomeattrs(j->inner_slot, j->max_attnum);
	}
	for (int i = 0; i < j->nread; i++)
	{
		slot->tts_values[j->nouter + i] = j->inner_slot->tts_values[j->attnums[i] - 1];
		slot->tts_isnull[j->nouter + i] = j->inner_slot->tts_isnull[j->attnums[i] - 1];
	}
}

/* ---- batches ---- */

static const uint8 *
keep_key(Batch *b, const uint8 *key, uint16 len)
{
	uint8	   *kept;

	if (len > b->keys_left)
	{
		b->keys_left = Max(KEYS_BYTES, len);
		b->keys = palloc(b->keys_left);
	}
	kept = memcpy(b->keys, key, len);
	b->keys += len;
	b->keys_left -= len;
	return kept;
}

static void
add_range(Batch *b, const KalamKeyRange *range)
{
	KalamKeyRange *r;

	if (b->nranges == b->ranges_room)
	{
		b->ranges_room = Max(2 * b->ranges_room, FIRST_ROOM);
		if (b->ranges == NULL)
			b->ranges = palloc(b->ranges_room * sizeof(KalamKeyRange));
		else
			b->ranges = repalloc_huge(b->ranges, b->ranges_room * sizeof(KalamKeyRange));
	}
	r = &b->ranges[b->nranges++];
	*r = *range;
	r->lower = keep_key(b, range->lower, range->lower_len);
	if (range->upper_len > 0)
		r->upper = keep_key(b, range->upper, range->upper_len);
}

static int
compare_lower(const KalamKeyRange *a, const KalamKeyRange *b)
{
	return kalam_key_compare(a->lower, a->lower_len, b->lower, b->lower_len);
}

/* Does the row ask for just one key, and the row before it for the same? */
static bool
is_same_key(const OuterRow *before, const OuterRow *row, const KalamKeyRange *ranges)
{
	return row->n == 1 && before->n == 1 && ranges[row->first].upper_len == 0 &&
		ranges[before->first].upper_len == 0 &&
		compare_lower(&ranges[before->first], &ranges[row->first]) == 0;
}

/* Bytes of a key behind what all keys of a table begin with, to be compared as a number. */
static uint64
beginning(const KalamKeyRange *range)
{
	uint8		bytes[8] = {0};
	int			len = Min(range->lower_len - KALAM_KEY_PREFIX_BYTES, (int) sizeof(bytes));

	if (len > 0)
		memcpy(bytes, range->lower + KALAM_KEY_PREFIX_BYTES, len);
	return kalam_get_be64(bytes);
}

static OuterRow *
add_row(Batch *b)
{
	if (b->n == b->rows_room)
	{
		b->rows_room = Max(2 * b->rows_room, FIRST_ROOM);
		if (b->rows == NULL)
			b->rows = palloc(b->rows_room * sizeof(OuterRow));
		else
			b->rows = repalloc(b->rows, b->rows_room * sizeof(OuterRow));
	}
	return &b->rows[b->n];
}

/* Takes an outer row into the batch, and the ranges that it asks for. */
static void
add_outer(BatchJoin *j, Batch *b, TupleTableSlot *slot)
{
	ExprContext *econtext = j->css.ss.ps.ps_ExprContext;
	OuterRow   *row = add_row(b);
	KalamKeyRanges ranges;

	row->tuple = ExecCopySlotMinimalTuple(slot);
	row->first = b->nranges;
	row->n = 0;
	load_outer(j, row->tuple);
	econtext->ecxt_scantuple = j->css.ss.ss_ScanTupleSlot;
	if (!j->empty)
	{
		MemoryContext old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);

		ranges = kalam_compute_ranges(&j->conditions);
		MemoryContextSwitchTo(old);
		row->n = ranges.n;
		for (int i = 0; i < ranges.n; i++)
			add_range(b, &ranges.ranges[i]);
	}
	if (j->sorts && row->n > 0)
		row->begins = beginning(&b->ranges[row->first]);
	if (j->sorts && b->n > 0 && b->ascends)
		b->ascends = row[-1].n > 0 && row->n > 0 &&
			compare_lower(&b->ranges[row[-1].first], &b->ranges[row->first]) <= 0;
	b->n++;
	ResetExprContext(econtext);
}

/* Rows that ask for nothing come first; equal ones as they came. */
static int
compare_outer(const void *a, const void *b, void *arg)
{
	const OuterRow *x = a;
	const OuterRow *y = b;
	const KalamKeyRange *ranges = arg;
	int			cmp = (x->n > 0) - (y->n > 0);

	if (cmp == 0 && x->n > 0 && x->begins != y->begins)
		return x->begins < y->begins ? -1 : 1;
	if (cmp == 0 && x->n > 0)
		cmp = compare_lower(&ranges[x->first], &ranges[y->first]);
	return cmp != 0 ? cmp : x->first - y->first;
}

/* Makes one list of the ranges of all rows, in the order in which they are joined. */
static void
list_ranges(Batch *b, bool sorts)
{
	KalamKeyRange *unsorted = b->ranges;
	int			n = 0;

	if (sorts && !b->ascends)
	{
		qsort_arg(b->rows, b->n, sizeof(OuterRow), compare_outer, unsorted);
		b->ranges = MemoryContextAllocHuge(b->context,
										   Max(b->nranges, 1) * sizeof(KalamKeyRange));
	}
	b->range_row = MemoryContextAllocHuge(b->context, Max(b->nranges, 1) * sizeof(int));
	for (int i = 0; i < b->n; i++)
		b->rows[i].shares = i > 0 && is_same_key(&b->rows[i - 1], &b->rows[i], unsorted);
	for (int i = 0; i < b->n; i++)
		for (int k = 0; k < b->rows[i].n && !b->rows[i].shares; k++)
		{
			b->range_row[n] = i;
			/* (never behind what is still to be read, if it is the same array) */
			b->ranges[n++] = unsorted[b->rows[i].first + k];
		}
	b->nranges = n;
}

static void
reset_batch(Batch *b)
{
	MemoryContext context = b->context;

	MemoryContextReset(context);
	*b = (Batch) {.context = context, .ascends = true};
}

static void
close_batch(BatchJoin *j)
{
	if (j->merge.open)
		kalam_merge_close(&j->merge);
	ExecClearTuple(j->css.ss.ss_ScanTupleSlot);
	ExecClearTuple(j->outer_slot);
	ExecClearTuple(j->inner_slot);
	reset_batch(j->now);
	j->at = j->head = 0;
	j->have_inner = false;
	j->loaded = j->paired = j->matched = j->skips = false;
}

/* Reads the outer rows of a batch; none, if there are no more. */
static void
prepare_batch(BatchJoin *j, Batch *b)
{
	/* (there may be two) */
	Size		most = (Size) work_mem * 1024 / 2;

	reset_batch(b);
	while (!j->outer_done && b->n < j->size &&
		   (b->n == 0 || MemoryContextMemAllocated(b->context, false) <= most))
	{
		TupleTableSlot *row = ExecProcNode(j->outer);
		MemoryContext old;

		if (TupIsNull(row))
		{
			j->outer_done = true;
			break;
		}
		old = MemoryContextSwitchTo(b->context);
		add_outer(j, b, row);
		MemoryContextSwitchTo(old);
	}
	list_ranges(b, j->sorts);
	j->size = Min(j->size * KALAM_BATCH_GROWTH, KALAM_BATCH_MOST);
}

/* Asks for the inner rows of the batch. */
static void
open_batch(BatchJoin *j)
{
	KalamRange	range = {0};

	j->nbatches++;
	j->total_ranges += j->now->nranges;
	j->inner_done = j->now->nranges == 0;
	if (j->inner_done)
		return;
	range.object_id = j->table->object_id;
	if (j->conditions.key.index != NULL)
		range.flags |= KALAM_SCAN_INDEX;
	if (j->only != NULL)
		range.flags |= kalam_key_reading_flags(j->only);
	if (j->css.ss.ps.state->es_instrument & INSTRUMENT_BUFFERS)
		range.flags |= KALAM_SCAN_MEASURE;
	range.stamp = j->stamp;
	range.owner = j->owner;
	range.input = j->input.len > 0 ? j->input.bytes : NULL;
	range.input_len = j->input.len;
	range.first_bytes = j->now->n > 1 ? FIRST_BYTES : 0;
	kalam_merge_open_list(&j->merge, &range, j->now->ranges, j->now->nranges, j->command_id);
}

/* Goes on to the next batch.  False: there are no outer rows left. */
static bool
next_batch(BatchJoin *j)
{
	Batch	   *b = j->ahead;

	close_batch(j);
	j->ahead = j->now;
	j->now = b;
	if (!j->started)
		j->empty = kalam_table_object(j->table) == KALAM_OBJECT_NONE ||
			!kalam_filter_start(j->merge.filter, j->css.ss.ps.ps_ExprContext, &j->input);
	j->started = true;
	if (b->n == 0)
		prepare_batch(j, b);
	if (b->n == 0)
		return false;
	open_batch(j);
	if (b->n >= KALAM_BATCH_AHEAD && !j->inner_done)
		prepare_batch(j, j->ahead);
	return true;
}

/* ---- pairs ---- */

/* The outer row of the next inner row; n if there is none. */
static int
row_of_next_inner(BatchJoin *j)
{
	if (!j->have_inner && !j->inner_done)
	{
		j->have_inner = kalam_merge_next(&j->merge, &j->inner);
		j->inner_done = !j->have_inner;
	}
	return j->have_inner ? j->now->range_row[j->inner.range] : j->now->n;
}

static void
load_outer_once(BatchJoin *j)
{
	if (!j->loaded)
		load_outer(j, j->now->rows[j->at].tuple);
	j->loaded = true;
}

static TupleTableSlot *
filter_and_project(BatchJoin *j)
{
	ScanState  *ss = &j->css.ss;

	if (!ExecQual(ss->ps.qual, ss->ps.ps_ExprContext))
	{
		InstrCountFiltered1(j, 1);
		return NULL;
	}
	return ss->ps.ps_ProjInfo ? ExecProject(ss->ps.ps_ProjInfo) : ss->ss_ScanTupleSlot;
}

/* Does the next outer row ask for the key that this one asked for? */
static bool
next_shares(const BatchJoin *j)
{
	return j->at + 1 < j->now->n && j->now->rows[j->at + 1].shares;
}

/* The outer row has no more inner rows: gives it without one, if the join does. */
static TupleTableSlot *
finish_outer(BatchJoin *j)
{
	TupleTableSlot *slot = j->css.ss.ss_ScanTupleSlot;
	TupleTableSlot *result = NULL;

	if (!j->matched && (j->jointype == JOIN_LEFT || j->jointype == JOIN_ANTI))
	{
		load_outer_once(j);
		memset(slot->tts_isnull + j->nouter, true, j->ninner * sizeof(bool));
		result = filter_and_project(j);
	}
	/* the inner row that was taken is still there */
	if (next_shares(j))
		j->have_inner |= j->paired;
	else
		j->head = j->at + 1;
	j->at++;
	j->loaded = j->paired = j->matched = j->skips = false;
	return result;
}

/* Takes the next inner row together with its outer row. */
static TupleTableSlot *
take_pair(BatchJoin *j)
{
	j->have_inner = false;
	j->paired = true;
	if (j->skips)
		return NULL;
	load_outer_once(j);
	load_inner(j);
	if (!ExecQual(j->joinqual, j->css.ss.ps.ps_ExprContext))
	{
		InstrCountFiltered2(j, 1);
		return NULL;
	}
	j->matched = true;
	j->skips = j->single_match || j->jointype == JOIN_ANTI;
	return j->jointype == JOIN_ANTI ? NULL : filter_and_project(j);
}

static TupleTableSlot *
exec_batch_join(CustomScanState *css)
{
	BatchJoin  *j = (BatchJoin *) css;
	ExprContext *econtext = css->ss.ps.ps_ExprContext;

	for (;;)
	{
		TupleTableSlot *result;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		if (j->at == j->now->n)
		{
			if (!next_batch(j))
				return NULL;
			continue;
		}
		econtext->ecxt_scantuple = css->ss.ss_ScanTupleSlot;
		/* a key has one row at most, and the next one may want it too */
		if ((j->paired && next_shares(j)) || row_of_next_inner(j) > j->head)
			result = finish_outer(j);
		else
			result = take_pair(j);
		if (result != NULL)
			return result;
	}
}

/* ---- end, and again ---- */

static void
end_batch_join(CustomScanState *css)
{
	BatchJoin  *j = (BatchJoin *) css;

	if (j->table != NULL)
	{
		close_batch(j);
		if (j->merge.cost.query_hits + j->merge.cost.query_misses > 0)
			kalam_count_cache(j->table, j->merge.cost.query_hits, j->merge.cost.query_misses);
		kalam_table_close(j->table);
	}
	ExecEndNode(j->outer);
}

static void
rescan_batch_join(CustomScanState *css)
{
	BatchJoin  *j = (BatchJoin *) css;

	close_batch(j);
	reset_batch(j->ahead);
	j->size = KALAM_BATCH_FIRST;
	j->outer_done = false;
	j->started = false;
	if (css->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(j->outer, css->ss.ps.chgParam);
	/* else it is done again by the first call */
	if (j->outer->chgParam == NULL)
		ExecReScan(j->outer);
}

/* ---- EXPLAIN ---- */

static void
explain_quals(const char *label, List *quals, CustomScanState *css, List *ancestors,
			  ExplainState *es)
{
	List	   *context;

	if (quals == NIL)
		return;
	context = set_deparse_context_plan(es->deparse_cxt, css->ss.ps.plan, ancestors);
	ExplainPropertyText(label, deparse_expression((Node *) make_ands_explicit(quals), context,
												  true, false), es);
}

/* The inner table, with its alias if that is another name. */
static const char *
inner_name(const BatchJoin *j, const ExplainState *es)
{
	const char *name = get_rel_name(rt_fetch(j->inner_rti, es->rtable)->relid);
	const char *alias = list_nth(es->rtable_names, j->inner_rti - 1);

	if (name == NULL || strcmp(name, alias) == 0)
		return quote_identifier(alias);
	return psprintf("%s %s", quote_identifier(name), quote_identifier(alias));
}

static const char *
join_type_name(JoinType jointype)
{
	switch (jointype)
	{
		case JOIN_LEFT:
			return "Left";
		case JOIN_SEMI:
			return "Semi";
		case JOIN_ANTI:
			return "Anti";
		default:
			return "Inner";
	}
}

static void
explain_batch_join(CustomScanState *css, List *ancestors, ExplainState *es)
{
	BatchJoin  *j = (BatchJoin *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	List	   *quals = list_nth(plan->custom_exprs, KALAM_JOIN_QUALS);
	String	   *index = list_nth(plan->custom_private, KALAM_JOIN_INDEX);
	KalamScanCost cost;

	ExplainPropertyText("Join Type", join_type_name(j->jointype), es);
	ExplainPropertyText("Inner Relation", inner_name(j, es), es);
	if (index != NULL)
		ExplainPropertyText("Index", kalam_planned_index_name(index), es);
	if (boolVal(list_nth(plan->custom_private, KALAM_JOIN_ONLY)))
		ExplainPropertyBool("Keys Only", true, es);
	explain_quals("Key Cond", list_nth(plan->custom_exprs, KALAM_JOIN_KEY_QUALS), css, ancestors,
				  es);
	explain_quals("Storage Filter", list_nth(plan->custom_exprs, KALAM_JOIN_SHIPPED), css,
				  ancestors, es);
	explain_quals("Join Filter", quals, css, ancestors, es);
	if (!es->analyze)
		return;
	if (quals != NIL && css->ss.ps.instrument != NULL &&
		(es->format != EXPLAIN_FORMAT_TEXT || css->ss.ps.instrument->nfiltered2 > 0))
		ExplainPropertyFloat("Rows Removed by Join Filter", NULL,
							 css->ss.ps.instrument->nfiltered2 /
							 Max(css->ss.ps.instrument->nloops, 1), 0, es);
	/* (of parallel processes, each knows its own) */
	if (j->nbatches == 0)
		return;
	ExplainPropertyUInteger("Batches", NULL, j->nbatches, es);
	cost = kalam_merge_cost(&j->merge);
	kalam_explain_cost(j->total_ranges, &cost, es);
}

static const CustomExecMethods exec_methods = {
	.CustomName = KALAM_BATCH_JOIN_NAME,
	.BeginCustomScan = begin_batch_join,
	.ExecCustomScan = exec_batch_join,
	.EndCustomScan = end_batch_join,
	.ReScanCustomScan = rescan_batch_join,
	.ExplainCustomScan = explain_batch_join
};

const CustomScanMethods kalam_batch_join_methods = {
	.CustomName = KALAM_BATCH_JOIN_NAME,
	.CreateCustomScanState = create_batch_join
};
