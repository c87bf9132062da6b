/*
 * store_dir.h - the data directory: its lock, its small files, hints, free space.
 */
#ifndef KALAM_STORAGE_STORE_DIR_H
#define KALAM_STORAGE_STORE_DIR_H

#include "src/storage/engine.h"

typedef struct StoreDirConfig
{
	const char *path;			/* absolute */
	uint64_t	system_identifier;	/* 0: any */
	const char *witness;		/* see identity.h; NULL: none */
	uint32_t	timeline;		/* of the server; 0: not known */
	uint32_t	lock_wait_ms;	/* for a predecessor that is dying */
} StoreDirConfig;

/*
 * Creates what is missing, takes the directory's lock, reads the hints.
 * Refuses what is not this server's store, or not whole.
 */
extern bool store_dir_open(const StoreDirConfig *config, EngineError *err);

/* The database could be opened, too. */
extern bool store_dir_opened(const StoreDirConfig *config, EngineError *err);
extern void store_dir_close(void);

/*
 * Something is lost, and a store that is opened all the same would hide it.
 * True if the operator has said that it is to be opened, by a file ACCEPT_LOSS;
 * else fills err.
 */
extern bool store_dir_accept(EngineError *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Everybody is served: what was accepted was accepted once. */
extern void store_dir_accept_end(void);

/* A new file in place of the old one, on disk when it returns. */
extern bool store_dir_replace_file(int dir_fd, const char *name, const char *text, size_t len,
								   EngineError *err);

/* Are there files of a database, and the one that makes them one? */
extern bool store_dir_has_database(void);
extern bool store_dir_has_current(void);

extern const char *store_dir_db(void);
extern const char *store_dir_bulk(void);

/* Can files in bulk be given a second name in db?  (Else they are copied.) */
extern bool store_dir_can_link(void);
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
 * Families in which a compaction met a damaged file are not compacted any more:
 * the attempt would stop all writes, again and again.
 */
extern bool store_dir_is_damaged(const char *family, void *unused);
extern void store_dir_note_damaged(const char *family);

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
