/*
 * modify.h
 *	  INSERT, UPDATE, DELETE, COPY FROM and TRUNCATE on stored tables.
 */
#ifndef KALAM_MODIFY_H
#define KALAM_MODIFY_H

#include "postgres.h"
#include "foreign/fdwapi.h"

extern void kalam_fill_modify_routine(FdwRoutine *routine);

#endif							/* KALAM_MODIFY_H */
