/*
 * key_numbers.h - keys taken as numbers, to find what lies between them; and room
 * for keys that are kept.
 */
#ifndef KALAM_STORAGE_KEY_NUMBERS_H
#define KALAM_STORAGE_KEY_NUMBERS_H

#include <stdlib.h>
#include <string.h>

#include "src/storage/storage.h"

typedef struct Key
{
	const uint8_t *bytes;
	size_t		len;
} Key;

static inline int
key_order(Key a, Key b)
{
	return key_compare(a.bytes, a.len, b.bytes, b.len);
}

static inline size_t
key_common_prefix(Key a, Key b)
{
	size_t		n = 0;

	while (n < a.len && n < b.len && a.bytes[n] == b.bytes[n])
		n++;
	return n;
}

/* The eight bytes of a key from offset on, as a number; zeros behind its end. */
static inline uint64_t
key_number_at(Key key, size_t offset)
{
	uint64_t	n = 0;

	for (size_t i = offset; i < offset + 8; i++)
		n = n << 8 | (i < key.len ? key.bytes[i] : 0);
	return n;
}

/* ---- keys that are kept, all to be freed together ---- */

#define KEY_CHUNK_BYTES (64 << 10)

typedef struct KeyChunk
{
	struct KeyChunk *next;
	size_t		used;
	uint8_t		bytes[KEY_CHUNK_BYTES];
} KeyChunk;

/* Room for a key of KALAM_MAX_KEY_BYTES and a little more. */
static inline uint8_t *
key_room(KeyChunk **chunks, size_t len)
{
	uint8_t    *room;

	if (*chunks == NULL || (*chunks)->used + len > KEY_CHUNK_BYTES)
	{
		KeyChunk   *chunk = malloc(sizeof(KeyChunk));

		if (chunk == NULL)
			abort();
		chunk->next = *chunks;
		chunk->used = 0;
		*chunks = chunk;
	}
	room = (*chunks)->bytes + (*chunks)->used;
	(*chunks)->used += len;
	return room;
}

static inline Key
key_keep(KeyChunk **chunks, const uint8_t *bytes, size_t len)
{
	uint8_t    *room = key_room(chunks, len);

	memcpy(room, bytes, len);
	return (Key) {room, len};
}

static inline void
key_chunks_free(KeyChunk *chunks)
{
	while (chunks != NULL)
	{
		KeyChunk   *next = chunks->next;

		free(chunks);
		chunks = next;
	}
}

#endif
