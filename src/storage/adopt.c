/*
 * adopt.c
 *	  A store that was moved in from another server: see identity.c.
 *
 * Its catalog names tables by database and relation, and these ids mean other
 * things here: a table of this server that happens to have them would open rows
 * of another.  So, before anybody is served, every table becomes one that lies
 * elsewhere (letter 'E'), kept ones too.  IMPORT FOREIGN SCHEMA attaches them.
 * The record's bytes stay: who it names is not trusted by who reads it.
 */
#include "src/storage/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "src/shared/catalog.h"
#include "src/storage/log.h"
#include "src/storage/objects.h"
#include "src/storage/storage.h"

#define LETTER_BYTES	(KALAM_KEY_PREFIX_BYTES + 1)
#define TABLE_ID_BYTES	8

/* Appends to the batch what makes the tables under one letter lie elsewhere. */
static bool
move_letter(char letter, EngineBatch *batch, uint32_t *moved, EngineError *err)
{
	uint8_t		lower[LETTER_BYTES];
	uint8_t		upper[LETTER_BYTES];
	EngineIter *it;
	const uint8_t *key;
	const uint8_t *value;
	size_t		key_len;
	size_t		value_len;
	bool		good = true;

	kalam_put_key_prefix(lower, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	memcpy(upper, lower, LETTER_BYTES);
	lower[KALAM_KEY_PREFIX_BYTES] = (uint8_t) letter;
	upper[KALAM_KEY_PREFIX_BYTES] = (uint8_t) letter + 1;
	it = engine_iter_open(storage.engine, objects_catalog(), NULL, lower, sizeof(lower), upper,
						  sizeof(upper), 0);
	for (engine_iter_start(it, false);
		 good && engine_iter_entry(it, &key, &key_len, &value, &value_len);
		 engine_iter_move(it, false))
	{
		KalamTableRecord record;
		size_t		offset;
		uint8_t		elsewhere[LETTER_BYTES + TABLE_ID_BYTES];

		good = value_len >= KALAM_VALUE_HEADER_BYTES &&
			kalam_table_record_decode(value + KALAM_VALUE_HEADER_BYTES,
									  value_len - KALAM_VALUE_HEADER_BYTES, &record, &offset);
		if (!good)
		{
			engine_error(err, KALAM_ERR_CORRUPT, "a record of the catalog cannot be read");
			break;
		}
		memcpy(elsewhere, lower, LETTER_BYTES);
		elsewhere[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_ELSEWHERE;
		kalam_put_be64(elsewhere + LETTER_BYTES, record.table_id);
		engine_batch_put(batch, objects_catalog(), elsewhere, sizeof(elsewhere), value, value_len);
		engine_batch_delete(batch, objects_catalog(), key, key_len);
		++*moved;
	}
	if (good && engine_iter_end(it, err) != ENGINE_ITER_END)
		good = false;
	engine_iter_close(it);
	return good;
}

bool
adopt_tables(EngineError *err)
{
	uint32_t	pending = atomic_load(&storage.seg->pending);
	uint32_t	moved = 0;
	EngineBatch *batch;
	bool		good;

	if (pending > 0)
	{
		engine_error(err, KALAM_ERR_CORRUPT,
					 "the store has %u transactions that its server had prepared, or did not finish: "
					 "give it back to that server, end them there, and stop it", pending);
		return false;
	}
	batch = engine_batch_create();
	good = move_letter(KALAM_CATALOG_TABLE, batch, &moved, err) &&
		move_letter(KALAM_CATALOG_KEPT, batch, &moved, err) &&
		(moved == 0 || engine_write(storage.engine, batch, true, err));
	engine_batch_destroy(batch);
	if (good)
		log_info("%u tables came with the store; IMPORT FOREIGN SCHEMA attaches them", moved);
	return good;
}
