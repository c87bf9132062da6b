/*
 * table.c
 *	  The backend's view of a stored table, cached per relation; keys of rows.
 *
 * An entry is built from the relation's options and columns and dropped when
 * its relcache entry changes.  Changes of the object id (TRUNCATE) send a
 * relcache invalidation of their own, so that the id is looked up again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "foreign/foreign.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
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

typedef struct TableEntry
{
	Oid			relid;
	KalamTable *table;
} TableEntry;

static HTAB *tables = NULL;
static dlist_head all_tables = DLIST_STATIC_INIT(all_tables);

static void
free_if_unused(KalamTable *table)
{
	if (table->valid || table->users > 0 || table->planners > 0)
		return;
	dlist_delete(&table->node);
	MemoryContextDelete(table->context);
}

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

/* ---- the cache ---- */

static KalamTable *
build_table(Relation rel)
{
	MemoryContext cxt = AllocSetContextCreate(TopMemoryContext, "kalam table",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old;
	KalamTable *table;

	PG_TRY();
	{
		List	   *sequences;

		table = MemoryContextAllocZero(cxt, sizeof(KalamTable));
		table->context = cxt;
		table->relid = RelationGetRelid(rel);
		table->valid = true;
		kalam_table_read_options(table, rel, GetForeignTable(table->relid)->options);
		sequences = sequences_of_defaults(rel);
		old = MemoryContextSwitchTo(cxt);
		table->sequences = list_copy(sequences);
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		MemoryContextDelete(cxt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dlist_push_tail(&all_tables, &table->node);
	return table;
}

static KalamTable *
find_table(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	TableEntry *entry;
	KalamTable *table;
	bool		found;

	if (tables == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(TableEntry)};

		tables = hash_create("kalam tables", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(tables, &relid, HASH_FIND, &found);
	if (!found)
	{
		/* building can bring invalidations: enter it when it is whole */
		table = build_table(rel);
		entry = hash_search(tables, &relid, HASH_ENTER, &found);
		if (found)
		{
			entry->table->valid = false;
			free_if_unused(entry->table);
		}
		entry->table = table;
	}
	return entry->table;
}

KalamTable *
kalam_table_open(Relation rel)
{
	KalamTable *table = find_table(rel);

	table->users++;
	return table;
}

void
kalam_table_close(KalamTable *table)
{
	Assert(table->users > 0);
	table->users--;
	free_if_unused(table);
}

static void
close_for_context(void *arg)
{
	KalamTable *table = arg;

	table->planners--;
	free_if_unused(table);
}

KalamTable *
kalam_table_open_for_context(Relation rel)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	KalamTable *table = find_table(rel);

	table->planners++;
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

	dlist_foreach_modify(iter, &all_tables)
	{
		KalamTable *table = dlist_container(KalamTable, node, iter.cur);

		table->users = 0;
		free_if_unused(table);
	}
}

static void
forget_entry(TableEntry *entry)
{
	KalamTable *table = entry->table;

	(void) hash_search(tables, &entry->relid, HASH_REMOVE, NULL);
	table->valid = false;
	free_if_unused(table);
}

static void
relcache_callback(Datum arg, Oid relid)
{
	TableEntry *entry;
	HASH_SEQ_STATUS seq;

	if (tables == NULL)
		return;
	if (OidIsValid(relid))
	{
		entry = hash_search(tables, &relid, HASH_FIND, NULL);
		if (entry != NULL)
			forget_entry(entry);
		return;
	}
	hash_seq_init(&seq, tables);
	while ((entry = hash_seq_search(&seq)) != NULL)
		forget_entry(entry);
}

void
kalam_tables_forget(void)
{
	dlist_iter	iter;

	/* statements that are under way look again, unless they write already */
	dlist_foreach(iter, &all_tables)
		dlist_container(KalamTable, node, iter.cur)->object_known = false;
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

void
kalam_table_know(KalamTable *table, const KalamCatalogTable *record)
{
	table->object_id = record->record.object_id;
	table->object_known = true;
	for (int i = 0; i < table->nindexes; i++)
	{
		KalamIndex *index = &table->indexes[i];

		index->id = 0;
		index->usable_at = 0;
		for (uint32 j = 0; j < record->record.nindexes; j++)
		{
			const KalamTableIndex *x = &record->indexes[j];

			if (index->unique == ((x->flags & KALAM_INDEX_UNIQUE) != 0) &&
				strcmp(index->name, kalam_string_dup(x->name)) == 0)
			{
				index->id = (uint16) x->id;
				index->since = x->since;
			}
		}
	}
}

Oid
kalam_table_of_object(uint32 object_id)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_tables)
	{
		KalamTable *table = dlist_container(KalamTable, node, iter.cur);

		if (table->object_id == object_id)
			return table->relid;
	}
	return InvalidOid;
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
	dlist_iter	iter;

	dlist_foreach(iter, &all_tables)
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
		KalamKeyColumn *key = &table->keys[i];
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
