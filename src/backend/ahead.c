/*
 * ahead.c
 *	  Look-ups for many rows at a time: see ahead.h.
 */
#include "postgres.h"

#include "src/backend/ahead.h"
#include "src/backend/row.h"
#include "src/backend/scan_input.h"
#include "src/backend/shmem.h"

/* Rows beyond that are looked up when their turn comes. */
#define MAX_AHEAD_BYTES		(4 * 1024 * 1024)

typedef struct AheadEntry
{
	uint8	   *key;			/* NULL: nothing was asked */
	size_t		key_len;
	KalamRow   *row;			/* NULL: nothing is stored */
} AheadEntry;

struct KalamAhead
{
	uint64		stamp;			/* what was read is of this stamp, or newer */
	int			known;			/* entries before this one were answered */
	int			n;
	int			turn;
	AheadEntry	entries[FLEXIBLE_ARRAY_MEMBER];
};

/* A null in the key is for INSERT to complain about, in its turn. */
static bool
has_key(KalamTable *table, TupleTableSlot *slot)
{
	for (int i = 0; i < table->nkeys; i++)
		if (slot_attisnull(slot, table->keys[i].attnum))
			return false;
	return true;
}

/* Makes the keys, and the input that asks for them.  numbers: of the entries that it has. */
static void
ask(KalamAhead *ahead, KalamTable *table, Relation rel, TupleTableSlot **slots, KalamInput *input,
	int *numbers)
{
	uint8		key[KALAM_MAX_KEY_BYTES];

	kalam_input_begin(input, KALAM_SECTION_RANGES);
	for (int i = 0; i < ahead->n; i++)
	{
		AheadEntry *e = &ahead->entries[i];

		if (!has_key(table, slots[i]))
			continue;
		e->key_len = kalam_table_row_key(table, rel, slots[i], key);
		if (!kalam_input_add_range(input, key, e->key_len, NULL, 0))
			break;
		e->key = palloc(e->key_len);
		memcpy(e->key, key, e->key_len);
		numbers[input->nranges - 1] = i;
	}
	kalam_input_end(input);
}

static KalamRow *
copy_row(const KalamRow *row)
{
	Size		size = KALAM_ROW_TUPLE_OFFSET + KALAM_ALIGN8(row->tuple_len) + row->key_len;
	KalamRow   *copy = palloc(size);

	memcpy(copy, row, size);
	return copy;
}

KalamAhead *
kalam_ahead_read(KalamTable *table, Relation rel, TupleTableSlot **slots, int n, bool keys_only)
{
	KalamAhead *ahead;
	KalamInput	input = {.context = CurrentMemoryContext};
	KalamRange	range = {0};
	KalamCursor *cursor;
	const KalamRow *row;
	int		   *numbers;
	Size		bytes = 0;

	if (n < 2 || table->nkeys == 0)
		return NULL;
	ahead = palloc0(offsetof(KalamAhead, entries) + n * sizeof(AheadEntry));
	ahead->n = n;
	(void) kalam_client_ready();
	ahead->stamp = atomic_load_explicit(&kalam_segment->pub, memory_order_acquire);

	numbers = palloc(n * sizeof(int));
	ask(ahead, table, rel, slots, &input, numbers);
	if (input.nranges == 0)
		return NULL;
	range.object_id = table->object_id;
	range.flags = KALAM_SCAN_NEWEST | (keys_only ? KALAM_SCAN_KEYS_ONLY : KALAM_SCAN_KEYS);
	range.input = input.bytes;
	range.input_len = input.len;
	cursor = kalam_cursor_open(&range);
	ahead->known = n;
	while ((row = kalam_cursor_next(cursor)) != NULL)
	{
		int			i = numbers[kalam_row_range(row)];

		if (bytes > MAX_AHEAD_BYTES)
		{
			ahead->known = i;
			break;
		}
		ahead->entries[i].row = copy_row(row);
		bytes += row->tuple_len;
	}
	kalam_cursor_close(cursor);
	return ahead;
}

void
kalam_ahead_turn(KalamAhead *ahead, int i)
{
	if (ahead != NULL)
		ahead->turn = i;
}

bool
kalam_ahead_get(const KalamAhead *ahead, const uint8 *key, size_t key_len, const KalamRow **row)
{
	const AheadEntry *e;

	if (ahead == NULL || ahead->turn >= ahead->known)
		return false;
	e = &ahead->entries[ahead->turn];
	/* SET or a trigger may have led to another key */
	if (e->key == NULL || e->key_len != key_len || memcmp(e->key, key, key_len) != 0 ||
		!kalam_key_unchanged_since(key, key_len, ahead->stamp))
		return false;
	*row = e->row;
	return true;
}
