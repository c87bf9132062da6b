# The storage process dies while several sessions write: statements end with an
# error or succeed, what was acknowledged is there, and the same sessions go on
# at once.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => "deadlock_timeout = '200ms'\n");
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (writer int, n int, v text) SERVER kalam OPTIONS (primary_key 'writer, n');
	CREATE FOREIGN TABLE acc (k int, v int) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE big (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO acc SELECT g, 0 FROM generate_series(1, 10) g;
	INSERT INTO big SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 20000) g;));

# ---- writers in processes of their own ----

# Each writes one row per transaction and notes the numbers that were
# acknowledged, and those of which is not known.
sub writer
{
	my ($i, $seconds, $file) = @_;
	my $pid = fork();

	return $pid if $pid;
	my $s = KalamTest::Session->new($node);
	my $n = 0;
	my $end = time() + $seconds;
	open(my $notes, '>', $file) or die;
	while (time() < $end)
	{
		$n++;
		my ($ok, $out, $err) = $s->do("INSERT INTO t VALUES ($i, $n, repeat('x', " . ($n % 50 == 0 ? 200000 : 50) . '))');
		my ($state) = $err =~ /ERROR:  (\w{5}):/;
		print $notes "$n ", $ok ? 'ok' : $state // "lost: $err", "\n";
		last if !$ok && !defined $state;
	}
	close($notes);
	$s->quit;
	require POSIX;
	POSIX::_exit(0);
}

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $idle = KalamTest::Session->new($node);
$idle->do('BEGIN');
my ($ok, $out, $err) = $idle->do('SELECT count(*) FROM acc');
is($out, "10\n", 'a session that will be idle in a transaction');
my $scanner = KalamTest::Session->new($node);
my $waiter = KalamTest::Session->new($node);

my @writers = map { writer($_, 8, "$tmp/w$_") } 1 .. 4;
my @signals = ('KILL', 'SEGV', 'ABRT', 'KILL', 'KILL', 'SEGV');
my @back;
foreach my $signal (@signals)
{
	sleep(0.9);
	my $old = kill_storage($node, $signal);
	my $start = time();
	wait_until(10, sub { my $p = storage_pid($node); $p && $p != $old });
	($ok, $out, $err) = $scanner->do('SELECT count(*) FROM acc');
	diag($err) if !$ok;
	push @back, time() - $start if $ok;
}
waitpid($_, 0) foreach @writers;
is(scalar(@back), scalar(@signals), 'a new statement in a session that was there waits for the next storage process');
my @slow = grep { $_ > 2 } @back;
is(scalar(@slow), 0, 'and that is there soon') or diag("seconds: @back");

my %allowed = map { $_ => 1 } qw(08006 08007 57P03 58030);
my ($acked, $failed, $unknown, $lost, $ghosts, $strange) = (0, 0, 0, 0, 0, '');
foreach my $i (1 .. 4)
{
	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT n FROM t WHERE writer = $i");
	foreach my $line (split /\n/, slurp_file("$tmp/w$i"))
	{
		my ($n, $what) = split / /, $line, 2;
		my $is = delete $there{$n};

		if ($what eq 'ok') { $acked++; $lost++ if !$is; }
		elsif ($what eq '08007') { $unknown++; }
		else
		{
			$failed++;
			$ghosts++ if $is;
			$strange .= " $what" if !$allowed{$what};
		}
	}
	$ghosts += keys %there;
}
note("$acked acknowledged, $failed failed, $unknown not known");
cmp_ok($acked, '>', 100, 'the writers got on with their work');
is($lost, 0, 'every acknowledged row is there');
is($ghosts, 0, 'no row is there whose INSERT failed');
is($strange, '', 'the errors have the right SQLSTATE');

# ---- the same sessions ----

($ok, $out, $err) = $idle->do('UPDATE acc SET v = v + 1 WHERE k = 1');
ok($ok, 'the idle transaction goes on') or diag($err);
($ok, $out, $err) = $idle->do('COMMIT');
ok($ok, 'and commits') or diag($err);
is($node->safe_psql('postgres', 'SELECT v FROM acc WHERE k = 1'), '1', 'with its change');

# staged rows are the backend's own: they survive the death
$idle->do('BEGIN');
$idle->do('UPDATE acc SET v = v + 10 WHERE k = 2');
wait_for_storage($node, kill_storage($node));
($ok, $out, $err) = $idle->do('SELECT v FROM acc WHERE k = 2');
is($out, "10\n", 'own changes are still seen');
$node->safe_psql('postgres', "INSERT INTO acc VALUES (11, 0)");
my ($ret, $o, $e) = $node->psql('postgres', "SET lock_timeout = '100ms'; UPDATE acc SET v = 0 WHERE k = 2");
like($e, qr/lock timeout/, 'and its row locks still hold');
($ok, $out, $err) = $idle->do('COMMIT');
ok($ok, 'and the transaction commits') or diag($err);
is($node->safe_psql('postgres', 'SELECT v FROM acc WHERE k = 2'), '10', 'durably');

# repeatable read: the snapshot is of a storage process that is gone
$idle->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
($ok, $out, $err) = $idle->do('SELECT count(*) FROM acc');
wait_for_storage($node, kill_storage($node));
($ok, $out, $err) = $idle->do('SELECT count(*) FROM acc');
ok(!$ok && $err =~ /ERROR:  40001:.*restart of the kalam storage process/, 'repeatable read fails with 40001 instead of other rows') or diag($err);
$idle->do('ROLLBACK');
($ok, $out, $err) = $idle->do('SELECT count(*) FROM acc');
is($out, "11\n", 'and can be run again');

# an open cursor
$idle->do('BEGIN');
$idle->do('DECLARE c CURSOR FOR SELECT k FROM big ORDER BY k');
$idle->do('FETCH 5 FROM c');
$idle->do('SAVEPOINT s');
wait_for_storage($node, kill_storage($node));
my $got = 5;
while (1)
{
	($ok, $out, $err) = $idle->do('FETCH 1000 FROM c');
	last if !$ok || $out eq '';
	$got += () = $out =~ /\n/g;
}
ok($ok ? $got == 20000 : $err =~ /ERROR:  (08006|40001):/, 'a cursor ends with an error, or right') or diag("$got $err");
$idle->do('ROLLBACK TO s');
($ok, $out, $err) = $idle->do('SELECT count(*) FROM acc');
is($out, "11\n", 'a savepoint saves the transaction');
$idle->do('COMMIT');

# in the midst of a scan, of a wait for a row, of COPY, of a large COMMIT
$idle->do('BEGIN; UPDATE acc SET v = 100 WHERE k = 3');
$waiter->send('UPDATE acc SET v = v + 1 WHERE k = 3');
$scanner->send('SELECT count(*) FROM big a JOIN LATERAL (SELECT k FROM big b WHERE b.k >= a.k ORDER BY k LIMIT 3) x ON true');
sleep(0.3);
wait_for_storage($node, kill_storage($node));
($ok, $out, $err) = $scanner->answer;
ok($ok ? $out == 59997 : $err =~ /ERROR:  (08006|40001|57P03):/, 'a long scan ends with an error, or right') or diag("$out $err");
$idle->do('COMMIT');
($ok, $out, $err) = $waiter->answer;
ok($ok ? 1 : $err =~ /ERROR:  (08006|40001):/, 'who waits for a row gets it, or an error') or diag($err);
is($node->safe_psql('postgres', 'SELECT v FROM acc WHERE k = 3'), $ok ? '101' : '100', 'and nothing is lost');

foreach my $delay (0.05, 0.3, 0.6)
{
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM big');
	$scanner->send("INSERT INTO big SELECT g, repeat(md5(g::text), 20) FROM generate_series(100001, 180000) g");
	sleep($delay);
	wait_for_storage($node, kill_storage($node));
	($ok, $out, $err) = $scanner->answer;
	my $now = $node->safe_psql('postgres', 'SELECT count(*) FROM big');
	is($now - $before, $ok ? 80000 : 0, 'a large INSERT is all or nothing (' . ($ok ? 'committed' : 'failed') . ')')
	  or diag($err);
	like($err, qr/ERROR:  (08006|40001|57P03|58030)/, 'with the right error') if !$ok;
	$node->safe_psql('postgres', 'DELETE FROM big WHERE k > 100000');
}

# ---- it cannot be started for a while ----

my $dir = $node->data_dir;
my ($ret2, $o2, $e2);
chmod(0, "$dir/kalam");
kill_storage($node);
wait_until(10, sub { ($ret2, $o2, $e2) = $node->psql('postgres', 'SELECT count(*) FROM acc'); $e2 =~ /could not be opened/ });
like($e2, qr/ERROR:  the kalam store could not be opened: .*\nHINT/, 'a store that cannot be opened is told of');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server works on');
chmod(0700, "$dir/kalam");
ok(wait_until(15, sub { runs($node, 'SELECT count(*) FROM acc') }), 'and it is tried again by itself');

$_->quit foreach $idle, $scanner, $waiter;
$node->stop;
is(join(', ', processes_in($dir)), '', 'nothing is left behind');
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* was terminated/, 'no process of the server was hurt');

done_testing();
