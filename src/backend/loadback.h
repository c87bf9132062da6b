/*
 * loadback.h
 *	  A load that is taken back becomes a run of staged changes.
 */
#ifndef KALAM_LOADBACK_H
#define KALAM_LOADBACK_H

#include "postgres.h"

/*
 * Reads the finished load of that number, of so many records, into changes, by that
 * command and subtransaction.  If it raises, nothing has changed.
 */
extern void kalam_load_bring_back(uint64 number, CommandId command_id, SubTransactionId sub,
								  uint64 records);

#endif							/* KALAM_LOADBACK_H */
