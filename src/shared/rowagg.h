/*
 * rowagg.h
 *	  Aggregates over stored rows, by groups of equal columns.
 *
 * C11 only.  Storage runs it over rows that pass a scan's filter and sends groups
 * instead of rows; a backend runs it over rows of its own.  What comes out are
 * *partial* states, as PostgreSQL's parallel aggregation has them: there may be
 * several for a group, which who takes them combines.  Rows are of one group if
 * the bytes of their group columns are the same, which may be finer than what SQL
 * calls equal.
 *
 * An aggregator holds as many groups as fit in a block.  A row that begins one too
 * many is told FULL: the groups go out, and it begins anew.  A row whose values
 * do not fit into a state (long texts, numerics of many digits) is told UNFIT: it
 * goes out itself, and is a partial state of its own.
 *
 * Bytes of an aggregation, 8-aligned, in the machine's order:
 *
 *	 size
 *	 16				KalamAggregationHeader
 *	 4 * nfields	KalamRowField, padded to 8: the layout of rows (rowread.h)
 *	 2 * ngroup		numbers of the fields that make groups, padded to 8
 *	 4 * nitems		KalamAggregateItem
 *
 * Bytes of a group: a state for each item, then for each group column a length (4
 * bytes, UINT32_MAX: null) and its value (a varlena without its header).
 */
#ifndef KALAM_ROWAGG_H
#define KALAM_ROWAGG_H

#include "src/shared/rowread.h"
#include "src/shared/rowvalue.h"

/* The groups of an aggregator, sent as rows are, take no more than this. */
#define KALAM_AGGREGATOR_BYTES		(100 * 1024)

#define KALAM_AGGREGATE_MAX_ITEMS	64
#define KALAM_AGGREGATE_MAX_GROUP	32	/* columns */

typedef struct KalamAggregationHeader
{
	uint32_t	nfields;
	uint32_t	ngroup;
	uint32_t	nitems;
	uint32_t	unused;
} KalamAggregationHeader;

typedef enum KalamAggregateOp
{
	KALAM_AGG_COUNT = 1,		/* rows; of a field: those where it is not null */
	KALAM_AGG_SUM,				/* integers; numerics; float4 as float4, float8 as float8 */
	KALAM_AGG_SQUARES,			/* floats: count, sum, and sum of squared deviations */
	KALAM_AGG_MIN,
	KALAM_AGG_MAX
} KalamAggregateOp;

#define KALAM_AGG_NO_FIELD	UINT16_MAX

typedef struct KalamAggregateItem
{
	uint8_t		op;				/* KalamAggregateOp */
	uint8_t		measure;		/* KalamMeasure: of the field's values */
	uint16_t	field;			/* or NO_FIELD: COUNT of rows */
} KalamAggregateItem;

/* numerics are summed digit by digit, those of these weights to base 10000 */
#define KALAM_AGG_DIGITS	8
#define KALAM_AGG_TOP		3	/* weight of the first of them */

/* (memory that PostgreSQL gives is 8-aligned) */
typedef __int128 KalamWideInteger __attribute__((aligned(8)));

/* What came of an item: over the rows of a group, or of a single row. */
typedef struct KalamAggregateResult
{
	uint64_t	n;				/* values: not null, and finite if numeric */
	KalamWideInteger sum;		/* SUM of integers */
	double		f;				/* SUM of floats; of SQUARES */
	double		squares;
	bool		overflow;		/* finite floats came to an infinite one */
	KalamRowValue value;		/* MIN, MAX; SUM of a single row's numeric */
	uint32_t	scale;			/* SUM of numerics, the largest */
	uint64_t	infinite[2];	/* negative and positive ones */
	uint64_t	nan;
	int64_t		digits[KALAM_AGG_DIGITS];
} KalamAggregateResult;

typedef struct KalamAggregator KalamAggregator;

/*
 * Checks the bytes, which must stay where they are; false, with *why as text.
 * Memory is the caller's: kalam_aggregator_memory bytes, 8-aligned (0: the bytes
 * are no aggregation).
 */
extern size_t kalam_aggregator_memory(const uint8_t *bytes, size_t len);
extern KalamAggregator *kalam_aggregator_open(const uint8_t *bytes, size_t len, void *memory,
											  const char **why);

/* For estimates: the size of a state; how many groups of a size are held at once. */
extern size_t kalam_aggregate_state_bytes(KalamAggregateOp op, uint8_t field_kind);
extern uint32_t kalam_aggregator_capacity(size_t group_bytes);

typedef enum KalamTaken
{
	KALAM_TAKEN,
	KALAM_TAKE_FULL,
	KALAM_TAKE_UNFIT,			/* what was not looked at may still be damaged */
	KALAM_TAKE_DAMAGED
} KalamTaken;

extern KalamTaken kalam_aggregator_take(KalamAggregator *a, const uint8_t *row, size_t len);

/* Does it count rows, and nothing else?  Then so many of them can be taken at once. */
extern bool kalam_aggregator_only_counts(const KalamAggregator *a);
extern void kalam_aggregator_count(KalamAggregator *a, uint64_t n);

extern uint32_t kalam_aggregator_groups(const KalamAggregator *a);
extern const uint8_t *kalam_aggregator_group(const KalamAggregator *a, uint32_t i, size_t *len);
extern void kalam_aggregator_clear(KalamAggregator *a);

/*
 * What a group's bytes say.  results and groups have a place for each item and
 * group column; they point into the bytes.  False: damaged.
 */
extern bool kalam_aggregate_read(const KalamAggregator *a, const uint8_t *group, size_t len,
								 KalamAggregateResult *results, KalamRowValue *groups);

/* The same of a single row. */
extern bool kalam_aggregate_row(KalamAggregator *a, const uint8_t *row, size_t len,
								KalamAggregateResult *results, KalamRowValue *groups);

#endif							/* KALAM_ROWAGG_H */
