/*
 * group.h - transactions that are written together, and their publication.
 *
 * There is one group at a time.  It belongs to the commit thread, before that
 * thread starts to the main thread.
 */
#ifndef KALAM_STORAGE_GROUP_H
#define KALAM_STORAGE_GROUP_H

#include "src/storage/channels.h"

/* An empty group whose changes go to the set. */
extern void group_begin(ChangeSet *set);

/* The set has the request's changes; it is answered after the write. */
extern void group_join(Chan *c);
extern uint32_t group_size(void);	/* who joined */
extern bool group_has_room(void);

/* What the group does to the list of pending transactions, once written. */
extern void group_add_pending(uint64_t full_xid);
extern void group_remove_pending(uint64_t full_xid);
extern bool group_removes_pending(uint64_t full_xid);

/* An object id that a pending entry of the group creates. */
extern void group_note_object_id(uint32_t id);

/* The write must be on disk before anything follows. */
extern void group_sync(void);

/* Is there room for a transaction, and for so many bytes beyond? */
extern bool group_space_left(uint64_t bytes, EngineError *err);

/*
 * Writes the set as it is; nobody sees it yet and nobody is answered.  The set
 * is empty then and the group is what it was.
 */
extern void group_store(void);

/* Writes the set, publishes it and answers who joined. */
extern void group_write(void);

/* The store takes no more writes: ends the process, and leaves who waits to its successor. */
extern void group_die(const EngineError *err) __attribute__((noreturn));

/* Publishes a stamp at which nothing changed, and returns it. */
extern bool group_publish_bare(uint64_t *stamp, EngineError *err);

/* Main thread: counters go on where the store ends. */
extern bool group_recover(EngineError *err);

#endif
