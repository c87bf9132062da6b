/*
 * split.h - one SPLIT: a range cut into pieces of about equal bytes, or some of
 * its pieces at random.
 */
#ifndef KALAM_STORAGE_SPLIT_H
#define KALAM_STORAGE_SPLIT_H

#include "src/storage/engine.h"

typedef struct Split Split;

/* Copies what it needs of the request, which it does not trust. */
extern Split *split_open(const KalamRequest *req, EngineError *err);
extern void split_close(Split *s);

/* Does a turn's work.  True: it is ready to be written. */
extern bool split_step(Split *s);

/* The pieces, as KALAM_OP_SPLIT answers; *bytes: of the whole range. */
extern void split_write(Split *s, KalamBlock *block, uint64_t *bytes);

#endif
