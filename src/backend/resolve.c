/*
 * resolve.c
 *	  What becomes of transactions that storage holds as pending.
 *
 * The commit log decides, under the ids of Postgres that the entries carry.
 * A backend resolves its own entry when its transaction ends; what is left,
 * because the backend or storage died in between, is resolved here.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/transam.h"
#include "access/xact.h"
#include "port/atomics.h"
#include "src/backend/client.h"
#include "src/backend/indoubt.h"
#include "src/backend/resolve.h"
#include "src/backend/row.h"
#include "src/backend/rowlock.h"
#include "src/backend/shmem.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

/*
 * In Postgres' shared memory.
 *
 * A crash of the server can lose the assignment of a transaction id whose
 * pending entry is already on disk: nothing of that transaction reached WAL,
 * and after recovery the id is given to another one.  The commit log then says
 * "committed" of a ghost, an entry that never was.  So we keep the smallest id
 * that may have committed since the server started: an entry from before the
 * start whose id is not smaller is a ghost.
 */
typedef struct ResolveShared
{
	/* lower bound of ids that commit since start; lowered by all backends */
	pg_atomic_uint64 first_full_xid;

	/*
	 * Transactions since start have serials from here on; 0 until the first
	 * storage process since start has opened its files.  Set by the supervisor.
	 */
	pg_atomic_uint64 first_serial;
} ResolveShared;

#define BOUND_FILE	"kalam.first_xid"	/* in the data directory */

/* What is to become of a pending transaction. */
typedef enum Verdict
{
	VERDICT_WAIT,				/* it is still running, or its backend sees to it */
	VERDICT_APPLY,
	VERDICT_DROP,
	VERDICT_UNKNOWN				/* too old for the commit log */
} Verdict;

/* What is read of an entry in the store. */
typedef struct PendingEntry
{
	uint64		full_xid;
	uint64		serial;
} PendingEntry;

static ResolveShared *shared = NULL;

/* ---- ids that commit ---- */

Size
kalam_resolve_shmem_size(void)
{
	return MAXALIGN(sizeof(ResolveShared));
}

void
kalam_resolve_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("kalam supervisor", sizeof(ResolveShared), &found);
	if (!found)
	{
		pg_atomic_init_u64(&shared->first_full_xid, PG_UINT64_MAX);
		pg_atomic_init_u64(&shared->first_serial, 0);
	}
}

static void
lower_first_full_xid(uint64 bound)
{
	uint64		seen = pg_atomic_read_u64(&shared->first_full_xid);

	while (bound < seen &&
		   !pg_atomic_compare_exchange_u64(&shared->first_full_xid, &seen, bound))
		;
}

/*
 * Notes, before any commit record is written, that its transaction id belongs
 * to the time since the server's start.
 */
static void
note_commit(XactEvent event, void *arg)
{
	uint64		seen;
	uint64		mine;
	FullTransactionId fxid;

	if ((event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE) || shared == NULL)
		return;

	seen = pg_atomic_read_u64(&shared->first_full_xid);
	fxid = GetTopFullTransactionIdIfAny();
	if (FullTransactionIdIsValid(fxid))
		mine = U64FromFullTransactionId(fxid);
	else if (seen == PG_UINT64_MAX)

		/*
		 * An id may still be assigned, by NOTIFY.  Once a bound is noted such
		 * a late id cannot lie below it.
		 */
		mine = U64FromFullTransactionId(ReadNextFullTransactionId());
	else
		return;

	lower_first_full_xid(mine);
}

/*
 * A store that cannot be opened may outlive several starts of the server, and
 * all of them can use the ids of its ghosts.  So the bound of a start is kept in
 * a file until the store has been opened, and counts for the next starts too.
 * Entries are never made while it is there, so it is above all that are none.
 */
void
kalam_resolve_keep_bound(void)
{
	unsigned long long kept;
	FILE	   *file;
	bool		good;

	/* the store has been opened since this start, by another supervisor */
	if (pg_atomic_read_u64(&shared->first_serial) != 0)
		return;

	lower_first_full_xid(U64FromFullTransactionId(ReadNextFullTransactionId()));
	file = AllocateFile(BOUND_FILE, PG_BINARY_R);
	if (file != NULL)
	{
		if (fscanf(file, "%llu", &kept) == 1)
			lower_first_full_xid(kept);
		FreeFile(file);
	}

	file = AllocateFile(BOUND_FILE ".tmp", PG_BINARY_W);
	good = file != NULL &&
		fprintf(file, "%llu\n", (unsigned long long) pg_atomic_read_u64(&shared->first_full_xid)) > 0;
	if (file != NULL && FreeFile(file) != 0)
		good = false;
	if (!good)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", BOUND_FILE ".tmp")));
	else
		(void) durable_rename(BOUND_FILE ".tmp", BOUND_FILE, LOG);
}

/* No entry is left that it is for; the next ones are not to be judged by it. */
static void
forget_bound(void)
{
	if (access(BOUND_FILE, F_OK) == 0)
		(void) durable_unlink(BOUND_FILE, ERROR);
}

void
kalam_resolve_install(void)
{
	RegisterXactCallback(note_commit, NULL);
}

/* ---- judging ---- */

/* Is fxid still within what the commit log holds?  As xid8funcs.c has it. */
static bool
in_commit_log(FullTransactionId fxid, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);
	TransactionId oldest = ShmemVariableCache->oldestClogXid;
	FullTransactionId oldest_fxid;

	Assert(LWLockHeldByMe(XactTruncationLock));

	if (oldest > XidFromFullTransactionId(next))
		epoch--;
	oldest_fxid = FullTransactionIdFromEpochAndXid(epoch, oldest);
	return !FullTransactionIdPrecedes(fxid, oldest_fxid);
}

/*
 * Does a transaction, prepared ones included, still hold its id?
 *
 * Not TransactionIdIsInProgress: that is for processes in the ProcArray, which
 * a worker without a database is not, and it overlooks one backend for others.
 * The lock on the id is also held a little longer, until the backend has had
 * its chance to apply the changes itself.
 */
bool
kalam_transaction_holds_id(TransactionId xid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_TRANSACTION(tag, xid);
	if (LockAcquire(&tag, ShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, true);
	return false;
}

/*
 * What has become of a transaction.  "Running" is asked first: a transaction
 * gives its id up only after its end is in the commit log.  Before everybody
 * is served, one that has committed is not left to its backend.
 */
static Verdict
judge(FullTransactionId fxid, uint64 serial, bool serve)
{
	TransactionId xid = XidFromFullTransactionId(fxid);
	FullTransactionId next = ReadNextFullTransactionId();
	bool		from_before = serial < pg_atomic_read_u64(&shared->first_serial);
	bool		running;
	bool		committed;

	/* Never assigned since recovery: it left no trace in WAL. */
	if (!TransactionIdIsNormal(xid) || !FullTransactionIdPrecedes(fxid, next))
		return VERDICT_DROP;

	running = kalam_transaction_holds_id(xid);

	LWLockAcquire(XactTruncationLock, LW_SHARED);
	if (!in_commit_log(fxid, next))
	{
		LWLockRelease(XactTruncationLock);
		return VERDICT_UNKNOWN;
	}
	committed = TransactionIdDidCommit(xid);
	LWLockRelease(XactTruncationLock);

	if (running && !(committed && serve))
		return VERDICT_WAIT;
	if (!committed)
		return VERDICT_DROP;

	if (from_before &&
		U64FromFullTransactionId(fxid) >= pg_atomic_read_u64(&shared->first_full_xid))
		return VERDICT_DROP;	/* a ghost: its namesake committed */
	return VERDICT_APPLY;
}

/* ---- resolving ---- */

static void
fill_request(KalamChannel *ch, uint64 full_xid, bool apply)
{
	ch->req.full_xid = full_xid;
	ch->req.flags = apply ? KALAM_RESOLVE_APPLY : 0;
}

void
kalam_resolve(uint64 full_xid, bool apply)
{
	KalamChannel *ch = kalam_rpc_begin(KALAM_OP_RESOLVE);

	fill_request(ch, full_xid, apply);
	kalam_rpc_finish(ch);
}

bool
kalam_resolve_noerror(uint64 full_xid, bool apply)
{
	KalamChannel *ch = kalam_rpc_begin_noerror(KALAM_OP_RESOLVE);

	if (ch == NULL)
		return false;
	fill_request(ch, full_xid, apply);
	return kalam_rpc_finish_noerror(ch) == KALAM_OK;
}

/* It was resolved: nobody waits for it any more. */
static void
resolve(uint64 full_xid, bool apply)
{
	kalam_resolve(full_xid, apply);
	kalam_indoubt_leave(full_xid);
}

/*
 * A prepared transaction from before the server's start: its row locks, which
 * its entry has first, are held again.
 */
static void
restore_prepared(uint64 full_xid)
{
	uint8		key[KALAM_KEY_PREFIX_BYTES + sizeof(uint64)];
	KalamRow   *row;
	const uint8 *stream;
	TransactionId xid = kalam_xid_of(full_xid);
	KalamChange change;
	size_t		len;

	if (kalam_indoubt_has(full_xid))
		return;
	kalam_put_key_prefix(key, KALAM_OBJECT_PENDING, KALAM_KEY_KIND_META);
	kalam_put_be64(key + KALAM_KEY_PREFIX_BYTES, full_xid);
	row = kalam_get_newest(key, sizeof(key));
	if (row == NULL)
		return;
	kalam_row_locks_forget(xid);	/* of an attempt that failed */
	stream = kalam_row_bytes(row, &len);
	if (len >= KALAM_CHANGE_HEADER_BYTES)
	{
		memcpy(&change, stream, KALAM_CHANGE_HEADER_BYTES);
		if (change.op == KALAM_CHANGE_LOCKS &&
			change.value_len <= len - KALAM_CHANGE_HEADER_BYTES)
			kalam_row_locks_restore(xid, stream + KALAM_CHANGE_HEADER_BYTES,
									change.value_len / sizeof(KalamLockRecord));
	}
	kalam_indoubt_enter(full_xid);
	(void) kalam_indoubt_keep_locks(full_xid);
	pfree(row);
}

/* The pending entries that storage holds now. */
static PendingEntry *
read_pending(int *count)
{
	uint8		lower[KALAM_KEY_PREFIX_BYTES];
	uint8		upper[KALAM_KEY_PREFIX_BYTES];
	KalamRange	range = {0};
	KalamCursor *cursor;
	const KalamRow *row;
	int			size = 64;
	PendingEntry *entries = palloc(size * sizeof(PendingEntry));

	*count = 0;
	kalam_put_key_prefix(lower, KALAM_OBJECT_PENDING, KALAM_KEY_KIND_META);
	kalam_put_key_prefix(upper, KALAM_OBJECT_PENDING, KALAM_KEY_KIND_META + 1);
	range.object_id = KALAM_OBJECT_PENDING;
	range.flags = KALAM_SCAN_NEWEST | KALAM_SCAN_KEYS_ONLY;
	range.lower = lower;
	range.lower_len = sizeof(lower);
	range.upper = upper;
	range.upper_len = sizeof(upper);

	cursor = kalam_cursor_open(&range);
	while ((row = kalam_cursor_next(cursor)) != NULL)
	{
		const uint8 *key = kalam_row_key(row);

		if (row->key_len != KALAM_KEY_PREFIX_BYTES + sizeof(uint64))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the kalam store holds a pending transaction with a key of %d bytes",
							row->key_len)));
		/* a load without an xid, which storage itself is taking in */
		if (kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES) >> 63)
			continue;
		if (*count == size)
		{
			size *= 2;
			entries = repalloc(entries, size * sizeof(PendingEntry));
		}
		entries[*count].full_xid = kalam_get_be64(key + KALAM_KEY_PREFIX_BYTES);
		entries[*count].serial = row->version >> 8;
		(*count)++;
	}
	kalam_cursor_close(cursor);
	return entries;
}

static int
compare_entries(const void *a, const void *b)
{
	uint64		x = ((const PendingEntry *) a)->full_xid;
	uint64		y = ((const PendingEntry *) b)->full_xid;

	return x < y ? -1 : x > y;
}

/*
 * Applies or drops those pending transactions that have ended.  While everybody
 * is served most of them are on their way through their backends; only those
 * are looked at that were there at the previous call as well.
 */
void
kalam_resolve_pending(bool serve)
{
	static PendingEntry *before = NULL; /* in order of full_xid, as keys are */
	static int	nbefore = 0;
	static unsigned long long unknown_logged = 0;	/* complained about up to this */
	PendingEntry *entries;
	int			count;
	int			applied = 0;
	int			dropped = 0;

	if (serve && pg_atomic_read_u64(&shared->first_serial) == 0)
		pg_atomic_write_u64(&shared->first_serial,
							atomic_load(&kalam_segment->next_serial));

	entries = read_pending(&count);
	for (int i = 0; i < count; i++)
	{
		unsigned long long full_xid = entries[i].full_xid;

		if (!serve && (nbefore == 0 ||
					   bsearch(&entries[i], before, nbefore, sizeof(PendingEntry),
							   compare_entries) == NULL))
			continue;

		switch (judge(FullTransactionIdFromU64(full_xid), entries[i].serial, serve))
		{
			case VERDICT_WAIT:
				if (serve)
					restore_prepared(full_xid);
				break;
			case VERDICT_APPLY:
				resolve(full_xid, true);
				applied++;
				break;
			case VERDICT_DROP:
				resolve(full_xid, false);
				dropped++;
				break;
			case VERDICT_UNKNOWN:
				/* once, not at every poll */
				if (full_xid <= unknown_logged)
					break;
				unknown_logged = full_xid;
				ereport(LOG,
						(errmsg("cannot decide whether pending transaction %llu of the kalam store committed",
								full_xid),
						 errdetail("It is older than the server's commit log. Its changes are kept aside.")));
				break;
		}
	}

	kalam_indoubt_sweep();
	if (serve)
		forget_bound();

	nbefore = 0;
	if (before != NULL)
		pfree(before);
	before = NULL;
	before = MemoryContextAlloc(TopMemoryContext, Max(count, 1) * sizeof(PendingEntry));
	memcpy(before, entries, count * sizeof(PendingEntry));
	nbefore = count;

	if (applied + dropped > 0)
		ereport(LOG,
				(errmsg("resolved pending transactions of the kalam store: %d committed, %d rolled back",
						applied, dropped)));
}
