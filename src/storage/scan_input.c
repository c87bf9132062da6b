/*
 * scan_input.c
 *	  The input of a SCAN, from bytes of shared memory to checked sections.
 *
 * The bytes are copied before anything in them is looked at: their writer could
 * change them between a check and its use.  No store is touched here.
 */
#include "src/storage/scan_input.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/storage.h"

#define RANGE_HEADER_BYTES 4

/* ---- bounds ---- */

/* A lower bound lies among the keys that may be read, an upper one at most behind them. */
static bool
check_bound(const uint8_t *key, uint16_t len, bool is_upper, uint32_t object_id, bool index,
			EngineError *err)
{
	const char *name = is_upper ? "upper" : "lower";
	size_t		prefix_len = index ? KALAM_KEY_PREFIX_BYTES : 4;
	uint8_t		first[KALAM_KEY_PREFIX_BYTES];
	uint8_t		behind[KALAM_KEY_PREFIX_BYTES];
	int			cmp;

	if (len < 4 || len > KALAM_MAX_KEY_BYTES)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "%s bound of a scan has %u bytes", name, len);
		return false;
	}
	kalam_put_key_prefix(first, object_id, KALAM_KEY_KIND_INDEX);
	kalam_put_key_prefix(behind, index ? object_id : object_id + 1, KALAM_KEY_KIND_INDEX + 1);
	cmp = key_compare(key, len, behind, prefix_len);
	if (key_compare(key, len, first, prefix_len) >= 0 && (cmp < 0 || (is_upper && cmp == 0)))
		return true;
	engine_error(err, KALAM_ERR_PROTOCOL, "%s bound of a scan of object %u lies outside it", name,
				 object_id);
	return false;
}

bool
scan_range_check(const ScanRange *range, uint32_t object_id, bool index, EngineError *err)
{
	return check_bound(range->lower, range->lower_len, false, object_id, index, err) &&
		(range->upper_len == 0 ||
		 check_bound(range->upper, range->upper_len, true, object_id, index, err));
}

/* ---- sections ---- */

/* How many ranges the section holds; UINT32_MAX if it ends inside one. */
static uint32_t
count_ranges(const uint8_t *at, size_t len)
{
	uint32_t	n = 0;

	while (len > 0)
	{
		uint16_t	lens[2];
		size_t		size;

		if (len < RANGE_HEADER_BYTES)
			return UINT32_MAX;
		memcpy(lens, at, RANGE_HEADER_BYTES);
		size = RANGE_HEADER_BYTES + (size_t) lens[0] + lens[1];
		if (len < size)
			return UINT32_MAX;
		at += size;
		len -= size;
		n++;
	}
	return n;
}

static bool
read_ranges(ScanInput *input, const uint8_t *at, size_t len, uint32_t object_id, bool index,
			EngineError *err)
{
	uint32_t	n = count_ranges(at, len);

	if (n == UINT32_MAX)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a list of ranges ends inside a range");
		return false;
	}
	if (input->has_ranges)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a scan has two lists of ranges");
		return false;
	}
	input->has_ranges = true;
	input->nranges = n;
	input->ranges = malloc((n > 0 ? n : 1) * sizeof(ScanRange));
	if (input->ranges == NULL)
		abort();
	for (uint32_t i = 0; i < n; i++)
	{
		ScanRange  *r = &input->ranges[i];

		memcpy(&r->lower_len, at, 2);
		memcpy(&r->upper_len, at + 2, 2);
		r->lower = at + RANGE_HEADER_BYTES;
		r->upper = r->lower + r->lower_len;
		at = r->upper + r->upper_len;
		if (!scan_range_check(r, object_id, index, err))
			return false;
	}
	return true;
}

static bool
read_filter(ScanInput *input, const uint8_t *at, size_t len, EngineError *err)
{
	const char *why = "its parts do not fit its length";
	size_t		memory = kalam_program_memory(at, len);

	if (input->has_filter)
		why = "there is another one";
	else if (memory > 0)
	{
		input->filter_memory = malloc(memory);
		if (input->filter_memory == NULL)
			abort();
		input->has_filter = kalam_program_open(&input->filter, at, len, input->filter_memory, &why);
		if (input->has_filter)
			return true;
	}
	engine_error(err, KALAM_ERR_PROTOCOL, "the filter of a scan is none: %s", why);
	return false;
}

static bool
read_aggregates(ScanInput *input, const uint8_t *at, size_t len, EngineError *err)
{
	const char *why = "its parts do not fit its length";
	size_t		memory = kalam_aggregator_memory(at, len);

	if (input->aggregator_memory != NULL)
		why = "there is another one";
	else if (memory > 0)
	{
		input->aggregator_memory = malloc(memory);
		if (input->aggregator_memory == NULL)
			abort();
		input->aggregator = kalam_aggregator_open(at, len, input->aggregator_memory, &why);
		if (input->aggregator != NULL)
			return true;
	}
	engine_error(err, KALAM_ERR_PROTOCOL, "the aggregation of a scan is none: %s", why);
	return false;
}

static bool
read_sections(ScanInput *input, size_t len, uint32_t object_id, bool index, EngineError *err)
{
	for (size_t at = 0; at < len;)
	{
		KalamScanSection head;

		if (len - at < sizeof(head))
		{
			engine_error(err, KALAM_ERR_PROTOCOL, "the input of a scan ends inside a section");
			return false;
		}
		memcpy(&head, input->bytes + at, sizeof(head));
		at += sizeof(head);
		if (head.len > len - at)
		{
			engine_error(err, KALAM_ERR_PROTOCOL, "a section of a scan's input has %u bytes of %zu",
						 head.len, len - at);
			return false;
		}
		switch (head.kind)
		{
			case KALAM_SECTION_RANGES:
				if (!read_ranges(input, input->bytes + at, head.len, object_id, index, err))
					return false;
				break;
			case KALAM_SECTION_FILTER:
				if (!read_filter(input, input->bytes + at, head.len, err))
					return false;
				break;
			case KALAM_SECTION_AGGREGATE:
				if (!read_aggregates(input, input->bytes + at, head.len, err))
					return false;
				break;
			default:
				engine_error(err, KALAM_ERR_PROTOCOL, "unknown section %u in a scan's input",
							 head.kind);
				return false;
		}
		at += KALAM_ALIGN8(head.len);
	}
	return true;
}

ScanInput *
scan_input_open(const uint8_t *bytes, uint32_t len, uint32_t object_id, bool index,
				EngineError *err)
{
	ScanInput  *input;

	if (len > KALAM_MAX_INPUT_BYTES)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a scan's input has %u bytes", len);
		return NULL;
	}
	input = calloc(1, sizeof(ScanInput));
	input->bytes = malloc(len > 0 ? len : 1);
	if (input->bytes == NULL)
		abort();
	memcpy(input->bytes, bytes, len);
	if (!read_sections(input, len, object_id, index, err))
	{
		scan_input_close(input);
		return NULL;
	}
	return input;
}

void
scan_input_close(ScanInput *input)
{
	free(input->ranges);
	free(input->filter_memory);
	free(input->aggregator_memory);
	free(input->bytes);
	free(input);
}
