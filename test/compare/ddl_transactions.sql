-- DDL inside transactions: undone by ROLLBACK, ROLLBACK TO and exception blocks,
-- mixed with changes of rows before, between and after.

CREATE STORED TABLE t (id int NOT NULL, a int, b text) KEY (id);
INSERT INTO t SELECT g, g * 10, 'b' || g FROM generate_series(1, 5) g;
CREATE VIEW columns AS
    SELECT attrelid::regclass AS tab, attnum, attname, format_type(atttypid, atttypmod) AS type, attnotnull, atthasdef
    FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relname ~ '^t[0-9]*$') AND attnum > 0 AND NOT attisdropped
    ORDER BY 1, 2;

-- Own writes, then an ALTER that rewrites, then more writes; undone in steps.
BEGIN;
INSERT INTO t VALUES (6, 60, 'new');
UPDATE t SET a = a + 1 WHERE id = 1;
DELETE FROM t WHERE id = 2;
SAVEPOINT s1;
ALTER STORED TABLE t ADD COLUMN c int DEFAULT 7;
SELECT * FROM t ORDER BY id;
UPDATE t SET c = id WHERE id IN (1, 6);
INSERT INTO t VALUES (7, 70, 'seven', 77);
SAVEPOINT s2;
ALTER STORED TABLE t ALTER COLUMN a TYPE text;
UPDATE t SET a = a || '!' WHERE id < 4;
DELETE FROM t WHERE id = 7;
SELECT * FROM t ORDER BY id;
SAVEPOINT s3;
ALTER STORED TABLE t DROP COLUMN b;
SELECT * FROM t ORDER BY id;
ROLLBACK TO s3;
SELECT * FROM t ORDER BY id;
ROLLBACK TO s2;
SELECT * FROM t ORDER BY id;
INSERT INTO t VALUES (8, 80, 'eight', 88);
ROLLBACK TO s1;
SELECT * FROM t ORDER BY id;
SELECT * FROM columns;
COMMIT;
SELECT * FROM t ORDER BY id;
SELECT * FROM columns;

-- Released savepoints inside one that is rolled back, and one that commits.
BEGIN;
SAVEPOINT outside;
SAVEPOINT inside;
ALTER STORED TABLE t ADD COLUMN d text DEFAULT 'd';
UPDATE t SET d = 'changed' WHERE id = 3;
RELEASE inside;
SELECT * FROM t ORDER BY id;
SAVEPOINT inside;
ALTER STORED TABLE t ALTER COLUMN a TYPE bigint;
INSERT INTO t VALUES (20, 5000000000, 'big', 'd2');
RELEASE inside;
SELECT * FROM t ORDER BY id;
ROLLBACK TO outside;
SELECT * FROM t ORDER BY id;
SAVEPOINT inside;
ALTER STORED TABLE t ALTER COLUMN a TYPE numeric(10, 2);
SAVEPOINT deeper;
TRUNCATE t;
INSERT INTO t VALUES (30, 1.5, 'truncated');
SELECT * FROM t ORDER BY id;
ROLLBACK TO deeper;
RELEASE inside;
SELECT * FROM t ORDER BY id;
COMMIT;
SELECT * FROM t ORDER BY id;
SELECT * FROM columns;
ALTER STORED TABLE t ALTER COLUMN a TYPE int;

-- TRUNCATE, with rows before and after.
BEGIN;
INSERT INTO t VALUES (40, 400, 'forty');
TRUNCATE t;
SELECT count(*) FROM t;
INSERT INTO t VALUES (40, 401, 'again'), (1, 11, 'one');
SAVEPOINT s;
INSERT INTO t VALUES (41, 410, 'x');
TRUNCATE t;
INSERT INTO t VALUES (41, 411, 'y');
SELECT * FROM t ORDER BY id;
ROLLBACK TO s;
SELECT * FROM t ORDER BY id;
-- fails: it is there
INSERT INTO t VALUES (40, 0, 'duplicate');
ROLLBACK TO s;
INSERT INTO t VALUES (41, 412, 'z');
SELECT * FROM t ORDER BY id;
ROLLBACK;
SELECT * FROM t ORDER BY id;
BEGIN;
SAVEPOINT s;
TRUNCATE t;
INSERT INTO t VALUES (1, 1, 'lost');
ROLLBACK TO s;
UPDATE t SET b = b || '+' WHERE id = 1;
RELEASE s;
COMMIT;
SELECT * FROM t ORDER BY id;

-- TRUNCATE of several, restarting identities.
CREATE STORED TABLE t2 (id int GENERATED ALWAYS AS IDENTITY NOT NULL, v int) KEY (id);
INSERT INTO t2 (v) VALUES (1), (2), (3);
BEGIN;
TRUNCATE t, t2 RESTART IDENTITY;
INSERT INTO t2 (v) VALUES (10) RETURNING *;
SELECT count(*) FROM t;
ROLLBACK;
INSERT INTO t2 (v) VALUES (20) RETURNING *;
SELECT count(*) FROM t;

-- DROP and CREATE of the same name.
BEGIN;
DROP STORED TABLE t2;
-- fails: it is gone
SELECT * FROM t2;
ROLLBACK;
SELECT * FROM t2 ORDER BY id;
BEGIN;
INSERT INTO t2 (v) VALUES (30);
DROP STORED TABLE t2;
CREATE STORED TABLE t2 (name text NOT NULL, n int) KEY (name);
INSERT INTO t2 VALUES ('a', 1), ('b', 2);
SAVEPOINT s;
DROP STORED TABLE t2;
CREATE STORED TABLE t2 (x bigint);
INSERT INTO t2 VALUES (1), (1);
SELECT * FROM t2;
ROLLBACK TO s;
SELECT * FROM t2 ORDER BY name;
-- fails: a duplicate
INSERT INTO t2 VALUES ('a', 3);
ROLLBACK;
SELECT id, v FROM t2 ORDER BY id;
BEGIN;
DROP STORED TABLE t2;
CREATE STORED TABLE t2 (name text NOT NULL, n int) KEY (name);
INSERT INTO t2 VALUES ('a', 1), ('b', 2);
COMMIT;
SELECT * FROM t2 ORDER BY name;

-- CREATE, COPY and DROP in one transaction.
BEGIN;
CREATE STORED TABLE t3 (id int NOT NULL, v text) KEY (id);
COPY t3 FROM stdin;
1	one
2	two
\.
SELECT * FROM t3 ORDER BY id;
UPDATE t3 SET v = v || v;
COPY (SELECT * FROM t3 ORDER BY id) TO stdout;
DROP STORED TABLE t3;
COMMIT;
-- fails: it never was
SELECT * FROM t3;
BEGIN;
CREATE STORED TABLE t3 (id int NOT NULL, v text) KEY (id);
COPY t3 FROM stdin;
1	one
2	two
\.
SAVEPOINT s;
-- fails: a duplicate
COPY t3 FROM stdin;
3	three
2	two
\.
ROLLBACK TO s;
COPY t3 FROM stdin;
3	three
\.
DROP STORED TABLE t3;
ROLLBACK TO s;
SELECT * FROM t3 ORDER BY id;
COMMIT;
SELECT * FROM t3 ORDER BY id;
BEGIN;
DROP STORED TABLE t3;
COMMIT;

-- Errors in the middle.
BEGIN;
ALTER STORED TABLE t ADD COLUMN e int DEFAULT 1;
INSERT INTO t VALUES (50, 500, 'fifty', 2);
-- fails: no such column
ALTER STORED TABLE t DROP COLUMN nothing;
-- fails: aborted
SELECT 1;
COMMIT;
SELECT * FROM t ORDER BY id;
BEGIN;
INSERT INTO t VALUES (50, NULL, 'fifty');
SAVEPOINT s;
-- fails: an own row is null
ALTER STORED TABLE t ALTER COLUMN a SET NOT NULL;
ROLLBACK TO s;
-- fails: an own row breaks it
ALTER STORED TABLE t ADD CONSTRAINT small CHECK (id < 50);
ROLLBACK TO s;
DELETE FROM t WHERE id = 50;
ALTER STORED TABLE t ALTER COLUMN a SET NOT NULL;
ALTER STORED TABLE t ADD CONSTRAINT small CHECK (id < 50);
SAVEPOINT s4;
-- fails: null
INSERT INTO t VALUES (49, NULL, 'x');
ROLLBACK TO s4;
-- fails: the check
INSERT INTO t VALUES (51, 1, 'x');
ROLLBACK TO s4;
-- fails: a cast that fails for one row
ALTER STORED TABLE t ADD COLUMN f int DEFAULT 1, ALTER COLUMN b TYPE varchar(1);
ROLLBACK TO s4;
SELECT * FROM columns WHERE tab = 't'::regclass;
ROLLBACK TO s;
INSERT INTO t VALUES (52, NULL, 'both gone');
SELECT * FROM columns WHERE tab = 't'::regclass;
ROLLBACK;
SELECT * FROM t ORDER BY id;

-- Defaults, not null, checks, undone.
BEGIN;
ALTER STORED TABLE t ALTER COLUMN a SET DEFAULT 99;
INSERT INTO t (id) VALUES (60);
SAVEPOINT s;
ALTER STORED TABLE t ALTER COLUMN a DROP DEFAULT;
INSERT INTO t (id) VALUES (61);
ROLLBACK TO s;
INSERT INTO t (id) VALUES (62);
SELECT * FROM t WHERE id >= 60 ORDER BY id;
ROLLBACK;
BEGIN;
ALTER STORED TABLE t ADD CONSTRAINT positive CHECK (a > 0);
SAVEPOINT s;
ALTER STORED TABLE t DROP CONSTRAINT positive;
INSERT INTO t VALUES (63, -1, 'negative');
SAVEPOINT s5;
-- fails: that row
ALTER STORED TABLE t ADD CONSTRAINT positive CHECK (a > 0);
ROLLBACK TO s;
-- fails: it is back
INSERT INTO t VALUES (63, -1, 'negative');
ROLLBACK TO s;
COMMIT;
-- fails: it stayed
INSERT INTO t VALUES (63, -1, 'negative');
ALTER STORED TABLE t DROP CONSTRAINT positive;

-- Names, schemas, owners.
CREATE SCHEMA there;
BEGIN;
ALTER STORED TABLE t RENAME TO t9;
ALTER STORED TABLE t9 RENAME COLUMN id TO key;
INSERT INTO t9 VALUES (70, 700, 'seventy');
SAVEPOINT s;
ALTER STORED TABLE t9 SET SCHEMA there;
UPDATE there.t9 SET a = a + 1 WHERE key = 70;
ALTER STORED TABLE there.t9 RENAME COLUMN key TO other;
SELECT * FROM there.t9 WHERE other >= 5 ORDER BY other;
ROLLBACK TO s;
SELECT * FROM t9 WHERE key >= 5 ORDER BY key;
ROLLBACK;
SELECT * FROM t WHERE id >= 5 ORDER BY id;
BEGIN;
ALTER STORED TABLE t RENAME COLUMN id TO key;
SAVEPOINT s;
ALTER STORED TABLE t ALTER COLUMN key TYPE bigint;
ALTER STORED TABLE t RENAME COLUMN key TO k2;
INSERT INTO t VALUES (5000000000, 1, 'big key');
SELECT * FROM t WHERE k2 > 4 ORDER BY k2;
ROLLBACK TO s;
SELECT * FROM t WHERE key > 4 ORDER BY key;
COMMIT;
SELECT * FROM t WHERE key > 4 ORDER BY key;
ALTER STORED TABLE t RENAME COLUMN key TO id;
CREATE ROLE compare_owner;
BEGIN;
ALTER STORED TABLE t OWNER TO compare_owner;
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't';
UPDATE t SET a = a WHERE id = 1;
ROLLBACK;
SELECT pg_get_userbyid(relowner) = current_user FROM pg_class WHERE relname = 't';
DROP ROLE compare_owner;

-- Inheritance and partitions.
CREATE TABLE parent (id int NOT NULL, a int, b text);
BEGIN;
ALTER STORED TABLE t INHERIT parent;
-- fails: no such column
ALTER TABLE parent DROP COLUMN nothing;
ROLLBACK;
BEGIN;
ALTER STORED TABLE t ALTER COLUMN id SET NOT NULL;
ALTER STORED TABLE t INHERIT parent;
SELECT count(*) FROM parent;
SAVEPOINT s;
ALTER TABLE parent ADD COLUMN z int DEFAULT 5;
SELECT * FROM t ORDER BY id LIMIT 2;
ALTER TABLE parent ALTER COLUMN a TYPE bigint;
UPDATE parent SET z = z + id WHERE id < 3;
SELECT * FROM parent ORDER BY id;
ROLLBACK TO s;
SELECT * FROM t ORDER BY id LIMIT 2;
ALTER STORED TABLE t NO INHERIT parent;
SELECT count(*) FROM parent;
COMMIT;
SELECT * FROM columns WHERE tab = 't'::regclass;
CREATE TABLE parted (id int NOT NULL, a int, b text) PARTITION BY RANGE (id);
BEGIN;
SAVEPOINT s;
-- fails: rows beyond the bound
ALTER TABLE parted ATTACH PARTITION t FOR VALUES FROM (1) TO (3);
ROLLBACK TO s;
INSERT INTO t VALUES (150, 1, 'own');
-- fails: own rows beyond the bound
ALTER TABLE parted ATTACH PARTITION t FOR VALUES FROM (1) TO (100);
ROLLBACK TO s;
ALTER TABLE parted ATTACH PARTITION t FOR VALUES FROM (1) TO (100);
INSERT INTO parted VALUES (9, 90, 'routed');
SAVEPOINT s6;
-- fails: outside
INSERT INTO t VALUES (100, 1, 'x');
ROLLBACK TO s6;
ALTER TABLE parted DETACH PARTITION t;
INSERT INTO t VALUES (100, 1, 'x');
ROLLBACK TO s6;
SELECT count(*), max(id) FROM parted;
ROLLBACK;
SELECT count(*), max(id) FROM t;

-- Exception blocks and functions.
DO $$
BEGIN
    BEGIN
        ALTER TABLE t ADD COLUMN x int DEFAULT 3;
        UPDATE t SET x = id;
        RAISE EXCEPTION 'sum is %', (SELECT sum(x) FROM t);
    EXCEPTION WHEN raise_exception THEN
        RAISE NOTICE 'caught: %', SQLERRM;
    END;
    BEGIN
        TRUNCATE t;
        INSERT INTO t VALUES (1, 1, 'after truncate');
        PERFORM 1 / (SELECT count(*) - 1 FROM t);
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE 'caught: %, % rows', SQLERRM, (SELECT count(*) FROM t);
    END;
    BEGIN
        EXECUTE 'ALTER TABLE t ALTER COLUMN b TYPE int';
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE 'caught: %', SQLERRM;
    END;
    ALTER TABLE t ADD COLUMN y int DEFAULT 4;
    UPDATE t SET y = y + id;
END
$$;
SELECT * FROM t ORDER BY id;
CREATE FUNCTION sum_y() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT sum(y) FROM t);
END
$$;
CREATE FUNCTION add_column(name text, value int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE t ADD COLUMN %I int NOT NULL DEFAULT %s', name, value);
    EXECUTE format('UPDATE t SET %I = %I + id, y = y + 1', name, name);
    RETURN sum_y();
END
$$;
SELECT sum_y();
BEGIN;
SELECT add_column('p', 1);
SAVEPOINT s;
SELECT add_column('q', 2);
ROLLBACK TO s;
SELECT add_column('r', 3);
SELECT * FROM t ORDER BY id;
ROLLBACK;
SELECT * FROM t ORDER BY id;
SELECT sum_y();
DO $$
DECLARE
    n int;
BEGIN
    FOR i IN 1 .. 10 LOOP
        BEGIN
            EXECUTE format('ALTER TABLE t ADD COLUMN l%s int DEFAULT %s', i, i);
            EXECUTE format('UPDATE t SET y = y + l%s', i);
            IF i % 3 <> 0 THEN
                RAISE EXCEPTION 'not this one';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
    SELECT sum(y) INTO n FROM t;
    RAISE NOTICE '%', n;
END
$$;
SELECT * FROM t ORDER BY id;
SELECT * FROM columns WHERE tab = 't'::regclass;

-- Prepared plans across DDL.
PREPARE q(int) AS SELECT * FROM t WHERE id = $1;
PREPARE w(int) AS UPDATE t SET a = a + 1 WHERE id = $1 RETURNING id, a;
PREPARE n(int) AS INSERT INTO t (id, a) VALUES ($1, 0) RETURNING id, a, b;
EXECUTE w(1); EXECUTE w(1); EXECUTE w(1); EXECUTE w(1); EXECUTE w(1); EXECUTE w(1); EXECUTE w(1);
BEGIN;
ALTER STORED TABLE t ALTER COLUMN b SET DEFAULT 'default';
EXECUTE n(80);
SAVEPOINT s;
TRUNCATE t;
EXECUTE q(80);
EXECUTE w(80);
EXECUTE n(80);
EXECUTE w(80);
ROLLBACK TO s;
EXECUTE w(80);
EXECUTE q(80);
ROLLBACK;
EXECUTE q(80);
EXECUTE n(81);
ALTER STORED TABLE t ALTER COLUMN a TYPE numeric;
-- fails: the result has another type now
EXECUTE w(81);
-- fails: the result has another type now
EXECUTE q(81);
SELECT id, a FROM t WHERE id = 81;
ALTER STORED TABLE t ALTER COLUMN a TYPE int;
EXECUTE w(81);
EXECUTE q(81);
DEALLOCATE ALL;

-- Cursors across DDL.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id;
FETCH 2 FROM c;
SAVEPOINT s;
-- fails: a query uses it
TRUNCATE t;
ROLLBACK TO s;
FETCH 1 FROM c;
-- fails: a query uses it
ALTER STORED TABLE t ADD COLUMN never int DEFAULT 1;
ROLLBACK TO s;
-- fails: a query uses it
DROP STORED TABLE t;
ROLLBACK TO s;
FETCH 1 FROM c;
CLOSE c;
TRUNCATE t;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id;
FETCH ALL FROM c;
ROLLBACK TO s;
SELECT count(*) FROM t;
DECLARE held CURSOR WITH HOLD FOR SELECT id, a FROM t ORDER BY id;
FETCH 1 FROM held;
COMMIT;
TRUNCATE t;
FETCH 2 FROM held;
DROP STORED TABLE t;
FETCH ALL FROM held;
CLOSE held;

-- A table made and filled in one transaction that commits, by one query or COPY.
BEGIN;
CREATE STORED TABLE t (id int NOT NULL, a int, b text) KEY (id);
INSERT INTO t SELECT g, g, 'x' FROM generate_series(1, 1000) g;
SAVEPOINT s;
DELETE FROM t WHERE id % 2 = 0;
ALTER STORED TABLE t ADD COLUMN c int GENERATED ALWAYS AS (id * 2) STORED;
SELECT count(*), sum(c) FROM t;
ROLLBACK TO s;
SELECT count(*) FROM t;
ALTER STORED TABLE t ADD COLUMN c int GENERATED ALWAYS AS (id * 3) STORED;
COMMIT;
SELECT count(*), sum(c) FROM t;
BEGIN;
ALTER STORED TABLE t DROP COLUMN c;
ALTER STORED TABLE t ADD COLUMN c text DEFAULT 'c';
SELECT count(c), min(c) FROM t;
ALTER STORED TABLE t DROP COLUMN c, ADD COLUMN d int DEFAULT 1, ALTER COLUMN a TYPE bigint;
SELECT * FROM t WHERE id < 3 ORDER BY id;
ROLLBACK;
SELECT * FROM t WHERE id < 3 ORDER BY id;
