# pg_dump with the rows of foreign tables, and restore into another database.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $dir = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', q(
	CREATE DATABASE source;));
$node->safe_psql('source', q(
	CREATE EXTENSION kalam_fdw;
	CREATE SCHEMA "Odd name";
	CREATE TYPE color AS ENUM ('red', 'green');
	CREATE FOREIGN TABLE "Odd name"."T 1" ("Key" int, b text COLLATE "C", v jsonb, c color, g int GENERATED ALWAYS AS ("Key" * 2) STORED, CHECK ("Key" > 0))
		SERVER kalam OPTIONS (primary_key '"Key", b DESC', compression 'zstd', bloom_fpr '0.001');
	INSERT INTO "Odd name"."T 1" SELECT i, 'b' || i, jsonb_build_object('tab', E'a\tb\n', 'n', i), 'green' FROM generate_series(1, 2000) i;
	ALTER FOREIGN TABLE "Odd name"."T 1" RENAME COLUMN "Key" TO "new, ""Key""";
	ALTER FOREIGN TABLE "Odd name"."T 1" DROP COLUMN v;
	ALTER FOREIGN TABLE "Odd name"."T 1" ADD COLUMN v2 text DEFAULT 'dflt';
	CREATE FOREIGN TABLE nk (x int, y bytea) SERVER kalam;
	INSERT INTO nk SELECT i % 10, decode(md5(i::text), 'hex') FROM generate_series(1, 500) i;
	CREATE TABLE part (k int, v text) PARTITION BY RANGE (k);
	CREATE FOREIGN TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10) SERVER kalam OPTIONS (primary_key 'k');
	CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20);
	INSERT INTO part SELECT i, 'p' || i FROM generate_series(0, 19) i;
	CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := upper(NEW.v); RETURN NEW; END $$;
	CREATE TRIGGER up BEFORE INSERT ON part1 FOR EACH ROW EXECUTE FUNCTION up();
	CREATE VIEW view AS SELECT count(*) FROM "Odd name"."T 1";
	CREATE FOREIGN TABLE empty (k uuid DEFAULT gen_random_uuid()) SERVER kalam OPTIONS (primary_key 'k');));

my %sums = (
	'"Odd name"."T 1"' => q(SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM "Odd name"."T 1" t),
	nk => q(SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM nk t),
	part => q(SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM part t),
	part1 => q(SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM part1 t),
	view => 'SELECT * FROM view',
	empty => 'SELECT count(*) FROM empty');
my %want = map { $_ => $node->safe_psql('source', $sums{$_}) } keys %sums;
my $conn = $node->connstr('source');

foreach my $how ([ 'plain' ], [ 'custom', '-Fc' ], [ 'inserts', '--inserts', '--rows-per-insert=50' ], [ 'directory', '-Fd' ])
{
	my ($name, @options) = @$how;
	my $db = "restored_$name";

	command_ok([ 'pg_dump', '--include-foreign-data=kalam', @options, '-f', "$dir/$name", $conn ], "pg_dump, $name");
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	if (grep { /^-F/ } @options)
	{
		command_ok([ 'pg_restore', '-e', '-d', $node->connstr($db), "$dir/$name" ], "restored, $name");
	}
	else
	{
		command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr($db), '-f', "$dir/$name" ], "restored, $name");
	}
	is($node->safe_psql($db, $sums{$_}), $want{$_}, "$name: $_") foreach sort keys %sums;
	is($node->safe_psql($db, q(SELECT array(SELECT unnest(ftoptions) ORDER BY 1) FROM pg_foreign_table WHERE ftrelid = '"Odd name"."T 1"'::regclass)),
		$node->safe_psql('source', q(SELECT array(SELECT unnest(ftoptions) ORDER BY 1) FROM pg_foreign_table WHERE ftrelid = '"Odd name"."T 1"'::regclass)), "$name: options");
	like(($node->psql($db, q(INSERT INTO "Odd name"."T 1" VALUES (7, 'b7'))))[2], qr/duplicate key.*\n.*Key \("new, ""Key""", b\)=\(7, b7\) already exists/,
		"$name: the key works");
}
# without the rows
command_ok([ 'pg_dump', '-s', '-f', "$dir/schema", $conn ], 'pg_dump, schema only');
$node->safe_psql('postgres', 'CREATE DATABASE bare');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('bare'), '-f', "$dir/schema" ], 'restored');
is($node->safe_psql('bare', 'SELECT * FROM view'), '0', 'has empty tables');
# a snapshot of its own while others write
$node->safe_psql('source', 'INSERT INTO nk VALUES (-1, NULL)');
command_ok([ 'pg_dumpall', '-g', '-f', "$dir/all", '-d', $conn ], 'pg_dumpall of the globals');

# ---- an exported snapshot covers stored tables ----

$node->safe_psql('postgres', q(
	CREATE EXTENSION IF NOT EXISTS kalam_fdw;
	CREATE TABLE h (n int); CREATE FOREIGN TABLE k (n int) SERVER kalam;
	INSERT INTO h VALUES (1); INSERT INTO k VALUES (1);));
{
	my $from = KalamTest::Session->new($node);
	my $into = KalamTest::Session->new($node);
	my ($ok, $id) = $from->do('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()');

	chomp($id);
	$node->safe_psql('postgres', 'INSERT INTO h VALUES (2); INSERT INTO k VALUES (2)');
	$into->do("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$id'");
	$node->safe_psql('postgres', 'INSERT INTO h VALUES (3); INSERT INTO k VALUES (3)');
	is(($into->do('SELECT array_agg(n) FROM h'))[1], "{1}\n", 'an imported snapshot of heap tables');
	is(($into->do('SELECT array_agg(n) FROM k'))[1], "{1}\n", 'and of kalam tables');
	$from->do('COMMIT');
	$node->safe_psql('postgres', 'INSERT INTO k VALUES (4); SELECT kalam.compact(\'k\')');
	is(($into->do('SELECT array_agg(n) FROM k'))[1], "{1}\n", 'also when its source has ended');
	$into->do('COMMIT');
	is(($into->do('SELECT count(*) FROM k'))[1], "4\n", 'and no longer than its transaction');
	$_->quit foreach $from, $into;
}
$node->stop;
done_testing();
