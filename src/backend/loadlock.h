/*
 * loadlock.h
 *	  A load's claim on its keys, among others that write the same tables.
 *
 * A load takes no lock while it runs.  Before it is committed, or taken back into
 * staged changes, its transaction claims the tables: it waits for those who hold
 * locks on keys of the load, and storage finds out whether one of these keys has
 * been committed meanwhile.  Others who want any row of the tables wait from then
 * on.  The argument for it stands in src/storage/load_watch.c.
 */
#ifndef KALAM_LOADLOCK_H
#define KALAM_LOADLOCK_H

#include "postgres.h"
#include "src/backend/rowlock.h"

/*
 * For this transaction's loads with numbers first .. last: claims what their keys
 * are among, in this order, which all must keep to.  Raises 23505 for a key that
 * has been committed, and what kalam_row_lock does.
 */
extern void kalam_load_claim(const KalamAllRows *all, int n, uint64 first, uint64 last);

#endif							/* KALAM_LOADLOCK_H */
