-- Keys of the remaining types: bool, oid, bytea, uuid, network addresses, enums,
-- domains.
\ir probe.inc

CREATE STORED TABLE b (k bool NOT NULL, v int) KEY (k);
INSERT INTO b VALUES (true, 1), (false, 2);
SELECT * FROM b ORDER BY k;
SELECT * FROM b ORDER BY k DESC;
SELECT * FROM probe('b', 'bool', 'true', 'false');
SELECT v FROM b WHERE k;
SELECT v FROM b WHERE NOT k;
SELECT v FROM b WHERE k IS TRUE;
SELECT v FROM b WHERE k IS NOT TRUE;
SELECT v FROM b WHERE k = (v = 1) ORDER BY v;
-- fails: duplicate
INSERT INTO b VALUES (true, 3);

CREATE STORED TABLE o (k oid NOT NULL, v int) KEY (k DESC);
INSERT INTO o VALUES (0, 1), (4294967295, 2), (2147483648, 3), (1, 4), (2147483647, 5);
SELECT * FROM o ORDER BY k;
SELECT * FROM probe('o', 'oid', '0', '4294967295', '2147483648', '2');
SELECT * FROM probe('o', 'bigint', '4294967295', '0');
SELECT v FROM o WHERE k = 1;
SELECT v FROM o WHERE k = 'pg_class'::regclass;
INSERT INTO o SELECT 'pg_class'::regclass, 99;
SELECT v FROM o WHERE k = 'pg_class'::regclass;

CREATE STORED TABLE y (k bytea NOT NULL, v int) KEY (k);
CREATE STORED TABLE ydown (k bytea NOT NULL, v int) KEY (k DESC);
INSERT INTO y VALUES ('', 1), ('\x00', 2), ('\x0000', 3), ('\x00ff', 4), ('\xff', 5), ('\xff00', 6), ('\xffff', 7), ('\x01', 8), ('\x0001', 9), ('\x7f80', 10);
INSERT INTO ydown SELECT * FROM y;
SELECT * FROM y ORDER BY k;
SELECT * FROM ydown ORDER BY k DESC;
SELECT * FROM probe('y', 'bytea', '', '\x00', '\x00ff', '\xff', '\x0001', '\x02');
SELECT * FROM probe('ydown', 'bytea', '', '\x00', '\xff', '\xffff');
-- fails: duplicate
INSERT INTO y VALUES ('\x0000', 20);

CREATE STORED TABLE u (k uuid NOT NULL, v int) KEY (k);
INSERT INTO u SELECT md5(g::text)::uuid, g FROM generate_series(1, 20) g;
INSERT INTO u VALUES ('00000000-0000-0000-0000-000000000000', 21), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 22);
SELECT * FROM u ORDER BY k;
SELECT v FROM u WHERE k = md5('7')::uuid;
SELECT v FROM u WHERE k = 'C4CA4238A0B923820DCC509A6F75849B';
SELECT v FROM u WHERE k < 'a0000000-0000-0000-0000-000000000000' ORDER BY k;
SELECT v FROM u WHERE k >= 'c4ca4238-a0b9-2382-0dcc-509a6f75849b' ORDER BY k;
-- fails: duplicate
INSERT INTO u VALUES (md5('7')::uuid, 0);

CREATE STORED TABLE i (k inet NOT NULL, v int) KEY (k);
CREATE STORED TABLE idown (k inet NOT NULL, v int) KEY (k DESC);
INSERT INTO i VALUES ('10.0.0.1', 1), ('10.0.0.1/8', 2), ('10.0.0.0/8', 3), ('9.255.255.255', 4), ('10.0.0.2/24', 5), ('::', 6), ('::1', 7), ('0.0.0.0/0', 8),
    ('10.0.0.1/24', 9), ('255.255.255.255', 10), ('2001:db8::1/64', 11), ('2001:db8::1', 12), ('10.128.0.0/9', 13), ('10.0.0.0/32', 14), ('::/0', 15);
INSERT INTO idown SELECT * FROM i;
SELECT * FROM i ORDER BY k;
SELECT * FROM idown ORDER BY k DESC;
SELECT * FROM probe('i', 'inet', '10.0.0.1', '10.0.0.0/8', '10.0.0.1/24', '::', '0.0.0.0');
SELECT * FROM probe('idown', 'inet', '10.0.0.1/8', '::1');
SELECT * FROM probe('i', 'cidr', '10.0.0.0/8', '10.0.0.1/32');
SELECT v FROM i WHERE k << '10.0.0.0/8' ORDER BY k;
SELECT v FROM i WHERE k <<= '10.0.0.0/24' ORDER BY k;
SELECT v FROM i WHERE k >>= '10.0.0.1' ORDER BY k;
SELECT v FROM i WHERE k && '2001:db8::/32' ORDER BY k;
-- fails: duplicate
INSERT INTO i VALUES ('10.0.0.1/32', 20);
CREATE STORED TABLE ci (k cidr NOT NULL, v int) KEY (k);
INSERT INTO ci VALUES ('10.0.0.0/8', 1), ('10.0.0.0/16', 2), ('10.0.0.0/32', 3), ('0.0.0.0/0', 4), ('::/0', 5), ('2001:db8::/32', 6), ('10.128.0.0/9', 7), ('11.0.0.0/8', 8);
SELECT * FROM ci ORDER BY k;
SELECT * FROM probe('ci', 'cidr', '10.0.0.0/8', '::/0');
SELECT * FROM probe('ci', 'inet', '10.0.0.1/8', '10.0.0.0/8');

CREATE STORED TABLE m (k macaddr NOT NULL, v int) KEY (k);
INSERT INTO m VALUES ('08:00:2b:01:02:03', 1), ('00:00:00:00:00:00', 2), ('ff:ff:ff:ff:ff:ff', 3), ('80:00:00:00:00:00', 4), ('08:00:2b:81:02:03', 5), ('08:00:2b:00:ff:ff', 6);
SELECT * FROM m ORDER BY k;
SELECT * FROM probe('m', 'macaddr', '08:00:2b:01:02:03', '80:00:00:00:00:00');

-- Enums: equality; their order is that of their labels, also of later ones.
CREATE TYPE size AS ENUM ('small', 'medium', 'large');
CREATE STORED TABLE e (k size NOT NULL, v int) KEY (k);
INSERT INTO e VALUES ('large', 1), ('small', 2), ('medium', 3);
SELECT * FROM e ORDER BY k;
SELECT * FROM e WHERE k = 'medium';
SELECT * FROM e WHERE k > 'small' ORDER BY k;
SELECT * FROM e WHERE k <= 'medium' ORDER BY k DESC;
SELECT min(k), max(k) FROM e;
ALTER TYPE size ADD VALUE 'tiny' BEFORE 'small';
INSERT INTO e VALUES ('tiny', 4);
SELECT * FROM e ORDER BY k;
SELECT * FROM e WHERE k < 'medium' ORDER BY k;
-- fails: duplicate
INSERT INTO e VALUES ('tiny', 5);
-- fails: no label
SELECT * FROM e WHERE k = 'huge';

-- Domains are what they are over.
CREATE DOMAIN evenint AS int CHECK (VALUE % 2 = 0);
CREATE STORED TABLE dm (k evenint NOT NULL, v int) KEY (k);
INSERT INTO dm VALUES (2, 1), (-2, 2), (0, 3);
SELECT * FROM dm ORDER BY k;
SELECT * FROM probe('dm', 'int', '0', '1', '-2');
SELECT * FROM probe('dm', 'evenint', '0', '2');
SELECT * FROM probe('dm', 'bigint', '2', '2147483648');
-- fails: domain
INSERT INTO dm VALUES (3, 4);
-- fails: duplicate
INSERT INTO dm VALUES (2, 4);
