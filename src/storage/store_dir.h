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
 * Options of families by name, for opening them: a file "families" that says
 * what each family was created with.  Only a hint: losing it means that files
 * written until the next start have default options.
 */
extern KalamObjectOptions store_dir_hint(const char *family, void *unused);
extern void store_dir_hint_add(const char *family, KalamObjectOptions options);
extern void store_dir_hints_begin(void);	/* rewrite: begin, add .., end */
extern void store_dir_hints_end(void);

#endif
