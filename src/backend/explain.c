/*
 * explain.c
 *	  What EXPLAIN says of a scan over a stored table.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/ruleutils.h"

#include "src/backend/directmodify.h"
#include "src/backend/keymatch.h"
#include "src/backend/planner.h"
#include "src/backend/scan.h"
#include "src/backend/scan_state.h"
#include "src/backend/sidebyside.h"

/*
 * The conditions that the scan enforces itself.  Those below an aggregate are not
 * where PostgreSQL would have followed the numbers of tables.
 */
static List *
scan_conditions(ForeignScan *plan)
{
	List	   *quals;
	int			varno;

	if (boolVal(list_nth(plan->fdw_private, KALAM_PRIVATE_SHOWN)))
		return list_copy_tail(plan->fdw_exprs,
							  intVal(list_nth(plan->fdw_private, KALAM_PRIVATE_VALUES)));
	if (plan->scan.scanrelid > 0)
		return plan->fdw_recheck_quals;
	quals = copyObject(list_nth(plan->fdw_private, KALAM_PRIVATE_CONDITIONS));
	varno = intVal(list_nth(plan->fdw_private, KALAM_PRIVATE_VARNO));
	OffsetVarNodes((Node *) quals, bms_singleton_member(plan->fs_relids) - varno, 0);
	return quals;
}

/* What storage computes, and of which table. */
static void
explain_aggregates(ForeignScan *plan, ExplainState *es)
{
	List	   *context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
	bool		prefix = list_length(es->rtable) > 1 || es->verbose;
	RangeTblEntry *rte = rt_fetch(bms_singleton_member(plan->fs_relids), es->rtable);
	List	   *groups = NIL;
	List	   *aggregates = NIL;
	ListCell   *lc;

	foreach(lc, plan->fdw_scan_tlist)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;
		char	   *text = deparse_expression(expr, context, prefix, false);

		if (IsA(expr, Aggref))
			aggregates = lappend(aggregates, text);
		else
			groups = lappend(groups, text);
	}
	ExplainPropertyText("Relations", psprintf("Aggregate on %s", quote_identifier(rte->eref->aliasname)),
						es);
	ExplainPropertyList("Storage Aggregate", aggregates, es);
	if (groups != NIL)
		ExplainPropertyList("Storage Group Key", groups, es);
}

static void
explain_conditions(const char *label, List *quals, ForeignScan *plan, ExplainState *es)
{
	List	   *context;
	bool		prefix = list_length(es->rtable) > 1 || es->verbose;

	if (quals == NIL)
		return;
	context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
	ExplainPropertyText(label, deparse_expression((Node *) make_ands_explicit(quals),
												  context, prefix, false), es);
}

/* Nothing of those that did not ask it. */
static void
explain_query_cache(const KalamScanCost *cost, ExplainState *es)
{
	if (cost->query_hits + cost->query_misses == 0)
		return;
	if (es->format == EXPLAIN_FORMAT_TEXT)
	{
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfo(es->str, "Query Cache: hits=" UINT64_FORMAT " misses=" UINT64_FORMAT "\n",
						 cost->query_hits, cost->query_misses);
		return;
	}
	ExplainPropertyUInteger("Query Cache Hits", NULL, cost->query_hits, es);
	ExplainPropertyUInteger("Query Cache Misses", NULL, cost->query_misses, es);
}

void
kalam_explain_cost(uint64 nranges, const KalamScanCost *cost, ExplainState *es)
{
	explain_query_cache(cost, es);
	if (es->format == EXPLAIN_FORMAT_TEXT)
	{
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfo(es->str,
						 "Storage: ranges=" UINT64_FORMAT " keys read=" UINT64_FORMAT
						 " seeks=" UINT64_FORMAT " rows sent=" UINT64_FORMAT " blocks=" UINT64_FORMAT
						 " bytes=" UINT64_FORMAT "\n",
						 nranges, cost->read, cost->seeks, cost->rows, cost->blocks, cost->bytes);
		if (es->buffers)
		{
			appendStringInfoSpaces(es->str, es->indent * 2);
			appendStringInfo(es->str, "Storage Buffers: hit=" UINT64_FORMAT " read=" UINT64_FORMAT "\n",
							 cost->cache_hits, cost->file_reads);
		}
		return;
	}
	ExplainPropertyUInteger("Key Ranges", NULL, nranges, es);
	ExplainPropertyUInteger("Keys Read by Storage", NULL, cost->read, es);
	ExplainPropertyUInteger("Storage Seeks", NULL, cost->seeks, es);
	ExplainPropertyUInteger("Rows Sent by Storage", NULL, cost->rows, es);
	ExplainPropertyUInteger("Blocks Sent by Storage", NULL, cost->blocks, es);
	ExplainPropertyUInteger("Bytes Sent by Storage", NULL, cost->bytes, es);
	if (es->buffers)
	{
		ExplainPropertyUInteger("Storage Cache Hits", NULL, cost->cache_hits, es);
		ExplainPropertyUInteger("Storage File Reads", NULL, cost->file_reads, es);
	}
}

void
kalam_explain_scan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	const KalamScan *scan = node->fdw_state;
	int			nbounds = intVal(list_nth(plan->fdw_private, KALAM_PRIVATE_KEY_QUALS));
	int			nshipped = intVal(list_nth(plan->fdw_private, KALAM_PRIVATE_SHIPPED));
	List	   *quals = scan_conditions(plan);
	String	   *index = list_nth(plan->fdw_private, KALAM_PRIVATE_INDEX);
	List	   *others = list_copy_tail(quals, nbounds);
	List	   *parts = NIL;
	ListCell   *lc;

	if (plan->scan.scanrelid == 0)
		explain_aggregates(plan, es);
	if (index != NULL)
		ExplainPropertyText("Index", kalam_planned_index_name(index), es);
	foreach(lc, (List *) list_nth(plan->fdw_private, KALAM_PRIVATE_PARTS))
		parts = lappend(parts, (char *) kalam_planned_index_name(linitial(lfirst(lc))));
	if (parts != NIL)
		ExplainPropertyList("Keys", parts, es);
	if (list_nth(plan->fdw_private, KALAM_PRIVATE_ONLY) != NIL)
		ExplainPropertyBool("Keys Only", true, es);
	explain_conditions("Key Cond", list_truncate(list_copy(quals), nbounds), plan, es);
	explain_conditions("Storage Filter", list_truncate(list_copy(others), nshipped), plan, es);
	/* those that core knows of, it shows */
	explain_conditions("Filter", list_copy_tail(others, nshipped), plan, es);
	explain_conditions("Filter", kalam_direct_quals(plan), plan, es);
	if (boolVal(list_nth(plan->fdw_private, KALAM_PRIVATE_REVERSE)))
		ExplainPropertyText("Scan Direction", "Backward", es);
	/* of a scan that processes share, each knows its own part only */
	if (es->analyze && scan != NULL && !plan->scan.plan.parallel_aware)
	{
		KalamScanCost cost = kalam_merge_cost(&scan->merge);

		kalam_sides_add_cost(scan, &cost);
		kalam_explain_cost(scan->nranges, &cost, es);
	}
}
