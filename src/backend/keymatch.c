/*
 * keymatch.c
 *	  Which conditions of a query bound the keys that a scan reads.
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

#include "src/backend/keymatch.h"

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
