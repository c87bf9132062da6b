/*
 * state_file.h - file "state": is the store in use, since which timeline, and
 *	  which commits are known to be on disk.
 */
#ifndef KALAM_STORAGE_STATE_FILE_H
#define KALAM_STORAGE_STATE_FILE_H

#include "src/storage/engine.h"

/*
 * Reads it and refuses a store that cannot be whole: a copy of one in use, one
 * of an earlier timeline, one that the server opened more or less often than it
 * says (identity.h).  timeline, opened 0: not known.  moved_in: from a server whose
 * timelines are others.
 */
extern bool state_file_check(int root_fd, const char *root, bool has_database, uint32_t timeline,
							 bool moved_in, uint32_t opened, EngineError *err);

/* A commit of this stamp was on disk: a store that ends before it has lost some. */
extern uint64_t state_file_synced(void);

/* The store is in use from now on, and ends at this stamp at least. */
extern bool state_file_begin(uint64_t synced, EngineError *err);

/* How often it was opened, this time included. */
extern uint32_t state_file_opened(void);

/* Commit thread: what was written up to this stamp is on disk. */
extern void state_file_note(uint64_t stamp);

/* It is closed; a copy made from now on is good. */
extern bool state_file_end(EngineError *err);

#endif
