-- INSERT and COPY in all their forms.

CREATE SEQUENCE s;
CREATE STORED TABLE t (
    id int NOT NULL DEFAULT nextval('s'),
    name text DEFAULT 'nobody',
    amount numeric DEFAULT 1.50,
    at timestamptz DEFAULT '2024-01-01 00:00+00',
    twice numeric GENERATED ALWAYS AS (amount * 2) STORED
) KEY (id);
INSERT INTO t DEFAULT VALUES;
INSERT INTO t VALUES (DEFAULT, 'x', DEFAULT, NULL, DEFAULT);
INSERT INTO t (name) VALUES ('y');
INSERT INTO t (amount, name) VALUES (3, 'z'), (DEFAULT, DEFAULT), (NULL, NULL);
INSERT INTO t (id, name) VALUES (100, 'hundred') RETURNING *;
INSERT INTO t (name, amount) SELECT 'selected ' || g, g FROM generate_series(1, 3) g;
INSERT INTO t (id, name) VALUES (101, 'a'), (102, 'b') RETURNING id, upper(name), twice, id * 10 AS ten;
INSERT INTO t AS alias (id) VALUES (103) RETURNING alias.id, alias;
INSERT INTO t (id, name) (VALUES (104, 'values') UNION SELECT 1104, 'union');
INSERT INTO t (id, name) SELECT 105, 'ordered' ORDER BY 1 LIMIT 1 RETURNING id;
WITH new AS (INSERT INTO t (id, amount) VALUES (106, 6), (107, 7) RETURNING id, twice) SELECT * FROM new ORDER BY id;
WITH source AS (SELECT g, 'cte' AS name FROM generate_series(108, 109) g) INSERT INTO t (id, name) SELECT * FROM source RETURNING id;
INSERT INTO t (id) SELECT id + 1000 FROM t WHERE id BETWEEN 100 AND 103;
SELECT * FROM t ORDER BY id;
SELECT tableoid::regclass, count(*) FROM t GROUP BY 1;
INSERT INTO t (id) SELECT 1 WHERE false;
INSERT INTO t (id) SELECT 1 WHERE false RETURNING *;
-- fails: a generated column cannot be given
INSERT INTO t (id, twice) VALUES (200, 1);
-- fails: more values than columns
INSERT INTO t (id, name) VALUES (200, 'a', 1);
-- fails: type
INSERT INTO t (id, amount) VALUES (200, 'abc');
-- fails: division within
INSERT INTO t (id, amount) SELECT 200 + g, 1 / (2 - g) FROM generate_series(1, 3) g;
-- fails: duplicate
INSERT INTO t (id) VALUES (1);
-- fails: duplicate of another row of the statement
INSERT INTO t (id) VALUES (300), (301), (300) RETURNING id;
-- fails: duplicate in a select
INSERT INTO t (id) SELECT g FROM generate_series(95, 105) g;
SELECT count(*), max(id) FROM t;

-- Identity and serial columns.
CREATE STORED TABLE ident (id int GENERATED ALWAYS AS IDENTITY NOT NULL, v text) KEY (id);
INSERT INTO ident (v) VALUES ('a'), ('b') RETURNING *;
-- fails: the value is the system's
INSERT INTO ident VALUES (10, 'c');
INSERT INTO ident OVERRIDING SYSTEM VALUE VALUES (10, 'c');
INSERT INTO ident OVERRIDING USER VALUE VALUES (20, 'd') RETURNING *;
CREATE STORED TABLE ser (id bigserial NOT NULL, v text) KEY (id DESC);
INSERT INTO ser (v) SELECT 'row ' || g FROM generate_series(1, 5) g;
SELECT * FROM ident ORDER BY id;
SELECT * FROM ser ORDER BY id;
SELECT currval('ser_id_seq');

-- Without a key.
CREATE STORED TABLE heapish (a int, b text);
INSERT INTO heapish VALUES (1, 'one'), (1, 'one'), (NULL, NULL), (2, 'two') RETURNING a;
INSERT INTO heapish SELECT * FROM heapish;
INSERT INTO heapish (b) VALUES ('only b') RETURNING *;
SELECT a, b, count(*) FROM heapish GROUP BY a, b ORDER BY a, b;

-- COPY in: text, CSV, options, errors.
CREATE STORED TABLE c (id int NOT NULL, name text, amount numeric DEFAULT 7, ok bool, doubled int GENERATED ALWAYS AS (id * 2) STORED) KEY (id);
COPY c (id, name, amount, ok) FROM STDIN;
1	one	1.10	t
2	\N	\N	f
3	tab\tnew\nline\\	3	\N
\.
COPY c (id, name) FROM STDIN WITH (FORMAT csv, HEADER, NULL 'null');
id,name
4,"quoted, ""twice"""
5,null
6,"null"
7,"two
lines"
\.
COPY c (name, id) FROM STDIN (DELIMITER '|', NULL '');
eight|8
|9
\.
COPY c (id, name) FROM STDIN WHERE id % 2 = 0;
10	ten
11	eleven
12	twelve
\.
SELECT * FROM c ORDER BY id;
-- fails: duplicate
COPY c (id) FROM STDIN;
20
21
3
22
\.
-- fails: duplicate within
COPY c (id) FROM STDIN;
20
21
20
\.
-- fails: bad number
COPY c (id) FROM STDIN;
20
x
\.
-- fails: too many columns
COPY c (id, name) FROM STDIN;
20	a	b
\.
-- fails: null in a key
COPY c (id) FROM STDIN;
20
\N
\.
SELECT count(*), max(id) FROM c;
COPY c (id, name) FROM STDIN (FREEZE false);
20	twenty
\.
-- COPY out, of a table and of a query.
COPY (SELECT * FROM c ORDER BY id) TO STDOUT;
COPY (SELECT id, name FROM c WHERE id < 8 ORDER BY id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE (name));
COPY (DELETE FROM c WHERE id = 20 RETURNING id) TO STDOUT;

-- Through files: text, CSV and binary, there and back.
CREATE STORED TABLE source (id int NOT NULL, t text, n numeric, f float8, b bytea, ts timestamptz, a int[], j jsonb, nothing int) KEY (id);
INSERT INTO source SELECT g, repeat(chr(64 + g % 60), g % 20), g / 7.0, g / 7.0, decode(md5(g::text), 'hex'), '2024-01-01'::timestamptz + g * interval '1 h',
    ARRAY[g, NULL, -g], jsonb_build_object('g', g), NULL FROM generate_series(1, 300) g;
CREATE STORED TABLE target (id int NOT NULL, t text, n numeric, f float8, b bytea, ts timestamptz, a int[], j jsonb, nothing int) KEY (id);
SELECT current_setting('data_directory') || '/' || current_database() || '.copy' AS file \gset
COPY (SELECT * FROM source ORDER BY id) TO :'file';
COPY target FROM :'file';
SELECT count(*) FROM (TABLE source EXCEPT TABLE target) x;
TRUNCATE target;
COPY (SELECT * FROM source ORDER BY id) TO :'file' (FORMAT csv);
COPY target FROM :'file' (FORMAT csv);
SELECT count(*) FROM (TABLE source EXCEPT TABLE target) x;
TRUNCATE target;
COPY (SELECT * FROM source ORDER BY id DESC) TO :'file' (FORMAT binary);
COPY target FROM :'file' (FORMAT binary);
SELECT count(*), sum(id) FROM target;
SELECT count(*) FROM (TABLE source EXCEPT TABLE target) x;
TRUNCATE target;
COPY target FROM PROGRAM 'printf ''1\ta\n2\tb\n'' | sed ''s/$/\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N/''';
SELECT id, t FROM target ORDER BY id;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null';

-- Many rows, sorted, unsorted, and with a duplicate at the end.
CREATE STORED TABLE m (k int NOT NULL, v text) KEY (k);
INSERT INTO m SELECT g, md5(g::text) FROM generate_series(1, 30000) g;
INSERT INTO m SELECT (g::bigint * 7919 % 30011) + 40000, md5(g::text) FROM generate_series(1, 30000) g;
SELECT count(*), count(DISTINCT k), sum(k), min(v), max(v) FROM m;
-- fails: the last of many is a duplicate
INSERT INTO m SELECT g, 'x' FROM generate_series(100000, 120000) g UNION ALL SELECT 5, 'x';
SELECT count(*), sum(k) FROM m;

-- Values lists of many rows, made by the client.
SELECT 'INSERT INTO m VALUES ' || string_agg(format('(%s, %L)', g, 'value ' || g), ', ') FROM generate_series(200000, 201000) g \gexec
SELECT count(*), min(v), max(v) FROM m WHERE k >= 200000;
