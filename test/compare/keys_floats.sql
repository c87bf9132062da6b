-- Keys of float and numeric types.
\ir probe.inc

CREATE STORED TABLE f8 (k float8 NOT NULL, v int) KEY (k);
CREATE STORED TABLE f8down (k float8 NOT NULL, v int) KEY (k DESC);
INSERT INTO f8 VALUES (0.1, 1), (-0.1, 2), (0, 3), ('NaN', 4), ('Infinity', 5), ('-Infinity', 6), (1e300, 7),
    (-1e300, 8), (5e-324, 9), (-5e-324, 10), (1, 11), (0.1::float4, 12), (1.5, 13);
INSERT INTO f8down SELECT * FROM f8;
SELECT * FROM f8 ORDER BY k;
SELECT * FROM f8 ORDER BY k DESC;
SELECT * FROM f8down ORDER BY k;
SELECT * FROM f8down ORDER BY k DESC;
SELECT * FROM probe('f8', 'float8', '0', '-0', '0.1', 'NaN', 'Infinity', '-Infinity', '0.5');
SELECT * FROM probe('f8down', 'float8', '0', '-0', '0.1', 'NaN', 'Infinity', '-Infinity', '0.5');
SELECT * FROM probe('f8', 'float4', '0.1', '1', '1.5', 'NaN', 'Infinity', '0');
SELECT * FROM probe('f8down', 'float4', '0.1', '1', '1.5', 'NaN', '-Infinity', '0');
SELECT * FROM probe('f8', 'int', '0', '1');
SELECT * FROM probe('f8', 'numeric', '0.1', '1');
SELECT v FROM f8 WHERE k = 1::float4;
SELECT v FROM f8 WHERE k BETWEEN '-Infinity' AND 'Infinity' ORDER BY k;
SELECT v FROM f8 WHERE k IN ('NaN', 0.1, '-0') ORDER BY v;
-- fails: the two zeros are the same key
INSERT INTO f8 VALUES ('-0', 20);
-- fails: NaN equals NaN here
INSERT INTO f8 VALUES ('NaN', 20);
DELETE FROM f8 WHERE k = 0;
INSERT INTO f8 VALUES ('-0', 20);
SELECT * FROM f8 WHERE k = 0;
UPDATE f8 SET k = 0 WHERE v = 20;
SELECT * FROM f8 WHERE k = 0;
UPDATE f8 SET k = -k WHERE v = 20;
SELECT * FROM f8 WHERE k = '-0';

CREATE STORED TABLE f4 (k float4 NOT NULL, v int) KEY (k);
INSERT INTO f4 VALUES (0.1, 1), (-0.1, 2), ('NaN', 4), ('Infinity', 5), ('-Infinity', 6), (1e38, 7), (1e-45, 9), (1, 11), ('-0', 12);
SELECT * FROM f4 ORDER BY k;
SELECT * FROM probe('f4', 'float4', '0', '0.1', 'NaN', '1e38');
SELECT * FROM probe('f4', 'float8', '0', '0.1', '1', '1e300', 'NaN', '0.10000000149011612');
SELECT * FROM probe('f4', 'int', '1', '16777217');

CREATE STORED TABLE n (k numeric NOT NULL, v int) KEY (k);
CREATE STORED TABLE ndown (k numeric NOT NULL, v int) KEY (k DESC);
INSERT INTO n VALUES (20.50, 1), (-20.5, 2), (0.000, 3), ('NaN', 4), ('Infinity', 5), ('-Infinity', 6), (1e100, 7),
    (-1e100, 8), (1e-100, 9), (-1e-100, 10), (10000, 11), (9999, 12), (10000.0001, 13), (9999.9999, 14), (0.1, 15),
    (100000000, 16), (0.00001, 17), (-9999, 18), (-10000, 19), (-10000.0001, 20), (1.00, 21), (0.09, 22), (0.0901, 23);
INSERT INTO ndown SELECT * FROM n;
SELECT * FROM n ORDER BY k;
SELECT * FROM ndown ORDER BY k;
SELECT v FROM ndown ORDER BY k DESC;
SELECT * FROM probe('n', 'numeric', '20.5', '20.500', '0', '1', 'NaN', 'Infinity', '-Infinity', '1e100', '-9999.5', '0.1000');
SELECT * FROM probe('ndown', 'numeric', '20.5', '0.0', '1', 'NaN', 'Infinity', '-Infinity', '1e-100', '10000.00005');
SELECT * FROM probe('n', 'int', '0', '1', '10000', '-9999');
SELECT * FROM probe('n', 'bigint', '100000000', '1');
SELECT * FROM probe('n', 'float8', '20.5', '0.1', 'NaN');
-- fails: the same value in another scale
INSERT INTO n VALUES (20.500, 30);
-- fails: the same value in another scale
INSERT INTO n VALUES (0, 30);
-- fails: NaN equals NaN here
INSERT INTO n VALUES ('NaN', 30);
-- The scale of the stored value stays, and changes with an update.
SELECT k FROM n WHERE k = 20.5;
UPDATE n SET k = 20.5000 WHERE k = 20.5;
SELECT k, scale(k) FROM n WHERE k = 20.5;
UPDATE n SET v = 100 WHERE k = 1;
SELECT * FROM n WHERE k = 1.0000;

CREATE STORED TABLE n2 (k numeric(8,2) NOT NULL, v int) KEY (k);
INSERT INTO n2 SELECT g / 7.0, g FROM generate_series(-20, 20) g;
SELECT * FROM n2 ORDER BY k;
SELECT * FROM n2 WHERE k = 0.14;
SELECT * FROM n2 WHERE k = 0.140000;
SELECT * FROM n2 WHERE k = 0.141;
SELECT * FROM n2 WHERE k > 1.001 AND k < 1.5 ORDER BY k;
-- fails: rounded to a key that exists
INSERT INTO n2 VALUES (0.1404, 50);
