/*
 * keyrange.h
 *	  Key conditions to ranges of key bytes, when a scan starts.
 */
#ifndef KALAM_KEYRANGE_H
#define KALAM_KEYRANGE_H

#include "postgres.h"
#include "executor/executor.h"

#include "src/backend/client.h"
#include "src/backend/keymatch.h"
#include "src/backend/table.h"

/*
 * Computes the range for values of the bounds, evaluated by states in econtext.
 * False if no row can lie in it.  lower and upper have KALAM_MAX_KEY_BYTES; the
 * range points to them.
 */
extern bool kalam_compute_range(KalamTable *table, List *bounds, List *states,
								ExprContext *econtext, KalamRange *range,
								uint8 *lower, uint8 *upper);

#endif							/* KALAM_KEYRANGE_H */
