/*
 * planner.c
 *	  What the planner learns of stored tables before it looks for paths: their
 *	  sizes, and their keys as indexes.
 *
 * The primary key is shown to the planner as a unique index that cannot be
 * scanned, so that it knows that key columns identify a row.  Paths are found in
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

/* ---- the key as an index that the planner knows of ---- */

static void
show_key_as_index(RelOptInfo *rel, KalamTable *table, Relation relation)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);
	TupleDesc	desc = RelationGetDescr(relation);
	int			n = table->nkeys;

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
		Form_pg_attribute att = TupleDescAttr(desc, table->keys[i].attnum - 1);
		Oid			opclass = GetDefaultOpClass(table->keys[i].type.base_type, BTREE_AM_OID);

		index->indexkeys[i] = table->keys[i].attnum;
		index->indexcollations[i] = att->attcollation;
		index->opfamily[i] = table->keys[i].type.btree_opfamily;
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

		if (table->nkeys > 0)
		{
			Relation	relation = table_open(relid, NoLock);

			show_key_as_index(rel, table, relation);
			table_close(relation, NoLock);
		}
	}
}

void
kalam_planner_install(void)
{
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = kalam_get_relation_info;
}
