/*
 * upkeep.h - flushing and compacting them off the read threads.
 */
#ifndef KALAM_STORAGE_UPKEEP_H
#define KALAM_STORAGE_UPKEEP_H

#include "src/storage/objects.h"

typedef struct UpkeepJob UpkeepJob;

extern bool upkeep_open(void);	/* starts the threads */
extern void upkeep_close(void);

/* Takes over the caller's hold of the object; posts the channel when done. */
extern UpkeepJob *upkeep_start(KalamOp op, Object *object, uint32_t channel);

/* Is it done, and how did it end?  *good false: err says. */
extern bool upkeep_done(UpkeepJob *job, bool *good, EngineError *err);

/* Nobody waits for it any more, done or not. */
extern void upkeep_abandon(UpkeepJob *job);

#endif
