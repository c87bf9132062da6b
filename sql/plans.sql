-- Plans: which conditions bound a key, and which order a scan gives.

CREATE FOREIGN TABLE pt (a int, b int, c int, d text) SERVER kalam OPTIONS (primary_key 'a, b, c DESC');
INSERT INTO pt SELECT x, y, z, 'r' || x || y || z
FROM generate_series(1, 50) x, generate_series(1, 20) y, generate_series(1, 5) z;
CREATE FOREIGN TABLE px (s text COLLATE "C", f bool, n int8) SERVER kalam OPTIONS (primary_key 's, f, n');
INSERT INTO px SELECT 'k' || (g % 37), g % 2 = 0, g FROM generate_series(1, 2000) g;
ANALYZE pt;
ANALYZE px;

-- Lists, in any column, and in order.
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a IN (3, 7, 9) AND b = 2 ORDER BY a DESC, b DESC, c;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a IN (3, 7) AND b IN (2, 5) AND c > 1;
SET plan_cache_mode = force_generic_plan;
PREPARE lists(int[], int[]) AS SELECT * FROM pt WHERE a = ANY ($1) AND b = ANY ($2);
EXPLAIN (COSTS OFF) EXECUTE lists(NULL, NULL);
DEALLOCATE lists;
RESET plan_cache_mode;
-- OR, and rows.
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a = 1 OR a BETWEEN 18 AND 19 ORDER BY a LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE (a, b) IN ((1, 2), (3, 4)) AND c < 3;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a = 2 AND (b < 2 OR b = 3 AND d = 'x');
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a = 1 OR b = 2;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE (a, b) > (49, 18) ORDER BY a, b LIMIT 10;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a = 49 AND (b, c) > (18, 3);
-- Prefixes, booleans, nulls.
EXPLAIN (COSTS OFF) SELECT * FROM px WHERE s LIKE 'k3%' ORDER BY s DESC;
EXPLAIN (COSTS OFF) SELECT * FROM px WHERE s ^@ 'k3';
EXPLAIN (COSTS OFF) SELECT * FROM px WHERE s = 'k4' AND f AND n < 500 ORDER BY n;
EXPLAIN (COSTS OFF) SELECT * FROM px WHERE s = 'k4' AND f IS FALSE ORDER BY n DESC;
EXPLAIN (COSTS OFF) SELECT max(n) FROM px WHERE s = 'k4' AND NOT f;
EXPLAIN (COSTS OFF) SELECT min(a) FROM pt;
EXPLAIN (COSTS OFF) SELECT * FROM px WHERE s IS NULL;
-- Several columns give order to a join and to groups.
EXPLAIN (COSTS OFF) SELECT a, b, array_agg(c) FROM pt GROUP BY a, b;
EXPLAIN (COSTS OFF) SELECT DISTINCT a FROM pt WHERE a IN (1, 2);

SET kalam.enable_multirange = off;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a IN (3, 7, 9) AND b = 2;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a = 2 AND (b = 2 OR b = 3);
RESET kalam.enable_multirange;


-- Secondary indexes.  Rows are in their order, and behind it in that of the primary key.
CREATE FOREIGN TABLE pi (id int, a int, b text COLLATE "C", c int, d text)
SERVER kalam OPTIONS (primary_key 'id', index_ac 'a, c DESC', index_b 'b', unique_c 'c');
INSERT INTO pi SELECT g, g % 500, 'k' || g % 50, g, repeat('d', 50) FROM generate_series(1, 5000) g;
CREATE FOREIGN TABLE po (id int, a int) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO po SELECT g, g FROM generate_series(1, 1000) g;
ANALYZE pi;
ANALYZE po;
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE a = 5 ORDER BY c DESC, id;
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE a IN (5, 7) AND c > 3 ORDER BY a DESC, c LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE c = 77;
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE b > 'k3' ORDER BY b, id LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE b = 'k3' AND id > 4000;
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE (b, id) > ('k3', 4000) ORDER BY b, id LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE a = 3 OR a = 4 AND c > 300;
EXPLAIN (COSTS OFF) SELECT d FROM pi WHERE a IS NULL AND d LIKE 'x%';
-- An OR over several of them.
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE a = 3 OR b = 'k3' AND id < 500 OR c = 7;
EXPLAIN (COSTS OFF) SELECT * FROM po JOIN pi ON pi.c IN (po.a, po.id) WHERE po.id = 3;
-- An OR is as selective as its conditions on the key that is followed, not as all of it.
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE (a = 1 AND id > 1) OR (a = 2 AND id > 2) OR (a = 3 AND id > 3);
-- Keys tell all that is wanted.
EXPLAIN (COSTS OFF) SELECT id, a, c FROM pi WHERE a = 5;
EXPLAIN (COSTS OFF) SELECT count(*) FROM pi WHERE a BETWEEN 5 AND 9;
EXPLAIN (COSTS OFF) SELECT max(c) FROM pi WHERE a = 5;
EXPLAIN (COSTS OFF) SELECT a FROM pi ORDER BY a LIMIT 1;
-- Joins: for each outer row, and without what a unique column makes needless.
EXPLAIN (COSTS OFF) SELECT * FROM po JOIN pi USING (a) WHERE po.id = 3;
EXPLAIN (COSTS OFF) SELECT po.* FROM po LEFT JOIN pi ON pi.c = po.a;
-- All of a table is not read by an index.
EXPLAIN (COSTS OFF) SELECT * FROM pi WHERE a > 5;
SET kalam.enable_indexonlyscan = off;
EXPLAIN (COSTS OFF) SELECT id, a, c FROM pi WHERE a = 5;
SET kalam.enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT id, a, c FROM pi WHERE a = 5;
RESET kalam.enable_indexscan;
RESET kalam.enable_indexonlyscan;

DROP FOREIGN TABLE pt, px, pi, po;
