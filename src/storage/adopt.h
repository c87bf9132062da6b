/*
 * adopt.h - a store that was moved in from another server becomes this one's.
 */
#ifndef KALAM_STORAGE_ADOPT_H
#define KALAM_STORAGE_ADOPT_H

#include "src/storage/engine.h"

/*
 * Takes all its tables from the databases that they were in.  False if
 * transactions of the other server are pending, whose fate it alone knows.
 * Main thread, before anybody is served; can be done again.
 */
extern bool adopt_tables(EngineError *err);

#endif
