/*
 * load_fixture.h
 *	  A backend's side of LOAD and LOAD_READ for tests, and short forms.
 */
#ifndef KALAM_TEST_LOAD_FIXTURE_H
#define KALAM_TEST_LOAD_FIXTURE_H

#include "test/unit/bulk_fixture.h"

#define MB (UINT64_C(1) << 20)

/* ---- writing ---- */

static inline uint64_t
new_number(void)
{
	return atomic_fetch_add(&store.seg->next_serial, 1);
}

/* Begins a load of the slot on one of the extra channels. */
static inline TestChannel
load_begin(uint32_t extra, uint32_t slot, uint64_t number, uint64_t memory)
{
	TestChannel c = test_extra_channel(&store, extra, slot);
	KalamRequest *r = test_begin(&c, KALAM_OP_LOAD);

	r->load = number;
	r->memory = memory;
	return c;
}

/* Publishes the block that is being filled. */
static inline void
load_publish(TestChannel *c, uint32_t flags)
{
	test_publish_block(c, flags);
	test_post(c, KALAM_LANE_LOAD);
	c->holds = false;
	c->left = 0;
}

/* Room for n bytes in a block.  NULL: the request is over. */
static inline uint8_t *
load_room(TestChannel *c, size_t n)
{
	KalamBlock *b;

	if (c->holds && c->left < n)
		load_publish(c, 0);
	if (!c->holds)
	{
		if (!test_room(c))
			return NULL;
		b = kalam_block(c->store->seg, c->ch, c->block);
		b->used = 0;
		b->big_total = 0;
		c->left = KALAM_BLOCK_DATA_BYTES;
		c->holds = true;
	}
	b = kalam_block(c->store->seg, c->ch, c->block);
	b->used += (uint32_t) n;
	c->left -= (uint32_t) n;
	return b->data + b->used - n;
}

/* Sends bytes that are a whole record, in pieces if they are large. */
static inline bool
load_send(TestChannel *c, const uint8_t *record, size_t size)
{
	uint8_t    *room;

	if (size <= KALAM_BLOCK_DATA_BYTES)
	{
		room = load_room(c, size);
		if (room != NULL)
			memcpy(room, record, size);
		return room != NULL;
	}
	if (c->holds)
		load_publish(c, 0);
	for (size_t at = 0, n; at < size; at += n)
	{
		n = size - at < KALAM_BLOCK_DATA_BYTES ? size - at : KALAM_BLOCK_DATA_BYTES;
		room = load_room(c, n);
		if (room == NULL)
			return false;
		memcpy(room, record + at, n);
		kalam_block(c->store->seg, c->ch, c->block)->big_total = (uint32_t) size;
		load_publish(c, KALAM_BLOCK_BIG);
	}
	return true;
}

static inline bool
load_record(TestChannel *c, const KalamLoadRecord *head, const void *key, const void *value)
{
	KalamLoadRecord h = *head;
	uint8_t		small[1024];
	uint8_t    *bytes;
	bool		good;

	h.value_offset = (uint16_t) (KALAM_ALIGN8(KALAM_LOAD_KEY_OFFSET + h.key_len) + 2);
	h.size = (uint32_t) KALAM_ALIGN8((uint64_t) h.value_offset + h.value_len);
	bytes = h.size <= sizeof(small) ? small : malloc(h.size);
	memset(bytes, 0x55, h.size < 4096 ? h.size : 4096);
	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + KALAM_LOAD_KEY_OFFSET, key, h.key_len);
	memcpy(bytes + h.value_offset, value, h.value_len);
	good = load_send(c, bytes, h.size);
	if (bytes != small)
		free(bytes);
	return good;
}

static inline bool
load_declare(TestChannel *c, uint16_t number, uint32_t object, uint16_t index, uint16_t flags)
{
	KalamLoadTarget t = {object, index, flags, {KALAM_COMPRESSION_LZ4, 10000}};
	KalamLoadRecord h = {
		.target = number, .value_len = sizeof(t), .flags = KALAM_LOAD_TARGET
	};

	return load_record(c, &h, "", &t);
}

/* The row that test_put would put, under the same number as tag of the record. */
static inline bool
load_put(TestChannel *c, uint16_t target, uint32_t object, uint64_t row, uint64_t line,
		 uint64_t tag, size_t size)
{
	uint8_t		key[TEST_KEY_BYTES];
	uint8_t    *value = malloc(8 + size);
	uint64_t	header = UINT64_C(1) << 8 | KALAM_VALUE_FORMAT;
	KalamLoadRecord h = {
		.key_len = sizeof(key), .target = target, .value_len = (uint32_t) (8 + size), .tag = line
	};
	bool		good;

	test_key(key, object, row);
	memcpy(value, &header, 8);
	memset(value + 8, (int) ('a' + tag % 26), size);
	if (size >= 8)
		memcpy(value + 8, &tag, 8);
	good = load_record(c, &h, key, value);
	free(value);
	return good;
}

/*
 * An entry of value n that leads to a row.  A unique one is one key: the suffix
 * is in the value.
 */
static inline bool
load_entry(TestChannel *c, uint16_t target, uint32_t object, uint16_t index, uint64_t n,
		   uint64_t row, uint64_t line, bool unique)
{
	uint8_t		key[KALAM_INDEX_KEY_PREFIX_BYTES + 16];
	uint8_t		value[KALAM_INDEX_VALUE_BYTES + 8] = {KALAM_VALUE_FORMAT};
	KalamLoadRecord h = {
		.key_len = (uint16_t) (sizeof(key) - (unique ? 8 : 0)), .target = target,
		.value_len = KALAM_INDEX_VALUE_BYTES + (unique ? 8 : 0), .tag = line
	};

	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_INDEX);
	key[KALAM_KEY_PREFIX_BYTES] = (uint8_t) (index >> 8);
	key[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) index;
	kalam_put_be64(key + KALAM_INDEX_KEY_PREFIX_BYTES, n);
	kalam_put_be64(key + KALAM_INDEX_KEY_PREFIX_BYTES + 8, row);
	if (unique)
		kalam_put_be64(value + KALAM_INDEX_VALUE_BYTES, row);
	else
		value[KALAM_VALUE_HEADER_BYTES] = 8;
	return load_record(c, &h, key, value);
}

/* Rows from .. to, in an order that is not theirs if step is not 1 (prime to their number). */
static inline bool
load_rows(TestChannel *c, uint16_t target, uint32_t object, uint64_t from, uint64_t to,
		  uint64_t step, uint64_t tag)
{
	uint64_t	n = to - from;

	for (uint64_t i = 0; i < n; i++)
		if (!load_put(c, target, object, from + i * step % n, i + 1, tag, 40))
			return false;
	return true;
}

static inline uint32_t
load_end(TestChannel *c)
{
	if (!c->holds && load_room(c, 0) == NULL)
		return test_finish(c);
	load_publish(c, KALAM_BLOCK_LAST);
	return test_finish(c);
}

/* One load of rows of one object. */
static inline uint32_t
load_object(uint32_t slot, uint64_t number, uint32_t object, uint64_t from, uint64_t to,
			uint64_t step, uint64_t tag)
{
	TestChannel c = load_begin(slot, slot, number, 4 * MB);

	load_declare(&c, 0, object, 0, KALAM_TARGET_UNIQUE);
	load_rows(&c, 0, object, from, to, step, tag);
	return load_end(&c);
}

static inline uint32_t
load_drop(uint32_t slot, uint64_t first, uint64_t last)
{
	TestChannel c = rpc(slot);
	KalamRequest *r = test_begin(&c, KALAM_OP_LOAD_DROP);

	r->load = first;
	r->load_last = last;
	test_post(&c, KALAM_LANE_LOAD);
	return test_finish(&c);
}

static inline bool
change_load(TestChannel *c, uint64_t number)
{
	return test_change(c, KALAM_CHANGE_LOAD, NULL, 0, &number, sizeof(number));
}

/* As a backend ends a stream: a short one is posted to the commit thread. */
static inline uint32_t
commit_loads(uint32_t slot, KalamOp op, uint64_t xid, const uint64_t *numbers, int n)
{
	TestChannel c = rpc(slot);

	begin_bulk(&c, op, xid);
	for (int i = 0; i < n; i++)
		change_load(&c, numbers[i]);
	return commit(&c);
}

static inline uint32_t
commit_load(uint32_t slot, uint64_t number)
{
	return commit_loads(slot, KALAM_OP_COMMIT, 0, &number, 1);
}

/* ---- reading ---- */

static inline TestChannel
load_read_begin(uint32_t slot, uint64_t number)
{
	TestChannel c = scan_channel(slot);

	test_begin(&c, KALAM_OP_LOAD_READ)->load = number;
	test_post(&c, KALAM_LANE_LOAD);
	return c;
}

/* The next record, valid until the next call, or NULL at the end (see c->code). */
static inline const KalamLoadRecord *
load_read_next(TestChannel *c)
{
	uint64_t	have = 0;

	free(c->big);
	c->big = NULL;
	for (;;)
	{
		KalamBlock *b;

		if (c->holds)
		{
			b = kalam_block(c->store->seg, c->ch, c->next_block);
			if (!(b->flags & KALAM_BLOCK_BIG) && c->at < b->used)
			{
				const KalamLoadRecord *r = (const KalamLoadRecord *) (b->data + c->at);

				c->at += r->size;
				return r;
			}
			c->holds = false;
			c->next_block++;
			atomic_store_explicit(&c->ch->consumed, c->next_block, memory_order_release);
			if (!c->last)
				test_post(c, KALAM_LANE_LOAD);
		}
		b = test_next_block(c);
		if (b == NULL)
			return NULL;
		if (b->flags & KALAM_BLOCK_BIG)
		{
			if (c->big == NULL)
				c->big = malloc(b->big_total);
			memcpy(c->big + have, b->data, b->used);
			have += b->used;
			if (have == b->big_total)
				return (const KalamLoadRecord *) c->big;
		}
	}
}

static inline const uint8_t *
load_record_key(const KalamLoadRecord *r)
{
	return (const uint8_t *) r + KALAM_LOAD_KEY_OFFSET;
}

static inline const uint8_t *
load_record_value(const KalamLoadRecord *r)
{
	return (const uint8_t *) r + r->value_offset;
}

/* Records of keys that a load has, or -1; all in order. */
static inline long
load_count(uint32_t slot, uint64_t number)
{
	TestChannel c = load_read_begin(slot, number);
	const KalamLoadRecord *r;
	long		n = 0;
	uint8_t		last[KALAM_MAX_KEY_BYTES];
	size_t		last_len = 0;
	uint16_t	target = 0;

	while ((r = load_read_next(&c)) != NULL)
	{
		size_t		common = r->key_len < last_len ? r->key_len : last_len;
		int			order;

		if (r->flags & KALAM_LOAD_TARGET)
			continue;
		order = memcmp(last, load_record_key(r), common);
		if (n > 0 && r->target == target)
			CHECK(order < 0 || (order == 0 && last_len < r->key_len));
		target = r->target;
		last_len = r->key_len;
		memcpy(last, load_record_key(r), last_len);
		n++;
	}
	return c.code == KALAM_OK ? n : -1;
}

#endif
