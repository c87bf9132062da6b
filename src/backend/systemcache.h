/*
 * systemcache.h
 *	  What the system tables of schema kalam show, kept in the schema cache.
 *
 * The list of a database's stored tables is the newest that has committed, always;
 * sizes are estimates, which hold until the table is written or is flushed by hand.
 * Both are asked for again when they are older than a setting allows.
 */
#ifndef KALAM_SYSTEMCACHE_H
#define KALAM_SYSTEMCACHE_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "src/backend/table.h"

/* settings.c; 0: always asked for */
extern int	kalam_tables_ttl;	/* ms */
extern int	kalam_namespaces_ttl;	/* ms */

/* A stored table, as views show it.  Strings are NUL-terminated. */
typedef struct KalamListedTable
{
	Oid			relid;
	uint32		object_id;
	int32		schema_version;
	int32		nindexes;
	bool		kept;			/* relid is that of a table that was dropped */
	const char *nspname;		/* names as of the last DDL of the table */
	const char *name;
	char	   *kind;
	char	   *primary_key;	/* "": none */
	char	   *options;
	char	   *indexes;		/* "": none */
} KalamListedTable;

/*
 * Those of this database, palloc'd; what this transaction has changed is as it has
 * it.  A list that is older than ttl is not good enough.
 */
extern List *kalam_listed_tables(int ttl_ms);

/* As kalam_object_stat, of an object whose size may have been asked for lately. */
extern bool kalam_object_size(uint32 object_id, int nindexes, KalamObjectSize *size);

/* Sizes may be others though nothing was written. */
extern void kalam_object_sizes_forget(void);

#endif							/* KALAM_SYSTEMCACHE_H */
