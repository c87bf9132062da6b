/*
 * querycache.c
 *	  Rows by key out of the shared query cache: see querycache.h.
 *
 * The key of an entry is the key of the row, its group the object, and its value the
 * entry of a block (KalamRow) without keys; no bytes at all say that there is no such
 * row.  Commits stamp the bucket of each key that they write, so an entry holds for
 * as long as its own row stays as it is.  So do those of unique indexes, whose value is
 * the key of the row: a change of the row's other columns leaves them true.
 *
 * The row is put with the stamp at which it was asked for, whatever that is by now: the
 * cache answers only readers for which it is true.
 */
#include "postgres.h"

#include "src/backend/caches.h"
#include "src/backend/querycache.h"
#include "src/backend/row.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"
#include "src/shared/truth.h"

/* Rows up to that size are copied: that is less work than a pin. */
#define COPY_BYTES	512

/* Tags of entries. */
#define WHOLE_ROW	0
#define NO_BODY		1			/* for readers that want no more than keys */

uint64
kalam_query_cache_ttl_of(const KalamTable *table)
{
	if (kalam_query_cache == NULL || !kalam_query_cache_on || !table->cache)
		return 0;
	return table->cache_ttl >= 0 ? (uint64) table->cache_ttl : (uint64) kalam_query_cache_ttl;
}

/* kalam.verify_cache: storage is asked all the same. */
static void
verify(const KalamRange *range, const KalamPoint *point)
{
#ifdef KALAM_STOP_POINTS
	const KalamRow *row = point->row;
	KalamRange	whole = *range;
	KalamCursor *cursor;
	const KalamRow *stored;

	if (!kalam_verify_cache)
		return;
	whole.flags = KALAM_SCAN_POINT | KALAM_SCAN_KEYS | (range->flags & KALAM_SCAN_INDEX);
	whole.input = NULL;
	whole.input_len = 0;
	whole.max_rows = 0;
	cursor = kalam_cursor_open(&whole);
	stored = kalam_cursor_next(cursor);
	if ((stored == NULL) != (row == NULL) ||
		(row != NULL &&
		 (row->key_len != 0 || row->index_key_len != 0 || stored->key_len != point->key_len ||
		  memcmp(kalam_row_key(stored), point->key, point->key_len) != 0 ||
		  (row->tuple_len != KALAM_TUPLE_BODY_OFFSET &&
		   (row->version != stored->version || row->tuple_len != stored->tuple_len ||
			memcmp(kalam_row_tuple(row), kalam_row_tuple(stored), row->tuple_len) != 0)))))
		elog(PANIC, "the query cache is wrong about a row of object %u at stamp " UINT64_FORMAT,
			 range->object_id, range->stamp);
	kalam_cursor_close(cursor);
#endif
}

/* ---- finding ---- */

static inline KalamCacheKey
cache_key(uint32 object_id, const uint8 *bytes, size_t len)
{
	KalamCacheKey key = {bytes, (uint32) len, object_id, kalam_hash(bytes, len, 0)};

	return key;
}

/* (the hash names the bucket, too, whose stamp tells of the key's last change) */
static bool
find_key(KalamPointReader *reader, const KalamRange *range, const uint8 *bytes, size_t len,
		 void *buffer, uint32 buffer_size, KalamCacheValue *value)
{
	KalamCacheKey key = cache_key(range->object_id, bytes, len);
	KalamCacheAt at = kalam_at_point(kalam_segment, key.hash, range->object_id, range->stamp,
									 kalam_cache_now());

	return kalam_cache_find_held(kalam_query_cache, &key, &at, buffer, buffer_size,
								 range->owner, value, &reader->pin) != KALAM_CACHE_MISS;
}

static bool
find_row(KalamPointReader *reader, const KalamRange *range, KalamPoint *point)
{
	KalamCacheValue value;

	if (!find_key(reader, range, point->key, point->key_len, reader->copy, COPY_BYTES, &value))
		return false;
	if (value.tag != WHOLE_ROW && !(range->flags & KALAM_SCAN_KEYS_ONLY))
	{
		kalam_cache_give_back(&reader->pin);
		return false;
	}
	point->row = value.len > 0 ? value.data : NULL;
	return true;
}

/* The key that the entry of a unique index leads to, and its row. */
static bool
find_by_index(KalamPointReader *reader, const KalamRange *range, MemoryContext context,
			  KalamPoint *point)
{
	KalamCacheValue value;

	if (reader->row_key == NULL)
		reader->row_key = MemoryContextAlloc(context, KALAM_MAX_KEY_BYTES);
	if (!find_key(reader, range, range->lower, range->lower_len, reader->row_key,
				  KALAM_MAX_KEY_BYTES, &value))
		return false;
	point->row = NULL;
	point->key = reader->row_key;
	point->key_len = value.len;
	if (value.len == 0)
		return true;
	if (range->flags & KALAM_SCAN_KEYS_ONLY)
	{
		KalamRow   *row = (KalamRow *) reader->copy;

		memset(row, 0, sizeof(KalamRow));
		row->tuple_len = KALAM_TUPLE_BODY_OFFSET;
		row->size = KALAM_ROW_TUPLE_OFFSET + KALAM_ALIGN8(row->tuple_len);
		point->row = row;
		return true;
	}
	return find_row(reader, range, point);
}

bool
kalam_point_find(KalamPointReader *reader, const KalamRange *range, MemoryContext context,
				 KalamPoint *point)
{
	bool		found;

	Assert(reader->ttl > 0 && reader->pin == 0);
	if (reader->copy == NULL)
		reader->copy = MemoryContextAlloc(context, COPY_BYTES);
	point->key = range->lower;
	point->key_len = range->lower_len;
	found = range->flags & KALAM_SCAN_INDEX ? find_by_index(reader, range, context, point) :
		find_row(reader, range, point);
	if (found)
	{
		KALAM_STOP_POINT("cache_after_find");
		verify(range, point);
		return true;
	}
	reader->ticket = kalam_cache_ticket(kalam_query_cache, range->object_id);
	return false;
}

/* ---- putting ---- */

static void
put(const KalamPointReader *reader, const KalamRange *range, const uint8 *bytes, size_t len,
	uint32 tag, const KalamCachePart *parts, uint32 nparts)
{
	KalamCacheKey key = cache_key(range->object_id, bytes, len);
	uint64		value_len = 0;

	for (uint32 i = 0; i < nparts; i++)
		value_len += parts[i].len;
	if (kalam_cache_wants(kalam_query_cache, kalam_cache_process(), key.hash, value_len))
		(void) kalam_cache_put(kalam_query_cache, kalam_cache_process(), &key, reader->ticket,
							   range->stamp, tag, kalam_cache_now() + reader->ttl,
							   parts, nparts);
}

static void
put_row(const KalamPointReader *reader, const KalamRange *range, const uint8 *bytes, size_t len,
		const KalamRow *row)
{
	const uint32 head_len = offsetof(KalamRow, tuple_rest);
	KalamRow	head;
	KalamCachePart parts[2];

	/* (the head says what stands behind the tuple: keys, which are not kept) */
	memcpy(&head, row, head_len);
	head.size = KALAM_ROW_TUPLE_OFFSET + KALAM_ALIGN8(row->tuple_len);
	head.key_len = 0;
	head.index_key_len = 0;
	head.range[0] = head.range[1] = 0;
	parts[0] = (KalamCachePart) {&head, head_len};
	parts[1] = (KalamCachePart) {row->tuple_rest, head.size - head_len};
	put(reader, range, bytes, len, range->flags & KALAM_SCAN_KEYS_ONLY ? NO_BODY : WHOLE_ROW,
		parts, 2);
}

void
kalam_point_put(const KalamPointReader *reader, const KalamRange *range, const KalamRow *row)
{
	KALAM_STOP_POINT("cache_before_put");
	if (row == NULL)
		put(reader, range, range->lower, range->lower_len, WHOLE_ROW, NULL, 0);
	else if (!(range->flags & KALAM_SCAN_INDEX))
		put_row(reader, range, range->lower, range->lower_len, row);
	else
	{
		KalamCachePart key = {kalam_row_key(row), row->key_len};

		put(reader, range, range->lower, range->lower_len, WHOLE_ROW, &key, 1);
		put_row(reader, range, kalam_row_key(row), row->key_len, row);
	}
}
