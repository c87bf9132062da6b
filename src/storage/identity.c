/*
 * identity.c
 *	  Whose store a directory holds.
 *
 * The file FORMAT in it is written once:
 *
 *	 kalam store format 1
 *	 system <identifier of the PostgreSQL server>
 *	 store <a number drawn when the store was made>
 *
 * The server keeps a copy in its own data directory, the witness, with a line
 * "opened <how often>" behind it, which must fit the store's own count (in
 * state_file.c): folders of different times do not go together.  The witness
 * also tells a store that is not there any more (a file system that is not
 * mounted, another directory in the settings) from one that never was: tables
 * would otherwise be empty all of a sudden.
 *
 * A store of another server is refused, unless the operator says by a file ADOPT
 * in it that it was moved in: see adopt.c.  Main thread only.
 */
#include "src/storage/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "src/storage/log.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"

#define TEXT_BYTES 256
#define ADOPT "ADOPT"

static bool moved_in = false;

typedef struct Identity
{
	int			format;
	uint64_t	system;
	uint64_t	store;
} Identity;

/* The whole of a small file, terminated; -1 with errno set. */
static ssize_t
read_text(int dir_fd, const char *path, char *text)
{
	int			fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t		n;

	if (fd < 0)
		return -1;
	n = read(fd, text, TEXT_BYTES - 1);
	close(fd);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

/* store: its number, or 0 for a new one */
static bool
write_format(const IdentityConfig *c, uint64_t store, EngineError *err)
{
	char		text[TEXT_BYTES];

	while (store == 0)
		if (getrandom(&store, sizeof(store), 0) != sizeof(store))
			store = now_ns();
	snprintf(text, sizeof(text), "kalam store format %d\nsystem %" PRIu64 "\nstore %016" PRIx64 "\n",
			 KALAM_STORE_FORMAT, c->system_identifier, store);
	return store_dir_replace_file(c->root_fd, "FORMAT", text, strlen(text), err);
}

static bool
parse(const IdentityConfig *c, const char *text, Identity *id, EngineError *err)
{
	const char *line = strchr(text, '\n');

	if (sscanf(text, "kalam store format %d", &id->format) != 1 || line == NULL)
	{
		engine_error(err, KALAM_ERR_CORRUPT, "file FORMAT in \"%.200s\" is not a kalam store's", c->root);
		return false;
	}
	if (id->format != KALAM_STORE_FORMAT)
	{
		engine_error(err, KALAM_ERR_CORRUPT,
					 "data directory \"%.200s\" has store format %d, but this version reads format %d",
					 c->root, id->format, KALAM_STORE_FORMAT);
		return false;
	}
	if (sscanf(line, "\nsystem %" SCNu64 "\nstore %" SCNx64, &id->system, &id->store) != 2)
	{
		engine_error(err, KALAM_ERR_CORRUPT, "file FORMAT in \"%.200s\" is damaged", c->root);
		return false;
	}
	return true;
}

bool
identity_is_noted(const char *witness)
{
	return witness != NULL && access(witness, F_OK) == 0;
}

/* What the server noted, without the count, in text; false if there is none. */
static bool
read_witness(const IdentityConfig *c, char *text, uint32_t *opened)
{
	char	   *line;

	*opened = 0;
	if (c->witness == NULL || read_text(AT_FDCWD, c->witness, text) <= 0)
		return false;
	line = strstr(text, "opened ");
	if (line != NULL && sscanf(line, "opened %" SCNu32, opened) == 1)
		*line = '\0';
	return true;
}

bool
identity_check(const IdentityConfig *c, uint32_t *opened, EngineError *err)
{
	char		text[TEXT_BYTES];
	char		noted[TEXT_BYTES];
	Identity	id;

	*opened = 0;
	if (read_text(c->root_fd, "FORMAT", text) < 0)
	{
		if (errno != ENOENT)
		{
			engine_error(err, KALAM_ERR_IO, "could not read file FORMAT in \"%.200s\": %s", c->root,
						 strerror(errno));
			return false;
		}
		if (c->has_database)
		{
			engine_error(err, KALAM_ERR_CORRUPT,
						 "data directory \"%.200s\" holds a database but no file FORMAT", c->root);
			return false;
		}
		if (identity_is_noted(c->witness) &&
			!store_dir_accept(err, "the store of this server is not in \"%.200s\"", c->root))
			return false;
		return write_format(c, 0, err);
	}
	if (!parse(c, text, &id, err))
		return false;
	if (c->system_identifier != 0 && id.system != 0 && id.system != c->system_identifier)
	{
		moved_in = faccessat(c->root_fd, ADOPT, F_OK, 0) == 0;
		if (!moved_in)
		{
			engine_error(err, KALAM_ERR_CORRUPT,
						 "data directory \"%.140s\" belongs to another server (system identifier %" PRIu64
						 ", this server has %" PRIu64 "); to move its tables to this one, create the file \"%.140s/"
						 ADOPT "\"",
						 c->root, id.system, c->system_identifier, c->root);
			return false;
		}
		log_warning("\"%s\" belongs to another server; it is taken over, because there is a file " ADOPT,
					c->root);
	}
	if (!read_witness(c, noted, opened) || strcmp(noted, text) == 0)
		return true;
	*opened = 0;
	return store_dir_accept(err, "\"%.200s\" is not the store that this server used before", c->root);
}

bool
identity_is_moved_in(void)
{
	return moved_in;
}

bool
identity_take_over(const IdentityConfig *c, EngineError *err)
{
	char		text[TEXT_BYTES];
	Identity	id;

	if (read_text(c->root_fd, "FORMAT", text) < 0)
	{
		engine_error(err, KALAM_ERR_IO, "could not read file FORMAT in \"%.200s\": %s", c->root,
					 strerror(errno));
		return false;
	}
	if (!parse(c, text, &id, err) || !write_format(c, id.store, err))
		return false;
	/* should it stay, it says nothing of a store that is ours */
	if (unlinkat(c->root_fd, ADOPT, 0) == 0)
		log_info("removed file " ADOPT " from \"%s\"", c->root);
	moved_in = false;
	return true;
}

bool
identity_note(const IdentityConfig *c, uint32_t opened, EngineError *err)
{
	char		text[TEXT_BYTES];
	char		note[TEXT_BYTES + 32];
	char		folder[KALAM_PATH_BYTES];
	char		name[KALAM_PATH_BYTES];
	int			fd;
	bool		good;

	if (c->witness == NULL || read_text(c->root_fd, "FORMAT", text) < 0)
		return true;
	snprintf(note, sizeof(note), "%sopened %" PRIu32 "\n", text, opened);
	snprintf(folder, sizeof(folder), "%s", c->witness);
	snprintf(name, sizeof(name), "%s", c->witness);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
	{
		engine_error(err, KALAM_ERR_IO, "could not open the directory of \"%.200s\": %s", c->witness,
					 strerror(errno));
		return false;
	}
	good = store_dir_replace_file(fd, basename(name), note, strlen(note), err);
	close(fd);
	return good;
}
