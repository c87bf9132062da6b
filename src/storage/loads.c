/*
 * loads.c
 *	  The list of loads: see loads.h.
 *
 * One lock over the list, held to link, find and count only: files are removed
 * behind it.  A backend has few loads at a time, so the list is short.
 */
#include "src/storage/loads.h"

#include <pthread.h>
#include <stdlib.h>

#include "src/storage/storage.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Load *list;

static int32_t
pid_of(uint32_t slot)
{
	return atomic_load(&kalam_slot(storage.seg, slot)->pid);
}

Load *
loads_open(uint32_t slot, uint64_t number, uint32_t channel)
{
	Load	   *new = calloc(1, sizeof(Load));
	Load	   *other;

	new->number = number;
	new->slot = slot;
	new->pid = pid_of(slot);
	new->channel = channel;
	new->holds = 2;				/* the caller's and the list's */
	pthread_mutex_lock(&lock);
	for (other = list; other != NULL; other = other->next)
		if (other->slot == slot && other->number == number)
			break;
	if (other == NULL)
	{
		new->next = list;
		list = new;
	}
	pthread_mutex_unlock(&lock);
	if (other == NULL)
		return new;
	free(new);
	return NULL;
}

static void
destroy(Load *load)
{
	for (uint32_t i = 0; i < load->ntargets; i++)
	{
		sorter_close(load->targets[i].sorter, load->targets[i].keep_files);
		if (load->targets[i].watch != NULL)
			load_watch_close(load->targets[i].watch);
	}
	free(load->targets);
	free(load);
}

void
load_put(Load *load)
{
	bool		last;

	pthread_mutex_lock(&lock);
	last = --load->holds == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		destroy(load);
}

/* Takes it out of the list, whose hold becomes the caller's. */
static void
unlink_load(Load *load)
{
	Load	  **at = &list;

	while (*at != load)
		at = &(*at)->next;
	*at = load->next;
	load->next = NULL;
}

bool
loads_keep(Load *load)
{
	pthread_mutex_lock(&lock);
	load->kept = !atomic_load(&load->dropped);
	pthread_mutex_unlock(&lock);
	return load->kept;
}

static Load *
find(uint32_t slot, uint64_t number)
{
	int32_t		pid = pid_of(slot);

	for (Load *l = list; l != NULL; l = l->next)
		if (l->slot == slot && l->number == number && l->kept && l->pid == pid)
			return l;
	return NULL;
}

Load *
loads_get(uint32_t slot, uint64_t number)
{
	Load	   *l;

	pthread_mutex_lock(&lock);
	l = find(slot, number);
	if (l != NULL)
		l->holds++;
	pthread_mutex_unlock(&lock);
	return l;
}

Load *
loads_take(uint32_t slot, uint64_t number)
{
	Load	   *l;

	pthread_mutex_lock(&lock);
	l = find(slot, number);
	if (l != NULL)
		unlink_load(l);
	pthread_mutex_unlock(&lock);
	return l;
}

Load *
loads_earlier(uint32_t slot, uint64_t before)
{
	int32_t		pid = pid_of(slot);
	Load	   *best = NULL;

	pthread_mutex_lock(&lock);
	for (Load *l = list; l != NULL; l = l->next)
		if (l->slot == slot && l->pid == pid && l->kept && l->number < before &&
			(best == NULL || l->number > best->number))
			best = l;
	if (best != NULL)
		best->holds++;
	pthread_mutex_unlock(&lock);
	return best;
}

typedef bool (*Unwanted) (const Load *load, const void *arg);

/*
 * Drops what the function says.  One whose stream still comes in is posted: the
 * thread that serves it lets go of it.
 */
static void
drop(Unwanted unwanted, const void *arg)
{
	Load	   *gone = NULL;

	pthread_mutex_lock(&lock);
	for (Load *l = list, *next; l != NULL; l = next)
	{
		next = l->next;
		if (!unwanted(l, arg))
			continue;
		unlink_load(l);
		atomic_store(&l->dropped, true);
		if (!l->kept)
			kalam_lane_post(storage.seg, KALAM_LANE_LOAD, l->channel);
		l->next = gone;
		gone = l;
	}
	pthread_mutex_unlock(&lock);
	while (gone != NULL)
	{
		Load	   *l = gone;

		gone = l->next;
		load_put(l);
	}
}

static bool
is_same(const Load *l, const void *arg)
{
	return l == arg;
}

void
loads_abandon(Load *load)
{
	drop(is_same, load);
}

typedef struct Numbers
{
	uint32_t	slot;
	uint64_t	first;
	uint64_t	last;
} Numbers;

static bool
has_number(const Load *l, const void *arg)
{
	const Numbers *n = arg;

	return l->slot == n->slot && l->number >= n->first && l->number <= n->last;
}

void
loads_drop(uint32_t slot, uint64_t first, uint64_t last)
{
	Numbers		n = {slot, first, last};

	drop(has_number, &n);
}

static bool
is_orphan(const Load *l, const void *arg)
{
	(void) arg;
	return l->pid != pid_of(l->slot);
}

void
loads_sweep(void)
{
	drop(is_orphan, NULL);
}

static bool
is_any(const Load *l, const void *arg)
{
	(void) l;
	(void) arg;
	return true;
}

void
loads_close(void)
{
	drop(is_any, NULL);
}
