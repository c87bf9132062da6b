/*
 * group.c
 *	  One write for several transactions, and its publication.
 *
 * Whoever holds the group alone writes to the store, to pub and to the words of
 * truth.h.  The order is
 *
 *	 a. each member learns its stamp      e. publish the stamp
 *	 b. write to the store                f. tell who watches the objects
 *	 c. raise the words of what changed   g. acknowledge
 *	 d. take a snapshot
 *
 * which is what lets caches and pins be checked without a lock, and loads see what
 * comes behind their look-ups (load_watch.c).  A stamp is
 * used for one write only, also if that fails.
 */
#include "src/storage/group.h"

#include <stdlib.h>

#include "src/storage/log.h"
#include "src/storage/pending.h"
#include "src/storage/stamps.h"
#include "src/storage/state_file.h"
#include "src/storage/stop_point.h"
#include "src/storage/store_dir.h"

#define GROUP_BYTES (1 << 20)
#define GROUP_MEMBERS 256

/* serials and row ids are put on disk so far ahead */
#define RESERVE 65536

static struct
{
	ChangeSet  *set;
	bool		sync;
	bool		stored;			/* committed by group_store already */
	bool		space_known;	/* that there is some */
	uint64_t	max_serial;
	uint64_t	max_row_id;
	uint32_t	max_object_id;
	uint32_t	nmembers;
	uint32_t	nadded;
	uint32_t	nremoved;
	Chan	   *members[GROUP_MEMBERS];
	uint64_t	added[GROUP_MEMBERS];	/* xids that become pending */
	uint64_t	removed[GROUP_MEMBERS]; /* and that are resolved */
}			group;

static uint64_t last_stamp;		/* the last one used for a write */
static uint64_t saved_serial;	/* what the state rows say */
static uint64_t saved_row_id;
static uint64_t saved_object_id;

/* ---- members ---- */

void
group_begin(ChangeSet *set)
{
	group.set = set;
	group.sync = group.stored = false;
	group.max_serial = group.max_row_id = 0;
	group.max_object_id = 0;
	group.nmembers = group.nadded = group.nremoved = 0;
	group.space_known = false;
}

void
group_join(Chan *c)
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

uint32_t
group_size(void)
{
	return group.nmembers;
}

bool
group_has_room(void)
{
	return group.nmembers < GROUP_MEMBERS &&
		engine_batch_bytes(change_set_batch(group.set)) < GROUP_BYTES;
}

void
group_add_pending(uint64_t full_xid)
{
	group.added[group.nadded++] = full_xid;
}

void
group_remove_pending(uint64_t full_xid)
{
	group.removed[group.nremoved++] = full_xid;
}

bool
group_removes_pending(uint64_t full_xid)
{
	for (uint32_t i = 0; i < group.nremoved; i++)
		if (group.removed[i] == full_xid)
			return true;
	return false;
}

void
group_note_object_id(uint32_t id)
{
	if (id > group.max_object_id)
		group.max_object_id = id;
}

void
group_sync(void)
{
	group.sync = true;
}

bool
group_space_left(uint64_t bytes, EngineError *err)
{
	if (group.space_known && bytes == 0)
		return true;
	group.space_known = store_dir_has_room(bytes, err);
	return group.space_known;
}

/* ---- writing ---- */

void
group_die(const EngineError *err)
{
	storage_die(err);
}

/*
 * After a failed write RocksDB takes no more.  Members are told only if the
 * write left nothing that a successor could find; else they learn from its
 * `recovered` what became of theirs.
 */
static void
write_failed(const EngineError *err)
{
	if (!group.stored && engine_write_left_nothing(err))
		for (uint32_t i = 0; i < group.nmembers; i++)
			chan_finish(group.members[i], err);
	group_die(err);
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
tell_stamp(uint64_t stamp)
{
	for (uint32_t i = 0; i < group.nmembers; i++)
		if (atomic_load(&group.members[i]->shared->result.commit_stamp) == 0)
			atomic_store(&group.members[i]->shared->result.commit_stamp, stamp);
}

/*
 * Steps a and b.  entry: it makes an entry in pending.  Files that a batch
 * takes in are removed after it, so it must be on disk then.
 */
static void
write_batch(bool entry)
{
	EngineError err;
	bool		sync = group.sync || change_set_has_files(group.set);

	tell_stamp(++last_stamp);
	STOP_POINT("before_write");
	if (entry)
		STOP_POINT("before_entry");
	add_state_rows(last_stamp);
	if (!engine_write(storage.engine, change_set_batch(group.set), sync, &err))
		write_failed(&err);
	if (sync)
		state_file_note(last_stamp);
	if (entry)
		STOP_POINT("after_entry");
	STOP_POINT("after_write");
}

void
group_store(void)
{
	write_batch(true);
	group.sync = false;
	group.stored = true;
	change_set_finish(group.set);
}

static void
acknowledge(void)
{
	for (uint32_t i = 0; i < group.nmembers; i++)
		chan_finish(group.members[i], NULL);
	change_set_finish(group.set);
}

void
group_write(void)
{
	if (engine_batch_count(change_set_batch(group.set)) == 0 && !group.sync)
	{
		tell_stamp(atomic_load(&storage.seg->pub));
		acknowledge();
		return;
	}
	write_batch(group.nadded > 0);
	if (change_set_has_files(group.set))
		STOP_POINT("after_batch");
	change_set_stamp(group.set, last_stamp);
	change_set_install(group.set);
	STOP_POINT("before_publish");
	stamps_publish(last_stamp);
	change_set_tell(group.set);
	STOP_POINT("after_publish");
	for (uint32_t i = 0; i < group.nadded; i++)
		pending_add(group.added[i]);
	for (uint32_t i = 0; i < group.nremoved; i++)
		pending_remove(group.removed[i]);
	acknowledge();
}

/*
 * It is written all the same: what was published and is not found at the next
 * start was lost.
 */
bool
group_publish_bare(uint64_t *stamp, EngineError *err)
{
	EngineBatch *batch = engine_batch_create();
	bool		good;

	state_row_put(batch, 'c', ++last_stamp);
	good = engine_write(storage.engine, batch, false, err);
	engine_batch_destroy(batch);
	if (good)
		stamps_publish(last_stamp);
	*stamp = last_stamp;
	return good;
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

/*
 * Requests whose stamp the store does not hold are lost for ever: their stamp
 * is given to another write now, and who asks late must not take that for its
 * own.  A request that is new meanwhile has stamp 0, which is left alone.
 */
static void
mark_lost(uint64_t recovered)
{
	for (uint32_t i = 0; i < storage.nchannels; i++)
	{
		_Atomic uint64_t *stamp = &kalam_channel(storage.seg, i)->result.commit_stamp;
		uint64_t	now = atomic_load(stamp);

		if (now > recovered)
			atomic_compare_exchange_strong(stamp, &now, UINT64_MAX);
	}
}

bool
group_recover(EngineError *err)
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
	mark_lost(recovered);
	atomic_store(&seg->recovered, recovered);

	/* a predecessor may have died between its write and the keys' buckets */
	raise_counter(&seg->all_stamp, last_stamp + 1);
	raise_counter(&seg->floor, last_stamp + 1);
	return group_publish_bare(&pub, err);
}
