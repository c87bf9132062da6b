/*
 * channels.c
 *	  Claims on requests, and their end.
 *
 * The claim word is what orders the threads: it is taken with acquire and given
 * up with release, so that the private part of a Chan needs no lock.  It keeps
 * the generation that was finished last, so that a late post does not serve a
 * request twice.  Once `done` is stored the channel belongs to its owner again;
 * only the notification follows.
 */
#include "src/storage/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/storage/lanes.h"

#include "src/storage/key_stream.h"
#include "src/storage/load_read.h"
#include "src/storage/load_receive.h"
#include "src/storage/upkeep.h"

static Chan *chans;

static uint64_t
claim_word(uint32_t generation, ClaimState state)
{
	return (uint64_t) generation << 32 | state;
}

void
channels_open(void)
{
	chans = aligned_alloc(KALAM_CACHE_LINE, storage.nchannels * sizeof(Chan));
	memset(chans, 0, storage.nchannels * sizeof(Chan));
	for (uint32_t i = 0; i < storage.nchannels; i++)
	{
		KalamChannel *ch = kalam_channel(storage.seg, i);
		uint32_t	finished = atomic_load(&ch->generation);

		/*
		 * What a predecessor left unanswered is finished.  It must not look like
		 * ours when its owner writes the next request over it, before it raises
		 * the generation.
		 */
		if (ch->req.epoch == storage.epoch)
			finished = atomic_load(&ch->done);
		chans[i].shared = ch;
		chans[i].index = i;
		atomic_init(&chans[i].claim, claim_word(finished, CLAIM_FREE));
	}
}

void
channels_close(void)
{
	for (uint32_t i = 0; i < storage.nchannels; i++)
		chan_release(&chans[i]);
	free(chans);
	chans = NULL;
}

Chan *
chan_get(uint32_t index)
{
	return index < storage.nchannels ? &chans[index] : NULL;
}

void
channels_post_all(void)
{
	for (uint32_t i = 0; i < storage.nchannels; i++)
	{
		KalamChannel *ch = chans[i].shared;
		uint32_t	generation = atomic_load(&ch->generation);

		/* read threads pass on what is for the commit thread */
		if (generation != atomic_load(&ch->done) && ch->req.epoch == storage.epoch)
			kalam_lane_post(storage.seg, KALAM_LANE_READ, i);
	}
}

void
channels_post_idle(uint64_t ns)
{
	uint64_t	now = now_ns();

	for (uint32_t i = 0; i < storage.nchannels; i++)
	{
		uint64_t	since = atomic_load_explicit(&chans[i].idle_since, memory_order_relaxed);

		if (since != 0 && now > since + ns)
			kalam_lane_post(storage.seg, KALAM_LANE_READ, i);
	}
}

static void
post_to(const Chan *c, ClaimState state)
{
	static const KalamLaneKind lanes[] = {
		[CLAIM_READ] = KALAM_LANE_READ,
		[CLAIM_COMMIT] = KALAM_LANE_COMMIT,
		[CLAIM_LOAD] = KALAM_LANE_LOAD,
	};

	kalam_lane_post(storage.seg, lanes[state], c->index);
}

/*
 * Does a stream of changes that lies in one block begin with a load?  Only row
 * locks may come before.
 */
static bool
names_load(const Chan *c)
{
	const KalamBlock *b = kalam_block(storage.seg, c->shared, 0);
	uint64_t	at = 0;
	KalamChange change;

	if (!(c->shared->req.flags & KALAM_COMMIT_BULK))
		return false;
	do
	{
		if (b->used > KALAM_BLOCK_DATA_BYTES || at + sizeof(change) > b->used)
			return false;
		memcpy(&change, b->data + at, sizeof(change));
		at += sizeof(change) + (uint64_t) change.key_len + change.value_len;
	} while (change.op == KALAM_CHANGE_LOCKS);
	return change.op == KALAM_CHANGE_LOAD;
}

/*
 * Is a fresh request this kind of thread's to claim?  If not it is posted where
 * it belongs: a post may be late and meet a request that it was not meant for.
 */
static bool
belongs(Chan *c, ClaimState state)
{
	const KalamRequest *req = &c->shared->req;
	ClaimState	whose = CLAIM_READ;

	switch (req->op)
	{
		case KALAM_OP_RESOLVE:
		case KALAM_OP_SERVE:
			whose = CLAIM_COMMIT;
			break;
		case KALAM_OP_COMMIT:
		case KALAM_OP_PREPARE:
			/* a short one that is posted to the commit thread is whole */
			if (state == CLAIM_COMMIT &&
				atomic_load_explicit(&c->shared->filled, memory_order_acquire) > 0 &&
				(kalam_block(storage.seg, c->shared, 0)->flags & KALAM_BLOCK_LAST) &&
				!names_load(c))
				whose = CLAIM_COMMIT;
			break;
		case KALAM_OP_LOAD:
		case KALAM_OP_LOAD_READ:
		case KALAM_OP_LOAD_MEMBERS:
		case KALAM_OP_LOAD_DROP:
			whose = CLAIM_LOAD;
			break;
		default:
			break;
	}
	if (whose == state)
		return true;
	post_to(c, whose);
	return false;
}

bool
chan_claim(Chan *c, ClaimState state, bool *fresh)
{
	uint32_t	generation = atomic_load_explicit(&c->shared->generation, memory_order_acquire);
	uint64_t	word = atomic_load_explicit(&c->claim, memory_order_acquire);

	*fresh = false;
	if ((word & 3) == state)
	{
		if ((uint32_t) (word >> 32) == generation)
			return true;
		if (state == CLAIM_COMMIT)
			return false;
		/* its owner asked for something else without waiting for the end */
		chan_release(c);
		atomic_store_explicit(&c->claim, claim_word((uint32_t) (word >> 32), CLAIM_FREE),
							  memory_order_release);
		word = claim_word((uint32_t) (word >> 32), CLAIM_FREE);
	}
	/* who asks a thread to stop need not know which kind serves it */
	if (((word & 3) == CLAIM_LOAD && state == CLAIM_READ) ||
		((word & 3) == CLAIM_READ && state == CLAIM_LOAD))
		post_to(c, (ClaimState) (word & 3));
	if ((word & 3) != CLAIM_FREE || (uint32_t) (word >> 32) == generation)
		return false;
	if (c->shared->req.epoch != storage.epoch || !belongs(c, state))
		return false;
	if (!atomic_compare_exchange_strong(&c->claim, &word, claim_word(generation, state)))
		return false;
	c->generation = generation;
	c->op = (KalamOp) c->shared->req.op;
	c->filled = c->consumed = 0;
	*fresh = true;
	return true;
}

void
chan_hand_over(Chan *c)
{
	atomic_store_explicit(&c->claim, claim_word(c->generation, CLAIM_COMMIT), memory_order_release);
	kalam_lane_post(storage.seg, KALAM_LANE_COMMIT, c->index);
}

void
chan_serve(Chan *c, void (*serve) (Chan *c))
{
	uint32_t	n;

	if (atomic_fetch_add(&c->posts, 1) > 0)
		return;
	do
	{
		n = atomic_load(&c->posts);
		serve(c);
	} while (atomic_fetch_sub(&c->posts, n) != n);
}

bool
chan_check_load(Chan *c, EngineError *err)
{
	return bulk_check(c->load, &c->shared->result,
					  (uint8_t *) kalam_block(storage.seg, c->shared, 0),
					  KALAM_CHANNEL_BLOCKS * KALAM_BLOCK_BYTES, err);
}

uint32_t
chan_slot(const Chan *c)
{
	return c->index < 2 * storage.nslots ? c->index / 2 : c->shared->slot;
}

bool
chan_is_supervisor(const Chan *c)
{
	return chan_slot(c) == storage.nslots - 1;
}

bool
chan_canceled(const Chan *c)
{
	return atomic_load_explicit(&c->shared->cancel, memory_order_acquire) == c->generation;
}

void
chan_release(Chan *c)
{
	atomic_store_explicit(&c->idle_since, 0, memory_order_relaxed);
	if (c->cursor != NULL)
		cursor_close(c->cursor);
	if (c->keys != NULL)
		key_stream_close(c->keys);
	if (c->split != NULL)
		split_close(c->split);
	if (c->job != NULL)
		upkeep_abandon(c->job);
	if (c->receive != NULL)
		load_receive_close(c->receive);
	if (c->load_read != NULL)
		load_read_close(c->load_read);
	if (c->set != NULL)
		change_set_destroy(c->set);
	if (c->load != NULL)
		bulk_close(c->load, false);
	change_stream_free(&c->changes);
	change_check_free(&c->check);
	free(c->bytes);
	c->cursor = NULL;
	c->keys = NULL;
	c->split = NULL;
	c->job = NULL;
	c->receive = NULL;
	c->load_read = NULL;
	c->set = NULL;
	c->load = NULL;
	c->bytes = NULL;
	c->bytes_len = c->bytes_capacity = 0;
}

void
chan_finish(Chan *c, const EngineError *err)
{
	KalamChannel *ch = c->shared;
	uint32_t	generation = c->generation;

	chan_release(c);
	c->in_group = false;
	ch->result.code = err != NULL ? err->code : KALAM_OK;
	if (err != NULL)
		snprintf(ch->result.message, sizeof(ch->result.message), "%s", err->message);
	else
		ch->result.message[0] = '\0';
	atomic_store_explicit(&c->claim, claim_word(generation, CLAIM_FREE), memory_order_release);
	atomic_store_explicit(&ch->done, generation, memory_order_release);
	lane_notify(ch);
}

void
chan_fail(Chan *c, KalamCode code, const char *text)
{
	EngineError err;

	engine_error(&err, code, "%s", text);
	chan_finish(c, &err);
}

void
chan_pass_block(Chan *c)
{
	c->filled++;
	atomic_store_explicit(&c->shared->filled, c->filled, memory_order_release);
	lane_notify(c->shared);
}

void
chan_finish_filling(Chan *c)
{
	/* before the owner sees the block, which ends its wait */
	chan_release(c);
	c->shared->result.code = KALAM_OK;
	atomic_store_explicit(&c->shared->filled, c->filled + 1, memory_order_release);
	chan_finish(c, NULL);
}
