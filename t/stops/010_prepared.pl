# PREPARE TRANSACTION, its end, and commits that storage cannot apply, stopped
# at each place while something dies.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_server('main', conf => "fsync = on\nmax_prepared_transactions = 20\n");

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE k (id int, v text) SERVER kalam OPTIONS (primary_key 'id');
	CREATE TABLE h (id int PRIMARY KEY, v text);
	INSERT INTO k SELECT g, 'old' FROM generate_series(1, 100) g;
	INSERT INTO h SELECT g, 'old' FROM generate_series(1, 100) g;));

sub query
{
	return $node->safe_psql('postgres', $_[0]);
}

sub session
{
	return KalamTest::Session->new($node);
}

# A session sends what kills the server, which is then started again.
sub dies
{
	my ($s, $sql) = @_;
	my $postmaster = KalamTest::postmaster_pid($node);

	$s->send($sql);
	wait_until(20, sub {
		eval { $s->{harness}->pump_nb };
		# (a process that init has not collected yet still has its number)
		!alive($postmaster) && !kill(0, $postmaster) && !processes_in($node->data_dir);
	});
	eval { $s->{harness}->kill_kill };
	$node->{_pid} = undef;
	$node->start;
}

sub free
{
	my ($id, $name) = @_;
	my ($ret, $out, $err) = $node->psql('postgres',
		"SET lock_timeout = '5s'; BEGIN; UPDATE k SET v = 'x' WHERE id = $id; ROLLBACK");

	is($err, '', "$name: the row is free");
}

my $n = 0;

sub halves
{
	my ($wanted, $name) = @_;

	is(query("SELECT k.v || ' ' || h.v FROM k JOIN h USING (id) WHERE id = $n"), "$wanted $wanted", $name);
}

sub changes
{
	$n++;
	return "BEGIN; UPDATE k SET v = 'new' WHERE id = $n; UPDATE h SET v = 'new' WHERE id = $n";
}

# ---- PREPARE TRANSACTION dies ----

foreach my $place (qw(commit_begin commit_sent commit_finished commit_stored prepare_ended))
{
	my $s = session();

	dies($s, "SET kalam.stop_at = '$place=kill_server'; " . changes() . "; PREPARE TRANSACTION 'p$n'");
	my $there = query('SELECT count(*) FROM pg_prepared_xacts');
	is($there, $place eq 'prepare_ended' ? 1 : 0, "$place: prepared or not");
	halves('old', "$place: not committed");
	if ($there)
	{
		my ($ret, $out, $err) = $node->psql('postgres', "SET lock_timeout = '300ms'; UPDATE k SET v = 'x' WHERE id = $n");
		like($err, qr/lock timeout/, "$place: its row is locked");
		query("COMMIT PREPARED 'p$n'");
		halves('new', "$place: both halves after COMMIT PREPARED");
	}
	free($n, $place);
}

foreach my $place (qw(commit_begin commit_sent commit_stored))
{
	my $s = session();

	$s->do("SET kalam.stop_at = '$place=error'");
	my ($ok, $out, $err) = $s->do(changes() . "; PREPARE TRANSACTION 'p$n'");
	like($err, qr/stopped at/, "$place: an error");
	is(query('SELECT count(*) FROM pg_prepared_xacts'), 0, "$place: nothing is prepared");
	halves('old', "$place: nothing is changed");
	free($n, $place);
	$s->quit;
}

# ---- COMMIT PREPARED dies, or is held, before storage knows ----

query(changes() . "; PREPARE TRANSACTION 'p$n'");
{
	my $s = session();

	dies($s, "SET kalam.stop_at = 'finish_prepared=kill_server'; COMMIT PREPARED 'p$n'");
	halves('new', 'server killed behind COMMIT PREPARED: both halves');
	free($n, 'server killed behind COMMIT PREPARED');
}
foreach my $first ('read', 'lock', 'skip')
{
	query(changes() . "; PREPARE TRANSACTION 'p$n'");
	my $holder = session();
	my $s = session();

	$holder->do('SELECT pg_advisory_lock(1)');
	$s->do("SET kalam.stop_at = 'finish_prepared=wait'");
	$s->send("COMMIT PREPARED 'p$n'");
	wait_until(20, sub { query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'") > 0 });
	if ($first eq 'read')
	{
		halves('new', 'a reader has it applied');
	}
	elsif ($first eq 'lock')
	{
		is(query("UPDATE k SET v = v || '+' WHERE id = $n RETURNING v"), 'new+', 'a writer has it applied');
		query("UPDATE h SET v = v || '+' WHERE id = $n");
	}
	else
	{
		is(query("SELECT v FROM k WHERE id = $n FOR UPDATE SKIP LOCKED"), 'new', 'who skips locked rows has it applied');
	}
	$holder->do('SELECT pg_advisory_unlock(1)');
	$s->answer;
	halves($first eq 'lock' ? 'new+' : 'new', "$first: once");
	free($n, $first);
	$_->quit foreach $holder, $s;
}

# ---- storage dies for good behind a commit: it stays in doubt ----

{
	my $program = `pg_config --pkglibdir`;
	chomp($program);
	$program .= '/kalam_storage';
	my $holder = session();
	my $s = session();
	my $idle = session();

	$idle->do('SELECT count(*) FROM k');
	$holder->do('SELECT pg_advisory_lock(1)');
	$s->do("SET kalam.stop_at = 'before_apply=wait'");
	$s->do(changes());
	$s->send('COMMIT');
	wait_until(20, sub { query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'") > 0 });
	rename($program, "$program.away") or die;
	my $old = kill_storage($node);
	$holder->do('SELECT pg_advisory_unlock(1)');
	my $start = time();
	my ($ok, $out, $err) = $s->answer;
	ok($ok, 'the commit returns without storage');
	cmp_ok(time() - $start, '<', 15, 'soon');
	like($err, qr/WARNING.*could not apply it yet/, 'with a warning');
	is(query("SELECT v FROM h WHERE id = $n"), 'new', 'its heap half is there');
	($ok, $out, $err) = $idle->do("SET statement_timeout = '500ms'; SELECT v FROM k WHERE id = $n");
	like($err, qr{statement timeout|is not running|could not be opened}, 'its other half is not read');
	rename("$program.away", $program) or die;
	ok(wait_for_storage($node, $old), 'storage is back');
	halves('new', 'and both halves');
	free($n, 'in doubt for a while');
	is(query("SELECT count(*) FROM pg_prepared_xacts"), 0, 'nothing is prepared');
	$_->quit foreach $holder, $s, $idle;
}

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
