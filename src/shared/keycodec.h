/*
 * keycodec.h
 *	  Values to key bytes whose memcmp order is SQL's order.
 *
 * C11 only; it never fails and never allocates beyond the caller's buffer: a
 * writer that runs out of room remembers that it overflowed.
 *
 * A column is a tag byte and its bytes; DESC complements both:
 *
 *	 tag	01 a value follows; 02 null (nulls last, as Postgres' default)
 *
 *	 type						bytes
 *	 bool						1: 00, 01
 *	 "char"						1: as it is
 *	 int2, int4, int8			2, 4, 8: sign bit flipped, big-endian
 *	 oid						4: big-endian
 *	 float4, float8				4, 8: IEEE bits, all flipped if negative, else the sign bit;
 *								-0 as +0; one NaN, above infinity
 *	 text, varchar, bytea ...	each byte, 00 as 00 FF; then 00 01
 *	 char(n)					the same without trailing spaces
 *	 name						the same up to the first 00
 *	 uuid						16 as they are
 *	 date						as int4;  time, timestamp, timestamptz as int8
 *	 timetz						UTC time as int8, then zone as int4
 *	 interval					128-bit span in microseconds, sign flipped, big-endian
 *	 inet, cidr					family (1), network masked and padded to 16, bits (1), address 16
 *	 macaddr					6 as they are;  macaddr8 8
 *	 numeric					see keycodec.c: without scale, so 1.0 and 1.00 are one key
 *	 enum						its oid: equality only
 *
 * Example: int4 258 ascending is 01 80 00 01 02, descending FE 7F FF FE FD.
 */
#ifndef KALAM_KEYCODEC_H
#define KALAM_KEYCODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Appends to buf[0 .. cap); len may exceed nothing: see overflow. */
typedef struct KalamKeyWriter
{
	uint8_t    *buf;
	size_t		len;			/* bytes written */
	size_t		cap;
	bool		overflow;		/* something did not fit; the key is unusable */
	bool		desc;			/* complement what is written now */
} KalamKeyWriter;

static inline void
kalam_key_begin(KalamKeyWriter *w, uint8_t *buf, size_t cap)
{
	w->buf = buf;
	w->len = 0;
	w->cap = cap;
	w->overflow = false;
	w->desc = false;
}

/*
 * Bytes as they are, in the direction of the column.  This and what numbers need is
 * inline: of keys that are built by the million, most are numbers.
 */
static inline void
kalam_key_raw(KalamKeyWriter *w, const void *bytes, size_t n)
{
	uint8_t    *out = w->buf + w->len;

	if (w->overflow || n > w->cap - w->len)
	{
		w->overflow = true;
		return;
	}
	if (n > 0)
		memcpy(out, bytes, n);
	if (w->desc)
		for (size_t i = 0; i < n; i++)
			out[i] = (uint8_t) ~out[i];
	w->len += n;
}

/*
 * Every column starts with one of these two, which also sets the direction for
 * the value behind it.
 */
static inline void
kalam_key_null(KalamKeyWriter *w, bool desc)
{
	uint8_t		tag = 0x02;

	w->desc = desc;
	kalam_key_raw(w, &tag, 1);
}

static inline void
kalam_key_value(KalamKeyWriter *w, bool desc)
{
	uint8_t		tag = 0x01;

	w->desc = desc;
	kalam_key_raw(w, &tag, 1);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian hosts need no swapping");

static inline void
kalam_key_bool(KalamKeyWriter *w, bool v)
{
	uint8_t		b = v ? 1 : 0;

	kalam_key_raw(w, &b, 1);
}

static inline void
kalam_key_uint16(KalamKeyWriter *w, uint16_t v)
{
	uint16_t	b = __builtin_bswap16(v);

	kalam_key_raw(w, &b, sizeof(b));
}

static inline void
kalam_key_uint32(KalamKeyWriter *w, uint32_t v)
{
	uint32_t	b = __builtin_bswap32(v);

	kalam_key_raw(w, &b, sizeof(b));
}

static inline void
kalam_key_uint64(KalamKeyWriter *w, uint64_t v)
{
	uint64_t	b = __builtin_bswap64(v);

	kalam_key_raw(w, &b, sizeof(b));
}

static inline void
kalam_key_int16(KalamKeyWriter *w, int16_t v)
{
	kalam_key_uint16(w, (uint16_t) v ^ UINT16_C(0x8000));
}

static inline void
kalam_key_int32(KalamKeyWriter *w, int32_t v)
{
	kalam_key_uint32(w, (uint32_t) v ^ UINT32_C(0x80000000));
}

static inline void
kalam_key_int64(KalamKeyWriter *w, int64_t v)
{
	kalam_key_uint64(w, (uint64_t) v ^ UINT64_C(0x8000000000000000));
}

extern void kalam_key_float4(KalamKeyWriter *w, float v);
extern void kalam_key_float8(KalamKeyWriter *w, double v);
extern void kalam_key_int128(KalamKeyWriter *w, __int128 v);
extern void kalam_key_bytes(KalamKeyWriter *w, const void *bytes, size_t len);

/*
 * A number: sign -1, 0 or 1 and base-10000 digits d[0].d[1]d[2]... times
 * 10000^weight, as Postgres' numeric has them; leading and trailing zero digits
 * are allowed.  The special values come by their own call.
 */
typedef enum KalamNumericSpecial
{
	KALAM_NUMERIC_NEG_INF,
	KALAM_NUMERIC_POS_INF,
	KALAM_NUMERIC_NAN			/* above everything, as in Postgres */
} KalamNumericSpecial;

extern void kalam_key_numeric(KalamKeyWriter *w, int sign, int weight,
							  const int16_t *digits, int ndigits);
extern void kalam_key_numeric_special(KalamKeyWriter *w, KalamNumericSpecial special);

/*
 * The smallest key above every key that begins with key[0 .. len): adds one to
 * the last byte that is not FF and cuts behind it.  Returns the new length, or
 * 0 if there is none (all FF).
 */
extern size_t kalam_key_successor(uint8_t *key, size_t len);

#endif							/* KALAM_KEYCODEC_H */
