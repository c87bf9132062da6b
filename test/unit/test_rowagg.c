/*
 * test_rowagg.c
 *	  Aggregates over stored rows, against sums that the test keeps itself.
 */
#include <float.h>
#include <math.h>

#include "src/shared/rowagg.h"
#include "test/unit/rowprog_model.h"
#include "test/unit/unit.h"

enum
{
	F_GROUP, F_INT, F_BIG, F_F4, F_F8, F_TEXT, F_NUMERIC, NFIELDS
};

static const KalamRowField layout[NFIELDS] = {
	[F_GROUP] = {4, 4, KALAM_FIELD_I32},
	[F_INT] = {2, 2, KALAM_FIELD_I16},
	[F_BIG] = {8, 8, KALAM_FIELD_I64},
	[F_F4] = {4, 4, KALAM_FIELD_F32},
	[F_F8] = {8, 8, KALAM_FIELD_F64},
	[F_TEXT] = {-1, 4, KALAM_FIELD_BYTES},
	[F_NUMERIC] = {-1, 4, KALAM_FIELD_NUMERIC},
};

#define MAX_ITEMS 16

typedef struct Aggregation
{
	uint8_t    *bytes;
	size_t		len;
	void	   *memory;
	KalamAggregator *a;
	const char *why;
	KalamAggregateResult results[MAX_ITEMS];
	KalamRowValue groups[KALAM_AGGREGATE_MAX_GROUP];
} Aggregation;

static void
open_aggregation(Aggregation *g, uint32_t ngroup, const uint16_t *group, uint32_t nitems,
				 const KalamAggregateItem *items)
{
	KalamAggregationHeader head = {NFIELDS, ngroup, nitems, 0};
	size_t		at = sizeof(head);
	size_t		size;

	memset(g, 0, sizeof(*g));
	g->bytes = calloc(1, 4096);
	memcpy(g->bytes, &head, sizeof(head));
	memcpy(g->bytes + at, layout, sizeof(layout));
	at += (sizeof(layout) + 7) & ~(size_t) 7;
	if (ngroup > 0)
		memcpy(g->bytes + at, group, ngroup * sizeof(*group));
	at += (ngroup * sizeof(*group) + 7) & ~(size_t) 7;
	memcpy(g->bytes + at, items, nitems * sizeof(*items));
	g->len = at + nitems * sizeof(*items);
	size = kalam_aggregator_memory(g->bytes, g->len);
	CHECK(size > 0);
	g->memory = malloc(size);
	g->a = kalam_aggregator_open(g->bytes, g->len, g->memory, &g->why);
}

static void
close_aggregation(Aggregation *g)
{
	free(g->memory);
	free(g->bytes);
}

typedef struct Row
{
	int32_t		group;
	int16_t		i;
	int64_t		big;
	float		f4;
	double		f8;
	uint8_t		numeric[64];
	ModelValue	values[NFIELDS];
} Row;

static void
begin_row(Row *r)
{
	memset(r, 0, sizeof(*r));
	r->values[F_GROUP] = (ModelValue) {&r->group, 4};
	r->values[F_INT] = (ModelValue) {&r->i, 2};
	r->values[F_BIG] = (ModelValue) {&r->big, 8};
	r->values[F_F4] = (ModelValue) {&r->f4, 4};
	r->values[F_F8] = (ModelValue) {&r->f8, 8};
	r->values[F_TEXT] = (ModelValue) {"", 0};
	r->values[F_NUMERIC] = (ModelValue) {"\0\x80", 2};
}

/* A short numeric of these digits. */
static void
set_number(Row *r, bool negative, int weight, int scale, int n, const int16_t *digits)
{
	uint16_t	header = (uint16_t) (0x8000 | (negative ? 0x2000 : 0) | scale << 7 | (weight & 0x7F));

	memcpy(r->numeric, &header, 2);
	memcpy(r->numeric + 2, digits, (size_t) n * 2);
	r->values[F_NUMERIC] = (ModelValue) {r->numeric, (uint32_t) (2 + 2 * n)};
}

static KalamTaken
take(Aggregation *g, Row *r)
{
	ModelRow	stored;
	uint8_t    *exact;
	KalamTaken	taken;

	model_row(&stored, layout, NFIELDS, r->values);
	exact = malloc(stored.len);
	memcpy(exact, stored.bytes, stored.len);
	taken = kalam_aggregator_take(g->a, exact, stored.len);
	free(exact);
	return taken;
}

static void
read_group(Aggregation *g, uint32_t i)
{
	size_t		len;
	const uint8_t *bytes = kalam_aggregator_group(g->a, i, &len);

	CHECK(kalam_aggregate_read(g->a, bytes, len, g->results, g->groups));
}

static void
whole_tables_are_summed(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}, {KALAM_AGG_COUNT, 0, F_TEXT}, {KALAM_AGG_SUM, 0, F_INT},
		{KALAM_AGG_SUM, 0, F_BIG}, {KALAM_AGG_MIN, 0, F_INT}, {KALAM_AGG_MAX, 0, F_BIG},
		{KALAM_AGG_SUM, 0, F_F8}, {KALAM_AGG_SQUARES, 0, F_F8}, {KALAM_AGG_SUM, 0, F_F4},
		{KALAM_AGG_MIN, 0, F_TEXT}, {KALAM_AGG_MAX, 0, F_TEXT}
	};
	Aggregation g;
	Row			r;
	__int128	big = 0;
	int64_t		small = 0;
	double		f8 = 0;
	float		f4 = 0;
	double		n = 0,
				sx = 0,
				sxx = 0;
	int16_t		least = INT16_MAX;
	int64_t		most = INT64_MIN;

	open_aggregation(&g, 0, NULL, 11, items);
	CHECK(g.a != NULL && !kalam_aggregator_only_counts(g.a));
	for (int k = 0; k < 5000; k++)
	{
		char		text[8];

		begin_row(&r);
		r.i = (int16_t) unit_random();
		r.big = (int64_t) unit_random();
		r.f8 = (double) (int64_t) unit_random() / 3;
		r.f4 = (float) (int64_t) unit_random() / 7;
		snprintf(text, sizeof(text), "t%05d", (k * 37 + 11) % 5000);
		r.values[F_TEXT] = (ModelValue) {text, 6};
		if (k % 10 == 3)
			r.values[F_TEXT].at = NULL;
		CHECK(take(&g, &r) == KALAM_TAKEN);
		small += r.i;
		big += r.big;
		f8 = k == 0 ? r.f8 : f8 + r.f8;
		f4 = k == 0 ? r.f4 : f4 + r.f4;
		n += 1;
		sx += r.f8;
		if (n > 1)
		{
			double		d = r.f8 * n - sx;

			sxx += d * d / (n * (n - 1));
		}
		if (r.i < least)
			least = r.i;
		if (r.big > most)
			most = r.big;
	}
	CHECK(kalam_aggregator_groups(g.a) == 1);
	read_group(&g, 0);
	CHECK(g.results[0].n == 5000 && g.results[1].n == 4500);
	CHECK(g.results[2].n == 5000 && g.results[2].sum == small);
	CHECK(g.results[3].sum == big);
	CHECK(memcmp(g.results[4].value.at, &least, 2) == 0 && g.results[4].value.len == 2);
	CHECK(memcmp(g.results[5].value.at, &most, 8) == 0);
	CHECK(g.results[6].f == f8);
	CHECK(g.results[7].f == sx && g.results[7].squares == sxx && g.results[7].n == 5000);
	CHECK(g.results[8].f == f4);
	/* (those that are null are 3, 13, ..: 00122 and so on) */
	CHECK(g.results[9].value.len == 6 && memcmp(g.results[9].value.at, "t00000", 6) == 0);
	CHECK(memcmp(g.results[10].value.at, "t04999", 6) == 0);
	close_aggregation(&g);
}

static void
nulls_make_no_sums(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}, {KALAM_AGG_SUM, 0, F_BIG}, {KALAM_AGG_MIN, 0, F_TEXT},
		{KALAM_AGG_SUM, 0, F_NUMERIC}, {KALAM_AGG_SQUARES, 0, F_F4}, {KALAM_AGG_COUNT, 0, F_BIG}
	};
	Aggregation g;
	Row			r;

	open_aggregation(&g, 0, NULL, 6, items);
	begin_row(&r);
	for (int f = F_INT; f < NFIELDS; f++)
		r.values[f].at = NULL;
	CHECK(take(&g, &r) == KALAM_TAKEN);
	read_group(&g, 0);
	CHECK(g.results[0].n == 1);
	for (int i = 1; i < 6; i++)
		CHECK(g.results[i].n == 0 && g.results[i].value.at == NULL);
	close_aggregation(&g);
}

static void
lengths_are_aggregated(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_SUM, KALAM_MEASURE_TEXT_UTF8, F_TEXT}, {KALAM_AGG_MIN, KALAM_MEASURE_BYTES, F_TEXT},
		{KALAM_AGG_MAX, KALAM_MEASURE_BYTES, F_TEXT}, {KALAM_AGG_COUNT, KALAM_MEASURE_BYTES, F_TEXT},
		{KALAM_AGG_MAX, 0, F_TEXT}
	};
	static const char *const texts[] = {"b", "\xc3\xa9", "aaa", "", NULL};
	Aggregation g;
	Row			r;
	int32_t		v;

	open_aggregation(&g, 0, NULL, 5, items);
	for (int i = 0; i < 5; i++)
	{
		begin_row(&r);
		r.values[F_TEXT] = (ModelValue) {texts[i], texts[i] != NULL ? (uint32_t) strlen(texts[i]) : 0};
		CHECK(take(&g, &r) == KALAM_TAKEN);
	}
	read_group(&g, 0);
	CHECK(g.results[0].sum == 5 && g.results[0].n == 4 && g.results[3].n == 4);
	CHECK(g.results[1].value.len == 4 && g.results[2].value.len == 4 && g.results[4].value.len == 2);
	memcpy(&v, g.results[1].value.at, 4);
	CHECK(v == 0);
	memcpy(&v, g.results[2].value.at, 4);
	CHECK(v == 3);
	close_aggregation(&g);
}

static void
groups_are_kept_apart(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}, {KALAM_AGG_SUM, 0, F_BIG}
	};
	static const uint16_t group[] = {F_GROUP, F_TEXT};
	Aggregation g;
	int64_t		sums[201] = {0};
	uint64_t	counts[201] = {0};
	int64_t		got[201] = {0};
	uint64_t	got_counts[201] = {0};
	uint32_t	most = 0;

	open_aggregation(&g, 2, group, 2, items);
	for (int k = 0; k < 20000; k++)
	{
		Row			r;
		uint64_t	which = unit_random_below(201);

		begin_row(&r);
		r.group = (int32_t) (which / 2);
		r.values[F_TEXT] = which % 2 == 0 ? (ModelValue) {"even", 4} : (ModelValue) {NULL, 0};
		r.big = (int64_t) unit_random_below(1000);
		CHECK(take(&g, &r) == KALAM_TAKEN);
		sums[which] += r.big;
		counts[which]++;
	}
	CHECK(kalam_aggregator_groups(g.a) == 201);
	for (uint32_t i = 0; i < kalam_aggregator_groups(g.a); i++)
	{
		int32_t		which;

		read_group(&g, i);
		CHECK(g.groups[0].len == 4);
		memcpy(&which, g.groups[0].at, 4);
		which = 2 * which + (g.groups[1].at == NULL);
		got[which] += (int64_t) g.results[1].sum;
		got_counts[which] += g.results[0].n;
	}
	CHECK(memcmp(got, sums, sizeof(sums)) == 0 && memcmp(got_counts, counts, sizeof(counts)) == 0);

	/* more than fit: it says so, and begins anew */
	kalam_aggregator_clear(g.a);
	CHECK(kalam_aggregator_groups(g.a) == 0);
	for (int k = 0, full = 0; full < 3; k++)
	{
		Row			r;
		KalamTaken	taken;

		begin_row(&r);
		r.group = k;
		taken = take(&g, &r);
		if (taken == KALAM_TAKE_FULL)
		{
			size_t		bytes = 0;

			for (uint32_t i = 0; i < kalam_aggregator_groups(g.a); i++)
			{
				size_t		len;

				(void) kalam_aggregator_group(g.a, i, &len);
				bytes += 16 + ((10 + len + 7) & ~(size_t) 7);
			}
			CHECK(bytes <= KALAM_AGGREGATOR_BYTES);
			if (kalam_aggregator_groups(g.a) > most)
				most = kalam_aggregator_groups(g.a);
			kalam_aggregator_clear(g.a);
			full++;
			taken = take(&g, &r);
		}
		CHECK(taken == KALAM_TAKEN);
	}
	CHECK(most > 500);
	close_aggregation(&g);
}

static void
what_fits_into_no_state_is_told(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}, {KALAM_AGG_MIN, 0, F_TEXT}, {KALAM_AGG_SUM, 0, F_NUMERIC}
	};
	static const uint16_t group[] = {F_TEXT};
	char		longer[3000];
	Aggregation g;
	Row			r;

	memset(longer, 'm', sizeof(longer));
	open_aggregation(&g, 0, NULL, 3, items);
	begin_row(&r);
	r.values[F_TEXT] = (ModelValue) {longer, 300};
	CHECK(take(&g, &r) == KALAM_TAKE_UNFIT);
	CHECK(kalam_aggregator_groups(g.a) == 0);
	/* it is not the least: it need not be kept */
	r.values[F_TEXT] = (ModelValue) {"a", 1};
	CHECK(take(&g, &r) == KALAM_TAKEN);
	r.values[F_TEXT] = (ModelValue) {longer, 300};
	CHECK(take(&g, &r) == KALAM_TAKEN);
	r.values[F_TEXT] = (ModelValue) {"z", 1};
	set_number(&r, false, KALAM_AGG_TOP + 1, 0, 1, (int16_t[]) {1});
	CHECK(take(&g, &r) == KALAM_TAKE_UNFIT);
	set_number(&r, false, KALAM_AGG_TOP, 0, 1, (int16_t[]) {1});
	CHECK(take(&g, &r) == KALAM_TAKEN);
	set_number(&r, true, KALAM_AGG_TOP - KALAM_AGG_DIGITS + 1, 16, 1, (int16_t[]) {1});
	CHECK(take(&g, &r) == KALAM_TAKEN);
	set_number(&r, false, KALAM_AGG_TOP - KALAM_AGG_DIGITS, 20, 1, (int16_t[]) {1});
	CHECK(take(&g, &r) == KALAM_TAKE_UNFIT);
	read_group(&g, 0);
	CHECK(g.results[0].n == 4 && g.results[1].n == 4);
	CHECK(g.results[1].value.len == 1 && *g.results[1].value.at == 'a');
	CHECK(g.results[2].digits[0] == 1 && g.results[2].digits[KALAM_AGG_DIGITS - 1] == -1);
	CHECK(g.results[2].scale == 16);
	close_aggregation(&g);

	open_aggregation(&g, 1, group, 1, items);
	r.values[F_TEXT] = (ModelValue) {longer, 3000};
	CHECK(take(&g, &r) == KALAM_TAKE_UNFIT);
	r.values[F_TEXT] = (ModelValue) {longer, 1000};
	CHECK(take(&g, &r) == KALAM_TAKEN);
	close_aggregation(&g);
}

static void
single_rows_are_states(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}, {KALAM_AGG_MAX, 0, F_TEXT}, {KALAM_AGG_SUM, 0, F_NUMERIC},
		{KALAM_AGG_SUM, 0, F_BIG}, {KALAM_AGG_SQUARES, 0, F_F8}, {KALAM_AGG_MIN, 0, F_INT},
		{KALAM_AGG_COUNT, 0, F_F4}
	};
	static const uint16_t group[] = {F_TEXT, F_GROUP};
	char		longer[3000];
	Aggregation g;
	Row			r;
	ModelRow	stored;

	memset(longer, 'm', sizeof(longer));
	open_aggregation(&g, 2, group, 7, items);
	begin_row(&r);
	r.values[F_TEXT] = (ModelValue) {longer, 3000};
	r.values[F_F4].at = NULL;
	r.big = -9;
	r.f8 = 2.5;
	r.i = 7;
	set_number(&r, false, 20, 0, 1, (int16_t[]) {1});
	model_row(&stored, layout, NFIELDS, r.values);
	CHECK(kalam_aggregate_row(g.a, stored.bytes, stored.len, g.results, g.groups));
	CHECK(g.groups[0].len == 3000 && g.groups[1].len == 4);
	CHECK(g.results[0].n == 1 && g.results[6].n == 0);
	CHECK(g.results[1].value.len == 3000 && g.results[2].value.len == 4);
	CHECK(g.results[3].sum == -9 && g.results[4].f == 2.5 && g.results[4].n == 1);
	CHECK(memcmp(g.results[5].value.at, &r.i, 2) == 0);
	close_aggregation(&g);
}

static void
floats_overflow_as_in_sql(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_SUM, 0, F_F8}, {KALAM_AGG_SQUARES, 0, F_F8}, {KALAM_AGG_SUM, 0, F_F4},
		{KALAM_AGG_MIN, 0, F_F8}, {KALAM_AGG_MAX, 0, F_F8}
	};
	Aggregation g;
	Row			r;

	begin_row(&r);
	open_aggregation(&g, 0, NULL, 5, items);
	r.f8 = DBL_MAX;
	r.f4 = FLT_MAX;
	CHECK(take(&g, &r) == KALAM_TAKEN);
	read_group(&g, 0);
	CHECK(!g.results[0].overflow && !g.results[1].overflow && !g.results[2].overflow);
	CHECK(take(&g, &r) == KALAM_TAKEN);
	read_group(&g, 0);
	CHECK(g.results[0].overflow && g.results[1].overflow && g.results[2].overflow);

	kalam_aggregator_clear(g.a);
	r.f8 = INFINITY;
	r.f4 = -INFINITY;
	for (int i = 0; i < 2; i++)
		CHECK(take(&g, &r) == KALAM_TAKEN);
	r.f8 = NAN;
	CHECK(take(&g, &r) == KALAM_TAKEN);
	read_group(&g, 0);
	CHECK(!g.results[0].overflow && !g.results[1].overflow && !g.results[2].overflow);
	CHECK(isnan(g.results[0].f) && isnan(g.results[1].squares) && isinf(g.results[2].f));
	{
		double		least,
					most;

		memcpy(&least, g.results[3].value.at, 8);
		memcpy(&most, g.results[4].value.at, 8);
		CHECK(isinf(least) && isnan(most));
	}
	close_aggregation(&g);
}

static void
aggregations_that_are_none_are_refused(void)
{
	KalamAggregateItem good[] = {{KALAM_AGG_SUM, 0, F_BIG}, {KALAM_AGG_MIN, 0, F_TEXT}};
	uint16_t	group[] = {F_GROUP};
	Aggregation g;

#define REFUSED(change) \
	do { \
		KalamAggregateItem items[2] = {good[0], good[1]}; \
		change; \
		open_aggregation(&g, 1, group, 2, items); \
		CHECK(g.a == NULL && g.why != NULL); \
		close_aggregation(&g); \
	} while (0)

	REFUSED(items[0].op = 0);
	REFUSED(items[0].op = 99);
	REFUSED(items[0].field = NFIELDS);
	REFUSED(items[0].field = KALAM_AGG_NO_FIELD);
	REFUSED(items[0].field = F_TEXT);
	REFUSED(items[0].measure = KALAM_MEASURE_BYTES);
	REFUSED(items[1].measure = KALAM_MEASURES);
	REFUSED(items[1] = ((KalamAggregateItem) {KALAM_AGG_COUNT, KALAM_MEASURE_BYTES, KALAM_AGG_NO_FIELD}));
	REFUSED(items[1].op = KALAM_AGG_SQUARES);
	REFUSED(group[0] = NFIELDS);
	group[0] = F_GROUP;
	open_aggregation(&g, 1, group, 2, good);
	CHECK(g.a != NULL);
	CHECK(kalam_aggregator_memory(g.bytes, g.len - 1) == 0);
	CHECK(kalam_aggregator_memory(g.bytes, g.len + 1) == 0);
	CHECK(kalam_aggregator_memory(g.bytes, 8) == 0);
	close_aggregation(&g);
}

static void
rows_that_are_only_counted(void)
{
	static const KalamAggregateItem items[] = {
		{KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}, {KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}
	};
	Aggregation g;

	open_aggregation(&g, 0, NULL, 2, items);
	CHECK(kalam_aggregator_only_counts(g.a));
	kalam_aggregator_count(g.a, 0);
	CHECK(kalam_aggregator_groups(g.a) == 0);
	kalam_aggregator_count(g.a, 7);
	kalam_aggregator_count(g.a, UINT32_MAX);
	CHECK(kalam_aggregator_groups(g.a) == 1);
	read_group(&g, 0);
	CHECK(g.results[0].n == 7 + (uint64_t) UINT32_MAX && g.results[1].n == g.results[0].n);
	close_aggregation(&g);
}

int
main(void)
{
	unit_run(whole_tables_are_summed);
	unit_run(nulls_make_no_sums);
	unit_run(lengths_are_aggregated);
	unit_run(groups_are_kept_apart);
	unit_run(what_fits_into_no_state_is_told);
	unit_run(single_rows_are_states);
	unit_run(floats_overflow_as_in_sql);
	unit_run(aggregations_that_are_none_are_refused);
	unit_run(rows_that_are_only_counted);
	return unit_finish("test_rowagg");
}
