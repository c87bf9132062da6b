/*
 * change_set.c
 *	  From changes to one write batch, with the creations, removals and stamps
 *	  that belong to it.
 *
 * Creation comes first and removal last, wherever they stand in a stream: the
 * first change to an object that does not exist yet makes the rest of the
 * transaction wait as bytes until its end.  Families are made at once, before
 * the write, and are abandoned if the transaction fails; the record in the
 * catalog is in the batch.  A set belongs to one thread at a time (a read
 * thread that builds a large commit, then the commit thread); it takes no lock
 * of its own.
 */
#include "src/storage/change_set.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/storage/bulk.h"
#include "src/storage/load_watch.h"
#include "src/storage/reclaim.h"
#include "src/storage/stop_point.h"
#include "src/storage/store_dir.h"
#include "src/storage/storage.h"

/* a transaction of deletes only is let through on a full disk up to this */
#define SMALL_BYTES (64 * 1024)

/* RocksDB takes no batch of 4 GB */
#define MAX_BATCH_BYTES (UINT64_C(3) << 30)

typedef struct Marks
{
	uint32_t	ncreated;
	uint32_t	ndropped;
	uint32_t	ndropped_indexes;
} Marks;

typedef struct DroppedIndex
{
	uint32_t	object_id;
	uint16_t	index;
} DroppedIndex;

/* Files of one family are ingested by one call. */
typedef struct Ingest
{
	uint32_t	object_id;		/* KALAM_OBJECT_NONE: it is only to be removed */
	char	   *path;
} Ingest;

struct ChangeSet
{
	EngineBatch *batch;
	Object	   *last;			/* held: object of the last change */
	Object	  **created;		/* not installed yet */
	uint32_t   *dropped;
	DroppedIndex *dropped_indexes;
	Object	  **doomed;			/* out of sight, to be destroyed */
	uint32_t	ndoomed;
	Ingest	   *ingests;		/* sorted files that come with the changes */
	uint32_t	ningests;
	uint32_t	ningested;		/* of them in the store already */
	uint32_t	max_object_id;
	Marks		now;
	KeyNotes	keys;			/* that are written */

	/* the current transaction */
	Marks		before;
	KeyNotesMark keys_before;
	uint32_t	ningests_before;
	bool		lenient;
	bool		writes;
	uint64_t	bytes;
	uint8_t    *deferred;
	size_t		deferred_len;
	size_t		deferred_capacity;
};

ChangeSet *
change_set_create(void)
{
	ChangeSet  *s = calloc(1, sizeof(ChangeSet));

	s->batch = engine_batch_create();
	return s;
}

static void
forget_last(ChangeSet *s)
{
	if (s->last != NULL)
		object_put(s->last);
	s->last = NULL;
}

static void
abandon_created(ChangeSet *s, uint32_t from)
{
	forget_last(s);
	for (uint32_t i = from; i < s->now.ncreated; i++)
		objects_abandon(s->created[i]);
	s->now.ncreated = from;
}

static void
forget_ingests(ChangeSet *s, uint32_t from)
{
	while (s->ningests > from)
		free(s->ingests[--s->ningests].path);
	if (s->ningested > from)
		s->ningested = from;
}

void
change_set_destroy(ChangeSet *s)
{
	abandon_created(s, 0);
	engine_batch_destroy(s->batch);
	free(s->created);
	free(s->dropped);
	free(s->dropped_indexes);
	free(s->doomed);
	free(s->deferred);
	forget_ingests(s, 0);
	free(s->ingests);
	key_notes_free(&s->keys);
	free(s);
}

/* ---- one transaction ---- */

void
change_set_begin(ChangeSet *s, bool lenient)
{
	s->before = s->now;
	s->keys_before = key_notes_mark(&s->keys);
	s->ningests_before = s->ningests;
	s->lenient = lenient;
	s->writes = false;
	s->bytes = 0;
	s->deferred_len = 0;
	engine_batch_mark(s->batch);
}

void
change_set_undo(ChangeSet *s)
{
	engine_batch_rollback(s->batch);
	forget_ingests(s, s->ningests_before);
	abandon_created(s, s->before.ncreated);
	s->now = s->before;
	key_notes_undo(&s->keys, &s->keys_before);
	s->deferred_len = 0;
}

static Object *
find_created(ChangeSet *s, uint32_t id)
{
	for (uint32_t i = s->now.ncreated; i-- > 0;)
		if (object_id(s->created[i]) == id)
			return s->created[i];
	return NULL;
}

/* The object of a key: one of this set or a committed one.  Not held. */
static Object *
find_object(ChangeSet *s, uint32_t id)
{
	Object	   *o;

	if (s->last != NULL && object_id(s->last) == id)
		return s->last;
	o = find_created(s, id);
	if (o != NULL)
		return o;
	o = objects_get(id);
	if (o == NULL)
		return NULL;
	forget_last(s);
	s->last = o;
	return o;
}

static bool
create_object(ChangeSet *s, const Change *c, EngineError *err)
{
	uint32_t	id = kalam_get_be32(c->key);
	uint8_t		key[OBJECT_RECORD_KEY_BYTES];
	uint8_t		value[OBJECT_RECORD_VALUE_BYTES];
	KalamObjectOptions options;
	Object	   *o;

	memcpy(&options, c->value, sizeof(options));
	if (!objects_check_new(id, options, err))
		return false;
	if (find_object(s, id) != NULL)
	{
		if (s->lenient)
			return true;
		engine_error(err, KALAM_ERR_PROTOCOL, "object %u exists already", id);
		return false;
	}
	o = objects_create(id, options, err);
	if (o == NULL)
		return false;
	STOP_POINT("after_create");
	s->created = realloc(s->created, (s->now.ncreated + 1) * sizeof(Object *));
	s->created[s->now.ncreated++] = o;
	if (id > s->max_object_id)
		s->max_object_id = id;
	object_record_key(id, key);
	object_record_value(o, value);
	engine_batch_put(s->batch, objects_catalog(), key, sizeof(key), value, sizeof(value));
	key_notes_add(&s->keys, key, sizeof(key));
	return true;
}

/* May a backend write this key and value? */
bool
change_is_allowed(const Change *c, EngineError *err)
{
	uint32_t	id = kalam_get_be32(c->key);

	if (c->op == KALAM_CHANGE_DROP_INDEX && id < KALAM_OBJECT_FIRST_USER)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "object %u has no indexes", id);
		return false;
	}
	if (id == KALAM_OBJECT_PENDING ||
		(id == KALAM_OBJECT_CATALOG &&
		 (c->key_len <= KALAM_KEY_PREFIX_BYTES ||
		  c->key[KALAM_KEY_PREFIX_BYTES] == KALAM_CATALOG_OBJECT ||
		  c->key[KALAM_KEY_PREFIX_BYTES] == KALAM_CATALOG_STATE)))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a key of object %u is not the caller's to write", id);
		return false;
	}
	if (c->op == KALAM_CHANGE_PUT && c->value[0] != KALAM_VALUE_FORMAT)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a value of object %u has unknown format %u", id,
					 c->value[0]);
		return false;
	}
	return true;
}

/*
 * All entries of one index, those before it in the same stream included; files
 * that come with the stream are taken in before the batch is written.
 */
static void
delete_index(ChangeSet *s, const Object *o, const Change *c)
{
	DroppedIndex dropped = {kalam_get_be32(c->key), (uint16_t) (c->value[0] << 8 | c->value[1])};
	IndexRange	r = index_range(dropped.object_id, dropped.index);

	engine_batch_delete_range(s->batch, object_family(o), r.lower, sizeof(r.lower),
							  r.upper, sizeof(r.upper));
	s->dropped_indexes = realloc(s->dropped_indexes,
								 (s->now.ndropped_indexes + 1) * sizeof(DroppedIndex));
	s->dropped_indexes[s->now.ndropped_indexes++] = dropped;
	key_notes_touch(&s->keys, dropped.object_id);	/* nobody rechecks an entry of it */
}

/*
 * Puts a change of rows or index entries into the batch.  *known is false if its
 * object is not.
 */
static bool
write_row(ChangeSet *s, const Change *c, bool *known, EngineError *err)
{
	uint32_t	id = kalam_get_be32(c->key);
	Object	   *o;

	*known = true;
	if (!change_is_allowed(c, err))
		return false;
	o = find_object(s, id);
	if (o == NULL)
	{
		*known = false;
		return true;
	}
	if (c->op == KALAM_CHANGE_DROP_INDEX)
	{
		delete_index(s, o, c);
		return true;
	}
	if (c->op == KALAM_CHANGE_PUT)
		engine_batch_put(s->batch, object_family(o), c->key, c->key_len, c->value, c->value_len);
	else
		engine_batch_delete(s->batch, object_family(o), c->key, c->key_len);
	key_notes_add(&s->keys, c->key, c->key_len);
	return true;
}

static void
defer(ChangeSet *s, const Change *c)
{
	size_t		size = (size_t) KALAM_CHANGE_HEADER_BYTES + c->key_len + c->value_len;
	KalamChange h = {c->op, 0, c->key_len, c->value_len};

	if (s->deferred_len + size > s->deferred_capacity)
	{
		s->deferred_capacity = 2 * (s->deferred_len + size);
		s->deferred = realloc(s->deferred, s->deferred_capacity);
		if (s->deferred == NULL)
			abort();
	}
	memcpy(s->deferred + s->deferred_len, &h, sizeof(h));
	memcpy(s->deferred + s->deferred_len + sizeof(h), c->key, size - sizeof(h));
	s->deferred_len += size;
}

/* A file of an entry of pending; backends cannot name one. */
static bool
note_ingest(ChangeSet *s, const Change *c, EngineError *err)
{
	char		path[KALAM_PATH_BYTES + 64];

	if (!s->lenient || !bulk_file_path(c->value, c->value_len, path, sizeof(path)))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "not an operation of a backend");
		return false;
	}
	s->ingests = realloc(s->ingests, (s->ningests + 1) * sizeof(Ingest));
	s->ingests[s->ningests].object_id = kalam_get_be32(c->key);
	s->ingests[s->ningests].path = strdup(path);
	s->ningests++;
	return true;
}

bool
change_set_forget_file(void *set, const Change *c, EngineError *err)
{
	ChangeSet  *s = set;

	if (c->op != KALAM_CHANGE_INGEST)
		return true;
	if (!note_ingest(s, c, err))
		return false;
	s->ingests[s->ningests - 1].object_id = KALAM_OBJECT_NONE;
	return true;
}

bool
change_set_has_files(const ChangeSet *s)
{
	return s->ningests > 0;
}

/* A file with where it goes. */
typedef struct Intake
{
	EngineFamily *family;
	uint32_t	order;
	const char *path;
} Intake;

static int
compare_intakes(const void *a, const void *b)
{
	const Intake *x = a;
	const Intake *y = b;

	if (x->family != y->family)
		return (uintptr_t) x->family < (uintptr_t) y->family ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/*
 * Takes in files of one family.  One that is missing or damaged is left out
 * only if the operator says so.
 */
static bool
ingest_files(const Intake *files, uint32_t n, EngineError *err)
{
	const char **paths = malloc(n * sizeof(char *));
	EngineError cause;
	bool		good;

	for (uint32_t i = 0; i < n; i++)
		paths[i] = files[i].path;
	good = engine_ingest(storage.engine, files[0].family, paths, n, &cause);
	free(paths);
	if (good)
		return true;
	if (cause.code != KALAM_ERR_CORRUPT && strstr(cause.message, "No such file") == NULL)
	{
		*err = cause;
		return false;
	}
	if (n == 1)
		return store_dir_accept(err, "a file of a large transaction that was committed is lost: %.200s",
								cause.message);
	for (uint32_t i = 0; i < n; i++)
		if (!ingest_files(files + i, 1, err))
			return false;
	return true;
}

/* Those whose object was not dropped since, by families; of one in the order of the stream. */
static uint32_t
order_intakes(ChangeSet *s, Intake *files)
{
	uint32_t	n = 0;

	for (uint32_t i = s->ningested; i < s->ningests; i++)
	{
		uint32_t	id = s->ingests[i].object_id;
		Object	   *o = id != KALAM_OBJECT_NONE ? find_object(s, id) : NULL;

		if (o != NULL)
			files[n++] = (Intake) {object_family(o), i, s->ingests[i].path};
	}
	qsort(files, n, sizeof(Intake), compare_intakes);
	return n;
}

bool
change_set_ingest(ChangeSet *s, EngineError *err)
{
	Intake	   *files = malloc((s->ningests + 1) * sizeof(Intake));
	uint32_t	n = order_intakes(s, files);
	bool		good = true;

	for (uint32_t from = 0, to; good && from < n; from = to)
	{
		for (to = from + 1; to < n && files[to].family == files[from].family;)
			to++;
		good = ingest_files(&files[from], to - from, err);
		if (good && to < n)
			STOP_POINT("between_families");
	}
	free(files);
	if (!good)
		return false;
	if (s->ningested < s->ningests)
		STOP_POINT("after_ingest");
	s->ningested = s->ningests;
	return true;
}

static bool
refuse_load(EngineError *err)
{
	engine_error(err, KALAM_ERR_PROTOCOL, "a load in a stream of changes that is no bulk load");
	return false;
}

bool
change_set_add(void *set, const Change *c, EngineError *err)
{
	ChangeSet  *s = set;
	bool		known;

	s->bytes += (uint64_t) KALAM_CHANGE_HEADER_BYTES + c->key_len + c->value_len;
	if (s->bytes > MAX_BATCH_BYTES)
	{
		engine_error(err, KALAM_ERR_MEMORY, "transaction changes more than %u MB",
					 (unsigned) (MAX_BATCH_BYTES >> 20));
		return false;
	}
	if (c->op == KALAM_CHANGE_LOCKS)
		return true;
	if (c->op == KALAM_CHANGE_PUT || c->op == KALAM_CHANGE_CREATE_OBJECT)
		s->writes = true;
	if (c->op == KALAM_CHANGE_CREATE_OBJECT)
		return create_object(s, c, err);
	if (c->op == KALAM_CHANGE_DROP_OBJECT)
	{
		s->dropped = realloc(s->dropped, (s->now.ndropped + 1) * sizeof(uint32_t));
		s->dropped[s->now.ndropped++] = kalam_get_be32(c->key);
		return true;
	}
	if (c->op == KALAM_CHANGE_INGEST)
	{
		key_notes_add_object(&s->keys, kalam_get_be32(c->key));
		return note_ingest(s, c, err);
	}
	if (c->op == KALAM_CHANGE_LOAD)
		return refuse_load(err);
	if (s->deferred_len == 0)
	{
		if (!write_row(s, c, &known, err))
			return false;
		if (known)
			return true;
	}
	defer(s, c);
	return true;
}

/* A change that had to wait for the creation of its object. */
static bool
write_deferred(void *set, const Change *c, EngineError *err)
{
	ChangeSet  *s = set;
	bool		known;

	if (!write_row(s, c, &known, err))
		return false;
	if (!known && !s->lenient)
	{
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", kalam_get_be32(c->key));
		return false;
	}
	return true;
}

static bool
drop_object(ChangeSet *s, uint32_t id, EngineError *err)
{
	uint8_t		key[OBJECT_RECORD_KEY_BYTES];
	Object	   *o = find_object(s, id);

	if (id < KALAM_OBJECT_FIRST_USER)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "object %u cannot be dropped", id);
		return false;
	}
	if (o == NULL)
	{
		if (s->lenient)
			return true;
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", id);
		return false;
	}
	object_record_key(id, key);
	engine_batch_delete(s->batch, objects_catalog(), key, sizeof(key));
	key_notes_add(&s->keys, key, sizeof(key));
	key_notes_add_object(&s->keys, id);
	if (object_is_shared(o))
	{
		ObjectRange r = object_range(id);

		engine_batch_delete_range(s->batch, object_family(o), r.lower, 4, r.upper, 4);
	}
	return true;
}

bool
change_set_end(ChangeSet *s, EngineError *err)
{
	ChangeStream stream = {0};
	bool		good;

	good = change_stream_feed(&stream, s->deferred, s->deferred_len, write_deferred, s, err);
	change_stream_free(&stream);
	s->deferred_len = 0;
	for (uint32_t i = s->before.ndropped; good && i < s->now.ndropped; i++)
		good = drop_object(s, s->dropped[i], err);
	if (s->deferred_capacity > SMALL_BYTES)
	{
		free(s->deferred);
		s->deferred = NULL;
		s->deferred_capacity = 0;
	}
	if (good)
		engine_batch_release(s->batch);
	return good;
}

bool
change_set_needs_space(const ChangeSet *s)
{
	return s->writes || s->bytes > SMALL_BYTES;
}

/* ---- the whole set ---- */

EngineBatch *
change_set_batch(ChangeSet *s)
{
	return s->batch;
}

uint32_t
change_set_max_object_id(const ChangeSet *s)
{
	return s->max_object_id;
}

/*
 * One thread at a time raises words.  (One may be higher: a predecessor died between
 * raising it and publishing a commit that the store has lost.)
 */
static void
raise_word(_Atomic uint64_t *word, uint64_t stamp)
{
	if (atomic_load_explicit(word, memory_order_relaxed) < stamp)
		atomic_store_explicit(word, stamp, memory_order_release);
}

void
change_set_stamp(const ChangeSet *s, uint64_t stamp)
{
	const KeyNotes *n = &s->keys;
	KalamSegment *seg = storage.seg;

	if (n->objects.more)
		raise_word(&seg->all_stamp, stamp);
	for (uint32_t i = 0; i < n->objects.n; i++)
		raise_word(&kalam_object_stamps(seg, n->objects.ids[i])->any, stamp);
	for (uint32_t i = 0; i < n->whole.n; i++)
		raise_word(&kalam_object_stamps(seg, n->whole.ids[i])->all, stamp);
	for (uint32_t i = 0; i < n->nkeys; i++)
		raise_word(kalam_bucket(seg, n->keys[i].hash), stamp);
}

void
change_set_tell(const ChangeSet *s)
{
	load_watch_tell(&s->keys);
}

void
change_set_install(ChangeSet *s)
{
	forget_last(s);
	for (uint32_t i = 0; i < s->now.ncreated; i++)
		objects_install(s->created[i]);
	s->now.ncreated = 0;
	s->doomed = realloc(s->doomed, (s->now.ndropped + 1) * sizeof(Object *));
	for (uint32_t i = 0; i < s->now.ndropped; i++)
	{
		Object	   *o = objects_remove(s->dropped[i]);

		if (o != NULL)
			s->doomed[s->ndoomed++] = o;
	}
	s->now.ndropped = 0;
}

void
change_set_finish(ChangeSet *s)
{
	if (s->ndoomed > 0)
		STOP_POINT("before_drop");
	for (uint32_t i = 0; i < s->ndoomed; i++)
		objects_destroy(s->doomed[i]);
	if (s->ndoomed > 0)
		STOP_POINT("after_drop");
	s->ndoomed = 0;
	for (uint32_t i = 0; i < s->now.ndropped_indexes; i++)
	{
		Object	   *o = objects_get(s->dropped_indexes[i].object_id);

		if (o != NULL)
			reclaim_add_index(o, s->dropped_indexes[i].index);
	}
	if (s->ningests > 0)
		STOP_POINT("before_unlink");
	for (uint32_t i = 0; i < s->ningests; i++)
		(void) unlink(s->ingests[i].path);
	if (s->ningests > 0)
		STOP_POINT("after_unlink");
	forget_ingests(s, 0);
	s->max_object_id = 0;
	memset(&s->now, 0, sizeof(s->now));
	key_notes_clear(&s->keys);
	engine_batch_clear(s->batch);
}

/* ---- streams that are only looked at ---- */

static bool
contains(const uint32_t *ids, uint32_t n, uint32_t id)
{
	while (n-- > 0)
		if (ids[n] == id)
			return true;
	return false;
}

static void
append(uint32_t **ids, uint32_t *n, uint32_t id)
{
	*ids = realloc(*ids, (*n + 1) * sizeof(uint32_t));
	(*ids)[(*n)++] = id;
}

bool
change_check_add(void *check, const Change *c, EngineError *err)
{
	ChangeCheck *k = check;
	uint32_t	id;
	Object	   *o;

	if (c->op == KALAM_CHANGE_LOCKS)
		return true;
	if (c->op == KALAM_CHANGE_LOAD)
		return refuse_load(err);
	id = kalam_get_be32(c->key);
	if (c->op == KALAM_CHANGE_INGEST)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "not an operation of a backend");
		return false;
	}
	if (c->op == KALAM_CHANGE_PUT || c->op == KALAM_CHANGE_CREATE_OBJECT)
		k->needs_space = true;
	if (c->op == KALAM_CHANGE_CREATE_OBJECT)
	{
		KalamObjectOptions options;

		memcpy(&options, c->value, sizeof(options));
		if (!objects_check_new(id, options, err))
			return false;
		append(&k->created, &k->ncreated, id);
		if (id > k->max_object_id)
			k->max_object_id = id;
		return true;
	}
	if (c->op != KALAM_CHANGE_DROP_OBJECT && !change_is_allowed(c, err))
		return false;
	if (k->last_known == id)
		return true;
	o = objects_get(id);
	if (o != NULL)
	{
		object_put(o);
		k->last_known = id;
	}
	else if (!contains(k->created, k->ncreated, id) && !contains(k->unknown, k->nunknown, id))
		append(&k->unknown, &k->nunknown, id);
	return true;
}

bool
change_check_end(const ChangeCheck *k, EngineError *err)
{
	for (uint32_t i = 0; i < k->nunknown; i++)
		if (!contains(k->created, k->ncreated, k->unknown[i]))
		{
			engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", k->unknown[i]);
			return false;
		}
	return true;
}

void
change_check_free(ChangeCheck *k)
{
	free(k->unknown);
	free(k->created);
	memset(k, 0, sizeof(*k));
}
