/*
 * bulk_fixture.h
 *	  Short forms of requests for large transactions, and looks at their results.
 */
#ifndef KALAM_TEST_BULK_FIXTURE_H
#define KALAM_TEST_BULK_FIXTURE_H

#include <dirent.h>

#include "test/unit/store_fixture.h"

static inline KalamRequest *
begin_bulk(TestChannel *c, KalamOp op, uint64_t xid)
{
	KalamRequest *r = test_begin(c, op);

	r->flags = KALAM_COMMIT_BULK | KALAM_COMMIT_SYNC;
	r->full_xid = xid;
	r->serial = 1;
	return r;
}

/* A load's end goes to the read threads, however short it is. */
static inline uint32_t
end_bulk(TestChannel *c)
{
	if (!c->holds)
	{
		if (!test_room(c))
			return test_finish(c);
		kalam_block(store.seg, c->ch, c->block)->used = 0;
	}
	test_publish_block(c, KALAM_BLOCK_LAST);
	test_post(c, KALAM_LANE_READ);
	return test_finish(c);
}

/* An empty block, so that a short load is a read thread's too. */
static inline void
end_block(TestChannel *c)
{
	test_publish_block(c, 0);
	test_post(c, KALAM_LANE_READ);
	c->left = 0;
	c->holds = false;
}

static inline uint32_t
files_left(void)
{
	char		path[KALAM_PATH_BYTES + 40];
	DIR		   *dir;
	struct dirent *d;
	uint32_t	n = 0;

	snprintf(path, sizeof(path), "%s/bulk", store.seg->config.data_directory);
	dir = opendir(path);
	REQUIRE(dir != NULL);
	while ((d = readdir(dir)) != NULL)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* The files go after the answer. */
static inline bool
files_become(uint32_t n)
{
	for (int i = 0; i < 500 && files_left() != n; i++)
		test_sleep_ms(10);
	return files_left() == n;
}

static inline bool
put_rows(TestChannel *c, uint32_t object, uint64_t from, uint64_t to, uint64_t tag)
{
	for (uint64_t i = from; i < to; i++)
		if (!test_put(c, object, i, 1, tag, 40))
			return false;
	return true;
}

typedef struct Summary
{
	long		rows;			/* -1: it cannot be read */
	uint64_t	tags;			/* sum */
	bool		ordered;
} Summary;

static inline Summary
summary(uint32_t slot, uint32_t object, uint64_t stamp, uint32_t flags)
{
	TestChannel c = scan_channel(slot);
	Summary		s = {0, 0, true};
	const KalamRow *row;
	uint64_t	last = 0;

	test_scan_begin(&c, object, stamp, flags | KALAM_SCAN_KEYS | (stamp == 0 ? KALAM_SCAN_NEWEST : 0));
	test_post(&c, KALAM_LANE_READ);
	while ((row = test_next(&c)) != NULL)
	{
		uint64_t	number = test_row_number(row);

		if (s.rows > 0 && (flags & KALAM_SCAN_REVERSE ? number >= last : number <= last))
			s.ordered = false;
		last = number;
		s.rows++;
		s.tags += test_row_tag(row);
	}
	if (c.code != KALAM_OK)
		s.rows = -1;
	return s;
}

static inline uint64_t
count_only(uint32_t object)
{
	TestChannel c = scan_channel(0);
	KalamBlock *b;
	uint64_t	n = 0;

	test_scan_begin(&c, object, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_COUNT);
	test_post(&c, KALAM_LANE_READ);
	while ((b = test_next_block(&c)) != NULL)
		n += b->nrows;
	CHECK_EQUAL(c.code, KALAM_OK);
	return n;
}

/* In every way of reading, the object has so many rows with this sum of tags. */
static inline void
expect_rows(uint32_t object, long rows, uint64_t tags)
{
	Summary		f = summary(0, object, 0, 0);
	Summary		b = summary(0, object, 0, KALAM_SCAN_REVERSE);

	CHECK_EQUAL(f.rows, rows);
	CHECK_EQUAL(f.tags, tags);
	CHECK(f.ordered && b.ordered);
	CHECK_EQUAL(b.rows, rows);
	CHECK_EQUAL(b.tags, tags);
	CHECK_EQUAL(count_only(object), rows);
}

static inline void
flush(uint32_t object)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_FLUSH)->object_id = object;
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_OK);
}

static inline uint32_t
prepare_rows(uint64_t xid, uint32_t object, uint64_t from, uint64_t to, uint64_t tag)
{
	TestChannel c = rpc(0);

	begin_bulk(&c, KALAM_OP_PREPARE, xid);
	put_rows(&c, object, from, to, tag);
	return end_bulk(&c);
}

static inline uint32_t
supervisor_resolve(uint64_t xid, bool apply)
{
	TestChannel c = test_channel(&store, KALAM_RPC_CHANNEL(test_supervisor_slot(&store)));
	KalamRequest *r = test_begin(&c, KALAM_OP_RESOLVE);

	r->full_xid = xid;
	r->flags = apply ? KALAM_RESOLVE_APPLY : 0;
	test_post(&c, KALAM_LANE_COMMIT);
	return test_finish(&c);
}

#endif
