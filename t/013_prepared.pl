# PREPARE TRANSACTION over stored tables: changes and row locks outlive the
# session, the storage process and the server, and end as they are told to.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => "fsync = on\nmax_prepared_transactions = 20\nkalam.bulk_load_threshold = 64\n");

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE k (id int, v text) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE big (id int, v text) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE gone (id int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE emptied (id int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE altered (id int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE keyless (v text) SERVER kalam;
	CREATE TABLE h (id int PRIMARY KEY, v text);
	INSERT INTO k SELECT g, 'old' FROM generate_series(1, 100) g;
	INSERT INTO h SELECT g, 'old' FROM generate_series(1, 100) g;
	INSERT INTO big SELECT g, 'old' FROM generate_series(1, 30000) g;
	INSERT INTO gone SELECT generate_series(1, 10);
	INSERT INTO emptied SELECT generate_series(1, 10);
	INSERT INTO altered SELECT generate_series(1, 10);));

sub query
{
	return $node->safe_psql('postgres', $_[0]);
}

# Does the statement wait for a lock?
sub locked
{
	my ($sql, $name) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', "SET lock_timeout = '300ms'; $sql");

	like($err, qr/canceling statement due to lock timeout/, "$name: locked");
}

sub free
{
	my ($sql, $name) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', "SET lock_timeout = '5s'; BEGIN; $sql; ROLLBACK");

	is($err, '', "$name: not locked");
}

# What is seen and what is locked while all of these are prepared.
my %prepared = (
	update => "UPDATE k SET v = 'new' WHERE id = 1; UPDATE h SET v = 'new' WHERE id = 1",
	insert => "INSERT INTO k VALUES (1001, 'new'); INSERT INTO h VALUES (1001, 'new')",
	delete => "DELETE FROM k WHERE id = 2; DELETE FROM h WHERE id = 2",
	share => 'SELECT * FROM k WHERE id = 3 FOR SHARE',
	savepoint => "SAVEPOINT a; SAVEPOINT b; UPDATE k SET v = 'new' WHERE id = 4; RELEASE b; RELEASE a; " .
	  "SAVEPOINT c; UPDATE k SET v = 'undone' WHERE id = 5; ROLLBACK TO c; UPDATE h SET v = 'new' WHERE id = 4",
	many => "UPDATE big SET v = 'new' WHERE id <= 20000",
	drop => 'DROP FOREIGN TABLE gone',
	truncate => 'TRUNCATE emptied; INSERT INTO emptied VALUES (77)',
	alter => q(ALTER FOREIGN TABLE altered ADD COLUMN v text DEFAULT 'x'; ALTER FOREIGN TABLE altered ALTER id TYPE bigint; INSERT INTO altered VALUES (11)),
	create => "CREATE FOREIGN TABLE born (id int) SERVER kalam OPTIONS (primary_key 'id'); INSERT INTO born VALUES (1)",
	keyless => "INSERT INTO keyless VALUES ('a'), ('b')");

sub prepare_all
{
	foreach my $gid (sort keys %prepared)
	{
		query("BEGIN; $prepared{$gid}; PREPARE TRANSACTION '$gid'");
	}
}

sub nothing_seen
{
	my ($when) = @_;

	is(query("SELECT count(*) FROM k WHERE v = 'old'"), 100, "$when: no change of a prepared transaction is seen");
	is(query("SELECT count(*) FROM big WHERE v = 'old'"), 30000, "$when: nor of a large one");
	is(query('SELECT count(*) FROM keyless'), 0, "$when: nor in a table without a key");
	locked("UPDATE k SET v = 'x' WHERE id = 1", "$when: updated row");
	locked("INSERT INTO k VALUES (1001, 'x')", "$when: inserted key");
	locked("SELECT * FROM k WHERE id = 2 FOR KEY SHARE", "$when: deleted row");
	locked("SELECT * FROM k WHERE id = 3 FOR UPDATE", "$when: shared row");
	locked("UPDATE k SET v = 'x' WHERE id = 4", "$when: row of a released savepoint");
	locked("UPDATE big SET v = 'x' WHERE id = 12345", "$when: one of many rows");
	locked('SELECT * FROM gone', "$when: dropped table");
	locked('SELECT * FROM emptied', "$when: truncated table");
	free('SELECT * FROM k WHERE id = 3 FOR SHARE', "$when: shared row, to share");
	free("UPDATE k SET v = 'x' WHERE id = 5", "$when: row of a savepoint rolled back");
	free("UPDATE k SET v = 'x' WHERE id = 6", "$when: row of nobody");
	is(query('SELECT id FROM k WHERE id <= 7 ORDER BY id FOR UPDATE SKIP LOCKED'), "5\n6\n7", "$when: SKIP LOCKED");
}

prepare_all();
nothing_seen('prepared');

my $old = kill_storage($node);
ok(wait_for_storage($node, $old), 'storage is back after kill -9');
nothing_seen('storage killed');

$node->restart;
nothing_seen('restarted');

$node->stop('immediate');
$node->start;
nothing_seen('crashed');

# ---- waiters ----

{
	my $s = KalamTest::Session->new($node);

	$s->send("UPDATE k SET v = v || '+' WHERE id IN (1, 3) RETURNING v");
	ok(wait_until(20, sub { query("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0 }), 'an update waits');
	query("COMMIT PREPARED 'update'");
	query("ROLLBACK PREPARED 'share'");
	my ($ok, $out) = $s->answer;
	is($out, "new+\nold+\n", 'and goes on with the newest rows');
	$s->quit;
}

# ---- the end, half of them in a crashed server, by a session that knows nothing ----

is(query("SELECT v FROM h WHERE id = 1"), 'new', 'committed in heap');
query("COMMIT PREPARED '$_'") foreach qw(insert delete savepoint many);
is(query('SELECT v FROM k WHERE id = 1001'), 'new', 'INSERT committed');
is(query('SELECT count(*) FROM k WHERE id = 2'), 0, 'DELETE committed');
is(query('SELECT v FROM k WHERE id IN (4, 5) ORDER BY id'), "new\nold", 'savepoints committed');
is(query("SELECT count(*) FROM big WHERE v = 'new'"), 20000, 'the large one committed');
free("UPDATE big SET v = 'x' WHERE id = 12345", 'rows of the large one');
free("UPDATE k SET v = 'x'", 'all rows');

$node->stop('immediate');
$node->start;
query("COMMIT PREPARED '$_'") foreach qw(drop truncate alter create keyless);
is($node->psql('postgres', 'SELECT * FROM gone'), 3, 'DROP committed');
is(query('SELECT * FROM emptied'), 77, 'TRUNCATE committed');
is(query('SELECT count(*), count(v), pg_typeof(min(id)) FROM altered'), '11|11|bigint', 'ALTER committed');
is(query('SELECT * FROM born'), 1, 'CREATE committed');
is(query('SELECT count(*) FROM keyless'), 2, 'INSERT without a key committed');
is(query("SELECT count(*) FROM k FULL JOIN h USING (id) WHERE k.id IS NULL OR h.id IS NULL"), 0, 'heap and kalam agree');

# ---- rolled back ----

my $before = query('SELECT sum(hashtext(t::text)) FROM k t');
query("BEGIN; DELETE FROM k; INSERT INTO k VALUES (5000, 'x'); CREATE FOREIGN TABLE never (id int) SERVER kalam; TRUNCATE emptied; PREPARE TRANSACTION 'r1'");
query("BEGIN; UPDATE big SET v = 'undone'; PREPARE TRANSACTION 'r2'");
$node->stop('immediate');
$node->start;
query("ROLLBACK PREPARED 'r1'");
query("ROLLBACK PREPARED 'r2'");
is(query('SELECT sum(hashtext(t::text)) FROM k t'), $before, 'rows as before');
is(query('SELECT * FROM emptied'), 77, 'TRUNCATE rolled back');
is(query("SELECT count(*) FROM big WHERE v = 'undone'"), 0, 'the large one rolled back');
free("UPDATE k SET v = 'x'; UPDATE big SET v = 'x' WHERE id < 10", 'rows after ROLLBACK PREPARED');

# ---- storage away while the end is told ----

query("BEGIN; UPDATE k SET v = 'late' WHERE id = 10; UPDATE h SET v = 'late' WHERE id = 10; PREPARE TRANSACTION 'late'");
query("BEGIN; UPDATE k SET v = 'never' WHERE id = 11; PREPARE TRANSACTION 'never'");
{
	my $pid = storage_pid($node);

	kill('STOP', $pid);
	kill('KILL', $pid);
	$node->psql('postgres', "COMMIT PREPARED 'late'");
	$node->psql('postgres', "ROLLBACK PREPARED 'never'");
	is(query("SELECT h.v = k.v FROM h JOIN k USING (id) WHERE id = 10"), 't', 'COMMIT PREPARED without storage: both halves');
	free("UPDATE k SET v = 'x' WHERE id IN (10, 11)", 'rows after that');
	is(query("SELECT v FROM k WHERE id = 11"), 'old', 'ROLLBACK PREPARED without storage');
}

# ---- nothing is left ----

is(query('SELECT count(*) FROM pg_prepared_xacts'), 0, 'nothing is prepared');
ok(wait_until(10, sub { !glob($node->data_dir . '/kalam/bulk/*') }), 'no file of a load is left');

# ---- as many as the server allows, and one more ----

query("BEGIN; INSERT INTO k VALUES (2000 + $_, 'x'); PREPARE TRANSACTION 'g$_'") foreach 1 .. 20;
{
	my ($ret, $out, $err) = $node->psql('postgres', "BEGIN; INSERT INTO k VALUES (3000, 'x'); PREPARE TRANSACTION 'g21'");

	like($err, qr/maximum number of prepared transactions reached/, 'one too many');
	free("INSERT INTO k VALUES (3000, 'x')", 'its key');
}
query("COMMIT PREPARED 'g$_'") foreach 1 .. 20;
is(query('SELECT count(*) FROM k WHERE id > 2000'), 20, 'all committed');

# ---- a session that prepares goes on ----

is(query(q(
	BEGIN; INSERT INTO k VALUES (4000, 'x'); CREATE FOREIGN TABLE later (id int) SERVER kalam; INSERT INTO later VALUES (1);
	PREPARE TRANSACTION 'self';
	INSERT INTO k VALUES (4001, 'x');
	SELECT count(*) FROM k WHERE id >= 4000;
	COMMIT PREPARED 'self';
	SELECT count(*) FROM k WHERE id >= 4000;
	SELECT count(*) FROM later;)), "1\n2\n1", 'the same session before and after');

$node->stop;
done_testing();
