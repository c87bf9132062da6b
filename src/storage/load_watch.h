/*
 * load_watch.h - what has been committed into an object since a load into it began.
 *
 * Whoever gathers keys that must not be stored looks for each in the store once,
 * and watches the object: a key that somebody commits after its look-up is in
 * the notes.  Why that, with the row locks of the backends, lets no duplicate
 * through stands in load_watch.c.
 *
 * Memory is bounded: what does not fit makes the watch say that any key may have
 * been committed.
 */
#ifndef KALAM_STORAGE_LOAD_WATCH_H
#define KALAM_STORAGE_LOAD_WATCH_H

#include "src/storage/key_notes.h"

typedef struct LoadWatch LoadWatch;

/*
 * Any thread; before the first key is looked up.  What is committed from now on is
 * noted, what was before is found in the store.
 */
extern LoadWatch *load_watch_open(uint32_t object_id);
extern void load_watch_close(LoadWatch *w);

/* Notes that were taken: keys, each once, in no order; or all. */
typedef struct LoadWatchNotes
{
	bool		all;			/* any key of the object */
	uint8_t    *bytes;
	size_t		len;
} LoadWatchNotes;

/*
 * Takes what has been noted, so that the watch begins anew.  It holds all commits
 * that somebody was told of before.  Any thread, one at a time.
 */
extern void load_watch_take(LoadWatch *w, LoadWatchNotes *notes);

/* The next key of the notes; *at is 0 at first.  False: there is none. */
extern bool load_watch_next(const LoadWatchNotes *notes, size_t *at, const uint8_t **key,
							size_t *len);
extern void load_watch_free(LoadWatchNotes *notes);

/* What was taken has not been seen to: all keys must be looked up again. */
extern void load_watch_note_all(LoadWatch *w);

/*
 * Commit thread: the keys are published, and nobody has been told yet.
 */
extern void load_watch_tell(const KeyNotes *notes);

#endif
