/*
 * load.c
 *	  Loads: see load.h.
 *
 * A load that is open has a channel, through which its records go to storage
 * while other requests of the session go through others.  One that is finished is
 * a number that storage knows until COMMIT, or until it is taken back or dropped.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/backend/client_internal.h"
#include "src/backend/index.h"
#include "src/backend/load.h"
#include "src/backend/loadback.h"
#include "src/backend/loadlines.h"
#include "src/backend/loadlock.h"
#include "src/backend/loadstream.h"
#include "src/backend/row.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"
#include "src/backend/tablestats.h"
#include "src/backend/transaction.h"

typedef struct LoadTarget
{
	uint32		object_id;
	uint16		index_id;		/* 0: the rows; targets of the indexes follow */
	bool		shared;			/* others can have rows of it, and keys must not come twice */
	Oid			relid;
	uint64		rows;			/* sent row by row */
} LoadTarget;

struct KalamLoad
{
	dlist_node	node;			/* in loads, the oldest first */
	uint64		number;
	uint32		epoch;
	CommandId	command_id;
	SubTransactionId sub;
	KalamLoad **owner;			/* NULL: all is sent and known to be unique */
	KalamLoadStream stream;		/* open as long as there is an owner */
	Oid			copy_relid;		/* that COPY names; Invalid: there is no COPY */
	KalamLoadDuplicate raise_duplicate; /* NULL: as of an INSERT */
	void	   *raise_arg;
	KalamLines *lines;			/* of COPY, if storage may not know them; or NULL */
	uint64		records;
	uint64		bytes;			/* once it is finished */
	LoadTarget *targets;
	uint16		ntargets;
	uint16		targets_size;
};

/* In TopTransactionContext. */
static dlist_head loads = DLIST_STATIC_INIT(loads);
int			kalam_nloads = 0;

bool
kalam_load_begin(KalamLoad **owner)
{
	KalamLoad  *load = MemoryContextAllocZero(TopTransactionContext, sizeof(KalamLoad));

	(void) kalam_transaction_serial();
	load->number = atomic_fetch_add(&kalam_segment->next_serial, 1);
	load->epoch = kalam_client_ready();
	load->command_id = GetCurrentCommandId(true);
	load->sub = GetCurrentSubTransactionId();
	(void) kalam_copy_line(&load->copy_relid);
	if (!kalam_load_stream_begin(&load->stream, load->number))
	{
		pfree(load);
		return false;
	}
	load->owner = owner;
	*owner = load;
	dlist_push_tail(&loads, &load->node);
	kalam_nloads++;
	return true;
}

KalamLoad **
kalam_load_begin_for_rows(KalamTable *table, KalamLoadDuplicate raise, void *arg)
{
	double		rows;
	double		bytes;
	KalamLoad **load;

	kalam_table_stat(table, &rows, &bytes);
	if (bytes < kalam_bulk_load_threshold * 1024.0)
		return NULL;
	load = MemoryContextAllocZero(TopTransactionContext, sizeof(KalamLoad *));
	if (!kalam_load_begin(load))
	{
		pfree(load);
		return NULL;
	}
	(*load)->raise_duplicate = raise;
	(*load)->raise_arg = arg;
	return load;
}

void
kalam_load_end_of_rows(KalamLoad **load)
{
	if (load == NULL)
		return;
	if (*load != NULL)
		kalam_load_finish(*load);
	pfree(load);
}

/* It is not open any more. */
static void
close_load(KalamLoad *load)
{
	load->raise_duplicate = NULL;
	kalam_load_stream_close(&load->stream);
	if (load->owner != NULL)
		*load->owner = NULL;
	load->owner = NULL;
}

static void
free_load(KalamLoad *load)
{
	close_load(load);
	dlist_delete(&load->node);
	kalam_nloads--;
	if (load->targets != NULL)
		pfree(load->targets);
	if (load->lines != NULL)
		kalam_lines_free(load->lines);
	pfree(load);
}

uint64
kalam_load_number(const KalamLoad *load)
{
	return load->number;
}

bool
kalam_load_is_ended(const KalamLoad *load)
{
	return load->stream.ended;
}

static bool
has_object(const KalamLoad *load, uint32 object_id)
{
	for (int i = 0; i < load->ntargets; i++)
		if (load->targets[i].object_id == object_id)
			return true;
	return false;
}

int
kalam_loads_of(uint32 object_id)
{
	dlist_iter	iter;
	int			n = 0;

	if (kalam_nloads == 0)
		return 0;
	dlist_foreach(iter, &loads)
		n += has_object(dlist_container(KalamLoad, node, iter.cur), object_id);
	return n;
}

/* Storage forgets them.  Never raises. */
static void
drop_numbers(uint64 first, uint64 last)
{
	KalamChannel *ch = kalam_rpc_begin_noerror(KALAM_OP_LOAD_DROP);

	if (ch == NULL)
		return;					/* it is dead, and they are gone with it */
	ch->req.load = first;
	ch->req.load_last = last;
	(void) kalam_rpc_finish_noerror(ch);
}

/* ---- sending ---- */

static void pg_attribute_noreturn()
raise_result(const KalamLoad *load)
{
	const KalamChannel *ch = load->stream.ch;

	if (ch->result.code == KALAM_ERR_DUPLICATE)
		kalam_loads_raise_duplicate(ch);
	if (ch->req.epoch != atomic_load(&kalam_segment->epoch))
		kalam_raise_storage_lost();
	if (ch->result.code == KALAM_OK)
		elog(ERROR, "kalam storage ended a load before its end");
	kalam_channel_raise(ch);
}

static uint8 *
put(KalamLoad *load, uint16 target, uint16 flags, uint64 tag, const uint8 *key, size_t key_len,
	size_t value_len)
{
	uint8	   *value = kalam_load_stream_put(&load->stream, target, flags, tag, key, key_len,
											  value_len);

	if (value == NULL)
		raise_result(load);
	return value;
}

static void
declare_target(KalamLoad *load, const KalamTable *table, uint16 index_id, uint16 flags)
{
	KalamLoadTarget target = {.object_id = table->object_id, .index_id = index_id, .flags = flags,
							  .options = table->schema->options.object};

	if (load->ntargets == load->targets_size)
	{
		int			size = Min(Max(8, 2 * load->targets_size), KALAM_MAX_LOAD_TARGETS);

		if (load->ntargets == KALAM_MAX_LOAD_TARGETS)
			elog(ERROR, "a statement inserts into too many tables and indexes");
		load->targets = load->targets == NULL ?
			MemoryContextAlloc(TopTransactionContext, size * sizeof(LoadTarget)) :
			repalloc(load->targets, size * sizeof(LoadTarget));
		load->targets_size = size;
	}
	load->targets[load->ntargets] = (LoadTarget)
	{
		.object_id = table->object_id, .index_id = index_id,
		.shared = (flags & (KALAM_TARGET_UNIQUE | KALAM_TARGET_NEW)) == KALAM_TARGET_UNIQUE,
		.relid = table->relid
	};
	memcpy(put(load, load->ntargets, KALAM_LOAD_TARGET, 0, NULL, 0, sizeof(target)), &target,
		   sizeof(target));
	load->ntargets++;
}

uint16
kalam_load_declare(KalamLoad *load, const KalamTable *table, bool is_new)
{
	uint16		flags = is_new ? KALAM_TARGET_NEW : 0;
	uint16		target;

	for (target = 0; target < load->ntargets; target++)
		if (load->targets[target].object_id == table->object_id)
			return target;
	if (load->lines == NULL && OidIsValid(load->copy_relid) && kalam_loads_of(table->object_id) > 0)
		load->lines = kalam_lines_create(TopTransactionContext);
	if (target == 0)
		kalam_load_stream_is_for(&load->stream, table->relid);
	declare_target(load, table, 0, flags | (table->nkeys > 0 ? KALAM_TARGET_UNIQUE : 0));
	for (int i = 0; i < table->nindexes; i++)
		declare_target(load, table, table->indexes[i].id,
					   flags | (table->indexes[i].unique ? KALAM_TARGET_UNIQUE : 0));
	return target;
}

uint16
kalam_load_declare_index(KalamLoad *load, const KalamTable *table, const KalamIndex *index,
						 bool is_new)
{
	if (load->ntargets == 0)
		kalam_load_stream_is_for(&load->stream, table->relid);
	declare_target(load, table, index->id, (is_new ? KALAM_TARGET_NEW : 0) |
				   (index->unique ? KALAM_TARGET_UNIQUE : 0));
	return load->ntargets - 1;
}

void
kalam_load_put_entry(KalamLoad *load, uint16 target, const KalamTable *table,
					 const KalamIndex *index, Relation rel, uint64 tag, TupleTableSlot *slot,
					 const uint8 *key, size_t key_len)
{
	uint8		room[KALAM_MAX_KEY_BYTES];
	uint8		payload[KALAM_INDEX_PAYLOAD_BYTES];
	KalamIndexEntry entry;
	size_t		size;
	uint8	   *value;

	kalam_index_entry_in(table, index, rel, slot, key, key_len, room, &entry);
	size = kalam_index_payload(&entry, key, key_len, payload);
	value = put(load, target, 0, tag, entry.key, entry.key_len, KALAM_VALUE_HEADER_BYTES + size);
	kalam_put_value_header(value, kalam_transaction_serial());
	memcpy(value + KALAM_VALUE_HEADER_BYTES, payload, size);
	load->records++;
}

/* Most rows are formed where they are to lie; those at the end of a block are measured first. */
static void
put_row(KalamLoad *load, uint16 target, uint64 tag, TupleTableSlot *slot, const uint8 *key,
		size_t key_len)
{
	uint64		serial = kalam_transaction_serial();
	size_t		room;
	uint8	   *value = kalam_load_stream_place(&load->stream, key_len, &room);
	Size		size = value == NULL ? 0 : kalam_row_form_within(slot, serial, value, room);

	if (size > 0)
	{
		kalam_load_stream_placed(&load->stream, target, tag, key, key_len, size);
		return;
	}
	size = kalam_row_stored_size(slot);
	kalam_row_form_stored(slot, serial, put(load, target, 0, tag, key, key_len, size), size);
	kalam_load_stream_done(&load->stream);
}

void
kalam_load_put_row(KalamLoad *load, uint16 target, const KalamTable *table, Relation rel,
				   uint64 tag, TupleTableSlot *slot, const uint8 *key, size_t key_len)
{
	put_row(load, target, tag, slot, key, key_len);
	for (int i = 0; i < table->nindexes; i++)
		kalam_load_put_entry(load, target + 1 + i, table, &table->indexes[i], rel, tag, slot, key,
							 key_len);
	if (load->lines != NULL)
		kalam_lines_note(load->lines, key, key_len, tag);
	load->targets[target].rows++;
	load->records++;
}

static uint16
target_of(const KalamLoad *load, const uint8 *key, uint16 last)
{
	uint32		object_id = kalam_get_be32(key);
	uint16		index_id = key[4] != KALAM_KEY_KIND_INDEX ? 0 :
		(uint16) (key[KALAM_KEY_PREFIX_BYTES] << 8 | key[KALAM_KEY_PREFIX_BYTES + 1]);

	for (int i = 0; i < load->ntargets; i++)
	{
		int			at = (last + i) % load->ntargets;

		if (load->targets[at].object_id == object_id && load->targets[at].index_id == index_id)
			return (uint16) at;
	}
	elog(ERROR, "a staged row belongs to no table of the load");
}

void
kalam_load_put_staged(KalamLoad *load, uint16 *target, uint64 tag,
					  const KalamStagedVersion *staged)
{
	KalamVersion v;
	size_t		skip = (staged->flags & KALAM_STAGED_ROW) ? KALAM_TUPLE_BODY_OFFSET : 0;
	uint8	   *value;

	kalam_version_of_staged(staged, &v);
	*target = target_of(load, v.key, *target);
	value = put(load, *target, 0, tag, v.key, v.key_len, v.value_len - skip);
	memcpy(value, v.value, KALAM_VALUE_HEADER_BYTES);
	memcpy(value + KALAM_VALUE_HEADER_BYTES, v.value + KALAM_VALUE_HEADER_BYTES + skip,
		   v.value_len - KALAM_VALUE_HEADER_BYTES - skip);
	kalam_load_stream_done(&load->stream);
	if (load->lines != NULL && load->targets[*target].index_id == 0)
		kalam_lines_note(load->lines, v.key, v.key_len, tag);
	load->records++;
}

void
kalam_load_finish(KalamLoad *load)
{
	if (load->owner == NULL)
		return;
	kalam_load_stream_end(&load->stream);
	if (load->stream.ch->result.code != KALAM_OK)
		raise_result(load);
	load->bytes = atomic_load(&load->stream.ch->result.load.bytes);
	close_load(load);
	for (int i = 0; i < load->ntargets; i++)
		if (load->targets[i].rows > 0)
			kalam_count_rows(load->targets[i].object_id, load->sub, load->targets[i].rows);
}

uint64
kalam_loads_bytes(void)
{
	dlist_iter	iter;
	uint64		bytes = 0;

	if (kalam_nloads > 0)
		dlist_foreach(iter, &loads)
			bytes += dlist_container(KalamLoad, node, iter.cur)->bytes;
	return bytes;
}

void
kalam_loads_finish_others(uint32 object_id, const KalamLoad *except)
{
	dlist_iter	iter;

	if (kalam_nloads == 0)
		return;
	dlist_foreach(iter, &loads)
	{
		KalamLoad  *load = dlist_container(KalamLoad, node, iter.cur);

		if (load != except && has_object(load, object_id))
			kalam_load_finish(load);
	}
}

/* ---- the keys, among those of others ---- */

/* The order in which everybody claims. */
static int
compare_claims(const void *a, const void *b)
{
	const KalamAllRows *x = a;
	const KalamAllRows *y = b;

	if (x->object_id != y->object_id)
		return x->object_id < y->object_id ? -1 : 1;
	return (int) x->values - (int) y->values;
}

/* Adds what keys of the load are among. */
static KalamAllRows *
add_claims(KalamAllRows *all, int *n, const KalamLoad *load)
{
	Size		size = (*n + load->ntargets + 1) * sizeof(KalamAllRows);

	all = all == NULL ? palloc(size) : repalloc(all, size);
	for (int i = 0; i < load->ntargets; i++)
		if (load->targets[i].shared)
			all[(*n)++] = (KalamAllRows)
			{
				.object_id = load->targets[i].object_id, .values = load->targets[i].index_id != 0,
				.relid = load->targets[i].relid
			};
	return all;
}

/* Nobody else has keys of the load (NULL: of all), or gets at them any more.  Or raises. */
static void
claim_keys(const KalamLoad *load)
{
	KalamAllRows *all = NULL;
	int			n = 0;
	dlist_iter	iter;

	if (load != NULL)
		all = add_claims(all, &n, load);
	else
		dlist_foreach(iter, &loads)
			all = add_claims(all, &n, dlist_container(KalamLoad, node, iter.cur));
	if (n > 0)
	{
		qsort(all, n, sizeof(KalamAllRows), compare_claims);
		n = (int) qunique(all, n, sizeof(KalamAllRows), compare_claims);
		kalam_load_claim(all, n, load != NULL ? load->number : 0,
						 load != NULL ? load->number : UINT64_MAX);
	}
	if (all != NULL)
		pfree(all);
}

/* ---- back into changes ---- */

static void
take_back(KalamLoad *load)
{
	kalam_load_finish(load);
	if (load->epoch != atomic_load(&kalam_segment->epoch))
		kalam_raise_storage_lost();
	/* like what is staged, which is locked */
	claim_keys(load);
	kalam_load_bring_back(load->number, load->command_id, load->sub, load->records);
	drop_numbers(load->number, load->number);
	free_load(load);
}

void
kalam_loads_take_back(uint32 object_id, CommandId command_id)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &loads)
	{
		KalamLoad  *load = dlist_container(KalamLoad, node, iter.cur);

		if (load->command_id < command_id && has_object(load, object_id))
			take_back(load);
	}
}

/* ---- the transaction ---- */

void
kalam_loads_precommit(SubTransactionId sub)
{
	dlist_iter	iter;

	dlist_foreach(iter, &loads)
	{
		KalamLoad  *load = dlist_container(KalamLoad, node, iter.cur);

		if (sub == InvalidSubTransactionId || load->sub == sub)
			kalam_load_finish(load);
	}
	if (sub == InvalidSubTransactionId && kalam_nloads > 0)
		claim_keys(NULL);
}

void
kalam_loads_send(KalamStream *stream)
{
	KalamChange change = {.op = KALAM_CHANGE_LOAD, .value_len = sizeof(uint64)};
	dlist_iter	iter;

	dlist_foreach(iter, &loads)
	{
		const KalamLoad *load = dlist_container(KalamLoad, node, iter.cur);

		if (load->epoch != stream->ch->req.epoch)
			kalam_raise_storage_lost();
		kalam_stream_put(stream, &change, sizeof(change));
		kalam_stream_put(stream, &load->number, sizeof(load->number));
	}
}

/* The row that storage shows with a duplicate, or NULL. */
static MinimalTuple
offending_row(const KalamChannel *ch)
{
	size_t		len = ch->result.bytes;
	MinimalTuple tuple;

	if (len < KALAM_VALUE_HEADER_BYTES + SizeofMinimalTupleHeader - KALAM_TUPLE_BODY_OFFSET ||
		len > KALAM_MAX_INPUT_BYTES)
		return NULL;
	len -= KALAM_VALUE_HEADER_BYTES;
	tuple = palloc0(KALAM_TUPLE_BODY_OFFSET + len);
	tuple->t_len = KALAM_TUPLE_BODY_OFFSET + len;
	memcpy((char *) tuple + KALAM_TUPLE_BODY_OFFSET,
		   (char *) kalam_block(kalam_segment, ch, 0) + KALAM_VALUE_HEADER_BYTES, len);
	return tuple;
}

/* 0: there is none, or it is not known. */
static uint64
line_of(const KalamLoad *load, Oid relid, MinimalTuple row, uint64 tag)
{
	if (!OidIsValid(load->copy_relid))
		return 0;
	if (tag != UINT64_MAX)
		return tag;
	return load->lines != NULL && row != NULL ? kalam_lines_find(load->lines, relid, row) : 0;
}

void
kalam_loads_raise_duplicate(const KalamChannel *ch)
{
	dlist_iter	iter;

	dlist_foreach(iter, &loads)
	{
		const KalamLoad *load = dlist_container(KalamLoad, node, iter.cur);
		const LoadTarget *target;
		MinimalTuple row;

		if (load->number != ch->result.load_number || ch->result.target >= load->ntargets)
			continue;
		target = &load->targets[ch->result.target];
		row = offending_row(ch);
		if (load->raise_duplicate != NULL)
			load->raise_duplicate(load->raise_arg, target->index_id, ch->result.position, row);
		kalam_raise_duplicate_of(target->relid, target->index_id, row,
								 line_of(load, target->relid, row, ch->result.position),
								 load->copy_relid);
	}
	elog(ERROR, "kalam storage found a key twice in a load that is not known");
}

void
kalam_loads_at_xact_end(bool committed)
{
	uint64		first = UINT64_MAX;
	uint64		last = 0;

	while (!dlist_is_empty(&loads))
	{
		KalamLoad  *load = dlist_head_element(KalamLoad, node, &loads);

		first = Min(first, load->number);
		last = Max(last, load->number);
		free_load(load);
	}
	kalam_loaders_forget(InvalidSubTransactionId);
	if (!committed && last > 0)
		drop_numbers(first, last);
}

/* (what its own subtransactions had began since it did, and ended) */
void
kalam_loads_at_subabort(SubTransactionId sub)
{
	dlist_mutable_iter iter;
	uint64		first = UINT64_MAX;
	uint64		last = 0;

	dlist_foreach_modify(iter, &loads)
	{
		KalamLoad  *load = dlist_container(KalamLoad, node, iter.cur);

		if (load->sub != sub)
			continue;
		first = Min(first, load->number);
		last = Max(last, load->number);
		free_load(load);
	}
	kalam_loaders_forget(sub);
	if (last > 0)
		drop_numbers(first, last);
}

void
kalam_loads_at_subcommit(SubTransactionId sub, SubTransactionId parent)
{
	dlist_iter	iter;

	dlist_foreach(iter, &loads)
	{
		KalamLoad  *load = dlist_container(KalamLoad, node, iter.cur);

		if (load->sub == sub)
			load->sub = parent;
	}
}
