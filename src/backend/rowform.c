/*
 * rowform.c
 *	  The stored form of a slot's row, written where it is to lie.
 *
 * Two walks over the values: one measures, one writes.  Core's would need a third
 * before them, to fetch what is toasted or compressed: a stored row holds neither.
 * Memory is taken for such values only, one at a time.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/tupmacs.h"

#include "src/backend/row.h"

/* A row must fit a palloc of a block stream with room to spare. */
#define MAX_ROW_BYTES	((Size) 1000 * 1024 * 1024)

static inline Size
header_size(int natts, bool hasnull)
{
	return MAXALIGN(SizeofMinimalTupleHeader + (hasnull ? BITMAPLEN(natts) : 0));
}

static inline bool
any_null(const TupleTableSlot *slot)
{
	return memchr(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts) != NULL;
}

/* Has it a header of one byte, and is no pointer to elsewhere (which has one, too)? */
static inline bool
is_short(const struct varlena *v)
{
	return VARATT_IS_1B(v) && !VARATT_IS_1B_E(v);
}

/* Bytes of a value of variable length, with a header of four bytes. */
static inline Size
long_size(const struct varlena *v)
{
	return unlikely(VARATT_IS_EXTENDED(v)) ?
		toast_raw_datum_size(PointerGetDatum(v)) : VARSIZE(v);
}

/* Would it be stored with a header of one byte? */
static inline bool
becomes_short(Form_pg_attribute att, Size long_size)
{
	return att->attstorage != TYPSTORAGE_PLAIN &&
		long_size - VARHDRSZ + VARHDRSZ_SHORT <= VARATT_SHORT_MAX;
}

Size
kalam_row_tuple_size(TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	Size		at = 0;
	Size		size;

	slot_getallattrs(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Datum		value = slot->tts_values[i];

		if (slot->tts_isnull[i])
			continue;
		if (att->attlen > 0)
			at = att_align_nominal(at, att->attalign) + att->attlen;
		else if (att->attlen == -1)
		{
			struct varlena *v = (struct varlena *) DatumGetPointer(value);

			if (is_short(v))
				at += VARSIZE_SHORT(v);
			else
			{
				Size		len = long_size(v);

				if (becomes_short(att, len))
					at += len - VARHDRSZ + VARHDRSZ_SHORT;
				else
					at = att_align_nominal(at, att->attalign) + len;
			}
		}
		else
			at = att_align_nominal(at, att->attalign) + strlen(DatumGetCString(value)) + 1;
	}
	size = header_size(desc->natts, any_null(slot)) + at;
	if (size > MAX_ROW_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row is too large: %zu bytes, maximum %zu", size, MAX_ROW_BYTES)));
	return size;
}

/* Zeroes what lies between at and its next multiple of the alignment. */
static inline char *
pad(char *start, char *at, char attalign)
{
	char	   *aligned = start + att_align_nominal(at - start, attalign);

	while (at < aligned)
		*at++ = 0;
	return at;
}

/* A value of variable length; returns what is behind it. */
static char *
put_varlena(char *start, char *at, Form_pg_attribute att, Datum value)
{
	struct varlena *in = (struct varlena *) DatumGetPointer(value);
	struct varlena *v = in;
	Size		len;

	if (is_short(in))
	{
		len = VARSIZE_SHORT(in);
		memcpy(at, in, len);
		return at + len;
	}
	if (unlikely(VARATT_IS_EXTENDED(in)))
	{
		v = detoast_attr(in);
		if (VARSIZE(v) != long_size(in))
			elog(ERROR, "toasted value has %u bytes instead of %zu", VARSIZE(v), long_size(in));
	}
	len = VARSIZE(v);
	if (becomes_short(att, len))
	{
		len = len - VARHDRSZ + VARHDRSZ_SHORT;
		SET_VARSIZE_SHORT(at, len);
		memcpy(at + VARHDRSZ_SHORT, VARDATA(v), len - VARHDRSZ_SHORT);
	}
	else
	{
		at = pad(start, at, att->attalign);
		memcpy(at, v, len);
	}
	if (v != in)
		pfree(v);
	return at + len;
}

static inline char *
put_fixed(char *at, Form_pg_attribute att, Datum value)
{
	if (!att->attbyval)
		memcpy(at, DatumGetPointer(value), att->attlen);
	else
		store_att_byval(at, value, att->attlen);
	return at + att->attlen;
}

void
kalam_row_form_tuple(TupleTableSlot *slot, MinimalTuple tuple, Size size)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	bool		hasnull = any_null(slot);
	Size		hoff = header_size(desc->natts, hasnull);
	uint16		infomask = hasnull ? HEAP_HASNULL : 0;
	char	   *start = (char *) tuple + hoff;
	char	   *at = start;

	memset((char *) tuple + offsetof(MinimalTupleData, t_infomask2), 0,
		   hoff - offsetof(MinimalTupleData, t_infomask2));
	tuple->t_infomask2 = desc->natts;
	tuple->t_hoff = hoff + MINIMAL_TUPLE_OFFSET;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Datum		value = slot->tts_values[i];

		if (slot->tts_isnull[i])
			continue;
		if (hasnull)
			tuple->t_bits[i >> 3] |= 1 << (i & 7);
		if (att->attlen > 0)
		{
			at = put_fixed(pad(start, at, att->attalign), att, value);
			continue;
		}
		infomask |= HEAP_HASVARWIDTH;
		if (att->attlen == -1)
			at = put_varlena(start, at, att, value);
		else
		{
			Size		len = strlen(DatumGetCString(value)) + 1;

			at = pad(start, at, att->attalign);
			memcpy(at, DatumGetCString(value), len);
			at += len;
		}
	}
	tuple->t_infomask = infomask;
	Assert(at == (char *) tuple + size);
}

Size
kalam_row_stored_size(TupleTableSlot *slot)
{
	return KALAM_VALUE_HEADER_BYTES + kalam_row_tuple_size(slot) -
		offsetof(MinimalTupleData, t_infomask2);
}

void
kalam_row_form_stored(TupleTableSlot *slot, uint64 serial, uint8 *dest, Size size)
{
	/* where a whole tuple would begin: attributes are aligned from there */
	uint8	   *tuple = dest + KALAM_VALUE_HEADER_BYTES - offsetof(MinimalTupleData, t_infomask2);

	Assert((uintptr_t) tuple % MAXIMUM_ALIGNOF == 0);
	kalam_put_value_header(dest, serial);
	kalam_row_form_tuple(slot, (MinimalTuple) tuple, dest + size - tuple);
}

KalamStagedVersion *
kalam_stage_slot(TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	Size		size = kalam_row_tuple_size(slot);
	KalamStagedVersion *version;
	MinimalTuple tuple = kalam_stage_row(key, key_len, size, &version);

	kalam_row_form_tuple(slot, tuple, size);
	return version;
}
