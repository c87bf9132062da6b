/*
 * committer.c
 *	  The commit thread: merges what waits into one write, and publishes it.
 *
 * It alone writes to the store and to pub, all_stamp and the buckets' stamps.
 * A group is everything posted on the COMMIT lane up to about a megabyte; a
 * change set that a read thread built is a group of its own.  The order is
 *
 *	 a. each member learns its stamp      d. take a snapshot
 *	 b. write to the store                e. publish the stamp
 *	 c. stamp the keys' buckets           f. acknowledge
 *
 * which is what lets caches and pins be checked without a lock.  A stamp is
 * used for one write only, also if that fails.  After a failed write RocksDB
 * takes no more: everybody is answered and the process ends, for its successor
 * to open the store again.
 */
#include "src/storage/committer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/storage/channels.h"
#include "src/storage/lanes.h"
#include "src/storage/log.h"
#include "src/storage/pending.h"
#include "src/storage/stamps.h"
#include "src/storage/store_dir.h"

#define GROUP_BYTES (1 << 20)
#define GROUP_MEMBERS 256
#define SLEEP_US 500000
#define TRIM_US 50000

/* serials and row ids are put on disk so far ahead */
#define RESERVE 65536

#define MIN_FREE_BYTES (UINT64_C(64) << 20)

typedef struct Group
{
	ChangeSet  *set;
	bool		sync;
	bool		disk_full;
	uint64_t	max_serial;
	uint64_t	max_row_id;
	uint32_t	max_object_id;
	uint32_t	nmembers;
	uint32_t	nadded;
	uint32_t	nremoved;
	Chan	   *members[GROUP_MEMBERS];
	uint64_t	added[GROUP_MEMBERS];	/* xids that become pending */
	uint64_t	removed[GROUP_MEMBERS]; /* and that are resolved */
	Chan	   *serve;
} Group;

static pthread_t thread;
static Group group;
static Chan *large[GROUP_MEMBERS];
static uint32_t nlarge;
static uint64_t last_stamp;		/* the last one used for a write */
static uint64_t saved_serial;	/* what the state rows say */
static uint64_t saved_row_id;
static uint64_t saved_object_id;

/*
 * Publishes a stamp at which nothing changed.  It is written all the same: what
 * was published and is not found at the next start was lost.
 */
static bool
publish_bare(EngineError *err)
{
	EngineBatch *batch = engine_batch_create();
	bool		good;

	state_row_put(batch, 'c', ++last_stamp);
	good = engine_write(storage.engine, batch, false, err);
	engine_batch_destroy(batch);
	if (good)
		stamps_publish(last_stamp);
	return good;
}

static void
die(const EngineError *err)
{
	log_fatal("could not write to the store: %s", err->message);
	atomic_store(&storage.seg->state, KALAM_STORAGE_DOWN);
	for (uint32_t i = 0; i < group.nmembers; i++)
		chan_finish(group.members[i], err);
	_exit(1);
}

/* ---- collecting a group ---- */

static void
answer(Chan *c, KalamCode code, const char *text)
{
	EngineError err;

	engine_error(&err, code, "%s", text);
	chan_finish(c, &err);
}

/* The request's part of the set is in; it waits for the write. */
static void
join(Chan *c)
{
	const KalamRequest *req = &c->shared->req;

	group.members[group.nmembers++] = c;
	if (req->flags & KALAM_COMMIT_SYNC || c->op == KALAM_OP_PREPARE)
		group.sync = true;
	if (c->op == KALAM_OP_COMMIT || c->op == KALAM_OP_PREPARE)
	{
		if (req->serial > group.max_serial)
			group.max_serial = req->serial;
		if (req->max_row_id > group.max_row_id)
			group.max_row_id = req->max_row_id;
	}
}

static void
refuse(Chan *c, const EngineError *err)
{
	change_set_undo(group.set);
	chan_finish(c, err);
}

static bool
space_left(bool needed, EngineError *err)
{
	if (!needed || !group.disk_full)
		return true;
	engine_error(err, KALAM_ERR_DISK_FULL, "less than %u MB are free in the data directory",
				 (unsigned) (MIN_FREE_BYTES >> 20));
	return false;
}

/* The whole stream of a request that fits in a block, or NULL. */
static const uint8_t *
single_block(Chan *c, size_t *len)
{
	KalamBlock *b = kalam_block(storage.seg, c->shared, 0);
	uint32_t	filled = atomic_load_explicit(&c->shared->filled, memory_order_acquire);
	uint32_t	used = b->used;

	if (filled < 1 || filled > KALAM_CHANNEL_BLOCKS || !(b->flags & KALAM_BLOCK_LAST) ||
		used > KALAM_BLOCK_DATA_BYTES)
	{
		answer(c, KALAM_ERR_PROTOCOL, "malformed change stream");
		return NULL;
	}
	*len = used;
	return b->data;
}

static void
take_commit(Chan *c)
{
	ChangeStream stream = {0};
	EngineError err;
	size_t		len;
	const uint8_t *data = single_block(c, &len);
	bool		good;

	if (data == NULL)
		return;
	change_set_begin(group.set, false);
	good = change_stream_feed(&stream, data, len, change_set_add, group.set, &err) &&
		change_stream_end(&stream, &err) &&
		space_left(change_set_needs_space(group.set), &err) && change_set_end(group.set, &err);
	change_stream_free(&stream);
	if (good)
		join(c);
	else
		refuse(c, &err);
}

/* Puts the checked stream behind an 8 byte header under the request's xid. */
static void
put_pending(Chan *c, const ChangeCheck *check, const uint8_t *value, size_t len)
{
	EngineError err;
	uint8_t		key[PENDING_KEY_BYTES];
	uint64_t	xid = c->shared->req.full_xid;

	if (!space_left(check->needs_space, &err))
	{
		chan_finish(c, &err);
		return;
	}
	pending_key(xid, key);
	engine_batch_put(change_set_batch(group.set), objects_pending(), key, sizeof(key), value, len);
	if (check->max_object_id > group.max_object_id)
		group.max_object_id = check->max_object_id;
	group.added[group.nadded++] = xid;
	join(c);
}

static void
take_prepare(Chan *c)
{
	ChangeStream stream = {0};
	ChangeCheck check = {0};
	EngineError err;
	static uint8_t value[KALAM_VALUE_HEADER_BYTES + KALAM_BLOCK_DATA_BYTES];
	uint64_t	header = c->shared->req.serial << 8 | KALAM_VALUE_FORMAT;
	size_t		len;
	const uint8_t *data = single_block(c, &len);

	if (data == NULL)
		return;
	memcpy(value, &header, 8);
	memcpy(value + 8, data, len);
	if (change_stream_feed(&stream, value + 8, len, change_check_add, &check, &err) &&
		change_stream_end(&stream, &err) && change_check_end(&check, &err))
		put_pending(c, &check, value, 8 + len);
	else
		chan_finish(c, &err);
	change_stream_free(&stream);
	change_check_free(&check);
}

/* Hands the changes of a pending entry to a function of the set. */
static bool
feed_pending(const uint8_t *key, ChangeFunction fn, ChangeSet *set, EngineError *err)
{
	ChangeStream stream = {0};
	EngineValue *v;
	const uint8_t *bytes;
	size_t		len;
	bool		good;

	if (!engine_get(storage.engine, objects_pending(), NULL, key, PENDING_KEY_BYTES, &v, err))
		return false;
	if (v == NULL)
		return true;
	bytes = engine_value_bytes(v, &len);
	good = len >= KALAM_VALUE_HEADER_BYTES && bytes[0] == KALAM_VALUE_FORMAT;
	if (!good)
		engine_error(err, KALAM_ERR_CORRUPT, "a pending transaction has an unknown format");
	good = good &&
		change_stream_feed(&stream, bytes + KALAM_VALUE_HEADER_BYTES,
						   len - KALAM_VALUE_HEADER_BYTES, fn, set, err) &&
		change_stream_end(&stream, err);
	change_stream_free(&stream);
	engine_value_release(v);
	return good;
}

static void
take_resolve(Chan *c)
{
	uint64_t	xid = c->shared->req.full_xid;
	uint8_t		key[PENDING_KEY_BYTES];
	EngineError err;
	bool		known = pending_has(xid);
	bool		apply = (c->shared->req.flags & KALAM_RESOLVE_APPLY) != 0;

	for (uint32_t i = 0; i < group.nremoved; i++)
		if (group.removed[i] == xid)
			known = false;
	if (!known)
	{
		join(c);				/* resolved before, or by this group */
		return;
	}
	pending_key(xid, key);
	change_set_begin(group.set, true);
	if (!feed_pending(key, apply ? change_set_add : change_set_note_file, group.set, &err) ||
		!change_set_end(group.set, &err))
	{
		refuse(c, &err);
		return;
	}
	/* half taken in is not to be seen: a successor takes it in again, whole */
	if (apply && !change_set_ingest(group.set, &err))
		die(&err);
	engine_batch_delete(change_set_batch(group.set), objects_pending(), key, sizeof(key));
	group.removed[group.nremoved++] = xid;
	join(c);
}

static void
take(Chan *c)
{
	uint32_t	state = atomic_load(&storage.seg->state);
	bool		fresh;

	if (!chan_claim(c, CLAIM_COMMIT, &fresh) || c->in_group)
		return;
	c->in_group = true;
	if (!fresh)
	{
		large[nlarge++] = c;	/* a read thread handed it over */
		return;
	}
	if (state != KALAM_STORAGE_READY &&
		!(state == KALAM_STORAGE_RECOVERING && chan_is_supervisor(c)))
	{
		answer(c, KALAM_ERR_NOT_READY, "the storage process is not ready yet");
		return;
	}
	switch (c->op)
	{
		case KALAM_OP_COMMIT:
			take_commit(c);
			break;
		case KALAM_OP_PREPARE:
			take_prepare(c);
			break;
		case KALAM_OP_RESOLVE:
			take_resolve(c);
			break;
		case KALAM_OP_SERVE:
			if (!chan_is_supervisor(c) || group.serve != NULL)
				answer(c, KALAM_ERR_PROTOCOL, "not the supervisor");
			else
				group.serve = c;
			break;
		default:
			answer(c, KALAM_ERR_PROTOCOL, "not an operation of the commit thread");
			break;
	}
}

/* ---- writing it ---- */

static void
group_begin(ChangeSet *set)
{
	group.set = set;
	group.sync = false;
	group.max_serial = group.max_row_id = 0;
	group.max_object_id = 0;
	group.nmembers = group.nadded = group.nremoved = 0;
	group.serve = NULL;
	group.disk_full = store_dir_free_bytes() < MIN_FREE_BYTES;
}

static void
add_state_rows(uint64_t stamp)
{
	EngineBatch *batch = change_set_batch(group.set);
	uint32_t	object_id = change_set_max_object_id(group.set);

	if (object_id < group.max_object_id)
		object_id = group.max_object_id;
	state_row_put(batch, 'c', stamp);
	if (group.max_serial > saved_serial)
	{
		saved_serial = group.max_serial + RESERVE;
		state_row_put(batch, 's', saved_serial);
	}
	if (group.max_row_id > saved_row_id)
	{
		saved_row_id = group.max_row_id + RESERVE;
		state_row_put(batch, 'r', saved_row_id);
	}
	if (object_id > saved_object_id)
	{
		saved_object_id = object_id;
		state_row_put(batch, 'o', saved_object_id);
	}
}

static void
acknowledge(void)
{
	for (uint32_t i = 0; i < group.nmembers; i++)
		chan_finish(group.members[i], NULL);
}

/* The write itself; a stamp is used once. */
static void
write_batch(uint64_t stamp)
{
	EngineError err;

	add_state_rows(stamp);
	if (!engine_write(storage.engine, change_set_batch(group.set), group.sync, &err))
		die(&err);
}

static void
group_write(void)
{
	EngineBatch *batch = change_set_batch(group.set);
	uint64_t	stamp;

	if (engine_batch_count(batch) == 0 && !group.sync)
	{
		uint64_t	pub = atomic_load(&storage.seg->pub);

		for (uint32_t i = 0; i < group.nmembers; i++)
			atomic_store(&group.members[i]->shared->result.commit_stamp, pub);
		acknowledge();
		change_set_finish(group.set);
		return;
	}
	stamp = ++last_stamp;
	for (uint32_t i = 0; i < group.nmembers; i++)
		if (atomic_load(&group.members[i]->shared->result.commit_stamp) == 0)
			atomic_store(&group.members[i]->shared->result.commit_stamp, stamp);
	write_batch(stamp);
	change_set_stamp(group.set, stamp);
	change_set_install(group.set);
	stamps_publish(stamp);
	for (uint32_t i = 0; i < group.nadded; i++)
		pending_add(group.added[i]);
	for (uint32_t i = 0; i < group.nremoved; i++)
		pending_remove(group.removed[i]);
	acknowledge();
	change_set_finish(group.set);
}

/* RECOVERING to READY: snapshots from before are not to be used. */
static void
serve_everybody(Chan *c)
{
	if (atomic_load(&storage.seg->state) == KALAM_STORAGE_RECOVERING)
	{
		EngineError err;

		if (!publish_bare(&err))
			die(&err);
		atomic_store(&storage.seg->floor, last_stamp);
		atomic_store(&storage.seg->state, KALAM_STORAGE_READY);
		log_info("ready, at stamp %llu", (unsigned long long) last_stamp);
	}
	chan_finish(c, NULL);
}

/* The store names the load's files from now on. */
static void
bulk_keep(Chan *c)
{
	bulk_close(c->load, true);
	c->load = NULL;
}

/* The value of a pending entry for a load: a header and its stream. */
static uint8_t *
load_value(const Chan *c, size_t *len)
{
	uint64_t	header = c->shared->req.serial << 8 | KALAM_VALUE_FORMAT;
	const uint8_t *stream = bulk_stream(c->load, len);
	uint8_t    *value = malloc(*len + KALAM_VALUE_HEADER_BYTES);

	if (value == NULL)
		abort();
	memcpy(value, &header, KALAM_VALUE_HEADER_BYTES);
	memcpy(value + KALAM_VALUE_HEADER_BYTES, stream, *len);
	*len += KALAM_VALUE_HEADER_BYTES;
	return value;
}

/* Takes in a load that is committed: its entry is in pending, synced. */
static void
apply_load(const uint8_t *key, ChangeSet *set, EngineError *err)
{
	change_set_begin(set, true);
	if (!feed_pending(key, change_set_add, set, err) || !change_set_end(set, err) ||
		!change_set_ingest(set, err))
		die(err);
	engine_batch_delete(change_set_batch(set), objects_pending(), key, PENDING_KEY_BYTES);
	group_write();
}

/*
 * A load without an xid: its pending entry is its commit, what follows can be
 * done again by a successor.
 */
static void
write_load(Chan *c, ChangeSet *set)
{
	uint8_t		key[PENDING_KEY_BYTES];
	size_t		len;
	uint8_t    *value = load_value(c, &len);
	EngineError err;
	uint64_t	stamp;

	group_begin(set);
	if (!space_left(true, &err))
	{
		free(value);
		chan_finish(c, &err);
		return;
	}
	group.sync = true;
	group.max_serial = c->shared->req.serial;
	group.max_row_id = c->shared->req.max_row_id;
	group.max_object_id = bulk_max_object_id(c->load);
	stamp = last_stamp + 1;
	pending_key(PENDING_LOAD | stamp, key);
	engine_batch_put(change_set_batch(set), objects_pending(), key, sizeof(key), value, len);
	free(value);
	atomic_store(&c->shared->result.commit_stamp, stamp);
	group.members[group.nmembers++] = c;
	bulk_keep(c);
	write_batch(++last_stamp);
	change_set_finish(set);

	group.sync = false;
	apply_load(key, set, &err);
}

/* A request that a read thread took in. */
static void
write_large(Chan *c, ChangeSet *own)
{
	ChangeSet  *set = c->set != NULL ? c->set : own;
	EngineError err;

	if (c->load != NULL && c->op == KALAM_OP_COMMIT)
	{
		write_load(c, own);
		return;
	}
	c->set = NULL;
	group_begin(set);
	if (c->load != NULL)
	{
		ChangeCheck check = {.max_object_id = bulk_max_object_id(c->load), .needs_space = true};
		size_t		len;
		uint8_t    *value = load_value(c, &len);

		put_pending(c, &check, value, len);
		if (group.nmembers > 0)
			bulk_keep(c);
		free(value);
	}
	else if (c->op == KALAM_OP_PREPARE)
		put_pending(c, &c->check, c->bytes, c->bytes_len);
	else if (space_left(change_set_needs_space(set), &err))
		join(c);
	else
		chan_finish(c, &err);
	if (group.nmembers > 0)
		group_write();
	if (set != own)
		change_set_destroy(set);
}

static void *
run(void *arg)
{
	LaneWaiter	waiter = {0};
	uint32_t	cursor = 0;
	ChangeSet  *set = change_set_create();
	bool		snapshots_left = false;

	(void) arg;
	while (!atomic_load_explicit(&storage.stopping, memory_order_relaxed))
	{
		uint32_t	index;
		bool		any = false;

		if (!lane_has_work(KALAM_LANE_COMMIT))
		{
			lane_wait(KALAM_LANE_COMMIT, &waiter, snapshots_left ? TRIM_US : SLEEP_US);
			if (!lane_has_work(KALAM_LANE_COMMIT))
			{
				if (snapshots_left)
					snapshots_left = stamps_trim();
				continue;
			}
		}
		group_begin(set);
		while (group.nmembers < GROUP_MEMBERS && nlarge < GROUP_MEMBERS &&
			   engine_batch_bytes(change_set_batch(set)) < GROUP_BYTES &&
			   kalam_lane_take(storage.seg, KALAM_LANE_COMMIT, &cursor, &index))
		{
			Chan	   *c = chan_get(index);

			any = true;
			if (c != NULL)
				take(c);
		}
		if (!any)
			continue;
		if (group.nmembers > 0)
			group_write();
		if (group.serve != NULL)
			serve_everybody(group.serve);
		for (uint32_t i = 0; i < nlarge; i++)
			write_large(large[i], set);
		nlarge = 0;
		snapshots_left = true;
	}
	change_set_destroy(set);
	return NULL;
}

/* ---- start ---- */

static void
raise_counter(_Atomic uint64_t *counter, uint64_t least)
{
	uint64_t	now = atomic_load(counter);

	while (now < least && !atomic_compare_exchange_weak(counter, &now, least))
		;
}

static void
raise_object_id(uint32_t least)
{
	uint32_t	now = atomic_load(&storage.seg->next_object_id);

	while (now < least && !atomic_compare_exchange_weak(&storage.seg->next_object_id, &now, least))
		;
}

/* Loads that were committed and not wholly taken in. */
static void
finish_loads(void)
{
	ChangeSet  *set = change_set_create();
	uint8_t		key[PENDING_KEY_BYTES];
	EngineError err;

	while (pending_next_load(key))
	{
		log_info("takes in a load that was committed before");
		group_begin(set);
		apply_load(key, set, &err);
	}
	change_set_destroy(set);
	pending_sweep();
}

bool
committer_recover(EngineError *err)
{
	KalamSegment *seg = storage.seg;
	uint64_t	recovered,
				pub = atomic_load(&seg->pub);
	uint32_t	pending_max;

	if (!state_row_read('c', &recovered, err) || !state_row_read('s', &saved_serial, err) ||
		!state_row_read('r', &saved_row_id, err) || !state_row_read('o', &saved_object_id, err) ||
		!pending_open(&pending_max, err))
		return false;
	raise_counter(&seg->next_serial, saved_serial + 1);
	raise_counter(&seg->next_row_id, saved_row_id + 1);
	raise_object_id(KALAM_OBJECT_FIRST_USER);
	raise_object_id((uint32_t) saved_object_id + 1);
	raise_object_id(objects_max_id() + 1);
	raise_object_id(pending_max + 1);
	if (recovered < pub)
		log_warning("the store ends at stamp %llu, but %llu was published: commits were lost",
					(unsigned long long) recovered, (unsigned long long) pub);

	/* stamps never go back while this segment lives */
	last_stamp = recovered > pub ? recovered : pub;
	atomic_store(&seg->recovered, recovered);
	atomic_store(&seg->floor, last_stamp + 1);
	if (!publish_bare(err))
		return false;
	finish_loads();
	return true;
}

bool
committer_open(void)
{
	return pthread_create(&thread, NULL, run, NULL) == 0;
}

void
committer_close(void)
{
	kalam_lane_wake_all(storage.seg, KALAM_LANE_COMMIT);
	pthread_join(thread, NULL);
	pending_close();
}
