/*
 * scan_source.h - where the rows of a SCAN come from: ranges read in turn.
 */
#ifndef KALAM_STORAGE_SCAN_SOURCE_H
#define KALAM_STORAGE_SCAN_SOURCE_H

#include "src/storage/block_writer.h"
#include "src/storage/objects.h"
#include "src/storage/scan_input.h"
#include "src/storage/stamps.h"

typedef struct ScanSource ScanSource;

/* What is read: object, stamp and ranges stay the caller's, until source_close. */
typedef struct SourceSpec
{
	Object	   *object;
	Stamp	   *stamp;
	const ScanRange *ranges;
	uint32_t	nranges;
	bool		reverse;
	bool		index;			/* the ranges hold index entries */
	bool		follow;			/* index: the rows that they lead to are wanted */
	bool		part;			/* of a scan that reads much all in all */
} SourceSpec;

/* A row, or an index entry whose row is not wanted. */
typedef struct Found
{
	uint32_t	range;
	const uint8_t *place;		/* its key, or that of the entry that led to it */
	size_t		place_len;
	const uint8_t *key;			/* of the row */
	size_t		key_len;
	const uint8_t *value;		/* of the row; of the entry, if that was not followed */
	size_t		value_len;
} Found;

typedef enum SourceStep
{
	SOURCE_FOUND,
	SOURCE_TURN,				/* enough for now: let others have a turn, then go on */
	SOURCE_GAP,					/* the same, in a long run of deleted keys */
	SOURCE_END,
	SOURCE_ERROR
} SourceStep;

extern ScanSource *source_open(const SourceSpec *spec);
extern void source_close(ScanSource *s);

/* Begins behind a key of a range (len 0: with the range) instead of at the beginning. */
extern void source_begin_behind(ScanSource *s, uint32_t range, const uint8_t *key, size_t len);

/* A turn begins; so many rows at most will be asked for from now on. */
extern void source_turn(ScanSource *s, uint64_t max_rows);

/* The next row; it stays, and is given again, until it is passed. */
extern SourceStep source_next(ScanSource *s, Found *f, EngineError *err);
extern void source_pass(ScanSource *s, const Found *f);

/*
 * The same of a row that is not wanted.  The scan may meet it again, if it is taken
 * up anew; source_place may lie some such rows behind.
 */
extern void source_skip(ScanSource *s, const Found *f);

/*
 * Passes one row or more, of which only the number is wanted; *n may be 0 if it
 * does not say FOUND.
 */
extern SourceStep source_count(ScanSource *s, uint64_t max, uint32_t *n, EngineError *err);

/* What was passed last. */
extern const BlockPlace *source_place(const ScanSource *s);

/* For KalamBlock. */
extern uint64_t source_read(const ScanSource *s);
extern uint64_t source_seeks(const ScanSource *s);

/*
 * Lets go of what holds memory in the store; it goes on behind what was passed
 * last.  Not while the bytes of a row are in use.
 */
extern void source_rest(ScanSource *s);

/* The key of an entry's row; 0 if it is malformed.  row_key has KALAM_MAX_KEY_BYTES. */
extern size_t source_row_key(Object *object, const Found *entry, uint8_t *row_key,
							 EngineError *err);
extern void source_lost_row(Object *object, EngineError *err);

#endif
