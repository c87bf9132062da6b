/*
 * changes.c
 *	  A transaction's changes, in memory and in runs: see changes.h.
 *
 * What is to be made anew (a run, the part in memory) is made beside the old,
 * and put in its place when nothing can fail any more.
 */
#include "src/shared/changes.h"

#include <string.h>

#include "src/shared/changes_internal.h"
#include "src/shared/protocol.h"

#define MAX_BLOCK_BYTES	((size_t) 16 * 1024)
#define MIN_BLOCK_BYTES	((size_t) 1024)

KalamChanges *
kalam_changes_create(const KalamStagedMemory *memory, const KalamRunFiles *files)
{
	KalamChanges *c = memory->alloc(memory->arg, sizeof(KalamChanges));

	memset(c, 0, sizeof(*c));
	c->memory = *memory;
	c->files = *files;
	c->staged = kalam_staged_create(memory);
	c->kept_bytes = kalam_staged_bytes(c->staged);
	return c;
}

/* Frees what an error has left half made. */
static void
drop_halves(KalamChanges *c)
{
	if (c->half_merge != NULL)
		kalam_changes_scan_close(c->half_merge);
	if (c->half_run != NULL)
		kalam_run_free(c->half_run);
	if (c->half_staged != NULL)
		kalam_staged_destroy(c->half_staged);
	c->half_merge = NULL;
	c->half_run = NULL;
	c->half_staged = NULL;
}

static void
free_array(KalamChanges *c, void *array, size_t bytes)
{
	if (array != NULL)
		c->memory.free(c->memory.arg, array, bytes);
}

void
kalam_changes_destroy(KalamChanges *c)
{
	KalamStagedMemory memory = c->memory;

	drop_halves(c);
	for (uint32_t i = 0; i < c->nruns; i++)
		kalam_run_free(c->runs[i].run);
	kalam_staged_destroy(c->staged);
	free_array(c, c->marks, c->marks_room * sizeof(KalamSubMark));
	free_array(c, c->dead, c->dead_room * sizeof(KalamDeadRange));
	memory.free(memory.arg, c, sizeof(*c));
}

/* Makes room for one more in an array. */
static void *
one_more(KalamChanges *c, void *array, size_t n, size_t *room, size_t size)
{
	size_t		more;
	void	   *larger;

	if (n < *room)
		return array;
	more = *room == 0 ? 16 : 2 * *room;
	larger = c->memory.alloc(c->memory.arg, more * size);
	if (n > 0)
		memcpy(larger, array, n * size);
	free_array(c, array, *room * size);
	*room = more;
	return larger;
}

KalamStagedVersion *
kalam_changes_add(KalamChanges *c, const void *key, size_t key_len, uint8_t op,
				  uint32_t command_id, uint32_t sub, size_t value_len)
{
	KalamStagedVersion *v;

	if (c->nmarks == 0 || c->marks[c->nmarks - 1].sub != sub)
	{
		c->marks = one_more(c, c->marks, c->nmarks, &c->marks_room, sizeof(KalamSubMark));
		c->marks[c->nmarks].sub = sub;
		c->marks[c->nmarks].mark = kalam_staged_mark(c->staged);
		c->nmarks++;
	}
	v = kalam_staged_add(c->staged, key, key_len, op, command_id, value_len);
	v->sub = sub;
	return v;
}

/* ---- spilling ---- */

static inline bool
stays_in_memory(const KalamStagedVersion *v)
{
	return v->op == KALAM_CHANGE_CREATE_OBJECT || v->op == KALAM_CHANGE_DROP_OBJECT ||
		v->op == KALAM_CHANGE_DROP_INDEX;
}

bool
kalam_changes_full(const KalamChanges *c, size_t memory_bytes)
{
	return kalam_staged_bytes(c->staged) > c->kept_bytes + memory_bytes;
}

/*
 * A run gets a small part of the bound for its filter and its index: there are
 * a few of them that are large, and the small ones need less.
 */
static KalamRunLimits
run_limits(size_t memory_bytes)
{
	KalamRunLimits l = {
		.block_bytes = memory_bytes / 64 & ~(size_t) 7,
		.filter_bytes = memory_bytes / 16,
		.index_bytes = memory_bytes / 64
	};

	if (l.block_bytes > MAX_BLOCK_BYTES)
		l.block_bytes = MAX_BLOCK_BYTES;
	if (l.block_bytes < MIN_BLOCK_BYTES)
		l.block_bytes = MIN_BLOCK_BYTES;
	return l;
}

static void
copy_to_half(KalamChanges *c, const KalamStagedVersion *v)
{
	size_t		len;
	const uint8_t *key = kalam_staged_key_bytes(v->key, &len);
	KalamStagedVersion *copy = kalam_staged_add(c->half_staged, key, len, v->op,
												v->command_id, v->value_len);

	copy->flags = v->flags;
	copy->sub = v->sub;
	memcpy(copy->value, v->value, v->value_len);
}

/* Memory with what stays there only, in half_staged; marks are not touched. */
static void
copy_what_stays(KalamChanges *c)
{
	KalamStagedWalk walk;
	KalamStagedVersion *v;

	c->half_staged = kalam_staged_create(&c->memory);
	kalam_staged_walk(&walk, c->staged, 0);
	while ((v = kalam_staged_walk_next(&walk)) != NULL)
		if (stays_in_memory(v))
			copy_to_half(c, v);
}

/* half_staged takes the place of memory. */
static void
replace_memory(KalamChanges *c)
{
	KalamStaged *old = c->staged;

	c->staged = c->half_staged;
	c->half_staged = NULL;
	kalam_staged_destroy(old);
	c->generation++;
}

static void
write_what_goes(KalamChanges *c, const KalamRunLimits *limits)
{
	uint64_t	n = kalam_staged_count(c->staged) - kalam_staged_count(c->half_staged);

	if (n == 0)
		return;
	kalam_run_create(&c->half_run, &c->memory, &c->files, limits, n);
	for (KalamStagedKey *k = kalam_staged_seek(c->staged, "", 0); k != NULL;
		 k = kalam_staged_next(k))
	{
		for (KalamStagedVersion *v = kalam_staged_newest(k); v != NULL; v = v->older)
		{
			KalamVersion out;

			if (stays_in_memory(v))
				continue;
			kalam_version_of_staged(v, &out);
			kalam_run_put(c->half_run, &out);
		}
	}
	kalam_run_finish(c->half_run);
}

/* Marks count what stays in memory only. */
static void
move_marks(KalamChanges *c)
{
	KalamStagedWalk walk;
	KalamStagedVersion *v;
	uint64_t	seen = 0;
	uint64_t	kept = 0;
	size_t		i = 0;

	kalam_staged_walk(&walk, c->staged, 0);
	while (i < c->nmarks)
	{
		if (c->marks[i].mark.nversions == seen)
			c->marks[i++].mark.nversions = kept;
		else
		{
			v = kalam_staged_walk_next(&walk);
			seen++;
			kept += stays_in_memory(v);
		}
	}
}

/* Replaces the runs from first on by half_run, if that has anything. */
static void
replace_runs(KalamChanges *c, uint32_t first, uint32_t level)
{
	KalamRun   *run = c->half_run;

	c->half_run = NULL;
	c->found_in = NULL;
	while (c->nruns > first)
		kalam_run_free(c->runs[--c->nruns].run);
	if (run != NULL)
	{
		if (kalam_run_max_sub(run) > c->spilled_max_sub)
			c->spilled_max_sub = kalam_run_max_sub(run);
		c->runs[c->nruns].run = run;
		c->runs[c->nruns].level = level;
		c->nruns++;
	}
	c->generation++;
}

/* Merges the runs from first on, which are of one level. */
static void
merge_runs(KalamChanges *c, uint32_t first, const KalamRunLimits *limits)
{
	uint64_t	n = 0;
	KalamVersion v;
	bool		any = false;

	for (uint32_t i = first; i < c->nruns; i++)
		n += kalam_run_count(c->runs[i].run);
	c->half_merge = kalam_changes_merge_open(c, first);
	while (kalam_changes_merge_next(c->half_merge, &v))
	{
		if (!any)
			kalam_run_create(&c->half_run, &c->memory, &c->files, limits, n);
		any = true;
		kalam_run_put(c->half_run, &v);
	}
	if (any)
		kalam_run_finish(c->half_run);
	kalam_changes_scan_close(c->half_merge);
	c->half_merge = NULL;
	replace_runs(c, first, c->runs[first].level + 1);
}

/* The first of the last runs that are of one level. */
static uint32_t
last_level(const KalamChanges *c)
{
	uint32_t	first = c->nruns;

	while (first > 0 && c->runs[first - 1].level == c->runs[c->nruns - 1].level)
		first--;
	return first;
}

/* Before a run comes.  A rollback has no memory to ask for; until the next it needs one more. */
static void
ready_for_run(KalamChanges *c)
{
	drop_halves(c);
	c->dead = one_more(c, c->dead, c->ndead, &c->dead_room, sizeof(KalamDeadRange));
}

static void
merge_levels(KalamChanges *c, const KalamRunLimits *limits)
{
	while (c->nruns - last_level(c) >= KALAM_RUNS_PER_LEVEL)
		merge_runs(c, last_level(c), limits);
}

void
kalam_changes_spill(KalamChanges *c, size_t memory_bytes)
{
	KalamRunLimits limits = run_limits(memory_bytes);

	ready_for_run(c);
	copy_what_stays(c);
	write_what_goes(c, &limits);

	c->spills++;
	move_marks(c);
	replace_memory(c);
	c->kept_bytes = kalam_staged_bytes(c->staged);
	replace_runs(c, c->nruns, 0);
	merge_levels(c, &limits);
}

void
kalam_changes_run_begin(KalamChanges *c, size_t memory_bytes, uint64_t max_versions)
{
	KalamRunLimits limits = run_limits(memory_bytes);

	/* (now: what raises at the end must not leave the run there) */
	ready_for_run(c);
	merge_levels(c, &limits);
	kalam_run_create(&c->half_run, &c->memory, &c->files, &limits, max_versions);
}

void
kalam_changes_run_put(KalamChanges *c, const KalamVersion *v)
{
	kalam_run_put(c->half_run, v);
}

void
kalam_changes_run_end(KalamChanges *c)
{
	if (kalam_run_count(c->half_run) > 0)
	{
		kalam_run_finish(c->half_run);
		replace_runs(c, c->nruns, 0);
	}
	drop_halves(c);
}

void
kalam_changes_pop_to(KalamChanges *c, KalamStagedMark mark)
{
	uint64_t	popped = kalam_staged_count(c->staged) - mark.nversions;
	KalamStagedWalk walk;
	KalamStagedVersion *v;

	drop_halves(c);
	if (mark.nversions >= popped)
	{
		kalam_staged_pop_to(c->staged, mark);
		return;
	}
	c->half_staged = kalam_staged_create(&c->memory);
	kalam_staged_walk(&walk, c->staged, 0);
	while (walk.position < mark.nversions && (v = kalam_staged_walk_next(&walk)) != NULL)
		copy_to_half(c, v);
	replace_memory(c);
}

/* ---- subtransactions ---- */

void
kalam_changes_sub_committed(KalamChanges *c, uint32_t sub, uint32_t parent)
{
	if (c->nmarks == 0 || c->marks[c->nmarks - 1].sub != sub)
		return;
	if (c->nmarks > 1 && c->marks[c->nmarks - 2].sub == parent)
		c->nmarks--;
	else
		c->marks[c->nmarks - 1].sub = parent;
}

/* What the runs have of subtransactions from `sub` on is dead. */
static void
bury(KalamChanges *c, uint32_t sub)
{
	uint32_t	kept = 0;

	for (uint32_t i = 0; i < c->nruns; i++)
	{
		if (kalam_run_min_sub(c->runs[i].run) >= sub)
		{
			kalam_run_free(c->runs[i].run);
			c->generation++;
			c->found_in = NULL;
		}
		else
			c->runs[kept++] = c->runs[i];
	}
	c->nruns = kept;

	/* earlier ones inside it are part of it */
	while (c->ndead > 0 && c->dead[c->ndead - 1].first >= sub)
		c->ndead--;
	if (c->ndead > 0 && c->dead[c->ndead - 1].last + 1 == sub)
		c->dead[c->ndead - 1].last = c->spilled_max_sub;
	else
	{
		c->dead[c->ndead].first = sub;
		c->dead[c->ndead].last = c->spilled_max_sub;
		c->ndead++;
	}
}

void
kalam_changes_sub_aborted(KalamChanges *c, uint32_t sub)
{
	drop_halves(c);
	if (c->nmarks > 0 && c->marks[c->nmarks - 1].sub == sub)
	{
		kalam_staged_pop_to(c->staged, c->marks[c->nmarks - 1].mark);
		c->nmarks--;
	}
	if (c->nruns > 0 && sub <= c->spilled_max_sub)
		bury(c, sub);
}

bool
kalam_changes_is_dead(const KalamChanges *c, uint32_t sub)
{
	size_t		low = 0;
	size_t		high = c->ndead;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (c->dead[middle].last < sub)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->ndead && c->dead[low].first <= sub;
}

/* ---- looking ---- */

bool
kalam_changes_spilled(const KalamChanges *c)
{
	return c->nruns > 0;
}

uint64_t
kalam_changes_spills(const KalamChanges *c)
{
	return c->spills;
}

uint64_t
kalam_changes_count(const KalamChanges *c)
{
	uint64_t	n = kalam_staged_count(c->staged);

	for (uint32_t i = 0; i < c->nruns; i++)
		n += kalam_run_count(c->runs[i].run);
	return n;
}

uint64_t
kalam_changes_bytes(const KalamChanges *c)
{
	uint64_t	n = kalam_staged_bytes(c->staged);

	for (uint32_t i = 0; i < c->nruns; i++)
		n += kalam_run_file_bytes(c->runs[i].run);
	return n;
}

uint64_t
kalam_changes_memory_bytes(const KalamChanges *c)
{
	uint64_t	n = sizeof(*c) + kalam_staged_bytes(c->staged) +
		c->marks_room * sizeof(KalamSubMark) + c->dead_room * sizeof(KalamDeadRange);

	for (uint32_t i = 0; i < c->nruns; i++)
		n += kalam_run_memory_bytes(c->runs[i].run);
	return n;
}

KalamStaged *
kalam_changes_in_memory(const KalamChanges *c)
{
	return c->staged;
}

/* The newest version of the key in the run that may be seen. */
static bool
find_in_run(KalamChanges *c, KalamRun *run, const uint8_t *key, size_t len, uint32_t command_id,
			KalamVersion *v)
{
	KalamRunReader *r = kalam_run_own_reader(run);
	bool		more = kalam_run_seek(r, key, len);

	c->found_in = run;
	for (; more; more = kalam_run_next(r))
	{
		kalam_run_current(r, v);
		if (kalam_key_compare(v->key, v->key_len, key, len) != 0)
			return false;
		if (v->command_id < command_id && !kalam_changes_is_dead(c, v->sub))
			return true;
	}
	return false;
}

bool
kalam_changes_find(KalamChanges *c, const uint8_t *key, size_t len, uint32_t command_id,
				   KalamVersion *v)
{
	KalamStagedKey *k = kalam_staged_find(c->staged, key, len);
	KalamStagedVersion *s = k == NULL ? NULL : kalam_staged_visible(k, command_id);
	uint64_t	hash;

	if (s != NULL)
	{
		kalam_version_of_staged(s, v);
		return true;
	}
	if (c->nruns == 0)
		return false;
	if (c->found_in != NULL)
	{
		kalam_run_reader_shrink(kalam_run_own_reader(c->found_in));
		c->found_in = NULL;
	}
	hash = kalam_run_hash(key, len);
	for (uint32_t i = c->nruns; i-- > 0;)
		if (kalam_run_may_have(c->runs[i].run, key, len, hash) &&
			find_in_run(c, c->runs[i].run, key, len, command_id, v))
			return true;
	return false;
}

bool
kalam_changes_any_in(KalamChanges *c, const uint8_t *lower, size_t lower_len,
					 const uint8_t *upper, size_t upper_len)
{
	KalamStagedKey *k = kalam_staged_seek(c->staged, lower, lower_len);
	KalamVersion v;

	if (k != NULL)
	{
		v.key = kalam_staged_key_bytes(k, &v.key_len);
		if (kalam_key_compare(v.key, v.key_len, upper, upper_len) < 0)
			return true;
	}
	for (uint32_t i = 0; i < c->nruns; i++)
	{
		KalamRunReader *r = kalam_run_own_reader(c->runs[i].run);

		if (!kalam_run_overlaps(c->runs[i].run, lower, lower_len, upper, upper_len) ||
			!kalam_run_seek(r, lower, lower_len))
			continue;
		kalam_run_current(r, &v);
		if (kalam_key_compare(v.key, v.key_len, upper, upper_len) < 0)
			return true;
	}
	return false;
}
