/*
 * rowprog.c
 *	  Conditions on stored rows: checked once, run over many.  See rowprog.h.
 *
 * The check follows the height of the stack from step to step.  Since jumps go
 * forward and land where the stack is as high as where they began, each step has
 * one height, whichever way a run comes to it.
 */
#include "src/shared/rowprog.h"

#include <string.h>

/* What may be compared with what. */
typedef enum FieldClass
{
	CLASS_NONE,
	CLASS_INTEGER,
	CLASS_FLOAT,
	CLASS_BYTES,
	CLASS_NUMERIC
} FieldClass;

static FieldClass
class_of(uint8_t kind)
{
	switch (kind)
	{
		case KALAM_FIELD_U8:
		case KALAM_FIELD_I16:
		case KALAM_FIELD_I32:
		case KALAM_FIELD_U32:
		case KALAM_FIELD_I64:
			return CLASS_INTEGER;
		case KALAM_FIELD_F32:
		case KALAM_FIELD_F64:
			return CLASS_FLOAT;
		case KALAM_FIELD_FIXED:
		case KALAM_FIELD_NAME:
		case KALAM_FIELD_BYTES:
		case KALAM_FIELD_PADDED:
			return CLASS_BYTES;
		case KALAM_FIELD_NUMERIC:
			return CLASS_NUMERIC;
		default:
			return CLASS_NONE;
	}
}

/* ---- comparisons ---- */

/* With a constant of the field's class.  The field is not null. */
static inline bool
compare_constant(const KalamProgram *p, uint8_t kind, KalamRowValue v, const KalamConstant *c,
				 int *order)
{
	switch (class_of(kind))
	{
		case CLASS_INTEGER:
			{
				int64_t		i = kalam_value_integer(kind, v.at);

				*order = (i > c->i) - (i < c->i);
				return true;
			}
		case CLASS_FLOAT:
			{
				double		d = kalam_value_float(kind, v.at);

				return kalam_value_compare(KALAM_FIELD_F64,
										   (KalamRowValue) {(const uint8_t *) &d, 8},
										   (KalamRowValue) {(const uint8_t *) &c->f, 8}, order);
			}
		default:
			return kalam_value_compare(kind, v,
									   (KalamRowValue) {p->data + c->bytes.at, c->bytes.len}, order);
	}
}

/* Of two fields of one class; for bytes and numeric of one kind. */
static bool
compare_fields(uint8_t kind_a, KalamRowValue a, uint8_t kind_b, KalamRowValue b, int *order)
{
	if (kind_a == kind_b)
		return kalam_value_compare(kind_a, a, b, order);
	if (class_of(kind_a) == CLASS_INTEGER)
	{
		int64_t		x = kalam_value_integer(kind_a, a.at);
		int64_t		y = kalam_value_integer(kind_b, b.at);

		*order = (x > y) - (x < y);
		return true;
	}
	else
	{
		double		x = kalam_value_float(kind_a, a.at);
		double		y = kalam_value_float(kind_b, b.at);

		return kalam_value_compare(KALAM_FIELD_F64, (KalamRowValue) {(const uint8_t *) &x, 8},
								   (KalamRowValue) {(const uint8_t *) &y, 8}, order);
	}
}

static inline KalamTruth
truth_of(uint8_t compare, int order)
{
	switch (compare)
	{
		case KALAM_EQ:
			return order == 0;
		case KALAM_NE:
			return order != 0;
		case KALAM_LT:
			return order < 0;
		case KALAM_LE:
			return order <= 0;
		case KALAM_GT:
			return order > 0;
		default:
			return order >= 0;
	}
}

/* ---- the check ---- */

/* Where the parts of a program begin; false if they are not all there. */
static bool
parts(const uint8_t *bytes, size_t len, KalamProgramHeader *head, size_t *steps,
	  size_t *constants, size_t *data)
{
	if (len < sizeof(KalamProgramHeader) || len > UINT32_MAX)
		return false;
	memcpy(head, bytes, sizeof(*head));
	if (head->nfields > KALAM_ROW_MAX_COLUMNS || head->nsteps > KALAM_PROGRAM_MAX_STEPS ||
		head->nconstants > KALAM_PROGRAM_MAX_CONSTANTS)
		return false;
	*steps = sizeof(*head) + ((head->nfields * sizeof(KalamRowField) + 7) & ~(size_t) 7);
	*constants = *steps + head->nsteps * sizeof(KalamProgramStep);
	*data = *constants + head->nconstants * sizeof(KalamConstant);
	return *data + head->data_len == len;
}

size_t
kalam_program_memory(const uint8_t *bytes, size_t len)
{
	KalamProgramHeader head;
	size_t		steps,
				constants,
				data;

	if (!parts(bytes, len, &head, &steps, &constants, &data))
		return 0;
	return (head.nfields + 1) * (sizeof(KalamRowValue) + sizeof(uint32_t));
}

static bool
field_good(const KalamProgram *p, uint32_t i, FieldClass *class)
{
	if (i >= p->head.nfields)
		return false;
	*class = class_of(p->reader.fields[i].kind);
	return true;
}

/* As what kind a COMPARE or an IN understands values of its field. */
static uint8_t
operand_kind(const KalamProgram *p, const KalamProgramStep *s)
{
	return kalam_measured_kind((uint8_t) s->measure, p->reader.fields[s->field].kind);
}

static bool
constants_good(const KalamProgram *p, const KalamProgramStep *s, uint32_t count)
{
	uint8_t		kind = operand_kind(p, s);
	FieldClass	class = class_of(kind);

	if (count > p->head.nconstants || s->first > p->head.nconstants - count)
		return false;
	for (uint32_t i = 0; i < count; i++)
	{
		const KalamConstant *c = &p->constants[s->first + i];
		int			order;

		if ((class == CLASS_BYTES || class == CLASS_NUMERIC) &&
			(c->bytes.len > p->head.data_len || c->bytes.at > p->head.data_len - c->bytes.len))
			return false;
		if (i == 0)
			continue;
		/* a list ascends */
		switch (class)
		{
			case CLASS_INTEGER:
				order = (c->i > c[-1].i) - (c->i < c[-1].i);
				break;
			case CLASS_FLOAT:
				(void) kalam_value_compare(KALAM_FIELD_F64,
										   (KalamRowValue) {(const uint8_t *) &c->f, 8},
										   (KalamRowValue) {(const uint8_t *) &c[-1].f, 8}, &order);
				break;
			default:
				if (!kalam_value_compare(kind,
										 (KalamRowValue) {p->data + c->bytes.at, c->bytes.len},
										 (KalamRowValue) {p->data + c[-1].bytes.at,
										 c[-1].bytes.len}, &order))
					return false;
		}
		if (order <= 0)
			return false;
	}
	return true;
}

static const char *
check_step(const KalamProgram *p, uint32_t at, int *height, uint8_t *heights)
{
	const KalamProgramStep *s = &p->steps[at];
	FieldClass	class;
	FieldClass	other;
	int			pops = 0;
	int			pushes = 0;

	if (s->measure != KALAM_MEASURE_NONE && s->op != KALAM_STEP_COMPARE && s->op != KALAM_STEP_IN)
		return "a step has a measure";
	switch (s->op)
	{
		case KALAM_STEP_CONSTANT:
			if (s->arg > KALAM_NULL)
				return "a truth value is none";
			pushes = 1;
			break;
		case KALAM_STEP_IS_NULL:
			if (!field_good(p, s->field, &class))
				return "a field does not exist";
			pushes = 1;
			break;
		case KALAM_STEP_COMPARE:
		case KALAM_STEP_IN:
			if (!field_good(p, s->field, &class) || class == CLASS_NONE)
				return "a field cannot be compared";
			if (s->measure >= KALAM_MEASURES ||
				!kalam_measure_good((uint8_t) s->measure, p->reader.fields[s->field].kind))
				return "a measure is none";
			if (s->arg > (s->op == KALAM_STEP_IN ? 1 : KALAM_GE))
				return "a comparison is none";
			if (!constants_good(p, s, s->op == KALAM_STEP_IN ? s->count : 1))
				return "a constant is none";
			pushes = 1;
			break;
		case KALAM_STEP_COMPARE_FIELDS:
			if (!field_good(p, s->field, &class) || !field_good(p, s->other, &other) ||
				class == CLASS_NONE || class != other ||
				((class == CLASS_BYTES || class == CLASS_NUMERIC) &&
				 p->reader.fields[s->field].kind != p->reader.fields[s->other].kind))
				return "two fields cannot be compared";
			if (s->arg > KALAM_GE)
				return "a comparison is none";
			pushes = 1;
			break;
		case KALAM_STEP_IS:
			if (s->arg > KALAM_NULL)
				return "a truth value is none";
			/* FALLTHROUGH */
		case KALAM_STEP_NOT:
			pops = pushes = 1;
			break;
		case KALAM_STEP_AND:
		case KALAM_STEP_OR:
			pops = 2;
			pushes = 1;
			break;
		case KALAM_STEP_SKIP_IF:
			if (s->arg > KALAM_NULL || s->first <= at || s->first >= p->head.nsteps)
				return "a jump goes nowhere";
			pops = pushes = 1;
			break;
		case KALAM_STEP_REQUIRE:
			if (*height != 1)
				return "a condition has not one value";
			pops = 1;
			break;
		default:
			return "a step is none";
	}
	if (*height < pops || *height - pops + pushes > KALAM_PROGRAM_STACK)
		return "the stack is too low or too high";
	*height += pushes - pops;
	if (s->op == KALAM_STEP_SKIP_IF)
	{
		if (heights[s->first] != 0 && heights[s->first] != *height)
			return "a jump meets another one on another height";
		heights[s->first] = (uint8_t) *height;
	}
	return NULL;
}

bool
kalam_program_open(KalamProgram *p, const uint8_t *bytes, size_t len, void *memory,
				   const char **why)
{
	uint8_t		heights[KALAM_PROGRAM_MAX_STEPS];	/* of jumps to a step; 0: none */
	size_t		steps,
				constants,
				data;
	const KalamRowField *fields = (const KalamRowField *) (bytes + sizeof(KalamProgramHeader));
	KalamRowValue *values = memory;
	int			height = 0;

	memset(p, 0, sizeof(*p));
	if (!parts(bytes, len, &p->head, &steps, &constants, &data))
	{
		*why = "its parts do not fit its length";
		return false;
	}
	p->steps = (const KalamProgramStep *) (bytes + steps);
	p->constants = (const KalamConstant *) (bytes + constants);
	p->data = bytes + data;
	if (!kalam_row_layout_good(fields, p->head.nfields))
	{
		*why = "its layout of rows is none";
		return false;
	}
	kalam_row_reader_init(&p->reader, fields, p->head.nfields,
						  (uint32_t *) (values + p->head.nfields), values);
	memset(heights, 0, p->head.nsteps);
	for (uint32_t i = 0; i < p->head.nsteps; i++)
	{
		if (heights[i] != 0 && heights[i] != height)
			*why = "a jump lands on another height";
		else
			*why = check_step(p, i, &height, heights);
		if (*why != NULL)
			return false;
	}
	if (height != 0)
	{
		*why = "a value is left over";
		return false;
	}
	return true;
}

/* ---- running ---- */

static bool
find_in(const KalamProgram *p, const KalamProgramStep *s, uint8_t kind, KalamRowValue v,
		KalamTruth *truth)
{
	uint32_t	low = s->first;
	uint32_t	high = s->first + s->count;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;
		int			order;

		if (!compare_constant(p, kind, v, &p->constants[middle], &order))
			return false;
		if (order == 0)
		{
			*truth = KALAM_TRUE;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*truth = s->arg != 0 ? KALAM_NULL : KALAM_FALSE;
	return true;
}

/* What a step that looks at the row finds.  False: the row is damaged. */
static bool
test_field(KalamProgram *p, const KalamProgramStep *s, KalamTruth *truth)
{
	const KalamRowField *fields = p->reader.fields;
	uint8_t		kind = fields[s->field].kind;
	KalamRowValue v,
				w;
	int32_t		measured;
	int			order;

	if (!kalam_row_reader_get(&p->reader, s->field, &v))
		return false;
	if (s->op == KALAM_STEP_IS_NULL)
	{
		*truth = v.at == NULL;
		return true;
	}
	*truth = KALAM_NULL;
	if (v.at == NULL)
		return true;
	if (s->measure != KALAM_MEASURE_NONE)
	{
		measured = kalam_value_measure((uint8_t) s->measure, kind, v);
		kind = KALAM_FIELD_I32;
		v = (KalamRowValue) {(const uint8_t *) &measured, sizeof(measured)};
	}
	if (s->op == KALAM_STEP_IN)
		return find_in(p, s, kind, v, truth);
	if (s->op == KALAM_STEP_COMPARE)
	{
		if (!compare_constant(p, kind, v, &p->constants[s->first], &order))
			return false;
	}
	else
	{
		if (!kalam_row_reader_get(&p->reader, s->other, &w))
			return false;
		if (w.at == NULL)
			return true;
		if (!compare_fields(kind, v, fields[s->other].kind, w, &order))
			return false;
	}
	*truth = truth_of(s->arg, order);
	return true;
}

/* False wins over null, and null over true. */
static KalamTruth
truth_and(KalamTruth a, KalamTruth b)
{
	if (a == KALAM_FALSE || b == KALAM_FALSE)
		return KALAM_FALSE;
	return a == KALAM_NULL || b == KALAM_NULL ? KALAM_NULL : KALAM_TRUE;
}

static KalamTruth
truth_not(KalamTruth a)
{
	return a == KALAM_NULL ? KALAM_NULL : a == KALAM_TRUE ? KALAM_FALSE : KALAM_TRUE;
}

KalamVerdict
kalam_program_run(KalamProgram *p, const uint8_t *row, size_t len)
{
	KalamTruth	stack[KALAM_PROGRAM_STACK + 1];
	KalamTruth *top = stack;	/* stack[0] is below the lowest */

	if (!kalam_row_reader_begin(&p->reader, row, len))
		return KALAM_ROW_DAMAGED;
	for (uint32_t i = 0; i < p->head.nsteps; i++)
	{
		const KalamProgramStep *s = &p->steps[i];

		switch (s->op)
		{
			case KALAM_STEP_CONSTANT:
				*++top = s->arg;
				break;
			case KALAM_STEP_NOT:
				*top = truth_not(*top);
				break;
			case KALAM_STEP_IS:
				*top = *top == s->arg;
				break;
			case KALAM_STEP_AND:
				top--;
				*top = truth_and(top[0], top[1]);
				break;
			case KALAM_STEP_OR:
				top--;
				*top = truth_not(truth_and(truth_not(top[0]), truth_not(top[1])));
				break;
			case KALAM_STEP_SKIP_IF:
				if (*top == s->arg)
					i = s->first - 1;
				break;
			case KALAM_STEP_REQUIRE:
				if (*top-- != KALAM_TRUE)
					return KALAM_ROW_FAILS;
				break;
			default:
				if (!test_field(p, s, ++top))
					return KALAM_ROW_DAMAGED;
				break;
		}
	}
	return KALAM_ROW_PASSES;
}
