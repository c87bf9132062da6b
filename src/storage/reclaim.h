/*
 * reclaim.h - the space of dropped objects that shared a column family, and of
 * dropped indexes.
 */
#ifndef KALAM_STORAGE_RECLAIM_H
#define KALAM_STORAGE_RECLAIM_H

#include "src/storage/objects.h"

extern bool reclaim_open(void); /* starts the thread */
extern void reclaim_close(void);	/* after upkeep_close, which stops compactions */

/* The object is dropped.  Takes over the caller's hold; any thread. */
extern void reclaim_add(Object *object);

/* The same of one of its indexes. */
extern void reclaim_add_index(Object *object, uint16_t index);

#endif
