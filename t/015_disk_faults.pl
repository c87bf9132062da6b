# The disk fills up or breaks, files get lost or damaged: the statement that
# meets it fails and says why, others go on, nothing acknowledged is lost, and
# all works again once the cause is gone, without a restart of the server.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FaultyDisk;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', no_start => 1, conf => "kalam.write_buffer_size = '16MB'\nkalam.bulk_load_threshold = '256kB'\n");
my $disk = FaultyDisk->new($node) or plan skip_all => 'no compiler';
my $store = $node->data_dir . '/kalam';
my ($ret, $out, $err);
my $next = 1;
my %acked;

is($disk->start(FAULTY_ROOT => $store), 1, 'the server starts');
$node->safe_psql('postgres', q(
	CREATE EXTENSION kalam_fdw;
	CREATE TABLE heap (k int);
	CREATE FOREIGN TABLE t (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE well (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO well SELECT g, 'x' FROM generate_series(1, 1000) g));
my $session = KalamTest::Session->new($node);

# (SQLSTATE or '', message)
sub attempt
{
	my ($sql) = @_;
	my (undef, $o, $e) = $session->do($sql);
	my ($state, $message) = $e =~ /(?:ERROR|FATAL|PANIC):  (\w{5}): ([^\n]*)/;

	return ($state // '', $message // '');
}

# Inserts a row; remembers it if that was acknowledged.
sub insert
{
	my $k = $next++;
	my ($state, $message) = attempt("INSERT INTO t VALUES ($k, repeat('x', 100))");

	$acked{$k} = 1 if $state eq '';
	return ($state, $message);
}

sub works_again
{
	my ($what) = @_;
	my @left;

	ok(wait_until(20, sub { (insert())[0] eq '' }), "$what: writes work again") or diag((insert())[1]);
	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT k FROM t');
	@left = grep { !$there{$_} } keys %acked;
	is("@left", '', "$what: what was acknowledged is there");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM well'), '1000', "$what: other tables are whole");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM kalam.stored_tables()') > 0, 1, "$what: the catalog is");
}

insert() for 1 .. 20;

# ---- no room ----

my $pid = storage_pid($node);
$disk->fails('R');
foreach my $sql (
	"INSERT INTO t VALUES (0, 'x')",
	"BEGIN; INSERT INTO heap VALUES (1); INSERT INTO t VALUES (0, 'x'); COMMIT",
	"INSERT INTO t SELECT -g, repeat('x', 100) FROM generate_series(1, 20000) g",
	"COPY t FROM PROGRAM 'seq -f \"-%.0f	x\" 1 30000'",
	"CREATE FOREIGN TABLE n (k int) SERVER kalam",
	'TRUNCATE t',
	"SELECT kalam.flush('t')",
	"SELECT kalam.compact('t')")
{
	my ($state, $message) = attempt($sql);

	is($state, '53100', substr($sql, 0, 60)) or diag($message);
	$session->do('ROLLBACK');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '20', 'rows can be read');
is((attempt('DELETE FROM t WHERE k = 2'))[0], '', 'and deleted');
is(storage_pid($node), $pid, 'the process is the one it was');
delete $acked{2};
$disk->fails('0');
works_again('no room');
$disk->fails('F');
is((attempt('DELETE FROM t WHERE k = 1'))[0] =~ /^(53100|58030|08006|08007|57P03)$/ ? 1 : 0, 1, 'a deletion, which needs some room, fails in the end');
delete $acked{1};
$disk->fails('0');
works_again('full disk');
is($node->safe_psql('postgres', 'SELECT count(*) FROM heap'), '0', 'no half of a transaction is left');
is((attempt("CREATE FOREIGN TABLE n (k int) SERVER kalam; INSERT INTO n VALUES (1)"))[0], '', 'tables can be made');

# it is full when the process has to start
$disk->fails('F');
kill_storage($node);
ok(wait_until(10, sub { (attempt('SELECT count(*) FROM well'))[1] =~ /could not be opened: less than 8 MB are free/ }), 'a start without room is told of')
  or diag((attempt('SELECT count(*) FROM well'))[1]);
$disk->fails('0');
works_again('start on a full disk');

# ---- the log, its syncs, and sorted files cannot be written ----

my %text = (W => 'the log cannot be written', Y => 'the log cannot be synced', S => 'sorted files cannot be written');
foreach my $mode ('W', 'Y', 'S')
{
	$pid = storage_pid($node);
	$disk->fails($mode);
	my ($state, $message) = $mode eq 'S' ? attempt("SELECT kalam.flush('t')") : insert();
	# (what was written and not synced may survive: the next process writes it to files)
	my $refused = $mode eq 'Y' ? qr/^(|53100|58030|08006|08007|57P03)$/ : qr/^(53100|58030|08006|08007|57P03)$/;
	like($state, $refused, "$text{$mode}: the statement fails, or what it did is safe") or diag($message);
	ok(wait_until(10, sub { !alive($pid) }), "$text{$mode}: the process does not stay as it is");
	like((insert())[0], $refused, "$text{$mode}: so does the next");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM heap'), '0', "$text{$mode}: the server works");
	$disk->fails('0');
	works_again($text{$mode});
}

ok(!-e "$store/damaged", 'no column family was taken for damaged');

# ---- files are gone, or not to be read, while the server runs ----

$node->safe_psql('postgres', "INSERT INTO t SELECT -g, md5(g::text) FROM generate_series(1, 20000) g; SELECT kalam.flush('well')");
my ($sst, $sst_name);

sub find_sst
{
	$node->safe_psql('postgres', "SELECT kalam.flush('t'); SELECT kalam.compact('t')");
	($sst) = sort { -s $b <=> -s $a } grep { -e } glob("$store/db/*.sst");
	($sst_name) = $sst =~ m{([^/]*)$};
}
find_sst();

sub while_away
{
	my ($path, $text) = @_;
	(my $name = $path) =~ s{.*/}{};

	rename($path, "$store.aside") or die;
	kill_storage($node);
	ok(wait_until(10, sub { (attempt('SELECT count(*) FROM t'))[1] =~ $text }), "$name is gone: told of")
	  or diag((attempt('SELECT count(*) FROM t'))[1]);
	is((attempt('SELECT count(*) FROM well'))[0], '57P03', "$name is gone: SQLSTATE");
	is((attempt('INSERT INTO heap VALUES (1); DELETE FROM heap'))[0], '', "$name is gone: the server works");
	ok(slurp_file($node->logfile) =~ $text, "$name is gone: it is in the log");
	rename("$store.aside", $path) or die;
	works_again("$name is back");
}

while_away($sst, qr/could not be opened: .*\Q$sst_name\E/);
while_away($store, qr/could not be opened: the store of this server is missing: there is no directory "\Q$store\E"/);
while_away("$store/FORMAT", qr/could not be opened: .* holds a database but no file FORMAT/);
while_away("$store/db/CURRENT", qr/could not be opened: file "CURRENT" is missing/);

SKIP:
{
	skip 'root may read and write anywhere', 5 if $> == 0;
	chmod(0500, "$store/db");
	kill_storage($node);
	ok(wait_until(10, sub { (attempt('SELECT count(*) FROM t'))[1] =~ /could not be opened: .*\Q$store\E\/db.*ermission denied/ }), 'a folder that cannot be written')
	  or diag((attempt('SELECT count(*) FROM t'))[1]);
	chmod(0700, "$store/db");
	works_again('the folder can be written');
}

# ---- a damaged block ----

find_sst();
open(my $f, '+<:raw', $sst) or die;
seek($f, (-s $sst) / 3, 0);
read($f, my $byte, 1);
seek($f, -1, 1);
print $f $byte ^ "\x40";
close($f);
kill_storage($node);
wait_for_storage($node);
my ($state, $message) = attempt('SELECT max(v) FROM t');
is($state, 'XX001', 'a statement that reads a damaged block fails');
like($message, qr/\Q$sst_name\E/, 'and names the file');
is((attempt('SELECT count(v) FROM well'))[0], '', 'who reads another table does not notice');
is((attempt('SELECT v FROM t WHERE k = 3'))[0], '', 'nor who reads other rows of it');
is((attempt("INSERT INTO t VALUES (1000000, 'x'); INSERT INTO well VALUES (0, 'x'); DELETE FROM well WHERE k = 0"))[0], '', 'both can be written');
is((attempt('BEGIN; DROP FOREIGN TABLE t; COMMIT'))[0], '', 'the table can be dropped');
is($node->safe_psql('postgres', 'SELECT count(v) FROM well'), '1000', 'the others stay');

# ---- a damaged log ----

$node->safe_psql('postgres', "CREATE FOREIGN TABLE t (k int, v text) SERVER kalam OPTIONS (primary_key 'k')");
%acked = ();
insert() for 1 .. 300;
my $supervisor = supervisor_pid($node);
kill('STOP', $supervisor);
$pid = kill_storage($node);
wait_until(10, sub { !alive($pid) });
my ($log) = sort { -s $b <=> -s $a } glob("$store/db/*.log");
open($f, '+<:raw', $log) or die;
seek($f, (-s $log) * 0.7, 0);
read($f, $byte, 1);
seek($f, -1, 1);
print $f $byte ^ "\x40";
close($f);
kill('CONT', $supervisor);
ok(wait_until(10, sub { (attempt('SELECT count(*) FROM t'))[1] =~ /could not be opened: the store ends at commit \d+, but commit \d+ was on disk: .*ACCEPT_LOSS/ }), 'a damaged log is told of')
  or diag((attempt('SELECT count(*) FROM t'))[1]);
append_to_file("$store/ACCEPT_LOSS", '');
ok(wait_until(20, sub { (attempt('SELECT count(*) FROM t'))[0] eq '' }), 'where the operator says so, it is opened all the same');
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM t');
cmp_ok($count, '<', 300, 'with what could be read');
is($node->safe_psql('postgres', 'SELECT max(k) - min(k) + 1 FROM t'), $count, 'which is a beginning without gaps');
ok(!-e "$store/ACCEPT_LOSS", 'and the word holds once');

$session->quit;
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* was terminated/, 'no process of the server was hurt');
done_testing();
