/*
 * store_dir.c
 *	  The data directory: lock, sub-directories, small files, option hints, room.
 *
 *	 FORMAT		whose store it is (identity.c)
 *	 state		is it in use, and what is on disk (state_file.c)
 *	 damaged	names of families in which a compaction met damage, one per line
 *	 ACCEPT_LOSS made by the operator: see store_dir_accept
 *	 families	one line per family: name, compression, false positives per
 *				million; appended by creation, rewritten at every start
 *	 ballast	room for opening the store on a full disk
 *	 db/		RocksDB's files, and LOG, what it says of itself
 *	 bulk/		sorted files of large transactions (bulk.c)
 *
 * The lock is a flock on the directory itself, gone when the process is.  The
 * main thread opens and closes; store_dir_hint_add is called by one thread at a
 * time (objects.c serializes creation); store_dir_free_bytes by any.
 */
#include "src/storage/store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "src/storage/identity.h"
#include "src/storage/log.h"
#include "src/storage/state_file.h"

typedef struct Hint
{
	char		name[48];
	KalamObjectOptions options;
} Hint;

static char root[KALAM_PATH_BYTES];
static char db_path[KALAM_PATH_BYTES + 8];
static char	bulk_path[KALAM_PATH_BYTES + 8];
static int	root_fd = -1;
static int	hints_fd = -1;
static Hint *hints;
static size_t nhints;

static bool
fail(EngineError *err, const char *what, const char *path)
{
	int			e = errno;

	engine_error(err, e == ENOSPC ? KALAM_ERR_DISK_FULL : KALAM_ERR_IO, "could not %s \"%s\": %s",
				 what, path, strerror(e));
	return false;
}

static bool
make_directory(const char *path, EngineError *err)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return fail(err, "create directory", path);
	return true;
}

static bool
lock_root(uint32_t wait_ms, EngineError *err)
{
	struct timespec pause = {0, 20 * 1000 * 1000};

	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return fail(err, "open directory", root);
	for (uint32_t waited = 0; flock(root_fd, LOCK_EX | LOCK_NB) != 0; waited += 20)
	{
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail(err, "lock directory", root);
		if (waited >= wait_ms)
		{
			engine_error(err, KALAM_ERR_IO, "data directory \"%s\" is in use by another process",
						 root);
			return false;
		}
		nanosleep(&pause, NULL);
	}
	return true;
}

/* ---- files ---- */

bool
store_dir_replace_file(int dir_fd, const char *name, const char *text, size_t len, EngineError *err)
{
	char		temporary[64];
	int			fd;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(err, "create file", temporary);
	errno = ENOSPC;
	if (write(fd, text, len) != (ssize_t) len || fsync(fd) != 0)
	{
		fail(err, "write file", temporary);
		close(fd);
		return false;
	}
	close(fd);
	if (renameat(dir_fd, temporary, dir_fd, name) != 0 || fsync(dir_fd) != 0)
		return fail(err, "write file", name);
	return true;
}

/* Are there files of RocksDB?  Not its lock, which says nothing. */
bool
store_dir_has_database(void)
{
	DIR		   *dir = opendir(db_path);
	struct dirent *d;
	bool		found = false;

	while (dir != NULL && !found && (d = readdir(dir)) != NULL)
		found = strcmp(d->d_name, "CURRENT") == 0 || strncmp(d->d_name, "MANIFEST-", 9) == 0 ||
			strstr(d->d_name, ".sst") != NULL;
	if (dir != NULL)
		closedir(dir);
	return found;
}

bool
store_dir_has_current(void)
{
	char		path[KALAM_PATH_BYTES + 16];

	snprintf(path, sizeof(path), "%s/CURRENT", db_path);
	return access(path, F_OK) == 0;
}

bool
store_dir_can_link(void)
{
	static _Atomic int known;	/* 1: yes, -1: no */
	char		name[KALAM_PATH_BYTES + 24];
	struct stat bulk,
				db;

	if (atomic_load(&known) != 0)
		return atomic_load(&known) > 0;
	snprintf(name, sizeof(name), "%s/link", bulk_path);
	(void) unlink(name);
	atomic_store(&known, stat(bulk_path, &bulk) == 0 && stat(db_path, &db) == 0 &&
				 bulk.st_dev == db.st_dev && linkat(root_fd, "FORMAT", AT_FDCWD, name, 0) == 0 ? 1 : -1);
	(void) unlink(name);
	return atomic_load(&known) > 0;
}

/* ---- the operator's word ---- */

#define ACCEPT "ACCEPT_LOSS"

bool
store_dir_accept(EngineError *err, const char *format, ...)
{
	char		what[400];
	va_list		args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (root_fd >= 0 && faccessat(root_fd, ACCEPT, F_OK, 0) == 0)
	{
		log_warning("%s; opened all the same, because there is a file " ACCEPT, what);
		return true;
	}
	engine_error(err, KALAM_ERR_CORRUPT, "%.260s; put the right files back, or create the file \"%.130s/"
				 ACCEPT "\" to go on with what is there", what, root);
	return false;
}

void
store_dir_accept_end(void)
{
	if (unlinkat(root_fd, ACCEPT, 0) == 0)
		log_info("removed file " ACCEPT " from \"%s\": it holds for one start", root);
}

/* ---- families that are not to be compacted ---- */

static bool
is_in_file(const char *path, const char *name)
{
	char		line[64];
	bool		found = false;
	FILE	   *f = fopen(path, "re");

	while (f != NULL && !found && fscanf(f, "%63s", line) == 1)
		found = strcmp(line, name) == 0;
	if (f != NULL)
		fclose(f);
	return found;
}

bool
store_dir_is_damaged(const char *family, void *unused)
{
	char		path[KALAM_PATH_BYTES + 16];

	(void) unused;
	snprintf(path, sizeof(path), "%s/damaged", root);
	return is_in_file(path, family);
}

void
store_dir_note_damaged(const char *family)
{
	char		line[64];
	int			n = snprintf(line, sizeof(line), "%s\n", family);
	int			fd;

	if (store_dir_is_damaged(family, NULL))
		return;
	fd = openat(root_fd, "damaged", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t) n) != n || fsync(fd) != 0)
		log_warning("could not write file \"%s/damaged\": %s", root, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* ---- hints ---- */

static void
remember_hint(const char *name, KalamObjectOptions options)
{
	hints = realloc(hints, (nhints + 1) * sizeof(Hint));
	snprintf(hints[nhints].name, sizeof(hints[nhints].name), "%s", name);
	hints[nhints++].options = options;
}

static void
read_hints(void)
{
	char		path[KALAM_PATH_BYTES + 16];
	char		name[48];
	KalamObjectOptions options;
	bool		whole = false;
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/families", root);
	f = fopen(path, "re");
	if (f != NULL)
	{
		while (fscanf(f, "%47s %u %u\n", name, &options.compression, &options.bloom_fpr_ppm) == 3 &&
			   options.compression <= KALAM_COMPRESSION_ZSTD)
			remember_hint(name, options);
		whole = feof(f) && !ferror(f);
		fclose(f);
	}
	if (!whole && store_dir_has_database())
		log_warning("file \"%s\" is missing or damaged; files have default options until the next start",
					path);
}

KalamObjectOptions
store_dir_hint(const char *family, void *unused)
{
	KalamObjectOptions options = {KALAM_COMPRESSION_LZ4, 10000};

	(void) unused;
	for (size_t i = nhints; i-- > 0;)
		if (strcmp(hints[i].name, family) == 0)
			return hints[i].options;
	return options;
}

void
store_dir_hint_add(const char *family, KalamObjectOptions options)
{
	char		line[96];
	int			n = snprintf(line, sizeof(line), "%s %u %u\n", family, options.compression,
							 options.bloom_fpr_ppm);

	if (hints_fd >= 0 && write(hints_fd, line, (size_t) n) != n)
		log_warning("could not write file \"%s/families\": %s", root, strerror(errno));
}

void
store_dir_hints_begin(void)
{
	hints_fd = openat(root_fd, "families.new", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
					  0600);
}

void
store_dir_hints_end(void)
{
	if (hints_fd < 0 || renameat(root_fd, "families.new", root_fd, "families") != 0)
		log_warning("could not write file \"%s/families\": %s", root, strerror(errno));
	free(hints);
	hints = NULL;
	nhints = 0;
}

/* ---- opening and closing ---- */

static IdentityConfig
identity_config(const StoreDirConfig *c)
{
	IdentityConfig id = {
		.root_fd = root_fd,
		.root = root,
		.has_database = store_dir_has_database(),
		.system_identifier = c->system_identifier,
		.witness = c->witness,
	};

	return id;
}

bool
store_dir_open(const StoreDirConfig *c, EngineError *err)
{
	const char *path = c->path;
	IdentityConfig id;
	uint32_t	opened;

	snprintf(root, sizeof(root), "%s", path);
	snprintf(db_path, sizeof(db_path), "%s/db", path);
	snprintf(bulk_path, sizeof(bulk_path), "%s/bulk", path);
	if (path[0] != '/')
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "data directory \"%s\" is not an absolute path", path);
		return false;
	}
	if (access(root, F_OK) != 0 && errno == ENOENT && identity_is_noted(c->witness))
		return store_dir_accept(err, "the store of this server is missing: there is no directory \"%.200s\"",
								root);
	if (!make_directory(root, err) || !lock_root(c->lock_wait_ms, err))
		return false;
	id = identity_config(c);
	if (!identity_check(&id, &opened, err) ||
		!state_file_check(root_fd, root, id.has_database, c->timeline, identity_is_moved_in(), opened, err))
		return false;
	if (!make_directory(db_path, err) || !make_directory(bulk_path, err))
		return false;
	if (access(db_path, R_OK | W_OK | X_OK) != 0)
		return fail(err, "use directory", db_path);
	read_hints();
	return true;
}

bool
store_dir_opened(const StoreDirConfig *c, EngineError *err)
{
	IdentityConfig id = identity_config(c);

	if (identity_is_moved_in() && !identity_take_over(&id, err))
		return false;
	return identity_note(&id, state_file_opened(), err);
}

void
store_dir_close(void)
{
	if (hints_fd >= 0)
		close(hints_fd);
	if (root_fd >= 0)
		close(root_fd);
	hints_fd = root_fd = -1;
}

const char *
store_dir_db(void)
{
	return db_path;
}

const char *
store_dir_bulk(void)
{
	return bulk_path;
}

uint64_t
store_dir_free_bytes(void)
{
	struct statvfs v;

	if (fstatvfs(root_fd, &v) != 0)
		return UINT64_MAX;
	return (uint64_t) v.f_bavail * v.f_frsize;
}

/* ---- room ---- */

#define LEAST_RESERVE_BYTES (UINT64_C(64) << 20)

static uint64_t reserve_bytes = LEAST_RESERVE_BYTES;

void
store_dir_set_reserve(uint64_t write_buffer_bytes)
{
	reserve_bytes = LEAST_RESERVE_BYTES + write_buffer_bytes;
}

uint64_t
store_dir_reserve_bytes(void)
{
	return reserve_bytes;
}

bool
store_dir_has_room(uint64_t bytes, EngineError *err)
{
	if (store_dir_free_bytes() >= reserve_bytes + bytes)
		return true;
	engine_error(err, KALAM_ERR_DISK_FULL, "less than %llu MB are free in the data directory "
				 "(%llu MB and kalam.write_buffer_size are kept in reserve)",
				 (unsigned long long) ((reserve_bytes + bytes) >> 20),
				 (unsigned long long) (LEAST_RESERVE_BYTES >> 20));
	return false;
}

#define BALLAST_BYTES (UINT64_C(16) << 20)
#define OPEN_BYTES (UINT64_C(8) << 20)

bool
store_dir_can_open(EngineError *err)
{
	if (store_dir_free_bytes() >= OPEN_BYTES ||
		(store_dir_free_ballast() && store_dir_free_bytes() >= OPEN_BYTES))
		return true;
	engine_error(err, KALAM_ERR_DISK_FULL, "less than %u MB are free in data directory \"%s\"",
				 (unsigned) (OPEN_BYTES >> 20), root);
	return false;
}

void
store_dir_make_ballast(void)
{
	int			fd;

	if (faccessat(root_fd, "ballast", F_OK, 0) == 0 ||
		store_dir_free_bytes() < reserve_bytes + 2 * BALLAST_BYTES)
		return;
	fd = openat(root_fd, "ballast", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, (off_t) BALLAST_BYTES) != 0)
	{
		log_warning("could not reserve room in \"%s\"", root);
		(void) unlinkat(root_fd, "ballast", 0);
	}
	if (fd >= 0)
		close(fd);
}

bool
store_dir_free_ballast(void)
{
	if (unlinkat(root_fd, "ballast", 0) != 0)
		return false;
	log_info("gave up the room that was reserved in \"%s\"", root);
	return true;
}
