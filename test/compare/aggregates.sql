-- Aggregates that storage computes: results, their types and scales, and errors, over
-- values at their edges, in stored and own rows; with the computation on and off.

CREATE STORED TABLE g (
	k int, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(12, 2), wide numeric,
	t text, c text COLLATE "C", v varchar(30) COLLATE "C", p char(5) COLLATE "C", y bytea, d date, ti time,
	ts timestamp, tz timestamptz, o oid, m money, b bool, u uuid, j jsonb, a int[]
) KEY (k);

CREATE FUNCTION at(list text[], i int) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$SELECT list[1 + i % cardinality(list)]$$;

-- (floats are such that sums of them are exact, in any order)
INSERT INTO g SELECT i,
	at('{0,1,-1,32767,-32768,NULL}', i)::int2,
	at('{0,1,-1,2147483647,-2147483648,NULL,7}', i)::int4,
	at('{0,1,-1,9223372036854775807,-9223372036854775808,NULL,7,9223372036854775807}', i)::int8,
	at('{0,1.5,-2.25,1024,NULL,-0}', i)::float4,
	at('{0,1.5,-2.25,1048576,NULL,-0,0.5}', i)::float8,
	at('{0,0.00,1,1.0,1.50,-1.5,NULL,9999.9999,10000,-10000.0001,123456789012.123456789}', i)::numeric,
	at('{0,0.01,-0.01,9999999999.99,NULL,12.5}', i)::numeric,
	at('{0,1e30,-1e30,1e-30,NULL,123456789012345678901234567890.123456789012345678901234567890,1}', i)::numeric,
	at(ARRAY['', 'a', 'B', 'b', NULL, 'é', repeat('x', 100)], i),
	at(ARRAY['', 'a', 'B', 'b', NULL, 'é', repeat('x', 100), repeat('A', 3000)], i),
	at(ARRAY['zz', 'a', 'B', NULL], i),
	at(ARRAY['zz', 'a', 'B', NULL, 'a '], i),
	at(ARRAY['\x00', '\xff', NULL, ''], i)::bytea,
	at('{2000-01-01,1999-12-31,infinity,-infinity,NULL}', i)::date,
	at('{00:00,24:00,12:34:56.789012,NULL}', i)::time,
	at('{2000-01-01 00:00,infinity,1999-12-31 23:59:59.999999,NULL}', i)::timestamp,
	at('{2000-01-01 00:00+00,-infinity,1999-12-31 23:59:59.999999+00,NULL}', i)::timestamptz,
	at('{0,1,4294967295,NULL}', i)::oid,
	at('{0,1.5,-2.5,NULL}', i)::numeric::money,
	at('{t,f,NULL}', i)::bool,
	at('{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff,NULL}', i)::uuid,
	at(ARRAY['{"a": 1}', '[]', NULL, '"x"'], i)::jsonb,
	at(ARRAY['{}', '{1}', '{NULL}', NULL], i)::int[]
FROM generate_series(1, 3000) i;
ALTER STORED TABLE g ADD COLUMN late int8;
INSERT INTO g (k, i4, late) VALUES (4001, 5, 7), (4002, NULL, 8), (4003, 1, NULL);
ANALYZE g;

-- what a query gives, types included
CREATE FUNCTION answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE 'SELECT string_agg(r::text, '' | '' ORDER BY r::text COLLATE "C") FROM (' || query || ') r' INTO result;
	RETURN CASE WHEN length(result) > 4000 THEN length(result) || ' ' || md5(result) ELSE result END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

CREATE TABLE queries (query text COLLATE "C");
INSERT INTO queries SELECT format('SELECT %s FROM g%s', list, rest)
	FROM unnest(ARRAY['count(*)', 'count(*), count(i4), count(c), count(j), count(late), count(a)',
		'sum(i2), sum(i4), sum(i8), avg(i2), avg(i4), avg(i8)', 'pg_typeof(sum(i2)), pg_typeof(sum(i8)), pg_typeof(avg(i4)), pg_typeof(sum(f4)), pg_typeof(avg(f4))',
		'min(i2), max(i2), min(i4), max(i4), min(i8), max(i8)', 'sum(f4), sum(f8), avg(f4), avg(f8)',
		'min(f4), max(f4), min(f8), max(f8)', 'round(stddev(f8)::numeric, 4), round(var_pop(f8)::numeric, 1), round(variance(f4)::numeric, 4)',
		'sum(n), avg(n), min(n), max(n)', 'sum(n2), avg(n2), min(n2), max(n2)', 'sum(wide), avg(wide), min(wide), max(wide), count(wide)',
		'sum(length(t)), avg(length(c)), min(length(v)), max(length(p)), count(length(t))', 'sum(octet_length(t)), max(octet_length(p)), min(octet_length(y)), sum(length(y))',
		'pg_typeof(sum(length(t))), sum(length(p::text)), max(length(c::bpchar)), sum(char_length(v) + 1), max(length(t)) + max(k)',
		'min(t), max(t)', 'min(c), max(c), count(*)', 'min(v), max(v), min(p), max(p)', 'min(d), max(d), min(ti), max(ti)',
		'min(ts), max(ts), min(tz), max(tz)', 'min(o), max(o), min(m), max(m)', 'bool_and(b), bool_or(b), every(b)',
		'sum(late), avg(late), min(late), max(late), count(late)', 'sum(i4), sum(f8), sum(n), max(c)', 'sum(i4) + count(*) * 2, max(i4) - min(i4)',
		'count(DISTINCT i4), sum(i4)', 'sum(i4) FILTER (WHERE b), count(*)', 'string_agg(c, '','' ORDER BY k) IS NULL', 'sum(i4 + 1::int8)', 'count(1), count(NULL)',
		'stddev(i4), var_samp(n)', 'bit_and(i4), sum(m)', 'max(k), min(k)']) list,
	unnest(ARRAY['', ' WHERE i4 = 7', ' WHERE k BETWEEN 100 AND 2500', ' WHERE k = 17', ' WHERE k = -5', ' WHERE k > 100000', ' WHERE i4 = 12345',
		' WHERE k IN (1, 2, 3, 500, 9999)', ' WHERE c < ''b'' AND f8 >= 0', ' WHERE length(v) = 1', ' WHERE i2 IS NULL AND b', ' GROUP BY b', ' GROUP BY i4',
		' WHERE k < 900 GROUP BY b, i2', ' GROUP BY k % 3', ' GROUP BY f8', ' GROUP BY n', ' GROUP BY c', ' GROUP BY p, d', ' GROUP BY j', ' GROUP BY a, u', ' GROUP BY k',
		' GROUP BY b HAVING count(*) > 999', ' GROUP BY i4 HAVING min(i2) < 0 AND sum(i4) > 0', ' GROUP BY ROLLUP (b)', ' WHERE false', ' WHERE NULL::bool GROUP BY b', ' GROUP BY y, ti, o', ' HAVING count(*) > 5']) rest;
INSERT INTO queries VALUES
	('SELECT b FROM g GROUP BY b'), ('SELECT b, i2 FROM g GROUP BY i2, b'), ('SELECT DISTINCT b FROM g'), ('SELECT p, count(*) FROM g GROUP BY p'),
	('SELECT f8, count(*) FROM g GROUP BY f8'), ('SELECT n, count(*), sum(n) FROM g GROUP BY 1'), ('SELECT j, min(k) FROM g GROUP BY j'),
	('SELECT i4, count(*) FROM g GROUP BY i4 ORDER BY 2 DESC, 1 LIMIT 3'), ('SELECT count(*) FROM g a, g b WHERE a.k = b.k AND a.i4 = 7'),
	('SELECT b, (SELECT sum(i4) FROM g x WHERE x.b = g.b AND x.k < 100) FROM g WHERE k < 5'),
	('SELECT sum(s) FROM (SELECT sum(i4) s FROM g GROUP BY b) x'), ('SELECT * FROM (SELECT b, count(*) n FROM g GROUP BY b) x JOIN g ON g.k = x.n'),
	('SELECT count(*) FROM (SELECT count(*) FROM g WHERE b GROUP BY i4) x'), ('SELECT rank() OVER (ORDER BY count(*)), b FROM g GROUP BY b'),
	('SELECT (SELECT count(*) FROM g WHERE i4 = o.i4) FROM g o WHERE k < 12'), ('SELECT generate_series(1, 3), count(*) FROM g'),
	('SELECT b IS NULL, sum(i4) FROM g GROUP BY b IS NULL'), ('SELECT count(g) FROM g'), ('SELECT max(c) || min(c) FROM g WHERE i4 IN (1, 7)'),
	('SELECT b, count(*) FROM g WHERE i4 > (SELECT avg(i4) FROM g) GROUP BY b'), ('SELECT array_agg(k) FROM g WHERE k < 4');
SELECT count(*) FROM queries;

CREATE TABLE answers (setting text, query text COLLATE "C", answer text);
INSERT INTO answers SELECT 'on', query, answer(query) FROM queries;
SET kalam.enable_aggregate = off;
INSERT INTO answers SELECT 'off', query, answer(query) FROM queries;
RESET kalam.enable_aggregate;
SELECT a.query, a.answer, b.answer FROM answers a JOIN answers b USING (query)
	WHERE a.setting = 'on' AND b.setting = 'off' AND a.answer IS DISTINCT FROM b.answer ORDER BY 1;
SELECT query, answer FROM answers WHERE setting = 'on' ORDER BY query;

-- what depends on the order of rows is the same to the last digit, wherever it is computed
TRUNCATE queries;
INSERT INTO queries SELECT format('SELECT %s FROM g%s', list, rest)
	FROM unnest(ARRAY['stddev(f8), var_pop(f8), variance(f4)', 'sum(f8 / 3), avg(f8)', 'sum(f4), avg(f4), max(c)', 'variance(f8), sum(wide)', 'variance(f4), count(*)']) list,
	unnest(ARRAY['', ' WHERE k > 1000', ' WHERE k IN (1, 5, 9, 200)', ' GROUP BY b', ' GROUP BY c', ' GROUP BY k % 7']) rest;
CREATE TABLE exact (setting text, query text COLLATE "C", answer text);
INSERT INTO exact SELECT 'on', query, answer(query) FROM queries;
SET kalam.enable_aggregate = off;
INSERT INTO exact SELECT 'off', query, answer(query) FROM queries;
RESET kalam.enable_aggregate;
SELECT a.query, a.answer, b.answer FROM exact a JOIN exact b USING (query)
	WHERE a.setting = 'on' AND b.setting = 'off' AND a.answer IS DISTINCT FROM b.answer ORDER BY 1;

-- own rows, changed ones, deleted ones
BEGIN;
UPDATE g SET i4 = 77, c = 'own' WHERE k % 100 = 3;
DELETE FROM g WHERE k % 100 = 4;
INSERT INTO g (k, i4, c, n, f8, late) VALUES (-1, 77, 'own', 1.25, 1e300, 7), (5000, NULL, repeat('Z', 100), 1e50, -1e300, NULL);
INSERT INTO answers SELECT 'own', query, answer(query) FROM answers WHERE setting = 'on' AND query NOT LIKE '%var_pop%' AND
	(query LIKE '%GROUP BY b' OR query LIKE '%i4 = 7' OR query LIKE '%BETWEEN%' OR query LIKE '% g');
SELECT query, answer FROM answers WHERE setting = 'own' ORDER BY query;
SELECT count(*), sum(i4), max(c) FROM g WHERE k BETWEEN 50 AND 99;
SELECT count(*), sum(i4), max(c) FROM g WHERE k = -1;
ROLLBACK;
BEGIN;
CREATE STORED TABLE fresh (k int, v int) KEY (k);
INSERT INTO fresh SELECT i, i % 3 FROM generate_series(1, 5000) i;
SELECT v, count(*), sum(k) FROM fresh GROUP BY v ORDER BY v;
SELECT count(*), avg(k) FROM fresh;
SELECT k, count(*) FROM fresh GROUP BY k ORDER BY k LIMIT 2;
ROLLBACK;

-- infinities, NaN, and sums that overflow
CREATE STORED TABLE x (k int, f4 float4, f8 float8, n numeric) KEY (k);
SELECT count(*), sum(f4), sum(f8), sum(n), avg(f8), avg(n), min(n), max(f4) FROM x;
SELECT k, count(*) FROM x GROUP BY k;
INSERT INTO x VALUES (1, 'Infinity', 'Infinity', 'Infinity'), (2, 1, 1, 1.5), (3, 'NaN', 'NaN', 'NaN'), (4, '-Infinity', '-Infinity', '-Infinity'),
	(5, 3e38, 1e308, 2), (6, 3e38, 1e308, 3), (7, NULL, NULL, NULL);
SELECT sum(f4), sum(f8), sum(n), avg(f4), avg(f8), avg(n), min(f4), max(f4), min(f8), max(f8), min(n), max(n) FROM x;
SELECT sum(f4), sum(f8), sum(n), avg(f4), avg(f8), avg(n), min(n), max(n) FROM x WHERE k <= 2;
SELECT sum(f4), sum(f8), sum(n), avg(f4), avg(f8), avg(n), min(n), max(n) FROM x WHERE k IN (1, 4);
SELECT sum(n), avg(n), count(n) FROM x WHERE k IN (1, 2);
SELECT sum(n), avg(n), count(n) FROM x WHERE k IN (3, 4);
SELECT sum(n), avg(n), count(n), sum(f8) FROM x WHERE k = 7;
SELECT sum(n), avg(n), count(n), sum(f8) FROM x WHERE k IN (7, 8);
-- fails
SELECT sum(f8) FROM x WHERE k >= 5;
-- fails
SELECT sum(f4) FROM x WHERE k >= 5;
-- fails
SELECT avg(f8) FROM x WHERE k >= 5;
-- (float4 is averaged as float8)
SELECT avg(f4) FROM x WHERE k >= 5;
SELECT sum(f8), min(f8) FROM x WHERE k = 5;

-- more groups than storage holds at a time
CREATE STORED TABLE many (k int, h int, v int8) KEY (k);
INSERT INTO many SELECT i, i * 7919 % 6000, i FROM generate_series(1, 30000) i;
SELECT count(*), sum(c), min(s), max(s), sum(s) FROM (SELECT h, count(*) c, sum(v) s FROM many GROUP BY h) x;
ANALYZE many;
SELECT count(*), sum(c), min(s), max(s), sum(s) FROM (SELECT h, count(*) c, sum(v) s FROM many GROUP BY h) x;
SET enable_hashagg = off;
SELECT count(*), sum(c), min(s), max(s), sum(s) FROM (SELECT h, count(*) c, sum(v) s FROM many GROUP BY h) x;
RESET enable_hashagg;
PREPARE p (int, int) AS SELECT count(*), sum(v), avg(h) FROM many WHERE k > $1 AND h < $2;
SET plan_cache_mode = force_generic_plan;
EXECUTE p (100, 500);
EXECUTE p (29000, 5000);
EXECUTE p (NULL, 5000);
EXECUTE p (29000, NULL);
-- (again and again, with other values)
SELECT o.k, (SELECT sum(v) FROM many WHERE k < o.k * 100 AND h >= o.k) FROM many o WHERE o.k < 10 ORDER BY 1;
SELECT o.k, (SELECT count(*) FROM many i WHERE i.k = o.h) FROM many o WHERE o.k < 10 ORDER BY 1;

-- shared by workers
SET plan_cache_mode = auto;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*), sum(v), min(h), max(v), avg(v) FROM many WHERE h <> 7;
SELECT h % 2, count(*) FROM (SELECT h, sum(v) FROM many WHERE k > 500 GROUP BY h) x GROUP BY 1 ORDER BY 1;
SELECT b, count(*), sum(i8), max(c), avg(n), sum(f8) FROM g GROUP BY b ORDER BY b;
SELECT sum(wide), max(c), count(*) FROM g WHERE i4 IN (0, 1, 7);
BEGIN;
UPDATE many SET v = 0 WHERE k = 15000;
SELECT count(*), sum(v), max(v) FROM many WHERE h >= 0;
ROLLBACK;
RESET max_parallel_workers_per_gather;

-- a cursor that is read bit by bit beside others
BEGIN;
DECLARE c1 CURSOR FOR SELECT h, count(*), sum(v) FROM many WHERE h < 20 GROUP BY h ORDER BY h;
FETCH 2 FROM c1;
DECLARE c2 CURSOR FOR SELECT count(*), max(v) FROM many WHERE h < 3000;
UPDATE many SET h = 1 WHERE k <= 100;
FETCH 3 FROM c1;
FETCH c2;
SELECT count(*), sum(v) FROM many WHERE h = 1;
FETCH 3 FROM c1;
ROLLBACK;

-- beside so many open scans that none has a channel of its own
BEGIN;
DO $$
BEGIN
	FOR i IN 1 .. 150 LOOP
		EXECUTE format('DECLARE busy%s CURSOR FOR SELECT k, v FROM many ORDER BY k', i);
		EXECUTE format('MOVE 10 FROM busy%s', i);
	END LOOP;
END $$;
SELECT count(*), sum(c), min(s), max(s), sum(s) FROM (SELECT h, count(*) c, sum(v) s FROM many GROUP BY h) x;
SELECT count(*), sum(v), sum(v::float8), max(h) FROM many WHERE h > 100;
SELECT b, count(*), sum(i8), max(c), sum(wide) FROM g GROUP BY b ORDER BY b;
SELECT k, h FROM many WHERE h = 17 ORDER BY k;
SELECT count(*), max(length(c)) FROM g WHERE c > 'A' AND i4 >= 0;
FETCH busy150;
ROLLBACK;
