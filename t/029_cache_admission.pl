# What is read again and again stays in a small query cache, whatever is read once
# beside it: a large scan, many small ones, and single rows by the ten thousand.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use Test::More;

my $once = 25_000;

my $node = new_server('main', conf => <<'E');
autovacuum = off
kalam.query_cache_size = '2MB'
kalam.query_cache_ttl = '1h'
max_parallel_workers_per_gather = 0
E
$node->safe_psql('postgres', <<'E');
CREATE FOREIGN TABLE hot (id int, a int, v text) SERVER kalam OPTIONS (primary_key 'id', index_a 'a, id');
CREATE FOREIGN TABLE cold (id int, v text) SERVER kalam OPTIONS (primary_key 'id');
INSERT INTO hot SELECT i, i % 100, 'hot ' || i FROM generate_series(1, 10000) i;
INSERT INTO cold SELECT i, 'cold ' || i FROM generate_series(1, 100000) i;
ANALYZE hot, cold;
CREATE FUNCTION hits(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
    RETURN coalesce((jsonb_path_query_first(plan, 'strict $.**."Query Cache Hits"'))::int, 0);
END
$$;
CREATE TABLE questions AS
    SELECT 'SELECT count(*) FROM hot WHERE a = ' || i AS q, 'aggregates' AS kind FROM generate_series(1, 20) i
    UNION ALL SELECT 'SELECT * FROM hot WHERE a = ' || i || ' ORDER BY id DESC LIMIT 50', 'limits' FROM generate_series(1, 20) i
    UNION ALL SELECT format('SELECT * FROM hot WHERE id BETWEEN %s AND %s', i * 100, i * 100 + 60), 'ranges' FROM generate_series(1, 20) i
    UNION ALL SELECT 'SELECT * FROM hot WHERE id = ' || i * 7, 'rows' FROM generate_series(1, 100) i
    UNION ALL SELECT 'SELECT a, sum(id) FROM hot GROUP BY a', 'groups';
CREATE FUNCTION read_once(first int, last int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    n int := 0;
BEGIN
    FOR i IN first .. last LOOP
        n := n + length(v) FROM cold WHERE id = i;
    END LOOP;
    RETURN n;
END
$$;
CREATE FUNCTION scan_once(first int, last int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    n int := 0;
BEGIN
    FOR i IN first .. last LOOP
        n := n + max(length(v || '')) FROM cold WHERE id BETWEEN i * 10 AND i * 10 + 9;
    END LOOP;
    RETURN n;
END
$$;
E

sub ask
{
	return split /\n/, $node->safe_psql('postgres',
		'SELECT kind, count(*), sum(hits(q)) FROM questions GROUP BY kind ORDER BY kind');
}

# All answers come from the cache but for one in a hundred.
sub is_hot
{
	my ($when) = @_;
	my @kinds = ask();

	is(scalar(@kinds), 5, "five kinds of questions $when");
	foreach (@kinds)
	{
		my ($kind, $asked, $hits) = split /\|/;

		cmp_ok($hits, '>=', int($asked * 0.99), "$kind $when: $hits hits of $asked");
	}
	return;
}

# the cache is full of what is not asked for again when the hot set comes
$node->safe_psql('postgres', 'SELECT read_once(1, 20000)');
ask() for 1 .. 2;
is_hot('when asked again and again');
$node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT * FROM cold OFFSET 0) x') for 1 .. 2;
is_hot('after a large scan');
$node->safe_psql('postgres', "SELECT read_once(20001, 20000 + $once)");
is_hot('after single reads');
$node->safe_psql('postgres', 'SELECT scan_once(1, 5000)');
is_hot('after small scans');

done_testing();
