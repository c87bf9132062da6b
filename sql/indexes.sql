-- Secondary indexes: options, what writes do to entries, unique values, DDL.
-- kalam.verify_indexes compares entries with rows after each part.
CREATE SCHEMA idx;
SET search_path = idx;
CREATE VIEW stored AS SELECT name, primary_key, indexes FROM kalam.tables WHERE namespace = 'idx';

-- options that are refused
\set VERBOSITY terse
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_ 'a');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x 'b');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (unique_x 'a, a');
CREATE FOREIGN TABLE o (k int, a json) SERVER kalam OPTIONS (index_x 'a');
CREATE FOREIGN TABLE o (k int, a int[]) SERVER kalam OPTIONS (unique_x 'k, a');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x 'tableoid');
\set VERBOSITY default
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x '');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x 'abs(a)');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x '(a + 1)');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x 'lower (a)');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x 'a WHERE k > 0');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x 'a NULLS FIRST');
CREATE FOREIGN TABLE o (k int, a int) SERVER kalam OPTIONS (index_x 'a', index_x 'k');

-- what writes do
CREATE FOREIGN TABLE t (k int, a int, u text COLLATE "C", n numeric, "Odd, col" date)
    SERVER kalam OPTIONS (primary_key 'k DESC', index_a 'a DESC, n', unique_u 'u', "unique_Two cols" 'n, "Odd, col"');
\d t
SELECT * FROM stored;
INSERT INTO t SELECT g, g % 5, 'u' || g, g / 4.0, '2020-01-01'::date + g FROM generate_series(1, 200) g;
INSERT INTO t (k) VALUES (1000), (1001);
SELECT * FROM kalam.verify_indexes('t');
INSERT INTO t VALUES (300, 1, 'u7');
INSERT INTO t VALUES (300, 1, 'new'), (301, 1, 'new');
INSERT INTO t VALUES (300, 1, 'n1', 1.250, '2020-01-06');
INSERT INTO t VALUES (300, 1, 'n1', 1.250, NULL), (301, 1, 'n2', 1.25, NULL);
INSERT INTO t VALUES (7, 1, 'u8');
UPDATE t SET u = 'u9' WHERE k = 8;
UPDATE t SET u = 'u9' WHERE k IN (8, 9);
UPDATE t SET u = u, n = n, a = a + 1 WHERE k < 10 RETURNING k, u;
UPDATE t SET k = k + 5000 WHERE k < 5;
UPDATE t SET k = k + 1, u = 'moved' || k WHERE k > 5000;
DELETE FROM t WHERE k % 3 = 0;
INSERT INTO t VALUES (2000, 1, 'u9');
SELECT * FROM kalam.verify_indexes('t');
-- two that change places; a value that is passed on
UPDATE t SET u = CASE k WHEN 10 THEN 'u11' ELSE 'u10' END WHERE k IN (10, 11);
DELETE FROM t WHERE u = 'u10';
WITH gone AS (DELETE FROM t WHERE u = 'u11' RETURNING u) INSERT INTO t SELECT 10, 0, u FROM gone;
SELECT * FROM kalam.verify_indexes('t');

-- within a transaction
BEGIN;
INSERT INTO t VALUES (3000, 1, 'tx');
SAVEPOINT s;
INSERT INTO t VALUES (3001, 1, 'tx');
ROLLBACK TO s;
UPDATE t SET u = 'tx2' WHERE k = 3000;
INSERT INTO t VALUES (3001, 1, 'tx');
SELECT * FROM kalam.verify_indexes('t');
SAVEPOINT s;
DELETE FROM t WHERE u LIKE 'tx%';
INSERT INTO t VALUES (3002, 1, 'tx'), (3003, 1, 'tx2');
SELECT * FROM kalam.verify_indexes('t');
ROLLBACK TO s;
SELECT * FROM kalam.verify_indexes('t');
COMMIT;
SELECT k, u FROM t WHERE u LIKE 'tx%';
SELECT * FROM kalam.verify_indexes('t');

-- ON CONFLICT and option on_conflict
INSERT INTO t VALUES (4000, 1, 'tx'), (4001, 1, 'c1'), (4002, 1, 'c1') ON CONFLICT DO NOTHING RETURNING k, u;
INSERT INTO t VALUES (4002, 1, 'tx') ON CONFLICT (k) DO NOTHING;
INSERT INTO t VALUES (4001, 2, 'c2') ON CONFLICT (k) DO UPDATE SET u = 'tx';
INSERT INTO t VALUES (4001, 2, 'c2') ON CONFLICT (k) DO UPDATE SET u = excluded.u, n = 7 RETURNING k, u, n;
INSERT INTO t VALUES (4003, 2, 'tx') ON CONFLICT (k) DO UPDATE SET a = 1;
ALTER FOREIGN TABLE t OPTIONS (ADD on_conflict 'ignore');
INSERT INTO t VALUES (4004, 1, 'tx'), (4005, 1, 'c5'), (4006, 1, 'c5') RETURNING k, u;
ALTER FOREIGN TABLE t OPTIONS (SET on_conflict 'replace');
INSERT INTO t VALUES (4005, 9, 'c5'), (4001, 9, 'c1'), (4010, 9, 'c2') RETURNING k, u;
INSERT INTO t VALUES (4005, 9, 'c1');
INSERT INTO t VALUES (4005, 9, 'c5'), (4005, 10, 'c6'), (4005, 11, 'c5');
SELECT k, a, u FROM t WHERE k > 4000;
SELECT * FROM kalam.verify_indexes('t');
ALTER FOREIGN TABLE t OPTIONS (DROP on_conflict);

-- COPY says which line
COPY t (k, u) FROM stdin;
5001	c7
5002	c1
5003	c8
\.
COPY t (k, u) FROM stdin;
5001	c7
5002	c7
\.

-- the table is looked up again in the midst of a statement
CREATE FUNCTION analyzes(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN ANALYZE t; RETURN n; END $$;
INSERT INTO t (k, u) SELECT 5001, 'c1' UNION ALL SELECT analyzes(5002), 'c9';

-- without a primary key
CREATE FOREIGN TABLE nk (a int, u int) SERVER kalam OPTIONS (unique_u 'u', index_a 'a');
INSERT INTO nk SELECT g % 3, g FROM generate_series(1, 20) g;
INSERT INTO nk VALUES (1, 5);
INSERT INTO nk VALUES (1, 5), (1, 21) ON CONFLICT DO NOTHING RETURNING *;
UPDATE nk SET u = u + 100, a = a + 1;
DELETE FROM nk WHERE u % 2 = 0;
SELECT * FROM kalam.verify_indexes('nk');
ALTER FOREIGN TABLE nk OPTIONS (ADD primary_key 'u');
SELECT * FROM kalam.verify_indexes('nk');
ALTER FOREIGN TABLE nk OPTIONS (DROP primary_key);
SELECT * FROM kalam.verify_indexes('nk');

-- collations and enums: equality alone
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE COLLATION loose (provider = icu, locale = 'und', deterministic = false);
CREATE FOREIGN TABLE coll (k int, a text, m mood, l text COLLATE loose) SERVER kalam OPTIONS (primary_key 'k', unique_a 'a', index_m 'm');
INSERT INTO coll VALUES (1, 'x', 'ok'), (2, 'X', 'sad'), (3, NULL, 'ok');
INSERT INTO coll VALUES (4, 'X', 'ok');
ALTER FOREIGN TABLE coll OPTIONS (ADD index_l 'l');
ALTER FOREIGN TABLE coll ALTER COLUMN a TYPE text COLLATE loose;
ALTER FOREIGN TABLE coll ALTER COLUMN a TYPE text COLLATE "C";
INSERT INTO coll VALUES (4, 'X', 'ok');
SELECT * FROM kalam.verify_indexes('coll');

-- long entries
CREATE FOREIGN TABLE long (k text COLLATE "C", a text COLLATE "C") SERVER kalam OPTIONS (primary_key 'k', index_a 'a');
INSERT INTO long VALUES (repeat('k', 1000), repeat('a', 1600));
INSERT INTO long VALUES (repeat('k', 1001), repeat('a', 1700));
INSERT INTO long VALUES (repeat('k', 1001), 'short');
UPDATE long SET a = repeat('b', 1700);
ALTER FOREIGN TABLE long OPTIONS (ADD unique_both 'a, k');
SELECT * FROM kalam.verify_indexes('long');

-- indexes come, change and go
ALTER FOREIGN TABLE t OPTIONS (ADD index_new 'u, a');
ALTER FOREIGN TABLE t OPTIONS (ADD unique_a 'a');
ALTER FOREIGN TABLE t OPTIONS (SET index_new 'a, u', DROP index_a, ADD unique_k 'k');
SELECT * FROM stored WHERE name = 't';
SELECT * FROM kalam.verify_indexes('t');
INSERT INTO t VALUES (6000, 1, 'c1');
-- an index that is dropped and comes back has none of its old entries
BEGIN;
ALTER FOREIGN TABLE t OPTIONS (DROP index_new);
UPDATE t SET a = a + 1 WHERE k < 100;
SAVEPOINT s;
ALTER FOREIGN TABLE t OPTIONS (ADD index_new 'a, u');
SELECT * FROM kalam.verify_indexes('t');
ALTER FOREIGN TABLE t OPTIONS (ADD unique_bad 'a');
ROLLBACK TO s;
SELECT * FROM kalam.verify_indexes('t');
ALTER FOREIGN TABLE t OPTIONS (ADD index_new 'a, u');
UPDATE t SET a = a + 1 WHERE k < 100;
COMMIT;
SELECT * FROM kalam.verify_indexes('t');
BEGIN;
ALTER FOREIGN TABLE t OPTIONS (ADD index_gone 'n');
ROLLBACK;
SELECT * FROM stored WHERE name = 't';
-- columns
ALTER FOREIGN TABLE t RENAME COLUMN u TO "U 2";
ALTER FOREIGN TABLE t RENAME "Odd, col" TO odd;
\d t
INSERT INTO t VALUES (6000, 1, 'c1');
ALTER FOREIGN TABLE t DROP COLUMN odd, DROP COLUMN a;
\d t
ALTER FOREIGN TABLE t ADD COLUMN a int DEFAULT 5;
ALTER FOREIGN TABLE t DROP COLUMN k;
SELECT * FROM stored WHERE name = 't';
SELECT * FROM kalam.verify_indexes('t');
CREATE DOMAIN dom AS text;
ALTER FOREIGN TABLE t ADD COLUMN d dom, OPTIONS (ADD index_d 'd, n');
ALTER FOREIGN TABLE t ADD COLUMN e int, OPTIONS (ADD index_e 'e');
DROP DOMAIN dom CASCADE;
SELECT * FROM stored WHERE name = 't';
-- types: rows and entries of other bytes are stored anew, others stay
CREATE FOREIGN TABLE ty (k int, v varchar(20) COLLATE "C", o oid, n numeric(8, 2), i int)
    SERVER kalam OPTIONS (primary_key 'k', unique_v 'v', index_o 'o', index_n 'n', index_i 'i');
INSERT INTO ty SELECT g, 'v' || g, g, g, g FROM generate_series(1, 50) g;
SELECT object_id AS before FROM kalam.tables WHERE name = 'ty' \gset
ALTER FOREIGN TABLE ty ALTER v TYPE text COLLATE "C", ALTER o TYPE int, ALTER n TYPE numeric(10, 2);
SELECT object_id = :before AS same FROM kalam.tables WHERE name = 'ty';
SELECT * FROM kalam.verify_indexes('ty');
INSERT INTO ty VALUES (100, 'v7');
INSERT INTO ty VALUES (100, 'v100', -5, 1, 1);
ALTER FOREIGN TABLE ty ALTER i TYPE bigint;
SELECT object_id = :before AS same FROM kalam.tables WHERE name = 'ty';
SELECT * FROM kalam.verify_indexes('ty');
ALTER FOREIGN TABLE ty ALTER v TYPE char(2);
TRUNCATE ty;
SELECT * FROM kalam.verify_indexes('ty');
INSERT INTO ty VALUES (1, 'v7'), (2, 'v8');
ALTER FOREIGN TABLE ty ALTER v TYPE "char";
SELECT * FROM kalam.verify_indexes('ty');
-- a table's whole life
BEGIN;
CREATE FOREIGN TABLE life (k int, a int) SERVER kalam OPTIONS (primary_key 'k', index_a 'a');
INSERT INTO life SELECT g, -g FROM generate_series(1, 100) g;
ALTER FOREIGN TABLE life OPTIONS (ADD unique_a 'a', DROP index_a);
INSERT INTO life VALUES (500, -1) ON CONFLICT DO NOTHING;
SELECT count(*) FROM life;
SELECT * FROM kalam.verify_indexes('life');
TRUNCATE life;
INSERT INTO life VALUES (500, -1);
COMMIT;
INSERT INTO life VALUES (501, -1);
SELECT * FROM kalam.verify_indexes('life');

-- differences are found: this takes the option from under the entries, before anybody
-- else can know the table
BEGIN;
CREATE FOREIGN TABLE off (k int, a int, b int) SERVER kalam OPTIONS (primary_key 'k', index_a 'a', unique_b 'b');
INSERT INTO off VALUES (1, 10, 20), (2, 10, 10), (3, NULL, NULL);
UPDATE pg_foreign_table SET ftoptions = array_replace(ftoptions, 'index_a=a', 'index_a=b') WHERE ftrelid = 'off'::regclass;
COMMIT;
\c -
SET search_path = idx;
SELECT index, problem, substr(key, 6) AS key FROM kalam.verify_indexes('off') ORDER BY 2, 3;
DELETE FROM off WHERE k = 1;
SELECT index, problem, substr(key, 6) AS key FROM kalam.verify_indexes('off') ORDER BY 2, 3;

-- who may see what
CREATE ROLE idx_writer;
GRANT USAGE ON SCHEMA idx TO idx_writer;
GRANT INSERT, SELECT (k) ON life TO idx_writer;
SET ROLE idx_writer;
INSERT INTO life VALUES (500, 0);
INSERT INTO life VALUES (501, -1);
SELECT * FROM kalam.verify_indexes('life');
RESET ROLE;
SELECT * FROM kalam.verify_indexes('pg_class');

DROP SCHEMA idx CASCADE;
DROP ROLE idx_writer;
SELECT count(*) FROM kalam.tables WHERE namespace = 'idx';
