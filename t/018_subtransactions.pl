# Many subtransactions in one transaction: their number costs linear time.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamTest;
use Test::More;
use Time::HiRes qw(time);

my $node = new_server('main');
my $session = KalamTest::Session->new($node);

sub seconds
{
	my ($body, $n, $before) = @_;
	my $best;

	foreach (1 .. 2)
	{
		$session->do(q(TRUNCATE t, nokey; INSERT INTO t SELECT g, 0 FROM generate_series(1, 1000) g));
		my $start = time();
		my ($good, undef, $err) = $session->do("DO \$d\$ DECLARE r record; c refcursor; BEGIN $before FOR i IN 1 .. $n LOOP
			BEGIN $body EXCEPTION WHEN raise_exception OR unique_violation THEN NULL; END; END LOOP; END \$d\$");
		my $took = time() - $start;

		die $err unless $good;
		$best = $took if !defined $best || $took < $best;
	}
	return $best;
}

$session->do(q(CREATE FOREIGN TABLE t (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE nokey (id int, v int) SERVER kalam));
my @cases = (
	[ 'inserts', 'INSERT INTO t VALUES (10000 + i, 1);' ],
	[ 'inserts that fail', q(INSERT INTO t VALUES (10000 + i, 1); RAISE EXCEPTION 'x';) ],
	[ 'inserts that fail without a key', q(INSERT INTO nokey VALUES (10000 + i, 1); RAISE EXCEPTION 'x';) ],
	[ 'duplicates', 'INSERT INTO t VALUES (1, 1);' ],
	[ 'updates', 'UPDATE t SET v = v + 1 WHERE id = i % 1000 + 1;' ],
	[ 'updates of one row', 'UPDATE t SET v = v + 1 WHERE id = 1;' ],
	[ 'updates that fail', q(UPDATE t SET v = v + 1 WHERE id = i % 1000 + 1; RAISE EXCEPTION 'x';) ],
	[ 'locks', 'SELECT * INTO r FROM t WHERE id = i % 1000 + 1 FOR UPDATE;' ],
	[ 'updates below an open cursor', 'UPDATE t SET v = v + 1 WHERE id = i % 1000 + 1;', 'OPEN c FOR SELECT * FROM t ORDER BY id; FETCH c INTO r;' ],
	[ 'nested ones', q(INSERT INTO t VALUES (10000 + i, 1);
		BEGIN INSERT INTO t VALUES (1000000 + i, 1); RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN UPDATE t SET v = 2 WHERE id = 10000 + i; END;) ],
	[ 'TRUNCATE', q(TRUNCATE t; INSERT INTO t VALUES (1, 1);), '', 200 ],
	[ 'TRUNCATE that fails', q(TRUNCATE t; INSERT INTO t VALUES (1, 1); RAISE EXCEPTION 'x';), '', 200 ]);
foreach my $case (@cases)
{
	my ($name, $body, $before, $n) = @$case;

	$n //= 1000;
	my $few = seconds($body, $n, $before // '');
	my $many = seconds($body, 10 * $n, $before // '');
	# ten times as many; quadratic time would be a hundred times as long
	cmp_ok($many, '<', 30 * $few + 0.2, $name) or diag("$few s, then $many s");
}
# families of objects that live for a moment only would take a second for a hundred
cmp_ok(seconds(q(EXECUTE 'CREATE FOREIGN TABLE x (k int) SERVER kalam'; INSERT INTO x VALUES (1); DROP FOREIGN TABLE x;), 200, ''), '<', 3, 'tables that are created and dropped');
$session->quit;
$node->stop;
done_testing();
