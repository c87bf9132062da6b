/*
 * test_filter.c
 *	  Scans with a filter: the rows that pass, and no others, come in every kind of
 *	  scan; one that drops many lets others have turns.  Scans that send groups: every
 *	  row is in one.  Usage: test_filter PROGRAM
 */
#include "src/shared/rowagg.h"
#include "test/unit/rowprog_model.h"
#include "test/unit/store_fixture.h"

#define NGROUPS 10
#define ROWS (SLOW ? 2000 : 6000)

/* id int8, grp int4, text */
static const KalamRowField layout[3] = {
	{8, 8, KALAM_FIELD_I64}, {4, 4, KALAM_FIELD_I32}, {-1, 4, KALAM_FIELD_BYTES}
};

static uint32_t
group_of(uint64_t row)
{
	return (uint32_t) (row * 7919 % NGROUPS);
}

/* Some rows are larger than a block, and some large. */
static size_t
text_size(uint64_t row)
{
	return row % 1009 == 500 ? KALAM_BLOCK_DATA_BYTES + 500 : row % 97 == 13 ? 20000 : row % 60;
}

static void
put_row(TestChannel *c, uint32_t object, uint64_t row)
{
	static uint8_t value[2 * KALAM_BLOCK_BYTES];
	uint64_t	header = 5 << 8 | KALAM_VALUE_FORMAT;
	uint8_t		key[TEST_KEY_BYTES];
	uint16_t	natts = 3;
	int64_t		id = (int64_t) row;
	int32_t		group = (int32_t) group_of(row);
	uint32_t	varlena = (uint32_t) (text_size(row) + 4) << 2;
	uint8_t    *data = value + 8 + 6;	/* t_hoff 24 */

	memset(value, 0, 64);
	memcpy(value, &header, 8);
	memcpy(value + 8, &natts, 2);
	value[8 + 4] = 24;
	memcpy(data, &id, 8);
	memcpy(data + 8, &group, 4);
	memcpy(data + 12, &varlena, 4);
	memset(data + 16, 'x', text_size(row));
	test_key(key, object, row);
	test_change(c, KALAM_CHANGE_PUT, key, sizeof(key), value, 8 + 6 + 16 + text_size(row));
}

/* An entry of index 1, which is not unique: group, row suffix. */
static size_t
entry_key(uint8_t *key, uint32_t object, uint32_t group)
{
	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_INDEX);
	key[5] = 0;
	key[6] = 1;
	key[7] = (uint8_t) group;
	return 8;
}

static void
put_entry(TestChannel *c, uint32_t object, uint64_t row)
{
	uint8_t		key[16];
	uint8_t		value[10];
	uint64_t	header = 5 << 8 | KALAM_VALUE_FORMAT;
	uint16_t	n = 8;

	/* ten rows of each group have an entry of another group, so that filters see it */
	kalam_put_be64(key + entry_key(key, object, row < 100 ? 3 : group_of(row)), row);
	memcpy(value, &header, 8);
	memcpy(value + 8, &n, 2);
	test_change(c, KALAM_CHANGE_PUT, key, 16, value, 10);
}

static uint32_t
make_rows(uint64_t n, bool index)
{
	TestChannel c = rpc(0);
	uint32_t	id = next_object++;

	test_begin(&c, KALAM_OP_COMMIT)->serial = 5;
	test_create(&c, id, KALAM_COMPRESSION_LZ4, 10000);
	for (uint64_t i = 0; i < n; i++)
	{
		put_row(&c, id, i);
		if (index)
			put_entry(&c, id, i);
	}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	return id;
}

/* ---- filters ---- */

typedef struct Section
{
	uint8_t    *bytes;			/* of the input */
	uint32_t	len;
} Section;

static void
add_section(Section *s, uint32_t kind, const void *bytes, size_t len)
{
	KalamScanSection head = {kind, (uint32_t) len};

	s->bytes = realloc(s->bytes, s->len + sizeof(head) + len + 8);
	memcpy(s->bytes + s->len, &head, sizeof(head));
	memcpy(s->bytes + s->len + sizeof(head), bytes, len);
	s->len += (uint32_t) (sizeof(head) + KALAM_ALIGN8(len));
}

/* grp = group AND id >= from */
static void
add_filter(Section *s, uint32_t group, uint64_t from)
{
	ModelProgram p;
	uint8_t    *bytes;
	size_t		len;

	memset(&p, 0, sizeof(p));
	memcpy(p.fields, layout, sizeof(layout));
	p.nfields = 3;
	model_compare(&p, KALAM_EQ, 1, model_integer(&p, group));
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	model_compare(&p, KALAM_GE, 0, model_integer(&p, (int64_t) from));
	model_step(&p, KALAM_STEP_REQUIRE, 0, 0);
	bytes = model_assemble(&p, &len);
	add_section(s, KALAM_SECTION_FILTER, bytes, len);
	free(bytes);
}

static bool
passes(uint64_t row, uint32_t group, uint64_t from)
{
	return group_of(row) == group && row >= from;
}

/* ---- scans ---- */

static uint64_t *expected;
static size_t nexpected;

static void
expect(uint64_t row)
{
	if (nexpected % 1024 == 0)
		expected = realloc(expected, (nexpected + 1024) * sizeof(uint64_t));
	expected[nexpected++] = row;
}

static void
put_input(TestChannel *c, KalamRequest *r, const Section *s)
{
	r->flags |= KALAM_SCAN_INPUT;
	r->input_len = s->len;
	memcpy(kalam_block(store.seg, c->ch, 0), s->bytes, s->len);
}

static uint64_t
row_id(const KalamRow *row, uint32_t flags)
{
	size_t		len;
	const uint8_t *body = test_row_body(row, &len);
	uint64_t	id;

	if (flags & KALAM_SCAN_KEYS_ONLY)
		return len == 0 ? test_row_number(row) : UINT64_MAX;
	memcpy(&id, body + 6, 8);
	return len == 6 + 16 + text_size(id) ? id : UINT64_MAX;
}

/* Scans, beginning anew behind each block if `anew`; sees what is expected. */
static void
check_scan(const KalamRequest *like, const Section *s, uint64_t max_rows, bool anew)
{
	TestChannel c = scan_channel(0);
	uint32_t	flags = like->flags;
	bool		reverse = (flags & KALAM_SCAN_REVERSE) != 0;
	size_t		n = max_rows != 0 && max_rows < nexpected ? max_rows : nexpected;
	size_t		got = 0;
	bool		good = true;
	KalamRequest *r = test_scan_begin(&c, like->object_id, 0, flags | KALAM_SCAN_NEWEST);
	const KalamRow *row;

	memcpy(r->lower, like->lower, like->lower_len);
	memcpy(r->upper, like->upper, like->upper_len);
	r->lower_len = like->lower_len;
	r->upper_len = like->upper_len;
	r->max_rows = max_rows;
	put_input(&c, r, s);
	test_post(&c, KALAM_LANE_READ);
	while (!(flags & KALAM_SCAN_COUNT) && (row = test_next(&c)) != NULL)
	{
		good = good && got < n && row_id(row, flags) == expected[reverse ? nexpected - 1 - got : got];
		got++;
		if (anew && c.left == 0 && c.holds && !c.last)
		{
			KalamBlock *b = kalam_block(store.seg, c.ch, c.next_block);
			uint8_t		key[KALAM_MAX_KEY_BYTES];
			uint16_t	len = (uint16_t) b->resume_len;
			uint32_t	range = b->resume_range;
			bool		list = like->lower_len == 0;

			REQUIRE(len > 0);
			memcpy(key, b->data + b->resume_offset, len);
			test_cancel(&c, KALAM_LANE_READ);
			test_finish(&c);
			r = test_scan_begin(&c, like->object_id, 0, flags | KALAM_SCAN_NEWEST);
			memcpy(r->lower, like->lower, like->lower_len);
			memcpy(r->upper, like->upper, like->upper_len);
			r->lower_len = like->lower_len;
			r->upper_len = like->upper_len;
			memcpy(reverse ? r->upper : r->lower, key, len);
			*(reverse ? &r->upper_len : &r->lower_len) = len;
			if (!reverse)
				r->flags |= KALAM_SCAN_AFTER_LOWER;
			if (list)
				r->first_range = range;
			if (max_rows != 0 && max_rows == got)
				break;
			r->max_rows = max_rows != 0 ? max_rows - got : 0;
			put_input(&c, r, s);
			test_post(&c, KALAM_LANE_READ);
		}
	}
	while (flags & KALAM_SCAN_COUNT)
	{
		KalamBlock *b = test_next_block(&c);

		if (b == NULL)
			break;
		got += b->nrows;
	}
	CHECK(good);
	CHECK_EQUAL(got, n);
	CHECK_EQUAL(c.code, KALAM_OK);
}

static void
check_all_ways(KalamRequest *like, const Section *s)
{
	static const uint32_t ways[] = {
		0, KALAM_SCAN_REVERSE, KALAM_SCAN_KEYS, KALAM_SCAN_KEYS_ONLY, KALAM_SCAN_COUNT,
		KALAM_SCAN_COUNT | KALAM_SCAN_REVERSE
	};
	uint32_t	flags = like->flags;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
	{
		like->flags = flags | ways[i];
		check_scan(like, s, 0, false);
		check_scan(like, s, 0, true);
		check_scan(like, s, 1, false);
		check_scan(like, s, 17, true);
	}
}

static void
test_ranges(void)
{
	uint32_t	object = make_rows(ROWS, false);
	KalamRequest like = {.object_id = object};
	Section		s = {0};

	add_filter(&s, 4, 40);
	nexpected = 0;
	for (uint64_t i = 3; i < ROWS - 3; i++)
		if (passes(i, 4, 40))
			expect(i);
	test_range(&like, 3, ROWS - 3);
	check_all_ways(&like, &s);

	/* none */
	s.len = 0;
	add_filter(&s, NGROUPS, 0);
	nexpected = 0;
	check_all_ways(&like, &s);
	free(s.bytes);
}

static void
test_points(void)
{
	uint32_t	object = make_rows(ROWS, false);
	KalamRequest like = {.object_id = object};
	Section		s = {0};
	uint8_t    *list = malloc(ROWS * 20);
	size_t		len = 0;

	nexpected = 0;
	for (uint64_t i = 0; i < ROWS + 50; i += 3)
	{
		uint16_t	lens[2] = {TEST_KEY_BYTES, 0};

		memcpy(list + len, lens, 4);
		test_key(list + len + 4, object, i);
		len += 4 + TEST_KEY_BYTES;
		if (i < ROWS && passes(i, 2, 100))
			expect(i);
	}
	add_filter(&s, 2, 100);
	add_section(&s, KALAM_SECTION_RANGES, list, len);
	like.flags = 0;
	/* (a list of points is not read backwards) */
	check_scan(&like, &s, 0, false);
	check_scan(&like, &s, 0, true);
	check_scan(&like, &s, 5, false);
	like.flags = KALAM_SCAN_COUNT;
	check_scan(&like, &s, 0, false);

	/* and single ones */
	for (uint64_t i = 0; i < 20; i++)
	{
		s.len = 0;
		add_filter(&s, 2, 5);
		nexpected = 0;
		if (passes(i, 2, 5))
			expect(i);
		test_key(like.lower, object, i);
		like.lower_len = TEST_KEY_BYTES;
		for (int count = 0; count < 2; count++)
		{
			like.flags = KALAM_SCAN_POINT | (count ? KALAM_SCAN_COUNT : 0);
			check_scan(&like, &s, 0, false);
		}
	}
	free(list);
	free(s.bytes);
}

static void
test_index_entries(void)
{
	uint32_t	object = make_rows(ROWS, true);
	KalamRequest like = {.object_id = object, .flags = KALAM_SCAN_INDEX};
	Section		s = {0};

	/* all entries of group 3, of which the first hundred lead to rows of other groups */
	like.lower_len = (uint16_t) entry_key(like.lower, object, 3);
	like.upper_len = (uint16_t) entry_key(like.upper, object, 4);
	add_filter(&s, 3, 50);
	nexpected = 0;
	for (uint64_t i = 0; i < ROWS; i++)
		if (passes(i, 3, 50))
			expect(i);
	check_all_ways(&like, &s);
	free(s.bytes);
}

/* A scan that finds nothing for long is stopped in its midst. */
static void
test_dropping_many(void)
{
	uint64_t	n = SLOW ? 60000 : 400000;
	uint32_t	object = next_object++;
	TestChannel c = rpc(0);
	TestChannel scan = scan_channel(0);
	Section		s = {0};

	test_begin(&c, KALAM_OP_COMMIT)->serial = 5;
	test_create(&c, object, KALAM_COMPRESSION_NONE, 0);
	for (uint64_t i = 0; i < n; i++)
		put_row(&c, object, i * 60);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	add_filter(&s, NGROUPS, 0);
	put_input(&scan, test_scan_begin(&scan, object, 0, KALAM_SCAN_NEWEST), &s);
	test_post(&scan, KALAM_LANE_READ);
	test_sleep_ms(2);
	CHECK_EQUAL(point(1, object, 60, 0) >= 0, true);
	CHECK(!test_is_done(&scan));
	test_cancel(&scan, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&scan), KALAM_ERR_CANCELED);
	free(s.bytes);
}

/*
 * Long runs of deleted keys, behind rows that pass and behind more or fewer that do not:
 * where RocksDB gives up, the scan comes back to before the latter.
 */
static void
test_deleted_keys(void)
{
	uint64_t	islands = 2,
				deleted = 26000;
	uint32_t	object = next_object++;
	TestChannel c = rpc(0);
	KalamRequest like = {.object_id = object};
	Section		s = {0};
	uint8_t		key[TEST_KEY_BYTES];

	add_filter(&s, 0, 0);
	nexpected = 0;
	test_begin(&c, KALAM_OP_COMMIT)->serial = 5;
	test_create(&c, object, KALAM_COMPRESSION_NONE, 0);
	for (uint64_t i = 0; i < islands; i++)
	{
		for (uint64_t k = 0; k < 200 + deleted; k++)
		{
			/* (of row 60 k the text is short) */
			bool		fails = k >= 120 + 60 * i && k < 200;
			uint64_t	row = i * 10000000 + k * 60 + fails;

			put_row(&c, object, row);
			if (k < 200 && !fails)
				expect(row);
		}
	}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	test_begin(&c, KALAM_OP_COMMIT);
	for (uint64_t i = 0; i < islands; i++)
		for (uint64_t k = 200; k < 200 + deleted; k++)
		{
			test_key(key, object, i * 10000000 + k * 60);
			test_change(&c, KALAM_CHANGE_DELETE, key, sizeof(key), NULL, 0);
		}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	test_range(&like, 0, islands * 10000000);
	for (int reverse = 0; reverse < 2; reverse++)
	{
		like.flags = reverse ? KALAM_SCAN_REVERSE : 0;
		check_scan(&like, &s, 0, false);
		check_scan(&like, &s, 0, true);
	}
	free(s.bytes);
}

/* ---- groups ---- */

/* count(*), sum(id) and max(text) by grp, or by id, or of all; returns its bytes. */
static uint8_t *
add_aggregates(Section *s, int group, bool text, size_t *len)
{
	KalamAggregationHeader head = {3, group >= 0, text ? 3 : 2, 0};
	KalamAggregateItem items[] = {
		{KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD}, {KALAM_AGG_SUM, 0, 0}, {KALAM_AGG_MAX, 0, 2}
	};
	uint8_t    *bytes = calloc(1, 256);
	size_t		at = sizeof(head);

	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + at, layout, sizeof(layout));
	at += 16;
	if (group >= 0)
	{
		memcpy(bytes + at, &(uint16_t) {(uint16_t) group}, 2);
		at += 8;
	}
	memcpy(bytes + at, items, head.nitems * sizeof(items[0]));
	*len = at + head.nitems * sizeof(items[0]);
	add_section(s, KALAM_SECTION_AGGREGATE, bytes, *len);
	return bytes;
}

typedef struct Totals
{
	uint64_t	rows;
	__int128	sum;
	uint64_t	groups;
	uint64_t	unfit;
	uint64_t	by_group[NGROUPS];
} Totals;

static void
add_entry(Totals *t, KalamAggregator *a, const KalamRow *row, int group)
{
	KalamAggregateResult results[3];
	KalamRowValue groups[1];
	size_t		len;
	const uint8_t *body = test_row_body(row, &len);
	uint32_t	which = 0;

	if (row->flags & KALAM_ROW_GROUP)
	{
		t->groups++;
		REQUIRE(kalam_aggregate_read(a, body, len, results, groups));
	}
	else
	{
		t->unfit++;
		REQUIRE(kalam_aggregate_row(a, body, len, results, groups));
	}
	t->rows += results[0].n;
	t->sum += results[1].sum;
	if (group == 1)
	{
		memcpy(&which, groups[0].at, 4);
		REQUIRE(which < NGROUPS);
	}
	t->by_group[which] += results[0].n;
}

/* Scans all, beginning anew behind each block if `anew`. */
static Totals
scan_groups(uint32_t object, int group, bool text, bool filter, uint32_t flags, bool anew)
{
	Section		s = {0};
	Totals		t = {0};
	size_t		len;
	uint8_t    *bytes = add_aggregates(&s, group, text, &len);
	void	   *memory = malloc(kalam_aggregator_memory(bytes, len));
	const char *why;
	KalamAggregator *a = kalam_aggregator_open(bytes, len, memory, &why);
	TestChannel c = scan_channel(0);
	const KalamRow *row;

	REQUIRE(a != NULL);
	if (filter)
		add_filter(&s, 4, 40);
	put_input(&c, test_scan_begin(&c, object, 0, flags | KALAM_SCAN_NEWEST), &s);
	test_post(&c, KALAM_LANE_READ);
	while ((row = test_next(&c)) != NULL)
	{
		add_entry(&t, a, row, group);
		if (anew && c.left == 0 && c.holds && !c.last)
		{
			KalamBlock *b = kalam_block(store.seg, c.ch, c.next_block);
			KalamRequest *r;
			uint8_t		key[KALAM_MAX_KEY_BYTES];
			uint16_t	key_len = (uint16_t) b->resume_len;

			REQUIRE(key_len > 0);
			memcpy(key, b->data + b->resume_offset, key_len);
			test_cancel(&c, KALAM_LANE_READ);
			test_finish(&c);
			r = test_scan_begin(&c, object, 0, flags | KALAM_SCAN_NEWEST);
			memcpy(flags & KALAM_SCAN_REVERSE ? r->upper : r->lower, key, key_len);
			*(flags & KALAM_SCAN_REVERSE ? &r->upper_len : &r->lower_len) = key_len;
			if (!(flags & KALAM_SCAN_REVERSE))
				r->flags |= KALAM_SCAN_AFTER_LOWER;
			put_input(&c, r, &s);
			test_post(&c, KALAM_LANE_READ);
		}
	}
	CHECK_EQUAL(c.code, KALAM_OK);
	free(memory);
	free(bytes);
	free(s.bytes);
	return t;
}

static void
test_groups(void)
{
	uint32_t	object = make_rows(ROWS, false);
	uint32_t	empty = make_rows(0, false);

	for (int way = 0; way < 32; way++)
	{
		bool		filter = (way & 1) != 0;
		bool		text = (way & 2) != 0;
		uint32_t	flags = way & 4 ? KALAM_SCAN_REVERSE : 0;
		bool		anew = (way & 8) != 0;
		int			group = way & 16 ? 1 : -1;
		Totals		t = scan_groups(object, group, text, filter, flags, anew);
		uint64_t	by_group[NGROUPS] = {0};
		uint64_t	rows = 0;
		__int128	sum = 0;

		for (uint64_t i = 0; i < ROWS; i++)
			if (!filter || passes(i, 4, 40))
			{
				rows++;
				sum += (__int128) i;
				by_group[group == 1 ? group_of(i) : 0]++;
			}
		CHECK_EQUAL(t.rows, rows);
		CHECK(t.sum == sum);
		CHECK(memcmp(t.by_group, by_group, sizeof(by_group)) == 0);
		/* long texts go as they are, beside groups or in blocks of their own */
		CHECK((t.unfit > 0) == text);
		if (!text)
			CHECK_EQUAL(t.groups, group < 0 || filter ? 1 : NGROUPS);
	}
	CHECK_EQUAL(scan_groups(empty, 1, true, true, 0, false).rows, 0);

	/* a group per row: more than are held at a time */
	for (int anew = 0; anew < 2; anew++)
	{
		Totals		t = scan_groups(object, 0, false, false, 0, anew == 1);

		CHECK_EQUAL(t.rows, ROWS);
		CHECK_EQUAL(t.groups, ROWS);
		CHECK(t.sum == (__int128) ROWS * (ROWS - 1) / 2);
	}
}

static void
test_counts_alone(void)
{
	uint32_t	object = make_rows(ROWS, true);
	KalamAggregationHeader head = {0, 0, 1, 0};
	KalamAggregateItem item = {KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD};
	uint8_t		bytes[sizeof(head) + sizeof(item)];

	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), &item, sizeof(item));
	for (int index = 0; index < 2; index++)
	{
		TestChannel c = scan_channel(0);
		KalamRequest *r = test_scan_begin(&c, object, 0,
										  KALAM_SCAN_NEWEST | (index ? KALAM_SCAN_INDEX : 0));
		Section		s = {0};
		const KalamRow *row;
		uint64_t	n = 0;
		size_t		len;

		if (index)
		{
			r->lower_len = (uint16_t) entry_key(r->lower, object, 0);
			r->upper_len = (uint16_t) entry_key(r->upper, object, NGROUPS);
		}
		add_section(&s, KALAM_SECTION_AGGREGATE, bytes, sizeof(bytes));
		put_input(&c, r, &s);
		test_post(&c, KALAM_LANE_READ);
		row = test_next(&c);
		REQUIRE(row != NULL && row->flags & KALAM_ROW_GROUP);
		memcpy(&n, test_row_body(row, &len), 8);
		CHECK_EQUAL(len, 8);
		CHECK_EQUAL(n, ROWS);
		CHECK(test_next(&c) == NULL);
		CHECK_EQUAL(c.code, KALAM_OK);
		free(s.bytes);
	}
}

static uint32_t
scan_code(uint32_t object, const Section *s)
{
	TestChannel c = scan_channel(0);

	put_input(&c, test_scan_begin(&c, object, 0, KALAM_SCAN_NEWEST), s);
	test_post(&c, KALAM_LANE_READ);
	(void) test_drain(&c);
	return c.code;
}

static void
test_what_is_refused(void)
{
	uint32_t	object = make_rows(100, false);
	TestChannel c = rpc(0);
	Section		s = {0};

	add_filter(&s, 1, 0);
	CHECK_EQUAL(scan_code(object, &s), KALAM_OK);
	s.bytes[sizeof(KalamScanSection)]++;
	CHECK_EQUAL(scan_code(object, &s), KALAM_ERR_PROTOCOL);
	s.bytes[sizeof(KalamScanSection)]--;
	add_filter(&s, 1, 0);
	CHECK_EQUAL(scan_code(object, &s), KALAM_ERR_PROTOCOL);
	s.len = 0;
	add_section(&s, KALAM_SECTION_FILTER, "", 0);
	CHECK_EQUAL(scan_code(object, &s), KALAM_ERR_PROTOCOL);

	/* groups: bytes that are none, two of them, what rows only have */
	for (int what = 0; what < 3; what++)
	{
		TestChannel scan = scan_channel(0);
		uint8_t    *bytes;
		size_t		len;

		s.len = 0;
		bytes = add_aggregates(&s, 1, true, &len);
		if (what == 0)
			s.bytes[sizeof(KalamScanSection)]++;
		if (what == 1)
			add_section(&s, KALAM_SECTION_AGGREGATE, bytes, len);
		put_input(&scan, test_scan_begin(&scan, object, 0, KALAM_SCAN_NEWEST |
										 (what == 2 ? KALAM_SCAN_KEYS : 0)), &s);
		test_post(&scan, KALAM_LANE_READ);
		CHECK_EQUAL(test_drain(&scan), -1);
		CHECK_EQUAL(scan.code, KALAM_ERR_PROTOCOL);
		free(bytes);
	}

	/* a row that is none */
	test_begin(&c, KALAM_OP_COMMIT)->serial = 6;
	test_put(&c, object, 50, 6, 1, 4);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	s.len = 0;
	add_filter(&s, 1, 0);
	CHECK_EQUAL(scan_code(object, &s), KALAM_ERR_CORRUPT);
	free(s.bytes);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_ranges),
		TEST(test_points),
		TEST(test_index_entries),
		TEST(test_dropping_many),
		TEST(test_deleted_keys),
		TEST(test_groups),
		TEST(test_counts_alone),
		TEST(test_what_is_refused),
	};

	return fixture_main(argc, argv, "test_filter", tests, sizeof(tests) / sizeof(tests[0]));
}
