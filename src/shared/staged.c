/*
 * staged.c
 *	  A transaction's changes before they are committed: a log and a skip list.
 *
 * Two stacks of chunks.  The log holds versions in the order of writing, each
 * with its value, so that popping is cutting the end off and whole chunks go
 * back.  The other holds the skip list's entries, which stay until the whole is
 * destroyed: cursors keep pointers to them across rollbacks, and an entry that
 * lost its versions is merely empty.
 *
 * Single-threaded.  The alloc callback may raise, by longjmp: all memory that a
 * change needs is there before anything is linked.  Must not call anything else
 * that can raise.
 */
#include "src/shared/staged.h"

#include <string.h>

#define MAX_HEIGHT			16
#define FIRST_CHUNK_BYTES	((size_t) 8 * 1024)
#define MAX_CHUNK_BYTES		((size_t) 1024 * 1024)

#define ALIGN8(n)			(((n) + 7) & ~(size_t) 7)

_Static_assert(offsetof(KalamStagedVersion, value) % 8 == 0, "values are 8-aligned");

typedef struct Chunk
{
	struct Chunk *older;
	struct Chunk *newer;
	size_t		size;			/* bytes of the whole chunk */
	size_t		used;			/* bytes of data */
	uint64_t	first;			/* log: number of its first version */
	KalamStagedVersion *last;	/* log: its newest version, NULL if empty */
	uint64_t	data[];
} Chunk;

typedef struct ChunkStack
{
	Chunk	   *oldest;
	Chunk	   *newest;
	size_t		next_size;		/* of the next chunk of small things */
} ChunkStack;

/*
 * An entry.  Its links lie in front of it, level 0 nearest, so that links of
 * the low levels, length and key share a cache line whatever the height.
 */
struct KalamStagedKey
{
	KalamStagedVersion *newest;
	uint32_t	len;
	uint32_t	height;
	uint8_t		bytes[];
};

#define NEXT(node, level)	(((KalamStagedKey **) (node))[-1 - (int) (level)])

/* On each level the last entry that is not behind some place; head at least. */
typedef KalamStagedKey *Path[MAX_HEIGHT];

struct KalamStaged
{
	KalamStagedMemory memory;
	ChunkStack	log;
	ChunkStack	entries;
	Chunk	   *spare;			/* an empty log chunk kept for the next need */
	uint64_t	nversions;
	uint64_t	bytes;
	uint64_t	random;
	uint32_t	height;			/* levels in use */

	/*
	 * Two places where the next key may belong, to spare it the search: the
	 * end of the list, and behind the entry that was put in last elsewhere.
	 */
	Path		tail;
	Path		finger;

	/* an entry without a key, before all others, and the room for it */
	KalamStagedKey *head;
	uint64_t	head_room[MAX_HEIGHT + sizeof(KalamStagedKey) / 8];
};

/* ---- chunks ---- */

static Chunk *
chunk_alloc(KalamStaged *s, size_t data_bytes)
{
	size_t		size = sizeof(Chunk) + data_bytes;
	Chunk	   *c = s->memory.alloc(s->memory.arg, size);

	c->older = c->newer = NULL;
	c->size = size;
	c->used = 0;
	c->first = 0;
	c->last = NULL;
	s->bytes += size;
	return c;
}

static void
chunk_free(KalamStaged *s, Chunk *c)
{
	s->bytes -= c->size;
	s->memory.free(s->memory.arg, c, c->size);
}

static inline size_t
chunk_room(const Chunk *c)
{
	return c->size - sizeof(Chunk) - c->used;
}

static void
chunk_push(ChunkStack *stack, Chunk *c)
{
	c->older = stack->newest;
	if (stack->newest != NULL)
		stack->newest->newer = c;
	else
		stack->oldest = c;
	stack->newest = c;
}

/* Takes the newest chunk off. */
static Chunk *
chunk_pop(ChunkStack *stack)
{
	Chunk	   *c = stack->newest;

	stack->newest = c->older;
	if (stack->newest != NULL)
		stack->newest->newer = NULL;
	else
		stack->oldest = NULL;
	c->older = NULL;
	return c;
}

/*
 * Makes sure that the newest chunk has room for so many bytes.  Something big
 * gets a chunk cut to its size, with some room for small things behind it.
 */
static void
reserve(KalamStaged *s, ChunkStack *stack, size_t need)
{
	Chunk	   *c;

	if (stack->newest != NULL && chunk_room(stack->newest) >= need)
		return;

	if (stack == &s->log && s->spare != NULL && chunk_room(s->spare) >= need)
	{
		c = s->spare;
		s->spare = NULL;
	}
	else
	{
		c = chunk_alloc(s, need > stack->next_size / 4 ? need + FIRST_CHUNK_BYTES
						: stack->next_size - sizeof(Chunk));
		if (stack->next_size < MAX_CHUNK_BYTES)
			stack->next_size *= 2;
	}
	c->first = s->nversions;
	chunk_push(stack, c);
}

static inline void *
take(ChunkStack *stack, size_t bytes)
{
	Chunk	   *c = stack->newest;
	void	   *p = (char *) c->data + c->used;

	c->used += bytes;
	return p;
}

/* ---- the skip list ---- */

static inline int
compare(const KalamStagedKey *a, const void *key, size_t len)
{
	size_t		n = a->len < len ? a->len : len;
	int			c = memcmp(a->bytes, key, n);

	if (c != 0)
		return c;
	return a->len < len ? -1 : a->len > len ? 1 : 0;
}

/*
 * Fills path with the last entries before key (levels in use only) and returns
 * the first entry at or behind it.
 */
static KalamStagedKey *
search(const KalamStaged *s, const void *key, size_t len, Path path)
{
	KalamStagedKey *at = s->head;
	KalamStagedKey *behind = NULL;

	for (uint32_t level = s->height; level-- > 0;)
	{
		for (;;)
		{
			KalamStagedKey *next = NEXT(at, level);

			/* Likely the next to be compared: its miss overlaps this one. */
			if (level > 0)
				__builtin_prefetch(NEXT(at, level - 1));

			/* What stopped us one level above stops us here too. */
			if (next == behind || compare(next, key, len) >= 0)
			{
				behind = next;
				break;
			}
			at = next;
		}
		path[level] = at;
	}
	return behind;
}

/* Whether nothing in the list is at or behind key. */
static inline bool
behind_all(const KalamStaged *s, const void *key, size_t len)
{
	const KalamStagedKey *last = s->tail[0];

	return last == s->head || compare(last, key, len) < 0;
}

/* 1 + the number of times that one chance in four came true. */
static uint32_t
random_height(KalamStaged *s)
{
	uint64_t	x = s->random;
	uint32_t	height;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	s->random = x;
	height = 1 + (uint32_t) __builtin_ctzll(x | UINT64_C(1) << 62) / 2;
	return height < MAX_HEIGHT ? height : MAX_HEIGHT;
}

/* Puts a new entry behind the entries of path.  Memory has been reserved. */
static KalamStagedKey *
link_entry(KalamStaged *s, KalamStagedKey **path, uint32_t height, const void *key, size_t len)
{
	KalamStagedKey **links = take(&s->entries, ALIGN8(sizeof(KalamStagedKey *) * height +
													 sizeof(KalamStagedKey) + len));
	KalamStagedKey *k = (KalamStagedKey *) (links + height);

	k->newest = NULL;
	k->len = (uint32_t) len;
	k->height = height;
	if (len > 0)
		memcpy(k->bytes, key, len);

	if (height > s->height)
		s->height = height;
	for (uint32_t level = 0; level < height; level++)
	{
		NEXT(k, level) = NEXT(path[level], level);
		NEXT(path[level], level) = k;
		if (NEXT(k, level) == NULL)
			s->tail[level] = k;
		path[level] = k;
	}
	return k;
}

/* The entry of key, made if there is none. */
static KalamStagedKey *
find_or_link(KalamStaged *s, const void *key, size_t len, uint32_t height)
{
	KalamStagedKey *k;

	if (behind_all(s, key, len))
		return link_entry(s, s->tail, height, key, len);

	/* Between the last one put in and its neighbour? */
	k = s->finger[0];
	if (k != s->head && compare(k, key, len) < 0)
	{
		KalamStagedKey *next = NEXT(k, 0);
		int			c = next == NULL ? 1 : compare(next, key, len);

		if (c == 0)
			return next;
		if (c > 0)
			return link_entry(s, s->finger, height, key, len);
	}

	/*
	 * The search moves the finger, also to an entry that is there: a path of
	 * any place is a good one.  Levels above those in use stay at the head.
	 */
	k = search(s, key, len, s->finger);
	if (k != NULL && compare(k, key, len) == 0)
		return k;
	return link_entry(s, s->finger, height, key, len);
}

/* ---- the interface ---- */

KalamStaged *
kalam_staged_create(const KalamStagedMemory *memory)
{
	KalamStaged *s = memory->alloc(memory->arg, sizeof(KalamStaged));

	memset(s, 0, sizeof(*s));
	s->memory = *memory;
	s->log.next_size = FIRST_CHUNK_BYTES;
	s->entries.next_size = FIRST_CHUNK_BYTES;
	s->bytes = sizeof(*s);
	s->random = UINT64_C(0x9E3779B97F4A7C15);
	s->height = 1;
	s->head = (KalamStagedKey *) (s->head_room + MAX_HEIGHT);
	for (int level = 0; level < MAX_HEIGHT; level++)
		s->tail[level] = s->finger[level] = s->head;
	return s;
}

void
kalam_staged_destroy(KalamStaged *s)
{
	KalamStagedMemory memory = s->memory;

	while (s->log.newest != NULL)
		chunk_free(s, chunk_pop(&s->log));
	while (s->entries.newest != NULL)
		chunk_free(s, chunk_pop(&s->entries));
	if (s->spare != NULL)
		chunk_free(s, s->spare);
	memory.free(memory.arg, s, sizeof(*s));
}

KalamStagedVersion *
kalam_staged_add(KalamStaged *s, const void *key, size_t key_len,
				 uint8_t op, uint32_t command_id, size_t value_len)
{
	size_t		bytes = ALIGN8(sizeof(KalamStagedVersion) + value_len);
	uint32_t	height = random_height(s);
	KalamStagedKey *k;
	KalamStagedVersion *v;
	Chunk	   *c;

	/* Room for both first: from here on nothing fails. */
	reserve(s, &s->entries, ALIGN8(sizeof(KalamStagedKey *) * height +
								   sizeof(KalamStagedKey) + key_len));
	reserve(s, &s->log, bytes);

	k = find_or_link(s, key, key_len, height);
	c = s->log.newest;
	v = take(&s->log, bytes);
	v->older = k->newest;
	v->key = k;
	v->command_id = command_id;
	v->value_len = (uint32_t) value_len;
	v->op = op;
	v->flags = 0;
	v->unused[0] = v->unused[1] = 0;
	v->sub = 0;
	v->unused2 = 0;
	/* distance to the version before it in the chunk, in units of 8 bytes */
	v->back = c->last == NULL ? 0 : (uint32_t) (((char *) v - (char *) c->last) / 8);
	c->last = v;
	k->newest = v;
	s->nversions++;
	return v;
}

KalamStagedMark
kalam_staged_mark(const KalamStaged *s)
{
	KalamStagedMark mark = {.nversions = s->nversions};

	return mark;
}

void
kalam_staged_pop_to(KalamStaged *s, KalamStagedMark mark)
{
	for (;;)
	{
		Chunk	   *c = s->log.newest;
		KalamStagedVersion *v;

		if (s->nversions <= mark.nversions)
			return;
		v = c->last;
		if (v != NULL)
		{
			v->key->newest = v->older;
			c->used = (size_t) ((char *) v - (char *) c->data);
			c->last = v->back == 0 ? NULL : (KalamStagedVersion *) ((char *) v - (size_t) v->back * 8);
			s->nversions--;
		}
		if (c->last == NULL)
		{
			/* Keep one, so that a loop over this border does not allocate. */
			chunk_pop(&s->log);
			if (s->spare == NULL && c->size <= MAX_CHUNK_BYTES)
				s->spare = c;
			else
				chunk_free(s, c);
		}
	}
}

uint64_t
kalam_staged_count(const KalamStaged *s)
{
	return s->nversions;
}

uint64_t
kalam_staged_bytes(const KalamStaged *s)
{
	return s->bytes;
}

KalamStagedKey *
kalam_staged_seek(const KalamStaged *s, const void *key, size_t len)
{
	Path		path;

	if (behind_all(s, key, len))
		return NULL;
	return search(s, key, len, path);
}

KalamStagedKey *
kalam_staged_find(const KalamStaged *s, const void *key, size_t len)
{
	KalamStagedKey *k = kalam_staged_seek(s, key, len);

	return k != NULL && compare(k, key, len) == 0 ? k : NULL;
}

KalamStagedKey *
kalam_staged_seek_before(const KalamStaged *s, const void *key, size_t len)
{
	KalamStagedKey *before = s->tail[0];

	if (!behind_all(s, key, len))
	{
		Path		path;

		search(s, key, len, path);
		before = path[0];
	}
	return before == s->head ? NULL : before;
}

KalamStagedKey *
kalam_staged_next(const KalamStagedKey *k)
{
	return NEXT(k, 0);
}

const uint8_t *
kalam_staged_key_bytes(const KalamStagedKey *k, size_t *len)
{
	*len = k->len;
	return k->bytes;
}

KalamStagedVersion *
kalam_staged_newest(const KalamStagedKey *k)
{
	return k->newest;
}

KalamStagedVersion *
kalam_staged_visible(const KalamStagedKey *k, uint32_t command_id)
{
	KalamStagedVersion *v = k->newest;

	while (v != NULL && v->command_id >= command_id)
		v = v->older;
	return v;
}

/* ---- walking the log ---- */

static inline size_t
version_bytes(const KalamStagedVersion *v)
{
	return ALIGN8(sizeof(KalamStagedVersion) + (size_t) v->value_len);
}

void
kalam_staged_walk(KalamStagedWalk *walk, const KalamStaged *s, uint64_t from)
{
	Chunk	   *c = s->log.newest;

	walk->staged = s;
	walk->position = from < s->nversions ? from : s->nversions;
	walk->place = NULL;
	walk->offset = 0;
	while (c != NULL && c->first > walk->position)
		c = c->older;
	if (c == NULL)
		return;
	walk->place = c;
	for (uint64_t i = c->first; i < walk->position; i++)
		walk->offset += version_bytes((KalamStagedVersion *) ((char *) c->data + walk->offset));
}

KalamStagedVersion *
kalam_staged_walk_next(KalamStagedWalk *walk)
{
	const KalamStaged *s = walk->staged;
	Chunk	   *c = walk->place;
	KalamStagedVersion *v;

	if (walk->position >= s->nversions)
		return NULL;
	if (c == NULL)
		c = s->log.oldest;		/* the log was empty when the walk began */
	while (walk->offset >= c->used)
	{
		c = c->newer;
		walk->offset = 0;
	}
	walk->place = c;
	v = (KalamStagedVersion *) ((char *) c->data + walk->offset);
	walk->offset += version_bytes(v);
	walk->position++;
	return v;
}
