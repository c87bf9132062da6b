-- Values that are larger than any buffer on their way.

CREATE STORED TABLE t (id int NOT NULL, v text, b bytea) KEY (id);
CREATE STORED TABLE nokey (id int, v text);
-- big(n): n bytes that do not repeat, a multiple of 32
CREATE FUNCTION big(n int) RETURNS text LANGUAGE sql IMMUTABLE AS
    'SELECT string_agg(md5(g::text), '''') FROM generate_series(1, n / 32) g';
INSERT INTO t SELECT n, repeat('x', n), NULL FROM unnest('{0,1,126,127,128,2047,2048,4000,8000,8160,8192,16384,32767,65535,65536,67000,100000,262144,1048576}'::int[]) n;
INSERT INTO t VALUES (2000001, big(67200), NULL), (2000002, big(1048576), decode(big(1048576), 'hex')), (2000003, NULL, decode(big(131072), 'hex'));
SELECT id, length(v), md5(v), length(b), md5(b) FROM t ORDER BY id;
SELECT id FROM t WHERE v = repeat('x', 67000);
SELECT id, substr(v, 60001, 10), right(v, 5) FROM t WHERE id > 2000000 ORDER BY id;
SELECT count(*), sum(length(v)), max(id) FROM t;
SELECT id FROM t ORDER BY id DESC LIMIT 2;
UPDATE t SET v = v || 'y' WHERE id >= 65535;
SELECT id, length(v), md5(v) FROM t WHERE id >= 65535 ORDER BY id;
UPDATE t SET b = convert_to(v, 'UTF8') WHERE id = 1048576;
SELECT length(b), md5(b) FROM t WHERE id = 1048576;
UPDATE t SET id = -id WHERE id = 67000 RETURNING id, length(v);
DELETE FROM t WHERE id = 100000 RETURNING length(v);
INSERT INTO nokey SELECT id, v FROM t;
SELECT count(*), sum(length(v)) FROM nokey;
-- fails: duplicate
INSERT INTO t VALUES (2000002, big(320000), NULL);

-- A row of many such values, an array, a document.
CREATE STORED TABLE wide (id int NOT NULL, a text, b text, c text[], d jsonb) KEY (id);
INSERT INTO wide SELECT g, big(320000 * g), big(64000), ARRAY(SELECT big(3200) FROM generate_series(1, 100)),
    jsonb_build_object('key', big(128000), 'list', (SELECT jsonb_agg(n) FROM generate_series(1, 20000) n)) FROM generate_series(1, 4) g;
SELECT id, length(a), md5(a), length(b), cardinality(c), md5(c[50]), length(d ->> 'key'), d -> 'list' -> -1 FROM wide ORDER BY id;
SELECT count(*) FROM wide WHERE d @> '{"list": [20000]}';
UPDATE wide SET c[50] = 'small', d = d - 'key' WHERE id = 2;
SELECT id, length(c[50]), d ? 'key' AS has FROM wide ORDER BY id;

-- 20 MB, alone and among small rows; in a transaction's own writes; through a
-- cursor, a sort, a join, COPY.
CREATE STORED TABLE huge (id int NOT NULL, v text) KEY (id);
INSERT INTO huge SELECT g, 'small' FROM generate_series(1, 49) g;
INSERT INTO huge VALUES (50, big(20971520));
INSERT INTO huge SELECT g, 'small' FROM generate_series(51, 100) g;
SELECT id, length(v), md5(v) FROM huge WHERE id BETWEEN 49 AND 51 ORDER BY id;
SELECT count(*), sum(length(v)) FROM huge;
BEGIN;
UPDATE huge SET v = v || v WHERE id = 50;
SELECT length(v), md5(v) FROM huge WHERE id = 50;
INSERT INTO huge VALUES (1000, big(10485760));
SELECT id, length(v) FROM huge WHERE length(v) > 100 ORDER BY id;
ROLLBACK;
SELECT id, length(v) FROM huge WHERE length(v) > 100 ORDER BY id;
BEGIN;
DECLARE c CURSOR FOR SELECT id, length(v), md5(v) FROM huge WHERE id > 48;
FETCH 3 FROM c;
FETCH 1 FROM c;
COMMIT;
SELECT a.id, length(b.v) FROM huge a JOIN huge b ON a.v = b.v WHERE a.id = 50;
SELECT id, length(v) FROM huge ORDER BY v DESC, id LIMIT 3;
SELECT current_setting('data_directory') || '/' || current_database() || '.large' AS file \gset
COPY (SELECT * FROM huge ORDER BY id) TO :'file' (FORMAT binary);
CREATE STORED TABLE again (id int NOT NULL, v text) KEY (id DESC);
COPY again FROM :'file' (FORMAT binary);
SELECT count(*) FROM huge JOIN again USING (id, v);
SELECT id, md5(v) FROM again WHERE id = 50;
DELETE FROM again WHERE id = 50;
SELECT count(*), sum(length(v)) FROM again;
SELECT id, md5(v) FROM huge WHERE id = 50;
