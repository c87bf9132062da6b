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

# Each set has tables of their own, so that some change rarely.  A counter of a set is a
# row in each of its tables: in lefts and rights the same number, in odds a row if
# the number is odd; singles and mixed are counters of their own, the latter with a
# row in a heap table, which changes with it.  The last counter is the generation
# of the table whole, of which all rows change at once.
my ($sets, $ids) = (5, 8);
my ($single, $mixed, $whole) = ($sets * $ids, 2 * $sets * $ids, 3 * $sets * $ids);
my $whole_rows = 40;
my ($writers, $readers) = (3, 4);
my @of_set = map { my $set = $_; [ map { $set * $ids + $_ } 0 .. $ids - 1 ] } 0 .. $sets - 1;

my $node = new_server('main', conf => "deadlock_timeout = '50ms'\nmax_prepared_transactions = 10\n");
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $board = CacheBoard->new("$tmp/board", $writers + 1, $whole + 1);
my ($end, $level);

foreach my $set (0 .. $sets - 1)
{
	$node->safe_psql('postgres', qq(
		CREATE FOREIGN TABLE left_$set (id int, grp int, v int, u text COLLATE "C", pad text)
			SERVER kalam OPTIONS (primary_key 'id', index_grp 'grp, v', unique_u 'u');
		CREATE FOREIGN TABLE right_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
		CREATE FOREIGN TABLE odd_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
		CREATE FOREIGN TABLE single_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
		CREATE FOREIGN TABLE mixed_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
		CREATE TABLE heap_$set (id int PRIMARY KEY, v int);
		INSERT INTO left_$set SELECT g, g / 4, 0, g || ':' || 0, repeat('x', g * 40) FROM generate_series(0, $ids - 1) g;
		INSERT INTO right_$set SELECT id, 0 FROM left_$set;
		INSERT INTO single_$set SELECT * FROM right_$set;
		INSERT INTO mixed_$set SELECT * FROM right_$set;
		INSERT INTO heap_$set SELECT * FROM right_$set;
		CREATE FUNCTION stable_$set(i int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT v FROM left_$set WHERE id = i); END';
		CREATE FUNCTION volatile_$set(i int) RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT v FROM left_$set WHERE id = i); END'));
}
$node->safe_psql('postgres', qq(
	CREATE FOREIGN TABLE whole (id int, gen int, extra int) SERVER kalam OPTIONS (primary_key 'id');
	INSERT INTO whole SELECT g, 0, 0 FROM generate_series(1, $whole_rows) g));

# ---- sessions ----

# One that is made again when it was lost.  w: the client.
sub session
{
	my ($self) = @_;

	return $self->{s} if $self->{s} && !$self->{s}->lost;
	$self->{s}->quit if $self->{s};
	$self->{s} = undef;
	my $s = KalamClient->new($node->connstr('postgres'));
	my ($state) = $s->do("SET application_name = 'client'; SET lock_timeout = '20s'; SET client_min_messages = error; "
		. join('; ', map { "PREPARE left_$_(int) AS SELECT v FROM left_$_ WHERE id = \$1; PREPARE scan_$_(int) AS SELECT id, v FROM right_$_ WHERE id >= \$1 ORDER BY id" } 0 .. $sets - 1));
	if ($state ne '')
	{
		$s->quit;
		sleep(0.1);
		return;
	}
	return $self->{s} = $s;
}

# What may happen to a statement when somebody kills and cancels.
sub excusable
{
	my ($state) = @_;

	return $state =~ /^(?:40001|40P01|57014|08006|08007|57P03|lost)$/;
}

# (state, rows as lists of columns)
sub rows
{
	my ($s, $sql) = @_;
	my ($state, $text) = $s->do($sql);

	die "$sql: $state $text" if $state ne '' && !excusable($state);
	return ($state, map { [ split /\|/, $_, -1 ] } split /\n/, $text);
}

# ---- reading ----

# Of a counter or the sum of several: [ counter or list, value, what it was read by ],
# and what was begun by then, if that is not now.  Each looks at a set or one counter of it, and gives state and readings; what must
# agree within a statement it checks itself.  A name that begins with "row" reads so
# that it locks.
my %reads;

sub must
{
	my ($true, $sql, @rows) = @_;

	die "$sql: " . join(' / ', map { join('|', @$_) } @rows) . "\n" if !$true;
	return;
}

# A query of one value, of the counter.
sub reading_of_one
{
	my ($base, $template) = @_;

	return sub {
		my ($s, $set, $id) = @_;
		my $sql = $template =~ s/:s/$set/gr =~ s/:i/$id/gr;
		my ($state, @rows) = rows($s, $sql);

		return $state if $state ne '';
		must(@rows == 1 && $rows[0][0] ne '', $sql, @rows);
		return ('', [ $base + $set * $ids + $id, $rows[0][0], $sql ]);
	};
}

# A query of id and value, of so many counters of the set (a number, or code), and of further
# columns, all of which are the value.
sub reading_of_some
{
	my ($base, $count, $template) = @_;

	return sub {
		my ($s, $set, $id) = @_;
		my $sql = $template =~ s/:s/$set/gr =~ s/:i/$id/gr;
		my ($state, @rows) = rows($s, $sql);
		my %had;

		return $state if $state ne '';
		must(@rows == (ref $count ? $count->($id) : $count), $sql, @rows);
		foreach my $row (@rows)
		{
			my ($k, @values) = @$row;

			must(!$had{$k}++ && !(grep { $_ ne $values[0] } @values), $sql, @rows);
		}
		return ('', map { [ $base + $set * $ids + $_->[0], $_->[1], $sql ] } @rows);
	};
}

# A query of two texts that are the same.
sub reading_of_equals
{
	my ($template) = @_;

	return sub {
		my ($s, $set, $id) = @_;
		my $sql = $template =~ s/:s/$set/gr =~ s/:i/$id/gr;
		my ($state, @rows) = rows($s, $sql);

		return $state if $state ne '';
		must(@rows == 1 && $rows[0][0] eq $rows[0][1], $sql, @rows);
		return '';
	};
}

# The rows are those of when the cursor was declared, however late they are fetched.
my $cursors = 0;

sub reading_by_cursor
{
	my ($hold) = @_;

	return sub {
		my ($s, $set, $id) = @_;
		my $name = 'c' . ++$cursors;
		my $sql = "DECLARE $name CURSOR $hold FOR SELECT id, l.v, r.v FROM left_$set l JOIN right_$set r USING (id) ORDER BY id";
		my ($state) = rows($s, $sql);
		my $high = $board->begun;
		my @all;

		return $state if $state ne '';
		foreach my $n (3, 100)
		{
			my ($failed, @some) = rows($s, "FETCH $n FROM $name");

			return $failed if $failed ne '';
			push @all, @some;
			sleep(rand(0.003));
		}
		($state) = rows($s, "CLOSE $name");
		return $state if $state ne '';
		must(@all == $ids && !(grep { $_->[1] != $_->[2] } @all), $sql, @all);
		return ('', map { [ $set * $ids + $_->[0], $_->[1], $sql, $high ] } @all);
	};
}

my $behind = sub { $ids - $_[0] };

%reads = (
	point => reading_of_one(0, 'SELECT v FROM left_:s WHERE id = :i'),
	point_executed => reading_of_one(0, 'EXECUTE left_:s(:i)'),
	point_single => reading_of_one($single, 'SELECT v FROM single_:s WHERE id = :i'),
	point_index => reading_of_one(0, "SELECT v FROM left_:s WHERE grp = :i / 4 AND id = :i"),
	row_share => reading_of_one(0, 'SELECT v FROM left_:s WHERE id = :i FOR SHARE'),
	row_update => reading_of_one($single, 'SELECT v FROM single_:s WHERE id = :i FOR UPDATE'),
	list => reading_of_some(0, 3, 'SELECT id, v FROM left_:s WHERE id IN (:i, (:i + 3) % 8, (:i + 6) % 8)'),
	scan => reading_of_some(0, $ids, 'SELECT id, v FROM left_:s ORDER BY id'),
	scan_executed => reading_of_some(0, $behind, 'EXECUTE scan_:s(:i)'),
	scan_single => reading_of_some($single, $ids, 'SELECT id, v FROM single_:s'),
	scan_back => reading_of_some(0, 3, 'SELECT id, v FROM right_:s ORDER BY id DESC LIMIT 3'),
	scan_filter => reading_of_some(0, $ids, "SELECT id, v FROM left_:s WHERE pad < 'y' AND v >= 0"),
	limit => reading_of_some(0, sub { $_[0] < 6 ? 2 : $ids - $_[0] }, 'SELECT id, v FROM right_:s WHERE id >= :i ORDER BY id LIMIT 2'),
	index => reading_of_some(0, 4, 'SELECT id, v FROM left_:s WHERE grp = :i / 4 ORDER BY v, id'),
	index_wide => reading_of_some(0, 4, 'SELECT id, v, split_part(u, \':\', 2) FROM left_:s WHERE grp = :i / 4 ORDER BY v, length(pad)'),
	join => reading_of_some(0, $ids, 'SELECT id, l.v, r.v FROM left_:s l JOIN right_:s r USING (id)'),
	join_points => reading_of_some(0, 3, 'SELECT l.id, l.v, r.v FROM right_:s r, LATERAL (SELECT id, v FROM left_:s l WHERE l.id = r.id OFFSET 0) l WHERE r.id IN (:i, (:i + 3) % 8, (:i + 6) % 8)'),
	join_unique => reading_of_some(0, 1, "SELECT r.id, r.v, l.v FROM right_:s r JOIN left_:s l ON l.u = r.id || ':' || r.v WHERE r.id = :i"),
	stable => reading_of_some(0, 1, 'SELECT id, v, stable_:s(id) FROM right_:s WHERE id = :i'),
	odd => reading_of_equals("SELECT string_agg(id || ':' || v, ',' ORDER BY id), (SELECT string_agg(id || ':' || v, ',' ORDER BY id) FROM odd_:s) FROM left_:s WHERE v % 2 = 1"),
	odd_point => reading_of_equals('SELECT v % 2 = 1, (SELECT count(*) = 1 FROM odd_:s WHERE id = :i) FROM right_:s WHERE id = :i'),
	values => reading_of_equals('SELECT (SELECT v FROM left_:s WHERE id = :i), (SELECT v FROM right_:s WHERE id = :i)'),
	sums => reading_of_equals('SELECT (SELECT sum(v) FROM left_:s), (SELECT sum(v) FROM right_:s)'),
	aggregate => sub {
		my ($s, $set, $id) = @_;
		my $sql = "SELECT count(*), sum(v) FROM left_$set";
		my ($state, @rows) = rows($s, $sql);

		return $state if $state ne '';
		must($rows[0][0] == $ids, $sql, @rows);
		return ('', [ $of_set[$set], $rows[0][1], $sql ]);
	},
	groups => sub {
		my ($s, $set, $id) = @_;
		my $sql = "SELECT grp, count(*), sum(v) FROM left_$set GROUP BY grp ORDER BY grp";
		my ($state, @rows) = rows($s, $sql);

		return $state if $state ne '';
		must(@rows == 2 && $rows[0][1] == 4 && $rows[1][1] == 4, $sql, @rows);
		return ('', map { [ [ @{ $of_set[$set] }[ 4 * $_ .. 4 * $_ + 3 ] ], $rows[$_][2], $sql ] } 0, 1);
	},
	newer => sub {
		my ($s, $set, $id) = @_;
		my $sql = "SELECT v, volatile_$set($id) FROM left_$set WHERE id = $id";
		my ($state, @rows) = rows($s, $sql);

		return $state if $state ne '';
		must(@rows == 1 && $rows[0][1] >= $rows[0][0], $sql, @rows);
		return ('', map { [ $set * $ids + $id, $_, $sql ] } @{ $rows[0] });
	},
	mixed => sub {
		my ($s, $set, $id) = @_;
		my $sql = "SELECT h.v, m.v FROM heap_$set h JOIN mixed_$set m USING (id) WHERE id = $id";
		my ($state, @rows) = rows($s, $sql);

		# (heap's snapshot is taken first, so its row may be older)
		return $state if $state ne '';
		must(@rows == 1 && $rows[0][1] >= $rows[0][0], $sql, @rows);
		return ('', [ $mixed + $set * $ids + $id, $rows[0][1], $sql ], [ $mixed + $set * $ids + $id, $rows[0][0], "heap: $sql" ]);
	},
	cursor => reading_by_cursor(''),
	cursor_held => reading_by_cursor('WITH HOLD'),
	whole => sub {
		my ($s, $set, $id, $snapshot) = @_;
		my $sql = 'SELECT count(*), min(gen), max(gen)' . ($id < 4 ? ', min(extra), max(extra)' : '') . ' FROM whole';
		my ($state, @rows) = rows($s, $sql);

		# (a snapshot sees nothing of a table that was truncated or made since)
		return $state if $state ne '' || $snapshot && $rows[0][0] == 0;
		must($rows[0][0] == $whole_rows && $rows[0][1] == $rows[0][2] && (!defined $rows[0][3] || $rows[0][3] == $rows[0][4]), $sql, @rows);
		return ('', [ $whole, $rows[0][1], $sql ]);
	});
my @kinds = sort keys %reads;
my @in_transaction = grep { $_ ne 'cursor_held' } @kinds;
my @alone = grep { $_ ne 'cursor' } @kinds;

# What a session may see: of a snapshot, the same until it ends.  own: what its
# transaction has changed itself; seen: what it has seen earlier.
sub new_view
{
	my ($self, $snapshot) = @_;

	$self->{view} = { snapshot => $snapshot, own => {}, first => {}, now => {} };
	$self->{view}{low} = $board->committed if $snapshot;
	return $self->{view};
}

sub look
{
	my ($self, $kind, $set, $id) = @_;
	my $view = $self->{view};

	$view->{low} = $board->committed if !$view->{snapshot};
	my ($state, @readings) = $reads{$kind}->($self->{s}, $set, $id, $view->{snapshot});
	return $state if $state ne '';
	$view->{high} = $board->begun if !$view->{snapshot} || !$view->{high};
	foreach my $reading (@readings)
	{
		my ($which, $value, $sql, $begun) = @$reading;
		my ($low, $high, $before) = (0, 0, 0);

		foreach my $counter (ref $which ? @$which : $which)
		{
			my $own = $view->{own}{$counter};

			$low += $own // $view->{low}[$counter];
			$high += $own // ($begun || $view->{high})->[$counter];
			$before += $own // $self->{seen}{$counter} // 0;
		}
		die "$sql: $value, but $low were committed\n" if $value < $low;
		die "$sql: $value, but only $high were begun\n" if $value > $high;
		die "$sql: $value, and $before before\n" if $value < $before;
		next if ref $which || exists $view->{own}{$which} || $sql =~ /^heap/;
		$view->{now}{$which} = $value if ($view->{now}{$which} // 0) < $value;
		die "$sql: $value, but $view->{first}{$which} earlier in the same snapshot\n"
		  if $view->{snapshot} && exists $view->{first}{$which} && $view->{first}{$which} != $value;
		$view->{first}{$which} //= $value;
	}
	# (within a statement the rows are of one snapshot, but need not come in its order)
	$self->remember if !$view->{snapshot};
	$self->{count}++;
	$self->{by}{$kind}++;
	return '';
}

sub remember
{
	my ($self) = @_;

	foreach my $counter (keys %{ $self->{view}{now} })
	{
		my $value = $self->{view}{now}{$counter};

		$self->{seen}{$counter} = $value if ($self->{seen}{$counter} // 0) < $value;
	}
	return;
}

# Reads several times, some of it again and again, as what is cached is.
sub read_some
{
	my ($self, @from) = @_;
	my ($set, $id) = (int(rand() * rand() * $sets), int(rand($ids)));

	foreach my $n (1 .. 1 + int(rand(3)))
	{
		my $kind = $from[ rand(@from) ];

		foreach my $again (0 .. int(rand(4)))
		{
			my $state = $self->look($kind, $set, $id);

			return $state if $state ne '';
			sleep(rand(0.003)) if rand() < 0.2;
		}
		$id = int(rand($ids)) if rand() < 0.3;
	}
	return '';
}

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
		rows($self->{s}, $state eq '' ? 'COMMIT' : 'ROLLBACK') if $state ne 'lost';
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
		"INSERT INTO left_$set AS l SELECT id, grp, v, u, pad FROM left_$set WHERE id = $id ON CONFLICT (id) DO UPDATE SET v = l.v + 1, u = l.id || ':' || l.v + 1 RETURNING v");

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
		return $self->finish($gid);
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
		return $state ne '' ? $state : $self->commit($single + $counter);
	}
	if ($way < 0.5)
	{
		($state) = rows($s, "UPDATE mixed_$set SET v = v + 1 WHERE id = $id; UPDATE heap_$set SET v = v + 1 WHERE id = $id");
		return $state ne '' ? $state : $self->commit($mixed + $counter);
	}
	if ($way < 0.6)
	{
		# all of a set, in sorted files
		($state) = rows($s, "SET LOCAL kalam.bulk_load_threshold = 0") if rand() < 0.5;
		($state) = rows($s, "UPDATE left_$set SET v = v + 1, u = id || ':' || v + 1; UPDATE right_$set r SET v = l.v FROM left_$set l WHERE l.id = r.id;"
			. " DELETE FROM odd_$set; INSERT INTO odd_$set SELECT id, v FROM left_$set WHERE v % 2 = 1") if $state eq '';
		return $state ne '' ? $state : $self->commit(@{ $of_set[$set] });
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
		$state = $self->look_at_own($set, $id);
		($state) = rows($s, "SAVEPOINT s; UPDATE left_$set SET v = -1000 WHERE id = $id; DELETE FROM right_$set WHERE id = $id; INSERT INTO odd_$set VALUES (-$self->{w} - 1, $v)") if $state eq '';
		($state, @rows) = rows($s, "SELECT min(v), count(*), (SELECT count(*) FROM right_$set), (SELECT v FROM odd_$set WHERE id = -$self->{w} - 1), (SELECT v FROM left_$set WHERE id = $id) FROM left_$set") if $state eq '';
		return $state if $state ne '';
		must(join('|', @{ $rows[0] }) eq "-1000|8|7|$v|-1000", 'own changes', @rows);
		($state) = rows($s, 'ROLLBACK TO s');
		$state = $self->look_at_own($set, $id) if $state eq '';
		return $state if $state ne '';
	}
	if ($way > 0.95)
	{
		($state) = rows($s, 'ROLLBACK');
		return $state;
	}
	return $self->commit($counter);
}

sub writer
{
	my ($self) = @_;

	while (time() < $end)
	{
		$self->session or next;
		my $state = $self->change(int(rand() * rand() * $sets), int(rand($ids)));

		if ($state ne '')
		{
			rows($self->{s}, 'ROLLBACK') if $state ne 'lost';
			for (my $tries = 0; !$self->session || $self->forget_prepared ne ''; $tries++)
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
	$self->finish_all;
	return 1;
}

sub finish_all
{
	my ($self) = @_;

	until ($self->session && $self->forget_prepared eq '') { }
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
	$state = $self->commit($whole);
	$self->{by}{$way}++ if $state eq '';
	return $state;
}

sub changer
{
	my ($self) = @_;

	while (time() < $end)
	{
		$self->session or next;
		my ($state, @rows) = rows($self->{s}, 'SELECT max(gen) FROM whole');

		$state = $self->change_whole($rows[0][0] + 1) if $state eq '';
		if ($state ne '')
		{
			rows($self->{s}, 'ROLLBACK') if $state ne 'lost';
			$self->finish_all;
		}
		else
		{
			$self->{changes}++;
		}
		sleep(rand(0.08));
	}
	$self->finish_all;
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
	my $self = bless { w => $w, gids => 0, count => 0, changes => 0, seen => {} }, 'main';

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
		cmp_ok($hits, '>', 0, "$level: the cache answered");
		is(cache_value('pins'), 0, "$level: no pin is left");
	}
	# what is there now is what was committed, and nobody's in doubt
	my $self = bless { count => 0, seen => {}, by => {} }, 'main';
	$self->session;
	$self->new_view(0);
	foreach my $counter (0 .. $sets * $ids - 1)
	{
		foreach my $kind (@alone)
		{
			my $state = eval { $self->look($kind, int($counter / $ids), $counter % $ids) } // $@;
			push @failed, "$kind: $state" if $state ne '';
		}
	}
	is(join("\n", @failed), '', "$level: all agrees in the end");
	$self->{s}->quit;
}
$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|WARNING.*leak/, 'no PANIC, no leak');
done_testing();
