/*
 * load_stream.h - reads the records of a LOAD that come in blocks.
 */
#ifndef KALAM_STORAGE_LOAD_STREAM_H
#define KALAM_STORAGE_LOAD_STREAM_H

#include "src/storage/engine.h"

/* A record of a key; its bytes are valid during the call that hands it over. */
typedef struct LoadRecord
{
	uint16_t	target;
	uint64_t	tag;
	const uint8_t *key;
	size_t		key_len;
	const uint8_t *value;
	size_t		value_len;
} LoadRecord;

/* What the stream is handed over to. */
typedef struct LoadSink
{
	/* Target number `number` is declared; its flags are known ones. */
	bool		(*declare) (void *arg, const KalamLoadTarget *target, EngineError *err);
	/* A key that may be one of its target, which is declared. */
	bool		(*add) (void *arg, const LoadRecord *record, EngineError *err);
	void	   *arg;
} LoadSink;

/* All zero: at the beginning of a stream. */
typedef struct LoadStream
{
	KalamLoadTarget *targets;	/* that are declared */
	uint32_t	ntargets;
	uint32_t	capacity;
	uint8_t    *big;			/* the record that comes in pieces, 8-aligned */
	size_t		big_len;
	size_t		big_capacity;
	uint32_t	big_total;		/* 0: none does */
} LoadStream;

/* Takes in a block: `used` bytes, with the block's flags and big_total.  False on malformed bytes. */
extern bool load_stream_feed(LoadStream *s, const uint8_t *data, size_t used, uint32_t flags,
							 uint32_t big_total, const LoadSink *sink, EngineError *err);

/* Is the stream at the end of a record?  Else fills err. */
extern bool load_stream_end(const LoadStream *s, EngineError *err);
extern void load_stream_free(LoadStream *s);

/* Does the key belong to the target? */
extern bool load_target_has_key(const KalamLoadTarget *target, const uint8_t *key, size_t len);

#endif
