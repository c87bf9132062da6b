/*
 * functions.h
 *	  What SQL functions of schema kalam have in common.
 */
#ifndef KALAM_FUNCTIONS_H
#define KALAM_FUNCTIONS_H

#include "postgres.h"
#include "utils/rel.h"
#include "src/backend/table.h"

/*
 * Opens a stored table for a function; raises for any other relation, and if the
 * user is not its owner (may not read from it).
 */
extern Relation kalam_open_stored(Oid relid, LOCKMODE lock, bool must_own, KalamTable **table);

#endif							/* KALAM_FUNCTIONS_H */
