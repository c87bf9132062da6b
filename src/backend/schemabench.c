/*
 * schemabench.c
 *	  How long it takes to get hold of a table's schema; for bench/schemas.
 *
 * The extension has no SQL function of it; who measures makes one:
 *	 CREATE FUNCTION kalam_bench_schema(regclass, int) RETURNS float8[]
 *	   AS '$libdir/kalam_fdw' LANGUAGE C
 * It gives nanoseconds, averages over so many times, of
 *	 1	opening a table that the session knows,
 *	 2	taking its schema from the shared cache, as for one that it does not know,
 *	 3	loading it: the record from the store, the rest from Postgres' caches.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "src/backend/table.h"

extern PGDLLEXPORT Datum kalam_bench_schema(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_bench_schema);

static void
open_known(Relation rel)
{
	kalam_table_close(kalam_table_open(rel));
}

static void
find_shared(Relation rel)
{
	KalamSchemaHold hold;

	kalam_schema_get(rel, false, &hold);
	if (!hold.shared)
		ereport(ERROR, (errmsg("the schema of \"%s\" is not shared", RelationGetRelationName(rel))));
	kalam_schema_release(&hold);
}

static void
load_one(Relation rel)
{
	KalamCatalogTable *record = kalam_catalog_get(MyDatabaseId, RelationGetRelid(rel));

	if (record == NULL)
		ereport(ERROR, (errmsg("nothing is stored of \"%s\"", RelationGetRelationName(rel))));
	kalam_schema_know(kalam_schema_build(rel), record);
}

/* Nanoseconds of one call. */
static double
time_of(void (*f) (Relation rel), Relation rel, int n)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kalam bench",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	instr_time	start;
	instr_time	end;

	f(rel);
	INSTR_TIME_SET_CURRENT(start);
	for (int i = 0; i < n; i++)
	{
		f(rel);
		if (i % 1000 == 999)
		{
			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(context);
		}
	}
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return INSTR_TIME_GET_DOUBLE(end) * 1e9 / n;
}

Datum
kalam_bench_schema(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	int			n = PG_GETARG_INT32(1);
	Datum		ns[3];

	if (n <= 0 || !kalam_is_table(RelationGetRelid(rel)))
		ereport(ERROR, (errmsg("a stored table and a number of times are wanted")));
	ns[0] = Float8GetDatum(time_of(open_known, rel, n));
	ns[1] = Float8GetDatum(time_of(find_shared, rel, n));
	ns[2] = Float8GetDatum(time_of(load_one, rel, n));
	table_close(rel, AccessShareLock);
	PG_RETURN_ARRAYTYPE_P(construct_array(ns, 3, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
