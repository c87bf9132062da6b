/*
 * engine.c
 *	  RocksDB behind opaque handles; the only file that knows its API.
 *
 * It translates and checks, and holds no policy: which family an object has,
 * which snapshot a stamp means and who may write is decided by its callers.
 * RocksDB does its own locking, so all verbs may come from any thread.  Its
 * errors become a KalamCode and one line of text.
 */
#include "src/storage/engine.h"

#include <math.h>
#include <rocksdb/c.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG_READAHEAD_BYTES	(1 << 20)

struct EngineFamily
{
	rocksdb_column_family_handle_t *handle;
	char	   *name;
	_Atomic uint64_t counted_bytes; /* size of its files when their keys were counted */
	_Atomic uint64_t counted_keys;
};

struct Engine
{
	rocksdb_t  *db;
	rocksdb_options_t *base;
	rocksdb_cache_t *cache;
	rocksdb_writeoptions_t *write_synced;
	rocksdb_writeoptions_t *write_plain;
	rocksdb_flushoptions_t *flush;
	EngineFamily *fallback;		/* "default", which holds nothing */
	EngineFamily **opened;
	uint32_t	nopened;
};

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

/* Takes over RocksDB's message.  True if there is none. */
static bool
ok(char *message, EngineError *err)
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
	engine_error(err, code, "%s", message);
	rocksdb_free(message);
	return false;
}

/* ---- options ---- */

static rocksdb_options_t *
database_options(const EngineConfig *config, EngineError *err)
{
	rocksdb_options_t *plain = rocksdb_options_create();
	rocksdb_options_t *o = rocksdb_options_create();
	char	   *message = NULL;
	uint64_t	buffer = 64 << 20;

	/* what has no setter in the C interface */
	rocksdb_get_options_from_string(plain, config->little_space ?
									"track_and_verify_wals_in_manifest=true;"
									"avoid_flush_during_recovery=true" :
									"track_and_verify_wals_in_manifest=true", o, &message);
	rocksdb_options_destroy(plain);
	if (!ok(message, err))
	{
		rocksdb_options_destroy(o);
		return NULL;
	}
	if (config->write_buffer_bytes != 0 && buffer > config->write_buffer_bytes)
		buffer = config->write_buffer_bytes;
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_paranoid_checks(o, 1);
	rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
	rocksdb_options_set_max_open_files(o, config->max_open_files);
	rocksdb_options_set_max_background_jobs(o, (int) config->background_jobs);
	rocksdb_options_set_db_write_buffer_size(o, config->write_buffer_bytes);
	rocksdb_options_set_max_total_wal_size(o, 128 << 20);
	rocksdb_options_set_avoid_unnecessary_blocking_io(o, 1);
	rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
	rocksdb_options_set_db_log_dir(o, config->log_directory);
	rocksdb_options_set_info_log_level(o, 2);	/* warnings */
	rocksdb_options_set_max_log_file_size(o, 1 << 20);
	rocksdb_options_set_keep_log_file_num(o, 4);
	/*
	 * A compaction whose family is dropped leaves its output to the next search
	 * for files that nobody names: every job searches, not one in six hours.
	 */
	rocksdb_options_set_delete_obsolete_files_period_micros(o, 0);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);

	/* per family */
	rocksdb_options_set_write_buffer_size(o, buffer);
	rocksdb_options_set_arena_block_size(o, 8 << 10);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	return o;
}

static rocksdb_options_t *
family_options(Engine *e, KalamObjectOptions options)
{
	rocksdb_options_t *o = rocksdb_options_create_copy(e->base);
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
	int			compression = options.compression == KALAM_COMPRESSION_NONE ? rocksdb_no_compression :
		options.compression == KALAM_COMPRESSION_ZSTD ? rocksdb_zstd_compression :
		rocksdb_lz4_compression;

	rocksdb_options_set_compression(o, compression);
	rocksdb_block_based_options_set_block_size(t, 16 << 10);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_block_based_options_set_checksum(t, 4); /* XXH3 */
	rocksdb_block_based_options_set_block_cache(t, e->cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	if (options.bloom_fpr_ppm > 0 && options.bloom_fpr_ppm < 1000000)
	{
		double		bits = -log(options.bloom_fpr_ppm / 1e6) / (M_LN2 * M_LN2);

		rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(bits));
		rocksdb_block_based_options_set_whole_key_filtering(t, 1);
	}
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_block_based_options_destroy(t);
	return o;
}

/* ---- opening and closing ---- */

static EngineFamily *
family_wrap(rocksdb_column_family_handle_t *handle, const char *name)
{
	EngineFamily *f = calloc(1, sizeof(EngineFamily));

	f->handle = handle;
	f->name = strdup(name);
	return f;
}

static void
engine_free(Engine *e)
{
	free(e->opened);
	if (e->base != NULL)
		rocksdb_options_destroy(e->base);
	if (e->cache != NULL)
		rocksdb_cache_destroy(e->cache);
	if (e->write_synced != NULL)
		rocksdb_writeoptions_destroy(e->write_synced);
	if (e->write_plain != NULL)
		rocksdb_writeoptions_destroy(e->write_plain);
	if (e->flush != NULL)
		rocksdb_flushoptions_destroy(e->flush);
	free(e);
}

static bool
has_name(char **names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Names of the families to open: those on disk and those that must exist. */
static char **
family_names(Engine *e, const EngineConfig *config, size_t *n, EngineError *err)
{
	static const char *const always[] = {"default", "catalog", "pending"};
	char		current[KALAM_PATH_BYTES + 16];
	char	  **listed = NULL;
	char	  **names;
	size_t		nlisted = 0;
	char	   *message = NULL;

	snprintf(current, sizeof(current), "%s/CURRENT", config->db_directory);
	if (access(current, F_OK) == 0)
	{
		listed = rocksdb_list_column_families(e->base, config->db_directory, &nlisted, &message);
		if (!ok(message, err))
			return NULL;
	}
	names = calloc(nlisted + 3, sizeof(char *));
	*n = 0;
	for (size_t i = 0; i < nlisted; i++)
		names[(*n)++] = strdup(listed[i]);
	for (int i = 0; i < 3; i++)
		if (!has_name(names, *n, always[i]))
			names[(*n)++] = strdup(always[i]);
	if (listed != NULL)
		rocksdb_list_column_families_destroy(listed, nlisted);
	return names;
}

Engine *
engine_open(const EngineConfig *config, EngineError *err)
{
	Engine	   *e = calloc(1, sizeof(Engine));
	char	  **names;
	size_t		n = 0;
	rocksdb_options_t **options;
	rocksdb_column_family_handle_t **handles;
	char	   *message = NULL;

	e->base = database_options(config, err);
	if (e->base == NULL)
	{
		engine_free(e);
		return NULL;
	}
	e->cache = rocksdb_cache_create_lru(config->block_cache_bytes);
	e->write_synced = rocksdb_writeoptions_create();
	e->write_plain = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(e->write_synced, 1);
	rocksdb_writeoptions_set_ignore_missing_column_families(e->write_synced, 1);
	rocksdb_writeoptions_set_ignore_missing_column_families(e->write_plain, 1);
	e->flush = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(e->flush, 1);

	names = family_names(e, config, &n, err);
	if (names == NULL)
	{
		engine_free(e);
		return NULL;
	}
	options = calloc(n, sizeof(*options));
	handles = calloc(n, sizeof(*handles));
	for (size_t i = 0; i < n; i++)
		options[i] = family_options(e, config->options_of(names[i], config->options_arg));
	e->db = rocksdb_open_column_families(e->base, config->db_directory, (int) n,
										 (const char *const *) names,
										 (const rocksdb_options_t *const *) options, handles,
										 &message);
	if (ok(message, err))
	{
		e->opened = calloc(n, sizeof(EngineFamily *));
		for (size_t i = 0; i < n; i++)
		{
			EngineFamily *f = family_wrap(handles[i], names[i]);

			if (strcmp(names[i], "default") == 0)
				e->fallback = f;
			else
				e->opened[e->nopened++] = f;
		}
	}
	for (size_t i = 0; i < n; i++)
	{
		rocksdb_options_destroy(options[i]);
		free(names[i]);
	}
	free(options);
	free(handles);
	free(names);
	if (e->db == NULL)
	{
		engine_free(e);
		return NULL;
	}
	return e;
}

void
engine_close(Engine *e)
{
	engine_family_close(e->fallback);
	rocksdb_cancel_all_background_work(e->db, 1);
	rocksdb_close(e->db);
	engine_free(e);
}

bool
engine_sync(Engine *e, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_flush_wal(e->db, 1, &message);
	return ok(message, err);
}

/* ---- families ---- */

uint32_t
engine_nopened(Engine *e)
{
	return e->nopened;
}

EngineFamily *
engine_opened(Engine *e, uint32_t i)
{
	return e->opened[i];
}

const char *
engine_family_name(EngineFamily *f)
{
	return f->name;
}

EngineFamily *
engine_family_create(Engine *e, const char *name, KalamObjectOptions options, EngineError *err)
{
	rocksdb_options_t *o = family_options(e, options);
	char	   *message = NULL;
	rocksdb_column_family_handle_t *handle;

	handle = rocksdb_create_column_family(e->db, o, name, &message);
	rocksdb_options_destroy(o);
	if (!ok(message, err))
		return NULL;			/* the half-made handle cannot be destroyed */
	return family_wrap(handle, name);
}

bool
engine_family_drop(Engine *e, EngineFamily *f, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_drop_column_family(e->db, f->handle, &message);
	return ok(message, err);
}

void
engine_family_close(EngineFamily *f)
{
	rocksdb_column_family_handle_destroy(f->handle);
	free(f->name);
	free(f);
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
	return ok(message, err);
}

bool
engine_write_left_nothing(const EngineError *err)
{
	/* RocksDB's words: the end of the record is missing, or nothing was begun */
	return strstr(err->message, "While appending to file") != NULL;
}

/* ---- sorted files ---- */

struct EngineFile
{
	rocksdb_sstfilewriter_t *writer;
	rocksdb_options_t *options;
	rocksdb_envoptions_t *env;
};

void
engine_file_abandon(EngineFile *f)
{
	rocksdb_sstfilewriter_destroy(f->writer);
	rocksdb_envoptions_destroy(f->env);
	rocksdb_options_destroy(f->options);
	free(f);
}

EngineFile *
engine_file_create(Engine *e, KalamObjectOptions options, const char *path, EngineError *err)
{
	EngineFile *f = malloc(sizeof(EngineFile));
	char	   *message = NULL;

	f->options = family_options(e, options);
	f->env = rocksdb_envoptions_create();
	f->writer = rocksdb_sstfilewriter_create(f->env, f->options);
	rocksdb_sstfilewriter_open(f->writer, path, &message);
	if (ok(message, err))
		return f;
	engine_file_abandon(f);
	return NULL;
}

bool
engine_file_put(EngineFile *f, const void *key, size_t key_len, const void *value,
				size_t value_len, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_sstfilewriter_put(f->writer, key, key_len, value, value_len, &message);
	return ok(message, err);
}

bool
engine_file_delete(EngineFile *f, const void *key, size_t key_len, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_sstfilewriter_delete(f->writer, key, key_len, &message);
	return ok(message, err);
}

uint64_t
engine_file_bytes(EngineFile *f)
{
	uint64_t	bytes;

	rocksdb_sstfilewriter_file_size(f->writer, &bytes);
	return bytes;
}

bool
engine_file_finish(EngineFile *f, EngineError *err)
{
	char	   *message = NULL;
	bool		good;

	rocksdb_sstfilewriter_finish(f->writer, &message);
	good = ok(message, err);
	engine_file_abandon(f);
	return good;
}

bool
engine_ingest(Engine *e, EngineFamily *f, const char *const *paths, size_t n, EngineError *err)
{
	rocksdb_ingestexternalfileoptions_t *o = rocksdb_ingestexternalfileoptions_create();
	char	   *message = NULL;

	/*
	 * Copies: a linked file would be changed in place (RocksDB writes a sequence
	 * number into it), and after a crash in between it would be refused for ever.
	 */
	rocksdb_ingestexternalfileoptions_set_move_files(o, 0);
	rocksdb_ingest_external_file_cf(e->db, f->handle, paths, n, o, &message);
	rocksdb_ingestexternalfileoptions_destroy(o);
	return ok(message, err);
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
	return ok(message, err);
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
			return ok(message, err);
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
engine_first_existing(Engine *e, EngineFamily *f, EngineSnapshot *s, uint32_t n,
					  const uint8_t *const *keys, const size_t *lens, bool ascending,
					  uint32_t *first, EngineError *err)
{
	rocksdb_pinnableslice_t *values[ENGINE_MULTI_MAX];
	char	   *messages[ENGINE_MULTI_MAX];
	rocksdb_readoptions_t *o = read_options(s);
	bool		good = true;

	rocksdb_batched_multi_get_cf(e->db, o, f->handle, n, (const char *const *) keys, lens, values,
								 messages, ascending);
	rocksdb_readoptions_destroy(o);
	*first = n;
	for (uint32_t i = 0; i < n; i++)
	{
		if (values[i] != NULL)
			rocksdb_pinnableslice_destroy(values[i]);
		if (messages[i] != NULL)
		{
			if (good)
				good = ok(messages[i], err);
			else
				rocksdb_free(messages[i]);
		}
		else if (values[i] != NULL && *first == n)
			*first = i;
	}
	return good;
}

static EngineIter *
iter_open(Engine *e, EngineFamily *f, EngineSnapshot *s, const uint8_t *lower, size_t lower_len,
		  const uint8_t *upper, size_t upper_len, uint64_t max_skip, bool is_long)
{
	EngineIter *it = malloc(sizeof(EngineIter));

	it->options = read_options(s);
	rocksdb_readoptions_set_iterate_lower_bound(it->options, (const char *) lower, lower_len);
	rocksdb_readoptions_set_iterate_upper_bound(it->options, (const char *) upper, upper_len);
	rocksdb_readoptions_set_max_skippable_internal_keys(it->options, max_skip);
	if (is_long)
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
	return iter_open(e, f, s, lower, lower_len, upper, upper_len, max_skip, false);
}

EngineIter *
engine_iter_open_long(Engine *e, EngineFamily *f, EngineSnapshot *s, const uint8_t *lower,
					  size_t lower_len, const uint8_t *upper, size_t upper_len, uint64_t max_skip)
{
	return iter_open(e, f, s, lower, lower_len, upper, upper_len, max_skip, true);
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
	return ok(message, err) ? ENGINE_ITER_END : ENGINE_ITER_ERROR;
}

/* ---- upkeep ---- */

bool
engine_flush(Engine *e, EngineFamily *f, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_flush_cf(e->db, e->flush, f->handle, &message);
	return ok(message, err);
}

void
engine_compact(Engine *e, EngineFamily *f, const void *lower, size_t lower_len, const void *upper,
			   size_t upper_len)
{
	rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();

	rocksdb_compactoptions_set_exclusive_manual_compaction(o, 0);
	rocksdb_compactoptions_set_bottommost_level_compaction(o, 3);	/* each file once */
	rocksdb_compact_range_cf_opt(e->db, f->handle, o, lower, lower_len, upper, upper_len);
	rocksdb_compactoptions_destroy(o);
}

void
engine_compact_stop(Engine *e)
{
	rocksdb_disable_manual_compaction(e->db);
}

void
engine_delete_files(Engine *e, EngineFamily *f, const void *lower, size_t lower_len,
					const void *upper, size_t upper_len)
{
	char	   *message = NULL;

	rocksdb_delete_file_in_range_cf(e->db, f->handle, lower, lower_len, upper, upper_len, &message);
	if (message != NULL)
		rocksdb_free(message);	/* compaction removes them later */
}

static uint64_t
property(Engine *e, EngineFamily *f, const char *name)
{
	uint64_t	value = 0;

	if (rocksdb_property_int_cf(e->db, f->handle, name, &value) != 0)
		return 0;
	return value;
}

uint64_t
engine_last_write(Engine *e)
{
	return rocksdb_get_latest_sequence_number(e->db);
}

uint64_t
engine_oldest_snapshot(Engine *e)
{
	uint64_t	number = 0;

	if (rocksdb_property_int(e->db, "rocksdb.oldest-snapshot-sequence", &number) != 0 || number == 0)
		return UINT64_MAX;
	return number;
}

/* Keys in files less those that others in them delete, from what the files say. */
static uint64_t
keys_in_files(Engine *e, EngineFamily *f)
{
	char	   *text = rocksdb_property_value_cf(e->db, f->handle,
												 "rocksdb.aggregated-table-properties");
	const char *p = text ? strstr(text, "# entries=") : NULL;
	unsigned long long entries = 0;
	unsigned long long deletions = 0;

	if (p == NULL || sscanf(p, "# entries=%llu; # deletions=%llu", &entries, &deletions) < 1 ||
		entries < 2 * deletions)
		entries = deletions = 0;
	if (text != NULL)
		rocksdb_free(text);
	return entries - 2 * deletions;
}

static uint64_t
keys_in_memory(Engine *e, EngineFamily *f)
{
	uint64_t	entries = property(e, f, "rocksdb.num-entries-active-mem-table") +
		property(e, f, "rocksdb.num-entries-imm-mem-tables");
	uint64_t	deletions = property(e, f, "rocksdb.num-deletes-active-mem-table") +
		property(e, f, "rocksdb.num-deletes-imm-mem-tables");

	return entries > 2 * deletions ? entries - 2 * deletions : 0;
}

/*
 * RocksDB's own estimate of keys knows only of files that were made since the
 * start.  Asking all files takes long, and is done again when their size has
 * changed by a quarter.  (Two that do so at once find the same.)
 */
void
engine_family_size(Engine *e, EngineFamily *f, uint64_t *rows, uint64_t *bytes)
{
	uint64_t	files = property(e, f, "rocksdb.live-sst-files-size");
	uint64_t	counted = atomic_load(&f->counted_bytes);

	if (files > counted + counted / 4 || files < counted - counted / 4)
	{
		atomic_store(&f->counted_keys, keys_in_files(e, f));
		atomic_store(&f->counted_bytes, counted = files);
	}
	*rows = keys_in_memory(e, f);
	if (files > 0)
		*rows += (uint64_t) ((double) files / (double) counted * (double) atomic_load(&f->counted_keys));
	*bytes = files + property(e, f, "rocksdb.cur-size-all-mem-tables");
}

uint64_t
engine_range_bytes(Engine *e, EngineFamily *f, const void *lower, size_t lower_len,
				   const void *upper, size_t upper_len)
{
	const char *lowers[1] = {lower};
	const char *uppers[1] = {upper};
	uint64_t	size = 0;
	char	   *message = NULL;

	rocksdb_approximate_sizes_cf(e->db, f->handle, 1, lowers, &lower_len, uppers, &upper_len, &size,
								 &message);
	if (message != NULL)
		rocksdb_free(message);
	return size;
}
