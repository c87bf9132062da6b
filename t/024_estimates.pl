# What the planner believes of a stored table's size and columns lies near the
# truth, and near what it believes of a heap table: before ANALYZE and after it,
# of tables that are read whole for it and of such that are sampled.
use strict;
use warnings;

use lib 't';
use KalamTest;
use Test::More;

my $node = new_server('main', conf => <<'E');
autovacuum = off
kalam.write_buffer_size = 16MB
E

sub near
{
	my ($got, $want, $factor, $what) = @_;
	ok($got <= $want * $factor && $got >= $want / $factor, "$what: $got, truth $want");
	return;
}

# What a new session expects to find: those of this one are some seconds old.
sub expected
{
	my ($query, $before) = @_;
	my $plan = $node->safe_psql('postgres', ($before // '') . "EXPLAIN $query");
	return $plan =~ /rows=(\d+)/ ? $1 : die $plan;
}

$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE k (a int, b int, c text, d int) SERVER kalam OPTIONS (primary_key 'a, b');
CREATE TABLE h (a int, b int, c text, d int, PRIMARY KEY (a, b));
INSERT INTO h SELECT i / 100, i % 100, md5(i::text), i % 7 FROM generate_series(0, 199999) i;
E

# ---- without ANALYZE ----

near(expected('SELECT * FROM k', 'BEGIN; INSERT INTO k SELECT * FROM h;'), 200000, 1.3,
	'rows of the own transaction');
$node->safe_psql('postgres', 'INSERT INTO k SELECT * FROM h WHERE a < 1000');
near(expected('SELECT * FROM k'), 100000, 1.3, 'rows in memory or just loaded');
$node->safe_psql('postgres', "INSERT INTO k SELECT * FROM h WHERE a >= 1000; SELECT kalam.flush('k')");
near(expected('SELECT * FROM k'), 200000, 1.3, 'rows in files');
$node->safe_psql('postgres', 'DELETE FROM k WHERE a % 2 = 0');
near(expected('SELECT * FROM k'), 100000, 1.3, 'after deletes');
$node->safe_psql('postgres', 'INSERT INTO k SELECT * FROM h WHERE a % 2 = 0');
near(expected('SELECT * FROM k'), 200000, 1.3, 'when they are back');

$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE hot (id int, n int) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO hot SELECT i, 0 FROM generate_series(1, 2000) i;
DO $$ BEGIN FOR i IN 1 .. 30 LOOP UPDATE hot SET n = n + 1; COMMIT; END LOOP; END $$;
E
near(expected('SELECT * FROM hot'), 2000, 2, 'a table whose rows are written again and again');

# ---- keys that are not rows ----

$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE indexed (a int, b int, c text) SERVER kalam
	OPTIONS (primary_key 'a', index_b 'b', index_c 'c, b');
INSERT INTO indexed SELECT i, i % 100, md5(i::text) FROM generate_series(1, 50000) i;
E
near(expected('SELECT * FROM indexed'), 50000, 1.3, 'entries of indexes are no rows, in memory');
$node->safe_psql('postgres', "SELECT kalam.flush('indexed')");
near(expected('SELECT * FROM indexed'), 50000, 1.3, 'and in files');
near($node->safe_psql('postgres', "SELECT rows FROM kalam.tables WHERE name = 'indexed'"), 50000, 1.3, 'kalam.tables');
$node->safe_psql('postgres', "DELETE FROM indexed WHERE a > 25000; SELECT kalam.flush('indexed')");
near(expected('SELECT * FROM indexed'), 25000, 1.3, 'after deletes');
is($node->safe_psql('postgres', <<'E'), 't', 'a session knows at once what it has done');
CREATE FOREIGN TABLE grows (id int) SERVER kalam OPTIONS (primary_key 'id');
CREATE FUNCTION expected(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		RETURN substring(line FROM 'rows=(\d+)');
	END LOOP;
END $$;
CREATE TABLE seen (step int, rows bigint);
INSERT INTO seen SELECT 1, expected('SELECT * FROM grows');
BEGIN;
INSERT INTO grows SELECT generate_series(1, 10000);
INSERT INTO seen SELECT 2, expected('SELECT * FROM grows');
COMMIT;
INSERT INTO seen SELECT 3, expected('SELECT * FROM grows');
INSERT INTO grows SELECT generate_series(10001, 30000);
INSERT INTO seen SELECT 4, expected('SELECT * FROM grows');
BEGIN;
SAVEPOINT s;
INSERT INTO grows SELECT generate_series(30001, 90000);
ROLLBACK TO s;
INSERT INTO seen SELECT 5, expected('SELECT * FROM grows');
COMMIT;
SELECT array_agg(rows ORDER BY step) = '{1,10000,10000,30000,30000}' FROM seen;
E

# ---- ANALYZE of all rows, and of a sample ----

for my $target (100, 2)
{
	my $set = "SET default_statistics_target = $target;";
	my (undef, undef, $said) = $node->psql('postgres', "$set ANALYZE h; ANALYZE VERBOSE k");

	$said =~ /(\d+) rows read, (\d+) rows in sample/ or die $said;
	if ($target == 100)
	{
		is($1, 200000, 'a small table is read whole');
		is($2, 30000, 'and as many rows are in the sample as in one of heap');
	}
	else
	{
		cmp_ok($1, '<', 150000, 'a larger one is not');
		is($2, 600, 'and as many rows are in the sample');
	}
	near($node->safe_psql('postgres', "SELECT reltuples FROM pg_class WHERE relname = 'k'"),
		200000, $target == 100 ? 1 : 1.35, "reltuples, target $target");
	near(expected('SELECT * FROM k'), 200000, 1.35, "rows, target $target");
	is($node->safe_psql('postgres', <<'E'), 't', "order of rows, target $target");
SELECT correlation > 0.99 FROM pg_stats WHERE tablename = 'k' AND attname = 'a'
E
	for my $where ('a < 200', 'a BETWEEN 500 AND 1500', 'b = 7', 'd = 3', 'd < 2 AND a > 1000',
		"c < '8'")
	{
		near(expected("SELECT * FROM k WHERE $where"), expected("SELECT * FROM h WHERE $where"),
			$target == 100 ? 1.5 : 4, "$where, target $target");
	}
	# a sample has 15 of its rows, or so: each side errs by itself
	near(expected('SELECT * FROM k WHERE a = 77'), 100, 2, "a = 77, target $target") if $target == 100;
	near(expected('SELECT DISTINCT d FROM k'), 7, 1, "distinct values, target $target");
	near(expected('SELECT * FROM k JOIN h USING (a, b)'), expected('SELECT * FROM h JOIN h i USING (a, b)'),
		$target == 100 ? 1.5 : 4, "join by key, target $target");
	near(expected('SELECT * FROM k JOIN h USING (d)'), expected('SELECT * FROM h JOIN h i USING (d)'),
		1.5, "join by another column, target $target");
}

# ---- rows so wide that a sample of them would be too much ----

$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE wide (id int, v text) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO wide SELECT i, repeat(md5(i::text), 600) FROM generate_series(1, 1500) i;
E
my (undef, undef, $said) =
  $node->psql('postgres', 'SET maintenance_work_mem = 4096; ANALYZE VERBOSE wide');
like($said, qr/ 1500 rows read, (1|2)\d\d rows in sample, 1500 estimated/, 'a sample has a limit in bytes');

# ---- a large table with own changes ----

my $own = $node->safe_psql('postgres', <<'E');
SET default_statistics_target = 2;
BEGIN;
DELETE FROM k WHERE a = 0;
INSERT INTO k SELECT 0, i, 'own', 100 FROM generate_series(1, 50) i;
ANALYZE k;
SELECT reltuples BETWEEN 150000 AND 270000 FROM pg_class WHERE relname = 'k';
DELETE FROM k;
ANALYZE k;
SELECT reltuples FROM pg_class WHERE relname = 'k';
E
is($own, "t\n0", 'own changes are seen');

# ---- tables that share a family ----

$node->append_conf('postgresql.conf', 'kalam.max_families = 1');
$node->restart;
$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE shared1 (a int, b int, c text) SERVER kalam OPTIONS (primary_key 'a', index_b 'b');
CREATE FOREIGN TABLE shared2 (a int, b text) SERVER kalam OPTIONS (primary_key 'a');
CREATE FOREIGN TABLE shared3 (a int, b text) SERVER kalam OPTIONS (primary_key 'a');
INSERT INTO shared1 SELECT i, i, repeat('x', 100) FROM generate_series(1, 10000) i;
INSERT INTO shared2 SELECT i, repeat('x', 100) FROM generate_series(1, 40000) i;
INSERT INTO shared3 SELECT i, repeat('x', 100) FROM generate_series(1, 200) i;
E
for my $where ('in memory', 'in files')
{
	near(expected('SELECT * FROM shared1'), 10000, 2, "a shared family, with an index, $where");
	near(expected('SELECT * FROM shared2'), 40000, 2, "a shared family, $where");
	near(expected('SELECT * FROM shared3'), 200, 1.3, "a small table there, $where") if $where eq 'in memory';
	$node->safe_psql('postgres', "SELECT kalam.flush('shared1')");
}

# ---- cancel ----

my ($code, undef, $err) = $node->psql('postgres', <<'E');
SET statement_timeout = '20ms';
ANALYZE k;
E
like($err, qr/canceling statement/, 'ANALYZE can be cancelled');
is($node->safe_psql('postgres', 'SELECT count(*) FROM k WHERE a = 5'), '100', 'and the session goes on');

done_testing();
