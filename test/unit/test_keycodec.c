/*
 * test_keycodec.c
 *	  Key bytes: the documented examples, and that memcmp of two keys has the
 *	  sign of SQL's comparison of what they were made from.
 */
#include "test/unit/keycodec_model.h"
#include "test/unit/unit.h"

#include <float.h>

/* ---- the documented bytes ---- */

static bool
wrote(const KalamKeyWriter *w, const char *hex)
{
	char		got[2 * KEY_CAP + 1];

	for (size_t i = 0; i < w->len; i++)
		snprintf(got + 2 * i, 3, "%02x", w->buf[i]);
	got[2 * w->len] = 0;
	if (!w->overflow && strcmp(got, hex) == 0)
		return true;
	fprintf(stderr, "wrote %s instead of %s\n", got, hex);
	return false;
}

/* Whether the value behind the tag is written as these bytes. */
#define WRITES(call, hex) \
	do { \
		uint8_t room[KEY_CAP]; \
		KalamKeyWriter writer, *w = &writer; \
		kalam_key_begin(w, room, sizeof(room)); \
		call; \
		CHECK(wrote(w, hex)); \
	} while (0)

static void
columns_begin_with_a_tag_and_desc_complements_both(void)
{
	WRITES((kalam_key_value(w, false), kalam_key_int32(w, 258)), "0180000102");
	WRITES((kalam_key_value(w, true), kalam_key_int32(w, 258)), "fe7ffffefd");
	WRITES(kalam_key_null(w, false), "02");
	WRITES(kalam_key_null(w, true), "fd");
	WRITES((kalam_key_value(w, true), kalam_key_bool(w, true), kalam_key_value(w, false), kalam_key_bool(w, true)),
		   "fefe0101");
}

static void
plain_types_have_the_documented_bytes(void)
{
	WRITES(kalam_key_bool(w, false), "00");
	WRITES(kalam_key_bool(w, true), "01");
	WRITES(kalam_key_int16(w, -1), "7fff");
	WRITES(kalam_key_int16(w, INT16_MIN), "0000");
	WRITES(kalam_key_int32(w, INT32_MAX), "ffffffff");
	WRITES(kalam_key_int64(w, 1), "8000000000000001");
	WRITES(kalam_key_uint32(w, 0xFFFFFFFE), "fffffffe");
	WRITES(kalam_key_float4(w, 1.0f), "bf800000");
	WRITES(kalam_key_float8(w, 1.0), "bff0000000000000");
	WRITES(kalam_key_float8(w, -1.0), "400fffffffffffff");
	WRITES(kalam_key_int128(w, -1), "7fffffffffffffffffffffffffffffff");
	WRITES(kalam_key_int128(w, (__int128) 1 << 64), "80000000000000010000000000000000");
	WRITES(kalam_key_raw(w, "\x00\xff", 2), "00ff");
}

static void
text_escapes_zero_bytes_and_ends_itself(void)
{
	WRITES(kalam_key_bytes(w, "", 0), "0001");
	WRITES(kalam_key_bytes(w, NULL, 0), "0001");
	WRITES(kalam_key_bytes(w, "ab", 2), "61620001");
	WRITES(kalam_key_bytes(w, "\0", 1), "00ff0001");
	WRITES(kalam_key_bytes(w, "a\0\0b", 4), "6100ff00ff620001");
	WRITES((kalam_key_value(w, true), kalam_key_bytes(w, "a\0", 2)), "fe9eff00fffe");
}

static void
numbers_have_the_documented_bytes(void)
{
	static const int16_t one[] = {1};
	static const int16_t one_and_a_half[] = {1, 5000};
	static const int16_t padded[] = {0, 0, 1, 0, 0};

	WRITES(kalam_key_numeric(w, 1, 0, one, 1), "a20002");
	WRITES(kalam_key_numeric(w, 1, 1, one, 1), "a30002");
	WRITES(kalam_key_numeric(w, 1, -1, one, 1), "a10002");
	WRITES(kalam_key_numeric(w, -1, 0, one, 1), "5dfffd");
	WRITES(kalam_key_numeric(w, 1, 0, one_and_a_half, 2), "a200032710");
	WRITES(kalam_key_numeric(w, 1, 2, padded, 5), "a20002");
	WRITES(kalam_key_numeric(w, 0, 0, NULL, 0), "80");
	WRITES(kalam_key_numeric(w, -1, 5, padded, 2), "80");
	WRITES(kalam_key_numeric(w, 1, 32, one, 1), "c20002");
	WRITES(kalam_key_numeric(w, 1, 33, one, 1), "c3800000210002");
	WRITES(kalam_key_numeric(w, 1, -32, one, 1), "820002");
	WRITES(kalam_key_numeric(w, 1, -33, one, 1), "817fffffdf0002");
	WRITES((kalam_key_numeric(w, -1, 0, one, 1), kalam_key_raw(w, "a", 1)), "5dfffd61");
	WRITES(kalam_key_numeric_special(w, KALAM_NUMERIC_NEG_INF), "01");
	WRITES(kalam_key_numeric_special(w, KALAM_NUMERIC_POS_INF), "fe");
	WRITES(kalam_key_numeric_special(w, KALAM_NUMERIC_NAN), "ff");
}

static void
floats_that_are_equal_by_sql_are_one_key(void)
{
	uint32_t	nan4 = 0xFFFFFFFF;
	uint64_t	nan8 = UINT64_C(0xFFF8000000000001);
	float		f;
	double		d;

	memcpy(&f, &nan4, sizeof(f));
	memcpy(&d, &nan8, sizeof(d));
	WRITES(kalam_key_float4(w, -0.0f), "80000000");
	WRITES(kalam_key_float4(w, 0.0f), "80000000");
	WRITES(kalam_key_float8(w, -0.0), "8000000000000000");
	WRITES(kalam_key_float4(w, f), "ffc00000");
	WRITES(kalam_key_float4(w, NAN), "ffc00000");
	WRITES(kalam_key_float8(w, d), "fff8000000000000");
	WRITES(kalam_key_float8(w, INFINITY), "fff0000000000000");
}

static void
a_writer_without_room_says_so_and_stays_in_its_buffer(void)
{
	static const int16_t digits[] = {1, 2, 3, 4, 5, 6, 7, 8};

	for (size_t cap = 0; cap < 60; cap++)
	{
		uint8_t    *room = malloc(cap == 0 ? 1 : cap);
		KalamKeyWriter w;

		kalam_key_begin(&w, room, cap);
		kalam_key_value(&w, cap % 2);
		kalam_key_numeric(&w, 1, 3, digits, 8);	/* 17 */
		kalam_key_value(&w, false);
		kalam_key_bytes(&w, "abc\0def", 7); /* 10 */
		kalam_key_value(&w, true);
		kalam_key_int64(&w, 7);
		CHECK(w.overflow == (cap < 1 + 17 + 1 + 10 + 1 + 8));
		CHECK(w.len <= cap);

		/* it does not recover: a shorter value behind it is not taken */
		if (w.overflow)
		{
			size_t		len = w.len;

			kalam_key_null(&w, false);
			CHECK(w.overflow && w.len == len);
		}
		free(room);
	}
}

static void
the_successor_is_just_above_all_keys_that_begin_so(void)
{
	uint8_t		a[] = {0x01, 0x02};
	uint8_t		b[] = {0x01, 0xFF, 0xFF};
	uint8_t		c[] = {0xFF, 0xFF};

	CHECK(kalam_key_successor(a, 2) == 2 && a[0] == 1 && a[1] == 3);
	CHECK(kalam_key_successor(b, 3) == 1 && b[0] == 2);
	CHECK(kalam_key_successor(c, 2) == 0);
	CHECK(kalam_key_successor(c, 0) == 0);

	for (int round = 0; round < 20000; round++)
	{
		Key			prefix;
		Key			other;
		Key			successor;
		bool		begins;

		prefix.len = unit_random_below(4);
		for (size_t i = 0; i < prefix.len; i++)
			prefix.bytes[i] = (uint8_t) (0xFD + unit_random_below(3));
		other.len = unit_random_below(6);
		for (size_t i = 0; i < other.len; i++)
			other.bytes[i] = (uint8_t) (0xFD + unit_random_below(3));
		successor = prefix;
		successor.len = kalam_key_successor(successor.bytes, prefix.len);
		begins = other.len >= prefix.len && memcmp(other.bytes, prefix.bytes, prefix.len) == 0;

		/* other is in [prefix, successor) exactly if it begins with prefix */
		CHECK(begins == (compare_keys(&other, &prefix) >= 0 &&
						 (successor.len == 0 || compare_keys(&other, &successor) < 0)));
	}
}

/* ---- order ---- */

static int64_t
random_int(void)
{
	int64_t		v = (int64_t) (unit_random() >> unit_random_below(64));

	return unit_random_below(2) ? v : -v;
}

static double
random_float(void)
{
	static const double special[] = {
		0.0, -0.0, 1.0, -1.0, NAN, INFINITY, -INFINITY, FLT_MIN, FLT_MAX, -FLT_MAX, FLT_TRUE_MIN, -FLT_TRUE_MIN
	};
	uint64_t	bits = unit_random();
	double		d;

	if (unit_random_below(2))
		return special[unit_random_below(sizeof(special) / sizeof(special[0]))];
	if (unit_random_below(2))
		return (double) random_int();
	memcpy(&d, &bits, sizeof(d));
	return d;
}

static Number
random_numeric(void)
{
	static const int16_t digits[] = {0, 0, 1, 127, 128, 255, 256, 4999, 5000, 9999};
	static const int weights[] = {0, 0, 1, -1, 31, 32, 33, 34, -31, -32, -33, -34, 32767, -5000};
	Number		n = {.special = 0};

	if (unit_random_below(20) == 0)
		n.special = (int) unit_random_below(4) - 1;
	n.sign = (int) unit_random_below(3) - 1;
	n.weight = weights[unit_random_below(sizeof(weights) / sizeof(weights[0]))] + (int) unit_random_below(3) - 1;
	n.ndigits = (int) unit_random_below(MAX_DIGITS + 1);
	for (int i = 0; i < n.ndigits; i++)
		n.digits[i] = digits[unit_random_below(sizeof(digits) / sizeof(digits[0]))];
	return n;
}

static Value
random_value(Type type)
{
	Value		v = {.null = unit_random_below(6) == 0};

	switch (type)
	{
		case BOOL:
			v.i = (int64_t) unit_random_below(2);
			break;
		case INT2:
			v.i = (int16_t) random_int();
			break;
		case INT4:
			v.i = (int32_t) random_int();
			break;
		case INT8:
			v.i = random_int();
			break;
		case OID:
			v.i = (uint32_t) random_int();
			break;
		case FLOAT4:
			v.f = (float) fmax(fmin(random_float(), FLT_MAX), -FLT_MAX);
			if (unit_random_below(5) == 0)
				v.f = unit_random_below(2) ? NAN : INFINITY;
			break;
		case FLOAT8:
			v.f = random_float();
			break;
		case SPAN:
			v.span = (__int128) random_int() * (1 + (int64_t) unit_random_below(1000000)) + random_int() % 3;
			break;
		case TEXT:
			v.len = unit_random_below(5);
			for (size_t i = 0; i < v.len; i++)
				v.bytes[i] = (uint8_t[]) {0, 0, 1, 2, 'a', 'b', 0xFE, 0xFF}[unit_random_below(8)];
			break;
		case UUID:
			v.len = 16;
			for (size_t i = 0; i < v.len; i++)
				v.bytes[i] = unit_random_below(3) ? 0 : (uint8_t) unit_random();
			break;
		case NUMERIC:
			v.number = random_numeric();
			break;
		case NTYPES:
			abort();
	}
	return v;
}

static void
one_column_orders_as_sql_does(void)
{
	for (Type type = 0; type < NTYPES; type++)
	{
		enum {N = 400};
		static Value values[N];
		static Key	up[N];
		static Key	down[N];

		for (int i = 0; i < N; i++)
		{
			KalamKeyWriter w;

			values[i] = random_value(type);
			kalam_key_begin(&w, up[i].bytes, KEY_CAP);
			write_value(&w, type, false, &values[i]);
			up[i].len = w.len;
			CHECK(!w.overflow);
			kalam_key_begin(&w, down[i].bytes, KEY_CAP);
			write_value(&w, type, true, &values[i]);
			down[i].len = w.len;
		}
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++)
			{
				int			c = compare_values(type, &values[i], &values[j]);

				CHECK(compare_keys(&up[i], &up[j]) == c);
				CHECK(compare_keys(&down[i], &down[j]) == -c);
			}
	}
}

static void
many_columns_order_as_sql_does(void)
{
	enum {MAX_COLUMNS = 5, N = 40};

	for (int round = 0; round < 600; round++)
	{
		static Value rows[N][MAX_COLUMNS];
		static Key	keys[N];
		Type		types[MAX_COLUMNS];
		bool		desc[MAX_COLUMNS];
		int			ncolumns = 1 + (int) unit_random_below(MAX_COLUMNS);

		for (int c = 0; c < ncolumns; c++)
		{
			types[c] = (Type) unit_random_below(NTYPES);
			desc[c] = unit_random_below(2);
		}
		for (int i = 0; i < N; i++)
		{
			KalamKeyWriter w;

			kalam_key_begin(&w, keys[i].bytes, KEY_CAP);
			for (int c = 0; c < ncolumns; c++)
			{
				/* often the value of another row, so that later columns count */
				if (i > 0 && unit_random_below(4) != 0)
					rows[i][c] = rows[unit_random_below((uint64_t) i)][c];
				else
					rows[i][c] = random_value(types[c]);
				write_value(&w, types[c], desc[c], &rows[i][c]);
			}
			keys[i].len = w.len;
		}
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++)
			{
				int			expected = 0;

				for (int c = 0; c < ncolumns && expected == 0; c++)
					expected = compare_values(types[c], &rows[i][c], &rows[j][c]) * (desc[c] ? -1 : 1);
				CHECK(compare_keys(&keys[i], &keys[j]) == expected);
			}
	}
}

int
main(void)
{
	unit_run(columns_begin_with_a_tag_and_desc_complements_both);
	unit_run(plain_types_have_the_documented_bytes);
	unit_run(text_escapes_zero_bytes_and_ends_itself);
	unit_run(numbers_have_the_documented_bytes);
	unit_run(floats_that_are_equal_by_sql_are_one_key);
	unit_run(a_writer_without_room_says_so_and_stays_in_its_buffer);
	unit_run(the_successor_is_just_above_all_keys_that_begin_so);
	unit_run(one_column_orders_as_sql_does);
	unit_run(many_columns_order_as_sql_does);
	return unit_finish("keycodec");
}
