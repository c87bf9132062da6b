-- Aggregates over columns of all types, values at the edges of their types included.
-- errors are not announced
\set VERBOSITY sqlstate
CREATE STORED TABLE z (id int NOT NULL, i2 smallint, i4 int, i8 bigint, n numeric, f4 real, f8 double precision, t text COLLATE "C", l text, v varchar(10), ch char(5), b bool, d date, ts timestamp, tz timestamptz, iv interval, u uuid, y bytea, ar int[], j jsonb, tt timetz, nm name, o oid, mo money) KEY (id);
CREATE STORED INDEX i4 ON z (i4);
CREATE STORED INDEX tn ON z (t, n);
INSERT INTO z SELECT g, (g % 32767)::int2, 2147483647 - g % 5, 9223372036854775807 - g, CASE g % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN NULL WHEN 2 THEN 1.0 WHEN 3 THEN 1.00 WHEN 4 THEN 1e-20 WHEN 5 THEN 12345678901234567890.5 ELSE g END::numeric,
  CASE g % 5 WHEN 0 THEN '-0'::float4 WHEN 1 THEN 0 WHEN 2 THEN 'NaN' WHEN 3 THEN 'Infinity' END, CASE g % 6 WHEN 0 THEN '-0'::float8 WHEN 1 THEN 0 WHEN 2 THEN 'NaN' WHEN 3 THEN '-Infinity' WHEN 4 THEN 5 END,
  CASE WHEN g % 7 > 0 THEN repeat('ab', g % 7) END, (ARRAY['a','A','ä','b',NULL])[1+g%5], (ARRAY['a','A','a ','b',NULL])[1+g%5], (ARRAY['a','A','a ','b',NULL])[1+g%5], CASE g % 3 WHEN 0 THEN true WHEN 1 THEN false END,
  CASE g % 50 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN NULL ELSE date '2000-01-01' + g % 10 END, timestamp '2000-01-01' + (g % 13) * interval '1 h', timestamptz '2000-01-01 00:00+00' + (g % 13) * interval '1 h',
  CASE g % 4 WHEN 0 THEN '1 mon' WHEN 1 THEN '30 days' WHEN 2 THEN '720:00' END::interval, (lpad((g % 17)::text, 8, '0') || '-0000-0000-0000-000000000000')::uuid, decode(lpad(to_hex(g % 11), 2, '0'), 'hex'), ARRAY[g % 3, NULL], ('{"a":' || CASE g % 3 WHEN 0 THEN '1.0' WHEN 1 THEN '1' ELSE '2' END || '}')::jsonb,
  ('12:00+0' || g % 3)::timetz, ('n' || g % 4)::name, (g % 6 + 4000000000)::oid, (g % 7)::text::money FROM generate_series(1, 4000) g;
ALTER STORED TABLE z ADD COLUMN late int;
ALTER STORED TABLE z DROP COLUMN mo;
ALTER STORED TABLE z ADD COLUMN later int DEFAULT 7;
INSERT INTO z (id, late) SELECT g, g % 3 FROM generate_series(5001, 5200) g;
CREATE STORED TABLE empty (id int NOT NULL, a int, n numeric, t text) KEY (id);
CREATE STORED TABLE wide (id int NOT NULL, a int, s text, n numeric) KEY (id);
INSERT INTO wide SELECT g, g % 20000, repeat(md5(g::text), g % 200), g / 3.0 FROM generate_series(1, 30000) g;
ANALYZE;
\set q1 'SELECT count(*), count(i2), count(late), count(later), sum(i2), sum(i4), sum(i8), avg(i2), avg(i4), avg(i8), sum(late), avg(late), sum(later), min(i2), max(i8) FROM z'
\set q2 'SELECT sum(n), avg(n), min(n), max(n), min(f4), max(f4), min(f8), max(f8), min(t), max(t), min(d), max(d), min(ts), max(tz), min(iv), max(iv), min(o), max(o) FROM z'
\set q3 'SELECT min(l), max(l), min(v), max(v), min(ch), max(ch), bool_and(b), bool_or(b), min(nm::text), min(tt), max(tt), bit_and(i4), bit_or(i2), every(b) FROM z'
\set q4 'SELECT sum(n) FROM z WHERE n <> ''NaN'''
SET extra_float_digits = 1;
PREPARE all_of (int) AS SELECT count(*), sum(i8), avg(n), min(t), max(d), sum(f8), avg(f4) FROM z WHERE id > $1;
:q1;
:q2;
:q3;
:q4;
EXECUTE all_of(3990);
EXECUTE all_of(3000);
EXECUTE all_of(10000);
EXECUTE all_of(NULL);
EXECUTE all_of(0);
EXECUTE all_of(1);
EXECUTE all_of(2);
SELECT i2 % 3 AS k, count(*) FROM z GROUP BY 1 ORDER BY 1;
SELECT b, count(*), sum(i4), min(t) FROM z GROUP BY b ORDER BY b;
SELECT f8, count(*) FROM z GROUP BY f8 ORDER BY count(*), f8::text;
SELECT f4 + 0 AS f, count(*) FROM z GROUP BY f4 ORDER BY 2, 1;
SELECT count(*), max(c) FROM (SELECT n, count(*) AS c FROM z GROUP BY n) x;
SELECT n + 0.0000 AS n, c FROM (SELECT n, count(*) AS c FROM z GROUP BY n) x ORDER BY c DESC, 1 LIMIT 10;
SELECT v, count(*) FROM z GROUP BY v ORDER BY v COLLATE "C";
SELECT ch, count(*) FROM z GROUP BY ch ORDER BY ch COLLATE "C";
SELECT l, count(*) FROM z GROUP BY l ORDER BY l COLLATE "C";
SELECT t, b, count(*), sum(i2) FROM z GROUP BY t, b ORDER BY t, b;
SELECT d, count(*), avg(i4) FROM z GROUP BY d ORDER BY d;
SELECT count(*) FROM (SELECT iv, count(*) FROM z GROUP BY iv) x;
SELECT sum(c) FROM (SELECT iv, count(*) AS c FROM z GROUP BY iv) x;
SELECT u, count(*) FROM z GROUP BY u ORDER BY u;
SELECT y, count(*) FROM z GROUP BY y ORDER BY y;
SELECT ar, count(*) FROM z GROUP BY ar ORDER BY ar;
SELECT count(*), sum(c) FROM (SELECT j, count(*) AS c FROM z GROUP BY j) x;
SELECT tt, count(*) FROM z GROUP BY tt ORDER BY tt;
SELECT nm, count(*), min(o) FROM z GROUP BY nm ORDER BY nm;
SELECT late, later, count(*) FROM z GROUP BY late, later ORDER BY 1, 2;
SELECT count(*), sum(c), sum(s) FROM (SELECT a, count(*) AS c, sum(id) AS s FROM wide GROUP BY a) x;
SELECT count(*), sum(c), max(m) FROM (SELECT id, count(*) AS c, max(a) AS m FROM wide GROUP BY id) x;
SELECT a, count(*), sum(length(s)), sum(n) FROM wide WHERE a < 50 GROUP BY a HAVING count(*) > 1 ORDER BY sum(n) DESC LIMIT 10;
SELECT sum(length(s)), count(s), md5(max(s)), min(length(s)) FROM wide;
SELECT md5(string_agg(m, '' ORDER BY a)) FROM (SELECT a, max(s) AS m FROM wide GROUP BY a) x;
SELECT count(*), sum(a), min(t), avg(n), max(a) FROM empty;
SELECT a, count(*) FROM empty GROUP BY a;
SELECT count(*) FROM empty HAVING count(*) > 0;
SELECT count(*) FILTER (WHERE i4 > 2147483645), sum(i2) FILTER (WHERE b), min(t) FILTER (WHERE NOT b AND d IS NULL) FROM z;
SELECT b, count(*) FILTER (WHERE t IS NULL) FROM z WHERE id % 2 = 0 GROUP BY b ORDER BY b;
SELECT count(*) FROM z WHERE id < 0;
SELECT min(id), max(id), min(i4), max(i4) FROM z WHERE i4 > 0;
SELECT count(*), count(DISTINCT t) FROM z WHERE t > 'ab' AND i4 IN (2147483647, 2147483646);
SELECT sum(i4 + i4) FROM z WHERE id > 5000;
SELECT sum(i4 + i4) FROM z;
SELECT sum(i2), 1 FROM z GROUP BY 2;
SELECT count(*) FROM z a, z b WHERE a.id = b.id + 1;
SELECT t, (SELECT count(*) FROM z y WHERE y.t = x.t) FROM (SELECT t FROM z GROUP BY t) x ORDER BY t;
BEGIN;
UPDATE z SET t = 'own', i4 = 1, n = 3 WHERE id BETWEEN 10 AND 200;
DELETE FROM z WHERE id BETWEEN 300 AND 600;
INSERT INTO z (id, t, n, b) SELECT g, 'fresh', 7, true FROM generate_series(7000, 7100) g;
:q1;
:q2;
SELECT t, count(*), sum(n) FILTER (WHERE n <> 'NaN'), min(i4) FROM z GROUP BY t ORDER BY t;
SAVEPOINT s;
DELETE FROM z;
:q1;
SELECT b, count(*) FROM z GROUP BY b;
ROLLBACK TO s;
:q1;
UPDATE z SET b = NULL WHERE t = 'ab';
SELECT b, count(*), max(id) FROM z GROUP BY b ORDER BY b;
EXECUTE all_of(100);
DECLARE c CURSOR FOR SELECT t, count(*) FROM z GROUP BY t ORDER BY t;
DELETE FROM z WHERE t = 'own';
FETCH ALL FROM c;
ROLLBACK;
CREATE STORED TABLE ov (id int NOT NULL, a bigint, f real, i interval) KEY (id);
INSERT INTO ov SELECT g, 9223372036854775807, 3e38, '100000000 years' FROM generate_series(1, 10) g;
SELECT sum(a), avg(a) FROM ov;
SELECT sum(f) FROM ov;
SELECT sum(i) FROM ov;
SELECT sum(id::int2), sum(f::float8) FROM ov;
