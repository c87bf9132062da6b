-- Rows by key, read several times with changes in between: whatever is kept of them
-- must be what a table without a cache says.
CREATE STORED TABLE t (a int NOT NULL, b text NOT NULL, v text, n numeric) KEY (a, b DESC);
CREATE STORED TABLE other (id int NOT NULL, v int) KEY (id);
CREATE STORED TABLE u (id int NOT NULL, code text, v int) KEY (id);
CREATE STORED UNIQUE INDEX code ON u (code);
INSERT INTO t SELECT g, 'k' || g, 'v' || g, g / 3.0 FROM generate_series(1, 200) g;
INSERT INTO other SELECT g, g FROM generate_series(1, 200) g;
INSERT INTO u SELECT g, 'c' || g, g FROM generate_series(1, 200) g;
PREPARE one (int) AS SELECT * FROM t WHERE a = $1 AND b = 'k' || $1;
PREPARE key_only (int) AS SELECT a, b FROM t WHERE a = $1 AND b = 'k' || $1;
PREPARE there (int) AS SELECT count(*) FROM t WHERE a = $1 AND b = 'k' || $1;

-- the same, that there is none, and only of its key
EXECUTE one (1); EXECUTE one (1); EXECUTE one (1);
EXECUTE one (999); EXECUTE one (999); EXECUTE there (999); EXECUTE key_only (999);
EXECUTE key_only (2); EXECUTE key_only (2); EXECUTE one (2); EXECUTE one (2); EXECUTE key_only (2);
EXECUTE there (3); EXECUTE there (3); EXECUTE one (3); EXECUTE there (3);
SELECT v FROM t WHERE a = 1 AND b = 'k1' AND v = 'v2';
SELECT v FROM t WHERE a = 1 AND b = 'k1' AND v = 'v1';
SELECT 1 FROM t WHERE a = 1 AND b = 'k1' AND n > 5;

-- changes of the row, of others, and back
UPDATE t SET v = 'changed' WHERE a = 1 AND b = 'k1';
EXECUTE one (1); EXECUTE one (1); EXECUTE one (2);
UPDATE t SET a = 999, b = 'k999' WHERE a = 2 AND b = 'k2';
EXECUTE one (2); EXECUTE one (999); EXECUTE one (2); EXECUTE one (999);
EXECUTE key_only (2); EXECUTE key_only (999);
DELETE FROM t WHERE a = 999;
EXECUTE one (999); EXECUTE there (999); EXECUTE one (999);
INSERT INTO t VALUES (999, 'k999', 'new', 1);
EXECUTE one (999); EXECUTE there (999); EXECUTE one (999);
INSERT INTO t VALUES (1, 'k1', 'again', 1) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v || t.v;
EXECUTE one (1); EXECUTE one (1);
\set QUIET on
\c -
\set QUIET off
PREPARE one (int) AS SELECT * FROM t WHERE a = $1 AND b = 'k' || $1;
PREPARE key_only (int) AS SELECT a, b FROM t WHERE a = $1 AND b = 'k' || $1;
EXECUTE one (1); EXECUTE one (999); EXECUTE one (2); EXECUTE key_only (3);

-- own changes, and what is left of them
BEGIN;
EXECUTE one (5);
UPDATE t SET v = 'mine' WHERE a = 5 AND b = 'k5';
EXECUTE one (5); EXECUTE one (5); EXECUTE one (6); EXECUTE key_only (5);
SAVEPOINT s;
DELETE FROM t WHERE a = 5;
EXECUTE one (5); EXECUTE key_only (5); EXECUTE one (6);
SAVEPOINT s2;
INSERT INTO t VALUES (5, 'k5', 'third', 0);
EXECUTE one (5);
ROLLBACK TO s2;
EXECUTE one (5);
ROLLBACK TO s;
EXECUTE one (5);
ROLLBACK;
EXECUTE one (5); EXECUTE one (5);
BEGIN;
SAVEPOINT s;
UPDATE t SET v = 'kept' WHERE a = 5 AND b = 'k5';
RELEASE s;
EXECUTE one (5); EXECUTE one (7);
COMMIT;
EXECUTE one (5); EXECUTE one (7);

-- a command does not see what it changes itself
WITH changed AS (UPDATE t SET v = v || '+' WHERE a = 8 RETURNING v)
    SELECT t.v, changed.v FROM t, changed WHERE t.a = 8 AND t.b = 'k8';
EXECUTE one (8);
CREATE FUNCTION stored(k int) RETURNS text LANGUAGE sql STABLE AS $$SELECT v FROM t WHERE a = k AND b = 'k' || k$$;
CREATE FUNCTION newest(k int) RETURNS text LANGUAGE sql VOLATILE AS $$SELECT v FROM t WHERE a = k AND b = 'k' || k$$;
UPDATE t SET v = stored(8) || '/' || newest(8) WHERE a = 8 RETURNING v, stored(8), newest(8);
SELECT stored(8), newest(8), stored(8);

-- snapshots that are older than what is kept
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM other;
EXECUTE one (9);
UPDATE t SET v = 'own' WHERE a = 9;
EXECUTE one (9);
COMMIT;
EXECUTE one (9);
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE a = 10 AND b = 'k10';
DECLARE d SCROLL CURSOR WITH HOLD FOR SELECT * FROM t WHERE a = 10 AND b = 'k10';
UPDATE t SET v = 'later' WHERE a = 10;
EXECUTE one (10);
FETCH ALL FROM c;
COMMIT;
FETCH ALL FROM d;
EXECUTE one (10);
FETCH BACKWARD ALL FROM d;
CLOSE d;

-- locks, updates from what was read, joins that look keys up
BEGIN;
SELECT * FROM t WHERE a = 11 AND b = 'k11' FOR UPDATE;
SELECT * FROM t WHERE a = 11 AND b = 'k11' FOR KEY SHARE;
UPDATE t SET v = 'locked' WHERE a = 11 AND b = 'k11';
SELECT * FROM t WHERE a = 11 AND b = 'k11' FOR UPDATE;
COMMIT;
SELECT o.id, (SELECT v FROM t WHERE a = o.id AND b = 'k' || o.id) FROM other o WHERE id BETWEEN 9 AND 14 ORDER BY 1;
UPDATE other SET v = v + 1000 WHERE id IN (12, 14);
SELECT o.id, (SELECT v FROM other WHERE id = o.v) FROM other o WHERE id BETWEEN 9 AND 14 ORDER BY 1;
SELECT o.id, (SELECT v FROM other WHERE id = o.v) FROM other o WHERE id BETWEEN 9 AND 14 ORDER BY 1;
UPDATE t SET v = o.v FROM other o WHERE t.a = 12 AND t.b = 'k12' AND o.id = 12;
EXECUTE one (12);
SELECT * FROM u WHERE code = 'c1'; SELECT * FROM u WHERE code = 'c1';
UPDATE u SET v = -1 WHERE id = 1;
SELECT * FROM u WHERE code = 'c1'; SELECT * FROM u WHERE id = 1;
UPDATE u SET code = 'd1' WHERE id = 1;
SELECT * FROM u WHERE code = 'c1'; SELECT * FROM u WHERE code = 'd1'; SELECT * FROM u WHERE id = 1;
SELECT id FROM u WHERE id = 1; SELECT id FROM u WHERE id = 1;

-- lists of keys, and joins that look many up
PREPARE listed (int[]) AS SELECT id, v FROM other WHERE id = ANY ($1);
PREPARE down (int[]) AS SELECT id, v FROM other WHERE id = ANY ($1) ORDER BY id DESC LIMIT 3;
PREPARE passing (int[], int) AS SELECT id, v FROM other WHERE id = ANY ($1) AND v > $2;
PREPARE ids (int[]) AS SELECT id FROM other WHERE id = ANY ($1);
PREPARE sums (int[]) AS SELECT count(*), sum(v) FROM other WHERE id = ANY ($1);
EXECUTE listed ('{20,21,22,500,23}'); EXECUTE listed ('{20,21,22,500,23}'); EXECUTE listed ('{19,20,500,501,22,23,24}');
EXECUTE down ('{20,21,22,500,23}'); EXECUTE down ('{500,600,19,18,17,16,23}'); EXECUTE down ('{500,600}'); EXECUTE down ('{500,600}');
EXECUTE ids ('{30,31}'); EXECUTE listed ('{30,31}'); EXECUTE ids ('{29,30,31,32,700}'); EXECUTE ids ('{29,30,31,32,700}');
UPDATE other SET v = 0 WHERE id = 21;
DELETE FROM other WHERE id = 22;
INSERT INTO other VALUES (500, 500);
EXECUTE listed ('{20,21,22,500,23}'); EXECUTE listed ('{20,21,22,500,23}'); EXECUTE sums ('{20,21,22,500,23}'); EXECUTE sums ('{20,21,22,500,23}');
EXECUTE passing ('{20,21,22,500,23}', 20); EXECUTE passing ('{20,21,22,500,23}', 100); EXECUTE passing ('{19,20,21,22,500,23,501}', 0);
EXECUTE listed ('{20,20,20}'); EXECUTE listed ('{}'); EXECUTE listed (NULL);
BEGIN;
UPDATE other SET v = 1 WHERE id = 23;
EXECUTE listed ('{20,21,23}'); EXECUTE listed ('{20,21}');
DELETE FROM other WHERE id = 20;
EXECUTE listed ('{20,21,23}'); EXECUTE passing ('{20,21,23,24}', 10);
ROLLBACK;
EXECUTE listed ('{20,21,23}');
BEGIN;
DECLARE l SCROLL CURSOR FOR SELECT id, v FROM other WHERE id IN (40, 41, 42, 43, 44, 900);
FETCH 2 FROM l;
UPDATE other SET v = -v WHERE id BETWEEN 40 AND 44;
EXECUTE listed ('{40,42,44}');
FETCH 2 FROM l; FETCH BACKWARD 3 FROM l; FETCH ALL FROM l;
COMMIT;
EXECUTE listed ('{40,42,44}');
PREPARE codes (text[]) AS SELECT id, code, v FROM u WHERE code = ANY ($1) ORDER BY code;
PREPARE code_ids (text[]) AS SELECT id, code FROM u WHERE code = ANY ($1) ORDER BY code;
PREPARE codes_over (text[], int) AS SELECT id, code FROM u WHERE code = ANY ($1) AND v > $2 ORDER BY code;
EXECUTE codes ('{c30,c31,c32,none}'); EXECUTE codes ('{c29,c30,c31,c32,none}'); EXECUTE code_ids ('{c29,c30,c31,c33,none}');
UPDATE u SET v = -v WHERE id = 31;
UPDATE u SET code = 'none' WHERE id = 32;
DELETE FROM u WHERE id = 30;
EXECUTE codes ('{c29,c30,c31,c32,none}'); EXECUTE code_ids ('{c29,c30,c31,c33,none}'); EXECUTE codes ('{c29,c30,c31,c32,none}');
EXECUTE codes_over ('{c29,c30,c31,c33,none}', 0); EXECUTE codes_over ('{c28,c29,c30,c31,c33,none}', 0);
BEGIN;
UPDATE u SET v = 1000 WHERE id = 33;
EXECUTE codes ('{c29,c31,c33}'); EXECUTE codes_over ('{c29,c31,c33}', 100);
UPDATE u SET code = 'e29' WHERE id = 29;
EXECUTE codes ('{c29,c31,c33,e29}'); EXECUTE code_ids ('{c29,c31,c33,e29}');
ROLLBACK;
EXECUTE codes ('{c29,c31,c33,e29}'); EXECUTE code_ids ('{c29,c31,c33,e29}');
CREATE TABLE wanted AS SELECT g AS n, (g * 7) % 230 AS id FROM generate_series(1, 400) g;
ANALYZE wanted;
SELECT count(*), sum(w.n), sum(o.v), count(o.id) FROM wanted w LEFT JOIN other o USING (id);
SELECT count(*), sum(w.n), sum(o.v), count(o.id) FROM wanted w LEFT JOIN other o USING (id);
UPDATE other SET v = v + 1 WHERE id % 3 = 0;
SELECT count(*), sum(w.n), sum(o.v), count(o.id) FROM wanted w LEFT JOIN other o USING (id);
SELECT w.n, o.* FROM wanted w JOIN other o USING (id) WHERE w.n < 20 ORDER BY 1;
SELECT w.n, o.* FROM wanted w JOIN other o USING (id) WHERE w.n < 25 ORDER BY 1;
SELECT w.n, u.* FROM wanted w JOIN u ON u.code = 'c' || w.id WHERE w.n < 40 ORDER BY 1;
UPDATE u SET v = v * 2 WHERE id % 5 = 0;
SELECT w.n, u.* FROM wanted w JOIN u ON u.code = 'c' || w.id WHERE w.n < 45 ORDER BY 1;
SELECT w.n, u.id FROM wanted w LEFT JOIN u ON u.code = 'c' || w.id WHERE w.n < 45 ORDER BY 1;
SELECT w.n FROM wanted w WHERE w.n < 40 AND NOT EXISTS (SELECT FROM other o WHERE o.id = w.id AND o.v > 10) ORDER BY 1;

-- what changes all rows or the table
INSERT INTO t SELECT g, 'k' || g, repeat('load', 10), 0 FROM generate_series(10001, 60000) g;
EXECUTE one (10001); EXECUTE one (13); EXECUTE one (10001);
BEGIN;
INSERT INTO t SELECT g, 'k' || g, repeat('more', 10), 0 FROM generate_series(60001, 110000) g;
EXECUTE one (60001); EXECUTE one (110001); EXECUTE one (13);
ROLLBACK;
EXECUTE one (60001); EXECUTE one (13);
DELETE FROM t WHERE a > 10000;
EXECUTE one (10001); EXECUTE one (13);
ALTER STORED TABLE t ADD COLUMN extra int DEFAULT 7;
SELECT v FROM t WHERE a = 13 AND b = 'k13'; SELECT extra FROM t WHERE a = 13 AND b = 'k13';
UPDATE t SET extra = 8 WHERE a = 13;
SELECT * FROM t WHERE a = 13 AND b = 'k13';
ALTER STORED TABLE t ALTER COLUMN n TYPE text;
SELECT * FROM t WHERE a = 13 AND b = 'k13';
SELECT * FROM t WHERE a = 14 AND b = 'k14';
ALTER STORED TABLE t DROP COLUMN v;
SELECT * FROM t WHERE a = 14 AND b = 'k14';
BEGIN;
TRUNCATE t;
SELECT * FROM t WHERE a = 14 AND b = 'k14';
INSERT INTO t VALUES (14, 'k14', 'truncated');
SELECT * FROM t WHERE a = 14 AND b = 'k14';
ROLLBACK;
SELECT * FROM t WHERE a = 14 AND b = 'k14';
TRUNCATE t;
SELECT * FROM t WHERE a = 14 AND b = 'k14';
SELECT * FROM t WHERE a = 14 AND b = 'k14';
INSERT INTO t VALUES (14, 'k14', 'truncated');
SELECT * FROM t WHERE a = 14 AND b = 'k14';
BEGIN;
DROP STORED TABLE other;
ROLLBACK;
SELECT * FROM other WHERE id = 12;
DROP STORED TABLE other;
CREATE STORED TABLE other (id int NOT NULL, v int) KEY (id);
SELECT * FROM other WHERE id = 12;
SELECT * FROM other WHERE id = 12;

-- prepared transactions
INSERT INTO other VALUES (1, 1);
SELECT * FROM other WHERE id = 1;
BEGIN;
UPDATE other SET v = 2 WHERE id = 1;
PREPARE TRANSACTION 'cache_points';
SELECT * FROM other WHERE id = 1;
COMMIT PREPARED 'cache_points';
SELECT * FROM other WHERE id = 1;
BEGIN;
UPDATE other SET v = 3 WHERE id = 1;
CREATE TEMPORARY TABLE with_xid (a int);
COMMIT;
SELECT * FROM other WHERE id = 1;

-- rows of all sizes, kept in place or not at all
CREATE STORED TABLE w (id int NOT NULL, small int, large text) KEY (id);
ALTER STORED TABLE w ALTER COLUMN large SET STORAGE EXTERNAL;
INSERT INTO w SELECT g, g, repeat(chr(96 + g), (10 ^ (g - 1))::int) FROM generate_series(1, 8) g;
CREATE FUNCTION of_size(int) RETURNS TABLE (id int, small int, len int, first text, sum text) LANGUAGE sql STABLE AS
    $$SELECT id, small, length(large), left(large, 1), md5(large) FROM w WHERE id = $1$$;
SELECT (of_size(g)).* FROM generate_series(1, 8) g;
SELECT (of_size(g)).* FROM generate_series(1, 8) g;
UPDATE w SET large = upper(large), small = small + 100 WHERE id > 3;
SELECT (of_size(g)).* FROM generate_series(1, 8) g;
SELECT (of_size(g)).* FROM generate_series(1, 8) g;
SELECT id, length(large), md5(large) FROM w WHERE id IN (1, 2, 5, 6, 7, 8, 9);
SELECT id, length(large), md5(large) FROM w WHERE id IN (1, 2, 4, 5, 6, 7, 8, 9);
-- several of them in use at once, some left in the middle
BEGIN;
DECLARE c1 CURSOR FOR SELECT id, length(large) FROM w WHERE id = 7;
DECLARE c2 SCROLL CURSOR FOR SELECT id, left(large, 3) FROM w WHERE id = 7;
SAVEPOINT s;
DECLARE c3 CURSOR FOR SELECT id, md5(large) FROM w WHERE id = 7;
FETCH 1 FROM c1; FETCH 1 FROM c2; FETCH 1 FROM c3;
UPDATE w SET large = '' WHERE id = 7;
SELECT (of_size(7)).*;
ROLLBACK TO s;
-- fails: it went with the savepoint
FETCH 1 FROM c3;
ROLLBACK TO s;
FETCH 1 FROM c2;
MOVE BACKWARD ALL FROM c2;
FETCH 1 FROM c2;
SELECT (of_size(7)).*;
COMMIT;
DO $$
DECLARE
    r record;
BEGIN
    FOR i IN 1 .. 20 LOOP
        BEGIN
            FOR r IN SELECT id, large FROM w WHERE id = 6 LOOP
                PERFORM 1 / (i % 2);
                RAISE NOTICE '% % %', i, r.id, length(r.large);
            END LOOP;
        EXCEPTION WHEN division_by_zero THEN
            UPDATE w SET large = large || 'x' WHERE id = 6;
        END;
    END LOOP;
END
$$;
SELECT (of_size(6)).*;
