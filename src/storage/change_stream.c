/*
 * change_stream.c
 *	  Incremental parser of change streams.
 *
 * Blocks are cut anywhere, also inside a header.  A change that lies whole in a
 * block is handed over where it is; one that does not is put together in a
 * buffer that grows with the bytes that arrive, never with a length that a
 * header claims.  The bytes may lie in shared memory: a header is copied before
 * it is believed.  No locks; one stream belongs to one thread.
 */
#include "src/storage/change_stream.h"

#include <stdlib.h>
#include <string.h>

/* Reads a header.  False if no backend should send it. */
static bool
read_header(const uint8_t *bytes, Change *c, EngineError *err)
{
	KalamChange h;
	bool		good;

	memcpy(&h, bytes, KALAM_CHANGE_HEADER_BYTES);
	c->op = h.op;
	c->key_len = h.key_len;
	c->value_len = h.value_len;
	c->bytes = bytes;
	c->key = bytes + KALAM_CHANGE_HEADER_BYTES;
	c->value = c->key + h.key_len;
	switch (h.op)
	{
		case KALAM_CHANGE_PUT:
			good = h.key_len >= KALAM_KEY_PREFIX_BYTES && h.key_len <= KALAM_MAX_KEY_BYTES &&
				h.value_len >= KALAM_VALUE_HEADER_BYTES && h.value_len <= CHANGE_MAX_VALUE_BYTES;
			break;
		case KALAM_CHANGE_DELETE:
			good = h.key_len >= KALAM_KEY_PREFIX_BYTES && h.key_len <= KALAM_MAX_KEY_BYTES &&
				h.value_len == 0;
			break;
		case KALAM_CHANGE_CREATE_OBJECT:
			good = h.key_len == 4 && h.value_len == sizeof(KalamObjectOptions);
			break;
		case KALAM_CHANGE_DROP_OBJECT:
			good = h.key_len == 4 && h.value_len == 0;
			break;
		case KALAM_CHANGE_DROP_INDEX:
			good = h.key_len == 4 && h.value_len == 2;
			break;
		case KALAM_CHANGE_INGEST:
			good = h.key_len == 4 && h.value_len > 0 && h.value_len < KALAM_PATH_BYTES;
			break;
		case KALAM_CHANGE_LOAD:
			good = h.key_len == 0 && h.value_len == sizeof(uint64_t);
			break;
		case KALAM_CHANGE_LOCKS:
			good = h.key_len == 0 && h.value_len % sizeof(KalamLockRecord) == 0 &&
				h.value_len <= CHANGE_MAX_VALUE_BYTES;
			break;
		default:
			good = false;
	}
	if (!good || h.flags != 0)
	{
		engine_error(err, KALAM_ERR_PROTOCOL,
					 "malformed change: operation %u, flags %u, key of %u bytes, value of %u bytes",
					 h.op, h.flags, h.key_len, h.value_len);
		return false;
	}
	return true;
}

static size_t
change_size(const Change *c)
{
	return (size_t) KALAM_CHANGE_HEADER_BYTES + c->key_len + c->value_len;
}

static void
carry_append(ChangeStream *s, const uint8_t *data, size_t len)
{
	if (s->carry_len + len > s->carry_capacity)
	{
		s->carry_capacity = 2 * s->carry_capacity;
		if (s->carry_capacity < s->carry_len + len)
			s->carry_capacity = s->carry_len + len + 4096;
		s->carry = realloc(s->carry, s->carry_capacity);
		if (s->carry == NULL)
			abort();
	}
	memcpy(s->carry + s->carry_len, data, len);
	s->carry_len += len;
}

/* Takes from data up to `want` carried bytes in all; returns what it took. */
static size_t
carry_upto(ChangeStream *s, size_t want, const uint8_t *data, size_t len)
{
	size_t		n = want - s->carry_len;

	if (n > len)
		n = len;
	carry_append(s, data, n);
	return n;
}

bool
change_stream_feed(ChangeStream *s, const uint8_t *data, size_t len, ChangeFunction fn, void *arg,
				   EngineError *err)
{
	while (len > 0)
	{
		Change		c;
		size_t		took;

		if (s->carry_len == 0)
		{
			if (len < KALAM_CHANGE_HEADER_BYTES)
			{
				carry_append(s, data, len);
				return true;
			}
			if (!read_header(data, &c, err))
				return false;
			if (change_size(&c) <= len)
			{
				if (!fn(arg, &c, err))
					return false;
				data += change_size(&c);
				len -= change_size(&c);
				continue;
			}
		}
		if (s->carry_len < KALAM_CHANGE_HEADER_BYTES)
		{
			took = carry_upto(s, KALAM_CHANGE_HEADER_BYTES, data, len);
			data += took;
			len -= took;
			if (s->carry_len < KALAM_CHANGE_HEADER_BYTES)
				return true;
		}
		if (!read_header(s->carry, &c, err))
			return false;
		took = carry_upto(s, change_size(&c), data, len);
		data += took;
		len -= took;
		if (s->carry_len < change_size(&c))
			return true;
		/* the buffer may have moved */
		if (!read_header(s->carry, &c, err) || !fn(arg, &c, err))
			return false;
		s->carry_len = 0;
	}
	return true;
}

bool
change_stream_end(const ChangeStream *s, EngineError *err)
{
	if (s->carry_len == 0)
		return true;
	engine_error(err, KALAM_ERR_PROTOCOL, "change stream ends inside a change");
	return false;
}

void
change_stream_free(ChangeStream *s)
{
	free(s->carry);
	memset(s, 0, sizeof(*s));
}
