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

/* To be embedded and zeroed. */
typedef struct KalamPointList KalamPointList;

/* Can these be read that way?  They are all keys, and not too many. */
extern bool kalam_point_list_suits(const KalamKeyRange *ranges, int n);

/* One that is closed; context lives as long as it does. */
extern KalamPointList *kalam_point_list_create(MemoryContext context);

/*
 * Looks all up.  The range says what they have in common; it has no input.  They stay where
 * they are until the close.
 */
extern void kalam_point_list_open(KalamPointList *list, uint64 ttl, const KalamRange *range,
								  const KalamKeyRange *ranges, int n);

/* The next row, without its key, and which of the list it is; NULL at the end. */
extern const KalamRow *kalam_point_list_next(KalamPointList *list, int *at);

/* Adds what it has cost so far. */
extern void kalam_point_list_add_cost(const KalamPointList *list, KalamScanCost *cost);

extern void kalam_point_list_close(KalamPointList *list);

#endif							/* KALAM_POINTLIST_H */
