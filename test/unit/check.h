/*
 * check.h
 *	  Checks for test programs: counted, and told with their place if they fail.
 */
#ifndef KALAM_TEST_CHECK_H
#define KALAM_TEST_CHECK_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic long check_passed;
static _Atomic long check_failed;

/* Goes on after a failure; the program fails at its end. */
#define CHECK(condition) check_(!!(condition), #condition, __FILE__, __LINE__)

/* Cannot go on without it. */
#define REQUIRE(condition) \
	do { if (!CHECK(condition)) { check_report("stopped"); exit(1); } } while (0)

#define CHECK_EQUAL(a, b) \
	check_equal_((long long) (a), (long long) (b), #a " == " #b, __FILE__, __LINE__)

static inline int
check_(int good, const char *text, const char *file, int line)
{
	if (good)
		atomic_fetch_add(&check_passed, 1);
	else
	{
		atomic_fetch_add(&check_failed, 1);
		fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
	}
	return good;
}

static inline int
check_equal_(long long a, long long b, const char *text, const char *file, int line)
{
	if (a != b)
		fprintf(stderr, "%s:%d: %lld, not %lld\n", file, line, a, b);
	return check_(a == b, text, file, line);
}

/* The exit code. */
static inline int
check_report(const char *name)
{
	printf("%s: %ld passed, %ld failed\n", name, atomic_load(&check_passed),
		   atomic_load(&check_failed));
	fflush(stdout);
	return atomic_load(&check_failed) == 0 ? 0 : 1;
}

#endif
