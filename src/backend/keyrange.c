/*
 * keyrange.c
 *	  Key conditions: recognised for the planner, turned to bytes for scans.
 *
 * A condition is used only if its operator belongs to the btree family of the
 * key column's type and the other side can be converted to that type without
 * changing the comparison.  What the bytes do not enforce exactly stays a
 * filter as well.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_collation.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"

#include "src/backend/keyrange.h"

static Node *
strip_relabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

static int
key_index_of(const KalamTable *table, RelOptInfo *rel, Node *node)
{
	Var		   *var = (Var *) strip_relabel(node);

	if (var == NULL || !IsA(var, Var) || var->varno != (int) rel->relid || var->varlevelsup != 0)
		return -1;
	for (int i = 0; i < table->nkeys; i++)
		if (table->keys[i].attnum == var->varattno)
			return i;
	return -1;
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

KalamBound *
kalam_match_bound(RelOptInfo *rel, KalamTable *table, RestrictInfo *rinfo)
{
	OpExpr	   *op = (OpExpr *) rinfo->clause;
	Oid			opno;
	Node	   *value;
	Relids		value_relids;
	int			index;
	int			strategy;
	KalamKeyType *type;
	KalamCast	cast;
	Oid			value_type;
	KalamBound *bound;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return NULL;
	opno = op->opno;
	index = key_index_of(table, rel, linitial(op->args));
	value = lsecond(op->args);
	value_relids = rinfo->right_relids;
	if (index < 0)
	{
		index = key_index_of(table, rel, lsecond(op->args));
		value = linitial(op->args);
		value_relids = rinfo->left_relids;
		opno = get_commutator(opno);
	}
	if (index < 0 || !OidIsValid(opno) ||
		bms_is_member(rel->relid, value_relids) ||
		contain_volatile_functions(value))
		return NULL;

	type = &table->keys[index].type;
	strategy = get_op_opfamily_strategy(opno, type->btree_opfamily);
	if (strategy == 0 || (strategy != BTEqualStrategyNumber && !type->ordered) ||
		!collation_fits(type, op->inputcollid, strategy))
		return NULL;
	value_type = getBaseType(exprType(value));
	cast = kalam_key_cast(type, value_type);
	if (cast == KALAM_CAST_NONE)
		return NULL;

	bound = palloc0(sizeof(KalamBound));
	bound->key_index = index;
	bound->strategy = strategy;
	bound->cast = cast;
	bound->value_type = value_type;
	bound->value = (Expr *) value;
	bound->rinfo = rinfo;
	if (strategy == BTEqualStrategyNumber)
		bound->exact = type->exact_equality;
	else
		/* a long value makes no bound, and some conversions do not always */
		bound->exact = get_typlen(type->base_type) > 0 &&
			(cast == KALAM_CAST_SAME || cast == KALAM_CAST_INT || cast == KALAM_CAST_FLOAT4_TO_8);
	return bound;
}

List *
kalam_match_bounds(RelOptInfo *rel, KalamTable *table, List *clauses, int *nequal)
{
	List	   *all = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	*nequal = 0;
	if (table->nkeys == 0)
		return NIL;
	foreach(lc, clauses)
	{
		KalamBound *bound = kalam_match_bound(rel, table, lfirst_node(RestrictInfo, lc));

		if (bound != NULL)
			all = lappend(all, bound);
	}

	for (int i = 0; i < table->nkeys && all != NIL; i++)
	{
		KalamBound *equal = NULL;

		foreach(lc, all)
		{
			KalamBound *bound = lfirst(lc);

			if (bound->key_index == i && bound->strategy == BTEqualStrategyNumber)
			{
				equal = bound;
				break;
			}
		}
		if (equal == NULL)
		{
			foreach(lc, all)
			{
				KalamBound *bound = lfirst(lc);

				if (bound->key_index == i)
					result = lappend(result, bound);
			}
			break;
		}
		result = lappend(result, equal);
		(*nequal)++;
	}
	return result;
}

List *
kalam_bounds_to_list(List *bounds)
{
	List	   *list = NIL;
	ListCell   *lc;

	foreach(lc, bounds)
	{
		KalamBound *b = lfirst(lc);

		list = lappend(list, list_make4_int(b->key_index, b->strategy, (int) b->cast,
											(int) b->value_type));
	}
	return list;
}

List *
kalam_bounds_from_list(List *list)
{
	List	   *bounds = NIL;
	ListCell   *lc;

	foreach(lc, list)
	{
		List	   *l = lfirst(lc);
		KalamBound *b = palloc0(sizeof(KalamBound));

		b->key_index = linitial_int(l);
		b->strategy = lsecond_int(l);
		b->cast = (KalamCast) lthird_int(l);
		b->value_type = (Oid) lfourth_int(l);
		bounds = lappend(bounds, b);
	}
	return bounds;
}

/* ---- values to bytes ---- */

/* Raises the lower bound to key, if that is higher. */
static void
raise_lower(KalamRange *range, uint8 *lower, const uint8 *key, size_t len)
{
	int			cmp = memcmp(key, lower, Min(len, range->lower_len));

	if (cmp > 0 || (cmp == 0 && len > range->lower_len))
	{
		memcpy(lower, key, len);
		range->lower_len = len;
	}
}

static void
reduce_upper(KalamRange *range, uint8 *upper, const uint8 *key, size_t len)
{
	int			cmp = memcmp(key, upper, Min(len, range->upper_len));

	if (cmp < 0 || (cmp == 0 && len < range->upper_len))
	{
		memcpy(upper, key, len);
		range->upper_len = len;
	}
}

/*
 * Narrows the range by a comparison of the column behind the equal prefix.
 * prefix holds the key so far.  False if nothing can match.
 */
static bool
apply_comparison(KalamRange *range, uint8 *lower, uint8 *upper, const KalamKeyWriter *prefix,
				 const KalamKeyColumn *column, int strategy, KalamFit fit, Datum value)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	KalamKeyWriter w = *prefix;
	bool		greater = strategy == BTGreaterStrategyNumber ||
		strategy == BTGreaterEqualStrategyNumber;
	bool		inclusive = strategy == BTGreaterEqualStrategyNumber ||
		strategy == BTLessEqualStrategyNumber;

	if (fit == KALAM_FIT_BELOW)
		return greater;
	if (fit == KALAM_FIT_ABOVE)
		return !greater;
	if (fit == KALAM_FIT_INEXACT)
		return true;

	memcpy(key, prefix->buf, prefix->len);
	w.buf = key;
	kalam_encode_datum(&w, &column->type, column->desc, value, false);
	if (w.overflow)
		return true;

	/* in key order, "greater" is "behind" unless the column is DESC */
	if (greater != column->desc)
	{
		size_t		len = inclusive ? w.len : kalam_key_successor(key, w.len);

		if (len == 0)
			return false;
		raise_lower(range, lower, key, len);
	}
	else
	{
		size_t		len = inclusive ? kalam_key_successor(key, w.len) : w.len;

		if (len > 0)
			reduce_upper(range, upper, key, len);
	}
	return true;
}

bool
kalam_compute_range(KalamTable *table, List *bounds, List *states, ExprContext *econtext,
					KalamRange *range, uint8 *lower, uint8 *upper)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	KalamKeyWriter w;
	ListCell   *lb;
	ListCell   *ls;
	int			nequal = 0;
	bool		range_begun = false;

	kalam_table_key_begin(table, &w, key);
	range->object_id = table->object_id;
	range->flags &= ~KALAM_SCAN_POINT;
	range->lower = lower;
	range->upper = upper;

	forboth(lb, bounds, ls, states)
	{
		KalamBound *bound = lfirst(lb);
		KalamKeyColumn *column = &table->keys[bound->key_index];
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(lfirst(ls), econtext, &isnull);
		KalamFit	fit;

		if (isnull)
			return false;
		fit = kalam_key_cast_datum(&column->type, bound->cast, bound->value_type, value, &value);
		if (bound->strategy == BTEqualStrategyNumber)
		{
			if (fit != KALAM_FIT_OK)
				return false;
			kalam_encode_datum(&w, &column->type, column->desc, value, false);
			if (w.overflow)
				return false;	/* no stored key is that long */
			nequal++;
			continue;
		}
		if (!range_begun)
		{
			memcpy(lower, key, w.len);
			range->lower_len = w.len;
			memcpy(upper, key, w.len);
			range->upper_len = kalam_key_successor(upper, w.len);
			range_begun = true;
		}
		if (!apply_comparison(range, lower, upper, &w, column, bound->strategy, fit, value))
			return false;
	}

	if (!range_begun)
	{
		memcpy(lower, key, w.len);
		range->lower_len = w.len;
		if (table->nkeys > 0 && nequal == table->nkeys)
		{
			range->flags |= KALAM_SCAN_POINT;
			range->upper_len = 0;
			return true;
		}
		memcpy(upper, key, w.len);
		range->upper_len = kalam_key_successor(upper, w.len);
	}
	else
	{
		int			cmp = memcmp(lower, upper, Min(range->lower_len, range->upper_len));

		if (cmp > 0 || (cmp == 0 && range->lower_len >= range->upper_len))
			return false;
	}
	return true;
}
