/*
 * test_catalog.c
 *	  The record of a stored table: what goes in comes out, and damaged bytes
 *	  are refused without reading outside of them.
 */
#include "src/shared/catalog.h"
#include "test/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 40
#define MAX_INDEXES 8

static KalamString
string(const char *s)
{
	KalamString k = {.data = s,.len = (uint32_t) strlen(s)};

	return k;
}

static bool
same_string(KalamString a, KalamString b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool
same_column(const KalamTableColumn *a, const KalamTableColumn *b)
{
	return a->attnum == b->attnum && a->typmod == b->typmod &&
		a->type_oid == b->type_oid && a->flags == b->flags &&
		same_string(a->name, b->name) && same_string(a->type_name, b->type_name) &&
		same_string(a->collation, b->collation);
}

static bool
same_index(const KalamTableIndex *a, const KalamTableIndex *b)
{
	return a->id == b->id && a->flags == b->flags && a->since == b->since &&
		same_string(a->name, b->name) && same_string(a->columns, b->columns);
}

static bool
same_record(const KalamTableRecord *a, const KalamTableRecord *b)
{
	return a->table_id == b->table_id && a->object_id == b->object_id &&
		a->schema_version == b->schema_version && a->database_oid == b->database_oid &&
		a->relid == b->relid && a->owner_oid == b->owner_oid && a->ncolumns == b->ncolumns &&
		a->encoding == b->encoding &&
		a->nindexes == b->nindexes && a->next_index == b->next_index &&
		same_string(a->owner, b->owner) && same_string(a->database, b->database) &&
		same_string(a->nspname, b->nspname) && same_string(a->name, b->name) &&
		same_string(a->kind, b->kind) && same_string(a->primary_key, b->primary_key) &&
		same_string(a->options, b->options);
}

static const KalamTableRecord messages = {
	.table_id = 7,.object_id = 300,.schema_version = 1,.database_oid = 5,.relid = 16384,
	.owner_oid = 10,.ncolumns = 2,.encoding = 6,.next_index = 1,
	.owner = {"postgres", 8},.database = {"db", 2},.nspname = {"chat", 4},
	.name = {"messages", 8},.kind = {"shared", 6},.primary_key = {"id DESC", 7},
	.options = {"", 0}
};
static const KalamTableColumn messages_columns[2] = {
	{.attnum = 1,.typmod = -1,.type_oid = 20,.flags = 5,.name = {"id", 2},
	.type_name = {"bigint", 6}},
	{.attnum = 2,.typmod = 44,.type_oid = 1043,.flags = 0,.name = {"t", 1},
	.type_name = {"character varying(40)", 21},.collation = {"pg_catalog.\"C\"", 14}}
};
static const char messages_bytes[] =
	"\x02" "\x07" "\xac\x02" "\x01" "\x05" "\x80\x80\x01" "\x0a"
	"\x08postgres" "\x02" "db" "\x04" "chat" "\x08messages" "\x06shared" "\x07id DESC" "\x00" "\x06"
	"\x02"
	"\x02" "\x02id" "\x06" "bigint" "\x14" "\x01" "\x05" "\x00"
	"\x04" "\x01t" "\x15" "character varying(40)" "\x93\x08" "\x58" "\x00"
	"\x0epg_catalog.\"C\"";

static const KalamTableIndex messages_indexes[2] = {
	{.id = 1,.flags = KALAM_INDEX_UNIQUE,.since = 300,.name = {"t", 1},.columns = {"t DESC", 6}},
	{.id = 4,.flags = 0,.since = 0,.name = {"both", 4},.columns = {"t, id", 5}}
};
static const char indexes_bytes[] =
	"\x02" "\x05"
	"\x01" "\x01" "\xac\x02" "\x01t" "\x06t DESC"
	"\x04" "\x00" "\x00" "\x04" "both" "\x05t, id";

static KalamTableRecord
with_indexes(uint32_t nindexes, uint32_t next)
{
	KalamTableRecord r = messages;

	r.nindexes = nindexes;
	r.next_index = next;
	return r;
}

static void
a_record_has_the_documented_bytes(void)
{
	uint8_t		out[256];
	size_t		columns_size = sizeof(messages_bytes) - 1;
	size_t		size = kalam_table_record_size(&messages, messages_columns, NULL);
	KalamTableRecord r = with_indexes(2, 5);

	CHECK(size == columns_size);
	kalam_table_record_encode(&messages, messages_columns, NULL, out);
	CHECK(memcmp(out, messages_bytes, size) == 0);

	size = kalam_table_record_size(&r, messages_columns, messages_indexes);
	CHECK(size == columns_size + sizeof(indexes_bytes) - 1);
	kalam_table_record_encode(&r, messages_columns, messages_indexes, out);
	CHECK(memcmp(out, messages_bytes, columns_size) == 0);
	CHECK(memcmp(out + columns_size, indexes_bytes, sizeof(indexes_bytes) - 1) == 0);

	/* all are gone, but their ids are not used again */
	r = with_indexes(0, 5);
	CHECK(kalam_table_record_size(&r, messages_columns, NULL) == columns_size + 2);
}

/* Decodes what a buffer of exactly this size holds, so that ASan sees overreads. */
static bool
decode_all(const uint8_t *data, size_t len, KalamTableRecord *r, KalamTableColumn *columns,
		   KalamTableIndex *indexes, size_t *end)
{
	size_t		offset;

	if (!kalam_table_record_decode(data, len, r, &offset))
		return false;
	if (r->ncolumns > MAX_COLUMNS)
		return false;
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (!kalam_table_record_column(data, len, &offset, &columns[i]))
			return false;
	if (!kalam_table_record_indexes(data, len, &offset, r) || r->nindexes > MAX_INDEXES)
		return false;
	for (uint32_t i = 0; i < r->nindexes; i++)
		if (!kalam_table_record_index(data, len, &offset, &indexes[i]))
			return false;
	*end = offset;
	return true;
}

static void
a_record_of_format_1_is_read(void)
{
	static const char bytes[] =
		"\x01" "\x07" "\xac\x02" "\x01" "\x05" "\x80\x80\x01" "\x0a"
		"\x08postgres" "\x02" "db" "\x04" "chat" "\x08messages" "\x06shared" "\x07id DESC" "\x00"
		"\x02"
		"\x02" "\x02id" "\x06" "bigint" "\x14" "\x01" "\x05"
		"\x04" "\x01t" "\x15" "character varying(40)" "\x93\x08" "\x58" "\x00";
	KalamTableRecord r;
	KalamTableRecord wanted = messages;
	KalamTableColumn columns[MAX_COLUMNS];
	KalamTableColumn second = messages_columns[1];
	KalamTableIndex indexes[MAX_INDEXES];
	size_t		end = 0;

	wanted.encoding = KALAM_ENCODING_UNKNOWN;
	second.collation = string("");
	CHECK(decode_all((const uint8_t *) bytes, sizeof(bytes) - 1, &r, columns, indexes, &end));
	CHECK(same_record(&r, &wanted));
	CHECK(same_column(&columns[0], &messages_columns[0]));
	CHECK(same_column(&columns[1], &second));
	CHECK(end == sizeof(bytes) - 1);
}

static void
every_cut_record_is_refused(void)
{
	uint8_t		bytes[256];
	KalamTableRecord two = with_indexes(2, 5);
	size_t		full = kalam_table_record_size(&two, messages_columns, messages_indexes);

	kalam_table_record_encode(&two, messages_columns, messages_indexes, bytes);
	for (size_t len = 0; len <= full; len++)
	{
		uint8_t    *data = malloc(len + 1);
		KalamTableRecord r;
		KalamTableColumn columns[MAX_COLUMNS];
		KalamTableIndex indexes[MAX_INDEXES];
		size_t		end;

		/* right-aligned, so that the end of the allocation is the end of the data */
		memcpy(data + 1, bytes, len);
		/* (one that ends with the columns is that of a table without indexes) */
		CHECK(decode_all(data + 1, len, &r, columns, indexes, &end) ==
			  (len == full || len == sizeof(messages_bytes) - 1));
		free(data);
	}
}

static void
bytes_behind_the_last_index_are_ignored(void)
{
	uint8_t		data[256];
	KalamTableRecord two = with_indexes(2, 5);
	KalamTableRecord r;
	KalamTableColumn columns[MAX_COLUMNS];
	KalamTableIndex indexes[MAX_INDEXES];
	size_t		end = 0;

	memset(data, 0xFF, sizeof(data));
	kalam_table_record_encode(&two, messages_columns, messages_indexes, data);
	CHECK(decode_all(data, sizeof(data), &r, columns, indexes, &end));
	CHECK(same_record(&r, &two));
	CHECK(same_column(&columns[0], &messages_columns[0]));
	CHECK(same_column(&columns[1], &messages_columns[1]));
	CHECK(same_index(&indexes[0], &messages_indexes[0]));
	CHECK(same_index(&indexes[1], &messages_indexes[1]));
	CHECK(end == kalam_table_record_size(&two, messages_columns, messages_indexes));
}

static void
impossible_numbers_of_indexes_are_refused(void)
{
	static const char *const tails[] = {
		"\x00" "\x00",			/* no id is next */
		"\x02" "\x05" "\x01\x01\x01\x00\x00",	/* two, with room for one */
		"\xff\xff\xff\xff\x0f" "\x05",
		"\xff\xff\xff\xff\x1f" "\x05"
	};
	static const size_t lens[] = {2, 7, 6, 6};

	for (size_t i = 0; i < 4; i++)
	{
		size_t		columns_size = sizeof(messages_bytes) - 1;
		uint8_t    *data = malloc(columns_size + lens[i]);
		KalamTableRecord r;
		KalamTableColumn columns[MAX_COLUMNS];
		KalamTableIndex indexes[MAX_INDEXES];
		size_t		end;

		memcpy(data, messages_bytes, columns_size);
		memcpy(data + columns_size, tails[i], lens[i]);
		CHECK(!decode_all(data, columns_size + lens[i], &r, columns, indexes, &end));
		free(data);
	}
}

static void
another_record_format_is_refused(void)
{
	uint8_t		data[sizeof(messages_bytes)];
	KalamTableRecord r;
	size_t		offset;

	memcpy(data, messages_bytes, sizeof(data));
	data[0] = 3;
	CHECK(!kalam_table_record_decode(data, sizeof(data), &r, &offset));
	data[0] = 0;
	CHECK(!kalam_table_record_decode(data, sizeof(data), &r, &offset));
}

static void
numbers_too_large_for_their_field_are_refused(void)
{
	static const uint8_t object_id_of_33_bits[] = "\x01\x07\x80\x80\x80\x80\x10\x01\x05\x01\x01"
		"\0\0\0\0\0\0\0\0";
	static const uint8_t table_id_of_65_bits[] = "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01\x05\x01\x01\x01"
		"\0\0\0\0\0\0\0\0";
	static const uint8_t table_id_of_64_bits[] = "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x05\x01\x01\x01"
		"\0\0\0\0\0\0\0\0";
	static const uint8_t too_many_columns[] = "\x01\x07\x01\x01\x05\x01\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\x0f";
	KalamTableRecord r;
	size_t		offset;

	CHECK(!kalam_table_record_decode(object_id_of_33_bits, sizeof(object_id_of_33_bits) - 1, &r, &offset));
	CHECK(!kalam_table_record_decode(table_id_of_65_bits, sizeof(table_id_of_65_bits) - 1, &r, &offset));
	CHECK(kalam_table_record_decode(table_id_of_64_bits, sizeof(table_id_of_64_bits) - 1, &r, &offset));
	CHECK(r.table_id == UINT64_MAX);
	CHECK(!kalam_table_record_decode(too_many_columns, sizeof(too_many_columns) - 1, &r, &offset));
}

static uint64_t
random_number(void)
{
	return unit_random() >> unit_random_below(64);
}

static KalamString
random_string(void)
{
	static char bytes[400];
	KalamString s;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char) (i * 7);
	s.len = (uint32_t) (unit_random_below(20) == 0 ? unit_random_below(300) : unit_random_below(10));
	s.data = bytes + unit_random_below(100);
	return s;
}

static void
random_records_survive_the_round_trip(void)
{
	for (int round = 0; round < 3000; round++)
	{
		KalamTableRecord r = {
			.table_id = random_number(),.object_id = (uint32_t) random_number(),
			.schema_version = (uint32_t) random_number(),
			.database_oid = (uint32_t) random_number(),.relid = (uint32_t) random_number(),
			.owner_oid = (uint32_t) random_number(),.encoding = (uint32_t) random_number(),
			.ncolumns = (uint32_t) unit_random_below(MAX_COLUMNS),
			.nindexes = (uint32_t) (unit_random_below(2) * unit_random_below(MAX_INDEXES)),
			.next_index = 1 + (uint32_t) unit_random_below(70000),
			.owner = random_string(),.database = random_string(),.nspname = random_string(),
			.name = random_string(),.kind = random_string(),.primary_key = random_string(),
			.options = random_string()
		};
		KalamTableColumn columns[MAX_COLUMNS];
		KalamTableRecord back;
		KalamTableColumn back_columns[MAX_COLUMNS];
		KalamTableIndex indexes[MAX_INDEXES];
		KalamTableIndex back_indexes[MAX_INDEXES];
		size_t		size;
		size_t		end = 0;
		uint8_t    *data;

		for (uint32_t i = 0; i < r.ncolumns; i++)
		{
			columns[i].attnum = (int32_t) random_number();
			columns[i].typmod = (int32_t) random_number();
			columns[i].type_oid = (uint32_t) random_number();
			columns[i].flags = (uint32_t) random_number();
			columns[i].name = random_string();
			columns[i].type_name = random_string();
			columns[i].collation = random_string();
		}
		for (uint32_t i = 0; i < r.nindexes; i++)
		{
			indexes[i].id = (uint32_t) random_number();
			indexes[i].flags = (uint32_t) random_number();
			indexes[i].since = random_number();
			indexes[i].name = random_string();
			indexes[i].columns = random_string();
		}
		size = kalam_table_record_size(&r, columns, indexes);
		data = malloc(size);
		kalam_table_record_encode(&r, columns, indexes, data);
		if (CHECK(decode_all(data, size, &back, back_columns, back_indexes, &end)))
		{
			CHECK(end == size);
			CHECK(same_record(&r, &back));
			for (uint32_t i = 0; i < r.ncolumns; i++)
				CHECK(same_column(&columns[i], &back_columns[i]));
			for (uint32_t i = 0; i < r.nindexes; i++)
				CHECK(same_index(&indexes[i], &back_indexes[i]));
		}
		free(data);
	}
}

static void
the_extremes_of_signed_fields_survive(void)
{
	static const int32_t values[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX};
	KalamTableRecord r = messages;

	r.ncolumns = 1;
	r.owner = string("");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		KalamTableColumn c = messages_columns[0];
		KalamTableColumn back;
		KalamTableIndex indexes[MAX_INDEXES];
		KalamTableRecord rback;
		uint8_t		out[256];
		size_t		end;

		c.attnum = values[i];
		c.typmod = values[i];
		kalam_table_record_encode(&r, &c, NULL, out);
		CHECK(decode_all(out, kalam_table_record_size(&r, &c, NULL), &rback, &back, indexes, &end));
		CHECK(same_column(&c, &back));
	}
}

int
main(void)
{
	unit_run(a_record_has_the_documented_bytes);
	unit_run(a_record_of_format_1_is_read);
	unit_run(every_cut_record_is_refused);
	unit_run(bytes_behind_the_last_index_are_ignored);
	unit_run(impossible_numbers_of_indexes_are_refused);
	unit_run(another_record_format_is_refused);
	unit_run(numbers_too_large_for_their_field_are_refused);
	unit_run(random_records_survive_the_round_trip);
	unit_run(the_extremes_of_signed_fields_survive);
	return unit_finish("catalog");
}
