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
