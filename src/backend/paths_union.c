/*
 * paths_union.c
 *	  Paths for conditions like "a = 1 OR b = 2", whose arms are found by
 *	  different keys.
 *
 * The scan reads the rows of one arm after those of the other; scan_parts.c sees to
 * it that each comes once.
 */
#include "postgres.h"

#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/restrictinfo.h"

#include "src/backend/paths_internal.h"
#include "src/backend/planner.h"

/* Of more arms too much would be read twice. */
#define MAX_PARTS	20

/* What the parts cost together. */
typedef struct Union
{
	Cost		cost;
	double		fetched;
} Union;

static bool
any_used(const KalamKeyMatch *match, List *rinfos)
{
	ListCell   *lc;

	foreach(lc, rinfos)
		if (list_member_ptr(match->used, lfirst(lc)))
			return true;
	return false;
}

/* The arm by the key that finds its rows at least cost; NULL: none does. */
static KalamPathPart *
best_part(const PathMaking *p, List *arm, List *beside, Union *sum)
{
	KalamPathPart *part = NULL;
	List	   *clauses = list_concat_copy(arm, beside);
	Cost		best_cost = 0;
	double		best_fetched = 0;
	ListCell   *lc;

	foreach(lc, p->keys)
	{
		KalamScanKey key = kalam_scan_key(p->table, lfirst_int(lc));
		KalamKeyMatch *match = kalam_match_key(p->root, p->rel, &key, clauses, true);
		double		fetched;
		Cost		cost;

		if (!any_used(match, arm))
			continue;
		fetched = kalam_match_rows(p->root, p->rel, match);
		cost = (match->nranges - 1) * SEEK_COST + kalam_read_cost(p, &key, fetched, false) +
			kalam_disk_cost(p->rel, &key, fetched);
		if (part == NULL)
			part = palloc0(sizeof(KalamPathPart));
		else if (cost >= best_cost)
			continue;
		part->key = lfirst_int(lc);
		part->arm = arm;
		part->clauses = clauses;
		best_cost = cost;
		best_fetched = fetched;
	}
	sum->cost += best_cost;
	sum->fetched += best_fetched;
	return part;
}

static void
add_union_path(const PathMaking *p, RestrictInfo *rinfo)
{
	RelOptInfo *rel = p->rel;
	List	   *arms = ((BoolExpr *) rinfo->orclause)->args;
	List	   *beside = list_delete_ptr(list_copy(p->clauses), rinfo);
	KalamPath  *path = kalam_make_private(p);
	Union		sum = {0};
	QualCost	qual;
	Cost		startup;
	ListCell   *lc;

	if (list_length(arms) > MAX_PARTS)
		return;
	foreach(lc, arms)
	{
		Node	   *arm = lfirst(lc);
		KalamPathPart *part = best_part(p, IsA(arm, BoolExpr) ? ((BoolExpr *) arm)->args :
										list_make1(arm), beside, &sum);

		if (part == NULL)
			return;
		path->parts = lappend(path->parts, part);
	}
	path->parts_of = rinfo;
	cost_qual_eval(&qual, p->clauses, p->root);
	startup = REQUEST_COST + qual.startup + rel->reltarget->cost.startup;
	add_path(rel, (Path *)
			 create_foreignscan_path(p->root, rel, NULL, rel->rows, startup,
									 startup + (list_length(arms) - 1) * REQUEST_COST + sum.cost +
									 sum.fetched * (cpu_tuple_cost * (1 + ROW_SEND_FACTOR) +
													2 * qual.per_tuple) +
									 rel->rows * rel->reltarget->cost.per_tuple,
									 NIL, rel->lateral_relids, NULL, list_make1(path)));
}

void
kalam_add_union_paths(const PathMaking *p)
{
	ListCell   *lc;

	if (!kalam_enable_multirange || list_length(p->keys) < 2)
		return;
	foreach(lc, p->clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		/*
		 * An arm is tried twice on a row, so it must give the same, and before
		 * other conditions, so it must not tell what these are to hide.
		 */
		if (restriction_is_or_clause(rinfo) && !rinfo->pseudoconstant &&
			restriction_is_securely_promotable(rinfo, p->rel) &&
			!contain_volatile_functions((Node *) rinfo->clause) &&
			!contain_subplans((Node *) rinfo->clause))
			add_union_path(p, rinfo);
	}
}
