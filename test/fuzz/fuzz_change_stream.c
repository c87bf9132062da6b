/*
 * fuzz_change_stream.c
 *	  The input is a stream of changes and where it is cut into blocks.  Cut or
 *	  whole, the parser hands over the same changes, and says the same of its end.
 *
 * Changes are made of the input so that most are well formed; then some bytes
 * are changed.
 */
#include <string.h>

#include "src/storage/change_stream.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/no_engine.h"

#define MAX_STREAM 16384

typedef struct Seen
{
	uint32_t	count;
	uint32_t	stop_at;		/* the function refuses this one */
	uint64_t	hash;			/* of all changes */
	size_t		bytes;
} Seen;

static uint64_t
mix(uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static bool
see(void *arg, const Change *c, EngineError *err)
{
	Seen	   *seen = arg;
	size_t		size = (size_t) KALAM_CHANGE_HEADER_BYTES + c->key_len + c->value_len;

	MUST(c->key == c->bytes + KALAM_CHANGE_HEADER_BYTES);
	MUST(c->value == c->key + c->key_len);
	MUST(c->op >= KALAM_CHANGE_PUT && c->op <= KALAM_CHANGE_LOAD);
	MUST(c->op == KALAM_CHANGE_LOCKS || c->op == KALAM_CHANGE_LOAD ? c->key_len == 0 :
		 c->key_len >= 4 && c->key_len <= KALAM_MAX_KEY_BYTES);
	MUST(c->value_len <= CHANGE_MAX_VALUE_BYTES);
	if (c->op == KALAM_CHANGE_CREATE_OBJECT)
		MUST(c->key_len == 4 && c->value_len == sizeof(KalamObjectOptions));
	if (c->op == KALAM_CHANGE_PUT)
		MUST(c->value_len >= KALAM_VALUE_HEADER_BYTES);
	seen->hash = mix(seen->hash, c->bytes, size);
	seen->bytes += size;
	if (++seen->count != seen->stop_at)
		return true;
	engine_error(err, KALAM_ERR_CANCELED, "enough");
	return false;
}

/* The streams of well-formed changes that the input asks for. */
static size_t
make_stream(Input *in, uint8_t *stream)
{
	size_t		len = 0;

	while (in->size > 0)
	{
		KalamChange h = {(uint8_t) (1 + take_byte(in) % 8), 0, 0, 0};
		size_t		size;

		switch (h.op)
		{
			case KALAM_CHANGE_PUT:
				h.key_len = (uint16_t) (5 + take_byte(in) % 40);
				h.value_len = 8 + (take_byte(in) % 8 == 0 ? (uint32_t) take_bytes(in, 2) % 4000 :
								   take_byte(in));
				break;
			case KALAM_CHANGE_DELETE:
				h.key_len = (uint16_t) (5 + take_bytes(in, 2) % KALAM_MAX_KEY_BYTES);
				break;
			case KALAM_CHANGE_CREATE_OBJECT:
				h.key_len = 4;
				h.value_len = sizeof(KalamObjectOptions);
				break;
			case KALAM_CHANGE_LOCKS:
				h.value_len = take_byte(in) % 8 * (uint32_t) sizeof(KalamLockRecord);
				break;
			default:
				h.key_len = 4;
				h.value_len = h.op == KALAM_CHANGE_INGEST ? take_byte(in) :
					h.op == KALAM_CHANGE_DROP_INDEX ? 2 : 0;
				break;
		}
		size = (size_t) KALAM_CHANGE_HEADER_BYTES + h.key_len + h.value_len;
		if (len + size > MAX_STREAM)
			break;
		memcpy(stream + len, &h, KALAM_CHANGE_HEADER_BYTES);
		memset(stream + len + KALAM_CHANGE_HEADER_BYTES, take_byte(in),
			   size - KALAM_CHANGE_HEADER_BYTES);
		len += size;
	}
	return len;
}

/* A block of its own for the bytes, so that the sanitizer sees overreads. */
static bool
feed(ChangeStream *s, const uint8_t *data, size_t len, Seen *seen, EngineError *err)
{
	uint8_t    *block = malloc(len == 0 ? 1 : len);
	bool		good;

	memcpy(block, data, len);
	good = change_stream_feed(s, block, len, see, seen, err);
	free(block);
	return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	uint8_t		how = take_byte(&in);
	uint8_t		cut = take_byte(&in);
	uint32_t	stop_at = how & 8 ? take_byte(&in) : 0;
	uint8_t		changes[3][3];
	uint8_t    *stream = malloc(MAX_STREAM);
	size_t		len;
	ChangeStream whole = {0},
				pieces = {0};
	Seen		a = {.stop_at = stop_at},
				b = {.stop_at = stop_at};
	EngineError err_a = {0},
				err_b = {0};
	bool		good_a,
				good_b = true;

	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 3; k++)
			changes[i][k] = how & (1 << i) ? take_byte(&in) : 0;
	if (how & 16)
	{
		len = in.size < MAX_STREAM ? in.size : MAX_STREAM;
		if (len > 0)
			memcpy(stream, in.data, len);
	}
	else
		len = make_stream(&in, stream);
	for (int i = 0; i < 3 && len > 0; i++)
		if (how & (1 << i))
			stream[((size_t) changes[i][0] << 8 | changes[i][1]) % len] ^= changes[i][2];
	if (how & 32 && len > 0)
		len -= cut % len;

	good_a = feed(&whole, stream, len, &a, &err_a);
	for (size_t at = 0; good_b && at < len;)
	{
		size_t		n = cut < 4 ? (size_t) cut + 1 : 1 + (size_t) (cut * (at + 7) % 997);

		if (n > len - at)
			n = len - at;
		good_b = feed(&pieces, stream + at, n, &b, &err_b);
		MUST(pieces.carry_len <= len);
		at += n;
	}
	/* what is wrong with a header, whole says at once, pieces when it is complete */
	MUST(good_a == good_b);
	MUST(a.count == b.count && a.hash == b.hash && a.bytes == b.bytes);
	MUST(err_a.code == err_b.code);
	if (good_a)
	{
		MUST(change_stream_end(&whole, &err_a) == change_stream_end(&pieces, &err_b));
		MUST(change_stream_end(&whole, &err_a) == (a.bytes == len));
	}
	change_stream_free(&whole);
	change_stream_free(&pieces);
	free(stream);
	return 0;
}
