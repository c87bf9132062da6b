/*
 * test_segment.c
 *	  The segment's layout, lanes, notifications and pins.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* sched_getcpu */
#endif
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/shared/segment.h"
#include "test/unit/check.h"

static KalamSegment *
make_segment(uint32_t nslots, uint32_t nextra)
{
	KalamConfig config = {
		.nslots = nslots, .nextra = nextra, .nbuckets = KALAM_MIN_BUCKETS << nslots % 3
	};
	size_t		size = kalam_segment_size(&config);
	KalamSegment *seg = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(seg != MAP_FAILED);
	strcpy(config.data_directory, "/nowhere");
	kalam_segment_init(seg, &config);
	return seg;
}

static void
free_segment(KalamSegment *seg)
{
	munmap(seg, seg->size_bytes);
}

static void
test_buckets(void)
{
	CHECK_EQUAL(kalam_segment_buckets(0), KALAM_MIN_BUCKETS);
	CHECK_EQUAL(kalam_segment_buckets(64 << 20), 512 << 10);
	CHECK_EQUAL(kalam_segment_buckets(UINT64_MAX), KALAM_MAX_BUCKETS);
	for (uint32_t n = 0; n < 3; n++)
	{
		static const uint32_t wrong[] = {0, KALAM_MIN_BUCKETS / 2, KALAM_MIN_BUCKETS * 3};
		KalamSegment *seg = make_segment(3, 1);

		seg->config.nbuckets = wrong[n];
		CHECK(!kalam_segment_check(seg, seg->size_bytes));
		seg->config.nbuckets = KALAM_MIN_BUCKETS * 2;
		CHECK(!kalam_segment_check(seg, seg->size_bytes));
		free_segment(seg);
	}
}

static void
test_layout(void)
{
	for (uint32_t n = 1; n < 200; n += 13)
	{
		KalamSegment *seg = make_segment(n, n / 2);
		uintptr_t	base = (uintptr_t) seg;
		uint32_t	last = seg->nchannels - 1;

		CHECK(kalam_segment_check(seg, seg->size_bytes));
		CHECK(!kalam_segment_check(seg, seg->size_bytes - 1));
		CHECK_EQUAL(seg->nchannels, 2 * n + n / 2);
		CHECK_EQUAL(((uintptr_t) kalam_slot(seg, n - 1) - base) % KALAM_CACHE_LINE, 0);
		CHECK_EQUAL(((uintptr_t) kalam_channel(seg, last) - base) % KALAM_CACHE_LINE, 0);
		CHECK((uintptr_t) kalam_slot(seg, n) <= (uintptr_t) kalam_channel(seg, 0));
		CHECK((uintptr_t) kalam_channel(seg, last + 1) <=
			  (uintptr_t) kalam_lane_bitmap(seg, KALAM_LANE_READ));
		CHECK((uintptr_t) (kalam_lane_bitmap(seg, KALAM_LANES - 1) + (last + 64) / 64) <=
			  (uintptr_t) kalam_object_stamps(seg, 0));
		CHECK((uintptr_t) (kalam_object_stamps(seg, KALAM_OBJECT_STAMPS - 1) + 1) <=
			  (uintptr_t) kalam_bucket(seg, 0));
		CHECK(kalam_object_stamps(seg, KALAM_OBJECT_STAMPS + 7) == kalam_object_stamps(seg, 7));
		CHECK_EQUAL((uintptr_t) kalam_object_stamps(seg, 7) % KALAM_CACHE_LINE, 0);
		CHECK(kalam_bucket(seg, seg->config.nbuckets + 7) == kalam_bucket(seg, 7));
		CHECK((uintptr_t) (kalam_bucket(seg, UINT64_MAX) + 1) <=
			  (uintptr_t) kalam_block(seg, kalam_channel(seg, 0), 0));
		CHECK((uintptr_t) kalam_block(seg, kalam_channel(seg, last), KALAM_CHANNEL_BLOCKS - 1) +
			  KALAM_BLOCK_BYTES == base + seg->size_bytes);
		CHECK(kalam_block(seg, kalam_channel(seg, last), 4) ==
			  kalam_block(seg, kalam_channel(seg, last), 0));
		CHECK_EQUAL(kalam_channel_index(seg, kalam_channel(seg, last)), last);
		CHECK_EQUAL(kalam_channel(seg, KALAM_SCAN_CHANNEL(n - 1))->slot, n - 1);
		seg->version++;
		CHECK(!kalam_segment_check(seg, seg->size_bytes));
		seg->version--;
		seg->magic++;
		CHECK(!kalam_segment_check(seg, seg->size_bytes));
		seg->magic--;
		seg->blocks_offset += 64;
		CHECK(!kalam_segment_check(seg, seg->size_bytes));
		free_segment(seg);
	}
}

static void
test_take_is_fair(void)
{
	KalamSegment *seg = make_segment(50, 33);
	uint32_t	cursor = 0,
				channel;
	uint32_t	seen[133] = {0};

	CHECK(!kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel));
	for (uint32_t i = 0; i < seg->nchannels; i++)
		kalam_lane_post(seg, KALAM_LANE_READ, i);
	kalam_lane_post(seg, KALAM_LANE_READ, 7);	/* a second post is the same post */
	CHECK(!kalam_lane_take(seg, KALAM_LANE_COMMIT, &cursor, &channel));
	while (kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel))
		seen[channel]++;
	for (uint32_t i = 0; i < seg->nchannels; i++)
		CHECK_EQUAL(seen[i], 1);

	/* a channel that posts itself again does not starve the others */
	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 60; i < 70; i++)
		kalam_lane_post(seg, KALAM_LANE_READ, i);
	for (int i = 0; i < 100; i++)
	{
		REQUIRE(kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel));
		seen[channel]++;
		kalam_lane_post(seg, KALAM_LANE_READ, channel);
	}
	for (uint32_t i = 60; i < 70; i++)
		CHECK_EQUAL(seen[i], 10);
	kalam_segment_storage_reset(seg);
	CHECK(!kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel));
	free_segment(seg);
}

/* ---- a ping-pong that hangs if a wake is lost ---- */

#define ROUNDS 20000

static void *
echo(void *arg)
{
	KalamSegment *seg = arg;
	uint32_t	cursor = 0,
				channel,
				served = 0;

	while (served < 2 * ROUNDS)
	{
		if (!kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel))
		{
			kalam_lane_sleep(seg, KALAM_LANE_READ, 0);
			continue;
		}
		KalamChannel *ch = kalam_channel(seg, channel);

		atomic_store_explicit(&ch->done, atomic_load(&ch->generation), memory_order_release);
		kalam_channel_notify(ch);
		served++;
	}
	return NULL;
}

typedef struct Caller
{
	KalamSegment *seg;
	uint32_t	channel;
} Caller;

static void *
call(void *arg)
{
	Caller	   *c = arg;
	KalamChannel *ch = kalam_channel(c->seg, c->channel);

	for (int i = 0; i < ROUNDS; i++)
	{
		uint32_t	g = atomic_fetch_add(&ch->generation, 1) + 1;

		kalam_lane_post(c->seg, KALAM_LANE_READ, c->channel);
		for (;;)
		{
			uint32_t	seen = atomic_load(&ch->reply_seq);

			if (atomic_load_explicit(&ch->done, memory_order_acquire) == g)
				break;
			kalam_channel_sleep(ch, seen, 0);
		}
	}
	return NULL;
}

static void
test_no_wake_is_lost(void)
{
	KalamSegment *seg = make_segment(4, 0);
	Caller		callers[2] = {{seg, 0}, {seg, 5}};
	pthread_t	t[3];

	pthread_create(&t[0], NULL, echo, seg);
	pthread_create(&t[1], NULL, call, &callers[0]);
	pthread_create(&t[2], NULL, call, &callers[1]);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK_EQUAL(atomic_load(&kalam_channel(seg, 0)->done), ROUNDS);
	CHECK_EQUAL(atomic_load(&kalam_channel(seg, 5)->done), ROUNDS);
	CHECK_EQUAL(atomic_load(&seg->lanes[KALAM_LANE_READ].sleepers), 0);
	free_segment(seg);
}

/* ---- lanes of processors ---- */

static KalamLaneKind
my_lane(void)
{
	return KALAM_LANE_NEAR + (KalamLaneKind) (sched_getcpu() % KALAM_NEAR_LANES);
}

static void
stay_on_one_processor(void)
{
	cpu_set_t	set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
}

static void *
post_near_and_else(void *arg)
{
	KalamSegment *seg = arg;
	uint32_t	cursor = 0,
				channel;

	stay_on_one_processor();
	kalam_segment_storage_reset(seg);
	/* nobody serves it yet */
	CHECK(!kalam_near_post(seg, 3));
	CHECK(!kalam_lane_take(seg, my_lane(), &cursor, &channel));
	CHECK(kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel) && channel == 3);

	atomic_store(&seg->lanes[my_lane()].away, 0);
	CHECK(kalam_near_post(seg, 4));
	CHECK(kalam_near_post(seg, 5));
	CHECK(!kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel));
	CHECK(kalam_lane_take(seg, my_lane(), &cursor, &channel) && channel == 4);

	/* somebody watches */
	atomic_store(&seg->lanes[KALAM_LANE_READ].watched, 1);
	CHECK(!kalam_near_post(seg, 6));
	CHECK(kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel) && channel == 6);
	atomic_store(&seg->lanes[KALAM_LANE_READ].watched, 0);

	/* what is left goes where it is served */
	kalam_near_leave(seg, my_lane());
	CHECK(!kalam_lane_take(seg, my_lane(), &cursor, &channel));
	CHECK(kalam_lane_take(seg, KALAM_LANE_READ, &cursor, &channel) && channel == 5);
	return NULL;
}

typedef struct NearServer
{
	KalamSegment *seg;
	KalamLaneKind lane;
} NearServer;

static _Atomic bool near_stop;

/* Serves a lane; one of a processor is left and taken up again all the time. */
static void *
serve_near(void *arg)
{
	NearServer *s = arg;
	uint32_t	cursor = 0,
				channel,
				n = 0;

	while (!atomic_load(&near_stop))
	{
		KalamChannel *ch;

		if (s->lane >= KALAM_LANE_NEAR)
			atomic_store(&s->seg->lanes[s->lane].away, 0);
		if (!kalam_lane_take(s->seg, s->lane, &cursor, &channel))
		{
			kalam_lane_sleep(s->seg, s->lane, 0);
			continue;
		}
		if (s->lane >= KALAM_LANE_NEAR && ++n % 3 == 0)
			kalam_near_leave(s->seg, s->lane);
		ch = kalam_channel(s->seg, channel);
		atomic_store_explicit(&ch->done, atomic_load(&ch->generation), memory_order_release);
		kalam_channel_notify(ch);
	}
	return NULL;
}

static void *
call_near(void *arg)
{
	Caller	   *c = arg;
	KalamChannel *ch = kalam_channel(c->seg, c->channel);

	for (int i = 0; i < ROUNDS; i++)
	{
		uint32_t	g = atomic_fetch_add(&ch->generation, 1) + 1;

		(void) kalam_near_post(c->seg, c->channel);
		while (atomic_load_explicit(&ch->done, memory_order_acquire) != g)
		{
			uint32_t	seen = atomic_load(&ch->reply_seq);

			if (atomic_load_explicit(&ch->done, memory_order_acquire) != g)
				kalam_channel_sleep(ch, seen, 0);
		}
	}
	return NULL;
}

static void
test_near_lanes(void)
{
	KalamSegment *seg = make_segment(4, 0);
	Caller		callers[2] = {{seg, 0}, {seg, 5}};
	NearServer	servers[3] = {{seg, KALAM_LANE_READ}, {seg, KALAM_LANE_NEAR},
	{seg, KALAM_LANE_NEAR + 1}};
	pthread_t	t[5];

	pthread_create(&t[0], NULL, post_near_and_else, seg);
	pthread_join(t[0], NULL);

	/* hangs if a post is left where nobody looks */
	atomic_store(&near_stop, false);
	kalam_segment_storage_reset(seg);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, serve_near, &servers[i]);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[3 + i], NULL, call_near, &callers[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(t[3 + i], NULL);
	atomic_store(&near_stop, true);
	for (int i = 0; i < 3; i++)
	{
		/* (it may be about to sleep) */
		while (pthread_tryjoin_np(t[i], NULL) != 0)
		{
			kalam_lane_wake_all(seg, servers[i].lane);
			usleep(1000);
		}
	}
	CHECK_EQUAL(atomic_load(&kalam_channel(seg, 0)->done), ROUNDS);
	CHECK_EQUAL(atomic_load(&kalam_channel(seg, 5)->done), ROUNDS);
	free_segment(seg);
}

static void
test_sleep_times_out(void)
{
	KalamSegment *seg = make_segment(1, 0);
	KalamChannel *ch = kalam_channel(seg, 0);
	_Atomic uint32_t word = 5;

	CHECK(!kalam_futex_wait(&word, 5, 1000));
	CHECK(kalam_futex_wait(&word, 6, 1000));
	kalam_channel_sleep(ch, atomic_load(&ch->reply_seq), 1000);
	kalam_lane_sleep(seg, KALAM_LANE_COMMIT, 1000);
	CHECK_EQUAL(atomic_load(&ch->sleeping), 0);
	kalam_channel_sleep(ch, atomic_load(&ch->reply_seq) - 1, 0);	/* was notified: returns */
	free_segment(seg);
}

/* ---- pins: what is pinned was newest after the pin was visible ---- */

static _Atomic bool pins_stop;

static void *
publish(void *arg)
{
	KalamSegment *seg = arg;
	uint64_t	freed = 0;

	for (uint64_t c = 1; c <= 200000; c++)
	{
		atomic_store(&seg->pub, c);
		uint64_t	pin = atomic_load(&kalam_slot(seg, 0)->pins[0]);

		/* everything below pub that is not pinned is freed now */
		if (pin == 0 || pin == c)
			freed = c - 1;
		else if (pin > freed)
			freed = pin - 1;
		atomic_store(&seg->recovered, freed);
	}
	atomic_store(&pins_stop, true);
	return NULL;
}

static void
test_pins_hold(void)
{
	KalamSegment *seg = make_segment(1, 0);
	KalamSlot  *slot = kalam_slot(seg, 0);
	pthread_t	t;
	long		bad = 0;

	atomic_store(&slot->npins, 1);
	atomic_store(&seg->pub, 1);
	pthread_create(&t, NULL, publish, seg);
	while (!atomic_load(&pins_stop))
	{
		uint64_t	stamp = kalam_pin_newest(seg, &slot->pins[0]);

		for (int i = 0; i < 20; i++)
			if (atomic_load(&seg->recovered) >= stamp)
				bad++;
		atomic_store(&slot->pins[0], 0);
	}
	pthread_join(t, NULL);
	CHECK_EQUAL(bad, 0);
	free_segment(seg);
}

static void
test_hash(void)
{
	CHECK(kalam_hash("abc", 3, 0) == kalam_hash("abc", 3, 0));
	CHECK(kalam_hash("abc", 3, 0) != kalam_hash("abd", 3, 0));
	CHECK(kalam_hash("abc", 3, 0) != kalam_hash("abc", 3, 1));
	/* the published value of XXH3 for the empty input */
	CHECK(kalam_hash("", 0, 0) == UINT64_C(0x2d06800538d394c2));
}

int
main(void)
{
	test_buckets();
	test_layout();
	test_take_is_fair();
	test_no_wake_is_lost();
	test_near_lanes();
	test_sleep_times_out();
	test_pins_hold();
	test_hash();
	return check_report("test_segment");
}
