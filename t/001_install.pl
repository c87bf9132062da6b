# Without the preload the extension can be made, and its first use says what is
# missing; with it, it works; servers side by side share nothing.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $create = q(CREATE FOREIGN TABLE t (k int, v text) SERVER kalam OPTIONS (primary_key 'k'));
my $one = new_server('one', no_preload => 1, no_extension => 1);

# ---- no preload ----

$one->safe_psql('postgres', 'CREATE EXTENSION kalam_fdw');
$one->safe_psql('postgres', $create);
foreach my $use ('SELECT * FROM t', 'INSERT INTO t VALUES (1)', 'DELETE FROM t', 'EXPLAIN SELECT * FROM t',
	'TRUNCATE t', 'ANALYZE t', "SELECT kalam.table_size('t')", 'SELECT * FROM kalam.tables',
	"SELECT kalam.flush('t')", 'COPY t FROM PROGRAM $$printf "1\ta\n"$$')
{
	my ($ret, $out, $err) = $one->psql('postgres', $use, on_error_stop => 1);

	isnt($ret, 0, "without preload: $use fails");
	like($err, qr/ERROR:  kalam_fdw is not loaded by the server\nHINT:  Add kalam_fdw to shared_preload_libraries/,
		'and tells why and what to do');
	is(() = $err =~ /ERROR|FATAL|WARNING/g, 1, 'once') or diag($err);
}
my ($ret, $out, $err) = $one->psql('postgres', "LOAD 'kalam_fdw'; SELECT * FROM t");
like($err, qr/not loaded by the server/, 'LOAD is not enough');
like(($one->psql('postgres', q(CREATE FOREIGN TABLE o (k int) SERVER kalam OPTIONS (nonsense 'x'))))[2],
	qr/invalid option "nonsense"/, 'options are checked all the same');
is($one->safe_psql('postgres', 'SELECT 1'), '1', 'the server does the rest of its work');
$one->safe_psql('postgres', 'DROP FOREIGN TABLE t');
$one->safe_psql('postgres', $create);

# ---- with it ----

$one->append_conf('postgresql.conf', "shared_preload_libraries = 'kalam_fdw'");
$one->restart;
is($one->safe_psql('postgres', 'SELECT count(*) FROM t'), '0', 'a table from before is there, and empty');
$one->safe_psql('postgres', "INSERT INTO t VALUES (1, 'one')");
is($one->safe_psql('postgres', 'SELECT * FROM t'), '1|one', 'and takes rows');
like(($one->psql('postgres', 'INSERT INTO t (v) VALUES (1)'))[2], qr/violates not-null constraint/, 'but none without a key');
ok(-d $one->data_dir . '/kalam', 'the store lies in the data directory');
my $mode = (stat($one->data_dir . '/kalam'))[2] & 0777;
is($mode & 0007, 0, 'and others cannot read it');
$one->safe_psql('postgres', 'DROP EXTENSION kalam_fdw CASCADE; CREATE EXTENSION kalam_fdw');
$one->safe_psql('postgres', $create);
is($one->safe_psql('postgres', 'SELECT count(*) FROM t'), '0', 'made anew after DROP EXTENSION CASCADE it is empty');
$one->safe_psql('postgres', "INSERT INTO t VALUES (1, 'one')");

# ---- two servers ----

my $two = new_server('two');
$two->safe_psql('postgres', $create);
$two->safe_psql('postgres', "INSERT INTO t VALUES (1, 'two'), (2, 'two')");
is($one->safe_psql('postgres', 'SELECT * FROM t ORDER BY k'), '1|one', 'each server');
is($two->safe_psql('postgres', 'SELECT * FROM t ORDER BY k'), "1|two\n2|two", 'has its own rows');
isnt(storage_pid($one), storage_pid($two), 'and its own storage process');
my $killed = kill_storage($one);
is($two->safe_psql('postgres', 'SELECT count(*) FROM t'), '2', 'the end of one does not concern the other');
ok(wait_for_storage($one, $killed), 'it comes back');
$two->stop;
is($one->safe_psql('postgres', 'SELECT * FROM t ORDER BY k'), '1|one', 'nor does a stop');
is(scalar(processes_in($two->data_dir)), 0, 'the stopped server has left no process');
$one->stop;

done_testing();
