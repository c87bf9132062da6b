/*
 * moved.h
 *	  Rows that went on under another key, for those who saw them under the old.
 */
#ifndef KALAM_MOVED_H
#define KALAM_MOVED_H

#include "postgres.h"

/* Stages a note that the row of old_key goes on as that of new_key. */
extern void kalam_moved_note(const uint8 *old_key, size_t old_len,
							 const uint8 *new_key, size_t new_len);

/*
 * The row of key is gone since the stamp.  True if it went on under another key,
 * which then stands in key (KALAM_MAX_KEY_BYTES long) and *len.  Raises 40001
 * if it cannot be told.
 */
extern bool kalam_moved_follow(uint8 *key, size_t *len, uint64 stamp);

#endif							/* KALAM_MOVED_H */
