/*
 * key_stream.h - EXISTS: is one of these keys there?
 */
#ifndef KALAM_STORAGE_KEY_STREAM_H
#define KALAM_STORAGE_KEY_STREAM_H

#include "src/storage/engine.h"

typedef struct KeyStream KeyStream;

extern KeyStream *key_stream_open(void);
extern void key_stream_close(KeyStream *s);

/*
 * Looks up the keys that data completes.  *found: position in the whole stream
 * of the first that exists, or UINT64_MAX.
 */
extern bool key_stream_feed(KeyStream *s, const uint8_t *data, size_t len, uint64_t *found,
							EngineError *err);
extern bool key_stream_end(const KeyStream *s, EngineError *err);

#endif
