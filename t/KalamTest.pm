# What several of the tests need: servers with the preload, their storage
# process, sessions that can fail, and figures from /proc.
package KalamTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(
  new_server supervisor_pid storage_pid kill_storage wait_until wait_for_storage storage_answers
  processes_in rss_kb children_of alive runs
);

# A running server with the extension in database postgres, unless told not to.  The file
# that KALAM_TEST_CONF names, if any, has settings for all servers.
sub new_server
{
	my ($name, %how) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => $how{initdb} || [ '--no-sync' ]);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kalam_fdw'\n")
	  unless $how{no_preload};
	$node->append_conf('postgresql.conf', "log_statement = none\nrestart_after_crash = on\nmax_connections = 80\n");
	$node->append_conf('postgresql.conf', slurp_file($ENV{KALAM_TEST_CONF})) if $ENV{KALAM_TEST_CONF};
	$node->append_conf('postgresql.conf', $how{conf}) if $how{conf};
	return $node if $how{no_start};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION kalam_fdw') unless $how{no_extension};
	return $node;
}

# ---- processes ----

sub slurp
{
	my ($path) = @_;

	open(my $file, '<', $path) or return '';
	local $/;
	my $text = <$file>;
	return defined $text ? $text : '';
}

# [pid, name, parent, state] of all processes.
sub process_list
{
	my @list;

	foreach my $dir (glob '/proc/[0-9]*')
	{
		push @list, [ $1, $2, $4, $3 ]
		  if slurp("$dir/stat") =~ /^(\d+) \((.*)\) (\S) (\d+)/s;
	}
	return @list;
}

sub alive
{
	my ($pid) = @_;

	return slurp("/proc/$pid/stat") =~ /\) [^ZX] / ? 1 : 0;
}

sub children_of
{
	my ($pid) = @_;

	return map { $_->[0] } grep { $_->[2] == $pid && $_->[3] ne 'Z' } process_list();
}

sub postmaster_pid
{
	my ($node) = @_;
	my ($pid) = slurp($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	return $pid;
}

# The parent of the storage process.  0 if none runs.
sub supervisor_pid
{
	my ($node) = @_;
	my $storage = storage_pid($node) or return 0;
	my ($parent) = slurp("/proc/$storage/stat") =~ /\) \S (\d+)/;

	return $parent // 0;
}

# Of the server: a grandchild of the postmaster.  0 if none runs.
sub storage_pid
{
	my ($node) = @_;
	my $postmaster = postmaster_pid($node) or return 0;
	my @all = process_list();
	my %child = map { $_->[0] => 1 } grep { $_->[2] == $postmaster } @all;

	foreach my $p (@all)
	{
		return $p->[0]
		  if $p->[1] eq 'kalam_storage' && $p->[3] ne 'Z' && $child{ $p->[2] };
	}
	return 0;
}

# Sends the storage process a signal; gives the pid that it had.
sub kill_storage
{
	my ($node, $signal) = @_;
	my $pid = storage_pid($node);

	kill($signal || 'KILL', $pid) if $pid;
	return $pid;
}

# All processes that have a file below the directory open or work there.
sub processes_in
{
	my ($dir) = @_;
	my @found;

	foreach my $p (process_list())
	{
		my $proc = "/proc/$p->[0]";

		next if $p->[0] == $$;
		foreach my $link ("$proc/cwd", glob("$proc/fd/*"))
		{
			my $target = readlink($link);

			next if !defined $target || index($target, "$dir/") != 0 && $target ne $dir;
			push @found, "$p->[0] $p->[1]";
			last;
		}
	}
	return @found;
}

sub rss_kb
{
	my ($pid) = @_;

	return slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
}

# ---- waiting ----

# Until the test is true; false after so many seconds.
sub wait_until
{
	my ($seconds, $test) = @_;
	my $end = time() + $seconds;

	while (1)
	{
		return 1 if $test->();
		return 0 if time() > $end;
		sleep(0.02);
	}
}

# Does the statement succeed?  A server that does not take connections is a no.
sub runs
{
	my ($node, $sql) = @_;

	return defined eval { $node->psql('postgres', $sql) == 0 || die };
}

# Does the storage process answer?
sub storage_answers
{
	my ($node) = @_;

	return runs($node, 'SET kalam.tables_ttl = 0; SELECT count(*) FROM kalam.tables');
}

# Until another storage process than that of pid $old answers.
sub wait_for_storage
{
	my ($node, $old) = @_;

	wait_until(30, sub { my $pid = storage_pid($node); $pid && $pid != ($old || 0) });
	return storage_answers($node);
}

# ---- a session that does one statement at a time and says what became of it ----

package KalamTest::Session
{
	sub new
	{
		my ($class, $node) = @_;
		my $self = bless { in => '', out => '', err => '' }, $class;

		$self->{harness} = IPC::Run::start(
			[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres'),
			  '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=verbose', '-f', '-' ],
			'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
			IPC::Run::timeout(120));
		return $self;
	}

	# Begins a statement.
	sub send
	{
		my ($self, $sql) = @_;

		$self->{out} = $self->{err} = '';
		$self->{in} .= "$sql;\n\\echo done :ERROR\n";
		$self->{harness}->pump_nb;
	}

	# Waits for its end: (succeeded, output, errors)
	sub answer
	{
		my ($self) = @_;

		$self->{harness}->pump while $self->{out} !~ /^done (true|false)$/m;
		my $failed = $self->{out} =~ s/^done true\n//m;
		$self->{out} =~ s/^done false\n//m;
		$self->{harness}->pump_nb;
		return (!$failed, $self->{out}, $self->{err});
	}

	sub do
	{
		my ($self, $sql) = @_;

		$self->send($sql);
		return $self->answer;
	}

	sub pid
	{
		my ($self) = @_;
		my ($ok, $out) = $self->do('SELECT pg_backend_pid()');

		chomp($out);
		return $out;
	}

	sub quit
	{
		my ($self) = @_;

		$self->{in} .= "\\q\n";
		$self->{harness}->finish;
	}
}

1;
