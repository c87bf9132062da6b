/*
 * upperstate.c
 *	  Partial states as PostgreSQL's aggregates hand them on.
 *
 * Transition values are built here that PostgreSQL's own transition functions would
 * have come to.  Those of type internal have the form that their serialization
 * functions give them:
 *
 *	 int8_avg	N (8), number
 *	 numeric_avg	N (8), number, largest scale (4), how often (8), NaNs, infinities
 *				and negative ones (8 each)
 *	 number		digits (4), weight (4), sign (4), scale (4), digits to base 10000 (2 each)
 *
 * all big-endian.
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgroids.h"

#include "src/backend/upper.h"
#include "src/shared/rowvalue.h"

#define BASE		10000
#define POSITIVE	0x0000
#define NEGATIVE	0x4000

/* ---- numbers ---- */

/* digits[0] has that weight; zeroes at both ends are left out. */
static void
send_number(StringInfo buf, const int16 *digits, int ndigits, int weight, bool negative, int scale)
{
	while (ndigits > 0 && digits[0] == 0)
	{
		digits++;
		ndigits--;
		weight--;
	}
	while (ndigits > 0 && digits[ndigits - 1] == 0)
		ndigits--;
	pq_sendint32(buf, ndigits);
	pq_sendint32(buf, ndigits > 0 ? weight : 0);
	pq_sendint32(buf, ndigits > 0 && negative ? NEGATIVE : POSITIVE);
	pq_sendint32(buf, scale);
	for (int i = 0; i < ndigits; i++)
		pq_sendint16(buf, digits[i]);
}

#define INT128_DIGITS 10

static void
send_int128(StringInfo buf, int128 v)
{
	int16		digits[INT128_DIGITS];
	uint128		left = v < 0 ? -(uint128) v : (uint128) v;

	for (int i = INT128_DIGITS - 1; i >= 0; i--)
	{
		digits[i] = left % BASE;
		left /= BASE;
	}
	send_number(buf, digits, INT128_DIGITS, INT128_DIGITS - 1, v < 0, 0);
}

/* Sums of digits have carries, and a sign each. */
#define CARRY_DIGITS 6
#define SUM_DIGITS (KALAM_AGG_DIGITS + CARRY_DIGITS)

static void
send_digit_sums(StringInfo buf, const int64 *sums, int scale)
{
	int64		wide[SUM_DIGITS] = {0};
	int16		digits[SUM_DIGITS];
	bool		negative = false;

	memcpy(wide + CARRY_DIGITS, sums, sizeof(int64) * KALAM_AGG_DIGITS);
	/* each to 0 .. 9999 but the first, which tells the sign of all */
	for (int i = SUM_DIGITS - 1; i > 0; i--)
	{
		int64		carry = wide[i] / BASE;

		wide[i] -= carry * BASE;
		if (wide[i] < 0)
		{
			wide[i] += BASE;
			carry--;
		}
		wide[i - 1] += carry;
	}
	if (wide[0] < 0)
	{
		negative = true;
		for (int i = 0; i < SUM_DIGITS; i++)
			wide[i] = -wide[i];
		for (int i = SUM_DIGITS - 1; i > 0; i--)
			if (wide[i] < 0)
			{
				wide[i] += BASE;
				wide[i - 1]--;
			}
	}
	for (int i = 0; i < SUM_DIGITS; i++)
		digits[i] = wide[i];
	send_number(buf, digits, SUM_DIGITS, KALAM_AGG_TOP + CARRY_DIGITS, negative, scale);
}

/* A single numeric, from its bytes. */
static void
send_numeric(StringInfo buf, KalamRowValue value)
{
	KalamNumber n;
	int16	   *digits;

	if (!kalam_number_read(value, &n))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a numeric value is damaged")));
	if (n.special != 0)
	{
		/* counted, and nothing of a sum */
		send_number(buf, NULL, 0, 0, false, 0);
		return;
	}
	digits = palloc(sizeof(int16) * (n.ndigits + 1));
	memcpy(digits, n.digits, sizeof(int16) * n.ndigits);
	send_number(buf, digits, n.ndigits, n.weight, n.sign < 0, n.scale);
	pfree(digits);
}

static Datum
int8_avg_state(const KalamAggregateResult *r)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint64(&buf, r->n);
	send_int128(&buf, r->sum);
	return PointerGetDatum(pq_endtypsend(&buf));
}

static Datum
numeric_avg_state(const KalamAggregateResult *r)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint64(&buf, r->n);
	if (r->value.at != NULL)
		send_numeric(&buf, r->value);
	else
		send_digit_sums(&buf, r->digits, r->scale);
	pq_sendint32(&buf, r->scale);
	pq_sendint64(&buf, r->n);
	pq_sendint64(&buf, r->nan);
	pq_sendint64(&buf, r->infinite[1]);
	pq_sendint64(&buf, r->infinite[0]);
	return PointerGetDatum(pq_endtypsend(&buf));
}

/* ---- states ---- */

static Datum
count_and_sum(const KalamAggregateResult *r)
{
	Datum		elements[2] = {Int64GetDatum((int64) r->n), Int64GetDatum((int64) r->sum)};

	return PointerGetDatum(construct_array(elements, 2, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

static Datum
squares(const KalamAggregateResult *r)
{
	Datum		elements[3] = {
		Float8GetDatum((double) r->n), Float8GetDatum(r->f), Float8GetDatum(r->squares)
	};

	return PointerGetDatum(construct_array(elements, 3, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

Datum
kalam_datum_of_bytes(KalamRowValue value, Form_pg_attribute type)
{
	if (type->attlen == -1)
	{
		struct varlena *v = palloc(value.len + VARHDRSZ);

		SET_VARSIZE(v, value.len + VARHDRSZ);
		memcpy(VARDATA(v), value.at, value.len);
		return PointerGetDatum(v);
	}
	if (type->attbyval)
	{
		union
		{
			Datum		datum;
			char		bytes[sizeof(Datum)];
		}			aligned;

		Assert(value.len <= sizeof(aligned));
		memcpy(aligned.bytes, value.at, value.len);
		return fetch_att(aligned.bytes, true, type->attlen);
	}
	else
	{
		char	   *copy = palloc(value.len);

		memcpy(copy, value.at, value.len);
		return PointerGetDatum(copy);
	}
}

Datum
kalam_transition_state(Oid transfn, const KalamAggregateResult *r, Form_pg_attribute type,
					   bool *isnull)
{
	*isnull = false;
	if (r->overflow)
		float_overflow_error();
	switch (transfn)
	{
		case F_INT8INC:
		case F_INT8INC_ANY:
			return Int64GetDatum((int64) r->n);
		case F_INT2_AVG_ACCUM:
		case F_INT4_AVG_ACCUM:
			return count_and_sum(r);
		case F_FLOAT4_ACCUM:
		case F_FLOAT8_ACCUM:
			return squares(r);
		case F_NUMERIC_AVG_ACCUM:
			*isnull = r->n == 0 && r->nan == 0 && r->infinite[0] == 0 && r->infinite[1] == 0;
			return *isnull ? (Datum) 0 : numeric_avg_state(r);
		default:
			break;
	}
	*isnull = r->n == 0;
	if (*isnull)
		return (Datum) 0;
	switch (transfn)
	{
		case F_INT2_SUM:
		case F_INT4_SUM:
			return Int64GetDatum((int64) r->sum);
		case F_INT8_AVG_ACCUM:
			return int8_avg_state(r);
		case F_FLOAT4PL:
			return Float4GetDatum((float4) r->f);
		case F_FLOAT8PL:
			return Float8GetDatum(r->f);
		default:
			return kalam_datum_of_bytes(r->value, type);
	}
}
