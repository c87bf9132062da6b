-- UPDATE in all its forms.

CREATE STORED TABLE t (id int NOT NULL, name text, amount numeric, twice numeric GENERATED ALWAYS AS (amount * 2) STORED) KEY (id);
INSERT INTO t SELECT g, 'name ' || g, g FROM generate_series(1, 20) g;
CREATE STORED TABLE nokey (id int, name text);
INSERT INTO nokey SELECT id, name FROM t;
CREATE TABLE h (id int PRIMARY KEY, delta int);
INSERT INTO h SELECT g, g * 10 FROM generate_series(1, 25, 3) g;

UPDATE t SET name = 'changed' WHERE id = 3;
UPDATE t SET name = 'changed', amount = amount + 0.5 WHERE id IN (4, 5, 99);
UPDATE t SET amount = NULL WHERE id = 6 RETURNING *;
UPDATE t SET amount = DEFAULT, name = DEFAULT WHERE id = 7 RETURNING id, name, amount, twice;
UPDATE t SET (name, amount) = ('row', 8.80) WHERE id = 8 RETURNING t;
UPDATE t SET (name, amount) = (SELECT 'sub', sum(delta) FROM h) WHERE id = 9;
UPDATE t SET name = name || '!' WHERE name LIKE 'name 1%';
UPDATE t SET name = 'nothing' WHERE false;
UPDATE t SET name = 'nothing' WHERE id = 99 RETURNING id;
UPDATE t AS x SET name = upper(x.name) WHERE x.id = 1 RETURNING x.id, x.name;
SELECT * FROM t ORDER BY id;
UPDATE nokey SET name = 'changed' WHERE id = 3;
UPDATE nokey SET id = id + 100 WHERE id > 15;
UPDATE nokey SET name = NULL, id = NULL WHERE id = 1 RETURNING *;
SELECT * FROM nokey ORDER BY id, name;

-- The key itself.
UPDATE t SET id = 30 WHERE id = 2 RETURNING *;
SELECT id FROM t WHERE id IN (2, 30);
UPDATE t SET id = id + 100;
SELECT count(*), min(id), max(id) FROM t;
UPDATE t SET id = id - 100, name = id::text;
SELECT id, name FROM t ORDER BY id LIMIT 3;
UPDATE t SET id = -id WHERE id < 5;
SELECT id, name FROM t WHERE id < 5 ORDER BY id;
UPDATE t SET id = id WHERE id = 10;
-- fails: the key exists
UPDATE t SET id = 10 WHERE id = 11;
-- fails: the next key exists
UPDATE t SET id = id + 1 WHERE id BETWEEN 11 AND 15;
-- fails: a swap, for the check is made at once
UPDATE t SET id = CASE id WHEN 12 THEN 13 ELSE 12 END WHERE id IN (12, 13);
-- fails: two rows get one key
UPDATE t SET id = 500 WHERE id IN (12, 13);
-- fails: null in a key
UPDATE t SET id = NULL WHERE id = 12;
SELECT count(*), sum(id) FROM t;
-- Out of the way first, then it works.
BEGIN;
UPDATE t SET id = -1000 WHERE id = 12;
UPDATE t SET id = 12 WHERE id = 13;
UPDATE t SET id = 13 WHERE id = -1000;
COMMIT;
SELECT id, name FROM t WHERE id IN (12, 13) ORDER BY id;

-- With other tables, and with itself.
WITH x AS (UPDATE t SET amount = amount + h.delta FROM h WHERE h.id = t.id RETURNING t.id, t.amount, h.delta)
    SELECT * FROM x ORDER BY 1;
WITH x AS (UPDATE t SET name = 'from two' FROM h, generate_series(1, 3) g WHERE h.id = t.id AND g = h.id RETURNING t.id)
    SELECT * FROM x ORDER BY 1;
UPDATE h SET delta = t.amount FROM t WHERE h.id = t.id;
SELECT * FROM h ORDER BY id;
UPDATE t SET name = other.name FROM t other WHERE other.id = t.id - 1 AND t.id BETWEEN 15 AND 17;
SELECT id, name FROM t WHERE id BETWEEN 14 AND 18 ORDER BY id;
UPDATE t SET amount = (SELECT max(amount) FROM t) WHERE id = 20 RETURNING amount;
UPDATE t SET amount = (SELECT count(*) FROM t inside WHERE inside.id < t.id) WHERE id > 0;
SELECT id, amount FROM t WHERE id > 0 ORDER BY id;
WITH x AS (UPDATE t SET name = 'in subquery' WHERE id IN (SELECT id FROM h) RETURNING id)
    SELECT * FROM x ORDER BY 1;
UPDATE t SET name = 'exists' WHERE EXISTS (SELECT FROM h WHERE h.id = t.id AND delta > 50);
UPDATE t SET name = NULL WHERE id NOT IN (SELECT id FROM h);
SELECT id, name FROM t ORDER BY id;
-- A row is updated once, however many partners it has.
UPDATE t SET amount = 1 FROM generate_series(1, 3) g WHERE t.id = 10;
WITH changed AS (UPDATE t SET amount = 77 WHERE id IN (18, 19) RETURNING id, amount)
    SELECT c.*, t.amount AS before FROM changed c JOIN t USING (id) ORDER BY id;
WITH a AS (UPDATE t SET name = 'a' WHERE id = 18 RETURNING 1), b AS (UPDATE t SET name = 'b' WHERE id = 19 RETURNING 1)
    SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b);
SELECT id, name FROM t WHERE id IN (18, 19) ORDER BY id;
-- fails: after all that, in RETURNING
WITH moved AS (DELETE FROM t WHERE id = 20 RETURNING *) INSERT INTO t (id, name) SELECT id, 'same key' FROM moved RETURNING 1 / (id - 20);
SELECT name FROM t WHERE id = 20;
WITH moved AS (DELETE FROM t WHERE id = 20 RETURNING *) INSERT INTO t (id, name) SELECT id, 'same key' FROM moved RETURNING name;
SELECT name FROM t WHERE id = 20;

-- Composite and descending keys.
CREATE STORED TABLE m (a int NOT NULL, b int NOT NULL, v text) KEY (a, b DESC);
INSERT INTO m SELECT a, b, a || '/' || b FROM generate_series(1, 4) a, generate_series(4, 1, -1) b;
UPDATE m SET b = b + 10 WHERE a = 2;
UPDATE m SET a = 9 WHERE a = 3 AND b > 2;
UPDATE m SET v = v || '*' WHERE a = 1 AND b BETWEEN 2 AND 3;
-- fails: the key exists
UPDATE m SET a = 1 WHERE a = 4;
WITH x AS (UPDATE m SET a = 5, b = b * -1 WHERE a = 4 RETURNING *)
    SELECT * FROM x ORDER BY 1, 2;
SELECT * FROM m ORDER BY a, b DESC;

-- Values that only look the same.
CREATE STORED TABLE n (k numeric NOT NULL, f float8, v text) KEY (k);
INSERT INTO n VALUES (1.0, 0, 'a'), (2, 1, 'b');
UPDATE n SET k = 1.000, f = '-0' WHERE k = 1;
UPDATE n SET k = 2.0 WHERE k = 2;
SELECT * FROM n ORDER BY k;
UPDATE n SET v = v WHERE k = 1;
SELECT * FROM n ORDER BY k;

-- Many rows, the same ones again and again, and growing ones.
CREATE STORED TABLE big (k int NOT NULL, v text, c int) KEY (k);
INSERT INTO big SELECT g, 'v', 0 FROM generate_series(1, 5000) g;
DO $$ BEGIN FOR i IN 1..5 LOOP UPDATE big SET c = c + 1, v = v || repeat('x', i); END LOOP; END $$;
SELECT count(*), sum(c), min(v), max(length(v)) FROM big;
UPDATE big SET k = k + 100000 WHERE k % 2 = 0;
SELECT count(*), min(k), max(k), sum(c) FROM big;
DO $$ BEGIN FOR i IN 1..1000 LOOP UPDATE big SET c = c + i WHERE k = 1; END LOOP; END $$;
SELECT c FROM big WHERE k = 1;

-- the whole row, by its name, in the condition of an UPDATE with FROM
CREATE STORED TABLE whole (id int, n numeric, t text) KEY (id);
INSERT INTO whole VALUES (1, 1.0, 'a'), (2, 2.0, 'b'), (3, 3.0, 'c');
CREATE FUNCTION whole_n(whole) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1.n';
UPDATE whole SET t = w.t || x.v FROM (VALUES (2, 'x'), (3, 'y')) x (k, v), whole w
	WHERE whole_n(whole.*) = x.k AND w.id = whole.id AND whole_n(w.*) = x.k RETURNING whole.*, w.*;
DELETE FROM whole USING (VALUES (1)) x (k) WHERE whole_n(whole.*) = x.k RETURNING whole.*;
SELECT * FROM whole ORDER BY id;
