/*
 * schema.c
 *	  Builds the flat schema of a stored table from its definition and its record.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "utils/lsyscache.h"

#include "src/backend/caches.h"
#include "src/backend/schema.h"

/* ---- names ---- */

const char *
kalam_schema_name(const KalamSchemaName *name)
{
	return name->number != KALAM_NAME_NONE ? kalam_name_text(kalam_names, name->number) :
		(const char *) name + name->text_at;
}

/* ---- laying out ---- */

/*
 * Goes over a schema twice: first without memory, for its size, then writing it.
 * A name that can be entered the first time has the same number the second time;
 * one that could not is given room whether it can be entered then or not.
 */
typedef struct Layout
{
	char	   *base;			/* NULL: sizes only */
	Size		used;
} Layout;

static uint32
take(Layout *l, Size bytes)
{
	uint32		at = (uint32) l->used;

	l->used += MAXALIGN(bytes);
	return at;
}

static void
put_name(Layout *l, uint32 at, const char *text)
{
	uint32		number = kalam_number_name(text);
	uint32		text_at = 0;

	if (number == KALAM_NAME_NONE)
		text_at = take(l, strlen(text) + 1);
	if (l->base != NULL)
	{
		KalamSchemaName *name = (KalamSchemaName *) (l->base + at);

		name->number = number;
		if (number == KALAM_NAME_NONE)
		{
			name->text_at = text_at - at;
			strcpy(l->base + text_at, text);
		}
	}
}

static uint32
put_key_columns(Layout *l, const KalamKeyColumn *columns, int n)
{
	uint32		at = take(l, n * sizeof(KalamKeyColumn));

	if (l->base != NULL && n > 0)
		memcpy(l->base + at, columns, n * sizeof(KalamKeyColumn));
	return at;
}

static void
describe_column(KalamSchemaColumn *column, Form_pg_attribute att)
{
	column->type = att->attisdropped ? InvalidOid : att->atttypid;
	column->collation = att->attcollation;
	column->typmod = att->atttypmod;
}

/*
 * Is what this number stands for, if anything, the name of the relation's column?  The
 * text is at hand; to look for the other number takes three times as long.
 */
static bool
has_name(uint32 number, Form_pg_attribute att)
{
	return number == KALAM_NAME_NONE ||
		strcmp(kalam_name_text(kalam_names, number), NameStr(att->attname)) == 0;
}

static uint32
put_columns(Layout *l, TupleDesc desc)
{
	uint32		at = take(l, desc->natts * sizeof(KalamSchemaColumn));

	for (int i = 0; i < desc->natts && l->base != NULL; i++)
	{
		KalamSchemaColumn *column = (KalamSchemaColumn *) (l->base + at) + i;
		Form_pg_attribute att = TupleDescAttr(desc, i);

		describe_column(column, att);
		if (!att->attisdropped)
			column->name = kalam_number_name(NameStr(att->attname));
	}
	return at;
}

static uint32
put_indexes(Layout *l, const KalamIndexOption *indexes, int n)
{
	uint32		at = take(l, n * sizeof(KalamIndex));

	for (int i = 0; i < n; i++)
	{
		const KalamIndexOption *x = &indexes[i];
		uint32		index_at = at + i * sizeof(KalamIndex);
		uint32		columns_at = put_key_columns(l, x->columns, x->ncolumns);

		put_name(l, index_at + offsetof(KalamIndex, name), x->name);
		if (l->base != NULL)
		{
			KalamIndex *index = (KalamIndex *) (l->base + index_at);

			index->columns_at = columns_at - index_at;
			index->ncolumns = x->ncolumns;
			index->unique = x->unique;
		}
	}
	return at;
}

static void
put_names(KalamSchema *s, Relation rel)
{
	char	   *nspname = get_namespace_name(RelationGetNamespace(rel));

	s->nspname = nspname == NULL ? KALAM_NAME_NONE : kalam_number_name(nspname);
	s->name = kalam_number_name(RelationGetRelationName(rel));
}

static void
lay_out(Layout *l, Relation rel, const KalamOptionsRead *read)
{
	KalamSchema ignored;
	KalamSchema *s = l->base != NULL ? (KalamSchema *) l->base : &ignored;

	l->used = 0;
	(void) take(l, sizeof(KalamSchema));
	s->relid = RelationGetRelid(rel);
	if (l->base != NULL)
		put_names(s, rel);
	s->options = read->options;
	s->ncolumns = RelationGetDescr(rel)->natts;
	s->nkeys = read->nkeys;
	s->nindexes = read->nindexes;
	s->keys_at = put_key_columns(l, read->keys, read->nkeys);
	s->indexes_at = put_indexes(l, read->indexes, read->nindexes);
	s->columns_at = put_columns(l, RelationGetDescr(rel));
	s->size_bytes = (uint32) l->used;
}

KalamSchema *
kalam_schema_build(Relation rel)
{
	KalamOptionsRead read;
	Layout		l = {NULL};

	kalam_read_table_options(rel, GetForeignTable(RelationGetRelid(rel))->options, &read);
	lay_out(&l, rel, &read);
	l.base = palloc0(l.used);
	lay_out(&l, rel, &read);
	return (KalamSchema *) l.base;
}

/* ---- the record ---- */

void
kalam_schema_know(KalamSchema *s, const KalamCatalogTable *record)
{
	KalamIndex *indexes = (KalamIndex *) kalam_schema_indexes(s);

	s->table_id = record->record.table_id;
	s->object_id = record->record.object_id;
	s->version = record->record.schema_version;
	for (int i = 0; i < s->nindexes; i++)
	{
		KalamIndex *index = &indexes[i];
		const char *name = kalam_index_name(index);

		index->id = 0;
		for (uint32 j = 0; j < record->record.nindexes; j++)
		{
			const KalamTableIndex *x = &record->indexes[j];

			if (index->unique == ((x->flags & KALAM_INDEX_UNIQUE) != 0) &&
				strlen(name) == x->name.len && memcmp(name, x->name.data, x->name.len) == 0)
			{
				index->id = (uint16) x->id;
				index->since = x->since;
			}
		}
	}
}

bool
kalam_schema_fits(const KalamSchema *s, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	const KalamSchemaColumn *columns = kalam_schema_columns(s);

	if (s->relid != RelationGetRelid(rel) || s->ncolumns != desc->natts)
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		KalamSchemaColumn now;

		describe_column(&now, att);
		if (columns[i].type != now.type || columns[i].collation != now.collation ||
			columns[i].typmod != now.typmod || !has_name(columns[i].name, att))
			return false;
	}
	return true;
}
