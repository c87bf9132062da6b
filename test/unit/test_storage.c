/*
 * test_storage.c
 *	  The storage program over its channels: this process is supervisor and
 *	  backends at once.  Usage: test_storage PROGRAM
 */
#include <fcntl.h>
#include <pthread.h>

#include "test/unit/store_fixture.h"

/* ---- start ---- */

static void
test_only_the_supervisor_is_served_while_recovering(void)
{
	TestChannel c = rpc(0);
	TestChannel s = test_channel(&store, KALAM_SCAN_CHANNEL(test_supervisor_slot(&store)));
	KalamRequest *r;

	REQUIRE(test_store_start(&store));
	CHECK(atomic_load(&store.seg->pub) > 0);
	CHECK_EQUAL(atomic_load(&store.seg->pub), atomic_load(&store.seg->recovered) + 1);
	CHECK_EQUAL(atomic_load(&store.seg->floor), atomic_load(&store.seg->pub));
	test_begin(&c, KALAM_OP_COMMIT);
	test_create(&c, 299, 1, 0);
	CHECK_EQUAL(commit(&c), KALAM_ERR_NOT_READY);
	test_scan_begin(&c, 1, 0, KALAM_SCAN_NEWEST);
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_NOT_READY);
	r = test_scan_begin(&s, KALAM_OBJECT_PENDING, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS);
	kalam_put_be32(r->lower, KALAM_OBJECT_PENDING);
	kalam_put_be32(r->upper, KALAM_OBJECT_PENDING + 1);
	r->lower_len = r->upper_len = 4;
	test_post(&s, KALAM_LANE_READ);
	CHECK_EQUAL(test_drain(&s), 0);
	CHECK_EQUAL(test_serve(&store), KALAM_OK);
	CHECK_EQUAL(atomic_load(&store.seg->state), KALAM_STORAGE_READY);
	CHECK(atomic_load(&store.seg->floor) == atomic_load(&store.seg->pub));
}

/* ---- scans ---- */

static void
test_scans(void)
{
	uint64_t	n = 5000;
	uint32_t	id = make_object(n, 100);
	TestChannel c = scan_channel(0);
	const KalamRow *row;
	KalamRequest *r;
	uint64_t	i,
				blocks;
	KalamBlock *b;

	/* forward, with keys */
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS);
	test_post(&c, KALAM_LANE_READ);
	for (i = 0; (row = test_next(&c)) != NULL; i++)
	{
		size_t		len;
		const uint8_t *body = test_row_body(row, &len);

		if (len != 100 || body[99] != 'a' + i % 26 || test_row_tag(row) != i ||
			test_row_number(row) != i || row->version != (1 << 8 | 1) || row->size % 8 != 0 ||
			row->key_len != TEST_KEY_BYTES)
			break;
	}
	CHECK_EQUAL(i, n);
	CHECK_EQUAL(c.code, KALAM_OK);

	/* backwards */
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS | KALAM_SCAN_REVERSE);
	test_post(&c, KALAM_LANE_READ);
	for (i = n; (row = test_next(&c)) != NULL; i--)
		if (test_row_number(row) != i - 1)
			break;
	CHECK_EQUAL(i, 0);

	/* a part, without its lower end, in both directions */
	for (uint32_t reverse = 0; reverse <= KALAM_SCAN_REVERSE; reverse++)
	{
		r = test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_AFTER_LOWER | reverse);
		test_range(r, 100, 200);
		test_post(&c, KALAM_LANE_READ);
		row = test_next(&c);
		REQUIRE(row != NULL);
		CHECK_EQUAL(test_row_tag(row), reverse ? 199 : 101);
		CHECK_EQUAL(test_drain(&c), 98);
	}

	/* not more than asked for, and nothing from an empty range */
	for (uint64_t max = 1; max < 3000; max = max * 3 + 1)
	{
		r = test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST);
		r->max_rows = max;
		test_post(&c, KALAM_LANE_READ);
		CHECK_EQUAL(test_drain(&c), max);
	}
	r = test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST);
	test_range(r, 200, 200);
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_drain(&c), 0);
	r = test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST);
	test_range(r, 300, 200);
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_drain(&c), 0);

	/* blocks grow, and each says where to take up again */
	r = test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST);
	r->first_bytes = 1000;
	test_post(&c, KALAM_LANE_READ);
	b = test_next_block(&c);
	REQUIRE(b != NULL);
	test_sleep_ms(20);
	CHECK_EQUAL(atomic_load(&c.ch->filled), 1);	/* nothing ahead of the first */
	CHECK(b->used >= 1000 && b->used < 1300);
	i = b->nrows;
	CHECK_EQUAL(b->resume_len, TEST_KEY_BYTES);
	CHECK_EQUAL(kalam_get_be64(b->data + b->resume_offset + 5), i - 1);
	b = test_next_block(&c);
	REQUIRE(b != NULL);
	CHECK(b->used >= 4000 && b->used < 4300);
	test_sleep_ms(20);
	CHECK_EQUAL(atomic_load(&c.ch->filled), 1 + KALAM_CHANNEL_BLOCKS);
	i += b->nrows;
	while ((b = test_next_block(&c)) != NULL)
	{
		i += b->nrows;
		CHECK_EQUAL(kalam_get_be64(b->data + b->resume_offset + 5), i - 1);
	}
	CHECK_EQUAL(i, n);

	/* counting */
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_COUNT);
	test_post(&c, KALAM_LANE_READ);
	for (i = blocks = 0; (b = test_next_block(&c)) != NULL; blocks++)
		i += b->nrows;
	CHECK_EQUAL(i, n);
	CHECK_EQUAL(blocks, 1);

	/* points */
	CHECK_EQUAL(point(0, id, 77, 0), 77);
	CHECK_EQUAL(point(0, id, n, 0), -1);
}

static void
test_big_rows(void)
{
	size_t		block = KALAM_BLOCK_DATA_BYTES;
	size_t		sizes[] = {16, block - 500, block - 100, block - 40, block - 14, block + 5000,
		2 * block, 100 << 20, 40, block, 30};
	int			n = sizeof(sizes) / sizeof(sizes[0]);
	uint32_t	id = make_object(0, 0);
	TestChannel c = rpc(0);
	const KalamRow *row;
	int			i;
	size_t		len;

	if (SLOW)
		sizes[7] = 10 << 20;
	for (i = 0; i < n; i++)
	{
		test_begin(&c, KALAM_OP_COMMIT)->serial = 7;
		test_put(&c, id, (uint64_t) i, 7, (uint64_t) i, sizes[i]);
		CHECK_EQUAL(commit(&c), KALAM_OK);
	}
	for (uint32_t flags = 0; flags <= (KALAM_SCAN_KEYS | KALAM_SCAN_REVERSE); flags++)
	{
		test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | flags);
		if (flags & KALAM_SCAN_POINT)
			continue;
		test_post(&c, KALAM_LANE_READ);
		for (i = 0; (row = test_next(&c)) != NULL; i++)
		{
			uint64_t	expect = (uint64_t) (flags & KALAM_SCAN_REVERSE ? n - 1 - i : i);
			const uint8_t *body = test_row_body(row, &len);

			CHECK_EQUAL(len, sizes[expect]);
			CHECK_EQUAL(test_row_tag(row), expect);
			CHECK(body[len - 1] == 'a' + expect && body[len / 2] == 'a' + expect);
			if (flags & KALAM_SCAN_KEYS)
				CHECK_EQUAL(test_row_number(row), expect);
		}
		CHECK_EQUAL(i, n);
		CHECK_EQUAL(c.code, KALAM_OK);
	}
	for (i = 0; i < n; i++)
	{
		KalamRequest *r = test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_POINT |
										  KALAM_SCAN_KEYS);

		test_range(r, (uint64_t) i, 0);
		test_post(&c, KALAM_LANE_READ);
		row = test_next(&c);
		REQUIRE(row != NULL);
		test_row_body(row, &len);
		CHECK_EQUAL(len, sizes[i]);
		CHECK_EQUAL(test_row_number(row), i);
		CHECK(test_next(&c) == NULL);
	}
}

static uint16_t
recheck(uint32_t id, uint64_t row, uint64_t stamp, int64_t *tag)
{
	TestChannel c = rpc(1);
	KalamRequest *r = test_scan_begin(&c, id, stamp,
									  KALAM_SCAN_POINT | KALAM_SCAN_NEWEST | KALAM_SCAN_RECHECK);
	const KalamRow *found;
	uint16_t	flags;

	test_range(r, row, 0);
	test_post(&c, KALAM_LANE_READ);
	found = test_next(&c);
	REQUIRE(found != NULL);
	flags = found->flags;
	*tag = flags & KALAM_ROW_ABSENT ? -1 : (int64_t) test_row_tag(found);
	CHECK(test_next(&c) == NULL);
	return flags;
}

static void
test_recheck(void)
{
	uint32_t	id = make_object(3, 16);
	uint64_t	stamp = test_pin(&store, 1, 0);
	TestChannel c = rpc(0);
	int64_t		tag;

	CHECK_EQUAL(recheck(id, 0, stamp, &tag), KALAM_ROW_EXISTED);
	CHECK_EQUAL(tag, 0);
	CHECK_EQUAL(recheck(id, 9, stamp, &tag), KALAM_ROW_ABSENT);
	put_one(0, id, 0, 2, 50, 0);
	put_one(0, id, 9, 3, 51, 0);
	test_begin(&c, KALAM_OP_COMMIT);
	test_delete(&c, id, 1);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(recheck(id, 0, stamp, &tag), KALAM_ROW_EXISTED | KALAM_ROW_CHANGED);
	CHECK_EQUAL(tag, 50);
	CHECK_EQUAL(recheck(id, 1, stamp, &tag),
				KALAM_ROW_EXISTED | KALAM_ROW_CHANGED | KALAM_ROW_ABSENT);
	CHECK_EQUAL(recheck(id, 9, stamp, &tag), KALAM_ROW_CHANGED);
	CHECK_EQUAL(tag, 51);
	CHECK_EQUAL(recheck(id, 2, stamp, &tag), KALAM_ROW_EXISTED);
	CHECK_EQUAL(point(1, id, 0, stamp), 0);
	CHECK_EQUAL(point(1, id, 1, stamp), 1);
	CHECK_EQUAL(point(1, id, 9, stamp), -1);
	test_unpin(&store, 1, 0);
}

static uint64_t
exists(uint32_t id, const uint64_t *rows, size_t n, uint32_t *code)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_EXISTS);
	for (size_t i = 0; i < n; i++)
	{
		uint8_t		entry[2 + TEST_KEY_BYTES];
		uint16_t	len = TEST_KEY_BYTES;

		memcpy(entry, &len, 2);
		test_key(entry + 2, id, rows[i]);
		if (!test_write(&c, entry, sizeof(entry)))
			break;
	}
	if (!c.posted || !test_is_done(&c))
		test_end(&c);
	*code = test_finish(&c);
	return c.ch->result.position;
}

static void
test_exists(void)
{
	uint32_t	id = make_object(0, 0);
	size_t		n = 30000;
	uint64_t   *rows = malloc(n * sizeof(uint64_t));
	TestChannel c = rpc(0);
	uint32_t	code;

	test_begin(&c, KALAM_OP_COMMIT);
	for (uint64_t i = 0; i < 1000; i++)
		test_put(&c, id, 1000000 + i * 10, 1, i, 16);
	CHECK_EQUAL(commit(&c), KALAM_OK);

	for (size_t i = 0; i < n; i++)
		rows[i] = i;
	CHECK(exists(id, rows, n, &code) == UINT64_MAX && code == KALAM_OK);
	rows[n - 1] = 1000010;
	CHECK_EQUAL(exists(id, rows, n, &code), n - 1);
	rows[12345] = 1000020;		/* out of order now */
	CHECK_EQUAL(exists(id, rows, n, &code), 12345);
	rows[0] = 1000030;
	CHECK_EQUAL(exists(id, rows, n, &code), 0);
	for (size_t i = 0; i < n; i++)
		rows[i] = 1000001 + i / 9 * 10 + i % 9; /* between the others */
	CHECK(exists(id, rows, n, &code) == UINT64_MAX && code == KALAM_OK);
	rows[3333] = 1000000;
	CHECK_EQUAL(exists(id, rows, n, &code), 3333);
	CHECK(exists(id, rows, 0, &code) == UINT64_MAX && code == KALAM_OK);
	exists(9999999, rows, 1, &code);
	CHECK_EQUAL(code, KALAM_ERR_NO_OBJECT);
	free(rows);
}

static void
test_many_cursors(void)
{
	uint64_t	n = 3000;
	uint32_t	id = make_object(n, 120);
	TestChannel cursors[70];
	uint64_t	at[70] = {0};
	int			open = 70;
	TestChannel c = rpc(0);

	for (int i = 0; i < 70; i++)
	{
		cursors[i] = test_extra_channel(&store, (uint32_t) i, (uint32_t) i % 5);
		test_scan_begin(&cursors[i], id, test_pin(&store, (uint32_t) i % 5, 1), 0);
		test_post(&cursors[i], KALAM_LANE_READ);
	}
	for (int step = 0; open > 0; step++)
	{
		for (int i = 0; i < 70; i++)
		{
			const KalamRow *row = NULL;

			if (at[i] > n)
				continue;
			for (int k = 0; k < 1 + i && (row = test_next(&cursors[i])) != NULL; k++)
				if (test_row_tag(row) != at[i]++)
					CHECK(!"row out of order");
			if (row == NULL)
			{
				CHECK_EQUAL(at[i], n);
				CHECK_EQUAL(cursors[i].code, KALAM_OK);
				at[i] = n + 1;
				open--;
			}
		}
		if (step == 5)
		{
			/* the cursors rest, while their rows change and files move */
			test_begin(&c, KALAM_OP_COMMIT);
			for (uint64_t i = 0; i < n; i++)
				test_delete(&c, id, i);
			CHECK_EQUAL(commit(&c), KALAM_OK);
			test_begin(&c, KALAM_OP_COMPACT)->object_id = id;
			test_post(&c, KALAM_LANE_READ);
			CHECK_EQUAL(test_finish(&c), KALAM_OK);
			test_sleep_ms(2300);
		}
	}
	for (uint32_t i = 0; i < 5; i++)
		test_unpin(&store, i, 1);
	CHECK_EQUAL(count_rows(0, id, 0), 0);
}

static void
test_cancel_in_mid_scan(void)
{
	uint64_t	n = 20000;
	uint32_t	id = make_object(n, 100);
	TestChannel c = scan_channel(0);

	for (uint32_t i = 0; i < 200; i++)
	{
		uint32_t	code;

		test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | (i % 3 == 0 ? KALAM_SCAN_COUNT : 0));
		test_post(&c, KALAM_LANE_READ);
		for (uint32_t k = 0; i % 3 != 0 && k < i; k++)
			test_next(&c);
		test_cancel(&c, KALAM_LANE_READ);
		code = test_finish(&c);
		CHECK(code == KALAM_ERR_CANCELED || code == KALAM_OK);
		if (i % 3 != 0)
			CHECK_EQUAL(code, KALAM_ERR_CANCELED);
	}
	CHECK_EQUAL(count_rows(0, id, 0), n);
}

static void
test_ranges_of_deleted_rows(void)
{
	uint64_t	n = SLOW ? 60000 : 400000;
	uint32_t	id = make_object(n, 16);
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT);
	for (uint64_t i = 1; i < n - 1; i++)
		test_delete(&c, id, i);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 2);
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_REVERSE);
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_drain(&c), 2);
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_COUNT);
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_next_block(&c)->nrows, 2);
	CHECK(test_next_block(&c) == NULL);
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST)->max_rows = 1;
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_drain(&c), 1);
}

static void
test_wrong_requests(void)
{
	uint32_t	id = make_object(10, 16);
	TestChannel c = rpc(0);
	KalamRequest *r;

#define EXPECT(code) \
	do { \
		test_post(&c, KALAM_LANE_READ); \
		CHECK_EQUAL(test_finish(&c), code); \
		if (code != KALAM_OK) \
			CHECK(c.ch->result.message[0] != '\0'); \
	} while (0)

	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST)->lower_len = 0;
	EXPECT(KALAM_ERR_PROTOCOL);
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST)->upper_len = 0;
	EXPECT(KALAM_ERR_PROTOCOL);
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST)->upper_len = 60000;
	EXPECT(KALAM_ERR_PROTOCOL);
	r = test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST);
	kalam_put_be32(r->upper, id + 2);
	EXPECT(KALAM_ERR_PROTOCOL);
	test_scan_begin(&c, 4000000, 0, KALAM_SCAN_NEWEST);
	EXPECT(KALAM_ERR_NO_OBJECT);
	test_scan_begin(&c, id, 0, 0);
	EXPECT(KALAM_ERR_STAMP_GONE);
	test_scan_begin(&c, id, atomic_load(&store.seg->pub) + 5, 0);
	EXPECT(KALAM_ERR_STAMP_GONE);
	test_scan_begin(&c, id, 0, KALAM_SCAN_RECHECK);
	EXPECT(KALAM_ERR_PROTOCOL);
	test_begin(&c, (KalamOp) 77);
	EXPECT(KALAM_ERR_PROTOCOL);
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST);
	atomic_store(&c.ch->consumed, 9);
	EXPECT(KALAM_ERR_PROTOCOL);
	test_begin(&c, KALAM_OP_STAT)->object_id = 4000000;
	EXPECT(KALAM_ERR_NO_OBJECT);

	/* for another storage process: not touched */
	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST)->epoch += 1;
	test_post(&c, KALAM_LANE_READ);
	test_sleep_ms(50);
	CHECK(!test_is_done(&c));
	atomic_store(&c.ch->done, atomic_load(&c.ch->generation));

	/* broken streams */
	for (int i = 0; i < 7; i++)
	{
		KalamChange h = {KALAM_CHANGE_PUT, 0, TEST_KEY_BYTES, 16};
		uint8_t		key[TEST_KEY_BYTES];
		uint8_t		value[16] = {KALAM_VALUE_FORMAT};

		test_key(key, id, 1);
		test_begin(&c, KALAM_OP_COMMIT);
		test_put(&c, id, 100, 1, 1, 16);
		if (i == 0)
			h.op = 9;
		else if (i == 1)
			h.key_len = 3;
		else if (i == 2)
			h.key_len = KALAM_MAX_KEY_BYTES + 1;
		else if (i == 3)
			h.value_len = 5000;	/* more than there is */
		else if (i == 4)
			value[0] = 9;
		else if (i == 5)
			kalam_put_be32(key, KALAM_OBJECT_PENDING);
		else
			h.flags = 1;
		test_write(&c, &h, sizeof(h));
		test_write(&c, key, sizeof(key));
		test_write(&c, value, 16);
		CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
		c.ch->req.op = KALAM_OP_NONE;
	}
	test_begin(&c, KALAM_OP_COMMIT);
	test_put(&c, id, 101, 1, 1, 16);
	kalam_block(store.seg, c.ch, 0)->used = KALAM_BLOCK_BYTES;
	CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
	CHECK_EQUAL(count_rows(0, id, 0), 10);
#undef EXPECT
}

/* ---- commits ---- */

static void
test_commits(void)
{
	uint32_t	id = make_object(0, 0);
	TestChannel c = rpc(0);
	uint64_t	pub = atomic_load(&store.seg->pub);
	uint64_t	rows = SLOW ? 20000 : 200000;
	uint8_t		key[TEST_KEY_BYTES];
	_Atomic uint64_t *bucket;

	CHECK_EQUAL(put_one(0, id, 1, 5, 11, KALAM_COMMIT_SYNC), KALAM_OK);
	CHECK_EQUAL(c.ch->result.commit_stamp, pub + 1);
	CHECK_EQUAL(atomic_load(&store.seg->pub), pub + 1);
	test_key(key, id, 1);
	bucket = kalam_bucket(store.seg, kalam_hash(key, sizeof(key), 0));
	CHECK_EQUAL(atomic_load(bucket), pub + 1);
	CHECK_EQUAL(put_one(0, id, 1, 5, 12, 0), KALAM_OK);
	CHECK_EQUAL(point(0, id, 1, 0), 12);
	CHECK_EQUAL(atomic_load(bucket), pub + 2);
	CHECK_EQUAL(atomic_load(&kalam_object_stamps(store.seg, id)->any), pub + 2);
	CHECK(atomic_load(&kalam_object_stamps(store.seg, id)->all) <= pub);

	/* one that names an unknown object leaves nothing behind */
	for (uint64_t many = 1; many <= 3000; many += 2999)
	{
		test_begin(&c, KALAM_OP_COMMIT);
		for (uint64_t i = 0; i < many; i++)
			test_put(&c, id, 5000 + i, 1, 1, 60);
		test_put(&c, 4000000, 1, 1, 1, 16);
		test_put(&c, id, 9000, 1, 1, 16);
		CHECK_EQUAL(commit(&c), KALAM_ERR_NO_OBJECT);
		CHECK_EQUAL(count_rows(0, id, 0), 1);
	}

	/* later changes of a stream win; an empty one is fine */
	test_begin(&c, KALAM_OP_COMMIT);
	test_put(&c, id, 2, 1, 1, 16);
	test_put(&c, id, 2, 1, 2, 16);
	test_delete(&c, id, 1);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(point(0, id, 2, 0), 2);
	CHECK_EQUAL(count_rows(0, id, 0), 1);
	test_begin(&c, KALAM_OP_COMMIT);
	CHECK_EQUAL(commit(&c), KALAM_OK);

	/* a large one: all or nothing is visible, and all is stamped */
	test_begin(&c, KALAM_OP_COMMIT)->flags = KALAM_COMMIT_SYNC;
	for (uint64_t i = 0; i < rows; i++)
		test_put(&c, id, i, 1, i, 100);
	CHECK_EQUAL(count_rows(1, id, 0), 1);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(count_rows(1, id, 0), rows);
	CHECK_EQUAL(atomic_load(&kalam_object_stamps(store.seg, id)->all), c.ch->result.commit_stamp);
	CHECK_EQUAL(c.ch->result.commit_stamp, atomic_load(&store.seg->pub));

	/* one that is canceled before its end */
	test_begin(&c, KALAM_OP_COMMIT);
	for (uint64_t i = 0; i < 3000; i++)
		test_delete(&c, id, i);
	for (uint64_t i = 0; i < 3000; i++)
		test_put(&c, id, rows + i, 1, i, 100);
	test_cancel(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_CANCELED);
	CHECK_EQUAL(count_rows(1, id, 0), rows);
}

static void
test_prepared(void)
{
	uint32_t	id = make_object(5, 16);
	TestChannel c = rpc(0);
	TestChannel s;
	KalamRequest *r;
	const KalamRow *row;
	uint32_t	created = next_object++;
	KalamLockRecord locks[3] = {{.object_id = id, .mode = 3}};

	for (uint64_t xid = 700; xid < 704; xid++)
	{
		uint64_t	many = xid < 702 ? 1 : 2000;

		r = test_begin(&c, KALAM_OP_PREPARE);
		r->full_xid = xid;
		r->serial = xid;
		for (uint64_t i = 0; i < many; i++)
			test_put(&c, id, xid * 10000 + i, xid, xid, 60);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		CHECK_EQUAL(count_rows(0, id, 0), 5);
	}
	CHECK_EQUAL(atomic_load(&store.seg->pending), 4);
	CHECK_EQUAL(resolve(700, true), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 6);
	CHECK_EQUAL(resolve(701, false), KALAM_OK);
	CHECK_EQUAL(resolve(702, false), KALAM_OK);
	CHECK_EQUAL(resolve(701, true), KALAM_OK);	/* not there: nothing happens */
	CHECK_EQUAL(count_rows(0, id, 0), 6);
	CHECK_EQUAL(atomic_load(&store.seg->pending), 1);

	/* row locks are kept, and change nothing */
	r = test_begin(&c, KALAM_OP_PREPARE);
	r->full_xid = 705;
	test_change(&c, KALAM_CHANGE_LOCKS, NULL, 0, locks, sizeof(locks));
	test_put(&c, id, 7050000, 705, 705, 60);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(resolve(705, true), KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 7);
	r = test_begin(&c, KALAM_OP_PREPARE);
	r->full_xid = 706;
	test_change(&c, KALAM_CHANGE_LOCKS, NULL, 0, locks, 7);
	CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);

	/* one that makes an object, and one on an object that does not exist */
	r = test_begin(&c, KALAM_OP_PREPARE);
	r->full_xid = 710;
	r->serial = 1u << 20;
	test_put(&c, created, 1, 710, 42, 16);
	test_create(&c, created, 2, 1000);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	test_begin(&c, KALAM_OP_PREPARE)->full_xid = 711;
	test_put(&c, 4000000, 1, 1, 1, 16);
	CHECK_EQUAL(commit(&c), KALAM_ERR_NO_OBJECT);
	CHECK_EQUAL(count_rows(0, created, 0), -1);

	/* they outlive the process; the supervisor resolves them first */
	test_store_kill(&store, SIGKILL);
	REQUIRE(test_store_start(&store));
	CHECK_EQUAL(atomic_load(&store.seg->pending), 2);
	CHECK(atomic_load(&store.seg->next_object_id) > created);
	CHECK(atomic_load(&store.seg->next_serial) > 1u << 20);
	s = test_channel(&store, KALAM_SCAN_CHANNEL(test_supervisor_slot(&store)));
	r = test_scan_begin(&s, KALAM_OBJECT_PENDING, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS);
	kalam_put_key_prefix(r->lower, KALAM_OBJECT_PENDING, KALAM_KEY_KIND_META);
	kalam_put_key_prefix(r->upper, KALAM_OBJECT_PENDING, KALAM_KEY_KIND_META + 1);
	test_post(&s, KALAM_LANE_READ);
	row = test_next(&s);
	REQUIRE(row != NULL);
	CHECK_EQUAL(test_row_number(row), 703);
	row = test_next(&s);
	REQUIRE(row != NULL);
	CHECK_EQUAL(test_row_number(row), 710);
	CHECK(test_next(&s) == NULL);
	s = test_channel(&store, KALAM_RPC_CHANNEL(test_supervisor_slot(&store)));
	for (uint64_t xid = 703; xid <= 710; xid += 7)
	{
		r = test_begin(&s, KALAM_OP_RESOLVE);
		r->full_xid = xid;
		r->flags = KALAM_RESOLVE_APPLY;
		test_post(&s, KALAM_LANE_COMMIT);
		CHECK_EQUAL(test_finish(&s), KALAM_OK);
	}
	CHECK_EQUAL(atomic_load(&store.seg->pending), 0);
	REQUIRE(test_serve(&store) == KALAM_OK);
	CHECK_EQUAL(count_rows(0, id, 0), 2007);
	CHECK_EQUAL(point(0, created, 1, 0), 42);
}

static void
test_objects(void)
{
	TestChannel c = rpc(0);
	TestChannel s = scan_channel(0);
	uint32_t	id,
				other;
	uint64_t	rows = 3000;

	for (int large = 0; large <= 1; large++)
	{
		uint64_t	n = large ? rows : 3;

		/* rows before their object */
		id = next_object++;
		test_begin(&c, KALAM_OP_COMMIT);
		for (uint64_t i = 0; i < n; i++)
			test_put(&c, id, i, 1, i, 60);
		test_create(&c, id, 1, 10000);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		CHECK_EQUAL(count_rows(0, id, 0), n);

		/* created and dropped at once: dropped */
		other = next_object++;
		test_begin(&c, KALAM_OP_COMMIT);
		test_drop(&c, other);
		for (uint64_t i = 0; i < n; i++)
			test_put(&c, other, i, 1, i, 60);
		test_create(&c, other, 1, 10000);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		CHECK_EQUAL(count_rows(0, other, 0), -1);
		CHECK_EQUAL(s.ch->result.code, KALAM_ERR_NO_OBJECT);

		/* a failed commit leaves no object */
		other = next_object++;
		test_begin(&c, KALAM_OP_COMMIT);
		test_create(&c, other, 1, 10000);
		for (uint64_t i = 0; i < n; i++)
			test_put(&c, other, i, 1, i, 60);
		test_put(&c, 4000000, 1, 1, 1, 16);
		CHECK_EQUAL(commit(&c), KALAM_ERR_NO_OBJECT);
		CHECK_EQUAL(count_rows(0, other, 0), -1);
		test_begin(&c, KALAM_OP_COMMIT);
		test_create(&c, other, 0, 0);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		CHECK_EQUAL(count_rows(0, other, 0), 0);

		/* a cursor goes on reading what is dropped, others find nothing */
		test_scan_begin(&s, id, 0, KALAM_SCAN_NEWEST)->first_bytes = 100;
		test_post(&s, KALAM_LANE_READ);
		CHECK(test_next(&s) != NULL);
		test_begin(&c, KALAM_OP_COMMIT);
		test_drop(&c, id);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		CHECK_EQUAL(test_drain(&s), n - 1);
		CHECK_EQUAL(count_rows(0, id, 0), -1);
		test_begin(&c, KALAM_OP_COMMIT);
		test_drop(&c, id);
		CHECK_EQUAL(commit(&c), KALAM_ERR_NO_OBJECT);
	}

	/* wrong ones */
	test_begin(&c, KALAM_OP_COMMIT);
	test_create(&c, other, 1, 0);
	CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
	test_begin(&c, KALAM_OP_COMMIT);
	test_create(&c, 5, 1, 0);
	CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
	test_begin(&c, KALAM_OP_COMMIT);
	test_create(&c, next_object++, 9, 0);
	CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, KALAM_OBJECT_CATALOG);
	CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
}

/* Ids at the ends of a byte, and of all. */
static const uint16_t index_ids[] = {1, 254, 255, 256, 0x7FFF, 0xFFFE, 0xFFFF};

#define NINDEX_IDS (sizeof(index_ids) / sizeof(index_ids[0]))

static void
expect_entries(uint32_t id, size_t none, long n)
{
	for (size_t i = 0; i < NINDEX_IDS; i++)
		CHECK_EQUAL(count_entries(0, id, index_ids[i], 0), i == none ? 0 : n);
	CHECK_EQUAL(count_rows(0, id, 0), n);
}

/* All that happens to the indexes of one object leaves its neighbour's alone. */
static void
drop_indexes(void)
{
	TestChannel c = rpc(0);
	long		n = 50;
	uint32_t	id = make_object((uint64_t) n, 100);
	uint32_t	neighbour = make_object((uint64_t) n, 100);
	uint64_t	before;

	test_begin(&c, KALAM_OP_COMMIT);
	for (size_t i = 0; i < NINDEX_IDS; i++)
		for (long k = 0; k < n; k++)
		{
			test_put_entry(&c, id, index_ids[i], (uint64_t) k);
			test_put_entry(&c, neighbour, index_ids[i], (uint64_t) k);
		}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	expect_entries(id, NINDEX_IDS, n);
	for (size_t i = 0; i < NINDEX_IDS; i++)
	{
		/* what the same transaction wrote before goes as well */
		before = test_pin(&store, 1, 1);
		test_begin(&c, i % 2 ? KALAM_OP_PREPARE : KALAM_OP_COMMIT)->full_xid = 70 + i;
		test_put_entry(&c, id, index_ids[i], 1000);
		test_drop_index(&c, id, index_ids[i]);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		if (i % 2)
		{
			expect_entries(id, NINDEX_IDS, n);
			CHECK_EQUAL(resolve(70 + i, true), KALAM_OK);
		}
		expect_entries(id, i, n);
		expect_entries(neighbour, NINDEX_IDS, n);
		CHECK_EQUAL(count_entries(1, id, index_ids[i], before), n);
		test_unpin(&store, 1, 1);
		/* and what it writes later stays */
		test_begin(&c, KALAM_OP_COMMIT);
		test_drop_index(&c, id, index_ids[i]);
		for (long k = 0; k < n; k++)
			test_put_entry(&c, id, index_ids[i], (uint64_t) k);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		expect_entries(id, NINDEX_IDS, n);
	}

	/* with the object */
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, id);
	test_drop_index(&c, id, 1);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(count_entries(0, id, 1, 0), -1);
	expect_entries(neighbour, NINDEX_IDS, n);
}

static void
test_indexes(void)
{
	TestChannel c = rpc(0);

	drop_indexes();

	/* of an object that comes later in the stream, or does not exist */
	test_begin(&c, KALAM_OP_COMMIT);
	test_put_entry(&c, next_object, 3, 1);
	test_drop_index(&c, next_object, 3);
	test_put_entry(&c, next_object, 3, 2);
	test_create(&c, next_object, 1, 0);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(count_entries(0, next_object++, 3, 0), 1);
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop_index(&c, 4000000, 3);
	CHECK_EQUAL(commit(&c), KALAM_ERR_NO_OBJECT);
	for (uint32_t id = KALAM_OBJECT_NONE; id <= KALAM_OBJECT_PENDING; id++)
		for (int prepared = 0; prepared <= 1; prepared++)
		{
			test_begin(&c, prepared ? KALAM_OP_PREPARE : KALAM_OP_COMMIT)->full_xid = 90;
			test_drop_index(&c, id, 3);
			CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
		}
}

static void
test_upkeep(void)
{
	uint64_t	n = 20000;
	uint32_t	id = make_object(n, 100);
	TestChannel c = rpc(0);

	for (KalamOp op = KALAM_OP_FLUSH; op <= KALAM_OP_COMPACT; op++)
	{
		test_begin(&c, op)->object_id = id;
		test_post(&c, KALAM_LANE_READ);
		CHECK_EQUAL(test_finish(&c), KALAM_OK);
		test_begin(&c, op)->object_id = id;
		test_post(&c, KALAM_LANE_READ);
		test_cancel(&c, KALAM_LANE_READ);
		test_finish(&c);
	}
	test_begin(&c, KALAM_OP_STAT)->object_id = id;
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_OK);
	CHECK_EQUAL(c.ch->result.rows, n);
	CHECK(c.ch->result.bytes > 10000 && c.ch->result.bytes < 10000000);
	CHECK_EQUAL(count_rows(0, id, 0), n);
}

/* ---- snapshots while commits go on ---- */

#define ACCOUNTS 64

static _Atomic bool stop;
static uint32_t accounts;
static _Atomic long transfers;

/* Moves 1 between two accounts in each commit. */
static void *
transfer(void *arg)
{
	uint32_t	slot = (uint32_t) (uintptr_t) arg;
	TestChannel c = rpc(slot);
	unsigned	seed = slot;

	while (!atomic_load(&stop))
	{
		/* each thread has its own accounts: no locks here */
		uint64_t	base = slot * ACCOUNTS;
		uint64_t	a = base + (unsigned) rand_r(&seed) % ACCOUNTS;
		uint64_t	b = base + (unsigned) rand_r(&seed) % ACCOUNTS;
		int64_t		va = point(slot, accounts, a, 0);
		int64_t		vb = point(slot, accounts, b, 0);

		if (a == b)
			continue;
		test_begin(&c, KALAM_OP_COMMIT);
		test_put(&c, accounts, a, 1, (uint64_t) va - 1, 16);
		test_put(&c, accounts, b, 1, (uint64_t) vb + 1, 16);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		atomic_fetch_add(&transfers, 1);
	}
	return NULL;
}

static void
test_snapshots_are_stable(void)
{
	pthread_t	threads[3];
	TestChannel c = rpc(0);
	TestChannel s = scan_channel(5);
	double		end = test_now() + 2;
	long		rounds = 0;

	accounts = make_object(0, 0);
	test_begin(&c, KALAM_OP_COMMIT);
	for (uint64_t i = 0; i < 3 * ACCOUNTS; i++)
		test_put(&c, accounts, i, 1, 1000000, 16);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, transfer, (void *) i);
	for (; test_now() < end; rounds++)
	{
		uint64_t	stamp = test_pin(&store, 5, (uint32_t) rounds % 8);
		uint64_t	sums[2] = {0, 0};
		int64_t		first[2];
		const KalamRow *row;

		for (int again = 0; again < 2; again++)
		{
			first[again] = point(5, accounts, 7, stamp);
			test_scan_begin(&s, accounts, stamp, again ? KALAM_SCAN_REVERSE : 0)->first_bytes = 500;
			test_post(&s, KALAM_LANE_READ);
			while ((row = test_next(&s)) != NULL)
				sums[again] += test_row_tag(row);
			CHECK_EQUAL(s.code, KALAM_OK);
			CHECK_EQUAL(sums[again], UINT64_C(3000000) * ACCOUNTS);
		}
		CHECK_EQUAL(first[0], first[1]);
		test_unpin(&store, 5, (uint32_t) rounds % 8);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("snapshots: %ld rounds beside %ld transfers\n", rounds, atomic_load(&transfers));
	CHECK(rounds > (SLOW ? 2 : 10));
}

/* ---- crashes ---- */

#define WRITERS 6

typedef struct Writer
{
	pthread_t	thread;
	uint32_t	slot;
	uint32_t	object;
	uint32_t	deaths;			/* of the store, when the round began */
	uint64_t	acknowledged;	/* rows 0 .. acknowledged are in */
	uint64_t	doubtful;		/* a row whose commit the storage process did not answer */
	uint64_t	doubtful_stamp;
	bool		in_doubt;
} Writer;

/* Commits one row after the other until the storage process dies. */
static void *
write_until_death(void *arg)
{
	Writer	   *w = arg;
	TestChannel c = rpc(w->slot);

	w->in_doubt = false;
	for (uint64_t row = w->acknowledged;; row++)
	{
		uint32_t	code;
		bool		large = row % 50 == 49;

		test_begin(&c, KALAM_OP_COMMIT)->flags = row % 2 ? KALAM_COMMIT_SYNC : 0;
		c.deaths = w->deaths;
		/* the row, and for a large one some that are overwritten each time */
		for (uint64_t i = 0; large && i < 1500; i++)
			if (!test_put(&c, w->object, 1000000000 + i, 1, row, 80))
				break;
		test_put(&c, w->object, row, 1, row, 16);
		if (!test_died(&c))
			code = commit(&c);
		else
			code = TEST_DIED;
		if (code == TEST_DIED)
		{
			w->in_doubt = true;
			w->doubtful = row;
			w->doubtful_stamp = atomic_load(&c.ch->result.commit_stamp);
			return NULL;
		}
		CHECK_EQUAL(code, KALAM_OK);
		w->acknowledged = row + 1;
	}
}

static void
test_nothing_acknowledged_is_lost(void)
{
	Writer		writers[WRITERS] = {0};
	long		doubts = 0,
				survived = 0;

	for (uint32_t i = 0; i < WRITERS; i++)
	{
		writers[i].slot = i;
		writers[i].object = make_object(0, 0);
	}
	for (int round = 0; round < (SLOW ? 5 : 12); round++)
	{
		uint64_t	recovered;
		double		start;

		for (uint32_t i = 0; i < WRITERS; i++)
			writers[i].deaths = atomic_load(&store.deaths);
		for (uint32_t i = 0; i < WRITERS; i++)
			pthread_create(&writers[i].thread, NULL, write_until_death, &writers[i]);
		test_sleep_ms(150 + 37 * round);
		test_store_kill(&store, SIGKILL);
		for (uint32_t i = 0; i < WRITERS; i++)
			pthread_join(writers[i].thread, NULL);
		start = test_now();
		start_and_serve();
		if (!SLOW)
			CHECK(test_now() - start < 2);
		recovered = atomic_load(&store.seg->recovered);
		for (uint32_t i = 0; i < WRITERS; i++)
		{
			Writer	   *w = &writers[i];
			bool		there = point(0, w->object, w->doubtful, 0) == (int64_t) w->doubtful;
			bool		told = w->doubtful_stamp != 0 && w->doubtful_stamp <= recovered;

			CHECK(w->in_doubt);
			CHECK_EQUAL(there, told);
			CHECK_EQUAL(point(0, w->object, w->doubtful + 1, 0), -1);
			doubts++;
			survived += there;
			if (there)
				w->acknowledged = w->doubtful + 1;
			for (uint64_t row = w->acknowledged; row-- > 0 && row + 200 > w->acknowledged;)
				CHECK_EQUAL(point(0, w->object, row, 0), row);
		}
	}
	for (uint32_t i = 0; i < WRITERS; i++)
	{
		TestChannel c = scan_channel(i);
		KalamRequest *r = test_scan_begin(&c, writers[i].object, 0, KALAM_SCAN_NEWEST);

		test_range(r, 0, 1000000000);
		test_post(&c, KALAM_LANE_READ);
		CHECK_EQUAL(test_drain(&c), writers[i].acknowledged);
	}
	printf("crashes: %ld commits in doubt, %ld of them had survived\n", doubts, survived);
}

static void
test_old_stamps_are_refused_after_a_crash(void)
{
	uint32_t	id = make_object(10, 16);
	uint64_t	stamp = test_pin(&store, 2, 0);
	TestChannel c = scan_channel(2);

	CHECK_EQUAL(count_rows(2, id, stamp), 10);
	test_scan_begin(&c, id, stamp, 0)->first_bytes = 1;
	test_post(&c, KALAM_LANE_READ);
	CHECK(test_next(&c) != NULL);
	test_store_kill(&store, SIGKILL);
	while (test_next(&c) != NULL)
		;
	CHECK_EQUAL(c.code, TEST_DIED);
	start_and_serve();
	CHECK(atomic_load(&store.seg->floor) > stamp);
	CHECK_EQUAL(count_rows(2, id, stamp), -1);
	CHECK_EQUAL(kalam_channel(store.seg, KALAM_SCAN_CHANNEL(2))->result.code, KALAM_ERR_STAMP_GONE);
	CHECK_EQUAL(count_rows(2, id, test_pin(&store, 2, 0)), 10);
	test_unpin(&store, 2, 0);
}

static void
test_clean_shutdown(void)
{
	uint32_t	id = make_object(1000, 50);
	TestChannel c = scan_channel(3);
	int			status;

	/* with a cursor open and a stream half written */
	TestChannel w = rpc(3);

	test_scan_begin(&c, id, 0, KALAM_SCAN_NEWEST)->first_bytes = 1;
	test_post(&c, KALAM_LANE_READ);
	CHECK(test_next(&c) != NULL);
	test_begin(&w, KALAM_OP_COMMIT);
	test_create(&w, next_object++, 1, 0);
	for (uint64_t i = 0; i < 3000; i++)
		test_put(&w, id, i, 1, i, 60);
	status = test_store_kill(&store, SIGTERM);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	start_and_serve();
	CHECK_EQUAL(count_rows(0, id, 0), 1000);
	/* its channels can be used again */
	CHECK_EQUAL(count_rows(3, id, 0), 1000);
	CHECK_EQUAL(put_one(3, id, 5000, 1, 1, 0), KALAM_OK);
}

/* ---- tables that share families ---- */

static void
test_shared_families(void)
{
	char		path[300];
	KalamConfig config;
	TestStore	saved = store;
	uint32_t	first = next_object;
	TestChannel c;

	snprintf(path, sizeof(path), "%s/shared", directory);
	config = test_config(path);
	config.max_families = 3;
	config.read_threads = 1;
	test_store_init(&store, program, &config);
	start_and_serve();
	for (int i = 0; i < 8; i++)
		make_object(500, 40);
	next_object = first + 8;
	drop_indexes();
	for (uint32_t i = 0; i < 8; i++)
		CHECK_EQUAL(count_rows(0, first + i, 0), 500);
	c = rpc(0);
	test_begin(&c, KALAM_OP_COMMIT);
	test_drop(&c, first);
	test_drop(&c, first + 5);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	test_begin(&c, KALAM_OP_STAT)->object_id = first + 6;
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_OK);
	test_begin(&c, KALAM_OP_COMPACT)->object_id = first + 6;
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_OK);
	for (int again = 0; again < 3; again++)
	{
		for (uint32_t i = 0; i < 8; i++)
			CHECK_EQUAL(count_rows(0, first + i, 0), i == 0 || i == 5 ? -1 : 500);
		if (again == 0)
			test_store_kill(&store, SIGKILL);
		else
			test_store_kill(&store, SIGTERM);
		start_and_serve();
	}
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
	store = saved;
}

/* ---- directories that cannot be opened ---- */

static void
expect_failure(const char *path, uint64_t system, const char *text)
{
	KalamConfig config = test_config(path);
	TestStore	s;

	config.system_identifier = system;
	test_store_init(&s, program, &config);
	CHECK(!test_store_start(&s));
	CHECK_EQUAL(atomic_load(&s.seg->state), KALAM_STORAGE_FAILED);
	CHECK(s.seg->failure_code != KALAM_OK);
	if (!CHECK(strstr(s.seg->failure_message, text) != NULL))
		fprintf(stderr, "it said: %s\n", s.seg->failure_message);
	test_store_free(&s);
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	char		path[400];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	REQUIRE(f != NULL);
	fputs(text, f);
	fclose(f);
}

static void
test_directories(void)
{
	char		path[300];
	char		inner[400];
	TestStore	s;
	KalamConfig config;

	snprintf(path, sizeof(path), "%s/main", directory);
	expect_failure(path, 0, "in use by another process");
	expect_failure("relative", 0, "absolute");
	snprintf(path, sizeof(path), "%s/missing/below", directory);
	expect_failure(path, 0, "No such file");
	snprintf(path, sizeof(path), "%s/plain", directory);
	write_file(directory, "plain", "a file");
	expect_failure(path, 0, "Not a directory");

	snprintf(path, sizeof(path), "%s/other", directory);
	config = test_config(path);
	config.system_identifier = 4711;
	test_store_init(&s, program, &config);
	REQUIRE(test_store_start(&s));
	expect_failure(path, 4711, "in use by another process");
	test_store_kill(&s, SIGTERM);
	expect_failure(path, 4712, "belongs to another server");
	CHECK(test_store_start(&s));
	test_store_kill(&s, SIGTERM);

	write_file(path, "FORMAT", "kalam store format 2\nsystem 4711\n");
	expect_failure(path, 4711, "format 2, but this version reads format 1");
	write_file(path, "FORMAT", "something else\n");
	expect_failure(path, 4711, "is not a kalam store's");
	write_file(path, "FORMAT", "kalam store format 1\nsystem 4711\nstore 1\n");
	snprintf(inner, sizeof(inner), "%s/db/CURRENT", path);
	REQUIRE(truncate(inner, 0) == 0);
	expect_failure(path, 4711, "could not read the database");
	if (geteuid() != 0)
	{
		chmod(path, 0);
		expect_failure(path, 4711, "Permission denied");
		chmod(path, 0700);
	}
	test_store_free(&s);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_only_the_supervisor_is_served_while_recovering),
		TEST(test_scans),
		TEST(test_big_rows),
		TEST(test_recheck),
		TEST(test_exists),
		TEST(test_many_cursors),
		TEST(test_cancel_in_mid_scan),
		TEST(test_ranges_of_deleted_rows),
		TEST(test_wrong_requests),
		TEST(test_commits),
		TEST(test_prepared),
		TEST(test_objects),
		TEST(test_indexes),
		TEST(test_upkeep),
		TEST(test_snapshots_are_stable),
		TEST(test_nothing_acknowledged_is_lost),
		TEST(test_old_stamps_are_refused_after_a_crash),
		TEST(test_clean_shutdown),
		TEST(test_shared_families),
		TEST(test_directories),
	};

	if (argc != 2)
	{
		fprintf(stderr, "usage: test_storage PROGRAM\n");
		return 2;
	}
	program = argv[1];
	fixture_directory();
	fixture_store("main");
	fixture_run(tests, sizeof(tests) / sizeof(tests[0]));
	test_store_kill(&store, SIGTERM);
	test_store_free(&store);
	remove_tree(directory);
	return check_report("test_storage");
}
