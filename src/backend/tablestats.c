/*
 * tablestats.c
 *	  Counts of changes to stored tables, and of cached reads: see tablestats.h.
 *
 * A transaction counts by object and subtransaction, so that a rollback to a
 * savepoint takes its part along.  At commit the counts are added to the tables'.
 * Reads are counted by the process, whatever becomes of the transaction.
 *
 * Tables are in a hash of bounded size; one that finds no room is not counted.
 * Its lock is held for a look-up; to count it is taken in shared mode only.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "src/backend/caches.h"
#include "src/backend/ddl.h"
#include "src/backend/table.h"
#include "src/backend/tablestats.h"

#define MAX_TABLES	8192
#define NAMES_UNSAID UINT64_MAX	/* those that were noted stay */

bool		kalam_am_autoanalyze = false;

/* ---- shared ---- */

typedef struct StatsKey
{
	Oid			database;
	Oid			relid;
} StatsKey;

StaticAssertDecl(sizeof(StatsKey) == 8, "a hashed key has no padding");

typedef struct StatsEntry
{
	StatsKey	key;
	pg_atomic_uint64 names;		/* see names_of */
	pg_atomic_uint64 changes;	/* since the server started; never goes back */
	pg_atomic_uint64 cache_hits;	/* likewise */
	pg_atomic_uint64 cache_misses;

	/* the rest under the lock, exclusively */
	uint64		analyzed;		/* changes that the last ANALYZE saw */
	TimestampTz last_analyze;
	TimestampTz last_autoanalyze;
	int64		analyze_count;
	int64		autoanalyze_count;
	bool		unknown;
} StatsEntry;

static HTAB *tables = NULL;
static LWLock *lock;

Size
kalam_table_stats_shmem_size(void)
{
	return hash_estimate_size(MAX_TABLES, sizeof(StatsEntry));
}

void
kalam_table_stats_shmem_request(void)
{
	RequestNamedLWLockTranche("kalam table stats", 1);
}

void
kalam_table_stats_shmem_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(StatsKey), .entrysize = sizeof(StatsEntry)};

	lock = &GetNamedLWLockTranche("kalam table stats")->lock;
	tables = ShmemInitHash("kalam table stats", 64, MAX_TABLES, &ctl, HASH_ELEM | HASH_BLOBS);
}

/* The entry, made if it is not there and create says so; else NULL.  Under the lock. */
static StatsEntry *
find_entry(Oid database, Oid relid, bool create)
{
	StatsKey	key = {database, relid};
	StatsEntry *e;
	bool		found;

	e = hash_search(tables, &key, create ? HASH_ENTER_NULL : HASH_FIND, &found);
	if (e != NULL && !found)
	{
		pg_atomic_init_u64(&e->names, 0);
		pg_atomic_init_u64(&e->changes, 0);
		pg_atomic_init_u64(&e->cache_hits, 0);
		pg_atomic_init_u64(&e->cache_misses, 0);
		memset((char *) e + offsetof(StatsEntry, analyzed), 0,
			   sizeof(StatsEntry) - offsetof(StatsEntry, analyzed));
		e->unknown = true;
	}
	return e;
}

/* The numbers of a table's names, as one; 0: neither is known. */
static uint64
names_of(uint32 nspname, uint32 name)
{
	return (uint64) nspname << 32 | name;
}

static uint64
names_of_table(const KalamTable *table)
{
	return names_of(table->schema->nspname, table->schema->name);
}

static void
note_names(StatsEntry *e, uint64 names)
{
	if (names != NAMES_UNSAID && pg_atomic_read_u64(&e->names) != names)
		pg_atomic_write_u64(&e->names, names);
}

/* Adds to a table's entry; false if it has none.  Under the lock. */
static bool
add_changes(Oid relid, uint64 names, uint64 n, bool create)
{
	StatsEntry *e = find_entry(MyDatabaseId, relid, create);

	if (e == NULL)
		return false;
	pg_atomic_fetch_add_u64(&e->changes, n);
	note_names(e, names);
	return true;
}

static void
note_changes(Oid relid, uint64 names, uint64 n)
{
	bool		added;

	LWLockAcquire(lock, LW_SHARED);
	added = add_changes(relid, names, n, false);
	LWLockRelease(lock);
	if (added)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	(void) add_changes(relid, names, n, true);
	LWLockRelease(lock);
}

static void
note_analyzed(Oid relid, uint64 names, uint64 counted)
{
	StatsEntry *e;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	e = find_entry(MyDatabaseId, relid, true);
	if (e != NULL)
	{
		note_names(e, names);
		e->analyzed = counted;
		e->unknown = false;
		if (kalam_am_autoanalyze)
		{
			e->last_autoanalyze = GetCurrentTimestamp();
			e->autoanalyze_count++;
		}
		else
		{
			e->last_analyze = GetCurrentTimestamp();
			e->analyze_count++;
		}
	}
	LWLockRelease(lock);
}

uint64
kalam_changes_counted(Oid relid)
{
	StatsEntry *e;
	uint64		n = 0;

	LWLockAcquire(lock, LW_SHARED);
	e = find_entry(MyDatabaseId, relid, false);
	if (e != NULL)
		n = pg_atomic_read_u64(&e->changes);
	LWLockRelease(lock);
	return n;
}

static uint32
number_of(KalamString name)
{
	return kalam_names == NULL ? KALAM_NAME_NONE : kalam_name_enter(kalam_names, name.data, name.len);
}

void
kalam_table_stats_add(const KalamTableRecord *r)
{
	uint64		names = names_of(number_of(r->nspname), number_of(r->name));
	StatsEntry *e;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	e = find_entry(r->database_oid, r->relid, true);
	if (e != NULL)
		note_names(e, names);
	LWLockRelease(lock);
}

void
kalam_table_stats_looked_at(Oid relid)
{
	StatsEntry *e;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	e = find_entry(MyDatabaseId, relid, false);
	if (e != NULL)
		e->unknown = false;
	LWLockRelease(lock);
}

void
kalam_table_stats_forget(Oid database, Oid relid)
{
	HASH_SEQ_STATUS seq;
	StatsEntry *e;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (OidIsValid(relid))
		(void) hash_search(tables, &(StatsKey) {database, relid}, HASH_REMOVE, NULL);
	else
	{
		hash_seq_init(&seq, tables);
		while ((e = hash_seq_search(&seq)) != NULL)
			if (e->key.database == database)
				(void) hash_search(tables, &e->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(lock);
}

List *
kalam_table_stats(Oid database)
{
	int			size;
	KalamTableStats *all;
	List	   *list = NIL;
	HASH_SEQ_STATUS seq;
	StatsEntry *e;
	int			n = 0;

	if (tables == NULL)			/* not preloaded */
		return NIL;
	/* nothing is allocated under the lock; those that come just now can wait */
	size = (int) hash_get_num_entries(tables);
	all = palloc((size + 1) * sizeof(KalamTableStats));
	LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&seq, tables);
	while ((e = hash_seq_search(&seq)) != NULL)
	{
		uint64		names = pg_atomic_read_u64(&e->names);

		if (n < size && (!OidIsValid(database) || e->key.database == database))
			all[n++] = (KalamTableStats)
			{
				.database = e->key.database, .relid = e->key.relid,
				.nspname = (uint32) (names >> 32), .name = (uint32) names,
				.changes = pg_atomic_read_u64(&e->changes) - e->analyzed,
				.last_analyze = e->last_analyze, .last_autoanalyze = e->last_autoanalyze,
				.analyze_count = e->analyze_count, .autoanalyze_count = e->autoanalyze_count,
				.unknown = e->unknown,
				.cache_hits = pg_atomic_read_u64(&e->cache_hits),
				.cache_misses = pg_atomic_read_u64(&e->cache_misses)
			};
	}
	LWLockRelease(lock);
	for (int i = 0; i < n; i++)
		list = lappend(list, &all[i]);
	return list;
}

/* ---- the own transaction ---- */

typedef struct OwnCount
{
	uint32		object_id;
	SubTransactionId sub;
	Oid			relid;
	uint64		names;
	uint64		puts;
	uint64		deletes;
} OwnCount;

/* A table was analysed, or dropped. */
typedef struct OwnEvent
{
	Oid			relid;
	SubTransactionId sub;
	bool		dropped;
	uint64		names;
	uint64		counted;
} OwnEvent;

static OwnCount *counts = NULL;
static int	ncounts = 0;
static int	counts_size = 0;
static int	count_places[64];	/* where an object's may lie: partitions come in turns */
static List *events = NIL;		/* OwnEvent, in TopTransactionContext */

static OwnCount *
own_count(uint32 object_id, SubTransactionId sub)
{
	int		   *place = &count_places[object_id % lengthof(count_places)];
	OwnCount   *c = NULL;

	if (*place < ncounts && counts[*place].object_id == object_id && counts[*place].sub == sub)
		c = &counts[*place];
	for (int i = ncounts; c == NULL && i-- > 0;)
		if (counts[i].object_id == object_id && counts[i].sub == sub)
			c = &counts[i];
	if (c == NULL)
	{
		const KalamTable *table = kalam_table_of_object(object_id);

		if (ncounts == counts_size)
		{
			int			size = Max(16, 2 * counts_size);

			counts = counts == NULL ?
				MemoryContextAlloc(TopMemoryContext, size * sizeof(OwnCount)) :
				repalloc(counts, size * sizeof(OwnCount));
			counts_size = size;
		}
		c = &counts[ncounts++];
		*c = (OwnCount) {.object_id = object_id, .sub = sub, };
		if (table != NULL)
		{
			c->relid = table->relid;
			c->names = names_of_table(table);
		}
	}
	*place = c - counts;
	return c;
}

void
kalam_count_change(uint32 object_id, bool is_delete)
{
	OwnCount   *c = own_count(object_id, GetCurrentSubTransactionId());

	if (is_delete)
		c->deletes++;
	else
		c->puts++;
}

void
kalam_count_rows(uint32 object_id, SubTransactionId sub, uint64 written)
{
	own_count(object_id, sub)->puts += written;
}

double
kalam_own_rows(uint32 object_id)
{
	double		rows = 0;

	for (int i = 0; i < ncounts; i++)
		if (counts[i].object_id == object_id)
			rows += (double) counts[i].puts - (double) counts[i].deletes;
	return Max(rows, 0);
}

static void
add_event(OwnEvent event)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	OwnEvent   *e = palloc(sizeof(OwnEvent));

	*e = event;
	e->sub = GetCurrentSubTransactionId();
	events = lappend(events, e);
	MemoryContextSwitchTo(old);
}

void
kalam_count_analyze(const KalamTable *table, uint64 counted)
{
	add_event((OwnEvent) {
		.relid = table->relid, .names = names_of_table(table), .counted = counted
	});
}

void
kalam_count_drop(Oid relid)
{
	add_event((OwnEvent) {.relid = relid, .dropped = true});
}

/* At commit. */
static void
note_event(const OwnEvent *e)
{
	if (!e->dropped)
		note_analyzed(e->relid, e->names, e->counted);
	else
	{
		/* (own reads, or they would enter it again) */
		kalam_cache_counts_flush();
		kalam_table_stats_forget(MyDatabaseId, e->relid);
	}
}

void
kalam_counts_at_xact_end(bool committed)
{
	ListCell   *lc;

	for (int i = 0; committed && i < ncounts; i++)
		if (OidIsValid(counts[i].relid))
		{
			note_changes(counts[i].relid, counts[i].names, counts[i].puts + counts[i].deletes);
			kalam_table_stat_forget(counts[i].relid);
		}
	if (committed)
		foreach(lc, events)
			note_event(lfirst(lc));
	ncounts = 0;
	events = NIL;
}

void
kalam_counts_at_subabort(SubTransactionId sub)
{
	ListCell   *lc;
	int			kept = 0;

	for (int i = 0; i < ncounts; i++)
		if (counts[i].sub != sub)
			counts[kept++] = counts[i];
	ncounts = kept;
	foreach(lc, events)
	{
		if (((OwnEvent *) lfirst(lc))->sub == sub)
			events = foreach_delete_current(events, lc);
	}
}

void
kalam_counts_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	ListCell   *lc;

	foreach(lc, events)
	{
		OwnEvent   *e = lfirst(lc);

		if (e->sub == sub)
			e->sub = parent;
	}
	for (int i = ncounts; i-- > 0;)
	{
		int			j;

		if (counts[i].sub != sub)
			continue;
		counts[i].sub = parent;
		for (j = 0; j < ncounts; j++)
			if (j != i && counts[j].sub == parent && counts[j].object_id == counts[i].object_id)
				break;
		if (j == ncounts)
			continue;
		counts[j].puts += counts[i].puts;
		counts[j].deletes += counts[i].deletes;
		memmove(&counts[i], &counts[i + 1], (ncounts - i - 1) * sizeof(OwnCount));
		ncounts--;
	}
}

/* ---- reads that the query cache was asked about ---- */

#define FEW_TABLES			64	/* powers of two */
#define MANY_TABLES			1024
#define FLUSH_AFTER_MS		1000
#define FLUSH_AFTER_READS	65536	/* of a transaction that goes on and on */

typedef struct CacheCount
{
	Oid			relid;
	uint32		hits;
	uint32		misses;
	uint64		names;
} CacheCount;

/* Open addressing; at most half of the places are taken. */
static CacheCount few_cache_counts[FEW_TABLES];
static CacheCount *cache_counts = few_cache_counts;
static uint32 cache_places = FEW_TABLES;
static uint32 cache_tables = 0; /* of them in use */
static uint64 cache_reads = 0;	/* counted in them */
static uint64 cache_flushed_at = 0; /* kalam_cache_now */

static CacheCount *
cache_count_place(Oid relid)
{
	uint32		i = relid & (cache_places - 1);

	while (cache_counts[i].relid != relid && OidIsValid(cache_counts[i].relid))
		i = (i + 1) & (cache_places - 1);
	return &cache_counts[i];
}

/* Adds to a table's entry; false if it has none.  Under the lock. */
static bool
add_cache_count(const CacheCount *c, bool create)
{
	StatsEntry *e = find_entry(MyDatabaseId, c->relid, create);

	if (e == NULL)
		return false;
	pg_atomic_fetch_add_u64(&e->cache_hits, c->hits);
	pg_atomic_fetch_add_u64(&e->cache_misses, c->misses);
	note_names(e, c->names);
	return true;
}

void
kalam_cache_counts_flush(void)
{
	bool		all_there = true;

	if (cache_tables == 0)
		return;
	LWLockAcquire(lock, LW_SHARED);
	for (uint32 i = 0; i < cache_places; i++)
		if (OidIsValid(cache_counts[i].relid))
		{
			if (add_cache_count(&cache_counts[i], false))
				cache_counts[i].relid = InvalidOid;
			else
				all_there = false;
		}
	LWLockRelease(lock);
	if (!all_there)
	{
		LWLockAcquire(lock, LW_EXCLUSIVE);
		for (uint32 i = 0; i < cache_places; i++)
			if (OidIsValid(cache_counts[i].relid))
				(void) add_cache_count(&cache_counts[i], true);
		LWLockRelease(lock);
	}
	memset(cache_counts, 0, cache_places * sizeof(CacheCount));
	cache_tables = 0;
	cache_reads = 0;
	cache_flushed_at = kalam_cache_now();
}

/* Half of the places are taken: more of them, or none taken. */
static void
make_cache_places(void)
{
	CacheCount *old = cache_counts;
	uint32		old_places = cache_places;
	CacheCount *larger = NULL;

	if (cache_places < MANY_TABLES)
		larger = MemoryContextAllocExtended(TopMemoryContext, 2 * cache_places * sizeof(CacheCount),
											MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
	if (larger == NULL)
	{
		kalam_cache_counts_flush();
		return;
	}
	cache_counts = larger;
	cache_places *= 2;
	for (uint32 i = 0; i < old_places; i++)
		if (OidIsValid(old[i].relid))
			*cache_count_place(old[i].relid) = old[i];
	if (old != few_cache_counts)
		pfree(old);
}

static void
flush_at_exit(int code, Datum arg)
{
	kalam_cache_counts_flush();
}

void
kalam_count_cache(const KalamTable *table, uint32 hits, uint32 misses)
{
	CacheCount *c = cache_count_place(table->relid);

	if (unlikely(!OidIsValid(c->relid)))
	{
		static bool registered = false;

		if (!registered)
			before_shmem_exit(flush_at_exit, (Datum) 0);
		registered = true;
		if (2 * cache_tables >= cache_places)
		{
			make_cache_places();
			c = cache_count_place(table->relid);
		}
		c->relid = table->relid;
		/* (reads count though a change of the name is rolled back) */
		c->names = kalam_ddl_here() ? NAMES_UNSAID : names_of_table(table);
		cache_tables++;
	}
	c->hits += hits;
	c->misses += misses;
	cache_reads += (uint64) hits + misses;
	if (unlikely(cache_reads > FLUSH_AFTER_READS))
		kalam_cache_counts_flush();
}

void
kalam_cache_counts_at_xact_end(void)
{
	if (cache_tables > 0 && kalam_cache_now() - cache_flushed_at >= FLUSH_AFTER_MS)
		kalam_cache_counts_flush();
}
