/*
 * attach.h
 *	  A new foreign table takes over rows that are stored already.
 */
#ifndef KALAM_ATTACH_H
#define KALAM_ATTACH_H

#include "postgres.h"
#include "nodes/parsenodes.h"

#include "src/backend/store_catalog.h"

/* Is it one of the options that say which rows?  Raises for a bad value. */
extern bool kalam_is_attach_option(DefElem *def);

/*
 * The tables that no relation owns, of a database of this name: kept ones, and those
 * that came with the store.  NULL: of this database.
 */
extern List *kalam_attachable(const char *database);

/* May the current user have it? */
extern bool kalam_may_attach(const KalamCatalogTable *table);

/*
 * Can values of the column be what they were, in this database?  Types that are
 * not PostgreSQL's own are others elsewhere, also if their names are the same.
 */
extern bool kalam_is_type_at_home(const KalamCatalogTable *table, const KalamTableColumn *column);

/*
 * For a relation without a record: if its options say so, gives it one, with the rows,
 * and takes these options away.  *check becomes true if there are constraints that rows may break.
 * NULL if the options say nothing of the kind.
 */
extern KalamCatalogTable *kalam_attach(Oid relid, bool *check);

/* For a relation that has its rows: raises if its options ask for others. */
extern void kalam_refuse_attach(Oid relid);

/* ---- import.c ---- */

/* ImportForeignSchema. */
extern List *kalam_import_schema(ImportForeignSchemaStmt *stmt, Oid server);

#endif							/* KALAM_ATTACH_H */
