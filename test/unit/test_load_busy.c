/*
 * test_load_busy.c
 *	  Loads beside others who write the same tables: what is committed between a
 *	  load's first look at the store and its commit is found, whatever it is.
 *	  Usage: test_load_busy PROGRAM
 */
#include <pthread.h>

#include "test/unit/load_fixture.h"

#define LOAD_ROWS 3000

/* Commits one change of each of so many rows, in one request of the slot. */
static void
write_rows(uint32_t slot, uint32_t object, uint64_t from, uint64_t to, uint64_t tag, bool delete)
{
	TestChannel c = rpc(slot);

	test_begin(&c, KALAM_OP_COMMIT)->serial = 2;
	for (uint64_t i = from; i < to; i++)
		if (delete)
			test_delete(&c, object, i);
		else
			test_put(&c, object, i, 2, tag, 40);
	CHECK_EQUAL(commit(&c), KALAM_OK);
}

static void
write_entry(uint32_t slot, uint32_t object, uint16_t index, uint64_t n)
{
	TestChannel c = rpc(slot);
	uint8_t		key[KALAM_INDEX_KEY_PREFIX_BYTES + 8];
	uint8_t		value[KALAM_INDEX_VALUE_BYTES + 8] = {KALAM_VALUE_FORMAT};

	kalam_put_key_prefix(key, object, KALAM_KEY_KIND_INDEX);
	key[KALAM_KEY_PREFIX_BYTES] = (uint8_t) (index >> 8);
	key[KALAM_KEY_PREFIX_BYTES + 1] = (uint8_t) index;
	kalam_put_be64(key + KALAM_INDEX_KEY_PREFIX_BYTES, n);
	test_begin(&c, KALAM_OP_COMMIT)->serial = 2;
	test_change(&c, KALAM_CHANGE_PUT, key, sizeof(key), value, sizeof(value));
	CHECK_EQUAL(commit(&c), KALAM_OK);
}

static uint64_t
row_hash(uint32_t object, uint64_t row)
{
	uint8_t		key[TEST_KEY_BYTES];

	test_key(key, object, row);
	return kalam_hash(key, sizeof(key), 0);
}

/* Asks for members among so many hashes; *c->ch has the answer. */
static uint32_t
ask(TestChannel *c, uint32_t slot, uint64_t first, uint64_t last, uint32_t object,
	const uint64_t *hashes, uint32_t n)
{
	KalamRequest *r;

	*c = rpc(slot);
	r = test_begin(c, KALAM_OP_LOAD_MEMBERS);
	r->load = first;
	r->load_last = last;
	r->object_id = object;
	r->input_len = n * (uint32_t) sizeof(uint64_t);
	memcpy(kalam_block(store.seg, c->ch, 0), hashes, r->input_len);
	test_post(c, KALAM_LANE_LOAD);
	return test_finish(c);
}

/* The answer tells of this duplicate, with the row's tag. */
static void
expect_duplicate(const TestChannel *c, uint64_t number, uint32_t target, uint64_t tag)
{
	const uint8_t *row = (const uint8_t *) kalam_block(store.seg, c->ch, 0);
	uint64_t	found;

	CHECK_EQUAL(c->ch->result.code, KALAM_ERR_DUPLICATE);
	CHECK_EQUAL(c->ch->result.load_number, number);
	CHECK_EQUAL(c->ch->result.target, target);
	if (!CHECK_EQUAL(c->ch->result.bytes, 48))
		return;
	memcpy(&found, row + 8, 8);
	CHECK_EQUAL(found, tag);
}

/* ---- one writer ---- */

typedef enum Moment
{
	BEFORE_THE_END,				/* of the load's stream */
	KEPT
} Moment;

/* What a test does beside a load of rows 0 .. LOAD_ROWS with tag 7. */
typedef void (*Beside) (uint32_t object);

/* Runs it at a moment, then commits the load.  The answer of the last request. */
static uint32_t
load_beside(Beside beside, Moment moment, KalamOp op, uint32_t object, uint64_t number)
{
	TestChannel c = load_begin(0, 0, number, 4 * MB);
	uint32_t	code;

	load_declare(&c, 0, object, 0, KALAM_TARGET_UNIQUE);
	load_rows(&c, 0, object, 0, LOAD_ROWS, 1, 7);
	load_publish(&c, 0);
	if (moment == BEFORE_THE_END)
		beside(object);
	code = load_end(&c);
	if (code == KALAM_ERR_DUPLICATE)
		expect_duplicate(&c, number, 0, 7);
	if (code != KALAM_OK)
		return code;
	if (moment == KEPT)
		beside(object);
	code = commit_loads(0, op, number, &number, 1);
	c = rpc(0);
	if (code == KALAM_ERR_DUPLICATE)
		expect_duplicate(&c, number, 0, 7);
	return code;
}

static void
put_key_of_load(uint32_t object)
{
	write_rows(1, object, 1234, 1235, 1, false);
}

static void
put_many_keys(uint32_t object)
{
	write_rows(1, object, LOAD_ROWS - 1, LOAD_ROWS + 6000, 1, false);
}

static void
put_and_delete(uint32_t object)
{
	put_key_of_load(object);
	write_rows(1, object, 1234, 1235, 1, true);
}

static void
put_and_delete_many(uint32_t object)
{
	put_many_keys(object);
	write_rows(1, object, 0, LOAD_ROWS + 6000, 1, true);
}

static void
put_other_keys(uint32_t object)
{
	for (uint64_t i = 0; i < 200; i++)
		write_rows(1, object, LOAD_ROWS + 10 * i, LOAD_ROWS + 10 * i + 10, 1, false);
	write_rows(1, object, LOAD_ROWS + 1995, LOAD_ROWS + 2000, 1, true);
}

static void
put_many_other_keys(uint32_t object)
{
	write_rows(1, object, LOAD_ROWS, LOAD_ROWS + 6000, 1, false);
}

static void
load_other_keys(uint32_t object)
{
	uint64_t	number = new_number();

	CHECK_EQUAL(load_object(1, number, object, LOAD_ROWS, LOAD_ROWS + 50, 1, 1), KALAM_OK);
	CHECK_EQUAL(commit_load(1, number), KALAM_OK);
}

static void
load_key_of_load(uint32_t object)
{
	uint64_t	number = new_number();

	CHECK_EQUAL(load_object(1, number, object, LOAD_ROWS - 1, LOAD_ROWS + 50, 1, 1), KALAM_OK);
	CHECK_EQUAL(commit_load(1, number), KALAM_OK);
}

static void
bulk_key_of_load(uint32_t object)
{
	TestChannel c = rpc(1);

	begin_bulk(&c, KALAM_OP_COMMIT, 0);
	put_rows(&c, object, LOAD_ROWS - 10, LOAD_ROWS + 4000, 1);
	CHECK_EQUAL(end_bulk(&c), KALAM_OK);
}

/* It was prepared long before, and is applied beside the load. */
static void
apply_key_of_load(uint32_t object)
{
	TestChannel c = rpc(1);
	KalamRequest *r = test_begin(&c, KALAM_OP_PREPARE);

	r->serial = 2;
	r->full_xid = 77;
	test_put(&c, object, 5, 2, 1, 40);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(resolve(77, true), KALAM_OK);
}

static void
drop_key_of_load(uint32_t object)
{
	TestChannel c = rpc(1);
	KalamRequest *r = test_begin(&c, KALAM_OP_PREPARE);

	r->serial = 2;
	r->full_xid = 77;
	test_put(&c, object, 5, 2, 1, 40);
	CHECK_EQUAL(commit(&c), KALAM_OK);
	CHECK_EQUAL(resolve(77, false), KALAM_OK);
}

static void
test_one_writer(void)
{
	static const struct
	{
		const char *name;
		Beside		beside;
		uint32_t	code;
		long		rows;			/* beside those of the load */
	}			cases[] = {
		{"a key of it", put_key_of_load, KALAM_ERR_DUPLICATE, 1},
		{"many keys, one of it", put_many_keys, KALAM_ERR_DUPLICATE, 6001},
		{"a key of it that goes again", put_and_delete, KALAM_OK, 0},
		{"many that go again", put_and_delete_many, KALAM_OK, 0},
		{"other keys", put_other_keys, KALAM_OK, 1995},
		{"many other keys", put_many_other_keys, KALAM_OK, 6000},
		{"a load of other keys", load_other_keys, KALAM_OK, 50},
		{"a load of a key of it", load_key_of_load, KALAM_ERR_DUPLICATE, 51},
		{"files with keys of it", bulk_key_of_load, KALAM_ERR_DUPLICATE, 4010},
		{"a prepared key of it", apply_key_of_load, KALAM_ERR_DUPLICATE, 1},
		{"a prepared key that is dropped", drop_key_of_load, KALAM_OK, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int moment = BEFORE_THE_END; moment <= KEPT; moment++)
			for (KalamOp op = KALAM_OP_COMMIT; op <= KALAM_OP_PREPARE; op++)
			{
				uint32_t	object = make_object(0, 0);
				uint64_t	number = new_number();
				uint32_t	code = load_beside(cases[i].beside, (Moment) moment, op, object,
											   number);
				long		rows = cases[i].rows;

				if (!CHECK_EQUAL(code, cases[i].code))
					fprintf(stderr, "%s, moment %d, operation %d\n", cases[i].name, moment, op);
				if (code == KALAM_OK && op == KALAM_OP_PREPARE)
				{
					CHECK_EQUAL(count_rows(0, object, 0), rows);
					CHECK_EQUAL(resolve(number, true), KALAM_OK);
				}
				if (code == KALAM_OK)
					rows += LOAD_ROWS;
				CHECK_EQUAL(summary(0, object, 0, 0).rows, rows);
				CHECK(files_become(0));
			}
}

static void
test_values_of_an_index(void)
{
	for (int same = 0; same < 2; same++)
	{
		uint32_t	object = make_object(0, 0);
		uint64_t	number = new_number();
		TestChannel c = load_begin(0, 0, number, 4 * MB);

		load_declare(&c, 0, object, 3, 0);
		load_declare(&c, 1, object, 0, 0);
		load_declare(&c, 2, object, 4, KALAM_TARGET_UNIQUE);
		for (uint64_t i = 0; i < 500; i++)
		{
			load_entry(&c, 0, object, 3, i % 7, i, i, false);
			load_put(&c, 1, object, i, i, i, 40);
			load_entry(&c, 2, object, 4, 1000 + i, i, i, true);
		}
		CHECK_EQUAL(load_end(&c), KALAM_OK);

		/* rows and other entries need not be unique */
		write_rows(1, object, 17, 18, 1, false);
		write_entry(1, object, 3, 5);
		write_entry(1, object, 5, 1005);
		write_entry(1, object, 4, same ? 1333 : 333);
		CHECK_EQUAL(commit_load(0, number), same ? KALAM_ERR_DUPLICATE : KALAM_OK);
		c = rpc(0);
		if (same)
			expect_duplicate(&c, number, 2, 333);
		CHECK_EQUAL(count_entries(0, object, 4, 0), same ? 1 : 501);
		CHECK_EQUAL(count_rows(0, object, 0), same ? 1 : 500);
		CHECK(files_become(0));
	}
}

static void
test_members(void)
{
	uint32_t	object = make_object(0, 0);
	uint32_t	other = make_object(0, 0);
	uint64_t	first = new_number();
	uint64_t	second = new_number();
	uint64_t	hashes[100];
	uint32_t	positions[100];
	TestChannel c;
	uint32_t	n = 0;

	CHECK_EQUAL(load_object(0, first, object, 0, 1000, 1, 7), KALAM_OK);
	CHECK_EQUAL(load_object(0, second, object, 1000, 2000, 1, 7), KALAM_OK);
	for (uint32_t i = 0; i < 100; i++)
		hashes[i] = row_hash(object, i < 10 ? 100 * i : i < 20 ? 1000 + 7 * i : 10000 + i);

	/* those of both loads, of one, and some that are none of them: few */
	CHECK_EQUAL(ask(&c, 0, first, second, object, hashes, 100), KALAM_OK);
	memcpy(positions, kalam_block(store.seg, c.ch, 0), sizeof(positions));
	CHECK(c.ch->result.rows >= 20 && c.ch->result.rows < 25);
	for (uint32_t i = 0; i < 20; i++)
		CHECK_EQUAL(positions[i], i);
	CHECK_EQUAL(ask(&c, 0, second, second, object, hashes, 100), KALAM_OK);
	memcpy(positions, kalam_block(store.seg, c.ch, 0), sizeof(positions));
	CHECK(c.ch->result.rows >= 10 && c.ch->result.rows < 15);
	for (uint32_t i = 0; i < c.ch->result.rows; i++)
		n += positions[i] >= 10 && positions[i] < 20;
	CHECK_EQUAL(n, 10);

	/* of another object, of another slot, of no load; no question */
	CHECK_EQUAL(ask(&c, 0, first, second, other, hashes, 100), KALAM_OK);
	CHECK_EQUAL(c.ch->result.rows, 0);
	CHECK_EQUAL(ask(&c, 1, first, second, object, hashes, 100), KALAM_OK);
	CHECK_EQUAL(c.ch->result.rows, 0);
	CHECK_EQUAL(ask(&c, 0, second + 1, UINT64_MAX, object, hashes, 100), KALAM_OK);
	CHECK_EQUAL(c.ch->result.rows, 0);
	CHECK_EQUAL(ask(&c, 0, 0, UINT64_MAX, object, hashes, 0), KALAM_OK);
	CHECK_EQUAL(c.ch->result.rows, 0);
	c = rpc(0);
	test_begin(&c, KALAM_OP_LOAD_MEMBERS)->input_len = 12;
	test_post(&c, KALAM_LANE_LOAD);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_PROTOCOL);
	c = rpc(0);
	test_begin(&c, KALAM_OP_LOAD_MEMBERS)->input_len = KALAM_MAX_INPUT_BYTES + 8;
	test_post(&c, KALAM_LANE_LOAD);
	CHECK_EQUAL(test_finish(&c), KALAM_ERR_PROTOCOL);

	/* a key that was committed is told of until it is gone */
	write_rows(1, object, 1500, 1501, 1, false);
	for (int i = 0; i < 3; i++)
	{
		CHECK_EQUAL(ask(&c, 0, first, first, object, hashes, 100), KALAM_OK);
		CHECK_EQUAL(ask(&c, 0, first, second, object, hashes, 100), KALAM_ERR_DUPLICATE);
		expect_duplicate(&c, second, 0, 7);
	}
	write_rows(1, object, 1500, 1501, 1, true);
	CHECK_EQUAL(ask(&c, 0, first, second, object, hashes, 1), KALAM_OK);
	CHECK_EQUAL(c.ch->result.rows, 1);
	CHECK_EQUAL(commit_loads(0, KALAM_OP_COMMIT, 0, (uint64_t[]) {first, second}, 2), KALAM_OK);
	CHECK_EQUAL(count_rows(0, object, 0), 2000);
}

/* However many chunks a load had, locks on other keys are told from those on its own. */
static void
test_members_of_many_chunks(void)
{
	uint32_t	object = make_object(0, 0);
	uint64_t	number = new_number();
	uint64_t	rows = SLOW ? 20000 : 200000;
	static uint64_t hashes[10000];
	TestChannel c = load_begin(0, 0, number, MB);

	load_declare(&c, 0, object, 0, KALAM_TARGET_UNIQUE);
	load_rows(&c, 0, object, 0, rows, 1, 7);
	CHECK_EQUAL(load_end(&c), KALAM_OK);
	CHECK(atomic_load(&c.ch->result.load.files) > 5);
	for (uint64_t i = 0; i < 10000; i++)
		hashes[i] = row_hash(object, rows + i);
	CHECK_EQUAL(ask(&c, 0, number, number, object, hashes, 10000), KALAM_OK);
	printf("members: %llu of 10000 locks on other keys\n", (unsigned long long) c.ch->result.rows);
	CHECK(c.ch->result.rows < 200);
	for (uint64_t i = 0; i < 10000; i++)
		hashes[i] = row_hash(object, i);
	CHECK_EQUAL(ask(&c, 0, number, number, object, hashes, 10000), KALAM_OK);
	CHECK_EQUAL(c.ch->result.rows, 10000);
	CHECK_EQUAL(load_drop(0, number, number), KALAM_OK);
}

/* ---- several ---- */

static void
test_loads_of_two_backends(void)
{
	for (int common = 0; common < 2; common++)
		for (int second = 0; second < 2; second++)
		{
			uint32_t	object = make_object(0, 0);
			uint64_t	numbers[2] = {new_number(), new_number()};
			TestChannel c[2];

			/* side by side, keys of the one between keys of the other */
			for (uint32_t i = 0; i < 2; i++)
			{
				c[i] = load_begin(i, i, numbers[i], 4 * MB);
				load_declare(&c[i], 0, object, 0, KALAM_TARGET_UNIQUE);
			}
			for (uint64_t row = 0; row < 2000; row++)
				load_put(&c[row % 2], 0, object, row, row, 1, 40);
			if (common)
				load_put(&c[0], 0, object, 1001, 3000, 1, 40);
			CHECK_EQUAL(load_end(&c[0]), KALAM_OK);
			CHECK_EQUAL(load_end(&c[1]), KALAM_OK);
			CHECK_EQUAL(commit_load((uint32_t) second, numbers[second]), KALAM_OK);
			CHECK_EQUAL(commit_load((uint32_t) !second, numbers[!second]),
						common ? KALAM_ERR_DUPLICATE : KALAM_OK);
			expect_rows(object, common ? second ? 1000 : 1001 : 2000,
						common ? second ? 1000 : 1001 : 2000);
			CHECK(files_become(0));
		}
}

/*
 * Writers and loads at the same time, which lock as backends do: a writer a key
 * and, shared, the object; a load that commits the object.  Nobody overwrites a row.
 */

#define RACE_KEYS		4000
#define RACE_WRITERS	2
#define RACE_LOADERS	2
#define RACE_SECONDS	3

static struct
{
	uint32_t	object;
	pthread_rwlock_t lock;		/* the object's */
	pthread_mutex_t keys[RACE_KEYS];
	_Atomic int added[RACE_KEYS];
	_Atomic long writes;
	_Atomic long loads;
	_Atomic long refused;		/* loads */
	double		end;
}			race;

static void *
race_writer(void *arg)
{
	uint32_t	slot = (uint32_t) (uintptr_t) arg;
	unsigned	seed = slot * 77 + 1;

	while (test_now() < race.end)
	{
		uint64_t	row = (uint64_t) rand_r(&seed) % RACE_KEYS;

		pthread_rwlock_rdlock(&race.lock);
		pthread_mutex_lock(&race.keys[row]);
		if (point(slot, race.object, row, 0) < 0)
		{
			write_rows(slot, race.object, row, row + 1, 1, false);
			atomic_fetch_add(&race.added[row], 1);
			atomic_fetch_add(&race.writes, 1);
		}
		pthread_mutex_unlock(&race.keys[row]);
		pthread_rwlock_unlock(&race.lock);
		test_sleep_ms((int) ((unsigned) rand_r(&seed) % 4));
	}
	return NULL;
}

static void *
race_loader(void *arg)
{
	uint32_t	slot = (uint32_t) (uintptr_t) arg;
	unsigned	seed = slot * 77 + 1;

	while (test_now() < race.end)
	{
		uint64_t	number = new_number();
		uint64_t	from = (uint64_t) rand_r(&seed) % RACE_KEYS;
		uint64_t	n = 1 + (uint64_t) rand_r(&seed) % 60;
		uint64_t	step = 1 + (uint64_t) rand_r(&seed) % 20;
		TestChannel c = load_begin(slot, slot, number, MB);
		uint32_t	code;

		load_declare(&c, 0, race.object, 0, KALAM_TARGET_UNIQUE);
		for (uint64_t i = 0; i < n; i++)
			load_put(&c, 0, race.object, (from + i * step) % RACE_KEYS, i, 1, 40);
		load_publish(&c, 0);
		test_sleep_ms((int) ((unsigned) rand_r(&seed) % 10));
		code = load_end(&c);
		if (code == KALAM_OK)
		{
			test_sleep_ms((int) ((unsigned) rand_r(&seed) % 10));
			pthread_rwlock_wrlock(&race.lock);
			code = commit_load(slot, number);
			if (code == KALAM_OK)
				for (uint64_t i = 0; i < n; i++)
					atomic_fetch_add(&race.added[(from + i * step) % RACE_KEYS], 1);
			pthread_rwlock_unlock(&race.lock);
		}
		if (code == KALAM_OK)
			atomic_fetch_add(&race.loads, 1);
		else if (CHECK_EQUAL(code, KALAM_ERR_DUPLICATE))
			atomic_fetch_add(&race.refused, 1);
	}
	return NULL;
}

static void
test_race(void)
{
	pthread_t	threads[RACE_WRITERS + RACE_LOADERS];
	long		rows = 0,
				twice = 0;

	race.object = make_object(0, 0);
	race.end = test_now() + RACE_SECONDS;
	pthread_rwlock_init(&race.lock, NULL);
	for (int i = 0; i < RACE_KEYS; i++)
		pthread_mutex_init(&race.keys[i], NULL);
	for (uint32_t i = 0; i < RACE_WRITERS + RACE_LOADERS; i++)
		pthread_create(&threads[i], NULL, i < RACE_WRITERS ? race_writer : race_loader,
					   (void *) (uintptr_t) i);
	for (int i = 0; i < RACE_WRITERS + RACE_LOADERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < RACE_KEYS; i++)
	{
		rows += race.added[i];
		twice += race.added[i] > 1;
	}
	CHECK_EQUAL(twice, 0);
	expect_rows(race.object, rows, (uint64_t) rows);
	CHECK(race.writes > 0 && race.loads > 0 && race.refused > 0);
	printf("race: %ld rows written, %ld loads came in and %ld were refused\n",
		   (long) race.writes, (long) race.loads, (long) race.refused);
}

int
main(int argc, char **argv)
{
	static const FixtureTest tests[] = {
		TEST(test_one_writer),
		TEST(test_values_of_an_index),
		TEST(test_members),
		TEST(test_members_of_many_chunks),
		TEST(test_loads_of_two_backends),
		TEST(test_race),
	};

	return fixture_main(argc, argv, "test_load_busy", tests, sizeof(tests) / sizeof(tests[0]));
}
