/*
 * reader.c
 *	  Read threads: SCAN, EXISTS, STAT, SPLIT, FLUSH, COMPACT, and the taking in
 *	  of change streams that do not fit in a block.
 *
 * Every request is a small state machine in its Chan, moved on by whichever
 * thread takes the channel off the lane.  A thread never waits for a backend:
 * it does one block's worth, puts the channel back and looks what else there
 * is.  Nothing is written to the store here; finished change sets go to the
 * commit thread.
 *
 * Threads of the READ lane and of the NEAR lanes are the same but for where they
 * look first: what takes longer on a NEAR lane goes on where it is, and READ serves
 * what else is posted there.
 */
#include "src/storage/reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/storage/channels.h"
#include "src/storage/key_stream.h"
#include "src/storage/lanes.h"
#include "src/storage/log.h"
#include "src/storage/sizes.h"
#include "src/storage/upkeep.h"

/* blocks of a stream taken in before others have a turn */
#define STREAM_TURN 4

#define IDLE_NS UINT64_C(1000000000)
#define SLEEP_US 500000
#define MAX_PENDING_BYTES (UINT64_C(3) << 30)

static pthread_t *threads;
static uint32_t nstarted;

/* ---- SCAN ---- */

/* Must the scan wait for its owner to consume? */
static bool
scan_waits(const Chan *c, uint32_t consumed)
{
	if (c->filled - consumed == KALAM_CHANNEL_BLOCKS)
		return true;
	/* the first block may be all that is wanted */
	return c->filled == 1 && consumed == 0 && !(c->shared->req.flags & KALAM_SCAN_COUNT);
}

static void
rest(Chan *c)
{
	uint64_t	since = atomic_load_explicit(&c->idle_since, memory_order_relaxed);
	uint64_t	now = now_ns();

	if (since == 0)
		since = now;
	else if (now > since + IDLE_NS)
	{
		cursor_rest(c->cursor);
		since = 0;
	}
	atomic_store_explicit(&c->idle_since, since, memory_order_relaxed);
}

static void
scan_proceed(Chan *c)
{
	KalamChannel *ch = c->shared;
	uint32_t	consumed = atomic_load_explicit(&ch->consumed, memory_order_acquire);
	EngineError err;

	if (c->filled - consumed > KALAM_CHANNEL_BLOCKS)
	{
		chan_fail(c, KALAM_ERR_PROTOCOL, "more blocks consumed than filled");
		return;
	}
	if (scan_waits(c, consumed))
	{
		rest(c);
		return;
	}
	atomic_store_explicit(&c->idle_since, 0, memory_order_relaxed);
	switch (cursor_step(c->cursor, kalam_block(storage.seg, ch, c->filled), &err))
	{
		case CURSOR_BLOCK:
			chan_pass_block(c);
			/* even when the ring is full now: to start the idle clock */
			lane_repost(KALAM_LANE_READ, c->index);
			break;
		case CURSOR_AGAIN:
			lane_repost(KALAM_LANE_READ, c->index);
			break;
		case CURSOR_LAST:
			chan_finish_filling(c);
			break;
		case CURSOR_ERROR:
			chan_finish(c, &err);
			break;
	}
}

static void
scan_start(Chan *c)
{
	EngineError err;

	if (atomic_load(&c->shared->filled) != 0 || atomic_load(&c->shared->consumed) != 0)
	{
		chan_fail(c, KALAM_ERR_PROTOCOL, "a scan begins with blocks in its channel");
		return;
	}
	/* its input lies in the blocks, which are one behind the other */
	c->cursor = cursor_open(&c->shared->req,
							(const uint8_t *) kalam_block(storage.seg, c->shared, 0), &err);
	if (c->cursor == NULL)
		chan_finish(c, &err);
	else
		scan_proceed(c);
}

/* ---- streams of keys and of changes ---- */

static bool
append_bytes(Chan *c, const uint8_t *data, size_t len, EngineError *err)
{
	if (c->bytes_len + len > MAX_PENDING_BYTES)
	{
		engine_error(err, KALAM_ERR_MEMORY, "transaction changes more than %u MB",
					 (unsigned) (MAX_PENDING_BYTES >> 20));
		return false;
	}
	if (c->bytes_len + len > c->bytes_capacity)
	{
		c->bytes_capacity = 2 * (c->bytes_len + len);
		c->bytes = realloc(c->bytes, c->bytes_capacity);
		if (c->bytes == NULL)
			abort();
	}
	memcpy(c->bytes + c->bytes_len, data, len);
	c->bytes_len += len;
	return true;
}

/* Takes in a block.  *answered: the request is over already. */
static bool
stream_block(Chan *c, const uint8_t *data, size_t len, bool *answered, EngineError *err)
{
	uint64_t	found;

	*answered = false;
	switch (c->op)
	{
		case KALAM_OP_EXISTS:
			if (!key_stream_feed(c->keys, data, len, &found, err))
				return false;
			if (found == UINT64_MAX)
				return true;
			c->shared->result.position = found;
			chan_finish(c, NULL);
			*answered = true;
			return true;
		case KALAM_OP_COMMIT:
			if (c->load == NULL)
				return change_stream_feed(&c->changes, data, len, change_set_add, c->set, err);
			/* FALLTHROUGH */
		default:
			if (c->load != NULL)
				return change_stream_feed(&c->changes, data, len, bulk_add, c->load, err);
			return change_stream_feed(&c->changes, data, len, change_check_add, &c->check, err) &&
				append_bytes(c, data, len, err);
	}
}

static void
stream_end(Chan *c)
{
	EngineError err;
	bool		good;

	if (c->op == KALAM_OP_EXISTS)
		good = key_stream_end(c->keys, &err);
	else if (c->load != NULL)
		good = change_stream_end(&c->changes, &err) && bulk_end(c->load, &err) &&
			chan_check_load(c, &err);
	else if (c->op == KALAM_OP_COMMIT)
		good = change_stream_end(&c->changes, &err) && change_set_end(c->set, &err);
	else
		good = change_stream_end(&c->changes, &err) && change_check_end(&c->check, &err);
	if (!good)
		chan_finish(c, &err);
	else if (c->op == KALAM_OP_EXISTS)
		chan_finish(c, NULL);
	else
		chan_hand_over(c);
}

static void
stream_proceed(Chan *c)
{
	KalamChannel *ch = c->shared;
	EngineError err;

	for (int i = 0; i < STREAM_TURN; i++)
	{
		uint32_t	ready = atomic_load_explicit(&ch->filled, memory_order_acquire) - c->consumed;
		KalamBlock *b = kalam_block(storage.seg, ch, c->consumed);
		bool		answered;
		bool		last;
		uint32_t	used;

		if (ready == 0)
			return;
		used = b->used;
		last = (b->flags & KALAM_BLOCK_LAST) != 0;
		if (ready > KALAM_CHANNEL_BLOCKS || used > KALAM_BLOCK_DATA_BYTES)
		{
			chan_fail(c, KALAM_ERR_PROTOCOL, "malformed block in a stream");
			return;
		}
		if (!stream_block(c, b->data, used, &answered, &err))
		{
			chan_finish(c, &err);
			return;
		}
		if (answered)
			return;
		c->consumed++;
		atomic_store_explicit(&ch->consumed, c->consumed, memory_order_release);
		if (last)
		{
			stream_end(c);
			return;
		}
		lane_notify(ch);
	}
	lane_repost(KALAM_LANE_READ, c->index);
}

static void
stream_start(Chan *c)
{
	if (atomic_load(&c->shared->consumed) != 0)
	{
		chan_fail(c, KALAM_ERR_PROTOCOL, "a stream begins with consumed blocks");
		return;
	}
	if (c->op == KALAM_OP_EXISTS)
	{
		c->keys = key_stream_open();
		c->shared->result.position = UINT64_MAX;
	}
	else if (c->shared->req.flags & KALAM_COMMIT_BULK)
		c->load = bulk_open(chan_slot(c));
	else if (c->op == KALAM_OP_COMMIT)
	{
		c->set = change_set_create();
		change_set_begin(c->set, false);
	}
	else
	{
		EngineError err;
		uint64_t	header = c->shared->req.serial << 8 | KALAM_VALUE_FORMAT;

		append_bytes(c, (const uint8_t *) &header, sizeof(header), &err);
	}
	stream_proceed(c);
}

/* ---- SPLIT ---- */

static void
split_proceed(Chan *c)
{
	KalamChannel *ch = c->shared;

	if (!split_step(c->split))
	{
		lane_repost(KALAM_LANE_READ, c->index);
		return;
	}
	split_write(c->split, kalam_block(storage.seg, ch, 0), &ch->result.bytes);
	atomic_store_explicit(&ch->filled, 1, memory_order_release);
	chan_finish(c, NULL);
}

static void
split_start(Chan *c)
{
	EngineError err;

	c->split = split_open(&c->shared->req, &err);
	if (c->split == NULL)
		chan_finish(c, &err);
	else
		split_proceed(c);
}

/* ---- STAT, FLUSH, COMPACT ---- */

static void
stat_object(Chan *c, Object *object)
{
	KalamResult *result = &c->shared->result;
	uint64_t	entries = c->shared->req.max_rows;
	ObjectSize	size;

	object_size(object, entries == 0 || entries > UINT16_MAX ? 1 : (uint32_t) entries, &size);
	result->rows = size.rows;
	result->bytes = size.bytes;
	result->row_bytes = size.row_bytes;
}

static void
upkeep_start_request(Chan *c)
{
	Object	   *object = objects_get(c->shared->req.object_id);

	if (object == NULL)
	{
		chan_fail(c, KALAM_ERR_NO_OBJECT, "object does not exist");
		return;
	}
	if (c->op != KALAM_OP_STAT)
	{
		c->job = upkeep_start(c->op, object, c->index);
		return;
	}
	stat_object(c, object);
	object_put(object);
	chan_finish(c, NULL);
}

static void
upkeep_proceed(Chan *c)
{
	EngineError err;
	bool		good;

	if (c->job != NULL && upkeep_done(c->job, &good, &err))
		chan_finish(c, good ? NULL : &err);
}

/* ---- dispatch ---- */

static void
start(Chan *c)
{
	uint32_t	state = atomic_load(&storage.seg->state);

	if (state != KALAM_STORAGE_READY &&
		!(state == KALAM_STORAGE_RECOVERING && chan_is_supervisor(c)))
	{
		chan_fail(c, KALAM_ERR_NOT_READY, "the storage process is not ready yet");
		return;
	}
	switch (c->op)
	{
		case KALAM_OP_SCAN:
			scan_start(c);
			break;
		case KALAM_OP_EXISTS:
		case KALAM_OP_COMMIT:
		case KALAM_OP_PREPARE:
			stream_start(c);
			break;
		case KALAM_OP_SPLIT:
			split_start(c);
			break;
		case KALAM_OP_STAT:
		case KALAM_OP_FLUSH:
		case KALAM_OP_COMPACT:
			upkeep_start_request(c);
			break;
		default:
			chan_fail(c, KALAM_ERR_PROTOCOL, "unknown operation");
			break;
	}
}

static void
proceed(Chan *c)
{
	switch (c->op)
	{
		case KALAM_OP_SCAN:
			scan_proceed(c);
			break;
		case KALAM_OP_EXISTS:
		case KALAM_OP_COMMIT:
		case KALAM_OP_PREPARE:
			stream_proceed(c);
			break;
		case KALAM_OP_SPLIT:
			split_proceed(c);
			break;
		default:
			upkeep_proceed(c);
			break;
	}
}

/* Is the request a scan, or a question about a key or some? */
static bool
is_quick(const Chan *c)
{
	const KalamBlock *b = kalam_block(storage.seg, c->shared, 0);

	return c->op == KALAM_OP_SCAN ||
		(c->op == KALAM_OP_EXISTS && (b->flags & KALAM_BLOCK_LAST) && c->consumed == 0 &&
		 b->used <= KALAM_NEAR_STREAM_BYTES);
}

/* One turn of a channel. */
static void
serve(Chan *c)
{
	bool		fresh;

	if (!chan_claim(c, CLAIM_READ, &fresh))
		return;
	if (fresh)
		lane_note_client(c->index);
	if (!is_quick(c))
		lane_slow();
	if (chan_canceled(c))
		chan_fail(c, KALAM_ERR_CANCELED, "canceled");
	else if (fresh)
		start(c);
	else
		proceed(c);
}

/* arg: the number of the lane that the thread serves. */
static void *
run(void *arg)
{
	LaneWaiter	waiter = {0};
	KalamLaneKind lane = (KalamLaneKind) (uintptr_t) arg;

	if (lane >= KALAM_LANE_NEAR)
		lane_settle(lane);
	while (!atomic_load_explicit(&storage.stopping, memory_order_relaxed))
	{
		uint32_t	index;
		Chan	   *c;

		if (lane_next(lane, &waiter, SLEEP_US, &index) && (c = chan_get(index)) != NULL)
			chan_serve(c, serve);
	}
	if (lane >= KALAM_LANE_NEAR)
		lane_quit(lane);
	return NULL;
}

static bool
start_thread(KalamLaneKind lane)
{
	if (pthread_create(&threads[nstarted], NULL, run, (void *) (uintptr_t) lane) != 0)
		return false;
	nstarted++;
	return true;
}

bool
readers_open(uint32_t nthreads)
{
	KalamLaneKind near[KALAM_NEAR_LANES];
	uint32_t	nnear = lanes_near(near);

	threads = calloc(nthreads + nnear, sizeof(pthread_t));
	for (uint32_t i = 0; i < nthreads; i++)
		if (!start_thread(KALAM_LANE_READ))
			return false;
	for (uint32_t i = 0; i < nnear; i++)
		if (!start_thread(near[i]))
			return false;
	return true;
}

void
readers_close(void)
{
	for (KalamLaneKind lane = KALAM_LANE_READ; lane < KALAM_LANES; lane++)
		if (lane == KALAM_LANE_READ || lane >= KALAM_LANE_NEAR)
			kalam_lane_wake_all(storage.seg, lane);
	for (uint32_t i = 0; i < nstarted; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}
