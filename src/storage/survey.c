/*
 * survey.c
 *	  How much of a range lies in memory, and where: see survey.h.
 *
 * The store does not tell.  Keys are counted while they are few; from then on runs
 * of keys are, with leaps between them, as wide as the keys of a run lie apart and
 * wider the longer it takes.  What follows are estimates.  It takes no lock.
 */
#include "src/storage/survey.h"

#include "src/storage/storage.h"

/* keys counted at once; runs until leaps get twice as wide; enough for any memory */
#define RUN_KEYS		32
#define RUNS_PER_LEVEL	128
#define MAX_RUNS		(16 * RUNS_PER_LEVEL)

/* deleted keys in a row that are stepped over */
#define PATIENCE		(1 << 20)

/*
 * Counts a run from where the iterator stands, which then stands behind it; *last
 * is its last key, copied into a buffer of KALAM_MAX_KEY_BYTES.
 */
static uint32_t
count_run(Survey *s, EngineIter *it, Key *first, Key *last, uint64_t *bytes)
{
	const uint8_t *key;
	const uint8_t *value;
	size_t		key_len,
				value_len;
	uint32_t	n = 0;

	*bytes = 0;
	while (n < RUN_KEYS && engine_iter_entry(it, &key, &key_len, &value, &value_len) &&
		   key_len <= KALAM_MAX_KEY_BYTES)
	{
		if (n++ == 0)
			*first = key_keep(&s->chunks, key, key_len);
		memcpy((uint8_t *) last->bytes, key, last->len = key_len);
		*bytes += key_len + value_len;
		engine_iter_move(it, false);
	}
	return n;
}

/*
 * Leaps as far behind a run as `leap` runs would reach.  Returns how many runs
 * the keys up to the place of landing amount to.
 */
static double
leap(EngineIter *it, Key first, Key last, uint32_t leap)
{
	uint8_t		target[KALAM_MAX_KEY_BYTES + 8];
	size_t		prefix = key_common_prefix(first, last);
	uint64_t	a = key_number_at(first, prefix);
	uint64_t	b = key_number_at(last, prefix);
	uint64_t	width = b > a ? b - a : 1;
	uint64_t	n = width > (UINT64_MAX - b) / leap ? UINT64_MAX : b + width * leap;
	Key			before = {0};
	const uint8_t *value;
	size_t		value_len;
	double		runs = 1;

	memcpy(target, first.bytes, prefix);
	kalam_put_be64(target + prefix, n);
	/* how far keys like these go: the last one before the target tells */
	engine_iter_seek(it, target, prefix + 8, true);
	if (engine_iter_entry(it, &before.bytes, &before.len, &value, &value_len) &&
		before.len >= prefix && memcmp(before.bytes, first.bytes, prefix) == 0)
	{
		uint64_t	reached = key_number_at(before, prefix);

		if (reached > b)
			runs += (double) (reached - b) / (double) width;
	}
	engine_iter_seek(it, target, prefix + 8, false);
	return runs;
}

void
survey_begin(Survey *s, EngineFamily *family, Key lower, Key upper)
{
	EngineIter *it = engine_iter_open_memory(storage.engine, family, lower.bytes, lower.len,
											 upper.bytes, upper.len, PATIENCE);
	uint8_t		buffer[KALAM_MAX_KEY_BYTES];
	Key			last = {buffer, 0};

	memset(s, 0, sizeof(*s));
	s->runs = malloc(MAX_RUNS * sizeof(SurveyRun));
	engine_iter_start(it, false);
	while (s->nruns < MAX_RUNS)
	{
		SurveyRun  *run = &s->runs[s->nruns];
		uint32_t	level = s->nruns / RUNS_PER_LEVEL;
		uint64_t	bytes;
		uint32_t	n = count_run(s, it, &run->first, &last, &bytes);
		double		runs = 1;

		if (n == 0)
			break;
		run->before = s->bytes;
		s->nruns++;
		if (level > 0 && engine_iter_valid(it))
			runs = leap(it, run->first, last, (2u << level) - 1);
		s->bytes += (uint64_t) ((double) bytes * runs);
		s->keys += n * runs;
	}
	engine_iter_close(it);
}

void
survey_end(Survey *s)
{
	key_chunks_free(s->chunks);
	free(s->runs);
}

uint64_t
survey_bytes_before(const Survey *s, Key key)
{
	uint32_t	low = 0;
	uint32_t	high = s->nruns;

	while (low < high)
	{
		uint32_t	mid = (low + high) / 2;

		if (key_order(s->runs[mid].first, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->nruns ? s->runs[low].before : s->bytes;
}
