/*
 * lanes.h - how storage threads wait for work.
 */
#ifndef KALAM_STORAGE_LANES_H
#define KALAM_STORAGE_LANES_H

#include "src/storage/storage.h"

/* One per thread, all zero at first. */
typedef struct LaneWaiter
{
	uint64_t	gap_ns;			/* smoothed: from running dry to the next request */
	uint32_t	crowded;		/* so often it does not spin: others want the core, */
	uint32_t	penalty;		/* and as often if they did so again */
	uint32_t	spins;
	long		preempted;		/* so often when it looked last */
	uint32_t	cursor;			/* lane_next's: the channel taken last, */
	bool		watches;		/* and whether it takes from the READ lane as well */
} LaneWaiter;

/* Notes that a channel's request is being served: for segment.clients. */
extern void lane_note_client(uint32_t channel);

/* Returns when something may be posted, or after timeout_us. */
extern void lane_wait(KalamLaneKind lane, LaneWaiter *w, uint32_t timeout_us);

/*
 * The next posted channel for a thread that serves the lane and calls nothing else
 * to wait.  False if none came for now.
 */
extern bool lane_next(KalamLaneKind lane, LaneWaiter *w, uint32_t timeout_us, uint32_t *channel);

/* The NEAR lanes of processors that this process may run on.  Returns how many. */
extern uint32_t lanes_near(KalamLaneKind lanes[KALAM_NEAR_LANES]);

/* Runs this thread on the NEAR lane's processor only. */
extern void lane_settle(KalamLaneKind lane);

/* This thread serves the NEAR lane no more. */
extern void lane_quit(KalamLaneKind lane);

/*
 * A thread that attends its lane will look at it again within microseconds, so
 * posters wake nobody else meanwhile: one thread that stays awake serves many
 * small requests cheaper than two that are woken in turn.  lane_next makes it
 * attend.  Before anything that may take longer it calls lane_slow, which does
 * nothing if the thread attends none.
 */
extern void lane_slow(void);

/*
 * Notifies the channel's owner.  While the thread attends a lane the wake-up is
 * put off until it has answered a few more, or there is nothing more to do: a
 * wake-up costs as much as a look-up, and who is woken may take our core.
 */
extern void lane_notify(KalamChannel *ch);

extern bool lane_has_work(KalamLaneKind lane);

/*
 * Puts the channel back on the lane for the thread that calls this, or another
 * that is awake; wakes one only if there is more to do than this.
 */
extern void lane_repost(KalamLaneKind lane, uint32_t channel);

#endif
