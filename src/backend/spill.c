/*
 * spill.c
 *	  Memory and temporary files for a transaction's changes: see spill.h.
 *
 * Files are fd.c's temporary files and not BufFiles: they are read at places and
 * have buffers of their own, and closing one must not raise, as closing a
 * BufFile does that could not be written.  temp_tablespaces, temp_file_limit and
 * log_temp_files apply, and files that a crash leaves are removed by Postgres.
 */
#include "postgres.h"

#include "commands/tablespace.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#include "src/backend/spill.h"

static void *
memory_alloc(void *arg, size_t size)
{
	/* 16-aligned, whatever palloc's MAXALIGN is */
	char	   *raw = MemoryContextAllocHuge(arg, size + 32);
	char	   *aligned = (char *) TYPEALIGN(16, raw + sizeof(char *));

	((char **) aligned)[-1] = raw;
	return aligned;
}

static void
memory_free(void *arg, void *ptr, size_t size)
{
	pfree(((char **) ptr)[-1]);
}

KalamStagedMemory
kalam_spill_memory(MemoryContext context)
{
	KalamStagedMemory memory = {memory_alloc, memory_free, context};

	return memory;
}

/*
 * The transaction owns the file, not the subtransaction or portal of now, at
 * whose end its versions may still be wanted.
 */
static int
create_file(void *arg)
{
	ResourceOwner old = CurrentResourceOwner;
	File		file;

	PrepareTempTablespaces();
	CurrentResourceOwner = TopTransactionResourceOwner;
	PG_TRY();
	{
		file = OpenTemporaryFile(false);
	}
	PG_FINALLY();
	{
		CurrentResourceOwner = old;
	}
	PG_END_TRY();
	return file;
}

static void
write_file(void *arg, int file, uint64_t offset, const void *bytes, size_t len)
{
	CHECK_FOR_INTERRUPTS();
	while (len > 0)
	{
		/* fd.c counts in int; what it writes it does not change */
		int			piece = (int) Min(len, (size_t) 1 << 30);
		int			n;

		errno = 0;
		n = FileWrite(file, (char *) bytes, piece, (off_t) offset, WAIT_EVENT_BUFFILE_WRITE);
		if (n <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write to temporary file \"%s\": %m", FilePathName(file)),
					 errdetail("It is to hold changes of the transaction to kalam tables.")));
		}
		bytes = (const char *) bytes + n;
		offset += n;
		len -= n;
	}
}

static void
read_file(void *arg, int file, uint64_t offset, void *bytes, size_t len)
{
	CHECK_FOR_INTERRUPTS();
	while (len > 0)
	{
		int			n = FileRead(file, bytes, (int) Min(len, (size_t) 1 << 30), (off_t) offset,
								 WAIT_EVENT_BUFFILE_READ);

		if (n < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read from temporary file \"%s\": %m", FilePathName(file))));
		if (n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("temporary file \"%s\" is too short", FilePathName(file))));
		bytes = (char *) bytes + n;
		offset += n;
		len -= n;
	}
}

static void
close_file(void *arg, int file)
{
	FileClose(file);
}

static void
broken_file(void *arg, int file)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("temporary file \"%s\" does not hold what was written to it",
					FilePathName(file))));
}

KalamRunFiles
kalam_spill_files(void)
{
	KalamRunFiles files = {create_file, write_file, read_file, close_file, broken_file, NULL};

	return files;
}
