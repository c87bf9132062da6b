/*
 * test_model.c
 *	  The search through interleavings (model.h) finds what was planted, and only that.
 */
#include "test/unit/model.h"

#include <string.h>

#include "test/unit/unit.h"

typedef struct
{
	_Atomic uint64_t word;
	_Atomic uint64_t flag;
	_Atomic uint64_t other;
	_Atomic uint32_t lock;
	_Atomic uint32_t half;
	uint64_t	plain;
	uint64_t	saw[MODEL_PROCESSES];
} Shared;

#define shared ((Shared *) model_memory)

static void
setup(void)
{
	model_memory_used = sizeof(Shared);
}

static bool
finds(const ModelScenario *scenario, const char *message)
{
	ModelResult result = model_run(scenario, NULL);

	return result.failed && strstr(result.message, message) != NULL;
}

static bool
holds(const ModelScenario *scenario)
{
	ModelResult result = model_run(scenario, stderr);

	return !result.failed && result.complete && result.ends > 0;
}

/* ---- an update that is lost ---- */

static void
adds_in_two_steps(void)
{
	kalam_store(&shared->word, kalam_load(&shared->word, relaxed) + 1, relaxed);
}

static void
adds(void)
{
	kalam_fetch_add(&shared->word, 1, relaxed);
}

static void
adds_by_cas(void)
{
	uint64_t	before = kalam_load(&shared->word, relaxed);

	while (!kalam_cas(&shared->word, &before, before + 1))
		;
}

static void
nothing_lost(void)
{
	if (shared->word != 2)
		model_fail("lost");
}

static void
lost_updates(void)
{
	ModelScenario s = {.name = "lost", .setup = setup, .switches = 1,
		.process = {adds_in_two_steps, adds_in_two_steps}, .finish = nothing_lost};

	CHECK(finds(&s, "lost"));
	s.switches = 0;
	CHECK(holds(&s));
	s.switches = MODEL_UNBOUNDED;
	CHECK(finds(&s, "lost"));
	s.process[0] = s.process[1] = adds;
	CHECK(holds(&s));
	s.process[0] = s.process[1] = adds_by_cas;
	CHECK(holds(&s));
	s.stale = 4;
	CHECK(holds(&s));
}

/* All orders of three times two steps: 6! / (2! 2! 2!). */
static void
notes_order(void)
{
	for (int i = 0; i < 2; i++)
	{
		uint64_t	n = kalam_fetch_add(&shared->flag, 1, relaxed);

		shared->saw[0] |= (uint64_t) model_self() << (2 * n);
	}
}

static void
count_orders(void)
{
	ModelScenario s = {.name = "orders", .setup = setup, .switches = MODEL_UNBOUNDED,
		.process = {notes_order, notes_order, notes_order}};
	ModelResult result = model_run(&s, stderr);

	CHECK(!result.failed && result.complete);
	CHECK(result.ends == 90);
}

/* ---- messages ---- */

static void
sends(void)
{
	kalam_store(&shared->word, 1, relaxed);
	kalam_store(&shared->flag, 1, release);
}

static void
sends_relaxed(void)
{
	kalam_store(&shared->word, 1, relaxed);
	kalam_store(&shared->flag, 1, relaxed);
}

static void
receives(void)
{
	if (kalam_load(&shared->flag, acquire) == 1 && kalam_load(&shared->word, relaxed) != 1)
		model_fail("old");
}

static void
receives_relaxed(void)
{
	if (kalam_load(&shared->flag, relaxed) == 1 && kalam_load(&shared->word, relaxed) != 1)
		model_fail("old");
}

static void
passes_on(void)
{
	uint64_t	one = 1;

	if (one == kalam_load(&shared->flag, relaxed))
		kalam_fetch_add(&shared->flag, 1, relaxed);
}

static void
receives_what_was_passed_on(void)
{
	if (kalam_load(&shared->flag, acquire) == 2 && kalam_load(&shared->word, relaxed) != 1)
		model_fail("old");
}

static void
messages(void)
{
	ModelScenario s = {.name = "messages", .setup = setup, .switches = MODEL_UNBOUNDED, .stale = 2,
		.process = {sends, receives}};

	CHECK(holds(&s));
	s.process[1] = receives_relaxed;
	CHECK(finds(&s, "old"));
	s.stale = 0;
	CHECK(holds(&s));
	s.stale = 2;
	s.process[0] = sends_relaxed;
	s.process[1] = receives;
	CHECK(finds(&s, "old"));
	/* A read-modify-write carries on what it found, in whatever order. */
	s.process[0] = sends;
	s.process[1] = passes_on;
	s.process[2] = receives_what_was_passed_on;
	CHECK(holds(&s));
	s.process[0] = sends_relaxed;
	CHECK(finds(&s, "old"));
}

static void
weakened_places(void)
{
	ModelScenario s = {.name = "weakened", .setup = setup, .switches = MODEL_UNBOUNDED, .stale = 2,
		.process = {sends, receives}};
	int			found = 0;

	CHECK(holds(&s));
	for (uint32_t i = 1; model_place(i) != NULL; i++)
	{
		model_weaken(i);
		found += finds(&s, "old");
	}
	model_weaken(0);
	CHECK(found == 2);			/* the store, and the load */
}

/* ---- two flags ---- */

static void
raises_and_looks(void)
{
	_Atomic uint64_t *mine = model_self() == 0 ? &shared->flag : &shared->other;
	_Atomic uint64_t *theirs = model_self() == 0 ? &shared->other : &shared->flag;

	kalam_store(mine, 1, release);
	shared->saw[model_self()] = kalam_load(theirs, acquire);
}

static void
raises_and_looks_in_order(void)
{
	_Atomic uint64_t *mine = model_self() == 0 ? &shared->flag : &shared->other;
	_Atomic uint64_t *theirs = model_self() == 0 ? &shared->other : &shared->flag;

	kalam_store(mine, 1, seq_cst);
	shared->saw[model_self()] = kalam_load(theirs, seq_cst);
}

static void
one_saw(void)
{
	if (shared->saw[0] == 0 && shared->saw[1] == 0)
		model_fail("both");
}

static void
two_flags(void)
{
	ModelScenario s = {.name = "flags", .setup = setup, .switches = MODEL_UNBOUNDED, .stale = 2,
		.process = {raises_and_looks, raises_and_looks}, .finish = one_saw};

	CHECK(finds(&s, "both"));
	s.stale = 0;
	CHECK(holds(&s));
	s.stale = 2;
	s.process[0] = s.process[1] = raises_and_looks_in_order;
	CHECK(holds(&s));
}

/* ---- plain accesses ---- */

static void
writes_under_lock(void)
{
	uint32_t	none = 0;

	if (kalam_cas(&shared->lock, &none, 1))
	{
		kalam_writes(&shared->plain, 8);
		shared->plain++;
		kalam_store(&shared->lock, 0, release);
	}
}

static void
writes_under_weak_lock(void)
{
	uint32_t	none = 0;

	if (kalam_cas(&shared->lock, &none, 1))
	{
		kalam_writes(&shared->plain, 8);
		shared->plain++;
		kalam_store(&shared->lock, 0, relaxed);
	}
}

static void
reads_at_will(void)
{
	kalam_reads(&shared->plain, 8);
	(void) shared->plain;
}

static void
plain_accesses(void)
{
	ModelScenario s = {.name = "plain", .setup = setup, .switches = MODEL_UNBOUNDED, .stale = 1,
		.process = {writes_under_lock, writes_under_lock}};

	CHECK(holds(&s));
	s.stale = 0;
	CHECK(holds(&s));
	s.process[1] = writes_under_weak_lock;
	CHECK(finds(&s, "race"));
	s.process[1] = reads_at_will;
	CHECK(finds(&s, "race"));
	s.process[0] = reads_at_will;
	CHECK(holds(&s));
}

/* ---- what dies, and what waits ---- */

static void
locks(void)
{
	uint32_t	none = 0;

	while (!kalam_cas(&shared->lock, &none, 1))
		none = 0;
	kalam_store(&shared->half, 1, relaxed);
	kalam_store(&shared->lock, 0, release);
}

static void
deaths_and_waits(void)
{
	ModelScenario s = {.name = "deaths", .setup = setup, .switches = MODEL_UNBOUNDED, .deaths = 1,
		.process = {adds_by_cas, adds_by_cas}};

	CHECK(holds(&s));
	s.process[0] = s.process[1] = locks;
	CHECK(finds(&s, "waits"));	/* even if nobody dies: that is the point of it */
	s.deaths = 0;
	CHECK(finds(&s, "waits"));
	s.switches = 1;
	CHECK(finds(&s, "waits"));
	s.switches = 0;
	CHECK(holds(&s));
	s.deaths = 1;
	CHECK(finds(&s, "waits"));
}

int
main(void)
{
	unit_run(lost_updates);
	unit_run(count_orders);
	unit_run(messages);
	unit_run(weakened_places);
	unit_run(two_flags);
	unit_run(plain_accesses);
	unit_run(deaths_and_waits);
	return unit_finish("test_model");
}
