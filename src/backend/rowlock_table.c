/*
 * rowlock_table.c
 *	  The table of row locks: layout, entries, free entries.
 *
 * Hashed by key into buckets; a partition is a set of buckets and has an
 * LWLock.  Entries are numbers into arrays, so that the table needs no pointers
 * and no allocation once it exists.  Partitions keep some free entries of their
 * own, so that locking rows does not contend for one list.  The locking
 * protocol stands in rowlock_table.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "src/backend/rowlock_table.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define TRANCHE_NAME		"kalam_row_lock"
#define PARTITIONS			128 /* a power of two */
#define COUNTERS			1024	/* a power of two */
#define OBJECT_BUCKETS		4096	/* a power of two */
#define OBJECTS_PER_BACKEND 16
#define MORE_OBJECTS		16384	/* partitions that one load may fill */
#define FREE_KEPT			64	/* free entries that a partition may keep */
#define FREE_MOVED			32	/* entries moved to and from the common list */

/* All fields are protected by the lock of the partition. */
typedef struct RowEntry
{
	uint64		hash[2];
	uint32		object_id;
	uint32		next;			/* in the bucket or a free list */
	KalamRowLockHolder holder;
	uint32		mode;			/* KalamRowLockMode */
} RowEntry;

/* All fields are protected by object_lock. */
typedef struct ObjectEntry
{
	uint32		object_id;
	uint32		next;			/* in the bucket or the free list */
	KalamRowLockHolder holder;
	uint32		mode;			/* KalamRowLockMode */
} ObjectEntry;

/* Both fields are protected by the lock of the partition. */
typedef struct Partition
{
	uint32		free;			/* list of entries */
	uint32		nfree;
} Partition;

typedef struct RowLockTable
{
	/* constant after init, as are the offsets of the arrays behind */
	uint32		nbuckets;		/* a power of two */
	uint32		nrows;			/* row entries, free ones included */
	uint32		nobjects;		/* object entries, free ones included */

	slock_t		free_mutex;		/* protects the following field only */
	uint32		free;			/* row entries that no partition keeps */

	Partition	partitions[PARTITIONS];

	/* protected by object_lock */
	uint32		object_free;
	uint32		object_buckets[OBJECT_BUCKETS];

	/*
	 * Numbers of row entries and of object entries by object id.  Raised and
	 * lowered under the lock of the entry, read with or without.
	 */
	pg_atomic_uint32 row_counts[COUNTERS];
	pg_atomic_uint32 object_counts[COUNTERS];
} RowLockTable;

static RowLockTable *table = NULL;
static uint32 *row_buckets;		/* each protected by the lock of its partition */
static RowEntry *rows;
static ObjectEntry *objects;
static LWLockPadded *partition_locks;
static LWLock *object_lock;

/* This process's share of row_counts; 0 between transactions. */
static uint32 own_row_counts[COUNTERS];

/* ---- layout ---- */

static uint32
row_capacity(void)
{
	return 128 * (uint32) MaxBackends + 65536;
}

static uint32
bucket_capacity(void)
{
	return pg_nextpower2_32(row_capacity());
}

static uint32
object_capacity(void)
{
	return OBJECTS_PER_BACKEND * (uint32) MaxBackends + MORE_OBJECTS;
}

Size
kalam_row_lock_shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(RowLockTable));

	size = add_size(size, mul_size(row_capacity(), sizeof(RowEntry)));
	size = add_size(size, MAXALIGN(mul_size(object_capacity(), sizeof(ObjectEntry))));
	size = add_size(size, MAXALIGN(mul_size(bucket_capacity(), sizeof(uint32))));
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
	table = (RowLockTable *) at;
	at += MAXALIGN(sizeof(RowLockTable));
	rows = (RowEntry *) at;
	at += mul_size(row_capacity(), sizeof(RowEntry));
	objects = (ObjectEntry *) at;
	at += MAXALIGN(mul_size(object_capacity(), sizeof(ObjectEntry)));
	row_buckets = (uint32 *) at;

	partition_locks = GetNamedLWLockTranche(TRANCHE_NAME);
	object_lock = &partition_locks[PARTITIONS].lock;

	if (found)
		return;

	memset(table, 0, sizeof(RowLockTable));
	table->nbuckets = bucket_capacity();
	table->nrows = row_capacity();
	table->nobjects = object_capacity();
	SpinLockInit(&table->free_mutex);

	memset(row_buckets, 0xff, sizeof(uint32) * table->nbuckets);
	memset(table->object_buckets, 0xff, sizeof(table->object_buckets));
	for (int i = 0; i < PARTITIONS; i++)
		table->partitions[i].free = KALAM_NO_ENTRY;
	for (int i = 0; i < COUNTERS; i++)
	{
		pg_atomic_init_u32(&table->row_counts[i], 0);
		pg_atomic_init_u32(&table->object_counts[i], 0);
	}

	for (uint32 i = 0; i < table->nrows; i++)
		rows[i].next = i + 1 < table->nrows ? i + 1 : KALAM_NO_ENTRY;
	table->free = 0;
	for (uint32 i = 0; i < table->nobjects; i++)
		objects[i].next = i + 1 < table->nobjects ? i + 1 : KALAM_NO_ENTRY;
	table->object_free = 0;
}

StaticAssertDecl(KALAM_NO_ENTRY == 0xffffffff, "init fills buckets with bytes of 0xff");

static inline uint32 *
row_bucket(const uint64 *hash)
{
	return &row_buckets[(uint32) hash[0] & (table->nbuckets - 1)];
}

/* The low bits of a bucket's number. */
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

static inline uint32 *
object_bucket(uint32 object_id)
{
	return &table->object_buckets[object_id & (OBJECT_BUCKETS - 1)];
}

static inline int
counter_of(uint32 object_id)
{
	return object_id & (COUNTERS - 1);
}

/* Heap's matrix: the modes are ordered, and these sums conflict. */
static inline bool
modes_conflict(uint32 a, uint32 b)
{
	return a + b >= KALAM_LOCK_UPDATE;
}

StaticAssertDecl(KALAM_LOCK_KEY_SHARE == 0 && KALAM_LOCK_SHARE == 1 &&
				 KALAM_LOCK_NO_KEY_UPDATE == 2 && KALAM_LOCK_UPDATE == 3,
				 "modes_conflict relies on the numbers of the modes");

/* ---- row entries; the caller holds the partition's lock ---- */

/* A free entry, or KALAM_NO_ENTRY when the table is full. */
static uint32
take_free(Partition *partition)
{
	uint32		n;

	if (partition->free == KALAM_NO_ENTRY)
	{
		SpinLockAcquire(&table->free_mutex);
		for (int i = 0; i < FREE_MOVED && table->free != KALAM_NO_ENTRY; i++)
		{
			n = table->free;
			table->free = rows[n].next;
			rows[n].next = partition->free;
			partition->free = n;
			partition->nfree++;
		}
		SpinLockRelease(&table->free_mutex);
	}

	n = partition->free;
	if (n != KALAM_NO_ENTRY)
	{
		partition->free = rows[n].next;
		partition->nfree--;
	}
	return n;
}

static void
give_free(Partition *partition, uint32 n)
{
	rows[n].next = partition->free;
	partition->free = n;
	partition->nfree++;

	if (partition->nfree > FREE_KEPT)
	{
		SpinLockAcquire(&table->free_mutex);
		for (int i = 0; i < FREE_MOVED; i++)
		{
			n = partition->free;
			partition->free = rows[n].next;
			rows[n].next = table->free;
			table->free = n;
		}
		partition->nfree -= FREE_MOVED;
		SpinLockRelease(&table->free_mutex);
	}
}

/* Unlinks and frees what *link names. */
static void
remove_row(uint32 *link)
{
	uint32		n = *link;
	RowEntry   *row = &rows[n];

	*link = row->next;
	pg_atomic_fetch_sub_u32(&table->row_counts[counter_of(row->object_id)], 1);
	give_free(&table->partitions[partition_of(row->hash)], n);
}

static inline bool
row_has_key(const RowEntry *row, const KalamRowLockKey *key)
{
	return row->hash[0] == key->hash[0] && row->hash[1] == key->hash[1] &&
		row->object_id == key->object_id;
}

/*
 * Looks for a transaction that holds the key against mode.  *own is self's
 * entry, or KALAM_NO_ENTRY.
 */
static bool
find_row_conflict(const KalamRowLockKey *key, KalamRowLockMode mode,
				  const KalamRowLockHolder *self, KalamRowLockHolder *blocker, uint32 *own)
{
	bool		conflict = false;

	*own = KALAM_NO_ENTRY;
	for (uint32 n = *row_bucket(key->hash); n != KALAM_NO_ENTRY; n = rows[n].next)
	{
		RowEntry   *row = &rows[n];

		if (!row_has_key(row, key))
			continue;
		if (kalam_same_holder(&row->holder, self))
			*own = n;
		else if (modes_conflict(row->mode, mode))
		{
			*blocker = row->holder;
			conflict = true;
		}
	}
	return conflict;
}

/* ---- object entries; the caller holds object_lock ---- */

static bool
find_object_conflict(uint32 object_id, KalamRowLockMode mode,
					 const KalamRowLockHolder *self, KalamRowLockHolder *blocker)
{
	for (uint32 n = *object_bucket(object_id); n != KALAM_NO_ENTRY; n = objects[n].next)
	{
		ObjectEntry *object = &objects[n];

		if (object->object_id == object_id && !kalam_same_holder(&object->holder, self) &&
			modes_conflict(object->mode, mode))
		{
			*blocker = object->holder;
			return true;
		}
	}
	return false;
}

/* Unlinks and frees what *link names. */
static void
remove_object(uint32 *link)
{
	uint32		n = *link;

	*link = objects[n].next;
	pg_atomic_fetch_sub_u32(&table->object_counts[counter_of(objects[n].object_id)], 1);
	objects[n].next = table->object_free;
	table->object_free = n;
}

/* ---- locking ---- */

/* Does another transaction hold the whole object?  For lockers of a row of it. */
static bool
object_is_held(uint32 object_id, KalamRowLockMode mode,
			   const KalamRowLockHolder *self, KalamRowLockHolder *blocker)
{
	bool		conflict;

	if (pg_atomic_read_u32(&table->object_counts[counter_of(object_id)]) == 0)
		return false;

	LWLockAcquire(object_lock, LW_SHARED);
	conflict = find_object_conflict(object_id, mode, self, blocker);
	LWLockRelease(object_lock);
	return conflict;
}

KalamEntryResult
kalam_row_entry_acquire(const KalamRowLockKey *key, KalamRowLockMode mode, bool covered,
						const KalamRowLockHolder *self, KalamRowLockStep *step,
						KalamRowLockHolder *blocker)
{
	LWLock	   *lock = partition_lock(key->hash);
	KalamEntryResult result = KALAM_ENTRY_CHANGED;
	uint32		n;
	bool		conflict;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	conflict = find_row_conflict(key, mode, self, blocker, &n);
	step->whole_object = false;
	step->mode_before = -1;
	step->sub_before = InvalidSubTransactionId;
	if (n != KALAM_NO_ENTRY && rows[n].mode >= mode)
		result = KALAM_ENTRY_HELD;
	else if (conflict)
		result = KALAM_ENTRY_CONFLICT;
	else if (covered)
		result = KALAM_ENTRY_HELD;
	else if (object_is_held(key->object_id, mode, self, blocker))
		result = KALAM_ENTRY_CONFLICT;
	else if (n != KALAM_NO_ENTRY)
	{
		step->mode_before = rows[n].mode;
		step->sub_before = rows[n].holder.sub;
		rows[n].mode = mode;
		rows[n].holder.sub = self->sub;
	}
	else if ((n = take_free(&table->partitions[partition_of(key->hash)])) != KALAM_NO_ENTRY)
	{
		RowEntry   *row = &rows[n];
		uint32	   *head = row_bucket(key->hash);

		row->hash[0] = key->hash[0];
		row->hash[1] = key->hash[1];
		row->object_id = key->object_id;
		row->holder = *self;
		row->mode = mode;
		row->next = *head;
		*head = n;
		pg_atomic_fetch_add_u32(&table->row_counts[counter_of(key->object_id)], 1);
		own_row_counts[counter_of(key->object_id)]++;
	}
	else
		result = KALAM_ENTRY_FULL;
	LWLockRelease(lock);

	step->entry = n;
	return result;
}

bool
kalam_row_entry_is_held(const KalamRowLockKey *key, KalamRowLockMode mode,
						const KalamRowLockHolder *self)
{
	LWLock	   *lock = partition_lock(key->hash);
	KalamRowLockHolder blocker;
	uint32		n;
	bool		held;

	LWLockAcquire(lock, LW_SHARED);
	(void) find_row_conflict(key, mode, self, &blocker, &n);
	held = n != KALAM_NO_ENTRY && rows[n].mode >= mode;
	LWLockRelease(lock);
	return held;
}

KalamEntryResult
kalam_object_entry_acquire(uint32 object_id, KalamRowLockMode mode, uint32 own,
						   const KalamRowLockHolder *self, KalamRowLockStep *step,
						   KalamRowLockHolder *blocker)
{
	KalamEntryResult result = KALAM_ENTRY_CHANGED;
	uint32		n = own;

	step->whole_object = true;
	step->mode_before = -1;
	step->sub_before = InvalidSubTransactionId;

	LWLockAcquire(object_lock, LW_EXCLUSIVE);
	if (find_object_conflict(object_id, mode, self, blocker))
		result = KALAM_ENTRY_CONFLICT;
	else if (n != KALAM_NO_ENTRY)
	{
		step->mode_before = objects[n].mode;
		step->sub_before = objects[n].holder.sub;
		objects[n].mode = mode;
		objects[n].holder.sub = self->sub;
	}
	else if ((n = table->object_free) != KALAM_NO_ENTRY)
	{
		uint32	   *head = object_bucket(object_id);
		ObjectEntry *object = &objects[n];

		table->object_free = object->next;
		object->object_id = object_id;
		object->holder = *self;
		object->mode = mode;
		object->next = *head;
		*head = n;
		pg_atomic_fetch_add_u32(&table->object_counts[counter_of(object_id)], 1);
	}
	else
		result = KALAM_ENTRY_FULL;
	LWLockRelease(object_lock);

	step->entry = n;
	if (result != KALAM_ENTRY_CHANGED)
		return result;

	/* From here on all others see the entry; those before are in the table. */
	for (int i = 0; i < PARTITIONS; i++)
	{
		LWLockAcquire(&partition_locks[i].lock, LW_SHARED);
		LWLockRelease(&partition_locks[i].lock);
	}
	return result;
}

/* ---- unlocking ---- */

static uint32
undo_object(const KalamRowLockStep *step, const KalamRowLockHolder *self)
{
	ObjectEntry *object = &objects[step->entry];
	uint32		object_id = object->object_id;

	LWLockAcquire(object_lock, LW_EXCLUSIVE);
	if (step->mode_before >= 0)
	{
		object->mode = step->mode_before;
		object->holder.sub = step->sub_before;
	}
	else
	{
		uint32	   *link = object_bucket(object_id);

		while (*link != KALAM_NO_ENTRY && *link != step->entry)
			link = &objects[*link].next;
		if (*link != KALAM_NO_ENTRY && kalam_same_holder(&object->holder, self))
			remove_object(link);
	}
	LWLockRelease(object_lock);
	return object_id;
}

static uint32
undo_row(const KalamRowLockStep *step, const KalamRowLockHolder *self)
{
	RowEntry   *row = &rows[step->entry];
	uint32		object_id = row->object_id;
	LWLock	   *lock = partition_lock(row->hash);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (step->mode_before >= 0)
	{
		row->mode = step->mode_before;
		row->holder.sub = step->sub_before;
	}
	else
	{
		uint32	   *link = row_bucket(row->hash);

		while (*link != KALAM_NO_ENTRY && *link != step->entry)
			link = &rows[*link].next;
		if (*link != KALAM_NO_ENTRY && kalam_same_holder(&row->holder, self))
			remove_row(link);
	}
	LWLockRelease(lock);

	if (step->mode_before < 0)
		own_row_counts[counter_of(object_id)]--;
	return object_id;
}

uint32
kalam_entry_undo(const KalamRowLockStep *step, const KalamRowLockHolder *self)
{
	return step->whole_object ? undo_object(step, self) : undo_row(step, self);
}

/* Removes the holder's row entries from a bucket; key NULL: of all keys. */
static void
remove_rows_of(uint32 *link, const KalamRowLockKey *key, const KalamRowLockHolder *holder)
{
	while (*link != KALAM_NO_ENTRY)
	{
		RowEntry   *row = &rows[*link];

		if ((key == NULL || row_has_key(row, key)) && kalam_same_holder(&row->holder, holder))
			remove_row(link);
		else
			link = &row->next;
	}
}

/* The same for object entries; KALAM_OBJECT_NONE: of all objects. */
static void
remove_objects_of(uint32 *link, uint32 object_id, const KalamRowLockHolder *holder)
{
	while (*link != KALAM_NO_ENTRY)
	{
		ObjectEntry *object = &objects[*link];

		if ((object_id == KALAM_OBJECT_NONE || object->object_id == object_id) &&
			kalam_same_holder(&object->holder, holder))
			remove_object(link);
		else
			link = &object->next;
	}
}

void
kalam_entries_forget(const KalamRowLockKey *key, const KalamRowLockHolder *holder)
{
	LWLock	   *lock = partition_lock(key->hash);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	remove_rows_of(row_bucket(key->hash), key, holder);
	LWLockRelease(lock);

	LWLockAcquire(object_lock, LW_EXCLUSIVE);
	remove_objects_of(object_bucket(key->object_id), key->object_id, holder);
	LWLockRelease(object_lock);
}

/* ---- transactions without a backend ---- */

static inline void
set_holder_xid(KalamRowLockHolder *holder, TransactionId xid)
{
	holder->backend = InvalidBackendId;
	holder->lxid = xid;
	holder->sub = InvalidSubTransactionId;
}

void
kalam_entry_describe(const KalamRowLockStep *step, KalamLockRecord *record)
{
	/* entries of self: nobody else changes them */
	memset(record, 0, sizeof(*record));
	record->whole_object = step->whole_object;
	if (step->whole_object)
	{
		record->object_id = objects[step->entry].object_id;
		record->mode = objects[step->entry].mode;
	}
	else
	{
		record->hash[0] = rows[step->entry].hash[0];
		record->hash[1] = rows[step->entry].hash[1];
		record->object_id = rows[step->entry].object_id;
		record->mode = rows[step->entry].mode;
	}
}

void
kalam_entry_hand_over(const KalamRowLockStep *step, TransactionId xid)
{
	if (step->whole_object)
	{
		LWLockAcquire(object_lock, LW_EXCLUSIVE);
		set_holder_xid(&objects[step->entry].holder, xid);
		LWLockRelease(object_lock);
	}
	else
	{
		RowEntry   *row = &rows[step->entry];
		LWLock	   *lock = partition_lock(row->hash);

		LWLockAcquire(lock, LW_EXCLUSIVE);
		set_holder_xid(&row->holder, xid);
		LWLockRelease(lock);
		own_row_counts[counter_of(row->object_id)]--;
	}
}

bool
kalam_entry_restore(const KalamLockRecord *record, TransactionId xid)
{
	KalamRowLockKey key;
	KalamRowLockHolder holder;
	KalamRowLockHolder blocker;
	KalamRowLockStep step;

	set_holder_xid(&holder, xid);
	if (record->whole_object)
		return kalam_object_entry_acquire(record->object_id, record->mode, KALAM_NO_ENTRY,
										  &holder, &step, &blocker) == KALAM_ENTRY_CHANGED;

	key.hash[0] = record->hash[0];
	key.hash[1] = record->hash[1];
	key.object_id = record->object_id;
	if (kalam_row_entry_acquire(&key, record->mode, false, &holder, &step, &blocker) !=
		KALAM_ENTRY_CHANGED)
		return false;
	own_row_counts[counter_of(record->object_id)]--;
	return true;
}

void
kalam_entries_forget_xid(TransactionId xid)
{
	KalamRowLockHolder holder;

	set_holder_xid(&holder, xid);
	for (uint32 b = 0; b < table->nbuckets; b++)
	{
		LWLock	   *lock = &partition_locks[b & (PARTITIONS - 1)].lock;

		if (row_buckets[b] == KALAM_NO_ENTRY)
			continue;			/* an entry of xid would have been there long since */
		LWLockAcquire(lock, LW_EXCLUSIVE);
		remove_rows_of(&row_buckets[b], NULL, &holder);
		LWLockRelease(lock);
	}

	LWLockAcquire(object_lock, LW_EXCLUSIVE);
	for (int b = 0; b < OBJECT_BUCKETS; b++)
		remove_objects_of(&table->object_buckets[b], KALAM_OBJECT_NONE, &holder);
	LWLockRelease(object_lock);
}

bool
kalam_object_has_other_rows(uint32 object_id)
{
	int			counter = counter_of(object_id);

	return pg_atomic_read_u32(&table->row_counts[counter]) != own_row_counts[counter];
}

void
kalam_row_entries_of_others(uint32 object_id, const KalamRowLockHolder *self,
							KalamRowEntryFunction function, void *arg)
{
	for (uint32 b = 0; b < table->nbuckets; b++)
	{
		LWLock	   *lock = &partition_locks[b & (PARTITIONS - 1)].lock;

		if (row_buckets[b] == KALAM_NO_ENTRY)
			continue;			/* an entry from before ours would be seen */
		LWLockAcquire(lock, LW_SHARED);
		for (uint32 n = row_buckets[b]; n != KALAM_NO_ENTRY; n = rows[n].next)
			if (rows[n].object_id == object_id && !kalam_same_holder(&rows[n].holder, self))
				function(arg, rows[n].hash, &rows[n].holder);
		LWLockRelease(lock);
	}
}

bool
kalam_row_entry_other(const KalamRowLockKey *key, const KalamRowLockHolder *self,
					  KalamRowLockHolder *holder)
{
	LWLock	   *lock = partition_lock(key->hash);
	uint32		own;
	bool		found;

	LWLockAcquire(lock, LW_SHARED);
	found = find_row_conflict(key, KALAM_LOCK_UPDATE, self, holder, &own);
	LWLockRelease(lock);
	return found;
}
