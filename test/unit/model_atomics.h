/*
 * model_atomics.h
 *	  The accesses of src/shared/atomics.h, as steps of the search of model.h.
 *
 * Code under test is built with KALAM_ATOMICS naming this file.
 */
#ifndef KALAM_TEST_MODEL_ATOMICS_H
#define KALAM_TEST_MODEL_ATOMICS_H

typedef enum KalamModelOp
{
	KALAM_MODEL_LOAD,
	KALAM_MODEL_STORE,
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
extern void kalam_model_plain(const void *data, uint64_t len, bool writes,
							  const char *file, int line);

/* As a statement expression: its value need not be used. */
#define KALAM_MODEL_DO(op, object, value, order) \
	({ (__typeof__((*(object)) + 0)) \
	   kalam_model_atomic(op, object, sizeof(*(object)), \
						  (uint64_t) (__typeof__((*(object)) + 0)) (value), 0, \
						  memory_order_##order, memory_order_relaxed, __FILE__, __LINE__); })

#define kalam_load(object, order) KALAM_MODEL_DO(KALAM_MODEL_LOAD, object, 0, order)
#define kalam_store(object, value, order) \
	((void) KALAM_MODEL_DO(KALAM_MODEL_STORE, object, value, order))
#define kalam_fetch_add(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_ADD, object, value, order)
#define kalam_fetch_sub(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_ADD, object, -(uint64_t) (value), order)
#define kalam_fetch_or(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_OR, object, value, order)
#define kalam_fetch_and(object, value, order) \
	KALAM_MODEL_DO(KALAM_MODEL_AND, object, value, order)
#define kalam_cas(object, expected, desired) \
	({ (bool) kalam_model_atomic(KALAM_MODEL_CAS, object, sizeof(*(object)), \
								 (uint64_t) (desired), expected, \
								 memory_order_acq_rel, memory_order_acquire, \
								 __FILE__, __LINE__); })
#define kalam_reads(data, len) kalam_model_plain(data, len, false, __FILE__, __LINE__)
#define kalam_writes(data, len) kalam_model_plain(data, len, true, __FILE__, __LINE__)

#endif							/* KALAM_TEST_MODEL_ATOMICS_H */
