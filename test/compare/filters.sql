-- Conditions that storage evaluates: every type and operator, at the edges of their
-- values, in rows that are stored, own, from before a column was added; with the
-- evaluation in storage on and off.

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN small AS int4 CHECK (VALUE < 1000000000);
CREATE STORED TABLE e (
	k int, dropped text, b bool, c "char", i2 int2, i4 int4, i8 int8, s small, f4 float4, f8 float8,
	n numeric, t text, tc text COLLATE "C", v varchar(20) COLLATE "C", p char(6) COLLATE "C",
	y bytea, d date, ti time, ts timestamp, tz timestamptz, u uuid, o oid, nm name, e mood,
	m money, ma macaddr, iv interval, a int[]
) KEY (k);

CREATE FUNCTION at(list text[], i int) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$SELECT list[1 + i % cardinality(list)]$$;

INSERT INTO e SELECT i, repeat('gone', i % 50),
	at('{t,f,NULL}', i)::bool,
	at(ARRAY['a', 'z', '', NULL, ' '], i)::"char",
	at('{0,1,-1,32767,-32768,NULL}', i)::int2,
	at('{0,1,-1,2147483647,-2147483648,NULL,32767,65535}', i)::int4,
	at('{0,1,-1,9223372036854775807,-9223372036854775808,NULL,4294967296,2147483648}', i)::int8,
	at('{0,1,-5,NULL,999999999}', i)::small,
	at('{0,-0,1.5,NaN,Infinity,-Infinity,0.1,3.4e38,-1e-45,NULL,16777217}', i)::float4,
	at('{0,-0,1.5,NaN,Infinity,-Infinity,0.1,1.7e308,-5e-324,NULL,16777217,0.10000000149011612}', i)::float8,
	at('{0,0.00,1,1.0,1.5,-1.5,NaN,Infinity,-Infinity,NULL,1e100,-1e100,1e-100,9999.9999,10000,10000.0001,123456789012345678901234567890.5}', i)::numeric,
	at(ARRAY['', 'a', 'A', 'b', 'ab', 'a b', 'é', NULL, repeat('x', 200), 'a '], i),
	at(ARRAY['', 'a', 'A', 'b', 'ab', 'a b', 'é', NULL, repeat('x', 200), 'a '], i),
	at(ARRAY['', 'a', 'A', 'b', 'ab', 'a b', 'é', NULL, 'xxxxxxxxxxxxxxxxxxxx', 'a '], i),
	at(ARRAY['', 'a', 'A', 'b', 'ab', 'a b', 'é', NULL, 'a!'], i),
	at(ARRAY['', '\x00', '\x0000', '\xff', '\x61', NULL, '\x6161'], i)::bytea,
	at('{2000-01-01,1999-12-31,infinity,-infinity,5874897-12-31,4713-01-01 BC,NULL,2024-02-29,294277-01-01}', i)::date,
	at('{00:00,24:00,12:34:56.789012,23:59:59.999999,NULL}', i)::time,
	at('{2000-01-01 00:00,2000-01-01 00:00:00.000001,1999-12-31 23:59:59.999999,infinity,-infinity,294276-12-31,NULL,2024-02-29 12:00,4713-01-01 BC}', i)::timestamp,
	at('{2000-01-01 00:00+00,2000-01-01 00:00+01,infinity,-infinity,NULL,2024-02-29 12:00Z}', i)::timestamptz,
	at('{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff,NULL,01234567-89ab-cdef-0123-456789abcdef}', i)::uuid,
	at('{0,1,2147483648,4294967295,NULL}', i)::oid,
	at(ARRAY['', 'a', 'pg_class', NULL, repeat('n', 63)], i)::name,
	at('{sad,ok,happy,NULL}', i)::mood,
	at('{0,1.5,-92233720368547758.08,92233720368547758.07,NULL}', i)::numeric::money,
	at('{00:00:00:00:00:00,ff:ff:ff:ff:ff:ff,08:00:2b:01:02:03,NULL}', i)::macaddr,
	at('{0,1 day,24 hours,NULL,-1 mon}', i)::interval,
	at(ARRAY['{}', '{1}', '{NULL}', NULL], i)::int[]
FROM generate_series(1, 450) i;
ALTER STORED TABLE e DROP COLUMN dropped;
ALTER STORED TABLE e ADD COLUMN late int;
ALTER STORED TABLE e ADD COLUMN later text COLLATE "C";
INSERT INTO e (k, i4, late, later) VALUES (2001, 5, 7, 'new'), (2002, NULL, 8, NULL), (2003, 1, NULL, 'newer');

-- what a condition finds: how many, and which
CREATE FUNCTION found(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; n bigint;
BEGIN
	EXECUTE 'SELECT count(*) || '' '' || coalesce(md5(string_agg(k::text, '','' ORDER BY k)), ''-'') || '' '' || coalesce(min(k)::text, '''') FROM e WHERE ' || condition INTO result;
	EXECUTE 'SELECT count(*) FROM e WHERE ' || condition INTO n;
	IF n <> split_part(result, ' ', 1)::bigint THEN
		RETURN result || ' but count(*) says ' || n;
	END IF;
	RETURN result;
END $$;

-- the distinct values of a column, written as constants
CREATE FUNCTION constants(col text, type text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT DISTINCT coalesce(quote_literal(%1$I::text), ''NULL'') || ''::%2$s'' FROM e', col, type);
END $$;

CREATE TABLE conditions (condition text COLLATE "C");
INSERT INTO conditions
	SELECT format('%s %s %s', col, op, value)
	FROM (VALUES ('b', 'bool'), ('c', '"char"'), ('i2', 'int2'), ('i4', 'int4'), ('i8', 'int8'), ('s', 'int4'),
			('f4', 'float4'), ('f8', 'float8'), ('n', 'numeric'), ('t', 'text'), ('tc', 'text'),
			('v', 'varchar'), ('p', 'bpchar'), ('y', 'bytea'), ('d', 'date'), ('ti', 'time'),
			('ts', 'timestamp'), ('tz', 'timestamptz'), ('u', 'uuid'), ('o', 'oid'), ('nm', 'name'),
			('e', 'mood'), ('m', 'money'), ('ma', 'macaddr'), ('iv', 'interval'), ('a', 'int[]')) c (col, type),
		constants(col, type) value,
		unnest('{=,<>,<,<=,>,>=,IS DISTINCT FROM,IS NOT DISTINCT FROM}'::text[]) op;
-- between types
INSERT INTO conditions
	SELECT format(CASE WHEN flip THEN '%3$s %2$s %1$s' ELSE '%s %s %s' END, col, op, value)
	FROM (VALUES ('i2', 'i4', 'int4'), ('i2', 'i8', 'int8'), ('i4', 'i2', 'int2'), ('i4', 'i8', 'int8'),
			('i8', 'i2', 'int2'), ('i8', 'i4', 'int4'), ('f4', 'f8', 'float8'), ('f8', 'f4', 'float4'),
			('d', 'ts', 'timestamp'), ('ts', 'd', 'date'), ('d', 'tz', 'timestamptz'), ('tz', 'd', 'date'),
			('nm', 'tc', 'text'), ('tc', 'nm', 'name'), ('p', 'tc', 'text'), ('i4', 'n', 'numeric'),
			('n', 'i4', 'int4'), ('v', 'p', 'bpchar'), ('o', 'i4', 'int4'), ('i4', 'o', 'oid')) c (col, other, type),
		constants(other, type) value, unnest('{=,<>,<,>=}'::text[]) op, unnest('{f,t}'::bool[]) flip
	WHERE NOT (type = 'int4' AND col = 'o' AND value LIKE '''-%') AND NOT (col = 'i4' AND type = 'oid' AND op NOT IN ('=', '<>') AND false);
-- columns with columns, lists, truth
INSERT INTO conditions VALUES
	('i2 = i4'), ('i4 < i8'), ('i8 >= i2'), ('f4 = f8'), ('f8 < f4'), ('tc = t'), ('tc < v'), ('tc = later'),
	('v = p'), ('n = i4'), ('d = ts'), ('i4 <> late'), ('i4 IS DISTINCT FROM late'), ('k = i4'), ('t = nm'),
	('i4 IN (1, -1, 7)'), ('i4 IN (1, NULL, 7)'), ('i4 NOT IN (1, -1)'), ('i4 NOT IN (1, NULL)'),
	('i2 IN (1, 100000, -1)'), ('i8 = ANY (''{1,1,1,-1}'')'), ('i4 = ANY (NULL::int[])'), ('i4 = ANY (''{}'')'),
	('i4 <> ALL (''{}'')'), ('i4 <> ALL (NULL::int[])'), ('i4 = ANY (''{NULL}'')'), ('i4 <> ALL (''{NULL,1}'')'),
	('i4 < ANY (''{1,2}'')'), ('i4 = ALL (''{1,1}'')'), ('i4 = ANY (''{{1,2},{3,-1}}'')'),
	('tc IN (''a'', ''A'', ''nothing'')'), ('t IN (''a'', ''é'', '''')'), ('p IN (''a'', ''b '')'), ('p NOT IN (''a'', ''ab'')'),
	('f8 IN (''NaN'', 0)'), ('f4 IN (0.1::float4, ''-Infinity'')'), ('f4 IN (0.1::float8, ''NaN'')'), ('f8 = ANY (''{-0}''::float4[])'),
	('n IN (1.000, 0, ''NaN'')'), ('d IN (''2000-01-01'', ''infinity'')'), ('d = ANY (''{2000-01-01 00:00}''::timestamp[])'),
	('ts IN (''2000-01-01'', ''-infinity'')'), ('e IN (''sad'', ''happy'')'), ('e NOT IN (''ok'')'), ('u IN (''00000000-0000-0000-0000-000000000000'')'),
	('nm IN (''a'', ''pg_class'')'), ('y IN (''\x00'', '''')'), ('b IN (true)'), ('c IN (''a'', '''')'), ('o IN (0, 4294967295)'),
	('b'), ('NOT b'), ('b IS TRUE'), ('b IS NOT TRUE'), ('b IS FALSE'), ('b IS NOT FALSE'), ('b IS UNKNOWN'), ('b IS NOT UNKNOWN'),
	('(i4 > 0) IS UNKNOWN'), ('(i4 > 0 OR i2 = 1) IS NOT TRUE'), ('NOT (i4 > 0 AND i2 < 1)'), ('NOT (i4 > 0 OR i2 < 1)'),
	('i4 > 0 AND i2 < 1 AND b'), ('i4 > 0 OR i2 < 1 OR b'), ('(i4 > 0 AND b) OR (i2 < 0 AND NOT b)'), ('(i4 > 0 OR b) AND (i2 < 0 OR NOT b)'),
	('i4 > 0 OR NULL'), ('i4 > 0 AND NULL'), ('NOT (i4 > 0 AND NULL)'), ('b = (i4 > 0)'), ('i4 = 1 OR t LIKE ''a%'''), ('i4 = 1 AND t LIKE ''a%'''),
	('i4 IS NULL'), ('i4 IS NOT NULL'), ('late IS NULL'), ('late IS NOT NULL'), ('late = 7'), ('late <> 7'), ('later IS NULL'), ('later > ''new'''),
	('late IS DISTINCT FROM 7'), ('a IS NULL'), ('iv IS NOT NULL'), ('e IS NULL'), ('e IS NULL IS TRUE'), ('NULL'), ('false'), ('true'),
	('tc COLLATE "en-x-icu" < ''b'''), ('tc COLLATE "en-x-icu" = ''b'''), ('t COLLATE "C" < ''b'''), ('i4::oid = 1'), ('i4::int8 = 1'), ('i4::text = ''1'''), ('i4 + 0::int8 = 1'),
	('i4 + 1::int8 > 0 AND i4 < 100'), ('tz < now()'), ('tz < now() - interval ''1 day'''), ('d <= current_date'), ('tz >= ''2000-01-01''::timestamptz - interval ''1 s'''),
	('length(t) = 1'), ('1 < length(tc)'), ('char_length(v) >= 2'), ('character_length(p) <> 2'), ('length(p) = 0'), ('octet_length(p) > 6'),
	('octet_length(t) = 2'), ('octet_length(v) <= 1'), ('length(y) = 0'), ('octet_length(y) IN (1, 3)'), ('length(t) IN (1, 3, NULL)'), ('length(p) NOT IN (0, 2)'),
	('length(t) = ANY (''{}'')'), ('length(t) = NULL'), ('length(tc) = 2::int8'), ('length(tc) < 2::int2'), ('length(t) = length(tc)'), ('length(t) = i4'), ('i4 > length(v)'),
	('length(p::text) = 2'), ('length(t::bpchar) = 1'), ('length(v::bpchar) = 1'), ('length(nm::text) = 1'), ('length(t::varchar(1)) = 1'), ('length(later) = 3'), ('length(later) IS NULL'),
	('length(t) IS DISTINCT FROM 1'), ('length(t) IS NOT NULL AND length(t) > 100'), ('length(t) = 1.0'), ('bit_length(t) = 8'), ('NOT length(t) > 1 OR length(v) > 19'),
	('e IS NOT NULL AND e > ''sad'''), ('k BETWEEN 100 AND 200 AND i4 IN (0, 1)'), ('k = 7 AND i4 = 1'), ('k = 7 AND i4 IS NULL'), ('k IN (1, 2, 3) AND b'),
	('k > 300 AND tc = ''a'' AND n IS NOT NULL'), ('e = ''sad'' AND e IS NOT NULL');
SELECT count(*) FROM conditions;

CREATE TABLE results (setting text, condition text COLLATE "C", result text);
SET kalam.enable_filter = on;
INSERT INTO results SELECT 'on', condition, found(condition) FROM conditions;
SET kalam.enable_filter = off;
INSERT INTO results SELECT 'off', condition, found(condition) FROM conditions;
SELECT a.condition, a.result, b.result FROM results a JOIN results b USING (condition)
	WHERE a.setting = 'on' AND b.setting = 'off' AND a.result <> b.result ORDER BY 1;
RESET kalam.enable_filter;
SELECT condition, result FROM results WHERE setting = 'on' ORDER BY condition;

-- values that change from scan to scan, and null ones
PREPARE p (int, text, numeric, int[], timestamp) AS
	SELECT count(*), min(k), max(k) FROM e
	WHERE i4 > $1 AND (tc = $2 OR n < $3) AND i2 <> ALL ($4) AND d >= $5;
SET plan_cache_mode = force_generic_plan;
EXECUTE p (-1, 'a', 5, '{32767,0}', '1999-12-31 12:00');
EXECUTE p (NULL, 'a', 5, '{32767}', '2000-01-01');
EXECUTE p (-1, NULL, 1000, '{32767}', '-infinity');
EXECUTE p (-1, 'a', NULL, '{32767}', '-infinity');
EXECUTE p (-1, 'a', 1000, NULL, '-infinity');
EXECUTE p (-1, 'a', 1000, '{}', '-infinity');
EXECUTE p (-1, 'a', 1000, '{NULL}', '-infinity');
EXECUTE p (-1, 'a', 1000, '{1}', NULL);
PREPARE q (int) AS SELECT k FROM e WHERE late = $1 ORDER BY k;
EXECUTE q (7);
EXECUTE q (NULL);
EXECUTE q (8);
RESET plan_cache_mode;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT o.k, (SELECT count(*) FROM e i WHERE i.i4 = o.i4 AND i.tc = o.tc AND i.k < 300) FROM e o WHERE o.k < 40 ORDER BY 1;
SELECT o.k, i.k FROM e o JOIN e i ON i.k BETWEEN o.k AND o.k + 3 AND i.i2 > o.i2 AND i.b WHERE o.k < 60 ORDER BY 1, 2;
SELECT o.k, i.k FROM e o LEFT JOIN e i ON i.k = o.k + 1 AND i.i2 > o.i2 AND i.tc <> o.tc WHERE o.k < 60 ORDER BY 1, 2;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;

-- a list that no request could carry
SELECT count(*), min(k), max(k) FROM e WHERE i4 = ANY (ARRAY(SELECT generate_series(-50000, 50000)));
SELECT count(*), min(k), max(k) FROM e WHERE i4 <> ALL ((SELECT array_agg(i) FROM generate_series(-50000, 50000) i)::int[]);
SELECT count(*) FROM e WHERE tc = ANY (ARRAY(SELECT repeat('x', i) FROM generate_series(0, 3000) i));

-- order, limits, counts, locks
SELECT k FROM e WHERE i4 = 1 ORDER BY k LIMIT 3;
SELECT k FROM e WHERE i4 = 1 ORDER BY k DESC LIMIT 3;
SELECT k FROM e WHERE i4 = 1 AND k < 400 ORDER BY k DESC OFFSET 5 LIMIT 2;
SELECT count(*) FROM e WHERE i4 = 1 AND k > 100;
SELECT count(*) FROM (SELECT 1 FROM e WHERE i4 = 1 LIMIT 10) s;
SELECT k FROM e WHERE tc = 'ab' AND k < 100 ORDER BY k FOR UPDATE;
SELECT length(tc), count(*) FROM e WHERE tc > 'x' GROUP BY 1 ORDER BY 1;

-- what must not be seen is tried first, and a function that tells is not asked for it
CREATE FUNCTION tells(int) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE NOTICE 'told %', $1; RETURN true; END$$;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM e WHERE i4 = 1 AND k < 30;
SELECT k FROM barrier WHERE tells(k) AND n < 10 ORDER BY k;
SELECT k FROM barrier WHERE n < 10 ORDER BY k;

-- own changes: of stored rows, new ones, ones that pass no longer
BEGIN;
UPDATE e SET i4 = 77, tc = 'own' WHERE k % 100 = 3;
DELETE FROM e WHERE k % 100 = 4;
INSERT INTO e (k, i4, tc, late) VALUES (-1, 77, 'own', 7), (5000, NULL, 'own', NULL), (5001, 77, 'other', 7);
SELECT count(*), min(k), max(k) FROM e WHERE i4 = 77;
SELECT count(*) FROM e WHERE i4 = 77;
SELECT count(*) FROM e WHERE i4 <> 77 AND tc <> 'own';
SELECT k FROM e WHERE tc = 'own' AND i4 IS NULL OR late = 7 ORDER BY k;
SELECT k FROM e WHERE i4 = 77 ORDER BY k DESC LIMIT 4;
SELECT k FROM e WHERE k = 5001 AND i4 = 77;
SELECT k FROM e WHERE k = 5001 AND i4 = 78;
SELECT k FROM e WHERE k = 103 AND tc = 'own';
SAVEPOINT a;
UPDATE e SET i4 = 78 WHERE i4 = 77;
SELECT count(*) FROM e WHERE i4 = 77;
SELECT count(*) FROM e WHERE i4 = 78;
ROLLBACK TO a;
SELECT count(*) FROM e WHERE i4 = 77;
INSERT INTO results SELECT 'own', condition, found(condition) FROM conditions WHERE condition LIKE 'i4 %' OR condition LIKE 'tc %' OR condition LIKE '% late%';
SELECT condition, result FROM results WHERE setting = 'own' ORDER BY condition;
ROLLBACK;

-- changes by condition
UPDATE e SET i8 = 42 WHERE tc = 'ab' AND i4 = 0;
SELECT count(*) FROM e WHERE i8 = 42;
DELETE FROM e WHERE i8 = 42 AND d IS NOT NULL;
SELECT count(*) FROM e WHERE i8 = 42;
SELECT count(*) FROM e;

-- with a trigger the scan locks, and tries all conditions itself
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.late := OLD.i4; RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE UPDATE ON e FOR EACH ROW EXECUTE FUNCTION stamp();
UPDATE e SET later = 'touched' WHERE i4 = 1 AND tc > 'a' AND length(tc) = 2;
SELECT k, late, later FROM e WHERE later = 'touched' ORDER BY k;
