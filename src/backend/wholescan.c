/*
 * wholescan.c
 *	  Scans of whole tables outside the executor: see wholescan.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "src/backend/ddl.h"
#include "src/backend/keyrange.h"
#include "src/backend/merge.h"
#include "src/backend/wholescan.h"

struct KalamWholeScan
{
	KalamTable *table;
	KalamMerge	merge;
};

KalamWholeScan *
kalam_whole_scan_begin(Relation rel)
{
	KalamWholeScan *scan = palloc0(sizeof(KalamWholeScan));
	KalamRange	range = {0};

	scan->merge.context = CurrentMemoryContext;
	scan->table = kalam_table_open(rel);
	if (kalam_table_object(scan->table) != KALAM_OBJECT_NONE)
	{
		KalamScanKey key = kalam_scan_key(scan->table, KALAM_PRIMARY_KEY);
		KalamKeyRange whole = kalam_whole_range(scan->table, &key);

		range.flags = KALAM_SCAN_KEYS | KALAM_SCAN_NEWEST;
		range.object_id = scan->table->object_id;
		range.lower = whole.lower;
		range.lower_len = whole.lower_len;
		range.upper = whole.upper;
		range.upper_len = whole.upper_len;
		kalam_merge_open(&scan->merge, &range, GetCurrentCommandId(false));
	}
	return scan;
}

MinimalTuple
kalam_whole_scan_next(KalamWholeScan *scan, const uint8 **key, size_t *key_len)
{
	KalamMergedRow row;

	CHECK_FOR_INTERRUPTS();
	if (!scan->merge.open || !kalam_merge_next(&scan->merge, &row))
		return NULL;
	*key = row.key;
	*key_len = row.key_len;
	return row.tuple;
}

void
kalam_whole_scan_end(KalamWholeScan *scan)
{
	if (scan->merge.open)
		kalam_merge_close(&scan->merge);
	kalam_table_close(scan->table);
	pfree(scan);
}
