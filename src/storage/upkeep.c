/*
 * upkeep.c
 *	  FLUSH and COMPACT.
 *
 * Flushing and compacting take RocksDB seconds, so each has a thread of its own
 * with a queue.  A job is shared by its thread and the channel that asked;
 * whoever comes second frees it, so that a canceled request is answered at once
 * while RocksDB goes on.  Each queue has a lock, held to link and unlink only.
 */
#include "src/storage/upkeep.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/storage/log.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"

typedef enum JobState
{
	JOB_WANTED,
	JOB_DONE,
	JOB_ABANDONED
} JobState;

struct UpkeepJob
{
	_Atomic int state;
	KalamOp		op;
	Object	   *object;
	uint32_t	channel;
	bool		good;
	EngineError err;
	UpkeepJob  *next;
};

typedef struct Queue
{
	pthread_mutex_t lock;
	pthread_cond_t more;
	UpkeepJob  *head;
	UpkeepJob **tail;
	bool		stop;
	pthread_t	thread;
} Queue;

static Queue flushes;
static Queue compactions;

/*
 * What was deleted just now is not compacted away while a snapshot from before is
 * held.  Ours go soon after the last commit (stamps.c); for those of others we do not wait.
 */
static void
wait_for_own_snapshots(void)
{
	uint64_t	write = engine_last_write(storage.engine);

	for (int i = 0; i < 50 && engine_oldest_snapshot(storage.engine) < write &&
		 !atomic_load(&storage.stopping); i++)
		usleep(10000);
}

static void
work(UpkeepJob *job)
{
	ObjectRange r = object_range(object_id(job->object));
	EngineFamily *f = object_family(job->object);

	/* RocksDB stops, or aborts, when a file that it writes cannot be completed */
	job->good = store_dir_free_bytes() >= store_dir_reserve_bytes() / 2;
	if (job->good && job->op == KALAM_OP_COMPACT &&
		store_dir_is_damaged(engine_family_name(f), NULL))
	{
		/* it would stop the writes of all others, too */
		job->good = false;
		engine_error(&job->err, KALAM_ERR_CORRUPT,
					 "column family \"%s\" has a damaged file and cannot be compacted",
					 engine_family_name(f));
	}
	else if (job->good)
		job->good = engine_flush(storage.engine, f, &job->err);
	else
		engine_error(&job->err, KALAM_ERR_DISK_FULL, "less than %llu MB are free in the data directory",
					 (unsigned long long) (store_dir_reserve_bytes() >> 21));
	if (job->good && job->op == KALAM_OP_COMPACT)
	{
		wait_for_own_snapshots();
		job->good = engine_compact(storage.engine, f, r.lower, 4, r.upper, 4, &job->err);
	}
	object_put(job->object);
}

static void *
run(void *arg)
{
	Queue	   *q = arg;

	for (;;)
	{
		UpkeepJob  *job;
		uint32_t	channel;

		pthread_mutex_lock(&q->lock);
		while (q->head == NULL && !q->stop)
			pthread_cond_wait(&q->more, &q->lock);
		job = q->head;
		if (job != NULL && (q->head = job->next) == NULL)
			q->tail = &q->head;
		pthread_mutex_unlock(&q->lock);
		if (job == NULL)
			return NULL;
		if (atomic_load(&storage.stopping) || atomic_load(&job->state) == JOB_ABANDONED)
			object_put(job->object);
		else
			work(job);
		channel = job->channel; /* the job may be gone once it is done */
		if (atomic_exchange(&job->state, JOB_DONE) == JOB_ABANDONED)
			free(job);
		else
			kalam_lane_post(storage.seg, KALAM_LANE_READ, channel);
	}
}

static bool
queue_open(Queue *q)
{
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, NULL);
	q->head = NULL;
	q->tail = &q->head;
	q->stop = false;
	return pthread_create(&q->thread, NULL, run, q) == 0;
}

static void
queue_close(Queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
}

bool
upkeep_open(void)
{
	return queue_open(&flushes) && queue_open(&compactions);
}

void
upkeep_close(void)
{
	engine_compact_stop(storage.engine);
	queue_close(&flushes);
	queue_close(&compactions);
}

UpkeepJob *
upkeep_start(KalamOp op, Object *object, uint32_t channel)
{
	Queue	   *q = op == KALAM_OP_FLUSH ? &flushes : &compactions;
	UpkeepJob  *job = calloc(1, sizeof(UpkeepJob));

	atomic_init(&job->state, JOB_WANTED);
	job->op = op;
	job->object = object;
	job->channel = channel;
	pthread_mutex_lock(&q->lock);
	*q->tail = job;
	q->tail = &job->next;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
	return job;
}

bool
upkeep_done(UpkeepJob *job, bool *good, EngineError *err)
{
	if (atomic_load(&job->state) != JOB_DONE)
		return false;
	*good = job->good;
	*err = job->err;
	return true;
}

void
upkeep_abandon(UpkeepJob *job)
{
	if (atomic_exchange(&job->state, JOB_ABANDONED) == JOB_DONE)
		free(job);
}
