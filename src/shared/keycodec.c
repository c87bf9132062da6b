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
	kalam_key_uint32(w, bits & UINT32_C(0x80000000) ? ~bits : bits | UINT32_C(0x80000000));
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
	kalam_key_uint64(w, bits & UINT64_C(0x8000000000000000) ? ~bits : bits | UINT64_C(0x8000000000000000));
}

void
kalam_key_int128(KalamKeyWriter *w, __int128 v)
{
	kalam_key_uint64(w, (uint64_t) ((unsigned __int128) v >> 64) ^ UINT64_C(0x8000000000000000));
	kalam_key_uint64(w, (uint64_t) v);
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
			kalam_key_raw(w, p, len);
			break;
		}
		n = (size_t) (zero - p) + 1;
		kalam_key_raw(w, p, n);
		kalam_key_raw(w, &escape, 1);
		p += n;
		len -= n;
	}
	kalam_key_raw(w, end, sizeof(end));
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
		kalam_key_raw(w, &first, 1);
		return;
	}

	if (sign < 0)
		w->desc = !desc;
	if (weight >= -NUMERIC_NEAR_WEIGHT && weight <= NUMERIC_NEAR_WEIGHT)
	{
		first = (uint8_t) (NUMERIC_WEIGHT_0 + weight);
		kalam_key_raw(w, &first, 1);
	}
	else
	{
		first = weight > 0 ? NUMERIC_HIGH_WEIGHT : NUMERIC_LOW_WEIGHT;
		kalam_key_raw(w, &first, 1);
		kalam_key_uint32(w, (uint32_t) weight ^ UINT32_C(0x80000000));
	}
	for (int i = 0; i < ndigits && !w->overflow; i++)
		kalam_key_uint16(w, (uint16_t) (digits[i] << 1 | (i + 1 < ndigits ? 1 : 0)));
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
	kalam_key_raw(w, &first, 1);
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
