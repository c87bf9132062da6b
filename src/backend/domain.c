/*
 * domain.c
 *	  New constraints of a domain against the rows of stored tables.
 *
 * ALTER DOMAIN looks at heap tables only.  Runs after it, in the same command: rows
 * are checked where the domain is the type of a column, and it is refused, as on
 * heap, where it is within one.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "src/backend/ddl.h"
#include "src/backend/wholescan.h"

static void
check_value(Relation rel, int attnum, DomainConstraintRef *ref, ExprContext *econtext,
			Datum value, bool isnull)
{
	char	   *column = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
	ListCell   *lc;

	foreach(lc, ref->constraints)
	{
		DomainConstraintState *c = lfirst(lc);
		Datum		result;
		bool		result_null;

		if (c->constrainttype == DOM_CONSTRAINT_NOTNULL)
		{
			if (isnull)
				ereport(ERROR,
						(errcode(ERRCODE_NOT_NULL_VIOLATION),
						 errmsg("column \"%s\" of table \"%s\" contains null values",
								column, RelationGetRelationName(rel)),
						 errtablecol(rel, attnum)));
			continue;
		}
		econtext->domainValue_datum = value;
		econtext->domainValue_isNull = isnull;
		result = ExecEvalExprSwitchContext(c->check_exprstate, econtext, &result_null);
		if (!result_null && !DatumGetBool(result))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("column \"%s\" of table \"%s\" contains values that violate the new constraint",
							column, RelationGetRelationName(rel)),
					 errtablecol(rel, attnum)));
	}
}

static void
check_column(Relation rel, int attnum, Oid type)
{
	EState	   *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	DomainConstraintRef *ref;
	KalamWholeScan *scan;
	MinimalTuple tuple;
	const uint8 *key;
	size_t		key_len;

	/* unlinks itself when the context goes, so it must lie in it */
	ref = MemoryContextAllocZero(estate->es_query_cxt, sizeof(DomainConstraintRef));
	InitDomainConstraintRef(type, ref, estate->es_query_cxt, true);
	scan = kalam_whole_scan_begin(rel);
	while ((tuple = kalam_whole_scan_next(scan, &key, &key_len)) != NULL)
	{
		bool		isnull;
		Datum		value;

		ExecStoreMinimalTuple(tuple, slot, false);
		value = slot_getattr(slot, attnum, &isnull);
		check_value(rel, attnum, ref, econtext, value, isnull);
		ResetPerTupleExprContext(estate);
	}
	kalam_whole_scan_end(scan);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

void
kalam_validate_domain(Oid domain)
{
	ListCell   *lc;

	foreach(lc, kalam_catalog_list(MyDatabaseId))
	{
		KalamCatalogTable *t = lfirst(lc);

		if (t->kept)
			continue;
		for (uint32 i = 0; i < t->record.ncolumns; i++)
		{
			Oid			type = t->columns[i].type_oid;
			Relation	rel;

			if (!OidIsValid(type) || !kalam_type_contains(type, domain))
				continue;
			/* as ALTER DOMAIN locks the heap tables that it checks */
			rel = try_table_open(t->record.relid, ShareLock);
			if (rel == NULL)
				break;
			/* older minor versions refuse that of tables with storage of their own only */
			if (!kalam_is_over_domain(type, domain))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot alter type \"%s\" because column \"%s.%s\" uses it",
								format_type_be(domain), RelationGetRelationName(rel),
								NameStr(TupleDescAttr(RelationGetDescr(rel),
													  t->columns[i].attnum - 1)->attname))));
			check_column(rel, t->columns[i].attnum, t->columns[i].type_oid);
			table_close(rel, NoLock);
		}
	}
}
