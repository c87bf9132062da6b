/*
 * segment.h
 *	  The one shared segment through which backends and the storage process meet.
 *
 * C11 only: no Postgres, no RocksDB.  The postmaster creates the segment (an
 * anonymous file, MAP_SHARED) before any other process exists and makes a new
 * one whenever it restarts its children after a crash.  Backends inherit the
 * mapping; the storage process maps the inherited descriptor at an address of
 * its own, so the segment holds offsets and indexes, never pointers.
 *
 * There is no lock in the segment.  Each field has one writer at a time:
 *
 *	 [P] the postmaster, before anybody else looks
 *	 [V] the supervisor
 *	 [S] the storage process
 *	 [B] the backend that owns the slot or channel
 *	 [*] several, by atomic read-modify-write
 *
 * Either side may die at any instruction.  A storage process that dies leaves
 * only words that its successor sets anew (kalam_segment_storage_reset) and
 * channels that carry the number of the old epoch, which nobody answers any
 * more.  A backend that dies by a signal makes the postmaster start afresh
 * with a new segment; one that exits gives back its pins and channels first.
 */
#ifndef KALAM_SEGMENT_H
#define KALAM_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/shared/protocol.h"

#define KALAM_SEGMENT_MAGIC		UINT64_C(0x3167654d616c614b)
#define KALAM_SEGMENT_VERSION	2

#define KALAM_CACHE_LINE		64
#define KALAM_BLOCK_BYTES		(128 * 1024) /* one block, header included */
#define KALAM_CHANNEL_BLOCKS	4			/* blocks in flight per channel */
#define KALAM_PINS_PER_SLOT		1024
#define KALAM_MIN_BUCKETS		65536		/* stamps per key hash, a power of two */
#define KALAM_MAX_BUCKETS		(1 << 23)
#define KALAM_OBJECT_STAMPS		4096		/* stamps per object, a power of two */
#define KALAM_NEAR_LANES		64			/* processors beyond that share them */
#define KALAM_NEAR_STREAM_BYTES	256		/* an EXISTS of so many is answered near, too */
#define KALAM_MESSAGE_BYTES		512
#define KALAM_PATH_BYTES		1024

/* Life of the storage process, as backends see it. */
typedef enum KalamStorageState
{
	KALAM_STORAGE_DOWN = 0,		/* none is running */
	KALAM_STORAGE_STARTING,		/* opens its files */
	KALAM_STORAGE_RECOVERING,	/* serves the supervisor only */
	KALAM_STORAGE_READY,		/* serves everybody */
	KALAM_STORAGE_STOPPING,		/* closes its files: clean shutdown */
	KALAM_STORAGE_FAILED		/* could not open; see failure_message */
} KalamStorageState;

/* What the settings ask of the store.  [P], constant afterwards. */
typedef struct KalamConfig
{
	uint32_t	nslots;			/* backends + 1; the last slot is the supervisor's */
	uint32_t	nextra;			/* channels beyond the two that each slot owns */
	uint32_t	read_threads;
	uint32_t	background_jobs;
	uint32_t	max_families;	/* tables beyond that share column families */
	uint32_t	load_threads;	/* that sort and write what is loaded */
	uint32_t	nbuckets;		/* from kalam_segment_buckets */
	uint64_t	block_cache_bytes;
	uint64_t	write_buffer_bytes;
	uint64_t	system_identifier;	/* of the cluster; 0 when a test made it */
	char		data_directory[KALAM_PATH_BYTES];	/* absolute */
} KalamConfig;

/* A sleeping place of one group of storage threads. */
typedef struct KalamLane
{
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t seq;		/* [*] futex; goes up with every post */
	_Atomic uint32_t sleepers;	/* [S] threads asleep on seq */
	_Atomic uint32_t watched;	/* [S] READ: a thread spins until something is posted */
	_Atomic uint32_t away;		/* [S] NEAR: no thread serves it now; READ does */
	uint64_t	bitmap_offset;	/* [P] one bit per channel that wants service */
} KalamLane;

typedef enum KalamLaneKind
{
	KALAM_LANE_READ = 0,		/* any read thread */
	KALAM_LANE_COMMIT,			/* the commit thread */
	KALAM_LANE_LOAD,			/* the threads that take loads in */
	KALAM_LANE_NEAR,			/* this and those behind it: one thread each, on the
								 * processor of that number, for what the backends
								 * there ask for and wait for */
	KALAM_LANES = KALAM_LANE_NEAR + KALAM_NEAR_LANES
} KalamLaneKind;

/* One per backend, indexed by backend number.  Its owner is its only writer. */
typedef struct KalamSlot
{
	_Alignas(KALAM_CACHE_LINE)
	_Atomic int32_t pid;		/* [B] 0: nobody */
	_Atomic uint32_t npins;		/* [B] pins[npins ..] are all 0 */
	_Atomic uint64_t pins[KALAM_PINS_PER_SLOT]; /* [B] stamps in use, 0: none */
} KalamSlot;

/*
 * Stamps of the last commits into an object, and into those that share the place.
 * Commits that stamp the buckets of all their keys raise only the first.
 */
typedef struct KalamObjectStamps
{
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint64_t any;		/* [S] that wrote any key of it */
	_Atomic uint64_t all;		/* [S] that did not stamp the buckets of its keys */
} KalamObjectStamps;

/* What a request asks for. */
typedef enum KalamOp
{
	KALAM_OP_NONE = 0,
	KALAM_OP_SCAN,				/* READ lane: rows of a key range, or of one key */
	KALAM_OP_EXISTS,			/* READ lane: does any of these keys exist now? */
	KALAM_OP_STAT,				/* READ lane: size and row estimates of an object */
	KALAM_OP_SPLIT,				/* READ lane: pieces of a key range; see KalamPiece */
	KALAM_OP_FLUSH,				/* READ lane: memtables of an object to files */
	KALAM_OP_COMPACT,			/* READ lane: compaction of an object's range */
	KALAM_OP_COMMIT,			/* a stream of changes; see protocol.h */
	KALAM_OP_PREPARE,			/* the same stream, kept pending under full_xid */
	KALAM_OP_RESOLVE,			/* COMMIT lane: apply or drop pending full_xid */
	KALAM_OP_SERVE,				/* COMMIT lane, supervisor: RECOVERING to READY */
	KALAM_OP_LOAD,				/* LOAD lane: a stream of records (protocol.h), sorted and
								 * kept in files under the number `load`, of at most
								 * `memory` bytes, until a COMMIT or PREPARE of this slot
								 * names it, LOAD_DROP, or the slot's next owner */
	KALAM_OP_LOAD_READ,			/* LOAD lane: the records of load `load` of this slot, in
								 * the order of their keys, declarations first; tags
								 * are 0 */
	KALAM_OP_LOAD_MEMBERS,		/* LOAD lane: for the loads load .. load_last of this slot
								 * that are kept: DUPLICATE if somebody has committed a key
								 * of one; else which hashes (kalam_hash with seed 0; 8
								 * bytes each, input_len in all, in the blocks as in
								 * SCAN_INPUT) may be of unique keys in object_id that
								 * they bring: `rows` positions, uint32, in their place */
	KALAM_OP_LOAD_DROP			/* LOAD lane: forgets all loads of this slot with numbers
								 * load .. load_last, also one that is still sent */
} KalamOp;

/* KalamRequest.flags */
#define KALAM_SCAN_REVERSE		0x0001	/* from upper down to lower */
#define KALAM_SCAN_POINT		0x0002	/* just the key `lower`: 0 or 1 row */
#define KALAM_SCAN_KEYS			0x0004	/* rows carry their keys */
#define KALAM_SCAN_COUNT		0x0008	/* blocks carry row counts, no rows */
#define KALAM_SCAN_NEWEST		0x0010	/* at the newest stamp, not at `stamp` */
#define KALAM_SCAN_RECHECK		0x0020	/* POINT + NEWEST: KALAM_ROW_CHANGED says
										 * whether the newest version differs
										 * from the one at `stamp` */
#define KALAM_SCAN_AFTER_LOWER	0x0040	/* lower itself is excluded */
#define KALAM_SCAN_KEYS_ONLY	0x0080	/* KEYS, and tuples have no body: their
										 * tuple_len is KALAM_TUPLE_BODY_OFFSET */
#define KALAM_SCAN_INDEX		0x1000	/* the keys of the range are index entries; the
										 * rows are those that they lead to, in the
										 * order of the entries.  With KEYS_ONLY or
										 * COUNT the rows are not looked up, and their
										 * versions are the entries' */
#define KALAM_SCAN_INDEX_KEYS	0x2000	/* INDEX: rows carry the entries' keys, behind
										 * their own, if those are asked for */
#define KALAM_SCAN_INPUT		0x4000	/* input_len bytes of sections: protocol.h */
#define KALAM_SPLIT_RANDOM		0x0800	/* SPLIT: pieces at random places */
#define KALAM_SCAN_PART			0x8000	/* of a scan that reads much all in all */
#define KALAM_SCAN_MEASURE		0x10000 /* blocks tell what was read of files */
#define KALAM_COMMIT_SYNC		0x0100	/* on disk before the answer */
#define KALAM_RESOLVE_APPLY		0x0200	/* else drop */
#define KALAM_COMMIT_BULK		0x0400	/* a large one: object changes first, then
										 * each key once, ascending */

/* How a request ended.  The backend maps these to SQLSTATEs. */
typedef enum KalamCode
{
	KALAM_OK = 0,
	KALAM_ERR_NO_OBJECT,		/* no such object id */
	KALAM_ERR_STAMP_GONE,		/* stamp of an earlier storage process */
	KALAM_ERR_IO,				/* RocksDB said no; message names the cause */
	KALAM_ERR_CORRUPT,			/* bytes that fail their checksum or format */
	KALAM_ERR_DISK_FULL,
	KALAM_ERR_MEMORY,
	KALAM_ERR_PROTOCOL,			/* a request that no backend should send */
	KALAM_ERR_CANCELED,			/* the backend asked for it */
	KALAM_ERR_NOT_READY,		/* RECOVERING, and the caller is no supervisor */
	KALAM_ERR_DUPLICATE,		/* LOAD, LOAD_MEMBERS, COMMIT, PREPARE: a key of a UNIQUE
								 * target twice, or stored, or in an earlier load.
								 * result.position is the tag of the later one (UINT64_MAX:
								 * not known), result.target its target; the stored value
								 * of the row (its own, or the one that its index entry
								 * leads to) lies raw in the channel's blocks from the
								 * address of block 0 on, result.bytes long; 0: it fits not
								 * or is not known.  LOAD ends so early only when no block
								 * is the owner's, or all are there */
	KALAM_ERR_NO_LOAD			/* LOAD_READ, COMMIT, PREPARE: this slot has no such load */
} KalamCode;

/* [B] writes it before it raises the channel's generation. */
typedef struct KalamRequest
{
	uint32_t	op;				/* KalamOp */
	uint32_t	epoch;			/* of the storage process that it is meant for */
	uint32_t	flags;
	uint32_t	object_id;		/* SCAN, STAT, SPLIT, FLUSH, COMPACT, LOAD_MEMBERS */
	uint64_t	stamp;			/* SCAN: read at this stamp */
	uint64_t	full_xid;		/* PREPARE, RESOLVE */
	uint64_t	serial;			/* COMMIT, PREPARE: version id of its rows;
								 * SPLIT_RANDOM: what the numbers are drawn from */
	uint64_t	max_row_id;		/* COMMIT, PREPARE: largest hidden row id, or 0 */
	uint64_t	max_rows;		/* SCAN: stop after so many, 0: no limit; SPLIT: so
								 * many pieces; STAT: keys that a row comes with, its own
								 * and one for each index */
	uint32_t	first_bytes;	/* SCAN: size after which the first block goes out;
								 * SPLIT: smallest piece that is worth making, 0: 64 KB */
	uint64_t	load;			/* LOAD, LOAD_READ, LOAD_MEMBERS, LOAD_DROP: number of a
								 * load, from next_serial */
	uint64_t	load_last;		/* LOAD_MEMBERS, LOAD_DROP */
	uint64_t	memory;			/* LOAD: bytes that storage may hold for it */
	uint32_t	database_oid;	/* LOAD, for those who watch: where it is, and */
	uint32_t	relid;			/* the first table that it fills */
	uint32_t	input_len;		/* SCAN_INPUT, LOAD_MEMBERS: bytes in the channel's blocks */
	uint32_t	first_range;	/* SCAN with RANGES: begin with this one, and in it
								 * behind the key `lower` (AFTER_LOWER) or `upper`
								 * (REVERSE), if its length is not 0 */
	uint16_t	lower_len;		/* SCAN: 0 is not allowed without RANGES; SPLIT */
	uint16_t	upper_len;		/* SCAN: first key behind the range; not for POINT;
								 * SPLIT */
	uint8_t		lower[KALAM_MAX_KEY_BYTES];
	uint8_t		upper[KALAM_MAX_KEY_BYTES];
} KalamRequest;

typedef enum KalamLoadPhase
{
	KALAM_LOAD_RECEIVES = 0,	/* takes records in, sorts and writes what is there */
	KALAM_LOAD_MERGES,			/* all is there: what overlaps is merged */
	KALAM_LOAD_CHECKS			/* compares with earlier loads of the transaction */
} KalamLoadPhase;

/* How far a LOAD is: changes while it runs. */
typedef struct KalamLoadProgress
{
	_Atomic uint64_t rows;		/* records taken in, of rows of tables */
	_Atomic uint64_t bytes;		/* of all records taken in */
	_Atomic uint64_t file_bytes;	/* written so far */
	_Atomic uint32_t files;		/* that exist now */
	_Atomic uint32_t phase;		/* KalamLoadPhase */
} KalamLoadProgress;

/* [S] writes it before it raises `done`, commit_stamp and load earlier. */
typedef struct KalamResult
{
	uint32_t	code;			/* KalamCode */
	uint32_t	target;			/* DUPLICATE: number of the target */
	uint64_t	position;		/* EXISTS: index of the first key that exists, or
								 * UINT64_MAX; DUPLICATE: tag, UINT64_MAX: not known */
	uint64_t	load_number;	/* DUPLICATE: the load in which it is */
	uint64_t	rows;			/* STAT: estimate of rows; LOAD_MEMBERS: positions */
	uint64_t	bytes;			/* STAT, SPLIT: estimate of bytes, memory included;
								 * DUPLICATE: of the row in the blocks */
	uint64_t	row_bytes;		/* STAT: the same of rows alone, not compressed */
	_Atomic uint64_t commit_stamp;	/* COMMIT, PREPARE: set before the write */
	KalamLoadProgress load;		/* LOAD, relaxed */
	char		message[KALAM_MESSAGE_BYTES];	/* code != OK: one line, UTF-8 or not */
} KalamResult;

/*
 * A channel carries one request at a time.
 *
 * generation goes up when the owner posts a request; done follows when the
 * storage process has finished with it and touches neither the channel nor its
 * blocks any more.  A channel is idle, and its blocks are the owner's, iff
 * done == generation, or req.epoch is not the segment's epoch (whoever served
 * it is dead and reaped).  To stop a request early the owner sets cancel to
 * the generation and posts the channel again.
 *
 * Blocks form a ring: block i of a stream is blocks[i % KALAM_CHANNEL_BLOCKS].
 * filled and consumed count from 0 for each request.  SCAN: storage fills, the
 * owner consumes; so LOAD_READ.  COMMIT, PREPARE, EXISTS, LOAD: the owner fills, storage
 * consumes.  The owner posts the channel after each block that it filled or consumed.
 */
typedef struct KalamChannel
{
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t owner;		/* [*] slot index + 1; 0: free (extra channels) */
	_Atomic uint32_t generation;	/* [B] */
	_Atomic uint32_t cancel;	/* [B] generation that is to stop */
	uint32_t	slot;			/* [B] whose pins protect the request */

	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t done;		/* [S] generation that is finished */
	_Atomic uint32_t reply_seq; /* [S] futex; goes up with each notification */

	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t sleeping;	/* [B] 1 while asleep on reply_seq */

	/* one of the next two is the owner's, one the storage process's, by op */
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t filled;
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t consumed;

	KalamRequest req;
	KalamResult result;
} KalamChannel;

/* KalamBlock.flags */
#define KALAM_BLOCK_LAST		0x0001	/* nothing follows in this stream */
#define KALAM_BLOCK_BIG			0x0002	/* a piece of one row, or record of a load, too large
										 * for a block */

/*
 * 128 KB of stream.  Valid for the consumer until it raises `consumed`.
 *
 * In a SCAN stream, data holds nrows KalamRow entries one behind the other, or,
 * under KALAM_SCAN_COUNT, nothing.  A row that fits in no block comes as blocks
 * with KALAM_BLOCK_BIG: big_total bytes of entry in pieces of `used` bytes,
 * nrows being 1 in the last piece and 0 before it.  The key of the last row of
 * a block (not of BIG pieces before the last) stands at data + resume_offset,
 * resume_len bytes, so that a scan can be taken up again behind it.
 */
typedef struct KalamBlock
{
	uint32_t	used;			/* bytes of data that are stream */
	uint32_t	nrows;
	uint32_t	flags;
	uint32_t	resume_offset;
	uint32_t	resume_len;
	uint32_t	big_total;
	uint32_t	resume_range;	/* number of the range of that key */
	uint32_t	reserved;
	uint64_t	read;			/* SCAN: keys that were read so far, those of rows that
								 * were not sent and of index entries included */
	uint64_t	seeks;			/* SCAN: keys looked up, and ranges begun, so far */
	uint64_t	cache_hits;		/* MEASURE: blocks of files found in memory so far, */
	uint64_t	file_reads;		/* and those read */
	uint8_t		data[];			/* 8-aligned */
} KalamBlock;

#define KALAM_BLOCK_DATA_BYTES	(KALAM_BLOCK_BYTES - sizeof(KalamBlock))
#define KALAM_MAX_INPUT_BYTES	(KALAM_CHANNEL_BLOCKS * KALAM_BLOCK_BYTES) /* of a SCAN */

/* KalamRow.flags */
#define KALAM_ROW_CHANGED		0x0001	/* RECHECK: newest differs from `stamp`'s */
#define KALAM_ROW_EXISTED		0x0002	/* RECHECK: there was a version at `stamp` */
#define KALAM_ROW_ABSENT		0x0004	/* RECHECK: there is no newest version; the
										 * entry has no tuple.  RECHECK always
										 * answers with exactly one entry */
#define KALAM_ROW_GROUP			0x0008	/* AGGREGATE: the stored bytes are those of a
										 * group (rowagg.h); entries without it are
										 * rows that do not fit into one */

/*
 * One row in a block, 8-aligned.  At offset 16 lies a Postgres MinimalTuple:
 * 4 bytes tuple_len (its t_len), 6 bytes of padding, where Postgres never looks
 * and which say where the row comes from, and then the stored bytes of the row
 * behind the 8 byte version.  The row's key, if asked for, begins at 16 +
 * tuple_len rounded up to 8; the key of its index entry, if asked for, directly
 * behind that.
 */
typedef struct KalamRow
{
	uint32_t	size;			/* of the whole entry, a multiple of 8 */
	uint16_t	key_len;		/* 0 unless KALAM_SCAN_KEYS */
	uint16_t	flags;
	uint64_t	version;		/* version id: first 8 bytes of the stored value */
	uint32_t	tuple_len;		/* offset 16: the tuple */
	uint16_t	range[2];		/* number of the range, low half first (SCAN with
								 * RANGES; else 0) */
	uint16_t	index_key_len;	/* 0 unless KALAM_SCAN_INDEX_KEYS */
	uint8_t		tuple_rest[];
} KalamRow;

/*
 * The answer to a SPLIT is one block of `nrows` pieces, one behind the other
 * without padding, each a KalamPiece and its keys.  They tile the range in order,
 * fewer than were asked for if it is small or the keys are long.  With
 * SPLIT_RANDOM as many places were chosen, each byte being as likely as any
 * other, and each piece in which some lie is answered once.  Bytes and places
 * are estimates, and of the newest state; the keys bound pieces in any snapshot.
 */
typedef struct KalamPiece
{
	uint64_t	bytes;			/* estimate, memory included */
	uint32_t	places;			/* chosen in it; 1 without SPLIT_RANDOM */
	uint16_t	lower_len;
	uint16_t	upper_len;
	/* lower_len bytes of lower, upper_len bytes of upper, which is excluded */
} KalamPiece;

#define KALAM_ROW_TUPLE_OFFSET	16
#define KALAM_TUPLE_BODY_OFFSET 10	/* of the stored bytes within the tuple */
#define KALAM_ALIGN8(n)			(((n) + 7) & ~(uint64_t) 7)

typedef struct KalamSegment
{
	uint64_t	magic;			/* [P] */
	uint32_t	version;		/* [P] */
	uint32_t	nchannels;		/* [P] */
	uint64_t	size_bytes;		/* [P] of the whole segment */
	uint64_t	slots_offset;	/* [P] */
	uint64_t	channels_offset;	/* [P] */
	uint64_t	objects_offset; /* [P] */
	uint64_t	buckets_offset; /* [P] */
	uint64_t	bucket_mask;	/* [P] */
	uint64_t	blocks_offset;	/* [P] */
	KalamConfig config;			/* [P] */

	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t state;		/* [S] while it lives, else [V]; KalamStorageState */
	_Atomic uint32_t epoch;		/* [V] raised after a storage process was reaped,
								 * starts at 1 */
	_Atomic int32_t storage_pid;	/* [V] */
	uint32_t	failure_code;	/* [S] KalamCode, before state = FAILED */
	char		failure_message[KALAM_MESSAGE_BYTES];	/* [S] likewise */
	_Atomic uint32_t pending;	/* [S] transactions that wait for RESOLVE */

	/*
	 * Stamps.  pub is the stamp that new snapshots read at; the commit thread
	 * is its only writer.  Stamps below floor belong to an earlier storage
	 * process and cannot be read.  recovered is the last stamp that the store
	 * held when it was opened: a commit whose commit_stamp is at most that
	 * survived.
	 *
	 * What has not been changed since?  The stamp of a commit is in the words of
	 * what it changed (all_stamp, KalamObjectStamps, buckets; see truth.h) before
	 * it is in pub, and no word is ever lowered, by a successor neither.
	 */
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint64_t pub;		/* [S] */
	_Atomic uint64_t floor;		/* [S] before state = RECOVERING */
	_Atomic uint64_t recovered; /* [S] before state = RECOVERING */
	_Atomic uint64_t all_stamp; /* [S] last start, or commit that stamped neither
								 * objects nor buckets */

	/* Counters that never go back, also not over a restart. */
	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint64_t next_serial;	/* [*] version ids of transactions */
	_Atomic uint64_t next_row_id;	/* [*] hidden row ids, 48 bits */
	_Atomic uint32_t next_object_id;	/* [*] */

	_Alignas(KALAM_CACHE_LINE)
	_Atomic uint32_t waiting;	/* [*] backends that wait for an answer now */
	_Atomic uint32_t clients;	/* [S] backends that the last requests came from: who
								 * spins while that is not below the number of cores
								 * takes a core from one of them */

	KalamLane	lanes[KALAM_LANES];
} KalamSegment;

/* ---- addresses ---- */

static inline KalamSlot *
kalam_slot(KalamSegment *seg, uint32_t i)
{
	return (KalamSlot *) ((char *) seg + seg->slots_offset) + i;
}

static inline KalamChannel *
kalam_channel(KalamSegment *seg, uint32_t i)
{
	return (KalamChannel *) ((char *) seg + seg->channels_offset) + i;
}

static inline uint32_t
kalam_channel_index(KalamSegment *seg, const KalamChannel *ch)
{
	return (uint32_t) (ch - (KalamChannel *) ((char *) seg + seg->channels_offset));
}

/* Block number n of the channel's current stream. */
static inline KalamBlock *
kalam_block(KalamSegment *seg, const KalamChannel *ch, uint32_t n)
{
	uint64_t	i = (uint64_t) kalam_channel_index(seg, ch) * KALAM_CHANNEL_BLOCKS +
		n % KALAM_CHANNEL_BLOCKS;

	return (KalamBlock *) ((char *) seg + seg->blocks_offset + i * KALAM_BLOCK_BYTES);
}

/* The stamp word of a key: the last commit that wrote a key of this hash. */
static inline _Atomic uint64_t *
kalam_bucket(KalamSegment *seg, uint64_t key_hash)
{
	return (_Atomic uint64_t *) ((char *) seg + seg->buckets_offset) +
		(key_hash & seg->bucket_mask);
}

static inline KalamObjectStamps *
kalam_object_stamps(KalamSegment *seg, uint32_t object_id)
{
	return (KalamObjectStamps *) ((char *) seg + seg->objects_offset) +
		(object_id & (KALAM_OBJECT_STAMPS - 1));
}

static inline _Atomic uint64_t *
kalam_lane_bitmap(KalamSegment *seg, KalamLaneKind lane)
{
	return (_Atomic uint64_t *) ((char *) seg + seg->lanes[lane].bitmap_offset);
}

/* Channels 2 i and 2 i + 1 are slot i's own: requests, and its first scan. */
#define KALAM_RPC_CHANNEL(slot)		(2 * (slot))
#define KALAM_SCAN_CHANNEL(slot)	(2 * (slot) + 1)
#define KALAM_FIRST_EXTRA(seg)		(2 * (seg)->config.nslots)

/* ---- segment.c ---- */

/* How many buckets there should be for a cache of so many bytes: about one per entry. */
extern uint32_t kalam_segment_buckets(uint64_t cache_bytes);

/* Bytes that a segment takes: of config the slots, extra channels and buckets count. */
extern uint64_t kalam_segment_size(const KalamConfig *config);

/* Lays out zeroed memory of that size; the caller is the only one to see it. */
extern void kalam_segment_init(KalamSegment *seg, const KalamConfig *config);

/* Is this a segment that this program understands?  size: of the mapping. */
extern bool kalam_segment_check(const KalamSegment *seg, uint64_t size);

/* Forgets what an earlier storage process left: lanes, sleepers.  [S] at start. */
extern void kalam_segment_storage_reset(KalamSegment *seg);

/* Asks for service of the channel by a thread of the lane.  Any process. */
extern void kalam_lane_post(KalamSegment *seg, KalamLaneKind lane, uint32_t channel);

/*
 * The same for a request of the READ lane that is answered at once, as a rule.  It
 * goes to whoever watches that lane; else to the NEAR lane of the processor that this
 * runs on, for a thread that is woken on another one costs several times as much.
 * True: the thread runs here, when the caller sleeps.  [B]
 */
extern bool kalam_near_post(KalamSegment *seg, uint32_t channel);

/* The thread of a NEAR lane does something else for long: READ serves meanwhile.  [S] */
extern void kalam_near_leave(KalamSegment *seg, KalamLaneKind lane);

/*
 * Takes one posted channel off the lane, beginning behind *cursor, which it
 * moves so that no channel starves.  False if nothing is posted.  [S]
 */
extern bool kalam_lane_take(KalamSegment *seg, KalamLaneKind lane, uint32_t *cursor,
							uint32_t *channel);

/* Sleeps until something is posted on the lane or timeout_us passed.  [S] */
extern void kalam_lane_sleep(KalamSegment *seg, KalamLaneKind lane, uint32_t timeout_us);

/* Wakes every sleeper of the lane, without work: for shutdown.  [S] */
extern void kalam_lane_wake_all(KalamSegment *seg, KalamLaneKind lane);

/* Tells the channel's owner that filled, consumed or done moved.  [S] */
extern void kalam_channel_notify(KalamChannel *ch);

/*
 * The two halves of it: who is awake sees the first; who sleeps needs the
 * second, which may come later, for several channels together.  [S]
 */
extern void kalam_channel_signal(KalamChannel *ch);
extern void kalam_channel_wake(KalamChannel *ch);

/*
 * Sleeps until the owner is notified with a reply_seq other than `seen`, or
 * timeout_us passed, or a signal came.  The owner reads `seen` before it looks
 * at what it waits for.  [B]
 */
extern void kalam_channel_sleep(KalamChannel *ch, uint32_t seen, uint32_t timeout_us);

/*
 * Pins the newest stamp in a pin word of the caller's slot and returns it: it
 * stays readable until the word is set to 0 (or the storage process dies).
 * pin must lie below npins already.  [B]
 */
extern uint64_t kalam_pin_newest(KalamSegment *seg, _Atomic uint64_t *pin);

/* futex words; timeout_us 0 means none.  False if the time passed. */
extern bool kalam_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint32_t timeout_us);
extern void kalam_futex_wake(_Atomic uint32_t *word, int n);

/* Hash for buckets and row locks: 64 bits over the whole key. */
extern uint64_t kalam_hash(const void *data, size_t len, uint64_t seed);

#endif							/* KALAM_SEGMENT_H */
