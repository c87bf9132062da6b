/*
 * load_receive.c
 *	  A LOAD: records into sorters, then what they have written is kept.
 *
 * Memory is bounded over all targets of the load: half of what it may use is for
 * records that are gathered, half for those that the sorters' threads work on.
 * When the second half is full nothing more is taken in until a job has ended.
 *
 * A duplicate ends the load, but not before what has come is merged: of several
 * the one that came first is told, and its row, which may be another target's,
 * must be in a file to be found.
 */
#include "src/storage/load_receive.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/bulk.h"
#include "src/storage/load_check.h"
#include "src/storage/load_compare.h"
#include "src/storage/load_stream.h"
#include "src/storage/stop_point.h"
#include "src/storage/storage.h"

#define MIN_MEMORY (UINT64_C(1) << 20)

typedef enum ReceiveState
{
	RECEIVES,					/* blocks come */
	FINISHES,					/* all records are there, or there was a duplicate */
	COMPARES,					/* with earlier loads */
	KEPT
} ReceiveState;

struct LoadReceive
{
	Load	   *load;
	ReceiveState state;
	LoadStream	stream;
	uint64_t	files;			/* number in the names of its files */
	uint64_t	memory;
	uint64_t	rows;
	uint64_t	bytes;
	LoadCompare *compare;
	LoadDuplicate duplicate;
	SorterStops stops;
	const void *arg;
	KalamLoadProgress *progress;
};

LoadReceive *
load_receive_open(const KalamRequest *req, uint32_t slot, uint32_t channel, SorterStops stops,
				  const void *arg, KalamLoadProgress *progress, EngineError *err)
{
	LoadReceive *r;
	Load	   *load = req->load != 0 ? loads_open(slot, req->load, channel) : NULL;

	if (load == NULL)
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a load cannot have the number %llu",
					 (unsigned long long) req->load);
		return NULL;
	}
	r = calloc(1, sizeof(LoadReceive));
	r->load = load;
	r->files = bulk_next_number();
	r->memory = req->memory > MIN_MEMORY ? req->memory : MIN_MEMORY;
	r->stops = stops;
	r->arg = arg;
	r->progress = progress;
	return r;
}

void
load_receive_close(LoadReceive *r)
{
	if (r->compare != NULL)
		load_compare_close(r->compare);
	if (r->state != KEPT)
	{
		for (uint32_t i = 0; i < r->load->ntargets; i++)
			sorter_cancel(r->load->targets[i].sorter);
		loads_abandon(r->load);
	}
	load_put(r->load);
	load_duplicate_free(&r->duplicate);
	load_stream_free(&r->stream);
	free(r);
}

bool
load_receive_dropped(const LoadReceive *r)
{
	return atomic_load(&r->load->dropped);
}

/* ---- what comes ---- */

/* A thread of a sorter has done something. */
static void
post_channel(void *arg)
{
	kalam_lane_post(storage.seg, KALAM_LANE_LOAD, (uint32_t) (uintptr_t) arg);
}

/* How rows of the target are stored: as its object is, or as it will be. */
static bool
find_options(KalamLoadTarget *t, EngineError *err)
{
	Object	   *o;

	if (t->flags & KALAM_TARGET_NEW)
		return objects_check_new(t->object_id, t->options, err);
	o = objects_get(t->object_id);
	if (o == NULL)
	{
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", t->object_id);
		return false;
	}
	t->options = object_options(o);
	object_put(o);
	return true;
}

static bool
open_target(void *arg, const KalamLoadTarget *target, EngineError *err)
{
	LoadReceive *r = arg;
	Load	   *l = r->load;
	SorterConfig config = {
		.target = *target,
		.load = r->files,
		.memory = r->memory,
		.owner = &l->owner,
		.changed = post_channel,
		.arg = (void *) (uintptr_t) l->channel,
	};

	if (!find_options(&config.target, err))
		return false;
	if (l->ntargets == l->capacity)
	{
		l->capacity = l->capacity == 0 ? 4 : 2 * l->capacity;
		l->targets = realloc(l->targets, l->capacity * sizeof(LoadTarget));
		if (l->targets == NULL)
			abort();
	}
	/* before its first key is looked up */
	l->targets[l->ntargets] = (LoadTarget) {.is = config.target, .watch = load_check_watch(l, target)};
	l->targets[l->ntargets++].sorter = sorter_open(&config);
	STOP_POINT("load_target");
	return true;
}

static bool
add_record(void *arg, const LoadRecord *record, EngineError *err)
{
	LoadReceive *r = arg;
	LoadTarget *t = &r->load->targets[record->target];

	(void) err;
	sorter_add(t->sorter, record->tag, record->key, record->key_len, record->value,
			   record->value_len);
	r->rows += t->is.index_id == 0;
	r->bytes += record->key_len + record->value_len;
	return true;
}

/* ---- memory ---- */

/* Hands records to the sorters' threads until those that are gathered fit into half. */
static void
make_room(LoadReceive *r)
{
	for (;;)
	{
		uint64_t	gathered = 0;
		size_t		most = 0;
		Sorter	   *largest = NULL;

		for (uint32_t i = 0; i < r->load->ntargets; i++)
		{
			size_t		n = sorter_buffered(r->load->targets[i].sorter);

			gathered += n;
			if (n > most)
			{
				most = n;
				largest = r->load->targets[i].sorter;
			}
		}
		if (largest == NULL || gathered <= r->memory / 2)
			return;
		sorter_flush(largest);
	}
}

static bool
has_room(const LoadReceive *r)
{
	uint64_t	bytes = 0;

	for (uint32_t i = 0; i < r->load->ntargets; i++)
		bytes += sorter_in_jobs(r->load->targets[i].sorter);
	return bytes <= r->memory / 2;
}

/* ---- how far it is ---- */

static void
tell_progress(LoadReceive *r)
{
	SorterProgress sum = {0};
	KalamLoadPhase phase = r->state == RECEIVES ? KALAM_LOAD_RECEIVES :
		r->state == FINISHES ? KALAM_LOAD_MERGES : KALAM_LOAD_CHECKS;

	for (uint32_t i = 0; i < r->load->ntargets; i++)
	{
		SorterProgress p;

		sorter_progress(r->load->targets[i].sorter, &p);
		sum.bytes += p.bytes;
		sum.files += p.files;
	}
	atomic_store_explicit(&r->progress->rows, r->rows, memory_order_relaxed);
	atomic_store_explicit(&r->progress->bytes, r->bytes, memory_order_relaxed);
	atomic_store_explicit(&r->progress->file_bytes, sum.bytes, memory_order_relaxed);
	atomic_store_explicit(&r->progress->files, sum.files, memory_order_relaxed);
	atomic_store_explicit(&r->progress->phase, (uint32_t) phase, memory_order_relaxed);
}

/* ---- what the sorters say ---- */

/* The worst state of all targets; *idle: none has anything under way, and err is set. */
static SorterState
worst_state(const LoadReceive *r, bool *idle, EngineError *err)
{
	SorterState worst = SORTER_DONE;

	*idle = true;
	engine_error(err, KALAM_ERR_CANCELED, "canceled");
	for (uint32_t i = 0; i < r->load->ntargets; i++)
	{
		const Sorter *s = r->load->targets[i].sorter;
		SorterState state = sorter_state(s);

		*idle &= sorter_is_idle(s);
		if (state == SORTER_FAILED)
		{
			/* those that were made to end have no reason of their own */
			if (sorter_is_idle(s) && (worst != SORTER_FAILED || err->code == KALAM_ERR_CANCELED))
				*err = *sorter_error(s);
			worst = state;
		}
		else if (worst != SORTER_FAILED && (state == SORTER_DUPLICATE || worst == SORTER_DONE))
			worst = state;
	}
	return worst;
}

/* Of all targets the duplicate whose record came first. */
static void
choose_duplicate(LoadReceive *r)
{
	const SorterDuplicate *first = NULL;
	uint32_t	target = 0;

	for (uint32_t i = 0; i < r->load->ntargets; i++)
	{
		const Sorter *s = r->load->targets[i].sorter;

		if (sorter_state(s) == SORTER_DUPLICATE &&
			(first == NULL || sorter_duplicate(s)->tag < first->tag))
		{
			first = sorter_duplicate(s);
			target = i;
		}
	}
	load_duplicate_note(&r->duplicate, r->load, target, first->tag, first->key, first->key_len,
						first->value, first->value_len);
}

/* ---- the turns ---- */

bool
load_receive_wants_more(LoadReceive *r)
{
	EngineError err;
	bool		idle;
	SorterState state;

	if (r->state != RECEIVES)
		return false;
	state = worst_state(r, &idle, &err);
	return state != SORTER_FAILED && state != SORTER_DUPLICATE && has_room(r);
}

static void
finish(LoadReceive *r)
{
	r->state = FINISHES;
	for (uint32_t i = 0; i < r->load->ntargets; i++)
		sorter_finish(r->load->targets[i].sorter);
}

bool
load_receive_block(LoadReceive *r, const uint8_t *data, size_t used, uint32_t flags,
				   uint32_t big_total, EngineError *err)
{
	LoadSink	sink = {open_target, add_record, r};

	if (!load_stream_feed(&r->stream, data, used, flags, big_total, &sink, err))
		return false;
	make_room(r);
	if (flags & KALAM_BLOCK_LAST)
	{
		if (!load_stream_end(&r->stream, err))
			return false;
		STOP_POINT("load_received");
		finish(r);
	}
	tell_progress(r);
	return true;
}

static LoadStep
compare(LoadReceive *r, EngineError *err)
{
	if (r->compare == NULL)
		r->compare = load_compare_open(r->load);
	switch (load_compare_step(r->compare, &r->duplicate, err))
	{
		case LOAD_COMPARE_AGAIN:
			return LOAD_AGAIN;
		case LOAD_COMPARE_DUPLICATE:
			return LOAD_DUPLICATE;
		case LOAD_COMPARE_ERROR:
			return LOAD_ERROR;
		case LOAD_COMPARE_UNIQUE:
			break;
	}
	STOP_POINT("load_unique");
	if (!load_check(r->load, r->stops, r->arg, &r->duplicate, err))
		return err->code == KALAM_ERR_DUPLICATE ? LOAD_DUPLICATE : LOAD_ERROR;
	if (!loads_keep(r->load))
	{
		engine_error(err, KALAM_ERR_CANCELED, "the load was dropped");
		return LOAD_ERROR;
	}
	r->state = KEPT;
	STOP_POINT("load_kept");
	return LOAD_DONE;
}

LoadStep
load_receive_step(LoadReceive *r, EngineError *err)
{
	bool		idle;
	SorterState state;

	if (r->duplicate.load != 0)
		return LOAD_DUPLICATE;
	if (r->state == COMPARES)
		return compare(r, err);
	state = worst_state(r, &idle, err);
	tell_progress(r);
	if (state == SORTER_FAILED)
	{
		/* the reason is told by an idle one */
		for (uint32_t i = 0; i < r->load->ntargets; i++)
			sorter_cancel(r->load->targets[i].sorter);
		return idle ? LOAD_ERROR : LOAD_WAITS;
	}
	if (state == SORTER_DUPLICATE && r->state == RECEIVES)
	{
		finish(r);
		return LOAD_AGAIN;
	}
	if (state == SORTER_DUPLICATE && idle)
	{
		choose_duplicate(r);
		return LOAD_DUPLICATE;
	}
	if (r->state == FINISHES && state == SORTER_DONE && idle)
	{
		r->state = COMPARES;
		return LOAD_AGAIN;
	}
	return r->state == RECEIVES && has_room(r) ? LOAD_AGAIN : LOAD_WAITS;
}

void
load_receive_duplicate(const LoadReceive *r, KalamResult *result, uint8_t *room, size_t size,
					   EngineError *err)
{
	load_duplicate_tell(&r->duplicate, result, room, size, err);
}
