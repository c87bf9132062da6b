# A backend fails, is cancelled, ends or dies with a row of a cache in its hands, or
# where it is about to put one, or the storage process dies: nothing stays pinned, and
# others are told the truth.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $order = PostgreSQL::Test::Utils::tempdir() . '/stop';
$ENV{KALAM_STOP_FILE} = $order;

my $node = new_server('main');
my $v = 0;

# Rows that are copied out of the cache, and such that are pinned there.
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE c (id int, v int, pad text) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE other (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO c VALUES (1, 0, ''), (2, 0, repeat('x', 20000))));

my %reads = (
	'a small row' => 'SELECT v FROM c WHERE id = 1',
	'a large row' => 'SELECT v FROM c WHERE id = 2',
	'no row' => 'SELECT count(*) - 1 FROM c WHERE id = 3',
	'a scan' => 'SELECT id, v, pad FROM c ORDER BY id',
	'a sum' => 'SELECT sum(v) FROM c');

sub seen
{
	return $node->safe_psql('postgres', 'SELECT (SELECT v FROM c WHERE id = 1), (SELECT v FROM c WHERE id = 2), (SELECT count(*) FROM c WHERE id = 3), (SELECT sum(v) FROM c)');
}

sub client
{
	return KalamClient->new($node->connstr('postgres'));
}

foreach my $place (qw(cache_before_put cache_after_find))
{
	foreach my $action (qw(error cancel terminate kill))
	{
		my @wrong;

		# (after a kill the server starts anew, which takes a while)
		foreach my $what ($action eq 'kill' ? ('a large row', 'a scan') : sort keys %reads)
		{
			my ($s, $holder) = (client(), client());
			my $stop = $action eq 'error' || $action eq 'kill' ? $action : 'wait';
			my ($state, $text);

			# in the cache then, or true no more
			$s->do($reads{$what}) foreach 1 .. 3;
			if ($place eq 'cache_before_put')
			{
				$holder->do('UPDATE c SET v = v + 1; INSERT INTO c VALUES (3, 0); DELETE FROM c WHERE id = 3');
				$v++;
			}
			$holder->do('SELECT pg_advisory_lock(1)');
			my $pid = $s->backend;
			$s->send("SET kalam.stop_at = '$place=$stop'; $reads{$what}");
			if ($stop eq 'wait')
			{
				push @wrong, "$what does not come there"
				  if !wait_until(10, sub { $holder->value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'") == 1 });
				$holder->do("SELECT pg_${action}_backend($pid)");
			}
			($state, $text) = $s->answer;
			my $expected = $action =~ /^k|^t/ ? 'lost' : $action eq 'error' ? 'XX000' : '57014';
			push @wrong, "$what: $state" if $state ne $expected;
			$_->quit foreach $s, $holder;
			if ($action eq 'kill')
			{
				push @wrong, "$what: the server does not come up"
				  if !wait_until(30, sub { runs($node, 'SELECT count(*) FROM c') });
			}
			my $pins = $node->safe_psql('postgres', 'SELECT pins FROM kalam.query_cache');
			push @wrong, "$what: $pins pins" if $pins ne '0';
			$node->safe_psql('postgres', 'UPDATE c SET v = v + 1');
			$v++;
			push @wrong, map { "$what: then $_, not $v" } grep { $_ ne "$v|$v|0|" . 2 * $v } (seen()) x 3;
		}
		is(join("\n", @wrong), '', "$place, $action");
	}
}

# Storage dies with a commit that is on disk, or not, of which it has told nobody: then
# its successor knows better than the cache.
foreach my $place (qw(before_write after_write after_publish))
{
	my $session = client();
	my @wrong;

	foreach my $how ('UPDATE c SET v = v + 1', 'SET LOCAL kalam.bulk_load_threshold = 0; UPDATE c SET v = v + 1, pad = repeat(pad, 10)')
	{
		seen() foreach 1 .. 3;
		append_to_file("$order.new", "$place 1\n");
		rename("$order.new", $order) or die "rename: $!";
		my ($state) = $session->do("BEGIN; $how; COMMIT");
		push @wrong, 'storage did not come there' if !wait_until(10, sub { !-e $order });
		push @wrong, 'storage does not come back' if !wait_until(30, sub { runs($node, 'UPDATE other SET v = v') });
		my $stored = $node->safe_psql('postgres', 'SET kalam.query_cache = off; SELECT v FROM c WHERE id = 1');

		# (psql shows 08006 or success, and it is as it says)
		push @wrong, "$stored after $v and '$state'" if $stored != $v + ($state eq '' ? 1 : 0);
		$v = $stored;
		push @wrong, map { "then $_, not $v" } grep { $_ ne "$v|$v|0|" . 2 * $v } (seen(), seen());
	}
	is(join("\n", @wrong), '', "storage dies, $place");
	$session->quit;
}
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
