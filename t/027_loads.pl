# Loads: what a statement inserts goes to storage while it runs.  However the
# statement, the transaction, the session or the storage process ends, all of it is
# there or nothing, and no file and no channel is left behind.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use KalamClient;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => q(
max_prepared_transactions = 5
kalam.block_cache_size = 32MB
autovacuum = off
));
my $bulk = $node->data_dir . '/kalam/bulk';
my $s = KalamTest::Session->new($node);
my $pid = $s->pid;

sub files
{
	return scalar(my @files = glob("$bulk/*"));
}

sub ask
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Does the statement succeed, in the session?  Its output.
sub succeeds
{
	my ($sql, $what) = @_;
	my ($ok, $out, $err) = $s->do($sql);

	ok($ok, $what // $sql) or diag($err);
	chomp($out);
	return $out;
}

sub fails
{
	my ($sql, $state, $what) = @_;
	my ($ok, $out, $err) = $s->do($sql);

	like($err, qr/ERROR:  $state: /, $what // $sql);
}

sub nothing_is_left
{
	my ($what) = @_;

	ok(wait_until(10, sub { files() == 0 }), "$what: no file is left") or diag(join(' ', glob("$bulk/*")));
	is(ask('SELECT count(*) FROM kalam.progress'), '0', "$what: no load is under way");
}

ask(q(
	CREATE FOREIGN TABLE t (k int, a int, v text) SERVER kalam OPTIONS (primary_key 'k', index_a 'a', unique_v 'v');
	INSERT INTO t SELECT g, g % 100, 'v' || g FROM generate_series(1, 1000) g;
	CREATE FOREIGN TABLE n (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE n2 (k int) SERVER kalam OPTIONS (primary_key 'k');
	CREATE TABLE heap_t (k int);));
my $tail = 'x' x 80;

# Sends 100,000 rows, nothing for some seconds, and 100,000 rows; waits until storage
# has files of the first.
sub begin_load
{
	my ($session, $what, $seconds) = @_;
	my $rows = qq(seq %d %d | sed "s/.*/&\\t1\\t& $tail/");

	$session->send("COPY t FROM PROGRAM '" . sprintf($rows, 1000001, 1100000) . "; sleep $seconds; "
		  . sprintf($rows, 1100001, 1200000) . "'");
	ok(wait_until(20, sub { files() > 0 && ask('SELECT count(*) FROM kalam.progress WHERE rows > 10000') eq '1' }),
		"$what: it loads");
}

# ---- stopped ----

begin_load($s, 'cancel', 30);
is(ask("SELECT phase, rows <= 100000, bytes > 1000000, files > 0 FROM kalam.progress WHERE pid = $pid AND relid = 't'::regclass AND datname = 'postgres'"),
	'loading|t|t|t', 'it is shown');
my $start = time();
ask("SELECT pg_cancel_backend($pid)");
like(($s->answer)[2], qr/ERROR:  57014/, 'cancelled');
cmp_ok(time() - $start, '<', 3, 'at once');
nothing_is_left('cancel');
is(succeeds('SELECT count(*), sum(k) FROM t'), '1000|500500', 'nothing has come in');

my $other = KalamClient->new($node->connstr('postgres'));
my $backend = $other->backend;
begin_load($other, 'terminate', 30);
ask("SELECT pg_terminate_backend($backend)");
is(($other->answer)[0], 'lost', 'terminated');
$other->quit;
nothing_is_left('terminate');
is(succeeds('SELECT count(*), sum(k) FROM t'), '1000|500500', 'nothing has come in');

# each of these begins a load, and then fails: there are fewer channels than that
succeeds(q(DO $$ DECLARE n int := 0; BEGIN
	SET LOCAL kalam.bulk_load_threshold = 0;
	FOR i IN 1 .. 300 LOOP
		BEGIN
			INSERT INTO n SELECT g, 'x' FROM generate_series(1, 20) g UNION ALL SELECT 1 / (i - i), 'never';
		EXCEPTION WHEN division_by_zero THEN
			n := n + 1;
		END;
	END LOOP;
	ASSERT n = 300;
END $$), '300 loads that fail');
nothing_is_left('failed loads');
begin_load($s, 'there are channels', 30);
ask("SELECT pg_cancel_backend($pid)");
$s->answer;

# at any moment
my $committed = 0;
foreach my $i (1 .. 40)
{
	my ($lower, $upper) = (2000000 + $i * 10000, 2000000 + $i * 10000 + 9999);

	$s->do('SET statement_timeout = ' . (5 + 4 * $i));
	$s->do('BEGIN');
	$s->do("INSERT INTO t SELECT g, $i, 'i' || g FROM generate_series($lower, $upper) g");
	$s->do('SELECT count(*) FROM t WHERE a >= 0') if $i % 2 == 0;
	$s->do('SAVEPOINT s');
	$s->do("INSERT INTO t SELECT g + 1000000, $i, 'i' || g + 1000000 FROM generate_series($lower, $upper) g");
	$s->do('ROLLBACK TO s');
	$s->do('RESET statement_timeout');
	$committed++ if ($s->do('INSERT INTO heap_t VALUES (1)'))[0] && ($s->do('COMMIT'))[0];
	$s->do('ROLLBACK');
}
$s->do('RESET statement_timeout');
nothing_is_left('timeouts');
is(ask('SELECT count(*) FROM (SELECT a FROM t WHERE k > 2000000 GROUP BY a HAVING count(*) <> 10000) x'), '0',
	"all of a statement or nothing, with timeouts ($committed of 40 committed)");
is(ask("SELECT count(*) FROM kalam.verify_indexes('t')"), '0', 'the indexes agree');
ask('DELETE FROM t WHERE k > 1000');

# ---- storage dies ----

begin_load($s, 'death of storage', 2);
my $storage = kill_storage($node);
like(($s->answer)[2], qr/ERROR:  08006/, 'the statement fails when storage dies');
ok(wait_for_storage($node, $storage), 'storage is back');
nothing_is_left('death of storage');
is(succeeds('SELECT count(*), sum(k) FROM t'), '1000|500500', 'nothing has come in');

my $insert = q(INSERT INTO n SELECT g, 'n' || g FROM generate_series(%d, %d) g);

sub load_and_kill
{
	my ($what) = @_;

	succeeds('BEGIN');
	succeeds('INSERT INTO heap_t VALUES (2)') if $what =~ /heap/;
	succeeds(sprintf($insert, 100001, 200000), "$what: a load");
	ok(files() > 0, "$what: in files");
	$storage = kill_storage($node);
	ok(wait_for_storage($node, $storage), "$what: storage is back");
}

load_and_kill('COMMIT');
fails('COMMIT', '08006');
is(succeeds('SELECT count(*) FROM n'), '0', 'nothing was committed');
load_and_kill('COMMIT with heap');
fails('COMMIT', '08006');
is(succeeds('SELECT (SELECT count(*) FROM n), (SELECT count(*) FROM heap_t WHERE k = 2)'), '0|0', 'nothing was committed');
load_and_kill('a look');
fails('SELECT count(*) FROM n', '08006');
succeeds('ROLLBACK');
load_and_kill('ROLLBACK');
succeeds('ROLLBACK');
succeeds('BEGIN');
succeeds(q(INSERT INTO n VALUES (1, 'stays')));
succeeds('SAVEPOINT s');
succeeds(sprintf($insert, 100001, 200000));
$storage = kill_storage($node);
ok(wait_for_storage($node, $storage), 'storage is back');
succeeds('ROLLBACK TO s');
succeeds('COMMIT', 'what a savepoint has loaded is not missed once it is rolled back');
is(succeeds('SELECT * FROM n'), '1|stays', 'the rest is there');
nothing_is_left('deaths of storage');

# ---- a session dies, and the server with it ----

$other = KalamClient->new($node->connstr('postgres'));
$backend = $other->backend;
begin_load($other, 'death of a session', 2);
kill('KILL', $backend);
$other->answer;
$other->quit;
ok(wait_until(30, sub { runs($node, 'SELECT count(*) FROM t') }), 'the server is back');
nothing_is_left('death of a session');
is(ask('SELECT count(*), sum(k) FROM t'), '1000|500500', 'nothing has come in');
$s = KalamTest::Session->new($node);
$pid = $s->pid;

# ---- prepared ----

succeeds('BEGIN');
succeeds(sprintf($insert, 100001, 200000));
succeeds(q(PREPARE TRANSACTION 'p1'));
succeeds('BEGIN');
succeeds('INSERT INTO n2 SELECT generate_series(1, 100000)');
succeeds(q(PREPARE TRANSACTION 'p2'));
$s->quit;
$node->stop('immediate');
$node->start;
$s = KalamTest::Session->new($node);
$pid = $s->pid;
is(succeeds('SELECT (SELECT count(*) FROM n), (SELECT count(*) FROM n2)'), '1|0', 'prepared loads are not seen');
succeeds(q(COMMIT PREPARED 'p1'));
succeeds(q(ROLLBACK PREPARED 'p2'));
is(succeeds('SELECT (SELECT count(*) FROM n), (SELECT count(*) FROM n2)'), '100001|0', 'one is committed after a crash, one is not');
nothing_is_left('prepared');

# ---- many sessions ----

my @clients = map { KalamClient->new($node->connstr('postgres')) } 1 .. 50;
foreach my $i (0 .. $#clients)
{
	# of their own table, in turns with the same; some with a key that is taken
	my $from = 3000000 + $i * 10000;
	my $bad = $i % 5 == 4 ? 'UNION ALL SELECT 7, 7, NULL' : '';

	$clients[$i]->do("SET kalam.load_memory = '1MB'; CREATE FOREIGN TABLE own_$i (k int, v text) SERVER kalam OPTIONS (primary_key 'k')");
	$clients[$i]->send("BEGIN; INSERT INTO own_$i SELECT g, repeat('v', 200) FROM generate_series(1, 6000) g;"
		  . " INSERT INTO t SELECT g, $i, 's' || g FROM generate_series($from, $from + 7999) g $bad; COMMIT");
}
my %states;
foreach my $client (@clients)
{
	my ($state) = $client->answer(120);

	$states{$state}++;
}
is_deeply(\%states, { '' => 40, '23505' => 10 }, 'fifty sessions load side by side') or diag(explain(\%states));
$_->quit foreach @clients;
is(ask('SELECT count(*), count(DISTINCT v), sum(a) FROM t WHERE k >= 3000000'),
	40 * 8000 . '|' . 40 * 8000 . '|' . 8000 * (50 * 49 / 2 - (4 + 9 + 14 + 19 + 24 + 29 + 34 + 39 + 44 + 49)), 'all rows of those that committed');
is(ask('SELECT ' . join(' + ', map { "(SELECT count(*) FROM own_$_)" } 0 .. 49)), 40 * 6000, 'and of their own tables');
is(ask("SELECT count(*) FROM kalam.verify_indexes('t')"), '0', 'the indexes agree');
nothing_is_left('many sessions');

$s->quit;
$node->stop;
done_testing();
