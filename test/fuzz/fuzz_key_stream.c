/*
 * fuzz_key_stream.c
 *	  The input is a stream of keys and where it is cut into blocks.  Every key is
 *	  looked up, or skipped because a seek found nothing in its range, and the
 *	  first that exists is found, at its position.
 *
 * The store is a set that holds every key whose last byte is 0xEE.
 */
#include <string.h>

#include "src/storage/key_stream.h"
#include "src/storage/objects.h"
#include "src/storage/stamps.h"
#include "src/storage/storage.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/no_engine.h"

#define MAX_STREAM 16384
#define EXISTS 0xEE
#define NO_OBJECT 9				/* the only object id that is missing */

Storage		storage;

/* ---- a store without RocksDB ---- */

static const uint8_t *stream;	/* whole, to seek in */
static size_t stream_len;

Object *
objects_get(uint32_t object_id)
{
	return object_id == NO_OBJECT ? NULL : (Object *) &storage;
}

void
object_put(Object *object)
{
	MUST(object == (Object *) &storage);
}

EngineFamily *
object_family(const Object *object)
{
	(void) object;
	return NULL;
}

Stamp *
stamps_newest(void)
{
	return NULL;
}

void
stamp_put(Stamp *s)
{
	(void) s;
}

EngineSnapshot *
stamp_snapshot(Stamp *s)
{
	(void) s;
	return NULL;
}

bool
engine_first_existing(Engine *e, EngineFamily *f, EngineSnapshot *s, uint32_t n,
					  const uint8_t *const *keys, const size_t *lens, bool ascending,
					  uint32_t *first, EngineError *err)
{
	(void) e;
	(void) f;
	(void) s;
	(void) err;
	MUST(n > 0 && n <= ENGINE_MULTI_MAX);
	for (uint32_t i = 1; ascending && i < n; i++)
		MUST(key_compare(keys[i - 1], lens[i - 1], keys[i], lens[i]) < 0);
	for (*first = 0; *first < n; (*first)++)
		if (keys[*first][lens[*first] - 1] == EXISTS)
			return true;
	return true;
}

/* An iterator over the keys of the stream that exist. */
struct EngineIter
{
	const uint8_t *key;			/* the least in the range, or NULL */
	size_t		len;
};

EngineIter *
engine_iter_open(Engine *e, EngineFamily *f, EngineSnapshot *s, const uint8_t *lower,
				 size_t lower_len, const uint8_t *upper, size_t upper_len, uint64_t max_skip)
{
	EngineIter *it = calloc(1, sizeof(EngineIter));

	(void) e;
	(void) f;
	(void) s;
	MUST(max_skip > 0);
	MUST(lower_len <= KALAM_MAX_KEY_BYTES && upper_len <= KALAM_MAX_KEY_BYTES + 1);
	MUST(key_compare(lower, lower_len, upper, upper_len) < 0);
	for (size_t at = 0; at + 2 <= stream_len;)
	{
		uint16_t	n;
		const uint8_t *key = stream + at + 2;

		memcpy(&n, stream + at, 2);
		if (n == 0 || at + 2 + n > stream_len)
			break;
		at += 2 + (size_t) n;
		if (key[n - 1] == EXISTS && key_compare(key, n, lower, lower_len) >= 0 &&
			key_compare(key, n, upper, upper_len) < 0 &&
			(it->key == NULL || key_compare(key, n, it->key, it->len) < 0))
		{
			it->key = key;
			it->len = n;
		}
	}
	return it;
}

void
engine_iter_start(EngineIter *it, bool reverse)
{
	(void) it;
	MUST(!reverse);
}

bool
engine_iter_entry(EngineIter *it, const uint8_t **key, size_t *key_len, const uint8_t **value,
				  size_t *value_len)
{
	*key = it->key;
	*key_len = it->len;
	*value = NULL;
	*value_len = 0;
	return it->key != NULL;
}

EngineIterEnd
engine_iter_end(EngineIter *it, EngineError *err)
{
	(void) err;
	MUST(it->key == NULL);
	return ENGINE_ITER_END;
}

void
engine_iter_close(EngineIter *it)
{
	free(it);
}

/* ---- the stream ---- */

static size_t
make_stream(Input *in, uint8_t *to)
{
	size_t		len = 0;
	uint32_t	object = 300;
	uint64_t	row = 0;

	while (in->size > 0)
	{
		uint8_t		what = take_byte(in);
		uint16_t	n = (uint16_t) (5 + (what & 64 ? take_bytes(in, 2) % 2699 : take_byte(in) % 12));

		if (len + 2 + n > MAX_STREAM)
			break;
		if (what % 16 == 0)
			object = what & 32 ? 300 + take_byte(in) % 3 : NO_OBJECT;
		row = what % 16 == 1 ? 0 : row + what % 4;
		memcpy(to + len, &n, 2);
		memset(to + len + 2, what & 7, n);
		kalam_put_key_prefix(to + len + 2, object, KALAM_KEY_KIND_ROW);
		if (n >= 14)
			kalam_put_be64(to + len + 2 + 5, row);
		else if (n > 5)
			to[len + 2 + 5] = (uint8_t) row;
		if (what == 0xFF)
			to[len + 2 + n - 1] = EXISTS;
		len += 2 + (size_t) n;
	}
	return len;
}

typedef struct Answer
{
	bool		good;
	uint64_t	found;
	KalamCode	code;
} Answer;

/* What the stream's answer must be. */
static Answer
expected(void)
{
	Answer		a = {true, UINT64_MAX, KALAM_OK};
	uint64_t	position = 0;

	for (size_t at = 0; at < stream_len; position++)
	{
		uint16_t	n;

		if (at + 2 > stream_len)
			return (Answer) {false, UINT64_MAX, KALAM_ERR_PROTOCOL};
		memcpy(&n, stream + at, 2);
		if (n < KALAM_KEY_PREFIX_BYTES || n > KALAM_MAX_KEY_BYTES || at + 2 + n > stream_len)
			return (Answer) {false, UINT64_MAX, KALAM_ERR_PROTOCOL};
		if (kalam_get_be32(stream + at + 2) == NO_OBJECT)
			return (Answer) {false, UINT64_MAX, KALAM_ERR_NO_OBJECT};
		if (stream[at + 2 + n - 1] == EXISTS)
		{
			a.found = position;
			return a;
		}
		at += 2 + (size_t) n;
	}
	return a;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	uint8_t		how = take_byte(&in);
	uint8_t		cut = take_byte(&in);
	uint8_t		where = take_byte(&in),
				what = take_byte(&in);
	uint8_t    *bytes = malloc(MAX_STREAM);
	KeyStream  *s = key_stream_open();
	Answer		a,
				e;
	EngineError err = {0};

	if (how & 1)
	{
		stream_len = in.size < MAX_STREAM ? in.size : MAX_STREAM;
		if (stream_len > 0)
			memcpy(bytes, in.data, stream_len);
	}
	else
		stream_len = make_stream(&in, bytes);
	if (how & 2 && stream_len > 0)
		bytes[where * 7 % stream_len] ^= what;
	if (how & 4 && stream_len > 0)
		stream_len -= cut % stream_len;
	stream = bytes;

	a = (Answer) {true, UINT64_MAX, KALAM_OK};
	for (size_t at = 0; a.good && a.found == UINT64_MAX && at < stream_len;)
	{
		size_t		n = cut < 4 ? (size_t) cut + 1 : 1 + (size_t) (cut * (at + 7) % 997);
		uint8_t    *block;

		if (n > stream_len - at)
			n = stream_len - at;
		block = malloc(n);
		memcpy(block, bytes + at, n);
		a.good = key_stream_feed(s, block, n, &a.found, &err);
		free(block);
		at += n;
	}
	if (a.good && a.found == UINT64_MAX)
		a.good = key_stream_end(s, &err);
	a.code = a.good ? KALAM_OK : err.code;
	e = expected();
	/* a block is split before its keys are looked up: what is malformed may win */
	if (a.good || a.code != KALAM_ERR_PROTOCOL)
	{
		MUST(a.good == e.good && a.found == e.found && a.code == e.code);
	}
	else
		MUST(e.code != KALAM_OK || e.found != UINT64_MAX);
	key_stream_close(s);
	free(bytes);
	return 0;
}
