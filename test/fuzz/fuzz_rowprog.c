/*
 * fuzz_rowprog.c
 *	  Any program over any row: neither is read beyond its bytes, a program that
 *	  passes the check ends, and running it twice gives the same.
 *
 * The input fills a program whose parts have the sizes that its head says, so that
 * the check goes deep; its last part is the row.
 */
#include <string.h>

#include "src/shared/rowprog.h"
#include "test/fuzz/fuzz.h"

static void
fill(Input *in, uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = take_byte(in);
}

/* Steps and fields with small numbers, most of which mean something. */
static uint8_t *
take_program(Input *in, size_t *len)
{
	KalamProgramHeader head;
	size_t		fields;
	uint8_t    *bytes;
	uint8_t    *at;

	head.nfields = take_byte(in) % 12;
	head.nsteps = take_byte(in) % 24;
	head.nconstants = take_byte(in) % 6;
	head.data_len = take_byte(in) % 32;
	fields = (head.nfields * sizeof(KalamRowField) + 7) & ~(size_t) 7;
	*len = sizeof(head) + fields + head.nsteps * sizeof(KalamProgramStep) +
		head.nconstants * sizeof(KalamConstant) + head.data_len;
	at = bytes = calloc(1, *len);
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	for (uint32_t i = 0; i < head.nfields; i++)
	{
		static const int16_t lens[] = {-1, 1, 2, 4, 4, 8, 4, 8, 16, 64, -1, -1, -1};
		uint8_t		kind = take_byte(in) % (KALAM_FIELD_KINDS + 1);
		KalamRowField f = {
			.len = lens[kind < KALAM_FIELD_KINDS ? kind : 0],
			.align = (uint8_t) (1 << take_byte(in) % 4),
			.kind = kind
		};

		memcpy(at + i * sizeof(f), &f, sizeof(f));
	}
	at += fields;
	for (uint32_t i = 0; i < head.nsteps; i++)
	{
		KalamProgramStep s = {
			.op = take_byte(in) % (KALAM_STEP_REQUIRE + 2),
			.arg = take_byte(in) % 7,
			.field = take_byte(in) % 12,
			.other = take_byte(in) % 12,
			.measure = take_byte(in) < 192 ? 0 : take_byte(in) % (KALAM_MEASURES + 1),
			.first = take_byte(in) % 24,
			.count = take_byte(in) % 6
		};

		memcpy(at + i * sizeof(s), &s, sizeof(s));
	}
	at += head.nsteps * sizeof(KalamProgramStep);
	for (uint32_t i = 0; i < head.nconstants; i++)
	{
		KalamConstant c;

		if (take_byte(in) & 1)
			fill(in, (uint8_t *) &c, sizeof(c));
		else
		{
			c.bytes.at = take_byte(in) % 32;
			c.bytes.len = take_byte(in) % 32;
		}
		memcpy(at + i * sizeof(c), &c, sizeof(c));
	}
	at += head.nconstants * sizeof(KalamConstant);
	fill(in, at, head.data_len);
	/* sometimes its bytes are not even so good */
	if (take_byte(in) % 16 == 0 && *len > 0)
		bytes[take_bytes(in, 2) % *len] = take_byte(in);
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	size_t		len;
	uint8_t    *bytes = take_program(&in, &len);
	uint8_t    *row = malloc(in.size + 1);
	size_t		row_len = in.size;
	size_t		memory_len = kalam_program_memory(bytes, len);
	void	   *memory = malloc(memory_len + 1);
	KalamProgram p;
	const char *why;

	fill(&in, row, row_len);
	/* (an overread of the last byte is seen as well) */
	row = realloc(row, row_len > 0 ? row_len : 1);
	if (memory_len > 0 && kalam_program_open(&p, bytes, len, memory, &why))
	{
		KalamVerdict first = kalam_program_run(&p, row, row_len);

		MUST(first == kalam_program_run(&p, row, row_len));
		if (p.head.nsteps == 0 && row_len < 5)
			MUST(first == KALAM_ROW_DAMAGED);
	}
	free(memory);
	free(row);
	free(bytes);
	return 0;
}
