/*
 * load_compare.h - has a load keys of earlier loads of its transaction?
 */
#ifndef KALAM_STORAGE_LOAD_COMPARE_H
#define KALAM_STORAGE_LOAD_COMPARE_H

#include "src/storage/load_duplicate.h"

typedef struct LoadCompare LoadCompare;

/* load: finished, and held by the caller until close. */
extern LoadCompare *load_compare_open(Load *load);
extern void load_compare_close(LoadCompare *c);

typedef enum LoadCompareStep
{
	LOAD_COMPARE_AGAIN,			/* there is more to do */
	LOAD_COMPARE_UNIQUE,
	LOAD_COMPARE_DUPLICATE,
	LOAD_COMPARE_ERROR
} LoadCompareStep;

extern LoadCompareStep load_compare_step(LoadCompare *c, LoadDuplicate *duplicate,
										 EngineError *err);

#endif
