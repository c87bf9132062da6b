# Many sessions read rows by their keys, one and several at a time, and change them;
# all that the query cache gives is compared with what storage says at the same stamp
# (kalam.verify_cache; a difference is a PANIC).  In a cache of the least size, and
# in one that holds everything.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamTest;
use Test::More;

my $seconds = $ENV{KALAM_CACHE_SECONDS} // 3;
my $node = new_server('main', conf => "kalam.verify_cache = on\n");

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (id int NOT NULL, code text, v text) SERVER kalam
		OPTIONS (primary_key 'id', unique_code 'code');
	CREATE FOREIGN TABLE wide (id int NOT NULL, v text) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO t SELECT g, 'c' || g, 'v' FROM generate_series(1, 300) g;
	INSERT INTO t SELECT g, 'c' || g, 'v' FROM generate_series(10000, 20000) g;
	INSERT INTO wide SELECT g, repeat('x', g * 3000) FROM generate_series(0, 20) g;
	ANALYZE t, wide;));

my $read = q(
\set id random(1, 300)
\set other random(1, 300)
SELECT * FROM t WHERE id = :id;
SELECT * FROM t WHERE code = 'c' || :other;
SELECT id FROM t WHERE id = :other;
SELECT * FROM t WHERE id IN (:id, :other, 1, 2, 3, 4, 5, 400);
SELECT * FROM t WHERE code IN ('c' || :id, 'c' || :other, 'c1', 'd2');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM t WHERE id = :id;
SELECT id, md5(v) FROM wide WHERE id = :id % 20;
SELECT pg_sleep(0.002);
SELECT * FROM t WHERE id = :id;
SELECT id, md5(v) FROM wide WHERE id IN (:id % 20, :other % 20, 3);
COMMIT;
);
my $write = q(
\set id random(1, 300)
\set other random(1, 300)
UPDATE t SET v = left(v, 50) || 'x' WHERE id = :id;
UPDATE t SET code = 'd' || :id WHERE id = :id;
UPDATE t SET code = 'c' || :id WHERE id = :id;
BEGIN;
DELETE FROM t WHERE id = :other;
SAVEPOINT s;
INSERT INTO t VALUES (:other, 'c' || :other, 'new') ON CONFLICT DO NOTHING;
SELECT * FROM t WHERE id = :other;
SELECT * FROM t WHERE code = 'c' || :id;
ROLLBACK TO s;
INSERT INTO t VALUES (:other, 'c' || :other, 'again') ON CONFLICT DO NOTHING;
COMMIT;
UPDATE wide SET v = repeat(chr(65 + :id % 26), 100 + :id * :other) WHERE id = :id % 20;
);

foreach my $size ('1kB', '64MB')
{
	$node->append_conf('postgresql.conf', "kalam.query_cache_size = '$size'");
	$node->restart;
	$node->pgbench("-n -c 8 -T $seconds", 0, [qr{number of failed transactions: 0 }], [qr{^}],
		"all is right in a cache of $size",
		{ "read_$size\@7" => $read, "write_$size\@3" => $write });
	is($node->safe_psql('postgres', 'SELECT hits > 100, inserts > 100, pins, corrupt FROM kalam.query_cache'),
		't|t|0|0', '... which was used, and holds no pins');
}
$node->stop;
done_testing();
