-- Options of tables: what is allowed, and what is said of the rest.
\set VERBOSITY terse
CREATE SCHEMA opt;
SET search_path = opt;
CREATE TYPE mood AS ENUM ('sad', 'ok');

-- unknown ones
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_keys 'k');
CREATE FOREIGN TABLE o (k int OPTIONS (key 'true')) SERVER kalam;
CREATE SERVER other FOREIGN DATA WRAPPER kalam_fdw OPTIONS (host 'here');
CREATE USER MAPPING FOR CURRENT_USER SERVER kalam OPTIONS (password 'x');
ALTER FOREIGN DATA WRAPPER kalam_fdw OPTIONS (debug 'on');

-- bad values
\set VERBOSITY default
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key '');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k,');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k DOWN');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k DESC ASC');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', on_conflict 'update');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', compression 'gzip');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', bloom_fpr '2');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', bloom_fpr 'low');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', on_drop 'never');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', cache 'perhaps');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', cache_ttl 'soon');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', cache_ttl '-1 second');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k', primary_key 'k');

-- key columns
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'j');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'k, k');
CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (primary_key 'tableoid');
CREATE FOREIGN TABLE o (k json) SERVER kalam OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE o (k int[]) SERVER kalam OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE o (k point) SERVER kalam OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE o (k int4range) SERVER kalam OPTIONS (primary_key 'k');
-- nothing is left of them
SELECT count(*) FROM pg_foreign_table WHERE ftrelid::regclass::text LIKE 'o%';
SELECT count(*) FROM kalam.tables WHERE namespace = 'opt';

-- good ones, as they are shown
CREATE FOREIGN TABLE o (
    "Odd, name" mood, b text COLLATE "C", c numeric, d text
) SERVER kalam OPTIONS (
    primary_key '"Odd, name" , b desc,  C ASC', on_conflict 'replace',
    compression 'zstd', bloom_fpr '0', on_drop 'drop', cache 'off', cache_ttl '1 min 30 s');
\d o
SELECT namespace, name, kind, primary_key, schema_version, options, kept
    FROM kalam.tables WHERE namespace = 'opt';
INSERT INTO o VALUES ('sad', 'x', 1.50, 'first'), ('sad', 'x', 1.5, 'second');
SELECT * FROM o;
ALTER FOREIGN TABLE o OPTIONS (SET on_conflict 'ignore', DROP cache);
INSERT INTO o VALUES ('sad', 'x', 1.500, 'third'), ('ok', 'y', 0, 'new') RETURNING d;
ALTER FOREIGN TABLE o OPTIONS (SET on_conflict 'error', SET compression 'none', SET bloom_fpr '0.1');
INSERT INTO o VALUES ('sad', 'x', 1.5000, 'fourth');
INSERT INTO o VALUES ('sad', 'x', 1.5000, 'fourth') ON CONFLICT DO NOTHING;
INSERT INTO o VALUES ('sad', 'x', 1.5000, 'fourth')
    ON CONFLICT ("Odd, name", b, c) DO UPDATE SET d = excluded.d;
SELECT * FROM o ORDER BY d;
-- an interval is the same in all sessions
SET intervalstyle = sql_standard;
ALTER FOREIGN TABLE o OPTIONS (SET cache_ttl '-1 day 25:00:00');
SELECT count(*) FROM o;
RESET intervalstyle;
ALTER FOREIGN TABLE o OPTIONS (ADD on_conflict 'error');
ALTER FOREIGN TABLE o OPTIONS (SET primary_key 'nope');
ALTER FOREIGN TABLE o OPTIONS (SET compression 'best');
-- another key: rows are stored anew, and must be unique under it
ALTER FOREIGN TABLE o OPTIONS (SET primary_key 'd');
ALTER FOREIGN TABLE o ALTER COLUMN "Odd, name" DROP NOT NULL;
ALTER FOREIGN TABLE o ALTER COLUMN d DROP NOT NULL;
UPDATE o SET b = 'same', c = NULL;
ALTER FOREIGN TABLE o OPTIONS (SET primary_key 'b');
ALTER FOREIGN TABLE o OPTIONS (SET primary_key 'c');
ALTER FOREIGN TABLE o OPTIONS (DROP primary_key);
INSERT INTO o SELECT * FROM o;
SELECT count(*) FROM o;
\d o
DROP SCHEMA opt CASCADE;
