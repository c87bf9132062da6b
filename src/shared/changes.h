/*
 * changes.h
 *	  A transaction's changes: the newest in memory, what memory does not hold in
 *	  sorted runs on disk, seen as one.
 *
 * C11 only; memory and files come through callbacks, which may raise.
 * Single-threaded.
 *
 * The part in memory is staged.h's.  A spill writes all of it to a run (run.h)
 * and begins it anew; runs of about a size are merged, so that there are few.
 * Creations and drops of objects, and drops of indexes, stay in memory for ever: they are few, and go
 * first at commit.
 *
 * Versions carry the subtransaction that wrote them.  Numbers of subtransactions
 * grow and are not used twice, and those inside one that is rolled back are
 * higher than its own: so a rollback pops what is in memory, and what is in runs
 * is dead from then on if its number lies between the rolled back one's and the
 * highest spilled.
 *
 * What a statement inserted elsewhere (load.h of the backend) may come back as a run.
 */
#ifndef KALAM_CHANGES_H
#define KALAM_CHANGES_H

#include "src/shared/run.h"
#include "src/shared/staged.h"

/* As command: sees versions of all commands. */
#define KALAM_ANY_COMMAND	UINT32_MAX

typedef struct KalamChanges KalamChanges;

extern KalamChanges *kalam_changes_create(const KalamStagedMemory *memory,
										  const KalamRunFiles *files);
extern void kalam_changes_destroy(KalamChanges *c);

/*
 * Adds a version of key, as kalam_staged_add does.  It stays where it is until
 * the next spill, or until its subtransaction is rolled back.
 */
extern KalamStagedVersion *kalam_changes_add(KalamChanges *c, const void *key, size_t key_len,
											 uint8_t op, uint32_t command_id, uint32_t sub,
											 size_t value_len);

/* Is it time to spill, if memory is to hold so much? */
extern bool kalam_changes_full(const KalamChanges *c, size_t memory_bytes);

/*
 * Moves what is in memory to a run, and merges runs if there are many.  Whoever
 * holds pointers to versions or their keys lets go of them first.  If it
 * raises, nothing is lost, and the subtransaction must be rolled back.
 */
extern void kalam_changes_spill(KalamChanges *c, size_t memory_bytes);

/*
 * A run of versions from elsewhere, none of whose keys has a version yet: begun,
 * filled in the order of keys, ended.  All of one subtransaction that is not rolled
 * back.  Nothing else is done with the changes in between but looking into what is
 * in memory.  If it raises, nothing of the run is there.
 */
extern void kalam_changes_run_begin(KalamChanges *c, size_t memory_bytes, uint64_t max_versions);
extern void kalam_changes_run_put(KalamChanges *c, const KalamVersion *v);
extern void kalam_changes_run_end(KalamChanges *c);

/*
 * Takes versions off the end of the log in memory, down to a mark that is not below the
 * current subtransaction's first.  Their keys go as well, if they were most of
 * what is there.
 */
extern void kalam_changes_pop_to(KalamChanges *c, KalamStagedMark mark);

extern void kalam_changes_sub_committed(KalamChanges *c, uint32_t sub, uint32_t parent);
extern void kalam_changes_sub_aborted(KalamChanges *c, uint32_t sub);

extern bool kalam_changes_spilled(const KalamChanges *c);	/* are there runs? */

/* Spills so far: marks in memory are good until the next. */
extern uint64_t kalam_changes_spills(const KalamChanges *c);
extern uint64_t kalam_changes_count(const KalamChanges *c); /* versions, some of them dead */
extern uint64_t kalam_changes_bytes(const KalamChanges *c); /* in memory and files */

extern uint64_t kalam_changes_memory_bytes(const KalamChanges *c);

/* The part in memory: all of it, if nothing was spilled. */
extern KalamStaged *kalam_changes_in_memory(const KalamChanges *c);

/*
 * The newest version of exactly this key that a command before `command_id`
 * wrote; false if there is none.  What *v points to is good until the next call
 * of anything here.
 */
extern bool kalam_changes_find(KalamChanges *c, const uint8_t *key, size_t len,
							   uint32_t command_id, KalamVersion *v);

/* Is there a version of a key in [lower, upper), seen or not? */
extern bool kalam_changes_any_in(KalamChanges *c, const uint8_t *lower, size_t lower_len,
								 const uint8_t *upper, size_t upper_len);

/* ---- changes_scan.c: in the order of keys ---- */

typedef struct KalamChangesScan KalamChangesScan;

typedef enum KalamChangesScanFlags
{
	KALAM_CHANGES_REVERSE = 1,

	/*
	 * Values lie in the scan's own memory or in changes': then they are good
	 * only as long as nothing is spilled or rolled back.
	 */
	KALAM_CHANGES_IN_PLACE = 2
} KalamChangesScanFlags;

/*
 * Of each key in [lower, upper) the newest version that a command before
 * `command_id` wrote.  upper NULL: to the end.  The scan stays good whatever is
 * added, spilled or rolled back meanwhile; its memory is its own.
 */
extern KalamChangesScan *kalam_changes_scan_open(KalamChanges *c, const KalamStagedMemory *memory,
												 const uint8_t *lower, size_t lower_len,
												 const uint8_t *upper, size_t upper_len,
												 uint32_t command_id, uint32_t flags);

/*
 * What *v points to is good until the next call for the same scan.  If it
 * raises, the scan is only to be closed.
 */
extern bool kalam_changes_scan_next(KalamChangesScan *s, KalamVersion *v);

/* The changes may be gone. */
extern void kalam_changes_scan_close(KalamChangesScan *s);

#endif							/* KALAM_CHANGES_H */
