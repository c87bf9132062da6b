/*
 * segment.c
 *	  Layout of the shared segment, and the few handshakes that live in it.
 *
 * C11 only: compiled into backends and into the storage program.  Nothing here
 * blocks except the functions named sleep or wait, and nothing takes a lock.
 *
 * Every sleep is a store-then-load handshake: the sleeper announces itself and
 * then looks for work, the waker makes work and then looks for a sleeper.  Both
 * sides are seq_cst, so that at least one of them sees the other.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* sched_getcpu */
#endif
#include "src/shared/segment.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "src/shared/protocol.h"

#define ALIGN_UP(n, a) (((n) + (uint64_t) (a) - 1) / (uint64_t) (a) * (uint64_t) (a))
#define PAGE_BYTES 4096

_Static_assert(sizeof(KalamSlot) % KALAM_CACHE_LINE == 0, "slots tile cache lines");
_Static_assert(sizeof(KalamChannel) % KALAM_CACHE_LINE == 0, "channels tile cache lines");
_Static_assert(sizeof(KalamBlock) % 8 == 0, "block data is 8-aligned");
_Static_assert(sizeof(KalamBlock) == offsetof(KalamBlock, data), "no padding before data");
_Static_assert(offsetof(KalamRow, tuple_len) == KALAM_ROW_TUPLE_OFFSET, "tuple offset");
_Static_assert((KALAM_OBJECT_STAMPS & (KALAM_OBJECT_STAMPS - 1)) == 0, "a power of two");

/* the least that an entry of a cache takes, header and all */
#define CACHE_ENTRY_BYTES 128

typedef struct Layout
{
	uint32_t	nchannels;
	uint64_t	slots;
	uint64_t	channels;
	uint64_t	bitmaps[KALAM_LANES];
	uint64_t	objects;
	uint64_t	buckets;
	uint64_t	blocks;
	uint64_t	size;
} Layout;

static uint32_t
bitmap_words(uint32_t nchannels)
{
	return (nchannels + 63) / 64;
}

static Layout
compute_layout(const KalamConfig *config)
{
	Layout		l;
	uint64_t	at = ALIGN_UP(sizeof(KalamSegment), KALAM_CACHE_LINE);

	l.nchannels = 2 * config->nslots + config->nextra;
	l.slots = at;
	at += (uint64_t) config->nslots * sizeof(KalamSlot);
	l.channels = at;
	at += (uint64_t) l.nchannels * sizeof(KalamChannel);
	for (int i = 0; i < KALAM_LANES; i++)
	{
		l.bitmaps[i] = at;
		at = ALIGN_UP(at + bitmap_words(l.nchannels) * sizeof(uint64_t), KALAM_CACHE_LINE);
	}
	l.objects = at;
	at += KALAM_OBJECT_STAMPS * sizeof(KalamObjectStamps);
	l.buckets = at;
	at += (uint64_t) config->nbuckets * sizeof(uint64_t);
	l.blocks = ALIGN_UP(at, PAGE_BYTES);
	l.size = l.blocks + (uint64_t) l.nchannels * KALAM_CHANNEL_BLOCKS * KALAM_BLOCK_BYTES;
	return l;
}

uint32_t
kalam_segment_buckets(uint64_t cache_bytes)
{
	uint32_t	n = KALAM_MIN_BUCKETS;

	while (n < KALAM_MAX_BUCKETS && n < cache_bytes / CACHE_ENTRY_BYTES)
		n *= 2;
	return n;
}

uint64_t
kalam_segment_size(const KalamConfig *config)
{
	return compute_layout(config).size;
}

void
kalam_segment_init(KalamSegment *seg, const KalamConfig *config)
{
	Layout		l = compute_layout(config);

	seg->version = KALAM_SEGMENT_VERSION;
	seg->nchannels = l.nchannels;
	seg->size_bytes = l.size;
	seg->slots_offset = l.slots;
	seg->channels_offset = l.channels;
	seg->objects_offset = l.objects;
	seg->buckets_offset = l.buckets;
	seg->bucket_mask = config->nbuckets - 1;
	seg->blocks_offset = l.blocks;
	seg->config = *config;
	for (int i = 0; i < KALAM_LANES; i++)
		seg->lanes[i].bitmap_offset = l.bitmaps[i];
	atomic_init(&seg->state, KALAM_STORAGE_DOWN);
	atomic_init(&seg->epoch, 1);
	atomic_init(&seg->next_serial, 1);
	atomic_init(&seg->next_row_id, 1);
	atomic_init(&seg->next_object_id, KALAM_OBJECT_FIRST_USER);
	for (uint32_t i = 0; i < config->nslots; i++)
	{
		kalam_channel(seg, KALAM_RPC_CHANNEL(i))->slot = i;
		kalam_channel(seg, KALAM_SCAN_CHANNEL(i))->slot = i;
		atomic_init(&kalam_channel(seg, KALAM_RPC_CHANNEL(i))->owner, i + 1);
		atomic_init(&kalam_channel(seg, KALAM_SCAN_CHANNEL(i))->owner, i + 1);
	}
	seg->magic = KALAM_SEGMENT_MAGIC;
}

bool
kalam_segment_check(const KalamSegment *seg, uint64_t size)
{
	Layout		l;

	if (size < sizeof(KalamSegment) || seg->magic != KALAM_SEGMENT_MAGIC ||
		seg->version != KALAM_SEGMENT_VERSION)
		return false;
	if (seg->config.nslots == 0 || seg->config.nslots > (1u << 20) ||
		seg->config.nextra > (1u << 20) || seg->config.nbuckets < KALAM_MIN_BUCKETS ||
		seg->config.nbuckets > KALAM_MAX_BUCKETS ||
		(seg->config.nbuckets & (seg->config.nbuckets - 1)) != 0)
		return false;
	l = compute_layout(&seg->config);
	if (memchr(seg->config.data_directory, 0, sizeof(seg->config.data_directory)) == NULL)
		return false;
	for (int i = 0; i < KALAM_LANES; i++)
		if (seg->lanes[i].bitmap_offset != l.bitmaps[i])
			return false;
	return seg->size_bytes == l.size && size >= l.size && seg->nchannels == l.nchannels &&
		seg->slots_offset == l.slots && seg->channels_offset == l.channels &&
		seg->objects_offset == l.objects && seg->buckets_offset == l.buckets &&
		seg->bucket_mask == seg->config.nbuckets - 1 && seg->blocks_offset == l.blocks;
}

void
kalam_segment_storage_reset(KalamSegment *seg)
{
	for (int lane = 0; lane < KALAM_LANES; lane++)
	{
		_Atomic uint64_t *bits = kalam_lane_bitmap(seg, (KalamLaneKind) lane);

		atomic_store(&seg->lanes[lane].sleepers, 0);
		atomic_store(&seg->lanes[lane].watched, 0);
		atomic_store(&seg->lanes[lane].away, 1);
		for (uint32_t w = 0; w < bitmap_words(seg->nchannels); w++)
			atomic_store(&bits[w], 0);
	}
}

/* ---- futexes ---- */

bool
kalam_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint32_t timeout_us)
{
	struct timespec ts;

	ts.tv_sec = timeout_us / 1000000;
	ts.tv_nsec = (long) (timeout_us % 1000000) * 1000;
	return syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_us ? &ts : NULL, NULL, 0) == 0 ||
		errno != ETIMEDOUT;
}

void
kalam_futex_wake(_Atomic uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

/* ---- lanes ---- */

void
kalam_lane_post(KalamSegment *seg, KalamLaneKind lane, uint32_t channel)
{
	KalamLane  *l = &seg->lanes[lane];

	atomic_fetch_or(&kalam_lane_bitmap(seg, lane)[channel / 64], UINT64_C(1) << (channel % 64));
	atomic_fetch_add(&l->seq, 1);
	/* negative while a thread that watches the lane hides the sleepers */
	if ((int32_t) atomic_load(&l->sleepers) > 0)
		kalam_futex_wake(&l->seq, 1);
}

bool
kalam_near_post(KalamSegment *seg, uint32_t channel)
{
	int			cpu = sched_getcpu();
	KalamLaneKind lane = KALAM_LANE_NEAR + (KalamLaneKind) (cpu < 0 ? 0 : cpu % KALAM_NEAR_LANES);
	KalamLane  *l = &seg->lanes[lane];

	if (atomic_load(&seg->lanes[KALAM_LANE_READ].watched) || atomic_load(&l->away))
	{
		kalam_lane_post(seg, KALAM_LANE_READ, channel);
		return false;
	}
	kalam_lane_post(seg, lane, channel);
	/* either this sees that the thread has left, or the thread sees what was posted */
	if (!atomic_load(&l->away))
		return true;
	kalam_lane_post(seg, KALAM_LANE_READ, channel);
	return false;
}

void
kalam_near_leave(KalamSegment *seg, KalamLaneKind lane)
{
	uint32_t	cursor = 0;
	uint32_t	channel;

	atomic_store(&seg->lanes[lane].away, 1);
	while (kalam_lane_take(seg, lane, &cursor, &channel))
		kalam_lane_post(seg, KALAM_LANE_READ, channel);
}

bool
kalam_lane_take(KalamSegment *seg, KalamLaneKind lane, uint32_t *cursor, uint32_t *channel)
{
	_Atomic uint64_t *bits = kalam_lane_bitmap(seg, lane);
	uint32_t	nwords = bitmap_words(seg->nchannels);
	uint32_t	start = (*cursor + 1) % seg->nchannels;

	/* the first word is looked at twice: its upper part first, all of it last */
	for (uint32_t i = 0; i <= nwords; i++)
	{
		uint32_t	w = (start / 64 + i) % nwords;
		uint64_t	mask = i == 0 ? ~UINT64_C(0) << (start % 64) : ~UINT64_C(0);
		uint64_t	word;

		while ((word = atomic_load_explicit(&bits[w], memory_order_acquire) & mask) != 0)
		{
			uint32_t	bit = (uint32_t) __builtin_ctzll(word);

			if (atomic_fetch_and(&bits[w], ~(UINT64_C(1) << bit)) >> bit & 1)
			{
				*channel = *cursor = w * 64 + bit;
				return true;
			}
		}
	}
	return false;
}

static bool
lane_has_work(KalamSegment *seg, KalamLaneKind lane)
{
	_Atomic uint64_t *bits = kalam_lane_bitmap(seg, lane);

	for (uint32_t w = 0; w < bitmap_words(seg->nchannels); w++)
		if (atomic_load(&bits[w]) != 0)
			return true;
	return false;
}

void
kalam_lane_sleep(KalamSegment *seg, KalamLaneKind lane, uint32_t timeout_us)
{
	KalamLane  *l = &seg->lanes[lane];
	uint32_t	seq;

	atomic_fetch_add(&l->sleepers, 1);
	seq = atomic_load(&l->seq);
	if (!lane_has_work(seg, lane))
		kalam_futex_wait(&l->seq, seq, timeout_us);
	atomic_fetch_sub(&l->sleepers, 1);
}

void
kalam_lane_wake_all(KalamSegment *seg, KalamLaneKind lane)
{
	atomic_fetch_add(&seg->lanes[lane].seq, 1);
	kalam_futex_wake(&seg->lanes[lane].seq, INT32_MAX);
}

/* ---- channels ---- */

void
kalam_channel_signal(KalamChannel *ch)
{
	atomic_fetch_add(&ch->reply_seq, 1);
}

void
kalam_channel_wake(KalamChannel *ch)
{
	if (atomic_load(&ch->sleeping))
		kalam_futex_wake(&ch->reply_seq, 1);
}

void
kalam_channel_notify(KalamChannel *ch)
{
	kalam_channel_signal(ch);
	kalam_channel_wake(ch);
}

void
kalam_channel_sleep(KalamChannel *ch, uint32_t seen, uint32_t timeout_us)
{
	atomic_store(&ch->sleeping, 1);
	if (atomic_load(&ch->reply_seq) == seen)
		kalam_futex_wait(&ch->reply_seq, seen, timeout_us);
	atomic_store(&ch->sleeping, 0);
}

/* ---- stamps ---- */

uint64_t
kalam_pin_newest(KalamSegment *seg, _Atomic uint64_t *pin)
{
	uint64_t	stamp = atomic_load(&seg->pub);

	for (;;)
	{
		uint64_t	now;

		atomic_store(pin, stamp);
		now = atomic_load(&seg->pub);
		if (now == stamp)
			return stamp;
		stamp = now;
	}
}

uint64_t
kalam_hash(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}
