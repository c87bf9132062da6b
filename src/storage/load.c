/*
 * load.c
 *	  Large transactions: commit, preparation, and completion after a crash.
 *
 * A load's entry in pending names its files and has what else it did.  For a
 * prepared one that entry waits for RESOLVE.  One without an xid is committed
 * by its entry, which has a key of its own kind: what follows (the files are
 * taken in, family by family, then one batch with the rest and the removal of
 * the entry, then the files go) is done again from the beginning if the process
 * dies in between, before anybody sees anything of it.  One that has no files is
 * a batch like any other.
 */
#include "src/storage/load.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/group.h"
#include "src/storage/log.h"
#include "src/storage/pending.h"
#include "src/storage/store_dir.h"

/* The store names the load's files from now on. */
static void
keep_files(Chan *c)
{
	bulk_close(c->load, true);
	c->load = NULL;
}

/* Puts the entry, a header and the load's stream, into the set's batch. */
static void
put_entry(Chan *c, ChangeSet *set, uint64_t full_xid)
{
	uint64_t	header = c->shared->req.serial << 8 | KALAM_VALUE_FORMAT;
	uint8_t		key[PENDING_KEY_BYTES];
	size_t		len;
	const uint8_t *stream = bulk_stream(c->load, &len);
	uint8_t    *value = malloc(KALAM_VALUE_HEADER_BYTES + len);

	if (value == NULL)
		abort();
	memcpy(value, &header, KALAM_VALUE_HEADER_BYTES);
	if (len > 0)
		memcpy(value + KALAM_VALUE_HEADER_BYTES, stream, len);
	pending_key(full_xid, key);
	engine_batch_put(change_set_batch(set), objects_pending(), key, sizeof(key), value,
					 KALAM_VALUE_HEADER_BYTES + len);
	free(value);
	group_note_object_id(bulk_max_object_id(c->load));
}

/* The group becomes the completion of the load. */
static bool
complete(uint64_t full_xid, ChangeSet *set, EngineError *err)
{
	uint8_t		key[PENDING_KEY_BYTES];

	pending_key(full_xid, key);
	change_set_begin(set, true);
	if (!pending_feed(full_xid, change_set_add, set, err) || !change_set_end(set, err) ||
		!change_set_ingest(set, err))
		return false;
	engine_batch_delete(change_set_batch(set), objects_pending(), key, sizeof(key));
	group_write();
	return true;
}

/*
 * The group becomes the one that makes the load's entry.  False if there is no
 * room, or keys of it were committed meanwhile: then the request is answered.
 * (Where files cannot be linked they are copied when they are taken in, so there
 * must be room once more.)
 */
static bool
begin_entry(Chan *c, ChangeSet *set, uint64_t full_xid)
{
	EngineError err;

	group_begin(set);
	/* once more: no commit comes in between now */
	if (!chan_check_load(c, &err) ||
		!group_space_left(store_dir_can_link() ? 0 : bulk_bytes(c->load), &err))
	{
		chan_finish(c, &err);
		return false;
	}
	put_entry(c, set, full_xid);
	group_join(c);
	keep_files(c);
	return true;
}

/* The group becomes the load, all of which is in its stream. */
static bool
take_stream(Chan *c, ChangeSet *set, EngineError *err)
{
	ChangeStream stream = {0};
	size_t		len;
	const uint8_t *data = bulk_stream(c->load, &len);
	bool		good;

	group_begin(set);
	change_set_begin(set, false);
	good = chan_check_load(c, err) &&
		change_stream_feed(&stream, data, len, change_set_add, set, err) &&
		(!change_set_needs_space(set) || group_space_left(0, err)) && change_set_end(set, err);
	change_stream_free(&stream);
	if (!good)
		change_set_undo(set);
	return good;
}

static void
commit_stream(Chan *c, ChangeSet *set)
{
	EngineError err;

	if (!take_stream(c, set, &err))
	{
		chan_finish(c, &err);
		return;
	}
	keep_files(c);
	group_join(c);
	group_write();
}

void
load_commit(Chan *c, ChangeSet *set)
{
	/* one at a time is under way: any number will do */
	uint64_t	full_xid = PENDING_LOAD | atomic_load(&storage.seg->pub);
	EngineError err;

	if (!bulk_has_files(c->load))
	{
		commit_stream(c, set);
		return;
	}
	if (!begin_entry(c, set, full_xid))
		return;
	group_sync();
	group_store();
	if (!complete(full_xid, set, &err))
		group_die(&err);
}

void
load_prepare(Chan *c, ChangeSet *set)
{
	uint64_t	full_xid = c->shared->req.full_xid;

	if (!begin_entry(c, set, full_xid))
		return;
	group_add_pending(full_xid);
	group_write();
}

bool
loads_recover(EngineError *err)
{
	ChangeSet  *set = change_set_create();
	uint64_t	full_xid;
	bool		good = true;

	while (good && pending_next_load(&full_xid))
	{
		log_info("takes in a load that was committed before");
		group_begin(set);
		good = complete(full_xid, set, err);
	}
	change_set_destroy(set);
	if (good)
		pending_sweep();
	return good;
}
