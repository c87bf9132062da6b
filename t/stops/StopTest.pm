# Transactions of several kinds, each with a number, that can be stopped at a
# named place of their commit; and whether a number is there, wholly or not at
# all.  For a server that was built with CHECKED=1.
package StopTest;

use strict;
use warnings;
use Exporter 'import';
use KalamClient;
use KalamTest;
use Test::More;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(kinds new_stop_server transaction is_there is_usable outcome_fits bring_up);

# What each kind does.  two_phase: PostgreSQL gives it a transaction id.  large:
# more than two blocks of a channel, bulk: in sorted files.
my %kinds = (
	kalam => {},
	mixed => { two_phase => 1 },
	large => { large => 1 },
	mixed_large => { large => 1, two_phase => 1 },
	bulk => { large => 1, bulk => 1 },
	mixed_bulk => { large => 1, bulk => 1, two_phase => 1 },
	ddl => { ddl => 1, two_phase => 1 },
	ddl_bulk => { large => 1, bulk => 1, ddl => 1, two_phase => 1 });

# Those that have all the named properties.
sub kinds
{
	my (@with) = @_;

	return grep { my $kind = $kinds{$_}; !grep { !$kind->{$_} } @with } sort keys %kinds;
}

sub new_stop_server
{
	my ($name) = @_;
	my $node = new_server($name, conf => "wal_buffers = 1MB\nshared_buffers = 8MB\nkalam.write_buffer_size = 8MB\n");

	foreach my $kind (keys %kinds)
	{
		# in k1 and h1 a row per number, in k2 several, in k0 without a key,
		# u: one row that each updates, d: a row that each replaces
		$node->safe_psql('postgres', qq(
			CREATE FOREIGN TABLE k1_$kind (n int, v text) SERVER kalam OPTIONS (primary_key 'n');
			CREATE FOREIGN TABLE k2_$kind (n int, m int, v text) SERVER kalam OPTIONS (primary_key 'n, m');
			CREATE FOREIGN TABLE k0_$kind (n int) SERVER kalam;
			CREATE FOREIGN TABLE ku_$kind (id int, n int) SERVER kalam OPTIONS (primary_key 'id');
			CREATE FOREIGN TABLE kd_$kind (n int) SERVER kalam OPTIONS (primary_key 'n');
			CREATE FOREIGN TABLE kt_$kind (n int, m int, v text) SERVER kalam OPTIONS (primary_key 'n, m');
			CREATE TABLE h1_$kind (n int PRIMARY KEY, v text);
			CREATE TABLE hu_$kind (id int PRIMARY KEY, n int);
			CREATE TABLE ht_$kind (n int, m int);
			CREATE FOREIGN TABLE made_${kind}_0 (n int, m int) SERVER kalam OPTIONS (primary_key 'n, m');
			INSERT INTO ku_$kind VALUES (1, 0); INSERT INTO hu_$kind VALUES (1, 0);
			INSERT INTO kd_$kind VALUES (0); INSERT INTO kt_$kind VALUES (0, 1, ''); INSERT INTO ht_$kind VALUES (0, 1)));
	}
	return $node;
}

# What a query gives, through one session for all that is checked: it is made
# again when its server has gone.
my $observer;

sub ask
{
	my ($node, $sql) = @_;
	my ($state, $text);

	foreach my $again (0 .. 1)
	{
		$observer //= KalamClient->new($node->connstr('postgres'));
		($state, $text) = $observer->do($sql);
		last if $state ne 'lost';
		$observer->quit;
		$observer = undef;
	}
	die "$sql: $state $text" if $state ne '';
	chomp($text);
	return $text;
}

# The number that was there last, by kind.
my %last = map { $_ => 0 } keys %kinds;

# The statements of transaction number n without BEGIN and COMMIT.
sub transaction
{
	my ($kind, $n) = @_;
	my $is = $kinds{$kind};
	my $sql = "INSERT INTO k1_$kind VALUES ($n, 'x'); INSERT INTO k2_$kind VALUES ($n, 1), ($n, 2);"
	  . " INSERT INTO k0_$kind VALUES ($n); UPDATE ku_$kind SET n = $n WHERE id = 1;"
	  . " DELETE FROM kd_$kind; INSERT INTO kd_$kind VALUES ($n)";

	$sql .= "; INSERT INTO h1_$kind VALUES ($n, 'x'); UPDATE hu_$kind SET n = $n WHERE id = 1" if $is->{two_phase};
	$sql = "SET LOCAL kalam.bulk_load_threshold = 64; $sql" if $is->{bulk};
	if ($is->{large})
	{
		# (300 KB; in bulk two objects get sorted files: one from a load, one from what is staged)
		my $rows = "SELECT $n, g, repeat(md5(g::text), 30) FROM generate_series(3, 150) g";

		$sql .= "; INSERT INTO k2_$kind $rows";
		$sql .= "; INSERT INTO kt_$kind $rows ON CONFLICT DO NOTHING" if !$is->{ddl};
	}
	if ($is->{ddl})
	{
		$sql .= "; CREATE FOREIGN TABLE made_${kind}_$n (n int, m int) SERVER kalam OPTIONS (primary_key 'n, m')"
		  . "; INSERT INTO made_${kind}_$n VALUES ($n, 1), ($n, 2); DROP FOREIGN TABLE made_${kind}_$last{$kind}"
		  . "; TRUNCATE kt_$kind, ht_$kind; INSERT INTO ht_$kind VALUES ($n, 1); INSERT INTO kt_$kind VALUES ($n, 1, 'x')";
		$sql .= "; INSERT INTO kt_$kind SELECT $n, g, repeat(md5(g::text), 30) FROM generate_series(3, 150) g ON CONFLICT DO NOTHING" if $is->{large};
	}
	return $sql;
}

# Is the transaction there?  1, 0, or what contradicts what.
sub is_there
{
	my ($node, $kind, $n) = @_;
	my $is = $kinds{$kind};
	my $rows = $is->{large} ? 150 : 2;
	my @signs = (
		"(SELECT count(*) = 1 FROM k1_$kind WHERE n = $n)",
		"(SELECT count(*) = $rows FROM k2_$kind WHERE n = $n)",
		"(SELECT count(*) = 1 FROM k0_$kind WHERE n = $n)",
		"(SELECT n = $n FROM ku_$kind)",
		"(SELECT count(*) = 1 AND min(n) = $n FROM kd_$kind)");
	# what must not be there in part either
	my @none = ("SELECT n FROM k2_$kind WHERE n = $n", "SELECT n FROM k0_$kind WHERE n = $n");

	push @signs, "(SELECT count(*) = 1 FROM h1_$kind WHERE n = $n)", "(SELECT n = $n FROM hu_$kind)"
	  if $is->{two_phase};
	if ($is->{ddl})
	{
		push @signs, "to_regclass('made_${kind}_$n') IS NOT NULL", "to_regclass('made_${kind}_$last{$kind}') IS NULL",
		  "EXISTS (SELECT 1 FROM kalam.tables WHERE name = 'made_${kind}_$n')",
		  "NOT EXISTS (SELECT 1 FROM kalam.tables WHERE name = 'made_${kind}_$last{$kind}')",
		  "(SELECT count(*) = 1 AND min(n) = $n FROM ht_$kind)",
		  '(SELECT count(*) = ' . ($is->{large} ? 149 : 1) . " AND min(n) = $n FROM kt_$kind)";
	}
	elsif ($is->{large})
	{
		push @signs, "(SELECT count(*) = 148 FROM kt_$kind WHERE n = $n)";
		push @none, "SELECT n FROM kt_$kind WHERE n = $n";
	}
	my $seen = ask($node, 'SELECT ' . join(', ', @signs));
	my %values = map { $_ => 1 } split /\|/, $seen;

	return "$kind $n is torn: $seen" if keys %values != 1;
	if ($values{t})
	{
		my $old = $last{$kind};

		$last{$kind} = $n;
		return 1 if !$is->{ddl};
		$seen = ask($node, "SELECT count(*), min(n) FROM made_${kind}_$n");
		return $seen eq "2|$n" ? 1 : "made_${kind}_$n has $seen";
	}
	return "$kind $n is there in part" if ask($node, join(' UNION ALL ', @none)) ne '';
	if ($is->{ddl})
	{
		$seen = ask($node, "SELECT count(*) FROM made_${kind}_$last{$kind}");
		return "made_${kind}_$last{$kind} has $seen rows" if $last{$kind} != 0 && $seen != 2;
	}
	return 0;
}

# Nothing of what was stopped is in anybody's way: no locks, no pending entry.
# Gives what is wrong, or ''.
sub is_usable
{
	my ($node, @kinds) = @_;
	my $update = join('; ', map { "UPDATE ku_$_ SET n = n; UPDATE hu_$_ SET n = n; UPDATE ht_$_ SET m = m" } @kinds);

	return 'transactions stay pending' if !wait_until(10, sub { ask($node, 'SHOW kalam.pending') eq '0' });
	eval { ask($node, "SET lock_timeout = '5s'; $update") };
	return $@ ? "rows cannot be updated: $@" : '';
}

# Does what a client was told, by SQLSTATE of its COMMIT, agree with what is there?
sub outcome_fits
{
	my ($state, $there) = @_;

	return $there eq '0' || $there eq '1' if $state eq 'lost' || $state eq '08007';
	return $there eq '1' if $state eq '';
	return $there eq '0' && $state ne 'hangs';
}

# The server takes statements again, after whatever befell it.  ends: so that
# all sessions end.
sub bring_up
{
	my ($node, $ends) = @_;
	my $dir = $node->data_dir;

	return 0 if $ends && $observer && !wait_until(20, sub { ($observer->do('SELECT 1'))[0] eq 'lost' });
	return wait_until(40, sub {
		my $postmaster = KalamTest::postmaster_pid($node) || 0;

		# (a process that init has not collected yet still has its number)
		if (!KalamTest::alive($postmaster) && !processes_in($dir) && !($postmaster && kill(0, $postmaster)))
		{
			$node->{_pid} = undef;
			$node->start;
		}
		defined eval { storage_answers($node) || die };
	});
}

1;
