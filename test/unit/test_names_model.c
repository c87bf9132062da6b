/*
 * test_names_model.c
 *	  The names of the server in all interleavings of a few processes (model.h).
 *
 * Whoever enters or finds a name gets the same number, which has the name's bytes.
 */
#include "src/shared/names.h"

#include <stdio.h>
#include <string.h>

#include "src/shared/segment.h"
#include "test/unit/model.h"
#include "test/unit/unit.h"

#define NAMES_BYTES		4096
#define PROCESSES		3
#define MAX_ACTS		4

typedef struct Shared
{
	uint32_t	numbers[4];		/* that some process got, of each text */
	_Alignas(64) char names[];
} Shared;

#define shared ((Shared *) model_memory)
#define the_names ((KalamNames *) shared->names)

/* The first three begin their search at the same place; one takes more room. */
static char texts[4][40];

/* What a process does: numbers of texts to enter; with FIND, to find. */
#define FIND	16
#define END		32

typedef struct Case
{
	ModelScenario scenario;
	uint32_t	room;			/* units of 16 bytes that are left; 0: many */
	uint8_t		acts[PROCESSES][MAX_ACTS];
} Case;

static const Case *the_case;

static uint32_t
first_place(const char *text)
{
	uint32_t	nplaces = NAMES_BYTES / 16;

	return (uint32_t) ((kalam_hash(text, strlen(text), 0) >> 32) * nplaces >> 32);
}

static void
make_texts(void)
{
	uint32_t	n = 1;

	strcpy(texts[0], "a");
	for (int i = 0; n < 3; i++)
	{
		snprintf(texts[n], sizeof(texts[n]), n == 2 ? "a_name_of_more_than_a_unit_%d" : "n%d", i);
		n += first_place(texts[n]) == first_place(texts[0]);
	}
	strcpy(texts[3], "z");
}

static void
check_number(uint32_t text, uint32_t number)
{
	if (kalam_name_len(the_names, number) != strlen(texts[text]) ||
		strcmp(kalam_name_text(the_names, number), texts[text]) != 0)
		model_fail("text %u has number %u, which is \"%s\"", text, number,
				   kalam_name_text(the_names, number));
	if (shared->numbers[text] != KALAM_NAME_NONE && shared->numbers[text] != number)
		model_fail("text %u has numbers %u and %u", text, shared->numbers[text], number);
	shared->numbers[text] = number;
}

static void
process(void)
{
	const uint8_t *acts = the_case->acts[model_self()];

	for (uint32_t i = 0; i < MAX_ACTS && acts[i] != END; i++)
	{
		uint32_t	text = acts[i] % FIND;
		uint32_t	len = (uint32_t) strlen(texts[text]);
		uint32_t	number = acts[i] >= FIND ?
			kalam_name_find(the_names, texts[text], len) :
			kalam_name_enter(the_names, texts[text], len);

		if (number != KALAM_NAME_NONE)
			check_number(text, number);
		else if (acts[i] < FIND && the_case->room == 0)
			model_fail("text %u was not entered", text);
	}
}

/* Enters so many names of a unit each; returns how many there was room for. */
static uint32_t
fill(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
	{
		char		text[12];	/* one unit, with what goes before it */

		snprintf(text, sizeof(text), "f%u", i);
		if (kalam_name_enter(the_names, text, (uint32_t) strlen(text)) == KALAM_NAME_NONE)
			return i;
	}
	return n;
}

static void
setup(void)
{
	model_memory_used = sizeof(Shared) + NAMES_BYTES;
	kalam_names_init(the_names, NAMES_BYTES);
	if (the_case->room > 0)
	{
		uint32_t	all = fill(UINT32_MAX);

		kalam_names_init(the_names, NAMES_BYTES);
		fill(all - the_case->room);
	}
}

/* Each is found under the number that was given out, and can be entered again. */
static void
finish(void)
{
	for (uint32_t text = 0; text < 4; text++)
	{
		uint32_t	len = (uint32_t) strlen(texts[text]);
		uint32_t	number = kalam_name_find(the_names, texts[text], len);

		if (number != KALAM_NAME_NONE)
			check_number(text, number);
		else if (shared->numbers[text] != KALAM_NAME_NONE)
			model_fail("text %u is not found", text);
		number = kalam_name_enter(the_names, texts[text], len);
		if (number != KALAM_NAME_NONE)
			check_number(text, number);
	}
}

static const Case cases[] = {
	{
		{.name = "one name", .switches = MODEL_UNBOUNDED},
		.acts = {{0, FIND + 0, END}, {0, FIND + 0, END}, {FIND + 0, 0, END}},
	},
	{
		{.name = "names of one place", .switches = MODEL_UNBOUNDED},
		.acts = {{0, FIND + 1, END}, {1, FIND + 0, END}, {2, FIND + 1, END}},
	},
	{
		{.name = "one name twice, and another of its place", .switches = MODEL_UNBOUNDED},
		.acts = {{2, FIND + 0, END}, {2, FIND + 2, END}, {0, 3, END}},
	},
	{
		{.name = "room for one of two", .switches = MODEL_UNBOUNDED}, .room = 3,
		.acts = {{2, 0, END}, {2, 1, END}, {1, 3, END}},
	},
	{
		{.name = "a death", .switches = MODEL_UNBOUNDED, .deaths = 1},
		.acts = {{0, END}, {0, 1, END}, {2, 0, END}},
	},
	{
		{.name = "old values", .switches = MODEL_UNBOUNDED, .stale = 2},
		.acts = {{0, END}, {1, FIND + 0, END}, {FIND + 0, 1, END}},
	},
	{
		{.name = "old values, room given back", .switches = 4, .stale = 2},
		.acts = {{2, 3, END}, {2, 1, END}, {FIND + 1, FIND + 3, END}},
	},
};

static ModelResult
run_case(const Case *c, FILE *trace)
{
	ModelScenario s = c->scenario;

	the_case = c;
	s.setup = setup;
	s.finish = finish;
	for (int i = 0; i < PROCESSES; i++)
		s.process[i] = process;
	return model_run(&s, trace);
}

static void
all_interleavings(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		ModelResult r = run_case(&cases[i], stderr);

		CHECK(!r.failed && r.complete && r.ends > 0);
		printf("test_names_model: %s: %llu states\n", cases[i].scenario.name,
			   (unsigned long long) r.states);
	}
}

/* What acquires and releases is needed: by one of the cases with old values. */
static void
orders_matter(void)
{
	uint32_t	places = 0;
	uint32_t	noticed = 0;

	for (uint32_t place = 1; model_place(place) != NULL; place++, places++)
	{
		model_weaken(place);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			if (cases[i].scenario.stale > 0 && run_case(&cases[i], NULL).failed)
			{
				noticed++;
				break;
			}
	}
	model_weaken(0);
	CHECK(places == 4);
	CHECK(noticed == 4);
}

int
main(void)
{
	make_texts();
	unit_run(all_interleavings);
	unit_run(orders_matter);
	return unit_finish("test_names_model");
}
