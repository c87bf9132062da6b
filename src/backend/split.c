/*
 * split.c
 *	  Asks storage for pieces of a range: see split.h.
 */
#include "postgres.h"

#include "src/backend/client.h"
#include "src/backend/client_internal.h"
#include "src/backend/shmem.h"
#include "src/backend/split.h"

/* pieces of so much: storage is told that they are parts of a long read */
#define LONG_SCAN_BYTES		(8 * 1024 * 1024)

/* The whole range as one piece. */
static KalamPieces *
one_piece(const uint8 *lower, uint16 lower_len, const uint8 *upper, uint16 upper_len)
{
	KalamPieces *result = palloc0(offsetof(KalamPieces, pieces) + sizeof(KalamRangePiece) +
								  lower_len + upper_len);
	uint8	   *keys = (uint8 *) &result->pieces[1];

	result->npieces = 1;
	result->pieces[0] = (KalamRangePiece)
	{
		.places = 1, .lower_len = lower_len, .upper_len = upper_len,
		.lower = keys, .upper = keys + lower_len
	};
	memcpy(keys, lower, lower_len);
	memcpy(keys + lower_len, upper, upper_len);
	return result;
}

/* Copies the answer. */
static KalamPieces *
read_answer(const KalamChannel *ch)
{
	const KalamBlock *block = kalam_block(kalam_segment, ch, 0);
	size_t		size = offsetof(KalamPieces, pieces) + block->nrows * sizeof(KalamRangePiece);
	KalamPieces *result = palloc0(size + block->used);
	const uint8 *data = (uint8 *) result + size;
	size_t		at = 0;

	memcpy((uint8 *) data, block->data, block->used);
	result->bytes = ch->result.bytes;
	result->npieces = block->nrows;
	for (uint32 i = 0; i < block->nrows; i++)
	{
		KalamRangePiece *p = &result->pieces[i];
		KalamPiece	head;

		memcpy(&head, data + at, sizeof(head));
		at += sizeof(head);
		p->bytes = head.bytes;
		p->places = head.places;
		p->lower_len = head.lower_len;
		p->upper_len = head.upper_len;
		p->lower = data + at;
		at += head.lower_len;
		p->upper = data + at;
		at += head.upper_len;
	}
	return result;
}

static KalamPieces *
ask(uint32 object_id, const uint8 *lower, uint16 lower_len, const uint8 *upper, uint16 upper_len,
	uint32 wanted, uint32 grain_bytes, uint32 flags, uint64 seed)
{
	KalamChannel *ch = kalam_rpc_begin(KALAM_OP_SPLIT);
	KalamRequest *req = &ch->req;

	req->object_id = object_id;
	req->flags = flags;
	req->serial = seed;
	req->max_rows = wanted;
	req->first_bytes = grain_bytes;
	req->lower_len = lower_len;
	req->upper_len = upper_len;
	memcpy(req->lower, lower, lower_len);
	memcpy(req->upper, upper, upper_len);
	if (kalam_rpc_wait(ch) == KALAM_OK)
		return read_answer(ch);
	if (ch->result.code != KALAM_ERR_NO_OBJECT)
		kalam_channel_raise(ch);
	return NULL;
}

KalamPieces *
kalam_split(uint32 object_id, const uint8 *lower, uint16 lower_len, const uint8 *upper,
			uint16 upper_len, uint32 wanted, uint32 grain_bytes)
{
	KalamPieces *pieces = ask(object_id, lower, lower_len, upper, upper_len, wanted, grain_bytes,
							  0, 0);

	return pieces != NULL ? pieces : one_piece(lower, lower_len, upper, upper_len);
}

KalamPieces *
kalam_sample_pieces(uint32 object_id, const uint8 *lower, uint16 lower_len, const uint8 *upper,
					uint16 upper_len, uint32 wanted, uint32 grain_bytes, uint64 seed)
{
	KalamPieces *pieces = ask(object_id, lower, lower_len, upper, upper_len, wanted, grain_bytes,
							  KALAM_SPLIT_RANDOM, seed);

	return pieces != NULL ? pieces : palloc0(sizeof(KalamPieces));
}

uint32
kalam_piece_flags(const KalamPieces *pieces)
{
	return pieces->bytes > LONG_SCAN_BYTES ? KALAM_SCAN_PART : 0;
}
