/*
 * ddl.c
 *	  Follows CREATE, ALTER, DROP and TRUNCATE of foreign tables into the store.
 *
 * object_access_hook notes which relations a statement touched; when the
 * utility statement ends, each one's record in the store's catalog is compared
 * with the relation as it is now, and what differs is done: an object created,
 * rows rewritten or checked, names updated.  Drops are staged at once.  All of
 * it is staged like rows are, and is undone with its subtransaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "src/backend/ddl.h"
#include "src/backend/shmem.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

/* A relation that the running statement has touched. */
typedef struct Touched
{
	Oid			relid;
	Oid			constraint;		/* of which this is one, else invalid */
	SubTransactionId sub;
	bool		validate;		/* rows must be checked */
} Touched;

static List *touched = NIL;		/* in TopMemoryContext */
static bool any_ddl = false;	/* this transaction staged some */

static object_access_hook_type prev_object_access = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static void
touch(Oid relid, Oid constraint, bool validate)
{
	MemoryContext old;
	Touched    *t;
	ListCell   *lc;

	foreach(lc, touched)
	{
		t = lfirst(lc);
		if (t->relid == relid && t->constraint == constraint &&
			t->sub == GetCurrentSubTransactionId())
		{
			t->validate |= validate;
			return;
		}
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	t = palloc(sizeof(Touched));
	t->relid = relid;
	t->constraint = constraint;
	t->sub = GetCurrentSubTransactionId();
	t->validate = validate;
	touched = lappend(touched, t);
	MemoryContextSwitchTo(old);
}

/* ---- objects ---- */

static void
stage_drop(const KalamCatalogTable *record)
{
	kalam_stage_object(KALAM_CHANGE_DROP_OBJECT, record->record.object_id, NULL, 0);
	kalam_catalog_delete(record->record.database_oid, record->record.relid);
	any_ddl = true;
}

/* The store's record, or a new one with a new object. */
static KalamCatalogTable *
require_record(Relation rel, KalamTable *table)
{
	KalamCatalogTable *record = kalam_catalog_get(MyDatabaseId, RelationGetRelid(rel));

	if (record == NULL)
	{
		/* one creator at a time; the lock is held to the end of the transaction */
		LockDatabaseObject(ForeignTableRelationId, RelationGetRelid(rel), 0, ExclusiveLock);
		record = kalam_catalog_get(MyDatabaseId, RelationGetRelid(rel));
	}
	if (record == NULL)
	{
		record = kalam_record_of(rel, table, NULL);
		record->record.object_id = kalam_create_object(table);
		record->record.table_id = record->record.object_id;
		kalam_catalog_put(&record->record, record->columns);
		any_ddl = true;
	}
	return record;
}

void
kalam_table_require_object(KalamTable *table, Relation rel)
{
	if (kalam_table_object(table) == KALAM_OBJECT_NONE)
	{
		table->object_id = require_record(rel, table)->record.object_id;
		table->object_known = true;
	}
}

/* ---- ALTER ---- */

/*
 * A key column was renamed: options name columns, so they follow, or a dump
 * would not restore.  old tells what the names were.
 */
static void
rename_key_columns(Oid relid, const KalamCatalogTable *old)
{
	ForeignTable *ft = GetForeignTable(relid);
	ListCell   *lc;
	DefElem    *key = NULL;
	List	   *items;
	bool		changed = false;
	Relation	pg_foreign_table;
	HeapTuple	tuple;
	Datum		values[Natts_pg_foreign_table] = {0};
	bool		nulls[Natts_pg_foreign_table] = {0};
	bool		replace[Natts_pg_foreign_table] = {0};

	foreach(lc, ft->options)
		if (strcmp(((DefElem *) lfirst(lc))->defname, "primary_key") == 0)
			key = lfirst(lc);
	if (key == NULL)
		return;
	/* an option that this statement has set has the names of now */
	if (strcmp(defGetString(key), kalam_string_dup(old->record.primary_key)) != 0)
		return;

	items = kalam_parse_key_list("primary_key", defGetString(key));
	foreach(lc, items)
	{
		KalamKeyItem *item = lfirst(lc);

		for (uint32 i = 0; i < old->record.ncolumns; i++)
		{
			const KalamTableColumn *c = &old->columns[i];
			char	   *now;

			if ((c->flags & KALAM_COLUMN_DROPPED) ||
				strcmp(kalam_string_dup(c->name), item->name) != 0)
				continue;
			now = get_attname(relid, c->attnum, true);
			if (now != NULL && strcmp(now, item->name) != 0)
			{
				item->name = now;
				changed = true;
			}
			break;
		}
	}
	if (!changed)
		return;

	pg_foreign_table = table_open(ForeignTableRelationId, RowExclusiveLock);
	tuple = SearchSysCacheCopy1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for foreign table %u", relid);
	key->arg = (Node *) makeString(kalam_format_key_list(items));
	values[Anum_pg_foreign_table_ftoptions - 1] =
		transformGenericOptions(ForeignTableRelationId, PointerGetDatum(NULL), ft->options, InvalidOid);
	replace[Anum_pg_foreign_table_ftoptions - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(pg_foreign_table), values, nulls, replace);
	CatalogTupleUpdate(pg_foreign_table, &tuple->t_self, tuple);
	table_close(pg_foreign_table, RowExclusiveLock);
	CacheInvalidateRelcacheByRelid(relid);
	CommandCounterIncrement();
}

/*
 * Columns of the key are NOT NULL, as under a heap table's primary key.  Who
 * drops that is refused.
 */
static void
set_key_not_null(Oid relid, const KalamCatalogTable *old)
{
	Relation	rel = table_open(relid, AccessShareLock);
	KalamTable *table = kalam_table_open(rel);
	Relation	pg_attribute = NULL;

	for (int i = 0; i < table->nkeys; i++)
	{
		AttrNumber	attnum = table->keys[i].attnum;
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		HeapTuple	tuple;

		if (att->attnotnull)
			continue;
		if (old != NULL && (uint32) attnum <= old->record.ncolumns &&
			(old->columns[attnum - 1].flags & KALAM_COLUMN_KEY))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("column \"%s\" is in a primary key", NameStr(att->attname))));
		if (pg_attribute == NULL)
			pg_attribute = table_open(AttributeRelationId, RowExclusiveLock);
		tuple = SearchSysCacheCopyAttNum(relid, attnum);
		((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull = true;
		CatalogTupleUpdate(pg_attribute, &tuple->t_self, tuple);
		heap_freetuple(tuple);
	}
	kalam_table_close(table);
	table_close(rel, NoLock);
	if (pg_attribute != NULL)
	{
		table_close(pg_attribute, RowExclusiveLock);
		CommandCounterIncrement();
	}
}

/* Was a column made NOT NULL that was not, or not there? */
static bool
has_new_not_null(Relation rel, const KalamCatalogTable *old)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attnotnull || TupleDescAttr(desc, i)->attisdropped)
			continue;
		if ((uint32) i >= old->record.ncolumns ||
			!(old->columns[i].flags & KALAM_COLUMN_NOT_NULL))
			return true;
	}
	return false;
}

/* Brings the store in line with the relation as it is now. */
static void
reconcile(Oid relid, bool validate)
{
	KalamCatalogTable *old = kalam_catalog_get(MyDatabaseId, relid);
	KalamCatalogTable *record;
	Relation	rel;
	KalamTable *table;

	if (old != NULL)
		rename_key_columns(relid, old);
	set_key_not_null(relid, old);
	rel = table_open(relid, AccessShareLock);
	table = kalam_table_open(rel);
	if (old == NULL)
		(void) require_record(rel, table);
	else
	{
		record = kalam_record_of(rel, table, old);
		if (kalam_needs_rewrite(rel, table, old))
		{
			record->record.object_id = kalam_rewrite(rel, table, old);
			CacheInvalidateRelcache(rel);
			validate = true;
		}
		kalam_catalog_put(&record->record, record->columns);
		any_ddl = true;
		table->object_id = record->record.object_id;
		table->object_known = true;
		if (validate || has_new_not_null(rel, old))
		{
			CommandCounterIncrement();
			kalam_validate_rows(rel);
		}
	}
	kalam_table_close(table);
	table_close(rel, NoLock);
}

/* A new sibling narrows what the default partition may hold. */
static void
touch_default_partition(Oid relid)
{
	Oid			default_oid;

	if (!get_rel_relispartition(relid))
		return;
	default_oid = get_default_partition_oid(get_partition_parent(relid, true));
	if (OidIsValid(default_oid) && default_oid != relid)
		touch(default_oid, InvalidOid, true);
}

/* The table that a new or altered constraint belongs to; invalid if none. */
static Oid
constraint_relation(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid			relid = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		relid = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
		ReleaseSysCache(tuple);
	}
	return relid;
}

static void
process_touched(void)
{
	bool		pushed = false;

	if (touched == NIL)
		return;
	CommandCounterIncrement();
	/* reconciling one may touch others, at the end of the list */
	while (touched != NIL)
	{
		Touched    *t = linitial(touched);
		Oid			relid = OidIsValid(t->constraint) ? constraint_relation(t->constraint) : t->relid;
		bool		validate = t->validate;

		touched = list_delete_first(touched);
		pfree(t);
		if (!OidIsValid(relid) || !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			continue;
		if (!validate)
			touch_default_partition(relid);
		if (!kalam_is_table(relid))
			continue;
		if (!pushed && !ActiveSnapshotSet())
		{
			PushActiveSnapshot(GetTransactionSnapshot());
			pushed = true;
		}
		if (kalam_segment == NULL)
			continue;			/* its first use says what is missing */
		reconcile(relid, validate);
	}
	if (pushed)
		PopActiveSnapshot();
}

/* ---- DROP ---- */

static void
drop_table(Oid relid)
{
	KalamCatalogTable *record;
	Relation	rel;
	KalamTable *table;
	bool		keep = false;
	ForeignTable *ft = GetForeignTable(relid);
	ListCell   *lc;

	if (kalam_segment == NULL)
		return;
	record = kalam_catalog_get(MyDatabaseId, relid);
	if (record == NULL)
		return;
	foreach(lc, ft->options)
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, "on_drop") == 0)
			keep = pg_strcasecmp(defGetString(def), "keep") == 0;
	}
	if (keep)
	{
		rel = table_open(relid, NoLock);
		table = kalam_table_open(rel);
		kalam_catalog_keep(kalam_record_of(rel, table, record));
		kalam_table_close(table);
		table_close(rel, NoLock);
		kalam_catalog_delete(MyDatabaseId, relid);
		any_ddl = true;
	}
	else
		stage_drop(record);
}

static void
drop_database(Oid database)
{
	ListCell   *lc;

	if (kalam_segment == NULL)
		return;
	foreach(lc, kalam_catalog_list(database))
	{
		KalamCatalogTable *record = lfirst(lc);

		kalam_stage_object(KALAM_CHANGE_DROP_OBJECT, record->record.object_id, NULL, 0);
		if (record->kept)
			kalam_catalog_forget_kept(record);
		else
			kalam_catalog_delete(database, record->record.relid);
	}
}

static void
check_column_drop(Oid relid, int attnum)
{
	Relation	rel = table_open(relid, NoLock);
	KalamTable *table = kalam_table_open(rel);

	for (int i = 0; i < table->nkeys; i++)
		if (table->keys[i].attnum == attnum)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop column \"%s\" of table \"%s\": it is part of the primary key",
							get_attname(relid, attnum, false), RelationGetRelationName(rel)),
					 errhint("Change option primary_key first.")));
	kalam_table_close(table);
	table_close(rel, NoLock);
}

/* ---- TRUNCATE ---- */

void
kalam_exec_truncate(List *rels, DropBehavior behavior, bool restart_seqs)
{
	ListCell   *lc;

	foreach(lc, rels)
	{
		Relation	rel = lfirst(lc);
		KalamCatalogTable *record = kalam_catalog_get(MyDatabaseId, RelationGetRelid(rel));
		KalamTable *table;

		if (record == NULL)
			continue;			/* nothing was ever stored */
		table = kalam_table_open(rel);
		kalam_stage_object(KALAM_CHANGE_DROP_OBJECT, record->record.object_id, NULL, 0);
		record->record.object_id = kalam_create_object(table);
		kalam_catalog_put(&record->record, record->columns);
		kalam_table_close(table);
		any_ddl = true;
		/* every session looks the object up again, this one at once */
		CacheInvalidateRelcache(rel);
		kalam_tables_forget();
	}
}

/* ---- hooks ---- */

static void
kalam_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);

	if (IsBootstrapProcessingMode() || !IsUnderPostmaster)
		return;
	switch (access)
	{
		case OAT_POST_CREATE:
		case OAT_POST_ALTER:
			if (class_id == RelationRelationId || class_id == ForeignTableRelationId)
			{
				/* temporary and internal relations come by the thousand */
				if (object_id >= FirstNormalObjectId)
					touch(object_id, InvalidOid, false);
			}
			else if (class_id == ConstraintRelationId)
				touch(InvalidOid, object_id, true);
			break;

		case OAT_DROP:
			if (class_id == RelationRelationId && get_rel_relkind(object_id) == RELKIND_FOREIGN_TABLE &&
				kalam_is_table(object_id))
			{
				if (sub_id == 0)
					drop_table(object_id);
				else if (!(((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL))
					check_column_drop(object_id, sub_id);
			}
			else if (class_id == DatabaseRelationId)
				drop_database(object_id);
			break;

		default:
			break;
	}
}

/* Rows of a table that becomes a partition must lie in its bounds. */
static void
note_attached_partitions(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Oid			relid;
		ListCell   *child;

		if (cmd->subtype != AT_AttachPartition)
			continue;
		relid = RangeVarGetRelid(((PartitionCmd *) cmd->def)->name, NoLock, true);
		if (!OidIsValid(relid))
			continue;
		touch(relid, InvalidOid, false);
		foreach(child, find_all_inheritors(relid, NoLock, NULL))
			touch(lfirst_oid(child), InvalidOid, true);
	}
}

static void
check_altered_domain(AlterDomainStmt *stmt)
{
	/* SET NOT NULL; ADD CONSTRAINT, unless NOT VALID; VALIDATE CONSTRAINT */
	if (stmt->subtype == 'O' || stmt->subtype == 'V' ||
		(stmt->subtype == 'C' && !castNode(Constraint, stmt->def)->skip_validation))
	{
		CommandCounterIncrement();
		kalam_validate_domain(typenameTypeId(NULL, makeTypeNameFromNameList(stmt->typeName)));
	}
}

static void
kalam_ProcessUtility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *stmt = pstmt->utilityStmt;

	/* NOTIFY does work after our commit that can fail */
	if (IsA(stmt, NotifyStmt))
		kalam_transaction_force_two_phase();

	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, qc);

	if (!IsTransactionState())
		return;
	if (IsA(stmt, AlterTableStmt))
		note_attached_partitions((AlterTableStmt *) stmt);
	process_touched();
	if (IsA(stmt, AlterDomainStmt) && kalam_segment != NULL)
		check_altered_domain((AlterDomainStmt *) stmt);
}

void
kalam_ddl_install(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = kalam_object_access;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = kalam_ProcessUtility;
}

/* ---- ends of transactions ---- */

void
kalam_ddl_at_precommit(void)
{
	process_touched();
}

static void
forget_touched(SubTransactionId sub)
{
	ListCell   *lc;

	foreach(lc, touched)
	{
		Touched    *t = lfirst(lc);

		if (sub == InvalidSubTransactionId || t->sub == sub)
		{
			touched = foreach_delete_current(touched, lc);
			pfree(t);
		}
	}
}

void
kalam_ddl_at_xact_end(bool committed)
{
	forget_touched(InvalidSubTransactionId);
	if (any_ddl && !committed)
		kalam_tables_forget();
	any_ddl = false;
}

void
kalam_ddl_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	ListCell   *lc;

	foreach(lc, touched)
		if (((Touched *) lfirst(lc))->sub == sub)
			((Touched *) lfirst(lc))->sub = parent;
}

void
kalam_ddl_at_subabort(SubTransactionId sub)
{
	forget_touched(sub);
	if (any_ddl)
		kalam_tables_forget();
}
