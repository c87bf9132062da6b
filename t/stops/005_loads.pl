# A backend fails, kills the storage process, or dies with or without its server,
# at a place of a load: nothing of it is there afterwards, no file is left, and
# the next load works.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/..";
use KalamClient;
use KalamTest;
use PostgreSQL::Test::Utils;
use StopTest;
use Test::More;

my $node = new_server('main', conf => "kalam.bulk_load_threshold = '64kB'\n");
my $dir = $node->data_dir;
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE l (k int, v text) SERVER kalam OPTIONS (primary_key 'k', unique_v 'v');
	INSERT INTO l VALUES (1, 'was there'), (2, 'was there, too');
	CREATE FOREIGN TABLE made (n int) SERVER kalam OPTIONS (primary_key 'n');));
my $made = 0;

# Loads 5000 rows, of some blocks, stopped so, and looks at what became of it.
sub stop_at
{
	my ($place, $action) = @_;
	my $session = KalamClient->new($node->connstr('postgres'));
	my $ends = $action =~ /^kill(?:_server)?$/;
	my (@wrong, $state, $text);

	$session->do("BEGIN; UPDATE l SET v = 'changed' WHERE k = 1; SAVEPOINT s; SET kalam.stop_at = '$place=$action'");
	($state, $text) = $session->do(q(INSERT INTO l SELECT g, g || repeat('x', 60) FROM generate_series(1000, 5999) g));
	($state, $text) = $session->do('SELECT count(*) FROM l') if $place eq 'load_read' && $state eq '';
	($state, $text) = $session->do('COMMIT') if $place eq 'load_claimed' && $state eq '';
	push @wrong, 'it was not stopped' if $state eq '';
	push @wrong, 'the server does not come up' if !bring_up($node, $ends);
	push @wrong, 'the session is gone' if $state eq 'lost' && !$ends;
	if (!$session->lost)
	{
		# what came before the savepoint is not lost with an error
		($state, $text) = $session->do('ROLLBACK TO s; COMMIT');
		$session->do('ROLLBACK; RESET kalam.stop_at');
		($state, $text) = $session->do(q(BEGIN; INSERT INTO l SELECT g, g || repeat('y', 60) FROM generate_series(1000, 5999) g; SELECT count(*) FROM l; ROLLBACK));
		push @wrong, "the session does not go on: $text" if $state ne '' || $text !~ /^5002$/m;
	}
	$session->quit;

	my $there = $node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE v LIKE \'%x\') FROM l');
	push @wrong, "there is $there" if $there ne '2|0';
	push @wrong, 'files are left' if !wait_until(10, sub { !glob("$dir/kalam/bulk/*") });
	$made++;
	push @wrong, 'another load does not work'
	  if !runs($node, "INSERT INTO made SELECT $made * 10000 + g FROM generate_series(1, 5000) g");
	is(join("\n", @wrong), '', "$place=$action");
	return;
}

foreach my $place (qw(load_begun load_block load_sent load_read load_claimed))
{
	stop_at($place, $_) foreach qw(error kill_storage kill);
}
stop_at('load_block', 'kill_server');
stop_at('load_claimed', 'kill_server');
is($node->safe_psql('postgres', 'SELECT count(*) FROM made'), $made * 5000, 'all other loads are there');
is($node->safe_psql('postgres', "SELECT count(*) FROM kalam.verify_indexes('l')"), '0', 'the index agrees');

$node->stop;
is(join(', ', processes_in($dir)), '', 'nothing is left behind');
ok(slurp_file($node->logfile) !~ qr/PANIC|TRAP|server process .* signal (?:6|11):|WARNING.*leak/, 'no PANIC, no assertion, no leak');
done_testing();
