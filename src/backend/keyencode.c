/*
 * keyencode.c
 *	  Datums of key columns to key bytes: which types can be keys, and how.
 *
 * The bytes themselves are keycodec.c's; here is what needs Postgres: the types,
 * their collations, the insides of numeric and of network addresses, and what
 * may stand on the other side of a comparison.  Works on its arguments alone:
 * no relation, no lock; the type cache is read by kalam_key_type only.  What
 * detoasting allocates is freed before the return.  Must not know tables or
 * where keys are stored.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/inet.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "src/backend/keyencode.h"

/* ---- which types ---- */

static bool
find_codec(Oid type, KalamKeyCodec *codec)
{
	switch (type)
	{
		case BOOLOID:
			*codec = KALAM_CODEC_BOOL;
			return true;
		case CHAROID:
			*codec = KALAM_CODEC_CHAR;
			return true;
		case INT2OID:
			*codec = KALAM_CODEC_INT2;
			return true;
		case INT4OID:
			*codec = KALAM_CODEC_INT4;
			return true;
		case INT8OID:
			*codec = KALAM_CODEC_INT8;
			return true;
		case OIDOID:
			*codec = KALAM_CODEC_OID;
			return true;
		case FLOAT4OID:
			*codec = KALAM_CODEC_FLOAT4;
			return true;
		case FLOAT8OID:
			*codec = KALAM_CODEC_FLOAT8;
			return true;
		case NUMERICOID:
			*codec = KALAM_CODEC_NUMERIC;
			return true;
		case TEXTOID:
		case VARCHAROID:
		case BYTEAOID:
			*codec = KALAM_CODEC_VARLENA;
			return true;
		case BPCHAROID:
			*codec = KALAM_CODEC_BPCHAR;
			return true;
		case NAMEOID:
			*codec = KALAM_CODEC_NAME;
			return true;
		case UUIDOID:
			*codec = KALAM_CODEC_UUID;
			return true;
		case DATEOID:
			*codec = KALAM_CODEC_DATE;
			return true;
		case TIMEOID:
			*codec = KALAM_CODEC_TIME;
			return true;
		case TIMETZOID:
			*codec = KALAM_CODEC_TIMETZ;
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			*codec = KALAM_CODEC_TIMESTAMP;
			return true;
		case INTERVALOID:
			*codec = KALAM_CODEC_INTERVAL;
			return true;
		case INETOID:
		case CIDROID:
			*codec = KALAM_CODEC_INET;
			return true;
		case MACADDROID:
			*codec = KALAM_CODEC_MACADDR;
			return true;
		case MACADDR8OID:
			*codec = KALAM_CODEC_MACADDR8;
			return true;
		default:
			return false;
	}
}

static inline bool
is_collated(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == NAMEOID;
}

bool
kalam_key_type(Oid type, Oid collation, KalamKeyType *kt, const char **why)
{
	Oid			base = getBaseType(type);
	TypeCacheEntry *entry = lookup_type_cache(base, TYPECACHE_BTREE_OPFAMILY);
	bool		is_enum = type_is_enum(base);
	KalamKeyCodec	codec = KALAM_CODEC_OID;

	if (!is_enum && !find_codec(base, &codec))
	{
		if (!OidIsValid(entry->btree_opf))
			*why = psprintf("type %s has no order", format_type_be(type));
		else
			*why = psprintf("type %s has no order that fits in key bytes", format_type_be(type));
		return false;
	}

	kt->base_type = base;
	kt->collation = is_collated(base) ? collation : InvalidOid;
	kt->btree_opfamily = entry->btree_opf;
	kt->codec = codec;
	kt->ordered = !is_enum;
	kt->exact_equality = true;

	if (OidIsValid(kt->collation) && !lc_collate_is_c(kt->collation))
	{
		if (!get_collation_isdeterministic(kt->collation))
		{
			*why = psprintf("collation \"%s\" is not deterministic: strings of other bytes can be equal",
							get_collation_name(kt->collation));
			return false;
		}
		kt->ordered = false;
	}
	else if (is_collated(base) && !OidIsValid(kt->collation))
		kt->ordered = false;
	return true;
}

/* ---- values ---- */

/*
 * A numeric's bytes are private to Postgres' numeric.c, and have been the same
 * since 9.1 (infinities since 14).  Behind the length:
 *
 *	 uint16 header	top bits 00 and 01: the long form, positive or negative;
 *					an int16 weight follows, then the digits
 *					10: the short form: 2000 sign, 0040 + 003F weight in two's
 *					complement of 7 bits; the digits follow
 *					11: special: C000 NaN, D000 infinity, F000 -infinity
 *	 int16 digits[]	base 10000
 *
 * With a length of one byte all of it is unaligned.
 */
#define NUMERIC_SIGN_BITS		0xC000
#define NUMERIC_NEGATIVE		0x4000
#define NUMERIC_SHORT_FORM		0x8000
#define NUMERIC_SPECIAL_FORM	0xC000
#define NUMERIC_SPECIAL_BITS	0xF000
#define NUMERIC_INFINITY		0xD000
#define NUMERIC_MINUS_INFINITY	0xF000
#define NUMERIC_SHORT_NEGATIVE	0x2000
#define NUMERIC_SHORT_WEIGHT_SIGN	0x0040
#define NUMERIC_SHORT_WEIGHT	0x003F

#define DIGITS_ON_STACK			64

static void
encode_numeric(KalamKeyWriter *w, const char *data, size_t size)
{
	uint16		header;
	int			sign;
	int			weight;
	int			ndigits;

	memcpy(&header, data, sizeof(header));
	data += sizeof(header);
	size -= sizeof(header);

	if ((header & NUMERIC_SIGN_BITS) == NUMERIC_SPECIAL_FORM)
	{
		switch (header & NUMERIC_SPECIAL_BITS)
		{
			case NUMERIC_INFINITY:
				kalam_key_numeric_special(w, KALAM_NUMERIC_POS_INF);
				break;
			case NUMERIC_MINUS_INFINITY:
				kalam_key_numeric_special(w, KALAM_NUMERIC_NEG_INF);
				break;
			default:
				kalam_key_numeric_special(w, KALAM_NUMERIC_NAN);
				break;
		}
		return;
	}

	if (header & NUMERIC_SHORT_FORM)
	{
		sign = header & NUMERIC_SHORT_NEGATIVE ? -1 : 1;
		weight = header & NUMERIC_SHORT_WEIGHT;
		if (header & NUMERIC_SHORT_WEIGHT_SIGN)
			weight -= NUMERIC_SHORT_WEIGHT + 1;
	}
	else
	{
		int16		long_weight;

		sign = header & NUMERIC_NEGATIVE ? -1 : 1;
		memcpy(&long_weight, data, sizeof(long_weight));
		weight = long_weight;
		data += sizeof(long_weight);
		size -= sizeof(long_weight);
	}

	/* No digits at all is zero. */
	ndigits = size / sizeof(int16);
	if (((uintptr_t) data & (sizeof(int16) - 1)) == 0)
		kalam_key_numeric(w, sign, weight, (const int16 *) data, ndigits);
	else
	{
		int16		on_stack[DIGITS_ON_STACK];
		int16	   *digits = on_stack;

		if (ndigits > DIGITS_ON_STACK)
			digits = palloc(ndigits * sizeof(int16));
		memcpy(digits, data, ndigits * sizeof(int16));
		kalam_key_numeric(w, sign, weight, digits, ndigits);
		if (digits != on_stack)
			pfree(digits);
	}
}

/*
 * network_cmp compares the bits that both networks have, then their lengths,
 * then whole addresses.  The masked network gives the same: where the common
 * bits are equal, the longer network has ones behind them and is greater, or it
 * has none and the length decides.
 */
static void
encode_inet(KalamKeyWriter *w, const inet_struct *in)
{
	uint8		out[1 + 16 + 1 + 16];
	uint8	   *network = out + 1;
	int			size = in->family == PGSQL_AF_INET ? 4 : 16;
	int			whole = Min(in->bits / 8, size);

	memset(out, 0, sizeof(out));
	out[0] = in->family;
	memcpy(network, in->ipaddr, whole);
	if (whole < size && in->bits % 8 != 0)
		network[whole] = in->ipaddr[whole] & (uint8) (0xFF00 >> (in->bits % 8));
	out[17] = in->bits;
	memcpy(out + 18, in->ipaddr, size);
	kalam_key_raw(w, out, sizeof(out));
}

/* As interval_cmp_value: a month has 30 days, a day has 24 hours. */
static __int128
interval_span(const Interval *i)
{
	int64		days = i->month * INT64CONST(30) + i->day;

	return (__int128) days * USECS_PER_DAY + i->time;
}

/* (apart, so that numbers do not pay for what it keeps on the stack) */
static pg_noinline void
encode_varlena(KalamKeyWriter *w, KalamKeyCodec codec, Datum value)
{
	struct varlena *in = (struct varlena *) DatumGetPointer(value);
	struct varlena *v;
	const char *data;
	size_t		len;

	/* Do not fetch 200 MB to find that they do not fit. */
	if (codec == KALAM_CODEC_VARLENA && VARATT_IS_EXTENDED(in) && !VARATT_IS_SHORT(in) &&
		toast_raw_datum_size(value) - VARHDRSZ > w->cap)
	{
		w->overflow = true;
		return;
	}

	v = pg_detoast_datum_packed(in);
	data = VARDATA_ANY(v);
	len = VARSIZE_ANY_EXHDR(v);
	switch (codec)
	{
		case KALAM_CODEC_NUMERIC:
			encode_numeric(w, data, len);
			break;
		case KALAM_CODEC_INET:
			encode_inet(w, (const inet_struct *) data);
			break;
		case KALAM_CODEC_BPCHAR:
			len = bpchartruelen(unconstify(char *, data), len);
			kalam_key_bytes(w, data, len);
			break;
		default:
			kalam_key_bytes(w, data, len);
			break;
	}
	if (v != in)
		pfree(v);
}

void
kalam_encode_datum(KalamKeyWriter *w, const KalamKeyType *kt, bool desc,
				   Datum value, bool isnull)
{
	if (isnull)
	{
		kalam_key_null(w, desc);
		return;
	}

	kalam_key_value(w, desc);
	switch (kt->codec)
	{
		case KALAM_CODEC_BOOL:
			kalam_key_bool(w, DatumGetBool(value));
			break;
		case KALAM_CODEC_CHAR:
			{
				uint8		b = DatumGetUInt8(value);

				kalam_key_raw(w, &b, 1);
			}
			break;
		case KALAM_CODEC_INT2:
			kalam_key_int16(w, DatumGetInt16(value));
			break;
		case KALAM_CODEC_INT4:
			kalam_key_int32(w, DatumGetInt32(value));
			break;
		case KALAM_CODEC_INT8:
			kalam_key_int64(w, DatumGetInt64(value));
			break;
		case KALAM_CODEC_OID:
			kalam_key_uint32(w, DatumGetObjectId(value));
			break;
		case KALAM_CODEC_FLOAT4:
			kalam_key_float4(w, DatumGetFloat4(value));
			break;
		case KALAM_CODEC_FLOAT8:
			kalam_key_float8(w, DatumGetFloat8(value));
			break;
		case KALAM_CODEC_NUMERIC:
		case KALAM_CODEC_VARLENA:
		case KALAM_CODEC_BPCHAR:
		case KALAM_CODEC_INET:
			encode_varlena(w, kt->codec, value);
			break;
		case KALAM_CODEC_NAME:
			{
				const char *name = NameStr(*DatumGetName(value));

				kalam_key_bytes(w, name, strnlen(name, NAMEDATALEN));
			}
			break;
		case KALAM_CODEC_UUID:
			kalam_key_raw(w, DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case KALAM_CODEC_DATE:
			kalam_key_int32(w, DatumGetDateADT(value));
			break;
		case KALAM_CODEC_TIME:
			kalam_key_int64(w, DatumGetTimeADT(value));
			break;
		case KALAM_CODEC_TIMETZ:
			{
				const TimeTzADT *t = DatumGetTimeTzADTP(value);

				kalam_key_int64(w, t->time + t->zone * USECS_PER_SEC);
				kalam_key_int32(w, t->zone);
			}
			break;
		case KALAM_CODEC_TIMESTAMP:
			kalam_key_int64(w, DatumGetTimestamp(value));
			break;
		case KALAM_CODEC_INTERVAL:
			kalam_key_int128(w, interval_span(DatumGetIntervalP(value)));
			break;
		case KALAM_CODEC_MACADDR:
			kalam_key_raw(w, DatumGetMacaddrP(value), sizeof(macaddr));
			break;
		case KALAM_CODEC_MACADDR8:
			kalam_key_raw(w, DatumGetMacaddr8P(value), sizeof(macaddr8));
			break;
	}
}

/* ---- the other side of a comparison ---- */

static inline bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static inline bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

static inline bool
is_network(Oid type)
{
	return type == INETOID || type == CIDROID;
}

KalamCast
kalam_key_cast(const KalamKeyType *kt, Oid from)
{
	Oid			to = kt->base_type;

	if (from == to ||
		(is_text(from) && is_text(to)) ||
		(is_network(from) && is_network(to)))
		return KALAM_CAST_SAME;
	if (is_integer(from) && is_integer(to))
		return KALAM_CAST_INT;
	if (from == FLOAT4OID && to == FLOAT8OID)
		return KALAM_CAST_FLOAT4_TO_8;
	if (from == DATEOID && to == TIMESTAMPOID)
		return KALAM_CAST_DATE_TO_TIMESTAMP;
	if ((from == NAMEOID && is_text(to)) || (is_text(from) && to == NAMEOID))
		return KALAM_CAST_NAME_TEXT;
	return KALAM_CAST_NONE;
}

static KalamFit
cast_int(Oid to, Oid from, Datum in, Datum *out)
{
	int64		v;
	int64		lowest = PG_INT64_MIN;
	int64		highest = PG_INT64_MAX;

	if (from == INT2OID)
		v = DatumGetInt16(in);
	else if (from == INT4OID)
		v = DatumGetInt32(in);
	else
		v = DatumGetInt64(in);

	if (to == INT2OID)
	{
		lowest = PG_INT16_MIN;
		highest = PG_INT16_MAX;
	}
	else if (to == INT4OID)
	{
		lowest = PG_INT32_MIN;
		highest = PG_INT32_MAX;
	}
	if (v < lowest)
		return KALAM_FIT_BELOW;
	if (v > highest)
		return KALAM_FIT_ABOVE;

	if (to == INT2OID)
		*out = Int16GetDatum((int16) v);
	else if (to == INT4OID)
		*out = Int32GetDatum((int32) v);
	else
		*out = Int64GetDatum(v);
	return KALAM_FIT_OK;
}

/*
 * A date behind the last finite timestamp is above all of them, but below
 * 'infinity', which the column can hold: it lies between two values.
 */
static KalamFit
cast_date(Datum in, Datum *out)
{
	int			overflow;
	Timestamp	t = date2timestamp_opt_overflow(DatumGetDateADT(in), &overflow);

	if (overflow != 0)
		return KALAM_FIT_INEXACT;
	*out = TimestampGetDatum(t);
	return KALAM_FIT_OK;
}

static KalamFit
cast_name_text(Oid from, Datum in, Datum *out)
{
	struct varlena *v;
	size_t		len;
	char	   *name;

	if (from == NAMEOID)
	{
		const char *s = NameStr(*DatumGetName(in));

		*out = PointerGetDatum(cstring_to_text_with_len(s, strnlen(s, NAMEDATALEN)));
		return KALAM_FIT_OK;
	}

	v = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(in));
	len = VARSIZE_ANY_EXHDR(v);
	if (len >= NAMEDATALEN)
		return KALAM_FIT_INEXACT;
	name = palloc0(NAMEDATALEN);
	memcpy(name, VARDATA_ANY(v), len);
	*out = PointerGetDatum(name);
	return KALAM_FIT_OK;
}

KalamFit
kalam_key_cast_datum(const KalamKeyType *kt, KalamCast cast, Oid from,
					 Datum in, Datum *out)
{
	switch (cast)
	{
		case KALAM_CAST_SAME:
			*out = in;
			return KALAM_FIT_OK;
		case KALAM_CAST_INT:
			return cast_int(kt->base_type, from, in, out);
		case KALAM_CAST_FLOAT4_TO_8:
			*out = Float8GetDatum((float8) DatumGetFloat4(in));
			return KALAM_FIT_OK;
		case KALAM_CAST_DATE_TO_TIMESTAMP:
			return cast_date(in, out);
		case KALAM_CAST_NAME_TEXT:
			return cast_name_text(from, in, out);
		case KALAM_CAST_NONE:
			break;
	}
	elog(ERROR, "no cast from type %u to a key column of type %u", from, kt->base_type);
	return KALAM_FIT_INEXACT;	/* not reached */
}
