/*
 * keyrange.c
 *	  Key conditions, with their values of now, to ranges of key bytes.
 *
 * Conditions that fix a column write it to the key, one behind the other; an
 * array does so once for each of its values.  Those on the column behind narrow
 * what begins with the key so far.  Ranges of all values and alternatives are
 * sorted then, and united where they touch.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "src/backend/keyrange.h"
#include "src/shared/run.h"

/* A bound with its values. */
typedef struct BoundValue
{
	const KalamBound *bound;
	int			n;				/* values: of an array as many as there are */
	Datum	   *values;			/* of the types that the columns have, but for ROW */
	bool	   *nulls;
	KalamFit   *fits;
	Datum		one_value;		/* where they lie if there is one */
	bool		one_null;
	KalamFit	one_fit;
} BoundValue;

/* so many bounds need no memory of their own */
#define FEW_BOUNDS	4

typedef struct Making
{
	const KalamConditions *conditions;
	const KalamKeyColumn *columns;
	BoundValue *bounds;			/* of the alternative */
	int			nbounds;
	BoundValue	few[FEW_BOUNDS];
	KalamKeyWriter w;			/* the key so far */
	bool		nulls;			/* it has some */
	KalamKeyRange *ranges;
	int			n;
	int			room;
} Making;

void
kalam_scan_key_begin(const KalamTable *table, const KalamScanKey *key, KalamKeyWriter *w,
					 uint8 *buf)
{
	kalam_key_begin(w, buf, KALAM_MAX_KEY_BYTES);
	if (key->index == NULL)
	{
		kalam_put_key_prefix(buf, table->object_id, KALAM_KEY_KIND_ROW);
		w->len = KALAM_KEY_PREFIX_BYTES;
		return;
	}
	kalam_put_key_prefix(buf, table->object_id, KALAM_KEY_KIND_INDEX);
	buf[KALAM_KEY_PREFIX_BYTES] = (uint8) (key->index->id >> 8);
	buf[KALAM_KEY_PREFIX_BYTES + 1] = (uint8) key->index->id;
	w->len = KALAM_INDEX_KEY_PREFIX_BYTES;
}

/* ---- values ---- */

static void
take_value(BoundValue *b, int i, const KalamKeyColumn *column, const KalamValueCast *cast,
		   Datum value, bool isnull)
{
	b->nulls[i] = isnull;
	b->fits[i] = KALAM_FIT_OK;
	b->values[i] = value;
	if (!isnull)
		b->fits[i] = kalam_key_cast_datum(&column->type, cast->cast, cast->type, value,
										  &b->values[i]);
}

static void
make_room(BoundValue *b, int n)
{
	b->n = n;
	if (n <= 1)
	{
		b->values = &b->one_value;
		b->nulls = &b->one_null;
		b->fits = &b->one_fit;
		return;
	}
	b->values = palloc(n * sizeof(Datum));
	b->nulls = palloc(n * sizeof(bool));
	b->fits = palloc(n * sizeof(KalamFit));
}

static void
take_array(BoundValue *b, const KalamKeyColumn *column, const KalamValueCast *cast,
		   Datum value, bool isnull)
{
	ArrayType  *array;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	if (isnull)
	{
		make_room(b, 0);
		return;
	}
	array = DatumGetArrayTypeP(value);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign,
					  &values, &nulls, &n);
	make_room(b, n);
	b->n = 0;
	for (int i = 0; i < n; i++)
	{
		take_value(b, b->n, column, cast, values[i], nulls[i]);
		/* others are equal to nothing */
		if (!nulls[i] && b->fits[b->n] == KALAM_FIT_OK)
			b->n++;
	}
}

/* Evaluates the bounds of an alternative; *value moves behind their values. */
static void
take_bounds(Making *m, const KalamAlternative *alternative, const KalamValue **value)
{
	m->nbounds = alternative->nbounds;
	m->bounds = m->nbounds <= FEW_BOUNDS ? m->few : palloc(m->nbounds * sizeof(BoundValue));
	for (int n = 0; n < m->nbounds; n++)
	{
		const KalamBound *bound = &alternative->bounds[n];
		BoundValue *b = &m->bounds[n];

		b->bound = bound;
		if (bound->kind != KALAM_BOUND_ARRAY)
			make_room(b, bound->nvalues);
		for (int i = 0; i < bound->nvalues; i++)
		{
			const KalamKeyColumn *column = &m->columns[bound->column + i];
			bool		isnull;
			Datum		datum = kalam_value_for_row((*value)++, m->conditions->econtext, &isnull);

			if (bound->kind == KALAM_BOUND_ARRAY)
				take_array(b, column, &bound->casts[i], datum, isnull);
			else
				take_value(b, i, column, &bound->casts[i], datum, isnull);
		}
	}
}

/* Cuts off what would make too many ranges: the filters have it all. */
static void
limit_ranges(Making *m)
{
	double		n = m->conditions->nalternatives;
	int			narrays = 0;

	for (int i = 0; i < m->nbounds; i++)
	{
		if (m->bounds[i].bound->kind != KALAM_BOUND_ARRAY)
			continue;
		n *= m->bounds[i].n;
		if (++narrays > 1 && n > KALAM_MAX_RANGES)
		{
			m->nbounds = i;
			break;
		}
	}
}

/* ---- ranges ---- */

static int
compare_bytes(const uint8 *a, size_t a_len, const uint8 *b, size_t b_len)
{
	int			cmp = memcmp(a, b, Min(a_len, b_len));

	return cmp != 0 ? cmp : (a_len > b_len) - (a_len < b_len);
}

static void
add_range(Making *m, const uint8 *lower, size_t lower_len, const uint8 *upper, size_t upper_len)
{
	KalamKeyRange *r;
	uint8	   *bytes;

	if (m->n == m->room)
	{
		m->room = Max(2 * m->room, 4);
		m->ranges = m->ranges ?
			repalloc_huge(m->ranges, m->room * sizeof(KalamKeyRange)) :
			palloc(m->room * sizeof(KalamKeyRange));
	}
	bytes = palloc(lower_len + upper_len);
	memcpy(bytes, lower, lower_len);
	memcpy(bytes + lower_len, upper, upper_len);
	r = &m->ranges[m->n++];
	r->lower = bytes;
	r->lower_len = (uint16) lower_len;
	r->upper = bytes + lower_len;
	r->upper_len = (uint16) upper_len;
}

/* What is left of a range while conditions narrow it. */
typedef struct Narrowed
{
	size_t		lower_len;
	size_t		upper_len;
	uint8		lower[KALAM_MAX_KEY_BYTES];
	uint8		upper[KALAM_MAX_KEY_BYTES];
} Narrowed;

static void
raise_lower(Narrowed *r, const uint8 *key, size_t len)
{
	if (compare_bytes(key, len, r->lower, r->lower_len) > 0)
	{
		memcpy(r->lower, key, len);
		r->lower_len = len;
	}
}

static void
reduce_upper(Narrowed *r, const uint8 *key, size_t len)
{
	if (compare_bytes(key, len, r->upper, r->upper_len) < 0)
	{
		memcpy(r->upper, key, len);
		r->upper_len = len;
	}
}

/* To keys that go on with the tag of a value: not those with a null. */
static void
narrow_to_values(Narrowed *r, const KalamKeyWriter *so_far, const KalamKeyColumn *column)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	KalamKeyWriter w = *so_far;

	memcpy(key, so_far->buf, so_far->len);
	w.buf = key;
	kalam_key_value(&w, column->desc);
	if (w.overflow)
		return;
	raise_lower(r, key, w.len);
	reduce_upper(r, key, kalam_key_successor(key, w.len));
}

/*
 * To what lies on one side of the key: behind it in SQL's order (greater), with
 * all that begins with it (inclusive) or not.
 */
static void
narrow_to_side(Narrowed *r, uint8 *key, size_t len, bool desc, bool greater, bool inclusive)
{
	/* in key order, "greater" is "behind" unless the column is DESC */
	if (greater != desc)
		raise_lower(r, key, inclusive ? len : kalam_key_successor(key, len));
	else
		reduce_upper(r, key, inclusive ? kalam_key_successor(key, len) : len);
}

static inline bool
is_greater(int strategy)
{
	return strategy == BTGreaterStrategyNumber || strategy == BTGreaterEqualStrategyNumber;
}

static inline bool
is_inclusive(int strategy)
{
	return strategy == BTGreaterEqualStrategyNumber || strategy == BTLessEqualStrategyNumber;
}

/*
 * Narrows by a comparison of the column, or of the columns that a row has values
 * for.  Too long a value leaves more than it should, which a filter sees to.
 * False if nothing can match.
 */
static bool
narrow_by_comparison(Narrowed *r, const KalamKeyWriter *so_far, const KalamKeyColumn *columns,
					 const BoundValue *b)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	KalamKeyWriter w = *so_far;
	bool		greater = is_greater(b->bound->strategy);
	bool		inclusive = is_inclusive(b->bound->strategy);
	const KalamKeyColumn *column = &columns[b->bound->column];

	if (b->nulls[0])
		return false;
	if (b->fits[0] == KALAM_FIT_BELOW || b->fits[0] == KALAM_FIT_ABOVE)
		return (b->fits[0] == KALAM_FIT_BELOW) == greater;
	if (b->fits[0] == KALAM_FIT_INEXACT)
		return true;

	memcpy(key, so_far->buf, so_far->len);
	w.buf = key;
	for (int i = 0; i < b->n; i++)
	{
		size_t		len = w.len;

		if (b->nulls[i])
		{
			/* rows that are equal so far are neither greater nor less */
			inclusive = false;
			break;
		}
		if (b->fits[i] == KALAM_FIT_BELOW || b->fits[i] == KALAM_FIT_ABOVE)
		{
			inclusive = (b->fits[i] == KALAM_FIT_BELOW) == greater;
			break;
		}
		if (b->fits[i] == KALAM_FIT_OK)
			kalam_encode_datum(&w, &column[i].type, column[i].desc, b->values[i], false);
		if (b->fits[i] == KALAM_FIT_INEXACT || w.overflow)
		{
			if (i == 0)
				return true;
			w.len = len;
			inclusive = true;
			break;
		}
	}
	narrow_to_side(r, key, w.len, column->desc, greater, inclusive);
	return true;
}

/* The range of keys that begin with the key so far, narrowed by bounds from the i-th on. */
static void
add_narrowed(Making *m, int i)
{
	KalamKeyWriter *w = &m->w;
	const KalamScanKey *key = &m->conditions->key;
	Narrowed	r;

	if (i == m->nbounds && i == key->ncolumns && i > 0 && key->unique && !m->nulls)
	{
		add_range(m, w->buf, w->len, w->buf, 0);
		return;
	}
	memcpy(r.lower, w->buf, w->len);
	r.lower_len = w->len;
	memcpy(r.upper, w->buf, w->len);
	r.upper_len = kalam_key_successor(r.upper, w->len);
	for (; i < m->nbounds; i++)
	{
		const BoundValue *b = &m->bounds[i];

		narrow_to_values(&r, w, &m->columns[b->bound->column]);
		if (b->bound->kind != KALAM_BOUND_NOT_NULL &&
			!narrow_by_comparison(&r, w, m->columns, b))
			return;
	}
	if (compare_bytes(r.lower, r.lower_len, r.upper, r.upper_len) < 0)
		add_range(m, r.lower, r.lower_len, r.upper, r.upper_len);
}

/* Makes the ranges of the bounds from the i-th on, behind the key so far. */
static void
make_ranges(Making *m, int i)
{
	const BoundValue *b = &m->bounds[i];
	const KalamKeyColumn *column;
	KalamKeyWriter before = m->w;

	CHECK_FOR_INTERRUPTS();
	if (i == m->nbounds)
	{
		add_narrowed(m, i);
		return;
	}
	column = &m->columns[b->bound->column];
	switch (b->bound->kind)
	{
		case KALAM_BOUND_NULL:
			{
				bool		nulls = m->nulls;

				m->nulls = true;
				kalam_key_null(&m->w, column->desc);
				if (!m->w.overflow)
					make_ranges(m, i + 1);
				m->nulls = nulls;
				m->w = before;
				return;
			}
		case KALAM_BOUND_COMPARE:
			if (b->bound->strategy == BTEqualStrategyNumber)
				break;
			add_narrowed(m, i);
			return;
		case KALAM_BOUND_ARRAY:
			break;
		case KALAM_BOUND_ROW:
		case KALAM_BOUND_NOT_NULL:
			add_narrowed(m, i);
			return;
	}
	for (int v = 0; v < b->n; v++)
	{
		if (b->nulls[v] || b->fits[v] != KALAM_FIT_OK)
			continue;
		kalam_encode_datum(&m->w, &column->type, column->desc, b->values[v], false);
		/* no stored key is that long */
		if (!m->w.overflow)
			make_ranges(m, i + 1);
		m->w = before;
	}
}

/* ---- in order ---- */

static int
compare_ranges(const void *a, const void *b)
{
	const KalamKeyRange *x = a;
	const KalamKeyRange *y = b;

	return compare_bytes(x->lower, x->lower_len, y->lower, y->lower_len);
}

/* Does y, which does not begin before x, begin within x or right behind it? */
static bool
touches(const KalamKeyRange *x, const KalamKeyRange *y)
{
	/* no key begins with another one */
	if (x->upper_len == 0)
		return compare_ranges(x, y) == 0;
	return compare_bytes(y->lower, y->lower_len, x->upper, x->upper_len) <= 0 &&
		(y->upper_len > 0 ||
		 compare_bytes(y->lower, y->lower_len, x->upper, x->upper_len) < 0);
}

static void
sort_ranges(Making *m)
{
	int			n = 0;

	if (m->n < 2)
		return;
	qsort(m->ranges, m->n, sizeof(KalamKeyRange), compare_ranges);
	for (int i = 1; i < m->n; i++)
	{
		KalamKeyRange *last = &m->ranges[n];
		const KalamKeyRange *r = &m->ranges[i];

		if (touches(last, r))
		{
			if (r->upper_len > 0 &&
				compare_bytes(r->upper, r->upper_len, last->upper, last->upper_len) > 0)
			{
				last->upper = r->upper;
				last->upper_len = r->upper_len;
			}
		}
		else
			m->ranges[++n] = *r;
	}
	m->n = n + 1;
}

/* Is it one row by all columns of its key? */
static bool
is_point(const KalamConditions *conditions)
{
	const KalamScanKey *key = &conditions->key;
	const KalamAlternative *one = conditions->alternatives;

	if (conditions->nalternatives != 1 || !key->unique || key->ncolumns == 0 ||
		one->nbounds != key->ncolumns)
		return false;
	for (int i = 0; i < one->nbounds; i++)
		if (one->bounds[i].kind != KALAM_BOUND_COMPARE ||
			one->bounds[i].strategy != BTEqualStrategyNumber)
			return false;
	return true;
}

/* The same as make_ranges makes of it, in one piece of memory. */
static KalamKeyRanges
make_point(const KalamConditions *conditions)
{
	uint8		buf[KALAM_MAX_KEY_BYTES];
	KalamKeyRanges result = {0};
	KalamKeyWriter w;
	uint8	   *bytes;

	kalam_scan_key_begin(conditions->table, &conditions->key, &w, buf);
	for (int i = 0; i < conditions->key.ncolumns; i++)
	{
		const KalamKeyColumn *column = &conditions->key.columns[i];
		const KalamValueCast *cast = conditions->alternatives->bounds[i].casts;
		bool		isnull;
		Datum		value = kalam_value_for_row(&conditions->values[i], conditions->econtext, &isnull);

		Assert(conditions->alternatives->bounds[i].column == i);
		if (isnull ||
			kalam_key_cast_datum(&column->type, cast->cast, cast->type, value, &value) != KALAM_FIT_OK)
			return result;
		kalam_encode_datum(&w, &column->type, column->desc, value, false);
	}
	if (w.overflow)
		return result;			/* no stored key is that long */
	result.n = 1;
	result.ranges = palloc(sizeof(KalamKeyRange) + w.len);
	bytes = (uint8 *) (result.ranges + 1);
	memcpy(bytes, buf, w.len);
	*result.ranges = (KalamKeyRange) {.lower = bytes, .lower_len = (uint16) w.len, .upper = bytes + w.len};
	return result;
}

KalamKeyRanges
kalam_compute_ranges(const KalamConditions *conditions)
{
	uint8		buf[KALAM_MAX_KEY_BYTES];
	Making		m;
	KalamKeyRanges result;
	const KalamValue *value = conditions->values;

	if (is_point(conditions))
		return make_point(conditions);
	m.conditions = conditions;
	m.columns = conditions->key.columns;
	m.nulls = false;
	m.ranges = NULL;
	m.n = m.room = 0;
	for (int i = 0; i < conditions->nalternatives; i++)
	{
		kalam_scan_key_begin(conditions->table, &conditions->key, &m.w, buf);
		take_bounds(&m, &conditions->alternatives[i], &value);
		limit_ranges(&m);
		make_ranges(&m, 0);
	}
	sort_ranges(&m);
	result.n = m.n;
	result.ranges = m.ranges;
	return result;
}

KalamKeyRange
kalam_whole_range(const KalamTable *table, const KalamScanKey *key)
{
	uint8	   *bytes = palloc(2 * KALAM_INDEX_KEY_PREFIX_BYTES);
	KalamKeyWriter w;
	KalamKeyRange range;

	kalam_scan_key_begin(table, key, &w, bytes);
	range.lower = bytes;
	range.lower_len = (uint16) w.len;
	memcpy(bytes + w.len, bytes, w.len);
	range.upper = bytes + w.len;
	range.upper_len = (uint16) kalam_key_successor(bytes + w.len, w.len);
	return range;
}

/* What lies of the range in [lower, upper).  False: nothing. */
static bool
intersect(KalamKeyRange *r, const uint8 *lower, uint16 lower_len, const uint8 *upper,
		  uint16 upper_len)
{
	if (upper != NULL && kalam_key_compare(r->lower, r->lower_len, upper, upper_len) >= 0)
		return false;
	if (r->upper_len == 0)
		return lower == NULL || kalam_key_compare(r->lower, r->lower_len, lower, lower_len) >= 0;
	if (lower != NULL && kalam_key_compare(r->lower, r->lower_len, lower, lower_len) < 0)
	{
		r->lower = lower;
		r->lower_len = lower_len;
	}
	if (upper != NULL && kalam_key_compare(r->upper, r->upper_len, upper, upper_len) > 0)
	{
		r->upper = upper;
		r->upper_len = upper_len;
	}
	return kalam_key_compare(r->lower, r->lower_len, r->upper, r->upper_len) < 0;
}

KalamKeyRanges
kalam_ranges_between(const KalamKeyRanges *all, const uint8 *lower, uint16 lower_len,
					 const uint8 *upper, uint16 upper_len)
{
	KalamKeyRanges result = {0};

	for (int i = 0; i < all->n; i++)
	{
		KalamKeyRange r = all->ranges[i];

		if (!intersect(&r, lower, lower_len, upper, upper_len))
			continue;
		if (result.ranges == NULL)
			result.ranges = MemoryContextAllocHuge(CurrentMemoryContext,
												   (all->n - i) * sizeof(KalamKeyRange));
		result.ranges[result.n++] = r;
	}
	return result;
}
