-- Statements inside functions.

CREATE STORED TABLE accounts (id int NOT NULL, owner text NOT NULL, balance numeric NOT NULL CHECK (balance >= 0)) KEY (id);
CREATE STORED TABLE moves (at int NOT NULL, source int, target int, amount numeric) KEY (at DESC);
INSERT INTO accounts SELECT g, 'owner ' || g, 100 FROM generate_series(1, 10) g;

CREATE FUNCTION transfer(a int, b int, n numeric) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    left_over accounts.balance%TYPE;
    row_a accounts%ROWTYPE;
BEGIN
    SELECT * INTO STRICT row_a FROM accounts WHERE id = a;
    UPDATE accounts SET balance = balance - n WHERE id = a RETURNING balance INTO left_over;
    UPDATE accounts SET balance = balance + n WHERE id = b;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no account %', b USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO moves VALUES ((SELECT coalesce(max(at), 0) + 1 FROM moves), a, b, n);
    RETURN format('%s has %s left', row_a.owner, left_over);
EXCEPTION
    WHEN check_violation THEN RETURN 'not enough';
    WHEN no_data_found THEN RETURN 'no such account: ' || SQLERRM;
END
$$;
SELECT transfer(1, 2, 30);
SELECT transfer(1, 2, 80);
SELECT transfer(1, 99, 10);
SELECT transfer(98, 1, 10);
SELECT transfer(id, id + 1, id) FROM accounts WHERE id < 10 ORDER BY id;
SELECT * FROM accounts ORDER BY id;
SELECT * FROM moves ORDER BY at;
SELECT sum(balance) FROM accounts;

-- Loops, FOUND, GET DIAGNOSTICS, dynamic statements.
DO $$
DECLARE
    r record;
    n int;
    total numeric := 0;
BEGIN
    FOR r IN SELECT * FROM accounts ORDER BY id DESC LIMIT 3 LOOP
        total := total + r.balance;
        UPDATE accounts SET owner = 'seen' WHERE id = r.id;
    END LOOP;
    RAISE NOTICE 'total %', total;
    UPDATE accounts SET owner = upper(owner) WHERE id <= 4;
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE NOTICE '% rows', n;
    DELETE FROM accounts WHERE id > 1000;
    RAISE NOTICE 'found %', FOUND;
    PERFORM FROM accounts WHERE id = 5;
    RAISE NOTICE 'found %', FOUND;
    FOR i IN 100..104 LOOP
        EXECUTE format('INSERT INTO %I VALUES ($1, $2, 0)', 'accounts') USING i, 'dynamic ' || i;
    END LOOP;
    EXECUTE 'SELECT count(*) FROM accounts WHERE id >= $1' INTO n USING 100;
    RAISE NOTICE '% new', n;
    FOR r IN EXECUTE 'DELETE FROM accounts WHERE id >= 100 RETURNING id' LOOP
        n := n - 1;
    END LOOP;
    RAISE NOTICE '% left', n;
END
$$;
DO $$
DECLARE
    c CURSOR (lowest int) FOR SELECT id, balance FROM accounts WHERE id >= lowest ORDER BY id;
    r record;
BEGIN
    OPEN c(8);
    LOOP
        FETCH c INTO r;
        EXIT WHEN NOT FOUND;
        RAISE NOTICE '% %', r.id, r.balance;
    END LOOP;
    CLOSE c;
    FOR r IN c(10) LOOP
        RAISE NOTICE 'again %', r.id;
    END LOOP;
END
$$;
CREATE FUNCTION rich(lowest numeric) RETURNS SETOF accounts LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM accounts WHERE balance >= lowest ORDER BY id;
    RETURN NEXT (0, 'nobody', lowest)::accounts;
    RETURN;
END
$$;
SELECT * FROM rich(100) ORDER BY id;
CREATE FUNCTION by_ids(VARIADIC ids int[]) RETURNS TABLE (id int, owner text) LANGUAGE sql STABLE AS 'SELECT a.id, a.owner FROM accounts a WHERE a.id = ANY (ids)';
SELECT * FROM by_ids(3, 5, 77) ORDER BY id;
CREATE FUNCTION one(int) RETURNS numeric LANGUAGE sql AS 'SELECT balance FROM accounts WHERE id = $1';
SELECT g, one(g) FROM generate_series(1, 4) g;
CREATE FUNCTION atomic(int) RETURNS int LANGUAGE sql BEGIN ATOMIC INSERT INTO accounts VALUES ($1, 'atomic', 1); SELECT count(*)::int FROM accounts WHERE id >= $1; END;
SELECT atomic(500);
CREATE FUNCTION fib(n int) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
    IF n < 2 THEN RETURN n; END IF;
    IF NOT EXISTS (SELECT FROM accounts WHERE id = 10000 + n) THEN
        INSERT INTO accounts VALUES (10000 + n, 'fib', fib(n - 1) + fib(n - 2));
    END IF;
    RETURN (SELECT balance FROM accounts WHERE id = 10000 + n);
END
$$;
SELECT fib(30);
SELECT count(*) FROM accounts WHERE owner = 'fib';

-- Errors: what was caught is undone, what was not ends it all.
CREATE FUNCTION try(int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text; name text; tab text; col text;
BEGIN
    INSERT INTO accounts VALUES ($1, 'try', 1);
    INSERT INTO accounts VALUES ($1 + 1, 'try', -1);
    RETURN 'not reached';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, name = CONSTRAINT_NAME, tab = TABLE_NAME, col = COLUMN_NAME;
    RETURN format('%s | %s | %s | %s | %s | %s', SQLSTATE, SQLERRM, detail, name, tab, col);
END
$$;
SELECT try(1);
SELECT try(700);
SELECT count(*) FROM accounts WHERE id >= 700 AND id < 800;
-- fails: nobody catches it
DO $$ BEGIN INSERT INTO accounts VALUES (800, 'x', 1); INSERT INTO accounts VALUES (1, 'x', 1); END $$;
SELECT count(*) FROM accounts WHERE id = 800;
-- fails: no row where one must be
DO $$ DECLARE x int; BEGIN SELECT id INTO STRICT x FROM accounts WHERE id = 12345; END $$;

-- Procedures that commit while a cursor over rows is open.
CREATE PROCEDURE step() LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT id FROM accounts WHERE id <= 10 ORDER BY id LOOP
        UPDATE accounts SET balance = balance + 1000 WHERE id = r.id;
        COMMIT;
        DELETE FROM accounts WHERE id = r.id;
        ROLLBACK;
    END LOOP;
END
$$;
CALL step();
SELECT count(*), sum(balance) FROM accounts WHERE id <= 10;

-- A query that fails in an exception block of a STABLE function, which runs
-- under the snapshot of the statement that calls it; many times.
CREATE STORED TABLE fails (id int NOT NULL, d int) KEY (id);
INSERT INTO fails SELECT g, g % 3 FROM generate_series(1, 30) g;
CREATE FUNCTION divides(n int) RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT 6 / d FROM fails WHERE id = n);
EXCEPTION WHEN division_by_zero THEN
	RETURN -1;
END $$;
SELECT sum(divides(id)), count(*) FROM fails;
DO $$
DECLARE total bigint := 0;
BEGIN
	FOR i IN 1 .. 300 LOOP
		total := total + (SELECT divides(i % 30 + 1) FROM fails WHERE id = 1);
		INSERT INTO fails VALUES (100 + i, 1);
	END LOOP;
	RAISE NOTICE 'total %', total;
END $$;
SELECT count(*), sum(divides(id)) FROM fails;

-- Locking scans that turn rows down, and rows that come and go in blocks.
SELECT id FROM fails WHERE id <= 20 AND repeat('x', 20) || id = 'zz' FOR UPDATE;
CREATE FUNCTION tries(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO fails VALUES (-n, 0);
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN n;
END $$;
INSERT INTO fails SELECT tries(g) + 5000, 7 FROM generate_series(1, 5) g;
SELECT count(*), sum(id) FROM fails WHERE d = 7;
