/*
 * ahead.h
 *	  What is stored under the keys of rows that are about to be inserted, looked
 *	  up many at a time.
 *
 * A key is locked only when its row's turn comes.  What was read before that is
 * still true if nothing of its bucket was committed since, which the segment
 * tells without a request.
 */
#ifndef KALAM_AHEAD_H
#define KALAM_AHEAD_H

#include "postgres.h"
#include "executor/tuptable.h"

#include "src/backend/client.h"
#include "src/backend/table.h"

typedef struct KalamAhead KalamAhead;

/* Reads for n rows, in the current memory context.  NULL if there is nothing to gain. */
extern KalamAhead *kalam_ahead_read(KalamTable *table, Relation rel, TupleTableSlot **slots, int n,
									bool keys_only);

/* It is this row's turn. */
extern void kalam_ahead_turn(KalamAhead *ahead, int i);

/*
 * For a locked key: is it known what is stored there?  Then *row is the newest
 * committed version, or NULL; with keys_only it has no columns.
 */
extern bool kalam_ahead_get(const KalamAhead *ahead, const uint8 *key, size_t key_len,
							const KalamRow **row);

#endif							/* KALAM_AHEAD_H */
