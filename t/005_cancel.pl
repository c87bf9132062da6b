# Every wait can be cancelled, leaves the session usable, and leaks nothing.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main');
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 200000) g;
	CREATE FOREIGN TABLE few (k int, v int) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO few SELECT g, 0 FROM generate_series(1, 10) g;));

my $s = KalamTest::Session->new($node);
my $pid = $s->pid;

sub usable
{
	my ($what) = @_;
	my ($ok, $out, $err) = $s->do('SELECT count(*) FROM few');

	is($out, "10\n", "$what: the session goes on") or diag($err);
	($ok, $out, $err) = $s->do('UPDATE few SET v = v + 1 WHERE k = 10');
	ok($ok, "$what: and can write") or diag($err);
}

# Runs it in the session, and stops it from outside after a moment.
sub stopped
{
	my ($what, $sql, $delay) = @_;

	$s->send($sql);
	sleep($delay // 0.15);
	my $start = time();
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	my ($ok, $out, $err) = $s->answer;
	like($err, qr/ERROR:  57014: canceling statement due to user request/, "$what: cancelled") or diag("$ok $out");
	cmp_ok(time() - $start, '<', 2, "$what: at once");
	$s->do('ROLLBACK');
	usable($what);
}

my $slow = "AND v <> repeat('y', (k % 2)) AND pg_sleep(0.0005) IS NOT NULL";
stopped('a scan', "SELECT count(*) FROM t WHERE k > 0 $slow");
stopped('scans in a scan', 'SELECT count(*) FROM t a, t b, t c WHERE a.v < b.v || c.v');
stopped('a sort', 'SELECT count(*) FROM (SELECT a.v FROM t a, generate_series(1, 20) ORDER BY md5(a.v || random()) OFFSET 0) x');
stopped('INSERT ... SELECT', 'INSERT INTO t SELECT k + 1000000 * g, v FROM t, generate_series(1, 50) g', 0.5);
stopped('UPDATE', "UPDATE t SET v = v || 'x' WHERE k > 0 $slow");
stopped('DELETE', "DELETE FROM t WHERE k > 0 $slow");
stopped('COPY FROM', q(COPY t FROM PROGRAM 'seq 1000000 99000000 | sed "s/$/\tx/"'), 0.5);
stopped('COPY TO', q(COPY (SELECT a.k, a.v FROM t a, generate_series(1, 50)) TO PROGRAM 'cat > /dev/null'), 0.3);
stopped('a cursor', 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM t a, t b ORDER BY a.k; MOVE ALL FROM c', 0.3);
stopped('ALTER that rewrites', 'ALTER FOREIGN TABLE t ADD COLUMN w text DEFAULT pg_sleep(0.0005)::text', 0.3);
stopped('ANALYZE', "DO \$\$ BEGIN EXECUTE 'ANALYZE t'; PERFORM pg_sleep(10); END \$\$", 0.1);
stopped('kalam.compact', "SELECT kalam.compact('t'), pg_sleep(10)", 0.1);
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '200000', 'nothing of it has stayed');

# ---- waiting for a row ----

my $holder = KalamTest::Session->new($node);
$holder->do('BEGIN; UPDATE few SET v = v + 1 WHERE k = 1');
stopped('a wait for a row', 'UPDATE few SET v = 0 WHERE k = 1');
stopped('FOR UPDATE', 'SELECT * FROM few FOR UPDATE');
stopped('INSERT of a key', 'BEGIN; INSERT INTO few VALUES (1, 1)');
foreach my $timeout ('statement_timeout', 'lock_timeout')
{
	my $start = time();
	my ($ok, $out, $err) = $s->do("SET $timeout = '200ms'; UPDATE few SET v = 0 WHERE k = 1");
	like($err, qr/ERROR:  (57014|55P03): canceling statement due to (statement|lock) timeout/, $timeout);
	cmp_ok(time() - $start, '<', 2, "$timeout: in time");
	$s->do("RESET $timeout");
	usable($timeout);
}
my ($ok, $out, $err) = $s->do("SET statement_timeout = '100ms'; SELECT count(*) FROM t a, t b WHERE a.v < b.v");
like($err, qr/57014.*statement timeout/, 'statement_timeout in a scan');
$s->do('RESET statement_timeout');

# a terminated holder frees the row
my $holder_pid = $holder->pid;
$s->send('UPDATE few SET v = 77 WHERE k = 1');
sleep(0.2);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($holder_pid)");
($ok, $out, $err) = $s->answer;
ok($ok, 'a terminated session frees the row that it held') or diag($err);
is($node->safe_psql('postgres', 'SELECT v FROM few WHERE k = 1'), '77', 'and its change is undone');

# ---- terminated in the midst of things ----

my $storage = storage_pid($node);
foreach my $sql ("SELECT count(*) FROM t WHERE k > 0 $slow",
	'INSERT INTO t SELECT k + 1000000 * g, v FROM t, generate_series(1, 50) g',
	'UPDATE few SET v = v + 1; SELECT pg_sleep(10)')
{
	my $v = KalamTest::Session->new($node);
	my $victim = $v->pid;

	$v->{in} .= "BEGIN; $sql;\n";
	$v->{harness}->pump_nb;
	sleep(0.3);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($victim)");
	ok(wait_until(5, sub { !alive($victim) }), 'a session is terminated');
	eval { $v->{harness}->finish };
}
is($node->safe_psql('postgres', "SET lock_timeout = '1s'; UPDATE few SET v = 0 WHERE k < 10; SELECT sum(v) FROM few WHERE k < 10"), '0', 'and holds nothing');
is(storage_pid($node), $storage, 'the storage process has not noticed');

# ---- nothing leaks ----

sub cancelled_scans
{
	my ($times) = @_;

	$s->do(<<"SQL");
DO \$\$ BEGIN FOR i IN 1 .. $times LOOP BEGIN
	SET LOCAL statement_timeout = 0;
	PERFORM count(*) FROM (SELECT k FROM t LIMIT 100 + i) x WHERE 1 / (k - 50 - i) >= -10;
EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END \$\$
SQL
	foreach my $i (1 .. $times / 4)
	{
		$s->do("SET statement_timeout = '4ms'; SELECT count(*) FROM t WHERE v <> repeat('y', k % 300); RESET statement_timeout");
		$s->do('RESET statement_timeout');
	}
}
cancelled_scans(40);
my $before = rss_kb($pid);
my $storage_before = rss_kb($storage);
cancelled_scans(400);
cmp_ok(rss_kb($pid) - $before, '<', 3000, 'hundreds of broken off scans cost no memory of the session');
cmp_ok(rss_kb($storage) - $storage_before, '<', 60000, 'nor of the storage process');
usable('after all that');

# many cursors that are open when the transaction fails
foreach my $i (1 .. 5)
{
	$s->do('BEGIN; DO $$ DECLARE c refcursor; r record; BEGIN FOR i IN 1 .. 150 LOOP c := NULL; OPEN c FOR SELECT * FROM t WHERE k > i; FETCH c INTO r; END LOOP; END $$; SELECT 1 / 0');
	$s->do('ROLLBACK');
}
usable('150 open cursors and an error');

$s->quit;
$holder->{in} .= "\\q\n";
eval { $holder->{harness}->finish };
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|leak|was terminated by signal/, 'no process was hurt, nothing is reported as leaked');
done_testing();
