/*
 * indexverify.c
 *	  kalam.verify_indexes: are the entries of a table's indexes those of its rows?
 *
 * Rows and entries of one snapshot, own changes included, are read once each, and
 * their sums compared: an entry is hashed with what it leads to.  Only where the
 * sums differ is each row, and each entry, looked up by itself.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/objectaddress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "src/backend/ddl.h"
#include "src/backend/index.h"
#include "src/backend/merge.h"
#include "src/backend/row.h"
#include "src/backend/snapshot.h"
#include "src/shared/keycodec.h"

extern PGDLLEXPORT Datum kalam_verify_indexes(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_verify_indexes);

/* Of one index, more than these are not told apart. */
#define MAX_PROBLEMS	100

/* Independent of the order in which entries come. */
typedef struct EntrySum
{
	uint64		count;
	uint64		hash[2];
} EntrySum;

typedef struct Verify
{
	Relation	rel;
	KalamTable *table;
	TupleTableSlot *slot;
	uint64		stamp;
	CommandId	command_id;
	MemoryContext row_context;
	ReturnSetInfo *result;
	int			problems;		/* of this index */
} Verify;

static void
add_to_sum(EntrySum *sum, const uint8 *key, size_t key_len, const uint8 *payload, size_t len)
{
	sum->count++;
	for (int i = 0; i < 2; i++)
		sum->hash[i] += kalam_hash(key, key_len, kalam_hash(payload, len, i + 1));
}

static void
report(Verify *v, const KalamIndex *index, const char *problem, const uint8 *key, size_t key_len)
{
	Datum		values[3];
	bool		nulls[3] = {0};
	bytea	   *bytes = palloc(VARHDRSZ + key_len);

	if (v->problems++ == MAX_PROBLEMS)
		problem = "there are more";
	else if (v->problems > MAX_PROBLEMS)
		return;
	SET_VARSIZE(bytes, VARHDRSZ + key_len);
	memcpy(VARDATA(bytes), key, key_len);
	values[0] = CStringGetTextDatum(kalam_index_relname(index, v->rel));
	values[1] = CStringGetTextDatum(problem);
	values[2] = PointerGetDatum(bytes);
	tuplestore_putvalues(v->result->setResult, v->result->setDesc, values, nulls);
}

/* ---- reading ---- */

/* Opens a merge over all keys that begin with a prefix. */
static KalamMerge *
open_prefix(Verify *v, const uint8 *prefix, size_t len)
{
	KalamMerge *merge = palloc0(sizeof(KalamMerge));
	KalamRange	range = {0};
	uint8		upper[KALAM_INDEX_KEY_PREFIX_BYTES];

	memcpy(upper, prefix, len);
	range.object_id = v->table->object_id;
	range.flags = KALAM_SCAN_KEYS;
	range.stamp = v->stamp;
	range.lower = prefix;
	range.lower_len = len;
	range.upper = upper;
	range.upper_len = kalam_key_successor(upper, len);
	merge->context = CurrentMemoryContext;
	kalam_merge_open(merge, &range, v->command_id);
	return merge;
}

static KalamMerge *
open_rows(Verify *v)
{
	uint8		prefix[KALAM_KEY_PREFIX_BYTES];

	kalam_put_key_prefix(prefix, v->table->object_id, KALAM_KEY_KIND_ROW);
	return open_prefix(v, prefix, sizeof(prefix));
}

static KalamMerge *
open_entries(Verify *v, const KalamIndex *index)
{
	uint8		prefix[KALAM_INDEX_KEY_PREFIX_BYTES];

	kalam_index_key_prefix(v->table, index, prefix);
	return open_prefix(v, prefix, sizeof(prefix));
}

/* What an entry has behind its value header. */
static const uint8 *
payload_of(const KalamMergedRow *row, size_t *len)
{
	size_t		skip = row->own ? 0 : KALAM_TUPLE_BODY_OFFSET;

	/* an own one has no tuple: only stored values are given the form of one */
	*len = row->own ? row->own_len - KALAM_VALUE_HEADER_BYTES : row->tuple->t_len - skip;
	return (const uint8 *) row->tuple + skip;
}

/* The entry of the row in the slot, with its payload. */
static size_t
form(Verify *v, const KalamIndex *index, const uint8 *key, size_t key_len,
	 KalamIndexEntry *entry, uint8 *payload)
{
	kalam_index_entry(v->table, index, v->rel, v->slot, key, key_len, entry);
	return kalam_index_payload(entry, key, key_len, payload);
}

/* ---- one by one ---- */

/* Reads one key at the snapshot.  False if it is not there. */
static bool
read_one(Verify *v, const uint8 *key, size_t key_len, KalamMerge *merge, KalamMergedRow *row)
{
	KalamRange	range = {0};

	memset(merge, 0, sizeof(*merge));
	range.object_id = v->table->object_id;
	range.flags = KALAM_SCAN_POINT | KALAM_SCAN_KEYS;
	range.stamp = v->stamp;
	range.lower = key;
	range.lower_len = key_len;
	merge->context = CurrentMemoryContext;
	kalam_merge_open(merge, &range, v->command_id);
	return kalam_merge_next(merge, row);
}

static void
check_row(Verify *v, const KalamIndex *index, const KalamMergedRow *row, KalamMerge *merge)
{
	KalamIndexEntry entry;
	uint8		payload[KALAM_INDEX_PAYLOAD_BYTES];
	size_t		len;
	KalamMergedRow found;
	const uint8 *stored;
	size_t		stored_len;

	ExecStoreMinimalTuple(row->tuple, v->slot, false);
	len = form(v, index, row->key, row->key_len, &entry, payload);
	if (!read_one(v, entry.key, entry.key_len, merge, &found))
		report(v, index, "a row has no entry", entry.key, entry.key_len);
	else
	{
		stored = payload_of(&found, &stored_len);
		if (stored_len != len || memcmp(stored, payload, len) != 0)
			report(v, index, "the entry of a row leads to another row", entry.key, entry.key_len);
	}
	kalam_merge_close(merge);
}

/* The key of the row that an entry leads to.  False if that cannot be told. */
static bool
row_key_of(const KalamMergedRow *row, uint8 *key, size_t *key_len)
{
	size_t		len;
	const uint8 *payload = payload_of(row, &len);
	const uint8 *suffix = payload + 2;
	uint16		n;

	if (len < 2)
		return false;
	memcpy(&n, payload, 2);
	if (n > 0 && (len != 2 || n > row->key_len - KALAM_INDEX_KEY_PREFIX_BYTES))
		return false;
	if (n > 0)
		suffix = row->key + row->key_len - n;
	else
		n = len - 2;
	if (n == 0 || n > KALAM_MAX_KEY_BYTES - KALAM_KEY_PREFIX_BYTES)
		return false;
	kalam_put_key_prefix(key, kalam_get_be32(row->key), KALAM_KEY_KIND_ROW);
	memcpy(key + KALAM_KEY_PREFIX_BYTES, suffix, n);
	*key_len = KALAM_KEY_PREFIX_BYTES + n;
	return true;
}

static void
check_entry(Verify *v, const KalamIndex *index, const KalamMergedRow *row, KalamMerge *merge)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	size_t		key_len;
	KalamIndexEntry entry;
	uint8		payload[KALAM_INDEX_PAYLOAD_BYTES];
	KalamMergedRow found;

	if (!row_key_of(row, key, &key_len))
	{
		report(v, index, "an entry cannot be read", row->key, row->key_len);
		return;
	}
	if (!read_one(v, key, key_len, merge, &found))
		report(v, index, "an entry leads to no row", row->key, row->key_len);
	else
	{
		ExecStoreMinimalTuple(found.tuple, v->slot, false);
		(void) form(v, index, key, key_len, &entry, payload);
		if (entry.key_len != row->key_len || memcmp(entry.key, row->key, entry.key_len) != 0)
			report(v, index, "an entry leads to a row with other values", row->key, row->key_len);
	}
	kalam_merge_close(merge);
}

static void
check_one_by_one(Verify *v, const KalamIndex *index)
{
	KalamMerge *merges[2];
	KalamMerge *point = palloc(sizeof(KalamMerge));
	KalamMergedRow row;

	v->problems = 0;
	merges[0] = open_rows(v);
	merges[1] = open_entries(v, index);
	for (int i = 0; i < 2; i++)
	{
		while (kalam_merge_next(merges[i], &row))
		{
			MemoryContext old = MemoryContextSwitchTo(v->row_context);

			CHECK_FOR_INTERRUPTS();
			(i == 0 ? check_row : check_entry) (v, index, &row, point);
			ExecClearTuple(v->slot);
			MemoryContextSwitchTo(old);
			MemoryContextReset(v->row_context);
		}
		kalam_merge_close(merges[i]);
	}
}

/* ---- all at once ---- */

static void
sum_rows(Verify *v, EntrySum *sums)
{
	KalamMerge *merge = open_rows(v);
	KalamMergedRow row;

	while (kalam_merge_next(merge, &row))
	{
		MemoryContext old = MemoryContextSwitchTo(v->row_context);

		CHECK_FOR_INTERRUPTS();
		ExecStoreMinimalTuple(row.tuple, v->slot, false);
		for (int i = 0; i < v->table->nindexes; i++)
		{
			KalamIndexEntry entry;
			uint8		payload[KALAM_INDEX_PAYLOAD_BYTES];
			size_t		len = form(v, &v->table->indexes[i], row.key, row.key_len, &entry, payload);

			add_to_sum(&sums[i], entry.key, entry.key_len, payload, len);
		}
		ExecClearTuple(v->slot);
		MemoryContextSwitchTo(old);
		MemoryContextReset(v->row_context);
	}
	kalam_merge_close(merge);
}

static void
sum_entries(Verify *v, const KalamIndex *index, EntrySum *sum)
{
	KalamMerge *merge = open_entries(v, index);
	KalamMergedRow row;

	while (kalam_merge_next(merge, &row))
	{
		size_t		len;
		const uint8 *payload = payload_of(&row, &len);

		CHECK_FOR_INTERRUPTS();
		add_to_sum(sum, row.key, row.key_len, payload, len);
	}
	kalam_merge_close(merge);
}

/* A row per index and problem; none if all is well. */
Datum
kalam_verify_indexes(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Verify		v = {.rel = table_open(relid, AccessShareLock)};
	EntrySum   *sums;

	if (!kalam_is_table(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a kalam table", RelationGetRelationName(v.rel))));
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, RelationGetRelationName(v.rel));
	InitMaterializedSRF(fcinfo, 0);
	v.result = (ReturnSetInfo *) fcinfo->resultinfo;
	v.table = kalam_table_open_for_context(v.rel);
	v.slot = MakeSingleTupleTableSlot(RelationGetDescr(v.rel), &TTSOpsMinimalTuple);
	v.stamp = kalam_snapshot_stamp(GetActiveSnapshot());
	v.command_id = GetActiveSnapshot()->curcid;
	v.row_context = AllocSetContextCreate(CurrentMemoryContext, "kalam index check",
										  ALLOCSET_DEFAULT_SIZES);
	sums = palloc0(2 * Max(v.table->nindexes, 1) * sizeof(EntrySum));
	kalam_record_check_snapshot(v.table, v.rel, v.stamp);

	if (kalam_table_object(v.table) != KALAM_OBJECT_NONE && v.table->nindexes > 0)
	{
		sum_rows(&v, sums);
		for (int i = 0; i < v.table->nindexes; i++)
		{
			const KalamIndex *index = &v.table->indexes[i];

			kalam_index_check_snapshot(v.table, index, v.rel, v.stamp);
			sum_entries(&v, index, &sums[v.table->nindexes + i]);
			if (memcmp(&sums[i], &sums[v.table->nindexes + i], sizeof(EntrySum)) != 0)
				check_one_by_one(&v, index);
		}
	}
	ExecDropSingleTupleTableSlot(v.slot);
	table_close(v.rel, AccessShareLock);
	return (Datum) 0;
}
