/*
 * attach.c
 *	  CREATE FOREIGN TABLE over rows that are stored already.
 *
 * Rows without a relation are those of a table that was dropped with on_drop
 * 'keep', and all that came with a store from another server.  The options
 * table_name, namespace, database and object_id say which ones a new table takes
 * over.  They are taken away again at once: a dump, or a copy of the database,
 * must not point at rows of this one.
 *
 * Rows say nothing of who may see them, so the owner that their record names, or
 * a superuser, it must be; roles of another server are nobody here.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "src/backend/attach.h"
#include "src/backend/ddl.h"
#include "src/backend/reconcile.h"
#include "src/backend/row.h"
#include "src/backend/transaction.h"
#include "src/backend/wholescan.h"

/* ---- which rows ---- */

typedef struct Wanted
{
	char	   *database;		/* NULL: this one */
	char	   *nspname;
	char	   *name;
	uint32		object_id;		/* NONE: the newest of that name */
} Wanted;

static uint32
parse_object_id(DefElem *def)
{
	char	   *value = defGetString(def);
	char	   *end;
	uint64		id;

	errno = 0;
	id = strtou64(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || value[0] == '-' ||
		id < KALAM_OBJECT_FIRST_USER || id > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", def->defname, value),
				 errhint("The view kalam.tables shows object ids.")));
	return (uint32) id;
}

bool
kalam_is_attach_option(DefElem *def)
{
	if (strcmp(def->defname, "object_id") == 0)
		(void) parse_object_id(def);
	else if (strcmp(def->defname, "table_name") != 0 && strcmp(def->defname, "namespace") != 0 &&
			 strcmp(def->defname, "database") != 0)
		return false;
	return true;
}

/* False if the options do not ask for rows that are stored. */
static bool
read_wanted(List *options, Wanted *wanted, List **others)
{
	bool		any = false;
	ListCell   *lc;

	memset(wanted, 0, sizeof(*wanted));
	*others = NIL;
	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, "table_name") == 0)
			wanted->name = defGetString(def);
		else if (strcmp(def->defname, "namespace") == 0)
			wanted->nspname = defGetString(def);
		else if (strcmp(def->defname, "database") == 0)
			wanted->database = defGetString(def);
		else if (strcmp(def->defname, "object_id") == 0)
			wanted->object_id = parse_object_id(def);
		else
		{
			*others = lappend(*others, def);
			continue;
		}
		any = true;
	}
	if (any && wanted->name == NULL && wanted->object_id == KALAM_OBJECT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"table_name\" is missing"),
				 errhint("It names the stored table whose rows the new table takes over.")));
	return any;
}

static bool
is_string(KalamString s, const char *cstring)
{
	return s.len == strlen(cstring) && memcmp(s.data, cstring, s.len) == 0;
}

static bool
is_of_database(const KalamCatalogTable *t, const char *database)
{
	char	   *now;

	if (!t->kept && !t->elsewhere)
		return false;			/* a relation owns it */
	if (t->elsewhere)
		return is_string(t->record.database, database ? database : get_database_name(MyDatabaseId));
	if (database == NULL)
		return t->record.database_oid == MyDatabaseId;
	now = get_database_name(t->record.database_oid);
	return now != NULL && strcmp(now, database) == 0;
}

List *
kalam_attachable(const char *database)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, kalam_catalog_list(InvalidOid))
		if (is_of_database(lfirst(lc), database))
			tables = lappend(tables, lfirst(lc));
	return tables;
}

static KalamCatalogTable *
find_wanted(const Wanted *wanted, const char *default_nspname)
{
	const char *nspname = wanted->nspname ? wanted->nspname : default_nspname;
	KalamCatalogTable *found = NULL;
	ListCell   *lc;

	foreach(lc, kalam_attachable(wanted->database))
	{
		KalamCatalogTable *t = lfirst(lc);

		if (wanted->object_id != KALAM_OBJECT_NONE ?
			(t->record.object_id != wanted->object_id ||
			 (wanted->name != NULL && !is_string(t->record.name, wanted->name))) :
			(!is_string(t->record.name, wanted->name) || !is_string(t->record.nspname, nspname)))
			continue;
		if (found == NULL || t->record.object_id > found->record.object_id)
			found = t;
	}
	if (found == NULL)
	{
		if (wanted->object_id != KALAM_OBJECT_NONE)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
					 errmsg("there is no stored table with object id %u that could be attached",
							wanted->object_id)));
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("there is no stored table \"%s.%s\" that could be attached", nspname, wanted->name),
				 errhint("The views kalam.tables (kept ones) and kalam.orphans list what is stored.")));
	}
	return found;
}

/* ---- by whom ---- */

bool
kalam_may_attach(const KalamCatalogTable *table)
{
	Oid			owner = table->record.owner_oid;
	char	   *name;

	if (superuser())
		return true;
	if (table->elsewhere || !OidIsValid(owner))
		return false;
	/* ids are used again, also those of roles */
	name = GetUserNameFromId(owner, true);
	return name != NULL && is_string(table->record.owner, name) &&
		has_privs_of_role(GetUserId(), owner);
}

static void
check_owner(const KalamCatalogTable *t)
{
	if (!kalam_may_attach(t))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of stored table \"%s\"", kalam_string_dup(t->record.name)),
				 t->elsewhere ?
				 errdetail("It came from another server: only a superuser can attach it.") :
				 errdetail("Its owner was \"%s\".", kalam_string_dup(t->record.owner))));
}

/*
 * Nobody else attaches it, and nobody drops it or its database, to the end of
 * the transaction.  What is true of it is true from here on.
 */
static KalamCatalogTable *
lock_stored(const KalamCatalogTable *t)
{
	KalamCatalogTable *now;

	if (!t->elsewhere && t->record.database_oid != MyDatabaseId)
		LockSharedObject(DatabaseRelationId, t->record.database_oid, 0, AccessShareLock);
	/* as kalam.drop_orphan() */
	LockSharedObject(ForeignDataWrapperRelationId, (Oid) t->record.object_id, 0, AccessExclusiveLock);
	now = kalam_catalog_again(t);
	if (now == NULL || now->record.object_id != t->record.object_id)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("stored table \"%s\" was attached or dropped meanwhile",
						kalam_string_dup(t->record.name))));
	return now;
}

/* ---- the columns ---- */

bool
kalam_is_type_at_home(const KalamCatalogTable *table, const KalamTableColumn *column)
{
	return column->type_oid < FirstGenbkiObjectId ||
		(!table->elsewhere && table->record.database_oid == MyDatabaseId &&
		 SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(column->type_oid)));
}

static void pg_attribute_noreturn()
raise_columns(const KalamCatalogTable *t, char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_COLUMN_NAME),
			 errmsg("the definition is not that of stored table \"%s\"",
					kalam_string_dup(t->record.name)),
			 errdetail("%s", detail),
			 errhint("IMPORT FOREIGN SCHEMA makes the definition from what is stored.")));
}

/* Text is bytes in the encoding of its database. */
static void
check_encoding(const KalamCatalogTable *t)
{
	if (!t->elsewhere && t->record.database_oid == MyDatabaseId)
		return;
	if (t->record.encoding != (uint32) GetDatabaseEncoding())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stored table \"%s\" cannot be attached to this database",
						kalam_string_dup(t->record.name)),
				 errdetail("Its encoding is %s, that of the database %s.",
						   t->record.encoding == KALAM_ENCODING_UNKNOWN ? "not known" :
						   pg_encoding_to_char((int) t->record.encoding),
						   GetDatabaseEncodingName())));
}

/* The stored column that is the relation's column att, or -1. */
static int
find_column(const KalamCatalogTable *t, Form_pg_attribute att)
{
	for (uint32 i = 0; i < t->record.ncolumns; i++)
	{
		const KalamTableColumn *c = &t->columns[i];

		if ((c->flags & KALAM_COLUMN_DROPPED) || !is_string(c->name, NameStr(att->attname)))
			continue;
		if (!kalam_is_type_at_home(t, c))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of stored table \"%s\" cannot be attached to this database",
							NameStr(att->attname), kalam_string_dup(t->record.name)),
					 errdetail("Its type %s belonged to another database, or is gone.",
							   kalam_string_dup(c->type_name))));
		if (c->type_oid != att->atttypid || c->typmod != att->atttypmod)
			raise_columns(t, psprintf("Column \"%s\" has type %s, not %s.", NameStr(att->attname),
									  format_type_with_typemod(c->type_oid, c->typmod),
									  format_type_with_typemod(att->atttypid, att->atttypmod)));
		return (int) i;
	}
	return -1;
}

/*
 * For each column of rel the number of the stored one.  *same: they are the
 * same numbers.
 */
static int *
match_columns(Relation rel, const KalamCatalogTable *t, bool *same, bool *check)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int		   *map = palloc(Max(desc->natts, 1) * sizeof(int));
	uint32		live = 0;

	*same = desc->natts == (int) t->record.ncolumns;
	*check |= rel->rd_rel->relispartition || (desc->constr != NULL && desc->constr->num_check > 0);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		map[i] = find_column(t, att);
		if (map[i] < 0)
			raise_columns(t, psprintf("It has no column \"%s\".", NameStr(att->attname)));
		*same &= map[i] == i;
		*check |= get_typtype(att->atttypid) == TYPTYPE_DOMAIN;
	}
	for (uint32 i = 0; i < t->record.ncolumns; i++)
	{
		bool		used = (t->columns[i].flags & KALAM_COLUMN_DROPPED) != 0;

		for (int k = 0; k < desc->natts && !used; k++)
			used = map[k] == (int) i;
		if (!used)
			raise_columns(t, psprintf("Column \"%s\" is missing.", kalam_string_dup(t->columns[i].name)));
		live += (t->columns[i].flags & KALAM_COLUMN_DROPPED) == 0;
	}
	Assert(live == (uint32) desc->natts);
	return map;
}

/* ---- rows in another order of columns ---- */

static TupleDesc
stored_descriptor(const KalamCatalogTable *t)
{
	TupleDesc	desc = CreateTemplateTupleDesc((int) t->record.ncolumns);

	for (uint32 i = 0; i < t->record.ncolumns; i++)
	{
		const KalamTableColumn *c = &t->columns[i];
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!(c->flags & KALAM_COLUMN_DROPPED))
		{
			TupleDescInitEntry(desc, i + 1, kalam_string_dup(c->name), c->type_oid, c->typmod, 0);
			continue;
		}
		/* rows of before have a value there, of a type that may be gone */
		TupleDescInitEntry(desc, i + 1, "dropped", BYTEAOID, -1, 0);
		att->attisdropped = true;
		att->attlen = KALAM_DROPPED_LEN(c->typmod);
		att->attalign = KALAM_DROPPED_ALIGN(c->typmod);
		att->attbyval = false;
	}
	return desc;
}

/*
 * A new relation has no dropped columns, and may have the others in another order:
 * then the rows are stored anew, under the keys that they have.
 */
static void
store_anew(Relation rel, KalamTable *table, KalamCatalogTable *t, const int *map)
{
	TupleDesc	desc = RelationGetDescr(rel);
	TupleTableSlot *stored = MakeSingleTupleTableSlot(stored_descriptor(t), &TTSOpsMinimalTuple);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "kalam attach",
												  ALLOCSET_DEFAULT_SIZES);
	KalamTableColumn *columns = palloc0(Max(desc->natts, 1) * sizeof(KalamTableColumn));
	KalamWholeScan *scan;
	MinimalTuple tuple;
	const uint8 *old_key;
	size_t		key_len;
	uint32		object_id;

	kalam_table_set_object(table, t->record.object_id);
	scan = kalam_whole_scan_begin(rel);
	object_id = kalam_create_object(table);
	while ((tuple = kalam_whole_scan_next(scan, &old_key, &key_len)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(per_row);
		uint8		key[KALAM_MAX_KEY_BYTES];

		ExecStoreMinimalTuple(tuple, stored, false);
		slot_getallattrs(stored);
		ExecClearTuple(slot);
		for (int i = 0; i < desc->natts; i++)
		{
			slot->tts_values[i] = stored->tts_values[map[i]];
			slot->tts_isnull[i] = stored->tts_isnull[map[i]];
		}
		ExecStoreVirtualTuple(slot);
		memcpy(key, old_key, key_len);
		kalam_put_be32(key, object_id);
		(void) kalam_stage_slot(slot, key, key_len);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
	}
	kalam_whole_scan_end(scan);
	ExecDropSingleTupleTableSlot(stored);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(per_row);
	kalam_stage_object(KALAM_CHANGE_DROP_OBJECT, t->record.object_id, NULL, 0);

	for (int i = 0; i < desc->natts; i++)
	{
		columns[i] = t->columns[map[i]];
		columns[i].attnum = i + 1;
	}
	/* indexes lay with the rows: they are built again */
	t->record.nindexes = 0;
	t->columns = columns;
	t->record.ncolumns = desc->natts;
	t->record.object_id = object_id;
	kalam_table_set_object(table, object_id);
}

/* ---- the relation ---- */

void
kalam_refuse_attach(Oid relid)
{
	Wanted		wanted;
	List	   *others;

	if (read_wanted(GetForeignTable(relid)->options, &wanted, &others))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("table \"%s\" cannot take over stored rows", get_rel_name(relid)),
				 errhint("Options table_name, namespace, database and object_id are for CREATE FOREIGN TABLE.")));
}

KalamCatalogTable *
kalam_attach(Oid relid, bool *check)
{
	Wanted		wanted;
	List	   *others;
	KalamCatalogTable *left_over;
	KalamCatalogTable *t;
	Relation	rel;
	KalamTable *table;
	int		   *map;
	bool		same;

	if (!read_wanted(GetForeignTable(relid)->options, &wanted, &others))
		return NULL;
	kalam_write_table_options(relid, others);
	rel = table_open(relid, AccessShareLock);
	table = kalam_table_open_to_change(rel);

	t = find_wanted(&wanted, get_namespace_name(RelationGetNamespace(rel)));
	check_owner(t);
	t = lock_stored(t);
	check_owner(t);
	check_encoding(t);
	map = match_columns(rel, t, &same, check);

	(void) kalam_record_find(relid, &left_over);
	if (left_over != NULL)
		kalam_reconcile_drop_record(left_over);
	kalam_catalog_forget_kept(t);
	t->kept = false;
	t->elsewhere = false;
	if (!same)
		store_anew(rel, table, t, map);
	t->record.database_oid = MyDatabaseId;
	t->record.relid = relid;
	kalam_catalog_put(t);

	kalam_table_close(table);
	table_close(rel, NoLock);
	return t;
}
