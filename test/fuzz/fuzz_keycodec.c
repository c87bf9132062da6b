/*
 * fuzz_keycodec.c
 *	  Two rows from the input: memcmp of their keys must have the sign of SQL's
 *	  comparison; a writer with less room must overflow and stay inside.
 */
#include "test/fuzz/fuzz.h"
#include "test/unit/keycodec_model.h"

#define MAX_COLUMNS 4

static Value
take_value(Input *in, Type type)
{
	Value		v = {.null = take_byte(in) % 8 == 7};
	uint32_t	bits4;
	uint64_t	bits8;
	float		f;

	switch (type)
	{
		case BOOL:
			v.i = take_byte(in) & 1;
			break;
		case INT2:
			v.i = (int16_t) take_bytes(in, 2);
			break;
		case INT4:
			v.i = (int32_t) take_bytes(in, 4);
			break;
		case INT8:
			v.i = (int64_t) take_bytes(in, 8);
			break;
		case OID:
			v.i = (uint32_t) take_bytes(in, 4);
			break;
		case FLOAT4:
			bits4 = (uint32_t) take_bytes(in, 4);
			memcpy(&f, &bits4, sizeof(f));
			v.f = f;
			break;
		case FLOAT8:
			bits8 = take_bytes(in, 8);
			memcpy(&v.f, &bits8, sizeof(v.f));
			break;
		case SPAN:
			v.span = (__int128) ((unsigned __int128) take_bytes(in, 8) << 64 | take_bytes(in, 8));
			break;
		case TEXT:
			v.len = take_byte(in) % (sizeof(v.bytes) + 1);
			for (size_t i = 0; i < v.len; i++)
				v.bytes[i] = take_byte(in);
			break;
		case UUID:
			v.len = sizeof(v.bytes);
			for (size_t i = 0; i < v.len; i++)
				v.bytes[i] = take_byte(in);
			break;
		case NUMERIC:
			{
				uint8_t		kind = take_byte(in);

				v.number.special = kind >= 0xFD ? kind - 0xFE : 0;
				if (kind == 0xFE)
					v.number.special = 2;
				v.number.sign = kind % 3 - 1;
				v.number.weight = kind & 0x40 ? (int16_t) take_bytes(in, 2) : (int8_t) take_byte(in);
				v.number.ndigits = take_byte(in) % (MAX_DIGITS + 1);
				for (int i = 0; i < v.number.ndigits; i++)
					v.number.digits[i] = (int16_t) (take_bytes(in, 2) % 10000);
			}
			break;
		case NTYPES:
			abort();
	}
	return v;
}

static void
write_row(KalamKeyWriter *w, uint8_t *room, size_t cap, int ncolumns, const Type *types,
		  const bool *desc, const Value *row)
{
	kalam_key_begin(w, room, cap);
	for (int c = 0; c < ncolumns; c++)
		write_value(w, types[c], desc[c], &row[c]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	Type		types[MAX_COLUMNS];
	bool		desc[MAX_COLUMNS];
	Value		rows[2][MAX_COLUMNS];
	Key			keys[2];
	int			ncolumns = 1 + take_byte(&in) % MAX_COLUMNS;
	size_t		cap = take_byte(&in);
	int			expected = 0;
	KalamKeyWriter w;
	uint8_t    *room;

	for (int c = 0; c < ncolumns; c++)
	{
		uint8_t		b = take_byte(&in);

		types[c] = (Type) ((b & 0x7F) % NTYPES);
		desc[c] = b >> 7;
		rows[0][c] = take_value(&in, types[c]);
		rows[1][c] = take_byte(&in) & 1 ? take_value(&in, types[c]) : rows[0][c];
		if (expected == 0)
			expected = compare_values(types[c], &rows[0][c], &rows[1][c]) * (desc[c] ? -1 : 1);
	}
	for (int i = 0; i < 2; i++)
	{
		write_row(&w, keys[i].bytes, KEY_CAP, ncolumns, types, desc, rows[i]);
		MUST(!w.overflow);
		keys[i].len = w.len;
	}
	MUST(compare_keys(&keys[0], &keys[1]) == expected);
	MUST(compare_keys(&keys[1], &keys[0]) == -expected);

	room = malloc(cap == 0 ? 1 : cap);
	write_row(&w, room, cap, ncolumns, types, desc, rows[0]);
	MUST(w.overflow == (keys[0].len > cap));
	MUST(w.len <= cap && memcmp(room, keys[0].bytes, w.len) == 0);
	free(room);

	/* what begins with a key lies below its successor, the key's equals as well */
	if (keys[1].len > 0)
	{
		Key			next = keys[0];

		next.len = kalam_key_successor(next.bytes, next.len);
		if (next.len > 0)
		{
			MUST(compare_keys(&keys[0], &next) < 0);
			if (expected > 0)
				MUST(compare_keys(&keys[1], &keys[0]) < 0);
			if (expected < 0)
				MUST(compare_keys(&keys[1], &next) >= 0);
		}
	}
	return 0;
}
