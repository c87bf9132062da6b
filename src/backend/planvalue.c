/*
 * planvalue.c
 *	  What values a plan has for conditions: see planvalue.h.
 */
#include "postgres.h"

#include "nodes/params.h"

#include "src/backend/planvalue.h"

/*
 * A parameter that was bound before the plan runs.  (Those that are fetched when they
 * are asked for, a function's variables, are the executor's; so are errors.)
 */
static const ParamExternData *
bound_parameter(const Param *param, ParamListInfo params)
{
	const ParamExternData *bound;

	if (param->paramkind != PARAM_EXTERN || params == NULL || params->paramFetch != NULL ||
		params->paramCompile != NULL || param->paramid <= 0 || param->paramid > params->numParams)
		return NULL;
	bound = &params->params[param->paramid - 1];
	return bound->ptype == param->paramtype ? bound : NULL;
}

KalamValue *
kalam_values_begin(List *exprs, int n, PlanState *parent)
{
	ParamListInfo params = parent->state->es_param_list_info;
	KalamValue *values = palloc(Max(n, 1) * sizeof(KalamValue));

	for (int i = 0; i < n; i++)
	{
		Expr	   *expr = list_nth(exprs, i);
		KalamValue *v = &values[i];
		const ParamExternData *bound;

		v->state = NULL;
		if (IsA(expr, Const))
		{
			v->value = ((Const *) expr)->constvalue;
			v->isnull = ((Const *) expr)->constisnull;
		}
		else if (IsA(expr, Param) && (bound = bound_parameter((Param *) expr, params)) != NULL)
		{
			v->value = bound->value;
			v->isnull = bound->isnull;
		}
		else
			v->state = ExecInitExpr(expr, parent);
	}
	return values;
}
