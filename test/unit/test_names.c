/*
 * test_names.c
 *	  Each name has one number, whoever enters it at the same time, and keeps it and
 *	  its bytes, also when others die or there is no room.
 */
#include "src/shared/names.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/unit.h"

#define GUARD_BYTES 256

/* Memory that processes share, of which nothing behind `bytes` may be written. */
static KalamNames *
make(uint64_t bytes)
{
	char	   *memory = mmap(NULL, bytes + GUARD_BYTES, PROT_READ | PROT_WRITE,
							  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	memset(memory, 0xA5, bytes + GUARD_BYTES);	/* what was there does not matter */
	kalam_names_init((KalamNames *) memory, bytes);
	return (KalamNames *) memory;
}

static void
drop(KalamNames *names, uint64_t bytes)
{
	const char *guard = (const char *) names + bytes;
	bool		whole = true;

	for (int i = 0; i < GUARD_BYTES; i++)
		whole = whole && guard[i] == (char) 0xA5;
	CHECK(whole);
	munmap(names, bytes + GUARD_BYTES);
}

/* A text for each number: of lengths 1 to about 70, the same beginnings often. */
static uint32_t
make_text(char *text, uint64_t i)
{
	int			len = snprintf(text, 100, "column_%llu", (unsigned long long) (i / 7));

	for (uint64_t j = 0; j < i % 7; j++)
		len += snprintf(text + len, 100 - len, "%s", j % 2 ? "_of_it" : "_and_more");
	return (uint32_t) len;
}

static bool
is_right(KalamNames *names, uint32_t number, const char *text, uint32_t len)
{
	return number != KALAM_NAME_NONE && kalam_name_len(names, number) == len &&
		memcmp(kalam_name_text(names, number), text, len) == 0 &&
		kalam_name_text(names, number)[len] == '\0';
}

static void
test_names(void)
{
	KalamNames *names = make(65536);
	KalamNamesStats stats;
	char		longest[KALAM_MAX_NAME_BYTES + 1];
	uint32_t	a;
	uint32_t	b;
	uint64_t	before;

	CHECK(kalam_name_find(names, "a", 1) == KALAM_NAME_NONE);
	a = kalam_name_enter(names, "a", 1);
	b = kalam_name_enter(names, "b", 1);
	CHECK(is_right(names, a, "a", 1) && is_right(names, b, "b", 1) && a != b);
	CHECK(kalam_name_enter(names, "a", 1) == a && kalam_name_find(names, "a", 1) == a);
	CHECK(kalam_name_find(names, "ab", 2) == KALAM_NAME_NONE);
	CHECK(kalam_name_find(names, "ab", 1) == a);

	/* bytes are bytes */
	a = kalam_name_enter(names, "x\0y", 3);
	CHECK(is_right(names, a, "x\0y", 3));
	CHECK(kalam_name_enter(names, "x\0z", 3) != a && kalam_name_find(names, "x", 1) == KALAM_NAME_NONE);

	/* a name that was there takes no more room */
	kalam_names_stats(names, &stats);
	before = stats.bytes;
	CHECK(kalam_name_enter(names, "b", 1) == b);
	kalam_names_stats(names, &stats);
	CHECK(stats.bytes == before && stats.names == 5 + 4 && stats.bytes_allowed == 65536);

	memset(longest, 'l', sizeof(longest));
	a = kalam_name_enter(names, longest, KALAM_MAX_NAME_BYTES);
	CHECK(is_right(names, a, longest, KALAM_MAX_NAME_BYTES));
	CHECK(kalam_name_enter(names, longest, sizeof(longest)) == KALAM_NAME_NONE);
	CHECK(kalam_name_find(names, longest, sizeof(longest)) == KALAM_NAME_NONE);
	kalam_names_stats(names, &stats);
	CHECK(stats.refused == 0);
	drop(names, 65536);
}

static void
test_known_names(void)
{
	static const struct
	{
		uint32_t	number;
		const char *text;
	}			known[] =
	{
		{KALAM_NAME_EMPTY, ""}, {KALAM_NAME_ROW_ID, "_row_id"}, {KALAM_NAME_UPDATED, "_updated"},
		{KALAM_NAME_DELETED, "_deleted"}, {KALAM_NAME_USER_ID, "_user_id"}
	};
	KalamNames *names = make(kalam_names_least_bytes());

	for (int i = 0; i < 5; i++)
	{
		uint32_t	len = (uint32_t) strlen(known[i].text);

		CHECK(kalam_name_find(names, known[i].text, len) == known[i].number);
		CHECK(kalam_name_enter(names, known[i].text, len) == known[i].number);
		CHECK(is_right(names, known[i].number, known[i].text, len));
	}
	drop(names, kalam_names_least_bytes());
}

/* Until there is no room, in memory of several sizes: what was entered stays. */
static void
test_full(void)
{
	for (uint64_t bytes = kalam_names_least_bytes(); bytes < 300000; bytes = bytes * 3 / 2 + 1)
	{
		KalamNames *names = make(bytes);
		uint32_t   *numbers = calloc(bytes, sizeof(uint32_t));
		KalamNamesStats stats;
		char		text[100];
		uint64_t	entered = 0;
		uint64_t	refused = 0;
		uint64_t	taken = 0;
		uint64_t	i;

		for (i = 0; refused < 100; i++)
		{
			uint32_t	len = make_text(text, i);

			numbers[i] = kalam_name_enter(names, text, len);
			entered += numbers[i] != KALAM_NAME_NONE;
			taken += numbers[i] != KALAM_NAME_NONE ? len : 0;
			refused += numbers[i] == KALAM_NAME_NONE;
		}
		while (i-- > 0)
		{
			uint32_t	len = make_text(text, i);

			if (!CHECK(kalam_name_find(names, text, len) == numbers[i]) ||
				(numbers[i] != KALAM_NAME_NONE && !CHECK(is_right(names, numbers[i], text, len))))
				break;
		}
		kalam_names_stats(names, &stats);
		CHECK(stats.names == entered + 5 && stats.refused == refused);
		CHECK(stats.bytes < bytes && taken < stats.bytes);
		/* most of the memory is names' */
		CHECK(taken * 2 > bytes - kalam_names_least_bytes());
		free(numbers);
		drop(names, bytes);
	}
}

/* The shortest names: as many as can be, so that the table is as full as it gets. */
static void
test_many_short_ones(void)
{
	uint64_t	bytes = 1024 * 1024;
	KalamNames *names = make(bytes);
	KalamNamesStats stats;
	uint32_t	n = 0;
	uint32_t	last = 0;

	while (kalam_name_enter(names, (const char *) &n, sizeof(n)) != KALAM_NAME_NONE)
		n++;
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t	number = kalam_name_find(names, (const char *) &i, sizeof(i));

		if (!CHECK(number > last && is_right(names, number, (const char *) &i, sizeof(i))))
			break;
		last = number;
	}
	kalam_names_stats(names, &stats);
	CHECK(stats.names == n + 5 && n > bytes / 32);
	drop(names, bytes);
}

/* ---- at the same time ---- */

#define ENTERERS	4
#define COMMON		3000		/* names that all enter */

typedef struct Shared
{
	_Atomic uint32_t numbers[COMMON];	/* who is first says which number it got */
	_Atomic int ready;
	_Atomic uint32_t wrong;
} Shared;

typedef struct Enterer
{
	KalamNames *names;
	Shared	   *shared;
	uint64_t	random;
} Enterer;

/* Enters names until all are in, in an order of its own; looks at each of them. */
static void *
enter_names(void *arg)
{
	Enterer    *e = arg;
	uint64_t	start = e->random % COMMON;
	uint64_t	step = 2 * (e->random / COMMON % 100) + 1;

	atomic_fetch_add(&e->shared->ready, 1);
	while (atomic_load(&e->shared->ready) < ENTERERS)
		 /* so that all begin at once */ ;
	for (uint64_t i = 0; i < 2 * COMMON; i++)
	{
		/* close to the others first: they shall meet */
		uint64_t	which = i < COMMON ? i : (start + i * step) % COMMON;
		char		text[100];
		uint32_t	len = make_text(text, which);
		uint32_t	number = kalam_name_enter(e->names, text, len);
		uint32_t	first = KALAM_NAME_NONE;

		if (!is_right(e->names, number, text, len) ||
			(!atomic_compare_exchange_strong(&e->shared->numbers[which], &first, number) &&
			 first != number) ||
			kalam_name_find(e->names, text, len) != number)
			atomic_fetch_add(&e->shared->wrong, 1);
	}
	return NULL;
}

/* Each of the common names is there once, and they have not lost much room. */
static void
check_entered(KalamNames *names, Shared *shared, uint64_t others)
{
	KalamNamesStats stats;
	uint64_t	room = 16;

	CHECK(atomic_load(&shared->wrong) == 0);
	for (uint64_t i = 0; i < COMMON; i++)
	{
		char		text[100];
		uint32_t	len = make_text(text, i);

		if (!CHECK(kalam_name_find(names, text, len) == atomic_load(&shared->numbers[i])))
			break;
		room += (4 + len + 1 + 15) / 16 * 16;
	}
	kalam_names_stats(names, &stats);
	CHECK(stats.names == COMMON + 5 + others && stats.refused == 0);
	CHECK(stats.bytes >= room && stats.bytes < ENTERERS * room);
}

static void
test_threads(void)
{
	for (int round = 0; round < 5; round++)
	{
		uint64_t	bytes = 1024 * 1024;
		KalamNames *names = make(bytes);
		Shared	   *shared = calloc(1, sizeof(Shared));
		pthread_t	threads[ENTERERS];
		Enterer		enterers[ENTERERS];

		for (int i = 0; i < ENTERERS; i++)
		{
			enterers[i] = (Enterer) {names, shared, unit_random()};
			if (pthread_create(&threads[i], NULL, enter_names, &enterers[i]) != 0)
				abort();
		}
		for (int i = 0; i < ENTERERS; i++)
			pthread_join(threads[i], NULL);
		check_entered(names, shared, 0);
		free(shared);
		drop(names, bytes);
	}
}

/* Some of those who enter are killed at any instruction; the others go on. */
static void
test_killed(void)
{
	uint64_t	bytes = 4 * 1024 * 1024;
	KalamNames *names = make(bytes);
	Shared	   *shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE,
							  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	_Atomic uint64_t *written = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
									 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t		pids[ENTERERS];
	uint64_t	found = 0;

	/* these enter names of their own without end */
	for (int victim = 0; victim < 40; victim++)
	{
		pid_t		pid = fork();
		int			status;

		if (pid == 0)
			for (uint64_t i = 0;; i++)
			{
				char		text[100];
				uint32_t	len = (uint32_t) snprintf(text, sizeof(text), "victim %llu",
													  (unsigned long long) (i % 5000));

				if (!is_right(names, kalam_name_enter(names, text, len), text, len))
					_exit(1);
				atomic_fetch_add(written, 1);
			}
		usleep((useconds_t) (unit_random_below(1000)));
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	}
	CHECK(atomic_load(written) > 0);

	for (int i = 0; i < ENTERERS; i++)
	{
		Enterer		e = {names, shared, unit_random()};

		if ((pids[i] = fork()) == 0)
		{
			enter_names(&e);
			_exit(0);
		}
	}
	for (int i = 0; i < ENTERERS; i++)
	{
		int			status;

		CHECK(waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	for (int i = 0; i < 5000; i++)
	{
		char		text[100];
		uint32_t	len = (uint32_t) snprintf(text, sizeof(text), "victim %d", i);
		uint32_t	number = kalam_name_find(names, text, len);

		found += number != KALAM_NAME_NONE && CHECK(is_right(names, number, text, len));
	}
	check_entered(names, shared, found);
	CHECK(found > 0);
	munmap(shared, sizeof(Shared));
	munmap(written, 4096);
	drop(names, bytes);
}

int
main(void)
{
	unit_run(test_names);
	unit_run(test_known_names);
	unit_run(test_full);
	unit_run(test_many_short_ones);
	unit_run(test_killed);		/* forks: before there are threads */
	unit_run(test_threads);
	return unit_finish("test_names");
}
