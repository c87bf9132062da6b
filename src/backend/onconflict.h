/*
 * onconflict.h
 *	  INSERT ... ON CONFLICT with a target: which keys it means.
 */
#ifndef KALAM_ONCONFLICT_H
#define KALAM_ONCONFLICT_H

#include "postgres.h"
#include "fmgr.h"
#include "executor/tuptable.h"
#include "nodes/plannodes.h"

#include "src/backend/table.h"

extern void kalam_on_conflict_install(void);	/* planner hook */

/*
 * The attribute numbers that ON CONFLICT names, of the relation that INSERT names;
 * NULL if the plan has no target that is ours to find.
 */
extern int2vector *kalam_on_conflict_columns(const ModifyTable *plan);

/* ---- arbiter.c ---- */

/* The keys of a table that a conflict target means. */
typedef struct KalamArbiters
{
	bool		primary_key;
	List	   *indexes;		/* KalamIndex */
} KalamArbiters;

/*
 * For the plan's target, of a relation that is, or is a partition of, the one that
 * INSERT names.  NULL: it has none.  Raises if no key fits.
 */
extern KalamArbiters *kalam_find_arbiters(KalamTable *table, Relation rel, const ModifyTable *plan,
										  Relation named);
extern List *kalam_arbiter_names(const KalamArbiters *arbiters, Relation rel);

static inline bool
kalam_arbiters_have_values(const KalamArbiters *arbiters)
{
	return arbiters != NULL && arbiters->indexes != NIL;
}

/* What a row has in them.  In the current memory context. */
typedef struct KalamArbiterValues KalamArbiterValues;
extern KalamArbiterValues *kalam_arbiter_values(const KalamArbiters *arbiters, KalamTable *table,
												Relation rel, TupleTableSlot *slot,
												const uint8 *key, size_t key_len);

/*
 * The key of the row that has one of them now, own and newest committed; its
 * length, 0 if there is none.  key has room for KALAM_MAX_KEY_BYTES.
 */
extern size_t kalam_arbiter_row(const KalamArbiterValues *values, uint8 *key);

/* Waits for those who insert or delete one of them, and keeps others from it. */
struct KalamModify;
extern void kalam_arbiter_lock_values(struct KalamModify *m, const KalamArbiterValues *values);

#endif							/* KALAM_ONCONFLICT_H */
