/*
 * loads.h - the loads that are open or kept, by slot and number.
 *
 * A load is open while its stream comes in, then kept until a COMMIT or PREPARE
 * takes it, its session drops it, or its session is gone.  It is counted: who
 * holds one may read it also when it is dropped meanwhile; its files go with the
 * last hold.
 */
#ifndef KALAM_STORAGE_LOADS_H
#define KALAM_STORAGE_LOADS_H

#include "src/storage/load_watch.h"
#include "src/storage/objects.h"
#include "src/storage/sorter.h"

typedef struct LoadTarget
{
	KalamLoadTarget is;
	Sorter	   *sorter;
	bool		keep_files;		/* the store names them now */
	LoadWatch  *watch;			/* of its object: the first target of the object whose
								 * keys must not be stored has it; else NULL */
} LoadTarget;

typedef struct Load
{
	uint64_t	number;
	uint32_t	slot;
	int32_t		pid;			/* of the slot's owner */
	uint32_t	channel;		/* while it is open */
	_Atomic bool dropped;		/* nobody wants it any more */
	PoolOwner	owner;			/* of its sorters' jobs */

	/* written by the thread that takes the stream in, constant once it is kept */
	LoadTarget *targets;
	uint32_t	ntargets;
	uint32_t	capacity;

	/* loads.c */
	bool		kept;
	uint32_t	holds;
	struct Load *next;
} Load;

/* An open load, held.  NULL if the slot has one of this number. */
extern Load *loads_open(uint32_t slot, uint64_t number, uint32_t channel);

/* It is complete and stays when its holder puts it.  False: it is dropped by now. */
extern bool loads_keep(Load *load);

/* A kept load, held, or NULL.  take: nobody finds it from now on. */
extern Load *loads_get(uint32_t slot, uint64_t number);
extern Load *loads_take(uint32_t slot, uint64_t number);
extern void load_put(Load *load);

/* The slot's newest kept load with a number below `before`, held, or NULL. */
extern Load *loads_earlier(uint32_t slot, uint64_t before);

/* Its holder will not keep it. */
extern void loads_abandon(Load *load);

/* Drops those of a slot with numbers first .. last, also open ones. */
extern void loads_drop(uint32_t slot, uint64_t first, uint64_t last);

/* Drops those whose session is gone. */
extern void loads_sweep(void);

/* No thread runs any more: drops all. */
extern void loads_close(void);

#endif
