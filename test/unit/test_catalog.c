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
		same_string(a->name, b->name) && same_string(a->type_name, b->type_name);
}

static bool
same_record(const KalamTableRecord *a, const KalamTableRecord *b)
{
	return a->table_id == b->table_id && a->object_id == b->object_id &&
		a->schema_version == b->schema_version && a->database_oid == b->database_oid &&
		a->relid == b->relid && a->owner_oid == b->owner_oid && a->ncolumns == b->ncolumns &&
		same_string(a->owner, b->owner) && same_string(a->database, b->database) &&
		same_string(a->nspname, b->nspname) && same_string(a->name, b->name) &&
		same_string(a->kind, b->kind) && same_string(a->primary_key, b->primary_key) &&
		same_string(a->options, b->options);
}

static const KalamTableRecord messages = {
	.table_id = 7,.object_id = 300,.schema_version = 1,.database_oid = 5,.relid = 16384,
	.owner_oid = 10,.ncolumns = 2,
	.owner = {"postgres", 8},.database = {"db", 2},.nspname = {"chat", 4},
	.name = {"messages", 8},.kind = {"shared", 6},.primary_key = {"id DESC", 7},
	.options = {"", 0}
};
static const KalamTableColumn messages_columns[2] = {
	{.attnum = 1,.typmod = -1,.type_oid = 20,.flags = 5,.name = {"id", 2},
	.type_name = {"bigint", 6}},
	{.attnum = 2,.typmod = 44,.type_oid = 1043,.flags = 0,.name = {"t", 1},
	.type_name = {"character varying(40)", 21}}
};
static const char messages_bytes[] =
	"\x01" "\x07" "\xac\x02" "\x01" "\x05" "\x80\x80\x01" "\x0a"
	"\x08postgres" "\x02" "db" "\x04" "chat" "\x08messages" "\x06shared" "\x07id DESC" "\x00"
	"\x02"
	"\x02" "\x02id" "\x06" "bigint" "\x14" "\x01" "\x05"
	"\x04" "\x01t" "\x15" "character varying(40)" "\x93\x08" "\x58" "\x00";

static void
a_record_has_the_documented_bytes(void)
{
	uint8_t		out[256];
	size_t		size = kalam_table_record_size(&messages, messages_columns);

	CHECK(size == sizeof(messages_bytes) - 1);
	kalam_table_record_encode(&messages, messages_columns, out);
	CHECK(memcmp(out, messages_bytes, size) == 0);
}

/* Decodes what a buffer of exactly this size holds, so that ASan sees overreads. */
static bool
decode_all(const uint8_t *data, size_t len, KalamTableRecord *r, KalamTableColumn *columns,
		   size_t *end)
{
	size_t		offset;

	if (!kalam_table_record_decode(data, len, r, &offset))
		return false;
	if (r->ncolumns > MAX_COLUMNS)
		return false;
	for (uint32_t i = 0; i < r->ncolumns; i++)
		if (!kalam_table_record_column(data, len, &offset, &columns[i]))
			return false;
	*end = offset;
	return true;
}

static void
every_cut_record_is_refused(void)
{
	size_t		full = sizeof(messages_bytes) - 1;

	for (size_t len = 0; len <= full; len++)
	{
		uint8_t    *data = malloc(len + 1);
		KalamTableRecord r;
		KalamTableColumn columns[MAX_COLUMNS];
		size_t		end;

		/* right-aligned, so that the end of the allocation is the end of the data */
		memcpy(data + 1, messages_bytes, len);
		CHECK(decode_all(data + 1, len, &r, columns, &end) == (len == full));
		free(data);
	}
}

static void
bytes_behind_the_last_column_are_ignored(void)
{
	uint8_t		data[sizeof(messages_bytes) + 3];
	KalamTableRecord r;
	KalamTableColumn columns[MAX_COLUMNS];
	size_t		end = 0;

	memset(data, 0xFF, sizeof(data));
	memcpy(data, messages_bytes, sizeof(messages_bytes) - 1);
	CHECK(decode_all(data, sizeof(data), &r, columns, &end));
	CHECK(same_record(&r, &messages));
	CHECK(same_column(&columns[0], &messages_columns[0]));
	CHECK(same_column(&columns[1], &messages_columns[1]));
	CHECK(end == sizeof(messages_bytes) - 1);
}

static void
another_record_format_is_refused(void)
{
	uint8_t		data[sizeof(messages_bytes)];
	KalamTableRecord r;
	size_t		offset;

	memcpy(data, messages_bytes, sizeof(data));
	data[0] = 2;
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
			.owner_oid = (uint32_t) random_number(),
			.ncolumns = (uint32_t) unit_random_below(MAX_COLUMNS),
			.owner = random_string(),.database = random_string(),.nspname = random_string(),
			.name = random_string(),.kind = random_string(),.primary_key = random_string(),
			.options = random_string()
		};
		KalamTableColumn columns[MAX_COLUMNS];
		KalamTableRecord back;
		KalamTableColumn back_columns[MAX_COLUMNS];
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
		}
		size = kalam_table_record_size(&r, columns);
		data = malloc(size);
		kalam_table_record_encode(&r, columns, data);
		if (CHECK(decode_all(data, size, &back, back_columns, &end)))
		{
			CHECK(end == size);
			CHECK(same_record(&r, &back));
			for (uint32_t i = 0; i < r.ncolumns; i++)
				CHECK(same_column(&columns[i], &back_columns[i]));
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
		KalamTableRecord rback;
		uint8_t		out[256];
		size_t		end;

		c.attnum = values[i];
		c.typmod = values[i];
		kalam_table_record_encode(&r, &c, out);
		CHECK(decode_all(out, kalam_table_record_size(&r, &c), &rback, &back, &end));
		CHECK(same_column(&c, &back));
	}
}

int
main(void)
{
	unit_run(a_record_has_the_documented_bytes);
	unit_run(every_cut_record_is_refused);
	unit_run(bytes_behind_the_last_column_are_ignored);
	unit_run(another_record_format_is_refused);
	unit_run(numbers_too_large_for_their_field_are_refused);
	unit_run(random_records_survive_the_round_trip);
	unit_run(the_extremes_of_signed_fields_survive);
	return unit_finish("catalog");
}
