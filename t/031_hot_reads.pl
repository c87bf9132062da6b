# What the query cache knows is read without storage: while that process stands still,
# sessions get rows by keys, lists of them and results of scans, at each isolation level
# and through cursors; what it does not know waits, and can be cancelled.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamClient;
use KalamTest;
use Test::More;

my $node = new_server('main', conf => "autovacuum = off\nkalam.query_cache_ttl = '1h'\n");

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (id int NOT NULL, code text, v text) SERVER kalam
		OPTIONS (primary_key 'id', unique_code 'code');
	INSERT INTO t SELECT g, 'c' || g, 'v' || g FROM generate_series(1, 5000) g;
	INSERT INTO t VALUES (9001, 'wide', repeat('wide', 50000));
	ANALYZE t;));

# Some plans are made beforehand, others each time: these want the table's size, too.
my $prepare = q(
	SET plan_cache_mode = force_generic_plan;
	PREPARE by_key (int) AS SELECT id, code, left(v, 4), length(v) FROM t WHERE id = $1;
	PREPARE key_only (int) AS SELECT id FROM t WHERE id = $1;
	PREPARE by_code (text) AS SELECT id, length(v) FROM t WHERE code = $1;
	PREPARE list (int[]) AS SELECT id, v FROM t WHERE id = ANY ($1);
	PREPARE between_two (int, int) AS SELECT count(*), sum(length(v)) FROM t WHERE id BETWEEN $1 AND $2;
	PREPARE first_of (int) AS SELECT id FROM t WHERE id >= $1 ORDER BY id LIMIT 3);
my @hot = (
	[ q(SELECT v FROM t WHERE id = 7), 'v7' ],
	[ q(SELECT count(*) FROM t WHERE code IN ('c5', 'c6') AND v > ''), '2' ],
	[ q(EXECUTE by_key (7)), '7|c7|v7|2' ],
	[ q(EXECUTE by_key (8000)), '' ],
	[ q(EXECUTE by_key (9001)), '9001|wide|wide|200000' ],
	[ q(EXECUTE key_only (7)), '7' ],
	[ q(EXECUTE by_code ('c8')), '8|2' ],
	[ q(EXECUTE by_code ('wide')), '9001|200000' ],
	[ q(EXECUTE by_code ('none')), '' ],
	[ q(EXECUTE list ('{9,10,8000}')), "9|v9\n10|v10" ],
	[ q(EXECUTE between_two (10, 19)), '10|30' ],
	[ q(EXECUTE first_of (100)), "100\n101\n102" ]);
my @sessions = map { KalamClient->new($node->connstr('postgres')) } 1 .. 2;

# Runs all of them in a session; gives what went wrong.
sub failures
{
	my ($session) = @_;
	my @bad;

	foreach my $h (@hot)
	{
		my ($state, $text) = $session->do($h->[0], 10);

		chomp($text);
		push @bad, "$h->[0]: $state $text" if $state ne '' || $text ne $h->[1];
	}
	return join("\n", @bad);
}

foreach my $session (@sessions)
{
	is(($session->do($prepare))[0], '', 'plans are made');
	is(failures($session), '', 'all is read') foreach 1 .. 3;
}

ok(kill_storage($node, 'STOP'), 'storage stands still');
is(failures($_), '', 'all is read, without it') foreach @sessions;
is(($sessions[0]->do('BEGIN ISOLATION LEVEL REPEATABLE READ'))[0], '', 'a transaction begins');
is(failures($sessions[0]), '', 'it reads all');
is(($sessions[1]->do('BEGIN ISOLATION LEVEL SERIALIZABLE'))[0], '', 'another one');
is(failures($sessions[1]), '', 'it reads all');
is(($_->do('COMMIT'))[0], '', 'and ends') foreach @sessions;
is(($sessions[0]->do(q(SET statement_timeout = '300ms'; EXECUTE by_key (4000)), 20))[0], '57014',
	'what is not known waits, and is cancelled');
is(($sessions[0]->do(q(EXECUTE list ('{9,10,4001}')), 20))[0], '57014', 'so does a list with a key that is not known');
is(failures($sessions[0]), '', 'all else is read as before');
kill_storage($node, 'CONT');
is($sessions[0]->value('EXECUTE by_key (4000)'), '4000|c4000|v400|5', 'storage goes on');
is(failures($_), '', 'all is read') foreach @sessions;
is($node->safe_psql('postgres', 'SELECT pins FROM kalam.query_cache'), '0', 'nothing is held');

$_->quit foreach @sessions;
$node->stop;
done_testing();
