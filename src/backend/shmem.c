/*
 * shmem.c
 *	  The shared segment, made by the postmaster.
 *
 * The segment is an anonymous file that the postmaster maps before any other
 * process exists; backends inherit the mapping, and the supervisor hands the
 * descriptor to the storage program.  When the postmaster starts afresh after
 * a crash it makes a new file: a storage process of before, which may take a
 * moment to die, then writes into memory that nobody else sees any more.
 *
 * Postgres' own shared memory holds what only backends touch: row locks, the
 * transactions in doubt, counts of changes, caches and the supervisor's notes.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "src/backend/autoanalyze.h"
#include "src/backend/caches.h"
#include "src/backend/indoubt.h"
#include "src/backend/resolve.h"
#include "src/backend/rowlock.h"
#include "src/backend/schemacache.h"
#include "src/backend/shmem.h"
#include "src/backend/snapshot.h"
#include "src/backend/tablestats.h"
#include "storage/backendid.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#ifdef EXEC_BACKEND
#error "kalam_fdw needs backends that inherit the postmaster's memory"
#endif

KalamSegment *kalam_segment = NULL;
int			kalam_segment_fd = -1;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/* Rooms in Postgres' shared memory. */
static const struct
{
	Size		(*size) (void);
	void		(*request) (void);	/* LWLocks, or NULL */
	void		(*init) (void);
}			rooms[] =
{
	{kalam_row_lock_shmem_size, kalam_row_lock_shmem_request, kalam_row_lock_shmem_init},
	{kalam_resolve_shmem_size, NULL, kalam_resolve_shmem_init},
	{kalam_indoubt_shmem_size, NULL, kalam_indoubt_shmem_init},
	{kalam_snapshot_shmem_size, NULL, kalam_snapshot_shmem_init},
	{kalam_table_stats_shmem_size, kalam_table_stats_shmem_request, kalam_table_stats_shmem_init},
	{kalam_schema_cache_shmem_size, NULL, kalam_schema_cache_shmem_init},
	{kalam_autoanalyze_shmem_size, NULL, kalam_autoanalyze_shmem_init},
	{kalam_caches_shmem_size, NULL, kalam_caches_shmem_init},
};

static void
set_data_directory(KalamConfig *config)
{
	const char *path = kalam_data_directory;
	int			len;

	if (path == NULL || path[0] == '\0')
		path = "kalam";
	if (is_absolute_path(path))
		len = snprintf(config->data_directory, sizeof(config->data_directory), "%s", path);
	else
		len = snprintf(config->data_directory, sizeof(config->data_directory), "%s/%s",
					   DataDir, path);

	if (len < 0 || len >= (int) sizeof(config->data_directory))
		ereport(FATAL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the path of \"kalam.data_directory\" is too long"),
				 errdetail("It may have %d bytes.", KALAM_PATH_BYTES - 1)));
	canonicalize_path(config->data_directory);
}

static void
drop_segment(void)
{
	if (kalam_segment != NULL)
		munmap(kalam_segment, kalam_segment->size_bytes);
	if (kalam_segment_fd >= 0)
		close(kalam_segment_fd);
	kalam_segment = NULL;
	kalam_segment_fd = -1;
}

static void
create_segment(void)
{
	KalamConfig config;
	uint64		size;
	void	   *base;
	int			fd;

	memset(&config, 0, sizeof(config));
	config.nslots = MaxBackends + 1;
	config.nextra = Max(64, MaxBackends);
	config.read_threads = kalam_read_threads;
	config.load_threads = kalam_load_threads;
	config.background_jobs = kalam_background_jobs;
	config.max_families = kalam_max_families;
	config.nbuckets = kalam_segment_buckets((uint64) kalam_query_cache_size * 1024);
	config.block_cache_bytes = (uint64) kalam_block_cache_size * 1024;
	config.write_buffer_bytes = (uint64) kalam_write_buffer_size * 1024;
	config.system_identifier = GetSystemIdentifier();
	set_data_directory(&config);

	size = kalam_segment_size(&config);

	/* Not for programs that a backend runs; the supervisor hands it on. */
	fd = memfd_create("kalam", MFD_CLOEXEC);
	if (fd < 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not create the shared segment of kalam_fdw: %m")));
	if (ftruncate(fd, size) != 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not size the shared segment of kalam_fdw to %llu bytes: %m",
						(unsigned long long) size)));
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not map the shared segment of kalam_fdw, %llu bytes: %m",
						(unsigned long long) size),
				 errhint("Its size grows with max_connections and max_worker_processes.")));

	kalam_segment_init(base, &config);
	kalam_segment = base;
	kalam_segment_fd = fd;
}

static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	for (int i = 0; i < lengthof(rooms); i++)
	{
		RequestAddinShmemSpace(rooms[i].size());
		if (rooms[i].request)
			rooms[i].request();
	}
}

static void
shmem_startup(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	/* A stand-alone backend has nobody to start a storage process. */
	if (!IsPostmasterEnvironment)
		return;

	drop_segment();
	create_segment();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < lengthof(rooms); i++)
		rooms[i].init();
	LWLockRelease(AddinShmemInitLock);
}

void
kalam_shmem_install(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

uint32
kalam_my_slot_index(void)
{
	if (kalam_am_supervisor)
		return kalam_segment->config.nslots - 1;

	if (MyBackendId == InvalidBackendId)
		elog(ERROR, "this process cannot use stored tables");
	return MyBackendId - 1;
}
