-- DDL that is about other things than a table, and reaches stored tables.

-- Composite types and row types of columns.
CREATE TYPE pair AS (a int, b int);
CREATE TABLE owner (x int, y int);
CREATE DOMAIN pair_domain AS pair;
CREATE STORED TABLE t (id int NOT NULL, p pair, o owner, l pair[], d pair_domain) KEY (id);
INSERT INTO t VALUES (1, (1, 2), (3, 4), ARRAY[(5, 6)::pair], (7, 8)), (2, NULL, NULL, NULL, NULL);
-- fails: a column uses it
ALTER TYPE pair ALTER ATTRIBUTE a TYPE text;
-- fails: a column uses it
ALTER TABLE owner ALTER COLUMN x TYPE text;
SELECT * FROM t ORDER BY id;
ALTER TYPE pair ADD ATTRIBUTE c int;
ALTER TABLE owner ADD COLUMN z int;
SELECT * FROM t ORDER BY id;
-- fails: a column uses it
ALTER TABLE owner ADD COLUMN w int DEFAULT 5;
SELECT (p).a, (p).c, (o).x, (o).z, (l[1]).b, (d).a FROM t ORDER BY id;
INSERT INTO t VALUES (3, (1, 2, 3), (3, 4, 5), ARRAY[(5, 6, 7)::pair], (7, 8, 9));
ALTER TYPE pair DROP ATTRIBUTE b;
SELECT * FROM t ORDER BY id;
ALTER TYPE pair RENAME ATTRIBUTE a TO alpha;
SELECT (p).alpha FROM t ORDER BY id;
DROP STORED TABLE t;

-- Enums.
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE STORED TABLE m (id mood NOT NULL, v mood) KEY (id);
INSERT INTO m VALUES ('happy', 'sad');
ALTER TYPE mood ADD VALUE 'between' BEFORE 'happy';
INSERT INTO m VALUES ('between', 'between');
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
SELECT * FROM m ORDER BY id;
SELECT * FROM m WHERE id = 'between';
DROP STORED TABLE m;

-- Domains: a new constraint looks at own rows too.
CREATE DOMAIN small AS int;
CREATE STORED TABLE s (id int NOT NULL, v small) KEY (id);
BEGIN;
INSERT INTO s VALUES (1, 100);
SAVEPOINT a;
-- fails: an own row breaks it
ALTER DOMAIN small ADD CHECK (VALUE < 100);
ROLLBACK TO a;
ALTER DOMAIN small ADD CHECK (VALUE < 101);
SAVEPOINT a;
-- fails: it holds
INSERT INTO s VALUES (2, 101);
ROLLBACK TO a;
COMMIT;
SELECT * FROM s;
DROP STORED TABLE s;
DROP DOMAIN small;

-- Defaults and checks that look at the table itself.
CREATE STORED TABLE t (id int NOT NULL, a int) KEY (id);
INSERT INTO t SELECT g, g FROM generate_series(1, 4) g;
CREATE FUNCTION rows_of_t() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM t); END $$;
BEGIN;
INSERT INTO t VALUES (5, 5);
ALTER STORED TABLE t ADD COLUMN r text DEFAULT clock_timestamp()::text;
SELECT count(r) FROM t;
ALTER STORED TABLE t ADD CONSTRAINT many CHECK (rows_of_t() >= 0);
INSERT INTO t VALUES (6, 6);
ROLLBACK;
CREATE SEQUENCE numbers;
ALTER STORED TABLE t ADD COLUMN n int DEFAULT nextval('numbers');
SELECT count(DISTINCT n), min(n), max(n) FROM t;
ALTER STORED TABLE t DROP COLUMN n;
DROP SEQUENCE numbers;

-- Event triggers that use the table that was just made.
CREATE FUNCTION fill_it() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
        IF r.command_tag ~ '^CREATE.* TABLE$' THEN
            EXECUTE format('INSERT INTO %s VALUES (1), (2)', r.object_identity);
        ELSIF r.command_tag ~ '^ALTER.* TABLE$' THEN
            EXECUTE format('INSERT INTO %s SELECT max(id) + 1 FROM %s', r.object_identity, r.object_identity);
        END IF;
    END LOOP;
END
$$;
CREATE EVENT TRIGGER fill ON ddl_command_end EXECUTE FUNCTION fill_it();
CREATE STORED TABLE filled (id int NOT NULL) KEY (id);
SELECT * FROM filled ORDER BY id;
ALTER STORED TABLE filled ADD COLUMN v int DEFAULT 3;
SELECT id FROM filled ORDER BY id;
ALTER STORED TABLE filled ALTER COLUMN v TYPE text;
SELECT id FROM filled ORDER BY id;
BEGIN;
CREATE STORED TABLE filled2 (id int NOT NULL) KEY (id);
SELECT * FROM filled2 ORDER BY id;
ROLLBACK;
DROP EVENT TRIGGER fill;
SELECT id FROM filled ORDER BY id;
DROP STORED TABLE filled;

-- Triggers that do DDL.
CREATE FUNCTION alter_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE t ADD COLUMN never int;
    RETURN NEW;
END
$$;
CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION alter_it();
-- fails: it is in use
INSERT INTO t VALUES (7, 7);
DROP TRIGGER a ON t;
CREATE FUNCTION truncate_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE t;
    RETURN NULL;
END
$$;
CREATE TRIGGER a AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION truncate_it();
-- fails: it is in use
INSERT INTO t VALUES (7, 7);
SELECT count(*) FROM t;
ALTER STORED TABLE t DISABLE TRIGGER a;
INSERT INTO t VALUES (7, 7);
SELECT count(*) FROM t;
DROP TRIGGER a ON t;

-- Procedures that commit, between DDL and rows.
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT id FROM t ORDER BY id LOOP
        UPDATE t SET a = a + 100 WHERE id = r.id;
        IF r.id % 2 = 0 THEN
            COMMIT;
        ELSIF r.id = 3 THEN
            ROLLBACK;
        END IF;
    END LOOP;
    COMMIT;
    ALTER TABLE t ADD COLUMN c int DEFAULT 1;
    UPDATE t SET c = id;
    ROLLBACK;
    TRUNCATE t;
    INSERT INTO t VALUES (1, 1);
    COMMIT;
    INSERT INTO t VALUES (2, 2);
    ROLLBACK;
END
$$;
BEGIN;
SELECT id, a FROM t ORDER BY id;
COMMIT;
CALL steps();
SELECT * FROM t ORDER BY id;
BEGIN;
INSERT INTO t VALUES (10, 10);
COMMIT AND CHAIN;
INSERT INTO t VALUES (11, 11);
ROLLBACK AND CHAIN;
INSERT INTO t VALUES (12, 12);
COMMIT;
SELECT * FROM t ORDER BY id;

-- What is made of a stored table.
CREATE TABLE copied AS SELECT * FROM t;
CREATE MATERIALIZED VIEW seen AS SELECT id, a FROM t;
CREATE UNIQUE INDEX ON seen (id);
BEGIN;
UPDATE t SET a = 0;
REFRESH MATERIALIZED VIEW seen;
SELECT sum(a) FROM seen;
ROLLBACK;
UPDATE t SET a = a + 1;
REFRESH MATERIALIZED VIEW CONCURRENTLY seen;
SELECT * FROM seen ORDER BY id;
SELECT count(*) FROM copied;
-- fails: a view depends on it
ALTER STORED TABLE t ALTER COLUMN a TYPE text;
-- fails: a view depends on it
DROP STORED TABLE t;
BEGIN;
SET client_min_messages = warning;
DROP SCHEMA public CASCADE;
ROLLBACK;
SELECT count(*) FROM t;
SELECT count(*) FROM seen;

-- Owners.
CREATE ROLE compare_first;
CREATE ROLE compare_second;
CREATE STORED TABLE owned (id int NOT NULL) KEY (id);
INSERT INTO owned VALUES (1);
ALTER STORED TABLE owned OWNER TO compare_first;
BEGIN;
REASSIGN OWNED BY compare_first TO compare_second;
INSERT INTO owned VALUES (2);
SAVEPOINT s;
DROP OWNED BY compare_second;
SELECT count(*) FROM pg_class WHERE relname = 'owned';
ROLLBACK TO s;
SELECT * FROM owned ORDER BY id;
ROLLBACK;
DROP OWNED BY compare_first;
SELECT count(*) FROM pg_class WHERE relname = 'owned';
DROP ROLE compare_first;
DROP ROLE compare_second;

-- A session's caches are thrown away.
PREPARE q AS SELECT count(*) FROM t;
EXECUTE q;
DISCARD PLANS;
EXECUTE q;
DISCARD ALL;
SELECT count(*) FROM t;
ANALYZE t;
BEGIN;
INSERT INTO t VALUES (20, 20);
ANALYZE t;
SELECT count(*) FROM t;
ROLLBACK;
SELECT count(*) FROM t;
