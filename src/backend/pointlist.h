/*
 * pointlist.h
 *	  Rows of a list of keys: what the query cache knows of them, and the others.
 *
 * All keys are looked up first, and storage is asked for those that the cache does not
 * know, with one request.  Then rows come in the order of the list.
 */
#ifndef KALAM_POINTLIST_H
#define KALAM_POINTLIST_H

#include "postgres.h"

#include "src/backend/querycache.h"
#include "src/backend/scan_input.h"

/* Large rows of a list that are used in place. */
#define KALAM_LIST_PINS		8

/* To be zeroed.  What is in it is pointlist.c's. */
typedef struct KalamPointList
{
	MemoryContext context;		/* of all that is open */
	KalamPointReader reader;
	KalamRange	range;			/* what all keys have in common */
	const KalamKeyRange *ranges;
	int			n;
	int			at;				/* the next one */
	KalamPoint *known;			/* by place in the list; no row: or it is asked for */
	KalamCachePin pins[KALAM_LIST_PINS];
	int			npins;
	int		   *asked;			/* which of the list storage was asked for */
	int			nasked;
	int			asked_at;		/* the first of these at or behind `at` */
	KalamCursor *cursor;		/* over them */
	const KalamRow *sent;		/* the next row of the cursor, if have_sent */
	bool		have_sent;
	KalamScanCost cost;			/* since it was opened, but that of the cursor */
} KalamPointList;

/* Can these be read that way?  They are all keys, and not too many. */
extern bool kalam_point_list_suits(const KalamKeyRange *ranges, int n);

/*
 * Looks all up.  The range says what they have in common; it has no input.  They stay where
 * they are until the close.  context lives as long as the list.
 */
extern void kalam_point_list_open(KalamPointList *list, uint64 ttl, const KalamRange *range,
								  const KalamKeyRange *ranges, int n, MemoryContext context);

/*
 * The next one of which there is a row, and its place in the list; false at the end.  It is
 * good until the next one.
 */
extern bool kalam_point_list_next(KalamPointList *list, KalamPoint *point, int *at);

/* Adds what it has cost so far. */
extern void kalam_point_list_add_cost(const KalamPointList *list, KalamScanCost *cost);

extern void kalam_point_list_close(KalamPointList *list);

#endif							/* KALAM_POINTLIST_H */
