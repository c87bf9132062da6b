/*
 * reader.h - the threads that serve the READ lane and the NEAR lanes.
 */
#ifndef KALAM_STORAGE_READER_H
#define KALAM_STORAGE_READER_H

#include "src/storage/storage.h"

extern bool readers_open(uint32_t nthreads);	/* so many of READ */
extern void readers_close(void);	/* after storage.stopping was set */

#endif
