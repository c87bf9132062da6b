/*
 * scan_parts.c
 *	  Scans in parts: see scan_parts.h.
 *
 * The ranges of a part may hold rows for which its arm is not true, and rows for
 * which several arms are.  Each row is given by the first part whose arm is true
 * for it.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/restrictinfo.h"

#include "src/backend/scan_parts.h"

struct KalamScanPart
{
	KalamConditions conditions;
	const KalamIndex *index;
	const KalamValue *arm;
};

List *
kalam_parts_to_list(PlannerInfo *root, RelOptInfo *rel, KalamTable *table, List *parts,
					List **exprs)
{
	List	   *list = NIL;
	List	   *arms = NIL;
	ListCell   *lc;

	foreach(lc, parts)
	{
		KalamPathPart *part = lfirst(lc);
		KalamScanKey key = kalam_scan_key(table, part->key);
		KalamKeyMatch *match = kalam_match_key(root, rel, &key, part->clauses, true);

		list = lappend(list, list_make2(kalam_key_for_plan(&key),
										kalam_alternatives_to_list(match->alternatives)));
		*exprs = list_concat(*exprs, kalam_alternatives_values(match->alternatives));
		arms = lappend(arms, make_ands_explicit(extract_actual_clauses(part->arm, false)));
	}
	*exprs = list_concat(*exprs, copyObject(arms));
	return list;
}

static int
count_values(const KalamConditions *conditions)
{
	int			n = 0;

	for (int i = 0; i < conditions->nalternatives; i++)
		for (int j = 0; j < conditions->alternatives[i].nbounds; j++)
			n += conditions->alternatives[i].bounds[j].nvalues;
	return n;
}

void
kalam_parts_begin(KalamScan *scan, List *parts)
{
	KalamValue *values = scan->conditions.values;

	scan->nparts = list_length(parts);
	scan->parts = palloc0(scan->nparts * sizeof(KalamScanPart));
	for (int i = 0; i < scan->nparts; i++)
	{
		List	   *one = list_nth(parts, i);
		KalamScanPart *part = &scan->parts[i];
		int			number = kalam_find_index(scan->table, linitial(one));

		part->conditions = scan->conditions;
		part->conditions.key = kalam_scan_key(scan->table, number);
		part->conditions.alternatives =
			kalam_alternatives_from_list(lsecond(one), &part->conditions.nalternatives);
		part->index = number == KALAM_PRIMARY_KEY ? NULL : &scan->table->indexes[number];
		part->conditions.nvalues = count_values(&part->conditions);
		part->conditions.values = values;
		values += part->conditions.nvalues;
	}
	for (int i = 0; i < scan->nparts; i++)
		scan->parts[i].arm = &values[i];
	kalam_parts_use(scan, 0);
}

void
kalam_parts_use(KalamScan *scan, int n)
{
	scan->part = n;
	scan->conditions = scan->parts[n].conditions;
	scan->index = scan->parts[n].index;
}

bool
kalam_parts_give(const KalamScan *scan, TupleTableSlot *slot)
{
	ExprContext *econtext = scan->conditions.econtext;

	econtext->ecxt_scantuple = slot;
	for (int i = 0; i <= scan->part; i++)
	{
		bool		isnull;
		Datum		holds = kalam_value_for_row(scan->parts[i].arm, econtext, &isnull);

		if (!isnull && DatumGetBool(holds))
			return i == scan->part;
	}
	return false;
}
