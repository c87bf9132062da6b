/*
 * indexwrite.c
 *	  What changes of rows do to the entries of secondary indexes.
 *
 * For one row at a time: its entries before and after are compared, unique
 * values that go or come are locked, and what differs is staged.  Heap checks an
 * immediate unique index when it inserts the entry, so the order in which the
 * rows of a command come decides there too: a value that another row still has
 * is taken, one that another row had is free.
 *
 * Stored values are looked up in batches with the keys of new rows (transaction.c);
 * the lock is held by then, so that nothing changes in between.
 */
#include "postgres.h"

#include "access/xact.h"

#include "src/backend/index.h"
#include "src/backend/row.h"
#include "src/backend/rowlock.h"
#include "src/backend/snapshot.h"

typedef struct IndexChange
{
	const KalamIndex *index;
	KalamIndexEntry gone;		/* to be deleted, if its key is not NULL */
	KalamIndexEntry put;		/* to be written, if its key is not NULL */
	bool		claims;			/* put is a unique value that the row did not have */
	bool		look_up;		/* it may be stored */
} IndexChange;

struct KalamIndexChanges
{
	KalamTable *table;
	Relation	rel;
	uint8	   *row_key;		/* of the new row */
	size_t		row_key_len;
	int			n;
	IndexChange change[FLEXIBLE_ARRAY_MEMBER];
};

static inline bool
is_value(const KalamIndexEntry *entry)
{
	return entry->key != NULL && entry->suffix_len == 0;
}

static inline bool
same_bytes(const uint8 *a, size_t a_len, const uint8 *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* Writes would leave the index without their entries. */
static void pg_attribute_noreturn()
raise_not_built(const KalamIndex *index, Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("index \"%s\" was never built", kalam_index_relname(index, rel)),
			 errdetail("Option \"%s_%s\" was set while kalam_fdw was not in shared_preload_libraries.",
					   index->unique ? "unique" : "index", kalam_index_name(index)),
			 errhint("Set the option again.")));
}

KalamIndexChanges *
kalam_index_changes(KalamTable *table, Relation rel,
					TupleTableSlot *old, const uint8 *old_key, size_t old_len,
					TupleTableSlot *new, const uint8 *new_key, size_t new_len)
{
	KalamIndexChanges *changes;

	if (table->nindexes == 0)
		return NULL;
	changes = palloc(offsetof(KalamIndexChanges, change) + table->nindexes * sizeof(IndexChange) +
					 new_len);
	changes->table = table;
	changes->rel = rel;
	changes->n = 0;
	for (int i = 0; i < table->nindexes; i++)
	{
		const KalamIndex *index = &table->indexes[i];
		IndexChange *c = &changes->change[changes->n];

		if (index->id == 0)
			raise_not_built(index, rel);
		memset(c, 0, sizeof(*c));
		c->index = index;
		if (old != NULL)
			kalam_index_entry(table, index, rel, old, old_key, old_len, &c->gone);
		if (new != NULL)
			kalam_index_entry(table, index, rel, new, new_key, new_len, &c->put);
		c->claims = is_value(&c->put);
		if (old != NULL && new != NULL &&
			same_bytes(c->gone.key, c->gone.key_len, c->put.key, c->put.key_len))
		{
			/* the row has the value already; it leads elsewhere only if its key changes */
			c->claims = false;
			c->gone.key = NULL;
			if (same_bytes(old_key, old_len, new_key, new_len))
				continue;
		}
		changes->n++;
	}
	if (changes->n == 0)
		return NULL;
	changes->row_key = (uint8 *) &changes->change[table->nindexes];
	changes->row_key_len = new_len;
	if (new_len > 0)
		memcpy(changes->row_key, new_key, new_len);
	return changes;
}

bool
kalam_index_changes_unique(const KalamIndexChanges *changes)
{
	for (int i = 0; changes != NULL && i < changes->n; i++)
		if (changes->change[i].claims || is_value(&changes->change[i].gone))
			return true;
	return false;
}

static void
lock_value(const KalamIndexChanges *changes, const KalamIndexEntry *entry)
{
	(void) kalam_row_lock(changes->table->object_id, entry->key, entry->key_len, KALAM_LOCK_UPDATE,
						  LockWaitBlock, changes->table->relid,
						  RelationGetRelationName(changes->rel));
}

/* Is the value of a locked entry stored? */
static bool
is_stored(const KalamIndexEntry *entry, Snapshot snapshot)
{
	uint8		key[KALAM_MAX_KEY_BYTES];
	size_t		key_len = entry->key_len;
	KalamRow   *newest;

	if (!kalam_key_exists(entry->key, entry->key_len))
		return false;
	if (IsolationUsesXactSnapshot() && snapshot != NULL)
	{
		memcpy(key, entry->key, key_len);
		(void) kalam_row_fate(key, &key_len, kalam_snapshot_stamp(snapshot), KALAM_LOCK_UPDATE,
							  &newest);
	}
	return true;
}

const KalamIndex *
kalam_index_claim(KalamIndexChanges *changes, bool is_new, bool look_up, Snapshot snapshot)
{
	if (changes == NULL)
		return NULL;
	for (int i = 0; i < changes->n; i++)
	{
		IndexChange *c = &changes->change[i];
		KalamVersion own;

		/* whoever wants it waits to see whether it is free in the end */
		if (!is_new && is_value(&c->gone))
			lock_value(changes, &c->gone);
		if (!c->claims)
			continue;
		if (kalam_own_version(c->put.key, c->put.key_len, &own))
		{
			if (own.op == KALAM_CHANGE_PUT)
				return c->index;
			continue;			/* this transaction has freed it, and has its lock */
		}
		if (is_new)
			continue;
		lock_value(changes, &c->put);
		if (look_up && is_stored(&c->put, snapshot))
			return c->index;
		c->look_up = !look_up;
	}
	return NULL;
}

void
kalam_index_stage(KalamIndexChanges *changes, const KalamStagedVersion *row)
{
	if (changes == NULL)
		return;
	for (int i = 0; i < changes->n; i++)
	{
		IndexChange *c = &changes->change[i];
		uint8		payload[KALAM_INDEX_PAYLOAD_BYTES];
		size_t		len;
		KalamStagedVersion *entry;

		if (c->gone.key != NULL)
			kalam_stage_entry_delete(c->gone.key, c->gone.key_len);
		if (c->put.key == NULL)
			continue;
		len = kalam_index_payload(&c->put, changes->row_key, changes->row_key_len, payload);
		entry = kalam_stage_entry(c->put.key, c->put.key_len, payload, len);
		if (c->look_up)
			kalam_unique_check_add(entry->key, row, changes->table->relid, c->index->id);
	}
}
