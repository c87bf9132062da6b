/*
 * loadlock.c
 *	  A load's claim on its keys: see loadlock.h.
 *
 * Who holds a lock on a key of the load may want other rows of the table before it
 * ends.  It would wait for us if we waited for it with the table claimed.  So the
 * claims are given back, which wakes those who wait for them, and the holders of the
 * key waited for; then all is claimed anew, in the hope that nobody else has got hold
 * of one of our keys meanwhile.  (Most often it is none: the filters that tell our
 * keys err in one lock of a hundred, and some sessions hold thousands.)  After some
 * rounds hope ends, and the claims stay.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/backend/client_internal.h"
#include "src/backend/load.h"
#include "src/backend/loadlock.h"
#include "src/backend/shmem.h"
#include "src/backend/stop_point.h"

#define ROUNDS			10
#define MAX_QUESTIONS	((int) (KALAM_MAX_INPUT_BYTES / sizeof(uint64)))

/* The numbers of the loads that it is about. */
typedef struct Loads
{
	uint64		first;
	uint64		last;
} Loads;

/*
 * Asks storage which of so many locks may be on keys of the loads, and brings
 * these to the front.  Before that it looks for what has been committed since it
 * was asked last.
 */
static int
ask(const Loads *loads, uint32 object_id, KalamOthersLock *locks, int n)
{
	KalamChannel *ch = kalam_rpc_begin(KALAM_OP_LOAD_MEMBERS);
	uint8	   *room = (uint8 *) kalam_block(kalam_segment, ch, 0);
	int			nmembers = 0;

	ch->req.object_id = object_id;
	ch->req.load = loads->first;
	ch->req.load_last = loads->last;
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

/* The same for any number of locks, but for none. */
static int
find_members(const Loads *loads, uint32 object_id, KalamOthersLock *locks, int n)
{
	int			nmembers = 0;

	for (int asked = 0, part; asked < n; asked += part)
	{
		int			found;

		part = Min(n - asked, MAX_QUESTIONS);
		found = ask(loads, object_id, locks + asked, part);
		memmove(locks + nmembers, locks + asked, found * sizeof(KalamOthersLock));
		nmembers += found;
	}
	return nmembers;
}

/*
 * Claims all.  False: somebody holds keys of the loads; then the claims that are
 * new have been given back, if that is wanted, and who holds the keys has been
 * waited for.
 */
static bool
try_claim(const KalamAllRows *all, int n, const Loads *loads, bool give_back)
{
	bool	   *is_new = palloc(n * sizeof(bool));
	int			nmembers = 0;

	for (int i = 0; i < n && nmembers == 0; i++)
	{
		KalamOthersLock *locks;

		is_new[i] = kalam_rows_claim(&all[i]);
		KALAM_STOP_POINT("load_claimed");
		locks = kalam_rows_of_others(&all[i], &nmembers);
		nmembers = find_members(loads, all[i].object_id, locks, nmembers);
		for (int j = 0; nmembers > 0 && give_back && j <= i; j++)
			if (is_new[j])
				kalam_rows_unclaim(&all[j]);
		for (int j = 0; j < nmembers; j++)
			kalam_rows_wait_for(&all[i], &locks[j]);
		pfree(locks);
	}
	pfree(is_new);
	return nmembers == 0;
}

void
kalam_load_claim(const KalamAllRows *all, int n, uint64 first, uint64 last)
{
	Loads		loads = {first, last};

	/* what takes long is better done while others can still write */
	(void) ask(&loads, KALAM_OBJECT_NONE, NULL, 0);
	for (int round = 1; !try_claim(all, n, &loads, round < ROUNDS); round++)
		CHECK_FOR_INTERRUPTS();
	(void) ask(&loads, KALAM_OBJECT_NONE, NULL, 0);
}
