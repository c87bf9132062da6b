/*
 * uppergroups.c
 *	  The rows of a scan whose aggregates are computed below it: partial groups.
 *
 * Most come from storage.  Rows come instead where this transaction has changed
 * what is scanned, of a single key, and if they fit into no group: they are
 * aggregated here, by the same code, and given out when there are many groups or
 * the scan is at its end.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/merge.h"
#include "src/backend/ship.h"
#include "src/backend/upper.h"

struct KalamGroups
{
	KalamUpper	upper;
	TupleDesc	desc;			/* of the table */
	FormData_pg_attribute measured; /* the type of how long values are: int4 */
	TupleTableSlot *slot;
	MemoryContext context;		/* of what the slot points to */
	KalamScanSection *section;	/* header, and the bytes of the aggregation */
	uint32		section_len;

	KalamAggregator *here;
	uint32		next;			/* group of it to be given out, */
	bool		giving;			/* if so */
	bool		at_end;			/* of the merge */
	const uint8 *row;			/* waits for room in it, or NULL */
	Size		row_len;

	KalamAggregateResult results[KALAM_AGGREGATE_MAX_ITEMS];
	KalamRowValue groups[KALAM_AGGREGATE_MAX_GROUP];
};

/* ---- beginning ---- */

static int
last_column(const KalamUpper *upper)
{
	int			last = 0;
	ListCell   *lc;

	foreach(lc, upper->group)
		last = Max(last, lfirst_int(lc));
	foreach(lc, upper->items)
		last = Max(last, lsecond_int(lfirst(lc)));
	return last;
}

/* Writes the section; with to NULL only its length is told. */
static Size
write_section(const KalamGroups *g, uint8 *to)
{
	KalamAggregationHeader head = {
		.nfields = last_column(&g->upper), .ngroup = list_length(g->upper.group),
		.nitems = list_length(g->upper.items)
	};
	Size		group = sizeof(head) + KALAM_ALIGN8(head.nfields * sizeof(KalamRowField));
	Size		items = group + KALAM_ALIGN8(head.ngroup * sizeof(uint16));
	ListCell   *lc;

	if (to == NULL)
		return items + head.nitems * sizeof(KalamAggregateItem);
	memcpy(to, &head, sizeof(head));
	kalam_row_layout((KalamRowField *) (to + sizeof(head)), head.nfields, g->desc);
	foreach(lc, g->upper.group)
		((uint16 *) (to + group))[foreach_current_index(lc)] = lfirst_int(lc) - 1;
	foreach(lc, g->upper.items)
	{
		int			attnum = lsecond_int(lfirst(lc));
		KalamAggregateItem *item = (KalamAggregateItem *) (to + items) + foreach_current_index(lc);

		item->op = linitial_int(lfirst(lc));
		item->measure = lthird_int(lfirst(lc));
		item->field = attnum > 0 ? attnum - 1 : KALAM_AGG_NO_FIELD;
	}
	return 0;
}

KalamGroups *
kalam_groups_begin(List *upper, Relation rel, ForeignScanState *node)
{
	KalamGroups *g = palloc0(sizeof(KalamGroups));
	EState	   *estate = node->ss.ps.state;
	const char *why = "it is too long";
	const uint8 *bytes;
	Size		len;
	Size		memory;

	kalam_upper_from_list(&g->upper, upper);
	g->desc = RelationGetDescr(rel);
	g->measured.atttypid = INT4OID;
	g->measured.attlen = sizeof(int32);
	g->measured.attbyval = true;
	g->slot = ExecInitExtraTupleSlot(estate, node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
									 &TTSOpsVirtual);
	g->context = AllocSetContextCreate(CurrentMemoryContext, "kalam groups",
									   ALLOCSET_SMALL_SIZES);
	len = write_section(g, NULL);
	g->section_len = KALAM_ALIGN8(sizeof(KalamScanSection) + len);
	g->section = palloc0(g->section_len);
	g->section->kind = KALAM_SECTION_AGGREGATE;
	g->section->len = len;
	(void) write_section(g, (uint8 *) (g->section + 1));

	bytes = (const uint8 *) (g->section + 1);
	memory = kalam_aggregator_memory(bytes, len);
	if (memory > 0)
		g->here = kalam_aggregator_open(bytes, len, palloc(memory), &why);
	if (g->here == NULL)
		elog(ERROR, "kalam: the aggregation of a scan is none: %s", why);
	return g;
}

const uint8 *
kalam_groups_section(const KalamGroups *g, uint32 *len)
{
	*len = g->section_len;
	return (const uint8 *) g->section;
}

bool
kalam_groups_in_order(const KalamGroups *g)
{
	return g->upper.in_order;
}

void
kalam_groups_reset(KalamGroups *g)
{
	ExecClearTuple(g->slot);
	MemoryContextReset(g->context);
	kalam_aggregator_clear(g->here);
	g->next = 0;
	g->giving = g->at_end = false;
	g->row = NULL;
}

/* ---- groups ---- */

static void pg_attribute_noreturn()
damaged(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a row of a kalam table is damaged")));
}

/* The type of the values of an item; NULL: it has none. */
static Form_pg_attribute
type_of_item(KalamGroups *g, List *item)
{
	int			attnum = lsecond_int(item);

	if (lthird_int(item) != KALAM_MEASURE_NONE)
		return &g->measured;
	return attnum > 0 ? TupleDescAttr(g->desc, attnum - 1) : NULL;
}

/* Puts what results and groups say into the slot. */
static TupleTableSlot *
give(KalamGroups *g)
{
	MemoryContext old;
	ListCell   *lc;

	ExecClearTuple(g->slot);
	MemoryContextReset(g->context);
	old = MemoryContextSwitchTo(g->context);
	foreach(lc, g->upper.columns)
	{
		int			column = foreach_current_index(lc);
		int			number = (int) linitial_oid(lfirst(lc));
		Oid			transfn = lsecond_oid(lfirst(lc));
		bool	   *isnull = &g->slot->tts_isnull[column];
		AttrNumber	attnum;

		if (OidIsValid(transfn))
		{
			g->slot->tts_values[column] =
				kalam_transition_state(transfn, &g->results[number],
									   type_of_item(g, list_nth(g->upper.items, number)), isnull);
			continue;
		}
		attnum = list_nth_int(g->upper.group, number);
		*isnull = g->groups[number].at == NULL;
		g->slot->tts_values[column] = *isnull ? (Datum) 0 :
			kalam_datum_of_bytes(g->groups[number], TupleDescAttr(g->desc, attnum - 1));
	}
	MemoryContextSwitchTo(old);
	return ExecStoreVirtualTuple(g->slot);
}

static TupleTableSlot *
give_group(KalamGroups *g, const uint8 *group, Size len)
{
	if (!kalam_aggregate_read(g->here, group, len, g->results, g->groups))
		damaged();
	return give(g);
}

static TupleTableSlot *
give_row(KalamGroups *g)
{
	if (!kalam_aggregate_row(g->here, g->row, g->row_len, g->results, g->groups))
		damaged();
	g->row = NULL;
	return give(g);
}

TupleTableSlot *
kalam_groups_next(KalamGroups *g, KalamMerge *merge)
{
	for (;;)
	{
		KalamMergedRow row;

		CHECK_FOR_INTERRUPTS();
		if (g->giving)
		{
			if (g->next < kalam_aggregator_groups(g->here))
			{
				Size		len;
				const uint8 *group = kalam_aggregator_group(g->here, g->next++, &len);

				return give_group(g, group, len);
			}
			kalam_aggregator_clear(g->here);
			g->giving = false;
			g->next = 0;
		}
		if (g->at_end)
		{
			/* a scan that goes on with another piece comes again */
			g->at_end = false;
			return ExecClearTuple(g->slot);
		}
		if (g->row == NULL)
		{
			if (!kalam_merge_next(merge, &row))
			{
				g->at_end = g->giving = true;
				continue;
			}
			g->row = (const uint8 *) row.tuple + KALAM_TUPLE_BODY_OFFSET;
			g->row_len = row.tuple->t_len - KALAM_TUPLE_BODY_OFFSET;
			if (row.group)
			{
				const uint8 *group = g->row;

				g->row = NULL;
				return give_group(g, group, g->row_len);
			}
		}
		switch (kalam_aggregator_take(g->here, g->row, g->row_len))
		{
			case KALAM_TAKEN:
				g->row = NULL;
				break;
			case KALAM_TAKE_FULL:
				g->giving = true;
				break;
			case KALAM_TAKE_UNFIT:
				return give_row(g);
			case KALAM_TAKE_DAMAGED:
				damaged();
		}
	}
}
