/*
 * main.c
 *	  kalam_storage: the process that owns the store.
 *
 *	 kalam_storage --segment-fd N --epoch E --parent-pid P [--timeline T] [--witness PATH]
 *
 * Started by the supervisor with the segment's descriptor inherited; dies with
 * it.  The main thread opens everything, starts the threads, then waits for
 * SIGTERM and looks after idle cursors.  What cannot be opened is said in the
 * segment (state FAILED and a message), and the exit code is 1.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/storage/adopt.h"
#include "src/storage/channels.h"
#include "src/storage/committer.h"
#include "src/storage/identity.h"
#include "src/storage/load_pool.h"
#include "src/storage/loader.h"
#include "src/storage/loads.h"
#include "src/storage/log.h"
#include "src/storage/objects.h"
#include "src/storage/reader.h"
#include "src/storage/reclaim.h"
#include "src/storage/recovery.h"
#include "src/storage/stamps.h"
#include "src/storage/state_file.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"
#include "src/storage/upkeep.h"

#define LOCK_WAIT_MS 3000
#define IDLE_NS UINT64_C(1000000000)

Storage		storage;

typedef struct Arguments
{
	int			segment_fd;
	uint32_t	epoch;
	pid_t		parent;
	uint32_t	timeline;		/* of the server; 0: not known */
	const char *witness;		/* the server's note of its store, or NULL */
} Arguments;

static bool
parse_arguments(int argc, char **argv, Arguments *a)
{
	a->segment_fd = -1;
	a->parent = 0;
	for (int i = 1; i + 1 < argc; i += 2)
	{
		if (strcmp(argv[i], "--segment-fd") == 0)
			a->segment_fd = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--epoch") == 0)
			a->epoch = (uint32_t) strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--parent-pid") == 0)
			a->parent = (pid_t) atol(argv[i + 1]);
		else if (strcmp(argv[i], "--timeline") == 0)
			a->timeline = (uint32_t) strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--witness") == 0)
			a->witness = argv[i + 1];
		else
			return false;
	}
	return a->segment_fd >= 0 && a->parent != 0 && argc % 2 == 1;
}

static bool
map_segment(int fd)
{
	struct stat st;
	void	   *p;

	if (fstat(fd, &st) != 0 || st.st_size <= 0)
		return false;
	p = mmap(NULL, (size_t) st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return false;
	if (!kalam_segment_check(p, (uint64_t) st.st_size))
		return false;
	storage.seg = p;
	storage.nslots = storage.seg->config.nslots;
	storage.nchannels = storage.seg->nchannels;
	return true;
}

/* What the parent had open is not ours to keep open. */
static void
close_inherited(int keep)
{
	if (keep > 3)
		close_range(3, (unsigned) keep - 1, 0);
	close_range(keep < 3 ? 3 : (unsigned) keep + 1, ~0u, 0);
}

static uint32_t
count_cores(void)
{
	cpu_set_t	set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (uint32_t) CPU_COUNT(&set);
}

static int
file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return 256;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	getrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur / 2 > 4096 ? 4096 : (int) (r.rlim_cur / 2);
}

/* Says why the store could not be opened, and ends. */
static void __attribute__((noreturn))
exit_failed(const EngineError *err)
{
	KalamSegment *seg = storage.seg;

	seg->failure_code = err->code;
	snprintf(seg->failure_message, sizeof(seg->failure_message), "%s", err->message);
	atomic_store(&seg->state, KALAM_STORAGE_FAILED);
	_exit(1);
}

static void __attribute__((noreturn))
give_up(const EngineError *err)
{
	log_fatal("%s", err->message);
	if (err->code == KALAM_ERR_DISK_FULL)
		store_dir_free_ballast();
	exit_failed(err);
}

void
storage_die(const EngineError *err)
{
	char		family[64];

	log_fatal("could not write to the store: %s", err->message);
	if (err->code == KALAM_ERR_DISK_FULL)
		store_dir_free_ballast();
	else if (engine_family_of_file(storage.engine, err->message, family, sizeof(family)))
	{
		log_warning("column family \"%s\" has a damaged file and is not compacted from now on", family);
		store_dir_note_damaged(family);
	}
	/* who could not even complete what was begun will not be able to next time */
	if (atomic_load(&storage.seg->state) == KALAM_STORAGE_RECOVERING)
		exit_failed(err);
	atomic_store(&storage.seg->state, KALAM_STORAGE_DOWN);
	_exit(1);
}

/* A failed flush or compaction: can RocksDB go on, or must a successor? */
static void
check_engine(uint64_t *failures)
{
	uint64_t	now = engine_failures(storage.engine);
	EngineError err;

	if (now == *failures)
		return;
	*failures = now;
	if (!engine_takes_writes(storage.engine, &err))
		storage_die(&err);
	log_warning("a flush or compaction failed and is tried again; see file LOG in \"%s\"",
				store_dir_db());
}

static EngineConfig
engine_config(void)
{
	const KalamConfig *config = &storage.seg->config;
	EngineConfig ec = {
		.db_directory = store_dir_db(),
		.block_cache_bytes = config->block_cache_bytes,
		.write_buffer_bytes = config->write_buffer_bytes,
		.background_jobs = config->background_jobs > 0 ? config->background_jobs : 2,
		.max_open_files = file_limit(),
		.little_space = store_dir_free_bytes() < store_dir_reserve_bytes(),
		.options_of = store_dir_hint,
		.is_damaged = store_dir_is_damaged,
	};

	return ec;
}

/* Opens the database; its lock may be held by a predecessor for a moment. */
static Engine *
open_engine_once(EngineError *err)
{
	EngineConfig ec = engine_config();
	uint64_t	deadline = now_ns() + (uint64_t) LOCK_WAIT_MS * 1000000;
	struct timespec pause = {0, 20 * 1000 * 1000};

	if (!recovery_check(&ec, err))
		return NULL;
	for (;;)
	{
		EngineError cause;
		Engine	   *e = engine_open(&ec, &cause);

		if (e != NULL)
			return e;
		if (strstr(cause.message, "/LOCK") == NULL || now_ns() > deadline)
		{
			engine_error(err, cause.code, "could not open the database in \"%.200s\": %.280s",
						 store_dir_db(), cause.message);
			return NULL;
		}
		nanosleep(&pause, NULL);
	}
}

static Engine *
open_engine(EngineError *err)
{
	Engine	   *e = open_engine_once(err);

	if (e == NULL && err->code == KALAM_ERR_DISK_FULL && store_dir_free_ballast())
		e = open_engine_once(err);
	return e;
}

static void
open_all(const Arguments *a)
{
	const KalamConfig *config = &storage.seg->config;
	StoreDirConfig dir = {
		.path = config->data_directory,
		.system_identifier = config->system_identifier,
		.witness = a->witness,
		.timeline = a->timeline,
		.lock_wait_ms = LOCK_WAIT_MS,
	};
	EngineError err;

	if (!store_dir_open(&dir, &err))
		give_up(&err);
	store_dir_set_reserve(config->write_buffer_bytes);
	if (store_dir_can_open(&err))
		storage.engine = open_engine(&err);
	if (storage.engine == NULL)
		give_up(&err);
	stamps_open();
	if (!objects_open(&err) || !committer_recover(&err) ||
		(identity_is_moved_in() && !adopt_tables(&err)) || !store_dir_opened(&dir, &err))
		give_up(&err);
	store_dir_make_ballast();
	channels_open();
	atomic_store(&storage.seg->state, KALAM_STORAGE_RECOVERING);
	if (!committer_open() || !upkeep_open() || !reclaim_open() ||
		!load_pool_open(config->load_threads > 0 ? config->load_threads : 1) ||
		!loaders_open(config->load_threads > 0 ? config->load_threads : 1) ||
		!readers_open(config->read_threads > 0 ? config->read_threads : 1))
	{
		engine_error(&err, KALAM_ERR_MEMORY, "could not start threads: %s", strerror(errno));
		give_up(&err);
	}
	channels_post_all();
}

static void
close_all(void)
{
	EngineError err;
	bool		synced;

	atomic_store(&storage.seg->state, KALAM_STORAGE_STOPPING);
	atomic_store(&storage.stopping, true);
	readers_close();
	loaders_close();
	committer_close();
	upkeep_close();
	reclaim_close();
	channels_close();
	loads_close();
	load_pool_close();
	stamps_close();
	synced = engine_sync(storage.engine, &err);
	if (!synced)
		log_warning("could not write the log to disk: %s", err.message);
	else
		state_file_note(atomic_load(&storage.seg->pub));
	objects_close();
	engine_close(storage.engine);
	if (synced && !state_file_end(&err))
		log_warning("%s", err.message);
	store_dir_close();
}

int
main(int argc, char **argv)
{
	Arguments	a = {0};
	sigset_t	signals;
	uint64_t	start = now_ns();
	uint64_t	failures = 0;

	if (!parse_arguments(argc, argv, &a))
	{
		fprintf(stderr, "usage: kalam_storage --segment-fd N --epoch E --parent-pid P"
				" [--timeline T] [--witness PATH]\n"
				"It is started by the server, not by hand.\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != a.parent)
		return 1;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);

	close_inherited(a.segment_fd);
	umask(0077);
	if (!map_segment(a.segment_fd))
	{
		log_fatal("descriptor %d is not a segment of this version", a.segment_fd);
		return 1;
	}
	storage.epoch = a.epoch;
	storage.ncores = count_cores();
	kalam_segment_storage_reset(storage.seg);
	atomic_store(&storage.seg->state, KALAM_STORAGE_STARTING);
	open_all(&a);
	log_info("opened \"%s\" in %llu ms, %u transactions pending",
			 storage.seg->config.data_directory,
			 (unsigned long long) ((now_ns() - start) / 1000000), atomic_load(&storage.seg->pending));

	for (;;)
	{
		struct timespec tick = {0, 250 * 1000 * 1000};

		if (sigtimedwait(&signals, NULL, &tick) == SIGTERM)
			break;
		channels_post_idle(IDLE_NS);
		check_engine(&failures);
	}
	log_info("shutting down");
	close_all();
	log_info("closed \"%s\"", storage.seg->config.data_directory);
	return 0;
}
