/*
 * merge.c
 *	  Stored rows merged with own changes: see merge.h.
 *
 * Changes by the running command and later ones are not seen, so a scan that
 * began while its ranges had none of its own never needs to look again.
 *
 * Over an index what is merged are its entries.  An own one leads to the row by
 * its key.  A stored one that no own change overrides leads to a row whose
 * indexed columns are as they were, but of which there may be an own version.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/backend/load.h"
#include "src/backend/merge.h"
#include "src/backend/row.h"
#include "src/backend/spill.h"
#include "src/backend/stop_point.h"

static inline bool
is_point(const KalamKeyRange *r)
{
	return r->upper_len == 0;
}

static inline bool
flagged(const KalamMerge *m, uint32 flag)
{
	return (m->range.flags & flag) != 0;
}

/* ---- is there anything own? ---- */

/* Has this transaction written keys of this kind of the object? */
static bool
has_staged_of_kind(uint32 object_id, uint8 kind)
{
	KalamChanges *changes = kalam_changes_here();
	uint8		lower[KALAM_KEY_PREFIX_BYTES];
	uint8		upper[KALAM_KEY_PREFIX_BYTES];

	if (changes == NULL)
		return false;
	kalam_put_key_prefix(lower, object_id, kind);
	kalam_put_key_prefix(upper, object_id, kind + 1);
	return kalam_changes_any_in(changes, lower, sizeof(lower), upper, sizeof(upper));
}

static bool
has_staged(const KalamMerge *m)
{
	KalamChanges *changes = kalam_changes_here();
	const KalamKeyRange *r = &m->ranges[0];
	KalamVersion v;

	if (changes == NULL || m->nranges == 0)
		return false;
	if (m->nranges > 1)
		return has_staged_of_kind(m->range.object_id,
								  flagged(m, KALAM_SCAN_INDEX) ? KALAM_KEY_KIND_INDEX :
								  KALAM_KEY_KIND_ROW);
	if (is_point(r))
		return kalam_changes_find(changes, r->lower, r->lower_len, KALAM_ANY_COMMAND, &v);
	return kalam_changes_any_in(changes, r->lower, r->lower_len, r->upper, r->upper_len);
}

/* (Most scans need none: it is not worth its while to have them from the beginning.) */
static inline void
make_room_for_key(KalamMerge *m, uint8 **key)
{
	if (*key == NULL)
		*key = MemoryContextAlloc(m->context, KALAM_MAX_KEY_BYTES);
}

/* ---- own changes of keys in the ranges ---- */

/* Copies the value: the next look-up or spill takes it away. */
static void
keep_value(KalamMerge *m, KalamVersion *v, KalamKeptValue *kept)
{
	if (v->value_len > kept->size)
	{
		if (kept->bytes != NULL)
			pfree(kept->bytes);
		kept->bytes = NULL;
		kept->size = 0;
		kept->bytes = MemoryContextAllocHuge(m->context, v->value_len);
		kept->size = v->value_len;
	}
	memcpy(kept->bytes, v->value, v->value_len);
	v->value = (uint8 *) kept->bytes;
}

static void
free_value(KalamKeptValue *kept)
{
	if (kept->bytes != NULL)
		pfree(kept->bytes);
	kept->bytes = NULL;
	kept->size = 0;
}

static bool
find_own(KalamMerge *m, const uint8 *key, size_t key_len, KalamVersion *v)
{
	KalamChanges *changes = kalam_changes_here();

	return changes != NULL && kalam_changes_find(changes, key, key_len, m->command_id, v);
}

static bool
open_own_scan(KalamMerge *m, const KalamKeyRange *r)
{
	KalamChanges *changes = kalam_changes_here();
	KalamStagedMemory memory = kalam_spill_memory(m->context);

	if (changes == NULL)
		return false;
	m->own_scan = kalam_changes_scan_open(changes, &memory, r->lower, r->lower_len,
										  r->upper, r->upper_len, m->command_id,
										  flagged(m, KALAM_SCAN_REVERSE) ?
										  KALAM_CHANGES_REVERSE : 0);
	return true;
}

static void
close_own_scan(KalamMerge *m)
{
	if (m->own_scan != NULL)
		kalam_changes_scan_close(m->own_scan);
	m->own_scan = NULL;
}

/* Finds the next own version, which is in range own_range then. */
static void
next_own(KalamMerge *m)
{
	for (; m->own_range < m->nranges; m->own_range++)
	{
		const KalamKeyRange *r = &m->ranges[m->own_range];

		CHECK_FOR_INTERRUPTS();
		if (!is_point(r))
		{
			m->have_own = (m->own_scan != NULL || open_own_scan(m, r)) &&
				kalam_changes_scan_next(m->own_scan, &m->own);
			if (m->have_own)
				return;
			close_own_scan(m);
		}
		else if (m->own_point_given)
			m->own_point_given = false;
		else if (find_own(m, r->lower, r->lower_len, &m->own))
		{
			keep_value(m, &m->own, &m->own_point);
			m->own.key = r->lower;
			m->own.key_len = r->lower_len;
			m->have_own = m->own_point_given = true;
			return;
		}
	}
}

/* ---- stored rows ---- */

/* What comes with the ranges: sections that are as they are sent. */
static void
add_sections(KalamMerge *m)
{
	if ((m->range.input_len > 0 &&
		 !kalam_input_add(&m->input, m->range.input, m->range.input_len)) ||
		(m->aggregating && !kalam_input_add(&m->input, m->aggregates, m->aggregates_len)))
		elog(ERROR, "the input of a scan is too large");
}

/* What is asked for the one key. */
static KalamRange
point_range(const KalamMerge *m)
{
	KalamRange	range = m->range;

	range.lower = m->ranges[0].lower;
	range.lower_len = m->ranges[0].lower_len;
	range.upper_len = 0;
	range.flags |= KALAM_SCAN_POINT;
	range.flags &= ~KALAM_SCAN_REVERSE;
	range.max_rows = 0;
	return range;
}

/*
 * Looks the one key up in the query cache.  Not if what is stored is merged with own
 * versions: then it must come with its keys.
 */
static bool
find_cached(KalamMerge *m)
{
	KalamRange	range;

	if (m->point.ttl == 0 || m->nranges != 1 || !is_point(&m->ranges[0]) ||
		m->merging || m->replacing || flagged(m, KALAM_SCAN_NEWEST | KALAM_SCAN_COUNT))
		return false;
	range = point_range(m);
	if (!kalam_point_find(&m->point, &range, m->context, &m->found))
	{
		m->cost.query_misses++;
		m->missed = !m->point.finds_only;
		if (flagged(m, KALAM_SCAN_INDEX))
			m->range.flags |= KALAM_SCAN_KEYS;
		return false;
	}
	m->cost.query_hits++;
	m->have_stored = m->cached = true;
	m->stored = m->found.row;
	m->cursor_first = 0;
	m->cursor_end = 1;
	return true;
}

/* Are the rows of a list of keys to be looked up there?  Not where storage counts them. */
static bool
asks_for_list(const KalamMerge *m)
{
	return m->point.ttl > 0 && !m->point.finds_only && m->result == NULL &&
		m->aggregates == NULL && !m->merging && !m->replacing &&
		!flagged(m, KALAM_SCAN_NEWEST | KALAM_SCAN_COUNT) &&
		kalam_point_list_suits(m->ranges, m->nranges);
}

/* Asks for the ranges from cursor_end on, as many as a request carries. */
static void
open_cursor(KalamMerge *m)
{
	KalamRange	range = m->range;

	m->cursor_first = m->cursor_end;
	m->input.context = m->context;
	kalam_input_reset(&m->input);
	if (m->nranges == 1)
	{
		const KalamKeyRange *r = &m->ranges[0];

		if (is_point(r))
			range = point_range(m);
		else
		{
			range.lower = r->lower;
			range.lower_len = r->lower_len;
			range.upper = r->upper;
			range.upper_len = r->upper_len;
		}
		if (m->aggregating)
		{
			add_sections(m);
			range.input = m->input.bytes;
			range.input_len = m->input.len;
		}
		m->cursor_end = 1;
	}
	else
	{
		KalamInput *in = &m->input;

		kalam_input_begin(in, KALAM_SECTION_RANGES);
		while (m->cursor_end < m->nranges)
		{
			const KalamKeyRange *r = &m->ranges[m->cursor_end];
			size_t		len = 2 * sizeof(uint16) + r->lower_len + r->upper_len;

			if (KALAM_ALIGN8(in->len + len) + m->range.input_len + m->aggregates_len >
				KALAM_MAX_INPUT_BYTES ||
				!kalam_input_add_range(in, r->lower, r->lower_len, r->upper, r->upper_len))
				break;
			m->cursor_end++;
		}
		kalam_input_end(in);
		if (m->cursor_end == m->cursor_first)
			elog(ERROR, "the input of a scan is too large");
		add_sections(m);
		range.input = in->bytes;
		range.input_len = in->len;
	}
	range.result = m->result;
	if (m->kept)
		kalam_scan_result_go_on(m->result, &range);
	m->kept = false;
	m->cursor = kalam_cursor_open(&range);
}

static void
close_cursor(KalamMerge *m)
{
	if (m->cursor == NULL)
		return;
	kalam_cursor_add_cost(m->cursor, &m->cost);
	kalam_cursor_close(m->cursor);
	m->cursor = NULL;
}

/* kalam.verify_cache: storage is asked all the same. */
static void
verify_result(KalamMerge *m)
{
#ifdef KALAM_STOP_POINTS
	KalamScanResult *result = m->result;

	if (!m->kept || !kalam_verify_cache)
		return;
	m->result = NULL;
	m->kept = false;
	open_cursor(m);
	kalam_scan_result_verify(result, m->cursor, flagged(m, KALAM_SCAN_COUNT));
	close_cursor(m);
	m->result = result;
	m->kept = true;
	m->cursor_first = m->cursor_end = 0;
#endif
}

/* Goes on to the ranges that the cursor did not carry.  False: there are none. */
static bool
next_cursor(KalamMerge *m)
{
	if (m->cursor == NULL || m->cursor_end == m->nranges)
		return false;
	CHECK_FOR_INTERRUPTS();
	close_cursor(m);
	open_cursor(m);
	return true;
}

/* Goes on behind the rows of the result; false if there are none. */
static bool
leave_result(KalamMerge *m)
{
	if (kalam_scan_result_is_whole(m->result))
		return false;
	open_cursor(m);
	return true;
}

static const KalamRow *
next_stored(KalamMerge *m)
{
	const KalamRow *row = NULL;

	if (m->listed)
		return kalam_point_list_next(m->list, &m->found, &m->listed_at) ? m->found.row : NULL;
	if (m->kept && ((row = kalam_scan_result_next(m->result)) != NULL || !leave_result(m)))
		return row;
	if (m->cursor == NULL)
		return NULL;
	while ((row = kalam_cursor_next(m->cursor)) == NULL && next_cursor(m))
		;
	if (m->missed)
	{
		KalamRange	range = point_range(m);

		m->missed = false;
		kalam_point_put(&m->point, &range, row);
	}
	return row;
}

uint64
kalam_merge_next_count(KalamMerge *m)
{
	uint64		n = 0;

	if (m->kept && ((n = kalam_scan_result_next_count(m->result)) > 0 || !leave_result(m)))
		return n;
	if (m->cursor == NULL)
		return 0;
	while ((n = kalam_cursor_next_count(m->cursor)) == 0 && next_cursor(m))
		;
	return n;
}

static inline int
range_of(const KalamMerge *m, const KalamRow *row)
{
	return m->cursor_first + (int) (row->range[0] | (uint32) row->range[1] << 16);
}

/* ---- opening ---- */

static bool
fits_one_request(const KalamMerge *m)
{
	uint64		len = KALAM_ALIGN8(sizeof(KalamScanSection)) + m->range.input_len + m->aggregates_len;

	if (m->nranges == 1)
		return true;
	for (int i = 0; i < m->nranges; i++)
		len += 2 * sizeof(uint16) + m->ranges[i].lower_len + m->ranges[i].upper_len;
	return KALAM_ALIGN8(len) <= KALAM_MAX_INPUT_BYTES;
}

void
kalam_merge_open_list(KalamMerge *m, const KalamRange *range, const KalamKeyRange *ranges,
					  int nranges, CommandId command_id)
{
	bool		index = (range->flags & KALAM_SCAN_INDEX) != 0;

	Assert(!m->open);
	m->range = *range;
	m->ranges = ranges;
	m->nranges = nranges;
	m->command_id = command_id;
	m->have_stored = false;
	m->cached = m->missed = false;
	m->have_own = false;
	m->own_range = 0;
	m->own_point_given = false;
	m->cursor = NULL;
	m->cursor_first = m->cursor_end = 0;
	m->kept = m->result != NULL && kalam_scan_result_is_found(m->result);
	m->open = true;

	Assert(m->filter == NULL || !flagged(m, KALAM_SCAN_KEYS_ONLY));
	kalam_loads_show(range->object_id, command_id);
	m->merging = has_staged(m);
	m->replacing = index && !flagged(m, KALAM_SCAN_KEYS_ONLY) &&
		(m->filter != NULL || !flagged(m, KALAM_SCAN_COUNT)) &&
		has_staged_of_kind(range->object_id, KALAM_KEY_KIND_ROW);
	m->listed = asks_for_list(m);
	/*
	 * (the row of a point is tried here: that is less work than a request with
	 * input; so are those of a list, for one that storage passed over would seem not to
	 * be there; so are rows of which there may be own versions that storage knows not)
	 */
	m->filter_sent = m->range.input != NULL && !m->replacing &&
		!m->listed && !(nranges == 1 && is_point(&ranges[0]));
	if (m->filter != NULL && !m->filter_sent)
		m->range.flags &= ~KALAM_SCAN_COUNT;
	if (!m->filter_sent)
	{
		m->range.input = NULL;
		m->range.input_len = 0;
	}

	if (m->merging || m->replacing)
		m->range.flags |= KALAM_SCAN_KEYS;
	if (m->merging)
	{
		if (index)
			m->range.flags |= KALAM_SCAN_INDEX_KEYS;
		m->range.flags &= ~KALAM_SCAN_COUNT;
		m->range.max_rows = 0;
		next_own(m);
	}
	m->aggregating = m->aggregates != NULL && !m->merging && !m->replacing &&
		!(nranges == 1 && is_point(&ranges[0])) && (m->filter == NULL || m->filter_sent) &&
		(!m->aggregates_once || fits_one_request(m));
	if (kalam_object_is_new(range->object_id))
	{
		m->range.flags &= ~KALAM_SCAN_COUNT;
		m->listed = false;
	}
	else if (m->listed)
	{
		if (m->list == NULL)
			m->list = MemoryContextAllocZero(m->context, sizeof(KalamPointList));
		kalam_point_list_open(m->list, m->point.ttl, &m->range, ranges, nranges, m->context);
	}
	else if (nranges > 0 && !(nranges == 1 && is_point(&ranges[0]) && m->have_own) &&
			 !m->kept && !find_cached(m))
		open_cursor(m);
	verify_result(m);
	m->counting = flagged(m, KALAM_SCAN_COUNT);
	Assert(m->result == NULL ||
		   !(m->merging || m->replacing || kalam_object_is_new(range->object_id)));
}

void
kalam_merge_open(KalamMerge *m, const KalamRange *range, CommandId command_id)
{
	make_room_for_key(m, &m->lower);
	make_room_for_key(m, &m->upper);
	memcpy(m->lower, range->lower, range->lower_len);
	memcpy(m->upper, range->upper, range->upper_len);
	m->single.lower = m->lower;
	m->single.lower_len = range->lower_len;
	m->single.upper = m->upper;
	m->single.upper_len = range->flags & KALAM_SCAN_POINT ? 0 : range->upper_len;
	kalam_merge_open_list(m, range, &m->single, 1, command_id);
}

/* ---- rows ---- */

/* False: it is to be passed over. */
static bool
give_stored(KalamMerge *m, KalamMergedRow *row)
{
	const KalamRow *stored = m->stored;
	KalamVersion v;

	row->tuple = kalam_row_tuple(stored);
	row->range = m->listed ? m->listed_at : range_of(m, stored);
	row->key = stored->key_len > 0 ? kalam_row_key(stored) : NULL;
	row->key_len = stored->key_len;
	row->entry = stored->index_key_len > 0 ? kalam_row_key(stored) + stored->key_len : NULL;
	row->entry_len = stored->index_key_len;
	if (m->cached || m->listed)
	{
		row->key = m->found.key;
		row->key_len = m->found.key_len;
		row->entry = m->ranges[row->range].lower;
		row->entry_len = m->ranges[row->range].lower_len;
	}
	row->own = false;
	row->own_command = 0;
	row->passed = m->filter_sent;
	row->group = (stored->flags & KALAM_ROW_GROUP) != 0;
	if (m->replacing && find_own(m, row->key, row->key_len, &v))
	{
		row->passed = false;
		if (v.op != KALAM_CHANGE_PUT)
			return false;
		keep_value(m, &v, &m->own_row);
		row->tuple = kalam_version_tuple(&v);
		row->own = true;
		row->own_command = v.command_id + 1;
	}
	return true;
}

/*
 * The row that an own index entry leads to: staged with it, or stored, if the
 * entry was made when the index was built.
 */
static bool
give_own_entry(KalamMerge *m, KalamMergedRow *row)
{
	KalamVersion v;

	make_room_for_key(m, &m->row_key);
	row->key = m->row_key;
	row->key_len = kalam_index_entry_row_key(m->own.key, m->own.key_len, m->own.value,
											 m->own.value_len, m->row_key);
	row->entry = m->own.key;
	row->entry_len = m->own.key_len;
	row->own = true;
	row->own_command = m->own.command_id + 1;
	if (row->key_len == 0)
		elog(ERROR, "an index entry of this transaction leads nowhere");
	if (flagged(m, KALAM_SCAN_KEYS_ONLY))
	{
		row->tuple = NULL;
		return true;
	}
	if (find_own(m, row->key, row->key_len, &v))
	{
		if (v.op != KALAM_CHANGE_PUT)
			return false;
		keep_value(m, &v, &m->own_row);
		row->tuple = kalam_version_tuple(&v);
		row->own_command = v.command_id + 1;
		return true;
	}
	if (m->fetched != NULL)
		pfree(m->fetched);
	m->fetched = NULL;
	if (kalam_object_is_new(m->range.object_id))
		return false;
	{
		MemoryContext old = MemoryContextSwitchTo(m->context);

		m->fetched = kalam_get_at(row->key, row->key_len, m->range.stamp);
		MemoryContextSwitchTo(old);
	}
	if (m->fetched == NULL)
		return false;
	row->tuple = kalam_row_tuple(m->fetched);
	row->own = false;
	row->own_command = 0;
	return true;
}

static bool
give_own(KalamMerge *m, KalamMergedRow *row)
{
	row->range = m->own_range;
	row->passed = false;
	row->group = false;
	if (m->own.op != KALAM_CHANGE_PUT)
		return false;
	if (flagged(m, KALAM_SCAN_INDEX))
		return give_own_entry(m, row);
	row->tuple = kalam_version_tuple(&m->own);
	row->key = m->own.key;
	row->key_len = m->own.key_len;
	row->entry = NULL;
	row->entry_len = 0;
	row->own = true;
	row->own_command = m->own.command_id + 1;
	row->own_len = m->own.value_len;
	return true;
}

/* Which comes first, the next own version (negative) or the next stored row? */
static int
compare_next(const KalamMerge *m)
{
	const uint8 *key = kalam_row_key(m->stored);
	size_t		len = m->stored->key_len;
	int			range = range_of(m, m->stored);
	int			cmp;

	if (m->own_range != range)
		return m->own_range < range ? -1 : 1;
	if (flagged(m, KALAM_SCAN_INDEX))
	{
		key += len;
		len = m->stored->index_key_len;
	}
	cmp = kalam_key_compare(m->own.key, m->own.key_len, key, len);
	return flagged(m, KALAM_SCAN_REVERSE) ? -cmp : cmp;
}

static bool
next_row(KalamMerge *m, KalamMergedRow *row)
{
	for (;;)
	{
		bool		given;
		int			cmp;

		if (!m->have_stored)
		{
			m->stored = next_stored(m);
			m->have_stored = true;
		}
		if (!m->merging)
			cmp = 1;
		else
		{
			CHECK_FOR_INTERRUPTS();
			if (!m->have_own)
				next_own(m);
			cmp = !m->have_own ? 1 : m->stored == NULL ? -1 : compare_next(m);
		}
		if (cmp > 0)
		{
			if (m->stored == NULL)
				return false;
			given = give_stored(m, row);
			m->have_stored = false;
		}
		else
		{
			given = give_own(m, row);
			m->have_own = false;
			if (cmp == 0)
				m->have_stored = false;
		}
		if (given)
			return true;
	}
}

bool
kalam_merge_next(KalamMerge *m, KalamMergedRow *row)
{
	while (next_row(m, row))
	{
		if (m->filter == NULL || row->passed || kalam_filter_passes(m->filter, row->tuple))
			return true;
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

void
kalam_merge_close(KalamMerge *m)
{
	close_cursor(m);
	if (m->listed)
	{
		kalam_point_list_add_cost(m->list, &m->cost);
		kalam_point_list_close(m->list);
	}
	m->listed = false;
	kalam_point_done(&m->point);
	close_own_scan(m);
	free_value(&m->own_point);
	free_value(&m->own_row);
	if (m->fetched != NULL)
		pfree(m->fetched);
	m->fetched = NULL;
	m->have_own = false;
	m->open = false;
}

KalamScanCost
kalam_merge_cost(const KalamMerge *m)
{
	KalamScanCost cost = m->cost;

	if (m->open && m->cursor != NULL)
		kalam_cursor_add_cost(m->cursor, &cost);
	if (m->listed)
		kalam_point_list_add_cost(m->list, &cost);
	return cost;
}
