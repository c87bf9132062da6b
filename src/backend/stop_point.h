/*
 * stop_point.h
 *	  Places at which a test can hold, fail or kill a backend.
 *
 * Nothing unless the library is built with CHECKED=1.  Then setting
 * kalam.stop_at is a list of name=action, separated by commas; when a backend
 * comes to the place of that name it
 *	 wait			waits while another session holds pg_advisory_lock(1)
 *	 error			raises an error; not for places behind the commit record
 *	 kill			kills itself with SIGKILL
 *	 kill_storage	kills the storage process with SIGKILL
 *	 kill_server	kills the postmaster, and then itself
 * SHOW kalam.pending tells how many transactions the store keeps pending.  With
 * kalam.verify_cache all that the query cache gives is compared with what storage
 * says; a difference is a PANIC.
 */
#ifndef KALAM_STOP_POINT_H
#define KALAM_STOP_POINT_H

#ifdef KALAM_STOP_POINTS
extern bool kalam_verify_cache;

extern void kalam_stop_point_settings(void);
extern void kalam_stop_point(const char *name);
#define KALAM_STOP_POINT(name)	kalam_stop_point(name)
#else
#define KALAM_STOP_POINT(name)	((void) 0)
#endif

#endif							/* KALAM_STOP_POINT_H */
