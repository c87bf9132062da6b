/*
 * sidebyside.h
 *	  Parts of a scan that several threads of storage work on at the same time.
 *
 * One thread of storage serves a request, and does so ahead of its reader as far as
 * blocks go.  A scan of which few rows, or only groups, come to be sent would wait for
 * that one thread.  So it makes several requests, of pieces of about equal bytes,
 * and then reads them one after the other, in the order of the key.
 */
#ifndef KALAM_SIDEBYSIDE_H
#define KALAM_SIDEBYSIDE_H

#include "src/backend/scan_state.h"

/* For the planner: what such a scan costs that costs so much by one thread. */
extern Cost kalam_sides_cost(Cost by_one);

/*
 * Opens merges over the pieces of scan->ranges, which are not open yet, and makes the
 * first one current.  False: it is one for a single request.
 */
extern bool kalam_sides_open(KalamScan *scan);

/* Makes the next one current; false if there is none. */
extern bool kalam_sides_advance(KalamScan *scan);

extern void kalam_sides_add_cost(const KalamScan *scan, KalamScanCost *cost);

/* Scan->merge is the current one again. */
extern void kalam_sides_close(KalamScan *scan);

#endif							/* KALAM_SIDEBYSIDE_H */
