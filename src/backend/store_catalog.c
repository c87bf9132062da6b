/*
 * store_catalog.c
 *	  Records of stored tables: see store_catalog.h.
 *
 * Written only under a lock on the table that keeps other writers of the same
 * record out, so that it needs no row locks of its own.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "src/backend/client.h"
#include "src/backend/indoubt.h"
#include "src/backend/row.h"
#include "src/backend/spill.h"
#include "src/backend/store_catalog.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

#define TABLE_KEY_BYTES		(KALAM_KEY_PREFIX_BYTES + 1 + 8)
#define KEPT_KEY_BYTES		(KALAM_KEY_PREFIX_BYTES + 1 + 8)

static void
table_key(uint8 *key, Oid database, Oid relid)
{
	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_TABLE;
	kalam_put_be32(key + KALAM_KEY_PREFIX_BYTES + 1, database);
	kalam_put_be32(key + KALAM_KEY_PREFIX_BYTES + 5, relid);
}

/* Of a table that no relation owns. */
static void
kept_key(uint8 *key, const KalamCatalogTable *table)
{
	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = table->elsewhere ? KALAM_CATALOG_ELSEWHERE : KALAM_CATALOG_KEPT;
	kalam_put_be64(key + KALAM_KEY_PREFIX_BYTES + 1, table->record.table_id);
}

static void pg_attribute_noreturn()
raise_unreadable(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a record of the kalam store's catalog cannot be read"),
			 errhint("It may have been written by a newer version of kalam_fdw.")));
}

static KalamCatalogTable *
decode(const void *bytes, size_t len)
{
	KalamCatalogTable *t = palloc0(sizeof(KalamCatalogTable));
	size_t		offset;

	t->bytes = palloc(len);
	memcpy(t->bytes, bytes, len);
	if (!kalam_table_record_decode(t->bytes, len, &t->record, &offset))
		raise_unreadable();
	t->columns = palloc0(sizeof(KalamTableColumn) * Max(t->record.ncolumns, 1));
	for (uint32 i = 0; i < t->record.ncolumns; i++)
		if (!kalam_table_record_column(t->bytes, len, &offset, &t->columns[i]))
			raise_unreadable();
	if (!kalam_table_record_indexes(t->bytes, len, &offset, &t->record))
		raise_unreadable();
	t->indexes = palloc0(sizeof(KalamTableIndex) * Max(t->record.nindexes, 1));
	for (uint32 i = 0; i < t->record.nindexes; i++)
		if (!kalam_table_record_index(t->bytes, len, &offset, &t->indexes[i]))
			raise_unreadable();
	return t;
}

static KalamCatalogTable *
decode_row(const KalamRow *row)
{
	size_t		len;
	const uint8 *bytes = kalam_row_bytes(row, &len);

	return decode(bytes, len);
}

static KalamCatalogTable *
decode_staged(const KalamVersion *v)
{
	return decode(v->value + KALAM_VALUE_HEADER_BYTES,
				  v->value_len - KALAM_VALUE_HEADER_BYTES);
}

/* What the key of a record says of it. */
static void
note_letter(KalamCatalogTable *t, char letter)
{
	t->kept = letter == KALAM_CATALOG_KEPT;
	t->elsewhere = letter == KALAM_CATALOG_ELSEWHERE;
	if (t->elsewhere)
	{
		t->record.database_oid = InvalidOid;
		t->record.relid = InvalidOid;
		t->record.owner_oid = InvalidOid;
	}
}

/* As it is once all that has committed by now is applied; NULL if it is not there. */
static KalamRow *
get_now(const uint8 *key, size_t key_len)
{
	kalam_indoubt_settle(NULL);
	return kalam_get_newest(key, key_len);
}

uint64
kalam_catalog_hash(Oid database, Oid relid)
{
	uint8		key[TABLE_KEY_BYTES];

	table_key(key, database, relid);
	return kalam_hash(key, sizeof(key), 0);
}

KalamCatalogTable *
kalam_catalog_get(Oid database, Oid relid)
{
	uint8		key[TABLE_KEY_BYTES];
	KalamVersion own;
	KalamRow   *row;

	table_key(key, database, relid);
	if (kalam_own_version(key, sizeof(key), &own))
		return own.op == KALAM_CHANGE_PUT ? decode_staged(&own) : NULL;
	row = get_now(key, sizeof(key));
	return row ? decode_row(row) : NULL;
}

KalamCatalogTable *
kalam_catalog_get_at(Oid database, Oid relid, uint64 stamp)
{
	uint8		key[TABLE_KEY_BYTES];
	KalamRow   *row;

	table_key(key, database, relid);
	row = stamp != 0 ? kalam_get_at(key, sizeof(key), stamp) : get_now(key, sizeof(key));
	return row ? decode_row(row) : NULL;
}

bool
kalam_catalog_is_staged(Oid database, Oid relid)
{
	uint8		key[TABLE_KEY_BYTES];

	KalamVersion v;

	table_key(key, database, relid);
	return kalam_own_version(key, sizeof(key), &v);
}

/* The record again, as it is now; NULL if it is gone. */
KalamCatalogTable *
kalam_catalog_again(const KalamCatalogTable *table)
{
	uint8		key[KEPT_KEY_BYTES];
	KalamCatalogTable *now;
	KalamVersion v;
	KalamRow   *row;

	if (!table->kept && !table->elsewhere)
		return kalam_catalog_get(table->record.database_oid, table->record.relid);
	kept_key(key, table);
	if (kalam_own_version(key, sizeof(key), &v))
		now = v.op == KALAM_CHANGE_PUT ? decode_staged(&v) : NULL;
	else
	{
		row = get_now(key, sizeof(key));
		now = row ? decode_row(row) : NULL;
	}
	if (now != NULL)
		note_letter(now, key[KALAM_KEY_PREFIX_BYTES]);
	return now;
}

/* What a cursor over the records under one letter begins and ends with. */
#define LETTER_BYTES	(KALAM_KEY_PREFIX_BYTES + 1)

static void
letter_range(char letter, uint8 *lower, uint8 *upper)
{
	kalam_put_key_prefix(lower, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	memcpy(upper, lower, LETTER_BYTES);
	lower[KALAM_KEY_PREFIX_BYTES] = letter;
	upper[KALAM_KEY_PREFIX_BYTES] = letter + 1;
}

static KalamCursor *
open_letter(char letter, uint8 *lower, uint8 *upper)
{
	KalamRange	range = {0};

	kalam_indoubt_settle(NULL);
	letter_range(letter, lower, upper);
	range.object_id = KALAM_OBJECT_CATALOG;
	range.flags = KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS;
	range.lower = lower;
	range.lower_len = LETTER_BYTES;
	range.upper = upper;
	range.upper_len = LETTER_BYTES;
	return kalam_cursor_open(&range);
}

/* Appends the records under one letter, staged ones instead of stored ones. */
static List *
list_letter(List *list, char letter, Oid database)
{
	uint8		lower[LETTER_BYTES];
	uint8		upper[LETTER_BYTES];
	KalamCursor *cursor = open_letter(letter, lower, upper);
	const KalamRow *row;
	KalamStagedMemory memory = kalam_spill_memory(CurrentMemoryContext);
	KalamChangesScan *scan;
	KalamVersion v;
	KalamCatalogTable *t;

	while ((row = kalam_cursor_next(cursor)) != NULL)
	{
		if (kalam_own_version(kalam_row_key(row), row->key_len, &v))
			continue;
		t = decode_row(row);
		note_letter(t, letter);
		if (database == InvalidOid || t->record.database_oid == database)
			list = lappend(list, t);
	}
	kalam_cursor_close(cursor);

	if (kalam_changes_here() == NULL)
		return list;
	scan = kalam_changes_scan_open(kalam_changes_here(), &memory, lower, sizeof(lower),
								   upper, sizeof(upper), KALAM_ANY_COMMAND, 0);
	while (kalam_changes_scan_next(scan, &v))
	{
		if (v.op != KALAM_CHANGE_PUT)
			continue;
		t = decode_staged(&v);
		note_letter(t, letter);
		if (database == InvalidOid || t->record.database_oid == database)
			list = lappend(list, t);
	}
	kalam_changes_scan_close(scan);
	return list;
}

bool
kalam_catalog_any_staged(void)
{
	static const char letters[] = {KALAM_CATALOG_TABLE, KALAM_CATALOG_KEPT, KALAM_CATALOG_ELSEWHERE};
	KalamChanges *changes = kalam_changes_here();
	uint8		lower[LETTER_BYTES];
	uint8		upper[LETTER_BYTES];

	for (int i = 0; changes != NULL && i < lengthof(letters); i++)
	{
		letter_range(letters[i], lower, upper);
		if (kalam_changes_any_in(changes, lower, sizeof(lower), upper, sizeof(upper)))
			return true;
	}
	return false;
}

List *
kalam_catalog_list(Oid database)
{
	List	   *list = list_letter(NIL, KALAM_CATALOG_TABLE, database);

	list = list_letter(list, KALAM_CATALOG_KEPT, database);
	return OidIsValid(database) ? list : list_letter(list, KALAM_CATALOG_ELSEWHERE, database);
}

List *
kalam_catalog_objects(void)
{
	uint8		lower[LETTER_BYTES];
	uint8		upper[LETTER_BYTES];
	KalamCursor *cursor = open_letter(KALAM_CATALOG_OBJECT, lower, upper);
	const KalamRow *row;
	List	   *ids = NIL;

	while ((row = kalam_cursor_next(cursor)) != NULL)
	{
		const uint8 *id = kalam_row_key(row) + LETTER_BYTES;

		/* dropped by this transaction? */
		if (kalam_own_object_change(kalam_get_be32(id)) == NULL)
			ids = lappend_oid(ids, kalam_get_be32(id));
	}
	kalam_cursor_close(cursor);
	return ids;
}

bool
kalam_catalog_has_object(uint32 object_id)
{
	uint8		key[LETTER_BYTES + 4];
	KalamRow   *row;

	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_OBJECT;
	kalam_put_be32(key + LETTER_BYTES, object_id);
	row = get_now(key, sizeof(key));
	if (row != NULL)
		pfree(row);
	return row != NULL;
}

static void
put(const uint8 *key, size_t key_len, const KalamCatalogTable *t)
{
	size_t		size = kalam_table_record_size(&t->record, t->columns, t->indexes);
	uint8	   *bytes = palloc(size);

	kalam_table_record_encode(&t->record, t->columns, t->indexes, bytes);
	kalam_stage_bytes(key, key_len, bytes, size);
	pfree(bytes);
}

void
kalam_catalog_put(const KalamCatalogTable *table)
{
	uint8		key[TABLE_KEY_BYTES];

	table_key(key, table->record.database_oid, table->record.relid);
	put(key, sizeof(key), table);
}

void
kalam_catalog_delete(Oid database, Oid relid)
{
	uint8		key[TABLE_KEY_BYTES];

	table_key(key, database, relid);
	kalam_stage_delete(key, sizeof(key));
}

void
kalam_catalog_keep(const KalamCatalogTable *table)
{
	uint8		key[KEPT_KEY_BYTES];

	kept_key(key, table);
	put(key, sizeof(key), table);
}

void
kalam_catalog_forget_kept(const KalamCatalogTable *table)
{
	uint8		key[KEPT_KEY_BYTES];

	kept_key(key, table);
	kalam_stage_delete(key, sizeof(key));
}

KalamObjectOptions
kalam_catalog_object_options(uint32 object_id)
{
	uint8		key[KALAM_KEY_PREFIX_BYTES + 1 + 4];
	uint8	   *id = key + KALAM_KEY_PREFIX_BYTES + 1;
	KalamStagedVersion *own;
	KalamRow   *row;
	const uint8 *bytes = NULL;
	size_t		len = 0;
	KalamObjectRecord record;

	kalam_put_key_prefix(key, KALAM_OBJECT_CATALOG, KALAM_KEY_KIND_META);
	key[KALAM_KEY_PREFIX_BYTES] = KALAM_CATALOG_OBJECT;
	kalam_put_be32(id, object_id);

	own = kalam_own_object_change(object_id);
	if (own != NULL && own->op == KALAM_CHANGE_CREATE_OBJECT)
	{
		memcpy(&record.options, own->value, sizeof(record.options));
		return record.options;
	}
	row = get_now(key, sizeof(key));
	if (row != NULL)
		bytes = kalam_row_bytes(row, &len);
	if (row == NULL || len < sizeof(record))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("object %u is missing in the kalam store's catalog", object_id)));
	memcpy(&record, bytes, sizeof(record));
	pfree(row);
	return record.options;
}

char *
kalam_string_dup(KalamString s)
{
	return pnstrdup(s.data, s.len);
}

KalamString
kalam_string(const char *cstring)
{
	KalamString s = {cstring, (uint32) strlen(cstring)};

	return s;
}
