# A backend fails, is cancelled, ends or dies with a row of a cache in its hands, or
# where it is about to put one: nothing stays pinned, and others are told the truth.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main');
my $v = 0;

# Rows that are copied out of the cache, and such that are pinned there.
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE c (id int, v int, pad text) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO c VALUES (1, 0, ''), (2, 0, repeat('x', 20000))));

my %reads = (
	'a small row' => 'SELECT v FROM c WHERE id = 1',
	'a large row' => 'SELECT v FROM c WHERE id = 2',
	'no row' => 'SELECT count(*) - 1 FROM c WHERE id = 3',
	'a scan' => 'SELECT id, v, pad FROM c ORDER BY id',
	'a sum' => 'SELECT sum(v) FROM c');

sub client
{
	return KalamClient->new($node->connstr('postgres'));
}

foreach my $place (qw(cache_before_put cache_after_find))
{
	foreach my $action (qw(error cancel terminate kill))
	{
		my @wrong;

		foreach my $what (sort keys %reads)
		{
			my ($s, $holder) = (client(), client());
			my $stop = $action eq 'error' || $action eq 'kill' ? $action : 'wait';
			my ($state, $text);

			# in the cache then, or true no more
			$s->do($reads{$what}) foreach 1 .. 3;
			if ($place eq 'cache_before_put')
			{
				$holder->do('UPDATE c SET v = v + 1');
				$v++;
				$s->do($reads{$what}) if $what =~ /^a (?:scan|sum)/;
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
			foreach my $again (1 .. 3)
			{
				my $seen = $node->safe_psql('postgres', 'SELECT (SELECT v FROM c WHERE id = 1), (SELECT v FROM c WHERE id = 2), (SELECT count(*) FROM c WHERE id = 3), (SELECT sum(v) FROM c)');
				push @wrong, "$what: then $seen, not $v" if $seen ne "$v|$v|0|" . 2 * $v;
			}
		}
		is(join("\n", @wrong), '', "$place, $action");
	}
}
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
