/*
 * loadlines.h
 *	  From which lines of COPY the rows of a load come.
 *
 * Storage knows the lines of rows until their files are merged, and so not which
 * line collides with an earlier load of the transaction.  Where there is one the
 * session remembers them, up to a bound.
 */
#ifndef KALAM_LOADLINES_H
#define KALAM_LOADLINES_H

#include "postgres.h"
#include "access/htup.h"

typedef struct KalamLines KalamLines;

extern KalamLines *kalam_lines_create(MemoryContext context);
extern void kalam_lines_free(KalamLines *lines);
extern void kalam_lines_note(KalamLines *lines, const uint8 *key, size_t key_len, uint64 line);

/* The line of a row of the table that has a key; 0: it is not known. */
extern uint64 kalam_lines_find(const KalamLines *lines, Oid relid, MinimalTuple row);

#endif							/* KALAM_LOADLINES_H */
