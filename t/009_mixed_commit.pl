# Transactions over heap and kalam tables, while the storage process or the
# whole server is killed at random moments: both halves or neither.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => "fsync = on\n");
my $dir = $node->data_dir;
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE k (w int, n int, v text) SERVER kalam OPTIONS (primary_key 'w, n');
	CREATE TABLE h (w int, n int, v text, PRIMARY KEY (w, n));
	CREATE FOREIGN TABLE k_sum (w int, n int) SERVER kalam OPTIONS (primary_key 'w');
	CREATE TABLE h_sum (w int PRIMARY KEY, n int);
	INSERT INTO k_sum SELECT g, 0 FROM generate_series(0, 3) g; INSERT INTO h_sum SELECT * FROM k_sum;
	CREATE UNLOGGED TABLE u (w int);));

my @kinds = (
	"INSERT INTO k VALUES (%d, %d, 'x'); INSERT INTO h VALUES (%d, %d, 'x')",
	"INSERT INTO h VALUES (%d, %d, 'x'); SAVEPOINT s; INSERT INTO k VALUES (%d, %d, 'x'); RELEASE s",
	"INSERT INTO k VALUES (%d, %d, repeat('x', 150000)); INSERT INTO h VALUES (%d, %d, 'x')",
	"SET LOCAL synchronous_commit = off; INSERT INTO k VALUES (%d, %d, 'x'); INSERT INTO h VALUES (%d, %d, 'x')",
	"INSERT INTO k VALUES (%d, %d, 'x'); NOTIFY n; INSERT INTO h VALUES (%d, %d, 'x')",
	"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; INSERT INTO k VALUES (%d, %d, 'x'); INSERT INTO h VALUES (%d, %d, 'x')");

sub writer
{
	my ($w, $seconds, $file) = @_;
	my $pid = fork();

	return $pid if $pid;
	open(STDERR, '>', '/dev/null');
	open(my $notes, '>>', $file) or die;
	$notes->autoflush(1);
	my $end = time() + $seconds;
	my $n = 0;
	srand($$);
	while (time() < $end)
	{
		my $s = eval { KalamTest::Session->new($node) } or next;
		eval {
			while (time() < $end)
			{
				$n++;
				my $sql = sprintf($kinds[ rand(@kinds) ], $w, $n, $w, $n);
				my ($ok, $out, $err) = $s->do("BEGIN; $sql; UPDATE k_sum SET n = n + 1 WHERE w = $w; UPDATE h_sum SET n = n + 1 WHERE w = $w; COMMIT");
				print $notes "$n\n" if $ok && $err eq '';
				$s->do('ROLLBACK') if !$ok || $err ne '';
			}
		};
		eval { $s->{harness}->kill_kill };
		sleep(0.1);
	}
	require POSIX;
	POSIX::_exit(0);
}

sub agree
{
	my ($what) = @_;
	my $rows = q(SELECT count(*), sum(hashint8(w * 1000000 + n)) FROM );

	# pending transactions may be applied a moment later, but then reads wait
	is($node->safe_psql('postgres', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT (SELECT count(*) FROM k FULL JOIN h USING (w, n) WHERE k.n IS NULL OR h.n IS NULL)"),
		'0', "$what: the halves agree");
	is($node->safe_psql('postgres', q(SELECT count(*) FROM k_sum JOIN h_sum USING (w) WHERE k_sum.n <> h_sum.n)), '0', "$what: the sums agree")
	  or diag($node->safe_psql('postgres', 'SELECT * FROM k_sum JOIN h_sum USING (w)'));
	is($node->safe_psql('postgres', q(SELECT count(*) FROM k_sum s WHERE n <> (SELECT count(*) FROM k WHERE k.w = s.w))), '0', "$what: and are those of the rows");
}

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $seconds = 20;
my @writers = map { writer($_, $seconds, "$tmp/w$_") } 0 .. 3;
my $end = time() + $seconds;
my ($storage_kills, $server_kills) = (0, 0);

srand(time());
while (time() < $end - 1)
{
	sleep(0.3 + rand(1.2));
	if (rand() < 0.65)
	{
		$storage_kills++ if kill_storage($node, rand() < 0.5 ? 'KILL' : 'ABRT');
		next;
	}
	my ($postmaster) = slurp_file("$dir/postmaster.pid") =~ /^(\d+)/;
	$server_kills++;
	if (rand() < 0.5)
	{
		kill('KILL', $postmaster);
		wait_until(10, sub { !processes_in($dir) && !kill(0, $postmaster) });
		$node->{_pid} = undef;
	}
	else
	{
		$node->stop('immediate');
	}
	$node->start;
}
waitpid($_, 0) foreach @writers;
note("storage killed $storage_kills times, the server $server_kills times");
my $acked = 0;
my $missing = 0;
foreach my $w (0 .. 3)
{
	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT n FROM k WHERE w = $w");

	foreach my $n (split /\n/, slurp_file("$tmp/w$w"))
	{
		$acked++;
		$missing++ if !$there{$n};
	}
}
note("$acked transactions acknowledged");
cmp_ok($acked, '>', 50, 'the writers got on with their work');
is($missing, 0, 'nothing that was acknowledged is missing');
agree('after it all');
$node->restart;
agree('restarted');
wait_for_storage($node, kill_storage($node));
agree('storage killed once more');
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):/, 'no PANIC');
done_testing();
