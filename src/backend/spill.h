/*
 * spill.h
 *	  Memory and temporary files of Postgres' for a transaction's changes.
 */
#ifndef KALAM_SPILL_H
#define KALAM_SPILL_H

#include "postgres.h"
#include "src/shared/run.h"

/* palloc'd in the context. */
extern KalamStagedMemory kalam_spill_memory(MemoryContext context);

/* Temporary files that live as long as the transaction, unless closed. */
extern KalamRunFiles kalam_spill_files(void);

#endif							/* KALAM_SPILL_H */
