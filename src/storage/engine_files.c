/*
 * engine_files.c
 *	  Sorted files: of our own, to be taken in, and of RocksDB's, to be looked after.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/storage/engine_internal.h"
#include "src/storage/engine_sst.h"
#include "src/storage/stop_point.h"

#define COUNT_REST	50			/* so many times as long as counting took */

/* ---- sorted files ---- */

/* (An EngineFile is an SstWriter, and so on.) */
#define WRITER(f) ((SstWriter *) (f))
#define SORTED(s) ((SstReader *) (s))
#define CURSOR(c) ((SstIter *) (c))

EngineFile *
engine_file_create(Engine *e, KalamObjectOptions options, const char *path, EngineFileKind kind,
				   EngineError *err)
{
	bool		temporary = kind == ENGINE_FILE_TEMPORARY;
	rocksdb_options_t *o;
	char	   *message = NULL;
	SstWriter  *w;

	if (temporary)
	{
		options.bloom_fpr_ppm = 0;
		if (options.compression == KALAM_COMPRESSION_ZSTD)
			options.compression = KALAM_COMPRESSION_LZ4;
	}
	o = engine_family_options(e, options);
	w = sst_writer_open(o, path, kind != ENGINE_FILE_LASTING, &message);
	rocksdb_options_destroy(o);
	if (engine_ok(message, err))
		return (EngineFile *) w;
	sst_writer_close(w);
	return NULL;
}

bool
engine_file_put(EngineFile *f, const void *key, size_t key_len, const void *value,
				size_t value_len, EngineError *err)
{
	char	   *message = NULL;

	sst_writer_put(WRITER(f), key, key_len, value, value_len, &message);
	return message == NULL || engine_ok(message, err);
}

bool
engine_file_delete(EngineFile *f, const void *key, size_t key_len, EngineError *err)
{
	char	   *message = NULL;

	sst_writer_delete(WRITER(f), key, key_len, &message);
	return message == NULL || engine_ok(message, err);
}

uint64_t
engine_file_bytes(EngineFile *f)
{
	return sst_writer_bytes(WRITER(f));
}

bool
engine_file_finish(EngineFile *f, uint64_t *bytes, EngineError *err)
{
	char	   *message = NULL;

	sst_writer_finish(WRITER(f), &message);
	*bytes = sst_writer_bytes(WRITER(f));
	sst_writer_close(WRITER(f));
	return engine_ok(message, err);
}

void
engine_file_abandon(EngineFile *f)
{
	sst_writer_close(WRITER(f));
}

EngineSorted *
engine_sorted_open(const char *path, EngineError *err)
{
	char	   *message = NULL;
	SstReader  *r = sst_reader_open(path, &message);

	return engine_ok(message, err) ? (EngineSorted *) r : NULL;
}

void
engine_sorted_close(EngineSorted *s)
{
	sst_reader_close(SORTED(s));
}

EngineCursor *
engine_cursor_open(EngineSorted *s, const uint8_t *lower, size_t lower_len, const uint8_t *upper,
				   size_t upper_len, size_t readahead)
{
	SstIter    *it = sst_iter_open(SORTED(s), upper, upper_len, readahead);

	sst_iter_seek(it, lower, lower_len);
	return (EngineCursor *) it;
}

void
engine_cursor_close(EngineCursor *c)
{
	sst_iter_close(CURSOR(c));
}

bool
engine_cursor_entry(EngineCursor *c, const uint8_t **key, size_t *key_len, const uint8_t **value,
					size_t *value_len)
{
	return sst_iter_entry(CURSOR(c), key, key_len, value, value_len);
}

void
engine_cursor_move(EngineCursor *c)
{
	sst_iter_next(CURSOR(c));
}

bool
engine_cursor_end(EngineCursor *c, EngineError *err)
{
	char	   *message = NULL;

	sst_iter_status(CURSOR(c), &message);
	return engine_ok(message, err);
}

/* ---- taking files in ---- */

#define LINK_SUFFIX ".in"

#ifdef KALAM_STOP_POINTS
/*
 * RocksDB's own steps of taking a file in: its link in the database before the
 * MANIFEST names it, and the removal of the name that was given to it, after.
 * The calls of a library come here as well, for a program's symbols come first.
 */
static _Thread_local bool taking_in;

__attribute__((visibility("default"))) int
link(const char *from, const char *to)
{
	int			result = linkat(AT_FDCWD, from, AT_FDCWD, to, 0);

	if (taking_in)
		STOP_POINT("after_db_link");
	return result;
}

__attribute__((visibility("default"))) int
unlink(const char *path)
{
	if (taking_in)
		STOP_POINT("before_db_unlink");
	return unlinkat(AT_FDCWD, path, 0);
}

#define TAKING_IN(yes) (taking_in = (yes))
#else
#define TAKING_IN(yes) ((void) 0)
#endif

static void
remove_links(char **links, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		(void) unlink(links[i]);
		free(links[i]);
	}
	free(links);
}

/*
 * Second names of files, for RocksDB to move: the first are needed once more if
 * the process dies.  NULL if the file system has no such thing, or a file is
 * missing.
 */
static char **
make_links(const char *const *paths, size_t n)
{
	char	  **links = calloc(n, sizeof(char *));

	for (size_t i = 0; i < n; i++)
	{
		size_t		size = strlen(paths[i]) + sizeof(LINK_SUFFIX);

		links[i] = malloc(size);
		snprintf(links[i], size, "%s" LINK_SUFFIX, paths[i]);
		(void) unlink(links[i]);	/* of a process that died */
		if (link(paths[i], links[i]) != 0)
		{
			remove_links(links, i + 1);
			return NULL;
		}
	}
	return links;
}

bool
engine_ingest(Engine *e, EngineFamily *f, const char *const *paths, size_t n, EngineError *err)
{
	rocksdb_ingestexternalfileoptions_t *o = rocksdb_ingestexternalfileoptions_create();
	char	  **links = make_links(paths, n);
	char	   *message = NULL;

	STOP_POINT("after_link");
	/*
	 * RocksDB must not write a sequence number into a file: after a death in
	 * between, the file would be refused for ever.
	 */
	sst_ingest_unchanged(o);
	rocksdb_ingestexternalfileoptions_set_move_files(o, links != NULL);
	TAKING_IN(true);
	rocksdb_ingest_external_file_cf(e->db, f->handle,
									links != NULL ? (const char *const *) links : paths, n, o, &message);
	TAKING_IN(false);
	rocksdb_ingestexternalfileoptions_destroy(o);
	if (links != NULL)
		remove_links(links, n);
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
