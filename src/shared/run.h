/*
 * run.h
 *	  A sorted run: versions of keys that left memory for a temporary file.
 *
 * C11 only; memory and the file come through callbacks.  Single-threaded.
 *
 * A run is written once, in the order of keys and each key's versions newest
 * first, and read from then on.  The file is a row of blocks.  What says where a
 * key would be stays in memory: the first key of each block (of every second,
 * fourth, ... one when there are many), the last key of all, a filter.  Both are
 * bounded, so that memory does not grow with what is in the file.
 */
#ifndef KALAM_RUN_H
#define KALAM_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/shared/staged.h"

/* A version of a key, wherever it lies. */
typedef struct KalamVersion
{
	const uint8_t *key;
	size_t		key_len;
	const uint8_t *value;		/* 8-aligned */
	uint32_t	value_len;
	uint32_t	command_id;
	uint32_t	sub;			/* the subtransaction that wrote it */
	uint8_t		op;				/* KalamChangeOp */
	uint8_t		flags;
} KalamVersion;

static inline void
kalam_version_of_staged(const KalamStagedVersion *s, KalamVersion *v)
{
	v->key = kalam_staged_key_bytes(s->key, &v->key_len);
	v->value = s->value;
	v->value_len = s->value_len;
	v->command_id = s->command_id;
	v->sub = s->sub;
	v->op = s->op;
	v->flags = s->flags;
}

/* Temporary files.  All but close may raise. */
typedef struct KalamRunFiles
{
	int			(*create) (void *arg);
	void		(*write) (void *arg, int file, uint64_t offset, const void *bytes, size_t len);
	/* reads so many bytes, which are there */
	void		(*read) (void *arg, int file, uint64_t offset, void *bytes, size_t len);
	void		(*close) (void *arg, int file); /* the file goes */
	void		(*broken) (void *arg, int file);	/* raises: it is not what was written */
	void	   *arg;
} KalamRunFiles;

/* What a run may take of memory. */
typedef struct KalamRunLimits
{
	size_t		block_bytes;
	size_t		filter_bytes;
	size_t		index_bytes;
} KalamRunLimits;

typedef struct KalamRun KalamRun;

/* ---- writing ---- */

/*
 * A run that is being written to a new file, of so many versions at most.  Its
 * address is in *run before anything is raised, for kalam_run_free.
 */
extern void kalam_run_create(KalamRun **run, const KalamStagedMemory *memory,
							 const KalamRunFiles *files, const KalamRunLimits *limits,
							 uint64_t max_versions);
extern void kalam_run_put(KalamRun *run, const KalamVersion *v);
extern void kalam_run_finish(KalamRun *run);

/* Whole, half written or half read. */
extern void kalam_run_free(KalamRun *run);

/* ---- what is in it ---- */

extern uint64_t kalam_run_count(const KalamRun *run);	/* versions */
extern uint64_t kalam_run_file_bytes(const KalamRun *run);
extern uint64_t kalam_run_memory_bytes(const KalamRun *run);
extern uint32_t kalam_run_min_sub(const KalamRun *run);
extern uint32_t kalam_run_max_sub(const KalamRun *run);

/* May it have keys in [lower, upper)?  upper NULL: to the end. */
extern bool kalam_run_overlaps(const KalamRun *run, const uint8_t *lower, size_t lower_len,
							   const uint8_t *upper, size_t upper_len);

/* False if the key is not in it.  hash: kalam_run_hash of the key. */
extern bool kalam_run_may_have(const KalamRun *run, const uint8_t *key, size_t len, uint64_t hash);
extern uint64_t kalam_run_hash(const uint8_t *key, size_t len);

/* ---- reading ---- */

/* A place in a run.  To be zeroed; its memory goes with kalam_run_reader_end. */
typedef struct KalamRunReader
{
	KalamRun   *run;			/* may be gone when the reader ends */
	KalamStagedMemory memory;
	uint8_t    *block;
	size_t		room;			/* bytes of the buffer */
	uint64_t	offset;			/* of the block in the file */
	uint32_t	bytes;			/* of the block; 0: none is there */
	uint32_t	nrecords;
	uint32_t	at;				/* the current record */
} KalamRunReader;

extern void kalam_run_reader_begin(KalamRunReader *r, KalamRun *run,
								   const KalamStagedMemory *memory);
extern void kalam_run_reader_end(KalamRunReader *r);

/*
 * They make another record current, or return false if there is none: the first
 * at or behind a key, the last before it (NULL: the last of all), the one behind
 * and before the current one.  Records lie in the reader's memory until then.
 */
extern bool kalam_run_seek(KalamRunReader *r, const uint8_t *key, size_t len);
extern bool kalam_run_seek_before(KalamRunReader *r, const uint8_t *key, size_t len);
extern bool kalam_run_next(KalamRunReader *r);
extern bool kalam_run_previous(KalamRunReader *r);
extern void kalam_run_current(const KalamRunReader *r, KalamVersion *v);

/* Would previous have to read, so that the current record goes? */
static inline bool
kalam_run_at_block_start(const KalamRunReader *r)
{
	return r->at == 0;
}

/* Gives up a buffer that a large value has made large. */
extern void kalam_run_reader_shrink(KalamRunReader *r);

/* The run's own reader, for look-ups. */
extern KalamRunReader *kalam_run_own_reader(KalamRun *run);

static inline int
kalam_key_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t		n = a_len < b_len ? a_len : b_len;
	int			c = n == 0 ? 0 : __builtin_memcmp(a, b, n);

	return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

#endif							/* KALAM_RUN_H */
