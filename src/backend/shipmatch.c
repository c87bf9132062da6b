/*
 * shipmatch.c
 *	  Which conditions storage can evaluate, and as which steps.
 *
 * A condition is shipped as a whole or not at all.  Its operators must be
 * PostgreSQL's own, immutable, and unable to raise for any stored value; what that
 * comes to is: members of the default btree family of the column's type (and their
 * negators), between types whose bytes rowprog.h understands.  In place of a column
 * there may be how long its values are.  Texts are compared as bytes: for equality under a deterministic collation, in order under C.  The
 * security level of a condition is respected as for an index.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "src/backend/ship.h"

#define MAX_STEPS	2000		/* of one condition */
#define MAX_NESTING	48

bool		kalam_enable_filter = true;

/* ---- types ---- */

KalamFieldKind
kalam_field_kind(Oid type)
{
	switch (getBaseType(type))
	{
		case BOOLOID:
		case CHAROID:
			return KALAM_FIELD_U8;
		case INT2OID:
			return KALAM_FIELD_I16;
		case INT4OID:
		case DATEOID:
			return KALAM_FIELD_I32;
		case OIDOID:
			return KALAM_FIELD_U32;
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case CASHOID:
			return KALAM_FIELD_I64;
		case FLOAT4OID:
			return KALAM_FIELD_F32;
		case FLOAT8OID:
			return KALAM_FIELD_F64;
		case NUMERICOID:
			return KALAM_FIELD_NUMERIC;
		case TEXTOID:
		case VARCHAROID:
		case BYTEAOID:
			return KALAM_FIELD_BYTES;
		case BPCHAROID:
			return KALAM_FIELD_PADDED;
		case NAMEOID:
			return KALAM_FIELD_NAME;
		case UUIDOID:
		case MACADDROID:
			return KALAM_FIELD_FIXED;
		default:
			return get_typtype(getBaseType(type)) == TYPTYPE_ENUM ?
				KALAM_FIELD_U32 : KALAM_FIELD_OPAQUE;
	}
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_float(Oid type)
{
	return type == FLOAT4OID || type == FLOAT8OID;
}

/* varchar has the operators of text */
static Oid
operand_type(Oid type)
{
	type = getBaseType(type);
	return type == VARCHAROID ? TEXTOID : type;
}

/* Can bytes of these two base types be compared, one of them a value? */
static bool
types_compare(Oid column, Oid other)
{
	column = operand_type(column);
	other = operand_type(other);
	if (column == other)
		return true;
	return (is_integer(column) && is_integer(other)) ||
		(is_float(column) && is_float(other)) ||
		(column == DATEOID && other == TIMESTAMPOID) ||
		(column == TIMESTAMPOID && other == DATEOID) ||
		(column == TEXTOID && other == NAMEOID) || (column == NAMEOID && other == TEXTOID);
}

/* ---- operators ---- */

/* What the operator means, if its left side is of this base type. */
static bool
operator_compare(Oid opno, Oid left, Oid right, Oid collation, KalamCompare *compare)
{
	static const KalamCompare by_strategy[] = {
		[BTLessStrategyNumber] = KALAM_LT, [BTLessEqualStrategyNumber] = KALAM_LE,
		[BTEqualStrategyNumber] = KALAM_EQ, [BTGreaterEqualStrategyNumber] = KALAM_GE,
		[BTGreaterStrategyNumber] = KALAM_GT
	};
	TypeCacheEntry *type = lookup_type_cache(operand_type(left), TYPECACHE_BTREE_OPFAMILY);
	bool		is_enum = get_typtype(operand_type(left)) == TYPTYPE_ENUM;
	Oid			input_left;
	Oid			input_right;
	int			strategy;

	if (opno >= FirstUnpinnedObjectId || !OidIsValid(type->btree_opf))
		return false;
	strategy = get_op_opfamily_strategy(opno, type->btree_opf);
	if (strategy != 0)
		*compare = by_strategy[strategy];
	else
	{
		Oid			negator = get_negator(opno);

		if (!OidIsValid(negator) ||
			get_op_opfamily_strategy(negator, type->btree_opf) != BTEqualStrategyNumber)
			return false;
		*compare = KALAM_NE;
	}

	op_input_types(opno, &input_left, &input_right);
	if (is_enum)
		/* its order is in the catalog */
		return input_left == ANYENUMOID && operand_type(right) == operand_type(left) &&
			(*compare == KALAM_EQ || *compare == KALAM_NE);
	/* the columns' bytes must be what the operator looks at, whatever a cast says */
	if (input_left != operand_type(left) || input_right != operand_type(right))
		return false;
	switch (input_left)
	{
		case TEXTOID:
		case BPCHAROID:
		case NAMEOID:
			if (!OidIsValid(collation))
				return false;
			return *compare == KALAM_EQ || *compare == KALAM_NE ?
				get_collation_isdeterministic(collation) : lc_collate_is_c(collation);
		default:
			return true;
	}
}

/* ---- values ---- */

static bool
function_is_calm(Oid function)
{
	switch (function)
	{
			/* raise for times that no clock shows, at most */
		case F_NOW:
		case F_STATEMENT_TIMESTAMP:
		case F_TRANSACTION_TIMESTAMP:
		case F_TIMESTAMPTZ_PL_INTERVAL:
		case F_TIMESTAMPTZ_MI_INTERVAL:
		case F_TIMESTAMP_PL_INTERVAL:
		case F_TIMESTAMP_MI_INTERVAL:
		case F_DATE_PL_INTERVAL:
		case F_DATE_MI_INTERVAL:
		case F_DATE_PLI:
		case F_DATE_MII:
			return true;
		default:
			/* leakproof ones do not raise */
			return function < FirstUnpinnedObjectId && get_func_leakproof(function) &&
				func_volatile(function) != PROVOLATILE_VOLATILE;
	}
}

/* A value is computed when the scan begins, also if no row would ask for it. */
static bool
not_a_value(Node *node, void *relid)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Const:
		case T_Param:
		case T_RelabelType:
		case T_SQLValueFunction:
		case T_ArrayExpr:
		case T_List:
			break;
		case T_Var:
			if (((Var *) node)->varno == *(Index *) relid || ((Var *) node)->varlevelsup != 0)
				return true;
			break;
		case T_FuncExpr:
			if (!function_is_calm(((FuncExpr *) node)->funcid))
				return true;
			break;
		case T_OpExpr:
			if (!function_is_calm(get_opcode(((OpExpr *) node)->opno)))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, not_a_value, relid);
}

/* ---- steps ---- */

typedef struct Matcher
{
	Index		varno;
	Oid			relid;
	int			nesting;
	List	   *steps;
	List	   *values;
	int			nsteps_before;	/* steps and values of earlier conditions */
	int			nvalues_before;
} Matcher;

static int
next_step(const Matcher *m)
{
	return m->nsteps_before + list_length(m->steps);
}

static KalamShipStep *
add_step(Matcher *m, KalamStepOp op, int arg)
{
	KalamShipStep *step = palloc0(sizeof(KalamShipStep));

	step->op = op;
	step->arg = arg;
	step->value = -1;
	m->steps = lappend(m->steps, step);
	return step;
}

static void
set_value(Matcher *m, KalamShipStep *step, Node *value, Oid type)
{
	step->value = m->nvalues_before + list_length(m->values);
	step->value_type = getBaseType(type);
	m->values = lappend(m->values, value);
}

/* The column of the table that the expression is, casts that change no byte aside. */
static Var *
find_column(Index varno, Oid relid, Node *node)
{
	Var		   *var;
	HeapTuple	tuple;
	bool		good;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	var = (Var *) node;
	if (var == NULL || !IsA(var, Var) || var->varno != varno || var->varlevelsup != 0 ||
		var->varattno <= 0)
		return NULL;
	/* a default for rows from before the column is not in their bytes */
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(var->varattno));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	good = !((Form_pg_attribute) GETSTRUCT(tuple))->atthasmissing &&
		!((Form_pg_attribute) GETSTRUCT(tuple))->attisdropped;
	ReleaseSysCache(tuple);
	return good ? var : NULL;
}

Var *
kalam_ship_column(RelOptInfo *rel, Oid relid, Node *node)
{
	return find_column(rel->relid, relid, node);
}

/* How long values are, in this database's encoding; NONE: storage cannot tell. */
static KalamMeasure
measure_of(Oid function)
{
	switch (function)
	{
		case F_LENGTH_TEXT:
		case F_CHAR_LENGTH_TEXT:
		case F_CHARACTER_LENGTH_TEXT:
		case F_LENGTH_BPCHAR:
		case F_CHAR_LENGTH_BPCHAR:
		case F_CHARACTER_LENGTH_BPCHAR:
			return GetDatabaseEncoding() == PG_UTF8 ? KALAM_MEASURE_TEXT_UTF8 :
				pg_database_encoding_max_length() == 1 ? KALAM_MEASURE_TEXT_BYTES :
				KALAM_MEASURE_NONE;
		case F_LENGTH_BYTEA:
		case F_OCTET_LENGTH_BYTEA:
		case F_OCTET_LENGTH_TEXT:
		case F_OCTET_LENGTH_BPCHAR:
			return KALAM_MEASURE_BYTES;
		default:
			return KALAM_MEASURE_NONE;
	}
}

/* May the function be asked about bytes of this type as they are stored? */
static bool
measures_type(Oid function, Oid type)
{
	Oid		   *arguments;
	int			n;

	(void) get_func_signature(function, &arguments, &n);
	return n == 1 && arguments[0] == operand_type(type);
}

static Var *
find_measured(Index varno, Oid relid, Node *node, KalamMeasure *measure)
{
	Var		   *var = find_column(varno, relid, node);
	FuncExpr   *call = (FuncExpr *) node;

	*measure = KALAM_MEASURE_NONE;
	if (var != NULL || node == NULL || !IsA(node, FuncExpr) || list_length(call->args) != 1)
		return var;
	*measure = measure_of(call->funcid);
	if (*measure == KALAM_MEASURE_NONE)
		return NULL;
	var = find_column(varno, relid, linitial(call->args));
	/* (a cast to another type may change no byte, and yet what counts of them) */
	return var != NULL && measures_type(call->funcid, var->vartype) ? var : NULL;
}

Var *
kalam_ship_measured(RelOptInfo *rel, Oid relid, Node *node, KalamMeasure *measure)
{
	return find_measured(rel->relid, relid, node, measure);
}

static Var *
column_of(const Matcher *m, Node *node)
{
	return find_column(m->varno, m->relid, node);
}

static Var *
measured_of(const Matcher *m, Node *node, KalamMeasure *measure)
{
	return find_measured(m->varno, m->relid, node, measure);
}

/* As what type a column, or how long its values are, is compared. */
static Oid
compared_type(const Var *column, KalamMeasure measure)
{
	return measure == KALAM_MEASURE_NONE ? column->vartype : INT4OID;
}

/* A side of a comparison: a column, or how long its values are; or a value. */
static bool
match_sides(Matcher *m, List *args, Oid *opno, Var **column, KalamMeasure *measure, Node **other,
			Var **other_column)
{
	Node	   *left = linitial(args);
	Node	   *right = lsecond(args);

	*column = measured_of(m, left, measure);
	*other = right;
	if (*column == NULL)
	{
		*column = measured_of(m, right, measure);
		*other = left;
		*opno = get_commutator(*opno);
	}
	if (*column == NULL || !OidIsValid(*opno))
		return false;
	*other_column = column_of(m, *other);
	if (*other_column != NULL)
		return *measure == KALAM_MEASURE_NONE;
	return !not_a_value(*other, &m->varno);
}

static bool
match_comparison(Matcher *m, Oid opno, Oid collation, List *args, bool distinct)
{
	Var		   *column;
	Var		   *other_column;
	Node	   *other;
	KalamCompare compare;
	KalamShipStep *step;
	KalamShipStep *skip = NULL;
	KalamMeasure measure;
	Oid			left;
	Oid			type;

	if (list_length(args) != 2 ||
		!match_sides(m, args, &opno, &column, &measure, &other, &other_column))
		return false;
	left = compared_type(column, measure);
	type = other_column != NULL ? other_column->vartype : exprType(other);
	if (!types_compare(left, type) || kalam_field_kind(left) == KALAM_FIELD_OPAQUE ||
		!operator_compare(opno, left, type, collation, &compare))
		return false;

	if (distinct)
	{
		/* (the operator is =; a null would not be distinct from null) */
		if (!IsA(other, Const) || ((Const *) other)->constisnull || compare != KALAM_EQ)
			return false;
		compare = KALAM_NE;
		add_step(m, KALAM_STEP_IS_NULL, 0)->field = column->varattno;
		skip = add_step(m, KALAM_STEP_SKIP_IF, KALAM_TRUE);
	}
	if (other_column != NULL)
	{
		KalamFieldKind a = kalam_field_kind(column->vartype);
		KalamFieldKind b = kalam_field_kind(other_column->vartype);

		/* of different types only numbers are compared as they lie there */
		if (a != b && !(is_integer(getBaseType(column->vartype)) && is_integer(getBaseType(type))) &&
			!(is_float(getBaseType(column->vartype)) && is_float(getBaseType(type))))
			return false;
		step = add_step(m, KALAM_STEP_COMPARE_FIELDS, compare);
		step->other = other_column->varattno;
	}
	else
	{
		step = add_step(m, KALAM_STEP_COMPARE, compare);
		step->measure = measure;
		set_value(m, step, other, type);
	}
	step->field = column->varattno;
	if (distinct)
	{
		add_step(m, KALAM_STEP_OR, 0);
		skip->target = next_step(m);
	}
	return true;
}

static bool
match_array(Matcher *m, ScalarArrayOpExpr *op)
{
	KalamMeasure measure;
	Var		   *column = measured_of(m, linitial(op->args), &measure);
	Node	   *array = lsecond(op->args);
	Oid			element = get_base_element_type(exprType(array));
	Oid			left;
	KalamCompare compare;
	KalamShipStep *step;

	if (column == NULL || !OidIsValid(element) || not_a_value(array, &m->varno))
		return false;
	left = compared_type(column, measure);
	if (!types_compare(left, element) || kalam_field_kind(left) == KALAM_FIELD_OPAQUE ||
		!operator_compare(op->opno, left, element, op->inputcollid, &compare))
		return false;
	/* a date among timestamps would need more than a list of dates */
	if (kalam_field_kind(left) != kalam_field_kind(element) &&
		(getBaseType(element) == DATEOID || getBaseType(element) == TIMESTAMPOID))
		return false;
	if (op->useOr ? compare != KALAM_EQ : compare != KALAM_NE)
		return false;
	step = add_step(m, KALAM_STEP_IN, 0);
	step->field = column->varattno;
	step->measure = measure;
	set_value(m, step, array, element);
	if (!op->useOr)
		add_step(m, KALAM_STEP_NOT, 0);
	return true;
}

static bool match_node(Matcher *m, Node *node);

static bool
match_junction(Matcher *m, BoolExpr *expr)
{
	bool		is_and = expr->boolop == AND_EXPR;
	List	   *skips = NIL;
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		if (foreach_current_index(lc) > 0)
			skips = lappend(skips, add_step(m, KALAM_STEP_SKIP_IF, is_and ? KALAM_FALSE : KALAM_TRUE));
		if (!match_node(m, lfirst(lc)))
			return false;
		if (foreach_current_index(lc) > 0)
			add_step(m, is_and ? KALAM_STEP_AND : KALAM_STEP_OR, 0);
	}
	foreach(lc, skips)
		((KalamShipStep *) lfirst(lc))->target = next_step(m);
	return true;
}

static bool
match_boolean_test(Matcher *m, BooleanTest *test)
{
	static const KalamTruth truth[] = {
		[IS_TRUE] = KALAM_TRUE, [IS_NOT_TRUE] = KALAM_TRUE,
		[IS_FALSE] = KALAM_FALSE, [IS_NOT_FALSE] = KALAM_FALSE,
		[IS_UNKNOWN] = KALAM_NULL, [IS_NOT_UNKNOWN] = KALAM_NULL
	};
	BoolTestType type = test->booltesttype;

	if (!match_node(m, (Node *) test->arg))
		return false;
	add_step(m, KALAM_STEP_IS, truth[type]);
	if (type == IS_NOT_TRUE || type == IS_NOT_FALSE || type == IS_NOT_UNKNOWN)
		add_step(m, KALAM_STEP_NOT, 0);
	return true;
}

/* Adds steps that push the truth of a boolean expression. */
static bool
match_one(Matcher *m, Node *node)
{
	Var		   *column;

	switch (nodeTag(node))
	{
		case T_Const:
			{
				Const	   *c = (Const *) node;

				add_step(m, KALAM_STEP_CONSTANT,
						 c->constisnull ? KALAM_NULL : DatumGetBool(c->constvalue));
				return true;
			}
		case T_Var:
		case T_RelabelType:
			column = column_of(m, node);
			if (column == NULL || getBaseType(column->vartype) != BOOLOID)
				return false;
			else
			{
				KalamShipStep *step = add_step(m, KALAM_STEP_COMPARE, KALAM_NE);

				step->field = column->varattno;
				set_value(m, step, makeBoolConst(false, false), BOOLOID);
				return true;
			}
		case T_BoolExpr:
			if (((BoolExpr *) node)->boolop != NOT_EXPR)
				return match_junction(m, (BoolExpr *) node);
			if (!match_node(m, linitial(((BoolExpr *) node)->args)))
				return false;
			add_step(m, KALAM_STEP_NOT, 0);
			return true;
		case T_NullTest:
			column = column_of(m, (Node *) ((NullTest *) node)->arg);
			if (column == NULL || ((NullTest *) node)->argisrow)
				return false;
			add_step(m, KALAM_STEP_IS_NULL, 0)->field = column->varattno;
			if (((NullTest *) node)->nulltesttype == IS_NOT_NULL)
				add_step(m, KALAM_STEP_NOT, 0);
			return true;
		case T_BooleanTest:
			return match_boolean_test(m, (BooleanTest *) node);
		case T_OpExpr:
			return match_comparison(m, ((OpExpr *) node)->opno, ((OpExpr *) node)->inputcollid,
									((OpExpr *) node)->args, false);
		case T_DistinctExpr:
			return match_comparison(m, ((OpExpr *) node)->opno, ((OpExpr *) node)->inputcollid,
									((OpExpr *) node)->args, true);
		case T_ScalarArrayOpExpr:
			return match_array(m, (ScalarArrayOpExpr *) node);
		default:
			return false;
	}
}

static bool
match_node(Matcher *m, Node *node)
{
	bool		good;

	if (m->nesting >= MAX_NESTING || list_length(m->steps) > MAX_STEPS)
		return false;
	check_stack_depth();
	m->nesting++;
	good = match_one(m, node);
	m->nesting--;
	return good;
}

static bool
match_condition(Matcher *m, RelOptInfo *rel, RestrictInfo *rinfo)
{
	if (!kalam_enable_filter || rinfo->pseudoconstant ||
		!restriction_is_securely_promotable(rinfo, rel))
		return false;
	return match_node(m, (Node *) rinfo->clause);
}

bool
kalam_ship_condition(KalamShipped *shipped, RelOptInfo *rel, Oid relid, RestrictInfo *rinfo)
{
	Matcher		m = {
		.varno = rel->relid, .relid = relid,
		.nsteps_before = list_length(shipped->steps),
		.nvalues_before = list_length(shipped->values)
	};

	if (list_length(shipped->steps) > KALAM_PROGRAM_MAX_STEPS - 2 * MAX_STEPS ||
		!match_condition(&m, rel, rinfo))
		return false;
	add_step(&m, KALAM_STEP_REQUIRE, 0);
	shipped->steps = list_concat(shipped->steps, m.steps);
	shipped->values = list_concat(shipped->values, m.values);
	shipped->rinfos = lappend(shipped->rinfos, rinfo);
	return true;
}

List *
kalam_ship_which(RelOptInfo *rel, Oid relid, List *clauses, List *exact)
{
	KalamShipped shipped = {NIL};
	ListCell   *lc;

	foreach(lc, clauses)
		if (!list_member_ptr(exact, lfirst(lc)))
			(void) kalam_ship_condition(&shipped, rel, relid, lfirst_node(RestrictInfo, lc));
	return shipped.rinfos;
}

/* ---- in plans ---- */

List *
kalam_ship_steps_to_list(List *steps)
{
	List	   *list = NIL;
	ListCell   *lc;

	foreach(lc, steps)
	{
		KalamShipStep *s = lfirst(lc);
		List	   *one = list_make5_int(s->op, s->arg, s->field, s->other, s->target);

		one = lappend_int(one, s->value);
		one = lappend_int(one, (int) s->value_type);
		list = lappend(list, lappend_int(one, s->measure));
	}
	return list;
}

List *
kalam_ship_steps_from_list(List *list)
{
	List	   *steps = NIL;
	ListCell   *lc;

	foreach(lc, list)
	{
		List	   *one = lfirst(lc);
		KalamShipStep *s = palloc(sizeof(KalamShipStep));

		s->op = linitial_int(one);
		s->arg = lsecond_int(one);
		s->field = lthird_int(one);
		s->other = lfourth_int(one);
		s->target = list_nth_int(one, 4);
		s->value = list_nth_int(one, 5);
		s->value_type = (Oid) list_nth_int(one, 6);
		s->measure = list_nth_int(one, 7);
		steps = lappend(steps, s);
	}
	return steps;
}
