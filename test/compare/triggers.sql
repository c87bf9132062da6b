-- Triggers of every kind that a foreign table can have.

CREATE STORED TABLE t (id int NOT NULL, v text, n int, doubled int GENERATED ALWAYS AS (n * 2) STORED) KEY (id);
CREATE TABLE log (no serial, entry text);
CREATE FUNCTION trace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log (entry) VALUES (format('%s %s %s %s: %s -> %s', TG_NAME, TG_WHEN, TG_LEVEL, TG_OP,
        CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN OLD::text END,
        CASE WHEN TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN NEW::text END));
    IF TG_WHEN = 'AFTER' OR TG_LEVEL = 'STATEMENT' THEN RETURN NULL; END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_before_row BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION trace();
CREATE TRIGGER b_after_row AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION trace();
CREATE TRIGGER c_before_stmt BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION trace();
CREATE TRIGGER d_after_stmt AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION trace();

INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
INSERT INTO t (id, v) SELECT g, 'selected' FROM generate_series(3, 4) g;
UPDATE t SET v = upper(v) WHERE id <= 2;
UPDATE t SET id = 10 WHERE id = 1;
UPDATE t SET n = 5 WHERE id = 99;
DELETE FROM t WHERE id = 2;
DELETE FROM t WHERE id = 99;
COPY t (id, v, n) FROM STDIN;
20	copied	20
21	copied	21
\.
SELECT entry FROM log ORDER BY no;
SELECT * FROM t ORDER BY id;
TRUNCATE log RESTART IDENTITY;
-- fails: duplicate
INSERT INTO t VALUES (30, 'thirty', 1), (20, 'twenty', 2);
SELECT entry FROM log ORDER BY no;
SELECT count(*) FROM t;
DROP TRIGGER a_before_row ON t;
DROP TRIGGER b_after_row ON t;
DROP TRIGGER c_before_stmt ON t;
DROP TRIGGER d_after_stmt ON t;

-- BEFORE triggers that change rows, skip them, and refuse them.
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.v = 'skip' THEN RETURN NULL; END IF;
    IF NEW.v = 'refuse' THEN RAISE EXCEPTION 'refused %', NEW.id; END IF;
    NEW.v := NEW.v || ' (seen)';
    NEW.n := coalesce(NEW.n, 0) + 100;
    IF NEW.v LIKE 'move%' THEN NEW.id := NEW.id + 1000; END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION change();
INSERT INTO t VALUES (40, 'plain', 1) RETURNING *;
INSERT INTO t VALUES (41, 'skip', 1) RETURNING *;
INSERT INTO t VALUES (42, 'move', 1) RETURNING *;
-- fails: the trigger refuses
INSERT INTO t VALUES (43, 'plain', 1), (44, 'refuse', 1);
UPDATE t SET v = 'skip' WHERE id = 40 RETURNING *;
UPDATE t SET v = 'moved' WHERE id = 40 RETURNING *;
-- fails: the trigger refuses
UPDATE t SET v = 'refuse' WHERE id = 10;
-- fails: the trigger makes a null key
UPDATE t SET id = NULL WHERE id = 10;
COPY t (id, v) FROM STDIN;
50	plain
51	skip
52	move
\.
SELECT * FROM t ORDER BY id;
DROP TRIGGER change ON t;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.n >= 100 THEN RETURN NULL; END IF; RETURN OLD; END';
CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep();
WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x ORDER BY id;
SELECT id, n FROM t ORDER BY id;
DROP TRIGGER keep ON t;

-- WHEN, UPDATE OF, and arguments.
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''% % %'', TG_ARGV[0], OLD.id, NEW.v; RETURN NEW; END';
CREATE TRIGGER when_v BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.v IS DISTINCT FROM NEW.v) EXECUTE FUNCTION note('changed');
CREATE TRIGGER of_n AFTER UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION note('n set');
UPDATE t SET v = v WHERE id = 50;
UPDATE t SET v = 'other' WHERE id = 50;
UPDATE t SET n = n WHERE id = 50;
UPDATE t SET n = 1, v = 'both' WHERE id = 50;
ALTER STORED TABLE t DISABLE TRIGGER when_v;
UPDATE t SET v = 'quiet' WHERE id = 50;
ALTER STORED TABLE t ENABLE TRIGGER when_v;
UPDATE t SET v = 'loud' WHERE id = 50;
DROP TRIGGER when_v ON t;
DROP TRIGGER of_n ON t;

-- AFTER triggers see all rows of the statement; what they write is kept with it.
CREATE STORED TABLE totals (what text COLLATE "C" NOT NULL, total bigint) KEY (what);
INSERT INTO totals VALUES ('rows', 0);
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE totals SET total = (SELECT count(*) FROM t) WHERE what = 'rows';
    RETURN NULL;
END
$$;
CREATE TRIGGER count_rows AFTER INSERT OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION count_rows();
INSERT INTO t (id) SELECT g FROM generate_series(100, 119) g;
SELECT total = (SELECT count(*) FROM t) AS right FROM totals;
BEGIN;
DELETE FROM t WHERE id >= 100;
SELECT total FROM totals;
ROLLBACK;
SELECT total = (SELECT count(*) FROM t) AS right FROM totals;
DROP TRIGGER count_rows ON t;
CREATE FUNCTION cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.id < 1010 THEN INSERT INTO t (id, v) VALUES (NEW.id + 1, 'follows ' || NEW.id); END IF;
    ELSE
        DELETE FROM t WHERE id = OLD.id + 1;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER cascade_in AFTER INSERT ON t FOR EACH ROW WHEN (NEW.id BETWEEN 1000 AND 1009) EXECUTE FUNCTION cascade();
CREATE TRIGGER cascade_out AFTER DELETE ON t FOR EACH ROW WHEN (OLD.id BETWEEN 1000 AND 1009) EXECUTE FUNCTION cascade();
DELETE FROM t WHERE id >= 1000;
INSERT INTO t (id, v) VALUES (1000, 'first');
SELECT id, v FROM t WHERE id >= 1000 ORDER BY id;
DELETE FROM t WHERE id = 1003;
SELECT id, v FROM t WHERE id >= 1000 ORDER BY id;
DROP TRIGGER cascade_in ON t;
DROP TRIGGER cascade_out ON t;

-- A row that a BEFORE trigger changes under the statement's hands.
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE t SET v = ''meddled'' WHERE id = NEW.id; RETURN NEW; END';
CREATE TRIGGER meddle BEFORE UPDATE ON t FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION meddle();
-- fails: the row was changed by an operation that the command triggered
UPDATE t SET v = 'mine' WHERE id = 50;
SELECT v FROM t WHERE id = 50;
DROP TRIGGER meddle ON t;

-- TRUNCATE has no triggers on foreign tables; statement triggers fire for no rows.
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''% %'', TG_OP, TG_WHEN; RETURN NULL; END';
CREATE TRIGGER say BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION say();
INSERT INTO t (id) SELECT 1 WHERE false;
UPDATE t SET v = v WHERE false;
DELETE FROM t WHERE false;

-- A condition is tried once for each row, also where the scan locks.
CREATE SEQUENCE tried;
CREATE STORED TABLE once (id int, v text) KEY (id);
CREATE FUNCTION as_is() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER as_is BEFORE UPDATE ON once FOR EACH ROW EXECUTE FUNCTION as_is();
INSERT INTO once SELECT g, 'a' FROM generate_series(1, 10) g;
UPDATE once SET v = 'b' WHERE id > 0 AND nextval('tried') % 2 = 0;
SELECT count(*) FILTER (WHERE v = 'b') FROM once;
SELECT last_value FROM tried;
DROP STORED TABLE once;
DROP FUNCTION as_is();
DROP SEQUENCE tried;
