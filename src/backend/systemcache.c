/*
 * systemcache.c
 *	  Lists and sizes of stored tables in the schema cache: see systemcache.h.
 *
 * A list is true as long as nothing has been committed into the store's catalog, a
 * size as long as nothing was into the object.  Entries carry the time at which they
 * were read as their tag, since those who look may differ about how old is too old.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "src/backend/caches.h"
#include "src/backend/client.h"
#include "src/backend/indoubt.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"
#include "src/backend/store_catalog.h"
#include "src/backend/systemcache.h"
#include "src/shared/truth.h"

typedef struct ListKey
{
	Oid			database;
} ListKey;

typedef struct SizeKey
{
	uint32		object_id;
	uint32		nindexes;
} SizeKey;

/*
 * Of a list: one a table, behind it these strings, each with its NUL.  A name that has
 * a number among those of the server is empty there.
 */
#define NSTRINGS 6

typedef struct ListedHead
{
	Oid			relid;
	uint32		object_id;
	int32		schema_version;
	int32		nindexes;
	uint32		nspname;		/* numbers, or NONE */
	uint32		name;
	uint32		kept;
	uint32		size;			/* with the strings, a multiple of 4 */
} ListedHead;

static KalamCacheKey
cache_key(const void *data, uint32 len, uint32 group)
{
	KalamCacheKey key = {data, len, group, kalam_hash(data, len, group)};

	return key;
}

static bool
is_recent(const KalamCacheValue *value, uint64 now_ms, int ttl_ms)
{
	/* (somebody may have put it a moment after now) */
	return (int32) ((uint32) now_ms - value->tag) < ttl_ms;
}

static void
put(const KalamCacheKey *key, uint64 ticket, uint64 stamp, uint64 now_ms, const void *data, uint32 len)
{
	KalamCachePart part = {data, len};
	int			ttl_ms = Max(kalam_tables_ttl, kalam_namespaces_ttl);

	if (kalam_cache_wants(kalam_schema_cache, kalam_cache_process(), key->hash, len))
		(void) kalam_cache_put(kalam_schema_cache, kalam_cache_process(), key, ticket, stamp,
							   (uint32) now_ms, now_ms + ttl_ms, &part, 1);
}

/* ---- lists ---- */

/* Indexes of a table, for people: "name (a, b DESC), name UNIQUE (c)". */
static char *
indexes_text(const KalamCatalogTable *t)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (uint32 i = 0; i < t->record.nindexes; i++)
		appendStringInfo(&buf, "%s%s%s (%s)", i > 0 ? ", " : "",
						 kalam_string_dup(t->indexes[i].name),
						 (t->indexes[i].flags & KALAM_INDEX_UNIQUE) ? " UNIQUE" : "",
						 kalam_string_dup(t->indexes[i].columns));
	return buf.data;
}

/* The number of a name; then nothing is left of its text. */
static uint32
take_number(char **text)
{
	uint32		number = kalam_number_name(*text);

	if (number != KALAM_NAME_NONE)
		*text = "";
	return number;
}

static void
append_table(StringInfo list, const KalamCatalogTable *t)
{
	const KalamTableRecord *r = &t->record;
	char	   *strings[NSTRINGS] = {
		kalam_string_dup(r->nspname), kalam_string_dup(r->name), kalam_string_dup(r->kind),
		kalam_string_dup(r->primary_key), kalam_string_dup(r->options), indexes_text(t)
	};
	ListedHead	head = {
		.relid = r->relid, .object_id = r->object_id, .schema_version = (int32) r->schema_version,
		.nindexes = (int32) r->nindexes, .kept = t->kept,
		.nspname = take_number(&strings[0]), .name = take_number(&strings[1])
	};
	int			begin = list->len;

	appendBinaryStringInfo(list, (char *) &head, sizeof(head));
	for (int i = 0; i < NSTRINGS; i++)
		appendBinaryStringInfo(list, strings[i], (int) strlen(strings[i]) + 1);
	while (list->len % sizeof(uint32) != 0)
		appendStringInfoChar(list, '\0');
	((ListedHead *) (list->data + begin))->size = (uint32) (list->len - begin);
}

static const char *
name_of(uint32 number, const char *text)
{
	return number == KALAM_NAME_NONE ? text : kalam_name_text(kalam_names, number);
}

/* The tables of the list, whose strings point into it, or are the server's. */
static List *
tables_of(char *list, uint32 len)
{
	List	   *tables = NIL;

	for (uint32 at = 0; at < len;)
	{
		ListedHead *head = (ListedHead *) (list + at);
		KalamListedTable *t = palloc(sizeof(KalamListedTable));
		char	   *nspname;
		char	   *name;
		char	  **strings[NSTRINGS] = {
			&nspname, &name, &t->kind, &t->primary_key, &t->options, &t->indexes
		};
		char	   *string = (char *) (head + 1);

		t->relid = head->relid;
		t->object_id = head->object_id;
		t->schema_version = head->schema_version;
		t->nindexes = head->nindexes;
		t->kept = head->kept != 0;
		for (int i = 0; i < NSTRINGS; i++)
		{
			*strings[i] = string;
			string += strlen(string) + 1;
		}
		t->nspname = name_of(head->nspname, nspname);
		t->name = name_of(head->name, name);
		tables = lappend(tables, t);
		at += head->size;
	}
	return tables;
}

static StringInfo
read_list(void)
{
	StringInfo	list = makeStringInfo();
	ListCell   *lc;

	foreach(lc, kalam_catalog_list(MyDatabaseId))
		append_table(list, lfirst(lc));
	return list;
}

/* A copy of the list, or NULL. */
static char *
find_list(const KalamCacheKey *key, uint64 now_ms, int ttl_ms, uint32 *len)
{
	KalamCacheAt at = kalam_at_newest_list(kalam_segment, now_ms);
	KalamCacheValue value;
	KalamCacheFind found = kalam_cache_find(kalam_schema_cache, kalam_cache_process(), key, &at,
											NULL, 0, &value);
	char	   *list = NULL;

	if (found == KALAM_CACHE_MISS)
		return NULL;
	/* nothing is raised here, for it is pinned */
	if (is_recent(&value, now_ms, ttl_ms))
		list = palloc_extended(Max(value.len, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (list != NULL)
		memcpy(list, value.data, value.len);
	*len = value.len;
	/* (an empty one has been copied) */
	if (found == KALAM_CACHE_PINNED)
		kalam_cache_unpin(kalam_schema_cache, kalam_cache_process(), value.pin);
	return list;
}

List *
kalam_listed_tables(int ttl_ms)
{
	ListKey		data = {MyDatabaseId};
	KalamCacheKey key = cache_key(&data, sizeof(data), KALAM_GROUP_LISTS);
	bool		cached;
	StringInfo	list;
	uint64		now_ms = kalam_cache_now();
	uint64		ticket = 0;
	uint64		stamp = 0;

	/* first, for what it waits for is to be in the words */
	kalam_indoubt_settle(NULL);
	cached = ttl_ms > 0 && kalam_schema_cache != NULL && !kalam_catalog_any_staged();
	if (cached)
	{
		uint32		len;
		char	   *found = find_list(&key, now_ms, ttl_ms, &len);

		if (found != NULL)
			return tables_of(found, len);
		ticket = kalam_cache_ticket(kalam_schema_cache, key.group);
		stamp = atomic_load(&kalam_segment->pub);
	}
	list = read_list();
	KALAM_STOP_POINT("tables_before_put");
	if (cached)
		put(&key, ticket, stamp, now_ms, list->data, (uint32) list->len);
	return tables_of(list->data, (uint32) list->len);
}

/* ---- sizes ---- */

bool
kalam_object_size(uint32 object_id, int nindexes, KalamObjectSize *size)
{
	SizeKey		data = {object_id, (uint32) nindexes};
	KalamCacheKey key = cache_key(&data, sizeof(data), KALAM_GROUP_SIZES);
	uint64		now_ms = kalam_cache_now();
	KalamCacheAt at;
	KalamCacheValue value;
	uint64		ticket;
	uint64		stamp;

	if (kalam_tables_ttl == 0 || kalam_schema_cache == NULL)
		return kalam_object_stat(object_id, nindexes, size);
	at = kalam_at_object(kalam_segment, object_id, UINT64_MAX, now_ms);
	if (kalam_cache_find(kalam_schema_cache, kalam_cache_process(), &key, &at,
						 size, sizeof(*size), &value) == KALAM_CACHE_COPIED &&
		is_recent(&value, now_ms, kalam_tables_ttl))
		return true;
	ticket = kalam_cache_ticket(kalam_schema_cache, key.group);
	stamp = atomic_load(&kalam_segment->pub);
	if (!kalam_object_stat(object_id, nindexes, size))
		return false;
	KALAM_STOP_POINT("size_before_put");
	put(&key, ticket, stamp, now_ms, size, sizeof(*size));
	return true;
}

void
kalam_object_sizes_forget(void)
{
	if (kalam_schema_cache != NULL)
		(void) kalam_cache_invalidate_group(kalam_schema_cache, kalam_cache_process(),
											KALAM_GROUP_SIZES);
}
