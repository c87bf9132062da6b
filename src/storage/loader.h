/*
 * loader.h - the threads that serve LOAD, LOAD_READ and LOAD_DROP.
 */
#ifndef KALAM_STORAGE_LOADER_H
#define KALAM_STORAGE_LOADER_H

#include "src/storage/storage.h"

extern bool loaders_open(uint32_t nthreads);
extern void loaders_close(void);

#endif
