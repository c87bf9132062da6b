/*
 * bulk.h - a large transaction as sorted files, taken into the store whole.
 *
 * A load is built by one thread, then belongs to whoever it is handed to.  It may
 * take in loads that were kept (loads.h): their files become its own.  Its files lie in the folder "bulk" of the data directory until the transaction is
 * applied or dropped; a stream of changes that names them (KALAM_CHANGE_INGEST)
 * and has what else the transaction did goes into the pending family.  Files
 * that no pending entry names are removed at start.
 */
#ifndef KALAM_STORAGE_BULK_H
#define KALAM_STORAGE_BULK_H

#include "src/storage/change_stream.h"

typedef struct BulkLoad BulkLoad;

/* slot: of the backend whose loads it may name. */
extern BulkLoad *bulk_open(uint32_t slot);

/* ChangeFunction: loads and object changes first, then keys in ascending order. */
extern bool bulk_add(void *load, const Change *change, EngineError *err);

/* Its files, if it has any, are complete and on disk when it returns. */
extern bool bulk_end(BulkLoad *load, EngineError *err);

/*
 * Has nobody committed keys of the loads that it took in?  A duplicate is described in the
 * result, its row written to `room` if it fits there.
 */
extern bool bulk_check(BulkLoad *load, KalamResult *result, uint8_t *room, size_t size,
					   EngineError *err);

/* The stream that stands for the load, valid until it is closed. */
extern const uint8_t *bulk_stream(const BulkLoad *load, size_t *len);
extern bool bulk_has_files(const BulkLoad *load);	/* or is the stream all of it? */
extern uint64_t bulk_bytes(const BulkLoad *load);	/* of its files */
extern uint32_t bulk_max_object_id(const BulkLoad *load);

/* keep: the files are named in the store now; else they are removed. */
extern void bulk_close(BulkLoad *load, bool keep);

/* ---- files by name ---- */

/* A number for the names of files that no other has, also of earlier processes. */
extern uint64_t bulk_next_number(void);

/* Writes the path of a file that an INGEST change names; false if it is no such name. */
extern bool bulk_file_path(const uint8_t *name, size_t len, char *path, size_t size);

/* Removes all files but those of the n paths. */
extern void bulk_remove_others(char *const *paths, uint32_t n);

#endif
