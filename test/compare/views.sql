-- Views, materialized views, rules, row security.

CREATE STORED TABLE t (id int NOT NULL, v text, n int) KEY (id);
INSERT INTO t SELECT g, 'v' || g, g % 3 FROM generate_series(1, 20) g;
CREATE VIEW simple AS SELECT id, v, n FROM t WHERE n > 0;
CREATE VIEW checked AS SELECT * FROM t WHERE n = 1 WITH CHECK OPTION;
CREATE VIEW nested AS SELECT id, v FROM checked WHERE id < 100 WITH CASCADED CHECK OPTION;
CREATE VIEW grouped AS SELECT n, count(*), max(id) AS newest FROM t GROUP BY n;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM t WHERE n = 2;
SELECT * FROM simple WHERE id = 4;
SELECT count(*) FROM simple;
SELECT * FROM grouped ORDER BY n;
SELECT * FROM barrier WHERE id < 10 ORDER BY id;
SELECT s.id, g.newest FROM simple s JOIN grouped g USING (n) WHERE s.id < 6 ORDER BY 1;
INSERT INTO simple VALUES (30, 'through', 1), (31, 'unseen', 0) RETURNING *;
UPDATE simple SET v = 'updated' WHERE id = 30 RETURNING *;
UPDATE simple SET v = 'updated' WHERE id = 31;
DELETE FROM simple WHERE id = 30 RETURNING id;
INSERT INTO checked VALUES (32, 'good', 1);
-- fails: check option
INSERT INTO checked VALUES (33, 'bad', 2);
-- fails: check option
UPDATE checked SET n = 2 WHERE id = 32;
-- fails: check option of the view below
INSERT INTO nested VALUES (34, 'no n');
-- fails: check option
INSERT INTO nested VALUES (134, 'too large');
UPDATE nested SET v = 'nested' WHERE id = 32;
UPDATE barrier SET v = 'barrier' WHERE id < 6;
SELECT * FROM t WHERE id > 20 OR v = 'barrier' ORDER BY id;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO t VALUES (NEW.newest, 'instead', NEW.n);
    RETURN NEW;
END
$$;
CREATE TRIGGER instead INSTEAD OF INSERT ON grouped FOR EACH ROW EXECUTE FUNCTION instead();
INSERT INTO grouped (n, newest) VALUES (5, 500) RETURNING *;
SELECT * FROM t WHERE id = 500;

CREATE MATERIALIZED VIEW m AS SELECT n, count(*) FROM t GROUP BY n;
SELECT * FROM m ORDER BY n;
INSERT INTO t VALUES (600, 'new', 5);
SELECT * FROM m ORDER BY n;
REFRESH MATERIALIZED VIEW m;
SELECT * FROM m ORDER BY n;
CREATE TABLE copy AS SELECT * FROM t WHERE id > 30;
SELECT count(*) FROM copy;

-- Columns that go and come under a view.
ALTER STORED TABLE t ADD COLUMN w int DEFAULT 4;
SELECT * FROM simple WHERE id = 4;
-- fails: the view needs it
ALTER STORED TABLE t DROP COLUMN n;
ALTER STORED TABLE t RENAME COLUMN v TO text;
SELECT * FROM simple WHERE id = 4;

-- Privileges, of the table and of columns.
\set reader reader_of_ :DBNAME
CREATE ROLE :reader;
GRANT SELECT (id, text), UPDATE (text) ON t TO :reader;
GRANT SELECT ON simple TO :reader;
SET ROLE :reader;
SELECT id, text FROM t WHERE id = 4;
SELECT count(*) FROM simple;
-- fails: this column was not granted
SELECT n FROM t;
-- fails: nor that
UPDATE t SET n = 1;
UPDATE t SET text = 'by reader' WHERE id = 4;
-- fails: no INSERT
INSERT INTO t (id, text) VALUES (700, 'x');
-- fails: no DELETE
DELETE FROM t;
-- fails: no TRUNCATE
TRUNCATE t;
-- fails: no INSERT, with COPY
COPY t (id, text) FROM STDIN;
\.
COPY (SELECT id FROM t WHERE id < 3 ORDER BY id) TO STDOUT;
-- fails: not the owner
DROP STORED TABLE t;
RESET ROLE;
SELECT text FROM t WHERE id = 4;
DROP OWNED BY :reader;
DROP ROLE :reader;
