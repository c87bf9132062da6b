-- Queries of every shape.

CREATE STORED TABLE customers (id int NOT NULL, name text COLLATE "C" NOT NULL, region text, credit numeric(10,2)) KEY (id);
CREATE STORED TABLE orders (id int NOT NULL, customer int, placed date, total numeric(10,2)) KEY (id DESC);
CREATE STORED TABLE lines (order_id int NOT NULL, line int NOT NULL, product text, quantity int, price numeric(8,2)) KEY (order_id, line);
CREATE TABLE regions (name text PRIMARY KEY, country text);
INSERT INTO customers SELECT g, 'customer ' || g, (ARRAY['north', 'south', 'east', 'west', NULL])[1 + g % 5], g * 10.50 FROM generate_series(1, 40) g;
INSERT INTO orders SELECT g, CASE WHEN g % 11 > 0 THEN 1 + g * 7 % 45 END, date '2024-01-01' + g % 90, NULL FROM generate_series(1, 200) g;
INSERT INTO lines SELECT o, l, 'product ' || (o * l) % 17, 1 + (o + l) % 5, ((o * 31 + l * 17) % 1000) / 10.0 FROM generate_series(1, 200) o, generate_series(1, 5) l WHERE l <= 1 + o % 5;
UPDATE orders SET total = (SELECT sum(quantity * price) FROM lines WHERE order_id = orders.id);
INSERT INTO regions VALUES ('north', 'A'), ('south', 'A'), ('east', 'B'), ('centre', 'C');
ANALYZE;

-- Joins.
SELECT count(*), sum(total) FROM customers c JOIN orders o ON o.customer = c.id;
SELECT c.name, count(o.id), max(o.total) FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.id, c.name ORDER BY c.id LIMIT 8;
SELECT count(*) FROM customers c RIGHT JOIN orders o ON o.customer = c.id WHERE c.id IS NULL;
SELECT count(*), count(c.id), count(o.id) FROM customers c FULL JOIN orders o ON o.customer = c.id;
SELECT count(*) FROM customers CROSS JOIN regions;
SELECT r.country, count(*), sum(l.quantity * l.price) FROM regions r JOIN customers c ON c.region = r.name JOIN orders o ON o.customer = c.id JOIN lines l ON l.order_id = o.id GROUP BY r.country ORDER BY 1;
SELECT a.id, b.id FROM customers a JOIN customers b ON b.id = a.id * 2 AND b.region = a.region ORDER BY 1;
SELECT count(*) FROM orders a JOIN orders b ON a.placed = b.placed AND a.id < b.id;
SELECT name, placed FROM customers NATURAL JOIN (SELECT customer AS id, placed FROM orders) o WHERE placed < '2024-01-04' ORDER BY placed, name;
SELECT c.id, x.n FROM customers c JOIN (SELECT customer, count(*) AS n FROM orders GROUP BY customer) x ON x.customer = c.id WHERE x.n > 5 ORDER BY 2 DESC, 1;
SELECT o.id, l.line FROM orders o LEFT JOIN lines l ON l.order_id = o.id AND l.quantity > 4 WHERE o.id <= 10 ORDER BY 1, 2;
SELECT count(*) FROM lines l JOIN orders o ON o.id = l.order_id AND o.placed BETWEEN '2024-02-01' AND '2024-02-10';

-- LATERAL.
SELECT c.id, o.id, o.total FROM customers c CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.customer = c.id ORDER BY o.id DESC LIMIT 2) o WHERE c.id <= 6 ORDER BY 1, 2 DESC;
SELECT o.id, l.line, l.product FROM (SELECT * FROM orders ORDER BY id LIMIT 5) o CROSS JOIN LATERAL (SELECT * FROM lines l WHERE l.order_id = o.id ORDER BY line DESC LIMIT 1) l ORDER BY 1;
SELECT c.id, x.n, x.total FROM customers c, LATERAL (SELECT count(*) AS n, sum(total) AS total FROM orders o WHERE o.customer = c.id AND o.placed > '2024-02-15') x WHERE c.id BETWEEN 10 AND 15 ORDER BY 1;
SELECT g, o.id FROM generate_series(0, 200, 50) g LEFT JOIN LATERAL (SELECT id FROM orders WHERE id > g ORDER BY id LIMIT 1) o ON true ORDER BY g;
SELECT g, o.id FROM generate_series(0, 200, 50) g LEFT JOIN LATERAL (SELECT id FROM orders WHERE id < g ORDER BY id DESC LIMIT 1) o ON true ORDER BY g;

-- Correlated subqueries, EXISTS, IN.
SELECT id, (SELECT count(*) FROM orders WHERE customer = c.id) AS n FROM customers c WHERE id < 10 ORDER BY id;
SELECT id, (SELECT total FROM orders WHERE customer = c.id ORDER BY placed DESC, id LIMIT 1) AS last FROM customers c WHERE id < 10 ORDER BY id;
SELECT id FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer = c.id AND total > 1000) ORDER BY id;
SELECT id FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer = c.id) ORDER BY id;
SELECT id FROM orders o WHERE total > (SELECT avg(total) * 2 FROM orders i WHERE i.customer = o.customer) ORDER BY id;
SELECT id FROM customers WHERE id IN (SELECT customer FROM orders WHERE placed = '2024-01-05') ORDER BY id;
SELECT count(*) FROM customers WHERE id NOT IN (SELECT customer FROM orders);
SELECT count(*) FROM customers WHERE id NOT IN (SELECT customer FROM orders WHERE customer IS NOT NULL);
SELECT id FROM customers WHERE (region, credit) = ANY (SELECT region, max(credit) FROM customers GROUP BY region) ORDER BY id;
SELECT id, CASE WHEN EXISTS (SELECT FROM lines WHERE order_id = orders.id AND quantity = 5) THEN 'some' ELSE 'none' END FROM orders WHERE id <= 5 ORDER BY id;
SELECT id, ARRAY(SELECT line FROM lines WHERE order_id = o.id ORDER BY line DESC) FROM orders o WHERE id BETWEEN 3 AND 8 ORDER BY id;
SELECT count(*) FROM orders o WHERE id = (SELECT max(order_id) FROM lines l WHERE l.order_id <= o.id);
SELECT c.id, (SELECT string_agg(DISTINCT l.product, ',' ORDER BY l.product) FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.customer = c.id AND l.line = 1) FROM customers c WHERE c.id < 5 ORDER BY 1;

-- Groups.
SELECT region, count(*), sum(credit), avg(credit)::numeric(10,3), min(name), max(name) FROM customers GROUP BY region ORDER BY region NULLS FIRST;
SELECT region, count(*) FROM customers GROUP BY region HAVING sum(credit) > 1700 ORDER BY 1;
SELECT count(DISTINCT customer), count(DISTINCT placed), count(customer), count(*) FROM orders;
SELECT extract(month FROM placed) AS month, count(*), round(stddev(total), 4), percentile_disc(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY customer) FROM orders GROUP BY 1 ORDER BY 1;
SELECT region, id % 2 AS odd, count(*) FROM customers GROUP BY GROUPING SETS ((region, odd), (region), ()) ORDER BY 1 NULLS LAST, 2 NULLS LAST, 3;
SELECT region, id % 2 AS odd, count(*), grouping(region, id % 2) FROM customers GROUP BY ROLLUP (region, id % 2) ORDER BY 4, 1, 2;
SELECT region, id % 3 = 0 AS third, sum(credit) FROM customers GROUP BY CUBE (1, 2) ORDER BY 1, 2, 3;
SELECT count(*) FILTER (WHERE total > 100), sum(total) FILTER (WHERE customer IS NULL) FROM orders;
SELECT array_agg(id ORDER BY id) FROM customers WHERE region = 'east';
SELECT jsonb_object_agg(id, name ORDER BY id) FROM customers WHERE id < 4;
SELECT DISTINCT region FROM customers ORDER BY region;
SELECT DISTINCT ON (region) region, id, credit FROM customers ORDER BY region, credit DESC;
SELECT sum(n) FROM (SELECT count(*) AS n FROM orders GROUP BY customer) x;
SELECT bool_and(quantity > 0), bool_or(price > 99), every(line < 9), bit_or(quantity) FROM lines;

-- Windows.
SELECT id, region, credit, rank() OVER (PARTITION BY region ORDER BY credit DESC), sum(credit) OVER (PARTITION BY region ORDER BY id) FROM customers WHERE id <= 12 ORDER BY region, id;
SELECT id, placed, lag(id) OVER w, lead(id, 2, -1) OVER w, first_value(id) OVER w, count(*) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM orders WHERE id < 9 WINDOW w AS (ORDER BY id) ORDER BY id;
SELECT * FROM (SELECT customer, id, row_number() OVER (PARTITION BY customer ORDER BY id DESC) AS n FROM orders) x WHERE n = 1 AND customer < 8 ORDER BY customer;
SELECT id, ntile(4) OVER (ORDER BY id), percent_rank() OVER (ORDER BY region, id) FROM customers WHERE id < 6 ORDER BY id;

-- Sets and CTEs.
SELECT customer FROM orders WHERE id < 20 UNION SELECT id FROM customers WHERE id < 5 ORDER BY 1;
SELECT customer FROM orders WHERE id < 20 UNION ALL SELECT id FROM customers WHERE id < 5 ORDER BY 1;
SELECT customer FROM orders INTERSECT SELECT id FROM customers WHERE region = 'east' ORDER BY 1;
SELECT id FROM customers EXCEPT SELECT customer FROM orders ORDER BY 1;
SELECT region FROM customers EXCEPT ALL SELECT name FROM regions ORDER BY 1 LIMIT 3;
WITH big AS (SELECT * FROM orders WHERE total > 500), c AS MATERIALIZED (SELECT * FROM customers) SELECT c.id, count(*) FROM big JOIN c ON c.id = big.customer GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5;
WITH x AS (SELECT * FROM customers WHERE id < 4) SELECT a.id, b.id FROM x a, x b WHERE a.id < b.id ORDER BY 1, 2;
WITH RECURSIVE walk AS (SELECT id, 1 AS depth FROM customers WHERE id = 1 UNION ALL SELECT c.id, depth + 1 FROM walk JOIN customers c ON c.id = walk.id * 2) SELECT * FROM walk ORDER BY depth;
WITH RECURSIVE newest AS ((SELECT customer FROM orders WHERE customer IS NOT NULL ORDER BY customer LIMIT 1) UNION ALL SELECT (SELECT customer FROM orders o WHERE o.customer > n.customer ORDER BY customer LIMIT 1) FROM newest n WHERE n.customer IS NOT NULL) SELECT count(*), max(customer) FROM newest;
TABLE regions ORDER BY name;
VALUES ((SELECT count(*) FROM customers)), ((SELECT max(id) FROM orders)), ((SELECT min(line) FROM lines));

-- Order, limits, offsets, samples of columns.
SELECT id FROM orders ORDER BY id LIMIT 3;
SELECT id FROM orders ORDER BY id DESC LIMIT 3;
SELECT id FROM orders ORDER BY id DESC OFFSET 197;
SELECT id FROM orders ORDER BY id FETCH FIRST 2 ROWS ONLY;
SELECT placed, id FROM orders ORDER BY placed, id FETCH FIRST 1 ROW WITH TIES;
SELECT placed FROM orders ORDER BY placed FETCH FIRST 1 ROW WITH TIES;
SELECT id FROM customers ORDER BY region DESC NULLS LAST, credit LIMIT 5;
SELECT id FROM customers ORDER BY name DESC LIMIT 3;
SELECT id FROM customers LIMIT 0;
SELECT count(*) FROM (SELECT 1 FROM lines LIMIT 50) x;
SELECT count(*) FROM (SELECT 1 FROM lines OFFSET 500) x;
SELECT 1 FROM customers WHERE id = 5;
SELECT FROM customers WHERE id < 3;
SELECT count(*) FROM customers WHERE name = 'customer 7' OR id = 8 OR credit = 94.50;
SELECT id, name || '/' || coalesce(region, '-') AS label FROM customers WHERE name SIMILAR TO 'customer (1|2)' ORDER BY id;
SELECT c FROM customers c WHERE id = 1;
SELECT (c).name FROM (SELECT c FROM customers c WHERE id = 2) x;
SELECT c.* FROM customers c WHERE c = (SELECT x FROM customers x WHERE id = 3);
SELECT id, generate_series(1, line) FROM (SELECT order_id AS id, line FROM lines WHERE order_id = 4 AND line <= 2) x ORDER BY 1, 2;

-- Inner sides that are scanned again and again.
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;
SELECT count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer = c.id;
SELECT count(*) FROM orders o JOIN lines l ON l.order_id = o.id;
SELECT count(*) FROM orders o LEFT JOIN lines l ON l.order_id = o.id AND l.line = 3;
SELECT count(*) FROM customers a, customers b WHERE a.credit < b.credit;
SET enable_memoize = on;
SELECT count(*) FROM lines l JOIN orders o ON o.id = l.order_id;
RESET ALL;
SET enable_hashjoin = off; SET enable_nestloop = off;
SELECT count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer = c.id;
SELECT count(*) FROM orders o JOIN lines l ON l.order_id = o.id;
RESET ALL;
SET enable_hashagg = off; SET enable_sort = on;
SELECT customer, count(*) FROM orders GROUP BY customer ORDER BY customer LIMIT 3;
RESET ALL;
SET work_mem = '64kB';
SELECT count(*), sum(o.total) FROM lines l JOIN orders o ON o.id = l.order_id;
SELECT count(*) FROM (SELECT product, quantity, price FROM lines ORDER BY price, product, quantity OFFSET 10) x;
RESET ALL;
