/*
 * key_notes.h - which keys a set of changes writes.
 *
 * Kept from the time when the changes are gathered until they are published:
 * for the stamps of keys and objects (truth.h), and for those who watch an object
 * (load_watch.h).  Bounded: of a set that writes many keys some are not noted, but
 * of which objects these are.  One thread at a time.
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

/* Objects, each once. */
typedef struct NotedObjects
{
	uint32_t	ids[KEY_NOTES_OBJECTS];
	uint32_t	n;
	bool		more;			/* others, too: any may be one of them */
} NotedObjects;

typedef struct KeyNotes
{
	NotedKey   *keys;
	uint8_t    *bytes;
	uint32_t	nkeys;
	uint32_t	keys_capacity;
	uint32_t	nbytes;
	uint32_t	bytes_capacity;
	bool		full;			/* no more keys are noted */
	NotedObjects objects;		/* of all keys */
	NotedObjects whole;			/* of those that are not noted: any may be written */
} KeyNotes;

/* Where notes were at a time; a KeyNotes that is all zero is empty. */
typedef struct KeyNotesMark
{
	uint32_t	nkeys;
	uint32_t	nbytes;
	uint32_t	nobjects;
	uint32_t	nwhole;
	bool		full;
	bool		more_objects;
	bool		more_whole;
} KeyNotesMark;

extern void key_notes_add(KeyNotes *n, const uint8_t *key, size_t len);

/* Any key of the object may be written. */
extern void key_notes_add_object(KeyNotes *n, uint32_t object_id);

/* Something of the object changes, but no key that is looked up by itself. */
extern void key_notes_touch(KeyNotes *n, uint32_t object_id);

extern bool key_notes_name(const NotedObjects *objects, uint32_t object_id);

extern KeyNotesMark key_notes_mark(const KeyNotes *n);
extern void key_notes_undo(KeyNotes *n, const KeyNotesMark *mark);
extern void key_notes_clear(KeyNotes *n);
extern void key_notes_free(KeyNotes *n);

#endif
