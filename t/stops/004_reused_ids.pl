# A transaction is pending in the store, and the server crashes before anything
# of it is in PostgreSQL's log: its transaction id is given to another one, and
# that one commits.  The pending one must not be taken for it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use StopTest;
use Test::More;

# nobody else is to write the log
my $node = new_server('main', conf => "wal_writer_delay = 10s\nautovacuum = off\nbgwriter_delay = 10s\n");
my $dir = $node->data_dir;

$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE k (n int) SERVER kalam OPTIONS (primary_key 'n');
	CREATE TABLE h (n int);));

# Starts the server without its store, and uses ids again up to that one.
sub heap_first
{
	my ($id) = @_;
	my $used;

	chmod(0, "$dir/kalam") or die;
	$node->start;
	foreach (1 .. 200)
	{
		$used = $node->safe_psql('postgres', 'INSERT INTO h VALUES (-1) RETURNING pg_current_xact_id()');
		last if $used >= $id;
	}
	return $used == $id;
}

my %rounds = (
	'by heap, before the store is open' => sub {
		my $again = heap_first(@_);
		chmod(0700, "$dir/kalam") or die;
		return $again;
	},
	'by heap, and the server is restarted before the store is open' => sub {
		my $again = heap_first(@_);
		$node->restart;
		chmod(0700, "$dir/kalam") or die;
		return $again;
	},
	'by heap, and it crashes twice before the store is open' => sub {
		my $again = heap_first(@_);
		foreach (1, 2)
		{
			$node->safe_psql('postgres', 'CHECKPOINT');
			$node->stop('immediate');
			wait_until(20, sub { !processes_in($dir) });
			$node->start;
		}
		chmod(0700, "$dir/kalam") or die;
		return $again;
	},
	'by heap and kalam, when the store is open' => sub {
		my ($id) = @_;
		my $used;

		$node->start;
		wait_until(20, sub { runs($node, 'SELECT count(*) FROM k') });
		foreach my $i (1 .. 200)
		{
			$used = $node->safe_psql('postgres', "BEGIN; INSERT INTO h VALUES (-1); INSERT INTO k VALUES (-$i); SELECT pg_current_xact_id(); COMMIT");
			last if $used >= $id;
		}
		return $used == $id && $node->safe_psql('postgres', 'SELECT count(*) > 0 FROM k WHERE n < 0') eq 't';
	});
my $n = 0;

foreach my $name (sort keys %rounds)
{
	my $s = KalamClient->new($node->connstr('postgres'));
	my $postmaster = KalamTest::postmaster_pid($node);
	my $id;

	$n++;
	$node->safe_psql('postgres', 'CHECKPOINT');
	$s->do("BEGIN; INSERT INTO k VALUES ($n); INSERT INTO h VALUES ($n)");
	$id = $s->value('SELECT pg_current_xact_id()');
	my ($state) = $s->do("SET kalam.stop_at = 'commit_stored=kill_server'; COMMIT");
	is($state, 'lost', "$name: the server is killed");
	$s->quit;
	wait_until(20, sub { !processes_in($dir) && !kill(0, $postmaster) });
	$node->{_pid} = undef;
	is($rounds{$name}->($id), 1, "$name: the id is used again");
	ok(wait_until(20, sub { runs($node, 'SELECT count(*) FROM k') }), "$name: the store is open");
	is($node->safe_psql('postgres', "SELECT count(*) FROM k WHERE n = $n"), '0', "$name: the pending transaction is gone");
	is($node->safe_psql('postgres', "SELECT count(*) FROM h WHERE n = $n"), '0', "$name: in heap too");
	is($node->safe_psql('postgres', 'SHOW kalam.pending'), '0', "$name: nothing is pending");
}

$node->stop;
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
