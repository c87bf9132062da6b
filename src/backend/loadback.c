/*
 * loadback.c
 *	  A load that is taken back becomes a run of staged changes: see loadback.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/backend/loadback.h"
#include "src/backend/loadstream.h"
#include "src/backend/shmem.h"
#include "src/backend/transaction.h"

typedef struct TakeBack
{
	KalamChanges *changes;
	CommandId	command_id;
	SubTransactionId sub;
	uint8		last_key[KALAM_MAX_KEY_BYTES];
	size_t		last_len;
	char	   *value;			/* as it is staged */
	size_t		value_room;
} TakeBack;

static void
take_record(void *arg, const KalamLoadRecord *record)
{
	TakeBack   *t = arg;
	const uint8 *key = (const uint8 *) record + KALAM_LOAD_KEY_OFFSET;
	const uint8 *value = (const uint8 *) record + record->value_offset;
	KalamVersion v = {.key = key, .key_len = record->key_len, .command_id = t->command_id,
					  .sub = t->sub, .op = KALAM_CHANGE_PUT};
	size_t		skip = 0;

	if (record->flags & KALAM_LOAD_TARGET)
		return;
	CHECK_FOR_INTERRUPTS();
	if (record->key_len < KALAM_KEY_PREFIX_BYTES || record->key_len > KALAM_MAX_KEY_BYTES ||
		record->value_len < KALAM_VALUE_HEADER_BYTES)
		elog(ERROR, "kalam storage sent a record that was not loaded");
	if (key[4] == KALAM_KEY_KIND_ROW)
	{
		skip = KALAM_TUPLE_BODY_OFFSET;
		v.flags = KALAM_STAGED_ROW;
	}
	v.value_len = record->value_len + skip;
	if (t->value_room < v.value_len)
	{
		if (t->value != NULL)
			pfree(t->value);
		t->value = NULL;
		t->value_room = 0;
		t->value = MemoryContextAllocHuge(CurrentMemoryContext, 2 * (Size) v.value_len);
		t->value_room = 2 * (Size) v.value_len;
	}
	memcpy(t->value, value, KALAM_VALUE_HEADER_BYTES);
	memset(t->value + KALAM_VALUE_HEADER_BYTES, 0, skip);
	memcpy(t->value + KALAM_VALUE_HEADER_BYTES + skip, value + KALAM_VALUE_HEADER_BYTES,
		   record->value_len - KALAM_VALUE_HEADER_BYTES);
	v.value = (uint8 *) t->value;
	if (skip > 0)
		kalam_version_tuple(&v)->t_len = v.value_len - KALAM_VALUE_HEADER_BYTES;

	if (kalam_key_compare(key, record->key_len, t->last_key, t->last_len) <= 0)
		elog(ERROR, "kalam storage sent a load out of order");
	kalam_changes_run_put(t->changes, &v);
	memcpy(t->last_key, key, record->key_len);
	t->last_len = record->key_len;
}

void
kalam_load_bring_back(uint64 number, CommandId command_id, SubTransactionId sub, uint64 records)
{
	TakeBack	t = {.changes = kalam_changes_here(), .command_id = command_id, .sub = sub};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kalam load",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	kalam_changes_run_begin(t.changes, (size_t) kalam_staged_memory * 1024, records);
	kalam_load_read(number, take_record, &t);
	kalam_changes_run_end(t.changes);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
