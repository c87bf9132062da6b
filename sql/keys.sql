-- Which conditions become key ranges.
CREATE SCHEMA keys;
SET search_path = keys;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
CREATE FOREIGN TABLE msg (
    room bigint, id int, author name, at timestamp, body text
) SERVER kalam OPTIONS (primary_key 'room, id DESC');
INSERT INTO msg SELECT g % 3, g, 'author' || g % 2, '2024-01-01'::timestamp + g * interval '1 hour', 'body ' || g
    FROM generate_series(1, 30) g;
ANALYZE msg;

EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1 AND id = 4;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1 AND id > 10 AND id <= 20;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1 AND body LIKE '%1%';
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room > 1 AND id = 4;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE id = 4;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1 ORDER BY id DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1 ORDER BY id LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM msg ORDER BY room DESC, id;
EXPLAIN (COSTS OFF) SELECT * FROM msg ORDER BY room, id;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1.5;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1::smallint AND 4::bigint = id;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = (SELECT 1) AND id = (SELECT max(id) FROM msg);
EXPLAIN (COSTS OFF) SELECT * FROM (VALUES (1, 4), (2, 5)) v(r, i), msg WHERE room = r AND id = i;
EXPLAIN (COSTS OFF) SELECT r, l.id FROM generate_series(0, 2) r,
    LATERAL (SELECT id FROM msg WHERE room = r ORDER BY id DESC LIMIT 2) l;
EXPLAIN (COSTS OFF) DELETE FROM msg WHERE room = 1 AND id = 4;
EXPLAIN (COSTS OFF) UPDATE msg SET body = 'x' WHERE room = 1 AND id < 4;
EXPLAIN (COSTS OFF) SELECT count(*) FROM msg;
EXPLAIN (COSTS OFF) SELECT * FROM msg WHERE room = 1 FOR UPDATE;

SELECT id FROM msg WHERE room = 1 AND id = 4;
SELECT id FROM msg WHERE room = 1 AND id > 10 AND id <= 20;
SELECT id FROM msg WHERE room = 1 ORDER BY id LIMIT 3;
SELECT id FROM msg WHERE room = 1 ORDER BY id DESC LIMIT 3;
SELECT room, id FROM msg ORDER BY room DESC, id LIMIT 3;
SELECT id FROM msg WHERE room = 1.0 AND id < 5;
SELECT id FROM msg WHERE room = 99999999999 OR (room = 1 AND id < 3::bigint);
SELECT id FROM msg WHERE room = 1 AND id < 99999999999 AND id > -99999999999 AND id > 25;
SELECT id FROM msg WHERE room = 1 AND id = 99999999999;
SELECT id FROM msg WHERE room = (SELECT 1) AND id = (SELECT max(id) FROM msg WHERE room = 1);
SELECT id FROM msg WHERE room = NULL;
SELECT v.*, body FROM (VALUES (1, 4), (2, 5), (0, 4)) v(r, i) LEFT JOIN msg ON room = r AND id = i;
SELECT r, l.id FROM generate_series(0, 2) r,
    LATERAL (SELECT id FROM msg WHERE room = r ORDER BY id DESC LIMIT 2) l;
SELECT m.room, m.id, (SELECT max(n.id) FROM msg n WHERE n.room = m.room AND n.id < m.id) AS before
    FROM msg m WHERE m.id < 6 ORDER BY 1, 2;
SET plan_cache_mode = force_generic_plan;
PREPARE q(int, bigint) AS SELECT id FROM msg WHERE room = $1 AND id >= $2;
EXPLAIN (COSTS OFF) EXECUTE q(1, 26);
EXECUTE q(1, 26);
EXECUTE q(NULL, 26);
EXECUTE q(1, NULL);
EXECUTE q(1, 99999999999);
DEALLOCATE q;
RESET plan_cache_mode;

-- types on both sides of a comparison
CREATE FOREIGN TABLE f (k float8) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO f VALUES (1), (0.1), ('NaN'), ('-0'), ('infinity');
INSERT INTO f VALUES (0);
INSERT INTO f VALUES ('NaN');
SELECT k FROM f WHERE k = 1::float4;
SELECT k FROM f WHERE k = 0.1::float4;
SELECT k FROM f WHERE k > 1::float4;
SELECT k FROM f WHERE k >= 'NaN';
SELECT k FROM f ORDER BY k DESC;
CREATE FOREIGN TABLE ts (k timestamp) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO ts VALUES ('2024-01-01'), ('2024-01-01 12:00'), ('infinity'), ('-infinity');
SELECT k FROM ts WHERE k = date '2024-01-01';
SELECT k FROM ts WHERE k > date '2024-01-01';
SELECT k FROM ts WHERE k > date '5874897-12-31';
SELECT k FROM ts WHERE k = timestamptz '2024-01-01 12:00';
CREATE FOREIGN TABLE nm (k name) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO nm VALUES ('a'), ('b');
SELECT k FROM nm WHERE k = 'a'::text;
SELECT k FROM nm WHERE k = repeat('a', 100);
CREATE FOREIGN TABLE num (k numeric, t text COLLATE "C", d numeric(10, 2)) SERVER kalam OPTIONS (primary_key 'k, t');
INSERT INTO num VALUES (20.50, 'a', 1), (-1e100, '', 2.5), ('NaN', 'b', 3), (20.5, 'b', NULL), (0.00, 'z', 0);
INSERT INTO num VALUES (20.5, 'a', 1);
SELECT * FROM num;
SELECT * FROM num WHERE k = 20.500 AND t >= 'a' AND t < 'b';
SELECT * FROM num WHERE k = 0;
CREATE FOREIGN TABLE ch (k char(5), v int) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO ch VALUES ('ab', 1);
INSERT INTO ch VALUES ('ab  ', 2);
SELECT * FROM ch WHERE k = 'ab   ';
SELECT * FROM ch WHERE k = 'ab'::text;

-- the key is known to be unique
EXPLAIN (COSTS OFF) SELECT a.body FROM msg a LEFT JOIN msg b ON a.room = b.room AND a.id = b.id;
EXPLAIN (COSTS OFF) SELECT DISTINCT room, id FROM msg;
EXPLAIN (COSTS OFF) SELECT room, id, body FROM msg GROUP BY room, id;
DROP SCHEMA keys CASCADE;
