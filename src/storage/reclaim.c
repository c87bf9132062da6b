/*
 * reclaim.c
 *	  The space of dropped objects that shared a column family, and of dropped
 *	  indexes.
 *
 * Their keys are deleted as a range, and of objects files with nothing else in
 * them are removed at once.  What lies in files with rows of others goes only when these
 * are compacted, which nothing asks for in a family that is not written to.  So
 * a thread compacts the range, as soon as no snapshot from before the drop is
 * held: until then a compaction would keep the rows.  After a restart RocksDB's
 * own compactions remain.
 *
 * list_lock guards the list, and is held to link and unlink only.
 */
#include "src/storage/reclaim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/storage/log.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"

/* less than this in files waits for RocksDB: a thousand small tables may go at once */
#define WORTH_BYTES (256 * 1024)

/* how often snapshots are looked at while something waits for them */
#define LOOK_NS 200000000

typedef struct Reclaim
{
	Object	   *object;
	bool		of_index;		/* the object stays */
	size_t		bound_len;
	uint8_t		lower[KALAM_INDEX_KEY_PREFIX_BYTES];
	uint8_t		upper[KALAM_INDEX_KEY_PREFIX_BYTES];
	uint64_t	write;			/* the drop's, or a later one */
	struct Reclaim *next;
} Reclaim;

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static Reclaim *first;			/* in the order of their drops */
static Reclaim **last = &first;
static bool stop;
static bool opened;
static pthread_t thread;

static void
add(Object *object, bool of_index, const uint8_t *lower, const uint8_t *upper, size_t len)
{
	Reclaim    *r = calloc(1, sizeof(Reclaim));

	if (r == NULL)
		abort();
	r->object = object;
	r->of_index = of_index;
	memcpy(r->lower, lower, len);
	memcpy(r->upper, upper, len);
	r->bound_len = len;
	r->write = engine_last_write(storage.engine);
	pthread_mutex_lock(&list_lock);
	*last = r;
	last = &r->next;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&list_lock);
}

void
reclaim_add(Object *object)
{
	ObjectRange r = object_range(object_id(object));

	add(object, false, r.lower, r.upper, sizeof(r.lower));
}

void
reclaim_add_index(Object *object, uint16_t index)
{
	IndexRange	r = index_range(object_id(object), index);

	add(object, true, r.lower, r.upper, sizeof(r.lower));
}

static bool
still_there(const Object *object)
{
	Object	   *o = objects_get(object_id(object));

	if (o != NULL)
		object_put(o);
	return o != NULL;
}

static void
reclaim(const Reclaim *r)
{
	EngineFamily *f = object_family(r->object);
	size_t		len = r->bound_len;
	EngineError err;

	/* an index whose object was dropped since goes with that */
	if (r->of_index && !still_there(r->object))
		return;
	if (engine_range_bytes(storage.engine, f, r->lower, len, r->upper, len) < WORTH_BYTES)
		return;
	/* RocksDB stops, or aborts, when a file that it writes cannot be completed */
	if (store_dir_free_bytes() < store_dir_reserve_bytes() / 2)
		return;
	/* it would stop the writes of all others, too */
	if (store_dir_is_damaged(engine_family_name(f), NULL))
		return;
	/* the deletion is in memory; it must meet the keys */
	if (!engine_flush(storage.engine, f, &err) ||
		!engine_compact(storage.engine, f, r->lower, len, r->upper, len, &err))
		log_warning("could not give back the space of object %u%s: %s", object_id(r->object),
					r->of_index ? ", of an index that was dropped" : "", err.message);
}

/* The first of the list, once snapshots allow; NULL at the end. */
static Reclaim *
next(void)
{
	Reclaim    *r;

	pthread_mutex_lock(&list_lock);
	for (;;)
	{
		struct timespec until;

		if (stop)
		{
			pthread_mutex_unlock(&list_lock);
			return NULL;
		}
		if (first == NULL)
		{
			pthread_cond_wait(&more, &list_lock);
			continue;
		}
		if (engine_oldest_snapshot(storage.engine) >= first->write)
			break;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&more, &list_lock, &until);
	}
	r = first;
	first = r->next;
	if (first == NULL)
		last = &first;
	pthread_mutex_unlock(&list_lock);
	return r;
}

static void *
run(void *arg)
{
	Reclaim    *r;

	(void) arg;
	while ((r = next()) != NULL)
	{
		reclaim(r);
		object_put(r->object);
		free(r);
	}
	return NULL;
}

bool
reclaim_open(void)
{
	opened = pthread_create(&thread, NULL, run, NULL) == 0;
	return opened;
}

void
reclaim_close(void)
{
	pthread_mutex_lock(&list_lock);
	stop = true;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&list_lock);
	if (opened)
		pthread_join(thread, NULL);
	while (first != NULL)
	{
		Reclaim    *r = first;

		first = r->next;
		object_put(r->object);
		free(r);
	}
}
