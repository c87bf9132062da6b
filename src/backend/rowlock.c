/*
 * rowlock.c
 *	  Who holds which row: a bounded table in Postgres' shared memory.
 *
 * A node says that one transaction holds one key of one object in one mode;
 * several holders of a key are several nodes of one bucket.  A bucket and its
 * nodes are read and written under the LWLock of its partition, which is never
 * held while something can raise.  A mass node says that one transaction holds
 * a whole object; these lie in a small table of their own under mass_lock.
 * Lock order: partition, then mass_lock or the spinlock of the free list.
 *
 * Waiting is the lock manager's: see wait_for.  An entry outlives its
 * transaction only by accident; whoever has waited for its owner removes it.
 *
 * Going from rows to the whole object.  The owner publishes its mass node, and
 * then passes once through every partition lock.  A locker of a row looks for
 * mass nodes while it holds its partition lock: if it came before the owner
 * passed there, its node is in the table and the owner, who keeps looking at
 * others' nodes, will find it; if it came after, it sees the mass node.  Later
 * nodes of others can therefore never conflict with what the mass node covers,
 * and when the count of others' nodes is zero there is nothing to look at.
 *
 * What a transaction holds is a stack in its own memory, in the order of
 * acquisition.  A mark in a second stack says where a subtransaction's part
 * begins; an abort pops that part, a commit drops or renames the mark.  So
 * both cost nothing per lock that stays.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "src/backend/rowlock.h"
#include "src/shared/segment.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#define KALAM_ROW_LOCKS_PER_TABLE	10000	/* of one transaction */

#define TRANCHE_NAME		"kalam_row_lock"
#define PARTITIONS			128 /* a power of two */
#define COUNTERS			1024	/* a power of two */
#define MASS_BUCKETS		256 /* a power of two */
#define MASS_PER_BACKEND	16
#define FREE_KEPT			64	/* free nodes that a partition may keep */
#define FREE_MOVED			32	/* nodes moved to and from the common list */

/* Fourth field of our advisory locks; Postgres' own functions use 1 and 2. */
#define SUBXACT_LOCK_CLASS	0x4b4c

/*
 * Locks of committed subtransactions that we let live on in their parents.  A
 * resource owner that remembers more than 15 locks searches for them among all.
 */
#define MAX_INHERITED_LOCKS 8

#define NONE				PG_UINT32_MAX

typedef struct RowKey
{
	uint64		hash[2];
	uint32		object_id;
} RowKey;

/* Whose a node is. */
typedef struct Holder
{
	BackendId	backend;
	LocalTransactionId lxid;

	/* subtransaction whose lock is held as long as the node's mode, or 0 */
	SubTransactionId sub;
} Holder;

/* Protected by the lock of its partition. */
typedef struct RowNode
{
	uint64		hash[2];
	uint32		object_id;
	uint32		next;			/* in the bucket or a free list */
	Holder		holder;
	uint32		mode;			/* KalamRowLockMode */
} RowNode;

/* Protected by mass_lock. */
typedef struct MassNode
{
	uint32		object_id;
	uint32		next;
	Holder		holder;
	uint32		mode;
} MassNode;

/* Both protected by the lock of the partition. */
typedef struct Partition
{
	uint32		free;			/* list of nodes */
	uint32		nfree;
} Partition;

typedef struct RowLockShared
{
	uint32		nbuckets;		/* a power of two; constant, as all offsets */
	uint32		nnodes;
	uint32		nmass;

	slock_t		free_mutex;		/* protects the next field only */
	uint32		free;			/* nodes that no partition keeps */

	Partition	partitions[PARTITIONS];

	/* protected by mass_lock */
	uint32		mass_free;
	uint32		mass_buckets[MASS_BUCKETS];

	/*
	 * Numbers of row nodes and of mass nodes by object id.  Raised and lowered
	 * under the lock of the node, read with or without.
	 */
	pg_atomic_uint32 row_counts[COUNTERS];
	pg_atomic_uint32 mass_counts[COUNTERS];
} RowLockShared;

/* One object that this transaction has locked rows of. */
typedef struct LocalObject
{
	uint32		object_id;		/* hash key */
	uint32		nrows;			/* row nodes */
	int			mass_mode;		/* KalamRowLockMode of our mass node, or -1 */
	uint32		mass_node;
} LocalObject;

/* One step of locking, undone from the top of the stack. */
typedef struct LocalLock
{
	uint32		node;			/* RowNode, or MassNode if mass */
	bool		mass;
	int8		mode_before;	/* -1: there was no node */
	SubTransactionId sub_before;	/* holder.sub of the node before */
} LocalLock;

/* Where a subtransaction's part of the stack begins. */
typedef struct LocalMark
{
	SubTransactionId sub;
	uint32		start;
	SubTransactionId lock_sub;	/* whose lock we hold for it, or 0 */
} LocalMark;

static RowLockShared *shared = NULL;
static uint32 *buckets;
static RowNode *nodes;
static MassNode *mass_nodes;
static LWLockPadded *partition_locks;
static LWLock *mass_lock;

/* All of this is empty between transactions. */
static MemoryContext local_context = NULL;
static HTAB *local_objects = NULL;
static LocalObject *last_object = NULL; /* the one used last */
static LocalLock *stack = NULL;
static uint32 stack_used = 0;
static uint32 stack_size = 0;
static LocalMark *marks = NULL;
static uint32 marks_used = 0;
static uint32 marks_size = 0;
static int	inherited_locks = 0;
static LocalTransactionId my_lxid;
static uint32 my_row_counts[COUNTERS];	/* our share of the shared counts */

/* ---- shared memory ---- */

static uint32
node_count(void)
{
	return 128 * (uint32) MaxBackends + 65536;
}

static uint32
bucket_count(void)
{
	return pg_nextpower2_32(node_count());
}

static uint32
mass_count(void)
{
	return MASS_PER_BACKEND * (uint32) MaxBackends;
}

Size
kalam_row_lock_shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(RowLockShared));

	size = add_size(size, mul_size(node_count(), sizeof(RowNode)));
	size = add_size(size, MAXALIGN(mul_size(mass_count(), sizeof(MassNode))));
	size = add_size(size, MAXALIGN(mul_size(bucket_count(), sizeof(uint32))));
	return size;
}

void
kalam_row_lock_shmem_request(void)
{
	RequestNamedLWLockTranche(TRANCHE_NAME, PARTITIONS + 1);
}

void
kalam_row_lock_shmem_init(void)
{
	bool		found;
	char	   *at;

	at = ShmemInitStruct("kalam row locks", kalam_row_lock_shmem_size(), &found);
	shared = (RowLockShared *) at;
	at += MAXALIGN(sizeof(RowLockShared));
	nodes = (RowNode *) at;
	at += mul_size(node_count(), sizeof(RowNode));
	mass_nodes = (MassNode *) at;
	at += MAXALIGN(mul_size(mass_count(), sizeof(MassNode)));
	buckets = (uint32 *) at;

	partition_locks = GetNamedLWLockTranche(TRANCHE_NAME);
	mass_lock = &partition_locks[PARTITIONS].lock;

	if (found)
		return;

	memset(shared, 0, sizeof(RowLockShared));
	shared->nbuckets = bucket_count();
	shared->nnodes = node_count();
	shared->nmass = mass_count();
	SpinLockInit(&shared->free_mutex);

	memset(buckets, 0xff, sizeof(uint32) * shared->nbuckets);
	memset(shared->mass_buckets, 0xff, sizeof(shared->mass_buckets));
	for (int i = 0; i < PARTITIONS; i++)
		shared->partitions[i].free = NONE;
	for (int i = 0; i < COUNTERS; i++)
	{
		pg_atomic_init_u32(&shared->row_counts[i], 0);
		pg_atomic_init_u32(&shared->mass_counts[i], 0);
	}

	for (uint32 i = 0; i < shared->nnodes; i++)
		nodes[i].next = i + 1 < shared->nnodes ? i + 1 : NONE;
	shared->free = 0;
	for (uint32 i = 0; i < shared->nmass; i++)
		mass_nodes[i].next = i + 1 < shared->nmass ? i + 1 : NONE;
	shared->mass_free = 0;
}

/* ---- modes ---- */

/* Heap's matrix: the modes are ordered, and these sums conflict. */
static inline bool
modes_conflict(uint32 a, uint32 b)
{
	return a + b >= KALAM_LOCK_UPDATE;
}

StaticAssertDecl(KALAM_LOCK_KEY_SHARE == 0 && KALAM_LOCK_SHARE == 1 &&
				 KALAM_LOCK_NO_KEY_UPDATE == 2 && KALAM_LOCK_UPDATE == 3,
				 "modes_conflict relies on the numbers of the modes");

/* Lock manager mode in which lockers of a strength queue for a row, as heap's. */
static const LOCKMODE queue_modes[] =
{
	AccessShareLock,
	RowShareLock,
	ExclusiveLock,
	AccessExclusiveLock
};

/* ---- nodes; the caller holds the partition's lock ---- */

static inline bool
is_mine(const Holder *holder)
{
	return holder->backend == MyBackendId && holder->lxid == my_lxid;
}

static inline uint32
bucket_of(const uint64 *hash)
{
	return (uint32) hash[0] & (shared->nbuckets - 1);
}

static inline int
partition_of(const uint64 *hash)
{
	return (uint32) hash[0] & (PARTITIONS - 1);
}

static inline LWLock *
partition_lock(const uint64 *hash)
{
	return &partition_locks[partition_of(hash)].lock;
}

static inline int
counter_of(uint32 object_id)
{
	return object_id & (COUNTERS - 1);
}

/* A free node, or NONE when the table is full. */
static uint32
take_node(Partition *partition)
{
	uint32		n;

	if (partition->free == NONE)
	{
		SpinLockAcquire(&shared->free_mutex);
		for (int i = 0; i < FREE_MOVED && shared->free != NONE; i++)
		{
			n = shared->free;
			shared->free = nodes[n].next;
			nodes[n].next = partition->free;
			partition->free = n;
			partition->nfree++;
		}
		SpinLockRelease(&shared->free_mutex);
	}

	n = partition->free;
	if (n != NONE)
	{
		partition->free = nodes[n].next;
		partition->nfree--;
	}
	return n;
}

static void
give_node(Partition *partition, uint32 n)
{
	nodes[n].next = partition->free;
	partition->free = n;
	partition->nfree++;

	if (partition->nfree > FREE_KEPT)
	{
		SpinLockAcquire(&shared->free_mutex);
		for (int i = 0; i < FREE_MOVED; i++)
		{
			n = partition->free;
			partition->free = nodes[n].next;
			nodes[n].next = shared->free;
			shared->free = n;
		}
		partition->nfree -= FREE_MOVED;
		SpinLockRelease(&shared->free_mutex);
	}
}

/* Unlinks and frees what *link names. */
static void
remove_node(uint32 *link)
{
	uint32		n = *link;
	RowNode    *node = &nodes[n];

	*link = node->next;
	pg_atomic_fetch_sub_u32(&shared->row_counts[counter_of(node->object_id)], 1);
	give_node(&shared->partitions[partition_of(node->hash)], n);
}

static inline bool
node_is_of(const RowNode *node, const RowKey *key)
{
	return node->hash[0] == key->hash[0] && node->hash[1] == key->hash[1] &&
		node->object_id == key->object_id;
}

/*
 * Looks for a transaction that holds the key against `mode`.  *mine is our own
 * node, or NONE.
 */
static bool
find_row_conflict(const RowKey *key, KalamRowLockMode mode, Holder *holder, uint32 *mine)
{
	bool		conflict = false;

	*mine = NONE;
	for (uint32 n = buckets[bucket_of(key->hash)]; n != NONE; n = nodes[n].next)
	{
		RowNode    *node = &nodes[n];

		if (!node_is_of(node, key))
			continue;
		if (is_mine(&node->holder))
			*mine = n;
		else if (modes_conflict(node->mode, mode))
		{
			*holder = node->holder;
			conflict = true;
		}
	}
	return conflict;
}

/* ---- mass nodes ---- */

/* Caller holds mass_lock. */
static bool
find_mass_conflict(uint32 object_id, KalamRowLockMode mode, Holder *holder)
{
	for (uint32 n = shared->mass_buckets[object_id & (MASS_BUCKETS - 1)];
		 n != NONE; n = mass_nodes[n].next)
	{
		MassNode   *node = &mass_nodes[n];

		if (node->object_id == object_id && !is_mine(&node->holder) &&
			modes_conflict(node->mode, mode))
		{
			*holder = node->holder;
			return true;
		}
	}
	return false;
}

/* The same for a locker of a row.  Caller holds the partition's lock. */
static bool
mass_conflict(uint32 object_id, KalamRowLockMode mode, Holder *holder)
{
	bool		conflict;

	if (pg_atomic_read_u32(&shared->mass_counts[counter_of(object_id)]) == 0)
		return false;

	LWLockAcquire(mass_lock, LW_SHARED);
	conflict = find_mass_conflict(object_id, mode, holder);
	LWLockRelease(mass_lock);
	return conflict;
}

/* Caller holds mass_lock. */
static void
remove_mass_node(uint32 *link)
{
	uint32		n = *link;

	*link = mass_nodes[n].next;
	pg_atomic_fetch_sub_u32(&shared->mass_counts[counter_of(mass_nodes[n].object_id)], 1);
	mass_nodes[n].next = shared->mass_free;
	shared->mass_free = n;
}

/* ---- entries of transactions that are gone ---- */

static inline bool
same_holder(const Holder *a, const Holder *b)
{
	return a->backend == b->backend && a->lxid == b->lxid;
}

/* Removes what a transaction that has ended left at the key and the object. */
static void
forget_holder(const RowKey *key, const Holder *holder)
{
	uint32	   *link;
	LWLock	   *lock = partition_lock(key->hash);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	link = &buckets[bucket_of(key->hash)];
	while (*link != NONE)
	{
		RowNode    *node = &nodes[*link];

		if (node_is_of(node, key) && same_holder(&node->holder, holder))
			remove_node(link);
		else
			link = &node->next;
	}
	LWLockRelease(lock);

	LWLockAcquire(mass_lock, LW_EXCLUSIVE);
	link = &shared->mass_buckets[key->object_id & (MASS_BUCKETS - 1)];
	while (*link != NONE)
	{
		MassNode   *node = &mass_nodes[*link];

		if (node->object_id == key->object_id && same_holder(&node->holder, holder))
			remove_mass_node(link);
		else
			link = &node->next;
	}
	LWLockRelease(mass_lock);
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
		last_object->mass_mode = -1;
		last_object->mass_node = NONE;
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
		stack = grow(stack, &stack_size, sizeof(LocalLock));
}

static inline void
push_lock(uint32 node, bool mass, int mode_before, SubTransactionId sub_before)
{
	LocalLock  *lock = &stack[stack_used++];

	Assert(stack_used <= stack_size);
	lock->node = node;
	lock->mass = mass;
	lock->mode_before = mode_before;
	lock->sub_before = sub_before;
}

/* ---- subtransactions ---- */

static void
set_subxact_tag(LOCKTAG *tag, const Holder *holder)
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
	Holder		me;
	LOCKTAG		tag;

	if (marks_used > 0 && marks[marks_used - 1].sub == sub)
		return marks[marks_used - 1].lock_sub;
	if (sub == TopSubTransactionId)
		return InvalidSubTransactionId;

	if (marks_used == marks_size)
		marks = grow(marks, &marks_size, sizeof(LocalMark));

	me.backend = MyBackendId;
	me.lxid = my_lxid;
	me.sub = sub;
	set_subxact_tag(&tag, &me);
	owner = CurrentResourceOwner;
	CurrentResourceOwner = CurTransactionResourceOwner;
	if (LockAcquireExtended(&tag, ExclusiveLock, false, false, false, NULL) ==
		LOCKACQUIRE_NOT_AVAIL)
		me.sub = InvalidSubTransactionId;
	CurrentResourceOwner = owner;

	mark = &marks[marks_used++];
	mark->sub = sub;
	mark->start = stack_used;
	mark->lock_sub = me.sub;
	return me.sub;
}

/* ---- undoing ---- */

/* Takes back one step.  Never raises. */
static void
undo(const LocalLock *step)
{
	if (step->mass)
	{
		MassNode   *node = &mass_nodes[step->node];
		uint32		object_id = node->object_id;
		LocalObject *object = find_local_object(object_id);

		LWLockAcquire(mass_lock, LW_EXCLUSIVE);
		if (step->mode_before >= 0)
		{
			node->mode = step->mode_before;
			node->holder.sub = step->sub_before;
		}
		else
		{
			uint32	   *link = &shared->mass_buckets[object_id & (MASS_BUCKETS - 1)];

			while (*link != NONE && *link != step->node)
				link = &mass_nodes[*link].next;
			if (*link != NONE && is_mine(&node->holder))
				remove_mass_node(link);
		}
		LWLockRelease(mass_lock);

		if (object != NULL)
		{
			object->mass_mode = step->mode_before;
			if (step->mode_before < 0)
				object->mass_node = NONE;
		}
	}
	else
	{
		RowNode    *node = &nodes[step->node];
		uint32		object_id = node->object_id;
		LWLock	   *lock = partition_lock(node->hash);

		LWLockAcquire(lock, LW_EXCLUSIVE);
		if (step->mode_before >= 0)
		{
			node->mode = step->mode_before;
			node->holder.sub = step->sub_before;
		}
		else
		{
			uint32	   *link = &buckets[bucket_of(node->hash)];

			while (*link != NONE && *link != step->node)
				link = &nodes[*link].next;
			if (*link != NONE && is_mine(&node->holder))
				remove_node(link);
		}
		LWLockRelease(lock);

		if (step->mode_before < 0)
		{
			LocalObject *object = find_local_object(object_id);

			if (object != NULL)
				object->nrows--;
			my_row_counts[counter_of(object_id)]--;
		}
	}
}

void
kalam_row_locks_release(void)
{
	while (stack_used > 0)
		undo(&stack[--stack_used]);

	if (local_objects != NULL)
		MemoryContextReset(local_context);
	local_objects = NULL;
	last_object = NULL;
	stack = NULL;
	stack_size = 0;
	marks = NULL;
	marks_used = 0;
	marks_size = 0;
	inherited_locks = 0;
}

void
kalam_row_locks_subabort(SubTransactionId sub)
{
	/* its own part, and those of children that committed into nothing yet */
	while (marks_used > 0 && marks[marks_used - 1].sub >= sub)
	{
		uint32		start = marks[--marks_used].start;

		while (stack_used > start)
			undo(&stack[--stack_used]);
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
	else if (parent != TopSubTransactionId && inherited_locks < MAX_INHERITED_LOCKS)
		inherited_locks++;
	else
	{
		ResourceOwner owner = CurrentResourceOwner;
		Holder		me;
		LOCKTAG		tag;

		me.backend = MyBackendId;
		me.lxid = my_lxid;
		me.sub = mark->lock_sub;
		set_subxact_tag(&tag, &me);
		CurrentResourceOwner = CurTransactionResourceOwner;
		LockRelease(&tag, ExclusiveLock, false);
		CurrentResourceOwner = owner;
	}
	marks_used--;
}

/* ---- waiting ---- */

/* What one call of kalam_row_lock is about. */
typedef struct Request
{
	RowKey		key;
	KalamRowLockMode mode;
	LockWaitPolicy policy;
	Oid			relid;
	const char *relname;

	bool		waited;
	bool		queued;			/* we hold queue_tag */
	LOCKTAG		queue_tag;
	Holder		last;			/* whose subtransaction we have waited for */
} Request;

static inline VirtualTransactionId
vxid_of(const Holder *holder)
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
wait_for(Request *req, const Holder *holder, bool may_queue)
{
	CHECK_FOR_INTERRUPTS();

	if (req->policy != LockWaitBlock)
	{
		if (VirtualXactLock(vxid_of(holder), false))
		{
			forget_holder(&req->key, holder);
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
		!(same_holder(&req->last, holder) && req->last.sub == holder->sub))
	{
		LOCKTAG		tag;

		set_subxact_tag(&tag, holder);
		(void) LockAcquire(&tag, ShareLock, false, false);
		LockRelease(&tag, ShareLock, false);
		req->last = *holder;
		return true;
	}

	(void) VirtualXactLock(vxid_of(holder), true);
	forget_holder(&req->key, holder);
	return true;
}

/* ---- locking ---- */

/*
 * Makes our hold on the object's rows one on all of them.  What we hold row by
 * row stays as it is, for a ROLLBACK TO may take us back there.  False: SKIP
 * LOCKED, and somebody else has done so already.
 */
static bool
lock_object(Request *req, LocalObject *object)
{
	SubTransactionId sub = mark_subxact();
	uint32		n = NONE;
	bool		full = false;

	for (;;)
	{
		Holder		holder;

		reserve_stack();
		LWLockAcquire(mass_lock, LW_EXCLUSIVE);
		if (!find_mass_conflict(req->key.object_id, req->mode, &holder))
			break;
		LWLockRelease(mass_lock);
		if (!wait_for(req, &holder, false))
			return false;
	}

	if (object->mass_mode >= 0)
	{
		n = object->mass_node;
		push_lock(n, true, object->mass_mode, mass_nodes[n].holder.sub);
		mass_nodes[n].mode = req->mode;
		mass_nodes[n].holder.sub = sub;
	}
	else if ((n = shared->mass_free) != NONE)
	{
		uint32	   *head = &shared->mass_buckets[req->key.object_id & (MASS_BUCKETS - 1)];
		MassNode   *node = &mass_nodes[n];

		shared->mass_free = node->next;
		node->object_id = req->key.object_id;
		node->holder.backend = MyBackendId;
		node->holder.lxid = my_lxid;
		node->holder.sub = sub;
		node->mode = req->mode;
		node->next = *head;
		*head = n;
		pg_atomic_fetch_add_u32(&shared->mass_counts[counter_of(node->object_id)], 1);
		push_lock(n, true, -1, InvalidSubTransactionId);
	}
	else
		full = true;

	if (!full)
	{
		object->mass_mode = req->mode;
		object->mass_node = n;
	}
	LWLockRelease(mass_lock);

	if (full)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("too many locks on rows of kalam tables"),
				 errdetail("The table of row locks is full, and too many tables are locked as a whole."),
				 errhint("Lock fewer rows in one transaction, or raise max_connections.")));

	/* From here on all others see the node; those before are in the table. */
	for (int i = 0; i < PARTITIONS; i++)
	{
		LWLockAcquire(&partition_locks[i].lock, LW_SHARED);
		LWLockRelease(&partition_locks[i].lock);
	}
	return true;
}

KalamRowLockResult
kalam_row_lock(uint32 object_id, const uint8 *key, size_t key_len,
			   KalamRowLockMode mode, LockWaitPolicy wait,
			   Oid relid, const char *relname)
{
	LocalObject *object = local_object(object_id);
	int			counter = counter_of(object_id);
	SubTransactionId sub;
	Request		req;
	LWLock	   *lock;

	/* The whole object is ours, and nobody else has a row of it. */
	if (object->mass_mode >= (int) mode &&
		pg_atomic_read_u32(&shared->row_counts[counter]) == my_row_counts[counter])
		return KALAM_LOCK_GRANTED;

	memset(&req, 0, sizeof(req));
	req.key.hash[0] = kalam_hash(key, key_len, 0);
	req.key.hash[1] = kalam_hash(key, key_len, UINT64_C(0x9e3779b97f4a7c15));
	req.key.object_id = object_id;
	req.mode = mode;
	req.policy = wait;
	req.relid = relid;
	req.relname = relname;
	lock = partition_lock(req.key.hash);

	sub = mark_subxact();

	for (;;)
	{
		bool		covered = object->mass_mode >= (int) mode;
		bool		full = false;
		bool		done = false;
		bool		conflict;
		uint32		mine;
		Holder		holder;

		if (!covered && object->nrows >= KALAM_ROW_LOCKS_PER_TABLE)
		{
			/* a row that we have already needs nothing */
			LWLockAcquire(lock, LW_SHARED);
			(void) find_row_conflict(&req.key, mode, &holder, &mine);
			done = mine != NONE && nodes[mine].mode >= mode;
			LWLockRelease(lock);
			if (done)
				break;

			if (!lock_object(&req, object))
				return KALAM_LOCK_SKIPPED;
			continue;
		}

		reserve_stack();
		LWLockAcquire(lock, LW_EXCLUSIVE);
		conflict = find_row_conflict(&req.key, mode, &holder, &mine);
		if (mine != NONE && nodes[mine].mode >= mode)
			done = true;
		else if (!conflict && covered)
			done = true;
		else if (!conflict && !mass_conflict(object_id, mode, &holder))
		{
			if (mine != NONE)
			{
				push_lock(mine, false, nodes[mine].mode, nodes[mine].holder.sub);
				nodes[mine].mode = mode;
				nodes[mine].holder.sub = sub;
				done = true;
			}
			else if ((mine = take_node(&shared->partitions[partition_of(req.key.hash)])) != NONE)
			{
				RowNode    *node = &nodes[mine];
				uint32	   *head = &buckets[bucket_of(req.key.hash)];

				node->hash[0] = req.key.hash[0];
				node->hash[1] = req.key.hash[1];
				node->object_id = object_id;
				node->holder.backend = MyBackendId;
				node->holder.lxid = my_lxid;
				node->holder.sub = sub;
				node->mode = mode;
				node->next = *head;
				*head = mine;
				pg_atomic_fetch_add_u32(&shared->row_counts[counter], 1);
				my_row_counts[counter]++;
				object->nrows++;
				push_lock(mine, false, -1, InvalidSubTransactionId);
				done = true;
			}
			else
				full = true;
		}
		LWLockRelease(lock);

		if (done)
			break;

		if (full)
		{
			if (!lock_object(&req, object))
				return KALAM_LOCK_SKIPPED;
		}
		else if (!wait_for(&req, &holder, mine == NONE))
			return KALAM_LOCK_SKIPPED;
	}

	if (req.queued)
		LockRelease(&req.queue_tag, queue_modes[mode], false);
	return req.waited ? KALAM_LOCK_GRANTED_AFTER_WAIT : KALAM_LOCK_GRANTED;
}
