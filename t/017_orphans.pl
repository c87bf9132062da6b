# Nothing of a dropped table stays: whatever dies when, and whatever was dropped
# while the library was not loaded is found and can be dropped.
use strict;
use warnings;
use File::Find ();
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $dir = $node->data_dir . '/kalam';

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub fill
{
	my ($db, $name, $rows) = @_;

	$node->safe_psql($db, "CREATE FOREIGN TABLE $name (k int, v text) SERVER kalam OPTIONS (primary_key 'k', compression 'none');
		INSERT INTO $name SELECT g, (SELECT string_agg(md5((g * 100 + i)::text), '') FROM generate_series(1, 10) i) FROM generate_series(1, $rows) g;
		SELECT kalam.flush('$name')");
}

sub without_library
{
	my ($what) = @_;

	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
	$node->restart;
	$what->();
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kalam_fdw'");
	$node->restart;
}

sub kb
{
	my $bytes = 0;

	File::Find::find(sub { $bytes += (-s $_) // 0 if /\.(sst|blob)$/ }, $dir);
	return int($bytes / 1024);
}

# ---- dropped without the library ----

sql(q(CREATE DATABASE gone; CREATE DATABASE stays; CREATE ROLE plain; CREATE ROLE watcher IN ROLE pg_monitor));
$node->safe_psql($_, 'CREATE EXTENSION kalam_fdw') foreach 'gone', 'stays';
fill('gone', 'theirs', 3000);
fill('gone', 'more', 10);
fill('stays', 'elsewhere', 10);
fill('postgres', 'mine', 3000);
fill('postgres', 'remains', 10);
$node->safe_psql('gone', q(CREATE FOREIGN TABLE kept (k int) SERVER kalam OPTIONS (on_drop 'keep'); DROP FOREIGN TABLE kept));
is(sql('SELECT count(*) FROM kalam.orphans'), '0', 'there is no orphan');
my $gone = sql(q(SELECT oid FROM pg_database WHERE datname = 'gone'));
my $mine = sql(q(SELECT 'mine'::regclass::oid));
without_library(sub {
	$node->safe_psql('postgres', 'DROP DATABASE gone');
	$node->safe_psql('postgres', 'DROP FOREIGN TABLE mine');
	$node->safe_psql('stays', 'DROP FOREIGN TABLE elsewhere');
});
my $found = q(SELECT string_agg(concat_ws(' ', database, database_oid, namespace, name, relid = %u, rows > 0, bytes > 0, reason), E'\n' ORDER BY database, name) FROM kalam.orphans);
my $expected = "gone $gone public kept f f t its database does not exist
gone $gone public more f t t its database does not exist
gone $gone public theirs f t t its database does not exist
postgres " . sql(q(SELECT oid FROM pg_database WHERE datname = 'postgres')) . ' public mine t t t its table does not exist';
is(sql(sprintf($found, $mine)), $expected, 'they are found');
is($node->safe_psql('stays', q(SELECT string_agg(name, ' ' ORDER BY name) FROM kalam.orphans)), 'elsewhere kept more theirs', 'each database finds its own');
is(sql('SET ROLE watcher; SELECT count(*) FROM kalam.orphans'), '4', 'pg_monitor may look');

sub fails
{
	my ($statement, $why, $name) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', $statement);

	like($err, $why, $name);
}
my $id = sql(q(SELECT object_id FROM kalam.orphans WHERE name = 'mine'));
my $owned = sql(q(SELECT object_id FROM kalam.tables WHERE name = 'remains'));
fails('SET ROLE plain; SELECT * FROM kalam.orphans', qr/permission denied/, 'others may not');
fails("SET ROLE watcher; SELECT kalam.drop_orphan($id)", qr/permission denied/, 'only a superuser drops them');
sql('GRANT EXECUTE ON FUNCTION kalam.drop_orphan(bigint) TO watcher');
fails("SET ROLE watcher; SELECT kalam.drop_orphan($id)", qr/must be superuser/, 'and nobody else');
fails("SELECT kalam.drop_orphan($owned)", qr/there is no orphan with object id $owned/, 'a table that is owned is not dropped');
fails('SELECT kalam.drop_orphan(99999999)', qr/there is no orphan/, 'nor one that is not there');
fails('SELECT kalam.drop_orphan(-1)', qr/there is no orphan/, 'nor nonsense');
fails('SELECT kalam.drop_orphan(' . $node->safe_psql('stays', q(SELECT object_id FROM kalam.orphans WHERE name = 'elsewhere')) . ')',
	qr/there is no orphan/, 'nor one that only its own database can tell');
sql("BEGIN; SELECT kalam.drop_orphan($id); ROLLBACK");
is(sql('SELECT count(*) FROM kalam.orphans'), '4', 'a rollback undoes it');
my $before = kb();
is(sql("BEGIN; SELECT kalam.drop_orphan($id); SELECT count(*) FROM kalam.orphans; COMMIT"), "\n3", 'one less');
fails("SELECT kalam.drop_orphan($id)", qr/there is no orphan/, 'it is gone');
my @two = map { KalamTest::Session->new($node) } 1 .. 2;
$_->send(q(SELECT kalam.drop_orphan(object_id) FROM kalam.orphans WHERE name = 'theirs')) foreach @two;
my @answers = map { [ $_->answer ] } @two;
$_->quit foreach @two;
ok((grep { $_->[0] } @answers) >= 1, 'two at once') or diag($answers[0][2], $answers[1][2]);
ok(!(grep { !$_->[0] && $_->[2] !~ /there is no orphan/ } @answers), 'the second finds nothing');
ok(wait_until(10, sub { $before - kb() > 1500 }), 'their space comes back') or diag("$before KB, then " . kb());
is(sql('SELECT string_agg(name, $$ $$ ORDER BY name) FROM kalam.orphans'), 'kept more', 'the others are there');

# ---- ids that come again ----

sql("CREATE DATABASE again OID = $gone");
$node->safe_psql('again', 'CREATE EXTENSION kalam_fdw');
is(sql('SELECT count(*) FROM kalam.orphans'), '0', 'a database that has the id of one that is gone takes nothing over');
is($node->safe_psql('again', 'SELECT count(*) FROM kalam.tables'), '0', 'not even kept tables');

fill('postgres', 'reused', 5);
my $reused = sql(q(SELECT 'reused'::regclass::oid));
without_library(sub { $node->safe_psql('postgres', 'DROP FOREIGN TABLE reused') });
is(sql('SELECT relid, rows > 0 FROM kalam.orphans'), "$reused|t", 'its rows are there');
$node->stop;
command_ok([ 'pg_resetwal', '-D', $node->data_dir, '-o', $reused ], 'ids come round');
$node->start;
my $session = KalamTest::Session->new($node);
my ($ok, $out, $err) = $session->do('BEGIN; CREATE FOREIGN TABLE other (a int, b int, c int) SERVER kalam; SELECT count(*) FROM other');
is($out, "0\n", 'a new table of the same id is empty') or diag($err);
is(($session->do(q(SELECT 'other'::regclass::oid)))[1], "$reused\n", '(it has the same id)');
$session->do('ROLLBACK');
$session->quit;
is(sql('SELECT relid FROM kalam.orphans'), $reused, 'it has taken nothing over if it is rolled back');
$node->stop;
command_ok([ 'pg_resetwal', '-D', $node->data_dir, '-o', $reused ], 'once more');
$node->start;
my $log = -s $node->logfile;
sql('CREATE FOREIGN TABLE other (a int, b int, c int) SERVER kalam; INSERT INTO other VALUES (1, 2, 3)');
is(sql(q(SELECT 'other'::regclass::oid)), $reused, '(the same id again)');
is(sql('SELECT * FROM other'), '1|2|3', 'a new table has its own rows only');
is(sql('SELECT count(*) FROM kalam.orphans'), '0', 'and the old ones are dropped');
like(slurp_file($node->logfile, $log), qr/LOG:  rows of the table "reused", which no longer exists, are dropped: the new table "other" has its id/, 'as the log says');
$node->safe_psql('stays', 'SELECT kalam.drop_orphan(object_id) FROM kalam.orphans');

# ---- what dies right behind a commit ----

my @ends = (
	[ 'drop', 'DROP FOREIGN TABLE %s' ],
	[ 'truncate', 'TRUNCATE %s' ],
	[ 'rewrite', q(ALTER FOREIGN TABLE %s OPTIONS (SET compression 'lz4')) ],
	[ 'mixed', 'BEGIN; CREATE TABLE heap (a int); DROP FOREIGN TABLE %s; DROP TABLE heap; COMMIT' ],
	[ 'nothing', 'DO $$ BEGIN END $$' ]);

# The statements, each on a table of its own, then the end of a process.
sub round
{
	my ($victim, $end, @statements) = @_;
	my $tables = sql('SELECT count(*) FROM kalam.tables');
	my $before = kb();
	my $open = KalamTest::Session->new($node);
	my @sessions = map { KalamTest::Session->new($node) } @statements;

	fill('postgres', $_->[0], 2000) foreach @statements;
	$open->do('BEGIN; CREATE FOREIGN TABLE never (k int) SERVER kalam; INSERT INTO never VALUES (1)');
	$sessions[$_]->send(sprintf($statements[$_][1], $statements[$_][0])) foreach 0 .. $#statements;
	my @answers = map { [ $_->answer ] } @sessions;
	$end->();
	is(join('', map { $_->[2] } @answers), '', "the end of $victim after: " . join(', ', map { $_->[0] } @statements));
	eval { $_->quit } foreach $open, @sessions;

	is(sql('SELECT count(*) FROM kalam.orphans'), '0', 'no orphan');
	my @kept = grep { !/drop|mixed/ } map { $_->[0] } @statements;
	is(sql('SELECT count(*) FROM kalam.tables') - $tables, scalar(@kept), 'the tables that are to be there');
	is(sql("SELECT count(*), sum(k) FROM $_"), /truncate/ ? '0|' : '2000|2001000', "rows after: $_") foreach @kept;
	my @full = grep { !/truncate/ } @kept;
	ok(wait_until(10, sub { kb() - $before < 200 + 800 * @full }), 'the space comes back') or diag(kb() . " KB, before $before KB");
	sql("DROP FOREIGN TABLE $_") foreach @kept;
	ok(wait_until(10, sub { kb() - $before < 200 }), 'nothing is left') or diag(kb() . " KB, before $before KB");
}
round('storage', sub { wait_for_storage($node, kill_storage($node)) }, $_) foreach @ends;
round('all', sub {
	my $postmaster = KalamTest::postmaster_pid($node);

	kill('KILL', storage_pid($node), $postmaster);
	wait_until(10, sub { !processes_in($node->data_dir) });
	# (a process that init has not collected yet still has its number)
	wait_until(10, sub { !kill(0, $postmaster) });
	$node->{_pid} = undef;
	$node->start;
	wait_until(30, sub { storage_answers($node) });
}, @ends);
$node->stop;
done_testing();
