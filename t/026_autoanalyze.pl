# Stored tables are analysed by themselves when enough of them has changed, by
# autovacuum's settings, in each database, also after restarts; whoever needs the
# table or the database sends that away.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => <<'E');
autovacuum_naptime = 1
autovacuum_analyze_threshold = 100
autovacuum_analyze_scale_factor = 0.2
log_autovacuum_min_duration = 0
E

sub stats
{
	my ($table, $columns, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SELECT $columns FROM kalam.stat_tables WHERE relname = '$table'");
}

sub reltuples
{
	my ($table, $rows, $what, $database) = @_;
	my $found = wait_until(30, sub {
		$node->safe_psql($database // 'postgres', "SELECT reltuples = $rows FROM pg_class WHERE relname = '$table'") eq 't' });
	ok($found, $what)
	  or diag($node->safe_psql('postgres', 'SELECT * FROM kalam.stat_tables'));
	return;
}

$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE t (a int, b int) SERVER kalam OPTIONS (primary_key 'a');
CREATE FOREIGN TABLE "few rows" (a int) SERVER kalam;
CREATE FOREIGN TABLE undone (a int) SERVER kalam OPTIONS (primary_key 'a');
INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 1000) i;
INSERT INTO "few rows" SELECT i FROM generate_series(1, 50) i;
BEGIN;
INSERT INTO undone SELECT i FROM generate_series(1, 1000) i;
ROLLBACK;
BEGIN;
INSERT INTO undone VALUES (1);
SAVEPOINT s;
INSERT INTO undone SELECT i FROM generate_series(2, 1000) i;
ROLLBACK TO s;
SAVEPOINT s;
INSERT INTO undone VALUES (3);
RELEASE s;
COMMIT;
E
reltuples('t', 1000, 'a new table is analysed');
like($node->safe_psql('postgres', "SELECT n_distinct FROM pg_stats WHERE tablename = 't' AND attname = 'b'"),
	qr/^3$/, 'its columns, too');
is(stats('t', 'n_mod_since_analyze, autoanalyze_count > 0, last_autoanalyze IS NOT NULL, last_analyze IS NULL'),
	'0|t|t|t', 'the view says so');
is(stats('undone', 'n_mod_since_analyze, autoanalyze_count'), '2|0', 'what was rolled back does not count');
is(stats('few rows', 'n_mod_since_analyze, autoanalyze_count'), '50|0', 'few changes are not enough');

$node->safe_psql('postgres', 'UPDATE t SET b = 7 WHERE a <= 150');
sleep 1.5;
is(stats('t', 'n_mod_since_analyze'), '150', 'a fifth of a table must have changed');
$node->safe_psql('postgres', 'DELETE FROM t WHERE a > 800');
reltuples('t', 800, 'then it is analysed again');

$node->safe_psql('postgres', 'INSERT INTO "few rows" SELECT i FROM generate_series(1, 60) i; ANALYZE "few rows"');
is(stats('few rows', 'n_mod_since_analyze, analyze_count, last_analyze IS NOT NULL'), '0|1|t',
	'ANALYZE begins the count anew');
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, 0 FROM generate_series(10001, 10100) i; BEGIN; ANALYZE t; ROLLBACK');
is(stats('t', 'n_mod_since_analyze'), '100', 'unless it is rolled back');

$node->safe_psql('postgres', <<'E');
CREATE TABLE parent (a int);
CREATE FOREIGN TABLE child () INHERITS (parent) SERVER kalam;
INSERT INTO child SELECT generate_series(1, 90);
ANALYZE parent;
E
is(stats('child', 'n_mod_since_analyze, analyze_count'), '90|0', 'ANALYZE of a parent does not count for the child');

# ---- other databases ----

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', <<'E');
CREATE EXTENSION kalam_fdw;
CREATE FOREIGN TABLE o (a int) SERVER kalam;
INSERT INTO o SELECT i FROM generate_series(1, 500) i;
E
reltuples('o', 500, 'in another database', 'other');
$node->safe_psql('other', 'INSERT INTO o SELECT i FROM generate_series(1, 500) i');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('a database can be dropped meanwhile');

# ---- others come first ----

$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE locked (a int) SERVER kalam;
E
my $s = KalamTest::Session->new($node);
$s->do('BEGIN');
$s->do(q(COMMENT ON FOREIGN TABLE locked IS 'takes the lock that ANALYZE wants'));
$node->safe_psql('postgres', 'INSERT INTO locked SELECT i FROM generate_series(1, 500) i');
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, 0 FROM generate_series(20001, 21000) i');
reltuples('t', 1900, 'a table that is locked does not keep others from being analysed');
$s->do('COMMIT');
reltuples('locked', 500, 'it is analysed later');

# ---- restarts ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET autovacuum = off');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
sleep 0.5;
$node->safe_psql('postgres', 'DELETE FROM t WHERE a > 400');
sleep 1.5;
is(stats('t', 'n_mod_since_analyze > 1000'), 't', 'autovacuum = off: nothing is analysed');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET autovacuum');
$node->restart;
reltuples('t', 400, 'what changed before a restart is seen after it');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, 0 FROM generate_series(30001, 31000) i');
reltuples('t', 1400, 'and after a crash');
my $old = storage_pid($node);
kill_storage($node);
wait_for_storage($node, $old);
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, 0 FROM generate_series(40001, 41000) i');
reltuples('t', 2400, 'and after the death of storage');
unlike(slurp_file($node->logfile), qr/(ERROR|FATAL|WARNING):.*(kalam autoanalyze|canceling)/, 'nothing went wrong');
like(slurp_file($node->logfile), qr/automatic analyze of table "postgres\.public\."?few rows|automatic analyze of table "postgres\.public\.t"/,
	'the log tells of it');

# ---- whoever waits for it sends it away ----

$node->append_conf('postgresql.conf', <<'E');
autovacuum_vacuum_cost_delay = 100ms
autovacuum_vacuum_cost_limit = 1
deadlock_timeout = 100ms
E
$node->reload;

# A table whose analysis takes minutes now, and one that is under way.
sub analysis_of_large
{
	my ($database) = @_;

	$node->safe_psql($database, <<'E');
CREATE EXTENSION IF NOT EXISTS kalam_fdw;
CREATE FOREIGN TABLE large (a int, b text) SERVER kalam;
INSERT INTO large SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i;
E
	return wait_until(30, sub {
		$node->safe_psql('postgres', <<"E") eq '1' });
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'kalam autoanalyze' AND query = 'ANALYZE (SKIP_LOCKED) public.large' AND datname = '$database'
E
}

ok(analysis_of_large('postgres'), 'a long analysis is under way');
$node->safe_psql('postgres', q(SET statement_timeout = '20s'; ALTER FOREIGN TABLE large ADD COLUMN c int));
pass('a table can be altered meanwhile');
like(slurp_file($node->logfile), qr/canceling statement[^\n]*\n[^\n]*ANALYZE \(SKIP_LOCKED\) public\.large"\n\s*automatic analyze of the kalam table/,
	'which cancels it');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE large; CREATE DATABASE other');
ok(analysis_of_large('other'), 'and in another database');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('a database can be dropped meanwhile, too');
ok(analysis_of_large('postgres'), 'and once more');
my $start = time();
$node->stop('fast');
cmp_ok(time() - $start, '<', 10, 'the server stops meanwhile');

done_testing();
