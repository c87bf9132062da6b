/*
 * engine.c
 *	  RocksDB behind opaque handles: errors, batches, reading.
 *
 * The files engine*.c alone know RocksDB's interface.  They translate and
 * check, and hold no policy: which family an object has, which snapshot a stamp
 * means and who may write is decided by their callers.  RocksDB does its own
 * locking, so all verbs may come from any thread.  Its errors become a
 * KalamCode and one line of text.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/storage/engine_internal.h"

#define LONG_READAHEAD_BYTES	(1 << 20)

struct EngineIter
{
	rocksdb_iterator_t *it;
	rocksdb_readoptions_t *options;
};

#define BATCH(b) ((rocksdb_writebatch_t *) (b))
#define SNAPSHOT(s) ((const rocksdb_snapshot_t *) (s))

/* ---- errors ---- */

void
engine_error(EngineError *err, KalamCode code, const char *format, ...)
{
	va_list		args;

	err->code = code;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	for (char *c = err->message; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
}

bool
engine_ok(char *message, EngineError *err)
{
	KalamCode	code = KALAM_ERR_IO;

	if (message == NULL)
		return true;
	if (strstr(message, "No space left") != NULL)
		code = KALAM_ERR_DISK_FULL;
	else if (strncmp(message, "Corruption", 10) == 0)
		code = KALAM_ERR_CORRUPT;
	else if (strstr(message, "Cannot allocate memory") != NULL)
		code = KALAM_ERR_MEMORY;
	/* of a file that is missing, RocksDB names the older form it looked for last */
	for (char *ending = message; (ending = strstr(ending, ".ldb")) != NULL;)
		memcpy(ending, ".sst", 4);
	engine_error(err, code, "%s", message);
	rocksdb_free(message);
	return false;
}

/* ---- writing ---- */

EngineBatch *
engine_batch_create(void)
{
	return (EngineBatch *) rocksdb_writebatch_create();
}

void
engine_batch_destroy(EngineBatch *b)
{
	rocksdb_writebatch_destroy(BATCH(b));
}

void
engine_batch_clear(EngineBatch *b)
{
	rocksdb_writebatch_clear(BATCH(b));
}

void
engine_batch_put(EngineBatch *b, EngineFamily *f, const void *key, size_t key_len,
				 const void *value, size_t value_len)
{
	rocksdb_writebatch_put_cf(BATCH(b), f->handle, key, key_len, value, value_len);
}

void
engine_batch_delete(EngineBatch *b, EngineFamily *f, const void *key, size_t key_len)
{
	rocksdb_writebatch_delete_cf(BATCH(b), f->handle, key, key_len);
}

void
engine_batch_delete_range(EngineBatch *b, EngineFamily *f, const void *lower, size_t lower_len,
						  const void *upper, size_t upper_len)
{
	rocksdb_writebatch_delete_range_cf(BATCH(b), f->handle, lower, lower_len, upper, upper_len);
}

void
engine_batch_mark(EngineBatch *b)
{
	rocksdb_writebatch_set_save_point(BATCH(b));
}

void
engine_batch_rollback(EngineBatch *b)
{
	char	   *message = NULL;

	rocksdb_writebatch_rollback_to_save_point(BATCH(b), &message);
	if (message != NULL)
		abort();				/* no mark: a bug */
}

void
engine_batch_release(EngineBatch *b)
{
	char	   *message = NULL;

	rocksdb_writebatch_pop_save_point(BATCH(b), &message);
	if (message != NULL)
		abort();
}

size_t
engine_batch_bytes(EngineBatch *b)
{
	size_t		size = 0;

	rocksdb_writebatch_data(BATCH(b), &size);
	return size;
}

uint32_t
engine_batch_count(EngineBatch *b)
{
	return (uint32_t) rocksdb_writebatch_count(BATCH(b));
}

bool
engine_write(Engine *e, EngineBatch *b, bool sync, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_write(e->db, sync ? e->write_synced : e->write_plain, BATCH(b), &message);
	return engine_ok(message, err);
}

bool
engine_write_left_nothing(const EngineError *err)
{
	/* RocksDB's words: the end of the record is missing, or nothing was begun */
	return strstr(err->message, "While appending to file") != NULL;
}

bool
engine_takes_writes(Engine *e, EngineError *err)
{
	EngineBatch *nothing = engine_batch_create();
	bool		good = engine_write(e, nothing, false, err);

	engine_batch_destroy(nothing);
	return good;
}

/* ---- reading ---- */

EngineSnapshot *
engine_snapshot_create(Engine *e)
{
	return (EngineSnapshot *) (uintptr_t) rocksdb_create_snapshot(e->db);
}

void
engine_snapshot_release(Engine *e, EngineSnapshot *s)
{
	rocksdb_release_snapshot(e->db, SNAPSHOT(s));
}

static rocksdb_readoptions_t *
read_options(EngineSnapshot *s)
{
	rocksdb_readoptions_t *o = rocksdb_readoptions_create();

	if (s != NULL)
		rocksdb_readoptions_set_snapshot(o, SNAPSHOT(s));
	return o;
}

bool
engine_get(Engine *e, EngineFamily *f, EngineSnapshot *s, const void *key, size_t key_len,
		   EngineValue **value, EngineError *err)
{
	rocksdb_readoptions_t *o = read_options(s);
	char	   *message = NULL;

	*value = (EngineValue *) rocksdb_get_pinned_cf(e->db, o, f->handle, key, key_len, &message);
	rocksdb_readoptions_destroy(o);
	return engine_ok(message, err);
}

bool
engine_get_cached(Engine *e, EngineFamily *f, EngineSnapshot *s, const void *key, size_t key_len,
				  EngineValue **value, bool *known, EngineError *err)
{
	rocksdb_readoptions_t *o = read_options(s);
	char	   *message = NULL;

	rocksdb_readoptions_set_read_tier(o, 1);	/* block cache only */
	*value = (EngineValue *) rocksdb_get_pinned_cf(e->db, o, f->handle, key, key_len, &message);
	rocksdb_readoptions_destroy(o);
	if (message != NULL)
	{
		*known = strncmp(message, "Result incomplete", 17) != 0;
		if (*known)
			return engine_ok(message, err);
		rocksdb_free(message);
		return true;
	}
	*known = true;
	if (*value != NULL)
	{
		size_t		len;

		/* of a file that is not open, RocksDB says "found", without the value */
		(void) engine_value_bytes(*value, &len);
		if (len == 0)
		{
			engine_value_release(*value);
			*value = NULL;
			*known = false;
		}
	}
	return true;
}

const uint8_t *
engine_value_bytes(EngineValue *v, size_t *len)
{
	return (const uint8_t *) rocksdb_pinnableslice_value((rocksdb_pinnableslice_t *) v, len);
}

void
engine_value_release(EngineValue *v)
{
	rocksdb_pinnableslice_destroy((rocksdb_pinnableslice_t *) v);
}

bool
engine_multi_get(Engine *e, EngineFamily *f, EngineSnapshot *s, uint32_t n,
				 const uint8_t *const *keys, const size_t *lens, bool ascending,
				 EngineValue **values, EngineError *err)
{
	rocksdb_pinnableslice_t *found[ENGINE_MULTI_MAX];
	char	   *messages[ENGINE_MULTI_MAX];
	rocksdb_readoptions_t *o = read_options(s);
	bool		good = true;

	rocksdb_batched_multi_get_cf(e->db, o, f->handle, n, (const char *const *) keys, lens, found,
								 messages, ascending);
	rocksdb_readoptions_destroy(o);
	for (uint32_t i = 0; i < n; i++)
	{
		values[i] = (EngineValue *) found[i];
		if (messages[i] == NULL)
			continue;
		if (good)
			good = engine_ok(messages[i], err);
		else
			rocksdb_free(messages[i]);
	}
	for (uint32_t i = 0; !good && i < n; i++)
	{
		if (values[i] != NULL)
			engine_value_release(values[i]);
		values[i] = NULL;
	}
	return good;
}

bool
engine_first_existing(Engine *e, EngineFamily *f, EngineSnapshot *s, uint32_t n,
					  const uint8_t *const *keys, const size_t *lens, bool ascending,
					  uint32_t *first, EngineError *err)
{
	EngineValue *values[ENGINE_MULTI_MAX];

	if (!engine_multi_get(e, f, s, n, keys, lens, ascending, values, err))
		return false;
	*first = n;
	for (uint32_t i = n; i-- > 0;)
	{
		if (values[i] == NULL)
			continue;
		engine_value_release(values[i]);
		*first = i;
	}
	return true;
}

typedef enum IterKind
{
	ITER_SHORT,
	ITER_LONG,
	ITER_MEMORY
} IterKind;

static EngineIter *
iter_open(Engine *e, EngineFamily *f, EngineSnapshot *s, const uint8_t *lower, size_t lower_len,
		  const uint8_t *upper, size_t upper_len, uint64_t max_skip, IterKind kind)
{
	EngineIter *it = malloc(sizeof(EngineIter));

	it->options = read_options(s);
	rocksdb_readoptions_set_iterate_lower_bound(it->options, (const char *) lower, lower_len);
	rocksdb_readoptions_set_iterate_upper_bound(it->options, (const char *) upper, upper_len);
	rocksdb_readoptions_set_max_skippable_internal_keys(it->options, max_skip);
	if (kind == ITER_MEMORY)
		rocksdb_readoptions_set_read_tier(it->options, 3);	/* memtables only */
	if (kind == ITER_LONG)
	{
		rocksdb_readoptions_set_fill_cache(it->options, 0);
		rocksdb_readoptions_set_readahead_size(it->options, LONG_READAHEAD_BYTES);
	}
	it->it = rocksdb_create_iterator_cf(e->db, it->options, f->handle);
	return it;
}

EngineIter *
engine_iter_open(Engine *e, EngineFamily *f, EngineSnapshot *s, const uint8_t *lower,
				 size_t lower_len, const uint8_t *upper, size_t upper_len, uint64_t max_skip)
{
	return iter_open(e, f, s, lower, lower_len, upper, upper_len, max_skip, ITER_SHORT);
}

EngineIter *
engine_iter_open_long(Engine *e, EngineFamily *f, EngineSnapshot *s, const uint8_t *lower,
					  size_t lower_len, const uint8_t *upper, size_t upper_len, uint64_t max_skip)
{
	return iter_open(e, f, s, lower, lower_len, upper, upper_len, max_skip, ITER_LONG);
}

EngineIter *
engine_iter_open_memory(Engine *e, EngineFamily *f, const uint8_t *lower, size_t lower_len,
						const uint8_t *upper, size_t upper_len, uint64_t max_skip)
{
	return iter_open(e, f, NULL, lower, lower_len, upper, upper_len, max_skip, ITER_MEMORY);
}

void
engine_iter_close(EngineIter *it)
{
	rocksdb_iter_destroy(it->it);
	rocksdb_readoptions_destroy(it->options);
	free(it);
}

void
engine_iter_start(EngineIter *it, bool reverse)
{
	if (reverse)
		rocksdb_iter_seek_to_last(it->it);
	else
		rocksdb_iter_seek_to_first(it->it);
}

void
engine_iter_seek(EngineIter *it, const uint8_t *key, size_t key_len, bool reverse)
{
	if (reverse)
		rocksdb_iter_seek_for_prev(it->it, (const char *) key, key_len);
	else
		rocksdb_iter_seek(it->it, (const char *) key, key_len);
}

bool
engine_iter_entry(EngineIter *it, const uint8_t **key, size_t *key_len, const uint8_t **value,
				  size_t *value_len)
{
	if (!rocksdb_iter_valid(it->it))
		return false;
	*key = (const uint8_t *) rocksdb_iter_key(it->it, key_len);
	*value = (const uint8_t *) rocksdb_iter_value(it->it, value_len);
	return true;
}

bool
engine_iter_valid(EngineIter *it)
{
	return rocksdb_iter_valid(it->it);
}

void
engine_iter_move(EngineIter *it, bool reverse)
{
	if (reverse)
		rocksdb_iter_prev(it->it);
	else
		rocksdb_iter_next(it->it);
}

EngineIterEnd
engine_iter_end(EngineIter *it, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_iter_get_error(it->it, &message);
	if (message != NULL && strncmp(message, "Result incomplete", 17) == 0)
	{
		rocksdb_free(message);
		return ENGINE_ITER_SKIPPED;
	}
	return engine_ok(message, err) ? ENGINE_ITER_END : ENGINE_ITER_ERROR;
}

/* ---- measuring ---- */

void
engine_measure_begin(void)
{
	rocksdb_perfcontext_t *context = rocksdb_perfcontext_create();

	rocksdb_set_perf_level(rocksdb_enable_count);
	rocksdb_perfcontext_reset(context);
	rocksdb_perfcontext_destroy(context);
}

void
engine_measure_end(EngineReads *reads)
{
	rocksdb_perfcontext_t *context = rocksdb_perfcontext_create();

	reads->cache_hits += rocksdb_perfcontext_metric(context, rocksdb_block_cache_hit_count);
	reads->file_reads += rocksdb_perfcontext_metric(context, rocksdb_block_read_count);
	rocksdb_perfcontext_destroy(context);
	rocksdb_set_perf_level(rocksdb_disable);
}
