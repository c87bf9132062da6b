-- Where the value that a key is compared with comes from: parameters, subqueries,
-- functions, other tables.

CREATE STORED TABLE t (a int NOT NULL, b text COLLATE "C" NOT NULL, v int) KEY (a, b DESC);
INSERT INTO t SELECT a, chr(96 + b), a * 100 + b FROM generate_series(0, 19) a, generate_series(1, 9) b;
CREATE TABLE h (a int, b text COLLATE "C");
INSERT INTO h VALUES (3, 'c'), (5, 'e'), (NULL, 'c'), (3, NULL), (19, 'z'), (99, 'a');

-- Prepared statements: five custom plans, then generic ones; nulls as well.
SET plan_cache_mode = force_generic_plan;
PREPARE by_key(int, text) AS SELECT * FROM t WHERE a = $1 AND b = $2;
EXECUTE by_key(3, 'c');
EXECUTE by_key(3, 'zz');
EXECUTE by_key(NULL, 'c');
EXECUTE by_key(3, NULL);
EXECUTE by_key(19, 'i');
PREPARE by_prefix(int) AS SELECT b, v FROM t WHERE a = $1 ORDER BY b;
EXECUTE by_prefix(0);
EXECUTE by_prefix(NULL);
EXECUTE by_prefix(20);
PREPARE by_range(int, text, text) AS SELECT v FROM t WHERE a = $1 AND b >= $2 AND b < $3 ORDER BY b DESC;
EXECUTE by_range(7, 'c', 'f');
EXECUTE by_range(7, 'f', 'c');
EXECUTE by_range(7, NULL, 'f');
EXECUTE by_range(7, 'c', NULL);
PREPARE two_bounds(int, int) AS SELECT count(*), min(v), max(v) FROM t WHERE a > $1 AND a >= $2 AND a < 15;
EXECUTE two_bounds(3, 5);
EXECUTE two_bounds(5, 3);
EXECUTE two_bounds(NULL, 3);
PREPARE wide_parameter(bigint) AS SELECT count(*) FROM t WHERE a = $1;
EXECUTE wide_parameter(3);
EXECUTE wide_parameter(3000000000);
EXECUTE wide_parameter(-9223372036854775808);
PREPARE wide_range(bigint, float8) AS SELECT count(*) FROM t WHERE a < $1 AND a > $2;
EXECUTE wide_range(3, 0.5);
EXECUTE wide_range(3000000000, 18.5);
EXECUTE wide_range(-3000000000, -1e300);
PREPARE contradiction(int, int) AS SELECT count(*) FROM t WHERE a = $1 AND a = $2;
EXECUTE contradiction(3, 3);
EXECUTE contradiction(3, 4);
EXECUTE contradiction(3, NULL);
PREPARE any_of(int[]) AS SELECT count(*) FROM t WHERE a = ANY ($1);
EXECUTE any_of('{1,2,2,50}');
EXECUTE any_of('{}');
EXECUTE any_of(NULL);
EXECUTE any_of('{NULL,4}');
PREPARE change(int, text, int) AS UPDATE t SET v = $3 WHERE a = $1 AND b = $2 RETURNING *;
EXECUTE change(3, 'c', 33);
EXECUTE change(3, 'none', 33);
EXECUTE change(NULL, 'c', 33);
PREPARE remove(int, text) AS DELETE FROM t WHERE a = $1 AND b < $2;
EXECUTE remove(4, 'c');
EXECUTE remove(4, NULL);
EXECUTE by_prefix(4);
RESET plan_cache_mode;
PREPARE mixed(int) AS SELECT count(*), sum(v) FROM t WHERE a = $1;
EXECUTE mixed(1);
EXECUTE mixed(2);
EXECUTE mixed(3);
EXECUTE mixed(4);
EXECUTE mixed(5);
EXECUTE mixed(6);
EXECUTE mixed(7);
EXECUTE mixed(NULL);
-- A plan that was kept sees rows written, and tables changed, after it was made.
INSERT INTO t VALUES (7, 'new', 1000);
EXECUTE mixed(7);
ALTER STORED TABLE t ADD COLUMN extra int;
EXECUTE mixed(7);
EXECUTE mixed(8);
ALTER STORED TABLE t DROP COLUMN extra;
EXECUTE mixed(8);
DEALLOCATE ALL;

-- Subqueries.
SELECT * FROM t WHERE a = (SELECT 3) AND b = (SELECT 'c');
SELECT count(*) FROM t WHERE a = (SELECT max(a) FROM t);
SELECT count(*) FROM t WHERE a = (SELECT a FROM h WHERE b = 'none');
SELECT count(*) FROM t WHERE a > (SELECT avg(a) FROM t);
SELECT count(*) FROM t WHERE a < (SELECT NULL::int);
SELECT * FROM t WHERE (a, b) = (SELECT 5, 'e');
SELECT * FROM t WHERE (a, b) IN (SELECT a, b FROM h) ORDER BY 1, 2;
SELECT count(*) FROM t WHERE a NOT IN (SELECT a FROM h WHERE a IS NOT NULL);
SELECT count(*) FROM t WHERE a NOT IN (SELECT a FROM h);
SELECT count(*) FROM t WHERE a = ANY (SELECT a FROM h);
SELECT count(*) FROM t WHERE a > ALL (SELECT a FROM h WHERE a < 10);
SELECT count(*) FROM t WHERE a = ANY (ARRAY(SELECT a FROM h));
-- fails: more than one row
SELECT count(*) FROM t WHERE a = (SELECT a FROM h);
SELECT h.a, h.b, (SELECT v FROM t WHERE t.a = h.a AND t.b = h.b) FROM h ORDER BY 1, 2;
SELECT h.a, h.b, (SELECT count(*) FROM t WHERE t.a = h.a AND t.b > h.b) FROM h ORDER BY 1, 2;
SELECT h.a, (SELECT max(b) FROM t WHERE t.a = h.a), (SELECT min(b) FROM t WHERE t.a = h.a) FROM h ORDER BY 1, h.b;
SELECT h.*, x.* FROM h LEFT JOIN LATERAL (SELECT b AS tb, v FROM t WHERE t.a = h.a ORDER BY b DESC LIMIT 2) x ON true ORDER BY 1, 2, 3;
SELECT h.*, x.* FROM h CROSS JOIN LATERAL (SELECT b AS tb, v FROM t WHERE t.a = h.a AND t.b <= h.b ORDER BY b LIMIT 2) x ORDER BY 1, 2, 3;
SELECT a FROM h WHERE EXISTS (SELECT FROM t WHERE t.a = h.a AND t.b = h.b) ORDER BY a;
SELECT a FROM h WHERE NOT EXISTS (SELECT FROM t WHERE t.a = h.a AND t.b = h.b) ORDER BY a;

-- Functions: stable ones are computed once, volatile ones for each row.
CREATE FUNCTION three() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN 3; END';
CREATE SEQUENCE calls;
CREATE FUNCTION counted() RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''calls''); RETURN 3; END';
SELECT count(*) FROM t WHERE a = three();
SELECT count(*) FROM t WHERE a = three() AND b > 'c';
SELECT count(*) FROM t WHERE a = counted();
SELECT last_value = (SELECT count(*) FROM t) AS once_per_row FROM calls;
SELECT count(*) FROM t WHERE a = length('abc');
SELECT count(*) FROM t WHERE a BETWEEN three() AND three() + 2;
SELECT count(*) FROM t WHERE a = CASE WHEN v > 0 THEN 3 ELSE 4 END;
SELECT count(*) FROM t WHERE a = v / 100;
-- fails: in the computation of a bound
SELECT count(*) FROM t WHERE a = 1 / (three() - 3);
SELECT count(*) FROM t WHERE a = coalesce(NULL, 3);
SELECT count(*) FROM t WHERE false;
SELECT count(*) FROM t WHERE NULL;
SELECT count(*) FROM t WHERE a = 3 AND false;
SELECT count(*) FROM t WHERE three() = 4;
SELECT count(*) FROM t WHERE three() = 3 AND a = 2;

-- The same range over and over: nested loops, whatever the planner likes best.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), sum(t.v) FROM h JOIN t ON t.a = h.a;
SELECT count(*), sum(t.v) FROM h JOIN t ON t.a = h.a AND t.b = h.b;
SELECT count(*), sum(y.v) FROM t x JOIN t y ON y.a = x.a AND y.b > x.b;
SELECT count(*) FROM t x LEFT JOIN t y ON y.a = x.a + 1 AND y.b = x.b WHERE y.a IS NULL;
SET enable_material = off;
SELECT count(*) FROM h JOIN t ON t.a > h.a;
SELECT count(*) FROM h x JOIN t ON t.b = x.b;
RESET ALL;
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT count(*), sum(t.v) FROM h JOIN t ON t.a = h.a;
SELECT count(*), sum(y.v) FROM t x JOIN t y ON y.a = x.a AND y.b = x.b;
RESET ALL;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*), sum(t.v) FROM h JOIN t ON t.a = h.a;
SELECT count(*), sum(y.v) FROM t x JOIN t y ON y.a = x.a AND y.b = x.b;
RESET ALL;
