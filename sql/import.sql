-- Rows that outlived their table, and tables that take them over.
CREATE ROLE regress_kalam_keeper;
CREATE ROLE regress_kalam_other;
GRANT USAGE ON FOREIGN SERVER kalam TO regress_kalam_keeper, regress_kalam_other;
CREATE SCHEMA was;
CREATE SCHEMA now;
GRANT ALL ON SCHEMA was, now TO PUBLIC;
CREATE VIEW stored AS SELECT namespace, name, primary_key, options, rows, kept FROM kalam.tables
    WHERE namespace IN ('was', 'now') ORDER BY kept, namespace, name, object_id;

-- what a record holds comes back
CREATE TYPE was.mood AS ENUM ('sad', 'ok');
CREATE TYPE was.pair AS (a int, b was.mood);
CREATE DOMAIN was.positive AS int CHECK (VALUE > 0);
CREATE FOREIGN TABLE was.all_kinds (gone text, id bigint NOT NULL, "Odd ""name" varchar(10) COLLATE "C", gone_too bigint,
    n numeric(8, 3) NOT NULL, a text[], m was.mood, p was.pair, pa was.pair[], d was.positive, j jsonb, ts timestamptz(3), c char(3))
    SERVER kalam OPTIONS (primary_key 'id DESC, "Odd ""name"', on_drop 'keep', compression 'zstd', bloom_fpr '0.1');
INSERT INTO was.all_kinds VALUES ('gone', 1, 'one', 2, 1.5, '{x,y}', 'sad', '(1,ok)', '{"(2,sad)"}', 7, '{"a": 1}', '2020-01-01', 'c'),
    (NULL, 2, 'two', 3, 2.5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
ALTER FOREIGN TABLE was.all_kinds DROP COLUMN gone, DROP COLUMN gone_too, ADD COLUMN later int;
INSERT INTO was.all_kinds (id, "Odd ""name", n, later) VALUES (3, 'three', 3.5, 33);
CREATE TABLE before AS SELECT t::text AS row FROM was.all_kinds t;
DROP FOREIGN TABLE was.all_kinds;
SELECT * FROM stored;
IMPORT FOREIGN SCHEMA was FROM SERVER kalam INTO now;
\d now.all_kinds
SELECT * FROM stored;
SELECT * FROM now.all_kinds;
SELECT row FROM before EXCEPT SELECT t::text FROM now.all_kinds t;
INSERT INTO now.all_kinds (id, "Odd ""name", n) VALUES (3, 'three', 0);
UPDATE now.all_kinds SET n = 0 WHERE id = 1;
EXPLAIN (COSTS OFF) SELECT n FROM now.all_kinds WHERE id = 1 ORDER BY "Odd ""name";
SELECT n FROM now.all_kinds WHERE id = 1 ORDER BY "Odd ""name";
IMPORT FOREIGN SCHEMA was FROM SERVER kalam INTO now;
DROP FOREIGN TABLE now.all_kinds;
-- a row type of kept rows keeps its layout, too
ALTER TYPE was.pair ALTER ATTRIBUTE a TYPE text;
-- the same columns in the same places: nothing is stored anew
SELECT object_id AS was_object FROM kalam.tables WHERE name = 'all_kinds' \gset
IMPORT FOREIGN SCHEMA now FROM SERVER kalam INTO was;
SELECT object_id = :was_object AS same_object FROM kalam.tables WHERE name = 'all_kinds';
SELECT count(*) FROM was.all_kinds;
ALTER FOREIGN TABLE was.all_kinds OPTIONS (DROP on_drop);
DROP FOREIGN TABLE was.all_kinds;
SELECT * FROM stored;

-- some of them, and others' not
SET ROLE regress_kalam_keeper;
CREATE FOREIGN TABLE was.a (k int, v text) SERVER kalam OPTIONS (primary_key 'k', on_drop 'keep');
CREATE FOREIGN TABLE was.b (k int, v text) SERVER kalam OPTIONS (primary_key 'k', on_drop 'keep');
CREATE FOREIGN TABLE was.c (k int, v text) SERVER kalam OPTIONS (on_drop 'keep');
INSERT INTO was.a VALUES (1, 'a');
INSERT INTO was.b VALUES (1, 'b');
INSERT INTO was.c VALUES (1, 'c'), (2, 'c');
DROP FOREIGN TABLE was.a, was.b, was.c;
SET ROLE regress_kalam_other;
IMPORT FOREIGN SCHEMA was FROM SERVER kalam INTO now;
IMPORT FOREIGN SCHEMA was LIMIT TO (a) FROM SERVER kalam INTO now;
CREATE FOREIGN TABLE now.a (k int, v text) SERVER kalam OPTIONS (primary_key 'k', table_name 'a', namespace 'was');
SET ROLE regress_kalam_keeper;
IMPORT FOREIGN SCHEMA was LIMIT TO (a, nothing) FROM SERVER kalam INTO now;
IMPORT FOREIGN SCHEMA was EXCEPT (b) FROM SERVER kalam INTO now;
IMPORT FOREIGN SCHEMA was FROM SERVER kalam INTO now OPTIONS (databse 'x');
SELECT * FROM now.a;
SELECT * FROM now.c ORDER BY k;
RESET ROLE;
SELECT * FROM stored;

-- by hand: options that are gone afterwards
CREATE FOREIGN TABLE now.wrong (k int) SERVER kalam OPTIONS (primary_key 'k', table_name 'b', namespace 'was');
CREATE FOREIGN TABLE now.wrong (k int, v text, w int) SERVER kalam OPTIONS (primary_key 'k', table_name 'b', namespace 'was');
CREATE FOREIGN TABLE now.wrong (k int, v varchar) SERVER kalam OPTIONS (primary_key 'k', table_name 'b', namespace 'was');
CREATE FOREIGN TABLE now.wrong (k int, v text) SERVER kalam OPTIONS (primary_key 'k', table_name 'b');
CREATE FOREIGN TABLE now.wrong (k int, v text) SERVER kalam OPTIONS (primary_key 'k', namespace 'was');
CREATE FOREIGN TABLE now.wrong (k int, v text) SERVER kalam OPTIONS (object_id 'x');
CREATE FOREIGN TABLE now.wrong (k int, v text) SERVER kalam OPTIONS (object_id '100000');
CREATE FOREIGN TABLE now.wrong (k int, v text) SERVER kalam OPTIONS (table_name 'b', namespace 'was', database 'nowhere');
CREATE FOREIGN TABLE now.wrong (k int, v text CHECK (v <> 'b')) SERVER kalam OPTIONS (primary_key 'k', table_name 'b', namespace 'was');
CREATE FOREIGN TABLE now.mine (v text, k int) SERVER kalam OPTIONS (primary_key 'v', table_name 'b', namespace 'was', on_drop 'keep');
SELECT * FROM now.mine;
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'now.mine'::regclass;
SELECT * FROM stored;
ALTER FOREIGN TABLE now.mine OPTIONS (ADD table_name 'b');
SELECT * FROM now.mine;

-- transactions
BEGIN;
DROP FOREIGN TABLE now.mine;
CREATE FOREIGN TABLE now.again (k int, v text) SERVER kalam OPTIONS (primary_key 'k', table_name 'mine', on_drop 'keep');
INSERT INTO now.again VALUES (2, 'in between');
SELECT * FROM now.again ORDER BY k;
SAVEPOINT s;
DROP FOREIGN TABLE now.again;
IMPORT FOREIGN SCHEMA now LIMIT TO (again) FROM SERVER kalam INTO was;
SELECT * FROM was.again ORDER BY k;
ROLLBACK TO s;
SELECT * FROM now.again ORDER BY k;
ROLLBACK;
SELECT * FROM now.mine ORDER BY k;
ALTER FOREIGN TABLE now.mine OPTIONS (ADD index_k 'k', ADD unique_vk 'v, k DESC');
DROP FOREIGN TABLE now.mine;
BEGIN;
IMPORT FOREIGN SCHEMA now LIMIT TO (mine) FROM SERVER kalam INTO was;
INSERT INTO was.mine VALUES ('w', 2);
ROLLBACK;
SELECT * FROM stored;

-- two of one name: the newest, unless the older one is asked for
CREATE FOREIGN TABLE now.mine (k int) SERVER kalam OPTIONS (on_drop 'keep');
INSERT INTO now.mine VALUES (42);
DROP FOREIGN TABLE now.mine;
\set VERBOSITY terse
SELECT object_id AS older FROM kalam.tables WHERE name = 'mine' ORDER BY object_id LIMIT 1 \gset
SET client_min_messages = warning;
IMPORT FOREIGN SCHEMA now LIMIT TO (mine) FROM SERVER kalam INTO was;
RESET client_min_messages;
\set VERBOSITY default
SELECT * FROM was.mine;
-- indexes: the entries that are there, and new ones where the rows are laid out anew
CREATE FOREIGN TABLE was.older (v text, k int) SERVER kalam OPTIONS (primary_key 'v', object_id :'older', unique_vk 'v, k DESC', index_k 'k', on_drop 'keep');
SELECT * FROM was.older WHERE k = 1;
INSERT INTO was.older VALUES ('z', 1);
DROP FOREIGN TABLE was.older;
CREATE FOREIGN TABLE was.older (k int, v text) SERVER kalam OPTIONS (primary_key 'v', table_name 'older', index_k 'k', unique_k 'k');
CREATE FOREIGN TABLE was.older (k int, v text) SERVER kalam OPTIONS (primary_key 'v', table_name 'older', index_k 'k', unique_kv 'k, v');
SELECT * FROM was.older WHERE k = 1 ORDER BY v;

-- as a partition
DROP FOREIGN TABLE was.mine;
CREATE TABLE whole (k int) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (10) SERVER kalam OPTIONS (namespace 'was', table_name 'mine');
CREATE FOREIGN TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (100) SERVER kalam OPTIONS (namespace 'was', table_name 'mine');
SELECT * FROM whole;
-- a type that is gone
CREATE FOREIGN TABLE was.typed (k int, m was.mood) SERVER kalam OPTIONS (on_drop 'keep');
DROP FOREIGN TABLE was.typed;
DROP TYPE was.mood CASCADE;
CREATE TYPE was.mood AS ENUM ('sad', 'ok');
IMPORT FOREIGN SCHEMA was FROM SERVER kalam INTO now;
IMPORT FOREIGN SCHEMA was EXCEPT (typed) FROM SERVER kalam INTO now;
CREATE FOREIGN TABLE now.typed (k int, m was.mood) SERVER kalam OPTIONS (namespace 'was', table_name 'typed');

SELECT kalam.drop_orphan(object_id) FROM kalam.tables WHERE kept AND namespace IN ('was', 'now');
SELECT * FROM stored;
DROP TABLE whole, before;
DROP VIEW stored;
SET client_min_messages = warning;
DROP SCHEMA was, now CASCADE;
SELECT kalam.drop_orphan(object_id) FROM kalam.tables WHERE kept AND namespace IN ('was', 'now');
REVOKE ALL ON FOREIGN SERVER kalam FROM regress_kalam_keeper, regress_kalam_other;
DROP ROLE regress_kalam_keeper, regress_kalam_other;
