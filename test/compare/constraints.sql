-- NOT NULL, CHECK and domains hold on every path on which rows come in.

CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN word AS text CHECK (VALUE !~ ' ') NOT NULL DEFAULT 'x';
CREATE STORED TABLE t (
    id int NOT NULL,
    a int NOT NULL DEFAULT 1,
    b int CHECK (b < 100),
    c text CONSTRAINT short CHECK (length(c) <= 5),
    d posint,
    e word,
    f int GENERATED ALWAYS AS (a + b) STORED CONSTRAINT small_sum CHECK (f < 150),
    CONSTRAINT ordered CHECK (a <= b)
) KEY (id);
INSERT INTO t VALUES (1, 1, 2, 'abc', 3, 'word'), (2, 5, 5, NULL, NULL, 'w'), (3, 7, NULL, '', 1, 'w');
-- fails: not null
INSERT INTO t (id, a, b) VALUES (10, NULL, 2);
-- fails: not null
INSERT INTO t (a, b) VALUES (1, 2);
-- fails: check of a column
INSERT INTO t (id, b) VALUES (10, 100);
-- fails: check with a name
INSERT INTO t (id, c) VALUES (10, 'abcdef');
-- fails: domain
INSERT INTO t (id, d) VALUES (10, 0);
-- fails: domain
INSERT INTO t (id, e) VALUES (10, 'two words');
-- fails: domain
INSERT INTO t (id, e) VALUES (10, NULL);
-- fails: check of a generated column
INSERT INTO t (id, a, b) VALUES (10, 80, 90);
-- fails: check of the table
INSERT INTO t (id, a, b) VALUES (10, 3, 2);
-- fails: the second row
INSERT INTO t (id, a, b) VALUES (10, 1, 2), (11, 3, 2), (12, 1, 2);
-- fails: one row of a select
INSERT INTO t (id, a, b) SELECT g, g, 20 FROM generate_series(15, 25) g;
-- fails: not null, in a statement that returns
INSERT INTO t (id, a) VALUES (10, NULL) RETURNING id;
-- fails: before a duplicate key is found
INSERT INTO t (id, a, b) VALUES (1, 3, 2);
-- fails: null comes before the check
INSERT INTO t (id, a, b) VALUES (1, NULL, 200);
-- fails: in COPY
COPY t (id, a, b) FROM STDIN;
10	1	2
11	3	2
\.
-- fails: not null in COPY
COPY t (id, a, b) FROM STDIN;
10	\N	2
\.
-- fails: domain in COPY
COPY t (id, e) FROM STDIN;
10	two words
\.
-- fails: in UPDATE
UPDATE t SET a = NULL WHERE id = 1;
-- fails: in UPDATE
UPDATE t SET b = 100 WHERE id = 1;
-- fails: in UPDATE
UPDATE t SET a = b + 1;
-- fails: in UPDATE
UPDATE t SET c = repeat('x', 6) WHERE id = 2;
-- fails: in UPDATE
UPDATE t SET d = -d WHERE id = 1;
-- fails: in UPDATE
UPDATE t SET e = 'two words' WHERE id = 1;
-- fails: in UPDATE, of a generated column
UPDATE t SET a = 70, b = 99 WHERE id = 1;
-- fails: in an UPDATE that changes the key
UPDATE t SET id = 50, a = 3 WHERE id = 1;
UPDATE t SET a = b WHERE id = 1;
UPDATE t SET b = NULL WHERE id = 2;
SELECT * FROM t ORDER BY id;

-- Checks that use functions and whole rows; with no inherit; and what is null.
CREATE FUNCTION is_even(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 % 2 = 0; END';
CREATE STORED TABLE u (id int NOT NULL CHECK (is_even(id)), v int, w int, CHECK (v IS NOT NULL OR w IS NOT NULL), CHECK ((v, w) IS DISTINCT FROM (1, 1)) NO INHERIT) KEY (id);
INSERT INTO u VALUES (2, 1, NULL), (4, NULL, 1);
-- fails: odd
INSERT INTO u VALUES (3, 1, NULL);
-- fails: both null
INSERT INTO u VALUES (6, NULL, NULL);
-- fails: both one
INSERT INTO u VALUES (6, 1, 1);
-- fails: key becomes odd
UPDATE u SET id = id + 1;
UPDATE u SET id = id + 2 WHERE id = 4;
SELECT * FROM u ORDER BY id;

-- Rows that enter through a function, a view, a rule and a trigger.
CREATE VIEW tv AS SELECT id, a, b FROM t;
-- fails: through a view
INSERT INTO tv VALUES (20, 3, 2);
CREATE FUNCTION put(int, int) RETURNS void LANGUAGE sql AS 'INSERT INTO t (id, a, b) VALUES (20, $1, $2)';
-- fails: through a function
SELECT put(3, 2);
CREATE TABLE rules (a int, b int);
CREATE RULE put AS ON INSERT TO rules DO INSTEAD INSERT INTO t (id, a, b) VALUES (20, NEW.a, NEW.b);
-- fails: through a rule
INSERT INTO rules VALUES (3, 2);
INSERT INTO rules VALUES (2, 3);
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := NEW.b + 1; RETURN NEW; END';
CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION spoil();
-- fails: a trigger makes it wrong
INSERT INTO t (id, a, b) VALUES (21, 1, 2);
-- fails: a trigger makes it wrong
UPDATE t SET c = 'x' WHERE id = 1;
SELECT id, a, b FROM t ORDER BY id;
