-- INSERT, UPDATE, DELETE, COPY; constraints; tables without a key.
CREATE SCHEMA dml;
SET search_path = dml;
CREATE FOREIGN TABLE m (
    a int, b text COLLATE "C", v int DEFAULT 42 CHECK (v < 1000), g int GENERATED ALWAYS AS (a + v) STORED
) SERVER kalam OPTIONS (primary_key 'a, b DESC');

INSERT INTO m VALUES (1, 'x', DEFAULT), (1, 'y', 2), (2, 'x', NULL) RETURNING *, tableoid::regclass;
INSERT INTO m (b, a) SELECT 'z', i FROM generate_series(1, 3) i;
INSERT INTO m DEFAULT VALUES;
INSERT INTO m VALUES (1, NULL);
INSERT INTO m VALUES (9, 'x', 1000);
INSERT INTO m VALUES (7, 'new', 1), (1, 'x', 1);
INSERT INTO m VALUES (8, 'twice', 1), (8, 'twice', 2);
INSERT INTO m (a, b, g) VALUES (9, 'g', 1);
SELECT * FROM m;

UPDATE m SET v = v + 1 WHERE a = 1 RETURNING *;
UPDATE m SET b = 'q' WHERE a = 2 AND b = 'z' RETURNING *;
UPDATE m SET b = 'x' WHERE a = 1;
UPDATE m SET v = 5000 WHERE a = 1 AND b = 'x';
UPDATE m SET a = NULL WHERE a = 3;
UPDATE m SET a = a + 10;
UPDATE m SET a = a - 1, v = m2.n FROM (SELECT count(*) AS n FROM m) m2;
SELECT * FROM m;
WITH gone AS (DELETE FROM m WHERE a = 10 RETURNING *) SELECT a, b, v FROM gone ORDER BY b;
DELETE FROM m USING (VALUES (11)) x(y) WHERE a = y AND b = 'q' RETURNING *;
-- by itself
INSERT INTO m SELECT a + 100, b, v FROM m;
DELETE FROM m WHERE (a, b) IN (SELECT a, b FROM m WHERE a > 100);
WITH moved AS (DELETE FROM m WHERE a = 11 RETURNING a, b, v)
    INSERT INTO m SELECT a + 1000, b, v FROM moved RETURNING *;
SELECT * FROM m;

-- a command does not see its own changes
CREATE FOREIGN TABLE s (k int, v int) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO s SELECT g, 0 FROM generate_series(1, 5) g;
UPDATE s SET k = k - 1, v = (SELECT count(*) FROM s WHERE k > 0);
SELECT * FROM s;
UPDATE s SET k = k + 1;
WITH i AS (INSERT INTO s VALUES (77, 77) RETURNING k), d AS (DELETE FROM s WHERE k = 77 RETURNING k)
    SELECT (SELECT count(*) FROM i), (SELECT count(*) FROM d), (SELECT count(*) FROM s);
SELECT * FROM s WHERE k = 77;

-- savepoints and exceptions
BEGIN;
UPDATE s SET v = 1;
SAVEPOINT a;
DELETE FROM s WHERE k < 3;
INSERT INTO s VALUES (100, 100);
SAVEPOINT b;
UPDATE s SET v = 2;
SELECT * FROM s;
ROLLBACK TO b;
SELECT * FROM s;
ROLLBACK TO a;
SELECT * FROM s;
ROLLBACK;
DO $$ BEGIN
    INSERT INTO s VALUES (200, 200);
    BEGIN
        INSERT INTO s VALUES (201, 201);
        INSERT INTO s VALUES (200, 200);
    EXCEPTION WHEN unique_violation THEN
        RAISE NOTICE '%', SQLERRM;
    END;
    INSERT INTO s VALUES (202, 202);
END $$;
SELECT * FROM s WHERE k >= 200;

-- COPY
COPY m (a, b, v) FROM stdin;
500	copied	1
501	copied	\N
\.
COPY m (a, b, v) FROM stdin WITH (FORMAT csv, HEADER);
a,b,v
502,"with, comma",3
\.
COPY m (a, b, v) FROM stdin;
600	good	1
601	bad	one
\.
COPY m (a, b, v) FROM stdin;
600	good	1
500	copied	1
602	good	1
\.
COPY m (a, b, v) FROM stdin;
600	good	1
603	big	2000
\.
COPY (SELECT * FROM m WHERE a >= 500) TO stdout;
COPY m TO stdout;

-- without a key
CREATE FOREIGN TABLE nk (x int, y text) SERVER kalam;
INSERT INTO nk VALUES (1, 'a'), (1, 'a'), (2, 'b') RETURNING *;
UPDATE nk SET x = x + 1 WHERE y = 'a' RETURNING *;
DELETE FROM nk WHERE ctid = (SELECT min(ctid) FROM nk) RETURNING x;
BEGIN;
INSERT INTO nk VALUES (3, 'c');
UPDATE nk SET y = y || y;
SELECT * FROM nk;
ROLLBACK;
SELECT * FROM nk;

-- triggers
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE NOTICE '% % %: % -> %', TG_NAME, TG_WHEN, TG_OP, to_jsonb(OLD), to_jsonb(NEW);
    IF TG_WHEN = 'BEFORE' AND TG_OP <> 'DELETE' THEN NEW.v := NEW.v + 1; END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OR DELETE ON s FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER after_row AFTER INSERT OR UPDATE OR DELETE ON s FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO s VALUES (300, 1) RETURNING *;
UPDATE s SET v = 10 WHERE k = 300 RETURNING *;
DELETE FROM s WHERE k = 300 RETURNING *;
COPY s FROM stdin;
301	1
\.
DROP FUNCTION note CASCADE;

-- partitions
CREATE TABLE part (k int, v text) PARTITION BY LIST (k);
CREATE FOREIGN TABLE part1 PARTITION OF part FOR VALUES IN (1, 2) SERVER kalam OPTIONS (primary_key 'k, v');
CREATE FOREIGN TABLE part2 (v text, k int) SERVER kalam OPTIONS (primary_key 'v');
INSERT INTO part2 VALUES ('three', 3), ('one', 1);
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (3);
DELETE FROM part2 WHERE k = 1;
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (3);
INSERT INTO part VALUES (1, 'a'), (2, 'b'), (3, 'c') RETURNING tableoid::regclass, *;
INSERT INTO part VALUES (4, 'none');
INSERT INTO part1 VALUES (3, 'wrong');
UPDATE part1 SET k = 3 WHERE k = 1;
UPDATE part SET v = v || '!' WHERE k > 1 RETURNING *;
COPY part FROM stdin;
1	x
3	y
\.
SELECT tableoid::regclass, * FROM part ORDER BY k, v;
EXPLAIN (COSTS OFF) SELECT * FROM part WHERE k = 3 AND v = 'y';
TRUNCATE part;
SELECT count(*) FROM part;

-- constraints added to rows that are there
ALTER FOREIGN TABLE s ADD CONSTRAINT small CHECK (v < 100);
ALTER FOREIGN TABLE s ADD CONSTRAINT small CHECK (v < 100) NOT VALID;
INSERT INTO s VALUES (400, 400);
ALTER FOREIGN TABLE s VALIDATE CONSTRAINT small;
CREATE DOMAIN even AS int CHECK (value % 2 = 0);
CREATE FOREIGN TABLE dom (k even, v even) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO dom VALUES (2, 3);
INSERT INTO dom VALUES (2, 4), (4, NULL);
SELECT * FROM dom WHERE k = 4;
DROP SCHEMA dml CASCADE;
