/*
 * record.c
 *	  The catalog record that describes a relation; objects for its rows.
 *
 * Relation ids are used again when the counter has come round.  A record that
 * was there before its relation was created belongs to a table that is gone,
 * and that nobody took out of the store: see orphans.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "src/backend/client.h"
#include "src/backend/ddl.h"
#include "src/backend/shmem.h"
#include "src/backend/transaction.h"

uint32
kalam_create_object(const KalamTable *table)
{
	uint32		object_id;

	(void) kalam_client_ready();
	object_id = atomic_fetch_add(&kalam_segment->next_object_id, 1);
	kalam_stage_object(KALAM_CHANGE_CREATE_OBJECT, object_id, &table->schema->options.object,
					   sizeof(table->schema->options.object));
	return object_id;
}

static const char *
key_option(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, "primary_key") == 0)
			return defGetString(def);
	}
	return "";
}

/* Options as text, for people. */
static char *
options_text(List *options)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);

		appendStringInfo(&buf, "%s%s %s", buf.len ? ", " : "", def->defname,
						 quote_literal_cstr(defGetString(def)));
	}
	return buf.data;
}

KalamCatalogTable *
kalam_record_find(Oid relid, KalamCatalogTable **left_over)
{
	KalamCatalogTable *record = kalam_catalog_get(MyDatabaseId, relid);
	Relation	rel;
	bool		is_new;

	if (left_over != NULL)
		*left_over = NULL;
	if (record == NULL || kalam_catalog_is_staged(MyDatabaseId, relid))
		return record;
	rel = RelationIdGetRelation(relid);
	is_new = RelationIsValid(rel) && rel->rd_createSubid != InvalidSubTransactionId;
	if (RelationIsValid(rel))
		RelationClose(rel);
	if (!is_new)
		return record;
	if (left_over != NULL)
		*left_over = record;
	return NULL;
}

/*
 * Rows that ALTER has stored anew are newer than a snapshot from before, and the
 * old ones are gone.  TRUNCATE gives the table a new id: its rows are to be gone.
 */
void
kalam_record_check_snapshot(KalamTable *table, Relation rel, uint64 stamp)
{
	KalamCatalogTable *then;
	KalamCatalogTable *now;
	uint32		object = kalam_table_object(table);

	/* (true but for transactions with one snapshot, and stable functions that come late) */
	if (object == KALAM_OBJECT_NONE || stamp >= table->object_seen_at || stamp == table->readable_at)
		return;
	then = kalam_catalog_get_at(MyDatabaseId, table->relid, stamp);
	now = then ? kalam_catalog_get_at(MyDatabaseId, table->relid, 0) : NULL;
	/* (if this transaction has stored rows anew itself, it took them as they are now) */
	if (now != NULL && then->record.table_id == now->record.table_id &&
		then->record.object_id != now->record.object_id && now->record.object_id == object)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent ALTER of table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("Its rows were stored anew after the snapshot was taken.")));
	table->readable_at = stamp;
}

/* Whatever the search path is. */
static char *
qualified_collation(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->collnamespace), NameStr(form->collname));
	ReleaseSysCache(tuple);
	return name;
}

KalamCatalogTable *
kalam_record_of(Relation rel, KalamTable *table, const KalamCatalogTable *old)
{
	KalamCatalogTable *t = palloc0(sizeof(KalamCatalogTable));
	KalamTableRecord *r = &t->record;
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *options = GetForeignTable(RelationGetRelid(rel))->options;

	if (old != NULL)
	{
		r->table_id = old->record.table_id;
		r->object_id = old->record.object_id;
		r->schema_version = old->record.schema_version + 1;
		r->nindexes = old->record.nindexes;
		r->next_index = old->record.next_index;
		t->indexes = old->indexes;
	}
	else
	{
		r->schema_version = 1;
		r->next_index = 1;
	}
	r->database_oid = MyDatabaseId;
	r->relid = RelationGetRelid(rel);
	r->owner_oid = rel->rd_rel->relowner;
	r->ncolumns = desc->natts;
	r->owner = kalam_string(GetUserNameFromId(r->owner_oid, false));
	r->database = kalam_string(get_database_name(MyDatabaseId));
	r->nspname = kalam_string(get_namespace_name(RelationGetNamespace(rel)));
	r->name = kalam_string(pstrdup(RelationGetRelationName(rel)));
	r->kind = kalam_string("shared");
	r->encoding = GetDatabaseEncoding();
	r->primary_key = kalam_string(key_option(options));
	r->options = kalam_string(options_text(options));

	t->columns = palloc0(sizeof(KalamTableColumn) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		KalamTableColumn *c = &t->columns[i];

		c->attnum = att->attnum;
		c->name = kalam_string(pstrdup(NameStr(att->attname)));
		if (att->attisdropped)
		{
			c->flags = KALAM_COLUMN_DROPPED;
			c->type_name = kalam_string("");
			c->typmod = KALAM_DROPPED_TYPMOD(att->attlen, att->attalign);
			continue;
		}
		if (OidIsValid(att->attcollation) && att->attcollation != get_typcollation(att->atttypid))
			c->collation = kalam_string(qualified_collation(att->attcollation));
		c->type_oid = att->atttypid;
		c->typmod = att->atttypmod;
		c->type_name = kalam_string(format_type_extended(att->atttypid, -1,
														 FORMAT_TYPE_FORCE_QUALIFY));
		if (att->attnotnull)
			c->flags |= KALAM_COLUMN_NOT_NULL;
		for (int k = 0; k < table->nkeys; k++)
			if (table->keys[k].attnum == att->attnum)
				c->flags |= KALAM_COLUMN_KEY;
	}
	return t;
}
