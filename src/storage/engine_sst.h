/*
 * engine_sst.h - sorted files through RocksDB's C++ interface, for engine_files.c.
 *
 * RocksDB's C interface cannot read a sorted file that is not in a database, nor
 * write one without giving up its pages, or without a sync, nor take one in
 * without writing into it.  Failures are given as RocksDB's C interface gives
 * them: *message is set, to be freed by rocksdb_free.
 */
#ifndef KALAM_STORAGE_ENGINE_SST_H
#define KALAM_STORAGE_ENGINE_SST_H

#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SstWriter SstWriter;
typedef struct SstReader SstReader;
typedef struct SstIter SstIter;

/*
 * The C interface's objects are wrappers around C++ ones, which are reached for
 * here: are they laid out as expected?
 */
extern bool sst_layout_is_known(void);

/* Always gives one, which must be closed; unsynced: it never syncs the file. */
extern SstWriter *sst_writer_open(const rocksdb_options_t *options, const char *path,
								  bool unsynced, char **message);
extern void sst_writer_put(SstWriter *w, const void *key, size_t key_len, const void *value,
						   size_t value_len, char **message);
extern void sst_writer_delete(SstWriter *w, const void *key, size_t key_len, char **message);
extern uint64_t sst_writer_bytes(SstWriter *w);
extern void sst_writer_finish(SstWriter *w, char **message);
extern void sst_writer_close(SstWriter *w);

/* A reader may have iterators of several threads.  NULL if it cannot be opened. */
extern SstReader *sst_reader_open(const char *path, char **message);
extern void sst_reader_close(SstReader *r);

/* The bound is not copied; upper_len 0: none. */
extern SstIter *sst_iter_open(SstReader *r, const void *upper, size_t upper_len, size_t readahead);
extern void sst_iter_close(SstIter *it);
extern void sst_iter_seek(SstIter *it, const void *key, size_t key_len);
extern bool sst_iter_entry(SstIter *it, const uint8_t **key, size_t *key_len,
						   const uint8_t **value, size_t *value_len);
extern void sst_iter_next(SstIter *it);
extern void sst_iter_status(SstIter *it, char **message);

/* Files that are taken in stay as they are: their sequence number is in the MANIFEST alone. */
extern void sst_ingest_unchanged(rocksdb_ingestexternalfileoptions_t *o);

#ifdef __cplusplus
}
#endif

#endif
