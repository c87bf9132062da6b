/*
 * load_stream.c
 *	  Parser of LOAD streams.
 *
 * Nothing in a block is taken on trust: it lies in shared memory, so a header is
 * copied before it is believed.  A record in pieces is put together in a buffer
 * that grows with the bytes that arrive, never with a length that a block claims.
 * No locks; one stream belongs to one thread.
 */
#include "src/storage/load_stream.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/change_stream.h"

#define MAX_RECORD_BYTES	(KALAM_LOAD_KEY_OFFSET + UINT16_MAX + (uint64_t) CHANGE_MAX_VALUE_BYTES)
#define KNOWN_FLAGS			(KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW)

_Static_assert(sizeof(KalamLoadRecord) == KALAM_LOAD_KEY_OFFSET, "keys follow the header");

static bool
malformed(EngineError *err, const char *what)
{
	engine_error(err, KALAM_ERR_PROTOCOL, "malformed load: %s", what);
	return false;
}

bool
load_target_has_key(const KalamLoadTarget *t, const uint8_t *key, size_t len)
{
	if (len <= KALAM_KEY_PREFIX_BYTES || len > KALAM_MAX_KEY_BYTES ||
		kalam_get_be32(key) != t->object_id)
		return false;
	if (t->index_id == 0)
		return key[4] == KALAM_KEY_KIND_ROW;
	return len > KALAM_INDEX_KEY_PREFIX_BYTES && key[4] == KALAM_KEY_KIND_INDEX &&
		(key[KALAM_KEY_PREFIX_BYTES] << 8 | key[KALAM_KEY_PREFIX_BYTES + 1]) == t->index_id;
}

static bool
declare(LoadStream *s, const KalamLoadRecord *h, const uint8_t *record, const LoadSink *sink,
		EngineError *err)
{
	KalamLoadTarget t;

	if (h->target != s->ntargets || s->ntargets == KALAM_MAX_LOAD_TARGETS)
		return malformed(err, "targets are not declared in order");
	if (h->key_len != 0 || h->value_len != sizeof(t))
		return malformed(err, "a declaration of a wrong size");
	memcpy(&t, record + h->value_offset, sizeof(t));
	if (t.object_id < KALAM_OBJECT_FIRST_USER || t.flags & ~KNOWN_FLAGS)
		return malformed(err, "a target that cannot be");
	for (uint32_t i = 0; i < s->ntargets; i++)
		if (s->targets[i].object_id == t.object_id && s->targets[i].index_id == t.index_id)
			return malformed(err, "a target that is declared twice");
	if (s->ntargets == s->capacity)
	{
		s->capacity = s->capacity == 0 ? 8 : 2 * s->capacity;
		s->targets = realloc(s->targets, s->capacity * sizeof(KalamLoadTarget));
		if (s->targets == NULL)
			abort();
	}
	s->targets[s->ntargets++] = t;
	return sink->declare(sink->arg, &t, err);
}

static bool
hand_over(LoadStream *s, const KalamLoadRecord *h, const uint8_t *record, const LoadSink *sink,
		  EngineError *err)
{
	LoadRecord	r = {
		.target = h->target,
		.tag = h->tag,
		.key = record + KALAM_LOAD_KEY_OFFSET,
		.key_len = h->key_len,
		.value = record + h->value_offset,
		.value_len = h->value_len,
	};

	if (r.target >= s->ntargets)
		return malformed(err, "a record of an unknown target");
	if (!load_target_has_key(&s->targets[r.target], r.key, r.key_len))
		return malformed(err, "a key that is not one of its target");
	if (r.value_len < KALAM_VALUE_HEADER_BYTES || r.value_len > CHANGE_MAX_VALUE_BYTES ||
		r.value[0] != KALAM_VALUE_FORMAT)
		return malformed(err, "a value of an unknown format");
	return sink->add(sink->arg, &r, err);
}

/* Reads the record at the beginning of len bytes; *size becomes its own. */
static bool
read_record(LoadStream *s, const uint8_t *data, size_t len, size_t *size, const LoadSink *sink,
			EngineError *err)
{
	KalamLoadRecord h;

	if (len < sizeof(h))
		return malformed(err, "a block ends in a record");
	memcpy(&h, data, sizeof(h));
	if (h.size < sizeof(h) || h.size % 8 != 0 || h.size > len)
		return malformed(err, "a record of a wrong size");
	if (h.value_offset < sizeof(h) + h.key_len || h.value_offset > h.size ||
		h.value_len > h.size - h.value_offset || h.flags & ~KALAM_LOAD_TARGET)
		return malformed(err, "a record whose parts do not fit into it");
	*size = h.size;
	if (h.flags & KALAM_LOAD_TARGET)
		return declare(s, &h, data, sink, err);
	return hand_over(s, &h, data, sink, err);
}

/* Takes in a piece of a record that fits in no block. */
static bool
feed_piece(LoadStream *s, const uint8_t *data, size_t used, uint32_t total, const LoadSink *sink,
		   EngineError *err)
{
	size_t		size;
	bool		good;

	if (s->big_len > 0 ? total != s->big_total : total > MAX_RECORD_BYTES)
		return malformed(err, "a piece of another record");
	if (used == 0 || used > total - s->big_len)
		return malformed(err, "a piece that does not fit");
	s->big_total = total;
	if (s->big_len + used > s->big_capacity)
	{
		s->big_capacity = 2 * s->big_capacity < s->big_len + used ? s->big_len + used :
			2 * s->big_capacity;
		if (s->big_capacity > total)
			s->big_capacity = total;
		s->big = realloc(s->big, s->big_capacity);
		if (s->big == NULL)
			abort();
	}
	memcpy(s->big + s->big_len, data, used);
	s->big_len += used;
	if (s->big_len < total)
		return true;
	good = read_record(s, s->big, total, &size, sink, err);
	if (good && size != total)
		good = malformed(err, "more in pieces than a record");
	free(s->big);
	s->big = NULL;
	s->big_len = s->big_capacity = 0;
	return good;
}

bool
load_stream_feed(LoadStream *s, const uint8_t *data, size_t used, uint32_t flags,
				 uint32_t big_total, const LoadSink *sink, EngineError *err)
{
	if (flags & KALAM_BLOCK_BIG)
		return feed_piece(s, data, used, big_total, sink, err);
	if (s->big_len > 0)
		return malformed(err, "a record's pieces are not all there");
	while (used > 0)
	{
		size_t		size;

		if (!read_record(s, data, used, &size, sink, err))
			return false;
		data += size;
		used -= size;
	}
	return true;
}

bool
load_stream_end(const LoadStream *s, EngineError *err)
{
	return s->big_len == 0 || malformed(err, "it ends inside a record");
}

void
load_stream_free(LoadStream *s)
{
	free(s->targets);
	free(s->big);
	memset(s, 0, sizeof(*s));
}
