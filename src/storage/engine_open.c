/*
 * engine_open.c
 *	  Options of the database and of its column families; opening and closing.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/storage/engine_internal.h"
#include "src/storage/engine_sst.h"

/* ---- options ---- */

/* After an error a new process opens the store; RocksDB is not to mend itself meanwhile. */
#define ALWAYS "track_and_verify_wals_in_manifest=true;max_bgerror_resume_count=0;"

/* shards of the block cache: as many as threads can use, none too small to be of use */
#define MAX_SHARD_BITS 6
#define MIN_SHARD_BYTES (UINT64_C(16) << 20)

static rocksdb_options_t *
database_options(const EngineConfig *config, EngineError *err)
{
	rocksdb_options_t *plain = rocksdb_options_create();
	rocksdb_options_t *o = rocksdb_options_create();
	char	   *message = NULL;
	uint64_t	buffer = 64 << 20;

	/* what has no setter in the C interface */
	rocksdb_get_options_from_string(plain, config->little_space ?
									ALWAYS "avoid_flush_during_recovery=true" : ALWAYS, o, &message);
	rocksdb_options_destroy(plain);
	if (!engine_ok(message, err))
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
	rocksdb_options_set_info_log_level(o, 2);	/* warnings */
	rocksdb_options_set_max_log_file_size(o, 1 << 20);
	rocksdb_options_set_keep_log_file_num(o, 8);	/* two per start */
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

rocksdb_options_t *
engine_family_options(Engine *e, KalamObjectOptions options)
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
	/* in parts: a file's whole filter has megabytes, which no shard of the cache holds */
	rocksdb_block_based_options_set_index_type(t,
													rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(t, 1);
	rocksdb_block_based_options_set_pin_top_level_index_and_filter(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
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

/*
 * A cache of few shards: each has its own bound, and what is larger than that is
 * read from the file whenever it is wanted.
 */
static rocksdb_cache_t *
create_cache(uint64_t bytes)
{
	rocksdb_lru_cache_options_t *o = rocksdb_lru_cache_options_create();
	rocksdb_cache_t *cache;
	int			bits = 0;

	while (bits < MAX_SHARD_BITS && bytes >> (bits + 1) >= MIN_SHARD_BYTES)
		bits++;
	rocksdb_lru_cache_options_set_capacity(o, bytes);
	rocksdb_lru_cache_options_set_num_shard_bits(o, bits);
	cache = rocksdb_cache_create_lru_opts(o);
	rocksdb_lru_cache_options_destroy(o);
	return cache;
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
		if (!engine_ok(message, err))
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

/* All that is there before the database is open; NULL on failure. */
static Engine *
engine_begin(const EngineConfig *config, EngineError *err)
{
	Engine	   *e;

	if (!sst_layout_is_known())
	{
		engine_error(err, KALAM_ERR_IO, "this version of RocksDB is not known");
		return NULL;
	}
	e = calloc(1, sizeof(Engine));
	e->base = database_options(config, err);
	if (e->base == NULL)
	{
		engine_free(e);
		return NULL;
	}
	e->cache = create_cache(config->block_cache_bytes);
	e->write_synced = rocksdb_writeoptions_create();
	e->write_plain = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(e->write_synced, 1);
	rocksdb_writeoptions_set_ignore_missing_column_families(e->write_synced, 1);
	rocksdb_writeoptions_set_ignore_missing_column_families(e->write_plain, 1);
	e->flush = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(e->flush, 1);
	return e;
}

/* Opens the families of these names.  False on failure, and the Engine is gone. */
static bool
open_families(Engine *e, const EngineConfig *config, bool to_look, size_t n, char *const *names,
			  EngineError *err)
{
	rocksdb_options_t **options = calloc(n, sizeof(*options));
	rocksdb_column_family_handle_t **handles = calloc(n, sizeof(*handles));
	char	   *message = NULL;
	bool		good;

	for (size_t i = 0; i < n; i++)
	{
		options[i] = engine_family_options(e, config->options_of(names[i], config->options_arg));
		if (config->is_damaged(names[i], config->options_arg))
			rocksdb_options_set_disable_auto_compactions(options[i], 1);
	}
	if (to_look)
		e->db = rocksdb_open_for_read_only_column_families(
			e->base, config->db_directory, (int) n, (const char *const *) names,
			(const rocksdb_options_t *const *) options, handles, 0, &message);
	else
		e->db = rocksdb_open_column_families(
			e->base, config->db_directory, (int) n, (const char *const *) names,
			(const rocksdb_options_t *const *) options, handles, &message);
	good = engine_ok(message, err);
	if (good)
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
		rocksdb_options_destroy(options[i]);
	free(options);
	free(handles);
	if (!good)
		engine_free(e);
	return good;
}

Engine *
engine_open(const EngineConfig *config, EngineError *err)
{
	Engine	   *e = engine_begin(config, err);
	char	  **names;
	size_t		n = 0;
	bool		good;

	if (e == NULL)
		return NULL;
	names = family_names(e, config, &n, err);
	if (names == NULL)
	{
		engine_free(e);
		return NULL;
	}
	good = open_families(e, config, false, n, names, err);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return good ? e : NULL;
}

Engine *
engine_open_to_look(const EngineConfig *config, EngineError *err)
{
	static char *const names[] = {"default", "catalog"};
	Engine	   *e = engine_begin(config, err);

	return e != NULL && open_families(e, config, true, 2, names, err) ? e : NULL;
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
	return engine_ok(message, err);
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
	rocksdb_options_t *o = engine_family_options(e, options);
	char	   *message = NULL;
	rocksdb_column_family_handle_t *handle;

	handle = rocksdb_create_column_family(e->db, o, name, &message);
	rocksdb_options_destroy(o);
	if (!engine_ok(message, err))
		return NULL;			/* the half-made handle cannot be destroyed */
	return family_wrap(handle, name);
}

bool
engine_family_drop(Engine *e, EngineFamily *f, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_drop_column_family(e->db, f->handle, &message);
	return engine_ok(message, err);
}

void
engine_family_close(EngineFamily *f)
{
	rocksdb_column_family_handle_destroy(f->handle);
	free(f->name);
	free(f);
}
