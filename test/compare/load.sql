-- Rows that go to storage while their statement runs: from the first row on, or
-- when there are many.
SET kalam.bulk_load_threshold = 0;

-- ---- COPY and INSERT ----
CREATE STORED TABLE t (k int, a text, b int) KEY (k);
CREATE STORED UNIQUE INDEX u ON t (b);
CREATE STORED INDEX i ON t (a, b DESC);
COPY t FROM STDIN;
1	one	10
2	two	20
3	\N	\N
4	\N	\N
\.
SELECT * FROM t ORDER BY k;
INSERT INTO t VALUES (5, 'five', 50), (0, 'none', 0);
INSERT INTO t SELECT g, 'many ' || g % 7, g * 100 FROM generate_series(100, 3000) g;
INSERT INTO t SELECT 10000 - g * 7919 % 3001, md5(g::text), -g FROM generate_series(1, 2000) g;
SELECT count(*), sum(k), sum(b), min(a), max(a) FROM t;
SELECT * FROM t WHERE b = 5000;
SELECT count(*), sum(k) FROM t WHERE a LIKE 'many 3%';
SELECT k FROM t WHERE a IS NULL ORDER BY k;
-- fails
INSERT INTO t DEFAULT VALUES RETURNING a, b;
-- fails (no key)
INSERT INTO t (a) SELECT 'a';
INSERT INTO t (k, a) VALUES (-1, 'minus'), (-2, 'minus two') RETURNING k, upper(a);
INSERT INTO t SELECT k + 20000, a, b + 1000000 FROM t WHERE k < 1000;
SELECT count(*), sum(k), sum(b) FROM t;
-- nothing at all
INSERT INTO t SELECT * FROM t WHERE false;
COPY t FROM STDIN;
\.
COPY t (k) FROM STDIN WHERE k % 2 = 0;
30001
30002
30003
30004
\.
SELECT k FROM t WHERE k > 30000 ORDER BY k;

-- ---- keys that are taken ----
-- fails: stored
INSERT INTO t SELECT g, 'x', g + 5000000 FROM generate_series(50, 200) g;
-- fails: within the statement
INSERT INTO t SELECT 40000 + g % 100, 'x', g + 5000000 FROM generate_series(1, 200) g;
-- fails: a unique value, stored
INSERT INTO t SELECT 40000 + g, 'x', g FROM generate_series(9990, 10010) g;
-- fails: a unique value, within
INSERT INTO t SELECT 40000 + g, 'x', 6000000 + g % 50 FROM generate_series(1, 60) g;
-- fails: the key and the value at once
INSERT INTO t VALUES (40000, 'x', 6000000), (1, 'x', 10);
-- fails
COPY t FROM STDIN;
40001	a	6000001
40002	b	6000002
1	c	6000003
40004	d	6000004
\.
-- fails: with lines that are longer than one
COPY t FROM STDIN (FORMAT csv, HEADER);
k,a,b
40001,"two
lines",6000001
40002,"three

lines",6000002
40001,"of line 7",6000003
40003,"never seen",6000004
\.
-- fails: the first of several is reported
COPY t FROM STDIN;
40001	a	6000001
40002	b	6000002
40003	c	6000002
40002	d	6000004
40004	e	10
\.
-- fails: a bad last line
COPY t FROM STDIN;
40001	a	6000001
40002	b	6000002
forty	c	6000002
\.
-- fails: too few columns
COPY t FROM STDIN;
40001	a	6000001
40002	b
\.
SELECT count(*), sum(k), sum(b) FROM t;
SELECT * FROM t WHERE b >= 6000000 OR k BETWEEN 30005 AND 50000;

-- ---- the rest of a transaction that loads ----
BEGIN;
INSERT INTO t SELECT g, 'own ' || g, 7000000 + g FROM generate_series(50000, 50999) g;
SELECT count(*), min(a), max(a), sum(b) FROM t WHERE k BETWEEN 49000 AND 60000;
SELECT * FROM t WHERE k = 50500;
SELECT k FROM t WHERE b = 7050001;
UPDATE t SET a = 'changed' WHERE k BETWEEN 50100 AND 50109;
DELETE FROM t WHERE k % 2 = 1 AND k > 50900;
SELECT count(*), count(*) FILTER (WHERE a = 'changed'), sum(k) FROM t WHERE k > 45000;
INSERT INTO t SELECT g, 'again ' || g, 7000000 + g FROM generate_series(50901, 50999, 2) g;
SELECT count(*), sum(k), max(a) FROM t WHERE k > 45000;
COMMIT;
SELECT count(*), sum(k), sum(b), count(*) FILTER (WHERE a = 'changed') FROM t;
DELETE FROM t WHERE k > 40000;

-- several of the same table
BEGIN;
INSERT INTO t SELECT g, 'a', 7000000 + g FROM generate_series(50000, 50999, 3) g;
INSERT INTO t SELECT g, 'b', 7000000 + g FROM generate_series(50001, 50999, 3) g;
COPY t FROM STDIN;
50002	c	8000000
60000	d	8000001
\.
INSERT INTO t VALUES (60001, 'e', 8000002);
COMMIT;
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k > 45000 GROUP BY a ORDER BY a;
DELETE FROM t WHERE k > 40000;
BEGIN;
INSERT INTO t SELECT g, 'a', 7000000 + g FROM generate_series(50000, 50999, 3) g;
INSERT INTO t SELECT g, 'b', 7000000 + g FROM generate_series(50001, 50999, 3) g;
-- fails: of the first
COPY t FROM STDIN;
50002	c	8000000
60000	d	8000001
50003	e	8000002
60001	e	8000003
\.
ROLLBACK;
BEGIN;
INSERT INTO t SELECT g, 'a', 7000000 + g FROM generate_series(50000, 50999, 3) g;
SAVEPOINT s;
-- fails: a unique value of the first
INSERT INTO t SELECT g, 'b', 7000000 + g - 2 FROM generate_series(50002, 50999, 3) g WHERE g > 50500;
ROLLBACK TO s;
INSERT INTO t SELECT g, 'b', 7000000 + g FROM generate_series(50002, 50999, 3) g;
-- one row
SAVEPOINT s2;
-- fails
INSERT INTO t VALUES (50003, 'x', -1000000);
ROLLBACK TO s2;
COMMIT;
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k > 45000 GROUP BY a ORDER BY a;
DELETE FROM t WHERE k > 40000;
-- more of them than are kept
BEGIN;
DO $$ BEGIN
    FOR i IN 1 .. 40 LOOP
        INSERT INTO t SELECT 50000 + i * 10 + g, 'i ' || i, 9000000 + i * 10 + g FROM generate_series(0, 9) g;
    END LOOP;
END $$;
SAVEPOINT s;
-- fails
INSERT INTO t VALUES (50055, 'x', 0);
ROLLBACK TO s;
SELECT count(*), sum(k), sum(b) FROM t WHERE k > 45000;
COMMIT;
SELECT count(*), sum(k), sum(b) FROM t WHERE k > 45000;
DELETE FROM t WHERE k > 40000;

-- behind other changes of the table
BEGIN;
UPDATE t SET a = 'before', b = b + 1 WHERE k IN (100, 101);
DELETE FROM t WHERE k BETWEEN 102 AND 105;
INSERT INTO t VALUES (50000, 'before', 9000000);
INSERT INTO t SELECT g, 'behind', 9000000 + g FROM generate_series(50001, 50100) g;
SAVEPOINT s;
-- fails: what was staged
INSERT INTO t SELECT g, 'x', 9100000 + g FROM generate_series(49990, 50000) g;
ROLLBACK TO s;
-- fails: a unique value that was
INSERT INTO t SELECT g, 'x', 9000050 - g FROM generate_series(45, 55) g;
ROLLBACK TO s;
-- fails: updated
INSERT INTO t SELECT g, 'x', 9100000 + g FROM generate_series(99, 101) g;
ROLLBACK TO s;
-- deleted
INSERT INTO t SELECT g, 'back', 9100000 + g FROM generate_series(102, 104) g;
-- a value that an update has freed
INSERT INTO t VALUES (60000, 'freed', 10000), (60001, 'freed', 10100);
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k BETWEEN 90 AND 110 OR k > 45000 GROUP BY a ORDER BY a;
COMMIT;
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k BETWEEN 90 AND 110 OR k > 45000 GROUP BY a ORDER BY a;
SELECT count(*), sum(k) FROM t WHERE b BETWEEN 9000000 AND 9000100;
BEGIN;
DELETE FROM t WHERE k > 40000;
INSERT INTO t SELECT g, 'anew', 9000000 + g FROM generate_series(50000, 50100) g;
INSERT INTO t SELECT g, 'anew, too', 9000000 + g FROM generate_series(50101, 50200) g;
COMMIT;
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k > 45000 GROUP BY a ORDER BY a;
DELETE FROM t WHERE k > 40000;
BEGIN;
INSERT INTO t VALUES (60000, 'before', 9000000);
SAVEPOINT s;
INSERT INTO t SELECT g, 'behind', 9000000 + g FROM generate_series(50001, 50100) g;
DELETE FROM t WHERE k = 50050 OR k = 60000;
ROLLBACK TO s;
INSERT INTO t SELECT g, 'behind', 9000000 + g FROM generate_series(50001, 50100) g;
COMMIT;
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k > 45000 GROUP BY a ORDER BY a;
DELETE FROM t WHERE k > 40000;

-- ---- rolled back ----
BEGIN;
INSERT INTO t SELECT g, 'gone', 7000000 + g FROM generate_series(50000, 50999) g;
ROLLBACK;
BEGIN;
SAVEPOINT a;
INSERT INTO t SELECT g, 'gone', 7000000 + g FROM generate_series(50000, 50999) g;
SAVEPOINT b;
INSERT INTO t SELECT g, 'gone too', 7000000 + g FROM generate_series(51000, 51999) g;
RELEASE b;
ROLLBACK TO a;
INSERT INTO t SELECT g, 'stays', 7000000 + g FROM generate_series(50500, 51500) g;
SAVEPOINT c;
INSERT INTO t SELECT g, 'gone', 7000000 + g FROM generate_series(52000, 52999) g;
SELECT count(*), sum(k) FROM t WHERE k > 45000;
ROLLBACK TO c;
SELECT count(*), sum(k) FROM t WHERE k > 45000;
INSERT INTO t SELECT g, 'stays too', 7000000 + g FROM generate_series(52000, 52099) g;
COMMIT;
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k > 45000 GROUP BY a ORDER BY a;
DELETE FROM t WHERE k > 40000;
-- taken back within a savepoint that is rolled back
BEGIN;
INSERT INTO t SELECT g, 'stays', 7000000 + g FROM generate_series(50000, 50099) g;
SAVEPOINT s;
SELECT count(*), sum(b) FROM t WHERE k > 45000;
DELETE FROM t WHERE k = 50050;
ROLLBACK TO s;
SELECT count(*), sum(b) FROM t WHERE k > 45000;
SAVEPOINT s2;
INSERT INTO t SELECT g, 'inner', 7000000 + g FROM generate_series(50100, 50199) g;
SELECT count(*), sum(b) FROM t WHERE k > 45000;
RELEASE s2;
DELETE FROM t WHERE k = 50150;
COMMIT;
SELECT a, count(*), sum(k), sum(b) FROM t WHERE k > 45000 GROUP BY a ORDER BY a;
DELETE FROM t WHERE k > 40000;
-- a function with a handler in the middle of a statement
CREATE FUNCTION halves(g int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF g % 10 = 0 THEN
        RAISE EXCEPTION 'ten';
    END IF;
    RETURN g;
EXCEPTION WHEN OTHERS THEN
    RETURN -g;
END $$;
INSERT INTO t SELECT 50000 + halves(g), 'h', 7000000 + g FROM generate_series(1, 300) g;
SELECT count(*), sum(k), sum(b) FROM t WHERE k > 45000;
DELETE FROM t WHERE k > 40000;

-- ---- a new table, and what is done to it ----
BEGIN;
CREATE STORED TABLE n (k int, v text) KEY (k);
INSERT INTO n SELECT g, 'new ' || g FROM generate_series(1, 500) g;
SAVEPOINT s;
-- fails
INSERT INTO n SELECT g, 'new ' || g FROM generate_series(400, 600) g;
ROLLBACK TO s;
INSERT INTO n SELECT g, 'newer ' || g FROM generate_series(501, 600) g;
COMMIT;
SELECT count(*), min(v), max(v) FROM n;
BEGIN;
TRUNCATE n;
INSERT INTO n SELECT g, 'cut ' || g FROM generate_series(1, 300) g;
SELECT count(*), min(v), max(v) FROM n;
ROLLBACK;
SELECT count(*), min(v), max(v) FROM n;
BEGIN;
TRUNCATE n;
INSERT INTO n SELECT g, 'cut ' || g FROM generate_series(1, 300) g;
COMMIT;
SELECT count(*), min(v), max(v) FROM n;
BEGIN;
INSERT INTO n SELECT g, 'lost ' || g FROM generate_series(301, 400) g;
TRUNCATE n;
INSERT INTO n SELECT g, 'kept ' || g FROM generate_series(1, 100) g;
COMMIT;
SELECT count(*), min(v), max(v) FROM n;
BEGIN;
INSERT INTO n SELECT g, 'more ' || g FROM generate_series(101, 400) g;
ALTER STORED TABLE n ADD COLUMN c int DEFAULT 7;
INSERT INTO n SELECT g, 'with c ' || g, g FROM generate_series(401, 500) g;
ALTER STORED TABLE n ALTER COLUMN v TYPE varchar(20);
CREATE STORED INDEX v ON n (v);
INSERT INTO n SELECT g, 'indexed ' || g, g FROM generate_series(501, 600) g;
SELECT count(*), min(v), max(v), sum(c) FROM n;
SELECT k FROM n WHERE v = 'indexed 555' OR v = 'more 123' ORDER BY k;
COMMIT;
SELECT count(*), min(v), max(v), sum(c) FROM n;
SELECT k FROM n WHERE v = 'indexed 555' OR v = 'more 123' ORDER BY k;
BEGIN;
INSERT INTO n SELECT g, 'doomed', g FROM generate_series(601, 700) g;
DROP STORED TABLE n;
COMMIT;
BEGIN;
CREATE STORED TABLE n (k int) KEY (k);
INSERT INTO n SELECT generate_series(1, 100);
DROP STORED TABLE n;
COMMIT;
-- without a key
CREATE STORED TABLE h (v text, n int);
CREATE STORED UNIQUE INDEX u ON h (n);
INSERT INTO h SELECT 'h ' || g, g FROM generate_series(1, 500) g;
-- fails
INSERT INTO h SELECT 'h ' || g, g FROM generate_series(450, 600) g;
INSERT INTO h SELECT 'null', NULL FROM generate_series(1, 10) g;
BEGIN;
INSERT INTO h SELECT 'h ' || g, g FROM generate_series(501, 600) g;
UPDATE h SET v = 'u' WHERE n % 100 = 99;
DELETE FROM h WHERE n % 100 = 98;
COMMIT;
SELECT count(*), sum(n), count(*) FILTER (WHERE v = 'u'), count(*) FILTER (WHERE n IS NULL) FROM h;

-- ---- when there are many ----
SET kalam.bulk_load_threshold = '64kB';
CREATE STORED TABLE m (k int, v text) KEY (k);
CREATE STORED UNIQUE INDEX v ON m (v);
INSERT INTO m SELECT g, 'v' || g FROM generate_series(1, 6000) g;
SELECT count(*), sum(k), max(v) FROM m;
-- fails: early, late, against what came early
INSERT INTO m SELECT 10000 + g, 'v' || (CASE g WHEN 7 THEN 7 ELSE -g END) FROM generate_series(1, 6000) g;
-- fails
INSERT INTO m SELECT 10000 + g, 'v' || (CASE g WHEN 5990 THEN 7 ELSE -g END) FROM generate_series(1, 6000) g;
-- fails
INSERT INTO m SELECT 10000 + (CASE g WHEN 5990 THEN 3 ELSE g END), 'w' || g FROM generate_series(1, 6000) g;
BEGIN;
INSERT INTO m SELECT 10000 + g, 'w' || g FROM generate_series(1, 6000) g;
-- less than is many, but the table has a load
INSERT INTO m SELECT 20000 + g, 'x' || g FROM generate_series(1, 10) g;
SAVEPOINT s;
-- fails
INSERT INTO m SELECT 20010 + g, 'y' || g FROM generate_series(0, 10) g;
ROLLBACK TO s;
COMMIT;
SELECT count(*), sum(k), max(v) FROM m;
-- in the order of keys, backwards, and in none
DELETE FROM m WHERE k > 6000;
INSERT INTO m SELECT 10000 - g, 'w' || g FROM generate_series(1, 3000) g;
INSERT INTO m SELECT 20000 + g * 7919 % 4001, 'x' || g FROM generate_series(1, 4000) g;
SELECT count(*), sum(k), min(k), max(k), max(v) FROM m;
SELECT count(*), sum(k) FROM (SELECT k, lag(k) OVER (ORDER BY k) AS before FROM m) s WHERE k <= before;
SELECT k FROM m WHERE v IN ('w17', 'x3999', 'v1') ORDER BY k;
RESET kalam.bulk_load_threshold;
SET kalam.bulk_load_threshold = 0;

-- ---- partitions ----
CREATE TABLE p (k int, r text, v int) PARTITION BY LIST (r);
CREATE STORED TABLE p_a PARTITION OF p FOR VALUES IN ('a') KEY (k);
CREATE STORED TABLE p_b PARTITION OF p FOR VALUES IN ('b') KEY (k);
CREATE TABLE p_heap PARTITION OF p FOR VALUES IN ('heap');
CREATE STORED UNIQUE INDEX v ON p_b (v);
INSERT INTO p SELECT g, (ARRAY['a', 'b', 'heap'])[g % 3 + 1], g FROM generate_series(1, 900) g;
SELECT r, tableoid::regclass, count(*), sum(v) FROM p GROUP BY 1, 2 ORDER BY 1;
-- fails
INSERT INTO p SELECT g, (ARRAY['a', 'b', 'heap'])[g % 3 + 1], -g FROM generate_series(901, 1900) g
    UNION ALL SELECT 3, 'a', 0;
-- fails
COPY p FROM STDIN;
2001	a	1
2002	b	2001
2003	heap	3
2004	b	2001
2005	a	2
\.
-- fails: no partition
COPY p FROM STDIN;
2001	a	1
2002	b	2001
2003	c	3
\.
BEGIN;
COPY p FROM STDIN;
2001	b	2001
2002	a	2002
2003	heap	2003
2004	b	2004
\.
COPY p FROM STDIN (FORMAT csv);
2005,a,2005
2006,b,2006
\.
SELECT r, count(*), sum(v) FROM p WHERE k > 2000 GROUP BY r ORDER BY r;
UPDATE p SET v = v + 10000 WHERE k = 2001;
COMMIT;
SELECT r, count(*), sum(v) FROM p GROUP BY r ORDER BY r;
BEGIN;
CREATE STORED TABLE p_c PARTITION OF p FOR VALUES IN ('c') KEY (k);
INSERT INTO p SELECT g, (ARRAY['a', 'b', 'c'])[g % 3 + 1], g FROM generate_series(3000, 3100) g;
COMMIT;
SELECT r, count(*), sum(v) FROM p GROUP BY r ORDER BY r;

-- ---- triggers ----
CREATE TABLE log (id serial, what text);
CREATE FUNCTION count_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log (what) SELECT 'before ' || NEW.k || ': ' || count(*) FROM g;
    NEW.v := NEW.v || '!';
    RETURN NEW;
END $$;
CREATE STORED TABLE g (k int, v text) KEY (k);
CREATE TRIGGER b BEFORE INSERT ON g FOR EACH ROW EXECUTE FUNCTION count_before();
INSERT INTO g SELECT x, 'g' FROM generate_series(1, 5) x;
COPY g FROM STDIN;
6	c
7	c
8	c
\.
-- fails
COPY g FROM STDIN;
9	c
10	c
2	c
\.
SELECT what FROM log ORDER BY id;
SELECT * FROM g ORDER BY k;
TRUNCATE log;
DROP TRIGGER b ON g;
-- it writes the table
CREATE FUNCTION shadow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.k < 1000 THEN
        INSERT INTO g VALUES (NEW.k + 1000, 'shadow of ' || NEW.k);
        UPDATE g SET v = v || '.' WHERE k = 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER b BEFORE INSERT ON g FOR EACH ROW EXECUTE FUNCTION shadow();
INSERT INTO g SELECT x, 'h' FROM generate_series(20, 29) x;
COPY g FROM STDIN;
30	c
31	c
\.
-- fails: one that the trigger has written
INSERT INTO g VALUES (40, 'x'), (1040, 'x'), (41, 'x');
SELECT count(*), sum(k) FROM g;
SELECT * FROM g WHERE k = 1 OR k > 1025 ORDER BY k;
DROP TRIGGER b ON g;
-- it deletes what was just inserted
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM g WHERE k = NEW.k - 1;
    RETURN NULL;
END $$;
CREATE TRIGGER a AFTER INSERT ON g FOR EACH ROW EXECUTE FUNCTION cut();
INSERT INTO g SELECT x, 'i' FROM generate_series(100, 120) x;
COPY g FROM STDIN;
130	c
131	c
132	c
\.
SELECT k FROM g WHERE k BETWEEN 100 AND 140 ORDER BY k;
-- fails, before the trigger looks
INSERT INTO g VALUES (140, 'x'), (141, 'x'), (132, 'x');
DROP TRIGGER a ON g;
CREATE FUNCTION note_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log (what) SELECT TG_WHEN || ' ' || TG_OP || ' ' || TG_LEVEL || ' ' || count(*) FROM g;
    RETURN NULL;
END $$;
CREATE TRIGGER s BEFORE INSERT ON g FOR EACH STATEMENT EXECUTE FUNCTION note_count();
CREATE TRIGGER s2 AFTER INSERT ON g FOR EACH STATEMENT EXECUTE FUNCTION note_count();
INSERT INTO g SELECT x, 'j' FROM generate_series(200, 220) x;
COPY g FROM STDIN;
230	c
231	c
\.
SELECT what FROM log ORDER BY id;
DROP TRIGGER s ON g;
DROP TRIGGER s2 ON g;
-- on a partition
CREATE TRIGGER b BEFORE INSERT ON p_b FOR EACH ROW EXECUTE FUNCTION note_count();
INSERT INTO p SELECT x, 'b', x FROM generate_series(5000, 5002) x;
SELECT count(*) FROM p WHERE k >= 5000;
DROP TRIGGER b ON p_b;

-- ---- functions that look at the table ----
CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT count(*) FROM g';
CREATE FUNCTION how_many_stable() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM g';
CREATE FUNCTION put(i int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO g VALUES (i, 'put');
    RETURN i;
END $$;
DELETE FROM g;
INSERT INTO g SELECT x, how_many()::text FROM generate_series(1, 6) x;
INSERT INTO g SELECT x, how_many_stable()::text FROM generate_series(7, 10) x;
INSERT INTO g SELECT put(x) + 1000, 'by put' FROM generate_series(20, 30) x;
SELECT * FROM g ORDER BY k;
-- fails
INSERT INTO g SELECT put(x) + 1, 'by put' FROM generate_series(40, 50) x;
INSERT INTO g SELECT x, (SELECT max(v) FROM g WHERE k < x) FROM generate_series(60, 70) x;
SELECT count(*), min(v), max(v) FROM g WHERE k >= 60;
-- a table of one's own rows that doubles
INSERT INTO g SELECT k + 100000, v FROM g;
INSERT INTO g SELECT k + 200000, v FROM g;
SELECT count(*), sum(k) FROM g;
DELETE FROM g;

-- ---- several changes in one statement ----
WITH a AS (INSERT INTO g SELECT x, 'cte' FROM generate_series(1, 20) x RETURNING k),
     b AS (INSERT INTO m SELECT x, 'cte ' || x FROM generate_series(500001, 500020) x RETURNING k)
    SELECT (SELECT sum(k) FROM a), (SELECT sum(k) FROM b), (SELECT count(*) FROM g);
WITH a AS (INSERT INTO g SELECT x, 'unread' FROM generate_series(21, 40) x)
    SELECT count(*) FROM g;
WITH a AS (UPDATE g SET v = 'updated' WHERE k <= 5 RETURNING k)
    INSERT INTO g SELECT k + 50, 'from a' FROM a;
WITH a AS (INSERT INTO g SELECT x, 'one' FROM generate_series(61, 70) x),
     b AS (DELETE FROM g WHERE k BETWEEN 6 AND 10 RETURNING k)
    INSERT INTO g SELECT k + 80, 'two' FROM b;
-- fails
WITH a AS (INSERT INTO g SELECT x, 'one' FROM generate_series(201, 210) x)
    INSERT INTO g SELECT x, 'two' FROM generate_series(210, 220) x;
WITH a AS (INSERT INTO g SELECT x, 'r' FROM generate_series(301, 310) x RETURNING *)
    INSERT INTO m SELECT k + 600000, v || k FROM a;
SELECT v, count(*), sum(k) FROM g GROUP BY v ORDER BY v;
SELECT count(*), max(v) FROM m WHERE k > 500000;
INSERT INTO g VALUES (400, 'a'), (401, 'b'), (402, 'c') RETURNING k, v, tableoid::regclass;
INSERT INTO g VALUES (400, 'x'), (403, 'd') ON CONFLICT DO NOTHING;
INSERT INTO g VALUES (400, 'x'), (404, 'e') ON CONFLICT (k) DO UPDATE SET v = excluded.v || g.v;
SELECT * FROM g WHERE k >= 400 ORDER BY k;

-- ---- cursors ----
BEGIN;
DECLARE before CURSOR FOR SELECT k FROM g WHERE k >= 300 ORDER BY k;
FETCH 3 FROM before;
INSERT INTO g SELECT x, 'while open' FROM generate_series(311, 350) x;
FETCH 9 FROM before;
DECLARE later SCROLL CURSOR FOR SELECT k FROM g WHERE k BETWEEN 305 AND 315 ORDER BY k;
FETCH 3 FROM later;
INSERT INTO g SELECT x, 'while open' FROM generate_series(351, 360) x;
FETCH ALL FROM later;
FETCH ALL FROM before;
SAVEPOINT s;
INSERT INTO g SELECT x, 'rolled back' FROM generate_series(361, 370) x;
ROLLBACK TO s;
FETCH BACKWARD 2 FROM later;
COMMIT;
SELECT count(*), sum(k) FROM g WHERE k >= 300;
DO $$
DECLARE
    c refcursor;
    r record;
BEGIN
    OPEN c FOR SELECT k FROM g WHERE k < 30 ORDER BY k;
    FETCH c INTO r;
    INSERT INTO g SELECT x, 'in do' FROM generate_series(1000, 1100) x;
    FETCH c INTO r;
    RAISE NOTICE '%', r.k;
    FOR r IN SELECT count(*) AS n FROM g WHERE k >= 1000 LOOP
        RAISE NOTICE '%', r.n;
    END LOOP;
END $$;

-- ---- columns of all sorts ----
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE TYPE pair AS (x int, y text);
CREATE STORED TABLE s (
    k bigint GENERATED BY DEFAULT AS IDENTITY, d small, twice int GENERATED ALWAYS AS (d * 2) STORED,
    a int[], c pair, n numeric CHECK (n > 0), t text NOT NULL DEFAULT 'deflt', j jsonb, f float8, ts timestamptz,
    nm name, ch "char", bp char(5), bits bit(3), u uuid) KEY (k);
INSERT INTO s (d, a, c, n, j, f, ts, nm, ch, bp, bits, u)
    SELECT g, ARRAY[g, NULL, g + 1], ROW(g, 'y' || g)::pair, g / 3.0 + 1, jsonb_build_object('g', g), g / 7.0,
           '2020-01-01'::timestamptz + g * interval '1 hour', 'name' || g, 'c', 'b' || g % 10, B'101',
           md5(g::text)::uuid
    FROM generate_series(1, 300) g;
SELECT count(*), sum(twice), sum(a[3]), max((c).y), sum(n), sum((j->>'g')::int), sum(f)::numeric(20, 6), max(ts), max(nm),
       max(bp), max(u::text), bool_and(t = 'deflt') FROM s;
SELECT * FROM s WHERE k IN (1, 150) ORDER BY k;
-- fails (domain)
INSERT INTO s (d) SELECT g FROM generate_series(990, 1010) g;
-- fails (check)
INSERT INTO s (d, n) SELECT 1, 5 - g FROM generate_series(1, 10) g;
-- fails (not null)
INSERT INTO s (d, t) SELECT g, CASE WHEN g < 10 THEN 'x' END FROM generate_series(1, 20) g;
-- fails (generated)
INSERT INTO s (d, twice) VALUES (1, 2);
-- fails
COPY s (d, n) FROM STDIN;
1	1
2	-1
\.
-- fails
COPY s (d, n) FROM STDIN;
1	1
5000	1
\.
COPY s (d, a, c) FROM STDIN;
7	{1,2,3}	(1,"a b")
8	{}	(,)
\.
SELECT d, twice, a, c, t FROM s WHERE k > 300 AND d IN (7, 8) AND n IS NULL ORDER BY d;

-- values that are compressed, out of line, larger than a block, expanded
CREATE TABLE big_heap (k int, v text, a int[]);
ALTER TABLE big_heap ALTER v SET STORAGE EXTERNAL;
INSERT INTO big_heap SELECT g, repeat(md5(g::text), 5 * g * g), array(SELECT generate_series(1, g * 100)) FROM generate_series(1, 40) g;
INSERT INTO big_heap VALUES (50, (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 40000) g), NULL);
CREATE STORED TABLE big (k int, v text, a int[]) KEY (k);
INSERT INTO big SELECT * FROM big_heap;
INSERT INTO big SELECT k + 100, v || '!', a || k FROM big_heap;
SELECT count(*), sum(length(v)), sum(cardinality(a)), md5(string_agg(md5(v), '' ORDER BY k)) FROM big;
-- fails, with a row that is larger than what is shown
INSERT INTO big SELECT k + 200, v, a FROM big_heap UNION ALL SELECT 140, 'x', NULL;
BEGIN;
INSERT INTO big SELECT k + 200, v, a FROM big_heap;
SELECT count(*), sum(length(v)), md5(string_agg(md5(v), '' ORDER BY k)) FROM big WHERE k > 200;
COMMIT;
SELECT count(*), sum(length(v)), md5(string_agg(md5(v), '' ORDER BY k)) FROM big WHERE k > 200;
DO $$
DECLARE
    a int[] := ARRAY[1, 2, 3];
BEGIN
    FOR i IN 1 .. 50 LOOP
        a[i] := i;
        INSERT INTO big VALUES (1000 + i, 'expanded', a);
    END LOOP;
END $$;
SELECT count(*), sum(cardinality(a)) FROM big WHERE k > 1000;
DROP TABLE big_heap;
-- keys and entries that are too long
CREATE STORED TABLE long_key (k text, v text) KEY (k);
INSERT INTO long_key SELECT repeat('k', g), 'v' FROM generate_series(1, 500) g;
SELECT count(*), sum(length(k)) FROM long_key;

-- ---- prepared transactions, heap tables, constraints of heap tables ----
BEGIN;
INSERT INTO g SELECT x, 'prepared' FROM generate_series(3000, 3100) x;
INSERT INTO log (what) VALUES ('prepared');
PREPARE TRANSACTION 'loads';
SELECT count(*) FROM g WHERE v = 'prepared';
COMMIT PREPARED 'loads';
SELECT count(*), sum(k) FROM g WHERE v = 'prepared';
BEGIN;
INSERT INTO g SELECT x, 'prepared' FROM generate_series(3200, 3300) x;
PREPARE TRANSACTION 'loads';
ROLLBACK PREPARED 'loads';
SELECT count(*), sum(k) FROM g WHERE v = 'prepared';
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO child VALUES (1);
INSERT INTO g SELECT x, 'with child' FROM generate_series(4000, 4100) x;
-- fails
COMMIT;
SELECT count(*) FROM g WHERE v = 'with child';
BEGIN;
INSERT INTO child VALUES (1);
INSERT INTO g SELECT x, 'with child' FROM generate_series(4000, 4100) x;
INSERT INTO parent VALUES (1);
COMMIT;
SELECT count(*) FROM g WHERE v = 'with child';

-- ---- views, row security ----
CREATE VIEW low AS SELECT k, v FROM g WHERE k < 7000 WITH CHECK OPTION;
INSERT INTO low SELECT x, 'view' FROM generate_series(6000, 6050) x;
-- fails
INSERT INTO low SELECT x, 'view' FROM generate_series(6980, 7010) x;
SELECT count(*) FROM g WHERE v = 'view';
CREATE TABLE rp (k int, owner name) PARTITION BY RANGE (k);
CREATE STORED TABLE rp_1 PARTITION OF rp FOR VALUES FROM (0) TO (1000) KEY (k);
ALTER TABLE rp ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rp USING (owner = current_user) WITH CHECK (owner = current_user AND k < 500);
CREATE ROLE load_user;
GRANT ALL ON rp TO load_user;
SET ROLE load_user;
INSERT INTO rp SELECT x, 'load_user' FROM generate_series(1, 100) x;
-- fails
INSERT INTO rp SELECT x, 'load_user' FROM generate_series(450, 550) x;
-- fails
INSERT INTO rp VALUES (101, 'load_user'), (102, 'somebody');
-- fails: the key is not shown to who may not see the table
INSERT INTO rp SELECT x, 'load_user' FROM generate_series(90, 110) x;
SELECT count(*) FROM rp;
RESET ROLE;
DROP OWNED BY load_user;
DROP ROLE load_user;

-- ---- isolation levels ----
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM g WHERE k > 8000;
INSERT INTO g SELECT x, 'rr' FROM generate_series(8001, 8100) x;
SELECT count(*) FROM g WHERE k > 8000;
UPDATE g SET v = 'rr2' WHERE k > 8090;
COMMIT;
SELECT v, count(*) FROM g WHERE k > 8000 GROUP BY v ORDER BY v;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO g SELECT x, 'ser' FROM generate_series(8201, 8300) x;
SELECT count(*) FROM g WHERE k > 8200;
COMMIT;
-- procedures that commit
CREATE PROCEDURE in_steps() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 5 LOOP
        INSERT INTO g SELECT 9000 + i * 100 + x, 'step' FROM generate_series(1, 50) x;
        IF i = 3 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END $$;
CALL in_steps();
SELECT count(*), sum(k) FROM g WHERE v = 'step';

-- ---- duplicates that are caught where they are found, in the midst of the statement ----
CREATE STORED TABLE ca (k int, a text, b int) KEY (k);
CREATE STORED UNIQUE INDEX u ON ca (b);
INSERT INTO ca VALUES (50, 'old', 50);
CREATE FUNCTION adds_beside(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ca SELECT i * 1000 + x, 'in', i * 1000 + x FROM generate_series(1, 3) x;
    RETURN 'added';
EXCEPTION WHEN unique_violation THEN
    RETURN 'caught';
END $$;
CREATE FUNCTION looks_beside() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count(*) FROM ca;
    RETURN NEW;
EXCEPTION WHEN unique_violation THEN
    RETURN NEW;
END $$;
-- fails
INSERT INTO ca SELECT x, CASE WHEN x IN (70, 80) THEN adds_beside(x) END, x FROM generate_series(1, 100) x;
-- fails: by the end of the statement
INSERT INTO ca SELECT x, CASE WHEN x = 100 THEN adds_beside(x) END, x FROM generate_series(1, 100) x;
INSERT INTO ca SELECT x, CASE WHEN x IN (170, 180) THEN adds_beside(x) END, x FROM generate_series(101, 200) x;
SELECT count(*), sum(k), sum(b), count(*) FILTER (WHERE a = 'added') FROM ca;
CREATE TRIGGER looks BEFORE INSERT ON ca FOR EACH ROW WHEN (NEW.k % 30 = 0) EXECUTE FUNCTION looks_beside();
-- fails: a value
INSERT INTO ca SELECT x, 'x', CASE WHEN x = 1005 THEN 50 ELSE x END FROM generate_series(1001, 1100) x;
-- fails
COPY ca FROM STDIN;
2001	a	2001
101	a	2002
2010	a	2010
2003	a	2003
\.
SELECT count(*), sum(k), sum(b) FROM ca;
DROP TRIGGER looks ON ca;
CREATE TABLE cp (k int, a text) PARTITION BY RANGE (k);
CREATE STORED TABLE cp_1 PARTITION OF cp FOR VALUES FROM (0) TO (1000) KEY (k);
CREATE STORED TABLE cp_2 PARTITION OF cp FOR VALUES FROM (1000) TO (2000) KEY (k);
INSERT INTO cp VALUES (1050, 'old');
CREATE TRIGGER looks AFTER INSERT ON cp FOR EACH STATEMENT EXECUTE FUNCTION looks_beside();
-- fails
COPY cp FROM STDIN;
49	a
1050	a
51	a
\.
COPY cp FROM STDIN;
49	a
1051	a
\.
SELECT * FROM cp ORDER BY k;

-- ---- what its own functions stage spills while a statement waits to load ----
SET kalam.bulk_load_threshold = 300;
SET kalam.staged_memory = 1024;
CREATE STORED TABLE sp (k int, a text) KEY (k);
CREATE STORED TABLE sp_other (k int, a text) KEY (k);
CREATE FUNCTION stages_beside(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF i <= 20 THEN
        INSERT INTO sp_other SELECT i * 1000 + x, repeat('u', 1000) FROM generate_series(1, 100) x;
    END IF;
    RETURN repeat('t', 100);
END $$;
BEGIN;
INSERT INTO sp_other SELECT x, 'a few before' FROM generate_series(1, 100) x;
INSERT INTO sp SELECT x, stages_beside(x) FROM generate_series(1, 8000) x;
SELECT count(*), sum(k), sum(length(a)) FROM sp;
SELECT count(*), sum(k), sum(length(a)) FROM sp_other;
COMMIT;
BEGIN;
DELETE FROM sp_other;
-- fails: the keys of the first row come again in the end
INSERT INTO sp SELECT 10000 + CASE WHEN x < 8000 THEN x ELSE 1 END, stages_beside(x) FROM generate_series(1, 8000) x;
ROLLBACK;
SELECT count(*), sum(k), sum(length(a)) FROM sp;
SELECT count(*), sum(k), sum(length(a)) FROM sp_other;
RESET kalam.staged_memory;
RESET kalam.bulk_load_threshold;
