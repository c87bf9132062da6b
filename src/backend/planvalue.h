/*
 * planvalue.h
 *	  What values a plan has for conditions that storage evaluates, when it runs.
 *
 * Most are constants, or parameters of a prepared statement, and known from the
 * start: an executor's expression would cost more to be made than a row by key costs.
 */
#ifndef KALAM_PLANVALUE_H
#define KALAM_PLANVALUE_H

#include "postgres.h"
#include "executor/executor.h"

typedef struct KalamValue
{
	ExprState  *state;			/* NULL: it does not change while the plan runs, and is */
	Datum		value;
	bool		isnull;
} KalamValue;

/* Of the first n expressions of a plan, in the current memory context. */
extern KalamValue *kalam_values_begin(List *exprs, int n, PlanState *parent);

/* What it is now, in the current memory context. */
static inline Datum
kalam_value(const KalamValue *v, ExprContext *econtext, bool *isnull)
{
	if (v->state != NULL)
		return ExecEvalExpr(v->state, econtext, isnull);
	*isnull = v->isnull;
	return v->value;
}

/* The same, valid until the expression context is reset. */
static inline Datum
kalam_value_for_row(const KalamValue *v, ExprContext *econtext, bool *isnull)
{
	if (v->state != NULL)
		return ExecEvalExprSwitchContext(v->state, econtext, isnull);
	*isnull = v->isnull;
	return v->value;
}

#endif							/* KALAM_PLANVALUE_H */
