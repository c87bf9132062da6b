/*
 * sorter.h
 *	  The rows, or the entries of one index, of a load: sorted, found unique, in
 *	  sorted files that lie in the folder "bulk" until the store takes them in.
 *
 * Records come in any order.  They are gathered in a chunk in memory; a full one
 * goes to the pool (load_pool.h), whose threads sort it, look for its keys in
 * the store and write it as a file.  A chunk whose keys lie between those of
 * earlier ones becomes a run, whose values carry the records' tags; at the end,
 * files that overlap are merged.
 *
 * A sorter belongs to one thread at a time, its owner, who alone calls what is
 * here, but for what is said to be for any thread.  The order is: add .. add,
 * then settle or finish, and when the state is no longer RUNNING, the files,
 * look-ups and reads; close at any time.  A sorter that has failed takes what is
 * added and forgets it.
 */
#ifndef KALAM_STORAGE_SORTER_H
#define KALAM_STORAGE_SORTER_H

#include "src/storage/engine.h"
#include "src/storage/load_pool.h"

typedef struct Sorter Sorter;

typedef struct SorterConfig
{
	KalamLoadTarget target;		/* with its options, also if it is not NEW */
	uint64_t	load;			/* number of the load, in the names of its files */
	uint64_t	memory;			/* that the load may use: chunks are smaller */
	PoolOwner  *owner;			/* the load's, for all its sorters; NULL: its own */

	/*
	 * Something has changed: a job has ended, or all that was asked for is done.
	 * Called by threads of the pool, by several at once perhaps, and by settle and
	 * finish, if there is nothing to wait for.  It must not call the sorter, except
	 * for what is for any thread, nor wait for anybody who closes it.
	 */
	void		(*changed) (void *arg);
	void	   *arg;
} SorterConfig;

extern Sorter *sorter_open(const SorterConfig *config);

/*
 * Waits for jobs that are being done.  keep: the files are named in the store
 * now; else they go.
 */
extern void sorter_close(Sorter *s, bool keep_files);

/* ---- what comes ---- */

/* Copies the record.  A key that comes again overrides, unless the target is UNIQUE. */
extern void sorter_add(Sorter *s, uint64_t tag, const uint8_t *key, size_t key_len,
					   const uint8_t *value, size_t value_len);

/* Hands what there is to the pool. */
extern void sorter_flush(Sorter *s);

/* Bytes of memory that wait to be handed to the pool, and that the pool has.  For any thread. */
extern size_t sorter_buffered(const Sorter *s);
extern size_t sorter_in_jobs(const Sorter *s);

/* ---- the end ---- */

typedef enum SorterState
{
	SORTER_RUNNING,				/* takes records, or works */
	SORTER_DONE,
	SORTER_DUPLICATE,			/* see sorter_duplicate */
	SORTER_FAILED				/* see sorter_error */
} SorterState;

/*
 * settle: all that was added is in files, which may overlap.  finish: and these
 * are merged.  Both return at once; finish may follow a settle that is done.
 * Finish of a sorter in state DUPLICATE looks through all that came before the
 * duplicate, for there may have been one with a smaller tag: without it, the one
 * that is told depends on which job was faster.
 */
extern void sorter_settle(Sorter *s);
extern void sorter_finish(Sorter *s);

/*
 * For any thread.  A failure is told as soon as it has happened, while other
 * jobs may still be under way: sorter_is_idle says whether all have ended.
 */
extern SorterState sorter_state(const Sorter *s);
extern bool sorter_is_idle(const Sorter *s);

/* Jobs end soon, and the state is FAILED, CANCELED.  For any thread. */
extern void sorter_cancel(Sorter *s);

/* How far it is.  For any thread. */
typedef struct SorterProgress
{
	uint64_t	rows;			/* added */
	uint64_t	bytes;			/* of its files now */
	uint32_t	files;
	bool		merges;
} SorterProgress;

extern void sorter_progress(const Sorter *s, SorterProgress *progress);

/*
 * State DUPLICATE: a key that came twice, or that the store has: the later record.
 * Of several such it is the one with the smallest tag that was met.
 */
typedef struct SorterDuplicate
{
	uint64_t	tag;
	uint8_t    *key;
	uint8_t    *value;			/* of the record, not of the one that it collides with */
	size_t		key_len;
	size_t		value_len;
} SorterDuplicate;

/* Valid until close; only when the sorter is idle. */
extern const SorterDuplicate *sorter_duplicate(const Sorter *s);
extern const EngineError *sorter_error(const Sorter *s);

/* ---- the result: all of this only when it is idle ---- */

#define SORTER_NAME_BYTES 64

typedef struct SorterFile
{
	char		name[SORTER_NAME_BYTES];	/* in folder bulk */
	uint64_t	rows;
	uint64_t	bytes;
	uint64_t	raw_bytes;		/* of keys and values */
	bool		synced;
	const uint8_t *min_key;
	const uint8_t *max_key;
	size_t		min_len;
	size_t		max_len;
} SorterFile;

/*
 * After finish, DONE: disjoint, ascending, on disk (but for the folder's own
 * sync).  A sorter to which few records came has one file that is not synced: it
 * is to be read rather than taken in.
 */
extern uint32_t sorter_nfiles(const Sorter *s);
extern SorterFile sorter_file(const Sorter *s, uint32_t i);

/*
 * The value of a key among the records, to be freed, or NULL if there is none;
 * false only on errors.  After settle or finish; of a sorter that has failed it
 * finds what is in files.
 */
extern bool sorter_find(Sorter *s, const uint8_t *key, size_t key_len, uint8_t **value,
						size_t *value_len, EngineError *err);

/*
 * Can the key be among the records?  hash: kalam_hash(key, key_len, 0).  Always
 * true for targets that are NEW, and when filters grew too large.  For any
 * thread, when it is idle.
 */
extern bool sorter_may_have(const Sorter *s, uint64_t hash);

/*
 * Looks for all keys in the store again.  False on errors; one that is there is
 * given (to be freed by sorter_duplicate_free), else *found is false.  Its tag is
 * 0, for finished files have none.  That takes time: now and then `stops`, if it is
 * not NULL, is asked whether to give up, with an error.
 */
typedef bool (*SorterStops) (const void *arg);

extern bool sorter_check_stored(Sorter *s, SorterStops stops, const void *arg, bool *found,
								SorterDuplicate *duplicate, EngineError *err);
extern void sorter_duplicate_free(SorterDuplicate *duplicate);

/* ---- all records in the order of keys; any number of reads by any threads ---- */

typedef struct SorterRead SorterRead;

/* From lower on (NULL: from the beginning); NULL on errors. */
extern SorterRead *sorter_read_open(Sorter *s, const uint8_t *lower, size_t lower_len,
									EngineError *err);

/* The next record, valid until the next call; false at the end, or on errors. */
extern bool sorter_read_next(SorterRead *r, const uint8_t **key, size_t *key_len,
							 const uint8_t **value, size_t *value_len);

/* Behind the last one: was that the end? */
extern bool sorter_read_good(SorterRead *r, EngineError *err);
extern void sorter_read_close(SorterRead *r);

#endif
