/*
 * fuzz_catalog.c
 *	  Any bytes: decoding reads nothing outside of them, and what it takes
 *	  survives being encoded and decoded again.
 */
#include "src/shared/catalog.h"
#include "test/fuzz/fuzz.h"

#include <string.h>

static bool
inside(const uint8_t *data, size_t size, KalamString s)
{
	return s.len == 0 || ((const uint8_t *) s.data >= data && s.len <= size &&
						  (const uint8_t *) s.data <= data + size - s.len);
}

/* False if there are none. */
static bool
decode_indexes(const uint8_t *data, size_t size, KalamTableRecord *r, KalamTableIndex **indexes,
			   size_t *end)
{
	if (!kalam_table_record_indexes(data, size, end, r))
		return false;
	MUST(*end <= size && r->nindexes <= size);
	*indexes = calloc(r->nindexes + 1, sizeof(**indexes));
	for (uint32_t i = 0; i < r->nindexes; i++)
	{
		size_t		before = *end;
		KalamTableIndex *x = &(*indexes)[i];

		if (!kalam_table_record_index(data, size, end, x))
		{
			free(*indexes);
			return false;
		}
		MUST(*end > before && *end <= size);
		MUST(inside(data, size, x->name) && inside(data, size, x->columns));
	}
	return true;
}

/* All columns, and indexes, or NULL. */
static KalamTableColumn *
decode(const uint8_t *data, size_t size, KalamTableRecord *r, KalamTableIndex **indexes,
	   size_t *end)
{
	KalamTableColumn *columns;

	if (!kalam_table_record_decode(data, size, r, end))
		return NULL;
	MUST(*end <= size && r->ncolumns <= size);
	MUST(inside(data, size, r->owner) && inside(data, size, r->database) &&
		 inside(data, size, r->nspname) && inside(data, size, r->name) &&
		 inside(data, size, r->kind) && inside(data, size, r->primary_key) &&
		 inside(data, size, r->options));
	columns = calloc(r->ncolumns + 1, sizeof(*columns));
	for (uint32_t i = 0; i < r->ncolumns; i++)
	{
		size_t		before = *end;

		if (!kalam_table_record_column(data, size, end, &columns[i]))
		{
			free(columns);
			return NULL;
		}
		MUST(*end > before && *end <= size);
		MUST(inside(data, size, columns[i].name) && inside(data, size, columns[i].type_name) &&
			 inside(data, size, columns[i].collation));
	}
	if (!decode_indexes(data, size, r, indexes, end))
	{
		free(columns);
		return NULL;
	}
	return columns;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KalamTableRecord r;
	KalamTableRecord again;
	size_t		end;
	size_t		end_again;
	KalamTableIndex *indexes;
	KalamTableIndex *indexes_again;
	KalamTableColumn *columns = decode(data, size, &r, &indexes, &end);
	KalamTableColumn *columns_again;
	size_t		encoded_size;
	uint8_t    *encoded;

	if (columns == NULL)
		return 0;

	/* numbers may have been padded, so it can only get shorter, but for what format 1 lacks */
	encoded_size = kalam_table_record_size(&r, columns, indexes);
	MUST(encoded_size <= end + (data[0] == 1 ? 5 + r.ncolumns : 0));
	encoded = malloc(encoded_size * 2);
	kalam_table_record_encode(&r, columns, indexes, encoded);
	columns_again = decode(encoded, encoded_size, &again, &indexes_again, &end_again);
	MUST(columns_again != NULL && end_again == encoded_size);
	MUST(again.ncolumns == r.ncolumns && again.nindexes == r.nindexes);

	/* and the second time it is the same bytes */
	MUST(kalam_table_record_size(&again, columns_again, indexes_again) == encoded_size);
	kalam_table_record_encode(&again, columns_again, indexes_again, encoded + encoded_size);
	MUST(memcmp(encoded, encoded + encoded_size, encoded_size) == 0);
	free(encoded);
	free(columns);
	free(columns_again);
	free(indexes);
	free(indexes_again);
	return 0;
}
