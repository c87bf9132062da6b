# Wrong use of the server's settings and files gets one clear error.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $dir = $node->data_dir;
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE t (k int, v text) SERVER kalam OPTIONS (primary_key 'k'); INSERT INTO t VALUES (1, 'a')));

# Restarts with a line in postgresql.conf; the first error of a statement that needs the store.
sub error_with
{
	my ($setting, $value) = @_;
	my ($ret, $out, $err);

	$node->append_conf('postgresql.conf', "$setting = $value") if defined $setting;
	$node->restart;
	wait_until(10, sub { ($ret, $out, $err) = $node->psql('postgres', 'SELECT * FROM t'); $err !~ /not running/ });
	is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server works');
	return $err;
}

my $tmp = PostgreSQL::Test::Utils::tempdir();

# ---- directories ----

like(error_with('kalam.data_directory', "'$tmp/nowhere/store'"),
	qr/ERROR:  the kalam store could not be opened: the store of this server is missing: there is no directory "\Q$tmp\E\/nowhere.*\nHINT/, 'a directory that is not there');
ok(!-e "$tmp/nowhere", 'and is not made in place of the one that is lost');
append_to_file("$tmp/file", 'x');
like(error_with('kalam.data_directory', "'$tmp/file'"), qr/ERROR:  the kalam store could not be opened: .*\Q$tmp\E\/file/, 'a file instead of a directory');
mkdir("$tmp/foreign");
append_to_file("$tmp/foreign/precious.txt", 'mine');
my $foreign = error_with('kalam.data_directory', "'$tmp/foreign'");
like($foreign, qr/ERROR:  the kalam store could not be opened: the store of this server is not in ".*foreign"/, 'a directory with other files');
is(slurp_file("$tmp/foreign/precious.txt"), 'mine', 'they are left alone');
my $long = '/x' x 600;
my ($ret, $out, $err);
$node->append_conf('postgresql.conf', "kalam.data_directory = '$long'");
$node->stop;
is($node->start(fail_ok => 1), 0, 'a path that is too long is refused at the start');
ok(slurp_file($node->logfile) =~ /FATAL:  the path of "kalam.data_directory" is too long/, 'with the reason');
$node->append_conf('postgresql.conf', "kalam.data_directory = 'kalam'");
$node->start;
is($node->safe_psql('postgres', 'SELECT v FROM t'), 'a', 'back at the first directory');

# the same directory for two servers
my $other = new_server('other', conf => "kalam.data_directory = '$dir/kalam'\n", no_extension => 1);
$other->safe_psql('postgres', 'CREATE EXTENSION kalam_fdw');
wait_until(10, sub { ($ret, $out, $err) = $other->psql('postgres', q(SELECT * FROM kalam.tables)); $err !~ /not running/ });
like($err, qr/ERROR:  the kalam store could not be opened: .*(in use|lock|another)/i, 'a directory that another server uses') or diag($err);
is($node->safe_psql('postgres', 'SELECT v FROM t'), 'a', 'which does not mind');
$node->stop;
ok(wait_until(15, sub { ($ret, $out, $err) = $other->psql('postgres', q(SELECT * FROM kalam.tables)); $err !~ /in use/ }), 'even if it is free again');
like($err, qr/could not be opened: .*(belongs|system identifier|another|other)/i, 'it belongs to the server that made it') or diag("$ret $err");
$other->stop;
$node->start;
is($node->safe_psql('postgres', 'SELECT v FROM t'), 'a', 'and still serves that');

# ---- formats ----

$node->stop;
my $format = slurp_file("$dir/kalam/FORMAT");
(my $newer = $format) =~ s/(\d+)/$1 + 1/e;
unlink("$dir/kalam/FORMAT");
append_to_file("$dir/kalam/FORMAT", $newer);
like(do { $node->start; error_with() }, qr/ERROR:  the kalam store could not be opened: .*(newer|version|format).*\nHINT/i, 'files of a newer version');
$node->stop;
unlink("$dir/kalam/FORMAT");
append_to_file("$dir/kalam/FORMAT", "\0garbage\n");
like(do { $node->start; error_with() }, qr/ERROR:  the kalam store could not be opened: .*FORMAT/, 'a damaged FORMAT');
$node->stop;
unlink("$dir/kalam/FORMAT");
append_to_file("$dir/kalam/FORMAT", $format);
$node->start;
is($node->safe_psql('postgres', 'SELECT v FROM t'), 'a', 'nothing has come to harm');

# the program is missing: tested by name only, as it is part of the installation

# ---- settings ----

# (Postgres takes the default for a bad value of an extension's setting, and says so)
$node->append_conf('postgresql.conf', "kalam.block_cache_size = '1kB'\nkalam.read_threads = 1000\nkalam.background_jobs = 'many'");
my $before = -s $node->logfile;
$node->restart;
my $log = slurp_file($node->logfile, $before);
foreach my $setting ('kalam.block_cache_size', 'kalam.read_threads')
{
	ok($log =~ /WARNING:  .* is outside the valid range for parameter "$setting"/, "a bad value of $setting is told of");
}
ok($log =~ /WARNING:  invalid value for parameter "kalam.background_jobs": "many"/, 'and one of kalam.background_jobs');
is($node->safe_psql('postgres', 'SELECT v FROM t'), 'a', 'defaults are used');
foreach my $sql ("SET kalam.read_threads = 3", "SET kalam.data_directory = 'x'", "SET kalam.unknown = 1")
{
	($ret, $out, $err) = $node->psql('postgres', $sql);
	isnt($ret, 0, "$sql is refused") or diag($err);
}
$node->append_conf('postgresql.conf', "kalam.block_cache_size = '4MB'\nkalam.write_buffer_size = '2MB'\nkalam.read_threads = 1\nkalam.background_jobs = 1\n");
$node->restart;
$node->safe_psql('postgres', q(INSERT INTO t SELECT g, repeat(md5(g::text), 30) FROM generate_series(2, 50000) g));
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT a.k) FROM t a JOIN t b USING (k)'), '50000|50000', 'the smallest sizes work');

# ---- privileges of the file system and of roles ----

$node->safe_psql('postgres', q(CREATE ROLE nobody LOGIN; CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader));
append_to_file("$tmp/rows", "9\tx\n");
foreach my $role ('nobody', 'reader')
{
	foreach my $copy ("COPY t FROM STDIN", "COPY t FROM '$tmp/rows'", "COPY t FROM PROGRAM 'echo 9'")
	{
		($ret, $out, $err) = $node->psql('postgres', $copy, extra_params => [ '-U', $role ]);
		like($err, qr/ERROR:  (permission denied for foreign table t|must be superuser)/, "$role: $copy") or diag($err);
	}
}
($ret, $out, $err) = $node->psql('postgres', 'COPY (SELECT * FROM t) TO STDOUT', extra_params => [ '-U', 'nobody' ]);
like($err, qr/ERROR:  permission denied for foreign table t/, 'nobody: COPY TO');
foreach my $call ("kalam.flush('t')", "kalam.compact('t')", 'kalam.stored_tables()')
{
	($ret, $out, $err) = $node->psql('postgres', "SELECT $call", extra_params => [ '-U', 'reader' ]);
	like($err, qr/ERROR:  (must be owner of foreign table t|permission denied for function)/, "reader: $call");
}
is($node->safe_psql('postgres', "SELECT kalam.table_size('t') > 0", extra_params => [ '-U', 'reader' ]), 't', 'reader: kalam.table_size');

# no command shows the number of the object, or works on another database's
($ret, $out, $err) = $node->psql('postgres', 'SELECT kalam.kalam_fdw_handler()');
isnt($ret, 0, 'the handler cannot be called from SQL');

# ---- other servers of the same wrapper ----

$node->safe_psql('postgres', q(CREATE SERVER second FOREIGN DATA WRAPPER kalam_fdw;
	CREATE FOREIGN TABLE t2 (k int) SERVER second OPTIONS (primary_key 'k'); INSERT INTO t2 VALUES (1)));
is($node->safe_psql('postgres', 'SELECT count(*) FROM t2'), '1', 'a second server of the wrapper is the same store');
$node->safe_psql('postgres', 'DROP SERVER second CASCADE');
is($node->safe_psql('postgres', q(SELECT count(*) FROM kalam.tables WHERE name = 't2')), '0', 'and DROP SERVER CASCADE drops its tables');

# single-user mode has no storage process
$node->stop;
my ($stdout, $stderr);
IPC::Run::run([ 'postgres', '--single', '-D', $dir, 'postgres' ], '<', \"SELECT * FROM t\n", '>', \$stdout, '2>', \$stderr);
like($stdout . $stderr, qr/ERROR:.*kalam|ERROR:.*stored tables/, 'single-user mode says that it cannot') or diag($stderr);
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '50000', 'and has done no harm');
$node->stop;
done_testing();
