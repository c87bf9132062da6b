/*
 * record_list.c
 *	  Records by number, in memory and in a temporary file: see record_list.h.
 *
 * Records are gathered in blocks.  A full block stays in memory as long as the
 * bound allows, and is written to the file otherwise.  A record that is asked
 * for is most often in the block that is being filled; else one block of the
 * file is kept.
 */
#include "src/shared/record_list.h"

#include <string.h>

#define BLOCK_BYTES		((size_t) 8 * 1024)
#define MAX_IN_BLOCK	512

#define ALIGN8(n)		(((n) + 7) & ~(size_t) 7)

/* Of records first, first + 1, ...; begins with where each of them is. */
typedef struct Block
{
	uint64_t	first;
	uint8_t    *bytes;			/* NULL: in the file */
	uint64_t	offset;			/* there */
	size_t		len;
} Block;

struct KalamRecordList
{
	KalamStagedMemory memory;
	KalamRunFiles files;
	size_t		bound;
	size_t		in_memory;		/* bytes of full blocks there */
	int			file;			/* -1: none */
	uint64_t	file_bytes;
	uint64_t	count;
	Block	   *blocks;			/* full ones */
	size_t		nblocks;
	size_t		blocks_room;
	uint8_t    *filling;		/* the last block: records only */
	size_t		filling_room;
	size_t		filling_len;
	uint32_t	nfilling;
	uint32_t	where[MAX_IN_BLOCK];	/* of its records */
	uint8_t    *cached;			/* a block of the file */
	size_t		cached_room;
	size_t		cached_block;	/* its number; meaningless if cached is NULL */
};

KalamRecordList *
kalam_records_create(const KalamStagedMemory *memory, const KalamRunFiles *files,
					 size_t memory_bytes)
{
	KalamRecordList *l = memory->alloc(memory->arg, sizeof(KalamRecordList));

	memset(l, 0, sizeof(*l));
	l->memory = *memory;
	l->files = *files;
	l->bound = memory_bytes;
	l->file = -1;
	return l;
}

void
kalam_records_close_file(KalamRecordList *l)
{
	if (l->file >= 0)
		l->files.close(l->files.arg, l->file);
	l->file = -1;
}

static void
give_back(KalamRecordList *l, void *p, size_t size)
{
	if (p != NULL)
		l->memory.free(l->memory.arg, p, size);
}

void
kalam_records_destroy(KalamRecordList *l)
{
	kalam_records_close_file(l);
	for (size_t i = 0; i < l->nblocks; i++)
		give_back(l, l->blocks[i].bytes, l->blocks[i].len);
	give_back(l, l->blocks, l->blocks_room * sizeof(Block));
	give_back(l, l->filling, l->filling_room);
	give_back(l, l->cached, l->cached_room);
	l->memory.free(l->memory.arg, l, sizeof(*l));
}

/* Makes room for another full block. */
static void
reserve_block(KalamRecordList *l)
{
	size_t		room = l->blocks_room == 0 ? 16 : 2 * l->blocks_room;
	Block	   *larger;

	if (l->nblocks < l->blocks_room)
		return;
	larger = l->memory.alloc(l->memory.arg, room * sizeof(Block));
	if (l->nblocks > 0)
		memcpy(larger, l->blocks, l->nblocks * sizeof(Block));
	give_back(l, l->blocks, l->blocks_room * sizeof(Block));
	l->blocks = larger;
	l->blocks_room = room;
}

/* The block that was filled becomes one of the full ones. */
static void
finish_block(KalamRecordList *l)
{
	size_t		head = ALIGN8(l->nfilling * sizeof(uint32_t));
	Block		b = {.first = l->count - l->nfilling, .len = head + l->filling_len};
	uint8_t    *bytes;

	reserve_block(l);
	bytes = l->memory.alloc(l->memory.arg, b.len);
	memset(bytes, 0, head);
	memcpy(bytes, l->where, l->nfilling * sizeof(uint32_t));
	memcpy(bytes + head, l->filling, l->filling_len);
	if (l->in_memory + b.len <= l->bound)
	{
		b.bytes = bytes;
		l->in_memory += b.len;
	}
	else
	{
		/* it also becomes the cached one, so that an error leaves it with an owner */
		give_back(l, l->cached, l->cached_room);
		l->cached = bytes;
		l->cached_room = b.len;
		l->cached_block = SIZE_MAX;
		if (l->file < 0)
			l->file = l->files.create(l->files.arg);
		l->files.write(l->files.arg, l->file, l->file_bytes, bytes, b.len);
		l->cached_block = l->nblocks;
		b.offset = l->file_bytes;
		l->file_bytes += b.len;
	}
	l->blocks[l->nblocks++] = b;
	l->nfilling = 0;
	l->filling_len = 0;
}

void *
kalam_records_add(KalamRecordList *l, size_t len)
{
	size_t		bytes = ALIGN8(len);
	size_t		room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
	uint8_t    *record;

	if (l->nfilling == MAX_IN_BLOCK || (l->nfilling > 0 && l->filling_len + bytes > BLOCK_BYTES))
		finish_block(l);
	if (l->filling == NULL || (l->nfilling == 0 && l->filling_room != room))
	{
		give_back(l, l->filling, l->filling_room);
		l->filling = NULL;
		l->filling_room = 0;
		l->filling = l->memory.alloc(l->memory.arg, room);
		l->filling_room = room;
	}
	record = l->filling + l->filling_len;
	l->where[l->nfilling++] = (uint32_t) l->filling_len;
	l->filling_len += bytes;
	l->count++;
	return record;
}

uint64_t
kalam_records_count(const KalamRecordList *l)
{
	return l->count;
}

/* The number of the full block that has record n. */
static size_t
find_block(const KalamRecordList *l, uint64_t n)
{
	size_t		low = 0;
	size_t		high = l->nblocks;

	while (low + 1 < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (l->blocks[middle].first <= n)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static const uint8_t *
read_block(KalamRecordList *l, size_t i)
{
	const Block *b = &l->blocks[i];

	if (b->bytes != NULL)
		return b->bytes;
	if (l->cached != NULL && l->cached_block == i)
		return l->cached;
	if (l->cached_room < b->len || l->cached_room > 4 * b->len + BLOCK_BYTES)
	{
		give_back(l, l->cached, l->cached_room);
		l->cached = NULL;
		l->cached_room = 0;
		l->cached = l->memory.alloc(l->memory.arg, b->len);
		l->cached_room = b->len;
	}
	l->cached_block = SIZE_MAX;
	l->files.read(l->files.arg, l->file, b->offset, l->cached, b->len);
	l->cached_block = i;
	return l->cached;
}

const void *
kalam_records_get(KalamRecordList *l, uint64_t n)
{
	uint64_t	filled = l->count - l->nfilling;
	size_t		i;
	const uint8_t *bytes;
	uint64_t	last;
	uint32_t	where;

	if (n >= filled)
		return l->filling + l->where[n - filled];
	i = find_block(l, n);
	bytes = read_block(l, i);
	last = i + 1 < l->nblocks ? l->blocks[i + 1].first : filled;
	memcpy(&where, bytes + (n - l->blocks[i].first) * sizeof(where), sizeof(where));
	return bytes + ALIGN8((last - l->blocks[i].first) * sizeof(where)) + where;
}
