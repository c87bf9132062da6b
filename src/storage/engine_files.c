/*
 * engine_files.c
 *	  Sorted files: of our own, to be taken in, and of RocksDB's, to be looked after.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/storage/engine_internal.h"

#define COUNT_REST	50			/* so many times as long as counting took */

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

	f->options = engine_family_options(e, options);
	f->env = rocksdb_envoptions_create();
	f->writer = rocksdb_sstfilewriter_create(f->env, f->options);
	rocksdb_sstfilewriter_open(f->writer, path, &message);
	if (engine_ok(message, err))
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
	return engine_ok(message, err);
}

bool
engine_file_delete(EngineFile *f, const void *key, size_t key_len, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_sstfilewriter_delete(f->writer, key, key_len, &message);
	return engine_ok(message, err);
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
	good = engine_ok(message, err);
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
	return engine_ok(message, err);
}

/* ---- upkeep ---- */

bool
engine_flush(Engine *e, EngineFamily *f, EngineError *err)
{
	char	   *message = NULL;

	rocksdb_flush_cf(e->db, e->flush, f->handle, &message);
	return engine_ok(message, err);
}

/* (RocksDB's C interface does not say how a compaction ended.) */
bool
engine_compact(Engine *e, EngineFamily *f, const void *lower, size_t lower_len, const void *upper,
			   size_t upper_len, EngineError *err)
{
	rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();
	uint64_t	failures = engine_failures(e);

	rocksdb_compactoptions_set_exclusive_manual_compaction(o, 0);
	rocksdb_compactoptions_set_bottommost_level_compaction(o, 3);	/* each file once */
	rocksdb_compact_range_cf_opt(e->db, f->handle, o, lower, lower_len, upper, upper_len);
	rocksdb_compactoptions_destroy(o);
	if (engine_failures(e) == failures)
		return true;
	if (engine_takes_writes(e, err))
		engine_error(err, KALAM_ERR_IO, "a compaction failed; see file LOG in folder db of the store");
	return false;
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
engine_failures(Engine *e)
{
	return property(e, e->fallback, "rocksdb.background-errors");
}

/* The number in the first "/NNNNNN.sst" of the text, or 0. */
static unsigned long
file_number(const char *text)
{
	const char *end = strstr(text, ".sst");
	const char *start = end;

	while (start != NULL && start > text && isdigit((unsigned char) start[-1]))
		start--;
	return end == NULL || end - start < 6 || start == text || start[-1] != '/' ? 0 :
		strtoul(start, NULL, 10);
}

bool
engine_family_of_file(Engine *e, const char *text, char *name, size_t size)
{
	unsigned long number = file_number(text);
	const rocksdb_livefiles_t *files;
	bool		found = false;

	if (number == 0)
		return false;
	files = rocksdb_livefiles(e->db);
	for (int i = 0; !found && i < rocksdb_livefiles_count(files); i++)
	{
		found = file_number(rocksdb_livefiles_name(files, i)) == number;
		if (found)
			snprintf(name, size, "%s", rocksdb_livefiles_column_family_name(files, i));
	}
	rocksdb_livefiles_destroy(files);
	return found;
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

static uint64_t
number_in(const char *text, const char *label)
{
	const char *at = text ? strstr(text, label) : NULL;

	return at == NULL ? 0 : strtoull(at + strlen(label), NULL, 10);
}

/* What all files say of themselves. */
static void
ask_files(Engine *e, EngineFamily *f)
{
	char	   *text = rocksdb_property_value_cf(e->db, f->handle,
												 "rocksdb.aggregated-table-properties");
	uint64_t	entries = number_in(text, "# entries=");
	uint64_t	deletions = number_in(text, "# deletions=");

	atomic_store(&f->counted_keys, entries > 2 * deletions ? entries - 2 * deletions : 0);
	atomic_store(&f->counted_raw_bytes, number_in(text, "raw key size=") +
				 number_in(text, "raw value size="));
	if (text != NULL)
		rocksdb_free(text);
}

static uint64_t
scaled(uint64_t n, uint64_t to, uint64_t from)
{
	return from == 0 ? 0 : (uint64_t) ((double) n * (double) to / (double) from);
}

static uint64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * UINT64_C(1000000000) + (uint64_t) now.tv_nsec;
}

/*
 * RocksDB's own estimate of keys knows only of files that were made since the
 * start.  Asking all files can take long, and is done again when they have changed
 * and what it took the last time is little against the time that has passed since.
 * (Two that do so at once find the same.)
 */
void
engine_family_size(Engine *e, EngineFamily *f, EngineSize *size)
{
	uint64_t	files = property(e, f, "rocksdb.live-sst-files-size");
	uint64_t	counted = atomic_load(&f->counted_bytes);
	uint64_t	now = clock_ns();

	if (files != counted && now >= atomic_load(&f->count_again_at))
	{
		ask_files(e, f);
		atomic_store(&f->count_again_at, now + COUNT_REST * (clock_ns() - now));
		atomic_store(&f->counted_bytes, counted = files);
	}
	size->file_bytes = files;
	size->file_keys = scaled(atomic_load(&f->counted_keys), files, counted);
	size->file_raw_bytes = scaled(atomic_load(&f->counted_raw_bytes), files, counted);
	size->memory_bytes = property(e, f, "rocksdb.cur-size-all-mem-tables");
	size->memory_entries = property(e, f, "rocksdb.num-entries-active-mem-table") +
		property(e, f, "rocksdb.num-entries-imm-mem-tables");
	size->memory_deletes = property(e, f, "rocksdb.num-deletes-active-mem-table") +
		property(e, f, "rocksdb.num-deletes-imm-mem-tables");
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
