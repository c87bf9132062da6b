/*
 * channels.h - the storage process' own side of the channels.
 *
 * A request is claimed once, by a read thread, by a loader or by the commit
 * thread, and whoever holds the claim alone touches what stands below it in Chan.
 * A read thread may hand its claim to the commit thread.
 */
#ifndef KALAM_STORAGE_CHANNELS_H
#define KALAM_STORAGE_CHANNELS_H

#include "src/storage/bulk.h"
#include "src/storage/change_set.h"
#include "src/storage/cursor.h"
#include "src/storage/split.h"
#include "src/storage/storage.h"

typedef enum ClaimState
{
	CLAIM_FREE = 0,				/* the generation in the claim is finished */
	CLAIM_READ,					/* a read thread's */
	CLAIM_COMMIT,				/* the commit thread's */
	CLAIM_LOAD					/* a loader's */
} ClaimState;

typedef struct KeyStream KeyStream;
typedef struct UpkeepJob UpkeepJob;
typedef struct LoadReceive LoadReceive;
typedef struct LoadRead LoadRead;

typedef struct Chan
{
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint64_t claim;		/* generation << 32 | ClaimState */
	_Atomic uint32_t posts;		/* threads that want to serve it; one does */
	_Atomic uint64_t idle_since;	/* ns; a cursor waits for its owner; 0: none does */

	/* the holder's of the claim */
	KalamChannel *shared;
	uint32_t	index;
	uint32_t	generation;
	KalamOp		op;
	uint32_t	filled;			/* SCAN: blocks filled */
	uint32_t	consumed;		/* streams: blocks consumed */
	Cursor	   *cursor;
	KeyStream  *keys;			/* EXISTS */
	Split	   *split;			/* SPLIT */
	UpkeepJob  *job;			/* FLUSH, COMPACT */
	LoadReceive *receive;		/* LOAD */
	LoadRead   *load_read;		/* LOAD_READ */
	ChangeStream changes;		/* COMMIT, PREPARE over several blocks: parser, */
	ChangeSet  *set;			/* COMMIT: batch, */
	BulkLoad   *load;			/* COMMIT, PREPARE of a large one: files, */
	ChangeCheck check;			/* PREPARE: what is in it, */
	uint8_t    *bytes;			/* and its bytes */
	size_t		bytes_len;
	size_t		bytes_capacity;

	/* the commit thread's */
	bool		in_group;
} Chan;

extern void channels_open(void);
extern void channels_close(void);	/* no thread runs any more */
extern Chan *chan_get(uint32_t index);	/* NULL if there is no such channel */

/* Posts what was asked of this process before its threads looked. */
extern void channels_post_all(void);

/* Posts cursors that are idle for longer than ns. */
extern void channels_post_idle(uint64_t ns);

/*
 * Claims the channel's request for state if it is new and for this process.
 * True if the caller now holds the claim, freshly or from before; *fresh says
 * which.
 */
extern bool chan_claim(Chan *c, ClaimState state, bool *fresh);

/* Read thread: the request is the commit thread's now. */
extern void chan_hand_over(Chan *c);

/*
 * Calls serve for a channel that was posted, one thread at a time: who comes while
 * another is inside leaves a mark, and the one inside goes round again.
 */
extern void chan_serve(Chan *c, void (*serve) (Chan *c));

/* Has nobody committed keys of the loads that c->load took in?  All blocks are read. */
extern bool chan_check_load(Chan *c, EngineError *err);

extern uint32_t chan_slot(const Chan *c);	/* its owner's */
extern bool chan_is_supervisor(const Chan *c);
extern bool chan_canceled(const Chan *c);

/* Frees what the request holds; keeps the claim. */
extern void chan_release(Chan *c);

/* Frees what the request holds and answers it.  err NULL: it went well. */
extern void chan_finish(Chan *c, const EngineError *err);
extern void chan_fail(Chan *c, KalamCode code, const char *text);

/* The next block is filled: the owner may have it; or it is the last one, and the request over. */
extern void chan_pass_block(Chan *c);
extern void chan_finish_filling(Chan *c);

#endif
