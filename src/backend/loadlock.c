/*
 * loadlock.c
 *	  A load's claim on its keys: see loadlock.h.
 *
 * Who holds a lock on a key of the load may want other rows of the table before it
 * ends.  It would wait for us if we waited for it with the table claimed.  So the
 * claim is given back, and the key locked as a single row is; then the table is
 * claimed anew, in the hope that nobody else has got hold of one of our keys
 * meanwhile.  After some rounds hope ends, and the claim stays.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "src/backend/client_internal.h"
#include "src/backend/load.h"
#include "src/backend/loadlock.h"
#include "src/backend/rowlock.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"

#define ROUNDS			10
#define MAX_QUESTIONS	(KALAM_MAX_INPUT_BYTES / sizeof(uint64))

/*
 * Asks storage which of so many locks may be on keys of the loads, and brings
 * these to the front.  Before that it looks for what has been committed since it
 * was asked last.
 */
static int
ask(uint32 object_id, uint64 first, uint64 last, KalamOthersLock *locks, int n)
{
	KalamChannel *ch = kalam_rpc_begin(KALAM_OP_LOAD_MEMBERS);
	uint8	   *room = (uint8 *) kalam_block(kalam_segment, ch, 0);
	int			nmembers = 0;

	ch->req.object_id = object_id;
	ch->req.load = first;
	ch->req.load_last = last;
	ch->req.input_len = n * sizeof(uint64);
	for (int i = 0; i < n; i++)
		memcpy(room + i * sizeof(uint64), &locks[i].hash[0], sizeof(uint64));
	switch (kalam_rpc_wait(ch))
	{
		case KALAM_OK:
			break;
		case KALAM_ERR_DUPLICATE:
			kalam_loads_raise_duplicate(ch);
		default:
			kalam_channel_raise(ch);
	}
	for (uint64 i = 0; i < ch->result.rows; i++)
	{
		uint32		at;

		memcpy(&at, room + i * sizeof(at), sizeof(at));
		if (at >= (uint32) n || at < (uint32) nmembers)
			elog(ERROR, "kalam storage answered with a lock that it was not asked about");
		locks[nmembers++] = locks[at];
	}
	return nmembers;
}

static int
find_members(uint32 object_id, uint64 first, uint64 last, KalamOthersLock *locks, int n)
{
	int			nmembers = 0;
	int			asked = 0;

	do
	{
		int			part = Min(n - asked, (int) MAX_QUESTIONS);
		int			found = ask(object_id, first, last, locks + asked, part);

		memmove(locks + nmembers, locks + asked, found * sizeof(KalamOthersLock));
		nmembers += found;
		asked += part;
	} while (asked < n);
	return nmembers;
}

/* Waits for who holds these, with a claim or without. */
static void
wait_for_members(const KalamClaimed *object, const KalamOthersLock *locks, int n)
{
	const char *name = get_rel_name(object->relid);

	for (int i = 0; i < n; i++)
		kalam_row_lock_collected(object->object_id, &locks[i], object->relid, name ? name : "");
}

/*
 * Claims all.  False: somebody holds keys of the load; then the claims that are new
 * have been given back, if that is wanted, and who holds them has been waited for.
 */
static bool
try_claim(const KalamClaimed *objects, int n, uint64 first, uint64 last, bool give_back)
{
	bool	   *is_new = palloc(n * sizeof(bool));
	KalamOthersLock *locks = NULL;
	int			nmembers = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		const char *name = get_rel_name(objects[i].relid);
		int			nlocks;

		is_new[i] = kalam_row_claim_object(objects[i].object_id, objects[i].relid,
										   name ? name : "");
		KALAM_STOP_POINT("load_claimed");
		locks = kalam_row_locks_of_others(objects[i].object_id, &nlocks);
		nmembers = find_members(objects[i].object_id, first, last, locks, nlocks);
		if (nmembers > 0)
			break;
		pfree(locks);
	}
	if (i < n)
	{
		for (int j = 0; give_back && j <= i; j++)
			if (is_new[j])
				kalam_row_unclaim_object(objects[j].object_id);
		wait_for_members(&objects[i], locks, nmembers);
		pfree(locks);
	}
	pfree(is_new);
	return i == n;
}

void
kalam_load_claim(const KalamClaimed *objects, int n, uint64 first, uint64 last)
{
	/* what takes long is better done while others can still write */
	for (int i = 0; i < n; i++)
		(void) ask(objects[i].object_id, first, last, NULL, 0);
	for (int round = 1; !try_claim(objects, n, first, last, round < ROUNDS); round++)
		CHECK_FOR_INTERRUPTS();
}
