/*
 * store_client.h
 *	  A supervisor and backends for tests, without Postgres.
 *
 * One TestStore per process: the segment, and the storage process if it runs.
 * A TestChannel is used by one thread at a time.
 */
#ifndef KALAM_TEST_STORE_CLIENT_H
#define KALAM_TEST_STORE_CLIENT_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/shared/protocol.h"
#include "src/shared/segment.h"
#include "test/unit/check.h"

/* a code for "the storage process died" */
#define TEST_DIED 1000

typedef struct TestStore
{
	const char *program;
	KalamSegment *seg;
	int			fd;
	_Atomic pid_t pid;
	_Atomic uint32_t deaths;	/* raised when the storage process was reaped */
	uint32_t	spin_us;		/* of clients that wait */
	bool		may_end;		/* by itself: somebody reaps it */
	const char *witness;		/* NULL: none */
	uint32_t	timeline;
} TestStore;

static inline double
test_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static inline void
test_sleep_ms(int ms)
{
	struct timespec ts = {ms / 1000, (long) (ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

/* ---- the supervisor's part ---- */

static inline KalamConfig
test_config(const char *directory)
{
	KalamConfig c = {
		.nslots = 24, .nextra = 80, .read_threads = 2, .load_threads = 2, .background_jobs = 2,
		.max_families = 200, .nbuckets = KALAM_MIN_BUCKETS, .block_cache_bytes = 256 << 20, .write_buffer_bytes = 256 << 20
	};

	snprintf(c.data_directory, sizeof(c.data_directory), "%s", directory);
	return c;
}

static inline void
test_store_init(TestStore *s, const char *program, const KalamConfig *config)
{
	uint64_t	size = kalam_segment_size(config);

	memset(s, 0, sizeof(*s));
	s->program = program;
	s->fd = memfd_create("kalam test", 0);
	REQUIRE(s->fd >= 0 && ftruncate(s->fd, (off_t) size) == 0);
	s->seg = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	REQUIRE(s->seg != MAP_FAILED);
	kalam_segment_init(s->seg, config);
}

static inline void
test_store_free(TestStore *s)
{
	munmap(s->seg, s->seg->size_bytes);
	close(s->fd);
}

static inline void
test_store_spawn(TestStore *s)
{
	char		fd[16],
				epoch[16],
				parent[16],
				timeline[16];

	snprintf(timeline, sizeof(timeline), "%u", s->timeline);
	snprintf(fd, sizeof(fd), "%d", s->fd);
	snprintf(epoch, sizeof(epoch), "%u", atomic_load(&s->seg->epoch));
	snprintf(parent, sizeof(parent), "%d", (int) getpid());
	atomic_store(&s->seg->state, KALAM_STORAGE_STARTING);
	s->pid = fork();
	REQUIRE(s->pid >= 0);
	if (s->pid == 0)
	{
		execl(s->program, s->program, "--segment-fd", fd, "--epoch", epoch, "--parent-pid", parent,
			  "--timeline", timeline, s->witness != NULL ? "--witness" : NULL, s->witness,
			  (char *) NULL);
		_exit(127);
	}
	atomic_store(&s->seg->storage_pid, s->pid);
}

/* Waits until it is reaped; returns its wait status. */
static inline int
test_store_reap(TestStore *s)
{
	int			status = 0;

	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
	if (atomic_load(&s->seg->state) != KALAM_STORAGE_FAILED)
		atomic_store(&s->seg->state, KALAM_STORAGE_DOWN);
	atomic_fetch_add(&s->seg->epoch, 1);
	atomic_fetch_add(&s->deaths, 1);
	for (uint32_t i = 0; i < s->seg->nchannels; i++)
		kalam_channel_notify(kalam_channel(s->seg, i));
	return status;
}

/* True if it came to RECOVERING; false if it gave up (and was reaped). */
static inline bool
test_store_start(TestStore *s)
{
	test_store_spawn(s);
	for (;;)
	{
		uint32_t	state = atomic_load(&s->seg->state);

		if (state == KALAM_STORAGE_RECOVERING)
			return true;
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
		{
			s->pid = 0;
			atomic_fetch_add(&s->seg->epoch, 1);
			atomic_fetch_add(&s->deaths, 1);
			return false;
		}
		test_sleep_ms(2);
	}
}

static inline int
test_store_kill(TestStore *s, int signal)
{
	kill(s->pid, signal);
	return test_store_reap(s);
}

/* ---- a backend's part ---- */

typedef struct TestChannel
{
	TestStore  *store;
	KalamChannel *ch;
	uint32_t	deaths;			/* of the store when the request was posted */
	bool		posted;

	/* a stream that is written */
	uint32_t	block;

	/* a scan that is read */
	uint32_t	next_block;
	uint32_t	at;
	uint32_t	left;
	bool		holds;			/* a block that is not consumed yet */
	bool		last;
	uint8_t    *big;
	uint32_t	code;
} TestChannel;

static inline TestChannel
test_channel(TestStore *s, uint32_t index)
{
	TestChannel c = {.store = s, .ch = kalam_channel(s->seg, index)};

	return c;
}

static inline TestChannel
test_extra_channel(TestStore *s, uint32_t i, uint32_t slot)
{
	TestChannel c = test_channel(s, KALAM_FIRST_EXTRA(s->seg) + i);

	c.ch->slot = slot;
	atomic_store(&c.ch->owner, slot + 1);
	return c;
}

static inline uint32_t
test_supervisor_slot(TestStore *s)
{
	return s->seg->config.nslots - 1;
}

static inline KalamRequest *
test_begin(TestChannel *c, KalamOp op)
{
	KalamRequest *r = &c->ch->req;

	memset(r, 0, offsetof(KalamRequest, lower));
	r->op = op;
	r->epoch = atomic_load(&c->store->seg->epoch);
	atomic_store(&c->ch->filled, 0);
	atomic_store(&c->ch->consumed, 0);
	atomic_store(&c->ch->result.commit_stamp, 0);
	c->deaths = atomic_load(&c->store->deaths);
	c->posted = false;
	c->block = 0;
	c->next_block = 0;
	c->left = 0;
	c->holds = c->last = false;
	c->code = KALAM_OK;
	return r;
}

static inline void
test_post(TestChannel *c, KalamLaneKind lane)
{
	if (!c->posted)
		atomic_store_explicit(&c->ch->generation, atomic_load(&c->ch->generation) + 1,
							  memory_order_release);
	c->posted = true;
	/* as backends do */
	if (lane == KALAM_LANE_READ && c->ch->req.op == KALAM_OP_SCAN &&
		c->ch->req.flags & KALAM_SCAN_POINT)
		(void) kalam_near_post(c->store->seg, kalam_channel_index(c->store->seg, c->ch));
	else
		kalam_lane_post(c->store->seg, lane, kalam_channel_index(c->store->seg, c->ch));
}

static inline bool
test_died(TestChannel *c)
{
	return atomic_load(&c->store->deaths) != c->deaths;
}

static inline bool
test_is_done(TestChannel *c)
{
	return atomic_load_explicit(&c->ch->done, memory_order_acquire) ==
		atomic_load(&c->ch->generation);
}

/* Stops the test if the storage process ended by itself: nobody will answer. */
static inline void
test_check_alive(TestStore *s)
{
	siginfo_t	info = {0};
	pid_t		pid = s->pid;

	if (s->may_end || pid == 0 || waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		info.si_pid != pid || info.si_status == SIGKILL || info.si_status == 0)
		return;
	fprintf(stderr, "the storage process ended unexpectedly, with status %d\n", info.si_status);
	CHECK(!"the storage process is alive");
	check_report("stopped");
	_exit(1);
}

/* Waits for a change on the channel since `seen`. */
static inline void
test_wait(TestChannel *c, uint32_t seen)
{
	KalamSegment *seg = c->store->seg;

	atomic_fetch_add(&seg->waiting, 1);
	if (c->store->spin_us > 0 && atomic_load(&seg->waiting) <= 2)
	{
		double		end = test_now() + c->store->spin_us / 1e6;

		while (atomic_load(&c->ch->reply_seq) == seen && test_now() < end)
			for (int i = 0; i < 32 && atomic_load(&c->ch->reply_seq) == seen; i++)
				__builtin_ia32_pause();
	}
	if (atomic_load(&c->ch->reply_seq) == seen)
	{
		kalam_channel_sleep(c->ch, seen, 100000);
		if (atomic_load(&c->ch->reply_seq) == seen)
			test_check_alive(c->store);
	}
	atomic_fetch_sub(&seg->waiting, 1);
}

/* How the request ended: a KalamCode, or TEST_DIED. */
static inline uint32_t
test_finish(TestChannel *c)
{
	for (;;)
	{
		uint32_t	seen = atomic_load(&c->ch->reply_seq);

		if (test_is_done(c))
			return c->ch->result.code;
		if (test_died(c))
			return TEST_DIED;
		test_wait(c, seen);
	}
}

static inline void
test_cancel(TestChannel *c, KalamLaneKind lane)
{
	atomic_store(&c->ch->cancel, atomic_load(&c->ch->generation));
	kalam_lane_post(c->store->seg, lane, kalam_channel_index(c->store->seg, c->ch));
}

/* ---- streams ---- */

/* Waits until block number n of the stream may be filled.  False: it is over. */
static inline bool
test_room(TestChannel *c)
{
	while (c->block - atomic_load_explicit(&c->ch->consumed, memory_order_acquire) >=
		   KALAM_CHANNEL_BLOCKS)
	{
		uint32_t	seen = atomic_load(&c->ch->reply_seq);

		if (test_is_done(c) || test_died(c))
			return false;
		if (c->block - atomic_load(&c->ch->consumed) >= KALAM_CHANNEL_BLOCKS)
			test_wait(c, seen);
	}
	return true;
}

static inline void
test_publish_block(TestChannel *c, uint32_t flags)
{
	KalamBlock *b = kalam_block(c->store->seg, c->ch, c->block);

	b->flags = flags;
	c->block++;
	atomic_store_explicit(&c->ch->filled, c->block, memory_order_release);
}

static inline bool
test_write(TestChannel *c, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len > 0)
	{
		KalamBlock *b = kalam_block(c->store->seg, c->ch, c->block);
		size_t		n;

		if (c->left == 0)
		{
			if (c->holds)
			{
				test_publish_block(c, 0);
				test_post(c, KALAM_LANE_READ);
				b = kalam_block(c->store->seg, c->ch, c->block);
			}
			if (!test_room(c))
				return false;
			b->used = 0;
			c->left = KALAM_BLOCK_DATA_BYTES;
			c->holds = true;
		}
		n = len < c->left ? len : c->left;
		memcpy(b->data + b->used, from, n);
		b->used += (uint32_t) n;
		c->left -= (uint32_t) n;
		from += n;
		len -= n;
	}
	return true;
}

/* Ends the stream and posts it where it belongs. */
static inline void
test_end(TestChannel *c)
{
	if (!c->holds)
	{
		if (!test_room(c))
			return;
		kalam_block(c->store->seg, c->ch, c->block)->used = 0;
	}
	test_publish_block(c, KALAM_BLOCK_LAST);
	test_post(c, c->block == 1 && c->ch->req.op != KALAM_OP_EXISTS ? KALAM_LANE_COMMIT :
			  KALAM_LANE_READ);
}

static inline bool
test_change(TestChannel *c, KalamChangeOp op, const void *key, size_t key_len, const void *value,
			size_t value_len)
{
	KalamChange h = {(uint8_t) op, 0, (uint16_t) key_len, (uint32_t) value_len};

	return test_write(c, &h, sizeof(h)) && test_write(c, key, key_len) &&
		test_write(c, value, value_len);
}

#define TEST_KEY_BYTES 13

static inline void
test_key(uint8_t *key, uint32_t object, uint64_t row)
{
	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_ROW);
	kalam_put_be64(key + 5, row);
}

/* A row whose payload is the text of `size` bytes that begins with tag. */
static inline bool
test_put(TestChannel *c, uint32_t object, uint64_t row, uint64_t serial, uint64_t tag, size_t size)
{
	uint8_t		key[TEST_KEY_BYTES];
	uint8_t		small[512];
	uint8_t    *value = 8 + size <= sizeof(small) ? small : malloc(8 + size);
	uint64_t	header = serial << 8 | KALAM_VALUE_FORMAT;
	bool		good;

	test_key(key, object, row);
	memcpy(value, &header, 8);
	memset(value + 8, (int) ('a' + tag % 26), size);
	if (size >= 8)
		memcpy(value + 8, &tag, 8);
	good = test_change(c, KALAM_CHANGE_PUT, key, sizeof(key), value, 8 + size);
	if (value != small)
		free(value);
	return good;
}

static inline bool
test_delete(TestChannel *c, uint32_t object, uint64_t row)
{
	uint8_t		key[TEST_KEY_BYTES];

	test_key(key, object, row);
	return test_change(c, KALAM_CHANGE_DELETE, key, sizeof(key), NULL, 0);
}

static inline bool
test_create(TestChannel *c, uint32_t object, uint32_t compression, uint32_t bloom)
{
	uint8_t		key[4];
	KalamObjectOptions o = {compression, bloom};

	kalam_put_be32(key, object);
	return test_change(c, KALAM_CHANGE_CREATE_OBJECT, key, 4, &o, sizeof(o));
}

static inline bool
test_drop(TestChannel *c, uint32_t object)
{
	uint8_t		key[4];

	kalam_put_be32(key, object);
	return test_change(c, KALAM_CHANGE_DROP_OBJECT, key, 4, NULL, 0);
}

/* An entry that leads to a row, of an index whose only column is n. */
static inline bool
test_put_entry(TestChannel *c, uint32_t object, uint16_t index, uint64_t n)
{
	uint8_t		key[KALAM_INDEX_KEY_PREFIX_BYTES + 16];
	uint8_t		value[KALAM_INDEX_VALUE_BYTES] = {KALAM_VALUE_FORMAT};

	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_INDEX);
	key[KALAM_KEY_PREFIX_BYTES] = (uint8_t) (index >> 8);
	key[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) index;
	kalam_put_be64(key + KALAM_INDEX_KEY_PREFIX_BYTES, n);
	kalam_put_be64(key + KALAM_INDEX_KEY_PREFIX_BYTES + 8, n);
	value[KALAM_VALUE_HEADER_BYTES] = 8;
	return test_change(c, KALAM_CHANGE_PUT, key, sizeof(key), value, sizeof(value));
}

static inline bool
test_drop_index(TestChannel *c, uint32_t object, uint16_t index)
{
	uint8_t		key[4];
	uint8_t		id[2] = {(uint8_t) (index >> 8), (uint8_t) index};

	kalam_put_be32(key, object);
	return test_change(c, KALAM_CHANGE_DROP_INDEX, key, 4, id, 2);
}

/* ---- scans ---- */

static inline KalamRequest *
test_scan_begin(TestChannel *c, uint32_t object, uint64_t stamp, uint32_t flags)
{
	KalamRequest *r = test_begin(c, KALAM_OP_SCAN);

	r->object_id = object;
	r->stamp = stamp;
	r->flags = flags;
	test_key(r->lower, object, 0);
	r->lower_len = 5;
	kalam_put_key_prefix(r->upper, object, KALAM_KEY_KIND_ROW + 1);
	r->upper_len = 5;
	return r;
}

static inline void
test_range(KalamRequest *r, uint64_t lower, uint64_t upper)
{
	test_key(r->lower, r->object_id, lower);
	r->lower_len = TEST_KEY_BYTES;
	test_key(r->upper, r->object_id, upper);
	r->upper_len = TEST_KEY_BYTES;
}

/* The block that the reader stands in is given back. */
static inline void
test_consume(TestChannel *c)
{
	if (!c->holds)
		return;
	c->holds = false;
	c->next_block++;
	atomic_store_explicit(&c->ch->consumed, c->next_block, memory_order_release);
	if (!c->last)
		test_post(c, KALAM_LANE_READ);
}

/* The next block, or NULL at the end (see c->code). */
static inline KalamBlock *
test_next_block(TestChannel *c)
{
	test_consume(c);
	if (c->last)
	{
		c->code = test_finish(c);
		return NULL;
	}
	for (;;)
	{
		uint32_t	seen = atomic_load(&c->ch->reply_seq);
		bool		done = test_is_done(c);
		uint32_t	filled = atomic_load_explicit(&c->ch->filled, memory_order_acquire);

		if (filled != c->next_block)
		{
			KalamBlock *b = kalam_block(c->store->seg, c->ch, c->next_block);

			c->holds = true;
			c->at = 0;
			c->left = b->nrows;
			c->last = (b->flags & KALAM_BLOCK_LAST) != 0;
			return b;
		}
		if (done || test_died(c))
		{
			c->code = test_died(c) ? TEST_DIED : c->ch->result.code;
			return NULL;
		}
		test_wait(c, seen);
	}
}

/* The next row, valid until the next call, or NULL at the end. */
static inline const KalamRow *
test_next(TestChannel *c)
{
	uint64_t	have = 0;

	free(c->big);
	c->big = NULL;
	for (;;)
	{
		KalamBlock *b;

		if (c->holds && c->left > 0)
		{
			const KalamRow *row;

			b = kalam_block(c->store->seg, c->ch, c->next_block);
			row = (const KalamRow *) (b->data + c->at);
			c->at += row->size;
			c->left--;
			return row;
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
			c->left = 0;
			if (b->nrows == 1)
			{
				CHECK_EQUAL(have, b->big_total);
				return (const KalamRow *) c->big;
			}
		}
	}
}

static inline const uint8_t *
test_row_body(const KalamRow *row, size_t *len)
{
	*len = row->tuple_len - KALAM_TUPLE_BODY_OFFSET;
	return (const uint8_t *) row + KALAM_ROW_TUPLE_OFFSET + KALAM_TUPLE_BODY_OFFSET;
}

static inline uint64_t
test_row_tag(const KalamRow *row)
{
	size_t		len;
	uint64_t	tag = 0;
	const uint8_t *body = test_row_body(row, &len);

	memcpy(&tag, body, len < 8 ? len : 8);
	return tag;
}

static inline uint64_t
test_row_number(const KalamRow *row)
{
	const uint8_t *key = (const uint8_t *) row + KALAM_ROW_TUPLE_OFFSET +
		KALAM_ALIGN8(row->tuple_len);

	return kalam_get_be64(key + 5);
}

/* Reads to the end; returns how many rows, or -1. */
static inline long
test_drain(TestChannel *c)
{
	long		n = 0;

	while (test_next(c) != NULL)
		n++;
	return c->code == KALAM_OK ? n : -1;
}

static inline uint64_t
test_pin(TestStore *s, uint32_t slot, uint32_t pin)
{
	KalamSlot  *sl = kalam_slot(s->seg, slot);

	if (atomic_load(&sl->npins) <= pin)
		atomic_store(&sl->npins, pin + 1);
	return kalam_pin_newest(s->seg, &sl->pins[pin]);
}

static inline void
test_unpin(TestStore *s, uint32_t slot, uint32_t pin)
{
	atomic_store(&kalam_slot(s->seg, slot)->pins[pin], 0);
}

/* RECOVERING to READY. */
static inline uint32_t
test_serve(TestStore *s)
{
	TestChannel c = test_channel(s, KALAM_RPC_CHANNEL(test_supervisor_slot(s)));

	test_begin(&c, KALAM_OP_SERVE);
	test_post(&c, KALAM_LANE_COMMIT);
	return test_finish(&c);
}

#endif
