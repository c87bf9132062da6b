/*
 * import.c
 *	  IMPORT FOREIGN SCHEMA: definitions for tables that are stored without one.
 *
 * The foreign schema is the one that the tables were in, of this database unless
 * option database names another.  A definition is what the store's record says;
 * defaults, CHECKs and triggers are not in it.  The rows come by attach.c.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "src/backend/attach.h"

static const char *
read_options(List *options)
{
	const char *database = NULL;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, "database") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", def->defname),
					 errhint("Valid options of IMPORT FOREIGN SCHEMA are: database.")));
		database = defGetString(def);
	}
	return database;
}

/* By name, and of one name the newest first. */
static int
compare_tables(const ListCell *a, const ListCell *b)
{
	const KalamTableRecord *x = &((KalamCatalogTable *) lfirst(a))->record;
	const KalamTableRecord *y = &((KalamCatalogTable *) lfirst(b))->record;
	int			c = strcmp(kalam_string_dup(x->name), kalam_string_dup(y->name));

	return c != 0 ? c : (x->object_id < y->object_id) - (x->object_id > y->object_id);
}

static void
append_columns(StringInfo sql, const KalamCatalogTable *t)
{
	const char *separator = "";

	for (uint32 i = 0; i < t->record.ncolumns; i++)
	{
		const KalamTableColumn *c = &t->columns[i];

		if (c->flags & KALAM_COLUMN_DROPPED)
			continue;
		if (!kalam_is_type_at_home(t, c))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of stored table \"%s\" cannot be attached to this database",
							kalam_string_dup(c->name), kalam_string_dup(t->record.name)),
					 errdetail("Its type %s belonged to another database, or is gone.",
							   kalam_string_dup(c->type_name)),
					 errhint("Use EXCEPT to leave the table out.")));
		appendStringInfo(sql, "%s%s %s", separator, quote_identifier(kalam_string_dup(c->name)),
						 format_type_extended(c->type_oid, c->typmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
		if (c->collation.len > 0)
			appendStringInfo(sql, " COLLATE %s", kalam_string_dup(c->collation));
		if (c->flags & KALAM_COLUMN_NOT_NULL)
			appendStringInfoString(sql, " NOT NULL");
		separator = ", ";
	}
}

static char *
definition(const KalamCatalogTable *t, const ForeignServer *server, const char *database)
{
	const KalamTableRecord *r = &t->record;
	char	   *name = kalam_string_dup(r->name);
	char	   *options = kalam_string_dup(r->options);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s (", quote_identifier(name));
	append_columns(&sql, t);
	appendStringInfo(&sql, ") SERVER %s OPTIONS (%s%stable_name %s, namespace %s, object_id '%u'",
					 quote_identifier(server->servername), options, options[0] ? ", " : "",
					 quote_literal_cstr(name), quote_literal_cstr(kalam_string_dup(r->nspname)),
					 r->object_id);
	if (database != NULL)
		appendStringInfo(&sql, ", database %s", quote_literal_cstr(database));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

List *
kalam_import_schema(ImportForeignSchemaStmt *stmt, Oid server_oid)
{
	const char *database = read_options(stmt->options);
	ForeignServer *server = GetForeignServer(server_oid);
	List	   *tables = kalam_attachable(database);
	List	   *commands = NIL;
	const char *last = NULL;
	ListCell   *lc;

	list_sort(tables, compare_tables);
	foreach(lc, tables)
	{
		KalamCatalogTable *t = lfirst(lc);
		char	   *name = kalam_string_dup(t->record.name);

		if (strcmp(kalam_string_dup(t->record.nspname), stmt->remote_schema) != 0 ||
			!IsImportableForeignTable(name, stmt))
			continue;
		/* of all tables, those that one may have; of those that are named, each */
		if (stmt->list_type != FDW_IMPORT_SCHEMA_LIMIT_TO && !kalam_may_attach(t))
			continue;
		if (last != NULL && strcmp(last, name) == 0)
		{
			ereport(NOTICE,
					(errmsg("an older stored table \"%s\" with object id %u is left out", name,
							t->record.object_id)));
			continue;
		}
		last = name;
		commands = lappend(commands, definition(t, server, database));
	}
	return commands;
}
