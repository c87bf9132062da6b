-- Joins by a key of the inner side, with nothing else for the planner to choose.

CREATE STORED TABLE items (id int NOT NULL, kind text COLLATE "C", price numeric(8,2), big bigint) KEY (id);
CREATE STORED TABLE parts (a int NOT NULL, b text COLLATE "C" NOT NULL, c date NOT NULL, note text, n int) KEY (a, b DESC, c);
CREATE STORED TABLE nothing (id int NOT NULL, x int) KEY (id);
CREATE STORED TABLE wide (id bigint NOT NULL, body text) KEY (id);
CREATE STORED TABLE logs (id int NOT NULL, who text COLLATE "C", at timestamp, level int, size numeric(9,2), body text) KEY (id);
CREATE STORED INDEX who ON logs (who, at DESC);
CREATE STORED INDEX level ON logs (level);
CREATE STORED UNIQUE INDEX at ON logs (at);
CREATE STORED INDEX size ON logs (size);
CREATE TABLE probes (i int, item int, a smallint, b text COLLATE "C", c date, big bigint);
INSERT INTO items SELECT g, (ARRAY['x', 'y', 'z', NULL])[1 + g % 4], g * 1.5, g * 10 FROM generate_series(1, 3000) g WHERE g % 7 > 0;
INSERT INTO parts SELECT g % 300, 'b' || g % 5, date '2024-01-01' + g / 300, 'note ' || g, g % 11 FROM generate_series(1, 6000) g ON CONFLICT DO NOTHING;
INSERT INTO wide SELECT g, repeat(chr(97 + g % 26), CASE WHEN g % 50 = 0 THEN 200000 ELSE g END) FROM generate_series(1, 300) g;
INSERT INTO logs SELECT g, CASE WHEN g % 17 > 0 THEN 'b' || g % 8 END, CASE WHEN g % 5 > 0 THEN timestamp '2024-01-01' + g * interval '1 hour' END, g % 70, g % 333, repeat('log ', g % 20) FROM generate_series(1, 2500) g;
INSERT INTO probes SELECT g, CASE WHEN g % 13 > 0 THEN g * 37 % 3500 END, g * 11 % 330, CASE WHEN g % 9 > 0 THEN 'b' || g % 6 END, date '2024-01-01' + g % 25, g * 5000000000 % 97 FROM generate_series(1, 2500) g;
ANALYZE;
SET jit = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;

-- Every kind of join.
SELECT count(*), sum(i), sum(price) FROM probes JOIN items ON id = item;
SELECT count(*), count(id), sum(i), sum(price) FROM probes LEFT JOIN items ON id = item;
SELECT count(*), count(id), sum(price) FROM probes LEFT JOIN items ON id = item AND kind = 'x';
SELECT count(*), count(id), sum(price) FROM probes LEFT JOIN items ON id = item WHERE kind = 'x' OR kind IS NULL;
SELECT count(*), sum(i) FROM probes LEFT JOIN items ON id = item WHERE id IS NULL;
SELECT count(*), count(id) FROM probes LEFT JOIN items ON id = item AND probes.i % 2 = 0 AND price > probes.i;
SELECT count(*), sum(i) FROM probes WHERE EXISTS (SELECT FROM items WHERE id = item);
SELECT count(*), sum(i) FROM probes WHERE EXISTS (SELECT FROM items WHERE id = item AND price > i);
SELECT count(*), sum(i) FROM probes WHERE NOT EXISTS (SELECT FROM items WHERE id = item);
SELECT count(*), sum(i) FROM probes WHERE NOT EXISTS (SELECT FROM items WHERE id = item AND price > i);
SELECT count(*), sum(i) FROM probes WHERE item IN (SELECT id FROM items WHERE kind <> 'y');
SELECT count(*), sum(i) FROM probes WHERE item NOT IN (SELECT id FROM items WHERE kind <> 'y');
SELECT count(*), sum(price) FROM items WHERE id IN (SELECT item FROM probes);
SELECT count(*), sum(price) FROM items WHERE id IN (SELECT item FROM probes WHERE i < 100) AND kind = 'z';
SELECT count(*), count(id), count(i) FROM items RIGHT JOIN probes ON id = item AND kind = 'x';
SELECT count(*), count(id), count(i) FROM items FULL JOIN probes ON id = item;

-- Parts of a key, descending columns, several rows for an outer one, ranges.
SELECT count(*), sum(n), sum(i) FROM probes p JOIN parts ON parts.a = p.a;
SELECT count(*), sum(n), sum(i) FROM probes p JOIN parts ON parts.a = p.a AND parts.b = p.b;
SELECT count(*), sum(n), sum(i) FROM probes p JOIN parts ON parts.a = p.a AND parts.b = p.b AND parts.c = p.c;
SELECT count(*), sum(n), sum(i), count(n) FROM probes p LEFT JOIN parts ON parts.a = p.a AND parts.b = p.b AND parts.c > p.c;
SELECT count(*), sum(n), sum(i), count(n) FROM probes p LEFT JOIN parts ON parts.a = p.a AND parts.b = 'b3' AND parts.c BETWEEN p.c AND p.c + 5;
SELECT count(*), sum(n), sum(i) FROM probes p JOIN parts ON parts.a = p.a AND parts.b > p.b;
SELECT count(*), sum(n), sum(i) FROM probes p JOIN parts ON parts.a = p.a AND parts.b IN ('b1', 'b4', p.b);
SELECT count(*), sum(i) FROM probes p WHERE EXISTS (SELECT FROM parts WHERE parts.a = p.a AND parts.n = p.i % 11);
SELECT count(*), sum(i) FROM probes p WHERE NOT EXISTS (SELECT FROM parts WHERE parts.a = p.a AND parts.b = p.b AND n > 5);
SELECT count(*), sum(n) FROM probes p JOIN parts ON parts.a = p.a + 1 AND parts.b = lower(upper(p.b));
SELECT count(*), sum(price) FROM probes JOIN items ON id = probes.big;
SELECT count(*), sum(price) FROM probes JOIN items ON id = probes.big * 3000000000;
SELECT count(*), count(id) FROM probes LEFT JOIN nothing ON id = item;
SELECT count(*) FROM probes JOIN nothing ON id = item;
SELECT count(*), sum(length(body)), count(DISTINCT left(body, 1)) FROM probes JOIN wide ON id = probes.a;

-- By indexes, with rows and without.
SELECT count(*), sum(logs.id), sum(length(body)) FROM probes p JOIN logs ON logs.level = p.a;
SELECT count(*), sum(logs.id), count(logs.id) FROM probes p LEFT JOIN logs ON logs.level = p.a;
SELECT count(*), sum(logs.id), count(body) FROM probes p LEFT JOIN logs ON logs.who = p.b AND logs.at > p.c AND logs.at < p.c + 2;
SELECT count(*), sum(logs.id), max(logs.at) FROM probes p LEFT JOIN logs ON logs.who = p.b AND logs.at BETWEEN p.c AND p.c + 1;
SELECT count(*), sum(logs.id), count(body) FROM probes p LEFT JOIN logs ON logs.at = p.c + i % 24 * interval '1 hour';
SELECT count(*), sum(logs.id), count(at) FROM probes p LEFT JOIN logs ON logs.at = p.c + i % 24 * interval '1 hour' AND logs.level > 10;
SELECT count(*), sum(i) FROM probes p WHERE EXISTS (SELECT FROM logs WHERE logs.level = p.a);
SELECT count(*), sum(i) FROM probes p WHERE NOT EXISTS (SELECT FROM logs WHERE logs.level = p.a AND logs.who = p.b);
SELECT count(*), sum(i), sum(size) FROM probes p JOIN logs ON logs.size = p.a WHERE i < 200;
SELECT count(*), sum(i) FROM probes p WHERE EXISTS (SELECT FROM logs WHERE logs.size = p.a);
SELECT i, at FROM (SELECT * FROM probes WHERE i < 60 ORDER BY i DESC) p LEFT JOIN logs ON logs.who = p.b AND logs.at < '2024-01-03' ORDER BY i DESC, at;
SELECT count(*), sum(x.id), sum(y.id) FROM logs x JOIN logs y ON y.level = x.level AND y.who = x.who WHERE x.id < 300;

-- Partitions of both sides.
CREATE TABLE halves (id int NOT NULL, x int) PARTITION BY HASH (id);
CREATE STORED TABLE halves_0 PARTITION OF halves FOR VALUES WITH (MODULUS 2, REMAINDER 0) KEY (id);
CREATE STORED TABLE halves_1 PARTITION OF halves FOR VALUES WITH (MODULUS 2, REMAINDER 1) KEY (id);
CREATE TABLE others (id int NOT NULL, y int) PARTITION BY HASH (id);
CREATE STORED TABLE others_0 PARTITION OF others FOR VALUES WITH (MODULUS 2, REMAINDER 0) KEY (id);
CREATE STORED TABLE others_1 PARTITION OF others FOR VALUES WITH (MODULUS 2, REMAINDER 1) KEY (id);
INSERT INTO halves SELECT g, g % 10 FROM generate_series(1, 2000) g;
INSERT INTO others SELECT g * 3, g FROM generate_series(1, 900) g;
SET enable_partitionwise_join = on;
SELECT count(*), sum(x), sum(y) FROM halves JOIN others USING (id) WHERE x < 4;
SELECT count(*), sum(x), sum(y) FROM halves LEFT JOIN others ON others.id = halves.id AND y > x WHERE halves.id % 7 = 2;
SELECT count(*), sum(x) FROM halves WHERE NOT EXISTS (SELECT FROM others WHERE others.id = halves.id) AND x = 3;
RESET enable_partitionwise_join;
SELECT count(*), sum(x), sum(y) FROM halves JOIN others USING (id) WHERE x < 4;

-- The order of the outer side.
SELECT i, note FROM (SELECT * FROM probes ORDER BY i DESC LIMIT 40) p LEFT JOIN parts ON parts.a = p.a AND parts.b = 'b2' ORDER BY i DESC, note;
SELECT i, id FROM probes LEFT JOIN items ON id = item ORDER BY i LIMIT 20;
SELECT i, id, kind FROM probes LEFT JOIN items ON id = item WHERE i > 2400 ORDER BY i OFFSET 80 LIMIT 20;

-- Neighbours that ask for the same key.
SELECT count(*), count(id), sum(i), sum(price) FROM (SELECT i, item / 20 AS item FROM probes ORDER BY 2, 1) p LEFT JOIN items ON id = p.item;
SELECT count(*), count(id), sum(i) FROM (SELECT i, item / 20 AS item FROM probes ORDER BY 2, 1) p LEFT JOIN items ON id = p.item AND p.i % 3 > 0;
SELECT i, id FROM (SELECT i, i / 7 * 7 / 2 AS item FROM probes WHERE i < 60 ORDER BY i) p LEFT JOIN items ON id = p.item AND p.i % 2 = 0 ORDER BY i;
SELECT count(*), sum(i) FROM (SELECT i, item / 20 AS item FROM probes ORDER BY 2, 1) p WHERE NOT EXISTS (SELECT FROM items WHERE id = p.item AND p.i % 3 > 0);
SELECT count(*), sum(i) FROM (SELECT i, item / 20 AS item FROM probes ORDER BY 2, 1) p WHERE EXISTS (SELECT FROM items WHERE id = p.item AND p.i % 3 > 0);
SELECT count(*), count(id), sum(length(body)) FROM (SELECT i, i / 4 AS n FROM probes WHERE i < 1300 ORDER BY i) p LEFT JOIN wide ON id = p.n;

-- Chains, both sides stored, and columns that come through.
SELECT count(*), sum(x.price), sum(y.price) FROM probes JOIN items x ON x.id = item JOIN items y ON y.id = x.id * 2;
SELECT count(*), count(x.id), count(y.id) FROM probes LEFT JOIN items x ON x.id = item LEFT JOIN items y ON y.id = x.id + 1;
SELECT count(*), count(x.id), sum(n) FROM items x LEFT JOIN parts ON parts.a = x.id AND parts.b = 'b1' WHERE x.id < 400;
SELECT x.id, y.id, y.kind FROM items x JOIN items y ON y.id = x.id + 1 WHERE x.id < 20 ORDER BY 1;
SELECT count(*), sum(price) FROM (SELECT item, count(*) AS n FROM probes GROUP BY item) p JOIN items ON id = item AND n < 3;
SELECT count(*) FROM probes LEFT JOIN (SELECT id, coalesce(kind, 'none') AS k FROM items) s ON s.id = item WHERE k = 'none' OR k IS NULL;
SELECT count(items), max(items::text) FROM probes JOIN items ON id = item WHERE i < 50;
SELECT count(*), sum(length(x.t)) FROM (SELECT i, i || 'text' AS t, item FROM probes) x JOIN items ON id = item;

-- Above and below others: rescans, parameters from above, lateral, subqueries.
SELECT g, (SELECT sum(price) FROM probes JOIN items ON id = item WHERE i BETWEEN g AND g + 30) FROM generate_series(1, 300, 50) g ORDER BY g;
SELECT g, x.* FROM generate_series(1, 2000, 400) g, LATERAL (SELECT count(*), sum(price), min(kind) FROM probes LEFT JOIN items ON id = item + g WHERE i < 100) x ORDER BY g;
SELECT g, x.* FROM generate_series(0, 4) g, LATERAL (SELECT count(*), sum(n) FROM probes p JOIN parts ON parts.a = p.a AND parts.b = 'b' || g WHERE i < 300) x ORDER BY g;
SELECT g, x.* FROM generate_series(0, 4) g LEFT JOIN LATERAL (SELECT p.i, note FROM probes p JOIN parts ON parts.a = p.a AND parts.n = g ORDER BY p.i, note LIMIT 2) x ON true ORDER BY g, i, note;
SELECT i, (SELECT count(*) FROM items x JOIN items y ON y.id = x.id + 1 WHERE x.id BETWEEN p.i AND p.i + 5) FROM probes p WHERE i < 30 ORDER BY i;
WITH p AS MATERIALIZED (SELECT * FROM probes WHERE i < 500) SELECT count(*), sum(a.price), sum(b.price) FROM p a1 JOIN items a ON a.id = a1.item, LATERAL (SELECT price FROM p b1 JOIN items ON id = b1.item WHERE b1.i = a1.i) b;

-- Prepared, with values from outside in keys and filters.
PREPARE q (int, text) AS SELECT count(*), sum(n) FROM probes p JOIN parts ON parts.a = p.a AND parts.b = $2 AND parts.n > $1;
EXECUTE q (3, 'b1');
SET plan_cache_mode = force_generic_plan;
EXECUTE q (5, 'b2');
EXECUTE q (NULL, 'b2');
EXECUTE q (2, NULL);
RESET plan_cache_mode;

-- Batches that grow as far as they may, in little memory and in much; keys in any order.
CREATE TABLE many (i int, item int);
INSERT INTO many SELECT g, g * 7919 % 3500 FROM generate_series(1, 60000) g;
SET work_mem = '64kB';
SELECT count(*), sum(i), sum(price) FROM many JOIN items ON id = item;
SELECT count(*), count(id), sum(i), sum(price) FROM many LEFT JOIN items ON id = item AND kind = 'x';
SELECT count(*), sum(i) FROM many WHERE NOT EXISTS (SELECT FROM items WHERE id = item);
SELECT * FROM (SELECT i, id, price, row_number() OVER (ORDER BY i) AS n FROM many JOIN items ON id = item) x WHERE n % 5000 = 0;
SET work_mem = '64MB';
SELECT count(*), sum(i), sum(price) FROM many JOIN items ON id = item;
SELECT count(*), count(id), sum(i), sum(price) FROM many LEFT JOIN items ON id = item AND kind = 'x';
SELECT count(*), sum(i) FROM many WHERE NOT EXISTS (SELECT FROM items WHERE id = item);
SELECT count(*), sum(n), sum(i) FROM many p JOIN parts ON parts.a = p.item AND parts.b IN ('b1', 'b4');
SELECT count(*), sum(logs.id), sum(i) FROM many JOIN logs ON logs.level = many.item WHERE i < 20000;
RESET work_mem;

-- Few rows of many, in a cursor too.
SELECT i, id FROM probes JOIN items ON id = item ORDER BY i LIMIT 3;
BEGIN;
DECLARE c CURSOR FOR SELECT i, id, price FROM probes JOIN items ON id = item ORDER BY i;
FETCH 3 FROM c;
FETCH 10 FROM c;
MOVE 1000 FROM c;
FETCH 3 FROM c;
SAVEPOINT s;
DELETE FROM items WHERE id > 10;
FETCH 2 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
COMMIT;

-- Own changes of the transaction.
BEGIN;
UPDATE items SET price = -1, kind = 'own' WHERE id % 10 = 0;
DELETE FROM items WHERE id % 10 = 1;
INSERT INTO items SELECT g, 'new', 0.5, 0 FROM generate_series(3001, 3400) g;
UPDATE parts SET n = 100 WHERE a % 3 = 0;
DELETE FROM parts WHERE b = 'b4';
INSERT INTO parts SELECT 7, 'bb', date '2024-01-01' + g, 'own', g FROM generate_series(1, 5) g;
INSERT INTO nothing VALUES (37, 1), (74, 2);
SELECT count(*), count(id), sum(price), count(DISTINCT kind) FROM probes LEFT JOIN items ON id = item;
SELECT count(*), sum(i) FROM probes WHERE NOT EXISTS (SELECT FROM items WHERE id = item);
SELECT count(*), sum(n), count(n) FROM probes p LEFT JOIN parts ON parts.a = p.a AND parts.b > 'b2';
SELECT count(*), count(id), sum(x) FROM probes LEFT JOIN nothing ON id = item;
UPDATE logs SET level = level + 100 WHERE id % 6 = 0;
UPDATE logs SET body = 'own' WHERE id % 6 = 1;
UPDATE logs SET id = id + 10000 WHERE id % 6 = 2;
DELETE FROM logs WHERE id % 6 = 3;
INSERT INTO logs SELECT g, 'b1', timestamp '2023-01-01' + g * interval '1 hour', 7, 1, 'new' FROM generate_series(3000, 3050) g;
SELECT count(*), sum(logs.id), sum(length(body)) FROM probes p LEFT JOIN logs ON logs.level = p.a;
SELECT count(*), sum(logs.id), max(logs.at) FROM probes p LEFT JOIN logs ON logs.who = p.b AND logs.at BETWEEN p.c AND p.c + 1;
SELECT count(*), sum(logs.id), count(body) FROM probes p LEFT JOIN logs ON logs.at = p.c + i % 24 * interval '1 hour';
SELECT count(*), sum(i) FROM probes p WHERE NOT EXISTS (SELECT FROM logs WHERE logs.level = p.a);
SAVEPOINT s;
UPDATE items SET price = -2;
SELECT count(*), sum(price) FROM probes JOIN items ON id = item;
ROLLBACK TO s;
SELECT count(*), sum(price) FROM probes JOIN items ON id = item;
ROLLBACK;
SELECT count(*), sum(price) FROM probes JOIN items ON id = item;

-- Where rows are written or locked.
RESET enable_nestloop;
UPDATE items SET big = i FROM probes WHERE id = item AND i < 100;
SELECT count(*), sum(big) FROM items;
DELETE FROM parts USING probes p WHERE parts.a = p.a AND parts.b = p.b AND p.i < 200;
SELECT count(*), sum(n) FROM parts;
SELECT i, id FROM probes JOIN items ON id = item WHERE i < 30 ORDER BY i FOR UPDATE OF items;
CREATE TABLE copied AS SELECT i, id, price FROM probes JOIN items ON id = item;
INSERT INTO copied SELECT i, id, price FROM probes LEFT JOIN items ON id = item WHERE i > 2000;
INSERT INTO nothing SELECT DISTINCT id, 5 FROM probes JOIN items ON id = item;
SELECT count(*), sum(i), sum(id), sum(price) FROM copied;
SELECT count(*), sum(id) FROM nothing;

-- Views that hide rows, and conditions that would tell of them.
CREATE VIEW shown WITH (security_barrier) AS SELECT * FROM items WHERE kind = 'x';
SELECT count(*), sum(price) FROM probes JOIN shown ON id = item WHERE price + i > 100;
SELECT count(*), count(id) FROM probes LEFT JOIN shown ON id = item AND price + i > 100;

-- Errors of conditions come out.
-- fails
SELECT count(*) FROM probes JOIN items ON id = item AND 1 / (price - 1.5) > 0;
