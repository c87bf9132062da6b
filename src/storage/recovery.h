/*
 * recovery.h - is what RocksDB would recover all that was acknowledged?
 */
#ifndef KALAM_STORAGE_RECOVERY_H
#define KALAM_STORAGE_RECOVERY_H

#include "src/storage/engine.h"

/*
 * Looks before the database is opened, which would throw away what comes after
 * damage in its log; then marks the store as in use.
 */
extern bool recovery_check(const EngineConfig *config, EngineError *err);

#endif
