-- A heap table with children that are kept in different ways.

CREATE TABLE parent (id int NOT NULL, v text, CHECK (id > 0));
CREATE STORED TABLE child1 () INHERITS (parent) KEY (id);
CREATE STORED TABLE child2 (extra int DEFAULT 9) INHERITS (parent) KEY (id DESC);
CREATE TABLE child3 () INHERITS (parent);
INSERT INTO parent VALUES (1, 'parent');
INSERT INTO child1 VALUES (2, 'child1'), (3, 'child1');
INSERT INTO child2 VALUES (4, 'child2');
INSERT INTO child2 VALUES (5, 'child2', 50);
INSERT INTO child3 VALUES (6, 'child3');
-- fails: check of the parent
INSERT INTO child1 VALUES (0, 'zero');
-- fails: not null of the parent
INSERT INTO child2 VALUES (NULL, 'null');
SELECT tableoid::regclass, * FROM parent ORDER BY id;
SELECT * FROM ONLY parent;
SELECT * FROM child2 ORDER BY id;
SELECT * FROM parent WHERE id = 4;
SELECT * FROM parent WHERE id BETWEEN 3 AND 5 ORDER BY id DESC;
SELECT p.id, c.extra FROM parent p LEFT JOIN child2 c USING (id) ORDER BY 1;
WITH x AS (UPDATE parent SET v = v || '!' RETURNING tableoid::regclass, id, v) SELECT * FROM x ORDER BY id;
UPDATE parent SET id = id + 10 WHERE id IN (2, 4, 6);
UPDATE ONLY parent SET v = 'only';
-- fails: check of the parent
UPDATE parent SET id = -id;
SELECT tableoid::regclass, * FROM parent ORDER BY id;
CREATE TABLE h (id int, w text);
INSERT INTO h VALUES (1, 'a'), (3, 'b'), (5, 'c'), (14, 'd');
UPDATE parent SET v = w FROM h WHERE h.id = parent.id;
SELECT id, v FROM parent ORDER BY id;
WITH x AS (DELETE FROM parent USING h WHERE h.id = parent.id AND h.id > 1 RETURNING parent.tableoid::regclass, parent.id) SELECT * FROM x ORDER BY id;
SELECT tableoid::regclass, id FROM parent ORDER BY id;
DELETE FROM parent WHERE id = 12;
SELECT count(*) FROM parent;

-- Changes of the parent's columns reach the children and their rows.
INSERT INTO child1 VALUES (20, 'old');
ALTER TABLE parent ADD COLUMN n int DEFAULT 7;
ALTER TABLE parent RENAME COLUMN v TO label;
INSERT INTO child1 VALUES (21, 'new', 8);
INSERT INTO child2 (id, label) VALUES (22, 'new');
SELECT * FROM parent ORDER BY id;
SELECT * FROM child2 ORDER BY id;
ALTER TABLE parent DROP COLUMN n;
SELECT * FROM parent ORDER BY id;
ALTER STORED TABLE child1 NO INHERIT parent;
SELECT tableoid::regclass, id FROM parent ORDER BY id;
SELECT * FROM child1 ORDER BY id;
ALTER STORED TABLE child1 INHERIT parent;
SELECT count(*) FROM parent;
TRUNCATE parent;
SELECT count(*) FROM child1;
DROP TABLE parent CASCADE;
-- fails: it went with its parent
SELECT * FROM child1;
