# Clients of the tables of counters that t/028_cache_checker.pl is about: the tables,
# sessions that are made again when they are lost, all ways to read, and what must be
# true of each reading.
#
# Each set of counters has tables of its own, so that some change rarely.  A counter of
# a set is a row in several of its tables: in left and right the same number, in odd a
# row if the number is odd.  Those of single and mixed are counters of their own, the
# latter with a row in a heap table that changes with it.  The last two counters are
# the generation of the table whole, of which all rows change at once, and the number
# of loads into the table grown, each of so many rows that they become a file.
#
# Rows of left are wide, so that its indexes pay.
package CacheClient;

use strict;
use warnings;
use Exporter 'import';
use KalamClient;
use Time::HiRes qw(time sleep);

our @EXPORT = qw($sets $ids $single $mixed $whole $grown $whole_rows @of_set @kinds @alone @in_transaction
  rows must excusable make_tables);

our ($sets, $ids, $whole_rows) = (5, 8, 40);
our ($single, $mixed, $whole) = ($sets * $ids, 2 * $sets * $ids, 3 * $sets * $ids);
our $grown = $whole + 1;
our @of_set = map { my $set = $_; [ map { $set * $ids + $_ } 0 .. $ids - 1 ] } 0 .. $sets - 1;

sub make_tables
{
	my ($node) = @_;

	foreach my $set (0 .. $sets - 1)
	{
		$node->safe_psql('postgres', qq(
			CREATE FOREIGN TABLE left_$set (id int, grp int, v int, u text COLLATE "C", name text COLLATE "C", pad text)
				SERVER kalam OPTIONS (primary_key 'id', index_grp 'grp, v', unique_u 'u', unique_name 'name');
			CREATE FOREIGN TABLE right_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
			CREATE FOREIGN TABLE odd_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
			CREATE FOREIGN TABLE single_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
			CREATE FOREIGN TABLE mixed_$set (id int, v int) SERVER kalam OPTIONS (primary_key 'id');
			CREATE TABLE heap_$set (id int PRIMARY KEY, v int);
			INSERT INTO left_$set SELECT g, g / 4, 0, g || ':' || 0, 'n' || g, repeat('x', g * 1500) FROM generate_series(0, $ids - 1) g;
			ANALYZE left_$set;
			INSERT INTO right_$set SELECT id, 0 FROM left_$set;
			INSERT INTO single_$set SELECT * FROM right_$set;
			INSERT INTO mixed_$set SELECT * FROM right_$set;
			INSERT INTO heap_$set SELECT * FROM right_$set;
			CREATE FUNCTION stable_$set(i int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT v FROM left_$set WHERE id = i); END';
			CREATE FUNCTION volatile_$set(i int) RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT v FROM left_$set WHERE id = i); END'));
	}
	$node->safe_psql('postgres', qq(
		CREATE FOREIGN TABLE grown (id int, pad text) SERVER kalam OPTIONS (primary_key 'id');
		CREATE FOREIGN TABLE whole (id int, gen int, extra int) SERVER kalam OPTIONS (primary_key 'id');
		INSERT INTO whole SELECT g, 0, 0 FROM generate_series(1, $whole_rows) g));
	return;
}

# board: what is known to be committed (CacheBoard.pm); w: the number of the client.
sub new
{
	my ($class, %how) = @_;

	return bless { %how, gids => 0, count => 0, changes => 0, seen => {}, by => {} }, $class;
}

# ---- sessions ----

# Its session, made again if it was lost; undef if that is not possible now.
sub session
{
	my ($self) = @_;

	return $self->{s} if $self->{s} && !$self->{s}->lost;
	$self->{s}->quit if $self->{s};
	$self->{s} = undef;
	my $s = KalamClient->new($self->{node}->connstr('postgres'));
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

# Until it is done: the statement may be canceled before it has begun.
sub roll_back
{
	my ($self) = @_;

	1 while !$self->{s}->lost && (rows($self->{s}, 'ROLLBACK'))[0] ne '';
	return;
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
		my ($self, $set, $id) = @_;
		my $sql = $template =~ s/:s/$set/gr =~ s/:i/$id/gr;
		my ($state, @rows) = rows($self->{s}, $sql);

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
		my ($self, $set, $id) = @_;
		my $sql = $template =~ s/:s/$set/gr =~ s/:i/$id/gr;
		my ($state, @rows) = rows($self->{s}, $sql);
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
		my ($self, $set, $id) = @_;
		my $sql = $template =~ s/:s/$set/gr =~ s/:i/$id/gr;
		my ($state, @rows) = rows($self->{s}, $sql);

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
		my ($self, $set, $id) = @_;
		my $name = 'c' . ++$cursors;
		my $sql = "DECLARE $name CURSOR $hold FOR SELECT id, l.v, r.v FROM left_$set l JOIN right_$set r USING (id) ORDER BY id";
		my ($state) = rows($self->{s}, $sql);
		my $high = $self->{board}->begun;
		my @all;

		return $state if $state ne '';
		foreach my $n (3, 100)
		{
			my ($failed, @some) = rows($self->{s}, "FETCH $n FROM $name");

			return $failed if $failed ne '';
			push @all, @some;
			sleep(rand(0.003));
		}
		($state) = rows($self->{s}, "CLOSE $name");
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
	point_unique => reading_of_one(0, "SELECT v FROM left_:s WHERE name = 'n:i'"),
	point_filtered => reading_of_equals("SELECT count(*), 0 FROM left_:s WHERE id = :i AND pad = 'y'"),
	point_key => reading_of_equals('SELECT count(*), 1 FROM left_:s WHERE id = :i'),
	row_share => reading_of_one(0, 'SELECT v FROM left_:s WHERE id = :i FOR SHARE'),
	row_update => reading_of_one($single, 'SELECT v FROM single_:s WHERE id = :i FOR UPDATE'),
	list => reading_of_some(0, 3, 'SELECT id, v FROM left_:s WHERE id IN (:i, (:i + 3) % 8, (:i + 6) % 8)'),
	scan => reading_of_some(0, $ids, 'SELECT id, v FROM left_:s ORDER BY id'),
	scan_executed => reading_of_some(0, $behind, 'EXECUTE scan_:s(:i)'),
	scan_single => reading_of_some($single, $ids, 'SELECT id, v FROM single_:s'),
	scan_back => reading_of_some(0, 3, 'SELECT id, v FROM right_:s ORDER BY id DESC LIMIT 3'),
	scan_filter => reading_of_some(0, $ids, "SELECT id, v FROM left_:s WHERE pad < 'y' AND v >= 0"),
	scan_without => reading_of_some($single, $ids - 1, 'SELECT id, v FROM single_:s WHERE id <> :i'),
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
		my ($self, $set, $id) = @_;
		my $sql = "SELECT count(*), sum(v) FROM left_$set";
		my ($state, @rows) = rows($self->{s}, $sql);

		return $state if $state ne '';
		must($rows[0][0] == $ids, $sql, @rows);
		return ('', [ $of_set[$set], $rows[0][1], $sql ]);
	},
	aggregate_without => sub {
		my ($self, $set, $id) = @_;
		my $sql = "SELECT count(*), sum(v) FROM right_$set WHERE id <> $id";
		my ($state, @rows) = rows($self->{s}, $sql);

		return $state if $state ne '';
		must($rows[0][0] == $ids - 1, $sql, @rows);
		return ('', [ [ grep { $_ % $ids != $id } @{ $of_set[$set] } ], $rows[0][1], $sql ]);
	},
	groups => sub {
		my ($self, $set, $id) = @_;
		my $sql = "SELECT grp, count(*), sum(v) FROM left_$set GROUP BY grp ORDER BY grp";
		my ($state, @rows) = rows($self->{s}, $sql);

		return $state if $state ne '';
		must(@rows == 2 && $rows[0][1] == 4 && $rows[1][1] == 4, $sql, @rows);
		return ('', map { [ [ @{ $of_set[$set] }[ 4 * $_ .. 4 * $_ + 3 ] ], $rows[$_][2], $sql ] } 0, 1);
	},
	newer => sub {
		my ($self, $set, $id) = @_;
		my $sql = "SELECT v, volatile_$set($id) FROM left_$set WHERE id = $id";
		my ($state, @rows) = rows($self->{s}, $sql);

		return $state if $state ne '';
		must(@rows == 1 && $rows[0][1] >= $rows[0][0], $sql, @rows);
		return ('', map { [ $set * $ids + $id, $_, $sql ] } @{ $rows[0] });
	},
	mixed => sub {
		my ($self, $set, $id) = @_;
		my $sql = "SELECT h.v, m.v FROM heap_$set h JOIN mixed_$set m USING (id) WHERE id = $id";
		my ($state, @rows) = rows($self->{s}, $sql);

		# (heap's snapshot is taken first, so its row may be older)
		return $state if $state ne '';
		must(@rows == 1 && $rows[0][1] >= $rows[0][0], $sql, @rows);
		return ('', [ $mixed + $set * $ids + $id, $rows[0][1], $sql ], [ $mixed + $set * $ids + $id, $rows[0][0], "heap: $sql" ]);
	},
	cursor => reading_by_cursor(''),
	cursor_held => reading_by_cursor('WITH HOLD'),
	# the first row of a load is there if the load is
	grown => sub {
		my ($self, $set, $id) = @_;
		my $n = $self->{view}{low}[$grown] + $id % 3 - 1;
		my $row = $n * $whole_rows;
		my $sql = "SELECT count(*)::float / $whole_rows, (SELECT count(*) FROM grown WHERE id = $row), (SELECT length(pad) FROM grown WHERE id = $row) FROM grown";
		my ($state, @rows) = rows($self->{s}, $sql);

		return $state if $state ne '';
		must($rows[0][1] == ($rows[0][0] > $n && $n >= 0 ? 1 : 0) && ($rows[0][2] ne '') == ($rows[0][1] > 0), $sql, @rows);
		return ('', [ $grown, $rows[0][0], $sql ]);
	},
	whole => sub {
		my ($self, $set, $id, $snapshot) = @_;
		my $sql = 'SELECT count(*), min(gen), max(gen)' . ($id < 4 ? ', min(extra), max(extra)' : '') . ' FROM whole';
		my ($state, @rows) = rows($self->{s}, $sql);

		# (a snapshot sees nothing of a table that was truncated or made since)
		return $state if $state ne '' || $snapshot && $rows[0][0] == 0;
		must($rows[0][0] == $whole_rows && $rows[0][1] == $rows[0][2] && (!defined $rows[0][3] || $rows[0][3] == $rows[0][4]), $sql, @rows);
		return ('', [ $whole, $rows[0][1], $sql ]);
	});
our @kinds = sort keys %reads;
our @in_transaction = grep { $_ ne 'cursor_held' } @kinds;
our @alone = grep { $_ ne 'cursor' } @kinds;

# What a session may see: of a snapshot, the same until it ends.  own: what its
# transaction has changed itself; seen: what it has seen earlier.
sub new_view
{
	my ($self, $snapshot) = @_;

	$self->{view} = { snapshot => $snapshot, own => {}, first => {}, now => {} };
	$self->{view}{low} = $self->{board}->committed if $snapshot;
	return $self->{view};
}

sub look
{
	my ($self, $kind, $set, $id) = @_;
	my $view = $self->{view};

	$view->{low} = $self->{board}->committed if !$view->{snapshot};
	my ($state, @readings) = $reads{$kind}->($self, $set, $id, $view->{snapshot});
	return $state if $state ne '';
	$view->{high} = $self->{board}->begun if !$view->{snapshot} || !$view->{high};
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

1;
