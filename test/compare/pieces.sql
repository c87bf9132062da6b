-- Scans of tables so large that several threads of storage read pieces of them at
-- the same time: groups, and conditions that leave few rows.
CREATE STORED TABLE p (id int NOT NULL, grp int, word text COLLATE "C", n numeric, f float8, pad text) KEY (id);
INSERT INTO p SELECT g, g * 7919 % 13, 'w' || g * 31 % 5000, g / 8.0, g / 4.0, repeat('x', 100 + g % 50)
	FROM generate_series(1, 60000) g;
CREATE STORED INDEX p_word ON p (word);

SELECT count(*), sum(id), min(word), max(word), sum(n), avg(id) FROM p;
SELECT grp, count(*), sum(id), max(n) FROM p GROUP BY grp ORDER BY grp;
SELECT grp, count(*) FROM p WHERE id > 1000 AND id < 59000 AND f > 77 GROUP BY grp HAVING count(*) > 3 ORDER BY grp;
SELECT count(*), sum(f) FROM p WHERE grp = 5;
SELECT sum(f), round(stddev(f)::numeric, 6) FROM p;
SELECT count(*) FROM p WHERE n < 0;
SELECT sum(id), count(n) FROM p WHERE id IN (1, 30000, 60000, 60001) OR id BETWEEN 10000 AND 50000;
SELECT word, count(*) FROM p WHERE word > 'w1' AND word < 'w3' AND grp < 11 GROUP BY word ORDER BY 2 DESC, 1 LIMIT 5;

-- few rows, in the order of the key also without a sort
SELECT id, word FROM p WHERE grp = 3 AND f BETWEEN 3000 AND 3100 OR id > 59990 AND grp <> 1 ORDER BY id;
SELECT id FROM p WHERE word = 'w77' AND grp IN (1, 2, 3) ORDER BY id DESC;
SELECT id, pad FROM p WHERE n = 100 OR n = 7000 ORDER BY id;
SELECT id FROM p WHERE f = 10000 LIMIT 1;
SELECT count(*) FROM (SELECT id FROM p WHERE f > 14000 AND grp = 2 ORDER BY id OFFSET 3) s;

-- own changes, in all pieces
BEGIN;
UPDATE p SET f = -1 WHERE id IN (2, 20000, 40000, 59999);
DELETE FROM p WHERE id IN (3, 20001, 40001, 60000);
INSERT INTO p VALUES (0, 1, 'w', 1, -1, ''), (70000, 2, 'w', 1, -1, '');
SELECT id, grp FROM p WHERE f = -1 ORDER BY id;
SELECT count(*), sum(id), min(f) FROM p;
SELECT grp, count(*) FROM p WHERE f < 2000 GROUP BY grp ORDER BY grp;
SAVEPOINT s;
DELETE FROM p WHERE f = -1;
SELECT count(*), sum(id) FROM p WHERE f < 100;
ROLLBACK TO s;
SELECT count(*), sum(id) FROM p WHERE f < 100;
DECLARE c CURSOR FOR SELECT id FROM p WHERE grp = 4 AND f > 14000 ORDER BY id;
FETCH 3 FROM c;
UPDATE p SET grp = 5 WHERE grp = 4;
FETCH 3 FROM c;
CLOSE c;
ROLLBACK;

-- again and again, with other values
SELECT v, (SELECT count(*) FROM p WHERE f < v), (SELECT min(id) FROM p WHERE f > v AND grp = 6)
	FROM (VALUES (-1), (100), (7000), (14900), (20000)) x (v) ORDER BY v;
PREPARE q (int, float8) AS SELECT count(*), sum(id), max(word) FROM p WHERE id > $1 AND f < $2;
EXECUTE q (0, 100);
EXECUTE q (20000, 10000);
EXECUTE q (50000, 100);
UPDATE p SET grp = -grp WHERE f > 14990 AND word < 'w3';
DELETE FROM p WHERE f < 5;
SELECT count(*), sum(grp), min(id) FROM p;
