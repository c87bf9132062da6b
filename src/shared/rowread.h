/*
 * rowread.h
 *	  Columns of a stored row, found in its bytes without PostgreSQL.
 *
 * C11 only.  A row is what a stored value has behind its header (protocol.h): the
 * end of a MinimalTuple, laid out by PostgreSQL's heap_fill_tuple.  A layout tells
 * of each column, from the first to the last that is wanted, how long it is and
 * how it is aligned.  A row that has fewer columns than the layout is null in the
 * others.  Nothing in a row is trusted: what does not lie within its bytes is
 * damage, and said so.
 *
 *	 offset size
 *	 0		2	 t_infomask2: in its low 11 bits the number of columns
 *	 2		2	 t_infomask: bit 0, there is a null bitmap
 *	 4		1	 t_hoff: 18 more than where the columns begin
 *	 5		...	 null bitmap, a bit per column, 0 for null
 */
#ifndef KALAM_ROWREAD_H
#define KALAM_ROWREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KALAM_ROW_MAX_COLUMNS	1600

/* How the bytes of a column are understood. */
typedef enum KalamFieldKind
{
	KALAM_FIELD_OPAQUE = 0,		/* passed over */
	KALAM_FIELD_U8,				/* numbers; what has a sign is called I */
	KALAM_FIELD_I16,
	KALAM_FIELD_I32,
	KALAM_FIELD_U32,
	KALAM_FIELD_I64,
	KALAM_FIELD_F32,
	KALAM_FIELD_F64,
	KALAM_FIELD_FIXED,			/* bytes, compared one by one */
	KALAM_FIELD_NAME,			/* the same, up to the first 0 */
	KALAM_FIELD_BYTES,			/* varlena: text, bytea */
	KALAM_FIELD_PADDED,			/* varlena: without spaces at its end */
	KALAM_FIELD_NUMERIC,		/* varlena: PostgreSQL's numeric */
	KALAM_FIELD_KINDS
} KalamFieldKind;

/* A column of a layout.  Part of what is sent to storage. */
typedef struct KalamRowField
{
	int16_t		len;			/* bytes; -1: varlena */
	uint8_t		align;			/* 1, 2, 4, 8 */
	uint8_t		kind;			/* KalamFieldKind */
} KalamRowField;

/* Is it a layout that rows can be read by?  Kind and length fit together. */
extern bool kalam_row_layout_good(const KalamRowField *fields, uint32_t nfields);

/* A column's value: its bytes, without a varlena's header.  at NULL: null. */
typedef struct KalamRowValue
{
	const uint8_t *at;
	uint32_t	len;
} KalamRowValue;

/* The caller gives the arrays, of nfields each; begin sets the rest. */
typedef struct KalamRowReader
{
	const KalamRowField *fields;
	uint32_t	nfields;
	uint32_t	nfixed;			/* leading columns whose place is always the same,
								 * in a row without nulls */
	uint32_t	fixed_len;		/* of those, all in all */
	uint32_t   *places;			/* of those */
	KalamRowValue *values;		/* of the row: the first `known`, but for the plain ones */

	const uint8_t *data;		/* where the row's columns begin */
	uint32_t	data_len;
	const uint8_t *nulls;		/* NULL: none */
	uint32_t	ncolumns;		/* that the row has */
	uint32_t	nplain;			/* nfixed if the row has these where they always are, or 0 */
	uint32_t	known;
	uint32_t	offset;			/* behind the last known one */
} KalamRowReader;

extern void kalam_row_reader_init(KalamRowReader *r, const KalamRowField *fields, uint32_t nfields,
								  uint32_t *places, KalamRowValue *values);

/* Begins with a row, which must stay where it is.  False: damaged. */
extern bool kalam_row_reader_begin(KalamRowReader *r, const uint8_t *row, size_t len);

/* Makes values known up to that of column i (below nfields).  False: damaged. */
extern bool kalam_row_reader_reach(KalamRowReader *r, uint32_t i);

static inline bool
kalam_row_reader_get(KalamRowReader *r, uint32_t i, KalamRowValue *value)
{
	if (i < r->nplain)
	{
		value->at = r->data + r->places[i];
		value->len = (uint32_t) r->fields[i].len;
		return true;
	}
	if (i >= r->known && !kalam_row_reader_reach(r, i))
		return false;
	*value = r->values[i];
	return true;
}

#endif							/* KALAM_ROWREAD_H */
