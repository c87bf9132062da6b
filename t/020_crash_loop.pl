# Clients that know what they have written, while the storage process, random
# processes of the server, or all of it are killed or shut down at random
# moments.  In the end every table holds exactly what its clients were told.
#
# KALAM_TEST_SEED repeats the choices of a run, KALAM_TEST_SECONDS lets it last.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $seed = $ENV{KALAM_TEST_SEED} || int(time() * 1000) % 1_000_000;
my $seconds = $ENV{KALAM_TEST_SECONDS} || 40;
my $clients = 6;
note("KALAM_TEST_SEED=$seed KALAM_TEST_SECONDS=$seconds");

# small buffers and few families, so that files come and go, and are shared
my $families = $seed % 2 ? 200 : 12;
my $node = new_server('main', conf =>
	  "deadlock_timeout = '100ms'\nkalam.write_buffer_size = 4MB\nkalam.max_families = $families\nmax_prepared_transactions = 20\n");
my $dir = $node->data_dir;
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $end = time() + $seconds;

# w is the client, n the number of its transaction.  pair is in both kinds of
# tables, the rest in one kind.
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE k_done (w int, n int) SERVER kalam OPTIONS (primary_key 'w, n');
	CREATE TABLE h_done (w int, n int, PRIMARY KEY (w, n));
	CREATE FOREIGN TABLE k_pair (w int, id int, v int) SERVER kalam OPTIONS (primary_key 'w, id');
	CREATE TABLE h_pair (w int, id int, v int, PRIMARY KEY (w, id));
	CREATE FOREIGN TABLE k_only (w int, id int, v int, pad text) SERVER kalam OPTIONS (primary_key 'id, w');
	CREATE FOREIGN TABLE k_free (w int, id int) SERVER kalam;
	CREATE FOREIGN TABLE k_big (w int, n int, g int, pad text) SERVER kalam OPTIONS (primary_key 'w, n, g');
	CREATE TABLE h_big (w int, n int);
	CREATE FOREIGN TABLE k_sum (id int, n int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE k_both (id int, n int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE TABLE h_both (id int PRIMARY KEY, n int);
	INSERT INTO k_sum VALUES (1, 0), (2, 0); INSERT INTO k_both VALUES (1, 0); INSERT INTO h_both VALUES (1, 0);)
  . join('', map { qq(
	CREATE FOREIGN TABLE k_cut_$_ (n int) SERVER kalam OPTIONS (primary_key 'n');
	CREATE TABLE h_cut_$_ (n int);) } 1 .. $clients));

# ---- a client ----

# Each gives: does it write heap tables too?  its statements, and what they
# change in what the client knows.
my @kinds = (
	sub {
		my ($me, $w, $n) = @_;
		return (1, "INSERT INTO h_pair VALUES ($w, $n, $n); INSERT INTO k_pair VALUES ($w, $n, $n)",
			sub { $me->{pair}{$n} = $n });
	},
	sub {
		my ($me, $w, $n, $m) = @_;
		return (1, "UPDATE k_pair SET v = $n WHERE w = $w AND id = $m; UPDATE h_pair SET v = $n WHERE w = $w AND id = $m",
			sub { $me->{pair}{$m} = $n if exists $me->{pair}{$m} });
	},
	sub {
		my ($me, $w, $n, $m) = @_;
		return (1, "DELETE FROM k_pair WHERE w = $w AND id = $m; DELETE FROM h_pair WHERE w = $w AND id = $m",
			sub { delete $me->{pair}{$m} });
	},
	sub {
		my ($me, $w, $n, $m) = @_;
		return (1, "SAVEPOINT a; INSERT INTO k_pair VALUES ($w, $n, 0), ($w, -$n, 0); UPDATE k_pair SET v = 0 WHERE w = $w;"
			  . " ROLLBACK TO a; INSERT INTO h_pair VALUES ($w, $n, $m); SAVEPOINT b; INSERT INTO k_pair VALUES ($w, $n, $m); RELEASE b",
			sub { $me->{pair}{$n} = $m });
	},
	sub {
		my ($me, $w, $n) = @_;
		return (0, "INSERT INTO k_only VALUES ($w, $n, $n); INSERT INTO k_free VALUES ($w, $n)",
			sub { $me->{only}{$n} = $n; $me->{free}{$n} = $n });
	},
	sub {
		my ($me, $w, $n) = @_;
		return (1, "INSERT INTO k_only VALUES ($w, $n, $n, repeat('x', 300000)); INSERT INTO h_pair VALUES ($w, $n, $n); INSERT INTO k_pair VALUES ($w, $n, $n)",
			sub { $me->{only}{$n} = $n; $me->{pair}{$n} = $n });
	},
	sub {
		my ($me, $w, $n, $m) = @_;
		return (0, "UPDATE k_only SET v = $n, id = -$n WHERE w = $w AND id = $m; DELETE FROM k_free WHERE w = $w AND id = $m",
			sub {
				$me->{only}{ -$n } = $n if defined delete $me->{only}{$m};
				delete $me->{free}{$m};
			});
	},
	sub {
		my ($me, $w, $n) = @_;
		return (0, "INSERT INTO k_only VALUES ($w, $n, $n, repeat('x', 300000)); DELETE FROM k_only WHERE w = $w AND id < -$n / 2",
			sub { $me->{only}{$n} = $n; delete @{ $me->{only} }{ grep { $_ < -int($n / 2) } keys %{ $me->{only} } } });
	},
	sub {
		my ($me, $w, $n) = @_;
		my $two_phase = $n % 2;
		return ($two_phase, "SET LOCAL kalam.bulk_load_threshold = 64; INSERT INTO k_free VALUES ($w, $n);"
			  . " INSERT INTO k_big SELECT $w, $n, g, repeat(md5(g::text), 40) FROM generate_series(1, 100) g"
			  . ($two_phase ? "; INSERT INTO h_big VALUES ($w, $n)" : ''),
			sub { $me->{free}{$n} = $n; $me->{big}{$n} = 100; $me->{heap_big}{$n} = 1 if $two_phase });
	},
	sub {
		my ($me, $w, $n) = @_;
		my $drop = $me->{made} ? "DROP FOREIGN TABLE made_${w}_$me->{made}; " : '';
		return (1, "${drop}CREATE FOREIGN TABLE made_${w}_$n (n int) SERVER kalam; INSERT INTO made_${w}_$n VALUES ($n);"
			  . " TRUNCATE k_cut_$w, h_cut_$w; INSERT INTO k_cut_$w VALUES ($n); INSERT INTO h_cut_$w VALUES ($n)",
			sub { $me->{made} = $n });
	});

sub client
{
	my ($w) = @_;
	my $me = { pair => {}, only => {}, free => {}, big => {}, heap_big => {}, made => 0, both => 0, one => 0, states => {} };
	my $n = 0;
	my $unknown;				# what the last transaction did, if it did
	my $session;

	srand($seed + $w);
	while (time() < $end || $unknown)
	{
		if (!$session || $session->lost)
		{
			# whoever of the old server still ran has ended by then
			sleep(0.5);
			$session->quit if $session;
			$session = KalamClient->new($node->connstr('postgres'));
			$session->do('SELECT 1');
			next;
		}
		if ($unknown)
		{
			my ($two_phase, $effect, $end_prepared) = @$unknown;

			# prepared it waits for us, whatever has happened since
			if ($end_prepared)
			{
				my $waits = $session->value("SELECT count(*) FROM pg_prepared_xacts WHERE gid = '$w.$n'");

				next if !defined $waits;
				$me->{states}{'found prepared'}++ if $waits;
				next if $waits && ($session->do($end_prepared))[0] ne '';
			}
			my $there = $session->value("SELECT count(*) FROM k_done WHERE w = $w AND n = $n");
			my $heap = $session->value("SELECT count(*) FROM h_done WHERE w = $w AND n = $n");

			next if !defined $there || !defined $heap;
			$me->{torn}{$n} = "$heap $there" if $two_phase && $heap ne $there;
			$effect->() if $there;
			$me->{states}{ $there ? 'lost, was committed' : 'lost, was not' }++;
			$me->{how}{$n} .= $there ? ', seen' : ', not seen';
			$unknown = undef;
			next;
		}
		my @ids = (keys %{ $me->{pair} }, keys %{ $me->{only} });
		my $m = @ids ? $ids[ rand(@ids) ] : 0;
		$n++;
		my ($two_phase, $sql, $what) = $kinds[ rand(@kinds) ]->($me, $w, $n, $m);
		my $sum = 1 + int(rand(2));
		my $effect = sub { $what->(); $two_phase ? $me->{both}++ : $me->{one}++; $me->{done} = $n };

		$sql .= "; INSERT INTO k_done VALUES ($w, $n)";
		$sql .= "; INSERT INTO h_done VALUES ($w, $n); UPDATE k_both SET n = n + 1; UPDATE h_both SET n = n + 1" if $two_phase;
		$sql .= "; UPDATE k_sum SET n = n + 1 WHERE id = $sum" if !$two_phase;
		my ($state, $text) = $session->do("BEGIN; $sql");
		# (what a savepoint has undone does not count)
		$state = '' if $state =~ /^\d/ && $sql =~ /ROLLBACK TO/ && ($session->do('SELECT 1'))[0] eq '';
		my $end_prepared = rand() < 0.15 ? (rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$w.$n'" : '';
		if ($state eq '' && $end_prepared)
		{
			($state, $text) = $session->do("PREPARE TRANSACTION '$w.$n'");
			if ($state eq '')
			{
				$me->{states}{prepared}++;
				($state, $text) = $session->do($end_prepared);
				# (an error leaves it prepared)
				$state = $end_prepared =~ /^ROLLBACK/ ? 'rolled back' : '' if $state eq '';
				$state = 'lost' if $state =~ /^\d/;
			}
		}
		elsif ($state eq '') { ($state, $text) = $session->do('COMMIT') }
		elsif ($state =~ /^\d/) { $session->do('ROLLBACK') }
		# (else it says nothing if all is well)
		$me->{strange} = "$n: $text" if $state eq '' && $text ne '' && $text !~ /could not (?:follow|apply it) yet/;
		$me->{how}{$n} = ($end_prepared || 'COMMIT') . ": $state at " . time();
		if ($state eq '') { $effect->(); $me->{states}{committed}++ }
		elsif ($state =~ /^(?:lost|08007)$/) { $unknown = [ $two_phase, $effect, $end_prepared ] }
		else
		{
			$me->{states}{$state}++;
			next if $state eq 'rolled back';
			$me->{strange} = $text if $state !~ /^(?:08006|40001|40P01|57P03)$/;
			return $text if $state eq 'hangs';
		}
	}
	$session->quit;

	# what should be there, as its queries say it
	open(my $file, '>', "$tmp/$w") or die;
	foreach my $name ('pair', 'only', 'free', 'big', 'heap_big', 'states', 'torn')
	{
		print $file "$name|$_|$me->{$name}{$_}\n" foreach sort keys %{ $me->{$name} || {} };
	}
	print $file "how $_ was $me->{how}{$_}\n" foreach sort { $a <=> $b } keys %{ $me->{how} };
	print $file "$_|" . ($me->{$_} || 0) . "\n" foreach 'made', 'both', 'one';
	print $file "strange|$me->{strange}\n" if $me->{strange};
	close($file);
	return 1;
}

# ---- who kills ----

sub start_again
{
	my $postmaster = KalamTest::postmaster_pid($node) || 0;

	# (a process that init has not collected yet still has its number)
	wait_until(20, sub { !processes_in($dir) && !($postmaster && kill(0, $postmaster)) })
	  or die 'processes are left: ' . join(', ', processes_in($dir));
	$node->{_pid} = undef;
	$node->start;
	return;
}

# One that can be killed without keeping the server from recovering.
sub random_child
{
	my $postmaster = KalamTest::postmaster_pid($node) || return 0;
	my @pids = grep { KalamTest::slurp("/proc/$_/cmdline") !~ /startup|^\S+postgres\0/ } children_of($postmaster);

	return @pids ? $pids[ rand(@pids) ] : 0;
}

my @kills = (
	[ 'storage', 40, sub { kill_storage($node, ('KILL', 'KILL', 'SEGV', 'TERM')[ rand(4) ]) } ],
	[ 'storage twice', 10, sub { my $old = kill_storage($node); wait_until(2, sub { my $p = storage_pid($node); $p && $p != $old }) && sleep(rand(0.1)); kill_storage($node) } ],
	[ 'child', 12, sub { my $pid = random_child(); kill('KILL', $pid) if $pid } ],
	[ 'supervisor', 8, sub { my $pid = supervisor_pid($node); kill(rand() < 0.5 ? 'KILL' : 'TERM', $pid) if $pid } ],
	[ 'postmaster', 10, sub { kill('KILL', KalamTest::postmaster_pid($node) || return); start_again() } ],
	[ 'storage and postmaster', 5, sub { kill('KILL', grep { $_ } storage_pid($node), KalamTest::postmaster_pid($node)); start_again() } ],
	[ 'fast', 8, sub { $node->stop('fast'); $node->start } ],
	[ 'immediate', 7, sub { $node->stop('immediate'); start_again() } ]);

my @pids = map { my $w = $_; KalamClient::spawn(sub { client($w) eq '1' }) } 1 .. $clients;
my %count;

srand($seed);
while (time() < $end)
{
	my $dice = rand(100);

	sleep(0.3 + rand(1.5));
	last if time() > $end;
	start_again() if !KalamTest::alive(KalamTest::postmaster_pid($node) || 0);
	foreach my $kill (@kills)
	{
		my ($name, $weight, $code) = @$kill;

		$dice -= $weight;
		next if $dice >= 0;
		$count{$name}++;
		$code->();
		last;
	}
}
start_again() if !KalamTest::alive(KalamTest::postmaster_pid($node) || 0);
note('killed: ' . join(', ', map { "$_ $count{$_}" } sort keys %count));
my $failed = 0;
foreach my $pid (@pids)
{
	waitpid($pid, 0);
	$failed++ if $? != 0;
}
is($failed, 0, 'no client hangs');

# ---- what is there ----

sub compare
{
	my ($what) = @_;
	my ($both, $one, $wrong) = (0, 0, '');
	my %states;

	foreach my $w (1 .. $clients)
	{
		my %told;
		my %seen;
		my %queries = (
			pair => "SELECT id, v FROM k_pair WHERE w = $w",
			heap_pair => "SELECT id, v FROM h_pair WHERE w = $w",
			only => "SELECT id, v FROM k_only WHERE w = $w",
			free => "SELECT id, id FROM k_free WHERE w = $w",
			big => "SELECT n, count(*) FROM k_big WHERE w = $w GROUP BY n",
			heap_big => "SELECT n, 1 FROM h_big WHERE w = $w");

		foreach my $line (split /\n/, slurp_file("$tmp/$w"))
		{
			my ($name, $rest) = split /\|/, $line, 2;

			if ($name eq 'both') { $both += $rest }
			elsif ($name eq 'one') { $one += $rest }
			elsif ($name eq 'made') { $told{made} = $rest }
			elsif ($name eq 'states') { my ($state, $times) = split /\|/, $rest; $states{$state} += $times }
			elsif ($name eq 'strange' || $name eq 'torn') { $wrong .= "client $w: $line\n" }
			elsif (defined $rest) { push @{ $told{$name} }, $rest }
		}
		$told{heap_pair} = $told{pair};
		foreach my $name (sort keys %queries)
		{
			my $is = join(' ', sort split /\n/, $node->safe_psql('postgres', $queries{$name}));
			my $should = join(' ', sort @{ $told{$name} || [] });

			next if $is eq $should;
			my %is = map { $_ => 1 } split / /, $is;
			my %should = map { $_ => 1 } split / /, $should;
			my $how = join('', map { slurp_file("$tmp/$w") =~ /^(how -?$_ was .*\n)/m ? $1 : '' }
				  map { /^-?(\d+)/ ? $1 : () } grep { !$is{$_} || !$should{$_} } keys %{ { %is, %should } });

			$wrong .= "${how}client $w, $name: not there: " . join(' ', grep { !$is{$_} } sort keys %should)
			  . '; there though not committed: ' . join(' ', grep { !$should{$_} } sort keys %is) . "\n";
		}
		my $made = $node->safe_psql('postgres', qq(
			SELECT string_agg(name, ',') FROM kalam.tables WHERE name LIKE 'made\\_$w\\_%';
			SELECT string_agg(relname, ',') FROM pg_class WHERE relname LIKE 'made\\_$w\\_%';
			SELECT string_agg(n::text, ',') FROM k_cut_$w; SELECT string_agg(n::text, ',') FROM h_cut_$w;)
			  . ($told{made} ? "SELECT n FROM made_${w}_$told{made}" : ''));
		my $should = $told{made} ? join("\n", ("made_${w}_$told{made}") x 2, ($told{made}) x 3) : "\n\n\n";
		$wrong .= "client $w, DDL: $made instead of $should\n" if $made ne $should;
	}
	my $sums = $node->safe_psql('postgres', 'SELECT (SELECT sum(n) FROM k_both), (SELECT sum(n) FROM h_both), (SELECT sum(n) FROM k_sum)');
	$wrong .= "sums are $sums instead of $both|$both|$one\n" if $sums ne "$both|$both|$one";
	is($wrong, '', "$what: exactly what was committed is there") or diag("KALAM_TEST_SEED=$seed");
	return %states;
}

my %states = compare('after it all');
note(join(', ', map { "$_: $states{$_}" } sort keys %states));
cmp_ok($states{committed}, '>', 100, 'the clients got on with their work');
wait_for_storage($node, kill_storage($node));
$node->restart;
compare('restarted');

$node->stop;
is(join(', ', processes_in($dir)), '', 'no process is left');
is(join(', ', glob("$dir/kalam/bulk/*")), '', 'nor files of large transactions');
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no leak');
done_testing();
