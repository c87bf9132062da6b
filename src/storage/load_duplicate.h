/*
 * load_duplicate.h - what is told of a key that a load brings twice.
 */
#ifndef KALAM_STORAGE_LOAD_DUPLICATE_H
#define KALAM_STORAGE_LOAD_DUPLICATE_H

#include "src/storage/loads.h"

/* The tag of a record in a finished file is not known any more. */
#define LOAD_NO_TAG UINT64_MAX

/* All zero: none. */
typedef struct LoadDuplicate
{
	uint64_t	load;
	uint32_t	target;
	uint64_t	tag;
	uint8_t    *row;			/* its stored value, or NULL */
	size_t		row_len;
} LoadDuplicate;

/*
 * Notes the record of the target that came second.  The row that an index entry
 * leads to is looked for among the load's; if it is not found, none is told.
 */
extern void load_duplicate_note(LoadDuplicate *d, Load *load, uint32_t target, uint64_t tag,
								const uint8_t *key, size_t key_len, const uint8_t *value,
								size_t value_len);

/* Writes it into the result, and the row to `room` if it fits there. */
extern void load_duplicate_tell(const LoadDuplicate *d, KalamResult *result, uint8_t *room,
								size_t size, EngineError *err);
extern void load_duplicate_free(LoadDuplicate *d);

#endif
