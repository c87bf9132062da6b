/*
 * uppermatch.c
 *	  Which aggregates storage can compute.
 *
 * Those are PostgreSQL's own, over plain columns, or how long their values are, told
 * by their transition functions: aggregates that share one share its states.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/syscache.h"

#include "src/backend/ship.h"
#include "src/backend/upper.h"

bool		kalam_enable_aggregate = true;

typedef struct Transition
{
	Oid			function;
	KalamAggregateOp op;
	Oid			type;			/* of the column; InvalidOid: any, or none */
} Transition;

static const Transition transitions[] = {
	{F_INT8INC, KALAM_AGG_COUNT, InvalidOid},
	{F_INT8INC_ANY, KALAM_AGG_COUNT, InvalidOid},
	{F_INT2_SUM, KALAM_AGG_SUM, INT2OID},
	{F_INT4_SUM, KALAM_AGG_SUM, INT4OID},
	{F_INT2_AVG_ACCUM, KALAM_AGG_SUM, INT2OID},
	{F_INT4_AVG_ACCUM, KALAM_AGG_SUM, INT4OID},
	{F_INT8_AVG_ACCUM, KALAM_AGG_SUM, INT8OID},
	{F_NUMERIC_AVG_ACCUM, KALAM_AGG_SUM, NUMERICOID},
	{F_FLOAT4PL, KALAM_AGG_SUM, FLOAT4OID},
	{F_FLOAT8PL, KALAM_AGG_SUM, FLOAT8OID},
	{F_FLOAT4_ACCUM, KALAM_AGG_SQUARES, FLOAT4OID},
	{F_FLOAT8_ACCUM, KALAM_AGG_SQUARES, FLOAT8OID},
	{F_BOOLAND_STATEFUNC, KALAM_AGG_MIN, BOOLOID},
	{F_BOOLOR_STATEFUNC, KALAM_AGG_MAX, BOOLOID},
	{F_INT2SMALLER, KALAM_AGG_MIN, INT2OID},
	{F_INT2LARGER, KALAM_AGG_MAX, INT2OID},
	{F_INT4SMALLER, KALAM_AGG_MIN, INT4OID},
	{F_INT4LARGER, KALAM_AGG_MAX, INT4OID},
	{F_INT8SMALLER, KALAM_AGG_MIN, INT8OID},
	{F_INT8LARGER, KALAM_AGG_MAX, INT8OID},
	{F_OIDSMALLER, KALAM_AGG_MIN, OIDOID},
	{F_OIDLARGER, KALAM_AGG_MAX, OIDOID},
	{F_FLOAT4SMALLER, KALAM_AGG_MIN, FLOAT4OID},
	{F_FLOAT4LARGER, KALAM_AGG_MAX, FLOAT4OID},
	{F_FLOAT8SMALLER, KALAM_AGG_MIN, FLOAT8OID},
	{F_FLOAT8LARGER, KALAM_AGG_MAX, FLOAT8OID},
	{F_DATE_SMALLER, KALAM_AGG_MIN, DATEOID},
	{F_DATE_LARGER, KALAM_AGG_MAX, DATEOID},
	{F_TIME_SMALLER, KALAM_AGG_MIN, TIMEOID},
	{F_TIME_LARGER, KALAM_AGG_MAX, TIMEOID},
	{F_TIMESTAMP_SMALLER, KALAM_AGG_MIN, TIMESTAMPOID},
	{F_TIMESTAMP_LARGER, KALAM_AGG_MAX, TIMESTAMPOID},
	{F_TIMESTAMPTZ_SMALLER, KALAM_AGG_MIN, TIMESTAMPTZOID},
	{F_TIMESTAMPTZ_LARGER, KALAM_AGG_MAX, TIMESTAMPTZOID},
	{F_CASHSMALLER, KALAM_AGG_MIN, CASHOID},
	{F_CASHLARGER, KALAM_AGG_MAX, CASHOID},
	{F_NUMERIC_SMALLER, KALAM_AGG_MIN, NUMERICOID},
	{F_NUMERIC_LARGER, KALAM_AGG_MAX, NUMERICOID},
	{F_TEXT_SMALLER, KALAM_AGG_MIN, TEXTOID},
	{F_TEXT_LARGER, KALAM_AGG_MAX, TEXTOID},
	{F_BPCHAR_SMALLER, KALAM_AGG_MIN, BPCHAROID},
	{F_BPCHAR_LARGER, KALAM_AGG_MAX, BPCHAROID}
};

static const Transition *
find_transition(Oid function)
{
	for (int i = 0; i < lengthof(transitions); i++)
		if (transitions[i].function == function)
			return &transitions[i];
	return NULL;
}

static Oid
transition_function(Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Oid			function;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	function = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggtransfn;
	ReleaseSysCache(tuple);
	return function;
}

/* The number of the item, added if it is new. */
static int
item_number(KalamUpper *upper, KalamAggregateOp op, AttrNumber attnum, KalamMeasure measure)
{
	List	   *item = list_make3_int(op, attnum, measure);
	ListCell   *lc;

	foreach(lc, upper->items)
		if (equal(lfirst(lc), item))
			return foreach_current_index(lc);
	upper->items = lappend(upper->items, item);
	return list_length(upper->items) - 1;
}

static bool
match_aggregate(KalamUpper *upper, RelOptInfo *rel, Oid relid, Aggref *agg)
{
	const Transition *t;
	Oid			function;
	AttrNumber	attnum = 0;
	KalamMeasure measure = KALAM_MEASURE_NONE;

	if (agg->aggfnoid >= FirstUnpinnedObjectId || agg->aggkind != AGGKIND_NORMAL ||
		agg->aggdistinct != NIL || agg->aggorder != NIL || agg->aggfilter != NULL ||
		agg->aggdirectargs != NIL || agg->aggvariadic || agg->agglevelsup != 0)
		return false;
	function = transition_function(agg->aggfnoid);
	t = find_transition(function);
	if (t == NULL || list_length(agg->args) > 1)
		return false;
	if (agg->args != NIL)
	{
		Node	   *arg = (Node *) linitial_node(TargetEntry, agg->args)->expr;
		Var		   *var = kalam_ship_measured(rel, relid, arg, &measure);

		if (var == NULL)
			return false;
		attnum = var->varattno;
		if (OidIsValid(t->type))
		{
			Oid			type = measure == KALAM_MEASURE_NONE ? getBaseType(var->vartype) : INT4OID;

			if ((type == VARCHAROID ? TEXTOID : type) != t->type)
				return false;
		}
		if ((t->type == TEXTOID || t->type == BPCHAROID) &&
			(!OidIsValid(agg->inputcollid) || !lc_collate_is_c(agg->inputcollid)))
			return false;
	}
	upper->columns = lappend(upper->columns,
							 list_make2_oid((Oid) item_number(upper, t->op, attnum, measure),
											function));
	return true;
}

/*
 * Is what SQL calls equal the same bytes?  Else a group could come under another
 * one of its equal values (0 and 0.00) than PostgreSQL would show.
 */
static bool
groups_by_bytes(Var *column)
{
	switch (kalam_field_kind(column->vartype))
	{
		case KALAM_FIELD_OPAQUE:
		case KALAM_FIELD_F32:
		case KALAM_FIELD_F64:
		case KALAM_FIELD_NUMERIC:
			return false;
		case KALAM_FIELD_PADDED:
			if (column->vartypmod < 0)
				return false;
			break;
		default:
			break;
	}
	return !OidIsValid(column->varcollid) || get_collation_isdeterministic(column->varcollid);
}

/*
 * Sums of floats depend on which are added first.  They are those that PostgreSQL
 * would come to if all rows of a group are added in one place, one by one: if
 * there is one group, and nothing that makes a row be sent as it is.
 */
static bool
floats_in_order(const KalamUpper *upper)
{
	ListCell   *lc;

	if (upper->group != NIL)
		return false;
	foreach(lc, upper->columns)
	{
		const Transition *t = find_transition(lsecond_oid(lfirst(lc)));

		if (t->op != KALAM_AGG_COUNT && get_typlen(t->type) == -1)
			return false;
	}
	return true;
}

static bool
adds_floats(const KalamUpper *upper)
{
	ListCell   *lc;

	foreach(lc, upper->columns)
	{
		const Transition *t = find_transition(lsecond_oid(lfirst(lc)));

		if (t != NULL && (t->op == KALAM_AGG_SUM || t->op == KALAM_AGG_SQUARES) &&
			(t->type == FLOAT4OID || t->type == FLOAT8OID))
			return true;
	}
	return false;
}

bool
kalam_upper_match(KalamUpper *upper, RelOptInfo *rel, Oid relid, List *exprs)
{
	ListCell   *lc;

	memset(upper, 0, sizeof(*upper));
	foreach(lc, exprs)
	{
		Node	   *expr = lfirst(lc);

		if (IsA(expr, Aggref))
		{
			if (!match_aggregate(upper, rel, relid, (Aggref *) expr))
				return false;
		}
		else
		{
			Var		   *var = IsA(expr, Var) ? kalam_ship_column(rel, relid, expr) : NULL;

			if (var == NULL || !groups_by_bytes(var))
				return false;
			upper->columns = lappend(upper->columns,
									 list_make2_oid((Oid) list_length(upper->group), InvalidOid));
			upper->group = lappend_int(upper->group, var->varattno);
		}
	}
	upper->in_order = adds_floats(upper);
	if (upper->in_order && !floats_in_order(upper))
		return false;
	return list_length(upper->items) <= KALAM_AGGREGATE_MAX_ITEMS &&
		list_length(upper->group) <= KALAM_AGGREGATE_MAX_GROUP;
}

List *
kalam_upper_to_list(const KalamUpper *upper)
{
	return list_make4(upper->group, upper->items, upper->columns, makeBoolean(upper->in_order));
}

void
kalam_upper_from_list(KalamUpper *upper, List *list)
{
	upper->group = linitial(list);
	upper->items = lsecond(list);
	upper->columns = lthird(list);
	upper->in_order = boolVal(lfourth(list));
}
