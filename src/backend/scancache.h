/*
 * scancache.h
 *	  Results of scans in the query cache: rows, counts and groups as storage sends
 *	  them.
 *
 *		if (kalam_scan_result_find(result, &request) != KALAM_RESULT_FOUND)
 *			... the scan is made, and its cursors hand their blocks to
 *			kalam_scan_result_take, which keeps them if that is worth it ...
 *		while ((row = kalam_scan_result_next(result)) != NULL)
 *			...
 *		if (!kalam_scan_result_is_whole(result))
 *			... the scan is made behind the place that kalam_scan_result_go_on tells ...
 *		kalam_scan_result_close(result);
 *
 * The request itself is the key, so that equal keys ask the same question.  A result
 * is all that there is, or its beginning.
 */
#ifndef KALAM_SCANCACHE_H
#define KALAM_SCANCACHE_H

#include "postgres.h"
#include "src/backend/caches.h"
#include "src/backend/client.h"

typedef struct KalamScanResult KalamScanResult;

/*
 * Of one scan, again and again; kept for so many ms.  It lives in the context, and so
 * does what it gathers.
 */
extern KalamScanResult *kalam_scan_result_create(uint64 ttl, MemoryContext context);

/* Does this transaction know of rows or entries in the object that others do not? */
extern bool kalam_scan_result_own_changes(uint32 object_id);

/* What a scan asks for. */
typedef struct KalamResultRequest
{
	const KalamRange *range;	/* object, flags, stamp, limit, and sections of input */
	const KalamKeyRange *ranges;	/* instead of its own ones; in this order */
	int			nranges;
	const uint8 *aggregates;	/* a section, or NULL */
	uint32		aggregates_len;
	double		bytes;			/* that may come, as planned; 0: few, or not known */
} KalamResultRequest;

/* Is its result kept?  If it is missed, it will be, if it is worth it. */
typedef enum KalamResultFind
{
	KALAM_RESULT_NOT_ASKED = 0, /* the request is too long for a key */
	KALAM_RESULT_MISSED,
	KALAM_RESULT_FOUND
} KalamResultFind;

extern KalamResultFind kalam_scan_result_find(KalamScanResult *r,
											  const KalamResultRequest *request);

/* ---- reading ---- */

extern bool kalam_scan_result_is_found(const KalamScanResult *r);

/* The next row, or, where rows are counted, so many more; NULL and 0: at the end. */
extern const KalamRow *kalam_scan_result_next(KalamScanResult *r);
extern uint64 kalam_scan_result_next_count(KalamScanResult *r);

extern bool kalam_scan_result_is_whole(const KalamScanResult *r);

/*
 * The rows have been read, and others are wanted: makes `range` go on behind them.
 * The longer result may be kept then.
 */
extern void kalam_scan_result_go_on(KalamScanResult *r, KalamRange *range);

/* ---- keeping ---- */

extern bool kalam_scan_result_is_wanted(const KalamScanResult *r);

/* It comes in answers to requests for so many pieces, one behind the other. */
extern void kalam_scan_result_in_pieces(KalamScanResult *r, int n);

/* A part of an answer, in order. */
typedef struct KalamResultBlock
{
	const void *rows;			/* KalamRow entries; none where rows are counted */
	Size		len;
	uint64		nrows;
	bool		last;			/* of the answer; */
	bool		whole;			/* nothing lies behind it, either */
	uint32		resume_range;	/* it goes on behind this key of this range; */
	uint16		resume_len;		/* 0: not known */
	const uint8 *resume;
} KalamResultBlock;

extern void kalam_scan_result_take(KalamScanResult *r, const KalamResultBlock *block);

/* ---- the end ---- */

/* No row of it is looked at any more; what came up to here is kept. */
extern void kalam_scan_result_close(KalamScanResult *r);

#ifdef KALAM_STOP_POINTS
/* Compares what was found with what storage sends; a server that is wrong ends. */
extern void kalam_scan_result_verify(const KalamScanResult *r, KalamCursor *cursor, bool counts);
#endif

#endif							/* KALAM_SCANCACHE_H */
