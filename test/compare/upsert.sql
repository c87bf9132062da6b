-- INSERT ... ON CONFLICT with a target: what is inserted, updated, left out,
-- returned, counted and refused.

CREATE STORED TABLE t (a int NOT NULL, b text, c int DEFAULT 7) KEY (a);
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, NULL, 3);

INSERT INTO t VALUES (1, 'ONE', 10), (4, 'four', 4) ON CONFLICT (a) DO NOTHING;
INSERT INTO t VALUES (1, 'ONE', 10), (5, 'five', 5) ON CONFLICT (a) DO NOTHING RETURNING *;
INSERT INTO t VALUES (6, 'six', 6), (6, 'again', 6) ON CONFLICT (a) DO NOTHING RETURNING *;
INSERT INTO t VALUES (1, 'ONE', 10), (7, 'seven', 7) ON CONFLICT (a)
	DO UPDATE SET b = excluded.b, c = t.c + excluded.c RETURNING *;
INSERT INTO t (a) VALUES (1), (8) ON CONFLICT (a) DO UPDATE SET (b, c) = (excluded.b, DEFAULT) RETURNING *;
INSERT INTO t VALUES (1, 'x', 0), (2, 'y', 0), (3, 'z', 0) ON CONFLICT (a)
	DO UPDATE SET b = excluded.b WHERE t.c < 3 OR t.b IS NULL RETURNING a, b;
INSERT INTO t AS old VALUES (2, 'aliased', 0) ON CONFLICT (a) DO UPDATE SET b = old.b || excluded.b RETURNING old.*;
INSERT INTO t VALUES (2, 'whole', 0) ON CONFLICT (a) DO UPDATE SET b = (t.*)::text || (excluded.*)::text;
SELECT * FROM t ORDER BY a;

-- the target may name a column twice, and conditions for partial indexes
INSERT INTO t VALUES (1, 'twice', 0) ON CONFLICT (a, a) DO NOTHING;
INSERT INTO t VALUES (1, 'where', 0) ON CONFLICT (a) WHERE b > 'x' DO UPDATE SET b = excluded.b;
INSERT INTO t VALUES (1, 'opclass', 0) ON CONFLICT (a int4_ops) DO UPDATE SET b = excluded.b;
-- fails: no such key
INSERT INTO t VALUES (1, 'x', 0) ON CONFLICT (b) DO NOTHING;
-- fails: more than the key
INSERT INTO t VALUES (1, 'x', 0) ON CONFLICT (a, b) DO UPDATE SET b = excluded.b;
-- fails: an expression
INSERT INTO t VALUES (1, 'x', 0) ON CONFLICT ((a + 1)) DO NOTHING;
-- fails: another class of operators
INSERT INTO t VALUES (1, 'x', 0) ON CONFLICT (a int8_ops) DO NOTHING;
-- fails: the same row a second time, both new
INSERT INTO t VALUES (90, 'x', 0), (90, 'y', 0) ON CONFLICT (a) DO UPDATE SET b = excluded.b;
-- fails: the same row a second time, there before
INSERT INTO t VALUES (1, 'x', 0), (1, 'y', 0) ON CONFLICT (a) DO UPDATE SET b = excluded.b;
-- fails: a null in the key
INSERT INTO t VALUES (NULL, 'x', 0) ON CONFLICT (a) DO UPDATE SET b = excluded.b;
-- fails: SET makes the key null
INSERT INTO t VALUES (1, 'x', 0) ON CONFLICT (a) DO UPDATE SET a = NULL;
SELECT * FROM t ORDER BY a;

-- SET moves the row to another key
INSERT INTO t VALUES (1, 'x', 0) ON CONFLICT (a) DO UPDATE SET a = t.a + 100, b = 'moved' RETURNING *;
-- fails: which is taken
INSERT INTO t VALUES (2, 'x', 0) ON CONFLICT (a) DO UPDATE SET a = 3;
INSERT INTO t VALUES (1, 'new', 0), (101, 'x', 0) ON CONFLICT (a) DO UPDATE SET b = 'there';
SELECT * FROM t ORDER BY a;

-- sources, CTEs, subqueries
INSERT INTO t SELECT g, 'series', g FROM generate_series(1, 12) g ON CONFLICT (a) DO UPDATE SET c = excluded.c;
INSERT INTO t SELECT a + 1, b, c FROM t WHERE a >= 12 ON CONFLICT (a) DO UPDATE SET b = 'from itself';
WITH i AS (INSERT INTO t VALUES (1, 'cte', 1), (50, 'cte', 1) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *)
	SELECT * FROM i ORDER BY a;
WITH i AS (INSERT INTO t VALUES (51, 'cte', 1) RETURNING a)
	INSERT INTO t SELECT a + 1, 'second', 0 FROM i ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *;
-- fails: a row that the same command has inserted
WITH i AS (INSERT INTO t VALUES (60, 'cte', 1) RETURNING a)
	INSERT INTO t SELECT a, 'second', 0 FROM i ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *;
WITH lookup AS (SELECT 'looked up' AS word)
	INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (a) DO UPDATE SET b = (SELECT word FROM lookup), c = (SELECT max(c) FROM t);
INSERT INTO t VALUES (2, 'x', 1) ON CONFLICT (a) DO UPDATE SET b = (SELECT b FROM t AS other WHERE other.a = excluded.a + 1)
	WHERE EXISTS (SELECT 1 FROM t AS other WHERE other.a = excluded.a + 1);
SELECT * FROM t ORDER BY a;

-- more rows than are looked up at once
CREATE STORED TABLE many (k int NOT NULL, v text, n int CHECK (n < 100000)) KEY (k);
INSERT INTO many SELECT g * 3, repeat('x', g), g FROM generate_series(1, 300) g;
INSERT INTO many SELECT g, 'new', g FROM generate_series(1, 1000) g ON CONFLICT (k) DO UPDATE SET n = many.n + excluded.n, v = many.v || excluded.k;
INSERT INTO many SELECT g, 'newer', 0 FROM generate_series(500, 1500) g ON CONFLICT DO NOTHING;
INSERT INTO many SELECT g % 700 + 1400, 'twice', 0 FROM generate_series(1, 1400) g ON CONFLICT (k) DO NOTHING;
-- fails: the same row a second time, far apart
INSERT INTO many SELECT g % 700 + 1400, 'twice', 0 FROM generate_series(1, 1400) g ON CONFLICT (k) DO UPDATE SET n = 1;
-- fails: a CHECK in the midst
INSERT INTO many SELECT g, 'check', CASE WHEN g = 3333 THEN 100000 ELSE 1 END FROM generate_series(3000, 4000) g ON CONFLICT (k) DO UPDATE SET n = 1;
-- fails: a null in the midst
INSERT INTO many SELECT nullif(g, 3456), 'null', 1 FROM generate_series(3000, 4000) g ON CONFLICT (k) DO NOTHING;
BEGIN;
UPDATE many SET v = 'own' WHERE k BETWEEN 100 AND 200;
DELETE FROM many WHERE k BETWEEN 150 AND 250;
INSERT INTO many SELECT g, 'again', 5 FROM generate_series(1, 400) g ON CONFLICT (k) DO UPDATE SET v = many.v || '!', n = excluded.n WHERE many.k % 2 = 0;
SELECT count(*), sum(length(v)), sum(n) FROM many;
ROLLBACK;
SELECT count(*), sum(length(v)), sum(n), min(v), max(v) FROM many;
SELECT * FROM many WHERE k IN (1, 2, 3, 900, 901, 1400, 1500, 2099) ORDER BY k;

-- statements that are planned once
PREPARE p AS INSERT INTO t VALUES ($1, $2, $3) ON CONFLICT (a) DO UPDATE SET b = excluded.b || $2, c = t.c + $3
	WHERE t.c < $3 RETURNING a, b, c;
SET plan_cache_mode = force_generic_plan;
EXECUTE p(2, 'p', 100);
EXECUTE p(2, 'p', 100);
EXECUTE p(70, 'p', 100);
RESET plan_cache_mode;
EXECUTE p(70, 'p', 101);

-- own changes of the transaction, savepoints
BEGIN;
INSERT INTO t VALUES (80, 'own', 0);
INSERT INTO t VALUES (80, 'x', 0) ON CONFLICT (a) DO UPDATE SET b = t.b || excluded.b RETURNING *;
DELETE FROM t WHERE a = 80;
INSERT INTO t VALUES (80, 'again', 0) ON CONFLICT (a) DO UPDATE SET b = t.b || excluded.b RETURNING *;
SAVEPOINT s;
INSERT INTO t VALUES (80, 'undone', 0), (81, 'undone', 0) ON CONFLICT (a) DO UPDATE SET b = excluded.b;
ROLLBACK TO s;
DELETE FROM t WHERE a = 2;
INSERT INTO t VALUES (2, 'deleted before', 0) ON CONFLICT (a) DO UPDATE SET b = 'not';
SELECT * FROM t WHERE a IN (2, 80, 81) ORDER BY a;
COMMIT;
SELECT * FROM t WHERE a IN (2, 80, 81) ORDER BY a;

-- a table that is new in the transaction, and rows of before a column
BEGIN;
CREATE STORED TABLE fresh (a int, b text) KEY (a);
INSERT INTO fresh VALUES (1, 'x'), (2, 'y') ON CONFLICT (a) DO UPDATE SET b = 'not';
INSERT INTO fresh VALUES (1, 'z'), (3, 'y') ON CONFLICT (a) DO UPDATE SET b = fresh.b || excluded.b;
SELECT * FROM fresh ORDER BY a;
COMMIT;
ALTER STORED TABLE fresh ADD COLUMN c int DEFAULT 5;
ALTER STORED TABLE fresh ADD COLUMN d int;
INSERT INTO fresh VALUES (1, 'c', 1, 1), (2, 'c', 1, 1) ON CONFLICT (a) DO UPDATE SET c = fresh.c + excluded.c, d = coalesce(fresh.d, -1) RETURNING *;
ALTER STORED TABLE fresh DROP COLUMN b;
INSERT INTO fresh VALUES (1, 9, 9), (9, 9, 9) ON CONFLICT (a) DO UPDATE SET c = fresh.c + excluded.c RETURNING *;

-- constraints and generated columns
CREATE STORED TABLE g (k text COLLATE "C" NOT NULL, n int CHECK (n < 100), twice int GENERATED ALWAYS AS (n * 2) STORED) KEY (k);
INSERT INTO g VALUES ('a', 1), ('b', 2);
INSERT INTO g VALUES ('a', 10), ('c', 30) ON CONFLICT (k) DO UPDATE SET n = g.n + excluded.n RETURNING *;
-- fails: the proposed row, although another would be written
INSERT INTO g VALUES ('a', 100) ON CONFLICT (k) DO UPDATE SET n = 5;
-- fails: the row that SET makes
INSERT INTO g VALUES ('a', 90) ON CONFLICT (k) DO UPDATE SET n = g.n + excluded.n;
INSERT INTO g VALUES ('a', 90) ON CONFLICT (k) DO UPDATE SET n = g.n + excluded.n WHERE excluded.twice < 180 RETURNING *;
INSERT INTO g VALUES ('b', 50) ON CONFLICT (k) DO UPDATE SET n = excluded.twice - 1 RETURNING *;
INSERT INTO g VALUES ('a', 1) ON CONFLICT (k COLLATE "C") DO NOTHING;
-- fails: another collation
INSERT INTO g VALUES ('a', 1) ON CONFLICT (k COLLATE "POSIX") DO NOTHING;
SELECT * FROM g ORDER BY k;

-- keys of several columns
CREATE STORED TABLE m (a int NOT NULL, b text NOT NULL, v int) KEY (a, b DESC);
INSERT INTO m VALUES (1, 'x', 1), (1, 'y', 2);
INSERT INTO m VALUES (1, 'x', 10), (1, 'z', 3) ON CONFLICT (b, a) DO UPDATE SET v = m.v + excluded.v RETURNING *;
-- fails: a part of the key
INSERT INTO m VALUES (1, 'x', 10) ON CONFLICT (a) DO UPDATE SET v = 0;

-- views
CREATE VIEW v AS SELECT b AS name, a AS id FROM t WHERE a < 1000 WITH CHECK OPTION;
INSERT INTO v (id, name) VALUES (3, 'by view'), (999, 'by view') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING *;
-- fails: what SET makes is not in the view
INSERT INTO v (id, name) VALUES (3, 'by view') ON CONFLICT (id) DO UPDATE SET id = 5000;
-- fails: what is proposed is not in the view
INSERT INTO v (id, name) VALUES (3000, 'by view') ON CONFLICT (id) DO UPDATE SET id = 5000;
-- a row that is there and not in the view: minor releases of the server differ, but not for kinds of tables
INSERT INTO t VALUES (2000, 'hidden', 0);
CREATE FUNCTION tell(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told: %', $1; RETURN true; END $$;
CREATE VIEW outer_v AS SELECT * FROM v;
DO $$ BEGIN INSERT INTO v VALUES ('by view', 2000) ON CONFLICT (id) DO UPDATE SET name = 'changed' WHERE tell(v.name);
	EXCEPTION WHEN object_not_in_prerequisite_state OR with_check_option_violation THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END $$;
DO $$ BEGIN INSERT INTO outer_v VALUES ('by view', 2000) ON CONFLICT (id) DO UPDATE SET name = 'changed' WHERE tell(outer_v.name);
	EXCEPTION WHEN object_not_in_prerequisite_state OR with_check_option_violation THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END $$;
INSERT INTO outer_v VALUES ('by view', 2000) ON CONFLICT (id) DO NOTHING RETURNING *;
SELECT * FROM t WHERE a = 2000;
DELETE FROM t WHERE a = 2000;

-- triggers: each kind for what was done
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % % % -> %', TG_WHEN, TG_LEVEL, TG_OP,
		CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN OLD END,
		CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN NEW END;
	IF TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' THEN
		IF NEW.b = 'skip' || TG_OP THEN RETURN NULL; END IF;
		IF NEW.b = 'change' THEN NEW.b := 'changed by ' || TG_OP; END IF;
		IF NEW.b = 'key' AND TG_OP = 'UPDATE' THEN NEW.a := NEW.a + 1000; END IF;
		IF NEW.b = 'itself' AND TG_OP = 'UPDATE' THEN UPDATE w SET c = 99 WHERE a = NEW.a; END IF;
	END IF;
	RETURN NEW;
END $$;
CREATE STORED TABLE w (a int NOT NULL, b text, c int) KEY (a);
INSERT INTO w VALUES (1, 'one', 1), (2, 'two', 2);
CREATE TRIGGER bs BEFORE INSERT OR UPDATE ON w FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER br BEFORE INSERT OR UPDATE ON w FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER ar AFTER INSERT OR UPDATE ON w FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER asr AFTER INSERT OR UPDATE ON w FOR EACH STATEMENT EXECUTE FUNCTION tell();
INSERT INTO w VALUES (1, 'x', 1), (3, 'y', 1), (2, 'z', 2), (4, 'a', 1)
	ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = w.c + 1 RETURNING *;
INSERT INTO w VALUES (1, 'skipINSERT', 1), (5, 'skipINSERT', 1) ON CONFLICT (a) DO UPDATE SET b = 'not';
INSERT INTO w VALUES (1, 'x', 1) ON CONFLICT (a) DO UPDATE SET b = 'skipUPDATE' RETURNING *;
INSERT INTO w VALUES (1, 'change', 1), (6, 'change', 1) ON CONFLICT (a) DO UPDATE SET b = 'change' RETURNING *;
INSERT INTO w VALUES (1, 'x', 1) ON CONFLICT (a) DO UPDATE SET b = 'not' WHERE false RETURNING *;
INSERT INTO w VALUES (2, 'x', 1) ON CONFLICT (a) DO UPDATE SET b = 'key' RETURNING *;
INSERT INTO w VALUES (3, 'x', 1) ON CONFLICT (a) DO NOTHING RETURNING *;
-- fails: the trigger has changed the row
INSERT INTO w VALUES (3, 'x', 1) ON CONFLICT (a) DO UPDATE SET b = 'itself';
SELECT * FROM w ORDER BY a;
DROP TRIGGER bs ON w;
DROP TRIGGER br ON w;
DROP TRIGGER asr ON w;
INSERT INTO w VALUES (1, 'after', 1), (7, 'after', 1), (1002, 'after', 1) ON CONFLICT (a) DO UPDATE SET b = excluded.b;

-- unique indexes: named or not, they decide or raise
CREATE STORED TABLE u (id int NOT NULL, email text, org int, n int) KEY (id);
CREATE STORED UNIQUE INDEX email ON u (email);
CREATE STORED UNIQUE INDEX both ON u (org, n DESC);
INSERT INTO u VALUES (1, 'a', 1, 1), (2, 'b', 1, 2), (3, NULL, 1, 3);
INSERT INTO u VALUES (10, 'a', 9, 9), (11, 'c', 9, 9), (12, NULL, 9, 10) ON CONFLICT (email) DO NOTHING RETURNING *;
INSERT INTO u VALUES (13, 'x', 1, 2) ON CONFLICT (n, org) DO NOTHING RETURNING *;
INSERT INTO u VALUES (1, 'y', 7, 7), (14, 'a', 7, 7), (15, 'z', 1, 1), (16, 'w', 8, 8) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO u VALUES (20, 'a', 5, 5), (21, 'd', 6, 6), (22, NULL, 7, 7) ON CONFLICT (email)
	DO UPDATE SET n = u.n + excluded.n, org = excluded.org RETURNING *;
-- fails: the primary key, when the email decides
INSERT INTO u VALUES (2, 'new', 70, 70) ON CONFLICT (email) DO UPDATE SET n = 0;
-- fails: the same for DO NOTHING
INSERT INTO u VALUES (2, 'new', 70, 70) ON CONFLICT (email) DO NOTHING;
-- fails: another unique index
INSERT INTO u VALUES (30, 'new', 1, 2) ON CONFLICT (email) DO UPDATE SET n = 0;
-- fails: another unique index, when the primary key decides
INSERT INTO u VALUES (30, 'b', 1, 200) ON CONFLICT (id) DO NOTHING;
-- fails: what SET makes is another row's
INSERT INTO u VALUES (30, 'b', 1, 200) ON CONFLICT (email) DO UPDATE SET email = 'a';
-- both are taken: the one that is named decides
INSERT INTO u VALUES (1, 'b', 1, 300) ON CONFLICT (email) DO UPDATE SET n = excluded.n RETURNING *;
INSERT INTO u VALUES (1, 'b', 1, 301) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING *;
INSERT INTO u VALUES (1, 'b', 1, 302) ON CONFLICT (email) DO NOTHING RETURNING *;
-- the row moves, and its values change
INSERT INTO u VALUES (31, 'b', 1, 1) ON CONFLICT (email) DO UPDATE SET id = 200, email = 'b2' RETURNING *;
INSERT INTO u VALUES (31, 'b2', 1, 400), (2, 'b', 1, 401) ON CONFLICT (email) DO UPDATE SET email = u.email || '!' RETURNING *;
-- fails: a second time, by another key
INSERT INTO u VALUES (40, 'e', 40, 40), (41, 'e', 41, 41) ON CONFLICT (email) DO UPDATE SET n = 0;
-- fails: a second time, a row that was there
INSERT INTO u VALUES (40, 'a', 40, 40), (41, 'a', 41, 41) ON CONFLICT (email) DO UPDATE SET n = u.n + 1;
INSERT INTO u VALUES (42, 'f', 42, 42), (43, 'f', 43, 43) ON CONFLICT (email) DO NOTHING RETURNING *;
-- fails: not all columns of the index
INSERT INTO u VALUES (1, 'a', 1, 1) ON CONFLICT (org) DO NOTHING;
BEGIN;
INSERT INTO u VALUES (50, 'own', 50, 50);
INSERT INTO u VALUES (51, 'own', 51, 51) ON CONFLICT (email) DO UPDATE SET n = 0 RETURNING *;
UPDATE u SET email = 'own2' WHERE id = 50;
INSERT INTO u VALUES (51, 'own', 51, 51) ON CONFLICT (email) DO UPDATE SET n = -1 RETURNING *;
DELETE FROM u WHERE email = 'own2';
INSERT INTO u VALUES (52, 'own2', 52, 52) ON CONFLICT (email) DO UPDATE SET n = -1 RETURNING *;
SAVEPOINT s;
INSERT INTO u VALUES (53, 'a', 0, 0) ON CONFLICT (email) DO UPDATE SET email = 'undone';
ROLLBACK TO s;
INSERT INTO u VALUES (53, 'a', 0, 0) ON CONFLICT (email) DO UPDATE SET n = 53 RETURNING *;
COMMIT;
SELECT * FROM u ORDER BY id;
SELECT id FROM u WHERE email = 'own2';
-- without a primary key
CREATE STORED TABLE k (email text, n int);
CREATE STORED UNIQUE INDEX email ON k (email);
INSERT INTO k VALUES ('a', 1), ('b', 2), (NULL, 3);
INSERT INTO k VALUES ('a', 10), ('c', 30), (NULL, 40) ON CONFLICT (email) DO UPDATE SET n = k.n + excluded.n RETURNING *;
INSERT INTO k VALUES ('a', 10), ('d', 50) ON CONFLICT (email) DO NOTHING RETURNING *;
INSERT INTO k VALUES ('b', 10) ON CONFLICT (email) DO UPDATE SET email = 'B' RETURNING *;
DELETE FROM k WHERE email = 'B';
INSERT INTO k VALUES ('B', 11), ('b', 12) ON CONFLICT (email) DO UPDATE SET n = 0 RETURNING *;
SELECT * FROM k ORDER BY email, n;

-- partitions
CREATE TABLE r (id int NOT NULL, region text, n int) PARTITION BY RANGE (id);
CREATE STORED TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (100) KEY (id);
CREATE STORED TABLE r2 (n int, gone int, region text, id int NOT NULL) KEY (id);
ALTER STORED TABLE r2 DROP COLUMN gone;
ALTER TABLE r ATTACH PARTITION r2 FOR VALUES FROM (100) TO (200);
CREATE TABLE r3 PARTITION OF r FOR VALUES FROM (200) TO (400) PARTITION BY RANGE (id);
CREATE STORED TABLE r31 PARTITION OF r3 FOR VALUES FROM (200) TO (300) KEY (id);
INSERT INTO r VALUES (1, 'a', 1), (101, 'b', 1), (201, 'c', 1);
INSERT INTO r1 VALUES (1, 'direct', 5), (2, 'direct', 5) ON CONFLICT (id) DO UPDATE SET region = excluded.region RETURNING *;
SELECT tableoid::regclass, * FROM r ORDER BY id;
