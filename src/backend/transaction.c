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

#include "src/backend/client.h"
#include "src/backend/client_internal.h"
#include "src/backend/ddl.h"
#include "src/backend/rowlock.h"
#include "src/backend/shmem.h"
#include "src/backend/snapshot.h"
#include "src/backend/table.h"
#include "src/backend/transaction.h"
#include "src/shared/protocol.h"

#define ROW_ID_CHUNK		256
#define CHECK_BATCH			2000

/* Where a subtransaction began to write. */
typedef struct SubMark
{
	SubTransactionId sub;
	KalamStagedMark mark;
} SubMark;

typedef struct UniqueCheck
{
	KalamStagedVersion *version;
	Oid			relid;
	SubTransactionId sub;
	uint64		copy_line;		/* 0: not in COPY */
	Oid			copy_relid;		/* that COPY names */
} UniqueCheck;

/* Everything here lives in context, from the first write to the end. */
static MemoryContext context = NULL;
static KalamStaged *staged = NULL;
static uint64 serial = 0;
static uint64 max_row_id = 0;
static List *sequences = NIL;
static bool two_phase = false;
static SubMark *marks = NULL;
static int	nmarks = 0;
static int	marks_size = 0;
static UniqueCheck *checks = NULL;
static int	nchecks = 0;
static int	checks_size = 0;

/* Row ids of this session, reserved ahead. */
static uint64 row_id_next = 0;
static uint64 row_id_end = 0;

static void *
staged_alloc(void *arg, size_t size)
{
	/* 16-aligned, whatever palloc's MAXALIGN is */
	char	   *raw = MemoryContextAllocHuge(context, size + 32);
	char	   *aligned = (char *) TYPEALIGN(16, raw + sizeof(char *));

	((char **) aligned)[-1] = raw;
	return aligned;
}

static void
staged_free(void *arg, void *ptr, size_t size)
{
	pfree(((char **) ptr)[-1]);
}

KalamStaged *
kalam_staged_here(void)
{
	return staged;
}

KalamStagedVersion *
kalam_own_version(const uint8 *key, size_t key_len)
{
	KalamStagedKey *k = staged ? kalam_staged_find(staged, key, key_len) : NULL;

	return k ? kalam_staged_newest(k) : NULL;
}

/* Readies the staged changes for a write by the current subtransaction. */
static void
begin_write(void)
{
	SubTransactionId sub = GetCurrentSubTransactionId();

	if (staged == NULL)
	{
		KalamStagedMemory memory = {staged_alloc, staged_free, NULL};

		PreventCommandIfParallelMode("a write to a kalam table");
		(void) kalam_client_ready();
		context = AllocSetContextCreate(TopMemoryContext, "kalam transaction",
										ALLOCSET_DEFAULT_SIZES);
		marks_size = 16;
		marks = MemoryContextAlloc(context, marks_size * sizeof(SubMark));
		nmarks = 0;
		serial = atomic_fetch_add(&kalam_segment->next_serial, 1);
		staged = kalam_staged_create(&memory);
	}
	if (nmarks == 0 || marks[nmarks - 1].sub != sub)
	{
		if (nmarks == marks_size)
		{
			marks = repalloc(marks, 2 * marks_size * sizeof(SubMark));
			marks_size *= 2;
		}
		marks[nmarks].sub = sub;
		marks[nmarks].mark = kalam_staged_mark(staged);
		nmarks++;
	}
}

static void
put_value_header(uint8 *value)
{
	uint64		header = serial << 8 | KALAM_VALUE_FORMAT;

	memcpy(value, &header, sizeof(header));
}

MinimalTuple
kalam_stage_row(const uint8 *key, size_t key_len, size_t tuple_len, KalamStagedVersion **version)
{
	KalamStagedVersion *v;
	MinimalTuple tuple;

	begin_write();
	v = kalam_staged_add(staged, key, key_len, KALAM_CHANGE_PUT,
						 GetCurrentCommandId(true), 8 + tuple_len);
	put_value_header(v->value);
	tuple = kalam_staged_tuple(v);
	memset(tuple, 0, tuple_len);
	tuple->t_len = tuple_len;
	v->flags = KALAM_STAGED_ROW;
	*version = v;
	return tuple;
}

void
kalam_stage_delete(const uint8 *key, size_t key_len)
{
	begin_write();
	(void) kalam_staged_add(staged, key, key_len, KALAM_CHANGE_DELETE,
							GetCurrentCommandId(true), 0);
}

void
kalam_stage_bytes(const uint8 *key, size_t key_len, const void *bytes, size_t len)
{
	KalamStagedVersion *v;

	begin_write();
	v = kalam_staged_add(staged, key, key_len, KALAM_CHANGE_PUT,
						 GetCurrentCommandId(true), 8 + len);
	put_value_header(v->value);
	memcpy(v->value + 8, bytes, len);
}

/* Creations and drops of objects are log entries like others. */
void
kalam_stage_object(uint8 op, uint32 object_id, const void *options, size_t len)
{
	uint8		key[4];
	KalamStagedVersion *v;

	begin_write();
	kalam_put_be32(key, object_id);
	v = kalam_staged_add(staged, key, sizeof(key), op, GetCurrentCommandId(true), len);
	if (len > 0)
		memcpy(v->value, options, len);
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

void
kalam_unique_check_add(KalamStagedVersion *v, Oid relid)
{
	CopyFromState copy = running_copy();

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
	checks[nchecks].version = v;
	checks[nchecks].relid = relid;
	checks[nchecks].sub = GetCurrentSubTransactionId();
	checks[nchecks].copy_line = copy ? copy->cur_lineno : 0;
	checks[nchecks].copy_relid = copy ? RelationGetRelid(copy->rel) : InvalidOid;
	nchecks++;
	if (nchecks % CHECK_BATCH == 0)
		kalam_unique_checks_flush();
}

/* As COPY says it, for checks made when its own context is gone. */
static void
copy_line_context(void *arg)
{
	const UniqueCheck *check = arg;

	errcontext("COPY %s, line %llu", get_rel_name(check->copy_relid),
			   (unsigned long long) check->copy_line);
}

static void
raise_check(UniqueCheck *check)
{
	Relation	rel = RelationIdGetRelation(check->relid);
	CopyFromState copy = running_copy();
	ErrorContextCallback context_callback = {
		.previous = error_context_stack,
		.callback = copy_line_context,
		.arg = check
	};

	if (!RelationIsValid(rel))
		elog(ERROR, "could not open relation with OID %u", check->relid);
	if (copy != NULL && check->copy_line != 0)
	{
		/* the error is that line's; what was read since is not to be shown */
		copy->cur_lineno = check->copy_line;
		copy->cur_attname = NULL;
		copy->line_buf_valid = false;
	}
	else if (check->copy_line != 0)
		error_context_stack = &context_callback;
	kalam_raise_duplicate(rel, kalam_staged_tuple(check->version));
}

void
kalam_unique_checks_flush(void)
{
	SubTransactionId sub;
	int			first;
	KalamStream stream;

	if (nchecks == 0)
		return;
	sub = GetCurrentSubTransactionId();
	for (first = nchecks; first > 0 && checks[first - 1].sub == sub; first--)
		;
	if (first == nchecks)
		return;

	kalam_stream_begin(&stream, KALAM_OP_EXISTS);
	PG_TRY();
	{
		for (int i = first; i < nchecks; i++)
		{
			size_t		len;
			const uint8 *key = kalam_staged_key_bytes(checks[i].version->key, &len);
			uint16		len16 = (uint16) len;

			kalam_stream_put(&stream, &len16, sizeof(len16));
			kalam_stream_put(&stream, key, len);
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
		raise_check(&checks[first + stream.ch->result.position]);
	nchecks = first;
}

/* ---- callbacks ---- */

static void
forget_transaction(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	staged = NULL;
	marks = NULL;
	nmarks = 0;
	checks = NULL;
	nchecks = 0;
	max_row_id = 0;
	sequences = NIL;
	two_phase = false;
}

static bool
anything_staged(void)
{
	return staged != NULL && kalam_staged_count(staged) > 0;
}

/* Its last chance to fail. */
static void
pre_commit(bool prepare)
{
	KalamTransactionChanges changes;

	kalam_ddl_at_precommit();
	kalam_unique_checks_flush();
	if (!anything_staged() && !(prepare && kalam_row_locks_held()))
		return;

	changes.staged = anything_staged() ? staged : NULL;
	changes.serial = serial;
	changes.max_row_id = max_row_id;
	changes.two_phase = two_phase;
	changes.sequences = sequences;
	if (prepare)
		kalam_commit_prepare(&changes);
	else
		kalam_commit_begin(&changes);
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
			kalam_row_locks_release();
			kalam_snapshots_at_xact_end();
			kalam_ddl_at_xact_end(event == XACT_EVENT_COMMIT);
			kalam_tables_at_xact_end();
			forget_transaction();
			break;

		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			kalam_cursors_at_abort(InvalidSubTransactionId);
			kalam_snapshots_at_xact_end();
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
			kalam_unique_checks_flush();
			break;

		case SUBXACT_EVENT_COMMIT_SUB:
			if (nmarks > 0 && marks[nmarks - 1].sub == sub)
			{
				if (nmarks > 1 && marks[nmarks - 2].sub == parent)
					nmarks--;
				else
					marks[nmarks - 1].sub = parent;
			}
			kalam_cursors_at_subcommit(sub, parent);
			kalam_snapshots_at_subcommit(sub, parent);
			kalam_row_locks_subcommit(sub, parent);
			kalam_ddl_at_subcommit(sub, parent);
			break;

		case SUBXACT_EVENT_ABORT_SUB:
			while (nchecks > 0 && checks[nchecks - 1].sub == sub)
				nchecks--;
			if (nmarks > 0 && marks[nmarks - 1].sub == sub)
			{
				kalam_staged_pop_to(staged, marks[nmarks - 1].mark);
				nmarks--;
			}
			kalam_cursors_at_abort(sub);
			kalam_snapshots_at_subabort(sub);
			kalam_row_locks_subabort(sub);
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
