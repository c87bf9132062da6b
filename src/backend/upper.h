/*
 * upper.h
 *	  Aggregates and groups that storage computes: planned (uppermatch.c, upperpath.c),
 *	  run (uppergroups.c), and turned into PostgreSQL's transition states (upperstate.c).
 *
 * Storage, or this process for own rows, gives partial states of groups, of which
 * a Finalize Aggregate above makes results, as above workers of a parallel query:
 * so results, their types and their errors are PostgreSQL's.
 */
#ifndef KALAM_UPPER_H
#define KALAM_UPPER_H

#include "postgres.h"
#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

#include "src/shared/rowagg.h"

extern bool kalam_enable_aggregate;

/* ---- uppermatch.c ---- */

/* What is computed, and what each column of the scan's result is. */
typedef struct KalamUpper
{
	List	   *group;			/* ints: attribute numbers */
	List	   *items;			/* lists of 3 ints: KalamAggregateOp, attribute number or 0,
								 * KalamMeasure of it */
	List	   *columns;		/* lists of 2 oids: a number, and a transition function:
								 * then it is that of an item, else of a group column */
	bool		in_order;		/* all rows must be added in one place, in order */
} KalamUpper;

/*
 * Can storage compute all of a target of partial aggregates and group columns of
 * the relation?
 */
extern bool kalam_upper_match(KalamUpper *upper, RelOptInfo *rel, Oid relid, List *exprs);

extern List *kalam_upper_to_list(const KalamUpper *upper);
extern void kalam_upper_from_list(KalamUpper *upper, List *list);

/* ---- upperpath.c ---- */

extern void kalam_get_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
								  RelOptInfo *output_rel, void *extra);
extern ForeignScan *kalam_get_upper_plan(PlannerInfo *root, ForeignPath *path, List *tlist,
										 Plan *outer_plan);

/* ---- uppergroups.c ---- */

typedef struct KalamGroups KalamGroups;
struct KalamMerge;

extern KalamGroups *kalam_groups_begin(List *upper, Relation rel, ForeignScanState *node);

/* The section of a scan's input, header included. */
extern const uint8 *kalam_groups_section(const KalamGroups *groups, uint32 *len);

/* Must one request bring all there is, or none? */
extern bool kalam_groups_in_order(const KalamGroups *groups);

/* The next partial group of what the merge gives; empty at its end. */
extern TupleTableSlot *kalam_groups_next(KalamGroups *groups, struct KalamMerge *merge);
extern void kalam_groups_reset(KalamGroups *groups);

/* ---- upperstate.c ---- */

/*
 * The state of a transition function after rows that came to this, as aggregates
 * hand it on: serialized if it is internal.  type: of the column, for values.
 */
extern Datum kalam_transition_state(Oid transfn, const KalamAggregateResult *result,
									Form_pg_attribute type, bool *isnull);

/* A value from its bytes (a varlena's without its header), palloc'd if by reference. */
extern Datum kalam_datum_of_bytes(KalamRowValue value, Form_pg_attribute type);

#endif							/* KALAM_UPPER_H */
