/*
 * block_writer.c
 *	  Rows laid out in blocks, as segment.h describes them.
 *
 * Nothing is read from a block: its memory is shared with a process that is not
 * trusted.  Nothing is read from the store either; rows come with their bytes.
 */
#include "src/storage/block_writer.h"

#include <string.h>

#define BLOCK_GROWTH 4

#define HEAD_BYTES offsetof(KalamRow, tuple_rest)

static const uint8_t zero[8];

static uint64_t
tuple_bytes(const BlockRow *row)
{
	return KALAM_ALIGN8((uint64_t) KALAM_TUPLE_BODY_OFFSET + row->body_len);
}

static uint64_t
row_bytes(const BlockRow *row)
{
	return KALAM_ROW_TUPLE_OFFSET + tuple_bytes(row) +
		KALAM_ALIGN8(row->key_len + row->index_key_len);
}

static KalamRow
row_head(const BlockRow *row)
{
	return (KalamRow) {
		.size = (uint32_t) row_bytes(row), .key_len = (uint16_t) row->key_len, .flags = row->flags,
		.version = row->version, .tuple_len = (uint32_t) (KALAM_TUPLE_BODY_OFFSET + row->body_len),
		.range = {(uint16_t) row->range, (uint16_t) (row->range >> 16)},
		.index_key_len = (uint16_t) row->index_key_len
	};
}

bool
block_put(BlockWriter *w, KalamBlock *b, const BlockRow *row, size_t place_len)
{
	uint64_t	size = row_bytes(row);
	uint64_t	keys = KALAM_ROW_TUPLE_OFFSET + tuple_bytes(row);
	uint8_t    *to = b->data + w->used;
	KalamRow	head;

	if (w->used + size + place_len > KALAM_BLOCK_DATA_BYTES)
		return false;
	head = row_head(row);
	/* the last words first: what they have too much is padding */
	memcpy(to + keys - 8, zero, 8);
	memcpy(to, &head, HEAD_BYTES);
	memcpy(to + HEAD_BYTES, row->body, row->body_len);
	if (size > keys)
	{
		memcpy(to + size - 8, zero, 8);
		if (row->key_len > 0)
			memcpy(to + keys, row->key, row->key_len);
		if (row->index_key_len > 0)
			memcpy(to + keys + row->key_len, row->index_key, row->index_key_len);
	}
	w->used += (uint32_t) size;
	w->nrows++;
	return true;
}

void
block_put_absent(BlockWriter *w, KalamBlock *b, uint16_t flags)
{
	KalamRow	absent = {.size = 24, .flags = flags};

	memcpy(b->data + w->used, &absent, 24);
	w->used += 24;
	w->nrows++;
}

/* ---- rows in pieces ---- */

void
block_begin_big(BlockWriter *w, const BlockRow *row)
{
	w->big = true;
	w->row = *row;
	w->big_size = row_bytes(row);
	w->big_sent = 0;
}

/* Copies what of the part at [at, at + len) lies within the piece. */
static void
copy_part(uint8_t *to, uint64_t piece, uint64_t piece_len, uint64_t at, const void *part,
		  uint64_t len)
{
	uint64_t	from = at > piece ? at : piece;
	uint64_t	end = at + len < piece + piece_len ? at + len : piece + piece_len;

	if (from < end)
		memcpy(to + (from - piece), (const uint8_t *) part + (from - at), end - from);
}

/* The bytes [piece, piece + len) of the row. */
static void
write_piece(const BlockWriter *w, uint64_t piece, uint64_t len, uint8_t *to)
{
	const BlockRow *row = &w->row;
	uint64_t	keys = KALAM_ROW_TUPLE_OFFSET + tuple_bytes(row);
	KalamRow	head = row_head(row);

	copy_part(to, piece, len, keys - 8, zero, 8);
	copy_part(to, piece, len, w->big_size - 8, zero, 8);
	copy_part(to, piece, len, 0, &head, HEAD_BYTES);
	copy_part(to, piece, len, HEAD_BYTES, row->body, row->body_len);
	copy_part(to, piece, len, keys, row->key, row->key_len);
	copy_part(to, piece, len, keys + row->key_len, row->index_key, row->index_key_len);
}

bool
block_put_piece(BlockWriter *w, KalamBlock *b, const BlockPlace *place)
{
	uint64_t	left = w->big_size - w->big_sent;
	uint64_t	room = KALAM_BLOCK_DATA_BYTES;
	bool		last = left + place->len <= room;
	uint64_t	len = last ? left : left < room ? left - 8 : room;

	len = last ? len : len & ~(uint64_t) 7;
	write_piece(w, w->big_sent, len, b->data);
	w->big_sent += len;
	w->used = (uint32_t) len;
	w->nrows = last ? 1 : 0;
	w->big = !last;
	block_finish(w, b, KALAM_BLOCK_BIG, place);
	b->big_total = (uint32_t) w->big_size;
	return last;
}

void
block_finish(BlockWriter *w, KalamBlock *b, uint32_t flags, const BlockPlace *place)
{
	bool		resume = w->nrows > 0 && place->len > 0;

	b->used = w->used;
	b->nrows = w->nrows;
	b->flags = flags;
	b->resume_offset = resume ? w->used : 0;
	b->resume_len = resume ? place->len : 0;
	b->big_total = 0;
	b->resume_range = resume ? place->range : 0;
	b->reserved = 0;
	if (resume)
		memcpy(b->data + w->used, place->key, place->len);
	w->used = 0;
	w->nrows = 0;
	if (w->target < KALAM_BLOCK_DATA_BYTES)
		w->target *= BLOCK_GROWTH;
}
