-- Which conditions storage evaluates, and what EXPLAIN says of them.

CREATE FOREIGN TABLE sh (k int, i int, b int8, f float8, n numeric, t text, c text COLLATE "C",
	d date, ts timestamp, tz timestamptz, o bool, a int[], j jsonb)
	SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO sh SELECT g, g % 10, g % 7, g / 3.0, g / 7.0, 't' || g % 5, 'c' || g % 5, date '2024-01-01' + g % 30,
	timestamp '2024-01-01' + g % 30 * interval '1 hour', timestamptz '2024-01-01 00:00+00', g % 2 = 0, ARRAY[g], '{}'
FROM generate_series(1, 1000) g;
ANALYZE sh;

-- shipped
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE i = 3 AND b < 4 AND f >= 1.5 AND n <> 2;
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE c > 'c2' AND t = 't1' OR d = '2024-01-05' AND ts < date '2024-01-02';
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE o AND i IN (1, 2, 3) AND j IS NOT NULL AND i IS DISTINCT FROM 4;
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE (o IS NOT TRUE OR i < b) AND tz > now() - interval '1 day';
EXPLAIN (COSTS OFF) SELECT count(*) FROM sh WHERE k > 10 AND i = 3;
-- not: another order of text, functions, things that may raise, other types
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE c COLLATE "en-x-icu" < 'c2' AND length(t || '') = 2;
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE i + 1 = 3 AND a = '{1}' AND tz > '2024-01-01'::timestamp;
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE i = 3 AND (i = 3 OR length(t || '') = 2);
-- how long a value is
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE length(t) = 2 OR 5 <= octet_length(t);
EXPLAIN (COSTS OFF) SELECT sum(length(t)) FROM sh WHERE length(t) IN (1, 2);

-- of a row that is found by its key it is tried here
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE k = 3 AND i = 3;
-- rows that go by
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE i = 3 FOR UPDATE;
EXPLAIN (COSTS OFF) UPDATE sh SET b = 1 WHERE i = 3 AND length(t || '') = 2;
EXPLAIN (COSTS OFF, FORMAT json) SELECT * FROM sh WHERE i = 3;
SET plan_cache_mode = force_generic_plan;
PREPARE p (int, text) AS SELECT count(*) FROM sh WHERE i = $1 AND c >= $2;
EXPLAIN (COSTS OFF) EXECUTE p (3, 'c');
EXECUTE p (3, 'c');
EXECUTE p (3, NULL);
RESET plan_cache_mode;

SET kalam.enable_filter = off;
EXPLAIN (COSTS OFF) SELECT * FROM sh WHERE i = 3;
RESET kalam.enable_filter;

-- a condition of a lower security level is tried before those above it
CREATE VIEW shv WITH (security_barrier) AS SELECT * FROM sh WHERE length(t || '') = 2;
EXPLAIN (COSTS OFF) SELECT * FROM shv WHERE i = 3 AND n < 5;

-- aggregates
EXPLAIN (COSTS OFF) SELECT count(*), sum(i), avg(b), min(c), max(d), avg(n) FROM sh WHERE k > 10 AND i = 3;
EXPLAIN (COSTS OFF) SELECT i, o, count(*) FROM sh GROUP BY i, o HAVING sum(b) > 3 ORDER BY i, o;
EXPLAIN (COSTS OFF) SELECT sum(f), stddev(f), bool_or(o), count(a) FROM sh;
EXPLAIN (COSTS OFF, VERBOSE) SELECT t, max(n) + 1 FROM sh x WHERE i = 3 GROUP BY t;
EXPLAIN (COSTS OFF, FORMAT yaml) SELECT i, count(*) FROM sh GROUP BY i;
EXPLAIN (COSTS OFF) SELECT (SELECT count(*) FROM sh i WHERE i.i = o.i AND i.k < 5) FROM sh o WHERE o.k = 1;
-- not: conditions that are left over, expressions, order, other equality, sums of floats in groups
EXPLAIN (COSTS OFF) SELECT count(*) FROM sh WHERE length(t || '') = 2;
EXPLAIN (COSTS OFF) SELECT sum(i + 1), count(DISTINCT i) FROM sh;
EXPLAIN (COSTS OFF) SELECT string_agg(t, ',') FROM sh;
EXPLAIN (COSTS OFF) SELECT n, count(*) FROM sh GROUP BY n;
EXPLAIN (COSTS OFF) SELECT o, sum(f) FROM sh GROUP BY o;
EXPLAIN (COSTS OFF) SELECT min(t COLLATE "en-x-icu") FROM sh;
EXPLAIN (COSTS OFF) SELECT count(*) FROM sh x JOIN sh y USING (k);
EXPLAIN (COSTS OFF) SELECT i, count(*) FROM sh GROUP BY ROLLUP (i);
EXPLAIN (COSTS OFF) SELECT count(*) FROM sh WHERE false;
SET kalam.enable_aggregate = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM sh WHERE i = 3;
RESET kalam.enable_aggregate;
-- what came of it
SELECT count(*), sum(i), avg(b), min(c), max(d), round(avg(n), 10) FROM sh WHERE k > 10 AND i = 3;
SELECT i, o, count(*) FROM sh GROUP BY i, o HAVING sum(b) > 3 ORDER BY i, o;
SELECT (SELECT count(*) FROM sh i WHERE i.i = o.i AND i.k < 50) FROM sh o WHERE o.k < 4 ORDER BY o.k;

DROP VIEW shv;
DROP FOREIGN TABLE sh;
-- an index that has the column does not keep storage from adding up rows
CREATE FOREIGN TABLE shi (k int NOT NULL, i int, t text) SERVER kalam OPTIONS (primary_key 'k', index_i 'i');
INSERT INTO shi SELECT g, g % 10, 'text' FROM generate_series(1, 5000) g;
ANALYZE shi;
EXPLAIN (COSTS OFF) SELECT sum(i), max(k) FROM shi;
SELECT sum(i), max(k) FROM shi;
EXPLAIN (COSTS OFF) SELECT i FROM shi ORDER BY i;
EXPLAIN (COSTS OFF) SELECT max(i) FROM shi;
DROP FOREIGN TABLE shi;
