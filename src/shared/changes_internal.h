/*
 * changes_internal.h
 *	  What changes.c and changes_scan.c share.
 */
#ifndef KALAM_CHANGES_INTERNAL_H
#define KALAM_CHANGES_INTERNAL_H

#include "src/shared/changes.h"

/* Runs of a level are merged into one of the next when there are so many. */
#define KALAM_RUNS_PER_LEVEL	8
#define KALAM_MAX_LEVELS		20
#define KALAM_MAX_RUNS			(KALAM_RUNS_PER_LEVEL * KALAM_MAX_LEVELS)

/* Where a subtransaction began to write, in what is in memory now. */
typedef struct KalamSubMark
{
	uint32_t	sub;
	KalamStagedMark mark;
} KalamSubMark;

/* Subtransactions whose spilled versions are dead: both ends included. */
typedef struct KalamDeadRange
{
	uint32_t	first;
	uint32_t	last;
} KalamDeadRange;

typedef struct KalamLevelledRun
{
	KalamRun   *run;
	uint32_t	level;
} KalamLevelledRun;

struct KalamChanges
{
	KalamStagedMemory memory;
	KalamRunFiles files;
	KalamStaged *staged;
	uint64_t	kept_bytes;		/* memory of staged that no spill can free */
	uint64_t	spills;			/* so far */
	KalamLevelledRun runs[KALAM_MAX_RUNS];	/* oldest first; levels do not rise */
	uint32_t	nruns;
	uint32_t	spilled_max_sub;
	uint64_t	generation;		/* of runs and of memory: raised when any is gone */
	KalamSubMark *marks;		/* outermost first */
	size_t		nmarks;
	size_t		marks_room;
	KalamDeadRange *dead;		/* ascending, disjoint */
	size_t		ndead;
	size_t		dead_room;

	/* what an error may leave half made */
	KalamRun   *half_run;
	KalamStaged *half_staged;
	KalamChangesScan *half_merge;
	KalamRun   *found_in;		/* the last find's, which may hold a large value */
};

extern bool kalam_changes_is_dead(const KalamChanges *c, uint32_t sub);

/*
 * All live versions of runs [first, nruns), each key's newest first: what a
 * merge of runs writes.
 */
extern KalamChangesScan *kalam_changes_merge_open(KalamChanges *c, uint32_t first);
extern bool kalam_changes_merge_next(KalamChangesScan *s, KalamVersion *v);

#endif							/* KALAM_CHANGES_INTERNAL_H */
