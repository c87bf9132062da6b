/*
 * split.h
 *	  Pieces of a range of stored keys: to be read side by side, or as a sample.
 */
#ifndef KALAM_SPLIT_H
#define KALAM_SPLIT_H

#include "postgres.h"
#include "src/shared/segment.h"

/* Keys from lower on, upper excluded. */
typedef struct KalamRangePiece
{
	uint64		bytes;			/* estimate */
	uint32		places;			/* random ones chosen in it; else 1 */
	uint16		lower_len;
	uint16		upper_len;
	const uint8 *lower;
	const uint8 *upper;
} KalamRangePiece;

typedef struct KalamPieces
{
	uint64		bytes;			/* of the whole range: estimate */
	uint32		npieces;
	KalamRangePiece pieces[FLEXIBLE_ARRAY_MEMBER];
} KalamPieces;

/*
 * Cuts the range into about `wanted` pieces of about equal bytes, in order; fewer
 * if they would be smaller than grain_bytes (0: 64 KB).  They are the whole range
 * in whatever snapshot they are read.  An object that storage does not know, as
 * one that this transaction has created, gives one piece.  In the current
 * memory context.
 */
extern KalamPieces *kalam_split(uint32 object_id, const uint8 *lower, uint16 lower_len,
								const uint8 *upper, uint16 upper_len,
								uint32 wanted, uint32 grain_bytes);

/*
 * Pieces of about grain_bytes in which `wanted` random places lie, each byte being
 * as likely as any other; fewer if their keys are long.
 */
extern KalamPieces *kalam_sample_pieces(uint32 object_id, const uint8 *lower, uint16 lower_len,
										const uint8 *upper, uint16 upper_len,
										uint32 wanted, uint32 grain_bytes, uint64 seed);

/* With which flags (KALAM_SCAN_*) such pieces are read, if all of them are. */
extern uint32 kalam_piece_flags(const KalamPieces *pieces);

#endif							/* KALAM_SPLIT_H */
