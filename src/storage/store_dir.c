/*
 * store_dir.c
 *	  The data directory: lock, FORMAT file, sub-directories, option hints.
 *
 *	 FORMAT		"kalam store format N\nsystem <identifier>\n", written once
 *	 families	one line per family: name, compression, false positives per
 *				million; appended by creation, rewritten at every start
 *	 ballast	room for opening the store on a full disk
 *	 db/ log/	RocksDB's files and its own log
 *	 bulk/		sorted files of large transactions (bulk.c)
 *
 * The lock is a flock on the directory itself, gone when the process is.  The
 * main thread opens and closes; store_dir_hint_add is called by one thread at a
 * time (objects.c serializes creation); store_dir_free_bytes by any.
 */
#include "src/storage/store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "src/storage/log.h"

typedef struct Hint
{
	char		name[48];
	KalamObjectOptions options;
} Hint;

static char root[KALAM_PATH_BYTES];
static char db_path[KALAM_PATH_BYTES + 8];
static char log_path[KALAM_PATH_BYTES + 8];
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

/* ---- FORMAT ---- */

static bool
write_format(uint64_t system_identifier, EngineError *err)
{
	char		text[128];
	int			n = snprintf(text, sizeof(text), "kalam store format %d\nsystem %" PRIu64 "\n",
							 KALAM_STORE_FORMAT, system_identifier);
	int			fd = openat(root_fd, "FORMAT.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(err, "create file FORMAT in", root);
	if (write(fd, text, (size_t) n) != n || fsync(fd) != 0)
	{
		fail(err, "write file FORMAT in", root);
		close(fd);
		return false;
	}
	close(fd);
	if (renameat(root_fd, "FORMAT.new", root_fd, "FORMAT") != 0 || fsync(root_fd) != 0)
		return fail(err, "write file FORMAT in", root);
	return true;
}

static bool
check_format(uint64_t system_identifier, EngineError *err)
{
	char		text[256];
	char	   *line;
	ssize_t		n;
	int			format = 0;
	uint64_t	system = 0;
	int			fd = openat(root_fd, "FORMAT", O_RDONLY | O_CLOEXEC);
	char		current[KALAM_PATH_BYTES + 16];

	if (fd < 0 && errno != ENOENT)
		return fail(err, "open file FORMAT in", root);
	if (fd < 0)
	{
		snprintf(current, sizeof(current), "%s/CURRENT", db_path);
		if (access(current, F_OK) == 0)
		{
			engine_error(err, KALAM_ERR_CORRUPT,
						 "data directory \"%s\" holds a database but no file FORMAT", root);
			return false;
		}
		return write_format(system_identifier, err);
	}
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return fail(err, "read file FORMAT in", root);
	text[n] = '\0';
	line = strchr(text, '\n');
	if (sscanf(text, "kalam store format %d", &format) != 1 || line == NULL)
	{
		engine_error(err, KALAM_ERR_CORRUPT, "file FORMAT in \"%s\" is not a kalam store's", root);
		return false;
	}
	if (format != KALAM_STORE_FORMAT)
	{
		engine_error(err, KALAM_ERR_CORRUPT,
					 "data directory \"%s\" has store format %d, but this version reads format %d",
					 root, format, KALAM_STORE_FORMAT);
		return false;
	}
	if (sscanf(line + 1, "system %" SCNu64, &system) != 1)
	{
		engine_error(err, KALAM_ERR_CORRUPT, "file FORMAT in \"%s\" names no system", root);
		return false;
	}
	if (system_identifier != 0 && system != 0 && system != system_identifier)
	{
		engine_error(err, KALAM_ERR_CORRUPT,
					 "data directory \"%s\" belongs to another server (system identifier %" PRIu64
					 ", this server has %" PRIu64 ")",
					 root, system, system_identifier);
		return false;
	}
	return true;
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
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/families", root);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fscanf(f, "%47s %u %u\n", name, &options.compression, &options.bloom_fpr_ppm) == 3)
		remember_hint(name, options);
	fclose(f);
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

bool
store_dir_open(const char *path, uint64_t system_identifier, uint32_t wait_ms, EngineError *err)
{
	snprintf(root, sizeof(root), "%s", path);
	snprintf(db_path, sizeof(db_path), "%s/db", path);
	snprintf(log_path, sizeof(log_path), "%s/log", path);
	snprintf(bulk_path, sizeof(bulk_path), "%s/bulk", path);
	if (path[0] != '/')
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "data directory \"%s\" is not an absolute path", path);
		return false;
	}
	if (!make_directory(root, err) || !lock_root(wait_ms, err) ||
		!check_format(system_identifier, err))
		return false;
	if (!make_directory(db_path, err) || !make_directory(log_path, err) ||
		!make_directory(bulk_path, err))
		return false;
	if (access(db_path, R_OK | W_OK | X_OK) != 0)
		return fail(err, "use directory", db_path);
	read_hints();
	return true;
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
store_dir_log(void)
{
	return log_path;
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
	engine_error(err, KALAM_ERR_DISK_FULL, "less than %llu MB are free in the data directory",
				 (unsigned long long) ((reserve_bytes + bytes) >> 20));
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
