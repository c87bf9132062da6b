/*
 * test_lists.c
 *	  Scans of lists of ranges and points, and of index entries, against a model
 *	  that holds all keys in an array.  Usage: test_lists PROGRAM
 */
#include "test/unit/store_fixture.h"

/* ---- the model ---- */

#define ROW_KEY 13				/* prefix, row number */
#define MAX_ENTRY_KEY 24
#define INDEX_PLAIN 1			/* not unique: row number % GROUPS, then the row suffix */
#define INDEX_UNIQUE 2			/* unique: ~row number */
#define GROUPS 40

typedef struct ModelKey
{
	uint8_t		bytes[MAX_ENTRY_KEY];
	size_t		len;
	uint64_t	row;
} ModelKey;

typedef struct Model
{
	uint32_t	object;
	ModelKey   *keys;			/* of rows and of index entries, sorted */
	size_t		n;
} Model;

static int
compare(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	int			c = memcmp(a, b, alen < blen ? alen : blen);

	return c != 0 ? c : (alen > blen) - (alen < blen);
}

static int
compare_model_keys(const void *a, const void *b)
{
	const ModelKey *x = a,
			   *y = b;

	return compare(x->bytes, x->len, y->bytes, y->len);
}

static size_t
plain_key(uint8_t *key, uint32_t object, uint64_t group)
{
	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_INDEX);
	key[5] = 0;
	key[6] = INDEX_PLAIN;
	key[7] = (uint8_t) group;
	return 8;
}

static size_t
unique_key(uint8_t *key, uint32_t object, uint64_t row)
{
	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_INDEX);
	key[5] = 0;
	key[6] = INDEX_UNIQUE;
	kalam_put_be64(key + 7, ~row);
	return 15;
}

static void
put_entry(TestChannel *c, const uint8_t *key, size_t key_len, size_t in_key, uint64_t row)
{
	uint8_t		value[18];
	uint64_t	header = 9 << 8 | KALAM_VALUE_FORMAT;
	uint16_t	n = (uint16_t) in_key;

	memcpy(value, &header, 8);
	memcpy(value + 8, &n, 2);
	kalam_put_be64(value + 10, row);
	test_change(c, KALAM_CHANGE_PUT, key, key_len, value, in_key > 0 ? 10 : 18);
}

static void
put_entries(TestChannel *c, uint32_t object, uint64_t row)
{
	uint8_t		key[MAX_ENTRY_KEY];
	size_t		len = plain_key(key, object, row % GROUPS);

	kalam_put_be64(key + len, row);
	put_entry(c, key, len + 8, 8, row);
	len = unique_key(key, object, row);
	put_entry(c, key, len, 0, row);
}

static size_t
row_size(uint64_t row)
{
	return row % 997 == 500 ? KALAM_BLOCK_DATA_BYTES + 3000 : row % 97 == 13 ? 20000 : 8 + row % 60;
}

static void
model_add(Model *m, const uint8_t *key, size_t len, uint64_t row)
{
	ModelKey   *k = &m->keys[m->n++];

	memcpy(k->bytes, key, len);
	k->len = len;
	k->row = row;
}

/* An object of `rows` row numbers, every third of which has no row. */
static Model
make_model(uint64_t rows)
{
	Model		m = {.object = next_object++, .keys = malloc(3 * rows * sizeof(ModelKey))};
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT)->serial = 9;
	test_create(&c, m.object, KALAM_COMPRESSION_LZ4, 10000);
	for (uint64_t i = 0; i < rows; i++)
	{
		uint8_t		key[MAX_ENTRY_KEY];
		size_t		len;

		if (i % 3 == 2)
			continue;
		test_put(&c, m.object, i, 9, i, row_size(i));
		put_entries(&c, m.object, i);
		test_key(key, m.object, i);
		model_add(&m, key, ROW_KEY, i);
		len = plain_key(key, m.object, i % GROUPS);
		kalam_put_be64(key + len, i);
		model_add(&m, key, len + 8, i);
		len = unique_key(key, m.object, i);
		model_add(&m, key, len, i);
	}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	qsort(m.keys, m.n, sizeof(ModelKey), compare_model_keys);
	return m;
}

/* ---- lists ---- */

typedef struct List
{
	uint8_t    *bytes;
	uint32_t	len;
	uint32_t	n;
} List;

static void
list_begin(List *l)
{
	if (l->bytes == NULL)
		l->bytes = malloc(KALAM_MAX_INPUT_BYTES);
	memset(l->bytes, 0, 8);
	l->bytes[0] = KALAM_SECTION_RANGES;
	l->len = 8;
	l->n = 0;
}

static void
list_add(List *l, const uint8_t *lower, size_t lower_len, const uint8_t *upper, size_t upper_len)
{
	uint16_t	lens[2] = {(uint16_t) lower_len, (uint16_t) upper_len};
	uint32_t	section;

	memcpy(l->bytes + l->len, lens, 4);
	memcpy(l->bytes + l->len + 4, lower, lower_len);
	if (upper_len > 0)
		memcpy(l->bytes + l->len + 4 + lower_len, upper, upper_len);
	l->len += (uint32_t) (4 + lower_len + upper_len);
	section = l->len - 8;
	memcpy(l->bytes + 4, &section, 4);
	l->n++;
}

/* Range i of the list; upper_len 0: a point. */
static void
list_get(const List *l, uint32_t i, const uint8_t **lower, uint16_t *lower_len,
		 const uint8_t **upper, uint16_t *upper_len)
{
	const uint8_t *at = l->bytes + 8;

	for (;;)
	{
		memcpy(lower_len, at, 2);
		memcpy(upper_len, at + 2, 2);
		*lower = at + 4;
		*upper = at + 4 + *lower_len;
		if (i-- == 0)
			return;
		at += 4 + *lower_len + *upper_len;
	}
}

static KalamRequest *
begin_list(TestChannel *c, uint32_t object, uint64_t stamp, uint32_t flags, const List *l)
{
	KalamRequest *r = test_scan_begin(c, object, stamp, flags | KALAM_SCAN_INPUT |
									  (stamp == 0 ? KALAM_SCAN_NEWEST : 0));

	r->lower_len = r->upper_len = 0;
	r->input_len = l->len;
	memcpy(kalam_block(store.seg, c->ch, 0), l->bytes, l->len);
	return r;
}

/* ---- what a scan must give, and what it gives ---- */

typedef struct Hit
{
	uint32_t	range;
	const ModelKey *key;
} Hit;

static Hit *
expected_hits(const Model *m, const List *l, bool reverse, size_t *n)
{
	size_t		capacity = 1024;
	Hit		   *hits = malloc(capacity * sizeof(Hit));

	*n = 0;
	for (uint32_t i = 0; i < l->n; i++)
	{
		const uint8_t *lower,
				   *upper;
		uint16_t	lower_len,
					upper_len;

		list_get(l, i, &lower, &lower_len, &upper, &upper_len);
		for (size_t k = 0; k < m->n; k++)
		{
			const ModelKey *key = &m->keys[reverse ? m->n - 1 - k : k];

			if (upper_len == 0 ? compare(key->bytes, key->len, lower, lower_len) != 0 :
				compare(key->bytes, key->len, lower, lower_len) < 0 ||
				compare(key->bytes, key->len, upper, upper_len) >= 0)
				continue;
			if (*n == capacity)
				hits = realloc(hits, (capacity *= 2) * sizeof(Hit));
			hits[(*n)++] = (Hit) {i, key};
		}
	}
	return hits;
}

static bool
row_is(const KalamRow *row, const Hit *hit, uint32_t flags)
{
	const uint8_t *key = (const uint8_t *) row + KALAM_ROW_TUPLE_OFFSET + KALAM_ALIGN8(row->tuple_len);
	bool		keys = (flags & (KALAM_SCAN_KEYS | KALAM_SCAN_KEYS_ONLY)) != 0;
	size_t		len;
	const uint8_t *body = test_row_body(row, &len);

	if (((uint32_t) row->range[0] | (uint32_t) row->range[1] << 16) != hit->range ||
		row->version != (9 << 8 | KALAM_VALUE_FORMAT) || row->key_len != (keys ? ROW_KEY : 0) ||
		row->index_key_len != (flags & KALAM_SCAN_INDEX_KEYS ? hit->key->len : 0))
		return false;
	if (keys && kalam_get_be64(key + 5) != hit->key->row)
		return false;
	if (flags & KALAM_SCAN_INDEX_KEYS && memcmp(key + row->key_len, hit->key->bytes, hit->key->len) != 0)
		return false;
	if (flags & KALAM_SCAN_KEYS_ONLY)
		return len == 0;
	return len == row_size(hit->key->row) && test_row_tag(row) == hit->key->row &&
		body[len - 1] == (len == 8 ? 0 : 'a' + hit->key->row % 26);
}

/* Reads the list, beginning anew behind every `blocks` blocks (0: never). */
static void
check_list(const Model *m, const List *l, uint64_t stamp, uint32_t flags, uint64_t max_rows,
		   uint32_t first_bytes, uint32_t blocks)
{
	size_t		n,
				got = 0;
	Hit		   *hits = expected_hits(m, l, (flags & KALAM_SCAN_REVERSE) != 0, &n);
	TestChannel c = scan_channel(0);
	KalamRequest *r = begin_list(&c, m->object, stamp, flags, l);
	KalamBlock *b;
	uint32_t	seen = 0;
	uint64_t	counters[2] = {0, 0};

	if (max_rows != 0 && n > max_rows)
		n = max_rows;
	r->max_rows = max_rows;
	r->first_bytes = first_bytes;
	test_post(&c, KALAM_LANE_READ);
	while ((b = test_next_block(&c)) != NULL)
	{
		CHECK(b->read >= counters[0] && b->seeks >= counters[1]);
		counters[0] = b->read;
		counters[1] = b->seeks;
		if (flags & KALAM_SCAN_COUNT)
			got += b->nrows;
		else if (b->flags & KALAM_BLOCK_BIG)
		{
			uint8_t    *whole = malloc(b->big_total);
			size_t		have = 0;

			for (;;)
			{
				memcpy(whole + have, b->data, b->used);
				have += b->used;
				if (b->nrows == 1)
					break;
				b = test_next_block(&c);
				REQUIRE(b != NULL && b->flags & KALAM_BLOCK_BIG);
			}
			CHECK_EQUAL(have, b->big_total);
			if (!CHECK(got < n && row_is((const KalamRow *) whole, &hits[got], flags)))
				break;
			free(whole);
			got++;
		}
		else
		{
			size_t		at = 0;
			bool		good = true;

			for (uint32_t i = 0; good && i < b->nrows; i++, got++)
			{
				const KalamRow *row = (const KalamRow *) (b->data + at);

				good = got < n && row_is(row, &hits[got], flags);
				at += row->size;
			}
			if (!CHECK(good))
				break;
		}
		if (blocks > 0 && ++seen % blocks == 0 && b->nrows > 0 && !(b->flags & KALAM_BLOCK_LAST))
		{
			uint32_t	range = b->resume_range;
			uint16_t	len = (uint16_t) b->resume_len;
			uint8_t		key[KALAM_MAX_KEY_BYTES];

			REQUIRE(len > 0 && len <= sizeof(key));
			memcpy(key, b->data + b->resume_offset, len);
			test_cancel(&c, KALAM_LANE_READ);
			test_finish(&c);
			r = begin_list(&c, m->object, stamp, flags, l);
			r->first_range = range;
			r->first_bytes = first_bytes;
			r->max_rows = max_rows != 0 ? max_rows - got : 0;
			if (flags & KALAM_SCAN_REVERSE)
			{
				r->upper_len = len;
				memcpy(r->upper, key, len);
			}
			else
			{
				r->flags |= KALAM_SCAN_AFTER_LOWER;
				r->lower_len = len;
				memcpy(r->lower, key, len);
			}
			test_post(&c, KALAM_LANE_READ);
			counters[0] = counters[1] = 0;
		}
	}
	CHECK_EQUAL(c.code, KALAM_OK);
	CHECK_EQUAL(got, n);
	free(hits);
}

/* ---- random lists ---- */

static uint64_t random_state = 4711;

static uint64_t
pick(uint64_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (random_state >> 33) % n;
}

/* ascends: mostly in small steps, so that an iterator can walk from one to the next */
static void
random_list(List *l, const Model *m, uint64_t rows, bool index, uint32_t n, bool ascends)
{
	uint64_t	place = 0;

	list_begin(l);
	for (uint32_t i = 0; i < n; i++)
	{
		uint8_t		lower[MAX_ENTRY_KEY],
					upper[MAX_ENTRY_KEY];
		size_t		lower_len,
					upper_len = 0;
		uint64_t	a = pick(rows),
					b = pick(8) == 0 ? pick(rows) : a + pick(4);

		if (ascends)
		{
			place = pick(40) == 0 ? pick(rows) : (place + pick(6)) % rows;
			a = index ? rows - 1 - place : place;
			b = index ? a - pick(3) : a + pick(3);
		}
		if (!index)
		{
			test_key(lower, m->object, a);
			test_key(upper, m->object, b);
			lower_len = ROW_KEY;
			upper_len = pick(2) == 0 ? ROW_KEY : 0;
		}
		else if (!ascends && pick(2) == 0)
		{
			lower_len = plain_key(lower, m->object, pick(GROUPS));
			if (pick(3) == 0)
			{
				kalam_put_be64(lower + lower_len, a);
				lower_len += 8;
			}
			if (pick(4) > 0)
			{
				upper_len = plain_key(upper, m->object, lower[7]);
				kalam_put_be64(upper + upper_len, b);
				upper_len += 8;
			}
		}
		else
		{
			lower_len = unique_key(lower, m->object, ascends ? a : b);
			upper_len = pick(2) == 0 ? unique_key(upper, m->object, ascends ? b : a) : 0;
		}
		list_add(l, lower, lower_len, upper, upper_len);
	}
}

static void
test_random_lists(void)
{
	uint64_t	rows = SLOW ? 800 : 3000;
	Model		m = make_model(rows);
	List		l = {0};
	uint64_t	stamp = 0;
	TestChannel c = rpc(0);

	for (int round = 0; round < 2; round++)
	{
		for (int i = 0; i < (SLOW ? 40 : 300); i++)
		{
			bool		index = pick(2) == 0;
			uint32_t	flags = pick(2) == 0 ? KALAM_SCAN_REVERSE : 0;

			if (pick(2) == 0)
				flags |= KALAM_SCAN_KEYS;
			if (index)
				flags |= KALAM_SCAN_INDEX | (pick(2) == 0 ? KALAM_SCAN_INDEX_KEYS : 0);
			if (pick(5) == 0)
				flags |= KALAM_SCAN_KEYS_ONLY;
			if (pick(5) == 0)
				flags |= KALAM_SCAN_COUNT;
			random_list(&l, &m, rows, index, (uint32_t) (pick(10) == 0 ? pick(800) : pick(20)),
						pick(2) == 0);
			check_list(&m, &l, round == 0 ? 0 : stamp, flags, pick(3) == 0 ? 1 + pick(200) : 0,
					   (uint32_t) (pick(2) == 0 ? 1 + pick(3000) : 0),
					   (uint32_t) (pick(2) == 0 ? 1 + pick(3) : 0));
		}
		if (round > 0)
			break;
		/* the same of a snapshot, when nothing of it is there any more, and from files */
		stamp = test_pin(&store, 0, 0);
		test_begin(&c, KALAM_OP_COMMIT);
		for (size_t i = 0; i < m.n; i++)
			test_change(&c, KALAM_CHANGE_DELETE, m.keys[i].bytes, m.keys[i].len, NULL, 0);
		CHECK_EQUAL(commit(&c), KALAM_OK);
		test_begin(&c, KALAM_OP_FLUSH)->object_id = m.object;
		test_post(&c, KALAM_LANE_READ);
		CHECK_EQUAL(test_finish(&c), KALAM_OK);
	}
	test_unpin(&store, 0, 0);
	free(l.bytes);
	free(m.keys);
}

/* One range, without a list; and the points of an index. */
static void
test_index_ranges(void)
{
	uint64_t	rows = 2000;
	Model		m = make_model(rows);
	TestChannel c = scan_channel(0);
	KalamRequest *r;
	const KalamRow *row;
	uint64_t	n = 0;

	for (uint32_t flags = 0; flags <= KALAM_SCAN_REVERSE; flags++)
	{
		if (flags & KALAM_SCAN_POINT)
			continue;
		r = test_scan_begin(&c, m.object, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_INDEX | KALAM_SCAN_KEYS |
							flags);
		r->lower_len = (uint16_t) plain_key(r->lower, m.object, 7);
		r->upper_len = (uint16_t) plain_key(r->upper, m.object, 8);
		test_post(&c, KALAM_LANE_READ);
		for (n = 0; (row = test_next(&c)) != NULL; n++)
			if (test_row_number(row) % GROUPS != 7 || test_row_tag(row) != test_row_number(row) ||
				row->range[0] != 0)
				break;
		CHECK_EQUAL(c.code, KALAM_OK);
		CHECK_EQUAL(n, 33);
	}
	/* rows that are not wanted are not read */
	for (uint64_t max = 1; max <= 8; max++)
	{
		KalamBlock *b;
		uint64_t	read = 0,
					seeks = 0;

		r = test_scan_begin(&c, m.object, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_INDEX);
		r->lower_len = (uint16_t) plain_key(r->lower, m.object, 7);
		r->upper_len = (uint16_t) plain_key(r->upper, m.object, 9);
		r->max_rows = max;
		test_post(&c, KALAM_LANE_READ);
		for (n = 0; (b = test_next_block(&c)) != NULL; n += b->nrows)
		{
			read = b->read;
			seeks = b->seeks;
		}
		CHECK_EQUAL(n, max);
		CHECK_EQUAL(read, 2 * max);
		CHECK_EQUAL(seeks, 1 + max);
	}
	for (uint64_t i = 0; i < 30; i++)
	{
		static const uint32_t flags[] = {0, KALAM_SCAN_INDEX_KEYS, KALAM_SCAN_KEYS_ONLY};

		r = test_scan_begin(&c, m.object, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_INDEX | KALAM_SCAN_POINT |
							KALAM_SCAN_KEYS | flags[i % 3]);
		r->lower_len = (uint16_t) unique_key(r->lower, m.object, i);
		test_post(&c, KALAM_LANE_READ);
		row = test_next(&c);
		CHECK_EQUAL(row != NULL, i % 3 != 2);
		if (row != NULL)
			CHECK_EQUAL(test_row_number(row), i);
		CHECK(row == NULL || test_next(&c) == NULL);
		CHECK_EQUAL(c.code, KALAM_OK);
	}
	free(m.keys);
}

/* A scan that rests in mid-list finds its place again. */
static void
test_list_that_rests(void)
{
	uint64_t	rows = 3000;
	Model		m = make_model(rows);
	TestChannel c[4];
	size_t		n[4];
	Hit		   *hits[4];
	List		l = {0};

	for (int i = 0; i < 4; i++)
	{
		uint32_t	flags = KALAM_SCAN_KEYS | (i & 1 ? KALAM_SCAN_REVERSE : 0) |
			(i & 2 ? KALAM_SCAN_INDEX : 0);

		random_list(&l, &m, rows, i & 2, 400, i == 0);
		hits[i] = expected_hits(&m, &l, i & 1, &n[i]);
		c[i] = test_extra_channel(&store, (uint32_t) i, 0);
		begin_list(&c[i], m.object, 0, flags, &l)->first_bytes = 500;
		test_post(&c[i], KALAM_LANE_READ);
	}
	for (int i = 0; i < 4; i++)
		REQUIRE(test_next_block(&c[i]) != NULL);
	test_sleep_ms(2300);
	for (int i = 0; i < 4; i++)
	{
		size_t		got = 0;
		const KalamRow *row;

		while ((row = test_next(&c[i])) != NULL && got < n[i] &&
			   test_row_number(row) == hits[i][got].key->row)
			got++;
		CHECK_EQUAL(c[i].code, KALAM_OK);
		CHECK_EQUAL(got, n[i]);
		free(hits[i]);
	}
	free(l.bytes);
	free(m.keys);
}

/* Long runs of deleted keys, within ranges and between them. */
static void
test_lists_over_deleted_keys(void)
{
	uint64_t	rows = 60000,
				every = 55000;
	uint32_t	object = next_object++;
	TestChannel c = rpc(0);
	List		l = {0};

	test_begin(&c, KALAM_OP_COMMIT)->serial = 9;
	test_create(&c, object, KALAM_COMPRESSION_NONE, 10000);
	for (uint64_t i = 0; i < rows; i++)
	{
		test_put(&c, object, i, 9, i, 8);
		if (i % every == 1)
			put_entries(&c, object, i);
		else
		{
			uint8_t		key[MAX_ENTRY_KEY];
			size_t		len = plain_key(key, object, i % GROUPS);

			kalam_put_be64(key + len, i);
			put_entry(&c, key, len + 8, 8, i);
		}
	}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	test_begin(&c, KALAM_OP_COMMIT);
	for (uint64_t i = 0; i < rows; i++)
	{
		uint8_t		key[MAX_ENTRY_KEY];
		size_t		len = plain_key(key, object, i % GROUPS);

		if (i % every == 1)
			continue;
		test_delete(&c, object, i);
		kalam_put_be64(key + len, i);
		test_change(&c, KALAM_CHANGE_DELETE, key, len + 8, NULL, 0);
	}
	CHECK_EQUAL(commit(&c), KALAM_OK);
	for (uint32_t flags = 0; flags < 3; flags++)
	{
		uint32_t	scan = (flags & 1 ? KALAM_SCAN_REVERSE : 0) | (flags & 2 ? KALAM_SCAN_COUNT : 0);
		long		n = 0;
		KalamBlock *b;

		list_begin(&l);
		for (uint64_t i = 0; i < 40; i++)
		{
			uint8_t		lower[ROW_KEY],
						upper[ROW_KEY];

			test_key(lower, object, i * 100);
			test_key(upper, object, i == 5 ? rows : i * 100 + 50);
			list_add(&l, lower, ROW_KEY, upper, ROW_KEY);
		}
		begin_list(&c, object, 0, scan, &l);
		test_post(&c, KALAM_LANE_READ);
		while ((b = test_next_block(&c)) != NULL)
			n += b->nrows;
		CHECK_EQUAL(n, 2);		/* row 1, and one of the long range */

		/* index entries: all of them, in two ranges */
		n = 0;
		list_begin(&l);
		for (uint64_t i = 0; i < 2; i++)
		{
			uint8_t		lower[MAX_ENTRY_KEY],
						upper[MAX_ENTRY_KEY];
			size_t		lower_len = plain_key(lower, object, i * GROUPS / 2),
						upper_len = plain_key(upper, object, (i + 1) * GROUPS / 2);

			list_add(&l, lower, lower_len, upper, upper_len);
		}
		begin_list(&c, object, 0, scan | KALAM_SCAN_INDEX, &l);
		test_post(&c, KALAM_LANE_READ);
		while ((b = test_next_block(&c)) != NULL)
			n += b->nrows;
		CHECK_EQUAL(c.code, KALAM_OK);
		CHECK_EQUAL(n, 2);

		/* points, through which it would walk; and a range behind them */
		for (uint32_t points = 1; points <= 200; points += 199)
		{
			uint8_t		lower[ROW_KEY],
						upper[ROW_KEY];

			n = 0;
			list_begin(&l);
			test_key(upper, object, rows);
			for (uint64_t i = 0; i < points; i++)
			{
				test_key(lower, object, 1 + i);
				list_add(&l, lower, ROW_KEY, NULL, 0);
			}
			test_key(lower, object, 0);
			list_add(&l, lower, ROW_KEY, upper, ROW_KEY);
			begin_list(&c, object, 0, scan, &l);
			test_post(&c, KALAM_LANE_READ);
			while ((b = test_next_block(&c)) != NULL)
				n += b->nrows;
			CHECK_EQUAL(c.code, KALAM_OK);
			CHECK_EQUAL(n, 3);	/* row 1 twice */
		}
	}
	free(l.bytes);
}

/* ---- what must be refused ---- */

static void
expect(TestChannel *c, uint32_t code)
{
	test_post(c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(c), code);
	if (code != KALAM_OK)
		CHECK(c->ch->result.message[0] != '\0');
}

static void
test_wrong_inputs(void)
{
	Model		m = make_model(100);
	TestChannel c = rpc(0);
	List		l = {0};
	uint8_t		lower[MAX_ENTRY_KEY],
				upper[MAX_ENTRY_KEY];
	uint32_t	word;

#define BEGIN(flags) begin_list(&c, m.object, 0, flags, &l)
	test_key(lower, m.object, 3);
	test_key(upper, m.object, 9);

	/* what is good, and a list of nothing */
	list_begin(&l);
	BEGIN(0);
	expect(&c, KALAM_OK);
	list_add(&l, lower, ROW_KEY, upper, ROW_KEY);
	list_add(&l, lower, ROW_KEY, NULL, 0);
	BEGIN(0);
	expect(&c, KALAM_OK);

	/* cut off anywhere, or longer than the blocks */
	for (uint32_t cut = 1; cut < l.len; cut++)
	{
		BEGIN(0)->input_len = cut;
		expect(&c, KALAM_ERR_PROTOCOL);
	}
	BEGIN(0)->input_len = KALAM_MAX_INPUT_BYTES + 1;
	expect(&c, KALAM_ERR_PROTOCOL);
	BEGIN(0)->input_len = UINT32_MAX;
	expect(&c, KALAM_ERR_PROTOCOL);

	/* sections */
	word = 77;
	BEGIN(0);
	memcpy(kalam_block(store.seg, c.ch, 0), &word, 4);
	expect(&c, KALAM_ERR_PROTOCOL);
	word = UINT32_MAX;
	BEGIN(0);
	memcpy((uint8_t *) kalam_block(store.seg, c.ch, 0) + 4, &word, 4);
	expect(&c, KALAM_ERR_PROTOCOL);
	list_begin(&l);
	l.len = 16;
	memcpy(l.bytes + 8, l.bytes, 8);
	BEGIN(0);
	expect(&c, KALAM_ERR_PROTOCOL); /* two lists */

	/* bounds outside the object, too short, too long */
	for (int i = 0; i < 6; i++)
	{
		static uint8_t long_key[KALAM_MAX_KEY_BYTES + 1];

		list_begin(&l);
		memset(long_key, 0, sizeof(long_key));
		test_key(long_key, m.object, 3);
		test_key(lower, i == 0 ? m.object - 1 : i == 1 ? m.object + 1 : m.object, 3);
		test_key(upper, i == 2 ? m.object + 1 : m.object, 9);
		if (i == 3)
			list_add(&l, lower, 3, upper, ROW_KEY);
		else if (i == 4)
			list_add(&l, long_key, KALAM_MAX_KEY_BYTES + 1, NULL, 0);
		else if (i == 5)
			list_add(&l, lower, ROW_KEY, upper, 3);
		else
			list_add(&l, lower, ROW_KEY, upper, ROW_KEY);
		BEGIN(0);
		expect(&c, KALAM_ERR_PROTOCOL);
	}

	/* rows as index entries; an upper bound just behind the entries is good */
	list_begin(&l);
	test_key(lower, m.object, 3);
	list_add(&l, lower, ROW_KEY, NULL, 0);
	BEGIN(KALAM_SCAN_INDEX);
	expect(&c, KALAM_ERR_PROTOCOL);
	list_begin(&l);
	plain_key(lower, m.object, 0);
	kalam_put_key_prefix(upper, m.object, KALAM_KEY_KIND_INDEX + 1);
	list_add(&l, lower, 7, upper, 5);
	BEGIN(KALAM_SCAN_INDEX | KALAM_SCAN_COUNT);
	expect(&c, KALAM_OK);
	upper[4]++;
	list_begin(&l);
	list_add(&l, lower, 7, upper, 5);
	BEGIN(KALAM_SCAN_INDEX);
	expect(&c, KALAM_ERR_PROTOCOL);

	/* where to begin */
	list_begin(&l);
	test_key(lower, m.object, 3);
	test_key(upper, m.object, 9);
	list_add(&l, lower, ROW_KEY, upper, ROW_KEY);
	BEGIN(0)->lower_len = ROW_KEY;
	expect(&c, KALAM_ERR_PROTOCOL);
	BEGIN(KALAM_SCAN_AFTER_LOWER)->lower_len = KALAM_MAX_KEY_BYTES + 1;
	expect(&c, KALAM_ERR_PROTOCOL);
	BEGIN(0)->upper_len = ROW_KEY;
	expect(&c, KALAM_ERR_PROTOCOL);
	BEGIN(KALAM_SCAN_REVERSE)->lower_len = ROW_KEY;
	expect(&c, KALAM_ERR_PROTOCOL);
	BEGIN(KALAM_SCAN_POINT);
	expect(&c, KALAM_ERR_PROTOCOL);
	BEGIN(KALAM_SCAN_RECHECK);
	expect(&c, KALAM_ERR_PROTOCOL);
	BEGIN(0)->first_range = 5;
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_drain(&c), 0);
	CHECK_EQUAL(c.code, KALAM_OK);
#undef BEGIN
	free(l.bytes);
	free(m.keys);
}

/* Index entries that lead nowhere, or are none. */
static void
test_damaged_entries(void)
{
	Model		m = make_model(100);
	TestChannel c = rpc(0);
	List		l = {0};
	uint8_t		key[MAX_ENTRY_KEY];
	size_t		len = unique_key(key, m.object, 1000);

	for (int damage = 0; damage < 5; damage++)
	{
		uint64_t	header = 9 << 8 | (damage == 4 ? 7 : KALAM_VALUE_FORMAT);
		uint8_t		value[18] = {0};

		memcpy(value, &header, 8);
		kalam_put_be64(value + 10, 2);	/* there is no row 2 */
		if (damage == 1)
			value[8] = 200;		/* more than the key has */
		else if (damage == 2)
			value[8] = 8;		/* suffix in the key, but bytes in the value */
		test_begin(&c, KALAM_OP_COMMIT);
		test_change(&c, KALAM_CHANGE_PUT, key, len, value, damage == 3 ? 10 : 18);
		if (damage == 4)
		{
			CHECK_EQUAL(commit(&c), KALAM_ERR_PROTOCOL);
			continue;
		}
		CHECK_EQUAL(commit(&c), KALAM_OK);
		for (int how = 0; how < 3; how++)
		{
			KalamRequest *r;
			uint8_t		upper[MAX_ENTRY_KEY];

			list_begin(&l);
			if (how == 1)
				list_add(&l, key, len, upper, unique_key(upper, m.object, 0));
			else
				list_add(&l, key, len, NULL, 0);
			if (how < 2)
				r = begin_list(&c, m.object, 0, KALAM_SCAN_INDEX, &l);
			else
			{
				r = test_scan_begin(&c, m.object, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_INDEX |
									KALAM_SCAN_POINT);
				memcpy(r->lower, key, len);
				r->lower_len = (uint16_t) len;
			}
			expect(&c, KALAM_ERR_CORRUPT);
		}
	}
	free(l.bytes);
	free(m.keys);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_random_lists),
		TEST(test_index_ranges),
		TEST(test_list_that_rests),
		TEST(test_lists_over_deleted_keys),
		TEST(test_wrong_inputs),
		TEST(test_damaged_entries),
	};

	return fixture_main(argc, argv, "test_lists", tests, sizeof(tests) / sizeof(tests[0]));
}
