/*
 * progress.h
 *	  How far ALTER has come with the rows of a table: kalam.progress.
 */
#ifndef KALAM_PROGRESS_H
#define KALAM_PROGRESS_H

#include "postgres.h"
#include "utils/rel.h"

#include "src/backend/store_catalog.h"

typedef enum KalamProgressKind
{
	KALAM_PROGRESS_BUILD,		/* indexes over rows that are there */
	KALAM_PROGRESS_REWRITE		/* rows are stored anew */
} KalamProgressKind;

/* Begin, with the rows that old's object holds; a row is done; end.  An error ends it as well. */
extern void kalam_progress_begin(KalamProgressKind kind, Relation rel,
								 const KalamCatalogTable *old);
extern void kalam_progress_row(void);
extern void kalam_progress_end(void);

#endif							/* KALAM_PROGRESS_H */
