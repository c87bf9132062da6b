-- Rows of all lengths that are copied from another table into the blocks of a load: each
-- block ends with another bit of room.
SET kalam.bulk_load_threshold = 0;
CREATE TABLE source AS SELECT g AS k, repeat('x', g % 97) AS v, CASE WHEN g % 3 > 0 THEN g END AS n
	FROM generate_series(1, 40000) g;
CREATE STORED TABLE t (k int, v text, n int) KEY (k);
CREATE STORED INDEX i ON t (n);
INSERT INTO t SELECT * FROM source;
SELECT count(*), sum(k), sum(length(v)), sum(n), count(n) FROM t;
SELECT count(*) FROM t JOIN source USING (k) WHERE t.v = source.v AND t.n IS NOT DISTINCT FROM source.n;
-- formed anew, in another order
INSERT INTO t SELECT -k, v || 'y', n FROM source ORDER BY k DESC;
SELECT count(*), sum(k), sum(length(v)), sum(n), count(n) FROM t;
