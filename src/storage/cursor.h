/*
 * cursor.h - one SCAN: from a request to blocks.
 */
#ifndef KALAM_STORAGE_CURSOR_H
#define KALAM_STORAGE_CURSOR_H

#include "src/storage/engine.h"

typedef struct Cursor Cursor;

/*
 * Copies what it needs of the request and of its input, which it does not
 * trust.  input: KALAM_MAX_INPUT_BYTES, of which the request says how many count.
 */
extern Cursor *cursor_open(const KalamRequest *req, const uint8_t *input, EngineError *err);
extern void cursor_close(Cursor *c);

typedef enum CursorStep
{
	CURSOR_BLOCK,				/* the block is filled, more may follow */
	CURSOR_LAST,				/* the block is filled, and the last */
	CURSOR_AGAIN,				/* nothing yet: let others have a turn, then go on */
	CURSOR_ERROR
} CursorStep;

/*
 * Fills the block.  Until it says BLOCK or LAST, the next call must bring the
 * same block.
 */
extern CursorStep cursor_step(Cursor *c, KalamBlock *block, EngineError *err);

/* Nobody asks for rows: lets go of what holds memory in the store. */
extern void cursor_rest(Cursor *c);

#endif
