-- Views and functions of the caches, and that the system tables tell the newest:
-- the same whether there are caches or not.
CREATE SCHEMA cached;
CREATE ROLE regress_kalam_cache_owner;
CREATE ROLE regress_kalam_cache_nobody;
CREATE ROLE regress_kalam_cache_monitor;
GRANT pg_monitor TO regress_kalam_cache_monitor;
GRANT ALL ON SCHEMA cached TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER kalam TO regress_kalam_cache_owner;
SET search_path = cached;
CREATE VIEW stored AS
    SELECT name, primary_key, indexes, schema_version, rows, options, kept
    FROM kalam.tables WHERE namespace IN ('cached', 'renamed') ORDER BY name COLLATE "C";
CREATE VIEW objects AS SELECT name, object_id FROM kalam.tables WHERE namespace = 'cached';

-- a row each, whatever their sizes
SELECT count(*), bool_and(entries >= 0 AND bytes >= 0 AND bytes <= bytes_allowed AND hits >= 0 AND misses >= 0
                          AND pins >= 0 AND corrupt = 0) FROM kalam.query_cache;
SELECT count(*), bool_and(entries >= 0 AND bytes >= 0 AND bytes <= bytes_allowed AND hits >= 0 AND misses >= 0
                          AND pins >= 0 AND corrupt = 0) FROM kalam.schema_cache;
SELECT count(*), bool_and(bytes <= bytes_allowed AND (names >= 5 OR bytes_allowed = 0)) FROM kalam.names;
SELECT bool_and(hit_ratio BETWEEN 0 AND 1) IS NOT FALSE
    FROM (TABLE kalam.query_cache UNION ALL SELECT entries, hits, misses, hit_ratio, inserts, evictions, expired,
          invalidations, refused, too_large, no_room, corrupt, pins, bytes, bytes_allowed FROM kalam.schema_cache) c;

-- settings
SHOW kalam.tables_ttl;
SHOW kalam.namespaces_ttl;
SET kalam.tables_ttl = -1;
SET kalam.namespaces_ttl = 'soon';

-- what is committed is there at the next look
CREATE FOREIGN TABLE a (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
SELECT * FROM stored;
INSERT INTO a SELECT g, 'v' || g FROM generate_series(1, 100) g;
SELECT * FROM stored;
SELECT * FROM kalam.namespaces WHERE namespace = 'cached';
CREATE FOREIGN TABLE b (k int, v text) SERVER kalam OPTIONS (primary_key 'k', on_drop 'keep');
SELECT * FROM kalam.namespaces WHERE namespace = 'cached';
ALTER FOREIGN TABLE a OPTIONS (ADD index_v 'v');
SELECT * FROM stored;
ALTER FOREIGN TABLE a RENAME COLUMN v TO w;
SELECT * FROM stored;
ALTER FOREIGN TABLE a RENAME TO c;
SELECT * FROM stored;
ALTER SCHEMA cached RENAME TO renamed;
SELECT count(*) FROM kalam.namespaces WHERE namespace = 'cached';
SELECT * FROM renamed.stored;
ALTER SCHEMA renamed RENAME TO cached;
DROP FOREIGN TABLE b;
SELECT * FROM stored;
SELECT kalam.drop_orphan(object_id) FROM kalam.tables WHERE namespace = 'cached' AND kept;
SELECT * FROM stored;
DELETE FROM c WHERE k > 50;
SELECT rows BETWEEN 50 AND 100 FROM stored;
SELECT object_id AS before FROM objects \gset
TRUNCATE c;
SELECT object_id <> :before AS another, name FROM objects;
SELECT * FROM stored;

-- own changes that are not committed, and their undoing
BEGIN;
CREATE FOREIGN TABLE d (k int) SERVER kalam OPTIONS (primary_key 'k');
SELECT * FROM stored;
SAVEPOINT s;
DROP FOREIGN TABLE c;
SELECT * FROM stored;
SELECT * FROM kalam.namespaces WHERE namespace = 'cached';
ROLLBACK TO s;
SELECT * FROM stored;
SELECT * FROM kalam.namespaces WHERE namespace = 'cached';
ALTER FOREIGN TABLE c OPTIONS (DROP index_v);
SELECT name, indexes FROM stored;
ROLLBACK;
SELECT * FROM stored;
SELECT * FROM kalam.namespaces WHERE namespace = 'cached';

-- asked for each time, or soon again
SET kalam.tables_ttl = 0;
SET kalam.namespaces_ttl = 0;
SELECT * FROM stored;
SELECT * FROM kalam.namespaces WHERE namespace = 'cached';
SET kalam.tables_ttl = '1ms';
SET kalam.namespaces_ttl = '1ms';
SELECT * FROM stored;
SELECT * FROM kalam.namespaces WHERE namespace = 'cached';
RESET kalam.tables_ttl;
RESET kalam.namespaces_ttl;

-- by hand: entries go, answers stay
INSERT INTO c VALUES (1, 'one'), (2, 'two');
SELECT * FROM c WHERE k = 1;
SELECT * FROM c WHERE k = 1;
SELECT kalam.invalidate_table('c') >= 0;
SELECT * FROM c WHERE k = 1;
SELECT kalam.invalidate_schema('c', 1) >= 0, kalam.invalidate_schema('c', -1);
SELECT kalam.clear_caches() >= 0;
SELECT pins FROM kalam.query_cache;
SELECT * FROM c WHERE k = 1;
SELECT * FROM stored;
SELECT kalam.evict_expired() >= 0;
SELECT * FROM c WHERE k = 1;

-- tables of all databases
ANALYZE c;
SELECT namespace, name, relid = 'c'::regclass AS relid, n_mod_since_analyze, last_analyze IS NOT NULL AS analyzed,
       cache_hit_ratio BETWEEN 0 AND 1 IS NOT FALSE AS ratio
    FROM kalam.stat_all_tables WHERE database = current_database() AND namespace = 'cached' AND name = 'c';
SELECT count(*), bool_and((s.schemaname, s.relname) = (a.namespace, a.name)) AS names,
       bool_and((s.n_mod_since_analyze, s.last_analyze, s.last_autoanalyze, s.cache_hits, s.cache_misses, s.cache_hit_ratio)
                IS NOT DISTINCT FROM (a.n_mod_since_analyze, a.last_analyze, a.last_autoanalyze, a.cache_hits, a.cache_misses, a.cache_hit_ratio)) AS figures
    FROM kalam.stat_all_tables a JOIN kalam.stat_tables s USING (relid)
    WHERE a.database = current_database() AND relid = 'c'::regclass;
BEGIN;
ALTER FOREIGN TABLE c RENAME TO e;
SELECT count(*) FROM e;
SELECT namespace, name FROM kalam.stat_all_tables WHERE database = current_database() AND relid = 'e'::regclass;
ROLLBACK;
SELECT namespace, name FROM kalam.stat_all_tables WHERE database = current_database() AND relid = 'c'::regclass;

-- for whom
ALTER FOREIGN TABLE c OWNER TO regress_kalam_cache_owner;
SET ROLE regress_kalam_cache_nobody;
SELECT count(*) FROM kalam.query_cache;
SELECT count(*) FROM kalam.schema_cache;
SELECT count(*) FROM kalam.names;
SELECT count(*) FROM kalam.stat_of_caches();
SELECT count(*) FROM kalam.stat_of_names();
SELECT count(*) FROM kalam.stat_all_tables;
SELECT count(*) FROM kalam.stat_of_all_tables();
SELECT count(*) FROM kalam.stored_namespaces();
SELECT kalam.invalidate_table('c');
SELECT kalam.invalidate_schema('c', 1);
SELECT kalam.clear_caches();
SELECT kalam.evict_expired();
SET ROLE regress_kalam_cache_owner;
SELECT kalam.invalidate_table('c') >= 0;
SELECT kalam.invalidate_schema('c', 1) >= 0;
SELECT kalam.clear_caches();
SET ROLE regress_kalam_cache_monitor;
SELECT count(*) FROM kalam.query_cache;
SELECT count(*) FROM kalam.schema_cache;
SELECT count(*) FROM kalam.names;
SELECT name FROM kalam.tables WHERE namespace = 'cached';
SELECT name FROM kalam.stat_all_tables WHERE database = current_database() AND namespace = 'cached';
SELECT kalam.invalidate_table('c');
SELECT kalam.clear_caches();
RESET ROLE;

-- what is no stored table
CREATE TABLE heap (k int);
SELECT kalam.invalidate_table('heap');
SELECT kalam.invalidate_schema('stored', 1);
SELECT kalam.invalidate_table(0::regclass);
SELECT kalam.invalidate_table(NULL), kalam.invalidate_schema('c', NULL);

DROP SCHEMA cached CASCADE;
REVOKE USAGE ON FOREIGN SERVER kalam FROM regress_kalam_cache_owner;
DROP ROLE regress_kalam_cache_owner, regress_kalam_cache_nobody, regress_kalam_cache_monitor;
