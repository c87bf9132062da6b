/*
 * committer.h - the one thread that writes.
 */
#ifndef KALAM_STORAGE_COMMITTER_H
#define KALAM_STORAGE_COMMITTER_H

#include "src/storage/storage.h"

/* Reads what the store knows of stamps, counters and pending transactions. */
extern bool committer_recover(EngineError *err);

extern bool committer_open(void);	/* starts the thread */
extern void committer_close(void);	/* after storage.stopping was set */

#endif
