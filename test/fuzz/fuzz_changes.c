/*
 * fuzz_changes.c
 *	  The input is a list of changes, spills, savepoints, rollbacks, failures,
 *	  look-ups and scans; what is found must be what the naive model finds.
 */
#include "test/fuzz/fuzz.h"
#include "test/unit/changes_model.h"

#define MAX_STEPS 400

static uint64_t
number(void *arg, uint64_t below)
{
	return take_bytes(arg, below > 256 ? 2 : 1) % below;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static World world;
	Input		in = {data, size};

	memset(&world, 0, sizeof(world));
	world.number = number;
	world.arg = &in;
	world.bound = take_byte(&in) % 2 ? 1024 : 8 * 1024;
	world_begin(&world);
	for (int step = 0; step < MAX_STEPS && in.size > 0; step++)
		MUST(world_step(&world));
	MUST(world_agrees(&world, KALAM_ANY_COMMAND));
	MUST(world_end(&world));
	world_free_all(&world);
	return 0;
}
