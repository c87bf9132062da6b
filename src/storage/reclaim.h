/*
 * reclaim.h - the space of dropped objects that shared a column family.
 */
#ifndef KALAM_STORAGE_RECLAIM_H
#define KALAM_STORAGE_RECLAIM_H

#include "src/storage/objects.h"

extern bool reclaim_open(void); /* starts the thread */
extern void reclaim_close(void);	/* after upkeep_close, which stops compactions */

/* The object is dropped.  Takes over the caller's hold; any thread. */
extern void reclaim_add(Object *object);

#endif
