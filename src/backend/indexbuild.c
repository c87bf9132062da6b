/*
 * indexbuild.c
 *	  Secondary indexes come and go with the options of their table.
 *
 * Called when a statement has changed a table, under the lock that it holds:
 * what the record of the table says of its indexes is compared with the options.
 * The entries of a new index are staged like rows, or loaded if they are many, and all
 * of them are undone with the statement.  An index that is
 * changed is another one, with another id.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "src/backend/index.h"
#include "src/backend/load.h"
#include "src/backend/progress.h"
#include "src/backend/row.h"
#include "src/backend/shmem.h"
#include "src/backend/wholescan.h"

/* ---- the record ---- */

static const char *
option_of(const KalamIndex *index, List *options)
{
	char	   *name = psprintf("%s%s", index->unique ? KALAM_OPTION_UNIQUE : KALAM_OPTION_INDEX,
								kalam_index_name(index));
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			return defGetString(lfirst(lc));
	elog(ERROR, "option \"%s\" is missing", name);
}

/* Writes what table knows of its indexes into the record. */
static void
put_indexes(const KalamTable *table, Relation rel, KalamCatalogTable *record, uint32 next_index)
{
	List	   *options = GetForeignTable(RelationGetRelid(rel))->options;

	record->record.nindexes = table->nindexes;
	record->record.next_index = next_index;
	record->indexes = palloc0(sizeof(KalamTableIndex) * Max(table->nindexes, 1));
	for (int i = 0; i < table->nindexes; i++)
	{
		const KalamIndex *index = &table->indexes[i];
		KalamTableIndex *x = &record->indexes[i];

		x->id = index->id;
		x->flags = index->unique ? KALAM_INDEX_UNIQUE : 0;
		x->since = index->since;
		x->name = kalam_string(kalam_index_name(index));
		x->columns = kalam_string(option_of(index, options));
	}
}

/* The id of the next new index of an object. */
static uint16
take_id(uint32 *next_index, Relation rel)
{
	if (*next_index > UINT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("all index ids of table \"%s\" are used up", RelationGetRelationName(rel)),
				 errhint("Truncate it, or store its rows anew: change its option compression.")));
	return (uint16) (*next_index)++;
}

void
kalam_index_start_anew(KalamTable *table, Relation rel, KalamCatalogTable *record)
{
	uint32		next_index = 1;

	for (int i = 0; i < table->nindexes; i++)
	{
		kalam_table_set_index(table, i, take_id(&next_index, rel), 0);
	}
	put_indexes(table, rel, record, next_index);
}

/* ---- what is new ---- */

/* Has the column of old's that was called so the same place, and the same key bytes? */
static bool
same_column(const KalamKeyColumn *column, const KalamKeyItem *was, const KalamCatalogTable *old)
{
	const KalamTableColumn *c;
	KalamKeyType type;
	const char *why;

	if (column->desc != was->desc || (uint32) column->attnum > old->record.ncolumns)
		return false;
	c = &old->columns[column->attnum - 1];
	return !(c->flags & KALAM_COLUMN_DROPPED) &&
		strcmp(was->name, kalam_string_dup(c->name)) == 0 &&
		kalam_key_type(c->type_oid, column->type.collation, &type, &why) &&
		type.codec == column->type.codec;
}

static bool
same_index(const KalamIndex *index, const KalamTableIndex *was, const KalamCatalogTable *old)
{
	List	   *items;
	ListCell   *lc;
	int			i = 0;

	if (index->unique != ((was->flags & KALAM_INDEX_UNIQUE) != 0) ||
		strcmp(kalam_index_name(index), kalam_string_dup(was->name)) != 0)
		return false;
	items = kalam_parse_key_list(kalam_index_name(index), kalam_string_dup(was->columns));
	if (list_length(items) != index->ncolumns)
		return false;
	foreach(lc, items)
		if (!same_column(&kalam_index_columns(index)[i++], lfirst(lc), old))
			return false;
	return true;
}

/* ---- building ---- */

/* As heap says it of rows that are there already. */
static void pg_attribute_noreturn()
raise_cannot_create(const KalamIndex *index, Relation rel, TupleTableSlot *slot)
{
	char	   *name = kalam_index_relname(index, rel);
	char	   *key = TupIsNull(slot) ? NULL :
		kalam_describe_key(rel, kalam_index_columns(index), index->ncolumns, slot);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("could not create unique index \"%s\"", name),
			 key ? errdetail("Key %s is duplicated.", key) : errdetail("Duplicate keys exist."),
			 errtableconstraint(rel, name)));
}

/* Forms the entry of a row; raises if it is a value that another row has. */
static void
form_new_entry(const KalamTable *table, const KalamIndex *index, Relation rel,
			   TupleTableSlot *slot, const uint8 *key, size_t key_len, KalamIndexEntry *entry)
{
	KalamVersion own;

	kalam_index_entry(table, index, rel, slot, key, key_len, entry);
	if (entry->suffix_len == 0 && kalam_own_version(entry->key, entry->key_len, &own) &&
		own.op == KALAM_CHANGE_PUT)
		raise_cannot_create(index, rel, slot);
}

void
kalam_index_raise_duplicate(const KalamTable *table, Relation rel, uint16 index_id,
							MinimalTuple row)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);

	if (row != NULL)
		ExecStoreMinimalTuple(row, slot, false);
	for (int i = 0; i < table->nindexes; i++)
		if (table->indexes[i].id == index_id)
			raise_cannot_create(&table->indexes[i], rel, slot);
}

void
kalam_index_add_row(KalamTable *table, Relation rel, TupleTableSlot *slot,
					const uint8 *key, size_t key_len)
{
	for (int i = 0; i < table->nindexes; i++)
	{
		KalamIndexEntry entry;
		uint8		payload[KALAM_INDEX_PAYLOAD_BYTES];
		size_t		len;

		form_new_entry(table, &table->indexes[i], rel, slot, key, key_len, &entry);
		len = kalam_index_payload(&entry, key, key_len, payload);
		(void) kalam_stage_entry(entry.key, entry.key_len, payload, len);
	}
}

typedef struct IndexBuild
{
	Relation	rel;
	KalamTable *table;
	List	   *indexes;
	KalamLoad **load;			/* NULL, or to NULL: entries are staged */
	uint16		target;			/* of the first index in the load */
} IndexBuild;

/*
 * Storage has found a value twice: tag is the number of the row that has it as the
 * second, in the order of the scan.
 */
static void
raise_found_twice(void *arg, uint16 index_id, uint64 tag, MinimalTuple row)
{
	IndexBuild *build = arg;
	KalamWholeScan *scan = kalam_whole_scan_begin(build->rel);
	MinimalTuple tuple;
	const uint8 *key;
	size_t		key_len;

	do
		tuple = kalam_whole_scan_next(scan, &key, &key_len);
	while (tuple != NULL && tag-- > 1);
	kalam_index_raise_duplicate(build->table, build->rel, index_id, tuple);
}

/* Stages the entries of a row. */
static void
stage_entries(IndexBuild *build, TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	int			n = list_length(build->indexes);
	KalamIndexEntry *entries = palloc(n * sizeof(KalamIndexEntry));

	/* all are formed before any is staged, which may spill what the row is in */
	for (int i = 0; i < n; i++)
		form_new_entry(build->table, list_nth(build->indexes, i), build->rel, slot, key, key_len,
					   &entries[i]);
	for (int i = 0; i < n; i++)
	{
		uint8		payload[KALAM_INDEX_PAYLOAD_BYTES];
		size_t		len = kalam_index_payload(&entries[i], key, key_len, payload);

		kalam_stage_bytes(entries[i].key, entries[i].key_len, payload, len);
	}
}

static void
begin_load(IndexBuild *build)
{
	bool		is_new = kalam_object_is_new(build->table->object_id);
	int			n = list_length(build->indexes);

	build->load = kalam_load_begin_for_rows(build->table, raise_found_twice, build);
	for (int i = 0; build->load != NULL && i < n; i++)
	{
		uint16		target = kalam_load_declare_index(*build->load, build->table,
													  list_nth(build->indexes, i), is_new);

		if (i == 0)
			build->target = target;
	}
}

/* Makes the entries that all rows of rel have in these indexes. */
static void
build_indexes(Relation rel, KalamTable *table, const KalamCatalogTable *old, List *indexes)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "kalam index build",
													  ALLOCSET_DEFAULT_SIZES);
	IndexBuild	build = {.rel = rel, .table = table, .indexes = indexes};
	KalamWholeScan *scan;
	MinimalTuple tuple;
	const uint8 *key;
	size_t		key_len;
	uint64		nrows = 0;

	/* the scan sees commands before this one */
	CommandCounterIncrement();
	scan = kalam_whole_scan_begin(rel);
	kalam_progress_begin(KALAM_PROGRESS_BUILD, rel, old);
	begin_load(&build);
	while ((tuple = kalam_whole_scan_next(scan, &key, &key_len)) != NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(row_context);

		nrows++;
		ExecStoreMinimalTuple(tuple, slot, false);
		if (build.load != NULL && *build.load != NULL)
			for (int i = 0; i < list_length(indexes); i++)
				kalam_load_put_entry(*build.load, build.target + i, table, list_nth(indexes, i), rel,
									 nrows, slot, key, key_len);
		else
			stage_entries(&build, slot, key, key_len);
		ExecClearTuple(slot);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
		kalam_progress_row();
	}
	kalam_load_end_of_rows(build.load);
	kalam_progress_end();
	kalam_whole_scan_end(scan);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(row_context);
}

void
kalam_index_reconcile(Relation rel, KalamTable *table, const KalamCatalogTable *old,
					  KalamCatalogTable *record)
{
	uint32		next_index = old->record.next_index;
	bool	   *stays = palloc0(sizeof(bool) * Max(old->record.nindexes, 1));
	List	   *to_build = NIL;

	for (int i = 0; i < table->nindexes; i++)
	{
		uint32		w = 0;

		while (w < old->record.nindexes && !same_index(&table->indexes[i], &old->indexes[w], old))
			w++;
		if (w < old->record.nindexes)
		{
			kalam_table_set_index(table, i, (uint16) old->indexes[w].id, old->indexes[w].since);
			stays[w] = true;
		}
		else
		{
			/* all that is indexed was committed by then */
			kalam_table_set_index(table, i, take_id(&next_index, rel),
								  atomic_load(&kalam_segment->pub));
			to_build = lappend(to_build, unconstify(KalamIndex *, &table->indexes[i]));
		}
	}
	for (uint32 w = 0; w < old->record.nindexes; w++)
		if (!stays[w])
			kalam_stage_drop_index(old->record.object_id, (uint16) old->indexes[w].id);
	put_indexes(table, rel, record, next_index);
	if (to_build != NIL)
		build_indexes(rel, table, old, to_build);
}
