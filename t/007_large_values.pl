# Values larger than any buffer on their way.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (k int, v text, tail text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE b (k int, v bytea) SERVER kalam OPTIONS (primary_key 'k');
	CREATE TABLE heap_t (k int, v text, tail text);));

my $storage = storage_pid($node);
my %sizes = (67_000 => 'SELECT', 1_000_000 => 'SELECT', 65_496 => '', 65_536 => '', 131_072 => '', 100_000_000 => 'large', 268_435_000 => 'large');
my $k = 0;

foreach my $size (sort { $a <=> $b } keys %sizes)
{
	$k++;
	$node->safe_psql('postgres', "INSERT INTO t SELECT $k, repeat('0123456789', $size / 10), 'end'");
	is($node->safe_psql('postgres', "SELECT length(v), left(v, 12), right(v, 12), tail FROM t WHERE k = $k"),
		int($size / 10) * 10 . '|012345678901|890123456789|end', "$size bytes");
	is($node->safe_psql('postgres', "SELECT v = repeat('0123456789', $size / 10) FROM t WHERE k = $k"), 't', 'are the same bytes');
}
is($node->safe_psql('postgres', 'SELECT count(*), sum(length(v)::bigint) FROM t'),
	$k . '|' . eval { my $s = 0; $s += int($_ / 10) * 10 foreach keys %sizes; $s }, 'a scan over all of them');
is($node->safe_psql('postgres', 'SELECT k FROM t WHERE length(v) > 60000 ORDER BY k DESC LIMIT 2'), "7\n6", 'backwards');

# changed, moved, in both directions of a cursor, next to small rows
$node->safe_psql('postgres', "UPDATE t SET tail = 'changed' WHERE k = 6; INSERT INTO t SELECT g, 'small', 'row' FROM generate_series(8, 2000) g");
is($node->safe_psql('postgres', 'SELECT length(v), tail FROM t WHERE k = 6'), '100000000|changed', 'UPDATE of another column');
$node->safe_psql('postgres', 'UPDATE t SET k = -k WHERE k = 5');
is($node->safe_psql('postgres', q(BEGIN; DECLARE c SCROLL CURSOR FOR SELECT k, length(v) FROM t ORDER BY k;
	FETCH 3 FROM c; FETCH BACKWARD 2 FROM c; MOVE LAST IN c; FETCH RELATIVE 0 FROM c; COMMIT)),
	"-5|1000000\n1|65490\n2|65530\n1|65490\n-5|1000000\n2000|5", 'a cursor goes over them');
$node->safe_psql('postgres', q(BEGIN; INSERT INTO t SELECT 5000, repeat('a', 5000000), 'own'; SAVEPOINT s;
	UPDATE t SET v = v || v WHERE k = 5000; ROLLBACK TO s; COMMIT));
is($node->safe_psql('postgres', "SELECT length(v), tail FROM t WHERE k = 5000"), '5000000|own', 'ROLLBACK TO a large row');
$node->safe_psql('postgres', 'INSERT INTO heap_t SELECT * FROM t WHERE k BETWEEN 1 AND 4');
is($node->safe_psql('postgres', 'SELECT count(*) FROM heap_t JOIN t USING (k, v, tail)'), '4', 'to heap');
$node->safe_psql('postgres', 'DELETE FROM t WHERE k BETWEEN 1 AND 4; INSERT INTO t SELECT * FROM heap_t');
is($node->safe_psql('postgres', 'SELECT count(*) FROM heap_t JOIN t USING (k, v, tail)'), '4', 'and back, from toast');

# many rows that are larger than a block
$node->safe_psql('postgres', "INSERT INTO t SELECT 10000 + g, repeat(chr(65 + g % 26), 60000 + g * 100), 'mid' FROM generate_series(1, 200) g");
is($node->safe_psql('postgres', "SELECT count(*) FROM t WHERE tail = 'mid' AND v = repeat(chr(65 + (k - 10000) % 26), 60000 + (k - 10000) * 100)"),
	'200', 'rows about the size of a block');
is($node->safe_psql('postgres', "SELECT count(*) FROM t a JOIN t b ON a.k = b.k - 1 AND a.tail = 'mid' AND b.tail = 'mid'"), '199', 'joined');

# ---- COPY, binary ----

my $dir = PostgreSQL::Test::Utils::tempdir();
chmod(0777, $dir);
$node->safe_psql('postgres', q(INSERT INTO b SELECT g, decode(repeat(lpad(to_hex(g), 2, '0') || '00ff5c0a', g * g * 1000), 'hex') FROM generate_series(1, 40) g));
$node->safe_psql('postgres', "COPY (SELECT * FROM b ORDER BY k) TO '$dir/b.bin' (FORMAT binary)");
$node->safe_psql('postgres', "CREATE FOREIGN TABLE b2 (k int, v bytea) SERVER kalam OPTIONS (primary_key 'k'); COPY b2 FROM '$dir/b.bin' (FORMAT binary)");
is($node->safe_psql('postgres', 'SELECT count(*), sum(length(v)) FROM b2 JOIN b USING (k, v)'), '40|110700000', 'binary COPY out and in');
$node->safe_psql('postgres', "COPY (SELECT * FROM b2 ORDER BY k DESC) TO '$dir/b.txt'; TRUNCATE b2; COPY b2 FROM '$dir/b.txt'");
is($node->safe_psql('postgres', 'SELECT count(*), sum(length(v)) FROM b2 JOIN b USING (k, v)'), '40|110700000', 'text COPY out and in');

# ---- limits ----

my ($ret, $out, $err) = $node->psql('postgres', "INSERT INTO t SELECT -1, repeat('x', 600000000), repeat('y', 600000000)");
like($err, qr/ERROR:  (row is too large|tuple is too big|out of memory|invalid memory alloc)/, 'a row of more than a gigabyte is refused') or diag("$ret $err");
($ret, $out, $err) = $node->psql('postgres', q(CREATE FOREIGN TABLE lk (k text) SERVER kalam OPTIONS (primary_key 'k'); INSERT INTO lk SELECT repeat('x', 5000)));
like($err, qr/ERROR:  primary key of a row of table "lk" is too long\nDETAIL/, 'a key that is too long is refused');
$node->safe_psql('postgres', "INSERT INTO lk SELECT repeat('x', g) FROM generate_series(2500, 2690) g");
is($node->safe_psql('postgres', "SELECT count(*) FROM lk WHERE k > repeat('x', 2600) COLLATE \"C\""), '90', 'keys of the greatest length');
is($node->safe_psql('postgres', "SELECT count(*) FROM lk WHERE k = repeat('x', 100000)"), '0', 'one that cannot be there is not');

# ---- memory ----

is(storage_pid($node), $storage, 'one storage process has done it all');
cmp_ok(rss_kb($storage), '<', 1_500_000, 'in bounded memory');
$node->restart;
is($node->safe_psql('postgres', 'SELECT length(v), tail FROM t WHERE k = 7'), '268435000|end', 'after a restart too');
wait_for_storage($node, kill_storage($node));
is($node->safe_psql('postgres', "SELECT length(v), tail FROM t WHERE k = 7"), '268435000|end', 'and after a crash of it');
$node->stop;
done_testing();
