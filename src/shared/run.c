/*
 * run.c
 *	  Sorted runs of versions in temporary files: see run.h.
 *
 * A block: a header, records, and at its end the offset of each record, so that
 * a search halves and a scan goes both ways.  A record larger than a block has
 * one to itself.  Blocks know the length of the one before them.
 *
 * Callbacks may raise, by longjmp.  A run that is half written is only to be
 * freed then; a reader has no block any more and may be used again.
 */
#include "src/shared/run.h"

#include <string.h>

#include "src/shared/key_filter.h"
#include "src/shared/segment.h"

#define ALIGN8(n)		(((n) + 7) & ~(size_t) 7)

typedef struct BlockHeader
{
	uint32_t	bytes;			/* of the block, a multiple of 8 */
	uint32_t	previous_bytes; /* of the block before it; 0: it is the first */
	uint32_t	nrecords;
	uint32_t	unused;
} BlockHeader;

/* Key and value follow, each 8-aligned. */
typedef struct Record
{
	uint32_t	command_id;
	uint32_t	sub;
	uint32_t	value_len;
	uint16_t	key_len;
	uint8_t		op;
	uint8_t		flags;
} Record;

_Static_assert(sizeof(BlockHeader) % 8 == 0 && sizeof(Record) % 8 == 0, "values are 8-aligned");
_Static_assert(KALAM_MAX_KEY_BYTES <= UINT16_MAX, "key lengths fit");

/* An array that grows. */
typedef struct Array
{
	void	   *data;
	size_t		bytes;
	size_t		room;
} Array;

/* Where a block begins, and its first key: bytes of index_keys up to key_end. */
typedef struct IndexEntry
{
	uint64_t	offset;
	uint64_t	key_end;
} IndexEntry;

struct KalamRun
{
	KalamStagedMemory memory;
	KalamRunFiles files;
	KalamRunLimits limits;
	int			file;			/* -1: none */
	uint64_t	file_bytes;
	uint64_t	nversions;
	uint64_t	nblocks;
	uint64_t	last_offset;	/* of the last block */
	uint32_t	last_bytes;
	uint32_t	min_sub;
	uint32_t	max_sub;
	KalamKeyFilter filter;
	Array		index;			/* of IndexEntry */
	Array		index_keys;
	uint64_t	stride;			/* blocks per index entry */
	uint8_t    *last_key;		/* KALAM_MAX_KEY_BYTES of room */
	size_t		last_key_len;
	KalamRunReader reader;

	/* while it is written */
	uint8_t    *block;
	size_t		block_used;		/* header included */
	Array		offsets;		/* uint32 each, of the records in the block */
};

static void
grow(KalamRun *run, Array *a, size_t more)
{
	size_t		room;
	void	   *data;

	if (a->bytes + more <= a->room)
		return;
	room = 2 * (a->bytes + more);
	data = run->memory.alloc(run->memory.arg, room);
	if (a->bytes > 0)
		memcpy(data, a->data, a->bytes);
	if (a->data != NULL)
		run->memory.free(run->memory.arg, a->data, a->room);
	a->data = data;
	a->room = room;
}

static void
append(Array *a, const void *bytes, size_t len)
{
	memcpy((char *) a->data + a->bytes, bytes, len);
	a->bytes += len;
}

static void
array_free(KalamRun *run, Array *a)
{
	if (a->data != NULL)
		run->memory.free(run->memory.arg, a->data, a->room);
}

uint64_t
kalam_run_hash(const uint8_t *key, size_t len)
{
	return kalam_hash(key, len, 0);
}

/* ---- the index ---- */

static inline size_t
index_count(const KalamRun *run)
{
	return run->index.bytes / sizeof(IndexEntry);
}

static inline const uint8_t *
index_key(const KalamRun *run, size_t i, size_t *len)
{
	const IndexEntry *e = run->index.data;
	uint64_t	begin = i == 0 ? 0 : e[i - 1].key_end;

	*len = (size_t) (e[i].key_end - begin);
	return (const uint8_t *) run->index_keys.data + begin;
}

/* Drops every second entry, but never the first. */
static void
thin_index(KalamRun *run)
{
	IndexEntry *e = run->index.data;
	uint8_t    *keys = run->index_keys.data;
	size_t		n = index_count(run);
	size_t		kept = 0;
	size_t		key_bytes = 0;

	for (size_t i = 0; i < n; i += 2)
	{
		size_t		len;
		const uint8_t *key = index_key(run, i, &len);
		uint64_t	offset = e[i].offset;

		/* entry i - 1, which says where key i begins, is overwritten only now */
		memmove(keys + key_bytes, key, len);
		key_bytes += len;
		e[kept].offset = offset;
		e[kept].key_end = key_bytes;
		kept++;
	}
	run->index.bytes = kept * sizeof(IndexEntry);
	run->index_keys.bytes = key_bytes;
	run->stride *= 2;
}

static void
index_block(KalamRun *run, uint64_t offset, const uint8_t *key, size_t len)
{
	IndexEntry	e = {offset, run->index_keys.bytes + len};

	if (run->nblocks % run->stride != 0)
		return;
	grow(run, &run->index, sizeof(e));
	grow(run, &run->index_keys, len);
	append(&run->index, &e, sizeof(e));
	append(&run->index_keys, key, len);
	if (run->index.bytes + run->index_keys.bytes > run->limits.index_bytes && index_count(run) > 2)
		thin_index(run);
}

/* The place of the last indexed block that begins before key, else of the first. */
static uint64_t
index_search(const KalamRun *run, const uint8_t *key, size_t len)
{
	size_t		low = 0;
	size_t		high = index_count(run);

	/* entries up to low begin before key (or low is 0), those from high on do not */
	while (low + 1 < high)
	{
		size_t		middle = low + (high - low) / 2;
		size_t		middle_len;
		const uint8_t *middle_key = index_key(run, middle, &middle_len);

		if (kalam_key_compare(middle_key, middle_len, key, len) < 0)
			low = middle;
		else
			high = middle;
	}
	return ((const IndexEntry *) run->index.data)[low].offset;
}

/* ---- writing ---- */

void
kalam_run_create(KalamRun **result, const KalamStagedMemory *memory, const KalamRunFiles *files,
				 const KalamRunLimits *limits, uint64_t max_versions)
{
	KalamRun   *run = memory->alloc(memory->arg, sizeof(KalamRun));

	memset(run, 0, sizeof(*run));
	run->memory = *memory;
	run->files = *files;
	run->limits = *limits;
	run->file = -1;
	run->stride = 1;
	run->min_sub = UINT32_MAX;
	run->block_used = sizeof(BlockHeader);
	*result = run;

	run->last_key = memory->alloc(memory->arg, KALAM_MAX_KEY_BYTES);
	run->block = memory->alloc(memory->arg, limits->block_bytes);
	kalam_filter_size(&run->filter, max_versions, limits->filter_bytes);
	if (run->filter.nlines > 0)
	{
		size_t		bytes = run->filter.nlines * KALAM_FILTER_LINE_BYTES;

		run->filter.lines = memory->alloc(memory->arg, bytes);
		memset(run->filter.lines, 0, bytes);
	}
	run->file = files->create(files->arg);
}

/* The file got another block, which begins with the key. */
static void
note_block(KalamRun *run, uint32_t bytes, const uint8_t *key, size_t key_len)
{
	index_block(run, run->file_bytes, key, key_len);
	run->nblocks++;
	run->last_offset = run->file_bytes;
	run->last_bytes = bytes;
	run->file_bytes += bytes;
}

static void
write_block(KalamRun *run)
{
	size_t		used = run->block_used;
	uint32_t	nrecords = (uint32_t) (run->offsets.bytes / sizeof(uint32_t));
	size_t		bytes = ALIGN8(used + run->offsets.bytes);
	const Record *first = (const Record *) (run->block + sizeof(BlockHeader));
	BlockHeader h = {(uint32_t) bytes, run->last_bytes, nrecords, 0};

	if (nrecords == 0)
		return;
	memcpy(run->block, &h, sizeof(h));
	memset(run->block + used, 0, bytes - used);
	memcpy(run->block + bytes - run->offsets.bytes, run->offsets.data, run->offsets.bytes);
	run->files.write(run->files.arg, run->file, run->file_bytes, run->block, bytes);
	note_block(run, h.bytes, (const uint8_t *) (first + 1), first->key_len);
	run->block_used = sizeof(BlockHeader);
	run->offsets.bytes = 0;
}

/* A block of its own, written without being copied. */
static void
write_alone(KalamRun *run, const Record *rec, const KalamVersion *v)
{
	size_t		head = sizeof(BlockHeader) + sizeof(Record) + ALIGN8(v->key_len);
	uint32_t	where = sizeof(BlockHeader);
	uint8_t		tail[16] = {0};
	size_t		pad = ALIGN8((size_t) v->value_len) - v->value_len;
	size_t		bytes = head + v->value_len + pad + 8;
	BlockHeader h = {(uint32_t) bytes, run->last_bytes, 1, 0};
	uint8_t		start[sizeof(BlockHeader) + sizeof(Record) + ALIGN8(KALAM_MAX_KEY_BYTES)];
	uint64_t	offset = run->file_bytes;

	memset(start, 0, head);
	memcpy(start, &h, sizeof(h));
	memcpy(start + sizeof(h), rec, sizeof(*rec));
	memcpy(start + sizeof(h) + sizeof(*rec), v->key, v->key_len);
	memcpy(tail + pad + 8 - sizeof(where), &where, sizeof(where));
	run->files.write(run->files.arg, run->file, offset, start, head);
	if (v->value_len > 0)
		run->files.write(run->files.arg, run->file, offset + head, v->value, v->value_len);
	run->files.write(run->files.arg, run->file, offset + head + v->value_len, tail, pad + 8);
	note_block(run, h.bytes, v->key, v->key_len);
}

void
kalam_run_put(KalamRun *run, const KalamVersion *v)
{
	Record		rec = {v->command_id, v->sub, v->value_len, (uint16_t) v->key_len, v->op, v->flags};
	size_t		bytes = sizeof(Record) + ALIGN8(v->key_len) + ALIGN8((size_t) v->value_len);
	bool		alone = sizeof(BlockHeader) + bytes + 8 > run->limits.block_bytes;

	if (alone ||
		ALIGN8(run->block_used + bytes + run->offsets.bytes + sizeof(uint32_t)) > run->limits.block_bytes)
		write_block(run);
	if (alone)
		write_alone(run, &rec, v);
	else
	{
		uint32_t	where = (uint32_t) run->block_used;
		uint8_t    *at = run->block + where;

		grow(run, &run->offsets, sizeof(where));
		append(&run->offsets, &where, sizeof(where));
		memset(at, 0, bytes);
		memcpy(at, &rec, sizeof(rec));
		at += sizeof(rec);
		memcpy(at, v->key, v->key_len);
		if (v->value_len > 0)
			memcpy(at + ALIGN8(v->key_len), v->value, v->value_len);
		run->block_used += bytes;
	}

	if (run->nversions == 0 ||
		kalam_key_compare(run->last_key, run->last_key_len, v->key, v->key_len) != 0)
	{
		kalam_filter_add(&run->filter, kalam_run_hash(v->key, v->key_len));
		memcpy(run->last_key, v->key, v->key_len);
		run->last_key_len = v->key_len;
	}
	run->nversions++;
	if (v->sub < run->min_sub)
		run->min_sub = v->sub;
	if (v->sub > run->max_sub)
		run->max_sub = v->sub;
}

void
kalam_run_finish(KalamRun *run)
{
	write_block(run);
	run->memory.free(run->memory.arg, run->block, run->limits.block_bytes);
	run->block = NULL;
	array_free(run, &run->offsets);
	memset(&run->offsets, 0, sizeof(run->offsets));
	kalam_run_reader_begin(&run->reader, run, &run->memory);
}

void
kalam_run_free(KalamRun *run)
{
	KalamStagedMemory memory = run->memory;

	kalam_run_reader_end(&run->reader);
	if (run->file >= 0)
		run->files.close(run->files.arg, run->file);
	if (run->filter.lines != NULL)
		memory.free(memory.arg, run->filter.lines, run->filter.nlines * KALAM_FILTER_LINE_BYTES);
	if (run->last_key != NULL)
		memory.free(memory.arg, run->last_key, KALAM_MAX_KEY_BYTES);
	if (run->block != NULL)
		memory.free(memory.arg, run->block, run->limits.block_bytes);
	array_free(run, &run->index);
	array_free(run, &run->index_keys);
	array_free(run, &run->offsets);
	memory.free(memory.arg, run, sizeof(*run));
}

/* ---- what is in it ---- */

uint64_t
kalam_run_count(const KalamRun *run)
{
	return run->nversions;
}

uint64_t
kalam_run_file_bytes(const KalamRun *run)
{
	return run->file_bytes;
}

uint64_t
kalam_run_memory_bytes(const KalamRun *run)
{
	return sizeof(*run) + KALAM_MAX_KEY_BYTES + run->filter.nlines * KALAM_FILTER_LINE_BYTES +
		run->index.room + run->index_keys.room + run->reader.room;
}

uint32_t
kalam_run_min_sub(const KalamRun *run)
{
	return run->min_sub;
}

uint32_t
kalam_run_max_sub(const KalamRun *run)
{
	return run->max_sub;
}

bool
kalam_run_overlaps(const KalamRun *run, const uint8_t *lower, size_t lower_len,
				   const uint8_t *upper, size_t upper_len)
{
	size_t		first_len;
	const uint8_t *first = index_key(run, 0, &first_len);

	return kalam_key_compare(lower, lower_len, run->last_key, run->last_key_len) <= 0 &&
		(upper == NULL || kalam_key_compare(first, first_len, upper, upper_len) < 0);
}

bool
kalam_run_may_have(const KalamRun *run, const uint8_t *key, size_t len, uint64_t hash)
{
	size_t		first_len;
	const uint8_t *first = index_key(run, 0, &first_len);

	return kalam_key_compare(key, len, run->last_key, run->last_key_len) <= 0 &&
		kalam_key_compare(first, first_len, key, len) <= 0 &&
		kalam_filter_may_have(&run->filter, hash);
}

/* ---- reading ---- */

void
kalam_run_reader_begin(KalamRunReader *r, KalamRun *run, const KalamStagedMemory *memory)
{
	memset(r, 0, sizeof(*r));
	r->run = run;
	r->memory = *memory;
}

void
kalam_run_reader_end(KalamRunReader *r)
{
	if (r->block != NULL)
		r->memory.free(r->memory.arg, r->block, r->room);
	r->block = NULL;
	r->room = 0;
	r->bytes = 0;
}

void
kalam_run_reader_shrink(KalamRunReader *r)
{
	if (r->room > r->run->limits.block_bytes)
		kalam_run_reader_end(r);
}

KalamRunReader *
kalam_run_own_reader(KalamRun *run)
{
	return &run->reader;
}

static void
make_room(KalamRunReader *r, size_t bytes)
{
	if (r->room == bytes)
		return;
	kalam_run_reader_end(r);
	r->block = r->memory.alloc(r->memory.arg, bytes);
	r->room = bytes;
}

/* Makes the block at offset the reader's. */
static void
load(KalamRunReader *r, uint64_t offset)
{
	KalamRun   *run = r->run;
	const KalamRunFiles *f = &run->files;
	uint64_t	left = run->file_bytes - offset;
	size_t		n = left < run->limits.block_bytes ? (size_t) left : run->limits.block_bytes;
	BlockHeader h;

	if (r->bytes > 0 && r->offset == offset)
		return;
	r->bytes = 0;
	make_room(r, run->limits.block_bytes);
	/* most often more than the block, and no less */
	f->read(f->arg, run->file, offset, r->block, n);
	memcpy(&h, r->block, sizeof(h));
	if (h.bytes > left || h.bytes % 8 != 0 || h.previous_bytes > offset || h.nrecords == 0 ||
		sizeof(h) + (uint64_t) h.nrecords * (sizeof(Record) + sizeof(uint32_t)) > h.bytes)
		f->broken(f->arg, run->file);
	if (h.bytes > n)
	{
		make_room(r, h.bytes);
		f->read(f->arg, run->file, offset, r->block, h.bytes);
	}
	r->offset = offset;
	r->nrecords = h.nrecords;
	r->bytes = h.bytes;
}

static const Record *
record(const KalamRunReader *r, uint32_t i)
{
	size_t		trailer = r->bytes - (size_t) r->nrecords * sizeof(uint32_t);
	const Record *rec;
	uint32_t	where;

	memcpy(&where, r->block + trailer + (size_t) i * sizeof(where), sizeof(where));
	rec = (const Record *) (r->block + where);
	if (where % 8 != 0 || where + sizeof(Record) > trailer ||
		where + sizeof(Record) + ALIGN8((size_t) rec->key_len) + (size_t) rec->value_len > trailer)
		r->run->files.broken(r->run->files.arg, r->run->file);
	return rec;
}

static int
compare_record(const KalamRunReader *r, uint32_t i, const uint8_t *key, size_t len)
{
	const Record *rec = record(r, i);

	return kalam_key_compare((const uint8_t *) (rec + 1), rec->key_len, key, len);
}

void
kalam_run_current(const KalamRunReader *r, KalamVersion *v)
{
	const Record *rec = record(r, r->at);

	v->key = (const uint8_t *) (rec + 1);
	v->key_len = rec->key_len;
	v->value = v->key + ALIGN8((size_t) rec->key_len);
	v->value_len = rec->value_len;
	v->command_id = rec->command_id;
	v->sub = rec->sub;
	v->op = rec->op;
	v->flags = rec->flags;
}

bool
kalam_run_seek(KalamRunReader *r, const uint8_t *key, size_t len)
{
	KalamRun   *run = r->run;
	uint32_t	low = 0;
	uint32_t	high;

	if (kalam_key_compare(key, len, run->last_key, run->last_key_len) > 0)
		return false;
	/* Look-ups in the order of keys stay in a block for long. */
	if (r->bytes == 0 || compare_record(r, 0, key, len) >= 0)
		load(r, index_search(run, key, len));
	else if (compare_record(r, r->nrecords - 1, key, len) < 0)
	{
		uint64_t	indexed = index_search(run, key, len);

		load(r, indexed > r->offset ? indexed : r->offset);
	}
	while (compare_record(r, r->nrecords - 1, key, len) < 0)
		load(r, r->offset + r->bytes);

	high = r->nrecords - 1;
	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (compare_record(r, middle, key, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	r->at = low;
	return true;
}

bool
kalam_run_seek_before(KalamRunReader *r, const uint8_t *key, size_t len)
{
	if (key != NULL && kalam_run_seek(r, key, len))
		return kalam_run_previous(r);
	load(r, r->run->last_offset);
	r->at = r->nrecords - 1;
	return true;
}

bool
kalam_run_next(KalamRunReader *r)
{
	if (r->at + 1 < r->nrecords)
	{
		r->at++;
		return true;
	}
	if (r->offset + r->bytes >= r->run->file_bytes)
		return false;
	load(r, r->offset + r->bytes);
	r->at = 0;
	return true;
}

bool
kalam_run_previous(KalamRunReader *r)
{
	BlockHeader h;

	if (r->at > 0)
	{
		r->at--;
		return true;
	}
	memcpy(&h, r->block, sizeof(h));
	if (h.previous_bytes == 0)
		return false;
	load(r, r->offset - h.previous_bytes);
	r->at = r->nrecords - 1;
	return true;
}
