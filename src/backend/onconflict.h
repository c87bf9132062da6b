/*
 * onconflict.h
 *	  INSERT ... ON CONFLICT with a target: the part that is planned.
 */
#ifndef KALAM_ONCONFLICT_H
#define KALAM_ONCONFLICT_H

#include "postgres.h"
#include "fmgr.h"
#include "nodes/plannodes.h"

#include "src/backend/table.h"

extern void kalam_on_conflict_install(void);	/* planner hook */

/*
 * The attribute numbers that ON CONFLICT names, of the relation that INSERT names;
 * NULL if the plan has no target that is ours to find.
 */
extern int2vector *kalam_on_conflict_columns(const ModifyTable *plan);

#endif							/* KALAM_ONCONFLICT_H */
