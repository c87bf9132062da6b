/*
 * cachefunctions.c
 *	  SQL functions of schema kalam about the caches of the server: what is in them,
 *	  and taking it out by hand.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "src/backend/caches.h"
#include "src/backend/functions.h"
#include "src/backend/schemacache.h"
#include "src/backend/shmem.h"

extern PGDLLEXPORT Datum kalam_stat_of_caches(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_stat_of_caches);
extern PGDLLEXPORT Datum kalam_stat_of_names(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_stat_of_names);
extern PGDLLEXPORT Datum kalam_invalidate_table(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_invalidate_table);
extern PGDLLEXPORT Datum kalam_invalidate_schema(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_invalidate_schema);
extern PGDLLEXPORT Datum kalam_clear_caches(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_clear_caches);
extern PGDLLEXPORT Datum kalam_evict_expired(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_evict_expired);

/* ---- what is in them ---- */

static void
put_cache(ReturnSetInfo *result, const char *name, KalamCache *cache, uint64 loads)
{
	KalamCacheStats s = {0};
	Datum		values[16];
	bool		nulls[16] = {0};
	int			n = 0;

	if (cache != NULL)
		kalam_cache_stats(cache, &s);
	values[n++] = CStringGetTextDatum(name);
	values[n++] = Int64GetDatum((int64) s.entries);
	values[n++] = Int64GetDatum((int64) s.bytes);
	values[n++] = Int64GetDatum((int64) s.bytes_allowed);
	values[n++] = Int64GetDatum((int64) s.pins);
	values[n++] = Int64GetDatum((int64) s.hits);
	values[n++] = Int64GetDatum((int64) s.misses);
	values[n++] = Int64GetDatum((int64) s.inserts);
	values[n++] = Int64GetDatum((int64) s.evictions);
	values[n++] = Int64GetDatum((int64) s.expired);
	values[n++] = Int64GetDatum((int64) s.invalidations);
	values[n++] = Int64GetDatum((int64) s.refused);
	values[n++] = Int64GetDatum((int64) s.too_large);
	values[n++] = Int64GetDatum((int64) s.full);
	values[n++] = Int64GetDatum((int64) s.corrupt);
	values[n++] = Int64GetDatum((int64) loads);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* A row for each; of zeros, if it is turned off. */
Datum
kalam_stat_of_caches(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	put_cache(result, "query", kalam_query_cache, 0);
	put_cache(result, "schema", kalam_schema_cache,
			  kalam_schema_cache != NULL ? kalam_schema_loads() : 0);
	return (Datum) 0;
}

Datum
kalam_stat_of_names(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	KalamNamesStats s = {0};
	Datum		values[4];
	bool		nulls[4] = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (kalam_names != NULL)
		kalam_names_stats(kalam_names, &s);
	values[0] = Int64GetDatum((int64) s.names);
	values[1] = Int64GetDatum((int64) s.bytes);
	values[2] = Int64GetDatum((int64) s.bytes_allowed);
	values[3] = Int64GetDatum((int64) s.refused);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}

/* ---- by hand; each gives the number of entries that went ---- */

Datum
kalam_invalidate_table(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	KalamTable *table;
	Relation	rel = kalam_open_stored(relid, AccessShareLock, true, &table);
	uint32		object = kalam_table_object(table);
	uint64		gone = 0;

	if (kalam_query_cache != NULL && object != KALAM_OBJECT_NONE)
		gone += kalam_cache_invalidate_group(kalam_query_cache, kalam_cache_process(), object);
	if (kalam_schema_cache != NULL)
		gone += kalam_cache_invalidate_group(kalam_schema_cache, kalam_cache_process(),
											 kalam_schema_group(MyDatabaseId, relid));
	kalam_table_close(table);
	table_close(rel, AccessShareLock);
	PG_RETURN_INT64((int64) gone);
}

Datum
kalam_invalidate_schema(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	uint32		version = (uint32) PG_GETARG_INT32(1);
	KalamTable *table;
	Relation	rel = kalam_open_stored(relid, AccessShareLock, true, &table);
	uint64		gone = 0;

	if (kalam_schema_cache != NULL)
		gone = kalam_cache_invalidate_tag(kalam_schema_cache, kalam_cache_process(),
										  kalam_schema_group(MyDatabaseId, relid), version);
	kalam_table_close(table);
	table_close(rel, AccessShareLock);
	PG_RETURN_INT64((int64) gone);
}

Datum
kalam_clear_caches(PG_FUNCTION_ARGS)
{
	uint64		gone = 0;

	if (kalam_query_cache != NULL)
		gone += kalam_cache_clear(kalam_query_cache, kalam_cache_process());
	if (kalam_schema_cache != NULL)
		gone += kalam_cache_clear(kalam_schema_cache, kalam_cache_process());
	PG_RETURN_INT64((int64) gone);
}

Datum
kalam_evict_expired(PG_FUNCTION_ARGS)
{
	uint64		now_ms = kalam_cache_now();
	uint64		gone = 0;

	if (kalam_query_cache != NULL)
		gone += kalam_cache_expire(kalam_query_cache, kalam_cache_process(), now_ms);
	if (kalam_schema_cache != NULL)
		gone += kalam_cache_expire(kalam_schema_cache, kalam_cache_process(), now_ms);
	PG_RETURN_INT64((int64) gone);
}
