/*
 * options.c
 *	  Options of the wrapper, its servers and its tables.
 *
 * The validator sees names and values only; what depends on the table's
 * columns is checked when the statement that sets the option has made them
 * (ddl.c), and again whenever the table is opened.
 */
#include "postgres.h"

#include <math.h>

#include "access/reloptions.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "catalog/pg_attribute.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "src/backend/attach.h"
#include "src/backend/table.h"

extern PGDLLEXPORT Datum kalam_fdw_validator(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kalam_fdw_validator);

/* ---- key lists ---- */

static void
key_list_error(const char *option, const char *value, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", option, value),
			 errdetail("%s", detail),
			 errhint("Give column names separated by commas; each may be followed by ASC or DESC.")));
}

/* Takes a word or a quoted identifier off *s; NULL if there is none. */
static char *
take_word(const char **s, bool *quoted)
{
	const char *p = *s;
	StringInfoData buf;

	while (scanner_isspace(*p))
		p++;
	*quoted = (*p == '"');
	initStringInfo(&buf);
	if (*quoted)
	{
		for (p++;; p++)
		{
			if (*p == '\0')
				return NULL;
			if (*p == '"')
			{
				if (p[1] != '"')
					break;
				p++;
			}
			appendStringInfoChar(&buf, *p);
		}
		p++;
	}
	else
	{
		const char *start = p;
		char	   *word;

		while (*p != '\0' && *p != ',' && *p != '"' && !scanner_isspace(*p))
			p++;
		if (p == start)
			return NULL;
		word = downcase_truncate_identifier(start, p - start, false);
		appendStringInfoString(&buf, word);
	}
	while (scanner_isspace(*p))
		p++;
	*s = p;
	return buf.data;
}

/* Says what is wrong with the words behind a column, which are no direction. */
static const char *
why_no_direction(const char *word)
{
	if (strcmp(word, "where") == 0)
		return "An index has an entry for every row: WHERE is not supported.";
	if (strcmp(word, "nulls") == 0)
		return "Nulls sort as if larger than all values: NULLS FIRST and NULLS LAST are not supported.";
	return psprintf("\"%s\" is neither ASC nor DESC.", word);
}

bool
kalam_is_index_option(const char *option, const char **name, bool *unique)
{
	*unique = strncmp(option, KALAM_OPTION_UNIQUE, strlen(KALAM_OPTION_UNIQUE)) == 0;
	if (!*unique && strncmp(option, KALAM_OPTION_INDEX, strlen(KALAM_OPTION_INDEX)) != 0)
		return false;
	*name = option + strlen(*unique ? KALAM_OPTION_UNIQUE : KALAM_OPTION_INDEX);
	return **name != '\0';
}

List *
kalam_parse_key_list(const char *option, const char *value)
{
	const char *s = value;
	List	   *items = NIL;

	for (;;)
	{
		KalamKeyItem *item = palloc0(sizeof(KalamKeyItem));
		bool		quoted;

		item->name = take_word(&s, &quoted);
		if (item->name == NULL)
			key_list_error(option, value, "A column name is missing.");
		if (*s == '(' || (!quoted && strchr(item->name, '(') != NULL))
			key_list_error(option, value, "Expressions are not supported.");
		if (*s != ',' && *s != '\0')
		{
			char	   *direction = take_word(&s, &quoted);

			if (direction == NULL || quoted ||
				(strcmp(direction, "desc") != 0 && strcmp(direction, "asc") != 0))
				key_list_error(option, value, why_no_direction(direction ? direction : s));
			item->desc = strcmp(direction, "desc") == 0;
		}
		items = lappend(items, item);
		if (*s == '\0')
			return items;
		if (*s != ',')
			key_list_error(option, value, psprintf("A comma is missing before \"%s\".", s));
		s++;
	}
}

char *
kalam_format_key_list(List *items)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, items)
	{
		KalamKeyItem *item = lfirst(lc);

		appendStringInfo(&buf, "%s%s%s", buf.len > 0 ? ", " : "",
						 quote_identifier(item->name), item->desc ? " DESC" : "");
	}
	return buf.data;
}

/* ---- single values ---- */

static void
value_error(const char *option, const char *value, const char *allowed)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", option, value),
			 errhint("Allowed are: %s.", allowed)));
}

static int
parse_choice(DefElem *def, const char *const *names, const char *allowed)
{
	char	   *value = defGetString(def);

	for (int i = 0; names[i] != NULL; i++)
		if (pg_strcasecmp(value, names[i]) == 0)
			return i;
	value_error(def->defname, value, allowed);
	return 0;
}

static const char *const conflict_names[] = {"error", "replace", "ignore", NULL};
static const char *const compression_names[] = {"none", "lz4", "zstd", NULL};
static const char *const drop_names[] = {"drop", "keep", NULL};

static uint32
parse_bloom(DefElem *def)
{
	char	   *value = defGetString(def);
	double		fpr;

	if (!parse_real(value, &fpr, 0, NULL) || !(fpr >= 0 && fpr < 1) ||
		(fpr > 0 && fpr < 0.000001))
		value_error(def->defname, value, "0 for no filter, or a rate from 0.000001 to below 1");
	return (uint32) (fpr * 1000000 + 0.5);
}

static bool
read_bool(DefElem *def)
{
	bool		b = true;

	if (def->arg != NULL && !parse_bool(defGetString(def), &b))
		value_error(def->defname, defGetString(def), "true, false");
	return b;
}

/*
 * An interval, in ms; a month has 30 days.  It may be as long as one can be.  It is the
 * same in all sessions: under IntervalStyle sql_standard a sign would count for all of it.
 */
static int64
read_interval(DefElem *def)
{
	char	   *value = defGetString(def);
	int			nestlevel = NewGUCNestLevel();
	Interval   *interval;
	double		ms;

	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	/* raises for what is no interval */
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(value),
													 ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	AtEOXact_GUC(true, nestlevel);
	ms = interval->time / 1000.0 +
		(interval->day + (double) DAYS_PER_MONTH * interval->month) * SECS_PER_DAY * 1000.0;
	if (ms < 0)
		value_error(def->defname, value, "intervals from 0 on");
	return (int64) ceil(ms);
}

/* Reads one table option; false: there is none of that name. */
static bool
table_option(DefElem *def, KalamTableOptions *options)
{
	const char *name;
	bool		unique;

	if (strcmp(def->defname, "primary_key") == 0 ||
		kalam_is_index_option(def->defname, &name, &unique))
		(void) kalam_parse_key_list(def->defname, defGetString(def));
	else if (strcmp(def->defname, "on_conflict") == 0)
		options->on_conflict = parse_choice(def, conflict_names, "error, replace, ignore");
	else if (strcmp(def->defname, "compression") == 0)
		options->object.compression =
			parse_choice(def, compression_names, "none, lz4, zstd");
	else if (strcmp(def->defname, "bloom_fpr") == 0)
		options->object.bloom_fpr_ppm = parse_bloom(def);
	else if (strcmp(def->defname, "on_drop") == 0)
		(void) parse_choice(def, drop_names, "drop, keep");
	else if (strcmp(def->defname, "cache") == 0)
		options->cache = read_bool(def);
	else if (strcmp(def->defname, "cache_ttl") == 0)
		options->cache_ttl = read_interval(def);
	else
		return kalam_is_attach_option(def);
	return true;
}

/*
 * Checks the options of CREATE and ALTER for the wrapper, its servers, user
 * mappings and tables.
 */
Datum
kalam_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);

		if (catalog == ForeignTableRelationId)
		{
			KalamTableOptions ignored;

			if (table_option(def, &ignored))
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\" for a kalam table", def->defname),
					 errhint("Valid options are: primary_key, index_NAME, unique_NAME, on_conflict, compression, bloom_fpr, on_drop, cache, cache_ttl; in CREATE also table_name, namespace, database, object_id.")));
		}
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", def->defname),
				 errhint("%s of kalam_fdw take no options.",
						 catalog == AttributeRelationId ? "Columns" :
						 catalog == ForeignServerRelationId ? "Servers" :
						 catalog == UserMappingRelationId ? "User mappings" : "Wrappers")));
	}
	PG_RETURN_VOID();
}

/* ---- columns of keys and indexes ---- */

/* The columns that an option names.  what: the key or index, for messages. */
static KalamKeyColumn *
read_columns(Relation rel, DefElem *def, const char *what, int *ncolumns)
{
	List	   *items = kalam_parse_key_list(def->defname, defGetString(def));
	TupleDesc	desc = RelationGetDescr(rel);
	KalamKeyColumn *columns;
	ListCell   *lc;
	int			n = 0;

	columns = palloc0(list_length(items) * sizeof(KalamKeyColumn));
	foreach(lc, items)
	{
		KalamKeyItem *item = lfirst(lc);
		KalamKeyColumn *column = &columns[n];
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), item->name);
		const char *why;

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" named in option \"%s\" of table \"%s\" does not exist",
							item->name, def->defname, RelationGetRelationName(rel))));
		for (int i = 0; i < n; i++)
			if (columns[i].attnum == attnum)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice in option \"%s\" of table \"%s\"",
								item->name, def->defname, RelationGetRelationName(rel))));
		column->attnum = attnum;
		column->desc = item->desc;
		if (!kalam_key_type(TupleDescAttr(desc, attnum - 1)->atttypid,
							TupleDescAttr(desc, attnum - 1)->attcollation,
							&column->type, &why))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" cannot be part of %s of table \"%s\": %s",
							item->name, what, RelationGetRelationName(rel), why),
					 errhint("Key columns can be of integer, floating-point, numeric, boolean, character, bytea, uuid, date, time, interval, network address and enum types.")));
		n++;
	}
	*ncolumns = n;
	return columns;
}

void
kalam_read_table_options(Relation rel, List *options, KalamOptionsRead *read)
{
	ListCell   *lc;

	memset(read, 0, sizeof(*read));
	read->options.object.compression = KALAM_COMPRESSION_LZ4;
	read->options.object.bloom_fpr_ppm = 10000;
	read->options.cache = true;
	read->options.cache_ttl = -1;
	read->indexes = palloc0(Max(list_length(options), 1) * sizeof(KalamIndexOption));
	foreach(lc, options)
	{
		DefElem    *def = lfirst(lc);
		const char *name;
		bool		unique;

		(void) table_option(def, &read->options);
		if (strcmp(def->defname, "primary_key") == 0)
			read->keys = read_columns(rel, def, "the primary key", &read->nkeys);
		else if (kalam_is_index_option(def->defname, &name, &unique))
		{
			KalamIndexOption *index = &read->indexes[read->nindexes++];

			index->name = name;
			index->unique = unique;
			index->columns = read_columns(rel, def, psprintf("index \"%s\"", name),
										  &index->ncolumns);
		}
	}
}

/* ---- options that follow their table ---- */

void
kalam_write_table_options(Oid relid, List *options)
{
	Relation	pg_foreign_table = table_open(ForeignTableRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	Datum		values[Natts_pg_foreign_table] = {0};
	bool		nulls[Natts_pg_foreign_table] = {0};
	bool		replace[Natts_pg_foreign_table] = {0};

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for foreign table %u", relid);
	values[Anum_pg_foreign_table_ftoptions - 1] =
		transformGenericOptions(ForeignTableRelationId, PointerGetDatum(NULL), options, InvalidOid);
	nulls[Anum_pg_foreign_table_ftoptions - 1] =
		DatumGetPointer(values[Anum_pg_foreign_table_ftoptions - 1]) == NULL;
	replace[Anum_pg_foreign_table_ftoptions - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(pg_foreign_table), values, nulls, replace);
	CatalogTupleUpdate(pg_foreign_table, &tuple->t_self, tuple);
	table_close(pg_foreign_table, RowExclusiveLock);
	CacheInvalidateRelcacheByRelid(relid);
	CommandCounterIncrement();
}
