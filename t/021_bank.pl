# A bank: many clients transfer money between accounts of kalam tables, and
# between kalam and heap, in all the ways that people do it, while the storage
# process is killed twice.  No snapshot shows another total, and in the end
# each account holds what its transfers add up to.
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
my $seconds = $ENV{KALAM_TEST_SECONDS} || 18;
my $accounts = 30;
note("KALAM_TEST_SEED=$seed KALAM_TEST_SECONDS=$seconds");

my $node = new_server('main', conf => "deadlock_timeout = '50ms'\n");
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $end = time() + $seconds;

# left and right are both of kalam; cash is of heap.  Every transfer notes what
# it did where its money goes.
$node->safe_psql('postgres', qq(
	CREATE FOREIGN TABLE bank_left (id int, balance int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE bank_right (id int, balance int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE purse (id int, balance int) SERVER kalam OPTIONS (primary_key 'id');
	CREATE TABLE cash (id int PRIMARY KEY, balance int);
	CREATE FOREIGN TABLE moves (w int, n int, source text, a int, target text, b int, amount int)
		SERVER kalam OPTIONS (primary_key 'w, n');
	CREATE TABLE heap_moves (w int, n int);
	INSERT INTO bank_left SELECT g, 1000 FROM generate_series(1, $accounts) g;
	INSERT INTO bank_right SELECT * FROM bank_left; INSERT INTO purse SELECT * FROM bank_left; INSERT INTO cash SELECT * FROM bank_left;));
my $total = 2 * 1000 * $accounts;

# ---- clients ----

my @banks = ('bank_left', 'bank_right');

# Each gives the level and does the body of one transfer; it returns the SQLSTATE.
my %ways = (
	relative => [ 'READ COMMITTED', sub {
		my ($s, $source, $a, $target, $b, $amount) = @_;
		return $s->do("UPDATE $source SET balance = balance - $amount WHERE id = $a; UPDATE $target SET balance = balance + $amount WHERE id = $b");
	} ],
	for_update => [ 'READ COMMITTED', sub { read_and_write(' FOR UPDATE', @_) } ],
	snapshot => [ 'REPEATABLE READ', sub { read_and_write('', @_) } ],
	one_statement => [ 'READ COMMITTED', sub {
		my ($s, $source, $a, $target, $b, $amount) = @_;
		return $s->do("WITH gone AS (UPDATE $source SET balance = balance - $amount WHERE id = $a RETURNING 1) UPDATE $target SET balance = balance + (SELECT $amount FROM gone) WHERE id = $b")
		  if "$source $a" ne "$target $b";
		return $s->do("UPDATE $source SET balance = balance WHERE id = $a");
	} ]);

# As an application does that reckons by itself.
sub read_and_write
{
	my ($lock, $s, $source, $a, $target, $b, $amount) = @_;

	foreach my $step ([ $source, $a, -$amount ], [ $target, $b, $amount ])
	{
		my ($table, $id, $change) = @$step;
		my ($state, $balance) = $s->do("SELECT balance FROM $table WHERE id = $id$lock");

		return ($state, $balance) if $state ne '';
		chomp($balance);
		my ($failed, $text) = $s->do("UPDATE $table SET balance = $balance + $change WHERE id = $id");
		return ($failed, $text) if $failed ne '';
	}
	return ('', '');
}

# Writes a line for each transfer: its number and the SQLSTATE of its end.
sub teller
{
	my ($w, $way, @tables) = @_;
	my ($level, $code) = @{ $ways{$way} };
	my $s = KalamClient->new($node->connstr('postgres'));
	my $n = 0;

	srand($seed + $w);
	open(my $notes, '>', "$tmp/$w") or die;
	while (time() < $end)
	{
		my ($source, $target) = map { $tables[ rand(@tables) ] } 1, 2;
		my ($a, $b) = map { 1 + int(rand($accounts)) } 1, 2;
		my $amount = 1 + int(rand(50));
		my $heap = $tables[-1] eq 'cash';

		$n++;
		my ($state, $text) = $s->do("BEGIN ISOLATION LEVEL $level");
		($state, $text) = $code->($s, $source, $a, $target, $b, $amount) if $state eq '';
		($state, $text) = $s->do("INSERT INTO moves VALUES ($w, $n, '$source', $a, '$target', $b, $amount)"
			  . ($heap ? "; INSERT INTO heap_moves VALUES ($w, $n)" : '')) if $state eq '';
		($state, $text) = $s->do('COMMIT') if $state eq '';
		$s->do('ROLLBACK') if $state ne '';
		print $notes "$n ", $state || 'ok', "\n";
		die "$way: $state $text" if $state !~ /^(?:|40001|40P01|08006|08007|57P03)$/;

		# who has got its COMMIT sees both halves
		if ($heap && $state eq '')
		{
			my $seen = $s->value("SELECT (SELECT count(*) FROM moves WHERE w = $w AND n = $n), (SELECT count(*) FROM heap_moves WHERE w = $w AND n = $n)");
			die "after COMMIT: $seen" if defined $seen && $seen ne '1|1';
		}
	}
	close($notes);
	$s->quit;
	return 1;
}

# Looks at the total, in one statement and in one transaction.
sub observer
{
	my ($w) = @_;
	my $s = KalamClient->new($node->connstr('postgres'));
	my $sum = 'SELECT (SELECT sum(balance) FROM bank_left) + (SELECT sum(balance) FROM bank_right)';
	my $n = 0;

	while (time() < $end)
	{
		my ($state, $text) = $s->do($sum);
		die "one statement sees $text" if $state eq '' && $text != $total;
		$s->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
		my $left = $s->value('SELECT sum(balance) FROM bank_left');
		my $right = $s->value('SELECT sum(balance) FROM bank_right');
		my $again = $s->value($sum);
		$s->do('COMMIT');
		next if !defined $again;
		die "repeatable read sees $left and $right, then $again" if $left + $right != $total || $again != $total;
		$n++;
	}
	$s->quit;
	open(my $notes, '>', "$tmp/$w") or die;
	print $notes "$n\n";
	close($notes);
	return $n > 0;
}

my @tellers = (
	(map { [ $_, @banks ] } ('relative') x 5, ('for_update') x 4, ('snapshot') x 4, ('one_statement') x 3),
	(map { [ $_, 'purse', 'cash' ] } ('relative') x 3, ('for_update') x 2, ('snapshot') x 2));
my %pids;

foreach my $w (0 .. $#tellers)
{
	$pids{ KalamClient::spawn(sub { teller($w, @{ $tellers[$w] }) }) } = "$w @{ $tellers[$w] }";
}
$pids{ KalamClient::spawn(sub { observer('observer') }) } = 'observer';
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
is(join(', ', @failed), '', 'no client hangs, sees a wrong total, or has an error that it cannot try again')
  or diag("KALAM_TEST_SEED=$seed");

# ---- the books ----

is($node->safe_psql('postgres', 'SELECT (SELECT sum(balance) FROM bank_left) + (SELECT sum(balance) FROM bank_right)'), $total, 'the total of the bank');
is($node->safe_psql('postgres', 'SELECT (SELECT sum(balance) FROM purse) + (SELECT sum(balance) FROM cash)'), $total, 'that of kalam and heap');
is($node->safe_psql('postgres', q(
	WITH changes AS (
		SELECT source AS t, a AS id, -amount AS change FROM moves WHERE source <> target OR a <> b
		UNION ALL SELECT target, b, amount FROM moves WHERE source <> target OR a <> b),
	books AS (SELECT t, id, sum(change) AS change FROM changes GROUP BY t, id),
	balances AS (
		SELECT 'bank_left' AS t, * FROM bank_left UNION ALL SELECT 'bank_right', * FROM bank_right
		UNION ALL SELECT 'purse', * FROM purse UNION ALL SELECT 'cash', * FROM cash)
	SELECT string_agg(t || id || ': ' || balance || ' instead of ' || 1000 + coalesce(change, 0), ', ')
	FROM balances LEFT JOIN books USING (t, id) WHERE balance <> 1000 + coalesce(change, 0))),
	'', 'each account holds what its transfers add up to');
is($node->safe_psql('postgres', q(SELECT count(*) FROM heap_moves FULL JOIN (SELECT * FROM moves WHERE source IN ('purse', 'cash')) m USING (w, n)
	WHERE heap_moves IS NULL OR m IS NULL)), '0', 'transfers with heap are noted in both');
my %states;
my $wrong = '';
foreach my $w (0 .. $#tellers)
{
	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT n FROM moves WHERE w = $w");

	foreach my $line (split /\n/, slurp_file("$tmp/$w"))
	{
		my ($n, $state) = split / /, $line;
		my $is = delete $there{$n};

		$states{$state}++;
		$wrong .= " $w $n $state" if $state ne '08007' && ($state eq 'ok') != !!$is;
	}
	$wrong .= " $w unknown: " . join(',', keys %there) if %there;
}
note(join(', ', map { "$_: $states{$_}" } sort keys %states) . '; totals seen: ' . slurp_file("$tmp/observer"));
is($wrong, '', 'what was acknowledged is there, and nothing else');
cmp_ok($states{ok}, '>', 500, 'the clients got on with their work');
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no leak');
done_testing();
