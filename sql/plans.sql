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
EXPLAIN (COSTS OFF) SELECT a, b, count(*) FROM pt GROUP BY a, b;
EXPLAIN (COSTS OFF) SELECT DISTINCT a FROM pt WHERE a IN (1, 2);

SET kalam.enable_multirange = off;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a IN (3, 7, 9) AND b = 2;
EXPLAIN (COSTS OFF) SELECT * FROM pt WHERE a = 2 AND (b = 2 OR b = 3);
RESET kalam.enable_multirange;

DROP FOREIGN TABLE pt, px;
