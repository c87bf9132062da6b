/*
 * loadrows.c
 *	  Which rows of INSERT and COPY are loaded.
 *
 * The first rows of a statement are staged, as all rows are.  When they are many,
 * and nothing else stands between them in the log, they are sent as the beginning of
 * a load and taken off the log again; later rows are sent as they come.  A
 * statement that fills a table which has a load already begins its own at once,
 * for storage alone knows whether its keys are new.
 *
 * Where the transaction has staged other changes of the table, the keys of the load
 * are compared with theirs: no key is in both.
 *
 * Whatever is in the way (changes that were spilled, a key that was deleted before,
 * no free channel, a load that is taken back) makes the statement stage the rest of
 * its rows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

#include "src/backend/index.h"
#include "src/backend/load.h"
#include "src/backend/modify_internal.h"
#include "src/backend/rowlock.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"
#include "src/backend/transaction.h"

/*
 * Loads of a transaction with rows of one table.  Their keys are compared with each
 * other, so that they must not become many.
 */
#define MAX_LOADS_PER_OBJECT	16

/* Versions in the log that are rows with their entries, by the numbers of versions. */
typedef struct StagedRows
{
	uint64		first;
	uint64		per_row;
	uint64		nrows;
	uint64		tag;			/* of the first; they go up by one */
	uint32		locks_begin;	/* marks around what was locked for them */
	uint32		locks_end;
} StagedRows;

typedef enum LoaderState
{
	LOADER_WAITS,				/* it stages, but may begin a load */
	LOADER_SENDS,
	LOADER_STAGES				/* until its end */
} LoaderState;

struct KalamLoader
{
	dlist_node	node;			/* in loaders */
	EState	   *estate;
	int			users;
	SubTransactionId sub;
	LoaderState state;
	KalamLoad  *load;			/* SENDS; NULL: it is taken back, or finished */
	uint64		nrows;

	/* WAITS: */
	List	   *modifies;		/* KalamModify of tables that rows were for */
	bool		marked;
	KalamStagedMark mark;		/* where its rows begin in the log */
	uint64		bytes_at_mark;
	uint64		spills_at_mark;
	uint64		row_begins;		/* at this version, if it is staged */
	uint64		row_tag;
	uint32		row_locks;		/* and its locks at this mark */
	StagedRows *staged;
	uint32		nstaged;
	uint32		staged_size;
};

/* In TopTransactionContext. */
static dlist_head loaders = DLIST_STATIC_INIT(loaders);

KalamLoader *
kalam_loader_begin(EState *estate)
{
	dlist_iter	iter;
	KalamLoader *loader;

	dlist_foreach(iter, &loaders)
	{
		loader = dlist_container(KalamLoader, node, iter.cur);
		if (loader->estate == estate)
		{
			loader->users++;
			return loader;
		}
	}
	loader = MemoryContextAllocZero(TopTransactionContext, sizeof(KalamLoader));
	loader->estate = estate;
	loader->users = 1;
	loader->sub = GetCurrentSubTransactionId();
	loader->state = LOADER_WAITS;
	dlist_push_head(&loaders, &loader->node);
	return loader;
}

static void
forget_staged(KalamLoader *loader)
{
	if (loader->staged != NULL)
		pfree(loader->staged);
	loader->staged = NULL;
	loader->nstaged = loader->staged_size = 0;
	list_free(loader->modifies);
	loader->modifies = NIL;
}

static void
free_loader(KalamLoader *loader)
{
	forget_staged(loader);
	dlist_delete(&loader->node);
	pfree(loader);
}

/* The rest of the statement's rows is staged. */
static bool
stage_rest(KalamLoader *loader)
{
	loader->state = LOADER_STAGES;
	forget_staged(loader);
	return false;
}

static inline bool
is_catalog_or_object(const KalamStagedVersion *v)
{
	size_t		len;
	const uint8 *key = kalam_staged_key_bytes(v->key, &len);

	return v->op == KALAM_CHANGE_CREATE_OBJECT || v->op == KALAM_CHANGE_DROP_OBJECT ||
		v->op == KALAM_CHANGE_DROP_INDEX || kalam_get_be32(key) == KALAM_OBJECT_CATALOG;
}

/* The walk over what stands in the log behind the mark. */
typedef struct LogWalk
{
	KalamStagedWalk walk;
	const StagedRows *rows;
	const StagedRows *rows_end;
	uint64		tag;			/* of the last version, if it is of one of our rows */
	bool		ours;
} LogWalk;

static void
walk_log(LogWalk *w, const KalamLoader *loader)
{
	kalam_staged_walk(&w->walk, kalam_changes_in_memory(kalam_changes_here()),
					  loader->mark.nversions);
	w->rows = loader->staged;
	w->rows_end = loader->staged + loader->nstaged;
}

static KalamStagedVersion *
walk_next(LogWalk *w)
{
	uint64		number = w->walk.position;
	KalamStagedVersion *v = kalam_staged_walk_next(&w->walk);

	while (w->rows < w->rows_end && number >= w->rows->first + w->rows->per_row * w->rows->nrows)
		w->rows++;
	w->ours = w->rows < w->rows_end && number >= w->rows->first;
	if (w->ours)
		w->tag = w->rows->tag + (number - w->rows->first) / w->rows->per_row;
	return v;
}

/*
 * Is all that stands behind the mark of the current command, and rows that may be
 * sent, but for what makes their tables known?  *nkept: versions that stay.
 */
static bool
log_is_pure(const KalamLoader *loader, int *nkept)
{
	CommandId	command_id = GetCurrentCommandId(true);
	LogWalk		w;
	KalamStagedVersion *v;

	*nkept = 0;
	walk_log(&w, loader);
	while ((v = walk_next(&w)) != NULL)
	{
		if (v->command_id != command_id || v->sub != loader->sub)
			return false;
		if (w.ours)
		{
			/* it may not be sent from under what another command did to its key */
			if (v->older != NULL)
				return false;
			continue;
		}
		if (!is_catalog_or_object(v))
			return false;
		(*nkept)++;
	}
	return true;
}

/* A version that is put behind the mark again. */
typedef struct KeptVersion
{
	uint8		op;
	uint8		flags;
	size_t		key_len;
	size_t		value_len;
	char	   *bytes;			/* key and value */
} KeptVersion;

static void
keep(KeptVersion *kept, const KalamStagedVersion *v)
{
	const uint8 *key = kalam_staged_key_bytes(v->key, &kept->key_len);

	kept->op = v->op;
	kept->flags = v->flags;
	kept->value_len = v->value_len;
	kept->bytes = palloc(kept->key_len + kept->value_len);
	memcpy(kept->bytes, key, kept->key_len);
	memcpy(kept->bytes + kept->key_len, v->value, kept->value_len);
}

static void
put_again(KalamChanges *changes, const KeptVersion *kept)
{
	KalamStagedVersion *v = kalam_changes_add(changes, kept->bytes, kept->key_len, kept->op,
											  GetCurrentCommandId(true),
											  GetCurrentSubTransactionId(), kept->value_len);

	v->flags = kept->flags;
	memcpy(v->value, kept->bytes + kept->key_len, kept->value_len);
}

static void
declare(KalamLoader *loader, KalamModify *m)
{
	m->load_target = kalam_load_declare(loader->load, m->table, m->object_is_new);
	m->load_number = kalam_load_number(loader->load);
}

/*
 * A load takes no locks on its keys (loadlock.h).  If its first rows kept theirs, each of
 * two loads could wait for the other: who holds many locks holds some whose keys
 * storage takes for those of the other load.
 */
static void
give_back_locks(const KalamLoader *loader)
{
	for (uint32 i = loader->nstaged; i > 0; i--)
		kalam_row_locks_give_back(loader->staged[i - 1].locks_begin,
								  loader->staged[i - 1].locks_end);
}

/* Sends what the statement has staged, and takes it off the log. */
static bool
begin_to_send(KalamLoader *loader)
{
	KeptVersion *kept;
	int			nkept;
	ListCell   *lc;
	LogWalk		w;
	KalamStagedVersion *v;
	uint16		target = 0;

	if (!log_is_pure(loader, &nkept) || !kalam_load_begin(&loader->load))
		return stage_rest(loader);
	foreach(lc, loader->modifies)
		declare(loader, lfirst(lc));

	kept = palloc(nkept * sizeof(KeptVersion));
	nkept = 0;
	walk_log(&w, loader);
	while ((v = walk_next(&w)) != NULL)
	{
		if (w.ours)
			kalam_load_put_staged(loader->load, &target, w.tag, v);
		else
			keep(&kept[nkept++], v);
	}
	kalam_unique_checks_drop();
	kalam_changes_pop_to(kalam_changes_here(), loader->mark);
	for (int i = 0; i < nkept; i++)
		put_again(kalam_changes_here(), &kept[i]);
	give_back_locks(loader);
	forget_staged(loader);
	loader->state = LOADER_SENDS;
	KALAM_STOP_POINT("load_begun");
	return true;
}

/* Has the transaction changed keys of the table otherwise? */
static bool
is_changed(uint32 object_id)
{
	uint8		lower[KALAM_KEY_PREFIX_BYTES];
	uint8		upper[KALAM_KEY_PREFIX_BYTES];

	kalam_put_key_prefix(lower, object_id, KALAM_KEY_KIND_ROW);
	kalam_put_key_prefix(upper, object_id, KALAM_KEY_KIND_INDEX + 1);
	return kalam_changes_any_in(kalam_changes_here(), lower, sizeof(lower), upper, sizeof(upper));
}

static bool
all_indexes_are_built(const KalamTable *table)
{
	for (int i = 0; i < table->nindexes; i++)
		if (table->indexes[i].id == 0)
			return false;
	return true;
}

/*
 * Is some of what it staged in memory no more?  Others may have staged much since its
 * last row: what computes its rows, or triggers.
 */
static bool
is_spilled(const KalamLoader *loader)
{
	return loader->marked &&
		kalam_changes_spills(kalam_changes_here()) != loader->spills_at_mark;
}

/* May rows of the table be sent?  Asked before its first row. */
static bool
may_load(KalamModify *m)
{
	if (m->load_looked)
		return m->load_may;
	m->load_looked = true;
	(void) kalam_transaction_serial();	/* there are changes from here on */
	/* that of a statement in the midst of which this one runs */
	kalam_loads_finish_others(m->table->object_id, m->loader->load);
	m->load_compares = is_changed(m->table->object_id);
	m->load_may = !(m->load_compares && kalam_changes_spilled(kalam_changes_here())) &&
		all_indexes_are_built(m->table) &&
		kalam_loads_of(m->table->object_id) < MAX_LOADS_PER_OBJECT;
	return m->load_may;
}

/* Has a key that is to be sent a staged version?  Raises if that is a row. */
static bool
is_staged(KalamModify *m, uint16 index_id, const uint8 *key, size_t key_len, TupleTableSlot *slot)
{
	KalamStagedKey *k = kalam_staged_find(kalam_changes_in_memory(kalam_changes_here()), key,
										  key_len);
	KalamStagedVersion *v = k == NULL ? NULL : kalam_staged_newest(k);

	if (v != NULL && v->op == KALAM_CHANGE_PUT)
		kalam_raise_duplicate(m->rel, index_id, ExecCopySlotMinimalTuple(slot));
	return v != NULL;
}

/* The same for the row's key and its unique values. */
static bool
is_any_staged(KalamModify *m, TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	KalamTable *table = m->table;
	bool		found = is_staged(m, 0, key, key_len, slot);

	for (int i = 0; i < table->nindexes; i++)
	{
		uint8		room[KALAM_MAX_KEY_BYTES];
		KalamIndexEntry entry;

		if (!table->indexes[i].unique)
			continue;
		kalam_index_entry_in(table, &table->indexes[i], m->rel, slot, key, key_len, room, &entry);
		found |= is_staged(m, table->indexes[i].id, entry.key, entry.key_len, slot);
	}
	return found;
}

static void
note_table(KalamLoader *loader, KalamModify *m)
{
	MemoryContext old;

	if (list_member_ptr(loader->modifies, m))
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	loader->modifies = lappend(loader->modifies, m);
	MemoryContextSwitchTo(old);
}

/* Is it time to send?  Else the row is staged. */
static bool
waited_enough(KalamLoader *loader, KalamModify *m)
{
	KalamStaged *staged = kalam_changes_in_memory(kalam_changes_here());

	note_table(loader, m);
	if (!loader->marked)
	{
		/* those of its own rows are then all that wait */
		kalam_unique_checks_flush();
		loader->mark = kalam_staged_mark(staged);
		loader->bytes_at_mark = kalam_staged_bytes(staged);
		loader->spills_at_mark = kalam_changes_spills(kalam_changes_here());
		loader->marked = true;
	}
	if (kalam_loads_of(m->table->object_id) > 0 ||
		kalam_staged_bytes(staged) >=
		loader->bytes_at_mark + (uint64) kalam_bulk_load_threshold * 1024)
		return true;
	loader->row_begins = kalam_staged_count(staged);
	loader->row_locks = kalam_row_locks_mark();
	return false;
}

bool
kalam_load_row(KalamModify *m, TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	KalamLoader *loader = m->loader;
	Oid			copy_relid;

	if (loader->state == LOADER_STAGES || (loader->state == LOADER_SENDS && loader->load == NULL))
		return false;
	if (GetCurrentSubTransactionId() != loader->sub || !may_load(m) ||
		(loader->state == LOADER_WAITS && is_spilled(loader)))
		return loader->state == LOADER_WAITS ? stage_rest(loader) : false;
	loader->row_tag = kalam_copy_line(&copy_relid);
	loader->nrows++;
	if (loader->row_tag == 0)
		loader->row_tag = loader->nrows;
	if (loader->state == LOADER_WAITS && !(waited_enough(loader, m) && begin_to_send(loader)))
		return false;
	if (kalam_load_is_ended(loader->load))
	{
		/* what computes the rows, or a trigger, has caught the error */
		kalam_load_finish(loader->load);
		return false;
	}
	if (m->load_compares &&
		(kalam_changes_spilled(kalam_changes_here()) || is_any_staged(m, slot, key, key_len)))
	{
		kalam_load_finish(loader->load);
		return false;
	}
	if (m->load_number != kalam_load_number(loader->load))
		declare(loader, m);
	kalam_load_put_row(loader->load, m->load_target, m->table, m->rel, loader->row_tag, slot, key,
					   key_len);
	return true;
}

void
kalam_load_row_is_staged(KalamModify *m)
{
	KalamLoader *loader = m->loader;
	StagedRows *last;
	uint64		end;

	if (loader->state != LOADER_WAITS)
		return;
	if (is_spilled(loader))
	{
		(void) stage_rest(loader);
		return;
	}
	end = kalam_staged_count(kalam_changes_in_memory(kalam_changes_here()));
	last = loader->nstaged == 0 ? NULL : &loader->staged[loader->nstaged - 1];
	if (last != NULL && loader->row_begins == last->first + last->nrows * last->per_row &&
		end - loader->row_begins == last->per_row && loader->row_tag == last->tag + last->nrows &&
		loader->row_locks == last->locks_end)
	{
		last->nrows++;
		last->locks_end = kalam_row_locks_mark();
		return;
	}
	if (loader->nstaged == loader->staged_size)
	{
		uint32		size = Max(16, 2 * loader->staged_size);

		loader->staged = loader->staged == NULL ?
			MemoryContextAllocHuge(TopTransactionContext, size * sizeof(StagedRows)) :
			repalloc_huge(loader->staged, size * sizeof(StagedRows));
		loader->staged_size = size;
	}
	loader->staged[loader->nstaged++] = (StagedRows)
	{
		.first = loader->row_begins, .per_row = end - loader->row_begins, .nrows = 1,
		.tag = loader->row_tag, .locks_begin = loader->row_locks,
		.locks_end = kalam_row_locks_mark()
	};
}

void
kalam_loader_end(KalamLoader *loader)
{
	if (loader->load != NULL)
		kalam_load_finish(loader->load);
	if (--loader->users == 0)
		free_loader(loader);
}

void
kalam_loader_finish(EState *estate)
{
	dlist_iter	iter;

	dlist_foreach(iter, &loaders)
	{
		KalamLoader *loader = dlist_container(KalamLoader, node, iter.cur);

		if (loader->estate == estate && loader->load != NULL)
		{
			kalam_load_finish(loader->load);
			return;
		}
	}
}

void
kalam_loaders_forget(SubTransactionId sub)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &loaders)
	{
		KalamLoader *loader = dlist_container(KalamLoader, node, iter.cur);

		if (sub == InvalidSubTransactionId || loader->sub == sub)
			free_loader(loader);
	}
}
