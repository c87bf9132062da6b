/*
 * test_split.c
 *	  SPLIT: pieces that tile a range and hold about equally many rows, whether
 *	  these lie in memory or in files, and however the keys are spread.
 */
#include "test/unit/store_fixture.h"

#define MAX_PIECES 8192

typedef struct Piece
{
	KalamPiece	head;
	uint8_t		lower[KALAM_MAX_KEY_BYTES];
	uint8_t		upper[KALAM_MAX_KEY_BYTES];
} Piece;

static Piece pieces[MAX_PIECES];
static uint32_t npieces;

/* All rows of the object, or those between two row keys, in so many pieces. */
static uint32_t
split(uint32_t object, uint32_t wanted, uint32_t grain, uint32_t flags, uint64_t seed)
{
	TestChannel c = rpc(0);
	KalamRequest *r = test_begin(&c, KALAM_OP_SPLIT);
	const KalamBlock *b = kalam_block(store.seg, c.ch, 0);
	uint32_t	at = 0;
	uint32_t	code;

	r->object_id = object;
	r->flags = flags;
	r->serial = seed;
	r->max_rows = wanted;
	r->first_bytes = grain;
	kalam_put_key_prefix(r->lower, object, KALAM_KEY_KIND_ROW);
	r->lower_len = 5;
	kalam_put_key_prefix(r->upper, object, KALAM_KEY_KIND_ROW + 1);
	r->upper_len = 5;
	test_post(&c, KALAM_LANE_READ);
	code = test_finish(&c);
	npieces = 0;
	if (code != KALAM_OK)
		return code;
	REQUIRE(b->nrows <= MAX_PIECES);
	for (; npieces < b->nrows; npieces++)
	{
		Piece	   *p = &pieces[npieces];

		memcpy(&p->head, b->data + at, sizeof(KalamPiece));
		at += sizeof(KalamPiece);
		memcpy(p->lower, b->data + at, p->head.lower_len);
		at += p->head.lower_len;
		memcpy(p->upper, b->data + at, p->head.upper_len);
		at += p->head.upper_len;
	}
	CHECK_EQUAL(at, b->used);
	return code;
}

static bool
same_key(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool
in_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int			cmp = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return cmp < 0 || (cmp == 0 && a_len <= b_len);
}

/* Does the end of each piece begin the next, from end to end of the object? */
static void
check_tiles(uint32_t object)
{
	uint8_t		lower[5];
	uint8_t		upper[5];

	kalam_put_key_prefix(lower, object, KALAM_KEY_KIND_ROW);
	kalam_put_key_prefix(upper, object, KALAM_KEY_KIND_ROW + 1);
	REQUIRE(npieces > 0);
	CHECK(same_key(pieces[0].lower, pieces[0].head.lower_len, lower, 5));
	CHECK(same_key(pieces[npieces - 1].upper, pieces[npieces - 1].head.upper_len, upper, 5));
	for (uint32_t i = 1; i < npieces; i++)
		CHECK(same_key(pieces[i].lower, pieces[i].head.lower_len, pieces[i - 1].upper,
					   pieces[i - 1].head.upper_len));
}

static long
rows_of(uint32_t object, const Piece *p)
{
	TestChannel c = test_channel(&store, KALAM_SCAN_CHANNEL(0));
	KalamRequest *r = test_scan_begin(&c, object, 0, KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS_ONLY);

	memcpy(r->lower, p->lower, r->lower_len = p->head.lower_len);
	memcpy(r->upper, p->upper, r->upper_len = p->head.upper_len);
	test_post(&c, KALAM_LANE_READ);
	return test_drain(&c);
}

/* Splits in `wanted` and looks that they hold all rows, none more than its share. */
static void
check_even(uint32_t object, uint32_t wanted, long rows, double most)
{
	long		found = 0;
	long		largest = 0;

	CHECK_EQUAL(split(object, wanted, 16 << 10, 0, 0), KALAM_OK);
	check_tiles(object);
	for (uint32_t i = 0; i < npieces; i++)
	{
		long		n = rows_of(object, &pieces[i]);

		found += n;
		if (n > largest)
			largest = n;
	}
	CHECK_EQUAL(found, rows);
	CHECK(npieces > wanted / 2 && npieces <= wanted);
	if (!CHECK(largest < most * (double) rows / wanted))
		fprintf(stderr, "object %u: %u pieces of %u, the largest %ld of %ld rows\n", object, npieces,
				wanted, largest, rows);
}

static uint32_t
upkeep(KalamOp op, uint32_t object)
{
	TestChannel c = rpc(0);

	test_begin(&c, op)->object_id = object;
	test_post(&c, KALAM_LANE_READ);
	return test_finish(&c);
}

typedef uint64_t (*RowNumber) (uint64_t i);

static uint64_t
dense(uint64_t i)
{
	return i;
}

/* like a key of two columns: clusters far apart, of a thousand rows and of three */
static uint64_t
clustered(uint64_t i)
{
	return i < 20000 ? (i / 1000) << 40 | i % 1000 : (i << 38) / 3;
}

/* nearly all in a corner that a middle of numbers comes to late */
static uint64_t
skewed(uint64_t i)
{
	return i < 50 ? i << 56 : UINT64_C(0x1234567800000000) + i * 3;
}

static void
fill(uint32_t object, RowNumber number, uint64_t rows, uint64_t serial)
{
	TestChannel c = rpc(0);

	test_begin(&c, KALAM_OP_COMMIT)->serial = serial;
	test_create(&c, object, KALAM_COMPRESSION_NONE, 10000);
	for (uint64_t i = 0; i < rows; i++)
		test_put(&c, object, number(i), serial, i, 100);
	test_end(&c);
	REQUIRE(test_finish(&c) == KALAM_OK);
}

static const RowNumber spreads[] = {dense, clustered, skewed};

#define NSPREADS 3
#define ROWS 40000

static void
test_pieces_are_even(void)
{
	for (uint32_t i = 0; i < NSPREADS; i++)
	{
		uint32_t	object = 1000 + i;

		fill(object, spreads[i], ROWS, 1 + i);
		check_even(object, 4, ROWS, 1.4);
		check_even(object, 40, ROWS, 2);
		CHECK_EQUAL(upkeep(KALAM_OP_FLUSH, object), KALAM_OK);
		check_even(object, 4, ROWS, 1.4);
		check_even(object, 40, ROWS, 2);
	}
}

/* Half of the rows in files, the other half in memory. */
static void
test_files_and_memory(void)
{
	TestChannel c = rpc(0);

	fill(1010, dense, ROWS, 10);
	CHECK_EQUAL(upkeep(KALAM_OP_FLUSH, 1010), KALAM_OK);
	test_begin(&c, KALAM_OP_COMMIT)->serial = 11;
	for (uint64_t i = ROWS; i < 2 * ROWS; i++)
		test_put(&c, 1010, i, 11, i, 100);
	test_end(&c);
	REQUIRE(test_finish(&c) == KALAM_OK);
	check_even(1010, 10, 2 * ROWS, 1.5);
}

static void
test_nothing_to_split(void)
{
	fill(1020, dense, 0, 20);
	CHECK_EQUAL(split(1020, 10, 0, 0, 0), KALAM_OK);
	check_tiles(1020);
	CHECK_EQUAL(npieces, 1);
	CHECK_EQUAL(split(1020, 10, 0, KALAM_SPLIT_RANDOM, 1), KALAM_OK);
	CHECK_EQUAL(npieces, 0);
	fill(1021, dense, 10, 21);
	CHECK_EQUAL(split(1021, 10, 0, 0, 0), KALAM_OK);
	check_tiles(1021);
	CHECK_EQUAL(npieces, 1);
	CHECK_EQUAL(split(1021, 0, 0, 0, 0), KALAM_OK);
	CHECK_EQUAL(npieces, 1);
	CHECK_EQUAL(split(9999, 10, 0, 0, 0), KALAM_ERR_NO_OBJECT);
}

/* Rows that are gone do not keep others together. */
static void
test_deleted_rows(void)
{
	TestChannel c = rpc(0);

	fill(1030, dense, ROWS, 30);
	test_begin(&c, KALAM_OP_COMMIT)->serial = 31;
	for (uint64_t i = 0; i < ROWS * 3 / 4; i++)
		test_delete(&c, 1030, i);
	test_end(&c);
	REQUIRE(test_finish(&c) == KALAM_OK);
	check_even(1030, 4, ROWS / 4, 2.5);
	CHECK_EQUAL(upkeep(KALAM_OP_COMPACT, 1030), KALAM_OK);
	check_even(1030, 4, ROWS / 4, 1.4);
}

/* Long keys with a long beginning in common. */
static void
test_long_keys(void)
{
	TestChannel c = rpc(0);
	uint64_t	header = UINT64_C(40) << 8 | KALAM_VALUE_FORMAT;
	uint8_t		key[KALAM_MAX_KEY_BYTES];

	memset(key, 'x', sizeof(key));
	kalam_put_key_prefix(key, 1040, KALAM_KEY_KIND_ROW);
	test_begin(&c, KALAM_OP_COMMIT)->serial = 40;
	test_create(&c, 1040, KALAM_COMPRESSION_NONE, 0);
	for (uint64_t i = 0; i < 2000; i++)
	{
		kalam_put_be64(key + sizeof(key) - 8, i << 32);
		test_change(&c, KALAM_CHANGE_PUT, key, sizeof(key), &header, 8);
	}
	test_end(&c);
	REQUIRE(test_finish(&c) == KALAM_OK);
	check_even(1040, 8, 2000, 1.5);
	/* more than a block takes: every other, or fewer, is left out */
	CHECK_EQUAL(split(1040, 64, 16 << 10, 0, 0), KALAM_OK);
	check_tiles(1040);
	CHECK(npieces >= 8 && npieces < 48);
}

/* Bytes, and so rows, are chosen as often as others, and tell how many rows there are. */
static void
test_random_pieces(void)
{
	for (uint32_t i = 0; i < NSPREADS; i++)
	{
		double		rows = 0;
		uint32_t	places = 0;

		for (uint64_t seed = 1; seed <= 5; seed++)
		{
			TestChannel c = rpc(0);
			uint64_t	bytes;

			CHECK_EQUAL(split(1000 + i, 40, 64 << 10, KALAM_SPLIT_RANDOM, seed), KALAM_OK);
			bytes = c.ch->result.bytes;
			CHECK(bytes > ROWS * 100 && bytes < ROWS * 200);
			for (uint32_t j = 0; j < npieces; j++)
			{
				const Piece *p = &pieces[j];

				CHECK(p->head.bytes > 0 && p->head.places > 0);
				CHECK(j == 0 || in_order(p[-1].upper, p[-1].head.upper_len, p->lower,
										 p->head.lower_len));
				CHECK(p->head.bytes <= 128 << 10);
				rows += (double) rows_of(1000 + i, p) / (double) p->head.bytes *
					(double) bytes * p->head.places;
				places += p->head.places;
			}
		}
		CHECK_EQUAL(places, 200);
		if (!CHECK(rows / 200 > 0.9 * ROWS && rows / 200 < 1.1 * ROWS))
			fprintf(stderr, "spread %u: %.0f rows\n", i, rows / 200);
	}
}

static void
test_wrong_requests(void)
{
	TestChannel c = rpc(0);
	KalamRequest *r;

	for (int i = 0; i < 4; i++)
	{
		r = test_begin(&c, KALAM_OP_SPLIT);
		r->object_id = 1000;
		r->max_rows = 10;
		kalam_put_key_prefix(r->lower, i == 0 ? 1001 : 1000, KALAM_KEY_KIND_ROW);
		r->lower_len = i == 1 ? 3 : 5;
		kalam_put_key_prefix(r->upper, i == 2 ? 1001 : 1000, KALAM_KEY_KIND_ROW + 1);
		r->upper_len = i == 3 ? KALAM_MAX_KEY_BYTES + 1 : 5;
		test_post(&c, KALAM_LANE_READ);
		CHECK_EQUAL(test_finish(&c), KALAM_ERR_PROTOCOL);
	}
	/* upside down: a range of nothing */
	r = test_begin(&c, KALAM_OP_SPLIT);
	r->object_id = 1000;
	r->max_rows = 10;
	test_range(r, 10, 5);
	test_post(&c, KALAM_LANE_READ);
	CHECK_EQUAL(test_finish(&c), KALAM_OK);
	CHECK_EQUAL(c.ch->result.bytes, 0);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_pieces_are_even),
		TEST(test_files_and_memory),
		TEST(test_nothing_to_split),
		TEST(test_deleted_rows),
		TEST(test_long_keys),
		TEST(test_random_pieces),
		TEST(test_wrong_requests),
	};

	return fixture_main(argc, argv, "test_split", tests, sizeof(tests) / sizeof(tests[0]));
}
