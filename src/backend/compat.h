/*
 * compat.h
 *	  The one place that knows versions of PostgreSQL.
 */
#ifndef KALAM_COMPAT_H
#define KALAM_COMPAT_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "optimizer/paths.h"

#if PG_VERSION_NUM < 150000
#error "kalam_fdw needs PostgreSQL 15 or later"
#endif

/* An existing pathkey for a sort of rel's expr by opno, as a list of at most one. */
static inline List *
kalam_expression_pathkey(PlannerInfo *root, Expr *expr, Oid opno, Relids rel)
{
#if PG_VERSION_NUM < 160000
	return build_expression_pathkey(root, expr, NULL, opno, rel, false);
#else
	return build_expression_pathkey(root, expr, opno, rel, false);
#endif
}

/*
 * Whether the row that is there is in the view that an INSERT ... ON CONFLICT DO UPDATE
 * goes through.  Minor releases brought it, and put it behind what there was; a server
 * without it has no such checks.
 */
#define KALAM_WCO_VIEW_CONFLICT_CHECK	((WCOKind) (WCO_RLS_MERGE_DELETE_CHECK + 1))

#endif							/* KALAM_COMPAT_H */
