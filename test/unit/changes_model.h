/*
 * changes_model.h
 *	  A transaction's changes with spills, compared step by step with a naive
 *	  list; memory and files that can fail at any call.
 *
 * For the unit test and the fuzzer: steps are chosen by a function that gives
 * random numbers.
 */
#ifndef KALAM_TEST_CHANGES_MODEL_H
#define KALAM_TEST_CHANGES_MODEL_H

#include "src/shared/changes.h"
#include "src/shared/protocol.h"
#include "test/unit/staged_model.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define WORLD_MAX_KEY	200
#define WORLD_FILES		64
#define WORLD_SUBS		12
#define WORLD_SCANS		4

typedef struct WorldVersion
{
	uint8_t		key[WORLD_MAX_KEY];
	size_t		key_len;
	uint32_t	command_id;
	uint32_t	sub;
	uint8_t		op;
	uint32_t	value_len;
	uint8_t		fill;
	bool		alive;
} WorldVersion;

typedef struct WorldFile
{
	bool		open;
	uint8_t    *bytes;
	size_t		len;
	size_t		room;
} WorldFile;

typedef struct WorldScan
{
	KalamChangesScan *scan;
	uint32_t	command_id;
	uint32_t	sub;			/* that opened it */
	bool		reverse;
	bool		bounded;
	bool		started;
	uint8_t		lower[2];
	uint8_t		upper[2];
	uint8_t		last[WORLD_MAX_KEY];
	size_t		last_len;
} WorldScan;

typedef struct World
{
	uint64_t	(*number) (void *arg, uint64_t below);
	void	   *arg;
	jmp_buf		raised;
	uint32_t	fail_in;		/* calls of a callback until one raises; 0: never */
	ModelMemory counted;
	WorldFile	files[WORLD_FILES];
	uint32_t	most_files;
	KalamChanges *changes;
	size_t		bound;
	WorldVersion *versions;
	size_t		count;
	size_t		room;
	uint32_t	subs[WORLD_SUBS];
	uint32_t	nsubs;
	uint32_t	last_sub;
	uint32_t	command_id;
	WorldScan	scans[WORLD_SCANS];
	uint32_t	spills;
	uint32_t	last_of_run;
} World;

static inline void
world_may_raise(World *w)
{
	if (w->fail_in > 0 && --w->fail_in == 0)
		longjmp(w->raised, 1);
}

static inline void *
world_alloc(void *arg, size_t size)
{
	World	   *w = arg;

	world_may_raise(w);
	return model_alloc(&w->counted, size);
}

static inline void
world_free(void *arg, void *p, size_t size)
{
	model_free(&((World *) arg)->counted, p, size);
}

static inline int
world_create(void *arg)
{
	World	   *w = arg;
	uint32_t	open = 0;
	int			file = -1;

	world_may_raise(w);
	for (int i = 0; i < WORLD_FILES; i++)
	{
		if (w->files[i].open)
			open++;
		else if (file < 0)
			file = i;
	}
	if (file < 0)
		abort();
	w->files[file].open = true;
	w->files[file].len = 0;
	if (open + 1 > w->most_files)
		w->most_files = open + 1;
	return file;
}

static inline void
world_write(void *arg, int file, uint64_t offset, const void *bytes, size_t len)
{
	World	   *w = arg;
	WorldFile  *f = &w->files[file];

	world_may_raise(w);
	if (!f->open || offset != f->len)
		abort();
	if (f->len + len > f->room)
	{
		f->room = 2 * (f->len + len);
		f->bytes = realloc(f->bytes, f->room);
	}
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static inline void
world_read(void *arg, int file, uint64_t offset, void *bytes, size_t len)
{
	World	   *w = arg;
	WorldFile  *f = &w->files[file];

	world_may_raise(w);
	if (!f->open || offset + len > f->len)
		abort();
	memcpy(bytes, f->bytes + offset, len);
}

static inline void
world_close(void *arg, int file)
{
	WorldFile  *f = &((World *) arg)->files[file];

	if (!f->open)
		abort();
	f->open = false;
}

static inline void
world_broken(void *arg, int file)
{
	(void) arg;
	(void) file;
	abort();
}

static inline void
world_begin(World *w)
{
	KalamStagedMemory memory = {world_alloc, world_free, w};
	KalamRunFiles files = {world_create, world_write, world_read, world_close, world_broken, w};

	w->fail_in = 0;
	w->changes = kalam_changes_create(&memory, &files);
	w->count = 0;
	w->nsubs = 1;
	w->subs[0] = w->last_sub = 1;
	w->command_id = 1;
}

static inline void
world_close_scan(World *w, int i)
{
	if (w->scans[i].scan != NULL)
		kalam_changes_scan_close(w->scans[i].scan);
	w->scans[i].scan = NULL;
}

/* The transaction's end.  Is everything given back? */
static inline bool
world_end(World *w)
{
	bool		clean = true;

	/* a scan may be closed when the changes are gone */
	if (w->count % 2 == 0)
		for (int i = 0; i < WORLD_SCANS; i++)
			world_close_scan(w, i);
	kalam_changes_destroy(w->changes);
	for (int i = 0; i < WORLD_SCANS; i++)
		world_close_scan(w, i);
	for (int i = 0; i < WORLD_FILES; i++)
		clean &= !w->files[i].open;
	return clean && w->counted.bytes == 0 && w->counted.blocks == 0;
}

static inline void
world_free_all(World *w)
{
	for (int i = 0; i < WORLD_FILES; i++)
		free(w->files[i].bytes);
	free(w->versions);
}

/* The innermost subtransaction, or the transaction, is rolled back. */
static inline bool
world_abort(World *w)
{
	uint32_t	sub = w->subs[w->nsubs - 1];

	w->fail_in = 0;
	if (w->nsubs == 1)
	{
		if (!world_end(w))
			return false;
		world_begin(w);
		return true;
	}
	for (int i = 0; i < WORLD_SCANS; i++)
		if (w->scans[i].scan != NULL && w->scans[i].sub >= sub)
			world_close_scan(w, i);
	kalam_changes_sub_aborted(w->changes, sub);
	for (size_t i = w->count; i-- > 0;)
		if (w->versions[i].sub >= sub)
			w->versions[i].alive = false;
	w->nsubs--;
	return true;
}

static inline void
world_commit_sub(World *w)
{
	uint32_t	sub = w->subs[w->nsubs - 1];

	kalam_changes_sub_committed(w->changes, sub, w->subs[w->nsubs - 2]);
	w->nsubs--;
}

static inline bool
world_same(const WorldVersion *m, const KalamVersion *v)
{
	if (((uintptr_t) v->value & 7) != 0 || v->command_id != m->command_id || v->op != m->op ||
		v->sub != m->sub || v->value_len != m->value_len || v->flags != (m->fill & 3) ||
		model_compare(v->key, v->key_len, m->key, m->key_len) != 0)
		return false;
	for (uint32_t i = 0; i < v->value_len; i++)
		if (v->value[i] != m->fill)
			return false;
	return true;
}

static inline const WorldVersion *
world_visible(const World *w, const uint8_t *key, size_t len, uint32_t command_id)
{
	for (size_t i = w->count; i-- > 0;)
	{
		const WorldVersion *m = &w->versions[i];

		if (m->alive && m->command_id < command_id &&
			model_compare(m->key, m->key_len, key, len) == 0)
			return m;
	}
	return NULL;
}

static inline bool
world_in_scan(const WorldScan *s, const uint8_t *key, size_t len)
{
	if (s->bounded && (model_compare(key, len, s->lower, 2) < 0 ||
					   model_compare(key, len, s->upper, 2) >= 0))
		return false;
	if (s->started)
	{
		int			c = model_compare(key, len, s->last, s->last_len);

		return s->reverse ? c < 0 : c > 0;
	}
	return true;
}

/* What the scan has to give next. */
static inline const WorldVersion *
world_expected(const World *w, const WorldScan *s)
{
	const WorldVersion *best = NULL;

	for (size_t i = w->count; i-- > 0;)
	{
		const WorldVersion *m = &w->versions[i];
		int			c;

		if (!m->alive || m->command_id >= s->command_id || !world_in_scan(s, m->key, m->key_len))
			continue;
		c = best == NULL ? 0 : model_compare(m->key, m->key_len, best->key, best->key_len);
		if (best == NULL || (s->reverse ? c > 0 : c < 0))
			best = m;
	}
	return best;
}

/* A step of a scan; *more: there was one. */
static inline bool
world_scan_step(World *w, WorldScan *s, bool *more)
{
	const WorldVersion *m = world_expected(w, s);
	KalamVersion v;

	*more = kalam_changes_scan_next(s->scan, &v);
	if (*more != (m != NULL))
		return false;
	if (m == NULL)
		return true;
	if (!world_same(m, &v))
		return false;
	s->started = true;
	s->last_len = m->key_len;
	memcpy(s->last, m->key, m->key_len);
	return true;
}

static inline void
world_open_scan(World *w, WorldScan *s)
{
	KalamStagedMemory memory = {world_alloc, world_free, w};
	uint32_t	flags;

	memset(s, 0, sizeof(*s));
	s->reverse = w->number(w->arg, 2) == 1;
	s->bounded = s->reverse || w->number(w->arg, 2) == 1;
	s->command_id = w->number(w->arg, 4) == 0 ? w->command_id :
		(uint32_t) w->number(w->arg, w->command_id + 1);
	s->sub = w->subs[w->nsubs - 1];
	s->lower[0] = (uint8_t) ('a' + w->number(w->arg, 3));
	s->upper[0] = (uint8_t) ('c' + w->number(w->arg, 4));
	flags = s->reverse ? KALAM_CHANGES_REVERSE : 0;
	s->scan = kalam_changes_scan_open(w->changes, &memory, s->bounded ? s->lower : (uint8_t *) "",
									  s->bounded ? 2 : 0, s->bounded ? s->upper : NULL, 2,
									  s->command_id, flags);
}

static inline size_t
world_key(World *w, uint8_t *key)
{
	size_t		len = 1 + w->number(w->arg, 4);

	for (size_t i = 0; i < len; i++)
		key[i] = (uint8_t) ('a' + w->number(w->arg, 5));
	if (w->number(w->arg, 16) == 0)
	{
		memset(key + len, 'x', WORLD_MAX_KEY - len);
		len = WORLD_MAX_KEY;
	}
	return len;
}

static inline void
world_note(World *w, const WorldVersion *m)
{
	if (w->count == w->room)
	{
		w->room = w->room == 0 ? 64 : 2 * w->room;
		w->versions = realloc(w->versions, w->room * sizeof(WorldVersion));
	}
	w->versions[w->count++] = *m;
}

static inline void
world_add(World *w)
{
	WorldVersion m;
	KalamStagedVersion *v;

	memset(&m, 0, sizeof(m));
	m.key_len = world_key(w, m.key);
	m.op = (uint8_t) (KALAM_CHANGE_PUT + w->number(w->arg, 2));
	m.fill = (uint8_t) w->number(w->arg, 256);
	m.value_len = (uint32_t) (m.fill % 32 == 0 ? w->number(w->arg, 5000) : w->number(w->arg, 50));
	if (m.op == KALAM_CHANGE_DELETE)
		m.value_len = 0;
	if (w->number(w->arg, 40) == 0)
	{
		/* an object's change has a key that no row has */
		m.op = (uint8_t) (KALAM_CHANGE_CREATE_OBJECT + w->number(w->arg, 2));
		m.key_len = 4;
		memset(m.key, 'b', 3);
		m.key[3] = (uint8_t) ('p' + w->number(w->arg, 4));
	}
	m.command_id = w->command_id;
	m.sub = w->subs[w->nsubs - 1];
	m.alive = true;
	if (kalam_changes_full(w->changes, w->bound))
	{
		w->spills++;
		kalam_changes_spill(w->changes, w->bound);
	}
	v = kalam_changes_add(w->changes, m.key, m.key_len, m.op, m.command_id, m.sub, m.value_len);
	memset(v->value, m.fill, m.value_len);
	v->flags = m.fill & 3;
	world_note(w, &m);
}

/* Keys that have no version come as a run, in the name of some subtransaction. */
static inline void
world_add_run(World *w)
{
	uint32_t	n = (uint32_t) w->number(w->arg, 40);
	uint32_t	command_id = 1 + (uint32_t) w->number(w->arg, w->command_id);
	uint32_t	sub = w->subs[w->number(w->arg, w->nsubs)];
	size_t		before = w->count;
	uint8_t		first = 'a';

	kalam_changes_run_begin(w->changes, w->bound, n);
	for (uint32_t i = 0; i < n; i++)
	{
		WorldVersion m = {.op = KALAM_CHANGE_PUT, .key_len = 6, .command_id = command_id,
						  .sub = sub, .fill = (uint8_t) w->number(w->arg, 256)};
		uint8_t		value[2000];
		KalamVersion v = {.key = m.key, .key_len = m.key_len, .value = value, .op = m.op,
						  .command_id = command_id, .sub = sub, .flags = m.fill & 3};

		first += (uint8_t) (first < 'e' && w->number(w->arg, 8) == 0);
		m.key[0] = first;
		m.key[1] = 1;			/* as no other key */
		kalam_put_be32(m.key + 2, ++w->last_of_run);
		v.value_len = m.value_len = (uint32_t) w->number(w->arg, m.fill % 32 == 0 ? 2000 : 50);
		memset(value, m.fill, m.value_len);
		kalam_changes_run_put(w->changes, &v);
		world_note(w, &m);
	}
	kalam_changes_run_end(w->changes);
	for (; before < w->count; before++)
		w->versions[before].alive = true;
}

/* Versions come and are taken back. */
static inline void
world_pop(World *w)
{
	KalamStagedMark mark = kalam_staged_mark(kalam_changes_in_memory(w->changes));
	uint32_t	n = (uint32_t) w->number(w->arg, 200);
	uint8_t		key[WORLD_MAX_KEY];

	while (n-- > 0)
	{
		size_t		len = world_key(w, key);

		(void) kalam_changes_add(w->changes, key, len, KALAM_CHANGE_PUT, w->command_id,
								 w->subs[w->nsubs - 1], 0);
	}
	kalam_changes_pop_to(w->changes, mark);
}

/* Everything, in both directions. */
static inline bool
world_agrees(World *w, uint32_t command_id)
{
	KalamStagedMemory memory = {world_alloc, world_free, w};
	bool		good = true;

	for (int reverse = 0; good && reverse < 2; reverse++)
	{
		WorldScan	s = {.command_id = command_id, .reverse = reverse, .bounded = true,
						 .lower = {0, 0}, .upper = {255, 0}};
		bool		more = true;

		s.scan = kalam_changes_scan_open(w->changes, &memory, s.lower, 2, s.upper, 2, command_id,
										 (reverse ? KALAM_CHANGES_REVERSE : 0) |
										 KALAM_CHANGES_IN_PLACE);
		while (good && more)
			good = world_scan_step(w, &s, &more);
		kalam_changes_scan_close(s.scan);
	}
	return good;
}

/* One step; false if the changes and the list differ. */
static inline bool
world_step(World *w)
{
	const uint64_t what = w->number(w->arg, 64);
	uint32_t	fail = w->number(w->arg, 128) == 0 ? 1 + (uint32_t) w->number(w->arg, 64) : 0;
	bool		good = true;
	uint8_t		key[WORLD_MAX_KEY];
	size_t		len;
	const WorldVersion *m;
	KalamVersion v;
	uint32_t	command_id;
	WorldScan  *s = &w->scans[what % WORLD_SCANS];
	bool		more;

	if (setjmp(w->raised) != 0)
	{
		/* a scan that has raised is at no place any more */
		if (what >= 56 && what < 63)
			world_close_scan(w, (int) (what % WORLD_SCANS));
		return world_abort(w);
	}
	w->fail_in = fail;
	if (what < 40)
		world_add(w);
	else if (what < 46)
		w->command_id++;
	else if (what < 49 && w->nsubs < WORLD_SUBS)
		w->subs[w->nsubs++] = ++w->last_sub;
	else if (what < 51 && w->nsubs > 1)
		world_commit_sub(w);
	else if (what == 51 && w->nsubs > 1)
		good = world_abort(w);
	else if (what < 56)
	{
		len = world_key(w, key);
		command_id = w->number(w->arg, 2) ? KALAM_ANY_COMMAND :
			(uint32_t) w->number(w->arg, w->command_id + 2);
		m = world_visible(w, key, len, command_id);
		if (kalam_changes_find(w->changes, key, len, command_id, &v))
			good = m != NULL && world_same(m, &v);
		else
			good = m == NULL;
		if (m != NULL)
		{
			uint8_t		upper[WORLD_MAX_KEY + 1] = {0};

			memcpy(upper, key, len);
			good &= kalam_changes_any_in(w->changes, key, len, upper, len + 1);
		}
	}
	else if (what < 63)
	{
		if (s->scan == NULL)
			world_open_scan(w, s);
		else
		{
			good = world_scan_step(w, s, &more);
			if (good && !more)
				world_close_scan(w, (int) (what % WORLD_SCANS));
		}
	}
	else
		switch (w->number(w->arg, 16))
		{
			case 0:
				kalam_changes_spill(w->changes, w->bound);
				w->spills++;
				break;
			case 1:
				world_add_run(w);
				break;
			case 2:
			case 3:
				world_pop(w);
				break;
		}
	w->fail_in = 0;
	return good;
}

#endif							/* KALAM_TEST_CHANGES_MODEL_H */
