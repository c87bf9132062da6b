-- Values of all kinds, stored and read again.
CREATE SCHEMA types;
SET search_path = types;
CREATE TYPE pair AS (x int, y text);
CREATE TYPE color AS ENUM ('red', 'green');
CREATE FOREIGN TABLE every (
    k int, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric, n2 numeric(8, 2), m money, b boolean,
    t text, vc varchar(5), c char(5), ch "char", nm name, by bytea, u uuid, d date, ti time, tz timetz,
    ts timestamp, tstz timestamptz, iv interval, ip inet, net cidr, mac macaddr, js json, jsb jsonb,
    ar int[], ar2 text[][], pa pair, pas pair[], en color, ir int4range, mr int4multirange,
    po point, bits bit(3), vbits varbit, tsv tsvector, tsq tsquery, o oid, rc regclass, pl pg_lsn, path path
) SERVER kalam OPTIONS (primary_key 'k');
SET timezone = 'UTC';
INSERT INTO every VALUES (
    1, -32768, 9223372036854775807, 1.5, 'NaN', 20.50, 20.5, 1.99, true,
    'text', 'vc', 'c', 'x', 'name', '\x00ff00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29', '12:00', '12:00+02',
    '2024-01-01 00:00', '2024-01-01 00:00+01', '1 month 2 days 03:04', '::1/64', '10/8', '08:00:2b:01:02:03', '{"a" : 1}', '{"b": [1, null]}',
    '{1,NULL,3}', '{{a,b},{c,d}}', '(1,"a b")', '{"(1,)","(,x)"}', 'green', '[1,5)', '{[1,2),[5,6)}',
    '(1,2)', '101', '10101', 'a:1 fat', 'a & b', 42, 'pg_class', '0/16B3748', '((0,0),(1,1))');
INSERT INTO every (k) VALUES (2);
INSERT INTO every SELECT 3, i2, i8, f4, f8, n, n2, m, b, t, vc, c, ch, nm, by, u, d, ti, tz, ts, tstz, iv, ip, net,
    mac, js, jsb, ar, ar2, pa, pas, en, ir, mr, po, bits, vbits, tsv, tsq, o, rc, pl, path FROM every WHERE k = 1;
\x on
SELECT * FROM every WHERE k = 3;
SELECT * FROM every WHERE k = 2;
\x off
CREATE TABLE heap_every AS SELECT * FROM every;
SELECT count(*) FROM every e JOIN heap_every h ON e::text = h::text;
UPDATE every SET ar[2] = 2, pa.y = 'new', jsb = jsb || '{"c": 1}' WHERE k = 3 RETURNING ar, pa, jsb;

-- long ones
CREATE FOREIGN TABLE long (k int, v text, e text) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO long SELECT i, repeat(chr(64 + i), (10 ^ i)::int), 'end' FROM generate_series(0, 6) i WHERE i > 0;
INSERT INTO long SELECT 67, repeat('x', 67000), 'end';
SELECT k, length(v), md5(v) = md5(repeat(chr(64 + k), (10 ^ k)::int)) AS same, e FROM long WHERE k < 10;
SELECT k, length(v), e FROM long WHERE k = 67;
CREATE TABLE toasted AS SELECT k, string_agg(md5(i::text), '') AS v FROM generate_series(1, 3) k, generate_series(1, 5000) i GROUP BY k;
INSERT INTO long SELECT 100 + k, v, 'toast' FROM toasted;
SELECT count(*) FROM long l JOIN toasted t ON l.k = 100 + t.k AND l.v = t.v;
DROP TABLE toasted;
SELECT k, length(v) FROM long WHERE k > 100;

-- as keys
CREATE FUNCTION keep(type text, VARIADIC vals text[]) RETURNS TABLE (stored text) LANGUAGE plpgsql AS $$
DECLARE v text; again text; n bigint;
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE as_key (k %s) SERVER kalam OPTIONS (primary_key ''k'')', type);
    FOREACH v IN ARRAY vals LOOP
        BEGIN
            EXECUTE format('INSERT INTO as_key VALUES (%L)', v);
        EXCEPTION WHEN unique_violation THEN
            RAISE NOTICE '% is there', v;
        END;
    END LOOP;
    RETURN QUERY EXECUTE 'SELECT k::text FROM as_key';
    FOREACH v IN ARRAY vals LOOP
        EXECUTE format('SELECT count(*) FROM as_key WHERE k = %L', v) INTO n;
        IF n <> 1 THEN RAISE WARNING '% found % times', v, n; END IF;
    END LOOP;
    DROP FOREIGN TABLE as_key;
END $$;
SELECT * FROM keep('smallint', '5', '-5', '0');
SELECT * FROM keep('float4', '5', '-5', 'NaN', 'infinity', '-infinity', '1e-40', '-0', '0');
SELECT * FROM keep('numeric', '10', '-10', '9.9', '10.0', '1e-10', '0', 'NaN', 'infinity', '-infinity', '123456789012345678901234567890');
SELECT * FROM keep('text COLLATE "C"', 'b', 'a', '', 'a b', 'aa', 'a''');
SELECT * FROM keep('char(3)', 'b', 'a', '', 'a  ');
SELECT * FROM keep('bytea', '\x00', '\x', '\x0000', '\xff', '\x00ff');
SELECT * FROM keep('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000');
SELECT * FROM keep('date', '2024-02-29', '4713-01-01 BC', 'infinity', '-infinity');
SELECT * FROM keep('time', '24:00', '00:00', '12:34:56.789');
SELECT * FROM keep('timetz', '12:00+00', '13:00+01', '12:00+01', '12:00-01');
SELECT * FROM keep('timestamptz', '2024-01-01 00:00+00', '2024-01-01 01:00+01', '294276-12-31', 'infinity');
SELECT * FROM keep('interval', '1 month', '30 days', '720:00', '-1 day', '1 month 1 second');
SELECT * FROM keep('inet', '10.0.0.1', '10.0.0.0/8', '::1', '10.0.0.1/8', '9.255.255.255');
SELECT * FROM keep('cidr', '10.0.0.0/8', '10.0.0.0/16', '::/0');
SELECT * FROM keep('macaddr', '08:00:2b:01:02:03', '00:00:00:00:00:00');
SELECT * FROM keep('bool', 'true', 'false');
SELECT * FROM keep('oid', '4294967295', '0', '1');
SELECT * FROM keep('color', 'green', 'red');
SELECT * FROM keep('"char"', 'a', 'B', '');
DROP SCHEMA types CASCADE;
