/*
 * faulty_disk.c
 *	  Preloaded into a server by tests: a disk that forgets, fills up or breaks.
 *
 * FAULTY_ROOT names a folder; files below it are concerned.
 *
 * FAULTY_SHADOW: a folder in which each file has a copy of what fsync has made
 * durable.  A test that kills all processes can then take away from each file
 * what a power loss may take: see FaultyDisk.pm.  The copy is made when fsync
 * is called; nothing is synced in truth.  The creation, renaming and removal of
 * files count as durable at once; what is in a file that was never synced does not.
 *
 * FAULTY_CONTROL: a file whose first byte says what fails now:
 *
 *	 R	there is no room, as far as one asks; writes still find some
 *	 F	the disk is full: no room, and writes fail with ENOSPC
 *	 W	writes to RocksDB's log (*.log) fail with ENOSPC
 *	 S	writes to sorted files (*.sst) fail with EIO
 *	 Y	syncs of RocksDB's log fail with EIO
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static const char *root;
static size_t root_len;
static const char *shadow;
static const volatile char *control = "";

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("FAULTY_CONTROL");
	int			fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	/* copies: a server writes its title over its environment */
	if (getenv("FAULTY_ROOT") != NULL)
		root = strdup(getenv("FAULTY_ROOT"));
	root_len = root != NULL ? strlen(root) : 0;
	if (getenv("FAULTY_SHADOW") != NULL)
		shadow = strdup(getenv("FAULTY_SHADOW"));
	if (fd >= 0)
	{
		void	   *p = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

		if (p != MAP_FAILED)
			control = p;
		close(fd);
	}
}

/* Path below the root, or NULL. */
static const char *
below_root(const char *path)
{
	if (root_len == 0 || strncmp(path, root, root_len) != 0 || path[root_len] != '/')
		return NULL;
	return path + root_len + 1;
}

/* The file's path as the kernel knows it. */
static const char *
path_of(int fd, char *path)
{
	char		link[64];
	ssize_t		n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return below_root(path);
}

static bool
ends_with(const char *path, const char *ending)
{
	size_t		n = strlen(path),
				m = strlen(ending);

	return n >= m && strcmp(path + n - m, ending) == 0;
}

/* errno that a write to the file gets now, or 0. */
static int
write_error(int fd)
{
	char		path[PATH_MAX];
	char		mode = control[0];

	if ((mode != 'F' && mode != 'W' && mode != 'S') || path_of(fd, path) == NULL)
		return 0;
	if (mode == 'F')
		return ENOSPC;
	if (mode == 'W' && ends_with(path, ".log"))
		return ENOSPC;
	if (mode == 'S' && ends_with(path, ".sst"))
		return EIO;
	return 0;
}

/* ---- writing ---- */

#define FAIL(fd) \
	do { int e_ = write_error(fd); if (e_ != 0) { errno = e_; return -1; } } while (0)

ssize_t
write(int fd, const void *bytes, size_t n)
{
	static __typeof__(&write) real;

	if (real == NULL)
		real = REAL(write);
	FAIL(fd);
	return real(fd, bytes, n);
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	static __typeof__(&pwrite) real;

	if (real == NULL)
		real = REAL(pwrite);
	FAIL(fd);
	return real(fd, bytes, n, at);
}

ssize_t
pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	return pwrite(fd, bytes, n, at);
}

int
fallocate(int fd, int mode, off_t at, off_t n)
{
	FAIL(fd);
	return REAL(fallocate) (fd, mode, at, n);
}

int
fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	return fallocate(fd, mode, at, n);
}

int
posix_fallocate(int fd, off_t at, off_t n)
{
	int			e = write_error(fd);

	return e != 0 ? e : REAL(posix_fallocate) (fd, at, n);
}

int
posix_fallocate64(int fd, off64_t at, off64_t n)
{
	return posix_fallocate(fd, at, n);
}

int
fstatvfs(int fd, struct statvfs *v)
{
	char		path[PATH_MAX] = "";
	int			result = REAL(fstatvfs) (fd, v);

	if ((control[0] == 'F' || control[0] == 'R') &&
		(path_of(fd, path) != NULL || strcmp(path, root) == 0))
		v->f_bavail = v->f_bfree = 0;
	return result;
}

int
fstatvfs64(int fd, struct statvfs64 *v)
{
	return fstatvfs(fd, (struct statvfs *) v);
}

/* ---- what is durable ---- */

static bool
shadow_path(const char *relative, char *path)
{
	size_t		n = (size_t) snprintf(path, PATH_MAX, "%s/", shadow);

	for (; *relative != '\0' && n < PATH_MAX - 1; relative++)
		path[n++] = *relative == '/' ? '%' : *relative;
	path[n] = '\0';
	return n < PATH_MAX - 1;
}

/* The lock makes the last of several syncs at once the one that counts. */
static void
make_durable(int fd)
{
	static __thread char buffer[1 << 16];
	char		path[PATH_MAX];
	char		copy[PATH_MAX];
	char		link[64];
	const char *relative = path_of(fd, path);
	struct stat st;
	int			from,
				to;
	ssize_t		n;
	off_t		at = 0;

	if (relative == NULL || ends_with(path, " (deleted)") || fstat(fd, &st) != 0 ||
		!S_ISREG(st.st_mode) || !shadow_path(relative, copy))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	from = open(link, O_RDONLY | O_CLOEXEC);
	to = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || flock(to, LOCK_EX) != 0)
		abort();
	while ((n = pread(from, buffer, sizeof(buffer), at)) > 0)
	{
		if (REAL(pwrite) (to, buffer, (size_t) n, at) != n)
			abort();
		at += n;
	}
	if (n < 0 || ftruncate(to, at) != 0)
		abort();
	close(from);
	close(to);
}

static int
sync_file(int fd, int (*real) (int))
{
	char		path[PATH_MAX];
	int			saved = errno;

	if (control[0] == 'Y' && path_of(fd, path) != NULL && ends_with(path, ".log"))
	{
		errno = EIO;
		return -1;
	}
	if (shadow == NULL)
		return real(fd);
	make_durable(fd);
	errno = saved;
	return 0;
}

int
fsync(int fd)
{
	return sync_file(fd, REAL(fsync));
}

int
fdatasync(int fd)
{
	return sync_file(fd, REAL(fdatasync));
}

/* The absolute path of what a call names. */
static const char *
absolute(int dir_fd, const char *name, char *path)
{
	char		link[64];
	ssize_t		n;

	if (name[0] == '/')
	{
		snprintf(path, PATH_MAX, "%s", name);
		return below_root(path);
	}
	if (dir_fd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/self/cwd");
	else
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	n = readlink(link, path, PATH_MAX / 2);
	if (n <= 0)
		return NULL;
	snprintf(path + n, (size_t) (PATH_MAX - n), "/%s", name + (strncmp(name, "./", 2) == 0 ? 2 : 0));
	return below_root(path);
}

/* The copy goes where the file went; what was there before is gone. */
static void
move_copy(int from_dir, const char *from, int to_dir, const char *to, bool keep)
{
	char		path[PATH_MAX];
	char		old[PATH_MAX];
	char		new[PATH_MAX];
	const char *relative;
	int			saved = errno;

	if (shadow == NULL || (relative = absolute(to_dir, to, path)) == NULL || !shadow_path(relative, new))
		return;
	(void) REAL(unlink) (new);
	if ((relative = absolute(from_dir, from, path)) != NULL && shadow_path(relative, old))
	{
		if (keep)
			(void) REAL(link) (old, new);
		else
			(void) REAL(rename) (old, new);
	}
	errno = saved;
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	int			result = REAL(renameat) (from_dir, from, to_dir, to);

	if (result == 0)
		move_copy(from_dir, from, to_dir, to, false);
	return result;
}

int
rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
link(const char *from, const char *to)
{
	int			result = REAL(link) (from, to);

	if (result == 0)
		move_copy(AT_FDCWD, from, AT_FDCWD, to, true);
	return result;
}

int
unlinkat(int dir_fd, const char *name, int flags)
{
	char		path[PATH_MAX];
	char		copy[PATH_MAX];
	const char *relative;
	int			result = REAL(unlinkat) (dir_fd, name, flags);
	int			saved = errno;

	if (result == 0 && shadow != NULL && (relative = absolute(dir_fd, name, path)) != NULL &&
		shadow_path(relative, copy))
		(void) REAL(unlink) (copy);
	errno = saved;
	return result;
}

int
unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}
