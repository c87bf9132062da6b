/*
 * keyread.h
 *	  Rows of which no more is wanted than their keys tell, read from these.
 */
#ifndef KALAM_KEYREAD_H
#define KALAM_KEYREAD_H

#include "postgres.h"
#include "executor/tuptable.h"

#include "src/backend/keymatch.h"
#include "src/backend/merge.h"

typedef struct KalamKeyReading KalamKeyReading;

/*
 * For scans of the key, which must tell these columns (attribute numbers), or
 * the primary key with it.  Lives in the current memory context.
 */
extern KalamKeyReading *kalam_key_reading_begin(const KalamTable *table, const KalamScanKey *key,
												List *columns, TupleDesc desc);

/* Which keys rows must carry: KALAM_SCAN_ flags. */
extern uint32 kalam_key_reading_flags(const KalamKeyReading *reading);

/* Fills a virtual slot; the others are null.  It is good until the next row. */
extern void kalam_key_reading_store(KalamKeyReading *reading, const KalamMergedRow *row,
									TupleTableSlot *slot);

#endif							/* KALAM_KEYREAD_H */
