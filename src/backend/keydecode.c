/*
 * keydecode.c
 *	  Key bytes back to datums, for scans that need no more than a key holds.
 *
 * The counterpart of keyencode.c, for the types whose bytes tell the value
 * exactly; columns of the others can be passed over.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/inet.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "src/backend/keyencode.h"

/* A column's bytes; those of a descending one are complemented. */
typedef struct KeyReader
{
	const uint8 *p;
	const uint8 *end;
	uint8		mask;
} KeyReader;

#define TAG_VALUE	0x01
#define TAG_NULL	0x02

#define INET_KEY_BYTES	34		/* family, network, bits, address */

static void
malformed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a stored key of a kalam table is malformed")));
}

static inline uint8
take_byte(KeyReader *r)
{
	if (r->p >= r->end)
		malformed();
	return *r->p++ ^ r->mask;
}

static uint64
take_number(KeyReader *r, int size)
{
	uint64		v = 0;

	for (int i = 0; i < size; i++)
		v = v << 8 | take_byte(r);
	return v;
}

/* A signed one, whose sign bit is flipped. */
static int64
take_signed(KeyReader *r, int size)
{
	uint64		v = take_number(r, size) ^ UINT64CONST(1) << (8 * size - 1);

	/* extend the sign */
	return (int64) (v << (64 - 8 * size)) >> (64 - 8 * size);
}

static void
take_raw(KeyReader *r, uint8 *out, int size)
{
	for (int i = 0; i < size; i++)
		out[i] = take_byte(r);
}

static void
pass(KeyReader *r, int size)
{
	if (r->end - r->p < size)
		malformed();
	r->p += size;
}

/* A string's length, with the reader left where it is. */
static size_t
string_length(const KeyReader *r)
{
	KeyReader	look = *r;
	size_t		len = 0;

	for (;;)
	{
		if (take_byte(&look) == 0)
		{
			uint8		next = take_byte(&look);

			if (next == 0x01)
				return len;
			if (next != 0xFF)
				malformed();
		}
		len++;
	}
}

/* Takes it; out may be NULL. */
static void
take_string(KeyReader *r, uint8 *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		uint8		b = take_byte(r);

		if (b == 0)
			pass(r, 1);
		if (out != NULL)
			out[i] = b;
	}
	pass(r, 2);
}

/* keycodec.c has the layout of numbers. */
static void
pass_numeric(KeyReader *r)
{
	uint8		before = r->mask;
	uint8		first = take_byte(r);

	if (first == 0xFF || first == 0xFE || first == 0x01 || first == 0x80)
		return;
	if (first < 0x80)
	{
		r->mask ^= 0xFF;
		first ^= 0xFF;
	}
	if (first == 0xC3 || first == 0x81)
		pass(r, 4);
	while (take_number(r, 2) & 1)
		;
	r->mask = before;
}

static Datum
take_varlena(KeyReader *r)
{
	size_t		len = string_length(r);
	struct varlena *v = palloc(VARHDRSZ + len);

	SET_VARSIZE(v, VARHDRSZ + len);
	take_string(r, (uint8 *) VARDATA(v), len);
	return PointerGetDatum(v);
}

/* Of char(n): with the spaces that the key does without. */
static Datum
take_bpchar(KeyReader *r, int32 typmod)
{
	size_t		len = string_length(r);
	int			nchars = typmod - VARHDRSZ;
	char	   *text = palloc(len + nchars);
	struct varlena *v;
	int			have;

	take_string(r, (uint8 *) text, len);
	have = pg_mbstrlen_with_len(text, (int) len);
	for (; have < nchars; have++)
		text[len++] = ' ';
	v = palloc(VARHDRSZ + len);
	SET_VARSIZE(v, VARHDRSZ + len);
	memcpy(VARDATA(v), text, len);
	pfree(text);
	return PointerGetDatum(v);
}

bool
kalam_key_type_decodes(const KalamKeyType *kt, int32 typmod)
{
	switch (kt->codec)
	{
		case KALAM_CODEC_FLOAT4:
		case KALAM_CODEC_FLOAT8:
		case KALAM_CODEC_NUMERIC:
		case KALAM_CODEC_INTERVAL:
		case KALAM_CODEC_INET:
			return false;
		case KALAM_CODEC_BPCHAR:
			return typmod > VARHDRSZ;
		default:
			return true;
	}
}

static void
pass_value(KeyReader *r, KalamKeyCodec codec)
{
	switch (codec)
	{
		case KALAM_CODEC_BOOL:
		case KALAM_CODEC_CHAR:
			pass(r, 1);
			break;
		case KALAM_CODEC_INT2:
			pass(r, 2);
			break;
		case KALAM_CODEC_INT4:
		case KALAM_CODEC_OID:
		case KALAM_CODEC_FLOAT4:
		case KALAM_CODEC_DATE:
			pass(r, 4);
			break;
		case KALAM_CODEC_INT8:
		case KALAM_CODEC_FLOAT8:
		case KALAM_CODEC_TIME:
		case KALAM_CODEC_TIMESTAMP:
			pass(r, 8);
			break;
		case KALAM_CODEC_TIMETZ:
			pass(r, 12);
			break;
		case KALAM_CODEC_UUID:
			pass(r, UUID_LEN);
			break;
		case KALAM_CODEC_INTERVAL:
			pass(r, 16);
			break;
		case KALAM_CODEC_INET:
			pass(r, INET_KEY_BYTES);
			break;
		case KALAM_CODEC_MACADDR:
			pass(r, sizeof(macaddr));
			break;
		case KALAM_CODEC_MACADDR8:
			pass(r, sizeof(macaddr8));
			break;
		case KALAM_CODEC_NUMERIC:
			pass_numeric(r);
			break;
		case KALAM_CODEC_VARLENA:
		case KALAM_CODEC_BPCHAR:
		case KALAM_CODEC_NAME:
			take_string(r, NULL, string_length(r));
			break;
	}
}

static Datum
take_value(KeyReader *r, const KalamKeyType *kt, int32 typmod)
{
	switch (kt->codec)
	{
		case KALAM_CODEC_BOOL:
			return BoolGetDatum(take_byte(r) != 0);
		case KALAM_CODEC_CHAR:
			return CharGetDatum((char) take_byte(r));
		case KALAM_CODEC_INT2:
			return Int16GetDatum((int16) take_signed(r, 2));
		case KALAM_CODEC_INT4:
		case KALAM_CODEC_DATE:
			return Int32GetDatum((int32) take_signed(r, 4));
		case KALAM_CODEC_INT8:
		case KALAM_CODEC_TIME:
		case KALAM_CODEC_TIMESTAMP:
			return Int64GetDatum(take_signed(r, 8));
		case KALAM_CODEC_OID:
			return ObjectIdGetDatum((Oid) take_number(r, 4));
		case KALAM_CODEC_TIMETZ:
			{
				TimeTzADT  *t = palloc(sizeof(TimeTzADT));

				t->time = take_signed(r, 8);
				t->zone = (int32) take_signed(r, 4);
				t->time -= t->zone * USECS_PER_SEC;
				return TimeTzADTPGetDatum(t);
			}
		case KALAM_CODEC_UUID:
			{
				pg_uuid_t  *u = palloc(sizeof(pg_uuid_t));

				take_raw(r, u->data, UUID_LEN);
				return UUIDPGetDatum(u);
			}
		case KALAM_CODEC_MACADDR:
			{
				macaddr    *m = palloc(sizeof(macaddr));

				take_raw(r, (uint8 *) m, sizeof(macaddr));
				return MacaddrPGetDatum(m);
			}
		case KALAM_CODEC_MACADDR8:
			{
				macaddr8   *m = palloc(sizeof(macaddr8));

				take_raw(r, (uint8 *) m, sizeof(macaddr8));
				return Macaddr8PGetDatum(m);
			}
		case KALAM_CODEC_NAME:
			{
				Name		name = palloc0(NAMEDATALEN);
				size_t		len = string_length(r);

				if (len >= NAMEDATALEN)
					malformed();
				take_string(r, (uint8 *) NameStr(*name), len);
				return NameGetDatum(name);
			}
		case KALAM_CODEC_VARLENA:
			return take_varlena(r);
		case KALAM_CODEC_BPCHAR:
			return take_bpchar(r, typmod);
		case KALAM_CODEC_FLOAT4:
		case KALAM_CODEC_FLOAT8:
		case KALAM_CODEC_NUMERIC:
		case KALAM_CODEC_INTERVAL:
		case KALAM_CODEC_INET:
			break;
	}
	elog(ERROR, "type %u cannot be read from key bytes", kt->base_type);
	return (Datum) 0;			/* not reached */
}

const uint8 *
kalam_decode_datum(const uint8 *p, const uint8 *end, const KalamKeyType *kt, bool desc,
				   int32 typmod, Datum *value, bool *isnull)
{
	KeyReader	r = {p, end, desc ? 0xFF : 0};
	uint8		tag = take_byte(&r);

	if (tag != TAG_VALUE && tag != TAG_NULL)
		malformed();
	if (isnull != NULL)
		*isnull = tag == TAG_NULL;
	if (tag == TAG_NULL)
	{
		if (value != NULL)
			*value = (Datum) 0;
	}
	else if (value == NULL)
		pass_value(&r, kt->codec);
	else
		*value = take_value(&r, kt, typmod);
	return r.p;
}
