/*
 * look_up.h - rows of many keys at once.
 */
#ifndef KALAM_STORAGE_LOOK_UP_H
#define KALAM_STORAGE_LOOK_UP_H

#include "src/storage/objects.h"
#include "src/storage/stamps.h"

/* Keys that were added, in order, and, once they are looked up, their values. */
typedef struct LookUp LookUp;

/* What is known of one of them; pointers are valid until the next look_up_clear. */
typedef struct LookUpItem
{
	uint32_t	range;
	const uint8_t *place;		/* where it was found: the point, or the index entry */
	size_t		place_len;
	const uint8_t *key;			/* of the row */
	size_t		key_len;
	const uint8_t *value;		/* NULL: there is none */
	size_t		value_len;
} LookUpItem;

extern LookUp *look_up_open(void);
extern void look_up_close(LookUp *l);
extern void look_up_clear(LookUp *l);

/* How many keys the next batch should have: batches grow, unless rows are large. */
extern uint32_t look_up_room(const LookUp *l);
extern uint32_t look_up_count(const LookUp *l);

/* Adds a row's key; it is copied, as is the entry that led to it, if one did. */
extern void look_up_add(LookUp *l, uint32_t range, const uint8_t *key, size_t key_len,
						const uint8_t *entry, size_t entry_len);

extern bool look_up_run(LookUp *l, Object *object, Stamp *stamp, EngineError *err);

/*
 * After look_up_run on points that are index entries: goes on to the rows that
 * they lead to.  Points without an entry are left out.
 */
extern bool look_up_follow(LookUp *l, Object *object, Stamp *stamp, EngineError *err);

extern LookUpItem look_up_item(const LookUp *l, uint32_t i);

#endif
