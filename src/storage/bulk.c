/*
 * bulk.c
 *	  A large transaction as sorted files: see bulk.h.
 *
 * Rows go to one file per object, cut at a size, in the order in which they
 * come, which must be that of their keys.  What is not a row of a table
 * (objects, the catalog) is kept as bytes, and so are the rows of an object that
 * has few: a file costs a sync and a place in the MANIFEST, which is much for the
 * hundred rows of one of a thousand partitions.  Files of loads with as few are
 * read likewise: nobody has synced them.  Nothing here is visible to anybody
 * before the commit thread ingests the files.  No locks: a load belongs to one
 * thread at a time.
 */
#include "src/storage/bulk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/storage/load_check.h"
#include "src/storage/loads.h"
#include "src/storage/log.h"
#include "src/storage/objects.h"
#include "src/storage/stop_point.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"

#define FILE_BYTES	(UINT64_C(256) << 20)
#define CHECK_BYTES	(UINT64_C(8) << 20)	/* rows between two looks at free space */
#define NAME_BYTES	64

/* Rows of an object that stay bytes, and of all such objects, for these are in memory. */
#define FEW_BYTES	((size_t) 64 << 10)
#define ALL_FEW_BYTES ((size_t) 16 << 20)
#define SUFFIX		".sst"

typedef struct BulkFile
{
	uint32_t	object_id;
	char		name[NAME_BYTES];
} BulkFile;

/* Changes one behind the other. */
typedef struct Bytes
{
	uint8_t    *data;
	size_t		len;
	size_t		capacity;
} Bytes;

typedef struct NewObject
{
	uint32_t	id;
	KalamObjectOptions options;
} NewObject;

struct BulkLoad
{
	uint32_t	slot;			/* whose loads may be named */
	uint64_t	number;			/* in the names of its files */
	Load	  **loads;			/* taken in: nobody else's any more */
	uint32_t	nloads;
	BulkFile   *files;
	uint32_t	nfiles;
	EngineFile *writer;			/* of the last file, or NULL */
	uint64_t	file_bytes;		/* of the files that are complete */
	uint64_t	unchecked_bytes;	/* of rows since free space was looked at */
	uint32_t	object_id;		/* of the rows that come now */
	bool		skip;			/* they go to an object that is dropped */
	bool		few;			/* they are bytes so far, */
	size_t		first;			/* from here on in the stream */
	size_t		few_bytes;		/* of all such rows */
	NewObject  *created;
	uint32_t	ncreated;
	uint32_t   *dropped;
	uint32_t	ndropped;
	uint32_t	max_object_id;
	bool		names_files;	/* in the stream */
	uint8_t		last_key[KALAM_MAX_KEY_BYTES];
	size_t		last_key_len;
	Bytes		stream;
	Bytes		dropped_indexes;	/* the stream's end: entries that come with it go, too */
};

static _Atomic uint64_t last_number;

uint64_t
bulk_next_number(void)
{
	uint64_t	last = atomic_load(&last_number);
	uint64_t	number;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	do
	{
		number = (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
		if (number <= last)
			number = last + 1;
	} while (!atomic_compare_exchange_weak(&last_number, &last, number));
	return number;
}

BulkLoad *
bulk_open(uint32_t slot)
{
	BulkLoad   *l = calloc(1, sizeof(BulkLoad));

	l->slot = slot;
	l->number = bulk_next_number();
	return l;
}

bool
bulk_file_path(const uint8_t *name, size_t len, char *path, size_t size)
{
	if (len == 0 || len >= NAME_BYTES || memchr(name, '/', len) != NULL || name[0] == '.')
		return false;
	snprintf(path, size, "%s/%.*s", store_dir_bulk(), (int) len, (const char *) name);
	return true;
}

static void
append(Bytes *b, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	if (b->len + len > b->capacity)
	{
		b->capacity = 2 * (b->len + len) + 4096;
		b->data = realloc(b->data, b->capacity);
		if (b->data == NULL)
			abort();
	}
	memcpy(b->data + b->len, bytes, len);
	b->len += len;
}

static void
append_change(Bytes *b, uint8_t op, const void *key, uint16_t key_len, const void *value,
			  uint32_t value_len)
{
	KalamChange h = {op, 0, key_len, value_len};

	append(b, &h, KALAM_CHANGE_HEADER_BYTES);
	append(b, key, key_len);
	append(b, value, value_len);
}

/* ---- files ---- */

static bool
finish_file(BulkLoad *l, EngineError *err)
{
	EngineFile *w = l->writer;
	uint64_t	bytes;

	if (w == NULL)
		return true;
	l->writer = NULL;
	if (!engine_file_finish(w, &bytes, err))
		return false;
	l->file_bytes += bytes;
	return true;
}

/* May rows go to the object, and how are they stored? */
static bool
find_options(BulkLoad *l, uint32_t id, KalamObjectOptions *options, EngineError *err)
{
	Object	   *o;

	for (uint32_t i = 0; i < l->ncreated; i++)
		if (l->created[i].id == id)
		{
			*options = l->created[i].options;
			return true;
		}
	o = objects_get(id);
	if (o == NULL)
	{
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", id);
		return false;
	}
	*options = object_options(o);
	object_put(o);
	return true;
}

static bool
next_file(BulkLoad *l, uint32_t id, EngineError *err)
{
	KalamObjectOptions options;
	char		path[KALAM_PATH_BYTES + NAME_BYTES];
	BulkFile   *f;

	if (!finish_file(l, err) || !find_options(l, id, &options, err))
		return false;
	if (!store_dir_has_room(0, err))
		return false;
	l->files = realloc(l->files, (l->nfiles + 1) * sizeof(BulkFile));
	f = &l->files[l->nfiles];
	f->object_id = id;
	snprintf(f->name, sizeof(f->name), "%016" PRIx64 "-%u" SUFFIX, l->number, l->nfiles);
	l->nfiles++;
	snprintf(path, sizeof(path), "%s/%s", store_dir_bulk(), f->name);
	if (access(path, F_OK) == 0)
	{
		/* the clock went back: not ours to overwrite, nor to remove */
		l->nfiles--;
		engine_error(err, KALAM_ERR_IO, "file \"%s\" exists already", path);
		return false;
	}
	l->writer = engine_file_create(storage.engine, options, path, ENGINE_FILE_LASTING, err);
	return l->writer != NULL;
}

static bool
is_dropped(const BulkLoad *l, uint32_t id)
{
	for (uint32_t i = 0; i < l->ndropped; i++)
		if (l->dropped[i] == id)
			return true;
	return false;
}

/* ChangeFunction: puts a row into the last file. */
static bool
write_row(void *load, const Change *c, EngineError *err)
{
	BulkLoad   *l = load;

	if (engine_file_bytes(l->writer) > FILE_BYTES && !next_file(l, l->object_id, err))
		return false;
	l->unchecked_bytes += c->value_len;
	if (l->unchecked_bytes > CHECK_BYTES)
	{
		l->unchecked_bytes = 0;
		if (!store_dir_has_room(0, err))
			return false;
	}
	if (c->op == KALAM_CHANGE_DELETE)
		return engine_file_delete(l->writer, c->key, c->key_len, err);
	return engine_file_put(l->writer, c->key, c->key_len, c->value, c->value_len, err);
}

static bool
begin_object(BulkLoad *l, uint32_t id, EngineError *err)
{
	KalamObjectOptions options;

	l->object_id = id;
	l->skip = is_dropped(l, id);
	l->few = true;
	l->first = l->stream.len;
	return finish_file(l, err) && (l->skip || find_options(l, id, &options, err));
}

/* The object's rows are not so few: they become the beginning of a file. */
static bool
move_to_file(BulkLoad *l, EngineError *err)
{
	ChangeStream rows = {0};
	size_t		len = l->stream.len - l->first;
	bool		good;

	l->few = false;
	l->few_bytes -= len;
	l->stream.len = l->first;
	good = next_file(l, l->object_id, err) &&
		change_stream_feed(&rows, l->stream.data + l->first, len, write_row, l, err);
	change_stream_free(&rows);
	return good;
}

static bool
add_row(BulkLoad *l, const Change *c, uint32_t id, EngineError *err)
{
	size_t		size = (size_t) KALAM_CHANGE_HEADER_BYTES + c->key_len + c->value_len;

	if (l->last_key_len > 0 &&
		key_compare(l->last_key, l->last_key_len, c->key, c->key_len) >= 0)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "keys of a bulk load do not ascend");
		return false;
	}
	memcpy(l->last_key, c->key, c->key_len);
	l->last_key_len = c->key_len;
	if (id != l->object_id && !begin_object(l, id, err))
		return false;
	if (l->skip)
		return true;
	if (l->few && l->stream.len - l->first + size <= FEW_BYTES &&
		l->few_bytes + size <= ALL_FEW_BYTES)
	{
		append_change(&l->stream, c->op, c->key, c->key_len, c->value, c->value_len);
		l->few_bytes += size;
		return true;
	}
	return (!l->few || move_to_file(l, err)) && write_row(l, c, err);
}

/* ---- loads that were kept ---- */

static bool
take_load(BulkLoad *l, const Change *c, EngineError *err)
{
	uint64_t	number;
	Load	   *load;

	memcpy(&number, c->value, sizeof(number));
	load = loads_take(l->slot, number);
	if (load == NULL)
	{
		engine_error(err, KALAM_ERR_NO_LOAD, "there is no load %llu", (unsigned long long) number);
		return false;
	}
	l->loads = realloc(l->loads, (l->nloads + 1) * sizeof(Load *));
	l->loads[l->nloads++] = load;
	STOP_POINT("load_taken");
	return true;
}

static void
name_file(BulkLoad *l, uint32_t id, const char *name)
{
	uint8_t		key[4];

	kalam_put_be32(key, id);
	append_change(&l->stream, KALAM_CHANGE_INGEST, key, sizeof(key), name, (uint32_t) strlen(name));
	l->names_files = true;
}

/*
 * Puts the records of a target, all of which are in this file, into the stream if
 * they fit: anywhere, for nothing else of the transaction has their keys.
 */
static bool
read_file(BulkLoad *l, Sorter *s, const SorterFile *f, bool *fits, EngineError *err)
{
	uint64_t	size = f->raw_bytes + f->rows * KALAM_CHANGE_HEADER_BYTES;
	SorterRead *r;
	const uint8_t *key,
			   *value;
	size_t		key_len,
				value_len;
	bool		good;

	*fits = l->few_bytes + size <= ALL_FEW_BYTES;
	if (!*fits)
		return true;
	r = sorter_read_open(s, NULL, 0, err);
	if (r == NULL)
		return false;
	while (sorter_read_next(r, &key, &key_len, &value, &value_len))
		append_change(&l->stream, KALAM_CHANGE_PUT, key, (uint16_t) key_len, value,
					  (uint32_t) value_len);
	good = sorter_read_good(r, err);
	sorter_read_close(r);
	l->few_bytes += size;
	return good;
}

static bool
sync_path(const char *path, int flags, EngineError *err)
{
	int			fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	bool		good = fd >= 0 && fsync(fd) == 0;

	if (!good)
		engine_error(err, KALAM_ERR_IO, "could not sync \"%s\": %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good;
}

static bool
sync_file(const char *name, EngineError *err)
{
	char		path[KALAM_PATH_BYTES + NAME_BYTES];

	snprintf(path, sizeof(path), "%s/%s", store_dir_bulk(), name);
	return sync_path(path, 0, err);
}

/*
 * Names the files of a target, unless its object is dropped by the same
 * transaction; what is few is read instead.
 */
static bool
name_target(BulkLoad *l, LoadTarget *t, EngineError *err)
{
	KalamObjectOptions options;
	bool		fits = false;

	if (is_dropped(l, t->is.object_id))
		return true;
	if (!find_options(l, t->is.object_id, &options, err))
		return false;
	for (uint32_t i = 0; i < sorter_nfiles(t->sorter); i++)
	{
		SorterFile	f = sorter_file(t->sorter, i);

		if (!f.synced && !read_file(l, t->sorter, &f, &fits, err))
			return false;
		if (fits)
			return true;
		if (!f.synced && !sync_file(f.name, err))
			return false;
		name_file(l, t->is.object_id, f.name);
		l->file_bytes += f.bytes;
	}
	t->keep_files = true;
	return true;
}

typedef struct Named
{
	uint32_t	object_id;
	uint32_t	order;
	LoadTarget *target;
} Named;

static int
compare_named(const void *a, const void *b)
{
	const Named *x = a;
	const Named *y = b;

	if (x->object_id != y->object_id)
		return x->object_id < y->object_id ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/*
 * Names what the loads brought, object by object, for files of an object that are
 * named one behind the other are taken in by one call.
 */
static bool
name_loads(BulkLoad *l, EngineError *err)
{
	uint32_t	n = 0;
	Named	   *named;
	bool		good = true;

	for (uint32_t i = 0; i < l->nloads; i++)
		n += l->loads[i]->ntargets;
	named = malloc((n + 1) * sizeof(Named));
	n = 0;
	for (uint32_t i = 0; i < l->nloads; i++)
		for (uint32_t j = 0; j < l->loads[i]->ntargets; j++, n++)
			named[n] = (Named) {
				l->loads[i]->targets[j].is.object_id, n, &l->loads[i]->targets[j]
			};
	qsort(named, n, sizeof(Named), compare_named);
	for (uint32_t i = 0; good && i < n; i++)
		good = name_target(l, named[i].target, err);
	free(named);
	return good;
}

static void
close_loads(BulkLoad *l, bool keep)
{
	for (uint32_t i = 0; i < l->nloads; i++)
	{
		for (uint32_t j = 0; !keep && j < l->loads[i]->ntargets; j++)
			l->loads[i]->targets[j].keep_files = false;
		load_put(l->loads[i]);
	}
	free(l->loads);
}

/* ---- the load ---- */

bool
bulk_add(void *load, const Change *c, EngineError *err)
{
	BulkLoad   *l = load;
	uint32_t	id = c->key_len == 0 ? KALAM_OBJECT_NONE : kalam_get_be32(c->key);

	switch (c->op)
	{
		case KALAM_CHANGE_LOCKS:
			break;
		case KALAM_CHANGE_LOAD:
			return take_load(l, c, err);
		case KALAM_CHANGE_CREATE_OBJECT:
			l->created = realloc(l->created, (l->ncreated + 1) * sizeof(NewObject));
			l->created[l->ncreated].id = id;
			memcpy(&l->created[l->ncreated].options, c->value, sizeof(KalamObjectOptions));
			if (!objects_check_new(id, l->created[l->ncreated].options, err))
				return false;
			l->ncreated++;
			if (id > l->max_object_id)
				l->max_object_id = id;
			break;
		case KALAM_CHANGE_DROP_OBJECT:
			l->dropped = realloc(l->dropped, (l->ndropped + 1) * sizeof(uint32_t));
			l->dropped[l->ndropped++] = id;
			break;
		case KALAM_CHANGE_DROP_INDEX:
			if (!change_is_allowed(c, err))
				return false;
			append_change(&l->dropped_indexes, c->op, c->key, c->key_len, c->value, c->value_len);
			return true;
		case KALAM_CHANGE_PUT:
		case KALAM_CHANGE_DELETE:
			if (!change_is_allowed(c, err))
				return false;
			if (id >= KALAM_OBJECT_FIRST_USER)
				return add_row(l, c, id, err);
			break;
		default:
			engine_error(err, KALAM_ERR_PROTOCOL, "operation %u in a bulk load", c->op);
			return false;
	}
	append_change(&l->stream, c->op, c->key, c->key_len, c->value, c->value_len);
	l->object_id = KALAM_OBJECT_NONE;	/* only rows lie among rows that may move */
	return true;
}

bool
bulk_end(BulkLoad *l, EngineError *err)
{
	if (!finish_file(l, err) || !name_loads(l, err))
		return false;
	for (uint32_t i = 0; i < l->nfiles; i++)
		name_file(l, l->files[i].object_id, l->files[i].name);
	append(&l->stream, l->dropped_indexes.data, l->dropped_indexes.len);
	if (l->names_files && !sync_path(store_dir_bulk(), O_DIRECTORY, err))
		return false;
	if (l->nloads > 0)
		STOP_POINT("load_named");
	return true;
}

bool
bulk_check(BulkLoad *l, KalamResult *result, uint8_t *room, size_t size, EngineError *err)
{
	LoadDuplicate duplicate = {0};
	bool		good = true;

	for (uint32_t i = 0; good && i < l->nloads; i++)
		good = load_check(l->loads[i], NULL, NULL, &duplicate, err);
	if (!good && err->code == KALAM_ERR_DUPLICATE)
		load_duplicate_tell(&duplicate, result, room, size, err);
	load_duplicate_free(&duplicate);
	return good;
}

const uint8_t *
bulk_stream(const BulkLoad *l, size_t *len)
{
	*len = l->stream.len;
	return l->stream.data;
}

bool
bulk_has_files(const BulkLoad *l)
{
	return l->names_files;
}

uint64_t
bulk_bytes(const BulkLoad *l)
{
	return l->file_bytes;
}

uint32_t
bulk_max_object_id(const BulkLoad *l)
{
	return l->max_object_id;
}

void
bulk_close(BulkLoad *l, bool keep)
{
	char		path[KALAM_PATH_BYTES + NAME_BYTES];

	if (l->writer != NULL)
		engine_file_abandon(l->writer);
	for (uint32_t i = 0; !keep && i < l->nfiles; i++)
	{
		snprintf(path, sizeof(path), "%s/%s", store_dir_bulk(), l->files[i].name);
		(void) unlink(path);
	}
	close_loads(l, keep);
	free(l->files);
	free(l->created);
	free(l->dropped);
	free(l->stream.data);
	free(l->dropped_indexes.data);
	free(l);
}

void
bulk_remove_others(char *const *paths, uint32_t n)
{
	DIR		   *dir = opendir(store_dir_bulk());
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL)
	{
		char		path[KALAM_PATH_BYTES + NAME_BYTES];
		bool		named = false;

		if (!bulk_file_path((const uint8_t *) d->d_name, strlen(d->d_name), path, sizeof(path)))
			continue;
		for (uint32_t i = 0; i < n; i++)
			named |= strcmp(paths[i], path) == 0;
		if (!named && unlink(path) == 0)
			log_info("removed \"%s\", which no transaction needs", path);
	}
	if (dir != NULL)
		closedir(dir);
}
