/*
 * atomics.h
 *	  The accesses that lock-free structures in shared memory make.
 *
 * C11 only.  Nothing but <stdatomic.h> by shorter names, of words of 64 bits, with
 * the order spelled at each use: kalam_load(&word, acquire).  What is built of these
 * alone can be run by a test that chooses who makes the next access: it names a
 * header of its own in KALAM_ATOMICS, which defines the same macros.
 */
#ifndef KALAM_ATOMICS_H
#define KALAM_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef KALAM_ATOMICS
#include KALAM_ATOMICS
#else

/* order: relaxed, acquire */
#define kalam_load(word, order) \
	atomic_load_explicit((word), memory_order_##order)

/* order: relaxed, release */
#define kalam_store(word, value, order) \
	atomic_store_explicit((word), (value), memory_order_##order)

/*
 * True: *word was *expected and is `desired` now; acquire and release.  False: *expected is
 * what it was, acquired; it did differ.
 */
#define kalam_cas(word, expected, desired) \
	atomic_compare_exchange_strong_explicit((word), (expected), (desired), \
											memory_order_acq_rel, memory_order_acquire)

/* These give what the word was.  order: relaxed, acquire, release, acq_rel */
#define kalam_fetch_add(word, n, order) \
	atomic_fetch_add_explicit((word), (n), memory_order_##order)
#define kalam_fetch_sub(word, n, order) \
	atomic_fetch_sub_explicit((word), (n), memory_order_##order)
#define kalam_fetch_or(word, bits, order) \
	atomic_fetch_or_explicit((word), (bits), memory_order_##order)
#define kalam_fetch_and(word, bits, order) \
	atomic_fetch_and_explicit((word), (bits), memory_order_##order)

/*
 * Before plain accesses to bytes that other processes may get to see, with which
 * their own accesses must be ordered: the test checks that.
 */
#define kalam_reads(data, len) ((void) 0)
#define kalam_writes(data, len) ((void) 0)

#endif

/*
 * Adds to a counter that one process alone writes, and others read now and then.  Nothing
 * depends on it, so it is no step of its own under KALAM_ATOMICS.
 */
static inline void
kalam_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
						  memory_order_relaxed);
}

#endif							/* KALAM_ATOMICS_H */
