/*
 * load_check.h - have others committed keys of a load since they were looked up?
 */
#ifndef KALAM_STORAGE_LOAD_CHECK_H
#define KALAM_STORAGE_LOAD_CHECK_H

#include "src/storage/load_duplicate.h"

/* The watch for a target that is to be added; NULL if it needs none of its own. */
extern LoadWatch *load_check_watch(const Load *load, const KalamLoadTarget *target);

/*
 * Sees to what the load's watches have noted.  The load is complete, and its
 * caller the only one to check it.  False on errors: KALAM_ERR_DUPLICATE, then
 * *duplicate is noted.  What was not seen to is found by the next check.  It gives
 * up when stops(arg) says so (sorter.h).
 */
extern bool load_check(Load *load, SorterStops stops, const void *arg, LoadDuplicate *duplicate,
					   EngineError *err);

/*
 * LOAD_MEMBERS: checks the slot's kept loads with numbers first .. last and targets in
 * the object, and writes to the beginning of `room` which of the n hashes that lie
 * there may be of their unique keys: *n positions, uint32 each, ascending.
 */
extern bool load_members(uint32_t slot, const KalamRequest *req, SorterStops stops,
						 const void *arg, uint8_t *room, uint64_t *n, LoadDuplicate *duplicate,
						 EngineError *err);

#endif
