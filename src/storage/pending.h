/*
 * pending.h - transactions that are prepared, and the state rows of the catalog.
 */
#ifndef KALAM_STORAGE_PENDING_H
#define KALAM_STORAGE_PENDING_H

#include "src/storage/change_stream.h"
#include "src/storage/storage.h"

/* Looks through the pending entries: *max_object_id is the largest they create. */
extern bool pending_open(uint32_t *max_object_id, EngineError *err);
extern void pending_close(void);

/* Bit of keys of loads that have no xid: committed, to be taken in by us. */
#define PENDING_LOAD (UINT64_C(1) << 63)

/* Such a load that pending_open found, each once; false: no more. */
extern bool pending_next_load(uint64_t *full_xid);

/* Removes files of loads that no entry names. */
extern void pending_sweep(void);

#define PENDING_KEY_BYTES (KALAM_KEY_PREFIX_BYTES + 8)
extern void pending_key(uint64_t full_xid, uint8_t *key);

/* Hands the changes of an entry, if there is one, to the function. */
extern bool pending_feed(uint64_t full_xid, ChangeFunction fn, void *arg, EngineError *err);

/* The commit thread's list, also published as segment.pending. */
extern bool pending_has(uint64_t full_xid);
extern void pending_add(uint64_t full_xid);
extern void pending_remove(uint64_t full_xid);

/* A state row: 0 if it is not there. */
extern bool state_row_read(char letter, uint64_t *value, EngineError *err);
extern bool state_row_read_in(Engine *e, EngineFamily *catalog, char letter, uint64_t *value,
							  EngineError *err);
extern void state_row_put(EngineBatch *batch, char letter, uint64_t value);

#endif
