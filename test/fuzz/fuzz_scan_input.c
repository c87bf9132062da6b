/*
 * fuzz_scan_input.c
 *	  The input is that of a scan, and whether the scan is one of index entries.
 *	  What is accepted is what a second reading of the format accepts, and every
 *	  bound of it lies in the bytes and in the object.
 */
#include <string.h>

#include "src/storage/scan_input.h"
#include "src/storage/storage.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/no_engine.h"

#define OBJECT 300
#define MAX_BYTES 8192

/* ---- a second reading ---- */

static bool
good_bound(const uint8_t *key, size_t len, bool upper, bool index)
{
	uint64_t	object;

	if (len < 4 || len > KALAM_MAX_KEY_BYTES)
		return false;
	object = kalam_get_be32(key);
	if (!index)
		return object == OBJECT || (upper && object == OBJECT + 1 && len == 4);
	if (object != OBJECT || len < 5)
		return false;
	return key[4] == KALAM_KEY_KIND_INDEX ||
		(upper && key[4] == KALAM_KEY_KIND_INDEX + 1 && len == 5);
}

/* (what makes a good one, fuzz_rowprog.c tries) */
static bool
good_filter(const uint8_t *bytes, size_t len)
{
	size_t		size = kalam_program_memory(bytes, len);
	void	   *memory = malloc(size + 1);
	KalamProgram p;
	const char *why;
	bool		good = size > 0 && kalam_program_open(&p, bytes, len, memory, &why);

	free(memory);
	return good;
}

/* (and fuzz_rowagg.c) */
static bool
good_aggregates(const uint8_t *bytes, size_t len)
{
	size_t		size = kalam_aggregator_memory(bytes, len);
	void	   *memory = malloc(size + 1);
	const char *why;
	bool		good = size > 0 && kalam_aggregator_open(bytes, len, memory, &why) != NULL;

	free(memory);
	return good;
}

/*
 * How many ranges the input has, -1 if it has no list, -2 if it is malformed; has
 * it a filter, has it aggregates?
 */
static long
expected(const uint8_t *bytes, size_t len, bool index, bool *filter, bool *aggregates)
{
	long		n = -1;

	*filter = *aggregates = false;

	for (size_t at = 0; at < len;)
	{
		uint32_t	kind,
					size;
		size_t		end;

		if (at + 8 > len)
			return -2;
		memcpy(&kind, bytes + at, 4);
		memcpy(&size, bytes + at + 4, 4);
		at += 8;
		end = at + size;
		if (end > len)
			return -2;
		if (kind == KALAM_SECTION_FILTER && !*filter)
		{
			*filter = good_filter(bytes + at, size);
			if (!*filter)
				return -2;
			at = (end + 7) & ~(size_t) 7;
			continue;
		}
		if (kind == KALAM_SECTION_AGGREGATE && !*aggregates)
		{
			*aggregates = good_aggregates(bytes + at, size);
			if (!*aggregates)
				return -2;
			at = (end + 7) & ~(size_t) 7;
			continue;
		}
		if (kind != KALAM_SECTION_RANGES || n >= 0)
			return -2;
		for (n = 0; at < end; n++)
		{
			size_t		lower_len,
						upper_len;

			if (at + 4 > end)
				return -2;
			lower_len = bytes[at] | (size_t) bytes[at + 1] << 8;
			upper_len = bytes[at + 2] | (size_t) bytes[at + 3] << 8;
			at += 4;
			if (at + lower_len + upper_len > end ||
				!good_bound(bytes + at, lower_len, false, index) ||
				(upper_len > 0 && !good_bound(bytes + at + lower_len, upper_len, true, index)))
				return -2;
			at += lower_len + upper_len;
		}
		at = (end + 7) & ~(size_t) 7;
	}
	return n;
}

/* ---- an input ---- */

static size_t
make_key(Input *in, uint8_t *to, bool index, bool upper)
{
	uint8_t		what = take_byte(in);
	size_t		len = 5 + (what & 15);

	memset(to, what, len);
	kalam_put_key_prefix(to, OBJECT, index ? KALAM_KEY_KIND_INDEX : KALAM_KEY_KIND_ROW);
	if (what >> 4 == 15)
		kalam_put_be32(to, OBJECT + 1);
	else if (what >> 4 == 14)
		kalam_put_be32(to, OBJECT - 1);
	else if (what >> 4 == 13)
		to[4]++;
	else if (what >> 4 == 12)
		len = what & 7;
	else if (what >> 4 < 4 && upper)
		len = 0;
	return len;
}

static size_t
make_input(Input *in, uint8_t *to, bool index)
{
	size_t		len = 0;

	while (in->size > 0 && len < MAX_BYTES / 2)
	{
		uint8_t		what = take_byte(in);
		uint32_t	kind = what % 32 == 0 ? what / 32 : KALAM_SECTION_RANGES;
		uint32_t	size;
		size_t		head = len;

		len += 8;
		if (kind == KALAM_SECTION_FILTER)
		{
			/* one without conditions: a head, and some data */
			memset(to + len, 0, 16);
			to[len + 12] = what >> 6;
			len += 16 + (what >> 6);
		}
		else if (kind == KALAM_SECTION_AGGREGATE && what & 128)
		{
			/* one of nothing */
			memset(to + len, 0, sizeof(KalamAggregationHeader));
			len += sizeof(KalamAggregationHeader);
		}
		for (int n = kind == KALAM_SECTION_FILTER || kind == KALAM_SECTION_AGGREGATE ? 0 : what % 29; n > 0 && in->size > 0 && len < MAX_BYTES / 2; n--)
		{
			uint8_t    *at = to + len;
			uint16_t	lens[2];

			lens[0] = (uint16_t) make_key(in, at + 4, index, false);
			lens[1] = (uint16_t) make_key(in, at + 4 + lens[0], index, true);
			memcpy(at, lens, 4);
			len += 4 + (size_t) lens[0] + lens[1];
		}
		size = (uint32_t) (len - head - 8);
		memcpy(to + head, &kind, 4);
		memcpy(to + head + 4, &size, 4);
		while (len % 8 != 0)
			to[len++] = 0;
		if (what & 128)
			break;
	}
	return len;
}

static bool
lies_in(const ScanInput *input, const uint8_t *key, size_t key_len, size_t len)
{
	return key >= input->bytes && key + key_len <= input->bytes + len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	uint8_t		how = take_byte(&in);
	uint8_t		where = take_byte(&in),
				what = take_byte(&in);
	bool		index = (how & 1) != 0;
	uint8_t    *bytes = malloc(MAX_BYTES);
	uint8_t    *exact;
	size_t		len;
	long		n;
	bool		filter,
				aggregates;
	EngineError err = {0};
	ScanInput  *input;

	if (how & 2)
	{
		len = in.size < MAX_BYTES ? in.size : MAX_BYTES;
		if (len > 0)
			memcpy(bytes, in.data, len);
	}
	else
		len = make_input(&in, bytes, index);
	if (how & 4 && len > 0)
		bytes[where % len] ^= what;
	if (how & 8 && len > 0)
		len -= where % len;
	exact = malloc(len > 0 ? len : 1);
	memcpy(exact, bytes, len);

	n = expected(exact, len, index, &filter, &aggregates);
	input = scan_input_open(exact, (uint32_t) len, OBJECT, index, &err);
	memset(exact, 0xA5, len);	/* whoever wrote it may write again */
	MUST((input == NULL) == (n == -2));
	if (input == NULL)
		MUST(err.code == KALAM_ERR_PROTOCOL && err.message[0] != '\0');
	else
	{
		MUST(input->has_filter == filter);
		MUST((input->aggregator != NULL) == aggregates);
		MUST(input->has_ranges == (n >= 0) && input->nranges == (n >= 0 ? n : 0));
		for (uint32_t i = 0; i < input->nranges; i++)
		{
			const ScanRange *r = &input->ranges[i];

			MUST(lies_in(input, r->lower, r->lower_len, len));
			MUST(good_bound(r->lower, r->lower_len, false, index));
			if (r->upper_len == 0)
				continue;
			MUST(lies_in(input, r->upper, r->upper_len, len));
			MUST(good_bound(r->upper, r->upper_len, true, index));
		}
		scan_input_close(input);
	}
	free(exact);
	free(bytes);
	return 0;
}
