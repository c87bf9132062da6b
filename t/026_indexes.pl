# Secondary indexes: builds that are cancelled, killed and watched, dumps, prepared
# transactions, old snapshots, and what a crash leaves.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => "max_prepared_transactions = 10\n");
my $dir = PostgreSQL::Test::Utils::tempdir();

sub ask { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub sound
{
	my ($table, $what) = @_;

	is(ask("SELECT * FROM kalam.verify_indexes('$table')"), '', $what);
}

# ---- building ----

ask(q(
	CREATE FOREIGN TABLE t (k int, a int, u text COLLATE "C") SERVER kalam OPTIONS (primary_key 'k', index_a 'a');
	INSERT INTO t SELECT g, g % 100, 'u' || g FROM generate_series(1, 100000) g;
	CREATE FOREIGN TABLE other (k int) SERVER kalam OPTIONS (primary_key 'k');));
my $s = KalamTest::Session->new($node);
my $pid = $s->pid;

foreach my $memory ('64MB', '1MB')
{
	my $progress = '';
	my $start;

	$s->do("SET kalam.staged_memory = '$memory'");
	$s->send('ALTER FOREIGN TABLE t OPTIONS (ADD unique_u \'u\', ADD index_au \'a, u\')');
	ok(wait_until(10, sub { $progress = ask("SELECT phase, rows > 0, rows <= 100000, rows_total > 50000, bytes > 0 FROM kalam.progress WHERE pid = $pid AND relid = 't'::regclass AND rows > 0") }),
		"$memory: a build is shown");
	is($progress, 'building indexes|t|t|t|t', "$memory: with what it has done");
	is(ask("SELECT count(*) FROM pg_stat_progress_create_index WHERE pid = $pid AND phase LIKE 'building index%'"), '1', "$memory: where core shows its own");
	$start = time();
	ask("SELECT pg_cancel_backend($pid)");
	like(($s->answer)[2], qr/57014: canceling statement/, "$memory: a build is cancelled");
	cmp_ok(time() - $start, '<', 2, "$memory: at once");
	is(ask('SELECT count(*) FROM kalam.progress'), '0', "$memory: and is no longer shown");
	is(ask("SELECT indexes FROM kalam.tables WHERE name = 't'"), 'a (a)', "$memory: nothing of it stays");
	ask("INSERT INTO t VALUES (0, 0, 'u1'); DELETE FROM t WHERE k = 0");
	sound('t', "$memory: the others are sound");
}
($s->do('ALTER FOREIGN TABLE t OPTIONS (ADD unique_u \'u\', ADD index_au \'a, u\')'))[0] or fail('a spilled build');
sound('t', 'a build that was spilled');
like(($node->psql('postgres', "INSERT INTO t VALUES (0, 0, 'u77')"))[2], qr/"t_u_key"\nDETAIL:  Key \(u\)=\(u77\) already exists/, 'its values are unique');
$s->send('ALTER FOREIGN TABLE t ALTER COLUMN a TYPE bigint');
ok(wait_until(10, sub { ask("SELECT phase FROM kalam.progress WHERE rows > 0 AND rows <= 100000") eq 'storing rows anew' }), 'a rewrite is shown');
ok(($s->answer)[0], 'and ends');
sound('t', 'a rewrite');

# ---- the space of an index that is dropped ----

ask('ALTER FOREIGN TABLE t OPTIONS (DROP index_au)');
ask("SELECT kalam.flush('t')");
my $before = ask("SELECT kalam.table_size('t')");
ask('ALTER FOREIGN TABLE t OPTIONS (DROP unique_u)');
ok(wait_until(10, sub { ask("SELECT kalam.table_size('t')") < 0.8 * $before }), 'comes back') or diag("$before, then " . ask("SELECT kalam.table_size('t')"));
ask('ALTER FOREIGN TABLE t OPTIONS (ADD unique_u \'u\', ADD index_au \'a, u\')');

# ---- old snapshots ----

my $old = KalamTest::Session->new($node);
$old->do('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM other');
ask(q(ALTER FOREIGN TABLE t OPTIONS (ADD index_late 'u DESC')));
like(($old->do("SELECT * FROM kalam.verify_indexes('t')"))[2], qr/40001: .*concurrent ALTER.*\n.*"t_late_idx" was built after/, 'a snapshot from before an index was built cannot use it');
$old->do('ROLLBACK');
$old->do('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM other');
ask(q(INSERT INTO t VALUES (-1, 1, 'late')));
like(($old->do("ALTER FOREIGN TABLE t OPTIONS (ADD index_own 'a DESC'); SELECT * FROM kalam.verify_indexes('t')"))[2], qr/40001: .*\n.*"t_own_idx"/, 'nor one that it has built itself, of newer rows');
$old->do('ROLLBACK');
is(($old->do(q(BEGIN; ALTER FOREIGN TABLE t OPTIONS (ADD index_own 'a DESC'); INSERT INTO t VALUES (-2, 1, 'own'); SELECT * FROM kalam.verify_indexes('t'))))[2], '', 'in read committed it can');
$old->do('ROLLBACK');
$old->quit;

# ---- prepared ----

ask(q(
	CREATE FOREIGN TABLE p (k int, u int) SERVER kalam OPTIONS (primary_key 'k', unique_u 'u');
	INSERT INTO p VALUES (1, 1), (2, 2);
	BEGIN; UPDATE p SET u = 9 WHERE k = 1; INSERT INTO p VALUES (3, 3); ALTER FOREIGN TABLE p OPTIONS (ADD index_k 'k'); PREPARE TRANSACTION 'ddl';
	ROLLBACK PREPARED 'ddl';
	BEGIN; UPDATE p SET u = 9 WHERE k = 1; INSERT INTO p VALUES (3, 3); PREPARE TRANSACTION 'p';));
foreach my $restart (0, 1)
{
	$node->restart if $restart;
	foreach my $value (1, 3, 9)
	{
		like(($node->psql('postgres', "SET lock_timeout = '100ms'; INSERT INTO p VALUES (10 + $value, $value)"))[2], qr/canceling statement due to lock timeout/,
			"a prepared transaction holds value $value" . ($restart ? ', also after a restart' : ''));
	}
	like(($node->psql('postgres', 'INSERT INTO p VALUES (12, 2)'))[2], qr/duplicate key/, 'and no other');
}
ask("COMMIT PREPARED 'p'");
is(ask('INSERT INTO p VALUES (11, 1); SELECT array_agg(u ORDER BY k) FROM p'), '{9,2,3,1}', 'what it freed is free');
sound('p', 'and its entries came');

# ---- many values: locks on them become one on the table ----

$s->quit;
$s = KalamTest::Session->new($node);
# (a load takes none)
$s->do("SET kalam.bulk_load_threshold = '1GB'");
$s->do('BEGIN; INSERT INTO p SELECT g, g FROM generate_series(30000, 36000) g');
is(ask("SET lock_timeout = '1s'; INSERT INTO p VALUES (40000, 40000) RETURNING k"), '40000', 'thousands of rows and as many values are not too many yet');
$s->do('COMMIT');
$s->do('BEGIN; INSERT INTO p SELECT g, g FROM generate_series(1000, 16000) g');
like(($node->psql('postgres', "SET lock_timeout = '100ms'; INSERT INTO p VALUES (20, 1500)"))[2], qr/lock timeout/, 'a value among many is waited for');
$s->do('COMMIT');
like(($node->psql('postgres', 'INSERT INTO p VALUES (20, 1500)'))[2], qr/duplicate key/, 'and is taken then');
sound('p', 'all is well');

# ---- many sessions ----

ask(q(
	CREATE FOREIGN TABLE busy (k int, u int, w int, v int) SERVER kalam OPTIONS (primary_key 'k', unique_u 'u', unique_wu 'w, u', index_v 'v, w');
	CREATE FUNCTION step(what int, a int, b int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		CASE what
			WHEN 0 THEN INSERT INTO busy VALUES (a, b, a % 3, b);
			WHEN 1 THEN INSERT INTO busy VALUES (a, b, a % 3, b), (b, a, a % 3, b) ON CONFLICT DO NOTHING;
			WHEN 2 THEN INSERT INTO busy VALUES (a, b, a % 3, b) ON CONFLICT (k) DO UPDATE SET u = excluded.u, v = busy.v + 1;
			WHEN 3 THEN INSERT INTO busy VALUES (a, b, a % 3, b) ON CONFLICT (u) DO UPDATE SET k = excluded.k, w = 9;
			WHEN 4 THEN UPDATE busy SET u = b, v = v + 1 WHERE k = a;
			WHEN 5 THEN UPDATE busy SET k = b WHERE u = a;
			WHEN 6 THEN UPDATE busy SET v = v + 1 WHERE k IN (a, b);
			WHEN 7 THEN DELETE FROM busy WHERE u = a;
			ELSE DELETE FROM busy WHERE k = a; INSERT INTO busy VALUES (b, a, 1, 1);
		END CASE;
	EXCEPTION WHEN unique_violation THEN NULL; END $$;));
append_to_file("$dir/steps", <<'SQL');
\set what random(0, 8)
\set a random(1, 30)
\set b random(1, 30)
\set c random(0, 8)
BEGIN;
SELECT step(:what, :a, :b);
SELECT step(:c, :b, :a + 1);
COMMIT;
SQL
foreach my $level ('read committed', 'repeatable read')
{
	local $ENV{PGOPTIONS} = '-c deadlock_timeout=20ms -c default_transaction_isolation=' . $level =~ s/ /\\ /r;
	my ($out, $err) = run_command([ 'pgbench', '-n', '-c', '6', '-j', '2', '-T', '2', '--max-tries=1000', '-f', "$dir/steps", $node->connstr('postgres') ]);

	like($out, qr/number of failed transactions: 0 /, "$level: many sessions") or diag("$out $err");
	sound('busy', "$level: entries are those of rows");
	is(ask(q(SELECT count(*), count(DISTINCT u), count(DISTINCT k) FROM busy WHERE u IS NOT NULL)) =~ /^(\d+)\|\1\|\1$/ ? 1 : 0, 1, "$level: values are unique");
}

# ---- deaths ----

foreach my $how ('storage', 'server')
{
	my $w = KalamTest::Session->new($node);
	my $writer = $w->pid;

	ask('ALTER FOREIGN TABLE t OPTIONS (DROP index_late)') if $how eq 'server';
	$w->send(q(DO $$ BEGIN FOR i IN 1 .. 1000000 LOOP UPDATE t SET a = a + 1, u = u || '.' WHERE k % 997 = i % 997; DELETE FROM t WHERE k = i * 7; COMMIT; END LOOP; END $$));
	sleep(1);
	if ($how eq 'storage')
	{
		kill_storage($node);
		sleep(0.5);
		# (between two requests it has not noticed)
		ask("SELECT pg_cancel_backend($writer)");
		$w->answer;
	}
	else
	{
		$node->stop('immediate');
		eval { $w->{harness}->finish };
		$node->start;
	}
	ok(wait_until(20, sub { ($node->psql('postgres', 'SELECT count(*) FROM p'))[0] == 0 }), "back after the death of the $how");
	sound('t', "sound after the death of the $how");
	$w->quit if $how eq 'storage';
}

# ---- dumps ----

$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'pg_dump', '-Fc', '--include-foreign-data=kalam', '-t', 't', '-t', 'p', '-f', "$dir/dump", $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('copy', 'CREATE EXTENSION kalam_fdw');
command_ok([ 'pg_restore', '-e', '-d', $node->connstr('copy'), "$dir/dump" ], 'restored');
my $options = q(SELECT array(SELECT unnest(ftoptions) ORDER BY 1) FROM pg_foreign_table WHERE ftrelid = 't'::regclass);
is($node->safe_psql('copy', $options), ask($options), 'with its indexes');
is($node->safe_psql('copy', q(SELECT count(*), sum(a), md5(string_agg(u, ',' ORDER BY k)) FROM t)), ask(q(SELECT count(*), sum(a), md5(string_agg(u, ',' ORDER BY k)) FROM t)), 'and its rows');
is($node->safe_psql('copy', "SELECT * FROM kalam.verify_indexes('t')"), '', 'sound');
$node->stop;
done_testing();
