/*
 * table.c
 *	  The backend's view of stored tables, one per relation; keys of rows.
 *
 * A table is known until its relcache entry changes; then its schema is taken
 * from the shared cache again, or built.  Changes of the object id (TRUNCATE) send
 * a relcache invalidation of their own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "foreign/foreign.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "src/backend/client.h"
#include "src/backend/client_internal.h"
#include "src/backend/ddl.h"
#include "src/backend/load.h"
#include "src/backend/shmem.h"
#include "src/backend/store_catalog.h"
#include "src/backend/systemcache.h"
#include "src/backend/table.h"
#include "src/backend/tablestats.h"
#include "src/backend/transaction.h"

#define STAT_MAX_AGE_MS		1000

/* By relation.  (Its functions are inline, for they are called in every statement.) */
typedef struct TableEntry
{
	Oid			relid;
	char		status;
	KalamTable *table;
} TableEntry;

#define SH_PREFIX tables
#define SH_ELEMENT_TYPE TableEntry
#define SH_KEY_TYPE Oid
#define SH_KEY relid
#define SH_HASH_KEY(tb, key) murmurhash32(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static tables_hash *tables = NULL;	/* those that are valid */
static dlist_head in_use = DLIST_STATIC_INIT(in_use);	/* valid or not */
static MemoryContext table_context = NULL;
static Oid	building = InvalidOid;	/* unless it was invalidated meanwhile */

/* ---- what defaults draw from ---- */

static bool
find_sequences(Node *node, List **sequences)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr))
		*sequences = lappend_oid(*sequences, ((NextValueExpr *) node)->seqid);
	else if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_NEXTVAL)
	{
		Node	   *arg = linitial(((FuncExpr *) node)->args);

		if (IsA(arg, Const) && !((Const *) arg)->constisnull)
			*sequences = lappend_oid(*sequences, DatumGetObjectId(((Const *) arg)->constvalue));
	}
	return expression_tree_walker(node, find_sequences, sequences);
}

static List *
sequences_of_defaults(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *sequences = NIL;

	if (desc->constr == NULL)
		return NIL;
	for (int i = 0; i < desc->constr->num_defval; i++)
		(void) find_sequences(stringToNode(desc->constr->defval[i].adbin), &sequences);
	return sequences;
}

List *
kalam_table_sequences(KalamTable *table, Relation rel)
{
	if (!table->sequences_known)
	{
		List	   *sequences = sequences_of_defaults(rel);
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		table->sequences = list_copy(sequences);
		MemoryContextSwitchTo(old);
		table->sequences_known = true;
	}
	return table->sequences;
}

/* ---- the tables that are known ---- */

static void
free_table(KalamTable *table)
{
	kalam_schema_release(&table->hold);
	list_free(table->sequences);
	pfree(table);
}

static inline void
use(KalamTable *table)
{
	if (table->users + table->planners == 0)
		dlist_push_tail(&in_use, &table->node);
}

/* A user or planner is gone. */
static inline void
used(KalamTable *table)
{
	if (table->users + table->planners > 0)
		return;
	dlist_delete(&table->node);
	if (!table->valid)
		free_table(table);
}

/* No longer found by its relation. */
static void
invalidate(KalamTable *table)
{
	table->valid = false;
	if (table->users + table->planners == 0)
		free_table(table);
}

static void
forget(KalamTable *table)
{
	Assert(table->valid);
	(void) tables_delete(tables, table->relid);
	invalidate(table);
}

/* A session that ends gives back what it holds in shared memory. */
static void
release_all(int code, Datum arg)
{
	tables_iterator i;
	TableEntry *entry;
	dlist_iter	iter;

	tables_start_iterate(tables, &i);
	while ((entry = tables_iterate(tables, &i)) != NULL)
		kalam_schema_release(&entry->table->hold);
	dlist_foreach(iter, &in_use)
		kalam_schema_release(&dlist_container(KalamTable, node, iter.cur)->hold);
}

/* Until it is whole it is invalid, and an error leaves it to the transaction's end. */
static KalamTable *
build_table(Relation rel, bool to_change)
{
	KalamTable *table = MemoryContextAllocZero(table_context, sizeof(KalamTable));
	const KalamSchema *s;

	table->relid = RelationGetRelid(rel);
	use(table);
	table->users++;
	building = table->relid;
	kalam_schema_get(rel, to_change, &table->hold);
	s = table->schema = table->hold.schema;
	table->keys = kalam_schema_keys(s);
	table->nkeys = s->nkeys;
	table->indexes = kalam_schema_indexes(s);
	table->nindexes = s->nindexes;
	table->cache = s->options.cache;
	table->cache_ttl = s->options.cache_ttl;
	if (s->table_id != 0)
	{
		table->object_id = s->object_id;
		table->object_known = true;
		table->object_seen_at = table->hold.seen_at;
	}

	/* building can bring invalidations, and then it is for this user alone */
	if (building == table->relid)
	{
		bool		found;
		TableEntry *entry = tables_insert(tables, table->relid, &found);

		if (found)
			invalidate(entry->table);
		entry->table = table;
		table->valid = true;
	}
	return table;
}

static KalamTable *
open_new(Relation rel, bool to_change)
{
	if (tables == NULL)
	{
		table_context = SlabContextCreate(TopMemoryContext, "kalam tables", SLAB_DEFAULT_BLOCK_SIZE,
										  sizeof(KalamTable));
		on_shmem_exit(release_all, (Datum) 0);
		tables = tables_create(TopMemoryContext, 64, NULL);
	}
	return build_table(rel, to_change);
}

KalamTable *
kalam_table_open(Relation rel)
{
	TableEntry *entry = tables == NULL ? NULL : tables_lookup(tables, RelationGetRelid(rel));

	if (unlikely(entry == NULL))
		return open_new(rel, false);
	use(entry->table);
	entry->table->users++;
	return entry->table;
}

KalamTable *
kalam_table_open_to_change(Relation rel)
{
	TableEntry *entry = tables == NULL ? NULL : tables_lookup(tables, RelationGetRelid(rel));

	if (entry != NULL && entry->table->hold.shared)
	{
		forget(entry->table);
		entry = NULL;
	}
	return entry == NULL ? open_new(rel, true) : kalam_table_open(rel);
}

void
kalam_table_close(KalamTable *table)
{
	Assert(table->users > 0);
	table->users--;
	/* (plans that were made before leave none for the transaction's end to look at) */
	if (table->users + table->planners == 0 && table->valid && table->hold.shared &&
		kalam_schema_is_old(&table->hold))
	{
		used(table);
		forget(table);
	}
	else
		used(table);
}

static void
close_for_context(void *arg)
{
	KalamTable *table = arg;

	table->planners--;
	used(table);
}

KalamTable *
kalam_table_open_for_context(Relation rel)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	KalamTable *table = kalam_table_open(rel);

	table->planners++;
	table->users--;
	callback->func = close_for_context;
	callback->arg = table;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return table;
}

/* Statements that ended with an error have closed nothing. */
void
kalam_tables_at_xact_end(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &in_use)
	{
		KalamTable *table = dlist_container(KalamTable, node, iter.cur);
		bool		old = table->valid && kalam_schema_is_old(&table->hold);

		/* (it leaves the list before it can be freed) */
		table->users = 0;
		used(table);
		if (old)
			forget(table);
	}
}

static void
forget_all(void)
{
	tables_iterator i;
	TableEntry *entry;

	tables_start_iterate(tables, &i);
	while ((entry = tables_iterate(tables, &i)) != NULL)
		invalidate(entry->table);
	tables_reset(tables);
}

static void
relcache_callback(Datum arg, Oid relid)
{
	TableEntry *entry;

	if (tables == NULL)
		return;
	if (building == relid || !OidIsValid(relid))
		building = InvalidOid;
	if (!OidIsValid(relid))
		forget_all();
	else if ((entry = tables_lookup(tables, relid)) != NULL)
		forget(entry->table);
}

void
kalam_tables_forget(void)
{
	dlist_iter	iter;

	/* statements that are under way look again, unless they write already */
	dlist_foreach(iter, &in_use)
	{
		KalamTable *table = dlist_container(KalamTable, node, iter.cur);

		if (!table->hold.shared)
			table->object_known = false;
	}
	relcache_callback((Datum) 0, InvalidOid);
}

void
kalam_tables_install(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

extern Datum kalam_fdw_handler(PG_FUNCTION_ARGS);

bool
kalam_is_table(Oid relid)
{
	ForeignTable *ft;
	ForeignServer *server;
	ForeignDataWrapper *fdw;
	FmgrInfo	flinfo;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return false;
	ft = GetForeignTable(relid);
	server = GetForeignServer(ft->serverid);
	fdw = GetForeignDataWrapper(server->fdwid);
	if (!OidIsValid(fdw->fdwhandler))
		return false;
	fmgr_info(fdw->fdwhandler, &flinfo);
	return flinfo.fn_addr == kalam_fdw_handler;
}

/* What this backend may write. */
static KalamSchema *
own_schema(KalamTable *table)
{
	Assert(!table->hold.shared);
	return (KalamSchema *) table->schema;
}

void
kalam_table_set_object(KalamTable *table, uint32 object_id)
{
	Assert(!table->hold.shared);
	table->object_id = object_id;
	table->object_known = true;
}

void
kalam_table_set_index(KalamTable *table, int n, uint16 id, uint64 since)
{
	KalamIndex *index = (KalamIndex *) kalam_schema_indexes(own_schema(table)) + n;

	index->id = id;
	index->since = since;
}

void
kalam_table_know(KalamTable *table, const KalamCatalogTable *record)
{
	kalam_schema_know(own_schema(table), record);
	kalam_table_set_object(table, record->record.object_id);
	table->usable_at = 0;
}

const KalamTable *
kalam_table_of_object(uint32 object_id)
{
	dlist_iter	iter;
	tables_iterator i;
	TableEntry *entry;

	dlist_foreach(iter, &in_use)
	{
		const KalamTable *table = dlist_container(KalamTable, node, iter.cur);

		if (table->object_id == object_id)
			return table;
	}
	if (tables == NULL)
		return NULL;
	tables_start_iterate(tables, &i);
	while ((entry = tables_iterate(tables, &i)) != NULL)
		if (entry->table->object_id == object_id)
			return entry->table;
	return NULL;
}

uint32
kalam_table_object(KalamTable *table)
{
	if (!table->object_known)
	{
		KalamCatalogTable *record = kalam_record_find(table->relid, NULL);

		table->object_id = KALAM_OBJECT_NONE;
		/* one that is absent may be created by somebody else's first write */
		if (record != NULL)
			kalam_table_know(table, record);
		/* its commit was published before its lock, which we have now, was released */
		table->object_seen_at = atomic_load(&kalam_segment->pub);
	}
	return table->object_id;
}

bool
kalam_object_stat(uint32 object_id, int nindexes, KalamObjectSize *size)
{
	KalamChannel *ch = kalam_rpc_begin(KALAM_OP_STAT);

	memset(size, 0, sizeof(*size));
	ch->req.object_id = object_id;
	ch->req.max_rows = 1 + nindexes;
	if (kalam_rpc_wait(ch) == KALAM_OK)
	{
		size->rows = ch->result.rows;
		size->bytes = ch->result.bytes;
		size->row_bytes = ch->result.row_bytes;
		return true;
	}
	if (ch->result.code != KALAM_ERR_NO_OBJECT)
		kalam_channel_raise(ch);
	return false;
}

void
kalam_table_stat(KalamTable *table, double *rows, double *bytes)
{
	TimestampTz now = GetCurrentTimestamp();
	double		own;

	if (table->stat_time == 0 ||
		TimestampDifferenceExceeds(table->stat_time, now, STAT_MAX_AGE_MS))
	{
		uint32		object = kalam_table_object(table);
		KalamObjectSize size = {0};

		/* one that this transaction has created is not known there yet */
		if (object != KALAM_OBJECT_NONE)
			(void) kalam_object_size(object, table->nindexes, &size);
		table->stat_rows = (double) size.rows;
		table->stat_bytes = (double) size.row_bytes;
		table->stat_time = now;
	}
	*rows = table->stat_rows;
	*bytes = table->stat_bytes;
	/* own changes may be rows that are there already, but are as many at least */
	own = table->object_id != KALAM_OBJECT_NONE ? kalam_own_rows(table->object_id) : 0;
	if (own > *rows)
	{
		*bytes = *rows > 0 ? *bytes * own / *rows :
			(double) (kalam_changes_bytes(kalam_changes_here()) + kalam_loads_bytes());
		*rows = own;
	}
}

void
kalam_table_stat_forget(Oid relid)
{
	TableEntry *entry = tables == NULL ? NULL : tables_lookup(tables, relid);
	dlist_iter	iter;

	if (entry != NULL)
		entry->table->stat_time = 0;
	dlist_foreach(iter, &in_use)
	{
		KalamTable *table = dlist_container(KalamTable, node, iter.cur);

		if (table->relid == relid)
			table->stat_time = 0;
	}
}

/* ---- keys ---- */

void
kalam_table_key_begin(const KalamTable *table, KalamKeyWriter *w, uint8 *buf)
{
	kalam_key_begin(w, buf, KALAM_MAX_KEY_BYTES);
	kalam_put_key_prefix(buf, table->object_id, KALAM_KEY_KIND_ROW);
	w->len = KALAM_KEY_PREFIX_BYTES;
}

size_t
kalam_table_row_key(KalamTable *table, Relation rel, TupleTableSlot *slot, uint8 *buf)
{
	KalamKeyWriter w;

	kalam_table_key_begin(table, &w, buf);
	for (int i = 0; i < table->nkeys; i++)
	{
		const KalamKeyColumn *key = &table->keys[i];
		bool		isnull;
		Datum		value = slot_getattr(slot, key->attnum, &isnull);

		if (unlikely(isnull))
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
							NameStr(TupleDescAttr(RelationGetDescr(rel), key->attnum - 1)->attname),
							RelationGetRelationName(rel)),
					 errdetail("The column is part of the primary key."),
					 errtablecol(rel, key->attnum)));
		kalam_encode_datum(&w, &key->type, key->desc, value, false);
	}
	if (w.overflow)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("primary key of a row of table \"%s\" is too long",
						RelationGetRelationName(rel)),
				 errdetail("A stored key has at most %d bytes.", KALAM_MAX_KEY_BYTES)));
	return w.len;
}

size_t
kalam_table_row_id_key(KalamTable *table, uint64 row_id, uint8 *buf)
{
	kalam_put_key_prefix(buf, table->object_id, KALAM_KEY_KIND_ROW);
	kalam_put_be64(buf + KALAM_KEY_PREFIX_BYTES, row_id);
	return KALAM_KEY_PREFIX_BYTES + 8;
}

/*
 * A row id as a ctid.  The low 15 bits, plus one, become the offset, which is
 * never 0 then; 32 bits remain for the block, so ids end at 2^47.
 */
void
kalam_row_id_to_tid(uint64 row_id, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) (row_id >> 15), (OffsetNumber) ((row_id & 0x7fff) + 1));
}

uint64
kalam_tid_to_row_id(ItemPointer tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 15 |
		(ItemPointerGetOffsetNumberNoCheck(tid) - 1);
}
