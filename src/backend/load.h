/*
 * load.h
 *	  Loads: changes that go to storage while they are made.
 *
 * A load is a part of the transaction's changes whose bytes lie in storage, in
 * sorted files that COMMIT makes a part of the store.  All its rows have one
 * command and one subtransaction, and whatever looks at own changes of their
 * tables takes it back first, into changes (changes.h), so that all else knows
 * nothing of loads.
 *
 * Which statements load, and from which row on, is told in loadrows.c.
 */
#ifndef KALAM_LOAD_H
#define KALAM_LOAD_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"

#include "src/backend/client.h"
#include "src/backend/table.h"
#include "src/backend/transaction.h"

struct KalamModify;

/* ---- filling one ---- */

typedef struct KalamLoad KalamLoad;

/*
 * Begins a load by the current command.  False: no channel is free.  *owner points to
 * it until it is finished, taken back or rolled back; then it becomes NULL.
 */
extern bool kalam_load_begin(KalamLoad **owner);

/*
 * Rows of the table are going to be sent, and entries of its indexes.  Returns the
 * number of the rows' target; those of the indexes follow, in their order.
 */
extern uint16 kalam_load_declare(KalamLoad *load, const KalamTable *table, bool is_new);
extern uint64 kalam_load_number(const KalamLoad *load);

/* Was it to be finished, in vain, by somebody who did not mind? */
extern bool kalam_load_is_ended(const KalamLoad *load);

/*
 * A row with its entries.  tag tells it from the others if its key is taken: the
 * line of COPY, or a number.
 */
extern void kalam_load_put_row(KalamLoad *load, uint16 target, const KalamTable *table,
							   Relation rel, uint64 tag, TupleTableSlot *slot,
							   const uint8 *key, size_t key_len);

/*
 * Entries of an index alone, of rows that are stored already: the number of its
 * target, and the entry of a row.
 */
extern uint16 kalam_load_declare_index(KalamLoad *load, const KalamTable *table,
									   const KalamIndex *index, bool is_new);
extern void kalam_load_put_entry(KalamLoad *load, uint16 target, const KalamTable *table,
								 const KalamIndex *index, Relation rel, uint64 tag,
								 TupleTableSlot *slot, const uint8 *key, size_t key_len);

/* A version that was staged; *target is a guess at its target, and then that. */
extern void kalam_load_put_staged(KalamLoad *load, uint16 *target, uint64 tag,
								  const KalamStagedVersion *staged);

/*
 * A load for what ALTER makes of all rows of a table, in TopTransactionContext; NULL:
 * they are few, or no channel is free.  If *load becomes NULL, the rest is staged.
 * raise says in its way what a duplicate means; tag and row are as storage knows
 * them, or UINT64_MAX and NULL.
 */
typedef void (*KalamLoadDuplicate) (void *arg, uint16 index_id, uint64 tag, MinimalTuple row);
extern KalamLoad **kalam_load_begin_for_rows(KalamTable *table, KalamLoadDuplicate raise, void *arg);
extern void kalam_load_end_of_rows(KalamLoad **load);

/* All is sent, and becomes known to be unique; or that raises. */
extern void kalam_load_finish(KalamLoad *load);

/* Loads of this transaction that have rows of the object. */
extern int	kalam_loads_of(uint32 object_id);

/*
 * Before a load (NULL: one to come) is to have rows of the object: finishes others
 * that are open, for storage compares with finished ones only.
 */
extern void kalam_loads_finish_others(uint32 object_id, const KalamLoad *load);

/* Bytes that they brought. */
extern uint64 kalam_loads_bytes(void);

/* ---- what sees them ---- */

extern int	kalam_nloads;		/* of this transaction */

extern void kalam_loads_take_back(uint32 object_id, CommandId command_id);

/*
 * Before own changes of an object are looked at by a command before `command_id`
 * (KALAM_ANY_COMMAND: by whatever), or others are made.
 */
static inline void
kalam_loads_show(uint32 object_id, CommandId command_id)
{
	if (unlikely(kalam_nloads > 0))
		kalam_loads_take_back(object_id, command_id);
}

/* ---- loadrows.c: INSERT and COPY ---- */

/* Of a statement that may load.  One for all its result relations. */
typedef struct KalamLoader KalamLoader;

extern KalamLoader *kalam_loader_begin(EState *estate);
extern void kalam_loader_end(KalamLoader *loader);

/*
 * A new row whose constraints hold.  True: it is sent, and whether its key and unique
 * values are taken is found out by the end of the statement.  Else the caller
 * stages it, and then calls kalam_load_row_is_staged.
 */
extern bool kalam_load_row(struct KalamModify *m, TupleTableSlot *slot, const uint8 *key,
						   size_t key_len);
extern void kalam_load_row_is_staged(struct KalamModify *m);

/* All that the statement has inserted so far is known to be unique.  Or raises. */
extern void kalam_loader_finish(EState *estate);

/* At the end of a (sub)transaction (Invalid: all).  Never raises. */
extern void kalam_loaders_forget(SubTransactionId sub);

/* ---- the transaction ---- */

/*
 * Before the commit of a subtransaction; Invalid: before COMMIT or PREPARE, when
 * others must not commit keys of the loads any more (loadlock.h).
 */
extern void kalam_loads_precommit(SubTransactionId sub);

/* Names them in a stream of changes. */
extern void kalam_loads_send(KalamStream *stream);

/* Raises 23505 for what a request reports as KALAM_ERR_DUPLICATE. */
extern void kalam_loads_raise_duplicate(const KalamChannel *ch) pg_attribute_noreturn();

/* Callbacks; never raise. */
extern void kalam_loads_at_xact_end(bool committed);
extern void kalam_loads_at_subabort(SubTransactionId sub);
extern void kalam_loads_at_subcommit(SubTransactionId sub, SubTransactionId parent);

#endif							/* KALAM_LOAD_H */
