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
#include "src/backend/functions.h"
#include "src/backend/systemcache.h"

extern PGDLLEXPORT Datum kalam_stored_tables(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_stored_tables);
extern PGDLLEXPORT Datum kalam_stored_namespaces(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_stored_namespaces);
extern PGDLLEXPORT Datum kalam_table_size(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_table_size);
extern PGDLLEXPORT Datum kalam_flush(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_flush);
extern PGDLLEXPORT Datum kalam_compact(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_compact);

Relation
kalam_open_stored(Oid relid, LOCKMODE lock, bool must_own, KalamTable **table)
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

/*
 * Has it a relation?  Then its names are those of now: tables and schemas can be
 * renamed.
 */
static bool
is_attached(const KalamListedTable *t)
{
	return !t->kept && get_rel_name(t->relid) != NULL;
}

static const char *
namespace_of(const KalamListedTable *t, bool attached)
{
	return attached ? get_namespace_name(get_rel_namespace(t->relid)) : t->nspname;
}

/* A row per stored table of this database. */
Datum
kalam_stored_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, kalam_listed_tables(kalam_tables_ttl))
	{
		KalamListedTable *t = lfirst(lc);
		bool		attached = is_attached(t);
		Datum		values[12];
		bool		nulls[12] = {0};
		KalamObjectSize size;

		(void) kalam_object_size(t->object_id, t->nindexes, &size);
		values[0] = ObjectIdGetDatum(attached ? t->relid : InvalidOid);
		nulls[0] = !attached;
		values[1] = CStringGetTextDatum(namespace_of(t, attached));
		values[2] = CStringGetTextDatum(attached ? get_rel_name(t->relid) : t->name);
		values[3] = CStringGetTextDatum(t->kind);
		values[4] = CStringGetTextDatum(t->primary_key);
		nulls[4] = t->primary_key[0] == '\0';
		values[5] = CStringGetTextDatum(t->options);
		values[6] = Int32GetDatum(t->schema_version);
		values[7] = Int64GetDatum((int64) t->object_id);
		values[8] = Int64GetDatum((int64) size.rows);
		values[9] = Int64GetDatum((int64) size.bytes);
		values[10] = BoolGetDatum(t->kept);
		values[11] = CStringGetTextDatum(t->indexes);
		nulls[11] = t->nindexes == 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* The schema of each of them. */
Datum
kalam_stored_namespaces(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(lc, kalam_listed_tables(kalam_namespaces_ttl))
	{
		KalamListedTable *t = lfirst(lc);
		Datum		value = CStringGetTextDatum(namespace_of(t, is_attached(t)));
		bool		null = false;

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
	}
	return (Datum) 0;
}

Datum
kalam_table_size(PG_FUNCTION_ARGS)
{
	KalamTable *table;
	Relation	rel = kalam_open_stored(PG_GETARG_OID(0), AccessShareLock, false, &table);
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
	Relation	rel = kalam_open_stored(relid, AccessShareLock, true, &table);
	uint32		object = kalam_table_object(table);

	if (object != KALAM_OBJECT_NONE)
	{
		KalamChannel *ch = kalam_rpc_begin(op);

		ch->req.object_id = object;
		kalam_rpc_finish(ch);
		kalam_object_sizes_forget();
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
