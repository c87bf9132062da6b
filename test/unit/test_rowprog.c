/*
 * test_rowprog.c
 *	  Programs over stored rows: values are found, compared and combined as SQL
 *	  does it, and programs that are none are refused.
 */
#include <float.h>
#include <math.h>

#include "test/unit/rowprog_model.h"
#include "test/unit/unit.h"

/* One column of every kind. */
enum
{
	F_U8, F_TEXT, F_I64, F_I16, F_I32, F_U32, F_F32, F_F64, F_UUID, F_NAME, F_CHAR, F_NUMERIC,
	F_LAST, NFIELDS
};

static const KalamRowField layout[NFIELDS] = {
	[F_U8] = {1, 1, KALAM_FIELD_U8},
	[F_TEXT] = {-1, 4, KALAM_FIELD_BYTES},
	[F_I64] = {8, 8, KALAM_FIELD_I64},
	[F_I16] = {2, 2, KALAM_FIELD_I16},
	[F_I32] = {4, 4, KALAM_FIELD_I32},
	[F_U32] = {4, 4, KALAM_FIELD_U32},
	[F_F32] = {4, 4, KALAM_FIELD_F32},
	[F_F64] = {8, 8, KALAM_FIELD_F64},
	[F_UUID] = {16, 1, KALAM_FIELD_FIXED},
	[F_NAME] = {64, 1, KALAM_FIELD_NAME},
	[F_CHAR] = {-1, 4, KALAM_FIELD_PADDED},
	[F_NUMERIC] = {-1, 4, KALAM_FIELD_NUMERIC},
	[F_LAST] = {8, 8, KALAM_FIELD_I64},
};

typedef struct Row
{
	uint8_t		u8;
	int64_t		i64;
	int16_t		i16;
	int32_t		i32;
	uint32_t	u32;
	float		f32;
	double		f64;
	uint8_t		uuid[16];
	char		name[64];
	int64_t		last;
	ModelValue	values[NFIELDS];
	ModelRow	stored;
} Row;

static void
begin_row(Row *r)
{
	memset(r, 0, sizeof(*r));
	r->values[F_U8] = (ModelValue) {&r->u8, 1};
	r->values[F_TEXT] = (ModelValue) {"", 0};
	r->values[F_I64] = (ModelValue) {&r->i64, 8};
	r->values[F_I16] = (ModelValue) {&r->i16, 2};
	r->values[F_I32] = (ModelValue) {&r->i32, 4};
	r->values[F_U32] = (ModelValue) {&r->u32, 4};
	r->values[F_F32] = (ModelValue) {&r->f32, 4};
	r->values[F_F64] = (ModelValue) {&r->f64, 8};
	r->values[F_UUID] = (ModelValue) {r->uuid, 16};
	r->values[F_NAME] = (ModelValue) {r->name, 64};
	r->values[F_CHAR] = (ModelValue) {"", 0};
	r->values[F_NUMERIC] = (ModelValue) {"\0\x80", 2};
	r->values[F_LAST] = (ModelValue) {&r->last, 8};
}

static void
begin_program(ModelProgram *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->fields, layout, sizeof(layout));
	p->nfields = NFIELDS;
}

/* Runs it over a row of exactly its bytes; -1: refused. */
static int
run_bytes(const ModelProgram *m, const uint8_t *stored, size_t stored_len)
{
	size_t		len;
	uint8_t    *bytes = model_assemble(m, &len);
	void	   *memory = malloc(kalam_program_memory(bytes, len) + 1);
	uint8_t    *row = malloc(stored_len + 1);
	KalamProgram p;
	const char *why;
	int			result = -1;

	memcpy(row, stored, stored_len);
	if (kalam_program_open(&p, bytes, len, memory, &why))
		result = kalam_program_run(&p, row, stored_len);
	free(row);
	free(memory);
	free(bytes);
	return result;
}

static int
run(const ModelProgram *m, Row *r)
{
	model_row(&r->stored, layout, NFIELDS, r->values);
	return run_bytes(m, r->stored.bytes, r->stored.len);
}

/* The row's field compared with a constant; as three-valued truth. */
static int
compares(Row *r, uint16_t field, uint8_t compare, KalamConstant c, const void *bytes, uint32_t len)
{
	ModelProgram p;
	uint32_t	at;

	begin_program(&p);
	at = bytes != NULL ? model_bytes(&p, bytes, len) : 0;
	if (bytes == NULL)
		p.constants[p.nconstants++] = c;
	model_compare(&p, compare, field, at);
	model_step(&p, KALAM_STEP_IS, KALAM_NULL, 0);
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	if (run(&p, r) == KALAM_ROW_PASSES)
		return KALAM_NULL;
	p.nsteps = 0;
	model_compare(&p, compare, field, at);
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	return run(&p, r);
}

/* All six comparisons say what the order says. */
static bool
ordered(Row *r, uint16_t field, KalamConstant c, const void *bytes, uint32_t len, int order)
{
	bool		expected[6] = {order == 0, order != 0, order < 0, order <= 0, order > 0, order >= 0};
	bool		good = true;

	for (uint8_t i = 0; i < 6; i++)
		good = good && compares(r, field, i, c, bytes, len) == expected[i];
	return good;
}

static bool
ordered_integer(Row *r, uint16_t field, int64_t c, int order)
{
	return ordered(r, field, (KalamConstant) {.i = c}, NULL, 0, order);
}

static bool
ordered_float(Row *r, uint16_t field, double c, int order)
{
	return ordered(r, field, (KalamConstant) {.f = c}, NULL, 0, order);
}

static bool
ordered_bytes(Row *r, uint16_t field, const void *c, uint32_t len, int order)
{
	return ordered(r, field, (KalamConstant) {.i = 0}, c, len, order);
}

static void
integers_of_all_widths_compare(void)
{
	Row			r;

	begin_row(&r);
	r.u8 = 200;
	r.i16 = -5;
	r.i32 = INT32_MIN;
	r.u32 = UINT32_MAX;
	r.i64 = INT64_MAX;
	CHECK(ordered_integer(&r, F_U8, 200, 0));
	CHECK(ordered_integer(&r, F_U8, -56, 1));
	CHECK(ordered_integer(&r, F_I16, -5, 0));
	CHECK(ordered_integer(&r, F_I16, INT64_MIN, 1));
	CHECK(ordered_integer(&r, F_I32, INT32_MIN, 0));
	CHECK(ordered_integer(&r, F_I32, INT32_MAX, -1));
	CHECK(ordered_integer(&r, F_U32, UINT32_MAX, 0));
	CHECK(ordered_integer(&r, F_U32, -1, 1));
	CHECK(ordered_integer(&r, F_I64, INT64_MAX, 0));
	CHECK(ordered_integer(&r, F_I64, INT64_MIN, 1));
}

static void
floats_compare_as_sql_does(void)
{
	Row			r;
	double		ascending[] = {-INFINITY, -DBL_MAX, -1, -0.0, 1e-300, 1, DBL_MAX, INFINITY, NAN};
	int			n = sizeof(ascending) / sizeof(ascending[0]);

	begin_row(&r);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
		{
			r.f64 = ascending[i];
			CHECK(ordered_float(&r, F_F64, ascending[j], (i > j) - (i < j)));
		}
	r.f64 = -0.0;
	CHECK(ordered_float(&r, F_F64, 0.0, 0));
	r.f32 = 0.1f;
	CHECK(ordered_float(&r, F_F32, (double) 0.1f, 0));
	CHECK(ordered_float(&r, F_F32, 0.1, 1));
	r.f32 = NAN;
	CHECK(ordered_float(&r, F_F32, -NAN, 0));
	CHECK(ordered_float(&r, F_F32, INFINITY, 1));
}

static void
bytes_compare_with_the_shorter_first(void)
{
	Row			r;
	char		longer[300];

	begin_row(&r);
	r.values[F_TEXT] = (ModelValue) {"abc", 3};
	CHECK(ordered_bytes(&r, F_TEXT, "abc", 3, 0));
	CHECK(ordered_bytes(&r, F_TEXT, "ab", 2, 1));
	CHECK(ordered_bytes(&r, F_TEXT, "abc\0", 4, -1));
	CHECK(ordered_bytes(&r, F_TEXT, "ab\xff", 3, -1));
	CHECK(ordered_bytes(&r, F_TEXT, "abc  ", 5, -1));
	memset(longer, 'x', sizeof(longer));
	r.values[F_TEXT] = (ModelValue) {longer, 300};
	CHECK(ordered_bytes(&r, F_TEXT, longer, 300, 0));
	CHECK(ordered_bytes(&r, F_TEXT, longer, 299, 1));
	r.values[F_TEXT] = (ModelValue) {"", 0};
	CHECK(ordered_bytes(&r, F_TEXT, "", 0, 0));

	r.values[F_CHAR] = (ModelValue) {"ab  ", 4};
	CHECK(ordered_bytes(&r, F_CHAR, "ab", 2, 0));
	CHECK(ordered_bytes(&r, F_CHAR, "ab      ", 8, 0));
	CHECK(ordered_bytes(&r, F_CHAR, "ab!", 3, -1));
	r.values[F_CHAR] = (ModelValue) {"    ", 4};
	CHECK(ordered_bytes(&r, F_CHAR, "", 0, 0));

	strcpy(r.name, "pg_class");
	r.name[20] = 'x';			/* behind its end */
	CHECK(ordered_bytes(&r, F_NAME, "pg_class", 8, 0));
	CHECK(ordered_bytes(&r, F_NAME, "pg_class_", 9, -1));
	memset(r.uuid, 0xAB, 16);
	CHECK(ordered_bytes(&r, F_UUID, r.uuid, 16, 0));
}

/* ---- numeric ---- */

static ModelValue
number(uint8_t *to, bool negative, int weight, int n, const int16_t *digits, bool long_header)
{
	uint16_t	header;
	uint32_t	len = 2;

	if (long_header)
	{
		int16_t		w = (int16_t) weight;

		header = negative ? 0x4000 : 0;
		memcpy(to + 2, &w, 2);
		len = 4;
	}
	else
		header = (uint16_t) (0x8000 | (negative ? 0x2000 : 0) | (weight & 0x7F));
	memcpy(to, &header, 2);
	if (n > 0)
		memcpy(to + len, digits, (size_t) n * 2);
	return (ModelValue) {to, len + (uint32_t) n * 2};
}

static void
numerics_compare_by_value(void)
{
	static const struct
	{
		bool		negative;
		int			weight;
		int			n;
		int16_t		digits[4];
	}			ascending[] = {
		{true, 1000, 1, {1}},
		{true, 2, 2, {1, 5}},
		{true, 2, 1, {1}},
		{true, 0, 2, {1, 5000}},
		{true, 0, 1, {1}},
		{true, -2, 1, {7}},
		{false, 0, 0, {0}},
		{false, -60, 1, {9999}},
		{false, -1, 1, {5000}},
		{false, 0, 1, {1}},
		{false, 0, 2, {1, 1}},
		{false, 0, 1, {2}},
		{false, 1, 1, {1}},
		{false, 1, 3, {1, 0, 1}},
		{false, 30000, 1, {1}},
	};
	int			n = sizeof(ascending) / sizeof(ascending[0]);
	uint8_t		a[16],
				b[16];
	uint16_t	special[3] = {0xF000, 0xD000, 0xC000};	/* -inf, inf, NaN */
	Row			r;

	begin_row(&r);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			for (int headers = 0; headers < 4; headers++)
			{
				bool		long_i = headers & 1 || abs(ascending[i].weight) > 60;
				bool		long_j = headers & 2 || abs(ascending[j].weight) > 60;
				ModelValue	c;

				r.values[F_NUMERIC] = number(a, ascending[i].negative, ascending[i].weight,
											 ascending[i].n, ascending[i].digits, long_i);
				c = number(b, ascending[j].negative, ascending[j].weight,
						   ascending[j].n, ascending[j].digits, long_j);
				CHECK(ordered_bytes(&r, F_NUMERIC, c.at, c.len, (i > j) - (i < j)));
			}
	for (int i = 0; i < 3; i++)
	{
		ModelValue	c = number(b, false, 3, 1, (int16_t[]) {9999}, false);

		r.values[F_NUMERIC] = (ModelValue) {&special[i], 2};
		CHECK(ordered_bytes(&r, F_NUMERIC, c.at, c.len, i == 0 ? -1 : 1));
		for (int j = 0; j < 3; j++)
			CHECK(ordered_bytes(&r, F_NUMERIC, &special[j], 2, (i > j) - (i < j)));
	}
}

/* ---- nulls and truth ---- */

static void
nulls_and_missing_columns_are_null(void)
{
	Row			r;
	ModelProgram p;

	for (int null = 0; null < NFIELDS; null++)
	{
		begin_row(&r);
		r.last = 77;
		r.values[F_TEXT] = (ModelValue) {"some text", 9};
		r.values[null] = (ModelValue) {NULL, 0};
		begin_program(&p);
		for (uint16_t i = 0; i < NFIELDS; i++)
		{
			model_step(&p, KALAM_STEP_IS_NULL, 0, i);
			if (i != null)
				model_step(&p, KALAM_STEP_NOT, 0, 0);
			model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
		}
		CHECK(run(&p, &r) == KALAM_ROW_PASSES);
		if (null != F_LAST)
			CHECK(ordered_integer(&r, F_LAST, 77, 0));
		if (null != F_TEXT)
			CHECK(ordered_bytes(&r, F_TEXT, "some text", 9, 0));
	}
	CHECK(compares(&r, F_LAST, KALAM_NE, (KalamConstant) {.i = 1}, NULL, 0) == KALAM_NULL);

	/* a row from before the later columns were added */
	begin_row(&r);
	model_row(&r.stored, layout, F_I16, r.values);
	begin_program(&p);
	model_step(&p, KALAM_STEP_IS_NULL, 0, F_LAST);
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	CHECK(run_bytes(&p, r.stored.bytes, r.stored.len) == KALAM_ROW_PASSES);
	p.steps[0].field = F_I64;
	CHECK(run_bytes(&p, r.stored.bytes, r.stored.len) == KALAM_ROW_FAILS);
}

/* a op b by the program, and by a table */
static void
three_valued_logic(void)
{
	static const uint8_t and_table[3][3] = {{0, 0, 0}, {0, 1, 2}, {0, 2, 2}};
	static const uint8_t or_table[3][3] = {{0, 1, 2}, {1, 1, 1}, {2, 1, 2}};
	Row			r;
	ModelProgram p;

	begin_row(&r);
	for (uint8_t a = 0; a < 3; a++)
		for (uint8_t b = 0; b < 3; b++)
			for (int skip = 0; skip < 2; skip++)
				for (int is_or = 0; is_or < 2; is_or++)
				{
					begin_program(&p);
					model_step(&p, KALAM_STEP_CONSTANT, a, 0);
					if (skip)
						p.steps[model_step(&p, KALAM_STEP_SKIP_IF, (uint8_t) is_or, 0)].first = 4;
					model_step(&p, KALAM_STEP_CONSTANT, b, 0);
					model_step(&p, is_or ? KALAM_STEP_OR : KALAM_STEP_AND, 0, 0);
					model_step(&p, KALAM_STEP_IS, is_or ? or_table[a][b] : and_table[a][b], 0);
					model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
					CHECK(run(&p, &r) == KALAM_ROW_PASSES);
				}
	for (uint8_t a = 0; a < 3; a++)
	{
		begin_program(&p);
		model_step(&p, KALAM_STEP_CONSTANT, a, 0);
		model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
		CHECK(run(&p, &r) == (a == KALAM_TRUE ? KALAM_ROW_PASSES : KALAM_ROW_FAILS));
		p.nsteps = 1;
		model_step(&p, KALAM_STEP_NOT, 0, 0);
		model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
		CHECK(run(&p, &r) == (a == KALAM_FALSE ? KALAM_ROW_PASSES : KALAM_ROW_FAILS));
	}
}

static void
lists_are_searched(void)
{
	Row			r;
	ModelProgram p;

	for (int n = 0; n < 9; n++)
		for (uint8_t has_null = 0; has_null < 2; has_null++)
			for (int64_t v = -1; v < 2 * n + 2; v++)
			{
				bool		in = v >= 0 && v < 2 * n && v % 2 == 0;
				uint8_t		expected = in ? KALAM_TRUE : has_null ? KALAM_NULL : KALAM_FALSE;
				char		text[16];
				int			len = snprintf(text, sizeof(text), "%c", (char) ('a' + v));

				begin_row(&r);
				r.i32 = (int32_t) v;
				r.values[F_TEXT] = (ModelValue) {text, (uint32_t) len};
				for (int kind = 0; kind < 2; kind++)
				{
					uint32_t	at;

					begin_program(&p);
					for (int i = 0; i < n; i++)
						kind == 0 ? model_integer(&p, 2 * i) :
							model_bytes(&p, (char[]) {(char) ('a' + 2 * i)}, 1);
					at = model_step(&p, KALAM_STEP_IN, has_null, kind == 0 ? F_I32 : F_TEXT);
					p.steps[at].count = (uint32_t) n;
					model_step(&p, KALAM_STEP_IS, expected, 0);
					model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
					CHECK(run(&p, &r) == KALAM_ROW_PASSES);
				}
			}
}

static void
fields_compare_with_fields(void)
{
	Row			r;
	ModelProgram p;
	uint32_t	at;

	begin_row(&r);
	r.i16 = -3;
	r.i64 = -3;
	r.f32 = 0.5;
	r.f64 = 0.5;
	begin_program(&p);
	at = model_step(&p, KALAM_STEP_COMPARE_FIELDS, KALAM_EQ, F_I16);
	p.steps[at].other = F_I64;
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	at = model_step(&p, KALAM_STEP_COMPARE_FIELDS, KALAM_EQ, F_F32);
	p.steps[at].other = F_F64;
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	CHECK(run(&p, &r) == KALAM_ROW_PASSES);
	r.i64 = 65533;
	CHECK(run(&p, &r) == KALAM_ROW_FAILS);
	r.values[F_I64] = (ModelValue) {NULL, 0};
	CHECK(run(&p, &r) == KALAM_ROW_FAILS);
	p.steps[0].other = F_TEXT;
	CHECK(run(&p, &r) == -1);
	p.steps[0].field = F_CHAR;
	CHECK(run(&p, &r) == -1);
}

static void
lengths_are_measured(void)
{
	static const char *const texts[] = {
		"", "a", "ab  ", "   ", "eight by", "nine byte", "\xc3\xa9", "x\xe2\x82\xac y", "\xf0\x9f\x98\x80 ",
		"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 abc\xe2\x82\xac   "
	};
	Row			r;
	ModelProgram p;
	uint32_t	at;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		const uint8_t *text = (const uint8_t *) texts[i];
		int32_t		len = (int32_t) strlen(texts[i]);
		KalamRowValue v = {text, (uint32_t) len};
		int32_t		trimmed = len;
		int32_t		all = 0,
					characters = 0;

		while (trimmed > 0 && text[trimmed - 1] == ' ')
			trimmed--;
		for (int32_t k = 0; k < len; k++)
		{
			bool		begins = text[k] < 0x80 || text[k] >= 0xC0;

			all += begins;
			characters += begins && k < trimmed;
		}
		CHECK(kalam_value_measure(KALAM_MEASURE_BYTES, KALAM_FIELD_BYTES, v) == len);
		CHECK(kalam_value_measure(KALAM_MEASURE_BYTES, KALAM_FIELD_PADDED, v) == len);
		CHECK(kalam_value_measure(KALAM_MEASURE_TEXT_BYTES, KALAM_FIELD_BYTES, v) == len);
		CHECK(kalam_value_measure(KALAM_MEASURE_TEXT_BYTES, KALAM_FIELD_PADDED, v) == trimmed);
		CHECK(kalam_value_measure(KALAM_MEASURE_TEXT_UTF8, KALAM_FIELD_BYTES, v) == all);
		CHECK(kalam_value_measure(KALAM_MEASURE_TEXT_UTF8, KALAM_FIELD_PADDED, v) == characters);

		begin_row(&r);
		r.values[F_TEXT] = (ModelValue) {text, (uint32_t) len};
		for (uint8_t in = 0; in < 2; in++)
		{
			begin_program(&p);
			model_integer(&p, all);
			at = model_step(&p, in ? KALAM_STEP_IN : KALAM_STEP_COMPARE, in ? 0 : KALAM_EQ, F_TEXT);
			p.steps[at].count = 1;
			p.steps[at].measure = KALAM_MEASURE_TEXT_UTF8;
			model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
			CHECK(run(&p, &r) == KALAM_ROW_PASSES);
			p.constants[0].i++;
			CHECK(run(&p, &r) == KALAM_ROW_FAILS);
		}
	}
	/* a null has no length; nor has a number, nor what is no comparison */
	r.values[F_TEXT] = (ModelValue) {NULL, 0};
	model_step(&p, KALAM_STEP_CONSTANT, KALAM_TRUE, 0);
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	CHECK(run(&p, &r) == KALAM_ROW_FAILS);
	p.steps[at].field = F_I32;
	CHECK(run(&p, &r) == -1);
	p.steps[at].field = F_TEXT;
	p.steps[at].measure = KALAM_MEASURES;
	CHECK(run(&p, &r) == -1);
	p.steps[at].measure = 256 + KALAM_MEASURE_BYTES;
	CHECK(run(&p, &r) == -1);
	p.steps[at].measure = KALAM_MEASURE_BYTES;
	p.steps[2].measure = KALAM_MEASURE_BYTES;
	CHECK(run(&p, &r) == -1);
}

/* ---- what is refused ---- */

static void
programs_that_are_none_are_refused(void)
{
	Row			r;
	ModelProgram good;
	ModelProgram p;

	begin_row(&r);
	begin_program(&good);
	model_compare(&good, KALAM_EQ, F_I32, model_integer(&good, 0));
	good.steps[model_step(&good, KALAM_STEP_SKIP_IF, KALAM_FALSE, 0)].first = 4;
	model_step(&good, KALAM_STEP_CONSTANT, KALAM_TRUE, 0);
	model_step(&good, KALAM_STEP_AND, 0, 0);
	model_step(&good, KALAM_STEP_REQUIRE, 0, 0);
	CHECK(run(&good, &r) == KALAM_ROW_PASSES);

#define REFUSED(change) (p = good, (change), CHECK(run(&p, &r) == -1))
	REFUSED(p.nsteps--);
	REFUSED(p.steps[0].op = 0);
	REFUSED(p.steps[0].op = 99);
	REFUSED(p.steps[0].arg = KALAM_GE + 1);
	REFUSED(p.steps[0].field = NFIELDS);
	REFUSED(p.steps[0].first = 1);
	REFUSED(p.steps[0].first = UINT32_MAX);
	REFUSED(p.steps[1].first = 1);
	REFUSED(p.steps[1].first = 0);
	REFUSED(p.steps[1].first = 3);
	REFUSED(p.steps[1].first = 5);
	REFUSED(p.steps[2].arg = 3);
	REFUSED(p.steps[2].op = KALAM_STEP_AND);
	REFUSED(p.steps[2].op = KALAM_STEP_REQUIRE);
	REFUSED(p.steps[3].op = KALAM_STEP_NOT);
	REFUSED(p.fields[0].align = 3);
	REFUSED(p.fields[0].len = 2);
	REFUSED(p.fields[F_TEXT].len = -2);
	REFUSED(p.fields[F_I32].kind = KALAM_FIELD_OPAQUE);
	REFUSED(p.fields[F_I32].kind = KALAM_FIELD_KINDS);
	REFUSED((p.steps[0].op = KALAM_STEP_IN, p.steps[0].count = 2));
	REFUSED((p.steps[0].op = KALAM_STEP_IN, p.steps[0].count = UINT32_MAX));
	/* not ascending, or twice the same */
	REFUSED((p.steps[0].op = KALAM_STEP_IN, p.steps[0].arg = 0, p.steps[0].count = 2,
			 model_integer(&p, 0)));
	REFUSED((p.steps[0].field = F_TEXT, p.constants[0].bytes.at = 1, p.constants[0].bytes.len = 0));
	REFUSED((p.steps[0].field = F_TEXT, p.constants[0].bytes.at = 0, p.constants[0].bytes.len = 1));

	/* a stack that grows too high */
	begin_program(&p);
	for (int i = 0; i <= KALAM_PROGRAM_STACK; i++)
		model_step(&p, KALAM_STEP_CONSTANT, 0, 0);
	for (int i = 0; i < KALAM_PROGRAM_STACK; i++)
		model_step(&p, KALAM_STEP_AND, 0, 0);
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	CHECK(run(&p, &r) == -1);

	/* nothing to ask for is a program too */
	begin_program(&p);
	CHECK(run(&p, &r) == KALAM_ROW_PASSES);
}

/* Every prefix of a row, and rows with a byte changed, end in a verdict. */
static void
damaged_rows_are_noticed(void)
{
	Row			r;
	ModelProgram p;
	char		longer[300];

	begin_row(&r);
	memset(longer, 'y', sizeof(longer));
	r.values[F_TEXT] = (ModelValue) {longer, 300};
	r.last = 5;
	begin_program(&p);
	model_compare(&p, KALAM_EQ, F_LAST, model_integer(&p, 5));
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	CHECK(run(&p, &r) == KALAM_ROW_PASSES);
	for (size_t len = 0; len < r.stored.len; len++)
		CHECK(run_bytes(&p, r.stored.bytes, len) == KALAM_ROW_DAMAGED);
	for (size_t i = 0; i < r.stored.len; i++)
		for (int bit = 0; bit < 8; bit++)
		{
			ModelRow	changed = r.stored;

			changed.bytes[i] ^= (uint8_t) (1 << bit);
			CHECK(run_bytes(&p, changed.bytes, changed.len) >= 0);
		}
	r.values[F_NUMERIC] = (ModelValue) {"x", 1};
	model_compare(&p, KALAM_EQ, F_NUMERIC, model_bytes(&p, "\0\x80", 2));
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	CHECK(run(&p, &r) == KALAM_ROW_DAMAGED);
}

int
main(void)
{
	unit_run(integers_of_all_widths_compare);
	unit_run(floats_compare_as_sql_does);
	unit_run(bytes_compare_with_the_shorter_first);
	unit_run(numerics_compare_by_value);
	unit_run(nulls_and_missing_columns_are_null);
	unit_run(three_valued_logic);
	unit_run(lists_are_searched);
	unit_run(fields_compare_with_fields);
	unit_run(lengths_are_measured);
	unit_run(programs_that_are_none_are_refused);
	unit_run(damaged_rows_are_noticed);
	return unit_finish("test_rowprog");
}
