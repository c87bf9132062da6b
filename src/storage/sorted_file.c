/*
 * sorted_file.c
 *	  Files of a sorter: writing, opening, forgetting.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/storage/sorter_internal.h"
#include "src/storage/storage.h"
#include "src/storage/store_dir.h"

static _Atomic uint32_t last_number;	/* of a file of this process */

SorterKey
sorter_key(const uint8_t *bytes, size_t len)
{
	SorterKey	k = {malloc(len + 1), len};	/* one more, for who wants the next key */

	if (k.bytes == NULL)
		abort();
	if (len > 0)
		memcpy(k.bytes, bytes, len);
	return k;
}

static void
sorted_file_path(const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", store_dir_bulk(), name);
}

/* ---- writing ---- */

bool
sorted_writer_open(SortedWriter *w, Sorter *s, EngineFileKind kind, EngineError *err)
{
	char		path[KALAM_PATH_BYTES + SORTER_NAME_BYTES];
	SortedFile *f;

	memset(w, 0, sizeof(*w));
	if (!store_dir_has_room(0, err))
		return false;
	f = calloc(1, sizeof(SortedFile));
	f->tagged = kind == ENGINE_FILE_TEMPORARY;
	f->synced = kind == ENGINE_FILE_LASTING;
	pthread_mutex_init(&f->open_mutex, NULL);
	do
	{
		snprintf(f->name, sizeof(f->name), "load-%016" PRIx64 "-%u.sst", s->config.load,
				 atomic_fetch_add(&last_number, 1));
		sorted_file_path(f->name, path, sizeof(path));
	} while (access(path, F_OK) == 0);	/* of a load of an earlier process: not ours */
	w->out = engine_file_create(storage.engine, s->config.target.options, path, kind, err);
	if (w->out == NULL)
	{
		sorted_file_remove(f);
		return false;
	}
	w->sorter = s;
	w->file = f;
	w->last.bytes = malloc(KALAM_MAX_KEY_BYTES);
	return true;
}

static void
add_sample(SortedFile *f, const uint8_t *key, size_t key_len)
{
	if ((f->nsamples & (f->nsamples + 1)) == 0)
		f->samples = realloc(f->samples, 2 * (f->nsamples + 1) * sizeof(SorterKey));
	if (f->samples == NULL)
		abort();
	f->samples[f->nsamples++] = sorter_key(key, key_len);
}

bool
sorted_writer_put(SortedWriter *w, const uint8_t *key, size_t key_len, const uint8_t *value,
				  size_t value_len, EngineError *err)
{
	SortedFile *f = w->file;

	if (!engine_file_put(w->out, key, key_len, value, value_len, err))
		return false;
	if (f->rows == 0)
		f->min = sorter_key(key, key_len);
	f->rows++;
	f->raw_bytes += key_len + value_len;
	memcpy(w->last.bytes, key, key_len);
	w->last.len = key_len;
	w->unsampled_bytes += key_len + value_len;
	if (w->unsampled_bytes >= SORTER_SAMPLE_BYTES)
	{
		w->unsampled_bytes = 0;
		add_sample(f, key, key_len);
	}
	w->unchecked_bytes += key_len + value_len;
	if (w->unchecked_bytes >= SORTER_ROOM_BYTES)
	{
		w->unchecked_bytes = 0;
		return store_dir_has_room(0, err);
	}
	return true;
}

SortedFile *
sorted_writer_finish(SortedWriter *w, EngineError *err)
{
	SortedFile *f = w->file;

	f->max = w->last;
	if (engine_file_finish(w->out, &f->bytes, err))
		return f;
	sorted_file_remove(f);
	return NULL;
}

void
sorted_writer_abandon(SortedWriter *w)
{
	engine_file_abandon(w->out);
	free(w->last.bytes);
	sorted_file_remove(w->file);
}

/* ---- the file ---- */

void
sorted_file_free(SortedFile *f)
{
	for (uint32_t i = 0; i < f->nsamples; i++)
		free(f->samples[i].bytes);
	free(f->samples);
	free(f->min.bytes);
	free(f->max.bytes);
	pthread_mutex_destroy(&f->open_mutex);
	free(f);
}

void
sorted_file_remove(SortedFile *f)
{
	char		path[KALAM_PATH_BYTES + SORTER_NAME_BYTES];

	sorted_file_path(f->name, path, sizeof(path));
	(void) unlink(path);
	sorted_file_free(f);
}

EngineSorted *
sorted_file_acquire(SortedFile *f, EngineError *err)
{
	EngineSorted *reader;

	pthread_mutex_lock(&f->open_mutex);
	if (f->reader == NULL)
	{
		char		path[KALAM_PATH_BYTES + SORTER_NAME_BYTES];

		sorted_file_path(f->name, path, sizeof(path));
		f->reader = engine_sorted_open(path, err);
	}
	if (f->reader != NULL)
		f->users++;
	reader = f->reader;
	pthread_mutex_unlock(&f->open_mutex);
	return reader;
}

void
sorted_file_release(SortedFile *f)
{
	pthread_mutex_lock(&f->open_mutex);
	if (--f->users == 0)
	{
		engine_sorted_close(f->reader);
		f->reader = NULL;
	}
	pthread_mutex_unlock(&f->open_mutex);
}
