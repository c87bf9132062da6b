/*
 * rowmark.h
 *	  SELECT ... FOR UPDATE / SHARE: rows are locked when the query returns
 *	  them, not when they are read.
 *
 * The executor hands back nothing but a ctid, which kalam rows do not have.  So
 * a scan whose rows may be locked numbers them, keeps their keys under these
 * numbers until the query ends, and gives the number as ctid.
 */
#ifndef KALAM_ROWMARK_H
#define KALAM_ROWMARK_H

#include "postgres.h"
#include "foreign/fdwapi.h"

#include "src/backend/merge.h"
#include "src/backend/table.h"

typedef struct KalamMarkedRows KalamMarkedRows;

/* For the scan of range table entry rti; lives as long as the query. */
extern KalamMarkedRows *kalam_marked_rows_begin(EState *estate, Index rti, Relation rel,
												KalamTable *table, uint64 stamp);

/* Keeps a row that the scan is about to return; its number becomes *tid. */
extern void kalam_marked_rows_add(KalamMarkedRows *rows, const KalamMergedRow *row,
								  ItemPointer tid);

/* At the end of a transaction: what is left is not used any more. */
extern void kalam_marked_rows_at_xact_end(void);

extern RowMarkType kalam_row_mark_type(RangeTblEntry *rte, LockClauseStrength strength);
extern void kalam_refetch_row(EState *estate, ExecRowMark *erm, Datum rowid,
							  TupleTableSlot *slot, bool *updated);

#endif							/* KALAM_ROWMARK_H */
