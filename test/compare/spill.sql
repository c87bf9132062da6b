-- Transactions whose changes do not stay in memory: each change goes to a file
-- before the next one is made, and the files are merged every few changes.
SET kalam.staged_memory = '1kB';

-- ---- one transaction, many statements ----
CREATE STORED TABLE t (k int, v text) KEY (k);
INSERT INTO t SELECT g, 'old ' || g FROM generate_series(10, 100, 10) g;
BEGIN;
INSERT INTO t SELECT g, 'new ' || g FROM generate_series(1, 99, 2) g;
SELECT count(*), sum(k), min(v), max(v) FROM t;
SELECT * FROM t WHERE k BETWEEN 8 AND 23 ORDER BY k;
SELECT * FROM t WHERE k BETWEEN 8 AND 23 ORDER BY k DESC;
SELECT * FROM t WHERE k = 11;
SELECT * FROM t WHERE k = 12;
UPDATE t SET v = v || ' updated' WHERE k % 3 = 0;
DELETE FROM t WHERE k % 5 = 0;
SELECT count(*), sum(k), sum(length(v)) FROM t;
-- from itself
INSERT INTO t SELECT k + 1000, v || ' copied' FROM t;
INSERT INTO t SELECT k + 10000, v || ' again' FROM t WHERE k < 20 OR k > 1090;
SELECT * FROM t WHERE k > 9000 ORDER BY k;
-- keys move forward through what is read
UPDATE t SET k = k + 100 WHERE k > 1000 AND k < 9000;
SELECT count(*), sum(k), min(k), max(k) FROM t;
SELECT k, v FROM t WHERE k > 1190 AND k < 9000 ORDER BY k;
-- deleted and inserted again, and again
DELETE FROM t WHERE k < 10;
INSERT INTO t VALUES (1, 'back'), (3, 'back');
DELETE FROM t WHERE k = 1;
INSERT INTO t VALUES (1, 'back again');
SELECT * FROM t WHERE k < 10 ORDER BY k;
COMMIT;
SELECT count(*), sum(k), sum(length(v)) FROM t;
SELECT * FROM t WHERE k < 20 ORDER BY k;

-- ---- own rows are found ----
BEGIN;
INSERT INTO t VALUES (2000001, 'own');
INSERT INTO t SELECT g, 'more' FROM generate_series(2000002, 2000020) g;
SAVEPOINT s;
-- fails
INSERT INTO t VALUES (2000001, 'twice');
ROLLBACK TO s;
-- fails: a stored one, found when files are written
INSERT INTO t SELECT g, 'x' FROM generate_series(1, 30) g;
ROLLBACK TO s;
INSERT INTO t VALUES (2000001, 'ignored'), (3000001, 'taken') ON CONFLICT DO NOTHING;
DELETE FROM t WHERE k = 2000002;
INSERT INTO t VALUES (2000001, 'ignored'), (2000002, 'taken') ON CONFLICT DO NOTHING;
SELECT * FROM t WHERE k BETWEEN 2000000 AND 2000003 OR k = 3000001 ORDER BY k;
UPDATE t SET k = 2000003 WHERE k = 3000001 AND NOT EXISTS (SELECT FROM t WHERE k = 2000003);
-- fails
UPDATE t SET k = 2000003 WHERE k = 3000001;
ROLLBACK;
SELECT count(*) FROM t WHERE k > 2000000;

-- ---- savepoints across files ----
BEGIN;
INSERT INTO t SELECT g, 'a' FROM generate_series(20000, 20030) g;
SAVEPOINT a;
INSERT INTO t SELECT g, 'b' FROM generate_series(20031, 20060) g;
UPDATE t SET v = 'changed in a' WHERE k BETWEEN 20000 AND 20005;
SAVEPOINT b;
DELETE FROM t WHERE k BETWEEN 20003 AND 20040;
INSERT INTO t SELECT g, 'c' FROM generate_series(20035, 20038) g;
SELECT count(*), min(v), max(v) FROM t WHERE k BETWEEN 20000 AND 29999;
ROLLBACK TO b;
SELECT count(*), min(v), max(v) FROM t WHERE k BETWEEN 20000 AND 29999;
DELETE FROM t WHERE k = 20004;
RELEASE b;
SAVEPOINT c;
INSERT INTO t VALUES (20004, 'c');
RELEASE c;
SELECT * FROM t WHERE k BETWEEN 20002 AND 20007 ORDER BY k;
ROLLBACK TO a;
SELECT * FROM t WHERE k BETWEEN 20002 AND 20007 ORDER BY k;
SELECT count(*), min(v), max(v) FROM t WHERE k BETWEEN 20000 AND 29999;
INSERT INTO t SELECT g, 'd' FROM generate_series(20040, 20050) g;
COMMIT;
SELECT count(*), min(v), max(v) FROM t WHERE k BETWEEN 20000 AND 29999;

-- everything rolled back, or nearly
BEGIN;
SAVEPOINT a;
INSERT INTO t SELECT g, 'x' FROM generate_series(30000, 30020) g;
ROLLBACK TO a;
COMMIT;
BEGIN;
INSERT INTO t VALUES (30100, 'x');
SAVEPOINT a;
INSERT INTO t SELECT g, 'x' FROM generate_series(30000, 30020) g;
DELETE FROM t WHERE k = 30100;
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO t SELECT g, 'y' FROM generate_series(30000, 30020) g;
ROLLBACK TO b;
SELECT * FROM t WHERE k BETWEEN 30000 AND 39999;
COMMIT;
SELECT * FROM t WHERE k BETWEEN 30000 AND 39999;

-- ---- exception blocks ----
CREATE FUNCTION half_of_them(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE done int := 0;
BEGIN
	FOR i IN 1 .. n LOOP
		BEGIN
			INSERT INTO t VALUES (40000 + i, 'try');
			UPDATE t SET v = v || ' ' || i WHERE k BETWEEN 40000 + i - 2 AND 40000 + i;
			IF i % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF;
			done := done + 1;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
	RETURN done;
END $$;
BEGIN;
SELECT half_of_them(100);
SELECT count(*), sum(k), sum(length(v)), max(v) FROM t WHERE k BETWEEN 40000 AND 49999;
SELECT * FROM t WHERE k BETWEEN 40090 AND 49999 ORDER BY k DESC;
COMMIT;
SELECT count(*), sum(k), sum(length(v)), max(v) FROM t WHERE k BETWEEN 40000 AND 49999;
-- the outer statement's checks wait while the inner one writes files
CREATE FUNCTION writes(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t SELECT 50000 + n * 10 + g, 'inner' FROM generate_series(1, 3) g;
	INSERT INTO t VALUES (50000 + n * 10, 'fails later');
	RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN
	INSERT INTO t VALUES (60000 + n, 'kept');
	RETURN 'outer ' || n;
END $$;
INSERT INTO t SELECT 50000 + g, writes(g) FROM generate_series(1, 20) g;
SELECT count(*), min(v), max(v), sum(k) FROM t WHERE k BETWEEN 50000 AND 69999;
-- (where it is found differs)
\set SHOW_CONTEXT never
-- fails
INSERT INTO t SELECT 50020 - g, writes(100 + g) FROM generate_series(-5, 5) g;
\set SHOW_CONTEXT errors
SELECT count(*), min(v), max(v), sum(k) FROM t WHERE k BETWEEN 50000 AND 69999;

-- ---- cursors ----
BEGIN;
DECLARE before_all SCROLL CURSOR FOR SELECT k, v FROM t WHERE k BETWEEN 70000 AND 79999 ORDER BY k;
INSERT INTO t SELECT g, 'one' FROM generate_series(70000, 70040, 2) g;
DECLARE one SCROLL CURSOR FOR SELECT k, v FROM t WHERE k BETWEEN 70000 AND 79999 ORDER BY k;
DECLARE one_down NO SCROLL CURSOR FOR SELECT k, v FROM t WHERE k BETWEEN 70000 AND 79999 ORDER BY k DESC;
FETCH 3 FROM one;
FETCH 3 FROM one_down;
INSERT INTO t SELECT g, 'two' FROM generate_series(70001, 70041, 2) g;
UPDATE t SET v = 'one, updated' WHERE k BETWEEN 70006 AND 70012;
DECLARE two CURSOR FOR SELECT k, v FROM t WHERE k BETWEEN 70000 AND 79999 ORDER BY k;
FETCH 5 FROM two;
FETCH 3 FROM one;
FETCH 3 FROM one_down;
SAVEPOINT a;
DELETE FROM t WHERE k BETWEEN 70000 AND 79999;
DECLARE none CURSOR FOR SELECT k, v FROM t WHERE k BETWEEN 70000 AND 79999 ORDER BY k;
FETCH 3 FROM none;
FETCH 3 FROM one;
FETCH 3 FROM two;
INSERT INTO t SELECT g, 'three' FROM generate_series(70000, 70100) g;
FETCH 3 FROM one;
FETCH BACKWARD 4 FROM one;
FETCH 3 FROM one_down;
ROLLBACK TO a;
FETCH 3 FROM two;
FETCH 3 FROM one;
FETCH 3 FROM one_down;
FETCH BACKWARD ALL FROM one;
FETCH ALL FROM one;
FETCH ALL FROM before_all;
FETCH ALL FROM one_down;
DECLARE held CURSOR WITH HOLD FOR SELECT k, v FROM t WHERE k BETWEEN 70000 AND 79999 ORDER BY k;
FETCH 2 FROM held;
UPDATE t SET v = 'not seen' WHERE k BETWEEN 70002 AND 70004;
FETCH 2 FROM held;
COMMIT;
FETCH 3 FROM held;
DELETE FROM t WHERE k BETWEEN 70000 AND 79999;
FETCH 3 FROM held;
CLOSE held;

-- ---- a function writes while a scan goes on ----
CREATE FUNCTION adds(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t SELECT 100000 + n * 100 + g, 'by function' FROM generate_series(1, 12) g;
	UPDATE t SET v = v || '!' WHERE k = 80000 + n + 1;
	RETURN n;
END $$;
BEGIN;
INSERT INTO t SELECT 80000 + g, 'row ' || g FROM generate_series(0, 15) g;
SELECT k, v, adds(k - 80000) FROM t WHERE k BETWEEN 80000 AND 80015 ORDER BY k;
SELECT k, v FROM t WHERE k BETWEEN 80000 AND 80015 ORDER BY k;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_material = off;
SELECT a.k, b.k, adds(100 + b.k - 80000), a.v, b.v FROM t a JOIN t b ON b.k = a.k + 3
	WHERE a.k BETWEEN 80000 AND 80009 ORDER BY a.k;
SELECT count(*), sum(k), max(v) FROM t WHERE k > 100000 AND k < 1000000;
COMMIT;
SELECT count(*), sum(k), max(v) FROM t WHERE k > 100000 AND k < 1000000;

-- ---- locked rows ----
BEGIN;
UPDATE t SET v = 'locked' WHERE k BETWEEN 80000 AND 80003;
INSERT INTO t VALUES (80016, 'new');
SELECT k, v FROM t WHERE k BETWEEN 80000 AND 80020 ORDER BY k FOR UPDATE;
UPDATE t SET v = v || ' ' || k WHERE k BETWEEN 80002 AND 80016 AND k % 2 = 0;
DELETE FROM t USING t o WHERE t.k = o.k + 1 AND o.k BETWEEN 80000 AND 80005;
SELECT k, v FROM t WHERE k BETWEEN 80000 AND 80020 ORDER BY k FOR SHARE;
ROLLBACK;

-- what is remembered of rows that may be locked goes to a file too
SET work_mem = '64kB';
CREATE STORED TABLE many (k int, v text) KEY (k);
INSERT INTO many SELECT g, 'row ' || g FROM generate_series(1, 3000) g;
BEGIN;
UPDATE many SET v = v || ' updated' WHERE k % 300 = 0;
SELECT count(*), sum(k), sum(length(v)) FROM (SELECT * FROM many ORDER BY k % 7, k DESC FOR UPDATE) x;
DECLARE locks CURSOR FOR SELECT * FROM many ORDER BY k % 7, k DESC FOR NO KEY UPDATE;
FETCH 3 FROM locks;
UPDATE many SET v = 'changed' WHERE k IN (2982, 2975);
FETCH 3 FROM locks;
MOVE 2000 FROM locks;
FETCH 3 FROM locks;
COMMIT;
RESET work_mem;

-- ---- triggers ----
CREATE STORED TABLE audit (n bigint, what text) KEY (n);
CREATE SEQUENCE audit_n;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO audit VALUES (nextval('audit_n'), format('%s %s %s', TG_OP,
		CASE WHEN TG_OP <> 'INSERT' THEN OLD.v END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.v END));
	RETURN NULL;
END $$;
CREATE STORED TABLE tr (k int, v text) KEY (k);
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON tr FOR EACH ROW EXECUTE FUNCTION note();
BEGIN;
INSERT INTO tr SELECT g, 'row ' || g FROM generate_series(1, 12) g;
UPDATE tr SET v = v || ' updated' WHERE k > 4;
UPDATE tr SET k = k + 100 WHERE k > 9;
DELETE FROM tr WHERE k % 2 = 0;
SELECT * FROM tr ORDER BY k;
SELECT * FROM audit ORDER BY n;
COMMIT;
SELECT count(*) FROM audit;
CREATE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO audit SELECT nextval('audit_n'), 'before ' || NEW.v FROM generate_series(1, 3);
	IF NEW.k = 5 THEN RETURN NULL; END IF;
	NEW.v := NEW.v || ' (' || (SELECT count(*) FROM tr) || ')';
	RETURN NEW;
END $$;
CREATE TRIGGER before BEFORE INSERT OR UPDATE ON tr FOR EACH ROW EXECUTE FUNCTION before();
BEGIN;
INSERT INTO tr SELECT g, 'new' FROM generate_series(200, 205) g;
UPDATE tr SET v = 'again' WHERE k < 10 OR k > 200;
SELECT * FROM tr ORDER BY k;
SELECT count(*), min(what), max(what) FROM audit;
COMMIT;
SELECT * FROM tr ORDER BY k;

-- ---- without a key ----
CREATE STORED TABLE bag (a int, b text);
BEGIN;
INSERT INTO bag SELECT g % 7, 'row ' || g FROM generate_series(1, 40) g;
INSERT INTO bag SELECT a + 10, b FROM bag WHERE a < 3;
UPDATE bag SET b = b || ' updated' WHERE a = 2;
DELETE FROM bag WHERE a IN (4, 11);
SELECT a, count(*), min(b), max(b) FROM bag GROUP BY a ORDER BY a;
COMMIT;
SELECT a, count(*), min(b), max(b) FROM bag GROUP BY a ORDER BY a;

-- ---- TRUNCATE, and other definitions ----
BEGIN;
INSERT INTO bag SELECT g, 'before' FROM generate_series(1, 10) g;
TRUNCATE bag;
INSERT INTO bag SELECT g, 'after' FROM generate_series(1, 20) g;
SELECT count(*), min(b), max(b) FROM bag;
SAVEPOINT a;
TRUNCATE bag;
INSERT INTO bag SELECT g, 'later' FROM generate_series(1, 5) g;
SELECT count(*), min(b), max(b) FROM bag;
ROLLBACK TO a;
SELECT count(*), min(b), max(b) FROM bag;
COMMIT;
SELECT count(*), min(b), max(b) FROM bag;
BEGIN;
CREATE STORED TABLE made (k int, v text) KEY (k);
INSERT INTO made SELECT g, 'made ' || g FROM generate_series(1, 30) g;
ALTER STORED TABLE made ALTER COLUMN k TYPE bigint;
ALTER STORED TABLE made ADD COLUMN w int DEFAULT 7;
UPDATE made SET w = k WHERE k > 25;
SELECT * FROM made WHERE k > 22 ORDER BY k;
SAVEPOINT a;
ALTER STORED TABLE made ALTER COLUMN w TYPE text;
INSERT INTO made VALUES (31, 'x', 'text');
DROP STORED TABLE made;
ROLLBACK TO a;
SELECT count(*), sum(k), sum(w) FROM made;
-- fails
INSERT INTO made VALUES (30, 'twice', 1);
ROLLBACK TO a;
COMMIT;
SELECT count(*), sum(k), sum(w) FROM made;
INSERT INTO made VALUES (31, 'y', 2);
ALTER STORED TABLE made DROP COLUMN v;
SELECT * FROM made WHERE k > 28 ORDER BY k;

-- ---- rows larger than a block of a file, and COPY ----
BEGIN;
INSERT INTO made SELECT g, 1 FROM generate_series(100, 110) g;
INSERT INTO bag SELECT 1000 + g, repeat('big ', 5000 * g) FROM generate_series(1, 6) g;
UPDATE bag SET b = b || 'end' WHERE a > 1003;
SELECT a, length(b), right(b, 7) FROM bag WHERE a > 1000 ORDER BY a;
COPY made FROM stdin;
200	1
201	2
202	\N
\.
SELECT * FROM made WHERE k > 108 ORDER BY k;
SAVEPOINT a;
-- fails
COPY made FROM stdin;
203	1
201	2
204	3
\.
ROLLBACK TO a;
COMMIT;
SELECT a, length(b), right(b, 7) FROM bag WHERE a > 1000 ORDER BY a;
SELECT * FROM made WHERE k > 108 ORDER BY k;

-- ---- partitions ----
CREATE TABLE parts (k int, v text) PARTITION BY RANGE (k);
CREATE STORED TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (50) KEY (k);
CREATE STORED TABLE parts2 PARTITION OF parts FOR VALUES FROM (50) TO (100) KEY (k);
BEGIN;
INSERT INTO parts SELECT g, 'p' FROM generate_series(0, 98, 7) g;
UPDATE parts SET v = 'q' WHERE k > 30;
DELETE FROM parts WHERE k BETWEEN 40 AND 60;
SELECT tableoid::regclass, * FROM parts ORDER BY k;
COMMIT;
SELECT tableoid::regclass, count(*) FROM parts GROUP BY 1 ORDER BY 1;
