# The system tables of schema kalam are kept in shared memory: they are answered
# without the storage process, tell what was committed last, by whoever and in
# whichever database, and are as fresh as settings ask.
use strict;
use warnings;

use lib 't';
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_server('main', conf => "autovacuum = off\nkalam.max_families = 10\nmax_prepared_transactions = 5\n");

sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'postgres', $sql);
}

my $tables = "SELECT string_agg(format('%s.%s(%s)', namespace, name, rows), ' ' ORDER BY name) FROM kalam.tables";
my $namespaces = "SELECT string_agg(format('%s:%s', namespace, tables), ' ' ORDER BY namespace) FROM kalam.namespaces";

sub counter
{
	my ($name) = @_;

	return query("SELECT $name FROM kalam.schema_cache");
}

query('CREATE DATABASE other');
query('CREATE EXTENSION kalam_fdw', 'other');

# ---- databases ----

is(query("$tables; $namespaces; $tables", 'other'), "\n\n", 'nothing is stored') for 1, 2;
foreach my $database ('postgres', 'other')
{
	query("CREATE FOREIGN TABLE $_ (k int, v text) SERVER kalam OPTIONS (primary_key 'k')", $database)
	  foreach "a_$database", "b_$database";
	query("INSERT INTO a_$database SELECT g, g FROM generate_series(1, 100) g", $database);
}
for my $round (1, 2)
{
	is(query($tables), 'public.a_postgres(100) public.b_postgres(0)', "tables of a database, look $round");
	is(query($tables, 'other'), 'public.a_other(100) public.b_other(0)', "of another, look $round");
	is(query($namespaces), 'public:2', "schemas, look $round");
}
query('DROP FOREIGN TABLE b_other', 'other');
is(query($tables), 'public.a_postgres(100) public.b_postgres(0)', 'a table of another database was dropped');
is(query($tables, 'other'), 'public.a_other(100)', 'it is gone there');
query('CREATE SCHEMA s; ALTER FOREIGN TABLE b_postgres SET SCHEMA s; INSERT INTO s.b_postgres VALUES (1)');
is(query($tables), 'public.a_postgres(100) s.b_postgres(1)', 'a table was moved and filled');
is(query($namespaces), 'public:1 s:1', 'and so in the schemas');

# ---- from memory ----

query("SELECT kalam.clear_caches(); $tables");
my ($hits, $inserts) = (counter('hits'), counter('inserts'));
query($tables) foreach 1 .. 5;
cmp_ok(counter('hits') - $hits, '>=', 5 * 3, 'the list, and a size for each table');
is(counter('inserts'), $inserts, 'nothing was read anew');

query($namespaces);
my $storage = kill_storage($node, 'STOP');
my $now = "SET statement_timeout = '5s';";
is(query("$now $tables"), 'public.a_postgres(100) s.b_postgres(1)', 'tables, while storage does not answer');
is(query("$now $namespaces"), 'public:1 s:1', 'schemas, while storage does not answer');
my ($result, $out, $err) = $node->psql('postgres', "SET statement_timeout = '300ms'; SET kalam.tables_ttl = 0; $tables");
like($err, qr/statement timeout/, 'it is asked if the setting wants so');
($result, $out, $err) = $node->psql('postgres', "SET statement_timeout = '300ms'; SET kalam.namespaces_ttl = 0; $namespaces");
like($err, qr/statement timeout/, 'for the schemas, too');
kill('CONT', $storage);
is(query("SET kalam.tables_ttl = 0; $tables"), 'public.a_postgres(100) s.b_postgres(1)', 'storage answers again');

# ---- age ----

query($tables);
$inserts = counter('inserts');
query("SET kalam.tables_ttl = '1h'; $tables");
is(counter('inserts'), $inserts, 'one is content with what is there');
sleep(0.15);
query("SET kalam.tables_ttl = '100ms'; $tables");
cmp_ok(counter('inserts'), '>=', $inserts + 3, 'another one wants it fresher');
query("SET kalam.tables_ttl = '10ms'; SET kalam.namespaces_ttl = '10ms'; SELECT kalam.clear_caches(); $tables; $namespaces");
sleep(0.1);
cmp_ok(query('SELECT kalam.evict_expired()'), '>=', 3, 'expired entries go');

# ---- sizes ----

query($tables);
query("INSERT INTO a_postgres SELECT g, repeat('x', 200) FROM generate_series(101, 1000) g");
is(query($tables), 'public.a_postgres(1000) s.b_postgres(1)', 'rows were inserted');
query("SELECT kalam.flush('a_postgres')");
is(query("SELECT bytes = kalam.table_size('a_postgres') FROM kalam.tables WHERE name = 'a_postgres'"), 't',
	'the size is looked up again after a flush');
query("SELECT kalam.compact('a_postgres')");
is(query("SELECT bytes = kalam.table_size('a_postgres') FROM kalam.tables WHERE name = 'a_postgres'"), 't',
	'and after a compaction');
query('TRUNCATE a_postgres');
is(query($tables), 'public.a_postgres(0) s.b_postgres(1)', 'TRUNCATE');
query("INSERT INTO a_postgres SELECT g, repeat('x', 500) FROM generate_series(1, 10000) g");
like(query($tables), qr/^public.a_postgres\((9|10|11)\d\d\d?\d?\) s.b_postgres\(1\)$/, 'a load');

query("ALTER FOREIGN TABLE a_postgres OPTIONS (ADD index_v 'v')");
is(query("SELECT indexes FROM kalam.tables WHERE name = 'a_postgres'"), 'v (v)', 'and an index of its rows');

# ---- commits of others ----

query("BEGIN; CREATE FOREIGN TABLE c (k int) SERVER kalam; PREPARE TRANSACTION 'p'");
is(query($namespaces), 'public:1 s:1', 'a table of a prepared transaction');
query("COMMIT PREPARED 'p'");
is(query($namespaces), 'public:2 s:1', 'is there when it commits');

# The loop commits and looks, while others put what they have read into the cache.
my $script = $node->basedir . '/look.sql';
append_to_file($script, "$tables;\n$namespaces;\n");
my $readers = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 3, '-T', 3, '-f', $script, $node->connstr('postgres') ],
	'>', \my $bench_out, '2>', \my $bench_err);
($result, $out, $err) = $node->psql('postgres', <<'E');
DO $$
DECLARE
	until timestamptz := clock_timestamp() + '3 s';
	rounds int := 0;
BEGIN
	WHILE clock_timestamp() < until LOOP
		rounds := rounds + 1;
		EXECUTE 'CREATE FOREIGN TABLE s.d (k int) SERVER kalam OPTIONS (primary_key ''k'')';
		COMMIT;
		IF (SELECT count(*) FROM kalam.tables WHERE namespace = 's') <> 2 THEN RAISE 'created, not seen'; END IF;
		FOR i IN 1 .. 5 LOOP
			EXECUTE 'INSERT INTO s.d VALUES ($1)' USING i;
			COMMIT;
			IF (SELECT rows FROM kalam.tables WHERE namespace = 's' AND name = 'd') <> i THEN RAISE 'inserted, not seen'; END IF;
		END LOOP;
		EXECUTE 'ALTER FOREIGN TABLE s.d OPTIONS (ADD index_k ''k'')';
		COMMIT;
		IF (SELECT indexes FROM kalam.tables WHERE namespace = 's' AND name = 'd') IS NULL THEN RAISE 'altered, not seen'; END IF;
		EXECUTE 'DROP FOREIGN TABLE s.d';
		COMMIT;
		IF (SELECT tables FROM kalam.namespaces WHERE namespace = 's') <> 1 THEN RAISE 'dropped, not seen'; END IF;
	END LOOP;
	RAISE NOTICE '% rounds', rounds;
END $$;
E
is($result, 0, 'each commit is seen by the next look');
like($err, qr/NOTICE:  [1-9]\d+ rounds/, 'many of them') or diag($err);
ok($readers->finish, 'readers beside it') or diag($bench_err);

# ---- reads by table ----

sub reads
{
	my ($table) = @_;

	return split /\|/, query("SELECT cache_hits, cache_misses, coalesce(cache_hit_ratio, -1) FROM kalam.stat_tables WHERE relname = '$table'");
}

query('CREATE FOREIGN TABLE r (k int, v text) SERVER kalam OPTIONS (primary_key $$k$$)');
is_deeply([ reads('r') ], [ 0, 0, -1 ], 'nothing was read');
query("INSERT INTO r SELECT g, g FROM generate_series(1, 10) g");
my $point = $node->basedir . '/point.sql';
append_to_file($point, "\\set k random(1, 10)\nSELECT * FROM r WHERE k = :k;\n");
$node->command_ok([ 'pgbench', '-n', '-c', 4, '-t', 500, '-f', $point, $node->connstr('postgres') ], 'reads by key');
my ($r_hits, $r_misses, $ratio) = reads('r');
is($r_hits + $r_misses, 2000, 'each is counted');
cmp_ok($r_misses, '<=', 40, "most were answered by the cache: $r_hits");
is($ratio, sprintf('%.4f', $r_hits / 2000), 'their share');
query('BEGIN; SELECT * FROM r WHERE k = 1; ROLLBACK');
is((reads('r'))[0], $r_hits + 1, 'also those of a transaction that is rolled back');
is(query("SELECT * FROM r WHERE k = 2; SELECT cache_hits FROM kalam.stat_tables WHERE relname = 'r'"), "2|2\n" . ($r_hits + 2),
	'a session sees its own at once');
$storage = kill_storage($node, 'STOP');
is(query("$now SELECT v FROM r WHERE k = 2"), '2', 'a new session plans and reads while storage does not answer');
kill('CONT', $storage);
query("SET kalam.query_cache = off; SELECT * FROM r WHERE k = 1");
is((reads('r'))[0] + (reads('r'))[1], 2003, 'who does without the cache is not counted');

query('DROP FOREIGN TABLE r');

# ---- tables of all databases ----

# Each as UTF8 in hex, for a database may be of any encoding.
sub all_tables
{
	my ($database, $of) = @_;

	return query(qq(SELECT string_agg(concat_ws(' ', namespace, encode(convert_to(name, 'UTF8'), 'hex'),
		n_mod_since_analyze, cache_hits + cache_misses), ', ' ORDER BY relid)
		FROM kalam.stat_all_tables WHERE database = '$of'), $database);
}

foreach ([ 'in_utf8', 'UTF8', '\\00e4', '\\8868' ], [ 'in_latin1', 'LATIN1', '\\00f6' ])
{
	my ($database, $encoding, @names) = @$_;

	query("CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	query('CREATE EXTENSION kalam_fdw; CREATE SCHEMA n', $database);
	query(qq(CREATE FOREIGN TABLE n.U&"$_" (k int) SERVER kalam OPTIONS (primary_key 'k');
		INSERT INTO n.U&"$_" VALUES (1), (2); SELECT FROM n.U&"$_" WHERE k = 1), $database) foreach @names;
}
is(all_tables('in_utf8', 'in_utf8'), 'n c3a4 2 1, n e8a1a8 2 1', 'of this database');
is(all_tables('in_utf8', 'in_latin1'), 'n c3b6 2 1', 'names of another database, converted');
is(all_tables('in_latin1', 'in_utf8'), 'n c3a4 2 1, n 2 1', 'unless they cannot be');
query('ALTER FOREIGN TABLE n.U&"\\00f6" RENAME TO later; ALTER SCHEMA n RENAME TO m', 'in_latin1');
is(all_tables('in_latin1', 'in_latin1'), 'm ' . unpack('H*', 'later') . ' 2 1', 'renamed: here at once');
query('SELECT FROM m.later WHERE k = 2', 'in_latin1');
is(all_tables('in_utf8', 'in_latin1'), 'm ' . unpack('H*', 'later') . ' 2 2', 'elsewhere when it is used');
query('BEGIN; ALTER FOREIGN TABLE m.later RENAME TO never; SELECT FROM m.never WHERE k = 2; ROLLBACK', 'in_latin1');
like(all_tables('in_utf8', 'in_latin1'), qr/^m @{[ unpack('H*', 'later') ]} 2 [23]$/, 'but not, if that is rolled back');
query('DROP FOREIGN TABLE m.later', 'in_latin1');
is(all_tables('in_utf8', 'in_latin1'), '', 'dropped');

# ---- the end of storage ----

query($tables);
kill_storage($node);
wait_for_storage($node, $storage);
like(query($tables), qr/^public.a_postgres\(\d+\) s.b_postgres\(1\) public.c\(0\)$/, 'after the death of storage');

# ---- a list that is long ----

query("DO \$\$ BEGIN FOR i IN 1 .. 520 LOOP EXECUTE format('CREATE FOREIGN TABLE s.many_%s (k int) SERVER kalam OPTIONS (primary_key %L)', i, 'k'); END LOOP; END \$\$");
for my $round (1 .. 3)
{
	is(query("SELECT count(DISTINCT name) FROM kalam.tables WHERE name LIKE 'many%'"), '520', "many tables, look $round");
	is(query($namespaces), 'public:2 s:521', "many tables of a schema, look $round");
}
$hits = counter('hits');
query($tables);
cmp_ok(counter('hits') - $hits, '>=', 524, 'all from memory');

# more tables than a session keeps counts of
query("DO \$\$ DECLARE n int; BEGIN FOR j IN 1 .. 3 LOOP FOR i IN 1 .. 520 LOOP EXECUTE format('SELECT k FROM s.many_%s WHERE k = 1', i) INTO n; END LOOP; END LOOP; END \$\$");
is(query("SELECT count(*), min(cache_hits + cache_misses), max(cache_hits + cache_misses) FROM kalam.stat_tables WHERE relname ~ '^many'"), '520|3|3',
	'reads of many tables');

is(counter('pins'), 0, 'no pin is left');
is(counter('corrupt'), 0, 'nothing was spoilt');

# ---- names that find no room ----

$node->append_conf('postgresql.conf', 'kalam.names_size = 1kB');
$node->restart;
for my $round (1, 2)
{
	is(query("SELECT count(DISTINCT name), min(namespace) FROM kalam.tables WHERE name LIKE 'many%'"), '520|s', "many tables, look $round");
	is(query($namespaces), 'public:2 s:521', "schemas, look $round");
}
query("DO \$\$ DECLARE n int; BEGIN FOR i IN 1 .. 520 LOOP EXECUTE format('SELECT k FROM s.many_%s WHERE k = 1', i) INTO n; END LOOP; END \$\$");
cmp_ok(query('SELECT refused FROM kalam.names'), '>', 0, 'some names found none');
my $known = "SELECT count(*), count(name) BETWEEN 10 AND 300 FROM kalam.stat_all_tables WHERE database = 'postgres' AND cache_misses > 0";
is(query($known, 'in_utf8'), '520|t', 'another database knows some');
is(query("SELECT count(*) FROM kalam.stat_all_tables WHERE database = 'postgres' AND name ~ '^many' AND namespace = 's'"), '520',
	'their own all of them');

$node->stop;
done_testing();
