/*
 * walk.h
 *	  From one range of a list to the next: is it worth while to walk there?
 *
 * An iterator that is moved on by a few keys costs a tenth of one that seeks, or of
 * a look-up; but how far apart the keys of a list lie only walking tells.  So it
 * is tried for some ranges, and given up for ever more of them when most were far.
 */
#ifndef KALAM_STORAGE_WALK_H
#define KALAM_STORAGE_WALK_H

#include <stdbool.h>
#include <stdint.h>

/* keys that are passed on the way; more take as long as a look-up */
#define WALK_STEPS 12

/* of so many ranges, so many may be farther away */
#define WALK_RUN 64
#define WALK_FAR 8

/* ranges until the next try, if that was too many; then four times that, at most */
#define WALK_FIRST_PAUSE 256
#define WALK_LAST_PAUSE 65536

typedef struct Walk
{
	uint32_t	tried;			/* ranges of the run under way */
	uint32_t	far;			/* those that were too far */
	uint32_t	pause;			/* ranges until walking is tried again */
	uint32_t	next_pause;
} Walk;

/* A list that a run does not pay for is not walked through. */
static inline void
walk_init(Walk *w, uint32_t nranges)
{
	*w = (Walk) {.pause = nranges < WALK_RUN ? UINT32_MAX : 0, .next_pause = WALK_FIRST_PAUSE};
}

static inline bool
walk_wanted(const Walk *w)
{
	return w->pause == 0;
}

static inline void
walk_stop(Walk *w)
{
	w->tried = w->far = 0;
	w->pause = w->next_pause;
	if (w->next_pause < WALK_LAST_PAUSE)
		w->next_pause *= 4;
}

/* A range was reached by walking, or was too far. */
static inline void
walk_note(Walk *w, bool reached)
{
	w->tried++;
	w->far += !reached;
	if (w->far > WALK_FAR)
		walk_stop(w);
	else if (w->tried == WALK_RUN)
	{
		w->tried = w->far = 0;
		w->next_pause = WALK_FIRST_PAUSE;
	}
}

/* So many ranges were read in other ways. */
static inline void
walk_skip(Walk *w, uint32_t n)
{
	if (w->pause != UINT32_MAX)
		w->pause = w->pause > n ? w->pause - n : 0;
}

#endif
