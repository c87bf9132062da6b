/*
 * rowmark.c
 *	  Late row locking: see rowmark.h.
 *
 * After the lock the row is compared with what the scan saw; the executor puts
 * one that has changed through the query again.  Small rows are kept with their
 * keys, so that an unchanged one, the usual case, needs no second look-up.
 * Past work_mem they lie in a temporary file.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/row.h"
#include "src/backend/rowlock.h"
#include "src/backend/rowmark.h"
#include "src/backend/spill.h"
#include "src/shared/record_list.h"

/* Rows are kept with their keys if they are small, or there are few of them. */
#define SMALL_ROW_BYTES		256
#define LARGE_ROWS_BYTES	(1024 * 1024)

typedef struct MarkedRow
{
	uint32		own_command;	/* of an own version: who wrote it, plus one; 0: stored */
	uint32		tuple_len;		/* 0: to be looked up */
	uint16		key_len;
	uint16		unused[3];
	char		tuple[FLEXIBLE_ARRAY_MEMBER];	/* then the key */
} MarkedRow;

struct KalamMarkedRows
{
	dlist_node	node;			/* in active */
	EState	   *estate;
	Index		rti;
	Relation	rel;
	KalamTable *table;
	uint64		stamp;
	KalamRecordList *list;		/* of MarkedRow */
	Size		large_bytes;	/* of the copies of rows that are not small */
};

static dlist_head active = DLIST_STATIC_INIT(active);

/* The query's memory goes, also behind an error. */
static void
forget(void *arg)
{
	KalamMarkedRows *rows = arg;

	kalam_records_close_file(rows->list);
	dlist_delete(&rows->node);
}

/* After an error queries are forgotten only when Postgres has closed our files. */
void
kalam_marked_rows_at_xact_end(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &active)
		kalam_records_close_file(dlist_container(KalamMarkedRows, node, iter.cur)->list);
}

KalamMarkedRows *
kalam_marked_rows_begin(EState *estate, Index rti, Relation rel, KalamTable *table, uint64 stamp)
{
	MemoryContext cxt = estate->es_query_cxt;
	KalamMarkedRows *rows = MemoryContextAllocZero(cxt, sizeof(KalamMarkedRows));
	MemoryContextCallback *callback = MemoryContextAlloc(cxt, sizeof(MemoryContextCallback));
	KalamStagedMemory memory = kalam_spill_memory(cxt);
	KalamRunFiles files = kalam_spill_files();

	rows->estate = estate;
	rows->rti = rti;
	rows->rel = rel;
	rows->table = table;
	rows->stamp = stamp;
	rows->list = kalam_records_create(&memory, &files, (Size) work_mem * 1024);
	dlist_push_head(&active, &rows->node);
	callback->func = forget;
	callback->arg = rows;
	MemoryContextRegisterResetCallback(cxt, callback);
	return rows;
}

void
kalam_marked_rows_add(KalamMarkedRows *rows, const KalamMergedRow *row, ItemPointer tid)
{
	uint32		tuple_len = row->tuple->t_len;
	uint64		number = kalam_records_count(rows->list);
	MarkedRow  *m;

	if (tuple_len > SMALL_ROW_BYTES)
	{
		if (rows->large_bytes + tuple_len > LARGE_ROWS_BYTES)
			tuple_len = 0;
		rows->large_bytes += tuple_len;
	}
	m = kalam_records_add(rows->list, offsetof(MarkedRow, tuple) + tuple_len + row->key_len);
	m->own_command = row->own_command;
	m->tuple_len = tuple_len;
	m->key_len = (uint16) row->key_len;
	memset(m->unused, 0, sizeof(m->unused));
	memcpy(m->tuple, row->tuple, tuple_len);
	memcpy(m->tuple + tuple_len, row->key, row->key_len);
	kalam_row_id_to_tid(number, tid);
}

static inline const uint8 *
marked_key(const MarkedRow *m)
{
	return (const uint8 *) m->tuple + m->tuple_len;
}

RowMarkType
kalam_row_mark_type(RangeTblEntry *rte, LockClauseStrength strength)
{
	switch (strength)
	{
		case LCS_NONE:
			break;
		case LCS_FORKEYSHARE:
			return ROW_MARK_KEYSHARE;
		case LCS_FORSHARE:
			return ROW_MARK_SHARE;
		case LCS_FORNOKEYUPDATE:
			return ROW_MARK_NOKEYEXCLUSIVE;
		case LCS_FORUPDATE:
			return ROW_MARK_EXCLUSIVE;
	}
	return ROW_MARK_COPY;
}

static KalamRowLockMode
lock_mode(RowMarkType type)
{
	switch (type)
	{
		case ROW_MARK_KEYSHARE:
			return KALAM_LOCK_KEY_SHARE;
		case ROW_MARK_SHARE:
			return KALAM_LOCK_SHARE;
		case ROW_MARK_NOKEYEXCLUSIVE:
			return KALAM_LOCK_NO_KEY_UPDATE;
		default:
			return KALAM_LOCK_UPDATE;
	}
}

static KalamMarkedRows *
find_rows(EState *estate, Index rti)
{
	dlist_iter	iter;

	dlist_foreach(iter, &active)
	{
		KalamMarkedRows *rows = dlist_container(KalamMarkedRows, node, iter.cur);

		if (rows->estate == estate && rows->rti == rti)
			return rows;
	}
	elog(ERROR, "a row to be locked comes from no scan of a kalam table");
	return NULL;
}

/* Fills the slot with a copy. */
static void
give(TupleTableSlot *slot, KalamMarkedRows *rows, MinimalTuple tuple, Datum rowid)
{
	ExecForceStoreMinimalTuple(heap_copy_minimal_tuple(tuple), slot, true);
	slot->tts_tid = *(ItemPointer) DatumGetPointer(rowid);
	slot->tts_tableOid = RelationGetRelid(rows->rel);
}

/* The row as the scan saw it. */
static void
give_unchanged(TupleTableSlot *slot, KalamMarkedRows *rows, const MarkedRow *m, Datum rowid)
{
	KalamRow   *row;

	if (m->tuple_len > 0)
	{
		give(slot, rows, (MinimalTuple) m->tuple, rowid);
		return;
	}
	row = kalam_get_at(marked_key(m), m->key_len, rows->stamp);
	if (row == NULL)
		elog(ERROR, "a locked row of a kalam table is gone");
	give(slot, rows, kalam_row_tuple(row), rowid);
	pfree(row);
}

/* False: SKIP LOCKED, and it is. */
static bool
lock_row(KalamMarkedRows *rows, ExecRowMark *erm, const uint8 *key, size_t key_len)
{
	return kalam_object_is_new(kalam_get_be32(key)) ||
		kalam_row_lock(kalam_get_be32(key), key, key_len, lock_mode(erm->markType),
					   erm->waitPolicy, RelationGetRelid(rows->rel),
					   RelationGetRelationName(rows->rel)) != KALAM_LOCK_SKIPPED;
}

void
kalam_refetch_row(EState *estate, ExecRowMark *erm, Datum rowid, TupleTableSlot *slot,
				  bool *updated)
{
	KalamMarkedRows *rows = find_rows(estate, erm->rti);
	uint64		number = kalam_tid_to_row_id((ItemPointer) DatumGetPointer(rowid));
	const MarkedRow *m;
	uint8		key[KALAM_MAX_KEY_BYTES];
	size_t		key_len;
	KalamVersion own;
	KalamRowLockMode mode;
	KalamRowFate fate;
	KalamRow   *newest;

	ExecClearTuple(slot);
	if (number >= kalam_records_count(rows->list))
		elog(ERROR, "a row to be locked was not read by its scan");
	m = kalam_records_get(rows->list, number);
	key_len = m->key_len;
	memcpy(key, marked_key(m), key_len);

	if (!lock_row(rows, erm, key, key_len))
		return;

	if (kalam_own_version(key, key_len, &own))
	{
		/* changed by this command or a later one: not to be returned, as in heap */
		if (own.op == KALAM_CHANGE_PUT && m->own_command == own.command_id + 1)
			give(slot, rows, kalam_version_tuple(&own), rowid);
		return;
	}

	mode = lock_mode(erm->markType);
	while ((fate = kalam_read_row_fate(rows->table, rows->rel, key, &key_len, rows->stamp, mode,
									   &newest)) == KALAM_ROW_MOVED)
	{
		CHECK_FOR_INTERRUPTS();
		mode = KALAM_LOCK_UPDATE;	/* what stands there is not what the scan saw */
		if (!lock_row(rows, erm, key, key_len) || kalam_own_version(key, key_len, &own))
			return;
	}
	switch (fate)
	{
		case KALAM_ROW_AS_BEFORE:
			give_unchanged(slot, rows, m, rowid);
			break;
		case KALAM_ROW_UPDATED:
			give(slot, rows, kalam_row_tuple(newest), rowid);
			pfree(newest);
			*updated = true;
			break;
		default:
			break;
	}
}
