# Loads and writers of the same keys, side by side, while the storage process is
# killed: of two who bring the same key or unique value at most one commits, and
# what was committed is there.  What transactions did to one table they did to a
# heap table without any constraint as well; what they did to the other is in the
# clients' notes.
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
my $seconds = $ENV{KALAM_TEST_SECONDS} || 15;
my $keys = 6000;
note("KALAM_TEST_SEED=$seed KALAM_TEST_SECONDS=$seconds");

my $node = new_server('main', conf => "deadlock_timeout = '50ms'\nmax_prepared_transactions = 20\n");
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $end = time() + $seconds;

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE mixed (k int, u int, who text) SERVER kalam OPTIONS (primary_key 'k', unique_u 'u', index_who 'who');
	CREATE FOREIGN TABLE one (k int, u int, who text) SERVER kalam OPTIONS (primary_key 'k', unique_u 'u');
	CREATE TABLE twin (k int, u int, who text);
	CREATE INDEX ON twin (k);
	-- each statement with a snapshot of its own
	CREATE FUNCTION gone(first int, last int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE rows text[];
	BEGIN
		WITH d AS (DELETE FROM mixed WHERE k BETWEEN first AND last RETURNING k || ':' || who AS row)
			SELECT array_agg(row) INTO rows FROM d;
		DELETE FROM twin WHERE k BETWEEN first AND last AND k || ':' || who = ANY (rows);
	END $$;
	CREATE FUNCTION moved(old int, new int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE mover text;
	BEGIN
		UPDATE mixed SET k = new WHERE k = old RETURNING who INTO mover;
		UPDATE twin SET k = new WHERE k = old AND who = mover;
	END $$;));

# ---- what clients do; each gives the keys that it has added, and those that it has deleted ----

# Runs statements up to the first error.
sub run
{
	my ($s, @statements) = @_;
	my $text;

	foreach my $sql (@statements)
	{
		(my $state, $text) = $s->do($sql);
		return ($state, $text) if $state ne '';
	}
	return ('', $text);
}

# Statements that insert so many keys from $from on, at a distance.
sub insert_range
{
	my ($table, $who, $from, $n, $step, $order) = @_;
	my $rows = "SELECT k, k, '$who' FROM generate_series($from, $from + ($n - 1) * $step, $step) k";

	return ("INSERT INTO $table $rows ORDER BY $order", $table eq 'mixed' ? "INSERT INTO twin $rows" : ());
}

sub range_keys
{
	my ($from, $n, $step) = @_;

	return map { $from + $_ * $step } 0 .. $n - 1;
}

sub load
{
	my ($s, $table, $who) = @_;
	my ($from, $n, $step) = (1 + int(rand($keys)), 20 + int(rand(100)), 1 + int(rand(3)));
	my @insert = insert_range($table, $who, $from, $n, $step, rand() < 0.5 ? 'k' : 'random()');
	my @other = insert_range($table, $who, $keys + $from, $n, $step, 'k');
	my @keys = range_keys($from, $n, $step);
	my $way = int(rand(7));
	my ($state, $text);

	if ($way == 0 && $table eq 'one')
	{
		($state, $text) = run($s, @insert);
	}
	elsif ($way <= 1)
	{
		($state, $text) = run($s, 'BEGIN', @insert, 'SELECT pg_sleep(0.02)', 'COMMIT');
	}
	elsif ($way == 2)
	{
		($state, $text) = run($s, 'BEGIN; SAVEPOINT a', @other, 'ROLLBACK TO a', @insert, 'COMMIT');
	}
	elsif ($way == 3)
	{
		($state, $text) = run($s, 'BEGIN', @insert, "SELECT count(*) FROM $table WHERE who = '$who'");
		die "a load of $n rows shows $text" if $state eq '' && $text != $n;
		($state, $text) = run($s, 'COMMIT') if $state eq '';
	}
	elsif ($way == 4)
	{
		($state, $text) = run($s, 'BEGIN', @insert, @other, 'COMMIT');
		push @keys, range_keys($keys + $from, $n, $step);
	}
	elsif ($way == 5)
	{
		($state, $text) = run($s, 'BEGIN', @insert, "SAVEPOINT a; SELECT count(*) FROM $table; ROLLBACK TO a", 'SELECT pg_sleep(0.01)', 'COMMIT');
	}
	else
	{
		($state, $text) = run($s, 'BEGIN', @insert, "PREPARE TRANSACTION '$who'");
		if ($state eq '')
		{
			my $commit = rand() < 0.8;

			($state, $text) = run($s, ($commit ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$who'");
			@keys = () if !$commit;
		}
	}
	return ($state, $text, \@keys, []);
}

sub write_some
{
	my ($s, $table, $who) = @_;
	my $k = 1 + int(rand($keys));
	my $u = rand() < 0.7 ? $k : 1 + int(rand($keys));
	my $last = $k + int(rand(600));
	my $way = int(rand(7));
	my $twin = $table eq 'mixed' ? "INSERT INTO twin VALUES ($k, $u, '$who')" : 'SELECT';
	my ($state, $text, @added, @deleted);

	if ($way <= 1)
	{
		($state, $text) = run($s, 'BEGIN', "INSERT INTO $table VALUES ($k, $u, '$who')", $twin, 'SELECT pg_sleep(0.005)', 'COMMIT');
		@added = ($k);
	}
	elsif ($way == 2)
	{
		my $next = $k + 1;

		($state, $text) = run($s, 'BEGIN', "INSERT INTO $table VALUES ($k, $k, '$who')", 'SELECT pg_sleep(0.01)',
			"INSERT INTO $table VALUES ($next, $next, '$who')",
			$table eq 'mixed' ? "INSERT INTO twin VALUES ($k, $k, '$who'), ($next, $next, '$who')" : 'SELECT',
			rand() < 0.6 ? 'COMMIT' : 'ROLLBACK; SELECT 1/0');
		@added = ($k, $next);
	}
	elsif ($way == 3)
	{
		($state, $text) = run($s, 'BEGIN', "INSERT INTO $table VALUES ($k, $u, '$who') ON CONFLICT DO NOTHING RETURNING k");
		@added = ($k) if $state eq '' && $text =~ /\d/;
		($state, $text) = run($s, @added ? $twin : 'SELECT', 'COMMIT') if $state eq '';
	}
	elsif ($way == 4 && $table eq 'mixed')
	{
		my $new = 1 + int(rand($keys));

		($state, $text) = run($s, "SELECT moved($k, $new)");
	}
	elsif ($table eq 'mixed')
	{
		($state, $text) = run($s, "SELECT gone($k, $last)");
	}
	else
	{
		($state, $text) = run($s, 'BEGIN', "DELETE FROM one WHERE k BETWEEN $k AND $last RETURNING k || ':' || who");
		@deleted = split(/\s+/, $text) if $state eq '';
		($state, $text) = run($s, 'COMMIT') if $state eq '';
	}
	return ($state, $text, \@added, \@deleted);
}

# Writes a line for each transaction: SQLSTATE, who, keys added, rows deleted.
sub client
{
	my ($w, $work, $settings) = @_;
	my $s = KalamClient->new($node->connstr('postgres'));
	my $n = 0;

	srand($seed + $w);
	open(my $notes, '>', "$tmp/$w") or die;
	while (time() < $end)
	{
		my $table = rand() < 0.5 ? 'one' : 'mixed';
		my $who = "$w." . $n++;

		$s->do($settings);
		my ($state, $text, $added, $deleted) = $work->($s, $table, $who);
		$s->do('ROLLBACK') if $state ne '';
		$state = 'own' if $state eq '22012';
		print $notes join(' ', $state || 'ok', $table, $who, join(',', @$added), join(',', @$deleted)), "\n";
		die "$state $text" if $state !~ /^(?:|own|23505|40001|40P01|08006|08007|57P03)$/;
	}
	close($notes);
	$s->quit;
	return 1;
}

my %pids;
my $load = 'SET kalam.bulk_load_threshold = 0';
my @clients = ([ \&load, $load ], [ \&load, $load ], [ \&load, 'SET kalam.bulk_load_threshold = 1' ],
	([ \&write_some, 'RESET kalam.bulk_load_threshold' ]) x 4);

foreach my $w (0 .. $#clients)
{
	$pids{ KalamClient::spawn(sub { client($w, @{ $clients[$w] }) }) } = $w;
}
foreach my $times (1, 2)
{
	sleep($seconds / 3);
	kill_storage($node);
}
my @failed;
foreach my $pid (sort keys %pids)
{
	waitpid($pid, 0);
	push @failed, $pids{$pid} if $? != 0;
}
is(join(', ', @failed), '', 'no client hangs, sees too few rows, or has an error that it cannot try again')
  or diag("KALAM_TEST_SEED=$seed");

# ---- what is there ----

# A client that found storage dead behind its PREPARE has left it.
foreach my $gid (split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts'))
{
	$node->safe_psql('postgres', "ROLLBACK PREPARED '$gid'");
}
is($node->safe_psql('postgres', q(SELECT count(*), count(DISTINCT k), count(DISTINCT u) FROM mixed WHERE k IS NOT NULL)) =~ /^(\d+)\|\1\|\1$/, 1, 'keys and values are unique');
is($node->safe_psql('postgres', q((SELECT 'not in heap', * FROM mixed EXCEPT ALL SELECT 'not in heap', * FROM twin)
	UNION ALL (SELECT 'only in heap', * FROM twin EXCEPT ALL SELECT 'only in heap', * FROM mixed) ORDER BY 2)), '', 'rows are those of heap');
is($node->safe_psql('postgres', qq(SELECT * FROM kalam.verify_indexes('$_'))), '', "indexes of $_") foreach qw(mixed one);

my (%states, %there, %doubtful, %loads);
foreach my $w (0 .. $#clients)
{
	foreach my $line (split /\n/, slurp_file("$tmp/$w"))
	{
		my ($state, $table, $who, $added, $deleted) = split / /, $line, -1;

		$states{$state}++;
		$loads{$state}++ if $w < 3;
		next if $table ne 'one';
		if ($state eq 'ok')
		{
			$there{"$_:$who"}++ foreach split /,/, $added;
			$there{$_}-- foreach split /,/, $deleted;
		}
		elsif ($state =~ /^08/)
		{
			$doubtful{"$_:$who"} = 1 foreach split /,/, $added;
			$doubtful{$_} = 1 foreach split /,/, $deleted;
		}
	}
}
$there{$_}-- foreach split /\n/, $node->safe_psql('postgres', "SELECT k || ':' || who FROM one");
is(join(', ', map { "$_: $there{$_}" } grep { $there{$_} != 0 && !$doubtful{$_} } sort keys %there), '', 'what was acknowledged is there, and nothing else')
  or diag("KALAM_TEST_SEED=$seed");
note('all: ' . join(', ', map { "$_: $states{$_}" } sort keys %states) . '; loads: ' . join(', ', map { "$_: $loads{$_}" } sort keys %loads));
cmp_ok($loads{ok} // 0, '>', 20, 'loads come in');
cmp_ok($loads{23505} // 0, '>', 20, 'loads are refused');

$node->stop;
done_testing();
