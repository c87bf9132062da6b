/*
 * identity.h - whose store a directory holds: file FORMAT, and the server's note of it.
 */
#ifndef KALAM_STORAGE_IDENTITY_H
#define KALAM_STORAGE_IDENTITY_H

#include "src/storage/engine.h"

typedef struct IdentityConfig
{
	int			root_fd;		/* of the data directory, or -1 while it is missing */
	const char *root;
	bool		has_database;	/* there are files of RocksDB in it */
	uint64_t	system_identifier;	/* 0: any */
	const char *witness;		/* path of the server's note, or NULL */
} IdentityConfig;

/* Does the server know of a store?  Then a directory must not be made in its place. */
extern bool identity_is_noted(const char *witness);

/*
 * Checks FORMAT, or writes it where a store begins.  *opened: how often the
 * server has opened it, as far as it knows; 0: it does not.
 */
extern bool identity_check(const IdentityConfig *c, uint32_t *opened, EngineError *err);

/* Did it belong to another server, and has the operator said that it is to be this one's? */
extern bool identity_is_moved_in(void);

/* Its tables are shown as what they are: from now on the store is this server's. */
extern bool identity_take_over(const IdentityConfig *c, EngineError *err);

/* It is open, for the time of this number: from now on the server expects this one. */
extern bool identity_note(const IdentityConfig *c, uint32_t opened, EngineError *err);

#endif
