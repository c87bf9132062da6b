/*
 * transaction.h
 *	  A transaction's changes to stored tables, from the first write to commit.
 *
 * Changes are staged in the backend (changes.h): in memory, and past
 * kalam.staged_memory in temporary files.  They are sent as one stream at
 * commit.  Rows are kept as MinimalTuples behind their 8 byte value header.
 */
#ifndef KALAM_TRANSACTION_H
#define KALAM_TRANSACTION_H

#include "postgres.h"
#include "access/htup_details.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "src/shared/changes.h"
#include "src/shared/protocol.h"

extern void kalam_transaction_install(void);	/* from _PG_init: callbacks */

/* The staged changes of this transaction, or NULL if there are none. */
extern KalamChanges *kalam_changes_here(void);

/* The version id of its rows.  There are changes from then on, if only to come. */
extern uint64 kalam_transaction_serial(void);

/*
 * The newest own version of a key, by whatever command; false if there is none.
 * What *v points to is good until own changes are looked at or staged again.
 */
extern bool kalam_own_version(const uint8 *key, size_t key_len, KalamVersion *v);

/* The newest own creation or drop of an object (not of its indexes), or NULL. */
extern KalamStagedVersion *kalam_own_object_change(uint32 object_id);

/*
 * Stages a change by the current command.  For a row the caller gets room for
 * a MinimalTuple of tuple_len bytes, 8-aligned, to fill at once from t_infomask2 on.
 * Staging may spill: then nothing that was in memory lies where it was.
 */
extern MinimalTuple kalam_stage_row(const uint8 *key, size_t key_len, size_t tuple_len,
									KalamStagedVersion **version);
extern void kalam_stage_delete(const uint8 *key, size_t key_len);
extern void kalam_stage_bytes(const uint8 *key, size_t key_len, const void *bytes, size_t len);
extern void kalam_stage_object(uint8 op, uint32 object_id, const void *options, size_t len);

extern void kalam_stage_drop_index(uint32 object_id, uint16 index_id);

/*
 * Entries of indexes: bytes are what stands behind the value header.  They go
 * with a row that was staged just before, and never spill, so that what is known
 * of the row stays where it is.
 */
extern KalamStagedVersion *kalam_stage_entry(const uint8 *key, size_t key_len,
											 const void *bytes, size_t len);
extern void kalam_stage_entry_delete(const uint8 *key, size_t key_len);

/* flags of a version: the value is a header and a MinimalTuple. */
#define KALAM_STAGED_ROW	1

/* The row of a version; valid as long as that. */
static inline MinimalTuple
kalam_version_tuple(const KalamVersion *v)
{
	return (MinimalTuple) (v->value + KALAM_VALUE_HEADER_BYTES);
}

/* The next hidden row id: ever growing within a session. */
extern uint64 kalam_next_row_id(void);

/*
 * Remembers that a staged key must not exist in the store; looked up in batches.
 * It is that of the staged row, or of its entry in an index; relid and index_id
 * (0: the primary key) are for the error message.  Flush raises 23505 for the
 * first that exists; it looks at what this subtransaction added only.
 */
extern void kalam_unique_check_add(const KalamStagedKey *key, const KalamStagedVersion *row,
								   Oid relid, uint16 index_id);
extern void kalam_unique_checks_flush(void);

/* Forgets those of this subtransaction: their rows go elsewhere. */
extern void kalam_unique_checks_drop(void);

/* Raises 23505 for a row of rel; tuple gives the values to show, if it is not NULL. */
extern void kalam_raise_duplicate(Relation rel, uint16 index_id,
								  MinimalTuple tuple) pg_attribute_noreturn();

/* The same for a row that COPY read from a line, maybe long ago (0: no COPY). */
extern void kalam_raise_duplicate_of(Oid relid, uint16 index_id, MinimalTuple tuple,
									 uint64 copy_line, Oid copy_relid) pg_attribute_noreturn();

/* The line that COPY FROM is at, and the table that it names; 0: none is running here. */
extern uint64 kalam_copy_line(Oid *relid);

/* Rows written hold numbers of this sequence: see flush_sequences in commit.c. */
extern void kalam_transaction_uses_sequence(Oid sequence);

/* Postgres work behind our commit can still fail: go through pending. */
extern void kalam_transaction_force_two_phase(void);

/* ---- commit.c ---- */

/* What a transaction hands over to be committed. */
typedef struct KalamCommit
{
	KalamChanges *changes;		/* NULL: it only locked rows */
	uint64		serial;			/* version id of its rows */
	uint64		max_row_id;		/* largest hidden row id, or 0 */
	bool		two_phase;		/* even without a transaction id */
	List	   *sequences;		/* OIDs: see flush_sequences */
} KalamCommit;

/* PRE_COMMIT: after this the changes are in the store, or pending there. */
extern void kalam_commit_begin(const KalamCommit *commit);

/* PRE_PREPARE: they are pending, with the row locks; PREPARE: it is done. */
extern void kalam_commit_prepare(const KalamCommit *commit);
extern void kalam_commit_prepared(void);

/* COMMIT and ABORT.  Never raises. */
extern void kalam_commit_end(bool committed);

#endif							/* KALAM_TRANSACTION_H */
