/*
 * statfunctions.c
 *	  What the views kalam.stat_tables and kalam.stat_all_tables show: tablestats.h.
 *
 * A session cannot look into the catalogs of other databases.  The names of their tables
 * are those that were noted when the tables were last counted, in the encoding
 * of their database.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "src/backend/caches.h"
#include "src/backend/tablestats.h"

extern PGDLLEXPORT Datum kalam_stat_of_tables(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kalam_stat_of_all_tables(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_stat_of_tables);
PG_FUNCTION_INFO_V1(kalam_stat_of_all_tables);

static void
put_time(TimestampTz time, Datum *value, bool *null)
{
	*value = TimestampTzGetDatum(time);
	*null = time == 0;
}

/* What was written and when it was analysed: three columns. */
static void
put_changes(const KalamTableStats *t, Datum *values, bool *nulls)
{
	values[0] = Int64GetDatum((int64) t->changes);
	put_time(t->last_analyze, &values[1], &nulls[1]);
	put_time(t->last_autoanalyze, &values[2], &nulls[2]);
}

/* What was read: two. */
static void
put_reads(const KalamTableStats *t, Datum *values)
{
	values[0] = Int64GetDatum((int64) t->cache_hits);
	values[1] = Int64GetDatum((int64) t->cache_misses);
}

/* A row per table of this database of which something is known since the start. */
Datum
kalam_stat_of_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	kalam_cache_counts_flush();
	foreach(lc, kalam_table_stats(MyDatabaseId))
	{
		KalamTableStats *t = lfirst(lc);
		Datum		values[8];
		bool		nulls[8] = {0};

		values[0] = ObjectIdGetDatum(t->relid);
		put_changes(t, &values[1], &nulls[1]);
		values[4] = Int64GetDatum(t->analyze_count);
		values[5] = Int64GetDatum(t->autoanalyze_count);
		put_reads(t, &values[6]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- of all databases ---- */

/* The encoding of a database, -1 if it is gone. */
static int
encoding_of(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	int			encoding = -1;

	if (HeapTupleIsValid(tuple))
	{
		encoding = ((Form_pg_database) GETSTRUCT(tuple))->encoding;
		ReleaseSysCache(tuple);
	}
	return encoding;
}

/* A name in the encoding of this database; NULL if it has none in it. */
static char *
converted(const char *name, int encoding)
{
	int			here = GetDatabaseEncoding();
	int			len = (int) strlen(name);
	int			size = len * MAX_CONVERSION_GROWTH + 1;
	char	   *text;
	Oid			conversion;

	if (encoding == here || here == PG_SQL_ASCII || encoding == PG_SQL_ASCII)
		return pg_verify_mbstr(here, name, len, true) ? pstrdup(name) : NULL;
	conversion = encoding < 0 ? InvalidOid : FindDefaultConversionProc(encoding, here);
	if (!OidIsValid(conversion))
		return NULL;
	text = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, encoding, here, (unsigned char *) unconstify(char *, name),
									  len, (unsigned char *) text, size, true) != len)
		return NULL;
	return text;
}

static char *
noted_name(uint32 number, Oid database)
{
	return number == KALAM_NAME_NONE ? NULL :
		converted(kalam_name_text(kalam_names, number), encoding_of(database));
}

/* The names of a table, either of which may not be known; false: it is gone. */
static bool
names_of(const KalamTableStats *t, char **nspname, char **name)
{
	if (t->database == MyDatabaseId)
	{
		*name = get_rel_name(t->relid);
		*nspname = get_namespace_name(get_rel_namespace(t->relid));
		return *name != NULL && *nspname != NULL;
	}
	*nspname = noted_name(t->nspname, t->database);
	*name = noted_name(t->name, t->database);
	return true;
}

static void
put_text(const char *text, Datum *value, bool *null)
{
	*null = text == NULL;
	*value = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

Datum
kalam_stat_of_all_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	kalam_cache_counts_flush();
	foreach(lc, kalam_table_stats(InvalidOid))
	{
		KalamTableStats *t = lfirst(lc);
		char	   *nspname;
		char	   *name;
		Datum		values[9];
		bool		nulls[9] = {0};

		CHECK_FOR_INTERRUPTS();
		if (!names_of(t, &nspname, &name))
			continue;
		values[0] = ObjectIdGetDatum(t->database);
		put_text(nspname, &values[1], &nulls[1]);
		put_text(name, &values[2], &nulls[2]);
		values[3] = ObjectIdGetDatum(t->relid);
		put_changes(t, &values[4], &nulls[4]);
		put_reads(t, &values[7]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
