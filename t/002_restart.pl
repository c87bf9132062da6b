# Rows survive a stop and a start of every kind, and nothing is left behind.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $dir = $node->data_dir;
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE nk (v text) SERVER kalam;
	CREATE TABLE heap (k int);
	INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 5000) g;
	INSERT INTO nk SELECT g FROM generate_series(1, 100) g;));
my $sum_of_t = q(SELECT count(*), md5(string_agg(k || v, ',' ORDER BY k)) FROM t);
my $sum = $node->safe_psql('postgres', $sum_of_t);
my $rows = 5000;

sub check
{
	my ($how) = @_;

	is($node->safe_psql('postgres', $sum_of_t), $sum, "$how: all rows are there");
	$node->safe_psql('postgres', 'INSERT INTO t SELECT max(k) + 1, $$x$$ FROM t; INSERT INTO nk VALUES ($$more$$)');
	$sum = $node->safe_psql('postgres', $sum_of_t);
	is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT ctid) FROM nk'), '0', 'row ids are not given twice');
}

foreach my $mode ('fast', 'smart', 'immediate')
{
	$node->stop($mode);
	is(join(', ', processes_in($dir)), '', "$mode: no process is left") if $mode ne 'immediate';
	ok(wait_until(5, sub { !processes_in($dir) }), "$mode: no process is left soon");
	is(join(', ', glob('/dev/shm/*kalam*')), '', 'no segment either');
	$node->start;
	check($mode);
}

# after a clean stop nothing has to be recovered
$node->safe_psql('postgres', q(SELECT kalam.flush('t')));
$node->stop;
my $log = -s $node->logfile;
$node->start;
is($node->safe_psql('postgres', q(SELECT rows BETWEEN 5000 AND 5500 FROM kalam.tables WHERE name = 't')), 't', 'the planner knows how many rows there are');
check('again');
unlike(slurp_file($node->logfile, $log), qr/resolved pending|WARNING/, 'a clean start says nothing of repairs');

# ---- the postmaster is killed ----

foreach my $times (1 .. 2)
{
	my $storage = storage_pid($node);
	my ($postmaster) = slurp_file("$dir/postmaster.pid") =~ /^(\d+)/;

	# in the midst of it
	my $pid = fork();
	if ($pid == 0)
	{
		open(STDERR, '>', '/dev/null');
		open(STDOUT, '>', '/dev/null');
		exec('psql', '-X', '-d', $node->connstr('postgres'), '-c',
			"BEGIN; INSERT INTO t SELECT g, 'lost' FROM generate_series(1000000, 1100000) g; SELECT pg_sleep(60)");
	}
	wait_until(10, sub {
		$node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") eq '1' });
	kill('KILL', $postmaster);
	waitpid($pid, 0);
	ok(wait_until(10, sub { !processes_in($dir) }), 'kill -9 of the postmaster: all processes end')
	  or diag(join(', ', processes_in($dir)));
	ok(!alive($storage), 'the storage process too');
	# (a process that init has not collected yet still has its number)
	wait_until(10, sub { !kill(0, $postmaster) });
	$node->{_pid} = undef;
	$node->start;
	check('kill -9');
}

# ---- a backend dies of a signal: the server restarts its processes ----

my $storage = storage_pid($node);
my $backend = fork();
if ($backend == 0)
{
	open(STDERR, '>', '/dev/null');
	open(STDOUT, '>', '/dev/null');
	exec('psql', '-X', '-d', $node->connstr('postgres'), '-c',
		"BEGIN; INSERT INTO t VALUES (-1, 'lost'); SELECT pg_sleep(60)");
}
my $victim;
wait_until(10, sub {
	$victim = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'") });
kill('KILL', $victim);
waitpid($backend, 0);
ok(wait_until(10, sub { !alive($storage) }), 'a backend killed with -9: the old storage process ends');
ok(wait_until(20, sub { runs($node, 'SELECT count(*) FROM t') }), 'the server works again');
check('backend killed');
is(scalar(grep { /kalam_storage/ } processes_in($dir)), 1, 'with one storage process');

# ---- two-step moves of the data directory ----

$node->stop;
$node->append_conf('postgresql.conf', "kalam.data_directory = 'pg_kalam/below'");
rename("$dir/kalam", "$dir/moved");
mkdir("$dir/pg_kalam");
rename("$dir/moved", "$dir/pg_kalam/below");
$node->start;
check('moved to another directory');
$node->stop;

done_testing();
