/*
 * rowread.c
 *	  Columns of a stored row: see rowread.h.
 *
 * Bytes come from the store as they lie there, so no address is aligned; numbers
 * are copied out of them.  Places that a row's columns are padded to count from
 * where they begin.
 */
#include "src/shared/rowread.h"

#include <string.h>

/* of t_hoff: what a heap tuple has in front of the first byte that is stored */
#define HOFF_OF_ROW		18
#define ROW_HEADER		5
#define NATTS_MASK		0x07FF
#define HAS_NULLS		0x0001

static bool
kind_fits(const KalamRowField *f)
{
	switch (f->kind)
	{
		case KALAM_FIELD_OPAQUE:
			return f->len > 0 || f->len == -1;
		case KALAM_FIELD_U8:
			return f->len == 1;
		case KALAM_FIELD_I16:
			return f->len == 2;
		case KALAM_FIELD_I32:
		case KALAM_FIELD_U32:
		case KALAM_FIELD_F32:
			return f->len == 4;
		case KALAM_FIELD_I64:
		case KALAM_FIELD_F64:
			return f->len == 8;
		case KALAM_FIELD_FIXED:
		case KALAM_FIELD_NAME:
			return f->len > 0;
		case KALAM_FIELD_BYTES:
		case KALAM_FIELD_PADDED:
		case KALAM_FIELD_NUMERIC:
			return f->len == -1;
		default:
			return false;
	}
}

bool
kalam_row_layout_good(const KalamRowField *fields, uint32_t nfields)
{
	if (nfields > KALAM_ROW_MAX_COLUMNS)
		return false;
	for (uint32_t i = 0; i < nfields; i++)
	{
		uint8_t		align = fields[i].align;

		if ((align != 1 && align != 2 && align != 4 && align != 8) || !kind_fits(&fields[i]))
			return false;
	}
	return true;
}

static uint32_t
aligned(uint32_t offset, uint8_t align)
{
	return (offset + align - 1) & ~(uint32_t) (align - 1);
}

void
kalam_row_reader_init(KalamRowReader *r, const KalamRowField *fields, uint32_t nfields,
					  uint32_t *places, KalamRowValue *values)
{
	uint32_t	offset = 0;

	memset(r, 0, sizeof(*r));
	r->fields = fields;
	r->nfields = nfields;
	r->places = places;
	r->values = values;
	for (; r->nfixed < nfields && fields[r->nfixed].len > 0; r->nfixed++)
	{
		offset = aligned(offset, fields[r->nfixed].align);
		places[r->nfixed] = offset;
		offset += (uint32_t) fields[r->nfixed].len;
	}
	r->fixed_len = offset;
}

bool
kalam_row_reader_begin(KalamRowReader *r, const uint8_t *row, size_t len)
{
	uint16_t	infomask2,
				infomask;
	uint32_t	start;

	if (len < ROW_HEADER || len > UINT32_MAX / 2)
		return false;
	memcpy(&infomask2, row, 2);
	memcpy(&infomask, row + 2, 2);
	r->ncolumns = infomask2 & NATTS_MASK;
	r->nulls = infomask & HAS_NULLS ? row + ROW_HEADER : NULL;
	if (row[4] < HOFF_OF_ROW + ROW_HEADER)
		return false;
	start = row[4] - HOFF_OF_ROW;
	if (start > len || (r->nulls != NULL && ROW_HEADER + (r->ncolumns + 7) / 8 > start))
		return false;
	r->data = row + start;
	r->data_len = (uint32_t) len - start;
	r->known = 0;
	r->offset = 0;
	r->nplain = r->nulls == NULL && r->nfixed <= r->ncolumns && r->fixed_len <= r->data_len ?
		r->nfixed : 0;
	return true;
}

/* A varlena at the reader's offset.  External and compressed ones are not stored. */
static bool
take_varlena(KalamRowReader *r, const KalamRowField *f, KalamRowValue *value)
{
	uint32_t	left;
	uint32_t	header;
	const uint8_t *at;

	/* a first byte that is not 0 is no padding */
	if (r->offset < r->data_len && r->data[r->offset] == 0)
		r->offset = aligned(r->offset, f->align);
	if (r->offset >= r->data_len)
		return false;
	left = r->data_len - r->offset;
	at = r->data + r->offset;
	if (at[0] & 1)
	{
		uint32_t	size = at[0] >> 1;

		if (size == 0 || size > left)
			return false;
		value->at = at + 1;
		value->len = size - 1;
		r->offset += size;
		return true;
	}
	if (left < 4)
		return false;
	memcpy(&header, at, 4);
	if ((header & 3) != 0 || header >> 2 < 4 || header >> 2 > left)
		return false;
	value->at = at + 4;
	value->len = (header >> 2) - 4;
	r->offset += header >> 2;
	return true;
}

static bool
take_fixed(KalamRowReader *r, const KalamRowField *f, KalamRowValue *value)
{
	r->offset = aligned(r->offset, f->align);
	if (r->offset > r->data_len || r->data_len - r->offset < (uint32_t) f->len)
		return false;
	value->at = r->data + r->offset;
	value->len = (uint32_t) f->len;
	r->offset += (uint32_t) f->len;
	return true;
}

bool
kalam_row_reader_reach(KalamRowReader *r, uint32_t i)
{
	/* (who asks for one of these gets it without coming here) */
	if (r->known < r->nplain)
	{
		r->known = r->nplain;
		r->offset = r->fixed_len;
	}
	for (; r->known <= i; r->known++)
	{
		uint32_t	k = r->known;
		const KalamRowField *f = &r->fields[k];
		KalamRowValue *value = &r->values[k];

		if (k >= r->ncolumns || (r->nulls != NULL && !(r->nulls[k >> 3] & 1 << (k & 7))))
			*value = (KalamRowValue) {NULL, 0};
		else if (f->len == -1 ? !take_varlena(r, f, value) : !take_fixed(r, f, value))
			return false;
	}
	return true;
}
