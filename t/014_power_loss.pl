# The machine loses power in the midst of writes: each file keeps what was
# synced, and of the rest what chance leaves.  Acknowledged commits are there,
# transactions over heap and kalam tables in both or in neither, commits with
# synchronous_commit = off whole or not at all and without gaps, and no number
# of a sequence is given out twice.
use strict;
use warnings;
use FindBin;
use IPC::SysV 'IPC_RMID';
use lib $FindBin::RealBin;
use FaultyDisk;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{KALAM_POWER_SECONDS} || 30;
my $seed = $ENV{KALAM_SEED} || time() ^ $$;
srand($seed);
note("KALAM_SEED=$seed");

my $node = new_server('main', initdb => [ '--no-sync', '--wal-segsize=1' ], no_start => 1,
	conf => "fsync = on\nfull_page_writes = on\nwal_sync_method = fdatasync\nsynchronous_commit = on\n"
	  . "min_wal_size = '2MB'\nmax_wal_size = '4MB'\ncheckpoint_timeout = 30s\nautovacuum = off\n"
	  . "shared_buffers = '1MB'\nbgwriter_delay = '10ms'\nwal_writer_delay = '10s'\nkalam.write_buffer_size = '2MB'\nkalam.bulk_load_threshold = '64kB'\n");
my $disk = FaultyDisk->new($node) or plan skip_all => 'no compiler';
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION kalam_fdw;
	CREATE SEQUENCE s;
	CREATE TABLE h (w int, n int);
	CREATE FOREIGN TABLE k (w int, n int, v text) SERVER kalam OPTIONS (primary_key 'w, n');
	CREATE FOREIGN TABLE ids (id bigint, w int, n int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE TABLE ha (w int, n int, part int);
	CREATE FOREIGN TABLE a (w int, n int, part int) SERVER kalam OPTIONS (primary_key 'w, n, part');
	CREATE FOREIGN TABLE big (w int, n int, part int, v text) SERVER kalam OPTIONS (primary_key 'w, n, part')));
$node->stop;

# What the writers do; W is the number of the writer, N that of the transaction.
my %work = (
	1 => q(BEGIN; INSERT INTO h VALUES (W, N); INSERT INTO k VALUES (W, N, repeat('x', 300)); COMMIT),
	2 => q(BEGIN; INSERT INTO k VALUES (W, N, 'x'); INSERT INTO h VALUES (W, N); UPDATE k SET v = 'y' WHERE w = W AND n = N; COMMIT),
	3 => q(INSERT INTO ids SELECT nextval('s'), W, N RETURNING id),
	4 => q(SET synchronous_commit = off; BEGIN; INSERT INTO a SELECT W, N, g FROM generate_series(1, 5) g; COMMIT),
	5 => q(SET synchronous_commit = off; BEGIN; INSERT INTO a SELECT W, N, g FROM generate_series(1, 5) g; INSERT INTO ha SELECT W, N, g FROM generate_series(1, 5) g; COMMIT),
	6 => q(INSERT INTO big SELECT W, N, g, repeat(md5(g::text), 4) FROM generate_series(1, 1000) g),
	7 => q(BEGIN; INSERT INTO big SELECT W, N, g, repeat(md5(g::text), 4) FROM generate_series(1, 1000) g; INSERT INTO h VALUES (W, N); COMMIT),
	# takes numbers of the sequence, and syncs nothing
	9 => q(BEGIN; SELECT nextval('s') FROM generate_series(1, 3); SELECT pg_sleep(0.01); ROLLBACK),
	8 => q(SELECT pg_sleep(0.1); CHECKPOINT; SELECT kalam.flush('k')),
);

# In a process of its own until the server is gone; notes what was acknowledged.
sub writer
{
	my ($w, $first, $file) = @_;
	my $pid = fork();

	return $pid if $pid;
	my $s = KalamTest::Session->new($node);
	open(my $notes, '>', $file) or die;
	$notes->autoflush(1);
	for (my $n = $first; ; $n++)
	{
		(my $sql = $work{$w}) =~ s/\bW\b/$w/g;
		$sql =~ s/\bN\b/$n/g;
		my ($ok, $out, $err) = eval { $s->do($sql) };
		last if !$ok || $err =~ /ERROR|FATAL/;
		my ($id) = $w == 3 ? $out =~ /^(\d+)$/m : 0;
		print $notes "$n $id\n";
	}
	require POSIX;
	POSIX::_exit(0);
}

# Nobody may have reaped it yet, and its segment of shared memory is left.
sub forget_postmaster
{
	my $file = $node->data_dir . '/postmaster.pid';
	my @lines = split /\n/, slurp_file($file);

	shmctl($1, IPC_RMID, 0) if ($lines[6] || '') =~ /^ *\d+ +(\d+)$/;
	unlink($file, "$lines[4]/.s.PGSQL.$lines[3].lock");
	$node->{_pid} = undef;
}

my %acked;						# of each writer, the numbers
my %ids;
my %first = map { $_ => 1 } keys %work;
my $tmp = PostgreSQL::Test::Utils::tempdir();
my ($rounds, $changed, $done) = (0, 0, 0);
my @wrong;
my $end = time() + $seconds;

sub rows
{
	my %rows;

	$rows{$_}++ foreach split /\n/, $node->safe_psql('postgres', $_[0]);
	return \%rows;
}

# All that was ever acknowledged must be there, now.
sub check
{
	my $round = "round $rounds (seed $seed)";
	my $h = rows('SELECT w, n FROM h');
	my $k = rows('SELECT w, n FROM k');
	my $big = rows('SELECT w, n FROM big');
	my $asynchronous = rows('SELECT w, n FROM a');
	my $ha = rows('SELECT w, n FROM ha');
	my $ids = rows('SELECT w, n FROM ids');

	foreach my $w (1, 2)
	{
		push @wrong, "$round: $w|$_ is lost" foreach grep { !$k->{"$w|$_"} } @{ $acked{$w} };
	}
	push @wrong, "$round: $_ is in one table only"
	  foreach grep { ($h->{$_} || 0) != (/^7/ ? ($big->{$_} || 0) / 1000 : ($k->{$_} || 0)) } keys %{ { %$h, %$k } };
	push @wrong, "$round: id of 3|$_ is lost" foreach grep { !$ids->{"3|$_"} } @{ $acked{3} };
	push @wrong, "$round: $_ is torn" foreach grep { $asynchronous->{$_} != 5 } keys %$asynchronous;
	push @wrong, "$round: $_ is torn" foreach grep { $big->{$_} != 1000 } keys %$big;
	push @wrong, "$round: asynchronous $_ is in one table only"
	  foreach grep { ($asynchronous->{$_} || 0) != ($ha->{$_} || 0) } grep { /^5/ } keys %{ { %$asynchronous, %$ha } };
	foreach my $w (6, 7)
	{
		push @wrong, "$round: large $w|$_ is lost" foreach grep { !$big->{"$w|$_"} } @{ $acked{$w} };
	}
	foreach my $w (4, 5)
	{
		my @there = sort { $a <=> $b } map { /^$w\|(\d+)/ ? $1 : () } keys %$asynchronous;
		my %is = map { $_ => 1 } @there;
		my $last = @there ? $there[-1] : 0;

		# of this round: a beginning; of those before: what was there then
		push @wrong, "$round: asynchronous $w|$_ is missing before $w|$last"
		  foreach grep { $_ < $last && !$is{$_} } @{ $acked{$w} };
		$acked{$w} = \@there;
	}
}

while (time() < $end)
{
	my %env = $disk->begin_round;

	$rounds++;
	is($disk->start(%env), 1, "round $rounds: the server starts") or last;
	push @wrong, "round $rounds: the store does not open" if !wait_until(10, sub { runs($node, 'SELECT count(*) FROM k') });
	last if @wrong;
	check();
	$first{$_} += 100000 foreach keys %first;
	# (if all wrote, somebody would always sync what others did; of these none syncs Postgres' WAL)
	my @busy = rand() < 0.3 ? (3, 4, 6, 9) : grep { rand() < 0.6 } sort keys %work;
	my @writers = map { writer($_, $first{$_}, "$tmp/w$_") } @busy;
	sleep(0.3 + rand(1.2));

	# all processes at once
	my $postmaster = KalamTest::postmaster_pid($node);
	my @processes = KalamTest::process_list();
	my %child = map { $_->[0] => 1 } grep { $_->[2] == $postmaster } @processes;
	kill('KILL', $postmaster, keys %child, map { $_->[0] } grep { $child{ $_->[2] } } @processes);
	waitpid($_, 0) foreach @writers;
	wait_until(20, sub { !processes_in($node->data_dir) }) or die;
	forget_postmaster();
	foreach my $w (@busy)
	{
		foreach my $line (split /\n/, slurp_file("$tmp/w$w"))
		{
			my ($n, $id) = split / /, $line;

			$done++;
			push @{ $acked{$w} }, $n;
			push @wrong, "round $rounds: id $id was given out twice" if $id && $ids{$id}++;
		}
	}
	$changed += $disk->lose_power;
}
$node->start if !defined $node->{_pid};
ok(wait_until(10, sub { runs($node, 'SELECT count(*) FROM k') }), 'the store opens at last');
check() if !@wrong;
is(join("\n", splice(@wrong, 0, 20)), '', 'what was promised is there');
note("$rounds rounds, $done transactions, $changed files lost something");
cmp_ok($rounds, '>=', 3, 'several rounds');
cmp_ok($done, '>', 20 * $rounds, 'with transactions in each');
cmp_ok($changed, '>', $rounds, 'and files that had not been synced');
ok(slurp_file($node->logfile) !~ /ACCEPT_LOSS|PANIC/, 'no recovery was refused');
$node->stop;
done_testing();
