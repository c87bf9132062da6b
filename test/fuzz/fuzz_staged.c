/*
 * fuzz_staged.c
 *	  The input is a list of adds, savepoints, rollbacks and look-ups; what is
 *	  found must be what the naive model finds.
 */
#include "test/fuzz/fuzz.h"
#include "test/unit/staged_model.h"

#define MAX_STEPS 300
#define MAX_MARKS 16

static size_t
take_key(Input *in, uint8_t *key)
{
	size_t		len = take_byte(in) % 6;

	for (size_t i = 0; i < len; i++)
		key[i] = take_byte(in);
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	ModelMemory counted = {0};
	KalamStagedMemory memory = {model_alloc, model_free, &counted};
	KalamStaged *s = kalam_staged_create(&memory);
	Model		m = {0};
	KalamStagedMark marks[MAX_MARKS];
	int			nmarks = 0;
	uint32_t	command_id = 0;

	for (int step = 0; step < MAX_STEPS && in.size > 0; step++)
	{
		uint8_t		key[MODEL_MAX_KEY];
		uint8_t		what = take_byte(&in);
		size_t		len;

		switch (what % 8)
		{
			case 0:
			case 1:
			case 2:
			case 3:
				len = take_key(&in, key);
				model_add(&m, s, key, len, 1 + (what >> 3) % 2, command_id,
						  (uint32_t) (what & 0x80 ? take_bytes(&in, 2) : take_byte(&in)), what);
				break;
			case 4:
				command_id++;
				break;
			case 5:
				if (nmarks < MAX_MARKS)
					marks[nmarks++] = kalam_staged_mark(s);
				break;
			case 6:
				if (nmarks > 0)
				{
					KalamStagedMark mark = marks[take_byte(&in) % nmarks];

					kalam_staged_pop_to(s, mark);
					m.count = mark.nversions;
					while (nmarks > 0 && marks[nmarks - 1].nversions > mark.nversions)
						nmarks--;
				}
				break;
			default:
				len = take_key(&in, key);
				MUST(model_agrees_at(&m, s, key, len, command_id - (what >> 3) % 2));
				break;
		}
	}
	MUST(model_agrees(&m, s, size % (m.count + 1)));
	MUST(kalam_staged_bytes(s) == counted.bytes);
	kalam_staged_destroy(s);
	MUST(counted.bytes == 0 && counted.blocks == 0);
	free(m.versions);
	return 0;
}
