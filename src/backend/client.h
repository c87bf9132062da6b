/*
 * client.h
 *	  A backend's side of the channels: requests out, answers in, every wait
 *	  cancellable.
 *
 * Functions raise ERROR unless they say otherwise.  A request that is in flight
 * when an error strikes is told to stop; its channel is used again only when
 * the storage process has let go of it, which the next request waits for.
 */
#ifndef KALAM_CLIENT_H
#define KALAM_CLIENT_H

#include "postgres.h"
#include "src/shared/protocol.h"
#include "src/shared/segment.h"

/*
 * Waits until the storage process serves (at most some seconds: it restarts
 * within one), else raises with the reason.  Returns the epoch.  Also claims
 * the slot at the first call in a process.
 */
extern uint32 kalam_client_ready(void);

/* Just claims the slot, which the functions that do not raise leave to others. */
extern void kalam_client_claim(void);

/* The session's request channel, idle, with a clean request for op in it. */
extern KalamChannel *kalam_rpc_begin(KalamOp op);

/* Posts it and waits for the end; gives what the storage process reports. */
extern KalamCode kalam_rpc_wait(KalamChannel *ch);

/* The same, raising what it reports. */
extern void kalam_rpc_finish(KalamChannel *ch);

/*
 * The same for callbacks that may not raise.  begin gives NULL if no storage
 * process serves.
 */
extern KalamChannel *kalam_rpc_begin_noerror(KalamOp op);
extern KalamCode kalam_rpc_finish_noerror(KalamChannel *ch);

/* ---- scans ---- */

typedef struct KalamCursor KalamCursor;

/* Keys in [lower, upper); upper_len 0: the one key lower. */
typedef struct KalamKeyRange
{
	const uint8 *lower;
	const uint8 *upper;
	uint16		lower_len;
	uint16		upper_len;
} KalamKeyRange;

typedef struct KalamRange
{
	uint32		object_id;
	uint32		flags;			/* KALAM_SCAN_* */
	uint64		stamp;
	uint64		max_rows;		/* probably no more are wanted: others are read when
								 * they are asked for; 0: all */
	uint32		first_bytes;	/* 0: the default */
	uint16		lower_len;
	uint16		upper_len;
	const uint8 *lower;			/* copied by kalam_cursor_open */
	const uint8 *upper;
	const uint8 *input;			/* sections (scan_input.h), or NULL.  Not copied: it
								 * stays as it is until the cursor is closed */
	uint32		input_len;		/* at most KALAM_MAX_INPUT_BYTES.  With RANGES in it
								 * lower_len and upper_len are 0 */
	uint32		behind_range;	/* it begins behind this key of the range of that */
	uint16		behind_len;		/* number; 0: at the beginning.  Copied */
	const uint8 *behind;
	struct KalamScanResult *result; /* takes what comes, if it wants to (scancache.h), or
								 * NULL.  It lives as long as the cursor */
	SubTransactionId owner;		/* closes it when it aborts; Invalid: the current */
} KalamRange;

/* What a scan has cost so far, as far as its rows were taken: for EXPLAIN. */
typedef struct KalamScanCost
{
	uint64		read;			/* keys that storage read: rows and index entries */
	uint64		seeks;			/* keys that it looked up, ranges that it began */
	uint64		rows;			/* that it sent, or counted */
	uint64		blocks;
	uint64		bytes;
	uint64		cache_hits;		/* KALAM_SCAN_MEASURE: blocks of files found in memory, */
	uint64		file_reads;		/* and those read */
	uint64		query_hits;		/* answered by the query cache, without storage; */
	uint64		query_misses;	/* not, though it was asked */
} KalamScanCost;

/*
 * The subtransaction whose end takes along what `sub` has opened: the current one for
 * Invalid, and for one that has committed, into some parent, the top one.
 */
extern SubTransactionId kalam_owner_now(SubTransactionId sub);

extern void kalam_scan_cost_add(KalamScanCost *sum, const KalamScanCost *cost);

/*
 * Opens a cursor; it and what it allocates live in the current memory context,
 * and it is closed at the latest when its (sub)transaction ends.
 */
extern KalamCursor *kalam_cursor_open(const KalamRange *range);

/*
 * The next row, or NULL at the end.  It stays valid until the next call on the
 * same cursor, or its close.
 */
extern const KalamRow *kalam_cursor_next(KalamCursor *cursor);

/* For KALAM_SCAN_COUNT: the number of rows in the next block; 0 at the end. */
extern uint64 kalam_cursor_next_count(KalamCursor *cursor);

/* Adds what the cursor has cost to *cost; once, before it is closed. */
extern void kalam_cursor_add_cost(const KalamCursor *cursor, KalamScanCost *cost);

extern void kalam_cursor_close(KalamCursor *cursor);

/* The version of one key at the stamp, copied to the current context, or NULL. */
extern KalamRow *kalam_get_at(const uint8 *key, size_t key_len, uint64 stamp);

/* The same for the newest committed version. */
extern KalamRow *kalam_get_newest(const uint8 *key, size_t key_len);

/*
 * The same, with flags that tell what has become of it since the stamp
 * (KALAM_ROW_CHANGED, _EXISTED, _ABSENT); never NULL.
 */
extern KalamRow *kalam_get_rechecked(const uint8 *key, size_t key_len, uint64 stamp);

/* A (sub)transaction ended: drops its cursors without waiting.  Never raises. */
extern void kalam_cursors_at_abort(SubTransactionId sub);	/* Invalid: all */
extern void kalam_cursors_at_subcommit(SubTransactionId sub, SubTransactionId parent);

/* ---- streams to storage: changes, keys to look for ---- */

typedef struct KalamStream
{
	KalamChannel *ch;
	KalamBlock *block;			/* being filled */
	uint32		nblocks;		/* handed over */
	bool		posted;
	bool		ended;			/* storage gave its verdict before the end */
} KalamStream;

/*
 * Fills the session's request channel block by block; the caller sets the
 * fields of ch->req before the first put.  kalam_stream_finish sends the end
 * (lane: where a stream of one block goes); the caller then waits for it.
 */
extern void kalam_stream_begin(KalamStream *st, KalamOp op);
extern void kalam_stream_put(KalamStream *st, const void *data, size_t len);
extern void kalam_stream_finish(KalamStream *st, KalamLaneKind lane);

/* For the supervisor: makes calls work while storage recovers. */
extern void kalam_client_use_supervisor_mode(void);

#endif							/* KALAM_CLIENT_H */
