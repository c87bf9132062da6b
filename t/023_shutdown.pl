# Every way in which a server or a session ends, while clients write, read, copy
# and wait: it ends soon, leaves no process behind, starts again at once, and
# what was acknowledged is there.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main');
my $dir = $node->data_dir;
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $round = 0;

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE k (round int, w int, n int) SERVER kalam OPTIONS (primary_key 'round, w, n');
	CREATE TABLE h (round int, w int, n int);
	CREATE FOREIGN TABLE one (id int, n int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE copied (n int, v text) SERVER kalam OPTIONS (primary_key 'n');
	CREATE FOREIGN TABLE big (n int, v text) SERVER kalam OPTIONS (primary_key 'n');
	INSERT INTO one VALUES (1, 0), (2, 0);
	INSERT INTO big SELECT g, repeat('x', 100) FROM generate_series(1, 200000) g;));

# Writes rows until its session is gone, or for so many seconds.
sub writer
{
	my ($w, $seconds) = @_;
	my $s = KalamClient->new($node->connstr('postgres'));
	my $end = time() + $seconds;
	my $n = 0;

	open(my $notes, '>', "$tmp/$round.$w") or die;
	while (time() < $end)
	{
		$n++;
		my $heap = $w % 2 ? "; INSERT INTO h VALUES ($round, $w, $n)" : '';
		my ($state, $text) = $s->do("BEGIN; INSERT INTO k VALUES ($round, $w, $n)$heap; UPDATE one SET n = n + 1 WHERE id = 1; COMMIT");
		print $notes "$n ", $state || 'ok', "\n";
		last if $state eq 'lost' || $state eq 'hangs';
	}
	close($notes);
	$s->quit;
	return 1;
}

# Load of all kinds; gives the sessions, by name, and the writers.
sub load
{
	my ($seconds) = @_;
	my %s = map { $_ => KalamClient->new($node->connstr('postgres')) } qw(copy scan idle waiter insert);

	$round++;
	$_->backend foreach values %s;
	my @writers = map { my $w = $_; KalamClient::spawn(sub { writer($w, $seconds) }) } 1 .. 6;
	$s{idle}->do('BEGIN; UPDATE one SET n = n + 1 WHERE id = 2; SELECT count(*) FROM big');
	$s{waiter}->send('UPDATE one SET n = n + 1 WHERE id = 2');
	$s{copy}->send(q(COPY copied FROM PROGRAM 'seq -f "%.0f	x" 1 50000000'));
	$s{scan}->send('SELECT count(*) FROM big a JOIN LATERAL (SELECT n FROM big b WHERE b.n >= a.n ORDER BY n LIMIT 20) x ON true');
	$s{insert}->send("INSERT INTO copied SELECT g, 'x' FROM generate_series(60000000, 70000000) g");
	wait_until(20, sub { ($node->safe_psql('postgres', 'SELECT sum(tuples_processed) FROM pg_stat_progress_copy') || 0) > 20000 });
	sleep(0.5);
	return (\%s, @writers);
}

# What is there of a round is what its writers know.
sub check_rows
{
	my ($name) = @_;
	my ($wrong, $acknowledged) = ('', 0);

	foreach my $w (1 .. 6)
	{
		my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT n FROM k WHERE round = $round AND w = $w");
		my %heap = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT n FROM h WHERE round = $round AND w = $w");

		$wrong .= " $w is torn" if $w % 2 && join(' ', sort keys %there) ne join(' ', sort keys %heap);
		foreach my $line (split /\n/, slurp_file("$tmp/$round.$w"))
		{
			my ($n, $state) = split / /, $line;
			my $is = delete $there{$n};

			$acknowledged++ if $state eq 'ok';
			$wrong .= " $w $n hangs" if $state eq 'hangs';
			$wrong .= " $w $n $state" if $state ne 'lost' && ($state eq 'ok') != !!$is;
		}
		$wrong .= " $w has more" if %there;
	}
	is($wrong, '', "$name: what was acknowledged is there, and nothing else");
	cmp_ok($acknowledged, '>', 20, "$name: something was");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM copied'), '0', "$name: nothing of what was under way");
	is($node->safe_psql('postgres', "SET lock_timeout = '5s'; UPDATE one SET n = 0 WHERE id = 2 RETURNING n"), '0', "$name: no lock is left");
	return;
}

sub check_sessions
{
	my ($name, $sessions, $writers, $pattern) = @_;
	my @wrong;

	waitpid($_, 0) foreach @$writers;
	foreach my $who (sort keys %$sessions)
	{
		next if $who eq 'idle';
		my ($state, $text) = $sessions->{$who}->answer(20);

		push @wrong, "$who: $state $text" if $state ne 'lost' || $text !~ $pattern;
	}
	is(join("\n", @wrong), '', "$name: sessions are told");
	$_->quit foreach values %$sessions;
	return;
}

# Starts it again and times that.
sub start_again
{
	my ($name, $clean) = @_;
	my $at = -s $node->logfile;
	my $start = time();

	$node->{_pid} = undef;
	$node->start;
	ok(wait_until(10, sub { runs($node, 'SELECT count(*) FROM one') }), "$name: it starts again");
	cmp_ok(time() - $start, '<', 8, "$name: quickly");
	unlike(slurp_file($node->logfile, $at), qr/resolved pending|WARNING|ERROR|not properly shut down/, "$name: with nothing to repair") if $clean;
	return;
}

# ---- the server ends ----

foreach my $mode ('fast', 'immediate', 'kill -9')
{
	my ($sessions, @writers) = load(30);
	my $postmaster = KalamTest::postmaster_pid($node);
	my $start = time();

	if ($mode eq 'kill -9') { kill('KILL', $postmaster) }
	else { $node->stop($mode) }
	# (a process that init has not collected yet still has its number)
	ok(wait_until(15, sub { !processes_in($dir) && !kill(0, $postmaster) }), "$mode: all processes end") or diag(join(', ', processes_in($dir)));
	cmp_ok(time() - $start, '<', 10, "$mode: soon");
	check_sessions($mode, $sessions, \@writers,
		$mode eq 'fast' ? qr/FATAL:  57P01: terminating connection due to administrator command/ : qr/terminating connection|server closed the connection/);
	start_again($mode, $mode eq 'fast');
	check_rows($mode);
}

# ---- smart: sessions finish what they do, also if storage dies meanwhile ----

{
	my ($sessions, @writers) = load(3);
	my $postmaster = KalamTest::postmaster_pid($node);
	my $old;

	kill('TERM', $postmaster);
	foreach my $who ('copy', 'scan', 'insert')
	{
		# they would take their time
		kill('INT', $sessions->{$who}->backend);
		my ($state, $text) = $sessions->{$who}->answer;
		is($state, '57014', "smart: $who is cancelled") or diag($text);
	}
	$old = kill_storage($node);
	ok(wait_until(10, sub { my $pid = storage_pid($node); $pid && $pid != $old }), 'smart: another storage process is started');
	my ($state, $text) = $sessions->{idle}->do('UPDATE one SET n = n + 1 WHERE id = 2; COMMIT');
	is($state, '', 'smart: a session goes on with it') or diag($text);
	($state, $text) = $sessions->{waiter}->answer;
	like($state, qr/^(?:|08006|40001)$/, 'smart: who waits for a row too') or diag($text);
	($state, $text) = $sessions->{waiter}->do('SELECT n FROM one WHERE id = 2');
	like($text, qr/^[123]$/m, 'smart: and sees it');
	ok(alive($postmaster), 'smart: the server is there as long as they are');
	waitpid($_, 0) foreach @writers;
	$_->quit foreach values %$sessions;
	ok(wait_until(15, sub { !processes_in($dir) && !kill(0, $postmaster) }), 'smart: then all processes end') or diag(join(', ', processes_in($dir)));
	start_again('smart', 1);
	check_rows('smart');
}

# ---- sessions end ----

{
	my ($sessions, @writers) = load(30);

	$node->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()));
	ok(wait_until(10, sub {
		$node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())) eq '0' }),
		'terminated: all sessions end');
	check_sessions('terminated', $sessions, \@writers, qr/FATAL:  57P01: terminating connection due to administrator command/);
	check_rows('terminated');
}
{
	my ($sessions, @writers) = load(30);
	my $storage = storage_pid($node);
	my $start = time();

	kill('KILL', $sessions->{copy}->backend);
	check_sessions('COPY killed', $sessions, \@writers, qr/terminating connection|server closed the connection/);
	ok(wait_until(15, sub { !alive($storage) && runs($node, 'SELECT count(*) FROM one') }), 'COPY killed: the server works again');
	cmp_ok(time() - $start, '<', 10, 'COPY killed: soon');
	is(scalar(grep { /kalam_storage/ } processes_in($dir)), 1, 'COPY killed: with one storage process');
	check_rows('COPY killed');
}

$node->stop;
is(join(', ', processes_in($dir)), '', 'nothing is left behind');
is(join(', ', glob("$dir/kalam/bulk/*")), '', 'nor files of large transactions');
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no leak');
done_testing();
