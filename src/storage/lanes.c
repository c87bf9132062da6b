/*
 * lanes.c
 *	  How storage threads wait for work: spin for a moment, then sleep.
 *
 * A round trip between two awake processes costs half a microsecond, one with
 * a sleep and a wake forty.  But a spinning thread takes a core from a backend.
 * So a thread spins only while requests have lately come within a short gap
 * and fewer backends wait than there are cores, one thread per lane at a time.
 * While it watches the lane it hides the sleepers from the posters, so that
 * nobody pays for a wake that is not needed.
 */
#include "src/storage/lanes.h"

#include <time.h>

/* tuning */
#define SPIN_NS			50000	/* at most so long */
#define SPIN_GAP_NS		100000	/* only if requests come closer than this */
#define GAP_CAP_NS		1000000 /* a long silence counts as this */
#define LOOKS_PER_CLOCK 32
#define CLIENT_WINDOW	16		/* requests looked back on */
#define MAX_OWED		8		/* wake-ups put off at most */

/* taken from `sleepers` by the thread that watches: makes it negative */
#define HIDDEN			0x10000u

static _Atomic bool watched[KALAM_LANES];
static _Thread_local KalamLane *attended;
static _Thread_local KalamChannel *owed[MAX_OWED];	/* signalled, not woken */
static _Thread_local uint32_t nowed;

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

bool
lane_has_work(KalamLaneKind lane)
{
	_Atomic uint64_t *bits = kalam_lane_bitmap(storage.seg, lane);

	for (uint32_t w = 0; w < (storage.nchannels + 63) / 64; w++)
		if (atomic_load(&bits[w]) != 0)
			return true;
	return false;
}

static int
count_work(KalamLaneKind lane)
{
	_Atomic uint64_t *bits = kalam_lane_bitmap(storage.seg, lane);
	int			n = 0;

	for (uint32_t w = 0; w < (storage.nchannels + 63) / 64; w++)
		n += __builtin_popcountll(atomic_load(&bits[w]));
	return n;
}

static void
wake_owed(void)
{
	for (uint32_t i = 0; i < nowed; i++)
		kalam_channel_wake(owed[i]);
	nowed = 0;
}

void
lane_notify(KalamChannel *ch)
{
	if (attended == NULL)
	{
		kalam_channel_notify(ch);
		return;
	}
	kalam_channel_signal(ch);
	owed[nowed++] = ch;
	if (nowed == MAX_OWED)
		wake_owed();
}

void
lane_attend(KalamLaneKind lane)
{
	if (attended != NULL)
		return;
	attended = &storage.seg->lanes[lane];
	atomic_fetch_sub(&attended->sleepers, HIDDEN);
}

void
lane_slow(void)
{
	KalamLane  *l = attended;
	KalamLaneKind lane;

	if (l == NULL)
		return;
	attended = NULL;
	wake_owed();
	lane = (KalamLaneKind) (l - storage.seg->lanes);
	/* what was posted meanwhile has woken nobody */
	if ((int32_t) (atomic_fetch_add(&l->sleepers, HIDDEN) + HIDDEN) > 0 && lane_has_work(lane))
	{
		atomic_fetch_add(&l->seq, 1);
		kalam_futex_wake(&l->seq, 1);
	}
}

static void
cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Of the last requests, how many came from different channels? */
void
lane_note_client(uint32_t channel)
{
	static _Thread_local uint32_t last[CLIENT_WINDOW];
	static _Thread_local uint32_t n;
	uint32_t	distinct = 0;

	last[n++ % CLIENT_WINDOW] = channel;
	if (n % CLIENT_WINDOW != 0)
		return;
	for (uint32_t i = 0; i < CLIENT_WINDOW; i++)
	{
		uint32_t	j = 0;

		while (j < i && last[j] != last[i])
			j++;
		distinct += j == i;
	}
	atomic_store_explicit(&storage.seg->clients, distinct, memory_order_relaxed);
}

static bool
cores_are_free(void)
{
	return atomic_load_explicit(&storage.seg->waiting, memory_order_relaxed) < storage.ncores &&
		atomic_load_explicit(&storage.seg->clients, memory_order_relaxed) < storage.ncores;
}

/* Watches the lane for a moment.  True if something came. */
static bool
spin(KalamLaneKind lane, uint64_t start)
{
	KalamLane  *l = &storage.seg->lanes[lane];
	bool		found = false;

	if (atomic_exchange(&watched[lane], true))
		return false;
	atomic_fetch_sub(&l->sleepers, HIDDEN);
	while (!found && cores_are_free() && now_ns() - start < SPIN_NS)
		for (int i = 0; i < LOOKS_PER_CLOCK && !(found = lane_has_work(lane)); i++)
			cpu_pause();
	atomic_fetch_add(&l->sleepers, HIDDEN);
	atomic_store(&watched[lane], false);
	/* what was posted while the sleepers were hidden woke nobody */
	if (count_work(lane) > 1 && (int32_t) atomic_load(&l->sleepers) > 0)
		kalam_futex_wake(&l->seq, 1);
	return found || lane_has_work(lane);
}

void
lane_wait(KalamLaneKind lane, LaneWaiter *w, uint32_t timeout_us)
{
	uint64_t	start = now_ns();
	uint64_t	gap;

	if (w->gap_ns >= SPIN_GAP_NS || storage.ncores < 2 || !cores_are_free() || !spin(lane, start))
		kalam_lane_sleep(storage.seg, lane, timeout_us);
	gap = now_ns() - start;
	if (gap > GAP_CAP_NS)
		gap = GAP_CAP_NS;
	w->gap_ns = (3 * w->gap_ns + gap) / 4;
}

void
lane_repost(KalamLaneKind lane, uint32_t channel)
{
	if (lane_has_work(lane))
		kalam_lane_post(storage.seg, lane, channel);
	else
		atomic_fetch_or(&kalam_lane_bitmap(storage.seg, lane)[channel / 64],
						UINT64_C(1) << (channel % 64));
}
