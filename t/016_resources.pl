# What a server may lack: slots for background workers, descriptors, memory,
# its storage program, cursors; a storage process that is stopped or ends again
# and again; and copies of a store that are not one.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => "kalam.bulk_load_threshold = '1MB'\n");
my ($ret, $out, $err, $ok, $start);
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE TABLE heap (k int);
	INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100000) g));
my $count = 100000;

sub intact
{
	my ($what) = @_;

	ok(wait_until(20, sub { runs($node, 'SELECT 1 FROM t WHERE k = 1') }), "$what: it works again");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $count, "$what: all rows are there");
}

# ---- a storage process that is stopped ----

my $pid = storage_pid($node);
my @sessions = map { KalamTest::Session->new($node) } 1 .. 6;
my $reader = KalamTest::Session->new($node);
$_->do('SELECT 1 FROM t WHERE k = 1') foreach @sessions, $reader;
kill('STOP', $pid);
$start = time();
$sessions[$_]->send("INSERT INTO t VALUES (-$_, 'y')") for 0 .. 2;
$sessions[$_]->send("BEGIN; INSERT INTO t VALUES (-$_, 'y'); INSERT INTO heap VALUES ($_); COMMIT") for 3 .. 5;
($ok, $out, $err) = $reader->do("SET statement_timeout = '300ms'; SELECT count(*) FROM t");
like($err, qr/ERROR:  57014: .*statement timeout/, 'stopped: statement_timeout ends a wait for rows');
($ok, $out, $err) = $reader->do("SELECT v FROM t WHERE k = 2");
like($err, qr/ERROR:  57014: .*statement timeout/, 'stopped: and the next one');
$reader->do('RESET statement_timeout');
my $reader_pid = $reader->pid;
$reader->send('SELECT count(*) FROM t');
sleep(0.2);
is($node->safe_psql('postgres', "SELECT pg_cancel_backend($reader_pid)"), 't', 'stopped: a wait is cancelled');
($ok, $out, $err) = $reader->answer;
like($err, qr/ERROR:  57014: .*user request/, 'stopped: and says so');
is($node->safe_psql('postgres', 'SELECT count(*) < 100 FROM heap'), 't', 'stopped: heap tables are served');
sleep(3 - (time() - $start)) if time() - $start < 3;
kill('CONT', $pid);
my @answers = map { [ $_->answer ] } @sessions;
is(scalar(grep { $_->[0] } @answers), 6, 'stopped: commits wait, and end well when it goes on') or diag(map { $_->[2] } @answers);
$count += 6;
is(storage_pid($node), $pid, 'stopped: it is the same process');
($ok, $out, $err) = $reader->do('SELECT count(*) FROM t');
is($out, "$count\n", 'stopped: who gave up reads right');
$_->quit foreach @sessions;
intact('stopped');

# ---- one that ends as soon as it is there ----

$pid = 0;
foreach (1 .. 4)
{
	my $old = $pid;

	wait_until(10, sub { $pid = storage_pid($node); $pid && $pid != $old }) or last;
	kill('KILL', $pid);
}
$start = time();
intact('crash loop');
cmp_ok(time() - $start, '<', 8, 'crash loop: soon');
$reader->do("SET statement_timeout = '20s'");
foreach (1 .. 3)
{
	kill_storage($node);
	($ok, $out, $err) = $reader->do('SELECT count(*) FROM t');
	ok($ok || $err =~ /ERROR:  (08006|40001|57P03):/, 'crash loop: a session waits or gets an error') or diag($err);
}
intact('crash loop, a session');

# ---- more cursors than channels ----

$reader->do('BEGIN');
my $failed = '';
foreach my $i (1 .. 300)
{
	($ok, $out, $err) = $reader->do("DECLARE c$i CURSOR FOR SELECT k FROM t WHERE k >= $i ORDER BY k; FETCH 2 FROM c$i");
	$failed .= "$i: $out $err" if !$ok || $out ne "$i\n" . ($i + 1) . "\n";
	last if $failed;
}
is($failed, '', 'a session has 300 cursors open');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $count, 'others can still read');
foreach my $i (1, 150, 300)
{
	($ok, $out, $err) = $reader->do("FETCH 3 FROM c$i");
	is($out, join('', map { ($i + $_) . "\n" } 2 .. 4), "cursor $i goes on where it was");
}
$reader->do('COMMIT');
$reader->quit;

# ---- the program is not there ----

my $program = $node->config_data('--pkglibdir') . '/kalam_storage';
SKIP:
{
	skip 'the installation cannot be changed', 5 if !-w ($program =~ s{/[^/]*$}{}r);
	rename($program, "$program.aside") or die;
	kill_storage($node);
	ok(wait_until(10, sub { ($ret, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM t'); $err =~ /could not be opened/ }), 'the program is missing: told of');
	like($err, qr/ERROR:  the kalam store could not be opened: could not run the program ".*kalam_storage": No such file or directory/, 'and which');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM heap'), '3', 'the server works');
	rename("$program.aside", $program) or die;
	intact('the program is back');
}

# ---- no slot for the supervisor ----

$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
$start = time();
($ret, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM t');
like($err, qr/ERROR:  the kalam supervisor cannot be started: .*\nHINT:  Raise max_worker_processes/, 'no slot for a worker: told of');
cmp_ok(time() - $start, '<', 3, 'at once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM heap'), '3', 'the server works');
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;
intact('there is one');

# ---- copies ----

$node->append_conf('postgresql.conf', "wal_level = replica\nmax_wal_senders = 4\n");
append_to_file($node->data_dir . '/pg_hba.conf', "local replication all trust\n");
$node->restart;
$node->safe_psql('postgres', "INSERT INTO t VALUES (-10, 'z')");
$count++;
my $backups = PostgreSQL::Test::Utils::tempdir();

# Starts a copy; what the first statement on t says, and a count of the heap table.
sub start_copy
{
	my ($name, $dir) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	rename($dir, $copy->data_dir) or system('mkdir', '-p', $copy->basedir);
	rename($dir, $copy->data_dir) if -d $dir;
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port . "\nunix_socket_directories = '" . $copy->host . "'\n");
	$copy->start;
	return $copy;
}

sub refused
{
	my ($copy, $pattern, $what) = @_;

	ok(wait_until(10, sub { ($ret, $out, $err) = $copy->psql('postgres', 'SELECT count(*) FROM t'); $err =~ /could not be opened/ }), "$what: refused");
	like($err, $pattern, "$what: and why");
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM heap'), '3', "$what: the server works");
}

# while the server runs
my $writer = KalamTest::Session->new($node);
$writer->send('DO $$ BEGIN FOR i IN 1 .. 400 LOOP INSERT INTO t VALUES (-1000 - i, repeat(md5(i::text), 100)); COMMIT; END LOOP; END $$');
system('pg_basebackup', '-D', "$backups/online", '-h', $node->host, '-p', $node->port, '-c', 'fast', '-X', 'stream') == 0 or die;
($ok, $out, $err) = $writer->answer;
ok($ok, 'pg_basebackup does not disturb who writes') or diag($err);
$count += 400;
$writer->quit;
my $online = start_copy('online', "$backups/online");
refused($online, qr/is a copy of a store that was in use: .*ACCEPT_LOSS/, 'pg_basebackup');
$online->stop;

# of a server that was stopped: it is a good one, but not after what comes from the archive
system('pg_basebackup', '-D', "$backups/standby", '-h', $node->host, '-p', $node->port, '-c', 'fast', '-X', 'stream') == 0 or die;
$node->stop;
system('cp', '-a', $node->data_dir, "$backups/cold") == 0 or die;
system('cp', '-a', $node->data_dir, "$backups/promoted") == 0 or die;
my $cold = start_copy('cold', "$backups/cold");
ok(wait_until(10, sub { runs($cold, 'SELECT 1 FROM t') }), 'a copy of a stopped server is opened');
is($cold->safe_psql('postgres', 'SELECT count(*) FROM t'), $count, 'and whole');
$cold->stop;
append_to_file("$backups/promoted/recovery.signal", '');
append_to_file("$backups/promoted/postgresql.conf", "restore_command = 'false'\n");
my $promoted = start_copy('promoted', "$backups/promoted");
refused($promoted, qr/was last used on timeline 1, but the server is on timeline 2: .*ACCEPT_LOSS/, 'after recovery from an archive');
append_to_file($promoted->data_dir . '/kalam/ACCEPT_LOSS', '');
ok(wait_until(10, sub { runs($promoted, 'SELECT 1 FROM t') }), 'the operator may know better');
is($promoted->safe_psql('postgres', 'SELECT count(*) FROM t'), $count, 'and gets what is there');
$promoted->stop;
$node->start;
intact('the original');

# a standby that takes over
append_to_file("$backups/standby/standby.signal", '');
append_to_file("$backups/standby/postgresql.conf", "primary_conninfo = 'host=" . $node->host . ' port=' . $node->port . "'\nhot_standby = on\n");
my $standby = start_copy('standby', "$backups/standby");
($ret, $out, $err) = $standby->psql('postgres', 'SELECT count(*) FROM t');
like($err, qr/ERROR:  kalam tables cannot be used while the server is in recovery/, 'a standby says that it has no rows');
$standby->promote;
refused($standby, qr/is a copy of a store that was in use/, 'a standby that is promoted');
$standby->stop;

# ---- descriptors and memory: limits of this process, for its children ----

$node->safe_psql('postgres', join('', map { "CREATE FOREIGN TABLE many$_ (k int) SERVER kalam OPTIONS (primary_key 'k'); INSERT INTO many$_ SELECT generate_series(1, 100); SELECT kalam.flush('many$_');" } 1 .. 100));
$node->stop;
SKIP:
{
	skip 'no prlimit', 7 if system('prlimit --version >/dev/null 2>&1') != 0;
	is(system('prlimit', '--as=900000000:', '--pid', $$), 0, 'little memory');
	$node->append_conf('postgresql.conf', 'max_connections = 1000');
	is($node->start(fail_ok => 1), 0, 'a segment that does not fit: the server does not start');
	like(slurp_file($node->logfile), qr/FATAL:  could not map the shared segment of kalam_fdw, \d+ bytes: .*\n.*HINT:  Its size grows with max_connections/, 'and says what to do');
	$node->append_conf('postgresql.conf', 'max_connections = 80');
	system('prlimit', '--as=unlimited:', '--pid', $$);
	is(system('prlimit', '--nofile=200:200', '--pid', $$), 0, 'few descriptors');
	$node->start;
	intact('few descriptors');
	is($node->safe_psql('postgres', 'SELECT sum(n) FROM (' . join(' UNION ALL ', map { "SELECT count(*) AS n FROM many$_" } 1 .. 100) . ') x'), '10000', 'few descriptors: more tables than descriptors');
	$node->stop;
}
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* was terminated/, 'no process of the server was hurt');
done_testing();
