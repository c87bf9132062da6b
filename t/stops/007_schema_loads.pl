# A backend fails, is cancelled, ends or dies while it loads what a table is like, for
# all who want to know it: the next one loads it at once.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use Test::More;
use Time::HiRes qw(time);

my $node = new_server('main', conf => "autovacuum = off\n");

sub client
{
	return KalamClient->new($node->connstr('postgres'));
}

sub counter
{
	return $node->safe_psql('postgres', "SELECT $_[0] FROM kalam.schema_cache");
}

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE t (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO t VALUES (1, 10)));

foreach my $action (qw(error cancel terminate kill))
{
	my ($loader, $holder) = (client(), client());
	my $stop = $action eq 'error' || $action eq 'kill' ? $action : 'wait';
	my $pid = $loader->backend;

	$holder->do("SELECT kalam.invalidate_table('t')");
	my $loads = counter('loads');
	$holder->do('SELECT pg_advisory_lock(1)');
	$loader->send("SET kalam.stop_at = 'schema_before_put=$stop'; SELECT v FROM t");
	if ($stop eq 'wait')
	{
		ok(wait_until(10, sub {
			$holder->value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'") == 1 }),
			"$action: it loads");
		$holder->do("SELECT pg_${action}_backend($pid)");
	}
	isnt(($loader->answer)[0], '', "$action: it has come to nothing");
	if ($action eq 'kill')
	{
		# the server starts anew
		ok(wait_until(30, sub { ($node->psql('postgres', 'SELECT v FROM t'))[0] == 0 }), 'kill: all goes on');
	}
	else
	{
		is(counter('loads') - $loads, 1, "$action: a load");
		my $begin = time();
		is($node->safe_psql('postgres', 'SELECT v FROM t'), '10', "$action: the next one reads");
		cmp_ok(time() - $begin, '<', 0.9, "$action: and has not waited");
		is(counter('loads') - $loads, 2, "$action: it has loaded");
	}
	$_->quit foreach $loader, $holder;
	ok(wait_until(10, sub { counter('pins') == 0 }), "$action: no pin is left");
}
done_testing();
