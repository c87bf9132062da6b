-- INSERT ... ON CONFLICT with a target, where kalam tables are not quite as heap
-- tables: what EXPLAIN shows, partitioned tables, row security, options, privileges.
-- What is the same is in test/compare/upsert.sql.
CREATE FOREIGN TABLE t (a int, b text) SERVER kalam OPTIONS (primary_key 'a');
INSERT INTO t VALUES (1, 'one');
EXPLAIN (COSTS OFF) INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO NOTHING;
EXPLAIN (COSTS OFF) INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING;
EXPLAIN (COSTS OFF, VERBOSE) INSERT INTO t SELECT 1, 'x' ON CONFLICT (a)
    DO UPDATE SET b = excluded.b || t.b WHERE t.a < excluded.a;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z') ON CONFLICT (a)
    DO UPDATE SET b = excluded.b WHERE t.b = 'not';
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO t VALUES (1, 'x'), (4, 'y') ON CONFLICT (a) DO NOTHING;

ALTER FOREIGN TABLE t OPTIONS (ADD unique_ba 'b DESC, a');
EXPLAIN (COSTS OFF) INSERT INTO t VALUES (1, 'x') ON CONFLICT (a, b) DO UPDATE SET a = excluded.a;
ALTER FOREIGN TABLE t OPTIONS (DROP unique_ba);

-- a table without a key has nothing to conflict with
CREATE FOREIGN TABLE nokey (a int, b text) SERVER kalam;
INSERT INTO nokey VALUES (1, 'x') ON CONFLICT (a) DO NOTHING;
INSERT INTO nokey VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = 'y';
INSERT INTO nokey VALUES (1, 'x') ON CONFLICT DO NOTHING;
-- nor can a constraint be named: it is none that PostgreSQL knows
INSERT INTO t VALUES (1, 'x') ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING;

-- the clause counts, not the option
CREATE FOREIGN TABLE o (a int, b text) SERVER kalam OPTIONS (primary_key 'a', on_conflict 'replace');
INSERT INTO o VALUES (1, 'first');
INSERT INTO o VALUES (1, 'second'), (2, 'new') ON CONFLICT (a) DO NOTHING RETURNING *;
INSERT INTO o VALUES (1, 'second') ON CONFLICT (a) DO UPDATE SET b = o.b || ', ' || excluded.b RETURNING *;
ALTER FOREIGN TABLE o OPTIONS (SET on_conflict 'ignore');
INSERT INTO o VALUES (1, 'third') ON CONFLICT (a) DO UPDATE SET b = o.b || ', ' || excluded.b RETURNING *;

-- the option, and hundreds of rows at a time: as a clause does it in heap
CREATE FUNCTION rows_that_differ(a text, b text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (TABLE %1$s EXCEPT ALL TABLE %2$s UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s)) d', a, b) INTO n;
    RETURN n;
END $$;
CREATE FOREIGN TABLE many (id int NOT NULL, v int, w text) SERVER kalam OPTIONS (primary_key 'id', on_conflict 'ignore');
CREATE TABLE many_heap (id int PRIMARY KEY, v int, w text);
CREATE FUNCTION into_both(query text, clause text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    m bigint;
BEGIN
    EXECUTE 'INSERT INTO many ' || query;
    GET DIAGNOSTICS n = ROW_COUNT;
    EXECUTE 'INSERT INTO many_heap ' || query || ' ON CONFLICT (id) ' || clause;
    GET DIAGNOSTICS m = ROW_COUNT;
    RETURN format('%s and %s rows, %s differ', n, m, rows_that_differ('many', 'many_heap'));
END $$;
CREATE TABLE rows_of_old AS SELECT g AS id, g % 13 AS v, repeat('r', g % 150) AS w FROM generate_series(1, 700, 3) g;
SELECT into_both('SELECT * FROM rows_of_old', 'DO NOTHING');
SELECT into_both('SELECT g % 450, g, ''computed '' || g FROM generate_series(1, 900) g', 'DO NOTHING');
SELECT into_both('SELECT id + 2, v, w FROM rows_of_old ORDER BY id DESC', 'DO NOTHING');
SELECT into_both('(VALUES (1, 1, ''a''), (1001, 1, ''b''), (1001, 2, ''c''))', 'DO NOTHING');
SELECT into_both('SELECT id, v + 1, w FROM many WHERE id < 100 UNION ALL SELECT g, 0, NULL FROM generate_series(1000, 1300) g', 'DO NOTHING');
COPY many FROM STDIN;
1	0	there
2001	0	new
2001	0	twice
\.
INSERT INTO many_heap VALUES (2001, 0, 'new');
SELECT rows_that_differ('many', 'many_heap');
ALTER FOREIGN TABLE many OPTIONS (SET on_conflict 'replace');
SELECT into_both('SELECT id, v + 100, w || ''.'' FROM rows_of_old', 'DO UPDATE SET v = excluded.v, w = excluded.w');
SELECT into_both('SELECT g, g, ''computed '' || g FROM generate_series(500, 1100) g', 'DO UPDATE SET v = excluded.v, w = excluded.w');
INSERT INTO many SELECT g % 300, g, 'the last one counts' FROM generate_series(1, 900) g;
INSERT INTO many_heap SELECT g % 300, g, 'the last one counts' FROM generate_series(601, 900) g
    ON CONFLICT (id) DO UPDATE SET v = excluded.v, w = excluded.w;
COPY many FROM STDIN;
1	0	there
3001	0	new
3001	1	twice
\.
UPDATE many_heap SET v = 0, w = 'there' WHERE id = 1;
INSERT INTO many_heap VALUES (3001, 1, 'twice');
SELECT count(*), sum(v), rows_that_differ('many', 'many_heap') FROM many;
-- partitions, each with its own
CREATE TABLE routed (id int, v int) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE routed1 PARTITION OF routed FOR VALUES FROM (0) TO (1000) SERVER kalam OPTIONS (primary_key 'id', on_conflict 'ignore');
CREATE FOREIGN TABLE routed2 PARTITION OF routed FOR VALUES FROM (1000) TO (2000) SERVER kalam OPTIONS (primary_key 'id', on_conflict 'replace');
CREATE FOREIGN TABLE routed3 PARTITION OF routed FOR VALUES FROM (2000) TO (3000) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO routed SELECT g, 0 FROM generate_series(0, 2999, 2) g;
INSERT INTO routed SELECT g, g FROM generate_series(0, 2000) g;
INSERT INTO routed SELECT g, g FROM generate_series(0, 1999) g;
SELECT tableoid::regclass, v = 0 AS old, count(*), sum(v) FROM routed GROUP BY 1, 2 ORDER BY 1, 2;

-- a partitioned table: each partition has its own key
CREATE TABLE p (id int NOT NULL, region text, n int) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100) SERVER kalam OPTIONS (primary_key 'id');
CREATE FOREIGN TABLE p2 (n int, gone int, region text, id int NOT NULL) SERVER kalam OPTIONS (primary_key 'id');
ALTER FOREIGN TABLE p2 DROP COLUMN gone;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200);
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (400) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE p31 PARTITION OF p3 FOR VALUES FROM (200) TO (300) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO p VALUES (1, 'a', 1), (101, 'b', 1), (201, 'c', 1);
INSERT INTO p VALUES (1, 'A', 10), (2, 'd', 20), (101, 'B', 10), (102, 'e', 20), (201, 'C', 10) ON CONFLICT (id)
    DO UPDATE SET n = p.n + excluded.n, region = p.region || excluded.region WHERE p.id <> 201
    RETURNING tableoid::regclass, *;
INSERT INTO p VALUES (1, 'A', 10), (103, 'B', 10), (101, 'B', 10) ON CONFLICT (id) DO NOTHING RETURNING tableoid::regclass, *;
INSERT INTO p VALUES (101, 'B', 10), (101, 'B', 10) ON CONFLICT (id) DO UPDATE SET n = 0;
INSERT INTO p VALUES (101, 'B', 10) ON CONFLICT (id) DO UPDATE SET id = 99;
INSERT INTO p2 (id) VALUES (101) ON CONFLICT (id) DO UPDATE SET id = 99;
INSERT INTO p VALUES (101, 'B', 10) ON CONFLICT (id) DO UPDATE SET id = 199 RETURNING tableoid::regclass, *;
INSERT INTO p VALUES (101, 'B', 10) ON CONFLICT (region) DO NOTHING;
WITH i AS (INSERT INTO p VALUES (1, 'cte', 1), (3, 'cte', 1) ON CONFLICT (id) DO UPDATE SET region = excluded.region RETURNING *)
    SELECT * FROM i ORDER BY id;
CREATE VIEW w AS SELECT region AS r, id AS i FROM p;
INSERT INTO w (i, r) VALUES (3, 'by view') ON CONFLICT (i) DO UPDATE SET r = excluded.r RETURNING *;
SELECT tableoid::regclass, * FROM p ORDER BY id;
-- a plan that is kept learns of other partitions and keys
PREPARE again AS INSERT INTO p VALUES ($1, 'again', 0) ON CONFLICT (id) DO UPDATE SET n = p.n + 1 RETURNING *;
SET plan_cache_mode = force_generic_plan;
EXECUTE again(1);
EXECUTE again(201);
ALTER FOREIGN TABLE p31 OPTIONS (SET primary_key 'id, n');
EXECUTE again(1);
EXECUTE again(201);
ALTER FOREIGN TABLE p31 OPTIONS (SET primary_key 'id');
CREATE TABLE p32 PARTITION OF p3 FOR VALUES FROM (300) TO (400);
EXECUTE again(1);
DROP TABLE p32;
EXECUTE again(201);
RESET plan_cache_mode;
DEALLOCATE again;
-- heap partitions have indexes of the parent, as ever
CREATE TABLE h (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE h1 PARTITION OF h FOR VALUES FROM (0) TO (100);
INSERT INTO h VALUES (1, 1);
INSERT INTO h VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = h.n + 1 RETURNING *;

-- row security of a partitioned table, and privileges
CREATE ROLE regress_kalam_upsert;
GRANT USAGE ON SCHEMA public TO regress_kalam_upsert;
ALTER TABLE p ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON p FOR SELECT USING (true);
CREATE POLICY insertable ON p FOR INSERT WITH CHECK (n < 100);
CREATE POLICY updatable ON p FOR UPDATE USING (region <> 'locked') WITH CHECK (n < 200);
INSERT INTO p VALUES (50, 'locked', 0), (51, 'free', 0), (52, 'free', 150);
GRANT SELECT, INSERT (id, region, n), UPDATE (n) ON p TO regress_kalam_upsert;
SET ROLE regress_kalam_upsert;
INSERT INTO p VALUES (53, 'x', 100);
INSERT INTO p VALUES (51, 'x', 100) ON CONFLICT (id) DO UPDATE SET n = 0;
INSERT INTO p VALUES (50, 'x', 1) ON CONFLICT (id) DO UPDATE SET n = 1;
INSERT INTO p VALUES (52, 'x', 99) ON CONFLICT (id) DO UPDATE SET n = p.n + excluded.n;
INSERT INTO p VALUES (51, 'x', 99) ON CONFLICT (id) DO UPDATE SET n = p.n + excluded.n RETURNING *;
UPDATE p SET n = 500 WHERE id = 51;
INSERT INTO p VALUES (51, 'x', 99) ON CONFLICT (id) DO UPDATE SET region = 'x';
INSERT INTO p VALUES (51, 'x', 99) ON CONFLICT (id) DO NOTHING;
INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO NOTHING;
RESET ROLE;
GRANT INSERT ON t TO regress_kalam_upsert;
SET ROLE regress_kalam_upsert;
INSERT INTO t VALUES (100, 'x');
INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO NOTHING;
INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = excluded.b;
RESET ROLE;
GRANT SELECT (a), UPDATE (b) ON t TO regress_kalam_upsert;
SET ROLE regress_kalam_upsert;
INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = 'allowed';
INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = excluded.b;
INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET b = t.b || 'x';
INSERT INTO t VALUES (1, 'x') ON CONFLICT (a) DO UPDATE SET a = 5;
RESET ROLE;
SELECT * FROM t ORDER BY a;

DROP VIEW w;
DROP TABLE p, h;
DROP FOREIGN TABLE t, nokey, o;
REVOKE ALL ON SCHEMA public FROM regress_kalam_upsert;
DROP ROLE regress_kalam_upsert;
