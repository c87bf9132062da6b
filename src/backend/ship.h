/*
 * ship.h
 *	  Conditions that storage evaluates: recognised when a query is planned
 *	  (shipmatch.c), made into a program over stored bytes when it runs (shipfilter.c).
 *
 * Shipped are comparisons of plain columns by built-in operators that cannot raise.
 * What they are compared with is computed once per scan, so it must be free of
 * columns of the table, cheap of surprises, and not volatile.
 */
#ifndef KALAM_SHIP_H
#define KALAM_SHIP_H

#include "postgres.h"
#include "access/htup_details.h"
#include "executor/executor.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"

#include "src/backend/planvalue.h"
#include "src/backend/scan_input.h"
#include "src/shared/rowprog.h"

extern bool kalam_enable_filter;

/* ---- shipmatch.c: planning ---- */

/* How storage understands a column of this type (domains looked through). */
extern KalamFieldKind kalam_field_kind(Oid type);

/* The layout of the first n columns of rows of a relation. */
extern void kalam_row_layout(KalamRowField *fields, int n, TupleDesc desc);

/* The column of the relation that the expression is, if storage can find it in rows. */
extern Var *kalam_ship_column(RelOptInfo *rel, Oid relid, Node *node);

/*
 * The same of a column, or of a function that tells how long a column's value is:
 * *measure says which, KALAM_MEASURE_NONE for the column itself.
 */
extern Var *kalam_ship_measured(RelOptInfo *rel, Oid relid, Node *node, KalamMeasure *measure);

/* A step of rowprog.h's, before the values are known. */
typedef struct KalamShipStep
{
	KalamStepOp op;
	int			arg;
	AttrNumber	field;			/* attribute numbers */
	AttrNumber	other;
	KalamMeasure measure;		/* COMPARE, IN: of the field */
	int			target;			/* of SKIP_IF */
	int			value;			/* COMPARE, IN: number of the value; else -1 */
	Oid			value_type;		/* base type; for IN that of the elements */
} KalamShipStep;

/* Conditions to ship, as they are gathered. */
typedef struct KalamShipped
{
	List	   *steps;			/* KalamShipStep */
	List	   *values;			/* expressions, by number */
	List	   *rinfos;			/* conditions that the steps stand for */
} KalamShipped;

/*
 * Adds the condition if storage can evaluate it.  False, and nothing added, if not.
 */
extern bool kalam_ship_condition(KalamShipped *shipped, RelOptInfo *rel, Oid relid,
								 RestrictInfo *rinfo);

/* Those among the clauses, but for the exact ones, that storage would evaluate. */
extern List *kalam_ship_which(RelOptInfo *rel, Oid relid, List *clauses, List *exact);

/* Steps to and from lists that plans can carry; the values go by fdw_exprs. */
extern List *kalam_ship_steps_to_list(List *steps);
extern List *kalam_ship_steps_from_list(List *list);

/* ---- shipfilter.c: running ---- */

typedef struct KalamFilter KalamFilter;

/*
 * values: the plan's n values, at the end of which those of the steps are.
 * Lives in the current memory context.
 */
extern KalamFilter *kalam_filter_begin(List *steps, const KalamValue *values, int n, Relation rel);

/* Makes the program for the values of now.  False: no row can pass. */
extern bool kalam_filter_compute(KalamFilter *filter, ExprContext *econtext);

/*
 * The same, and the input that brings it to storage, unless that would leave
 * little room for ranges.  filter NULL: none, which all rows pass.
 */
extern bool kalam_filter_start(KalamFilter *filter, ExprContext *econtext, KalamInput *in);

/* The program's bytes, for storage. */
extern const uint8 *kalam_filter_bytes(const KalamFilter *filter, Size *len);

/* The same program run here, over own rows and whatever else storage did not filter. */
extern bool kalam_filter_passes(KalamFilter *filter, MinimalTuple tuple);

#endif							/* KALAM_SHIP_H */
