/*
 * committer.c
 *	  The commit thread: merges what waits into one write.
 *
 * A group (group.c) is everything posted on the COMMIT lane up to about a
 * megabyte; a request whose changes a read thread took in is a group of its
 * own, and one that came as sorted files goes through load.c.  What can be said
 * of a request without the store's answer is said here: a refused one leaves
 * the others of its group alone.
 */
#include "src/storage/committer.h"

#include <pthread.h>
#include <string.h>

#include "src/storage/channels.h"
#include "src/storage/group.h"
#include "src/storage/lanes.h"
#include "src/storage/load.h"
#include "src/storage/log.h"
#include "src/storage/pending.h"
#include "src/storage/stamps.h"
#include "src/storage/store_dir.h"

#define SLEEP_US 500000
#define TRIM_US 50000
#define LARGE_MEMBERS 256

static pthread_t thread;
static ChangeSet *set;			/* of groups; empty between them */
static Chan *large[LARGE_MEMBERS];	/* to be written after the group */
static uint32_t nlarge;
static Chan *serve;				/* the supervisor's SERVE, likewise */

/* ---- collecting a group ---- */

static void
refuse(Chan *c, const EngineError *err)
{
	change_set_undo(set);
	chan_finish(c, err);
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
		chan_fail(c, KALAM_ERR_PROTOCOL, "malformed change stream");
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
	change_set_begin(set, false);
	good = change_stream_feed(&stream, data, len, change_set_add, set, &err) &&
		change_stream_end(&stream, &err) &&
		(!change_set_needs_space(set) || group_space_left(0, &err)) && change_set_end(set, &err);
	change_stream_free(&stream);
	if (good)
		group_join(c);
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

	if (check->needs_space && !group_space_left(0, &err))
	{
		chan_finish(c, &err);
		return;
	}
	pending_key(xid, key);
	engine_batch_put(change_set_batch(set), objects_pending(), key, sizeof(key), value, len);
	group_note_object_id(check->max_object_id);
	group_add_pending(xid);
	group_join(c);
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

static void
take_resolve(Chan *c)
{
	uint64_t	xid = c->shared->req.full_xid;
	uint8_t		key[PENDING_KEY_BYTES];
	EngineError err;
	bool		apply = (c->shared->req.flags & KALAM_RESOLVE_APPLY) != 0;

	if (!pending_has(xid) || group_removes_pending(xid))
	{
		group_join(c);				/* resolved before, or by this group */
		return;
	}
	change_set_begin(set, true);
	if (!pending_feed(xid, apply ? change_set_add : change_set_forget_file, set, &err) ||
		!change_set_end(set, &err))
	{
		refuse(c, &err);
		return;
	}
	/* half taken in is not to be seen: a successor takes it in again, whole */
	if (!change_set_ingest(set, &err))
		group_die(&err);
	pending_key(xid, key);
	engine_batch_delete(change_set_batch(set), objects_pending(), key, sizeof(key));
	group_remove_pending(xid);
	group_join(c);
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
		chan_fail(c, KALAM_ERR_NOT_READY, "the storage process is not ready yet");
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
			if (!chan_is_supervisor(c) || serve != NULL)
				chan_fail(c, KALAM_ERR_PROTOCOL, "not the supervisor");
			else
				serve = c;
			break;
		default:
			chan_fail(c, KALAM_ERR_PROTOCOL, "not an operation of the commit thread");
			break;
	}
}

/* ---- writing it ---- */

/* RECOVERING to READY: snapshots from before are not to be used. */
static void
serve_everybody(Chan *c)
{
	if (atomic_load(&storage.seg->state) == KALAM_STORAGE_RECOVERING)
	{
		uint64_t	stamp;
		EngineError err;

		if (!group_publish_bare(&stamp, &err))
			group_die(&err);
		store_dir_accept_end();
		atomic_store(&storage.seg->floor, stamp);
		atomic_store(&storage.seg->state, KALAM_STORAGE_READY);
		log_info("ready, at stamp %llu", (unsigned long long) stamp);
	}
	chan_finish(c, NULL);
}

/* A batch that a read thread built. */
static void
commit_set(Chan *c)
{
	ChangeSet  *own = c->set;
	EngineError err;

	c->set = NULL;
	group_begin(own);
	if (!change_set_needs_space(own) || group_space_left(0, &err))
	{
		group_join(c);
		group_write();
	}
	else
		chan_finish(c, &err);
	change_set_destroy(own);
}

/* A stream that a read thread checked. */
static void
prepare_bytes(Chan *c)
{
	group_begin(set);
	put_pending(c, &c->check, c->bytes, c->bytes_len);
	if (group_size() > 0)
		group_write();
}

static void
write_large(Chan *c)
{
	if (c->load != NULL && c->op == KALAM_OP_COMMIT)
		load_commit(c, set);
	else if (c->load != NULL)
		load_prepare(c, set);
	else if (c->op == KALAM_OP_COMMIT)
		commit_set(c);
	else
		prepare_bytes(c);
}

/* Everything that is posted, up to a group's size.  False if it was nothing. */
static bool
collect(uint32_t *cursor)
{
	uint32_t	index;
	bool		any = false;

	group_begin(set);
	while (group_has_room() && nlarge < LARGE_MEMBERS &&
		   kalam_lane_take(storage.seg, KALAM_LANE_COMMIT, cursor, &index))
	{
		Chan	   *c = chan_get(index);

		any = true;
		if (c != NULL)
			take(c);
	}
	return any;
}

static void *
run(void *arg)
{
	LaneWaiter	waiter = {0};
	uint32_t	cursor = 0;
	bool		snapshots_left = false;

	(void) arg;
	while (!atomic_load_explicit(&storage.stopping, memory_order_relaxed))
	{
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
		if (!collect(&cursor))
			continue;
		if (group_size() > 0)
			group_write();
		if (serve != NULL)
			serve_everybody(serve);
		serve = NULL;
		for (uint32_t i = 0; i < nlarge; i++)
			write_large(large[i]);
		nlarge = 0;
		snapshots_left = true;
	}
	return NULL;
}

/* ---- start and end ---- */

bool
committer_recover(EngineError *err)
{
	return group_recover(err) && loads_recover(err);
}

bool
committer_open(void)
{
	set = change_set_create();
	return pthread_create(&thread, NULL, run, NULL) == 0;
}

void
committer_close(void)
{
	kalam_lane_wake_all(storage.seg, KALAM_LANE_COMMIT);
	pthread_join(thread, NULL);
	change_set_destroy(set);
	pending_close();
}
