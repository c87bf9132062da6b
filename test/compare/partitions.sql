-- Partitions that are kept in different ways: rows are routed to them, bounds
-- hold, queries leave out what cannot match.

CREATE TABLE r (id int NOT NULL, region text, v int) PARTITION BY RANGE (id);
CREATE STORED TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (100) KEY (id);
CREATE STORED TABLE r2 PARTITION OF r FOR VALUES FROM (100) TO (200) KEY (id DESC);
CREATE TABLE r3 PARTITION OF r FOR VALUES FROM (200) TO (300);
CREATE STORED TABLE r4 PARTITION OF r FOR VALUES FROM (300) TO (400);
INSERT INTO r SELECT g, 'x', g FROM generate_series(0, 399, 7) g;
SELECT tableoid::regclass, count(*), min(id), max(id) FROM r GROUP BY 1 ORDER BY tableoid::regclass::text;
INSERT INTO r VALUES (1, 'y', 1), (101, 'y', 101), (201, 'y', 201), (301, 'y', 301) RETURNING tableoid::regclass, id;
COPY r FROM STDIN;
2	copied	2
102	copied	102
202	copied	202
302	copied	302
3	copied	3
\.
SELECT tableoid::regclass, id FROM r WHERE region = 'copied' ORDER BY id;
-- fails: no partition
INSERT INTO r VALUES (400, 'z', 0);
-- fails: no partition, in COPY
COPY r FROM STDIN;
4	copied	4
999	copied	999
\.
-- fails: out of the bounds of the partition
INSERT INTO r1 VALUES (150, 'z', 0);
-- fails: out of the bounds, in COPY
COPY r1 FROM STDIN;
150	z	0
\.
-- fails: out of the bounds, in UPDATE of the partition
UPDATE r1 SET id = 150 WHERE id = 1;
-- fails: duplicate in a partition
INSERT INTO r VALUES (5, 'z', 0), (1, 'z', 0);
-- fails: duplicate in a partition, in COPY
COPY r FROM STDIN;
5	z	0
101	z	0
\.
SELECT count(*), sum(id) FROM r;
SELECT * FROM r WHERE id = 1;
SELECT * FROM r WHERE id = 101;
SELECT id FROM r WHERE id BETWEEN 95 AND 105 ORDER BY id;
SELECT id FROM r WHERE id > 290 AND id < 310 ORDER BY id DESC;
SELECT id FROM r ORDER BY id LIMIT 3;
SELECT id FROM r ORDER BY id DESC LIMIT 3;
SELECT count(*) FROM r WHERE id = (SELECT 102);
SELECT count(*) FROM r WHERE v % 2 = 0;
SELECT a.id, b.id FROM r a JOIN r b ON b.id = a.id + 100 WHERE a.region = 'copied' ORDER BY 1;
UPDATE r SET v = v + 1000 WHERE id < 150;
UPDATE r SET region = 'all';
DELETE FROM r WHERE id % 2 = 0;
SELECT tableoid::regclass, count(*), sum(v) FROM r GROUP BY 1 ORDER BY tableoid::regclass::text;
WITH x AS (UPDATE r SET v = 0 WHERE id IN (1, 101, 201, 301) RETURNING tableoid::regclass, *) SELECT * FROM x ORDER BY id;
WITH x AS (DELETE FROM r WHERE id IN (1, 101, 201, 301) RETURNING tableoid::regclass, id) SELECT * FROM x ORDER BY id;
-- A row that leaves a heap partition may come into any other.
UPDATE r SET id = 50 WHERE id = 203;
SELECT tableoid::regclass, * FROM r WHERE id = 50;
PREPARE p(int) AS SELECT tableoid::regclass, id FROM r WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE p(7);
EXECUTE p(105);
EXECUTE p(500);
EXECUTE p(NULL);
RESET plan_cache_mode;

-- Lists, a default partition, partitions of partitions, and other orders of columns.
CREATE TABLE l (country text COLLATE "C" NOT NULL, id int NOT NULL, v text DEFAULT 'parent') PARTITION BY LIST (country);
CREATE STORED TABLE l_de PARTITION OF l FOR VALUES IN ('de', 'at') KEY (country, id);
CREATE TABLE l_fr PARTITION OF l FOR VALUES IN ('fr') PARTITION BY HASH (id);
CREATE STORED TABLE l_other PARTITION OF l DEFAULT KEY (country, id DESC);
CREATE STORED TABLE l_fr0 PARTITION OF l_fr FOR VALUES WITH (MODULUS 2, REMAINDER 0) KEY (id);
CREATE STORED TABLE l_fr1 PARTITION OF l_fr FOR VALUES WITH (MODULUS 2, REMAINDER 1) KEY (id);
CREATE STORED TABLE l_it (id int NOT NULL, extra int, country text COLLATE "C" NOT NULL, v text) KEY (id);
ALTER STORED TABLE l_it DROP COLUMN extra;
INSERT INTO l_it VALUES (1, 'it', 'before');
ALTER TABLE l ATTACH PARTITION l_it FOR VALUES IN ('it');
INSERT INTO l SELECT c, g FROM unnest('{de,at,fr,it,us,uk}'::text[]) c, generate_series(2, 5) g;
INSERT INTO l VALUES ('it', 6, 'direct') RETURNING *;
SELECT tableoid::regclass, country, count(*), sum(id) FROM l GROUP BY 1, 2 ORDER BY 2, tableoid::regclass::text;
SELECT * FROM l WHERE country = 'it' ORDER BY id;
SELECT * FROM l WHERE country IN ('us', 'at') AND id = 3 ORDER BY country;
-- fails: belongs to another partition
INSERT INTO l_other VALUES ('de', 1);
-- fails: belongs to another partition
INSERT INTO l_de VALUES ('fr', 1);
-- fails: null in the key of the partition
INSERT INTO l VALUES ('de', NULL);
UPDATE l SET v = country || id WHERE id > 3;
SELECT country, id, v FROM l WHERE id > 3 ORDER BY country, id;
DELETE FROM l WHERE country = 'fr';
SELECT count(*) FROM l;
ALTER TABLE l DETACH PARTITION l_de;
SELECT count(*) FROM l;
SELECT count(*) FROM l_de;
INSERT INTO l_de VALUES ('ch', 1);
-- fails: a row that belongs elsewhere
ALTER TABLE l ATTACH PARTITION l_de FOR VALUES IN ('de', 'at');
DELETE FROM l_de WHERE country = 'ch';
ALTER TABLE l ATTACH PARTITION l_de FOR VALUES IN ('de', 'at');
SELECT count(*) FROM l;

-- Rows of the default partition, or of partitions of it, that a new one would take.
CREATE TABLE d (a int, b int) PARTITION BY RANGE (a);
CREATE STORED TABLE d_rest PARTITION OF d DEFAULT;
CREATE STORED TABLE d_new (a int, b int);
INSERT INTO d VALUES (110, 1), (250, 2);
\set VERBOSITY sqlstate
-- fails: one is in the default partition
ALTER TABLE d ATTACH PARTITION d_new FOR VALUES FROM (100) TO (200);
ALTER TABLE d DETACH PARTITION d_rest;
CREATE TABLE d_parts PARTITION OF d DEFAULT PARTITION BY LIST (b);
CREATE STORED TABLE d_one PARTITION OF d_parts DEFAULT;
INSERT INTO d VALUES (110, 1), (250, 2);
-- fails: one is in the default partition of the default partition
ALTER TABLE d ATTACH PARTITION d_new FOR VALUES FROM (100) TO (200);
\set VERBOSITY default
SELECT tableoid::regclass, * FROM d WHERE a = 110;
DELETE FROM d WHERE a = 110;
ALTER TABLE d ATTACH PARTITION d_new FOR VALUES FROM (100) TO (200);
INSERT INTO d VALUES (110, 3);
SELECT tableoid::regclass, * FROM d ORDER BY a;
DROP TABLE d;
DROP STORED TABLE d_rest;
TRUNCATE l;
SELECT count(*) FROM l;

-- Triggers and constraints of the parent hold for the partitions.
CREATE TABLE c (id int NOT NULL, v int CHECK (v > 0), w int DEFAULT 5) PARTITION BY RANGE (id);
CREATE STORED TABLE c1 PARTITION OF c (v NOT NULL, w DEFAULT 6) FOR VALUES FROM (0) TO (10);
CREATE STORED TABLE c2 PARTITION OF c FOR VALUES FROM (10) TO (20);
CREATE FUNCTION add_one() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := NEW.v + 1; RETURN NEW; END';
CREATE TRIGGER add_one BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION add_one();
INSERT INTO c VALUES (1, 1), (11, 1), (12, NULL);
INSERT INTO c1 (id, v) VALUES (2, 1);
-- fails: check of the parent
INSERT INTO c VALUES (3, -1);
-- fails: not null of the partition
INSERT INTO c VALUES (3, NULL);
SELECT tableoid::regclass, * FROM c ORDER BY id;
