/*
 * rowprog_model.h
 *	  Rows and programs put together for tests, as PostgreSQL and the backend do.
 */
#ifndef KALAM_TEST_ROWPROG_MODEL_H
#define KALAM_TEST_ROWPROG_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "src/shared/rowprog.h"

/* ---- rows ---- */

typedef struct ModelRow
{
	size_t		len;
	uint8_t		bytes[8192];
} ModelRow;

/* A value to be put into a row; NULL: null.  For a varlena without its header. */
typedef struct ModelValue
{
	const void *at;
	uint32_t	len;
} ModelValue;

/* As heap_fill_tuple does it: short headers where they fit, and unaligned then. */
static inline void
model_row(ModelRow *row, const KalamRowField *fields, uint32_t n, const ModelValue *values)
{
	bool		hasnull = false;
	uint32_t	start = 5;
	uint32_t	offset = 0;
	uint8_t    *data;
	uint16_t	mask2 = (uint16_t) n;
	uint16_t	mask;

	for (uint32_t i = 0; i < n; i++)
		hasnull |= values[i].at == NULL;
	if (hasnull)
		start += (n + 7) / 8;
	start = ((start + 18 + 7) & ~7u) - 18;
	memset(row->bytes, 0, sizeof(row->bytes));
	mask = hasnull ? 1 : 0;
	memcpy(row->bytes, &mask2, 2);
	memcpy(row->bytes + 2, &mask, 2);
	row->bytes[4] = (uint8_t) (start + 18);
	data = row->bytes + start;
	for (uint32_t i = 0; i < n; i++)
	{
		const KalamRowField *f = &fields[i];

		if (values[i].at == NULL)
			continue;
		if (hasnull)
			row->bytes[5 + i / 8] |= (uint8_t) (1 << i % 8);
		if (f->len == -1 && values[i].len < 127)
		{
			data[offset++] = (uint8_t) ((values[i].len + 1) << 1 | 1);
			memcpy(data + offset, values[i].at, values[i].len);
			offset += values[i].len;
			continue;
		}
		offset = (offset + f->align - 1) / f->align * f->align;
		if (f->len == -1)
		{
			uint32_t	header = (values[i].len + 4) << 2;

			memcpy(data + offset, &header, 4);
			offset += 4;
		}
		memcpy(data + offset, values[i].at, values[i].len);
		offset += values[i].len;
	}
	row->len = start + offset;
}

/* ---- programs ---- */

#define MODEL_STEPS 256

typedef struct ModelProgram
{
	KalamRowField fields[16];
	uint32_t	nfields;
	KalamProgramStep steps[MODEL_STEPS];
	uint32_t	nsteps;
	KalamConstant constants[MODEL_STEPS];
	uint32_t	nconstants;
	uint8_t		data[4096];
	uint32_t	data_len;
} ModelProgram;

static inline uint32_t
model_step(ModelProgram *p, uint8_t op, uint8_t arg, uint16_t field)
{
	p->steps[p->nsteps] = (KalamProgramStep) {.op = op, .arg = arg, .field = field};
	return p->nsteps++;
}

static inline uint32_t
model_integer(ModelProgram *p, int64_t i)
{
	p->constants[p->nconstants].i = i;
	return p->nconstants++;
}

static inline uint32_t
model_float(ModelProgram *p, double f)
{
	p->constants[p->nconstants].f = f;
	return p->nconstants++;
}

static inline uint32_t
model_bytes(ModelProgram *p, const void *at, uint32_t len)
{
	p->constants[p->nconstants].bytes.at = p->data_len;
	p->constants[p->nconstants].bytes.len = len;
	memcpy(p->data + p->data_len, at, len);
	p->data_len += len;
	return p->nconstants++;
}

static inline void
model_compare(ModelProgram *p, uint8_t compare, uint16_t field, uint32_t constant)
{
	p->steps[model_step(p, KALAM_STEP_COMPARE, compare, field)].first = constant;
}

/* Its bytes, malloc'd with nothing behind. */
static inline uint8_t *
model_assemble(const ModelProgram *p, size_t *len)
{
	KalamProgramHeader head = {p->nfields, p->nsteps, p->nconstants, p->data_len};
	size_t		fields = (p->nfields * sizeof(KalamRowField) + 7) & ~(size_t) 7;
	uint8_t    *bytes;
	uint8_t    *to;

	*len = sizeof(head) + fields + p->nsteps * sizeof(KalamProgramStep) +
		p->nconstants * sizeof(KalamConstant) + p->data_len;
	to = bytes = calloc(1, *len);
	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	memcpy(to, p->fields, p->nfields * sizeof(KalamRowField));
	to += fields;
	memcpy(to, p->steps, p->nsteps * sizeof(KalamProgramStep));
	to += p->nsteps * sizeof(KalamProgramStep);
	memcpy(to, p->constants, p->nconstants * sizeof(KalamConstant));
	to += p->nconstants * sizeof(KalamConstant);
	memcpy(to, p->data, p->data_len);
	return bytes;
}

#endif							/* KALAM_TEST_ROWPROG_MODEL_H */
