/*
 * load_watch.c
 *	  What has been committed into objects while loads into them are open.
 *
 * A load takes no lock while it runs.  That no key gets into the store twice, and
 * no row is lost, follows from what each of three does.
 *
 * (1) The load.  It opens a watch on each of its objects, then looks each of its
 * unique keys (keys of rows, keys of entries of unique indexes) up in the newest
 * published state, once.  Before COMMIT or PREPARE is sent its backend claims the
 * objects (loadlock.c), in ascending order: it takes the lock on all rows of the
 * object, then collects the row locks that others hold, and waits for the holders
 * of those that may be locks on keys of the load.  Storage then takes the notes of
 * the watch, and looks up again those of their keys that the load has.
 *
 * (2) Who writes single rows.  It locks the key first, in Postgres' shared memory,
 * and looks for it in the store afterwards, or when it has the lock already.  It
 * keeps the lock until storage has told it that its changes are published, or
 * until it is clear that they never will be.
 *
 * (3) The commit thread.  It publishes a group of commits, then tells the watches
 * of their keys, then tells those who wait for these commits.  Opening a watch and
 * telling the watches exclude one another: a commit told of before a watch was
 * opened was published before, and every look-up behind the opening sees it.
 *
 * Let a key k be in a load L and be written by another transaction W as well.  W
 * has asked for its lock on k either
 *
 *	 a. before L had the object's lock, and ended before L collected the locks.  If
 *		it committed, storage had told it so: its k is in the watch, or was published
 *		before the watch was opened.  So L's check finds k, if it is stored still,
 *		and L fails.  (A W that deleted k leaves none, and L adds it.)
 *	 b. before, and L meets W's lock among those it collects.  k passes the load's
 *		filter, for filters err in one direction only; L waits for W's end, and it
 *		is case a.  L collects again then, until there is nothing to wait for.
 *	 c. after L had the object's lock: it waits for the end of L.  Every row lock
 *		is asked for under the lock of a part of the table, through all of which L
 *		has passed between taking the object's lock and collecting, so there is no
 *		fourth case.  If L has committed, what W looks up next has L's k: an INSERT
 *		fails, an UPDATE or DELETE takes the row that it finds now.  Nothing of W's
 *		that was read before counts, for a load's commit stamps all keys of its objects.
 *
 * W may be a load itself.  Loads into one object claim it one after the other, and
 * the commit of a load tells the watches that any key may have come: the second
 * looks all its keys up again.  W may be a transaction that locks whole objects;
 * then L waits for its end before it has the object, likewise.  W may be prepared
 * or in doubt: its locks stay until its changes are applied and published, or are
 * dropped.  L prepared or in doubt keeps the object's lock in the same way.
 *
 * Nothing is lost either.  L only adds keys that are not there, and only L adds any of
 * them while it has the object; a change of another row that was committed
 * meanwhile is one of a key that L has not, and no file of L covers it.
 *
 * A storage process that dies takes its loads with it, so that no COMMIT names one
 * of a predecessor.
 *
 * One lock protects the list of watches and what they have noted.
 */
#include "src/storage/load_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/shared/protocol.h"
#include "src/shared/segment.h"

/* of keys that are noted by one watch */
#define MAX_BYTES	(4 << 20)

struct LoadWatch
{
	uint32_t	object_id;
	bool		all;
	uint8_t    *bytes;			/* uint16 length and key, one behind the other */
	size_t		len;
	size_t		capacity;
	uint32_t   *table;			/* offsets in bytes + 1, by hash; 0: free */
	uint32_t	table_size;		/* a power of two, or 0 */
	uint32_t	nkeys;
	LoadWatch  *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LoadWatch *watches;

LoadWatch *
load_watch_open(uint32_t object_id)
{
	LoadWatch  *w = calloc(1, sizeof(LoadWatch));

	w->object_id = object_id;
	pthread_mutex_lock(&lock);
	w->next = watches;
	watches = w;
	pthread_mutex_unlock(&lock);
	return w;
}

/* Forgets the notes. */
static void
reset(LoadWatch *w)
{
	free(w->bytes);
	free(w->table);
	w->bytes = NULL;
	w->table = NULL;
	w->len = w->capacity = 0;
	w->table_size = w->nkeys = 0;
	w->all = false;
}

void
load_watch_close(LoadWatch *w)
{
	LoadWatch **at = &watches;

	pthread_mutex_lock(&lock);
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	pthread_mutex_unlock(&lock);
	reset(w);
	free(w);
}

/* ---- noting; the caller holds the lock ---- */

static void
note_all(LoadWatch *w)
{
	reset(w);
	w->all = true;
}

static uint16_t
length_at(const uint8_t *bytes, size_t at)
{
	uint16_t	len;

	memcpy(&len, bytes + at, sizeof(len));
	return len;
}

/* The place of the key in the table, or the free one for it. */
static uint32_t *
place_of(LoadWatch *w, uint64_t hash, const uint8_t *key, size_t len)
{
	uint32_t	mask = w->table_size - 1;

	for (uint32_t i = (uint32_t) hash & mask;; i = (i + 1) & mask)
	{
		uint32_t	at = w->table[i];

		if (at == 0 || (length_at(w->bytes, at - 1) == len &&
						memcmp(w->bytes + at - 1 + sizeof(uint16_t), key, len) == 0))
			return &w->table[i];
	}
}

static void
grow_table(LoadWatch *w)
{
	uint32_t	at = 0;

	free(w->table);
	w->table_size = w->table_size == 0 ? 256 : 2 * w->table_size;
	w->table = calloc(w->table_size, sizeof(uint32_t));
	if (w->table == NULL)
		abort();
	while (at < w->len)
	{
		uint16_t	len = length_at(w->bytes, at);
		const uint8_t *key = w->bytes + at + sizeof(len);

		*place_of(w, kalam_hash(key, len, 0), key, len) = at + 1;
		at += (uint32_t) (sizeof(len) + len);
	}
}

static void
note(LoadWatch *w, const NotedKey *k, const uint8_t *key)
{
	uint16_t	len = (uint16_t) k->len;
	uint32_t   *place;

	if (w->all)
		return;
	if (w->nkeys >= w->table_size / 2)
		grow_table(w);
	place = place_of(w, k->hash, key, k->len);
	if (*place != 0)
		return;
	if (w->len + sizeof(len) + len > MAX_BYTES)
	{
		note_all(w);
		return;
	}
	if (w->len + sizeof(len) + len > w->capacity)
	{
		w->capacity = 2 * (w->capacity + sizeof(len) + len) + 1024;
		w->bytes = realloc(w->bytes, w->capacity);
		if (w->bytes == NULL)
			abort();
	}
	*place = (uint32_t) w->len + 1;
	memcpy(w->bytes + w->len, &len, sizeof(len));
	memcpy(w->bytes + w->len + sizeof(len), key, len);
	w->len += sizeof(len) + len;
	w->nkeys++;
}

static void
tell(LoadWatch *w, const KeyNotes *notes)
{
	if (!key_notes_name(&notes->objects, w->object_id))
		return;
	if (key_notes_name(&notes->whole, w->object_id))
		note_all(w);
	else
		for (uint32_t i = 0; i < notes->nkeys; i++)
		{
			const uint8_t *key = notes->bytes + notes->keys[i].offset;

			if (kalam_get_be32(key) == w->object_id)
				note(w, &notes->keys[i], key);
		}
}

void
load_watch_tell(const KeyNotes *notes)
{
	pthread_mutex_lock(&lock);
	for (LoadWatch *w = watches; w != NULL; w = w->next)
		tell(w, notes);
	pthread_mutex_unlock(&lock);
}

void
load_watch_note_all(LoadWatch *w)
{
	pthread_mutex_lock(&lock);
	note_all(w);
	pthread_mutex_unlock(&lock);
}

/* ---- taking ---- */

void
load_watch_take(LoadWatch *w, LoadWatchNotes *notes)
{
	pthread_mutex_lock(&lock);
	notes->all = w->all;
	notes->bytes = w->bytes;
	notes->len = w->len;
	w->bytes = NULL;
	reset(w);
	pthread_mutex_unlock(&lock);
}

bool
load_watch_next(const LoadWatchNotes *notes, size_t *at, const uint8_t **key, size_t *len)
{
	if (*at >= notes->len)
		return false;
	*len = length_at(notes->bytes, *at);
	*key = notes->bytes + *at + sizeof(uint16_t);
	*at += sizeof(uint16_t) + *len;
	return true;
}

void
load_watch_free(LoadWatchNotes *notes)
{
	free(notes->bytes);
	memset(notes, 0, sizeof(*notes));
}
