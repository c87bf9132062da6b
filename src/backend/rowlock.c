/*
 * rowlock.c
 *	  Locking rows: waiting, escalation, and what a transaction gives back.
 *
 * The table of who holds what is rowlock_table.c, and only there LWLocks are
 * taken.  Waiting is the lock manager's: see wait_for.
 *
 * What a transaction holds is a stack in its own memory, in the order of
 * acquisition.  A mark in a second stack says where a subtransaction's part
 * begins; an abort pops that part, a commit drops or renames the mark.  So
 * both cost nothing per lock that stays.  Claims on whole objects are no part of
 * that stack: they stay to the end, whichever subtransaction made them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "src/backend/indoubt.h"
#include "src/backend/rowlock.h"
#include "src/backend/rowlock_table.h"
#include "src/shared/segment.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#define KALAM_ROW_LOCKS_PER_TABLE	10000	/* of one transaction */

/*
 * In the id under which values of unique indexes are locked, so that they neither
 * count with the rows nor, when there are many, keep the rows from others.  (No
 * store counts its objects so far.)
 */
#define VALUES_OF_OBJECT	UINT32_C(0x80000000)

/* Numbers of claims' locks begin here, where those of subtransactions do not come. */
#define CLAIM_LOCKS			UINT32_C(0x80000000)

/* Fourth field of our advisory locks; Postgres' own functions use 1 and 2. */
#define SUBXACT_LOCK_CLASS	0x4b4c

/*
 * Locks of committed subtransactions that we let live on in their parents.  A
 * resource owner that remembers more than 15 locks searches for them among all.
 */
#define MAX_INHERITED_LOCKS 8

/* One object that this transaction has locked rows of. */
typedef struct LocalObject
{
	uint32		object_id;		/* hash key */
	uint32		nrows;			/* row entries */
	int			mode;			/* KalamRowLockMode of our object entry, or -1 */
	uint32		entry;			/* our object entry, or KALAM_NO_ENTRY */
} LocalObject;

/* Where a subtransaction's part of the stack begins. */
typedef struct LocalMark
{
	SubTransactionId sub;
	uint32		start;
	SubTransactionId lock_sub;	/* whose lock we hold for it, or 0 */
} LocalMark;

/* All of this is empty between transactions. */
static MemoryContext local_context = NULL;
static HTAB *local_objects = NULL;
static LocalObject *last_object = NULL; /* the one used last */
static KalamRowLockStep *stack = NULL;
static uint32 stack_used = 0;
static uint32 stack_size = 0;
static LocalMark *marks = NULL;
static uint32 marks_used = 0;
static uint32 marks_size = 0;
static KalamRowLockStep *claims = NULL;	/* object entries that are below the stack */
static uint32 nclaims = 0;
static uint32 claims_size = 0;
static SubTransactionId *claim_locks = NULL;	/* of each, what others wait for; or 0 */
static uint32 claim_locks_size = 0;
static uint32 claims_made = 0;
static SubTransactionId inherited[MAX_INHERITED_LOCKS];
static int	ninherited = 0;
static LocalTransactionId my_lxid;

/* This transaction, with the subtransaction whose lock others may wait for. */
static inline KalamRowLockHolder
me(SubTransactionId sub)
{
	KalamRowLockHolder holder;

	holder.backend = MyBackendId;
	holder.lxid = my_lxid;
	holder.sub = sub;
	return holder;
}

/* ---- what this transaction holds ---- */

static LocalObject *
local_object(uint32 object_id)
{
	bool		found;

	if (last_object != NULL && last_object->object_id == object_id)
		return last_object;

	if (local_objects == NULL)
	{
		HASHCTL		ctl;

		if (local_context == NULL)
			local_context = AllocSetContextCreate(TopMemoryContext, "kalam row locks",
												  ALLOCSET_SMALL_SIZES);
		ctl.keysize = sizeof(uint32);
		ctl.entrysize = sizeof(LocalObject);
		ctl.hcxt = local_context;
		local_objects = hash_create("kalam row locks", 16, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		my_lxid = MyProc->lxid;
	}
	Assert(my_lxid == MyProc->lxid);

	last_object = hash_search(local_objects, &object_id, HASH_ENTER, &found);
	if (!found)
	{
		last_object->nrows = 0;
		last_object->mode = -1;
		last_object->entry = KALAM_NO_ENTRY;
	}
	return last_object;
}

/* The same for callbacks: never raises, NULL if there is none. */
static LocalObject *
find_local_object(uint32 object_id)
{
	if (last_object == NULL || last_object->object_id != object_id)
		last_object = hash_search(local_objects, &object_id, HASH_FIND, NULL);
	return last_object;
}

/* Makes an array longer; *size is in items. */
static void *
grow(void *array, uint32 *size, Size item)
{
	uint32		new_size = Max(64, 2 * *size);

	if (array == NULL)
		array = MemoryContextAlloc(local_context, new_size * item);
	else
		array = repalloc_huge(array, new_size * item);
	*size = new_size;
	return array;
}

/* Makes room for a push, so that the push itself cannot fail. */
static inline void
reserve_stack(void)
{
	if (stack_used == stack_size)
		stack = grow(stack, &stack_size, sizeof(KalamRowLockStep));
}

static inline void
push_step(const KalamRowLockStep *step)
{
	Assert(stack_used < stack_size);
	stack[stack_used++] = *step;
}

/* ---- subtransactions ---- */

static void
set_subxact_tag(LOCKTAG *tag, const KalamRowLockHolder *holder)
{
	SET_LOCKTAG_ADVISORY(*tag, (uint32) holder->backend, holder->lxid, holder->sub,
						 SUBXACT_LOCK_CLASS);
}

/*
 * Notes that the current subtransaction is about to lock its first row, and
 * takes the lock that others wait for: a ROLLBACK TO releases it, while our
 * virtual transaction id stays.  Without room in the lock table others wait
 * for the whole transaction.  Returns the subtransaction of that lock, or 0.
 */
static SubTransactionId
mark_subxact(void)
{
	SubTransactionId sub = GetCurrentSubTransactionId();
	LocalMark  *mark;
	ResourceOwner owner;
	KalamRowLockHolder self = me(sub);
	LOCKTAG		tag;

	if (marks_used > 0 && marks[marks_used - 1].sub == sub)
		return marks[marks_used - 1].lock_sub;
	if (sub == TopSubTransactionId)
		return InvalidSubTransactionId;

	if (marks_used == marks_size)
		marks = grow(marks, &marks_size, sizeof(LocalMark));

	set_subxact_tag(&tag, &self);
	owner = CurrentResourceOwner;
	CurrentResourceOwner = CurTransactionResourceOwner;
	if (LockAcquireExtended(&tag, ExclusiveLock, false, false, false, NULL) ==
		LOCKACQUIRE_NOT_AVAIL)
		self.sub = InvalidSubTransactionId;
	CurrentResourceOwner = owner;

	mark = &marks[marks_used++];
	mark->sub = sub;
	mark->start = stack_used;
	mark->lock_sub = self.sub;
	return self.sub;
}

static void
release_subxact_lock(SubTransactionId sub)
{
	ResourceOwner owner = CurrentResourceOwner;
	KalamRowLockHolder self = me(sub);
	LOCKTAG		tag;

	set_subxact_tag(&tag, &self);
	CurrentResourceOwner = CurTransactionResourceOwner;
	LockRelease(&tag, ExclusiveLock, false);
	CurrentResourceOwner = owner;
}

static void
release_claim_lock(uint32 i)
{
	KalamRowLockHolder self = me(claim_locks[i]);
	ResourceOwner owner = CurrentResourceOwner;
	LOCKTAG		tag;

	if (claim_locks[i] == InvalidSubTransactionId)
		return;
	claim_locks[i] = InvalidSubTransactionId;
	set_subxact_tag(&tag, &self);
	CurrentResourceOwner = TopTransactionResourceOwner;
	LockRelease(&tag, ExclusiveLock, false);
	CurrentResourceOwner = owner;
}

/* ---- undoing ---- */

/* Takes back a step, of those that are left the newest.  Never raises. */
static void
undo(const KalamRowLockStep *step)
{
	KalamRowLockHolder self = me(InvalidSubTransactionId);
	LocalObject *object = find_local_object(kalam_entry_undo(step, &self));

	if (object == NULL)
		return;
	if (step->whole_object)
	{
		object->mode = step->mode_before;
		if (step->mode_before < 0)
			object->entry = KALAM_NO_ENTRY;
	}
	else if (step->mode_before < 0)
		object->nrows--;
}

static void
undo_step(void)
{
	undo(&stack[--stack_used]);
}

uint32
kalam_row_locks_mark(void)
{
	return stack_used;
}

void
kalam_row_locks_undo(uint32 mark)
{
	while (stack_used > mark)
		undo_step();
}

void
kalam_row_locks_give_back(uint32 from, uint32 to)
{
	uint32		kept = from;

	Assert(from <= to && to <= stack_used);
	Assert(marks_used == 0 || marks[marks_used - 1].start <= from);
	/* (an INSERT's lock is the strongest, so no later step is about the same entry) */
	for (uint32 i = to; i > from; i--)
		if (!stack[i - 1].whole_object)
			undo(&stack[i - 1]);
	for (uint32 i = from; i < stack_used; i++)
		if (i >= to || stack[i].whole_object)
			stack[kept++] = stack[i];
	stack_used = kept;
}

bool
kalam_row_locks_held(void)
{
	return stack_used + nclaims > 0;
}

/* Nothing is held here any more. */
static void
forget_all(void)
{
	if (local_objects != NULL)
		MemoryContextReset(local_context);
	local_objects = NULL;
	last_object = NULL;
	stack = NULL;
	stack_used = 0;
	stack_size = 0;
	marks = NULL;
	marks_used = 0;
	marks_size = 0;
	claims = NULL;
	nclaims = 0;
	claims_size = 0;
	claim_locks = NULL;
	claim_locks_size = 0;
	claims_made = 0;
	ninherited = 0;
}

void
kalam_row_locks_release(void)
{
	while (stack_used > 0)
		undo_step();
	while (nclaims > 0)
		undo(&claims[--nclaims]);
	forget_all();
}

/* ---- transactions that live on without their backend ---- */

static void
pack(StringInfo to, const KalamRowLockStep *steps, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
	{
		KalamLockRecord record;

		if (steps[i].mode_before >= 0)
			continue;			/* the step before made the entry */
		kalam_entry_describe(&steps[i], &record);
		appendBinaryStringInfo(to, (char *) &record, sizeof(record));
	}
}

void
kalam_row_locks_pack(StringInfo to)
{
	pack(to, claims, nclaims);
	pack(to, stack, stack_used);

	/* all of the transaction is one now; a prepared one would keep these locks */
	for (uint32 i = 0; i < nclaims; i++)
		release_claim_lock(i);
	while (ninherited > 0)
		release_subxact_lock(inherited[--ninherited]);
}

static void
hand_over(const KalamRowLockStep *steps, uint32 n, TransactionId xid)
{
	for (uint32 i = 0; i < n; i++)
		if (steps[i].mode_before < 0)
			kalam_entry_hand_over(&steps[i], xid);
}

void
kalam_row_locks_hand_over(TransactionId xid)
{
	hand_over(claims, nclaims, xid);
	hand_over(stack, stack_used, xid);
	forget_all();
}

void
kalam_row_locks_restore(TransactionId xid, const uint8 *records, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
	{
		KalamLockRecord record;

		memcpy(&record, records + i * sizeof(record), sizeof(record));
		if (!kalam_entry_restore(&record, xid))
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("too many locks on rows of kalam tables are held by prepared transactions"),
					 errhint("Raise max_connections to what it was when they were prepared.")));
	}
}

void
kalam_row_locks_forget(TransactionId xid)
{
	kalam_entries_forget_xid(xid);
}

/* ---- ends of subtransactions ---- */

void
kalam_row_locks_subabort(SubTransactionId sub)
{
	/* its own part, and those of children that committed into nothing yet */
	while (marks_used > 0 && marks[marks_used - 1].sub >= sub)
	{
		uint32		start = marks[--marks_used].start;

		while (stack_used > start)
			undo_step();
	}
	/* the lock of the mark goes with the resource owner, after this */
}

void
kalam_row_locks_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	LocalMark  *mark;

	if (marks_used == 0 || marks[marks_used - 1].sub != sub)
		return;

	mark = &marks[marks_used - 1];
	if (parent != TopSubTransactionId &&
		(marks_used == 1 || marks[marks_used - 2].sub != parent))
	{
		/* the parent has locked nothing itself: part and lock become its own */
		mark->sub = parent;
		return;
	}

	/*
	 * The part joins the parent's.  Until the parent ends, its lock serves
	 * those who wait for our rows just as well; but many subtransactions must
	 * not fill the lock table, and of the top transaction there is nothing to
	 * wait for but its end.
	 */
	if (mark->lock_sub == InvalidSubTransactionId)
		 /* there is none */ ;
	else if (parent != TopSubTransactionId && ninherited < MAX_INHERITED_LOCKS)
		inherited[ninherited++] = mark->lock_sub;
	else
		release_subxact_lock(mark->lock_sub);
	marks_used--;
}

/* ---- waiting ---- */

/* Lock manager mode in which lockers of a strength queue for a row, as heap's. */
static const LOCKMODE queue_modes[] =
{
	AccessShareLock,
	RowShareLock,
	ExclusiveLock,
	AccessExclusiveLock
};

/* What one call of kalam_row_lock is about. */
typedef struct Request
{
	KalamRowLockKey key;
	KalamRowLockMode mode;
	LockWaitPolicy policy;
	Oid			relid;
	const char *relname;

	bool		waited;
	bool		queued;			/* we hold queue_tag */
	LOCKTAG		queue_tag;
	KalamRowLockHolder last;	/* whose subtransaction we have waited for */
} Request;

static inline VirtualTransactionId
vxid_of(const KalamRowLockHolder *holder)
{
	VirtualTransactionId vxid;

	vxid.backendId = holder->backend;
	vxid.localTransactionId = holder->lxid;
	return vxid;
}

/*
 * Deals with a holder in our way.  False if the caller is to give up (SKIP
 * LOCKED); else it looks again.  may_queue: we hold nothing of this row, so
 * that nobody who is queued before us can wait for us.
 */
static bool
wait_for(Request *req, const KalamRowLockHolder *holder, bool may_queue)
{
	CHECK_FOR_INTERRUPTS();

	if (req->policy != LockWaitBlock)
	{
		if (VirtualXactLock(vxid_of(holder), false))
		{
			kalam_indoubt_settle(NULL);
			kalam_entries_forget(&req->key, holder);
			return true;
		}
		if (req->policy == LockWaitSkip)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on row in relation \"%s\"", req->relname)));
	}

	/*
	 * Whoever holds the row's queue lock is the next to have the row; without
	 * it all waiters would wake at once and the last to come might be served
	 * first.  The row may be free when we get there.
	 */
	req->waited = true;
	if (!req->queued && may_queue)
	{
		SET_LOCKTAG_TUPLE(req->queue_tag, MyDatabaseId, req->relid,
						  (uint32) (req->key.hash[1] >> 32), (uint16) req->key.hash[1]);
		(void) LockAcquire(&req->queue_tag, queue_modes[req->mode], false, false);
		req->queued = true;
		return true;
	}

	/* Its lock may be gone because the subtransaction became part of another. */
	if (holder->sub != InvalidSubTransactionId &&
		!(kalam_same_holder(&req->last, holder) && req->last.sub == holder->sub))
	{
		LOCKTAG		tag;

		set_subxact_tag(&tag, holder);
		(void) LockAcquire(&tag, ShareLock, false, false);
		LockRelease(&tag, ShareLock, false);
		req->last = *holder;
		return true;
	}

	(void) VirtualXactLock(vxid_of(holder), true);
	kalam_indoubt_settle(NULL);
	kalam_entries_forget(&req->key, holder);
	return true;
}

/* ---- locking ---- */

static void pg_attribute_noreturn()
raise_too_many_objects(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("too many locks on rows of kalam tables"),
			 errdetail("The table of row locks is full, and too many tables are locked as a whole."),
			 errhint("Lock fewer rows in one transaction, or raise max_connections.")));
}

/*
 * Escalates: makes our hold on the object's rows one on all of them.  What we
 * hold row by row stays as it is, for a ROLLBACK TO may take us back there.
 * False: SKIP LOCKED, and somebody else has done so already.
 */
static bool
lock_object(Request *req, LocalObject *object)
{
	KalamRowLockHolder self = me(mark_subxact());

	for (;;)
	{
		KalamRowLockStep step;
		KalamRowLockHolder blocker;

		reserve_stack();
		switch (kalam_object_entry_acquire(req->key.object_id, req->mode, object->entry,
										   &self, &step, &blocker))
		{
			case KALAM_ENTRY_HELD:
				return true;

			case KALAM_ENTRY_CHANGED:
				push_step(&step);
				object->mode = req->mode;
				object->entry = step.entry;
				return true;

			case KALAM_ENTRY_CONFLICT:
				if (!wait_for(req, &blocker, false))
					return false;
				break;

			case KALAM_ENTRY_FULL:
				raise_too_many_objects();
		}
	}
}

/* Locks the row.  False: SKIP LOCKED, and somebody else holds it. */
static bool
lock_row(Request *req, LocalObject *object)
{
	KalamRowLockHolder self = me(mark_subxact());

	for (;;)
	{
		bool		covered = object->mode >= (int) req->mode;
		KalamRowLockStep step;
		KalamRowLockHolder blocker;

		if (!covered && object->nrows >= KALAM_ROW_LOCKS_PER_TABLE)
		{
			/* a row that we have already needs nothing */
			if (kalam_row_entry_is_held(&req->key, req->mode, &self))
				return true;
			if (!lock_object(req, object))
				return false;
			continue;
		}

		reserve_stack();
		switch (kalam_row_entry_acquire(&req->key, req->mode, covered, &self, &step, &blocker))
		{
			case KALAM_ENTRY_HELD:
				return true;

			case KALAM_ENTRY_CHANGED:
				push_step(&step);
				if (step.mode_before < 0)
					object->nrows++;
				return true;

			case KALAM_ENTRY_CONFLICT:
				if (!wait_for(req, &blocker, step.entry == KALAM_NO_ENTRY))
					return false;
				break;

			case KALAM_ENTRY_FULL:
				if (!lock_object(req, object))
					return false;
				break;
		}
	}
}

KalamRowLockResult
kalam_row_lock(uint32 object_id, const uint8 *key, size_t key_len,
			   KalamRowLockMode mode, LockWaitPolicy wait,
			   Oid relid, const char *relname)
{
	LocalObject *object;
	Request		req;

	if (key_len > KALAM_KEY_PREFIX_BYTES && key[KALAM_KEY_PREFIX_BYTES - 1] == KALAM_KEY_KIND_INDEX)
		object_id |= VALUES_OF_OBJECT;
	object = local_object(object_id);

	/* The whole object is ours, and nobody else has a row of it. */
	if (object->mode >= (int) mode && !kalam_object_has_other_rows(object_id))
		return KALAM_LOCK_GRANTED;

	memset(&req, 0, sizeof(req));
	req.key.hash[0] = kalam_hash(key, key_len, 0);
	req.key.hash[1] = kalam_hash(key, key_len, UINT64_C(0x9e3779b97f4a7c15));
	req.key.object_id = object_id;
	req.mode = mode;
	req.policy = wait;
	req.relid = relid;
	req.relname = relname;

	if (!lock_row(&req, object))
		return KALAM_LOCK_SKIPPED;
	if (req.queued)
		LockRelease(&req.queue_tag, queue_modes[mode], false);
	return req.waited ? KALAM_LOCK_GRANTED_AFTER_WAIT : KALAM_LOCK_GRANTED;
}

/* ---- whole objects ---- */

static inline uint32
locked_id(const KalamAllRows *all)
{
	return all->values ? all->object_id | VALUES_OF_OBJECT : all->object_id;
}

static void
set_request(Request *req, const KalamAllRows *all)
{
	const char *name = get_rel_name(all->relid);

	memset(req, 0, sizeof(*req));
	req->mode = KALAM_LOCK_UPDATE;
	req->policy = LockWaitBlock;
	req->relid = all->relid;
	req->relname = name != NULL ? name : "";
	req->key.object_id = locked_id(all);
}

static bool
is_claimed(const LocalObject *object)
{
	for (uint32 i = 0; i < nclaims; i++)
		if (claims[i].entry == object->entry)
			return true;
	return false;
}

/*
 * Steps of the stack that have escalated already lead back to the claim from now
 * on.
 */
static void
put_below(const KalamRowLockStep *claim, KalamRowLockMode mode)
{
	for (uint32 i = 0; i < stack_used; i++)
		if (stack[i].whole_object && stack[i].entry == claim->entry)
		{
			stack[i].mode_before = mode;
			stack[i].sub_before = InvalidSubTransactionId;
		}
}

/*
 * Takes the lock that others wait for who are kept off by the claim that comes: it
 * may be given back while the transaction goes on to wait for them.  Each claim has
 * another, under a number that no subtransaction gets.
 */
static SubTransactionId
take_claim_lock(void)
{
	KalamRowLockHolder self = me(CLAIM_LOCKS + claims_made++);
	ResourceOwner owner = CurrentResourceOwner;
	LockAcquireResult got;
	LOCKTAG		tag;

	set_subxact_tag(&tag, &self);
	CurrentResourceOwner = TopTransactionResourceOwner;
	got = LockAcquireExtended(&tag, ExclusiveLock, false, false, false, NULL);
	CurrentResourceOwner = owner;
	return got == LOCKACQUIRE_NOT_AVAIL ? InvalidSubTransactionId : self.sub;
}

bool
kalam_rows_claim(const KalamAllRows *all)
{
	LocalObject *object = local_object(locked_id(all));
	bool		first = object->entry == KALAM_NO_ENTRY;
	KalamRowLockHolder self;
	Request		req;

	if (!first && is_claimed(object))
		return false;
	set_request(&req, all);
	if (nclaims == claims_size)
		claims = grow(claims, &claims_size, sizeof(KalamRowLockStep));
	if (nclaims == claim_locks_size)
		claim_locks = grow(claim_locks, &claim_locks_size, sizeof(SubTransactionId));
	self = me(take_claim_lock());
	for (;;)
	{
		KalamRowLockStep step;
		KalamRowLockHolder blocker;

		switch (kalam_object_entry_acquire(req.key.object_id, req.mode, object->entry, &self,
										   &step, &blocker))
		{
			case KALAM_ENTRY_HELD:
			case KALAM_ENTRY_CHANGED:
				step.mode_before = -1;
				put_below(&step, req.mode);
				claim_locks[nclaims] = self.sub;
				claims[nclaims++] = step;
				object->mode = req.mode;
				object->entry = step.entry;
				return first;

			case KALAM_ENTRY_CONFLICT:
				(void) wait_for(&req, &blocker, false);
				break;

			case KALAM_ENTRY_FULL:
				raise_too_many_objects();
		}
	}
}

void
kalam_rows_unclaim(const KalamAllRows *all)
{
	const LocalObject *object = local_object(locked_id(all));

	for (uint32 i = 0; i < nclaims; i++)
		if (claims[i].entry == object->entry)
		{
			undo(&claims[i]);
			release_claim_lock(i);
			claims[i] = claims[--nclaims];
			claim_locks[i] = claim_locks[nclaims];
			return;
		}
}

/* It is filled under a lock, so it cannot grow: what found no room is counted. */
typedef struct Collection
{
	KalamOthersLock *locks;
	int			n;
	int			size;
} Collection;

static void
collect(void *arg, const uint64 *hash, const KalamRowLockHolder *holder)
{
	Collection *c = arg;

	if (c->n < c->size)
		memcpy(c->locks[c->n].hash, hash, sizeof(c->locks[c->n].hash));
	c->n++;
}

KalamOthersLock *
kalam_rows_of_others(const KalamAllRows *all, int *n)
{
	uint32		id = locked_id(all);
	Collection	c = {.size = 64};
	KalamRowLockHolder self;

	(void) local_object(id);
	self = me(InvalidSubTransactionId);
	for (;;)
	{
		c.locks = MemoryContextAllocHuge(CurrentMemoryContext, c.size * sizeof(KalamOthersLock));
		c.n = 0;
		if (kalam_object_has_other_rows(id))
			kalam_row_entries_of_others(id, &self, collect, &c);
		if (c.n <= c.size)
			break;
		pfree(c.locks);
		c.size = c.n + c.n / 8;
	}
	*n = c.n;
	return c.locks;
}

void
kalam_rows_wait_for(const KalamAllRows *all, const KalamOthersLock *lock)
{
	KalamRowLockHolder self = me(InvalidSubTransactionId);
	KalamRowLockHolder holder;
	Request		req;

	set_request(&req, all);
	memcpy(req.key.hash, lock->hash, sizeof(req.key.hash));
	while (kalam_row_entry_other(&req.key, &self, &holder))
		(void) wait_for(&req, &holder, false);
}
