/*
 * load_read.h - a kept load's records, laid out in blocks: LOAD_READ.
 */
#ifndef KALAM_STORAGE_LOAD_READ_H
#define KALAM_STORAGE_LOAD_READ_H

#include "src/storage/engine.h"

typedef struct LoadRead LoadRead;

/* NULL if the slot has no such load. */
extern LoadRead *load_read_open(uint32_t slot, uint64_t number, EngineError *err);
extern void load_read_close(LoadRead *r);

typedef enum LoadReadStep
{
	LOAD_READ_BLOCK,			/* it is full */
	LOAD_READ_LAST,				/* nothing comes behind it */
	LOAD_READ_ERROR
} LoadReadStep;

extern LoadReadStep load_read_block(LoadRead *r, KalamBlock *b, EngineError *err);

#endif
