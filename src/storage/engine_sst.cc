/*
 * engine_sst.cc
 *	  Sorted files through RocksDB's C++ interface: see engine_sst.h.
 *
 * Nothing but translation.  No exception leaves it: RocksDB throws none, and
 * without memory the process ends, as it does in C.
 */
#include "src/storage/engine_sst.h"

#include <cstring>
#include <memory>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

using rocksdb::IOStatus;
using rocksdb::Slice;
using rocksdb::Status;

namespace
{

/* so much is handed to the disk at once, while more is being written */
const uint64_t SYNC_BYTES = 1 << 20;

/* The C interface's wrappers have the C++ object as their only member. */
const rocksdb::Options &
inner(const rocksdb_options_t *o)
{
	return *reinterpret_cast<const rocksdb::Options *>(o);
}

rocksdb::IngestExternalFileOptions &
inner(rocksdb_ingestexternalfileoptions_t *o)
{
	return *reinterpret_cast<rocksdb::IngestExternalFileOptions *>(o);
}

void
report(const Status &s, char **message)
{
	if (!s.ok())
		*message = strdup(s.ToString().c_str());
}

Slice
slice(const void *bytes, size_t len)
{
	return Slice(static_cast<const char *>(bytes), len);
}

/* Files that nobody wants after a crash, and most of which do not get old. */
class FileWithoutSync : public rocksdb::FSWritableFileOwnerWrapper
{
public:
	using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

	IOStatus Sync(const rocksdb::IOOptions &, rocksdb::IODebugContext *) override
	{
		return IOStatus::OK();
	}

	IOStatus Fsync(const rocksdb::IOOptions &, rocksdb::IODebugContext *) override
	{
		return IOStatus::OK();
	}
};

class FilesWithoutSync : public rocksdb::FileSystemWrapper
{
public:
	FilesWithoutSync() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

	const char *Name() const override { return "FilesWithoutSync"; }

	IOStatus NewWritableFile(const std::string &path, const rocksdb::FileOptions &options,
							 std::unique_ptr<rocksdb::FSWritableFile> *file,
							 rocksdb::IODebugContext *context) override
	{
		IOStatus	s = target()->NewWritableFile(path, options, file, context);

		if (s.ok())
			file->reset(new FileWithoutSync(std::move(*file)));
		return s;
	}
};

rocksdb::Env *
env_without_sync()
{
	/* for ever: who knows what still uses it when the process ends */
	static rocksdb::Env *const env =
		rocksdb::NewCompositeEnv(std::make_shared<FilesWithoutSync>()).release();

	return env;
}

rocksdb::Options
writer_options(const rocksdb::Options &o, bool unsynced)
{
	rocksdb::Options w(o);

	if (unsynced)
		w.env = env_without_sync();
	return w;
}

rocksdb::EnvOptions
env_options(const rocksdb::Options &o, bool unsynced)
{
	rocksdb::EnvOptions env{rocksdb::DBOptions(o)};

	env.bytes_per_sync = unsynced ? 0 : SYNC_BYTES;
	return env;
}

rocksdb::Options
reader_options()
{
	rocksdb::Options o;
	rocksdb::BlockBasedTableOptions t;

	t.no_block_cache = true;
	o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
	return o;
}

}								/* namespace */

struct SstWriter
{
	rocksdb::SstFileWriter file;

	/* (It would have the kernel forget what it has written.) */
	SstWriter(const rocksdb::Options &o, bool unsynced)
		: file(env_options(o, unsynced), writer_options(o, unsynced), nullptr, false)
	{
	}
};

struct SstReader
{
	rocksdb::SstFileReader file{reader_options()};
};

struct SstIter
{
	Slice		upper;
	std::unique_ptr<rocksdb::Iterator> it;
};

bool
sst_layout_is_known(void)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_ingestexternalfileoptions_t *i = rocksdb_ingestexternalfileoptions_create();
	bool		known = true;

	for (unsigned char on = 0; on < 2; on++)
	{
		rocksdb_options_set_bytes_per_sync(o, 4711u + on);
		rocksdb_options_set_create_if_missing(o, on);
		rocksdb_ingestexternalfileoptions_set_move_files(i, on);
		rocksdb_ingestexternalfileoptions_set_ingest_behind(i, !on);
		known = known && inner(o).bytes_per_sync == 4711u + on &&
			inner(o).create_if_missing == (on != 0) && inner(i).move_files == (on != 0) &&
			inner(i).ingest_behind == (on == 0);
	}
	rocksdb_options_destroy(o);
	rocksdb_ingestexternalfileoptions_destroy(i);
	return known;
}

/* ---- writing ---- */

SstWriter *
sst_writer_open(const rocksdb_options_t *options, const char *path, bool unsynced, char **message)
{
	SstWriter  *w = new SstWriter(inner(options), unsynced);

	report(w->file.Open(path), message);
	return w;
}

void
sst_writer_put(SstWriter *w, const void *key, size_t key_len, const void *value, size_t value_len,
			   char **message)
{
	report(w->file.Put(slice(key, key_len), slice(value, value_len)), message);
}

void
sst_writer_delete(SstWriter *w, const void *key, size_t key_len, char **message)
{
	report(w->file.Delete(slice(key, key_len)), message);
}

uint64_t
sst_writer_bytes(SstWriter *w)
{
	return w->file.FileSize();
}

void
sst_writer_finish(SstWriter *w, char **message)
{
	report(w->file.Finish(), message);
}

void
sst_writer_close(SstWriter *w)
{
	delete w;
}

/* ---- reading ---- */

SstReader *
sst_reader_open(const char *path, char **message)
{
	SstReader  *r = new SstReader;
	Status		s = r->file.Open(path);

	if (s.ok())
		return r;
	report(s, message);
	delete r;
	return nullptr;
}

void
sst_reader_close(SstReader *r)
{
	delete r;
}

SstIter *
sst_iter_open(SstReader *r, const void *upper, size_t upper_len, size_t readahead)
{
	SstIter    *it = new SstIter;
	rocksdb::ReadOptions o;

	it->upper = slice(upper, upper_len);
	if (upper_len > 0)
		o.iterate_upper_bound = &it->upper;
	o.readahead_size = readahead;
	o.fill_cache = false;
	it->it.reset(r->file.NewIterator(o));
	return it;
}

void
sst_iter_close(SstIter *it)
{
	delete it;
}

void
sst_iter_seek(SstIter *it, const void *key, size_t key_len)
{
	it->it->Seek(slice(key, key_len));
}

bool
sst_iter_entry(SstIter *it, const uint8_t **key, size_t *key_len, const uint8_t **value,
			   size_t *value_len)
{
	if (!it->it->Valid())
		return false;

	Slice		k = it->it->key();
	Slice		v = it->it->value();

	*key = reinterpret_cast<const uint8_t *>(k.data());
	*key_len = k.size();
	*value = reinterpret_cast<const uint8_t *>(v.data());
	*value_len = v.size();
	return true;
}

void
sst_iter_next(SstIter *it)
{
	it->it->Next();
}

void
sst_iter_status(SstIter *it, char **message)
{
	report(it->it->status(), message);
}

/* ---- taking in ---- */

void
sst_ingest_unchanged(rocksdb_ingestexternalfileoptions_t *o)
{
	inner(o).write_global_seqno = false;
}
