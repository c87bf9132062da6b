# A backend fails, kills the storage process, or dies with or without its
# server, at a place of its commit; alone, and at that very moment.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use StopTest;
use Test::More;

my $node = new_stop_server('main');
my $dir = $node->data_dir;
my $n = 0;
my $other = KalamClient->new($node->connstr('postgres'));

# Runs the transaction, stopped so, and checks what became of it.
sub stop_at
{
	my ($kind, $stop, $wanted) = @_;
	my $session = KalamClient->new($node->connstr('postgres'));
	my $ends = $stop =~ /kill(?:_server)?$/;
	my ($state, $text, @wrong);

	$n++;
	$session->do('BEGIN; ' . transaction($kind, $n));
	($state, $text) = $session->do("SET kalam.stop_at = '$stop'; COMMIT");
	push @wrong, 'the server does not come up' if !bring_up($node, $ends);
	if ($ends)
	{
		$other->quit;
		$other = KalamClient->new($node->connstr('postgres'));
	}
	push @wrong, 'another session does not go on' if !defined $other->value('SELECT count(*) FROM k1_kalam');

	my $there = is_there($node, $kind, $n);
	push @wrong, "$there, but the session was told '$state': $text" if !outcome_fits($state, $there);
	push @wrong, "$there instead of $wanted" if defined $wanted && $there ne $wanted;
	push @wrong, 'the session is gone' if $state eq 'lost' && !$ends;
	if (!$session->lost)
	{
		($state, $text) = $session->do("RESET kalam.stop_at; UPDATE ku_$kind SET n = n");
		push @wrong, "the session does not go on: $text" if $state ne '';
	}
	my $trouble = is_usable($node, $kind);
	push @wrong, $trouble if $trouble ne '';
	is(join("\n", @wrong), '', "$kind, $stop: " . ($there eq '1' ? 'committed' : 'not committed'));
	$session->quit;
	return;
}

my @early = qw(commit_begin commit_sent);

foreach my $kind (grep { $_ ne 'ddl' } kinds())
{
	my $two_phase = grep { $_ eq $kind } kinds('two_phase');
	my $large = grep { $_ eq $kind } kinds('large');

	# errors are for where PostgreSQL can raise some
	stop_at($kind, "$_=error", 0) foreach @early;
	stop_at($kind, 'stream_block=error', 0) if $large;
	stop_at($kind, 'commit_stored=error', 0) if $two_phase;

	next if $kind =~ /ddl/;		# (001_waits.pl has the same deaths)

	stop_at($kind, "$_=kill_storage", 0) foreach @early;
	stop_at($kind, 'stream_block=kill_storage', 0) if $large;
	stop_at($kind, 'commit_finished=kill_storage');
	stop_at($kind, "$_=kill_storage", 1) foreach 'commit_stored', 'commit_ended';
	if ($two_phase)
	{
		stop_at($kind, 'before_apply=kill_storage', 1);
		stop_at($kind, 'commit_stored=kill_storage,before_apply=kill_storage', 1);
		stop_at($kind, 'commit_stored=error,before_drop=kill_storage', 0);
		stop_at($kind, 'commit_finished=kill_storage,before_apply=kill_storage');
	}
}

# the rest is the same for all kinds when it waits: 001_waits.pl
foreach my $action ('kill', 'kill_server')
{
	stop_at('mixed', "commit_finished=$action", 0);
	stop_at('mixed', "commit_stored=$action", 0);
	stop_at('mixed', "before_apply=$action", 1);
	stop_at('mixed', "commit_ended=$action", 1);
	stop_at('bulk', "commit_stored=$action", 1);
	stop_at('mixed_bulk', "commit_stored=kill_storage,before_apply=$action", 1);
	stop_at('mixed_bulk', "commit_stored=error,before_drop=$action", 0);
}

$other->quit;
$node->stop;
is(join(', ', processes_in($dir)), '', 'nothing is left behind');
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
