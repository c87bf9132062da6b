/*
 * planner.c
 *	  What the planner learns of stored tables before it looks for paths: their
 *	  sizes, and their keys as indexes.
 *
 * Unique keys are shown to the planner as unique indexes that cannot be scanned,
 * so that it knows that their columns identify a row.  Paths are found in
 * paths.c, plans made of them in plan.c.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/keymatch.h"
#include "src/backend/planner.h"
#include "src/backend/table.h"

static get_relation_info_hook_type prev_get_relation_info = NULL;

/* ---- table of a relation while it is planned ---- */

/* The table, kept open until the planner's memory goes. */
static KalamTable *
planned_table(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	KalamTable *table = kalam_table_open_for_context(rel);

	table_close(rel, NoLock);
	return table;
}

/* ---- sizes ---- */

void
kalam_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	KalamTable *table = planned_table(relid);
	double		rows;
	double		bytes;

	rel->fdw_private = table;
	kalam_table_stat(table, &rows, &bytes);
	if (rel->tuples > 0 && rel->pages > 0)
	{
		/* analysed: its density, today's size, as for heap, unless the store knows better */
		double		tuples = rel->tuples / rel->pages * bytes / BLCKSZ;

		if (rows < 2 * tuples && tuples < 2 * rows)
			rows = tuples;
	}
	rel->tuples = Max(rint(rows), 1);
	rel->pages = (BlockNumber) Min(Max(ceil(bytes / BLCKSZ), 1), (double) MaxBlockNumber);
	set_baserel_size_estimates(root, rel);
}

/* ---- keys as indexes that the planner knows of ---- */

static void
show_key_as_index(RelOptInfo *rel, const KalamScanKey *key, Relation relation)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);
	TupleDesc	desc = RelationGetDescr(relation);
	int			n = key->ncolumns;

	index->reltablespace = InvalidOid;
	index->rel = rel;
	index->pages = 1;
	index->tuples = Max(rel->tuples, 1);
	index->tree_height = -1;
	index->ncolumns = n;
	index->nkeycolumns = n;
	index->indexkeys = palloc0(n * sizeof(int));
	index->indexcollations = palloc0(n * sizeof(Oid));
	index->opfamily = palloc0(n * sizeof(Oid));
	index->opcintype = palloc0(n * sizeof(Oid));
	index->canreturn = palloc0(n * sizeof(bool));
	index->reverse_sort = NULL;
	index->nulls_first = NULL;
	for (int i = 0; i < n; i++)
	{
		const KalamKeyColumn *column = &key->columns[i];
		Form_pg_attribute att = TupleDescAttr(desc, column->attnum - 1);
		Oid			opclass = GetDefaultOpClass(column->type.base_type, BTREE_AM_OID);

		index->indexkeys[i] = column->attnum;
		index->indexcollations[i] = att->attcollation;
		index->opfamily[i] = column->type.btree_opfamily;
		index->opcintype[i] = OidIsValid(opclass) ? get_opclass_input_type(opclass) : att->atttypid;
		index->indextlist = lappend(index->indextlist,
									makeTargetEntry((Expr *) makeVar(rel->relid, att->attnum,
																	 att->atttypid, att->atttypmod,
																	 att->attcollation, 0),
													i + 1, NULL, false));
	}
	index->relam = BTREE_AM_OID;
	index->unique = true;
	index->immediate = true;
	index->hypothetical = true;
	rel->indexlist = lappend(rel->indexlist, index);
}

static void
kalam_get_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	if (prev_get_relation_info)
		prev_get_relation_info(root, relid, inhparent, rel);

	if (!inhparent && get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE && kalam_is_table(relid))
	{
		KalamTable *table = planned_table(relid);
		Relation	relation = table_open(relid, NoLock);

		for (int i = KALAM_PRIMARY_KEY; i < table->nindexes; i++)
		{
			KalamScanKey key = kalam_scan_key(table, i);

			if (key.unique && key.ncolumns > 0)
				show_key_as_index(rel, &key, relation);
		}
		table_close(relation, NoLock);
	}
}

void
kalam_planner_install(void)
{
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = kalam_get_relation_info;
}
