/* kalam_fdw--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION kalam_fdw" to load this file. \quit

CREATE SCHEMA kalam;
GRANT USAGE ON SCHEMA kalam TO PUBLIC;

CREATE FUNCTION kalam.kalam_fdw_handler() RETURNS fdw_handler
AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

CREATE FUNCTION kalam.kalam_fdw_validator(text[], oid) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

CREATE FOREIGN DATA WRAPPER kalam_fdw
    HANDLER kalam.kalam_fdw_handler
    VALIDATOR kalam.kalam_fdw_validator;

CREATE SERVER kalam FOREIGN DATA WRAPPER kalam_fdw;

-- The stored tables of this database, by the store's own catalog.
CREATE FUNCTION kalam.stored_tables(
    OUT relid oid, OUT namespace text, OUT name text, OUT kind text,
    OUT primary_key text, OUT options text, OUT schema_version int,
    OUT object_id bigint, OUT rows bigint, OUT bytes bigint, OUT kept boolean,
    OUT indexes text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_stored_tables' LANGUAGE C STRICT VOLATILE;
REVOKE ALL ON FUNCTION kalam.stored_tables() FROM PUBLIC;

CREATE VIEW kalam.tables AS
    SELECT namespace, name, kind, primary_key, indexes,
           schema_version, rows, bytes, options, object_id, kept
    FROM kalam.stored_tables();

-- The schema of each of them.
CREATE FUNCTION kalam.stored_namespaces() RETURNS SETOF text
AS 'MODULE_PATHNAME', 'kalam_stored_namespaces' LANGUAGE C STRICT VOLATILE;
REVOKE ALL ON FUNCTION kalam.stored_namespaces() FROM PUBLIC;

CREATE VIEW kalam.namespaces AS
    SELECT namespace, count(*) AS tables
    FROM kalam.stored_namespaces() AS n(namespace) GROUP BY namespace;

REVOKE ALL ON kalam.tables, kalam.namespaces FROM PUBLIC;
GRANT SELECT ON kalam.tables, kalam.namespaces TO pg_monitor;
GRANT EXECUTE ON FUNCTION kalam.stored_tables(), kalam.stored_namespaces() TO pg_monitor;

-- What has been written to stored tables since they were analysed, when that was,
-- and how often the query cache had what was read.  Counted since the server started.
CREATE FUNCTION kalam.stat_of_tables(
    OUT relid oid, OUT n_mod_since_analyze bigint,
    OUT last_analyze timestamptz, OUT last_autoanalyze timestamptz,
    OUT analyze_count bigint, OUT autoanalyze_count bigint,
    OUT cache_hits bigint, OUT cache_misses bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_stat_of_tables' LANGUAGE C STRICT VOLATILE;

CREATE VIEW kalam.stat_tables AS
    SELECT c.oid AS relid, n.nspname AS schemaname, c.relname,
           coalesce(s.n_mod_since_analyze, 0) AS n_mod_since_analyze,
           s.last_analyze, s.last_autoanalyze,
           coalesce(s.analyze_count, 0) AS analyze_count,
           coalesce(s.autoanalyze_count, 0) AS autoanalyze_count,
           coalesce(s.cache_hits, 0) AS cache_hits,
           coalesce(s.cache_misses, 0) AS cache_misses,
           round(s.cache_hits::numeric / nullif(s.cache_hits + s.cache_misses, 0), 4) AS cache_hit_ratio
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_foreign_table t ON t.ftrelid = c.oid
    JOIN pg_foreign_server v ON v.oid = t.ftserver
    JOIN pg_foreign_data_wrapper w ON w.oid = v.srvfdw AND w.fdwname = 'kalam_fdw'
    LEFT JOIN kalam.stat_of_tables() s ON s.relid = c.oid;

GRANT SELECT ON kalam.stat_tables TO PUBLIC;

-- The same of tables of all databases.
CREATE FUNCTION kalam.stat_of_all_tables(
    OUT database_oid oid, OUT namespace text, OUT name text, OUT relid oid,
    OUT n_mod_since_analyze bigint,
    OUT last_analyze timestamptz, OUT last_autoanalyze timestamptz,
    OUT cache_hits bigint, OUT cache_misses bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_stat_of_all_tables' LANGUAGE C STRICT VOLATILE;
REVOKE ALL ON FUNCTION kalam.stat_of_all_tables() FROM PUBLIC;

CREATE VIEW kalam.stat_all_tables AS
    SELECT d.datname AS database, s.namespace, s.name, s.relid, s.n_mod_since_analyze,
           s.last_analyze, s.last_autoanalyze, s.cache_hits, s.cache_misses,
           round(s.cache_hits::numeric / nullif(s.cache_hits + s.cache_misses, 0), 4) AS cache_hit_ratio
    FROM kalam.stat_of_all_tables() s
    JOIN pg_database d ON d.oid = s.database_oid;

REVOKE ALL ON kalam.stat_all_tables FROM PUBLIC;
GRANT SELECT ON kalam.stat_all_tables TO pg_monitor;
GRANT EXECUTE ON FUNCTION kalam.stat_of_all_tables() TO pg_monitor;

-- What is in the caches of the server, and what has become of it since it started.
CREATE FUNCTION kalam.stat_of_caches(
    OUT cache text, OUT entries bigint, OUT bytes bigint, OUT bytes_allowed bigint,
    OUT pins bigint, OUT hits bigint, OUT misses bigint, OUT inserts bigint,
    OUT evictions bigint, OUT expired bigint, OUT invalidations bigint,
    OUT refused bigint, OUT too_large bigint, OUT no_room bigint, OUT corrupt bigint,
    OUT loads bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_stat_of_caches' LANGUAGE C STRICT VOLATILE;
REVOKE ALL ON FUNCTION kalam.stat_of_caches() FROM PUBLIC;

CREATE VIEW kalam.query_cache AS
    SELECT entries, hits, misses, round(hits::numeric / nullif(hits + misses, 0), 4) AS hit_ratio,
           inserts, evictions, expired, invalidations, refused, too_large, no_room, corrupt,
           pins, bytes, bytes_allowed
    FROM kalam.stat_of_caches() WHERE cache = 'query';

CREATE VIEW kalam.schema_cache AS
    SELECT entries, hits, misses, round(hits::numeric / nullif(hits + misses, 0), 4) AS hit_ratio,
           inserts, evictions, expired, invalidations, refused, too_large, no_room, corrupt,
           pins, bytes, bytes_allowed, loads
    FROM kalam.stat_of_caches() WHERE cache = 'schema';

CREATE FUNCTION kalam.stat_of_names(
    OUT names bigint, OUT bytes bigint, OUT bytes_allowed bigint, OUT refused bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_stat_of_names' LANGUAGE C STRICT VOLATILE;
REVOKE ALL ON FUNCTION kalam.stat_of_names() FROM PUBLIC;

CREATE VIEW kalam.names AS SELECT * FROM kalam.stat_of_names();

REVOKE ALL ON kalam.query_cache, kalam.schema_cache, kalam.names FROM PUBLIC;
GRANT SELECT ON kalam.query_cache, kalam.schema_cache, kalam.names TO pg_monitor;
GRANT EXECUTE ON FUNCTION kalam.stat_of_caches(), kalam.stat_of_names() TO pg_monitor;

-- Takes entries out of the caches: those of a table, its schema of one version, all,
-- those that have expired.  Gives their number.
CREATE FUNCTION kalam.invalidate_table(regclass) RETURNS bigint
AS 'MODULE_PATHNAME', 'kalam_invalidate_table' LANGUAGE C STRICT VOLATILE;

CREATE FUNCTION kalam.invalidate_schema(regclass, version int) RETURNS bigint
AS 'MODULE_PATHNAME', 'kalam_invalidate_schema' LANGUAGE C STRICT VOLATILE;

CREATE FUNCTION kalam.clear_caches() RETURNS bigint
AS 'MODULE_PATHNAME', 'kalam_clear_caches' LANGUAGE C STRICT VOLATILE;

CREATE FUNCTION kalam.evict_expired() RETURNS bigint
AS 'MODULE_PATHNAME', 'kalam_evict_expired' LANGUAGE C STRICT VOLATILE;

REVOKE ALL ON FUNCTION kalam.clear_caches(), kalam.evict_expired() FROM PUBLIC;

-- What statements insert into storage now, of all sessions that the caller may watch.
CREATE FUNCTION kalam.loads(
    OUT pid int, OUT database_oid oid, OUT relid oid, OUT phase text,
    OUT rows bigint, OUT bytes bigint, OUT files int)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_loads' LANGUAGE C STRICT VOLATILE;

-- What is done now with many rows of stored tables: ALTER builds indexes or stores
-- rows anew, INSERT and COPY load.
CREATE VIEW kalam.progress AS
    WITH alters AS (
        SELECT pid, datid, relid, 'building indexes' AS phase,
               param13 AS rows, param19 AS rows_total, param20 AS bytes
        FROM pg_stat_get_progress_info('CREATE INDEX')
        UNION ALL
        SELECT pid, datid, relid, 'storing rows anew', param4, param19, param20
        FROM pg_stat_get_progress_info('CLUSTER')
    )
    -- an ALTER of many rows fills a load
    SELECT coalesce(a.pid, l.pid) AS pid, d.datname, coalesce(a.relid, l.relid) AS relid,
           CASE WHEN a.pid IS NULL OR l.phase <> 'loading' THEN l.phase ELSE a.phase END AS phase,
           coalesce(a.rows, l.rows) AS rows, a.rows_total,
           coalesce(l.bytes, a.bytes) AS bytes, l.files
    FROM (SELECT a.* FROM alters a JOIN pg_foreign_table f ON f.ftrelid = a.relid) a
         FULL JOIN kalam.loads() l ON l.pid = a.pid AND l.relid = a.relid
         JOIN pg_database d ON d.oid = coalesce(a.datid, l.database_oid)
    WHERE d.datname = current_database();
GRANT SELECT ON kalam.progress TO PUBLIC;

-- Stored tables of databases that do not exist, stored tables of this database
-- whose relation does not exist, and rows that belong to no stored table.
CREATE FUNCTION kalam.stored_orphans(
    OUT object_id bigint, OUT database text, OUT database_oid oid,
    OUT namespace text, OUT name text, OUT relid oid,
    OUT rows bigint, OUT bytes bigint, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_stored_orphans' LANGUAGE C STRICT VOLATILE;
REVOKE ALL ON FUNCTION kalam.stored_orphans() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kalam.stored_orphans() TO pg_monitor;

CREATE VIEW kalam.orphans AS SELECT * FROM kalam.stored_orphans();
REVOKE ALL ON kalam.orphans FROM PUBLIC;
GRANT SELECT ON kalam.orphans TO pg_monitor;

-- Drops one of them.
CREATE FUNCTION kalam.drop_orphan(object_id bigint) RETURNS void
AS 'MODULE_PATHNAME', 'kalam_drop_orphan' LANGUAGE C STRICT VOLATILE;
REVOKE ALL ON FUNCTION kalam.drop_orphan(bigint) FROM PUBLIC;

-- Bytes on disk and in write buffers, as the store estimates them.
CREATE FUNCTION kalam.table_size(regclass) RETURNS bigint
AS 'MODULE_PATHNAME', 'kalam_table_size' LANGUAGE C STRICT VOLATILE;

-- Compares the rows of a table with the entries of its indexes: a row for each
-- difference, none if all is well.
CREATE FUNCTION kalam.verify_indexes(
    regclass, OUT index text, OUT problem text, OUT key bytea)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'kalam_verify_indexes' LANGUAGE C STRICT VOLATILE;

-- Writes what is in memory to files; merges files.
CREATE FUNCTION kalam.flush(regclass) RETURNS void
AS 'MODULE_PATHNAME', 'kalam_flush' LANGUAGE C STRICT VOLATILE;

CREATE FUNCTION kalam.compact(regclass) RETURNS void
AS 'MODULE_PATHNAME', 'kalam_compact' LANGUAGE C STRICT VOLATILE;
