/*
 * loadprogress.c
 *	  The loads that are under way, as storage tells it: kalam.loads().
 *
 * Read from the channels of others, whose words may change meanwhile: a request
 * that is another afterwards is left out.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "src/backend/client.h"
#include "src/backend/shmem.h"

extern PGDLLEXPORT Datum kalam_loads(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_loads);

#define LOADS_COLUMNS	7

static const char *
phase_name(uint32 phase)
{
	switch (phase)
	{
		case KALAM_LOAD_MERGES:
			return "merging files";
		case KALAM_LOAD_CHECKS:
			return "comparing loads";
	}
	return "loading";
}

static bool
may_watch(int pid)
{
	PGPROC	   *proc = BackendPidGetProc(pid);

	return proc != NULL && (has_privs_of_role(GetUserId(), proc->roleId) ||
							has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS));
}

/* False: the channel carries no load. */
static bool
read_load(KalamChannel *ch, Datum *values)
{
	KalamLoadProgress *p = &ch->result.load;
	uint32		generation = atomic_load(&ch->generation);
	uint32		owner = atomic_load(&ch->owner);
	uint32		op = ch->req.op;
	int			pid;

	if (owner == 0 || owner > kalam_segment->config.nslots || op != KALAM_OP_LOAD ||
		atomic_load(&ch->done) == generation ||
		ch->req.epoch != atomic_load(&kalam_segment->epoch))
		return false;
	pid = atomic_load(&kalam_slot(kalam_segment, owner - 1)->pid);
	values[0] = Int32GetDatum(pid);
	values[1] = ObjectIdGetDatum(ch->req.database_oid);
	values[2] = ObjectIdGetDatum(ch->req.relid);
	values[3] = CStringGetTextDatum(phase_name(atomic_load_explicit(&p->phase, memory_order_relaxed)));
	values[4] = Int64GetDatum(atomic_load_explicit(&p->rows, memory_order_relaxed));
	values[5] = Int64GetDatum(atomic_load_explicit(&p->bytes, memory_order_relaxed));
	values[6] = Int32GetDatum(atomic_load_explicit(&p->files, memory_order_relaxed));
	return atomic_load(&ch->generation) == generation && pid != 0 && may_watch(pid);
}

Datum
kalam_loads(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (kalam_segment == NULL)
		return (Datum) 0;
	for (uint32 i = KALAM_FIRST_EXTRA(kalam_segment); i < kalam_segment->nchannels; i++)
	{
		Datum		values[LOADS_COLUMNS];
		bool		nulls[LOADS_COLUMNS] = {false};

		if (read_load(kalam_channel(kalam_segment, i), values))
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
