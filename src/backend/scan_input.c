/*
 * scan_input.c
 *	  Sections of a scan's input, put together in memory: see scan_input.h.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "src/backend/scan_input.h"

#define FIRST_CAPACITY 1024

void
kalam_input_reset(KalamInput *in)
{
	in->len = 0;
	in->section = 0;
	in->nranges = 0;
}

/* Room for more bytes, with padding behind them; false if that is too much. */
static bool
make_room(KalamInput *in, size_t more)
{
	size_t		want = KALAM_ALIGN8((uint64) in->len + more);

	if (want > KALAM_MAX_INPUT_BYTES)
		return false;
	if (want > in->capacity)
	{
		uint32		capacity = Max(2 * want, FIRST_CAPACITY);

		if (in->bytes == NULL)
			in->bytes = MemoryContextAlloc(in->context, capacity);
		else
			in->bytes = repalloc(in->bytes, capacity);
		in->capacity = capacity;
	}
	return true;
}

void
kalam_input_begin(KalamInput *in, KalamScanSectionKind kind)
{
	KalamScanSection head = {.kind = kind};

	if (!make_room(in, sizeof(head)))
		elog(ERROR, "the input of a scan is too large");
	in->section = in->len;
	in->nranges = 0;
	memcpy(in->bytes + in->len, &head, sizeof(head));
	in->len += sizeof(head);
}

void
kalam_input_end(KalamInput *in)
{
	uint32		len = in->len - in->section - sizeof(KalamScanSection);
	uint32		padded = KALAM_ALIGN8((uint64) in->len);

	memcpy(in->bytes + in->section + offsetof(KalamScanSection, len), &len, sizeof(len));
	memset(in->bytes + in->len, 0, padded - in->len);
	in->len = padded;
}

bool
kalam_input_add(KalamInput *in, const void *data, size_t len)
{
	if (!make_room(in, len))
		return false;
	memcpy(in->bytes + in->len, data, len);
	in->len += len;
	return true;
}

bool
kalam_input_add_range(KalamInput *in, const uint8 *lower, size_t lower_len, const uint8 *upper,
					  size_t upper_len)
{
	uint16		lens[2] = {lower_len, upper_len};

	if (!make_room(in, sizeof(lens) + lower_len + upper_len))
		return false;
	memcpy(in->bytes + in->len, lens, sizeof(lens));
	in->len += sizeof(lens);
	memcpy(in->bytes + in->len, lower, lower_len);
	in->len += lower_len;
	if (upper_len > 0)
		memcpy(in->bytes + in->len, upper, upper_len);
	in->len += upper_len;
	in->nranges++;
	return true;
}
