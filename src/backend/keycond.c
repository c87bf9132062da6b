/*
 * keycond.c
 *	  Single conditions of a query: do they bound a column of a key, and how?
 *
 * A condition is used only if its operator belongs to the btree family of the
 * key column's type and the other side can be converted to that type without
 * changing the comparison.  What the bytes do not enforce exactly stays a
 * filter as well.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/selfuncs.h"

#include "src/backend/keymatch.h"

/* A text constant shorter than this surely makes a whole bound. */
#define SHORT_VALUE_BYTES	500

typedef struct Matching
{
	PlannerInfo *root;
	RelOptInfo *rel;
	const KalamScanKey *key;
} Matching;

static int
column_of(const Matching *m, Node *node)
{
	Var		   *var;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	var = (Var *) node;
	if (var == NULL || !IsA(var, Var) || var->varno != (int) m->rel->relid ||
		var->varlevelsup != 0)
		return -1;
	for (int i = 0; i < m->key->ncolumns; i++)
		if (m->key->columns[i].attnum == var->varattno)
			return i;
	return -1;
}

/* Can it be computed before a row is read? */
static bool
is_value(const Matching *m, Node *node)
{
	return !bms_is_member(m->rel->relid, pull_varnos(m->root, node)) &&
		!contain_volatile_functions(node);
}

/* May comparisons under this collation be done on the key's bytes? */
static bool
collation_fits(const KalamKeyType *type, Oid collation, int strategy)
{
	if (!OidIsValid(type->collation) || !OidIsValid(collation))
		return true;
	if (strategy == BTEqualStrategyNumber)
		return get_collation_isdeterministic(collation);
	return type->ordered && lc_collate_is_c(collation);
}

/* The strategy of "column opno value of type"; 0: its bytes cannot tell. */
static int
usable_strategy(const Matching *m, int column, Oid opno, Oid collation, Oid type,
				KalamValueCast *cast)
{
	const KalamKeyType *kt = &m->key->columns[column].type;
	int			strategy = get_op_opfamily_strategy(opno, kt->btree_opfamily);

	if (strategy == 0 || (strategy != BTEqualStrategyNumber && !kt->ordered) ||
		!collation_fits(kt, collation, strategy))
		return 0;
	cast->type = getBaseType(type);
	cast->cast = kalam_key_cast(kt, cast->type);
	return cast->cast == KALAM_CAST_NONE ? 0 : strategy;
}

KalamBound *
kalam_make_bound(KalamBoundKind kind, int column, int strategy, int nvalues)
{
	KalamBound *bound = palloc0(sizeof(KalamBound));

	bound->kind = kind;
	bound->column = column;
	bound->strategy = strategy;
	bound->nvalues = nvalues;
	bound->casts = palloc0(Max(nvalues, 1) * sizeof(KalamValueCast));
	bound->nelements = 1;
	return bound;
}

/*
 * Does a range bound by the value let through just what compares so?  A value
 * that is too long for a key makes no bound, nor do some conversions.
 */
static bool
comparison_is_exact(const KalamKeyType *type, int strategy, KalamCast cast, Node *value)
{
	if (strategy == BTEqualStrategyNumber)
		return type->exact_equality;
	if (get_typlen(type->base_type) > 0)
		return cast == KALAM_CAST_SAME || cast == KALAM_CAST_INT ||
			cast == KALAM_CAST_FLOAT4_TO_8;
	return cast == KALAM_CAST_SAME && IsA(value, Const) &&
		(((Const *) value)->constisnull ||
		 (((Const *) value)->constlen == -1 &&
		  VARSIZE_ANY(DatumGetPointer(((Const *) value)->constvalue)) < SHORT_VALUE_BYTES));
}

static KalamBound *
match_comparison(const Matching *m, Oid opno, Oid collation, Node *left, Node *right)
{
	int			column = column_of(m, left);
	Node	   *value = right;
	KalamValueCast cast;
	int			strategy;
	KalamBound *bound;

	if (column < 0)
	{
		column = column_of(m, right);
		value = left;
		opno = get_commutator(opno);
	}
	if (column < 0 || !OidIsValid(opno) || !is_value(m, value))
		return NULL;
	strategy = usable_strategy(m, column, opno, collation, exprType(value), &cast);
	if (strategy == 0)
		return NULL;
	bound = kalam_make_bound(KALAM_BOUND_COMPARE, column, strategy, 1);
	bound->casts[0] = cast;
	bound->values = list_make1(value);
	bound->exact = comparison_is_exact(&m->key->columns[column].type, strategy, cast.cast, value);
	return bound;
}

static KalamBound *
match_array(const Matching *m, ScalarArrayOpExpr *op)
{
	Node	   *array = lsecond(op->args);
	int			column = column_of(m, linitial(op->args));
	Oid			type = get_base_element_type(exprType(array));
	KalamValueCast cast;
	KalamBound *bound;

	if (!op->useOr || column < 0 || !OidIsValid(type) || !is_value(m, array) ||
		usable_strategy(m, column, op->opno, op->inputcollid, type, &cast) !=
		BTEqualStrategyNumber)
		return NULL;
	bound = kalam_make_bound(KALAM_BOUND_ARRAY, column, BTEqualStrategyNumber, 1);
	bound->casts[0] = cast;
	bound->values = list_make1(array);
	bound->exact = m->key->columns[column].type.exact_equality;
	bound->nelements = Max(estimate_array_length(array), 1);
	bound->counted = IsA(array, Const) ||
		(IsA(array, ArrayExpr) && !((ArrayExpr *) array)->multidims);
	return bound;
}

/*
 * As many columns of the row as stand side by side in the key, in one
 * direction.  Where columns can be null the condition stays a filter: a range
 * cannot leave out nulls behind its first column.
 */
static KalamBound *
match_row(const Matching *m, RowCompareExpr *row)
{
	const KalamKeyColumn *columns = m->key->columns;
	bool		commuted = column_of(m, linitial(row->largs)) < 0;
	List	   *sides = commuted ? row->rargs : row->largs;
	List	   *values = commuted ? row->largs : row->rargs;
	int			first = column_of(m, linitial(sides));
	int			wanted = (int) row->rctype;
	KalamBound *bound;
	int			n = 0;

	if (first < 0)
		return NULL;
	if (commuted)
		wanted = BTGreaterStrategyNumber + BTLessStrategyNumber - wanted;
	bound = kalam_make_bound(KALAM_BOUND_ROW, first, wanted, list_length(sides));
	bound->exact = m->key->index == NULL;
	while (n < list_length(sides) && first + n < m->key->ncolumns &&
		   columns[first + n].desc == columns[first].desc)
	{
		Node	   *value = list_nth(values, n);
		Oid			opno = list_nth_oid(row->opnos, n);

		if (column_of(m, list_nth(sides, n)) != first + n || !is_value(m, value))
			break;
		if (commuted)
			opno = get_commutator(opno);
		if (!OidIsValid(opno) ||
			usable_strategy(m, first + n, opno, list_nth_oid(row->inputcollids, n),
							exprType(value), &bound->casts[n]) != wanted)
			break;
		bound->values = lappend(bound->values, value);
		bound->exact &= comparison_is_exact(&columns[first + n].type, wanted,
											bound->casts[n].cast, value);
		n++;
	}
	if (n == 0)
		return NULL;
	/* fewer columns tell less: those that are equal so far may lie within */
	if (n < list_length(sides) && wanted == BTGreaterStrategyNumber)
		bound->strategy = BTGreaterEqualStrategyNumber;
	if (n < list_length(sides) && wanted == BTLessStrategyNumber)
		bound->strategy = BTLessEqualStrategyNumber;
	bound->exact &= n == list_length(sides);
	bound->nvalues = n;
	return bound;
}

static KalamBound *
match_bool(const Matching *m, Node *node, bool value)
{
	int			column = column_of(m, node);
	KalamBound *bound;

	if (column < 0 || m->key->columns[column].type.base_type != BOOLOID)
		return NULL;
	bound = kalam_make_bound(KALAM_BOUND_COMPARE, column, BTEqualStrategyNumber, 1);
	bound->casts[0].cast = KALAM_CAST_SAME;
	bound->casts[0].type = BOOLOID;
	bound->values = list_make1(makeBoolConst(value, false));
	bound->exact = true;
	return bound;
}

static KalamBound *
match_null_test(const Matching *m, NullTest *test)
{
	int			column = column_of(m, (Node *) test->arg);
	KalamBound *bound;

	if (column < 0 || test->argisrow)
		return NULL;
	bound = kalam_make_bound(test->nulltesttype == IS_NULL ? KALAM_BOUND_NULL : KALAM_BOUND_NOT_NULL,
					   column, 0, 0);
	bound->exact = true;
	return bound;
}

/*
 * Conditions that Postgres derives from a function: a prefix from LIKE or a
 * regular expression, a network from the addresses in it.  Only its own
 * functions are asked, as there is no real index to show.
 */
static List *
match_by_support(const Matching *m, Node *clause, Oid funcid, List *args)
{
	SupportRequestIndexCondition req = {0};
	Oid			support;
	ListCell   *lc;

	if (!OidIsValid(funcid) || funcid >= FirstNormalObjectId)
		return NIL;
	support = get_func_support(funcid);
	if (!OidIsValid(support))
		return NIL;
	foreach(lc, args)
	{
		int			column = column_of(m, lfirst(lc));
		List	   *derived;
		List	   *bounds = NIL;
		ListCell   *ld;

		if (column < 0)
			continue;
		req.type = T_SupportRequestIndexCondition;
		req.root = m->root;
		req.funcid = funcid;
		req.node = clause;
		req.indexarg = foreach_current_index(lc);
		req.indexcol = column;
		req.opfamily = m->key->columns[column].type.btree_opfamily;
		req.indexcollation = m->key->columns[column].type.collation;
		req.lossy = true;
		derived = (List *) DatumGetPointer(OidFunctionCall1(support, PointerGetDatum(&req)));
		foreach(ld, derived)
		{
			OpExpr	   *op = lfirst(ld);
			KalamBound *bound;

			if (!IsA(op, OpExpr) || list_length(op->args) != 2)
				continue;
			bound = match_comparison(m, op->opno, op->inputcollid,
									 linitial(op->args), lsecond(op->args));
			if (bound == NULL)
				continue;
			bound->exact = false;
			bounds = lappend(bounds, bound);
		}
		if (bounds != NIL)
			return bounds;
	}
	return NIL;
}

/* The bounds that a condition gives, all of which hold where it does. */
static List *
match_clause(const Matching *m, Node *clause)
{
	KalamBound *bound = NULL;

	switch (nodeTag(clause))
	{
		case T_OpExpr:
			{
				OpExpr	   *op = (OpExpr *) clause;

				if (list_length(op->args) == 2)
					bound = match_comparison(m, op->opno, op->inputcollid,
											 linitial(op->args), lsecond(op->args));
				if (bound == NULL)
				{
					set_opfuncid(op);
					return match_by_support(m, clause, op->opfuncid, op->args);
				}
				break;
			}
		case T_FuncExpr:
			return match_by_support(m, clause, ((FuncExpr *) clause)->funcid,
									((FuncExpr *) clause)->args);
		case T_ScalarArrayOpExpr:
			bound = match_array(m, (ScalarArrayOpExpr *) clause);
			break;
		case T_RowCompareExpr:
			bound = match_row(m, (RowCompareExpr *) clause);
			break;
		case T_NullTest:
			bound = match_null_test(m, (NullTest *) clause);
			break;
		case T_BooleanTest:
			{
				BooleanTest *test = (BooleanTest *) clause;

				if (test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE)
					bound = match_bool(m, (Node *) test->arg, test->booltesttype == IS_TRUE);
				break;
			}
		case T_BoolExpr:
			if (((BoolExpr *) clause)->boolop == NOT_EXPR)
				bound = match_bool(m, linitial(((BoolExpr *) clause)->args), false);
			break;
		case T_Var:
		case T_RelabelType:
			bound = match_bool(m, clause, true);
			break;
		default:
			break;
	}
	return bound ? list_make1(bound) : NIL;
}

List *
kalam_match_condition(PlannerInfo *root, RelOptInfo *rel, const KalamScanKey *key,
					  RestrictInfo *rinfo)
{
	Matching	m = {root, rel, key};
	List	   *bounds;
	ListCell   *lc;

	if (rinfo->pseudoconstant)
		return NIL;
	bounds = match_clause(&m, (Node *) rinfo->clause);
	foreach(lc, bounds)
		((KalamBound *) lfirst(lc))->rinfo = rinfo;
	return bounds;
}
