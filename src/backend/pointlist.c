/*
 * pointlist.c
 *	  Rows of a list of keys: see pointlist.h.
 *
 * Small rows are copied when they are looked up, for what is found now may be gone when
 * its turn comes, and then there would be two requests.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/backend/caches.h"
#include "src/backend/pointlist.h"
#include "src/backend/row.h"

/*
 * Longer lists are left to storage, which is at work on one key while the row of another
 * is used here: to look up what is mostly not known would only cost.
 */
#define MOST_POINTS		256
#define MOST_KEY_BYTES	(64 * 1024)

bool
kalam_point_list_suits(const KalamKeyRange *ranges, int n)
{
	Size		bytes = 0;

	if (n < 2 || n > MOST_POINTS)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (ranges[i].upper_len > 0)
			return false;
		bytes += ranges[i].lower_len;
	}
	return bytes <= MOST_KEY_BYTES;
}

static KalamRange
range_of(const KalamPointList *list, int i)
{
	KalamRange	range = list->range;

	range.lower = list->ranges[i].lower;
	range.lower_len = list->ranges[i].lower_len;
	range.upper_len = 0;
	return range;
}

static void *
copy_bytes(const void *bytes, Size len)
{
	return memcpy(palloc(len), bytes, len);
}

/* False: it is not known, or too large to be kept as long as the list. */
static bool
look_up(KalamPointList *list, int i)
{
	KalamRange	range = range_of(list, i);
	KalamPoint *point = &list->known[i];
	bool		found = kalam_point_find(&list->reader, &range, list->context, point);

	if (found && list->reader.pin == 0)
	{
		if (point->row != NULL)
			point->row = copy_bytes(point->row, point->row->size);
	}
	else if (found && list->npins < KALAM_LIST_PINS)
	{
		list->pins[list->npins++] = list->reader.pin;
		list->reader.pin = 0;
	}
	else
	{
		kalam_point_done(&list->reader);
		point->row = NULL;
		return false;
	}
	if (point->row != NULL && list->range.flags & KALAM_SCAN_INDEX)
		point->key = copy_bytes(point->key, point->key_len);
	return true;
}

/* One request for all that are not known. */
static void
ask(KalamPointList *list)
{
	KalamRange	range = list->range;
	KalamInput	input = {.context = list->context};

	if (list->nasked == 1)
	{
		range = range_of(list, list->asked[0]);
		range.flags |= KALAM_SCAN_POINT;
	}
	else
	{
		kalam_input_begin(&input, KALAM_SECTION_RANGES);
		for (int i = 0; i < list->nasked; i++)
		{
			const KalamKeyRange *r = &list->ranges[list->asked[i]];

			if (!kalam_input_add_range(&input, r->lower, r->lower_len, NULL, 0))
				elog(ERROR, "the input of a scan is too large");
		}
		kalam_input_end(&input);
		range.lower_len = 0;
		range.upper_len = 0;
		range.input = input.bytes;
		range.input_len = input.len;
	}
	list->cursor = kalam_cursor_open(&range);
}

void
kalam_point_list_open(KalamPointList *list, uint64 ttl, const KalamRange *range,
					  const KalamKeyRange *ranges, int n, MemoryContext context)
{
	MemoryContext old;

	Assert(range->input == NULL && kalam_point_list_suits(ranges, n));
	if (list->context == NULL)
		list->context = AllocSetContextCreate(context, "kalam list of keys",
											  ALLOCSET_SMALL_SIZES);
	*list = (KalamPointList) {
		.context = list->context, .reader.ttl = ttl, .range = *range,
		.ranges = ranges, .n = n
	};
	list->range.flags &= ~(KALAM_SCAN_REVERSE | KALAM_SCAN_KEYS | KALAM_SCAN_INDEX_KEYS);
	/* (the list has the keys that were asked for; an index leads to others) */
	if (range->flags & KALAM_SCAN_INDEX)
		list->range.flags |= KALAM_SCAN_KEYS;
	old = MemoryContextSwitchTo(list->context);
	list->known = palloc0(n * sizeof(KalamPoint));
	list->asked = palloc(n * sizeof(int));
	for (int i = 0; i < n; i++)
		if (!look_up(list, i))
			list->asked[list->nasked++] = i;
	list->cost.query_hits = n - list->nasked;
	list->cost.query_misses = list->nasked;
	if (list->nasked > 0)
		ask(list);
	MemoryContextSwitchTo(old);
}

/* What storage says about the one that is next in the list. */
static KalamPoint
take_asked(KalamPointList *list)
{
	KalamRange	range = range_of(list, list->at);
	KalamPoint	point = {.key = range.lower, .key_len = range.lower_len};

	if (!list->have_sent)
		list->sent = kalam_cursor_next(list->cursor);
	list->have_sent = true;
	if (list->sent != NULL && (int) kalam_row_range(list->sent) == list->asked_at)
	{
		point.row = list->sent;
		list->have_sent = false;
		if (range.flags & KALAM_SCAN_INDEX)
		{
			point.key = kalam_row_key(point.row);
			point.key_len = point.row->key_len;
		}
	}
	list->asked_at++;
	kalam_point_put(&list->reader, &range, point.row);
	return point;
}

bool
kalam_point_list_next(KalamPointList *list, KalamPoint *point, int *at)
{
	while (list->at < list->n)
	{
		bool		asked = list->asked_at < list->nasked &&
			list->asked[list->asked_at] == list->at;

		*point = asked ? take_asked(list) : list->known[list->at];
		*at = list->at++;
		if (point->row != NULL)
			return true;
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

void
kalam_point_list_add_cost(const KalamPointList *list, KalamScanCost *cost)
{
	kalam_scan_cost_add(cost, &list->cost);
	if (list->cursor != NULL)
		kalam_cursor_add_cost(list->cursor, cost);
}

void
kalam_point_list_close(KalamPointList *list)
{
	if (list->cursor != NULL)
		kalam_cursor_close(list->cursor);
	for (int i = 0; i < list->npins; i++)
		kalam_cache_give_back(&list->pins[i]);
	MemoryContextReset(list->context);
}
