/*
 * cursor.c
 *	  Scans over stored keys, as a backend sees them.
 *
 * A cursor reads blocks that the storage process fills ahead in a channel.
 * Channels are few.  A cursor that gets none reads a block at a time through
 * the session's request channel, copies it, and goes on behind its last key;
 * the snapshot is pinned, so that gives the same rows.  (Channels are not taken
 * from other cursors: the executor may hold pointers into their blocks.)
 *
 * Cursors live in a context of their own and are closed by their owner, or by
 * the end of the (sub)transaction that opened them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/backend/client.h"
#include "src/backend/client_internal.h"
#include "src/backend/scancache.h"
#include "src/backend/shmem.h"

#define DEFAULT_FIRST_BYTES 4096

struct KalamCursor
{
	dlist_node	node;			/* in open_cursors */
	SubTransactionId sub;

	KalamChannel *ch;			/* NULL: has none, or at the end */
	bool		own_scan_channel;
	KalamBlock *block;			/* held block of the channel, or NULL */
	uint32		consumed;		/* blocks given back */
	bool		at_end;			/* nothing behind what is held */

	const uint8 *ptr;			/* next row in the block or in copy */
	uint32		rows_left;
	char	   *copy;			/* without a channel: rows of a block */
	char	   *big;			/* a row larger than a block */
	uint64		big_have;
	uint64		delivered;		/* rows of finished blocks */
	KalamScanCost cost;			/* of blocks that were taken */
	uint64		request_read;	/* what the last block of the request said */
	uint64		request_seeks;
	uint64		request_cache_hits;
	uint64		request_file_reads;

	KalamRange	range;			/* its keys are copied below */
	uint8		lower[KALAM_MAX_KEY_BYTES];
	uint8		upper[KALAM_MAX_KEY_BYTES];
	uint32		resume_range;
	uint16		resume_len;		/* 0: from the start */
	uint8		resume[KALAM_MAX_KEY_BYTES];
};

static dlist_head open_cursors = DLIST_STATIC_INIT(open_cursors);
static MemoryContext cursor_context = NULL;
static KalamCursor *spare = NULL;	/* memory of one that was closed */
static bool scan_channel_used = false;

/* ---- channels ---- */

KalamChannel *
kalam_extra_channel_claim(void)
{
	KalamSegment *seg = kalam_segment;
	uint32		slot = kalam_my_slot_index();

	for (uint32 i = KALAM_FIRST_EXTRA(seg); i < seg->nchannels; i++)
	{
		KalamChannel *ch = kalam_channel(seg, i);
		uint32		expected = 0;

		if (atomic_load_explicit(&ch->owner, memory_order_relaxed) != 0 ||
			!atomic_compare_exchange_strong(&ch->owner, &expected, slot + 1))
			continue;
		if (kalam_channel_is_idle(ch))
			return ch;
		/* its last request is still being stopped */
		atomic_store(&ch->owner, 0);
	}
	return NULL;
}

void
kalam_extra_channel_release(KalamChannel *ch)
{
	atomic_store(&ch->owner, 0);
}

static KalamChannel *
try_claim(KalamCursor *c)
{
	c->own_scan_channel = !scan_channel_used;
	if (scan_channel_used)
		return kalam_extra_channel_claim();
	scan_channel_used = true;
	return kalam_channel(kalam_segment, KALAM_SCAN_CHANNEL(kalam_my_slot_index()));
}

/* Gives the channel back, stopping its request if it goes on. */
static void
release_channel(KalamCursor *c)
{
	KalamChannel *ch = c->ch;

	if (ch == NULL)
		return;
	c->ch = NULL;
	c->block = NULL;
	kalam_channel_cancel(ch);
	if (c->own_scan_channel)
		scan_channel_used = false;
	else
		kalam_extra_channel_release(ch);
}

/* Sends the request for the range, or for what is left of it. */
static void
send_request(KalamCursor *c, KalamChannel *ch, uint32 first_bytes)
{
	KalamRequest *req = &ch->req;

	kalam_channel_prepare(ch, KALAM_OP_SCAN, kalam_client_ready());
	req->flags = c->range.flags;
	req->object_id = c->range.object_id;
	req->stamp = c->range.stamp;
	req->max_rows = c->range.max_rows != 0 ? c->range.max_rows - c->delivered : 0;
	req->first_bytes = first_bytes;
	req->lower_len = c->range.lower_len;
	req->upper_len = c->range.upper_len;
	memcpy(req->lower, c->lower, c->range.lower_len);
	memcpy(req->upper, c->upper, c->range.upper_len);
	if (c->range.input != NULL)
	{
		req->flags |= KALAM_SCAN_INPUT;
		req->input_len = c->range.input_len;
		memcpy(kalam_block(kalam_segment, ch, 0), c->range.input, c->range.input_len);
	}
	c->request_read = c->request_seeks = 0;
	c->request_cache_hits = c->request_file_reads = 0;
	if (c->resume_len > 0)
	{
		req->first_range = c->resume_range;
		if (c->range.flags & KALAM_SCAN_REVERSE)
		{
			req->upper_len = c->resume_len;
			memcpy(req->upper, c->resume, c->resume_len);
		}
		else
		{
			req->lower_len = c->resume_len;
			memcpy(req->lower, c->resume, c->resume_len);
			req->flags |= KALAM_SCAN_AFTER_LOWER;
		}
	}
	if (req->flags & KALAM_SCAN_POINT)
		kalam_channel_start_near(ch);
	else
		kalam_channel_start(ch, KALAM_LANE_READ);
}

/* Begins to read through a channel, if one is free. */
static void
start(KalamCursor *c)
{
	(void) kalam_client_ready();
	c->ch = try_claim(c);
	if (c->ch == NULL)
		return;
	c->consumed = 0;
	c->block = NULL;
	send_request(c, c->ch, c->range.first_bytes ? c->range.first_bytes : DEFAULT_FIRST_BYTES);
}

/* ---- reading ---- */

/* Remembers where the scan goes on behind a block. */
static void
note_resume(KalamCursor *c, const KalamBlock *block)
{
	if (block->resume_len > 0 && block->resume_len <= KALAM_MAX_KEY_BYTES &&
		block->resume_offset + block->resume_len <= KALAM_BLOCK_DATA_BYTES)
	{
		memcpy(c->resume, block->data + block->resume_offset, block->resume_len);
		c->resume_len = block->resume_len;
		c->resume_range = block->resume_range;
	}
	c->delivered += block->nrows;
}

static void
give_back_block(KalamCursor *c)
{
	KalamChannel *ch = c->ch;

	note_resume(c, c->block);
	c->block = NULL;
	c->consumed++;
	atomic_store_explicit(&ch->consumed, c->consumed, memory_order_release);
	if (!kalam_channel_is_idle(ch) &&
		atomic_load_explicit(&ch->filled, memory_order_relaxed) - c->consumed
		<= KALAM_CHANNEL_BLOCKS / 2)
		kalam_lane_post(kalam_segment, KALAM_LANE_READ,
						kalam_channel_index(kalam_segment, ch));
}

static void
note_cost(KalamCursor *c, const KalamBlock *block)
{
	c->cost.read += block->read - c->request_read;
	c->cost.seeks += block->seeks - c->request_seeks;
	c->cost.cache_hits += block->cache_hits - c->request_cache_hits;
	c->cost.file_reads += block->file_reads - c->request_file_reads;
	c->request_read = block->read;
	c->request_seeks = block->seeks;
	c->request_cache_hits = block->cache_hits;
	c->request_file_reads = block->file_reads;
	c->cost.rows += block->nrows;
	c->cost.blocks++;
	c->cost.bytes += block->used;
}

/* Collects a piece of a large row; true when it is whole. */
static bool
take_big_piece(KalamCursor *c, const KalamBlock *block)
{
	if (c->big == NULL || c->big_have == 0)
	{
		if (c->big != NULL)
			pfree(c->big);
		c->big = NULL;			/* the allocation may raise */
		c->big = MemoryContextAllocHuge(cursor_context, block->big_total);
		c->big_have = 0;
	}
	if (c->big_have + block->used > block->big_total)
		elog(ERROR, "kalam storage sent a row of the wrong size");
	memcpy(c->big + c->big_have, block->data, block->used);
	c->big_have += block->used;
	if (block->nrows == 0)
		return false;
	c->ptr = (uint8 *) c->big;
	return true;
}

/* Waits for block number n of the channel's stream. */
static KalamBlock *
wait_block(KalamChannel *ch, uint32 n)
{
	if (!kalam_channel_wait(ch, KALAM_WAIT_BLOCK, true))
		kalam_raise_storage_lost();
	if (atomic_load_explicit(&ch->filled, memory_order_acquire) == n)
	{
		if (ch->result.code != KALAM_OK)
			kalam_channel_raise(ch);
		elog(ERROR, "kalam storage ended a scan without an end");
	}
	return kalam_block(kalam_segment, ch, n);
}

/* Shows the rows at ptr to who may keep them; the block is the one that ended them. */
static void
keep_rows(const KalamCursor *c, const KalamBlock *block)
{
	bool		big = (block->flags & KALAM_BLOCK_BIG) != 0;
	uint64		delivered = c->delivered + block->nrows;
	KalamResultBlock rows = {
		.rows = c->ptr, .len = big ? c->big_have : block->used, .nrows = block->nrows,
		.last = c->at_end,
		.whole = c->at_end && (c->range.max_rows == 0 || delivered < c->range.max_rows),
		.resume_range = block->resume_range, .resume_len = block->resume_len,
		.resume = block->data + block->resume_offset
	};

	kalam_scan_result_take(c->range.result, &rows);
}

static inline bool
is_kept(const KalamCursor *c)
{
	return c->range.result != NULL && kalam_scan_result_is_wanted(c->range.result);
}

/* Without a channel of one's own: a full block, copied. */
static void
copy_block(KalamCursor *c)
{
	KalamChannel *ch = kalam_channel(kalam_segment, KALAM_RPC_CHANNEL(kalam_my_slot_index()));
	bool		whole = false;

	send_request(c, ch, KALAM_BLOCK_DATA_BYTES);
	for (uint32 n = 0; !whole; n++)
	{
		KalamBlock *block = wait_block(ch, n);

		note_cost(c, block);
		if (block->flags & KALAM_BLOCK_BIG)
			whole = take_big_piece(c, block);
		else
		{
			c->copy = MemoryContextAlloc(cursor_context, Max(block->used, 1));
			memcpy(c->copy, block->data, block->used);
			c->ptr = (uint8 *) c->copy;
			whole = true;
		}
		c->at_end = (block->flags & KALAM_BLOCK_LAST) != 0;
		c->rows_left = block->nrows;
		if (whole && is_kept(c))
			keep_rows(c, block);
		note_resume(c, block);
		atomic_store_explicit(&ch->consumed, n + 1, memory_order_release);
		if (!whole)
			kalam_lane_post(kalam_segment, KALAM_LANE_READ, kalam_channel_index(kalam_segment, ch));
	}
	kalam_channel_cancel(ch);
}

/* Makes the next block with rows current.  False at the end. */
static bool
next_block(KalamCursor *c)
{
	for (;;)
	{
		if (c->block != NULL)
			give_back_block(c);
		if (c->copy != NULL)
		{
			pfree(c->copy);
			c->copy = NULL;
		}
		if (c->range.max_rows != 0 && c->delivered >= c->range.max_rows)
		{
			/* more are wanted after all */
			release_channel(c);
			c->range.max_rows = 0;
			c->at_end = false;
		}
		if (c->at_end)
		{
			release_channel(c);
			return false;
		}
		if (c->ch == NULL)
			start(c);
		if (c->ch == NULL)
		{
			copy_block(c);
			if (c->rows_left > 0)
				return true;
			continue;
		}

		c->block = wait_block(c->ch, c->consumed);
		note_cost(c, c->block);
		c->at_end = (c->block->flags & KALAM_BLOCK_LAST) != 0;
		c->rows_left = c->block->nrows;
		c->ptr = c->block->data;
		if ((c->block->flags & KALAM_BLOCK_BIG) && !take_big_piece(c, c->block))
			continue;
		if (is_kept(c))
			keep_rows(c, c->block);
		if (c->rows_left > 0)
			return true;
	}
}

SubTransactionId
kalam_owner_now(SubTransactionId sub)
{
	if (sub == InvalidSubTransactionId)
		return GetCurrentSubTransactionId();
	return SubTransactionIsActive(sub) ? sub : TopSubTransactionId;
}

KalamCursor *
kalam_cursor_open(const KalamRange *range)
{
	KalamCursor *c;

	if (cursor_context == NULL)
		cursor_context = AllocSetContextCreate(TopMemoryContext, "kalam cursors",
											   ALLOCSET_DEFAULT_SIZES);
	c = spare;
	spare = NULL;
	if (c == NULL)
		c = MemoryContextAlloc(cursor_context, sizeof(KalamCursor));
	Assert(range->input_len <= KALAM_MAX_INPUT_BYTES);
	memset(c, 0, offsetof(KalamCursor, lower));
	c->sub = kalam_owner_now(range->owner);
	c->range = *range;
	memcpy(c->lower, range->lower, range->lower_len);
	memcpy(c->upper, range->upper, range->upper_len);
	c->resume_range = range->behind_range;
	c->resume_len = range->behind_len;
	if (range->behind_len > 0)
		memcpy(c->resume, range->behind, range->behind_len);
	dlist_push_tail(&open_cursors, &c->node);
	PG_TRY();
	{
		start(c);
	}
	PG_CATCH();
	{
		kalam_cursor_close(c);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return c;
}

const KalamRow *
kalam_cursor_next(KalamCursor *c)
{
	const KalamRow *row;

	if (c->rows_left == 0)
	{
		/* the row that was returned last is not needed any more */
		c->big_have = 0;
			if (!next_block(c))
			return NULL;
	}
	row = (const KalamRow *) c->ptr;
	c->ptr += row->size;
	c->rows_left--;
	return row;
}

uint64
kalam_cursor_next_count(KalamCursor *c)
{
	c->rows_left = 0;
	return next_block(c) ? c->rows_left : 0;
}

void
kalam_scan_cost_add(KalamScanCost *sum, const KalamScanCost *cost)
{
	sum->read += cost->read;
	sum->seeks += cost->seeks;
	sum->rows += cost->rows;
	sum->blocks += cost->blocks;
	sum->bytes += cost->bytes;
	sum->cache_hits += cost->cache_hits;
	sum->file_reads += cost->file_reads;
	sum->query_hits += cost->query_hits;
	sum->query_misses += cost->query_misses;
}

void
kalam_cursor_add_cost(const KalamCursor *c, KalamScanCost *cost)
{
	kalam_scan_cost_add(cost, &c->cost);
}

void
kalam_cursor_close(KalamCursor *c)
{
	release_channel(c);
	dlist_delete(&c->node);
	if (c->copy)
		pfree(c->copy);
	if (c->big)
		pfree(c->big);
	if (spare == NULL)
		spare = c;
	else
		pfree(c);
}

static KalamRow *
get_point(const uint8 *key, size_t key_len, uint64 stamp, uint32 flags)
{
	KalamRange	range = {0};
	KalamCursor *c;
	const KalamRow *row;
	KalamRow   *copy = NULL;

	range.object_id = kalam_get_be32(key);
	range.flags = KALAM_SCAN_POINT | flags;
	range.stamp = stamp;
	range.lower = key;
	range.lower_len = key_len;
	c = kalam_cursor_open(&range);
	row = kalam_cursor_next(c);
	if (row != NULL)
	{
		copy = MemoryContextAllocHuge(CurrentMemoryContext, row->size);
		memcpy(copy, row, row->size);
	}
	kalam_cursor_close(c);
	return copy;
}

KalamRow *
kalam_get_at(const uint8 *key, size_t key_len, uint64 stamp)
{
	return get_point(key, key_len, stamp, 0);
}

KalamRow *
kalam_get_newest(const uint8 *key, size_t key_len)
{
	return get_point(key, key_len, 0, KALAM_SCAN_NEWEST);
}

KalamRow *
kalam_get_rechecked(const uint8 *key, size_t key_len, uint64 stamp)
{
	KalamRow   *row = get_point(key, key_len, stamp, KALAM_SCAN_NEWEST | KALAM_SCAN_RECHECK);

	if (row == NULL)
		elog(ERROR, "kalam storage did not answer about a row");
	return row;
}

/* ---- ends of transactions ---- */

void
kalam_cursors_at_abort(SubTransactionId sub)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &open_cursors)
	{
		KalamCursor *c = dlist_container(KalamCursor, node, iter.cur);

		if (sub == InvalidSubTransactionId || c->sub == sub)
			kalam_cursor_close(c);
	}
}

void
kalam_cursors_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	dlist_iter	iter;

	dlist_foreach(iter, &open_cursors)
	{
		KalamCursor *c = dlist_container(KalamCursor, node, iter.cur);

		if (c->sub == sub)
			c->sub = parent;
	}
}

/* At exit: channels only, memory is going anyway. */
void
kalam_cursors_forget_all(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &open_cursors)
		release_channel(dlist_container(KalamCursor, node, iter.cur));
	dlist_init(&open_cursors);
}
