/*
 * engine_internal.h - what the files engine*.c share; nobody else includes it.
 */
#ifndef KALAM_STORAGE_ENGINE_INTERNAL_H
#define KALAM_STORAGE_ENGINE_INTERNAL_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "src/storage/engine.h"

struct EngineFamily
{
	rocksdb_column_family_handle_t *handle;
	char	   *name;
	_Atomic uint64_t counted_bytes; /* size of its files when their keys were counted */
	_Atomic uint64_t counted_keys;
	_Atomic uint64_t counted_raw_bytes;
	_Atomic uint64_t count_again_at;	/* ns of the monotonic clock: not before */
};

struct Engine
{
	rocksdb_t  *db;
	rocksdb_options_t *base;
	rocksdb_cache_t *cache;
	rocksdb_writeoptions_t *write_synced;
	rocksdb_writeoptions_t *write_plain;
	rocksdb_flushoptions_t *flush;
	EngineFamily *fallback;		/* "default", which holds nothing */
	EngineFamily **opened;
	uint32_t	nopened;
};

/* Takes over RocksDB's message.  True if there is none. */
extern bool engine_ok(char *message, EngineError *err);

/* To be destroyed by the caller. */
extern rocksdb_options_t *engine_family_options(Engine *e, KalamObjectOptions options);

#endif
