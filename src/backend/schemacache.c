/*
 * schemacache.c
 *	  The shared cache of schemas: finding, loading once for all who wait, pins.
 *
 * Nothing here is locked.  A session that loads a schema says so in a place that
 * the relation's hash names; others who want the same one sleep until it is done,
 * or for a second, and then look, and load it themselves if it is still not there.
 * So a session that is slow or gets nowhere holds nobody up for long.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "src/backend/caches.h"
#include "src/backend/ddl.h"
#include "src/backend/indoubt.h"
#include "src/backend/schemacache.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"
#include "src/shared/truth.h"

#define LOAD_PLACES			128
#define LOAD_WAIT_MS		1000

typedef struct Key
{
	Oid			database;
	Oid			relid;
} Key;

/* A schema that is being loaded. */
typedef struct Loading
{
	pg_atomic_uint64 key;		/* 0: none; [the session that loads it] */
	ConditionVariable done;
} Loading;

typedef struct SharedState
{
	pg_atomic_uint64 loads;
	Loading		loading[LOAD_PLACES];
} SharedState;

static SharedState *shared = NULL;
static Loading *mine = NULL;	/* that this session loads */
static MemoryContext private_context = NULL;

Size
kalam_schema_cache_shmem_size(void)
{
	return MAXALIGN(sizeof(SharedState));
}

void
kalam_schema_cache_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("kalam schema loads", kalam_schema_cache_shmem_size(), &found);
	pg_atomic_init_u64(&shared->loads, 0);
	for (int i = 0; i < LOAD_PLACES; i++)
	{
		pg_atomic_init_u64(&shared->loading[i].key, 0);
		ConditionVariableInit(&shared->loading[i].done);
	}
}

uint64
kalam_schema_loads(void)
{
	return shared == NULL ? 0 : pg_atomic_read_u64(&shared->loads);
}

uint32
kalam_schema_group(Oid database, Oid relid)
{
	return hash_combine(murmurhash32(database), murmurhash32(relid));
}

/* ---- finding ---- */

/* The cache's key, and where its truth is. */
typedef struct Probe
{
	Key			bytes;
	KalamCacheKey key;
	KalamCacheAt at;
} Probe;

/*
 * A schema is true if its record's bucket, or the list of all records, has not changed
 * since: either is enough.  Rows of any table share the bucket now and then, and the
 * list has other records; so it is the one that was changed longer ago.
 */
static void
prepare(Probe *p, Oid relid)
{
	KalamCacheAt list = kalam_at_newest_list(kalam_segment, kalam_cache_now());

	p->bytes = (Key) {MyDatabaseId, relid};
	p->key.data = &p->bytes;
	p->key.len = sizeof(Key);
	p->key.group = kalam_schema_group(MyDatabaseId, relid);
	p->key.hash = kalam_catalog_hash(MyDatabaseId, relid);
	p->at = kalam_at_newest_record(kalam_segment, p->key.hash, list.now_ms);
	if (kalam_at_newest_change(&list) < kalam_at_newest_change(&p->at))
		p->at = list;
}

static bool
find(const Probe *p, Relation rel, KalamSchemaHold *hold)
{
	KalamCacheValue value;

	if (kalam_cache_find(kalam_schema_cache, kalam_cache_process(), &p->key, &p->at, NULL, 0,
						 &value) != KALAM_CACHE_PINNED)
		return false;
	hold->schema = value.data;
	hold->seen_at = value.stamp;
	hold->pin = value.pin;
	hold->shared = true;
	hold->held_since = GetCurrentStatementStartTimestamp();
	if (kalam_schema_fits(hold->schema, rel))
		return true;
	kalam_schema_release(hold);
	return false;
}

bool
kalam_schema_is_old(const KalamSchemaHold *hold)
{
	return hold->look_again ||
		(hold->shared && TimestampDifferenceExceeds(hold->held_since,
													GetCurrentStatementStartTimestamp(),
													kalam_schema_cache_ttl));
}

void
kalam_schema_release(KalamSchemaHold *hold)
{
	if (hold->schema == NULL)
		return;
	if (hold->shared)
		kalam_cache_unpin(kalam_schema_cache, kalam_cache_process(), hold->pin);
	else
		pfree((void *) hold->schema);
	hold->schema = NULL;
}

/* ---- loading ---- */

static void
keep_private(const KalamSchema *s, KalamSchemaHold *hold)
{
	if (private_context == NULL)
		private_context = AllocSetContextCreate(TopMemoryContext, "kalam schemas",
												ALLOCSET_DEFAULT_SIZES);
	hold->schema = memcpy(MemoryContextAlloc(private_context, s->size_bytes), s, s->size_bytes);
}

/* Reads the record, and shares what it and the definition say. */
static void
load(Probe *p, Relation rel, KalamSchemaHold *hold)
{
	uint64		ticket = kalam_cache_ticket(kalam_schema_cache, p->key.group);
	uint64		read_at = atomic_load(&kalam_segment->pub);
	KalamCatalogTable *record = kalam_catalog_get(MyDatabaseId, RelationGetRelid(rel));
	KalamSchema *s = kalam_schema_build(rel);
	KalamCachePart part = {s, s->size_bytes};

	pg_atomic_fetch_add_u64(&shared->loads, 1);
	if (record != NULL)
	{
		kalam_schema_know(s, record);
		KALAM_STOP_POINT("schema_before_put");
		(void) kalam_cache_put(kalam_schema_cache, kalam_cache_process(), &p->key, ticket,
							   read_at, s->version, p->at.now_ms + kalam_schema_cache_ttl,
							   &part, 1);
		if (find(p, rel, hold))
			return;
		hold->seen_at = atomic_load(&kalam_segment->pub);
	}
	else
		hold->look_again = true;
	keep_private(s, hold);
}

/* The same in memory of its own. */
static void
load_in_context(Probe *p, Relation rel, KalamSchemaHold *hold)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kalam schema load",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	load(p, rel, hold);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static void
loaded(int code, Datum arg)
{
	Loading    *l = mine;

	if (l == NULL)
		return;
	mine = NULL;
	(void) pg_atomic_exchange_u64(&l->key, 0);
	ConditionVariableBroadcast(&l->done);
}

/* Sleeps until it is loaded, or for long enough. */
static void
wait_for(Loading *l, uint64 key)
{
	ConditionVariablePrepareToSleep(&l->done);
	while (pg_atomic_read_u64(&l->key) == key)
		if (ConditionVariableTimedSleep(&l->done, LOAD_WAIT_MS, PG_WAIT_EXTENSION))
			break;
	ConditionVariableCancelSleep();
}

/* As the only one, unless another session does so now; then it is waited for. */
static void
load_once(Probe *p, Relation rel, KalamSchemaHold *hold)
{
	uint64		key = (uint64) p->bytes.database << 32 | p->bytes.relid;
	Loading    *l = &shared->loading[p->key.hash % LOAD_PLACES];
	uint64		other = 0;
	static bool exit_registered = false;

	if (!exit_registered)
		before_shmem_exit(loaded, (Datum) 0);
	exit_registered = true;
	if (mine != NULL)
		load_in_context(p, rel, hold);
	else if (pg_atomic_compare_exchange_u64(&l->key, &other, key))
	{
		mine = l;
		PG_TRY();
		{
			/* another may have done it between our look and our turn */
			if (!find(p, rel, hold))
				load_in_context(p, rel, hold);
		}
		PG_FINALLY();
		{
			loaded(0, (Datum) 0);
		}
		PG_END_TRY();
	}
	else
	{
		if (other == key)
			wait_for(l, key);
		if (other != key || !find(p, rel, hold))
			load_in_context(p, rel, hold);
	}
}

/* Can what others see be what this transaction sees?  Can it be asked for? */
static bool
can_share(Relation rel, KalamSchemaHold *hold)
{
	if (kalam_schema_cache == NULL || kalam_ddl_here() || IsParallelWorker() ||
		rel->rd_createSubid != InvalidSubTransactionId)
		return false;
	hold->look_again = atomic_load(&kalam_segment->state) != KALAM_STORAGE_READY;
	return !hold->look_again;
}

void
kalam_schema_get(Relation rel, bool to_change, KalamSchemaHold *hold)
{
	Probe		p;
	KalamSchema *s;

	memset(hold, 0, sizeof(*hold));
	if (!to_change && can_share(rel, hold))
	{
		/* what has committed, and is not applied yet, may be a change of it */
		kalam_indoubt_settle(NULL);
		prepare(&p, RelationGetRelid(rel));
		if (!find(&p, rel, hold))
			load_once(&p, rel, hold);
		return;
	}
	s = kalam_schema_build(rel);
	keep_private(s, hold);
	pfree(s);
}
