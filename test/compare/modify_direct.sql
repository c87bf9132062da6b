-- UPDATE and DELETE of one table that the scan does itself: what they evaluate, how
-- often, in which order, on which version of the row.

CREATE STORED TABLE t (k int NOT NULL, gone text, a text, b int, c numeric) KEY (k);
INSERT INTO t SELECT g, 'gone', 'a' || g, g, NULL FROM generate_series(1, 30) g;
ALTER STORED TABLE t DROP COLUMN gone;
ALTER STORED TABLE t ADD COLUMN d text;
UPDATE t SET b = b + 1, d = a || b WHERE k < 4 AND length(a) = 2 RETURNING *;
UPDATE t SET d = a, a = d WHERE k IN (1, 2, 40) RETURNING k, a, d;
UPDATE t SET c = k / 3.0 WHERE k BETWEEN 5 AND 9 AND b % 2 = 0;
WITH r AS (UPDATE t SET b = NULL, d = DEFAULT WHERE a LIKE 'a1_' RETURNING a, b) SELECT * FROM r ORDER BY a;
DELETE FROM t WHERE b IS NULL AND k > 15 RETURNING t;
DELETE FROM t WHERE k = 5;
DELETE FROM t WHERE k = 5;
DELETE FROM t WHERE c < 2 AND random() >= 0;
SELECT * FROM t ORDER BY k;

-- expressions are evaluated once for each row that passes
CREATE SEQUENCE s;
UPDATE t SET b = nextval('s') WHERE k > 25 RETURNING k, b;
SELECT nextval('s');
UPDATE t SET b = b WHERE k > 25 AND nextval('s') > 0;
SELECT nextval('s');
DELETE FROM t WHERE k > 27 AND nextval('s') > 0 RETURNING nextval('s') > 0;
SELECT nextval('s');

-- subqueries, parameters, CTEs
WITH r AS (UPDATE t SET a = (SELECT max(a) FROM t AS other WHERE other.k > t.k) WHERE k < 4 RETURNING k, a) SELECT * FROM r ORDER BY k;
UPDATE t SET (a, b) = (SELECT a || '!', b + 100 FROM t AS other WHERE other.k = t.k) WHERE k = 2 RETURNING *;
UPDATE t SET b = 0 WHERE k = (SELECT min(k) FROM t) RETURNING k;
WITH r AS (DELETE FROM t WHERE k IN (SELECT k + 1 FROM t WHERE k < 3) RETURNING k) SELECT * FROM r ORDER BY k;
WITH moved AS (DELETE FROM t WHERE k BETWEEN 20 AND 22 RETURNING *)
	INSERT INTO t SELECT k + 100, a, b, c, d FROM moved RETURNING k;
WITH changed AS (UPDATE t SET b = -1 WHERE k > 110 RETURNING k) SELECT count(*), min(k) FROM changed;
PREPARE p AS UPDATE t SET b = $2 + b WHERE k = $1 AND b > $3 RETURNING b;
SET plan_cache_mode = force_generic_plan;
EXECUTE p(10, 5, 0);
EXECUTE p(11, 5, 0);
EXECUTE p(11, 5, NULL);
RESET plan_cache_mode;
SELECT * FROM t ORDER BY k;

-- keys that change, also to ones that are read later
UPDATE t SET k = k + 1000 WHERE k IN (11, 12, 13) RETURNING k;
UPDATE t SET k = k + 1000 WHERE k > 1000;
-- fails: taken
UPDATE t SET k = 14 WHERE k = 15;
-- fails: what is not null
UPDATE t SET k = NULL WHERE k = 15;
SELECT k FROM t ORDER BY k;

-- unique values, checked row by row
CREATE STORED TABLE u (k int NOT NULL, n int, v text) KEY (k);
INSERT INTO u VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z');
CREATE STORED UNIQUE INDEX n ON u (n);
CREATE STORED INDEX v ON u (v);
UPDATE u SET n = n - 1 RETURNING *;
-- fails: the next row still has it
UPDATE u SET n = n + 1;
UPDATE u SET n = NULL, v = 'w' WHERE k < 3;
DELETE FROM u WHERE n = 2 RETURNING v;
UPDATE u SET n = 2 WHERE v = 'w' AND k = 1;
SELECT * FROM u WHERE v = 'w' ORDER BY k;
SELECT * FROM u WHERE n = 2;

-- constraints
CREATE STORED TABLE c (k int NOT NULL, v int CHECK (v < 10)) KEY (k);
INSERT INTO c VALUES (1, 1), (2, 2);
-- fails: a CHECK
UPDATE c SET v = v + 8;
UPDATE c SET v = v + 7;
SELECT * FROM c ORDER BY k;

-- without a key
CREATE STORED TABLE n (a int, b text);
INSERT INTO n VALUES (1, 'x'), (1, 'x'), (2, 'y');
UPDATE n SET b = b || a RETURNING *;
DELETE FROM n WHERE a = 1 RETURNING b;
SELECT count(*) FROM n WHERE ctid IS NOT NULL;
UPDATE n SET a = 5 WHERE ctid = (SELECT ctid FROM n LIMIT 1);
SELECT * FROM n;

-- own changes, savepoints, a table that is new
BEGIN;
INSERT INTO t VALUES (500, 'own', 1, 1, 'd');
UPDATE t SET b = b + 1 WHERE k >= 500 AND k < 600 RETURNING k, b;
UPDATE t SET b = b + 1 WHERE k >= 500 AND k < 600 AND a = 'own' RETURNING k, b;
SAVEPOINT s;
DELETE FROM t;
SELECT count(*) FROM t;
ROLLBACK TO s;
DELETE FROM t WHERE k >= 500 AND k < 600;
SELECT count(*) FROM t WHERE k >= 500 AND k < 600;
CREATE STORED TABLE fresh (k int NOT NULL, v text) KEY (k);
UPDATE fresh SET v = 'no row';
DELETE FROM fresh;
INSERT INTO fresh VALUES (1, 'a'), (2, 'b');
UPDATE fresh SET v = v || v WHERE k = 2;
DELETE FROM fresh WHERE k = 1;
SELECT * FROM fresh;
COMMIT;

-- functions that read and write the table while it is changed
CREATE FUNCTION others() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT count(*) FROM c WHERE v = 100';
ALTER STORED TABLE c DROP CONSTRAINT c_v_check;
INSERT INTO c SELECT g, g FROM generate_series(3, 6) g;
UPDATE c SET v = 100 WHERE others() >= 0 RETURNING k, v;
CREATE FUNCTION also(int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	UPDATE c SET v = v + 1000 WHERE k = $1 + 1;
	RETURN 1;
END $$;
-- fails: a row that the command changed itself
UPDATE c SET v = also(k) WHERE k < 4;
UPDATE c SET v = also(k) WHERE k = 6;
SELECT * FROM c ORDER BY k;

-- statement triggers, partitions by name, tags
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''% %'', TG_WHEN, TG_OP; RETURN NULL; END';
CREATE TRIGGER b BEFORE UPDATE OR DELETE ON c FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER a AFTER UPDATE OR DELETE ON c FOR EACH STATEMENT EXECUTE FUNCTION tell();
UPDATE c SET v = 0 WHERE k < 3;
DELETE FROM c WHERE k > 4;
CREATE TABLE r (id int NOT NULL, v text) PARTITION BY RANGE (id);
CREATE STORED TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (100) KEY (id);
CREATE STORED TABLE r2 (v text, id int NOT NULL) KEY (id);
ALTER TABLE r ATTACH PARTITION r2 FOR VALUES FROM (100) TO (200);
INSERT INTO r SELECT g, 'v' FROM generate_series(50, 150, 10) g;
UPDATE r1 SET v = 'one' WHERE id > 80 RETURNING *;
-- fails: out of its bounds
UPDATE r1 SET id = 150 WHERE id = 50;
UPDATE r SET v = 'two' WHERE id > 120 RETURNING tableoid::regclass, *;
UPDATE r SET v = 'all' WHERE id % 20 = 0 RETURNING *;
DELETE FROM r WHERE id >= 100 RETURNING tableoid::regclass, id;
DELETE FROM r WHERE id = 60 RETURNING *;
SELECT * FROM r ORDER BY id;
CREATE VIEW w AS SELECT id, v FROM r1 WHERE v <> 'hidden';
UPDATE w SET v = 'hidden' WHERE id = 70 RETURNING *;
DELETE FROM w WHERE id <= 80 RETURNING id;
SELECT * FROM r1 ORDER BY id;
