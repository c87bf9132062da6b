-- Cursors: forward, backward, absolute, kept over the end of a transaction.

CREATE STORED TABLE t (id int NOT NULL, v text) KEY (id);
CREATE STORED TABLE down (a int NOT NULL, b int NOT NULL) KEY (a, b DESC);
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 1000) g;
INSERT INTO down SELECT g / 10, g FROM generate_series(1, 100) g;

BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT * FROM t ORDER BY id;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH NEXT FROM c;
FETCH PRIOR FROM c;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
FETCH FIRST FROM c;
FETCH ABSOLUTE 500 FROM c;
FETCH ABSOLUTE -2 FROM c;
FETCH RELATIVE -10 FROM c;
FETCH RELATIVE 0 FROM c;
MOVE 5 FROM c;
FETCH NEXT FROM c;
MOVE BACKWARD ALL FROM c;
FETCH NEXT FROM c;
MOVE ALL FROM c;
FETCH NEXT FROM c;
FETCH PRIOR FROM c;
CLOSE c;
COMMIT;

BEGIN;
DECLARE unordered SCROLL CURSOR FOR SELECT id FROM t WHERE id > 990;
FETCH 4 FROM unordered;
FETCH BACKWARD 2 FROM unordered;
FETCH ALL FROM unordered;
FETCH BACKWARD ALL FROM unordered;
DECLARE forward NO SCROLL CURSOR FOR SELECT id FROM t WHERE id < 5;
FETCH 2 FROM forward;
-- fails: this one only goes forward
FETCH BACKWARD 1 FROM forward;
ROLLBACK;

-- Many at once, in turns, over the same and other tables.
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM t WHERE id < 400 ORDER BY id;
DECLARE b CURSOR FOR SELECT id FROM t ORDER BY id DESC;
DECLARE c CURSOR FOR SELECT a, b FROM down ORDER BY a, b DESC;
FETCH 2 FROM a;
FETCH 2 FROM b;
FETCH 2 FROM c;
FETCH 2 FROM a;
FETCH 2 FROM b;
FETCH 2 FROM c;
MOVE 300 FROM a;
FETCH 1 FROM a;
FETCH 1 FROM b;
CLOSE a;
FETCH 1 FROM b;
SELECT count(*) FROM t;
FETCH 1 FROM c;
DO $$
BEGIN
    FOR i IN 1..40 LOOP
        EXECUTE format('DECLARE many%s CURSOR FOR SELECT id FROM t WHERE id > %s', i, i * 20);
    END LOOP;
END
$$;
FETCH 1 FROM many1;
FETCH 1 FROM many40;
FETCH 1 FROM many20;
MOVE 150 FROM many20;
FETCH 1 FROM many20;
FETCH 2 FROM many40;
COMMIT;

-- Kept over the end of the transaction: it holds the rows of then.
BEGIN;
INSERT INTO t VALUES (2000, 'own');
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT id, v FROM t WHERE id > 997 ORDER BY id;
FETCH 1 FROM held;
DELETE FROM t WHERE id = 999;
COMMIT;
FETCH 2 FROM held;
UPDATE t SET v = 'later';
FETCH ALL FROM held;
FETCH BACKWARD ALL FROM held;
CLOSE held;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT 1 / (id - 3) FROM t ORDER BY id;
-- fails: when the rest of it is computed
COMMIT;
SELECT count(*) FROM pg_cursors WHERE name = 'held';
DECLARE outside CURSOR WITH HOLD FOR SELECT id FROM t WHERE id < 3 ORDER BY id;
FETCH ALL FROM outside;
CLOSE ALL;

-- With joins, and within functions.
BEGIN;
DECLARE j CURSOR FOR SELECT t.id, down.b FROM t JOIN down ON down.a = t.id WHERE down.b % 10 = 0 ORDER BY 1, 2;
FETCH 3 FROM j;
FETCH 2 FROM j;
COMMIT;
CREATE FUNCTION open_it(refcursor) RETURNS refcursor LANGUAGE plpgsql AS $$
BEGIN
    OPEN $1 FOR SELECT id, v FROM t WHERE id BETWEEN 10 AND 14 ORDER BY id;
    RETURN $1;
END
$$;
BEGIN;
SELECT open_it('mine');
FETCH 2 FROM mine;
FETCH ALL FROM mine;
COMMIT;
\set FETCH_COUNT 100
SELECT count(*), md5(string_agg(id::text, ',')) FROM (SELECT id FROM t ORDER BY id) x;
SELECT id FROM t WHERE id <= 3 ORDER BY id;
