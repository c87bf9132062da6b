# Many tables: a fixed number of processes, and space that comes back.
use strict;
use warnings;
use File::Find ();
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_server('main');
my $dir = $node->data_dir . '/kalam';

# KB in files of rows; the log's come and go at their own pace.
sub kb
{
	my $bytes = 0;

	File::Find::find(sub { $bytes += (-s $_) // 0 if /\.(sst|blob)$/ }, $dir);
	return int($bytes / 1024);
}

sub processes
{
	return scalar(processes_in($node->data_dir));
}

# ---- space ----

$node->safe_psql('postgres', 'CREATE FOREIGN TABLE stays (k int) SERVER kalam; INSERT INTO stays SELECT generate_series(1, 200)');
my $empty = kb();
my $fill = q(INSERT INTO %s SELECT g, (SELECT string_agg(md5((g * 100 + i)::text), '') FROM generate_series(1, 10) i) FROM generate_series(1, 60000) g; SELECT kalam.flush('%s'));
# What is dropped is given back little by little.
sub settled_kb
{
	my $kb = -1;

	wait_until(30, sub { my $last = $kb; $kb = kb(); sleep(0.2); $kb == $last });
	return $kb;
}

sub filled
{
	my ($db, $name) = @_;
	my $before = settled_kb();

	$node->safe_psql($db, "CREATE FOREIGN TABLE $name (k int, v text) SERVER kalam OPTIONS (primary_key 'k', compression 'none')");
	$node->safe_psql($db, sprintf($fill, $name, $name));
	cmp_ok(kb() - $before, '>', 15000, "$name fills the disk");
	return $before;
}

sub given_back
{
	my ($what, $before) = @_;

	ok(wait_until(30, sub { kb() - $before < 8000 }), "$what gives the space back") or diag(kb() . " KB, before $before KB");
}

my $before = filled('postgres', 'large');
$node->safe_psql('postgres', 'BEGIN; DROP FOREIGN TABLE large; ROLLBACK');
is($node->safe_psql('postgres', 'SELECT count(*) FROM large'), '60000', 'a DROP that is rolled back drops nothing');
cmp_ok($node->safe_psql('postgres', q(SELECT kalam.table_size('large'))), '>', 15_000_000, 'kalam.table_size');
$node->safe_psql('postgres', 'TRUNCATE large');
given_back('TRUNCATE', $before);
cmp_ok($node->safe_psql('postgres', q(SELECT kalam.table_size('large'))), '<', 100_000, 'kalam.table_size after it');
$node->safe_psql('postgres', sprintf($fill, 'large', 'large'));
$node->safe_psql('postgres', 'DROP FOREIGN TABLE large');
given_back('DROP TABLE', $before);

$node->safe_psql('postgres', 'CREATE SCHEMA s');
$before = filled('postgres', 's.one');
filled('postgres', 's.two');
$node->safe_psql('postgres', 'CREATE ROLE leaves; ALTER FOREIGN TABLE s.one OWNER TO leaves; DROP OWNED BY leaves; DROP ROLE leaves');
ok(wait_until(30, sub { kb() - $before < 25000 }), 'DROP OWNED gives the space back') or diag(kb() . " KB, before $before KB");
$node->safe_psql('postgres', 'DROP SCHEMA s CASCADE');
given_back('DROP SCHEMA CASCADE', $before);

$before = filled('postgres', 'undone');
$node->safe_psql('postgres', "BEGIN; ALTER FOREIGN TABLE undone ALTER COLUMN v TYPE varchar(4000); ROLLBACK");
$node->safe_psql('postgres', "DELETE FROM undone; SELECT kalam.flush('undone'); SELECT kalam.compact('undone')");
given_back('DELETE and kalam.compact', $before);

# ---- databases ----

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION kalam_fdw');
$before = filled('other', 'theirs');
$node->safe_psql('other', 'CREATE FOREIGN TABLE t1 (k int, v text) SERVER kalam OPTIONS (primary_key $$k$$); INSERT INTO t1 VALUES (1, $$other$$)');
is($node->safe_psql('other', 'SELECT count(*) FROM kalam.tables'), '2', 'a database sees its own tables only');
is($node->safe_psql('postgres', q(SELECT count(*) FROM kalam.tables WHERE name = 'theirs')), '0', 'and others do not see them');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE other');
is($node->safe_psql('copy', 'SELECT count(*) FROM theirs'), '0', 'a database from a template starts with its tables empty');
$node->safe_psql('copy', 'INSERT INTO theirs VALUES (1, $$mine$$)');
is($node->safe_psql('copy', 'SELECT v FROM theirs'), 'mine', 'and they can be used');
is($node->safe_psql('other', 'SELECT count(*) FROM theirs WHERE v = $$mine$$'), '0', 'apart from those of the template');
$node->safe_psql('postgres', 'DROP DATABASE other');
given_back('DROP DATABASE', $before);
is($node->safe_psql('copy', 'SELECT v FROM theirs'), 'mine', 'the copy does not mind');
$before = filled('copy', 'theirs2');
$node->safe_psql('copy', 'DROP EXTENSION kalam_fdw CASCADE');
given_back('DROP EXTENSION CASCADE', $before);
is($node->safe_psql('postgres', 'SELECT count(*) FROM stays'), '200', 'the other database is untouched');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# a template with a table that was never written to
$node->safe_psql('postgres', 'CREATE DATABASE renamed; ALTER DATABASE renamed RENAME TO renamed2');
is($node->safe_psql('renamed2', 'CREATE EXTENSION kalam_fdw; CREATE FOREIGN TABLE x (k int) SERVER kalam; SELECT count(*) FROM x; INSERT INTO x VALUES (1); SELECT * FROM x'), "0\n1", 'a renamed database');
$node->safe_psql('postgres', 'ALTER DATABASE renamed2 RENAME TO renamed3');
is($node->safe_psql('renamed3', 'SELECT * FROM x'), '1', 'keeps its rows');

# ---- many ----

my $processes = processes();
my $storage = storage_pid($node);
$node->safe_psql('postgres', q(DO $$ BEGIN FOR i IN 1 .. 230 LOOP
	EXECUTE format('CREATE FOREIGN TABLE t%s (k int, v text) SERVER kalam OPTIONS (primary_key ''k'')', i);
	EXECUTE format('INSERT INTO t%s SELECT g, md5(g::text) FROM generate_series(1, %s) g', i, i);
END LOOP; END $$));
is($node->safe_psql('postgres', 'SELECT count(*) FROM kalam.tables'), '232', '230 tables more');
is($node->safe_psql('postgres', q(SELECT tables FROM kalam.namespaces WHERE namespace = 'public')), '232', 'by namespace');
is($node->safe_psql('postgres', q(DO $$ DECLARE n int; BEGIN FOR i IN 1 .. 230 LOOP
	EXECUTE format('SELECT count(*) FROM t%s', i) INTO n;
	IF n <> i THEN RAISE EXCEPTION 'table % has % rows', i, n; END IF;
END LOOP; END $$; SELECT 1)), '1', 'each has its own rows');
# (but for one that comes and goes, such as autovacuum's)
ok(wait_until(10, sub { processes() <= $processes }), 'no more processes than before');
my $rss = rss_kb($storage);
cmp_ok($rss, '<', 500_000, 'one storage process in bounded memory') or diag($rss);
my $threads = () = glob("/proc/$storage/task/*");
cmp_ok($threads, '<', 25, 'with a fixed number of threads');

# By key, out of the cache the second time; each of the sessions below changes more
# tables in a commit than it tells one by one.
$node->safe_psql('postgres', q(CREATE FUNCTION lengths() RETURNS text LANGUAGE plpgsql AS $$ DECLARE n int; all_of_them int[]; BEGIN
	FOR i IN 1 .. 230 LOOP
		EXECUTE format('SELECT length(v) FROM t%s WHERE k = 1', i) INTO n;
		all_of_them := all_of_them || n;
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT l::text, ', ') FROM unnest(all_of_them) l); END $$));
is($node->safe_psql('postgres', 'SELECT lengths(), lengths()'), '32|32', 'rows of all tables');
my @sessions = map { KalamTest::Session->new($node) } 1 .. 20;
$_->send(q(DO $$ DECLARE n int; BEGIN FOR i IN 1 .. 230 LOOP
	EXECUTE format('SELECT count(*) FROM t%s WHERE k > 0 AND v <> ''''', i) INTO n;
	EXECUTE format('UPDATE t%s SET v = v || ''x'' WHERE k = 1', i);
END LOOP; END $$)) foreach @sessions;
is(scalar(grep { my ($ok, $out, $err) = $_->answer; diag($err) if !$ok && $err !~ /40P01/; $ok } @sessions), 20, 'twenty sessions use them all');
is($node->safe_psql('postgres', 'SELECT lengths()'), '52', 'and what they changed is seen');
cmp_ok(rss_kb($storage), '<', $rss + 200_000, 'memory stays bounded');
$_->quit foreach @sessions;

# changes of few rows in each, and of many in one, are there after kill -9
{
	my $sums = q(SELECT string_agg(concat(count, ' ', sum), ' = ') FROM
		(SELECT count(*), sum(hashtext(t::text)) FROM parts t UNION ALL SELECT count(*), sum(hashtext(t::text)) FROM twin t) s);

	$node->safe_psql('postgres', q(
		CREATE TABLE parts (k int, v text) PARTITION BY RANGE (k);
		CREATE TABLE twin (k int, v text);
		DO $$ BEGIN FOR i IN 0 .. 149 LOOP
			EXECUTE format('CREATE FOREIGN TABLE part%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s) SERVER kalam OPTIONS (primary_key ''k'', unique_v ''k, v'')',
				i, i * 100, CASE i WHEN 149 THEN 100000 ELSE i * 100 + 100 END);
		END LOOP; END $$));
	foreach my $change (
		"INSERT INTO %s SELECT g, md5(g::text) || repeat('x', 80) FROM generate_series(0, 19999) g",
		"UPDATE %s SET v = v || 'y' WHERE k %% 3 = 0",
		"DELETE FROM %s WHERE k %% 2 = 0",
		"DELETE FROM %s; INSERT INTO %s SELECT g, 'new' FROM generate_series(0, 14999) g")
	{
		my ($parts, $twin) = map { my $table = $_; (my $sql = $change) =~ s/%s/$table/g; $sql =~ s/%%/%/g; $sql } qw(parts twin);

		foreach my $end ('ROLLBACK', 'COMMIT')
		{
			$node->safe_psql('postgres', "SET kalam.bulk_load_threshold = '64kB'; BEGIN; $parts; $twin; $end");
			if ($end eq 'COMMIT')
			{
				my $old = kill_storage($node);

				ok(wait_for_storage($node, $old), 'storage is back');
			}
			my ($here, $there) = split(/ = /, $node->safe_psql('postgres', $sums));
			is($here, $there, "$end: $change");
		}
	}
	$node->safe_psql('postgres', 'DROP TABLE parts, twin');
}

# a restart with so many
$node->restart;
my $start = time();
is($node->safe_psql('postgres', 'SELECT count(*) FROM t230'), '230', 'rows after a restart');
cmp_ok(time() - $start, '<', 10, 'which is quick');

# the last of them share column families
my $full = filled('postgres', 'shares');
$node->safe_psql('postgres', 'TRUNCATE shares');
given_back('TRUNCATE of a table that shares a family', $full);
# rows in files with others' rows, and a snapshot from before the drop
$node->safe_psql('postgres', q(SET kalam.bulk_load_threshold = '1GB'; CREATE FOREIGN TABLE neighbour (k int, v text) SERVER kalam OPTIONS (primary_key 'k', compression 'none')));
$node->safe_psql('postgres', "SET kalam.bulk_load_threshold = '1GB'; INSERT INTO neighbour SELECT g, 'n' FROM generate_series(1, 1000) g; " . sprintf($fill, 'shares', 'shares'));
cmp_ok(kb() - $full, '>', 15000, 'filled again');
my $old = KalamTest::Session->new($node);
$old->do('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM stays');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE shares');
is(($old->do('SELECT count(*), sum(k) FROM neighbour'))[1], "1000|500500\n", 'a snapshot from before the drop');
$old->do('COMMIT');
$old->quit;
given_back('DROP of one', $full);
is($node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM neighbour'), '1000|500500', 'its neighbour is untouched');

# ---- all gone ----

$node->safe_psql('postgres', 'DROP EXTENSION kalam_fdw CASCADE; DROP DATABASE renamed3');
given_back('all of it', $empty);
$node->safe_psql('postgres', 'CREATE EXTENSION kalam_fdw');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kalam.tables'), '0', 'no table is known any more');
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM kalam.tables'), '0', 'nor after a restart');
$node->stop;
done_testing();
