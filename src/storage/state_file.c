/*
 * state_file.c
 *	  What is known of the store outside of RocksDB's files.
 *
 *	 offset size
 *	 0		8	 "kalamST1"
 *	 8		8	 inode number of this very file
 *	 16		8	 when the file was made: seconds, 0 if the file system does not say
 *	 24		4	 and nanoseconds
 *	 28		4	 1 while a process has the store open, else 0
 *	 32		4	 timeline of the server that used the store last, 0: unknown
 *	 36		4	 how often the store was opened
 *	 40		8	 hash of the 40 bytes before
 *	 512	16	 a stamp, and its hash
 *	 1024	16	 the same again; they are written in turn
 *
 * A copy that is made while the store is in use has files of different moments.
 * It has another inode number or time of birth than the file says; a move, the
 * snapshot of a whole file system and a start after a crash keep both.
 *
 * The stamps are written after the commit of that stamp is on disk, and are not
 * synced themselves: what is found is a lower bound, exact after the crash of a
 * process.  RocksDB ends its recovery at the first damaged byte of its log and
 * cannot tell damage from the torn end that a power loss leaves; this can.
 *
 * All but state_file_note is the main thread's.
 */
#include "src/storage/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/storage/log.h"
#include "src/storage/store_dir.h"

#define NAME "state"
#define MAGIC "kalamST1"
#define FILE_BYTES 1536
#define SLOT_OFFSET(i) (512 + 512 * (i))
#define HASH_SEED 0x7374617465

typedef struct Head
{
	char		magic[8];
	uint64_t	inode;
	uint64_t	born_s;
	uint32_t	born_ns;
	uint32_t	in_use;
	uint32_t	timeline;
	uint32_t	opened;
	uint64_t	hash;
} Head;

typedef struct Slot
{
	uint64_t	stamp;
	uint64_t	hash;
} Slot;

static struct
{
	int			root_fd;
	int			fd;				/* while the store is in use, else -1 */
	uint32_t	timeline;
	uint32_t	opened;
	uint64_t	synced;
	uint32_t	turn;			/* of the two slots */
	bool		complained;
}			state = {.root_fd = -1, .fd = -1};

static Slot
slot_of(uint64_t stamp)
{
	Slot		s = {stamp, kalam_hash(&stamp, sizeof(stamp), HASH_SEED)};

	return s;
}

/* Fills in what tells this file from a copy of it. */
static bool
fill_birth(int fd, Head *h)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0)
		return false;
	h->inode = st.stx_ino;
	if (st.stx_mask & STATX_BTIME)
	{
		h->born_s = (uint64_t) st.stx_btime.tv_sec;
		h->born_ns = st.stx_btime.tv_nsec;
	}
	return true;
}

/* Writes a new file in place of the old one; *fd stays open. */
static bool
replace(bool in_use, int *fd, EngineError *err)
{
	uint8_t		bytes[FILE_BYTES] = {0};
	Head		h = {.magic = MAGIC, .in_use = in_use, .timeline = state.timeline, .opened = state.opened};
	Slot		s = slot_of(state.synced);
	int			e;

	_Static_assert(sizeof(Head) == 48 && sizeof(Slot) == 16, "no padding");
	*fd = openat(state.root_fd, NAME ".new", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (*fd >= 0 && fill_birth(*fd, &h))
	{
		h.hash = kalam_hash(&h, offsetof(Head, hash), HASH_SEED);
		memcpy(bytes, &h, sizeof(h));
		memcpy(bytes + SLOT_OFFSET(0), &s, sizeof(s));
		memcpy(bytes + SLOT_OFFSET(1), &s, sizeof(s));
		errno = ENOSPC;
		if (write(*fd, bytes, sizeof(bytes)) == sizeof(bytes) && fsync(*fd) == 0 &&
			renameat(state.root_fd, NAME ".new", state.root_fd, NAME) == 0 &&
			fsync(state.root_fd) == 0)
			return true;
	}
	e = errno;
	engine_error(err, e == ENOSPC ? KALAM_ERR_DISK_FULL : KALAM_ERR_IO,
				 "could not write file \"" NAME "\" of the store: %s", strerror(e));
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return false;
}

/* Reads the file.  False if it is not there or not whole. */
static bool
read_file(Head *h, bool *is_copy)
{
	uint8_t		bytes[FILE_BYTES];
	Head		now = {.inode = 0};
	bool		found = false;
	int			fd = openat(state.root_fd, NAME, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, bytes, sizeof(bytes)) != sizeof(bytes) || !fill_birth(fd, &now))
	{
		close(fd);
		return false;
	}
	close(fd);
	memcpy(h, bytes, sizeof(*h));
	if (memcmp(h->magic, MAGIC, 8) != 0 || h->hash != kalam_hash(h, offsetof(Head, hash), HASH_SEED))
		return false;
	*is_copy = now.inode != h->inode || now.born_s != h->born_s || now.born_ns != h->born_ns;
	state.synced = 0;
	for (int i = 0; i < 2; i++)
	{
		Slot		s;

		memcpy(&s, bytes + SLOT_OFFSET(i), sizeof(s));
		if (s.hash != slot_of(s.stamp).hash)
			continue;			/* torn by a power loss; the other is whole */
		found = true;
		if (s.stamp > state.synced)
			state.synced = s.stamp;
	}
	return found;
}

bool
state_file_check(int root_fd, const char *root, bool has_database, uint32_t timeline,
				 bool moved_in, uint32_t opened, EngineError *err)
{
	Head		h;
	bool		is_copy = false;

	state.root_fd = root_fd;
	state.timeline = timeline;
	state.synced = 0;
	state.opened = opened;
	if (!read_file(&h, &is_copy))
	{
		state.synced = 0;
		return !has_database ||
			store_dir_accept(err, "file \"" NAME "\" in \"%.200s\" is missing or damaged", root);
	}
	if (h.in_use && is_copy &&
		!store_dir_accept(err, "\"%.200s\" is a copy of a store that was in use: its files are of "
						  "different moments", root))
		return false;
	if (opened == 0)
		state.opened = h.opened;
	else if (h.opened != opened && h.opened != opened + 1 && /* it may not have come to a note */
			 !store_dir_accept(err, "\"%.180s\" and the server's data directory are of different times: "
							   "the store was opened %u times, but the server did so %u times",
							   root, h.opened, opened))
		return false;
	if (timeline == 0)
		state.timeline = h.timeline;
	else if (!moved_in && h.timeline != 0 && h.timeline != timeline)
		return store_dir_accept(err, "\"%.200s\" was last used on timeline %u, but the server is on "
								"timeline %u: rows of in between are not in it",
								root, h.timeline, timeline);
	return true;
}

uint64_t
state_file_synced(void)
{
	return state.synced;
}

bool
state_file_begin(uint64_t synced, EngineError *err)
{
	state.synced = synced;
	if (state.fd >= 0)
		close(state.fd);		/* a second attempt */
	else
		state.opened++;
	return replace(true, &state.fd, err);
}

uint32_t
state_file_opened(void)
{
	return state.opened;
}

void
state_file_note(uint64_t stamp)
{
	Slot		s = slot_of(stamp);

	state.synced = stamp;
	if (pwrite(state.fd, &s, sizeof(s), SLOT_OFFSET(state.turn++ % 2)) == sizeof(s))
		return;
	if (!state.complained)
		log_warning("could not write file \"" NAME "\" of the store: %s", strerror(errno));
	state.complained = true;
}

bool
state_file_end(EngineError *err)
{
	int			fd;

	if (state.fd >= 0)
		close(state.fd);
	state.fd = -1;
	if (!replace(false, &fd, err))
		return false;
	close(fd);
	return true;
}
