/*
 * paths_internal.h
 *	  What the files that make paths of scans share.
 */
#ifndef KALAM_PATHS_INTERNAL_H
#define KALAM_PATHS_INTERNAL_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "nodes/pathnodes.h"

#include "src/backend/keymatch.h"
#include "src/backend/planner.h"
#include "src/backend/table.h"

/*
 * Costs, in the planner's unit (about 3 us here).  A request to the storage
 * process is a wake and a look-up; rows of a range come many to a block.
 */
#define REQUEST_COST		4.0
#define SEEK_COST			0.5 /* of each range beyond the first */
#define ROW_LOOK_UP_COST	(0.1 * random_page_cost)	/* of a row that an index leads to */
#define INDEX_ENTRY_BYTES	40
#define ROW_READ_FACTOR		0.25 /* of cpu_tuple_cost: storage reads it, */
#define ROW_SEND_FACTOR		0.25 /* and sends it: out of a block, undecoded */
#define FILTER_FACTOR		0.25 /* of a condition's cost, where storage evaluates it */

/* What is known while paths of one relation are made. */
typedef struct PathMaking
{
	PlannerInfo *root;
	RelOptInfo *rel;
	KalamTable *table;
	TupleDesc	desc;
	List	   *keys;			/* numbers of those that may be used */
	List	   *clauses;		/* of the relation, and of param */
	ParamPathInfo *param;		/* or NULL */
	KalamScans *scans;
} PathMaking;

/* ---- paths.c ---- */

extern KalamPath *kalam_make_private(const PathMaking *p);

/* To find so many rows of the key, but for what comes from disk: kalam_disk_cost. */
extern Cost kalam_read_cost(const PathMaking *p, const KalamScanKey *key, double fetched,
							bool only);
extern Cost kalam_disk_cost(const RelOptInfo *rel, const KalamScanKey *key, double fetched);

/* ---- paths_union.c ---- */

/* Paths for an OR whose arms are found by different keys. */
extern void kalam_add_union_paths(const PathMaking *p);

#endif							/* KALAM_PATHS_INTERNAL_H */
