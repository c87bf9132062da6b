/*
 * unit.h
 *	  What a unit test needs: CHECK, a count, a generator with a fixed seed.
 *
 * C11 only.  A test program calls unit_run for each function and returns
 * unit_finish(name), which prints how many passed and gives the exit status.  A
 * function has passed if all its CHECKs have.
 */
#ifndef KALAM_TEST_UNIT_H
#define KALAM_TEST_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static const char *unit_test = "";
static unsigned long unit_checks;
static unsigned long unit_failures; /* of CHECK */
static unsigned long unit_passed;	/* test functions */
static unsigned long unit_failed;

#define CHECK(cond) unit_check((cond), #cond, __FILE__, __LINE__)

static inline bool
unit_check(bool ok, const char *what, const char *file, int line)
{
	unit_checks++;
	if (!ok && ++unit_failures <= 20)
		fprintf(stderr, "%s:%d: %s: failed: %s\n", file, line, unit_test, what);
	return ok;
}

#define unit_run(function) unit_run_named(function, #function)

static inline void
unit_run_named(void (*function) (void), const char *name)
{
	unsigned long failures = unit_failures;

	unit_test = name;
	function();
	if (unit_failures == failures)
		unit_passed++;
	else
		unit_failed++;
}

static inline int
unit_finish(const char *name)
{
	printf("%s: %lu checks\n", name, unit_checks);
	printf("%s: %lu passed, %lu failed\n", name, unit_passed, unit_failed);
	return unit_failed == 0 && unit_passed > 0 ? 0 : 1;
}

/* splitmix64: the same numbers in every run */
static uint64_t unit_random_state = UINT64_C(0x6B616C616D);

static inline uint64_t
unit_random(void)
{
	uint64_t	z = (unit_random_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

/* 0 .. n - 1 */
static inline uint64_t
unit_random_below(uint64_t n)
{
	return unit_random() % n;
}

#endif							/* KALAM_TEST_UNIT_H */
