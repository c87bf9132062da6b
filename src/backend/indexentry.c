/*
 * indexentry.c
 *	  Entries of secondary indexes, from rows; which snapshots can use an index.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "miscadmin.h"

#include "src/backend/index.h"
#include "src/shared/protocol.h"
#include "src/shared/segment.h"

void
kalam_index_key_prefix(const KalamTable *table, const KalamIndex *index, uint8 *key)
{
	kalam_put_key_prefix(key, table->object_id, KALAM_KEY_KIND_INDEX);
	key[KALAM_KEY_PREFIX_BYTES] = (uint8) (index->id >> 8);
	key[KALAM_KEY_PREFIX_BYTES + 1] = (uint8) index->id;
}

char *
kalam_index_relname(const KalamIndex *index, Relation rel)
{
	return makeObjectName(RelationGetRelationName(rel), kalam_index_name(index), index->unique ? "key" : "idx");
}

void
kalam_index_entry_in(const KalamTable *table, const KalamIndex *index, Relation rel,
					 TupleTableSlot *slot, const uint8 *row_key, size_t row_key_len,
					 uint8 *room, KalamIndexEntry *entry)
{
	KalamKeyWriter w;
	bool		has_null = false;

	kalam_key_begin(&w, room, KALAM_MAX_KEY_BYTES);
	kalam_index_key_prefix(table, index, room);
	w.len = KALAM_INDEX_KEY_PREFIX_BYTES;
	for (int i = 0; i < index->ncolumns; i++)
	{
		const KalamKeyColumn *column = &kalam_index_columns(index)[i];
		bool		isnull;
		Datum		value = slot_getattr(slot, column->attnum, &isnull);

		kalam_encode_datum(&w, &column->type, column->desc, value, isnull);
		has_null |= isnull;
	}
	entry->suffix_len = 0;
	if (!index->unique || has_null)
	{
		entry->suffix_len = row_key_len - KALAM_KEY_PREFIX_BYTES;
		w.desc = false;			/* as it is, whatever the last column was */
		kalam_key_raw(&w, row_key + KALAM_KEY_PREFIX_BYTES, entry->suffix_len);
	}
	if (w.overflow)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("entry of a row in index \"%s\" is too long",
						kalam_index_relname(index, rel)),
				 errdetail("An entry has at most %d bytes, the primary key of the row included.",
						   KALAM_MAX_KEY_BYTES),
				 errtable(rel)));
	entry->key_len = w.len;
	entry->key = room;
}

void
kalam_index_entry(const KalamTable *table, const KalamIndex *index, Relation rel,
				  TupleTableSlot *slot, const uint8 *row_key, size_t row_key_len,
				  KalamIndexEntry *entry)
{
	uint8		key[KALAM_MAX_KEY_BYTES];

	kalam_index_entry_in(table, index, rel, slot, row_key, row_key_len, key, entry);
	entry->key = palloc(entry->key_len);
	memcpy(entry->key, key, entry->key_len);
}

size_t
kalam_index_payload(const KalamIndexEntry *entry, const uint8 *row_key, size_t row_key_len,
					uint8 *payload)
{
	size_t		suffix_len = row_key_len - KALAM_KEY_PREFIX_BYTES;

	memcpy(payload, &entry->suffix_len, 2);
	if (entry->suffix_len > 0)
		return 2;
	memcpy(payload + 2, row_key + KALAM_KEY_PREFIX_BYTES, suffix_len);
	return 2 + suffix_len;
}

/* ---- snapshots ---- */

static bool
record_has(const KalamCatalogTable *record, const KalamTable *table, const KalamIndex *index)
{
	if (record == NULL || record->record.object_id != table->object_id)
		return false;
	for (uint32 i = 0; i < record->record.nindexes; i++)
		if (record->indexes[i].id == index->id)
			return true;
	return false;
}

/* Has this transaction made the index? */
static bool
is_own(const KalamTable *table, const KalamIndex *index)
{
	return kalam_catalog_is_staged(MyDatabaseId, table->relid) &&
		!record_has(kalam_catalog_get_at(MyDatabaseId, table->relid, 0), table, index);
}

bool
kalam_index_usable(KalamTable *table, const KalamIndex *index, uint64 stamp)
{
	int			n = index - table->indexes;
	uint64		bit = n < 64 ? UINT64CONST(1) << n : 0;

	if (kalam_table_object(table) == KALAM_OBJECT_NONE || index->id == 0 || stamp < index->since)
		return false;
	/* (true but for transactions with one snapshot, and stable functions that come late) */
	if (stamp >= table->object_seen_at ||
		(stamp == table->usable_at && (table->usable & bit) != 0))
		return true;
	if (!is_own(table, index) &&
		!record_has(kalam_catalog_get_at(MyDatabaseId, table->relid, stamp), table, index))
		return false;
	if (stamp != table->usable_at)
		table->usable = 0;
	table->usable_at = stamp;
	table->usable |= bit;
	return true;
}

void
kalam_index_check_snapshot(KalamTable *table, const KalamIndex *index, Relation rel, uint64 stamp)
{
	if (!kalam_index_usable(table, index, stamp))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent ALTER of table \"%s\"",
						RelationGetRelationName(rel)),
				 errdetail("Index \"%s\" was built after the snapshot was taken.",
						   kalam_index_relname(index, rel))));
}
