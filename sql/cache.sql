-- The shared caches: settings, options, what EXPLAIN says, views, functions.
CREATE SCHEMA cache;
SET search_path = cache;
SHOW kalam.query_cache_size;
SHOW kalam.query_cache_ttl;
SHOW kalam.query_cache;
SHOW kalam.schema_cache_size;
SHOW kalam.schema_cache_ttl;
SET kalam.query_cache_size = '1GB';
SET kalam.schema_cache_size = '1GB';
SET kalam.query_cache_ttl = '1s';
SET kalam.query_cache = perhaps;

-- What a query had of the cache.
CREATE FUNCTION cached(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE line text;
    BEGIN
        FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
            IF line ~ 'Query Cache' THEN RETURN NEXT trim(line); END IF;
        END LOOP;
    END $$;
CREATE FOREIGN TABLE t (id int, v int, w text COLLATE "C") SERVER kalam OPTIONS (primary_key 'id', index_v 'v', unique_w 'w');
INSERT INTO t SELECT g, g % 7, 'w' || g FROM generate_series(1, 100) g;

-- A row, and a row that is not there.
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('SELECT * FROM t WHERE id = 555');
SELECT cached('SELECT * FROM t WHERE id = 555');
SELECT * FROM t WHERE id = 5;
SELECT * FROM t WHERE id = 555;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT v FROM t WHERE id = 5;
CREATE FUNCTION cached_json(query text, OUT hits text, OUT misses text) LANGUAGE plpgsql AS $$
    DECLARE e json;
    BEGIN
        EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO e;
        hits := e->0->'Plan'->>'Query Cache Hits';
        misses := e->0->'Plan'->>'Query Cache Misses';
    END $$;
SELECT * FROM cached_json('SELECT v FROM t WHERE id = 5');
SELECT * FROM cached_json('SELECT v FROM t WHERE id = 5 FOR UPDATE');
-- Others change, this one does not; then it does.
UPDATE t SET v = v + 1 WHERE id = 6;
SELECT cached('SELECT * FROM t WHERE id = 5');
UPDATE t SET v = v + 1 WHERE id = 5;
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('SELECT * FROM t WHERE id = 5');
INSERT INTO t VALUES (555, 1, 'new');
SELECT * FROM t WHERE id = 555;
SELECT cached('SELECT * FROM t WHERE id = 555');
DELETE FROM t WHERE id = 555;
SELECT * FROM t WHERE id = 555;

-- Scans, by an index too, and what storage computes.
SELECT count(*) FROM generate_series(1, 3), LATERAL cached('SELECT * FROM t WHERE id < 10');
SELECT cached('SELECT * FROM t WHERE id < 10');
SELECT count(*) FROM generate_series(1, 3), LATERAL cached('SELECT * FROM t WHERE v = 3');
SELECT cached('SELECT * FROM t WHERE v = 3');
SELECT cached('SELECT * FROM t WHERE v = 4');
SELECT count(*) FROM generate_series(1, 3), LATERAL cached('SELECT count(*), sum(v) FROM t');
SELECT cached('SELECT count(*), sum(v) FROM t');
UPDATE t SET v = v + 1 WHERE id = 50;
SELECT cached('SELECT count(*), sum(v) FROM t');
SELECT count(*), sum(v) FROM t;
-- A row for each of others.
SELECT cached('SELECT * FROM generate_series(1, 3) g, LATERAL (SELECT * FROM t WHERE id = g OFFSET 0) t');
SELECT cached('SELECT * FROM generate_series(1, 3) g, LATERAL (SELECT * FROM t WHERE id = g OFFSET 0) t');

-- A single row that is about to be changed; that it was read for that leaves nothing there.
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('UPDATE t SET v = v + 1 WHERE id = 5');
SELECT cached('UPDATE t SET v = v + 1 WHERE id = 5');
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('UPDATE t SET v = v - 2 WHERE id = 5 AND v > 0');
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('UPDATE t SET v = v + 1 WHERE id IN (5, 6)');

-- Changes of more rows than a commit tells one by one.
CREATE FOREIGN TABLE many (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
CREATE VIEW both_ways AS SELECT
    (SELECT sum(v) FROM generate_series(1, 10000, 100) g, LATERAL (SELECT v FROM many WHERE id = g OFFSET 0) m) AS rows,
    (SELECT sum(v) FROM many) AS sum;
SELECT * FROM both_ways;
INSERT INTO many SELECT g, 1 FROM generate_series(1, 10000) g;
SELECT * FROM both_ways;
SELECT * FROM both_ways;
BEGIN;
SET LOCAL kalam.bulk_load_threshold = '1GB';
UPDATE many SET v = v + 1;
SELECT * FROM both_ways;
COMMIT;
SELECT * FROM both_ways;
SELECT * FROM both_ways;
BEGIN;
SET LOCAL kalam.bulk_load_threshold = 0;
UPDATE many SET v = v + 1;
COMMIT;
SELECT * FROM both_ways;
SELECT * FROM both_ways;
DELETE FROM many;
SELECT * FROM both_ways;

-- Not: for who locks or changes rows, has changes of its own, or does not want it.
SELECT cached('SELECT * FROM t WHERE id = 5 FOR UPDATE');
SELECT cached('UPDATE t SET v = 1 FROM (SELECT 5 OFFSET 0) x (y) WHERE id = y');
BEGIN;
UPDATE t SET v = 100 WHERE id = 7;
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('SELECT * FROM t WHERE id < 10');
SELECT v FROM t WHERE id = 7;
ROLLBACK;
SELECT v FROM t WHERE id = 7;
SET kalam.query_cache = off;
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('SELECT * FROM t WHERE id < 10');
RESET kalam.query_cache;
CREATE FOREIGN TABLE uncached (id int, v int) SERVER kalam OPTIONS (primary_key 'id', cache 'false');
INSERT INTO uncached VALUES (1, 1);
SELECT cached('SELECT * FROM uncached WHERE id = 1');
SELECT cached('SELECT * FROM uncached');
ALTER FOREIGN TABLE uncached OPTIONS (SET cache 'true');
SELECT cached('SELECT * FROM uncached WHERE id = 1');
SELECT cached('SELECT * FROM uncached WHERE id = 1');
ALTER FOREIGN TABLE uncached OPTIONS (SET cache 'false');
SELECT cached('SELECT * FROM uncached WHERE id = 1');
BEGIN;
CREATE FOREIGN TABLE fresh (id int) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO fresh VALUES (1);
SELECT cached('SELECT * FROM fresh WHERE id = 1');
COMMIT;
SELECT cached('SELECT * FROM fresh WHERE id = 1');

-- For a while only.
CREATE FOREIGN TABLE brief (id int, v int) SERVER kalam OPTIONS (primary_key 'id', cache_ttl '200 ms');
INSERT INTO brief VALUES (1, 1);
SELECT cached('SELECT * FROM brief WHERE id = 1');
SELECT pg_sleep(0.3);
SELECT cached('SELECT * FROM brief WHERE id = 1');
SELECT pg_sleep(0.3);
SELECT kalam.evict_expired() > 0 AS expired;

-- What is used in place is given back, at each way out.
CREATE FOREIGN TABLE wide (id int, v text) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO wide SELECT g, repeat(g::text, 20000) FROM generate_series(1, 5) g;
SELECT id, length(v) FROM wide WHERE id = 3;
SELECT id, length(v) FROM wide WHERE id = 3;
SELECT count(length(v)) FROM wide;
SELECT count(length(v)) FROM wide;
SELECT count(length(v)) FROM wide;
BEGIN;
DECLARE c CURSOR FOR SELECT id, length(v) FROM wide WHERE id = 3;
FETCH 1 FROM c;
DECLARE d CURSOR FOR SELECT id, length(v) FROM wide;
FETCH 1 FROM d;
SELECT pins > 0 AS pins FROM kalam.query_cache;
SAVEPOINT s;
DECLARE e CURSOR FOR SELECT id, length(v) FROM wide WHERE id = 3;
FETCH 1 FROM e;
DECLARE f CURSOR FOR SELECT id, length(v) FROM wide;
FETCH 1 FROM f;
SELECT id / 0 FROM wide WHERE id = 3;
ROLLBACK TO s;
FETCH 1 FROM d;
-- used while it is no more in the cache, and is no more what is stored
SELECT kalam.clear_caches() > 0 AS done;
SELECT pins > 0 AS pins, entries FROM kalam.query_cache;
FETCH ALL FROM d;
CLOSE d;
CLOSE c;
SELECT pins FROM kalam.query_cache;
DECLARE d CURSOR WITH HOLD FOR SELECT id, length(v) FROM wide;
FETCH 1 FROM d;
COMMIT;
FETCH 1 FROM d;
SELECT pins FROM kalam.query_cache;
CLOSE d;
SELECT length(v) / (id - 3) FROM wide WHERE id = 3;
SELECT length(v) / (id - 3) FROM wide;
DO $$ BEGIN PERFORM 1 / (id - 3) FROM wide WHERE id = 3; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT pins FROM kalam.query_cache;

-- Views.
SELECT entries > 0 AS entries, hits > 0 AS hits, misses > 0 AS misses, hit_ratio BETWEEN 0 AND 1 AS hit_ratio,
    inserts > 0 AS inserts, expired > 0 AS expired, invalidations > 0 AS invalidations, corrupt, pins,
    bytes > 0 AND bytes < bytes_allowed AS bytes, bytes_allowed FROM kalam.query_cache;
SELECT hits > 0 AS hits, misses > 0 AS misses, corrupt, bytes_allowed FROM kalam.schema_cache;
SELECT names > 0 AS names, bytes > 0 AND bytes < bytes_allowed AS bytes, bytes_allowed, refused FROM kalam.names;
SELECT cache_hits > 10 AS hits, cache_misses > 5 AS misses FROM kalam.stat_tables WHERE relname = 't';

-- Functions.
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT kalam.invalidate_table('uncached') > 0 AS others;
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT kalam.invalidate_table('t') > 0 AS done;
SELECT cached('SELECT * FROM t WHERE id = 5');
SELECT kalam.invalidate_table('t') > 0 AS done;
SELECT kalam.invalidate_table('t') AS again;
SELECT kalam.invalidate_table(NULL);
SELECT kalam.invalidate_table('pg_class');
SELECT kalam.clear_caches() > 0 AS done;
SELECT entries, pins FROM kalam.query_cache;
SELECT * FROM t WHERE id = 5;
SELECT entries FROM kalam.query_cache;

-- Who may.
CREATE ROLE cache_owner;
CREATE ROLE cache_reader;
GRANT USAGE, CREATE ON SCHEMA cache TO cache_owner, cache_reader;
GRANT USAGE ON SCHEMA kalam TO cache_owner, cache_reader;
GRANT USAGE ON FOREIGN SERVER kalam TO cache_owner;
SET ROLE cache_owner;
CREATE FOREIGN TABLE own (id int) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO own VALUES (1);
SELECT * FROM own WHERE id = 1;
SELECT * FROM own WHERE id = 1;
SELECT kalam.invalidate_table('own') AS own;
SELECT kalam.invalidate_table('t');
SELECT kalam.invalidate_schema('t', 1);
SELECT kalam.clear_caches();
SELECT kalam.evict_expired();
SELECT * FROM kalam.query_cache;
SELECT * FROM kalam.schema_cache;
SELECT * FROM kalam.names;
-- what others have read is not for those who may not read it
RESET ROLE;
SELECT * FROM t WHERE id = 5;
SELECT count(*) FROM t WHERE id = 5;
SET ROLE cache_reader;
SELECT * FROM t WHERE id = 5;
RESET ROLE;
GRANT pg_monitor TO cache_reader;
SET ROLE cache_reader;
SELECT count(*) FROM kalam.query_cache;
SELECT count(*) FROM kalam.schema_cache;
SELECT count(*) FROM kalam.names;
RESET ROLE;

-- Row security is that of a partitioned table; the same rows, other policies.
CREATE TABLE parted (id int, who name) PARTITION BY LIST (who);
CREATE FOREIGN TABLE parted_1 PARTITION OF parted FOR VALUES IN ('cache_owner', 'cache_reader') SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO parted VALUES (1, 'cache_owner'), (2, 'cache_reader');
ALTER TABLE parted ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON parted USING (who = current_user);
GRANT SELECT ON parted TO cache_owner, cache_reader;
SELECT * FROM parted ORDER BY id;
SELECT * FROM parted ORDER BY id;
SET ROLE cache_owner;
SELECT * FROM parted ORDER BY id;
SELECT * FROM parted ORDER BY id;
SELECT * FROM parted WHERE id = 2;
SET ROLE cache_reader;
SELECT * FROM parted ORDER BY id;
SELECT * FROM parted ORDER BY id;
SELECT * FROM parted WHERE id = 2;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA cache CASCADE;
REVOKE ALL ON SCHEMA kalam FROM cache_owner, cache_reader;
REVOKE ALL ON FOREIGN SERVER kalam FROM cache_owner;
DROP ROLE cache_owner, cache_reader;
