/*
 * settings.c
 *	  The kalam.* settings.
 *
 * Defines them and no more: what a setting means is up to those who read it.
 * Those of the storage process are fixed at server start; shmem.c copies them
 * into the shared segment.
 */
#include "postgres.h"

#include <limits.h>

#include "src/backend/batchjoin.h"
#include "src/backend/caches.h"
#include "src/backend/planner.h"
#include "src/backend/ship.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"
#include "src/backend/systemcache.h"
#include "src/backend/upper.h"
#include "utils/guc.h"

char	   *kalam_data_directory;
int			kalam_block_cache_size = 128 * 1024;
int			kalam_write_buffer_size = 64 * 1024;
int			kalam_read_threads = 2;
int			kalam_load_threads = 2;
int			kalam_background_jobs = 2;
int			kalam_max_families = 200;
int			kalam_bulk_load_threshold = 1024;
int			kalam_staged_memory = 64 * 1024;
int			kalam_load_memory = 128 * 1024;
int			kalam_query_cache_size = 64 * 1024;
int			kalam_query_cache_ttl = 60 * 1000;
bool		kalam_query_cache_on = true;
int			kalam_schema_cache_size = 16 * 1024;
int			kalam_schema_cache_ttl = 5 * 60 * 1000;
int			kalam_names_size = 1024;
int			kalam_tables_ttl = 60 * 1000;
int			kalam_namespaces_ttl = 60 * 1000;
bool		kalam_enable_multirange = true;
bool		kalam_enable_indexscan = true;
bool		kalam_enable_indexonlyscan = true;
bool		kalam_enable_batchjoin = true;

static void
define_planner_switch(const char *name, const char *what, bool *variable)
{
	DefineCustomBoolVariable(name, what, NULL, variable, true, PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
}

/* In kB; 0: there is none. */
static void
define_cache_size(const char *name, const char *what, int *variable)
{
	DefineCustomIntVariable(name, what,
							"0 turns it off; a size that is too small to work is raised.",
							variable, *variable, 0, MAX_KILOBYTES,
							PGC_POSTMASTER, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

static void
define_cache_ttl(const char *name, GucContext context, const char *what, const char *more, int *variable)
{
	DefineCustomIntVariable(name, what, more, variable, *variable, 0, INT_MAX,
							context, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

void
kalam_settings_define(void)
{
	DefineCustomStringVariable("kalam.data_directory",
							   "Sets the directory in which stored tables live.",
							   "A relative path is taken from the data directory.",
							   &kalam_data_directory,
							   "kalam",
							   PGC_POSTMASTER,
							   GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.block_cache_size",
							"Sets the memory for blocks of stored tables that were read.",
							NULL,
							&kalam_block_cache_size,
							128 * 1024, 1024, MAX_KILOBYTES,
							PGC_POSTMASTER,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.write_buffer_size",
							"Sets the memory for rows that were written and are not yet in sorted files.",
							NULL,
							&kalam_write_buffer_size,
							64 * 1024, 1024, MAX_KILOBYTES,
							PGC_POSTMASTER,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.read_threads",
							"Sets the number of storage threads that serve reads.",
							NULL,
							&kalam_read_threads,
							2, 1, 16,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.load_threads",
							"Sets the number of storage threads that sort and write what is loaded.",
							NULL,
							&kalam_load_threads,
							2, 1, 16,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.background_jobs",
							"Sets the number of flushes and compactions that may run at once.",
							NULL,
							&kalam_background_jobs,
							2, 1, 64,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.max_families",
							"Sets the number of tables that get a column family of their own.",
							"Tables created beyond that number share column families.",
							&kalam_max_families,
							200, 1, 10000,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.bulk_load_threshold",
							"Sets the size of changes from which on they go into sorted files.",
							"INSERT and COPY that insert more send it to storage while they run; other transactions "
							"that change less go through the write-ahead log and memory of the store.",
							&kalam_bulk_load_threshold,
							1024, 0, MAX_KILOBYTES,
							PGC_USERSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.staged_memory",
							"Sets the memory for a transaction's changes, past which they go to temporary files.",
							"What finds them there takes about as much again at most.",
							&kalam_staged_memory,
							64 * 1024, 1, MAX_KILOBYTES,
							PGC_USERSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("kalam.load_memory",
							"Sets the memory of the storage process for rows that one statement loads.",
							"Larger pieces are sorted at once then, and less is merged.",
							&kalam_load_memory,
							128 * 1024, 1024, MAX_KILOBYTES,
							PGC_USERSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	define_cache_size("kalam.query_cache_size",
					  "Sets the shared memory for rows and results of queries that were read lately.",
					  &kalam_query_cache_size);
	define_cache_size("kalam.schema_cache_size",
					  "Sets the shared memory for what is known about stored tables.",
					  &kalam_schema_cache_size);
	define_cache_size("kalam.names_size",
					  "Sets the shared memory for names of columns and tables.",
					  &kalam_names_size);
	define_cache_ttl("kalam.query_cache_ttl", PGC_SIGHUP,
					 "Sets how long a row or result of a query is kept.",
					 "A table's option \"cache_ttl\" overrides it.",
					 &kalam_query_cache_ttl);
	define_cache_ttl("kalam.schema_cache_ttl", PGC_SIGHUP,
					 "Sets how long it is kept what is known about a stored table.",
					 NULL,
					 &kalam_schema_cache_ttl);
	define_cache_ttl("kalam.tables_ttl", PGC_USERSET,
					 "Sets how old the list and the sizes of stored tables in kalam.tables may be.",
					 "Definitions of tables are the newest at any rate, and sizes those since the last change; 0 asks "
					 "the store each time.",
					 &kalam_tables_ttl);
	define_cache_ttl("kalam.namespaces_ttl", PGC_USERSET,
					 "Sets how old the list of stored tables in kalam.namespaces may be.",
					 "It is the newest at any rate; 0 asks the store each time.",
					 &kalam_namespaces_ttl);

	DefineCustomBoolVariable("kalam.query_cache",
							 "Lets this session's reads use the query cache.",
							 NULL,
							 &kalam_query_cache_on,
							 true,
							 PGC_USERSET,
							 GUC_EXPLAIN,
							 NULL, NULL, NULL);

	define_planner_switch("kalam.enable_multirange",
						  "Enables the planner's use of scans of several key ranges.",
						  &kalam_enable_multirange);
	define_planner_switch("kalam.enable_indexscan",
						  "Enables the planner's use of secondary indexes.",
						  &kalam_enable_indexscan);
	define_planner_switch("kalam.enable_indexonlyscan",
						  "Enables the planner's use of scans that read no more than keys.",
						  &kalam_enable_indexonlyscan);
	define_planner_switch("kalam.enable_batchjoin",
						  "Enables the planner's use of joins that look up many keys at once.",
						  &kalam_enable_batchjoin);
	define_planner_switch("kalam.enable_filter",
						  "Enables the evaluation of conditions by the storage process.",
						  &kalam_enable_filter);
	define_planner_switch("kalam.enable_aggregate",
						  "Enables the computation of aggregates by the storage process.",
						  &kalam_enable_aggregate);

	define_planner_switch("kalam.enable_directmodify",
						  "Enables UPDATE and DELETE that change rows in the scan that finds them.",
						  &kalam_enable_directmodify);

#ifdef KALAM_STOP_POINTS
	kalam_stop_point_settings();
#endif

	MarkGUCPrefixReserved("kalam");
}
