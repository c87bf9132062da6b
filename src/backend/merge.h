/*
 * merge.h
 *	  Stored rows merged with the transaction's own changes, in key order.
 */
#ifndef KALAM_MERGE_H
#define KALAM_MERGE_H

#include "postgres.h"
#include "src/backend/client.h"
#include "src/backend/transaction.h"

/* A row of the merge, valid until the next one. */
typedef struct KalamMergedRow
{
	MinimalTuple tuple;
	const uint8 *key;			/* NULL unless KALAM_SCAN_KEYS was asked for */
	size_t		key_len;
	bool		own;			/* staged by this transaction */
	uint32		own_command;	/* by which command, plus one; 0: not own */
	size_t		own_len;		/* of its value, with the header */
} KalamMergedRow;

/* To be embedded and zeroed; open and close as often as needed. */
typedef struct KalamMerge
{
	MemoryContext context;		/* set by the owner: lives as long as this */
	bool		open;
	KalamRange	range;
	CommandId	command_id;		/* own changes of earlier commands are seen */
	KalamCursor *cursor;		/* NULL: the store has nothing for this range */
	KalamChangesScan *own_scan; /* NULL: no own changes (left) in the range */
	KalamVersion own;			/* next own version, if have_own */
	bool		have_own;
	char	   *own_copy;		/* of a single own row, or NULL */
	const KalamRow *stored;		/* next stored row, if have_stored */
	bool		have_stored;
	bool		merging;
	uint8		lower[KALAM_MAX_KEY_BYTES];
	uint8		upper[KALAM_MAX_KEY_BYTES];
} KalamMerge;

/* Opens over range (flags and stamp set; copied). */
extern void kalam_merge_open(KalamMerge *m, const KalamRange *range, CommandId command_id);
extern bool kalam_merge_next(KalamMerge *m, KalamMergedRow *row);
extern void kalam_merge_close(KalamMerge *m);

/* Has this transaction written into the range? */
extern bool kalam_range_has_staged(const KalamRange *range);

#endif							/* KALAM_MERGE_H */
