# What is read from caches is what the store has: clients add to counters in kalam
# tables, in all the ways that rows can be changed, and read them, in all the ways
# that rows can be read.  Each reading lies between what was committed before it
# began and what was begun before it was over (CacheBoard.pm); no statement sees a
# part of a commit; a session never sees less than it saw before; a snapshot does not
# change; own changes are seen.  Meanwhile statements are cancelled, sessions
# terminated, backends and the storage process killed.
#
# KALAM_TEST_SECONDS is for each of the levels in KALAM_TEST_LEVELS (committed,
# repeatable, serializable).
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use CacheBoard;
use CacheClient;
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $seed = $ENV{KALAM_TEST_SEED} || int(time() * 1000) % 1_000_000;
my $seconds = $ENV{KALAM_TEST_SECONDS} || 10;
my @levels = split /,/, $ENV{KALAM_TEST_LEVELS} || 'committed,repeatable,serializable';
note("KALAM_TEST_SEED=$seed KALAM_TEST_SECONDS=$seconds KALAM_TEST_LEVELS=" . join(',', @levels));

my %sql_level = (committed => 'READ COMMITTED', repeatable => 'REPEATABLE READ', serializable => 'SERIALIZABLE');

# Caches with room for all, for little, and as small as can be.
my %sizes = (committed => [ '64MB', '16MB' ], repeatable => [ '256kB', '256kB' ], serializable => [ '1kB', '1kB' ]);

my ($writers, $readers) = (3, 4);
my $node = new_server('main', conf => "deadlock_timeout = '50ms'\nmax_prepared_transactions = 10\n");
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $board = CacheBoard->new("$tmp/board", $writers + 1, $grown + 1);
my ($end, $level);

make_tables($node);

# ---- reading ----

sub reader
{
	my ($self) = @_;

	while (time() < $end)
	{
		$self->session or next;
		if (rand() < 0.4)
		{
			# each statement for itself
			$self->new_view(0);
			$self->read_some(@alone);
			next;
		}
		$self->new_view($level ne 'committed');
		my ($state) = rows($self->{s}, "BEGIN ISOLATION LEVEL $sql_level{$level}");
		$state = $self->read_some(@in_transaction) if $state eq '';
		($state) = rows($self->{s}, 'COMMIT') if $state eq '';
		$self->roll_back if $state ne '';
		$self->remember;
	}
	return 1;
}

# ---- writing ----

# The statements that add one to counters of the set.  RETURNING gives the new number.
sub add_sql
{
	my ($set, $id) = @_;
	my @ways = (
		"UPDATE left_$set SET v = v + 1, u = id || ':' || v + 1 WHERE id = $id RETURNING v",
		"INSERT INTO left_$set AS l SELECT id, grp, v, u, name, pad FROM left_$set WHERE id = $id ON CONFLICT (id) DO UPDATE SET v = l.v + 1, u = l.id || ':' || l.v + 1 RETURNING v");

	return $ways[ rand(@ways) ];
}

sub follow_sql
{
	my ($set, $id, $v) = @_;
	my @ways = (
		"UPDATE right_$set SET v = $v WHERE id = $id",
		"INSERT INTO right_$set VALUES ($id, $v) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v",
		"DELETE FROM right_$set WHERE id = $id; INSERT INTO right_$set VALUES ($id, $v)");

	return $ways[ rand(@ways) ] . '; '
	  . ($v % 2 ? "INSERT INTO odd_$set VALUES ($id, $v)" : "DELETE FROM odd_$set WHERE id = $id");
}

# Ends the transaction that has added one to the counters: by COMMIT or in two steps.
sub commit
{
	my ($self, @counters) = @_;
	my ($state);

	if (rand() < 0.15)
	{
		my $gid = "w$self->{w}." . ++$self->{gids};

		($state) = rows($self->{s}, "PREPARE TRANSACTION '$gid'");
		return $state if $state ne '';
		@{ $self->{prepared} } = @counters;
		sleep(rand(0.01));
		return finish($self, $gid);
	}
	$board->begin($self->{w}, @counters);
	($state) = rows($self->{s}, 'COMMIT');
	$board->end($self->{w}, @counters) if $state eq '';
	$board->undo($self->{w}, @counters) if $state !~ /^(?:|lost|08007)$/;
	return $state;
}

# COMMIT PREPARED, until it is known to be done.
sub finish
{
	my ($self, $gid) = @_;
	my @counters = @{ $self->{prepared} };

	$board->begin($self->{w}, @counters);
	for (my $tries = 0;; $tries++)
	{
		if ($self->session)
		{
			my ($state, $text) = $self->{s}->do("COMMIT PREPARED '$gid'");

			# (42704: an earlier one that failed had been a success)
			last if $state eq '' || $state eq '42704' && $tries > 0;
			die "COMMIT PREPARED: $state $text" if !excusable($state);
		}
		die "COMMIT PREPARED does not succeed\n" if $tries > 200;
	}
	$board->end($self->{w}, @counters);
	return '';
}

# A PREPARE whose answer was lost.
sub forget_prepared
{
	my ($self) = @_;
	my ($state, @rows) = rows($self->{s}, "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'w$self->{w}.%'");

	return $state if $state ne '';
	foreach my $row (@rows)
	{
		($state) = rows($self->{s}, "ROLLBACK PREPARED '$row->[0]'");
		return $state if $state ne '';
	}
	return '';
}

sub look_at_own
{
	my ($self, $set, $id) = @_;
	my @own = grep { !/^row|^cursor|whole/ } @kinds;
	my $state = '';

	foreach my $n (1 .. 3)
	{
		$state = $self->look($own[ rand(@own) ], $set, $id) if $state eq '';
	}
	return $state;
}

# One transaction of a writer; gives the state of what failed.
sub change
{
	my ($self, $set, $id) = @_;
	my ($s, $way) = ($self->{s}, rand());
	my $counter = $set * $ids + $id;
	my ($state, @rows);

	if ($way < 0.25)
	{
		# a statement that is its own transaction
		$board->begin($self->{w}, $single + $counter);
		($state, @rows) = rows($s, "UPDATE single_$set SET v = v + 1 WHERE id = $id");
		$board->end($self->{w}, $single + $counter) if $state eq '';
		$board->undo($self->{w}, $single + $counter) if $state !~ /^(?:|lost|08007)$/;
		return $state;
	}
	($state) = rows($s, "BEGIN ISOLATION LEVEL $sql_level{$level}");
	return $state if $state ne '';
	$self->new_view($level ne 'committed');
	if ($way < 0.4)
	{
		# as an application does that reckons by itself
		($state, @rows) = rows($s, "SELECT v FROM single_$set WHERE id = $id" . ($level eq 'committed' ? ' FOR UPDATE' : ''));
		($state) = rows($s, "UPDATE single_$set SET v = $rows[0][0] + 1 WHERE id = $id") if $state eq '';
		return $state ne '' ? $state : commit($self, $single + $counter);
	}
	if ($way < 0.5)
	{
		($state) = rows($s, "UPDATE mixed_$set SET v = v + 1 WHERE id = $id; UPDATE heap_$set SET v = v + 1 WHERE id = $id");
		return $state ne '' ? $state : commit($self, $mixed + $counter);
	}
	if ($way < 0.6)
	{
		# all of a set, in sorted files if it is large
		my $large = rand() < 0.5;

		($state) = rows($s, 'SET LOCAL kalam.bulk_load_threshold = ' . ($large ? 0 : 1024));
		($state) = rows($s, "UPDATE left_$set SET v = v + 1, u = id || ':' || v + 1, pad = repeat('x', id * " . ($large ? 4000 : 1500) . "); UPDATE right_$set r SET v = l.v FROM left_$set l WHERE l.id = r.id;"
			. " DELETE FROM odd_$set; INSERT INTO odd_$set SELECT id, v FROM left_$set WHERE v % 2 = 1") if $state eq '';
		return $state ne '' ? $state : commit($self, @{ $of_set[$set] });
	}

	# one counter, and own changes seen meanwhile
	$state = $self->read_some(qw(point scan aggregate point_single whole)) if rand() < 0.3;
	($state, @rows) = rows($s, add_sql($set, $id)) if $state eq '';
	return $state if $state ne '';
	my $v = $rows[0][0];
	($state) = rows($s, follow_sql($set, $id, $v));
	return $state if $state ne '';
	$self->{view}{own}{$counter} = $v;
	if ($way < 0.8)
	{
		$state = look_at_own($self, $set, $id);
		($state) = rows($s, "SAVEPOINT s; UPDATE left_$set SET v = -1000 WHERE id = $id; DELETE FROM right_$set WHERE id = $id; INSERT INTO odd_$set VALUES (-$self->{w} - 1, $v)") if $state eq '';
		($state, @rows) = rows($s, "SELECT min(v), count(*), (SELECT count(*) FROM right_$set), (SELECT v FROM odd_$set WHERE id = -$self->{w} - 1), (SELECT v FROM left_$set WHERE id = $id) FROM left_$set") if $state eq '';
		return $state if $state ne '';
		must(join('|', @{ $rows[0] }) eq "-1000|8|7|$v|-1000", 'own changes', @rows);
		($state) = rows($s, 'ROLLBACK TO s');
		$state = look_at_own($self, $set, $id) if $state eq '';
		return $state if $state ne '';
	}
	if ($way > 0.95)
	{
		($state) = rows($s, 'ROLLBACK');
		return $state;
	}
	return commit($self, $counter);
}

sub writer
{
	my ($self) = @_;

	while (time() < $end)
	{
		$self->session or next;
		my $state = change($self, int(rand() * rand() * $sets), int(rand($ids)));

		if ($state ne '')
		{
			$self->roll_back;
			for (my $tries = 0; !$self->session || forget_prepared($self) ne ''; $tries++)
			{
				die "what was prepared cannot be rolled back\n" if $tries > 200;
			}
		}
		else
		{
			$self->{changes}++;
			$self->new_view(0);
			$self->read_some(@alone) if rand() < 0.3;
		}
		# pauses in which what was read stays true
		sleep(rand(0.01));
		sleep(rand(0.1)) if rand() < 0.05;
	}
	finish_all($self);
	return 1;
}

sub finish_all
{
	my ($self) = @_;

	until ($self->session && forget_prepared($self) eq '') { }
	return;
}

# Makes the next generation of the table whole.
sub change_whole
{
	my ($self, $gen) = @_;
	my $s = $self->{s};
	my $rows = "SELECT g, $gen, $gen FROM generate_series(1, $whole_rows) g";
	my @ways = (
		"TRUNCATE whole; INSERT INTO whole $rows",
		"SET LOCAL kalam.bulk_load_threshold = 0; TRUNCATE whole; INSERT INTO whole $rows",
		"SET LOCAL kalam.bulk_load_threshold = 0; DELETE FROM whole; INSERT INTO whole $rows",
		"DELETE FROM whole; INSERT INTO whole $rows",
		"UPDATE whole SET gen = $gen, extra = $gen",
		"UPDATE whole SET gen = $gen; ALTER FOREIGN TABLE whole DROP COLUMN extra; ALTER FOREIGN TABLE whole ADD COLUMN extra int DEFAULT $gen",
		"ALTER FOREIGN TABLE whole DROP COLUMN gen; ALTER FOREIGN TABLE whole ADD COLUMN gen int NOT NULL DEFAULT $gen; UPDATE whole SET extra = $gen",
		"ALTER FOREIGN TABLE whole ALTER COLUMN extra TYPE bigint; UPDATE whole SET gen = $gen, extra = $gen; ALTER FOREIGN TABLE whole ALTER COLUMN extra TYPE int",
		"ALTER FOREIGN TABLE whole OPTIONS (ADD index_gen 'gen'); UPDATE whole SET gen = $gen, extra = $gen; ALTER FOREIGN TABLE whole OPTIONS (DROP index_gen)",
		"ALTER FOREIGN TABLE whole RENAME TO old_whole; CREATE FOREIGN TABLE whole (id int, gen int, extra int) SERVER kalam OPTIONS (primary_key 'id'); INSERT INTO whole $rows; DROP FOREIGN TABLE old_whole");
	my $way = int(rand(@ways));
	my ($state) = rows($s, "BEGIN; $ways[$way]");

	return $state if $state ne '';
	my ($failed, @seen) = rows($s, 'SELECT count(*), min(gen), max(gen), min(extra), max(extra) FROM whole');
	return $failed if $failed ne '';
	must(join('|', @{ $seen[0] }) eq join('|', $whole_rows, ($gen) x 4), "$ways[$way]: own", @seen);
	return (rows($s, 'ROLLBACK'))[0] if rand() < 0.2;
	$state = commit($self, $whole);
	$self->{by}{$way}++ if $state eq '';
	return $state;
}

# Loads more rows.
sub change_grown
{
	my ($self, $first) = @_;
	my $last = $first + $whole_rows - 1;
	my ($state) = rows($self->{s}, "BEGIN; SET LOCAL kalam.bulk_load_threshold = 0; INSERT INTO grown SELECT g, repeat(md5(g::text), 100) FROM generate_series($first, $last) g");

	return $state if $state ne '';
	my ($failed, @seen) = rows($self->{s}, "SELECT count(*), (SELECT count(*) FROM grown WHERE id = $last), (SELECT count(*) FROM grown WHERE id = $last + 1) FROM grown")
	  if rand() < 0.3;
	return $failed if ($failed // '') ne '';
	must(join('|', @{ $seen[0] }) eq join('|', $last + 1, 1, 0), 'own load', @seen) if @seen;
	return (rows($self->{s}, 'ROLLBACK'))[0] if rand() < 0.2;
	return commit($self, $grown);
}

sub changer
{
	my ($self) = @_;

	while (time() < $end)
	{
		$self->session or next;
		my $grow = rand() < 0.4;
		my ($state, @rows) = rows($self->{s}, $grow ? 'SELECT count(*) FROM grown' : 'SELECT max(gen) FROM whole');

		$state = $grow ? change_grown($self, $rows[0][0]) : change_whole($self, $rows[0][0] + 1) if $state eq '';
		if ($state ne '')
		{
			$self->roll_back;
			finish_all($self);
		}
		else
		{
			$self->{changes}++;
		}
		sleep(rand(0.08));
	}
	finish_all($self);
	return 1;
}

# ---- all of it, at a level ----

# Cancels and terminates.
sub nuisance
{
	my ($self) = @_;

	while (time() < $end)
	{
		my $what = rand() < 0.05 ? 'pg_terminate_backend' : 'pg_cancel_backend';

		$self->session or next;
		$self->{s}->do("SELECT $what(pid) FROM pg_stat_activity WHERE application_name = 'client' AND pid <> pg_backend_pid() AND state = 'active' ORDER BY random() LIMIT 1");
		sleep(0.05);
	}
	return 1;
}

# Which of the clients' backends works now.
sub some_backend
{
	my ($out) = eval { $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE application_name = 'client' ORDER BY state <> 'active', random() LIMIT 1)) };

	return $out;
}

sub client
{
	my ($name, $w, $code) = @_;
	my $self = CacheClient->new(node => $node, board => $board, w => $w);

	return [ KalamClient::spawn(sub {
		my $good;

		$board->reopen;
		srand($seed * 100 + $w);
		$good = eval { $code->($self) };
		print STDERR "$name: $@" if $@;
		$self->{s}->quit if $self->{s};
		open(my $notes, '>', "$tmp/$name") or die;
		print $notes "$self->{count} $self->{changes}\n", map { "$_ $self->{by}{$_}\n" } sort keys %{ $self->{by} };
		close($notes);
		return $good;
	}), $name ];
}

# Once the caches have such views.
sub cache_value
{
	my ($columns) = @_;

	return $node->safe_psql('postgres', "SELECT $columns FROM kalam.query_cache");
}
my $viewed = $node->safe_psql('postgres', "SELECT to_regclass('kalam.query_cache') IS NOT NULL") eq 't';

foreach my $name (@levels)
{
	my ($query_cache, $schema_cache) = @{ $sizes{$name} };
	my ($count, $changes, %by) = (0, 0);
	my (@clients, @failed, $hits);

	$level = $name;
	if ($viewed)
	{
		$node->append_conf('postgresql.conf', "kalam.query_cache_size = $query_cache\nkalam.schema_cache_size = $schema_cache\n");
		$node->restart;
	}
	$end = time() + $seconds;
	push @clients, client("reader$_", 20 + $_, \&reader) foreach 1 .. $readers;
	push @clients, client("writer$_", $_, \&writer) foreach 0 .. $writers - 1;
	push @clients, client('changer', $writers, \&changer);
	push @clients, client('nuisance', 10, \&nuisance);
	my $events = int($seconds / 4);
	foreach my $event (1 .. $events)
	{
		sleep($seconds / ($events + 1));
		$hits = cache_value('hits') if $viewed && $event == 1;
		if ($event % 2) { kill_storage($node) }
		elsif (my $pid = some_backend()) { kill('KILL', $pid) }
	}
	foreach my $client (@clients)
	{
		waitpid($client->[0], 0);
		push @failed, $client->[1] if $? != 0;
		my ($first, @lines) = split /\n/, slurp_file("$tmp/$client->[1]");
		my ($c, $h) = split / /, $first;

		$count += $c;
		$changes += $h;
		foreach my $line (@lines)
		{
			my ($kind, $n) = split / /, $line;
			$by{ ($client->[1] eq 'changer' ? 'changer ' : '') . $kind } += $n;
		}
	}
	is(join(', ', @failed), '', "$level: no client reads what it must not, hangs, or has an error that it cannot try again")
	  or diag("KALAM_TEST_SEED=$seed");
	note("$level: $count readings, $changes changes; " . join(', ', map { "$_ $by{$_}" } sort keys %by));
	cmp_ok($count, '>', 50 * $seconds, "$level: clients read");
	cmp_ok($changes, '>', 5 * $seconds, "$level: clients wrote");
	if ($viewed)
	{
		note(cache_value(q(hits || ' hits, ' || misses || ' misses, ' || evictions || ' evictions, ' || invalidations || ' invalidations')));
		cmp_ok($hits, '>', 0, "$level: the cache answered");
		is(cache_value('pins, corrupt'), '0|0', "$level: no pin is left, and no checksum was wrong");
		is($node->safe_psql('postgres', 'SELECT pins, (SELECT hits > 0 FROM kalam.schema_cache) FROM kalam.schema_cache'), '0|t', "$level: nor one of a schema");
	}
	# what is there now is what was committed, and nobody's in doubt
	my $self = CacheClient->new(node => $node, board => $board);
	$self->session;
	$self->new_view(0);
	my @wrong;
	foreach my $counter (0 .. $sets * $ids - 1)
	{
		foreach my $kind (@alone)
		{
			my $state = eval { $self->look($kind, int($counter / $ids), $counter % $ids) } // $@;
			push @wrong, "$kind: $state" if $state ne '';
		}
	}
	is(join("\n", @wrong), '', "$level: all agrees in the end");
	$self->{s}->quit;
}
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no leak');
done_testing();
