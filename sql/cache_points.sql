-- Rows by keys in the query cache: unique indexes, keys alone, lists, batches of joins.

CREATE FOREIGN TABLE p_t (id int NOT NULL, code text, v int) SERVER kalam OPTIONS (primary_key 'id', unique_code 'code');
CREATE TABLE p_outer AS SELECT g AS n, g * 13 % 6000 AS id FROM generate_series(1, 40) g;
INSERT INTO p_t SELECT g, 'c' || g, g % 10 FROM generate_series(1, 5000) g;
ANALYZE p_t;
ANALYZE p_outer;
-- what of a plan tells where rows came from
CREATE FUNCTION p_asked(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Scan|Join|Query Cache|Storage:' THEN
            RETURN NEXT regexp_replace(trim(line), ' blocks=.*', '');
        END IF;
    END LOOP;
END
$$;

-- by a unique index: the entry, then the row, of which another column may change
SELECT p_asked('SELECT * FROM p_t WHERE code = ''c7''');
SELECT p_asked('SELECT * FROM p_t WHERE code = ''c7''');
SELECT p_asked('SELECT * FROM p_t WHERE id = 7');
SELECT p_asked('SELECT id FROM p_t WHERE code = ''c7''');
UPDATE p_t SET v = -1 WHERE id = 7;
SELECT p_asked('SELECT id FROM p_t WHERE code = ''c7''');
SELECT p_asked('SELECT * FROM p_t WHERE code = ''c7''');
SELECT p_asked('SELECT * FROM p_t WHERE code = ''c7''');
UPDATE p_t SET code = 'd7' WHERE id = 7;
SELECT p_asked('SELECT * FROM p_t WHERE code = ''c7''');
SELECT p_asked('SELECT * FROM p_t WHERE code = ''c7''');
SELECT * FROM p_t WHERE code IN ('c7', 'd7');
SELECT * FROM p_t WHERE code = 'd7';

-- keys alone are kept without the row, which answers both
SELECT p_asked('SELECT id FROM p_t WHERE id = 8');
SELECT p_asked('SELECT id FROM p_t WHERE id = 8');
SELECT p_asked('SELECT * FROM p_t WHERE id = 8');
SELECT p_asked('SELECT id FROM p_t WHERE id = 8');

-- lists: only what is not known is asked for
SELECT p_asked('SELECT * FROM p_t WHERE id IN (7, 8, 9, 9000)');
SELECT p_asked('SELECT * FROM p_t WHERE id IN (7, 8, 9, 9000)');
SELECT p_asked('SELECT * FROM p_t WHERE id IN (7, 8, 9, 10, 9000) AND v > 8');
SELECT p_asked('SELECT * FROM p_t WHERE id IN (7, 8, 9, 10, 9000) AND v > 8');
SELECT p_asked('SELECT * FROM p_t WHERE id IN (7, 8, 9, 10, 9000) ORDER BY id DESC LIMIT 2');
SELECT * FROM p_t WHERE id IN (7, 8, 9, 10, 9000) ORDER BY id DESC;
UPDATE p_t SET v = 100 WHERE id = 9;
SELECT p_asked('SELECT * FROM p_t WHERE id IN (7, 8, 9, 10, 9000)');
SELECT * FROM p_t WHERE id IN (7, 8, 9, 10, 9000);
-- a transaction that changed the table: not lists, but rows that it did not change
BEGIN;
DELETE FROM p_t WHERE id = 4000;
SELECT p_asked('SELECT * FROM p_t WHERE id IN (7, 8, 9)');
SELECT p_asked('SELECT * FROM p_t WHERE id = 8');
ROLLBACK;

-- by a unique index, too
SELECT p_asked('SELECT * FROM p_t WHERE code IN (''c20'', ''c21'', ''none'')');
SELECT p_asked('SELECT * FROM p_t WHERE code IN (''c20'', ''c21'', ''c22'', ''none'')');
SELECT p_asked('SELECT id FROM p_t WHERE code IN (''c20'', ''c21'', ''c22'', ''c23'')');
UPDATE p_t SET v = -1 WHERE id = 20;
SELECT p_asked('SELECT id FROM p_t WHERE code IN (''c20'', ''c21'', ''c22'', ''c23'')');
SELECT p_asked('SELECT * FROM p_t WHERE code IN (''c20'', ''c21'', ''c22'', ''none'')');
SELECT * FROM p_t WHERE code IN ('c20', 'c21', 'c22', 'none') ORDER BY id;

-- the smaller batches of a join
SET enable_mergejoin = off;
SET enable_hashjoin = off;
SELECT p_asked('SELECT * FROM p_outer JOIN p_t USING (id)');
SELECT p_asked('SELECT * FROM p_outer JOIN p_t USING (id)');
SELECT count(*), sum(v) FROM p_outer JOIN p_t USING (id);
UPDATE p_t SET v = v + 1 WHERE id = 13;
SELECT p_asked('SELECT * FROM p_outer JOIN p_t USING (id)');
SELECT count(*), sum(v) FROM p_outer JOIN p_t USING (id);

DROP FOREIGN TABLE p_t;
DROP TABLE p_outer;
DROP FUNCTION p_asked;
RESET enable_mergejoin;
RESET enable_hashjoin;
