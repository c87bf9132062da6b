/*
 * rowform.c
 *	  The stored form of a slot's row, written where it is to lie.
 *
 * Two walks over the values: one measures, one writes.  Core's would need a third
 * before them, to fetch what is toasted or compressed: a stored row holds neither.
 * Memory is taken for such values only, one at a time.  A slot that holds a tuple
 * without them, as INSERT of what SELECT reads does, is copied.
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

/*
 * The slot's tuple, and how long it is from its null bitmap on, if that is what
 * would be formed; NULL: it has to be.  Values are known.
 */
static inline HeapTupleHeader
tuple_as_it_is(const TupleTableSlot *slot, Size *len)
{
	Form_pg_attribute att = slot->tts_tupleDescriptor->attrs;
	int			natts = slot->tts_tupleDescriptor->natts;
	HeapTuple	tuple;

	if (!TTS_IS_HEAPTUPLE(slot))
		return NULL;
	tuple = ((const HeapTupleTableSlot *) slot)->tuple;
	if (tuple == NULL || HeapTupleHasExternal(tuple) ||
		HeapTupleHeaderGetNatts(tuple->t_data) != natts)
		return NULL;
	for (int i = 0; i < natts; i++, att++)
		if (att->attlen == -1 && !slot->tts_isnull[i] &&
			VARATT_IS_COMPRESSED(DatumGetPointer(slot->tts_values[i])))
			return NULL;
	*len = tuple->t_len - SizeofHeapTupleHeader;
	return tuple->t_data;
}

Size
kalam_row_tuple_size(TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	const Datum *values;
	const bool *isnull;
	bool		hasnull = false;
	Size		at = 0;
	Size		size;

	slot_getallattrs(slot);
	if (tuple_as_it_is(slot, &size) != NULL)
		return SizeofMinimalTupleHeader + size;
	values = slot->tts_values;
	isnull = slot->tts_isnull;
	for (Form_pg_attribute att = desc->attrs, end = att + desc->natts; att < end; att++)
	{
		Datum		value = *values++;

		if (*isnull++)
		{
			hasnull = true;
			continue;
		}
		if (att->attbyval)
		{
			Size		len = att->attlen;

			at = ((at + len - 1) & -len) + len; /* aligned by its length, says pg_type */
		}
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
			at = att_align_nominal(at, att->attalign) +
				(att->attlen > 0 ? att->attlen : strlen(DatumGetCString(value)) + 1);
	}
	size = header_size(desc->natts, hasnull) + at;
	if (size > MAX_ROW_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row is too large: %zu bytes, maximum %zu", size, MAX_ROW_BYTES)));
	return size;
}

/* Zeroes what lies between at and where something of this alignment may lie. */
static inline char *
pad(char *at, uintptr_t align)
{
	while (((uintptr_t) at & (align - 1)) != 0)
		*at++ = 0;
	return at;
}

static inline char *
pad_for(char *at, Form_pg_attribute att)
{
	return pad(at, att_align_nominal(1, att->attalign));
}

static inline char *
put_byval(char *at, int16 len, Datum value)
{
	at = pad(at, len);
	switch (len)
	{
		case 1:
			*(uint8 *) at = DatumGetUInt8(value);
			break;
		case 2:
			*(uint16 *) at = DatumGetUInt16(value);
			break;
		case 4:
			*(uint32 *) at = DatumGetUInt32(value);
			break;
		default:
			*(Datum *) at = value;
			break;
	}
	return at + len;
}

/* Is there room for so many bytes and what aligns them? */
static inline bool
fits(const char *at, Size len, const char *end)
{
	return len + MAXIMUM_ALIGNOF <= (Size) (end - at);
}

/* A value of variable length; returns what is behind it, or NULL: it does not fit. */
static pg_attribute_always_inline char *
put_varlena(char *at, const char *end, Form_pg_attribute att, Datum value)
{
	struct varlena *in = (struct varlena *) DatumGetPointer(value);
	struct varlena *v = in;
	Size		len;

	if (is_short(in))
	{
		len = VARSIZE_SHORT(in);
		if (end != NULL && !fits(at, len, end))
			return NULL;
		memcpy(at, in, len);
		return at + len;
	}
	len = long_size(in);
	if (end != NULL && !fits(at, len, end))
		return NULL;
	if (unlikely(VARATT_IS_EXTENDED(in)))
	{
		v = detoast_attr(in);
		if (VARSIZE(v) != len)
			elog(ERROR, "toasted value has %u bytes instead of %zu", VARSIZE(v), len);
	}
	if (becomes_short(att, len))
	{
		len = len - VARHDRSZ + VARHDRSZ_SHORT;
		SET_VARSIZE_SHORT(at, len);
		memcpy(at + VARHDRSZ_SHORT, VARDATA(v), len - VARHDRSZ_SHORT);
	}
	else
	{
		at = pad_for(at, att);
		memcpy(at, v, len);
	}
	if (v != in)
		pfree(v);
	return at + len;
}

/*
 * Forms the tuple from t_infomask2 on and returns what is behind it.  With an end it
 * gives up (NULL) where something may not fit in front of that.
 */
static pg_attribute_always_inline char *
form(TupleTableSlot *slot, MinimalTuple tuple, const char *end)
{
	Form_pg_attribute att = slot->tts_tupleDescriptor->attrs;
	int			natts = slot->tts_tupleDescriptor->natts;
	const Datum *values = slot->tts_values;
	const bool *isnull = slot->tts_isnull;
	bool		hasnull;
	Size		hoff;
	uint16		infomask;
	char	   *at = (char *) tuple;
	HeapTupleHeader whole;
	Size		len;

	whole = tuple_as_it_is(slot, &len);
	if (whole != NULL)
	{
		if (end != NULL && !fits(at, SizeofMinimalTupleHeader + len, end))
			return NULL;
		at += SizeofMinimalTupleHeader;
		memcpy(at, whole->t_bits, len);
		tuple->t_infomask2 = natts;
		tuple->t_infomask = whole->t_infomask & (HEAP_HASNULL | HEAP_HASVARWIDTH);
		tuple->t_hoff = whole->t_hoff;
		return at + len;
	}

	hasnull = any_null(slot);
	infomask = hasnull ? HEAP_HASNULL : 0;
	hoff = header_size(natts, hasnull);
	if (end != NULL && !fits(at, hoff, end))
		return NULL;
	at += hoff;
	if (hasnull)
		memset(tuple->t_bits, 0, hoff - SizeofMinimalTupleHeader);
	else
		tuple->t_bits[0] = 0;	/* padding */
	tuple->t_infomask2 = natts;
	tuple->t_hoff = hoff + MINIMAL_TUPLE_OFFSET;
	for (int i = 0; i < natts; i++, att++)
	{
		Datum		value = values[i];

		if (isnull[i])
			continue;
		if (hasnull)
			tuple->t_bits[i >> 3] |= 1 << (i & 7);
		if (att->attbyval)
		{
			if (end != NULL && !fits(at, sizeof(Datum), end))
				return NULL;
			at = put_byval(at, att->attlen, value);
		}
		else if (att->attlen == -1)
		{
			infomask |= HEAP_HASVARWIDTH;
			at = put_varlena(at, end, att, value);
			if (at == NULL)
				return NULL;
		}
		else
		{
			len = att->attlen;
			if (att->attlen < 0)
			{
				infomask |= HEAP_HASVARWIDTH;
				len = strlen(DatumGetCString(value)) + 1;
			}
			if (end != NULL && !fits(at, len, end))
				return NULL;
			at = pad_for(at, att);
			memcpy(at, DatumGetPointer(value), len);
			at += len;
		}
	}
	tuple->t_infomask = infomask;
	return at;
}

void
kalam_row_form_tuple(TupleTableSlot *slot, MinimalTuple tuple, Size size)
{
	char	   *end PG_USED_FOR_ASSERTS_ONLY = form(slot, tuple, NULL);

	Assert(end == (char *) tuple + size);
}

Size
kalam_row_stored_size(TupleTableSlot *slot)
{
	return KALAM_VALUE_HEADER_BYTES + kalam_row_tuple_size(slot) -
		offsetof(MinimalTupleData, t_infomask2);
}

/* Where a tuple would begin whose stored value begins at dest. */
static MinimalTuple
tuple_of_value(uint8 *dest)
{
	uint8	   *tuple = dest + KALAM_VALUE_HEADER_BYTES - offsetof(MinimalTupleData, t_infomask2);

	Assert((uintptr_t) tuple % MAXIMUM_ALIGNOF == 0);
	return (MinimalTuple) tuple;
}

void
kalam_row_form_stored(TupleTableSlot *slot, uint64 serial, uint8 *dest, Size size)
{
	MinimalTuple tuple = tuple_of_value(dest);

	kalam_put_value_header(dest, serial);
	kalam_row_form_tuple(slot, tuple, dest + size - (uint8 *) tuple);
}

Size
kalam_row_form_within(TupleTableSlot *slot, uint64 serial, uint8 *dest, Size room)
{
	char	   *end;

	slot_getallattrs(slot);
	end = form(slot, tuple_of_value(dest), (char *) dest + room);
	if (end == NULL)
		return 0;
	kalam_put_value_header(dest, serial);
	return end - (char *) dest;
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
