/*
 * staged_model.h
 *	  Staged changes done the slow and obvious way, and a comparison of it with
 *	  the real ones.  For the unit test and the fuzzer.
 *
 * The model is an array of versions in the order of writing.  Entries without a
 * version may or may not be there: what is compared are versions.
 */
#ifndef KALAM_TEST_STAGED_MODEL_H
#define KALAM_TEST_STAGED_MODEL_H

#include "src/shared/staged.h"

#include <stdlib.h>
#include <string.h>

#define MODEL_MAX_KEY	24

typedef struct ModelVersion
{
	uint8_t		key[MODEL_MAX_KEY];
	size_t		key_len;
	uint32_t	command_id;
	uint8_t		op;
	uint32_t	value_len;
	uint8_t		fill;			/* of all bytes of the value */
	KalamStagedVersion *real;
} ModelVersion;

typedef struct Model
{
	ModelVersion *versions;
	size_t		count;
	size_t		room;
} Model;

/* Memory that is counted, so that leaks and wrong sizes are seen. */
typedef struct ModelMemory
{
	size_t		bytes;
	size_t		blocks;
} ModelMemory;

static inline void *
model_alloc(void *arg, size_t size)
{
	ModelMemory *m = arg;

	m->bytes += size;
	m->blocks++;
	return malloc(size);
}

static inline void
model_free(void *arg, void *p, size_t size)
{
	ModelMemory *m = arg;

	m->bytes -= size;
	m->blocks--;
	free(p);
}

static inline int
model_compare(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	size_t		n = alen < blen ? alen : blen;
	int			c = n == 0 ? 0 : memcmp(a, b, n);

	return c != 0 ? c : (alen > blen) - (alen < blen);
}

static inline void
model_add(Model *m, KalamStaged *s, const uint8_t *key, size_t key_len,
		  uint8_t op, uint32_t command_id, uint32_t value_len, uint8_t fill)
{
	ModelVersion *v;

	if (m->count == m->room)
	{
		m->room = m->room == 0 ? 64 : m->room * 2;
		m->versions = realloc(m->versions, m->room * sizeof(ModelVersion));
	}
	v = &m->versions[m->count++];
	if (key_len > 0)
		memcpy(v->key, key, key_len);
	v->key_len = key_len;
	v->command_id = command_id;
	v->op = op;
	v->value_len = value_len;
	v->fill = fill;
	v->real = kalam_staged_add(s, key, key_len, op, command_id, value_len);
	memset(v->real->value, fill, value_len);
}

/* The newest version of key that a command before command_id wrote. */
static inline const ModelVersion *
model_visible(const Model *m, const uint8_t *key, size_t len, uint64_t command_id)
{
	for (size_t i = m->count; i-- > 0;)
		if (m->versions[i].command_id < command_id &&
			model_compare(m->versions[i].key, m->versions[i].key_len, key, len) == 0)
			return &m->versions[i];
	return NULL;
}

/* The smallest key with a version at or behind key; or (before) the greatest before it. */
static inline const ModelVersion *
model_seek(const Model *m, const uint8_t *key, size_t len, bool before)
{
	const ModelVersion *best = NULL;

	for (size_t i = 0; i < m->count; i++)
	{
		const ModelVersion *v = &m->versions[i];
		int			c = model_compare(v->key, v->key_len, key, len);

		if (before ? c >= 0 : c < 0)
			continue;
		if (best == NULL)
			best = v;
		else
		{
			c = model_compare(v->key, v->key_len, best->key, best->key_len);
			if (before ? c > 0 : c < 0)
				best = v;
		}
	}
	return best;
}

static inline bool
model_same_version(const ModelVersion *m, const KalamStagedVersion *v)
{
	size_t		len;
	const uint8_t *key;

	if (m == NULL || v == NULL)
		return m == NULL && v == NULL;
	key = kalam_staged_key_bytes(v->key, &len);
	if (v != m->real || ((uintptr_t) v->value & 7) != 0 ||
		v->command_id != m->command_id || v->op != m->op || v->value_len != m->value_len ||
		model_compare(key, len, m->key, m->key_len) != 0)
		return false;
	for (uint32_t i = 0; i < v->value_len; i++)
		if (v->value[i] != m->fill)
			return false;
	return true;
}

/* Look-ups of one key agree. */
static inline bool
model_agrees_at(const Model *m, const KalamStaged *s, const uint8_t *key, size_t len,
				uint32_t command_id)
{
	const ModelVersion *newest = model_visible(m, key, len, (uint64_t) UINT32_MAX + 1);
	const ModelVersion *visible = model_visible(m, key, len, command_id);
	const ModelVersion *behind = model_seek(m, key, len, false);
	const ModelVersion *before = model_seek(m, key, len, true);
	KalamStagedKey *k = kalam_staged_find(s, key, len);
	size_t		klen;
	const uint8_t *kbytes;

	if (k == NULL ? newest != NULL :
		!model_same_version(newest, kalam_staged_newest(k)) ||
		!model_same_version(visible, kalam_staged_visible(k, command_id)))
		return false;

	/* the first entry at or behind key that has a version */
	k = kalam_staged_seek(s, key, len);
	if (k != NULL)
	{
		kbytes = kalam_staged_key_bytes(k, &klen);
		if (model_compare(kbytes, klen, key, len) < 0)
			return false;
	}
	while (k != NULL && kalam_staged_newest(k) == NULL)
		k = kalam_staged_next(k);
	if (k == NULL ? behind != NULL :
		behind == NULL ||
		(kbytes = kalam_staged_key_bytes(k, &klen),
		 model_compare(kbytes, klen, behind->key, behind->key_len) != 0))
		return false;

	/* the last one before it; entries without a version are stepped over */
	k = kalam_staged_seek_before(s, key, len);
	while (k != NULL && kalam_staged_newest(k) == NULL)
	{
		kbytes = kalam_staged_key_bytes(k, &klen);
		k = kalam_staged_seek_before(s, kbytes, klen);
	}
	if (k == NULL)
		return before == NULL;
	kbytes = kalam_staged_key_bytes(k, &klen);
	return before != NULL && model_compare(kbytes, klen, before->key, before->key_len) == 0;
}

/* All entries are in order, and all versions in the log, from `from` on. */
static inline bool
model_agrees(const Model *m, const KalamStaged *s, uint64_t from)
{
	KalamStagedWalk walk;
	KalamStagedVersion *v;
	KalamStagedKey *k = kalam_staged_seek(s, "", 0);
	const uint8_t *last = NULL;
	size_t		last_len = 0;
	size_t		in_chains = 0;

	if (kalam_staged_count(s) != m->count)
		return false;
	kalam_staged_walk(&walk, s, from);
	for (size_t i = from; i < m->count; i++)
	{
		v = kalam_staged_walk_next(&walk);
		if (v == NULL || !model_same_version(&m->versions[i], v))
			return false;
	}
	if (kalam_staged_walk_next(&walk) != NULL)
		return false;

	for (; k != NULL; k = kalam_staged_next(k))
	{
		size_t		len;
		const uint8_t *key = kalam_staged_key_bytes(k, &len);

		if (last != NULL && model_compare(last, last_len, key, len) >= 0)
			return false;
		last = key;
		last_len = len;
		for (v = kalam_staged_newest(k); v != NULL; v = v->older)
		{
			if (v->key != k)
				return false;
			in_chains++;
		}
	}
	return in_chains == m->count;
}

#endif							/* KALAM_TEST_STAGED_MODEL_H */
