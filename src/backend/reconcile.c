/*
 * reconcile.c
 *	  Makes the store's record of a table, and its object, follow the relation.
 *
 * For one relation at a time, under the lock that its statement holds: objects
 * are created and dropped, key columns become NOT NULL, the options of keys and
 * indexes follow renamed and dropped columns, rows are rewritten, checked and
 * indexed where that is needed.  When to do so is ddl.c's business, how rows are
 * rewritten rewrite.c's, how indexes are built indexbuild.c's.
 *
 * All of it is staged like rows are, and is undone with its subtransaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "src/backend/attach.h"
#include "src/backend/ddl.h"
#include "src/backend/index.h"
#include "src/backend/reconcile.h"
#include "src/backend/shmem.h"
#include "src/backend/tablestats.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

/* This transaction staged something here: cached object ids depend on it. */
static bool anything_staged = false;

/* ---- objects ---- */

/* The store's record, or a new one with a new object. */
static KalamCatalogTable *
require_record(Relation rel, KalamTable *table)
{
	KalamCatalogTable *left_over;
	KalamCatalogTable *record = kalam_record_find(RelationGetRelid(rel), &left_over);

	if (record == NULL)
	{
		/* one creator at a time; the lock is held to the end of the transaction */
		LockDatabaseObject(ForeignTableRelationId, RelationGetRelid(rel), 0, ExclusiveLock);
		record = kalam_record_find(RelationGetRelid(rel), &left_over);
	}
	if (record == NULL)
	{
		if (left_over != NULL)
		{
			ereport(LOG,
					(errmsg("rows of the table \"%s\", which no longer exists, are dropped: the new table \"%s\" has its id",
							kalam_string_dup(left_over->record.name), RelationGetRelationName(rel))));
			kalam_reconcile_drop_record(left_over);
		}
		record = kalam_record_of(rel, table, NULL);
		record->record.object_id = kalam_create_object(table);
		record->record.table_id = record->record.object_id;
		kalam_index_start_anew(table, rel, record);
		kalam_catalog_put(record);
		anything_staged = true;
	}
	return record;
}

void
kalam_table_require_object(KalamTable *table, Relation rel)
{
	if (kalam_table_object(table) == KALAM_OBJECT_NONE)
		kalam_table_know(table, require_record(rel, table));
}

/* ---- ALTER ---- */

/* The columns of a key or an index as old has them, or NULL. */
static char *
old_key_list(const char *option, const KalamCatalogTable *old)
{
	const char *name;
	bool		unique;

	if (strcmp(option, "primary_key") == 0)
		return kalam_string_dup(old->record.primary_key);
	if (kalam_is_index_option(option, &name, &unique))
		for (uint32 i = 0; i < old->record.nindexes; i++)
			if (unique == ((old->indexes[i].flags & KALAM_INDEX_UNIQUE) != 0) &&
				strcmp(name, kalam_string_dup(old->indexes[i].name)) == 0)
				return kalam_string_dup(old->indexes[i].columns);
	return NULL;
}

/* NULL if it was dropped. */
static char *
column_name(Oid relid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCacheCopyAttNum(relid, attnum);

	return HeapTupleIsValid(tuple) ?
		pstrdup(NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname)) : NULL;
}

typedef enum Followed
{
	FOLLOWED_SAME,
	FOLLOWED_RENAMED,			/* the option has been changed */
	FOLLOWED_DROPPED			/* a column is no longer there */
} Followed;

/* Gives the columns that an option names the names that they have now. */
static Followed
follow_columns(Oid relid, DefElem *option, const KalamCatalogTable *old)
{
	char	   *was = old_key_list(option->defname, old);
	Followed	result = FOLLOWED_SAME;
	List	   *items;
	ListCell   *lc;

	/* an option that this statement has set has the names of now */
	if (was == NULL || strcmp(defGetString(option), was) != 0)
		return FOLLOWED_SAME;
	items = kalam_parse_key_list(option->defname, was);
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
			now = column_name(relid, c->attnum);
			if (now == NULL)
				return FOLLOWED_DROPPED;
			if (strcmp(now, item->name) != 0)
			{
				item->name = now;
				result = FOLLOWED_RENAMED;
			}
			break;
		}
	}
	if (result == FOLLOWED_RENAMED)
		option->arg = (Node *) makeString(kalam_format_key_list(items));
	return result;
}

/*
 * Columns of a key or an index were renamed or dropped: options name columns, so
 * they follow, or a dump would not restore.  An index goes with its first column
 * that is dropped, as in heap.  old tells what the names were.
 */
static void
follow_options(Oid relid, const KalamCatalogTable *old)
{
	ForeignTable *ft = GetForeignTable(relid);
	ListCell   *lc;
	bool		changed = false;

	foreach(lc, ft->options)
	{
		Followed	followed = follow_columns(relid, lfirst(lc), old);

		if (followed == FOLLOWED_DROPPED)
			ft->options = foreach_delete_current(ft->options, lc);
		changed |= followed != FOLLOWED_SAME;
	}
	if (changed)
		kalam_write_table_options(relid, ft->options);
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

void
kalam_reconcile(Oid relid, bool validate)
{
	KalamCatalogTable *old = kalam_record_find(relid, NULL);
	KalamCatalogTable *attached = NULL;
	KalamCatalogTable *record;
	Relation	rel;
	KalamTable *table;
	bool		validated = false;

	anything_staged = true;		/* also what an error leaves half done */
	if (old != NULL)
	{
		kalam_refuse_attach(relid);
		follow_options(relid, old);
	}
	else
		old = attached = kalam_attach(relid, &validate);
	set_key_not_null(relid, attached ? NULL : old);
	rel = table_open(relid, AccessShareLock);
	table = kalam_table_open_to_change(rel);
	if (old == NULL)
		(void) require_record(rel, table);
	else
	{
		record = kalam_record_of(rel, table, old);
		if (kalam_needs_rewrite(rel, table, old))
		{
			kalam_index_start_anew(table, rel, record);
			record->record.object_id = kalam_rewrite(rel, table, old);
			CacheInvalidateRelcache(rel);
			validated = true;
		}
		else
		{
			kalam_table_set_object(table, old->record.object_id);
			kalam_index_reconcile(rel, table, old, record);
		}
		kalam_catalog_put(record);
		kalam_table_know(table, record);
		if (!validated && (validate || has_new_not_null(rel, old)))
		{
			CommandCounterIncrement();
			kalam_validate_rows(rel);
		}
	}
	kalam_table_close(table);
	table_close(rel, NoLock);
}

void
kalam_reconcile_check_column_drop(Oid relid, int attnum)
{
	char	   *column = get_attname(relid, attnum, false);
	ListCell   *option;

	/* (other options may name columns that are dropped by now) */
	foreach(option, GetForeignTable(relid)->options)
	{
		DefElem    *def = lfirst(option);
		ListCell   *lc;

		if (strcmp(def->defname, "primary_key") != 0)
			continue;
		foreach(lc, kalam_parse_key_list(def->defname, defGetString(def)))
			if (strcmp(((KalamKeyItem *) lfirst(lc))->name, column) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot drop column \"%s\" of table \"%s\": it is part of the primary key",
								column, get_rel_name(relid)),
						 errhint("Change option primary_key first.")));
	}
}

/* ---- DROP ---- */

void
kalam_reconcile_drop_record(const KalamCatalogTable *record)
{
	kalam_stage_object(KALAM_CHANGE_DROP_OBJECT, record->record.object_id, NULL, 0);
	if (record->kept || record->elsewhere)
		kalam_catalog_forget_kept(record);
	else
		kalam_catalog_delete(record->record.database_oid, record->record.relid);
	anything_staged = true;
}

void
kalam_reconcile_drop_table(Oid relid)
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
	kalam_count_drop(relid);
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
		anything_staged = true;
	}
	else
		kalam_reconcile_drop_record(record);
}

void
kalam_reconcile_drop_database(Oid database)
{
	ListCell   *lc;

	if (kalam_segment == NULL)
		return;
	foreach(lc, kalam_catalog_list(database))
		kalam_reconcile_drop_record(lfirst(lc));
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
		record->record.table_id = record->record.object_id;
		for (uint32 i = 0; i < record->record.nindexes; i++)
			record->indexes[i].since = 0;
		kalam_catalog_put(record);
		kalam_table_close(table);
		anything_staged = true;
		/* every session looks the object up again, this one at once */
		CacheInvalidateRelcache(rel);
		kalam_tables_forget();
	}
}

bool
kalam_reconcile_here(void)
{
	return anything_staged;
}

/* ---- ends of transactions ---- */

void
kalam_reconcile_at_xact_end(void)
{
	/* schemas that are this backend's own may be shared now */
	if (anything_staged)
		kalam_tables_forget();
	anything_staged = false;
}

void
kalam_reconcile_at_subabort(void)
{
	if (anything_staged)
		kalam_tables_forget();
}
