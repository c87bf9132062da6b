/*
 * ddl.h
 *	  Stored tables appear, change and vanish with the statements that define
 *	  foreign tables, transactionally.
 */
#ifndef KALAM_DDL_H
#define KALAM_DDL_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "utils/rel.h"

#include "src/backend/store_catalog.h"
#include "src/backend/table.h"

extern void kalam_ddl_install(void);	/* hooks */

/* Has this transaction changed the definition of a relation, or a record? */
extern bool kalam_ddl_here(void);

extern void kalam_ddl_at_precommit(void);
extern void kalam_ddl_at_xact_end(void);
extern void kalam_ddl_at_subcommit(SubTransactionId sub, SubTransactionId parent);
extern void kalam_ddl_at_subabort(SubTransactionId sub);

/* ---- reconcile.c (reconcile.h has what only ddl.c calls) ---- */

/* Gives the table an object to write to, if it has none. */
extern void kalam_table_require_object(KalamTable *table, Relation rel);

/* ExecForeignTruncate. */
extern void kalam_exec_truncate(List *rels, DropBehavior behavior, bool restart_seqs);

/* ---- record.c ---- */

/*
 * The store's record of the relation, NULL if it has none.  A record of another
 * table that had this id before is none, and is given in *left_over.
 */
extern KalamCatalogTable *kalam_record_find(Oid relid, KalamCatalogTable **left_over);

/* Raises if the rows of rel cannot be read as they were at the stamp. */
extern void kalam_record_check_snapshot(KalamTable *table, Relation rel, uint64 stamp);

/* The record that describes rel as it is now; ids and indexes come from old, if given. */
extern KalamCatalogTable *kalam_record_of(Relation rel, KalamTable *table,
										  const KalamCatalogTable *old);

/* Stages the creation of an object with the table's options; gives its id. */
extern uint32 kalam_create_object(const KalamTable *table);

/* ---- rewrite.c ---- */

/* Does what old describes need to be stored anew to be read as rel? */
extern bool kalam_needs_rewrite(Relation rel, const KalamTable *table,
								const KalamCatalogTable *old);

/*
 * Stores all rows of rel, laid out and keyed as old says, anew under a new
 * object, whose id it returns; the old object is dropped.  Raises for rows that
 * violate a constraint.
 */
extern uint32 kalam_rewrite(Relation rel, KalamTable *table, const KalamCatalogTable *old);

/* Raises if a row breaks a constraint of rel, its partition bound included. */
extern void kalam_validate_rows(Relation rel);

/* ---- domain.c ---- */

/* Raises if a value of the domain in a stored table breaks its constraints. */
extern void kalam_validate_domain(Oid domain);

/* ---- rowtype.c ---- */

/* Is the type the domain, or a domain over it?  Has it values of the other type within? */
extern bool kalam_is_over_domain(Oid type, Oid domain);
extern bool kalam_type_contains(Oid type, Oid part);

/* Raises if the statement has changed a row type that stored values have. */
extern void kalam_check_altered_row_type(const AlterTableStmt *stmt);

#endif							/* KALAM_DDL_H */
