-- Secondary and unique indexes under writes: what is taken, what is free, what is
-- left.  problems() is 0 for heap tables, and for kalam tables whose entries are
-- those of their rows.
-- errors are not announced
CREATE FUNCTION problems(name text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT relkind = 'r' FROM pg_class WHERE oid = name::regclass) THEN RETURN 0; END IF;
    RETURN (SELECT count(*) FROM kalam.verify_indexes(name::regclass));
END $$;
CREATE STORED TABLE t (k int, u int, w text COLLATE "C", d date, n numeric) KEY (k);
CREATE STORED UNIQUE INDEX u ON t (u);
CREATE STORED UNIQUE INDEX wd ON t (w, d DESC);
CREATE STORED INDEX n ON t (n DESC, w);

-- nulls differ; numbers that are equal do not
INSERT INTO t VALUES (1, NULL, 'a', NULL, 1), (2, NULL, 'a', NULL, 1.0), (3, 3, NULL, '2020-01-01', NULL);
INSERT INTO t VALUES (4, NULL, NULL, '2020-01-01', 0), (5, 5, 'a', '2020-01-01', 0);
INSERT INTO t VALUES (6, 6, 'a', '2020-01-01', 0);
INSERT INTO t VALUES (6, 5, 'b', '2020-01-01', 0);
INSERT INTO t VALUES (6, 6, 'b', '2020-01-01', 0), (7, 6, 'c', NULL, 0);
UPDATE t SET d = '2020-01-01' WHERE k IN (1, 2);
UPDATE t SET d = '2020-01-02' WHERE k = 1;
UPDATE t SET d = '2020-01-02' WHERE k = 2;
UPDATE t SET u = 3 WHERE k = 5;
UPDATE t SET u = 3 WHERE k = 3;
UPDATE t SET u = NULL WHERE k = 3;
UPDATE t SET u = 3 WHERE k = 5;
SELECT *, problems('t') FROM t ORDER BY k;
-- values that are passed on within a statement
WITH gone AS (DELETE FROM t WHERE k = 5 RETURNING *) INSERT INTO t SELECT 50, 50, 'z', d, n FROM gone;
UPDATE t SET u = k WHERE u IS NULL;
UPDATE t SET u = u + 1000;
UPDATE t SET k = k + 100, u = u - 1000;
UPDATE t SET u = 7;
SELECT *, problems('t') FROM t ORDER BY k;

-- ON CONFLICT
INSERT INTO t VALUES (200, 101, 'c', NULL, 1), (201, 201, 'c', '2020-05-05', 1), (202, 201, 'c', '2020-05-06', 1),
    (203, 203, 'c', '2020-05-05', 1) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO t VALUES (201, 202, 'c', '2020-05-05', 1) ON CONFLICT (k) DO NOTHING;
INSERT INTO t VALUES (204, 201, 'd', NULL, 1) ON CONFLICT (k) DO NOTHING;
INSERT INTO t VALUES (201, 300, 'd', NULL, 2) ON CONFLICT (k) DO UPDATE SET u = excluded.u, n = t.n + excluded.n RETURNING *;
INSERT INTO t VALUES (205, 300, 'd', NULL, 2) ON CONFLICT (k) DO UPDATE SET n = 5;
SELECT *, problems('t') FROM t ORDER BY k;

-- savepoints, exceptions, triggers
BEGIN;
DELETE FROM t WHERE u = 300;
SAVEPOINT a;
INSERT INTO t VALUES (206, 300, 'e', NULL, 1);
SAVEPOINT b;
UPDATE t SET u = 301 WHERE k = 206;
INSERT INTO t VALUES (207, 300, 'f', NULL, 1);
SELECT k, u, problems('t') FROM t WHERE k > 200 ORDER BY k;
ROLLBACK TO b;
INSERT INTO t VALUES (207, 300, 'f', NULL, 1);
ROLLBACK TO a;
INSERT INTO t VALUES (208, 300, 'g', NULL, 1);
COMMIT;
SELECT k, u, problems('t') FROM t WHERE k > 200 ORDER BY k;
CREATE FUNCTION takes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.u := NEW.u - 1; RETURN NEW; END $$;
CREATE TRIGGER takes BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION takes();
INSERT INTO t VALUES (209, 301, 'h', NULL, 1);
INSERT INTO t VALUES (209, 400, 'h', NULL, 1);
UPDATE t SET u = 401 WHERE k = 209;
UPDATE t SET w = w || 'x' WHERE k = 209;
DROP TRIGGER takes ON t;
SELECT k, u, problems('t') FROM t WHERE k > 200 ORDER BY k;

-- many, one by one: what each does, and what is left
CREATE FUNCTION step(i int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    a int := abs(hashint4(i)) % 40;
    b int := abs(hashint4(i + 100000)) % 25;
    what int := abs(hashint4(i + 200000)) % 8;
BEGIN
    CASE what
        WHEN 0, 1 THEN INSERT INTO t VALUES (a, b, 'w' || a % 7, '2021-01-01'::date + b % 5, b);
        WHEN 2 THEN INSERT INTO t VALUES (a, b, 'w' || a % 7, '2021-01-01'::date + b % 5, b) ON CONFLICT DO NOTHING;
        WHEN 3 THEN INSERT INTO t VALUES (a, b, 'w' || a % 7, NULL, b)
                    ON CONFLICT (k) DO UPDATE SET u = excluded.u, w = excluded.w, n = t.n + 1;
        WHEN 4 THEN UPDATE t SET u = b WHERE k = a;
        WHEN 5 THEN UPDATE t SET k = b, w = 'm' || a WHERE k = a;
        WHEN 6 THEN UPDATE t SET n = n + 1, d = '2021-01-01'::date + b % 5 WHERE u = b;
        ELSE DELETE FROM t WHERE u = b OR k = a;
    END CASE;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;
DELETE FROM t;
SELECT count(e), md5(string_agg(coalesce(e, '-'), ',' ORDER BY i)) FROM generate_series(1, 600) i, step(i) e;
SELECT count(*), md5(string_agg(t::text, ',' ORDER BY k)), problems('t') FROM t;
BEGIN;
SELECT count(e), md5(string_agg(coalesce(e, '-'), ',' ORDER BY i)) FROM generate_series(601, 1200) i, step(i) e;
SELECT count(*), md5(string_agg(t::text, ',' ORDER BY k)), problems('t') FROM t;
SAVEPOINT s;
SELECT count(e), md5(string_agg(coalesce(e, '-'), ',' ORDER BY i)) FROM generate_series(1201, 1500) i, step(i) e;
SELECT count(*), md5(string_agg(t::text, ',' ORDER BY k)), problems('t') FROM t;
ROLLBACK TO s;
SELECT count(*), md5(string_agg(t::text, ',' ORDER BY k)), problems('t') FROM t;
COMMIT;
SELECT t.*, problems('t') FROM t ORDER BY k;

-- rows that are there
CREATE STORED UNIQUE INDEX again ON t (k, u);
CREATE STORED UNIQUE INDEX bad ON t (w);
ALTER STORED TABLE t ALTER u TYPE bigint;
ALTER STORED TABLE t ADD COLUMN x int DEFAULT 7;
CREATE STORED INDEX x ON t (x, k DESC);
SELECT problems('t');
ALTER STORED TABLE t DROP COLUMN w;
INSERT INTO t (k, u) SELECT max(k) + 1, max(u) FROM t;
SELECT problems('t');
TRUNCATE t;
INSERT INTO t (k, u) SELECT g, g FROM generate_series(1, 5000) g;
INSERT INTO t (k, u) SELECT g, g / 2 + 6000 FROM generate_series(6001, 9000) g;
INSERT INTO t (k, u) SELECT g, 10000 - g FROM generate_series(6001, 9000) g;
UPDATE t SET u = -u;
SELECT count(*), sum(u), problems('t') FROM t;
