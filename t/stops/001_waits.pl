# Transactions of all kinds are held at a place of their commit, all at once;
# then something is killed, cancelled or shut down.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use StopTest;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_stop_server('main');
my $dir = $node->data_dir;
my $n = 0;

# Which kinds come to a place.
my %reach = (
	commit_begin => [ kinds() ],
	stream_block => [ kinds('large') ],
	commit_sent => [ kinds() ],
	commit_finished => [ kinds() ],
	commit_stored => [ kinds() ],
	before_apply => [ kinds('two_phase') ],
	before_drop => [ kinds('two_phase') ],
	commit_ended => [ kinds() ]);
my @places = qw(commit_begin stream_block commit_sent commit_finished commit_stored before_apply before_drop commit_ended);

# Each has the sessions, the one that holds them, and what it waits for.
my %actions = (
	'a backend is killed' => sub {
		my ($holder, @sessions) = @_;
		kill('KILL', $sessions[ $n % @sessions ]->backend);
	},
	'all is killed' => sub {
		my ($holder, @sessions) = @_;
		my $postmaster = KalamTest::postmaster_pid($node);

		# nobody is to learn of the others' end before its own
		kill('STOP', $postmaster);
		kill('KILL', (map { $_->backend } @sessions), $postmaster);
	},
	'storage is killed' => sub {
		my ($holder, @sessions) = @_;
		my $old = kill_storage($node);
		wait_for_storage($node, $old);
		$holder->do('SELECT pg_advisory_unlock(1)');
	},
	'storage is just killed' => sub {
		my ($holder, @sessions) = @_;
		kill_storage($node);
		$holder->do('SELECT pg_advisory_unlock(1)');
	},
	'terminated' => sub {
		my ($holder, @sessions) = @_;
		$holder->do('SELECT pg_terminate_backend(' . $_->backend . ')') foreach @sessions;
		$holder->do('SELECT pg_advisory_unlock(1)');
	},
	'cancelled' => sub {
		my ($holder, @sessions) = @_;
		$holder->do('SELECT pg_cancel_backend(' . $_->backend . ')') foreach @sessions;
		$holder->do('SELECT pg_advisory_unlock(1)');
	},
	'fast shutdown' => sub { $node->stop('fast') },
	'fast shutdown without storage' => sub {
		my $supervisor = supervisor_pid($node);
		my $start = time();

		# it is to learn of both at once
		kill('STOP', $supervisor);
		kill_storage($node);
		kill('INT', KalamTest::postmaster_pid($node));
		sleep(0.1);
		kill('CONT', $supervisor);
		wait_until(60, sub { !processes_in($dir) });
		return time() - $start < 10 ? '' : 'it takes too long';
	},
	'immediate shutdown' => sub { $node->stop('immediate') });

# What must have become of it: 1, 0, or undef if either may be.
sub expected
{
	my ($two_phase, $place, $action) = @_;
	my $dies = $action =~ /^(?:a backend|all is|immediate)/;

	# (a shutdown may end the holder first, and others commit before their turn)
	return 0 if $place =~ /^(?:commit_begin|stream_block|commit_sent)$/ && $action !~ /^(?:storage|fast)/;
	return 0 if $place eq 'before_drop';
	return 1 if $place =~ /^(?:before_apply|commit_ended)$/;
	return 0 if $two_phase && $dies;
	return if $place eq 'commit_finished' && ($dies || $action =~ /storage/);
	return 1 if $place =~ /^(?:commit_finished|commit_stored)$/;
	return;
}

foreach my $place (@places)
{
	foreach my $action (sort keys %actions)
	{
		# what is on disk then matters from here on; before, the quicker one will do
		next if $action eq ($place =~ /^(?:commit_finished|commit_stored|before_)/ ? 'immediate shutdown' : 'all is killed');

		my @kinds = @{ $reach{$place} };
		my $holder = KalamClient->new($node->connstr('postgres'));
		my $other = KalamClient->new($node->connstr('postgres'));
		my @sessions = map { KalamClient->new($node->connstr('postgres')) } @kinds;
		my $stop = $place eq 'before_drop' ? 'commit_stored=error,before_drop=wait' : "$place=wait";
		my $ends = $action =~ /^(?:a backend|all is|fast|immediate)/;
		my $start = time();
		my @wrong;
		my @states;

		$n++;
		$other->do('SELECT count(*) FROM k1_kalam');
		$holder->do('SELECT pg_advisory_lock(1)');
		# (a statement that begins behind a commit in doubt waits for that)
		foreach my $i (0 .. $#kinds)
		{
			$sessions[$i]->backend;
			$sessions[$i]->do('BEGIN; ' . transaction($kinds[$i], $n));
		}
		$_->send("SET kalam.stop_at = '$stop'; COMMIT") foreach @sessions;
		push @wrong, 'not all sessions came there'
		  if !wait_until(20, sub {
			($holder->value(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory')) // 0) == @kinds });
		my $trouble = $actions{$action}->($holder, @sessions);
		push @wrong, $trouble if $trouble =~ /it takes/;

		# what the sessions were told
		@states = map { ($_->answer(40))[0] } @sessions;
		push @wrong, 'the server does not come up' if !bring_up($node, $ends);
		if ($action =~ /^(?:storage|term|canc)/)
		{
			my $count = $other->value('SELECT count(*) FROM k1_kalam');
			push @wrong, 'another session does not go on' if !defined $count;
		}
		foreach my $i (0 .. $#kinds)
		{
			my $two_phase = grep { $_ eq $kinds[$i] } kinds('two_phase');
			my $there = is_there($node, $kinds[$i], $n);
			my $wanted = expected($two_phase, $place, $action);

			push @wrong, "$kinds[$i]: $there, but its session was told '$states[$i]'" if !outcome_fits($states[$i], $there);
			push @wrong, "$kinds[$i]: $there instead of $wanted" if defined $wanted && $there ne $wanted;
		}
		$trouble = is_usable($node, @kinds);
		push @wrong, $trouble if $trouble ne '';
		is(join("\n", @wrong), '', "$place, $action");
		note(sprintf('%.1f s: %s', time() - $start, join(' ', map { $_ eq '' ? 'ok' : $_ } @states)));
		$_->quit foreach $holder, $other, @sessions;
	}
}

$node->stop;
is(join(', ', processes_in($dir)), '', 'nothing is left behind');
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
