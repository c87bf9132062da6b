/*
 * fuzz_rowagg.c
 *	  Any aggregation over any rows: nothing is read outside of them, rows that are
 *	  taken are counted once, and the groups that come of it can be read.
 *
 * The input fills an aggregation whose parts have the sizes that its head says; the
 * rest of it is rows.
 */
#include <string.h>

#include "src/shared/rowagg.h"
#include "test/fuzz/fuzz.h"

#define MAX_FIELDS 8
#define MAX_ITEMS 8

static uint8_t *
take_aggregation(Input *in, size_t *len, bool *counts)
{
	static const int16_t lens[] = {-1, 1, 2, 4, 4, 8, 4, 8, 16, 64, -1, -1, -1};
	KalamAggregationHeader head = {
		1 + take_byte(in) % MAX_FIELDS, take_byte(in) % 3, 1 + take_byte(in) % MAX_ITEMS, 0
	};
	size_t		fields = (head.nfields * sizeof(KalamRowField) + 7) & ~(size_t) 7;
	size_t		group = (head.ngroup * sizeof(uint16_t) + 7) & ~(size_t) 7;
	uint8_t    *bytes;
	uint8_t    *at;

	*len = sizeof(head) + fields + group + head.nitems * sizeof(KalamAggregateItem);
	at = bytes = calloc(1, *len);
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	for (uint32_t i = 0; i < head.nfields; i++)
	{
		uint8_t		kind = take_byte(in) % KALAM_FIELD_KINDS;
		KalamRowField f = {lens[kind], (uint8_t) (1 << take_byte(in) % 4), kind};

		memcpy(at + i * sizeof(f), &f, sizeof(f));
	}
	at += fields;
	for (uint32_t i = 0; i < head.ngroup; i++)
	{
		uint16_t	field = take_byte(in) % (MAX_FIELDS + 1);

		memcpy(at + i * sizeof(field), &field, sizeof(field));
	}
	at += group;
	for (uint32_t i = 0; i < head.nitems; i++)
	{
		uint8_t		op = take_byte(in);
		KalamAggregateItem item = {op % 8 % 7, op < 128 ? 0 : op / 8 % 5, take_byte(in) % (MAX_FIELDS + 1)};

		if (i == 0 || item.field == MAX_FIELDS)
			item = (KalamAggregateItem) {KALAM_AGG_COUNT, 0, KALAM_AGG_NO_FIELD};
		memcpy(at + i * sizeof(item), &item, sizeof(item));
	}
	*counts = true;
	if (take_byte(in) % 16 == 0)
	{
		bytes[take_byte(in) % *len] = take_byte(in);
		*counts = false;		/* item 0 may not be what it was */
	}
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	size_t		len;
	bool		counts;
	uint8_t    *bytes = take_aggregation(&in, &len, &counts);
	size_t		memory_len = kalam_aggregator_memory(bytes, len);
	void	   *memory = NULL;
	KalamAggregator *a = NULL;
	const char *why;
	uint64_t	taken = 0;
	uint64_t	counted = 0;

	if (memory_len > 0)
	{
		memory = malloc(memory_len);
		a = kalam_aggregator_open(bytes, len, memory, &why);
	}
	while (a != NULL && in.size > 0)
	{
		static KalamAggregateResult results[KALAM_AGGREGATE_MAX_ITEMS];
		static KalamRowValue groups[KALAM_AGGREGATE_MAX_GROUP];
		size_t		row_len = take_byte(&in);
		uint8_t    *row = malloc(row_len + 1);
		KalamTaken	what;

		for (size_t i = 0; i < row_len; i++)
			row[i] = take_byte(&in);
		row = realloc(row, row_len > 0 ? row_len : 1);
		what = kalam_aggregator_take(a, row, row_len);
		MUST(what != KALAM_TAKE_FULL);	/* so many rows do not come */
		taken += what == KALAM_TAKEN;
		/* its other values are looked at only now: they may be damaged */
		if (what == KALAM_TAKE_UNFIT)
			(void) kalam_aggregate_row(a, row, row_len, results, groups);
		free(row);
	}
	for (uint32_t i = 0; a != NULL && i < kalam_aggregator_groups(a); i++)
	{
		static KalamAggregateResult results[KALAM_AGGREGATE_MAX_ITEMS];
		static KalamRowValue groups[KALAM_AGGREGATE_MAX_GROUP];
		size_t		group_len;
		const uint8_t *group = kalam_aggregator_group(a, i, &group_len);

		MUST(kalam_aggregate_read(a, group, group_len, results, groups));
		counted += results[0].n;
	}
	if (counts)
		MUST(counted == taken);
	free(memory);
	free(bytes);
	return 0;
}
