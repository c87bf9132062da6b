-- ALTER TABLE on tables that have rows.

CREATE STORED TABLE t (id int NOT NULL, a int, b text, c numeric) KEY (id);
INSERT INTO t SELECT g, g * 10, 'b' || g, g / 4.0 FROM generate_series(1, 6) g;

-- Columns that are added: nullable, with defaults of all kinds, not null.
ALTER STORED TABLE t ADD COLUMN d int;
SELECT * FROM t ORDER BY id;
INSERT INTO t VALUES (7, 70, 'b7', 1.75, 7);
UPDATE t SET d = 3 WHERE id = 3;
ALTER STORED TABLE t ADD COLUMN e text DEFAULT 'default';
ALTER STORED TABLE t ADD COLUMN f int NOT NULL DEFAULT 42;
ALTER STORED TABLE t ADD COLUMN g timestamptz DEFAULT '2024-01-01 00:00+00', ADD COLUMN h int[] DEFAULT '{1,2}';
INSERT INTO t (id) VALUES (8);
INSERT INTO t (id, e, f) VALUES (9, NULL, 0);
UPDATE t SET a = 0 WHERE id = 1;
SELECT * FROM t ORDER BY id;
SELECT id FROM t WHERE e = 'default' AND f = 42 AND id < 4 ORDER BY id;
SELECT sum(f), count(e), count(d), min(g) FROM t;
ALTER STORED TABLE t ALTER COLUMN f SET DEFAULT 43;
INSERT INTO t (id) VALUES (10);
SELECT id, f FROM t WHERE id IN (1, 8, 10) ORDER BY id;
ALTER STORED TABLE t ALTER COLUMN f DROP DEFAULT;
-- fails: no default any more
INSERT INTO t (id) VALUES (11);
-- fails: the rows that are there would be null
ALTER STORED TABLE t ADD COLUMN i int NOT NULL;
SELECT id, f FROM t WHERE id < 3 ORDER BY id;
UPDATE t SET f = f;
SELECT id, e, f, h FROM t ORDER BY id;

-- Columns that are dropped, and added again under the same name.
ALTER STORED TABLE t DROP COLUMN b;
SELECT * FROM t WHERE id IN (1, 8) ORDER BY id;
-- fails: it is gone
SELECT b FROM t;
INSERT INTO t (id, a, f) VALUES (12, 120, 12);
ALTER STORED TABLE t ADD COLUMN b int;
SELECT id, a, b FROM t ORDER BY id;
UPDATE t SET b = id WHERE id % 2 = 0;
SELECT id, a, b FROM t ORDER BY id;
ALTER STORED TABLE t DROP COLUMN g, DROP COLUMN h, DROP COLUMN d;
SELECT * FROM t ORDER BY id;

-- Names.
ALTER STORED TABLE t RENAME COLUMN a TO alpha;
SELECT id, alpha FROM t WHERE alpha = 20;
ALTER STORED TABLE t RENAME COLUMN id TO key;
SELECT key, alpha FROM t WHERE key = 2;
SELECT key FROM t WHERE key BETWEEN 3 AND 5 ORDER BY key;
-- fails: duplicate
INSERT INTO t (key, f) VALUES (2, 1);
ALTER STORED TABLE t RENAME TO renamed;
SELECT count(*) FROM renamed;
CREATE SCHEMA elsewhere;
ALTER STORED TABLE renamed SET SCHEMA elsewhere;
SELECT count(*), sum(key) FROM elsewhere.renamed;
INSERT INTO elsewhere.renamed (key, f) VALUES (100, 1);
ALTER SCHEMA elsewhere RENAME TO other;
SELECT count(*) FROM other.renamed WHERE key = 100;
ALTER STORED TABLE other.renamed SET SCHEMA public;
ALTER STORED TABLE renamed RENAME TO t;
ALTER STORED TABLE t RENAME COLUMN key TO id;
SELECT count(*) FROM t;

-- Types.
CREATE STORED TABLE ty (id int NOT NULL, a int, b varchar(5), c text, d numeric, e timestamptz) KEY (id);
INSERT INTO ty SELECT g, g, 'b' || g, g::text, g / 8.0, '2024-01-01 00:00+00' FROM generate_series(1, 4) g;
INSERT INTO ty VALUES (5);
ALTER STORED TABLE ty ALTER COLUMN a TYPE bigint;
SELECT id, a FROM ty WHERE a > 2 ORDER BY id;
INSERT INTO ty (id, a) VALUES (6, 3000000000);
SELECT id, a, pg_typeof(a) FROM ty ORDER BY id;
ALTER STORED TABLE ty ALTER COLUMN a TYPE text;
SELECT id, a || '!' AS a FROM ty ORDER BY id;
ALTER STORED TABLE ty ALTER COLUMN b TYPE varchar(20);
INSERT INTO ty (id, b) VALUES (7, 'longer than five');
ALTER STORED TABLE ty ALTER COLUMN b TYPE text;
SELECT id, b FROM ty ORDER BY id;
ALTER STORED TABLE ty ALTER COLUMN d TYPE numeric(6,1);
SELECT id, d FROM ty ORDER BY id;
ALTER STORED TABLE ty ALTER COLUMN e TYPE timestamp;
SELECT id, e FROM ty WHERE e IS NOT NULL ORDER BY id;
-- fails: too long
ALTER STORED TABLE ty ALTER COLUMN b TYPE varchar(3);
SELECT count(b) FROM ty;
BEGIN;
ALTER STORED TABLE ty ALTER COLUMN d TYPE int;
INSERT INTO ty (id, d) VALUES (8, 8);
SELECT id, d FROM ty ORDER BY id;
ROLLBACK;
SELECT id, d FROM ty ORDER BY id;

-- NOT NULL and checks: the rows that are there must hold them.
CREATE STORED TABLE k (id int NOT NULL, a int, b int) KEY (id);
INSERT INTO k VALUES (1, 1, 1), (2, NULL, 2), (3, -3, 3);
-- fails: there is a null
ALTER STORED TABLE k ALTER COLUMN a SET NOT NULL;
ALTER STORED TABLE k ALTER COLUMN b SET NOT NULL;
-- fails: not null
INSERT INTO k VALUES (4, 4, NULL);
ALTER STORED TABLE k ALTER COLUMN b DROP NOT NULL;
INSERT INTO k VALUES (4, 4, NULL);
-- fails: a row violates it
ALTER STORED TABLE k ADD CONSTRAINT positive CHECK (a > 0);
SELECT * FROM k ORDER BY id;
SELECT * FROM k WHERE a < 0;
ALTER STORED TABLE k ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
SELECT * FROM k WHERE a < 0;
-- fails: the new constraint
INSERT INTO k VALUES (5, -5, 5);
-- fails: the new constraint
UPDATE k SET b = 0 WHERE id = 3;
-- fails: a row violates it
ALTER STORED TABLE k VALIDATE CONSTRAINT positive;
UPDATE k SET a = 3 WHERE id = 3;
ALTER STORED TABLE k VALIDATE CONSTRAINT positive;
ALTER STORED TABLE k DROP CONSTRAINT positive;
INSERT INTO k VALUES (5, -5, 5);
ALTER STORED TABLE k ADD CONSTRAINT small CHECK (b < 100), ADD COLUMN c int DEFAULT 1 CHECK (c > 0);
SELECT * FROM k ORDER BY id;
-- fails: the constraint of the new column
UPDATE k SET c = 0;
-- fails: of two changes one cannot be
ALTER STORED TABLE k ADD COLUMN d int, ADD CHECK (a > 1000);
-- fails: so the other is not there
SELECT d FROM k;
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE STORED TABLE dom (id int NOT NULL, v small) KEY (id);
INSERT INTO dom VALUES (1, 9);
-- fails: a row violates it
ALTER DOMAIN small ADD CONSTRAINT smaller CHECK (VALUE < 5);
-- fails: the column has a value
ALTER DOMAIN small ADD CONSTRAINT none CHECK (VALUE IS NULL);
ALTER DOMAIN small ADD CONSTRAINT least CHECK (VALUE > 0);
INSERT INTO dom VALUES (2, NULL);
-- fails: there is a null
ALTER DOMAIN small SET NOT NULL;
SELECT * FROM dom ORDER BY id;

-- In transactions that do not come to their end.
CREATE STORED TABLE x (id int NOT NULL, v text) KEY (id);
INSERT INTO x VALUES (1, 'one'), (2, 'two');
BEGIN;
ALTER STORED TABLE x ADD COLUMN w int DEFAULT 5;
INSERT INTO x VALUES (3, 'three', 6);
UPDATE x SET v = 'changed';
SELECT * FROM x ORDER BY id;
ALTER STORED TABLE x DROP COLUMN v;
SELECT * FROM x ORDER BY id;
ROLLBACK;
SELECT * FROM x ORDER BY id;
BEGIN;
SAVEPOINT a;
DROP STORED TABLE x;
ROLLBACK TO a;
SELECT count(*) FROM x;
SAVEPOINT b;
ALTER STORED TABLE x RENAME TO y;
INSERT INTO y VALUES (4, 'four');
ROLLBACK TO b;
INSERT INTO x VALUES (5, 'five');
COMMIT;
SELECT * FROM x ORDER BY id;
BEGIN;
CREATE STORED TABLE brief (id int NOT NULL) KEY (id);
INSERT INTO brief VALUES (1);
ALTER STORED TABLE brief ADD COLUMN v int DEFAULT 3;
SELECT * FROM brief;
ROLLBACK;
-- fails: it was never there
SELECT * FROM brief;
BEGIN;
CREATE STORED TABLE brief (id int NOT NULL) KEY (id);
INSERT INTO brief VALUES (1);
COMMIT;
DROP STORED TABLE brief;
CREATE STORED TABLE brief (id int NOT NULL, other text) KEY (id);
SELECT * FROM brief;
BEGIN;
DROP STORED TABLE brief;
CREATE STORED TABLE brief (id bigint NOT NULL) KEY (id DESC);
INSERT INTO brief VALUES (7);
COMMIT;
SELECT * FROM brief;

-- Many versions of one table, rows of each.
CREATE STORED TABLE v (id int NOT NULL) KEY (id);
DO $$
BEGIN
    FOR i IN 1..12 LOOP
        EXECUTE format('INSERT INTO v (id) VALUES (%s)', i);
        EXECUTE format('ALTER TABLE v ADD COLUMN c%s int DEFAULT %s', i, i * 100);
    END LOOP;
END
$$;
SELECT * FROM v ORDER BY id;
DO $$
BEGIN
    FOR i IN 1..12 BY 2 LOOP
        EXECUTE format('ALTER TABLE v DROP COLUMN c%s', i);
    END LOOP;
END
$$;
SELECT * FROM v ORDER BY id;
UPDATE v SET c2 = -1 WHERE id % 3 = 0;
SELECT sum(c2), sum(c12), count(*) FROM v;

-- A new column of a domain: a null in the rows that are there must be one of its values.
CREATE DOMAIN some_text AS text NOT NULL;
CREATE DOMAIN positive AS int CHECK (VALUE IS NOT NULL AND VALUE > 0);
CREATE DOMAIN lax AS int CHECK (VALUE > 0);
CREATE DOMAIN five AS int NOT NULL DEFAULT 5;
CREATE STORED TABLE of_domains (id int NOT NULL) KEY (id);
ALTER STORED TABLE of_domains ADD COLUMN none some_text;
ALTER STORED TABLE of_domains DROP COLUMN none;
INSERT INTO of_domains VALUES (1), (2);
-- fails: null
ALTER STORED TABLE of_domains ADD COLUMN a some_text;
-- fails: null
ALTER STORED TABLE of_domains ADD COLUMN b positive;
-- fails: not positive
ALTER STORED TABLE of_domains ADD COLUMN b positive DEFAULT -1;
ALTER STORED TABLE of_domains ADD COLUMN c lax;
ALTER STORED TABLE of_domains ADD COLUMN d five;
ALTER STORED TABLE of_domains ADD COLUMN e some_text DEFAULT 'e';
SELECT * FROM of_domains ORDER BY id;

-- tableoid in what is computed when rows are stored anew or looked at.
CREATE STORED TABLE of_itself (a int NOT NULL, b bool GENERATED ALWAYS AS (tableoid = 'of_itself'::regclass) STORED) KEY (a);
INSERT INTO of_itself VALUES (1), (2);
ALTER STORED TABLE of_itself ADD COLUMN c regclass GENERATED ALWAYS AS (tableoid::regclass) STORED;
UPDATE of_itself SET a = a + 2 WHERE a = 2;
SELECT * FROM of_itself ORDER BY a;
ALTER STORED TABLE of_itself ADD CHECK (tableoid = 'of_itself'::regclass);
-- fails: it is the table's
ALTER STORED TABLE of_itself ADD CHECK (tableoid <> 'of_itself'::regclass);
