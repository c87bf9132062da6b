/*
 * rowprog.h
 *	  Conditions on a stored row, as a small program that storage runs over its
 *	  bytes.
 *
 * C11 only.  A program is bytes; it is checked once, and only then run: whatever
 * bytes it is made of, running it reads nothing outside of them and of the row, and
 * ends.  Numbers are in the machine's order, since both sides live on one.
 *
 *	 size
 *	 16				KalamProgramHeader
 *	 4 * nfields	KalamRowField, padded to 8: the layout of rows (rowread.h)
 *	 16 * nsteps	KalamProgramStep
 *	 8 * nconstants KalamConstant
 *	 data_len		bytes of constants
 *
 * Steps work on a stack of truth values: true, false, null.  Jumps go forward only,
 * to where the stack is as high as it was.  At the end the stack is empty, and the
 * row passes if no REQUIRE stopped it.
 */
#ifndef KALAM_ROWPROG_H
#define KALAM_ROWPROG_H

#include "src/shared/rowread.h"
#include "src/shared/rowvalue.h"

#define KALAM_PROGRAM_STACK			64
#define KALAM_PROGRAM_MAX_STEPS		8192
#define KALAM_PROGRAM_MAX_CONSTANTS (UINT32_C(1) << 26)

typedef struct KalamProgramHeader
{
	uint32_t	nfields;
	uint32_t	nsteps;
	uint32_t	nconstants;
	uint32_t	data_len;
} KalamProgramHeader;

typedef enum KalamTruth
{
	KALAM_FALSE = 0,
	KALAM_TRUE = 1,
	KALAM_NULL = 2
} KalamTruth;

typedef enum KalamCompare
{
	KALAM_EQ,
	KALAM_NE,
	KALAM_LT,
	KALAM_LE,
	KALAM_GT,
	KALAM_GE
} KalamCompare;

typedef enum KalamStepOp
{
	KALAM_STEP_CONSTANT = 1,	/* push arg */
	KALAM_STEP_IS_NULL,			/* push: field is null */
	KALAM_STEP_COMPARE,			/* push: field arg constants[first]; null if it is null */
	KALAM_STEP_COMPARE_FIELDS,	/* push: field arg other */
	KALAM_STEP_IN,				/* push: field is one of constants[first ..
								 * first + count), which ascend; if it is none, null
								 * if arg is 1 */
	KALAM_STEP_NOT,				/* on top of the stack */
	KALAM_STEP_IS,				/* the same: it is arg */
	KALAM_STEP_AND,				/* pop one, and with the top */
	KALAM_STEP_OR,
	KALAM_STEP_SKIP_IF,			/* go to step first, if the top is arg */
	KALAM_STEP_REQUIRE			/* pop the only one; stop unless it is true */
} KalamStepOp;

typedef struct KalamProgramStep
{
	uint8_t		op;				/* KalamStepOp */
	uint8_t		arg;
	uint16_t	field;
	uint16_t	other;
	uint16_t	measure;		/* KalamMeasure: COMPARE and IN look at that of the field */
	uint32_t	first;
	uint32_t	count;
} KalamProgramStep;

/* By the kind of the field that it is compared with; of measures, i. */
typedef union KalamConstant
{
	int64_t		i;				/* U8 .. I64 */
	double		f;				/* F32, F64 */
	struct
	{
		uint32_t	at;			/* in the data */
		uint32_t	len;
	}			bytes;			/* FIXED .. PADDED, and a NUMERIC's without its header */
} KalamConstant;

/* A program that was checked, ready to run over row after row. */
typedef struct KalamProgram
{
	KalamProgramHeader head;
	const KalamProgramStep *steps;
	const KalamConstant *constants;
	const uint8_t *data;
	KalamRowReader reader;
} KalamProgram;

/*
 * Checks the program in bytes, 8-aligned, which must stay where they are.  False,
 * with *why as text, if it is none.  Memory for the reader is the caller's:
 * kalam_program_memory bytes, 8-aligned, once the length was found good (0 if not).
 */
extern size_t kalam_program_memory(const uint8_t *bytes, size_t len);
extern bool kalam_program_open(KalamProgram *p, const uint8_t *bytes, size_t len, void *memory,
							   const char **why);

typedef enum KalamVerdict
{
	KALAM_ROW_FAILS = 0,
	KALAM_ROW_PASSES,
	KALAM_ROW_DAMAGED
} KalamVerdict;

extern KalamVerdict kalam_program_run(KalamProgram *p, const uint8_t *row, size_t len);

#endif							/* KALAM_ROWPROG_H */
