-- Joins that look up the keys of many outer rows at once: when they are chosen,
-- and what EXPLAIN says of them.  That they give the rows of heap is for
-- test/compare/batch_joins.sql.
CREATE FOREIGN TABLE item (id int NOT NULL, name text COLLATE "C", kind int) SERVER kalam OPTIONS (primary_key 'id', index_kind 'kind');
CREATE FOREIGN TABLE line (order_id int NOT NULL, n int NOT NULL, item int, amount int) SERVER kalam OPTIONS (primary_key 'order_id, n');
CREATE TABLE wish (id int PRIMARY KEY, item int, order_id int);
INSERT INTO item SELECT g, 'item ' || g, g % 500 FROM generate_series(1, 20000) g;
INSERT INTO line SELECT g / 4, g % 4, g * 7 % 20000, g % 9 FROM generate_series(1, 20000) g;
INSERT INTO wish SELECT g, g * 13 % 25000, g * 11 % 6000 FROM generate_series(1, 2000) g;
ANALYZE item, line, wish;
SET max_parallel_workers_per_gather = 0;

-- Many probes of a larger table; all kinds of joins.
EXPLAIN (COSTS OFF) SELECT * FROM wish JOIN item ON item.id = wish.item WHERE wish.id < 100;
EXPLAIN (COSTS OFF) SELECT * FROM wish LEFT JOIN item ON item.id = wish.item AND item.kind < 9 AND item.name <> 'x' || wish.id WHERE wish.id < 100;
EXPLAIN (COSTS OFF) SELECT * FROM wish WHERE wish.id < 100 AND EXISTS (SELECT FROM line WHERE line.order_id = wish.order_id AND line.n = 2);
EXPLAIN (COSTS OFF) SELECT * FROM wish WHERE wish.id < 100 AND NOT EXISTS (SELECT FROM line WHERE line.order_id = wish.order_id AND line.n > wish.item);
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id IN (SELECT item FROM wish WHERE id < 100);

-- Through an index, with rows and without.
EXPLAIN (COSTS OFF) SELECT item.name FROM wish JOIN item ON item.kind = wish.item WHERE wish.id < 6;
EXPLAIN (COSTS OFF) SELECT wish.id FROM wish JOIN item ON item.kind = wish.item WHERE wish.id < 50;

-- The order of the outer side is kept.
EXPLAIN (COSTS OFF) SELECT * FROM wish JOIN item ON item.id = wish.item WHERE wish.id < 100 ORDER BY wish.id;
EXPLAIN (VERBOSE, COSTS OFF) SELECT order_id, n, name FROM line JOIN item ON item.id = line.item WHERE order_id < 30 ORDER BY order_id, n;

-- A few rows are looked up one by one, nearly all are read once.
EXPLAIN (COSTS OFF) SELECT * FROM wish JOIN item ON item.id = wish.item WHERE wish.id = 7;
EXPLAIN (COSTS OFF) SELECT count(name) FROM line JOIN item ON item.id = line.item;

-- Not where rows are locked or changed, nor when it is switched off.
EXPLAIN (COSTS OFF) SELECT * FROM wish JOIN item ON item.id = wish.item WHERE wish.id < 100 FOR UPDATE OF item;
EXPLAIN (COSTS OFF) UPDATE item SET kind = 0 FROM wish WHERE item.id = wish.item AND wish.id < 100;
EXPLAIN (COSTS OFF) DELETE FROM wish USING item WHERE item.id = wish.item AND wish.id < 100;
SET kalam.enable_batchjoin = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT * FROM wish JOIN item ON item.id = wish.item WHERE wish.id < 100;
RESET kalam.enable_batchjoin;

-- A LIMIT does not pay for what it does not want: batches begin small.
SET kalam.query_cache = off;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM line JOIN item ON item.id = line.item LIMIT 1;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM line JOIN item ON item.id = line.item AND amount <> kind LIMIT 100;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) SELECT * FROM line JOIN item ON item.id = line.item AND amount <> kind LIMIT 5;

-- With parameters from above.
EXPLAIN (COSTS OFF) SELECT w.id, x.* FROM wish w, LATERAL (SELECT sum(amount), max(name) FROM line JOIN item ON item.id = line.item + w.id WHERE line.order_id = w.order_id) x WHERE w.id < 3;
SELECT w.id, x.* FROM wish w, LATERAL (SELECT sum(amount), max(name) FROM line JOIN item ON item.id = line.item + w.id WHERE line.order_id = w.order_id) x WHERE w.id < 3;

-- Shared by workers.
RESET max_parallel_workers_per_gather;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT sum(amount), count(name) FROM line JOIN item ON item.id = line.item;
SELECT sum(amount), count(name) FROM line JOIN item ON item.id = line.item;

DROP FOREIGN TABLE item, line;
RESET kalam.query_cache;
DROP TABLE wish;
