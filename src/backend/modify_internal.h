/*
 * modify_internal.h
 *	  Changes of rows: what modify.c, onconflict.c (ON CONFLICT DO UPDATE) and
 *	  directmodify.c share.
 */
#ifndef KALAM_MODIFY_INTERNAL_H
#define KALAM_MODIFY_INTERNAL_H

#include "postgres.h"
#include "access/htup.h"
#include "commands/explain.h"
#include "nodes/execnodes.h"

#include "src/backend/row.h"
#include "src/backend/rowlock.h"
#include "src/backend/table.h"
#include "src/backend/transaction.h"

/* Of one result relation while a statement runs. */
typedef struct KalamModify
{
	int			users;			/* INSERT routing may share it with UPDATE */
	MemoryContext context;		/* lives as long as this */
	Relation	rel;
	KalamTable *table;
	ModifyTableState *mtstate;	/* has no plan in COPY */
	KalamOnConflict on_conflict;
	struct KalamArbiters *arbiters; /* the keys that it is for; others that are taken
									 * raise.  NULL: all */
	bool		updates_conflicts;	/* ON CONFLICT DO UPDATE */
	struct KalamAhead *ahead;	/* what is stored for the rows of a batch, or NULL */
	bool		fires_after_insert; /* has AFTER INSERT row triggers */
	bool		ready;			/* the object exists */
	bool		object_is_new;
	struct KalamLoader *loader;	/* NULL: all rows are staged */
	bool		load_looked;	/* load_may is known */
	bool		load_may;		/* its rows may be sent */
	bool		load_compares;	/* if their keys are not among those that are staged */
	uint64		load_number;	/* of the load that knows it */
	uint16		load_target;	/* in which its rows are this target */
	bool		check_each;		/* uniqueness at once, not in batches */
	bool		has_checks;		/* CHECK constraints */
	int			nnot_null;
	int		   *not_null;		/* columns from 0 on */
	bool		scan_locked;	/* row triggers: the scan has locked the rows */
	AttrNumber	wholerow_attno;
	AttrNumber	ctid_attno;
	HeapTupleData old_tuple;	/* what old_slot holds */
	TupleTableSlot *old_slot;	/* the old row, deformed for its key */
	TupleTableSlot *replaced_slot;	/* the row that INSERT replaces; NULL: never so far */
	TupleTableSlot *newest_slot;
} KalamModify;

/* ---- modify.c ---- */

/* Begins and ends changes of a result relation without a ModifyTable. */
extern KalamModify *kalam_modify_begin(ResultRelInfo *info);
extern void kalam_modify_end(EState *estate, ResultRelInfo *info);

/* Before the first write: an object to write to. */
extern void kalam_modify_make_ready(KalamModify *m);

/* ---- modify_row.c ---- */

/*
 * Row security is that of a partitioned table: kalam tables have none of their own.
 * routed: the row's values have led to this partition.
 */
extern void kalam_modify_check_constraints(EState *estate, ResultRelInfo *info,
										   TupleTableSlot *slot, WCOKind security, bool routed);

/*
 * Puts the slot's row under a key that must not be taken, and its unique values
 * where they must not be.  False if one is, and that is to be ignored; then
 * nothing is left locked either.  A table without a key has no conflict there.
 */
extern bool kalam_modify_insert(EState *estate, KalamModify *m, TupleTableSlot *slot,
								const uint8 *key, size_t key_len);

/* Locks a key, waiting for others. */
extern void kalam_modify_lock_key(KalamModify *m, const uint8 *key, size_t key_len,
								  KalamRowLockMode mode);

/*
 * Locks a key for a new row.  False if a row is there that others hold, but only
 * share, so that it stays: as in heap, nobody waits for them to learn that.
 */
extern bool kalam_modify_lock_new_key(KalamModify *m, const uint8 *key, size_t key_len);

/* The newest committed version of a locked key, which stays as it is; or NULL. */
extern const KalamRow *kalam_modify_newest(KalamModify *m, const uint8 *key, size_t key_len);

/* Raises 27000 if the row of an own version was changed by a trigger of this command. */
extern void kalam_modify_check_triggered(EState *estate, const KalamVersion *own,
										 const char *verb);

/*
 * Stages the new version of a row that is locked and whose constraints hold,
 * under the key that it has now.  old: the version before.
 */
extern void kalam_modify_put_changed(EState *estate, KalamModify *m, TupleTableSlot *old,
									 const uint8 *old_key, size_t old_len, TupleTableSlot *slot,
									 const uint8 *new_key, size_t new_len);

typedef enum KalamChangeVerdict
{
	KALAM_GO_ON,				/* the row is as the scan saw it */
	KALAM_GO_ON_CHANGED,		/* *newest is what it is now */
	KALAM_SKIP
} KalamChangeVerdict;

/*
 * Locks the row of key and finds out what has become of it since the statement's
 * snapshot; key is then its key now.  *newest is palloc'd.
 */
extern KalamChangeVerdict kalam_modify_lock_row(EState *estate, KalamModify *m, uint8 *key,
										  size_t *key_len, KalamRowLockMode mode,
										  const char *verb, KalamRow **newest);

/*
 * A row that is to become slot, whose constraints are checked: its key then, and
 * what it does to the entries of indexes.  *mode is the lock that it takes.
 */
extern struct KalamIndexChanges *kalam_modify_plan_change(EState *estate, ResultRelInfo *info,
														  TupleTableSlot *old, const uint8 *old_key,
														  size_t old_len, TupleTableSlot *slot,
														  uint8 *new_key, size_t *new_len,
														  KalamRowLockMode *mode);

/* Stages it, once it is locked. */
extern void kalam_modify_change(EState *estate, KalamModify *m, struct KalamIndexChanges *changes,
								const uint8 *old_key, size_t old_len, TupleTableSlot *slot,
								const uint8 *new_key, size_t new_len);

/* Stages the deletion of a locked row.  old is not looked at if there are no indexes. */
extern void kalam_modify_remove(KalamModify *m, TupleTableSlot *old, const uint8 *key,
								size_t key_len);

/*
 * Stages a new row under a key that is locked.  check_key: it may be taken, and
 * then raises; else it is known to be free.
 */
extern void kalam_modify_put_new(EState *estate, KalamModify *m, TupleTableSlot *slot,
								 const uint8 *key, size_t key_len, bool check_key);

/* ---- onconflict.c ---- */

/* When the result relation is set up: what the statement's ON CONFLICT says. */
extern void kalam_on_conflict_begin(KalamModify *m, ResultRelInfo *info);

/*
 * ON CONFLICT DO UPDATE with a row that is checked and has this key.  Returns the row that
 * was written, or NULL if none was.  key has room for another.
 */
extern TupleTableSlot *kalam_insert_or_update(EState *estate, ResultRelInfo *info,
											  TupleTableSlot *slot, uint8 *key, size_t key_len);

/*
 * ON CONFLICT DO NOTHING with unique indexes among the arbiters: is an arbiter taken?
 * If not, the values are claimed.
 */
extern bool kalam_values_are_taken(EState *estate, ResultRelInfo *info, TupleTableSlot *slot,
								   const uint8 *key, size_t key_len);

/* ExplainForeignModify: the key that ON CONFLICT means. */
extern void kalam_on_conflict_explain(ModifyTableState *mtstate, ResultRelInfo *info,
									  List *private, int subplan_index, ExplainState *es);

#endif							/* KALAM_MODIFY_INTERNAL_H */
