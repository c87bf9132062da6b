/*
 * record_list.h
 *	  Records by number: the first in memory, the others in a temporary file.
 *
 * C11 only; memory and the file come through callbacks.  Records are added at
 * the end and not changed.
 */
#ifndef KALAM_RECORD_LIST_H
#define KALAM_RECORD_LIST_H

#include "src/shared/run.h"

typedef struct KalamRecordList KalamRecordList;

/* The file is made when more than so many bytes of records were added. */
extern KalamRecordList *kalam_records_create(const KalamStagedMemory *memory,
											 const KalamRunFiles *files, size_t memory_bytes);

/* Closes the file, for good.  Nothing but destroy may follow. */
extern void kalam_records_close_file(KalamRecordList *l);
extern void kalam_records_destroy(KalamRecordList *l);

/*
 * Adds a record of so many bytes, for the caller to fill in before anything
 * else is called; 8-aligned.  Its number is the count before.  If it raises,
 * nothing was added.
 */
extern void *kalam_records_add(KalamRecordList *l, size_t len);
extern uint64_t kalam_records_count(const KalamRecordList *l);

/* Record number n, which there is; good until the next call. */
extern const void *kalam_records_get(KalamRecordList *l, uint64_t n);

#endif							/* KALAM_RECORD_LIST_H */
