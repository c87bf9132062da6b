/*
 * survey.h - how much of a range lies in memory, and where.
 */
#ifndef KALAM_STORAGE_SURVEY_H
#define KALAM_STORAGE_SURVEY_H

#include "src/storage/engine.h"
#include "src/storage/key_numbers.h"

typedef struct SurveyRun
{
	Key			first;
	uint64_t	before;			/* bytes in memory before it */
} SurveyRun;

typedef struct Survey
{
	SurveyRun  *runs;			/* ascending */
	uint32_t	nruns;
	double		keys;			/* estimates for the range: newest versions only */
	uint64_t	bytes;
	KeyChunk   *chunks;
} Survey;

/* Looks at the keys of the range that are not in files.  Takes some ms at most. */
extern void survey_begin(Survey *s, EngineFamily *family, Key lower, Key upper);
extern void survey_end(Survey *s);

/* About how many bytes lie before the key. */
extern uint64_t survey_bytes_before(const Survey *s, Key key);

#endif
