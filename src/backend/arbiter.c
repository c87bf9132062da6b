/*
 * arbiter.c
 *	  The keys that a conflict target means, and the row that has them.
 *
 * The planner has found that there is one (onconflict_plan.c).  It is looked for
 * again: a plan does not notice that a partition has got another key.
 */
#include "postgres.h"

#include "nodes/bitmapset.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/backend/index.h"
#include "src/backend/modify_internal.h"
#include "src/backend/onconflict.h"
#include "src/backend/row.h"

/* ---- which keys ---- */

static bool
has_columns(const KalamKeyColumn *columns, int n, const Bitmapset *attnums)
{
	for (int i = 0; i < n; i++)
		if (!bms_is_member(columns[i].attnum, attnums))
			return false;
	return n > 0 && bms_num_members(attnums) == n;
}

/* The target's columns as rel numbers them. */
static Bitmapset *
target_columns(const int2vector *columns, Relation named, Relation rel)
{
	Bitmapset  *attnums = NULL;

	for (int i = 0; i < columns->dim1; i++)
	{
		AttrNumber	attnum = columns->values[i];

		if (named != rel)
			attnum = get_attnum(RelationGetRelid(rel),
								get_attname(RelationGetRelid(named), attnum, false));
		attnums = bms_add_member(attnums, attnum);
	}
	return attnums;
}

KalamArbiters *
kalam_find_arbiters(KalamTable *table, Relation rel, const ModifyTable *plan, Relation named)
{
	int2vector *columns = kalam_on_conflict_columns(plan);
	KalamArbiters *arbiters;
	Bitmapset  *attnums;

	if (columns == NULL)
		return NULL;
	arbiters = palloc0(sizeof(KalamArbiters));
	attnums = target_columns(columns, named, rel);
	arbiters->primary_key = has_columns(table->keys, table->nkeys, attnums);
	for (int i = 0; i < table->nindexes; i++)
	{
		const KalamIndex *index = &table->indexes[i];

		if (index->unique && has_columns(kalam_index_columns(index), index->ncolumns, attnums))
			arbiters->indexes = lappend(arbiters->indexes, unconstify(KalamIndex *, index));
	}
	bms_free(attnums);
	if (!arbiters->primary_key && arbiters->indexes == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("there is no unique or exclusion constraint matching the ON CONFLICT specification"),
				 errdetail("The columns are not those of a unique key of partition \"%s\".",
						   RelationGetRelationName(rel))));
	return arbiters;
}

List *
kalam_arbiter_names(const KalamArbiters *arbiters, Relation rel)
{
	List	   *names = NIL;
	ListCell   *lc;

	if (arbiters->primary_key)
		names = lappend(names, psprintf("%s_pkey", RelationGetRelationName(rel)));
	foreach(lc, arbiters->indexes)
		names = lappend(names, kalam_index_relname(lfirst(lc), rel));
	return names;
}

/* ---- the values of a row ---- */

struct KalamArbiterValues
{
	KalamTable *table;
	const uint8 *key;			/* primary key, if it is one; else NULL */
	size_t		key_len;
	int			nentries;
	KalamIndexEntry entries[FLEXIBLE_ARRAY_MEMBER];
};

KalamArbiterValues *
kalam_arbiter_values(const KalamArbiters *arbiters, KalamTable *table, Relation rel,
					 TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	KalamArbiterValues *values = palloc0(offsetof(KalamArbiterValues, entries) +
										 list_length(arbiters->indexes) * sizeof(KalamIndexEntry));
	ListCell   *lc;

	values->table = table;
	if (arbiters->primary_key)
	{
		uint8	   *copy = palloc(key_len);

		memcpy(copy, key, key_len);
		values->key = copy;
		values->key_len = key_len;
	}
	foreach(lc, arbiters->indexes)
	{
		KalamIndexEntry *entry = &values->entries[values->nentries];

		kalam_index_entry(table, lfirst(lc), rel, slot, key, key_len, entry);
		/* nulls are distinct: such an entry is in nobody's way */
		if (entry->suffix_len == 0)
			values->nentries++;
	}
	return values;
}

/* The row that the bytes of an entry lead to. */
static size_t
row_of_entry(const KalamArbiterValues *values, const uint8 *payload, size_t len, uint8 *key)
{
	if (len < 2 || len - 2 + KALAM_KEY_PREFIX_BYTES > KALAM_MAX_KEY_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an entry of a unique index of a kalam table cannot be read")));
	kalam_put_key_prefix(key, values->table->object_id, KALAM_KEY_KIND_ROW);
	memcpy(key + KALAM_KEY_PREFIX_BYTES, payload + 2, len - 2);
	return len - 2 + KALAM_KEY_PREFIX_BYTES;
}

static size_t
find_by_entry(const KalamArbiterValues *values, const KalamIndexEntry *entry, uint8 *key)
{
	KalamVersion own;
	KalamRow   *row;
	const uint8 *payload;
	size_t		len;

	if (kalam_own_version(entry->key, entry->key_len, &own))
		return own.op == KALAM_CHANGE_PUT ?
			row_of_entry(values, own.value + KALAM_VALUE_HEADER_BYTES,
						 own.value_len - KALAM_VALUE_HEADER_BYTES, key) : 0;
	if (kalam_object_is_new(values->table->object_id))
		return 0;
	row = kalam_get_newest(entry->key, entry->key_len);
	if (row == NULL)
		return 0;
	payload = kalam_row_bytes(row, &len);
	len = row_of_entry(values, payload, len, key);
	pfree(row);
	return len;
}

static bool
has_row(const KalamArbiterValues *values)
{
	KalamVersion own;

	if (kalam_own_version(values->key, values->key_len, &own))
		return own.op == KALAM_CHANGE_PUT;
	return !kalam_object_is_new(values->table->object_id) &&
		kalam_key_exists(values->key, values->key_len);
}

size_t
kalam_arbiter_row(const KalamArbiterValues *values, uint8 *key)
{
	if (values->key != NULL && has_row(values))
	{
		memcpy(key, values->key, values->key_len);
		return values->key_len;
	}
	for (int i = 0; i < values->nentries; i++)
	{
		size_t		len = find_by_entry(values, &values->entries[i], key);

		if (len > 0)
			return len;
	}
	return 0;
}

void
kalam_arbiter_lock_values(KalamModify *m, const KalamArbiterValues *values)
{
	for (int i = 0; i < values->nentries; i++)
		kalam_modify_lock_key(m, values->entries[i].key, values->entries[i].key_len,
							  KALAM_LOCK_UPDATE);
}
