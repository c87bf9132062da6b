-- Results of scans, asked for again and again while all that they were read from
-- changes: rows in ranges, both ways, by indexes, limited, counted, aggregated.

SET client_min_messages = warning;
CREATE STORED TABLE t (id int NOT NULL, a int, b text, f float8, n numeric, big text) KEY (id);
CREATE STORED INDEX x ON t (a, id DESC);
CREATE STORED UNIQUE INDEX u ON t (b);
CREATE STORED TABLE pairs (k text COLLATE "C" NOT NULL, s int NOT NULL, v int) KEY (k, s DESC);
CREATE STORED TABLE keyless (v int, w text);
INSERT INTO t SELECT i, i % 50, 'b' || i, i / 8.0, i * 1.5, repeat('x', i % 30)
FROM generate_series(1, 4000) i;
INSERT INTO pairs SELECT chr(97 + i % 26), i, i % 10 FROM generate_series(1, 1000) i;
INSERT INTO keyless SELECT i, 'w' || i FROM generate_series(1, 300) i;
ANALYZE t;
ANALYZE pairs;
ANALYZE keyless;

CREATE TABLE questions (number int GENERATED ALWAYS AS IDENTITY, query text);
INSERT INTO questions (query) VALUES
    ('SELECT count(*) FROM t'),
    ('SELECT count(*), sum(a), min(b COLLATE "C"), max(id), avg(n) FROM t'),
    ('SELECT count(*) FROM t WHERE a = 7'),
    ('SELECT count(*) FROM t WHERE f > 100 AND b <> ''b900'''),
    ('SELECT a, count(*), sum(id), sum(n) FROM t GROUP BY a ORDER BY a'),
    ('SELECT sum(f), avg(f) FROM t WHERE id BETWEEN 5 AND 95'),
    ('SELECT * FROM t WHERE id BETWEEN 10 AND 30 ORDER BY id'),
    ('SELECT * FROM t WHERE id BETWEEN 10 AND 30 ORDER BY id DESC'),
    ('SELECT id, b FROM t WHERE id IN (3, 5, 1000, 2, 5000, 77) ORDER BY id'),
    ('SELECT id, b FROM t WHERE id > 10 AND b LIKE ''b1%'' ORDER BY id LIMIT 12'),
    ('SELECT id, b FROM t ORDER BY id LIMIT 5'),
    ('SELECT id, b FROM t ORDER BY id LIMIT 25'),
    ('SELECT id, b FROM t ORDER BY id LIMIT 15 OFFSET 5'),
    ('SELECT id, b FROM t ORDER BY id DESC LIMIT 20'),
    ('SELECT id, b FROM t ORDER BY id DESC LIMIT 40'),
    ('SELECT id, a, b FROM t WHERE a = 7 ORDER BY id DESC LIMIT 50'),
    ('SELECT id, a FROM t WHERE a = 7 ORDER BY id DESC'),
    ('SELECT id, a FROM t WHERE a IN (1, 2, 49) ORDER BY a, id DESC'),
    ('SELECT * FROM t WHERE b = ''b77'''),
    ('SELECT * FROM t WHERE b = ''none'''),
    ('SELECT id FROM t WHERE a = 3 OR id = 8 OR b = ''b100'' ORDER BY id'),
    ('SELECT EXISTS (SELECT FROM t WHERE a = 12)'),
    ('SELECT EXISTS (SELECT FROM t WHERE id > 3990)'),
    ('SELECT EXISTS (SELECT FROM t WHERE f < 0)'),
    ('SELECT max(id), min(id) FROM t'),
    ('SELECT max(id) FROM t WHERE a = 9'),
    ('SELECT p.k, p.s, t.b FROM pairs p JOIN t ON t.id = p.s WHERE p.k = ''c'' ORDER BY 1, 2'),
    ('SELECT o.a, (SELECT count(*) FROM t i WHERE i.a = o.a) FROM t o WHERE o.id < 20 ORDER BY o.id'),
    ('SELECT o.s, l.id FROM pairs o, LATERAL (SELECT id FROM t WHERE t.a = o.v ORDER BY id DESC LIMIT 2) l WHERE o.k = ''d'' ORDER BY 1, 2'),
    ('SELECT * FROM pairs WHERE k = ''e'' ORDER BY s DESC'),
    ('SELECT * FROM pairs WHERE k >= ''x'' ORDER BY k, s DESC'),
    ('SELECT k, sum(v) FROM pairs GROUP BY k ORDER BY k'),
    ('SELECT * FROM keyless ORDER BY v LIMIT 10'),
    ('SELECT count(*), sum(v) FROM keyless'),
    ('SELECT id, length(big) FROM t WHERE length(big) > 1000 ORDER BY id'),
    ('SELECT id, md5(big) FROM t WHERE id BETWEEN 100 AND 110 ORDER BY id');

-- All questions, each three times in a row: an answer that is not the first one's is
-- told of.  What comes is a sum of the answers.
CREATE FUNCTION answers(OUT number int, OUT answer text) RETURNS SETOF record
LANGUAGE plpgsql AS $$
DECLARE
    question text;
    again text;
BEGIN
    FOR number, question IN SELECT q.number, q.query FROM questions q ORDER BY q.number LOOP
        question := 'SELECT count(*) || '' '' || md5(coalesce(string_agg(q::text, ''|''), '''')) FROM (' ||
            question || ') q';
        EXECUTE question INTO answer;
        FOR i IN 1 .. 2 LOOP
            EXECUTE question INTO again;
            IF again IS DISTINCT FROM answer THEN
                answer := 'first ' || answer || ', then ' || again;
            END IF;
        END LOOP;
        RETURN NEXT;
    END LOOP;
END
$$;

SELECT * FROM answers();

-- one row, in the ranges of many and not in those of others
UPDATE t SET b = 'new' WHERE id = 20;
SELECT * FROM answers();
UPDATE t SET a = 7 WHERE id = 21;
SELECT * FROM answers();
DELETE FROM t WHERE id IN (1, 25, 3999, 4000);
SELECT * FROM answers();
INSERT INTO t VALUES (4001, 12, 'b77b', 1, 2, 'x'), (-5, 7, 'first', -1, 0.5, ''), (0, 3, NULL, NULL, NULL, NULL);
SELECT * FROM answers();
UPDATE pairs SET v = v + 1 WHERE k = 'd';
DELETE FROM keyless WHERE v < 3;
SELECT * FROM answers();

-- the key of a row, and its indexed columns
UPDATE t SET id = 5000 WHERE id = 77;
UPDATE t SET b = 'b77' WHERE id = 5000;
UPDATE t SET b = 'b100b' WHERE b = 'b100';
SELECT * FROM answers();

-- nothing that is rolled back is ever seen; what a transaction does itself is
BEGIN;
UPDATE t SET a = a + 1 WHERE id < 100;
INSERT INTO keyless VALUES (-1, 'own');
SELECT * FROM answers() WHERE number IN (1, 3, 5, 11, 14, 16, 17, 18, 33, 34);
SAVEPOINT s;
DELETE FROM t WHERE id < 50;
SELECT * FROM answers() WHERE number IN (1, 3, 5, 11, 14, 16, 17, 18, 33, 34);
ROLLBACK TO s;
SELECT * FROM answers() WHERE number IN (1, 3, 5, 11, 14, 16, 17, 18, 33, 34);
ROLLBACK;
SELECT * FROM answers();

-- what is changed in the middle of a scan is not seen by it
BEGIN;
DECLARE before CURSOR FOR SELECT id, a FROM t WHERE id < 2000 ORDER BY id;
FETCH 2 FROM before;
UPDATE t SET a = -1 WHERE id < 10;
FETCH 6 FROM before;
SELECT id, a FROM t WHERE id < 10 ORDER BY id;
MOVE 1900 FROM before;
FETCH 2 FROM before;
COMMIT;
SELECT id, a FROM t WHERE id < 10 ORDER BY id;

-- a snapshot of its own
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*), sum(a) FROM t;
SELECT count(*), sum(a) FROM t;
UPDATE t SET a = a - 1 WHERE id = 300;
SELECT count(*), sum(a) FROM t;
COMMIT;
SELECT count(*), sum(a) FROM t;
SELECT count(*), sum(a) FROM t;

-- parameters that are told at each execution, with a plan for all of them
SET plan_cache_mode = force_generic_plan;
PREPARE newest(int) AS SELECT id FROM t ORDER BY id DESC LIMIT $1;
PREPARE of_a(int) AS SELECT id FROM t WHERE a = $1 ORDER BY id DESC;
PREPARE filtered(text) AS SELECT count(*) FROM t WHERE b > $1 COLLATE "C";
EXECUTE newest(3);
EXECUTE newest(1);
EXECUTE newest(6);
EXECUTE newest(6);
EXECUTE newest(2);
EXECUTE newest(0);
EXECUTE of_a(49);
EXECUTE of_a(48);
EXECUTE of_a(49);
EXECUTE of_a(NULL);
EXECUTE filtered('b5');
EXECUTE filtered('b6');
EXECUTE filtered('b5');
EXECUTE filtered(NULL);
INSERT INTO t VALUES (6000, 49, 'b6000');
EXECUTE newest(3);
EXECUTE of_a(49);
EXECUTE filtered('b5');
RESET plan_cache_mode;

-- cursors: a part of what is kept, back, over the end of the transaction
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM t WHERE a = 10 ORDER BY id DESC;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
CLOSE c;
DECLARE c SCROLL CURSOR FOR SELECT id FROM t WHERE a = 10 ORDER BY id DESC;
FETCH 8 FROM c;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
FETCH FIRST FROM c;
CLOSE c;
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM t WHERE a = 10 ORDER BY id DESC;
FETCH 2 FROM c;
COMMIT;
DELETE FROM t WHERE a = 10 AND id > 3000;
FETCH 2 FROM c;
CLOSE c;
SELECT count(*), max(id) FROM t WHERE a = 10;

-- cursors that savepoints leave and end
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT id, b FROM t WHERE id < 3000 ORDER BY id;
FETCH 1 FROM c;
RELEASE s;
SAVEPOINT s;
DECLARE d CURSOR FOR SELECT id, b FROM t WHERE id < 3000 ORDER BY id;
FETCH 1 FROM d;
ROLLBACK TO s;
FETCH 2 FROM c;
-- fails: it went with its savepoint
FETCH 2 FROM d;
ROLLBACK;

-- an error in mid-scan
-- fails: division by zero
SELECT id, 1 / (id - 40) FROM t WHERE id BETWEEN 30 AND 50 ORDER BY id;
SELECT sum(id) FROM t WHERE id BETWEEN 30 AND 50;
SELECT id FROM t WHERE id BETWEEN 30 AND 34 ORDER BY id;

-- rows as large as blocks, a megabyte, and what no cache of this size keeps
UPDATE t SET big = repeat(md5(id::text), 5000) WHERE id IN (101, 103);
UPDATE t SET big = repeat(md5(id::text), 33000) WHERE id = 105;
SELECT * FROM answers() WHERE number IN (1, 2, 35, 36);
UPDATE t SET big = repeat(md5(id::text), 33000) WHERE id BETWEEN 104 AND 108;
SELECT * FROM answers() WHERE number IN (1, 2, 35, 36);
UPDATE t SET big = repeat(md5(id::text), 300000) WHERE id = 109;
SELECT * FROM answers() WHERE number IN (1, 2, 35, 36);
UPDATE t SET big = NULL WHERE length(big) > 1000;
SELECT * FROM answers() WHERE number IN (1, 2, 35, 36);

-- results of all sizes up to a few megabytes
SELECT count(*), md5(string_agg(x::text, '|')) FROM (SELECT * FROM t ORDER BY id) x;
SELECT count(*), md5(string_agg(x::text, '|')) FROM (SELECT * FROM t ORDER BY id) x;
CREATE STORED TABLE wide (id int NOT NULL, v text) KEY (id);
INSERT INTO wide SELECT i, repeat(i::text || ' ', 200) FROM generate_series(1, 10000) i;
ANALYZE wide;
SELECT least(s.n, 1) AS same, count(*), count(DISTINCT answer) FROM generate_series(1, 3) s (n),
    LATERAL (SELECT md5(string_agg(v, '|')) AS answer FROM (SELECT v, s.n FROM wide WHERE id < 1000 ORDER BY id) x) y GROUP BY 1;
SELECT md5(string_agg(v, '|')) FROM (SELECT v FROM wide WHERE id < 3500 ORDER BY id) x;
SELECT md5(string_agg(v, '|')) FROM (SELECT v FROM wide WHERE id < 3500 ORDER BY id) x;
SELECT md5(string_agg(v, '|')) FROM (SELECT v FROM wide ORDER BY id) x;
SELECT md5(string_agg(v, '|')) FROM (SELECT v FROM wide ORDER BY id) x;

-- the table itself
ALTER STORED TABLE t ADD COLUMN added int DEFAULT 5;
SELECT * FROM answers();
ALTER STORED TABLE t DROP COLUMN f;
SELECT id, a, b, added FROM t WHERE id BETWEEN 10 AND 15 ORDER BY id;
ALTER STORED TABLE t ADD COLUMN f float8;
SELECT * FROM answers();
UPDATE t SET added = id, f = id WHERE id % 3 = 0;
SELECT id, a, b, added, f FROM t WHERE id BETWEEN 10 AND 15 ORDER BY id;
SELECT * FROM answers();
BEGIN;
TRUNCATE t, keyless;
SELECT * FROM answers() WHERE number IN (1, 5, 11, 16, 19, 34);
INSERT INTO t SELECT i, 7, 'b' || i FROM generate_series(1, 40) i;
SELECT * FROM answers() WHERE number IN (1, 5, 11, 16, 19, 34);
ROLLBACK;
SELECT * FROM answers();
TRUNCATE t;
SELECT * FROM answers();
INSERT INTO t (id, a, b) SELECT i, i % 50, 'b' || i FROM generate_series(1, 6000) i;
SELECT * FROM answers();
DROP STORED TABLE keyless;
CREATE STORED TABLE keyless (v int, w text);
SELECT * FROM answers() WHERE number IN (33, 34);
INSERT INTO keyless VALUES (1, 'again');
SELECT * FROM answers() WHERE number IN (33, 34);
