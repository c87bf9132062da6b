/*
 * load_read.c
 *	  LOAD_READ: declarations first, then the records in the order of their keys.
 *
 * One thread at a time uses a read; the load is held, so that it may be dropped
 * meanwhile.
 */
#include "src/storage/load_read.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/loads.h"

struct LoadRead
{
	Load	   *load;
	uint32_t	declared;		/* targets */
	uint32_t   *order;			/* targets in the order of their keys */
	uint32_t	at;				/* order[at] is read */
	SorterRead *read;			/* of it, or NULL */

	/* the record that is not sent yet; its bytes stay where they are */
	bool		has;
	const uint8_t *key;
	size_t		key_len;
	const uint8_t *value;
	size_t		value_len;
	uint64_t	sent;			/* of it, in pieces */
};

/* A target's number with what its keys begin with. */
typedef struct TargetPlace
{
	uint64_t	prefix;
	uint32_t	target;
} TargetPlace;

static int
compare_places(const void *a, const void *b)
{
	const TargetPlace *x = a;
	const TargetPlace *y = b;

	return (x->prefix > y->prefix) - (x->prefix < y->prefix);
}

/* Rows of an object come before entries of its indexes. */
static uint32_t *
order_of_keys(const Load *load)
{
	TargetPlace *places = malloc((load->ntargets + 1) * sizeof(TargetPlace));
	uint32_t   *order = malloc((load->ntargets + 1) * sizeof(uint32_t));

	for (uint32_t i = 0; i < load->ntargets; i++)
	{
		const KalamLoadTarget *t = &load->targets[i].is;

		places[i] = (TargetPlace) {(uint64_t) t->object_id << 16 | t->index_id, i};
	}
	qsort(places, load->ntargets, sizeof(TargetPlace), compare_places);
	for (uint32_t i = 0; i < load->ntargets; i++)
		order[i] = places[i].target;
	free(places);
	return order;
}

LoadRead *
load_read_open(uint32_t slot, uint64_t number, EngineError *err)
{
	Load	   *load = loads_get(slot, number);
	LoadRead   *r;

	if (load == NULL)
	{
		engine_error(err, KALAM_ERR_NO_LOAD, "there is no load %llu", (unsigned long long) number);
		return NULL;
	}
	r = calloc(1, sizeof(LoadRead));
	r->load = load;
	r->order = order_of_keys(load);
	return r;
}

void
load_read_close(LoadRead *r)
{
	if (r->read != NULL)
		sorter_read_close(r->read);
	load_put(r->load);
	free(r->order);
	free(r);
}

/* ---- one record ---- */

/*
 * Where a value lies in its record: 8-aligned are the bytes behind which Postgres
 * finds the columns, if the row is made a tuple where it lies.
 */
static uint16_t
value_offset(size_t key_len)
{
	return (uint16_t) (KALAM_ALIGN8(KALAM_LOAD_KEY_OFFSET + key_len) + 2);
}

static KalamLoadRecord
record_head(const LoadRead *r)
{
	KalamLoadRecord h = {
		.key_len = (uint16_t) r->key_len,
		.target = (uint16_t) r->order[r->at],
		.value_len = (uint32_t) r->value_len,
		.value_offset = value_offset(r->key_len),
	};

	h.size = (uint32_t) KALAM_ALIGN8((uint64_t) h.value_offset + r->value_len);
	return h;
}

/* Copies what of a part of the record, at `at`, lies in [from, to). */
static void
copy_part(uint8_t *data, uint64_t from, uint64_t to, uint64_t at, const void *part, size_t len)
{
	uint64_t	lower = at > from ? at : from;
	uint64_t	upper = at + len < to ? at + len : to;

	if (lower < upper)
		memcpy(data + (lower - from), (const uint8_t *) part + (lower - at), upper - lower);
}

/* Writes bytes [from, to) of the record. */
static void
write_record(const LoadRead *r, const KalamLoadRecord *h, uint64_t from, uint64_t to, uint8_t *data)
{
	copy_part(data, from, to, 0, h, sizeof(*h));
	copy_part(data, from, to, KALAM_LOAD_KEY_OFFSET, r->key, r->key_len);
	copy_part(data, from, to, h->value_offset, r->value, r->value_len);
}

/* The next record of the load, of whichever target.  False at the end and on errors. */
static bool
next_record(LoadRead *r, EngineError *err)
{
	while (!r->has && r->at < r->load->ntargets)
	{
		if (r->read == NULL)
			r->read = sorter_read_open(r->load->targets[r->order[r->at]].sorter, NULL, 0, err);
		if (r->read == NULL)
			return false;
		r->has = sorter_read_next(r->read, &r->key, &r->key_len, &r->value, &r->value_len);
		if (r->has)
			break;
		if (!sorter_read_good(r->read, err))
			return false;
		sorter_read_close(r->read);
		r->read = NULL;
		r->at++;
	}
	return r->has;
}

/* ---- blocks ---- */

static void
put_declarations(LoadRead *r, KalamBlock *b)
{
	for (; r->declared < r->load->ntargets; r->declared++)
	{
		KalamLoadRecord h = {
			.size = KALAM_ALIGN8(sizeof(h) + sizeof(KalamLoadTarget)),
			.target = (uint16_t) r->declared,
			.value_len = sizeof(KalamLoadTarget),
			.value_offset = sizeof(h),
			.flags = KALAM_LOAD_TARGET,
		};

		if (h.size > KALAM_BLOCK_DATA_BYTES - b->used)
			return;
		memcpy(b->data + b->used, &h, sizeof(h));
		memcpy(b->data + b->used + sizeof(h), &r->load->targets[r->declared].is,
			   sizeof(KalamLoadTarget));
		b->used += h.size;
	}
}

/* A piece of a record that fits in no block. */
static void
put_piece(LoadRead *r, const KalamLoadRecord *h, KalamBlock *b)
{
	uint64_t	n = h->size - r->sent;

	if (n > KALAM_BLOCK_DATA_BYTES)
		n = KALAM_BLOCK_DATA_BYTES;
	write_record(r, h, r->sent, r->sent + n, b->data);
	r->sent += n;
	b->used = (uint32_t) n;
	b->flags |= KALAM_BLOCK_BIG;
	b->big_total = h->size;
	if (r->sent == h->size)
	{
		r->sent = 0;
		r->has = false;
	}
}

LoadReadStep
load_read_block(LoadRead *r, KalamBlock *b, EngineError *err)
{
	memset(b, 0, sizeof(*b));
	put_declarations(r, b);
	if (r->declared < r->load->ntargets)
		return LOAD_READ_BLOCK;
	engine_error(err, KALAM_OK, "%s", "");
	while (next_record(r, err))
	{
		KalamLoadRecord h = record_head(r);

		if (h.size > KALAM_BLOCK_DATA_BYTES - b->used)
		{
			if (h.size > KALAM_BLOCK_DATA_BYTES && b->used == 0)
				put_piece(r, &h, b);
			return LOAD_READ_BLOCK;
		}
		write_record(r, &h, 0, h.size, b->data + b->used);
		b->used += h.size;
		b->nrows++;
		r->has = false;
	}
	if (err->code != KALAM_OK)
		return LOAD_READ_ERROR;
	b->flags |= KALAM_BLOCK_LAST;
	return LOAD_READ_LAST;
}
