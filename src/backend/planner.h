/*
 * planner.h
 *	  Planning of scans over stored tables, and what it hands to them: the layout
 *	  of a ForeignScan's private list.
 */
#ifndef KALAM_PLANNER_H
#define KALAM_PLANNER_H

#include "postgres.h"
#include "foreign/fdwapi.h"

/* An arm of an OR, and the key by which its rows are found. */
typedef struct KalamPathPart
{
	int			key;
	List	   *arm;			/* RestrictInfos */
	List	   *clauses;		/* they and what stands beside the OR */
} KalamPathPart;

/*
 * Scans of a relation as they were made, also those that the planner dropped for others:
 * for aggregates the best scan is one that storage can aggregate.
 */
typedef struct KalamScans
{
	List	   *whole;			/* ForeignPaths, without parameters */
	List	   *partial;
} KalamScans;

/* The only member of a ForeignPath's private list. */
typedef struct KalamPath
{
	KalamScans *scans;			/* of its relation */

	List	   *parts;			/* KalamPathPart: it reads these one after the other; what
								 * follows is not used then */
	RestrictInfo *parts_of;		/* the OR */

	int			key;			/* that it follows: kalam_scan_key */
	bool		multiple;		/* several ranges: kalam_match_key */
	bool		only;			/* its columns are all that is needed */
	bool		reverse;		/* against the key's order */
	bool		filters_all;	/* its range and storage enforce all conditions */
} KalamPath;

/*
 * fdw_private of a ForeignScan; the bounds' values are its fdw_exprs, and behind
 * them those of shipped conditions.  Its fdw_recheck_quals are the conditions that
 * bounds come from, the shipped ones, and, when the scan locks, all others: it
 * sees to them itself, before it locks.  Where no row is ever checked again the
 * executor need not make them ready each time: they are the end of fdw_exprs.
 */
enum KalamScanPrivate
{
	KALAM_PRIVATE_BOUNDS,		/* list: kalam_alternatives_to_list */
	KALAM_PRIVATE_PARTS,		/* list: parts of an OR (scan_parts.h); or NIL */
	KALAM_PRIVATE_VALUES,		/* Integer: how many of fdw_exprs are values */
	KALAM_PRIVATE_SHOWN,		/* Boolean: those behind are for EXPLAIN, and there are no
								 * fdw_recheck_quals */
	KALAM_PRIVATE_KEY_QUALS,	/* Integer: how many conditions are key conditions */
	KALAM_PRIVATE_INDEX,		/* String: kalam_key_for_plan */
	KALAM_PRIVATE_ONLY,			/* list of attribute numbers to be read from the key
								 * instead of the row, or NIL */
	KALAM_PRIVATE_REVERSE,		/* Boolean: against the key's order */
	KALAM_PRIVATE_NO_COLUMNS,	/* Boolean: rows are only counted */
	KALAM_PRIVATE_LIMIT,		/* Integer: how many rows will be asked for; 0: unknown */
	KALAM_PRIVATE_LOCK,			/* Integer: how the scan locks its rows
								 * (KalamRowLockMode), or KALAM_SCAN_LOCKS_NOTHING */
	KALAM_PRIVATE_MARK,			/* Boolean: rows may be locked later: rowmark.h */
	KALAM_PRIVATE_FILTER,		/* list of lists: kalam_ship_steps_to_list */
	KALAM_PRIVATE_SHIPPED,		/* Integer: how many conditions these are */
	KALAM_PRIVATE_UPPER,		/* list: kalam_upper_to_list; NIL: rows are scanned */
	KALAM_PRIVATE_VARNO,		/* UPPER, Integer: the table's number when planned, */
	KALAM_PRIVATE_CONDITIONS,	/* list: and what would be fdw_recheck_quals */
	KALAM_PRIVATE_DIRECT,		/* list: the scan modifies the rows itself
								 * (directmodify.c); or NULL */
	KALAM_PRIVATE_ITEMS
};

#define KALAM_SCAN_LOCKS_NOTHING (-1)

/* Settings: which paths are tried. */
extern bool kalam_enable_multirange;
extern bool kalam_enable_indexscan;
extern bool kalam_enable_indexonlyscan;
extern bool kalam_enable_directmodify;

extern void kalam_planner_install(void);	/* hooks */

extern void kalam_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid);

/* ---- paths.c ---- */

/* Keeps a copy of the scan, before the planner drops it. */
extern void kalam_keep_scan(const ForeignPath *path);

extern void kalam_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
/* The part of a scan's cost that it is to send these rows, and take them. */
extern Cost kalam_cost_of_sending(double rows);

/* ---- plan.c ---- */

/* Attributes that the scan must give, in the manner of pull_varattnos. */
extern Bitmapset *kalam_needed_columns(RelOptInfo *rel, List *rinfos);

/* Are rows that the scan returns locked later? */
extern bool kalam_scan_is_marked(PlannerInfo *root, RelOptInfo *rel);

/* GetForeignPlan; the plan of a scan of a table, for it and for what is made of one. */
extern ForeignScan *kalam_get_base_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
										ForeignPath *path, List *tlist, List *clauses,
										Plan *outer_plan);
extern ForeignScan *kalam_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
								   ForeignPath *path, List *tlist, List *clauses,
								   Plan *outer_plan);

/* ---- analyze.c ---- */

extern bool kalam_analyze(Relation rel, AcquireSampleRowsFunc *func, BlockNumber *pages);

#endif							/* KALAM_PLANNER_H */
