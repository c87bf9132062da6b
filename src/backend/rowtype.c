/*
 * rowtype.c
 *	  Row types that columns of stored tables have: they must keep their layout.
 *
 * ALTER TYPE and ALTER TABLE refuse to change the type of an attribute while a
 * column somewhere has the row type.  Older minor versions of PostgreSQL 15 look
 * at tables with storage of their own only, and stored values would be read as
 * what they are not.  Runs after the statement, in the same command.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "src/backend/ddl.h"

/* The type that a domain is over; invalid if it is none. */
static Oid
domain_base(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			base = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);

		if (form->typtype == TYPTYPE_DOMAIN)
			base = form->typbasetype;
		ReleaseSysCache(tuple);
	}
	return base;
}

bool
kalam_is_over_domain(Oid type, Oid domain)
{
	while (OidIsValid(type) && type != domain)
		type = domain_base(type);
	return OidIsValid(type);
}

bool
kalam_type_contains(Oid type, Oid part)
{
	Oid			inner;

	check_stack_depth();
	if (type == part)
		return true;
	if (OidIsValid(inner = domain_base(type)) ||
		OidIsValid(inner = get_element_type(type)) ||
		OidIsValid(inner = get_range_subtype(type)) ||
		OidIsValid(inner = get_multirange_range(type)))
		return kalam_type_contains(inner, part);
	if (type_is_rowtype(type) && type != RECORDOID)
	{
		TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);

		for (int i = 0; i < desc->natts; i++)
			if (!TupleDescAttr(desc, i)->attisdropped &&
				kalam_type_contains(TupleDescAttr(desc, i)->atttypid, part))
				return true;
	}
	return false;
}

/* With the words of ALTER. */
static void
refuse(Oid relid, const char *table, const char *column)
{
	if (get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter type \"%s\" because column \"%s.%s\" uses it",
						get_rel_name(relid), table, column)));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot alter %s \"%s\" because column \"%s.%s\" uses its row type",
					get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE ? "foreign table" : "table",
					get_rel_name(relid), table, column)));
}

/*
 * Has the table a column with the row type, as the catalogs tell it without a lock on
 * the table?  The tables that the statement has nothing to do with may be locked for long.
 */
static bool
has_column_of(Oid user_id, Oid row_type)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(user_id));
	int			natts = 0;
	bool		found = false;

	if (HeapTupleIsValid(tuple))
	{
		natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
		ReleaseSysCache(tuple);
	}
	for (int i = 1; i <= natts && !found; i++)
	{
		Oid			type = get_atttype(user_id, i);

		found = OidIsValid(type) && kalam_type_contains(type, row_type);
	}
	return found;
}

/* Raises if a column of the stored table has the row type of relid. */
static void
check_columns(Oid user_id, Oid relid, Oid row_type)
{
	Relation	user = try_relation_open(user_id, AccessShareLock);
	TupleDesc	desc;

	if (user == NULL)
		return;
	desc = RelationGetDescr(user);

	/* the array of a type was made with it: ALTER comes to that first */
	for (int arrays_only = 1; arrays_only >= 0; arrays_only--)
	{
		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			if (!att->attisdropped &&
				(arrays_only ? get_element_type(att->atttypid) == row_type :
				 kalam_type_contains(att->atttypid, row_type)))
				refuse(relid, RelationGetRelationName(user), NameStr(att->attname));
		}
	}
	relation_close(user, AccessShareLock);
}

/* Tables that were dropped and kept can be attached again. */
static void
check_kept(Oid relid, Oid row_type)
{
	ListCell   *lc;

	foreach(lc, kalam_catalog_list(MyDatabaseId))
	{
		KalamCatalogTable *t = lfirst(lc);

		for (uint32 i = 0; t->kept && i < t->record.ncolumns; i++)
		{
			Oid			type = t->columns[i].type_oid;

			if (OidIsValid(type) && SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)) &&
				kalam_type_contains(type, row_type))
				refuse(relid, kalam_string_dup(t->record.name),
					   kalam_string_dup(t->columns[i].name));
		}
	}
}

/* Does the command change what is stored under the row type? */
static bool
changes_layout(const AlterTableCmd *cmd)
{
	ListCell   *lc;

	if (cmd->subtype == AT_AlterColumnType)
		return true;
	if (cmd->subtype != AT_AddColumn)
		return false;
	foreach(lc, castNode(ColumnDef, cmd->def)->constraints)
	{
		ConstrType	type = lfirst_node(Constraint, lc)->contype;

		if (type == CONSTR_DEFAULT || type == CONSTR_GENERATED || type == CONSTR_IDENTITY)
			return true;
	}
	return false;
}

void
kalam_check_altered_row_type(const AlterTableStmt *stmt)
{
	bool		changes = false;
	Oid			relid;
	Oid			row_type;
	Relation	pg_foreign_table;
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *lc;

	foreach(lc, stmt->cmds)
		changes |= changes_layout(lfirst_node(AlterTableCmd, lc));
	if (!changes)
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	row_type = OidIsValid(relid) ? get_rel_type_id(relid) : InvalidOid;
	if (!OidIsValid(row_type))
		return;

	pg_foreign_table = table_open(ForeignTableRelationId, AccessShareLock);
	scan = systable_beginscan(pg_foreign_table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			user_id = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftrelid;

		if (kalam_is_table(user_id) && has_column_of(user_id, row_type))
			check_columns(user_id, relid, row_type);
	}
	systable_endscan(scan);
	table_close(pg_foreign_table, AccessShareLock);
	check_kept(relid, row_type);
}
