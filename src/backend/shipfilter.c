/*
 * shipfilter.c
 *	  The program of shipped conditions, made when a scan begins.
 *
 * The plan has its steps; here values become constants: converted to what the
 * column's bytes are compared with, lists sorted and each value once.  A value that
 * is null makes its comparison the constant null.  The bytes and what they are made
 * of live in a context of the filter's, reset when the values are computed anew.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "src/backend/ship.h"
#include "src/shared/segment.h"

/* a larger program is not sent */
#define MAX_FILTER_BYTES	(KALAM_MAX_INPUT_BYTES / 2)

struct KalamFilter
{
	List	   *steps;			/* KalamShipStep */
	const KalamValue *values;
	bool		constant;		/* the values never change */
	bool		computed;
	bool		passable;		/* what kalam_filter_compute said */
	int			nfields;
	KalamRowField *fields;
	Oid		   *types;			/* base types of fields */
	MemoryContext context;		/* of all below */

	KalamProgramStep *program;
	KalamConstant *constants;
	uint32		nconstants;
	uint32		room;
	StringInfoData data;
	uint8	   *bytes;
	Size		len;
	KalamProgram run;
};

/* ---- layout ---- */

static uint8
align_of(char attalign)
{
	switch (attalign)
	{
		case TYPALIGN_DOUBLE:
			return ALIGNOF_DOUBLE;
		case TYPALIGN_INT:
			return ALIGNOF_INT;
		case TYPALIGN_SHORT:
			return ALIGNOF_SHORT;
		default:
			return 1;
	}
}

void
kalam_row_layout(KalamRowField *fields, int n, TupleDesc desc)
{
	Assert(n <= desc->natts);
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		fields[i].len = att->attlen;
		fields[i].align = align_of(att->attalign);
		fields[i].kind = att->attisdropped ? KALAM_FIELD_OPAQUE : kalam_field_kind(att->atttypid);
	}
}

static void
make_layout(KalamFilter *f, TupleDesc desc)
{
	ListCell   *lc;

	foreach(lc, f->steps)
	{
		KalamShipStep *s = lfirst(lc);

		f->nfields = Max(f->nfields, Max(s->field, s->other));
	}
	f->fields = palloc0(sizeof(KalamRowField) * Max(f->nfields, 1));
	f->types = palloc0(sizeof(Oid) * Max(f->nfields, 1));
	kalam_row_layout(f->fields, f->nfields, desc);
	for (int i = 0; i < f->nfields; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			f->types[i] = getBaseType(TupleDescAttr(desc, i)->atttypid);
}

KalamFilter *
kalam_filter_begin(List *steps, const KalamValue *values, int n, Relation rel)
{
	KalamFilter *f = palloc0(sizeof(KalamFilter));
	int			nvalues = 0;
	ListCell   *lc;

	foreach(lc, steps)
		nvalues = Max(nvalues, ((KalamShipStep *) lfirst(lc))->value + 1);
	f->steps = steps;
	f->values = values + n - nvalues;
	f->constant = true;
	for (int i = 0; i < nvalues; i++)
		f->constant &= f->values[i].state == NULL;
	make_layout(f, RelationGetDescr(rel));
	f->context = AllocSetContextCreate(CurrentMemoryContext, "kalam filter",
									   ALLOCSET_SMALL_SIZES);
	return f;
}

/* ---- constants ---- */

static KalamConstant *
add_constant(KalamFilter *f)
{
	if (f->nconstants == f->room)
	{
		f->room = Max(16, f->room * 2);
		f->constants = f->constants == NULL ? palloc(f->room * sizeof(KalamConstant)) :
			repalloc_huge(f->constants, f->room * sizeof(KalamConstant));
	}
	return &f->constants[f->nconstants++];
}

static void
set_bytes(KalamFilter *f, KalamConstant *c, const void *bytes, Size len)
{
	c->bytes.at = f->data.len;
	c->bytes.len = len;
	appendBinaryStringInfo(&f->data, bytes, len);
}

static void
set_varlena(KalamFilter *f, KalamConstant *c, Datum value)
{
	struct varlena *v = PG_DETOAST_DATUM_PACKED(value);

	set_bytes(f, c, VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
}

/*
 * A timestamp as a day that dates compare with likewise.  Between two days <=
 * means what < does, and no date is equal.
 */
static void
set_day(KalamConstant *c, Timestamp t, uint8 *compare)
{
	int64		day = t / USECS_PER_DAY;

	if (TIMESTAMP_IS_NOBEGIN(t))
		c->i = DATEVAL_NOBEGIN;
	else if (TIMESTAMP_IS_NOEND(t))
		c->i = DATEVAL_NOEND;
	else if (day * USECS_PER_DAY == t)
		c->i = day;
	else if (*compare == KALAM_EQ || *compare == KALAM_NE)
		c->i = PG_INT64_MAX;
	else
	{
		/* the day begun */
		c->i = t < 0 ? day - 1 : day;
		*compare = *compare == KALAM_LT || *compare == KALAM_LE ? KALAM_LE : KALAM_GT;
	}
}

static void
set_timestamp_of_date(KalamConstant *c, DateADT date)
{
	int			overflow;

	c->i = date2timestamp_opt_overflow(date, &overflow);
	/* behind, or before, all that are finite */
	if (overflow > 0)
		c->i = END_TIMESTAMP;
	else if (overflow < 0)
		c->i = MIN_TIMESTAMP - 1;
}

static int64
integer_of(Datum value, Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return DatumGetBool(value) ? 1 : 0;
		case CHAROID:
			return (uint8) DatumGetChar(value);
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
		case DATEOID:
			return DatumGetInt32(value);
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case CASHOID:
			return DatumGetInt64(value);
		default:
			/* oids, and enums' */
			return DatumGetObjectId(value);
	}
}

/*
 * A value that the field, or a measure of it, is compared with; *compare may change to
 * what then holds.
 */
static void
set_constant(KalamFilter *f, KalamConstant *c, const KalamShipStep *s, Datum value, uint8 *compare)
{
	int			field = s->field - 1;
	Oid			type = s->value_type;

	switch (kalam_measured_kind(s->measure, f->fields[field].kind))
	{
		case KALAM_FIELD_F32:
		case KALAM_FIELD_F64:
			c->f = type == FLOAT4OID ? (double) DatumGetFloat4(value) : DatumGetFloat8(value);
			break;
		case KALAM_FIELD_FIXED:
			set_bytes(f, c, DatumGetPointer(value), f->fields[field].len);
			break;
		case KALAM_FIELD_BYTES:
		case KALAM_FIELD_PADDED:
		case KALAM_FIELD_NAME:
		case KALAM_FIELD_NUMERIC:
			if (type == NAMEOID)
				set_bytes(f, c, NameStr(*DatumGetName(value)),
						  strnlen(NameStr(*DatumGetName(value)), NAMEDATALEN));
			else
				set_varlena(f, c, value);
			break;
		default:
			if (f->types[field] == DATEOID && type == TIMESTAMPOID)
				set_day(c, DatumGetTimestamp(value), compare);
			else if (f->types[field] == TIMESTAMPOID && type == DATEOID)
				set_timestamp_of_date(c, DatumGetDateADT(value));
			else
				c->i = integer_of(value, type);
	}
}

typedef struct SortArg
{
	KalamFieldKind kind;
	const uint8 *data;
} SortArg;

static int
compare_constants(const void *a, const void *b, void *arg)
{
	const KalamConstant *x = a;
	const KalamConstant *y = b;
	SortArg    *s = arg;
	int			order = 0;

	switch (s->kind)
	{
		case KALAM_FIELD_F32:
		case KALAM_FIELD_F64:
			(void) kalam_value_compare(KALAM_FIELD_F64,
									   (KalamRowValue) {(const uint8 *) &x->f, 8},
									   (KalamRowValue) {(const uint8 *) &y->f, 8}, &order);
			break;
		case KALAM_FIELD_FIXED:
		case KALAM_FIELD_BYTES:
		case KALAM_FIELD_PADDED:
		case KALAM_FIELD_NAME:
		case KALAM_FIELD_NUMERIC:
			(void) kalam_value_compare(s->kind,
									   (KalamRowValue) {s->data + x->bytes.at, x->bytes.len},
									   (KalamRowValue) {s->data + y->bytes.at, y->bytes.len},
									   &order);
			break;
		default:
			order = (x->i > y->i) - (x->i < y->i);
	}
	return order;
}

/* The elements of an array, sorted, each once; NULL as steps want it. */
static void
set_list(KalamFilter *f, const KalamShipStep *s, KalamProgramStep *step, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int16		len;
	bool		byval;
	char		align;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	uint32		kept = 0;
	SortArg		arg = {.kind = kalam_measured_kind(s->measure, f->fields[s->field - 1].kind)};
	KalamConstant *list;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &len, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), len, byval, align, &elements, &nulls, &n);
	if (n == 0)
	{
		/* in an empty list is nothing, not even null */
		step->op = KALAM_STEP_CONSTANT;
		step->arg = KALAM_FALSE;
		step->measure = KALAM_MEASURE_NONE;
		return;
	}
	step->first = f->nconstants;
	for (int i = 0; i < n; i++)
	{
		uint8		compare = KALAM_EQ;

		if (nulls[i])
			step->arg = 1;
		else
			set_constant(f, add_constant(f), s, elements[i], &compare);
	}
	n = f->nconstants - step->first;
	list = f->constants + step->first;
	arg.data = (const uint8 *) f->data.data;
	if (n > 1)
		qsort_arg(list, n, sizeof(KalamConstant), compare_constants, &arg);
	for (int i = 0; i < n; i++)
		if (i == 0 || compare_constants(&list[kept - 1], &list[i], &arg) != 0)
			list[kept++] = list[i];
	step->count = kept;
	f->nconstants = step->first + kept;
}

/* ---- the program ---- */

static void
make_step(KalamFilter *f, const KalamShipStep *s, KalamProgramStep *step, ExprContext *econtext)
{
	Datum		value;
	bool		isnull;

	memset(step, 0, sizeof(*step));
	step->op = s->op;
	step->arg = s->arg;
	step->field = s->field > 0 ? s->field - 1 : 0;
	step->other = s->other > 0 ? s->other - 1 : 0;
	step->measure = s->measure;
	if (s->op == KALAM_STEP_SKIP_IF)
		step->first = s->target;
	if (s->value < 0)
		return;

	value = kalam_value(&f->values[s->value], econtext, &isnull);
	if (isnull)
	{
		step->op = KALAM_STEP_CONSTANT;
		step->arg = KALAM_NULL;
		step->measure = KALAM_MEASURE_NONE;
	}
	else if (s->op == KALAM_STEP_IN)
		set_list(f, s, step, value);
	else
	{
		step->first = f->nconstants;
		set_constant(f, add_constant(f), s, value, &step->arg);
	}
}

static void
assemble(KalamFilter *f, uint32 nsteps)
{
	KalamProgramHeader head = {f->nfields, nsteps, f->nconstants, f->data.len};
	Size		fields = MAXALIGN(f->nfields * sizeof(KalamRowField));
	Size		constants = (Size) f->nconstants * sizeof(KalamConstant);
	uint8	   *to;

	f->len = sizeof(head) + fields + nsteps * sizeof(KalamProgramStep) + constants + f->data.len;
	f->bytes = MemoryContextAllocHuge(f->context, f->len);
	to = f->bytes;
	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	memset(to, 0, fields);
	memcpy(to, f->fields, f->nfields * sizeof(KalamRowField));
	to += fields;
	memcpy(to, f->program, nsteps * sizeof(KalamProgramStep));
	to += nsteps * sizeof(KalamProgramStep);
	if (constants > 0)
		memcpy(to, f->constants, constants);
	to += constants;
	memcpy(to, f->data.data, f->data.len);
}

static void
open_program(KalamFilter *f)
{
	const char *why = "it is too long";
	Size		memory = kalam_program_memory(f->bytes, f->len);

	if (memory == 0 ||
		!kalam_program_open(&f->run, f->bytes, f->len, palloc(memory), &why))
		elog(ERROR, "kalam: the program of a filter is none: %s", why);
}

/* A required condition that is a constant other than true lets nothing pass. */
static bool
is_passable(const KalamFilter *f, uint32 nsteps)
{
	for (uint32 i = 1; i < nsteps; i++)
		if (f->program[i].op == KALAM_STEP_REQUIRE &&
			f->program[i - 1].op == KALAM_STEP_CONSTANT &&
			f->program[i - 1].arg != KALAM_TRUE &&
			(i == 1 || f->program[i - 2].op == KALAM_STEP_REQUIRE))
			return false;
	return true;
}

bool
kalam_filter_compute(KalamFilter *f, ExprContext *econtext)
{
	uint32		nsteps = list_length(f->steps);
	MemoryContext old;
	ListCell   *lc;

	if (f->computed && f->constant)
		return f->passable;
	f->computed = false;
	MemoryContextReset(f->context);
	old = MemoryContextSwitchTo(f->context);
	f->constants = NULL;
	f->nconstants = f->room = 0;
	f->program = palloc(sizeof(KalamProgramStep) * nsteps);
	initStringInfo(&f->data);
	foreach(lc, f->steps)
		make_step(f, lfirst(lc), &f->program[foreach_current_index(lc)], econtext);
	assemble(f, nsteps);
	open_program(f);
	f->passable = is_passable(f, nsteps);
	f->computed = true;
	MemoryContextSwitchTo(old);
	return f->passable;
}

const uint8 *
kalam_filter_bytes(const KalamFilter *f, Size *len)
{
	*len = f->len;
	return f->bytes;
}

bool
kalam_filter_start(KalamFilter *f, ExprContext *econtext, KalamInput *in)
{
	const uint8 *bytes;
	Size		len;

	kalam_input_reset(in);
	if (f == NULL)
		return true;
	if (!kalam_filter_compute(f, econtext))
		return false;
	bytes = kalam_filter_bytes(f, &len);
	if (len > MAX_FILTER_BYTES)
		return true;
	kalam_input_begin(in, KALAM_SECTION_FILTER);
	(void) kalam_input_add(in, bytes, len);
	kalam_input_end(in);
	return true;
}

bool
kalam_filter_passes(KalamFilter *f, MinimalTuple tuple)
{
	KalamVerdict verdict = kalam_program_run(&f->run,
											 (const uint8 *) tuple + KALAM_TUPLE_BODY_OFFSET,
											 tuple->t_len - KALAM_TUPLE_BODY_OFFSET);

	if (verdict == KALAM_ROW_DAMAGED)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of a kalam table is damaged")));
	return verdict == KALAM_ROW_PASSES;
}
