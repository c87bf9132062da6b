-- Keys of text types, in byte order (collation C) and under a linguistic
-- collation, which is the default here.
\ir probe.inc

CREATE STORED TABLE c (k text COLLATE "C" NOT NULL, v int) KEY (k);
CREATE STORED TABLE cdown (k text COLLATE "C" NOT NULL, v int) KEY (k DESC);
CREATE STORED TABLE d (k text NOT NULL, v int) KEY (k);
CREATE STORED TABLE ddown (k text NOT NULL, v int) KEY (k DESC);
INSERT INTO c VALUES ('', 1), ('a', 2), ('A', 3), ('b', 4), ('B', 5), ('aa', 6), ('a b', 7), ('ab', 8), ('ä', 9), ('z', 10),
    ('Z', 11), ('~', 12), (' ', 13), (E'a\x01', 14), (E'a\x7f', 15), ('日本', 16), ('😀', 17), ('a-b', 18), ('résumé', 19), ('resume', 20);
INSERT INTO cdown SELECT * FROM c;
INSERT INTO d SELECT * FROM c;
INSERT INTO ddown SELECT * FROM c;
SELECT v, k FROM c ORDER BY k;
SELECT v, k FROM c ORDER BY k DESC;
SELECT v, k FROM cdown ORDER BY k;
SELECT v, k FROM cdown ORDER BY k DESC;
SELECT v, k FROM d ORDER BY k;
SELECT v, k FROM d ORDER BY k DESC;
SELECT v, k FROM ddown ORDER BY k;
SELECT v, k FROM d ORDER BY k COLLATE "C";
SELECT v, k FROM c ORDER BY k COLLATE "en-x-icu";
SELECT min(k), max(k) FROM c WHERE k <> '';
SELECT min(k), max(k) FROM d WHERE k <> '';
SELECT * FROM probe('c', 'text', '', 'a', 'A', 'b', 'ä', E'a\x01');
SELECT * FROM probe('cdown', 'text', '', 'a', 'A', 'b', 'ä', E'a\x01');
SELECT * FROM probe('d', 'text', '', 'a', 'A', 'b', 'ä');
SELECT * FROM probe('ddown', 'text', '', 'a', 'A', 'b', 'ä');
SELECT * FROM probe('c', 'name', 'a', '', 'zz');
SELECT * FROM probe('d', 'name', 'a', '');
SELECT * FROM probe('c', 'varchar', 'a', 'aa');
SELECT * FROM probe('c', 'bpchar', 'a ', 'aa');
SELECT v FROM c WHERE k COLLATE "en-x-icu" < 'b' ORDER BY v;
SELECT v FROM d WHERE k COLLATE "C" < 'b' ORDER BY v;
SELECT v FROM d WHERE k < 'b' COLLATE "C" ORDER BY v;
SELECT v FROM d WHERE k = 'b' COLLATE "C" ORDER BY v;
SELECT v, k FROM c WHERE k LIKE 'a%' ORDER BY k;
SELECT v, k FROM d WHERE k LIKE 'a%' ORDER BY k;
SELECT v, k FROM c WHERE k LIKE 'a_b' ORDER BY k;
SELECT v, k FROM c WHERE starts_with(k, 'a') ORDER BY k;
SELECT v, k FROM c WHERE k ^@ 'A' ORDER BY k;
SELECT v, k FROM c WHERE k ~ '^res' ORDER BY k;
SELECT v, k FROM c WHERE k ~~* 'R%' ORDER BY k;
SELECT v, k FROM c WHERE k ~<~ 'a' ORDER BY k;
SELECT v, k FROM c WHERE k BETWEEN 'A' AND 'a' ORDER BY k;
SELECT v, k FROM d WHERE k BETWEEN 'A' AND 'a' ORDER BY k;
SELECT v, k FROM c WHERE k IN ('a', 'missing', 'Z', '') ORDER BY k;
SELECT v, k FROM c WHERE upper(k) = 'A' ORDER BY k;
SELECT v, k FROM c WHERE k = 'a' || 'b';
-- fails: duplicate
INSERT INTO c VALUES ('résumé', 0);
-- fails: duplicate
INSERT INTO d VALUES ('résumé', 0);
-- fails: duplicate
INSERT INTO ddown VALUES ('', 0);

CREATE STORED TABLE vc (k varchar(5) COLLATE "C" NOT NULL, v int) KEY (k);
INSERT INTO vc VALUES ('a', 1), ('a ', 2), ('a  ', 3), ('abcde', 4), ('', 5);
SELECT v, k || '|' AS k FROM vc ORDER BY k;
SELECT * FROM probe('vc', 'varchar', 'a', 'a ', 'abcdef');
SELECT * FROM probe('vc', 'text', 'a', 'a ', 'abcdef');
-- fails: too long
INSERT INTO vc VALUES ('abcdef', 6);

-- char(n): trailing blanks do not count.
CREATE STORED TABLE ch (k char(5) COLLATE "C" NOT NULL, v int) KEY (k);
INSERT INTO ch VALUES ('a', 1), ('b    ', 2), ('', 3), ('abcde', 4), (' a', 5), (E'a\x01', 6);
SELECT v, '[' || k || ']' AS k, octet_length(k) FROM ch ORDER BY k;
SELECT * FROM probe('ch', 'bpchar', 'a', 'a ', 'a    ', 'abcdef', '');
SELECT * FROM probe('ch', 'text', 'a', 'a ');
SELECT v FROM ch WHERE k = 'a ';
SELECT v FROM ch WHERE k = 'a '::text;
SELECT v FROM ch WHERE k = 'a'::name;
-- fails: duplicate but for blanks
INSERT INTO ch VALUES ('a   ', 7);
CREATE STORED TABLE chd (k char(5) NOT NULL, v int) KEY (k DESC);
INSERT INTO chd SELECT * FROM ch;
SELECT v, '[' || k || ']' AS k FROM chd ORDER BY k DESC;
SELECT v FROM chd WHERE k = 'abcde';
-- fails: duplicate but for blanks
INSERT INTO chd VALUES ('a ', 7);

CREATE STORED TABLE nm (k name NOT NULL, v int) KEY (k);
INSERT INTO nm VALUES ('a', 1), ('', 2), ('B', 3), (repeat('x', 63), 4), ('ab', 5);
SELECT v, k FROM nm ORDER BY k;
SELECT * FROM probe('nm', 'name', 'a', '', 'b');
SELECT * FROM probe('nm', 'text', 'a', '', 'b');
SELECT v FROM nm WHERE k = repeat('x', 63);
SELECT v FROM nm WHERE k = repeat('x', 64);
SELECT v FROM nm WHERE k < repeat('x', 64) ORDER BY v;
SELECT v FROM nm WHERE k <= repeat('x', 64) ORDER BY v;
SELECT v FROM nm WHERE k > repeat('x', 64) ORDER BY v;
SELECT v FROM nm WHERE k::text = 'ab';

CREATE STORED TABLE qc (k "char" NOT NULL, v int) KEY (k);
INSERT INTO qc VALUES ('a', 1), ('', 2), ('Z', 3), ('~', 4);
SELECT v, k FROM qc ORDER BY k;
SELECT v FROM qc WHERE k = 'Z';
SELECT v FROM qc WHERE k > 'Z' ORDER BY k;

-- Names of the catalog against text keys, and the other way round.
CREATE STORED TABLE relations (k text COLLATE "C" NOT NULL, kind "char") KEY (k);
INSERT INTO relations SELECT relname, relkind FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v');
SELECT count(*) > 100 AS many FROM relations;
SELECT r.k, r.kind FROM relations r JOIN pg_class p ON p.relname = r.k WHERE p.oid IN ('pg_class'::regclass, 'pg_type'::regclass) ORDER BY 1;
SELECT r.k FROM relations r WHERE r.k = (SELECT relname FROM pg_class WHERE oid = 'pg_proc'::regclass);
SELECT r.k FROM relations r WHERE r.k = name 'pg_index';

-- Long keys, and such that share a long prefix.
CREATE STORED TABLE long (k text COLLATE "C" NOT NULL, v int) KEY (k);
INSERT INTO long SELECT repeat('p', g), g FROM generate_series(0, 600, 50) g;
INSERT INTO long SELECT repeat('p', 500) || g, g FROM generate_series(1, 5) g;
SELECT v, length(k), md5(k) FROM long ORDER BY k;
SELECT v FROM long WHERE k = repeat('p', 500) || 3;
SELECT v FROM long WHERE k > repeat('p', 500) ORDER BY k;
SELECT v FROM long WHERE k < repeat('p', 250) ORDER BY k;
