-- Keys of integer types: order, equality, ranges, and constants of other types.
\ir probe.inc

CREATE STORED TABLE up (k int NOT NULL, v text) KEY (k);
CREATE STORED TABLE down (k int NOT NULL, v text) KEY (k DESC);
INSERT INTO up SELECT k, 'v' || k FROM unnest('{5,-1,0,100,-2147483648,2147483647,-100,1,256,255,-256,65536}'::int[]) k;
INSERT INTO down SELECT * FROM up;
SELECT * FROM up ORDER BY k;
SELECT * FROM up ORDER BY k DESC;
SELECT * FROM down ORDER BY k;
SELECT * FROM down ORDER BY k DESC;
SELECT min(k), max(k) FROM up;
SELECT min(k), max(k) FROM down;
SELECT k FROM up ORDER BY k LIMIT 3;
SELECT k FROM up ORDER BY k DESC LIMIT 3 OFFSET 2;
SELECT k FROM down ORDER BY k DESC LIMIT 3;
SELECT * FROM probe('up', 'int', '-2147483648', '-1', '0', '2', '255', '2147483647');
SELECT * FROM probe('down', 'int', '-2147483648', '-1', '0', '2', '255', '2147483647');
SELECT k FROM up WHERE k BETWEEN -1 AND 255 ORDER BY k;
SELECT k FROM up WHERE k BETWEEN 255 AND -1 ORDER BY k;
SELECT k FROM up WHERE k > -1 AND k < 255 ORDER BY k;
SELECT k FROM up WHERE k >= 0 AND k > 1 AND k <= 256 AND k < 1000 ORDER BY k;
SELECT k FROM down WHERE k BETWEEN -1 AND 255 ORDER BY k;
SELECT k FROM down WHERE k > -1 AND k < 255 ORDER BY k;
SELECT k FROM up WHERE 5 = k;
SELECT k FROM up WHERE 5 < k ORDER BY k;
-- fails: a condition that cannot be computed for one of the rows
SELECT k FROM up WHERE -k = 5;
SELECT k FROM up WHERE -k::bigint = 1;
SELECT k FROM up WHERE k + 0 = 5;
SELECT k FROM up WHERE k = 5 AND k = 6;
SELECT k FROM up WHERE k = 5 AND v = 'v5';
SELECT k FROM up WHERE k = 5 AND v = 'other';
SELECT k FROM up WHERE k IN (5, 1, 77, -1, 5) ORDER BY k;
SELECT k FROM up WHERE k = ANY ('{256,NULL,255}') ORDER BY k;
SELECT k FROM up WHERE k NOT IN (5, 1, -1) ORDER BY k;
SELECT k FROM up WHERE k = 5 OR k = 100 ORDER BY k;
SELECT k FROM up WHERE k = 5 OR v = 'v100' ORDER BY k;
SELECT k FROM up WHERE NOT k = 5 ORDER BY k;
SELECT k FROM up WHERE k = NULL;
SELECT k FROM up WHERE k > NULL;
SELECT k FROM up WHERE k IS NULL;
SELECT count(*) FROM up WHERE k IS NOT NULL;
SELECT k FROM up WHERE k IS NOT DISTINCT FROM 5;
SELECT k FROM up WHERE k IS DISTINCT FROM 5 ORDER BY k;
SELECT k FROM up WHERE k % 2 = 1 AND k > 0 ORDER BY k;

-- Constants of other types, which need not fit the key's.
SELECT * FROM probe('up', 'bigint', '5', '2147483647', '2147483648', '-2147483649', '9223372036854775807');
SELECT * FROM probe('down', 'bigint', '5', '2147483648', '-2147483649');
SELECT * FROM probe('up', 'smallint', '5', '-32768');
SELECT * FROM probe('up', 'numeric', '5', '5.0', '5.5', '-0.5', '1e20');
SELECT * FROM probe('up', 'float8', '5', '5.5', '1e300', 'NaN', '-Infinity');
SELECT * FROM probe('up', 'float4', '256', '2147483647');

CREATE STORED TABLE big (k bigint NOT NULL) KEY (k);
INSERT INTO big VALUES (-9223372036854775808), (9223372036854775807), (0), (2147483648), (-2147483649), (4294967296), (-1);
SELECT * FROM big ORDER BY k;
SELECT * FROM probe('big', 'bigint', '0', '9223372036854775807', '-9223372036854775808');
SELECT * FROM probe('big', 'int', '0', '2147483647', '-1');
SELECT * FROM probe('big', 'smallint', '0', '-1');
SELECT * FROM probe('big', 'numeric', '9223372036854775807', '9223372036854775808', '0.5');

CREATE STORED TABLE small (k smallint NOT NULL) KEY (k DESC);
INSERT INTO small VALUES (-32768), (32767), (0), (1), (-1), (256), (255);
SELECT * FROM small ORDER BY k;
SELECT * FROM probe('small', 'smallint', '0', '32767', '-32768');
SELECT * FROM probe('small', 'int', '0', '32768', '-32769', '256');
SELECT * FROM probe('small', 'bigint', '0', '32768', '9223372036854775807', '255');

-- The key is unique, whatever else a row says.
-- fails: duplicate
INSERT INTO up VALUES (5, 'again');
-- fails: duplicate
INSERT INTO down VALUES (6, 'new'), (5, 'again');
-- fails: duplicate within one statement
INSERT INTO up VALUES (1000, 'a'), (1001, 'b'), (1000, 'c');
-- fails: null in a key
INSERT INTO up VALUES (NULL, 'null');
-- fails: out of range
INSERT INTO up VALUES (2147483648, 'too large');
SELECT count(*), sum(k) FROM up;
SELECT count(*), sum(k) FROM down;

-- A key column is not null even if nobody says so.
CREATE STORED TABLE unsaid (k int, v int) KEY (k);
-- fails: null in a key
INSERT INTO unsaid VALUES (NULL, 1);
-- fails: null in a key
INSERT INTO unsaid (v) VALUES (1);
INSERT INTO unsaid VALUES (1, NULL);
-- fails: null in a key
UPDATE unsaid SET k = NULL;
SELECT * FROM unsaid;

-- Many keys: a range that spans blocks, and holes.
CREATE STORED TABLE many (k int NOT NULL, v text) KEY (k);
INSERT INTO many SELECT g * 3, repeat('x', g % 50) FROM generate_series(1, 20000) g;
SELECT count(*), min(k), max(k), sum(length(v)) FROM many;
SELECT count(*), sum(k) FROM many WHERE k BETWEEN 1000 AND 50000;
SELECT count(*) FROM many WHERE k = 3000;
SELECT count(*) FROM many WHERE k = 3001;
SELECT count(*) FROM many WHERE k > 59998;
SELECT count(*) FROM many WHERE k >= 60000;
SELECT count(*) FROM many WHERE k > 60000;
SELECT k FROM many ORDER BY k DESC LIMIT 3;
SELECT k FROM many WHERE k < 30000 ORDER BY k DESC LIMIT 3;
DELETE FROM many WHERE k BETWEEN 100 AND 59900;
SELECT count(*), sum(k) FROM many;
SELECT k FROM many WHERE k > 90 ORDER BY k LIMIT 6;
