# What tables are like is shared by all sessions: loaded once, by whoever comes
# first, true at every moment whatever is done to the table, and given back.
use strict;
use warnings;

use lib 't';
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_server('main', conf => "autovacuum = off\nmax_prepared_transactions = 5\n");

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'postgres', $sql);
}

sub counter
{
	my ($name) = @_;

	return query("SELECT $name FROM kalam.schema_cache");
}

sub client
{
	return KalamClient->new($node->connstr($_[0] // 'postgres'));
}

# What a statement gives, else its SQLSTATE.
sub result
{
	my ($client) = @_;
	my ($state, $text) = $client->answer;

	chomp($text);
	return $state ne '' ? $state : $text;
}

sub run
{
	my ($client, $sql) = @_;

	return result($client->send($sql));
}

# Pins of sessions that have ended; they may take a moment to do so.
sub no_pins
{
	my ($name) = @_;

	ok(wait_until(10, sub { counter('pins') == 0 }), "$name: no pin is left");
}

# ---- once for all ----

query(q(CREATE FOREIGN TABLE t (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
		INSERT INTO t SELECT g, g * 10 FROM generate_series(1, 100) g;));

my @clients = map { client() } 1 .. 20;
my $ddl = client();
query("SELECT kalam.invalidate_table('t')");
my $loads = counter('loads');

$_->send('SELECT v FROM t WHERE id = 7') foreach @clients;
is(join(' ', map { result($_) } @clients), join(' ', ('70') x 20), 'twenty sessions read');
is(counter('loads') - $loads, 1, 'twenty sessions load once');
is(counter('pins'), 20, 'each has a pin');

# all of them wait for the lock of an ALTER, and come at the same moment
foreach my $alter ("OPTIONS (ADD index_v 'v')", 'ADD COLUMN w int DEFAULT 5', 'ALTER v TYPE bigint')
{
	run($ddl, 'BEGIN');
	run($ddl, "ALTER FOREIGN TABLE t $alter");
	$_->send('SELECT v FROM t WHERE v = 70') foreach @clients;
	ok(wait_until(20, sub {
		query("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted") == 20 }),
		"$alter: twenty sessions wait");
	$loads = counter('loads');
	run($ddl, 'COMMIT');
	is(join(' ', map { result($_) } @clients), join(' ', ('70') x 20), "$alter: all go on");
	is(counter('loads') - $loads, 1, "$alter: loaded once");
}

# ---- given back ----

run($clients[0], 'BEGIN');
run($clients[0], 'SELECT v FROM t WHERE id = 1 FOR UPDATE');
query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'");
run($clients[1], 'SELECT 1 / (v - v) FROM t');
run($clients[2], 'DROP FOREIGN TABLE t');
query(q(CREATE FOREIGN TABLE t (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
		INSERT INTO t SELECT g, g * 10 FROM generate_series(1, 100) g;));
is(join(' ', map { run($_, 'SELECT v FROM t WHERE id = 7') } @clients[1 .. 19]),
	join(' ', ('70') x 19), 'a new table of the same name');
$_->quit foreach @clients, $ddl;
no_pins('sessions that ended, one of them by force');

# ---- by hand, by age ----

my $hot = client();

is(run($hot, 'SELECT v FROM t WHERE id = 7'), 70, 'read');
$loads = counter('loads');
query('SELECT v FROM t WHERE id = 7');
is(counter('loads') - $loads, 0, 'a new session needs no load');
query("SELECT kalam.invalidate_table('t')");
query('SELECT v FROM t WHERE id = 7');
is(counter('loads') - $loads, 1, 'forgotten by hand: the next session loads');
query("SELECT kalam.invalidate_schema('t', schema_version) FROM kalam.tables WHERE name = 't'");
query('SELECT v FROM t WHERE id = 7');
is(counter('loads') - $loads, 2, 'forgotten by its version');
query("ALTER SYSTEM SET kalam.schema_cache_ttl = '50ms'; SELECT pg_reload_conf()");
ok(wait_until(10, sub { query('SHOW kalam.schema_cache_ttl') eq '50ms' }), 'a short time to live');
query("SELECT kalam.invalidate_table('t')");
query('SELECT v FROM t WHERE id = 7');
sleep(0.2);
$loads = counter('loads');
query('SELECT v FROM t WHERE id = 7');
is(counter('loads') - $loads, 1, 'too old: loaded again');
is(run($hot, 'SELECT v FROM t WHERE id = 7'), 70, 'a session that has known it for longer');
is(counter('pins'), 0, 'gives it back');
sleep(0.2);
$loads = counter('loads');
run($hot, 'SELECT v FROM t WHERE id = 7');
is(counter('loads') - $loads, 1, 'and loads it again');

# a statement that was planned long ago
run($hot, 'SET plan_cache_mode = force_generic_plan; PREPARE planned AS SELECT v FROM t WHERE id = 7');
is(run($hot, 'EXECUTE planned'), 70, 'prepared');
sleep(0.2);
is(run($hot, 'EXECUTE planned'), 70, 'and executed when what it knows is too old');
is(counter('pins'), 0, 'gives it back, too');
$loads = counter('loads');
is(run($hot, 'EXECUTE planned'), 70, 'executed again');
is(counter('loads') - $loads, 1, 'loads it again');

# one that an error left open, with no plan that was made for it in the same statement
{
	my $s = KalamClient->new($node->connstr('postgres'));
	my @states;

	$s->do('CREATE FOREIGN TABLE aged (id int, v int) SERVER kalam; INSERT INTO aged VALUES (1, 1);'
		. ' SET plan_cache_mode = force_generic_plan; PREPARE a AS SELECT v / (id - 7) FROM t WHERE id = 7;'
		. ' PREPARE b AS SELECT v / (id - 1) FROM aged; EXPLAIN EXECUTE a; EXPLAIN EXECUTE b');
	foreach my $n (1 .. 5)
	{
		$s->do('SELECT v FROM t WHERE id = 7; SELECT v FROM aged');
		sleep(0.1);
		push @states, ($s->do('EXECUTE a'))[0], ($s->do('EXECUTE b'))[0],
		  ($s->do('INSERT INTO aged VALUES (1, 1); SELECT * FROM t JOIN aged USING (id)', 10))[0];
	}
	is(join(' ', @states), join(' ', ('22012', '22012', '') x 5), 'too old when an error ends its use');
	$s->quit;
}
query("ALTER SYSTEM RESET kalam.schema_cache_ttl; SELECT pg_reload_conf()");

# ---- not the relation's ----

# A change of the catalogs that no command makes leaves no trace in the store's record.
query(q(CREATE FOREIGN TABLE looked (id int, v int, w int) SERVER kalam OPTIONS (primary_key 'id');
		INSERT INTO looked VALUES (1, 2, 3)));
query('SELECT v FROM looked');
$loads = counter('loads');
is(query('SELECT v FROM looked'), 2, 'a schema that fits');
is(counter('loads') - $loads, 0, 'is used');
query(q(SET allow_system_table_mods = on;
		UPDATE pg_attribute SET attname = CASE attname WHEN 'v' THEN 'w' ELSE 'v' END || '_new'
			WHERE attrelid = 'looked'::regclass AND attname IN ('v', 'w')));
is(query('SELECT v_new, w_new FROM looked'), '3|2', 'columns of other names');
is(counter('loads') - $loads, 1, 'the schema is not used, but loaded');
is(query('SELECT v_new, w_new FROM looked'), '3|2', 'again');
is(counter('loads') - $loads, 1, 'which has these names');

# ---- rows of other tables ----

query(q(CREATE FOREIGN TABLE rows (id int) SERVER kalam OPTIONS (primary_key 'id')));
query('SELECT v FROM t WHERE id = 7; SELECT FROM rows');
$loads = counter('loads');
query(join(';', map { "INSERT INTO rows SELECT $_ + g * 100 FROM generate_series(1, 5000) g" } 1 .. 40));
query('SELECT v FROM t WHERE id = 7');
is(counter('loads') - $loads, 0, 'two hundred thousand keys say nothing of what tables are like');

# ---- large tables ----

# The sessions read all rows again and again, each time in a transaction of its own.
query(q(
	CREATE FOREIGN TABLE big (id int, v int, w text) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO big SELECT g, g, 'row ' || g FROM generate_series(1, 100000) g;
	CREATE TABLE over (id int);
	CREATE PROCEDURE hot() LANGUAGE plpgsql AS $$
		DECLARE n bigint; total numeric; rounds int := 0;
		BEGIN
			WHILE NOT EXISTS (SELECT FROM over) LOOP
				EXECUTE 'SELECT count(*), sum(v) FROM big' INTO n, total;
				ASSERT n = 100000 AND total = 5000050000, format('%s rows, %s', n, total);
				EXECUTE 'SELECT v FROM big WHERE id = 1234' INTO n;
				ASSERT n = 1234, format('1234: %s', n);
				EXECUTE 'SELECT id FROM big WHERE v = 4321' INTO n;
				ASSERT n = 4321, format('4321: %s', n);
				rounds := rounds + 1;
				COMMIT;
			END LOOP;
			RAISE 'rounds: %', rounds > 0 USING ERRCODE = 'KA000';
		END $$;));
@clients = map { client() } 1 .. 3;
$_->send('CALL hot()') foreach @clients;
foreach my $alter ('ALTER v TYPE bigint', "ADD COLUMN x int NOT NULL DEFAULT 5", 'DROP COLUMN w',
	"OPTIONS (ADD index_v 'v')", 'ADD COLUMN w text', 'ALTER v TYPE numeric', 'DROP COLUMN x',
	'RENAME w TO z', "OPTIONS (SET primary_key 'id DESC')", "OPTIONS (DROP index_v)")
{
	query("ALTER FOREIGN TABLE big $alter");
}
query('INSERT INTO over VALUES (1)');
is(result($_), 'KA000', 'right at every moment while the table is altered') foreach @clients;
is(query('SELECT * FROM big WHERE id = 77'), '77|77|', 'and in the end');
$_->quit foreach @clients;

# ---- databases ----

query('CREATE DATABASE source');
query('CREATE EXTENSION kalam_fdw', 'source');
query(q(CREATE FOREIGN TABLE t (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
		INSERT INTO t VALUES (1, 1); SELECT * FROM t), 'source');
query('CREATE DATABASE copied TEMPLATE source');
my $copied = client('copied');

is(run($copied, 'SELECT count(*) FROM t'), 0, 'a copied database has no rows');
query('INSERT INTO t VALUES (1, 2)', 'copied');
is(run($copied, 'SELECT v FROM t'), 2, 'rows of another session come');
query("ALTER FOREIGN TABLE t OPTIONS (SET primary_key 'v')", 'copied');
is(run($copied, 'SELECT id FROM t WHERE v = 2'), 1, 'another key');
is(query('SELECT v FROM t WHERE id = 1', 'source'), 1, 'its source is what it was');
$copied->quit;

# ---- prepared transactions ----

query(q(BEGIN; ALTER FOREIGN TABLE t ADD COLUMN w int DEFAULT 3; ALTER FOREIGN TABLE t OPTIONS (ADD index_v 'v');
		PREPARE TRANSACTION 'altered'));
is(run($hot, "SET lock_timeout = '200ms'; SELECT * FROM t WHERE id = 7"), '55P03', 'locked');
$node->restart;
$hot = client();
query("COMMIT PREPARED 'altered'");
is(run($hot, 'SELECT * FROM t WHERE v = 70'), '7|70|3', 'committed behind a restart');
query(q(BEGIN; TRUNCATE t; ALTER FOREIGN TABLE t DROP COLUMN v; PREPARE TRANSACTION 'emptied'));
query("ROLLBACK PREPARED 'emptied'");
is(run($hot, 'SELECT * FROM t WHERE v = 70'), '7|70|3', 'rolled back');

# ---- storage dies ----

$loads = counter('loads');
kill_storage($node);
wait_for_storage($node);
is(run($hot, 'SELECT * FROM t WHERE v = 70'), '7|70|3', 'a known table');
is(query('SELECT * FROM t WHERE v = 70'), '7|70|3', 'a new session');
is(counter('loads') - $loads, 1, 'nothing is trusted that was shared before');
query('TRUNCATE t');
is(run($hot, 'SELECT count(*) FROM t'), 0, 'truncated');

$hot->quit;
no_pins('in the end');
is(counter('corrupt'), 0, 'no wrong checksum');
done_testing();
