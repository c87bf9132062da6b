# Memory stays bounded: of a session that does the same again and again, of the
# storage process, of many sessions.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', conf => "max_parallel_workers_per_gather = 0\nkalam.block_cache_size = '64MB'\nkalam.write_buffer_size = '64MB'\n");
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE src (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE dst (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE nk (k int, v text) SERVER kalam;
	INSERT INTO src SELECT g, 'row ' || g FROM generate_series(1, 1000000) g;));

my $s = KalamTest::Session->new($node);
my $pid = $s->pid;
my $storage = storage_pid($node);

# Runs it some times; the growth of the session from the second to the last, in KB.
sub growth
{
	my ($times, @statements) = @_;
	my ($before, $after, $storage_before);

	foreach my $i (1 .. $times)
	{
		foreach my $sql (@statements)
		{
			my ($ok, $out, $err) = $s->do($sql);
			diag("$sql: $err") if !$ok;
		}
		$before = rss_kb($pid) if $i == 2;
		$after = rss_kb($pid);
	}
	return $after - $before;
}

my %grown;
$grown{'INSERT ... SELECT'} = growth(5, 'TRUNCATE dst', 'INSERT INTO dst SELECT * FROM src');
is($node->safe_psql('postgres', 'SELECT count(*) FROM dst'), '1000000', 'a million rows');
$grown{'a scan'} = growth(3, 'SELECT count(*), max(v) FROM dst');
$grown{'a loop of queries'} = growth(3, 'DO $$ DECLARE r text; BEGIN FOR i IN 1 .. 10000 LOOP SELECT v INTO r FROM src WHERE k = i; END LOOP; END $$');
$grown{'a loop of updates'} = growth(3, 'DO $$ BEGIN FOR i IN 1 .. 2000 LOOP UPDATE dst SET v = v || 1 WHERE k = i; COMMIT; END LOOP; END $$');
$grown{'exceptions'} = growth(3, q(DO $$ BEGIN FOR i IN 1 .. 2000 LOOP BEGIN INSERT INTO dst VALUES (i, 'dup'); EXCEPTION WHEN unique_violation THEN NULL; END; END LOOP; END $$));
$grown{'UPDATE of many rows'} = growth(3, "UPDATE dst SET v = 'changed ' || k WHERE k <= 50000");
$grown{'DDL'} = growth(3, q(DO $$ BEGIN FOR i IN 1 .. 15 LOOP
	CREATE FOREIGN TABLE made (k int) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO made VALUES (1); ALTER FOREIGN TABLE made ADD COLUMN c int DEFAULT 1; DROP FOREIGN TABLE made; END LOOP; END $$));
$grown{'locks'} = growth(3, 'BEGIN', 'DO $$ BEGIN PERFORM k FROM src WHERE k < 20000 FOR UPDATE; END $$', 'COMMIT');
$grown{'a nested loop'} = growth(3, 'SET enable_hashjoin = off; SET enable_mergejoin = off', 'SELECT count(b.v) FROM src a JOIN src b ON b.k = a.k + 1 WHERE a.k < 10000', 'RESET ALL');
$grown{'large values'} = growth(3, q(INSERT INTO nk SELECT g, repeat('x', 1000000) FROM generate_series(1, 20) g), 'SELECT sum(length(v)) FROM nk', 'TRUNCATE nk');
$grown{'COPY'} = growth(3, 'TRUNCATE nk', q(COPY nk FROM PROGRAM 'seq 1 100000 | sed "s/$/\tx/"'));
foreach my $what (sort keys %grown)
{
	cmp_ok($grown{$what}, '<', 15_000, "$what: the session does not grow") or diag("by $grown{$what} KB");
}
cmp_ok(rss_kb($pid), '<', 600_000, 'and is not large in the end') or diag(rss_kb($pid));
cmp_ok(rss_kb($storage), '<', 700_000, 'nor is the storage process') or diag(rss_kb($storage));
is(storage_pid($node), $storage, 'which is the same one');
$s->quit;

# ---- many sessions ----

my @sessions = map { KalamTest::Session->new($node) } 1 .. 50;
my $before = rss_kb($storage);
foreach my $round (1 .. 2)
{
	$sessions[$_]->send("SELECT count(*), min(v) FROM src WHERE k % 50 = $_ AND k < 200000; INSERT INTO dst SELECT k + 10000000 * ($_ + 50 * $round + 1), v FROM src WHERE k <= 1000; UPDATE dst SET v = 'x' WHERE k = 1")
	  foreach 0 .. 49;
	is(scalar(grep { my ($ok, $out, $err) = $_->answer; diag($err) if !$ok; $ok } @sessions), 50, 'fifty sessions at once');
}
my $most = 0;
foreach my $session (@sessions)
{
	my $kb = rss_kb($session->pid);

	$most = $kb if $kb > $most;
}
cmp_ok($most, '<', 200_000, 'none of them is large') or diag($most);
cmp_ok(rss_kb($storage), '<', $before + 250_000, 'nor the storage process') or diag("$before " . rss_kb($storage));
my $threads = () = glob("/proc/$storage/task/*");
cmp_ok($threads, '<', 25, 'which has no thread per session');
$_->quit foreach @sessions;
$node->stop;
done_testing();
