/*
 * sizes.c
 *	  About how large an object is: STAT.
 *
 * Files say how many keys they hold and delete.  In memory every version of a key
 * counts, so that a small table whose rows are written again and again would look
 * like a large one; a survey of memory (survey.c) sees each key once, but not which
 * of them are in files too.  The lower of the two is taken.
 *
 * Surveys take up to some milliseconds, and planners ask often: the last ones are
 * kept for some seconds.  Their lock is held to copy them only.
 */
#include "src/storage/sizes.h"

#include <pthread.h>

#include "src/storage/channels.h"
#include "src/storage/lanes.h"
#include "src/storage/storage.h"
#include "src/storage/survey.h"

/* fewer keys in memory are surveyed anew each time */
#define FEW_KEYS	4096
#define NKEPT		256
#define KEPT_NS		UINT64_C(3000000000)

typedef struct Kept
{
	uint32_t	object_id;
	uint64_t	at;				/* ns */
	uint64_t	entries;		/* of the family's memory then */
	double		keys;
	uint64_t	bytes;
} Kept;

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static Kept kept[NKEPT];

static bool
find_kept(Kept *k)
{
	Kept	   *found = &kept[k->object_id % NKEPT];
	bool		good;

	pthread_mutex_lock(&kept_lock);
	good = found->object_id == k->object_id && k->at < found->at + KEPT_NS &&
		k->entries >= found->entries && k->entries < found->entries + found->entries / 8;
	if (good)
		*k = *found;
	pthread_mutex_unlock(&kept_lock);
	return good;
}

/* The rows of the object that are in memory; entries: of its family there. */
static Kept
rows_in_memory(Object *object, Key lower, Key upper, uint64_t entries)
{
	Kept		k = {.object_id = object_id(object), .at = now_ns(), .entries = entries};
	Survey		survey;

	if (entries == 0 || (entries > FEW_KEYS && find_kept(&k)))
		return k;
	survey_begin(&survey, object_family(object), lower, upper);
	k.keys = survey.keys;
	k.bytes = survey.bytes;
	survey_end(&survey);
	if (entries > FEW_KEYS)
	{
		pthread_mutex_lock(&kept_lock);
		kept[k.object_id % NKEPT] = k;
		pthread_mutex_unlock(&kept_lock);
	}
	return k;
}

void
object_size(Object *object, uint32_t entries, ObjectSize *size)
{
	EngineFamily *family = object_family(object);
	ObjectRange all = object_range(object_id(object));
	uint8_t		bounds[2][KALAM_KEY_PREFIX_BYTES];
	Key			lower = {bounds[0], KALAM_KEY_PREFIX_BYTES};
	Key			upper = {bounds[1], KALAM_KEY_PREFIX_BYTES};
	EngineSize	f;
	Kept		memory;
	double		share = 1;		/* of the family's files that are rows of this object */
	double		rows;

	kalam_put_key_prefix(bounds[0], object_id(object), KALAM_KEY_KIND_ROW);
	kalam_put_key_prefix(bounds[1], object_id(object), KALAM_KEY_KIND_ROW + 1);
	engine_family_size(storage.engine, family, &f);
	memory = rows_in_memory(object, lower, upper, f.memory_entries);
	if (object_is_shared(object) || entries > 1)
		share = f.file_bytes == 0 ? 0 :
			(double) engine_range_bytes(storage.engine, family, lower.bytes, lower.len,
										upper.bytes, upper.len) / (double) f.file_bytes;
	size->row_bytes = (uint64_t) (share * (double) f.file_raw_bytes) + memory.bytes;

	if (object_is_shared(object))
	{
		/* rows as large as the family's are on average */
		size->bytes = engine_range_bytes(storage.engine, family, all.lower, 4, all.upper, 4) +
			memory.bytes * entries;
		size->rows = (uint64_t) (share * (double) f.file_keys + memory.keys);
		return;
	}
	size->bytes = f.file_bytes + f.memory_bytes;
	rows = (double) f.memory_entries - 2.0 * (double) f.memory_deletes;
	if (rows > memory.keys * entries)
		rows = memory.keys * entries;
	rows += (double) f.file_keys;
	size->rows = rows < 0 ? 0 : (uint64_t) (rows / entries);
}
