-- What a statement sees of what it changes itself, of what changed before it, and
-- what the functions and triggers that it calls see.

CREATE STORED TABLE t (id int NOT NULL, a int, b text) KEY (id);
CREATE STORED TABLE nokey (id int, a int);
INSERT INTO t SELECT g, g, 'b' || g FROM generate_series(1, 10) g;
INSERT INTO nokey SELECT g, g FROM generate_series(1, 10) g;

-- Statements that read the table that they write end, and visit each row once.
INSERT INTO nokey SELECT id + 100, a FROM nokey;
SELECT count(*), sum(id) FROM nokey;
INSERT INTO t SELECT id + 1000, a, b FROM t;
SELECT count(*), sum(id) FROM t;
UPDATE t SET id = id + 10000, a = a + 1;
SELECT count(*), sum(id), sum(a) FROM t;
UPDATE t SET id = id + 100000, a = a + 1 WHERE id > 0;
SELECT count(*), sum(id), sum(a) FROM t;
SET enable_seqscan = off;
UPDATE t SET id = id + 1000000, a = a + 1 WHERE id > 110000;
UPDATE t SET a = a + 1 FROM (SELECT id FROM t ORDER BY id) x WHERE x.id = t.id;
RESET enable_seqscan;
SELECT count(*), sum(id), sum(a) FROM t;
UPDATE t SET id = id - 1110000;
SELECT * FROM t WHERE id <= 10 ORDER BY id;
UPDATE nokey SET a = a + 1, id = id;
UPDATE nokey n SET a = n.a + m.a FROM nokey m WHERE m.id = n.id;
SELECT count(*), sum(a) FROM nokey;
UPDATE t SET a = x.a + 100 FROM t x WHERE x.id = t.id + 1;
SELECT * FROM t WHERE id < 1000 ORDER BY id;
DELETE FROM t USING t x WHERE x.id = t.id + 1 AND t.id % 2 = 0;
SELECT id FROM t ORDER BY id;
DELETE FROM t WHERE id > (SELECT avg(id) FROM t);
DELETE FROM nokey USING nokey m WHERE m.id = nokey.id + 100;
SELECT count(*), min(id) FROM nokey;
TRUNCATE t, nokey;
INSERT INTO t SELECT g, g, 'b' || g FROM generate_series(1, 10) g;
INSERT INTO nokey SELECT g, g FROM generate_series(1, 10) g;

-- A row that several rows of a join change, changes once.
WITH u AS (UPDATE t SET a = a + 1 FROM generate_series(1, 3) g RETURNING id)
SELECT count(*) FROM u;
SELECT sum(a) FROM t;
WITH d AS (DELETE FROM t USING generate_series(1, 3) g WHERE id = 10 RETURNING id)
SELECT count(*) FROM d;

-- Statements in WITH see the tables as they were.
WITH i AS (INSERT INTO t VALUES (10, 10, 'with') RETURNING id),
     u AS (UPDATE t SET a = -a WHERE id IN (9, 10) RETURNING id),
     d AS (DELETE FROM t WHERE id IN (1, 10) RETURNING id)
SELECT (SELECT array_agg(id) FROM i) AS i, (SELECT array_agg(id) FROM u) AS u,
       (SELECT array_agg(id) FROM d) AS d, (SELECT array_agg(id ORDER BY id) FROM t) AS t;
SELECT id, a FROM t ORDER BY id;
WITH d AS (DELETE FROM t WHERE id = 2 RETURNING id, a, b) INSERT INTO t SELECT id, a, b FROM d;
WITH d AS (DELETE FROM t WHERE id = 2 RETURNING id, a, b) INSERT INTO t SELECT id + 50, a, b FROM d RETURNING *;
WITH m AS (DELETE FROM t WHERE id < 5 RETURNING *), n AS (INSERT INTO nokey SELECT id, a FROM m RETURNING id)
SELECT count(*), (SELECT count(*) FROM t), (SELECT count(*) FROM nokey) FROM n;
SELECT count(*), (SELECT count(*) FROM nokey) FROM t;
-- Only one of two changes to one row takes place.
WITH u AS (UPDATE t SET a = 500 WHERE id = 5 RETURNING a), v AS (UPDATE t SET a = 600 WHERE id = 6 RETURNING a)
SELECT * FROM u, v;
SELECT id, a FROM t WHERE id IN (5, 6) ORDER BY id;

-- Functions.
CREATE FUNCTION rows_volatile() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM nokey); END $$;
CREATE FUNCTION rows_stable() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT count(*) FROM nokey); END $$;
CREATE FUNCTION rows_sql() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT count(*) FROM nokey $$;
CREATE FUNCTION add_row(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO nokey VALUES (i, i);
    RETURN (SELECT count(*) FROM nokey);
END
$$;
CREATE FUNCTION change_row(i int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
    UPDATE t SET a = a + 1 WHERE id = i RETURNING a INTO n;
    RETURN n;
END
$$;
TRUNCATE nokey;
INSERT INTO nokey SELECT g, rows_volatile() FROM generate_series(1, 4) g RETURNING *;
INSERT INTO nokey SELECT g, rows_stable() FROM generate_series(5, 8) g RETURNING *;
INSERT INTO nokey SELECT g, rows_sql() FROM generate_series(9, 12) g RETURNING *;
SELECT g, add_row(100 + g), rows_stable(), rows_volatile() FROM generate_series(1, 3) g;
SELECT count(*), add_row(200), count(*) FROM nokey;
SELECT add_row(id) FROM nokey WHERE id <= 3 ORDER BY id;
SELECT count(*) FROM nokey WHERE rows_volatile() > 0;
SELECT id, change_row(id), a FROM t ORDER BY id;
SELECT id, a FROM t ORDER BY id;
SELECT change_row(6), change_row(6), (SELECT a FROM t WHERE id = 6), change_row(6);
-- fails: the function changed the row that the statement is to change
UPDATE t SET a = change_row(id) + 100 WHERE id = 6;
-- fails: the same
DELETE FROM t WHERE id = 6 AND change_row(id) > 0;
UPDATE t SET a = change_row(7) + 100 WHERE id = 6;
SELECT id, a FROM t ORDER BY id;
UPDATE nokey SET a = rows_volatile() + add_row(0) WHERE id = 4;
SELECT count(*), max(a) FROM nokey;

-- Triggers.
CREATE TABLE log (n int GENERATED ALWAYS AS IDENTITY, what text, seen text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log (what, seen) SELECT concat_ws(' ', TG_WHEN, TG_OP, TG_LEVEL), string_agg(id || ':' || a, ' ' ORDER BY id) FROM t;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
TRUNCATE t;
INSERT INTO t SELECT g, g FROM generate_series(1, 3) g;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER before_statement BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION see();
CREATE TRIGGER after_statement AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION see();
INSERT INTO t VALUES (4, 4), (5, 5);
UPDATE t SET a = a + 10 WHERE id IN (2, 4);
DELETE FROM t WHERE id IN (1, 5);
WITH u AS (UPDATE t SET a = 0 WHERE id = 2 RETURNING id) INSERT INTO t SELECT id + 10, 12 FROM u;
COPY t (id, a) FROM stdin;
20	20
21	21
\.
SELECT what, seen FROM log ORDER BY n;
TRUNCATE log;
DROP TRIGGER before_row ON t;
DROP TRIGGER after_row ON t;
DROP TRIGGER before_statement ON t;
DROP TRIGGER after_statement ON t;
-- A trigger that changes other rows of the table, and the same row.
CREATE FUNCTION neighbour() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 3 THEN
        UPDATE t SET a = a + 1000 WHERE id = NEW.id + 1;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER after_row AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION neighbour();
UPDATE t SET a = 1 WHERE id IN (3, 20);
SELECT id, a FROM t ORDER BY id;
UPDATE t SET a = a + 1;
SELECT id, a FROM t ORDER BY id;
DROP TRIGGER after_row ON t;
CREATE TRIGGER before_row BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION neighbour();
UPDATE t SET a = 1 WHERE id IN (3, 12);
SELECT id, a FROM t ORDER BY id;
-- fails: a trigger has changed a row that is still to be changed
UPDATE t SET a = a + 1 WHERE id IN (20, 21);
SELECT id, a FROM t ORDER BY id;
DROP TRIGGER before_row ON t;

-- Cursors see what was there when they were opened.
TRUNCATE t;
INSERT INTO t SELECT g, g FROM generate_series(1, 6) g;
BEGIN;
INSERT INTO t VALUES (7, 7);
DECLARE c SCROLL CURSOR FOR SELECT id, a FROM t ORDER BY id;
FETCH 2 FROM c;
UPDATE t SET a = a + 100 WHERE id IN (1, 3, 7);
DELETE FROM t WHERE id IN (2, 4);
INSERT INTO t VALUES (0, 0), (8, 8);
SAVEPOINT s;
UPDATE t SET id = id + 50;
FETCH 2 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
FETCH BACKWARD 3 FROM c;
DECLARE d CURSOR FOR SELECT id, a FROM t ORDER BY id;
FETCH 2 FROM d;
ROLLBACK TO s;
-- fails: it went with the savepoint
FETCH 1 FROM d;
ROLLBACK TO s;
FETCH ALL FROM c;
FETCH FIRST FROM c;
FETCH ABSOLUTE -2 FROM c;
RELEASE s;
SAVEPOINT s;
DECLARE e CURSOR FOR SELECT id, a FROM t ORDER BY id;
FETCH 2 FROM e;
RELEASE s;
UPDATE t SET a = -1;
FETCH ALL FROM e;
ROLLBACK;
BEGIN;
DELETE FROM t WHERE id > 4;
DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT id, a FROM t ORDER BY id;
UPDATE t SET a = 55;
FETCH 1 FROM h;
COMMIT;
DELETE FROM t WHERE id = 3;
FETCH ALL FROM h;
FETCH BACKWARD ALL FROM h;
CLOSE h;
BEGIN;
SAVEPOINT s;
DECLARE h CURSOR WITH HOLD FOR SELECT id, a FROM t ORDER BY id;
ROLLBACK TO s;
COMMIT;
-- fails: it went with the savepoint
FETCH 1 FROM h;
-- A cursor that was opened before a savepoint and used in the part that is undone.
BEGIN;
DECLARE c CURSOR FOR SELECT id, a FROM t ORDER BY id;
SAVEPOINT s;
INSERT INTO t VALUES (3, 333);
FETCH 2 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
COMMIT;
-- Loops over what they change.
DO $$
DECLARE
    r record;
    n int := 0;
BEGIN
    FOR r IN SELECT id, a FROM t ORDER BY id LOOP
        n := n + 1;
        INSERT INTO t VALUES (r.id + 100, n);
        BEGIN
            UPDATE t SET a = 1000 WHERE id = r.id + 1;
            IF n % 2 = 0 THEN RAISE EXCEPTION 'undone'; END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
    RAISE NOTICE '% rounds', n;
END
$$;
SELECT id, a FROM t ORDER BY id;
DO $$
DECLARE
    c CURSOR FOR SELECT id, a FROM t ORDER BY id FOR UPDATE;
    n int := 0;
BEGIN
    FOR r IN c LOOP
        BEGIN
            UPDATE t SET a = a + 1 WHERE id = r.id;
            n := n + 1;
            IF n % 2 = 0 THEN RAISE EXCEPTION 'undone'; END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END
$$;
SELECT id, a FROM t ORDER BY id;
