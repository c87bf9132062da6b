-- DELETE and TRUNCATE.

CREATE STORED TABLE t (id int NOT NULL, name text) KEY (id);
CREATE STORED TABLE nokey (id int, name text);
CREATE STORED TABLE m (a int NOT NULL, b int NOT NULL, v int) KEY (a, b DESC);
CREATE TABLE h (id int PRIMARY KEY);
INSERT INTO t SELECT g, 'name ' || g FROM generate_series(1, 50) g;
INSERT INTO nokey SELECT * FROM t;
INSERT INTO m SELECT a, b, a * b FROM generate_series(1, 10) a, generate_series(1, 10) b;
INSERT INTO h SELECT g FROM generate_series(1, 50, 7) g;

DELETE FROM t WHERE id = 3;
DELETE FROM t WHERE id = 3;
DELETE FROM t WHERE id = 4 RETURNING *;
DELETE FROM t WHERE id = 400 RETURNING *;
DELETE FROM t WHERE id BETWEEN 5 AND 7;
DELETE FROM t WHERE name = 'name 9' RETURNING id, upper(name);
WITH x AS (DELETE FROM t WHERE name LIKE '%2_' RETURNING id)
    SELECT * FROM x ORDER BY 1;
DELETE FROM t WHERE false;
WITH x AS (DELETE FROM t USING h WHERE h.id = t.id RETURNING t.id, h.id)
    SELECT * FROM x ORDER BY 1;
WITH x AS (DELETE FROM t USING t other WHERE other.id = t.id + 1 AND t.id > 40 RETURNING t.id)
    SELECT * FROM x ORDER BY 1;
DELETE FROM t WHERE id IN (SELECT id + 1 FROM h);
DELETE FROM t WHERE id = (SELECT min(id) FROM t);
WITH x AS (DELETE FROM t WHERE EXISTS (SELECT FROM h WHERE h.id = t.id + 2) RETURNING id)
    SELECT * FROM x ORDER BY 1;
SELECT id FROM t ORDER BY id;
DELETE FROM h USING t WHERE h.id = t.id - 1;
SELECT * FROM h ORDER BY id;
WITH gone AS (DELETE FROM t WHERE id > 30 RETURNING id) SELECT count(*), (SELECT count(*) FROM t) AS before FROM gone;
SELECT count(*) FROM t;
DELETE FROM nokey WHERE id % 2 = 0;
DELETE FROM nokey WHERE id = 1 RETURNING *;
SELECT count(*), sum(id) FROM nokey;
INSERT INTO nokey VALUES (1, 'twin'), (1, 'twin');
DELETE FROM nokey WHERE name = 'twin';
SELECT count(*) FROM nokey;

DELETE FROM m WHERE a = 3;
DELETE FROM m WHERE a = 4 AND b > 5;
DELETE FROM m WHERE a = 5 AND b = 5 RETURNING *;
WITH x AS (DELETE FROM m WHERE a > 8 AND b < 3 RETURNING a, b)
    SELECT * FROM x ORDER BY 1, 2;
DELETE FROM m WHERE b = 7;
SELECT a, count(*), min(b), max(b) FROM m GROUP BY a ORDER BY a;

-- What was deleted may come again, in the same transaction too.
INSERT INTO t VALUES (3, 'again');
BEGIN;
DELETE FROM t WHERE id = 3;
SELECT count(*) FROM t WHERE id = 3;
INSERT INTO t VALUES (3, 'and again');
SELECT * FROM t WHERE id = 3;
DELETE FROM t WHERE id = 3;
INSERT INTO t VALUES (3, 'for good');
-- fails: it is there
INSERT INTO t VALUES (3, 'once more');
ROLLBACK;
SELECT * FROM t WHERE id = 3;
DELETE FROM t;
SELECT count(*) FROM t;
INSERT INTO t SELECT g, 'second life' FROM generate_series(1, 10) g;
SELECT count(*), min(name) FROM t;

-- Many rows, and ranges of deleted ones between living ones.
CREATE STORED TABLE big (k int NOT NULL, v text) KEY (k);
INSERT INTO big SELECT g, md5(g::text) FROM generate_series(1, 20000) g;
DELETE FROM big WHERE k % 100 <> 0;
SELECT count(*), sum(k) FROM big;
SELECT k FROM big ORDER BY k LIMIT 3;
SELECT k FROM big WHERE k > 10050 ORDER BY k LIMIT 3;
SELECT k FROM big ORDER BY k DESC LIMIT 3;
INSERT INTO big SELECT g, 'new' FROM generate_series(1, 99) g;
SELECT count(*) FROM big WHERE k < 200;
DELETE FROM big USING generate_series(1, 20000, 2) g WHERE k = g;
SELECT count(*), sum(k) FROM big;

-- TRUNCATE
TRUNCATE big;
SELECT count(*) FROM big;
TRUNCATE big;
INSERT INTO big VALUES (1, 'after');
BEGIN;
TRUNCATE big;
SELECT count(*) FROM big;
INSERT INTO big VALUES (1, 'within'), (2, 'within');
SELECT * FROM big ORDER BY k;
ROLLBACK;
SELECT * FROM big ORDER BY k;
BEGIN;
INSERT INTO big VALUES (3, 'before');
TRUNCATE big;
INSERT INTO big VALUES (3, 'after');
COMMIT;
SELECT * FROM big ORDER BY k;
BEGIN;
SAVEPOINT a;
TRUNCATE big;
INSERT INTO big VALUES (4, 'inside');
ROLLBACK TO a;
INSERT INTO big VALUES (5, 'outside');
COMMIT;
SELECT * FROM big ORDER BY k;
TRUNCATE t, m, h, nokey;
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM m), (SELECT count(*) FROM h), (SELECT count(*) FROM nokey);
CREATE SEQUENCE s;
CREATE STORED TABLE ser (id int NOT NULL DEFAULT nextval('s')) KEY (id);
ALTER SEQUENCE s OWNED BY ser.id;
INSERT INTO ser SELECT FROM generate_series(1, 5);
TRUNCATE ser;
INSERT INTO ser DEFAULT VALUES RETURNING id;
TRUNCATE ser RESTART IDENTITY;
INSERT INTO ser DEFAULT VALUES RETURNING id;
