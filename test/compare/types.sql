-- A value of every type comes back exactly as it went in.

CREATE STORED TABLE numbers (
    id int NOT NULL, s smallint, i int, b bigint, n numeric, n2 numeric(10,2),
    f4 float4, f8 float8, m money, o oid, bo boolean
) KEY (id);
INSERT INTO numbers VALUES
    (1, 1, 1, 1, 1, 1, 1, 1, '1', 1, true),
    (2, -32768, -2147483648, -9223372036854775808, -1e100, -99999999.99, '-3.4028235e38',
        '-1.7976931348623157e308', '-92233720368547758.08', 0, false),
    (3, 32767, 2147483647, 9223372036854775807, 1e-100, 99999999.99, '3.4028235e38',
        '1.7976931348623157e308', '92233720368547758.07', 4294967295, NULL),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, 0, 0, 0, 'NaN', 'NaN', 'NaN', 'NaN', '0', 5, true),
    (6, 0, 0, 0, 'Infinity', 0, 'Infinity', 'Infinity', '0', 5, true),
    (7, 0, 0, 0, '-Infinity', 0, '-Infinity', '-Infinity', '0', 5, true),
    (8, 0, 0, 0, 20.50, 20.5, 0.1, 0.1, '12.34', 5, true),
    (9, 0, 0, 0, 20.5, 20.50, '-0', '-0', '-0.01', 5, true),
    (10, 0, 0, 0, 0.000, 0.00, 1e-45, 5e-324, '0', 5, true),
    (11, 0, 0, 0, 123456789012345678901234567890.123456789, 1.005, 16777217, 0.1::float4, '0', 5, true);
SELECT * FROM numbers ORDER BY id;
SELECT id, n::text, scale(n), pg_column_size(n) > 0 AS sized FROM numbers WHERE n IS NOT NULL ORDER BY id;
SELECT id, n = 20.5 AS equal FROM numbers ORDER BY id;
SELECT sum(i), avg(b), max(n), min(f8), count(bo) FROM numbers WHERE id IN (1, 2, 3, 4, 8);
SELECT bo, count(*) FROM numbers GROUP BY bo ORDER BY bo;

CREATE STORED TABLE strings (
    id int NOT NULL, t text, v varchar(10), c char(5), c1 char, n name, q "char", b bytea
) KEY (id);
INSERT INTO strings VALUES
    (1, 'plain', 'plain', 'ab', 'x', 'a name', 'q', '\x00ff10'),
    (2, '', '', '', '', '', '', ''),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'trailing   ', 'trail   ', 'ab   ', ' ', 'n   ', ' ', '\x20'),
    (5, E'tab\t newline\n backslash\\ quote''', E'\n', E'\n', E'\t', E'n\n', E'\n', E'\\\\'),
    (6, 'äöü ß € 😀 日本語', 'äöü ß € 日本', 'äöü', 'ß', 'äöü', 'z', 'abc'),
    (7, repeat('x', 126), repeat('x', 10), 'xxxxx', 'x', repeat('n', 63), 'x', decode(repeat('00', 126), 'hex')),
    (8, repeat('x', 127), repeat('y', 10), 'yyyyy', 'y', repeat('m', 64), 'y', decode(repeat('00', 127), 'hex'));
SELECT * FROM strings ORDER BY id;
SELECT id, length(t), length(v), length(c), octet_length(c), length(n), length(b), c = 'ab' AS is_ab,
       '[' || c || ']' AS unpadded, t || '|' AS t FROM strings ORDER BY id;
-- fails: too long
INSERT INTO strings (id, v) VALUES (20, 'longer than ten');
-- fails: too long
INSERT INTO strings (id, c) VALUES (20, 'abcdef');
INSERT INTO strings (id, v, c) VALUES (20, 'ten chars.     ', 'abc         ') RETURNING v || '|', c || '|';

CREATE STORED TABLE times (
    id int NOT NULL, d date, t time, t3 time(3), tz timetz, ts timestamp, ts0 timestamp(0),
    tstz timestamptz, iv interval, ivd interval day to second(2)
) KEY (id);
INSERT INTO times VALUES
    (1, '2024-02-29', '12:34:56.789012', '12:34:56.789512', '12:34:56+05:30', '2024-02-29 12:34:56.789012',
        '2024-02-29 12:34:56.5', '2024-02-29 12:34:56.789012+02', '1 year 2 mons 3 days 04:05:06.789', '3 days 04:05:06.789'),
    (2, '-infinity', '00:00', '00:00', '00:00-15:59', '-infinity', '-infinity', '-infinity', '-178000000 years', '-1 day'),
    (3, 'infinity', '24:00', '24:00', '24:00+15:59', 'infinity', 'infinity', 'infinity', '178000000 years', '1 day'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, '4713-01-01 BC', '23:59:59.999999', '23:59:59.9999', '12:00-05', '4713-01-01 00:00 BC', '0001-01-01 BC',
        '4714-11-24 00:00+00 BC', '30 days', '24 hours'),
    (6, '5874897-12-31', '00:00:00.000001', '00:00:00.0006', '00:00:00+00', '294276-12-31 23:59:59.999999', '294276-12-31',
        '294276-12-31 23:59:59+00', '1 mon', '0'),
    (7, '1970-01-01', '01:00', '01:00', '01:00+01', '1999-12-31 23:59:59', '1999-12-31', '1999-12-31 23:59:59Z', '720:00:00', '-00:00:00.01');
SELECT id, d, t, t3, tz FROM times ORDER BY id;
SELECT id, ts, ts0, tstz FROM times ORDER BY id;
SELECT id, iv, ivd FROM times ORDER BY id;
SET intervalstyle = 'iso_8601';
SELECT id, iv, ivd FROM times ORDER BY id;
RESET intervalstyle;
SET timezone = 'Asia/Tokyo';
SELECT id, ts, tstz, tz FROM times ORDER BY id;
RESET timezone;
SELECT a.id, b.id FROM times a JOIN times b ON a.iv = b.iv AND a.id < b.id ORDER BY 1, 2;

CREATE STORED TABLE networks (
    id int NOT NULL, i inet, c cidr, m macaddr, m8 macaddr8, u uuid
) KEY (id);
INSERT INTO networks VALUES
    (1, '192.168.1.5/24', '192.168.1.0/24', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
    (2, '::1', '2001:db8::/32', 'ff-ff-ff-ff-ff-ff', '00-00-00-00-00-00-00-00', '00000000-0000-0000-0000-000000000000'),
    (3, '0.0.0.0/0', '0.0.0.0/0', '000000000000', 'ffffffffffffffff', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
    (4, NULL, NULL, NULL, NULL, NULL),
    (5, '10.1.2.3/32', '10.1.2.3', '08002b:010203', '08002b:0102030405', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}');
SELECT *, host(i), masklen(c) FROM networks ORDER BY id;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (x int, y text);
CREATE TYPE nest AS (p pair, a int[], m mood);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS text COLLATE "C" NOT NULL DEFAULT 'none' CHECK (VALUE ~ '^[a-z]+$');
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);

CREATE STORED TABLE own_types (
    id int NOT NULL, m mood, p pair, n nest, d positive, c code, ms mood[], ps pair[], ds positive[], fr floatrange
) KEY (id);
INSERT INTO own_types VALUES
    (1, 'happy', (1, 'one'), ROW(ROW(2, 'two')::pair, '{1,2,3}', 'sad')::nest, 5, 'abc', '{sad,ok}',
        ARRAY[(1, 'a'), (2, NULL)]::pair[], '{1,2}', '[1.5,2.5)'),
    (2, 'sad', NULL, NULL, NULL, 'x', NULL, NULL, NULL, 'empty'),
    (3, NULL, (NULL, NULL), ROW(NULL, NULL, NULL), 1, 'y', '{}', '{}', '{}', '(,)'),
    (4, 'ok', (-5, ''), ROW(ROW(NULL, 'with "quotes", and (parens)'), '{NULL,7}', 'ok'), 2147483647, 'z', '{happy,NULL}',
        ARRAY[NULL, (NULL, '')]::pair[], '{2147483647}', '[-Infinity,Infinity]');
INSERT INTO own_types (id) VALUES (5) RETURNING c;
SELECT * FROM own_types ORDER BY id;
SELECT id, (p).x, (p).y, (n).p, ((n).p).y, (n).a[2], m > 'sad' AS above_sad FROM own_types ORDER BY id;
SELECT id, m FROM own_types WHERE m IS NOT NULL ORDER BY m DESC, id;
-- fails: no label of the enum
INSERT INTO own_types (id, m) VALUES (6, 'angry');
-- fails: domain
INSERT INTO own_types (id, d) VALUES (6, 0);
-- fails: domain
INSERT INTO own_types (id, c) VALUES (6, 'ABC');
-- fails: domain is not null
INSERT INTO own_types (id, c) VALUES (6, NULL);
-- fails: domain within an array
INSERT INTO own_types (id, ds) VALUES (6, '{1,-1}');
ALTER TYPE mood ADD VALUE 'great' AFTER 'ok';
UPDATE own_types SET m = 'great' WHERE id = 2;
SELECT id, m FROM own_types WHERE m > 'ok' ORDER BY m, id;
ALTER TYPE mood RENAME VALUE 'sad' TO 'gloomy';
SELECT id, m, ms, n FROM own_types ORDER BY id;

CREATE STORED TABLE arrays (
    id int NOT NULL, i int[], t text[], n numeric[], tt timestamptz[], i2 int[][], b bytea[], o oidvector, v int2vector, j jsonb[]
) KEY (id);
INSERT INTO arrays VALUES
    (1, '{1,2,3}', '{a,"b c",NULL,""}', '{1.0,1.00,NaN}', '{2024-01-01 00:00+00,infinity}', '{{1,2},{3,4}}', ARRAY['\x00', '\xff']::bytea[],
        '1 2 3', '4 5', ARRAY['{"a":1}', '[]']::jsonb[]),
    (2, '{}', '{}', '{}', '{}', '{}', '{}', '', '', '{}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, '[5:7]={1,2,3}', '{{a,b},{c,NULL}}', '{NULL,NULL}', '{NULL}', '[0:1][-1:0]={{1,2},{3,4}}', '{NULL}', '0', '0', ARRAY[NULL]::jsonb[]),
    (5, ARRAY(SELECT generate_series(1, 500)), ARRAY(SELECT 'word' || g FROM generate_series(1, 200) g), NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM arrays WHERE id < 5 ORDER BY id;
SELECT id, array_dims(i), array_dims(i2), i[5], cardinality(t), md5(t::text) FROM arrays ORDER BY id;
SELECT id FROM arrays WHERE i @> '{2,3}' ORDER BY id;
SELECT id, u FROM arrays, unnest(t) u WHERE id IN (1, 4) ORDER BY id, u NULLS FIRST;

CREATE STORED TABLE documents (
    id int NOT NULL, j json, jb jsonb, x xml, tv tsvector, tq tsquery, jp jsonpath
) KEY (id);
INSERT INTO documents VALUES
    (1, '{"b": 1,  "a": [1, 2, {"c": null}], "a": 2}', '{"b": 1,  "a": [1, 2, {"c": null}], "a": 2}', '<a b="c">text<d/></a>',
        to_tsvector('english', 'The quick brown foxes jumped'), to_tsquery('english', 'fox & !dog'), '$.a[*] ? (@ > 1)'),
    (2, 'null', 'null', 'plain &amp; simple', '', '', '$'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, '"text"', '1.50', '<?xml version="1.0"?><r/>', 'a:1A,2B b:3', 'a:AB | b:*', 'strict $.x'),
    (5, '[]', '{}', '<e/>', 'x', '''a b'' <-> c', 'lax $[0 to 2]');
SELECT * FROM documents ORDER BY id;
SELECT id, j -> 'a' AS ja, jb -> 'a' AS jba, jb ->> 'b' AS b, jb @> '{"b": 1}' AS has, tv @@ 'fox' AS fox FROM documents ORDER BY id;
UPDATE documents SET jb = jsonb_set(jb, '{new}', '"value"') WHERE jsonb_typeof(jb) = 'object';
SELECT id, jb FROM documents ORDER BY id;

CREATE STORED TABLE shapes (
    id int NOT NULL, p point, l line, s lseg, b box, pa path, po polygon, c circle
) KEY (id);
INSERT INTO shapes VALUES
    (1, '(1,2)', '{1,-1,0}', '[(0,0),(1,1)]', '(2,2),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(1,1),2>'),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, '(1e300,-1e-300)', '[(0,0),(1,5)]', '(3,4),(5,6)', '(1,1),(1,1)', '((0,0),(1,1))', '(1,2)', '0,0,0');
SELECT * FROM shapes ORDER BY id;
SELECT id, p <-> point '(0,0)' AS distance, area(b), isopen(pa), npoints(po), radius(c) FROM shapes ORDER BY id;

CREATE STORED TABLE ranges (
    id int NOT NULL, i4 int4range, i8 int8range, n numrange, d daterange, ts tsrange, tz tstzrange, im int4multirange, dm datemultirange
) KEY (id);
INSERT INTO ranges VALUES
    (1, '[1,5]', '(1,5)', '[1.50,2.5)', '[2024-01-01,2024-12-31]', '[2024-01-01,)', '(,2024-01-01 00:00+02]', '{[1,3],[5,7),[6,9)}', '{}'),
    (2, 'empty', 'empty', '(,)', 'empty', 'empty', 'empty', '{}', '{[2024-01-01,2024-02-01),[2024-03-01,)}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM ranges ORDER BY id;
SELECT id, 3 <@ i4 AS holds, lower(n), upper(d), isempty(ts), im * '{[2,6)}' AS part FROM ranges ORDER BY id;

CREATE STORED TABLE others (
    id int NOT NULL, b bit(5), vb bit varying(12), vbu bit varying, lsn pg_lsn, x8 xid8, sn pg_snapshot, rc regclass, rt regtype, rn regnamespace, xi xid, ci cid, ti tid
) KEY (id);
INSERT INTO others VALUES
    (1, B'10101', B'1', B'', '16/B374D848', '42', '10:20:10,14,15', 'pg_class', 'integer', 'pg_catalog', '7', '8', '(1,2)'),
    (2, B'00000', B'', repeat('10', 100)::bit varying, '0/0', '18446744073709551615', '1:1:', '0', 'text[]', 'public', '4294967295', '0', '(0,0)'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM others ORDER BY id;
SELECT id, b & B'11000' AS masked, vb || B'1' AS longer, length(vbu), lsn - '0/0' AS distance FROM others ORDER BY id;
-- fails: length of a bit string
INSERT INTO others (id, b) VALUES (4, B'1');

-- Whole rows, and tables with many columns and many nulls.
SELECT numbers FROM numbers WHERE id IN (1, 4) ORDER BY id;
SELECT row_to_json(o) FROM own_types o WHERE id IN (1, 3) ORDER BY id;
SELECT (o).id, (o).m FROM (SELECT own_types AS o FROM own_types) s ORDER BY 1;

CREATE STORED TABLE wide (
    id int NOT NULL,
    c1 text, c2 int, c3 bool, c4 bigint, c5 text, c6 smallint, c7 float8, c8 "char", c9 numeric, c10 uuid,
    c11 text, c12 int, c13 bool, c14 bigint, c15 text, c16 smallint, c17 float8, c18 "char", c19 numeric, c20 uuid
) KEY (id);
INSERT INTO wide (id, c1) SELECT g, 'first' FROM generate_series(1, 3) g;
INSERT INTO wide (id, c20) SELECT g, md5(g::text)::uuid FROM generate_series(4, 6) g;
INSERT INTO wide (id) VALUES (7);
INSERT INTO wide SELECT g, g::text, g, g % 2 = 0, g, repeat('y', g), g, g / 3.0, chr(64 + g), g / 8.0, md5(g::text)::uuid,
                        g::text, g, g % 2 = 0, g, repeat('z', g), g, g / 7.0, chr(65 + g), g / 16.0, md5(g::text)::uuid
                 FROM generate_series(8, 12) g;
SELECT * FROM wide ORDER BY id;
SELECT id, c20 FROM wide WHERE c13 ORDER BY id;
SELECT count(*), count(c1), count(c20), count(DISTINCT c3) FROM wide;

-- A table without any columns has rows as well.
CREATE STORED TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing SELECT FROM generate_series(1, 4);
SELECT count(*) FROM nothing;
