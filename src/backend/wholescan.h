/*
 * wholescan.h
 *	  All rows that are visible to the running command, newest committed and own
 *	  ones, in key order: for DDL that reads or rewrites a table, and ANALYZE.
 */
#ifndef KALAM_WHOLESCAN_H
#define KALAM_WHOLESCAN_H

#include "postgres.h"
#include "utils/rel.h"

typedef struct KalamWholeScan KalamWholeScan;
extern KalamWholeScan *kalam_whole_scan_begin(Relation rel);
extern MinimalTuple kalam_whole_scan_next(KalamWholeScan *scan, const uint8 **key, size_t *key_len);
extern void kalam_whole_scan_end(KalamWholeScan *scan);

#endif							/* KALAM_WHOLESCAN_H */
