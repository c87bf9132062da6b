/*
 * store_dir.h - the data directory: its lock, its FORMAT file, hints, free space.
 */
#ifndef KALAM_STORAGE_STORE_DIR_H
#define KALAM_STORAGE_STORE_DIR_H

#include "src/storage/engine.h"

/*
 * Creates what is missing, takes the directory's lock (waiting up to wait_ms
 * for a predecessor that is dying), checks or writes FORMAT, reads the hints.
 */
extern bool store_dir_open(const char *path, uint64_t system_identifier, uint32_t wait_ms,
						   EngineError *err);
extern void store_dir_close(void);

extern const char *store_dir_db(void);
extern const char *store_dir_log(void);
extern const char *store_dir_bulk(void);
extern uint64_t store_dir_free_bytes(void);

/*
 * With less room than the reserve nothing is written any more that needs some:
 * what is in memory must still find its way into files.  Constant once threads
 * run.
 */
extern void store_dir_set_reserve(uint64_t write_buffer_bytes);
extern uint64_t store_dir_reserve_bytes(void);

/* Is there room for so many bytes, and the reserve?  Else fills err. */
extern bool store_dir_has_room(uint64_t bytes, EngineError *err);

/*
 * A file that only keeps room: given up when the disk is full, so that the
 * store can be opened again there; made again when there is plenty.
 */
extern bool store_dir_can_open(EngineError *err);	/* else RocksDB would abort */
extern void store_dir_make_ballast(void);
extern bool store_dir_free_ballast(void);	/* was there one? */

/*
 * Options of families by name, for opening them: a file "families" that says
 * what each family was created with.  Only a hint: losing it means that files
 * written until the next start have default options.
 */
extern KalamObjectOptions store_dir_hint(const char *family, void *unused);
extern void store_dir_hint_add(const char *family, KalamObjectOptions options);
extern void store_dir_hints_begin(void);	/* rewrite: begin, add .., end */
extern void store_dir_hints_end(void);

#endif
