/*
 * transaction.c
 *	  What a transaction has changed so far, by command and subtransaction.
 *
 * Owns the staged changes, the uniqueness checks that wait for their batch, and
 * the transaction callbacks of the module: ROLLBACK TO pops what its
 * subtransaction staged; commit hands everything to commit.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/cachepin.h"
#include "src/backend/client.h"
#include "src/backend/client_internal.h"
#include "src/backend/ddl.h"
#include "src/backend/load.h"
#include "src/backend/rowlock.h"
#include "src/backend/rowmark.h"
#include "src/backend/shmem.h"
#include "src/backend/snapshot.h"
#include "src/backend/spill.h"
#include "src/backend/table.h"
#include "src/backend/tablestats.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

#define ROW_ID_CHUNK		256
#define CHECK_BATCH			2000

typedef struct UniqueCheck
{
	const uint8 *key;			/* where they are staged, or in copy */
	size_t		key_len;
	MinimalTuple tuple;
	char	   *copy;
	Oid			relid;
	uint16		index_id;		/* 0: the primary key */
	SubTransactionId sub;
	uint64		copy_line;		/* 0: not in COPY */
	Oid			copy_relid;		/* that COPY names */
} UniqueCheck;

/* Everything here lives in context, from the first write to the end. */
static MemoryContext context = NULL;
static KalamChanges *changes = NULL;
static uint64 serial = 0;
static uint64 max_row_id = 0;
static List *sequences = NIL;
static bool two_phase = false;
static UniqueCheck *checks = NULL;
static int	nchecks = 0;
static int	checks_size = 0;

/* Row ids of this session, reserved ahead. */
static uint64 row_id_next = 0;
static uint64 row_id_end = 0;

static void copy_unique_checks(void);

KalamChanges *
kalam_changes_here(void)
{
	return changes;
}

bool
kalam_own_version(const uint8 *key, size_t key_len, KalamVersion *v)
{
	kalam_loads_show(kalam_get_be32(key), KALAM_ANY_COMMAND);
	return changes != NULL && kalam_changes_find(changes, key, key_len, KALAM_ANY_COMMAND, v);
}

KalamStagedVersion *
kalam_own_object_change(uint32 object_id)
{
	uint8		key[4];
	KalamStagedKey *k;
	KalamStagedVersion *v;

	if (changes == NULL)
		return NULL;
	/* these are never spilled */
	kalam_put_be32(key, object_id);
	k = kalam_staged_find(kalam_changes_in_memory(changes), key, sizeof(key));
	v = k ? kalam_staged_newest(k) : NULL;
	while (v != NULL && v->op == KALAM_CHANGE_DROP_INDEX)
		v = v->older;
	return v;
}

/* Readies the transaction for a write. */
static void
begin_write(void)
{
	KalamStagedMemory memory;
	KalamRunFiles files;

	if (changes != NULL)
		return;
	PreventCommandIfParallelMode("a write to a kalam table");
	(void) kalam_client_ready();
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "kalam transaction",
										ALLOCSET_DEFAULT_SIZES);
	serial = atomic_fetch_add(&kalam_segment->next_serial, 1);
	memory = kalam_spill_memory(context);
	files = kalam_spill_files();
	changes = kalam_changes_create(&memory, &files);
}

uint64
kalam_transaction_serial(void)
{
	begin_write();
	return serial;
}

/*
 * Adds a version by the current command, once memory has room.  Here nobody is
 * in the middle of something with pointers into it: scans and look-ups copy
 * what they give, and checks that wait are let go.
 */
static KalamStagedVersion *
add_version(const void *key, size_t key_len, uint8 op, size_t value_len)
{
	size_t		limit = (size_t) kalam_staged_memory * 1024;

	kalam_loads_show(kalam_get_be32(key), KALAM_ANY_COMMAND);
	begin_write();
	if (kalam_changes_full(changes, limit))
	{
		kalam_unique_checks_flush();
		copy_unique_checks();
		kalam_changes_spill(changes, limit);
	}
	return kalam_changes_add(changes, key, key_len, op, GetCurrentCommandId(true),
							 GetCurrentSubTransactionId(), value_len);
}

MinimalTuple
kalam_stage_row(const uint8 *key, size_t key_len, size_t tuple_len, KalamStagedVersion **version)
{
	KalamStagedVersion *v = add_version(key, key_len, KALAM_CHANGE_PUT,
										KALAM_VALUE_HEADER_BYTES + tuple_len);
	MinimalTuple tuple = (MinimalTuple) (v->value + KALAM_VALUE_HEADER_BYTES);

	kalam_count_change(kalam_get_be32(key), false);
	kalam_put_value_header(v->value, serial);
	memset(tuple, 0, offsetof(MinimalTupleData, t_infomask2));
	tuple->t_len = tuple_len;
	v->flags = KALAM_STAGED_ROW;
	*version = v;
	return tuple;
}

void
kalam_stage_delete(const uint8 *key, size_t key_len)
{
	(void) add_version(key, key_len, KALAM_CHANGE_DELETE, 0);
	kalam_count_change(kalam_get_be32(key), true);
}

void
kalam_stage_bytes(const uint8 *key, size_t key_len, const void *bytes, size_t len)
{
	KalamStagedVersion *v = add_version(key, key_len, KALAM_CHANGE_PUT,
										KALAM_VALUE_HEADER_BYTES + len);

	kalam_put_value_header(v->value, serial);
	memcpy(v->value + KALAM_VALUE_HEADER_BYTES, bytes, len);
}

KalamStagedVersion *
kalam_stage_entry(const uint8 *key, size_t key_len, const void *bytes, size_t len)
{
	KalamStagedVersion *v;

	kalam_loads_show(kalam_get_be32(key), KALAM_ANY_COMMAND);
	v = kalam_changes_add(changes, key, key_len, KALAM_CHANGE_PUT,
											  GetCurrentCommandId(true),
											  GetCurrentSubTransactionId(),
											  KALAM_VALUE_HEADER_BYTES + len);

	kalam_put_value_header(v->value, serial);
	memcpy(v->value + KALAM_VALUE_HEADER_BYTES, bytes, len);
	return v;
}

void
kalam_stage_entry_delete(const uint8 *key, size_t key_len)
{
	kalam_loads_show(kalam_get_be32(key), KALAM_ANY_COMMAND);
	(void) kalam_changes_add(changes, key, key_len, KALAM_CHANGE_DELETE, GetCurrentCommandId(true),
							 GetCurrentSubTransactionId(), 0);
}

/* Creations and drops of objects are log entries like others. */
void
kalam_stage_object(uint8 op, uint32 object_id, const void *options, size_t len)
{
	uint8		key[4];
	KalamStagedVersion *v;

	kalam_put_be32(key, object_id);
	v = add_version(key, sizeof(key), op, len);
	if (len > 0)
		memcpy(v->value, options, len);
}

void
kalam_stage_drop_index(uint32 object_id, uint16 index_id)
{
	uint8		id[2] = {index_id >> 8, (uint8) index_id};

	kalam_stage_object(KALAM_CHANGE_DROP_INDEX, object_id, id, sizeof(id));
}

uint64
kalam_next_row_id(void)
{
	if (row_id_next == row_id_end)
	{
		(void) kalam_client_ready();
		row_id_next = atomic_fetch_add(&kalam_segment->next_row_id, ROW_ID_CHUNK);
		row_id_end = row_id_next + ROW_ID_CHUNK;
		if (row_id_end >= UINT64CONST(1) << 47)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("all row ids of tables without a primary key are used up")));
	}
	max_row_id = row_id_next;
	return row_id_next++;
}

void
kalam_transaction_uses_sequence(Oid sequence)
{
	MemoryContext old;

	begin_write();
	old = MemoryContextSwitchTo(context);
	sequences = list_append_unique_oid(sequences, sequence);
	MemoryContextSwitchTo(old);
}

void
kalam_transaction_force_two_phase(void)
{
	two_phase = true;
}

/* ---- uniqueness ---- */

/* The COPY FROM that is running in the error context, if one is. */
static CopyFromState
running_copy(void)
{
	if (error_context_stack != NULL && error_context_stack->callback == CopyFromErrorCallback)
		return (CopyFromState) error_context_stack->arg;
	return NULL;
}

uint64
kalam_copy_line(Oid *relid)
{
	CopyFromState copy = running_copy();

	*relid = copy ? RelationGetRelid(copy->rel) : InvalidOid;
	return copy ? copy->cur_lineno : 0;
}

void
kalam_unique_check_add(const KalamStagedKey *key, const KalamStagedVersion *row, Oid relid,
					   uint16 index_id)
{
	UniqueCheck *check;

	if (checks == NULL)
	{
		checks_size = CHECK_BATCH;
		checks = MemoryContextAlloc(context, checks_size * sizeof(UniqueCheck));
		nchecks = 0;
	}
	if (nchecks == checks_size)
	{
		/* outer subtransactions may leave theirs here */
		checks = repalloc(checks, 2 * checks_size * sizeof(UniqueCheck));
		checks_size *= 2;
	}
	check = &checks[nchecks];
	check->key = kalam_staged_key_bytes(key, &check->key_len);
	check->tuple = (MinimalTuple) (row->value + KALAM_VALUE_HEADER_BYTES);
	check->copy = NULL;
	check->relid = relid;
	check->index_id = index_id;
	check->sub = GetCurrentSubTransactionId();
	check->copy_line = kalam_copy_line(&check->copy_relid);
	nchecks++;
	if (nchecks % CHECK_BATCH == 0)
		kalam_unique_checks_flush();
}

/*
 * Checks that wait, of outer subtransactions, get copies of what they point to.
 * (A statement has at most a batch of them, of rows that were in memory.)
 */
static void
copy_unique_checks(void)
{
	for (int i = 0; i < nchecks; i++)
	{
		UniqueCheck *check = &checks[i];
		size_t		tuple_len = check->tuple->t_len;

		if (check->copy != NULL)
			continue;
		check->copy = MemoryContextAllocHuge(context, MAXALIGN(tuple_len) + check->key_len);
		memcpy(check->copy, check->tuple, tuple_len);
		memcpy(check->copy + MAXALIGN(tuple_len), check->key, check->key_len);
		check->tuple = (MinimalTuple) check->copy;
		check->key = (uint8 *) check->copy + MAXALIGN(tuple_len);
	}
}

/* Forgets the last checks, down to so many. */
static void
drop_unique_checks(int n)
{
	while (nchecks > n)
	{
		nchecks--;
		if (checks[nchecks].copy != NULL)
			pfree(checks[nchecks].copy);
	}
}

typedef struct CopyLine
{
	uint64		number;
	Oid			relid;
} CopyLine;

/* As COPY says it, for checks made when its own context is gone. */
static void
copy_line_context(void *arg)
{
	const CopyLine *line = arg;

	errcontext("COPY %s, line %llu", get_rel_name(line->relid), (unsigned long long) line->number);
}

void
kalam_raise_duplicate_of(Oid relid, uint16 index_id, MinimalTuple tuple, uint64 copy_line,
						 Oid copy_relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	CopyFromState copy = running_copy();
	CopyLine	line = {copy_line, copy_relid};
	ErrorContextCallback context_callback = {
		.previous = error_context_stack,
		.callback = copy_line_context,
		.arg = &line
	};

	if (!RelationIsValid(rel))
		elog(ERROR, "could not open relation with OID %u", relid);
	if (copy != NULL && copy_line != 0)
	{
		/* the error is that line's; what was read since is not to be shown */
		copy->cur_lineno = copy_line;
		copy->cur_attname = NULL;
		copy->line_buf_valid = false;
	}
	else if (copy_line != 0)
		error_context_stack = &context_callback;
	kalam_raise_duplicate(rel, index_id, tuple);
}

/* The first of the checks that the subtransaction added last. */
static int
first_check_of(SubTransactionId sub)
{
	int			first = nchecks;

	while (first > 0 && checks[first - 1].sub == sub)
		first--;
	return first;
}

void
kalam_unique_checks_drop(void)
{
	drop_unique_checks(first_check_of(GetCurrentSubTransactionId()));
}

void
kalam_unique_checks_flush(void)
{
	int			first;
	KalamStream stream;

	if (nchecks == 0)
		return;
	first = first_check_of(GetCurrentSubTransactionId());
	if (first == nchecks)
		return;

	kalam_stream_begin(&stream, KALAM_OP_EXISTS);
	PG_TRY();
	{
		for (int i = first; i < nchecks; i++)
		{
			uint16		len16 = (uint16) checks[i].key_len;

			kalam_stream_put(&stream, &len16, sizeof(len16));
			kalam_stream_put(&stream, checks[i].key, checks[i].key_len);
		}
		kalam_stream_finish(&stream, KALAM_LANE_READ);
		if (!kalam_channel_wait(stream.ch, KALAM_WAIT_DONE, true))
			kalam_raise_storage_lost();
	}
	PG_CATCH();
	{
		kalam_channel_cancel(stream.ch);
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (stream.ch->result.code != KALAM_OK)
		kalam_channel_raise(stream.ch);
	if (stream.ch->result.position != UINT64_MAX &&
		first + stream.ch->result.position < (uint64) nchecks)
	{
		const UniqueCheck *check = &checks[first + stream.ch->result.position];

		kalam_raise_duplicate_of(check->relid, check->index_id, check->tuple, check->copy_line,
								 check->copy_relid);
	}
	drop_unique_checks(first);
}

/* ---- callbacks ---- */

static void
forget_transaction(void)
{
	if (changes != NULL)
		kalam_changes_destroy(changes);
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	changes = NULL;
	checks = NULL;
	nchecks = 0;
	max_row_id = 0;
	sequences = NIL;
	two_phase = false;
}

static bool
anything_staged(void)
{
	return changes != NULL && (kalam_changes_count(changes) > 0 || kalam_nloads > 0);
}

/* Its last chance to fail. */
static void
pre_commit(bool prepare)
{
	KalamCommit commit;

	kalam_ddl_at_precommit();
	kalam_loads_precommit(InvalidSubTransactionId);
	kalam_unique_checks_flush();
	if (!anything_staged() && !(prepare && kalam_row_locks_held()))
		return;

	commit.changes = anything_staged() ? changes : NULL;
	commit.serial = serial;
	commit.max_row_id = max_row_id;
	commit.two_phase = two_phase;
	commit.sequences = sequences;
	if (prepare)
		kalam_commit_prepare(&commit);
	else
		kalam_commit_begin(&commit);
}

static void
transaction_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			pre_commit(event == XACT_EVENT_PRE_PREPARE);
			break;

		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			if (event == XACT_EVENT_PREPARE)
				kalam_commit_prepared();
			else
				kalam_commit_end(event == XACT_EVENT_COMMIT);
			kalam_cursors_at_abort(InvalidSubTransactionId);
			kalam_cache_pins_at_abort(InvalidSubTransactionId);
			kalam_row_locks_release();
			kalam_marked_rows_at_xact_end();
			kalam_snapshots_at_xact_end();
			kalam_ddl_at_xact_end();
			kalam_counts_at_xact_end(event != XACT_EVENT_ABORT);
			kalam_cache_counts_at_xact_end();
			kalam_tables_at_xact_end();
			kalam_loads_at_xact_end(event != XACT_EVENT_ABORT);
			forget_transaction();
			break;

		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			kalam_cursors_at_abort(InvalidSubTransactionId);
			kalam_cache_pins_at_abort(InvalidSubTransactionId);
			kalam_snapshots_at_xact_end();
			kalam_tables_at_xact_end();
			break;

		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

static void
subtransaction_callback(SubXactEvent event, SubTransactionId sub, SubTransactionId parent, void *arg)
{
	switch (event)
	{
		case SUBXACT_EVENT_START_SUB:
			break;

		case SUBXACT_EVENT_PRE_COMMIT_SUB:
			kalam_loads_precommit(sub);
			kalam_unique_checks_flush();
			break;

		case SUBXACT_EVENT_COMMIT_SUB:
			if (changes != NULL)
				kalam_changes_sub_committed(changes, sub, parent);
			kalam_loads_at_subcommit(sub, parent);
			kalam_cursors_at_subcommit(sub, parent);
			kalam_cache_pins_at_subcommit(sub, parent);
			kalam_snapshots_at_subcommit(sub, parent);
			kalam_row_locks_subcommit(sub, parent);
			kalam_counts_at_subcommit(sub, parent);
			kalam_ddl_at_subcommit(sub, parent);
			break;

		case SUBXACT_EVENT_ABORT_SUB:
			drop_unique_checks(first_check_of(sub));
			if (changes != NULL)
				kalam_changes_sub_aborted(changes, sub);
			kalam_loads_at_subabort(sub);
			kalam_cursors_at_abort(sub);
			kalam_cache_pins_at_abort(sub);
			kalam_snapshots_at_subabort(sub);
			kalam_row_locks_subabort(sub);
			kalam_counts_at_subabort(sub);
			kalam_ddl_at_subabort(sub);
			break;
	}
}

/* ---- NOTIFY by function ---- */

static needs_fmgr_hook_type prev_needs_fmgr = NULL;
static fmgr_hook_type prev_fmgr = NULL;

static bool
transaction_needs_fmgr(Oid function)
{
	return function == F_PG_NOTIFY || (prev_needs_fmgr && prev_needs_fmgr(function));
}

/* What NOTIFY does behind our commit can fail: see commit.c. */
static void
transaction_fmgr(FmgrHookEventType event, FmgrInfo *info, Datum *arg)
{
	if (event == FHET_START && info->fn_oid == F_PG_NOTIFY)
		two_phase = true;
	if (prev_fmgr)
		prev_fmgr(event, info, arg);
}

void
kalam_transaction_install(void)
{
	prev_needs_fmgr = needs_fmgr_hook;
	needs_fmgr_hook = transaction_needs_fmgr;
	prev_fmgr = fmgr_hook;
	fmgr_hook = transaction_fmgr;
	RegisterXactCallback(transaction_callback, NULL);
	RegisterSubXactCallback(subtransaction_callback, NULL);
}
