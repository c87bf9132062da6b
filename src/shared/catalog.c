/*
 * catalog.c
 *	  The record of a stored table to bytes and back.
 *
 * Pure functions over memory of the caller; C11 only.  What decode gives points
 * into the bytes that it was given.  Bytes may come from a damaged or a newer
 * store: every length is checked before it is followed.  Must not allocate, and
 * must not know what the fields are used for.
 */
#include "src/shared/catalog.h"

#include <string.h>

/* attnum, name length, type name length, type oid, typmod, flags; a collation in format 2 */
#define MIN_COLUMN_BYTES	6

/* id, flags, stamp, name length, columns length */
#define MIN_INDEX_BYTES		5

/* ---- writing ---- */

static size_t
varint_size(uint64_t v)
{
	size_t		n = 1;

	while (v >= 0x80)
	{
		v >>= 7;
		n++;
	}
	return n;
}

static uint8_t *
put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 0x80)
	{
		*p++ = (uint8_t) (v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t) v;
	return p;
}

static uint32_t
zigzag(int32_t v)
{
	return (uint32_t) v << 1 ^ (v < 0 ? UINT32_MAX : 0);
}

static int32_t
unzigzag(uint32_t v)
{
	return (int32_t) (v >> 1 ^ (v & 1 ? UINT32_MAX : 0));
}

static size_t
string_size(KalamString s)
{
	return varint_size(s.len) + s.len;
}

static uint8_t *
put_string(uint8_t *p, KalamString s)
{
	p = put_varint(p, s.len);
	if (s.len > 0)
		memcpy(p, s.data, s.len);
	return p + s.len;
}

/* Tables without one have the record that they had before there were indexes. */
static bool
has_indexes(const KalamTableRecord *r)
{
	return r->nindexes > 0 || r->next_index > 1;
}

size_t
kalam_table_record_size(const KalamTableRecord *r, const KalamTableColumn *columns,
						const KalamTableIndex *indexes)
{
	size_t		n = varint_size(KALAM_TABLE_RECORD_FORMAT);

	n += varint_size(r->table_id);
	n += varint_size(r->object_id);
	n += varint_size(r->schema_version);
	n += varint_size(r->database_oid);
	n += varint_size(r->relid);
	n += varint_size(r->owner_oid);
	n += string_size(r->owner);
	n += string_size(r->database);
	n += string_size(r->nspname);
	n += string_size(r->name);
	n += string_size(r->kind);
	n += string_size(r->primary_key);
	n += string_size(r->options);
	n += varint_size(r->encoding);
	n += varint_size(r->ncolumns);
	for (uint32_t i = 0; i < r->ncolumns; i++)
	{
		const KalamTableColumn *c = &columns[i];

		n += varint_size(zigzag(c->attnum));
		n += string_size(c->name);
		n += string_size(c->type_name);
		n += varint_size(c->type_oid);
		n += varint_size(zigzag(c->typmod));
		n += varint_size(c->flags);
		n += string_size(c->collation);
	}
	if (!has_indexes(r))
		return n;
	n += varint_size(r->nindexes);
	n += varint_size(r->next_index);
	for (uint32_t i = 0; i < r->nindexes; i++)
	{
		const KalamTableIndex *x = &indexes[i];

		n += varint_size(x->id);
		n += varint_size(x->flags);
		n += varint_size(x->since);
		n += string_size(x->name);
		n += string_size(x->columns);
	}
	return n;
}

void
kalam_table_record_encode(const KalamTableRecord *r, const KalamTableColumn *columns,
						  const KalamTableIndex *indexes, uint8_t *out)
{
	uint8_t    *p = put_varint(out, KALAM_TABLE_RECORD_FORMAT);

	p = put_varint(p, r->table_id);
	p = put_varint(p, r->object_id);
	p = put_varint(p, r->schema_version);
	p = put_varint(p, r->database_oid);
	p = put_varint(p, r->relid);
	p = put_varint(p, r->owner_oid);
	p = put_string(p, r->owner);
	p = put_string(p, r->database);
	p = put_string(p, r->nspname);
	p = put_string(p, r->name);
	p = put_string(p, r->kind);
	p = put_string(p, r->primary_key);
	p = put_string(p, r->options);
	p = put_varint(p, r->encoding);
	p = put_varint(p, r->ncolumns);
	for (uint32_t i = 0; i < r->ncolumns; i++)
	{
		const KalamTableColumn *c = &columns[i];

		p = put_varint(p, zigzag(c->attnum));
		p = put_string(p, c->name);
		p = put_string(p, c->type_name);
		p = put_varint(p, c->type_oid);
		p = put_varint(p, zigzag(c->typmod));
		p = put_varint(p, c->flags);
		p = put_string(p, c->collation);
	}
	if (!has_indexes(r))
		return;
	p = put_varint(p, r->nindexes);
	p = put_varint(p, r->next_index);
	for (uint32_t i = 0; i < r->nindexes; i++)
	{
		const KalamTableIndex *x = &indexes[i];

		p = put_varint(p, x->id);
		p = put_varint(p, x->flags);
		p = put_varint(p, x->since);
		p = put_string(p, x->name);
		p = put_string(p, x->columns);
	}
}

/* ---- reading ---- */

/* What is left to read; ok is false from the first malformed field on. */
typedef struct Reader
{
	const uint8_t *p;
	const uint8_t *end;
	bool		ok;
} Reader;

static Reader
read_from(const uint8_t *data, size_t len, size_t offset)
{
	return (Reader) {data + offset, data + len, true};
}

static uint64_t
get_varint(Reader *in)
{
	uint64_t	v = 0;

	for (int shift = 0; in->ok && in->p < in->end; shift += 7)
	{
		uint8_t		b = *in->p++;

		if (shift == 63 && b > 1)
			break;				/* more than 64 bits */
		v |= (uint64_t) (b & 0x7F) << shift;
		if (b < 0x80)
			return v;
	}
	in->ok = false;
	return 0;
}

static uint32_t
get_varint32(Reader *in)
{
	uint64_t	v = get_varint(in);

	if (v > UINT32_MAX)
	{
		in->ok = false;
		return 0;
	}
	return (uint32_t) v;
}

static KalamString
get_string(Reader *in)
{
	KalamString s = {.data = "",.len = 0};
	uint64_t	len = get_varint(in);

	if (!in->ok || len > (uint64_t) (in->end - in->p) || len > UINT32_MAX)
	{
		in->ok = false;
		return s;
	}
	s.data = (const char *) in->p;
	s.len = (uint32_t) len;
	in->p += len;
	return s;
}

static bool
is_known_format(const Reader *in)
{
	return in->p < in->end && *in->p >= 1 && *in->p <= KALAM_TABLE_RECORD_FORMAT;
}

/* A record of format 1 has none, and no encoding. */
static bool
has_collations(const uint8_t *data)
{
	return data[0] > 1;
}

bool
kalam_table_record_decode(const uint8_t *data, size_t len, KalamTableRecord *r,
						  size_t *columns_offset)
{
	Reader		in = {.p = data,.end = data + len,.ok = true};

	if (!is_known_format(&in))
		return false;
	in.p++;
	r->table_id = get_varint(&in);
	r->object_id = get_varint32(&in);
	r->schema_version = get_varint32(&in);
	r->database_oid = get_varint32(&in);
	r->relid = get_varint32(&in);
	r->owner_oid = get_varint32(&in);
	r->owner = get_string(&in);
	r->database = get_string(&in);
	r->nspname = get_string(&in);
	r->name = get_string(&in);
	r->kind = get_string(&in);
	r->primary_key = get_string(&in);
	r->options = get_string(&in);
	r->encoding = has_collations(data) ? get_varint32(&in) : KALAM_ENCODING_UNKNOWN;
	r->ncolumns = get_varint32(&in);
	r->nindexes = 0;
	r->next_index = 1;

	/* A caller may allocate by this number: it must be possible at least. */
	if (!in.ok || r->ncolumns > (uint64_t) (in.end - in.p) / MIN_COLUMN_BYTES)
		return false;
	*columns_offset = (size_t) (in.p - data);
	return true;
}

bool
kalam_table_record_column(const uint8_t *data, size_t len, size_t *offset,
						  KalamTableColumn *column)
{
	Reader		in;

	if (*offset > len)
		return false;
	in = read_from(data, len, *offset);

	column->attnum = unzigzag(get_varint32(&in));
	column->name = get_string(&in);
	column->type_name = get_string(&in);
	column->type_oid = get_varint32(&in);
	column->typmod = unzigzag(get_varint32(&in));
	column->flags = get_varint32(&in);
	column->collation = has_collations(data) ? get_string(&in) : (KalamString) {.data = "",.len = 0};
	if (!in.ok)
		return false;
	*offset = (size_t) (in.p - data);
	return true;
}

bool
kalam_table_record_indexes(const uint8_t *data, size_t len, size_t *offset, KalamTableRecord *r)
{
	Reader		in;

	if (*offset > len)
		return false;
	if (*offset == len)
		return true;			/* there never was one */
	in = read_from(data, len, *offset);

	r->nindexes = get_varint32(&in);
	r->next_index = get_varint32(&in);
	if (!in.ok || r->next_index == 0 || r->nindexes > (uint64_t) (in.end - in.p) / MIN_INDEX_BYTES)
		return false;
	*offset = (size_t) (in.p - data);
	return true;
}

bool
kalam_table_record_index(const uint8_t *data, size_t len, size_t *offset, KalamTableIndex *index)
{
	Reader		in;

	if (*offset > len)
		return false;
	in = read_from(data, len, *offset);

	index->id = get_varint32(&in);
	index->flags = get_varint32(&in);
	index->since = get_varint(&in);
	index->name = get_string(&in);
	index->columns = get_string(&in);
	if (!in.ok)
		return false;
	*offset = (size_t) (in.p - data);
	return true;
}
