/*
 * reader.h - the threads that serve the READ lane.
 */
#ifndef KALAM_STORAGE_READER_H
#define KALAM_STORAGE_READER_H

#include "src/storage/storage.h"

extern bool readers_open(uint32_t nthreads);
extern void readers_close(void);	/* after storage.stopping was set */

#endif
