/*
 * keyread.c
 *	  Rows read from key bytes: see keyread.h.
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "src/backend/keyread.h"

/* A column of a key, in the order of its bytes. */
typedef struct ReadColumn
{
	const KalamKeyColumn *column;
	int32		typmod;
	bool		wanted;
} ReadColumn;

struct KalamKeyReading
{
	bool		index;			/* the scan follows one */
	int			nentry;			/* columns of its entries, up to the last that is wanted */
	ReadColumn *entry;
	int			nkey;			/* and of the primary key */
	ReadColumn *key;
	MemoryContext values;		/* of the row */
};

/* Takes the wanted columns off the list.  Returns how many must be read for them. */
static int
choose_columns(ReadColumn *to, const KalamKeyColumn *columns, int n, TupleDesc desc,
			   List **wanted)
{
	int			needed = 0;

	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, columns[i].attnum - 1);

		to[i].column = &columns[i];
		to[i].typmod = att->atttypmod;
		(void) getBaseTypeAndTypmod(att->atttypid, &to[i].typmod);
		to[i].wanted = list_member_int(*wanted, columns[i].attnum) &&
			kalam_key_type_decodes(&columns[i].type, to[i].typmod);
		if (to[i].wanted)
		{
			needed = i + 1;
			*wanted = list_delete_int(*wanted, columns[i].attnum);
		}
	}
	return needed;
}

KalamKeyReading *
kalam_key_reading_begin(const KalamTable *table, const KalamScanKey *key, List *columns,
						TupleDesc desc)
{
	KalamKeyReading *reading = palloc0(sizeof(KalamKeyReading));
	List	   *wanted = list_copy(columns);

	reading->values = AllocSetContextCreate(CurrentMemoryContext, "kalam values from keys",
											ALLOCSET_SMALL_SIZES);
	reading->index = key->index != NULL;
	if (reading->index)
	{
		int			n = key->index->ncolumns;

		reading->entry = palloc0(n * sizeof(ReadColumn));
		reading->nentry = choose_columns(reading->entry, key->columns, n, desc, &wanted);
	}
	reading->key = palloc0(Max(table->nkeys, 1) * sizeof(ReadColumn));
	reading->nkey = choose_columns(reading->key, table->keys, table->nkeys, desc, &wanted);
	if (wanted != NIL)
		elog(ERROR, "column %d cannot be read from a key", linitial_int(wanted));
	return reading;
}

uint32
kalam_key_reading_flags(const KalamKeyReading *reading)
{
	return KALAM_SCAN_KEYS_ONLY | KALAM_SCAN_KEYS | (reading->nentry > 0 ? KALAM_SCAN_INDEX_KEYS : 0);
}

static void
read_columns(const ReadColumn *columns, int n, const uint8 *p, const uint8 *end,
			 TupleTableSlot *slot)
{
	for (int i = 0; i < n; i++)
	{
		const KalamKeyColumn *c = columns[i].column;
		int			a = c->attnum - 1;

		p = columns[i].wanted ?
			kalam_decode_datum(p, end, &c->type, c->desc, columns[i].typmod,
							   &slot->tts_values[a], &slot->tts_isnull[a]) :
			kalam_decode_datum(p, end, &c->type, c->desc, columns[i].typmod, NULL, NULL);
	}
}

void
kalam_key_reading_store(KalamKeyReading *reading, const KalamMergedRow *row, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(reading->values);

	ExecClearTuple(slot);
	MemoryContextReset(reading->values);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	if (reading->nentry > 0)
		read_columns(reading->entry, reading->nentry, row->entry + KALAM_INDEX_KEY_PREFIX_BYTES,
					 row->entry + row->entry_len, slot);
	read_columns(reading->key, reading->nkey, row->key + KALAM_KEY_PREFIX_BYTES,
				 row->key + row->key_len, slot);
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(slot);
}
