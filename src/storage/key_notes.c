/*
 * key_notes.c
 *	  Which keys a set of changes writes: see key_notes.h.
 */
#include "src/storage/key_notes.h"

#include <stdlib.h>
#include <string.h>

#include "src/shared/protocol.h"
#include "src/shared/segment.h"

/* beyond it memory is given back when a set has been written */
#define KEPT_BYTES 16384

static void
note_object(KeyNotes *n, uint32_t id)
{
	/* changes of an object mostly come together, and there are few objects */
	for (uint32_t i = n->nobjects; i-- > 0;)
		if (n->objects[i] == id)
			return;
	if (n->nobjects == KEY_NOTES_OBJECTS)
		n->anywhere = true;
	else
		n->objects[n->nobjects++] = id;
}

static void *
grown(void *array, uint32_t *capacity, uint32_t wanted, size_t item)
{
	while (*capacity < wanted)
		*capacity = *capacity == 0 ? 64 : 2 * *capacity;
	array = realloc(array, *capacity * item);
	if (array == NULL)
		abort();
	return array;
}

void
key_notes_add(KeyNotes *n, const uint8_t *key, size_t len)
{
	NotedKey   *k;

	note_object(n, kalam_get_be32(key));
	if (n->many)
		return;
	if (n->nkeys == KEY_NOTES_KEYS || n->nbytes + len > KEY_NOTES_BYTES)
	{
		n->many = true;
		return;
	}
	if (n->nkeys == n->keys_capacity)
		n->keys = grown(n->keys, &n->keys_capacity, n->nkeys + 1, sizeof(NotedKey));
	if (n->nbytes + len > n->bytes_capacity)
		n->bytes = grown(n->bytes, &n->bytes_capacity, n->nbytes + (uint32_t) len, 1);
	k = &n->keys[n->nkeys++];
	k->hash = kalam_hash(key, len, 0);
	k->offset = n->nbytes;
	k->len = (uint32_t) len;
	memcpy(n->bytes + n->nbytes, key, len);
	n->nbytes += (uint32_t) len;
}

void
key_notes_add_object(KeyNotes *n, uint32_t object_id)
{
	note_object(n, object_id);
	n->many = true;
}

KeyNotesMark
key_notes_mark(const KeyNotes *n)
{
	KeyNotesMark mark = {n->nkeys, n->nbytes, n->nobjects, n->many, n->anywhere};

	return mark;
}

void
key_notes_undo(KeyNotes *n, const KeyNotesMark *mark)
{
	n->nkeys = mark->nkeys;
	n->nbytes = mark->nbytes;
	n->nobjects = mark->nobjects;
	n->many = mark->many;
	n->anywhere = mark->anywhere;
}

void
key_notes_clear(KeyNotes *n)
{
	static const KeyNotesMark empty;

	if (n->bytes_capacity > KEPT_BYTES)
		key_notes_free(n);
	key_notes_undo(n, &empty);
}

void
key_notes_free(KeyNotes *n)
{
	free(n->keys);
	free(n->bytes);
	n->keys = NULL;
	n->bytes = NULL;
	n->keys_capacity = n->bytes_capacity = 0;
}
