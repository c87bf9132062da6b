# The supervisor dies: whatever the postmaster makes of it, no storage process
# is left without one, and no row is lost.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (k int) SERVER kalam OPTIONS (primary_key 'k');));
my $n = 0;

sub one_storage_process
{
	my ($what) = @_;
	my @storage;

	ok(wait_until(20, sub { runs($node, 'INSERT INTO t VALUES (' . ++$n . ')') || $n-- < 0 }),
		"$what: the server works again");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $n, "$what: no row is lost");
	ok(wait_until(10, sub { @storage = grep { /kalam_storage/ } processes_in($node->data_dir); @storage == 1 }),
		"$what: one storage process runs") or diag("@storage");
}

one_storage_process('at first');
foreach my $signal ('KILL', 'TERM', 'SEGV', 'TERM', 'KILL')
{
	my $storage = storage_pid($node);
	my $supervisor = supervisor_pid($node);

	kill($signal, $supervisor);
	ok(wait_until(15, sub { !alive($storage) }), "SIG$signal: its storage process ends");
	wait_until(15, sub { !alive($supervisor) });
	one_storage_process("SIG$signal");
}

# a stopped supervisor: nobody starts the next storage process, no wait hangs
my $supervisor = supervisor_pid($node);
kill('STOP', $supervisor);
kill_storage($node);
# (the query cache would answer)
my ($ret, $out, $err) = $node->psql('postgres',
	"SET kalam.query_cache = off; SET statement_timeout = '1s'; SELECT count(*) FROM t");
isnt($ret, 0, 'a supervisor that is stopped: statements can be cancelled');
like($err, qr/statement timeout|not running/, 'and say why they end');
kill('CONT', $supervisor);
one_storage_process('goes on');

# pg_terminate_backend by a superuser
$node->safe_psql('postgres', "SELECT pg_terminate_backend($supervisor)");
one_storage_process('pg_terminate_backend');

$node->stop;
is(join(', ', processes_in($node->data_dir)), '', 'nothing is left behind');
done_testing();
