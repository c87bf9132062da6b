/*
 * stored_keys.h - which of many keys, in ascending order, does the store have?
 */
#ifndef KALAM_STORAGE_STORED_KEYS_H
#define KALAM_STORAGE_STORED_KEYS_H

#include "src/storage/objects.h"

#define STORED_KEYS_MAX ENGINE_MULTI_MAX

typedef struct StoredKeys
{
	Object	   *object;
	EngineIter *it;
	bool		behind_gap;		/* it stands on the first stored key behind one */
	uint8_t	   *upper;			/* its bound */
	uint32_t	wait;			/* so many batches until a gap is looked for again */
	uint32_t	pause;			/* and that many, should there be none */
} StoredKeys;

/* All keys that come are below upper, or it itself.  False if there is no such object. */
extern bool stored_keys_open(StoredKeys *k, uint32_t object_id, const uint8_t *upper,
							 size_t upper_len, EngineError *err);
extern void stored_keys_close(StoredKeys *k);

/* Sets a bit for each of the n keys, at most STORED_KEYS_MAX, that exists now. */
extern bool stored_keys_look(StoredKeys *k, uint32_t n, const uint8_t *const *keys,
							 const size_t *lens, uint64_t *found, EngineError *err);

#endif
