/*
 * tablestats.h
 *	  How much of each stored table has changed since it was last analysed, and how
 *	  often the query cache had what was read of it.
 *
 * Counted like PostgreSQL's own statistics of tables, which leave out foreign
 * tables: rows that a transaction wrote or deleted, added up when it commits, in
 * Postgres' shared memory.  They start anew with the server; a table that was not
 * analysed since is to be looked at once.
 */
#ifndef KALAM_TABLESTATS_H
#define KALAM_TABLESTATS_H

#include "postgres.h"
#include "access/transam.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "src/shared/catalog.h"

struct KalamTable;

/* ---- the own transaction ---- */

/* A row of the object is written (or deleted) by the current subtransaction. */
extern void kalam_count_change(uint32 object_id, bool is_delete);

/* So many rows are written by a subtransaction. */
extern void kalam_count_rows(uint32 object_id, SubTransactionId sub, uint64 written);

/* Rows of the object that this transaction has written, less those it deleted. */
extern double kalam_own_rows(uint32 object_id);

/* How many changes have been counted: to be told when the table is analysed. */
extern uint64 kalam_changes_counted(Oid relid);

/* The table has been analysed, with the rows of that count; said at commit. */
extern void kalam_count_analyze(const struct KalamTable *table, uint64 counted);

/* The table is dropped; forgotten at commit. */
extern void kalam_count_drop(Oid relid);

/*
 * So many reads were answered by the query cache, and so many by storage though the
 * cache was asked.  Cheap: others see it some time later, within a second or so of
 * the next transaction's end.  Never raises.
 */
extern void kalam_count_cache(const struct KalamTable *table, uint32 hits, uint32 misses);

/* Shows others what is counted by now. */
extern void kalam_cache_counts_flush(void);

/* Callbacks; never raise. */
extern void kalam_cache_counts_at_xact_end(void);
extern void kalam_counts_at_xact_end(bool committed);
extern void kalam_counts_at_subabort(SubTransactionId sub);
extern void kalam_counts_at_subcommit(SubTransactionId sub, SubTransactionId parent);

/* ---- all transactions ---- */

typedef struct KalamTableStats
{
	Oid			database;
	Oid			relid;
	uint32		nspname;		/* numbers of the names that it had when it was last */
	uint32		name;			/* counted; NONE: not known */
	uint64		changes;		/* rows written and deleted since it was analysed */
	TimestampTz last_analyze;	/* 0: not since the server started */
	TimestampTz last_autoanalyze;
	int64		analyze_count;
	int64		autoanalyze_count;
	bool		unknown;		/* changes from before the server's start are not in it */
	uint64		cache_hits;
	uint64		cache_misses;
} KalamTableStats;

/* Copies of those of a database (or all: InvalidOid), palloc'd. */
extern List *kalam_table_stats(Oid database);

/* A table of which nothing may be known yet, as the store has it. */
extern void kalam_table_stats_add(const KalamTableRecord *record);

/* It has been looked at: what changed before the start is known. */
extern void kalam_table_stats_looked_at(Oid relid);

/* The table, or the whole database (InvalidOid), is gone. */
extern void kalam_table_stats_forget(Oid database, Oid relid);

/* In a process that analyses by itself: says so of what it analyses. */
extern bool kalam_am_autoanalyze;

/* Shared memory: called from the hooks in shmem.c. */
extern Size kalam_table_stats_shmem_size(void);
extern void kalam_table_stats_shmem_request(void);
extern void kalam_table_stats_shmem_init(void);

#endif							/* KALAM_TABLESTATS_H */
