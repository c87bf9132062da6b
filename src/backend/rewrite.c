/*
 * rewrite.c
 *	  Stores a table's rows anew when its definition asks for it, and checks
 *	  rows that are there against new constraints.
 *
 * Core rewrites and checks nothing for foreign tables.  A changed column type,
 * a new column with a default, another key or other storage options make a new
 * object; a dropped column or a new one without a default make nothing: rows
 * are read as heap reads rows that have fewer columns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "catalog/partition.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "src/backend/ddl.h"
#include "src/backend/index.h"
#include "src/backend/load.h"
#include "src/backend/progress.h"
#include "src/backend/row.h"
#include "src/backend/transaction.h"
#include "src/backend/wholescan.h"

static bool
is_old_column(const KalamCatalogTable *old, int i)
{
	return (uint32) i < old->record.ncolumns;
}

static bool
column_type_changed(Form_pg_attribute att, const KalamTableColumn *c)
{
	return !att->attisdropped && !(c->flags & KALAM_COLUMN_DROPPED) &&
		(att->atttypid != c->type_oid || att->atttypmod != c->typmod);
}

/* The value of a column of another type, from a Var of what it was. */
static Node *
changed_value(Form_pg_attribute att, Oid was_type, int32 was_typmod)
{
	Node	   *expr = (Node *) makeVar(1, att->attnum, was_type, was_typmod,
										get_typcollation(was_type), 0);

	expr = coerce_to_target_type(NULL, expr, was_type, att->atttypid, att->atttypmod,
								 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" cannot be cast automatically to type %s",
						NameStr(att->attname),
						format_type_with_typemod(att->atttypid, att->atttypmod))));
	return expr;
}

/*
 * Are values of the new type the same bytes, every one of them valid?  Heap
 * tables are not rewritten either then.  Keys are encoded by type: they are.
 */
static bool
is_stored_alike(Form_pg_attribute att, const KalamTableColumn *c)
{
	Node	   *expr;

	if (c->flags & KALAM_COLUMN_KEY)
		return false;
	expr = (Node *) expression_planner((Expr *) changed_value(att, c->type_oid, c->typmod));
	for (;;)
	{
		if (IsA(expr, Var))
			return true;
		if (IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		else if (IsA(expr, CoerceToDomain) &&
				 !DomainHasConstraints(((CoerceToDomain *) expr)->resulttype))
			expr = (Node *) ((CoerceToDomain *) expr)->arg;
		else
			return false;
	}
}

/*
 * The value of a column that was not there, NULL if that is null.  A null that
 * the domain of the column may refuse is an expression, to be tried on the rows.
 */
static Node *
new_column_value(Relation rel, int i)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
	Node	   *expr;
	Oid			base;
	int32		typmod = att->atttypmod;

	if (att->attisdropped || att->attgenerated)
		return NULL;
	expr = build_column_default(rel, i + 1);
	if (expr != NULL || !DomainHasConstraints(att->atttypid))
		return expr;
	base = getBaseTypeAndTypmod(att->atttypid, &typmod);
	return coerce_to_domain((Node *) makeNullConst(base, typmod, get_typcollation(base)), base,
							typmod, att->atttypid, COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST,
							-1, false);
}

bool
kalam_needs_rewrite(Relation rel, const KalamTable *table, const KalamCatalogTable *old)
{
	TupleDesc	desc = RelationGetDescr(rel);
	KalamObjectOptions options = kalam_catalog_object_options(old->record.object_id);
	List	   *keys_then = NIL;
	int			nkeys_then = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (is_old_column(old, i) ?
			(column_type_changed(att, &old->columns[i]) && !is_stored_alike(att, &old->columns[i])) :
			(new_column_value(rel, i) != NULL || (att->attgenerated && !att->attisdropped)))
			return true;
	}
	if (options.compression != table->schema->options.object.compression ||
		options.bloom_fpr_ppm != table->schema->options.object.bloom_fpr_ppm)
		return true;

	/* the same columns in the same order and direction, whatever their names */
	if (old->record.primary_key.len > 0)
		keys_then = kalam_parse_key_list("primary_key", kalam_string_dup(old->record.primary_key));
	nkeys_then = list_length(keys_then);
	if (nkeys_then != table->nkeys)
		return true;
	for (int k = 0; k < table->nkeys; k++)
	{
		KalamKeyItem *item = list_nth(keys_then, k);
		AttrNumber	attnum = table->keys[k].attnum;

		if (!is_old_column(old, attnum - 1) || item->desc != table->keys[k].desc ||
			strcmp(item->name, kalam_string_dup(old->columns[attnum - 1].name)) != 0)
			return true;
	}
	return false;
}

/* The layout in which old's rows are stored. */
static TupleDesc
old_descriptor(Relation rel, const KalamCatalogTable *old)
{
	TupleDesc	now = RelationGetDescr(rel);
	TupleDesc	desc = CreateTemplateTupleDesc(old->record.ncolumns);

	for (uint32 i = 0; i < old->record.ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(now, i);

		if (column_type_changed(att, &old->columns[i]))
			TupleDescInitEntry(desc, i + 1, NameStr(att->attname), old->columns[i].type_oid,
							   old->columns[i].typmod, 0);
		else
		{
			/* dropped ones keep their length and alignment in pg_attribute */
			TupleDescCopyEntry(desc, i + 1, now, i + 1);
			TupleDescAttr(desc, i)->attisdropped = att->attisdropped;
		}
	}
	return desc;
}

/* How each column of the new row is made; NULL: it stays as it is. */
static ExprState **
column_expressions(Relation rel, const KalamCatalogTable *old, TupleDesc old_desc, EState *estate)
{
	TupleDesc	desc = RelationGetDescr(rel);
	ExprState **states = palloc0(desc->natts * sizeof(ExprState *));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Node	   *expr = NULL;

		if (!is_old_column(old, i))
			expr = new_column_value(rel, i);
		else if (column_type_changed(att, &old->columns[i]))
		{
			Form_pg_attribute was = TupleDescAttr(old_desc, i);

			expr = changed_value(att, was->atttypid, was->atttypmod);
		}
		if (expr != NULL)
			states[i] = ExecPrepareExpr((Expr *) expr, estate);
	}
	return states;
}

/* ---- checks ---- */

typedef struct RowCheck
{
	const char *name;			/* of the CHECK; NULL: the partition bound */
	ExprState  *state;
} RowCheck;

static List *
prepare_checks(Relation rel, EState *estate)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *checks = NIL;
	List	   *bound;

	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		ConstrCheck *check = &desc->constr->check[i];
		RowCheck   *c = palloc(sizeof(RowCheck));

		if (!check->ccvalid)
			continue;
		c->name = check->ccname;
		c->state = ExecPrepareExpr(stringToNode(check->ccbin), estate);
		checks = lappend(checks, c);
	}
	bound = RelationGetPartitionQual(rel);
	if (bound != NIL)
	{
		RowCheck   *c = palloc(sizeof(RowCheck));

		c->name = NULL;
		c->state = ExecPrepareCheck(bound, estate);
		checks = lappend(checks, c);
	}
	return checks;
}

static void
check_row(Relation rel, TupleTableSlot *slot, List *checks, ExprContext *econtext)
{
	TupleDesc	desc = RelationGetDescr(rel);
	ListCell   *lc;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attnotnull && !att->attisdropped && slot_attisnull(slot, i + 1))
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" of relation \"%s\" contains null values",
							NameStr(att->attname), RelationGetRelationName(rel)),
					 errtablecol(rel, i + 1)));
	}
	econtext->ecxt_scantuple = slot;
	foreach(lc, checks)
	{
		RowCheck   *c = lfirst(lc);

		if (ExecCheck(c->state, econtext))
			continue;
		if (c->name != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("check constraint \"%s\" of relation \"%s\" is violated by some row",
							c->name, RelationGetRelationName(rel)),
					 errtableconstraint(rel, c->name)));
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("partition constraint of relation \"%s\" is violated by some row",
						RelationGetRelationName(rel)),
				 errtable(rel)));
	}
}

/* ---- storing anew ---- */

typedef struct Rewrite
{
	Relation	rel;
	KalamTable *table;			/* of the new object */
	KalamLoad **load;			/* NULL, or to NULL: rows are staged */
	uint16		target;
	uint64		nrows;
} Rewrite;

static void
raise_duplicate(void *arg, uint16 index_id, uint64 tag, MinimalTuple row)
{
	Rewrite    *rewrite = arg;

	if (index_id != 0)
		kalam_index_raise_duplicate(rewrite->table, rewrite->rel, index_id, row);
	kalam_raise_duplicate(rewrite->rel, 0, row);
}

static void
store_row(Rewrite *rewrite, TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	KalamVersion own;

	rewrite->nrows++;
	if (rewrite->load != NULL && *rewrite->load != NULL)
	{
		kalam_load_put_row(*rewrite->load, rewrite->target, rewrite->table, rewrite->rel,
						   rewrite->nrows, slot, key, key_len);
		return;
	}
	if (kalam_own_version(key, key_len, &own))
		kalam_raise_duplicate(rewrite->rel, 0, kalam_version_tuple(&own));
	(void) kalam_stage_slot(slot, key, key_len);
	kalam_index_add_row(rewrite->table, rewrite->rel, slot, key, key_len);
}

uint32
kalam_rewrite(Relation rel, KalamTable *table, const KalamCatalogTable *old)
{
	TupleDesc	desc = RelationGetDescr(rel);
	TupleDesc	old_desc = old_descriptor(rel, old);
	EState	   *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	ExprState **states = column_expressions(rel, old, old_desc, estate);
	TupleTableSlot *old_slot = MakeSingleTupleTableSlot(old_desc, &TTSOpsMinimalTuple);
	TupleTableSlot *new_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	ResultRelInfo *info = makeNode(ResultRelInfo);
	List	   *checks = prepare_checks(rel, estate);
	bool		generated = desc->constr && desc->constr->has_generated_stored;
	KalamWholeScan *scan;
	MinimalTuple tuple;
	const uint8 *old_key;
	size_t		old_key_len;
	uint32		object_id;
	uint8		key[KALAM_MAX_KEY_BYTES];
	Rewrite		rewrite = {.rel = rel, .table = table};

	InitResultRelInfo(info, rel, 0, NULL, 0);
	/* generated columns may ask for it */
	new_slot->tts_tableOid = RelationGetRelid(rel);
	kalam_table_set_object(table, old->record.object_id);
	/* the scan sees commands before this one */
	CommandCounterIncrement();
	scan = kalam_whole_scan_begin(rel);
	kalam_progress_begin(KALAM_PROGRESS_REWRITE, rel, old);
	rewrite.load = kalam_load_begin_for_rows(table, raise_duplicate, &rewrite);

	object_id = kalam_create_object(table);
	kalam_table_set_object(table, object_id);
	if (rewrite.load != NULL)
		rewrite.target = kalam_load_declare(*rewrite.load, table, true);
	while ((tuple = kalam_whole_scan_next(scan, &old_key, &old_key_len)) != NULL)
	{
		MemoryContext per_tuple = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
		size_t		key_len;

		ExecStoreMinimalTuple(tuple, old_slot, false);
		slot_getallattrs(old_slot);
		econtext->ecxt_scantuple = old_slot;
		ExecClearTuple(new_slot);
		for (int i = 0; i < desc->natts; i++)
		{
			if (states[i] != NULL)
				new_slot->tts_values[i] = ExecEvalExpr(states[i], econtext,
													   &new_slot->tts_isnull[i]);
			else if (is_old_column(old, i) && !TupleDescAttr(desc, i)->attisdropped)
			{
				new_slot->tts_values[i] = old_slot->tts_values[i];
				new_slot->tts_isnull[i] = old_slot->tts_isnull[i];
			}
			else
			{
				new_slot->tts_values[i] = (Datum) 0;
				new_slot->tts_isnull[i] = true;
			}
		}
		ExecStoreVirtualTuple(new_slot);
		if (generated)
			ExecComputeStoredGenerated(info, estate, new_slot, CMD_INSERT);
		check_row(rel, new_slot, checks, econtext);

		if (table->nkeys > 0)
			key_len = kalam_table_row_key(table, rel, new_slot, key);
		else if (old->record.primary_key.len > 0)
			key_len = kalam_table_row_id_key(table, kalam_next_row_id(), key);
		else
		{
			/* row ids stay what they were */
			key_len = old_key_len;
			memcpy(key, old_key, old_key_len);
			kalam_put_be32(key, object_id);
		}
		store_row(&rewrite, new_slot, key, key_len);
		MemoryContextSwitchTo(per_tuple);
		ResetPerTupleExprContext(estate);
		kalam_progress_row();
	}
	kalam_load_end_of_rows(rewrite.load);
	kalam_progress_end();
	kalam_whole_scan_end(scan);
	ExecDropSingleTupleTableSlot(old_slot);
	ExecDropSingleTupleTableSlot(new_slot);
	FreeExecutorState(estate);
	kalam_stage_object(KALAM_CHANGE_DROP_OBJECT, old->record.object_id, NULL, 0);
	return object_id;
}

void
kalam_validate_rows(Relation rel)
{
	EState	   *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	List	   *checks = prepare_checks(rel, estate);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	KalamWholeScan *scan = kalam_whole_scan_begin(rel);
	MinimalTuple tuple;
	const uint8 *key;
	size_t		key_len;

	/* conditions may ask for it */
	slot->tts_tableOid = RelationGetRelid(rel);
	while ((tuple = kalam_whole_scan_next(scan, &key, &key_len)) != NULL)
	{
		ExecStoreMinimalTuple(tuple, slot, false);
		check_row(rel, slot, checks, econtext);
		ResetPerTupleExprContext(estate);
	}
	kalam_whole_scan_end(scan);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}
