/*
 * engine.h
 *	  The only door to RocksDB: opaque handles, verbs in pairs.
 *
 * engine_open .. engine_close; everything else opened through here must be
 * closed before engine_close (RocksDB's assertions abort the process
 * otherwise).  Functions that can fail return false and fill an EngineError.
 * All of them may be called from any thread; one batch, iterator or value
 * belongs to one thread at a time.
 */
#ifndef KALAM_STORAGE_ENGINE_H
#define KALAM_STORAGE_ENGINE_H

#include "src/shared/protocol.h"
#include "src/shared/segment.h"

typedef struct Engine Engine;
typedef struct EngineFamily EngineFamily;	/* one column family, open */
typedef struct EngineBatch EngineBatch;
typedef struct EngineIter EngineIter;
typedef struct EngineSnapshot EngineSnapshot;
typedef struct EngineValue EngineValue; /* bytes pinned in the store's memory */

typedef struct EngineError
{
	KalamCode	code;
	char		message[KALAM_MESSAGE_BYTES];	/* one line */
} EngineError;

extern void engine_error(EngineError *err, KalamCode code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

typedef struct EngineConfig
{
	const char *db_directory;
	uint64_t	block_cache_bytes;
	uint64_t	write_buffer_bytes;
	uint32_t	background_jobs;
	int			max_open_files;
	bool		little_space;	/* writes as few files as it can while opening */
	/* of a family that exists, by name: its options, and is it to be left uncompacted? */
	KalamObjectOptions (*options_of) (const char *name, void *arg);
	bool		(*is_damaged) (const char *name, void *arg);
	void	   *options_arg;
} EngineConfig;

extern Engine *engine_open(const EngineConfig *config, EngineError *err);
extern void engine_close(Engine *e);

/*
 * Opens only family "catalog", which is engine_opened 0, to read what the store
 * would hold once opened: log and files stay as they are.
 */
extern Engine *engine_open_to_look(const EngineConfig *config, EngineError *err);
extern bool engine_sync(Engine *e, EngineError *err);	/* log to disk */

/*
 * Families that the store held when it was opened ("catalog" and "pending" are
 * always there).  The caller closes each of them.
 */
extern uint32_t engine_nopened(Engine *e);
extern EngineFamily *engine_opened(Engine *e, uint32_t i);
extern const char *engine_family_name(EngineFamily *f);

extern EngineFamily *engine_family_create(Engine *e, const char *name,
										  KalamObjectOptions options, EngineError *err);
extern bool engine_family_drop(Engine *e, EngineFamily *f, EngineError *err);
extern void engine_family_close(EngineFamily *f);

/* ---- writing ---- */

extern EngineBatch *engine_batch_create(void);
extern void engine_batch_destroy(EngineBatch *b);
extern void engine_batch_clear(EngineBatch *b);
extern void engine_batch_put(EngineBatch *b, EngineFamily *f, const void *key, size_t key_len,
							 const void *value, size_t value_len);
extern void engine_batch_delete(EngineBatch *b, EngineFamily *f, const void *key, size_t key_len);
extern void engine_batch_delete_range(EngineBatch *b, EngineFamily *f, const void *lower,
									  size_t lower_len, const void *upper, size_t upper_len);
extern void engine_batch_mark(EngineBatch *b);
extern void engine_batch_rollback(EngineBatch *b);	/* to the mark, which goes */
extern void engine_batch_release(EngineBatch *b);	/* forgets the mark */
extern size_t engine_batch_bytes(EngineBatch *b);
extern uint32_t engine_batch_count(EngineBatch *b);
extern bool engine_write(Engine *e, EngineBatch *b, bool sync, EngineError *err);

/* Is it sure that a write that failed so is not found when the store is opened again? */
extern bool engine_write_left_nothing(const EngineError *err);

/*
 * After a failed flush or compaction RocksDB may take no more writes: false
 * then, with its reason.  It costs an empty write; engine_failures, which
 * counts the failed ones, costs next to nothing.
 */
extern bool engine_takes_writes(Engine *e, EngineError *err);
extern uint64_t engine_failures(Engine *e);

/* Does the text name a sorted file of the store?  Then the family of it. */
extern bool engine_family_of_file(Engine *e, const char *text, char *name, size_t size);

/* ---- sorted files ---- */

typedef struct EngineFile EngineFile;	/* being written, keys ascending */

typedef enum EngineFileKind
{
	ENGINE_FILE_LASTING,		/* to be taken in */
	ENGINE_FILE_UNSYNCED,		/* as well, once somebody has synced it */
	ENGINE_FILE_TEMPORARY		/* to be read once: quickly compressed, without a filter, not synced */
} EngineFileKind;

extern EngineFile *engine_file_create(Engine *e, KalamObjectOptions options, const char *path,
									  EngineFileKind kind, EngineError *err);
extern bool engine_file_put(EngineFile *f, const void *key, size_t key_len, const void *value,
							size_t value_len, EngineError *err);
extern bool engine_file_delete(EngineFile *f, const void *key, size_t key_len, EngineError *err);
extern uint64_t engine_file_bytes(EngineFile *f);	/* so far */

/* Synced, if it is to last; tells its bytes; f is gone. */
extern bool engine_file_finish(EngineFile *f, uint64_t *bytes, EngineError *err);
extern void engine_file_abandon(EngineFile *f); /* the path stays */

/* One that is complete, for reading by any number of cursors. */
typedef struct EngineSorted EngineSorted;
typedef struct EngineCursor EngineCursor;

extern EngineSorted *engine_sorted_open(const char *path, EngineError *err);
extern void engine_sorted_close(EngineSorted *s);	/* its cursors are closed */

/* Over lower <= key < upper (upper_len 0: to the end); upper is not copied. */
extern EngineCursor *engine_cursor_open(EngineSorted *s, const uint8_t *lower, size_t lower_len,
										const uint8_t *upper, size_t upper_len, size_t readahead);
extern void engine_cursor_close(EngineCursor *c);

/* The entry it stands on, valid until it moves; false if there is none. */
extern bool engine_cursor_entry(EngineCursor *c, const uint8_t **key, size_t *key_len,
								const uint8_t **value, size_t *value_len);
extern void engine_cursor_move(EngineCursor *c);	/* only if it stands on one */
extern bool engine_cursor_end(EngineCursor *c, EngineError *err);	/* false: an error ended it */

/*
 * Makes whole files part of a family, by links, or as copies where the file
 * system has none.  The files stay as they are, and under their names.
 */
extern bool engine_ingest(Engine *e, EngineFamily *f, const char *const *paths, size_t n,
						  EngineError *err);

/* ---- reading; snapshot NULL: the newest ---- */

extern EngineSnapshot *engine_snapshot_create(Engine *e);
extern void engine_snapshot_release(Engine *e, EngineSnapshot *s);

/* False only on errors; *value is NULL if there is no such key. */
extern bool engine_get(Engine *e, EngineFamily *f, EngineSnapshot *s, const void *key,
					   size_t key_len, EngineValue **value, EngineError *err);
/* The same, if it can be answered from memory; *known false if it cannot. */
extern bool engine_get_cached(Engine *e, EngineFamily *f, EngineSnapshot *s, const void *key,
							  size_t key_len, EngineValue **value, bool *known, EngineError *err);
extern const uint8_t *engine_value_bytes(EngineValue *v, size_t *len);
extern void engine_value_release(EngineValue *v);

/* Values of n keys, at most 64; NULL where there is no such key, and all of them on errors. */
#define ENGINE_MULTI_MAX 64
extern bool engine_multi_get(Engine *e, EngineFamily *f, EngineSnapshot *s, uint32_t n,
							 const uint8_t *const *keys, const size_t *lens, bool ascending,
							 EngineValue **values, EngineError *err);

/* Index of the first of n keys, at most 64, that exists, or n. */
extern bool engine_first_existing(Engine *e, EngineFamily *f, EngineSnapshot *s, uint32_t n,
								  const uint8_t *const *keys, const size_t *lens, bool ascending,
								  uint32_t *first, EngineError *err);

/*
 * Iterates over lower <= key < upper.  The bounds are not copied: they must
 * stay as they are until engine_iter_close.  It gives up after max_skip
 * deleted entries in a row.
 */
extern EngineIter *engine_iter_open(Engine *e, EngineFamily *f, EngineSnapshot *s,
									const uint8_t *lower, size_t lower_len, const uint8_t *upper,
									size_t upper_len, uint64_t max_skip);

/*
 * The same for a long read: it leaves the block cache to others and reads the
 * files in large pieces.
 */
extern EngineIter *engine_iter_open_long(Engine *e, EngineFamily *f, EngineSnapshot *s,
										 const uint8_t *lower, size_t lower_len,
										 const uint8_t *upper, size_t upper_len,
										 uint64_t max_skip);

/* Only what is not in files yet: rows of before are there as they lie in memory. */
extern EngineIter *engine_iter_open_memory(Engine *e, EngineFamily *f, const uint8_t *lower,
										   size_t lower_len, const uint8_t *upper,
										   size_t upper_len, uint64_t max_skip);
extern void engine_iter_close(EngineIter *it);
extern void engine_iter_start(EngineIter *it, bool reverse);

/* To the first key that is not below `key`; reverse: to the last that is not above. */
extern void engine_iter_seek(EngineIter *it, const uint8_t *key, size_t key_len, bool reverse);

/* The entry it stands on, valid until it moves; false if there is none. */
extern bool engine_iter_entry(EngineIter *it, const uint8_t **key, size_t *key_len,
							  const uint8_t **value, size_t *value_len);
extern bool engine_iter_valid(EngineIter *it);
extern void engine_iter_move(EngineIter *it, bool reverse); /* only if valid */

typedef enum EngineIterEnd
{
	ENGINE_ITER_END,			/* the range is at its end */
	ENGINE_ITER_SKIPPED,		/* max_skip reached: open another with more */
	ENGINE_ITER_ERROR
} EngineIterEnd;

/* Why an iterator is not valid. */
extern EngineIterEnd engine_iter_end(EngineIter *it, EngineError *err);

/*
 * Blocks of files that the calling thread looks at between begin and end, which adds
 * them up.  Not nested.
 */
typedef struct EngineReads
{
	uint64_t	cache_hits;
	uint64_t	file_reads;
} EngineReads;

extern void engine_measure_begin(void);
extern void engine_measure_end(EngineReads *reads);

/* ---- upkeep ---- */

extern bool engine_flush(Engine *e, EngineFamily *f, EngineError *err);
extern bool engine_compact(Engine *e, EngineFamily *f, const void *lower, size_t lower_len,
						   const void *upper, size_t upper_len, EngineError *err);

/* Makes compactions that were asked for return early, for ever. */
extern void engine_compact_stop(Engine *e);

/* The number of the newest write; of the oldest snapshot that is held, or UINT64_MAX. */
extern uint64_t engine_last_write(Engine *e);
extern uint64_t engine_oldest_snapshot(Engine *e);

/* Files that lie within the range go at once; snapshots do not hold them. */
extern void engine_delete_files(Engine *e, EngineFamily *f, const void *lower, size_t lower_len,
								const void *upper, size_t upper_len);

/* Estimates for a whole family. */
typedef struct EngineSize
{
	uint64_t	file_bytes;
	uint64_t	file_keys;		/* less those that others delete */
	uint64_t	file_raw_bytes; /* keys and values before compression */
	uint64_t	memory_bytes;
	uint64_t	memory_entries; /* each version of a key counts */
	uint64_t	memory_deletes; /* of them */
} EngineSize;

extern void engine_family_size(Engine *e, EngineFamily *f, EngineSize *size);

/* The bytes of files in a range of it. */
extern uint64_t engine_range_bytes(Engine *e, EngineFamily *f, const void *lower, size_t lower_len,
								   const void *upper, size_t upper_len);

#endif
