# Many clients at once: no change is lost, no key is there twice, no deadlock
# goes unnoticed.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', conf => "deadlock_timeout = '100ms'\n");
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE counter (k int, n bigint) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO counter VALUES (1, 0), (2, 0);
	CREATE FOREIGN TABLE wins (k int, who int) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE bank (id int, balance int) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO bank SELECT g, 1000 FROM generate_series(1, 20) g;
	CREATE TABLE heap_bank (id int PRIMARY KEY, balance int);
	INSERT INTO heap_bank SELECT g, 1000 FROM generate_series(1, 20) g;
	CREATE FOREIGN TABLE jobs (id int, taken int) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO jobs SELECT g, 0 FROM generate_series(1, 800) g;
	CREATE FOREIGN TABLE log (who int, what text) SERVER kalam;));

# pgbench by so many clients; (exit code, output)
sub bench
{
	my ($clients, $transactions, $script, @more) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my ($out, $err) = ('', '');

	append_to_file($file, $script);
	my $ok = IPC::Run::run([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $transactions, '-f', $file,
		@more, '-d', $node->connstr('postgres') ], '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	return ($ok, $out . $err);
}

my ($ok, $said) = bench(8, 300, 'UPDATE counter SET n = n + 1 WHERE k = 1;');
ok($ok, 'eight clients add to one row') or diag($said);
is($node->safe_psql('postgres', 'SELECT n FROM counter WHERE k = 1'), '2400', 'the sum is exact');

($ok, $said) = bench(8, 150, q(
BEGIN;
SELECT n FROM counter WHERE k = 2 FOR UPDATE \gset
UPDATE counter SET n = :n + 1 WHERE k = 2;
COMMIT;
));
ok($ok, 'read with FOR UPDATE, then write') or diag($said);
is($node->safe_psql('postgres', 'SELECT n FROM counter WHERE k = 2'), '1200', 'is exact too');

($ok, $said) = bench(8, 100, q(UPDATE counter SET n = n + 1;));
ok($ok, 'both rows, found by a scan') or diag($said);
is($node->safe_psql('postgres', 'SELECT sum(n) FROM counter'), 2400 + 1200 + 1600, 'exact');

# repeatable read, retried by pgbench
($ok, $said) = bench(4, 100, q(
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT n FROM counter WHERE k = 1 \gset
UPDATE counter SET n = :n + 1 WHERE k = 1;
COMMIT;
), '--max-tries=1000');
ok($ok, 'repeatable read with retries') or diag($said);
like($said, qr/number of failed transactions: 0 /, 'all succeed in the end');
is($node->safe_psql('postgres', 'SELECT sum(n) FROM counter'), 2400 + 1200 + 1600 + 400, 'exact');

# ---- one key, many inserters ----

my @racers = map { KalamTest::Session->new($node) } 1 .. 6;
my %won;
foreach my $k (1 .. 30)
{
	$racers[$_]->send("INSERT INTO wins VALUES ($k, $_)") foreach 0 .. 5;
	my $winners = 0;
	foreach my $i (0 .. 5)
	{
		my ($fine, $o, $err) = $racers[$i]->answer;
		if ($fine) { $winners++; $won{$k} = $i; }
		elsif ($err !~ /ERROR:  23505: duplicate key value violates unique constraint "wins_pkey"/) { $winners += 100; diag($err); }
	}
	$won{$k} = 'nobody knows' if $winners != 1;
}
is($node->safe_psql('postgres', 'SELECT k || $$ $$ || who FROM wins ORDER BY k'),
	join("\n", map { "$_ $won{$_}" } sort { $a <=> $b } keys %won), 'exactly one wins each key');
($ok, $said) = bench(8, 50, q(
\set k random(1, 100000)
BEGIN;
INSERT INTO wins SELECT 1000 + g, :client_id FROM generate_series(1, 5) g ON CONFLICT DO NOTHING;
DELETE FROM wins WHERE k = 1000 + 1 + :k % 5;
COMMIT;
));
ok($ok, 'ON CONFLICT DO NOTHING against DELETE') or diag($said);
is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT k) FROM wins'), '0', 'no key is there twice');

# ---- bank ----

my $transfer = q(
\set a random(1, 20)
\set b random(1, 20)
\set x random(1, 50)
BEGIN;
UPDATE %s SET balance = balance - :x WHERE id = :a;
UPDATE %s SET balance = balance + :x WHERE id = :b;
COMMIT;
);
my $watch = fork();
if ($watch == 0)
{
	# every snapshot shows the same total
	my $seen = KalamTest::Session->new($node);
	my $wrong = 0;
	foreach (1 .. 60)
	{
		my ($fine, $sum) = $seen->do('SELECT sum(balance) FROM bank');
		$wrong++ if $sum != 20000;
		($fine, $sum) = $seen->do('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT sum(balance) FROM bank; SELECT sum(balance) FROM heap_bank; COMMIT');
		my @sums = split /\n/, $sum;
		$wrong++ if $sums[0] != 20000;
	}
	$seen->quit;
	require POSIX;
	POSIX::_exit($wrong ? 1 : 0);
}
($ok, $said) = bench(8, 150, sprintf($transfer, 'bank', 'bank'), '--max-tries=100');
ok($ok, 'transfers with deadlocks that are tried again') or diag($said);
waitpid($watch, 0);
is($?, 0, 'every snapshot shows the same total');
is($node->safe_psql('postgres', 'SELECT sum(balance), count(*) FROM bank'), '20000|20', 'and so does the end');
($ok, $said) = bench(8, 100, sprintf($transfer, 'bank', 'heap_bank'), '--max-tries=100');
ok($ok, 'transfers between kalam and heap') or diag($said);
is($node->safe_psql('postgres', 'SELECT (SELECT sum(balance) FROM bank) + (SELECT sum(balance) FROM heap_bank)'), '40000', 'no money is lost');

# ---- a queue of jobs ----

($ok, $said) = bench(8, 100, q(
WITH next AS (SELECT id FROM jobs WHERE taken = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE jobs SET taken = taken + 1 FROM next WHERE jobs.id = next.id;
));
ok($ok, 'eight take jobs with SKIP LOCKED') or diag($said);
is($node->safe_psql('postgres', 'SELECT max(taken) FROM jobs'), '1', 'none is taken twice');

# ---- without a key ----

($ok, $said) = bench(8, 100, q(INSERT INTO log VALUES (:client_id, 'x'), (:client_id, 'y');));
ok($ok, 'inserts without a key') or diag($said);
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT ctid) FROM log'), '1600|1600', 'each row is one of its own');

# ---- DDL among it ----

($ok, $said) = bench(6, 25, q(
\set name random(1, 4)
BEGIN;
SELECT pg_advisory_xact_lock(:name);
DROP FOREIGN TABLE IF EXISTS made:name;
CREATE FOREIGN TABLE made:name (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
INSERT INTO made:name SELECT g, 'x' FROM generate_series(1, 50) g;
ALTER FOREIGN TABLE made:name ADD COLUMN w int DEFAULT 5;
SELECT 1 / (CASE WHEN count(*) = 50 AND sum(w) = 250 THEN 1 ELSE 0 END) FROM made:name;
END;
SELECT count(*) FROM counter;
), '--max-tries=100');
ok($ok, 'tables come and go') or diag($said);
is($node->safe_psql('postgres', q(SELECT count(*) - (SELECT count(*) FROM pg_class WHERE relname LIKE 'made%') FROM kalam.tables WHERE name LIKE 'made%')), '0', 'and are all known');

# ---- deadlocks and the rest, told apart by SQLSTATE ----

my ($a, $b) = @racers;
foreach my $other ('bank', 'heap_bank')
{
	$a->do('BEGIN; UPDATE bank SET balance = balance WHERE id = 1');
	$b->do("BEGIN; UPDATE $other SET balance = balance WHERE id = 2");
	$a->send("UPDATE $other SET balance = balance WHERE id = 2");
	$b->send('UPDATE bank SET balance = balance WHERE id = 1');
	my @errors = map { ($_->answer)[2] } $a, $b;
	is(scalar(grep { /ERROR:  40P01: deadlock detected/ } @errors), 1, "a deadlock with $other ends one of the two") or diag(@errors);
	$_->do('ROLLBACK') foreach $a, $b;
}
$a->do('BEGIN; UPDATE bank SET balance = balance WHERE id = 1');
my $err = ($b->do('SELECT * FROM bank WHERE id = 1 FOR UPDATE NOWAIT'))[2];
like($err, qr/ERROR:  55P03: could not obtain lock on row in relation "bank"/, 'NOWAIT');
$err = ($b->do("SET lock_timeout = '100ms'; DELETE FROM bank WHERE id = 1"))[2];
like($err, qr/ERROR:  55P03: canceling statement due to lock timeout/, 'lock_timeout');
my ($fine, $out) = $b->do('SELECT count(*) FROM (SELECT * FROM bank FOR UPDATE SKIP LOCKED) x');
is($out, "19\n", 'SKIP LOCKED');
$a->do('ROLLBACK');
$a->do('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM bank');
$b->do('UPDATE bank SET balance = balance + 1 WHERE id = 3');
$err = ($a->do('UPDATE bank SET balance = balance + 1 WHERE id = 3'))[2];
like($err, qr/ERROR:  40001: could not serialize access due to concurrent update/, 'repeatable read');
$a->do('ROLLBACK');

# a transaction that locks more rows than the table of locks has room for
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE many (k int, v int) SERVER kalam OPTIONS (primary_key 'k');
	INSERT INTO many SELECT g, 0 FROM generate_series(1, 150000) g;));
$a->do('BEGIN; UPDATE many SET v = 1 WHERE k <= 140000');
$err = ($b->do("UPDATE many SET v = 2 WHERE k = 5"))[2];
like($err, qr/lock timeout/, 'a row among very many that are locked');
($ok, $out, $err) = $a->do('SAVEPOINT s; UPDATE many SET v = 3 WHERE k > 140000; ROLLBACK TO s; COMMIT');
ok($ok, 'many locks and a savepoint') or diag($err);
is($node->safe_psql('postgres', 'SELECT v, count(*) FROM many GROUP BY v ORDER BY v'), "0|10000\n1|140000", 'and the right rows');
($ok, $out, $err) = $b->do('UPDATE many SET v = 2 WHERE k = 5');
ok($ok, 'the locks are gone') or diag($err);

$_->quit foreach @racers;
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|leak|was terminated by signal/, 'no process was hurt');
done_testing();
