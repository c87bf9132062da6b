/*
 * load.h - takes large transactions, which lie in sorted files, into the store.
 */
#ifndef KALAM_STORAGE_LOAD_H
#define KALAM_STORAGE_LOAD_H

#include "src/storage/channels.h"

/*
 * A COMMIT or PREPARE whose load a read thread has built: a group of its own.
 * The set is empty, before and after.  Commit thread.
 */
extern void load_commit(Chan *c, ChangeSet *set);
extern void load_prepare(Chan *c, ChangeSet *set);

/* Main thread, at start: completes loads that were committed, removes leftovers. */
extern bool loads_recover(EngineError *err);

#endif
