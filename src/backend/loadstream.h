/*
 * loadstream.h
 *	  Records of a load on their way to storage, and back.
 *
 * Rows are formed in place, in the blocks of a channel that the load has for
 * itself while it is sent.  What is a load, and when there is one: load.h.
 */
#ifndef KALAM_LOADSTREAM_H
#define KALAM_LOADSTREAM_H

#include "postgres.h"

#include "src/backend/client.h"

typedef struct KalamLoadStream
{
	KalamChannel *ch;			/* NULL: not open */
	KalamBlock *block;			/* being filled */
	uint32		nblocks;		/* handed over */
	bool		posted;
	bool		ended;			/* there will be no more: the blocks may hold the result */
	char	   *big;			/* a record that fits in no block, or NULL */
} KalamLoadStream;

/* Opens the stream of a new load.  False: no channel is free. */
extern bool kalam_load_stream_begin(KalamLoadStream *st, uint64 number);

/* Before anything is put: the first table that is filled, for kalam.progress. */
extern void kalam_load_stream_is_for(KalamLoadStream *st, Oid relid);

/*
 * Room for a value of so many bytes in a record of this key: 2 behind a multiple of 8,
 * to be filled at once, before kalam_load_stream_done.  NULL: the load has ended
 * already, and its result says why.
 */
extern uint8 *kalam_load_stream_put(KalamLoadStream *st, uint16 target, uint16 flags, uint64 tag,
									const uint8 *key, size_t key_len, size_t value_len);
extern void kalam_load_stream_send_big(KalamLoadStream *st);

/*
 * The same for a value whose size is known once it is formed: the place where it would
 * lie, if it fits into *room bytes; NULL: none is left.  It becomes a record by
 * kalam_load_stream_placed.
 */
extern uint8 *kalam_load_stream_place(KalamLoadStream *st, size_t key_len, size_t *room);
extern void kalam_load_stream_placed(KalamLoadStream *st, uint16 target, uint64 tag,
									 const uint8 *key, size_t key_len, size_t value_len);

static inline void
kalam_load_stream_done(KalamLoadStream *st)
{
	if (unlikely(st->big != NULL))
		kalam_load_stream_send_big(st);
}

/*
 * Sends the end and waits until storage is done: st->ch->result says how it went.  If it
 * raises, it may be called again, but nothing can be put any more.
 */
extern void kalam_load_stream_end(KalamLoadStream *st);

/* Gives the channel back, and stops the load if it is not done.  Never raises. */
extern void kalam_load_stream_close(KalamLoadStream *st);

/* Reads a load back, in the order of keys; what is handed over is good during the call. */
typedef void (*KalamLoadRead) (void *arg, const KalamLoadRecord *record);
extern void kalam_load_read(uint64 number, KalamLoadRead function, void *arg);

#endif							/* KALAM_LOADSTREAM_H */
