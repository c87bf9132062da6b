-- Who may do what.
CREATE SCHEMA priv;
CREATE ROLE regress_kalam_owner;
CREATE ROLE regress_kalam_reader;
CREATE ROLE regress_kalam_nobody;
CREATE ROLE regress_kalam_monitor;
GRANT pg_monitor TO regress_kalam_monitor;
GRANT ALL ON SCHEMA priv TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER kalam TO regress_kalam_owner;
SET search_path = priv;

SET ROLE regress_kalam_nobody;
CREATE FOREIGN TABLE p (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
SET ROLE regress_kalam_owner;
CREATE FOREIGN TABLE p (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO p VALUES (1, 'a'), (2, 'b');
GRANT SELECT (k) ON p TO regress_kalam_reader;

SET ROLE regress_kalam_reader;
SELECT k FROM p;
SELECT k FROM p WHERE k = 2;
SELECT * FROM p;
SELECT k FROM p WHERE v = 'a';
INSERT INTO p VALUES (3, 'c');
UPDATE p SET v = 'x';
DELETE FROM p;
TRUNCATE p;
COPY (SELECT * FROM p) TO stdout;
COPY (SELECT k FROM p) TO stdout;
SELECT k FROM p FOR UPDATE;
SELECT kalam.flush('p');
SELECT kalam.compact('p');
SELECT kalam.table_size('p') >= 0;
SELECT count(*) FROM kalam.tables;
SELECT count(*) FROM kalam.namespaces;
SELECT count(*) FROM kalam.stored_tables();
DROP FOREIGN TABLE p;
ALTER FOREIGN TABLE p OPTIONS (SET primary_key 'v');

SET ROLE regress_kalam_nobody;
SELECT k FROM p;
SELECT kalam.table_size('p') >= 0;

SET ROLE regress_kalam_monitor;
SELECT namespace, name FROM kalam.tables WHERE namespace = 'priv';
SELECT * FROM kalam.namespaces WHERE namespace = 'priv';
SELECT kalam.flush('p');

SET ROLE regress_kalam_owner;
SELECT kalam.flush('p');
SELECT kalam.compact('p');
SELECT kalam.table_size('p') >= 0;
SELECT * FROM p;

-- row security does not apply to foreign tables; views do
RESET ROLE;
CREATE VIEW over AS SELECT v FROM p WHERE k = 1;
ALTER VIEW over OWNER TO regress_kalam_owner;
GRANT SELECT ON over TO regress_kalam_nobody;
SET ROLE regress_kalam_nobody;
SELECT * FROM over;
RESET ROLE;

-- what is no stored table
CREATE TABLE heap (k int);
SELECT kalam.table_size('heap');
SELECT kalam.flush('heap');
SELECT kalam.compact('over');
SELECT kalam.table_size(0::regclass);
SELECT kalam.table_size(NULL);
DROP SCHEMA priv CASCADE;
REVOKE USAGE ON FOREIGN SERVER kalam FROM regress_kalam_owner;
DROP ROLE regress_kalam_owner, regress_kalam_reader, regress_kalam_nobody, regress_kalam_monitor;
