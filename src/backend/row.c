/*
 * row.c
 *	  Asking what became of rows; messages about their keys.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "src/backend/index.h"
#include "src/backend/moved.h"
#include "src/backend/row.h"
#include "src/backend/shmem.h"
#include "src/shared/truth.h"

/* With heap's messages. */
static void pg_attribute_noreturn()
raise_serialization(bool deleted)
{
	if (deleted)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent delete")));
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update")));
}

/* Has the row other unique values now than it had at the stamp? */
static bool
unique_values_changed(KalamTable *table, Relation rel, const uint8 *key, size_t key_len,
					  uint64 stamp, const KalamRow *newest)
{
	bool		any_unique = false;
	KalamRow   *then;
	TupleTableSlot *slots[2];
	bool		changed;

	for (int i = 0; i < table->nindexes; i++)
		any_unique |= table->indexes[i].unique;
	if (!any_unique)
		return false;
	then = kalam_get_at(key, key_len, stamp);
	if (then == NULL)
		return true;			/* another row than the one that was there then */
	for (int i = 0; i < 2; i++)
	{
		slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
		ExecStoreMinimalTuple(kalam_row_tuple(i == 0 ? then : newest), slots[i], false);
	}
	changed = kalam_index_changes_unique(kalam_index_changes(table, rel, slots[0], key, key_len,
															 slots[1], key, key_len));
	ExecDropSingleTupleTableSlot(slots[0]);
	ExecDropSingleTupleTableSlot(slots[1]);
	pfree(then);
	return changed;
}

bool
kalam_key_unchanged_since(const uint8 *key, size_t key_len, uint64 stamp)
{
	KalamCacheAt at = kalam_at_point(kalam_segment, kalam_hash(key, key_len, 0),
									 kalam_get_be32(key), stamp, 0);

	/* (without a storage process, what it wrote last is not known yet) */
	return atomic_load_explicit(&kalam_segment->state, memory_order_relaxed) == KALAM_STORAGE_READY &&
		kalam_at_newest_change(&at) <= stamp;
}

KalamRowFate
kalam_row_fate(uint8 *key, size_t *key_len, uint64 stamp, KalamRowLockMode mode,
			   KalamRow **newest)
{
	Assert(mode != KALAM_LOCK_KEY_SHARE);
	return kalam_read_row_fate(NULL, NULL, key, key_len, stamp, mode, newest);
}

KalamRowFate
kalam_read_row_fate(KalamTable *table, Relation rel, uint8 *key, size_t *key_len, uint64 stamp,
					KalamRowLockMode mode, KalamRow **newest)
{
	KalamRow   *row;
	bool		gone;
	bool		changed;

	*newest = NULL;

	if (kalam_key_unchanged_since(key, *key_len, stamp))
		return KALAM_ROW_AS_BEFORE;

	row = kalam_get_rechecked(key, *key_len, stamp);
	gone = (row->flags & KALAM_ROW_ABSENT) != 0;
	changed = (row->flags & KALAM_ROW_CHANGED) != 0 && !gone &&
		(mode != KALAM_LOCK_KEY_SHARE ||
		 unique_values_changed(table, rel, key, *key_len, stamp, row));
	if (IsolationUsesXactSnapshot() && (gone || changed))
		raise_serialization(gone && !kalam_moved_follow(key, key_len, stamp));
	if (!gone && changed)
	{
		*newest = row;
		return KALAM_ROW_UPDATED;
	}
	pfree(row);
	if (!gone)
		return KALAM_ROW_AS_BEFORE;
	return kalam_moved_follow(key, key_len, stamp) ? KALAM_ROW_MOVED : KALAM_ROW_GONE;
}

bool
kalam_key_exists(const uint8 *key, size_t key_len)
{
	KalamRow   *row = kalam_get_newest(key, key_len);

	if (row == NULL)
		return false;
	pfree(row);
	return true;
}

bool
kalam_object_is_new(uint32 object_id)
{
	KalamStagedVersion *own = kalam_own_object_change(object_id);

	return own != NULL && own->op == KALAM_CHANGE_CREATE_OBJECT;
}

/* May the user see the columns?  Else messages do not show what is in them. */
static bool
may_see(Relation rel, const KalamKeyColumn *columns, int n)
{
	Oid			user = GetUserId();

	if (pg_class_aclcheck(RelationGetRelid(rel), user, ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < n; i++)
		if (pg_attribute_aclcheck(RelationGetRelid(rel), columns[i].attnum, user,
								  ACL_SELECT) != ACLCHECK_OK)
			return false;
	return true;
}

char *
kalam_describe_key(Relation rel, const KalamKeyColumn *columns, int n, TupleTableSlot *slot)
{
	StringInfoData names;
	StringInfoData values;

	if (!may_see(rel, columns, n))
		return NULL;
	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), columns[i].attnum - 1);
		bool		isnull;
		Datum		value = slot_getattr(slot, att->attnum, &isnull);
		Oid			out;
		bool		varlena;

		getTypeOutputInfo(att->atttypid, &out, &varlena);
		appendStringInfo(&names, "%s%s", i ? ", " : "", quote_identifier(NameStr(att->attname)));
		appendStringInfo(&values, "%s%s", i ? ", " : "",
						 isnull ? "null" : OidOutputFunctionCall(out, value));
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}

/* "Key (a, b)=(1, 2) already exists." for a row that was to be written. */
void
kalam_raise_duplicate(Relation rel, uint16 index_id, MinimalTuple tuple)
{
	KalamTable *table = kalam_table_open_for_context(rel);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	const KalamKeyColumn *columns = table->keys;
	int			ncolumns = table->nkeys;
	char	   *name = psprintf("%s_pkey", RelationGetRelationName(rel));
	char	   *key;

	/* it may have been made anew since the row was written, without ids yet */
	if (index_id != 0)
		(void) kalam_table_object(table);
	for (int i = 0; i < table->nindexes; i++)
		if (index_id != 0 && table->indexes[i].id == index_id)
		{
			columns = kalam_index_columns(&table->indexes[i]);
			ncolumns = table->indexes[i].ncolumns;
			name = kalam_index_relname(&table->indexes[i], rel);
		}
	/* (output functions may do anything, also to what is staged) */
	if (tuple != NULL)
		ExecStoreMinimalTuple(heap_copy_minimal_tuple(tuple), slot, true);
	key = tuple == NULL ? NULL : kalam_describe_key(rel, columns, ncolumns, slot);
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"", name),
			 key ? errdetail("Key %s already exists.", key) : 0,
			 errtableconstraint(rel, name)));
}
