/*
 * load_receive.h - a LOAD whose stream comes in, up to where it is kept.
 *
 * Blocks are given to it while it wants more; steps do what is to be done
 * otherwise.  It posts the load's channel when a step that waited has a reason
 * to be tried again.  One thread at a time.
 */
#ifndef KALAM_STORAGE_LOAD_RECEIVE_H
#define KALAM_STORAGE_LOAD_RECEIVE_H

#include "src/storage/sorter.h"

typedef struct LoadReceive LoadReceive;

/*
 * stops(arg): is it canceled?  Asked in steps that take time.  progress: told how
 * far it is, until close.
 */
extern LoadReceive *load_receive_open(const KalamRequest *req, uint32_t slot, uint32_t channel,
									  SorterStops stops, const void *arg,
									  KalamLoadProgress *progress, EngineError *err);

/* If the load has not come to LOAD_DONE it goes. */
extern void load_receive_close(LoadReceive *r);

/* Has it been dropped, from elsewhere? */
extern bool load_receive_dropped(const LoadReceive *r);

/* May the next block be given?  If not, a step is due. */
extern bool load_receive_wants_more(LoadReceive *r);
extern bool load_receive_block(LoadReceive *r, const uint8_t *data, size_t used, uint32_t flags,
							   uint32_t big_total, EngineError *err);

typedef enum LoadStep
{
	LOAD_WAITS,					/* the channel will be posted */
	LOAD_AGAIN,					/* there is more to do */
	LOAD_DONE,					/* the load is kept */
	LOAD_DUPLICATE,				/* see load_receive_duplicate */
	LOAD_ERROR
} LoadStep;

extern LoadStep load_receive_step(LoadReceive *r, EngineError *err);

/* Describes the duplicate; the row is written to `room` if it fits there. */
extern void load_receive_duplicate(const LoadReceive *r, KalamResult *result, uint8_t *room,
								   size_t size, EngineError *err);

#endif
