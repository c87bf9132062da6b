/*
 * index.h
 *	  Secondary indexes: entries of rows, how writes keep them, how they are made.
 *
 * An entry is a key of the table's object that leads to the key of a row
 * (protocol.h).  Entries are staged beside their rows, so that they are
 * committed, rolled back and spilled with them.  A unique value is claimed by
 * locking the key of its entry, as rows are locked by theirs: who adds or removes
 * the entry of a unique value holds that lock.
 */
#ifndef KALAM_INDEX_H
#define KALAM_INDEX_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "src/backend/store_catalog.h"
#include "src/backend/table.h"
#include "src/backend/transaction.h"

/* ---- indexentry.c ---- */

typedef struct KalamIndexEntry
{
	uint16		key_len;
	uint16		suffix_len;		/* of the row suffix that ends the key; 0: a unique
								 * value, whose value leads to the row */
	uint8	   *key;
} KalamIndexEntry;

/* The first bytes of all entries: KALAM_INDEX_KEY_PREFIX_BYTES. */
extern void kalam_index_key_prefix(const KalamTable *table, const KalamIndex *index, uint8 *key);

/*
 * Forms the entry of the slot's row, which has this key.  Raises 54000 if it is
 * too long.  The entry's key is in room, of KALAM_MAX_KEY_BYTES, or palloc'd.
 */
extern void kalam_index_entry_in(const KalamTable *table, const KalamIndex *index, Relation rel,
								 TupleTableSlot *slot, const uint8 *row_key, size_t row_key_len,
								 uint8 *room, KalamIndexEntry *entry);
extern void kalam_index_entry(const KalamTable *table, const KalamIndex *index, Relation rel,
							  TupleTableSlot *slot, const uint8 *row_key, size_t row_key_len,
							  KalamIndexEntry *entry);

/*
 * What an entry has behind its value header: at most KALAM_INDEX_PAYLOAD_BYTES.
 * Returns the length.
 */
#define KALAM_INDEX_PAYLOAD_BYTES	(2 + KALAM_MAX_KEY_BYTES)
extern size_t kalam_index_payload(const KalamIndexEntry *entry, const uint8 *row_key,
								  size_t row_key_len, uint8 *payload);

/* TABLE_NAME_key or TABLE_NAME_idx, as heap would name them; palloc'd. */
extern char *kalam_index_relname(const KalamIndex *index, Relation rel);

/*
 * Has the index an entry for every row that a snapshot of this stamp sees?  Not
 * if it was built since.  Looks the table's object up.
 */
extern bool kalam_index_usable(KalamTable *table, const KalamIndex *index, uint64 stamp);

/* Raises 40001 if it is not usable. */
extern void kalam_index_check_snapshot(KalamTable *table, const KalamIndex *index, Relation rel,
									   uint64 stamp);

/* ---- indexwrite.c ---- */

/* What a change of one row does to the entries; NULL: nothing. */
typedef struct KalamIndexChanges KalamIndexChanges;

/*
 * old becomes new; either may be NULL, for INSERT and DELETE.  Everything is in
 * the current memory context; the slots are not looked at again.
 */
extern KalamIndexChanges *kalam_index_changes(KalamTable *table, Relation rel,
											  TupleTableSlot *old, const uint8 *old_key, size_t old_len,
											  TupleTableSlot *new, const uint8 *new_key, size_t new_len);

/* Does it change unique values?  Then the row is locked as for a change of its key. */
extern bool kalam_index_changes_unique(const KalamIndexChanges *changes);

/*
 * Locks the unique values that go or come, and gives the index in which one that
 * comes is taken by a row of this transaction, or NULL.  is_new: the object is, so
 * that nobody else knows it.  look_up: also by a row that is stored; else
 * kalam_index_stage has that looked up later.  With a snapshot, a stored one that it
 * does not see is 40001 from repeatable read on.
 */
extern const KalamIndex *kalam_index_claim(KalamIndexChanges *changes, bool is_new, bool look_up,
									 Snapshot snapshot);

/*
 * Stages them, directly behind their row: row is what was staged for it, or NULL
 * if it was deleted.
 */
extern void kalam_index_stage(KalamIndexChanges *changes, const KalamStagedVersion *row);

/* ---- indexbuild.c ---- */

/*
 * Makes record, which describes rel, say which indexes the table has, and table
 * know their ids.  Indexes of old that stay as they are keep theirs; of those that
 * go, the entries are dropped; those that come are built.
 */
extern void kalam_index_reconcile(Relation rel, KalamTable *table, const KalamCatalogTable *old,
								  KalamCatalogTable *record);

/* The same for rows that are about to be stored anew, or for the first time. */
extern void kalam_index_start_anew(KalamTable *table, Relation rel, KalamCatalogTable *record);

/* A row that an ALTER stores has a unique value that another one has: raises 23505. */
extern void kalam_index_raise_duplicate(const KalamTable *table, Relation rel, uint16 index_id,
										MinimalTuple row);

/* Stages the entries of a row that an ALTER stores, which was staged just before. */
extern void kalam_index_add_row(KalamTable *table, Relation rel, TupleTableSlot *slot,
								const uint8 *key, size_t key_len);

#endif							/* KALAM_INDEX_H */
