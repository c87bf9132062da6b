/*
 * rowvalue.h
 *	  Values of stored columns: what numbers they are, and their order in SQL.
 *
 * C11 only.
 */
#ifndef KALAM_ROWVALUE_H
#define KALAM_ROWVALUE_H

#include <string.h>

#include "src/shared/rowread.h"

/* What a number's bytes say; not for other kinds. */
static inline int64_t
kalam_value_integer(KalamFieldKind kind, const uint8_t *at)
{
	int16_t		i16;
	int32_t		i32;
	uint32_t	u32;
	int64_t		i64;

	switch (kind)
	{
		case KALAM_FIELD_U8:
			return *at;
		case KALAM_FIELD_I16:
			memcpy(&i16, at, sizeof(i16));
			return i16;
		case KALAM_FIELD_I32:
			memcpy(&i32, at, sizeof(i32));
			return i32;
		case KALAM_FIELD_U32:
			memcpy(&u32, at, sizeof(u32));
			return u32;
		default:
			memcpy(&i64, at, sizeof(i64));
			return i64;
	}
}

extern double kalam_value_float(KalamFieldKind kind, const uint8_t *at);

/*
 * The order of two values of columns of a kind, as SQL sees it; for FIXED to
 * PADDED the order of bytes.  False: damaged.
 */
extern bool kalam_value_compare(KalamFieldKind kind, KalamRowValue a, KalamRowValue b, int *order);

/* What of a value is looked at: itself, or how long it is. */
typedef enum KalamMeasure
{
	KALAM_MEASURE_NONE = 0,
	KALAM_MEASURE_BYTES,		/* BYTES and PADDED: all of it */
	KALAM_MEASURE_TEXT_BYTES,	/* the same, but of PADDED without spaces at its end */
	KALAM_MEASURE_TEXT_UTF8,	/* that in characters of UTF-8, which it must be */
	KALAM_MEASURES
} KalamMeasure;

/* Is it one that values of this kind have?  Then as what kind they are understood. */
extern bool kalam_measure_good(uint8_t measure, uint8_t kind);
extern uint8_t kalam_measured_kind(uint8_t measure, uint8_t kind);

/* Not for NONE. */
extern int32_t kalam_value_measure(uint8_t measure, KalamFieldKind kind, KalamRowValue v);

/* A numeric: digits to base 10000, the first of which counts 10000 ^ weight. */
typedef struct KalamNumber
{
	int			special;		/* -1 and 1: the infinities; 2: NaN; else 0 */
	int			sign;			/* -1, 0, 1 */
	int			weight;
	uint32_t	scale;			/* decimal digits behind the point, to be shown */
	uint32_t	ndigits;
	const uint8_t *digits;		/* 2 bytes each */
} KalamNumber;

/* False: it is none. */
extern bool kalam_number_read(KalamRowValue v, KalamNumber *n);

#endif							/* KALAM_ROWVALUE_H */
