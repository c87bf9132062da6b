/*
 * model.c
 *	  The search through interleavings that model.h describes.
 *
 * A process stops before each of its accesses and says what it is about to do; the
 * search does it for it.  A state is all that decides what can come: memory, what is
 * live of the stacks, saved registers, and what is known to whom.  States are told
 * apart by a hash of 64 bits of that.  What a process leaves on its stack below what
 * is live is cleared whenever it stops, so that states which differ in nothing else
 * are the same.
 */
#include "test/unit/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define STACK_BYTES		65536
#define STACK_CLEARED	3072	/* below what is live */
#define MAX_LOCATIONS	188
#define MAX_WORDS		512
#define MAX_OLD			3		/* messages before the newest one that are kept */
#define MAX_STEPS		4000	/* of one run: more do not end */
#define MAX_CHOICES		(MODEL_PROCESSES * (MAX_OLD + 2))
#define MAX_PLACES		512
#define VARIANT_DIES	0xFF

char		model_memory[MODEL_MEMORY_BYTES] __attribute__((aligned(4096)));
uint32_t	model_memory_used;

/* ---- what a process is ---- */

typedef enum
{
	ACCESS_ATOMIC,
	ACCESS_READ,				/* plain */
	ACCESS_WRITE
} Access;

typedef struct
{
	Access		access;
	KalamModelOp op;
	uint32_t	offset;			/* in model_memory */
	uint32_t	size;
	uint64_t	value;
	void	   *expected;
	memory_order order;
	memory_order failure;
	const char *file;
	int			line;
	uint32_t	place;
} Step;

typedef struct
{
	jmp_buf		env;
	char	   *live;			/* of its stack, from here to its end */
	uint64_t	result;
	Step		step;			/* that it stopped before */
	bool		ended;
	bool		dead;
} Process;

/*
 * What a process knows, and what a message carries: of each process, how far its
 * accesses have happened before; of each location, how many of its stores.
 */
#define VIEW_BYTES		(MODEL_PROCESSES + MAX_LOCATIONS)
static uint32_t view_bytes;		/* that the scenario uses */

typedef struct
{
	uint8_t		data[VIEW_BYTES];
} View;

/* A location that was stored to: the newest message first; its value is in memory. */
typedef struct
{
	uint8_t		nstores;
	uint8_t		nold;
	uint64_t	old_value[MAX_OLD];
} Location;

/* Of 8 bytes: when each process did what with them last. */
typedef struct
{
	uint8_t		reads[MODEL_PROCESSES];
	uint8_t		writes[MODEL_PROCESSES];
	uint8_t		atomic_reads[MODEL_PROCESSES];
	uint8_t		atomic_writes[MODEL_PROCESSES];
} Word;

typedef struct
{
	uint32_t	last;			/* process that ran; nprocesses: none */
	uint8_t		switches;
	uint8_t		stale;
	uint8_t		deaths;
	Process		processes[MODEL_PROCESSES];
} State;

static State state;
static uint8_t views[MODEL_PROCESSES][VIEW_BYTES];
static uint8_t sc_view[VIEW_BYTES];
static Location locations[MAX_LOCATIONS];
static uint8_t messages[MAX_LOCATIONS * (1 + MAX_OLD) * VIEW_BYTES];
static Word words[MAX_WORDS];
static char stacks[MODEL_PROCESSES][STACK_BYTES] __attribute__((aligned(64)));

/* Numbers of locations and words, for as long as the scenario runs: 0 is none. */
static uint16_t location_numbers[MODEL_MEMORY_BYTES / 4];
static uint16_t word_numbers[MODEL_MEMORY_BYTES / 8];
static uint32_t nlocations;
static uint32_t nwords;

static const ModelScenario *scenario;
static uint32_t nprocesses;
static bool weak;				/* loads see old values */
static bool tracked;			/* who knows what */
static jmp_buf search_env;
static int	current = -1;		/* process that runs now */
static ModelResult result;

/* ---- places ---- */

static struct
{
	const char *file;
	int			line;
	char		text[80];
}			places[MAX_PLACES];
static uint32_t nplaces;
static uint32_t weakened;

void
model_weaken(uint32_t place)
{
	weakened = place;
}

const char *
model_place(uint32_t place)
{
	return place >= 1 && place <= nplaces ? places[place - 1].text : NULL;
}

static uint32_t
place_number(const char *file, int line)
{
	static uint16_t by_line[4096];
	uint16_t   *last = &by_line[(uint32_t) line % 4096];

	if (*last != 0 && places[*last - 1].line == line && places[*last - 1].file == file)
		return *last;
	for (uint32_t i = 0; i < nplaces; i++)
		if (places[i].line == line && places[i].file == file)
			return *last = (uint16_t) (i + 1);
	if (nplaces == MAX_PLACES)
		return 0;
	places[nplaces].file = file;
	places[nplaces].line = line;
	snprintf(places[nplaces].text, sizeof(places[nplaces].text), "%s:%d", file, line);
	return *last = (uint16_t) ++nplaces;
}

/* ---- failing ---- */

static void
fail(const char *format, va_list args)
{
	if (!result.failed)
		vsnprintf(result.message, sizeof(result.message), format, args);
	result.failed = true;
}

static void __attribute__((format(printf, 1, 2)))
search_fails(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail(format, args);
	va_end(args);
}

void
model_fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail(format, args);
	va_end(args);
	if (current >= 0)
		_longjmp(search_env, 1);
}

static void __attribute__((noreturn))
die(const char *what)
{
	fprintf(stderr, "model: %s\n", what);
	abort();
}

/* ---- the side of the processes ---- */

unsigned
model_self(void)
{
	return (unsigned) current;
}

/* Its frame is below all that is live when the process goes on. */
static void __attribute__((noinline, noreturn))
leave(Process *p)
{
	p->live = __builtin_frame_address(0);
	_longjmp(search_env, 1);
}

static void __attribute__((noinline))
stop(Process *p)
{
	if (_setjmp(p->env) == 0)
		leave(p);
}

static uint64_t
read_memory(uint32_t offset, uint32_t size)
{
	uint64_t	value = 0;

	memcpy(&value, model_memory + offset, size);
	return value;
}

static void
write_memory(uint32_t offset, uint32_t size, uint64_t value)
{
	memcpy(model_memory + offset, &value, size);
}

/* What an operation makes of the value before. */
static uint64_t
operate(KalamModelOp op, uint64_t before, uint64_t operand)
{
	switch (op)
	{
		case KALAM_MODEL_LOAD:
			return before;
		case KALAM_MODEL_STORE:
		case KALAM_MODEL_CAS:
			return operand;
		case KALAM_MODEL_ADD:
			return before + operand;
		case KALAM_MODEL_OR:
			return before | operand;
		case KALAM_MODEL_AND:
			return before & operand;
	}
	die("unknown operation");
}

/* Nobody else runs: setup, finish. */
static uint64_t
alone(KalamModelOp op, uint32_t offset, uint32_t size, uint64_t value, void *expected)
{
	uint64_t	before = read_memory(offset, size);

	if (op == KALAM_MODEL_CAS)
	{
		if (memcmp(expected, model_memory + offset, size) != 0)
		{
			memcpy(expected, model_memory + offset, size);
			return 0;
		}
		write_memory(offset, size, value);
		return 1;
	}
	if (op != KALAM_MODEL_LOAD)
		write_memory(offset, size, operate(op, before, value));
	return before;
}

static uint32_t
offset_of(const volatile void *object, uint64_t len)
{
	uintptr_t	offset = (uintptr_t) object - (uintptr_t) model_memory;

	if (offset >= model_memory_used || len > model_memory_used - offset)
		die("an access to what is not in model_memory");
	return (uint32_t) offset;
}

static Process *
next_step(Access access, uint32_t offset, uint32_t size, const char *file, int line)
{
	Process    *p = &state.processes[current];

	memset(&p->step, 0, sizeof(Step));	/* the padding too: it is hashed */
	p->step.access = access;
	p->step.offset = offset;
	p->step.size = size;
	p->step.file = file;
	p->step.line = line;
	return p;
}

uint64_t
kalam_model_atomic(KalamModelOp op, const volatile void *object, unsigned size, uint64_t value,
				   void *expected, memory_order order, memory_order failure,
				   const char *file, int line)
{
	uint32_t	offset = offset_of(object, size);
	Process    *p;

	if (current < 0)
		return alone(op, offset, size, value, expected);
	p = next_step(ACCESS_ATOMIC, offset, size, file, line);
	p->step.op = op;
	p->step.value = value;
	p->step.expected = expected;
	p->step.order = order;
	p->step.failure = failure;
	stop(p);
	return p->result;
}

void
kalam_model_plain(const void *data, uint64_t len, bool writes, const char *file, int line)
{
	uint32_t	offset;

	if (current < 0 || scenario->no_races || len == 0)
		return;
	offset = offset_of(data, len);
	stop(next_step(writes ? ACCESS_WRITE : ACCESS_READ, offset, (uint32_t) len, file, line));
}

static void
process_main(void)
{
	Process    *p = &state.processes[current];

	scenario->process[current] ();
	p->ended = true;
	leave(p);
}

/* Runs a process up to its next step, or its end. */
static void __attribute__((noinline))
resume(uint32_t number)
{
	Process    *p = &state.processes[number];
	char	   *from;

	current = (int) number;
	if (_setjmp(search_env) == 0)
		_longjmp(p->env, 1);
	p = &state.processes[current];
	if (p->ended || result.failed)
		p->live = stacks[current] + STACK_BYTES;
	from = p->live - STACK_CLEARED;
	if (from < stacks[current])
		from = stacks[current];
	memset(from, 0, (size_t) (p->live - from));
	current = -1;
}

static void __attribute__((noinline))
start(uint32_t number)
{
	static ucontext_t context;

	current = (int) number;
	getcontext(&context);
	context.uc_stack.ss_sp = stacks[number];
	context.uc_stack.ss_size = STACK_BYTES;
	context.uc_link = NULL;
	makecontext(&context, process_main, 0);
	if (_setjmp(search_env) == 0)
		setcontext(&context);
	current = -1;
}

/* ---- who knows what ---- */

static uint8_t *
message_view(uint32_t location, uint32_t age)
{
	return messages + ((size_t) location * (weak ? 1 + MAX_OLD : 1) + age) * view_bytes;
}

static void
join(uint8_t *to, const uint8_t *from)
{
	for (uint32_t i = 0; i < view_bytes; i++)
		if (to[i] < from[i])
			to[i] = from[i];
}

/* The location, entered if this is the first access; its number is never 0. */
static uint32_t
location_number(uint32_t offset)
{
	uint16_t   *number = &location_numbers[offset / 4];

	if (*number == 0)
	{
		if (nlocations + 1 == MAX_LOCATIONS)
			die("too many locations");
		*number = (uint16_t) ++nlocations;
	}
	return *number;
}

static bool
acquires(memory_order order)
{
	return order == memory_order_acquire || order == memory_order_acq_rel ||
		order == memory_order_seq_cst;
}

static bool
releases(memory_order order)
{
	return order == memory_order_release || order == memory_order_acq_rel ||
		order == memory_order_seq_cst;
}

/* A process's step under a weakened order is that of the place, made relaxed. */
static memory_order
order_of(Step *step, memory_order order)
{
	if (order == memory_order_relaxed)
		return order;
	if (step->place == 0)
		step->place = place_number(step->file, step->line);
	return step->place == weakened && weakened != 0 ? memory_order_relaxed : order;
}

/* Number of messages that a load may see. */
static uint32_t
visible_messages(uint32_t number, const Step *step)
{
	uint32_t	l = location_numbers[step->offset / 4];
	uint32_t	seen,
				n;

	if (!weak || l == 0 || step->access != ACCESS_ATOMIC || step->op != KALAM_MODEL_LOAD ||
		step->order == memory_order_seq_cst)
		return 1;
	seen = views[number][MODEL_PROCESSES + l];
	n = (uint32_t) locations[l].nstores - seen + 1;
	return n < (uint32_t) locations[l].nold + 1 ? n : (uint32_t) locations[l].nold + 1;
}

static void
sees(uint32_t number, uint32_t l, uint32_t age, memory_order order)
{
	uint8_t    *view = views[number];

	if (weak)
	{
		uint8_t		store = (uint8_t) (locations[l].nstores - age);

		if (view[MODEL_PROCESSES + l] < store)
			view[MODEL_PROCESSES + l] = store;
	}
	if (acquires(order))
		join(view, message_view(l, age));
}

/* A store after the one it follows; rmw: it carries on what that one carries. */
static void
stores(uint32_t number, uint32_t l, uint64_t before, memory_order order, bool rmw)
{
	Location   *location = &locations[l];
	uint8_t    *view = views[number];
	uint8_t    *newest = message_view(l, 0);

	if (weak)
	{
		for (uint32_t i = MAX_OLD; i-- > 1;)
			location->old_value[i] = location->old_value[i - 1];
		location->old_value[0] = before;
		memmove(message_view(l, 1), newest, (size_t) MAX_OLD * view_bytes);
		if (location->nold < MAX_OLD)
			location->nold++;
		if (++location->nstores == 0)
			die("too many stores to a location");
		view[MODEL_PROCESSES + l] = location->nstores;
	}
	if (!rmw)
		memset(newest, 0, view_bytes);
	if (releases(order))
	{
		join(newest, view);
		if (++view[number] == 0)
			die("too many steps of a process");
	}
	if (weak && newest[MODEL_PROCESSES + l] < location->nstores)
		newest[MODEL_PROCESSES + l] = location->nstores;
}

/* Has all that happened to a word, as `when` tells, happened before? */
static bool
ordered(uint32_t number, const uint8_t *when)
{
	for (uint32_t q = 0; q < nprocesses; q++)
		if (q != number && when[q] > views[number][q])
			return false;
	return true;
}

static void
touches(uint32_t number, const Step *step, bool plain, bool writes)
{
	uint32_t	end = (step->offset + step->size + 7) / 8;

	if (scenario->no_races)
		return;
	for (uint32_t i = step->offset / 8; i < end; i++)
	{
		Word	   *word;
		bool		good;

		if (word_numbers[i] == 0)
		{
			if (nwords == MAX_WORDS)
				die("too many words");
			word_numbers[i] = (uint16_t) ++nwords;
		}
		word = &words[word_numbers[i] - 1];
		good = ordered(number, word->writes);
		if (writes)
			good = good && ordered(number, word->reads);
		if (plain)
		{
			good = good && ordered(number, word->atomic_writes);
			if (writes)
				good = good && ordered(number, word->atomic_reads);
		}
		if (!good)
			search_fails("a race: process %u %s %u bytes at %u, %s:%d", number,
						 writes ? "writes" : "reads", step->size, i * 8,
						 step->file, step->line);
		(plain ? writes ? word->writes : word->reads :
		 writes ? word->atomic_writes : word->atomic_reads)[number] = views[number][number];
	}
}

/* Does what the process stopped before; a load sees the message of that age. */
static void
perform(uint32_t number, uint32_t age)
{
	Process    *p = &state.processes[number];
	Step	   *step = &p->step;
	memory_order order;
	uint64_t	before,
				after;
	uint32_t	l;
	bool		rmw = step->op != KALAM_MODEL_LOAD && step->op != KALAM_MODEL_STORE;

	if (step->access != ACCESS_ATOMIC)
	{
		touches(number, step, true, step->access == ACCESS_WRITE);
		return;
	}
	before = read_memory(step->offset, step->size);
	if (!tracked)
	{
		p->result = alone(step->op, step->offset, step->size, step->value, step->expected);
		return;
	}
	l = location_number(step->offset);
	order = order_of(step, step->order);
	if (step->op == KALAM_MODEL_CAS)
	{
		uint64_t	expected = 0;

		memcpy(&expected, step->expected, step->size);
		if (expected != before)
		{
			touches(number, step, false, false);
			sees(number, l, 0, order_of(step, step->failure));
			memcpy(step->expected, &before, step->size);
			p->result = 0;
			return;
		}
	}
	if (order == memory_order_seq_cst)
		join(views[number], sc_view);
	if (step->op != KALAM_MODEL_STORE)
		sees(number, l, age, order);
	if (step->op == KALAM_MODEL_LOAD)
	{
		touches(number, step, false, false);
		p->result = age == 0 ? before : locations[l].old_value[age - 1];
	}
	else
	{
		touches(number, step, false, true);
		after = operate(step->op, before, step->value);
		stores(number, l, before, order, rmw);
		write_memory(step->offset, step->size, after);
		p->result = step->op == KALAM_MODEL_CAS ? 1 : before;
	}
	if (order == memory_order_seq_cst)
		join(sc_view, views[number]);
}

/* ---- states that were seen ---- */

static uint64_t *seen;
static uint64_t seen_size;
static uint64_t nseen;

static inline uint64_t
hash_pair(uint64_t h, uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t) (a ^ h ^ UINT64_C(0x9E3779B97F4A7C15)) *
		(b ^ (h << 32 | h >> 32) ^ UINT64_C(0xD6E8FEB86659FD93));

	return (uint64_t) product ^ (uint64_t) (product >> 64);
}

static inline uint64_t
load_word(const char *at)
{
	uint64_t	word;

	memcpy(&word, at, 8);
	return word;
}

/* In four lanes, so that one multiplication need not wait for the other. */
static uint64_t
hash_bytes(uint64_t h, const void *data, size_t len)
{
	const char *at = data;
	uint64_t	lanes[4] = {h, h + 1, h + 2, h + 3};
	char		tail[64] = {0};

	for (; len >= 64; len -= 64, at += 64)
		for (int i = 0; i < 4; i++)
			lanes[i] = hash_pair(lanes[i], load_word(at + 16 * i), load_word(at + 16 * i + 8));
	if (len > 0)
	{
		memcpy(tail, at, len);
		for (int i = 0; i < 4; i++)
			lanes[i] = hash_pair(lanes[i], load_word(tail + 16 * i), load_word(tail + 16 * i + 8));
	}
	return hash_pair(hash_pair(len, lanes[0], lanes[1]), lanes[2], lanes[3]);
}

static size_t
location_view_bytes(void)
{
	return (size_t) view_bytes * (weak ? 1 + MAX_OLD : 1);
}

static uint64_t
state_hash(void)
{
	uint64_t	h = nprocesses;
	State	   *s = &state;

	/* Who ran last does not matter where any number of switches is allowed. */
	if (scenario->switches == MODEL_UNBOUNDED)
		s->last = nprocesses;
	h = hash_bytes(h, s, offsetof(State, processes) + nprocesses * sizeof(Process));
	h = hash_bytes(h, model_memory, model_memory_used);
	for (uint32_t i = 0; i < nprocesses; i++)
	{
		h = hash_bytes(h, s->processes[i].live,
					   (size_t) (stacks[i] + STACK_BYTES - s->processes[i].live));
		h = hash_bytes(h, views[i], view_bytes);
	}
	if (!tracked)
		return h != 0 ? h : 1;
	h = hash_bytes(h, sc_view, view_bytes);
	/* Numbers are given as the search goes: those of no store must not count. */
	for (uint32_t l = 1; l <= nlocations; l++)
	{
		const uint8_t *view = message_view(l, 0);
		uint32_t	any = locations[l].nstores;

		for (uint32_t q = 0; q < nprocesses && any == 0; q++)
			any = view[q];
		if (any != 0)
		{
			h = hash_bytes(h + l, &locations[l], sizeof(Location));
			h = hash_bytes(h, view, location_view_bytes());
		}
	}
	for (uint32_t w = 0; w < nwords; w++)
	{
		static const Word none;

		if (memcmp(&words[w], &none, sizeof(Word)) != 0)
			h = hash_bytes(h + w, &words[w], sizeof(Word));
	}
	return h != 0 ? h : 1;
}

static bool
enter_seen(uint64_t h)
{
	uint64_t	i;

	if (nseen * 2 >= seen_size)
	{
		uint64_t   *old = seen;
		uint64_t	n = seen_size;

		seen_size = n == 0 ? 1 << 16 : n * 4;
		seen = calloc(seen_size, sizeof(uint64_t));
		if (seen == NULL)
			die("no memory");
		nseen = 0;
		for (uint64_t j = 0; j < n; j++)
			if (old[j] != 0)
				enter_seen(old[j]);
		free(old);
	}
	for (i = h & (seen_size - 1); seen[i] != 0; i = (i + 1) & (seen_size - 1))
		if (seen[i] == h)
			return false;
	seen[i] = h;
	nseen++;
	return true;
}

/* ---- going back ---- */

typedef struct
{
	uint8_t		process;
	uint8_t		variant;
} Choice;

typedef struct
{
	Choice		choices[MAX_CHOICES];
	uint32_t	nchoices;
	uint32_t	next;
	uint32_t	nsteps;			/* of the trace */
	uint64_t	hash;
	uint32_t	nlocations;
	uint32_t	nwords;
	char	   *data;
	size_t		size;
} Frame;

static Frame *frames;
static uint32_t nframes;
static uint32_t frames_size;

/* Copies one way or the other. */
static void
transfer(char **at, void *data, size_t len, bool save)
{
	if (save)
		memcpy(*at, data, len);
	else
		memcpy(data, *at, len);
	*at += len;
}

static void
transfer_state(Frame *f, bool save)
{
	char	   *at = f->data;

	transfer(&at, &state, sizeof(state), save);
	transfer(&at, model_memory, model_memory_used, save);
	for (uint32_t i = 0; i < nprocesses; i++)
	{
		char	   *live = state.processes[i].live;

		transfer(&at, live, (size_t) (stacks[i] + STACK_BYTES - live), save);
		transfer(&at, views[i], view_bytes, save);
	}
	transfer(&at, sc_view, view_bytes, save);
	transfer(&at, locations + 1, f->nlocations * sizeof(Location), save);
	transfer(&at, message_view(1, 0), f->nlocations * location_view_bytes(), save);
	transfer(&at, words, f->nwords * sizeof(Word), save);
}

static size_t
state_bytes(void)
{
	size_t		n = sizeof(state) + model_memory_used + (MODEL_PROCESSES + 1) * view_bytes +
		nlocations * (sizeof(Location) + location_view_bytes()) + nwords * sizeof(Word);

	for (uint32_t i = 0; i < nprocesses; i++)
		n += (size_t) (stacks[i] + STACK_BYTES - state.processes[i].live);
	return n;
}

static void
save_state(Frame *f)
{
	size_t		n = state_bytes();

	if (f->size < n)
	{
		free(f->data);
		f->size = n + n / 4;
		f->data = malloc(f->size);
		if (f->data == NULL)
			die("no memory");
	}
	f->nlocations = nlocations;
	f->nwords = nwords;
	transfer_state(f, true);
}

static void
restore_state(Frame *f)
{
	for (uint32_t i = 0; i < nprocesses; i++)
	{
		char	   *live = state.processes[i].live - STACK_CLEARED;
		char	   *from = live < stacks[i] ? stacks[i] : live;

		memset(from, 0, (size_t) (stacks[i] + STACK_BYTES - from));
	}
	memset(locations + 1 + f->nlocations, 0,
		   (nlocations - f->nlocations) * sizeof(Location));
	memset(message_view(1 + f->nlocations, 0), 0,
		   (nlocations - f->nlocations) * location_view_bytes());
	memset(words + f->nwords, 0, (nwords - f->nwords) * sizeof(Word));
	transfer_state(f, false);
}

/* ---- the trace ---- */

typedef struct
{
	uint8_t		process;
	uint8_t		variant;
	Step		step;
	uint64_t	result;
} TraceStep;

static TraceStep trace[MAX_STEPS];
static uint32_t nsteps;

static void
print_trace(FILE *out)
{
	static const char *const names[] = {"load", "store", "add", "or", "and", "cas"};

	fprintf(out, "%s: %s\n", scenario->name, result.message);
	for (uint32_t i = 0; i < nsteps; i++)
	{
		const TraceStep *t = &trace[i];
		const Step *s = &t->step;
		const char *file = s->file != NULL ? strrchr(s->file, '/') : NULL;

		fprintf(out, "  %*s%u ", 4 * t->process, "", t->process);
		if (t->variant == VARIANT_DIES)
			fprintf(out, "dies before ");
		if (s->access != ACCESS_ATOMIC)
			fprintf(out, "%s %u bytes at %u", s->access == ACCESS_WRITE ? "writes" : "reads",
					s->size, s->offset);
		else
			fprintf(out, "%s %u", names[s->op], s->offset);
		if (s->access == ACCESS_ATOMIC && s->op != KALAM_MODEL_LOAD)
			fprintf(out, " 0x%llx", (unsigned long long) s->value);
		if (s->access == ACCESS_ATOMIC && s->op != KALAM_MODEL_STORE &&
			t->variant != VARIANT_DIES)
			fprintf(out, " -> 0x%llx", (unsigned long long) t->result);
		if (t->variant != 0 && t->variant != VARIANT_DIES)
			fprintf(out, " (old by %u)", t->variant);
		fprintf(out, "  %s:%d\n", file != NULL ? file + 1 : "?", s->line);
	}
}

/* ---- the search ---- */

static bool
runnable(uint32_t number)
{
	return !state.processes[number].ended && !state.processes[number].dead;
}

static uint32_t
find_choices(Choice *choices)
{
	uint32_t	n = 0;
	bool		unbounded = scenario->switches == MODEL_UNBOUNDED;
	bool		goes_on = state.last < nprocesses && runnable(state.last);

	for (uint32_t k = 0; k < nprocesses; k++)
	{
		/* The one that ran first: what costs nothing is looked at first. */
		uint32_t	i = (state.last + k) % nprocesses;
		uint32_t	visible = 1;

		if (!runnable(i))
			continue;
		if (goes_on && i != state.last && !unbounded && state.switches == scenario->switches)
			continue;
		if (state.stale < scenario->stale)
			visible = visible_messages(i, &state.processes[i].step);
		for (uint32_t age = 0; age < visible; age++)
			choices[n++] = (Choice) {(uint8_t) i, (uint8_t) age};
		/* One that was switched away from might as well have died then. */
		if (state.deaths < scenario->deaths && (unbounded || !goes_on || i == state.last))
			choices[n++] = (Choice) {(uint8_t) i, VARIANT_DIES};
	}
	return n;
}

/* A process that does not go on: what it had in its hands does not matter. */
static void
forget(uint32_t number)
{
	Process    *p = &state.processes[number];

	p->live = stacks[number] + STACK_BYTES;
	p->result = 0;
	memset(&p->env, 0, sizeof(p->env));
	memset(&p->step, 0, sizeof(p->step));
	memset(views[number], 0, view_bytes);
}

static void
apply(Choice c)
{
	Process    *p = &state.processes[c.process];
	TraceStep  *t;

	if (nsteps == MAX_STEPS)
	{
		search_fails("process %u waits for another, or does not end", c.process);
		return;
	}
	t = &trace[nsteps++];
	t->process = c.process;
	t->variant = c.variant;
	t->step = p->step;
	if (scenario->switches != MODEL_UNBOUNDED && state.last < nprocesses &&
		state.last != c.process && runnable(state.last))
		state.switches++;
	state.last = c.process;
	if (c.variant == VARIANT_DIES)
	{
		state.deaths++;
		p->dead = true;
		forget(c.process);
		return;
	}
	if (c.variant != 0)
		state.stale++;
	perform(c.process, c.variant);
	t->result = p->result;
	if (!result.failed)
		resume(c.process);
	if (p->ended)
		forget(c.process);
}

static void
begin(void)
{
	memset(&state, 0, sizeof(state));
	memset(views, 0, sizeof(views));
	memset(sc_view, 0, sizeof(sc_view));
	memset(locations, 0, sizeof(locations));
	memset(messages, 0, sizeof(messages));
	memset(words, 0, sizeof(words));
	memset(stacks, 0, sizeof(stacks));
	memset(location_numbers, 0, sizeof(location_numbers));
	memset(word_numbers, 0, sizeof(word_numbers));
	nlocations = 0;
	nwords = 0;
	nsteps = 0;
	nframes = 0;
	nseen = 0;
	if (seen != NULL)
		memset(seen, 0, seen_size * sizeof(uint64_t));
	memset(model_memory, 0, sizeof(model_memory));
	model_memory_used = sizeof(model_memory);
	scenario->setup();
	if (model_memory_used % 8 != 0)
		die("model_memory_used is not a multiple of 8");
	for (uint32_t i = 0; i < nprocesses; i++)
	{
		views[i][i] = 1;
		start(i);
	}
	state.last = nprocesses;
}

/* All have ended or died: what finish finds. */
static void
end(void)
{
	result.ends++;
	if (scenario->finish != NULL)
		scenario->finish();
}

static Frame *
push_frame(void)
{
	if (nframes == frames_size)
	{
		uint32_t	n = frames_size == 0 ? 256 : frames_size * 2;

		frames = realloc(frames, n * sizeof(Frame));
		if (frames == NULL)
			die("no memory");
		memset(frames + frames_size, 0, (n - frames_size) * sizeof(Frame));
		frames_size = n;
	}
	return &frames[nframes++];
}

/* Does the process that ran last get from that state to the same one alone? */
static bool
waits(uint64_t h)
{
	uint32_t	process = trace[nsteps - 1].process;
	uint32_t	step = nsteps;

	for (uint32_t i = nframes; i-- > 0;)
	{
		while (step > frames[i].nsteps)
			if (trace[--step].process != process)
				return false;
		if (frames[i].hash == h)
			return true;
	}
	return false;
}

/* A choice, and those that follow as long as there is but one. */
static bool
go_on(Choice c)
{
	Choice		choices[MAX_CHOICES];
	uint32_t	n;
	uint64_t	h;
	Frame	   *f;

	for (;;)
	{
		apply(c);
		if (result.failed)
			return false;
		n = find_choices(choices);
		if (n == 0)
		{
			if (enter_seen(hash_bytes(0, model_memory, model_memory_used)))
				end();
			return false;
		}
		if (n > 1)
			break;
		/* Many come to the same state when one has ended. */
		if (!runnable(c.process) && !enter_seen(state_hash()))
			return false;
		c = choices[0];
	}
	h = state_hash();
	if (!enter_seen(h))
	{
		if (waits(h))
			search_fails("process %u waits for another", trace[nsteps - 1].process);
		return false;
	}
	result.states++;
	f = push_frame();
	memcpy(f->choices, choices, n * sizeof(Choice));
	f->nchoices = n;
	f->next = 0;
	f->nsteps = nsteps;
	f->hash = h;
	save_state(f);
	return true;
}

static void
search(void)
{
	Frame	   *f = push_frame();
	bool		there = true;	/* the state is that of the last frame */

	f->nchoices = find_choices(f->choices);
	f->next = 0;
	f->nsteps = 0;
	f->hash = 0;
	save_state(f);
	while (nframes > 0 && !result.failed)
	{
		f = &frames[nframes - 1];
		if (f->next == f->nchoices)
		{
			nframes--;
			there = false;
			continue;
		}
		if (scenario->most_states != 0 && result.states >= scenario->most_states)
			return;
		if (!there)
		{
			restore_state(f);
			nsteps = f->nsteps;
		}
		there = go_on(f->choices[f->next++]);
	}
	result.complete = !result.failed;
}

ModelResult
model_run(const ModelScenario *s, void *trace_to)
{
	scenario = s;
	for (nprocesses = 0; nprocesses < MODEL_PROCESSES && s->process[nprocesses] != NULL;)
		nprocesses++;
	weak = s->stale > 0;
	tracked = weak || !s->no_races;
	view_bytes = weak ? VIEW_BYTES : 8;
	memset(&result, 0, sizeof(result));
	begin();
	if (!result.failed)
		search();
	if (result.failed && trace_to != NULL)
		print_trace(trace_to);
	return result;
}
