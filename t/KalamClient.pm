# A session through a psql of its own that survives what happens to its server:
# one statement at a time, and what became of it by SQLSTATE.  Cheaper than
# IPC::Run, so that dozens of clients can run at once.
package KalamClient;

use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(time sleep);

my $DONE = 'kalam-client-done';

sub new
{
	my ($class, $connstr) = @_;
	my $self = bless { buffer => '', lost => 0 }, $class;

	$SIG{PIPE} = 'IGNORE';
	pipe(my $child_in, my $in) && pipe(my $out, my $child_out) or die "pipe: $!";
	$self->{pid} = fork() // die "fork: $!";
	if ($self->{pid} == 0)
	{
		$SIG{PIPE} = 'DEFAULT';
		open(STDIN, '<&', $child_in) && open(STDOUT, '>&', $child_out)
		  && open(STDERR, '>&', $child_out) && close($in) && close($out)
		  && exec('psql', '-X', '-A', '-t', '-q', '-d', $connstr, '-v', 'VERBOSITY=verbose', '-f', '-');
		POSIX::_exit(1);
	}
	@$self{qw(in out)} = ($in, $out);
	return $self;
}

# Begins a statement.  Several on one line are sent one after the other,
# whatever becomes of them: an error in a transaction makes its COMMIT fail.
sub send
{
	my ($self, $sql) = @_;
	my $text = "$sql;\n\\echo $DONE\n";

	while (length($text) > 0)
	{
		my $n = syswrite($self->{in}, $text);

		last if !defined $n;
		substr($text, 0, $n) = '';
	}
	return $self;
}

# Waits for its end.  Gives the SQLSTATE of the first error, '' if there was
# none, 'lost' if the session has ended, 'hangs' after so many seconds; and all
# that psql printed.
sub answer
{
	my ($self, $seconds) = @_;
	my $end = time() + ($seconds // 60);
	my ($text, $at);

	until (($at = index($self->{buffer}, "$DONE\n")) >= 0)
	{
		my $ready = '';
		my $n;

		vec($ready, fileno($self->{out}), 1) = 1;
		return ('hangs', $self->{buffer}) if time() > $end;
		next if select($ready, undef, undef, 1) < 1;
		$n = sysread($self->{out}, $self->{buffer}, 65536, length($self->{buffer}));
		next if !defined $n && $!{EINTR};
		return $self->ended if !$n;
	}
	$text = substr($self->{buffer}, 0, $at);
	substr($self->{buffer}, 0, $at + length($DONE) + 1) = '';
	return ($1, $text) if $text =~ /^(?:psql:\S+ )?ERROR:  (\w{5}):/m;

	# it may have come after the statement's success; and where psql finds the
	# connection closed as it sends, it goes on as if the statement had succeeded
	return $self->ended($text)
	  if $text =~ /^(?:psql:\S+ )?(?:FATAL|PANIC|WARNING:  57P0[123]):|server closed the connection|connection to server was lost/m;
	return ('', $text);
}

sub ended
{
	my ($self, $text) = @_;

	$self->{lost} = 1;
	return ('lost', $text // $self->{buffer});
}

sub do
{
	my ($self, $sql, $seconds) = @_;

	return $self->send($sql)->answer($seconds);
}

# The one value that a query gives; undef if it fails.
sub value
{
	my ($self, $sql) = @_;
	my ($state, $text) = $self->do($sql);

	return if $state ne '';
	chomp($text);
	return $text;
}

sub lost
{
	my ($self) = @_;

	return $self->{lost};
}

# The process id of its backend.
sub backend
{
	my ($self) = @_;

	return $self->{backend} //= $self->value('SELECT pg_backend_pid()');
}

sub quit
{
	my ($self) = @_;

	return if !$self->{pid};
	close($self->{in});
	close($self->{out});
	waitpid($self->{pid}, 0);
	$self->{pid} = 0;
	return;
}

# A client in a process of its own: runs the code there, which gives true if
# all is well, and gives the process id.
sub spawn
{
	my ($code) = @_;
	my $pid = fork() // die "fork: $!";

	return $pid if $pid;
	my $good = eval { $code->() };
	print STDERR "client $$: $@" if $@;
	POSIX::_exit($good ? 0 : 1);
}

1;
