/*
 * loader.c
 *	  Loader threads: LOAD, LOAD_READ, LOAD_MEMBERS, LOAD_DROP.
 *
 * They work as read threads do: every request is a small state machine in its
 * Chan, moved on by whichever thread takes the channel off the lane, a turn at a
 * time.  They copy records; sorting and writing is done by the sorters' own
 * threads, which post the channel when there is room again or they are done.
 */
#include "src/storage/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/storage/channels.h"
#include "src/storage/lanes.h"
#include "src/storage/load_check.h"
#include "src/storage/load_read.h"
#include "src/storage/load_receive.h"
#include "src/storage/loads.h"

#define SLEEP_US		500000
#define SWEEP_NS		UINT64_C(500000000)

/* blocks of a stream taken in before others have a turn */
#define STREAM_TURN		4

static pthread_t *threads;
static uint32_t nstarted;

static bool
is_canceled(const void *chan)
{
	return chan_canceled(chan);
}

/* ---- LOAD ---- */

/*
 * Answers a duplicate, with its row in the blocks.  The owner may be at writing
 * into a block that it has not handed over, and learns of the end only when it
 * wants another: so the answer waits until it has none left, or has sent all.
 */
static void
answer_duplicate(Chan *c)
{
	KalamChannel *ch = c->shared;
	uint32_t	filled = atomic_load_explicit(&ch->filled, memory_order_acquire);
	EngineError err;

	if (filled - c->consumed < KALAM_CHANNEL_BLOCKS &&
		(filled == 0 || !(kalam_block(storage.seg, ch, filled - 1)->flags & KALAM_BLOCK_LAST)))
		return;
	load_receive_duplicate(c->receive, &ch->result, (uint8_t *) kalam_block(storage.seg, ch, 0),
						   KALAM_CHANNEL_BLOCKS * KALAM_BLOCK_BYTES, &err);
	chan_finish(c, &err);
}

/* All blocks are there: sorts, merges, compares. */
static void
receive_rest(Chan *c)
{
	EngineError err;

	switch (load_receive_step(c->receive, &err))
	{
		case LOAD_WAITS:
			break;
		case LOAD_AGAIN:
			lane_repost(KALAM_LANE_LOAD, c->index);
			break;
		case LOAD_DONE:
			chan_finish(c, NULL);
			break;
		case LOAD_ERROR:
			chan_finish(c, &err);
			break;
		case LOAD_DUPLICATE:
			answer_duplicate(c);
			break;
	}
}

/* The next block, if it is there.  False if the turn is over. */
static bool
receive_block(Chan *c)
{
	KalamChannel *ch = c->shared;
	uint32_t	ready = atomic_load_explicit(&ch->filled, memory_order_acquire) - c->consumed;
	const KalamBlock *b = kalam_block(storage.seg, ch, c->consumed);
	EngineError err;
	uint32_t	used,
				flags;

	if (ready == 0)
		return false;
	used = b->used;
	flags = b->flags;
	if (ready > KALAM_CHANNEL_BLOCKS || used > KALAM_BLOCK_DATA_BYTES)
	{
		chan_fail(c, KALAM_ERR_PROTOCOL, "malformed block in a load");
		return false;
	}
	if (!load_receive_block(c->receive, b->data, used, flags, b->big_total, &err))
	{
		chan_finish(c, &err);
		return false;
	}
	c->consumed++;
	atomic_store_explicit(&ch->consumed, c->consumed, memory_order_release);
	if (flags & KALAM_BLOCK_LAST)
	{
		receive_rest(c);
		return false;
	}
	lane_notify(ch);
	return true;
}

static void
receive_proceed(Chan *c)
{
	for (int i = 0; i < STREAM_TURN; i++)
	{
		if (!load_receive_wants_more(c->receive))
		{
			receive_rest(c);
			return;
		}
		if (!receive_block(c))
			return;
	}
	lane_repost(KALAM_LANE_LOAD, c->index);
}

static void
receive_start(Chan *c)
{
	KalamResult *result = &c->shared->result;
	EngineError err;

	memset(&result->load, 0, sizeof(result->load));
	if (atomic_load(&c->shared->consumed) != 0)
	{
		chan_fail(c, KALAM_ERR_PROTOCOL, "a load begins with consumed blocks");
		return;
	}
	c->receive = load_receive_open(&c->shared->req, chan_slot(c), c->index, is_canceled, c,
								   &result->load, &err);
	if (c->receive == NULL)
		chan_finish(c, &err);
	else
		receive_proceed(c);
}

/* ---- LOAD_READ ---- */

static void
read_proceed(Chan *c)
{
	KalamChannel *ch = c->shared;
	uint32_t	consumed = atomic_load_explicit(&ch->consumed, memory_order_acquire);
	EngineError err;

	if (c->filled - consumed > KALAM_CHANNEL_BLOCKS)
	{
		chan_fail(c, KALAM_ERR_PROTOCOL, "more blocks consumed than filled");
		return;
	}
	if (c->filled - consumed == KALAM_CHANNEL_BLOCKS)
		return;
	switch (load_read_block(c->load_read, kalam_block(storage.seg, ch, c->filled), &err))
	{
		case LOAD_READ_BLOCK:
			chan_pass_block(c);
			lane_repost(KALAM_LANE_LOAD, c->index);
			break;
		case LOAD_READ_LAST:
			chan_finish_filling(c);
			break;
		case LOAD_READ_ERROR:
			chan_finish(c, &err);
			break;
	}
}

static void
read_start(Chan *c)
{
	EngineError err;

	if (atomic_load(&c->shared->filled) != 0 || atomic_load(&c->shared->consumed) != 0)
	{
		chan_fail(c, KALAM_ERR_PROTOCOL, "a read begins with blocks in its channel");
		return;
	}
	c->load_read = load_read_open(chan_slot(c), c->shared->req.load, &err);
	if (c->load_read == NULL)
		chan_finish(c, &err);
	else
		read_proceed(c);
}

/* ---- LOAD_MEMBERS ---- */

static void
find_members(Chan *c)
{
	const KalamRequest *req = &c->shared->req;
	KalamResult *result = &c->shared->result;
	uint8_t    *room = (uint8_t *) kalam_block(storage.seg, c->shared, 0);
	LoadDuplicate duplicate = {0};
	EngineError err;

	if (req->input_len > KALAM_MAX_INPUT_BYTES || req->input_len % sizeof(uint64_t) != 0)
		chan_fail(c, KALAM_ERR_PROTOCOL, "malformed question for members of a load");
	else if (load_members(chan_slot(c), req, is_canceled, c, room, &result->rows, &duplicate, &err))
		chan_finish(c, NULL);
	else
	{
		if (err.code == KALAM_ERR_DUPLICATE)
			load_duplicate_tell(&duplicate, result, room, KALAM_MAX_INPUT_BYTES, &err);
		chan_finish(c, &err);
	}
	load_duplicate_free(&duplicate);
}

/* ---- dispatch ---- */

static void
start(Chan *c)
{
	const KalamRequest *req = &c->shared->req;

	if (atomic_load(&storage.seg->state) != KALAM_STORAGE_READY)
		chan_fail(c, KALAM_ERR_NOT_READY, "the storage process is not ready yet");
	else if (chan_slot(c) >= storage.nslots)
		chan_fail(c, KALAM_ERR_PROTOCOL, "a channel of no backend");
	else if (c->op == KALAM_OP_LOAD)
		receive_start(c);
	else if (c->op == KALAM_OP_LOAD_READ)
		read_start(c);
	else if (c->op == KALAM_OP_LOAD_MEMBERS)
		find_members(c);
	else
	{
		loads_drop(chan_slot(c), req->load, req->load_last);
		chan_finish(c, NULL);
	}
}

/* One turn of a channel. */
static void
serve(Chan *c)
{
	bool		fresh;

	if (!chan_claim(c, CLAIM_LOAD, &fresh))
		return;
	if (chan_canceled(c) || (!fresh && c->op == KALAM_OP_LOAD && load_receive_dropped(c->receive)))
		chan_fail(c, KALAM_ERR_CANCELED, "canceled");
	else if (fresh)
		start(c);
	else if (c->op == KALAM_OP_LOAD)
		receive_proceed(c);
	else
		read_proceed(c);
}

static void *
run(void *arg)
{
	LaneWaiter	waiter = {0};
	uint32_t	cursor = (uint32_t) (uintptr_t) arg;
	uint64_t	swept = now_ns();

	while (!atomic_load_explicit(&storage.stopping, memory_order_relaxed))
	{
		uint32_t	index;
		Chan	   *c;

		if (now_ns() - swept > SWEEP_NS)
		{
			swept = now_ns();
			loads_sweep();
		}
		if (!kalam_lane_take(storage.seg, KALAM_LANE_LOAD, &cursor, &index))
		{
			lane_wait(KALAM_LANE_LOAD, &waiter, SLEEP_US);
			continue;
		}
		c = chan_get(index);
		if (c != NULL)
			chan_serve(c, serve);
	}
	return NULL;
}

bool
loaders_open(uint32_t nthreads)
{
	threads = calloc(nthreads, sizeof(pthread_t));
	for (nstarted = 0; nstarted < nthreads; nstarted++)
		if (pthread_create(&threads[nstarted], NULL, run, (void *) (uintptr_t) nstarted) != 0)
			return false;
	return true;
}

void
loaders_close(void)
{
	kalam_lane_wake_all(storage.seg, KALAM_LANE_LOAD);
	for (uint32_t i = 0; i < nstarted; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}
