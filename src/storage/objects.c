/*
 * objects.c
 *	  Which column family holds an object; creation, sharing and removal.
 *
 * Objects below max_families in number have a family of their own, "t<id>";
 * later ones share one per set of options, "s_<compression>_<fpr>".  The
 * records in the catalog decide at start what exists; this file writes none of
 * them (change_set.c does), so that they are in the batch of their commit.
 *
 * map_lock guards the table of committed objects and is held for a look-up
 * only.  ddl_lock serializes creation and removal of families, which take RocksDB
 * milliseconds.  Order: ddl_lock, then map_lock.  An object lives while
 * somebody holds it; its family handle is closed with its last holder.
 */
#include "src/storage/objects.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/storage/log.h"
#include "src/storage/reclaim.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"

typedef struct Family
{
	EngineFamily *handle;
	_Atomic int holders;
	struct Family *next;		/* shared families, under ddl_lock */
} Family;

struct Object
{
	uint32_t	id;
	uint32_t	family_kind;
	KalamObjectOptions options;
	Family	   *family;
	_Atomic int holders;
	Object	   *next;			/* in its map bucket, under map_lock */
};

#define MAP_SIZE 4096

static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t ddl_lock = PTHREAD_MUTEX_INITIALIZER;
static Object *map[MAP_SIZE];
static Family *shared_families;
static uint32_t own_families;	/* under ddl_lock */
static uint32_t max_id;
static Object *catalog_object;
static Object *pending_object;

/* ---- families ---- */

static Family *
family_wrap(EngineFamily *handle)
{
	Family	   *f = calloc(1, sizeof(Family));

	f->handle = handle;
	atomic_init(&f->holders, 1);
	return f;
}

static void
family_put(Family *f)
{
	if (atomic_fetch_sub(&f->holders, 1) == 1)
	{
		engine_family_close(f->handle);
		free(f);
	}
}

static void
shared_name(KalamObjectOptions options, char *name, size_t size)
{
	static const char *const names[] = {"none", "lz4", "zstd"};

	snprintf(name, size, "s_%s_%u", names[options.compression <= KALAM_COMPRESSION_ZSTD ?
										  options.compression : KALAM_COMPRESSION_LZ4],
			 options.bloom_fpr_ppm);
}

static Family *
find_shared(const char *name)
{
	for (Family *f = shared_families; f != NULL; f = f->next)
		if (strcmp(engine_family_name(f->handle), name) == 0)
			return f;
	return NULL;
}

static void
add_shared(Family *f)
{
	f->next = shared_families;
	shared_families = f;
}

/* ---- objects ---- */

static Object *
object_make(uint32_t id, uint32_t family_kind, KalamObjectOptions options, Family *family)
{
	Object	   *o = calloc(1, sizeof(Object));

	o->id = id;
	o->family_kind = family_kind;
	o->options = options;
	o->family = family;
	atomic_init(&o->holders, 1);
	return o;
}

void
object_put(Object *object)
{
	if (atomic_fetch_sub(&object->holders, 1) == 1)
	{
		family_put(object->family);
		free(object);
	}
}

Object *
objects_get(uint32_t object_id)
{
	Object	   *o;

	pthread_mutex_lock(&map_lock);
	for (o = map[object_id % MAP_SIZE]; o != NULL && o->id != object_id; o = o->next)
		;
	if (o != NULL)
		atomic_fetch_add(&o->holders, 1);
	pthread_mutex_unlock(&map_lock);
	return o;
}

uint32_t
object_id(const Object *object)
{
	return object->id;
}

KalamObjectOptions
object_options(const Object *object)
{
	return object->options;
}

bool
object_is_shared(const Object *object)
{
	return object->family_kind != 0;
}

EngineFamily *
object_family(const Object *object)
{
	return object->family->handle;
}

EngineFamily *
objects_catalog(void)
{
	return catalog_object->family->handle;
}

EngineFamily *
objects_pending(void)
{
	return pending_object->family->handle;
}

uint32_t
objects_max_id(void)
{
	return max_id;
}

/* ---- records ---- */

void
object_record_key(uint32_t object_id, uint8_t *key)
{
	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_OBJECT;
	kalam_put_be32(key + KALAM_KEY_PREFIX_BYTES + 1, object_id);
}

void
object_record_value(const Object *object, uint8_t *value)
{
	KalamObjectRecord record = {object->family_kind, object->options};

	_Static_assert(sizeof(record) == 12, "no padding");
	memset(value, 0, KALAM_VALUE_HEADER_BYTES);
	value[0] = KALAM_VALUE_FORMAT;
	memcpy(value + KALAM_VALUE_HEADER_BYTES, &record, sizeof(record));
}

/* ---- creation and removal ---- */

bool
objects_check_new(uint32_t object_id, KalamObjectOptions options, EngineError *err)
{
	if (object_id < KALAM_OBJECT_FIRST_USER || object_id == UINT32_MAX)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "object id %u cannot be created", object_id);
		return false;
	}
	if (options.compression > KALAM_COMPRESSION_ZSTD || options.bloom_fpr_ppm >= 1000000)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "object %u has unknown options", object_id);
		return false;
	}
	return true;
}

Object *
objects_create(uint32_t object_id, KalamObjectOptions options, EngineError *err)
{
	char		name[48];
	Family	   *family = NULL;
	uint32_t	kind;

	pthread_mutex_lock(&ddl_lock);
	kind = own_families < storage.seg->config.max_families ? 0 : 1;
	if (kind == 0)
		snprintf(name, sizeof(name), "t%u", object_id);
	else
	{
		shared_name(options, name, sizeof(name));
		family = find_shared(name);
	}
	if (family == NULL)
	{
		EngineFamily *handle;

		store_dir_hint_add(name, options);
		handle = engine_family_create(storage.engine, name, options, err);
		if (handle == NULL)
		{
			pthread_mutex_unlock(&ddl_lock);
			return NULL;
		}
		family = family_wrap(handle);
		if (kind == 1)
			add_shared(family);
		else
			own_families++;
	}
	if (kind == 1)
		atomic_fetch_add(&family->holders, 1);
	pthread_mutex_unlock(&ddl_lock);
	return object_make(object_id, kind, options, family);
}

void
objects_install(Object *object)
{
	pthread_mutex_lock(&map_lock);
	object->next = map[object->id % MAP_SIZE];
	map[object->id % MAP_SIZE] = object;
	pthread_mutex_unlock(&map_lock);
}

Object *
objects_remove(uint32_t object_id)
{
	Object	   *o = NULL;

	if (object_id < KALAM_OBJECT_FIRST_USER)
		return NULL;
	pthread_mutex_lock(&map_lock);
	for (Object **p = &map[object_id % MAP_SIZE]; *p != NULL; p = &(*p)->next)
		if ((*p)->id == object_id)
		{
			o = *p;
			*p = o->next;
			break;
		}
	pthread_mutex_unlock(&map_lock);
	return o;
}

void
objects_destroy(Object *object)
{
	EngineError err;

	if (object->family_kind == 0)
	{
		pthread_mutex_lock(&ddl_lock);
		if (engine_family_drop(storage.engine, object->family->handle, &err))
			own_families--;
		else
			log_warning("could not drop column family \"%s\": %s",
						engine_family_name(object->family->handle), err.message);
		pthread_mutex_unlock(&ddl_lock);
	}
	else
	{
		ObjectRange r = object_range(object->id);

		engine_delete_files(storage.engine, object->family->handle, r.lower, 4, r.upper, 4);
		reclaim_add(object);
		return;
	}
	object_put(object);
}

void
objects_abandon(Object *object)
{
	if (object_is_shared(object))
		object_put(object);		/* nothing of it was written */
	else
		objects_destroy(object);
}

/* ---- start and end ---- */

static EngineFamily *
opened_family(const char *name)
{
	for (uint32_t i = 0; i < engine_nopened(storage.engine); i++)
		if (strcmp(engine_family_name(engine_opened(storage.engine, i)), name) == 0)
			return engine_opened(storage.engine, i);
	return NULL;
}

/* Makes the object that a catalog record describes. */
static bool
read_record(const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len,
			EngineError *err)
{
	KalamObjectRecord record;
	char		name[48];
	Family	   *family = NULL;
	EngineFamily *handle;
	uint32_t	id;

	if (key_len != OBJECT_RECORD_KEY_BYTES || value_len < OBJECT_RECORD_VALUE_BYTES ||
		value[0] != KALAM_VALUE_FORMAT)
	{
		engine_error(err, KALAM_ERR_CORRUPT, "the catalog holds an object record of unknown format");
		return false;
	}
	id = kalam_get_be32(key + KALAM_KEY_PREFIX_BYTES + 1);
	memcpy(&record, value + KALAM_VALUE_HEADER_BYTES, sizeof(record));
	if (record.family_kind == 0)
		snprintf(name, sizeof(name), "t%u", id);
	else
	{
		shared_name(record.options, name, sizeof(name));
		family = find_shared(name);
	}
	if (family == NULL)
	{
		handle = opened_family(name);
		if (handle == NULL)
		{
			engine_error(err, KALAM_ERR_CORRUPT, "column family \"%s\" of object %u is missing", name,
						 id);
			return false;
		}
		family = family_wrap(handle);
		if (record.family_kind != 0)
			add_shared(family);
		else
			own_families++;
		store_dir_hint_add(name, record.options);
	}
	if (record.family_kind != 0)
		atomic_fetch_add(&family->holders, 1);
	objects_install(object_make(id, record.family_kind, record.options, family));
	if (id > max_id)
		max_id = id;
	return true;
}

static bool
read_records(EngineError *err)
{
	uint8_t		lower[6];
	uint8_t		upper[6];
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	EngineIter *it;
	bool		good = true;

	kalam_put_key_prefix(lower, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	memcpy(upper, lower, 5);
	lower[5] = KALAM_CATALOG_OBJECT;
	upper[5] = KALAM_CATALOG_OBJECT + 1;
	it = engine_iter_open(storage.engine, objects_catalog(), NULL, lower, 6, upper, 6, 0);
	for (engine_iter_start(it, false);
		 good && engine_iter_entry(it, &key, &key_len, &value, &value_len);
		 engine_iter_move(it, false))
		good = read_record(key, key_len, value, value_len, err);
	if (good && engine_iter_end(it, err) != ENGINE_ITER_END)
		good = false;
	engine_iter_close(it);
	return good;
}

/* Families that no record names: their commit did not come through, or a drop did. */
static void
handle_leftovers(void)
{
	for (uint32_t i = 0; i < engine_nopened(storage.engine); i++)
	{
		EngineFamily *f = engine_opened(storage.engine, i);
		const char *name = engine_family_name(f);
		uint32_t	id;
		EngineError err;

		if (f == objects_catalog() || f == objects_pending())
			continue;
		if (strncmp(name, "s_", 2) == 0)
		{
			KalamObjectOptions options = store_dir_hint(name, NULL);

			if (find_shared(name) == NULL)
			{
				add_shared(family_wrap(f));
				store_dir_hint_add(name, options);
			}
			continue;
		}
		if (sscanf(name, "t%u", &id) == 1)
		{
			Object	   *o = objects_get(id);
			bool		used = o != NULL && object_family(o) == f;

			if (o != NULL)
				object_put(o);
			if (used)
				continue;
			if (!engine_family_drop(storage.engine, f, &err))
				log_warning("could not drop column family \"%s\": %s", name, err.message);
			else
				log_info("dropped column family \"%s\", which no object uses", name);
		}
		else
			log_warning("column family \"%s\" is not known to this version", name);
		engine_family_close(f);
	}
}

bool
objects_open(EngineError *err)
{
	KalamObjectOptions none = {0, 0};
	bool		good;

	catalog_object = object_make(KALAM_OBJECT_CATALOG, 0, none,
								 family_wrap(opened_family("catalog")));
	pending_object = object_make(KALAM_OBJECT_PENDING, 0, none,
								 family_wrap(opened_family("pending")));
	objects_install(catalog_object);
	objects_install(pending_object);
	store_dir_hints_begin();
	good = read_records(err);
	if (good)
	{
		handle_leftovers();
		store_dir_hints_end();
	}
	return good;
}

void
objects_close(void)
{
	for (uint32_t i = 0; i < MAP_SIZE; i++)
		while (map[i] != NULL)
		{
			Object	   *o = map[i];

			map[i] = o->next;
			object_put(o);
		}
	while (shared_families != NULL)
	{
		Family	   *f = shared_families;

		shared_families = f->next;
		family_put(f);
	}
}
