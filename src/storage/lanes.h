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
} LaneWaiter;

/* Notes that a channel's request is being served: for segment.clients. */
extern void lane_note_client(uint32_t channel);

/* Returns when something may be posted, or after timeout_us. */
extern void lane_wait(KalamLaneKind lane, LaneWaiter *w, uint32_t timeout_us);

/*
 * A thread that attends the lane will look at it again within microseconds, so
 * posters wake nobody else meanwhile: one thread that stays awake serves many
 * small requests cheaper than two that are woken in turn.  Before anything
 * that may take longer it calls lane_slow, which does nothing if the thread
 * attends none.
 */
extern void lane_attend(KalamLaneKind lane);
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
