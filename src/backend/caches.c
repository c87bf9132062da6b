/*
 * caches.c
 *	  Lays out the caches of the server, and tells the time for them.
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"
#include "storage/shmem.h"

#include "src/backend/caches.h"

KalamCache *kalam_query_cache = NULL;
KalamCache *kalam_schema_cache = NULL;
KalamNames *kalam_names = NULL;

/* Processes that count for themselves: backends and the supervisor. */
static uint32
nprocesses(void)
{
	return MaxBackends + 1;
}

/* What a setting asks for, in kB; too small a size other than 0 is raised. */
static Size
wanted_bytes(int setting, uint64 least)
{
	return setting == 0 ? 0 : TYPEALIGN(PG_CACHE_LINE_SIZE, Max((uint64) setting * 1024, least));
}

static Size
cache_bytes(int setting)
{
	return wanted_bytes(setting, kalam_cache_least_bytes(nprocesses()));
}

static Size
names_bytes(void)
{
	return wanted_bytes(kalam_names_size, kalam_names_least_bytes());
}

Size
kalam_caches_shmem_size(void)
{
	Size		size = names_bytes();

	size = add_size(size, cache_bytes(kalam_query_cache_size));
	size = add_size(size, cache_bytes(kalam_schema_cache_size));
	return add_size(size, 3 * PG_CACHE_LINE_SIZE);	/* each begins at one */
}

static void *
room(const char *name, Size bytes)
{
	bool		found;

	return bytes == 0 ? NULL : ShmemInitStruct(name, bytes, &found);
}

static KalamCache *
make_cache(const char *name, Size bytes)
{
	KalamCache *cache = room(name, bytes);

	if (cache != NULL)
		kalam_cache_init(cache, bytes, nprocesses());
	return cache;
}

void
kalam_caches_shmem_init(void)
{
	Size		bytes = names_bytes();

	kalam_query_cache = make_cache("kalam query cache", cache_bytes(kalam_query_cache_size));
	kalam_schema_cache = make_cache("kalam schema cache", cache_bytes(kalam_schema_cache_size));
	kalam_names = room("kalam names", bytes);
	if (kalam_names != NULL)
		kalam_names_init(kalam_names, bytes);
}

uint32
kalam_number_name(const char *text)
{
	return kalam_names == NULL ? KALAM_NAME_NONE :
		kalam_name_enter(kalam_names, text, (uint32) strlen(text));
}

uint64
kalam_cache_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
