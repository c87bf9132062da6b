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

static bool
is_listed(const NotedObjects *objects, uint32_t id)
{
	/* changes of an object mostly come together, and there are few objects */
	for (uint32_t i = objects->n; i-- > 0;)
		if (objects->ids[i] == id)
			return true;
	return false;
}

bool
key_notes_name(const NotedObjects *objects, uint32_t object_id)
{
	return objects->more || is_listed(objects, object_id);
}

static void
note_object(NotedObjects *objects, uint32_t id)
{
	if (is_listed(objects, id))
		return;
	if (objects->n == KEY_NOTES_OBJECTS)
		objects->more = true;
	else
		objects->ids[objects->n++] = id;
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

	note_object(&n->objects, kalam_get_be32(key));
	n->full |= n->nkeys == KEY_NOTES_KEYS || n->nbytes + len > KEY_NOTES_BYTES;
	if (n->full)
	{
		note_object(&n->whole, kalam_get_be32(key));
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
	note_object(&n->objects, object_id);
	note_object(&n->whole, object_id);
}

void
key_notes_touch(KeyNotes *n, uint32_t object_id)
{
	note_object(&n->objects, object_id);
}

KeyNotesMark
key_notes_mark(const KeyNotes *n)
{
	KeyNotesMark mark = {
		n->nkeys, n->nbytes, n->objects.n, n->whole.n, n->full, n->objects.more, n->whole.more
	};

	return mark;
}

void
key_notes_undo(KeyNotes *n, const KeyNotesMark *mark)
{
	n->nkeys = mark->nkeys;
	n->nbytes = mark->nbytes;
	n->full = mark->full;
	n->objects.n = mark->nobjects;
	n->objects.more = mark->more_objects;
	n->whole.n = mark->nwhole;
	n->whole.more = mark->more_whole;
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
