/*
 * keycodec.c
 *	  Values to key bytes whose memcmp order is SQL's order.
 *
 * Pure functions over the caller's buffer; C11 only, no lock, any thread.  Must
 * not allocate, must not fail, and must not know Postgres' datums (that is
 * keyencode.c).  Every encoding is prefix-free: no value's bytes begin another
 * value's bytes, so that columns can follow each other.
 */
#include "src/shared/keycodec.h"

#include <string.h>

#define TAG_VALUE	0x01
#define TAG_NULL	0x02

static inline void
put(KalamKeyWriter *w, const uint8_t *bytes, size_t n)
{
	if (w->overflow || n > w->cap - w->len)
	{
		w->overflow = true;
		return;
	}
	if (w->desc)
	{
		uint8_t    *out = w->buf + w->len;

		for (size_t i = 0; i < n; i++)
			out[i] = (uint8_t) ~bytes[i];
	}
	else if (n > 0)
		memcpy(w->buf + w->len, bytes, n);
	w->len += n;
}

static inline void
put_be16(KalamKeyWriter *w, uint16_t v)
{
	uint8_t		b[2] = {(uint8_t) (v >> 8), (uint8_t) v};

	put(w, b, sizeof(b));
}

static inline void
put_be32(KalamKeyWriter *w, uint32_t v)
{
	uint32_t	b = __builtin_bswap32(v);

	put(w, (const uint8_t *) &b, sizeof(b));
}

static inline void
put_be64(KalamKeyWriter *w, uint64_t v)
{
	uint64_t	b = __builtin_bswap64(v);

	put(w, (const uint8_t *) &b, sizeof(b));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian hosts need no swapping");

void
kalam_key_null(KalamKeyWriter *w, bool desc)
{
	uint8_t		tag = TAG_NULL;

	w->desc = desc;
	put(w, &tag, 1);
}

void
kalam_key_value(KalamKeyWriter *w, bool desc)
{
	uint8_t		tag = TAG_VALUE;

	w->desc = desc;
	put(w, &tag, 1);
}

void
kalam_key_raw(KalamKeyWriter *w, const void *bytes, size_t len)
{
	put(w, bytes, len);
}

void
kalam_key_bool(KalamKeyWriter *w, bool v)
{
	uint8_t		b = v ? 1 : 0;

	put(w, &b, 1);
}

void
kalam_key_int16(KalamKeyWriter *w, int16_t v)
{
	put_be16(w, (uint16_t) v ^ UINT16_C(0x8000));
}

void
kalam_key_int32(KalamKeyWriter *w, int32_t v)
{
	put_be32(w, (uint32_t) v ^ UINT32_C(0x80000000));
}

void
kalam_key_int64(KalamKeyWriter *w, int64_t v)
{
	put_be64(w, (uint64_t) v ^ UINT64_C(0x8000000000000000));
}

void
kalam_key_uint32(KalamKeyWriter *w, uint32_t v)
{
	put_be32(w, v);
}

void
kalam_key_float4(KalamKeyWriter *w, float v)
{
	uint32_t	bits;

	if (v != v)
		bits = UINT32_C(0x7FC00000);
	else if (v == 0)
		bits = 0;
	else
		memcpy(&bits, &v, sizeof(bits));
	put_be32(w, bits & UINT32_C(0x80000000) ? ~bits : bits | UINT32_C(0x80000000));
}

void
kalam_key_float8(KalamKeyWriter *w, double v)
{
	uint64_t	bits;

	if (v != v)
		bits = UINT64_C(0x7FF8000000000000);
	else if (v == 0)
		bits = 0;
	else
		memcpy(&bits, &v, sizeof(bits));
	put_be64(w, bits & UINT64_C(0x8000000000000000) ? ~bits : bits | UINT64_C(0x8000000000000000));
}

void
kalam_key_int128(KalamKeyWriter *w, __int128 v)
{
	put_be64(w, (uint64_t) ((unsigned __int128) v >> 64) ^ UINT64_C(0x8000000000000000));
	put_be64(w, (uint64_t) v);
}

/*
 * Zero bytes are rare: find them with memchr and copy what lies between.
 */
void
kalam_key_bytes(KalamKeyWriter *w, const void *bytes, size_t len)
{
	static const uint8_t escape = 0xFF;
	static const uint8_t end[2] = {0x00, 0x01};
	const uint8_t *p = bytes;

	while (len > 0 && !w->overflow)
	{
		const uint8_t *zero = memchr(p, 0, len);
		size_t		n;

		if (zero == NULL)
		{
			put(w, p, len);
			break;
		}
		n = (size_t) (zero - p) + 1;
		put(w, p, n);
		put(w, &escape, 1);
		p += n;
		len -= n;
	}
	put(w, end, sizeof(end));
}

/*
 * Numbers.  Zero digits in front and behind are dropped first, so that what is
 * left depends on the value alone: 1.0, 1.00 and 100e-2 are digit 1, weight 0.
 *
 *	 first byte			what						then
 *	 FF					NaN
 *	 FE					infinity
 *	 C3					positive, weight > 32		weight, sign flipped (4), digits
 *	 82 + 32 + weight	positive, weight -32..32	digits
 *	 81					positive, weight < -32		weight, sign flipped (4), digits
 *	 80					zero
 *	 7E .. 3C			negative: all bytes of the absolute value, complemented
 *	 01					-infinity: the complement of FE
 *
 * A digit is two bytes, big-endian: twice the digit, plus one unless it is the
 * last.  With equal digits in front the longer number is the greater one (its
 * last digit is not zero), and the low bit says just that.  It also ends the
 * number, so nothing else has to.
 *
 * Examples:	1 is A2 00 02		10000 is A3 00 02		-1 is 5D FF FD
 *				1.5 is A2 00 03 27 10						0.0001 is A1 00 02
 */
#define NUMERIC_NAN			0xFF
#define NUMERIC_INF			0xFE
#define NUMERIC_HIGH_WEIGHT	0xC3
#define NUMERIC_WEIGHT_0	0xA2
#define NUMERIC_LOW_WEIGHT	0x81
#define NUMERIC_ZERO		0x80
#define NUMERIC_NEAR_WEIGHT	32

void
kalam_key_numeric(KalamKeyWriter *w, int sign, int weight,
				  const int16_t *digits, int ndigits)
{
	bool		desc = w->desc;
	uint8_t		first;

	while (ndigits > 0 && digits[ndigits - 1] == 0)
		ndigits--;
	while (ndigits > 0 && digits[0] == 0)
	{
		digits++;
		ndigits--;
		weight--;
	}
	if (sign == 0 || ndigits == 0)
	{
		first = NUMERIC_ZERO;
		put(w, &first, 1);
		return;
	}

	if (sign < 0)
		w->desc = !desc;
	if (weight >= -NUMERIC_NEAR_WEIGHT && weight <= NUMERIC_NEAR_WEIGHT)
	{
		first = (uint8_t) (NUMERIC_WEIGHT_0 + weight);
		put(w, &first, 1);
	}
	else
	{
		first = weight > 0 ? NUMERIC_HIGH_WEIGHT : NUMERIC_LOW_WEIGHT;
		put(w, &first, 1);
		put_be32(w, (uint32_t) weight ^ UINT32_C(0x80000000));
	}
	for (int i = 0; i < ndigits && !w->overflow; i++)
		put_be16(w, (uint16_t) (digits[i] << 1 | (i + 1 < ndigits ? 1 : 0)));
	w->desc = desc;
}

void
kalam_key_numeric_special(KalamKeyWriter *w, KalamNumericSpecial special)
{
	uint8_t		first = NUMERIC_NAN;

	if (special == KALAM_NUMERIC_POS_INF)
		first = NUMERIC_INF;
	else if (special == KALAM_NUMERIC_NEG_INF)
		first = (uint8_t) ~NUMERIC_INF;
	put(w, &first, 1);
}

size_t
kalam_key_successor(uint8_t *key, size_t len)
{
	while (len > 0 && key[len - 1] == 0xFF)
		len--;
	if (len > 0)
		key[len - 1]++;
	return len;
}
