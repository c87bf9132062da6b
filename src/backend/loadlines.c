/*
 * loadlines.c
 *	  From which lines of COPY the rows of a load come: see loadlines.h.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/tuptable.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/loadlines.h"
#include "src/backend/table.h"
#include "src/shared/segment.h"

/* 16 MB; of rows beyond that the line is not told. */
#define MAX_LINES	((uint32) 1 << 20)

typedef struct Line
{
	uint64		hash;			/* of the row's key */
	uint64		number;
} Line;

struct KalamLines
{
	MemoryContext context;
	uint32		n;
	uint32		size;
	Line	   *lines;
};

KalamLines *
kalam_lines_create(MemoryContext context)
{
	KalamLines *l = MemoryContextAllocZero(context, sizeof(KalamLines));

	l->context = context;
	return l;
}

void
kalam_lines_free(KalamLines *l)
{
	if (l->lines != NULL)
		pfree(l->lines);
	pfree(l);
}

void
kalam_lines_note(KalamLines *l, const uint8 *key, size_t key_len, uint64 line)
{
	if (l->n == MAX_LINES)
		return;
	if (l->n == l->size)
	{
		uint32		size = Max(64, 2 * l->size);

		l->lines = l->lines == NULL ? MemoryContextAlloc(l->context, size * sizeof(Line)) :
			repalloc(l->lines, size * sizeof(Line));
		l->size = size;
	}
	l->lines[l->n].hash = kalam_hash(key, key_len, 0);
	l->lines[l->n].number = line;
	l->n++;
}

uint64
kalam_lines_find(const KalamLines *l, Oid relid, MinimalTuple row)
{
	Relation	rel = table_open(relid, NoLock);
	KalamTable *table = kalam_table_open_for_context(rel);
	uint64		line = 0;

	if (table->nkeys > 0)
	{
		TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
		uint8		key[KALAM_MAX_KEY_BYTES];
		uint64		hash;

		ExecStoreMinimalTuple(row, slot, false);
		(void) kalam_table_object(table);
		hash = kalam_hash(key, kalam_table_row_key(table, rel, slot, key), 0);
		for (uint32 i = 0; line == 0 && i < l->n; i++)
			if (l->lines[i].hash == hash)
				line = l->lines[i].number;
		ExecDropSingleTupleTableSlot(slot);
	}
	table_close(rel, NoLock);
	return line;
}
