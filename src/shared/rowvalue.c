/*
 * rowvalue.c
 *	  Values of stored columns: what numbers they are, and their order in SQL.
 *
 * As PostgreSQL's own comparisons do it: NaN is one value, above all others; -0 is
 * 0; what is text or bytes goes byte by byte, the shorter first.
 */
#include "src/shared/rowvalue.h"

#include <string.h>

double
kalam_value_float(KalamFieldKind kind, const uint8_t *at)
{
	if (kind == KALAM_FIELD_F32)
	{
		float		f;

		memcpy(&f, at, 4);
		return f;
	}
	else
	{
		double		d;

		memcpy(&d, at, 8);
		return d;
	}
}

static int
compare_integers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_floats(double a, double b)
{
	if (a != a || b != b)
		return (a != a) - (b != b);
	return (a > b) - (a < b);
}

static int
compare_bytes(KalamRowValue a, KalamRowValue b)
{
	uint32_t	len = a.len < b.len ? a.len : b.len;
	int			order = len > 0 ? memcmp(a.at, b.at, len) : 0;

	return order != 0 ? (order > 0) - (order < 0) : (a.len > b.len) - (a.len < b.len);
}

/* What of a value counts. */
static KalamRowValue
trimmed(KalamFieldKind kind, KalamRowValue v)
{
	if (kind == KALAM_FIELD_PADDED)
		while (v.len > 0 && v.at[v.len - 1] == ' ')
			v.len--;
	else if (kind == KALAM_FIELD_NAME)
	{
		const uint8_t *end = v.len > 0 ? memchr(v.at, 0, v.len) : NULL;

		if (end != NULL)
			v.len = (uint32_t) (end - v.at);
	}
	return v;
}

/* ---- measures ---- */

bool
kalam_measure_good(uint8_t measure, uint8_t kind)
{
	return measure == KALAM_MEASURE_NONE ||
		(measure < KALAM_MEASURES && (kind == KALAM_FIELD_BYTES || kind == KALAM_FIELD_PADDED));
}

uint8_t
kalam_measured_kind(uint8_t measure, uint8_t kind)
{
	return measure == KALAM_MEASURE_NONE ? kind : KALAM_FIELD_I32;
}

/* Of bytes that are UTF-8 those count which begin a character: all but 10xxxxxx. */
static uint32_t
count_characters(const uint8_t *at, uint32_t len)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint32_t	n = len;
	uint64_t	word;

	for (; len >= 8; at += 8, len -= 8)
	{
		memcpy(&word, at, 8);
		if (word & ones << 7)
			n -= (uint32_t) (((word >> 7 & ~word >> 6 & ones) * ones) >> 56);
	}
	for (; len > 0; at++, len--)
		n -= (*at & 0xC0) == 0x80;
	return n;
}

int32_t
kalam_value_measure(uint8_t measure, KalamFieldKind kind, KalamRowValue v)
{
	if (measure != KALAM_MEASURE_BYTES)
		v = trimmed(kind, v);
	return (int32_t) (measure == KALAM_MEASURE_TEXT_UTF8 ? count_characters(v.at, v.len) : v.len);
}

/* ---- numeric ---- */

/*
 * Its header is 2 or 4 bytes: a short one has bit 15 set, sign in bit 13, scale in
 * 6 bits, weight in 7 with sign; a long one sign and scale, and then the weight.
 * Digits are to base 10000.  Both top bits set: no number.
 */
bool
kalam_number_read(KalamRowValue v, KalamNumber *n)
{
	uint16_t	header;
	uint32_t	size = 2;
	bool		negative;

	if (v.len < 2)
		return false;
	memcpy(&header, v.at, 2);
	memset(n, 0, sizeof(*n));
	if ((header & 0xC000) == 0xC000)
	{
		n->special = (header & 0xF000) == 0xD000 ? 1 : (header & 0xF000) == 0xF000 ? -1 : 2;
		return true;
	}
	if (header & 0x8000)
	{
		n->weight = (header & 0x3F) - (header & 0x40);
		n->scale = (header & 0x1F80) >> 7;
		negative = (header & 0x2000) != 0;
	}
	else
	{
		int16_t		weight;

		size = 4;
		if (v.len < 4)
			return false;
		memcpy(&weight, v.at + 2, 2);
		n->weight = weight;
		n->scale = header & 0x3FFF;
		negative = (header & 0x4000) != 0;
	}
	n->ndigits = (v.len - size) / 2;
	n->digits = v.at + size;
	n->sign = n->ndigits == 0 ? 0 : negative ? -1 : 1;
	return true;
}

/* The digit of this weight. */
static int
digit_at(const KalamNumber *n, int weight)
{
	int			i = n->weight - weight;
	int16_t		d;

	if (i < 0 || (uint32_t) i >= n->ndigits)
		return 0;
	memcpy(&d, n->digits + 2 * i, 2);
	return d;
}

static int
compare_numbers(const KalamNumber *a, const KalamNumber *b)
{
	int			top,
				bottom;

	if (a->special != 0 || b->special != 0)
		return compare_integers(a->special, b->special);
	if (a->sign != b->sign || a->sign == 0)
		return compare_integers(a->sign, b->sign);
	top = a->weight > b->weight ? a->weight : b->weight;
	bottom = a->weight - (int) a->ndigits < b->weight - (int) b->ndigits ?
		a->weight - (int) a->ndigits : b->weight - (int) b->ndigits;
	/* (first digits are not 0, so that it ends early but for damaged ones) */
	for (int w = top; w > bottom; w--)
	{
		int			order = compare_integers(digit_at(a, w), digit_at(b, w));

		if (order != 0)
			return order * a->sign;
	}
	return 0;
}

bool
kalam_value_compare(KalamFieldKind kind, KalamRowValue a, KalamRowValue b, int *order)
{
	switch (kind)
	{
		case KALAM_FIELD_U8:
		case KALAM_FIELD_I16:
		case KALAM_FIELD_I32:
		case KALAM_FIELD_U32:
		case KALAM_FIELD_I64:
			*order = compare_integers(kalam_value_integer(kind, a.at),
									  kalam_value_integer(kind, b.at));
			return true;
		case KALAM_FIELD_F32:
		case KALAM_FIELD_F64:
			*order = compare_floats(kalam_value_float(kind, a.at), kalam_value_float(kind, b.at));
			return true;
		case KALAM_FIELD_NUMERIC:
			{
				KalamNumber	x,
							y;

				if (!kalam_number_read(a, &x) || !kalam_number_read(b, &y))
					return false;
				*order = compare_numbers(&x, &y);
				return true;
			}
		default:
			*order = compare_bytes(trimmed(kind, a), trimmed(kind, b));
			return true;
	}
}
