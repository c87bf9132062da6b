-- Keys of date and time types.
\ir probe.inc

CREATE STORED TABLE d (k date NOT NULL, v int) KEY (k);
CREATE STORED TABLE ddown (k date NOT NULL, v int) KEY (k DESC);
INSERT INTO d VALUES ('2024-02-29', 1), ('2024-03-01', 2), ('1970-01-01', 3), ('1969-12-31', 4), ('2000-01-01', 5), ('1999-12-31', 6),
    ('infinity', 7), ('-infinity', 8), ('4713-01-01 BC', 9), ('5874897-12-31', 10);
INSERT INTO ddown SELECT * FROM d;
SELECT * FROM d ORDER BY k;
SELECT * FROM ddown ORDER BY k DESC;
SELECT * FROM probe('d', 'date', '2024-02-29', '2000-01-01', 'infinity', '-infinity', '2024-01-01');
SELECT * FROM probe('ddown', 'date', '2024-02-29', 'infinity', '-infinity');
SELECT * FROM probe('d', 'timestamp', '2024-02-29', '2024-02-29 00:00:01', '2024-02-28 23:59:59.999999', 'infinity', '-infinity', '294276-12-31');
SELECT * FROM probe('ddown', 'timestamp', '2024-02-29', '2024-02-29 00:00:01', 'infinity');
SELECT * FROM probe('d', 'timestamptz', '2024-02-29 00:00+00', '2024-02-29 02:00+02', 'infinity');
SET timezone = 'America/New_York';
SELECT * FROM probe('d', 'timestamptz', '2024-02-29 00:00+00', '2024-02-29 05:00+00');
RESET timezone;
SELECT v FROM d WHERE k = '2024-02-29'::date + 1;
SELECT v FROM d WHERE k < now()::date AND k > '1999-12-31' ORDER BY k;
SELECT v FROM d WHERE k >= date '2024-03-01' - interval '1 day' AND k < 'infinity' ORDER BY k;
SELECT v FROM d WHERE extract(year FROM k) = 2024 ORDER BY k;

CREATE STORED TABLE t (k timestamp NOT NULL, v int) KEY (k);
INSERT INTO t VALUES ('2024-02-29', 1), ('2024-02-29 00:00:00.000001', 2), ('2024-02-28 23:59:59.999999', 3), ('infinity', 4), ('-infinity', 5),
    ('2000-01-01', 6), ('1999-12-31 23:59:59.999999', 7), ('4713-01-01 BC', 8), ('294276-12-31 23:59:59.999999', 9);
SELECT * FROM t ORDER BY k;
SELECT * FROM probe('t', 'timestamp', '2024-02-29', 'infinity', '-infinity', '2000-01-01');
SELECT * FROM probe('t', 'date', '2024-02-29', '2000-01-01', 'infinity', '-infinity', '5874897-12-31', '4713-01-01 BC');
SELECT * FROM probe('t', 'timestamptz', '2024-02-29 00:00+00', 'infinity');
SET timezone = 'Asia/Tokyo';
SELECT * FROM probe('t', 'timestamptz', '2024-02-29 00:00+00', '2024-02-29 00:00+09');
RESET timezone;

CREATE STORED TABLE tz (k timestamptz NOT NULL, v int) KEY (k DESC);
INSERT INTO tz VALUES ('2024-02-29 00:00+00', 1), ('2024-02-29 00:00+01', 2), ('2024-02-29 00:00-01', 3), ('infinity', 4), ('-infinity', 5),
    ('2000-01-01 00:00+00', 6), ('1970-01-01 00:00+00', 7);
SELECT * FROM tz ORDER BY k;
SELECT * FROM tz ORDER BY k DESC LIMIT 3;
SELECT * FROM probe('tz', 'timestamptz', '2024-02-29 00:00+00', '2024-02-29 02:00+02', 'infinity');
SELECT * FROM probe('tz', 'date', '2024-02-29', 'infinity');
SELECT * FROM probe('tz', 'timestamp', '2024-02-29 00:00');
SET timezone = 'Asia/Tokyo';
SELECT * FROM probe('tz', 'date', '2024-02-29', '2000-01-01');
SELECT * FROM probe('tz', 'timestamp', '2024-02-29 09:00', '2024-02-29 00:00');
-- fails: the same moment
INSERT INTO tz VALUES ('2024-02-29 09:00', 10);
SELECT * FROM tz WHERE k = '2024-02-29 09:00';
RESET timezone;

CREATE STORED TABLE ti (k time NOT NULL, v int) KEY (k);
INSERT INTO ti VALUES ('00:00', 1), ('24:00', 2), ('12:00', 3), ('23:59:59.999999', 4), ('00:00:00.000001', 5);
SELECT * FROM ti ORDER BY k;
SELECT * FROM probe('ti', 'time', '12:00', '24:00', '00:00');
SELECT * FROM probe('ti', 'interval', '12:00', '1 day');

-- timetz: ordered by the moment, then by the zone; both count for equality.
CREATE STORED TABLE tt (k timetz NOT NULL, v int) KEY (k);
INSERT INTO tt VALUES ('12:00+00', 1), ('13:00+01', 2), ('11:00-01', 3), ('00:00+00', 4), ('24:00+00', 5), ('23:00-02', 6), ('12:00+05:30', 7);
SELECT * FROM tt ORDER BY k;
SELECT * FROM tt ORDER BY k DESC;
SELECT * FROM probe('tt', 'timetz', '12:00+00', '13:00+01', '10:00-02', '24:00+00');
-- fails: duplicate
INSERT INTO tt VALUES ('12:00+00', 8);

-- interval: a month counts 30 days, a day 24 hours.
CREATE STORED TABLE i (k interval NOT NULL, v int) KEY (k);
CREATE STORED TABLE idown (k interval NOT NULL, v int) KEY (k DESC);
INSERT INTO i VALUES ('1 mon', 1), ('1 day', 2), ('25 hours', 3), ('0', 4), ('-1 day', 5), ('-1 mon', 6), ('1 year', 7), ('361 days', 8),
    ('178000000 years', 9), ('-178000000 years', 10), ('1 mon -1 day', 11), ('0.000001 s', 12), ('-0.000001 s', 13), ('00:00:01', 14);
INSERT INTO idown SELECT * FROM i;
SELECT * FROM i ORDER BY k;
SELECT * FROM idown ORDER BY k;
SELECT * FROM probe('i', 'interval', '30 days', '1 day', '24 hours', '360 days', '0', '-24:00:00', '29 days');
SELECT * FROM probe('idown', 'interval', '720 hours', '24 hours', '12 mons', '0');
SELECT * FROM probe('i', 'time', '00:00', '00:00:01');
-- fails: as long as a month
INSERT INTO i VALUES ('30 days', 20);
-- fails: as long as a day
INSERT INTO idown VALUES ('24 hours', 20);
SELECT * FROM i WHERE k = '30 days';
UPDATE i SET k = '720 hours' WHERE k = '30 days';
SELECT * FROM i WHERE k = '1 mon';
