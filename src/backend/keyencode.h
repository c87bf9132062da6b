/*
 * keyencode.h
 *	  Datums of key columns to key bytes: which types can be keys, and how.
 */
#ifndef KALAM_KEYENCODE_H
#define KALAM_KEYENCODE_H

#include "postgres.h"
#include "src/shared/keycodec.h"

/* Which bytes: keycodec.h has them. */
typedef enum KalamKeyCodec
{
	KALAM_CODEC_BOOL,
	KALAM_CODEC_CHAR,					/* "char": one unsigned byte */
	KALAM_CODEC_INT2,
	KALAM_CODEC_INT4,
	KALAM_CODEC_INT8,
	KALAM_CODEC_OID,
	KALAM_CODEC_FLOAT4,
	KALAM_CODEC_FLOAT8,
	KALAM_CODEC_NUMERIC,
	KALAM_CODEC_VARLENA,				/* text, varchar, bytea */
	KALAM_CODEC_BPCHAR,
	KALAM_CODEC_NAME,
	KALAM_CODEC_UUID,
	KALAM_CODEC_DATE,
	KALAM_CODEC_TIME,
	KALAM_CODEC_TIMETZ,
	KALAM_CODEC_TIMESTAMP,
	KALAM_CODEC_INTERVAL,
	KALAM_CODEC_INET,
	KALAM_CODEC_MACADDR,
	KALAM_CODEC_MACADDR8
} KalamKeyCodec;

/* What a key column's bytes can be used for. */
typedef struct KalamKeyType
{
	Oid			base_type;		/* domains looked through */
	Oid			collation;
	Oid			btree_opfamily; /* default btree family of base_type */
	bool		ordered;		/* memcmp order is SQL order (not enums, not text
								 * under a collation other than C or POSIX) */
	bool		exact_equality; /* equal by SQL iff equal bytes */
	KalamKeyCodec codec;
} KalamKeyType;

/*
 * Fills *kt for a column type.  False, with *why set to a sentence fragment
 * ("type json has no order"), if the type cannot be part of a key.
 */
extern bool kalam_key_type(Oid type, Oid collation, KalamKeyType *kt, const char **why);

/* Appends one value (detoasting as needed) in the column's direction. */
extern void kalam_encode_datum(KalamKeyWriter *w, const KalamKeyType *kt, bool desc,
							   Datum value, bool isnull);

/*
 * How a value of type `from` (base type) can stand on the other side of a
 * comparison with a key column, so that bounds can be computed from it.
 */
typedef enum KalamCast
{
	KALAM_CAST_NONE,			/* it cannot: keep the condition as a filter */
	KALAM_CAST_SAME,			/* same bytes: encode as it is */
	KALAM_CAST_INT,				/* an integer type of another width: may not fit */
	KALAM_CAST_FLOAT4_TO_8,
	KALAM_CAST_DATE_TO_TIMESTAMP,
	KALAM_CAST_NAME_TEXT		/* between name and text: both are bytes */
} KalamCast;

extern KalamCast kalam_key_cast(const KalamKeyType *kt, Oid from);

/* Where a value that does not fit the column's type lies. */
typedef enum KalamFit
{
	KALAM_FIT_OK,				/* *out is a value of the column's base type */
	KALAM_FIT_BELOW,			/* below everything that the column can hold */
	KALAM_FIT_ABOVE,			/* above everything */
	KALAM_FIT_INEXACT			/* between two values (a date behind the last
								 * finite timestamp), or too long to exist (a text
								 * of more than 63 bytes against a name): equality
								 * never holds; for a range use no bound */
} KalamFit;

extern KalamFit kalam_key_cast_datum(const KalamKeyType *kt, KalamCast cast, Oid from,
									 Datum in, Datum *out);

/* ---- keydecode.c: back from key bytes ---- */

/*
 * Do the bytes tell the value as it was written?  Not for types with equal values
 * that differ, as numeric's 1.0 and 1.00 and the zeroes of floats.
 */
extern bool kalam_key_type_decodes(const KalamKeyType *kt, int32 typmod);

/*
 * Reads one column at p, which ends before end; returns what is behind it.  The
 * value is left out if value is NULL, and may be palloc'd.  Raises XX001 for bytes
 * that no column has.
 */
extern const uint8 *kalam_decode_datum(const uint8 *p, const uint8 *end, const KalamKeyType *kt,
									   bool desc, int32 typmod, Datum *value, bool *isnull);

#endif							/* KALAM_KEYENCODE_H */
