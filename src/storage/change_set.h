/*
 * change_set.h - what a group of commits will write, and what follows from it.
 */
#ifndef KALAM_STORAGE_CHANGE_SET_H
#define KALAM_STORAGE_CHANGE_SET_H

#include "src/storage/change_stream.h"
#include "src/storage/objects.h"

typedef struct ChangeSet ChangeSet;

/*
 * A set takes one transaction after the other: begin, add .., end; an error in
 * one is undone with undo and leaves the others.  One thread at a time.
 */
extern ChangeSet *change_set_create(void);
extern void change_set_destroy(ChangeSet *s);	/* abandons what was not written */

/* lenient: changes to objects that do not exist are skipped. */
extern void change_set_begin(ChangeSet *s, bool lenient);
extern bool change_set_add(void *set, const Change *change, EngineError *err);	/* ChangeFunction */
extern bool change_set_end(ChangeSet *s, EngineError *err);
extern void change_set_undo(ChangeSet *s);

/* Does the current transaction write or create anything, or take much room? */
extern bool change_set_needs_space(const ChangeSet *s);

/*
 * Takes the sorted files that the transactions named into the store, before the
 * write of the batch.  What fails must be tried again by a later process: the
 * files stay until change_set_finish.
 */
extern bool change_set_ingest(ChangeSet *s, EngineError *err);

/* ChangeFunction: of an entry that is dropped, files are to be removed, no more. */
extern bool change_set_forget_file(void *set, const Change *change, EngineError *err);

/* Will change_set_finish remove files? */
extern bool change_set_has_files(const ChangeSet *s);

extern EngineBatch *change_set_batch(ChangeSet *s);
extern uint32_t change_set_max_object_id(const ChangeSet *s);

/* After the write, before publishing: raises the words of what changed (truth.h). */
extern void change_set_stamp(const ChangeSet *s, uint64_t stamp);

/* After publishing, before anybody is answered: those who watch its objects. */
extern void change_set_tell(const ChangeSet *s);

/* After the write, before publishing: what was created is seen, dropped not. */
extern void change_set_install(ChangeSet *s);

/* After the acknowledgement: gives back the bytes of dropped objects, empties. */
extern void change_set_finish(ChangeSet *s);

/* ---- a stream that is only looked at: PREPARE ---- */

typedef struct ChangeCheck
{
	uint32_t   *unknown;		/* written, but not committed objects */
	uint32_t   *created;
	uint32_t	nunknown;
	uint32_t	ncreated;
	uint32_t	last_known;
	uint32_t	max_object_id;
	bool		needs_space;
} ChangeCheck;

extern bool change_check_add(void *check, const Change *change, EngineError *err);
extern bool change_check_end(const ChangeCheck *check, EngineError *err);
extern void change_check_free(ChangeCheck *check);

#endif
