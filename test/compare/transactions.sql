-- What a transaction sees of its own, and what rolling back undoes.

CREATE STORED TABLE t (id int NOT NULL, v text) KEY (id);
CREATE STORED TABLE nokey (id int, v text);
CREATE TABLE h (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'first' FROM generate_series(1, 5) g;

BEGIN;
INSERT INTO t VALUES (6, 'new');
UPDATE t SET v = 'changed' WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO nokey SELECT * FROM t;
INSERT INTO h SELECT * FROM t;
SELECT * FROM t ORDER BY id;
SELECT count(*) FROM nokey;
ROLLBACK;
SELECT * FROM t ORDER BY id;
SELECT (SELECT count(*) FROM nokey), (SELECT count(*) FROM h);

-- An error rolls all of it back.
BEGIN;
INSERT INTO t VALUES (6, 'new');
DELETE FROM t WHERE id = 1;
-- fails: division
SELECT 1 / 0;
-- fails: the transaction is aborted
SELECT * FROM t;
COMMIT;
SELECT * FROM t ORDER BY id;

-- Savepoints.
BEGIN;
INSERT INTO t VALUES (10, 'kept');
SAVEPOINT a;
INSERT INTO t VALUES (11, 'undone');
UPDATE t SET v = 'undone' WHERE id IN (1, 10);
DELETE FROM t WHERE id = 2;
SAVEPOINT b;
INSERT INTO t VALUES (12, 'undone');
UPDATE t SET v = 'twice undone' WHERE id = 1;
SELECT * FROM t ORDER BY id;
ROLLBACK TO b;
SELECT * FROM t ORDER BY id;
ROLLBACK TO a;
SELECT * FROM t ORDER BY id;
INSERT INTO t VALUES (11, 'second try');
UPDATE t SET v = 'kept' WHERE id = 3;
SAVEPOINT c;
INSERT INTO t VALUES (13, 'released');
RELEASE c;
SAVEPOINT d;
-- fails: duplicate
INSERT INTO t VALUES (13, 'again');
ROLLBACK TO d;
DELETE FROM t WHERE id = 13;
INSERT INTO t VALUES (13, 'after delete');
RELEASE a;
COMMIT;
SELECT * FROM t ORDER BY id;

-- The same row changed at every level.
BEGIN;
UPDATE t SET v = v || '0' WHERE id = 5;
SAVEPOINT s1; UPDATE t SET v = v || '1' WHERE id = 5;
SAVEPOINT s2; UPDATE t SET v = v || '2' WHERE id = 5;
SAVEPOINT s3; UPDATE t SET v = v || '3' WHERE id = 5;
SELECT v FROM t WHERE id = 5;
ROLLBACK TO s3; SELECT v FROM t WHERE id = 5;
RELEASE s2; SELECT v FROM t WHERE id = 5;
UPDATE t SET v = v || '4' WHERE id = 5;
ROLLBACK TO s1; SELECT v FROM t WHERE id = 5;
DELETE FROM t WHERE id = 5;
ROLLBACK TO s1; SELECT v FROM t WHERE id = 5;
COMMIT;
SELECT v FROM t WHERE id = 5;

-- Exceptions in PL/pgSQL undo their block.
DO $$
BEGIN
    INSERT INTO t VALUES (20, 'outer');
    BEGIN
        INSERT INTO t VALUES (21, 'inner');
        UPDATE t SET v = 'inner' WHERE id = 20;
        INSERT INTO t VALUES (20, 'duplicate');
    EXCEPTION WHEN unique_violation THEN
        RAISE NOTICE 'caught: % (%), rows now %', SQLERRM, SQLSTATE, (SELECT count(*) FROM t);
        INSERT INTO t VALUES (22, 'handler');
    END;
    BEGIN
        INSERT INTO t VALUES (23, NULL);
        RAISE EXCEPTION 'mine';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    FOR i IN 24..28 LOOP
        BEGIN
            INSERT INTO t VALUES (i, 'loop');
            IF i % 2 = 0 THEN
                PERFORM 1 / 0;
            END IF;
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
END
$$;
SELECT * FROM t WHERE id >= 20 ORDER BY id;
DO $$
BEGIN
    FOR i IN 1..300 LOOP
        BEGIN
            UPDATE t SET v = i::text WHERE id = 22;
            IF i % 3 > 0 THEN RAISE EXCEPTION 'undo'; END IF;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
END
$$;
SELECT * FROM t WHERE id = 22;

-- A statement does not see what it writes itself.
CREATE STORED TABLE w (id int NOT NULL, v int) KEY (id);
INSERT INTO w SELECT g, g FROM generate_series(1, 10) g;
INSERT INTO w SELECT id + 10, v FROM w;
INSERT INTO w SELECT id + (SELECT max(id) FROM w), v FROM w;
SELECT count(*), max(id) FROM w;
UPDATE w SET id = id + 1000;
SELECT count(*), min(id), max(id), sum(v) FROM w;
UPDATE w SET id = id + 1000, v = v + 1 WHERE id > 1000;
SELECT count(*), min(id), max(id), sum(v) FROM w;
INSERT INTO nokey SELECT g, 'x' FROM generate_series(1, 10) g;
INSERT INTO nokey SELECT * FROM nokey;
UPDATE nokey SET id = id + 1;
SELECT count(*), sum(id) FROM nokey;
BEGIN;
INSERT INTO w SELECT id + 100000, v FROM w;
INSERT INTO w SELECT id + 200000, v FROM w;
DELETE FROM w WHERE id IN (SELECT id - 100000 FROM w);
UPDATE w SET id = id - 50000 WHERE id > 50000;
SELECT count(*), min(id), max(id) FROM w;
COMMIT;
SELECT count(*), min(id), max(id) FROM w;
DELETE FROM w WHERE v < (SELECT avg(v) FROM w);
SELECT count(*) FROM w;
-- Each of the parts of one statement sees the state before it.
WITH i AS (INSERT INTO w VALUES (-1, 1), (-2, 2) RETURNING id), d AS (DELETE FROM w WHERE id > 0 RETURNING id)
    SELECT (SELECT count(*) FROM w), (SELECT count(*) FROM i), (SELECT count(*) > 0 FROM d);
SELECT * FROM w ORDER BY id;

-- A volatile function called by a statement sees the rows written so far, a
-- stable one does not.
CREATE FUNCTION seen_volatile() RETURNS bigint VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM w); END';
CREATE FUNCTION seen_stable() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM w); END';
CREATE FUNCTION seen_sql() RETURNS bigint VOLATILE LANGUAGE sql AS 'SELECT count(*) FROM w WHERE id > -1000';
DELETE FROM w;
INSERT INTO w SELECT g, seen_volatile() FROM generate_series(1, 5) g;
SELECT * FROM w ORDER BY id;
INSERT INTO w SELECT g, seen_stable() FROM generate_series(11, 13) g;
SELECT * FROM w ORDER BY id;
INSERT INTO w SELECT g, seen_sql() FROM generate_series(21, 23) g;
SELECT * FROM w ORDER BY id;
UPDATE w SET v = seen_volatile() - (SELECT count(*) FROM w WHERE v IS NULL);
SELECT DISTINCT v FROM w;
DELETE FROM w WHERE id = seen_volatile() - 5;
SELECT count(*) FROM w;
CREATE FUNCTION sum_volatile() RETURNS bigint VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT coalesce(sum(v), 0) FROM w); END';
DELETE FROM w;
INSERT INTO w VALUES (1, 1), (2, 1), (3, 1);
UPDATE w SET v = sum_volatile();
SELECT * FROM w ORDER BY id;

-- Functions that write while a statement reads.
CREATE FUNCTION add_row(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO w VALUES (n, n); RETURN n; END';
SELECT add_row(id + 100) FROM w ORDER BY id;
SELECT count(*) FROM w;
SELECT id FROM w WHERE add_row(id + 1000) > 0 ORDER BY id;
SELECT count(*) FROM w;
CREATE FUNCTION remove_row(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM w WHERE id = n; RETURN n; END';
SELECT id, remove_row(id) FROM w WHERE id < 10 ORDER BY id;
SELECT count(*) FROM w;

-- Cursors see the state of when they were opened.  (These rows were written in
-- the order of their key, so both sides give them in that order.)
CREATE STORED TABLE cur (id int NOT NULL, v text) KEY (id);
INSERT INTO cur SELECT g, 'first' FROM generate_series(1, 10) g;
BEGIN;
DECLARE c CURSOR FOR SELECT id, v FROM cur;
FETCH 2 FROM c;
UPDATE cur SET v = 'behind the cursor';
DELETE FROM cur WHERE id = 4;
INSERT INTO cur VALUES (70, 'unseen'), (0, 'unseen');
FETCH 3 FROM c;
TRUNCATE h;
UPDATE cur SET id = id + 100;
FETCH ALL FROM c;
DECLARE c2 CURSOR FOR SELECT id, v FROM cur ORDER BY id;
FETCH ALL FROM c2;
ROLLBACK;
SELECT * FROM cur ORDER BY id;
BEGIN;
INSERT INTO cur SELECT g, 'own' FROM generate_series(11, 13) g;
DECLARE c CURSOR FOR SELECT id, v FROM cur WHERE id > 8;
FETCH 1 FROM c;
DELETE FROM cur WHERE id > 9;
FETCH ALL FROM c;
COMMIT;
BEGIN;
UPDATE t SET v = 'before the cursor' WHERE id = 1;
DECLARE c CURSOR FOR SELECT id, v FROM t WHERE id <= 5 ORDER BY id;
SAVEPOINT a;
UPDATE t SET v = 'after the cursor' WHERE id <= 5;
FETCH 2 FROM c;
ROLLBACK TO a;
FETCH ALL FROM c;
COMMIT;
BEGIN;
SAVEPOINT a;
DECLARE inside CURSOR FOR SELECT id FROM t ORDER BY id;
FETCH 1 FROM inside;
ROLLBACK TO a;
-- fails: the cursor went with its savepoint
FETCH 1 FROM inside;
ROLLBACK;
DO $$
DECLARE r record; n int := 0;
BEGIN
    FOR r IN SELECT id FROM w ORDER BY id LOOP
        INSERT INTO w VALUES (r.id + 1000000, 0);
        DELETE FROM w WHERE id = r.id + 1;
        n := n + 1;
    END LOOP;
    RAISE NOTICE 'went through % rows, now there are %', n, (SELECT count(*) FROM w);
END
$$;

-- Isolation levels, read only, and commands that begin and end oddly.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM t;
INSERT INTO t VALUES (50, 'rr');
SELECT count(*) FROM t;
COMMIT;
BEGIN READ ONLY;
SELECT count(*) FROM t;
-- fails: read only
INSERT INTO t VALUES (51, 'ro');
ROLLBACK;
BEGIN;
SET TRANSACTION READ ONLY;
-- fails: read only
DELETE FROM t;
COMMIT;
BEGIN;
SAVEPOINT x;
INSERT INTO t VALUES (52, 'a');
ROLLBACK TO x;
ROLLBACK TO x;
INSERT INTO t VALUES (52, 'b');
COMMIT AND CHAIN;
INSERT INTO t VALUES (53, 'chained');
ROLLBACK AND CHAIN;
INSERT INTO t VALUES (54, 'chained');
COMMIT;
SELECT * FROM t WHERE id >= 50 ORDER BY id;
INSERT INTO t VALUES (60, 'one'); INSERT INTO t VALUES (61, 'two');
INSERT INTO t VALUES (62, 'one')\; INSERT INTO t VALUES (63, 'two');
-- fails: two statements sent together are one transaction
INSERT INTO t VALUES (64, 'one')\; INSERT INTO t VALUES (1, 'two');
SELECT id FROM t WHERE id >= 60 ORDER BY id;
CREATE PROCEDURE in_steps() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 70..75 LOOP
        INSERT INTO t VALUES (i, 'step');
        IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
    END LOOP;
END
$$;
CALL in_steps();
SELECT id FROM t WHERE id >= 70 ORDER BY id;

-- Locking clauses.
BEGIN;
SELECT id FROM t WHERE id = 1 FOR UPDATE;
SELECT id FROM t WHERE id <= 2 ORDER BY id FOR SHARE;
SELECT t.id FROM t JOIN h ON true WHERE t.id = 1 FOR UPDATE OF t;
SELECT id FROM t ORDER BY id LIMIT 2 FOR NO KEY UPDATE SKIP LOCKED;
SELECT id FROM t WHERE id = 3 FOR KEY SHARE NOWAIT;
UPDATE t SET v = 'locked' WHERE id = 1;
COMMIT;

-- Both kinds of table in one transaction.
BEGIN;
INSERT INTO h VALUES (1000, 'heap');
INSERT INTO t VALUES (1000, 'stored');
COMMIT;
BEGIN;
INSERT INTO h VALUES (1001, 'heap');
INSERT INTO t VALUES (1001, 'stored');
ROLLBACK;
BEGIN;
INSERT INTO t VALUES (1002, 'stored');
-- fails: the heap table's key
INSERT INTO h VALUES (1000, 'heap');
COMMIT;
SELECT (SELECT count(*) FROM h WHERE id >= 1000), (SELECT count(*) FROM t WHERE id >= 1000);
CREATE TEMP TABLE tmp (id int);
BEGIN;
INSERT INTO tmp SELECT id FROM t;
DELETE FROM t WHERE id >= 1000;
COMMIT;
SELECT (SELECT count(*) FROM tmp) - (SELECT count(*) FROM t) AS one;
