/*
 * load_duplicate.c
 *	  Finds the row of a duplicate, so that the backend can say what heap says.
 */
#include "src/storage/load_duplicate.h"

#include <stdlib.h>
#include <string.h>

/* The row that the entry leads to, among the load's rows; NULL if it is not there. */
static uint8_t *
find_row(Load *load, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len,
		 size_t *row_len)
{
	uint8_t		row_key[KALAM_MAX_KEY_BYTES];
	size_t		len = kalam_index_entry_row_key(key, key_len, value, value_len, row_key);
	uint8_t    *row = NULL;
	EngineError ignored;

	if (len == 0)
		return NULL;
	for (uint32_t i = 0; row == NULL && i < load->ntargets; i++)
	{
		LoadTarget *t = &load->targets[i];

		if (t->is.index_id == 0 && t->is.object_id == kalam_get_be32(key) &&
			sorter_is_idle(t->sorter) &&
			!sorter_find(t->sorter, row_key, len, &row, row_len, &ignored))
			row = NULL;
	}
	return row;
}

void
load_duplicate_note(LoadDuplicate *d, Load *load, uint32_t target, uint64_t tag,
					const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	load_duplicate_free(d);
	d->load = load->number;
	d->target = target;
	d->tag = tag;
	if (load->targets[target].is.index_id != 0)
		d->row = find_row(load, key, key_len, value, value_len, &d->row_len);
	else
	{
		d->row = malloc(value_len);
		if (d->row == NULL)
			abort();
		memcpy(d->row, value, value_len);
		d->row_len = value_len;
	}
}

void
load_duplicate_tell(const LoadDuplicate *d, KalamResult *result, uint8_t *room, size_t size,
					EngineError *err)
{
	result->load_number = d->load;
	result->target = d->target;
	result->position = d->tag;
	result->bytes = d->row != NULL && d->row_len <= size ? d->row_len : 0;
	if (result->bytes > 0)
		memcpy(room, d->row, d->row_len);
	engine_error(err, KALAM_ERR_DUPLICATE, "a key of a load exists already");
}

void
load_duplicate_free(LoadDuplicate *d)
{
	free(d->row);
	memset(d, 0, sizeof(*d));
}
