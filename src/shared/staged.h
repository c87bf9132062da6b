/*
 * staged.h
 *	  A transaction's changes before they are committed, as far as memory holds
 *	  them: changes.h has the rest.
 *
 * C11 only; memory comes through two callbacks, so that a backend gives it
 * palloc'd memory and a unit test malloc'd.  Single-threaded.
 *
 * Two structures over the same changes:
 *	 - a log, in the order of writing: what a commit sends.  It is a stack:
 *	   rolling back a subtransaction pops its changes off the end.
 *	 - a skip list over the keys, each with the chain of its versions, newest
 *	   first: what scans merge with what is stored, and what finds own rows.
 * A key above all keys so far is put in without a search, so that sorted input
 * costs the same for the millionth row as for the first.
 *
 * Nothing is overwritten in place: a cursor that is open sees the versions of
 * the commands before it for as long as it lives.
 */
#ifndef KALAM_STAGED_H
#define KALAM_STAGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct KalamStaged KalamStaged;
typedef struct KalamStagedKey KalamStagedKey;

/* One version of one key.  Lives until it is popped or the whole is freed. */
typedef struct KalamStagedVersion
{
	struct KalamStagedVersion *older;	/* of the same key, or NULL */
	KalamStagedKey *key;
	uint32_t	command_id;		/* of the command that wrote it */
	uint32_t	value_len;		/* bytes of value; 0 for a deletion */
	uint8_t		op;				/* KalamChangeOp */
	uint8_t		flags;			/* the caller's own; 0 at first */
	uint8_t		unused[2];
	uint32_t	back;			/* private to staged.c */
	uint32_t	sub;			/* the caller's own; 0 at first */
	uint32_t	unused2;
	uint8_t		value[];		/* 8-aligned; as protocol.h's stored value */
} KalamStagedVersion;

/* A place in the log, to go back to.  Good until something below it is popped. */
typedef struct KalamStagedMark
{
	uint64_t	nversions;
} KalamStagedMark;

/* alloc returns 16-aligned memory or does not return (it may raise). */
typedef struct KalamStagedMemory
{
	void	   *(*alloc) (void *arg, size_t size);
	void		(*free) (void *arg, void *ptr, size_t size);
	void	   *arg;
} KalamStagedMemory;

extern KalamStaged *kalam_staged_create(const KalamStagedMemory *memory);
extern void kalam_staged_destroy(KalamStaged *s);

/*
 * Adds a version of key.  The value's bytes are left to the caller to fill, in
 * version->value, before anything else is called.  If alloc raises, nothing
 * has changed.
 */
extern KalamStagedVersion *kalam_staged_add(KalamStaged *s, const void *key, size_t key_len,
											uint8_t op, uint32_t command_id, size_t value_len);

extern KalamStagedMark kalam_staged_mark(const KalamStaged *s);
extern void kalam_staged_pop_to(KalamStaged *s, KalamStagedMark mark);

extern uint64_t kalam_staged_count(const KalamStaged *s);	/* versions in the log */
extern uint64_t kalam_staged_bytes(const KalamStaged *s);	/* memory taken */

/*
 * The entry of exactly this key, or NULL.  Entries live until the whole is
 * destroyed; one may have no version left.
 */
extern KalamStagedKey *kalam_staged_find(const KalamStaged *s, const void *key, size_t len);

/* The first entry at or behind this key, or NULL; the last one before it. */
extern KalamStagedKey *kalam_staged_seek(const KalamStaged *s, const void *key, size_t len);
extern KalamStagedKey *kalam_staged_seek_before(const KalamStaged *s, const void *key, size_t len);
extern KalamStagedKey *kalam_staged_next(const KalamStagedKey *k);

extern const uint8_t *kalam_staged_key_bytes(const KalamStagedKey *k, size_t *len);

/* The newest version, or NULL. */
extern KalamStagedVersion *kalam_staged_newest(const KalamStagedKey *k);

/* The newest version that a command before `command_id` wrote, or NULL. */
extern KalamStagedVersion *kalam_staged_visible(const KalamStagedKey *k, uint32_t command_id);

/*
 * Walks the log from version number `from` (0: the first).  The walk is good
 * until the next pop.
 */
typedef struct KalamStagedWalk
{
	const KalamStaged *staged;
	uint64_t	position;		/* number of the next version */
	void	   *place;			/* the rest is private */
	size_t		offset;
} KalamStagedWalk;

extern void kalam_staged_walk(KalamStagedWalk *walk, const KalamStaged *s, uint64_t from);
extern KalamStagedVersion *kalam_staged_walk_next(KalamStagedWalk *walk);

#endif							/* KALAM_STAGED_H */
