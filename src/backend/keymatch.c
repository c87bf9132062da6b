/*
 * keymatch.c
 *	  Which conditions of a query together bound the keys that a scan reads.
 *
 * Conditions are joined by AND: at each column of the key one that fixes it is
 * taken, then those that narrow the next one.  An OR is used if each of its arms
 * bounds the key: each arm, with the conditions beside the OR, is an alternative.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"

#include "src/backend/keymatch.h"
#include "src/backend/planner.h"

/* An OR of more arms is left a filter. */
#define MAX_ALTERNATIVES	1000

/* What is matched. */
typedef struct Matching
{
	PlannerInfo *root;
	RelOptInfo *rel;
	const KalamScanKey *key;
} Matching;

KalamScanKey
kalam_scan_key(const KalamTable *table, int n)
{
	KalamScanKey key = {NULL, true, table->nkeys, table->nkeys, table->keys};

	if (n != KALAM_PRIMARY_KEY)
	{
		const KalamIndex *index = &table->indexes[n];
		KalamKeyColumn *columns;

		key.index = index;
		key.unique = index->unique;
		key.nordered = index->ncolumns + table->nkeys;
		key.ncolumns = index->unique ? index->ncolumns : key.nordered;
		columns = palloc(key.nordered * sizeof(KalamKeyColumn));
		memcpy(columns, kalam_index_columns(index), index->ncolumns * sizeof(KalamKeyColumn));
		if (table->nkeys > 0)
			memcpy(columns + index->ncolumns, table->keys, table->nkeys * sizeof(KalamKeyColumn));
		key.columns = columns;
	}
	return key;
}

String *
kalam_key_for_plan(const KalamScanKey *key)
{
	if (key->index == NULL)
		return NULL;
	return makeString(psprintf("%s%s", key->index->unique ? KALAM_OPTION_UNIQUE : KALAM_OPTION_INDEX,
							   kalam_index_name(key->index)));
}

int
kalam_find_index(const KalamTable *table, String *option)
{
	const char *name;
	bool		unique;

	if (option == NULL)
		return KALAM_PRIMARY_KEY;
	if (kalam_is_index_option(strVal(option), &name, &unique))
		for (int i = 0; i < table->nindexes; i++)
			if (table->indexes[i].unique == unique && strcmp(kalam_index_name(&table->indexes[i]), name) == 0)
				return i;
	elog(ERROR, "index \"%s\" of a kalam table is gone", strVal(option));
	return KALAM_PRIMARY_KEY;	/* not reached */
}

const char *
kalam_planned_index_name(String *option)
{
	const char *name;
	bool		unique;

	if (option == NULL)
		return "primary key";
	return kalam_is_index_option(strVal(option), &name, &unique) ? name : strVal(option);
}

/* An arm of an OR: what it bounds. */
typedef struct Arm
{
	List	   *bounds;
	bool		whole;			/* by all of its conditions */
} Arm;

/* The arms of an OR; NIL if one of them bounds nothing. */
static List *
match_arms(const Matching *m, RestrictInfo *rinfo)
{
	BoolExpr   *or = (BoolExpr *) rinfo->orclause;
	List	   *arms = NIL;
	ListCell   *lc;

	if (list_length(or->args) > MAX_ALTERNATIVES)
		return NIL;
	foreach(lc, or->args)
	{
		Node	   *node = lfirst(lc);
		List	   *conditions = IsA(node, BoolExpr) ? ((BoolExpr *) node)->args :
			list_make1(node);
		Arm		   *arm = palloc0(sizeof(Arm));
		ListCell   *lr;

		arm->whole = true;
		foreach(lr, conditions)
		{
			List	   *bounds = kalam_match_condition(m->root, m->rel, m->key,
													   lfirst_node(RestrictInfo, lr));

			arm->bounds = list_concat(arm->bounds, bounds);
			arm->whole &= bounds != NIL;
		}
		if (arm->bounds == NIL)
			return NIL;
		arms = lappend(arms, arm);
	}
	return arms;
}

/* Does the bound leave one value, or an array's, of its column? */
static inline bool
fixes_column(const KalamBound *bound)
{
	return bound->kind == KALAM_BOUND_NULL || bound->kind == KALAM_BOUND_ARRAY ||
		(bound->kind == KALAM_BOUND_COMPARE && bound->strategy == BTEqualStrategyNumber);
}

/*
 * Those of the bounds that follow the key: for each column one that fixes it,
 * at the first that none does all that narrow it.
 */
static List *
follow_key(const KalamScanKey *key, List *bounds)
{
	List	   *result = NIL;

	for (int i = 0; i < key->ncolumns; i++)
	{
		KalamBound *best = NULL;
		ListCell   *lc;

		foreach(lc, bounds)
		{
			KalamBound *bound = lfirst(lc);

			if (bound->column == i && fixes_column(bound) &&
				(best == NULL ||
				 (best->kind == KALAM_BOUND_ARRAY && bound->kind != KALAM_BOUND_ARRAY)))
				best = bound;
		}
		if (best == NULL)
		{
			foreach(lc, bounds)
				if (((KalamBound *) lfirst(lc))->column == i)
					result = lappend(result, lfirst(lc));
			break;
		}
		result = lappend(result, best);
	}
	return result;
}

/* From here on the executor may leave out bounds, if there are too many ranges. */
static int
first_dispensable(const KalamKeyMatch *match, List *alternative)
{
	double		n = list_length(match->alternatives);
	int			narrays = 0;
	bool		counted = true;
	ListCell   *lc;

	foreach(lc, alternative)
	{
		const KalamBound *bound = lfirst(lc);

		if (bound->kind != KALAM_BOUND_ARRAY)
			continue;
		n *= bound->nelements;
		counted &= bound->counted;
		if (++narrays > 1 && (!counted || n > KALAM_MAX_RANGES))
			return foreach_current_index(lc);
	}
	return list_length(alternative);
}

/* Do all of these bounds that come from rinfo (NULL: all) hold in the alternative? */
static bool
enforces(const KalamKeyMatch *match, List *alternative, List *bounds, RestrictInfo *rinfo)
{
	int			dispensable = first_dispensable(match, alternative);
	ListCell   *lc;

	foreach(lc, bounds)
	{
		KalamBound *bound = lfirst(lc);
		ListCell   *la;
		bool		found = false;

		if (rinfo != NULL && bound->rinfo != rinfo)
			continue;
		foreach(la, alternative)
			found |= lfirst(la) == bound && bound->exact &&
				foreach_current_index(la) < dispensable;
		if (!found)
			return false;
	}
	return true;
}

static bool
any_member(List *list, List *of)
{
	ListCell   *lc;

	foreach(lc, list)
		if (list_member_ptr(of, lfirst(lc)))
			return true;
	return false;
}

/* For each arm what it and the other bounds make together; NIL if it is of no use. */
static List *
combine(const KalamScanKey *key, List *bounds, List *arms)
{
	List	   *alternatives = NIL;
	ListCell   *lc;

	foreach(lc, arms)
	{
		Arm		   *arm = lfirst(lc);
		List	   *one = follow_key(key, list_concat_copy(bounds, arm->bounds));

		if (!any_member(arm->bounds, one))
			return NIL;
		alternatives = lappend(alternatives, one);
	}
	return alternatives;
}

/* Enters a condition whose bounds, all of them among bounds, are in some alternative. */
static void
describe_condition(KalamKeyMatch *match, List *bounds, RestrictInfo *rinfo)
{
	bool		exact = true;
	ListCell   *la;

	if (list_member_ptr(match->used, rinfo))
		return;
	foreach(la, match->alternatives)
		exact &= enforces(match, lfirst(la), bounds, rinfo);
	match->used = lappend(match->used, rinfo);
	if (exact)
		match->exact = lappend(match->exact, rinfo);
}

/* The rest of a match whose alternatives are known. */
static void
describe(KalamKeyMatch *match, const Matching *m, List *bounds)
{
	ListCell   *lc;
	ListCell   *la;

	match->points = m->key->unique && m->key->ncolumns > 0;
	match->nranges = 0;
	match->multiple = list_length(match->alternatives) > 1;
	foreach(la, match->alternatives)
	{
		List	   *alternative = lfirst(la);
		double		n = 1;
		int			nvalues = 0;

		foreach(lc, alternative)
		{
			KalamBound *bound = lfirst(lc);

			n *= bound->nelements;
			match->multiple |= bound->kind == KALAM_BOUND_ARRAY;
			if (fixes_column(bound) && bound->kind != KALAM_BOUND_NULL)
				nvalues++;
		}
		match->nranges += n;
		match->points &= nvalues == m->key->ncolumns;
	}

	foreach(la, match->alternatives)
		foreach(lc, (List *) lfirst(la))
			if (list_member_ptr(bounds, lfirst(lc)))
				describe_condition(match, bounds, ((KalamBound *) lfirst(lc))->rinfo);

	if (list_length(match->alternatives) == 1)
	{
		foreach(lc, (List *) linitial(match->alternatives))
		{
			KalamBound *bound = lfirst(lc);

			if (!fixes_column(bound) || bound->kind == KALAM_BOUND_ARRAY)
				break;
			match->nfixed++;
		}
	}
}

/* Uses the first OR that helps, and returns it. */
static RestrictInfo *
use_or(KalamKeyMatch *match, const Matching *m, List *bounds, List *clauses, bool *exact)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		List	   *arms = restriction_is_or_clause(rinfo) ? match_arms(m, rinfo) : NIL;
		ListCell   *la;
		ListCell   *lb;

		match->alternatives = combine(m->key, bounds, arms);
		if (match->alternatives == NIL)
			continue;
		*exact = true;
		forboth(la, arms, lb, match->alternatives)
		{
			Arm		   *arm = lfirst(la);

			*exact &= arm->whole && enforces(match, lfirst(lb), arm->bounds, NULL);
		}
		return rinfo;
	}
	return NULL;
}

bool
kalam_bounds_key(PlannerInfo *root, RelOptInfo *rel, const KalamScanKey *key,
				 RestrictInfo *rinfo)
{
	Matching	m = {root, rel, key};

	return kalam_match_condition(root, rel, key, rinfo) != NIL ||
		(kalam_enable_multirange && restriction_is_or_clause(rinfo) &&
		 match_arms(&m, rinfo) != NIL);
}

KalamKeyMatch *
kalam_match_key(PlannerInfo *root, RelOptInfo *rel, const KalamScanKey *key, List *clauses,
				bool multiple)
{
	Matching	m = {root, rel, key};
	KalamKeyMatch *match = palloc0(sizeof(KalamKeyMatch));
	List	   *bounds = NIL;
	RestrictInfo *or = NULL;
	bool		or_exact = false;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		List	   *matched = kalam_match_condition(root, rel, key,
													 lfirst_node(RestrictInfo, lc));

		if (matched != NIL && !multiple &&
			((KalamBound *) linitial(matched))->kind == KALAM_BOUND_ARRAY)
			continue;
		bounds = list_concat(bounds, matched);
	}
	if (multiple)
		or = use_or(match, &m, bounds, clauses, &or_exact);
	if (or == NULL)
		match->alternatives = list_make1(follow_key(key, bounds));
	describe(match, &m, bounds);
	if (or != NULL)
	{
		match->used = lappend(match->used, or);
		if (or_exact)
			match->exact = lappend(match->exact, or);
	}
	foreach(lc, match->used)
		match->param |= bms_membership(lfirst_node(RestrictInfo, lc)->clause_relids) == BMS_MULTIPLE;
	return match;
}

/* (What a whole OR leaves may be less than what its arms say of the key.) */
double
kalam_match_rows(PlannerInfo *root, RelOptInfo *rel, const KalamKeyMatch *match)
{
	double		selectivity = 0;
	double		rows;
	ListCell   *la;

	foreach(la, match->alternatives)
	{
		List	   *conditions = NIL;
		ListCell   *lc;

		foreach(lc, (List *) lfirst(la))
			conditions = list_append_unique_ptr(conditions, ((KalamBound *) lfirst(lc))->rinfo);
		selectivity += clauselist_selectivity(root, conditions, rel->relid, JOIN_INNER, NULL);
		list_free(conditions);
	}
	rows = rel->tuples * Min(selectivity, 1.0);
	if (match->points)
		rows = Min(rows, match->nranges);
	return clamp_row_est(rows);
}

/* ---- for plans ---- */

List *
kalam_alternatives_to_list(List *alternatives)
{
	List	   *list = NIL;
	ListCell   *la;

	foreach(la, alternatives)
	{
		List	   *one = NIL;
		ListCell   *lc;

		foreach(lc, (List *) lfirst(la))
		{
			KalamBound *b = lfirst(lc);
			List	   *ints = list_make4_int((int) b->kind, b->column, b->strategy, b->nvalues);

			for (int i = 0; i < b->nvalues; i++)
			{
				ints = lappend_int(ints, (int) b->casts[i].cast);
				ints = lappend_int(ints, (int) b->casts[i].type);
			}
			one = lappend(one, ints);
		}
		list = lappend(list, one);
	}
	return list;
}

KalamAlternative *
kalam_alternatives_from_list(List *list, int *n)
{
	int			nbounds = 0;
	int			ncasts = 0;
	KalamAlternative *alternatives;
	KalamBound *bounds;
	KalamValueCast *casts;
	ListCell   *la;
	ListCell   *lc;

	foreach(la, list)
		foreach(lc, (List *) lfirst(la))
		{
			nbounds++;
			ncasts += lfourth_int((List *) lfirst(lc));
		}
	*n = list_length(list);
	alternatives = palloc0(*n * sizeof(KalamAlternative) + nbounds * sizeof(KalamBound) +
						   ncasts * sizeof(KalamValueCast));
	bounds = (KalamBound *) (alternatives + *n);
	casts = (KalamValueCast *) (bounds + nbounds);
	foreach(la, list)
	{
		KalamAlternative *one = &alternatives[foreach_current_index(la)];

		one->nbounds = list_length(lfirst(la));
		one->bounds = bounds;
		foreach(lc, (List *) lfirst(la))
		{
			List	   *ints = lfirst(lc);

			bounds->kind = (KalamBoundKind) linitial_int(ints);
			bounds->column = lsecond_int(ints);
			bounds->strategy = lthird_int(ints);
			bounds->nvalues = lfourth_int(ints);
			bounds->casts = casts;
			for (int i = 0; i < bounds->nvalues; i++, casts++)
			{
				casts->cast = (KalamCast) list_nth_int(ints, 4 + 2 * i);
				casts->type = (Oid) list_nth_int(ints, 5 + 2 * i);
			}
			bounds++;
		}
	}
	return alternatives;
}

List *
kalam_alternatives_values(List *alternatives)
{
	List	   *values = NIL;
	ListCell   *la;
	ListCell   *lc;

	foreach(la, alternatives)
		foreach(lc, (List *) lfirst(la))
			/* one may stand in several alternatives */
			values = list_concat(values, copyObject(((KalamBound *) lfirst(lc))->values));
	return values;
}
