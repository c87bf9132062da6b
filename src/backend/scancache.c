/*
 * scancache.c
 *	  Results of scans in the query cache: see scancache.h.
 *
 * A key is KalamResultKey, the ranges, and the sections of input as storage gets
 * them: the program of the conditions with its constants and the layout of rows, the
 * aggregates.  Neither the session nor the stamp is in it, nor how storage is to
 * work.  How the rows came in blocks is forgotten; how they were made into partial
 * groups may differ from one time to the next, and each of these is right.
 *
 * A value is KalamResultHead, the entries of rows as they lay in blocks, and the key
 * behind which the scan goes on.  It was read at a stamp; whatever the object's words
 * in the segment say to be older than that has not changed it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/backend/cachepin.h"
#include "src/backend/load.h"
#include "src/backend/row.h"
#include "src/backend/scancache.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"
#include "src/shared/truth.h"

/* Results of so many bytes are copied: that is less work than a pin. */
#define COPY_BYTES		3072

/* What is gathered, to begin with. */
#define FIRST_BYTES		(16 * 1024)

/* One process may gather so much of a result, for a small cache and a large one. */
#define LEAST_BOUND		(64 * 1024)
#define CACHE_SHARE		16

/* Plans may be so wrong about how much comes. */
#define PLANS_ERR		4

/* Flags of requests that make no other rows of it. */
#define SAME_ROWS		(KALAM_SCAN_PART | KALAM_SCAN_MEASURE)

typedef struct KalamResultKey
{
	uint32		none;			/* 0: keys of rows begin with the id of an object */
	uint32		object_id;
	uint32		flags;			/* KALAM_SCAN_* */
	uint32		limited;		/* no more than some rows were asked for */
	uint32		nranges;
	uint32		ranges_len;
	uint32		input_len;
	uint32		aggregates_len;
	/* ranges: uint16 lower_len, upper_len, and the two; input; aggregates */
} KalamResultKey;

typedef struct KalamResultHead
{
	uint64		nrows;
	uint64		rows_len;
	uint32		resume_range;
	uint16		resume_len;
	bool		whole;
	bool		unused;
} KalamResultHead;

StaticAssertDecl(sizeof(KalamResultHead) % 8 == 0, "rows behind it are 8-aligned");
StaticAssertDecl(offsetof(KalamResultKey, aggregates_len) + sizeof(uint32) ==
				 sizeof(KalamResultKey), "no padding in keys");
StaticAssertDecl(offsetof(KalamResultHead, unused) + sizeof(bool) == sizeof(KalamResultHead),
				 "no padding in heads");

typedef enum KeptState
{
	KEPT_CLOSED,
	KEPT_FOUND,					/* being read */
	KEPT_WANTED,				/* being gathered */
	KEPT_MADE					/* by requests; it is not, or no more, gathered */
} KeptState;

struct KalamScanResult
{
	MemoryContext context;
	uint64		ttl;			/* ms */
	KeptState state;

	KalamCacheKey key;
	uint8	   *key_bytes;
	Size		key_room;
	KalamCacheAt at;
	double		planned_bytes;
	uint64		ticket;

	/* FOUND; what was found stays until the close */
	KalamCachePin pin;			/* 0: it was copied */
	const KalamResultHead *head;
	const uint8 *next;
	uint64		rows_left;

	/* WANTED */
	KalamResultHead gathered;	/* resume_len: of the key in resume */
	uint8	   *rows;			/* NULL: none so far */
	Size		room;
	Size		bound;
	int			nrequests;		/* whose answers are still to come */
	bool		single;			/* it is one for all: where it stops can be gone on from */
	uint8	   *resume;			/* KALAM_MAX_KEY_BYTES, or NULL */

	uint64		copy[COPY_BYTES / 8];
};

StaticAssertDecl(sizeof(KalamScanResult) <= 4096, "a chunk of a memory context holds it");

KalamScanResult *
kalam_scan_result_create(uint64 ttl, MemoryContext context)
{
	KalamScanResult *r = MemoryContextAlloc(context, sizeof(KalamScanResult));

	memset(r, 0, offsetof(KalamScanResult, copy));
	r->ttl = ttl;
	r->context = context;
	return r;
}

bool
kalam_scan_result_own_changes(uint32 object_id)
{
	KalamChanges *changes = kalam_changes_here();
	uint8		lower[sizeof(uint32)];
	uint8		upper[sizeof(uint32)];

	if (kalam_nloads > 0)
		return true;
	if (changes == NULL)
		return false;
	kalam_put_be32(lower, object_id);
	kalam_put_be32(upper, object_id + 1);
	return kalam_object_is_new(object_id) ||
		kalam_changes_any_in(changes, lower, sizeof(lower), upper, sizeof(upper));
}

/* ---- the key ---- */

static inline uint8 *
put_bytes(uint8 *to, const void *bytes, Size len)
{
	if (len > 0)
		memcpy(to, bytes, len);
	return to + len;
}

/* False: it is too long. */
static bool
make_key(KalamScanResult *r, const KalamResultRequest *request)
{
	const KalamRange *range = request->range;
	KalamResultKey head = {
		.object_id = range->object_id, .flags = range->flags & ~SAME_ROWS,
		.limited = range->max_rows != 0, .nranges = request->nranges,
		.input_len = range->input_len, .aggregates_len = request->aggregates_len
	};
	Size		len = sizeof(head) + range->input_len + request->aggregates_len;
	uint8	   *to;

	for (int i = 0; i < request->nranges && len <= KALAM_CACHE_MAX_KEY_BYTES; i++)
		len += 2 * sizeof(uint16) + request->ranges[i].lower_len + request->ranges[i].upper_len;
	if (len > KALAM_CACHE_MAX_KEY_BYTES)
		return false;
	if (len > r->key_room)
	{
		if (r->key_bytes != NULL)
			pfree(r->key_bytes);
		r->key_bytes = NULL;
		r->key_room = 0;
		r->key_bytes = MemoryContextAlloc(r->context, len);
		r->key_room = len;
	}

	to = r->key_bytes + sizeof(head);
	for (int i = 0; i < request->nranges; i++)
	{
		const KalamKeyRange *one = &request->ranges[i];
		uint16		lens[2] = {one->lower_len, one->upper_len};

		to = put_bytes(to, lens, sizeof(lens));
		to = put_bytes(to, one->lower, one->lower_len);
		to = put_bytes(to, one->upper, one->upper_len);
	}
	head.ranges_len = to - r->key_bytes - sizeof(head);
	to = put_bytes(to, range->input, range->input_len);
	to = put_bytes(to, request->aggregates, request->aggregates_len);
	memcpy(r->key_bytes, &head, sizeof(head));
	Assert(to == r->key_bytes + len);

	r->key.data = r->key_bytes;
	r->key.len = len;
	r->key.group = range->object_id;
	r->key.hash = kalam_hash(r->key_bytes, len, 0);
	return true;
}

/* ---- finding ---- */

/*
 * Is it worth its while to gather the result?  Not if it has changed already for those
 * who come, nor if it is much too large.  Once the cache is full, only if it was asked
 * for since its last change: what changes more often than it is read is not copied.
 */
static bool
is_worth_it(KalamScanResult *r)
{
	uint64		changed = kalam_at_newest_change(&r->at);

	if (changed > r->at.stamp)
		return false;
	r->bound = Min(Max((uint64) kalam_query_cache_size * 1024 / CACHE_SHARE, LEAST_BOUND),
				   kalam_cache_max_value_bytes(kalam_query_cache));
	r->bound = Min(r->bound, (Size) work_mem * 1024);
	if (r->planned_bytes > (double) r->bound * PLANS_ERR)
		return false;
	return kalam_cache_wants(kalam_query_cache, kalam_cache_process(),
							 kalam_hash(&changed, sizeof(changed), r->key.hash),
							 (uint64) Min(r->planned_bytes, (double) r->bound));
}

static void
begin_gathering(KalamScanResult *r)
{
	r->state = KEPT_MADE;
	if (!is_worth_it(r))
		return;
	r->state = KEPT_WANTED;
	r->ticket = kalam_cache_ticket(kalam_query_cache, r->key.group);
	memset(&r->gathered, 0, sizeof(r->gathered));
	r->nrequests = 1;
	r->single = true;
}

KalamResultFind
kalam_scan_result_find(KalamScanResult *r, const KalamResultRequest *request)
{
	KalamCacheValue value;

	Assert(r->state == KEPT_CLOSED);
	if (!make_key(r, request))
		return KALAM_RESULT_NOT_ASKED;
	r->planned_bytes = request->bytes;
	r->at = kalam_at_object(kalam_segment, request->range->object_id, request->range->stamp,
							kalam_cache_now());
	if (kalam_cache_find_held(kalam_query_cache, &r->key, &r->at, r->copy, sizeof(r->copy),
							  request->range->owner, &value, &r->pin) == KALAM_CACHE_MISS)
	{
		begin_gathering(r);
		return KALAM_RESULT_MISSED;
	}
	KALAM_STOP_POINT("cache_after_find");
	r->state = KEPT_FOUND;
	r->head = value.data;
	r->next = (const uint8 *) (r->head + 1);
	r->rows_left = r->head->nrows;
	return KALAM_RESULT_FOUND;
}

/* ---- reading ---- */

bool
kalam_scan_result_is_found(const KalamScanResult *r)
{
	return r->state == KEPT_FOUND;
}

const KalamRow *
kalam_scan_result_next(KalamScanResult *r)
{
	const KalamRow *row = (const KalamRow *) r->next;

	Assert(r->state == KEPT_FOUND);
	if (r->rows_left == 0)
		return NULL;
	r->rows_left--;
	r->next += row->size;
	return row;
}

uint64
kalam_scan_result_next_count(KalamScanResult *r)
{
	uint64		n = r->rows_left;

	Assert(r->state == KEPT_FOUND);
	r->rows_left = 0;
	return n;
}

bool
kalam_scan_result_is_whole(const KalamScanResult *r)
{
	return r->head->whole;
}

/* ---- keeping ---- */

bool
kalam_scan_result_is_wanted(const KalamScanResult *r)
{
	return r->state == KEPT_WANTED;
}

void
kalam_scan_result_in_pieces(KalamScanResult *r, int n)
{
	r->nrequests = n;
	r->single = false;
}

static void
free_rows(KalamScanResult *r)
{
	if (r->rows != NULL)
		pfree(r->rows);
	r->rows = NULL;
	r->room = 0;
}

static void
give_up(KalamScanResult *r)
{
	free_rows(r);
	r->state = KEPT_MADE;
}

static void
put(KalamScanResult *r, const void *rows)
{
	KalamCachePart parts[3] = {
		{&r->gathered, sizeof(r->gathered)},
		{rows, r->gathered.rows_len},
		{r->resume, r->gathered.resume_len}
	};

	KALAM_STOP_POINT("cache_before_put");
	(void) kalam_cache_put(kalam_query_cache, kalam_cache_process(), &r->key, r->ticket,
						   r->at.stamp, 0, kalam_cache_now() + r->ttl, parts, 3);
	give_up(r);
}

/* Adds the bytes to those that are there; false if there is no memory. */
static bool
add_rows(KalamScanResult *r, const void *rows, Size len)
{
	Size		want = r->gathered.rows_len + len;

	if (want > r->room)
	{
		Size		room = Min(Max(2 * want, FIRST_BYTES), r->bound);
		uint8	   *more = MemoryContextAllocExtended(r->context, room,
													  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);

		if (more == NULL)
			return false;
		memcpy(more, r->rows, r->gathered.rows_len);
		free_rows(r);
		r->rows = more;
		r->room = room;
	}
	memcpy(r->rows + r->gathered.rows_len, rows, len);
	return true;
}

static void
note_resume(KalamScanResult *r, const KalamResultBlock *block)
{
	if (block->resume_len == 0)
		return;
	if (r->resume == NULL)
		r->resume = MemoryContextAlloc(r->context, KALAM_MAX_KEY_BYTES);
	memcpy(r->resume, block->resume, block->resume_len);
	r->gathered.resume_len = block->resume_len;
	r->gathered.resume_range = block->resume_range;
}

void
kalam_scan_result_take(KalamScanResult *r, const KalamResultBlock *block)
{
	bool		first = r->rows == NULL;
	bool		done;

	Assert(r->state == KEPT_WANTED);
	if (sizeof(r->gathered) + r->gathered.rows_len + block->len + KALAM_MAX_KEY_BYTES > r->bound)
	{
		give_up(r);
		return;
	}
	if (r->single)
		note_resume(r, block);
	r->nrequests -= block->last;
	r->gathered.whole = block->whole && r->nrequests == 0;
	done = r->gathered.whole || (block->last && r->single && r->gathered.resume_len > 0);

	/* most results are one block, and go into the cache from there */
	if (!(first && done) && block->len > 0 && !add_rows(r, block->rows, block->len))
	{
		give_up(r);
		return;
	}
	r->gathered.nrows += block->nrows;
	r->gathered.rows_len += block->len;
	if (done)
		put(r, first ? block->rows : r->rows);
}

void
kalam_scan_result_go_on(KalamScanResult *r, KalamRange *range)
{
	const KalamResultHead *found = r->head;
	const uint8 *rows = (const uint8 *) (found + 1);

	Assert(r->state == KEPT_FOUND && r->rows_left == 0 && !found->whole);
	range->behind = rows + found->rows_len;
	range->behind_len = found->resume_len;
	range->behind_range = found->resume_range;
	range->max_rows = range->max_rows > found->nrows ? range->max_rows - found->nrows : 0;

	begin_gathering(r);
	if (r->state == KEPT_WANTED)
	{
		KalamResultBlock block = {
			.rows = rows, .len = found->rows_len, .nrows = found->nrows,
			.resume_range = found->resume_range, .resume_len = found->resume_len,
			.resume = range->behind
		};

		kalam_scan_result_take(r, &block);
	}
}

/* ---- the end ---- */

void
kalam_scan_result_close(KalamScanResult *r)
{
	/* a scan that stops early may stop there again */
	if (r->state == KEPT_WANTED && r->single && r->gathered.resume_len > 0)
		put(r, r->rows);
	free_rows(r);
	kalam_cache_give_back(&r->pin);
	r->state = KEPT_CLOSED;
}

#ifdef KALAM_STOP_POINTS
static bool
same_row(const KalamRow *kept, const KalamRow *stored)
{
	/* (the number of the range is that within a piece, if it was read in such) */
	return stored != NULL && kept->size == stored->size && kept->flags == stored->flags &&
		kept->version == stored->version && kept->tuple_len == stored->tuple_len &&
		kept->key_len == stored->key_len && kept->index_key_len == stored->index_key_len &&
		memcmp(kept->tuple_rest, stored->tuple_rest,
			   kept->tuple_len - KALAM_TUPLE_BODY_OFFSET) == 0 &&
		memcmp(kalam_row_key(kept), kalam_row_key(stored),
			   kept->key_len + kept->index_key_len) == 0;
}

void
kalam_scan_result_verify(const KalamScanResult *r, KalamCursor *cursor, bool counts)
{
	const uint8 *at = (const uint8 *) (r->head + 1);
	const KalamRow *stored = NULL;
	uint64		left = r->head->nrows;
	bool		same = true;

	if (counts)
	{
		uint64		n;

		while ((n = kalam_cursor_next_count(cursor)) > 0 && n <= left)
			left -= n;
		same = n == 0 ? left == 0 : !r->head->whole;
	}
	for (; !counts && same && left > 0; left--)
	{
		const KalamRow *kept = (const KalamRow *) at;

		stored = kalam_cursor_next(cursor);
		/* of groups there may be more or fewer parts */
		if (kept->flags & KALAM_ROW_GROUP)
			return;
		same = same_row(kept, stored);
		at += kept->size;
	}
	if (!counts && same && r->head->whole)
		same = kalam_cursor_next(cursor) == NULL;
	if (!same)
		elog(PANIC, "the query cache is wrong about a scan of object %u at stamp " UINT64_FORMAT,
			 r->key.group, r->at.stamp);
}
#endif
