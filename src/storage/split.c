/*
 * split.c
 *	  Pieces of a key range that hold about equally many bytes.
 *
 * The store tells about how many bytes of files lie between two keys, so pieces
 * are found by bisection: the middle of two keys as numbers halves the span,
 * not the rows, but whatever is still too large is halved again.  Only spans in
 * which a wanted place lies are: every n-th of the bytes, or random ones.  A
 * half that turns out empty makes us ask for the first and the last real key of
 * the other, or clusters of keys would take dozens of halvings.
 *
 * What is in memory the store does not tell: see survey.c.
 *
 * Everything here is an estimate but that the pieces of a split, one behind the
 * other, are the range.  One thread at a time uses a Split; it takes no lock.
 */
#include "src/storage/split.h"

#include <stdlib.h>
#include <string.h>

#include "src/storage/objects.h"
#include "src/storage/storage.h"
#include "src/storage/survey.h"

#define MAX_PIECES		8192
#define DEFAULT_GRAIN	(64 << 10)

/* spans of a split are halved until they are so much smaller than a piece */
#define PIECE_PARTS		4

/* halvings in a turn, and at most before one span is left as it is */
#define TURN			64
#define STEPS_PER_SPAN	200

/* deleted keys in a row that are stepped over to find a real one */
#define PATIENCE		20000

typedef struct Span
{
	Key			lower;			/* of the piece; the next span's is its end */
	Key			from;			/* its keys lie between these two */
	Key			to;
	bool		tight;			/* which are keys of rows, or could not be found */
	bool		lost;			/* they could not */
	bool		settled;		/* not to be halved any more */
	uint64_t	bytes;
} Span;

struct Split
{
	Object	   *object;
	Key			lower;
	Key			upper;
	KeyChunk   *chunks;
	Survey		memory;

	Span	   *spans;			/* ascending, one behind the other */
	uint32_t	nspans;
	uint32_t	spans_size;
	uint64_t	bytes;			/* of all */

	bool		random;
	uint32_t	nplaces;
	uint64_t   *places;			/* ascending, below bytes */
	uint64_t	grain;			/* spans of so many bytes are small enough */
	uint64_t	seed;

	/* where the halving has come to */
	uint32_t	at;				/* span */
	uint32_t	place;			/* the first in it or behind it */
	uint64_t	before;			/* bytes before it */
	uint32_t	patience;		/* halvings left for it */
};

/* ---- keys ---- */

/* A prefix of `of` and a number behind it, without the zeros at its end. */
static Key
make_key(Split *s, Key of, size_t prefix, uint64_t number)
{
	uint8_t    *bytes = key_room(&s->chunks, prefix + 8);
	size_t		len = prefix + 8;

	memcpy(bytes, of.bytes, prefix);
	kalam_put_be64(bytes + prefix, number);
	while (len > prefix && bytes[len - 1] == 0)
		len--;
	return (Key) {bytes, len};
}

/* A key about half way: from < *middle <= to.  False: there is none. */
static bool
middle_key(Split *s, Key from, Key to, Key *middle)
{
	size_t		prefix = key_common_prefix(from, to);
	size_t		width = KALAM_MAX_KEY_BYTES - prefix < 8 ? KALAM_MAX_KEY_BYTES - prefix : 8;
	unsigned	unused = 8 * (8 - (unsigned) width);	/* bits: keys end there */
	uint64_t	a;
	uint64_t	b;

	if (width == 0)
		return false;
	a = key_number_at(from, prefix) >> unused;
	b = key_number_at(to, prefix) >> unused;
	if (b - a >= 2)
		*middle = make_key(s, from, prefix, (a + (b - a) / 2) << unused);
	else
		*middle = key_keep(&s->chunks, to.bytes, to.len < prefix + width ? to.len : prefix + width);
	return key_order(from, *middle) < 0 && key_order(*middle, to) <= 0;
}

/* ---- spans ---- */

static uint64_t
bytes_between(const Split *s, Key lower, Key upper)
{
	return engine_range_bytes(storage.engine, object_family(s->object), lower.bytes, lower.len,
							  upper.bytes, upper.len) +
		survey_bytes_before(&s->memory, upper) - survey_bytes_before(&s->memory, lower);
}

static Key
span_end(const Split *s, uint32_t i)
{
	return i + 1 < s->nspans ? s->spans[i + 1].lower : s->upper;
}

/* Asks for the first and the last key of a row.  False if that does not help. */
static bool
tighten(Split *s, uint32_t i)
{
	Span	   *span = &s->spans[i];
	Key			end = span_end(s, i);
	EngineIter *it;
	Key			key;
	const uint8_t *value;
	size_t		value_len;
	bool		found = false;

	if (span->tight)
		return false;
	it = engine_iter_open(storage.engine, object_family(s->object), NULL, span->lower.bytes,
						  span->lower.len, end.bytes, end.len, PATIENCE);
	engine_iter_start(it, false);
	if (engine_iter_entry(it, &key.bytes, &key.len, &value, &value_len))
	{
		span->from = key_keep(&s->chunks, key.bytes, key.len);
		engine_iter_start(it, true);
		if (engine_iter_entry(it, &key.bytes, &key.len, &value, &value_len))
		{
			span->to = key_keep(&s->chunks, key.bytes, key.len);
			found = true;
		}
	}
	engine_iter_close(it);
	span->tight = true;
	span->lost = !found;
	return found && key_order(span->from, span->to) < 0;
}

/* Makes two spans of one, if there is a key between. */
static void
halve(Split *s, uint32_t i)
{
	Span	   *left = &s->spans[i];
	Span	   *right;
	Key			end = span_end(s, i);
	Key			middle;
	uint64_t	bytes;

	if (!middle_key(s, left->from, left->to, &middle))
	{
		if (!tighten(s, i) || !middle_key(s, left->from, left->to, &middle))
		{
			left->settled = true;
			return;
		}
	}
	bytes = bytes_between(s, left->lower, middle);
	if (bytes > left->bytes)
		bytes = left->bytes;
	if (bytes == 0 || bytes == left->bytes)
	{
		/*
		 * Sizes are those of whole blocks: an empty half may have rows.  They stay
		 * with the other one, so that each row is in a piece that can be chosen.
		 */
		if (tighten(s, i))
			return;				/* to be halved at a better place */
		if (bytes == 0)
			left->from = middle;
		else
			left->to = middle;
		return;
	}
	if (s->nspans == s->spans_size)
	{
		s->spans_size *= 2;
		s->spans = realloc(s->spans, s->spans_size * sizeof(Span));
		if (s->spans == NULL)
			abort();
		left = &s->spans[i];
	}
	right = left + 1;
	memmove(right + 1, right, (s->nspans - i - 1) * sizeof(Span));
	s->nspans++;
	*right = *left;
	right->lower = right->from = middle;
	right->bytes = left->bytes - bytes;
	left->to = middle;
	left->bytes = bytes;
	/* among deleted rows it is not tried again and again */
	left->tight = right->tight = left->lost;
	if (key_order(right->from, right->to) >= 0)
		right->to = end;
}

/* ---- places ---- */

static uint64_t
random_number(Split *s)
{
	uint64_t	z = (s->seed += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static int
compare_places(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

static void
choose_places(Split *s, uint32_t wanted, uint64_t grain)
{
	if (s->random)
	{
		s->nplaces = s->bytes == 0 ? 0 : wanted;
		s->grain = grain;
	}
	else
	{
		if (wanted > s->bytes / grain)
			wanted = (uint32_t) (s->bytes / grain);
		s->nplaces = wanted > 0 ? wanted - 1 : 0;
		s->grain = wanted > 0 ? s->bytes / wanted / PIECE_PARTS : 0;
	}
	s->places = malloc((s->nplaces + 1) * sizeof(uint64_t));
	for (uint32_t i = 0; i < s->nplaces; i++)
		s->places[i] = s->random ? random_number(s) % s->bytes :
			(uint64_t) ((double) s->bytes / (s->nplaces + 1) * (i + 1));
	if (s->random)
		qsort(s->places, s->nplaces, sizeof(uint64_t), compare_places);
	s->patience = STEPS_PER_SPAN;
}

/* ---- the request ---- */

static bool
copy_bound(Split *s, Key *to, const uint8_t *from, uint16_t len, EngineError *err)
{
	uint32_t	id = object_id(s->object);
	uint32_t	first = len < 4 ? 0 : kalam_get_be32(from);

	if (len < 4 || len > KALAM_MAX_KEY_BYTES || (first != id && !(first == id + 1 && len == 4)))
	{
		engine_error(err, KALAM_ERR_PROTOCOL, "a bound of a split of object %u lies outside it", id);
		return false;
	}
	*to = key_keep(&s->chunks, from, len);
	return true;
}

Split *
split_open(const KalamRequest *req, EngineError *err)
{
	Split	   *s = calloc(1, sizeof(Split));
	uint64_t	grain = req->first_bytes != 0 ? req->first_bytes : DEFAULT_GRAIN;
	Span	   *all;

	s->object = objects_get(req->object_id);
	if (s->object == NULL)
		engine_error(err, KALAM_ERR_NO_OBJECT, "object %u does not exist", req->object_id);
	if (s->object == NULL || !copy_bound(s, &s->lower, req->lower, req->lower_len, err) ||
		!copy_bound(s, &s->upper, req->upper, req->upper_len, err))
	{
		split_close(s);
		return NULL;
	}
	s->random = (req->flags & KALAM_SPLIT_RANDOM) != 0;
	s->seed = req->serial;
	s->spans_size = 64;
	s->spans = calloc(s->spans_size, sizeof(Span));
	all = &s->spans[s->nspans++];
	all->lower = all->from = s->lower;
	all->to = s->upper;
	if (key_order(s->lower, s->upper) < 0)
	{
		survey_begin(&s->memory, object_family(s->object), s->lower, s->upper);
		all->bytes = s->bytes = bytes_between(s, s->lower, s->upper);
		if (s->bytes > 0)
			(void) tighten(s, 0);
	}
	choose_places(s, req->max_rows > MAX_PIECES ? MAX_PIECES : (uint32_t) req->max_rows, grain);
	return s;
}

void
split_close(Split *s)
{
	key_chunks_free(s->chunks);
	survey_end(&s->memory);
	free(s->spans);
	free(s->places);
	if (s->object != NULL)
		object_put(s->object);
	free(s);
}

/*
 * Goes over the spans from the left.  Behind the one it stands at are only those
 * that were put off on the way down to it, so that they are few to move.
 */
bool
split_step(Split *s)
{
	for (int i = 0; i < TURN; i++)
	{
		Span	   *span = &s->spans[s->at];

		while (s->place < s->nplaces && s->places[s->place] < s->before)
			s->place++;
		if (s->place == s->nplaces)
			return true;
		if (span->bytes > s->grain && s->places[s->place] - s->before < span->bytes &&
			!span->settled && s->patience > 0)
		{
			s->patience--;
			halve(s, s->at);
			continue;
		}
		s->before += span->bytes;
		if (++s->at == s->nspans)
			return true;
		s->patience = STEPS_PER_SPAN;
	}
	return false;
}

/* ---- the answer ---- */

typedef struct Answer
{
	uint8_t    *data;
	size_t		used;
	uint32_t	npieces;
} Answer;

/* False if there is no room for it. */
static bool
add_piece(Answer *a, Key lower, Key upper, uint64_t bytes, uint32_t times)
{
	KalamPiece	piece = {bytes, times, (uint16_t) lower.len, (uint16_t) upper.len};

	if (a->used + sizeof(piece) + lower.len + upper.len > KALAM_BLOCK_DATA_BYTES)
		return false;
	memcpy(a->data + a->used, &piece, sizeof(piece));
	a->used += sizeof(piece);
	memcpy(a->data + a->used, lower.bytes, lower.len);
	a->used += lower.len;
	memcpy(a->data + a->used, upper.bytes, upper.len);
	a->used += upper.len;
	a->npieces++;
	return true;
}

/* The range, cut at the ends of spans that lie nearest to every stride-th place. */
static bool
write_all(const Split *s, Answer *a, uint32_t stride)
{
	uint64_t	before = 0;		/* span i */
	uint64_t	start = 0;		/* of the piece under way */
	Key			lower = s->lower;
	uint32_t	i = 0;

	for (uint32_t place = stride - 1; place < s->nplaces; place += stride)
	{
		uint64_t	at = s->places[place];
		bool		behind;

		while (i + 1 < s->nspans && before + s->spans[i].bytes <= at)
			before += s->spans[i++].bytes;
		behind = i + 1 < s->nspans && 2 * (at - before) > s->spans[i].bytes;
		if (behind)
			before += s->spans[i++].bytes;
		if (before <= start || before >= s->bytes)
			continue;
		if (!add_piece(a, lower, s->spans[i].lower, before - start, 1))
			return false;
		lower = s->spans[i].lower;
		start = before;
	}
	return add_piece(a, lower, s->upper, s->bytes - start, 1);
}

/* The spans that every stride-th place lies in. */
static bool
write_some(const Split *s, Answer *a, uint32_t stride)
{
	uint64_t	before = 0;
	uint32_t	i = 0;

	for (uint32_t place = 0; place < s->nplaces;)
	{
		uint32_t	times = 0;

		while (i + 1 < s->nspans && before + s->spans[i].bytes <= s->places[place])
			before += s->spans[i++].bytes;
		while (place < s->nplaces && s->places[place] < before + s->spans[i].bytes)
		{
			times++;
			place += stride;
		}
		if (times == 0)
			break;				/* behind the last span */
		if (!add_piece(a, s->spans[i].lower, span_end(s, i), s->spans[i].bytes, times))
			return false;
	}
	return true;
}

void
split_write(Split *s, KalamBlock *block, uint64_t *bytes)
{
	Answer		a;
	uint32_t	stride = 1;
	bool		good;

	/* with long keys there is room for fewer pieces */
	do
	{
		a = (Answer) {block->data, 0, 0};
		good = s->random ? write_some(s, &a, stride) : write_all(s, &a, stride);
		stride *= 2;
	} while (!good && stride <= 2 * MAX_PIECES);
	memset(block, 0, sizeof(*block));
	block->used = (uint32_t) a.used;
	block->nrows = a.npieces;
	block->flags = KALAM_BLOCK_LAST;
	*bytes = s->bytes;
}
