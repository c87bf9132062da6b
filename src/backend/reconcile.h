/*
 * reconcile.h
 *	  What ddl.c asks for when a statement has touched a stored table.
 *
 * The caller's statement holds the lock on the relation.
 */
#ifndef KALAM_RECONCILE_H
#define KALAM_RECONCILE_H

#include "postgres.h"

#include "src/backend/store_catalog.h"

/*
 * Brings the store in line with the relation as it is now.  validate: rows are
 * to be checked in any case.  Wants an active snapshot.
 */
extern void kalam_reconcile(Oid relid, bool validate);

/* The relation, or the database with all its tables, is about to be dropped. */
extern void kalam_reconcile_drop_table(Oid relid);
extern void kalam_reconcile_drop_database(Oid database);

/* Stages the removal of a record and of the rows of its table. */
extern void kalam_reconcile_drop_record(const KalamCatalogTable *record);

/* Raises if the column is part of the primary key. */
extern void kalam_reconcile_check_column_drop(Oid relid, int attnum);

/* Has this transaction changed a record, or begun to? */
extern bool kalam_reconcile_here(void);

/* Callbacks; never raise. */
extern void kalam_reconcile_at_xact_end(void);
extern void kalam_reconcile_at_subabort(void);

#endif							/* KALAM_RECONCILE_H */
