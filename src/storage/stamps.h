/*
 * stamps.h - published stamps and the snapshots of the store behind them.
 */
#ifndef KALAM_STORAGE_STAMPS_H
#define KALAM_STORAGE_STAMPS_H

#include "src/storage/engine.h"

typedef struct Stamp Stamp;		/* held: its snapshot stays readable */

extern void stamps_open(void);
extern void stamps_close(void); /* every Stamp was given back */

/* The snapshot of a stamp, held, or NULL if it is gone or never was. */
extern Stamp *stamps_get(uint64_t stamp);
extern Stamp *stamps_newest(void);	/* of the published one */
extern void stamp_put(Stamp *s);
extern EngineSnapshot *stamp_snapshot(Stamp *s);

/*
 * Commit thread: takes a snapshot of the store as it is and publishes it as
 * stamp, larger than all before.  Frees what nobody needs, now and then.
 */
extern void stamps_publish(uint64_t stamp);

/* Commit thread, when idle: frees what nobody needs.  True if some are left. */
extern bool stamps_trim(void);

#endif
