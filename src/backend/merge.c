/*
 * merge.c
 *	  Stored rows merged with own changes: see merge.h.
 *
 * Changes by the running command and later ones are not seen, so a scan that
 * began while the range had none of its own never needs to look again.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/backend/merge.h"
#include "src/backend/row.h"
#include "src/backend/spill.h"

bool
kalam_range_has_staged(const KalamRange *range)
{
	KalamChanges *changes = kalam_changes_here();
	KalamVersion v;

	if (changes == NULL)
		return false;
	if (range->flags & KALAM_SCAN_POINT)
		return kalam_changes_find(changes, range->lower, range->lower_len, KALAM_ANY_COMMAND, &v);
	return kalam_changes_any_in(changes, range->lower, range->lower_len,
								range->upper, range->upper_len);
}

/*
 * Gets the own version of a point, if commands before ours made one.  It is
 * copied: the next look-up or spill takes it away.
 */
static bool
find_own(KalamMerge *m)
{
	const KalamRange *range = &m->range;
	KalamChanges *changes = kalam_changes_here();

	if (changes == NULL ||
		!kalam_changes_find(changes, range->lower, range->lower_len, m->command_id, &m->own))
		return false;
	m->own_copy = MemoryContextAllocHuge(m->context, Max(m->own.value_len, 1));
	memcpy(m->own_copy, m->own.value, m->own.value_len);
	m->own.value = (uint8 *) m->own_copy;
	m->own.key = m->lower;
	return true;
}

static void
open_own_scan(KalamMerge *m)
{
	const KalamRange *range = &m->range;
	KalamStagedMemory memory = kalam_spill_memory(m->context);

	m->own_scan = kalam_changes_scan_open(kalam_changes_here(), &memory,
										  range->lower, range->lower_len,
										  range->upper, range->upper_len, m->command_id,
										  (range->flags & KALAM_SCAN_REVERSE) ?
										  KALAM_CHANGES_REVERSE : 0);
}

static void
close_own_scan(KalamMerge *m)
{
	if (m->own_scan != NULL)
		kalam_changes_scan_close(m->own_scan);
	m->own_scan = NULL;
}

void
kalam_merge_open(KalamMerge *m, const KalamRange *range, CommandId command_id)
{
	Assert(!m->open);
	m->range = *range;
	memcpy(m->lower, range->lower, range->lower_len);
	memcpy(m->upper, range->upper, range->upper_len);
	m->range.lower = m->lower;
	m->range.upper = m->upper;
	m->command_id = command_id;
	m->have_stored = false;
	m->have_own = false;
	m->cursor = NULL;
	m->open = true;
	if (range->flags & KALAM_SCAN_POINT)
	{
		m->have_own = m->merging = find_own(m);
		if (m->have_own)
			return;				/* it is the answer */
	}
	else
	{
		m->merging = kalam_range_has_staged(range);
		if (m->merging)
		{
			open_own_scan(m);
			m->range.flags |= KALAM_SCAN_KEYS;
			m->range.flags &= ~KALAM_SCAN_COUNT;
			m->range.max_rows = 0;
		}
	}
	if (!kalam_object_is_new(range->object_id))
		m->cursor = kalam_cursor_open(&m->range);
}

static bool
give_stored(const KalamRow *stored, KalamMergedRow *row)
{
	row->tuple = kalam_row_tuple(stored);
	row->key = stored->key_len > 0 ? kalam_row_key(stored) : NULL;
	row->key_len = stored->key_len;
	row->own = false;
	row->own_command = 0;
	row->own_len = 0;
	return true;
}

bool
kalam_merge_next(KalamMerge *m, KalamMergedRow *row)
{
	if (!m->merging)
	{
		const KalamRow *stored = m->cursor ? kalam_cursor_next(m->cursor) : NULL;

		return stored ? give_stored(stored, row) : false;
	}

	for (;;)
	{
		int			cmp;

		CHECK_FOR_INTERRUPTS();
		if (!m->have_stored && m->cursor != NULL)
		{
			m->stored = kalam_cursor_next(m->cursor);
			m->have_stored = true;
		}
		if (m->cursor == NULL)
			m->stored = NULL;

		if (!m->have_own && m->own_scan != NULL)
		{
			m->have_own = kalam_changes_scan_next(m->own_scan, &m->own);
			if (!m->have_own)
				close_own_scan(m);
		}
		if (!m->have_own)
		{
			if (m->stored == NULL)
				return false;
			m->have_stored = false;
			return give_stored(m->stored, row);
		}

		if (m->stored == NULL)
			cmp = -1;
		else
		{
			cmp = kalam_key_compare(m->own.key, m->own.key_len,
									kalam_row_key(m->stored), m->stored->key_len);
			if (m->range.flags & KALAM_SCAN_REVERSE)
				cmp = -cmp;
		}
		if (cmp > 0)
		{
			m->have_stored = false;
			return give_stored(m->stored, row);
		}

		m->have_own = false;
		if (cmp == 0)
			m->have_stored = false;
		if (m->own.op != KALAM_CHANGE_PUT)
			continue;
		row->tuple = kalam_version_tuple(&m->own);
		row->key = m->own.key;
		row->key_len = m->own.key_len;
		row->own = true;
		row->own_command = m->own.command_id + 1;
		row->own_len = m->own.value_len;
		return true;
	}
}

void
kalam_merge_close(KalamMerge *m)
{
	if (m->cursor != NULL)
		kalam_cursor_close(m->cursor);
	m->cursor = NULL;
	close_own_scan(m);
	if (m->own_copy != NULL)
		pfree(m->own_copy);
	m->own_copy = NULL;
	m->have_own = false;
	m->open = false;
}
