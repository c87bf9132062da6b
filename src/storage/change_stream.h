/*
 * change_stream.h - reads streams of changes that come in pieces.
 */
#ifndef KALAM_STORAGE_CHANGE_STREAM_H
#define KALAM_STORAGE_CHANGE_STREAM_H

#include "src/storage/engine.h"

#define CHANGE_MAX_VALUE_BYTES (UINT32_C(1) << 30)

/* One change; its bytes are valid during the call that hands it over. */
typedef struct Change
{
	uint8_t		op;				/* KalamChangeOp */
	uint16_t	key_len;
	uint32_t	value_len;
	const uint8_t *bytes;		/* header, key, value as they came */
	const uint8_t *key;
	const uint8_t *value;
} Change;

typedef bool (*ChangeFunction) (void *arg, const Change *change, EngineError *err);

/* All zero: at the beginning of a stream. */
typedef struct ChangeStream
{
	uint8_t    *carry;			/* the change that is not complete yet */
	size_t		carry_len;
	size_t		carry_capacity;
} ChangeStream;

/* Hands every change that data completes to fn.  False on malformed bytes. */
extern bool change_stream_feed(ChangeStream *s, const uint8_t *data, size_t len, ChangeFunction fn,
							   void *arg, EngineError *err);

/* May a backend write this key and value?  (change_set.c) */
extern bool change_is_allowed(const Change *change, EngineError *err);

/* Is the stream at the end of a change?  Else fills err. */
extern bool change_stream_end(const ChangeStream *s, EngineError *err);
extern void change_stream_free(ChangeStream *s);

#endif
