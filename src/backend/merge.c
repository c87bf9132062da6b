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

static bool
in_range(const KalamRange *range, const uint8 *key, size_t len)
{
	int			cmp = memcmp(key, range->lower, Min(len, range->lower_len));

	if (range->flags & KALAM_SCAN_POINT)
		return cmp == 0 && len == range->lower_len;
	if (cmp < 0 || (cmp == 0 && len < range->lower_len))
		return false;
	cmp = memcmp(key, range->upper, Min(len, range->upper_len));
	return cmp < 0 || (cmp == 0 && len < range->upper_len);
}

/* k if it lies in the range, else NULL. */
static KalamStagedKey *
if_in_range(const KalamRange *range, KalamStagedKey *k)
{
	size_t		len;
	const uint8 *key;

	if (k == NULL)
		return NULL;
	key = kalam_staged_key_bytes(k, &len);
	return in_range(range, key, len) ? k : NULL;
}

static KalamStagedKey *
first_staged(const KalamRange *range)
{
	KalamStaged *staged = kalam_staged_here();

	if (staged == NULL)
		return NULL;
	if (range->flags & KALAM_SCAN_POINT)
		return kalam_staged_find(staged, range->lower, range->lower_len);
	if (range->flags & KALAM_SCAN_REVERSE)
		return if_in_range(range, kalam_staged_seek_before(staged, range->upper, range->upper_len));
	return if_in_range(range, kalam_staged_seek(staged, range->lower, range->lower_len));
}

bool
kalam_range_has_staged(const KalamRange *range)
{
	return first_staged(range) != NULL;
}

static KalamStagedKey *
following_staged(const KalamRange *range, KalamStagedKey *k)
{
	if (range->flags & KALAM_SCAN_POINT)
		return NULL;
	if (range->flags & KALAM_SCAN_REVERSE)
	{
		size_t		len;
		const uint8 *key = kalam_staged_key_bytes(k, &len);

		return if_in_range(range, kalam_staged_seek_before(kalam_staged_here(), key, len));
	}
	return if_in_range(range, kalam_staged_next(k));
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
	m->staged = first_staged(&m->range);
	m->merging = m->staged != NULL;
	m->have_stored = false;
	m->cursor = NULL;
	m->open = true;
	if (m->merging)
	{
		m->range.flags |= KALAM_SCAN_KEYS;
		m->range.flags &= ~KALAM_SCAN_COUNT;
		m->range.max_rows = 0;
		if ((range->flags & KALAM_SCAN_POINT) &&
			kalam_staged_visible(m->staged, command_id) != NULL)
			return;				/* the own version is the answer */
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
		KalamStagedKey *k = m->staged;
		KalamStagedVersion *v;
		int			cmp;
		size_t		len;
		const uint8 *key;

		CHECK_FOR_INTERRUPTS();
		if (!m->have_stored && m->cursor != NULL)
		{
			m->stored = kalam_cursor_next(m->cursor);
			m->have_stored = true;
		}
		if (m->cursor == NULL)
			m->stored = NULL;

		if (k == NULL)
		{
			if (m->stored == NULL)
				return false;
			m->have_stored = false;
			return give_stored(m->stored, row);
		}

		key = kalam_staged_key_bytes(k, &len);
		if (m->stored == NULL)
			cmp = -1;
		else
		{
			size_t		stored_len = m->stored->key_len;

			cmp = memcmp(key, kalam_row_key(m->stored), Min(len, stored_len));
			if (cmp == 0)
				cmp = len < stored_len ? -1 : len > stored_len ? 1 : 0;
			if (m->range.flags & KALAM_SCAN_REVERSE)
				cmp = -cmp;
		}
		if (cmp > 0)
		{
			m->have_stored = false;
			return give_stored(m->stored, row);
		}

		v = kalam_staged_visible(k, m->command_id);
		m->staged = following_staged(&m->range, k);
		if (v == NULL)
			continue;			/* a stored row of that key stands */
		if (cmp == 0)
			m->have_stored = false;
		if (v->op != KALAM_CHANGE_PUT)
			continue;
		row->tuple = kalam_staged_tuple(v);
		row->key = key;
		row->key_len = len;
		row->own = true;
		row->own_command = v->command_id + 1;
		return true;
	}
}

void
kalam_merge_close(KalamMerge *m)
{
	if (m->cursor != NULL)
		kalam_cursor_close(m->cursor);
	m->cursor = NULL;
	m->open = false;
}
