/*
 * client_internal.h
 *	  What client.c, cursor.c, loadstream.c and commit.c share about channels.
 */
#ifndef KALAM_CLIENT_INTERNAL_H
#define KALAM_CLIENT_INTERNAL_H

#include "src/backend/client.h"

typedef enum KalamWaitFor
{
	KALAM_WAIT_DONE,			/* the request has ended */
	KALAM_WAIT_BLOCK,			/* or: a block to consume */
	KALAM_WAIT_ROOM				/* or: room for a block */
} KalamWaitFor;

extern bool kalam_channel_wait(KalamChannel *ch, KalamWaitFor what, bool interruptible);
extern bool kalam_channel_is_idle(const KalamChannel *ch);
extern void kalam_channel_cancel(KalamChannel *ch);
extern void kalam_channel_prepare(KalamChannel *ch, KalamOp op, uint32 epoch);
extern void kalam_channel_start(KalamChannel *ch, KalamLaneKind lane);
extern void kalam_channel_start_near(KalamChannel *ch); /* a read answered at once */
extern void kalam_channel_raise(const KalamChannel *ch) pg_attribute_noreturn();
extern void kalam_raise_storage_lost(void) pg_attribute_noreturn();
extern void kalam_cursors_forget_all(void);

/* One of the channels that no slot owns, idle, or NULL; it is given back whatever it does. */
extern KalamChannel *kalam_extra_channel_claim(void);
extern void kalam_extra_channel_release(KalamChannel *ch);

#endif							/* KALAM_CLIENT_INTERNAL_H */
