/*
 * recovery.c
 *	  Looks at the store as it lies on disk, before it is opened.
 *
 * RocksDB replays its log up to the first damaged byte, takes that for the torn
 * end that a power loss leaves, and goes on without the rest.  So the log is
 * read beforehand without changing a thing: if the last commit in it is older
 * than one that is known to have been on disk, the store is left as it is.
 */
#include "src/storage/recovery.h"

#include "src/storage/log.h"
#include "src/storage/pending.h"
#include "src/storage/state_file.h"
#include "src/storage/store_dir.h"

static bool
read_last_stamp(const EngineConfig *config, uint64_t *stamp, EngineError *err)
{
	EngineConfig to_look = *config;
	Engine	   *e;
	EngineFamily *catalog;
	bool		good;

	to_look.block_cache_bytes = 1 << 20;
	e = engine_open_to_look(&to_look, err);
	if (e == NULL)
		return false;
	catalog = engine_opened(e, 0);
	good = state_row_read_in(e, catalog, 'c', stamp, err);
	engine_family_close(catalog);
	engine_close(e);
	return good;
}

bool
recovery_check(const EngineConfig *config, EngineError *err)
{
	uint64_t	synced = state_file_synced();
	uint64_t	stamp = 0;
	EngineError cause;

	if (store_dir_has_current())
	{
		if (!read_last_stamp(config, &stamp, &cause))
		{
			engine_error(err, cause.code, "could not read the database in \"%.200s\": %.280s",
						 config->db_directory, cause.message);
			return false;
		}
	}
	else if (store_dir_has_database())
	{
		engine_error(err, KALAM_ERR_CORRUPT,
					 "file \"CURRENT\" is missing in \"%.200s\": it holds one line, the name of the newest MANIFEST",
					 config->db_directory);
		return false;
	}
	if (stamp < synced &&
		!store_dir_accept(err, "the store ends at commit %llu, but commit %llu was on disk: a file \".log\" "
						  "in its folder db is damaged, or files are old",
						  (unsigned long long) stamp, (unsigned long long) synced))
		return false;
	return state_file_begin(stamp < synced ? stamp : synced, err);
}
