/*
 * keyrange.c
 *	  Key conditions, with their values of now, to the bytes of a key range.
 */
#include "postgres.h"

#include "access/stratnum.h"

#include "src/backend/keyrange.h"

/* Raises the lower bound to key, if that is higher. */
static void
raise_lower(KalamRange *range, uint8 *lower, const uint8 *key, size_t len)
{
	int			cmp = memcmp(key, lower, Min(len, range->lower_len));

	if (cmp > 0 || (cmp == 0 && len > range->lower_len))
	{
		memcpy(lower, key, len);
		range->lower_len = len;
	}
}

static void
reduce_upper(KalamRange *range, uint8 *upper, const uint8 *key, size_t len)
{
	int			cmp = memcmp(key, upper, Min(len, range->upper_len));

	if (cmp < 0 || (cmp == 0 && len < range->upper_len))
	{
		memcpy(upper, key, len);
		range->upper_len = len;
	}
}

/*
 * Narrows the range by a comparison of the column behind the equal prefix.
 * prefix holds the key so far.  False if nothing can match.
 */
static bool
apply_comparison(KalamRange *range, uint8 *lower, uint8 *upper, const KalamKeyWriter *prefix,
				 const KalamKeyColumn *column, int strategy, KalamFit fit, Datum value)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	KalamKeyWriter w = *prefix;
	bool		greater = strategy == BTGreaterStrategyNumber ||
		strategy == BTGreaterEqualStrategyNumber;
	bool		inclusive = strategy == BTGreaterEqualStrategyNumber ||
		strategy == BTLessEqualStrategyNumber;

	if (fit == KALAM_FIT_BELOW)
		return greater;
	if (fit == KALAM_FIT_ABOVE)
		return !greater;
	if (fit == KALAM_FIT_INEXACT)
		return true;

	memcpy(key, prefix->buf, prefix->len);
	w.buf = key;
	kalam_encode_datum(&w, &column->type, column->desc, value, false);
	if (w.overflow)
		return true;

	/* in key order, "greater" is "behind" unless the column is DESC */
	if (greater != column->desc)
	{
		size_t		len = inclusive ? w.len : kalam_key_successor(key, w.len);

		if (len == 0)
			return false;
		raise_lower(range, lower, key, len);
	}
	else
	{
		size_t		len = inclusive ? kalam_key_successor(key, w.len) : w.len;

		if (len > 0)
			reduce_upper(range, upper, key, len);
	}
	return true;
}

bool
kalam_compute_range(KalamTable *table, List *bounds, List *states, ExprContext *econtext,
					KalamRange *range, uint8 *lower, uint8 *upper)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	KalamKeyWriter w;
	ListCell   *lb;
	ListCell   *ls;
	int			nequal = 0;
	bool		range_begun = false;

	kalam_table_key_begin(table, &w, key);
	range->object_id = table->object_id;
	range->flags &= ~KALAM_SCAN_POINT;
	range->lower = lower;
	range->upper = upper;

	forboth(lb, bounds, ls, states)
	{
		KalamBound *bound = lfirst(lb);
		KalamKeyColumn *column = &table->keys[bound->key_index];
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(lfirst(ls), econtext, &isnull);
		KalamFit	fit;

		if (isnull)
			return false;
		fit = kalam_key_cast_datum(&column->type, bound->cast, bound->value_type, value, &value);
		if (bound->strategy == BTEqualStrategyNumber)
		{
			if (fit != KALAM_FIT_OK)
				return false;
			kalam_encode_datum(&w, &column->type, column->desc, value, false);
			if (w.overflow)
				return false;	/* no stored key is that long */
			nequal++;
			continue;
		}
		if (!range_begun)
		{
			memcpy(lower, key, w.len);
			range->lower_len = w.len;
			memcpy(upper, key, w.len);
			range->upper_len = kalam_key_successor(upper, w.len);
			range_begun = true;
		}
		if (!apply_comparison(range, lower, upper, &w, column, bound->strategy, fit, value))
			return false;
	}

	if (!range_begun)
	{
		memcpy(lower, key, w.len);
		range->lower_len = w.len;
		if (table->nkeys > 0 && nequal == table->nkeys)
		{
			range->flags |= KALAM_SCAN_POINT;
			range->upper_len = 0;
			return true;
		}
		memcpy(upper, key, w.len);
		range->upper_len = kalam_key_successor(upper, w.len);
	}
	else
	{
		int			cmp = memcmp(lower, upper, Min(range->lower_len, range->upper_len));

		if (cmp > 0 || (cmp == 0 && range->lower_len >= range->upper_len))
			return false;
	}
	return true;
}
