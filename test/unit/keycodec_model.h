/*
 * keycodec_model.h
 *	  SQL's comparison of values, written without regard to bytes, and how such
 *	  values are written as keys.  For the unit test and the fuzzer.
 */
#ifndef KALAM_TEST_KEYCODEC_MODEL_H
#define KALAM_TEST_KEYCODEC_MODEL_H

#include "src/shared/keycodec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_CAP 4096

typedef struct Key
{
	uint8_t		bytes[KEY_CAP];
	size_t		len;
} Key;

static inline int
sign(int v)
{
	return (v > 0) - (v < 0);
}

static inline int
compare_keys(const Key *a, const Key *b)
{
	size_t		n = a->len < b->len ? a->len : b->len;
	int			c = sign(memcmp(a->bytes, b->bytes, n));

	return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

typedef enum Type
{
	BOOL, INT2, INT4, INT8, OID, FLOAT4, FLOAT8, SPAN, TEXT, UUID, NUMERIC, NTYPES
} Type;

#define MAX_DIGITS 6

typedef struct Number
{
	int			special;		/* 0 finite, -1 -inf, 1 inf, 2 NaN */
	int			sign;
	int			weight;
	int			ndigits;
	int16_t		digits[MAX_DIGITS];
} Number;

typedef struct Value
{
	bool		null;
	int64_t		i;				/* and bool, oid */
	double		f;				/* and float4 */
	__int128	span;
	uint8_t		bytes[16];
	size_t		len;
	Number		number;
} Value;

#define THREE_WAY(a, b) (((a) > (b)) - ((a) < (b)))

static inline int
compare_floats(double a, double b)
{
	if (isnan(a) || isnan(b))
		return THREE_WAY(isnan(a) != 0, isnan(b) != 0);
	return THREE_WAY(a, b);
}

static inline int
digit_at(const Number *n, int weight)
{
	int			i = n->weight - weight;

	return i >= 0 && i < n->ndigits ? n->digits[i] : 0;
}

static inline int
compare_numbers(const Number *a, const Number *b)
{
	int			high = (a->weight > b->weight ? a->weight : b->weight);
	int			c;

	/* digit by digit, signed, from the highest place that either has */
	if (a->special != 0 || b->special != 0)
		return THREE_WAY(a->special, b->special);
	for (int i = 0; i < MAX_DIGITS; i++)
		if ((c = THREE_WAY(a->sign * digit_at(a, high - i), b->sign * digit_at(b, high - i))) != 0)
			return c;
	for (int low = (a->weight < b->weight ? a->weight : b->weight), i = 0; i < MAX_DIGITS; i++)
		if ((c = THREE_WAY(a->sign * digit_at(a, low - i), b->sign * digit_at(b, low - i))) != 0)
			return c;
	return 0;
}

static inline int
compare_values(Type type, const Value *a, const Value *b)
{
	if (a->null || b->null)
		return THREE_WAY(a->null, b->null);
	switch (type)
	{
		case FLOAT4:
		case FLOAT8:
			return compare_floats(a->f, b->f);
		case SPAN:
			return THREE_WAY(a->span, b->span);
		case TEXT:
		case UUID:
			{
				size_t		n = a->len < b->len ? a->len : b->len;
				int			c = sign(memcmp(a->bytes, b->bytes, n));

				return c != 0 ? c : THREE_WAY(a->len, b->len);
			}
		case NUMERIC:
			return compare_numbers(&a->number, &b->number);
		default:
			return THREE_WAY(a->i, b->i);
	}
}

static inline void
write_value(KalamKeyWriter *w, Type type, bool desc, const Value *v)
{
	if (v->null)
	{
		kalam_key_null(w, desc);
		return;
	}
	kalam_key_value(w, desc);
	switch (type)
	{
		case BOOL:
			kalam_key_bool(w, v->i != 0);
			break;
		case INT2:
			kalam_key_int16(w, (int16_t) v->i);
			break;
		case INT4:
			kalam_key_int32(w, (int32_t) v->i);
			break;
		case INT8:
			kalam_key_int64(w, v->i);
			break;
		case OID:
			kalam_key_uint32(w, (uint32_t) v->i);
			break;
		case FLOAT4:
			kalam_key_float4(w, (float) v->f);
			break;
		case FLOAT8:
			kalam_key_float8(w, v->f);
			break;
		case SPAN:
			kalam_key_int128(w, v->span);
			break;
		case TEXT:
			kalam_key_bytes(w, v->bytes, v->len);
			break;
		case UUID:
			kalam_key_raw(w, v->bytes, v->len);
			break;
		case NUMERIC:
			if (v->number.special == 0)
				kalam_key_numeric(w, v->number.sign, v->number.weight, v->number.digits, v->number.ndigits);
			else
				kalam_key_numeric_special(w, v->number.special < 0 ? KALAM_NUMERIC_NEG_INF :
										  v->number.special == 1 ? KALAM_NUMERIC_POS_INF : KALAM_NUMERIC_NAN);
			break;
		case NTYPES:
			abort();
	}
}

#endif							/* KALAM_TEST_KEYCODEC_MODEL_H */
