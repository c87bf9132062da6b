/*
 * moved.c
 *	  Rows that went on under another key: see moved.h.
 *
 * In the store an UPDATE of key columns is a deletion and a new row.  Whoever
 * waited for it, or saw the row in an older snapshot, must find the row under
 * its new key, as it would follow the ctid of a heap row; else its own UPDATE
 * would pass the row by.
 *
 * The notes are in the store's catalog, one per slot of a table whose size is
 * fixed, so that they need no tidying up.  The slot follows from the hash of the
 * old key; a later note in a slot replaces the one before.  A note of another
 * row that is newer than the reader's snapshot may have replaced the one that
 * was looked for: that is a serialization failure.
 *
 * A note is key lengths (uint16 each), the old key, the new key; of long keys
 * only the lengths, as 0, so that all notes together stay small.
 */
#include "postgres.h"

#include "src/backend/client.h"
#include "src/backend/moved.h"
#include "src/backend/row.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

#define SLOT_KEY_BYTES	(KALAM_KEY_PREFIX_BYTES + 1 + 2)
#define HASH_SEED		UINT64CONST(0x6d6f766564)
#define MAX_NOTE_BYTES	512		/* of both keys */

typedef struct NoteHeader
{
	uint16		old_len;
	uint16		new_len;
} NoteHeader;

static void
slot_key(uint8 *key, const uint8 *old_key, size_t old_len)
{
	uint64		hash = kalam_hash(old_key, old_len, HASH_SEED);

	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_MOVED;
	key[KALAM_KEY_PREFIX_BYTES + 1] = (uint8) (hash >> 8);
	key[KALAM_KEY_PREFIX_BYTES + 2] = (uint8) hash;
}

void
kalam_moved_note(const uint8 *old_key, size_t old_len, const uint8 *new_key, size_t new_len)
{
	uint8		slot[SLOT_KEY_BYTES];
	uint8		note[sizeof(NoteHeader) + MAX_NOTE_BYTES];
	NoteHeader	h = {0, 0};

	if (old_len + new_len <= MAX_NOTE_BYTES)
	{
		h.old_len = old_len;
		h.new_len = new_len;
		memcpy(note + sizeof(h), old_key, old_len);
		memcpy(note + sizeof(h) + old_len, new_key, new_len);
	}
	memcpy(note, &h, sizeof(h));
	slot_key(slot, old_key, old_len);
	kalam_stage_bytes(slot, sizeof(slot), note, sizeof(h) + h.old_len + h.new_len);
}

bool
kalam_moved_follow(uint8 *key, size_t *len, uint64 stamp)
{
	uint8		slot[SLOT_KEY_BYTES];
	KalamRow   *row;
	NoteHeader	h = {0, 0};
	const uint8 *note;
	size_t		note_len;
	bool		followed;

	slot_key(slot, key, *len);
	row = kalam_get_rechecked(slot, sizeof(slot), stamp);
	if ((row->flags & KALAM_ROW_ABSENT) || !(row->flags & KALAM_ROW_CHANGED))
	{
		pfree(row);
		return false;			/* no row has moved from there since */
	}
	note = kalam_row_bytes(row, &note_len);
	if (note_len >= sizeof(h))
		memcpy(&h, note, sizeof(h));
	if (note_len != sizeof(h) + h.old_len + h.new_len || h.new_len > KALAM_MAX_KEY_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a note of the kalam store on where a row has moved cannot be read")));
	followed = h.old_len == *len && memcmp(note + sizeof(h), key, h.old_len) == 0;
	if (followed)
	{
		memcpy(key, note + sizeof(h) + h.old_len, h.new_len);
		*len = h.new_len;
	}
	pfree(row);
	if (!followed)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("The row is gone, and whether it went on under another key is not known any more.")));
	return true;
}
