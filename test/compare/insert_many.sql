-- INSERT of many rows at a time: as a query computes them or as another table has them,
-- into tables, partitions and views, with whatever looks at each row.

CREATE FUNCTION big(n int) RETURNS text LANGUAGE sql IMMUTABLE AS
    'SELECT string_agg(md5(g::text), '''') FROM generate_series(1, n / 32) g';
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CHECK (VALUE < 100000);

-- Values of every form: by value and not, short and long, toasted, compressed, expanded,
-- null; columns that were dropped and added, stored plain and external.
CREATE TABLE source (id int, c "char", s smallint, ok bool, gone text, f float8, n numeric, short text, long text,
    flat text, fixed char(5), named name, u uuid, arr int[], p pair, d small, ip inet, span interval);
ALTER TABLE source DROP COLUMN gone;
ALTER TABLE source ALTER long SET STORAGE EXTERNAL, ALTER flat SET STORAGE PLAIN;
INSERT INTO source SELECT g, 'x', g % 7, g % 2 = 0, g / 3.0, g * 1.25, repeat('s', g % 140),
    CASE WHEN g % 50 = 0 THEN big(6400) WHEN g % 3 > 0 THEN big(320) END, repeat('f', g % 200), 'ab', 'name ' || g,
    md5(g::text)::uuid, CASE WHEN g % 4 > 0 THEN array_fill(g, ARRAY[g % 60]) END, ROW(g, repeat('p', g % 150))::pair, g,
    '10.0.0.0'::inet + g, g * interval '1 minute' FROM generate_series(1, 600) g;
-- compressed in line, and out of line
INSERT INTO source (id, n, short, long) VALUES (1001, 1, repeat('x', 4000), repeat('y', 9000)), (1002, 2, repeat('abc', 30000), big(64000));
ALTER TABLE source ADD COLUMN late text DEFAULT 'late', ADD COLUMN later int;
UPDATE source SET later = id WHERE id % 5 = 0;
CREATE STORED TABLE t (id int NOT NULL, c "char", s smallint, ok bool, f float8, n numeric, short text, long text, flat text,
    fixed char(5), named name, u uuid, arr int[], p pair, d small, ip inet, span interval, late text, later int) KEY (id);
CREATE STORED TABLE other (id int NOT NULL, c "char", s smallint, ok bool, f float8, n numeric, short text, long text, flat text,
    fixed char(5), named name, u uuid, arr int[], p pair, d small, ip inet, span interval, late text, later int) KEY (id DESC);
CREATE FUNCTION differences(a text, b text) RETURNS TABLE (only_one text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT ''first'', count(*) FROM (SELECT x::text FROM %1$s x EXCEPT SELECT x::text FROM %2$s x) d '
        'UNION ALL SELECT ''second'', count(*) FROM (SELECT x::text FROM %2$s x EXCEPT SELECT x::text FROM %1$s x) d', a, b);
END $$;
INSERT INTO t SELECT * FROM source;
SELECT * FROM differences('source', 't');
INSERT INTO other SELECT * FROM t;
SELECT * FROM differences('source', 'other');
SELECT count(*), sum(length(long)), sum(cardinality(arr)), sum(length((p).b)), count(late), sum(later) FROM other;
-- read, computed, sorted, from several nodes in turn, through cursors and functions; loaded
-- from the first row on
SET kalam.bulk_load_threshold = 0;
DELETE FROM other;
INSERT INTO other SELECT * FROM source WHERE id <= 100 ORDER BY n DESC;
INSERT INTO other SELECT id, c, s, ok, f, n, short, long, flat, fixed, named, u, arr, p, d, ip, span, late, later FROM source WHERE id BETWEEN 101 AND 200;
INSERT INTO other SELECT * FROM source WHERE id BETWEEN 201 AND 250 UNION ALL SELECT * FROM t WHERE id BETWEEN 251 AND 300;
INSERT INTO other SELECT id, c, s, ok, f, n + 0, short || '', long, flat, fixed, named, u, arr || '{}', p, d, ip, span, late, later FROM source WHERE id BETWEEN 301 AND 350
    UNION ALL SELECT * FROM source WHERE id BETWEEN 351 AND 400;
INSERT INTO other SELECT DISTINCT ON (id) x.* FROM source x, generate_series(1, 2) WHERE id BETWEEN 401 AND 450;
INSERT INTO other SELECT (x).* FROM (SELECT x FROM t x WHERE id BETWEEN 451 AND 500 OFFSET 0) y;
DO $$
DECLARE
    r other;
    list int[] := '{}';
BEGIN
    FOR r IN SELECT * FROM source WHERE id BETWEEN 501 AND 600 LOOP
        INSERT INTO other VALUES (r.*);
    END LOOP;
    FOR i IN 1 .. 300 LOOP
        list[i] := i;
    END LOOP;
    INSERT INTO other (id, arr) SELECT 2000 + g, list || g FROM generate_series(1, 20) g;
    INSERT INTO other (id, arr) VALUES (2021, list), (2022, list[5:10]);
END $$;
INSERT INTO other SELECT * FROM source WHERE id > 1000;
SELECT count(*), sum(cardinality(arr)), sum(arr[300]), min(arr[6]) FROM other WHERE id > 2000;
DELETE FROM other WHERE id > 2000;
SELECT * FROM differences('source', 'other');
INSERT INTO other (id, n) SELECT 3000 + g, g FROM generate_series(1, 500) g;
INSERT INTO other (id, n) SELECT id + 1000, n FROM other WHERE id BETWEEN 3001 AND 3500;
INSERT INTO other (n, id) SELECT sum(n), 5000 + max(id) FROM other WHERE id > 3000 GROUP BY id % 10;
SELECT count(*), sum(n), min(id), max(id) FROM other WHERE id > 3000;
WITH moved AS (DELETE FROM other WHERE id > 3000 RETURNING *) INSERT INTO t (id, n, short) SELECT id, n, named FROM moved;
SELECT count(*), sum(n) FROM t WHERE id > 3000;

-- Constraints, in the middle of many rows.
RESET kalam.bulk_load_threshold;
CREATE STORED TABLE checked (id int NOT NULL, v int CHECK (v <> 77), w text NOT NULL DEFAULT 'w', twice int GENERATED ALWAYS AS (v * 2) STORED) KEY (id);
INSERT INTO checked SELECT g, g FROM generate_series(1, 70) g;
-- fails: the constraint
INSERT INTO checked SELECT g, g FROM generate_series(71, 200) g;
-- fails: a null
INSERT INTO checked (id, v, w) SELECT g, g + 100, CASE WHEN g < 150 THEN 'x' END FROM generate_series(71, 200) g;
-- fails: a null in the key
INSERT INTO checked (id, v) SELECT nullif(g, 150), g + 100 FROM generate_series(71, 200) g;
-- fails: a domain
INSERT INTO t (id, d) SELECT 10000 + g, 99990 + g FROM generate_series(1, 20) g;
-- fails: a value that is there
INSERT INTO checked (id, v) SELECT 200 - g, g FROM generate_series(1, 190) g WHERE g <> 77;
-- fails: twice in the statement
INSERT INTO checked (id, v) SELECT 100 + g % 50, 1000 FROM generate_series(1, 60) g;
INSERT INTO checked (id, v) VALUES (100, 1), (101, 2), (102, DEFAULT), (103, 3) RETURNING *;
INSERT INTO checked (id, v) SELECT g, -g FROM generate_series(110, 115) g RETURNING id, twice, tableoid::regclass;
SELECT count(*), sum(v), sum(twice), min(w) FROM checked;

-- Triggers on rows, who see and change them.
CREATE TABLE seen (what text, id int, v int);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_WHEN = 'BEFORE' THEN
        IF NEW.id % 10 = 3 THEN
            RETURN NULL;
        END IF;
        NEW.v := NEW.v + 1000;
    ELSE
        INSERT INTO seen SELECT 'after, of ' || count(*) || ' rows', NEW.id, NEW.v FROM checked WHERE id >= 300;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER before BEFORE INSERT ON checked FOR EACH ROW EXECUTE FUNCTION see();
INSERT INTO checked (id, v) SELECT g, g FROM generate_series(300, 330) g;
SELECT count(*), sum(v), sum(twice) FROM checked WHERE id >= 300;
CREATE TRIGGER after AFTER INSERT ON checked FOR EACH ROW EXECUTE FUNCTION see();
INSERT INTO checked (id, v) SELECT g, g FROM generate_series(331, 345) g;
INSERT INTO checked (id, v) VALUES (351, 1), (352, 2), (353, 3) RETURNING id, v, twice;
SELECT * FROM seen ORDER BY id;

-- A view that checks what goes through it.
CREATE STORED TABLE base (id int NOT NULL, v int) KEY (id);
CREATE VIEW even AS SELECT * FROM base WHERE v % 2 = 0 WITH CHECK OPTION;
INSERT INTO even SELECT g, g * 2 FROM generate_series(1, 500) g;
-- fails: the view does not show it
INSERT INTO even SELECT g, CASE WHEN g = 900 THEN 1 ELSE 2 END FROM generate_series(501, 1000) g;
INSERT INTO even VALUES (501, 2), (502, 4) RETURNING *;
SELECT count(*), sum(v) FROM base;

-- ON CONFLICT, hundreds of rows at a time.
INSERT INTO base SELECT g, -1 FROM generate_series(250, 950) g ON CONFLICT DO NOTHING;
INSERT INTO base SELECT g % 300, -2 FROM generate_series(0, 700) g ON CONFLICT (id) DO NOTHING;
INSERT INTO base SELECT g, -3 FROM generate_series(940, 1400) g ON CONFLICT (id) DO UPDATE SET v = base.v - 10;
INSERT INTO base SELECT g, 0 FROM generate_series(1390, 1410) g ON CONFLICT DO NOTHING RETURNING id;
SELECT v, count(*) FROM base WHERE v < 0 GROUP BY v ORDER BY v;

-- Partitions, of which one has its columns in another order, and one partitions of its own;
-- loaded, too.
SET kalam.bulk_load_threshold = 0;
CREATE TABLE parted (id int, region text, v int CHECK (v <> 77), note text) PARTITION BY LIST (region);
CREATE STORED TABLE parted_a PARTITION OF parted FOR VALUES IN ('a') KEY (id);
CREATE STORED TABLE parted_b (note text, v int, gone int, region text NOT NULL, id int NOT NULL) KEY (id);
ALTER STORED TABLE parted_b DROP COLUMN gone;
ALTER STORED TABLE parted_b ADD CONSTRAINT parted_v_check CHECK (v <> 77);
ALTER TABLE parted ATTACH PARTITION parted_b FOR VALUES IN ('b');
CREATE TABLE parted_c PARTITION OF parted FOR VALUES IN ('c') PARTITION BY RANGE (id);
CREATE STORED TABLE parted_c1 PARTITION OF parted_c FOR VALUES FROM (0) TO (1000) KEY (id);
CREATE STORED TABLE parted_c2 PARTITION OF parted_c FOR VALUES FROM (1000) TO (2000) KEY (id);
INSERT INTO parted SELECT g, chr(97 + g % 3), g * 2, 'row ' || g FROM generate_series(1, 1999) g;
INSERT INTO parted (region, id) SELECT 'a', g FROM generate_series(3000, 3300) g;
SELECT tableoid::regclass, count(*), sum(id), sum(v), max(note) FROM parted GROUP BY 1 ORDER BY 1;
INSERT INTO parted VALUES (4000, 'a', 1), (4001, 'b', 2), (4002, 'a', 3) RETURNING tableoid::regclass, *;
-- fails: no partition for it
INSERT INTO parted SELECT 5000 + g, CASE WHEN g < 90 THEN 'a' ELSE 'z' END FROM generate_series(1, 100) g;
-- fails: the constraint
INSERT INTO parted SELECT 5000 + g, 'b', g FROM generate_series(1, 100) g;
-- fails: a key that is there
INSERT INTO parted SELECT 5000 - g, 'a' FROM generate_series(1, 2000) g;
-- fails: not that partition's
INSERT INTO parted_a SELECT 5000 + g, CASE WHEN g < 90 THEN 'a' ELSE 'b' END FROM generate_series(1, 100) g;
-- fails: not that partition's
INSERT INTO parted_c1 (id, region) SELECT 10000 + g, 'c' FROM generate_series(1, 100) g;
-- fails: not that partition's
INSERT INTO parted_c SELECT 700, 'a';
COPY parted FROM STDIN;
6000	a	1	copied
6001	b	2	copied
6002	a	3	copied
\.
-- fails: not that partition's
COPY parted_b (id, region) FROM STDIN;
6003	b
6004	c
\.
SELECT count(*), sum(id), max(note) FROM parted;
-- a trigger leads rows away from where their values led them
CREATE FUNCTION lead_away() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id = 7050 THEN
        NEW.region := 'b';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lead BEFORE INSERT ON parted_a FOR EACH ROW EXECUTE FUNCTION lead_away();
INSERT INTO parted SELECT g, 'a' FROM generate_series(7000, 7040) g;
-- fails: not that partition's any more
INSERT INTO parted SELECT g, 'a' FROM generate_series(7041, 7060) g;
-- fails: the same for COPY
COPY parted (id, region) FROM STDIN;
7049	a
7050	a
\.
-- UPDATE moves rows between them
DROP TRIGGER lead ON parted_a;
UPDATE parted SET id = id + 10000 WHERE region = 'a' AND id > 7000;
SELECT tableoid::regclass, count(*), sum(id) FROM parted GROUP BY 1 ORDER BY 1;
