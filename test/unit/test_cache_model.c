/*
 * test_cache_model.c
 *	  The shared cache in all interleavings of a few processes (model.h): the real
 *	  code, in a cache of a few entries and a few segments of a few words.
 *
 * A scenario gives each process a list of acts.  Values describe themselves, so a
 * torn or mixed one, or another key's, is found; in the scenarios of stamps what is
 * read is the state of the database at the reader's stamp.  When all have ended,
 * nothing is pinned, owned or in progress, and all room can be used again, unless
 * somebody died.
 *
 * Usage: test_cache_model            all scenarios
 *        test_cache_model -deep      with one more switch where these are bounded: an hour
 *        test_cache_model -weaken    which acquire or release may be left out unnoticed
 *
 * Behind these may follow names: only the scenarios that begin so.
 */
#include "src/shared/cache_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/unit/model.h"
#include "test/unit/unit.h"

#define MAX_ACTS	8
#define NKEYS		8
#define MOST_WORDS	16			/* of a value */
#define GROUP		1
#define TICKET_LATER UINT64_MAX

/* ---- acts ---- */

typedef enum Do
{
	END = 0,
	FIND,						/* key; copied */
	PIN,						/* key; looked at, and again after a step, unpinned */
	TICKET,						/* for the next put */
	PUT,						/* key, stamp; expires at 10 */
	INVALIDATE,					/* the group; tells when it is done */
	CLEAR,						/* likewise, all */
	INVALIDATE_TAG,				/* entries of that stamp, which is their tag */
	EXPIRE,						/* at 10 */
	FIND_LATE,					/* key; at 10 */
	COMMIT,						/* the next one of commits[] */
	SNAPSHOT,					/* the newest stamp, for the next reads */
	READ,						/* key; at the snapshot; puts what it did not find */
	READ_NEWEST,				/* key; likewise, of no stamp */
} Do;

typedef struct Act
{
	Do			what;
	uint32_t	key;
	uint32_t	stamp;
} Act;

/* What each commit writes, from stamp 1; `load`: without stamping its keys. */
typedef struct Commit
{
	uint32_t	keys;			/* bits */
	bool		load;
} Commit;

/* How a protocol can be wrong; each must be found. */
typedef enum Wrong
{
	RIGHT = 0,
	PUBLISHES_FIRST,			/* then raises the words */
	FORGETS_A_KEY,
	FORGETS_LOADS,
	STAMPS_LATE,				/* puts with a stamp published after the value was read */
	TICKET_AFTER,				/* takes the ticket after the value was read */
	PUBLISHES_RELAXED
} Wrong;

typedef struct Case
{
	const char *name;
	uint32_t	nsegments;
	uint32_t	segment_words;
	Act			before[MAX_ACTS];	/* by nobody else around */
	Act			acts[MODEL_PROCESSES][MAX_ACTS];
	Commit		commits[4];
	uint32_t	large;			/* keys from here on have values of so many words: */
	uint32_t	large_words;
	uint8_t		switches;
	uint8_t		stale;
	uint8_t		deaths;
	Wrong		wrong;
} Case;

#define ANY MODEL_UNBOUNDED
#include "test/unit/cache_model_cases.h"

static const Case *the_case;
static bool deep;

/* ---- memory ---- */

typedef struct Shared
{
	_Atomic uint64_t pub;
	_Atomic uint64_t buckets[2];	/* of keys by their lowest bit */
	_Atomic uint64_t object;
	_Atomic uint64_t stored[NKEYS]; /* what storage has, published or not */
	_Atomic uint64_t generation;	/* of what invalidation by hand is to hide */
	_Atomic uint64_t invalidated;	/* up to here */
	_Atomic uint64_t pause;
	uint64_t	end;			/* of acts in before[] */
	_Alignas(64) char cache[];
} Shared;

#define shared ((Shared *) model_memory)
#define the_cache ((KalamCache *) shared->cache)

/* ---- values ---- */

static uint32_t
value_words(uint32_t key)
{
	return the_case->large != 0 && key >= the_case->large ? the_case->large_words : 2;
}

static uint64_t
value_word(uint32_t key, uint32_t version, uint32_t i)
{
	return (uint64_t) key << 56 | (uint64_t) version << 48 | (uint64_t) i << 40 |
		(UINT64_C(0xABCDEF0000) + version * 7 + key * 31 + i);
}

/* The version that it has. */
static uint32_t
check_value(const KalamCacheValue *found, uint32_t key)
{
	const uint64_t *words = found->data;
	uint32_t	version = (uint32_t) (words[0] >> 48 & 0xFF);

	if (found->len != 8 * value_words(key))
		model_fail("key %u: length %u", key, found->len);
	for (uint32_t i = 0; i < value_words(key); i++)
		if (words[i] != value_word(key, version, i))
			model_fail("key %u version %u: word %u is 0x%llx", key, version, i,
					   (unsigned long long) words[i]);
	if (found->tag != version)
		model_fail("key %u version %u: tag %u", key, version, found->tag);
	return version;
}

/* Its first half names the set, if there is more than one; two keys have each hash. */
static KalamCacheKey
make_key(const uint64_t *data)
{
	return (KalamCacheKey) {data, 8, GROUP, *data / 2};
}

static KalamCachePut
put(uint32_t key, uint64_t ticket, uint64_t stamp, uint32_t version)
{
	uint64_t	data = key;
	KalamCacheKey k = make_key(&data);
	uint64_t	words[MOST_WORDS];
	KalamCachePart part = {words, 8 * value_words(key)};

	for (uint32_t i = 0; i < value_words(key); i++)
		words[i] = value_word(key, version, i);
	return kalam_cache_put(the_cache, model_self() < MODEL_PROCESSES ? model_self() : 0, &k,
						   ticket, stamp, version, 10, &part, 1);
}

/* Returns the version, or -1. */
static int
find(uint32_t key, const KalamCacheAt *at, bool pin)
{
	uint64_t	data = key;
	KalamCacheKey k = make_key(&data);
	uint64_t	buffer[MOST_WORDS] = {0};
	uint32_t	process = model_self() < MODEL_PROCESSES ? model_self() : 0;
	KalamCacheValue found = {0};
	uint32_t	version;

	switch (kalam_cache_find(the_cache, process, &k, at, buffer, pin ? 0 : sizeof(buffer), &found))
	{
		case KALAM_CACHE_MISS:
			return -1;
		case KALAM_CACHE_COPIED:
			if (pin || found.data != buffer)
				model_fail("copied elsewhere");
			return (int) check_value(&found, key);
		case KALAM_CACHE_PINNED:
			if (!pin)
				model_fail("pinned");
			kalam_reads(found.data, found.len);
			version = check_value(&found, key);
			kalam_load(&shared->pause, relaxed);
			kalam_reads(found.data, found.len);
			if (check_value(&found, key) != version)
				model_fail("key %u was version %u while it was pinned", key, version);
			kalam_cache_unpin(the_cache, process, found.pin);
			return (int) version;
	}
	return -1;
}

/* ---- the database ---- */

static bool
writes(uint32_t commit, uint32_t key)
{
	return (the_case->commits[commit - 1].keys >> key & 1) != 0;
}

static uint32_t
version_at(uint32_t key, uint64_t stamp)
{
	uint32_t	commit = (uint32_t) stamp;

	while (commit > 0 && !writes(commit, key))
		commit--;
	return commit;
}

static void
raise_words(uint32_t commit)
{
	bool		forgot = false;

	if (the_case->commits[commit - 1].load)
	{
		if (the_case->wrong != FORGETS_LOADS)
			kalam_store(&shared->object, commit, release);
		return;
	}
	for (uint32_t key = 0; key < NKEYS; key++)
		if (writes(commit, key))
		{
			if (the_case->wrong == FORGETS_A_KEY && !forgot)
				forgot = true;
			else
				kalam_store(&shared->buckets[key & 1], commit, release);
		}
}

static void
publish(uint32_t commit)
{
	if (the_case->wrong == PUBLISHES_RELAXED)
		kalam_store(&shared->pub, commit, relaxed);
	else
		kalam_store(&shared->pub, commit, release);
}

static void
commit_next(void)
{
	uint32_t	commit = (uint32_t) kalam_load(&shared->pub, relaxed) + 1;

	for (uint32_t key = 0; key < NKEYS; key++)
		if (writes(commit, key))
			kalam_store(&shared->stored[key], commit, release);
	if (the_case->wrong == PUBLISHES_FIRST)
		publish(commit);
	raise_words(commit);
	if (the_case->wrong != PUBLISHES_FIRST)
		publish(commit);
}

static KalamCacheAt
at_stamp(uint32_t key, uint64_t stamp)
{
	return (KalamCacheAt) {.stamp = stamp, .now_ms = 1, .nwords = 2,
		.words = {&shared->buckets[key & 1], &shared->object}};
}

static void
read_at(uint32_t key, uint64_t stamp)
{
	KalamCacheAt at = at_stamp(key, stamp);
	uint64_t	ticket = kalam_cache_ticket(the_cache, GROUP);
	int			version = find(key, &at, false);

	if (version < 0)
	{
		uint64_t	put_at = stamp;

		if (the_case->wrong == STAMPS_LATE)
			put_at = kalam_load(&shared->pub, acquire);
		put(key, ticket, put_at, version_at(key, stamp));
	}
	else if ((uint32_t) version != version_at(key, stamp))
		model_fail("key %u at %u is version %d", key, (uint32_t) stamp, version);
}

static void
read_newest(uint32_t key)
{
	KalamCacheAt at = at_stamp(key, UINT64_MAX);
	uint64_t	ticket = kalam_cache_ticket(the_cache, GROUP);
	uint64_t	stamp = kalam_load(&shared->pub, acquire);
	int			version = find(key, &at, false);

	if (version < 0)
	{
		version = (int) kalam_load(&shared->stored[key], acquire);
		if (the_case->wrong == STAMPS_LATE)
			stamp = kalam_load(&shared->pub, acquire);
		put(key, ticket, stamp, (uint32_t) version);
	}
	else if ((uint32_t) version < version_at(key, stamp))
		model_fail("key %u after %u is version %d", key, (uint32_t) stamp, version);
}

/* ---- what processes do ---- */

static void
run_acts(const Act *act)
{
	uint32_t	process = model_self() < MODEL_PROCESSES ? model_self() : 0;
	uint64_t	ticket = TICKET_LATER;
	uint64_t	generation = 0;
	uint64_t	snapshot = 0;
	KalamCacheAt at = {.stamp = UINT64_MAX, .now_ms = 1};

	for (; act->what != END; act++)
		switch (act->what)
		{
			case END:
				break;
			case FIND:
			case PIN:
				{
					uint64_t	invalidated = kalam_load(&shared->invalidated, acquire);
					int			version = find(act->key, &at, act->what == PIN);

					if (version >= 0 && (uint64_t) version < invalidated)
						model_fail("key %u version %d is found after it was invalidated",
								   act->key, version);
				}
				break;
			case TICKET:
				if (the_case->wrong != TICKET_AFTER)
					ticket = kalam_cache_ticket(the_cache, GROUP);
				generation = kalam_load(&shared->generation, acquire);
				if (the_case->wrong == TICKET_AFTER)
					ticket = kalam_cache_ticket(the_cache, GROUP);
				break;
			case PUT:
				if (ticket == TICKET_LATER)
					put(act->key, kalam_cache_ticket(the_cache, GROUP), act->stamp, act->stamp);
				else
					put(act->key, ticket, act->stamp, (uint32_t) generation);
				break;
			case INVALIDATE:
			case CLEAR:
				generation = kalam_load(&shared->generation, relaxed) + 1;
				kalam_store(&shared->generation, generation, release);
				if (act->what == CLEAR)
					kalam_cache_clear(the_cache, process);
				else
					kalam_cache_invalidate_group(the_cache, process, GROUP);
				kalam_store(&shared->invalidated, generation, release);
				break;
			case INVALIDATE_TAG:
				kalam_cache_invalidate_tag(the_cache, process, GROUP, act->stamp);
				break;
			case EXPIRE:
				kalam_cache_expire(the_cache, process, 10);
				break;
			case FIND_LATE:
				at.now_ms = 10;
				if (find(act->key, &at, false) >= 0)
					model_fail("key %u is found after it expired", act->key);
				at.now_ms = 1;
				break;
			case COMMIT:
				commit_next();
				break;
			case SNAPSHOT:
				snapshot = kalam_load(&shared->pub, acquire);
				break;
			case READ:
				read_at(act->key, snapshot);
				break;
			case READ_NEWEST:
				read_newest(act->key);
				break;
		}
}

static void
process(void)
{
	run_acts(the_case->acts[model_self()]);
}

static void
setup(void)
{
	KalamCacheShape shape = {.nsets = 1, .nsegments = the_case->nsegments,
		.segment_words = the_case->segment_words, .ndoors = 1};

	model_memory_used = (uint32_t) (sizeof(Shared) +
									kalam_cache_shape_bytes(&shape, MODEL_PROCESSES));
	if (model_memory_used > MODEL_MEMORY_BYTES)
		abort();
	kalam_cache_init_shape(the_cache, &shape, MODEL_PROCESSES);
	run_acts(the_case->before);
}

/* ---- when all have ended ---- */

static void
nothing_is_left(void)
{
	for (uint32_t i = 0; i < the_cache->nentries; i++)
	{
		uint64_t	word = kalam_load(&kalam_cache_entry(the_cache, i)->word, relaxed);

		if (word & ENTRY_PINS)
			model_fail("entry %u is pinned", i);
		if ((word & ENTRY_STATE) == ENTRY_BUSY)
			model_fail("entry %u is busy", i);
	}
	for (uint32_t i = 0; i < the_case->nsegments; i++)
	{
		uint64_t	word = kalam_load(&kalam_cache_segment(the_cache, i)->word, relaxed);

		if ((word & SEGMENT_STATE) == SEGMENT_OWNED)
			model_fail("segment %u is owned", i);
		if (word & SEGMENT_WRITERS)
			model_fail("segment %u is written to", i);
	}
}

static void
all_can_be_used(void)
{
	KalamCacheAt at = {.stamp = UINT64_MAX, .now_ms = 1};
	KalamCacheStats stats;

	kalam_cache_stats(the_cache, &stats);
	if (stats.pins != 0)
		model_fail("%d pins", (int) stats.pins);
	kalam_cache_clear(the_cache, 0);
	kalam_cache_stats(the_cache, &stats);
	if (stats.entries != 0 || stats.bytes != 0)
		model_fail("%d entries of %d bytes in an empty cache", (int) stats.entries,
				   (int) stats.bytes);
	for (uint32_t key = 0; key < NKEYS; key++)
	{
		KalamCachePut result = put(key, kalam_cache_ticket(the_cache, GROUP), 9, 9);

		if (result != KALAM_CACHE_STORED)
			model_fail("key %u cannot be put: %d", key, result);
		if (find(key, &at, key & 1) != 9)
			model_fail("key %u is not found", key);
	}
}

/* What is found after a death is right, and others can still put. */
static void
hits_are_right(void)
{
	KalamCacheAt at = {.stamp = UINT64_MAX, .now_ms = 1};

	for (uint32_t key = 0; key < NKEYS; key++)
	{
		find(key, &at, key & 1);
		put(key, kalam_cache_ticket(the_cache, GROUP), 9, 9);
		find(key, &at, key & 1);
	}
}

static void
finish(void)
{
	if (the_case->deaths == 0)
	{
		nothing_is_left();
		all_can_be_used();
	}
	else
		hits_are_right();
}

/* ---- all of them ---- */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static ModelResult
run_case(const Case *c, FILE *trace)
{
	ModelScenario s = {.name = c->name, .setup = setup, .finish = finish,
	.switches = c->switches == ANY ? ANY : c->switches + deep, .stale = c->stale, .deaths = c->deaths, .no_races = c->stale == 0};

	the_case = c;
	for (int i = 0; i < MODEL_PROCESSES && c->acts[i][0].what != END; i++)
		s.process[i] = process;
	return model_run(&s, trace);
}

static bool
wanted(const Case *c, int argc, char **argv)
{
	for (int j = 0; j < argc; j++)
		if (strncmp(c->name, argv[j], strlen(argv[j])) == 0)
			return true;
	return argc == 0;
}

static bool
run_all(int argc, char **argv)
{
	bool		good = true;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const Case *c = &cases[i];
		double		start = now();
		ModelResult r;
		bool		right;

		if (!wanted(c, argc, argv))
			continue;
		r = run_case(c, c->wrong == RIGHT || argc > 0 ? stderr : NULL);
		right = c->wrong == RIGHT ? !r.failed && r.complete : r.failed;
		printf("%s - %s: %llu states, %llu ends, %.1f s%s%s\n", right ? "ok" : "not ok", c->name,
			   (unsigned long long) r.states, (unsigned long long) r.ends, now() - start,
			   r.failed ? ": " : "", r.failed ? r.message : "");
		fflush(stdout);
		good = good && right;
	}
	return good;
}

/* Each place that acquires or releases, made relaxed: is it noticed? */
static void
weaken_all(int argc, char **argv)
{
	uint32_t	places = 0;

	/* the first time finds the places */
	for (uint32_t place = 0; place <= places; place++)
	{
		ModelResult r = {0};
		const Case *by = NULL;

		model_weaken(place);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && by == NULL; i++)
			if (cases[i].wrong == RIGHT && cases[i].stale > 0 && wanted(&cases[i], argc, argv) &&
				(r = run_case(&cases[i], NULL)).failed)
				by = &cases[i];
		while (model_place(places + 1) != NULL)
			places++;
		if (place > 0)
			printf("%s: %s%s%s\n", model_place(place), by != NULL ? by->name : "not noticed",
				   by != NULL ? ": " : "", by != NULL ? r.message : "");
		fflush(stdout);
	}
	model_weaken(0);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-weaken") == 0)
	{
		weaken_all(argc - 2, argv + 2);
		return 0;
	}
	deep = argc > 1 && strcmp(argv[1], "-deep") == 0;
	return run_all(argc - 1 - deep, argv + 1 + deep) ? 0 : 1;
}
