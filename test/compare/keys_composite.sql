-- Keys of several columns: prefixes, ranges behind a prefix, directions.

CREATE STORED TABLE m (conversation bigint NOT NULL, id bigint NOT NULL, author text, body text) KEY (conversation, id DESC);
INSERT INTO m SELECT g % 10, g, 'author' || g % 7, 'body ' || g FROM generate_series(1, 200) g;
SELECT * FROM m WHERE conversation = 3 AND id = 33;
SELECT * FROM m WHERE id = 33 AND conversation = 3;
SELECT * FROM m WHERE conversation = 3 AND id = 34;
SELECT id FROM m WHERE conversation = 3 ORDER BY id DESC LIMIT 5;
SELECT id FROM m WHERE conversation = 3 ORDER BY id LIMIT 5;
SELECT id FROM m WHERE conversation = 3 AND id < 100 ORDER BY id DESC LIMIT 3;
SELECT id FROM m WHERE conversation = 3 AND id <= 93 ORDER BY id DESC LIMIT 3;
SELECT id FROM m WHERE conversation = 3 AND id > 150 ORDER BY id;
SELECT id FROM m WHERE conversation = 3 AND id >= 153 AND id < 173 ORDER BY id;
SELECT id FROM m WHERE conversation = 3 AND id BETWEEN 150 AND 180 ORDER BY id DESC;
SELECT count(*) FROM m WHERE conversation > 3 AND conversation <= 5;
SELECT count(*) FROM m WHERE conversation > 3 AND id < 50;
SELECT count(*) FROM m WHERE conversation >= 9;
SELECT count(*) FROM m WHERE conversation < 1;
SELECT count(*) FROM m WHERE conversation = 10;
SELECT count(*) FROM m WHERE id = 33;
SELECT conversation, id FROM m ORDER BY conversation, id DESC LIMIT 5;
SELECT conversation, id FROM m ORDER BY conversation DESC, id LIMIT 5;
SELECT conversation, id FROM m ORDER BY conversation, id LIMIT 5;
SELECT conversation, id FROM m ORDER BY id, conversation LIMIT 5;
SELECT conversation, max(id), min(id), count(*) FROM m GROUP BY conversation ORDER BY conversation;
SELECT DISTINCT ON (conversation) conversation, id FROM m ORDER BY conversation, id DESC;
SELECT conversation, id FROM m WHERE (conversation, id) = (3, 33);
SELECT conversation, id FROM m WHERE (conversation, id) IN ((3, 33), (4, 34), (5, 36)) ORDER BY 1;
SELECT count(*) FROM m WHERE (conversation, id) < (3, 33);
SELECT count(*) FROM m WHERE (conversation, id) >= (3, 33);
SELECT conversation, id FROM m WHERE conversation IN (2, 4) AND id > 180 ORDER BY 1, 2;
SELECT conversation, id FROM m WHERE conversation = 2 AND id IN (2, 12, 13) ORDER BY 2;
SELECT conversation, id FROM m WHERE conversation = 2 AND id > 100 AND author = 'author4' ORDER BY 2;
-- fails: duplicate
INSERT INTO m VALUES (3, 33, 'again');
INSERT INTO m VALUES (3, 34, 'other id'), (4, 33, 'other conversation');
SELECT * FROM m WHERE id IN (33, 34) ORDER BY 1, 2;
-- fails: null in a key
INSERT INTO m VALUES (3, NULL, 'null');

-- Text within a key: what ends where must not be mixed up.
CREATE STORED TABLE p (name text COLLATE "C" NOT NULL, version text COLLATE "C" NOT NULL, arch text COLLATE "C" NOT NULL, size int)
    KEY (name, version DESC, arch);
INSERT INTO p VALUES ('a', 'b', 'c', 1), ('ab', '', 'c', 2), ('a', '', 'bc', 3), ('', 'ab', 'c', 4), ('', '', 'abc', 5), ('abc', '', '', 6),
    ('a', 'b', '', 7), ('a', 'ba', 'c', 8), ('a', 'B', 'c', 9), (E'a\x01', 'b', 'c', 10), ('b', 'b', 'c', 11);
SELECT * FROM p ORDER BY name, version DESC, arch;
SELECT * FROM p ORDER BY name COLLATE "C" DESC, version COLLATE "C", arch DESC;
SELECT size FROM p WHERE name = 'a' ORDER BY version DESC, arch;
SELECT size FROM p WHERE name = '' ORDER BY size;
SELECT size FROM p WHERE name = 'a' AND version = 'b' ORDER BY size;
SELECT size FROM p WHERE name = 'a' AND version = '' ORDER BY size;
SELECT size FROM p WHERE name = 'a' AND version > 'B' ORDER BY size;
SELECT size FROM p WHERE name = 'a' AND version <= 'b' ORDER BY size;
SELECT size FROM p WHERE name = 'a' AND version = 'b' AND arch = 'c';
SELECT size FROM p WHERE name = 'a' AND version = 'b' AND arch > '' ORDER BY size;
SELECT size FROM p WHERE name > 'a' ORDER BY size;
SELECT size FROM p WHERE name >= 'a' AND name < 'b' ORDER BY size;
-- fails: duplicate
INSERT INTO p VALUES ('ab', '', 'c', 20);

-- Equality that does not go by bytes, in the middle of a key.
CREATE STORED TABLE q (a numeric NOT NULL, b float8 NOT NULL, c char(3) NOT NULL, d interval NOT NULL, v int) KEY (a DESC, b, c DESC, d);
INSERT INTO q VALUES (1.0, 0, 'x', '1 mon', 1), (1.00, 0, 'y', '1 mon', 2), (1.000, 1, 'x', '1 mon', 3), (2, 'NaN', 'x', '1 day', 4), (2, 'Infinity', 'x', '1 day', 5);
SELECT * FROM q ORDER BY v;
SELECT v FROM q WHERE a = 1 AND b = '-0' ORDER BY v;
SELECT v FROM q WHERE a = 1.00 AND b = 0 AND c = 'x  ' AND d = '30 days';
SELECT v FROM q WHERE a = 2.0 AND b = 'NaN';
SELECT v FROM q WHERE a = 2.0 AND b > 1e300 ORDER BY v;
SELECT v FROM q ORDER BY a DESC, b, c DESC, d;
-- fails: equal in every column
INSERT INTO q VALUES (1, '-0', 'x  ', '720 hours', 6);
UPDATE q SET b = '-0', d = '30 days' WHERE v = 1;
SELECT * FROM q WHERE v = 1;

-- A key over all columns, in another order than they were declared, and one of
-- many columns.
CREATE STORED TABLE allkey (a int NOT NULL, b text COLLATE "C" NOT NULL, c bool NOT NULL) KEY (c, b DESC, a);
INSERT INTO allkey SELECT g, chr(96 + g % 3), g % 2 = 0 FROM generate_series(1, 12) g;
SELECT * FROM allkey ORDER BY c, b DESC, a;
SELECT * FROM allkey WHERE c AND b = 'a' ORDER BY a;
SELECT * FROM allkey WHERE c = false AND b >= 'a' ORDER BY b, a;
SELECT count(*) FROM allkey WHERE b = 'a';
CREATE STORED TABLE eight (a int NOT NULL, b int NOT NULL, c int NOT NULL, d int NOT NULL, e int NOT NULL, f int NOT NULL, g int NOT NULL, h int NOT NULL, v int)
    KEY (h, g DESC, f, e DESC, d, c DESC, b, a DESC);
INSERT INTO eight SELECT n & 1, n >> 1 & 1, n >> 2 & 1, n >> 3 & 1, n >> 4 & 1, n >> 5 & 1, n >> 6 & 1, n >> 7 & 1, n FROM generate_series(0, 255) n;
SELECT v FROM eight WHERE h = 1 AND g = 0 AND f = 1 AND e = 0 AND d = 1 AND c > 0 ORDER BY h, g DESC, f, e DESC, d, c DESC, b, a DESC;
SELECT v FROM eight WHERE h = 1 AND g = 0 AND f = 1 AND e = 0 AND d = 1 AND c = 0 AND b = 1 AND a = 0;
SELECT sum(v), count(*) FROM eight WHERE h = 0 AND g = 1;
-- fails: duplicate
INSERT INTO eight SELECT a, b, c, d, e, f, g, h, 1000 FROM eight WHERE v = 77;

-- Joins on a whole key, on a prefix, and on the part behind it.
CREATE TABLE wanted (conversation bigint, id bigint);
INSERT INTO wanted VALUES (3, 33), (3, 43), (7, 17), (7, 18), (NULL, 33), (3, NULL), (3, 33);
SELECT m.conversation, m.id, m.author FROM wanted w JOIN m USING (conversation, id) ORDER BY 1, 2;
SELECT w.id, m.id FROM wanted w LEFT JOIN m ON m.conversation = w.conversation AND m.id = w.id ORDER BY 1, 2;
SELECT w.conversation, count(m.id) FROM wanted w LEFT JOIN m ON m.conversation = w.conversation AND m.id > w.id GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM m a JOIN m b ON a.conversation = b.conversation AND a.id = b.id;
SELECT count(*) FROM m a JOIN m b ON a.id = b.conversation;
