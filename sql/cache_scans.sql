-- Results of scans in the query cache: what is found there, and what goes to storage.

CREATE SERVER kalam_results FOREIGN DATA WRAPPER kalam_fdw;
CREATE FOREIGN TABLE r_t (id int NOT NULL, a int, b text) SERVER kalam_results
    OPTIONS (primary_key 'id', index_a 'a, id DESC', unique_b 'b');
CREATE FOREIGN TABLE r_other (id int NOT NULL, v int) SERVER kalam_results OPTIONS (primary_key 'id');
INSERT INTO r_t SELECT i, i % 100, 'b' || i FROM generate_series(1, 5000) i;
INSERT INTO r_other SELECT i, i FROM generate_series(1, 20) i;
ANALYZE r_t;
ANALYZE r_other;

-- how often the query asked the cache, was answered, and how much storage read for it
CREATE FUNCTION r_asked(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
    RETURN (SELECT format('hits %s, misses %s, keys read %s', sum(v) FILTER (WHERE k = 'Query Cache Hits'),
                          sum(v) FILTER (WHERE k = 'Query Cache Misses'),
                          sum(v) FILTER (WHERE k = 'Keys Read by Storage'))
            FROM jsonb_path_query(plan, 'strict $.**') node, jsonb_each(node) AS p (k, value),
                 LATERAL (SELECT value::bigint AS v) x
            WHERE jsonb_typeof(node) = 'object' AND jsonb_typeof(value) = 'number');
END
$$;
-- (in a full cache the second time is what has it kept)
CREATE FUNCTION r_thrice(query text, OUT first text, OUT third text) LANGUAGE plpgsql AS $$
BEGIN
    first := r_asked(query);
    PERFORM r_asked(query);
    third := r_asked(query);
END
$$;

-- all kinds of scans
SELECT q, (r_thrice(q)).* FROM (VALUES
    ('SELECT * FROM r_t'),
    ('SELECT * FROM r_t WHERE id BETWEEN 10 AND 20'),
    ('SELECT * FROM r_t WHERE id BETWEEN 10 AND 20 ORDER BY id DESC'),
    ('SELECT * FROM r_t WHERE id BETWEEN 7 AND 9 OR id BETWEEN 20 AND 29'),
    ('SELECT * FROM r_t WHERE id > 4000 AND a <> 5'),
    ('SELECT id FROM r_t WHERE id < 100'),
    ('SELECT FROM r_t WHERE id < 100'),
    ('SELECT * FROM r_t WHERE a = 7'),
    ('SELECT a, id FROM r_t WHERE a = 7'),
    ('SELECT * FROM r_t WHERE b = ''b77'''),
    ('SELECT * FROM r_t WHERE b = ''none'''),
    ('SELECT * FROM r_t WHERE a = 3 OR b = ''b8'''),
    ('SELECT count(*) FROM r_t'),
    ('SELECT a, sum(id) FROM r_t GROUP BY a'),
    ('SELECT max(id) FROM r_t'),
    ('SELECT EXISTS (SELECT FROM r_t WHERE id > 2000)'),
    ('SELECT * FROM r_t ORDER BY id DESC LIMIT 20')
) v (q);

-- the beginning of a result is gone on from, and the longer one kept
SELECT limits, (r_thrice('SELECT * FROM r_t WHERE a = 9 ORDER BY id DESC LIMIT ' || limits)).*
FROM unnest(ARRAY[5, 3, 15, 10, 100, 50]) limits;

-- an inner side that is scanned for each row of the outer one
SET kalam.enable_batchjoin = off;
SELECT (r_thrice('SELECT * FROM r_other o, LATERAL (SELECT id FROM r_t WHERE r_t.a = o.v ORDER BY id DESC LIMIT 3) x WHERE o.id < 11')).*;
RESET kalam.enable_batchjoin;

-- a write into the table, in whatever place, makes the next one ask storage; one into
-- another table does not
SELECT r_asked('SELECT count(*) FROM r_t');
INSERT INTO r_other VALUES (100, 1);
SELECT r_asked('SELECT count(*) FROM r_t');
UPDATE r_t SET b = 'new' WHERE id = 5000;
SELECT (r_thrice('SELECT count(*) FROM r_t')).*;
DELETE FROM r_t WHERE id = -1;
SELECT r_asked('SELECT count(*) FROM r_t');

-- own changes are not in the cache, nor what is read beside them
BEGIN;
UPDATE r_t SET a = 0 WHERE id = 1;
SELECT r_asked('SELECT count(*) FROM r_t');
SELECT (r_thrice('SELECT count(*) FROM r_other')).*;
ROLLBACK;
SELECT r_asked('SELECT count(*) FROM r_t');
BEGIN;
CREATE FOREIGN TABLE r_new (id int NOT NULL) SERVER kalam_results OPTIONS (primary_key 'id');
INSERT INTO r_new VALUES (1);
SELECT r_asked('SELECT count(*) FROM r_new');
COMMIT;
SELECT (r_thrice('SELECT count(*) FROM r_new')).*;

-- who locks or changes does not ask
SELECT r_asked('SELECT * FROM r_t WHERE a = 7 FOR UPDATE');
SELECT r_asked('UPDATE r_t SET a = a WHERE a = 7');

-- turned off for the session, for a table, by the time that results are kept
SET kalam.query_cache = off;
SELECT r_asked('SELECT count(*) FROM r_other');
RESET kalam.query_cache;
SELECT r_asked('SELECT count(*) FROM r_other');
ALTER FOREIGN TABLE r_other OPTIONS (ADD cache 'false');
SELECT r_asked('SELECT count(*) FROM r_other');
ALTER FOREIGN TABLE r_other OPTIONS (SET cache 'true', ADD cache_ttl '0');
SELECT r_asked('SELECT count(*) FROM r_other');
ALTER FOREIGN TABLE r_other OPTIONS (SET cache_ttl '200 ms');
SELECT (r_thrice('SELECT sum(v) FROM r_other')).*;
SELECT pg_sleep(0.3);
SELECT r_asked('SELECT sum(v) FROM r_other');

-- a result of more than is kept
INSERT INTO r_other SELECT i, i FROM generate_series(1000, 160000) i;
SELECT (r_thrice('SELECT * FROM r_other WHERE id > 20')).*;
SELECT (r_thrice('SELECT * FROM r_other WHERE id < 21')).*;

SELECT (r_thrice('SELECT * FROM r_t WHERE id BETWEEN 10 AND 20')).*;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM r_t WHERE id BETWEEN 10 AND 20;

DROP FOREIGN TABLE r_t, r_other, r_new;
DROP FUNCTION r_thrice, r_asked;
DROP SERVER kalam_results;
