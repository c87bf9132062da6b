/*
 * rowagg.c
 *	  Aggregates over stored rows: see rowagg.h.
 *
 * Groups lie one behind the other in an arena and are found by a hash table of
 * their places.  A row is first looked at as a whole, then added, so that one that
 * does not fit leaves nothing behind.  Where several values are equal, the one
 * that is kept is the one that PostgreSQL's function would keep.
 */
#include "src/shared/rowagg.h"

#include <math.h>
#include <string.h>

#include "src/shared/segment.h"

/* a group in the arena takes as much as in a block, at least */
#define ARENA_BYTES		KALAM_AGGREGATOR_BYTES
#define GROUP_OVERHEAD	32
#define MAX_GROUPS		2048
#define NSLOTS			(2 * MAX_GROUPS)
#define MAX_KEY_BYTES	2048

/* ---- states ---- */

typedef struct IntegerSum
{
	uint64_t	n;
	uint64_t	low;
	uint64_t	high;
} IntegerSum;

typedef struct FloatSum
{
	uint64_t	n;
	double		f;
	uint64_t	overflow;
} FloatSum;

typedef struct Squares
{
	uint64_t	n;
	double		f;
	double		squares;
	uint64_t	overflow;
} Squares;

typedef struct NumericSum
{
	uint64_t	n;
	uint64_t	scale;
	uint64_t	nan;
	uint64_t	infinite[2];
	int64_t		digits[KALAM_AGG_DIGITS];
} NumericSum;

typedef struct FixedExtreme
{
	uint64_t	n;
	uint8_t		value[8];
} FixedExtreme;

#define EXTREME_BYTES 52

typedef struct VarlenaExtreme
{
	uint64_t	n;
	uint32_t	len;
	uint8_t		value[EXTREME_BYTES];
} VarlenaExtreme;

/* How a state is laid out: by op and kind of field. */
typedef enum StateKind
{
	STATE_NONE,
	STATE_COUNT,
	STATE_INTEGER_SUM,
	STATE_FLOAT4_SUM,
	STATE_FLOAT8_SUM,
	STATE_NUMERIC_SUM,
	STATE_SQUARES,
	STATE_FIXED_EXTREME,
	STATE_VARLENA_EXTREME
} StateKind;

static const size_t state_sizes[] = {
	[STATE_COUNT] = sizeof(uint64_t),
	[STATE_INTEGER_SUM] = sizeof(IntegerSum),
	[STATE_FLOAT4_SUM] = sizeof(FloatSum),
	[STATE_FLOAT8_SUM] = sizeof(FloatSum),
	[STATE_NUMERIC_SUM] = sizeof(NumericSum),
	[STATE_SQUARES] = sizeof(Squares),
	[STATE_FIXED_EXTREME] = sizeof(FixedExtreme),
	[STATE_VARLENA_EXTREME] = sizeof(VarlenaExtreme)
};

typedef struct GroupHead
{
	uint32_t	len;			/* of the group's bytes, which follow */
	uint32_t	hash;
} GroupHead;

struct KalamAggregator
{
	KalamAggregationHeader head;
	const uint16_t *group;		/* fields */
	const KalamAggregateItem *items;
	KalamRowReader reader;
	StateKind	kinds[KALAM_AGGREGATE_MAX_ITEMS];
	uint8_t		field_kinds[KALAM_AGGREGATE_MAX_ITEMS]; /* as which values are understood */
	uint32_t	offsets[KALAM_AGGREGATE_MAX_ITEMS];
	uint32_t	states_len;

	/* of the row under way */
	KalamRowValue values[KALAM_AGGREGATE_MAX_ITEMS];
	KalamNumber numbers[KALAM_AGGREGATE_MAX_ITEMS];
	int32_t		measured[KALAM_AGGREGATE_MAX_ITEMS];
	uint8_t		key[MAX_KEY_BYTES];
	uint32_t	key_len;
	uint32_t	hash;

	uint32_t	ngroups;
	uint32_t	used;			/* of the arena */
	uint32_t	last;			/* number of the group that was used last */
	uint32_t	places[MAX_GROUPS];
	uint16_t	slots[NSLOTS];	/* group number + 1; 0: free */
	_Alignas(8) uint8_t arena[ARENA_BYTES];
};

/* ---- the check ---- */

static bool
is_integer(uint8_t kind)
{
	return kind == KALAM_FIELD_U8 || kind == KALAM_FIELD_I16 || kind == KALAM_FIELD_I32 ||
		kind == KALAM_FIELD_U32 || kind == KALAM_FIELD_I64;
}

static bool
is_float(uint8_t kind)
{
	return kind == KALAM_FIELD_F32 || kind == KALAM_FIELD_F64;
}

static StateKind
state_kind(uint16_t op, uint8_t kind)
{
	switch (op)
	{
		case KALAM_AGG_COUNT:
			return STATE_COUNT;
		case KALAM_AGG_SUM:
			return is_integer(kind) ? STATE_INTEGER_SUM :
				kind == KALAM_FIELD_F32 ? STATE_FLOAT4_SUM :
				kind == KALAM_FIELD_F64 ? STATE_FLOAT8_SUM :
				kind == KALAM_FIELD_NUMERIC ? STATE_NUMERIC_SUM : STATE_NONE;
		case KALAM_AGG_SQUARES:
			return is_float(kind) ? STATE_SQUARES : STATE_NONE;
		case KALAM_AGG_MIN:
		case KALAM_AGG_MAX:
			return is_integer(kind) || is_float(kind) ? STATE_FIXED_EXTREME :
				kind == KALAM_FIELD_BYTES || kind == KALAM_FIELD_PADDED ||
				kind == KALAM_FIELD_NUMERIC ? STATE_VARLENA_EXTREME : STATE_NONE;
		default:
			return STATE_NONE;
	}
}

size_t
kalam_aggregate_state_bytes(KalamAggregateOp op, uint8_t field_kind)
{
	return state_sizes[state_kind((uint16_t) op, field_kind)];
}

uint32_t
kalam_aggregator_capacity(size_t group_bytes)
{
	size_t		n = ARENA_BYTES / (KALAM_ALIGN8(group_bytes) + GROUP_OVERHEAD);

	return (uint32_t) (n < MAX_GROUPS ? n : MAX_GROUPS);
}

static bool
parts(const uint8_t *bytes, size_t len, KalamAggregationHeader *head, size_t *group, size_t *items)
{
	if (len < sizeof(*head))
		return false;
	memcpy(head, bytes, sizeof(*head));
	if (head->nfields > KALAM_ROW_MAX_COLUMNS || head->ngroup > KALAM_AGGREGATE_MAX_GROUP ||
		head->nitems > KALAM_AGGREGATE_MAX_ITEMS)
		return false;
	*group = sizeof(*head) + KALAM_ALIGN8(head->nfields * sizeof(KalamRowField));
	*items = *group + KALAM_ALIGN8(head->ngroup * sizeof(uint16_t));
	return *items + head->nitems * sizeof(KalamAggregateItem) == len;
}

size_t
kalam_aggregator_memory(const uint8_t *bytes, size_t len)
{
	KalamAggregationHeader head;
	size_t		group,
				items;

	if (!parts(bytes, len, &head, &group, &items))
		return 0;
	return sizeof(KalamAggregator) +
		(head.nfields + 1) * (sizeof(KalamRowValue) + sizeof(uint32_t));
}

KalamAggregator *
kalam_aggregator_open(const uint8_t *bytes, size_t len, void *memory, const char **why)
{
	KalamAggregator *a = memory;
	const KalamRowField *fields = (const KalamRowField *) (bytes + sizeof(KalamAggregationHeader));
	KalamRowValue *values = (KalamRowValue *) (a + 1);
	size_t		group,
				items;

	*why = "its parts do not fit its length";
	if (!parts(bytes, len, &a->head, &group, &items))
		return NULL;
	a->group = (const uint16_t *) (bytes + group);
	a->items = (const KalamAggregateItem *) (bytes + items);
	*why = "its layout of rows is none";
	if (!kalam_row_layout_good(fields, a->head.nfields))
		return NULL;
	*why = "a group column does not exist";
	for (uint32_t i = 0; i < a->head.ngroup; i++)
		if (a->group[i] >= a->head.nfields)
			return NULL;
	*why = "an aggregate is none";
	a->states_len = 0;
	for (uint32_t i = 0; i < a->head.nitems; i++)
	{
		const KalamAggregateItem *item = &a->items[i];
		bool		rows = item->field == KALAM_AGG_NO_FIELD;

		if (rows ? item->op != KALAM_AGG_COUNT || item->measure != KALAM_MEASURE_NONE :
			item->field >= a->head.nfields ||
			!kalam_measure_good(item->measure, fields[item->field].kind))
			return NULL;
		a->field_kinds[i] = rows ? KALAM_FIELD_OPAQUE :
			kalam_measured_kind(item->measure, fields[item->field].kind);
		a->kinds[i] = state_kind(item->op, a->field_kinds[i]);
		if (a->kinds[i] == STATE_NONE)
			return NULL;
		a->offsets[i] = a->states_len;
		a->states_len += (uint32_t) state_sizes[a->kinds[i]];
	}
	kalam_row_reader_init(&a->reader, fields, a->head.nfields,
						  (uint32_t *) (values + a->head.nfields), values);
	a->ngroups = 1;				/* so that all slots are cleared */
	kalam_aggregator_clear(a);
	return a;
}

/* ---- groups ---- */

void
kalam_aggregator_clear(KalamAggregator *a)
{
	if (a->ngroups > 0)
		memset(a->slots, 0, sizeof(a->slots));
	a->ngroups = 0;
	a->used = 0;
	a->last = 0;
}

uint32_t
kalam_aggregator_groups(const KalamAggregator *a)
{
	return a->ngroups;
}

const uint8_t *
kalam_aggregator_group(const KalamAggregator *a, uint32_t i, size_t *len)
{
	const GroupHead *head = (const GroupHead *) (a->arena + a->places[i]);

	*len = head->len;
	return (const uint8_t *) (head + 1);
}

/* Puts the bytes of the row's group columns together.  False: they are too long. */
static bool
make_key(KalamAggregator *a, const KalamRowValue *values)
{
	a->key_len = 0;
	for (uint32_t i = 0; i < a->head.ngroup; i++)
	{
		uint32_t	len = values[i].at != NULL ? values[i].len : UINT32_MAX;

		if (a->key_len + sizeof(len) + values[i].len > MAX_KEY_BYTES)
			return false;
		memcpy(a->key + a->key_len, &len, sizeof(len));
		a->key_len += (uint32_t) sizeof(len);
		if (values[i].len > 0)
			memcpy(a->key + a->key_len, values[i].at, values[i].len);
		a->key_len += values[i].len;
	}
	return true;
}

static bool
is_group(const KalamAggregator *a, uint32_t i)
{
	size_t		len;
	const uint8_t *group = kalam_aggregator_group(a, i, &len);

	return len == a->states_len + a->key_len &&
		(a->key_len == 0 || memcmp(group + a->states_len, a->key, a->key_len) == 0);
}

/* The states of the row's group, or NULL: it is new. */
static uint8_t *
find_group(KalamAggregator *a)
{
	if (a->ngroups == 0)
		return NULL;
	if (!is_group(a, a->last))
	{
		a->hash = (uint32_t) kalam_hash(a->key, a->key_len, 0);
		for (uint32_t slot = a->hash % NSLOTS;; slot = (slot + 1) % NSLOTS)
		{
			if (a->slots[slot] == 0)
				return NULL;
			a->last = a->slots[slot] - 1u;
			if (((const GroupHead *) (a->arena + a->places[a->last]))->hash == a->hash &&
				is_group(a, a->last))
				break;
		}
	}
	return a->arena + a->places[a->last] + sizeof(GroupHead);
}

static bool
has_room(const KalamAggregator *a)
{
	return a->ngroups < MAX_GROUPS &&
		a->used + KALAM_ALIGN8(a->states_len + a->key_len) + GROUP_OVERHEAD <= ARENA_BYTES;
}

static uint8_t *
add_group(KalamAggregator *a)
{
	GroupHead  *head = (GroupHead *) (a->arena + a->used);
	uint8_t    *group = (uint8_t *) (head + 1);
	uint32_t	slot;

	a->hash = (uint32_t) kalam_hash(a->key, a->key_len, 0);
	for (slot = a->hash % NSLOTS; a->slots[slot] != 0; slot = (slot + 1) % NSLOTS)
		;
	head->len = a->states_len + a->key_len;
	head->hash = a->hash;
	memset(group, 0, a->states_len);
	if (a->key_len > 0)
		memcpy(group + a->states_len, a->key, a->key_len);
	a->places[a->ngroups] = a->used;
	a->last = a->ngroups++;
	a->slots[slot] = (uint16_t) a->ngroups;
	a->used += (uint32_t) KALAM_ALIGN8(head->len) + GROUP_OVERHEAD;
	return group;
}

/* ---- values ---- */

/* Does a value take the place of the one that is kept? */
static bool
replaces(uint16_t op, uint8_t kind, KalamRowValue kept, KalamRowValue v, bool *damaged)
{
	int			order = 0;

	if (!kalam_value_compare(kind, kept, v, &order))
		*damaged = true;
	if (op == KALAM_AGG_MAX)
		order = -order;
	return kind == KALAM_FIELD_PADDED ? order > 0 : order >= 0;
}

static bool
number_fits(const KalamNumber *n)
{
	return n->special != 0 || n->ndigits == 0 ||
		(n->weight <= KALAM_AGG_TOP &&
		 n->weight - (int) n->ndigits >= KALAM_AGG_TOP - KALAM_AGG_DIGITS);
}

/* Can the value of item i be added to the state (NULL: a new one)? */
static KalamTaken
look_at(KalamAggregator *a, uint32_t i, const uint8_t *state)
{
	uint8_t		kind = a->field_kinds[i];
	KalamRowValue v = a->values[i];
	bool		damaged = false;

	if (a->kinds[i] == STATE_NUMERIC_SUM)
	{
		if (!kalam_number_read(v, &a->numbers[i]))
			return KALAM_TAKE_DAMAGED;
		return number_fits(&a->numbers[i]) ? KALAM_TAKEN : KALAM_TAKE_UNFIT;
	}
	if (a->kinds[i] == STATE_VARLENA_EXTREME)
	{
		const VarlenaExtreme *e = (const VarlenaExtreme *) state;
		KalamNumber n;

		if (kind == KALAM_FIELD_NUMERIC && !kalam_number_read(v, &n))
			return KALAM_TAKE_DAMAGED;
		if (v.len > EXTREME_BYTES &&
			(e == NULL || e->n == 0 ||
			 replaces(a->items[i].op, kind, (KalamRowValue) {e->value, e->len}, v, &damaged)))
			return KALAM_TAKE_UNFIT;
	}
	return damaged ? KALAM_TAKE_DAMAGED : KALAM_TAKEN;
}

static void
add_digits(int64_t *digits, const KalamNumber *n)
{
	for (uint32_t k = 0; k < n->ndigits; k++)
	{
		int16_t		d;

		memcpy(&d, n->digits + 2 * k, 2);
		digits[KALAM_AGG_TOP - n->weight + (int) k] += n->sign < 0 ? -d : d;
	}
}

static void
add_number(NumericSum *s, const KalamNumber *n)
{
	if (n->special == 2)
		s->nan++;
	else if (n->special != 0)
		s->infinite[n->special > 0]++;
	else
	{
		s->n++;
		if (n->scale > s->scale)
			s->scale = n->scale;
		add_digits(s->digits, n);
	}
}

/* As PostgreSQL does it row by row, with its checks. */
static void
add_squares(Squares *s, double v)
{
	double		n = (double) s->n + 1;
	double		sum = s->f + v;

	if (s->n > 0)
	{
		double		deviation = v * n - sum;

		s->squares += deviation * deviation / (n * (double) s->n);
		if (isinf(sum) || isinf(s->squares))
		{
			if (!isinf(s->f) && !isinf(v))
				s->overflow = 1;
			s->squares = NAN;
		}
	}
	else if (isnan(v) || isinf(v))
		s->squares = NAN;
	s->n++;
	s->f = sum;
}

static void
add_float(FloatSum *s, double v, bool single)
{
	double		sum = v;

	if (s->n > 0)
		sum = single ? (double) ((float) s->f + (float) v) : s->f + v;
	if (isinf(sum) && !isinf(v) && !isinf(s->f))
		s->overflow = 1;
	s->f = sum;
	s->n++;
}

/* Adds the value of item i, which is not null and was looked at. */
static void
add_value(KalamAggregator *a, uint32_t i, uint8_t *state)
{
	uint16_t	op = a->items[i].op;
	KalamRowValue v = a->values[i];
	uint8_t		kind = a->field_kinds[i];
	bool		damaged = false;

	switch (a->kinds[i])
	{
		case STATE_COUNT:
			++*(uint64_t *) state;
			break;
		case STATE_INTEGER_SUM:
			{
				IntegerSum *s = (IntegerSum *) state;
				unsigned __int128 sum = (unsigned __int128) s->high << 64 | s->low;

				sum += (unsigned __int128) (__int128) kalam_value_integer(kind, v.at);
				s->low = (uint64_t) sum;
				s->high = (uint64_t) (sum >> 64);
				s->n++;
			}
			break;
		case STATE_FLOAT4_SUM:
			add_float((FloatSum *) state, kalam_value_float(kind, v.at), true);
			break;
		case STATE_FLOAT8_SUM:
			add_float((FloatSum *) state, kalam_value_float(kind, v.at), false);
			break;
		case STATE_NUMERIC_SUM:
			add_number((NumericSum *) state, &a->numbers[i]);
			break;
		case STATE_SQUARES:
			add_squares((Squares *) state, kalam_value_float(kind, v.at));
			break;
		case STATE_FIXED_EXTREME:
			{
				FixedExtreme *e = (FixedExtreme *) state;

				if (e->n == 0 || replaces(op, kind, (KalamRowValue) {e->value, v.len}, v, &damaged))
					memcpy(e->value, v.at, v.len);
				e->n++;
			}
			break;
		case STATE_VARLENA_EXTREME:
			{
				VarlenaExtreme *e = (VarlenaExtreme *) state;

				if (e->n == 0 ||
					replaces(op, kind, (KalamRowValue) {e->value, e->len}, v, &damaged))
				{
					memcpy(e->value, v.at, v.len);
					e->len = v.len;
				}
				e->n++;
			}
			break;
		case STATE_NONE:
			break;
	}
}

static void
measure(KalamAggregator *a, uint32_t i)
{
	const KalamAggregateItem *item = &a->items[i];

	a->measured[i] = kalam_value_measure(item->measure, a->reader.fields[item->field].kind,
										 a->values[i]);
	a->values[i] = (KalamRowValue) {(const uint8_t *) &a->measured[i], sizeof(int32_t)};
}

/* Finds the values that the row has for groups and items. */
static bool
read_row(KalamAggregator *a, const uint8_t *row, size_t len, KalamRowValue *groups)
{
	if (!kalam_row_reader_begin(&a->reader, row, len))
		return false;
	for (uint32_t i = 0; i < a->head.ngroup; i++)
		if (!kalam_row_reader_get(&a->reader, a->group[i], &groups[i]))
			return false;
	for (uint32_t i = 0; i < a->head.nitems; i++)
	{
		static const uint8_t present[1];

		if (a->items[i].field == KALAM_AGG_NO_FIELD)
			a->values[i] = (KalamRowValue) {present, 0};
		else if (!kalam_row_reader_get(&a->reader, a->items[i].field, &a->values[i]))
			return false;
		else if (a->items[i].measure != KALAM_MEASURE_NONE && a->values[i].at != NULL)
			measure(a, i);
	}
	return true;
}

KalamTaken
kalam_aggregator_take(KalamAggregator *a, const uint8_t *row, size_t len)
{
	KalamRowValue groups[KALAM_AGGREGATE_MAX_GROUP];
	uint8_t    *group;

	if (!read_row(a, row, len, groups))
		return KALAM_TAKE_DAMAGED;
	if (!make_key(a, groups))
		return KALAM_TAKE_UNFIT;
	group = find_group(a);
	for (uint32_t i = 0; i < a->head.nitems; i++)
		if (a->values[i].at != NULL && a->kinds[i] != STATE_COUNT)
		{
			KalamTaken	taken = look_at(a, i, group != NULL ? group + a->offsets[i] : NULL);

			if (taken != KALAM_TAKEN)
				return taken;
		}
	if (group == NULL)
	{
		if (!has_room(a))
			return KALAM_TAKE_FULL;
		group = add_group(a);
	}
	for (uint32_t i = 0; i < a->head.nitems; i++)
		if (a->values[i].at != NULL)
			add_value(a, i, group + a->offsets[i]);
	return KALAM_TAKEN;
}

bool
kalam_aggregator_only_counts(const KalamAggregator *a)
{
	for (uint32_t i = 0; i < a->head.nitems; i++)
		if (a->items[i].field != KALAM_AGG_NO_FIELD)
			return false;
	return a->head.ngroup == 0;
}

void
kalam_aggregator_count(KalamAggregator *a, uint64_t n)
{
	uint8_t    *group;

	if (n == 0)
		return;
	a->key_len = 0;
	group = find_group(a);
	if (group == NULL)
		group = add_group(a);
	for (uint32_t i = 0; i < a->head.nitems; i++)
		*(uint64_t *) (group + a->offsets[i]) += n;
}

/* ---- what came of it ---- */

static bool
read_state(const KalamAggregator *a, uint32_t i, const uint8_t *at, KalamAggregateResult *r)
{
	memset(r, 0, sizeof(*r));
	memcpy(&r->n, at, sizeof(r->n));
	switch (a->kinds[i])
	{
		case STATE_COUNT:
		case STATE_NONE:
			break;
		case STATE_INTEGER_SUM:
			{
				IntegerSum	s;

				memcpy(&s, at, sizeof(s));
				r->sum = (__int128) ((unsigned __int128) s.high << 64 | s.low);
			}
			break;
		case STATE_FLOAT4_SUM:
		case STATE_FLOAT8_SUM:
			{
				FloatSum	s;

				memcpy(&s, at, sizeof(s));
				r->f = s.f;
				r->overflow = s.overflow != 0;
			}
			break;
		case STATE_SQUARES:
			{
				Squares		s;

				memcpy(&s, at, sizeof(s));
				r->f = s.f;
				r->squares = s.squares;
				r->overflow = s.overflow != 0;
			}
			break;
		case STATE_NUMERIC_SUM:
			{
				NumericSum	s;

				memcpy(&s, at, sizeof(s));
				r->scale = (uint32_t) s.scale;
				r->nan = s.nan;
				memcpy(r->infinite, s.infinite, sizeof(r->infinite));
				memcpy(r->digits, s.digits, sizeof(r->digits));
			}
			break;
		case STATE_FIXED_EXTREME:
			if (r->n > 0)
				r->value = (KalamRowValue) {at + offsetof(FixedExtreme, value),
				a->items[i].measure != KALAM_MEASURE_NONE ? (uint32_t) sizeof(int32_t) :
				(uint32_t) a->reader.fields[a->items[i].field].len};
			break;
		case STATE_VARLENA_EXTREME:
			if (r->n > 0)
			{
				r->value.at = at + offsetof(VarlenaExtreme, value);
				memcpy(&r->value.len, at + offsetof(VarlenaExtreme, len), sizeof(r->value.len));
				return r->value.len <= EXTREME_BYTES;
			}
			break;
	}
	return true;
}

bool
kalam_aggregate_read(const KalamAggregator *a, const uint8_t *group, size_t len,
					 KalamAggregateResult *results, KalamRowValue *groups)
{
	const uint8_t *at = group + a->states_len;
	const uint8_t *end = group + len;

	if (len < a->states_len)
		return false;
	for (uint32_t i = 0; i < a->head.nitems; i++)
		if (!read_state(a, i, group + a->offsets[i], &results[i]))
			return false;
	for (uint32_t i = 0; i < a->head.ngroup; i++)
	{
		uint32_t	n;

		if ((size_t) (end - at) < sizeof(n))
			return false;
		memcpy(&n, at, sizeof(n));
		at += sizeof(n);
		groups[i] = (KalamRowValue) {n == UINT32_MAX ? NULL : at, n == UINT32_MAX ? 0 : n};
		if ((size_t) (end - at) < groups[i].len)
			return false;
		at += groups[i].len;
	}
	return at == end;
}

/* A state of one value; large ones are pointed to. */
static bool
read_value(KalamAggregator *a, uint32_t i, KalamAggregateResult *r)
{
	_Alignas(8) uint8_t state[sizeof(NumericSum)] = {0};
	KalamRowValue v = a->values[i];
	KalamNumber n;

	memset(r, 0, sizeof(*r));
	if (v.at == NULL)
		return true;
	switch (a->kinds[i])
	{
		case STATE_FIXED_EXTREME:
		case STATE_VARLENA_EXTREME:
			r->n = 1;
			r->value = v;
			return true;
		case STATE_NUMERIC_SUM:
			if (!kalam_number_read(v, &n))
				return false;
			r->nan = n.special == 2;
			r->infinite[0] = n.special == -1;
			r->infinite[1] = n.special == 1;
			r->n = n.special == 0;
			r->scale = n.scale;
			r->value = v;
			return true;
		default:
			add_value(a, i, state);
			return read_state(a, i, state, r);
	}
}

bool
kalam_aggregate_row(KalamAggregator *a, const uint8_t *row, size_t len,
					KalamAggregateResult *results, KalamRowValue *groups)
{
	if (!read_row(a, row, len, groups))
		return false;
	for (uint32_t i = 0; i < a->head.nitems; i++)
		if (!read_value(a, i, &results[i]))
			return false;
	return true;
}
