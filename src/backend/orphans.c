/*
 * orphans.c
 *	  Stored tables that no relation owns: found, shown, dropped.
 *
 * DROP TABLE and DROP DATABASE take a table out of the store, unless they run
 * in a server that has not loaded the library.  The record of the table then
 * stays, and its rows.  Whether a relation exists can be told for the databases
 * of the server and for the tables of one's own database.
 *
 * Who drops a table holds a lock on it until the store has followed.  What
 * looks like an orphan is therefore looked at again under such a lock.
 *
 * Tables that were kept on purpose are none, but there is no other way to drop them.
 */
#include "postgres.h"

#include "catalog/pg_database.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "src/backend/ddl.h"
#include "src/backend/reconcile.h"
#include "src/backend/transaction.h"

extern PGDLLEXPORT Datum kalam_stored_orphans(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_stored_orphans);
extern PGDLLEXPORT Datum kalam_drop_orphan(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_drop_orphan);

typedef struct Orphan
{
	uint32		object_id;
	KalamCatalogTable *table;	/* NULL: no record names the object */
	const char *reason;
} Orphan;

static bool
database_exists(const KalamCatalogTable *t)
{
	return get_database_name(t->record.database_oid) != NULL;
}

/* NULL if the table is not an orphan, or cannot be told to be one from here. */
static const char *
reason_of(const KalamCatalogTable *t)
{
	if (t->elsewhere)
		return "it came from another server";
	if (!database_exists(t))
		return "its database does not exist";
	if (t->record.database_oid == MyDatabaseId && !t->kept && !kalam_is_table(t->record.relid))
		return "its table does not exist";
	return NULL;
}

/* Waits for whoever is dropping it, and looks again. */
static const char *
reason_under_lock(const KalamCatalogTable *t, LOCKMODE lock, bool keep_lock)
{
	bool		lock_database = !database_exists(t);
	Oid			owner = lock_database ? t->record.database_oid : t->record.relid;
	KalamCatalogTable *now;
	const char *reason = NULL;

	if (lock_database)
		LockSharedObject(DatabaseRelationId, owner, 0, lock);
	else
		LockRelationOid(owner, lock);
	now = kalam_catalog_again(t);
	if (now != NULL && now->record.object_id == t->record.object_id)
		reason = reason_of(t);
	if (keep_lock)
		 /* until the end of the transaction */ ;
	else if (lock_database)
		UnlockSharedObject(DatabaseRelationId, owner, 0, lock);
	else
		UnlockRelationOid(owner, lock);
	return reason;
}

static List *
append(List *orphans, uint32 object_id, KalamCatalogTable *table, const char *reason)
{
	Orphan	   *orphan = palloc(sizeof(Orphan));

	orphan->object_id = object_id;
	orphan->table = table;
	orphan->reason = reason;
	return lappend(orphans, orphan);
}

/*
 * Objects are listed before the tables: one that has no table and is still there
 * afterwards has none, for a table and its object appear and vanish together.
 */
static List *
find_orphans(void)
{
	List	   *objects = kalam_catalog_objects();
	List	   *tables = kalam_catalog_list(InvalidOid);
	List	   *owned = NIL;
	List	   *orphans = NIL;
	ListCell   *lc;

	foreach(lc, tables)
	{
		KalamCatalogTable *t = lfirst(lc);
		const char *reason;

		owned = lappend_oid(owned, t->record.object_id);
		if (reason_of(t) != NULL &&
			(reason = reason_under_lock(t, AccessShareLock, false)) != NULL)
			orphans = append(orphans, t->record.object_id, t, reason);
	}

	list_sort(objects, list_oid_cmp);
	list_sort(owned, list_oid_cmp);
	lc = list_head(owned);
	for (int i = 0; i < list_length(objects); i++)
	{
		Oid			id = list_nth_oid(objects, i);

		while (lc != NULL && lfirst_oid(lc) < id)
			lc = lnext(owned, lc);
		if ((lc == NULL || lfirst_oid(lc) != id) && kalam_catalog_has_object(id))
			orphans = append(orphans, id, NULL, "no stored table owns it");
	}
	return orphans;
}

Datum
kalam_stored_orphans(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, find_orphans())
	{
		Orphan	   *orphan = lfirst(lc);
		Datum		values[9];
		bool		nulls[9] = {0};
		KalamObjectSize size;

		(void) kalam_object_stat(orphan->object_id, 0, &size);
		values[0] = Int64GetDatum((int64) orphan->object_id);
		if (orphan->table != NULL)
		{
			KalamTableRecord *r = &orphan->table->record;

			values[1] = CStringGetTextDatum(kalam_string_dup(r->database));
			values[2] = ObjectIdGetDatum(r->database_oid);
			values[3] = CStringGetTextDatum(kalam_string_dup(r->nspname));
			values[4] = CStringGetTextDatum(kalam_string_dup(r->name));
			values[5] = ObjectIdGetDatum(r->relid);
		}
		else
			memset(&nulls[1], true, 5 * sizeof(bool));
		values[6] = Int64GetDatum((int64) size.rows);
		values[7] = Int64GetDatum((int64) size.bytes);
		values[8] = CStringGetTextDatum(orphan->reason);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
kalam_drop_orphan(PG_FUNCTION_ARGS)
{
	int64		object_id = PG_GETARG_INT64(0);
	ListCell   *lc;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to drop stored tables that no table owns")));

	/* two that drop the same: the second is to find nothing */
	LockSharedObject(ForeignDataWrapperRelationId, (Oid) object_id, 0, AccessExclusiveLock);
	foreach(lc, find_orphans())
	{
		Orphan	   *orphan = lfirst(lc);

		if ((int64) orphan->object_id != object_id)
			continue;
		if (orphan->table == NULL)
			kalam_stage_object(KALAM_CHANGE_DROP_OBJECT, orphan->object_id, NULL, 0);
		else if (reason_under_lock(orphan->table, AccessExclusiveLock, true) == NULL)
			break;
		else
			kalam_reconcile_drop_record(orphan->table);
		PG_RETURN_VOID();
	}
	foreach(lc, kalam_catalog_list(MyDatabaseId))
	{
		KalamCatalogTable *t = lfirst(lc);

		if (!t->kept || t->record.object_id != object_id)
			continue;
		kalam_reconcile_drop_record(t);
		PG_RETURN_VOID();
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("there is no orphan with object id %lld", (long long) object_id),
			 errhint("The view kalam.orphans lists them.")));
}
