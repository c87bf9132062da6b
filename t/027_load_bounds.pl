# Loads that are many times larger than the memory they may take: session and storage
# stay small, files meanwhile take at most twice what is left in the end, and the
# rows are heap's, the indexes and the errors right.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use ResourceWatch;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', conf => q(
kalam.load_memory = 1MB
kalam.staged_memory = 1MB
kalam.block_cache_size = 8MB
kalam.write_buffer_size = 8MB
autovacuum = off
max_parallel_workers_per_gather = 0
));
my $data = $node->data_dir;
my @folders = ("$data/kalam", "$data/base/pgsql_tmp");
my $storage = storage_pid($node);
my $postmaster = KalamTest::postmaster_pid($node);

# Sixty MB of rows, in no order; u is unique, a is not.  Two files of them, and two more
# whose last row has a unique value, or a key, that another one has.
my $rows = 500_000;
$node->safe_psql('postgres', qq(
	CREATE TABLE source AS SELECT g AS k, (g * 7919 % 1000)::int AS a, g * 2654435761 % 4294967296 AS u,
		left(repeat(md5(g::text), 4), 90 + g::int % 16) AS v FROM generate_series(1, ${rows}::bigint) g ORDER BY hashint8(g);
	COPY (SELECT * FROM source ORDER BY k) TO '$data/sorted';
	COPY source TO '$data/shuffled';
	COPY (SELECT * FROM (TABLE source UNION ALL VALUES ($rows + 1, 1, (SELECT u FROM source WHERE k = 4711), 'twice')) x
		ORDER BY v = 'twice', hashint8(k)) TO '$data/u_twice';
	COPY (SELECT * FROM (TABLE source UNION ALL VALUES (4711, 1, 5, 'twice')) x
		ORDER BY v = 'twice', k) TO '$data/k_twice';
	CREATE SCHEMA heap;
	CREATE TABLE heap.t (k bigint PRIMARY KEY, a int NOT NULL, u bigint NOT NULL, v text NOT NULL,
		CONSTRAINT t_u_key UNIQUE (u));
	CREATE SCHEMA stored;
	CREATE FOREIGN TABLE stored.t (k bigint NOT NULL, a int NOT NULL, u bigint NOT NULL, v text NOT NULL)
		SERVER kalam OPTIONS (primary_key 'k', index_a 'a', unique_u 'u');));
cmp_ok(-s "$data/shuffled", '>', 59_000_000, 'the files are large');
my $empty = ResourceWatch::file_bytes(@folders);

# Have the files gone that the last load left, or tried to?
sub files_gone
{
	return wait_until(10, sub { ResourceWatch::file_bytes(@folders) < $empty + 2_000_000 });
}

# What a table of a schema holds: all rows, and what a query by each index finds.
sub contents
{
	my ($schema) = @_;

	return $node->safe_psql('postgres', qq(SET search_path = $schema, public;
		SELECT count(*), sum(k), sum(hashtextextended(t::text, 0)) FROM t;
		SELECT count(*), sum(k), min(u) FROM t WHERE a = 7;
		SELECT k, a, length(v) FROM t WHERE u IN (SELECT u FROM source WHERE k % 50000 = 17) ORDER BY k;));
}

# Loads an empty stored table; gives what was watched, and the error.
sub load
{
	my ($what, $sql, %how) = @_;
	my $err;

	$node->safe_psql('postgres', 'TRUNCATE stored.t');
	files_gone() or diag("$what: the table before it is still there");
	my $before = ResourceWatch::anonymous_kb($storage);
	my $watch = ResourceWatch->start(postmaster => $postmaster, folders => \@folders, interval => 0.01);
	my $status = $node->psql('postgres', "SET search_path = stored, public; $sql", stderr => \$err, timeout => 120);
	$node->safe_psql('postgres', q(SELECT kalam.flush('stored.t')));
	my $took = $watch->stop;

	is($status, $how{fails} ? 3 : 0, $what) or diag($err);
	cmp_ok($took->{samples}, '>', 20, "$what: was watched");
	cmp_ok($took->{session_kb}, '<', 12_000, "$what: the session stays small");
	cmp_ok($took->{storage_kb} - $before, '<', 30_000, "$what: and so does storage")
	  or diag("from $before to $took->{storage_kb}");
	note("$what: session $took->{session_kb} KB, storage from $before to $took->{storage_kb} KB, files $took->{files}, $took->{left} left");
	return ($took, $err);
}

# ---- loads that succeed ----

$node->safe_psql('postgres', 'INSERT INTO heap.t TABLE source');
my $expected = contents('heap');
my %statement = (
	sorted => "COPY t FROM '$data/sorted'",
	shuffled => "COPY t FROM '$data/shuffled'",
	selected => 'INSERT INTO t SELECT * FROM source',
);
foreach my $name (sort keys %statement)
{
	my ($took) = load($name, $statement{$name});

	cmp_ok($took->{left}, '>', 10_000_000, "$name: there is a result on disk");
	cmp_ok($took->{files}, '<=', 2 * $took->{left}, "$name: and files never took more than twice that");
	is(contents('stored'), $expected, "$name: the rows are heap's");
	is($node->safe_psql('postgres', q(SELECT * FROM kalam.verify_indexes('stored.t'))), '', "$name: the indexes are right");
}

# ---- loads that fail with their last row ----

my $u = $node->safe_psql('postgres', 'SELECT u FROM source WHERE k = 4711');
my $line = $rows + 1;
my %error = (
	u_twice => qq("t_u_key"\nDETAIL:  Key (u)=($u) already exists.\nCONTEXT:  COPY t, line $line),
	k_twice => qq("t_pkey"\nDETAIL:  Key (k)=(4711) already exists.\nCONTEXT:  COPY t, line $line),
);
foreach my $name (sort keys %error)
{
	my ($took, $err) = load($name, "COPY t FROM '$data/$name'", fails => 1);

	# (which is what it says of heap tables, too)
	is($err, "psql:<stdin>:1: ERROR:  duplicate key value violates unique constraint $error{$name}", "$name: the error");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM stored.t'), '0', "$name: no row is there");
	ok(files_gone(), "$name: its files are gone") or diag("$empty " . ResourceWatch::file_bytes(@folders));
}
is(storage_pid($node), $storage, 'storage is still the same process');
$node->stop;
done_testing();
