# The storage process dies at a place of its own while a transaction is
# written, prepared or applied, and its successor at one while it recovers.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use StopTest;
use Test::More;

my $order = PostgreSQL::Test::Utils::tempdir() . '/stop';
$ENV{KALAM_STOP_FILE} = $order;

my $node = new_stop_server('main');
my $dir = $node->data_dir;
my $n = 0;
my $session = KalamClient->new($node->connstr('postgres'));

# The next process dies when it comes there.
sub order_death
{
	my ($place, $times) = @_;

	append_to_file("$order.new", "$place $times\n");
	rename("$order.new", $order) or die "rename: $!";
	return;
}

sub check_end
{
	my ($kind, $name, $state, $text, $wanted) = @_;
	my @wrong;

	push @wrong, 'the storage process did not come there' if !wait_until(5, sub { !-e $order });
	unlink($order);
	push @wrong, 'the server does not come up' if !bring_up($node);

	my $there = is_there($node, $kind, $n);
	push @wrong, "$there, but the session was told '$state': $text" if !outcome_fits($state, $there);
	push @wrong, "the session was told '$state': $text" if $state !~ /^(?:|08006)$/;
	push @wrong, "$there instead of $wanted" if defined $wanted && $there ne $wanted;
	my $trouble = is_usable($node, $kind);
	push @wrong, $trouble if $trouble ne '';
	is(join("\n", @wrong), '', "$kind, $name: " . ($there eq '1' ? 'committed' : 'not committed'));
	return;
}

# It dies there for the times-th time since the COMMIT.
sub dies_at
{
	my ($kind, $place, $times, $wanted) = @_;

	$n++;
	$session->do('BEGIN; ' . transaction($kind, $n));
	order_death($place, $times);
	check_end($kind, "$place, $times", $session->do('COMMIT'), $wanted);
	return;
}

# It dies while the transaction waits to be applied; the next one at the place.
sub successor_dies_at
{
	my ($kind, $place, $apply) = @_;
	my $holder = KalamClient->new($node->connstr('postgres'));
	my $stop = $apply ? 'before_apply=wait' : 'commit_stored=error,before_drop=wait';

	$n++;
	$holder->do('SELECT pg_advisory_lock(1)');
	$session->do('BEGIN; ' . transaction($kind, $n));
	$session->send("SET kalam.stop_at = '$stop'; COMMIT");
	wait_until(10, sub {
		$holder->value(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory')) });
	order_death($place, 1);
	kill_storage($node);
	# what committed is applied before anybody is served, the rest by the session
	wait_until(5, sub { !-e $order }) if $apply;
	$holder->do('SELECT pg_advisory_unlock(1)');
	my ($state, $text) = $session->answer;
	is($state, $apply ? '' : 'XX000', "the session has its answer");
	check_end($kind, ($apply ? 'applied' : 'dropped') . " by a successor, $place",
		$apply ? ($state, $text) : ('08006', $text), $apply);
	$session->do('RESET kalam.stop_at');
	$holder->quit;
	return;
}

my @write = ('before_write', 'after_write', 'after_publish');
my @load = ('before_entry', 'after_entry', 'between_families', 'after_ingest', 'after_batch', 'before_unlink', 'after_unlink');

foreach my $kind (kinds())
{
	my $two_phase = grep { $_ eq $kind } kinds('two_phase');
	my $bulk = grep { $_ eq $kind } kinds('bulk');

	# once prepared, what dies while it is applied changes nothing
	dies_at($kind, $_, 1, $_ eq 'before_write' ? 0 : 1) foreach @write;
	dies_at($kind, $_, 2, 1) foreach $two_phase ? @write : ();
	next if !$bulk || $kind =~ /ddl/;
	dies_at($kind, $_, 1, $_ eq 'before_entry' ? 0 : 1) foreach @load;
}
successor_dies_at('mixed', $_, 1) foreach @write;
successor_dies_at('mixed', 'after_write', 0);
foreach my $place (@write, 'after_ingest', 'before_unlink')
{
	successor_dies_at('mixed_bulk', $place, 1);
	successor_dies_at('mixed_bulk', $place, 0) if $place ne 'after_ingest';
}

# ---- others who wait for its rows ----

# The storage process dies when the change is on disk and nobody knows of it;
# who waits for the row must not write over what it has read before.
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE sums (id int, n int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE TABLE heap (n int);));
my $waiter = KalamClient->new($node->connstr('postgres'));

foreach my $two_phase (0, 1)
{
	foreach my $level ('READ COMMITTED', 'REPEATABLE READ')
	{
		foreach my $place ('before_write', 'after_write')
		{
			my $committed = 0;

			$node->safe_psql('postgres', 'DELETE FROM sums; INSERT INTO sums VALUES (1, 0)');
			$session->do('BEGIN; UPDATE sums SET n = n + 1' . ($two_phase ? '; INSERT INTO heap VALUES (1)' : ''));
			$waiter->do("BEGIN ISOLATION LEVEL $level");
			my $pid = $waiter->backend;
			$waiter->send('UPDATE sums SET n = n + 1; COMMIT');
			ok(wait_until(10, sub {
				$session->value("SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") }), 'somebody waits');
			order_death($place, $two_phase ? 2 : 1);
			my ($state, $text) = $session->do('COMMIT');
			$committed++ if $state eq '';
			my ($other, $said) = $waiter->answer;
			$committed++ if $other eq '';
			is($node->safe_psql('postgres', 'SELECT n FROM sums'), $committed,
				"$level, $place, " . ($two_phase ? 'with heap' : 'alone') . ": no update is lost ($state, $other)");
			ok($other eq '' || $other eq '40001', 'who waited has its row, or 40001') or diag($said);
			is(-e $order ? 'there' : 'gone', 'gone', 'the process came there');
		}
	}
}

$waiter->quit;
$session->quit;
$node->stop;
is(join(', ', processes_in($dir)), '', 'nothing is left behind');
is(join(', ', glob("$dir/kalam/bulk/*")), '', 'nor files of large transactions');
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
