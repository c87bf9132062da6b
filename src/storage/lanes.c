/*
 * lanes.c
 *	  How storage threads wait for work: spin for a moment, then sleep.
 *
 * A round trip between two awake processes costs half a microsecond, one with
 * a sleep and a wake on one core three, and one to an idle core and back up to
 * eighty.  But a spinning thread takes a core from a backend.  So a thread spins
 * only while requests have lately come within a short gap, from fewer backends
 * than there are cores, and nobody else has wanted the core; one thread per lane
 * at a time.  While it watches the lane it hides the sleepers from the posters, so
 * that nobody pays for a wake that is not needed.  Threads of NEAR lanes watch the
 * READ lane, for that is where posts go while somebody does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* CPU_SET */
#endif
#include "src/storage/lanes.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

/* tuning */
#define SPIN_NS			200000	/* at most so long */
#define SPIN_GAP_NS		250000	/* only if requests come closer than this */
#define PREEMPTED_NS	15000	/* not to have looked for so long: the core was taken */
#define CROWDED			64		/* waits without a spin then, or when preempted twice */
#define CROWDED_MAX		4096	/* it doubles each time, up to this */
#define SPINS_PER_LOOK	16		/* in so many */
#define GAP_CAP_NS		1000000 /* a long silence counts as this */
#define LOOKS_PER_CLOCK 32
#define CLIENT_WINDOW_NS 1000000	/* clients are those of this time */
#define CLIENT_WORDS	16
#define NOTES_PER_CLOCK 8
#define MAX_OWED		8		/* wake-ups put off at most */

/* taken from `sleepers` by the thread that watches: makes it negative */
#define HIDDEN			0x10000u

static _Thread_local KalamLane *attended;
static _Thread_local KalamChannel *owed[MAX_OWED];	/* signalled, not woken */
static _Thread_local uint32_t nowed;
static _Thread_local bool elsewhere;	/* this thread looks at the READ lane by chance */

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

static bool
is_near(KalamLaneKind lane)
{
	return lane >= KALAM_LANE_NEAR;
}

static KalamLaneKind
lane_number(const KalamLane *l)
{
	return (KalamLaneKind) (l - storage.seg->lanes);
}

static void
attend(KalamLaneKind lane)
{
	KalamLane  *l = &storage.seg->lanes[lane];

	if (attended == l)
		return;
	attended = l;
	if (is_near(lane))
		atomic_store(&l->away, 0);
	else
		atomic_fetch_sub(&l->sleepers, HIDDEN);
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
	lane = lane_number(l);
	if (is_near(lane))
	{
		kalam_near_leave(storage.seg, lane);
		return;
	}
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

/* From how many channels did requests come lately? */
void
lane_note_client(uint32_t channel)
{
	static _Atomic uint64_t seen[CLIENT_WORDS];
	static _Atomic uint64_t since;
	static _Thread_local uint32_t n;
	uint32_t	bit = channel % (CLIENT_WORDS * 64);
	uint64_t	mask = UINT64_C(1) << (bit % 64);
	uint64_t	begun;
	uint64_t	now;
	int			distinct = 0;

	if (!(atomic_load_explicit(&seen[bit / 64], memory_order_relaxed) & mask))
		atomic_fetch_or_explicit(&seen[bit / 64], mask, memory_order_relaxed);
	if (++n % NOTES_PER_CLOCK != 0)
		return;
	now = now_ns();
	begun = atomic_load_explicit(&since, memory_order_relaxed);
	if (now < begun + CLIENT_WINDOW_NS || !atomic_compare_exchange_strong(&since, &begun, now))
		return;
	for (uint32_t i = 0; i < CLIENT_WORDS; i++)
		distinct += __builtin_popcountll(atomic_exchange_explicit(&seen[i], 0, memory_order_relaxed));
	atomic_store_explicit(&storage.seg->clients, (uint32_t) distinct, memory_order_relaxed);
}

static bool
cores_are_free(void)
{
	return atomic_load_explicit(&storage.seg->waiting, memory_order_relaxed) < storage.ncores &&
		atomic_load_explicit(&storage.seg->clients, memory_order_relaxed) < storage.ncores;
}

static void
note_crowd(LaneWaiter *w)
{
	w->penalty = w->penalty == 0 ? CROWDED :
		w->penalty < CROWDED_MAX ? 2 * w->penalty : CROWDED_MAX;
	w->crowded = w->penalty;
}

/* Have others taken our core from us lately? */
static bool
is_crowded(LaneWaiter *w)
{
	struct rusage usage;
	long		before = w->preempted;

	if (getrusage(RUSAGE_THREAD, &usage) != 0)
		return false;
	w->preempted = usage.ru_nivcsw;
	if (w->preempted - before < 2)
	{
		w->penalty = 0;
		return false;
	}
	note_crowd(w);
	return true;
}

/*
 * Watches the lane for a moment, and the thread's own if that is another.  True if
 * something came.
 */
static bool
spin(KalamLaneKind lane, KalamLaneKind own, LaneWaiter *w, uint64_t start)
{
	KalamLane  *l = &storage.seg->lanes[lane];
	bool		found = false;
	uint64_t	looked = start;

	if (++w->spins % SPINS_PER_LOOK == 0 && is_crowded(w))
		return false;
	if (atomic_exchange(&l->watched, 1))
		return false;
	atomic_fetch_sub(&l->sleepers, HIDDEN);
	while (!found && cores_are_free())
	{
		uint64_t	now = now_ns();

		if (now - looked > PREEMPTED_NS)
			note_crowd(w);
		if (now - start >= SPIN_NS || w->crowded > 0)
			break;
		looked = now;
		for (int i = 0; i < LOOKS_PER_CLOCK && !found; i++)
		{
			found = lane_has_work(lane) || (own != lane && lane_has_work(own));
			if (!found)
				cpu_pause();
		}
	}
	atomic_fetch_add(&l->sleepers, HIDDEN);
	atomic_store(&l->watched, 0);
	/* what was posted while the sleepers were hidden woke nobody */
	if (count_work(lane) > 1 && (int32_t) atomic_load(&l->sleepers) > 0)
		kalam_futex_wake(&l->seq, 1);
	return found || lane_has_work(lane);
}

/* Spins or sleeps.  True if something came on the lane that was watched. */
static bool
spin_or_sleep(KalamLaneKind watch, KalamLaneKind own, LaneWaiter *w, uint32_t timeout_us)
{
	uint64_t	start = now_ns();
	uint64_t	gap;
	bool		came = false;

	if (w->crowded > 0)
		w->crowded--;
	else if (w->gap_ns < SPIN_GAP_NS && storage.ncores > 1 && cores_are_free())
		came = spin(watch, own, w, start);
	if (!came)
		kalam_lane_sleep(storage.seg, own, timeout_us);
	gap = now_ns() - start;
	if (gap > GAP_CAP_NS)
		gap = GAP_CAP_NS;
	w->gap_ns = (3 * w->gap_ns + gap) / 4;
	return came;
}

void
lane_wait(KalamLaneKind lane, LaneWaiter *w, uint32_t timeout_us)
{
	(void) spin_or_sleep(lane, lane, w, timeout_us);
}

bool
lane_next(KalamLaneKind lane, LaneWaiter *w, uint32_t timeout_us, uint32_t *channel)
{
	bool		near = is_near(lane);

	if (near)
		attend(lane);
	if (kalam_lane_take(storage.seg, lane, &w->cursor, channel) ||
		(w->watches && kalam_lane_take(storage.seg, KALAM_LANE_READ, &w->cursor, channel)))
	{
		attend(lane);
		elsewhere = near && !w->watches;
		return true;
	}
	if (near)
		wake_owed();
	else
		lane_slow();
	if (!lane_has_work(lane))
		w->watches = spin_or_sleep(KALAM_LANE_READ, lane, w, timeout_us) && near;
	return false;
}

uint32_t
lanes_near(KalamLaneKind lanes[KALAM_NEAR_LANES])
{
	cpu_set_t	set;
	uint32_t	n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (uint32_t i = 0; i < KALAM_NEAR_LANES; i++)
		for (uint32_t cpu = i; cpu < CPU_SETSIZE; cpu += KALAM_NEAR_LANES)
			if (CPU_ISSET(cpu, &set))
			{
				lanes[n++] = KALAM_LANE_NEAR + i;
				break;
			}
	return n;
}

void
lane_settle(KalamLaneKind lane)
{
	cpu_set_t	set;
	uint32_t	first = lane - KALAM_LANE_NEAR;

	CPU_ZERO(&set);
	for (uint32_t i = first; i < CPU_SETSIZE; i += KALAM_NEAR_LANES)
		CPU_SET(i, &set);
	(void) sched_setaffinity(0, sizeof(set), &set);
}

void
lane_quit(KalamLaneKind lane)
{
	attended = NULL;
	wake_owed();
	kalam_near_leave(storage.seg, lane);
}

void
lane_repost(KalamLaneKind lane, uint32_t channel)
{
	if (elsewhere || lane_has_work(lane))
		kalam_lane_post(storage.seg, lane, channel);
	else
		atomic_fetch_or(&kalam_lane_bitmap(storage.seg, lane)[channel / 64],
						UINT64_C(1) << (channel % 64));
}
