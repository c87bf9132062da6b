-- Indexes over rows that are there, and rows that ALTER stores anew, where storage takes
-- them in as a load: from the first row on.
SET kalam.bulk_load_threshold = 0;

CREATE STORED TABLE t (k int NOT NULL, a int, b text COLLATE "C", n numeric) KEY (k);
-- of nothing
CREATE STORED INDEX none ON t (a);
INSERT INTO t SELECT g, g % 100, CASE WHEN g % 10 > 0 THEN 'text ' || g * 7919 % 10007 END, g * 0.125 FROM generate_series(1, 5000) g;
CREATE STORED INDEX ab ON t (a DESC, b);
CREATE STORED UNIQUE INDEX b ON t (b);
SELECT k, b FROM t WHERE a = 7 AND b > 'text 5' ORDER BY b LIMIT 5;
SELECT k FROM t WHERE b = 'text 7919';
SELECT count(*) FROM t WHERE b IS NULL;
UPDATE t SET n = 1.125, a = 9 WHERE k = 4999;
-- fails: a value twice
CREATE STORED UNIQUE INDEX n ON t (n);
-- fails: two columns
CREATE STORED UNIQUE INDEX na ON t (n, a);
UPDATE t SET b = NULL, n = 2000 WHERE k = 4998;
UPDATE t SET b = 'other' WHERE k = 4999;
CREATE STORED UNIQUE INDEX nb ON t (n, b);
-- fails: it is kept
INSERT INTO t VALUES (6000, 1, 'other', 1.125);
INSERT INTO t VALUES (6000, 1, 'another', 1.125);
DELETE FROM t WHERE k = 6000;

-- in a transaction, with changes before and behind
BEGIN;
INSERT INTO t SELECT g, g, 'more ' || g, -g FROM generate_series(10001, 10500) g;
DELETE FROM t WHERE k % 50 = 1;
UPDATE t SET n = 0 - n WHERE k = 4999;
CREATE STORED UNIQUE INDEX n ON t (n, k);
SELECT k, n FROM t WHERE n < -10490 ORDER BY n, k;
SELECT k, n FROM t WHERE n BETWEEN -5 AND 1 ORDER BY n, k;
INSERT INTO t SELECT g, g, 'more ' || g, -g FROM generate_series(20001, 20300) g;
UPDATE t SET n = n - 1 WHERE k BETWEEN 20001 AND 20010;
SAVEPOINT one;
CREATE STORED INDEX gone ON t (n DESC);
INSERT INTO t SELECT g, g, NULL, -g FROM generate_series(30001, 30300) g;
ROLLBACK TO one;
-- fails: twice
CREATE STORED UNIQUE INDEX twice ON t (n);
ROLLBACK TO one;
CREATE STORED INDEX kept ON t (n DESC, a);
DELETE FROM t WHERE k = 20005;
SELECT count(*), sum(k), sum(n) FROM t;
COMMIT;
SELECT k, n, a FROM t WHERE n < -20000 ORDER BY n DESC, a LIMIT 7;
SELECT count(*), sum(k), sum(n) FROM t;
BEGIN;
CREATE STORED INDEX undone ON t (a, n);
SELECT count(*) FROM t WHERE a = 10001;
ROLLBACK;
SELECT count(*) FROM t WHERE a = 10001;
BEGIN;
CREATE STORED TABLE fresh (k int NOT NULL, v int) KEY (k);
INSERT INTO fresh SELECT g, g % 10 FROM generate_series(1, 1000) g;
CREATE STORED INDEX v ON fresh (v);
INSERT INTO fresh SELECT g, g % 10 FROM generate_series(1001, 2000) g;
SELECT count(*) FROM fresh WHERE v = 3;
COMMIT;
SELECT count(*) FROM fresh WHERE v = 3;

-- rows stored anew
ALTER STORED TABLE t ALTER COLUMN n TYPE int;
ALTER STORED TABLE t ADD COLUMN late text DEFAULT 'late', ADD COLUMN g int GENERATED ALWAYS AS (k * 2) STORED;
SELECT count(*), sum(k), sum(n), min(late), sum(g) FROM t;
SELECT k, n, a FROM t WHERE n < -20000 ORDER BY n DESC, a LIMIT 7;
SELECT k FROM t WHERE b = 'text 7919';
-- fails: the values do not fit
ALTER STORED TABLE t ALTER COLUMN a TYPE smallint, ALTER COLUMN n TYPE smallint, ADD COLUMN x int DEFAULT 1 / 0;
-- fails: a constraint, in a row that is stored anew
ALTER STORED TABLE t ALTER COLUMN a TYPE bigint, ADD CONSTRAINT few CHECK (a < 20200);
-- fails: a null
ALTER STORED TABLE t ADD COLUMN y int NOT NULL DEFAULT NULL, ALTER COLUMN a TYPE bigint;
-- fails: a null that was there
ALTER STORED TABLE t ALTER COLUMN b TYPE varchar(100), ALTER COLUMN a TYPE bigint, ALTER COLUMN b SET NOT NULL;
ALTER STORED TABLE t ALTER COLUMN a TYPE bigint, ADD CONSTRAINT enough CHECK (a >= 0);
SELECT count(*), sum(k), sum(a) FROM t;
-- fails: what was checked then still holds
INSERT INTO t (k, a) VALUES (-1, -1);
BEGIN;
ALTER STORED TABLE t ALTER COLUMN n TYPE bigint;
INSERT INTO t (k, a, n) SELECT g, 1, g FROM generate_series(40001, 40500) g;
ALTER STORED TABLE t ALTER COLUMN n TYPE numeric(20, 2);
SAVEPOINT one;
ALTER STORED TABLE t ALTER COLUMN n TYPE text;
SELECT max(n) FROM t WHERE k > 40000;
ROLLBACK TO one;
DELETE FROM t WHERE k > 40400;
SELECT count(*), sum(k), sum(n) FROM t;
COMMIT;
SELECT count(*), sum(k), sum(n) FROM t;
SELECT k, n FROM t WHERE n > 40390 ORDER BY n;

-- a default that looks at the table: what is stored anew is not there yet
CREATE SEQUENCE s;
CREATE STORED TABLE looks (k int NOT NULL, v int) KEY (k);
INSERT INTO looks SELECT g, g FROM generate_series(1, 200) g;
CREATE FUNCTION number() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT nextval(''s'')::int';
ALTER STORED TABLE looks ADD COLUMN w int DEFAULT number();
SELECT count(*), count(DISTINCT w), min(w), max(w) FROM looks;
