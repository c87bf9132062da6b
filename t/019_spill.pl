# Transactions of many times kalam.staged_memory: the session stays small, and
# its temporary files go with the transaction, however that ends.  (What a statement
# inserts is staged here: that it may go to storage meanwhile is for 027_loads.)
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', conf => q(
kalam.staged_memory = 8MB
kalam.bulk_load_threshold = 1TB
kalam.block_cache_size = 32MB
kalam.write_buffer_size = 32MB
autovacuum = off
max_parallel_workers_per_gather = 0
));
my $tmpdir = $node->data_dir . '/base/pgsql_tmp';
my $storage = storage_pid($node);

sub temporary_files
{
	return scalar(my @files = glob("$tmpdir/*"));
}

# The most memory that the process ever had, in KB.
sub peak_kb
{
	my ($pid) = @_;

	open(my $file, '<', "/proc/$pid/status") or return 0;
	my ($kb) = map { /^VmHWM:\s+(\d+)/ } <$file>;
	return $kb;
}

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE big (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE copy (k int, v text) SERVER kalam OPTIONS (primary_key 'k');
	CREATE TABLE heap_t (k int);
	INSERT INTO copy VALUES (0, 'was there');));

# ---- 300 MB through 8 MB ----

my $rows = 1_000_000;
my $tail = '0123456789' x 28;
my $load = qq(COPY big FROM PROGRAM 'seq $rows | sed "s/.*/&\\t& $tail/"');
my $expected = $rows . '|' . $rows * ($rows + 1) / 2;
my $s = KalamTest::Session->new($node);
my $pid = $s->pid;

$s->do('SELECT count(*) FROM copy');
my $before = peak_kb($pid);
my $storage_before = rss_kb($storage);

sub succeeds
{
	my ($sql, $what) = @_;
	my ($ok, $out, $err) = $s->do($sql);

	ok($ok, $what // $sql) or diag($err);
	chomp($out);
	return $out;
}

$s->do('BEGIN');
succeeds($load, 'COPY of 300 MB');
cmp_ok(temporary_files(), '>', 1, 'there are temporary files');
cmp_ok(temporary_files(), '<', 30, 'but not many');
is(succeeds('SELECT count(*), sum(k::bigint) FROM big', 'the transaction reads its rows'), $expected, 'all of them');
is(succeeds('SELECT left(v, 8) FROM big WHERE k = 777777', 'finds one'), '777777 0', 'the right one');
succeeds('COMMIT');
is(temporary_files(), 0, 'no temporary file is left after the commit');
is(succeeds('SELECT count(*), sum(k::bigint), min(length(v)), max(length(v)) FROM big', 'a scan'),
	"$expected|282|288", 'all rows are there');

$s->do('BEGIN');
succeeds('INSERT INTO copy SELECT * FROM big', 'INSERT ... SELECT of 300 MB');
succeeds(q(UPDATE copy SET v = 'short' WHERE k % 4 = 0), 'UPDATE of a quarter');
is(succeeds(q(SELECT count(*), count(*) FILTER (WHERE v = 'short') FROM copy), 'reads'), $rows + 1 . '|' . ($rows / 4 + 1), 'both');
succeeds('ROLLBACK');
is(temporary_files(), 0, 'no temporary file is left after the rollback');
is(succeeds('SELECT count(*), max(v) FROM copy', 'after it'), '1|was there', 'nothing happened');
cmp_ok(peak_kb($pid) - $before, '<', 30_000, 'the session stayed small') or diag("from $before to " . peak_kb($pid));

# ---- with a heap table: the commit is prepared first ----

$s->do('BEGIN');
$s->do('INSERT INTO heap_t VALUES (1)');
succeeds('INSERT INTO copy SELECT k, v FROM big WHERE k <= 400000', 'a large INSERT along with one into heap');
succeeds('COMMIT');
is(succeeds('SELECT (SELECT count(*) FROM copy), (SELECT count(*) FROM heap_t)', 'after it'), '400001|1', 'both are committed');
cmp_ok(peak_kb($pid) - $before, '<', 30_000, 'the session stayed small');
cmp_ok(rss_kb($storage) - $storage_before, '<', 250_000, 'and so did storage') or diag("from $storage_before to " . rss_kb($storage));

# ---- a rewrite ----

succeeds('ALTER FOREIGN TABLE copy ALTER COLUMN k TYPE bigint', 'a rewrite of 120 MB');
is(succeeds('SELECT count(*), max(k) FROM copy', 'after it'), '400001|400000', 'has all rows');
cmp_ok(peak_kb($pid) - $before, '<', 30_000, 'in little memory');
note("the session took ", peak_kb($pid) - $before, " KB, storage ", rss_kb($storage) - $storage_before);
is(temporary_files(), 0, 'no temporary file is left');

# ---- errors ----

$s->do('TRUNCATE copy');
$s->do(q(SET temp_file_limit = '20MB'));
my ($ok, $out, $err) = $s->do('INSERT INTO copy SELECT * FROM big');
ok(!$ok, 'past temp_file_limit');
like($err, qr/temporary file size exceeds temp_file_limit/, 'the error says so');
is(temporary_files(), 0, 'no temporary file is left');
is(succeeds('SELECT count(*) FROM copy', 'the session goes on'), '0', 'nothing was written');

$s->do('BEGIN');
succeeds('INSERT INTO copy SELECT k, v FROM big WHERE k <= 50000', 'a part that fits');
my $files = temporary_files();
foreach my $i (1 .. 3)
{
	$s->do('SAVEPOINT s');
	($ok, $out, $err) = $s->do("INSERT INTO copy SELECT k, v FROM big WHERE k > 50000 * $i");
	ok(!$ok, "a part that does not, $i");
	$s->do('ROLLBACK TO s');
	# (the first may have moved rows from before it to a file)
	cmp_ok(temporary_files(), '<=', $files + 1, 'what it wrote is gone at once');
}
is(succeeds('SELECT count(*), sum(k::bigint) FROM copy', 'what was before'), '50000|1250025000', 'is still there');
succeeds('COMMIT');
is(succeeds('SELECT count(*), sum(k::bigint) FROM copy', 'and is committed'), '50000|1250025000', 'alone');
$s->do('RESET temp_file_limit');

# a key that is taken, found late
($ok, $out, $err) = $s->do('INSERT INTO copy SELECT k + 40000, v FROM big WHERE k <= 200000 ORDER BY k DESC');
ok(!$ok, 'a key that is taken');
like($err, qr/Key \(k\)=\(50000\) already exists/, 'is named');
is(temporary_files(), 0, 'no temporary file is left');

# cancelled
$s->send('BEGIN; INSERT INTO copy SELECT k + 1000000, v FROM big UNION ALL SELECT k + 3000000, v FROM big');
ok(wait_until(30, sub { temporary_files() > 3 }), 'a session in the middle of it');
kill 'INT', $pid;
($ok, $out, $err) = $s->answer;
like($err, qr/canceling statement/, 'is cancelled');
$s->do('ROLLBACK');
is(temporary_files(), 0, 'no temporary file is left');

# ---- rows that may be locked: what is remembered of them ----

$s->do(q(SET work_mem = '64kB'));
my $pick = 'SELECT k FROM big WHERE k <= 60000 ORDER BY k % 100 DESC, k FOR UPDATE';
$s->do('BEGIN');
is(succeeds("SELECT count(*), sum(k::bigint) FROM ($pick) x", 'many rows are locked, sorted'), '60000|1800030000', 'all of them');
is(temporary_files(), 0, 'no temporary file is left');
succeeds("DECLARE c CURSOR FOR $pick", 'a cursor over them');
is(succeeds('FETCH 2 FROM c'), "99\n199", 'reads');
$files = temporary_files();
cmp_ok($files, '>', 0, 'has files');
$s->do('SAVEPOINT s');
is(succeeds('MOVE 1000 FROM c; FETCH 1 FROM c'), '40298', 'goes on in a savepoint');
$s->do("DECLARE d CURSOR FOR $pick");
$s->do('FETCH 1 FROM d');
cmp_ok(temporary_files(), '>', $files, 'another cursor has files');
$s->do('ROLLBACK TO s');
is(temporary_files(), $files, 'which go with the savepoint');
succeeds('CLOSE c');
is(temporary_files(), 0, 'and with the cursor');
$s->do("DECLARE c CURSOR FOR $pick");
$s->do('FETCH 1 FROM c');
($ok, $out, $err) = $s->do('SELECT 1 / 0');
ok(!$ok, 'an error while it is open');
is(temporary_files(), 0, 'takes its files');
$s->do('ROLLBACK');
$s->do(q(SET temp_file_limit = '1MB'));
($ok, $out, $err) = $s->do("SELECT count(*) FROM ($pick) x");
like($err, qr/temp_file_limit/, 'past temp_file_limit');
is(temporary_files(), 0, 'no temporary file is left');
$s->do('RESET temp_file_limit; RESET work_mem');

# ---- many subtransactions, each with changes in files ----

my $seconds = time();
succeeds(q(
SET kalam.staged_memory = '256kB';
DO $$ BEGIN
	FOR i IN 1 .. 10000 LOOP
		BEGIN
			INSERT INTO copy SELECT 5000000 + i * 10 + g, repeat('x', 300) FROM generate_series(1, 5) g;
			IF i % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$; RESET kalam.staged_memory), 'ten thousand exception blocks');
cmp_ok(time() - $seconds, '<', 60, 'take a while only');
is(succeeds('SELECT count(*), count(DISTINCT k / 10) FROM copy WHERE k > 5000000', 'every second one'), '25000|5000', 'left its rows');
$s->quit;

# ---- a session that is killed ----

my $victim = KalamTest::Session->new($node);
my $victim_pid = $victim->pid;
$victim->send('BEGIN; INSERT INTO copy SELECT k + 1000000, v FROM big, pg_sleep(0)');
ok(wait_until(30, sub { temporary_files() > 3 }), 'a session in the middle of it');
kill 'KILL', $victim_pid;
ok(wait_until(60, sub { !alive($victim_pid) && runs($node, 'SELECT 1 FROM big LIMIT 1') }), 'is killed');
ok(wait_until(10, sub { temporary_files() == 0 }), 'its temporary files are gone');
unlike(slurp_file($node->logfile), qr/file leak/, 'none was left to be closed by others');
is($node->safe_psql('postgres', 'SELECT count(*) FROM copy WHERE k <= 5000000'), '50000', 'nothing of it is there');

$node->stop;
done_testing();
