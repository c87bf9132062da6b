/*
 * key_notes.h - which keys a set of changes writes.
 *
 * Kept from the time when the changes are gathered until they are published:
 * for the stamps of the keys' buckets, and for those who watch an object
 * (load_watch.h).  Bounded: of a set that writes many keys only the objects are
 * known.  One thread at a time.
 */
#ifndef KALAM_STORAGE_KEY_NOTES_H
#define KALAM_STORAGE_KEY_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_NOTES_KEYS		4096
#define KEY_NOTES_BYTES		(512 * 1024)	/* of keys */
#define KEY_NOTES_OBJECTS	64

typedef struct NotedKey
{
	uint64_t	hash;			/* kalam_hash(key, len, 0) */
	uint32_t	offset;			/* of the key in bytes */
	uint32_t	len;
} NotedKey;

typedef struct KeyNotes
{
	NotedKey   *keys;
	uint8_t    *bytes;
	uint32_t	nkeys;
	uint32_t	keys_capacity;
	uint32_t	nbytes;
	uint32_t	bytes_capacity;
	uint32_t	objects[KEY_NOTES_OBJECTS]; /* of all keys, those of `many` included */
	uint32_t	nobjects;
	bool		many;			/* there are keys that are not noted */
	bool		anywhere;		/* and of objects that are not */
} KeyNotes;

/* Where notes were at a time; a KeyNotes that is all zero is empty. */
typedef struct KeyNotesMark
{
	uint32_t	nkeys;
	uint32_t	nbytes;
	uint32_t	nobjects;
	bool		many;
	bool		anywhere;
} KeyNotesMark;

extern void key_notes_add(KeyNotes *n, const uint8_t *key, size_t len);

/* Any key of the object may be written. */
extern void key_notes_add_object(KeyNotes *n, uint32_t object_id);

extern KeyNotesMark key_notes_mark(const KeyNotes *n);
extern void key_notes_undo(KeyNotes *n, const KeyNotesMark *mark);
extern void key_notes_clear(KeyNotes *n);
extern void key_notes_free(KeyNotes *n);

#endif
