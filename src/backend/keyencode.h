/*
 * keyencode.h
 *	  Datums of key columns to key bytes: which types can be keys, and how.
 */
#ifndef KALAM_KEYENCODE_H
#define KALAM_KEYENCODE_H

#include "postgres.h"
#include "src/shared/keycodec.h"

/* What a key column's bytes can be used for. */
typedef struct KalamKeyType
{
	Oid			base_type;		/* domains looked through */
	Oid			collation;
	Oid			btree_opfamily; /* default btree family of base_type */
	bool		ordered;		/* memcmp order is SQL order (not enums, not text
								 * under a collation other than C or POSIX) */
	bool		exact_equality; /* equal by SQL iff equal bytes */
	int			codec;			/* private to keyencode.c */
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

#endif							/* KALAM_KEYENCODE_H */
