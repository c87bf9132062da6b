/*
 * row.h
 *	  Rows between slots, staged changes and the store.
 */
#ifndef KALAM_ROW_H
#define KALAM_ROW_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "utils/snapshot.h"

#include "src/backend/client.h"
#include "src/backend/rowlock.h"
#include "src/backend/table.h"
#include "src/backend/transaction.h"

static inline MinimalTuple
kalam_row_tuple(const KalamRow *row)
{
	return (MinimalTuple) ((char *) row + KALAM_ROW_TUPLE_OFFSET);
}

static inline const uint8 *
kalam_row_key(const KalamRow *row)
{
	return (const uint8 *) row + KALAM_ROW_TUPLE_OFFSET + KALAM_ALIGN8(row->tuple_len);
}

/* The key of the index entry that led to the row (KALAM_SCAN_INDEX_KEYS). */
static inline const uint8 *
kalam_row_index_key(const KalamRow *row)
{
	return kalam_row_key(row) + row->key_len;
}

/* Number of the range that the row was found in (KALAM_SECTION_RANGES). */
static inline uint32
kalam_row_range(const KalamRow *row)
{
	return row->range[0] | (uint32) row->range[1] << 16;
}

/* What a value that is no row of a table (catalog, pending) has behind its header. */
static inline const uint8 *
kalam_row_bytes(const KalamRow *row, size_t *len)
{
	*len = row->tuple_len - KALAM_TUPLE_BODY_OFFSET;
	return (const uint8 *) row + KALAM_ROW_TUPLE_OFFSET + KALAM_TUPLE_BODY_OFFSET;
}

/* ---- rowform.c ---- */

/*
 * The slot's row as it is stored, flat, nothing in it toasted or compressed: a
 * MinimalTuple of so many bytes.  Forming fills it from t_infomask2 on; nothing may
 * have changed the slot since it was measured.  Raises 54000 for a row that is too
 * large.
 */
extern Size kalam_row_tuple_size(TupleTableSlot *slot);
extern void kalam_row_form_tuple(TupleTableSlot *slot, MinimalTuple tuple, Size size);

/*
 * The same as a stored value (protocol.h).  dest is 2 behind a multiple of 8, so that
 * the row's columns are aligned where they lie.
 */
extern Size kalam_row_stored_size(TupleTableSlot *slot);
extern void kalam_row_form_stored(TupleTableSlot *slot, uint64 serial, uint8 *dest, Size size);

/*
 * The same where there is room for most rows: without measuring first.  Returns the
 * size, or 0 if it may not fit; then dest holds no row.
 */
extern Size kalam_row_form_within(TupleTableSlot *slot, uint64 serial, uint8 *dest, Size room);

/* Stages the slot's row under a key. */
extern KalamStagedVersion *kalam_stage_slot(TupleTableSlot *slot, const uint8 *key, size_t key_len);

/* ---- row.c ---- */

/*
 * Was surely nothing committed under a locked key since a stamp?  Answered without
 * a request.
 */
extern bool kalam_key_unchanged_since(const uint8 *key, size_t key_len, uint64 stamp);

/* What has become of a row since a snapshot, asked after it was locked. */
typedef enum KalamRowFate
{
	KALAM_ROW_AS_BEFORE,
	KALAM_ROW_UPDATED,			/* *newest has the new version */
	KALAM_ROW_GONE,
	KALAM_ROW_MOVED				/* key is its new one, to be locked and asked about */
} KalamRowFate;

/*
 * Compares the newest committed version of a locked key with the one at the
 * stamp; newest is palloc'd.  Most often answered without a request.  From
 * repeatable read on, a row that is not as before raises 40001.  key has room
 * for KALAM_MAX_KEY_BYTES.
 */
extern KalamRowFate kalam_row_fate(uint8 *key, size_t *key_len, uint64 stamp,
								   KalamRowLockMode mode, KalamRow **newest);

/*
 * The same for SELECT FOR.  For who locked the row to keep only its key (KEY
 * SHARE), as in heap, one that is still there with its unique values is as before.
 */
extern KalamRowFate kalam_read_row_fate(KalamTable *table, Relation rel,
										uint8 *key, size_t *key_len, uint64 stamp,
										KalamRowLockMode mode, KalamRow **newest);

/* Does the key exist now, committed? */
extern bool kalam_key_exists(const uint8 *key, size_t key_len);

/* Was the object created by this transaction, so that nobody else knows it? */
extern bool kalam_object_is_new(uint32 object_id);

/* "(a, b)=(1, 2)" for messages; NULL if the user may not see these columns. */
extern char *kalam_describe_key(Relation rel, const KalamKeyColumn *columns, int n,
								TupleTableSlot *slot);

#endif							/* KALAM_ROW_H */
