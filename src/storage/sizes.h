/*
 * sizes.h - about how large an object is.
 */
#ifndef KALAM_STORAGE_SIZES_H
#define KALAM_STORAGE_SIZES_H

#include "src/storage/objects.h"

typedef struct ObjectSize
{
	uint64_t	rows;
	uint64_t	bytes;			/* all that it takes, memory included */
	uint64_t	row_bytes;		/* keys and values of rows, not compressed */
} ObjectSize;

/* entries: keys that a row comes with, its own and those of indexes. */
extern void object_size(Object *object, uint32_t entries, ObjectSize *size);

#endif
