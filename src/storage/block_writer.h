/*
 * block_writer.h - rows laid out in the blocks of a SCAN.
 */
#ifndef KALAM_STORAGE_BLOCK_WRITER_H
#define KALAM_STORAGE_BLOCK_WRITER_H

#include "src/storage/engine.h"

/* A row before it is laid out; lengths are 0 for what is not sent. */
typedef struct BlockRow
{
	uint64_t	version;
	uint32_t	range;
	uint16_t	flags;			/* KALAM_ROW_* */
	const uint8_t *body;		/* of the tuple */
	size_t		body_len;
	const uint8_t *key;
	size_t		key_len;
	const uint8_t *index_key;
	size_t		index_key_len;
} BlockRow;

/* Where a scan can be taken up again: behind this key.  len 0: nowhere yet. */
typedef struct BlockPlace
{
	uint32_t	range;
	uint16_t	len;
	uint8_t		key[KALAM_MAX_KEY_BYTES];
} BlockPlace;

/* All zero at first.  One thread at a time uses it. */
typedef struct BlockWriter
{
	uint32_t	target;			/* bytes after which a block goes out */
	uint32_t	used;			/* of the block under way */
	uint32_t	nrows;
	bool		big;			/* a row goes out in pieces */
	BlockRow	row;			/* that one; its bytes stay where they are */
	uint64_t	big_size;
	uint64_t	big_sent;
} BlockWriter;

/*
 * Writes a row behind those that are in the block.  place_len: of the key that
 * will stand at the end of the block.  False if it does not fit.
 */
extern bool block_put(BlockWriter *w, KalamBlock *b, const BlockRow *row, size_t place_len);

/* An entry without a tuple: RECHECK of a row that is not there. */
extern void block_put_absent(BlockWriter *w, KalamBlock *b, uint16_t flags);

/* The row fits in no block: it begins to go out in pieces. */
extern void block_begin_big(BlockWriter *w, const BlockRow *row);

/* The next piece, a block of its own.  True if it was the last one. */
extern bool block_put_piece(BlockWriter *w, KalamBlock *b, const BlockPlace *place);

/* Ends the block; flags are KALAM_BLOCK_*. */
extern void block_finish(BlockWriter *w, KalamBlock *b, uint32_t flags, const BlockPlace *place);

#endif
