/*
 * fuzz_load_stream.c
 *	  The input is a LOAD stream: records of targets, laid out in blocks, some in
 *	  pieces, some bytes of it changed.  What is handed over lies in the block, or in
 *	  the pieces, and belongs to its target; of a stream that was left alone it is what
 *	  was put in.
 *
 * Each block is a piece of memory of its own, so that reading beyond its end is
 * seen.
 */
#include <string.h>

#include "src/storage/load_stream.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/no_engine.h"

#define MAX_RECORDS		64
#define MAX_BLOCKS		256
#define MAX_BYTES		65536
#define BLOCK_BYTES		600		/* of a block, so that pieces are common */
#define MAX_TARGETS		8

typedef struct Block
{
	uint8_t    *data;
	uint32_t	used;
	uint32_t	flags;
	uint32_t	big_total;
} Block;

/* What was put in. */
typedef struct Put
{
	bool		declares;
	KalamLoadTarget target;
	LoadRecord	record;			/* key and value are in bytes */
} Put;

static uint8_t bytes[MAX_BYTES];
static size_t nbytes;
static Block blocks[MAX_BLOCKS];
static uint32_t nblocks;
static Put	puts_[MAX_RECORDS];
static uint32_t nputs;

/* ---- the stream ---- */

static Block *
new_block(uint32_t flags)
{
	Block	   *b = &blocks[nblocks++];

	*b = (Block) {.flags = flags};
	return b;
}

static void
append(Block *b, const uint8_t *from, size_t len)
{
	b->data = realloc(b->data, b->used + len + 1);
	memcpy(b->data + b->used, from, len);
	b->used += (uint32_t) len;
}

/* Lays a record out: whole if it fits, else in pieces of `piece` bytes. */
static bool
lay_out(const uint8_t *record, size_t size, size_t piece)
{
	if (size <= BLOCK_BYTES)
	{
		if (nblocks == 0 || blocks[nblocks - 1].flags != 0 ||
			blocks[nblocks - 1].used + size > BLOCK_BYTES)
		{
			if (nblocks == MAX_BLOCKS)
				return false;
			(void) new_block(0);
		}
		append(&blocks[nblocks - 1], record, size);
		return true;
	}
	if (nblocks + size / piece + 1 > MAX_BLOCKS)
		return false;
	for (size_t at = 0; at < size; at += piece)
	{
		Block	   *b = new_block(KALAM_BLOCK_BIG);

		b->big_total = (uint32_t) size;
		append(b, record + at, size - at < piece ? size - at : piece);
	}
	return true;
}

/* Writes a record and notes it.  False if there is no more room. */
static bool
put_record(const Put *p, uint8_t pad, size_t piece)
{
	KalamLoadRecord h = {
		.key_len = (uint16_t) p->record.key_len,
		.target = p->record.target,
		.value_len = (uint32_t) p->record.value_len,
		.tag = p->record.tag,
		.flags = p->declares ? KALAM_LOAD_TARGET : 0,
	};
	uint8_t    *record;
	bool		good;

	h.value_offset = (uint16_t) (sizeof(h) + h.key_len + pad);
	h.size = (uint32_t) KALAM_ALIGN8((uint64_t) h.value_offset + h.value_len) + 8 * (pad % 3);
	record = malloc(h.size);
	memset(record, 0x77, h.size);
	memcpy(record, &h, sizeof(h));
	if (h.key_len > 0)
		memcpy(record + sizeof(h), p->record.key, h.key_len);
	memcpy(record + h.value_offset, p->record.value, h.value_len);
	good = lay_out(record, h.size, piece);
	free(record);
	if (good)
		puts_[nputs++] = *p;
	return good;
}

/* n bytes that stay. */
static uint8_t *
take_room(size_t n)
{
	if (nbytes + n > MAX_BYTES)
		return NULL;
	nbytes += n;
	return bytes + nbytes - n;
}

static void
make_stream(Input *in)
{
	KalamLoadTarget targets[MAX_TARGETS];
	uint32_t	ntargets = 0;

	while (in->size > 0 && nputs < MAX_RECORDS)
	{
		uint8_t		what = take_byte(in);
		size_t		piece = 1 + take_byte(in) * 3 % BLOCK_BYTES;
		Put			p = {.declares = ntargets == 0 || (what % 16 == 0 && ntargets < MAX_TARGETS)};
		uint8_t    *key,
				   *value;

		if (p.declares)
		{
			KalamLoadTarget *t = &targets[ntargets];

			/* no two are the same */
			memset(t, 0, sizeof(*t));
			t->object_id = KALAM_OBJECT_FIRST_USER + ntargets % 3;
			t->index_id = (uint16_t) (ntargets / 3);
			t->flags = what & 32 ? KALAM_TARGET_UNIQUE : 0;
			p.record.target = (uint16_t) ntargets++;
			p.record.value = (const uint8_t *) t;
			p.record.value_len = sizeof(*t);
			p.target = *t;
		}
		else
		{
			const KalamLoadTarget *t;
			size_t		head;

			p.record.target = take_byte(in) % ntargets;
			t = &targets[p.record.target];
			head = t->index_id == 0 ? KALAM_KEY_PREFIX_BYTES : KALAM_INDEX_KEY_PREFIX_BYTES;
			p.record.key_len = head + 1 + (what & 1 ? take_bytes(in, 2) % (KALAM_MAX_KEY_BYTES - head) :
										   take_byte(in) % 20);
			p.record.value_len = KALAM_VALUE_HEADER_BYTES +
				(what & 2 ? take_bytes(in, 2) % 9000 : take_byte(in));
			p.record.tag = take_bytes(in, 3);
			key = take_room(p.record.key_len);
			value = take_room(p.record.value_len);
			if (key == NULL || value == NULL)
				break;
			memset(key, what, p.record.key_len);
			kalam_put_key_prefix(key, t->object_id,
								 t->index_id == 0 ? KALAM_KEY_KIND_ROW : KALAM_KEY_KIND_INDEX);
			if (t->index_id != 0)
			{
				key[KALAM_KEY_PREFIX_BYTES] = (uint8_t) (t->index_id >> 8);
				key[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) t->index_id;
			}
			memset(value, what ^ 0x5A, p.record.value_len);
			value[0] = KALAM_VALUE_FORMAT;
			p.record.key = key;
			p.record.value = value;
		}
		if (!put_record(&p, what % 11, piece))
			break;
	}
}

/* ---- what is handed over ---- */

typedef struct Seen
{
	uint32_t	n;
	uint32_t	ntargets;
	KalamLoadTarget targets[MAX_TARGETS + MAX_RECORDS];
	bool		exact;			/* it must be what was put in */
} Seen;

static bool
on_declare(void *arg, const KalamLoadTarget *target, EngineError *err)
{
	Seen	   *s = arg;

	(void) err;
	if (s->exact)
	{
		MUST(s->n < nputs && puts_[s->n].declares);
		MUST(memcmp(target, &puts_[s->n].target, sizeof(*target)) == 0);
	}
	MUST(target->object_id >= KALAM_OBJECT_FIRST_USER && target->flags < 4);
	for (uint32_t i = 0; i < s->ntargets; i++)
		MUST(target->object_id != s->targets[i].object_id || target->index_id != s->targets[i].index_id);
	s->targets[s->ntargets++] = *target;
	s->n++;
	return true;
}

/* All of the bytes can be read. */
static uint64_t
sum_of(const uint8_t *data, size_t len)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += data[i];
	return sum;
}

static bool
on_add(void *arg, const LoadRecord *r, EngineError *err)
{
	Seen	   *s = arg;
	const KalamLoadTarget *t;
	uint64_t	sum;

	(void) err;
	MUST(r->target < s->ntargets);
	t = &s->targets[r->target];
	MUST(r->key_len > KALAM_KEY_PREFIX_BYTES && r->key_len <= KALAM_MAX_KEY_BYTES);
	MUST(kalam_get_be32(r->key) == t->object_id);
	MUST(r->key[4] == (t->index_id == 0 ? KALAM_KEY_KIND_ROW : KALAM_KEY_KIND_INDEX));
	if (t->index_id != 0)
		MUST(r->key[5] == t->index_id >> 8 && r->key[6] == (t->index_id & 0xFF));
	MUST(r->value_len >= KALAM_VALUE_HEADER_BYTES && r->value[0] == KALAM_VALUE_FORMAT);
	sum = sum_of(r->key, r->key_len) + sum_of(r->value, r->value_len);
	MUST(sum <= 255 * (uint64_t) (r->key_len + r->value_len));
	if (s->exact)
	{
		const LoadRecord *p = &puts_[s->n].record;

		MUST(s->n < nputs && !puts_[s->n].declares);
		MUST(r->target == p->target && r->tag == p->tag && r->key_len == p->key_len &&
			 r->value_len == p->value_len);
		MUST(memcmp(r->key, p->key, p->key_len) == 0 && memcmp(r->value, p->value, p->value_len) == 0);
	}
	s->n++;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	uint8_t		how = take_byte(&in);
	uint8_t		where = take_byte(&in);
	uint32_t	change = (uint32_t) take_bytes(&in, 4);
	LoadStream	stream = {0};
	Seen		seen = {.exact = how % 4 == 0};
	LoadSink	sink = {on_declare, on_add, &seen};
	EngineError err = {0};
	bool		good = true;

	nbytes = nblocks = nputs = 0;
	if (how % 4 == 1)
	{
		/* bytes as they are */
		for (size_t n; in.size > 0 && nblocks < MAX_BLOCKS;)
		{
			Block	   *b = new_block(take_byte(&in) & KALAM_BLOCK_BIG);

			b->big_total = (uint32_t) take_bytes(&in, 2);
			n = (size_t) take_byte(&in) * 4;
			n = n < in.size ? n : in.size;
			append(b, in.data, n);
			in.data += n;
			in.size -= n;
		}
	}
	else
		make_stream(&in);
	if (how % 4 > 1 && nblocks > 0)
	{
		Block	   *b = &blocks[where % nblocks];

		if (how & 4)
			b->flags ^= KALAM_BLOCK_BIG;
		else if (how & 8)
			b->big_total ^= change;
		else if (how & 16)
			b->used -= change % (b->used + 1);
		else if (how & 32)
			nblocks = where % nblocks;
		else if (b->used > 0)
			b->data[change % b->used] ^= (uint8_t) (change >> 24);
	}
	for (uint32_t i = 0; good && i < nblocks; i++)
	{
		uint8_t    *copy = malloc(blocks[i].used > 0 ? blocks[i].used : 1);

		if (blocks[i].used > 0)
			memcpy(copy, blocks[i].data, blocks[i].used);
		good = load_stream_feed(&stream, copy, blocks[i].used, blocks[i].flags, blocks[i].big_total,
								&sink, &err);
		free(copy);
	}
	good = good && load_stream_end(&stream, &err);
	MUST(good || err.code == KALAM_ERR_PROTOCOL);
	if (seen.exact)
		MUST(good && seen.n == nputs);
	load_stream_free(&stream);
	for (uint32_t i = 0; i < MAX_BLOCKS; i++)
	{
		free(blocks[i].data);
		blocks[i].data = NULL;
	}
	return 0;
}
