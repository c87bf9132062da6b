/*
 * functions.c
 *	  SQL functions of schema kalam.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/client.h"
#include "src/backend/store_catalog.h"
#include "src/backend/table.h"

extern PGDLLEXPORT Datum kalam_stored_tables(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_stored_tables);
extern PGDLLEXPORT Datum kalam_table_size(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_table_size);
extern PGDLLEXPORT Datum kalam_flush(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_flush);
extern PGDLLEXPORT Datum kalam_compact(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_compact);

/* Opens a stored table for a function; raises for any other relation. */
static Relation
open_stored(Oid relid, LOCKMODE lock, bool must_own, KalamTable **table)
{
	Relation	rel = table_open(relid, lock);

	if (!kalam_is_table(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a kalam table", RelationGetRelationName(rel))));
	if (must_own)
	{
		if (!pg_class_ownercheck(relid, GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE,
						   RelationGetRelationName(rel));
	}
	else if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_TABLE, RelationGetRelationName(rel));
	*table = kalam_table_open(rel);
	return rel;
}

/* Indexes of a table, for people: "name (a, b DESC), name UNIQUE (c)". */
static char *
indexes_text(const KalamCatalogTable *t)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (uint32 i = 0; i < t->record.nindexes; i++)
		appendStringInfo(&buf, "%s%s%s (%s)", i > 0 ? ", " : "",
						 kalam_string_dup(t->indexes[i].name),
						 (t->indexes[i].flags & KALAM_INDEX_UNIQUE) ? " UNIQUE" : "",
						 kalam_string_dup(t->indexes[i].columns));
	return buf.data;
}

/* A row per stored table of this database. */
Datum
kalam_stored_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, kalam_catalog_list(MyDatabaseId))
	{
		KalamCatalogTable *t = lfirst(lc);
		KalamTableRecord *r = &t->record;
		bool		attached = !t->kept && get_rel_name(r->relid) != NULL;
		Datum		values[12];
		bool		nulls[12] = {0};
		KalamObjectSize size;

		(void) kalam_object_stat(r->object_id, (int) r->nindexes, &size);
		values[0] = ObjectIdGetDatum(attached ? r->relid : InvalidOid);
		nulls[0] = !attached;
		/* names of attached tables are those of now: schemas can be renamed */
		values[1] = CStringGetTextDatum(attached ?
										get_namespace_name(get_rel_namespace(r->relid)) :
										kalam_string_dup(r->nspname));
		values[2] = CStringGetTextDatum(attached ? get_rel_name(r->relid) :
										kalam_string_dup(r->name));
		values[3] = CStringGetTextDatum(kalam_string_dup(r->kind));
		values[4] = CStringGetTextDatum(kalam_string_dup(r->primary_key));
		nulls[4] = r->primary_key.len == 0;
		values[5] = CStringGetTextDatum(kalam_string_dup(r->options));
		values[6] = Int32GetDatum((int32) r->schema_version);
		values[7] = Int64GetDatum((int64) r->object_id);
		values[8] = Int64GetDatum((int64) size.rows);
		values[9] = Int64GetDatum((int64) size.bytes);
		values[10] = BoolGetDatum(t->kept);
		values[11] = CStringGetTextDatum(indexes_text(t));
		nulls[11] = r->nindexes == 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
kalam_table_size(PG_FUNCTION_ARGS)
{
	KalamTable *table;
	Relation	rel = open_stored(PG_GETARG_OID(0), AccessShareLock, false, &table);
	uint32		object = kalam_table_object(table);
	KalamObjectSize size = {0};

	if (object != KALAM_OBJECT_NONE)
		(void) kalam_object_stat(object, table->nindexes, &size);
	kalam_table_close(table);
	table_close(rel, AccessShareLock);
	PG_RETURN_INT64((int64) size.bytes);
}

static void
maintain(Oid relid, KalamOp op)
{
	KalamTable *table;
	Relation	rel = open_stored(relid, AccessShareLock, true, &table);
	uint32		object = kalam_table_object(table);

	if (object != KALAM_OBJECT_NONE)
	{
		KalamChannel *ch = kalam_rpc_begin(op);

		ch->req.object_id = object;
		kalam_rpc_finish(ch);
	}
	kalam_table_close(table);
	table_close(rel, AccessShareLock);
}

Datum
kalam_flush(PG_FUNCTION_ARGS)
{
	maintain(PG_GETARG_OID(0), KALAM_OP_FLUSH);
	PG_RETURN_VOID();
}

Datum
kalam_compact(PG_FUNCTION_ARGS)
{
	maintain(PG_GETARG_OID(0), KALAM_OP_COMPACT);
	PG_RETURN_VOID();
}
