/*
 * keymatch.h
 *	  Conditions on key columns, recognised by the planner: what a plan keeps of
 *	  them, so that keyrange.h can make ranges of key bytes of them.
 */
#ifndef KALAM_KEYMATCH_H
#define KALAM_KEYMATCH_H

#include "postgres.h"
#include "nodes/pathnodes.h"

#include "src/backend/table.h"

/*
 * A key that a scan can follow.  Behind an index's columns stand those of the
 * primary key: entries are in their order too, and those of an index that is not
 * unique have them in their keys.
 */
typedef struct KalamScanKey
{
	const KalamIndex *index;	/* NULL: the primary key */
	bool		unique;			/* values that are not null identify a row */
	int			ncolumns;		/* that can be bound; 0: a table without key */
	int			nordered;		/* that rows are in the order of */
	const KalamKeyColumn *columns;
} KalamScanKey;

#define KALAM_PRIMARY_KEY	(-1)

/* The primary key, or index number n of table->indexes; may allocate. */
extern KalamScanKey kalam_scan_key(const KalamTable *table, int n);

/*
 * What a plan has for a key: the name of the index's option, for the name alone may be that of
 * two; NULL: the primary key.  Then its number, and the name that EXPLAIN shows.
 */
extern String *kalam_key_for_plan(const KalamScanKey *key);
extern int	kalam_find_index(const KalamTable *table, String *option);
extern const char *kalam_planned_index_name(String *option);

typedef enum KalamBoundKind
{
	KALAM_BOUND_COMPARE,		/* column op value */
	KALAM_BOUND_ARRAY,			/* column = ANY (value) */
	KALAM_BOUND_ROW,			/* (column, those behind it) op (values) */
	KALAM_BOUND_NULL,			/* column IS NULL */
	KALAM_BOUND_NOT_NULL		/* column IS NOT NULL */
} KalamBoundKind;

/* How a value becomes one of the column. */
typedef struct KalamValueCast
{
	KalamCast	cast;
	Oid			type;			/* base type of the value, or of an array's elements */
} KalamValueCast;

/* One condition. */
typedef struct KalamBound
{
	KalamBoundKind kind;
	int			column;			/* of the key, from 0; ROW: the first one */
	int			strategy;		/* BT*StrategyNumber, column on the left */
	int			nvalues;		/* ROW: of columns; NULL, NOT_NULL: 0; else 1 */
	KalamValueCast *casts;		/* of each value */

	/* for the planner only */
	List	   *values;			/* Exprs */
	RestrictInfo *rinfo;		/* where it comes from */
	bool		exact;			/* a range alone enforces it */
	double		nelements;		/* ARRAY: how many values */
	bool		counted;		/* that is no estimate */
} KalamBound;

/*
 * When conditions make more ranges than that, only the first array of each
 * alternative is used.
 */
#define KALAM_MAX_RANGES	20000

/* How conditions bound a scan of a key. */
typedef struct KalamKeyMatch
{
	/*
	 * Lists of KalamBounds in the order of the key: conditions that fix a
	 * column first, then those on the next one.  A row is read if it lies in
	 * one of the ranges that any list makes; an empty list makes the whole key.
	 */
	List	   *alternatives;
	List	   *used;			/* the RestrictInfos behind them */
	List	   *exact;			/* those of used that the ranges enforce */
	bool		multiple;		/* there may be several ranges */
	bool		param;			/* some depend on other relations */
	int			nfixed;			/* leading columns with one value in all of the scan */
	bool		points;			/* only whole unique keys are looked up */
	double		nranges;		/* estimate */
} KalamKeyMatch;

/*
 * Matches clauses (RestrictInfos) with a key.  multiple: several ranges will
 * do (= ANY, OR).
 */
extern KalamKeyMatch *kalam_match_key(PlannerInfo *root, RelOptInfo *rel, const KalamScanKey *key,
									  List *clauses, bool multiple);

/* Does the condition, or each arm of it, bound some column of the key? */
extern bool kalam_bounds_key(PlannerInfo *root, RelOptInfo *rel, const KalamScanKey *key,
							 RestrictInfo *rinfo);

/* How many rows the ranges hold: estimate. */
extern double kalam_match_rows(PlannerInfo *root, RelOptInfo *rel, const KalamKeyMatch *match);

/* ---- keycond.c: single conditions ---- */

/* The bounds that a condition gives, all of which hold where it does; NIL: none. */
extern List *kalam_match_condition(PlannerInfo *root, RelOptInfo *rel, const KalamScanKey *key,
								   RestrictInfo *rinfo);

extern KalamBound *kalam_make_bound(KalamBoundKind kind, int column, int strategy, int nvalues);

/* ---- for plans ---- */

/* To lists that plans can carry; the values go by fdw_exprs. */
extern List *kalam_alternatives_to_list(List *alternatives);
extern List *kalam_alternatives_values(List *alternatives);

/* One of KalamKeyMatch's, as the executor has it. */
typedef struct KalamAlternative
{
	int			nbounds;
	KalamBound *bounds;			/* without what is the planner's */
} KalamAlternative;

/* Those in a plan, *n of them, in one piece of memory. */
extern KalamAlternative *kalam_alternatives_from_list(List *list, int *n);

#endif							/* KALAM_KEYMATCH_H */
