/*
 * loadstream.c
 *	  Records of a load on their way to storage, and back: see loadstream.h.
 *
 * A block goes off when the next record has no room in it.  Storage stops
 * consuming when it holds as much as it may, and so the statement waits.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/backend/client_internal.h"
#include "src/backend/loadstream.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"

/* A place behind a key where a row's columns are aligned. */
#define VALUE_OFFSET(key_len)	(TYPEALIGN(8, KALAM_LOAD_KEY_OFFSET + (key_len) + 6) - 6)

static inline KalamLoadRecord *
record_at(char *place, uint16 target, uint16 flags, uint64 tag, const uint8 *key,
		  size_t key_len, size_t value_len)
{
	KalamLoadRecord *record = (KalamLoadRecord *) place;

	record->value_offset = (uint16) VALUE_OFFSET(key_len);
	record->size = (uint32) KALAM_ALIGN8(record->value_offset + value_len);
	record->key_len = (uint16) key_len;
	record->target = target;
	record->value_len = (uint32) value_len;
	record->flags = flags;
	record->tag = tag;
	memcpy(place + KALAM_LOAD_KEY_OFFSET, key, key_len);
	return record;
}

static void
begin_block(KalamLoadStream *st)
{
	st->block = kalam_block(kalam_segment, st->ch, st->nblocks);
	st->block->used = 0;
	st->block->flags = 0;
	st->block->big_total = 0;
}

bool
kalam_load_stream_begin(KalamLoadStream *st, uint64 number)
{
	uint32		epoch = kalam_client_ready();

	memset(st, 0, sizeof(*st));
	st->ch = kalam_extra_channel_claim();
	if (st->ch == NULL)
		return false;
	kalam_channel_prepare(st->ch, KALAM_OP_LOAD, epoch);
	st->ch->req.load = number;
	st->ch->req.memory = (uint64) kalam_load_memory * 1024;
	begin_block(st);
	return true;
}

void
kalam_load_stream_is_for(KalamLoadStream *st, Oid relid)
{
	st->ch->req.database_oid = MyDatabaseId;
	st->ch->req.relid = relid;
}

/* Hands the block over. */
static void
send_block(KalamLoadStream *st)
{
	st->nblocks++;
	atomic_store_explicit(&st->ch->filled, st->nblocks, memory_order_release);
	if (!st->posted)
	{
		st->posted = true;
		kalam_channel_start(st->ch, KALAM_LANE_LOAD);
	}
	else
		kalam_lane_post(kalam_segment, KALAM_LANE_LOAD,
						kalam_channel_index(kalam_segment, st->ch));
	KALAM_STOP_POINT("load_block");
}

/* Goes on to an empty one.  False: storage has ended the load. */
static bool
next_block(KalamLoadStream *st)
{
	send_block(st);
	if (!kalam_channel_wait(st->ch, KALAM_WAIT_ROOM, true))
		kalam_raise_storage_lost();
	if (kalam_channel_is_idle(st->ch))
		return false;
	begin_block(st);
	return true;
}

uint8 *
kalam_load_stream_put(KalamLoadStream *st, uint16 target, uint16 flags, uint64 tag,
					  const uint8 *key, size_t key_len, size_t value_len)
{
	size_t		size = KALAM_ALIGN8(VALUE_OFFSET(key_len) + value_len);
	KalamLoadRecord *record;

	if (st->ended)
		return NULL;
	if (size > KALAM_BLOCK_DATA_BYTES)
	{
		/* its pieces have blocks of their own */
		if (st->block->used > 0 && !next_block(st))
			return NULL;
		st->big = MemoryContextAllocHuge(CurrentMemoryContext, size);
		record = record_at(st->big, target, flags, tag, key, key_len, value_len);
	}
	else
	{
		if (st->block->used + size > KALAM_BLOCK_DATA_BYTES && !next_block(st))
			return NULL;
		record = record_at((char *) st->block->data + st->block->used, target, flags, tag, key,
						   key_len, value_len);
		st->block->used += size;
	}
	return (uint8 *) record + record->value_offset;
}

uint8 *
kalam_load_stream_place(KalamLoadStream *st, size_t key_len, size_t *room)
{
	size_t		at;

	if (st->ended)
		return NULL;
	at = st->block->used + VALUE_OFFSET(key_len);
	if (at >= KALAM_BLOCK_DATA_BYTES)
		return NULL;
	*room = KALAM_BLOCK_DATA_BYTES - at;
	return st->block->data + at;
}

void
kalam_load_stream_placed(KalamLoadStream *st, uint16 target, uint64 tag, const uint8 *key,
						 size_t key_len, size_t value_len)
{
	KalamLoadRecord *record = record_at((char *) st->block->data + st->block->used, target, 0, tag,
										key, key_len, value_len);

	st->block->used += record->size;
}

void
kalam_load_stream_send_big(KalamLoadStream *st)
{
	char	   *big = st->big;
	size_t		size = ((KalamLoadRecord *) big)->size;
	bool		open = true;

	st->big = NULL;
	for (size_t sent = 0; open && sent < size;)
	{
		size_t		n = Min(size - sent, KALAM_BLOCK_DATA_BYTES);

		st->block->used = (uint32) n;
		st->block->flags = KALAM_BLOCK_BIG;
		st->block->big_total = (uint32) size;
		memcpy(st->block->data, big + sent, n);
		sent += n;
		open = next_block(st);
	}
	pfree(big);
}

void
kalam_load_stream_end(KalamLoadStream *st)
{
	if (!st->ended)
	{
		st->ended = true;
		if (!st->posted || !kalam_channel_is_idle(st->ch))
		{
			st->block->flags |= KALAM_BLOCK_LAST;
			send_block(st);
		}
	}
	KALAM_STOP_POINT("load_sent");
	if (!kalam_channel_wait(st->ch, KALAM_WAIT_DONE, true))
		kalam_raise_storage_lost();
}

void
kalam_load_stream_close(KalamLoadStream *st)
{
	if (st->ch == NULL)
		return;
	kalam_channel_cancel(st->ch);
	kalam_extra_channel_release(st->ch);
	st->ch = NULL;
	/* (a big record that was being formed goes with its memory) */
	st->big = NULL;
}

/* ---- back ---- */

/* Raises if these bytes are no record that a load may have. */
static void
check_record(const KalamLoadRecord *record, size_t room)
{
	if (room < sizeof(KalamLoadRecord) || record->size > room ||
		record->size % 8 != 0 || record->size < sizeof(KalamLoadRecord) ||
		KALAM_LOAD_KEY_OFFSET + (size_t) record->key_len > record->value_offset ||
		(size_t) record->value_offset + record->value_len > record->size)
		elog(ERROR, "kalam storage sent a record of the wrong size");
}

typedef struct BigRecord
{
	char	   *bytes;
	size_t		have;
} BigRecord;

static void
take_block(const KalamBlock *block, BigRecord *big, KalamLoadRead function, void *arg)
{
	const uint8 *at = block->data;
	size_t		left = block->used;

	if (block->flags & KALAM_BLOCK_BIG)
	{
		if (big->bytes == NULL)
			big->bytes = MemoryContextAllocHuge(CurrentMemoryContext, block->big_total);
		if (big->have + block->used > block->big_total)
			elog(ERROR, "kalam storage sent a record of the wrong size");
		memcpy(big->bytes + big->have, block->data, block->used);
		big->have += block->used;
		if (big->have < block->big_total)
			return;
		check_record((KalamLoadRecord *) big->bytes, big->have);
		function(arg, (KalamLoadRecord *) big->bytes);
		pfree(big->bytes);
		big->bytes = NULL;
		big->have = 0;
		return;
	}
	while (left > 0)
	{
		const KalamLoadRecord *record = (const KalamLoadRecord *) at;

		check_record(record, left);
		function(arg, record);
		at += record->size;
		left -= record->size;
	}
}

void
kalam_load_read(uint64 number, KalamLoadRead function, void *arg)
{
	KalamChannel *ch = kalam_rpc_begin(KALAM_OP_LOAD_READ);
	BigRecord	big = {0};
	bool		last = false;

	ch->req.load = number;
	kalam_channel_start(ch, KALAM_LANE_LOAD);
	PG_TRY();
	{
		for (uint32 n = 0; !last; n++)
		{
			const KalamBlock *block;

			if (!kalam_channel_wait(ch, KALAM_WAIT_BLOCK, true))
				kalam_raise_storage_lost();
			if (atomic_load_explicit(&ch->filled, memory_order_acquire) == n)
			{
				if (ch->result.code != KALAM_OK)
					kalam_channel_raise(ch);
				elog(ERROR, "kalam storage ended a load without an end");
			}
			block = kalam_block(kalam_segment, ch, n);
			take_block(block, &big, function, arg);
			last = (block->flags & KALAM_BLOCK_LAST) != 0;
			KALAM_STOP_POINT("load_read");
			atomic_store_explicit(&ch->consumed, n + 1, memory_order_release);
			if (!last)
				kalam_lane_post(kalam_segment, KALAM_LANE_LOAD,
								kalam_channel_index(kalam_segment, ch));
		}
		if (!kalam_channel_wait(ch, KALAM_WAIT_DONE, true))
			kalam_raise_storage_lost();
		if (ch->result.code != KALAM_OK)
			kalam_channel_raise(ch);
	}
	PG_CATCH();
	{
		kalam_channel_cancel(ch);
		PG_RE_THROW();
	}
	PG_END_TRY();
}
