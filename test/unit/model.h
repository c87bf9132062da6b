/*
 * model.h
 *	  Runs a few processes in all orders of their accesses to shared memory.
 *
 * The code under test is built with the atomic operations of model_atomics.h: each
 * is a step.  The processes of a scenario are coroutines; the
 * search goes depth-first through the states that steps lead to, keeps what it needs
 * to go back to a state, and leaves a state out that it has seen.  So it is
 * exhaustive within the bounds of the scenario: a number of switches away from a
 * process that could go on, of loads that see an old value, of processes that die.
 *
 * Memory is that of C11 without loads that see later stores: a store is a message
 * that carries what its process knew if it is a release; a load sees the newest
 * message or an older one that nothing it knows of forbids.  Plain accesses that are
 * announced must be ordered against all others to the same bytes.
 *
 * All that processes change, but their stacks, lies in model_memory: the memory
 * under test, and what a scenario notes down to judge by.
 */
#ifndef KALAM_TEST_MODEL_H
#define KALAM_TEST_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "src/shared/atomics.h"

#define MODEL_PROCESSES		4
#define MODEL_MEMORY_BYTES	16384
#define MODEL_UNBOUNDED		255

typedef struct ModelScenario
{
	const char *name;
	void		(*setup) (void);	/* memory is zero before; nobody else runs */
	void		(*process[MODEL_PROCESSES]) (void); /* up to the first that is NULL */
	void		(*finish) (void);	/* after all have ended; may be NULL */
	uint8_t		switches;		/* MODEL_UNBOUNDED: any number */
	uint8_t		stale;			/* loads that see an old value; 0 also saves the search for them */
	uint8_t		deaths;			/* processes that stop for good at any step */
	bool		no_races;		/* plain accesses are no steps and not checked: fewer states */
	uint64_t	most_states;	/* the search gives up there; 0: it must end */
} ModelScenario;

typedef struct ModelResult
{
	bool		failed;
	bool		complete;		/* most_states was not reached */
	uint64_t	states;
	uint64_t	ends;			/* different ones */
	char		message[256];	/* what model_fail said */
} ModelResult;

extern char model_memory[MODEL_MEMORY_BYTES];

/* How much of model_memory is in use; set by setup, 8-aligned. */
extern uint32_t model_memory_used;

/* The failing schedule goes to trace, unless that is NULL; FILE as in stdio. */
extern ModelResult model_run(const ModelScenario *scenario, void *trace);

/* Called by processes and finish: the scenario has failed; does not return in a process. */
extern void model_fail(const char *format,...) __attribute__((format(printf, 1, 2)));

/* Number of the process that runs. */
extern unsigned model_self(void);

/* Makes operations of the order given relaxed at the Nth place (file and line) that
 * has any, 0: none.  Returns that place, NULL beyond the last one of those seen. */
extern void model_weaken(uint32_t place);
extern const char *model_place(uint32_t place);

#endif							/* KALAM_TEST_MODEL_H */
