/*
 * names.h
 *	  Identifiers of the whole server, each once, in memory that processes share.
 *
 * C11 only.  A name that was entered has a number; names are equal iff their
 * numbers are.  Numbers and bytes stay as they are for as long as the memory does;
 * nothing is ever taken out, and there is room for so many bytes.  No lock: a
 * process that dies while it enters a name loses the room for it, no more.
 */
#ifndef KALAM_NAMES_H
#define KALAM_NAMES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct KalamNames KalamNames;

#define KALAM_NAME_NONE			0	/* no name's number */
#define KALAM_MAX_NAME_BYTES	1024

/* Names that are there from the start, under these numbers. */
typedef enum KalamKnownName
{
	KALAM_NAME_EMPTY = 1,		/* "" */
	KALAM_NAME_ROW_ID,			/* _row_id, and so on */
	KALAM_NAME_UPDATED,
	KALAM_NAME_DELETED,
	KALAM_NAME_USER_ID
} KalamKnownName;

extern uint64_t kalam_names_least_bytes(void);
extern void kalam_names_init(KalamNames *names, uint64_t bytes);

/* Its number; entered if it was not.  NONE: too long, or there is no room. */
extern uint32_t kalam_name_enter(KalamNames *names, const char *data, uint32_t len);

/* Its number if it was entered, else NONE. */
extern uint32_t kalam_name_find(KalamNames *names, const char *data, uint32_t len);

/* The bytes of a name, NUL-terminated, in place. */
extern const char *kalam_name_text(const KalamNames *names, uint32_t name);
extern uint32_t kalam_name_len(const KalamNames *names, uint32_t name);

typedef struct KalamNamesStats
{
	uint64_t	names;
	uint64_t	bytes;			/* taken */
	uint64_t	bytes_allowed;
	uint64_t	refused;		/* for want of room */
} KalamNamesStats;

extern void kalam_names_stats(KalamNames *names, KalamNamesStats *stats);

#endif							/* KALAM_NAMES_H */
