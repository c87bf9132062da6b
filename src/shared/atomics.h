/*
 * atomics.h
 *	  Atomic operations on shared memory, for code whose interleavings are tested.
 *
 * C11 only.  These are those of <stdatomic.h> under shorter names; the orders are
 * written without their prefix: kalam_load(&word, acquire).  Objects are _Atomic
 * integers of 4 or 8 bytes.
 *
 * The test of interleavings (test/unit/model.h) is built with KALAM_MODEL: each
 * operation is then a place where another process may go on, and a load that is
 * allowed to see an old value is given old values too.  So code that is tested so
 * touches what it shares in no other way than
 *	- by these operations, or
 *	- plainly, after saying so (kalam_reads, kalam_writes): such accesses must be
 *	  ordered against those of other processes, which the test checks.
 */
#ifndef KALAM_ATOMICS_H
#define KALAM_ATOMICS_H

#include <stdatomic.h>
#include <stdint.h>

#ifndef KALAM_MODEL

#define kalam_load(object, order) \
	atomic_load_explicit(object, memory_order_##order)
#define kalam_store(object, value, order) \
	atomic_store_explicit(object, value, memory_order_##order)
#define kalam_exchange(object, value, order) \
	atomic_exchange_explicit(object, value, memory_order_##order)
#define kalam_fetch_add(object, value, order) \
	atomic_fetch_add_explicit(object, value, memory_order_##order)
#define kalam_fetch_sub(object, value, order) \
	atomic_fetch_sub_explicit(object, value, memory_order_##order)
#define kalam_fetch_or(object, value, order) \
	atomic_fetch_or_explicit(object, value, memory_order_##order)
#define kalam_fetch_and(object, value, order) \
	atomic_fetch_and_explicit(object, value, memory_order_##order)

/* True if *object was *expected and is desired now; else *expected is what it is. */
#define kalam_cas(object, expected, desired, order, failure) \
	atomic_compare_exchange_strong_explicit(object, expected, desired, \
											memory_order_##order, memory_order_##failure)

/* Before plain accesses to bytes that other processes may get to see. */
#define kalam_reads(data, len) ((void) 0)
#define kalam_writes(data, len) ((void) 0)

#else

typedef enum KalamModelOp
{
	KALAM_MODEL_LOAD,
	KALAM_MODEL_STORE,
	KALAM_MODEL_EXCHANGE,
	KALAM_MODEL_ADD,
	KALAM_MODEL_OR,
	KALAM_MODEL_AND,
	KALAM_MODEL_CAS
} KalamModelOp;

/* Returns the value before; of CAS, whether it succeeded. */
extern uint64_t kalam_model_atomic(KalamModelOp op, const volatile void *object, unsigned size,
								   uint64_t value, void *expected,
								   memory_order order, memory_order failure,
								   const char *file, int line);
extern void kalam_model_plain(const void *data, uint64_t len, _Bool writes,
							  const char *file, int line);

#define KALAM_MODEL_DO(op, object, value, order) \
	({ (__typeof__((*(object)) + 0)) \
	   kalam_model_atomic(op, object, sizeof(*(object)), \
						  (uint64_t) (__typeof__((*(object)) + 0)) (value), 0, \
						  memory_order_##order, memory_order_relaxed, __FILE__, __LINE__); })

#define kalam_load(object, order) KALAM_MODEL_DO(KALAM_MODEL_LOAD, object, 0, order)
#define kalam_store(object, value, order) \
	((void) KALAM_MODEL_DO(KALAM_MODEL_STORE, object, value, order))
#define kalam_exchange(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_EXCHANGE, object, value, order)
#define kalam_fetch_add(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_ADD, object, value, order)
#define kalam_fetch_sub(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_ADD, object, -(uint64_t) (value), order)
#define kalam_fetch_or(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_OR, object, value, order)
#define kalam_fetch_and(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_AND, object, value, order)
#define kalam_cas(object, expected, desired, order, failure) \
	((_Bool) kalam_model_atomic(KALAM_MODEL_CAS, object, sizeof(*(object)), \
								(uint64_t) (desired), expected, \
								memory_order_##order, memory_order_##failure, \
								__FILE__, __LINE__))
#define kalam_reads(data, len) kalam_model_plain(data, len, 0, __FILE__, __LINE__)
#define kalam_writes(data, len) kalam_model_plain(data, len, 1, __FILE__, __LINE__)

#endif							/* KALAM_MODEL */

#endif							/* KALAM_ATOMICS_H */
