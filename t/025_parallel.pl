# Parallel queries over stored tables: the same rows as without workers, all of
# one moment, own changes included; workers, storage and statements that end in the
# middle leave nothing behind.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $ROWS = 60000;
my $forced = <<'E';
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
E
my $node = new_server('main', conf => "autovacuum = off\nmax_worker_processes = 24\nmax_parallel_workers = 12\n");
$node->safe_psql('postgres', <<"E");
CREATE FOREIGN TABLE t (a int, b int, v bigint, w text) SERVER kalam OPTIONS (primary_key 'a, b');
CREATE FOREIGN TABLE no_key (a int, w text) SERVER kalam;
CREATE FOREIGN TABLE indexed (id int, g int, w text) SERVER kalam OPTIONS (primary_key 'id', index_g 'g, id');
CREATE FOREIGN TABLE small (a int, w text) SERVER kalam OPTIONS (primary_key 'a');
CREATE TABLE h (a int, b int, v bigint, w text);
INSERT INTO h SELECT i / 100, i % 100, i, repeat(md5(i::text), 4) FROM generate_series(0, $ROWS - 1) i;
INSERT INTO t SELECT * FROM h;
INSERT INTO no_key SELECT a, w FROM h;
INSERT INTO small SELECT i, i::text FROM generate_series(0, 599) i;
INSERT INTO indexed SELECT i, (i * 37) % 1000, repeat('x', 300) FROM generate_series(1, 30000) i;
SELECT kalam.flush('no_key');
ANALYZE;
CREATE FUNCTION sum_stable(int) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS
	'BEGIN RETURN (SELECT sum(v) FROM t WHERE a = \$1); END';
CREATE FUNCTION sum_volatile(int) RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS
	'BEGIN RETURN (SELECT sum(v) FROM t WHERE a = \$1); END';
E

sub plan_of
{
	my ($query, $before) = @_;
	return $node->safe_psql('postgres', "$forced;" . ($before // '') . "EXPLAIN (COSTS OFF) $query");
}

# ---- the same answers ----

my %queries = (
	'all rows' => "SELECT count(*), sum(v), sum(length(w || '')) FROM t",
	'rows counted' => "SELECT count(*) FROM t",
	'a range' => "SELECT count(*), sum(v) FROM t WHERE a BETWEEN 77 AND 411",
	'ranges' => "SELECT count(*), sum(v) FROM t WHERE a BETWEEN 7 AND 111 OR a BETWEEN 300 AND 500 OR (a = 550 AND b = 5)",
	'a list' => "SELECT count(*), sum(v) FROM t WHERE a IN (5, 6, 7, 599, 1000, -1)",
	'nothing' => "SELECT count(*), sum(v) FROM t WHERE a > 100000",
	'an initplan' => "SELECT count(*), sum(v) FROM t WHERE a > (SELECT min(a) + 50 FROM h)",
	'a subplan for each row' => "SELECT count(*), sum(n) FROM (SELECT (SELECT count(*) FROM t WHERE t.a < small.a) AS n FROM small WHERE a % 300 = 3) s",
	'groups' => "SELECT count(*), sum(s * a) FROM (SELECT a, sum(v) AS s FROM t GROUP BY a) g",
	'in order' => "SELECT md5(string_agg(v::text, ',')) FROM (SELECT v FROM t ORDER BY v LIMIT 5000) o",
	'a hash join' => "SELECT count(*), sum(t.v) FROM t JOIN small USING (a)",
	'a join with heap' => "SELECT count(*), sum(t.v + h.v) FROM h JOIN t USING (a, b)",
	'look-ups by workers' => "SELECT /* nestloop */ count(*), sum(length(small.w)) FROM h JOIN small USING (a)",
	'a union' => "SELECT count(*) FROM (SELECT a FROM t UNION ALL SELECT a FROM no_key UNION ALL SELECT a FROM h) u",
	'by an index' => "SELECT /* index */ count(*), sum(id), sum(length(w)) FROM indexed WHERE g BETWEEN 100 AND 400",
	'by an index only' => "SELECT /* index */ count(*), sum(id) FROM indexed WHERE g BETWEEN 100 AND 900",
	'a filter in storage' => "SELECT count(*), sum(v) FROM t WHERE b = 17 AND v % 2 = 1",
	'some rows' => "SELECT count(*) FROM (SELECT * FROM t LIMIT 10) l",
	'a stable function' => "SELECT sum(sum_stable(a)) FROM h WHERE b = 3 AND a < 200",
	'a volatile function' => "SELECT sum(sum_volatile(a)) FROM h WHERE b = 3 AND a < 200",
);
my $no_index = 'SET kalam.enable_batchjoin = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;';
foreach my $what (sort keys %queries)
{
	my $query = $queries{$what};
	my $set = $query =~ /nestloop/ ? $no_index : '';
	my $alone = $node->safe_psql('postgres', "SET max_parallel_workers_per_gather = 0; $query");

	foreach my $isolation ('read committed', 'repeatable read')
	{
		is($node->safe_psql('postgres', "$forced $set BEGIN ISOLATION LEVEL $isolation; $query; COMMIT"),
			$alone, "$what, $isolation");
	}
	is($node->safe_psql('postgres', "$forced $set SET parallel_leader_participation = off; $query"),
		$alone, "$what, by workers only");
	like(plan_of($query, $set), qr/Gather/, "$what: in parallel")
	  unless $what =~ /^(nothing|a list|some rows|groups|rows counted)$/;	# the last two storage does as well alone
}
like(plan_of($queries{'all rows'}), qr/Parallel Foreign Scan on t/, 'a scan is shared');
like(plan_of($queries{'look-ups by workers'}, $no_index), qr/Gather.*Parallel Seq Scan on h.*->  Foreign Scan on small/s,
	'a worker looks up rows by itself');
unlike(plan_of('SELECT * FROM t FOR UPDATE'), qr/Gather/, 'rows are not locked in parallel');

# ---- own changes ----

is($node->safe_psql('postgres', <<"E"), "60000\n60001\n60001\n59901\n60000", 'own changes are seen');
$forced
SET force_parallel_mode = on;
SET plan_cache_mode = force_generic_plan;
PREPARE n AS SELECT count(*) FROM t WHERE v >= -5;
EXECUTE n;
BEGIN;
INSERT INTO t VALUES (-1, 0, 0, 'own');
EXECUTE n;
SELECT count(*) FROM t WHERE v >= -5;
DELETE FROM t WHERE a = 5;
EXECUTE n;
ROLLBACK;
EXECUTE n;
E
is($node->safe_psql('postgres', <<"E"), "60000\n1200\n60100", 'own changes of other tables, too');
$forced
SET force_parallel_mode = on;
BEGIN;
CREATE FOREIGN TABLE fresh (a int, b int) SERVER kalam OPTIONS (primary_key 'a, b');
INSERT INTO fresh SELECT i, i FROM generate_series(1, 60000) i;
SELECT count(*) FROM fresh;
UPDATE small SET w = 'x';
SELECT count(*) + count(*) FILTER (WHERE w = 'x') FROM small;
SELECT count(*) FROM t, (SELECT count(*) AS n FROM small WHERE a < 100) s WHERE v >= 0 OR n = 100 UNION ALL SELECT 100 ORDER BY 1 LIMIT 0;
SELECT (SELECT count(*) FROM t WHERE v >= 0) + (SELECT count(*) FROM small WHERE a < 100);
ROLLBACK;
E
my ($code, $out, $err) = $node->psql('postgres', <<"E");
$forced
BEGIN;
UPDATE t SET v = v WHERE a = 1;
SET enable_partitionwise_join = on;
SELECT sum(sum_stable(a)) FROM h WHERE b = 3 AND a < 200;
E
like($err, qr/kalam tables cannot be read in a parallel worker/,
	'a function in a worker that would not see own changes is an error');

# ---- one moment ----

# Sessions move v between rows; whatever workers read, the sum is the same.
my @writers = map { KalamClient->new($node->connstr('postgres')) } 1 .. 2;
my $sum = $ROWS * ($ROWS - 1) / 2;
$_->send(<<'E') for @writers;
DO $$
DECLARE
	some int;
BEGIN
	FOR i IN 1 .. 100000 LOOP
		some := (random() * 599)::int;
		UPDATE t SET v = v + CASE WHEN b = 3 THEN 1000000 ELSE -1000000 END
		WHERE a = some AND b IN (3, 97);
		COMMIT;
	END LOOP;
END $$
E
my $reader = KalamClient->new($node->connstr('postgres'));
$reader->do($forced);
my $end = time() + 2;
my ($asked, $wrong) = (0, 0);
while (time() < $end)
{
	$asked++;
	$wrong++ if $reader->value('SELECT sum(v) FROM t') != $sum;
}
is($wrong, 0, "all workers read at one moment ($asked times)");
$reader->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $first = $reader->value('SELECT md5(string_agg(v::text, $$,$$ ORDER BY a, b)) FROM t');
sleep 0.2;
is($reader->value('SELECT md5(string_agg(v::text, $$,$$ ORDER BY a, b)) FROM t'), $first,
	'and at the same in one transaction');
$reader->do('COMMIT');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'");
$_->answer for @writers;

# ---- ends in the middle ----

sub idle
{
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'");
}

my $slow = 'SELECT count(*) FROM t WHERE pg_sleep(0.001) IS NOT NULL';
my $s = KalamTest::Session->new($node);
my $pid = $s->pid;

sub workers_run
{
	return $node->poll_query_until('postgres',
		"SELECT count(*) > 1 FROM pg_stat_activity WHERE leader_pid = $pid");
}

$s->do($forced);
foreach my $how ('cancel', 'terminate a worker', 'kill storage', 'kill storage and look up')
{
	$s->send($how =~ /look up/ ? 'SELECT sum(sum_stable(a)) FROM h WHERE pg_sleep(0.001) IS NOT NULL' : $slow);
	ok(workers_run(), "$how: workers run");
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)") if $how eq 'cancel';
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE leader_pid = $pid LIMIT 1")
	  if $how =~ /worker/;
	my $old = storage_pid($node);
	kill_storage($node) if $how =~ /storage/;
	my ($ok, $out, $err) = $s->answer;
	ok(!$ok, "$how: the statement fails");
	like($err, $how eq 'cancel' ? qr/57014/ : $how =~ /worker/ ? qr/57P01/ : qr/08006|40001|57P03/,
		"$how: and says why");
	ok(idle(), "$how: no worker is left");
	wait_for_storage($node, $old) if $how =~ /storage/;
	($ok, $out, $err) = $s->do('SELECT count(*), sum(v) FROM t');
	is($out, "60000|$sum\n", "$how: the session goes on") or diag($err);
}
$s->quit;

# a leader that goes away takes its workers along
$s = KalamTest::Session->new($node);
$pid = $s->pid;
$s->do($forced);
$s->send($slow);
ok(workers_run(), 'workers run');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok(idle(), 'a leader that ends takes its workers along');
is($node->safe_psql('postgres', "$forced SELECT count(*), sum(v) FROM t"), "60000|$sum", 'others go on');

# ---- after a restart; a server that forgets old snapshots ----

$node->append_conf('postgresql.conf', "old_snapshot_threshold = 1h\n");
$node->restart;
is($node->safe_psql('postgres', "$forced SELECT count(*), sum(v) FROM t"), "60000|$sum", 'after a restart');
unlike(plan_of('SELECT count(*), sum(v) FROM t'), qr/Gather/,
	'no workers where they cannot be told at which stamp to read');

done_testing();
