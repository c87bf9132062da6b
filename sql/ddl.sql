-- CREATE, ALTER, DROP and TRUNCATE of stored tables, and their undoing.
CREATE SCHEMA ddl;
SET search_path = ddl;
CREATE VIEW stored AS SELECT name, primary_key, schema_version, kept
    FROM kalam.tables WHERE namespace = 'ddl';

-- rolled back
BEGIN;
CREATE FOREIGN TABLE gone (k int) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO gone VALUES (1);
SELECT * FROM gone;
SELECT * FROM stored;
ROLLBACK;
SELECT * FROM stored;

CREATE FOREIGN TABLE a (k int, v text, w int) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO a VALUES (1, 'one', 10), (2, 'two', 20), (3, NULL, 30);
BEGIN;
DROP FOREIGN TABLE a;
SELECT * FROM stored;
CREATE FOREIGN TABLE a (k text) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO a VALUES ('another');
SELECT * FROM a;
ROLLBACK;
SELECT * FROM a;
SELECT * FROM stored;

-- TRUNCATE
BEGIN;
INSERT INTO a VALUES (4, 'four', 40);
TRUNCATE a;
SELECT count(*) FROM a;
INSERT INTO a VALUES (5, 'five', 50);
SAVEPOINT s;
TRUNCATE a;
INSERT INTO a VALUES (6, 'six', 60);
SELECT * FROM a;
ROLLBACK TO s;
SELECT * FROM a;
ROLLBACK;
SELECT * FROM a;

-- columns
ALTER FOREIGN TABLE a ADD COLUMN x int;
ALTER FOREIGN TABLE a ADD COLUMN y text DEFAULT 'y' NOT NULL;
ALTER FOREIGN TABLE a ADD COLUMN z int GENERATED ALWAYS AS (k * 2) STORED;
INSERT INTO a VALUES (4, 'four', 40, 400);
SELECT * FROM a;
ALTER FOREIGN TABLE a DROP COLUMN v;
ALTER FOREIGN TABLE a ADD COLUMN v int DEFAULT 7;
ALTER FOREIGN TABLE a ALTER COLUMN w TYPE text;
ALTER FOREIGN TABLE a ALTER COLUMN k TYPE bigint;
SELECT * FROM a;
ALTER FOREIGN TABLE a ADD COLUMN bad int NOT NULL;
ALTER FOREIGN TABLE a ALTER COLUMN x SET NOT NULL;
ALTER FOREIGN TABLE a ALTER COLUMN w TYPE point;
ALTER FOREIGN TABLE a DROP COLUMN k;
BEGIN;
ALTER FOREIGN TABLE a ADD COLUMN q int DEFAULT 1;
ALTER FOREIGN TABLE a ALTER COLUMN w TYPE int USING w::int;
ROLLBACK;
BEGIN;
ALTER FOREIGN TABLE a ADD COLUMN q int DEFAULT 1;
UPDATE a SET q = k + 1;
SELECT k, q FROM a;
ROLLBACK;
SELECT * FROM a;
-- many at once
ALTER FOREIGN TABLE a ADD COLUMN p numeric DEFAULT 1.50, ALTER COLUMN y DROP NOT NULL,
    ALTER COLUMN v TYPE bigint, ADD CHECK (k > 0);
SELECT * FROM a WHERE k = 2;

-- names
ALTER FOREIGN TABLE a RENAME COLUMN k TO "Key";
ALTER FOREIGN TABLE a RENAME TO b;
\d b
SELECT "Key" FROM b WHERE "Key" = 3;
SELECT * FROM stored;
CREATE SCHEMA ddl2;
ALTER FOREIGN TABLE b SET SCHEMA ddl2;
SELECT count(*) FROM ddl2.b;
SELECT namespace, name FROM kalam.tables WHERE namespace LIKE 'ddl%';
ALTER SCHEMA ddl2 RENAME TO ddl3;
SELECT namespace, name FROM kalam.tables WHERE namespace LIKE 'ddl%';
SELECT * FROM kalam.namespaces WHERE namespace LIKE 'ddl%';
DROP SCHEMA ddl3 CASCADE;
SELECT namespace, name FROM kalam.tables WHERE namespace LIKE 'ddl%';

-- a whole life in one transaction, errors undone by savepoints
BEGIN;
CREATE FOREIGN TABLE life (k int, v int) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO life SELECT g, g FROM generate_series(1, 3) g;
SAVEPOINT s;
INSERT INTO life VALUES (2, 0);
ROLLBACK TO s;
ALTER FOREIGN TABLE life ADD COLUMN w int DEFAULT 5;
SAVEPOINT s2;
ALTER FOREIGN TABLE life ALTER COLUMN v TYPE text;
UPDATE life SET v = v || '!';
SELECT * FROM life;
ROLLBACK TO s2;
SELECT * FROM life;
COMMIT;
SELECT * FROM life;
DROP FOREIGN TABLE life;

-- kept behind on DROP
CREATE FOREIGN TABLE kept (k int) SERVER kalam OPTIONS (primary_key 'k', on_drop 'keep');
INSERT INTO kept VALUES (1);
BEGIN;
DROP FOREIGN TABLE kept;
SELECT * FROM stored;
ROLLBACK;
SELECT * FROM stored;
SELECT * FROM kept;
DROP FOREIGN TABLE kept;
SELECT * FROM stored;
CREATE FOREIGN TABLE kept (k int) SERVER kalam OPTIONS (primary_key 'k');
SELECT * FROM kept;
DROP FOREIGN TABLE kept;

-- dependencies
CREATE FOREIGN TABLE parent (k int) SERVER kalam OPTIONS (primary_key 'k');
CREATE VIEW above AS SELECT k FROM parent;
DROP FOREIGN TABLE parent;
DROP FOREIGN TABLE parent CASCADE;
DO $$ BEGIN
    CREATE FOREIGN TABLE in_do (k int) SERVER kalam OPTIONS (primary_key 'k');
    INSERT INTO in_do VALUES (1);
    RAISE EXCEPTION 'no';
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%', SQLERRM;
END $$;
SELECT count(*) FROM pg_class WHERE relname = 'in_do';
-- what a transaction creates and drops leaves nothing, rows and all
BEGIN;
CREATE FOREIGN TABLE passing (k int) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO passing VALUES (1);
TRUNCATE passing;
INSERT INTO passing VALUES (1), (2);
ALTER FOREIGN TABLE passing ADD COLUMN v int DEFAULT 3;
SELECT * FROM passing;
SAVEPOINT s;
DROP FOREIGN TABLE passing;
ROLLBACK TO s;
TRUNCATE passing;
INSERT INTO passing VALUES (3);
COMMIT;
SELECT * FROM passing;
SET kalam.bulk_load_threshold = '64kB';
BEGIN;
INSERT INTO passing SELECT g FROM generate_series(10, 3000) g;
ALTER FOREIGN TABLE passing ADD COLUMN w int DEFAULT 4;
ALTER FOREIGN TABLE passing ADD COLUMN x int DEFAULT 5;
COMMIT;
SELECT count(*), sum(w), sum(x), sum(k) FROM passing;
BEGIN;
DROP FOREIGN TABLE passing;
CREATE FOREIGN TABLE passing (k int) SERVER kalam;
INSERT INTO passing SELECT g FROM generate_series(1, 3000) g;
DROP FOREIGN TABLE passing;
COMMIT;
RESET kalam.bulk_load_threshold;
SELECT count(*) FROM kalam.tables WHERE name = 'passing';
SELECT * FROM kalam.orphans;

-- types that store the same bytes: rows stay where they are
CREATE FOREIGN TABLE alike (k varchar(5), a varchar(5), b numeric(6, 2), c oid) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO alike VALUES ('k', 'a', 1.5, 7);
SELECT object_id AS before FROM kalam.tables WHERE name = 'alike' \gset
ALTER FOREIGN TABLE alike ALTER COLUMN a TYPE varchar(9), ALTER COLUMN b TYPE numeric(9, 2), ALTER COLUMN c TYPE int;
ALTER FOREIGN TABLE alike ALTER COLUMN a TYPE text;
SELECT object_id = :before AS same FROM kalam.tables WHERE name = 'alike';
INSERT INTO alike VALUES ('l', 'longer than nine', 1234567.89, -1);
ALTER FOREIGN TABLE alike ADD COLUMN d int DEFAULT 1;
SELECT * FROM alike;
SELECT object_id AS before FROM kalam.tables WHERE name = 'alike' \gset
ALTER FOREIGN TABLE alike ALTER COLUMN a TYPE varchar(3);
ALTER FOREIGN TABLE alike ALTER COLUMN b TYPE numeric(10, 1);
SELECT object_id = :before AS same FROM kalam.tables WHERE name = 'alike';
CREATE DOMAIN short AS text CHECK (length(VALUE) < 5);
CREATE DOMAIN word AS text;
ALTER FOREIGN TABLE alike ALTER COLUMN a TYPE short;
ALTER FOREIGN TABLE alike ALTER COLUMN a TYPE word;
ALTER FOREIGN TABLE alike ALTER COLUMN k TYPE text;
SELECT * FROM alike WHERE k = 'l';
DROP FOREIGN TABLE alike;

DROP SCHEMA ddl CASCADE;
SELECT count(*) FROM kalam.tables WHERE namespace LIKE 'ddl%';
